//! Charts as SVG: verdicts by messenger, a map, the flow of bytes, bytes by zone, country and operator, the entropy of flows.
//!
//! Takes a [`Report`] and the wording; gives SVG documents that need neither script nor installed fonts beyond the generic
//! `sans-serif`, with the same figures as rows for those who cannot see them. Colours are those of Okabe and Ito, told apart
//! with every common colour vision; what a colour says, a legend or a row says as well. Asserts no country: what the
//! sources dispute has bars of its own.

use std::collections::BTreeMap;
use std::net::IpAddr;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::ReportError;
use super::escape::{escape_terminal, shorten};
use super::wording::{Arg, Wording};
use super::words::{self, VERDICTS};
use crate::model::{Agreement, Destination, Report, Verdict, Zone};

mod canvas;
mod density;
mod flow;
mod map;

/// A chart and the figures in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// Name for a file beside the page, e.g. `bytes-by-country.svg`.
    pub file_name: String,
    /// Its heading.
    pub title: String,
    /// What to keep in mind when reading it.
    pub note: String,
    /// The SVG document.
    pub svg: String,
    /// Headings of `rows`.
    pub columns: Vec<String>,
    /// The figures as text, one row a bar.
    pub rows: Vec<Vec<String>>,
    /// It needs the whole width of a page to be read.
    pub wide: bool,
}

/// Bars of a chart; the rest is summed up in one more.
const BARS: usize = 12;

const INK: RGBColor = RGBColor(0x1a, 0x1a, 0x1a);
const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);
const TRACK: RGBColor = RGBColor(0xe8, 0xe8, 0xe8);
const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xb2);
const SKY: RGBColor = RGBColor(0x56, 0xb4, 0xe9);
const GREEN: RGBColor = RGBColor(0x00, 0x9e, 0x73);
const ORANGE: RGBColor = RGBColor(0xe6, 0x9f, 0x00);
const VERMILION: RGBColor = RGBColor(0xd5, 0x5e, 0x00);
const PURPLE: RGBColor = RGBColor(0xcc, 0x79, 0xa7);
const GREY: RGBColor = RGBColor(0x99, 0x99, 0x99);

/// Draws what `report` has figures for, in the order in which a page shows them.
pub fn charts(report: &Report, wording: &Wording) -> Result<Vec<Chart>, ReportError> {
    let mut charts = Vec::new();
    if !report.claims.is_empty() {
        charts.push(verdicts(report, wording)?);
    }
    if report.exposure.overall.bytes > 0 {
        charts.push(zones(report, wording)?);
    }
    if report.destinations.iter().any(|d| traffic(d) > 0) {
        charts.push(countries(report, wording)?);
        charts.push(operators(report, wording)?);
    }
    // Those that take the whole width come last, so that the narrow ones fill their columns.
    charts.extend(map::map(report, wording)?);
    charts.extend(flow::flow(report, wording)?);
    charts.extend(density::density(report, wording)?);
    Ok(charts)
}

/// One bar: its label, its parts as (index into the legend, value), and what stands at its end.
struct Bar {
    label: String,
    parts: Vec<(usize, u64)>,
    value: String,
}

impl Bar {
    fn total(&self) -> u64 {
        self.parts.iter().fold(0, |sum, (_, n)| sum.saturating_add(*n))
    }
}

fn traffic(destination: &Destination) -> u64 {
    destination.bytes_up.saturating_add(destination.bytes_down)
}

/// Addresses that no place in the world belongs to.
pub(crate) fn is_local(address: &str) -> bool {
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(a)) => {
            a.is_private()
                || a.is_loopback()
                || a.is_link_local()
                || a.is_multicast()
                || a.is_broadcast()
                || a.is_unspecified()
        }
        Ok(IpAddr::V6(a)) => {
            a.is_loopback()
                || a.is_multicast()
                || a.is_unspecified()
                || a.is_unique_local()
                || a.is_unicast_link_local()
        }
        Err(_) => false,
    }
}

