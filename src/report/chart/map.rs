//! A map of the destinations: the world, and Europe enlarged.
//!
//! Takes a report; gives countries shaded by how far the sources agree, numbered marks with a list beside them, and the places from which
//! was measured. Each class has a colour, a shape and a word. Where sources dispute a place every country that they name is hatched;
//! what the round trip strikes out is crossed. Outlines are those of the bound, thinned to the picture's pixels.

use std::collections::BTreeMap;

use plotters::prelude::*;

use super::canvas::Canvas;
use super::{BLUE, Chart, GREY, INK, ORANGE, PAPER, SKY, TRACK, VERMILION, is_local, traffic};
use crate::destination::Outlines;
use crate::model::{Agreement, Destination, Report, Whereabouts};
use crate::report::ReportError;
use crate::report::wording::{Arg, Wording};
use crate::report::words;

const FILE: &str = "destinations-map.svg";
const WIDTH: i32 = 720;
const HEAD: i32 = 40;
/// Countries that get a number; the rest is counted.
const NUMBERED: usize = 12;
/// Points in degrees east and north, or in pixels.
type Line = Vec<(f64, f64)>;

/// Points closer than this are one.
const THIN: f64 = 1.8;

/// What is known of a country as a place of destinations, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    All,
    Majority,
    Single,
    Disputed,
    StruckOut,
}

impl Class {
    const EACH: [Class; 5] = [Class::All, Class::Majority, Class::Single, Class::Disputed, Class::StruckOut];

    fn colour(self) -> RGBColor {
        match self {
            Class::All => BLUE,
            Class::Majority => SKY,
            Class::Single => ORANGE,
            Class::Disputed => VERMILION,
            Class::StruckOut => GREY,
        }
    }

    fn message(self) -> &'static str {
        match self {
            Class::All => words::agreement_id(Agreement::All),
            Class::Majority => words::agreement_id(Agreement::Majority),
            Class::Single => words::agreement_id(Agreement::Single),
            Class::Disputed => words::agreement_id(Agreement::Disagree),
            Class::StruckOut => "map-struck-out",
        }
    }
}

/// A country with the bytes of the destinations that may stand there.
struct Marked<'a> {
    code: &'a str,
    class: Class,
    /// Of the destinations of that class, where all that agree are one.
    bytes: u64,
    /// Of the destinations that may stand here or elsewhere.
    disputed: u64,
    /// Of the destinations that a source places here, but which the round trip strikes out.
    struck: u64,
}

impl Marked<'_> {
    /// Whether the picture shows a class for the country.
    fn shows(&self, class: Class) -> bool {
        self.class == class || (class == Class::StruckOut && self.struck > 0)
    }
}

/// The map, when any destination has a country to show.
pub(super) fn map(report: &Report, wording: &Wording) -> Result<Option<Chart>, ReportError> {
    let marked = marked(&report.destinations);
    if marked.is_empty() {
        return Ok(None);
    }
    let places: Vec<&Whereabouts> = {
        let mut all: Vec<&Whereabouts> =
            report.inputs.iter().filter_map(|i| i.run.as_ref()?.place.as_ref()).collect();
        all.sort();
        all.dedup();
        all
    };
    let rows = marked
        .iter()
        .map(|m| {
            vec![
                wording.country(m.code),
                wording.text(m.class.message()),
                wording.bytes(m.bytes),
                wording.bytes(m.disputed),
                wording.bytes(m.struck),
            ]
        })
        .collect();
    Ok(Some(Chart {
        file_name: FILE.into(),
        title: wording.text("chart-map"),
        note: wording.text("chart-map-note"),
        columns: ["chart-country", "chart-agreement", "chart-bytes", "chart-disputed", "map-struck-out"]
            .map(|id| wording.text(id))
            .to_vec(),
        rows,
        svg: draw(&marked, &places, wording)?,
        wide: true,
    }))
}

