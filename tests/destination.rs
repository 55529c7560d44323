//! Area tests of `destination`: the reference data, its building and its hand-written files.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic; clippy.toml allows it only within #[test] functions"
)]

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use metaleak::destination::{
    FactTexts, REGIONS, ReferenceDb, ReferenceError, Sources, build, lookup_destination,
};
use metaleak::model::{Agreement, Embedded, EmbeddedForm, JurisdictionWhy, Role};
use sha2::{Digest, Sha256};

fn db() -> &'static ReferenceDb {
    ReferenceDb::embedded().expect("the embedded reference data is sound")
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// What a source says, `-` when nothing.
fn says(address: &str, source: &str) -> String {
    let facts = db().lookup(ip(address));
    facts.places.iter().find(|p| p.source == source).map_or_else(|| "-".into(), |p| p.country.clone())
}

fn table_bytes() -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/metaleak.db")).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// A small generator (Marsaglia's xorshift), so that failures can be repeated.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

// ---- the table -----------------------------------------------------------------------------------------------------

#[test]
fn the_eight_addresses_and_what_three_sources_say() {
    for (address, iptoasn, whois, ipfire, country, agreement, asn) in [
        ("185.88.236.110", "CH", "CH", "CH", Some("CH"), Agreement::All, Some(29691)),
        ("31.13.86.51", "US", "IE", "IE", Some("IE"), Agreement::Majority, Some(32934)),
        ("157.240.20.53", "US", "US", "US", Some("US"), Agreement::All, Some(32934)),
        ("149.154.167.50", "VG", "GB", "GB", Some("GB"), Agreement::Majority, Some(62041)),
        ("91.108.56.100", "VG", "RU", "NL", None, Agreement::Disagree, Some(62041)),
        ("35.169.3.40", "US", "US", "US", Some("US"), Agreement::All, Some(14618)),
        ("52.214.0.1", "US", "IE", "IE", Some("IE"), Agreement::Majority, Some(16509)),
        ("158.85.224.179", "-", "US", "US", Some("US"), Agreement::All, None),
    ] {
        assert_eq!(says(address, "iptoasn"), iptoasn, "{address} iptoasn");
        assert_eq!(says(address, "geo-whois-asn"), whois, "{address} geo-whois-asn");
        assert_eq!(says(address, "ipfire"), ipfire, "{address} ipfire");
        let facts = db().lookup(ip(address));
        assert_eq!(facts.country.as_deref(), country, "{address}");
        assert_eq!(facts.agreement, agreement, "{address}");
        assert_eq!(facts.operator.as_ref().and_then(|o| o.asn), asn, "{address}");
        assert_eq!(facts.special, None, "{address}");
    }
}

#[test]
fn ipv6_has_places_and_operators_too() {
    for (address, asn, country) in [
        ("2001:67c:4e8:f002::a", 62041, None),
        ("2a03:2880:f12d:83:face:b00c:0:25de", 32934, None),
        ("2001:4860:4860::8888", 15169, None),
        ("2a00:1450:4001:81c::200e", 15169, Some("IE")),
        ("2606:4700:4700::1111", 13335, None),
        ("2620:fe::fe", 19281, None),
    ] {
        let facts = db().lookup(ip(address));
        assert_eq!(facts.operator.as_ref().and_then(|o| o.asn), Some(asn), "{address}");
        assert!(facts.places.len() >= 2, "{address}: {:?}", facts.places);
        if country.is_some() {
            assert_eq!(facts.country.as_deref(), country, "{address}: {:?}", facts.places);
        }
    }
}

#[test]
fn no_country_is_told_against_the_region_that_the_operator_publishes_nor_of_anycast() {
    for (address, region) in [("3.4.12.84", "eu-west-3"), ("69.107.13.57", "eu-west-1")] {
        let facts = db().lookup(ip(address));
        assert_eq!(
            (&facts.country, facts.agreement),
            (&None, Agreement::Disagree),
            "{address}: {:?}",
            facts.places
        );
        assert_eq!(facts.cloud.as_ref().and_then(|c| c.region.as_deref()), Some(region), "{address}");
        // Either may be its law.
        let laws: Vec<&str> = facts.jurisdictions.iter().map(|j| j.code.as_str()).collect();
        assert!(laws.contains(&"US") && laws.len() >= 2, "{address}: {laws:?}");
    }
    for address in ["1.1.1.1", "8.8.8.8", "2001:4860:4860::8888"] {
        let facts = db().lookup(ip(address));
        assert!(facts.anycast.is_some() && facts.country.is_none(), "{address}");
        assert!(facts.jurisdictions.iter().all(|j| j.why == JurisdictionWhy::OperatorSeat), "{address}");
    }
}

