//! `report.json`: the report as data, and its schema.
//!
//! Takes a [`Report`]; gives JSON in a layout that people can read and `diff` can compare: the top-level keys and each
//! entry of their lists stand on lines of their own, what is inside of an entry stays on its line. Equal reports give equal
//! bytes. Invisible and terminal-acting characters are written as `\uXXXX`, so that printing the file is safe too.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::Formatter;

use super::ReportError;
use super::escape::escape_json;
use crate::model::Report;

/// Writes `report` as JSON with a final newline; streamed, so memory does not grow with the report.
pub fn json(report: &Report, out: &mut dyn Write) -> Result<(), ReportError> {
    // serde_json writes token by token; unbuffered files and pipes would pay a system call for each.
    let mut out = io::BufWriter::with_capacity(1 << 16, out);
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, Layout::default());
    report.serialize(&mut serializer).map_err(|e| ReportError::Write(e.into()))?;
    out.write_all(b"\n").map_err(ReportError::Write)?;
    out.flush().map_err(ReportError::Write)
}

/// The JSON Schema of `report.json`, made from the Rust types; stored as `docs/schema/report-1.json`.
#[must_use]
pub fn schema() -> String {
    let schema = schemars::schema_for!(Report);
    // A schema is plain JSON, which always serialises.
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// Nesting up to which every value gets a line of its own: the report, then the entries of its lists.
const LINES_UP_TO: usize = 2;

#[derive(Default)]
struct Layout {
    depth: usize,
    has_value: bool,
}

impl Layout {
    fn separate<W: ?Sized + Write>(&self, writer: &mut W, first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        self.line(writer)
    }

    fn line<W: ?Sized + Write>(&self, writer: &mut W) -> io::Result<()> {
        match self.depth {
            0 => writer.write_all(b"\n"),
            1 => writer.write_all(b"\n "),
            LINES_UP_TO => writer.write_all(b"\n  "),
            _ => Ok(()),
        }
    }

    fn open<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.has_value = false;
        writer.write_all(bracket)
    }

    fn close<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth -= 1;
        if self.has_value && self.depth < LINES_UP_TO {
            self.line(writer)?;
        }
        writer.write_all(bracket)
    }
}

impl Formatter for Layout {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open(writer, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(writer, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.separate(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _writer: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open(writer, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(writer, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.separate(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(if self.depth <= LINES_UP_TO { b": " } else { b":" })
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _writer: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        writer.write_all(escape_json(fragment).as_bytes())
    }
}
