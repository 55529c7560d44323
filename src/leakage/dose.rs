//! Dose and response: does what a device sends grow with its address book, and by how much for each contact? (METRICS E6, E7)
//!
//! Takes the bytes that went up in runs with 0, 10, 100, 1000 contacts; gives a robust slope with its interval, and what a slope of that
//! size can be. Needs no decryption, and for that says only what sizes can say: several forms of the same size stay
//! several. Compression and batches change the size of a contact; the ranges of the forms allow for both.

use serde::Serialize;

use crate::controls::wilson;
use crate::model::{Control, ControlKind};
use crate::random::Random;

/// Runs at each dose below which nothing is judged.
pub const MIN_REPEATS: usize = 5;
/// Doses below which nothing is judged: two give a line whatever the data are.
pub const MIN_DOSES: usize = 3;
/// Slopes within this many bytes a contact of zero are none.
const NOTHING: f64 = 1.0;
/// A slope that is surely above this is growth with the contacts.
const GROWTH: f64 = 4.0;
/// Runs farther from the median of their dose than this many robust standard deviations are set aside (Hampel's identifier, as in
/// Davies and Gather 1993): a retransmission or an update in between is not the upload, and of five runs one would make the interval.
const FAR: f64 = 4.0;
/// Least standard deviation that is believed, bytes.
const LEAST_SPREAD: f64 = 16.0;
/// Resamplings of an interval.
const RESAMPLINGS: usize = 500;

/// One run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Contacts in the address book.
    pub contacts: u32,
    /// Bytes that the device sent in the step, on the wire.
    pub bytes_up: u64,
}

/// A fitted line.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Slope {
    /// Bytes for each contact more.
    pub bytes_per_contact: f64,
    /// 95 % interval of it: percentile bootstrap, resampled within each dose.
    pub ci95: [f64; 2],
    /// Bytes without contacts: the median of what the slope leaves over.
    pub intercept: f64,
    /// Runs set aside because they lie far from the others of their dose.
    pub outliers: usize,
}

/// What the slope means.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "class")]
pub enum Reading {
    /// There are not [`MIN_REPEATS`] runs at each of [`MIN_DOSES`] doses, or no dose of 0.
    TooFewRuns,
    /// No growth: the whole interval lies within one byte a contact of zero. An upload that is always padded to the same size would look the same.
    Nothing,
    /// Growth in steps: sizes are rounded up, so what is sent grows with the contacts, but a form cannot be told.
    Padded,
    /// Growth with each contact; forms whose size fits, the plainest first. Empty when none does.
    PerContact {
        /// Ids of [`FORMS`].
        forms: Vec<&'static str>,
    },
    /// Neither is sure: more runs are needed.
    Unclear,
}

/// A form in which a contact may be sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Form {
    /// Its id in reports.
    pub id: &'static str,
    /// Bytes a contact on the wire, least and most: from the bare form to a quarter more, for what TLS records, TCP segments and
    /// batches add.
    pub bytes: [f64; 2],
    /// A digest, not the number itself.
    pub hash: bool,
}

const fn form(id: &'static str, least: f64, most: f64, hash: bool) -> Form {
    Form { id, bytes: [least, most], hash }
}

/// Forms by plainness. A number in E.164 has 11 to 15 digits (with sign and separator up to 17 characters), of which ten are random and
/// compress to 10 log2(10) = 33 bits and some overhead.
pub static FORMS: &[Form] = &[
    form("number-integer", 8.0, 10.0, false),
    form("number-text", 11.0, 18.5, false),
    form("number-compressed", 4.0, 7.9, false),
    form("hash-8", 8.0, 10.0, true),
    form("hash-10", 10.0, 12.5, true),
    form("hash-16", 16.0, 20.0, true),
    form("hash-20", 20.0, 25.0, true),
    form("hash-32", 32.0, 40.0, true),
    form("hash-8-base64", 11.0, 15.0, true),
    form("hash-10-base64", 14.0, 20.0, true),
    form("hash-16-base64", 22.0, 30.0, true),
    form("hash-20-base64", 27.0, 35.0, true),
    form("hash-32-base64", 43.0, 55.0, true),
    form("hash-16-hex", 32.0, 40.0, true),
    form("hash-20-hex", 40.0, 50.0, true),
    form("hash-32-hex", 64.0, 80.0, true),
];

