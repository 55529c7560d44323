//! Which message says which value of the model: one match per enum, so that a new value cannot go unworded.

use super::wording::{Arg, Wording};
use crate::model::{
    Agreement, AlsoSeen, Basis, ClaimResult, Confidence, ContentClass, Criterion, Destination, Direction,
    Embedded, EmbeddedForm, EndName, FindingKind, Jurisdiction, JurisdictionWhy, Report, Role, RunsVerdict,
    Severity, Unverified, Vantage, Verdict, Zone,
};

/// Every verdict in the order in which reports count them.
pub(crate) const VERDICTS: [Verdict; 5] = [
    Verdict::Supported,
    Verdict::Contradicted,
    Verdict::NotContradicted,
    Verdict::Inconclusive,
    Verdict::Documentary,
];

/// The mark of a verdict, beside its word; no two look alike without colour.
pub(crate) fn mark(verdict: Verdict) -> char {
    match verdict {
        Verdict::Supported => '✓',
        Verdict::Contradicted => '✗',
        Verdict::NotContradicted => '○',
        Verdict::Inconclusive => '?',
        Verdict::Documentary => '§',
    }
}

/// Place of a verdict where those come first that a reader should see first.
pub(crate) fn urgency(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Contradicted => 0,
        Verdict::Supported => 1,
        Verdict::NotContradicted => 2,
        Verdict::Inconclusive => 3,
        Verdict::Documentary => 4,
    }
}

/// That the comparison's wording of a claim no longer fits, with the time since when where that is known: by the claim itself, else by the
/// one that takes its place.
pub(crate) fn superseded(claim: &ClaimResult, report: &Report, wording: &Wording) -> Option<String> {
    if claim.superseded.is_empty() && claim.superseded_by.is_empty() {
        return None;
    }
    let successor = report.claims.iter().find(|c| c.id == claim.superseded_by);
    let since = [Some(&claim.valid_until), successor.map(|c| &c.valid_from)];
    let since = since.into_iter().flatten().find(|text| !text.is_empty());
    Some(match since {
        Some(since) => wording.with("superseded-since", &[("since", Arg::Text(&wording.date(since)))]),
        None => wording.text("superseded"),
    })
}

/// From when on, or until when, a claim holds; empty where it does not say.
pub(crate) fn validity(claim: &ClaimResult, wording: &Wording) -> String {
    let bound = |id: &str, text: &str| {
        (!text.is_empty()).then(|| wording.with(id, &[("when", Arg::Text(&wording.date(text)))]))
    };
    let bounds = [bound("valid-from", &claim.valid_from), bound("valid-until", &claim.valid_until)];
    bounds.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

pub(crate) fn verdict_id(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Supported => "verdict-supported",
        Verdict::Contradicted => "verdict-contradicted",
        Verdict::NotContradicted => "verdict-not-contradicted",
        Verdict::Inconclusive => "verdict-inconclusive",
        Verdict::Documentary => "verdict-documentary",
    }
}

pub(crate) fn verdict_count_id(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Supported => "count-supported",
        Verdict::Contradicted => "count-contradicted",
        Verdict::NotContradicted => "count-not-contradicted",
        Verdict::Inconclusive => "count-inconclusive",
        Verdict::Documentary => "count-documentary",
    }
}

pub(crate) fn verdict_meaning_id(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Supported => "meaning-supported",
        Verdict::Contradicted => "meaning-contradicted",
        Verdict::NotContradicted => "meaning-not-contradicted",
        Verdict::Inconclusive => "meaning-inconclusive",
        Verdict::Documentary => "meaning-documentary",
    }
}

/// The message of a reason for `inconclusive`; `None` for a word that the contract does not know.
pub(crate) fn reason_id(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "not-exercised" => "reason-not-exercised",
        "opaque" => "reason-opaque",
        "too-few-runs" => "reason-too-few-runs",
        "control-failed" => "reason-control-failed",
        "vantage-unsuitable" => "reason-vantage-unsuitable",
        _ => return None,
    })
}

pub(crate) fn criterion_id(criterion: Criterion) -> &'static str {
    match criterion {
        Criterion::Gdpr => "criterion-gdpr",
        Criterion::Metadata => "criterion-metadata",
        Criterion::Threshold => "criterion-threshold",
    }
}

/// The message of an agreement.
#[must_use]
pub fn agreement_id(agreement: Agreement) -> &'static str {
    match agreement {
        Agreement::All => "agreement-all",
        Agreement::Majority => "agreement-majority",
        Agreement::Disagree => "agreement-disagree",
        Agreement::Single => "agreement-single",
        Agreement::None => "agreement-none",
    }
}

/// The message of a role.
#[must_use]
pub fn role_id(role: Role) -> &'static str {
    match role {
        Role::FirstParty => "role-first-party",
        Role::Hosting => "role-hosting",
        Role::Cdn => "role-cdn",
        Role::Push => "role-push",
        Role::Tracker => "role-tracker",
        Role::Resolver => "role-resolver",
        Role::Relay => "role-relay",
        Role::Peer => "role-peer",
        Role::Time => "role-time",
        Role::Platform => "role-platform",
        Role::Unknown => "role-unknown",
    }
}

