//! The rows of the page's tables: destinations, findings, captures, coverage.
//!
//! Takes entries of a report; gives their cells in words. What is left out of a cell is counted there.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use super::{Capped, MAX_IN_CELL, frames};
use crate::model::{
    Call, Coverage, DataAge, Destination, Exposed, Exposure, Finding, Input, Noise, NoiseEnd, NoiseSum,
    ReferenceSource, RuleText, Warning, Whereabouts,
};
use crate::report::chart;
use crate::report::wording::{Arg, Wording};
use crate::report::words;

#[derive(Serialize)]
pub(super) struct DestinationRow {
    address: String,
    carries: Option<String>,
    names: Capped<NameRow>,
    groups: Option<String>,
    operator: String,
    operator_source: String,
    service: Option<String>,
    place: String,
    agreement: String,
    disputed: bool,
    sources: Vec<String>,
    rtt: Vec<String>,
    anycast: Option<String>,
    region: Option<String>,
    jurisdictions: Vec<LawRow>,
    role: String,
    role_why: Option<String>,
    bytes: String,
    bytes_split: String,
    used_by: Option<String>,
    also_seen: Option<String>,
    seen: Option<String>,
}

/// A run beside control runs.
#[derive(Serialize)]
pub(super) struct NoiseRow {
    label: String,
    controls: Vec<String>,
    whole: String,
    noise: String,
    remains: String,
    when_idle: String,
    ends: Capped<String>,
}

#[derive(Serialize)]
pub(super) struct NameRow {
    name: String,
    note: String,
    expired: bool,
}

#[derive(Serialize)]
pub(super) struct LawRow {
    text: String,
    source: String,
}

#[derive(Serialize)]
pub(super) struct ExposureRow {
    label: String,
    bytes: String,
    destinations: String,
    countries: String,
    operators: String,
    third: String,
    names: Vec<String>,
    before: Option<String>,
    no_before: Option<String>,
}

#[derive(Serialize)]
pub(super) struct CallRow {
    label: String,
    flows: String,
    media: String,
    share: String,
    /// The share of media to servers, then their addresses; empty without such media.
    servers: Vec<String>,
    exposed: Vec<String>,
    before: String,
    answer: String,
}

#[derive(Serialize)]
pub(super) struct FindingRow {
    id: String,
    severity: String,
    severity_class: String,
    kind: String,
    what: String,
    what_lang: &'static str,
    sure: Option<String>,
    count: Option<String>,
    encoding: Option<String>,
    capture: String,
    frames: String,
    flow: String,
    direction: Option<String>,
    messenger: Option<String>,
    readable: String,
}

#[derive(Serialize)]
pub(super) struct InputRow {
    file: String,
    sha256: String,
    frames: String,
    size: String,
    from: Option<String>,
    to: Option<String>,
    year_note: String,
    truncated: Option<String>,
    run: Vec<String>,
    provenance: String,
}

#[derive(Serialize)]
pub(super) struct CoverageRow {
    capture: String,
    total: String,
    classes: Vec<ClassShare>,
}

#[derive(Serialize)]
pub(super) struct ClassShare {
    class: String,
    name: String,
    share: String,
    bytes: String,
    percent: f64,
}

#[derive(Serialize)]
pub(super) struct WarningRow {
    capture: String,
    frame: String,
    offset: String,
    what: String,
}

#[derive(Serialize)]
pub(super) struct ReferenceRow {
    name: String,
    as_of: String,
    licence: String,
    attribution: String,
    sha256: String,
}