#[test]
fn clouds_tell_their_region() {
    for (address, provider, region, country) in [
        ("52.214.0.1", "Amazon AWS", Some("eu-west-1"), Some("IE")),
        ("18.192.0.1", "Amazon AWS", Some("eu-central-1"), Some("DE")),
        ("3.5.140.1", "Amazon AWS", Some("ap-northeast-2"), Some("KR")),
        ("1.178.4.1", "Amazon AWS", Some("us-east-1"), Some("US")),
        ("2406:da00:ff00::1", "Amazon AWS", Some("us-east-1"), Some("US")),
        ("1.178.1.1", "Amazon AWS", Some("us-west-2"), Some("US")),
        ("2600:1f00:4000::1", "Amazon AWS", Some("us-west-2"), Some("US")),
        ("1.178.92.1", "Amazon AWS", Some("ca-central-1"), Some("CA")),
        ("2600:1f00:1000::1", "Amazon AWS", Some("ca-central-1"), Some("CA")),
        ("1.178.95.1", "Amazon AWS", Some("sa-east-1"), Some("BR")),
        ("2600:1f00:e000::1", "Amazon AWS", Some("sa-east-1"), Some("BR")),
        ("1.178.7.1", "Amazon AWS", Some("eu-west-1"), Some("IE")),
        ("2600:1ffd:838e::1", "Amazon AWS", Some("eu-west-1"), Some("IE")),
        ("1.178.94.1", "Amazon AWS", Some("eu-west-2"), Some("GB")),
        ("2600:1ffd:8492::1", "Amazon AWS", Some("eu-west-2"), Some("GB")),
        ("1.178.90.1", "Amazon AWS", Some("eu-west-3"), Some("FR")),
        ("2600:9000:5213::1", "Amazon AWS", Some("eu-west-3"), Some("FR")),
        ("1.178.10.1", "Amazon AWS", Some("eu-central-1"), Some("DE")),
        ("2600:1ffd:80a7::1", "Amazon AWS", Some("eu-central-1"), Some("DE")),
        ("1.178.93.1", "Amazon AWS", Some("eu-north-1"), Some("SE")),
        ("2600:f0f0:0:d00::1", "Amazon AWS", Some("eu-north-1"), Some("SE")),
        ("1.178.17.1", "Amazon AWS", Some("eu-south-1"), Some("IT")),
        ("2600:f0f0:4145::1", "Amazon AWS", Some("eu-south-1"), Some("IT")),
        ("1.178.64.1", "Amazon AWS", Some("ap-northeast-1"), Some("JP")),
        ("2400:6700:ff00::1", "Amazon AWS", Some("ap-northeast-1"), Some("JP")),
        ("1.178.91.1", "Amazon AWS", Some("ap-northeast-2"), Some("KR")),
        ("2406:da00:2000::1", "Amazon AWS", Some("ap-northeast-2"), Some("KR")),
        ("1.178.11.1", "Amazon AWS", Some("ap-southeast-2"), Some("AU")),
        ("2403:b300:ff00::1", "Amazon AWS", Some("ap-southeast-2"), Some("AU")),
        ("20.53.1.68", "Microsoft Azure Public", None, Some("AU")),
        ("2603:1010:304::10c", "Microsoft Azure Public", None, Some("AU")),
        ("191.233.207.64", "Microsoft Azure Public", None, Some("BR")),
        ("2603:1050:6:2::6f0", "Microsoft Azure Public", None, Some("BR")),
        ("4.206.229.96", "Microsoft Azure Public", None, Some("CA")),
        ("2603:1030:f05:1::120", "Microsoft Azure Public", None, Some("CA")),
        ("20.208.157.48", "Microsoft Azure Public", None, Some("CH")),
        ("2603:1020:a04:1::10c", "Microsoft Azure Public", None, Some("CH")),
        ("20.170.175.8", "Microsoft Azure Public", None, Some("DE")),
        ("2603:1020:d04::10c", "Microsoft Azure Public", None, Some("DE")),
        ("98.66.132.188", "Microsoft Azure Public", None, Some("FR")),
        ("2603:1020:805:1::130", "Microsoft Azure Public", None, Some("FR")),
        ("20.117.193.34", "Microsoft Azure Public", None, Some("GB")),
        ("2603:1020:705:3::234", "Microsoft Azure Public", None, Some("GB")),
        ("4.207.242.64", "Microsoft Azure Public", None, Some("IE")),
        ("2603:1020:5:1::114", "Microsoft Azure Public", None, Some("IE")),
        ("20.43.121.124", "Microsoft Azure Public", None, Some("IN")),
        ("2603:1040:a06:1::128", "Microsoft Azure Public", None, Some("IN")),
        ("4.216.204.200", "Microsoft Azure Public", None, Some("JP")),
        ("2603:1040:407:1::114", "Microsoft Azure Public", None, Some("JP")),
        ("13.69.109.132", "Microsoft Azure Public", None, Some("NL")),
        ("2603:1020:206:b::fc", "Microsoft Azure Public", None, Some("NL")),
        ("4.219.249.220", "Microsoft Azure Public", None, Some("NO")),
        ("2603:1020:e04:1::128", "Microsoft Azure Public", None, Some("NO")),
        ("172.202.80.168", "Microsoft Azure Public", None, Some("US")),
        ("2603:1030:10:1::118", "Microsoft Azure Public", None, Some("US")),
        ("20.164.158.200", "Microsoft Azure Public", None, Some("ZA")),
        ("2603:1000:104:3::1ec", "Microsoft Azure Public", None, Some("ZA")),
        ("104.16.0.1", "CloudFlare", None, None),
        ("2400:cb00::1", "CloudFlare", None, None),
        ("34.35.0.0", "Google Cloud Platform", None, Some("ZA")),
        ("34.65.0.1", "Google Cloud Platform", None, Some("CH")),
        ("2600:1900:4160::1", "Google Cloud Platform", None, Some("CH")),
        ("132.226.216.1", "Oracle", None, Some("CH")),
        ("159.8.198.1", "IBM", None, None),
    ] {
        let facts = db().lookup(ip(address));
        let cloud = facts.cloud.as_ref().unwrap_or_else(|| panic!("{address} has no cloud"));
        assert_eq!((cloud.provider.as_str(), cloud.region.as_deref()), (provider, region), "{address}");
        let said = facts.places.iter().find(|p| p.source == cloud.source).map(|p| p.country.as_str());
        assert_eq!(said, country, "{address}");
    }
}

#[test]
fn anycast_is_said_where_its_operator_publishes_it() {
    for (address, says) in [
        ("8.8.8.8", Some("Google Public DNS (anycast.toml google-dns")),
        ("2001:4860:4860::8888", Some("Google Public DNS")),
        ("9.9.9.9", Some("Quad9")),
        ("2620:fe::fe", Some("Quad9")),
        ("1.1.1.1", Some("Cloudflare's published networks")),
        ("::ffff:1.1.1.1", Some("Cloudflare's published networks")),
        ("104.16.0.1", Some("Cloudflare's published networks")),
        ("2606:4700:4700::1111", Some("Cloudflare's published networks")),
        // Messengers' ends at Amazon's accelerator.
        ("3.33.221.48", Some("AWS Global Accelerator")),
        ("15.197.206.217", Some("AWS Global Accelerator")),
        ("52.214.0.1", None),
        ("8.8.8.9", None),
        ("31.13.86.51", None),
        ("149.154.167.50", None),
        ("10.0.0.1", None),
    ] {
        let anycast = db().lookup(ip(address)).anycast.clone();
        match says {
            Some(says) => {
                assert!(anycast.as_ref().is_some_and(|a| a.starts_with(says)), "{address}: {anycast:?}");
            }
            None => assert_eq!(anycast, None, "{address}"),
        }
    }
}

