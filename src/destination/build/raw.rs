//! The raw formats that a table is built from.
//!
//! Takes the bytes of one raw file; gives ranges or rows, or an error that names file, line and remedy. Text formats:
//! tor's geoip and geoip6, ASN csv, tracker tsv, cloud tsv (also gzipped), Amazon's regions as tsv. Binary: mmdb.

use std::collections::HashMap;
use std::io::Read;
use std::net::IpAddr;

use maxminddb::{PathElement, Reader, WithinOptions};

use super::ranges::{Range, Ranges};
use crate::destination::error::ReferenceError;
use crate::destination::sources::CODE_REMEDY;

/// Most bytes that a gzipped source may unpack to.
const MOST_UNPACKED: u64 = 256 << 20;

/// A range with the line that it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) line: usize,
    /// Whether the ends are IPv6, and their numbers.
    pub(crate) first: (bool, u128),
    pub(crate) last: (bool, u128),
}

/// A network as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    pub(crate) v6: bool,
    pub(crate) first: u128,
    pub(crate) last: u128,
}

/// Text of a source, unpacked when it is gzipped.
pub(crate) fn text(file: &str, bytes: &[u8]) -> Result<String, ReferenceError> {
    let unpacked;
    let plain = if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut out = Vec::new();
        let mut reader = flate2::read::MultiGzDecoder::new(bytes).take(MOST_UNPACKED + 1);
        reader.read_to_end(&mut out).map_err(|e| {
            ReferenceError::data(file, 1, format!("gzip cannot be unpacked ({e})"), "fetch the file again")
        })?;
        if out.len() as u64 > MOST_UNPACKED {
            let what = format!("gzip unpacks to more than {} MiB", MOST_UNPACKED >> 20);
            return Err(ReferenceError::data(file, 1, what, "unpack it, and leave out what is not needed"));
        }
        unpacked = out;
        &unpacked
    } else {
        bytes
    };
    let text = std::str::from_utf8(plain).map_err(|e| {
        let line = crate::fault::line_at(plain, e.valid_up_to());
        ReferenceError::data(file, line, "not UTF-8", "save the file as UTF-8")
    })?;
    Ok(text.to_owned())
}

/// Lines that hold data, with their number.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(i, line)| (i + 1, line));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// tor's geoip (`first,last,CC` with numbers) and geoip6 (with addresses).
pub(crate) fn tor_geoip(
    file: &str,
    text: &str,
    mut value: impl FnMut(Row, &str) -> Result<u32, ReferenceError>,
) -> Result<Ranges, ReferenceError> {
    let mut out = Ranges::default();
    for (line, row) in lines(text) {
        let wrong = || ReferenceError::data(file, line, "not a range", "write FIRST,LAST,CC");
        let mut columns = row.split(',');
        let (Some(first), Some(last), Some(code), None) =
            (columns.next(), columns.next(), columns.next(), columns.next())
        else {
            return Err(wrong());
        };
        let number = |text: &str| match text.parse::<u32>() {
            Ok(number) => Some((false, u128::from(number))),
            Err(_) => text.parse::<IpAddr>().ok().map(numeric),
        };
        let (Some(first), Some(last)) = (number(first), number(last)) else { return Err(wrong()) };
        push(&mut out, file, line, first, last, value(Row { line, first, last }, code)?)?;
    }
    Ok(out)
}

/// ASN csv: `first,last,number,name`, the name quoted where it holds a comma.
pub(crate) fn asn_csv(
    file: &str,
    text: &str,
    mut value: impl FnMut(Row, u32, &str) -> Result<u32, ReferenceError>,
) -> Result<Ranges, ReferenceError> {
    let mut out = Ranges::default();
    for (line, row) in lines(text) {
        let wrong =
            || ReferenceError::data(file, line, "not a range of an AS", "write FIRST,LAST,NUMBER,NAME");
        let mut columns = row.splitn(4, ',');
        let (Some(first), Some(last), Some(number), Some(name)) =
            (columns.next(), columns.next(), columns.next(), columns.next())
        else {
            return Err(wrong());
        };
        let address = |text: &str| text.parse::<IpAddr>().ok().map(numeric);
        let (Some(first), Some(last), Ok(number)) = (address(first), address(last), number.parse::<u32>())
        else {
            return Err(wrong());
        };
        let name = match name.strip_prefix('"').and_then(|n| n.strip_suffix('"')) {
            Some(quoted) => quoted.replace("\"\"", "\""),
            None => name.to_owned(),
        };
        let value = value(Row { line, first, last }, number, &clean(&name))?;
        push(&mut out, file, line, first, last, value)?;
    }
    Ok(out)
}