/// Theil's and Sen's slope over all pairs of runs with different doses, weighted by the difference of the doses (Sievers 1978): a pair that
/// lies far apart says more. Outliers, such as a retransmitted segment, move it little. `None` with fewer than two doses.
#[must_use]
pub fn slope(trials: &[Trial], seed: u64) -> Option<Slope> {
    let (doses, outliers) = without_outliers(by_dose(trials));
    let all: Vec<(f64, f64)> = points(&doses);
    let bytes_per_contact = weighted_slope(&all)?;
    let mut random = Random::new(seed);
    let mut slopes: Vec<f64> = (0..RESAMPLINGS)
        .filter_map(|_| {
            let drawn: Vec<(f64, f64)> = doses
                .iter()
                .flat_map(|(dose, sizes)| {
                    let draw = (0..sizes.len()).filter_map(|_| sizes.get(random.below(sizes.len())).copied());
                    draw.map(|size| (f64::from(*dose), size)).collect::<Vec<_>>()
                })
                .collect();
            weighted_slope(&drawn)
        })
        .collect();
    slopes.sort_by(f64::total_cmp);
    let at = |share: f64| slopes.get(((slopes.len() as f64 - 1.0) * share).round() as usize).copied();
    let left = all.iter().map(|(x, y)| y - bytes_per_contact * x).collect();
    Some(Slope { bytes_per_contact, ci95: [at(0.025)?, at(0.975)?], intercept: median(left)?, outliers })
}

/// Reads a slope; see [`Reading`].
#[must_use]
pub fn read(trials: &[Trial], seed: u64) -> (Option<Slope>, Reading) {
    let doses = by_dose(trials);
    let enough = doses.len() >= MIN_DOSES && doses.iter().all(|(_, sizes)| sizes.len() >= MIN_REPEATS);
    let slope = slope(trials, seed);
    let (Some(line), true, Some((0, _))) = (slope, enough, doses.first()) else {
        return (slope, Reading::TooFewRuns);
    };
    let (doses, _) = without_outliers(doses);
    let [low, high] = line.ci95;
    let reading = if low >= -NOTHING && high <= NOTHING && !is_stepped(&doses) {
        Reading::Nothing
    } else if is_stepped(&doses) {
        Reading::Padded
    } else if low > GROWTH || (low > NOTHING && line.bytes_per_contact > GROWTH) {
        let fits = |f: &&Form| high >= f.bytes[0] && low <= f.bytes[1];
        Reading::PerContact { forms: FORMS.iter().filter(fits).map(|f| f.id).collect() }
    } else {
        Reading::Unclear
    };
    (slope, reading)
}

/// Bytes a contact of an upload that is planted: a number as an integer, the smallest form that keeps every digit.
const PLANTED: f64 = 8.0;
/// Plantings of one size.
const PLANTINGS: u64 = 100;
/// Sizes for which the smallest that is found is looked up, bytes a contact.
const SIZES: [f64; 6] = [5.0, 6.0, 8.0, 10.0, 16.0, 32.0];
/// Runs of a dose that plantings are made of, so that many runs do not take minutes; fewer runs find less, so that the power is not overstated.
const MAX_REPEATS: usize = 10;

/// The power of "nothing": uploads of `PLANTED` bytes a contact are put into runs drawn anew from those of each dose, and the same
/// reading looks for growth. `None` where the runs themselves do not read as nothing.
#[must_use]
pub fn power(trials: &[Trial], seed: u64) -> Option<Control> {
    if read(trials, seed).1 != Reading::Nothing {
        return None;
    }
    let mut doses: std::collections::BTreeMap<u32, Vec<u64>> = std::collections::BTreeMap::new();
    for trial in trials {
        let runs = doses.entry(trial.contacts).or_default();
        if runs.len() < MAX_REPEATS {
            runs.push(trial.bytes_up);
        }
    }
    let mut random = Random::new(seed);
    let mut found = |size: f64, plantings: u64| {
        let planted = (0..plantings).filter(|n| {
            let mut drawn = Vec::new();
            for (contacts, runs) in &doses {
                for _ in 0..runs.len() {
                    let bytes = runs.get(random.below(runs.len())).copied().unwrap_or_default();
                    let upload = (size * f64::from(*contacts)) as u64;
                    drawn.push(Trial { contacts: *contacts, bytes_up: bytes.saturating_add(upload) });
                }
            }
            matches!(read(&drawn, seed ^ n).1, Reading::PerContact { .. } | Reading::Padded)
        });
        planted.count() as u64
    };
    let hits = found(PLANTED, PLANTINGS);
    // From the largest down, as long as all of twenty are found.
    let reached = SIZES.iter().rev().take_while(|size| found(**size, 20) == 20).last();
    Some(Control {
        planted: PLANTINGS,
        found: hits,
        power: hits as f64 / PLANTINGS as f64,
        ci95: wilson(PLANTINGS, hits),
        smallest_bytes: reached.map(|size| *size as u64),
        kind: ControlKind::Dose,
        missed: Vec::new(),
    })
}

