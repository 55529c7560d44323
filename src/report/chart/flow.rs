//! The flow diagram: from messengers through operators to countries, as wide as the bytes.
//!
//! Takes the report's `exposure.paths`; gives three columns of bars and the bands between them. A band's colour is the legal zone of its
//! country, which the legend names; what goes to no known country or operator has a bar of its own.

use std::collections::BTreeMap;

use plotters::prelude::*;

use super::canvas::Canvas;
use super::{BLUE, Chart, GREEN, GREY, INK, PURPLE, SKY, VERMILION, legend_lines};
use crate::model::{PathBytes, Report, Zone};
use crate::report::ReportError;
use crate::report::escape::{escape_terminal, shorten};
use crate::report::wording::{Arg, Wording};
use crate::report::words;

const FILE: &str = "flow-of-bytes.svg";
const WIDTH: i32 = 720;
const TOP: i32 = 64;
const BAR: i32 = 12;
/// Left edges of the three columns of bars.
const COLUMNS: [i32; 3] = [4, 250, WIDTH - BAR - 4];
/// Bars of a column; the rest is summed up in one more.
const BARS: usize = 10;
/// Pixels for all bytes.
const FULL: f64 = 320.0;
/// Room that a label needs.
const SLOT: f64 = 18.0;
const GAP: f64 = 5.0;

/// Colour of a zone.
pub(super) fn colour(zone: Zone) -> RGBColor {
    match zone {
        Zone::Ch => GREEN,
        Zone::Eea => BLUE,
        Zone::Adequate => SKY,
        Zone::Us => VERMILION,
        Zone::Other => PURPLE,
        Zone::Unknown => GREY,
    }
}

/// One bar of a column.
struct Bar {
    label: String,
    bytes: u64,
    top: f64,
    height: f64,
    /// How far bands have used it up on its left and right side.
    used: [f64; 2],
}

/// The diagram, when there are bytes to show.
pub(super) fn flow(report: &Report, wording: &Wording) -> Result<Option<Chart>, ReportError> {
    let total: u64 = report.exposure.paths.iter().fold(0, |sum, p| sum.saturating_add(p.bytes));
    if total == 0 {
        return Ok(None);
    }
    let labels = |path: &PathBytes| {
        [
            path.messenger
                .as_deref()
                .map_or_else(|| wording.text("flow-no-messenger"), |m| wording.messenger(m)),
            path.operator
                .as_deref()
                .map_or_else(|| wording.text("operator-unknown"), |o| escape_terminal(o).into_owned()),
            path.country.as_deref().map_or_else(|| wording.text("flow-no-country"), |c| wording.country(c)),
        ]
    };
    let mut columns: [BTreeMap<String, u64>; 3] = Default::default();
    for path in &report.exposure.paths {
        for (column, label) in columns.iter_mut().zip(labels(path)) {
            let sum = column.entry(label).or_default();
            *sum = sum.saturating_add(path.bytes);
        }
    }
    let mut columns = columns.map(|sums| bars(sums, total, wording));
    // Where a label went: its own bar, or that of the rest.
    let place = |bars: &[Bar], label: &str| {
        bars.iter().position(|b| b.label == label).unwrap_or(bars.len().saturating_sub(1))
    };
    let mut bands: BTreeMap<([usize; 3], Zone), u64> = BTreeMap::new();
    for path in &report.exposure.paths {
        let [messenger, operator, country] = labels(path);
        let [left, centre, right] = &columns;
        let key = [place(left, &messenger), place(centre, &operator), place(right, &country)];
        let sum = bands.entry((key, path.zone)).or_default();
        *sum = sum.saturating_add(path.bytes);
    }
    let mut rows: Vec<(u64, Vec<String>)> = report
        .exposure
        .paths
        .iter()
        .filter(|path| path.bytes > 0)
        .map(|path| {
            let mut row = labels(path).to_vec();
            row.extend([
                wording.text(words::zone_id(path.zone)),
                wording.bytes(path.bytes),
                wording.share(path.bytes, total),
            ]);
            (path.bytes, row)
        })
        .collect();
    rows.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    rows.truncate(60);
    let heads =
        ["column-messenger", "chart-operator", "chart-country", "chart-zone", "chart-bytes", "chart-share"];
    Ok(Some(Chart {
        file_name: FILE.into(),
        title: wording.text("chart-flow"),
        note: wording.text("chart-flow-note"),
        columns: heads.map(|id| wording.text(id)).to_vec(),
        rows: rows.into_iter().map(|(_, row)| row).collect(),
        svg: draw(&mut columns, &bands, total, wording)?,
        wide: true,
    }))
}

/// The bars of a column from the top, most bytes first.
fn bars(sums: BTreeMap<String, u64>, total: u64, wording: &Wording) -> Vec<Bar> {
    let mut sums: Vec<(String, u64)> = sums.into_iter().filter(|(_, n)| *n > 0).collect();
    sums.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    if sums.len() > BARS + 1 {
        let rest = sums.split_off(BARS);
        let label = wording.with("chart-rest", &[("n", Arg::Count(rest.len() as u64))]);
        sums.push((label, rest.iter().fold(0, |sum, (_, n)| sum.saturating_add(*n))));
    }
    let mut top = f64::from(TOP);
    sums.into_iter()
        .map(|(label, bytes)| {
            let height = (bytes as f64 / total as f64 * FULL).max(1.5);
            let slot = height.max(SLOT);
            let bar = Bar { label, bytes, top: top + (slot - height) / 2.0, height, used: [0.0; 2] };
            top += slot + GAP;
            bar
        })
        .collect()
}

