//! What other programs read in the corpus, and the argued exceptions from it.
//!
//! Takes `../shared/corpus/truth` and `tests/exceptions.tsv`; gives rows to compare and a verdict on the comparison.
//! How each table is read is told in `docs/accuracy.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

/// One thing that was read: where and what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    /// The capture.
    pub(crate) file: String,
    /// The frame (or, for JA4, the connection's number), as a number so that rows sort.
    pub(crate) frame: u64,
    /// What was read, normalised alike on both sides.
    pub(crate) value: String,
}

impl Row {
    /// A row.
    pub(crate) fn new(file: &str, frame: u64, value: impl Into<String>) -> Row {
        Row { file: file.to_owned(), frame, value: value.into() }
    }
}

/// A line of a truth table: its cells by the name of their column.
pub(crate) type Line = BTreeMap<String, String>;

/// The tables that the truth has: in how many captures, how many lines in all of them, and the columns. What is not there any
/// more, or is there in another form, would be compared with nothing.
const STORED: [(&str, usize, usize, &str); 7] = [
    ("sni", 46, 338, "frame dst_ipv4 dst_ipv6 dport_tcp dport_udp sni"),
    ("hello", 62, 618, "frame handshake_types supported_versions alpn ciphersuite"),
    ("certificates", 37, 113, "frame serials common_names dns_names"),
    ("dns", 23, 661, "frame response query type a aaaa cname"),
    ("http", 21, 110, "frame method host uri status user_agent authorization"),
    ("stun", 7, 715, "frame type xor_mapped_address software"),
    ("ja4", 18, 134, "stream src dst srcport dstport protocol domain JA4 JA4.1 JA4.2"),
];

/// A text file of `truth/<capture>/`; `None` where that capture has none of this name, and no other failure is taken for that.
pub(crate) fn text(corpus: &Path, capture: &str, file: &str) -> Option<String> {
    let path = corpus.join("truth").join(capture).join(file);
    match std::fs::read(&path) {
        // Names in fuzzed packets are not always UTF-8.
        Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

/// Reads `truth/<capture>/<table>.tsv` of all these captures, and fails unless it is as many tables and lines as are known.
pub(crate) fn tables<'a>(
    corpus: &Path,
    captures: impl IntoIterator<Item = &'a String>,
    table: &str,
) -> Vec<(&'a str, Line)> {
    let known = STORED.iter().find(|(name, ..)| *name == table);
    let (_, captures_known, lines_known, columns) = known.unwrap_or_else(|| panic!("no table {table:?}"));
    let columns: Vec<&str> = columns.split(' ').collect();
    let (mut count, mut all) = (0, Vec::new());
    for capture in captures {
        let Some(text) = text(corpus, capture, &format!("{table}.tsv")) else { continue };
        count += 1;
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
        assert_eq!(header, columns, "columns of {capture}/{table}.tsv");
        for line in lines {
            let cells: Vec<&str> = line.split('\t').collect();
            assert_eq!(cells.len(), columns.len(), "{capture}/{table}.tsv: cells of {line:?}");
            let named = columns.iter().zip(cells).map(|(name, cell)| ((*name).to_owned(), cell.to_owned()));
            all.push((capture.as_str(), named.collect()));
        }
    }
    assert_eq!(
        (count, all.len()),
        (*captures_known, *lines_known),
        "captures with {table}.tsv, and lines in them"
    );
    all
}

/// The frame of a line.
pub(crate) fn frame(line: &Line) -> u64 {
    line["frame"].parse().unwrap_or_else(|_| panic!("no frame number in {line:?}"))
}

/// Values of one cell, which the truth separates by commas.
pub(crate) fn values(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(',').filter(|v| !v.is_empty())
}

/// The comparisons that may have exceptions.
const TABLES: [&str; 13] = [
    "frames",
    "sni",
    "sni-quic",
    "hello",
    "dns",
    "dns-values",
    "certificates",
    "ja4",
    "ja4-quic",
    "stun",
    "dtls",
    "http",
    "http-fields",
];

/// One line of `tests/exceptions.tsv`.
#[derive(Debug)]
struct Exception {
    line: usize,
    file: String,
    /// The frames, and which of them differ; `None` for `*`.
    frames: Option<BTreeMap<u64, bool>>,
    /// A value, the begin of one (`target *`), or `*` for all.
    value: String,
    used: bool,
}

impl Exception {
    /// Whether this row is meant; remembers that it was.
    fn covers(&mut self, row: &Row) -> bool {
        let fits = match self.value.strip_suffix('*') {
            Some(begin) => row.value.starts_with(begin),
            None => self.value == row.value,
        };
        if self.file != row.file || !fits {
            return false;
        }
        if let Some(frames) = &mut self.frames {
            let Some(used) = frames.get_mut(&row.frame) else { return false };
            *used = true;
        }
        self.used = true;
        true
    }

    /// What of it covers nothing.
    fn unused(&self) -> Option<String> {
        let idle =
            self.frames.iter().flatten().filter(|(_, used)| !**used).map(|(frame, _)| frame.to_string());
        let idle: Vec<_> = idle.collect();
        match (self.used, idle.is_empty()) {
            (false, _) => Some("nothing differs there; take the line out".to_owned()),
            (true, false) => Some(format!("nothing differs in frame {}; take it out", idle.join(", "))),
            (true, true) => None,
        }
    }
}

/// The exceptions of one table; fails with file and line on a line that is not one.
fn exceptions(table: &str, present: &BTreeSet<String>) -> Vec<Exception> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exceptions.tsv");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut found = Vec::new();
    for (n, line) in text.lines().enumerate().skip(1) {
        let at = format!("tests/exceptions.tsv:{}", n + 1);
        let cells: Vec<&str> = line.split('\t').collect();
        let [file, of, frame, value, reason] = cells[..] else {
            panic!("{at}: has {} cells; write file, table, frame, value and reason, with tabs", cells.len());
        };
        assert!(TABLES.contains(&of), "{at}: no table {of:?}");
        assert!(reason.len() >= 20, "{at}: say why in words that another person can check");
        assert!(present.contains(file), "{at}: no capture {file:?} in the corpus");
        if of == table {
            let number = |f: &str| {
                f.parse().unwrap_or_else(|_| panic!("{at}: {f:?} is no frame; write 7 or 7,9 or *"))
            };
            let frames = (frame != "*").then(|| frame.split(',').map(|f| (number(f), false)).collect());
            let (file, value) = (file.to_owned(), value.to_owned());
            found.push(Exception { line: n + 1, file, frames, value, used: false });
        }
    }
    found
}