pub(crate) fn zone_id(zone: Zone) -> &'static str {
    match zone {
        Zone::Ch => "zone-ch",
        Zone::Eea => "zone-eea",
        Zone::Adequate => "zone-adequate",
        Zone::Us => "zone-us",
        Zone::Other => "zone-other",
        Zone::Unknown => "zone-unknown",
    }
}

pub(crate) fn content_class_id(class: ContentClass) -> &'static str {
    match class {
        ContentClass::Cleartext => "content-cleartext",
        ContentClass::Compressed => "content-compressed",
        ContentClass::Media => "content-media",
        ContentClass::Encrypted => "content-encrypted",
        ContentClass::Opaque => "content-opaque",
    }
}

/// A law that applies, in words. What nobody looked up is said, and no lack of a basis asserted on the ground of it.
#[must_use]
pub fn law(law: &Jurisdiction, wording: &Wording) -> String {
    let basis = if law.unverified.contains(&Unverified::Dpf) { "basis-unknown" } else { basis_id(law.basis) };
    let doubts: Vec<String> = law.unverified.iter().map(|part| wording.text(unverified_id(*part))).collect();
    let doubts = doubts.join("; ");
    let id = if doubts.is_empty() { "jurisdiction" } else { "jurisdiction-unverified" };
    wording.with(
        id,
        &[
            ("country", Arg::Text(&wording.country(&law.code))),
            ("why", Arg::Text(&wording.text(why_id(law.why)))),
            ("basis", Arg::Text(&wording.text(basis))),
            ("date", Arg::Text(&wording.date(&law.as_of))),
            ("what", Arg::Text(&doubts)),
        ],
    )
}

/// Whose service an end is, in words; `None` where no messenger's own domain or network tells.
#[must_use]
pub fn service_text(destination: &Destination, wording: &Wording) -> Option<String> {
    let companies = destination.service_of.join(", ");
    (!companies.is_empty()).then(|| wording.with("service-of", &[("companies", Arg::Text(&companies))]))
}

/// The IPv4 address within an IPv6 one, in words.
#[must_use]
pub fn carries(embedded: &Embedded, wording: &Wording) -> String {
    wording.with(embedded_id(embedded.form), &[("address", Arg::Text(&embedded.address))])
}

/// Where a name was seen, and whether its answer had run out; empty where nothing is known of it.
#[must_use]
pub fn name_note(name: &EndName, wording: &Wording) -> String {
    let sources = name.sources.iter();
    let mut notes: Vec<String> =
        sources.map(|s| name_source_id(s).map_or_else(|| s.clone(), |id| wording.text(id))).collect();
    if name.expired {
        notes.push(wording.text("name-expired"));
    }
    notes.join(", ")
}

pub(crate) fn unverified_id(part: Unverified) -> &'static str {
    match part {
        Unverified::Seat => "unverified-seat",
        Unverified::Dpf => "unverified-dpf",
        Unverified::Decision => "unverified-decision",
    }
}

pub(crate) fn embedded_id(form: EmbeddedForm) -> &'static str {
    match form {
        EmbeddedForm::Ipv4Mapped => "embedded-ipv4-mapped",
        EmbeddedForm::Nat64 => "embedded-nat64",
        EmbeddedForm::SixToFour => "embedded-6to4",
    }
}

/// The message for where a name was seen; `None` for a word that the schema does not know.
pub(crate) fn name_source_id(source: &str) -> Option<&'static str> {
    Some(match source {
        "dns" => "name-dns",
        "sni" => "name-sni",
        "certificate" => "name-certificate",
        "http-host" => "name-http-host",
        "xmpp-to" => "name-xmpp-to",
        "dns-hint" => "name-dns-hint",
        "dns-ptr" => "name-dns-ptr",
        "reverse" => "name-reverse",
        _ => return None,
    })
}

/// The message for why destinations before the first action are not counted; `None` for a word that the schema does not know.
pub(crate) fn no_before_id(note: &str) -> Option<&'static str> {
    Some(match note {
        "no-marks" => "exposure-no-marks",
        "no-action" => "exposure-no-action",
        _ => return None,
    })
}

/// The message for why a round trip bounds nothing; `None` for a word that the schema does not know.
pub(crate) fn rtt_note_id(note: &str) -> Option<&'static str> {
    Some(match note {
        "vantage-unknown" => "rtt-note-vantage-unknown",
        "vantage-vpn" => "rtt-note-vantage-vpn",
        "vantage-server" => "rtt-note-vantage-server",
        "answered-locally" => "rtt-note-answered-locally",
        "place-unknown" => "rtt-note-place-unknown",
        "no-outline" => "rtt-note-no-outline",
        _ => return None,
    })
}

pub(crate) fn basis_id(basis: Basis) -> &'static str {
    match basis {
        Basis::Eea => "basis-eea",
        Basis::Adequacy => "basis-adequacy",
        Basis::Dpf => "basis-dpf",
        Basis::None => "basis-none",
    }
}

