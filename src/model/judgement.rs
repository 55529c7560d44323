//! What stands beside a verdict: what runs show alone, what protects, what to do next, and doses with their responses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Control, Text, Vantage, Verdict};

/// What runs of one kind show of a claim, each judged alone and without regard to how many the claim asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunsVerdict {
    /// Day on which they began, `YYYY-MM-DD` in UTC; null where no frame has a time.
    pub day: Option<String>,
    /// What produced the traffic, in words; null where no run says it.
    pub app: Option<String>,
    /// Where they were recorded; null where that is unknown.
    pub vantage: Option<Vantage>,
    /// The verdict that each of them gives alone.
    pub verdict: Verdict,
    /// As in a claim's `reason`.
    pub reason: String,
    /// How many they are.
    pub count: u64,
    /// Their captures, as in an input's `file`; at most 64.
    pub captures: Vec<String>,
}

/// Whether a hash protects what it is made of (METRICS E7): what it costs to try every value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Protection {
    /// `contradicted` where all values can be tried in a day or less: the hash hides nothing.
    pub verdict: Verdict,
    /// In words.
    pub explanation: Text,
    /// Hashes a second that are reckoned with.
    pub hashes_per_second: f64,
    /// Where that rate comes from.
    pub rate_source: String,
    /// The values that have to be tried, by country.
    pub spaces: Vec<ValueSpace>,
}

/// The mobile numbers of a country.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ValueSpace {
    /// ISO 3166 alpha-2.
    pub country: String,
    /// How many numbers its plan allows.
    pub numbers: u64,
    /// The logarithm of that to base 2.
    pub bits: f64,
    /// Seconds to try them all.
    pub seconds: f64,
    /// Where the plan comes from.
    pub source: String,
    /// Its date.
    pub as_of: String,
}

/// One thing to do that can decide a claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Next {
    /// What it is, in words.
    pub what: Text,
    /// A line for a shell. Capital letters stand for what only the reader knows.
    pub command: String,
}

/// What the growth of an upload with the address book can be (METRICS E6).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum DoseClass {
    /// There are fewer than five runs at one of three doses, or none without contacts.
    #[default]
    TooFewRuns,
    /// No growth. An upload that is always padded to the same size looks the same.
    Nothing,
    /// Growth in steps.
    Padded,
    /// Growth with each contact.
    PerContact,
    /// Neither is sure.
    Unclear,
}

/// Doses, what they are answered with, and what that can be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Dose {
    /// Of all flows that count as the messenger's, also those that only the run attributes to it.
    pub class: DoseClass,
    /// Of those alone that a wire signature, a name or a network shows to be the messenger's: only these can contradict.
    pub own_class: DoseClass,
    /// Forms of a contact whose size fits the growth of the messenger's own flows; empty without growth, or where none fits.
    pub forms: Vec<String>,
    /// Bytes sent without contacts.
    pub intercept: f64,
    /// Runs set aside because they lie far from the others of their dose.
    pub outliers: u64,
    /// The runs at each dose, ascending.
    pub doses: Vec<DoseRuns>,
    /// Where nothing grows: uploads of eight bytes a contact, planted into resampled runs, that the same reading found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<Control>,
}

/// The runs at one dose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DoseRuns {
    /// Contacts in the address book.
    pub contacts: u32,
    /// Runs with so many.
    pub runs: u64,
}
