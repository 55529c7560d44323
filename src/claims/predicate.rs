//! Predicates over what belongs to one messenger.
//!
//! Takes checked predicates and the facts of a report; says whether they match, and which items made them match. The table
//! [`Conditions::known`] is the vocabulary: loader, evaluation and documentation go by it. Knows nothing of verdicts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;

use super::language::{Claim, Leaf, Predicate, Quantifier, Subject};
use super::load::{MAX_MIN_RUNS, MESSENGERS};
use crate::controls::Rest;
use crate::model::{
    Agreement, Call, Confidence, Destination, DoseClass, Finding, FindingKind, Flow, FlowName, Input,
    Jurisdiction, JurisdictionWhy, Leakage, Report, Severity, Unverified,
};

/// What a condition's value looks like.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Texts; when the list is not empty, only these.
    Words(&'static [&'static str]),
    /// Texts of one form.
    Checked(&'static Check),
    /// Texts that the program can give, listed elsewhere: the list, and whether a text is among them or made from one.
    Listed(fn() -> &'static [&'static str], fn(&str) -> bool),
    /// Whole numbers up to this one.
    Numbers(u64),
    /// One number.
    Limit,
    /// True or false.
    Flag,
    /// Conditions on what belongs to the item: the end of a flow, the flow of a finding.
    Of(Subject),
}

/// The form of a text: one that can never be met is a slip of the pen, and a claim with it would wait for ever.
#[derive(Debug)]
pub(super) struct Check {
    /// Whether a text has it.
    pub(super) fits: fn(&str) -> bool,
    /// What to write.
    pub(super) remedy: &'static str,
    /// The form as a regular expression, for the schema; it may let pass what only `fits` can tell.
    pub(super) pattern: &'static str,
}

static COUNTRY: Check = Check {
    fits: crate::destination::is_country,
    remedy: "write a country code of ISO 3166 in upper case, such as CH",
    pattern: "^[A-Z]{2}$",
};
static CIPHER: Check = Check {
    fits: |text| {
        let digits = text.strip_prefix("0x").unwrap_or_default();
        digits.len() == 4 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    },
    remedy: "write the suite's number in hex, such as 0x1301",
    pattern: "^0x[0-9a-f]{4}$",
};
static NAME: Check = Check {
    fits: |text| {
        !text.is_empty()
            && !text.starts_with('.')
            && !text.ends_with('.')
            && !text.contains(|c: char| c.is_uppercase() || c.is_whitespace())
    },
    remedy: "write a name in lower case, without a dot before or behind, such as example.org",
    pattern: r"^[^A-Z\s.]([^A-Z\s]*[^A-Z\s.])?$",
};
static SOME: Check = Check {
    fits: |text| !text.trim().is_empty(),
    remedy: "write at least a part of what is to be met",
    pattern: r"\S",
};
static TRANSPORT: Check = Check {
    fits: |text| {
        matches!(text, "tcp" | "udp" | "icmp" | "icmpv6")
            || text.strip_prefix("ip.").is_some_and(|n| n.parse::<u8>().is_ok())
    },
    remedy: "write tcp, udp, icmp, icmpv6, or ip.NUMBER for another",
    pattern: "^(tcp|udp|icmp|icmpv6|ip[.][0-9]{1,3})$",
};

/// The protocols that a flow can be said to run, and what runs within them.
fn protocols() -> &'static [&'static str] {
    static LIST: OnceLock<Vec<&str>> = OnceLock::new();
    let list = || {
        let own = crate::dissect::PROTOCOLS.iter().map(|p| p.id);
        own.chain(crate::dissect::INSIDE_PROTOCOLS).collect()
    };
    LIST.get_or_init(list)
}

/// The signatures of `docs/signatures.toml`; `tests/corpus_messengers.rs` demands that none is missing there.
pub(super) fn signatures() -> &'static [&'static str] {
    static LIST: OnceLock<Vec<&str>> = OnceLock::new();
    let of_line = |line: &'static str| line.strip_prefix("id = \"")?.strip_suffix('"');
    LIST.get_or_init(|| include_str!("../../docs/signatures.toml").lines().filter_map(of_line).collect())
}

fn encodings() -> &'static [&'static str] {
    static LIST: OnceLock<Vec<&str>> = OnceLock::new();
    LIST.get_or_init(crate::payload::encodings)
}

/// The highest port, and the highest number of an autonomous system (RFC 6793).
const PORTS: u64 = 0xffff;
const SYSTEMS: u64 = 0xffff_ffff;

/// A condition's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// One of these texts.
    Words(Vec<String>),
    /// One of these numbers.
    Numbers(Vec<u64>),
    /// A limit.
    Limit(f64),
    /// Whether it has to be so.
    Flag(bool),
    /// What belongs to the item has to fit these.
    Of(Conditions),
}

const ENCRYPTIONS: &[&str] = &[
    "tls1.3",
    "tls1.2",
    "tls1.1",
    "tls1.0",
    "tls",
    "ssl3.0",
    "ssl2.0",
    "dtls1.3",
    "dtls1.2",
    "dtls1.0",
    "dtls",
    "quic",
    "noise",
    "mtproto",
    "threema-csp",
    "srtp",
    "none",
    "opaque",
    "empty",
];
const CERTIFICATE_FAULTS: &[&str] = &[
    "expired",
    "not-yet-valid",
    "expired-intermediate",
    "not-yet-valid-intermediate",
    "self-issued",
    "self-signed",
    "name-mismatch",
    "weak-key",
    "weak-signature",
    "chain-order",
];
const ROLES: &[&str] = &[
    "first-party",
    "hosting",
    "cdn",
    "push",
    "tracker",
    "resolver",
    "relay",
    "peer",
    "time",
    "platform",
    "unknown",
];
/// A legal status of which a part was not looked up.
const UNVERIFIED: &str = "unverified";
const BASES: &[&str] = &["eea", "adequacy", "dpf", "none", UNVERIFIED];
const SEVERITIES: &[&str] = &["info", "low", "medium", "high", "critical"];