/// Countries by bytes, most first. A disputed destination counts for each country that its sources name, but is added to no bytes on which
/// they agree.
fn marked(destinations: &[Destination]) -> Vec<Marked<'_>> {
    let mut found: BTreeMap<&str, BTreeMap<Class, u64>> = BTreeMap::new();
    let mut add = |code, class, bytes: u64| {
        let sum = found.entry(code).or_default().entry(class).or_default();
        *sum = sum.saturating_add(bytes);
    };
    for destination in destinations.iter().filter(|d| traffic(d) > 0 && !is_local(&d.address)) {
        let class = match destination.agreement {
            Agreement::All => Class::All,
            Agreement::Majority => Class::Majority,
            Agreement::Single => Class::Single,
            Agreement::Disagree | Agreement::None => Class::Disputed,
        };
        let agreed = destination.country.as_deref().filter(|_| class != Class::Disputed);
        for code in super::named_countries(destination) {
            if destination.rtt_excludes.iter().any(|excluded| excluded == code) {
                add(code, Class::StruckOut, traffic(destination));
            } else if agreed.is_none() {
                add(code, Class::Disputed, traffic(destination));
            }
        }
        if let Some(code) = agreed {
            add(code, class, traffic(destination));
        }
    }
    let mut marked: Vec<Marked<'_>> = found
        .into_iter()
        .filter_map(|(code, classes)| {
            let class = *classes.first_key_value()?.0;
            let sum = |from: Class, to: Class| {
                classes.range(from..=to).fold(0, |sum: u64, (_, n)| sum.saturating_add(*n))
            };
            let agreed = sum(Class::All, Class::Single);
            let disputed = sum(Class::Disputed, Class::Disputed);
            let struck = sum(Class::StruckOut, Class::StruckOut);
            let bytes = match class {
                Class::Disputed => disputed,
                Class::StruckOut => struck,
                _ => agreed,
            };
            Some(Marked { code, class, bytes, disputed, struck })
        })
        .collect();
    marked.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.code.cmp(b.code)));
    marked
}

/// A part of the globe and where it is drawn.
#[derive(Clone, Copy)]
struct Panel {
    west: f64,
    north: f64,
    /// Pixels a degree.
    scale: (f64, f64),
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

/// Both projections are equirectangular: straight borders stay straight, and nothing has to be cut but at the frame.
const WORLD: Panel = Panel {
    west: -180.0,
    north: 84.0,
    scale: (2.0, 2.0),
    left: 0.0,
    top: HEAD as f64,
    right: WIDTH as f64,
    bottom: HEAD as f64 + 280.0,
};
const EUROPE: Panel = Panel {
    west: -11.5,
    north: 62.5,
    scale: (9.6, 15.6),
    left: 0.0,
    top: WORLD.bottom + 10.0,
    right: 420.0,
    bottom: WORLD.bottom + 10.0 + 420.0,
};

impl Panel {
    fn pixel(&self, (lon, lat): (f64, f64)) -> (f64, f64) {
        (self.left + (lon - self.west) * self.scale.0, self.top + (self.north - lat) * self.scale.1)
    }

