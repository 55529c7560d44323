//! The JSON Schema of claim files, for editors; stored as `docs/schema/claims.json`.
//!
//! Made with schemars: keys from the types here, which a test holds against those that the loader takes, conditions from the very tables that
//! the loader and the evaluation go by. What a schema cannot say (ids that are taken, sources that nobody names) `claims check` says.

#![allow(
    dead_code,
    reason = "the types describe files to schemars; the loader reads them with the place of each value"
)]

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::language::Subject;
use super::load::{MAX_MIN_RUNS, REASONS, SHARES, SUBJECTS, WITHIN};
use super::predicate::{Conditions, Kind};
use crate::model::{Criterion, Vantage};
use crate::scenario::STEPS;

/// The schema as it is stored.
#[must_use]
pub fn schema() -> String {
    let mut schema = schemars::schema_for!(ClaimFile);
    let rules = json!([
        // Documents decide it, so nothing that captures would decide by.
        {
            "if": { "properties": { "decided_by": { "const": "documentary" } }, "required": ["decided_by"] },
            "then": { "properties": {
                "supports": false, "contradicts": false, "shows": false, "cases": false, "min_runs": false
            } },
            "else": { "anyOf": [
                { "required": ["supports"] }, { "required": ["contradicts"] }, { "required": ["otherwise"] }
            ] }
        },
        {
            "if": { "properties": { "otherwise": { "const": "too-few-runs" } }, "required": ["otherwise"] },
            "then": { "required": ["min_runs"] }
        }
    ]);
    if let Some(claim) = schema.pointer_mut("/$defs/ClaimTable").and_then(Value::as_object_mut) {
        claim.insert("allOf".to_owned(), rules);
    }
    // A schema is plain JSON, which always serialises.
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// A claim file of metaleak (docs/claims-language.md).
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ClaimFile {
    /// The claims, in the order of the report.
    #[schemars(length(min = 1))]
    claim: Vec<ClaimTable>,
    /// Sources that several claims name by their id.
    source: Option<Vec<SourceTable>>,
}

/// One sentence that can be true or false.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct ClaimTable {
    /// `MESSENGER.NAME`, unique; in common files `*.NAME`: one claim for each messenger that has none of its own with that name.
    #[schemars(regex(pattern = r"^(\*|[a-z0-9-]+)\.[a-z0-9-]+$"))]
    id: String,
    /// Criterion of the comparison.
    criterion: Criterion,
    /// The claim, one sentence.
    text: TextTable,
    /// Where the comparison says it.
    section: Option<String>,
    /// What can decide it.
    decided_by: DecidedByWord,
    /// What shows that the claim is true.
    supports: Option<PredicateTable>,
    /// What shows that it is false.
    contradicts: Option<PredicateTable>,
    /// What is listed as evidence while the claim stays undecided.
    shows: Option<PredicateTable>,
    /// The claim says that something does not happen: a match of `supports` then gives `not-contradicted`.
    absence: Option<bool>,
    /// Scenario steps that must have been exercised for `supported` or `not-contradicted`.
    steps: Option<Steps>,
    /// Captures from elsewhere do not count.
    vantage: Option<Vantages>,
    /// Runs that are needed, each step in as many.
    #[schemars(range(min = 2, max = MAX_MIN_RUNS))]
    min_runs: Option<u64>,
    /// The claim says that something leaves only as a hash of a telephone number: a second verdict says whether that protects it.
    hash_of_number: Option<bool>,
    /// Reason when neither predicate matches.
    otherwise: Option<Reason>,
    /// Reason and words instead, where more is known of why it stays undecided; the first that fits.
    cases: Option<Vec<CaseTable>>,
    /// What to do to decide it, or why traffic cannot.
    undecided: Option<TextTable>,
    /// Put into the explanation whatever the verdict.
    note: Option<TextTable>,
    /// Why the comparison's wording no longer fits, with date.
    superseded: Option<TextTable>,
    /// Id of the claim that says what holds today.
    #[schemars(regex(pattern = r"^(\*|[a-z0-9-]+)\.[a-z0-9-]+$"))]
    superseded_by: Option<String>,
    /// Date (`2024`, `2024-05`, `2024-05-17`) or version from which on it holds.
    #[schemars(regex(pattern = r"[0-9]"))]
    valid_from: Option<String>,
    /// Date or version up to which it held.
    #[schemars(regex(pattern = r"[0-9]"))]
    valid_until: Option<String>,
    /// Positive control that the claim needs.
    #[schemars(regex(pattern = "^K[1-9]$"))]
    control: Option<String>,
    /// Ids of `[[source]]` tables of the file, or tables.
    #[schemars(length(min = 1))]
    sources: Vec<SourceOrId>,
}

/// One of the ways in which a claim stays undecided.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct CaseTable {
    /// When it is this one.
    when: PredicateTable,
    /// The reason.
    reason: Reason,
    /// What to do to decide it, or why traffic cannot.
    undecided: TextTable,
    /// No recording decides it: what is listed has to be looked at by hand.
    by_hand: Option<bool>,
}

/// A text in both languages, neither of them empty.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct TextTable {
    /// English.
    #[schemars(regex(pattern = r"\S"))]
    en: String,
    /// German.
    #[schemars(regex(pattern = r"\S"))]
    de: String,
}

/// What can decide a claim.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
enum DecidedByWord {
    /// Captures.
    Traffic,
    /// Documents only: no predicates.
    Documentary,
}

