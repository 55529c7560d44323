//! Reports made up for the tests: invented traffic at addresses set aside for documentation.

use std::collections::BTreeMap;

use metaleak::model::*;

fn text(en: &str, de: &str) -> Text {
    Text { en: en.into(), de: de.into() }
}

fn evidence(capture: &str, frames: &[u64], filter: &str, note: &str) -> Evidence {
    Evidence {
        capture: capture.into(),
        sha256: "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef".into(),
        frames: frames.to_vec(),
        filter: filter.into(),
        note: note.into(),
    }
}

fn claim(id: &str, criterion: Criterion, verdict: Verdict, en: &str, de: &str) -> ClaimResult {
    ClaimResult {
        id: id.into(),
        messenger: id.split('.').next().unwrap().into(),
        criterion,
        verdict,
        text: text(en, de),
        ..ClaimResult::default()
    }
}

fn place(country: &str, source: &str) -> Place {
    Place { country: country.into(), source: source.into(), as_of: "2026-11-01".into() }
}

fn law(code: &str, why: JurisdictionWhy, basis: Basis) -> Jurisdiction {
    Jurisdiction {
        code: code.into(),
        why,
        basis,
        as_of: "2026-10-15".into(),
        unverified: Vec::new(),
        source: String::new(),
    }
}

fn operator(name: &str, asn: u32) -> Operator {
    Operator { name: name.into(), asn: Some(asn), source: "iptoasn".into() }
}

/// A conclusion with premises in several states, and a criterion of one's own.
fn comparison() -> Comparison {
    let premise = |claim: &str, holds, verdict, state| Premise { claim: claim.into(), holds, verdict, state };
    Comparison {
        criteria: vec![ComparisonCriterion {
            id: "place".into(),
            text: text("Not in the USA", "Nicht in den USA"),
            weight: Some(2.5),
        }],
        cells: vec![ComparisonCell {
            messenger: "signal".into(),
            criterion: "place".into(),
            outcome: Outcome::Failed,
            counts: BTreeMap::from([(Verdict::Supported, 1)]),
            claims: vec!["signal.servers-in-usa".into()],
        }],
        totals: vec![ComparisonTotal { messenger: "signal".into(), met: 0.0, failed: 2.5, open: 0.0 }],
        conclusions: vec![Conclusion {
            id: "signal.not-yet".into(),
            section: "Fazit".into(),
            text: text("Advised against <for now>.", "Davon wird <vorerst> abgeraten."),
            premises: vec![
                premise("signal.servers-in-usa", true, Verdict::Supported, PremiseState::Measured),
                premise("signal.number-hidden", false, Verdict::Supported, PremiseState::Refuted),
                premise("signal.price", true, Verdict::Documentary, PremiseState::Documentary),
            ],
        }],
    }
}