pub(crate) fn why_id(why: JurisdictionWhy) -> &'static str {
    match why {
        JurisdictionWhy::Place => "why-place",
        JurisdictionWhy::OperatorSeat => "why-operator-seat",
        JurisdictionWhy::ServiceSeat => "why-service-seat",
    }
}

pub(crate) fn kind_id(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Credential => "kind-credential",
        FindingKind::Canary => "kind-canary",
        FindingKind::Identifier => "kind-identifier",
        FindingKind::Content => "kind-content",
        FindingKind::Cookie => "kind-cookie",
        FindingKind::Token => "kind-token",
        FindingKind::Name => "kind-name",
    }
}

pub(crate) fn confidence_id(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Low => "confidence-low",
        Confidence::Medium => "confidence-medium",
        Confidence::High => "confidence-high",
    }
}

pub(crate) fn severity_id(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "severity-info",
        Severity::Low => "severity-low",
        Severity::Medium => "severity-medium",
        Severity::High => "severity-high",
        Severity::Critical => "severity-critical",
    }
}

pub(crate) fn direction_id(direction: Direction) -> &'static str {
    match direction {
        Direction::Up => "direction-up",
        Direction::Down => "direction-down",
    }
}

pub(crate) fn vantage_id(vantage: Vantage) -> &'static str {
    match vantage {
        Vantage::Router => "vantage-router",
        Vantage::Vpn => "vantage-vpn",
        Vantage::Device => "vantage-device",
        Vantage::Server => "vantage-server",
    }
}

impl Wording {
    /// The word of a verdict, e.g. `nicht widerlegt`.
    #[must_use]
    pub fn verdict(&self, verdict: Verdict) -> String {
        self.text(verdict_id(verdict))
    }

    /// The words of a reason for `inconclusive`; a reason outside of the contract comes back as it is.
    #[must_use]
    pub fn reason(&self, reason: &str) -> String {
        reason_id(reason).map_or_else(|| super::escape_terminal(reason).into_owned(), |id| self.text(id))
    }

    /// The name of a messenger by its id; the id itself for one that has no name here.
    #[must_use]
    pub fn messenger(&self, id: &str) -> String {
        self.named("messenger-", id, id)
    }

    /// The name of a country by its ISO code; the code itself for one that has no name here.
    #[must_use]
    pub fn country(&self, code: &str) -> String {
        self.named("country-", code, code)
    }

    /// What a class of the coverage ledger holds; the class itself where nothing is said of it.
    #[must_use]
    pub fn ledger_class(&self, class: &str) -> String {
        self.named("ledger-", &class.replace('.', "-"), class)
    }

    fn named(&self, family: &str, id: &str, otherwise: &str) -> String {
        // Ids come from files that people edit; what is no message id is never looked up.
        let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let name = if plain { self.optional(&format!("{family}{id}")) } else { None };
        name.unwrap_or_else(|| super::escape_terminal(otherwise).into_owned())
    }
}
/// What a cloud's operator publishes of an end: `Amazon AWS, region eu-west-1`.
pub fn cloud_text(destination: &Destination, wording: &Wording) -> Option<String> {
    let cloud = destination.cloud.as_ref()?;
    let region = cloud.region.as_ref()?;
    let (provider, source) = (Arg::Text(&cloud.provider), Arg::Text(&cloud.source));
    Some(
        wording.with(
            "place-region",
            &[("provider", provider), ("region", Arg::Text(region)), ("source", source)],
        ),
    )
}

/// What runs of one kind show alone, in one line.
pub(crate) fn kind_of_runs(runs: &RunsVerdict, wording: &Wording) -> String {
    let mut verdict = wording.verdict(runs.verdict);
    if !runs.reason.is_empty() {
        verdict = format!("{verdict} ({})", wording.reason(&runs.reason));
    }
    let app = runs.app.clone().unwrap_or_else(|| wording.text("runs-unknown-app"));
    let day = runs.day.as_deref().map_or_else(|| wording.text("runs-unknown-day"), |day| wording.date(day));
    let vantage = runs.vantage.map_or("vantage-unknown", vantage_id);
    wording.with(
        "runs-line",
        &[
            ("verdict", Arg::Text(&verdict)),
            ("app", Arg::Text(&app)),
            ("day", Arg::Text(&day)),
            ("vantage", Arg::Text(&wording.text(vantage))),
            ("n", Arg::Count(runs.count)),
        ],
    )
}

/// A kind of control run.
pub(crate) fn control(kind: &str, wording: &Wording) -> String {
    wording.text(if kind == "without-app" { "noise-control-without-app" } else { "noise-control-idle" })
}

/// Where else traffic was seen; `None` where it was not, or nothing was compared.
pub(crate) fn also_seen(seen: Option<AlsoSeen>, wording: &Wording) -> Option<String> {
    let seen = seen?;
    let all = [
        (seen.without_app, "also-without-app"),
        (seen.when_idle, "also-when-idle"),
        (seen.other_app, "also-other-app"),
    ];
    let said: Vec<String> =
        all.into_iter().filter(|(is, _)| *is == Some(true)).map(|(_, id)| wording.text(id)).collect();
    (!said.is_empty()).then(|| said.join(", "))
}
