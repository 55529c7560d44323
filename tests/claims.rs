//! Claims: the built-in catalogue, the engine's rules, its evidence, and what is said of a broken file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking; clippy.toml allows it in test functions, but not in their helpers"
)]

use std::collections::{BTreeMap, BTreeSet};

use metaleak::claims::{Catalogue, Claim, DecidedBy, check, judge, judge_with_controls};
use metaleak::model::{
    Agreement, AlsoSeen, Basis, Call, CaptureTime, ClaimResult, Control, DataAge, Destination, Direction,
    DoseClass, ExposedAddress, Finding, FindingKind, Flow, FlowName, FlowTls, Input, Jurisdiction,
    JurisdictionWhy, Mark, Operator, Place, Report, Role, RttBound, Run, Severity, SignatureHit, StepBytes,
    Text, TooFar, Vantage, Verdict, Warning, Whereabouts,
};
use metaleak::report::{Arg, Lang, Wording};
use metaleak::scenario::STEPS;

const MESSENGERS: [&str; 8] =
    ["whatsapp", "messenger", "telegram", "signal", "wire", "threema", "conversations", "caritas"];

/// What the catalogue must hold, by messenger; `*` is every one.
const IDS: &[(&str, &[&str])] = &[
    (
        "whatsapp",
        &[
            "widely-known",
            "owned-by-meta",
            "free-of-charge",
            "operator-for-profit",
            "e2ee-signal-protocol",
            "e2ee-undocumented",
            "content-not-analysed",
            "metadata-used-for-ads",
            "terms-2020-sharing",
            "user-exodus",
            "servers-in-usa",
            "contact-upload-required",
            "contact-upload-happens",
            "contacts-did-not-consent",
            "upload-breaches-gdpr",
            "fails-criteria",
            "e2ee-documented",
            "contact-upload-optional",
            "fined-for-non-users",
            "contact-names-stored-encrypted",
            "multi-device",
            "call-relay-setting",
            "ads-in-updates",
            "third-party-chats",
            "usernames",
            "transfers-under-dpf",
        ],
    ),
    (
        "messenger",
        &[
            "no-contact-sync",
            "owned-by-meta",
            "free-of-charge",
            "e2ee-signal-protocol",
            "content-not-ruled-out",
            "metadata-used-for-ads",
            "servers-in-usa",
            "account-required",
            "fails-criteria",
            "contact-upload-at-setup",
            "e2ee-by-default",
            "dma-gatekeeper",
            "transfers-under-dpf",
        ],
    ),
    (
        "telegram",
        &[
            "popular-features",
            "transport-encryption",
            "default-not-e2ee",
            "cloud-stores-chats",
            "operator-can-read",
            "no-info-on-use",
            "e2ee-opt-in",
            "groups-no-e2ee",
            "own-protocol",
            "client-open-source",
            "server-closed",
            "not-assessable",
            "no-desktop-e2ee",
            "usable-if-e2ee",
            "long-term-id-in-clear",
            "disclosure-in-criminal-cases",
            "call-relay-setting",
        ],
    ),
    (
        "signal",
        &[
            "free-of-charge",
            "non-commercial",
            "fully-open-source",
            "no-cloud-storage",
            "e2ee-own-protocol",
            "number-required",
            "contact-sync-required",
            "contacts-only-hashes",
            "contacts-relative-anonymity",
            "decoupling-planned",
            "servers-in-usa",
            "us-disclosure-duty",
            "not-yet-for-professionals",
            "usernames",
            "number-hidden",
            "discovery-by-number-optional",
            "contacts-in-enclave",
            "secure-backups",
            "linked-device-history",
            "call-relay-setting",
        ],
    ),
    (
        "wire",
        &[
            "business-messenger",
            "licence-funded",
            "no-metadata-analysis",
            "number-required",
            "contact-sync-optional",
            "no-cloud-storage",
            "local-encrypted",
            "e2ee-proteus",
            "server-source-partial",
            "hosted-aws-eu",
            "price-5-eur",
            "free-for-clients",
            "eight-devices",
            "without-concern",
            "email-sign-up",
            "e2ee-mls",
            "server-open-source",
            "analytics-in-store-build",
            "german-owners",
            "surveillance-ordinance-draft",
        ],
    ),
    (
        "threema",
        &[
            "transparency-report",
            "for-profit-sales",
            "price-2-99",
            "price-is-hurdle",
            "no-metadata-analysis",
            "no-identifiers-needed",
            "seat-switzerland",
            "servers-in-switzerland",
            "e2ee-nacl",
            "no-forward-secrecy",
            "not-fully-open-source",
            "forward-secrecy",
            "german-owner",
            "surveillance-ordinance-draft",
        ],
    ),
    (
        "conversations",
        &[
            "open-protocol",
            "three-encryptions",
            "free-server-choice",
            "own-server",
            "volunteers",
            "no-identifiers-needed",
            "price-1-99",
            "other-clients-free",
            "good-usability",
            "no-contact-upload",
            "two-encryptions",
            "omemo-leaves-metadata",
        ],
    ),
    (
        "caritas",
        &[
            "browser-only",
            "no-market-fit",
            "open-source-2020",
            "self-hosted-location",
            "no-metadata-stored",
            "log-retention-by-host",
            "account-only",
            "email-optional",
            "history-by-password",
            "tls",
            "stored-encrypted",
            "responsive",
            "needs-own-webserver",
            "gdpr-applies",
            "church-law",
            "e2ee-messages",
        ],
    ),
    (
        "*",
        &[
            "every-byte-encrypted",
            "tls-modern",
            "certificates-valid",
            "rejects-interception",
            "no-third-party-trackers",
            "push-metadata",
            "call-hides-peer-ip",
            "contact-dose-response",
            "no-identifiers-in-clear",
            "dns-names-hidden",
            "idle-quiet",
            "typing-not-visible",
            "presence-not-visible",
            "length-hidden",
            "all-ends-adequate",
            "ends-in-ch-eea",
        ],
    ),
];

/// Claims whose wording in the comparison no longer fits.
const SUPERSEDED: [&str; 18] = [
    "whatsapp.contact-upload-required",
    "whatsapp.e2ee-undocumented",
    "whatsapp.upload-breaches-gdpr",
    "whatsapp.servers-in-usa",
    "messenger.no-contact-sync",
    "messenger.e2ee-signal-protocol",
    "messenger.servers-in-usa",
    "signal.contacts-only-hashes",
    "signal.no-cloud-storage",
    "signal.decoupling-planned",
    "signal.servers-in-usa",
    "wire.number-required",
    "wire.e2ee-proteus",
    "wire.server-source-partial",
    "wire.no-metadata-analysis",
    "threema.no-forward-secrecy",
    "conversations.three-encryptions",
    "caritas.gdpr-applies",
];

/// Facts of the catalogue of claims that were collected: each has to be the source of a claim.
const FACTS: &str = "wa.n1 wa.n2 wa.n3 wa.n4 wa.n5 wa.n6 wa.n7 wa.n8 wa.n9 wa.c1 wa.c2 wa.c3 wa.c4 wa.c5 wa.c6 wa.c7 wa.c8 \
    fb.n1 fb.n2 fb.n3 fb.n4 fb.c1 fb.c2 fb.c3 tg.n1 tg.n2 tg.n3 tg.n4 tg.n5 tg.n6 tg.c1 tg.c2 tg.c3 \
    sg.n1 sg.n2 sg.n3 sg.n4 sg.n5 sg.n6 sg.n7 sg.c1 sg.c2 sg.c3 sg.c4 sg.c5 \
    wi.n1 wi.n2 wi.n3 wi.n4 wi.n5 wi.n6 wi.n7 wi.c1 wi.c2 wi.c3 wi.c4 \
    th.n1 th.n2 th.n3 th.n4 th.n5 th.n6 th.n7 th.c1 th.c2 th.c3 th.c4 \
    xm.n1 xm.n2 xm.n3 xm.n4 xm.n5 xm.n6 xm.c1 xm.c2 xm.c3 ca.n1 ca.n2 ca.n3 ca.n4 ca.n5 ca.c1 ca.c2 ca.c3 \
    x.n1 x.n2 x.c1 x.c1-swiss x.c2";

/// Judgements of the comparison: views over other claims.
const VIEWS: [&str; 10] = [
    "whatsapp.fails-criteria",
    "messenger.fails-criteria",
    "telegram.not-assessable",
    "telegram.usable-if-e2ee",
    "signal.not-yet-for-professionals",
    "wire.without-concern",
    "threema.price-is-hurdle",
    "conversations.good-usability",
    "caritas.no-market-fit",
    "caritas.responsive",
];

fn embedded() -> Catalogue {
    Catalogue::embedded().unwrap_or_else(|e| panic!("{e}"))
}

fn texts(claim: &Claim) -> [&Text; 5] {
    [&claim.text, &claim.undecided, &claim.note, &claim.superseded, &claim.text]
}

// ------------------------------------------------------------------------------------------------ catalogue

#[test]
fn the_catalogue_holds_every_claim() {
    let catalogue = embedded();
    let mut missing = Vec::new();
    for (messenger, names) in IDS {
        let messengers = if *messenger == "*" { &MESSENGERS[..] } else { std::slice::from_ref(messenger) };
        for name in *names {
            let ids = messengers.iter().map(|m| format!("{m}.{name}"));
            missing.extend(ids.filter(|id| catalogue.get(id).is_none()));
        }
    }
    assert!(missing.is_empty(), "claims/ lacks {missing:?}");
    assert_eq!(IDS.iter().map(|(_, names)| names.len()).sum::<usize>(), 154);
    let mut ids = BTreeSet::new();
    for claim in catalogue.claims() {
        assert!(ids.insert(&claim.id), "{} twice", claim.id);
        assert!(MESSENGERS.contains(&claim.messenger.as_str()), "{}", claim.id);
    }
}

#[test]
fn every_messenger_has_claims_that_traffic_can_decide() {
    let catalogue = embedded();
    for messenger in MESSENGERS {
        let of = |wanted: &dyn Fn(&Claim) -> bool| {
            catalogue.claims().iter().filter(|c| c.messenger == messenger && wanted(c)).count()
        };
        assert!(of(&|c| c.decided_by == DecidedBy::Traffic) >= 3, "{messenger}");
        assert!(
            of(&|c| c.supports.is_some() || c.contradicts.is_some()) >= 3,
            "{messenger}: predicates that can give a verdict"
        );
    }
}

#[test]
fn every_claim_has_texts_in_both_languages_and_sources() {
    for claim in embedded().claims() {
        let id = &claim.id;
        assert!(!claim.text.en.trim().is_empty() && !claim.text.de.trim().is_empty(), "{id}");
        for text in texts(claim) {
            assert!(text.en != text.de || text.en.is_empty(), "{id}: {:?} in both languages", text.en);
            assert_eq!(text.en.trim().is_empty(), text.de.trim().is_empty(), "{id}");
            // Umlauts are written as such.
            for word in
                ["fuer", "ueber", "koennen", "muessen", "waehl", "schluessel", "verschluess", "laeuft"]
            {
                assert!(!text.de.to_lowercase().contains(word), "{id}: {word:?} in {:?}", text.de);
            }
        }
        assert!(claim.text.en.ends_with('.') && claim.text.de.ends_with('.'), "{id}: a sentence");
        assert!(!claim.sources.is_empty(), "{id}: no source");
        for source in &claim.sources {
            assert!(!source.id.is_empty() && !source.text.is_empty(), "{id}");
            let own =
                source.id.split_once('.').is_some_and(|(_, name)| name == "view") || source.id == "x.method";
            assert!(
                own || source.unverified || !source.url.is_empty(),
                "{id}: {} has neither address nor doubt",
                source.id
            );
        }
        for step in &claim.steps {
            assert!(STEPS.contains(&step.as_str()), "{id}: no scenario has the step {step:?}");
        }
        if claim.decided_by == DecidedBy::Traffic {
            let decidable = claim.supports.is_some() || claim.contradicts.is_some();
            assert!(decidable || !claim.undecided.en.is_empty(), "{id}: does not say what to do");
        }
        for text in [&claim.superseded.en, &claim.superseded.de] {
            assert!(
                text.is_empty() || text.contains("20"),
                "{id}: a wording that no longer fits needs a date"
            );
        }
    }
}

#[test]
fn outdated_wordings_and_judgements_say_so() {
    let catalogue = embedded();
    for id in SUPERSEDED {
        let claim = catalogue.get(id).unwrap_or_else(|| panic!("{id}"));
        assert!(!claim.superseded.en.is_empty(), "{id}");
        let result = one(&judge(&catalogue, &Report::default()), id);
        assert!(result.explanation.de.contains(&claim.superseded.de), "{id}");
        // Data, not only a sentence of the explanation.
        assert_eq!(result.superseded, claim.superseded, "{id}");
    }
    for id in VIEWS {
        let claim = catalogue.get(id).unwrap_or_else(|| panic!("{id}"));
        assert_eq!(claim.decided_by, DecidedBy::Documentary, "{id}");
        assert!(claim.note.en.contains("without a verdict of its own"), "{id}: {}", claim.note.en);
        // The note names claims that exist.
        let named = claim.note.en.split([' ', ',', ';']).map(|w| w.trim_end_matches('.'));
        for word in named.filter(|w| w.starts_with(&format!("{}.", claim.messenger))) {
            assert!(catalogue.get(word).is_some(), "{id} names {word}");
        }
        let result = one(&judge(&catalogue, &Report::default()), id);
        assert!(result.explanation.en.contains("without a verdict"), "{id}: {}", result.explanation.en);
    }
}

#[test]
fn every_fact_that_was_collected_is_a_source_of_a_claim() {
    let catalogue = embedded();
    let named: BTreeSet<&str> =
        catalogue.claims().iter().flat_map(|c| &c.sources).map(|source| source.id.as_str()).collect();
    let missing: Vec<&str> = FACTS.split_whitespace().filter(|fact| !named.contains(fact)).collect();
    assert!(missing.is_empty(), "no claim rests on {missing:?}");
}

/// What changed is a claim of its own: true then, and what holds today.
#[test]
fn outdated_claims_lead_to_those_of_today() {
    let results = judge(&embedded(), &Report::default());
    for (old, new, until, from) in [
        ("signal.decoupling-planned", "signal.usernames", "2024-02", "2024-02"),
        ("signal.no-cloud-storage", "signal.secure-backups", "2025-09-08", "2025-09-08"),
        ("signal.contacts-only-hashes", "signal.contacts-in-enclave", "", "2022-08-19"),
        ("messenger.e2ee-signal-protocol", "messenger.e2ee-by-default", "", "2023-12-06"),
        ("messenger.no-contact-sync", "messenger.contact-upload-at-setup", "", ""),
        ("threema.no-forward-secrecy", "threema.forward-secrecy", "2022-12", "2022-12"),
        ("wire.e2ee-proteus", "wire.e2ee-mls", "", "2024-05"),
        ("wire.number-required", "wire.email-sign-up", "", ""),
        ("wire.server-source-partial", "wire.server-open-source", "", ""),
        ("wire.no-metadata-analysis", "wire.analytics-in-store-build", "", ""),
        ("whatsapp.e2ee-undocumented", "whatsapp.e2ee-documented", "", "2016-04-05"),
        ("whatsapp.contact-upload-required", "whatsapp.contact-upload-optional", "", ""),
        ("whatsapp.upload-breaches-gdpr", "whatsapp.fined-for-non-users", "", "2021-09-02"),
        ("conversations.three-encryptions", "conversations.two-encryptions", "2.0.0", "2.0.0"),
        ("caritas.gdpr-applies", "caritas.church-law", "", ""),
    ] {
        let (then, today) = (one(&results, old), one(&results, new));
        assert_eq!((then.superseded_by.as_str(), then.valid_until.as_str()), (new, until), "{old}");
        assert_eq!((today.valid_from.as_str(), today.superseded_by.as_str()), (from, ""), "{new}");
        assert!(!then.superseded.is_empty() && today.superseded.is_empty(), "{old}");
    }
    // A claim of one's own may name a built-in one; that of all messengers one of the same messenger.
    let own = claim_text("signal.x", "otherwise = \"opaque\"\nsuperseded_by = \"signal.usernames\"");
    assert_eq!(
        catalogue(&own).get("signal.x").unwrap().superseded_by.as_ref().unwrap().id,
        "signal.usernames"
    );
    let common = claim_text("*.a", "otherwise = \"opaque\"\nsuperseded_by = \"*.b\"")
        + &claim_text("*.b", "otherwise = \"opaque\"");
    assert_eq!(catalogue(&common).get("wire.a").unwrap().superseded_by.as_ref().unwrap().id, "wire.b");
}

/// Each condition, and each subject with each quantifier, has its phrase in both languages.
#[test]
fn every_condition_can_be_read_aloud() {
    let schema: serde_json::Value = serde_json::from_str(&metaleak::claims::schema()).unwrap();
    for lang in Lang::ALL {
        let wording = Wording::new(lang);
        for (subject, s) in schema["$defs"]["PredicateTable"]["$defs"].as_object().unwrap() {
            for (condition, value) in s["properties"].as_object().unwrap() {
                let id = format!("say-{subject}-{}", condition.replace('_', "-"));
                let ids = if value["type"] == "boolean" {
                    vec![format!("{id}-yes"), format!("{id}-no")]
                } else {
                    vec![id]
                };
                for id in ids {
                    assert!(wording.has(&id), "write a line {id} into locales/{lang}.ftl");
                }
            }
            for quantifier in ["any", "all", "none", "count", "share"] {
                let said = wording.with(
                    &format!("say-{quantifier}"),
                    &[("subject", Arg::Text(subject)), ("n", Arg::Count(3)), ("share", Arg::Text("80 %"))],
                );
                assert!(said.len() > 5 && !said.contains(['{', '[']), "{said}");
            }
        }
    }
}

#[test]
fn a_claim_of_a_messenger_replaces_the_common_one() {
    let common = claim_text("*.a", "supports = { any = \"flows\" }");
    let own =
        claim_text("signal.a", "otherwise = \"opaque\"") + &claim_text("wire.b", "otherwise = \"opaque\"");
    let catalogue =
        Catalogue::from_texts([("own.toml".into(), own), ("common.toml".into(), common)]).unwrap();
    let ids: Vec<&str> = catalogue.claims().iter().map(|c| c.id.as_str()).collect();
    assert_eq!(ids, ["signal.a", "wire.b", "wire.a"]);
    assert_eq!(catalogue.get("signal.a").unwrap().otherwise, "opaque");
    assert!(catalogue.get("wire.a").unwrap().supports.is_some());
}

// --------------------------------------------------------------------------------------------- built reports

fn input(file: &str) -> Input {
    Input {
        file: file.into(),
        sha256: "ab".repeat(32),
        first_time: Some("2026-01-02T03:04:05.000000000Z".into()),
        last_time: Some("2026-01-02T03:05:05.000000000Z".into()),
        ..Input::default()
    }
}

fn run(messenger: &str, steps: &[&str]) -> Run {
    Run {
        messenger: Some(messenger.into()),
        steps: steps.iter().map(|s| (*s).to_owned()).collect(),
        app: Some("an app of version 7".into()),
        ..Run::default()
    }
}