/// The countries that the sources of `destination` name, each once, sorted.
pub(crate) fn named_countries(destination: &Destination) -> Vec<&str> {
    let mut codes: Vec<&str> = destination.places.iter().map(|p| p.country.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// Whether every country that a source names is too far for the round trip: such sources are not in dispute with each other.
pub(crate) fn too_far(destination: &Destination) -> bool {
    let excluded = |code: &str| destination.rtt_excludes.iter().any(|e| e == code);
    !destination.places.is_empty() && destination.places.iter().all(|p| excluded(&p.country))
}

/// The place of `destination` in words, asserting none that is disputed.
pub(crate) fn place(destination: &Destination, wording: &Wording) -> String {
    match (&destination.country, named_countries(destination).as_slice()) {
        _ if is_local(&destination.address) => wording.text("place-local"),
        (Some(code), _) if destination.agreement != Agreement::Disagree => wording.country(code),
        _ if destination.anycast.is_some() => wording.text("place-many"),
        (_, []) => wording.text("place-unknown"),
        (_, codes) => {
            let names: Vec<String> = codes.iter().map(|c| wording.country(c)).collect();
            let id = if too_far(destination) { "place-too-far" } else { "place-disputed" };
            wording.with(id, &[("countries", Arg::Text(&names.join(" / ")))])
        }
    }
}

fn countries(report: &Report, wording: &Wording) -> Result<Chart, ReportError> {
    const AGREEMENTS: [(Agreement, RGBColor); 5] = [
        (Agreement::All, BLUE),
        (Agreement::Majority, SKY),
        (Agreement::Single, ORANGE),
        (Agreement::Disagree, VERMILION),
        (Agreement::None, GREY),
    ];
    let mut places: BTreeMap<String, BTreeMap<usize, u64>> = BTreeMap::new();
    for destination in &report.destinations {
        // Without a country there is nothing that sources could agree on, whatever the field says.
        let agreement = match destination.agreement {
            _ if destination.places.is_empty() => Agreement::None,
            _ if destination.country.is_none() => Agreement::Disagree,
            agreement => agreement,
        };
        let local = is_local(&destination.address);
        let known = AGREEMENTS.iter().position(|(a, _)| *a == agreement && !local);
        let part = match known {
            Some(_) if too_far(destination) => AGREEMENTS.len() + 1,
            known => known.unwrap_or(AGREEMENTS.len()),
        };
        let sum = places.entry(place(destination, wording)).or_default().entry(part).or_default();
        *sum = sum.saturating_add(traffic(destination));
    }
    let agreements = AGREEMENTS.iter().map(|(a, c)| (wording.text(words::agreement_id(*a)), *c));
    let legend: Vec<(String, RGBColor)> = agreements
        .chain([(wording.text("place-local"), PURPLE), (wording.text("map-struck-out"), INK)])
        .collect();
    let bars = ranked(places.into_iter().map(|(label, parts)| (label, parts.into_iter().collect())), wording);
    let total = bars.iter().fold(0, |sum: u64, b| sum.saturating_add(b.total()));
    let rows = bars.iter().map(|bar| {
        let sources: Vec<String> = bar
            .parts
            .iter()
            .filter_map(|(part, n)| Some(format!("{}: {}", legend.get(*part)?.0, wording.bytes(*n))))
            .collect();
        vec![bar.label.clone(), bar.value.clone(), wording.share(bar.total(), total), sources.join("; ")]
    });
    let columns = ["chart-country", "chart-bytes", "chart-share", "chart-agreement"];
    Ok(Chart {
        file_name: "bytes-by-country.svg".into(),
        title: wording.text("chart-countries"),
        note: wording.text("chart-countries-note"),
        columns: columns.iter().map(|id| wording.text(id)).collect(),
        rows: rows.collect(),
        svg: draw("bytes-by-country.svg", &wording.text("chart-countries"), &bars, &legend, |_| None)?,
        wide: false,
    })
}

/// A bar for each legal zone, in the zones' order.
fn zones(report: &Report, wording: &Wording) -> Result<Chart, ReportError> {
    let exposure = &report.exposure;
    let of = |shares: &[crate::model::Share], zone: Zone| {
        shares.iter().find(|s| s.key.as_deref() == Some(zone.id())).map_or(0, |s| s.bytes)
    };
    let bars: Vec<Bar> = Zone::ALL
        .into_iter()
        .enumerate()
        .map(|(part, zone)| {
            let bytes = of(&exposure.overall.zones, zone);
            let share = wording.share(bytes, exposure.overall.bytes);
            Bar {
                label: wording.text(words::zone_id(zone)),
                parts: vec![(part, bytes)],
                value: format!("{} ({share})", wording.bytes(bytes)),
            }
        })
        .collect();
    let lines = std::iter::once((wording.text("exposure-all"), &exposure.overall)).chain(
        exposure
            .messengers
            .iter()
            .map(|m| (wording.messenger(m.messenger.as_deref().unwrap_or_default()), m)),
    );
    let rows = lines.map(|(label, exposed)| {
        let shares = Zone::ALL.into_iter().map(|zone| wording.share(of(&exposed.zones, zone), exposed.bytes));
        std::iter::once(label).chain(std::iter::once(wording.bytes(exposed.bytes))).chain(shares).collect()
    });
    let heads = Zone::ALL.into_iter().map(|zone| wording.text(words::zone_id(zone)));
    let first = ["column-messenger", "chart-bytes"].map(|id| wording.text(id));
    let colours: Vec<(String, RGBColor)> =
        Zone::ALL.into_iter().map(|zone| (String::new(), flow::colour(zone))).collect();
    Ok(Chart {
        file_name: "bytes-by-zone.svg".into(),
        title: wording.text("chart-zones"),
        note: wording.text("chart-zones-note"),
        columns: first.into_iter().chain(heads).collect(),
        rows: rows.collect(),
        // Each bar has its label, so a legend would say it twice.
        svg: draw("bytes-by-zone.svg", &wording.text("chart-zones"), &bars, &colours, |_| None)?,
        wide: false,
    })
}

fn operators(report: &Report, wording: &Wording) -> Result<Chart, ReportError> {
    let mut operators: BTreeMap<String, u64> = BTreeMap::new();
    for destination in &report.destinations {
        let sum = operators.entry(company(destination, wording)).or_default();
        *sum = sum.saturating_add(traffic(destination));
    }
    let bars = ranked(operators.into_iter().map(|(label, n)| (label, vec![(0, n)])), wording);
    let total = bars.iter().fold(0, |sum: u64, b| sum.saturating_add(b.total()));
    let rows = bars
        .iter()
        .map(|b| vec![b.label.clone(), b.value.clone(), wording.share(b.total(), total)])
        .collect();
    let columns = ["chart-operator", "chart-bytes", "chart-share"];
    Ok(Chart {
        file_name: "bytes-by-operator.svg".into(),
        title: wording.text("chart-operators"),
        note: wording.text("chart-operators-note"),
        columns: columns.iter().map(|id| wording.text(id)).collect(),
        rows,
        svg: draw(
            "bytes-by-operator.svg",
            &wording.text("chart-operators"),
            &bars,
            &[(String::new(), BLUE)],
            |_| None,
        )?,
        wide: false,
    })
}

/// The company behind the network of `destination`, so that its several systems are one bar; the operator where that is not known.
fn company(destination: &Destination, wording: &Wording) -> String {
    match &destination.company {
        Some(company) if !is_local(&destination.address) => escape_terminal(company).into_owned(),
        _ => operator(destination, wording),
    }
}

/// The operator of `destination` in words.
pub(crate) fn operator(destination: &Destination, wording: &Wording) -> String {
    match &destination.operator {
        _ if is_local(&destination.address) => wording.text("place-local"),
        None => wording.text("operator-unknown"),
        Some(operator) => match operator.asn {
            None => escape_terminal(&operator.name).into_owned(),
            Some(asn) => wording.with(
                "operator-asn",
                &[("name", Arg::Text(&operator.name)), ("asn", Arg::Text(&asn.to_string()))],
            ),
        },
    }
}

fn verdicts(report: &Report, wording: &Wording) -> Result<Chart, ReportError> {
    let mut messengers: BTreeMap<&str, BTreeMap<usize, u64>> = BTreeMap::new();
    for claim in &report.claims {
        let part = VERDICTS.iter().position(|v| *v == claim.verdict).unwrap_or_default();
        *messengers.entry(&claim.messenger).or_default().entry(part).or_default() += 1;
    }
    let legend: Vec<(String, RGBColor)> = VERDICTS
        .iter()
        .map(|v| (format!("{} {}", words::mark(*v), wording.verdict(*v)), colour(*v)))
        .collect();
    let bars: Vec<Bar> = messengers
        .into_iter()
        .map(|(messenger, parts)| {
            let parts: Vec<(usize, u64)> = parts.into_iter().collect();
            let total = parts.iter().map(|(_, n)| n).sum();
            let value = wording.with("claims-n", &[("n", Arg::Count(total))]);
            Bar { label: wording.messenger(messenger), parts, value }
        })
        .collect();
    let rows = bars.iter().map(|bar| {
        let count = |part| bar.parts.iter().find(|(p, _)| *p == part).map_or(0, |(_, n)| *n);
        let counts = (0..VERDICTS.len()).map(|part| wording.count(count(part)));
        std::iter::once(bar.label.clone()).chain(counts).collect()
    });
    let heads = VERDICTS.iter().map(|v| wording.verdict(*v));
    Ok(Chart {
        file_name: "verdicts-by-messenger.svg".into(),
        title: wording.text("chart-verdicts"),
        note: wording.text("chart-verdicts-note"),
        columns: std::iter::once(wording.text("column-messenger")).chain(heads).collect(),
        rows: rows.collect(),
        svg: draw("verdicts-by-messenger.svg", &wording.text("chart-verdicts"), &bars, &legend, |n| {
            Some(wording.count(n))
        })?,
        wide: false,
    })
}

fn colour(verdict: Verdict) -> RGBColor {
    match verdict {
        Verdict::Supported => GREEN,
        Verdict::Contradicted => VERMILION,
        Verdict::NotContradicted => SKY,
        Verdict::Inconclusive => GREY,
        Verdict::Documentary => PURPLE,
    }
}

/// The largest bars first, at most [`BARS`], then one for all others; bars without bytes are left out.
fn ranked(bars: impl Iterator<Item = (String, Vec<(usize, u64)>)>, wording: &Wording) -> Vec<Bar> {
    let mut bars: Vec<Bar> = bars
        .map(|(label, parts)| Bar { label, parts, value: String::new() })
        .filter(|bar| bar.total() > 0)
        .collect();
    bars.sort_by(|a, b| b.total().cmp(&a.total()).then_with(|| a.label.cmp(&b.label)));
    if bars.len() > BARS + 1 {
        let rest = bars.split_off(BARS);
        let mut parts: BTreeMap<usize, u64> = BTreeMap::new();
        for (part, n) in rest.iter().flat_map(|bar| &bar.parts) {
            let sum = parts.entry(*part).or_default();
            *sum = sum.saturating_add(*n);
        }
        let label = wording.with("chart-rest", &[("n", Arg::Count(rest.len() as u64))]);
        bars.push(Bar { label, parts: parts.into_iter().collect(), value: String::new() });
    }
    for bar in &mut bars {
        bar.value = wording.bytes(bar.total());
    }
    bars
}

const WIDTH: i32 = 400;
const MARGIN: i32 = 4;
const HEAD: i32 = 40;
const BAR_PITCH: i32 = 42;
const BAR_HEIGHT: i32 = 15;
const LEGEND_LINE: i32 = 22;
/// Plotters divides sizes by 1.24 for SVG; these come out as 13 and 16 pixels.
const TEXT_SIZE: f64 = 13.0 * 1.24;
const TITLE_SIZE: f64 = 16.0 * 1.24;
/// Characters of [`TEXT_SIZE`] are about this wide; no font is measured, so that every machine draws the same.
const GLYPH: i32 = 8;

/// Draws bars with their labels above them, so that long names fit and the picture stays legible when scaled to a phone.
fn draw(
    chart: &'static str,
    title: &str,
    bars: &[Bar],
    legend: &[(String, RGBColor)],
    inside: impl Fn(u64) -> Option<String>,
) -> Result<String, ReportError> {
    // A legend of one colour says nothing, nor does an entry that no bar has.
    let named = |i: usize| legend.get(i).is_some_and(|(label, _)| !label.is_empty());
    let used = |i: usize| {
        legend.len() > 1 && named(i) && bars.iter().any(|b| b.parts.iter().any(|(p, n)| *p == i && *n > 0))
    };
    let entries: Vec<&(String, RGBColor)> =
        legend.iter().enumerate().filter(|(i, _)| used(*i)).map(|(_, e)| e).collect();
    let lines = legend_lines(&entries, WIDTH);
    let legend_top = HEAD + BAR_PITCH * i32::try_from(bars.len()).unwrap_or(0) + 8;
    let height = legend_top + LEGEND_LINE * i32::try_from(lines.len()).unwrap_or(0) + MARGIN / 2;

    let mut svg = String::new();
    {
        let fault = |what: &dyn std::fmt::Display| ReportError::Draw { chart, what: what.to_string() };
        let area = SVGBackend::with_string(&mut svg, (WIDTH.unsigned_abs(), height.unsigned_abs()))
            .into_drawing_area();
        let style = |size: f64, h: HPos| {
            ("sans-serif", size, &INK).into_text_style(&area).pos(Pos::new(h, VPos::Center))
        };
        let text = |text: &str, at: (i32, i32), size: f64, h: HPos| {
            area.draw_text(&escape_terminal(text), &style(size, h), at).map_err(|e| fault(&e))
        };
        let rectangle = |corners: [(i32, i32); 2], colour: RGBColor| {
            area.draw(&Rectangle::new(corners, colour.filled())).map_err(|e| fault(&e))
        };
        rectangle([(0, 0), (WIDTH, height)], PAPER)?;
        text(title, (MARGIN, HEAD / 2), TITLE_SIZE, HPos::Left)?;

        let full = WIDTH - 2 * MARGIN;
        let largest = bars.iter().map(Bar::total).max().unwrap_or(1).max(1);
        for (bar, top) in bars.iter().zip((HEAD..).step_by(BAR_PITCH.unsigned_abs() as usize)) {
            let room = (full / GLYPH).unsigned_abs() as usize;
            let label = escape_terminal(&bar.label);
            let label = shorten(&label, room.saturating_sub(bar.value.chars().count() + 2).max(8));
            text(&label, (MARGIN, top + 9), TEXT_SIZE, HPos::Left)?;
            text(&bar.value, (WIDTH - MARGIN, top + 9), TEXT_SIZE, HPos::Right)?;
            let (y0, y1) = (top + 20, top + 20 + BAR_HEIGHT);
            rectangle([(MARGIN, y0), (MARGIN + full, y1)], TRACK)?;
            let mut sum = 0u64;
            let mut x0 = MARGIN;
            for (part, n) in bar.parts.iter().filter(|(_, n)| *n > 0) {
                sum = sum.saturating_add(*n);
                // Through the running sum, so that rounding never makes a bar longer than its whole.
                let x1 = MARGIN + (f64::from(full) * (sum as f64 / largest as f64)).round() as i32;
                let x1 = x1.max(x0 + 2).min(MARGIN + full);
                let colour = legend.get(*part).map_or(GREY, |(_, c)| *c);
                rectangle([(x0, y0), (x1, y1)], colour)?;
                if let Some(number) = inside(*n)
                    && x1 - x0 > GLYPH * (i32::try_from(number.len()).unwrap_or(0) + 1)
                {
                    let black = ("sans-serif", 11.0 * 1.24, &BLACK).into_text_style(&area);
                    let black = black.pos(Pos::new(HPos::Center, VPos::Center));
                    area.draw_text(&number, &black, (i32::midpoint(x0, x1), i32::midpoint(y0, y1) + 1))
                        .map_err(|e| fault(&e))?;
                }
                x0 = x1 + 1;
            }
        }
        for (line, top) in lines.iter().zip((legend_top..).step_by(LEGEND_LINE.unsigned_abs() as usize)) {
            for (x, (label, colour)) in line {
                rectangle([(*x, top + 4), (x + 12, top + 16)], *colour)?;
                text(label, (x + 18, top + 10), TEXT_SIZE, HPos::Left)?;
            }
        }
        area.present().map_err(|e| fault(&e))?;
    }
    Ok(svg)
}

/// Breaks the legend into lines, each entry with where it starts.
fn legend_lines<'a>(
    entries: &[&'a (String, RGBColor)],
    room: i32,
) -> Vec<Vec<(i32, &'a (String, RGBColor))>> {
    let mut lines: Vec<Vec<(i32, &(String, RGBColor))>> = Vec::new();
    let mut x = room;
    for entry in entries {
        let width = 36 + (2 * GLYPH - 1) * i32::try_from(entry.0.chars().count()).unwrap_or(0) / 2;
        if x + width > room {
            lines.push(Vec::new());
            x = MARGIN;
        }
        if let Some(line) = lines.last_mut() {
            line.push((x, entry));
        }
        x += width;
    }
    lines
}
