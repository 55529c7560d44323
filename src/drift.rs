//! What changed between two reports.
//!
//! Will take a report and a baseline, both [`Report`]s of the same schema, and give the verdicts that got worse. Nothing is
//! compared yet; `metaleak compare` does not exist before it does.

pub use crate::model::Report;