/// Telegram's networks, each at its first and last address, and what lies beside them.
#[test]
fn telegrams_networks_have_their_operator() {
    for (first, last, asn) in [
        ("149.154.160.1", "149.154.163.254", Some(62041)),
        ("149.154.164.1", "149.154.167.254", Some(62041)),
        ("91.108.56.1", "91.108.56.254", Some(62041)),
        ("2001:67c:4e8::1", "2001:67c:4e8:ffff::1", Some(62041)),
    ] {
        for address in [first, last] {
            let facts = db().lookup(ip(address));
            let found = facts.operator.as_ref();
            assert!(
                found.is_some_and(|o| o.asn == asn || o.name.contains("Telegram")),
                "{address}: {found:?}"
            );
            assert!(
                facts.jurisdictions.iter().any(|j| j.code == "VG"),
                "{address}: {:?}",
                facts.jurisdictions
            );
        }
    }
}

/// Loose limits, which only a slip into another order of growth exceeds; what is promised is measured in an optimised build by
/// `looking_up_and_loading_take_no_longer_than_promised` in `performance.rs`.
#[test]
fn loading_and_looking_up_are_quick() {
    use std::time::Instant;
    let bytes = table_bytes();
    let mut load = f64::MAX;
    for _ in 0..5 {
        let copy = bytes.clone();
        let start = Instant::now();
        let db = ReferenceDb::from_parts(Cow::Owned(copy), &FactTexts::embedded()).unwrap();
        load = load.min(start.elapsed().as_secs_f64() * 1e3);
        drop(db);
    }
    let mut seeded = Seeded(9);
    let addresses: Vec<IpAddr> = (0..2000)
        .map(|i| match i % 4 {
            0 => IpAddr::V6(Ipv6Addr::from(u128::from(seeded.next()) << 64 >> 3 | 1 << 125)),
            _ => IpAddr::V4(Ipv4Addr::from(seeded.next() as u32)),
        })
        .collect();
    let best = |work: &dyn Fn(IpAddr)| {
        let mut best = f64::MAX;
        for _ in 0..10 {
            let start = Instant::now();
            for address in &addresses {
                work(*address);
            }
            best = best.min(start.elapsed().as_secs_f64() * 1e9 / addresses.len() as f64);
        }
        best
    };
    let plain = best(&|address| {
        std::hint::black_box(db().answer(address));
    });
    let whole = best(&|address| {
        std::hint::black_box(db().lookup(address));
    });
    println!("load {load:.1} ms; look-up {plain:.0} ns, with places, law and words {whole:.0} ns");
    assert!(load < 50.0 && plain < 2000.0 && whole < 5000.0);
}