/// A flow of `messenger` to a public address, attributed by its name.
fn flow(messenger: &str, number: u64, encryption: &str) -> Flow {
    Flow {
        capture: "a.pcap".into(),
        flow: number,
        transport: "tcp".into(),
        client: "192.0.2.7:40000".into(),
        server: format!("198.51.100.{number}:443"),
        messenger: Some(messenger.into()),
        messenger_why: Some("name:chat.example".into()),
        first_frame: number * 10,
        last_frame: number * 10 + 9,
        encryption: encryption.into(),
        encryption_frames: vec![number * 10 + 3, number * 10 + 4],
        ..Flow::default()
    }
}

fn finding(kind: FindingKind, messenger: &str, of: &Flow) -> Finding {
    Finding {
        kind,
        severity: Severity::High,
        what: "something".into(),
        capture: of.capture.clone(),
        flow: of.flow,
        frames: vec![of.first_frame + 5],
        messenger: Some(messenger.into()),
        ..Finding::default()
    }
}

fn destination(messenger: &str, of: &Flow) -> Destination {
    Destination {
        address: of.server_address().unwrap().to_string(),
        flows: vec![format!("{}#{}", of.capture, of.flow)],
        first_frame: of.first_frame,
        messengers: vec![messenger.into()],
        ..Destination::default()
    }
}

/// A report of one capture with these flows of `signal`.
fn report(flows: Vec<Flow>) -> Report {
    Report { inputs: vec![input("a.pcap")], flows, ..Report::default() }
}

fn with_run(mut report: Report, run: Run) -> Report {
    report.inputs[0].run = Some(run);
    report
}

fn claim_text(id: &str, keys: &str) -> String {
    format!(
        "[[claim]]\nid = \"{id}\"\ncriterion = \"gdpr\"\ntext = {{ en = \"a\", de = \"b\" }}\ndecided_by = \"traffic\"\n\
         sources = [ {{ id = \"s\", text = \"t\" }} ]\n{keys}\n"
    )
}