static FLOWS: &[(&str, Kind)] = &[
    ("encryption", Kind::Words(ENCRYPTIONS)),
    ("not_encryption", Kind::Words(ENCRYPTIONS)),
    ("app_protocol", Kind::Listed(protocols, |word| protocols().contains(&word))),
    ("transport", Kind::Checked(&TRANSPORT)),
    ("port", Kind::Numbers(PORTS)),
    ("signature", Kind::Listed(signatures, |word| signatures().contains(&word))),
    ("tls_version", Kind::Words(&["tls1.3", "tls1.2", "tls1.1", "tls1.0", "ssl3.0", "ssl2.0"])),
    ("ech", Kind::Words(&["absent", "outer", "unknown"])),
    ("name", Kind::Checked(&NAME)),
    ("clear_bytes_over", Kind::Limit),
    ("read", Kind::Flag),
    ("clear_messages_over", Kind::Limit),
    ("with_payload", Kind::Flag),
    (
        "messenger_why",
        Kind::Words(&["signature", "name", "turn-realm", "network", "shared", "socket", "service", "run"]),
    ),
    ("remains", Kind::Flag),
    ("cipher", Kind::Checked(&CIPHER)),
    ("certificate_subject", Kind::Checked(&SOME)),
    ("certificate_issuer", Kind::Checked(&SOME)),
    ("certificate_fault", Kind::Words(CERTIFICATE_FAULTS)),
    ("to", Kind::Of(Subject::Destinations)),
];
static DESTINATIONS: &[(&str, Kind)] = &[
    ("country", Kind::Checked(&COUNTRY)),
    ("not_country", Kind::Checked(&COUNTRY)),
    ("agreement", Kind::Words(&["single", "majority", "all"])),
    ("asn", Kind::Numbers(SYSTEMS)),
    ("operator", Kind::Checked(&SOME)),
    ("role", Kind::Words(ROLES)),
    ("not_role", Kind::Words(ROLES)),
    ("jurisdiction", Kind::Checked(&COUNTRY)),
    ("basis", Kind::Words(BASES)),
    ("not_basis", Kind::Words(BASES)),
    ("seat", Kind::Checked(&COUNTRY)),
    ("not_seat", Kind::Checked(&COUNTRY)),
    ("seat_basis", Kind::Words(BASES)),
    ("place_law", Kind::Checked(&COUNTRY)),
    ("not_place_law", Kind::Checked(&COUNTRY)),
    ("place_basis", Kind::Words(BASES)),
    ("service_seat", Kind::Checked(&COUNTRY)),
    ("not_service_seat", Kind::Checked(&COUNTRY)),
    ("service_seat_basis", Kind::Words(BASES)),
    ("max_km_below", Kind::Limit),
    ("rtt_excludes", Kind::Checked(&COUNTRY)),
    ("rtt_leaves_out", Kind::Checked(&COUNTRY)),
    ("known", Kind::Flag),
    ("flow", Kind::Of(Subject::Flows)),
];
static FINDINGS: &[(&str, Kind)] = &[
    ("kind", Kind::Words(&["credential", "canary", "identifier", "content", "cookie", "token", "name"])),
    ("severity", Kind::Words(SEVERITIES)),
    ("encoding", Kind::Listed(encodings, crate::payload::is_encoding)),
    ("canary", Kind::Words(&[])),
    ("rule", Kind::Words(&[])),
    ("confidence", Kind::Words(&["low", "medium", "high"])),
    ("decrypted", Kind::Flag),
    ("hashed", Kind::Flag),
    ("direction", Kind::Words(&["up", "down"])),
    ("runs_over", Kind::Limit),
    ("flow", Kind::Of(Subject::Flows)),
];
static NAMES: &[(&str, Kind)] = &[
    ("suffix", Kind::Checked(&NAME)),
    ("own", Kind::Flag),
    (
        "source",
        Kind::Words(&[
            "dns",
            "dns-hint",
            "sni",
            "certificate",
            "http-host",
            "xmpp-to",
            "turn-realm",
            "dns-ptr",
            "ech-outer",
            "decrypted",
        ]),
    ),
    ("flow", Kind::Of(Subject::Flows)),
];

const CLASSES: &[&str] = &["too-few-runs", "nothing", "padded", "per-contact", "unclear"];
static DOSES: &[(&str, Kind)] = &[
    ("step", Kind::Words(&crate::leakage::STEPS)),
    ("class", Kind::Words(CLASSES)),
    ("own_class", Kind::Words(CLASSES)),
    ("form", Kind::Checked(&FORM)),
    ("bytes_per_contact_over", Kind::Limit),
    ("bytes_per_contact_below", Kind::Limit),
    ("power_at_least", Kind::Limit),
];
static CALLS: &[(&str, Kind)] = &[
    ("media", Kind::Flag),
    ("direct", Kind::Flag),
    ("relayed", Kind::Flag),
    ("flow", Kind::Of(Subject::Flows)),
];
static STEPS_DONE: &[(&str, Kind)] = &[
    ("step", Kind::Words(&crate::scenario::STEPS)),
    ("planted", Kind::Words(&[])),
    ("seconds_over", Kind::Limit),
    ("bytes_per_hour_over", Kind::Limit),
    ("bytes_per_hour_below", Kind::Limit),
    ("own_bytes_per_hour_over", Kind::Limit),
];
static FORM: Check = Check {
    fits: |text| crate::leakage::dose::FORMS.iter().any(|form| form.id == text),
    remedy: "write the id of a form, such as number-text, number-integer, hash-10 or hash-32 (docs/claims-language.md)",
    pattern: "^[a-z0-9-]+$",
};

/// What an item must be; all conditions have to hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conditions(Vec<(&'static str, Value)>);

