//! The claim language as types (`docs/claims-language.md`).

use super::predicate::{Conditions, Value};
use crate::model::{Criterion, Finding, Text, Vantage};

/// A claim as its file says it, checked.
#[derive(Clone, Debug)]
pub struct Claim {
    /// `messenger.name`.
    pub id: String,
    /// The part of the id before the point.
    pub messenger: String,
    /// Criterion of the comparison.
    pub criterion: Criterion,
    /// One sentence.
    pub text: Text,
    /// Where the comparison says it; empty when it does not.
    pub section: String,
    /// What can decide it.
    pub decided_by: DecidedBy,
    /// Shows that it is true.
    pub supports: Option<Predicate>,
    /// Shows that it is false.
    pub contradicts: Option<Predicate>,
    /// Listed while undecided.
    pub shows: Option<Predicate>,
    /// It says that something does not happen.
    pub absence: bool,
    /// Steps that must have been exercised.
    pub steps: Vec<String>,
    /// Where captures must have been taken; empty when anywhere will do.
    pub vantage: Vec<Vantage>,
    /// Runs needed, each step in as many; 0 when one will do.
    pub min_runs: u64,
    /// It says that something leaves only as a hash of a telephone number: whether that protects it is a second verdict.
    pub hash_of_number: bool,
    /// Reason when nothing matches.
    pub otherwise: String,
    /// What is said instead where more is known of why it stays undecided; the first that fits.
    pub cases: Vec<Case>,
    /// What to do to decide it.
    pub undecided: Text,
    /// Limits of the evidence.
    pub note: Text,
    /// Why the comparison's wording no longer fits.
    pub superseded: Text,
    /// The claim that says what holds today.
    pub superseded_by: Option<Successor>,
    /// Date or version from which on it holds; empty when it does not say.
    pub valid_from: String,
    /// Date or version up to which it held; empty when it does not say.
    pub valid_until: String,
    /// Control it needs, `K1` … `K9`; empty when none.
    pub control: String,
    /// Where claim and facts come from.
    pub sources: Vec<Source>,
    /// The file it stands in.
    pub file: String,
    /// The line of its id.
    pub line: usize,
}

/// The claim that takes the place of an outdated one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Successor {
    /// Its id.
    pub id: String,
    /// The line that names it.
    pub line: usize,
}

/// One of the ways in which a claim stays undecided.
#[derive(Clone, Debug)]
pub struct Case {
    /// When it is this one.
    pub when: Predicate,
    /// The reason.
    pub reason: String,
    /// What to do, or why traffic cannot decide it.
    pub undecided: Text,
    /// No recording decides it: what is listed has to be looked at by hand.
    pub by_hand: bool,
}

/// Conditions on flows that ask what was read of their bytes.
const READ: [&str; 14] = [
    "read",
    "encryption",
    "not_encryption",
    "app_protocol",
    "signature",
    "tls_version",
    "ech",
    "name",
    "clear_bytes_over",
    "clear_messages_over",
    "cipher",
    "certificate_subject",
    "certificate_issuer",
    "certificate_fault",
];
/// Those that keys can give more for.
const OPENED: [&str; 3] = ["certificate_subject", "certificate_issuer", "certificate_fault"];
/// Canaries of messages and of what is attached to them.
const CONTENTS: [&str; 7] = ["message", "text", "answer", "attachment", "file", "picture", "media"];
/// What a canary of an account is called in a run, and what the claims call it.
const OF_ACCOUNTS: [(&str, &[&str]); 3] = [
    ("number", &["number", "phone"]),
    ("mail", &["mail", "email"]),
    ("user", &["name", "user", "account", "device", "password"]),
];

impl Claim {
    /// A claim for every messenger as that of one.
    pub(super) fn of(&self, messenger: &str) -> Claim {
        let id = self.id.replacen('*', messenger, 1);
        let mut superseded_by = self.superseded_by.clone();
        if let Some(successor) = &mut superseded_by {
            successor.id = successor.id.replacen('*', messenger, 1);
        }
        Claim { id, messenger: messenger.to_owned(), superseded_by, ..self.clone() }
    }

    /// The leaves of what can decide it.
    fn deciding(&self) -> impl Iterator<Item = &Leaf> {
        [&self.supports, &self.contradicts].into_iter().flatten().flat_map(Predicate::leaves)
    }