fn catalogue(text: &str) -> Catalogue {
    Catalogue::from_texts([("tiny.toml".to_owned(), text.to_owned())])
        .unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn one(results: &[ClaimResult], id: &str) -> ClaimResult {
    results.iter().find(|c| c.id == id).unwrap_or_else(|| panic!("no {id}")).clone()
}

/// The result of a tiny claim about `signal` with these keys.
fn decide(keys: &str, report: &Report) -> ClaimResult {
    one(&judge(&catalogue(&claim_text("signal.x", keys)), report), "signal.x")
}

fn said(result: &ClaimResult) -> String {
    if result.reason.is_empty() {
        result.verdict.to_string()
    } else {
        format!("{}:{}", result.verdict, result.reason)
    }
}

// ---------------------------------------------------------------------------------------------------- engine

const SEEN: &str = "supports = { any = \"flows\", encryption = [\"tls1.3\"] }";
const CLEAR: &str = "contradicts = { any = \"flows\", encryption = [\"none\"] }";

/// Cases: one that does not fit, and one that does.
const NO_FLOWS: &str =
    "{ when = { none = \"flows\" }, reason = \"opaque\", undecided = { en = \"no flow\", de = \"keine\" } }";
const SOME_FLOWS: &str = "{ when = { any = \"flows\" }, reason = \"vantage-unsuitable\", undecided = { en = \"look at it\", de = \"ansehen\" }, by_hand = true }";

/// The same flows in a second recording.
fn two_runs(mut report: Report) -> Report {
    let again: Vec<Flow> =
        report.flows.iter().map(|f| Flow { capture: "b.pcap".into(), ..f.clone() }).collect();
    report.flows.extend(again);
    report.inputs.push(Input { run: report.inputs[0].run.clone(), ..input("b.pcap") });
    report
}

/// Media that nobody can read, with STUN around it that everybody can.
fn read_beside_opaque() -> Report {
    report(vec![Flow { app_protocols: vec!["stun".into(), "rtp".into()], ..flow("signal", 1, "opaque") }])
}

/// What the reason says is also what the explanation and the next step say.
#[test]
fn claims_that_no_recording_decides_say_so() {
    let keys = "steps = [\"typing\"]\notherwise = \"too-few-runs\"\nmin_runs = 2";
    let tls = || report(vec![flow("signal", 1, "tls1.3")]);
    let once = decide(keys, &with_run(tls(), run("signal", &["typing"])));
    assert_eq!(said(&once), "inconclusive:too-few-runs");
    assert!(once.explanation.en.contains("Recording alone does not decide it in any case"), "{once:?}");
    assert!(once.next[0].command.contains("tcpdump") && once.next[0].what.en.contains("by hand"), "{once:?}");
    let enough = decide(keys, &two_runs(with_run(tls(), run("signal", &["typing"]))));
    assert_eq!(said(&enough), "inconclusive:opaque");
    assert!(enough.explanation.en.contains("no predicate of the claim language"), "{enough:?}");
    assert!(enough.explanation.de.contains("kein Prädikat"), "{enough:?}");
    assert!(!enough.next[0].command.contains("tcpdump"), "more of the same decides nothing: {enough:?}");
    assert_eq!(enough.evidence.len(), 2, "what there is to look at is listed");
    let other = decide(keys, &two_runs(tls()));
    assert_eq!(said(&other), "inconclusive:too-few-runs", "no run says that it did the step");
    let by_hand = decide(
        &format!("{CLEAR}\ncases = [{SOME_FLOWS}]\nundecided = {{ en = \"x y z\", de = \"z\" }}"),
        &tls(),
    );
    assert!(by_hand.explanation.en.contains("look at it") && !by_hand.explanation.en.contains("x y z"));
    assert!(!by_hand.next[0].command.contains("tcpdump"), "{:?}", by_hand.next);
}

/// Claims of the catalogue that no predicate decides yet: what they ask is on a screen, on a server, or a pattern that nothing measures.
#[test]
fn the_catalogue_knows_which_claims_recording_alone_does_not_decide() {
    let catalogue = embedded();
    let undecidable: BTreeSet<&str> = catalogue
        .claims()
        .iter()
        .filter(|c| c.decided_by == DecidedBy::Traffic && c.supports.is_none() && c.contradicts.is_none())
        .map(|c| c.id.as_str())
        .collect();
    let own = [
        "caritas.browser-only",
        "caritas.no-metadata-stored",
        "caritas.self-hosted-location",
        "caritas.stored-encrypted",
        "messenger.metadata-used-for-ads",
        "signal.no-cloud-storage",
        "telegram.cloud-stores-chats",
        "telegram.default-not-e2ee",
        "telegram.e2ee-opt-in",
        "telegram.groups-no-e2ee",
        "telegram.no-desktop-e2ee",
        "whatsapp.content-not-analysed",
        "whatsapp.metadata-used-for-ads",
        "wire.no-cloud-storage",
    ];
    let common = ["length-hidden", "presence-not-visible", "push-metadata", "typing-not-visible"];
    let common = common.iter().flat_map(|name| MESSENGERS.map(|m| format!("{m}.{name}")));
    let expected: BTreeSet<String> = own.iter().map(|id| (*id).to_owned()).chain(common).collect();
    assert_eq!(undecidable, expected.iter().map(String::as_str).collect());
    for messenger in MESSENGERS {
        let mut f = flow(messenger, 1, "tls1.3");
        f.messenger_why = Some("run".into());
        let all = judge(&catalogue, &two_runs(with_run(report(vec![f]), run(messenger, &STEPS))));
        let own = all.iter().filter(|r| r.messenger == messenger);
        for result in own.filter(|r| undecidable.contains(r.id.as_str())) {
            assert!(result.explanation.en.contains("recording alone does not decide it"), "{result:?}");
            assert!(!result.evidence.is_empty(), "{}: nothing to look at", result.id);
            assert_ne!(result.reason, "too-few-runs", "{}", result.id);
            assert_eq!(result.next.len(), 1, "{}", result.id);
        }
    }
}

/// The reason of a claim on certificates is what was there: none, hidden ones, or readable ones that somebody has to check.
#[test]
fn certificates_that_are_not_there_are_not_called_opaque() {
    let with = |tls: Option<FlowTls>, encryption: &str| {
        let mut f = flow("whatsapp", 1, encryption);
        f.names = vec![FlowName {
            name: "mmg.whatsapp.net".into(),
            source: "sni".into(),
            frame: 3,
            expired: false,
        }];
        f.tls = tls.map(Box::new);
        let report = report(vec![f]);
        let all = judge(&embedded(), &report);
        ["certificates-valid", "owned-by-meta"].map(|name| one(&all, &format!("whatsapp.{name}")))
    };
    let version = |version: &str, subject: Option<&str>| {
        Some(FlowTls {
            version: Some(version.into()),
            subject: subject.map(str::to_owned),
            ..FlowTls::default()
        })
    };
    for (tls, encryption, reason, words, hand) in [
        (None, "noise", "not-exercised", "No certificate of the messenger", false),
        (version("tls1.2", None), "tls1.2", "not-exercised", "No certificate of the messenger", false),
        (version("tls1.3", None), "tls1.3", "opaque", "TLS 1.3 hides the certificate", false),
        (version("tls1.2", Some("CN=x")), "tls1.2", "not-exercised", "that could be read", true),
    ] {
        for result in with(tls.clone(), encryption) {
            assert_eq!(result.reason, reason, "{}: {tls:?}", result.id);
            assert!(result.explanation.en.contains(words), "{}", result.explanation.en);
            let lines: Vec<&str> = result.next.iter().map(|n| n.command.as_str()).collect();
            assert_eq!(lines.concat().contains("--keylog"), reason == "opaque", "{lines:?}");
            let by_hand = lines.concat().contains("claims show");
            assert_eq!(by_hand, hand && result.id.ends_with("certificates-valid"), "{lines:?}");
        }
    }
}

#[test]
fn each_verdict_and_each_reason() {
    let tls = || report(vec![flow("signal", 1, "tls1.3")]);
    let clear = || report(vec![flow("signal", 1, "none")]);
    let opaque = || report(vec![flow("signal", 1, "opaque"), flow("signal", 2, "empty")]);
    let elsewhere = |vantage| with_run(tls(), Run { vantage, ..run("signal", &[]) });
    let cases: Vec<(&str, String, Report, &str)> = vec![
        ("seen", SEEN.into(), tls(), "supported"),
        ("the opposite seen", CLEAR.into(), clear(), "contradicted"),
        ("neither", SEEN.into(), clear(), "inconclusive:not-exercised"),
        (
            "another messenger's flow",
            SEEN.into(),
            report(vec![flow("wire", 1, "tls1.3")]),
            "inconclusive:not-exercised",
        ),
        ("no capture", SEEN.into(), Report::default(), "inconclusive:not-exercised"),
        (
            "nothing seen of what should not be",
            format!("absence = true\nsupports = {{ none = \"flows\", encryption = [\"none\"] }}\n{CLEAR}"),
            tls(),
            "not-contradicted",
        ),
        ("steps missing", format!("{SEEN}\nsteps = [\"media\"]"), tls(), "inconclusive:not-exercised"),
        (
            "steps exercised",
            format!("{SEEN}\nsteps = [\"media\"]"),
            with_run(tls(), run("signal", &["media"])),
            "supported",
        ),
        (
            "steps of another app",
            format!("{SEEN}\nsteps = [\"media\"]"),
            with_run(tls(), run("wire", &["media"])),
            "inconclusive:not-exercised",
        ),
        (
            "steps of an unnamed app",
            format!("{SEEN}\nsteps = [\"media\"]"),
            with_run(tls(), Run { messenger: None, ..run("", &["media"]) }),
            "inconclusive:not-exercised",
        ),
        (
            "a contradiction needs no steps",
            format!("{SEEN}\n{CLEAR}\nsteps = [\"media\"]"),
            clear(),
            "contradicted",
        ),
        (
            "a contradiction beats support",
            format!("{SEEN}\n{CLEAR}"),
            report(vec![flow("signal", 1, "tls1.3"), flow("signal", 2, "none")]),
            "contradicted",
        ),
        ("a contradiction needs no repeats", format!("{CLEAR}\nmin_runs = 5"), clear(), "contradicted"),
        ("all opaque", SEEN.into(), opaque(), "inconclusive:opaque"),
        (
            "opaque beats the claim's own reason",
            format!("{SEEN}\notherwise = \"vantage-unsuitable\""),
            opaque(),
            "inconclusive:opaque",
        ),
        (
            "only in part opaque",
            SEEN.into(),
            report(vec![flow("signal", 1, "opaque"), flow("signal", 2, "none")]),
            "inconclusive:not-exercised",
        ),
        ("too few runs", format!("{SEEN}\nmin_runs = 2"), tls(), "inconclusive:too-few-runs"),
        (
            "too few runs beat missing steps",
            format!("{SEEN}\nmin_runs = 2\nsteps = [\"idle\"]"),
            tls(),
            "inconclusive:too-few-runs",
        ),
        (
            "a reason of the claim",
            "otherwise = \"vantage-unsuitable\"".into(),
            tls(),
            "inconclusive:vantage-unsuitable",
        ),
        ("another reason of the claim", "otherwise = \"opaque\"".into(), tls(), "inconclusive:opaque"),
        (
            "vantage unknown",
            format!("{SEEN}\nvantage = [\"router\"]"),
            tls(),
            "inconclusive:vantage-unsuitable",
        ),
        (
            "vantage wrong",
            format!("{SEEN}\nvantage = [\"router\"]"),
            elsewhere(Some(Vantage::Vpn)),
            "inconclusive:vantage-unsuitable",
        ),
        (
            "vantage right",
            format!("{SEEN}\nvantage = [\"router\", \"device\"]"),
            elsewhere(Some(Vantage::Router)),
            "supported",
        ),
        ("opaque, and something was read", SEEN.into(), read_beside_opaque(), "inconclusive:not-exercised"),
        (
            "opaque, and only a carrier was recognised",
            SEEN.into(),
            Report { flows: vec![Flow { app_protocols: vec!["tls".into()], ..flow("signal", 1, "opaque") }], ..opaque() },
            "inconclusive:opaque",
        ),
        (
            "opaque, where nothing has to be read",
            "contradicts = { any = \"destinations\", asn = [64500] }\notherwise = \"vantage-unsuitable\"".into(),
            opaque(),
            "inconclusive:vantage-unsuitable",
        ),
        ("opaque, and no predicate", "otherwise = \"not-exercised\"".into(), opaque(), "inconclusive:not-exercised"),
        (
            "the case that fits",
            format!("{CLEAR}\ncases = [{NO_FLOWS}, {SOME_FLOWS}]\notherwise = \"too-few-runs\"\nmin_runs = 2"),
            two_runs(tls()),
            "inconclusive:vantage-unsuitable",
        ),
        (
            "no case fits",
            format!("{CLEAR}\ncases = [{NO_FLOWS}]\notherwise = \"vantage-unsuitable\""),
            tls(),
            "inconclusive:vantage-unsuitable",
        ),
        (
            "runs enough are not too few",
            format!("{CLEAR}\notherwise = \"too-few-runs\"\nmin_runs = 2"),
            two_runs(tls()),
            "inconclusive:opaque",
        ),
        (
            "runs enough, and no predicate",
            "otherwise = \"too-few-runs\"\nmin_runs = 2".into(),
            two_runs(tls()),
            "inconclusive:opaque",
        ),
        (
            "runs enough that do not say how many contacts there are",
            "contradicts = { any = \"doses\", own_class = [\"padded\"] }\notherwise = \"too-few-runs\"\nmin_runs = 2".into(),
            two_runs(tls()),
            "inconclusive:not-exercised",
        ),
        (
            "a vantage that does not count cannot contradict",
            format!("{CLEAR}\nvantage = [\"router\"]"),
            clear(),
            "inconclusive:vantage-unsuitable",
        ),
    ];
    for (name, keys, report, expected) in cases {
        let result = decide(&keys, &report);
        assert_eq!(said(&result), expected, "{name}");
        assert!(!result.explanation.en.is_empty() && !result.explanation.de.is_empty(), "{name}");
        assert_ne!(result.explanation.en, result.explanation.de, "{name}");
    }
    let text = claim_text("signal.x", "").replace("traffic", "documentary");
    assert_eq!(said(&one(&judge(&catalogue(&text), &tls()), "signal.x")), "documentary");
}

#[test]
fn controls_weigh_on_what_was_not_seen() {
    let absence =
        format!("absence = true\nsupports = {{ none = \"flows\", encryption = [\"none\"] }}\n{CLEAR}");
    let judged = |found, report: &Report| {
        let control =
            Control { planted: 4, found, power: found as f64 / 4.0, ci95: [0.0, 1.0], ..Control::default() };
        let controls = BTreeMap::from([("signal.x".to_owned(), vec![control])]);
        one(
            &judge_with_controls(&catalogue(&claim_text("signal.x", &absence)), report, &controls),
            "signal.x",
        )
    };
    let quiet = report(vec![flow("signal", 1, "tls1.3")]);
    let failed = judged(0, &quiet);
    assert_eq!(said(&failed), "inconclusive:control-failed");
    assert_eq!(failed.control.map(|c| c.planted), Some(4));
    let found = judged(3, &quiet);
    assert_eq!(said(&found), "not-contradicted");
    assert_eq!(found.control.as_ref().map(|c| c.power), Some(0.75));
    let uncontrolled = decide(&absence, &quiet);
    assert_ne!(found.explanation, uncontrolled.explanation, "the reader learns whether a control ran");
    // What was seen needs no control.
    assert_eq!(said(&judged(0, &report(vec![flow("signal", 1, "none")]))), "contradicted");
}

#[test]
fn quantifiers_and_connectives() {
    let flows = report(vec![
        flow("signal", 1, "tls1.3"),
        flow("signal", 2, "tls1.3"),
        flow("signal", 3, "none"),
        flow("signal", 4, "empty"),
    ]);
    for (predicate, expected) in [
        ("{ any = \"flows\", encryption = [\"none\"] }", true),
        ("{ any = \"flows\", encryption = [\"quic\"] }", false),
        ("{ all = \"flows\", encryption = [\"tls1.3\", \"none\"] }", false),
        ("{ all = \"flows\", of = { with_payload = true }, encryption = [\"tls1.3\", \"none\"] }", true),
        ("{ all = \"flows\", of = { encryption = [\"quic\"] }, transport = [\"udp\"] }", false),
        ("{ none = \"flows\", encryption = [\"quic\"] }", true),
        ("{ none = \"flows\", encryption = [\"none\"] }", false),
        ("{ count = \"flows\", at_least = 2, encryption = [\"tls1.3\"] }", true),
        ("{ count = \"flows\", at_least = 3, encryption = [\"tls1.3\"] }", false),
        ("{ share = \"flows\", at_least = 0.5, encryption = [\"tls1.3\"] }", true),
        ("{ share = \"flows\", at_least = 0.51, encryption = [\"tls1.3\"] }", false),
        ("{ not = { any = \"flows\", encryption = [\"quic\"] } }", true),
        ("{ all_of = [{ any = \"flows\" }, { none = \"findings\" }] }", true),
        ("{ any_of = [{ any = \"findings\" }, { any = \"names\" }] }", false),
        ("{ any = \"flows\", port = [443], transport = [\"tcp\"], not_encryption = [\"none\"] }", true),
        ("{ any = \"flows\", messenger_why = [\"signature\", \"network\"] }", false),
        ("{ any = \"flows\", messenger_why = [\"name\"] }", true),
    ] {
        let result = decide(&format!("supports = {predicate}"), &flows);
        assert_eq!(result.verdict == Verdict::Supported, expected, "{predicate}");
    }
}

/// One flow with all that conditions can ask, its end, a finding and a name.
fn rich() -> Report {
    let mut f = flow("signal", 1, "tls1.2");
    f.names =
        vec![FlowName { name: "cdn.chat.example".into(), source: "sni".into(), frame: 11, expired: false }];
    f.app_protocols = vec!["tls".into()];
    f.clear_bytes = 40;
    f.clear_messages = 2;
    f.bytes_up = 600;
    f.tls = Some(Box::new(FlowTls {
        issuer: Some("O=Example CA".into()),
        version: Some("tls1.2".into()),
        cipher: Some("0xc02f".into()),
        ech: Some("absent".into()),
        subject: Some("C=US, O=Example, Inc., CN=chat.example".into()),
        certificate_faults: vec!["expired".into()],
        certificate: Some(17),
        ..FlowTls::default()
    }));
    f.signatures = vec![SignatureHit {
        messenger: "signal".into(),
        signature: "whatsapp.noise-hello".into(),
        frames: vec![12],
        confidence: "certain".into(),
        detail: "a hello".into(),
    }];
    let mut end = destination("signal", &f);
    end.operator = Some(Operator { name: "Example Hosting".into(), asn: Some(64496), source: "t".into() });
    end.places = vec![Place { country: "CH".into(), source: "t".into(), as_of: "2026-01-01".into() }];
    end.country = Some("CH".into());
    end.agreement = Agreement::Majority;
    end.role = Role::Hosting;
    end.max_km = Some(700.0);
    end.rtt_excludes = vec!["US".into(), "BR".into()];
    end.rtt_bounds = vec![RttBound {
        from: Whereabouts::Country("DE".into()),
        rtt_ms: 7.0,
        capture: "a.pcap".into(),
        frames: Vec::new(),
        max_km: 700.0,
        excluded: Vec::new(),
        possible: 2,
        possible_codes: vec!["CH".into(), "DE".into()],
    }];
    end.jurisdictions = vec![
        Jurisdiction {
            code: "CH".into(),
            why: JurisdictionWhy::Place,
            basis: Basis::Adequacy,
            as_of: String::new(),
            unverified: Vec::new(),
            source: String::new(),
        },
        Jurisdiction {
            code: "VG".into(),
            why: JurisdictionWhy::OperatorSeat,
            basis: Basis::None,
            as_of: String::new(),
            unverified: Vec::new(),
            source: String::new(),
        },
        Jurisdiction {
            code: "GB".into(),
            why: JurisdictionWhy::ServiceSeat,
            basis: Basis::Adequacy,
            as_of: String::new(),
            unverified: Vec::new(),
            source: String::new(),
        },
    ];
    let mut planted = finding(FindingKind::Canary, "signal", &f);
    planted.what = "canary message-2: c…t (8 to 15 characters)".into();
    planted.encoding = vec!["gzip".into(), "base64".into()];
    planted.direction = Some(Direction::Up);
    planted.value = 7;
    let call = Call {
        capture: "a.pcap".into(),
        messenger: Some("signal".into()),
        flows: vec![1],
        first_frame: 10,
        peer_bytes: 900,
        peers: vec!["203.0.113.9".into()],
        exposed: vec![ExposedAddress {
            address: "203.0.113.9:4000".into(),
            kind: "host".into(),
            frame: 12,
            sent_to: Some(16),
            ..ExposedAddress::default()
        }],
        ..Call::default()
    };
    let mut run = run("signal", &["idle"]);
    run.canaries = BTreeMap::from([("number-2".to_owned(), "+4915199900017".to_owned())]);
    let made =
        Report { destinations: vec![end], findings: vec![planted], calls: vec![call], ..report(vec![f]) };
    with_run(made, run)
}

#[test]
fn every_condition_fits_and_does_not() {
    for (subject, fits, fails) in [
        ("flows", "app_protocol = [\"tls\"]", "app_protocol = [\"http\"]"),
        ("flows", "signature = [\"whatsapp.noise-hello\"]", "signature = [\"telegram.mtproto-full\"]"),
        ("flows", "tls_version = [\"tls1.2\"]", "tls_version = [\"tls1.3\"]"),
        ("flows", "ech = [\"absent\"]", "ech = [\"outer\"]"),
        ("flows", "name = [\"chat.example\"]", "name = [\"t.example\"]"),
        ("flows", "clear_bytes_over = 39", "clear_bytes_over = 40"),
        ("flows", "read = true", "read = false"),
        ("flows", "clear_messages_over = 1", "clear_messages_over = 2"),
        ("flows", "with_payload = true", "with_payload = false"),
        ("flows", "cipher = [\"0x1301\", \"0xc02f\"]", "cipher = [\"0x1301\"]"),
        ("flows", "certificate_subject = [\"O=Example\"]", "certificate_subject = [\"O=Other\"]"),
        ("flows", "certificate_fault = [\"expired\"]", "certificate_fault = [\"weak-key\"]"),
        ("flows", "certificate_issuer = [\"O=Example\"]", "certificate_issuer = [\"O=Other\"]"),
        ("flows", "to = { asn = [64496] }", "to = { asn = [64497] }"),
        ("destinations", "country = [\"CH\"]", "country = [\"US\"]"),
        ("destinations", "not_country = [\"US\"]", "not_country = [\"CH\", \"US\"]"),
        ("destinations", "agreement = [\"majority\"]", "agreement = [\"all\"]"),
        ("destinations", "asn = [64496]", "asn = [1]"),
        ("destinations", "operator = [\"example host\"]", "operator = [\"other\"]"),
        ("destinations", "role = [\"hosting\"]", "role = [\"cdn\"]"),
        ("destinations", "not_role = [\"cdn\"]", "not_role = [\"hosting\"]"),
        ("destinations", "jurisdiction = [\"VG\"]", "jurisdiction = [\"US\"]"),
        ("destinations", "basis = [\"adequacy\"]", "basis = [\"eea\"]"),
        ("destinations", "not_basis = [\"adequacy\"]", "not_basis = [\"adequacy\", \"none\"]"),
        ("destinations", "seat = [\"VG\"]", "seat = [\"CH\"]"),
        ("destinations", "not_seat = [\"CH\"]", "not_seat = [\"VG\"]"),
        ("destinations", "seat_basis = [\"none\"]", "seat_basis = [\"adequacy\"]"),
        ("destinations", "place_law = [\"CH\"]", "place_law = [\"VG\", \"GB\"]"),
        ("destinations", "not_place_law = [\"VG\"]", "not_place_law = [\"CH\"]"),
        ("destinations", "place_basis = [\"adequacy\"]", "place_basis = [\"none\"]"),
        ("destinations", "service_seat = [\"GB\"]", "service_seat = [\"CH\", \"VG\"]"),
        ("destinations", "not_service_seat = [\"CH\"]", "not_service_seat = [\"GB\"]"),
        ("destinations", "service_seat_basis = [\"adequacy\"]", "service_seat_basis = [\"none\"]"),
        ("destinations", "max_km_below = 701", "max_km_below = 700"),
        ("destinations", "rtt_excludes = [\"US\", \"BR\"]", "rtt_excludes = [\"US\", \"CH\"]"),
        ("destinations", "rtt_leaves_out = [\"US\", \"FR\"]", "rtt_leaves_out = [\"US\", \"CH\"]"),
        ("destinations", "known = true", "known = false"),
        ("destinations", "flow = { port = [443] }", "flow = { port = [80] }"),
        ("findings", "kind = [\"canary\"]", "kind = [\"token\"]"),
        ("findings", "severity = [\"medium\"]", "severity = [\"critical\"]"),
        ("findings", "encoding = [\"base64\"]", "encoding = [\"hex\"]"),
        ("findings", "canary = [\"message\"]", "canary = [\"mess\", \"text\"]"),
        ("findings", "decrypted = false", "decrypted = true"),
        ("findings", "flow = { messenger_why = [\"name\"] }", "flow = { messenger_why = [\"run\"] }"),
        ("findings", "direction = [\"up\"]", "direction = [\"down\"]"),
        ("findings", "runs_over = 0", "runs_over = 1"),
        ("calls", "media = true", "media = false"),
        ("calls", "direct = true", "direct = false"),
        ("calls", "relayed = false", "relayed = true"),
        ("calls", "flow = { port = [443] }", "flow = { port = [80] }"),
        // A minute with 600 bytes: 36,000 an hour.
        ("steps", "step = [\"idle\"]", "step = [\"media\"]"),
        ("steps", "planted = [\"number\"]", "planted = [\"numb\", \"mail\"]"),
        ("steps", "seconds_over = 59", "seconds_over = 60"),
        ("steps", "bytes_per_hour_over = 35999", "bytes_per_hour_over = 36000"),
        ("steps", "bytes_per_hour_below = 36001", "bytes_per_hour_below = 36000"),
        ("steps", "own_bytes_per_hour_over = 35999", "own_bytes_per_hour_over = 36000"),
        ("names", "suffix = [\"chat.example\"]", "suffix = [\"at.example\"]"),
        ("names", "source = [\"sni\"]", "source = [\"dns\"]"),
        ("names", "own = false", "own = true"),
        ("names", "flow = { to = { known = true } }", "flow = { to = { role = [\"peer\"] } }"),
    ] {
        for (condition, expected) in [(fits, Verdict::Supported), (fails, Verdict::Inconclusive)] {
            let result = decide(&format!("supports = {{ any = \"{subject}\", {condition} }}"), &rich());
            assert_eq!(result.verdict, expected, "{subject}: {condition}");
        }
    }
}

/// A step has the time from its mark to the next one, and the bytes of that time; without marks only a single step has any.
#[test]
fn steps_have_the_time_and_the_bytes_between_marks() {
    let mark = |step: &str, second: u32| Mark {
        step: step.into(),
        start: format!("2026-01-02T03:04:{second:02}.000000000Z"),
        end: None,
    };
    let bytes = |step: &str, up: u64| StepBytes { step: step.into(), bytes_up: up, bytes_down: 0 };
    let mut own = flow("signal", 1, "tls1.3");
    own.by_step = vec![bytes("idle", 100), bytes("media", 5000)];
    let mut by_run = flow("signal", 2, "tls1.3");
    by_run.by_step = vec![bytes("idle", 300)];
    by_run.messenger_why = Some("run".into());
    let marked = Run {
        marks: vec![mark("idle", 15), mark("media", 35), mark("idle", 45)],
        ..run("signal", &["idle", "media"])
    };
    let with = |run: Run| with_run(report(vec![own.clone(), by_run.clone()]), run);
    // Idle: 20 s, and from 3:04:45 to the end of the capture at 3:05:05 as many again.
    for (step, conditions, expected) in [
        ("idle", "seconds_over = 39.9", true),
        ("idle", "seconds_over = 40", false),
        ("idle", "bytes_per_hour_over = 35999", true),
        ("idle", "bytes_per_hour_over = 36000", false),
        ("idle", "own_bytes_per_hour_over = 8999", true),
        ("idle", "own_bytes_per_hour_over = 9000", false),
        ("media", "seconds_over = 9.9", true),
        ("media", "seconds_over = 10", false),
        ("media", "bytes_per_hour_over = 1799999", true),
    ] {
        let keys = format!("supports = {{ any = \"steps\", step = [\"{step}\"], {conditions} }}");
        assert_eq!(decide(&keys, &with(marked.clone())).verdict == Verdict::Supported, expected, "{keys}");
    }
    let any = |keys: &str, run: Run| {
        decide(&format!("supports = {{ any = \"steps\", {keys} }}"), &with(run)).verdict
    };
    let two = run("signal", &["idle", "media"]);
    assert_eq!(any("step = [\"idle\"]", two.clone()), Verdict::Supported);
    assert_eq!(
        any("step = [\"idle\"], seconds_over = 0", two),
        Verdict::Inconclusive,
        "nobody knows how long"
    );
    assert_eq!(
        any("step = [\"idle\"]", run("wire", &["idle"])),
        Verdict::Inconclusive,
        "of another messenger"
    );
    let broken =
        Run { marks: vec![Mark { start: "soon".into(), ..mark("idle", 1) }], ..run("signal", &["idle"]) };
    assert_eq!(
        any("step = [\"idle\"], seconds_over = 0", broken),
        Verdict::Inconclusive,
        "a mark without a time"
    );
}

/// A value comes again where it stands in two recordings; the same recording under another name is one.
#[test]
fn a_value_comes_again_in_recordings_not_in_copies() {
    let told = |values: [u64; 2], same_recording: bool| {
        let mut both = two_runs(report(vec![flow("signal", 1, "mtproto")]));
        both.findings = both
            .flows
            .iter()
            .zip(values)
            .map(|(f, value)| Finding { value, ..finding(FindingKind::Identifier, "signal", f) })
            .collect();
        for (n, input) in both.inputs.iter_mut().enumerate() {
            input.frames = if same_recording { 20 } else { 20 + n as u64 };
            input.decoded_bytes = 900;
        }
        decide("supports = { any = \"findings\", runs_over = 1 }", &both).verdict
    };
    assert_eq!(told([5, 5], false), Verdict::Supported);
    assert_eq!(told([5, 6], false), Verdict::Inconclusive);
    assert_eq!(told([0, 0], false), Verdict::Inconclusive, "nothing stands for the value");
    assert_eq!(told([5, 5], true), Verdict::Inconclusive);
}

/// Each claim that got a predicate of late, with what decides it and what does not.
#[test]
fn claims_on_steps_and_planted_secrets_are_decided() {
    let planted = |names: &[&str]| -> BTreeMap<String, String> {
        names.iter().map(|n| ((*n).to_owned(), format!("value-of-{n}"))).collect()
    };
    let canary = |messenger: &str, name: &str, decrypted: bool, direction: Direction, of: &Flow| Finding {
        what: format!("canary {name}: v…"),
        decrypted,
        direction: Some(direction),
        ..finding(FindingKind::Canary, messenger, of)
    };
    let judged = |id: &str,
                  steps: &[&str],
                  names: &[&str],
                  found: &[(&str, bool, Direction)],
                  extra: &dyn Fn(&mut Flow)| {
        let messenger = id.split_once('.').unwrap().0;
        let mut f = flow(messenger, 1, "tls1.3");
        extra(&mut f);
        let findings = found.iter().map(|(n, d, way)| canary(messenger, n, *d, *way, &f)).collect();
        let run = Run { canaries: planted(names), ..run(messenger, steps) };
        let report = with_run(Report { findings, ..report(vec![f]) }, run);
        said(&one(&judge(&embedded(), &report), id))
    };
    let (up, down) = (Direction::Up, Direction::Down);
    let nothing: &dyn Fn(&mut Flow) = &|_| {};
    let stream: &dyn Fn(&mut Flow) = &|f| {
        f.signatures.push(SignatureHit {
            messenger: "conversations".into(),
            signature: "xmpp.stream".into(),
            frames: vec![11],
            confidence: "likely".into(),
            detail: "a stream".into(),
        });
    };
    let directory: &dyn Fn(&mut Flow) = &|f| {
        f.names = vec![FlowName {
            name: "ds-apip.threema.ch".into(),
            source: "decrypted".into(),
            frame: 4,
            expired: false,
        }];
    };
    let minimal: &[&str] = &["register-minimal"];
    let all: &[&str] = &["mail", "number", "user"];
    let user = ("user", true, up);
    let open = "inconclusive:not-exercised";
    for (id, steps, names, found, extra, expected) in [
        ("caritas.email-optional", minimal, all, &[user][..], nothing, "supported"),
        ("caritas.email-optional", minimal, all, &[user, ("mail", true, up)][..], nothing, open),
        // Nothing was planted, or nothing was opened.
        ("caritas.email-optional", minimal, &["user"][..], &[user][..], nothing, open),
        ("caritas.email-optional", minimal, all, &[][..], nothing, open),
        ("caritas.email-optional", &["register"][..], all, &[user][..], nothing, open),
        ("caritas.account-only", minimal, all, &[user][..], nothing, "supported"),
        ("caritas.account-only", minimal, all, &[user, ("number", true, up)][..], nothing, open),
        ("caritas.account-only", minimal, &["mail", "user"][..], &[user][..], nothing, open),
        (
            "caritas.history-by-password",
            &["restore"][..],
            &["earlier"][..],
            &[("earlier", true, down)][..],
            nothing,
            "supported",
        ),
        (
            "caritas.history-by-password",
            &["restore"][..],
            &["earlier"][..],
            &[("earlier", true, up)][..],
            nothing,
            open,
        ),
        (
            "caritas.history-by-password",
            &["restore"][..],
            &["message"][..],
            &[("message", true, down)][..],
            nothing,
            open,
        ),
        ("conversations.no-identifiers-needed", minimal, all, &[user][..], stream, "supported"),
        ("conversations.no-identifiers-needed", minimal, all, &[user][..], nothing, open),
        (
            "conversations.no-identifiers-needed",
            minimal,
            all,
            &[user, ("number", true, up)][..],
            stream,
            open,
        ),
        (
            "threema.no-identifiers-needed",
            &["register-minimal", "text-1to1"][..],
            all,
            &[][..],
            directory,
            "supported",
        ),
        (
            "threema.no-identifiers-needed",
            &["register-minimal", "text-1to1"][..],
            all,
            &[][..],
            nothing,
            open,
        ),
        ("threema.no-identifiers-needed", minimal, all, &[][..], directory, open),
        ("signal.number-required", minimal, all, &[("number", true, up)][..], nothing, "supported"),
        ("signal.number-required", minimal, all, &[("number", true, down)][..], nothing, open),
        ("wire.number-required", minimal, all, &[("mail", true, up)][..], nothing, "contradicted"),
        (
            "wire.number-required",
            minimal,
            all,
            &[("mail", true, up), ("number", true, up)][..],
            nothing,
            open,
        ),
        ("wire.number-required", minimal, &["mail"][..], &[("mail", true, up)][..], nothing, open),
        ("wire.number-required", &["text-1to1"][..], all, &[("mail", true, up)][..], nothing, open),
        ("messenger.account-required", minimal, all, &[user][..], nothing, "supported"),
        ("messenger.account-required", minimal, all, &[("user", false, up)][..], nothing, open),
    ] {
        assert_eq!(judged(id, steps, names, found, extra), expected, "{id} {steps:?} {names:?} {found:?}");
    }
}

/// What one run was made to do and another one shows is shown by neither (p1 to p5 of a review), and what stayed shut within a run could hold
/// what was planted (p6).
#[test]
fn step_and_finding_have_to_be_of_one_run_and_all_of_it_read() {
    type Part<'a> = (&'a [&'a str], &'a [(&'a str, Direction)], u64);
    let judged = |id: &str, parts: &[Part<'_>]| {
        let messenger = id.split_once('.').unwrap().0;
        let mut all = Report::default();
        for (n, (steps, found, unread)) in parts.iter().enumerate() {
            let file = format!("{n}.pcap");
            let canaries = ["mail", "number", "user", "contact", "earlier"];
            let canaries = canaries.map(|name| (name.to_owned(), format!("value-of-{name}")));
            let run = Run { canaries: canaries.into(), ..run(messenger, steps) };
            all.inputs.push(Input { run: Some(run), frames: n as u64, ..input(&file) });
            let decrypted = |name: &str| FlowName {
                name: name.into(),
                source: "decrypted".into(),
                frame: 4,
                expired: false,
            };
            let mut read = Flow { capture: file.clone(), ..flow(messenger, 1, "tls1.3") };
            if messenger == "threema" && !steps.contains(&"register-minimal") {
                read.names.push(decrypted("apip.threema.ch"));
            }
            let findings = found.iter().map(|(name, way)| Finding {
                what: format!("canary {name}: v…"),
                decrypted: true,
                direction: Some(*way),
                encoding: if *name == "contact" { vec!["sha256".into()] } else { Vec::new() },
                ..finding(FindingKind::Canary, messenger, &read)
            });
            all.findings.extend(findings);
            let other = Flow { capture: file, unread_bytes: *unread, ..flow(messenger, 2, "tls1.3") };
            all.flows.extend([read, other]);
        }
        one(&judge(&embedded(), &all), id)
    };
    let (up, down) = (Direction::Up, Direction::Down);
    let minimal = &["register-minimal"][..];
    for (id, step, elsewhere, found, together) in [
        ("signal.number-required", minimal, &["register"][..], ("number", up), "supported"),
        ("messenger.account-required", minimal, &["register"], ("user", up), "supported"),
        ("caritas.email-optional", minimal, &["web-login"], ("user", up), "supported"),
        ("caritas.account-only", minimal, &["web-login"], ("user", up), "supported"),
        ("caritas.history-by-password", &["restore"], &["text-1to1"], ("earlier", down), "supported"),
        ("wire.number-required", minimal, &["text-1to1"], ("mail", up), "contradicted"),
        ("signal.contacts-only-hashes", &["contact-sync"], &["text-1to1"], ("contact", up), "supported"),
        ("threema.contacts-only-hashes", &["contact-sync"], &["text-1to1"], ("contact", up), "supported"),
    ] {
        let whole: Part<'_> = (step, &[found], 0);
        assert_eq!(said(&judged(id, &[whole])), together, "{id}");
        let apart = judged(id, &[(elsewhere, &[found], 0), (step, &[], 0)]);
        assert_eq!(apart.verdict, Verdict::Inconclusive, "{id}: {}", apart.explanation.en);
        // A run that shows it alone stands beside one that does not.
        let both = judged(id, &[whole, (elsewhere, &[], 0)]);
        assert_eq!(said(&both), together, "{id}");
        assert!(both.runs.iter().any(|r| r.verdict == both.verdict && r.captures == ["0.pcap"]), "{both:?}");
        // What is there is there, whatever else stayed shut; what is not there may stand in it.
        let shut = judged(id, &[(step, &[found], 700)]);
        let by_presence = ["number-required", "account-required", "history-by-password"];
        let stays = by_presence.iter().any(|name| id.ends_with(name)) && together == "supported";
        assert_eq!(said(&shut), if stays { together } else { "inconclusive:opaque" }, "{id}");
        if !stays {
            assert!(shut.next[0].command.contains("--keylog"), "{id}: {:?}", shut.next);
        }
    }
    let id = "threema.no-identifiers-needed";
    let apart = judged(id, &[(&["text-1to1"], &[], 0), (minimal, &[], 0)]);
    assert_eq!(apart.verdict, Verdict::Inconclusive, "{}", apart.explanation.en);
}

/// All parts of `within` have to match in one run; what speaks of several runs cannot stand in it.
#[test]
fn within_a_run_is_not_among_all() {
    let two = |a: &[&str], b: &[&str]| {
        let of = |encryptions: &[&str], file: &str| -> Vec<Flow> {
            let flows = encryptions.iter().zip(1..).map(|(e, n)| flow("signal", n, e));
            flows.map(|f| Flow { capture: file.to_owned(), ..f }).collect()
        };
        let mut all = report(of(a, "a.pcap"));
        all.inputs.push(input("b.pcap"));
        all.flows.extend(of(b, "b.pcap"));
        all
    };
    let parts = "all_of = [{ any = \"flows\", encryption = [\"tls1.3\"] }, { none = \"flows\", encryption = [\"none\"] }]";
    let within = format!("supports = {{ {parts}, within = \"run\" }}");
    let pooled = format!("supports = {{ {parts} }}");
    for (report, in_one, of_all) in [
        (two(&["tls1.3"], &["none"]), "supported", "inconclusive:not-exercised"),
        (two(&["tls1.3", "none"], &["tls1.2"]), "inconclusive:not-exercised", "inconclusive:not-exercised"),
        (two(&["tls1.3"], &["tls1.2"]), "supported", "supported"),
    ] {
        assert_eq!([said(&decide(&within, &report)), said(&decide(&pooled, &report))], [in_one, of_all]);
    }
    let shown = decide(&within, &two(&["tls1.3"], &["none"]));
    assert_eq!(shown.evidence.iter().map(|e| e.capture.as_str()).collect::<Vec<_>>(), ["a.pcap"]);
}

/// Claims for every messenger are those of one that nobody wrote a file for, too, and by its own names.
#[test]
fn common_claims_speak_of_a_messenger_without_a_file() {
    let catalogue = embedded();
    let common: Vec<&str> = catalogue.common().iter().map(|c| c.id.as_str()).collect();
    assert!(common.contains(&"*.idle-quiet") && catalogue.get("*.idle-quiet").is_some(), "{common:?}");
    assert!(!catalogue.speaks_of("foo-chat"));
    let all = catalogue.with_messengers(["foo-chat", "signal", "Foo Chat", "foo-chat"]);
    assert_eq!(all.claims().len(), catalogue.claims().len() + common.len());
    for id in &common {
        assert!(all.get(&id.replacen('*', "foo-chat", 1)).is_some(), "{id}");
    }
    let named = |name: &str, why: &str| {
        let seen = FlowName { name: name.into(), source: "sni".into(), frame: 4, expired: false };
        let f = Flow { names: vec![seen], messenger_why: Some(why.into()), ..flow("foo-chat", 1, "tls1.3") };
        said(&one(
            &judge(&all, &with_run(report(vec![f]), run("foo-chat", &[]))),
            "foo-chat.dns-names-hidden",
        ))
    };
    let open = "inconclusive:not-exercised";
    for (name, why, expected) in [
        ("api.foo-chat.example", "run", "contradicted"),
        ("foochat.example", "run", "contradicted"),
        ("foo-chat-eu.example", "run", "contradicted"),
        ("chat.host.example", "service:chat.host.example", "contradicted"),
        ("chat.host.example", "run", open),
        ("foo.example", "run", open),
        ("seafoo-chatty.example", "run", open),
    ] {
        assert_eq!(named(name, why), expected, "{name} {why}");
    }
}

/// Keys are asked for beside what has to be planted for them to show, and by themselves once it is.
#[test]
fn keys_are_asked_for_with_what_they_are_to_show() {
    let line = |id: &str, canaries: &[&str]| {
        let messenger = id.split_once('.').unwrap().0;
        let mut run = run(messenger, &["text-1to1"]);
        run.canaries = canaries.iter().map(|n| ((*n).to_owned(), format!("value-of-{n}"))).collect();
        let report = with_run(report(vec![flow(messenger, 1, "tls1.3")]), run);
        one(&judge(&embedded(), &report), id).next[0].command.clone()
    };
    for (id, canaries, records, planted) in [
        ("wire.contacts-only-hashes", &["message"][..], true, "\"contact-1\": \"'\"${CONTACT:?}\"'\""),
        ("wire.contacts-only-hashes", &["contact-7"][..], false, ""),
        ("wire.e2ee-proteus", &[][..], true, "\"message\": \"canary-7319-message\""),
        ("wire.e2ee-proteus", &["text-2"][..], false, ""),
        ("caritas.email-optional", &[][..], true, "\"mail\": \"'\"${MAIL:?}\"'\""),
        ("signal.number-required", &[][..], true, "\"number\": \"'\"${NUMBER:?}\"'\""),
    ] {
        let command = line(id, canaries);
        assert!(command.ends_with(" --keylog KEYS.log"), "{id}: {command}");
        assert_eq!(command.contains("tcpdump"), records, "{id}: {command}");
        assert!(command.contains(planted), "{id}: {command}");
    }
    // What stands in clear takes no keys.
    for id in [
        "wire.no-identifiers-in-clear",
        "wire.every-byte-encrypted",
        "wire.dns-names-hidden",
        "wire.tls-modern",
    ] {
        assert!(!line(id, &[]).contains("--keylog"), "{id}");
    }
}

/// An hour without use: how much a quiet app may send, and from what on it is none.
#[test]
fn a_quiet_app_and_a_loud_one_are_told_apart() {
    let idle = |bytes: [u64; 2], minutes: u32, why: &str| {
        let mut both =
            two_runs(with_run(report(vec![flow("signal", 1, "tls1.3")]), run("signal", &["idle"])));
        for (n, f) in both.flows.iter_mut().enumerate() {
            f.bytes_up = bytes[n];
            f.messenger_why = Some(why.into());
        }
        for input in &mut both.inputs {
            input.last_time = Some(format!(
                "2026-01-02T{:02}:{:02}:05.000000000Z",
                3 + (4 + minutes) / 60,
                (4 + minutes) % 60
            ));
        }
        said(&one(&judge(&embedded(), &both), "signal.idle-quiet"))
    };
    let name = "name:chat.signal.org";
    assert_eq!(idle([30_000, 40_000], 61, name), "not-contradicted");
    assert_eq!(idle([30_000, 2_000_000], 61, name), "contradicted");
    assert_eq!(
        idle([30_000, 2_000_000], 61, "run"),
        "inconclusive:not-exercised",
        "another program may have sent it"
    );
    assert_eq!(idle([30_000, 300_000], 61, name), "inconclusive:not-exercised", "between the two");
    assert_eq!(idle([300, 300], 59, name), "inconclusive:not-exercised", "too short");
}

/// A proxy's certificate, with data that its keys open, shows that the app spoke; without them, nothing.
#[test]
fn data_behind_a_foreign_certificate_contradict() {
    let told = |issuer: &str, protocols: &[&str]| {
        let mut f = flow("signal", 1, "tls1.3");
        f.app_protocols = protocols.iter().map(|p| (*p).to_owned()).collect();
        f.tls = Some(Box::new(FlowTls {
            issuer: Some(issuer.into()),
            subject: Some("CN=chat.signal.org".into()),
            certificate: Some(14),
            ..FlowTls::default()
        }));
        said(&one(&judge(&embedded(), &report(vec![f])), "signal.rejects-interception"))
    };
    assert_eq!(told("CN=metaleak test CA", &["tls", "http"]), "contradicted");
    assert_eq!(told("CN=metaleak test CA", &["tls"]), "inconclusive:not-exercised");
    assert_eq!(told("CN=Signal Root", &["tls", "http"]), "inconclusive:not-exercised");
}

/// Sources that agree and a round trip from a known place, of ends that are the provider's own.
#[test]
fn a_front_end_in_switzerland_takes_sources_and_physics() {
    let told = |country: &str, agreement: Agreement, possible: &[&str]| {
        let f = flow("threema", 1, "threema-csp");
        let mut end = destination("threema", &f);
        end.country = Some(country.into());
        end.agreement = agreement;
        end.role = Role::FirstParty;
        end.rtt_bounds = vec![RttBound {
            from: Whereabouts::Country("DE".into()),
            rtt_ms: 9.0,
            capture: "a.pcap".into(),
            frames: vec![10, 11],
            max_km: 900.0,
            excluded: Vec::new(),
            possible: possible.len() as u32,
            possible_codes: possible.iter().map(|c| (*c).to_owned()).collect(),
        }];
        let report = with_run(Report { destinations: vec![end], ..report(vec![f]) }, run("threema", &STEPS));
        said(&one(&judge(&embedded(), &report), "threema.servers-in-switzerland"))
    };
    assert_eq!(told("CH", Agreement::All, &["CH", "DE"]), "supported");
    assert_eq!(told("CH", Agreement::All, &[]), "inconclusive:vantage-unsuitable", "databases alone");
    assert_eq!(told("CH", Agreement::Majority, &["CH", "DE"]), "inconclusive:vantage-unsuitable");
    assert_eq!(told("US", Agreement::All, &["CA", "US"]), "contradicted");
}

/// Of a call: straight is what both sides know of each other, and relayed what neither does.
#[test]
fn calls_are_told_by_the_way_of_their_media() {
    let address = |kind: &str, sent_to| ExposedAddress {
        address: "203.0.113.9:4000".into(),
        kind: kind.into(),
        sent_to,
        ..ExposedAddress::default()
    };
    let call = |peer: u64, relay: u64, exposed: Vec<ExposedAddress>| Call {
        capture: "a.pcap".into(),
        messenger: Some("signal".into()),
        flows: vec![1],
        peer_bytes: peer,
        relay_bytes: relay,
        peers: if peer > 0 { vec!["203.0.113.9".into()] } else { Vec::new() },
        exposed,
        ..Call::default()
    };
    for (name, call, expected) in [
        ("straight", call(900, 0, vec![address("host", Some(4))]), "contradicted"),
        ("an address that nobody names", call(900, 0, vec![]), "inconclusive:not-exercised"),
        (
            "shown, and never sent to",
            call(900, 0, vec![address("srflx", None)]),
            "inconclusive:not-exercised",
        ),
        ("by a relay", call(0, 900, vec![address("relay", Some(4))]), "not-contradicted"),
        (
            "by a relay, after a try",
            call(0, 900, vec![address("host", Some(4))]),
            "inconclusive:not-exercised",
        ),
        ("without media", call(0, 0, vec![]), "inconclusive:not-exercised"),
    ] {
        let f = flow("signal", 1, "srtp");
        let end = Destination { role: Role::Peer, ..destination("signal", &f) };
        let report = Report { destinations: vec![end], ..with_run(report(vec![f]), run("signal", &STEPS)) };
        let result =
            one(&judge(&embedded(), &Report { calls: vec![call], ..report }), "signal.call-hides-peer-ip");
        assert_eq!(said(&result), expected, "{name}");
    }
}

// -------------------------------------------------------------------------------------------------- evidence

#[test]
fn decided_verdicts_show_frames() {
    for (keys, frames, note) in [
        (
            "supports = { any = \"flows\", encryption = [\"tls1.2\"] }",
            vec![13, 14],
            "198.51.100.1:443 (cdn.chat.example): tls1.2",
        ),
        (
            "supports = { any = \"flows\", signature = [\"whatsapp.noise-hello\"] }",
            vec![12],
            "whatsapp.noise-hello: a hello",
        ),
        (
            "supports = { any = \"flows\", certificate_subject = [\"O=Example\"] }",
            vec![17],
            "certificate of C=US, O=Example, Inc., CN=chat.example issued by O=Example CA (expired)",
        ),
        ("contradicts = { any = \"names\", source = [\"sni\"] }", vec![11], "cdn.chat.example (sni)"),
        ("contradicts = { any = \"findings\", kind = [\"canary\"] }", vec![15], "canary message-2"),
        ("supports = { any = \"destinations\", asn = [64496] }", vec![10], "Example Hosting (seat VG); t CH"),
    ] {
        let result = decide(keys, &rich());
        let [evidence] = &result.evidence[..] else { panic!("{keys}: {:?}", result.evidence) };
        assert_eq!((&evidence.capture[..], &evidence.frames), ("a.pcap", &frames), "{keys}");
        assert_eq!(evidence.sha256, "ab".repeat(32), "{keys}");
        assert!(evidence.note.contains(note), "{keys}: {}", evidence.note);
        let filter = match &frames[..] {
            [one] => format!("frame.number == {one}"),
            _ => "frame.number in {13, 14}".to_owned(),
        };
        assert_eq!(evidence.filter, filter, "{keys}");
    }
}

#[test]
fn evidence_is_bounded_and_ordered_by_capture() {
    let mut flows: Vec<Flow> = (1..=80).map(|n| flow("signal", n, "none")).collect();
    flows.push(Flow { capture: "b.pcap".into(), ..flow("signal", 1, "none") });
    let report = Report { inputs: vec![input("a.pcap"), input("b.pcap")], flows, ..Report::default() };
    let result = decide(CLEAR, &report);
    let captures: Vec<&str> = result.evidence.iter().map(|e| e.capture.as_str()).collect();
    assert_eq!(captures, ["a.pcap", "b.pcap"]);
    let first = &result.evidence[0];
    assert_eq!(first.frames.len(), 64);
    assert!(first.frames.is_sorted());
    assert!(first.note.contains("and 77 more") && first.note.contains("64 of 160 frames"), "{}", first.note);
}

#[test]
fn undecided_claims_show_what_there_is() {
    let result = decide("shows = { any = \"destinations\" }\notherwise = \"vantage-unsuitable\"", &rich());
    assert_eq!(said(&result), "inconclusive:vantage-unsuitable");
    assert_eq!(result.evidence[0].frames, [10]);
}

/// A verdict speaks of a program at a time; a reader must learn which.
#[test]
fn explanations_name_time_and_program() {
    let named = decide(SEEN, &with_run(report(vec![flow("signal", 1, "tls1.3")]), run("signal", &[])));
    assert!(
        named.explanation.en.contains("2026-01-02") && named.explanation.en.contains("an app of version 7")
    );
    assert!(
        named.explanation.de.contains("02.01.2026") && named.explanation.de.contains("an app of version 7")
    );
    let unnamed = decide(SEEN, &report(vec![flow("signal", 1, "tls1.3")]));
    assert!(unnamed.explanation.en.contains("not known"), "{}", unnamed.explanation.en);
    let undecided = decide(SEEN, &report(vec![flow("signal", 1, "none")]));
    assert!(!undecided.explanation.en.contains("2026-01-02"), "{}", undecided.explanation.en);
}

/// Of a capture of several years only the flows that show it tell when it was.
#[test]
fn times_are_those_of_the_flows_that_show_it() {
    let at = |seconds: i64| CaptureTime(seconds * 1_000_000_000);
    let mut old = flow("signal", 1, "none");
    old.times = (at(1_500_000_000), at(1_500_000_060));
    let mut new = flow("signal", 2, "tls1.3");
    new.times = (at(1_656_000_000), at(1_656_000_060));
    let both = report(vec![old, new]);
    let said = |keys: &str| decide(keys, &both).explanation.en;
    assert!(said(CLEAR).contains("Recorded: 2017-07-14."), "{}", said(CLEAR));
    assert!(said(SEEN).contains("Recorded: 2022-06-23."), "{}", said(SEEN));
    let absent = said("absence = true\nsupports = { none = \"flows\", encryption = [\"quic\"] }");
    assert!(absent.contains("Recorded: 2017-07-14 – 2022-06-23."), "{absent}");
}

/// An XMPP stream is that of a program which names itself, or of one that nobody knows.
#[test]
fn xmpp_is_told_from_conversations() {
    let stream = |id: Option<&str>| {
        let mut f = flow("conversations", 1, "none");
        f.messenger_why = Some("signature:xmpp.stream".into());
        f.clear_bytes = 90;
        for (id, detail, frame) in std::iter::once(("xmpp.stream", "an XMPP stream of a client", 11))
            .chain(id.map(|id| (id, "the client calls itself http://client.example", 17)))
        {
            f.signatures.push(SignatureHit {
                messenger: "conversations".into(),
                signature: id.into(),
                frames: vec![frame],
                confidence: "likely".into(),
                detail: detail.into(),
            });
        }
        Report { destinations: vec![destination("conversations", &f)], ..report(vec![f]) }
    };
    let unknown = "not shown to be Conversations";
    for (id, part, says_unknown) in [
        (None, unknown, true),
        (
            Some("xmpp.other-client"),
            "(frame 17 of a.pcap) the program is http://client.example, not Conv",
            false,
        ),
        (Some("xmpp.conversations"), "(frame 17 of a.pcap) the program is http://client.example;", false),
    ] {
        let report = with_run(stream(id), run("conversations", &STEPS));
        let all = judge(&embedded(), &report);
        for name in ["open-protocol", "every-byte-encrypted"] {
            let result = one(&all, &format!("conversations.{name}"));
            let said = &result.explanation.en;
            assert!(said.contains(part) && said.contains(unknown) == says_unknown, "{id:?} {name}: {said}");
            assert!(said.contains("An XMPP client spoke here"), "{name}: {said}");
        }
        for name in ["own-server", "free-server-choice"] {
            let verdict = one(&all, &format!("conversations.{name}")).verdict;
            assert_eq!(verdict == Verdict::Supported, id != Some("xmpp.other-client"), "{id:?} {name}");
        }
    }
}

/// Networks change hands, and a verdict that rests on whose they are says how old the tables are.
#[test]
fn verdicts_on_ends_say_when_the_tables_are_younger() {
    let keys = "supports = { any = \"destinations\", asn = [64496] }";
    let mut old = rich();
    assert!(!decide(keys, &old).explanation.en.contains("older than the tables"));
    old.warnings.push(Warning {
        capture: "a.pcap".into(),
        data_age: Some(DataAge { later: true, newest: "2026-10-01".into(), ..DataAge::default() }),
        ..Warning::default()
    });
    let told = decide(keys, &old).explanation;
    assert!(told.en.contains("older than the tables") && told.en.contains("2026-10-01"), "{}", told.en);
    assert!(told.de.contains("älter als die Tabellen"), "{}", told.de);
    let named = decide("supports = { any = \"names\", source = [\"sni\"] }", &old).explanation.en;
    assert!(!named.contains("older than the tables"), "names need no tables: {named}");
    let with = decide("supports = { any = \"flows\", to = { known = true } }", &old).explanation.en;
    assert!(with.contains("older than the tables"), "{with}");
}

/// What a relay asks to log in to names the messenger as a server's name does, and an old log-in has no handshake.
#[test]
fn the_realm_of_a_relay_and_an_old_log_in_contradict() {
    let mut relayed = flow("signal", 1, "none");
    relayed.messenger_why = Some("turn-realm:signal.org".into());
    let name = |name: &str, source: &str| FlowName {
        name: name.into(),
        source: source.into(),
        frame: 14,
        expired: false,
    };
    relayed.names = vec![name("signal.org", "turn-realm")];
    let hidden = one(&judge(&embedded(), &report(vec![relayed])), "signal.dns-names-hidden");
    assert_eq!((said(&hidden).as_str(), &hidden.evidence[0].frames[..]), ("contradicted", &[14][..]));
    let mut login = flow("whatsapp", 1, "none");
    login.names = vec![name("e12.whatsapp.net", "dns")];
    login.signatures = vec![SignatureHit {
        messenger: "whatsapp".into(),
        signature: "whatsapp.funxmpp".into(),
        frames: vec![8],
        confidence: "certain".into(),
        detail: "a log-in".into(),
    }];
    let open = one(&judge(&embedded(), &report(vec![login])), "whatsapp.transport-encryption");
    assert_eq!((said(&open).as_str(), &open.evidence[0].frames[..]), ("contradicted", &[8][..]));
}

// ----------------------------------------------------------- what must not make the catalogue say anything false

fn decided(report: &Report) -> Vec<String> {
    let decided = |c: &ClaimResult| {
        matches!(c.verdict, Verdict::Supported | Verdict::Contradicted | Verdict::NotContradicted)
    };
    let mut told: Vec<String> = judge(&embedded(), report)
        .iter()
        .filter(|c| decided(c))
        .map(|c| format!("{} {}", c.id, c.verdict))
        .collect();
    told.sort();
    told
}

const KINDS: [FindingKind; 7] = [
    FindingKind::Credential,
    FindingKind::Canary,
    FindingKind::Identifier,
    FindingKind::Content,
    FindingKind::Cookie,
    FindingKind::Token,
    FindingKind::Name,
];

/// A run attributes to its messenger whatever the device sent: a browser's clear page, an old TLS of another program.
#[test]
fn flows_that_only_the_run_attributes_decide_nothing() {
    for messenger in MESSENGERS {
        let mut flows = Vec::new();
        for (n, (encryption, protocol)) in
            [("none", "http"), ("tls1.0", "tls"), ("tls1.2", "tls"), ("opaque", "")].into_iter().enumerate()
        {
            let mut f = flow(messenger, n as u64 + 1, encryption);
            f.messenger_why = Some("run".into());
            f.app_protocols = vec![protocol.into()];
            f.clear_bytes = if encryption == "none" { 900 } else { 0 };
            f.names = vec![FlowName {
                name: "other.example".into(),
                source: "sni".into(),
                frame: 3,
                expired: false,
            }];
            f.tls = encryption.starts_with("tls").then(|| {
                Box::new(FlowTls {
                    version: Some(encryption.into()),
                    cipher: Some("0x000a".into()),
                    ..FlowTls::default()
                })
            });
            flows.push(f);
        }
        let findings = KINDS.into_iter().filter_map(|kind| {
            let mut f = finding(kind, messenger, &flows[0]);
            f.what = "canary query: q…y".into();
            // What a planted secret in clear HTTP shows for a platform without names of its own is tested below.
            (kind != FindingKind::Canary || messenger != "caritas").then_some(f)
        });
        let findings = findings.collect();
        let destinations = flows
            .iter()
            .map(|f| Destination {
                role: Role::Tracker,
                jurisdictions: vec![Jurisdiction {
                    code: "RU".into(),
                    why: JurisdictionWhy::OperatorSeat,
                    basis: Basis::None,
                    as_of: String::new(),
                    unverified: Vec::new(),
                    source: String::new(),
                }],
                ..destination(messenger, f)
            })
            .collect();
        let report = Report { findings, destinations, ..report(flows) };
        assert_eq!(decided(&with_run(report, run(messenger, &STEPS))), Vec::<String>::new(), "{messenger}");
    }
}

/// A library that speaks a messenger's protocol to a host of the laboratory says nothing about the messenger.
#[test]
fn stand_ins_and_silent_hosts_decide_nothing() {
    let mut flows = Vec::new();
    for (n, (messenger, signature, encryption)) in [
        ("whatsapp", "whatsapp.noise-preface", "noise"),
        ("whatsapp", "whatsapp.noise-hello", "noise"),
        ("whatsapp", "whatsapp.funxmpp", "none"),
        ("telegram", "telegram.mtproto-obfuscated2", "mtproto"),
        ("telegram", "telegram.mtproto-abridged", "mtproto"),
        ("threema", "threema.csp-handshake", "threema-csp"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut f = flow(messenger, n as u64 + 1, encryption);
        f.server = format!("10.0.0.{}:5222", n + 1);
        f.messenger_why = Some(format!("signature:{signature}"));
        f.clear_bytes = if encryption == "none" { 18_000 } else { 0 };
        f.signatures = vec![SignatureHit {
            messenger: messenger.into(),
            signature: signature.into(),
            frames: vec![n as u64 + 1],
            confidence: "certain".into(),
            detail: String::new(),
        }];
        flows.push(f);
    }
    let destinations = flows
        .iter()
        .map(|f| Destination { role: Role::FirstParty, ..destination(f.messenger.as_deref().unwrap(), f) })
        .collect();
    assert_eq!(decided(&Report { destinations, ..report(flows) }), Vec::<String>::new());
}

/// Databases that agree, a short way, a delivery network: none of it shows where servers stand.
#[test]
fn no_place_is_told_from_databases() {
    for messenger in MESSENGERS {
        for (country, role) in [("US", Role::FirstParty), ("CH", Role::Hosting), ("DE", Role::Cdn)] {
            let f = flow(messenger, 1, "opaque");
            let mut end = destination(messenger, &f);
            end.role = role;
            end.country = Some(country.into());
            end.agreement = Agreement::All;
            end.max_km = Some(300.0);
            end.operator =
                Some(Operator { name: "Amazon.com, Inc.".into(), asn: Some(16509), source: "t".into() });
            end.jurisdictions = vec![
                Jurisdiction {
                    code: country.into(),
                    why: JurisdictionWhy::Place,
                    basis: Basis::None,
                    as_of: String::new(),
                    unverified: vec![metaleak::model::Unverified::Dpf],
                    source: String::new(),
                },
                Jurisdiction {
                    code: "US".into(),
                    why: JurisdictionWhy::OperatorSeat,
                    basis: Basis::None,
                    as_of: String::new(),
                    unverified: vec![metaleak::model::Unverified::Dpf],
                    source: String::new(),
                },
            ];
            let report = Report { destinations: vec![end], ..report(vec![f]) };
            let told =
                decided(&with_run(report, Run { vantage: Some(Vantage::Router), ..run(messenger, &STEPS) }));
            let places = ["servers-in", "hosted", "self-hosted", "adequate"];
            assert!(
                !told.iter().any(|t| places.iter().any(|p| t.contains(p))),
                "{messenger} {country} {role:?}: {told:?}"
            );
        }
    }
}

/// A seat or a certification that nobody looked up is no lack of one.
#[test]
fn what_was_not_looked_up_contradicts_nothing() {
    use metaleak::model::Unverified;
    for (unverified, verdict) in [
        (vec![], Verdict::Contradicted),
        (vec![Unverified::Dpf], Verdict::Inconclusive),
        (vec![Unverified::Seat], Verdict::Inconclusive),
    ] {
        let mut f = flow("wire", 1, "tls1.3");
        f.messenger_why = Some("name:wire.example".into());
        let mut end = destination("wire", &f);
        end.jurisdictions = vec![Jurisdiction {
            code: "US".into(),
            why: JurisdictionWhy::OperatorSeat,
            basis: Basis::None,
            unverified: unverified.clone(),
            as_of: String::new(),
            source: String::new(),
        }];
        let report = Report { destinations: vec![end], ..report(vec![f]) };
        let results = judge(&embedded(), &report);
        let result = one(&results, "wire.all-ends-adequate");
        assert_eq!(result.verdict, verdict, "{unverified:?}: {}", result.explanation.en);
        let note = &result.evidence[0].note;
        assert_eq!(note.contains("(seat US, unverified)"), !unverified.is_empty(), "{note}");
        // Conditions name it by its own word.
        for (condition, fits) in [
            ("seat_basis = [\"unverified\"]", !unverified.is_empty()),
            ("basis = [\"none\"]", unverified.is_empty()),
            ("not_basis = [\"eea\"]", unverified.is_empty()),
            ("seat = [\"US\"]", !unverified.contains(&Unverified::Seat)),
            ("not_seat = [\"CH\"]", !unverified.contains(&Unverified::Seat)),
            ("jurisdiction = [\"US\"]", !unverified.contains(&Unverified::Seat)),
            // No law of a place, nor of a service: neither one nor the lack of one is told.
            ("place_law = [\"US\"]", false),
            ("not_place_law = [\"CH\"]", false),
            ("not_service_seat = [\"CH\"]", false),
        ] {
            let mut asked = rich();
            asked.destinations[0].jurisdictions.clone_from(&report.destinations[0].jurisdictions);
            let result = decide(&format!("supports = {{ any = \"destinations\", {condition} }}"), &asked);
            assert_eq!(result.verdict == Verdict::Supported, fits, "{unverified:?}: {condition}");
        }
    }
}

/// What another app was made to do does not exercise this one.
#[test]
fn steps_of_another_messenger_decide_nothing_that_asks_for_steps() {
    let catalogue = embedded();
    let mut f = flow("whatsapp", 1, "noise");
    f.names =
        vec![FlowName { name: "e1.whatsapp.net".into(), source: "dns".into(), frame: 2, expired: false }];
    let report = with_run(report(vec![f]), run("signal", &STEPS));
    for result in judge(&catalogue, &report) {
        let asks = !catalogue.get(&result.id).unwrap().steps.is_empty();
        let exercised = matches!(result.verdict, Verdict::Supported | Verdict::NotContradicted);
        assert!(!(asks && exercised), "{}", result.id);
    }
    assert!(decided(&report).contains(&"whatsapp.transport-encryption supported".to_owned()));
}

#[test]
fn the_catalogue_decides_what_frames_show() {
    let signed = |messenger: &str, id: &str, encryption: &str| {
        let mut f = flow(messenger, 1, encryption);
        f.messenger_why = Some(format!("signature:{id}"));
        f.app_protocols =
            vec![if messenger == "conversations" { "xmpp".into() } else { messenger.to_owned() }];
        f.signatures = vec![SignatureHit {
            messenger: messenger.into(),
            signature: id.into(),
            frames: vec![12],
            confidence: "certain".into(),
            detail: String::new(),
        }];
        f
    };
    let at = |asn: u32, f: &Flow| Destination {
        operator: Some(Operator { name: "x".into(), asn: Some(asn), source: "t".into() }),
        ..destination(f.messenger.as_deref().unwrap(), f)
    };
    let telegram = signed("telegram", "telegram.mtproto-obfuscated2", "mtproto");
    let told = decided(&Report { destinations: vec![at(62041, &telegram)], ..report(vec![telegram]) });
    assert_eq!(told, ["telegram.own-protocol supported"]);

    let threema = signed("threema", "threema.csp-handshake", "threema-csp");
    let told = decided(&Report { destinations: vec![at(29691, &threema)], ..report(vec![threema]) });
    assert_eq!(told, ["threema.transport-encryption supported"]);

    // XMPP with STARTTLS: the header is in clear, what follows is not.
    let mut covered = signed("conversations", "xmpp.stream", "tls1.3");
    covered.clear_bytes = 300;
    covered.names =
        vec![FlowName { name: "chat.example".into(), source: "xmpp-to".into(), frame: 4, expired: false }];
    covered.tls = Some(Box::new(FlowTls {
        version: Some("tls1.3".into()),
        cipher: Some("0x1302".into()),
        ..FlowTls::default()
    }));
    let end = destination("conversations", &covered);
    let starttls = Report { destinations: vec![end], ..report(vec![covered]) };
    assert_eq!(
        decided(&starttls),
        [
            "conversations.dns-names-hidden contradicted",
            "conversations.every-byte-encrypted contradicted",
            "conversations.open-protocol supported",
            "conversations.tls-modern supported",
            "conversations.transport-encryption supported",
        ]
    );
    let own = decided(&with_run(starttls, run("conversations", &["own-server", "text-1to1"])));
    assert!(own.contains(&"conversations.own-server supported".to_owned()), "{own:?}");

    // The same without TLS, with a password.
    let mut clear = signed("conversations", "xmpp.stream", "none");
    clear.clear_bytes = 900;
    let password = finding(FindingKind::Credential, "conversations", &clear);
    assert_eq!(
        decided(&Report { findings: vec![password], ..report(vec![clear]) }),
        [
            "conversations.every-byte-encrypted contradicted",
            "conversations.no-identifiers-in-clear contradicted",
            "conversations.open-protocol supported",
            "conversations.transport-encryption contradicted",
        ]
    );

    // A platform without names of its own: only a planted secret shows that the clear page was the platform's.
    let mut page = flow("caritas", 1, "none");
    page.messenger_why = Some("run".into());
    page.app_protocols = vec!["http".into()];
    let mut planted = finding(FindingKind::Canary, "caritas", &page);
    planted.what = "canary message: c…t".into();
    assert_eq!(
        decided(&Report { findings: vec![planted], ..report(vec![page]) }),
        ["caritas.every-byte-encrypted contradicted", "caritas.tls contradicted"]
    );

    // Analytics that Wire's build names for itself.
    let mut analytics = flow("wire", 1, "tls1.3");
    analytics.messenger_why = Some("run".into());
    analytics.names =
        vec![FlowName { name: "wire.count.ly".into(), source: "sni".into(), frame: 11, expired: false }];
    let told = decided(&with_run(report(vec![analytics]), run("wire", &["idle"])));
    assert_eq!(told, ["wire.no-metadata-analysis contradicted"]);
}

/// Plain HTTP to the servers of the service contradicts by its content; a redirect, a page or an address that others share does not.
#[test]
fn plain_http_with_the_vendor_contradicts() {
    let at = |messenger: &str, number: u64, encryption: &str, host: &str| {
        let mut f = flow(messenger, number, encryption);
        f.names = vec![FlowName { name: host.into(), source: "http-host".into(), frame: 11, expired: false }];
        f.messenger_why = Some(format!("name:{host}"));
        f.app_protocols = vec![if encryption == "none" { "http" } else { "tls" }.to_owned()];
        f
    };
    for (messenger, host, claims) in [
        ("signal", "chat.signal.org", &["every-byte-encrypted", "transport-encryption"][..]),
        ("wire", "prod-nginz-https.wire.com", &["every-byte-encrypted", "transport-encryption"]),
        ("messenger", "edge-mqtt.facebook.com", &["every-byte-encrypted", "transport-encryption"]),
        ("whatsapp", "e7.whatsapp.net", &["every-byte-encrypted", "transport-encryption"]),
        ("threema", "apip.threema.ch", &["every-byte-encrypted"]),
    ] {
        let report = |clear_messages: u64, why: &str| {
            let mut http = at(messenger, 1, "none", host);
            http.clear_messages = clear_messages;
            http.messenger_why = Some(format!("{why}:{host}"));
            let beside = at(messenger, 2, "tls1.3", host);
            let end = Destination { country: Some("DE".into()), ..destination(messenger, &beside) };
            let ends = vec![Destination { country: Some("DE".into()), ..destination(messenger, &http) }, end];
            Report { destinations: ends, ..report(vec![http, beside]) }
        };
        let said = |report: &Report| -> Vec<Verdict> {
            let results = judge(&embedded(), report);
            claims.iter().map(|name| one(&results, &format!("{messenger}.{name}")).verdict).collect()
        };
        assert!(said(&report(1, "name")).iter().all(|v| *v == Verdict::Contradicted), "{messenger}");
        // One connection that is not encrypted is enough that the others do not support it.
        for (messages, why) in [(0, "name"), (1, "shared")] {
            let told = said(&report(messages, why));
            assert!(told.iter().all(|v| *v == Verdict::Inconclusive), "{messenger} {why}: {told:?}");
        }
    }
}

/// An analytics service that only the app contacts speaks against “no evaluation of metadata”.
#[test]
fn a_tracker_of_the_app_contradicts_threemas_promise() {
    for (remains, role, expected) in [
        (Some(false), Role::Tracker, Verdict::Contradicted),
        (None, Role::Tracker, Verdict::Inconclusive),
        (Some(true), Role::Tracker, Verdict::Inconclusive),
        (Some(false), Role::Cdn, Verdict::Inconclusive),
    ] {
        let mut f = flow("threema", 1, "tls1.3");
        f.messenger_why = Some("run".into());
        f.also_seen = remains.map(|seen| AlsoSeen { without_app: Some(seen), ..AlsoSeen::default() });
        let end = Destination { role, ..destination("threema", &f) };
        let report = with_run(
            Report { destinations: vec![end], ..report(vec![f]) },
            run("threema", &["idle", "text-1to1", "register"]),
        );
        let result = one(&judge(&embedded(), &report), "threema.no-metadata-analysis");
        assert_eq!(result.verdict, expected, "{remains:?} {role:?}");
    }
}

/// An end that the round trip keeps out of all these countries contradicts; what databases say decides nothing.
#[test]
fn only_physics_puts_an_end_outside_of_switzerland_and_the_eea() {
    let f = flow("signal", 1, "tls1.3");
    let end = |possible: &[&str], places: &str| {
        let mut end = Destination { role: Role::Hosting, ..destination("signal", &f) };
        end.country = Some(places.into());
        end.places = vec![Place { country: places.into(), source: "t".into(), as_of: "2026-01-01".into() }];
        end.rtt_bounds = vec![RttBound {
            from: Whereabouts::Country("US".into()),
            rtt_ms: 7.0,
            capture: "a.pcap".into(),
            frames: Vec::new(),
            max_km: 700.0,
            excluded: Vec::new(),
            possible: possible.len() as u32,
            possible_codes: possible.iter().map(|c| (*c).to_owned()).collect(),
        }];
        let report = Report { destinations: vec![end], ..report(vec![f.clone()]) };
        one(&judge(&embedded(), &report), "signal.ends-in-ch-eea").verdict
    };
    assert_eq!(end(&["US", "CA"], "DE"), Verdict::Contradicted);
    assert_eq!(end(&["US", "IS"], "US"), Verdict::Inconclusive);
}

/// An id that may be temporary, and a message that only keys made readable, are no identifiers in clear.
#[test]
fn weak_findings_do_not_contradict() {
    let mut f = flow("telegram", 1, "mtproto");
    f.app_protocols = vec!["mtproto".into()];
    let mut id = finding(FindingKind::Identifier, "telegram", &f);
    id.severity = Severity::Medium;
    let mut planted = finding(FindingKind::Canary, "telegram", &f);
    planted.what = "canary number: 4…9".into();
    planted.decrypted = true;
    let mut text = finding(FindingKind::Content, "telegram", &f);
    text.severity = Severity::Low;
    let told = decided(&Report { findings: vec![id, planted, text], ..report(vec![f]) });
    assert_eq!(told, Vec::<String>::new());
}

// ---------------------------------------------------------------------------------------------- broken files

/// A sound claim; `LINE 7` and on are the case's.
const SOUND: &str = "[[claim]]\nid = \"signal.x\"\ncriterion = \"gdpr\"\ntext = { en = \"a\", de = \"b\" }\ndecided_by = \"traffic\"\nsources = [ { id = \"s\", text = \"t\" } ]\n";

#[test]
fn faults_name_file_line_and_remedy() {
    let sound = |rest: &str| format!("{SOUND}{rest}\n");
    let without = |key: &str, instead: &str| {
        let lines: Vec<&str> = SOUND.lines().map(|l| if l.starts_with(key) { instead } else { l }).collect();
        lines.join("\n") + "\nsupports = { any = \"flows\" }\n"
    };
    // typos: off
    let cases: Vec<(String, usize, &str, &str)> = vec![
        (sound("supports = = 3"), 7, "", "write valid TOML"),
        (String::new(), 1, "there are no claims", "write [[claim]]"),
        ("claim = 3\n".into(), 1, "`claim` is not a list of tables", "write [[claim]]"),
        (
            format!("title = \"x\"\n{}", sound("supports = { any = \"flows\" }")),
            1,
            "unknown key \"title\"",
            "claim, source",
        ),
        (sound("suports = { any = \"flows\" }"), 7, "unknown key \"suports\"", "did you mean \"supports\"?"),
        (sound(""), 1, "nothing could decide this claim", "add supports or contradicts"),
        (without("id", ""), 1, "the claim has no id", "add id = …"),
        (without("sources", ""), 1, "the claim has no sources", "add sources = …"),
        (without("id", "id = \"Signal X\""), 2, "is no claim id", "write MESSENGER.NAME"),
        (
            without("criterion", "criterion = \"gdrp\""),
            3,
            "unknown criterion \"gdrp\"",
            "did you mean \"gdpr\"?",
        ),
        (without("text", "text = { en = \"a\" }"), 4, "text has no text for \"de\"", "add de = \"…\""),
        (
            without("text", "text = \"a\""),
            4,
            "text is not a pair of texts",
            "write text = { en = \"…\", de = \"…\" }",
        ),
        (
            without("text", "text = { en = \"a\", fr = \"b\", de = \"c\" }"),
            4,
            "unknown language \"fr\"",
            "en, de",
        ),
        (
            without("decided_by", "decided_by = \"trafic\""),
            5,
            "unknown way to decide \"trafic\"",
            "did you mean \"traffic\"?",
        ),
        (
            without("decided_by", "decided_by = \"documentary\""),
            7,
            "a documentary claim has supports",
            "remove it",
        ),
        (without("sources", "sources = []"), 6, "the claim has no source", "unverified = true"),
        (
            without("sources", "sources = [ { id = \"s\" } ]"),
            6,
            "a source lacks id or text",
            "write { id = \"…\", text = \"…\" }",
        ),
        (
            without("sources", "sources = [ { id = \"s\", text = \"t\", ulr = \"u\" } ]"),
            6,
            "unknown key of a source \"ulr\"",
            "did you mean \"url\"?",
        ),
        (
            without("sources", "sources = [ { id = \"s\", text = \"t\", url = \"example.org\" } ]"),
            6,
            "\"example.org\" is no web address",
            "begin it with https://",
        ),
        (
            without("sources", "sources = [ \"wa.n1\" ]"),
            6,
            "the file has no [[source]] with the id \"wa.n1\"",
            "add [[source]]",
        ),
        (
            format!(
                "{}[[source]]\nid = \"wa.n1\"\ntext = \"t\"\n",
                without("sources", "sources = [ \"wa.n11\" ]")
            ),
            6,
            "unknown source \"wa.n11\"",
            "wa.n1",
        ),
        (
            format!("{}[[source]]\nid = \"wa.n1\"\ntext = \"t\"\n", sound("supports = { any = \"flows\" }")),
            8,
            "no claim names the source \"wa.n1\"",
            "remove it",
        ),
        (
            sound("supports = \"flows\""),
            7,
            "a predicate is not a table",
            "{ any = \"flows\", encryption = [\"none\"] }",
        ),
        (
            sound("supports = { encryption = [\"none\"] }"),
            7,
            "a predicate without a quantifier",
            "write exactly one of any, all, none, count, share",
        ),
        (
            sound("supports = { any = \"flows\", all = \"flows\" }"),
            7,
            "two quantifiers",
            "write exactly one of",
        ),
        (sound("supports = { any = \"flow\" }"), 7, "unknown subject \"flow\"", "did you mean \"flows\"?"),
        (sound("supports = { count = \"flows\" }"), 7, "count without a limit", "add at_least = N"),
        (
            sound("supports = { share = \"flows\", at_least = 2 }"),
            7,
            "share without a limit above 0 and up to 1",
            "at_least = 0.5",
        ),
        (
            sound("supports = { any = \"flows\", at_least = 2 }"),
            7,
            "at_least does not go with any",
            "use count or share",
        ),
        (
            sound("supports = { any = \"flows\", encrypted = [\"none\"] }"),
            7,
            "unknown condition \"encrypted\"",
            "did you mean \"encryption\"?",
        ),
        (
            sound("supports = { any = \"flows\", encryption = [\"tls13\"] }"),
            7,
            "unknown encryption \"tls13\"",
            "did you mean \"tls1.3\"?",
        ),
        (
            sound("supports = { any = \"flows\", port = [\"443\"] }"),
            7,
            "port is not a number",
            "write a number",
        ),
        (
            sound("supports = { any = \"findings\", decrypted = \"no\" }"),
            7,
            "decrypted is a text",
            "write true or false",
        ),
        (sound("supports = { any = \"findings\", port = [443] }"), 7, "unknown condition \"port\"", "kind"),
        (
            sound("supports = { any = \"flows\", to = [443] }"),
            7,
            "to is a list",
            "write to = { asn = [64496] }",
        ),
        (
            sound("supports = { any = \"findings\", flow = { kind = [\"token\"] } }"),
            7,
            "unknown condition \"kind\"",
            "encryption",
        ),
        (sound("supports = { all_of = { any = \"flows\" } }"), 7, "all_of is not a list", "write all_of = ["),
        (
            sound("supports = {\n any_of = [\n  { any = \"flows\" },\n  { any = \"flow\" },\n ] }"),
            10,
            "unknown subject \"flow\"",
            "did you mean \"flows\"?",
        ),
        (sound("otherwise = \"control-faild\""), 7, "unknown reason \"control-faild\"", "opaque"),
        (sound("otherwise = \"opaque\"\ncontrol = \"K10\""), 8, "unknown control \"K10\"", "write K1 to K9"),
        (
            sound("otherwise = \"opaque\"\nvantage = [\"router\", \"rooter\"]"),
            8,
            "unknown vantage \"rooter\"",
            "did you mean \"router\"?",
        ),
        (
            sound("otherwise = \"opaque\"\nmin_runs = 1.5"),
            8,
            "min_runs is not a whole number",
            "write a whole number",
        ),
        (sound("otherwise = \"opaque\"\nsteps = []"), 8, "steps is empty", "leave the key out"),
        (sound("otherwise = \"opaque\"\nabsence = 1"), 8, "absence is a number", "write true or false"),
        (
            sound("otherwise = \"opaque\"") + &sound("otherwise = \"opaque\""),
            9,
            "the id \"signal.x\" is taken by broken.toml:2",
            "give each claim an id of its own",
        ),
        (
            sound("supports = { any = \"destinations\", country = [\"ch\"] }"),
            7,
            "no value of country",
            "such as CH",
        ),
        (
            sound("supports = { any = \"destinations\", not_country = [\"ZZ\"] }"),
            7,
            "no value of not_country",
            "such as CH",
        ),
        (
            sound("supports = { any = \"destinations\", seat = [\"Germany\"] }"),
            7,
            "no value of seat",
            "such as CH",
        ),
        (
            sound("supports = { any = \"destinations\", rtt_excludes = [\"USA\"] }"),
            7,
            "no value of rtt_excludes",
            "such as CH",
        ),
        (
            sound("supports = { any = \"destinations\", operator = [\"\"] }"),
            7,
            "no value of operator",
            "at least a part",
        ),
        (
            sound("supports = { any = \"destinations\", asn = [4294967296] }"),
            7,
            "4294967296 is no asn",
            "a number that it can have",
        ),
        (sound("supports = { any = \"destinations\", asn = [] }"), 7, "asn is empty", "name one or more"),
        (
            sound("supports = { any = \"flows\", transport = [\"sctpp\"] }"),
            7,
            "no value of transport",
            "tcp, udp",
        ),
        (sound("supports = { any = \"flows\", cipher = [\"1301\"] }"), 7, "no value of cipher", "0x1301"),
        (
            sound("supports = { any = \"flows\", port = [70000] }"),
            7,
            "70000 is no port",
            "a number that it can have",
        ),
        (sound("supports = { any = \"flows\", name = [\"X.ORG.\"] }"), 7, "no value of name", "example.org"),
        (
            without("sources", "sources = [ { id = \"s\", text = \"t\", date = \"gestern\" } ]"),
            6,
            "is no date",
            "2024-05-17",
        ),
    ];
    // typos: on
    let cases = cases.into_iter().chain(more_faults()).collect::<Vec<_>>();
    assert!(cases.len() >= 75);
    let folder = tempfile::tempdir().unwrap();
    for (text, line, what, remedy) in cases {
        let error = Catalogue::from_texts([("broken.toml".to_owned(), text.clone())]).err();
        let error = error.unwrap_or_else(|| panic!("no fault found in\n{text}"));
        // `claims check` says the same of the file on disk.
        let path = folder.path().join("broken.toml");
        std::fs::write(&path, &text).unwrap();
        let told = check(std::slice::from_ref(&path)).unwrap_err();
        let plain: Vec<_> = told.faults.iter().map(|f| (f.line, &f.what, &f.remedy)).collect();
        let known: Vec<_> = error.faults.iter().map(|f| (f.line, &f.what, &f.remedy)).collect();
        assert!(plain.len() == known.len() && plain.iter().zip(&known).all(|(a, b)| a.0 == b.0), "{told}");
        // One mistake is told once: a second fault would send the reader after something that is not wrong.
        let [fault] = &error.faults[..] else { panic!("{error}\n{text}") };
        assert!(fault.what.contains(what), "{error}\n{text}");
        assert_eq!(fault.line, line, "{error}\n{text}");
        assert!(fault.remedy.contains(remedy), "{error}\n{text}");
        let said = fault.to_string();
        assert!(said.starts_with(&format!("broken.toml:{line}: ")), "{said}");
    }
}

/// Mistakes in words that are checked against lists, in repeats, and such as were once told twice.
fn more_faults() -> Vec<(String, usize, &'static str, &'static str)> {
    let sound = |rest: &str| format!("{SOUND}{rest}\n");
    let without = |key: &str, instead: &str| {
        let lines: Vec<&str> = SOUND.lines().map(|l| if l.starts_with(key) { instead } else { l }).collect();
        lines.join("\n") + "\nsupports = { any = \"flows\" }\n"
    };
    // typos: off
    vec![
        (
            sound("supports = { all_of = [{ any = \"flows\" }], within = \"day\" }"),
            7,
            "unknown word of within \"day\"",
            "write one of: run",
        ),
        (
            sound("supports = { any_of = [{ any = \"flows\" }], within = \"run\" }"),
            7,
            "`within` goes with all_of alone",
            "write { all_of = [",
        ),
        (
            sound("supports = { all_of = [{ any = \"doses\" }, { any = \"flows\" }], within = \"run\" }"),
            7,
            "no single run can match what several show together",
            "a dose and runs_over are of several runs",
        ),
        (
            sound("supports = { all_of = [{ any = \"findings\", runs_over = 1 }], within = \"run\" }"),
            7,
            "no single run can match what several show together",
            "a dose and runs_over are of several runs",
        ),
        (without("criterion", "creterion = \"gdpr\""), 3, "unknown key \"creterion\"", "\"criterion\"?"),
        (
            sound("otherwise = \"opaque\"\nsteps = [\"contact-sink\"]"),
            8,
            "unknown step \"contact-sink\"",
            "did you mean \"contact-sync\"?",
        ),
        (
            sound("supports = { any = \"flows\", signature = [\"xmpp.streem\"] }"),
            7,
            "unknown signature \"xmpp.streem\"",
            "did you mean \"xmpp.stream\"?",
        ),
        (
            sound("supports = { any = \"flows\", app_protocol = [\"htpp\"] }"),
            7,
            "unknown app_protocol \"htpp\"",
            "did you mean \"http\"?",
        ),
        (
            sound("supports = { any = \"findings\", encoding = [\"sha265\"] }"),
            7,
            "unknown encoding \"sha265\"",
            "did you mean \"sha256\"?",
        ),
        (
            sound("supports = { any = \"findings\", encoding = [\"sha256/9\"] }"),
            7,
            "unknown encoding \"sha256/9\"",
            "sha256",
        ),
        (
            sound("supports = { any = \"doses\", class = [\"percontact\"] }"),
            7,
            "unknown class \"percontact\"",
            "did you mean \"per-contact\"?",
        ),
        (
            sound("supports = { any = \"doses\", step = [\"idle\"] }"),
            7,
            "unknown step \"idle\"",
            "contact-sync, contact-deny",
        ),
        (sound("supports = { any = \"doses\", form = [\"hash-31\"] }"), 7, "no value of form", "hash-32"),
        (sound("supports = { any = \"dose\" }"), 7, "unknown subject \"dose\"", "did you mean \"doses\"?"),
        (
            sound("supports = { anyof = [ { any = \"flows\" } ] }"),
            7,
            "unknown connective \"anyof\"",
            "did you mean \"any_of\"?",
        ),
        (
            sound("supports = { count = \"flows\", at_least = \"two\" }"),
            7,
            "at_least is not a number",
            "write a number",
        ),
        (
            sound("supports = { any_of = [ { any = \"flows\" }, { any = \"flows\", port = [\"x\"] } ] }"),
            7,
            "port is not a number",
            "write a number",
        ),
        (sound("otherwise = \"opaque\"\nmin_runs = 1"), 8, "min_runs = 1", "leave it out"),
        (sound("otherwise = \"opaque\"\nmin_runs = 0"), 8, "min_runs = 0", "leave it out"),
        (sound("otherwise = \"opaque\"\nmin_runs = 100000"), 8, "min_runs = 100000", "2 to 1000"),
        (sound("otherwise = \"too-few-runs\""), 7, "does not say how many it takes", "add min_runs = 5"),
        (
            SOUND.replace("\"traffic\"", "\"documentary\"") + "min_runs = 5\n",
            7,
            "a documentary claim has min_runs",
            "remove it",
        ),
        (
            sound("otherwise = \"opaque\"\nhash_of_number = \"yes\""),
            8,
            "hash_of_number is a text",
            "write true or false",
        ),
        (
            sound("supports = { any = \"doses\", power_at_least = 90 }"),
            7,
            "power_at_least = 90 can never be reached",
            "between 0 and 1",
        ),
        (
            sound(
                "supports = { any = \"doses\", bytes_per_contact_over = 40, bytes_per_contact_below = 10 }",
            ),
            7,
            "leave nothing between them",
            "greater than 40",
        ),
        (
            sound("supports = { any = \"flows\", not_encryption = [\"none\"], encryption = [\"none\"] }"),
            7,
            "not_encryption leaves out all that encryption asks for",
            "remove not_encryption",
        ),
        (
            sound(
                "supports = { all = \"flows\", encryption = [\"tls1.3\"] }\ncontradicts = { any = \"flows\", encryption = [\"tls1.3\"] }",
            ),
            8,
            "contradicts matches what supports asks for",
            "show the opposite",
        ),
        (
            without("sources", "sources = [ { id = \"s\", text = \"t\", date = \"2026-13-45\" } ]"),
            6,
            "\"2026-13-45\" is no date",
            "2024-05-17",
        ),
        (
            without("sources", "sources = [ { id = \"s\", text = \"t\" }, { id = \"s\", text = \"t\" } ]"),
            6,
            "the source \"s\" is listed twice",
            "list it once",
        ),
        (
            sound("otherwise = \"opaque\"\nsuperseded_by = \"signal.usernams\""),
            8,
            "no claim has the id \"signal.usernams\"",
            "remove superseded_by",
        ),
        (sound("otherwise = \"opaque\"\nsuperseded_by = \"signal.x\""), 8, "the claim names itself", "today"),
        (
            sound("otherwise = \"opaque\"\nsuperseded_by = \"usernames\""),
            8,
            "is no claim id",
            "MESSENGER.NAME",
        ),
        (sound("otherwise = \"opaque\"\nvalid_from = \"soon\""), 8, "neither date nor version", "2.0.0"),
        (
            sound("otherwise = \"opaque\"\nvalid_until = \"2026-13\""),
            8,
            "neither date nor version",
            "2024-05",
        ),
        (
            sound("otherwise = \"opaque\"\nvalid_from = \"2024-05\"\nvalid_until = \"2024-04-30\""),
            9,
            "valid_until lies before valid_from",
            "exchange the two",
        ),
        (without("text", "text = { en = 3, de = \"b\" }"), 4, "the English text is a number", "in quotes"),
        (
            without("sources", "sources = [ { id = 3, text = \"t\" } ]"),
            6,
            "id is a number",
            "write a text in quotes",
        ),
        (without("id", "id = 3"), 2, "id is a number", "write a text in quotes"),
        (
            sound(&format!("supports = {{ any = \"flows\", {} = 1 }}", "x".repeat(5000))),
            7,
            "unknown condition \"xxx",
            "write one of",
        ),
    ]
    // typos: on
}

#[test]
fn files_are_checked_as_what_they_are() {
    let claims = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("claims");
    let mut shipped: Vec<std::path::PathBuf> =
        std::fs::read_dir(claims).unwrap().map(|entry| entry.unwrap().path()).collect();
    shipped.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    shipped.sort();
    let checked = check(&shipped).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(checked.claims, embedded().claims().len());
    assert!(checked.criteria == 3 && checked.conclusions >= 8 && checked.sentences > 40, "{checked:?}");

    let folder = tempfile::tempdir().unwrap();
    let wrong = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let faults = check(&[path]).unwrap_err().faults;
        let [fault] = &faults[..] else { panic!("{faults:?}") };
        fault.to_string()
    };
    // Criteria may name claims that are built in.
    let criterion = |id: &str| {
        format!("[[criterion]]\nid = \"a\"\ntext = {{ en = \"x\", de = \"x\" }}\nclaims = [\"{id}\"]\n")
    };
    let path = folder.path().join("good.toml");
    std::fs::write(&path, criterion("signal.servers-in-usa")).unwrap();
    assert_eq!(check(&[path]).unwrap().criteria, 1);
    let said = wrong("criteria.toml", &criterion("signal.servers-in-us"));
    assert!(said.contains("criteria.toml:4: ") && said.contains("no claim has the id"), "{said}");
    let wording = include_str!("../claims/wording.toml");
    let said = wrong("a.toml", &wording.replacen("[supported]", "[suported]", 1)); // typos: off
    assert!(said.contains("suported"), "{said}"); // typos: off
    let said = wrong("b.toml", &wording.replacen("{steps}", "{step}", 1));
    assert!(said.contains("{step}") && said.contains("write one of: {steps}"), "{said}");
    // What is none of the three is told what claims are.
    let said = wrong("c.toml", "claim = 3\n");
    assert!(said.contains("c.toml:1: ") && said.contains("write [[claim]]"), "{said}");
}

#[test]
fn all_faults_of_all_files_are_told_at_once() {
    let one = SOUND.replace("gdpr", "x") + "otherwise = \"y\"\n";
    let two = "nonsense = 1\n".to_owned();
    let error = Catalogue::from_texts([("one.toml".into(), one), ("two.toml".into(), two)]).unwrap_err();
    let places: Vec<String> = error.faults.iter().map(|f| format!("{}:{}", f.file, f.line)).collect();
    assert_eq!(places, ["one.toml:3", "one.toml:7", "two.toml:1", "two.toml:1"], "{error}");
}

#[test]
fn files_are_read_from_disk() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.toml");
    std::fs::write(&file, SOUND.to_owned() + "supports = { any = \"flows\" }\n").unwrap();
    assert_eq!(Catalogue::load(std::slice::from_ref(&file)).unwrap().claims().len(), 1);
    let error = Catalogue::load(&[folder.path().join("missing.toml")]).unwrap_err().to_string();
    assert!(error.contains("missing.toml") && error.contains("give the path of a claim file"), "{error}");
}

#[test]
fn shared_sources_are_named_by_id() {
    let text =
        "[[source]]\nid = \"a\"\ntext = \"first\"\nurl = \"https://a.example\"\ndate = \"2026-01-01\"\n"
            .to_owned()
            + &SOUND.replace(
                "{ id = \"s\", text = \"t\" }",
                "\"a\", { id = \"b\", text = \"second\", unverified = true }",
            )
            + "otherwise = \"opaque\"\n";
    let shown = decide_text(&text);
    assert_eq!(shown, ["a: first — https://a.example, 2026-01-01", "b: second (unverified)"]);
}

fn decide_text(text: &str) -> Vec<String> {
    one(&judge(&catalogue(text), &Report::default()), "signal.x").sources
}

/// The examples of `docs/claims-language.md` are files that load, and decide what the page says.
#[test]
fn worked_examples_are_sound() {
    let page = include_str!("../docs/claims-language.md");
    let examples: Vec<&str> =
        page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let [beratung, taube, own] = &examples[..] else { panic!("{} examples", examples.len()) };
    metaleak::claims::Criteria::from_text("own.toml", own, &Catalogue::embedded().unwrap()).unwrap();

    let named = |encryption: &str| {
        let mut f = flow("beratung", 1, encryption);
        f.names = vec![FlowName {
            name: "chat.beratung.example".into(),
            source: "sni".into(),
            frame: 11,
            expired: false,
        }];
        report(vec![f])
    };
    let exercised = |report| with_run(report, run("beratung", &["web-login", "text-1to1"]));
    for (report, expected) in [
        (exercised(named("tls1.3")), "not-contradicted"),
        (named("tls1.3"), "inconclusive:not-exercised"),
        (exercised(named("none")), "contradicted"),
        (exercised(named("opaque")), "inconclusive:opaque"),
    ] {
        let results = judge(&catalogue(beratung), &report);
        assert_eq!(said(&one(&results, "beratung.always-encrypted")), expected);
    }

    for (seat, basis, expected) in
        [("US", Basis::None, "contradicted"), ("DE", Basis::Eea, "inconclusive:vantage-unsuitable")]
    {
        let f = flow("taube", 1, "tls1.3");
        let mut end = destination("taube", &f);
        end.jurisdictions = vec![Jurisdiction {
            code: seat.into(),
            why: JurisdictionWhy::OperatorSeat,
            basis,
            as_of: String::new(),
            unverified: Vec::new(),
            source: String::new(),
        }];
        let result = one(
            &judge(&catalogue(taube), &Report { destinations: vec![end], ..report(vec![f]) }),
            "taube.ends-in-europe",
        );
        assert_eq!(said(&result), expected);
        assert_eq!(result.evidence[0].frames, [10], "the end is shown either way");
    }
}

// --------------------------------------------------------------------------------------------- several runs

/// A report of captures, each with its flows' encryption, its program and the day.
fn pooled(runs: &[(&str, &[&str], &str, &str)]) -> Report {
    let mut all = Report::default();
    for (n, (file, encryptions, app, day)) in runs.iter().enumerate() {
        let mut input = input(file);
        input.frames = 100 + n as u64;
        input.first_time = Some(format!("{day}T03:04:05.000000000Z"));
        input.last_time = Some(format!("{day}T03:05:05.000000000Z"));
        input.run = Some(Run {
            app: Some((*app).to_owned()),
            vantage: Some(Vantage::Router),
            ..run("signal", &["text-1to1"])
        });
        all.inputs.push(input);
        let flows = encryptions.iter().zip(1..).map(|(e, n)| flow("signal", n, e));
        all.flows.extend(flows.map(|f| Flow { capture: (*file).to_owned(), ..f }));
    }
    all
}

#[test]
fn runs_that_contradict_each_other_are_shown_and_not_averaged() {
    let two = pooled(&[
        ("a.pcap", &["tls1.3"; 9], "an app of version 7", "2026-01-02"),
        ("b.pcap", &["none"], "an app of version 8", "2026-02-03"),
    ]);
    let keys = format!("{SEEN}\n{CLEAR}");
    let result = decide(&keys, &two);
    assert_eq!((said(&result).as_str(), result.runs_disagree), ("contradicted", true));
    let kinds: Vec<_> = result
        .runs
        .iter()
        .map(|r| (r.day.as_deref().unwrap(), r.app.as_deref().unwrap(), r.verdict, r.captures.clone()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("2026-01-02", "an app of version 7", Verdict::Supported, vec!["a.pcap".to_owned()]),
            ("2026-02-03", "an app of version 8", Verdict::Contradicted, vec!["b.pcap".to_owned()]),
        ]
    );
    for (text, fits) in [
        (&result.explanation.en, "Fitting it: day 2026-01-02"),
        (&result.explanation.de, "Passend zu ihr: Tag 02.01.2026"),
    ] {
        assert!(text.contains(fits) && text.contains("version 8"), "{text}");
    }
    // Runs alike in program, day and vantage are one row, unless they show different things.
    let same = |third| {
        let runs = [
            ("a.pcap", &["tls1.3"][..], "an app of version 7", "2026-01-02"),
            ("b.pcap", &["tls1.3"][..], "an app of version 7", "2026-01-02"),
            ("c.pcap", third, "an app of version 7", "2026-01-02"),
        ];
        decide(&keys, &pooled(&runs))
    };
    let alike = same(&["tls1.3"]);
    assert_eq!((alike.runs.len(), alike.runs[0].count, alike.runs_disagree), (1, 3, false));
    let apart = same(&["none"]);
    let rows: Vec<_> = apart.runs.iter().map(|r| (r.verdict, r.count)).collect();
    assert_eq!(rows, [(Verdict::Supported, 2), (Verdict::Contradicted, 1)]);
    assert!(apart.runs_disagree);
    // One run has nothing to be compared with.
    let alone = decide(&keys, &pooled(&[("a.pcap", &["none"], "x", "2026-01-02")]));
    assert!(alone.runs.is_empty() && !alone.runs_disagree);
    // Where vantages are asked for, runs from elsewhere stand aside here too.
    let mut elsewhere = two.clone();
    elsewhere.inputs[1].run.as_mut().unwrap().vantage = Some(Vantage::Vpn);
    let result = decide(&format!("{keys}\nvantage = [\"router\"]"), &elsewhere);
    assert_eq!((said(&result).as_str(), result.runs.len()), ("supported", 0));
}

#[test]
fn a_share_has_to_be_reached_in_each_run() {
    let runs = pooled(&[
        ("a.pcap", &["tls1.3"; 9], "an app of version 7", "2026-01-02"),
        ("b.pcap", &["quic", "none"], "an app of version 7", "2026-01-02"),
    ]);
    let keys = |x: f64| {
        format!("supports = {{ share = \"flows\", at_least = {x}, encryption = [\"tls1.3\", \"quic\"] }}")
    };
    assert_eq!(said(&decide(&keys(0.5), &runs)), "supported");
    // Ten of eleven, but one of two in the second run.
    let result = decide(&keys(0.6), &runs);
    assert_eq!(said(&result), "inconclusive:not-exercised");
    assert!(result.explanation.en.contains("Alone these runs would decide it"), "{}", result.explanation.en);
}

#[test]
fn repeats_are_runs_that_did_the_steps_and_a_recording_counts_once() {
    let day = "2026-01-02";
    let three = || {
        pooled(&[
            ("a.pcap", &["tls1.3"][..], "x", day),
            ("b.pcap", &["tls1.3"][..], "x", day),
            ("c.pcap", &["tls1.3"][..], "x", day),
        ])
    };
    let asks = |n: u64, step: &str| format!("{SEEN}\nmin_runs = {n}\nsteps = [\"{step}\"]");
    assert_eq!(said(&decide(&asks(3, "text-1to1"), &three())), "supported");
    let result = decide(&asks(4, "text-1to1"), &three());
    assert_eq!(said(&result), "inconclusive:too-few-runs");
    assert!(result.explanation.en.contains("was so in 3 runs"), "{}", result.explanation.en);
    let next = &result.next[0];
    assert!(next.command.contains("seq 1)") && next.what.en.contains("1 more runs"), "{next:?}");
    // The third is the first under another name.
    let mut twice = three();
    twice.inputs[2].frames = twice.inputs[0].frames;
    assert_eq!(said(&decide(&asks(3, "text-1to1"), &twice)), "inconclusive:too-few-runs");
    // One of them did something else.
    let mut other = three();
    other.inputs[1].run.as_mut().unwrap().steps = vec!["media".into()];
    assert_eq!(said(&decide(&asks(3, "text-1to1"), &other)), "inconclusive:too-few-runs");
    assert_eq!(said(&decide(&asks(2, "text-1to1"), &other)), "supported");
}

#[test]
fn a_round_trip_of_one_run_speaks_for_that_run_alone() {
    let mut runs = pooled(&[
        ("a.pcap", &["tls1.3"][..], "x", "2026-01-02"),
        ("b.pcap", &["tls1.3"][..], "x", "2026-01-02"),
    ]);
    let mut end = destination("signal", &runs.flows[0]);
    end.flows.push("b.pcap#1".into());
    end.rtt_excludes = vec!["US".into()];
    end.rtt_bounds = vec![RttBound {
        from: Whereabouts::Country("CH".into()),
        rtt_ms: 3.0,
        capture: "b.pcap".into(),
        frames: vec![1, 2],
        max_km: 300.0,
        excluded: vec![TooFar { country: "US".into(), km: 6000 }],
        possible: 1,
        possible_codes: vec!["CH".into()],
    }];
    runs.destinations = vec![end];
    let result = decide(
        "contradicts = { any = \"destinations\", rtt_excludes = [\"US\"] }\notherwise = \"opaque\"",
        &runs,
    );
    assert_eq!(said(&result), "contradicted");
    let rows: Vec<_> = result.runs.iter().map(|r| (r.verdict, r.captures.join(" "))).collect();
    assert_eq!(
        rows,
        [(Verdict::Contradicted, "b.pcap".to_owned()), (Verdict::Inconclusive, "a.pcap".to_owned())]
    );
}

// -------------------------------------------------------------------------------------- doses and responses

/// Runs of `messenger` with 0, 10, 100, 1000 contacts, `repeats` each; `up` says what a run with so many sends. `why` is what ties its flow
/// to the messenger.
fn dosed(messenger: &str, step: &str, repeats: u64, why: &str, up: &dyn Fn(u64, u64) -> u64) -> Report {
    let mut all = Report::default();
    for contacts in [0_u32, 10, 100, 1000] {
        for repeat in 0..repeats {
            let file = format!("{step}-{contacts}-{repeat}.pcap");
            let mut input = input(&file);
            input.frames = 1000 + u64::from(contacts) * 10 + repeat;
            input.run = Some(Run {
                contacts: Some(contacts),
                vantage: Some(Vantage::Device),
                ..run(messenger, &[step])
            });
            all.inputs.push(input);
            all.flows.push(Flow {
                capture: file,
                messenger_why: Some(why.to_owned()),
                bytes_up: up(u64::from(contacts), repeat),
                ..flow(messenger, 1, "tls1.3")
            });
        }
    }
    all.leakage = metaleak::leakage::uploads(&all.inputs, &all.flows);
    all
}

#[test]
fn with_marks_only_the_step_counts() {
    // What grows with the address book goes up in another step: in whole flows it hides that the step itself sends nothing.
    let mut report = dosed("signal", "contact-sync", 5, "name:x", &HASHES);
    assert_eq!(report.leakage[0].dose.as_ref().unwrap().class, DoseClass::PerContact);
    for (input, flow) in report.inputs.iter_mut().zip(&mut report.flows) {
        let run = input.run.as_mut().unwrap();
        run.marks = vec![metaleak::model::Mark {
            step: "contact-sync".into(),
            start: "2026-11-24T10:00:00Z".into(),
            end: None,
        }];
        let of = |step: &str, bytes_up: u64| metaleak::model::StepBytes {
            step: step.into(),
            bytes_up,
            bytes_down: 1,
        };
        let quiet = 3000 + u64::from(run.contacts.unwrap()) % 7;
        flow.by_step = vec![of("register", flow.bytes_up - quiet), of("contact-sync", quiet)];
    }
    let [measure] = &metaleak::leakage::uploads(&report.inputs, &report.flows)[..] else { panic!("not one") };
    assert_eq!(measure.dose.as_ref().unwrap().class, DoseClass::Nothing, "{measure:?}");
    assert!(measure.dose.as_ref().unwrap().intercept < 3010.0, "{measure:?}");
    assert!(measure.evidence[0].note.contains("in 1 flows during the step"), "{}", measure.evidence[0].note);
    // A flow that sent nothing in the step is no evidence.
    report.flows[0].by_step.pop();
    let again = metaleak::leakage::uploads(&report.inputs, &report.flows);
    assert!(again[0].evidence[0].note.contains("0 bytes up in 0 flows"), "{}", again[0].evidence[0].note);
}

/// Some bytes of noise for a run, the same each time.
fn noise(contacts: u64, repeat: u64) -> u64 {
    (contacts * 7919 + repeat * 104_729) % 400
}

const HASHES: fn(u64, u64) -> u64 = |n, r| 30_000 + 33 * n + noise(n, r);
const NO_UPLOAD: fn(u64, u64) -> u64 = |n, r| 30_000 + noise(n, r);

/// What a run with so many contacts sends, by the number of its repeat.
type Sent<'a> = &'a dyn Fn(u64, u64) -> u64;

#[test]
fn claims_on_contacts_are_decided_by_doses() {
    let padded = |n: u64, r: u64| 30_000 + (32 * n).next_power_of_two().max(4096) + noise(n, r);
    let cases: [(&str, &str, Sent<'_>, &str, &str); 13] = [
        ("conversations.no-contact-upload", "contact-sync", &HASHES, "name:x", "contradicted"),
        ("conversations.no-contact-upload", "contact-sync", &padded, "name:x", "contradicted"),
        ("conversations.no-contact-upload", "contact-sync", &NO_UPLOAD, "name:x", "not-contradicted"),
        ("threema.contact-dose-response", "contact-sync", &HASHES, "signature:y", "contradicted"),
        ("signal.contact-dose-response", "contact-sync", &NO_UPLOAD, "network:z", "not-contradicted"),
        ("messenger.no-contact-sync", "contact-sync", &HASHES, "name:x", "contradicted"),
        ("whatsapp.contact-upload-happens", "contact-sync", &HASHES, "name:x", "supported"),
        ("whatsapp.contact-upload-happens", "contact-sync", &NO_UPLOAD, "name:x", "contradicted"),
        ("whatsapp.contact-upload-required", "contact-deny", &NO_UPLOAD, "name:x", "contradicted"),
        ("wire.contact-sync-optional", "contact-deny", &NO_UPLOAD, "name:x", "supported"),
        ("wire.contact-sync-optional", "contact-deny", &HASHES, "name:x", "contradicted"),
        // What grows in flows that only the run ties to the messenger may be another program's.
        (
            "conversations.no-contact-upload",
            "contact-sync",
            &HASHES,
            "run",
            "inconclusive:vantage-unsuitable",
        ),
        ("signal.contacts-only-hashes", "contact-sync", &HASHES, "name:x", "inconclusive:opaque"),
    ];
    let catalogue = embedded();
    for (id, step, up, why, expected) in cases {
        let messenger = id.split_once('.').unwrap().0;
        let report = dosed(messenger, step, 5, why, up);
        let result = one(&judge(&catalogue, &report), id);
        assert_eq!(said(&result), expected, "{id} {step}: {}", result.explanation.en);
        let shown = expected != "not-contradicted" || !result.evidence.is_empty();
        assert!(shown && result.evidence.iter().all(|e| !e.frames.is_empty()), "{id}: {:?}", result.evidence);
        assert_eq!(result.evidence.len(), 20, "{id}: one piece of evidence a run");
        assert!(result.evidence[0].note.contains("0 contacts: "), "{}", result.evidence[0].note);
        assert!(
            result.explanation.en.contains("0, 10, 100, 1000 contacts in 20 runs"),
            "{}",
            result.explanation.en
        );
        assert!(
            result.explanation.de.contains("0, 10, 100, 1000 Kontakten in 20 Läufen"),
            "{}",
            result.explanation.de
        );
        // Four repeats are not guessed from.
        let few = one(&judge(&catalogue, &dosed(messenger, step, 4, why, up)), id);
        assert_eq!(few.verdict, Verdict::Inconclusive, "{id}");
        let reason = if id == "signal.contacts-only-hashes" { "opaque" } else { "too-few-runs" };
        assert_eq!(few.reason, reason, "{id}");
    }
}

/// Runs with the permission given say nothing of how often it was refused.
#[test]
fn runs_of_another_step_are_not_too_few_of_this_one() {
    let report = dosed("signal", "contact-sync", 4, "name:x", &NO_UPLOAD);
    let result = one(&judge(&embedded(), &report), "signal.contact-sync-required");
    assert_eq!(said(&result), "inconclusive:not-exercised");
    assert!(result.next[0].command.contains("\"steps\": [\"contact-deny\"]"), "{:?}", result.next);
    let report = dosed("signal", "contact-deny", 4, "name:x", &NO_UPLOAD);
    let result = one(&judge(&embedded(), &report), "signal.contact-sync-required");
    assert_eq!(said(&result), "inconclusive:too-few-runs");
}

/// Lines name files where they are, count on from the runs that are there, and ask for more where a line stays uncertain.
#[test]
fn lines_lead_on_from_what_there_is() {
    let unclear = |n: u64, r: u64| 30_000 + 3 * n + (n * 7919 + r * 104_729) % 9000;
    let mut report = dosed("signal", "contact-sync", 5, "name:x", &unclear);
    assert_eq!(report.leakage[0].dose.as_ref().unwrap().class, DoseClass::Unclear, "{:?}", report.leakage);
    for (n, input) in report.inputs.iter_mut().enumerate() {
        let contacts = input.run.as_ref().unwrap().contacts.unwrap();
        let file = format!("signal-contact-sync-{contacts}-{}.pcap", n % 5 + 1);
        let old = std::mem::replace(&mut input.file, file.clone());
        report.flows.iter_mut().filter(|f| f.capture == old).for_each(|f| f.capture.clone_from(&file));
    }
    report.leakage = metaleak::leakage::uploads(&report.inputs, &report.flows);
    let of =
        |report: &Report| one(&judge(&embedded(), report), "signal.contact-dose-response").next.remove(0);
    let next = of(&report);
    assert!(next.command.starts_with("for c in 0 10 100 1000; do for n in $(seq 6 10); do "), "{next:?}");
    assert!(next.command.contains("> signal-contact-sync-$c-$n.run.json"), "{next:?}");
    assert!(next.what.en.contains("5 more runs") && next.what.de.contains("5 weitere"), "{next:?}");
    for input in &mut report.inputs {
        input.path = Some(format!("../my captures/{}", input.file));
    }
    let next = of(&report);
    assert!(next.command.contains("> '../my captures/signal-contact-sync'-$c-$n.run.json"), "{next:?}");
    assert!(next.command.contains("; metaleak study '../my captures'"), "{next:?}");

    // Few captures are named one by one, as they were given, and so are claim files.
    let mut few = with_run(two_runs(one_sealed()), run("signal", &["text-1to1"]));
    for input in &mut few.inputs {
        input.path = Some(format!("/data/{}", input.file));
    }
    let path = "../of us/tiny.toml";
    let keys = "absence = true\ncontrol = \"K1\"\nsupports = { any = \"flows\" }";
    let own = |keys: &str| {
        let text = claim_text("signal.x", keys);
        one(&judge(&Catalogue::from_texts([(path.to_owned(), text)]).unwrap(), &few), "signal.x")
    };
    let result = own(keys);
    assert_eq!(said(&result), "not-contradicted");
    assert_eq!(
        result.next[0].command,
        "metaleak replay /data/a.pcap /data/b.pcap --claims '../of us/tiny.toml' --controls 60"
    );
    assert!(result.explanation.en.contains("detection power is not known"), "{}", result.explanation.en);
    let result = own("absence = true\nsupports = { any = \"flows\" }");
    let show = "metaleak claims show signal.x --claims '../of us/tiny.toml'";
    assert_eq!(result.next[0].command, show);
    let result = own("otherwise = \"opaque\"");
    assert_eq!((said(&result).as_str(), result.next[0].command.as_str()), ("inconclusive:opaque", show));
    // A further recording does not take the place of one that is there.
    few.inputs[0].file = "signal-media.pcap".into();
    few.flows[0].capture = "signal-media.pcap".into();
    let text = claim_text("signal.x", "supports = { any = \"flows\" }\nsteps = [\"media\"]");
    let result = one(&judge(&catalogue(&text), &few), "signal.x");
    assert!(result.next[0].command.contains("> /data/signal-media-2.run.json; "), "{:?}", result.next);
}

fn one_sealed() -> Report {
    report(vec![flow("signal", 1, "tls1.3")])
}

#[test]
fn a_dose_is_read_with_form_interval_and_power() {
    let grown = dosed("signal", "contact-sync", 5, "name:x", &HASHES);
    let [measure] = &grown.leakage[..] else { panic!("{:?}", grown.leakage) };
    assert!((measure.ci95[0]..=measure.ci95[1]).contains(&33.0), "{measure:?}");
    let dose = measure.dose.as_ref().unwrap();
    assert_eq!(
        (dose.class, dose.own_class, dose.control.is_none()),
        (DoseClass::PerContact, DoseClass::PerContact, true)
    );
    assert!(
        dose.forms.contains(&"hash-32".to_owned()) && !dose.forms.contains(&"hash-20".to_owned()),
        "{dose:?}"
    );
    assert_eq!(
        dose.doses.iter().map(|d| (d.contacts, d.runs)).collect::<Vec<_>>(),
        [(0, 5), (10, 5), (100, 5), (1000, 5)]
    );
    let quiet = dosed("signal", "contact-sync", 5, "name:x", &NO_UPLOAD);
    let control = quiet.leakage[0].dose.as_ref().unwrap().control.as_ref().unwrap();
    assert!(control.planted == 100 && control.power >= 0.9, "{control:?}");
    // Programs and vantages are not mixed: half of the runs of another release are too few of either.
    let mut mixed = dosed("signal", "contact-sync", 6, "name:x", &HASHES);
    for input in mixed.inputs.iter_mut().step_by(2) {
        input.run.as_mut().unwrap().app = Some("another release".into());
    }
    let apart = metaleak::leakage::uploads(&mixed.inputs, &mixed.flows);
    assert_eq!(apart.len(), 2);
    assert!(apart.iter().all(|m| m.dose.as_ref().unwrap().class == DoseClass::TooFewRuns), "{apart:?}");
    // The same recording twice is no repeat.
    let mut twice = dosed("signal", "contact-sync", 4, "name:x", &HASHES);
    let (inputs, flows) = (twice.inputs.clone(), twice.flows.clone());
    twice.inputs.extend(inputs.into_iter().map(|i| Input { file: format!("copy-{}", i.file), ..i }));
    twice.flows.extend(flows.into_iter().map(|f| Flow { capture: format!("copy-{}", f.capture), ..f }));
    assert_eq!(metaleak::leakage::uploads(&twice.inputs, &twice.flows)[0].n, 16);
    // Two releases that differ are shown beside each other.
    let mut both = dosed("conversations", "contact-sync", 5, "name:x", &HASHES);
    for input in &mut both.inputs {
        input.run.as_mut().unwrap().app = Some("release 2".into());
    }
    let mut old = dosed("conversations", "contact-sync", 5, "name:x", &NO_UPLOAD);
    for (n, input) in old.inputs.iter_mut().enumerate() {
        input.file = format!("old-{}", input.file);
        input.frames = 5 + n as u64;
        old.flows[n].capture.clone_from(&input.file);
    }
    both.inputs.extend(old.inputs);
    both.flows.extend(old.flows);
    both.leakage = metaleak::leakage::uploads(&both.inputs, &both.flows);
    let result = one(&judge(&embedded(), &both), "conversations.no-contact-upload");
    assert_eq!((result.verdict, result.runs_disagree), (Verdict::Contradicted, true));
    let rows: Vec<_> = result.runs.iter().filter(|r| r.verdict != Verdict::Inconclusive).collect();
    assert_eq!(rows.len(), 2, "{rows:?}");
}

#[test]
fn only_hashes_gets_two_verdicts() {
    let catalogue = embedded();
    let contact = |encoding: &[&str], decrypted: bool| {
        let mut f = finding(FindingKind::Canary, "threema", &flow("threema", 1, "tls1.3"));
        f.what = "canary contact-3: +4915…".into();
        f.encoding = encoding.iter().map(|e| (*e).to_owned()).collect();
        f.decrypted = decrypted;
        f
    };
    let judged = |findings: Vec<Finding>| {
        let report = with_run(report(vec![flow("threema", 1, "tls1.3")]), run("threema", &["contact-sync"]));
        one(&judge(&catalogue, &Report { findings, ..report }), "threema.contacts-only-hashes")
    };
    let hashed = contact(&["base64", "threema-number"], true);
    let own_key = contact(&["hex", "a-key-of-the-auditor/10"], true);
    let plain = contact(&["base64", "international"], true);
    for (findings, expected) in [
        (vec![hashed.clone()], "supported"),
        (vec![hashed.clone(), own_key], "supported"),
        (vec![hashed, plain], "contradicted"),
        (vec![contact(&[], false)], "contradicted"),
        (vec![], "inconclusive:opaque"),
    ] {
        let result = judged(findings);
        assert_eq!(said(&result), expected);
        let protection = result.protection.unwrap();
        assert_eq!(protection.verdict, Verdict::Contradicted, "whatever is seen, a hash protects no number");
        assert!(protection.explanation.de.contains("schützt sie nicht"), "{protection:?}");
    }
    assert!(one(&judge(&catalogue, &Report::default()), "threema.tls-modern").protection.is_none());
}

// ------------------------------------------------------------------------------------------ what to do next

/// Each line is run by a shell in a folder of its own, with programs that only note how they were called.
#[test]
fn every_open_claim_says_what_to_do_as_a_line_that_runs() {
    use std::os::unix::fs::PermissionsExt as _;
    let catalogue = embedded();
    let mut reports = vec![Report::default()];
    for encryption in ["tls1.3", "opaque", "mtproto"] {
        for vantage in [None, Some(Vantage::Vpn)] {
            let flows: Vec<Flow> = MESSENGERS.iter().zip(1..).map(|(m, n)| flow(m, n, encryption)).collect();
            reports.push(with_run(report(flows), Run { vantage, ..run("signal", &[]) }));
        }
    }
    let mut lines = BTreeMap::new();
    let mut reasons = BTreeSet::new();
    let mut note = |result: &ClaimResult| {
        let open = result.verdict == Verdict::Inconclusive;
        let unmeasured = result.verdict == Verdict::NotContradicted && result.control.is_none();
        assert_eq!(!result.next.is_empty(), open || unmeasured, "{}: {:?}", result.id, result.next);
        for next in &result.next {
            assert!(!next.what.en.is_empty() && next.what.en != next.what.de, "{next:?}");
            assert!(!next.what.en.contains('{'), "{next:?}");
            lines.insert(next.command.clone(), result.id.clone());
            reasons.insert(result.reason.clone());
        }
    };
    for report in &reports {
        judge(&catalogue, report).iter().for_each(&mut note);
        let failed = Control { planted: 4, found: 0, ..Control::default() };
        let controls = catalogue.claims().iter().map(|c| (c.id.clone(), vec![failed.clone()])).collect();
        judge_with_controls(&catalogue, report, &controls).iter().for_each(&mut note);
    }
    note(&decide("otherwise = \"opaque\"", &reports[1]));
    let all = ["control-failed", "not-exercised", "opaque", "too-few-runs", "vantage-unsuitable"];
    assert_eq!(reasons.iter().map(String::as_str).collect::<Vec<_>>(), all);

    let bin = tempfile::tempdir().unwrap();
    for (name, script) in [
        ("tcpdump", "#!/bin/sh\n[ \"$1 $2 $3\" = '-i any -w' ] && : > \"$4\"\n"),
        ("timeout", "#!/bin/sh\nshift\nexec \"$@\"\n"),
        ("metaleak", "#!/bin/sh\nfor word in \"$@\"; do echo \"$word\"; done > called\n"),
    ] {
        let path = bin.path().join(name);
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", bin.path().display(), std::env::var("PATH").unwrap());
    for (line, id) in &lines {
        let folder = tempfile::tempdir().unwrap();
        let ran = std::process::Command::new("sh")
            .args(["-euc", line])
            .current_dir(folder.path())
            .env("PATH", &path)
            .envs([
                ("NUMBER", "+4915199900017"),
                ("MAIL", "m@mail.example"),
                ("ACCOUNT", "anna-7319"),
                ("CONTACT", "+4915199900018"),
            ])
            .output()
            .unwrap();
        assert!(ran.status.success(), "{id}: {line}\n{}", String::from_utf8_lossy(&ran.stderr));
        let called = std::fs::read_to_string(folder.path().join("called")).unwrap();
        let words = std::iter::once("metaleak").chain(called.lines());
        let parsed = metaleak::cli::command().try_get_matches_from(words);
        // A place is the reader's to fill in.
        let place = called.contains("router@PLACE");
        assert!(parsed.is_ok() || place, "{id}: {line}: {}", parsed.unwrap_err());
        let written: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
        let captures: Vec<_> =
            written.iter().filter(|p| p.extension().is_some_and(|e| e == "pcap")).collect();
        let by_hand = called.starts_with("claims\nshow\n");
        assert_eq!(captures.is_empty(), called.contains("replay") || place || by_hand, "{id}: {line}");
        // A line asks for what the claim can be decided by, and plants what it asks for.
        if let Some(claim) = catalogue.get(id) {
            let predicates = format!("{:?} {:?}", claim.supports, claim.contradicts);
            let asks = |words: &[&str]| words.iter().any(|word| predicates.contains(word));
            assert!(
                !called.contains("--vantage\nrouter@")
                    || asks(&["rtt_excludes", "rtt_leaves_out", "max_km_below"]),
                "{id}: {line}"
            );
            assert!(
                !called.contains("--keylog") || asks(&["Findings", "certificate_", "\"decrypted\""]),
                "{id}: {line}"
            );
            for (word, planted) in [
                ("\"number\"", "number"),
                ("\"mail\"", "mail"),
                ("\"message\"", "message"),
                ("\"earlier\"", "earlier"),
            ] {
                let plants = |run: &Run| run.canaries.contains_key(planted);
                for capture in &captures {
                    let run = metaleak::scenario::run_beside(capture).unwrap().unwrap();
                    assert!(!asks(&[word]) || plants(&run), "{id}: {planted} is asked for: {line}");
                }
            }
        }
        for capture in captures {
            let run = metaleak::scenario::run_beside(capture).unwrap().unwrap();
            let claim = id.split_once('.').unwrap().0;
            assert_eq!((run.messenger.as_deref(), run.vantage.is_some()), (Some(claim), true), "{line}");
            assert!(!run.steps.is_empty() && run.steps.iter().all(|s| STEPS.contains(&s.as_str())), "{line}");
        }
    }
    let unset = std::process::Command::new("sh")
        .args(["-euc", lines.keys().find(|line| line.contains("${NUMBER:?}")).unwrap()])
        .current_dir(bin.path())
        .env("PATH", &path)
        .output()
        .unwrap();
    assert!(!unset.status.success(), "a secret that nobody filled in is not planted");
    let idle = lines.iter().find(|(_, id)| id.ends_with(".idle-quiet")).unwrap().0;
    assert!(idle.contains("timeout 3960 "), "an hour and more: {idle}");
    let doses = lines.keys().find(|line| line.contains("for c in")).unwrap();
    assert!(doses.contains("for c in 0 10 100 1000") && doses.contains("\"contacts\": '$c'"), "{doses}");
}

// ---------------------------------------------------------------------------------------- schema for editors

fn as_json(text: &str) -> serde_json::Value {
    toml::from_str(text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

#[test]
fn the_stored_schema_of_claim_files_is_that_of_the_loader() {
    let stored = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema/claims.json");
    let now = metaleak::claims::schema();
    if std::env::var_os("METALEAK_UPDATE_SCHEMA").is_some() {
        std::fs::write(&stored, &now).unwrap();
    }
    assert!(
        std::fs::read_to_string(&stored).unwrap() == now,
        "docs/schema/claims.json is out of date: run METALEAK_UPDATE_SCHEMA=1 cargo test --test claims the_stored_schema and commit it"
    );
}

#[test]
fn shipped_claims_are_valid_under_the_schema_and_mistakes_are_not() {
    let schema: serde_json::Value = serde_json::from_str(&metaleak::claims::schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (name, text) in Catalogue::embedded_files() {
        let faults: Vec<String> =
            validator.iter_errors(&as_json(text)).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(faults.is_empty(), "{name}: {}", faults.join("\n").chars().take(2000).collect::<String>());
    }
    let page = include_str!("../docs/claims-language.md");
    for example in page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).take(2) {
        assert!(validator.is_valid(&as_json(example)), "{example}");
    }
    let sound = |rest: &str| format!("{SOUND}{rest}\n");
    assert!(validator.is_valid(&as_json(&sound("supports = { any = \"flows\" }"))));
    for good in [
        sound("otherwise = \"opaque\"\nvantage = \"router\""),
        sound("otherwise = \"opaque\"\nvantage = [\"router\", \"vpn\"]"),
        sound("supports = { any = \"findings\", encoding = [\"sha256/10\"] }"),
        sound("otherwise = \"opaque\"\nvalid_from = \"2024-05\"\nvalid_until = \"2.0.0\""),
    ] {
        assert!(validator.is_valid(&as_json(&good)), "{good}");
        assert!(Catalogue::from_texts([("good.toml".to_owned(), good.clone())]).is_ok(), "{good}");
    }
    for broken in [
        sound("suports = { any = \"flows\" }"), // typos: off
        sound("supports = { any = \"flow\" }"),
        sound("supports = { any = \"flows\", encrypted = [\"none\"] }"),
        sound("supports = { any = \"flows\", encryption = [\"tls13\"] }"),
        sound("supports = { any = \"flows\", kind = [\"token\"] }"),
        sound("supports = { any = \"flows\", to = { port = [443] } }"),
        sound("supports = { count = \"flows\" }"),
        sound("supports = { any_of = [] }"),
        sound("supports = { any_of = [ { not = { any = \"names\", suffix = 3 } } ] }"),
        sound("otherwise = \"control-failed\""),
        sound("otherwise = \"opaque\"\nsteps = [\"contact-sink\"]"),
        sound("otherwise = \"opaque\"\nmin_runs = 1"),
        sound("otherwise = \"opaque\"\nvantage = [\"rooter\"]"),
        // What `claims check` refuses as well.
        sound("supports = { any = \"flows\", app_protocol = [\"htpp\"] }"), // typos: off
        sound("supports = { any = \"flows\", signature = [\"xmpp.streem\"] }"), // typos: off
        sound("supports = { any = \"flows\", cipher = [\"1301\"] }"),
        sound("supports = { any = \"flows\", name = [\"Example.org\"] }"),
        sound("supports = { any = \"destinations\", country = [\"Germany\"] }"),
        sound("supports = { any = \"findings\", encoding = [\"sha 256\"] }"),
        sound("supports = { any = \"doses\", power_at_least = 90 }"),
        sound("otherwise = \"too-few-runs\""),
        sound("steps = [\"idle\"]"),
        sound("otherwise = \"opaque\"\nsuperseded_by = \"usernames\""),
        SOUND.replace("text = \"t\"", "text = \"t\", date = \"2026-13-45\""),
        SOUND.replace("en = \"a\"", "en = \"\"") + "otherwise = \"opaque\"\n",
        SOUND.replace("\"traffic\"", "\"documentary\"") + "supports = { any = \"flows\" }\n",
        SOUND.replace("signal.x", "Signal X"),
        SOUND.replace("gdpr", "gdrp"),
        SOUND.replace("de = \"b\"", "fr = \"b\""),
    ] {
        assert!(!validator.is_valid(&as_json(&broken)), "{broken}");
        assert!(Catalogue::from_texts([("broken.toml".to_owned(), broken.clone())]).is_err(), "{broken}");
    }
}