/// Two messengers, every verdict, every way in which sources agree or not.
pub(crate) fn report() -> Report {
    Report {
        criteria: Vec::new(),
        catalogue: Vec::new(),
        controls: 0,
        comparison: comparison(),
        schema: REPORT_SCHEMA.into(),
        tool: Tool { name: "metaleak".into(), version: "0.1.0".into(), features: vec!["live".into()] },
        inputs: inputs(),
        reference: vec![
            ReferenceSource {
                name: "dbip-country-lite".into(),
                as_of: "2026-11-01".into(),
                licence: "CC-BY-4.0".into(),
                sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
                attribution: "IP Geolocation by DB-IP, https://db-ip.com".into(),
            },
            ReferenceSource {
                name: "iptoasn".into(),
                as_of: "2026-11-02".into(),
                licence: "PDDL-1.0".into(),
                sha256: "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752".into(),
                attribution: String::new(),
            },
        ],
        coverage: coverage(),
        flows: vec![Flow {
            capture: "whatsapp-2022.pcapng".into(),
            flow: 1,
            transport: "tcp".into(),
            client: "10.0.2.15:51002".into(),
            server: "198.51.100.7:443".into(),
            app_protocols: vec!["tls".into()],
            names: vec![FlowName {
                name: "e1.example.net".into(),
                source: "sni".into(),
                frame: 4,
                expired: false,
            }],
            messenger: Some("whatsapp".into()),
            ja4: Some("t13d1516h2_8daaf6152771_e5627efa2ab1".into()),
            bytes_up: 2_345_678,
            bytes_down: 12_345_678,
            frames: 812,
            first_frame: 1,
            last_frame: 1650,
            encryption: "tls1.3".into(),
            encryption_frames: vec![4, 6],
            rtt_ms: Some(12.25),
            density: [(Direction::Up, 2_100_000, 7.981), (Direction::Down, 11_900_000, 7.962)]
                .map(|(direction, bytes, bits)| FlowDensity {
                    direction,
                    class: ContentClass::Encrypted,
                    bytes,
                    looked_at: 16_384,
                    entropy_bits: Some(bits),
                    chi_square: Some(251.5),
                })
                .to_vec(),
            ..Flow::default()
        }],
        destinations: destinations(),
        noise: vec![Noise {
            capture: "whatsapp-2022.pcapng".into(),
            messenger: "whatsapp".into(),
            controls: vec![NoiseControl {
                capture: "idle-2022.pcapng".into(),
                control: "without-app".into(),
                seconds: 600,
            }],
            whole: NoiseSum { flows: 4, ends: 3, bytes_up: 2_346_000, bytes_down: 12_350_000 },
            noise: Some(NoiseSum { flows: 1, ends: 1, bytes_up: 322, bytes_down: 4322 }),
            remains: Some(NoiseSum { flows: 3, ends: 2, bytes_up: 2_345_678, bytes_down: 12_345_678 }),
            kept: Some(NoiseSum::default()),
            when_idle: None,
            ends: vec![NoiseEnd {
                end: "time.example.net".into(),
                transport: "udp".into(),
                port: 123,
                also_seen: AlsoSeen { without_app: Some(true), ..AlsoSeen::default() },
                kept: false,
                flows: 1,
                bytes_up: 322,
                bytes_down: 4322,
                first_frame: 9,
            }],
        }],
        push: vec![PushTraffic {
            capture: "whatsapp-2022.pcapng".into(),
            messenger: Some("whatsapp".into()),
            bytes_up: 6933,
            bytes_down: 1074,
            flows: vec![3],
        }],
        exposure: exposure(),
        findings: findings(),
        rules: vec![RuleText {
            id: "phone-field".into(),
            confidence: Confidence::High,
            text: text("telephone number in clear", "Telefonnummer im Klartext"),
        }],
        calls: calls(),
        leakage: Vec::new(),
        claims: claims(),
        warnings: vec![
            Warning {
                capture: "conversations-2024.pcap.gz".into(),
                frame: Some(412),
                offset: 1_048_576,
                what: "the file ends within a record: 60 bytes needed, 12 left".into(),
                data_age: None,
            },
            Warning {
                capture: "whatsapp-2022.pcapng".into(),
                frame: None,
                offset: 24,
                what: "unknown block type 0x0bad".into(),
                data_age: None,
            },
        ],
    }
}

fn inputs() -> Vec<Input> {
    vec![
        Input {
            path: None,
            file: "conversations-2024.pcap.gz".into(),
            sha256: "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752".into(),
            bytes: 402_112,
            decoded_bytes: 1_048_588,
            frames: 412,
            first_time: Some("2024-03-05T08:00:01.000000000Z".into()),
            last_time: Some("2024-03-05T08:14:22.500000000Z".into()),
            link_types: vec!["EN10MB".into()],
            truncated: true,
            run: Some(Run {
                app_uid: None,
                control: None,
                service: None,
                execution: None,
                marks: Vec::new(),
                messenger: Some("conversations".into()),
                steps: vec!["register".into(), "text-1to1".into()],
                vantage: Some(Vantage::Router),
                place: Some("47.37,8.54".parse().unwrap()),
                app: Some("Conversations 2.13.4".into()),
                device: Some("emulator, Android 13".into()),
                recorder: Some("tcpdump 4.99.3".into()),
                provenance: Some("made for this test".into()),
                contacts: None,
                recording: None,
                canaries: BTreeMap::new(),
            }),
        },
        Input {
            path: None,
            file: "whatsapp-2022.pcapng".into(),
            sha256: "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef".into(),
            bytes: 15_204_352,
            decoded_bytes: 15_204_352,
            frames: 18_204,
            first_time: Some("2022-12-07T10:03:04.123456789Z".into()),
            last_time: Some("2022-12-07T10:09:59.000000001Z".into()),
            link_types: vec!["RAW".into()],
            truncated: false,
            run: None,
        },
    ]
}