    /// Whether captures can decide it by a predicate.
    pub(super) fn is_decidable(&self) -> bool {
        self.supports.is_some() || self.contradicts.is_some()
    }

    /// Whether what decides it has to be read from the bytes, so that nothing but opaque ones leaves it open.
    pub(super) fn reads(&self) -> bool {
        self.deciding().any(|leaf| match leaf.subject {
            Subject::Findings | Subject::Names => true,
            _ => READ.iter().any(|name| leaf.has(name)),
        })
    }

    /// Whether keys of connections can bring to light what decides it.
    pub(super) fn is_fed_by_keys(&self) -> bool {
        self.deciding().any(|leaf| {
            leaf.subject == Subject::Findings && !leaf.is_flag("decrypted", false)
                || OPENED.iter().any(|name| leaf.has(name))
                || leaf.words("source").any(|word| word == "decrypted")
        })
    }

    /// Whether nothing decides it without keys of connections.
    pub(super) fn needs_keys(&self) -> bool {
        self.deciding().any(|leaf| {
            leaf.is_flag("decrypted", true)
                || leaf.has("certificate_issuer")
                || leaf.words("source").any(|word| word == "decrypted")
        })
    }

    /// Whether a canary of a run is the one that [`Claim::canaries`] calls so.
    pub(super) fn is_called(canary: &str, name: &str) -> bool {
        let of_account = OF_ACCOUNTS.iter().find(|(known, _)| *known == name).map(|(_, words)| *words);
        let words: &[&str] = match name {
            "contact-1" => &["contact"],
            "earlier" => &["earlier"],
            _ => of_account.unwrap_or(&CONTENTS),
        };
        words.iter().any(|word| canary.starts_with(word))
    }

    /// Whether the place of a recording can decide it: by how far the round trip lets the end be.
    pub(super) fn asks_for_place(&self) -> bool {
        self.deciding()
            .any(|leaf| leaf.has("rtt_excludes") || leaf.has("rtt_leaves_out") || leaf.has("max_km_below"))
    }

    /// How long a step has to last for it, in seconds; 0 where that does not matter.
    pub(super) fn seconds(&self) -> f64 {
        self.deciding().filter_map(|leaf| leaf.limit("seconds_over")).fold(0.0, f64::max)
    }

    /// The names of the canaries that what decides it asks for, as a run would call them.
    pub(super) fn canaries(&self) -> Vec<&'static str> {
        let mut asked: Vec<&'static str> = Vec::new();
        let mut ask = |name| {
            if !asked.contains(&name) {
                asked.push(name);
            }
        };
        for leaf in self.deciding() {
            let mut named = false;
            for word in leaf.words("canary").chain(leaf.words("planted")) {
                named = true;
                let account = OF_ACCOUNTS.iter().find(|(_, words)| words.contains(&word));
                match word {
                    "contact" => ask("contact-1"),
                    "earlier" => ask("earlier"),
                    _ if CONTENTS.contains(&word) => ask("message"),
                    _ => account.iter().for_each(|(name, _)| ask(name)),
                }
            }
            if !named && leaf.subject == Subject::Findings && leaf.words("kind").any(|kind| kind == "canary")
            {
                ask("message");
            }
        }
        asked
    }

    /// Whether one of its predicates asks for a measure of doses and responses.
    pub(super) fn asks_for_doses(&self) -> bool {
        let asks = |p: &Option<Predicate>| p.as_ref().is_some_and(Predicate::asks_for_doses);
        self.waits_for_doses() || asks(&self.shows)
    }

    /// Whether it speaks of the ends of connections, which tables tell the holders of.
    pub(super) fn asks_for_ends(&self) -> bool {
        [&self.supports, &self.contradicts].into_iter().flatten().any(Predicate::asks_for_ends)
    }

    /// Whether such a measure can decide it.
    pub(super) fn waits_for_doses(&self) -> bool {
        let asks = |p: &Option<Predicate>| p.as_ref().is_some_and(Predicate::asks_for_doses);
        asks(&self.supports) || asks(&self.contradicts)
    }
}

impl Predicate {
    fn asks_for_doses(&self) -> bool {
        self.leaves().into_iter().any(|leaf| leaf.subject == Subject::Doses)
    }
}

impl Predicate {
    /// Its leaves, in the order of the file.
    pub(super) fn leaves(&self) -> Vec<&Leaf> {
        match self {
            Predicate::AllOf(parts) | Predicate::InOneRun(parts) | Predicate::AnyOf(parts) => {
                parts.iter().flat_map(Predicate::leaves).collect()
            }
            Predicate::Not(inner) => inner.leaves(),
            Predicate::Leaf(leaf) => vec![leaf],
        }
    }

