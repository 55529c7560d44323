//! The page: one HTML file that needs no script, no network and no other file.
//!
//! Takes a [`Report`], the wording and the charts; fills `templates/report.html`. Every value passes through one formatter
//! that first makes invisible characters visible and then escapes markup; only the charts, which escape on their own, and
//! the style sheet are put in as they are. A content security policy in the page forbids scripts and loading anyway.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, escape_formatter};

use super::ReportError;
use super::chart::Chart;
use super::escape::escape_terminal;
use super::view::Page;
use super::wording::Wording;
use crate::model::Report;

const PAGE: &str = include_str!("../../templates/report.html");
const STYLE: &str = include_str!("../../templates/report.css");

/// The page for `report` in the wording's language, with `charts` drawn into it.
pub fn html(report: &Report, wording: &Wording, charts: &[Chart]) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let syntax =
        SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build()?;
    environment.set_syntax(syntax);
    environment.set_formatter(|out, state, value| {
        if value.kind() == ValueKind::String
            && !value.is_safe()
            && let Some(text) = value.as_str()
        {
            return escape_formatter(out, state, &Value::from(escape_terminal(text).as_ref()));
        }
        escape_formatter(out, state, value)
    });
    let words = wording.clone();
    environment.add_function("t", move |id: &str| message(&words, id));
    environment.add_filter("svg", |svg: String| Value::from_safe_string(svg));
    environment.add_global("style", Value::from_safe_string(STYLE.to_owned()));
    environment.add_template("report.html", PAGE)?;
    let page = Page::new(report, wording, charts);
    Ok(environment.get_template("report.html")?.render(Value::from(Serde(&page)))?)
}

/// The template's `t("id")`: fails on an unknown id, so that a slip of the pen cannot reach a reader.
fn message(wording: &Wording, id: &str) -> Result<String, Error> {
    if !wording.has(id) {
        return Err(Error::new(ErrorKind::InvalidOperation, format!("no message {id:?} in the wording")));
    }
    Ok(wording.text(id))
}