/// Sizes that stay while the address book grows, and jump later: between neighbouring doses the medians differ by less than half of
/// what the line through the outer doses says, by more than the spread of the runs explains, and between others by more than one
/// and a half times that.
fn is_stepped(doses: &[(u32, Vec<f64>)]) -> bool {
    let medians: Vec<(f64, f64)> =
        doses.iter().filter_map(|(dose, sizes)| Some((f64::from(*dose), median(sizes.clone())?))).collect();
    let (Some(first), Some(last)) = (medians.first(), medians.last()) else { return false };
    let whole = (last.1 - first.1) / (last.0 - first.0).max(1.0);
    // Growth that could not be told from none has no steps that could be seen.
    if whole <= NOTHING {
        return false;
    }
    let spread = doses
        .iter()
        .filter_map(|(_, sizes)| {
            let middle = median(sizes.clone())?;
            median(sizes.iter().map(|s| (s - middle).abs()).collect())
        })
        .fold(0.0, f64::max);
    // 1.4826 makes the median deviation comparable to a standard deviation; the standard error of a median of n runs is about
    // 1.25 / sqrt(n) of that, of a difference of two sqrt(2) times as much, and three of these are taken for sure.
    let runs = doses.iter().map(|(_, sizes)| sizes.len()).min().unwrap_or(1).max(1) as f64;
    let sure = 3.0 * 1.4826 * 1.25 * std::f64::consts::SQRT_2 * spread / runs.sqrt();
    medians.windows(2).any(|pair| match pair {
        [a, b] => {
            let expected = whole * (b.0 - a.0);
            let missing = expected - (b.1 - a.1);
            missing > expected / 2.0 && missing > sure.max(256.0)
        }
        _ => false,
    })
}

/// Sizes by dose, ascending.
fn by_dose(trials: &[Trial]) -> Vec<(u32, Vec<f64>)> {
    let mut doses: std::collections::BTreeMap<u32, Vec<f64>> = std::collections::BTreeMap::new();
    for trial in trials {
        doses.entry(trial.contacts).or_default().push(trial.bytes_up as f64);
    }
    doses.into_iter().collect()
}

/// Sets aside what lies far off, with the spread pooled over all doses; more than half of the runs of a dose stay.
fn without_outliers(doses: Vec<(u32, Vec<f64>)>) -> (Vec<(u32, Vec<f64>)>, usize) {
    let off = |sizes: &[f64]| -> Vec<f64> {
        let Some(middle) = median(sizes.to_vec()) else { return Vec::new() };
        sizes.iter().map(|size| (size - middle).abs()).collect()
    };
    let all: Vec<f64> = doses.iter().flat_map(|(_, sizes)| off(sizes)).collect();
    // 1.4826 makes a median deviation comparable to a standard deviation.
    let spread = median(all).map_or(0.0, |m| 1.4826 * m).max(LEAST_SPREAD);
    let mut set_aside = 0;
    let kept = doses.into_iter().map(|(dose, sizes)| {
        let far = off(&sizes);
        let near: Vec<f64> =
            sizes.iter().zip(&far).filter(|(_, d)| **d <= FAR * spread).map(|(s, _)| *s).collect();
        // A dose whose runs scatter as a whole is no dose with outliers.
        if near.len() * 2 <= sizes.len() {
            return (dose, sizes);
        }
        set_aside += sizes.len() - near.len();
        (dose, near)
    });
    (kept.collect(), set_aside)
}

fn points(doses: &[(u32, Vec<f64>)]) -> Vec<(f64, f64)> {
    doses.iter().flat_map(|(dose, sizes)| sizes.iter().map(|size| (f64::from(*dose), *size))).collect()
}

