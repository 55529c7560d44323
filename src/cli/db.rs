//! `metaleak db info | build | import | lookup`: the reference data at the command line.
//!
//! Takes parsed arguments and a writer; prints a table or JSON. Parsing of arguments and exit codes are elsewhere.

use std::fs;
use std::io::{self, Read as _, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use comfy_table::{Cell, Table};
use jiff::civil::Date;
use serde_json::{Value, json};

use crate::destination::{
    Import, OLD_DAYS as OLD, REGIONS, ReferenceDb, ReferenceError, Sources, build as build_table,
    import as import_source, lookup_destination, read_bounded,
};
use crate::model::Destination;
use crate::report::{Arg, Wording, agreement_id, carries, cloud_text, law, name_note, role_id, service_text};

/// How to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DbFormat {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// What can go wrong in `metaleak db`.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The reference data.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// An argument is no IP address (usage, exit code 2).
    #[error("{text:?} is no IP address; write one such as 149.154.167.50 or 2001:db8::1")]
    Address {
        /// The argument.
        text: String,
    },
    /// An argument does not fit (usage, exit code 2).
    #[error("{0}")]
    Usage(String),
    /// The writer failed.
    #[error("cannot write the answer: {0}")]
    Write(#[from] io::Error),
    /// JSON could not be made.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Columns of a table that goes to no terminal.
const WIDTH: u16 = 200;
/// Largest file that is imported.
const MOST_IMPORT: u64 = 512 << 20;
/// Largest `SOURCES.toml`.
const MOST_SOURCES: u64 = 1 << 20;

/// Sources, dates, ages on the day `today`, licences, counts and size of the reference data.
pub fn info(db: &ReferenceDb, today: Date, format: DbFormat, out: &mut dyn Write) -> Result<(), DbError> {
    let info = db.info();
    let age = |as_of: &str| as_of.parse::<Date>().ok().map(|date| days_between(date, today));
    if format == DbFormat::Json {
        let mut info = serde_json::to_value(&info)?;
        for key in ["sources", "facts"] {
            for source in info.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
                let days = source.get("as_of").and_then(Value::as_str).and_then(age);
                if let Some(fields) = source.as_object_mut() {
                    fields.insert("age_days".into(), json!(days));
                    fields.insert("old".into(), json!(days.is_some_and(|days| days > OLD)));
                }
            }
        }
        return Ok(writeln!(out, "{}", serde_json::to_string_pretty(&info)?)?);
    }
    let shown = |as_of: &str| match age(as_of) {
        Some(days) if days > OLD => format!("{days} days: OLD"),
        Some(days) if days >= 0 => format!("{days} days"),
        _ => "?".to_owned(),
    };
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["source", "as of", "age", "records", "licence", "what, and whom to name"]);
    for source in &info.sources {
        let what = if source.attribution.is_empty() {
            source.title.clone()
        } else {
            format!("{}; {}", source.title, source.attribution)
        };
        table.add_row([
            printable(&source.name),
            printable(&source.as_of),
            shown(&source.as_of),
            source.records.to_string(),
            printable(&source.licence),
            printable(&what),
        ]);
    }
    for facts in &info.facts {
        table.add_row(
            [
                &facts.name,
                &facts.as_of,
                &shown(&facts.as_of),
                "",
                &facts.licence,
                "hand-written facts of this project",
            ]
            .map(printable),
        );
    }
    writeln!(out, "{table}")?;
    writeln!(
        out,
        "table: {:.1} MiB, SHA-256 {}\n{} autonomous systems, {} cloud entries, {} tracker domains, {} look-up blocks\n\
         {} messengers, {} companies with a seat, {} services, {} adequacy decisions, {} reverse zones, \
         {} ECH configurations",
        info.bytes as f64 / f64::from(1 << 20),
        info.sha256,
        info.autonomous_systems,
        info.cloud_entries,
        info.tracker_domains,
        info.blocks,
        info.messengers,
        info.operators,
        info.services,
        info.adequacy_decisions,
        info.reverse_zones,
        info.ech_configurations,
    )?;
    Ok(())
}

/// What to say on standard error of data that is older than 12 months on the day `today`, for commands that read it.
pub fn age_warning(db: &ReferenceDb, today: Date) -> Option<String> {
    let old = db.older(today);
    let (oldest, _) = old.first()?;
    let list: Vec<String> = old.iter().map(|(name, as_of)| format!("{name} of {as_of}")).collect();
    let list = printable(list.join(", "));
    let oldest = printable(oldest);
    Some(format!(
        "reference data older than 12 months: {list} (oldest: {oldest}); networks change hands, see docs/reference.md for newer data"
    ))
}