/// Where a claim or a fact behind it comes from.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct SourceTable {
    /// Short, e.g. `wa.n6`.
    #[schemars(length(min = 1))]
    id: String,
    /// What it says, in words of one's own.
    #[schemars(length(min = 1))]
    text: String,
    /// Where it is.
    #[schemars(regex(pattern = "^(https?://.*)?$"))]
    url: Option<String>,
    /// `2024`, `2024-05`, `2024-05-17` or `undated`.
    #[schemars(regex(pattern = r"^(undated|\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?)?$"))]
    date: Option<String>,
    /// No source could be checked.
    unverified: Option<bool>,
}

/// A source, or the id of one.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum SourceOrId {
    Id(String),
    Table(SourceTable),
}

/// A word or a list of words, of which one has to fit.
fn one_or_more(item: &Value) -> Value {
    json!({ "anyOf": [item, { "type": "array", "items": item, "minItems": 1 }] })
}

struct Steps;

impl JsonSchema for Steps {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Steps".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [one_or_more(&json!({ "type": "string", "enum": STEPS }))] })
    }
}

struct Vantages;

impl JsonSchema for Vantages {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Vantages".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<Vantage>();
        let list = one_or_more(&serde_json::to_value(one).unwrap_or_default());
        json_schema!({ "anyOf": [list] })
    }
}

struct Reason;

impl JsonSchema for Reason {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Reason".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": REASONS })
    }
}

/// The name of a subject's conditions among the definitions.
fn reference(subject: Subject) -> Value {
    let name = SUBJECTS.iter().find(|(_, s)| *s == subject).map_or("flows", |(name, _)| name);
    json!({ "$ref": format!("#/$defs/PredicateTable/$defs/{name}") })
}

/// The conditions of a subject.
fn conditions(subject: Subject) -> Map<String, Value> {
    let of = |kind: &Kind| match kind {
        Kind::Words([]) => one_or_more(&json!({ "type": "string" })),
        Kind::Words(list) => one_or_more(&json!({ "type": "string", "enum": list })),
        // Names that are made from the listed ones (a digest that was cut: `sha256/10`) are words as well.
        Kind::Listed(list, fits) if list().iter().any(|word| fits(&format!("{word}/10"))) => {
            one_or_more(&json!({
                "anyOf": [{ "type": "string", "enum": list() }, { "type": "string", "pattern": "^[a-z0-9.-]+/[0-9]+$" }]
            }))
        }
        Kind::Listed(list, _) => one_or_more(&json!({ "type": "string", "enum": list() })),
        Kind::Checked(check) => {
            one_or_more(&json!({ "type": "string", "pattern": check.pattern, "description": check.remedy }))
        }
        Kind::Numbers(most) => one_or_more(&json!({ "type": "integer", "minimum": 0, "maximum": most })),
        Kind::Limit => json!({ "type": "number", "minimum": 0 }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Of(inner) => reference(*inner),
    };
    let named = |(name, kind): &(&'static str, Kind)| {
        let share = SHARES.contains(name);
        let value = if share { json!({ "type": "number", "minimum": 0, "maximum": 1 }) } else { of(kind) };
        ((*name).to_owned(), value)
    };
    Conditions::known(subject).iter().map(named).collect()
}

/// One quantifier over one subject, or several predicates joined.
struct PredicateTable;

impl JsonSchema for PredicateTable {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PredicateTable".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let this = generator.subschema_for::<PredicateTable>();
        let list = json!({ "type": "array", "items": this, "minItems": 1 });
        let joined = |key: &str, value: &Value| json!({ "type": "object", "properties": { key: value }, "required": [key], "additionalProperties": false });
        let mut kinds = vec![
            joined("all_of", &list),
            json!({
                "type": "object", "required": ["all_of", "within"], "additionalProperties": false,
                "properties": {
                    "all_of": list,
                    "within": { "enum": WITHIN, "description": "All parts have to match in one and the same run." },
                },
            }),
            joined("any_of", &list),
            joined("not", &serde_json::to_value(&this).unwrap_or_default()),
        ];
        let mut defs = Map::new();
        for (name, subject) in SUBJECTS {
            defs.insert(
                name.to_owned(),
                json!({ "type": "object", "properties": conditions(subject), "additionalProperties": false }),
            );
            for (quantifier, limit) in [
                ("any", None),
                ("all", None),
                ("none", None),
                ("count", Some(json!({ "type": "number", "minimum": 1 }))),
                ("share", Some(json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1 }))),
            ] {
                let mut properties = conditions(subject);
                let mut required = vec![quantifier];
                properties.insert(quantifier.to_owned(), json!({ "const": name }));
                properties.insert("of".to_owned(), reference(subject));
                if let Some(limit) = limit {
                    properties.insert("at_least".to_owned(), limit);
                    required.push("at_least");
                }
                kinds.push(json!({
                    "type": "object", "properties": properties, "required": required, "additionalProperties": false
                }));
            }
        }
        json_schema!({ "anyOf": kinds, "$defs": defs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_those_of_the_loader() {
        let schema = serde_json::to_value(schemars::schema_for!(ClaimTable)).unwrap();
        let mut keys: Vec<&str> =
            schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        let mut known = super::super::load::KEYS.to_vec();
        keys.sort_unstable();
        known.sort_unstable();
        assert_eq!(keys, known);
    }
}