#[test]
fn special_ranges_have_no_place() {
    for (address, kind) in [
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.0.1", "private"),
        ("127.0.0.1", "loopback"),
        ("169.254.1.1", "link-local"),
        ("224.0.0.251", "multicast"),
        ("239.255.255.250", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("192.88.99.1", "6to4-relay"),
        ("192.0.0.9", "protocol-anycast"),
        ("192.0.0.8", "protocol-assignment"),
        ("192.175.48.1", "protocol-anycast"),
        ("64:ff9b:1::1", "local-translation"),
        ("fec0::1", "site-local"),
        ("feff:ffff::1", "site-local"),
        ("5f00::1", "segment-routing"),
        ("100:0:0:1::1", "dummy"),
        ("2001:10::1", "orchid"),
        ("2001:2f::1", "orchid"),
        ("2001:30::1", "drip"),
        ("2001:1::1", "protocol-anycast"),
        ("2001:1::4", "protocol-assignment"),
        ("2001:2:1::1", "protocol-assignment"),
        ("2001:4:112::1", "protocol-anycast"),
        ("2620:4f:8000::1", "protocol-anycast"),
        ("0.0.0.0", "unspecified"),
        ("100.64.0.1", "cgnat"),
        ("100.127.255.255", "cgnat"),
        ("192.0.2.1", "documentation"),
        ("198.51.100.1", "documentation"),
        ("203.0.113.1", "documentation"),
        ("198.19.0.1", "benchmark"),
        ("240.0.0.1", "reserved"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("fe80::1", "link-local"),
        ("fd00::1", "private"),
        ("ff02::fb", "multicast"),
        ("2001:db8::1", "documentation"),
        ("3fff:fff::1", "documentation"),
        ("::ffff:192.168.0.1", "private"),
        ("64:ff9b::10.0.0.1", "private"),
        ("2002:a00:1::1", "private"),
    ] {
        let facts = db().lookup(ip(address));
        assert_eq!(facts.special, Some(kind), "{address}");
        assert!(
            facts.places.is_empty() && facts.operator.is_none() && facts.jurisdictions.is_empty(),
            "{address}"
        );
        assert_eq!((facts.country.as_ref(), facts.agreement), (None, Agreement::None), "{address}");
    }
    for address in ["100.63.255.255", "100.128.0.0", "172.32.0.1", "11.0.0.1", "9.255.255.255", "3ffe::1"] {
        assert_eq!(db().lookup(ip(address)).special, None, "{address}");
    }
}

#[test]
fn an_ipv4_address_in_ipv6_dress_is_looked_up_as_itself() {
    let plain = db().lookup(ip("149.154.167.50"));
    assert_eq!(db().lookup(ip("::ffff:149.154.167.50")), plain);
    assert_eq!(db().lookup(ip("64:ff9b::149.154.167.50")), plain);
    assert_eq!(db().lookup(ip("2002:959a:a732:1::2")), plain);
    // One bit beside each of the prefixes, a network's own NAT64, Teredo: nothing is unwrapped.
    for other in
        ["::fffe:808:808", "64:ff9a::808:808", "64:ff9b:1::808:808", "2003:808:808::", "2001::808:808"]
    {
        assert_ne!(db().lookup(ip(other)), db().lookup(ip("8.8.8.8")), "{other}");
        assert_eq!(lookup_destination(ip(other), db()).embedded, None, "{other}");
    }
    let dns = lookup_destination(ip("8.8.8.8"), db());
    assert_eq!(dns.role, Role::Resolver);
    for (address, form) in [
        ("::ffff:8.8.8.8", EmbeddedForm::Ipv4Mapped),
        ("64:ff9b::8.8.8.8", EmbeddedForm::Nat64),
        ("2002:808:808::1", EmbeddedForm::SixToFour),
    ] {
        let found = lookup_destination(ip(address), db());
        assert_eq!(found.embedded, Some(Embedded { form, address: "8.8.8.8".into() }), "{address}");
        assert_eq!((found.role, &found.role_why), (dns.role, &dns.role_why), "{address}");
        assert_eq!((&found.operator, &found.anycast), (&dns.operator, &dns.anycast), "{address}");
    }
}

/// By `reverse.toml`, read by hand.
#[test]
fn the_reverse_zone_names_what_its_operator_names() {
    for (address, name) in [
        ("8.8.8.8", Some("dns.google")),
        ("8.8.4.4", Some("*.1e100.net")),
        ("::ffff:8.8.8.8", Some("dns.google")),
        ("172.217.16.142", Some("*.1e100.net")),
        ("34.65.0.1", None), // Google Cloud: its tenants name them
        ("35.169.3.40", Some("*.compute-1.amazonaws.com")),
        ("52.214.0.1", Some("*.compute.amazonaws.com")),
        ("149.154.167.50", None),
        ("10.0.0.1", None),
    ] {
        let facts = db().lookup(ip(address));
        assert_eq!(facts.reverse.as_ref().map(|r| r.name.as_str()), name, "{address}");
        if let Some(reverse) = &facts.reverse {
            assert!(reverse.source.starts_with("reverse.toml ") && reverse.source.contains("http"));
        }
        let shown = lookup_destination(ip(address), db());
        assert_eq!(shown.names.first().map(String::as_str), name, "{address}");
        assert_eq!(shown.named_by.first().map(|n| n.sources.join(" ")).as_deref(), name.map(|_| "reverse"));
    }
}

#[test]
fn what_is_kept_is_what_is_looked_up() {
    let mut seeded = Seeded(11);
    for _ in 0..500 {
        let address = IpAddr::V4(Ipv4Addr::from(seeded.next() as u32));
        let first = db().lookup(address);
        assert_eq!(*first, db().lookup_afresh(address), "{address}");
        assert_eq!(first, db().lookup(address), "{address}");
    }
}

/// No lack of a basis is asserted where nobody looked.
#[test]
fn a_basis_that_was_not_looked_up_says_so() {
    use metaleak::model::{Basis, JurisdictionWhy, Unverified};
    let place = JurisdictionWhy::Place;
    let seat = JurisdictionWhy::OperatorSeat;
    for (address, why, basis, unverified, source) in [
        ("31.13.86.51", seat, Basis::Dpf, &[][..], "whatsapp.com/legal/data-privacy-framework"),
        ("2a04:4e42::1", seat, Basis::Dpf, &[], "fastly.com/data-privacy-framework"),
        ("35.169.3.40", place, Basis::None, &[Unverified::Dpf], "certification not looked up"),
        ("35.169.3.40", seat, Basis::None, &[Unverified::Seat, Unverified::Dpf], "operators.toml amazon"),
        ("20.208.157.48", seat, Basis::None, &[Unverified::Dpf], "safeharbor.export.gov"),
        ("149.154.167.50", seat, Basis::None, &[], "operators.toml telegram"),
        (
            "149.154.167.50",
            place,
            Basis::Adequacy,
            &[],
            "(EU) 2021/1772 of 2021-06-28, renewed 2025-12-19, expires 2031-12-27",
        ),
        ("185.88.236.110", place, Basis::Adequacy, &[], "2000/518/EC of 2000-07-26"),
        ("185.88.236.110", seat, Basis::Adequacy, &[Unverified::Seat], "operators.toml nine"),
        ("200.160.2.3", place, Basis::Adequacy, &[], "(EU) 2026/179 of 2026-01-26"),
    ] {
        let facts = db().lookup(ip(address));
        let law = facts.jurisdictions.iter().find(|j| j.why == why).unwrap_or_else(|| panic!("{address}"));
        assert_eq!((law.basis, &law.unverified[..]), (basis, unverified), "{address} {why:?}");
        assert!(law.source.contains(source), "{address} {why:?}: {}", law.source);
    }
}

#[test]
fn every_address_has_an_answer() {
    let mut seeded = Seeded(7);
    let mut placed = 0;
    for _ in 0..20_000 {
        let v4 = db().lookup(IpAddr::V4(Ipv4Addr::from(seeded.next() as u32)));
        let v6 = u128::from(seeded.next()) << 64 | u128::from(seeded.next());
        // Into 2000::/3, where addresses are given out.
        let v6 = db().lookup(IpAddr::V6(Ipv6Addr::from(v6 >> 3 | 1 << 125)));
        placed += usize::from(!v4.places.is_empty());
        assert!(v4.places.iter().chain(&v6.places).all(|p| p.country.len() == 2 && p.as_of.len() == 10));
    }
    // 3.7 of 4.3 thousand million IPv4 addresses can be routed.
    assert!(placed > 15_000, "{placed} of 20000 IPv4 addresses have a place");
    for address in ["0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"] {
        assert!(db().lookup(ip(address)).special.is_some());
    }
}

/// A table that is cut, or whose bytes were changed while its checksum was made to fit, is refused or answers.
#[test]
fn a_hostile_table_is_refused_or_answers() {
    let raw = synthetic();
    let table = build(&raw.sources(), REGIONS, raw.folder.path()).unwrap();
    let probes: Vec<IpAddr> =
        ["1.0.0.1", "5.5.5.5", "223.255.255.255", "2001:200::1", "fc::1", "::2"].map(ip).to_vec();
    let ask = |bytes: Vec<u8>| match ReferenceDb::from_parts(Cow::Owned(bytes), &FactTexts::embedded()) {
        Err(error) => assert!(error.to_string().contains("reference table"), "{error}"),
        Ok(db) => {
            for probe in &probes {
                db.lookup(*probe);
            }
            let _ = (db.tracker("x.tracker.example"), db.sources(), db.info());
        }
    };
    for cut in 0..table.len() {
        ask(table[..cut].to_vec());
        let mut fitting = table[..cut].to_vec();
        fix_checksum(&mut fitting);
        ask(fitting);
    }
    let mut seeded = Seeded(42);
    for _ in 0..4000 {
        let mut bytes = table.clone();
        let bit = seeded.next() as usize % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        ask(bytes.clone());
        fix_checksum(&mut bytes);
        ask(bytes);
    }
}

/// The same on the real table: cut at places that no factor of its layout meets, and 200 flipped bits.
#[test]
fn the_real_table_cut_or_flipped_is_refused() {
    let table = table_bytes();
    let refused =
        |bytes: Vec<u8>| ReferenceDb::from_parts(Cow::Owned(bytes), &FactTexts::embedded()).is_err();
    for cut in (0..4096).step_by(97).chain((4096..table.len()).step_by(97 * 1021)) {
        assert!(refused(table[..cut].to_vec()), "cut at {cut}");
    }
    let mut seeded = Seeded(1);
    for _ in 0..200 {
        let mut bytes = table.clone();
        let bit = seeded.next() as usize % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(refused(bytes.clone()), "bit {bit}");
        if bit / 8 >= 16 {
            fix_checksum(&mut bytes);
            if let Ok(db) = ReferenceDb::from_parts(Cow::Owned(bytes), &FactTexts::embedded()) {
                for _ in 0..50 {
                    db.lookup(IpAddr::V4(Ipv4Addr::from(seeded.next() as u32)));
                    db.lookup(IpAddr::V6(Ipv6Addr::from(u128::from(seeded.next()) << 64)));
                }
            }
        }
    }
}

fn fix_checksum(bytes: &mut [u8]) {
    if bytes.len() > 16 {
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[16..]);
        let sum = crc.sum().to_le_bytes();
        bytes[12..16].copy_from_slice(&sum);
    }
}

#[test]
fn the_embedded_table_is_small() {
    let bytes = db().info().bytes;
    assert!(bytes < 11 << 20, "{bytes} bytes; 12 MiB is the limit for the whole of it");
}

// ---- building ------------------------------------------------------------------------------------------------------

/// A folder with small raw files and the `SOURCES.toml` that fits.
struct Raw {
    folder: tempfile::TempDir,
    toml: String,
}

impl Raw {
    fn new() -> Raw {
        Raw { folder: tempfile::tempdir().unwrap(), toml: "schema = 1\n".into() }
    }

    fn add(mut self, name: &str, kind: &str, format: &str, path: &str, content: &[u8]) -> Raw {
        fs::write(self.folder.path().join(path), content).unwrap();
        let hash = hex(&Sha256::digest(content));
        let _ = write!(
            self.toml,
            "[[source]]\nname = \"{name}\"\ntitle = \"t\"\nkind = \"{kind}\"\nversion = \"1\"\nas_of = \"2026-01-02\"\n\
             licence = \"CC0-1.0\"\nlicence_files = [\"CC0-1.0.txt\"]\nattribution = \"\"\nget = \"npm:x\"\n\
             [[source.file]]\npath = \"{path}\"\nformat = \"{format}\"\nsha256 = \"{hash}\"\n"
        );
        self
    }

    fn sources(&self) -> Sources {
        Sources::parse("SOURCES.toml", &self.toml).unwrap()
    }

    fn build(&self) -> Result<Vec<u8>, ReferenceError> {
        build(&self.sources(), REGIONS, self.folder.path())
    }
}

fn synthetic() -> Raw {
    Raw::new()
        .add("one", "country", "tor-geoip", "one", b"# c\n16777216,16777471,AU\n2001:200::,2001:200:ffff:ffff:ffff:ffff:ffff:ffff,JP\n")
        .add("two", "country", "tor-geoip", "two", b"16777216,16777217,CN\n16777218,33554431,UK\n84215045,84215045,??\n")
        .add("asn", "asn", "asn-csv", "asn.csv", b"1.0.0.0,1.0.0.255,13335,\"Cloud, \"\"flare\"\"\"\n2001:200::,2001:200::ff,2500,WIDE\n")
        .add("cloud", "cloud", "cloud-tsv", "cloud.tsv", b"# c\nprovider\tprefix\tcountry\nBig\t5.0.0.0/8\tde\nBig\t5.5.0.0/16\tfr\nAmazon AWS\t6.0.0.0/24\tie\n")
        .add("aws", "cloud", "aws-regions-tsv", "aws.tsv", b"prefix\tregion\tservices\n6.0.0.0/16\teu-west-1\tEC2\n7.0.0.0/16\tGLOBAL\tCLOUDFRONT\n")
        .add("trackers", "trackers", "trackers-tsv", "t.tsv", b"domain\ttracker\tcompany\tcategory\ntracker.example\tT\tTrack Inc\tadvertising\n")
}

#[test]
fn a_built_table_says_what_its_sources_say() {
    let raw = synthetic();
    let table = raw.build().unwrap();
    assert_eq!(table, raw.build().unwrap(), "the same input gives the same bytes");
    let db = ReferenceDb::from_parts(Cow::Owned(table), &FactTexts::embedded()).unwrap();
    for (address, places, asn, cloud) in [
        ("1.0.0.0", "one AU, two CN", Some(13335), None),
        ("1.0.0.2", "one AU, two GB", Some(13335), None),
        ("1.0.0.255", "one AU, two GB", Some(13335), None),
        ("1.0.1.0", "two GB", None, None),
        ("1.255.255.255", "two GB", None, None),
        ("2.0.0.0", "", None, None),
        ("5.4.255.255", "cloud DE", None, Some("Big")),
        ("5.5.5.5", "cloud FR", None, Some("Big")),
        ("6.0.0.1", "aws IE", None, Some("Amazon AWS")),
        ("7.0.0.1", "", None, Some("Amazon AWS")),
        ("2001:200::ff", "one JP", Some(2500), None),
        ("2001:200::100", "one JP", None, None),
        ("2001:201::", "", None, None),
    ] {
        let facts = db.lookup(ip(address));
        let said: Vec<String> = facts.places.iter().map(|p| format!("{} {}", p.source, p.country)).collect();
        assert_eq!(said.join(", "), places, "{address}");
        assert_eq!(facts.operator.as_ref().and_then(|o| o.asn), asn, "{address}");
        assert_eq!(facts.cloud.as_ref().map(|c| c.provider.as_str()), cloud, "{address}");
    }
    assert_eq!(db.lookup(ip("1.0.0.0")).operator.as_ref().unwrap().name, "Cloud, \"flare\"");
    assert_eq!(db.tracker("a.b.tracker.example").unwrap().company, "Track Inc");
    assert_eq!(db.tracker("nottracker.example"), None);
}

#[test]
fn a_wrong_line_names_file_line_and_remedy() {
    for (kind, format, content, want) in [
        ("country", "tor-geoip", "# c\n1,2\n", "raw:2: not a range; write FIRST,LAST,CC"),
        ("country", "tor-geoip", "1,2,CH\n9,3,CH\n", "raw:2: the range ends before it starts"),
        ("country", "tor-geoip", "1,2001::,CH\n", "raw:1: the range ends before it starts"),
        ("asn", "asn-csv", "1.0.0.0,1.0.0.1,x,y\n", "raw:1: not a range of an AS"),
        (
            "cloud",
            "cloud-tsv",
            "provider\tprefix\tcountry\nA\t1.2.3.4/8\tde\n",
            "raw:2: \"1.2.3.4/8\": bits are set",
        ),
        ("cloud", "cloud-tsv", "provider\tprefix\tcountry\nA\t1.0.0.0/8\n", "raw:2: 2 columns instead of 3"),
        (
            "cloud",
            "aws-regions-tsv",
            "p\tr\ts\n1.0.0.0/8\tmars-1\tEC2\n",
            "raw:2: region \"mars-1\" is not known",
        ),
        ("trackers", "trackers-tsv", "d\tt\tc\tk\na.b\t\t\t\na.b\t\t\t\n", "raw:3: \"a.b\" is listed twice"),
        ("country", "mmdb-country", "no mmdb", "not a readable MaxMind database"),
        ("country", "tor-geoip", "\u{1f}\u{fffd}", "raw:1: not a range"),
    ] {
        let error =
            Raw::new().add("x", kind, format, "raw", content.as_bytes()).build().unwrap_err().to_string();
        assert!(error.contains(want), "{error}\ndoes not say {want}");
    }
    let broken =
        Raw::new().add("x", "country", "tor-geoip", "raw", &[b'1', b'\n', 0xff]).build().unwrap_err();
    assert!(broken.to_string().contains("raw:2: not UTF-8"), "{broken}");
    let gzip =
        Raw::new().add("x", "trackers", "trackers-tsv", "raw", &[0x1f, 0x8b, 8, 0, 1]).build().unwrap_err();
    assert!(gzip.to_string().contains("gzip cannot be unpacked"), "{gzip}");
}

#[test]
fn a_file_that_is_not_the_named_one_is_refused() {
    let raw = synthetic();
    fs::write(raw.folder.path().join("two"), "changed").unwrap();
    let error = raw.build().unwrap_err();
    assert!(matches!(&error, ReferenceError::Hash { file, .. } if file == "two"), "{error}");
    fs::remove_file(raw.folder.path().join("one")).unwrap();
    assert!(matches!(raw.build().unwrap_err(), ReferenceError::Read { .. }));
}

/// With the raw files at hand: the committed table is what they give. `METALEAK_BLESS` writes it.
#[test]
fn the_committed_table_is_what_the_sources_give() {
    let Some(raw) = std::env::var_os("METALEAK_RAW") else {
        println!("skipped: METALEAK_RAW names no folder with the files that reference/fetch.sh gets");
        return;
    };
    let built = build(&Sources::embedded().unwrap(), REGIONS, Path::new(&raw)).unwrap();
    if std::env::var_os("METALEAK_BLESS").is_some() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/metaleak.db"), &built).unwrap();
    }
    assert!(
        built == table_bytes(),
        "run reference/fetch.sh DIR and metaleak db build --from DIR -o reference/metaleak.db"
    );
}