fn weighted_slope(points: &[(f64, f64)]) -> Option<f64> {
    let mut slopes: Vec<(f64, f64)> = Vec::new();
    for (n, (x1, y1)) in points.iter().enumerate() {
        for (x2, y2) in points.iter().skip(n + 1) {
            let run = x2 - x1;
            if run.abs() > 0.0 {
                slopes.push(((y2 - y1) / run, run.abs()));
            }
        }
    }
    slopes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = slopes.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut sum = 0.0;
    slopes.iter().find_map(|(slope, weight)| {
        sum += weight;
        (sum >= half).then_some(*slope)
    })
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 { Some(upper) } else { Some(f64::midpoint(*values.get(middle - 1)?, upper)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A standard normal number (Box and Muller 1958).
    fn normal(r: &mut Random) -> f64 {
        let unit = |r: &mut Random| (r.next() >> 11) as f64 / (1_u64 << 53) as f64;
        let (a, b) = (1.0 - unit(r), unit(r));
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    /// What one run sends: the upload in batches of a hundred, records and segments on top, and an app's own noise around it, now
    /// and then with an outlier.
    fn run(contacts: u32, upload: &dyn Fn(u32) -> Vec<u8>, r: &mut Random) -> u64 {
        let body = upload(contacts).len() as f64;
        let batches = if body > 0.0 { f64::from(contacts.div_ceil(100)) } else { 0.0 };
        let wire = (body + 120.0 * batches) * (1.0 + 66.0 / 1448.0);
        let outlier = if r.below(10) == 0 { 1000.0 + 2000.0 * (r.below(1000) as f64 / 1000.0) } else { 0.0 };
        (30_000.0 + 200.0 * normal(r) + outlier + wire).max(0.0) as u64
    }

    /// Theirs, not the estimator's.
    fn bytes(r: &mut Random, n: usize) -> Vec<u8> {
        (0..n).map(|_| r.next() as u8).collect()
    }

    fn numbers(seed: u64, contacts: u32) -> Vec<u8> {
        let mut r = Random::new(seed);
        (0..contacts).flat_map(|_| format!("+4915{:09}\n", r.below(1_000_000_000)).into_bytes()).collect()
    }

    fn deflated(data: &[u8]) -> Vec<u8> {
        use std::io::Write as _;
        let mut z = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        z.write_all(data).unwrap();
        z.finish().unwrap()
    }

    fn study(repeats: usize, seed: u64, upload: &dyn Fn(u32) -> Vec<u8>) -> (Option<Slope>, Reading) {
        let mut r = Random::new(seed);
        let mut trials = Vec::new();
        for contacts in [0, 10, 100, 1000] {
            for _ in 0..repeats {
                trials.push(Trial { contacts, bytes_up: run(contacts, upload, &mut r) });
            }
        }
        read(&trials, seed)
    }

    /// What goes up for a seed and so many contacts.
    type Upload = Box<dyn Fn(u64, u32) -> Vec<u8>>;
    /// Whether a reading is right.
    type Right = Box<dyn Fn(&Reading) -> bool>;

    #[test]
    fn planted_uploads_get_their_class_in_at_least_95_of_100_trials() {
        let fits = |id: &'static str| move |reading: &Reading| matches!(reading, Reading::PerContact { forms } if forms.contains(&id));
        let cases: Vec<(&str, Upload, Right)> = vec![
            ("numbers", Box::new(numbers), Box::new(fits("number-text"))),
            (
                "numbers, compressed",
                Box::new(|seed, n| deflated(&numbers(seed, n))),
                Box::new(fits("number-compressed")),
            ),
            (
                "SHA-256",
                Box::new(|seed, n| bytes(&mut Random::new(seed), 32 * n as usize)),
                Box::new(fits("hash-32")),
            ),
            (
                "SHA-256, compressed",
                Box::new(|seed, n| deflated(&bytes(&mut Random::new(seed), 32 * n as usize))),
                Box::new(fits("hash-32")),
            ),
            (
                "10-byte hashes",
                Box::new(|seed, n| bytes(&mut Random::new(seed), 10 * n as usize)),
                Box::new(fits("hash-10")),
            ),
            (
                "padded to powers of two",
                Box::new(|seed, n| {
                    let size = (32 * n as usize).next_power_of_two().max(4096);
                    bytes(&mut Random::new(seed), size)
                }),
                Box::new(|reading: &Reading| *reading == Reading::Padded),
            ),
            ("none", Box::new(|_, _| Vec::new()), Box::new(|reading: &Reading| *reading == Reading::Nothing)),
        ];
        for (name, upload, right) in &cases {
            let good = (0..200).filter(|seed| right(&study(5, *seed, &|n| upload(*seed, n)).1)).count();
            println!("{name}: {good} of 200");
            assert!(good >= 190, "{name}: {good} of 200");
        }
    }

    #[test]
    fn the_interval_covers_the_planted_slope() {
        // 32 bytes a contact, the batches' 1.2 and the segments' share: what the control of a scenario uploads.
        let truth = (32.0 + 1.2) * (1.0 + 66.0 / 1448.0);
        let covered = (0..200)
            .filter(|seed| {
                let (line, _) = study(5, *seed, &|n| bytes(&mut Random::new(*seed), 32 * n as usize));
                let [low, high] = line.unwrap().ci95;
                (low..=high).contains(&truth)
            })
            .count();
        // A percentile bootstrap of five runs is narrower than its name; what is promised is said here.
        println!("covered: {covered} of 200");
        assert!(covered >= 160, "{covered} of 200");
    }

    #[test]
    fn fewer_runs_are_not_judged() {
        for seed in 0..50 {
            let upload = |n: u32| bytes(&mut Random::new(seed), 32 * n as usize);
            assert_eq!(study(4, seed, &upload).1, Reading::TooFewRuns);
        }
        let trial = |contacts| Trial { contacts, bytes_up: 1000 };
        assert_eq!(read(&[], 1), (None, Reading::TooFewRuns));
        assert_eq!(read(&[trial(0)], 1).1, Reading::TooFewRuns);
        // Without a run on an empty address book the growth has no ground.
        let no_zero: Vec<Trial> = [10, 100, 1000].into_iter().flat_map(|n| [trial(n); 5]).collect();
        assert_eq!(read(&no_zero, 1).1, Reading::TooFewRuns);
    }

    #[test]
    fn silence_has_the_power_that_plantings_show() {
        let trials = |noise: f64| -> Vec<Trial> {
            let mut r = Random::new(5);
            let mut sent =
                |contacts| Trial { contacts, bytes_up: (30_000.0 + noise * normal(&mut r)).max(0.0) as u64 };
            [0, 10, 100, 1000].into_iter().flat_map(|n| [0; 5].map(|_| n)).map(&mut sent).collect()
        };
        let quiet = power(&trials(200.0), 1).unwrap();
        assert_eq!((quiet.planted, quiet.found), (100, 100), "{quiet:?}");
        assert!(quiet.ci95[0] > 0.95 && quiet.smallest_bytes.is_some_and(|bytes| bytes <= 8), "{quiet:?}");
        assert_eq!(power(&trials(200.0), 1), Some(quiet), "the seed repeats it");
        // Where the spread of the runs hides so small an upload, silence is not read at all.
        assert_eq!(power(&trials(8000.0), 1), None);
        let grown: Vec<Trial> = trials(200.0)
            .into_iter()
            .map(|t| Trial { bytes_up: t.bytes_up + 32 * u64::from(t.contacts), ..t })
            .collect();
        assert_eq!(power(&grown, 1), None, "what is seen needs no power");
    }

    #[test]
    fn one_outlier_moves_the_slope_little_and_the_seed_repeats_it() {
        let mut trials: Vec<Trial> = [0_u32, 10, 100, 1000]
            .into_iter()
            .flat_map(|n| [Trial { contacts: n, bytes_up: 5000 + 32 * u64::from(n) }; 5])
            .collect();
        let clean = slope(&trials, 7).unwrap();
        assert!((clean.bytes_per_contact - 32.0).abs() < 1e-9 && (clean.intercept - 5000.0).abs() < 1e-6);
        trials[0].bytes_up += 1_000_000;
        let soiled = slope(&trials, 7).unwrap();
        assert!((soiled.bytes_per_contact - 32.0).abs() < 1e-9, "{soiled:?}");
        assert_eq!(soiled.outliers, 1);
        assert_eq!(slope(&trials, 7), Some(soiled));
    }
}
