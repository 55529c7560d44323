//! Whether a hash protects a telephone number (METRICS E7): the cost of trying every number of a country's plan.
//!
//! Takes nothing but `reference/enumeration.toml`; gives the second verdict of claims that only hashes leave. It does not depend on any
//! capture: that a claim is true does not make it protective.

use std::sync::LazyLock;

use serde::Deserialize;

use super::wording::{Words, number};
use crate::model::{Protection, Text, ValueSpace, Verdict};

const FILE: &str = include_str!("../../reference/enumeration.toml");

/// Whoever needs longer than this for all numbers is kept from it, seconds.
const A_DAY: f64 = 86_400.0;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[allow(dead_code, reason = "says which form the file has; the test reads it")]
    schema: u32,
    rate: Rate,
    space: Vec<Space>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rate {
    hashes_per_second: f64,
    source: String,
    as_of: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Space {
    country: String,
    numbers: u64,
    source: String,
    as_of: String,
}

/// The verdict on hashes of telephone numbers.
pub(super) fn of_numbers(words: &Words) -> Protection {
    // Every claim on hashes asks anew; a test keeps the file free of faults.
    static SPACES: LazyLock<File> = LazyLock::new(|| toml::from_str(FILE).unwrap_or_default());
    let file = &*SPACES;
    let rate = file.rate.hashes_per_second.max(1.0);
    let spaces: Vec<ValueSpace> = file
        .space
        .iter()
        .map(|space| ValueSpace {
            country: space.country.clone(),
            numbers: space.numbers,
            bits: (space.numbers as f64).log2(),
            seconds: space.numbers as f64 / rate,
            source: space.source.clone(),
            as_of: space.as_of.clone(),
        })
        .collect();
    // One country whose numbers can all be tried is enough: its people are not protected.
    let tried = !spaces.is_empty() && spaces.iter().any(|space| space.seconds <= A_DAY);
    let of_space = |space: &ValueSpace| {
        let same = |text: &str| Text { en: text.to_owned(), de: text.to_owned() };
        words.say_in_both(
            "protection-space",
            &[
                ("country", same(&space.country)),
                ("numbers", number(space.numbers as f64 / 1e6)),
                ("bits", number(space.bits)),
                ("time", time(space.seconds, words)),
            ],
        )
    };
    let times: Vec<Text> = spaces.iter().map(of_space).collect();
    let join = |pick: fn(&Text) -> &str| times.iter().map(pick).collect::<Vec<_>>().join(", ");
    let times = Text { en: join(|t| &t.en), de: join(|t| &t.de) };
    let explanation = words.say_in_both("protection", &[("times", times), ("rate", number(rate / 1e6))]);
    Protection {
        verdict: if tried { Verdict::Contradicted } else { Verdict::Inconclusive },
        explanation,
        hashes_per_second: rate,
        rate_source: format!("{} ({})", file.rate.source, file.rate.as_of),
        spaces,
    }
}

fn time(seconds: f64, words: &Words) -> Text {
    let (key, value) = match seconds {
        s if s < 120.0 => ("seconds", s),
        s if s < 7200.0 => ("minutes", s / 60.0),
        s if s < 2.0 * A_DAY => ("hours", s / 3600.0),
        s => ("days", s / A_DAY),
    };
    words.say_in_both(key, &[("n", number(value))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_mobile_numbers_protect_nobody() {
        let file: File = toml::from_str(FILE).unwrap();
        assert_eq!(file.schema, 1);
        for date in file.space.iter().map(|s| &s.as_of).chain([&file.rate.as_of]) {
            assert!(crate::destination::is_date(date), "{date}");
        }
        let protection = of_numbers(&Words::embedded());
        assert_eq!(protection.verdict, Verdict::Contradicted);
        let germany = protection.spaces.iter().find(|s| s.country == "DE").unwrap();
        // 85 blocks of ten million, 8 of ten and of a hundred million, one of a million.
        assert_eq!(germany.numbers, 85 * 10_000_000 + 8 * 110_000_000 + 1_000_000);
        assert!(
            (30.6..30.8).contains(&germany.bits) && (400.0..500.0).contains(&germany.seconds),
            "{germany:?}"
        );
        let said = &protection.explanation;
        assert!(said.en.contains("7.2 minutes") && said.de.contains("7,2 Minuten"), "{said:?}");
    }
}
