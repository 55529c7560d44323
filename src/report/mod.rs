//! report: what people and programs read in the end.
//!
//! Takes the finished [`Report`](crate::model::Report) of the model; gives JSON with its schema, a table for the terminal,
//! charts as SVG and one self-contained HTML page, in English or German. All wording stands in `locales/*.ftl`, the page in
//! `templates/`. Judges nothing, counts nothing anew that a verdict rests on, reads no clock and no network.

mod chart;
mod escape;
mod html;
mod json;
mod table;
mod view;
mod wording;
mod words;

pub use chart::{Chart, charts};
pub use escape::{escape_json, escape_terminal};
pub use html::html;
pub use json::{json, schema};
pub use table::table;
pub use view::controls;
pub use wording::{Arg, Lang, UnknownLang, Wording};
pub use words::{agreement_id, carries, cloud_text, law, name_note, role_id, service_text};
pub(crate) use words::{criterion_id, vantage_id};

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The target (file, pipe) refused the bytes.
    #[error("cannot write the report")]
    Write(#[source] std::io::Error),
    /// A fault of the page's template: a bug in `templates/`, not in the data.
    #[error("cannot fill the page's template")]
    Template(#[from] minijinja::Error),
    /// The drawing of a chart failed: a bug, not a fault of the data.
    #[error("cannot draw the chart {chart}: {what}")]
    Draw {
        /// File name of the chart.
        chart: &'static str,
        /// What the drawing library said.
        what: String,
    },
}