pub(super) fn destination(destination: &Destination, wording: &Wording) -> DestinationRow {
    let local = chart::is_local(&destination.address);
    let sources = chart::named_countries(destination).into_iter().map(|code| {
        let named_by = destination.places.iter().filter(|p| p.country == code);
        let named_by: Vec<&str> = named_by.map(|p| p.source.as_str()).collect();
        let country = wording.country(code);
        wording.with(
            "place-sources",
            &[("country", Arg::Text(&country)), ("sources", Arg::Text(&named_by.join(", ")))],
        )
    });
    let jurisdictions = destination
        .jurisdictions
        .iter()
        .map(|j| LawRow { text: words::law(j, wording), source: j.source.clone() });
    let seen = destination.rtt_min_ms.map(|ms| {
        let ms = wording.decimal(ms, 1);
        match destination.max_km {
            Some(km) => {
                let km = wording.count(km.ceil() as u64);
                wording.with("rtt-bound", &[("km", Arg::Text(&km)), ("ms", Arg::Text(&ms))])
            }
            None => wording.with("rtt-seen", &[("ms", Arg::Text(&ms))]),
        }
    });
    let mut rtt: Vec<String> = seen.into_iter().collect();
    for bound in &destination.rtt_bounds {
        rtt.extend(bound.excluded.iter().map(|far| {
            wording.with(
                "rtt-too-far",
                &[
                    ("country", Arg::Text(&wording.country(&far.country))),
                    ("km", Arg::Text(&wording.count(u64::from(far.km)))),
                    ("place", Arg::Text(&whereabouts(&bound.from, wording))),
                ],
            )
        }));
        let possible = u64::from(bound.possible);
        rtt.push(wording.with("rtt-possible", &[("n", Arg::Count(possible))]));
    }
    rtt.extend(
        destination
            .rtt_note
            .as_deref()
            .filter(|_| !local)
            .and_then(words::rtt_note_id)
            .map(|id| wording.with("rtt-no-bound", &[("why", Arg::Text(&wording.text(id)))])),
    );
    let named: Vec<String> = destination.messengers.iter().map(|m| wording.messenger(m)).collect();
    let (up, down) = (wording.bytes(destination.bytes_up), wording.bytes(destination.bytes_down));
    DestinationRow {
        address: destination.address.clone(),
        carries: destination.embedded.as_ref().map(|embedded| words::carries(embedded, wording)),
        names: Capped::new(&destination.names, MAX_IN_CELL, "more-in-json", wording, |name| {
            let seen = destination.named_by.iter().find(|seen| seen.name == *name);
            NameRow {
                name: name.clone(),
                note: seen.map(|seen| words::name_note(seen, wording)).unwrap_or_default(),
                expired: seen.is_some_and(|seen| seen.expired),
            }
        }),
        groups: (!destination.groups.is_empty() && destination.groups != destination.names).then(|| {
            let domains = Arg::Text(&destination.groups.join(", "));
            let n = Arg::Count(destination.groups.len() as u64);
            wording.with("name-groups", &[("n", n), ("domains", domains)])
        }),
        operator: chart::operator(destination, wording),
        service: words::service_text(destination, wording),
        operator_source: destination
            .operator
            .as_ref()
            .filter(|_| !local)
            .map_or(String::new(), |o| o.source.clone()),
        place: chart::place(destination, wording),
        agreement: if local {
            String::new()
        } else if chart::too_far(destination) {
            wording.text("map-struck-out")
        } else {
            wording.text(words::agreement_id(destination.agreement))
        },
        disputed: !local && destination.country.is_none() && !destination.places.is_empty(),
        sources: sources.collect(),
        rtt,
        anycast: destination
            .anycast
            .as_ref()
            .map(|who| wording.with("place-anycast", &[("who", Arg::Text(who))])),
        region: words::cloud_text(destination, wording),
        jurisdictions: jurisdictions.collect(),
        role: wording.text(words::role_id(destination.role)),
        role_why: (!destination.role_why.is_empty()).then(|| destination.role_why.clone()),
        bytes: wording.bytes(destination.bytes_up.saturating_add(destination.bytes_down)),
        bytes_split: wording.with("bytes-up-down", &[("up", Arg::Text(&up)), ("down", Arg::Text(&down))]),
        used_by: (!named.is_empty())
            .then(|| wording.with("used-by", &[("messengers", Arg::Text(&named.join(", ")))])),
        also_seen: words::also_seen(destination.also_seen, wording),
        seen: destination.flows.first().map(|flow| {
            let capture = flow.rsplit_once('#').map_or(flow.as_str(), |(capture, _)| capture);
            wording.with(
                "seen",
                &[
                    ("flows", Arg::Count(destination.flows.len() as u64)),
                    ("frame", Arg::Text(&destination.first_frame.to_string())),
                    ("capture", Arg::Text(capture)),
                ],
            )
        }),
    }
}

/// Flows, ends and bytes of a sum; a dash where nothing tells.
pub(in crate::report) fn noise_sum(sum: Option<&NoiseSum>, wording: &Wording) -> String {
    sum.map_or_else(
        || "–".to_owned(),
        |sum| {
            let bytes = wording.bytes(sum.bytes_up.saturating_add(sum.bytes_down));
            wording.with(
                "noise-sum",
                &[
                    ("flows", Arg::Count(sum.flows)),
                    ("ends", Arg::Count(sum.ends)),
                    ("bytes", Arg::Text(&bytes)),
                ],
            )
        },
    )
}