    fn asks_for_ends(&self) -> bool {
        self.leaves().into_iter().any(|leaf| leaf.subject == Subject::Destinations || leaf.has("to"))
    }
}

/// What can decide a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecidedBy {
    /// Captures.
    Traffic,
    /// Documents only.
    Documentary,
}

/// A source of a claim or of a fact behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Short id, e.g. `wa.n6`.
    pub id: String,
    /// What it says, in words of our own.
    pub text: String,
    /// Where it is.
    pub url: String,
    /// Its date, or empty.
    pub date: String,
    /// No source was found that could be checked.
    pub unverified: bool,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.id, self.text)?;
        if !self.url.is_empty() {
            write!(f, " — {}", self.url)?;
        }
        if !self.date.is_empty() {
            write!(f, ", {}", self.date)?;
        }
        if self.unverified {
            write!(f, " (unverified)")?;
        }
        Ok(())
    }
}

/// What has to be seen.
#[derive(Clone, Debug)]
pub enum Predicate {
    /// All of them.
    AllOf(Vec<Predicate>),
    /// All of them in one and the same run.
    InOneRun(Vec<Predicate>),
    /// One or more of them.
    AnyOf(Vec<Predicate>),
    /// Not this.
    Not(Box<Predicate>),
    /// One quantifier over one subject.
    Leaf(Leaf),
}

impl Predicate {
    /// Whether a finding like this one would count in one of its parts, were it in a flow that the part speaks of.
    fn counts(&self, finding: &Finding) -> bool {
        match self {
            Predicate::AllOf(parts) | Predicate::InOneRun(parts) | Predicate::AnyOf(parts) => {
                parts.iter().any(|p| p.counts(finding))
            }
            Predicate::Not(inner) => inner.counts(finding),
            Predicate::Leaf(leaf) => {
                leaf.subject == Subject::Findings
                    && leaf.of.fit_finding(finding)
                    && leaf.conditions.fit_finding(finding)
            }
        }
    }
}

impl Claim {
    /// Whether its verdict rests on that a finding like this one is not there.
    #[must_use]
    pub fn counts(&self, finding: &Finding) -> bool {
        self.supports.iter().chain(&self.contradicts).any(|predicate| predicate.counts(finding))
    }
}

/// One quantifier over one subject.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// How many must fit.
    pub quantifier: Quantifier,
    /// Of what.
    pub subject: Subject,
    /// Which items are looked at.
    pub of: Conditions,
    /// What they must be.
    pub conditions: Conditions,
}

impl Leaf {
    fn has(&self, name: &str) -> bool {
        self.of.has(name) || self.conditions.has(name)
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &Value> {
        let here = self.of.iter().chain(self.conditions.iter());
        here.filter(move |(known, _)| *known == name).map(|(_, value)| value)
    }

    fn words(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values(name)
            .flat_map(|value| match value {
                Value::Words(words) => words.as_slice(),
                _ => &[],
            })
            .map(String::as_str)
    }

    /// Whether it asks something of several runs together.
    pub(super) fn spans_runs(&self) -> bool {
        self.subject == Subject::Doses || self.has("runs_over")
    }

    fn limit(&self, name: &str) -> Option<f64> {
        self.values(name).find_map(|value| match value {
            Value::Limit(limit) => Some(*limit),
            _ => None,
        })
    }

    fn is_flag(&self, name: &str, wanted: bool) -> bool {
        self.values(name).any(|value| *value == Value::Flag(wanted))
    }
}

/// How many items must fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Quantifier {
    /// One or more.
    Any,
    /// There are some, and all fit.
    All,
    /// None fits.
    None,
    /// So many or more.
    Count(u64),
    /// There are some, and this share of them fits.
    Share(f64),
}

/// What a predicate speaks of; always what belongs to the claim's messenger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Flows.
    Flows,
    /// Destinations.
    Destinations,
    /// Findings.
    Findings,
    /// Names of servers.
    Names,
    /// Measures of how an upload grows with the address book (METRICS E6).
    Doses,
    /// Calls, with the way of their media (METRICS E12).
    Calls,
    /// Steps that runs of the messenger exercised, with the traffic of each.
    Steps,
}