#[test]
fn a_damaged_mmdb_is_refused_or_read_without_panic() {
    let Some(raw) = std::env::var_os("METALEAK_RAW") else {
        println!("skipped: METALEAK_RAW names no folder with the files that reference/fetch.sh gets");
        return;
    };
    let whole = fs::read(Path::new(&raw).join("iptoasn-country.mmdb")).unwrap();
    let mut seeded = Seeded(3);
    for round in 0..6 {
        let mut bytes = whole.clone();
        if round < 3 {
            bytes.truncate(seeded.next() as usize % whole.len());
        } else {
            for _ in 0..2000 {
                let at = seeded.next() as usize % bytes.len();
                bytes[at] ^= seeded.next() as u8;
            }
        }
        let _ = Raw::new().add("x", "country", "mmdb-country", "raw", &bytes).build();
    }
}

// ---- hand-written files --------------------------------------------------------------------------------------------

#[test]
fn every_source_ships_its_licence_and_has_a_date() {
    let sources = Sources::embedded().unwrap();
    let licences = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/licences");
    for source in &sources.sources {
        for file in source.licence_files.get_ref() {
            let text = fs::read_to_string(licences.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert!(text.len() > 200, "{file} holds no licence text");
        }
        if source.licence.get_ref().contains("CC-BY") {
            assert!(!source.attribution.is_empty(), "{} asks for attribution", source.name.get_ref());
        }
    }
    let listed = db().sources();
    assert_eq!(listed.len(), sources.sources.len() + 7);
    assert!(listed.iter().all(|s| s.sha256.len() == 64 && s.as_of.len() == 10 && !s.licence.is_empty()));
    assert!(listed.is_sorted());
    assert!(["iptoasn", "geo-whois-asn", "ipfire"].iter().all(|n| listed.iter().any(|s| s.name == *n)));
}

/// By the list in ../shared/reference/README.md and, for what it leaves out, the Official Journal: the basis of a place's law.
#[test]
fn the_law_is_that_of_the_table() {
    let adequacy: toml::Table = FactTexts::embedded().adequacy.parse().unwrap();
    let codes = |value: &toml::Value| -> BTreeSet<String> {
        value.as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()).collect()
    };
    let set = |text: &str| text.split_whitespace().map(str::to_owned).collect::<BTreeSet<String>>();
    let eu = "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE";
    assert_eq!(set(eu).len(), 27);
    assert_eq!(codes(&adequacy["eea"]["members"]), set(&format!("{eu} IS LI NO")));
    let decisions = adequacy["decision"].as_array().unwrap();
    let decided: BTreeSet<String> =
        decisions.iter().map(|d| d["country"].as_str().unwrap().to_owned()).collect();
    assert_eq!(decided, set("AD AR BR CA CH FO GB GG IL IM JE JP KR NZ UY"));
    assert!(decisions.iter().all(|d| d.get("unverified").is_none()), "each with number and day");
    let britain = decisions.iter().find(|d| d["country"].as_str() == Some("GB")).unwrap();
    assert_eq!(
        [&britain["renewed"], &britain["expires"]].map(|d| d.as_str().unwrap()),
        ["2025-12-19", "2031-12-27"]
    );
    assert_eq!(adequacy["dpf"]["number"].as_str(), Some("(EU) 2023/1795"));
    assert_eq!(adequacy["dpf"]["decided"].as_str(), Some("2023-07-10"));
}