impl Conditions {
    /// The conditions that go with a subject.
    pub(super) fn known(subject: Subject) -> &'static [(&'static str, Kind)] {
        match subject {
            Subject::Flows => FLOWS,
            Subject::Destinations => DESTINATIONS,
            Subject::Findings => FINDINGS,
            Subject::Names => NAMES,
            Subject::Doses => DOSES,
            Subject::Calls => CALLS,
            Subject::Steps => STEPS_DONE,
        }
    }

    pub(super) fn push(&mut self, name: &'static str, value: Value) {
        self.0.push((name, value));
    }

    /// Names and values, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(n, v)| (*n, v))
    }

    /// Whether a finding fits, whatever flow it is in.
    pub(super) fn fit_finding(&self, finding: &Finding) -> bool {
        let none = Facts::default();
        let own = |value: &Value| !matches!(value, Value::Of(_));
        self.0.iter().filter(|(_, v)| own(v)).all(|(name, v)| Item::Finding(finding).fits(name, v, &none))
    }

    /// Whether a condition is among them, or among those on what belongs to the item.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0
            .iter()
            .any(|(known, value)| *known == name || matches!(value, Value::Of(inner) if inner.has(name)))
    }

    fn fit(&self, item: &Item<'_>, facts: &Facts<'_>) -> bool {
        self.0.iter().all(|(name, value)| item.fits(name, value, facts))
    }
}

/// What of a flow is shown as evidence: what the predicate asked of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shown<'p> {
    /// The signatures with these ids.
    pub(super) signatures: &'p [String],
    /// The server's certificate.
    pub(super) certificate: bool,
    /// How it is encrypted, also beside the others.
    pub(super) encryption: bool,
    /// The frames between which the round trip of an end was taken.
    pub(super) round_trip: bool,
}

impl<'p> Shown<'p> {
    fn of(leaf: &'p Leaf) -> Shown<'p> {
        let mut shown = Shown::default();
        for (name, value) in leaf.of.0.iter().chain(&leaf.conditions.0) {
            match (*name, value) {
                ("signature", Value::Words(ids)) => shown.signatures = ids,
                ("certificate_subject" | "certificate_issuer" | "certificate_fault", _) => {
                    shown.certificate = true;
                }
                ("encryption" | "tls_version" | "cipher" | "ech", _) => shown.encryption = true,
                ("rtt_excludes" | "rtt_leaves_out" | "max_km_below", _) => shown.round_trip = true,
                _ => {}
            }
        }
        shown
    }
}

/// One thing that a predicate can match.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item<'r> {
    /// A flow, and what of it matched.
    Flow(&'r Flow, Shown<'r>),
    /// A destination, and what of it matched.
    Destination(&'r Destination, Shown<'r>),
    /// A finding.
    Finding(&'r Finding),
    /// A name of a flow.
    Name(&'r Flow, &'r FlowName),
    /// A measure of doses and responses.
    Dose(&'r Leakage),
    /// A call.
    Call(&'r Call),
    /// A step of a run.
    Step(Done<'r>),
}

/// A step that a run of the messenger exercised, with what its flows carried then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done<'r> {
    pub(super) capture: &'r str,
    pub(super) step: &'r str,
    /// What the run planted, by name.
    planted: &'r BTreeMap<String, String>,
    /// How long it lasted; 0 where no mark says so.
    pub(super) seconds: f64,
    /// Bytes of all flows that count as the messenger's, both ways.
    pub(super) bytes: u64,
    /// Those of flows that something else than the run shows to be its.
    pub(super) own: u64,
    /// First frame of the messenger's flows in the capture.
    pub(super) frame: u64,
}

impl Done<'_> {
    /// Bytes an hour; none where nobody noted how long it lasted.
    pub(super) fn per_hour(&self, bytes: u64) -> Option<f64> {
        (self.seconds > 0.0).then(|| bytes as f64 * 3600.0 / self.seconds)
    }
}

fn below(name: &str, suffix: &str) -> bool {
    name == suffix || name.strip_suffix(suffix).is_some_and(|head| head.ends_with('.'))
}

/// The kebab-case word that a model enum has in JSON.
fn word<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// What a word stands for in JSON; words were checked when the claim was read.
fn of_word<T: serde::de::DeserializeOwned + Default>(word: &str) -> T {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).unwrap_or_default()
}

fn rank(agreement: Agreement) -> u8 {
    match agreement {
        Agreement::None | Agreement::Disagree => 0,
        Agreement::Single => 1,
        Agreement::Majority => 2,
        Agreement::All => 3,
    }
}

impl Item<'_> {
    fn fits(&self, condition: &str, value: &Value, facts: &Facts<'_>) -> bool {
        match (self, value) {
            (_, Value::Of(inner)) => self.belongings(facts).iter().any(|item| inner.fit(item, facts)),
            (Item::Flow(f, _), value) => flow_fits(f, condition, value),
            (Item::Destination(d, _), value) => destination_fits(d, condition, value, facts),
            (Item::Dose(measure), value) => dose_fits(measure, condition, value),
            (Item::Step(done), value) => step_fits(done, condition, value),
            (Item::Call(call), Value::Flag(flag)) => match condition {
                "media" => (call.media_bytes() > 0) == *flag,
                "direct" => call.is_direct() == *flag,
                "relayed" => call.is_relayed() == *flag,
                _ => false,
            },
            (Item::Finding(f), Value::Limit(n)) if condition == "runs_over" => {
                facts.runs_with(f.value) as f64 > *n
            }
            (Item::Finding(f), Value::Words(list)) => match condition {
                "kind" => list.contains(&word(&f.kind)),
                "severity" => list.iter().any(|s| f.severity >= of_word::<Severity>(s)),
                "encoding" => list.iter().any(|e| f.encoding.contains(e)),
                "rule" => f.rule.as_ref().is_some_and(|rule| list.contains(rule)),
                // What dissectors and canaries find is certain.
                "confidence" => {
                    list.iter().any(|c| f.confidence.unwrap_or(Confidence::High) >= of_word::<Confidence>(c))
                }
                "canary" => canary(f).is_some_and(|name| list.iter().any(|w| called(name, w))),
                "direction" => f.direction.is_some_and(|d| list.contains(&word(&d))),
                _ => false,
            },
            (Item::Finding(f), Value::Flag(flag)) => match condition {
                "decrypted" => f.decrypted == *flag,
                "hashed" => f.encoding.iter().any(|e| crate::payload::is_digest(e)) == *flag,
                _ => false,
            },
            (Item::Name(f, n), Value::Flag(flag)) => match condition {
                "own" => is_own(f, &n.name) == *flag,
                _ => false,
            },
            (Item::Name(_, n), Value::Words(list)) => match condition {
                "suffix" => list.iter().any(|s| below(&n.name, s)),
                "source" => list.contains(&n.source),
                _ => false,
            },
            _ => false,
        }
    }

