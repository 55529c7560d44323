//! The claim language as types (`docs/claims-language.md`).

use super::predicate::Conditions;
use crate::model::{Criterion, Text, Vantage};

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
    /// What to do to decide it.
    pub undecided: Text,
    /// Limits of the evidence.
    pub note: Text,
    /// Why the comparison's wording no longer fits.
    pub superseded: Text,
    /// Control it needs, `K1` … `K9`; empty when none.
    pub control: String,
    /// Where claim and facts come from.
    pub sources: Vec<Source>,
    /// The file it stands in.
    pub file: String,
    /// The line of its id.
    pub line: usize,
}

impl Claim {
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
            Predicate::AllOf(parts) | Predicate::AnyOf(parts) => {
                parts.iter().flat_map(Predicate::leaves).collect()
            }
            Predicate::Not(inner) => inner.leaves(),
            Predicate::Leaf(leaf) => vec![leaf],
        }
    }

    fn asks_for_ends(&self) -> bool {
        self.leaves().into_iter().any(|leaf| {
            leaf.subject == Subject::Destinations || leaf.of.has("to") || leaf.conditions.has("to")
        })
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
    /// One or more of them.
    AnyOf(Vec<Predicate>),
    /// Not this.
    Not(Box<Predicate>),
    /// One quantifier over one subject.
    Leaf(Leaf),
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
}