    fn holds(&self, (x, y): (f64, f64)) -> bool {
        (self.left..=self.right).contains(&x) && (self.top..=self.bottom).contains(&y)
    }
}

/// The points of each arc that a panel needs; the same for both countries along it, so that no gap opens.
fn thinned(panel: &Panel) -> Vec<Line> {
    let thin = |arc: &Line| {
        let mut kept: Vec<(f64, f64)> = Vec::new();
        for (at, &point) in arc.iter().enumerate() {
            let far = kept.last().is_none_or(|last| {
                let (dx, dy) = ((point.0 - last.0) * panel.scale.0, (point.1 - last.1) * panel.scale.1);
                dx * dx + dy * dy > THIN * THIN
            });
            if far || at + 1 == arc.len() {
                kept.push(point);
            }
        }
        kept
    };
    Outlines::embedded().arcs().iter().map(thin).collect()
}

/// The polygons of a country in a panel, cut at its frame.
fn polygons(code: &str, arcs: &[Line], panel: &Panel) -> Vec<Line> {
    let mut drawn = Vec::new();
    for ring in Outlines::embedded().rings(code) {
        let points = unwrapped(ring, arcs);
        // A ring across the antimeridian is drawn at both ends of the map.
        for turn in [-360.0, 0.0, 360.0] {
            let pixels: Vec<(f64, f64)> =
                points.iter().map(|(lon, lat)| panel.pixel((lon + turn, *lat))).collect();
            let cut = cut(&pixels, panel);
            if cut.len() > 2 {
                drawn.push(cut);
            }
        }
    }
    drawn
}

/// The points of a ring with longitudes that do not jump.
fn unwrapped(ring: &[i32], arcs: &[Line]) -> Line {
    let mut points: Vec<(f64, f64)> = Vec::new();
    let mut push = |(lon, lat): (f64, f64)| {
        let lon = points.last().map_or(lon, |last| last.0 + (lon - last.0 + 540.0).rem_euclid(360.0) - 180.0);
        points.push((lon, lat));
    };
    for &n in ring {
        let arc = usize::try_from(if n < 0 { !n } else { n }).ok().and_then(|n| arcs.get(n));
        let arc = arc.map(Vec::as_slice).unwrap_or_default();
        if n < 0 {
            for point in arc.iter().rev() {
                push(*point);
            }
        } else {
            for point in arc {
                push(*point);
            }
        }
    }
    points
}

fn extent(points: &[(f64, f64)]) -> f64 {
    let span = |of: fn(&(f64, f64)) -> f64| {
        let (low, high) = points
            .iter()
            .map(of)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        if low <= high { high - low } else { 0.0 }
    };
    span(|p| p.0).max(span(|p| p.1))
}

/// Cuts a polygon at the four sides of a panel (Sutherland and Hodgman).
fn cut(points: &[(f64, f64)], panel: &Panel) -> Line {
    let x_at = |x: f64| move |a: (f64, f64), b: (f64, f64)| (x, a.1 + (b.1 - a.1) * (x - a.0) / (b.0 - a.0));
    let y_at = |y: f64| move |a: (f64, f64), b: (f64, f64)| (a.0 + (b.0 - a.0) * (y - a.1) / (b.1 - a.1), y);
    let side = |points: Vec<(f64, f64)>,
                inside: &dyn Fn((f64, f64)) -> bool,
                meet: &dyn Fn((f64, f64), (f64, f64)) -> (f64, f64)| {
        let mut kept = Vec::with_capacity(points.len());
        let mut last = points.last().copied();
        for &point in &points {
            if let Some(last) = last
                && inside(last) != inside(point)
            {
                kept.push(meet(last, point));
            }
            if inside(point) {
                kept.push(point);
            }
            last = Some(point);
        }
        kept
    };
    let points = side(points.to_vec(), &|p| p.0 >= panel.left, &x_at(panel.left));
    let points = side(points, &|p| p.0 <= panel.right, &x_at(panel.right));
    let points = side(points, &|p| p.1 >= panel.top, &y_at(panel.top));
    side(points, &|p| p.1 <= panel.bottom, &y_at(panel.bottom))
}

/// Twice the area of a polygon, signed.
fn area(points: &[(f64, f64)]) -> f64 {
    let next = points.iter().cycle().skip(1);
    points.iter().zip(next).map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum()
}

/// The middle of the largest polygon.
fn middle(polygons: &[Line]) -> Option<(f64, f64)> {
    let largest = polygons.iter().max_by(|a, b| area(a).abs().total_cmp(&area(b).abs()))?;
    let whole = area(largest);
    if whole.abs() < 1e-9 {
        return largest.first().copied();
    }
    let next = largest.iter().cycle().skip(1);
    let (x, y) = largest.iter().zip(next).fold((0.0, 0.0), |(x, y), (a, b)| {
        let part = a.0 * b.1 - b.0 * a.1;
        (x + (a.0 + b.0) * part, y + (a.1 + b.1) * part)
    });
    Some((x / (3.0 * whole), y / (3.0 * whole)))
}

fn rounded((x, y): (f64, f64)) -> (i32, i32) {
    (x.round() as i32, y.round() as i32)
}

/// Whole pixels, without repeats.
fn pixels(points: &[(f64, f64)]) -> Vec<(i32, i32)> {
    let mut out: Vec<(i32, i32)> = points.iter().map(|p| rounded(*p)).collect();
    out.dedup();
    out
}

/// Lines across the polygons at an angle of 45°, `every` pixels apart.
fn hatch(polygons: &[Line], every: i32) -> Vec<[(f64, f64); 2]> {
    let mut lines = Vec::new();
    let sums = polygons.iter().flatten().map(|(x, y)| x + y);
    let (low, high) = sums.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), s| (l.min(s), h.max(s)));
    if low > high {
        return lines;
    }
    let mut at = (low / f64::from(every)).ceil() * f64::from(every);
    while at <= high {
        let mut crossings: Vec<f64> = Vec::new();
        for polygon in polygons {
            for (a, b) in polygon.iter().zip(polygon.iter().cycle().skip(1)) {
                let (from, to) = (a.0 + a.1 - at, b.0 + b.1 - at);
                if (from < 0.0) != (to < 0.0) {
                    crossings.push(a.0 + (b.0 - a.0) * from / (from - to));
                }
            }
        }
        crossings.sort_by(f64::total_cmp);
        lines.extend(crossings.chunks_exact(2).filter_map(|pair| {
            let [x0, x1] = *pair else { return None };
            Some([(x0, at - x0), (x1, at - x1)])
        }));
        at += f64::from(every);
    }
    lines
}

