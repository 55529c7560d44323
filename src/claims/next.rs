//! What to do to decide a claim that is still open: for each reason a sentence and a line for a shell.
//!
//! Takes the claim, why it is open and what captures there are; gives [`Next`] entries. The lines use tcpdump to record and this program to
//! judge; a test parses what they call.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::Catalogue;
use super::language::Claim;
use super::predicate::Facts;
use super::wording::Words;
use crate::controls::PLANTED;
use crate::model::{DoseClass, Input, Leakage, Next, Report, Run, Text, Vantage};

/// Captures that a line names; with more it speaks of the folder.
const MAX_FILES: usize = 4;
/// Planted controls that bound a power well enough: of 60 that are all found the interval begins at 94 %.
const CONTROLS: u32 = 60;
/// Seconds of a recording.
const SECONDS: u32 = 600;
/// Of the longest: a day.
const MOST_SECONDS: f64 = 86_400.0;
/// Runs of a dose that make a line certain which five leave open.
const MANY: u64 = 10;
/// The doses of METRICS E6.
const DOSES: [u32; 4] = [0, 10, 100, 1000];

/// The steps to take, the likeliest first; never empty.
pub(super) fn steps(
    claim: &Claim,
    key: &str,
    reason: &str,
    report: &Report,
    facts: &Facts<'_>,
    catalogue: &Catalogue,
    words: &Words,
) -> Vec<Next> {
    let line = Line { claim, report, facts, catalogue, words };
    if key == "undecided-by-hand" || !claim.is_decidable() {
        return vec![line.by_hand(key)];
    }
    match (reason, key) {
        ("vantage-unsuitable", "vantage") => line.vantage(),
        ("vantage-unsuitable", "dose-of-others") => vec![line.doses("next-alone")],
        ("vantage-unsuitable", _) if claim.asks_for_place() => vec![line.place()],
        ("vantage-unsuitable", _) => vec![line.by_hand(key)],
        ("too-few-runs" | "control-failed", _) if claim.waits_for_doses() => vec![line.doses("next-dose")],
        ("too-few-runs", _) => vec![line.repeat()],
        ("opaque", _) => line.opaque(),
        ("control-failed", _) => vec![line.control()],
        _ if claim.waits_for_doses() => vec![line.doses("next-dose")],
        _ if claim.needs_keys() => vec![line.record_with_keys()],
        _ => vec![line.record("next-record")],
    }
}

/// How to learn what the silence of a claim that nothing contradicted is worth.
pub(super) fn power(
    claim: &Claim,
    report: &Report,
    facts: &Facts<'_>,
    catalogue: &Catalogue,
    words: &Words,
) -> Vec<Next> {
    let line = Line { claim, report, facts, catalogue, words };
    if PLANTED.contains(&claim.control.as_str()) {
        let command = line.judged_with(&line.claim_files(), &format!(" --controls {CONTROLS}"));
        return vec![line.next("next-power", &[], command)];
    }
    vec![line.next("next-name-control", &[], line.show())]
}

struct Line<'a> {
    claim: &'a Claim,
    report: &'a Report,
    facts: &'a Facts<'a>,
    catalogue: &'a Catalogue,
    words: &'a Words,
}