fn coverage() -> Vec<Coverage> {
    let ledger = |classes: &[(&str, u64)]| classes.iter().map(|(c, n)| ((*c).to_owned(), *n)).collect();
    vec![
        Coverage {
            capture: "conversations-2024.pcap.gz".into(),
            total: 1_048_588,
            stored: None,
            classes: ledger(&[
                ("file", 6_616),
                ("link", 5_768),
                ("network", 8_240),
                ("transport", 13_184),
                ("xmpp", 20_480),
                ("tls.handshake", 40_960),
                ("tls.data", 953_328),
                ("lost", 12),
            ]),
        },
        Coverage {
            capture: "whatsapp-2022.pcapng".into(),
            total: 15_204_352,
            stored: None,
            classes: ledger(&[
                ("file", 600_000),
                ("network", 364_080),
                ("transport", 582_528),
                ("opaque", 4_000_000),
                ("whatsapp.noise", 9_657_744),
            ]),
        },
    ]
}

fn destinations() -> Vec<Destination> {
    vec![
        Destination {
            address: "10.0.2.3".into(),
            names: vec![],
            agreement: Agreement::None,
            role: Role::Resolver,
            role_why: "answers on port 53".into(),
            bytes_up: 4_200,
            bytes_down: 9_800,
            flows: vec!["whatsapp-2022.pcapng#2".into()],
            first_frame: 1,
            ..Destination::default()
        },
        Destination {
            address: "192.0.2.44".into(),
            names: vec!["chat.example.org".into(), "xmpp.example.org".into()],
            operator: Some(operator("Example Hosting GmbH", 64496)),
            places: vec![
                place("DE", "dbip-country-lite"),
                place("DE", "iptoasn"),
                place("DE", "rir-delegated"),
            ],
            country: Some("DE".into()),
            agreement: Agreement::All,
            jurisdictions: vec![
                law("DE", JurisdictionWhy::Place, Basis::Eea),
                law("DE", JurisdictionWhy::OperatorSeat, Basis::Eea),
            ],
            role: Role::Hosting,
            role_why: "name chat.example.org, network of a hosting company".into(),
            rtt_min_ms: Some(8.2),
            max_km: Some(820.0),
            rtt_bounds: vec![RttBound {
                capture: String::new(),
                frames: Vec::new(),
                from: "47.37,8.54".parse().unwrap(),
                rtt_ms: 8.2,
                max_km: 820.0,
                excluded: Vec::new(),
                possible: 27,
                possible_codes: vec!["AT".into(), "CH".into(), "DE".into()],
            }],
            rtt_excludes: Vec::new(),
            rtt_note: None,
            bytes_up: 220_000,
            bytes_down: 828_000,
            flows: vec!["conversations-2024.pcap.gz#1".into()],
            first_frame: 3,
            messengers: vec!["conversations".into()],
            ..Destination::default()
        },
        Destination {
            address: "198.51.100.7".into(),
            names: vec!["e1.example.net".into()],
            operator: Some(operator("EXAMPLE-META", 64500)),
            places: vec![
                place("US", "dbip-country-lite"),
                place("IE", "iptoasn"),
                place("DE", "rir-delegated"),
            ],
            country: None,
            agreement: Agreement::Disagree,
            jurisdictions: vec![law("US", JurisdictionWhy::OperatorSeat, Basis::Dpf)],
            role: Role::FirstParty,
            role_why: "name e1.example.net is in the messenger's own domain".into(),
            rtt_min_ms: Some(12.25),
            max_km: None,
            rtt_bounds: Vec::new(),
            rtt_excludes: Vec::new(),
            rtt_note: Some("vantage-vpn".into()),
            bytes_up: 2_345_678,
            bytes_down: 9_000_000,
            flows: vec!["whatsapp-2022.pcapng#1".into()],
            first_frame: 1,
            messengers: vec!["whatsapp".into()],
            ..Destination::default()
        },
        Destination {
            address: "203.0.113.80".into(),
            names: vec!["mtalk.example.com".into()],
            operator: Some(Operator { name: "Example Cloud".into(), asn: None, source: "cloud-list".into() }),
            places: vec![
                place("US", "dbip-country-lite"),
                place("US", "iptoasn"),
                place("CH", "rir-delegated"),
            ],
            country: Some("US".into()),
            agreement: Agreement::Majority,
            jurisdictions: vec![law("US", JurisdictionWhy::Place, Basis::Dpf)],
            role: Role::Push,
            role_why: "name mtalk.example.com".into(),
            bytes_up: 80_000,
            bytes_down: 320_000,
            flows: vec!["whatsapp-2022.pcapng#9".into()],
            first_frame: 88,
            messengers: vec!["conversations".into(), "whatsapp".into()],
            ..Destination::default()
        },
        Destination {
            address: "2001:db8:85a3::8a2e:370:7334".into(),
            names: vec!["media.example.net".into()],
            operator: Some(operator("EXAMPLE-META", 64500)),
            places: vec![place("US", "dbip-country-lite")],
            country: Some("US".into()),
            agreement: Agreement::Single,
            jurisdictions: vec![law("US", JurisdictionWhy::Place, Basis::Dpf)],
            role: Role::Cdn,
            bytes_up: 12_000,
            bytes_down: 2_900_000,
            flows: vec!["whatsapp-2022.pcapng#12".into()],
            first_frame: 240,
            messengers: vec!["whatsapp".into()],
            ..Destination::default()
        },
        Destination {
            address: "203.0.113.90".into(),
            places: vec![place("AU", "dbip-country-lite"), place("AU", "iptoasn")],
            country: None,
            agreement: Agreement::Disagree,
            role: Role::Cdn,
            rtt_min_ms: Some(20.0),
            max_km: Some(2000.0),
            rtt_bounds: vec![RttBound {
                capture: String::new(),
                frames: Vec::new(),
                from: Whereabouts::Country("CH".into()),
                rtt_ms: 20.0,
                max_km: 2000.0,
                excluded: vec![TooFar { country: "AU".into(), km: 10_871 }],
                possible: 71,
                possible_codes: Vec::new(),
            }],
            rtt_excludes: vec!["AU".into()],
            bytes_up: 1_000,
            bytes_down: 99_000,
            flows: vec!["conversations-2024.pcap.gz#4".into()],
            first_frame: 17,
            messengers: vec!["conversations".into()],
            ..Destination::default()
        },
        Destination {
            address: "203.0.113.200".into(),
            role: Role::Unknown,
            bytes_up: 900,
            bytes_down: 420_000,
            flows: vec!["whatsapp-2022.pcapng#13".into()],
            first_frame: 300,
            ..Destination::default()
        },
    ]
}