    /// The ends of a flow, the flows of an end, the flow of a finding or name: only what is the claim's messenger's.
    fn belongings<'r>(&self, facts: &Facts<'r>) -> Vec<Item<'r>> {
        let flow = |handle: &str| facts.by_handle.get(handle).map(|f| Item::Flow(f, Shown::default()));
        match self {
            Item::Flow(f, _) => {
                let ends = facts.ends.get(&handle(&f.capture, f.flow)).into_iter().flatten();
                ends.map(|d| Item::Destination(d, Shown::default())).collect()
            }
            Item::Destination(d, _) => facts.flows_at(d).map(|f| Item::Flow(f, Shown::default())).collect(),
            Item::Finding(f) => flow(&handle(&f.capture, f.flow)).into_iter().collect(),
            Item::Name(f, _) => flow(&handle(&f.capture, f.flow)).into_iter().collect(),
            Item::Call(call) => {
                call.flows.iter().filter_map(|number| flow(&handle(&call.capture, *number))).collect()
            }
            Item::Dose(_) | Item::Step(_) => Vec::new(),
        }
    }
}

/// Whether a name is that of the messenger itself: of the server that was chosen for the run, or with a label that is the messenger's id
/// (`api.foo-chat.example`, `foochat.example`). The built-in messengers have domains for that, and ids that are everyday words.
fn is_own(flow: &Flow, name: &str) -> bool {
    let Some(id) = flow.messenger.as_deref().filter(|id| !MESSENGERS.contains(id)) else { return false };
    let why = flow.messenger_why.as_deref().unwrap_or_default();
    if why.strip_prefix("service:").is_some_and(|service| service == name) {
        return true;
    }
    let bare = |word: &str| word.replace('-', "");
    name.split('.').any(|label| {
        bare(label) == bare(id)
            || label.strip_prefix(id).is_some_and(|rest| rest.starts_with('-'))
            || label.strip_suffix(id).is_some_and(|rest| rest.ends_with('-'))
    })
}

fn step_fits(done: &Done<'_>, condition: &str, value: &Value) -> bool {
    let rate = |bytes, fits: &dyn Fn(f64) -> bool| done.per_hour(bytes).is_some_and(fits);
    match (condition, value) {
        ("step", Value::Words(list)) => list.iter().any(|step| step == done.step),
        ("planted", Value::Words(list)) => {
            done.planted.keys().any(|name| list.iter().any(|word| called(name, word)))
        }
        ("seconds_over", Value::Limit(limit)) => done.seconds > *limit,
        ("bytes_per_hour_over", Value::Limit(limit)) => rate(done.bytes, &|n| n > *limit),
        ("bytes_per_hour_below", Value::Limit(limit)) => rate(done.bytes, &|n| n < *limit),
        ("own_bytes_per_hour_over", Value::Limit(limit)) => rate(done.own, &|n| n > *limit),
        _ => false,
    }
}

/// A flow as destinations name it.
fn handle(capture: &str, flow: u64) -> String {
    format!("{capture}#{flow}")
}

/// The name that the auditor gave a planted secret; `payload::canary` begins what it says with it.
fn canary(f: &Finding) -> Option<&str> {
    let said = f.what.strip_prefix("canary ").filter(|_| f.kind == FindingKind::Canary)?;
    Some(said.split_once(':').map_or(said, |(name, _)| name))
}

/// `message` is also `message-2`, `message.old` and `message2`, but not `messages`.
fn called(name: &str, word: &str) -> bool {
    name.strip_prefix(word).is_some_and(|rest| rest.is_empty() || !rest.starts_with(char::is_alphabetic))
}

fn flow_fits(f: &Flow, condition: &str, value: &Value) -> bool {
    match (condition, value) {
        ("encryption", Value::Words(list)) => list.contains(&f.encryption),
        ("not_encryption", Value::Words(list)) => !list.contains(&f.encryption),
        ("app_protocol", Value::Words(list)) => f.app_protocols.iter().any(|p| list.contains(p)),
        ("transport", Value::Words(list)) => list.contains(&f.transport),
        ("port", Value::Numbers(list)) => f.server_port().is_some_and(|p| list.contains(&u64::from(p))),
        ("signature", Value::Words(list)) => f.signatures.iter().any(|s| list.contains(&s.signature)),
        ("tls_version", Value::Words(list)) => {
            f.tls.as_ref().and_then(|t| t.version.as_ref()).is_some_and(|v| list.contains(v))
        }
        ("ech", Value::Words(list)) => {
            f.tls.as_ref().and_then(|t| t.ech.as_ref()).is_some_and(|e| list.contains(e))
        }
        // The outer name of a hello with real ECH is a cover, and a name of the reverse zone what the holder of the address wrote:
        // neither is the server's.
        ("name", Value::Words(list)) => f.names.iter().any(|n| {
            !matches!(n.source.as_str(), "ech-outer" | "dns-ptr" | "reverse")
                && list.iter().any(|s| below(&n.name, s))
        }),
        ("clear_bytes_over", Value::Limit(n)) => f.clear_bytes as f64 > *n,
        ("read", Value::Flag(flag)) => (f.unread_bytes == 0) == *flag,
        ("clear_messages_over", Value::Limit(n)) => f.clear_messages as f64 > *n,
        ("remains", Value::Flag(flag)) => f.also_seen.is_some_and(|seen| seen.remains()) == *flag,
        ("with_payload", Value::Flag(flag)) => (f.encryption != "empty") == *flag,
        ("messenger_why", Value::Words(list)) => {
            let why = f.messenger_why.as_deref().unwrap_or_default();
            let kind = why.split_once(':').map_or(why, |(kind, _)| kind);
            list.iter().any(|w| w == kind)
        }
        ("cipher", Value::Words(list)) => {
            f.tls.as_ref().and_then(|t| t.cipher.as_ref()).is_some_and(|c| list.contains(c))
        }
        ("certificate_fault", Value::Words(list)) => {
            f.tls.as_ref().is_some_and(|t| t.certificate_faults.iter().any(|fault| list.contains(fault)))
        }
        ("certificate_subject", Value::Words(list)) => f
            .tls
            .as_ref()
            .and_then(|t| t.subject.as_ref())
            .is_some_and(|subject| list.iter().any(|part| subject.contains(part.as_str()))),
        ("certificate_issuer", Value::Words(list)) => f
            .tls
            .as_ref()
            .and_then(|t| t.issuer.as_ref())
            .is_some_and(|issuer| list.iter().any(|part| issuer.contains(part.as_str()))),
        _ => false,
    }
}