impl Line<'_> {
    /// What a run of the claim would say of itself; `more` holds further keys.
    fn run(&self, steps: &[String], more: &str) -> String {
        let list =
            |words: &[String]| serde_json::to_string(words).unwrap_or_default().replace("\",\"", "\", \"");
        let mut json = format!("{{\"messenger\": \"{}\", \"steps\": {}", self.claim.messenger, list(steps));
        // Writing into a String cannot fail.
        let _ = write!(json, ", \"vantage\": \"{}\"", self.where_to().id());
        let canaries = self.claim.canaries();
        if !canaries.is_empty() {
            let planted: Vec<String> =
                canaries.iter().map(|name| format!("\"{name}\": \"{}\"", planted(name))).collect();
            let _ = write!(json, ", \"canaries\": {{{}}}", planted.join(", "));
        }
        json.push_str(more);
        json.push('}');
        json
    }

    /// What has to be planted, in words; empty where nothing has.
    fn planting(&self) -> Text {
        let canaries = self.claim.canaries();
        let texts: Vec<String> =
            canaries.iter().filter(|name| variable(name).is_none()).map(|name| planted(name)).collect();
        let variables: Vec<&str> = canaries.iter().filter_map(|name| variable(name)).collect();
        let mut told = Text::default();
        for (key, list) in
            [("next-plant-text", texts.join(", ")), ("next-plant-variable", variables.join(", "))]
        {
            if !list.is_empty() {
                let text = self.words.say(key, &[("list", list)]);
                told =
                    Text { en: format!("{} {}", told.en, text.en), de: format!("{} {}", told.de, text.de) };
            }
        }
        told
    }

    /// Whether runs of the messenger have planted what the claim asks for.
    fn has_planted(&self) -> bool {
        let runs = self.report.inputs.iter().filter_map(|i| i.run.as_ref());
        let own = runs.filter(|r| r.messenger.as_deref() == Some(self.claim.messenger.as_str()));
        let planted: Vec<&String> = own.flat_map(|r| r.canaries.keys()).collect();
        self.claim.canaries().iter().all(|name| planted.iter().any(|canary| Claim::is_called(canary, name)))
    }

    /// A run with what is planted, and its keys.
    fn record_with_keys(&self) -> Next {
        let mut next = self.record("next-record-with-keys");
        next.command.push_str(" --keylog KEYS.log");
        next
    }

    /// Where to record: on the path where that will do, since nothing on the device changes the traffic there.
    fn where_to(&self) -> Vantage {
        let wanted = [Vantage::Router, Vantage::Device, Vantage::Vpn, Vantage::Server];
        let allowed = |v: &Vantage| self.claim.vantage.is_empty() || self.claim.vantage.contains(v);
        wanted.into_iter().find(allowed).unwrap_or(Vantage::Router)
    }

    /// The steps to run: the claim's, or a message where it names none.
    fn steps(&self) -> Vec<String> {
        if self.claim.steps.is_empty() { vec!["text-1to1".to_owned()] } else { self.claim.steps.clone() }
    }

    /// Those that no run of the messenger exercised yet; all where each was.
    fn missing(&self) -> Vec<String> {
        let captures: BTreeSet<&str> = self.facts.flows.iter().map(|f| f.capture.as_str()).collect();
        let of_messenger = |run: &&Run| run.messenger.as_deref() == Some(self.claim.messenger.as_str());
        let inputs = self.report.inputs.iter().filter(|i| captures.contains(i.file.as_str()));
        let runs: Vec<&Run> = inputs.filter_map(|i| i.run.as_ref()).filter(of_messenger).collect();
        let all = self.steps();
        let missing: Vec<String> =
            all.iter().filter(|s| !runs.iter().any(|r| r.steps.contains(s))).cloned().collect();
        if missing.is_empty() { all } else { missing }
    }

    /// The files of the claims, where they are not the built-in ones.
    fn claim_files(&self) -> String {
        let mut options = String::new();
        if !self.catalogue.is_embedded() {
            for path in self.catalogue.paths() {
                let _ = write!(options, " --claims {}", quoted(path));
            }
        }
        options
    }

    /// The options that a judgement of these claims takes.
    fn options(&self) -> String {
        let mut options = self.claim_files();
        // Of claims on ends, calls and rest only those that rest on silence have a use for it.
        let silent = self.claim.absence && matches!(self.claim.control.as_str(), "K3" | "K6" | "K7" | "K8");
        if self.claim.control == "K1" || silent {
            options.push_str(" --controls 200");
        }
        options
    }

    /// The captures there are, as a command names them.
    fn judged(&self, more: &str) -> String {
        self.judged_with(&self.options(), more)
    }

    fn judged_with(&self, options: &str, more: &str) -> String {
        let captures: BTreeSet<&str> = self.facts.flows.iter().map(|f| f.capture.as_str()).collect();
        if captures.is_empty() || captures.len() > MAX_FILES {
            return format!("metaleak study {}{options}{more}", self.folder());
        }
        let of_messenger = self.report.inputs.iter().filter(|i| captures.contains(i.file.as_str()));
        let files: Vec<String> = of_messenger.map(|i| quoted(i.path.as_ref().unwrap_or(&i.file))).collect();
        format!("metaleak replay {}{options}{more}", files.join(" "))
    }

    /// The claim with its sources.
    fn show(&self) -> String {
        format!("metaleak claims show {}{}", quoted(&self.claim.id), self.claim_files())
    }

    /// The folder that all captures are in, as it was given; the present one where there is none.
    fn common_folder(&self) -> PathBuf {
        let given = self.report.inputs.iter().filter_map(|i| i.path.as_deref()).filter(|path| *path != "-");
        let mut folders = given.map(|path| Path::new(path).parent().unwrap_or(Path::new("")));
        let Some(first) = folders.next() else { return PathBuf::new() };
        folders.fold(first.to_owned(), |common, folder| {
            common.components().zip(folder.components()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
        })
    }

    /// The same as a word of a shell.
    fn folder(&self) -> String {
        let folder = self.common_folder();
        if folder.as_os_str().is_empty() { ".".to_owned() } else { quoted(&folder.to_string_lossy()) }
    }

    /// A file in that folder, so that new runs lie beside those that they are judged with.
    fn beside(&self, name: &str) -> String {
        self.common_folder().join(name).to_string_lossy().into_owned()
    }

    /// The numbers behind a name that captures have already, `NAME-7.pcap` or `NAME-100-7.pcap`, the highest; 0 where none has it.
    fn numbered(&self, name: &str) -> u64 {
        let number = |input: &Input| {
            let file = input.file.rsplit('/').next().unwrap_or_default();
            let rest = crate::scenario::stem(file).strip_prefix(name)?;
            if rest.is_empty() {
                return Some(1);
            }
            rest.strip_prefix('-')?.rsplit('-').next()?.parse().ok()
        };
        self.report.inputs.iter().filter_map(number).max().unwrap_or_default()
    }

    fn name(&self, steps: &[String]) -> String {
        let step = steps.first().map_or("run", String::as_str);
        format!("{}-{step}", self.claim.messenger)
    }

    fn next(&self, key: &str, values: &[(&str, String)], command: String) -> Next {
        Next { what: self.words.say(key, values), command }
    }

    /// A step that has to last takes a recording that lasts.
    fn seconds(&self) -> u32 {
        SECONDS.max((self.claim.seconds() * 1.1).min(MOST_SECONDS) as u32)
    }

    fn recorder(&self, name: &str) -> String {
        let seconds = self.seconds();
        format!("timeout {seconds} tcpdump -i any -w {name}.pcap")
    }

    /// With what has to be planted told beside what to do.
    fn plant(&self, mut next: Next) -> Next {
        let planting = self.planting();
        next.what.en.push_str(&planting.en);
        next.what.de.push_str(&planting.de);
        next
    }

    /// One run with the steps that are missing.
    fn record(&self, key: &str) -> Next {
        let steps = self.missing();
        let mut name = self.name(&steps);
        let known = self.numbered(&name);
        if known > 0 {
            let _ = write!(name, "-{}", known.saturating_add(1));
        }
        let name = quoted(&self.beside(&name));
        let command = format!(
            "echo '{}' > {name}.run.json; {}; metaleak study {}{}",
            self.run(&steps, ""),
            self.recorder(&name),
            self.folder(),
            self.options()
        );
        let minutes = (self.seconds() / 60).to_string();
        self.plant(self.next(key, &[("steps", steps.join(", ")), ("minutes", minutes)], command))
    }

    /// The steps that are missing, and then a person's eyes; where none is missing, what to look at.
    fn by_hand(&self, key: &str) -> Next {
        let captures: BTreeSet<&str> = self.facts.flows.iter().map(|f| f.capture.as_str()).collect();
        let done = super::judge::repeats(self.claim, self.report, &captures);
        if key == "not-seen" || done < self.claim.min_runs.max(1) && !self.claim.steps.is_empty() {
            let mut next = if self.claim.min_runs > 1 { self.repeat() } else { self.record("next-record") };
            let also = self.words.say("next-then-by-hand", &[]);
            next.what = Text {
                en: format!("{} {}", next.what.en, also.en),
                de: format!("{} {}", next.what.de, also.de),
            };
            return next;
        }
        self.next("next-by-hand", &[], self.show())
    }

    /// As many runs as are missing.
    fn repeat(&self) -> Next {
        let steps = self.steps();
        let name = self.name(&steps);
        let captures: BTreeSet<&str> = self.facts.flows.iter().map(|f| f.capture.as_str()).collect();
        let done = super::judge::repeats(self.claim, self.report, &captures);
        let n = self.claim.min_runs.saturating_sub(done).max(1);
        let numbers = numbers(self.numbered(&name), n);
        let name = quoted(&self.beside(&name));
        let command = format!(
            "for n in {numbers}; do echo '{}' > {name}-$n.run.json; {}; done; metaleak study {}{}",
            self.run(&steps, ""),
            self.recorder(&format!("{name}-$n")),
            self.folder(),
            self.options()
        );
        self.plant(self.next("next-repeat", &[("n", n.to_string()), ("steps", steps.join(", "))], command))
    }

    /// Five runs of each dose.
    fn doses(&self, key: &str) -> Next {
        let asked = |step: &&str| self.claim.steps.iter().any(|s| s == step);
        // What a claim asks with the permission refused is not answered with it given.
        let step = crate::leakage::STEPS.into_iter().find(asked).unwrap_or("contact-sync").to_owned();
        let unclear = |measure: &&&Leakage| {
            measure.scenario.as_ref() == Some(&step)
                && measure.dose.as_ref().is_some_and(|d| d.class == DoseClass::Unclear)
        };
        let of_unclear = self.facts.doses.iter().find(unclear).and_then(|measure| measure.dose.as_ref());
        let steps = vec![step];
        let name = self.name(&steps);
        let known = self.numbered(&name);
        let (key, doses, missing): (&str, Vec<String>, u64) = match of_unclear {
            // The line is one already, and too uncertain: the same sizes again, until there are ten runs of each, and ten more after.
            Some(dose) => {
                let least = dose.doses.iter().map(|d| d.runs).min().unwrap_or_default();
                let missing = if least < MANY { MANY - least } else { MANY };
                ("next-dose-more", dose.doses.iter().map(|d| d.contacts.to_string()).collect(), missing)
            }
            None => {
                (key, DOSES.iter().map(u32::to_string).collect(), crate::leakage::dose::MIN_REPEATS as u64)
            }
        };
        let numbers = numbers(known, missing);
        let name = quoted(&self.beside(&name));
        // The quotes end before the dose, so that the shell fills it in.
        let run = self.run(&steps, ", \"contacts\": '$c'");
        let command = format!(
            "for c in {}; do for n in {numbers}; do echo '{run}' > {name}-$c-$n.run.json; {}; done; done; metaleak study {}{}",
            doses.join(" "),
            self.recorder(&format!("{name}-$c-$n")),
            self.folder(),
            self.options()
        );
        let values = [("n", missing.to_string())];
        self.next(key, if of_unclear.is_some() { &values } else { &[] }, command)
    }

    /// Record elsewhere; or say where it was, where nobody did.
    fn vantage(&self) -> Vec<Next> {
        let there = self.where_to();
        let named = self.words.say(&format!("vantage-{}", there.id()), &[]);
        let mut record = self.record("next-record");
        record.what = self.words.say_in_both("next-vantage", &[("vantage", named.clone())]);
        let mut all = vec![self.plant(record)];
        let captures: BTreeSet<&str> = self.facts.flows.iter().map(|f| f.capture.as_str()).collect();
        let unknown = self
            .report
            .inputs
            .iter()
            .filter(|i| captures.contains(i.file.as_str()))
            .any(|i| i.run.as_ref().and_then(|r| r.vantage).is_none());
        if unknown {
            let what = self.words.say_in_both("next-tell-vantage", &[("vantage", named)]);
            all.push(Next { what, command: self.judged(&format!(" --vantage {}", there.id())) });
        }
        all
    }

    fn place(&self) -> Next {
        self.next("next-place", &[], self.judged(" --vantage router@PLACE"))
    }

    /// Keys where those of a key log open the flows and show what the claim asks; a whole recording where nothing could be parsed.
    fn opaque(&self) -> Vec<Next> {
        let with_keys = |e: &str| e.starts_with("tls") || e == "quic" || e.is_empty();
        let shut = self.facts.flows.iter().any(|f| f.encryption == "opaque");
        let mut all = Vec::new();
        if self.claim.is_fed_by_keys() && self.facts.flows.iter().any(|f| with_keys(&f.encryption)) {
            // Keys to a recording in which nothing was planted show no planted secret.
            all.push(if self.claim.canaries().is_empty() || self.has_planted() {
                self.next("next-key", &[], self.judged(" --keylog KEYS.log"))
            } else {
                self.record_with_keys()
            });
        }
        if shut && self.claim.reads() {
            all.push(self.record("next-whole"));
        }
        if all.is_empty() {
            all.push(self.by_hand("opaque"));
        }
        all
    }

    fn control(&self) -> Next {
        let mut next = self.record("next-control");
        next.command = next.command.replace(" --controls 200", "");
        next.command.push_str(" --controls 2000");
        next
    }
}

