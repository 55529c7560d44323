//! All words that people read, in English and German.
//!
//! Takes message ids and values; gives text from `locales/*.ftl` (Project Fluent), with numbers, sizes, shares and dates
//! written as the language does. Strings put into a message are escaped by [`escape_terminal`], so that a name from the
//! wire cannot act in a terminal. HTML markup is the business of `html`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use unic_langid::LanguageIdentifier;

use super::escape::escape_terminal;
use crate::model::Text;

/// A language of the reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// German.
    De,
}

impl Lang {
    /// All languages, in the order of their codes' first appearance.
    pub const ALL: [Lang; 2] = [Lang::En, Lang::De];

    /// The code that `--lang` takes and HTML's `lang` attribute gets.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Lang::En => "en",
            Lang::De => "de",
        }
    }

    fn source(self) -> &'static str {
        match self {
            Lang::En => include_str!("../../locales/en.ftl"),
            Lang::De => include_str!("../../locales/de.ftl"),
        }
    }

    fn id(self) -> LanguageIdentifier {
        // Both codes are well-formed; a malformed one would only lose the language's plural rules.
        self.code().parse().unwrap_or_default()
    }

    /// What separates thousands, and what comes before decimals.
    fn separators(self) -> (char, char) {
        match self {
            Lang::En => (',', '.'),
            Lang::De => ('.', ','),
        }
    }
}

impl fmt::Display for Lang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A language that no wording exists for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no wording for the language {0:?}: use en or de")]
pub struct UnknownLang(pub String);

impl FromStr for Lang {
    type Err = UnknownLang;

    fn from_str(code: &str) -> Result<Lang, UnknownLang> {
        Lang::ALL.into_iter().find(|l| l.code() == code).ok_or_else(|| UnknownLang(code.to_owned()))
    }
}

/// A value put into a message.
#[derive(Clone, Copy, Debug)]
pub enum Arg<'a> {
    /// A count; chooses the plural and is written with the language's separators.
    Count(u64),
    /// Any text; escaped before it is put in.
    Text(&'a str),
}

/// The words of one language. Cheap to clone.
#[derive(Clone)]
pub struct Wording {
    lang: Lang,
    bundle: Arc<FluentBundle<FluentResource>>,
}

impl fmt::Debug for Wording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wording").field("lang", &self.lang).finish_non_exhaustive()
    }
}

impl Wording {
    /// Reads the embedded messages of `lang`.
    #[must_use]
    pub fn new(lang: Lang) -> Wording {
        // What parses is used; tests/report.rs checks that all of it does.
        let messages =
            FluentResource::try_new(lang.source().to_owned()).unwrap_or_else(|(partial, _)| partial);
        let mut bundle = FluentBundle::new_concurrent(vec![lang.id()]);
        // Isolating marks are invisible characters, which terminals show as boxes and searches trip over; the values are
        // escaped instead.
        bundle.set_use_isolating(false);
        bundle.set_formatter(Some(match lang {
            Lang::En => |value, _| number_in(Lang::En, value),
            Lang::De => |value, _| number_in(Lang::De, value),
        }));
        bundle.add_resource_overriding(messages);
        Wording { lang, bundle: Arc::new(bundle) }
    }

    /// The language.
    #[must_use]
    pub fn lang(&self) -> Lang {
        self.lang
    }

    /// The message `id`, which takes no values.
    #[must_use]
    pub fn text(&self, id: &str) -> String {
        self.with(id, &[])
    }

    /// The message `id` with `values`; a line break within a message becomes a space. An unknown id yields itself in brackets.
    #[must_use]
    pub fn with(&self, id: &str, values: &[(&str, Arg<'_>)]) -> String {
        let mut args = FluentArgs::with_capacity(values.len());
        for (name, value) in values {
            match *value {
                Arg::Count(n) => args.set((*name).to_owned(), n),
                Arg::Text(text) => args.set((*name).to_owned(), escape_terminal(text)),
            }
        }
        self.get(id, &args).unwrap_or_else(|| format!("[{id}]"))
    }

    /// The message `id` if this language has it: names of messengers, countries and the like, which are data.
    #[must_use]
    pub fn optional(&self, id: &str) -> Option<String> {
        self.get(id, &FluentArgs::new())
    }

    fn get(&self, id: &str, args: &FluentArgs<'_>) -> Option<String> {
        let pattern = self.bundle.get_message(id)?.value()?;
        let mut faults = Vec::new();
        let text = self.bundle.format_pattern(pattern, Some(args), &mut faults);
        Some(text.replace('\n', " "))
    }

    /// Whether the language has the message `id`.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.bundle.has_message(id)
    }

    /// The text of a claim in this language, or in the other one where this is empty.
    #[must_use]
    pub fn pick<'t>(&self, text: &'t Text) -> &'t str {
        let (own, other) = match self.lang {
            Lang::En => (&text.en, &text.de),
            Lang::De => (&text.de, &text.en),
        };
        if own.is_empty() { other } else { own }
    }

    /// A count with the language's thousands separators.
    #[must_use]
    pub fn count(&self, n: u64) -> String {
        grouped(n, self.lang.separators().0)
    }

    /// A number with `places` decimals.
    #[must_use]
    pub fn decimal(&self, value: f64, places: usize) -> String {
        format!("{value:.places$}").replace('.', self.lang.separators().1.encode_utf8(&mut [0; 4]))
    }

    /// A size in bytes with a binary unit: `512 B`, `1.5 KiB`, in German `1,5 KiB`.
    #[must_use]
    pub fn bytes(&self, bytes: u64) -> String {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if bytes < 1024 {
            return format!("{bytes}\u{a0}B");
        }
        let mut value = bytes as f64 / 1024.0;
        let mut unit = "KiB";
        for larger in UNITS.into_iter().skip(1) {
            // 1023.95 would be written as 1024.0 of the smaller unit.
            if value < 1023.95 {
                break;
            }
            value /= 1024.0;
            unit = larger;
        }
        format!("{}\u{a0}{unit}", self.decimal(value, 1))
    }

    /// `part` of `whole` in percent; what is there but rounds to nothing is `< 0.1 %`.
    #[must_use]
    pub fn share(&self, part: u64, whole: u64) -> String {
        let percent = if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 };
        if part > 0 && percent < 0.1 {
            return format!("<\u{a0}{}\u{a0}%", self.decimal(0.1, 1));
        }
        format!("{}\u{a0}%", self.decimal(percent, 1))
    }

    /// Date and time of an RFC 3339 text, to the second, UTC; the text itself where it is not one.
    #[must_use]
    pub fn moment(&self, rfc3339: &str) -> String {
        match (rfc3339.get(..10), rfc3339.get(11..19)) {
            (Some(date), Some(time)) => format!("{} {time}\u{a0}UTC", self.date(date)),
            _ => escape_terminal(rfc3339).into_owned(),
        }
    }

    /// A date from `YYYY-MM-DD` or `YYYY-MM` as the language writes it; anything else comes back as it is.
    #[must_use]
    pub fn date(&self, iso: &str) -> String {
        let digits = |parts: &[&str]| {
            let year = parts.first().is_some_and(|year| year.len() == 4);
            year && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
        };
        let parts: Vec<&str> = iso.splitn(3, '-').collect();
        match (self.lang, &parts[..]) {
            (Lang::De, [year, month, day]) if digits(&parts) => format!("{day}.{month}.{year}"),
            (Lang::De, [year, month]) if digits(&parts) && month.len() == 2 => format!("{month}/{year}"),
            _ => escape_terminal(iso).into_owned(),
        }
    }
}