fn share(key: &str, bytes: u64, share: f64) -> Share {
    Share { key: (!key.is_empty()).then(|| key.into()), bytes, share }
}

fn path(messenger: &str, operator: &str, country: &str, zone: Zone, bytes: u64) -> PathBytes {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    PathBytes { messenger: some(messenger), operator: some(operator), country: some(country), zone, bytes }
}

/// Rounded by hand from the destinations above.
/// One call by relay and directly, answered by SIP; one without an answer and without media.
fn calls() -> Vec<Call> {
    let exposed = |address: &str, kind: &str, frame: u64, before_answer: bool| ExposedAddress {
        address: address.into(),
        kind: kind.into(),
        source: CandidateSource::Sdp,
        frame,
        before_answer,
        sent_to: (kind == "srflx").then_some(14),
    };
    vec![
        Call {
            capture: "whatsapp-2022.pcapng".into(),
            messenger: Some("whatsapp".into()),
            flows: vec![1, 2],
            first_frame: 10,
            last_frame: 900,
            peer_bytes: 600_000,
            relay_bytes: 150_000,
            server_bytes: 50_000,
            peer_share: Some(0.75),
            peers: vec!["198.51.100.77".into()],
            relays: vec!["203.0.113.50".into()],
            servers: vec!["203.0.113.60".into()],
            answered: Some(60),
            answered_by: Some("sip".into()),
            exposed: vec![
                exposed("198.51.100.77:50000", "srflx", 12, true),
                exposed("192.168.178.20:50000", "host", 61, false),
                exposed("203.0.113.50:49152", "relay", 12, true),
            ],
            exposed_before_answer: 1,
            reached_before_answer: 1,
            local_addresses: 1,
        },
        Call { capture: "conversations-2024.pcap.gz".into(), flows: vec![9], ..Call::default() },
    ]
}

