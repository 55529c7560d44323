//! Faults of files that people edit: which file, which line, what is wrong, what to write instead.
//!
//! Takes what a loader found; gives texts of one form for claims, criteria and scenarios. Knows no file format.

/// One fault of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub remedy: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}; {}", self.file, self.line, self.what, self.remedy)
    }
}

/// All faults of files that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// In the order of the files; never empty.
    pub faults: Vec<Fault>,
}

impl std::fmt::Display for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines: Vec<String> = self.faults.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Faults {}

/// Line of a byte, from 1.
pub(crate) fn line_at(text: &[u8], at: usize) -> usize {
    // Asked for every entry of a file: counted so that many bytes go at once.
    text.get(..at).unwrap_or_default().iter().fold(1, |lines, byte| lines + usize::from(*byte == b'\n'))
}
