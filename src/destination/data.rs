//! Reading hand-written TOML so that every error names file, line and remedy.
//!
//! Takes text and a type; gives the value, or [`ReferenceError::Data`]. Also the small checks that all data files share.

use std::ops::Range;

use serde::de::DeserializeOwned;

use super::cidr::Cidr;
use super::error::ReferenceError;
use super::sources::Countries;
use crate::fault::line_at;

/// A date `YYYY-MM-DD`, `YYYY-MM` or `YYYY`, or the word `undated`.
pub(crate) fn is_date(text: &str) -> bool {
    let numeric = || {
        let parts: Vec<&str> = text.split('-').collect();
        let lengths = [4, 2, 2];
        parts.len() <= 3
            && parts.iter().zip(lengths).all(|(p, n)| p.len() == n && p.bytes().all(|b| b.is_ascii_digit()))
            && match parts.as_slice() {
                [_, month, day] => {
                    let full = format!("{}-{month}-{day}", parts.first().copied().unwrap_or_default());
                    full.parse::<jiff::civil::Date>().is_ok()
                }
                [_, month] => matches!(month.parse(), Ok(1..=12u8)),
                _ => true,
            }
    };
    text == "undated" || numeric()
}

/// A data file while it is checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DataFile<'a> {
    /// Its name, as errors show it.
    pub(crate) name: &'a str,
    /// Its text.
    pub(crate) text: &'a str,
}

