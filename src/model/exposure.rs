//! Where the bytes went, in shares (METRICS E14): the types of `exposure` in `report.json`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Destination exposure of all flows to public addresses, and of each messenger's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Exposure {
    /// All flows, also those of no messenger.
    pub overall: Exposed,
    /// One entry a messenger, sorted by its id.
    pub messengers: Vec<Exposed>,
    /// Bytes by messenger, operator and country, sorted.
    pub paths: Vec<PathBytes>,
}

/// Exposure of one messenger, or of all flows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Exposed {
    /// Messenger id; null for all flows.
    pub messenger: Option<String>,
    /// Bytes on the wire in both directions, to and from public addresses.
    pub bytes: u64,
    /// Remote addresses.
    pub destinations: u64,
    /// Bytes by legal zone of the place, all six in fixed order.
    pub zones: Vec<Share>,
    /// Bytes by country on which the sources agree, most first; the key is null where they do not.
    pub countries: Vec<Share>,
    /// Bytes by network operator, most first: the company where `reference/operators.toml` knows it, else the name of the autonomous
    /// system; the key is null where neither is known.
    pub operators: Vec<Share>,
    /// Bytes by role, most first.
    pub roles: Vec<Share>,
    /// Shannon entropy of the bytes over countries, bits; what is not known counts as one country. Null without bytes.
    pub country_entropy_bits: Option<f64>,
    /// The same over operators.
    pub operator_entropy_bits: Option<f64>,
    /// Herfindahl-Hirschman index over countries: 1 when all goes to one.
    pub country_hhi: Option<f64>,
    /// The same over operators.
    pub operator_hhi: Option<f64>,
    /// Share of the bytes whose role is known that went to machines which are not the messenger's own: all roles but `first-party`,
    /// `peer`, and `hosting` of the messenger's own service.
    pub third_party_ratio: Option<f64>,
    /// How an observer on the way learns whom a flow goes to.
    pub names: NameExposure,
    /// Destinations contacted before the first action of the user, over the captures whose run tells when that was; null where none
    /// does.
    pub contacts_before_first_action: Option<u64>,
    /// Why that is null: `no-marks` (no run of these captures notes when a step began), `no-action` (all steps noted are `idle`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contacts_before_note: Option<String>,
}

/// A part of the bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Share {
    /// What it is a part of: a zone, country, operator or role; null for what is not known.
    pub key: Option<String>,
    /// Bytes in both directions.
    pub bytes: u64,
    /// Share of all bytes, 0 to 1.
    pub share: f64,
}

/// Bytes of one messenger through one operator to one country.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct PathBytes {
    /// Messenger id; null for flows of none.
    pub messenger: Option<String>,
    /// Operator; null when not known.
    pub operator: Option<String>,
    /// ISO 3166 alpha-2; null where the sources do not agree.
    pub country: Option<String>,
    /// Legal zone of the country.
    pub zone: Zone,
    /// Bytes in both directions.
    pub bytes: u64,
}

/// Shares of the flows whose server's true name can be seen, by where. A flow may show its name in several places.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NameExposure {
    /// Flows over TCP or UDP to public addresses, without those of name resolution.
    pub flows: u64,
    /// An answer to a readable DNS query named the address. This and all that follow are shares of `flows`, null without flows.
    pub dns: Option<f64>,
    /// The server name of a TLS hello.
    pub sni: Option<f64>,
    /// The server name of a hello within QUIC.
    pub quic: Option<f64>,
    /// A certificate in clear.
    pub certificate: Option<f64>,
    /// A name in a clear protocol (HTTP host, XMPP domain).
    pub clear: Option<f64>,
    /// None of these and no Encrypted Client Hello: only the address shows.
    pub ip_only: Option<f64>,
    /// The hello was encrypted (ECH) and its name is a cover; counted apart, whatever else names the flow.
    pub ech: Option<f64>,
}

/// Legal zone of a country, seen from the GDPR.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Zone {
    /// Switzerland.
    Ch,
    /// European Economic Area.
    Eea,
    /// Another country with an adequacy decision.
    Adequate,
    /// United States.
    Us,
    /// Any other country.
    Other,
    /// The sources do not agree on a country, or know none.
    #[default]
    Unknown,
}

impl Zone {
    /// All, in the order of reports.
    pub const ALL: [Zone; 6] = [Zone::Ch, Zone::Eea, Zone::Adequate, Zone::Us, Zone::Other, Zone::Unknown];

    /// As JSON has it.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Zone::Ch => "ch",
            Zone::Eea => "eea",
            Zone::Adequate => "adequate",
            Zone::Us => "us",
            Zone::Other => "other",
            Zone::Unknown => "unknown",
        }
    }
}
