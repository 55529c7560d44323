//! Reference data: hand-written facts, the list of sources, raw files, the compact table.
//!
//! Takes a file's bytes; where they are accepted, the data must answer for any address and name.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::OnceLock;

use metaleak::destination::{
    FactTexts, ReferenceDb, ReferenceError, Sources, attribute, build, destinations, lookup_destination,
};
use sha2::{Digest as _, Sha256};

use super::Traits;
use super::check::{mark, size_mark, tell_apart, timed};
use super::texts::{report, scratch, words};

/// The least that each file of facts has to say.
const FACTS: FactTexts<'static> = FactTexts {
    messengers: "schema = 1\nas_of = \"2024-01-01\"\n",
    operators: "schema = 1\nas_of = \"2024-01-01\"\n",
    adequacy: "schema = 1\nas_of = \"2024-01-01\"\nsource = \"none\"\n[eea]\nmembers = [\"DE\"]\nterritories = []\n\
               [dpf]\ncountry = \"US\"\nnumber = \"(EU) 2023/1795\"\ndecided = \"2023-07-10\"\nsource = \"none\"\n",
    services: "schema = 1\nas_of = \"2024-01-01\"\n",
    anycast: "schema = 1\nas_of = \"2024-01-01\"\n",
    ech: "schema = 1\nas_of = \"2024-01-01\"\nlicence = \"CC0-1.0\"\n",
    reverse: "schema = 1\nas_of = \"2024-01-01\"\nlicence = \"CC0-1.0\"\n",
};
const REGIONS: &str = "schema = 1\nas_of = \"2024-01-01\"\nsource = \"none\"\n[countries]\nDE = [\"eu-central-1\"]\n\
                       [unverified]\nregions = [\"xx-south-1\"]\n";

/// A table without entries.
fn empty_table() -> &'static [u8] {
    static TABLE: OnceLock<Vec<u8>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let none = Sources::parse("none.toml", "schema = 1\nsource = []\n").expect("an empty list");
        build(&none, REGIONS, &scratch()).expect("an empty table")
    })
}

fn fault(e: &ReferenceError) -> Traits {
    // It may quote anything: what is printed is escaped by the command line.
    let message = e.to_string();
    let ReferenceError::Data { line, remedy, .. } = e else {
        return vec![mark(&["error", &words(&message)])];
    };
    assert!(*line >= 1 && !remedy.is_empty(), "no line or no way out: {message}");
    vec![mark(&["fault", &words(&message)])]
}

/// Asks the data for addresses at borders, names and the flows of a capture.
fn ask(db: &ReferenceDb) -> Traits {
    let mut traits = Vec::new();
    for address in [
        "0.0.0.0",
        "1.2.3.4",
        "192.0.2.1",
        "203.0.113.9",
        "255.255.255.255",
        "::",
        "::1",
        "2001:db8::1",
        "::ffff:192.0.2.1",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ] {
        let address: IpAddr = address.parse().expect("an address");
        let found = lookup_destination(address, db);
        serde_json::to_string(&found).expect("JSON");
        let look = format!("{:?} {} {:?}", found.agreement, found.places.len(), found.role);
        traits.push(mark(&["address", &look, if found.operator.is_some() { "named" } else { "" }]));
        db.lookup(address);
    }
    for name in ["", ".", "a", "chat.example", "tracker.example", "a.b.c.tracker.example", "\u{ff}"] {
        traits.push(mark(&["tracker", &format!("{:?}", db.tracker(name).is_some())]));
    }
    db.info();
    traits.push(size_mark("sources", db.sources().len() as u64));
    let mut flows = report().flows.clone();
    attribute(&mut flows, db);
    traits.push(size_mark("ends", destinations(&flows, db, &|_| None).len() as u64));
    traits
}

/// The first byte chooses the file of facts, the rest is its text.
pub fn facts(data: &[u8]) -> Traits {
    let Some((choice, rest)) = data.split_first() else { return Vec::new() };
    let text = String::from_utf8_lossy(rest);
    let mut texts = FactTexts { ..FACTS };
    match choice % 7 {
        0 => texts.messengers = &text,
        1 => texts.operators = &text,
        2 => texts.adequacy = &text,
        3 => texts.services = &text,
        4 => texts.anycast = &text,
        5 => texts.reverse = &text,
        _ => texts.ech = &text,
    }
    match timed(|| ReferenceDb::from_parts(Cow::Borrowed(empty_table()), &texts)) {
        Ok(db) => timed(|| ask(&db)),
        Err(e) => fault(&e),
    }
}

/// A list of sources.
pub fn sources(data: &[u8]) -> Traits {
    let text = String::from_utf8_lossy(data);
    match timed(|| Sources::parse("fuzz.toml", &text)) {
        Ok(list) => {
            let kinds: Vec<String> = list.sources.iter().map(|s| format!("{:?}", s.kind)).collect();
            vec![mark(&["kinds", &kinds.join(" ")])]
        }
        Err(e) => fault(&e),
    }
}

/// The first byte chooses the format of a raw file, the rest is the file.
pub fn raw(data: &[u8]) -> Traits {
    const FORMATS: [(&str, &str); 6] = [
        ("country", "mmdb-country"),
        ("country", "tor-geoip"),
        ("asn", "asn-csv"),
        ("cloud", "cloud-tsv"),
        ("cloud", "aws-regions-tsv"),
        ("trackers", "trackers-tsv"),
    ];
    let Some((choice, file)) = data.split_first() else { return Vec::new() };
    let (kind, format) = FORMATS[usize::from(*choice) % FORMATS.len()];
    let folder = scratch();
    std::fs::write(folder.join("raw"), file).expect("a temporary file");
    let hash = Sha256::digest(file).iter().fold(String::new(), |text, b| text + &format!("{b:02x}"));
    let list = format!(
        "schema = 1\n[[source]]\nname = \"fuzz\"\ntitle = \"fuzz\"\nkind = \"{kind}\"\nversion = \"1\"\n\
         as_of = \"2024-01-01\"\nlicence = \"CC0-1.0\"\nlicence_files = [\"CC0-1.0.txt\"]\nattribution = \"\"\n\
         get = \"npm:none\"\n[[source.file]]\npath = \"raw\"\nformat = \"{format}\"\nsha256 = \"{hash}\"\n"
    );
    let list = Sources::parse("fuzz.toml", &list).expect("a list of sources");
    let traits = match timed(|| build(&list, REGIONS, &folder)) {
        Ok(table) => {
            let db = ReferenceDb::from_parts(Cow::Owned(table), &FACTS).expect("what was built is read");
            timed(|| ask(&db))
        }
        Err(e) => fault(&e),
    };
    tell_apart(traits, u64::from(*choice) % FORMATS.len() as u64)
}

/// A compact table. Magic, version and checksum are put right, so that what lies behind them is read.
pub fn table(data: &[u8]) -> Traits {
    let mut bytes = data.to_vec();
    if bytes.len() >= 16 {
        bytes[..8].copy_from_slice(b"MLEAKDB\n");
        bytes[8..12].copy_from_slice(&1_u32.to_le_bytes());
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[16..]);
        bytes[12..16].copy_from_slice(&crc.sum().to_le_bytes());
    }
    match timed(|| ReferenceDb::from_parts(Cow::Owned(bytes), &FACTS)) {
        Ok(db) => timed(|| ask(&db)),
        Err(e) => fault(&e),
    }
}