impl DataFile<'_> {
    /// The whole file as `T`.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, ReferenceError> {
        toml::from_str(self.text).map_err(|e| {
            let line = e.span().map_or(1, |span| self.line(&span));
            let what = e.message().lines().collect::<Vec<_>>().join(" ");
            ReferenceError::data(self.name, line, what, "see docs/reference.md for the fields of this file")
        })
    }

    /// Line of a span, from 1.
    pub(crate) fn line(&self, span: &Range<usize>) -> usize {
        line_at(self.text.as_bytes(), span.start)
    }

    /// An error at `span`.
    pub(crate) fn fault(
        &self,
        span: &Range<usize>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> ReferenceError {
        ReferenceError::data(self.name, self.line(span), what, remedy)
    }

    /// A date as [`is_date`] has it.
    pub(crate) fn date(&self, date: &toml::Spanned<String>) -> Result<(), ReferenceError> {
        let text = date.get_ref();
        if is_date(text) {
            return Ok(());
        }
        let remedy = "write YYYY-MM-DD, YYYY-MM, YYYY or \"undated\"";
        Err(self.fault(&date.span(), format!("{text:?} is no date"), remedy))
    }

    /// A day `YYYY-MM-DD`: what has an age, or takes effect.
    pub(crate) fn day(&self, date: &toml::Spanned<String>) -> Result<jiff::civil::Date, ReferenceError> {
        let text = date.get_ref();
        let day = Some(text).filter(|text| text.len() == 10).and_then(|text| text.parse().ok());
        day.ok_or_else(|| self.fault(&date.span(), format!("{text:?} is no day"), "write YYYY-MM-DD"))
    }

    /// Two upper-case letters.
    pub(crate) fn code(&self, code: &toml::Spanned<String>) -> Result<(), ReferenceError> {
        let text = code.get_ref();
        if text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase()) {
            return Ok(());
        }
        let remedy = "write the two upper-case letters of ISO 3166, such as CH";
        Err(self.fault(&code.span(), format!("{text:?} is no country code"), remedy))
    }

    /// A code of `countries.toml`.
    pub(crate) fn country(&self, code: &toml::Spanned<String>) -> Result<(), ReferenceError> {
        self.code(code)?;
        if Countries::embedded()?.lists(code.get_ref()) {
            return Ok(());
        }
        let what = format!("{:?} is the code of no country", code.get_ref());
        Err(self.fault(&code.span(), what, "write one of the codes in reference/countries.toml"))
    }

    /// A network in CIDR form.
    pub(crate) fn cidr(&self, text: &toml::Spanned<String>) -> Result<Cidr, ReferenceError> {
        Cidr::parse(text.get_ref()).map_err(|why| {
            let remedy = "write ADDRESS/LENGTH without host bits, such as 149.154.160.0/20";
            self.fault(&text.span(), format!("{:?}: {why}", text.get_ref()), remedy)
        })
    }

    /// A domain in the form that flows carry names: lower case, A-labels, no final dot, no wildcard.
    pub(crate) fn domain(&self, text: &toml::Spanned<String>) -> Result<(), ReferenceError> {
        let name = text.get_ref();
        let label = |l: &str| {
            !l.is_empty()
                && l.len() <= 63
                && l.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
        };
        if name.contains('.') && name.split('.').all(label) {
            return Ok(());
        }
        let remedy = "write it in lower case without wildcard or final dot, such as whatsapp.net; names below it match too";
        Err(self.fault(&text.span(), format!("{name:?} is no domain"), remedy))
    }

    /// A short id: lower-case letters, digits and hyphens.
    pub(crate) fn id(&self, text: &toml::Spanned<String>) -> Result<(), ReferenceError> {
        let id = text.get_ref();
        if !id.is_empty() && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            return Ok(());
        }
        Err(self.fault(
            &text.span(),
            format!("{id:?} is no id"),
            "use lower-case letters, digits and hyphens",
        ))
    }

    /// A text that must say something (a source, a reason).
    pub(crate) fn said(&self, text: &toml::Spanned<String>, field: &str) -> Result<(), ReferenceError> {
        if text.get_ref().trim().is_empty() {
            return Err(self.fault(
                &text.span(),
                format!("{field} is empty"),
                format!("say it: {field} must be known"),
            ));
        }
        Ok(())
    }

    /// Every fact has a source with a date; where there is neither a date nor a page to cite, it must be marked.
    pub(crate) fn sourced(
        &self,
        source: &toml::Spanned<String>,
        date: &toml::Spanned<String>,
        unverified: bool,
    ) -> Result<(), ReferenceError> {
        self.said(source, "source")?;
        self.date(date)?;
        let text = source.get_ref();
        let citable = ["://", ".com", ".org", ".ch", "RFC ", "IANA"].iter().any(|mark| text.contains(mark));
        if date.get_ref() == "undated" && !unverified && !citable {
            let remedy = "name a page or document, or write unverified = true";
            return Err(self.fault(&source.span(), "neither a date nor a page", remedy));
        }
        Ok(())
    }

    /// The layout version of the file; only 1 exists.
    pub(crate) fn schema(&self, schema: &toml::Spanned<u32>) -> Result<(), ReferenceError> {
        if *schema.get_ref() == 1 {
            return Ok(());
        }
        Err(self.fault(
            &schema.span(),
            format!("schema {} is not known", schema.get_ref()),
            "write schema = 1",
        ))
    }
}