fn draw(
    columns: &mut [Vec<Bar>; 3],
    bands: &BTreeMap<([usize; 3], Zone), u64>,
    total: u64,
    wording: &Wording,
) -> Result<String, ReportError> {
    let zones: Vec<(String, RGBColor)> = Zone::ALL
        .into_iter()
        .filter(|zone| bands.iter().any(|((_, z), n)| z == zone && *n > 0))
        .map(|zone| (wording.text(words::zone_id(zone)), colour(zone)))
        .collect();
    let legend = legend_lines(&zones.iter().collect::<Vec<_>>(), WIDTH);
    let ends = columns.iter().flatten().map(|b| (b.top + b.height.max(SLOT)) as i32);
    let bottom = ends.max().unwrap_or(TOP) + 10;
    let height = bottom + 22 * i32::try_from(legend.len()).unwrap_or(0) + 4;
    Canvas::draw(FILE, (WIDTH, height), |canvas| {
        canvas.title(&wording.text("chart-flow"))?;
        canvas.text(&wording.text("column-messenger"), (COLUMNS[0], TOP - 16))?;
        canvas.text(&wording.text("chart-operator"), (COLUMNS[1], TOP - 16))?;
        canvas.text_right(&wording.text("chart-country"), (WIDTH - 4, TOP - 16))?;
        let [left, centre, right] = columns;
        for (([m, o, _], zone), bytes) in bands {
            let thick = *bytes as f64 / total as f64 * FULL;
            let (Some(messenger), Some(operator)) = (left.get_mut(*m), centre.get_mut(*o)) else { continue };
            band(canvas, (messenger, COLUMNS[0]), (operator, COLUMNS[1]), thick, colour(*zone))?;
        }
        // By operator first, so that the bands leave a bar in the order in which they come to the next ones.
        let mut order: Vec<_> = bands.iter().collect();
        order.sort_by_key(|(([m, o, c], zone), _)| (*o, *c, *m, *zone));
        for (([_, o, c], zone), bytes) in order {
            let thick = *bytes as f64 / total as f64 * FULL;
            let (Some(operator), Some(country)) = (centre.get_mut(*o), right.get_mut(*c)) else { continue };
            band(canvas, (operator, COLUMNS[1]), (country, COLUMNS[2]), thick, colour(*zone))?;
        }
        for (column, x) in [&*left, &*centre, &*right].into_iter().zip(COLUMNS) {
            for bar in column {
                let (y0, y1) = (bar.top.round() as i32, (bar.top + bar.height).round() as i32);
                canvas.rectangle((x, y0), (x + BAR, y1.max(y0 + 1)), INK)?;
                let share = wording.share(bar.bytes, total);
                let y = (bar.top + bar.height / 2.0).round() as i32 + 1;
                let room =
                    if x == COLUMNS[2] { 26 } else { 33usize.saturating_sub(share.chars().count() + 1) };
                let label = format!("{} {share}", shorten(&bar.label, room));
                if x == COLUMNS[2] {
                    canvas.text_right(&label, (x - 6, y))?;
                } else {
                    canvas.text(&label, (x + BAR + 6, y))?;
                }
            }
        }
        for (line, top) in legend.iter().zip((bottom..).step_by(22)) {
            for (x, (label, colour)) in line {
                canvas.rectangle((*x, top + 4), (x + 12, top + 16), *colour)?;
                canvas.text(label, (x + 18, top + 10))?;
            }
        }
        Ok(())
    })
}

/// A band from the right side of one bar to the left side of another.
fn band(
    canvas: &Canvas<'_>,
    (from, x0): (&mut Bar, i32),
    (to, x1): (&mut Bar, i32),
    thick: f64,
    colour: RGBColor,
) -> Result<(), ReportError> {
    const STEPS: u32 = 20;
    let [_, right] = &mut from.used;
    let [left, _] = &mut to.used;
    let (y0, y1) = (from.top + *right, to.top + *left);
    *right += thick;
    *left += thick;
    let (x0, x1) = (f64::from(x0 + BAR), f64::from(x1));
    // Half a cosine: level at both ends.
    let edge = |step: u32, lower: f64| {
        let t = f64::from(step) / f64::from(STEPS);
        let bend = 0.5 - (std::f64::consts::PI * t).cos() / 2.0;
        ((x0 + (x1 - x0) * t).round() as i32, (y0 + (y1 - y0) * bend + lower).round() as i32)
    };
    // A band of less than a pixel would not be seen.
    let lower = thick.max(1.0);
    let upper = (0..=STEPS).map(|step| edge(step, 0.0));
    let points: Vec<(i32, i32)> = upper.chain((0..=STEPS).rev().map(|step| edge(step, lower))).collect();
    canvas.veil(&points, colour)
}