/// How a table compares.
#[derive(Debug)]
pub(crate) struct Comparison<'a> {
    /// The table, as in `tests/exceptions.tsv`.
    pub(crate) table: &'a str,
    /// What its rows are called in the summary.
    pub(crate) unit: &'a str,
    /// What the other program read.
    pub(crate) truth: Vec<Row>,
    /// What metaleak read.
    pub(crate) ours: Vec<Row>,
}

impl Comparison<'_> {
    /// Compares as multisets, prints the summary, and fails with a readable difference or an unused exception.
    pub(crate) fn check(mut self, present: &BTreeSet<String>) {
        let captures: BTreeSet<&str> = self.truth.iter().map(|r| r.file.as_str()).collect();
        assert!(!captures.is_empty(), "{}: the truth is empty, so this would compare nothing", self.table);
        let (total, in_captures) = (self.truth.len(), captures.len());
        self.truth.sort();
        self.ours.sort();
        let mut differences = Vec::new();
        let (mut theirs, mut ours) = (self.truth.iter().peekable(), self.ours.iter().peekable());
        let mut equal = 0;
        loop {
            match (theirs.peek(), ours.peek()) {
                (Some(t), Some(o)) if t == o => {
                    equal += 1;
                    theirs.next();
                    ours.next();
                }
                (Some(t), o) if o.is_none_or(|o| t < o) => {
                    differences.push(("missing", *t));
                    theirs.next();
                }
                (_, Some(o)) => {
                    differences.push(("extra", *o));
                    ours.next();
                }
                (_, None) => break,
            }
        }
        let mut listed = exceptions(self.table, present);
        let mut excepted = 0;
        differences.retain(|(_, row)| {
            // Not `any`: every exception that covers the row is in use.
            let covered = listed.iter_mut().filter_map(|e| e.covers(row).then_some(())).count() > 0;
            excepted += usize::from(covered);
            !covered
        });
        println!(
            "{}: {total} {} in {in_captures} captures, {equal} equal, {excepted} exceptions",
            self.table, self.unit
        );
        let mut report = String::new();
        for (what, row) in differences.iter().take(40) {
            let _ = writeln!(report, "  {what:<7}  {} frame {}: {:?}", row.file, row.frame, row.value);
        }
        if differences.len() > 40 {
            let _ = writeln!(report, "  … and {} more", differences.len() - 40);
        }
        for exception in &listed {
            if let Some(why) = exception.unused() {
                let _ = writeln!(report, "  tests/exceptions.tsv:{}: {why}", exception.line);
            }
        }
        assert!(
            report.is_empty(),
            "{}: {} differences that no exception argues (missing: only in the truth; extra: only in metaleak)\n{report}",
            self.table,
            differences.len()
        );
    }
}
