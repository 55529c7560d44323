//! The steps of a scenario by time, so that a flow's bytes are known for each of them.
//!
//! Takes when each step began; gives the step of a time. A step lasts until the next one begins: what an app sends late is of the
//! step that caused it, and between two steps nothing else was done.

use crate::model::{CaptureTime, StepBytes};

/// Steps by name that are told apart.
const MAX_STEPS: usize = 256;

/// When the steps of a run began; none without marks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepTimes {
    names: Vec<String>,
    /// Beginnings in order, nanoseconds since 1970, each with the place of its step among the names.
    begins: Vec<(i64, u16)>,
}

/// Bytes up and down, by the place of the step.
pub(super) type ByStep = Vec<(u16, [u64; 2])>;

impl StepTimes {
    /// Of steps and their beginnings, nanoseconds since 1970, in any order. Of more than 256 names the first are told apart.
    pub fn new<'s>(steps: impl IntoIterator<Item = (i64, &'s str)>) -> StepTimes {
        let mut steps: Vec<_> = steps.into_iter().collect();
        steps.sort_by_key(|(time, _)| *time);
        let mut times = StepTimes::default();
        for (time, name) in steps {
            let place = times.names.iter().position(|n| n == name).unwrap_or(times.names.len());
            if place == times.names.len() {
                if place == MAX_STEPS {
                    continue;
                }
                times.names.push(name.to_owned());
            }
            times.begins.push((time, place as u16));
        }
        times
    }

    /// The place of the step of a time; `None` before the first one.
    pub(super) fn at(&self, time: CaptureTime) -> Option<u16> {
        let after = self.begins.partition_point(|(begin, _)| *begin <= time.0);
        after.checked_sub(1).and_then(|at| self.begins.get(at)).map(|(_, place)| *place)
    }

    /// Counts bytes in a direction, 0 up and 1 down.
    pub(super) fn add(&self, all: &mut ByStep, time: CaptureTime, direction: usize, bytes: u64) {
        let Some(step) = self.at(time) else { return };
        let at = match all.last() {
            Some((last, _)) if *last == step => all.len() - 1,
            _ => all.iter().position(|(known, _)| *known == step).unwrap_or(all.len()),
        };
        if at == all.len() {
            all.push((step, [0; 2]));
        }
        if let Some(sum) = all.get_mut(at).and_then(|(_, sums)| sums.get_mut(direction)) {
            *sum += bytes;
        }
    }

    /// The same with the steps' names, by their first packets.
    pub(super) fn named(&self, all: &ByStep) -> Vec<StepBytes> {
        let told = |(step, [up, down]): &(u16, [u64; 2])| {
            let step = self.names.get(usize::from(*step))?.clone();
            Some(StepBytes { step, bytes_up: *up, bytes_down: *down })
        };
        all.iter().filter_map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_lasts_until_the_next() {
        let times = StepTimes::new([(30, "idle"), (10, "register"), (20, "contact-sync"), (40, "register")]);
        let named = |time| times.at(CaptureTime(time)).map(|at| times.names[usize::from(at)].as_str());
        for (time, step) in [
            (9, None),
            (10, Some("register")),
            (19, Some("register")),
            (20, Some("contact-sync")),
            (30, Some("idle")),
            (i64::MAX, Some("register")),
        ] {
            assert_eq!(named(time), step, "{time}");
        }
        let mut all = ByStep::new();
        for (time, direction, bytes) in [(5, 0, 1), (12, 0, 100), (22, 1, 7), (50, 0, 11), (25, 0, 3)] {
            times.add(&mut all, CaptureTime(time), direction, bytes);
        }
        let told: Vec<_> =
            times.named(&all).into_iter().map(|s| (s.step, s.bytes_up, s.bytes_down)).collect();
        assert_eq!(told, [("register".to_owned(), 111, 0), ("contact-sync".to_owned(), 3, 7)]);
        assert_eq!(StepTimes::default().at(CaptureTime(5)), None);
    }

    #[test]
    fn names_are_bounded() {
        let names: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        let times = StepTimes::new(names.iter().enumerate().map(|(n, name)| (n as i64, name.as_str())));
        assert_eq!((times.names.len(), times.begins.len()), (256, 256));
    }
}
