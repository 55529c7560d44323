//! Area tests of `metaleak db import`: the user's own files as one source more.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic; clippy.toml allows it only within #[test] functions"
)]

mod common;

use std::borrow::Cow;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use common::{Seeded, metaleak};
use metaleak::destination::{
    FactTexts, Import, Imported, REGIONS, ReferenceDb, ReferenceError, Sources, build, import,
};

/// A value of an mmdb (MaxMind DB format 2.0).
#[derive(Clone)]
enum Value {
    Text(&'static str),
    Number(u32),
    Short(u16),
    Long(u64),
    Array,
    Map(Vec<(&'static str, Value)>),
}

fn put(out: &mut Vec<u8>, value: &Value) {
    let control = |kind: u8, size: usize| {
        assert!(size < 285);
        if size < 29 { vec![kind << 5 | size as u8] } else { vec![kind << 5 | 0x1d, (size - 29) as u8] }
    };
    match value {
        Value::Text(text) => {
            out.extend(control(2, text.len()));
            out.extend_from_slice(text.as_bytes());
        }
        Value::Number(number) => {
            out.extend(control(6, 4));
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Short(number) => {
            out.extend(control(5, 2));
            out.extend_from_slice(&number.to_be_bytes());
        }
        // Types above 7 have a second byte.
        Value::Long(number) => {
            out.extend([8, 2]);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Array => out.extend([0, 4]),
        Value::Map(entries) => {
            out.extend(control(7, entries.len()));
            for (key, value) in entries {
                put(out, &Value::Text(key));
                put(out, value);
            }
        }
    }
}

/// An mmdb of IPv4 networks of 24-bit records: `(network, prefix length, record)`.
fn mmdb(kind: &'static str, built: u32, networks: &[(&str, u32, Value)]) -> Vec<u8> {
    let mut data = Vec::new();
    // A branch is None (nothing there), Ok(node) or Err(offset in the data).
    let mut nodes: Vec<[Option<Result<usize, usize>>; 2]> = vec![[None; 2]];
    for (network, length, record) in networks {
        let at = data.len();
        put(&mut data, record);
        let bits = network.parse::<Ipv4Addr>().unwrap().to_bits();
        let mut node = 0;
        for depth in 0..*length {
            let side = (bits >> (31 - depth) & 1) as usize;
            if depth + 1 == *length {
                nodes[node][side] = Some(Err(at));
            } else {
                let next = if let Some(Ok(next)) = nodes[node][side] {
                    next
                } else {
                    nodes.push([None; 2]);
                    nodes.len() - 1
                };
                nodes[node][side] = Some(Ok(next));
                node = next;
            }
        }
    }
    let mut out = Vec::new();
    for branch in nodes.iter().flatten() {
        let value = match branch {
            None => nodes.len(),
            Some(Ok(node)) => *node,
            Some(Err(at)) => nodes.len() + 16 + at,
        };
        out.extend_from_slice(&(value as u32).to_be_bytes()[1..]);
    }
    finish(out, nodes.len() as u32, kind, built, &data)
}

fn finish(mut tree: Vec<u8>, nodes: u32, kind: &'static str, built: u32, data: &[u8]) -> Vec<u8> {
    tree.extend_from_slice(&[0; 16]);
    tree.extend_from_slice(data);
    tree.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    let metadata = vec![
        ("binary_format_major_version", Value::Short(2)),
        ("binary_format_minor_version", Value::Short(0)),
        ("build_epoch", Value::Long(u64::from(built))),
        ("database_type", Value::Text(kind)),
        ("description", Value::Map(vec![("en", Value::Text("made for a test"))])),
        ("ip_version", Value::Short(4)),
        ("languages", Value::Array),
        ("node_count", Value::Number(nodes)),
        ("record_size", Value::Short(24)),
    ];
    put(&mut tree, &Value::Map(metadata));
    tree
}

/// 2026-10-01T00:00:00Z.
const OCTOBER: u32 = 1_790_812_800;

fn map(entries: &[(&'static str, Value)]) -> Value {
    Value::Map(entries.to_vec())
}

fn text(text: &'static str) -> Value {
    Value::Text(text)
}

/// A table that holds next to nothing, so that laying something over it is quick.
fn small() -> &'static ReferenceDb {
    static SMALL: std::sync::OnceLock<ReferenceDb> = std::sync::OnceLock::new();
    SMALL.get_or_init(|| ReferenceDb::from_parts(Cow::Owned(small_table()), &FactTexts::embedded()).unwrap())
}

fn take(bytes: &[u8], name: &str, as_of: Option<&str>) -> Result<Imported, ReferenceError> {
    let files = [("FILE".to_owned(), bytes.to_vec())];
    import(small(), &Import { files: &files, name, as_of, licence: "LicenseRef-test" })
}

fn opened(done: &Imported) -> ReferenceDb {
    ReferenceDb::from_parts(Cow::Owned(done.table.clone()), &FactTexts::embedded()).unwrap()
}

/// `COUNTRY DATE` by the source, then `AS NAME SOURCE`, then `REGION SOURCE`; `-` where there is nothing.
fn says(db: &ReferenceDb, address: &str, source: &str) -> String {
    let facts = db.lookup_afresh(address.parse::<IpAddr>().unwrap());
    let place = facts.places.iter().find(|p| p.source == source);
    let place = place.map_or("-".to_owned(), |p| format!("{} {}", p.country, p.as_of));
    let system = facts.operator.filter(|o| o.source == source);
    let system = system.map_or("-".to_owned(), |o| format!("{} {}", o.asn.unwrap_or_default(), o.name));
    let cloud = facts.cloud.filter(|c| c.source == source);
    let cloud = cloud
        .map_or("-".to_owned(), |c| format!("{} {}", c.region.unwrap_or_default(), c.services.join("+")));
    format!("{place} | {system} | {cloud}")
}

#[test]
fn every_format_becomes_a_source_of_its_own() {
    let geolite = map(&[("country", map(&[("geoname_id", Value::Number(1)), ("iso_code", text("NO"))]))]);
    let asn = map(&[
        ("autonomous_system_number", Value::Number(64500)),
        ("autonomous_system_organization", text("Own Net")),
    ]);
    let ipinfo = map(&[
        ("asn", text("AS64501")),
        ("as_name", text("Info Net")),
        ("country", text("Norway")),
        ("country_code", text("NO")),
    ]);
    let plain = map(&[("country", text("NO")), ("asn", Value::Number(64502)), ("name", text("Plain"))]);
    let aws = r#"{"syncToken":"1","createDate":"2026-10-01-01-02-03","prefixes":[
        {"ip_prefix":"31.13.86.0/24","region":"eu-north-1","service":"AMAZON","network_border_group":"x"},
        {"ip_prefix":"31.13.86.0/24","region":"eu-north-1","service":"EC2","network_border_group":"x"},
        {"ip_prefix":"31.13.87.0/24","region":"mars-1","service":"EC2","network_border_group":"x"}],
        "ipv6_prefixes":[{"ipv6_prefix":"2001:4860::/32","region":"GLOBAL","service":"CLOUDFRONT","network_border_group":"x"}]}"#;
    let tor = "# tor\n520967680,520967935,NO\n2001:4860::,2001:4860:ffff::,SE\n";
    let iptoasn =
        "31.13.86.0\t31.13.86.255\t64503\tNO\tTab Net\n31.13.87.0\t31.13.87.255\t0\tNone\tNot routed\n";
    let csv = "31.13.86.0,31.13.86.255,64504,\"Comma, Net\"\n2001:4860::,2001:4860::ff,64505,Six\n";
    let one = |kind, record: Value| mmdb(kind, OCTOBER, &[("31.13.86.0", 24, record)]);
    for (what, bytes, as_of, v4, v6) in [
        ("GeoLite2-Country", one("GeoLite2-Country", geolite), None, "NO 2026-10-01 | - | -", "- | - | -"),
        ("GeoLite2-ASN", one("GeoLite2-ASN", asn), None, "- | 64500 Own Net | -", "- | - | -"),
        ("IPinfo", one("ipinfo lite", ipinfo), None, "NO 2026-10-01 | 64501 Info Net | -", "- | - | -"),
        (
            "a date of one's own",
            one("x", plain),
            Some("2026-10-02"),
            "NO 2026-10-02 | 64502 Plain | -",
            "- | - | -",
        ),
        ("tor", tor.into(), Some("2026-10-03"), "NO 2026-10-03 | - | -", "SE 2026-10-03 | - | -"),
        ("IPtoASN", iptoasn.into(), Some("2026-10-03"), "NO 2026-10-03 | 64503 Tab Net | -", "- | - | -"),
        ("ASN csv", csv.into(), Some("2026-10-03"), "- | 64504 Comma, Net | -", "- | 64505 Six | -"),
        (
            "ip-ranges.json",
            aws.into(),
            None,
            "SE 2026-10-01 | - | eu-north-1 AMAZON+EC2",
            "- | 0 Amazon AWS |  CLOUDFRONT",
        ),
    ] {
        let done = take(&bytes, "mine", as_of).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(done, take(&bytes, "mine", as_of).unwrap(), "{what}: the same input gives the same bytes");
        let db = opened(&done);
        assert_eq!(says(&db, "31.13.86.51", "mine"), v4, "{what}");
        assert_eq!(says(&db, "2001:4860::1", "mine"), v6, "{what}");
        // What was there before is there still.
        assert_eq!(says(&db, "31.13.86.51", "base").get(..13), Some("IE 2026-01-02"), "{what}");
        let far = "185.88.236.110".parse().unwrap();
        assert_eq!(db.lookup_afresh(far), small().lookup_afresh(far), "{what}");
        let listed = db.sources().into_iter().find(|s| s.name == "mine").unwrap();
        assert_eq!(listed.licence, "LicenseRef-test");
        assert_eq!(listed.sha256.len(), 64);
    }
    assert_eq!(
        take(aws.as_bytes(), "mine", None).unwrap().notes,
        ["regions that reference/regions.toml does not list, so without a country: mars-1"]
    );
}

#[test]
fn imports_add_up() {
    let country = |code| mmdb("c", OCTOBER, &[("31.13.86.0", 24, map(&[("country_code", text(code))]))]);
    let system = |file: &[u8], base: &ReferenceDb, name| {
        let files = [("a".to_owned(), file.to_vec())];
        import(base, &Import { files: &files, name, as_of: Some("2026-10-01"), licence: "x" }).unwrap()
    };
    let first = opened(&system(&country("NO"), small(), "first"));
    let second = opened(&system(b"31.13.86.0,31.13.86.127,64500,Low\n", &first, "second"));
    let third = opened(&system(b"31.13.86.0,31.13.86.63,64501,Lower\n", &second, "third"));
    for (address, operator) in [
        ("31.13.86.1", "64501 Lower third"),
        ("31.13.86.64", "64500 Low second"),
        ("31.13.86.128", "32934 Base Net asn"),
    ] {
        let facts = third.lookup_afresh(address.parse().unwrap());
        let o = facts.operator.unwrap();
        assert_eq!(format!("{} {} {}", o.asn.unwrap(), o.name, o.source), operator, "{address}");
        assert_eq!(facts.places.len(), 2, "{address}: {:?}", facts.places);
    }
}

#[test]
fn what_cannot_be_imported_is_refused_with_a_remedy() {
    let csv = b"31.13.86.0,31.13.86.255,64504,Net\n";
    let nothing = mmdb("City", OCTOBER, &[("31.13.86.0", 24, map(&[("city", text("Oslo"))]))]);
    for (bytes, name, as_of, want) in [
        (&csv[..], "Mine!", Some("2026-10-01"), "use lower-case letters"),
        (csv, "", Some("2026-10-01"), "use lower-case letters"),
        (csv, "base", Some("2026-10-01"), "choose another name"),
        (csv, "operators", Some("2026-10-01"), "choose another name"),
        (csv, "mine", Some("spring"), "write YYYY-MM-DD"),
        (csv, "mine", Some("2026-02-30"), "write YYYY-MM-DD"),
        (csv, "mine", None, "--as-of YYYY-MM-DD"),
        (b"31.13.86.0,31.13.86.255,x,Net\n", "mine", None, "FILE:1: not a range of an AS; write FIRST"),
        (b"1,2,CH\n9,3,CH\n", "mine", None, "FILE:2: the range ends before it starts"),
        (b"a\tb\tc\td\te\n", "mine", None, "FILE:1: not a range of IPtoASN; write FIRST"),
        (b"{\n\"createDate\": 5}", "mine", None, "FILE:2: not Amazon's ip-ranges.json"),
        (b"# only a comment\n", "mine", None, "no format that can be imported"),
        (b"", "mine", None, "no format that can be imported"),
        (&[0xff, 0xfe], "mine", None, "FILE:1: not UTF-8"),
        (&nothing, "mine", None, "no country, autonomous system or cloud network in it"),
    ] {
        let error = take(bytes, name, as_of).unwrap_err().to_string();
        assert!(error.contains(want), "{error}\ndoes not say {want}");
    }
}

/// What has not the form of a country code is refused where it stands; what is a code of no country is left out and said.
#[test]
fn malformed_country_codes_are_refused_by_line() {
    let named = mmdb("t", OCTOBER, &[("31.13.86.0", 24, map(&[("country", text("Norway"))]))]);
    for (bytes, want) in [
        (
            &b"16777216,16777471,NO\n16777472,16777727,N0\n"[..],
            "FILE:2: \"N0\" is no country code; write the two letters",
        ),
        (b"# tor\n16777216,16777471,NOR\n", "FILE:2: \"NOR\" is no country code; write the two letters"),
        (b"1.0.0.0\t1.0.0.255\t64500\tN\tNet\n", "FILE:1: \"N\" is no country code"),
        (&named, "FILE: network 31.13.86.0/24: \"Norway\" is no country code; write the two letters"),
    ] {
        let error = take(bytes, "mine", Some("2026-10-01")).unwrap_err().to_string();
        assert!(error.starts_with(want), "{error}\nis not {want}");
    }
    let unassigned = take(
        b"16777216,16777471,NO\n16777472,16777727,ZZ\n16777728,16777983,??\n",
        "mine",
        Some("2026-10-01"),
    );
    let unassigned = unassigned.unwrap();
    assert_eq!(unassigned.notes, ["codes that are assigned to no country, so without one: ZZ"]);
    assert_eq!(unassigned.ranges, [1, 0, 0]);
}

/// Of two ranges that overlap the shorter one holds, and the lines are told.
#[test]
fn overlapping_ranges_are_told_by_line() {
    let nested = b"16777216,16778239,NO\n16779000,16779001,SE\n16777472,16777727,FI\n";
    let done = take(nested, "mine", Some("2026-10-01")).unwrap();
    assert_eq!(
        done.notes,
        ["FILE:3: its range overlaps with that of line 1; the shorter one holds where both do"]
    );
    let db = opened(&done);
    for (address, country) in [("1.0.0.1", "NO"), ("1.0.1.1", "FI"), ("1.0.2.1", "NO")] {
        assert!(says(&db, address, "mine").starts_with(country), "{address}");
    }
    for bytes in [
        &b"1.0.0.0\t1.0.0.255\t64500\tNO\tNet\n1.0.0.255\t1.0.1.0\t64500\tNO\tNet\n"[..],
        b"1.0.0.0,1.0.0.255,64500,Net\n1.0.0.255,1.0.1.0,64501,Other\n",
    ] {
        let notes = take(bytes, "mine", Some("2026-10-01")).unwrap().notes;
        assert!(notes[0].starts_with("FILE:2: its range overlaps with that of line 1"), "{notes:?}");
    }
    let many: Vec<String> = (0..30).map(|i| format!("16777216,{},NO\n", 16_777_300 + i)).collect();
    let many = many.concat();
    let notes = take(many.as_bytes(), "mine", Some("2026-10-01")).unwrap().notes;
    assert_eq!((notes.len(), notes[8].as_str()), (9, "21 more lines overlap"));
    let apart = b"16777216,16777471,NO\n16777472,16777727,SE\n2001:db8::,2001:db8::1,SE\n";
    assert!(take(apart, "mine", Some("2026-10-01")).unwrap().notes.is_empty());
}

/// Cut at every byte: refused (its metadata stand at its end), never a panic.
#[test]
fn a_cut_mmdb_is_refused() {
    let whole = sample();
    take(&whole, "mine", None).unwrap();
    let metadata = whole.windows(14).rposition(|w| w == b"\xab\xcd\xefMaxMind.com").unwrap();
    for cut in 0..whole.len() {
        let error = take(&whole[..cut], "mine", None).err().map(|e| e.to_string());
        assert!(error.is_some() || cut > metadata + 14, "cut at {cut}");
    }
}

fn sample() -> Vec<u8> {
    let record = |code| map(&[("country", map(&[("iso_code", text(code))])), ("asn", text("AS64500"))]);
    mmdb(
        "t",
        OCTOBER,
        &[("1.2.3.0", 24, record("NO")), ("128.0.0.0", 2, record("SE")), ("9.0.0.0", 8, record("FI"))],
    )
}

/// Changed bytes: refused or read, never a panic. Over a small table, so that many can be tried.
#[test]
fn a_hostile_mmdb_is_refused_or_read() {
    let whole = sample();
    let mut seeded = Seeded(11);
    let (mut refused, mut read) = (0, 0);
    for round in 0..6000 {
        let mut bytes = whole.clone();
        for _ in 0..=round % 4 {
            let at = seeded.below(bytes.len());
            bytes[at] = seeded.next() as u8;
        }
        let files = [("FILE".to_owned(), bytes)];
        match import(
            small(),
            &Import { files: &files, name: "mine", as_of: Some("2026-10-01"), licence: "x" },
        ) {
            Ok(done) => {
                read += 1;
                let db = opened(&done);
                for address in ["1.2.3.4", "9.9.9.9", "130.0.0.1", "::1"] {
                    db.lookup_afresh(address.parse().unwrap());
                }
            }
            Err(_) => refused += 1,
        }
    }
    println!("{refused} refused, {read} read");
    assert!(refused > 500 && read > 200, "{refused} refused, {read} read");
}

/// Nodes that all point to the next one twice would give 2^31 networks.
#[test]
fn a_tree_that_shares_its_branches_ends() {
    let mut tree = Vec::new();
    for node in 1..=31u32 {
        let next = if node == 31 { 31 + 16 } else { node };
        tree.extend_from_slice(&next.to_be_bytes()[1..]);
        tree.extend_from_slice(&next.to_be_bytes()[1..]);
    }
    let mut data = Vec::new();
    put(&mut data, &map(&[("country_code", text("NO"))]));
    let bytes = finish(tree.clone(), 31, "t", OCTOBER, &data);
    let error = take(&bytes, "mine", None).unwrap_err().to_string();
    assert!(error.contains("more networks than it can hold"), "{error}");
    // The same with leaves that hold nothing.
    let none = tree.len() - 6;
    tree[none..].copy_from_slice(&[0, 0, 31, 0, 0, 31]);
    let error = take(&finish(tree, 31, "t", OCTOBER, &data), "mine", None).unwrap_err().to_string();
    assert!(error.contains("more networks than it can hold"), "{error}");
}

fn small_table() -> Vec<u8> {
    use sha2::Digest as _;
    let folder = tempfile::tempdir().unwrap();
    let mut sources = "schema = 1\n".to_owned();
    for (name, kind, format, content) in [
        ("base", "country", "tor-geoip", &b"520967680,520967935,IE\n3109612544,3109612799,CH\n"[..]),
        (
            "asn",
            "asn",
            "asn-csv",
            b"31.13.86.0,31.13.86.255,32934,Base Net\n185.88.236.0,185.88.236.255,29691,Nine\n",
        ),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
        let hash =
            sha2::Sha256::digest(content).iter().fold(String::new(), |hash, b| hash + &format!("{b:02x}"));
        sources += &format!(
            "[[source]]\nname = \"{name}\"\ntitle = \"t\"\nkind = \"{kind}\"\nversion = \"1\"\nas_of = \"2026-01-02\"\n\
             licence = \"CC0-1.0\"\nlicence_files = [\"x\"]\nattribution = \"\"\nget = \"npm:x\"\n\
             [[source.file]]\npath = \"{name}\"\nformat = \"{format}\"\nsha256 = \"{hash}\"\n"
        );
    }
    let sources = Sources::parse("SOURCES.toml", &sources).unwrap();
    build(&sources, REGIONS, folder.path()).unwrap()
}

/// Over the built-in table: what it says elsewhere stays as it was, and a table with an import can have another.
#[test]
fn the_built_in_table_keeps_what_it_says() {
    let embedded = ReferenceDb::embedded().unwrap();
    let files = [("FILE".to_owned(), sample())];
    let done = import(embedded, &Import { files: &files, name: "mine", as_of: None, licence: "x" }).unwrap();
    let db = opened(&done);
    let mut seeded = Seeded(5);
    let mut places = 0;
    for _ in 0..20_000 {
        let address = IpAddr::V4(Ipv4Addr::from(seeded.next() as u32));
        let (before, after) = (embedded.lookup_afresh(address), db.lookup_afresh(address));
        places += after.places.iter().filter(|p| p.source == "mine").count();
        let others: Vec<_> = after.places.into_iter().filter(|p| p.source != "mine").collect();
        assert_eq!((others, after.cloud), (before.places, before.cloud), "{address}");
        if after.operator != before.operator {
            assert_eq!(after.operator.unwrap().source, "mine", "{address}");
        }
    }
    // 128.0.0.0/2 holds a quarter of all addresses, some of them special.
    assert!((4000..6000).contains(&places), "{places}");
}

#[test]
fn the_command_writes_a_table_that_db_takes() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| metaleak().current_dir(folder.path()).args(arguments).output().unwrap();
    fs::write(folder.path().join("own.mmdb"), sample()).unwrap();
    let done = run(&["db", "import", "own.mmdb", "--as", "own"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(folder.path().join("own.db").is_file());
    let again = run(&["db", "import", "own.mmdb", "--as", "own"]);
    assert_eq!(again.status.code(), Some(2), "own.db is there, and nobody said to overwrite it");
    assert!(String::from_utf8_lossy(&again.stderr).contains("own.db is there already; name it with -o"));
    // `-` is standard input and output, and the same bytes come that way.
    let piped = metaleak()
        .current_dir(folder.path())
        .args(["db", "import", "-", "--as", "own", "-o", "-"])
        .write_stdin(sample())
        .output()
        .unwrap();
    assert!(piped.status.success(), "{}", String::from_utf8_lossy(&piped.stderr));
    assert_eq!(piped.stdout, fs::read(folder.path().join("own.db")).unwrap());
    assert!(!folder.path().join("-").exists());
    let found = run(&["db", "lookup", "--db", "own.db", "--format", "json", "1.2.3.4"]);
    let found: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    let places = found[0]["places"].as_array().unwrap();
    assert!(places.iter().any(|p| p["source"] == "own" && p["country"] == "NO"), "{found}");
    let info = run(&["db", "info", "--db", "own.db", "--format", "json"]);
    let info: serde_json::Value = serde_json::from_slice(&info.stdout).unwrap();
    let own = info["sources"].as_array().unwrap().iter().find(|s| s["name"] == "own").unwrap();
    assert_eq!((&own["as_of"], &own["licence"]), (&"2026-10-01".into(), &"LicenseRef-imported".into()));
    for (arguments, code) in [
        (&["db", "import", "own.mmdb", "--as", "Not A Name", "-o", "x.db"][..], 2),
        (&["db", "import", "own.mmdb"], 2),
        (&["db", "import", "absent.mmdb", "--as", "x"], 3),
        (&["db", "import", "own.db", "--as", "x"], 3),
        (&["db", "import", "own.mmdb", "--as", "x", "--as-of", "2999-01-01"], 2),
        (&["db", "import", "own.mmdb", "--as", "x", "-o", "absent/x.db"], 4),
        (&["db", "lookup", "1.2.3.4", "-o", "absent/x.json"], 4),
        (&["db", "info", "--db", "own.mmdb", "-o", "x.db"], 3),
    ] {
        assert_eq!(run(arguments).status.code(), Some(code), "{arguments:?}");
    }
    assert!(!folder.path().join("x.db").exists(), "nothing of a refused import is written");
    let future = run(&["db", "import", "own.mmdb", "--as", "x", "--as-of", "2999-01-01"]);
    assert!(String::from_utf8_lossy(&future.stderr).contains("2999-01-01, which is in the future"));
}

/// Results go where `-o` says, and addresses may come from standard input.
#[test]
fn look_ups_read_and_write_as_other_commands_do() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str], stdin: &str| {
        metaleak().current_dir(folder.path()).args(arguments).write_stdin(stdin.to_owned()).output().unwrap()
    };
    let plain = run(&["db", "lookup", "--format", "json", "1.2.3.4", "2001:db8::1"], "");
    let listed = run(&["db", "lookup", "--format", "json", "-", "-o", "out.json"], "1.2.3.4\n 2001:db8::1\n");
    assert!(
        listed.status.success() && listed.stdout.is_empty(),
        "{}",
        String::from_utf8_lossy(&listed.stderr)
    );
    assert_eq!(fs::read(folder.path().join("out.json")).unwrap(), plain.stdout);
    let wrong = run(&["db", "lookup", "-"], "1.2.3.4\n1.2.3\n");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("\"1.2.3\" is no IP address"));
    let info = run(&["db", "info", "-o", "info.txt"], "");
    assert!(info.status.success() && info.stdout.is_empty());
    assert!(fs::read_to_string(folder.path().join("info.txt")).unwrap().contains("iptoasn"));
}

/// A file without end is refused after a bound, with what to do.
#[cfg(unix)]
#[test]
fn a_file_without_end_is_refused() {
    for (arguments, want) in [
        (
            &["db", "import", "/dev/zero", "--as", "x"][..],
            "more than 512 MiB, or without end; import a smaller edition",
        ),
        (&["db", "info", "--db", "/dev/zero"], "more than 256 MiB, or without end; give a table"),
        (
            &["db", "build", "--from", ".", "-o", "/dev/null", "--sources", "/dev/zero"],
            "more than 1 MiB, or without end; give a SOURCES.toml",
        ),
    ] {
        let done = metaleak().args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!done.status.success() && said.contains(want), "{arguments:?}: {said}");
    }
}

/// Old data is warned of on standard error wherever it is used, by source; `--quiet` silences it where there is one.
#[test]
fn old_data_is_warned_of_wherever_it_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| metaleak().current_dir(folder.path()).args(arguments).output().unwrap();
    fs::write(folder.path().join("own.mmdb"), sample()).unwrap();
    let done = run(&["db", "import", "own.mmdb", "--as", "aged", "--as-of", "2019-01-02"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let mut capture = common::PacketBuilder::new();
    let mut connection = common::Tcp::new("192.168.1.2:40000", "9.9.1.1:443");
    connection.open(&mut capture);
    connection.up(&mut capture, b"\x01\x02\x03\x04");
    fs::write(folder.path().join("a.pcap"), capture.finish()).unwrap();
    let warning = "reference data older than 12 months: aged of 2019-01-02";
    for arguments in [
        &["db", "info", "--db", "aged.db"][..],
        &["db", "info", "--db", "aged.db", "--format", "json"],
        &["db", "lookup", "--db", "aged.db", "1.2.3.4"],
        &["replay", "a.pcap", "--db", "aged.db"],
        &["study", ".", "--db", "aged.db"],
    ] {
        let done = run(arguments);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(said.contains(warning) && said.contains("(oldest: aged)"), "{arguments:?}: {said}");
        assert!(!String::from_utf8_lossy(&done.stdout).contains(warning), "{arguments:?}");
    }
    for arguments in [
        &["replay", "a.pcap", "--db", "aged.db", "--quiet"][..],
        &["db", "lookup", "--db", "aged.db", "1.2.3.4", "--quiet"],
    ] {
        let quiet = run(arguments);
        assert!(!String::from_utf8_lossy(&quiet.stderr).contains(warning), "{arguments:?}");
    }
    // The page says it in its language.
    for (lang, want) in [
        ("en", "oldest aged of 2019-01-02): "),
        (
            "de",
            "älteste aged vom 02.01.2019): Netze können seither den Inhaber gewechselt haben; mehr als 12 Monate älter als der Mitschnitt: aged",
        ),
    ] {
        let page =
            run(&["replay", "a.pcap", "--db", "aged.db", "--format", "html", "--lang", lang, "--quiet"]);
        let page = String::from_utf8_lossy(&page.stdout).into_owned();
        assert!(page.contains(want), "{lang}: {:?}", page.find("aged").map(|at| &page[at - 90..at + 90]));
    }
    // In the report the capture's own day counts, which does not change: each source that was used is looked at.
    let report = run(&["replay", "a.pcap", "--db", "aged.db", "--format", "json", "--quiet"]);
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
    let said =
        report["warnings"].as_array().unwrap().iter().filter_map(|w| w["what"].as_str()).collect::<Vec<_>>();
    assert!(
        said.iter()
            .any(|w| w.contains("oldest aged of 2019-01-02") && w.ends_with("older than the capture: aged")),
        "{said:?}"
    );
}