/// Tab-separated rows with `columns` columns under a header line; control characters are dropped.
pub(crate) fn tsv(
    file: &str,
    text: &str,
    columns: usize,
    mut row: impl FnMut(usize, &[String]) -> Result<(), ReferenceError>,
) -> Result<(), ReferenceError> {
    for (line, text) in lines(text).skip(1) {
        let cells: Vec<String> = text.split('\t').map(clean).collect();
        if cells.len() != columns {
            let what = format!("{} columns instead of {columns}", cells.len());
            return Err(ReferenceError::data(file, line, what, "separate columns by one tab each"));
        }
        row(line, &cells)?;
    }
    Ok(())
}

/// A network in CIDR form, or a single address.
pub(crate) fn network(file: &str, line: usize, text: &str) -> Result<Network, ReferenceError> {
    let cidr = crate::destination::cidr::Cidr::parse(text).map_err(|why| {
        ReferenceError::data(file, line, format!("{text:?}: {why}"), "write ADDRESS/LENGTH")
    })?;
    let (v6, first) = numeric(cidr.first());
    let (_, last) = numeric(cidr.last());
    Ok(Network { v6, first, last })
}

/// Country of every network of an mmdb file: `country_code`, `country.iso_code` or `country`, whichever it has.
pub(crate) fn mmdb_country(
    file: &str,
    bytes: &[u8],
    mut value: impl FnMut(&str) -> Result<u32, String>,
) -> Result<Ranges, ReferenceError> {
    let fault =
        |e: maxminddb::MaxMindDbError| ReferenceError::Mmdb { file: file.to_owned(), what: e.to_string() };
    let reader = Reader::from_source(bytes).map_err(fault)?;
    let mut out = Ranges::default();
    let mut known: HashMap<usize, u32> = HashMap::new();
    let most = most_networks(&reader, bytes);
    for (count, found) in reader.networks(WithinOptions::default()).map_err(fault)?.enumerate() {
        let found = found.map_err(fault)?;
        if count > most {
            let what = "its tree gives more networks than it can hold".to_owned();
            return Err(ReferenceError::Mmdb { file: file.to_owned(), what });
        }
        let Some(record) = found.offset() else { continue };
        let code = if let Some(code) = known.get(&record) {
            *code
        } else {
            let paths: [&[PathElement<'_>]; 3] = [
                &[PathElement::Key("country_code")],
                &[PathElement::Key("country"), PathElement::Key("iso_code")],
                &[PathElement::Key("country")],
            ];
            let text = paths.iter().find_map(|path| found.decode_path::<&str>(path).ok().flatten());
            let code = text.map_or(Ok(0), &mut value).map_err(|what| {
                let network = found.network().map_or_else(|_| String::new(), |network| network.to_string());
                ReferenceError::network(file, network, what, CODE_REMEDY)
            })?;
            known.insert(record, code);
            code
        };
        let network = found.network().map_err(fault)?;
        let cidr = crate::destination::cidr::Cidr::new(network.network(), network.prefix())
            .map_err(|why| ReferenceError::Mmdb { file: file.to_owned(), what: why.to_owned() })?;
        push(&mut out, file, 0, numeric(cidr.first()), numeric(cidr.last()), code)?;
    }
    Ok(out)
}

/// Most networks that a sound tree gives: twice its nodes, as no two branches share one. The number of nodes is what the file
/// says of itself, at least six bytes each.
pub(crate) fn most_networks<S: AsRef<[u8]>>(reader: &Reader<S>, bytes: &[u8]) -> usize {
    let nodes = (reader.metadata().node_count as usize).min(bytes.len() / 6);
    nodes.saturating_mul(3).saturating_add(2)
}

pub(crate) fn push(
    out: &mut Ranges,
    file: &str,
    line: usize,
    (first_v6, first): (bool, u128),
    (last_v6, last): (bool, u128),
    value: u32,
) -> Result<(), ReferenceError> {
    if first_v6 != last_v6 || last < first {
        return Err(ReferenceError::data(
            file,
            line,
            "the range ends before it starts",
            "put the lower address first",
        ));
    }
    if value == 0 {
        return Ok(());
    }
    let ranges = if first_v6 { &mut out.v6 } else { &mut out.v4 };
    match ranges.last_mut() {
        Some(before) if before.value == value && before.last.checked_add(1) == Some(first) => {
            before.last = last;
        }
        _ => ranges.push(Range { first, last, value }),
    }
    Ok(())
}

pub(crate) fn numeric(address: IpAddr) -> (bool, u128) {
    match address {
        IpAddr::V4(v4) => (false, u128::from(v4.to_bits())),
        IpAddr::V6(v6) => (true, v6.to_bits()),
    }
}

/// Text from a source without control characters, at most 200 characters.
pub(crate) fn clean(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(200).collect()
}
