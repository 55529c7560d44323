//! Other spellings of one value: telephone numbers with and without country code, and small letters.
//!
//! Takes a value as the auditor gave it; gives the texts that a program may make of it before it encodes or hashes it. Country
//! codes are those of ITU-T E.164; a national number is written with one `0` before it, as most countries do. Where digits
//! are grouped in the traffic, the matcher looks at the digits alone.

/// Another spelling, with its name in `encoding`; as it was given the name is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spelling {
    pub(super) id: &'static str,
    pub(super) text: String,
}

/// A telephone number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Number {
    /// The country code; empty when the number was given without one.
    pub(super) country: String,
    /// The rest, without the `0` before it.
    pub(super) national: String,
}

/// The names that spellings may have in `encoding`.
pub(super) const IDS: [(&str, &str); 4] = [
    (
        "international",
        "the number with its country code, after `00` or nothing where it was given with `+`, or the reverse",
    ),
    ("national", "the number without its country code, with or without a `0`"),
    ("grouped", "the digits with spaces, dots, slashes, hyphens or brackets between them, in any grouping"),
    ("lower", "small letters, before hashing"),
];

/// The value as a telephone number: seven digits or more, nothing but `+`, digits and what people put between them.
pub(super) fn number(value: &str) -> Option<Number> {
    let trimmed = value.trim();
    if !trimmed.chars().all(|c| c.is_ascii_digit() || "+ -./()\u{a0}".contains(c)) {
        return None;
    }
    let bare = trimmed.replace("(0)", "");
    let digits: String = bare.chars().filter(char::is_ascii_digit).collect();
    if !(7..=17).contains(&digits.len()) || bare.chars().skip(1).any(|c| c == '+') {
        return None;
    }
    let international = if bare.starts_with('+') { Some(digits.as_str()) } else { digits.strip_prefix("00") };
    if let Some(rest) = international {
        let length = country_code(rest)?;
        let (country, national) = rest.split_at_checked(length)?;
        return Some(Number { country: country.to_owned(), national: national.to_owned() });
    }
    let national = digits.trim_start_matches('0').to_owned();
    (national.len() >= 6).then(|| Number { country: String::new(), national })
}

/// Length of the country code that a number in international form begins with (ITU-T E.164, list of assigned codes).
fn country_code(digits: &str) -> Option<usize> {
    const TWO: [&str; 44] = [
        "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47", "48",
        "49", "51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65", "66", "81",
        "82", "84", "86", "90", "91", "92", "93", "94", "95", "98",
    ];
    let first = digits.get(..1)?;
    if first == "0" {
        None
    } else if first == "1" || first == "7" {
        Some(1)
    } else if TWO.contains(&digits.get(..2)?) {
        Some(2)
    } else {
        Some(3)
    }
}

/// Spellings of the value without anything between its digits, other than the value itself.
pub(super) fn spellings(value: &str) -> Vec<Spelling> {
    let Some(Number { country, national }) = number(value) else { return Vec::new() };
    let mut all = Vec::new();
    let mut add = |id, text: String| {
        if text != value && all.iter().all(|s: &Spelling| s.text != text) {
            all.push(Spelling { id, text });
        }
    };
    if !country.is_empty() {
        add("international", format!("+{country}{national}"));
        add("international", format!("{country}{national}"));
        add("international", format!("00{country}{national}"));
    }
    add("national", format!("0{national}"));
    if country.is_empty() {
        add("national", national.clone());
    }
    // The two groupings that address books show most; in clear any grouping is found.
    for prefix in
        [(!country.is_empty()).then(|| format!("+{country} ")), Some("0".to_owned())].into_iter().flatten()
    {
        if let Some((area, line)) = national.split_at_checked(3) {
            add("grouped", format!("{prefix}{area} {line}"));
        }
    }
    all
}

/// What programs hash: the value, its spellings without grouping, its small letters.
pub(super) fn hashed(value: &str) -> Vec<Spelling> {
    let mut all = vec![Spelling { id: "", text: value.to_owned() }];
    let mut others = spellings(value);
    others.retain(|s| s.id != "grouped");
    if let Some(n) = number(value).filter(|n| n.national.len() >= 7) {
        others.push(Spelling { id: "national", text: n.national });
    }
    others.push(Spelling { id: "lower", text: value.trim().to_lowercase() });
    for other in others {
        if all.iter().all(|s| s.text != other.text) {
            all.push(other);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_apart() {
        let apart = |text: &str| number(text).map(|n| (n.country, n.national));
        let known = |c: &str, n: &str| Some((c.to_owned(), n.to_owned()));
        assert_eq!(apart("+49 (0)151 12345678"), known("49", "15112345678"));
        assert_eq!(apart("0041 79 123 45 67"), known("41", "791234567"));
        assert_eq!(apart("+1-202-555-0100"), known("1", "2025550100"));
        assert_eq!(apart("+352 691 123456"), known("352", "691123456"));
        assert_eq!(apart("0151/12345678"), known("", "15112345678"));
        for text in ["12345", "canary-4711", "+49+151123456", "0000000000", "1234567890123456789"] {
            assert_eq!(apart(text), None, "{text}");
        }
    }

    #[test]
    fn spellings_of_a_number() {
        let texts: Vec<String> = spellings("+4915112345678").into_iter().map(|s| s.text).collect();
        assert_eq!(
            texts,
            ["4915112345678", "004915112345678", "015112345678", "+49 151 12345678", "0151 12345678"]
        );
        let hashed: Vec<String> = hashed("Anna@Example.org").into_iter().map(|s| s.text).collect();
        assert_eq!(hashed, ["Anna@Example.org", "anna@example.org"]);
    }
}