/// A numbered mark and the point that it speaks of.
struct Mark {
    number: usize,
    class: Class,
    anchor: (f64, f64),
    at: (f64, f64),
}

/// Half the size of a mark.
const MARK: f64 = 9.0;

/// Moves marks apart until they can be read; they stay in their panel.
fn spread(marks: &mut [Mark], panel: &Panel, keep_off: &[(f64, f64)]) {
    const APART: f64 = 2.0 * MARK + 3.0;
    for _ in 0..200 {
        let mut moved = false;
        for i in 0..marks.len() {
            let Some(here) = marks.get(i).map(|m| m.at) else { continue };
            let others: Vec<(f64, f64)> = marks
                .iter()
                .enumerate()
                .filter(|(j, _)| *j != i)
                .map(|(_, m)| m.at)
                .chain(keep_off.iter().copied())
                .collect();
            for (j, other) in others.into_iter().enumerate() {
                let (dx, dy) = (here.0 - other.0, here.1 - other.1);
                let distance = (dx * dx + dy * dy).sqrt();
                if distance < APART {
                    // Two on the same spot part sideways, the later one to the right.
                    let (ux, uy) = if distance > 0.01 {
                        (dx / distance, dy / distance)
                    } else {
                        (if j < i { 1.0 } else { -1.0 }, 0.3)
                    };
                    let push = (APART - distance) / 2.0 + 0.1;
                    if let Some(mark) = marks.get_mut(i) {
                        mark.at = (
                            (here.0 + ux * push).clamp(panel.left + MARK + 1.0, panel.right - MARK - 1.0),
                            (here.1 + uy * push).clamp(panel.top + MARK + 1.0, panel.bottom - MARK - 1.0),
                        );
                    }
                    moved = true;
                    break;
                }
            }
        }
        if !moved {
            return;
        }
    }
}