fn exposure() -> Exposure {
    let zones = |shares: [(u64, f64); 6]| {
        Zone::ALL.iter().zip(shares).map(|(zone, (bytes, part))| share(zone.id(), bytes, part)).collect()
    };
    Exposure {
        overall: Exposed {
            messenger: None,
            bytes: 16_225_578,
            destinations: 6,
            zones: zones([
                (0, 0.0),
                (1_048_000, 0.0646),
                (0, 0.0),
                (3_312_000, 0.2041),
                (0, 0.0),
                (11_865_578, 0.7313),
            ]),
            countries: vec![
                share("", 11_865_578, 0.7313),
                share("US", 3_312_000, 0.2041),
                share("DE", 1_048_000, 0.0646),
            ],
            operators: vec![
                share("EXAMPLE-META", 14_257_678, 0.8787),
                share("Example Hosting GmbH", 1_048_000, 0.0646),
            ],
            roles: vec![share("first-party", 11_345_678, 0.6992)],
            country_entropy_bits: Some(1.05),
            operator_entropy_bits: Some(0.71),
            country_hhi: Some(0.58),
            operator_hhi: Some(0.78),
            third_party_ratio: Some(0.2833),
            names: NameExposure {
                flows: 6,
                dns: Some(0.5),
                sni: Some(0.5),
                quic: Some(0.0),
                certificate: Some(0.1667),
                clear: Some(0.0),
                ip_only: Some(0.1667),
                ech: Some(0.3333),
            },
            contacts_before_first_action: Some(2),
            contacts_before_note: None,
        },
        messengers: vec![
            Exposed {
                messenger: Some("conversations".into()),
                bytes: 1_148_000,
                destinations: 2,
                ..Exposed::default()
            },
            Exposed {
                messenger: Some("whatsapp".into()),
                bytes: 14_657_678,
                destinations: 3,
                ..Exposed::default()
            },
        ],
        paths: vec![
            path("", "", "", Zone::Unknown, 420_900),
            path("conversations", "Example Hosting GmbH", "DE", Zone::Eea, 1_048_000),
            path("conversations", "", "", Zone::Unknown, 100_000),
            path("whatsapp", "EXAMPLE-META", "", Zone::Unknown, 11_345_678),
            path("whatsapp", "EXAMPLE-META", "US", Zone::Us, 2_912_000),
            path("whatsapp", "Example Cloud", "US", Zone::Us, 400_000),
        ],
    }
}

fn findings() -> Vec<Finding> {
    vec![
        Finding {
            id: "f1".into(),
            kind: FindingKind::Name,
            severity: Severity::Low,
            what: "server name chat.example.org in clear".into(),
            capture: "conversations-2024.pcap.gz".into(),
            frames: vec![4],
            offset: 0,
            flow: 1,
            direction: Some(Direction::Up),
            messenger: Some("conversations".into()),
            ..Finding::default()
        },
        Finding {
            id: "f2".into(),
            kind: FindingKind::Canary,
            severity: Severity::High,
            what: "canary contact-3 (+49 … 42)".into(),
            encoding: vec!["gzip".into(), "base64".into()],
            capture: "whatsapp-2022.pcapng".into(),
            frames: (400..430).collect(),
            offset: 4_096,
            flow: 9,
            direction: Some(Direction::Up),
            decrypted: true,
            messenger: Some("whatsapp".into()),
            ..Finding::default()
        },
        Finding {
            id: "f3".into(),
            kind: FindingKind::Identifier,
            severity: Severity::High,
            what: "telephone number in clear: …86 (number, 8 or more digits)".into(),
            capture: "whatsapp-2022.pcapng".into(),
            frames: vec![812],
            offset: 96,
            flow: 11,
            direction: Some(Direction::Up),
            messenger: Some("whatsapp".into()),
            rule: Some("phone-field".into()),
            confidence: Some(Confidence::High),
            count: 3,
            ..Finding::default()
        },
    ]
}

