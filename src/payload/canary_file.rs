//! Canary files: many canaries, and keys of digests, without a long command line (`--canary-file`).
//!
//! Takes the text of a file; gives names, values and [`Keys`], or a fault with line and remedy that never quotes a value. Two
//! formats: TOML (a table `[canaries]` of `name = "value"`, and `[[key]]` tables as in `reference/hash-keys.toml`), and CSV
//! with the columns `name,value` (RFC 4180; fields with commas or quotes are quoted).

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::transform::Keys;

/// The largest file that is read.
pub const MAX_FILE: u64 = 16 << 20;

/// What a canary file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CanaryFile {
    /// Names and values.
    pub canaries: Vec<(String, String)>,
    /// Keys of digests.
    pub keys: Keys,
}

/// Why a canary file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum CanaryFileError {
    /// It cannot be read.
    #[error("{path:?}: cannot read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no canary file.
    #[error("{path:?}:{line}: {what}")]
    Broken {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong and what would be right.
        what: String,
    },
}

impl CanaryFile {
    /// Reads a file: CSV when its name ends in `.csv`, else TOML.
    ///
    /// # Errors
    /// [`CanaryFileError`].
    pub fn open(path: &Path) -> Result<CanaryFile, CanaryFileError> {
        let read = |source| CanaryFileError::Read { path: path.to_owned(), source };
        let broken = |(line, what)| CanaryFileError::Broken { path: path.to_owned(), line, what };
        if std::fs::metadata(path).map_err(read)?.len() > MAX_FILE {
            return Err(broken((1, format!("more than {MAX_FILE} bytes are too many for a canary file"))));
        }
        let text = std::fs::read_to_string(path).map_err(read)?;
        let csv = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
        if csv { CanaryFile::from_csv(&text) } else { CanaryFile::from_toml(&text) }.map_err(broken)
    }

    /// Reads TOML.
    ///
    /// # Errors
    /// Line and words.
    pub fn from_toml(text: &str) -> Result<CanaryFile, (usize, String)> {
        let at = |offset: usize| crate::payload::line(text, offset);
        let document = DeTable::parse(text).map_err(|e| {
            (e.span().map_or(1, |s| at(s.start)), format!("this is no TOML: {}", e.message()))
        })?;
        let mut canaries = Vec::new();
        for (name, node) in document.get_ref() {
            let line = at(name.span().start);
            match (name.get_ref().as_ref(), node.get_ref()) {
                ("canaries", DeValue::Table(table)) => {
                    for (name, node) in table {
                        let DeValue::String(value) = node.get_ref() else {
                            return Err((
                                at(name.span().start),
                                "a value is a text: put it into quotes".to_owned(),
                            ));
                        };
                        canaries.push((name.get_ref().to_string(), value.to_string()));
                    }
                }
                ("canaries", _) => {
                    return Err((line, "write [canaries], and below it name = \"value\"".to_owned()));
                }
                ("key" | "schema", _) => {}
                _ => {
                    return Err((
                        line,
                        "unknown field: a canary file has [canaries], [[key]] and schema".to_owned(),
                    ));
                }
            }
        }
        let keys = Keys::read(text).map_err(|e| (e.line, e.what))?;
        Ok(CanaryFile { canaries, keys })
    }

    /// Reads CSV.
    ///
    /// # Errors
    /// Line and words.
    pub fn from_csv(text: &str) -> Result<CanaryFile, (usize, String)> {
        let mut rows = csv_rows(text)?.into_iter();
        let header = rows.next().map(|(_, fields)| fields);
        if header.as_deref() != Some(&["name".to_owned(), "value".to_owned()]) {
            return Err((1, "the first line has to be: name,value".to_owned()));
        }
        let row = |(line, fields): Row| match <[String; 2]>::try_from(fields) {
            Ok([name, value]) => Ok((name, value)),
            Err(_) => {
                Err((line, "a line has two fields: name,value; quote a field that holds a comma".to_owned()))
            }
        };
        Ok(CanaryFile { canaries: rows.map(row).collect::<Result<_, _>>()?, keys: Keys::default() })
    }
}

/// A line's number and its fields.
type Row = (usize, Vec<String>);

/// The rows of a CSV text with their lines; empty lines are passed over.
fn csv_rows(text: &str) -> Result<Vec<Row>, (usize, String)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut rows, mut fields, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut begun, mut quoted) = (1, 1, false);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' if quoted || field.is_empty() => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            '\r' if !quoted && characters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                fields.push(std::mem::take(&mut field));
                let row = std::mem::take(&mut fields);
                if row.iter().any(|f| !f.is_empty()) {
                    rows.push((begun, row));
                }
                begun = line + 1;
            }
            c => field.push(c),
        }
        line += usize::from(c == '\n');
    }
    if quoted {
        return Err((begun, "a quote is not closed: write \" before and behind the field".to_owned()));
    }
    if !field.is_empty() || !fields.is_empty() {
        fields.push(field);
        rows.push((begun, fields));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_say_the_same() {
        let toml = "[canaries]\nnumber = \"+4915112345678\"\nnote = \"a, \\\"b\\\"\"\n";
        let csv = "name,value\r\nnumber,+4915112345678\r\n\r\nnote,\"a, \"\"b\"\"\"\r\n";
        let expected =
            [("number", "+4915112345678"), ("note", "a, \"b\"")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        let mut read = CanaryFile::from_toml(toml).unwrap().canaries;
        read.sort_by_key(|(name, _)| name == "note");
        assert_eq!(read, expected);
        assert_eq!(CanaryFile::from_csv(csv).unwrap().canaries, expected);
    }

    #[test]
    fn faults_have_a_line_and_never_a_value() {
        for (toml, text, line, part) in [
            (true, "[canaries]\na = 4711471147114711\n", 2, "quotes"),
            (true, "canaries = \"x\"\n", 1, "[canaries]"),
            (true, "[canary]\n", 1, "unknown field"),
            (true, "[[key]]\nname = \"B\"\n", 2, "small letters"),
            (true, "[canaries\n", 1, "no TOML"),
            (false, "a,b\n", 1, "name,value"),
            (false, "name,value\n\nx,4711471147114711,z\n", 3, "two fields"),
            (false, "name,value\nx,\"4711471147114711\n", 2, "not closed"),
        ] {
            let read = if toml { CanaryFile::from_toml(text) } else { CanaryFile::from_csv(text) };
            let (at, what) = read.unwrap_err();
            assert!(at == line && what.contains(part) && !what.contains("4711"), "{text}: {at}: {what}");
        }
    }
}
