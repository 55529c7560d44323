//! What links flows of one capture to each other: TLS sessions that are offered again, and names that ECH covers.
//!
//! Takes the finished flows and the ECH configurations that DNS answers gave; adds findings and corrects `ech`.
//! Runs once a capture, after all flows are numbered, so it does not depend on threads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;

use crate::model::{Direction, Finding, FindingKind, Flow, Severity};

/// `reference/ech.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "schema")]
    _schema: u32,
    #[serde(rename = "as_of")]
    _as_of: String,
    name: Vec<Name>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    #[serde(rename = "name")]
    public: String,
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "date")]
    _date: String,
}

/// Configurations that are known without a DNS answer in the capture.
static KNOWN: LazyLock<Vec<String>> =
    LazyLock::new(|| known(include_str!("../../reference/ech.toml")).unwrap_or_default());

fn known(text: &str) -> Result<Vec<String>, toml::de::Error> {
    let file: File = toml::from_str(text)?;
    Ok(file.name.into_iter().map(|n| n.public).collect())
}

/// Findings of one capture that are made here at most.
const MAX_FINDINGS: usize = 64;

/// A public name of an `ECHConfig` (RFC 9849 section 4), and the frame of the DNS answer that had it.
pub(super) type EchName = (String, u64);

/// An ECH extension whose server name is the public name of a configuration that the capture showed before is real:
/// its name is the outer one (`outer`). Anything else may be GREASE and stays `unknown`.
pub(super) fn settle_ech(flows: &mut [Flow], configurations: &[EchName]) {
    for flow in flows {
        let Some(tls) = flow.tls.as_mut().filter(|t| t.ech.as_deref() == Some("unknown")) else { continue };
        if is_outer(tls.sni.as_deref(), tls.client_hello, configurations) {
            tls.ech = Some("outer".into());
            // The outer name is a cover: it never counts as the destination's name.
            for name in flow.names.iter_mut().filter(|n| n.source == "sni") {
                name.source = "ech-outer".into();
            }
        }
    }
}

/// Whether a hello in `frame` with this server name uses one of the configurations.
pub(super) fn is_outer(sni: Option<&str>, frame: Option<u64>, configurations: &[EchName]) -> bool {
    let (Some(sni), Some(frame)) = (sni, frame) else { return false };
    KNOWN.iter().any(|name| name == sni)
        || configurations.iter().any(|(name, answer)| name == sni && *answer < frame)
}

/// Sessions that a client offers from another address than the one that had them: whoever sees both connections knows that
/// they are of one device (METRICS E17).
pub(super) fn sessions_seen_again(capture: &str, flows: &[Flow]) -> Vec<Finding> {
    let mut had: BTreeMap<&str, BTreeSet<(String, u64)>> = BTreeMap::new();
    let mut findings = Vec::new();
    for flow in flows {
        let Some(tls) = &flow.tls else { continue };
        let client = flow.client_address().map(|a| a.to_string()).unwrap_or_default();
        if let (Some(session), Some(hello)) = (tls.session_offered.as_deref(), tls.client_hello) {
            let earlier = had.get(session).and_then(|h| h.iter().find(|(address, _)| *address != client));
            if let Some((_, number)) = earlier
                && findings.len() < MAX_FINDINGS
            {
                findings.push(Finding {
                    kind: FindingKind::Token,
                    severity: Severity::Medium,
                    what: format!(
                        "TLS session of flow {number} offered again from another address: links both connections"
                    ),
                    capture: capture.to_owned(),
                    frames: vec![hello],
                    flow: flow.flow,
                    direction: Some(Direction::Up),
                    ..Finding::default()
                });
            }
        }
        for session in tls.session_offered.iter().chain(&tls.sessions_given) {
            had.entry(session).or_default().insert((client.clone(), flow.flow));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FlowTls;

    fn flow(number: u64, client: &str, offered: Option<&str>, given: &[&str]) -> Flow {
        Flow {
            flow: number,
            client: format!("{client}:1000"),
            tls: Some(FlowTls {
                client_hello: Some(number * 10),
                session_offered: offered.map(str::to_owned),
                sessions_given: given.iter().map(|s| (*s).to_owned()).collect(),
                ..FlowTls::default()
            }),
            ..Flow::default()
        }
    }

    #[test]
    fn the_stored_list_is_well_formed() {
        let names = known(include_str!("../../reference/ech.toml")).unwrap();
        assert!(names.iter().any(|n| n == "cloudflare-ech.com"), "{names:?}");
        assert_eq!(*KNOWN, names);
    }

    #[test]
    fn only_a_session_from_another_address_is_a_finding() {
        let flows = [
            flow(1, "10.0.0.1", None, &["aa"]),
            flow(2, "10.0.0.1", Some("aa"), &[]),
            flow(3, "10.9.9.9", Some("bb"), &[]),
            flow(4, "10.9.9.9", Some("aa"), &[]),
        ];
        let found = sessions_seen_again("x.pcap", &flows);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].flow, &found[0].frames[..]), (4, &[40][..]));
        assert!(found[0].what.contains("flow 1 "), "{}", found[0].what);
    }

    #[test]
    fn ech_is_real_only_behind_its_configuration() {
        let hello = |sni: &str| Flow {
            tls: Some(FlowTls {
                sni: Some(sni.into()),
                ech: Some("unknown".into()),
                client_hello: Some(10),
                ..FlowTls::default()
            }),
            ..Flow::default()
        };
        for (sni, answer, ech) in
            [("cover.example", 9, "outer"), ("cover.example", 10, "unknown"), ("other.example", 9, "unknown")]
        {
            let mut flows = [hello(sni)];
            settle_ech(&mut flows, &[("cover.example".into(), answer)]);
            assert_eq!(flows[0].tls.as_ref().unwrap().ech.as_deref(), Some(ech), "{sni} {answer}");
        }
    }
}