/// The laws that apply for one reason: the seat of who announces the network, the seat of whose service it is, or the places
/// that sources name (each of them, where they disagree).
fn laws(d: &Destination, why: JurisdictionWhy) -> impl Iterator<Item = &Jurisdiction> {
    d.jurisdictions.iter().filter(move |j| j.why == why)
}

/// What the words of a law's condition ask, and of which laws.
fn law_fits(d: &Destination, condition: &str, list: &[String]) -> bool {
    use JurisdictionWhy::{OperatorSeat, Place, ServiceSeat};
    let is = |why| laws(d, why).filter(|j| seat_known(j)).any(|j| list.contains(&j.code));
    // Not there: something is known, nothing was left unread, and none of it is in the list.
    let is_not = |why| {
        laws(d, why).next().is_some()
            && laws(d, why).all(seat_known)
            && !laws(d, why).any(|j| list.contains(&j.code))
    };
    let rests_on = |why| laws(d, why).any(|j| list.contains(&basis(j)));
    match condition {
        "seat" => is(OperatorSeat),
        "not_seat" => is_not(OperatorSeat),
        "seat_basis" => rests_on(OperatorSeat),
        "service_seat" => is(ServiceSeat),
        "not_service_seat" => is_not(ServiceSeat),
        "service_seat_basis" => rests_on(ServiceSeat),
        "place_law" => is(Place),
        "not_place_law" => is_not(Place),
        "place_basis" => rests_on(Place),
        _ => false,
    }
}

/// Whether somebody looked up where the seat is. What nobody looked up neither supports nor contradicts.
fn seat_known(j: &Jurisdiction) -> bool {
    !j.unverified.contains(&Unverified::Seat)
}

/// The basis as conditions name it: one of which a part was not looked up is `unverified`, whatever is known so far.
fn basis(j: &Jurisdiction) -> String {
    if j.unverified.is_empty() { word(&j.basis) } else { UNVERIFIED.to_owned() }
}

/// Growth is read by both ends of the interval: the estimate alone is a guess.
fn dose_fits(measure: &Leakage, condition: &str, value: &Value) -> bool {
    let Some(dose) = &measure.dose else { return false };
    let [low, high] = measure.ci95;
    let read = dose.class != DoseClass::TooFewRuns;
    match (condition, value) {
        ("step", Value::Words(list)) => measure.scenario.as_ref().is_some_and(|step| list.contains(step)),
        ("class", Value::Words(list)) => list.contains(&word(&dose.class)),
        ("own_class", Value::Words(list)) => list.contains(&word(&dose.own_class)),
        ("form", Value::Words(list)) => dose.forms.iter().any(|form| list.contains(form)),
        ("bytes_per_contact_over", Value::Limit(limit)) => read && low > *limit,
        ("bytes_per_contact_below", Value::Limit(limit)) => read && high < *limit,
        ("power_at_least", Value::Limit(limit)) => dose.control.as_ref().is_some_and(|c| c.power >= *limit),
        _ => false,
    }
}

fn destination_fits(d: &Destination, condition: &str, value: &Value, facts: &Facts<'_>) -> bool {
    match (condition, value) {
        ("country", Value::Words(list)) => d.country.as_ref().is_some_and(|c| list.contains(c)),
        ("not_country", Value::Words(list)) => d.country.as_ref().is_some_and(|c| !list.contains(c)),
        ("agreement", Value::Words(list)) => list.iter().any(|w| {
            let least = match w.as_str() {
                "all" => 3,
                "majority" => 2,
                _ => 1,
            };
            rank(d.agreement) >= least
        }),
        ("asn", Value::Numbers(list)) => {
            d.operator.as_ref().and_then(|o| o.asn).is_some_and(|a| list.contains(&u64::from(a)))
        }
        ("operator", Value::Words(list)) => d.operator.as_ref().is_some_and(|o| {
            let name = o.name.to_lowercase();
            list.iter().any(|part| name.contains(&part.to_lowercase()))
        }),
        ("role", Value::Words(list)) => list.contains(&word(&d.role)),
        ("not_role", Value::Words(list)) => !list.contains(&word(&d.role)),
        ("jurisdiction", Value::Words(list)) => {
            d.jurisdictions.iter().filter(|j| seat_known(j)).any(|j| list.contains(&j.code))
        }
        ("basis", Value::Words(list)) => d.jurisdictions.iter().any(|j| list.contains(&basis(j))),
        ("not_basis", Value::Words(list)) => {
            let differs = |basis: String| basis != UNVERIFIED && !list.contains(&basis);
            d.jurisdictions.iter().any(|j| differs(basis(j)))
        }
        // Addresses of a local network or a laboratory are in no source.
        ("known", Value::Flag(flag)) => (d.operator.is_some() || !d.places.is_empty()) == *flag,
        ("rtt_excludes", Value::Words(list)) => list.iter().all(|c| {
            let far = |b: &crate::model::RttBound| b.excluded.iter().any(|far| far.country == *c);
            let of_capture = || d.rtt_bounds.iter().any(|b| facts.has_capture(&b.capture) && far(b));
            d.rtt_excludes.contains(c) && (facts.alone.is_none() || of_capture())
        }),
        // Of what is possible, whatever sources name; where more is possible than is listed, nothing is left out.
        ("rtt_leaves_out", Value::Words(list)) => d.rtt_bounds.iter().any(|b| {
            facts.has_capture(&b.capture)
                && !b.possible_codes.is_empty()
                && !list.iter().any(|c| b.possible_codes.contains(c))
        }),
        (law, Value::Words(list)) => law_fits(d, law, list),
        ("max_km_below", Value::Limit(km)) if facts.alone.is_some() => {
            d.rtt_bounds.iter().any(|b| facts.has_capture(&b.capture) && b.max_km < *km)
        }
        ("max_km_below", Value::Limit(km)) => d.max_km.is_some_and(|m| m < *km),
        _ => false,
    }
}