/// Days from one date to another.
fn days_between(from: Date, to: Date) -> i64 {
    (to - from).get_days().into()
}

/// What to import, and where to write the table.
#[derive(Clone, Copy, Debug)]
pub struct ImportArgs<'a> {
    /// Files of one source.
    pub files: &'a [PathBuf],
    /// Name of the source.
    pub name: &'a str,
    /// Date of the data, where the files have none.
    pub as_of: Option<&'a str>,
    /// Licence, for the list of sources.
    pub licence: &'a str,
    /// Where to write; `NAME.db` when there is none, which then must not exist.
    pub output: Option<&'a Path>,
}

/// Lays the user's files over `base` and writes the table.
/// Data that claims to be newer than `today` is refused: a wrong date would hide its age for ever.
pub fn import(
    base: &ReferenceDb,
    args: &ImportArgs<'_>,
    today: Date,
    out: &mut dyn Write,
) -> Result<(), DbError> {
    let mut files = Vec::new();
    for path in args.files {
        let bytes = if path == Path::new("-") {
            stdin_bounded(MOST_IMPORT, "import a smaller edition of it")?
        } else {
            read_bounded(path, MOST_IMPORT, "import a smaller edition of it")?
        };
        let name =
            path.file_name().map_or_else(|| args.name.to_owned(), |n| n.to_string_lossy().into_owned());
        files.push((printable(name), bytes));
    }
    let what = Import { files: &files, name: args.name, as_of: args.as_of, licence: args.licence };
    let done = import_source(base, &what)?;
    let as_of = &done.source.as_of;
    // A day of grace: it is tomorrow elsewhere already.
    if as_of.parse::<Date>().is_ok_and(|date| days_between(today, date) > 1) {
        let what = format!("the data is of {as_of}, which is in the future (today is {today})");
        return Err(DbError::Usage(format!("{what}; say how old it is: --as-of YYYY-MM-DD")));
    }
    let to = match args.output {
        Some(path) => path.to_owned(),
        None => PathBuf::from(format!("{}.db", args.name)),
    };
    if args.output.is_none() {
        let write = fs::File::create_new(&to).and_then(|mut file| file.write_all(&done.table));
        write.map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => {
                let name = printable(to.display().to_string());
                DbError::Usage(format!(
                    "{name} is there already; name it with -o to overwrite it, or another"
                ))
            }
            _ => ReferenceError::Write { path: to.clone(), source }.into(),
        })?;
    } else {
        write_table(&to, &done.table)?;
    }
    for note in &done.notes {
        writeln!(out, "note: {}", printable(note))?;
    }
    let [places, systems, clouds] = done.ranges;
    writeln!(
        out,
        "{to}: {} bytes; {} of {} ({}): {places} ranges with a country, {systems} with an autonomous system, {clouds} of clouds\n\
         use it with --db {file}",
        done.table.len(),
        done.source.name,
        printable(&done.source.as_of),
        printable(&done.source.title),
        to = shown(&to),
        file = if to == Path::new("-") { "FILE".to_owned() } else { shown(&to) },
    )?;
    Ok(())
}

/// A path as messages show it.
fn shown(path: &Path) -> String {
    if path == Path::new("-") { "standard output".to_owned() } else { printable(path.display().to_string()) }
}

/// Writes a table to a file, or to standard output for `-`.
fn write_table(to: &Path, bytes: &[u8]) -> Result<(), ReferenceError> {
    let written = if to == Path::new("-") {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush())
    } else {
        fs::write(to, bytes)
    };
    written.map_err(|source| ReferenceError::Write { path: to.to_owned(), source })
}

/// Standard input to its end, up to `limit` bytes.
fn stdin_bounded(limit: u64, remedy: &'static str) -> Result<Vec<u8>, ReferenceError> {
    let path = PathBuf::from("-");
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(limit.saturating_add(1)).read_to_end(&mut bytes);
    match read {
        Err(source) => Err(ReferenceError::Read { path, source }),
        Ok(n) if n as u64 > limit => Err(ReferenceError::TooLarge { path, limit: limit >> 20, remedy }),
        Ok(_) => Ok(bytes),
    }
}