/// A run beside control runs; the ends that are not the run's alone by name.
pub(super) fn noise(noise: &Noise, wording: &Wording) -> NoiseRow {
    let end = |end: &NoiseEnd| {
        let bytes = wording.bytes(end.bytes_up.saturating_add(end.bytes_down));
        let also = words::also_seen(Some(end.also_seen), wording).unwrap_or_default();
        let kept = if end.kept { format!("; {}", wording.text("noise-kept")) } else { String::new() };
        let port = if end.port == 0 { String::new() } else { format!("/{}", end.port) };
        format!("{} ({}{port}): {bytes}; {also}{kept}", end.end, end.transport)
    };
    let controls = noise.controls.iter().map(|control| {
        wording.with(
            "noise-control",
            &[
                ("capture", Arg::Text(&control.capture)),
                ("kind", Arg::Text(&words::control(&control.control, wording))),
                ("seconds", Arg::Text(&wording.count(control.seconds))),
            ],
        )
    });
    NoiseRow {
        label: format!("{} · {}", wording.messenger(&noise.messenger), noise.capture),
        controls: controls.collect(),
        whole: noise_sum(Some(&noise.whole), wording),
        noise: noise_sum(noise.noise.as_ref(), wording),
        remains: noise_sum(noise.remains.as_ref(), wording),
        when_idle: noise_sum(noise.when_idle.as_ref(), wording),
        ends: Capped::new(&noise.ends, MAX_IN_CELL, "more-in-json", wording, end),
    }
}

/// A place in words: a country's name, or the degrees.
pub(super) fn whereabouts(place: &Whereabouts, wording: &Wording) -> String {
    match place {
        Whereabouts::Country(code) => wording.country(code),
        Whereabouts::Point { .. } => place.to_string(),
    }
}

/// How exposed the destinations of all flows and of each messenger are.
/// A call; addresses of the other party in clear by kind, relays apart.
pub(super) fn call(call: &Call, wording: &Wording) -> CallRow {
    let shown = call.exposed.iter().filter(|e| e.kind != "relay").take(MAX_IN_CELL);
    let mut exposed: Vec<String> = shown
        .map(|e| {
            let frame = e.frame.to_string();
            let values = [
                ("address", Arg::Text(&e.address)),
                ("kind", Arg::Text(&e.kind)),
                ("frame", Arg::Text(&frame)),
            ];
            let address = wording.with("call-address", &values);
            let Some(sent) = e.sent_to.map(|frame| frame.to_string()) else { return address };
            format!("{address}; {}", wording.with("call-address-shown", &[("frame", Arg::Text(&sent))]))
        })
        .collect();
    let left = call.exposed.iter().filter(|e| e.kind != "relay").count().saturating_sub(exposed.len());
    if left > 0 {
        exposed.push(format!("+ {left}"));
    }
    CallRow {
        label: match &call.messenger {
            Some(messenger) => format!("{} · {}", wording.messenger(messenger), call.capture),
            None => call.capture.clone(),
        },
        flows: call.flows.iter().take(MAX_IN_CELL).map(u64::to_string).collect::<Vec<_>>().join(", "),
        media: wording.bytes(call.media_bytes()),
        share: match call.peer_share {
            Some(_) => wording.share(call.peer_bytes, call.media_bytes()),
            None => "–".to_owned(),
        },
        servers: servers(call, wording),
        exposed,
        before: call.exposed_before_answer.to_string(),
        answer: match (call.answered, call.answered_by.as_deref()) {
            (Some(frame), by) => {
                let id = if by == Some("sip") { "call-answer-sip" } else { "call-answer-media" };
                wording.with(id, &[("frame", Arg::Text(&frame.to_string()))])
            }
            (None, _) => wording.text("call-answer-none"),
        },
    }
}

/// The share of a call's media that went to servers, then their addresses.
fn servers(call: &Call, wording: &Wording) -> Vec<String> {
    if call.server_bytes == 0 {
        return Vec::new();
    }
    let mut shown = vec![wording.share(call.server_bytes, call.media_bytes())];
    shown.extend(call.servers.iter().take(MAX_IN_CELL).cloned());
    let left = call.servers.len().saturating_sub(MAX_IN_CELL);
    if left > 0 {
        shown.push(format!("+ {left}"));
    }
    shown
}