/// The value of a canary in a run description between single quotes: a text that nobody writes by chance, or a variable without which the
/// shell stops, for what only the auditor knows.
fn planted(name: &str) -> String {
    match variable(name) {
        Some(variable) => format!("'\"${{{variable}:?}}\"'"),
        None => format!("canary-7319-{name}"),
    }
}

/// The shell variable that holds what the test account has.
fn variable(name: &str) -> Option<&'static str> {
    match name {
        "number" => Some("NUMBER"),
        "mail" => Some("MAIL"),
        "user" => Some("ACCOUNT"),
        "contact-1" => Some("CONTACT"),
        _ => None,
    }
}

/// The numbers of so many runs behind those that are there.
fn numbers(known: u64, more: u64) -> String {
    match known {
        0 => format!("$(seq {more})"),
        _ => format!("$(seq {} {})", known.saturating_add(1), known.saturating_add(more)),
    }
}

/// A word that a shell takes as it is.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+@%".contains(c);
    // What looks like an option would be one.
    let word = if word.starts_with('-') { format!("./{word}") } else { word.to_owned() };
    if !word.is_empty() && word.chars().all(plain) {
        word
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_anywhere_are_words_of_a_shell() {
        for (name, expected) in [
            ("a.pcap", "a.pcap"),
            ("-rf", "./-rf"),
            ("a b$(x).pcap", "'a b$(x).pcap'"),
            ("it's", "'it'\\''s'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(name), expected);
        }
    }
}
