//! The trials of a scenario, in the order in which they are to be run.
//!
//! Takes a [`Scenario`] and a seed; gives the same list for the same two, on every machine. Runs nothing.

use super::language::{Amount, Control, Order};
use super::load::{Scenario, Step};
use crate::model::Text;
use crate::random::Random;

/// One run through the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trial {
    /// A control instead of the steps.
    pub control: Option<Control>,
    /// The dose; `None` without doses, and in controls.
    pub dose: Option<u64>,
    /// Which repeat it is, from 1.
    pub repeat: u32,
}

impl Scenario {
    /// The seed that is used when none is given: from the scenario's hash, so that two who run the same file run the same order. It has
    /// 53 bits: more are not exact in programs whose numbers are all floating-point (RFC 8259 section 6).
    #[must_use]
    pub fn seed(&self) -> u64 {
        let first = self.sha256.get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok());
        first.unwrap_or_default() >> 11
    }

    /// Its trials, controls among them. `seed` matters only where the order is random.
    #[must_use]
    pub fn plan(&self, seed: u64) -> Vec<Trial> {
        let doses: Vec<Option<u64>> = match &self.dose {
            Some((_, values)) => values.iter().copied().map(Some).collect(),
            None => vec![None],
        };
        let mut trials = Vec::new();
        for control in &self.controls {
            let all = (1..=self.repeats).map(|repeat| Trial { control: Some(*control), dose: None, repeat });
            trials.extend(all);
        }
        for dose in doses {
            trials.extend((1..=self.repeats).map(|repeat| Trial { control: None, dose, repeat }));
        }
        if self.order == Order::Random {
            // Fisher and Yates, from the end.
            let mut random = Random::new(seed);
            for at in (1..trials.len()).rev() {
                let other = random.below(at + 1);
                trials.swap(at, other);
            }
        }
        trials
    }
}

impl Amount {
    /// Its value in a trial.
    #[must_use]
    pub fn in_trial(self, trial: &Trial) -> u64 {
        match self {
            Amount::Fixed(value) => value,
            Amount::Dose(_) => trial.dose.unwrap_or_default(),
        }
    }
}

impl Step {
    /// What a person is told in a trial, with the values in their places.
    #[must_use]
    pub fn told(&self, trial: &Trial) -> Text {
        let fill = |text: &str| self.filled(text, &|amount| amount.in_trial(trial).to_string());
        Text { en: fill(&self.say.en), de: fill(&self.say.de) }
    }

    /// A text with the step's values in their places, each in the words that `said` has for it.
    #[must_use]
    pub fn filled(&self, text: &str, said: &dyn Fn(Amount) -> String) -> String {
        let values =
            [("{contacts}", self.contacts), ("{characters}", self.characters), ("{seconds}", self.seconds)];
        let fill = |text: String, (key, amount): (&str, Option<Amount>)| match amount {
            Some(amount) => text.replace(key, &said(amount)),
            None => text,
        };
        values.into_iter().fold(text.to_owned(), fill)
    }
}
