//! `docs/schema/observation.json` against what `metaleak dissect` says: every kind, every field and its types.
//!
//! The stored captures are always held against it, the corpus where it is at hand. `METALEAK_UPDATE_SCHEMA=1` adds kinds and fields
//! that were met; descriptions are written by hand and kept. Nothing is ever taken out by itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests are tests: a failure there is a failed test, and what is skipped is printed"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use common::{corpus, dissect, shared};
use serde_json::{Map, Value, json};

/// Fields of every observation, with their types.
const COMMON: [(&str, &[&str]); 10] = [
    ("capture", &["string"]),
    ("frame", &["integer"]),
    ("frames", &["array"]),
    ("time", &["string"]),
    ("flow", &["integer"]),
    ("src", &["string"]),
    ("dst", &["string"]),
    ("kind", &["string"]),
    ("tunnel", &["array"]),
    ("decrypted", &["boolean"]),
];

/// Types by field, by kind.
type Met = BTreeMap<String, BTreeMap<String, BTreeSet<&'static str>>>;

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema/observation.json")
}

fn stored() -> Value {
    serde_json::from_str(&std::fs::read_to_string(file()).unwrap()).unwrap()
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Captures whose observations are held against the schema.
fn captures() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let mut paths = metaleak::pipeline::captures_in(&own).unwrap().captures;
    assert!(paths.len() >= 8, "the stored captures are there");
    if let Some(shared) = shared() {
        paths.extend(corpus(&shared).into_values());
    }
    paths
}

/// Adds to the stored schema what was met.
fn widen(schema: &mut Value, met: &Met) {
    let kinds = schema["$defs"].as_object_mut().unwrap();
    for (kind, fields) in met {
        let entry = kinds.entry(kind.clone()).or_insert_with(|| {
            json!({ "type": "object", "properties": { "kind": { "const": kind } }, "unevaluatedProperties": false })
        });
        entry["allOf"] = json!([{ "$ref": "#/$defs/common" }]);
        for (field, types) in fields {
            let property = &mut entry["properties"][field];
            if property.is_null() {
                *property = json!({});
            }
            let mut all: BTreeSet<String> = types.iter().map(|t| (*t).to_owned()).collect();
            match &property["type"] {
                Value::String(one) => _ = all.insert(one.clone()),
                Value::Array(many) => all.extend(many.iter().filter_map(Value::as_str).map(str::to_owned)),
                _ => {}
            }
            property["type"] = match all.len() {
                1 => json!(all.first()),
                _ => json!(all),
            };
        }
    }
    let names: Vec<&String> = kinds.keys().filter(|kind| *kind != "common").collect();
    let branches: Vec<Value> = names
        .iter()
        .map(|kind| {
            json!({
                "if": { "properties": { "kind": { "const": kind } } },
                "then": { "$ref": format!("#/$defs/{kind}") },
            })
        })
        .collect();
    let list = json!(names);
    schema["allOf"] = json!(branches);
    schema["properties"]["kind"]["enum"] = list;
}

#[test]
fn what_dissect_says_fits_the_stored_schema() {
    let mut met = Met::new();
    let mut lines = Vec::new();
    for path in captures() {
        // One that cannot be read at all has no lines; what it is refused for is tested elsewhere.
        let output = common::metaleak().arg("dissect").arg("-q").arg(&path).output().unwrap();
        for observation in common::observations(&output.stdout) {
            let object = observation.0.as_object().unwrap();
            let fields = met.entry(observation.text("kind").to_owned()).or_default();
            for (field, value) in object.iter().filter(|(f, _)| COMMON.iter().all(|(c, _)| c != f)) {
                fields.entry(field.clone()).or_default().insert(type_of(value));
            }
            lines.push(observation.0);
        }
    }
    if std::env::var_os("METALEAK_UPDATE_SCHEMA").is_some() {
        let mut schema = stored();
        widen(&mut schema, &met);
        std::fs::write(file(), serde_json::to_string_pretty(&schema).unwrap() + "\n").unwrap();
    }
    let schema = stored();
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(lines.len() > 50, "only {} lines", lines.len());
    for line in &lines {
        if let Err(e) = validator.validate(line) {
            panic!(
                "{e}\n{line}\nrun METALEAK_UPDATE_SCHEMA=1 cargo test --test observation_schema and review the change"
            );
        }
    }
    println!("{} observations of {} kinds fit", lines.len(), met.len());
}

#[test]
fn the_schema_refuses_what_dissect_does_not_say() {
    let validator = jsonschema::validator_for(&stored()).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/xmpp-clear.pcap");
    let sound = dissect([&path]).into_iter().find(|o| o.text("kind") == "dns.query").unwrap().0;
    assert!(validator.is_valid(&sound));
    let broken = |change: &dyn Fn(&mut Map<String, Value>)| {
        let mut object = sound.as_object().unwrap().clone();
        change(&mut object);
        validator.is_valid(&Value::Object(object))
    };
    assert!(!broken(&|o| _ = o.insert("kind".into(), json!("dns.qwery"))), "an unknown kind");
    assert!(!broken(&|o| _ = o.insert("extra".into(), json!("x"))), "an unknown field");
    assert!(!broken(&|o| _ = o.insert("name".into(), json!(7))), "a wrong type");
    assert!(!broken(&|o| _ = o.remove("frame")), "no frame");
}
