//! Reading hand-written TOML so that every error names file, line and remedy.
//!
//! Takes text and a type; gives the value, or [`ReferenceError::Data`]. Also the small checks that all data files share.

use std::ops::Range;

use serde::de::DeserializeOwned;

use super::cidr::Cidr;
use super::error::ReferenceError;

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

    /// A date `YYYY-MM-DD`, `YYYY-MM` or `YYYY`, or the word `undated`.
    pub(crate) fn date(&self, date: &toml::Spanned<String>) -> Result<(), ReferenceError> {
        let text = date.get_ref();
        let numeric = || {
            let parts: Vec<&str> = text.split('-').collect();
            let lengths = [4, 2, 2];
            parts.len() <= 3
                && parts
                    .iter()
                    .zip(lengths)
                    .all(|(p, n)| p.len() == n && p.bytes().all(|b| b.is_ascii_digit()))
                && match parts.as_slice() {
                    [_, month, day] => {
                        let full = format!("{}-{month}-{day}", parts.first().copied().unwrap_or_default());
                        full.parse::<jiff::civil::Date>().is_ok()
                    }
                    [_, month] => matches!(month.parse(), Ok(1..=12u8)),
                    _ => true,
                }
        };
        if text == "undated" || numeric() {
            return Ok(());
        }
        let remedy = "write YYYY-MM-DD, YYYY-MM, YYYY or \"undated\"";
        Err(self.fault(&date.span(), format!("{text:?} is no date"), remedy))
    }

    /// An ISO 3166 alpha-2 code in upper case.
    pub(crate) fn country(&self, code: &toml::Spanned<String>) -> Result<(), ReferenceError> {
        let text = code.get_ref();
        if text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase()) {
            return Ok(());
        }
        let remedy = "write the two upper-case letters of ISO 3166, such as CH";
        Err(self.fault(&code.span(), format!("{text:?} is no country code"), remedy))
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

/// Line of a byte, from 1.
pub(crate) fn line_at(text: &[u8], at: usize) -> usize {
    text.get(..at).unwrap_or_default().split(|byte| *byte == b'\n').count()
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