/// The steps of a run of the messenger, with the bytes that its flows carried in each. A step lasts from its mark to the next one, or to the
/// end of the capture; without marks only a single step has a time.
fn steps_of<'r>(input: &'r Input, messenger: &str, flows: &[&'r Flow]) -> Vec<Done<'r>> {
    let time = |text: &str| text.parse::<jiff::Timestamp>().ok().map(|t| t.as_nanosecond() as f64 / 1e9);
    let of_messenger = |run: &&crate::model::Run| run.messenger.as_deref() == Some(messenger);
    let Some(run) = input.run.as_ref().filter(of_messenger) else { return Vec::new() };
    let here: Vec<&Flow> = flows.iter().filter(|f| f.capture == input.file).copied().collect();
    let Some(frame) = here.iter().map(|f| f.first_frame).min() else { return Vec::new() };
    let end = input.last_time.as_deref().and_then(time);
    let starts: Vec<(&str, Option<f64>)> =
        run.marks.iter().map(|mark| (mark.step.as_str(), time(&mark.start))).collect();
    let whole = match (&run.steps[..], input.first_time.as_deref().and_then(time), end) {
        ([_], Some(first), Some(last)) if starts.is_empty() => (last - first).max(0.0),
        _ => 0.0,
    };
    let seconds = |step: &str| {
        let each = starts.iter().enumerate().filter(|(_, (name, _))| *name == step);
        let lasts = each.filter_map(|(n, (_, start))| {
            let next = starts.get(n + 1).map_or(end, |(_, next)| *next);
            Some((next? - (*start)?).max(0.0))
        });
        whole + lasts.sum::<f64>()
    };
    let bytes = |step: &str, f: &Flow| -> u64 {
        if starts.is_empty() {
            return if run.steps.len() == 1 { f.bytes_up.saturating_add(f.bytes_down) } else { 0 };
        }
        f.by_step.iter().filter(|b| b.step == step).map(|b| b.bytes_up.saturating_add(b.bytes_down)).sum()
    };
    let names: BTreeSet<&str> =
        run.steps.iter().map(String::as_str).chain(starts.iter().map(|(step, _)| *step)).collect();
    let done = names.into_iter().map(|step| {
        let is_own = |f: &&&Flow| {
            f.messenger_why.as_deref().is_some_and(|why| why != "run" && !why.starts_with("shared:"))
        };
        let own = here.iter().filter(is_own);
        Done {
            capture: &input.file,
            step,
            planted: &run.canaries,
            seconds: seconds(step),
            bytes: here.iter().map(|f| bytes(step, f)).sum(),
            own: own.map(|f| bytes(step, f)).sum(),
            frame,
        }
    });
    done.collect()
}

/// What flows of a messenger carried in a step of a run; `None` where the run did no such step with them.
#[must_use]
pub fn step_of(input: &Input, messenger: &str, flows: &[&Flow], step: &str) -> Option<Rest> {
    let done = steps_of(input, messenger, flows).into_iter().find(|done| done.step == step)?;
    Some(Rest {
        step: step.to_owned(),
        milliseconds: (done.seconds * 1000.0) as u64,
        bytes: done.bytes,
        own: done.own,
    })
}

impl Claim {
    /// Whether a step with such traffic, done as often as the claim asks, is what it says.
    #[must_use]
    pub fn is_fitted_by(&self, rest: &Rest) -> bool {
        static NOTHING: BTreeMap<String, String> = BTreeMap::new();
        let done = Done {
            capture: "",
            step: &rest.step,
            planted: &NOTHING,
            seconds: rest.milliseconds as f64 / 1000.0,
            bytes: rest.bytes,
            own: rest.own,
            frame: 0,
        };
        let facts = Facts::of_steps(done, self.min_runs.clamp(1, MAX_MIN_RUNS) as usize);
        self.supports.as_ref().is_some_and(|supports| facts.eval(supports).0)
    }
}

/// What belongs to one messenger, in the captures that count.
#[derive(Debug, Default)]
pub(super) struct Facts<'r> {
    pub(super) flows: Vec<&'r Flow>,
    pub(super) destinations: Vec<&'r Destination>,
    pub(super) findings: Vec<&'r Finding>,
    /// Measures of doses and responses.
    pub(super) doses: Vec<&'r Leakage>,
    calls: Vec<&'r Call>,
    steps: Vec<Done<'r>>,
    /// In how many recordings a finding's value stands, by the value.
    recurring: HashMap<u64, usize>,
    /// The messenger's flows by `CAPTURE#FLOW`.
    by_handle: HashMap<String, &'r Flow>,
    /// The ends of the messenger's flows, by `CAPTURE#FLOW`.
    ends: HashMap<String, Vec<&'r Destination>>,
    /// The messenger's flows at each end, by its address.
    at: HashMap<&'r str, Vec<&'r Flow>>,
    /// The capture, where these are the facts of one alone.
    alone: Option<&'r str>,
    /// What was left out because the device sends it without the app as well.
    pub(super) noise: LeftOut<'r>,
}

/// Flows that control runs, or the recorder on the device, show to be no app's doing (`noise`).
#[derive(Debug, Default)]
pub(super) struct LeftOut<'r> {
    /// Captures of which that is known.
    pub(super) compared: BTreeSet<&'r str>,
    /// The flows that were left out.
    pub(super) flows: u64,
    /// Their ends.
    pub(super) ends: BTreeSet<&'r str>,
}