fn claims() -> Vec<ClaimResult> {
    let wa = "whatsapp-2022.pcapng";
    let xm = "conversations-2024.pcap.gz";
    vec![
        ClaimResult {
            explanation: text(
                "The stream header was sent in clear before STARTTLS and names the XMPP namespace.",
                "Der Stream-Header ging vor STARTTLS im Klartext über die Leitung und nennt den XMPP-Namensraum.",
            ),
            evidence: vec![evidence(
                xm,
                &[4, 6],
                "tcp.stream == 0 && frame.number in {4, 6}",
                "XMPP stream header",
            )],
            sources: vec!["https://xmpp.org/rfcs/rfc6120.html, 2011-03".into(), "RFC 7395".into()],
            ..claim(
                "conversations.open-protocol",
                Criterion::Gdpr,
                Verdict::Supported,
                "Uses the open protocol XMPP.",
                "Nutzt das offene Protokoll XMPP.",
            )
        },
        ClaimResult {
            explanation: text(
                "Ten contacts were planted and the app was given access; none was seen in what could be read.",
                "Zehn Kontakte waren ausgelegt und die App hatte Zugriff; im Lesbaren war keiner zu sehen.",
            ),
            control: Some(Control {
                planted: 10,
                found: 9,
                power: 0.9,
                ci95: [0.596, 0.982],
                smallest_bytes: Some(8),
                ..Control::default()
            }),
            further_controls: vec![Control {
                planted: 20,
                found: 19,
                power: 0.95,
                ci95: [0.764, 0.991],
                kind: metaleak::model::ControlKind::Rule,
                missed: vec!["phone-list".into()],
                ..Control::default()
            }],
            evidence: vec![evidence(xm, &[], "tcp.stream == 0", "all frames of the sign-up")],
            ..claim(
                "conversations.no-contact-upload",
                Criterion::Gdpr,
                Verdict::NotContradicted,
                "The address book is not uploaded.",
                "Das Adressbuch wird nicht hochgeladen.",
            )
        },
        ClaimResult {
            sources: vec!["F-Droid listing, 2026-09-01".into()],
            ..claim(
                "conversations.price-1-99",
                Criterion::Threshold,
                Verdict::Documentary,
                "Costs 1.99 EUR.",
                "Kostet 1,99 €.",
            )
        },
        ClaimResult {
            explanation: text(
                "The sources name three countries for the address, and the round trip of 12 ms excludes the USA.",
                "Die Quellen nennen drei Länder für die Adresse, und die Umlaufzeit von 12 ms schließt die USA aus.",
            ),
            evidence: vec![
                evidence(
                    wa,
                    &(1..=40).collect::<Vec<u64>>(),
                    "ip.addr == 198.51.100.7 && tcp.flags.syn == 1",
                    "round trip of 12.25 ms; sources: US, IE, DE",
                ),
                evidence(wa, &[240, 241], "ipv6.addr == 2001:db8:85a3::8a2e:370:7334", "one source: US"),
            ],
            sources: vec!["https://faq.whatsapp.com/1191526044909364 undated".into()],
            ..claim(
                "whatsapp.servers-in-usa",
                Criterion::Gdpr,
                Verdict::Contradicted,
                "The servers stand in the USA.",
                "Die Server stehen in den USA.",
            )
        },
        ClaimResult {
            reason: "opaque".into(),
            explanation: text(
                "The upload is encrypted and no keys were given; sizes alone do not tell.",
                "Der Upload ist verschlüsselt und es lagen keine Schlüssel vor; Größen allein sagen es nicht.",
            ),
            evidence: vec![evidence(wa, &[88, 90], "tcp.stream == 9", "Noise handshake")],
            ..claim(
                "whatsapp.contact-upload-happens",
                Criterion::Gdpr,
                Verdict::Inconclusive,
                "Numbers of the address book go to the vendor.",
                "Nummern des Adressbuchs gehen an den Anbieter.",
            )
        },
        ClaimResult {
            reason: "not-exercised".into(),
            explanation: text("No capture holds a call.", "Kein Mitschnitt enthält einen Anruf."),
            ..claim(
                "whatsapp.calls-are-relayed",
                Criterion::Metadata,
                Verdict::Inconclusive,
                "Calls run over a relay, so that the other party does not learn the address.",
                "Anrufe laufen über ein Relay, sodass die andere Seite die Adresse nicht erfährt.",
            )
        },
        ClaimResult {
            sources: vec!["DPC decision IN-18-12-2, 2021-08-20".into()],
            ..claim(
                "whatsapp.operator-for-profit",
                Criterion::Metadata,
                Verdict::Documentary,
                "The operator works for profit.",
                "Der Betreiber handelt gewinnorientiert.",
            )
        },
        ClaimResult {
            explanation: text(
                "Nothing went to an advertising host while chatting.",
                "Beim Chatten ging nichts an einen Werbe-Host.",
            ),
            ..claim(
                "whatsapp.no-ad-hosts-while-chatting",
                Criterion::Metadata,
                Verdict::NotContradicted,
                "No advertising service is contacted while chatting.",
                "Beim Chatten wird kein Werbedienst kontaktiert.",
            )
        },
        ClaimResult {
            evidence: vec![evidence(wa, &[88, 89, 90], "tcp.stream == 9 && data", "Noise_XX handshake")],
            ..claim(
                "whatsapp.content-encrypted-in-transit",
                Criterion::Gdpr,
                Verdict::Supported,
                "Contents are encrypted in transit.",
                "Inhalte sind auf dem Transport verschlüsselt.",
            )
        },
    ]
}

