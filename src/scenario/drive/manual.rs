//! The driver for people: says what to do, in English or German, and waits for Enter.
//!
//! Takes steps of every kind; prompts through [`Options::say`] and reads answers from standard input, a line each: empty (done), `s`
//! (left out), `f` (failed), `q` (end the run). Works for every app and every device, and from a pipe.

use std::io::{BufRead, Read};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Instant;

use super::{Ask, Driver, DriverInfo, Facts, LOOK, Options, StepFault};
use crate::model::Text;
use crate::scenario::{Control, Scenario, Step};

/// As it is registered.
pub(super) static INFO: DriverInfo = DriverInfo {
    id: "manual",
    purpose: "a person does the steps, on any device, and presses Enter",
    needs: &[],
    suits: |_, _| true,
    make: |options| Ok(Box::new(Manual::new(options))),
};

/// Bytes of an answer that are read.
const MAX_ANSWER: u64 = 1000;

/// The driver.
pub struct Manual {
    german: bool,
    say: Option<fn(&str)>,
    /// The app was taken away for a control.
    away: bool,
    answers: Option<Receiver<String>>,
}

impl Manual {
    /// A new one, which says what it says through [`Options::say`].
    #[must_use]
    pub fn new(options: &Options) -> Manual {
        Manual { german: options.german, say: options.say, away: false, answers: None }
    }

    fn pick<'t>(&self, en: &'t str, de: &'t str) -> &'t str {
        if self.german { de } else { en }
    }

    fn tell_it(&self, text: &str) {
        if let Some(say) = self.say {
            say(text);
        }
    }

    /// The next line of an answer; lines that came too early count for the step at hand, which is how a pipe works.
    fn answer(&mut self, until: Option<Instant>, stop: &AtomicBool) -> Result<String, StepFault> {
        let answers = self.answers.get_or_insert_with(lines);
        let began = Instant::now();
        loop {
            if stop.load(std::sync::atomic::Ordering::Relaxed) {
                return Err(StepFault::Interrupted);
            }
            match answers.recv_timeout(LOOK) {
                Ok(line) => return Ok(line.trim().to_lowercase()),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(StepFault::Failed("nobody answers: standard input has ended".into()));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(until) = until.filter(|until| Instant::now() >= *until) {
                let what = self.pick("no answer", "keine Antwort").to_owned();
                return Err(StepFault::Timeout { what, within: until.saturating_duration_since(began) });
            }
        }
    }

    /// Asks until the answer is one.
    fn ask(&mut self, text: &str, until: Option<Instant>, stop: &AtomicBool) -> Result<(), StepFault> {
        let keys = self.pick(
            "Enter: done · s: left out · f: failed · q: end the run",
            "Enter: erledigt · s: ausgelassen · f: misslungen · q: Lauf beenden",
        );
        let keys = keys.to_owned();
        self.tell_it(&format!("→ {text}\n  [{keys}]"));
        loop {
            match self.answer(until, stop)?.as_str() {
                "" => return Ok(()),
                "s" => return Err(StepFault::Skipped),
                "f" => {
                    let what = self.pick("a person says that it failed", "laut Mensch am Gerät misslungen");
                    return Err(StepFault::Failed(what.to_owned()));
                }
                "q" => return Err(StepFault::Ended),
                _ => self.tell_it(&format!("  [{keys}]")),
            }
        }
    }
}

/// Lines of standard input, from a thread that ends with the input or the process.
fn lines() -> Receiver<String> {
    let (send, lines) = sync_channel(1024);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut line = Vec::new();
        while let Ok(1..) = {
            line.clear();
            input.by_ref().take(MAX_ANSWER).read_until(b'\n', &mut line)
        } {
            if send.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    });
    lines
}

impl Driver for Manual {
    fn can(&self, _scenario: &Scenario, _step: &Step) -> Result<(), String> {
        Ok(())
    }

    fn begin(&mut self, scenario: &Scenario, _stop: &AtomicBool) -> Result<Facts, StepFault> {
        let words = |text: &Text| if self.german { text.de.clone() } else { text.en.clone() };
        let lines: Vec<String> = std::iter::once(words(&scenario.title))
            .chain(scenario.needs.as_ref().map(&words))
            .chain(scenario.device.state.as_ref().map(&words))
            .collect();
        for line in lines {
            self.tell_it(&line);
        }
        Ok(Facts::default())
    }

    fn prepare(&mut self, ask: &Ask<'_>, control: Option<Control>) -> Result<(), StepFault> {
        if self.away && control != Some(Control::WithoutApp) {
            let back = self.pick(
                "Bring the app back as it was before the control without it.",
                "Die App wieder so herstellen, wie sie vor der Kontrolle ohne App war.", // typos: off, German
            );
            let back = back.to_owned();
            self.ask(&back, None, ask.stop)?;
            self.away = false;
        }
        let (en, de) = match control {
            None => return Ok(()),
            Some(Control::IdleDevice) => (
                "Control: leave the device with the app alone until told otherwise.",
                "Kontrolle: Das Gerät mit der App bis auf Weiteres nicht anrühren.",
            ),
            Some(Control::WithoutApp) => (
                "Control without the app: remove or disable the app; leave the device alone until told otherwise.",
                "Kontrolle ohne App: Die App entfernen oder deaktivieren; das Gerät bis auf Weiteres nicht anrühren.",
            ),
        };
        let text = self.pick(en, de).to_owned();
        self.ask(&text, None, ask.stop)?;
        self.away = control == Some(Control::WithoutApp);
        Ok(())
    }

    fn tell(&mut self, ask: &Ask<'_>) {
        let text = if self.german { ask.told.de.clone() } else { ask.told.en.clone() };
        self.tell_it(&format!("… {text}"));
    }

    fn step(&mut self, ask: &Ask<'_>) -> Result<(), StepFault> {
        let mut text = if self.german { ask.told.de.clone() } else { ask.told.en.clone() };
        if !ask.contacts.is_empty() {
            text = format!("{text} ({:?})", ask.folder.join("contacts.vcf"));
        }
        if let Some(message) = &ask.text {
            text = format!("{text}\n{message}");
        } else if let Some(canary) = ask.canary() {
            text = format!("{text}\n{canary}");
        }
        self.ask(&text, Some(ask.until), ask.stop)
    }

    fn expect(&mut self, ask: &Ask<'_>, text: &str) -> Result<(), StepFault> {
        let told = format!("{} {text:?}", self.pick("Is this seen:", "Ist zu sehen:")); // typos: off, German
        self.ask(&told, Some(ask.until), ask.stop)
    }
}
