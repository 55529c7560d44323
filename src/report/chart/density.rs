//! The entropy of what flows carry, one band for each class (METRICS E16).
//!
//! Takes the `density` of a report's flows; gives a triangle for each direction, to the right the denser its bytes are and larger the more there are. Bands are
//! labelled, so that no colour has to be told apart. What is dense in the band of opaque ones stays there: no entropy shows encryption.

use std::collections::BTreeSet;

use plotters::prelude::*;

use super::canvas::Canvas;
use super::{Chart, GREEN, GREY, INK, MARGIN, ORANGE, PURPLE, TRACK, VERMILION};
use crate::model::{ContentClass, Direction, FlowDensity, Report};
use crate::report::ReportError;
use crate::report::wording::{Arg, Wording};
use crate::report::words;

const FILE: &str = "entropy-by-flow.svg";
const WIDTH: i32 = 720;
const HEAD: i32 = 44;
const BAND: i32 = 52;
/// Left and right edge of the axis.
const AXIS: (i32, i32) = (170, WIDTH - 90);
/// Bits of a byte.
const MOST_BITS: i32 = 8;
/// Triangles that are drawn, those with the most bytes.
const MARKS: usize = 2000;

fn colour(class: ContentClass) -> RGBColor {
    match class {
        ContentClass::Cleartext => VERMILION,
        ContentClass::Compressed => ORANGE,
        ContentClass::Media => PURPLE,
        ContentClass::Encrypted => GREEN,
        ContentClass::Opaque => INK,
    }
}

/// The chart, when a direction has enough bytes.
pub(super) fn density(report: &Report, wording: &Wording) -> Result<Option<Chart>, ReportError> {
    let all = report.flows.iter().flat_map(|flow| flow.density.iter().map(move |d| (flow.flow, d)));
    let mut measured: Vec<(u64, &FlowDensity, f64)> =
        all.filter_map(|(flow, d)| Some((flow, d, d.entropy_bits?))).collect();
    if measured.is_empty() {
        return Ok(None);
    }
    let total: u64 = measured.iter().fold(0, |sum, (_, d, _)| sum.saturating_add(d.bytes));
    // Stable, so that of equally large ones the first stays.
    measured.sort_by_key(|(_, d, _)| std::cmp::Reverse(d.bytes));
    let mut rows = Vec::new();
    let mut counts = Vec::new();
    for class in ContentClass::ALL {
        let mut bits: Vec<f64> = Vec::new();
        let mut bytes = 0_u64;
        for (_, d, entropy) in measured.iter().filter(|(_, d, _)| d.class == class) {
            bits.push(*entropy);
            bytes = bytes.saturating_add(d.bytes);
        }
        bits.sort_by(f64::total_cmp);
        counts.push(bits.len() as u64);
        let (Some(least), Some(most), Some(median)) =
            (bits.first(), bits.last(), bits.get(bits.len().saturating_sub(1) / 2))
        else {
            continue;
        };
        rows.push(vec![
            wording.text(words::content_class_id(class)),
            wording.count(bits.len() as u64),
            wording.bytes(bytes),
            wording.share(bytes, total),
            wording.decimal(*median, 2),
            format!("{} – {}", wording.decimal(*least, 2), wording.decimal(*most, 2)),
        ]);
    }
    let heads = [
        "chart-class",
        "chart-directions",
        "chart-bytes",
        "chart-share",
        "chart-median-entropy",
        "chart-range-entropy",
    ];
    Ok(Some(Chart {
        file_name: FILE.into(),
        title: wording.text("chart-entropy"),
        note: wording.text("chart-entropy-note"),
        columns: heads.map(|id| wording.text(id)).to_vec(),
        rows,
        svg: draw(&measured, &counts, wording)?,
        wide: true,
    }))
}

/// Where so many bits stand on the axis.
fn at(bits: f64) -> i32 {
    let share = (bits / f64::from(MOST_BITS)).clamp(0.0, 1.0);
    AXIS.0 + (f64::from(AXIS.1 - AXIS.0) * share).round() as i32
}

fn draw(
    measured: &[(u64, &FlowDensity, f64)],
    counts: &[u64],
    wording: &Wording,
) -> Result<String, ReportError> {
    let bottom = HEAD + BAND * ContentClass::ALL.len() as i32;
    let height = bottom + 70;
    Canvas::draw(FILE, (WIDTH, height), |canvas| {
        canvas.title(&wording.text("chart-entropy"))?;
        for ((class, count), top) in
            ContentClass::ALL.into_iter().zip(counts).zip((HEAD..).step_by(BAND.unsigned_abs() as usize))
        {
            canvas.rectangle((AXIS.0, top + 2), (AXIS.1, top + BAND - 2), TRACK)?;
            canvas.text(&wording.text(words::content_class_id(class)), (MARGIN, top + BAND / 2))?;
            canvas.text_right(&wording.count(*count), (WIDTH - MARGIN, top + BAND / 2))?;
        }
        for bits in 0..=MOST_BITS {
            let x = at(f64::from(bits));
            canvas.line(&[(x, HEAD), (x, bottom + 4)], GREY)?;
            canvas.small_text(&wording.count(bits.unsigned_abs().into()), (x, bottom + 14), INK)?;
        }
        canvas.small_text(&wording.text("chart-bits"), (i32::midpoint(AXIS.0, AXIS.1), bottom + 31), INK)?;
        // Equal shapes in one place are one.
        let mut drawn: BTreeSet<(i32, i32, i32, bool)> = BTreeSet::new();
        for (flow, d, bits) in measured.iter().take(MARKS) {
            let band =
                ContentClass::ALL.iter().position(|class| *class == d.class).unwrap_or_default() as i32;
            // Neighbours of the same density stand apart by their flow's number, and directions in halves of the band.
            let up = d.direction == Direction::Up;
            let middle = HEAD + BAND * band + if up { BAND / 3 } else { BAND * 2 / 3 };
            let y = middle + ((flow * 5) % 7) as i32 - 3;
            let size = 3 + (d.bytes.max(1).ilog10() as i32).min(9) * 2 / 3;
            let x = at(*bits);
            if drawn.insert((x, y, size, up)) {
                canvas.veil(&triangle((x, y), size, up), colour(d.class))?;
            }
        }
        let legend = bottom + 54;
        let mut x = AXIS.0;
        for (id, up) in [("chart-up", true), ("chart-down", false)] {
            canvas.polygon(&triangle((x, legend), 6, up), INK)?;
            let label = wording.text(id);
            canvas.text(&label, (x + 14, legend))?;
            x += 40 + 8 * label.chars().count() as i32;
        }
        let left_out = measured.len().saturating_sub(MARKS) as u64;
        if left_out > 0 {
            canvas.text(&wording.with("chart-left-out", &[("n", Arg::Count(left_out))]), (x, legend))?;
        }
        Ok(())
    })
}

/// A triangle around a point that points up or down.
fn triangle((x, y): (i32, i32), size: i32, up: bool) -> [(i32, i32); 3] {
    let tip = if up { -size } else { size };
    [(x, y + tip), (x - size, y - tip), (x + size, y - tip)]
}