fn draw(marked: &[Marked<'_>], places: &[&Whereabouts], wording: &Wording) -> Result<String, ReportError> {
    let height = EUROPE.bottom as i32 + 6;
    Canvas::draw(FILE, (WIDTH, height), |canvas| {
        canvas.title(&wording.text("chart-map"))?;
        for panel in [WORLD, EUROPE] {
            let arcs = thinned(&panel);
            land(canvas, marked, &arcs, &panel)?;
            if panel.top < EUROPE.top {
                let (x0, y0) = WORLD.pixel((EUROPE.west, EUROPE.north));
                let east = EUROPE.west + (EUROPE.right - EUROPE.left) / EUROPE.scale.0;
                let south = EUROPE.north - (EUROPE.bottom - EUROPE.top) / EUROPE.scale.1;
                canvas.frame(rounded((x0, y0)), rounded(WORLD.pixel((east, south))))?;
            }
            canvas
                .frame(rounded((panel.left, panel.top)), rounded((panel.right - 1.0, panel.bottom - 1.0)))?;
            // An island smaller than a pixel has no middle left, but it has a place.
            let middle_of = |code: &str, panel: &Panel| {
                let drawn = polygons(code, &arcs, panel);
                let speck = || {
                    let ring = Outlines::embedded().rings(code).next()?;
                    let at = panel.pixel(*unwrapped(ring, &arcs).first()?);
                    panel.holds(at).then_some(at)
                };
                middle(&drawn).or_else(speck)
            };
            let stands: Vec<(f64, f64)> = places
                .iter()
                .filter_map(|place| match place {
                    Whereabouts::Country(code) => middle_of(code, &panel),
                    Whereabouts::Point { .. } => place.degrees().map(|(lat, lon)| panel.pixel((lon, lat))),
                })
                .filter(|at| panel.holds(*at) && (panel.top >= EUROPE.top || !in_europe(*at)))
                .collect();
            let mut marks: Vec<Mark> = marked
                .iter()
                .take(NUMBERED)
                .enumerate()
                .filter_map(|(i, m)| {
                    let anchor = middle_of(m.code, &panel)?;
                    // What the enlarged part shows is numbered there.
                    (panel.top >= EUROPE.top || !in_europe(anchor)).then_some(Mark {
                        number: i + 1,
                        class: m.class,
                        anchor,
                        at: anchor,
                    })
                })
                .collect();
            spread(&mut marks, &panel, &stands);
            for mark in &marks {
                let (dx, dy) = (mark.at.0 - mark.anchor.0, mark.at.1 - mark.anchor.1);
                if dx * dx + dy * dy > MARK * MARK {
                    canvas.line(&[rounded(mark.anchor), rounded(mark.at)], INK)?;
                    canvas.disc(rounded(mark.anchor), 2, INK)?;
                }
            }
            for mark in &marks {
                sign(canvas, mark.class, rounded(mark.at), &mark.number.to_string())?;
            }
            for stand in stands {
                vantage(canvas, rounded(stand))?;
            }
        }
        list(canvas, marked, !places.is_empty(), wording)
    })
}

/// Whether a point of the world map lies in the part that is drawn enlarged.
fn in_europe(at: (f64, f64)) -> bool {
    let (lon, lat) =
        ((at.0 - WORLD.left) / WORLD.scale.0 + WORLD.west, WORLD.north - (at.1 - WORLD.top) / WORLD.scale.1);
    EUROPE.holds(EUROPE.pixel((lon, lat)))
}

fn land(canvas: &Canvas<'_>, marked: &[Marked<'_>], arcs: &[Line], panel: &Panel) -> Result<(), ReportError> {
    let mut shapes: Vec<(f64, Line, RGBColor)> = Vec::new();
    for code in Outlines::embedded().codes() {
        let class = marked.iter().find(|m| m.code == code).map(|m| m.class);
        let fill = class.filter(|c| *c <= Class::Single).map_or(TRACK, Class::colour);
        for polygon in polygons(code, arcs, panel) {
            // Islands that are hardly a dot say nothing, unless they are the place that is meant.
            if class.is_some() || extent(&polygon) >= 2.5 {
                shapes.push((area(&polygon).abs(), polygon, fill));
            }
        }
    }
    // A country within another one comes after it; holes need not be drawn then.
    shapes.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (_, polygon, fill) in &shapes {
        canvas.polygon(&pixels(polygon), *fill)?;
    }
    for border in borders(arcs, panel) {
        canvas.line(&border, PAPER)?;
    }
    for m in marked.iter().filter(|m| m.class == Class::Disputed) {
        for [a, b] in hatch(&polygons(m.code, arcs, panel), 5) {
            canvas.line(&[rounded(a), rounded(b)], VERMILION)?;
        }
    }
    // Also where other destinations do stand: what the list crosses out is crossed out in the picture.
    for m in marked.iter().filter(|m| m.struck > 0) {
        let drawn = polygons(m.code, arcs, panel);
        let mirrored: Vec<Line> =
            drawn.iter().map(|line| line.iter().map(|(x, y)| (-x, *y)).collect()).collect();
        let back = hatch(&mirrored, 6).into_iter().map(|line| line.map(|(x, y)| (-x, y)));
        for [a, b] in hatch(&drawn, 6).into_iter().chain(back) {
            canvas.line(&[rounded(a), rounded(b)], GREY)?;
        }
    }
    Ok(())
}

/// The lines along which two countries meet, within a panel; coasts need none.
fn borders(arcs: &[Line], panel: &Panel) -> Vec<Vec<(i32, i32)>> {
    let outlines = Outlines::embedded();
    let mut uses: BTreeMap<i32, u32> = BTreeMap::new();
    for n in outlines.codes().flat_map(|code| outlines.rings(code)).flatten() {
        *uses.entry(if *n < 0 { !*n } else { *n }).or_default() += 1;
    }
    let shared =
        uses.into_iter().filter(|(_, n)| *n > 1).filter_map(|(n, _)| arcs.get(usize::try_from(n).ok()?));
    let mut lines = Vec::new();
    for arc in shared {
        let mut line: Vec<(i32, i32)> = Vec::new();
        let points: Vec<(f64, f64)> = arc.iter().map(|p| panel.pixel(*p)).collect();
        for (a, b) in points.iter().zip(points.iter().skip(1)) {
            match clipped(*a, *b, panel) {
                Some([from, to]) => {
                    if line.last() != Some(&rounded(from)) {
                        lines.push(std::mem::take(&mut line));
                        line.push(rounded(from));
                    }
                    line.push(rounded(to));
                }
                None => lines.push(std::mem::take(&mut line)),
            }
        }
        lines.push(line);
    }
    for line in &mut lines {
        line.dedup();
    }
    lines.retain(|line| line.len() > 1);
    lines
}