impl<'r> Facts<'r> {
    /// Those of `messenger` in `captures`.
    pub(super) fn of(report: &'r Report, messenger: &str, captures: &BTreeSet<&str>) -> Facts<'r> {
        let mut noise = LeftOut::default();
        let of_messenger =
            |f: &&Flow| f.messenger.as_deref() == Some(messenger) && captures.contains(f.capture.as_str());
        let mut flows: Vec<&Flow> = report.flows.iter().filter(of_messenger).collect();
        for flow in &flows {
            if flow.also_seen.is_some_and(|seen| seen.is_noise() || seen.remains()) {
                noise.compared.insert(&flow.capture);
            }
        }
        // What the device sends by itself says nothing of the app. It stays in the report, marked.
        let mut left: BTreeSet<(&str, u64)> = BTreeSet::new();
        flows.retain(|flow| {
            if flow.is_noise() {
                noise.flows += 1;
                noise.ends.insert(&flow.server);
                left.insert((&flow.capture, flow.flow));
            }
            !flow.is_noise()
        });
        let by_handle: HashMap<String, &Flow> =
            flows.iter().map(|f| (handle(&f.capture, f.flow), *f)).collect();
        let mut facts = Facts { flows, by_handle, noise, ..Facts::default() };
        for d in report.destinations.iter().filter(|d| d.messengers.iter().any(|m| m == messenger)) {
            let here: Vec<&Flow> = d.flows.iter().filter_map(|h| facts.by_handle.get(h).copied()).collect();
            facts.add_end(d, here);
        }
        facts.findings = report
            .findings
            .iter()
            .filter(|f| f.messenger.as_deref() == Some(messenger) && captures.contains(f.capture.as_str()))
            .filter(|f| !left.contains(&(f.capture.as_str(), f.flow)))
            .collect();
        let of_captures = |l: &&Leakage| l.evidence.iter().all(|e| captures.contains(e.capture.as_str()));
        facts.doses = report
            .leakage
            .iter()
            .filter(|l| l.dose.is_some() && l.messenger.as_deref() == Some(messenger))
            .filter(of_captures)
            .collect();
        facts.calls = report
            .calls
            .iter()
            .filter(|c| c.messenger.as_deref() == Some(messenger) && captures.contains(c.capture.as_str()))
            .collect();
        let inputs = report.inputs.iter().filter(|i| captures.contains(i.file.as_str()));
        facts.steps = inputs.clone().flat_map(|input| steps_of(input, messenger, &facts.flows)).collect();
        let recordings: HashMap<&str, _> = inputs.map(|i| (i.file.as_str(), i.recording())).collect();
        let mut seen: HashMap<u64, BTreeSet<_>> = HashMap::new();
        for f in facts.findings.iter().filter(|f| f.value != 0) {
            // A recording that is there twice counts once.
            let recording = recordings.get(f.capture.as_str()).copied().flatten();
            let file = recording.is_none().then_some(f.capture.as_str());
            seen.entry(f.value).or_default().insert((recording, file));
        }
        facts.recurring = seen.into_iter().map(|(value, runs)| (value, runs.len())).collect();
        facts
    }

    /// Those of a step that was done so many times.
    pub(super) fn of_steps(done: Done<'r>, times: usize) -> Facts<'r> {
        Facts { steps: vec![done; times], ..Facts::default() }
    }

    /// In how many recordings a value stands; 0 for none.
    fn runs_with(&self, value: u64) -> usize {
        self.recurring.get(&value).copied().unwrap_or_default()
    }

    /// Those of one measure of doses by itself.
    pub(super) fn of_measure(measure: &'r Leakage) -> Facts<'r> {
        Facts { doses: vec![measure], ..Facts::default() }
    }

    fn add_end(&mut self, d: &'r Destination, flows: Vec<&'r Flow>) {
        if flows.is_empty() {
            return;
        }
        for f in &flows {
            self.ends.entry(handle(&f.capture, f.flow)).or_default().push(d);
        }
        self.destinations.push(d);
        self.at.insert(&d.address, flows);
    }

    /// The facts of each capture alone. A measure of doses is of no single one.
    pub(super) fn by_capture(&self) -> BTreeMap<&'r str, Facts<'r>> {
        let mut parts: BTreeMap<&'r str, Facts<'r>> = BTreeMap::new();
        for f in &self.flows {
            let part = parts.entry(&f.capture).or_default();
            part.alone = Some(&f.capture);
            part.flows.push(f);
            part.by_handle.insert(handle(&f.capture, f.flow), f);
        }
        for f in &self.findings {
            if let Some(part) = parts.get_mut(f.capture.as_str()) {
                part.findings.push(f);
            }
        }
        for call in &self.calls {
            if let Some(part) = parts.get_mut(call.capture.as_str()) {
                part.calls.push(call);
            }
        }
        for done in &self.steps {
            if let Some(part) = parts.get_mut(done.capture) {
                part.steps.push(*done);
            }
        }
        for d in &self.destinations {
            let mut here: BTreeMap<&'r str, Vec<&'r Flow>> = BTreeMap::new();
            for f in self.flows_at(d) {
                here.entry(&f.capture).or_default().push(f);
            }
            for (capture, flows) in here {
                if let Some(part) = parts.get_mut(capture) {
                    part.add_end(d, flows);
                }
            }
        }
        parts
    }

    /// Flows that carried something, as items.
    pub(super) fn with_payload(&self) -> Vec<Item<'r>> {
        let carried = self.flows.iter().filter(|f| f.encryption != "empty");
        carried.map(|f| Item::Flow(f, Shown::default())).collect()
    }

    /// The flows that items are of or came from, each once, in the order of the report.
    pub(super) fn flows_behind(&self, items: &[Item<'_>]) -> Vec<&'r Flow> {
        let handles: BTreeSet<(&str, u64)> = items
            .iter()
            .flat_map(|item| match item {
                Item::Flow(f, _) | Item::Name(f, _) => vec![(f.capture.as_str(), f.flow)],
                Item::Finding(f) => vec![(f.capture.as_str(), f.flow)],
                Item::Destination(d, _) => self.flows_at(d).map(|f| (f.capture.as_str(), f.flow)).collect(),
                Item::Call(c) => c.flows.iter().map(|flow| (c.capture.as_str(), *flow)).collect(),
                Item::Step(done) => {
                    let here = self.flows.iter().filter(|f| f.capture == done.capture);
                    here.map(|f| (f.capture.as_str(), f.flow)).collect()
                }
                Item::Dose(_) => Vec::new(),
            })
            .collect();
        let of_item = |f: &&&Flow| handles.contains(&(f.capture.as_str(), f.flow));
        self.flows.iter().filter(of_item).copied().collect()
    }

    /// The messenger's flows at an end.
    pub(super) fn flows_at(&self, d: &Destination) -> impl Iterator<Item = &'r Flow> {
        self.at.get(d.address.as_str()).into_iter().flatten().copied()
    }

    /// Whether these facts speak of a capture.
    pub(super) fn has_capture(&self, capture: &str) -> bool {
        self.alone.is_none_or(|alone| alone == capture)
    }

    fn items(&self, subject: Subject) -> Vec<Item<'r>> {
        match subject {
            Subject::Flows => self.flows.iter().map(|f| Item::Flow(f, Shown::default())).collect(),
            Subject::Destinations => {
                self.destinations.iter().map(|d| Item::Destination(d, Shown::default())).collect()
            }
            Subject::Findings => self.findings.iter().map(|f| Item::Finding(f)).collect(),
            Subject::Doses => self.doses.iter().map(|measure| Item::Dose(measure)).collect(),
            Subject::Calls => self.calls.iter().map(|call| Item::Call(call)).collect(),
            Subject::Steps => self.steps.iter().map(|done| Item::Step(*done)).collect(),
            Subject::Names => {
                // What the reference data call an address was not seen in the traffic.
                let seen = |f: &&'r Flow| f.names.iter().filter(|n| n.source != "reverse");
                self.flows.iter().flat_map(|f| seen(f).map(|n| Item::Name(f, n))).collect()
            }
        }
    }

    /// Whether `predicate` matches, and the items that show it.
    pub(super) fn eval<'p>(&self, predicate: &'p Predicate) -> (bool, Vec<Item<'p>>)
    where
        'r: 'p,
    {
        match predicate {
            Predicate::Not(inner) => (!self.eval(inner).0, Vec::new()),
            Predicate::AllOf(parts) => {
                let parts: Vec<_> = parts.iter().map(|p| self.eval(p)).collect();
                let all = parts.iter().all(|(m, _)| *m);
                (all, if all { parts.into_iter().flat_map(|(_, items)| items).collect() } else { Vec::new() })
            }
            Predicate::AnyOf(parts) => {
                let parts: Vec<_> = parts.iter().map(|p| self.eval(p)).filter(|(m, _)| *m).collect();
                (!parts.is_empty(), parts.into_iter().flat_map(|(_, items)| items).collect())
            }
            Predicate::InOneRun(parts) => self.in_one_run(parts),
            Predicate::Leaf(leaf) => self.leaf(leaf),
        }
    }

    /// Whether all of the parts match in one and the same run, and the items of every run in which they do.
    fn in_one_run<'p>(&self, parts: &'p [Predicate]) -> (bool, Vec<Item<'p>>)
    where
        'r: 'p,
    {
        // What matches in no run cannot match in one, and to take the runs apart is the dearer way.
        let is_any = |p: &&Predicate| matches!(p, Predicate::Leaf(l) if l.quantifier == Quantifier::Any);
        if parts.iter().filter(is_any).any(|p| !self.eval(p).0) {
            return (false, Vec::new());
        }
        let (mut matches, mut items) = (false, Vec::new());
        for run in self.by_capture().into_values() {
            let parts: Vec<_> = parts.iter().map(|p| run.eval(p)).collect();
            if parts.iter().all(|(m, _)| *m) {
                matches = true;
                items.extend(parts.into_iter().flat_map(|(_, items)| items));
            }
        }
        (matches, items)
    }

    fn leaf<'p>(&self, leaf: &'p Leaf) -> (bool, Vec<Item<'p>>)
    where
        'r: 'p,
    {
        let shown = Shown::of(leaf);
        let looked_at: Vec<Item<'p>> =
            self.items(leaf.subject).into_iter().filter(|i| leaf.of.fit(i, self)).collect();
        let fit: Vec<Item<'p>> = looked_at
            .iter()
            .filter(|i| leaf.conditions.fit(i, self))
            .map(|i| match i {
                Item::Flow(f, _) => Item::Flow(f, shown),
                Item::Destination(d, _) => Item::Destination(d, shown),
                other => *other,
            })
            .collect();
        let matches = match &leaf.quantifier {
            Quantifier::Any => !fit.is_empty(),
            Quantifier::All => !looked_at.is_empty() && fit.len() == looked_at.len(),
            Quantifier::None => fit.is_empty(),
            Quantifier::Count(n) => fit.len() as u64 >= *n,
            Quantifier::Share(x) => is_share_of_each_run(*x, &looked_at, &fit),
        };
        (matches, if matches { fit } else { Vec::new() })
    }
}

/// A share has to be reached in each capture that has items: runs are not averaged, so that one with many items does not hide another. An
/// end that several captures share counts in all of them as one.
fn is_share_of_each_run(share: f64, looked_at: &[Item<'_>], fit: &[Item<'_>]) -> bool {
    let count = |items: &[Item<'_>]| {
        let mut by_capture: BTreeMap<String, usize> = BTreeMap::new();
        for item in items {
            let capture = match item {
                Item::Flow(f, _) | Item::Name(f, _) => f.capture.clone(),
                Item::Finding(f) => f.capture.clone(),
                Item::Call(call) => call.capture.clone(),
                Item::Step(done) => done.capture.to_owned(),
                Item::Destination(..) | Item::Dose(_) => String::new(),
            };
            *by_capture.entry(capture).or_default() += 1;
        }
        by_capture
    };
    let (all, fit) = (count(looked_at), count(fit));
    !all.is_empty()
        && all
            .iter()
            .all(|(capture, n)| fit.get(capture).copied().unwrap_or_default() as f64 >= share * *n as f64)
}