/// Builds the table from the raw files in `from` and writes it to `to`. `sources` is a `SOURCES.toml`, the embedded one
/// when there is none.
pub fn build(from: &Path, to: &Path, sources: Option<&Path>, out: &mut dyn Write) -> Result<(), DbError> {
    let sources = match sources {
        None => Sources::embedded()?,
        Some(path) => {
            let bytes = read_bounded(path, MOST_SOURCES, "give a SOURCES.toml")?;
            let text = String::from_utf8(bytes).map_err(|e| ReferenceError::Read {
                path: path.to_owned(),
                source: io::Error::new(io::ErrorKind::InvalidData, e),
            })?;
            Sources::parse(&path.display().to_string(), &text)?
        }
    };
    let bytes = build_table(&sources, REGIONS, from)?;
    write_table(to, &bytes)?;
    writeln!(out, "{}: {} bytes from {} sources", shown(to), bytes.len(), sources.sources.len())?;
    Ok(())
}

/// What the reference data knows of each address; as JSON an array of `destinations` entries without traffic.
pub fn lookup(
    db: &ReferenceDb,
    addresses: &[String],
    format: DbFormat,
    wording: &Wording,
    out: &mut dyn Write,
) -> Result<(), DbError> {
    let mut found = Vec::new();
    for text in addresses {
        let address: IpAddr =
            text.trim_matches(['[', ']']).parse().map_err(|_| DbError::Address { text: text.clone() })?;
        found.push(lookup_destination(address, db));
    }
    if format == DbFormat::Json {
        let entries: Vec<Value> = found.iter().map(entry).collect();
        return Ok(writeln!(out, "{}", serde_json::to_string_pretty(&entries)?)?);
    }
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    let width = terminal_size::terminal_size().map_or(WIDTH, |(width, _)| width.0);
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic).set_width(width);
    let columns = [
        wording.text("column-address"),
        wording.text("column-place"),
        wording.text("column-place-by-source"),
        wording.text("column-operator"),
        wording.text("column-jurisdiction"),
        wording.text("column-role"),
    ];
    table.set_header(columns);
    for destination in &found {
        table.add_row(row(destination, wording));
    }
    writeln!(out, "{table}")?;
    Ok(())
}

/// The keys of CONTRACT's `destinations` that need no traffic.
fn entry(destination: &Destination) -> Value {
    json!({
        "address": destination.address,
        "embedded": destination.embedded,
        "names": destination.names,
        "named_by": destination.named_by,
        "operator": destination.operator,
        "company": destination.company,
        "service_of": destination.service_of,
        "places": destination.places,
        "country": destination.country,
        "agreement": destination.agreement,
        "anycast": destination.anycast,
        "cloud": destination.cloud,
        "jurisdictions": destination.jurisdictions,
        "role": destination.role,
        "role_why": destination.role_why,
    })
}

fn row(destination: &Destination, wording: &Wording) -> Vec<Cell> {
    let agreement = wording.text(agreement_id(destination.agreement));
    let mut country = match &destination.country {
        Some(country) => vec![format!("{country} ({agreement})")],
        None => vec![agreement],
    };
    country.extend(
        destination.anycast.as_ref().map(|who| wording.with("place-anycast", &[("who", Arg::Text(who))])),
    );
    country.extend(cloud_text(destination, wording));
    let lines = |lines: Vec<String>| lines.join("\n");
    let places =
        destination.places.iter().map(|p| format!("{} {} {}", p.country, p.source, p.as_of)).collect();
    let operator = destination.operator.as_ref().map_or_else(String::new, |operator| match operator.asn {
        Some(asn) => format!("{} (AS{asn})", operator.name),
        None => operator.name.clone(),
    });
    let operator = [Some(operator), service_text(destination, wording)].into_iter().flatten().collect();
    let mut address = vec![destination.address.clone()];
    address.extend(destination.embedded.as_ref().map(|embedded| carries(embedded, wording)));
    address.extend(
        destination.named_by.iter().map(|name| format!("{}: {}", name.name, name_note(name, wording))),
    );
    let laws = destination.jurisdictions.iter().map(|j| law(j, wording)).collect();
    let role = wording.text(role_id(destination.role));
    [
        lines(address),
        lines(country),
        lines(places),
        lines(operator),
        lines(laws),
        format!("{role}: {}", destination.role_why),
    ]
    .map(|text| Cell::new(printable(&text)))
    .into()
}

/// Text from data files without control characters (a line break stays), so that nothing can steer the terminal.
fn printable(text: impl AsRef<str>) -> String {
    text.as_ref().chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}
