//! Numbering plans: which digits can be a telephone number, an IMSI, an IMEI.
//!
//! Takes digits; says whether a country gives out such numbers, by `reference/numbering.toml`. Says nothing of whether somebody
//! has the number.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::rules::RuleError;

pub(super) static BUILT_IN: &str = include_str!("../../../reference/numbering.toml");

/// The plans that are built in; a test keeps their file free of faults.
pub(super) static PLANS: LazyLock<Plans> = LazyLock::new(|| Plans::read(BUILT_IN).unwrap_or_default());

/// Reporting bodies that give out type allocation codes (GSMA TS.06): the first two digits of an IMEI.
const REPORTING: [&str; 16] =
    ["01", "10", "30", "33", "35", "44", "45", "49", "50", "51", "52", "53", "54", "86", "91", "99"];

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plans {
    #[expect(dead_code, reason = "read so that a wrong number is refused")]
    schema: u32,
    #[expect(dead_code, reason = "for readers of the file")]
    source: String,
    #[expect(dead_code, reason = "for readers of the file")]
    as_of: String,
    #[expect(dead_code, reason = "for readers of the file")]
    licence: String,
    mobile: Vec<String>,
    countries: BTreeMap<String, Country>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Country {
    digits: Vec<usize>,
    first: String,
    #[serde(default)]
    trunk: String,
}

impl Plans {
    /// Reads a table of plans.
    ///
    /// # Errors
    /// [`RuleError`] with the line of the first fault.
    pub(super) fn read(text: &str) -> Result<Plans, RuleError> {
        let plans: Plans = toml::from_str(text).map_err(|e| RuleError::of_toml(text, &e))?;
        let digits =
            |s: &str, least, most| (least..=most).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
        for (code, country) in &plans.countries {
            let good = digits(code, 1, 3)
                && digits(&country.first, 1, 10)
                && digits(&country.trunk, 0, 2)
                && !country.digits.is_empty()
                && country.digits.iter().all(|n| (4..=14).contains(n) && n + code.len() <= 15);
            if !good {
                let line =
                    text.lines().position(|l| l.starts_with(&format!("\"{code}\""))).map_or(1, |n| n + 1);
                return Err(RuleError {
                    line,
                    what: format!(
                        "country {code:?}: the code has one to three digits, `digits` lists lengths that make 15 with it at most, `first` lists digits, `trunk` has two at most"
                    ),
                });
            }
        }
        if let Some(wrong) = plans.mobile.iter().find(|m| !digits(m, 3, 3)) {
            let line = text.lines().position(|l| l.contains(&format!("\"{wrong}\""))).map_or(1, |n| n + 1);
            return Err(RuleError {
                line,
                what: format!("{wrong:?}: a mobile country code has three digits"),
            });
        }
        Ok(plans)
    }

    /// Whether digits without `+` are a number in international form (ITU-T E.164). Digits that are all the same behind the
    /// country code are nobody's.
    pub(super) fn international(&self, digits: &str) -> bool {
        (1..=3).any(|length| {
            let Some((code, rest)) = digits.split_at_checked(length) else { return false };
            self.countries.get(code).is_some_and(|c| fits(c, code, rest))
        })
    }

    /// Whether digits as they are dialled within a country may be a number: with a trunk `0`, or ten digits of the North American
    /// plan. Which country's it is, nobody tells, so this proves little.
    pub(super) fn national(&self, digits: &str) -> bool {
        match digits.strip_prefix('0') {
            Some(rest) => {
                (8..=12).contains(&rest.len()) && !rest.starts_with('0') && varied(rest) && !rest.is_empty()
            }
            None => self.countries.get("1").is_some_and(|c| fits(c, "1", digits)),
        }
    }

    /// Whether 15 digits (14 where the subscriber's part is short) may be an IMSI (ITU-T E.212).
    pub(super) fn imsi(&self, digits: &str) -> bool {
        (14..=15).contains(&digits.len())
            && digits.get(..3).is_some_and(|mcc| self.mobile.iter().any(|m| m == mcc))
            && digits.get(5..).is_some_and(varied)
    }
}

fn fits(country: &Country, code: &str, rest: &str) -> bool {
    let plain = country.digits.contains(&rest.len())
        && rest.chars().next().is_some_and(|c| country.first.contains(c))
        && varied(rest);
    // North American numbers: area and exchange begin with 2 to 9, and no area ends in 11 (NANP Administration).
    plain
        && (code != "1"
            || (rest.get(3..4).is_some_and(|c| c >= "2") && rest.get(1..3).is_some_and(|c| c != "11")))
}

fn varied(digits: &str) -> bool {
    digits.bytes().any(|b| Some(&b) != digits.as_bytes().first())
}

/// Whether 15 digits are an IMEI: a reporting body's allocation and Luhn's check digit (3GPP TS 23.003 section 6, annex B).
pub(super) fn imei(digits: &str) -> bool {
    digits.len() == 15
        && digits.get(..2).is_some_and(|body| REPORTING.contains(&body))
        && digits.get(..14).is_some_and(varied)
        && luhn(digits)
}

/// Luhn's check over all digits, the last one being the check digit (ISO/IEC 7812-1 annex B).
fn luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, b)| {
            let digit = u32::from(b.wrapping_sub(b'0'));
            let doubled = digit * if place % 2 == 1 { 2 } else { 1 };
            doubled / 10 + doubled % 10
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_plans_have_no_fault_and_faults_have_lines() {
        let plans = Plans::read(BUILT_IN).unwrap();
        assert!(plans.countries.len() > 200 && plans.mobile.len() > 200);
        let broken = BUILT_IN.replace("\"33\" = { digits = [9]", "\"33\" = { digits = [99]");
        let line = broken.lines().position(|l| l.starts_with("\"33\"")).unwrap() + 1;
        assert_eq!(Plans::read(&broken).unwrap_err().line, line);
        let unknown = BUILT_IN.replace("first = \"378\"", "fist = \"378\"");
        assert!(Plans::read(&unknown).unwrap_err().what.contains("fist"));
        assert!(Plans::read(&BUILT_IN.replace("\"001\"", "\"01\"")).is_err());
    }

    #[test]
    fn numbers_are_told_from_other_digits() {
        let plans = &*PLANS;
        for good in
            ["493023125000", "4915228817386", "12025550123", "442079460018", "33199001234", "41446681800"]
        {
            assert!(plans.international(good), "{good}");
        }
        for bad in [
            "491",
            "12025550",
            "11234567890",
            "12021550123",
            "12115550123",
            "331990012",
            "999123456789",
            "4900000000",
            "1700000000",
            "1700000000000",
            "20260101120000",
            "",
            "0",
        ] {
            assert!(!plans.international(bad), "{bad}");
        }
        assert!(
            plans.national("03023125000") && plans.national("2025550123") && plans.national("015228817386")
        );
        assert!(
            !plans.national("0049302312") && !plans.national("1234567890") && !plans.national("00000000000")
        );
        assert!(plans.imsi("262011234567890") && !plans.imsi("999011234567890") && !plans.imsi("26201123"));
        assert!(imei("490154203237518") && !imei("490154203237517") && !imei("290154203237510"));
    }
}
