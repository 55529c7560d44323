//! What links flows of one capture to each other: TLS sessions that are offered again, and names that ECH covers.
//!
//! Takes the finished flows and the ECH configurations that DNS answers gave; adds findings and corrects `ech`.
//! Runs once a capture, after all flows are numbered, so it does not depend on threads.

use std::collections::BTreeSet;
use std::net::IpAddr;

use foldhash::{HashMap, HashMapExt as _};
use rayon::prelude::*;

use super::ech::{EchConfig, EchConfigs, EchOffer};
use crate::model::{Direction, Finding, FindingKind, Flow, Severity};

/// Findings of one capture that are made here at most.
const MAX_FINDINGS: usize = 64;

/// An `ECHConfig` of a DNS answer, and the answer's frame.
pub(super) type EchSeen = (EchConfig, u64);

/// An ECH extension with the server name, config id, cipher suite and key length of a configuration that the capture showed
/// before, or that `reference/ech.toml` has, is real: its name is the outer one (`outer`). Anything else may be GREASE and stays
/// `unknown`; where name and suite are the same, a random id fits once in 256. A name that servers publish as a cover is no name of
/// the destination either way, for keys change and the name does not.
pub(super) fn settle_ech(flows: &mut [Flow], configurations: &[EchSeen], listed: &EchConfigs) {
    flows.par_iter_mut().for_each(|flow| {
        let Some(tls) = flow.tls.as_mut().filter(|t| t.ech.as_deref() == Some("unknown")) else { return };
        let (Some(sni), Some(id), Some(suite), Some(enc), Some(frame)) = (
            tls.sni.as_deref(),
            tls.ech_config_id,
            tls.ech_suite.as_deref(),
            tls.ech_enc_bytes,
            tls.client_hello,
        ) else {
            return;
        };
        let offer = EchOffer { sni, id: id.into(), suite, enc };
        let cover = is_cover(sni, frame, configurations, listed);
        if is_outer(&offer, frame, configurations, listed) {
            tls.ech = Some("outer".into());
        }
        if cover || tls.ech.as_deref() == Some("outer") {
            // The certificate is that of the name within.
            tls.certificate_faults.retain(|fault| fault != "name-mismatch");
        }
        if cover {
            // The outer name is a cover: it never counts as the destination's name.
            for name in flow.names.iter_mut().filter(|n| n.source == "sni") {
                name.source = "ech-outer".into();
            }
        }
    });
}

/// Whether a hello in `frame` uses one of the configurations seen before, or one that is `listed`.
pub(super) fn is_outer(
    offer: &EchOffer<'_>,
    frame: u64,
    configurations: &[EchSeen],
    listed: &EchConfigs,
) -> bool {
    configurations.iter().any(|(config, answer)| *answer < frame && config.fits(offer)) || listed.fit(offer)
}

/// Whether a name is the public name of a configuration seen before a frame, or of one that is `listed`.
fn is_cover(sni: &str, frame: u64, configurations: &[EchSeen], listed: &EchConfigs) -> bool {
    configurations.iter().any(|(config, answer)| *answer < frame && config.public_name == sni)
        || listed.covers(sni)
}

/// Sessions that a client offers from another address than the one that had them: whoever sees both connections knows that
/// they are of one device (METRICS E17).
pub(super) fn sessions_seen_again(capture: &str, flows: &[Flow]) -> Vec<Finding> {
    let mut had: HashMap<&str, BTreeSet<(Option<IpAddr>, u64)>> = HashMap::new();
    let mut findings = Vec::new();
    for flow in flows {
        let Some(tls) = &flow.tls else { continue };
        if tls.session_offered.is_none() && tls.sessions_given.is_empty() {
            continue;
        }
        let client = flow.client_address();
        let offered = || tls.session_offered.iter().chain(&tls.more_sessions_offered);
        for (session, hello) in offered().filter_map(|session| Some((session.as_str(), tls.client_hello?))) {
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
        for session in offered().chain(&tls.sessions_given) {
            had.entry(session).or_default().insert((client, flow.flow));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::Reader;
    use super::super::ech;
    use super::*;
    use crate::model::FlowName;
    use crate::model::FlowTls;

    fn flow(number: u64, client: &str, offered: Option<&str>, given: &[&str]) -> Flow {
        Flow {
            flow: number,
            client: format!("{client}:1000"),
            tls: Some(Box::new(FlowTls {
                client_hello: Some(number * 10),
                session_offered: offered.map(str::to_owned),
                sessions_given: given.iter().map(|s| (*s).to_owned()).collect(),
                ..FlowTls::default()
            })),
            ..Flow::default()
        }
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
        let hello = |sni: &str, id: u8, suite: &str, enc: u64| Flow {
            tls: Some(Box::new(FlowTls {
                sni: Some(sni.into()),
                ech: Some("unknown".into()),
                ech_config_id: Some(id),
                ech_suite: Some(suite.into()),
                ech_enc_bytes: Some(enc),
                client_hello: Some(10),
                certificate_faults: vec!["name-mismatch".into()],
                ..FlowTls::default()
            })),
            ..Flow::default()
        };
        let list = ech::tests::list("cover.example", 7, 0x20, &[(1, 1)]);
        let config = ech::configurations(Reader::new(&list)).remove(0);
        for (sni, id, suite, enc, answer, state) in [
            ("cover.example", 7, "0x0001,0x0001", 32, 9, "outer"),
            ("cover.example", 7, "0x0001,0x0001", 32, 10, "unknown"),
            ("cover.example", 8, "0x0001,0x0001", 32, 9, "unknown"),
            ("cover.example", 7, "0x0001,0x0003", 32, 9, "unknown"),
            ("cover.example", 7, "0x0001,0x0001", 65, 9, "unknown"),
            ("other.example", 7, "0x0001,0x0001", 32, 9, "unknown"),
            // Of reference/ech.toml, with no answer in the capture.
            ("cloudflare-ech.com", 0x74, "0x0001,0x0001", 32, 99, "outer"),
            ("cloudflare-ech.com", 0x75, "0x0001,0x0001", 32, 99, "unknown"),
        ] {
            let mut flows = [hello(sni, id, suite, enc)];
            flows[0].names =
                vec![FlowName { name: sni.into(), source: "sni".into(), frame: 10, expired: false }];
            settle_ech(&mut flows, &[(config.clone(), answer)], &EchConfigs::default());
            let tls = flows[0].tls.as_ref().unwrap();
            assert_eq!(
                tls.certificate_faults.is_empty(),
                state == "outer" || sni != "other.example" && answer != 10
            );
            assert_eq!(tls.ech.as_deref(), Some(state), "{sni} {id} {suite} {enc} {answer}");
            // A cover names nothing, with whatever key.
            let cover = sni == "cloudflare-ech.com" || (sni == "cover.example" && answer < 10);
            let source = if cover { "ech-outer" } else { "sni" };
            assert_eq!(flows[0].names[0].source, source, "{sni} {id} {suite} {enc} {answer}");
        }
    }
}