fn number_in(lang: Lang, value: &FluentValue<'_>) -> Option<String> {
    match value {
        // Only counts are passed as numbers ([`Arg::Count`]).
        FluentValue::Number(n) => Some(grouped(n.value as u64, lang.separators().0)),
        _ => None,
    }
}

fn grouped(n: u64, separator: char) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(separator);
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_numbers_as_the_language_does() {
        let (en, de) = (Wording::new(Lang::En), Wording::new(Lang::De));
        for (n, english, german) in [
            (0, "0\u{a0}B", "0\u{a0}B"),
            (1023, "1023\u{a0}B", "1023\u{a0}B"),
            (1536, "1.5\u{a0}KiB", "1,5\u{a0}KiB"),
            (1_048_575, "1.0\u{a0}MiB", "1,0\u{a0}MiB"),
            (5_368_709_120, "5.0\u{a0}GiB", "5,0\u{a0}GiB"),
            (u64::MAX, "16.0\u{a0}EiB", "16,0\u{a0}EiB"),
        ] {
            assert_eq!((en.bytes(n).as_str(), de.bytes(n).as_str()), (english, german));
        }
        assert_eq!((en.count(1_234_567), de.count(1_234_567)), ("1,234,567".into(), "1.234.567".into()));
        assert_eq!((en.count(999), de.count(1000)), ("999".into(), "1.000".into()));
        assert_eq!(de.share(1, 3), "33,3\u{a0}%");
        assert_eq!(en.share(1, 1_000_000), "<\u{a0}0.1\u{a0}%");
        assert_eq!(en.share(0, 0), "0.0\u{a0}%");
    }

    #[test]
    fn writes_dates_as_the_language_does() {
        let (en, de) = (Wording::new(Lang::En), Wording::new(Lang::De));
        let time = "2022-12-07T10:03:04.123456789Z";
        assert_eq!(en.moment(time), "2022-12-07 10:03:04\u{a0}UTC");
        assert_eq!(de.moment(time), "07.12.2022 10:03:04\u{a0}UTC");
        for odd in ["", "soon", "20\u{e4}2-1-1T1:1:1", "1-2-3"] {
            assert_eq!(de.moment(odd), odd);
        }
        assert_eq!((de.date("2026-01"), en.date("2026-01")), ("01/2026".into(), "2026-01".into()));
    }

    /// Every class of the coverage ledger that the dissectors' sources name, and those of headers and of the file.
    fn classes() -> std::collections::BTreeSet<String> {
        let mut classes: std::collections::BTreeSet<String> = ["file".to_owned(), "unread".to_owned()].into();
        classes.extend(crate::dissect::Overhead::default().fields().map(|(name, _)| name.to_owned()));
        let name = regex::Regex::new(
            r#"Class::(?:handshake|encrypted|opaque|clear)\(\s*"([^"]+)"|ledger\.add\(\s*"([^"]+)""#,
        )
        .unwrap();
        let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/dissect")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
                    let named = name.captures_iter(text).filter_map(|c| c.get(1).or(c.get(2)));
                    classes.extend(named.map(|n| n.as_str().to_owned()));
                }
            }
        }
        classes
    }

    #[test]
    fn every_class_of_the_ledger_has_words() {
        let classes = classes();
        assert!(classes.len() > 70, "{classes:?}");
        for lang in Lang::ALL {
            let wording = Wording::new(lang);
            for class in &classes {
                let id = format!("ledger-{}", class.replace('.', "-"));
                assert!(wording.has(&id), "write a line {id} into locales/{lang}.ftl");
            }
        }
    }

    #[test]
    fn knows_its_languages() {
        for lang in Lang::ALL {
            assert_eq!(lang.to_string().parse(), Ok(lang));
        }
        assert_eq!("DE".parse::<Lang>(), Err(UnknownLang("DE".into())));
    }
}
