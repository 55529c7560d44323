//! The forms of a report for people, drawn again: what lies beside `report.json` in a bundle has to be what comes of it.
//!
//! Takes a report; gives each file that `study` and `replay` can write from it, in both languages, and where two reports differ as data.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::Report;
use crate::report::{self, Lang, ReportError, Wording};

const PAGE: &str = "report.html";
const TABLE: &str = "report.txt";
/// Differences between two reports that are named; more only say that there are more.
const MAX_NAMED: usize = 8;
/// Characters of a value that a difference quotes.
const MAX_QUOTED: usize = 60;

/// Every file by its name, with its text in each language.
pub(super) fn drawn(report: &Report) -> Result<BTreeMap<String, Vec<String>>, ReportError> {
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for lang in Lang::ALL {
        let wording = Wording::new(lang);
        let charts = report::charts(report, &wording)?;
        let page = report::html(report, &wording, &charts)?;
        let table = report::table(report, &wording, None, false);
        let mut add = |name: &str, text: String| files.entry(name.to_owned()).or_default().push(text);
        add(PAGE, page);
        add(TABLE, table);
        for chart in charts {
            add(&chart.file_name, chart.svg);
        }
    }
    Ok(files)
}

/// Names of the files that can come of a report; they are the same in each language.
pub(crate) fn names(report: &Report) -> Result<Vec<String>, ReportError> {
    let charts = report::charts(report, &Wording::new(Lang::En))?;
    Ok([PAGE, TABLE].map(str::to_owned).into_iter().chain(charts.into_iter().map(|c| c.file_name)).collect())
}

/// Whether the text under `pointer` is looked at.
pub(super) type Looked<'a> = &'a dyn Fn(&str) -> bool;

/// Where a stored report is not what comes of the captures: JSON pointers, each with what the captures give. A stored value is not quoted: it
/// may be a secret that somebody did not mask.
pub(super) fn differences(stored: &Value, again: &Value, looked: Looked<'_>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    compare(stored, again, &mut String::new(), looked, &mut found);
    let more = found.len().saturating_sub(MAX_NAMED);
    found.truncate(MAX_NAMED);
    if more > 0 {
        found.push((String::new(), format!("{more} more values differ")));
    }
    found
}

fn compare(
    stored: &Value,
    again: &Value,
    pointer: &mut String,
    looked: Looked<'_>,
    found: &mut Vec<(String, String)>,
) {
    if stored == again || !looked(pointer) {
        return;
    }
    let mut below = |key: &str, stored: Option<&Value>, again: Option<&Value>| {
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
        match (stored, again) {
            (Some(stored), Some(again)) => compare(stored, again, pointer, looked, found),
            (None, Some(again)) if looked(pointer) => {
                found.push((pointer.clone(), format!("is missing; the captures give {}", quoted(again))));
            }
            (Some(_), None) if looked(pointer) => {
                found.push((pointer.clone(), "the captures do not give it".to_owned()));
            }
            _ => {}
        }
        pointer.truncate(length);
    };
    match (stored, again) {
        (Value::Object(stored), Value::Object(again)) => {
            for (key, value) in stored {
                below(key, Some(value), again.get(key));
            }
            for (key, value) in again.iter().filter(|(key, _)| !stored.contains_key(*key)) {
                below(key, None, Some(value));
            }
        }
        (Value::Array(stored), Value::Array(again)) => {
            for at in 0..stored.len().max(again.len()) {
                below(&at.to_string(), stored.get(at), again.get(at));
            }
        }
        _ => found.push((pointer.clone(), format!("the captures give {}", quoted(again)))),
    }
}

fn quoted(value: &Value) -> String {
    let text = value.to_string();
    let cut: String = text.chars().take(MAX_QUOTED).collect();
    if cut.len() < text.len() { cut + "…" } else { cut }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_are_pointers_and_quote_what_the_captures_give() {
        let stored = json!({ "a": [1, { "b/c": "secret" }], "d": 1, "e": 2, "x": 1 });
        let again = json!({ "a": [1, { "b/c": "x…y" }, 3], "d": 1, "f": "new", "x": 2 });
        let told = differences(&stored, &again, &|pointer| pointer != "/x");
        let told: Vec<String> =
            told.into_iter().map(|(pointer, what)| format!("{pointer}: {what}")).collect();
        assert_eq!(
            told,
            [
                "/a/1/b~1c: the captures give \"x…y\"",
                "/a/2: is missing; the captures give 3",
                "/e: the captures do not give it",
                "/f: is missing; the captures give \"new\"",
            ]
        );
        let many = differences(&json!(vec![1; 20]), &json!(vec![2; 20]), &|_| true);
        assert_eq!((many.len(), many[8].1.as_str()), (9, "12 more values differ"));
    }
}