/// The part of a line that lies within a panel (Liang and Barsky).
fn clipped(a: (f64, f64), b: (f64, f64), panel: &Panel) -> Option<[(f64, f64); 2]> {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let (mut from, mut to) = (0.0f64, 1.0f64);
    for (step, room) in
        [(-dx, a.0 - panel.left), (dx, panel.right - a.0), (-dy, a.1 - panel.top), (dy, panel.bottom - a.1)]
    {
        if step == 0.0 {
            if room < 0.0 {
                return None;
            }
        } else if step < 0.0 {
            from = from.max(room / step);
        } else {
            to = to.min(room / step);
        }
    }
    let at = |t: f64| (a.0 + dx * t, a.1 + dy * t);
    (from <= to).then(|| [at(from), at(to)])
}

/// The mark of a class with something written in it.
fn sign(canvas: &Canvas<'_>, class: Class, at: (i32, i32), text: &str) -> Result<(), ReportError> {
    let (x, y) = at;
    let r = MARK as i32;
    let square = |r: i32| vec![(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)];
    let diamond = |r: i32| vec![(x, y - r), (x + r, y), (x, y + r), (x - r, y)];
    let triangle = |r: i32| vec![(x, y - r - 2), (x + r, y + r - 2), (x - r, y + r - 2)];
    match class {
        Class::All => {
            canvas.disc(at, r + 1, PAPER)?;
            canvas.disc(at, r, BLUE)?;
        }
        Class::Majority => {
            canvas.polygon(&square(r), PAPER)?;
            canvas.polygon(&square(r - 1), SKY)?;
        }
        Class::Single => {
            canvas.polygon(&diamond(r + 5), PAPER)?;
            canvas.polygon(&diamond(r + 3), ORANGE)?;
        }
        Class::Disputed => {
            canvas.polygon(&triangle(r + 5), PAPER)?;
            canvas.polygon(&triangle(r + 3), VERMILION)?;
        }
        Class::StruckOut => {
            canvas.polygon(&square(r), PAPER)?;
            for thick in -1..=1 {
                canvas.line(&[(x - r + thick, y + r), (x + r + thick, y - r)], GREY)?;
                canvas.line(&[(x - r + thick, y - r), (x + r + thick, y + r)], GREY)?;
            }
            if !text.is_empty() {
                canvas.disc(at, r - 2, PAPER)?;
            }
        }
    }
    let colour = match class {
        Class::All => WHITE,
        Class::StruckOut => INK,
        _ => BLACK,
    };
    canvas.small_text(text, (x, if class == Class::Disputed { y + 2 } else { y + 1 }), colour)
}

/// The mark of a place from which was measured: a ring around a point.
fn vantage(canvas: &Canvas<'_>, at: (i32, i32)) -> Result<(), ReportError> {
    canvas.disc(at, 8, PAPER)?;
    canvas.disc(at, 7, INK)?;
    canvas.disc(at, 5, PAPER)?;
    canvas.disc(at, 2, INK)
}