/// One change to a sound file each, and what the error must say.
#[test]
fn a_broken_fact_names_file_line_and_remedy() {
    let whole = FactTexts::embedded();
    let line_of = |text: &str, part: &str| text[..text.find(part).unwrap()].matches('\n').count() + 1;
    for (file, from, to, want) in [
        ("messengers", "id = \"telegram\"", "id = \"whatsapp\"", "\"whatsapp\" is listed twice"),
        ("messengers", "id = \"telegram\"", "id = \"Tele gram\"", "is no id"),
        ("messengers", "company = \"telegram\"", "company = \"telegraph\"", "add an [[operator]]"),
        ("messengers", "\"149.154.160.0/20\"", "\"149.154.160.0/10\"", "bits are set behind the prefix"),
        ("messengers", "\"149.154.160.0/20\"", "\"149.154.160\"", "write ADDRESS/LENGTH"),
        (
            "messengers",
            "\"149.154.160.0/20\"",
            "\"31.13.24.0/24\"",
            "overlaps with a network of another messenger",
        ),
        ("messengers", "\"threema.ch\"", "\"*.threema.ch\"", "write it in lower case without wildcard"),
        ("messengers", "\"threema.ch\"", "\"whatsapp.net\"", "is listed twice, or exclusive"),
        ("messengers", "date = \"2026-04-23\"", "date = \"2026-13-23\"", "write YYYY-MM-DD"),
        ("messengers", "date = \"2026-04-23\"", "date = \"spring\"", "write YYYY-MM-DD"),
        ("messengers", "servers = \"chosen\"", "servers = \"own\"", "write servers = \"chosen\""),
        ("messengers", "servers = \"chosen\"", "servers = \"rented\"", "unknown variant"),
        ("messengers", "\"tcp/5222\"", "\"sctp/5222\"", "write tcp/443"),
        ("messengers", "title = \"Wire\"", "titel = \"Wire\"", "unknown field `titel`"),
        ("messengers", "schema = 1", "schema = 2", "write schema = 1"),
        ("operators", "seat = \"VG\"", "seat = \"British Virgin Islands\"", "two upper-case letters"),
        ("operators", "[29691]", "[62041]", "listed twice"),
        ("operators", "seat = \"VG\"", "seat = \"QZ\"", "write one of the codes in reference/countries.toml"),
        ("operators", "clouds = [\"IBM\"]", "clouds = [\"\"]", "cloud is empty"),
        ("operators", "as_of = \"2026-11-25\"", "as_of = \"undated\"", "write YYYY-MM-DD"),
        (
            "operators",
            "name = \"Alphabet Inc.\"",
            "name = \"Alphabet Inc.\"\nparent = \"google\"",
            "drop the parent of the company at the top",
        ),
        (
            "messengers",
            "\"149.154.160.0/20\"",
            "\"91.108.4.0/22\"",
            "91.108.4.0/22 is listed twice; list it once",
        ),
        ("operators", "dpf = \"certified\"", "dpf = \"not-applicable\"", "for organisations in the US only"),
        ("operators", "dpf_source", "# dpf_source", "add dpf_source"),
        ("operators", "parent = \"alphabet\"", "parent = \"abc\"", "drop parent"),
        ("operators", "parent = \"alphabet\"", "parent = \"google\"", "drop parent"),
        ("adequacy", "country = \"JP\"", "country = \"CH\"", "CH has a status already"),
        ("adequacy", "country = \"JP\"", "country = \"DE\"", "DE has a status already"),
        (
            "adequacy",
            "country = \"JP\"",
            "country = \"QZ\"",
            "write one of the codes in reference/countries.toml",
        ),
        ("adequacy", "\"2010-10-19\"", "\"undated\"", "write YYYY-MM-DD"),
        ("adequacy", "\"2010/625/EU\"", "\"some number\"", "write it as the Official Journal does"),
        ("adequacy", "renewed = \"2025-12-19\"", "renewed = \"2020-12-19\"", "the day of the later decision"),
        (
            "adequacy",
            "renewed = \"2025-12-19\"\nexpires = \"2031-12-27\"",
            "expires = \"2025-12-27\"",
            "write its renewal, or drop the decision",
        ),
        ("adequacy", "number = \"2013/65/EU\"", "number = \"\"", "number is empty"),
        ("adequacy", "\"BG\"", "\"AT\"", "AT is listed twice"),
        ("services", "role = \"push\"", "role = \"first-party\"", "messengers go to messengers.toml"),
        ("services", "operator = \"quad9\"", "operator = \"quad8\"", "add an [[operator]]"),
        ("services", "ports = [\"udp/123\"]", "ports = []", "add names, prefixes or ports"),
        ("services", "\"udp/123\"", "\"udp/53\"", "is listed twice"),
        ("services", "id = \"apns\"", "id = \"fcm\"", "is listed twice"),
        ("services", "\"94.140.14.14/32\"", "\"9.9.9.9/32\"", "leave it with one service"),
        ("services", "\"94.140.14.14/32\"", "\"94.140.15.15/32\"", "leave it with one service"),
        ("services", "asns = [15169]", "asns = [15169, 15169]", "leave it with one service"),
        ("services", "\"tcp/5229\"", "\"tcp/5228\"", "leave it with one service"),
        ("services", "[[service]]", "[[service]", "expected"),
        ("anycast", "id = \"quad9\"", "id = \"google-dns\"", "give each its own id"),
        ("anycast", "\"9.9.9.0/24\"", "\"9.9.9.9/24\"", "bits are set behind the prefix"),
        ("anycast", "\"9.9.9.0/24\"", "\"1.1.1.0/24\"", "leave it with one network"),
        (
            "anycast",
            "services = [\"GLOBALACCELERATOR\"]",
            "clouds = [\"CloudFlare\"]",
            "leave it with one network",
        ),
        (
            "anycast",
            "services = [\"GLOBALACCELERATOR\"]",
            "services = []",
            "add prefixes, clouds or services",
        ),
        ("anycast", "services = [\"GLOBALACCELERATOR\"]", "services = [\"\"]", "name is empty"),
        ("anycast", "date = \"2018\"", "date = \"long ago\"", "write YYYY-MM-DD"),
        ("adequacy", "expires = \"2031-12-27\"", "expires = \"2020-12-27\"", "write the last day"),
        ("reverse", "licence = ", "license = ", "unknown field `license`"),
        ("reverse", "id = \"google\"", "id = \"google-dns\"", "give each its own id"),
        ("reverse", "\"*.1e100.net\"", "\"*.*.net\"", "write it in lower case"),
        ("reverse", "\"8.8.8.8/32\"", "\"8.8.8.8/24\"", "bits are set behind the prefix"),
        ("reverse", "asns = [15169]", "asns = []", "add prefixes, services or asns"),
        ("reverse", "asns = [15169]", "asns = [0]", "leave it with one zone"),
        ("reverse", "asns = [15169]", "asns = [15169]\nregions = [\"x\"]", "regions narrow them"),
        ("reverse", "date = \"2009-10\"", "date = \"2009-13\"", "write YYYY-MM-DD"),
        ("ech", "licence = ", "license = ", "unknown field `license`"),
        ("ech", "config_list = \"0045", "config_list = \"045", "write the bytes in lower-case hex"),
        ("ech", "\"cloudflare-ech.com\"", "\"cover.example\"", "write that as public_name"),
        ("anycast", "title = \"Quad9\"", "tittle = \"Quad9\"", "unknown field `tittle`"),
    ] {
        let text = match file {
            "messengers" => whole.messengers,
            "operators" => whole.operators,
            "adequacy" => whole.adequacy,
            "anycast" => whole.anycast,
            "reverse" => whole.reverse,
            "ech" => whole.ech,
            _ => whole.services,
        };
        assert!(text.contains(from), "{file} no longer holds {from}");
        let changed = text.replacen(from, to, 1);
        let mut texts = whole;
        match file {
            "messengers" => texts.messengers = &changed,
            "operators" => texts.operators = &changed,
            "adequacy" => texts.adequacy = &changed,
            "anycast" => texts.anycast = &changed,
            "reverse" => texts.reverse = &changed,
            "ech" => texts.ech = &changed,
            _ => texts.services = &changed,
        }
        let error = ReferenceDb::from_parts(Cow::Owned(table_bytes()), &texts).expect_err(to).to_string();
        assert!(error.contains(want), "{file}, {to}: {error}");
        let prefix = format!("reference/{file}.toml:");
        let line = error.strip_prefix(&prefix).and_then(|rest| rest.split(':').next()?.parse::<usize>().ok());
        // A change to a line may be found at it, or where it clashes with another within the same entry.
        let near = line_of(text, from);
        assert!(line.is_some_and(|line| line.abs_diff(near) <= 6), "{file}, {to} at line {near}: {error}");
    }
}