pub(super) fn exposure(exposure: &Exposure, wording: &Wording) -> Vec<ExposureRow> {
    if exposure.overall.bytes == 0 {
        return Vec::new();
    }
    let row = |label: String, exposed: &Exposed| {
        let percent = |share: Option<f64>| {
            share.map_or_else(|| "–".to_owned(), |s| format!("{}\u{a0}%", wording.decimal(s * 100.0, 1)))
        };
        // Two to the power of the entropy: as many equal parts would be as spread out.
        let spread = |bits: Option<f64>, hhi: Option<f64>| match (bits, hhi) {
            (Some(bits), Some(hhi)) => wording.with(
                "exposure-spread",
                &[
                    ("parts", Arg::Text(&wording.decimal(bits.exp2(), 1))),
                    ("bits", Arg::Text(&wording.decimal(bits, 2))),
                    ("hhi", Arg::Text(&wording.decimal(hhi, 2))),
                ],
            ),
            _ => "–".to_owned(),
        };
        let names = &exposed.names;
        let shares = [
            ("exposure-dns", names.dns),
            ("exposure-sni", names.sni),
            ("exposure-quic", names.quic),
            ("exposure-certificate", names.certificate),
            ("exposure-clear", names.clear),
            ("exposure-ip-only", names.ip_only),
            ("exposure-ech", names.ech),
        ];
        let shown = shares
            .into_iter()
            .filter(|(_, share)| share.is_some_and(|s| s > 0.0))
            .map(|(id, share)| wording.with(id, &[("share", Arg::Text(&percent(share)))]));
        ExposureRow {
            label,
            bytes: wording.bytes(exposed.bytes),
            destinations: wording.count(exposed.destinations),
            countries: spread(exposed.country_entropy_bits, exposed.country_hhi),
            operators: spread(exposed.operator_entropy_bits, exposed.operator_hhi),
            third: percent(exposed.third_party_ratio),
            names: shown.collect(),
            before: exposed.contacts_before_first_action.map(|n| wording.count(n)),
            no_before: exposed
                .contacts_before_note
                .as_deref()
                .and_then(words::no_before_id)
                .map(|id| wording.text(id)),
        }
    };
    let all = row(wording.text("exposure-all"), &exposure.overall);
    let each = exposure
        .messengers
        .iter()
        .map(|m| row(wording.messenger(m.messenger.as_deref().unwrap_or_default()), m));
    std::iter::once(all).chain(each).collect()
}

/// What a finding says: in the report's language where a rule found it, else in English; and the language that it is in.
fn said(finding: &Finding, rules: &[RuleText], wording: &Wording) -> (String, &'static str) {
    let text = rules.iter().find(|r| finding.rule.as_ref() == Some(&r.id)).map(|r| &r.text);
    // As `RawFinding::behind_encryption` has it.
    let on_the_way = |text: &str| {
        if !finding.decrypted {
            return text.to_owned();
        }
        text.replacen(" in clear", " behind the encryption", 1).replacen(
            " im Klartext",
            " hinter der Verschlüsselung",
            1,
        )
    };
    match text.and_then(|t| Some((t, finding.what.strip_prefix(&on_the_way(&t.en))?))) {
        Some((text, value)) => (format!("{}{value}", on_the_way(wording.pick(text))), wording.lang().code()),
        None => (finding.what.clone(), "en"),
    }
}

pub(super) fn finding(finding: &Finding, rules: &[RuleText], wording: &Wording) -> FindingRow {
    let (what, what_lang) = said(finding, rules, wording);
    FindingRow {
        id: finding.id.clone(),
        severity: wording.text(words::severity_id(finding.severity)),
        severity_class: format!("{:?}", finding.severity).to_lowercase(),
        kind: wording.text(words::kind_id(finding.kind)),
        what,
        what_lang,
        sure: finding.confidence.map(|c| wording.text(words::confidence_id(c))),
        count: (finding.count > 1)
            .then(|| wording.with("finding-count", &[("count", Arg::Count(finding.count))])),
        encoding: (!finding.encoding.is_empty())
            .then(|| wording.with("encoding-chain", &[("chain", Arg::Text(&finding.encoding.join(" > ")))])),
        capture: finding.capture.clone(),
        frames: frames(&finding.frames, wording),
        flow: wording.with("flow-n", &[("flow", Arg::Text(&finding.flow.to_string()))]),
        direction: finding.direction.map(|d| wording.text(words::direction_id(d))),
        messenger: finding.messenger.as_ref().map(|m| wording.messenger(m)),
        readable: wording.text(if finding.decrypted { "finding-decrypted" } else { "finding-clear" }),
    }
}