/// The numbered countries and what the marks mean, beside the enlarged part.
fn list(
    canvas: &Canvas<'_>,
    marked: &[Marked<'_>],
    any_place: bool,
    wording: &Wording,
) -> Result<(), ReportError> {
    const LINE: i32 = 21;
    let left = EUROPE.right as i32 + 8;
    let mut y = EUROPE.top as i32 + 12;
    for (i, m) in marked.iter().take(NUMBERED).enumerate() {
        let bytes = wording.bytes(m.bytes);
        canvas.text_right(&format!("{}", i + 1), (left + 16, y))?;
        let room = 33usize.saturating_sub(bytes.chars().count());
        canvas.text(&crate::report::escape::shorten(&wording.country(m.code), room), (left + 24, y))?;
        canvas.text_right(&bytes, (WIDTH - 4, y))?;
        y += LINE;
    }
    let more = marked.len().saturating_sub(NUMBERED) as u64;
    if more > 0 {
        canvas.text(&wording.with("chart-rest", &[("n", Arg::Count(more))]), (left + 24, y))?;
    }
    let used: Vec<Class> =
        Class::EACH.into_iter().filter(|class| marked.iter().any(|m| m.shows(*class))).collect();
    let lines = used.len() as i32 + i32::from(any_place);
    let mut y = EUROPE.bottom as i32 - lines * 24 + 8;
    for class in used {
        sign(canvas, class, (left + 12, y), "")?;
        canvas.text(&wording.text(class.message()), (left + 32, y))?;
        y += 24;
    }
    if any_place {
        vantage(canvas, (left + 12, y))?;
        canvas.text(&wording.text("map-vantage"), (left + 32, y))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_is_cut_at_the_frame() {
        let panel = Panel { left: 0.0, top: 0.0, right: 10.0, bottom: 10.0, ..WORLD };
        let half = cut(&[(-5.0, 2.0), (5.0, 2.0), (5.0, 8.0), (-5.0, 8.0)], &panel);
        assert!((area(&half).abs() - 2.0 * 5.0 * 6.0).abs() < 1e-9 && half.iter().all(|p| panel.holds(*p)));
        assert!(cut(&[(-5.0, 2.0), (-1.0, 2.0), (-1.0, 8.0)], &panel).is_empty());
        assert!(cut(&[], &panel).is_empty());
        assert_eq!(middle(&[half]), Some((2.5, 5.0)));
    }

    /// A country in which one destination stands and for which another is too far is both.
    #[test]
    fn what_is_struck_out_is_drawn_beside_what_stands_there() {
        let end = |address: &str, country: Option<&str>, excludes: &[&str], bytes| Destination {
            address: address.into(),
            country: country.map(str::to_owned),
            agreement: Agreement::All,
            places: vec![crate::model::Place {
                country: "US".into(),
                source: "a".into(),
                as_of: String::new(),
            }],
            rtt_excludes: excludes.iter().map(|code| (*code).to_owned()).collect(),
            bytes_down: bytes,
            ..Destination::default()
        };
        let ends = [end("8.8.8.8", Some("US"), &[], 70), end("9.9.9.9", None, &["US"], 30)];
        let both = marked(&ends);
        let all: Vec<_> = both.iter().map(|m| (m.code, m.class, m.bytes, m.struck)).collect();
        assert_eq!(all, [("US", Class::All, 70, 30)]);
        assert!(
            both[0].shows(Class::All) && both[0].shows(Class::StruckOut) && !both[0].shows(Class::Single)
        );
        let wording = Wording::new(crate::report::Lang::En);
        let crossed = draw(&both, &[], &wording).unwrap();
        let plain = draw(&marked(&ends[..1]), &[], &wording).unwrap();
        let word = wording.text("map-struck-out");
        assert!(crossed.contains(&word) && !plain.contains(&word));
        assert!(crossed.len() > plain.len() + 500, "the land itself is crossed out");
    }

    #[test]
    fn hatching_stays_within() {
        let square = vec![(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)];
        let lines = hatch(&[square], 5);
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines.iter().flatten().all(|(x, y)| (0.0..=10.0).contains(x) && (0.0..=10.0).contains(y)));
        assert!(hatch(&[], 5).is_empty());
    }

    #[test]
    fn marks_are_moved_apart() {
        let mark = |x: f64| Mark { number: 1, class: Class::All, anchor: (x, 100.0), at: (x, 100.0) };
        let mut marks = [mark(100.0), mark(100.0), mark(103.0), mark(1.0)];
        spread(&mut marks, &WORLD, &[]);
        for (i, a) in marks.iter().enumerate() {
            for b in &marks[..i] {
                let (dx, dy) = (a.at.0 - b.at.0, a.at.1 - b.at.1);
                assert!((dx * dx + dy * dy).sqrt() > 2.0 * MARK, "{:?} {:?}", a.at, b.at);
            }
        }
    }

    #[test]
    fn russia_is_drawn_at_both_ends() {
        let arcs = thinned(&WORLD);
        let shapes = polygons("RU", &arcs, &WORLD);
        assert!(shapes.iter().flatten().all(|p| WORLD.holds(*p)));
        for side in [0.0..20.0, 700.0..720.0] {
            assert!(shapes.iter().flatten().any(|p| side.contains(&p.0)), "{side:?}");
        }
    }
}