#[test]
fn a_broken_source_list_names_file_line_and_remedy() {
    let whole = include_str!("../reference/SOURCES.toml");
    for (from, to, want) in [
        ("name = \"ipfire\"", "name = \"iptoasn\"", "is listed twice"),
        ("as_of = \"2026-06-25\"", "as_of = \"last week\"", "write YYYY-MM-DD"),
        ("get = \"deb:tor-geoipdb\"", "get = \"https://example.org\"", "write npm:PACKAGE"),
        ("sha256 = \"af9c", "sha256 = \"AF9C", "64 lower-case hex digits"),
        ("path = \"geoip6\"", "path = \"../geoip6\"", "plain file name"),
        ("path = \"geoip6\"", "path = \"geoip\"", "is listed twice"),
        ("as_of = \"2026-06-25\"", "as_of = \"2026\"", "write YYYY-MM-DD"),
        ("licence_files = [\"PDDL-1.0.txt\"]", "licence_files = [\"\"]", "plain file names"),
        (
            "attribution = \"IPFire Project (https://location.ipfire.org), converted by the Tor Project\"",
            "attribution = \"\"",
            "whom the licence asks to be named",
        ),
        ("format = \"asn-csv\"", "format = \"tor-geoip\"", "correct kind or format"),
        ("licence_files = [\"PDDL-1.0.txt\"]", "licence_files = []", "name at least one file"),
        ("kind = \"trackers\"", "kind = \"people\"", "unknown variant"),
    ] {
        assert!(whole.contains(from), "SOURCES.toml no longer holds {from}");
        let error = Sources::parse("SOURCES.toml", &whole.replacen(from, to, 1)).expect_err(to).to_string();
        assert!(error.starts_with("SOURCES.toml:") && error.contains(want), "{error}");
    }
}