pub(super) fn input(input: &Input, wording: &Wording) -> InputRow {
    let year = input.first_time.as_deref().and_then(|t| t.get(..4));
    let year_note = match year {
        None => String::new(),
        // A device without a clock starts to count at the epoch.
        Some("1970") => wording.text("year-none"),
        Some(year) => wording.with("year-note", &[("year", Arg::Text(year))]),
    };
    let mut run = Vec::new();
    let mut provenance = String::new();
    if let Some(made) = &input.run {
        let mut tell = |id: &str, name: &str, value: String| {
            run.push(wording.with(id, &[(name, Arg::Text(&value))]));
        };
        if let Some(id) = &made.messenger {
            tell("run-messenger", "messenger", wording.messenger(id));
        }
        if let Some(app) = &made.app {
            tell("run-app", "app", app.clone());
        }
        if let Some(device) = &made.device {
            tell("run-device", "device", device.clone());
        }
        if let Some(vantage) = made.vantage {
            tell("run-vantage", "vantage", wording.text(words::vantage_id(vantage)));
        }
        if let Some(place) = &made.place {
            tell("run-place", "place", whereabouts(place, wording));
        }
        if let Some(recorder) = &made.recorder {
            tell("run-recorder", "recorder", recorder.clone());
        }
        if !made.steps.is_empty() {
            tell("run-steps", "steps", made.steps.join(", "));
        }
        provenance = made.provenance.clone().unwrap_or_default();
    }
    InputRow {
        file: input.file.clone(),
        sha256: input.sha256.clone(),
        frames: wording.count(input.frames),
        size: wording.bytes(input.bytes),
        from: input.first_time.as_deref().map(|t| wording.moment(t)),
        to: input.last_time.as_deref().map(|t| wording.moment(t)),
        year_note,
        truncated: input.truncated.then(|| wording.text("truncated")),
        run,
        provenance,
    }
}

pub(super) fn coverage(
    capture: String,
    total: u64,
    classes: &BTreeMap<String, u64>,
    wording: &Wording,
) -> CoverageRow {
    let mut sorted: Vec<(&String, &u64)> = classes.iter().filter(|(_, bytes)| **bytes > 0).collect();
    sorted.sort_by_key(|(class, bytes)| (Reverse(**bytes), class.as_str()));
    let classes = sorted.into_iter().map(|(class, bytes)| ClassShare {
        class: class.clone(),
        name: wording.ledger_class(class),
        share: wording.share(*bytes, total),
        bytes: wording.bytes(*bytes),
        percent: if total == 0 { 0.0 } else { (*bytes as f64 / total as f64 * 100.0).clamp(0.0, 100.0) },
    });
    CoverageRow { capture, total: wording.bytes(total), classes: classes.collect() }
}

pub(super) fn all_coverage(ledgers: &[Coverage], wording: &Wording) -> CoverageRow {
    let mut total = 0u64;
    let mut classes: BTreeMap<String, u64> = BTreeMap::new();
    for ledger in ledgers {
        total = total.saturating_add(ledger.total);
        for (class, bytes) in &ledger.classes {
            let sum = classes.entry(class.clone()).or_default();
            *sum = sum.saturating_add(*bytes);
        }
    }
    coverage(wording.text("all-captures"), total, &classes, wording)
}

pub(super) fn warning(warning: &Warning, wording: &Wording) -> WarningRow {
    WarningRow {
        capture: warning.capture.clone(),
        frame: warning.frame.map(|f| wording.count(f)).unwrap_or_default(),
        offset: wording.count(warning.offset),
        what: warning.data_age.as_ref().map_or_else(|| warning.what.clone(), |age| data_age(age, wording)),
    }
}

/// A warning of the age of reference data, in the page's language.
fn data_age(age: &DataAge, wording: &Wording) -> String {
    let later = age.later.then(|| wording.text("warning-networks-changed"));
    let outdated = age.outdated.join(", ");
    let outdated = (!outdated.is_empty())
        .then(|| wording.with("warning-data-older", &[("sources", Arg::Text(&outdated))]));
    let what: Vec<String> = later.into_iter().chain(outdated).collect();
    let years = [age.capture_year, age.data_year].map(|year| year.to_string());
    let [capture, data] = &years;
    let days = [&age.newest, &age.oldest].map(|day| wording.date(day));
    let [newest, oldest] = &days;
    wording.with(
        "warning-data-age",
        &[
            ("capture", Arg::Text(capture)),
            ("data", Arg::Text(data)),
            ("newest", Arg::Text(newest)),
            ("oldest", Arg::Text(oldest)),
            ("source", Arg::Text(&age.oldest_source)),
            ("what", Arg::Text(&what.join("; "))),
        ],
    )
}

pub(super) fn reference(source: &ReferenceSource, wording: &Wording) -> ReferenceRow {
    ReferenceRow {
        name: source.name.clone(),
        as_of: wording.date(&source.as_of),
        licence: source.licence.clone(),
        attribution: source.attribution.clone(),
        sha256: source.sha256.clone(),
    }
}
