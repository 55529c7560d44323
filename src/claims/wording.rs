//! The sentences that explain verdicts, from `claims/wording.toml`.

use std::collections::BTreeMap;

use crate::model::Text;

const FILE: &str = include_str!("../../claims/wording.toml");

/// Every sentence with the values that are filled in.
pub(super) const KEYS: &[(&str, &[&str])] = &[
    ("documentary", &[]),
    ("not-seen", &[]),
    ("vantage", &[]),
    ("contradicted", &[]),
    ("too-few-runs", &["runs", "needed"]),
    ("too-few-runs-of-steps", &["runs", "needed"]),
    ("control-failed", &[]),
    ("steps-missing", &["steps"]),
    ("supported", &[]),
    ("not-contradicted", &[]),
    ("not-contradicted-uncontrolled", &[]),
    ("opaque", &[]),
    ("undecided", &[]),
    ("undecided-by-hand", &[]),
    ("no-predicate", &[]),
    ("no-predicate-either", &[]),
    ("no-doses", &[]),
    ("dose-of-others", &[]),
    ("recorded", &["when"]),
    ("app", &["app"]),
    ("app-unknown", &[]),
    ("noise-none", &["runs"]),
    ("noise-left-out", &["runs", "flows", "ends"]),
    ("client-other", &["client", "capture", "frame"]),
    ("client-own", &["client", "capture", "frame"]),
    ("client-unknown", &[]),
    ("client-version", &["client", "capture", "frame"]),
    ("older-than-tables", &["tables"]),
    ("runs-disagree", &["against", "fitting"]),
    ("runs-alone", &["fitting"]),
    ("runs-kind", &["day", "app", "vantage", "count"]),
    ("unknown", &[]),
    ("vantage-router", &[]),
    ("vantage-vpn", &[]),
    ("vantage-device", &[]),
    ("vantage-server", &[]),
    ("dose", &["runs", "step", "doses"]),
    ("dose-too-few-runs", &[]),
    ("dose-nothing", &["bytes", "low", "high"]),
    ("dose-padded", &["bytes", "low", "high"]),
    ("dose-per-contact", &["bytes", "low", "high", "forms"]),
    ("dose-unclear", &["bytes", "low", "high"]),
    ("protection", &["times", "rate"]),
    ("protection-space", &["country", "numbers", "bits", "time"]),
    ("seconds", &["n"]),
    ("minutes", &["n"]),
    ("hours", &["n"]),
    ("days", &["n"]),
    ("next-record", &["steps", "minutes"]),
    ("next-whole", &[]),
    ("next-by-hand", &[]),
    ("next-then-by-hand", &[]),
    ("next-record-with-keys", &["steps"]),
    ("next-plant-text", &["list"]),
    ("next-plant-variable", &["list"]),
    ("next-repeat", &["n", "steps"]),
    ("next-dose", &[]),
    ("next-dose-more", &["n"]),
    ("next-vantage", &["vantage"]),
    ("next-tell-vantage", &["vantage"]),
    ("next-place", &[]),
    ("next-key", &[]),
    ("next-control", &[]),
    ("next-power", &[]),
    ("next-name-control", &[]),
    ("next-alone", &[]),
];

/// A number with one decimal as both languages write it.
pub(super) fn number(value: f64) -> Text {
    // Minus zero is zero.
    let en = format!("{:.1}", if value.abs() < 0.05 { 0.0 } else { value });
    Text { de: en.replace('.', ","), en }
}

/// Sentences by key.
pub(super) struct Words(BTreeMap<String, Text>);

impl Words {
    /// Those built in; a test keeps the file free of faults and complete.
    pub(super) fn embedded() -> Words {
        Words(toml::from_str(FILE).unwrap_or_default())
    }

    /// The sentence of `key`, with `{name}` replaced by the same in both languages.
    pub(super) fn say(&self, key: &str, values: &[(&str, String)]) -> Text {
        let values: Vec<(&str, Text)> =
            values.iter().map(|(name, v)| (*name, Text { en: v.clone(), de: v.clone() })).collect();
        self.say_in_both(key, &values)
    }

    /// The sentence of `key`, with `{name}` replaced by each language's own words.
    pub(super) fn say_in_both(&self, key: &str, values: &[(&str, Text)]) -> Text {
        let Some(text) = self.0.get(key) else { return Text { en: key.to_owned(), de: key.to_owned() } };
        let mut dated = values.to_vec();
        for (_, value) in dated.iter_mut().filter(|(name, _)| DATES.contains(name)) {
            value.de = german_dates(&value.de);
        }
        Text { en: fill(&text.en, values, |t| &t.en), de: fill(&text.de, &dated, |t| &t.de) }
    }
}

/// Values that are dates.
const DATES: [&str; 3] = ["when", "day", "tables"];

/// Days as German texts write them everywhere: `2026-06-25` becomes `25.06.2026`.
fn german_dates(text: &str) -> String {
    let day = |word: &str| {
        let (year, rest) = word.split_once('-')?;
        let (month, day) = rest.split_once('-')?;
        let digits = |part: &str, n: usize| part.len() == n && part.bytes().all(|b| b.is_ascii_digit());
        (digits(year, 4) && digits(month, 2) && digits(day, 2)).then(|| format!("{day}.{month}.{year}"))
    };
    let words: Vec<String> =
        text.split(' ').map(|word| day(word).unwrap_or_else(|| word.to_owned())).collect();
    words.join(" ")
}

/// One pass from left to right: what was filled in is not looked at again, for it may come from a run description.
fn fill(sentence: &str, values: &[(&str, Text)], pick: fn(&Text) -> &String) -> String {
    let mut out = String::with_capacity(sentence.len());
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let value = after.split_once('}').and_then(|(name, behind)| {
            let (_, value) = values.iter().find(|(known, _)| *known == name)?;
            Some((pick(value), behind))
        });
        if let Some((value, behind)) = value {
            out.push_str(value);
            rest = behind;
        } else {
            out.push('{');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_both_sentences() {
        let words: BTreeMap<String, Text> = toml::from_str(FILE).unwrap();
        for (key, _) in KEYS {
            let text = words.get(*key).unwrap_or_else(|| panic!("claims/wording.toml lacks [{key}]"));
            assert!(!text.en.is_empty() && !text.de.is_empty(), "{key}");
        }
        assert_eq!(words.len(), KEYS.len(), "a key that nothing uses");
    }

    #[test]
    fn what_is_filled_in_is_not_filled_again() {
        let words = Words::embedded();
        let text = words.say("steps-missing", &[("steps", "{steps} {x".to_owned())]);
        assert!(text.en.ends_with(": {steps} {x."), "{}", text.en);
        let text = words.say("recorded", &[("when", "2015-05-25 – 2019-06-25".to_owned())]);
        assert!(text.en.contains("2015-05-25 – 2019-06-25"), "{}", text.en);
        assert!(text.de.contains("25.05.2015 – 25.06.2019"), "{}", text.de);
        assert_eq!((number(-0.01).en, number(1.25).de), ("0.0".to_owned(), "1,2".to_owned()));
    }
}