/// What a capture, a file name or a claim file could hold to act on a reader's terminal or browser.
pub(crate) const HOSTILE: &str = "<script>alert(1)</script>\"><img src=x onerror=alert(2)>' \x1b[31;1m\u{9b}2J\u{202e}gpj.\0\x07\u{2066}\u{200b}]]>&{{ 7*7 }}";

/// A report with [`HOSTILE`] in every text that is not ours.
pub(crate) fn hostile() -> Report {
    let bad = || HOSTILE.to_owned();
    let wild = |v: &str| format!("{HOSTILE}{v}");
    let mut report = report();
    report.tool.version = bad();
    for input in &mut report.inputs {
        input.file = wild(&input.file);
        input.sha256 = bad();
        input.first_time = Some(bad());
        input.last_time = Some(bad());
        input.link_types = vec![bad()];
        input.run = Some(Run {
            app_uid: None,
            control: None,
            service: None,
            execution: None,
            marks: Vec::new(),
            messenger: Some(bad()),
            steps: vec![bad()],
            vantage: Some(Vantage::Vpn),
            place: Some(Whereabouts::Country("DE".into())),
            app: Some(bad()),
            device: Some(bad()),
            recorder: Some(bad()),
            provenance: Some(bad()),
            contacts: None,
            recording: Some(metaleak::model::CaptureNote {
                interface: bad(),
                filter: Some(bad()),
                start: bad(),
                end: Some(bad()),
                ended: Some(bad()),
                ..metaleak::model::CaptureNote::default()
            }),
            canaries: BTreeMap::new(),
        });
    }
    for source in &mut report.reference {
        *source =
            ReferenceSource { name: bad(), as_of: bad(), licence: bad(), sha256: bad(), attribution: bad() };
    }
    for coverage in &mut report.coverage {
        coverage.capture = bad();
        coverage.classes.insert(bad(), 77);
    }
    for noise in &mut report.noise {
        noise.capture = bad();
        noise.messenger = bad();
        for control in &mut noise.controls {
            control.capture = bad();
            control.control = bad();
        }
        for end in &mut noise.ends {
            end.end = bad();
            end.transport = bad();
        }
    }
    for flow in &mut report.flows {
        flow.app = Some(FlowApp { uid: 7, name: bad() });
    }
    for push in &mut report.push {
        push.capture = bad();
        push.messenger = Some(bad());
    }
    for destination in &mut report.destinations {
        destination.address = wild(&destination.address);
        destination.names = vec![bad()];
        destination.operator =
            Some(Operator { name: wild(&destination.address), asn: Some(1), source: bad() });
        destination.places = vec![Place { country: bad(), source: bad(), as_of: bad() }];
        destination.country = destination.country.as_ref().map(|_| bad());
        destination.jurisdictions = vec![Jurisdiction {
            code: bad(),
            why: JurisdictionWhy::Place,
            basis: Basis::None,
            as_of: bad(),
            unverified: Vec::new(),
            source: String::new(),
        }];
        destination.role_why = bad();
        destination.messengers = vec![bad()];
        destination.rtt_min_ms = Some(f64::NAN);
        destination.max_km = Some(f64::INFINITY);
        destination.rtt_bounds = vec![RttBound {
            capture: String::new(),
            frames: Vec::new(),
            from: Whereabouts::Country("DE".into()),
            rtt_ms: f64::NAN,
            max_km: f64::INFINITY,
            excluded: vec![TooFar { country: bad(), km: u32::MAX }],
            possible: 1,
            possible_codes: vec![bad()],
        }];
        destination.rtt_excludes = vec![bad()];
        destination.rtt_note = Some(bad());
    }
    for exposed in std::iter::once(&mut report.exposure.overall).chain(&mut report.exposure.messengers) {
        exposed.messenger = Some(bad());
        exposed.countries = vec![Share { key: Some(bad()), bytes: u64::MAX, share: 1.0 }];
        exposed.operators = exposed.countries.clone();
    }
    for path in &mut report.exposure.paths {
        (path.messenger, path.operator, path.country) = (Some(bad()), Some(bad()), Some(bad()));
    }
    for finding in &mut report.findings {
        finding.id = bad();
        finding.what = bad();
        finding.encoding = vec![bad(), bad()];
        finding.capture = bad();
        finding.messenger = Some(bad());
    }
    for claim in &mut report.claims {
        claim.id = wild(&claim.id);
        claim.messenger = bad();
        claim.text = Text { en: bad(), de: bad() };
        claim.explanation = Text { en: bad(), de: bad() };
        claim.reason = bad();
        claim.runs_disagree = true;
        claim.runs = vec![RunsVerdict {
            day: Some(bad()),
            app: Some(bad()),
            reason: bad(),
            captures: vec![bad()],
            ..RunsVerdict::default()
        }];
        claim.next = vec![Next { what: Text { en: bad(), de: bad() }, command: bad() }];
        claim.protection = Some(Protection {
            explanation: Text { en: bad(), de: bad() },
            rate_source: bad(),
            ..Protection::default()
        });
        claim.sources = vec![bad(), format!("https://x/{HOSTILE}"), "https://x/\"onclick=alert(1)".into()];
        for evidence in &mut claim.evidence {
            evidence.capture = bad();
            evidence.filter = bad();
            evidence.note = bad();
        }
    }
    for warning in &mut report.warnings {
        warning.capture = bad();
        warning.what = bad();
    }
    report
}

/// More of everything than a page shows.
pub(crate) fn huge() -> Report {
    let mut report = report();
    let repeat = |n: usize| 0..n;
    report.destinations = repeat(230)
        .map(|i| Destination {
            address: format!("192.0.2.{i}"),
            operator: Some(operator(&format!("Operator {i}"), i as u32)),
            bytes_up: 1000 + i as u64,
            ..Destination::default()
        })
        .collect();
    report.findings = repeat(201).map(|i| Finding { id: format!("f{i}"), ..Finding::default() }).collect();
    report.warnings = repeat(450).map(|i| Warning { offset: i as u64, ..Warning::default() }).collect();
    let evidence = repeat(33).map(|i| evidence("many.pcap", &[i as u64 + 1], "frame", "")).collect();
    report.claims[0].evidence = evidence;
    report
}