/// Reads a file of at most `limit` bytes; `remedy` goes with the refusal of a larger one, and of a device that does not end.
pub(crate) fn read_bounded(
    path: &std::path::Path,
    limit: u64,
    remedy: &'static str,
) -> Result<Vec<u8>, ReferenceError> {
    use std::io::Read as _;
    let fault = |source| ReferenceError::Read { path: path.to_owned(), source };
    let large = || ReferenceError::TooLarge { path: path.to_owned(), limit: limit >> 20, remedy };
    let file = std::fs::File::open(path).map_err(fault)?;
    if file.metadata().map_err(fault)?.len() > limit {
        return Err(large());
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(fault)?;
    if bytes.len() as u64 > limit { Err(large()) } else { Ok(bytes) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What became of a file with one broken line.
    pub(crate) struct Broken {
        /// Line, from 1, and what was done to it.
        pub(crate) line: usize,
        pub(crate) how: String,
        /// The error, or none when the file was read all the same.
        pub(crate) error: Option<String>,
    }

    /// Breaks each line of a TOML file in several ways, one at a time.
    pub(crate) fn break_lines(text: &str, parse: impl Fn(&str) -> Result<(), String>) -> Vec<Broken> {
        let lines: Vec<&str> = text.lines().collect();
        let mut out = Vec::new();
        let mut attempt = |at: usize, how: String, with: &[&str]| {
            let (before, rest) = lines.split_at(at);
            let changed = [before, with, &rest[1..]].concat().join("\n");
            out.push(Broken { line: at + 1, how, error: parse(&changed).err() });
        };
        for (at, line) in lines.iter().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            attempt(at, "nonsense".into(), &["?"]);
            attempt(at, "cut".into(), &[&line[..line.len() / 2]]);
            attempt(at, "left out".into(), &[]);
            attempt(at, "twice".into(), &[line, line]);
            if let Some((key, _)) = line.split_once(" = ") {
                attempt(at, "misspelt".into(), &[&format!("x-{line}")]);
                attempt(at, "a table".into(), &[&format!("{key} = {{ a = 1 }}")]);
                attempt(at, "a number".into(), &[&format!("{key} = 1.5")]);
                attempt(at, "a text".into(), &[&format!("{key} = \"?\"")]);
                attempt(at, "a list of numbers".into(), &[&format!("{key} = [1.5]")]);
            }
            let quotes: Vec<usize> = line.match_indices('"').map(|(i, _)| i).collect();
            for pair in quotes.chunks_exact(2) {
                let (before, word, after) =
                    (&line[..=pair[0]], &line[pair[0] + 1..pair[1]], &line[pair[1]..]);
                let mut word_as = |with: &str| {
                    attempt(at, format!("{word:?} as {with:?}"), &[&format!("{before}{with}{after}")]);
                };
                word_as("");
                word_as("?");
                if word.len() == 2 && word.bytes().all(|b| b.is_ascii_uppercase()) {
                    word_as("QZ");
                    word_as(&word.to_lowercase());
                }
                if word.contains('/') && word.split('/').next_back().is_some_and(|n| n.parse::<u8>().is_ok())
                {
                    word_as("1.2.3.4/8");
                    word_as("1.2.3.0/33");
                    word_as("1.2.3.0");
                }
            }
        }
        out
    }

    /// Fields of free text: any words will do.
    const WORDS: &[&str] = &[
        "title",
        "source",
        "note",
        "what",
        "name",
        "attribution",
        "licence",
        "version",
        "scope",
        "dpf_source",
        "licence_files",
        "path",
        "member",
        "clouds",
        "services",
        "regions",
        "not_regions",
    ];
    /// Fields that an entry may lack, for it says less then and nothing wrong.
    const OPTIONAL: &[&str] = &[
        "note",
        "member",
        "providers",
        "parent",
        "clouds",
        "scope",
        "renewed",
        "expires",
        "source",
        "operator",
        "names",
        "prefixes",
        "asns",
        "ports",
        "regions",
        "not_regions",
        "unverified",
    ];

    /// Whether a file may be read with this line changed so.
    fn harmless(name: &str, text: &str, broken: &Broken) -> bool {
        let line = text.lines().nth(broken.line - 1).unwrap_or_default();
        let field = line.split_once(" = ").map_or("", |(field, _)| field.trim());
        let how = broken.how.as_str();
        let lists = name == "countries.toml" || (field.is_empty() && !line.starts_with('['));
        match how {
            // Lists of countries: what should be in them no other line says; `the_law_is_that_of_the_table` does.
            "left out" | "cut" if lists => true,
            "left out" => {
                OPTIONAL.contains(&field)
                    || (name == "regions.toml" && field.len() == 2)
                    || line.starts_with("regions = ")
            }
            "a text" => WORDS.contains(&field),
            // A single address is a network.
            _ if how.ends_with("as \"1.2.3.0\"") => true,
            _ if how.ends_with("as \"QZ\"") => name == "countries.toml",
            _ if how.ends_with("as \"\"") => matches!(field, "note" | "attribution" | "member"),
            _ => {
                how.contains(" as ")
                    && (WORDS.contains(&field) || (name == "adequacy.toml" && field == "source"))
            }
        }
    }

    /// Each line of each file, broken in some dozen ways, one at a time: refused, with file, line and remedy.
    #[test]
    fn a_broken_line_is_refused_with_file_line_and_remedy() {
        use super::super::{facts, sources};
        let texts = facts::FactTexts::embedded();
        let named = texts.named();
        let words = |e: ReferenceError| e.to_string();
        let mut all: Vec<(&str, &str, Vec<Broken>)> = Vec::new();
        let operators = facts::operators::Operators::parse(DataFile {
            name: "reference/operators.toml",
            text: texts.operators,
        });
        let operators = operators.unwrap();
        // `ech.toml` is the dissection's, and has a test beside its parser.
        for (name, text) in named.into_iter().filter(|(name, _)| *name != "ech.toml") {
            let path = format!("reference/{name}");
            let broken = break_lines(text, |text| {
                let file = DataFile { name: &path, text };
                let parsed = match name {
                    "messengers.toml" => facts::messengers::Messengers::parse(file, &operators).map(drop),
                    "operators.toml" => facts::operators::Operators::parse(file).map(drop),
                    "adequacy.toml" => facts::adequacy::Adequacy::parse(file).map(drop),
                    "services.toml" => facts::services::Services::parse(file, &operators).map(drop),
                    "anycast.toml" => facts::anycast::Anycast::parse(file).map(drop),
                    "reverse.toml" => facts::reverse::Reverse::parse(file).map(drop),
                    _ => panic!("{name} has no parser here"),
                };
                parsed.map_err(words)
            });
            all.push((name, text, broken));
        }
        let parse = |t: &str| sources::Sources::parse("reference/SOURCES.toml", t).map(|_| ()).map_err(words);
        all.push(("SOURCES.toml", sources::EMBEDDED, break_lines(sources::EMBEDDED, parse)));
        let parse = |t: &str| Countries::parse("reference/countries.toml", t).map(|_| ()).map_err(words);
        all.push(("countries.toml", sources::COUNTRIES, break_lines(sources::COUNTRIES, parse)));
        let parse = |t: &str| sources::regions("reference/regions.toml", t).map(|_| ()).map_err(words);
        all.push(("regions.toml", sources::REGIONS, break_lines(sources::REGIONS, parse)));
        let mut refused = 0;
        let mut wrong = Vec::new();
        for (name, text, broken) in all {
            let lines = text.lines().count();
            for b in &broken {
                let Some(error) = &b.error else {
                    if !harmless(name, text, b) {
                        wrong.push(format!("read all the same: {name}:{} {}", b.line, b.how));
                    }
                    continue;
                };
                refused += 1;
                let said = error.strip_prefix(&format!("reference/{name}:"));
                let said = said.and_then(|rest| rest.split_once(": "));
                let near = said.and_then(|(line, _)| line.parse::<usize>().ok()).is_some_and(|line| {
                    // An entry that lacks a field is named by its head; one that lost its head runs into the next.
                    line >= 1 && line <= lines + 1 && (line.abs_diff(b.line) <= 15 || b.how == "left out")
                });
                // Two companies clash where both are listed.
                let clash = error.contains("listed twice") || error.contains("has a status already");
                let remedy =
                    said.and_then(|(_, rest)| rest.rsplit_once("; ")).is_some_and(|(_, r)| !r.is_empty());
                if !(near || clash) || !remedy {
                    wrong.push(format!("{name}:{} {}: {error}", b.line, b.how));
                }
            }
        }
        println!("{refused} broken lines refused");
        assert!(wrong.is_empty(), "{} of {refused}:\n{}", wrong.len(), wrong.join("\n"));
        assert!(refused > 10_000, "{refused}");
    }
}
