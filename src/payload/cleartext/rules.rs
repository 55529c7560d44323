//! The rule file: what counts as a finding in readable bytes (`reference/cleartext.toml`, `--rules FILE`).
//!
//! Takes TOML; gives [`Rules`], or a fault with line and remedy. Knows nothing of streams: [`super::Search`] applies the rules.

use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, OnceLock};

use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;
use toml::Spanned;

use super::anchors::Anchors;
use super::checks::Check;
use crate::model::{Confidence, FindingKind, ReferenceSource, RuleText, Severity, Text};
use crate::payload::mask::{Masking, escape, mask, mask_email, mask_hidden, mask_number};
use crate::payload::{line, source};

/// The rules that are built in.
static BUILT_IN: &str = include_str!("../../../reference/cleartext.toml");

/// The largest rule file that is read.
const MAX_FILE: u64 = 1 << 20;
/// Rules in all; a set of them is one number.
pub(super) const MAX_RULES: usize = 128;
/// Longest match that a rule may ask for: so many bytes of an unfinished line are kept of each direction.
pub(super) const MAX_LONGEST: usize = 512;
/// Longest match where a rule does not say.
const LONGEST: usize = 256;
/// Readable bytes around a match where a rule does not say.
const READABLE: usize = 16;
/// Fewest readable bytes that a rule may ask for; shorter stretches are not looked at.
pub(super) const MIN_READABLE: usize = 8;
/// Memory of one compiled expression.
const MAX_COMPILED: usize = 1 << 20;

/// A fault in a rule file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {what}")]
pub struct RuleError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong and what would be right.
    pub what: String,
}

impl RuleError {
    pub(super) fn of_toml(text: &str, e: &toml::de::Error) -> RuleError {
        RuleError { line: e.span().map_or(1, |s| line(text, s.start)), what: e.message().to_owned() }
    }
}

/// Why a rule file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RuleFileError {
    /// It cannot be read.
    #[error("{path:?}: cannot read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no rule file.
    #[error("{path:?}:{fault}")]
    Broken {
        /// The file.
        path: PathBuf,
        /// Line and words.
        fault: RuleError,
    },
}

/// How a value is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Shown {
    /// As a secret: first and last character.
    #[default]
    Secret,
    /// As an e-mail address.
    Email,
    /// As a number: its last two digits.
    Number,
    /// Its length class alone.
    Length,
    /// Not at all: it is always the same.
    Nothing,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    schema: Spanned<u32>,
    #[serde(default)]
    only: bool,
    #[serde(default)]
    #[expect(dead_code, reason = "checked here, told by `payload::source`")]
    as_of: Option<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "checked here, told by `payload::source`")]
    licence: Option<String>,
    #[serde(default, rename = "rule")]
    rules: Vec<Spanned<RuleFields>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFields {
    id: Spanned<String>,
    #[serde(default)]
    off: bool,
    kind: Option<FindingKind>,
    severity: Option<Spanned<Severity>>,
    received: Option<Spanned<Severity>>,
    confidence: Option<Confidence>,
    text: Option<Text>,
    #[serde(default)]
    anchors: Vec<Spanned<String>>,
    digits: Option<Spanned<usize>>,
    digits_at_most: Option<Spanned<usize>>,
    regex: Option<Spanned<String>>,
    check: Option<Check>,
    longest: Option<Spanned<usize>>,
    readable: Option<Spanned<usize>>,
    #[serde(default)]
    mask: Shown,
    #[serde(default)]
    yes: Vec<Spanned<String>>,
    #[serde(default)]
    no: Vec<Spanned<String>>,
    #[expect(dead_code, reason = "for readers of the file")]
    source: Option<String>,
}

/// One rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) kind: FindingKind,
    pub(super) severity: Severity,
    /// Severity of what the server sent.
    pub(super) received: Severity,
    pub(super) confidence: Confidence,
    pub(super) text: Text,
    anchors: Vec<String>,
    digits: Option<RangeInclusive<usize>>,
    pattern: String,
    compiled: OnceLock<Option<Expression>>,
    pub(super) check: Check,
    pub(super) longest: usize,
    pub(super) readable: usize,
    shown: Shown,
    yes: Vec<(String, usize)>,
    no: Vec<(String, usize)>,
    at: usize,
}

impl Rule {
    /// The expression, compiled when it is needed first; none where the rule has none.
    pub(super) fn expression(&self) -> Option<&Expression> {
        self.compiled.get_or_init(|| Expression::new(&self.pattern)).as_ref()
    }

    /// Its examples of what it finds.
    pub(super) fn yes_texts(&self) -> impl Iterator<Item = &str> {
        self.yes.iter().map(|(text, _)| text.as_str())
    }

    /// The value as it may be shown; empty where nothing is to be shown.
    pub(super) fn show(&self, value: &str, masking: Masking) -> String {
        match (self.shown, masking) {
            (Shown::Nothing, _) => String::new(),
            (_, Masking::Off) => escape(value),
            (Shown::Secret, _) => mask(value),
            (Shown::Email, _) => mask_email(value),
            (Shown::Number, _) => mask_number(value),
            (Shown::Length, _) => mask_hidden(value),
        }
    }
}

/// What a rule looks for behind an anchor.
#[derive(Debug)]
pub(super) struct Expression {
    regex: Regex,
    /// The value is all that it matches: nobody needs to ask where in the match it stands, which takes as long as the match.
    all_value: bool,
}

impl Expression {
    fn new(pattern: &str) -> Option<Expression> {
        let inner = pattern.strip_prefix("(?P<value>").and_then(|rest| rest.strip_suffix(')'));
        // The two parentheses belong together where what stands between them is an expression too.
        let all_value = inner.is_some_and(|inner| compile(inner).is_ok());
        Some(Expression { regex: compile(pattern).ok()?, all_value })
    }

    /// The next match at or behind a place.
    pub(super) fn find_at(&self, text: &[u8], from: usize) -> Option<Range<usize>> {
        self.regex.find_at(text, from).map(|found| found.range())
    }

    /// Where the value stands in a match; all of it where the expression names none.
    pub(super) fn value_of(&self, text: &[u8], found: &Range<usize>) -> Range<usize> {
        if self.all_value {
            return found.clone();
        }
        let value = self.regex.captures_at(text, found.start).and_then(|c| c.name("value"));
        value.map_or(found.clone(), |value| value.range())
    }
}

fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .case_insensitive(true)
        .multi_line(true)
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_COMPILED)
        .build()
}

/// All rules of a call, in one search; shared by all threads. [`Default`] has none and finds nothing.
#[derive(Debug, Default)]
pub struct Rules {
    pub(super) list: Vec<Rule>,
    /// Finds the anchors of all rules in one pass.
    pub(super) anchors: Option<Anchors>,
    /// Rules that look at long runs of digits, and how long those are.
    pub(super) of_digits: Vec<(RangeInclusive<usize>, u128)>,
    /// Longest match of all rules.
    pub(super) longest: usize,
    /// The rule for positions in pictures.
    pub(super) exif: Option<usize>,
    sources: Vec<ReferenceSource>,
}

impl Rules {
    /// The rules that are built in; a test keeps their file free of faults.
    #[must_use]
    pub fn embedded() -> Arc<Rules> {
        static RULES: LazyLock<Arc<Rules>> = LazyLock::new(|| {
            let list = read(BUILT_IN, false).map(|(_, rules)| rules).unwrap_or_default();
            Arc::new(Rules::of(list, built_in_sources()).unwrap_or_default())
        });
        Arc::clone(&RULES)
    }

    /// The built-in rules with those of these files: a file's rules come before, take the place of rules of the same id, or take
    /// them away (`off = true`); `only = true` takes away all others.
    ///
    /// # Errors
    /// [`RuleFileError`].
    pub fn with_files(paths: &[PathBuf]) -> Result<Rules, RuleFileError> {
        let texts = paths
            .iter()
            .map(|path| text_of(path).map(|text| (path.as_path(), text)))
            .collect::<Result<Vec<_>, _>>()?;
        let texts: Vec<(&Path, &str)> = texts.iter().map(|(path, text)| (*path, text.as_str())).collect();
        Rules::with_texts(&texts)
    }

    /// As [`Rules::with_files`], of texts that were read already.
    ///
    /// # Errors
    /// [`RuleFileError::Broken`].
    pub fn with_texts(files: &[(&Path, &str)]) -> Result<Rules, RuleFileError> {
        let mut all: Vec<Rule> = read(BUILT_IN, false).map(|(_, rules)| rules).unwrap_or_default();
        for (path, text) in files {
            let broken = |fault| RuleFileError::Broken { path: (*path).to_owned(), fault };
            let (only, mut rules) = read(text, true).map_err(broken)?;
            all.retain(|old| !only && rules.iter().all(|new| new.id != old.id));
            rules.retain(|rule| rule.at > 0);
            rules.append(&mut all);
            all = rules;
            if all.len() > MAX_RULES {
                let what = format!(
                    "{} rules with those before: at most {MAX_RULES} are searched at once",
                    all.len()
                );
                return Err(broken(RuleError { line: 1, what }));
            }
        }
        let sources = files.iter().map(|(path, text)| {
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
            source(&format!("rules {name}"), text)
        });
        let sources = built_in_sources().into_iter().chain(sources).collect();
        let rules = Rules::of(all, sources).map_err(|what| RuleFileError::Broken {
            path: files.last().map_or_else(PathBuf::new, |(path, _)| (*path).to_owned()),
            fault: RuleError { line: 1, what },
        })?;
        Ok(rules)
    }

    fn of(list: Vec<Rule>, sources: Vec<ReferenceSource>) -> Result<Rules, String> {
        let mut words: Vec<(String, u128)> = Vec::new();
        let (mut of_digits, mut exif) = (Vec::new(), None);
        for (at, rule) in list.iter().enumerate() {
            let bit = 1_u128 << at;
            for anchor in rule.anchors.iter().map(|a| a.to_ascii_lowercase()) {
                match words.iter_mut().find(|(word, _)| *word == anchor) {
                    Some((_, rules)) => *rules |= bit,
                    None => words.push((anchor, bit)),
                }
            }
            of_digits.extend(rule.digits.clone().map(|lengths| (lengths, bit)));
            if rule.check == Check::Exif {
                exif.get_or_insert(at);
            }
        }
        let anchors = if words.is_empty() { None } else { Some(Anchors::new(words)?) };
        Ok(Rules {
            longest: list.iter().map(|r| r.longest).max().unwrap_or_default(),
            anchors,
            list,
            of_digits,
            exif,
            sources,
        })
    }

    /// The files that these rules are of, for the report's list of sources.
    #[must_use]
    pub fn sources(&self) -> &[ReferenceSource] {
        &self.sources
    }

    /// No rules: every search returns at once.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Id, kind, severity, confidence and texts of every rule, in the order of the search (for `docs/payload.md`).
    pub fn rows(&self) -> impl Iterator<Item = (&str, FindingKind, Severity, Severity, Confidence, &Text)> {
        self.list.iter().map(|r| (r.id.as_str(), r.kind, r.severity, r.received, r.confidence, &r.text))
    }

    /// Examples of what the rules find, with the rule's id, kind, severity where the client sends it, and confidence.
    pub fn examples(&self) -> impl Iterator<Item = (&str, FindingKind, Severity, Confidence, &str)> {
        self.list
            .iter()
            .flat_map(|r| r.yes_texts().map(|text| (r.id.as_str(), r.kind, r.severity, r.confidence, text)))
    }

    /// What a report needs to say of the rules with these ids.
    #[must_use]
    pub fn texts(&self, ids: &std::collections::BTreeSet<&str>) -> Vec<RuleText> {
        let mut texts: Vec<RuleText> = self
            .list
            .iter()
            .filter(|r| ids.contains(r.id.as_str()))
            .map(|r| RuleText { id: r.id.clone(), confidence: r.confidence, text: r.text.clone() })
            .collect();
        texts.sort_by(|a, b| a.id.cmp(&b.id));
        texts
    }

    /// The examples of the file that are not as it says, in words.
    fn untrue(&self, own: &[String]) -> Vec<RuleError> {
        let mut faults = Vec::new();
        for (at, rule) in self.list.iter().enumerate().filter(|(_, r)| own.contains(&r.id)) {
            let found = |text: &str| {
                let mut found = false;
                self.alone(at, text.as_bytes(), &mut found);
                found
            };
            for (text, line) in rule.yes.iter().filter(|(text, _)| !found(text)) {
                let what = format!(
                    "rule {:?} does not find its example {text:?}: correct regex, anchors or check",
                    rule.id
                );
                faults.push(RuleError { line: *line, what });
            }
            for (text, line) in rule.no.iter().filter(|(text, _)| found(text)) {
                let what =
                    format!("rule {:?} finds {text:?}, which it should not: narrow regex or check", rule.id);
                faults.push(RuleError { line: *line, what });
            }
        }
        faults
    }

    /// Whether one rule alone finds something in a text, as far as the text goes.
    fn alone(&self, rule: usize, text: &[u8], found: &mut bool) {
        let mut search = super::Search::default();
        let mut tell = |s: super::Sighting| *found |= s.rule == rule;
        search.feed_all(self, text, 1 << rule, &mut tell);
    }
}

fn built_in_sources() -> Vec<ReferenceSource> {
    vec![source("cleartext", BUILT_IN), source("numbering", super::numbering::BUILT_IN)]
}

fn text_of(path: &Path) -> Result<String, RuleFileError> {
    let read = |source| RuleFileError::Read { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(read)?.len() > MAX_FILE {
        let what = format!("more than {MAX_FILE} bytes are too many for a rule file");
        return Err(RuleFileError::Broken { path: path.to_owned(), fault: RuleError { line: 1, what } });
    }
    std::fs::read_to_string(path).map_err(read)
}

/// The rules of a text, and whether they are to be the only ones; a rule that is off has `at` 0. `thorough` compiles every
/// expression and tries every example.
fn read(text: &str, thorough: bool) -> Result<(bool, Vec<Rule>), RuleError> {
    let file: FileText = toml::from_str(text).map_err(|e| RuleError::of_toml(text, &e))?;
    if *file.schema.get_ref() != 1 {
        let what = format!("schema {} is not known: write schema = 1", file.schema.get_ref());
        return Err(RuleError { line: line(text, file.schema.span().start), what });
    }
    let mut rules: Vec<Rule> = Vec::new();
    for fields in file.rules {
        let rule = rule(text, fields, thorough)?;
        if rules.iter().any(|r| r.id == rule.id) {
            let what = format!("rule {:?} stands here twice: give each its own id", rule.id);
            return Err(RuleError { line: rule.at.max(1), what });
        }
        rules.push(rule);
    }
    if rules.len() > MAX_RULES {
        let what = format!("{} rules: at most {MAX_RULES} are searched at once", rules.len());
        return Err(RuleError { line: 1, what });
    }
    if thorough {
        let (_, again) = read(text, false)?;
        let live: Vec<Rule> = again.into_iter().filter(|r| r.at > 0).collect();
        let own: Vec<String> = live.iter().map(|r| r.id.clone()).collect();
        let set = Rules::of(live, Vec::new()).map_err(|what| RuleError { line: 1, what })?;
        if let Some(first) = set.untrue(&own).into_iter().reduce(|mut all, next| {
            all.what.push_str(&format!("; line {next}"));
            all
        }) {
            return Err(first);
        }
    }
    Ok((file.only, rules))
}

fn rule(text: &str, fields: Spanned<RuleFields>, thorough: bool) -> Result<Rule, RuleError> {
    let start = line(text, fields.span().start);
    let f = fields.into_inner();
    let at = |span: std::ops::Range<usize>| line(text, span.start);
    let fault = |line: usize, what: String| RuleError { line, what };
    let id_line = at(f.id.span());
    let id = f.id.into_inner();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !(1..=48).contains(&id.len()) || !id.bytes().all(plain) {
        return Err(fault(id_line, format!("id {id:?}: small letters, digits and hyphens, 48 at most")));
    }
    let examples = |list: Vec<Spanned<String>>| -> Vec<(String, usize)> {
        list.into_iter().map(|s| (at(s.span()), s.into_inner())).map(|(line, s)| (s, line)).collect()
    };
    let check = f.check.unwrap_or_default();
    let off = f.off;
    let need = |what: &str| fault(start, format!("rule {id:?} needs {what}"));
    let severity_line = f.severity.as_ref().map_or(start, |s| at(s.span()));
    let received_line = f.received.as_ref().map_or(start, |s| at(s.span()));
    if off {
        return Ok(Rule {
            id,
            kind: FindingKind::default(),
            severity: Severity::default(),
            received: Severity::default(),
            confidence: Confidence::default(),
            text: Text::default(),
            anchors: Vec::new(),
            digits: None,
            pattern: String::new(),
            compiled: OnceLock::new(),
            check,
            longest: 0,
            readable: 0,
            shown: Shown::Nothing,
            yes: Vec::new(),
            no: Vec::new(),
            at: 0,
        });
    }
    let kind = f.kind.ok_or_else(|| need("kind = \"identifier\" (or token, cookie, credential, content)"))?;
    if matches!(kind, FindingKind::Canary | FindingKind::Name) {
        return Err(fault(start, "kind is identifier, token, cookie, credential or content".into()));
    }
    let severity = f.severity.map(Spanned::into_inner).ok_or_else(|| need("severity = \"…\""))?;
    let received = f.received.map_or(severity, Spanned::into_inner);
    let confidence = f.confidence.ok_or_else(|| need("confidence = \"low\", \"medium\" or \"high\""))?;
    // What is not sure must not decide a claim.
    let most = match (confidence, kind) {
        // Claims count identifiers from high on, all others from medium on.
        (Confidence::Medium, FindingKind::Identifier) => Severity::Medium,
        (Confidence::Low | Confidence::Medium, _) => Severity::Low,
        (Confidence::High, _) => Severity::Critical,
    };
    for (given, line) in [(severity, severity_line), (received, received_line)] {
        if given > most {
            return Err(fault(
                line,
                format!(
                    "a rule of {confidence:?} confidence and this kind has at most the severity {most:?}"
                )
                .to_lowercase(),
            ));
        }
    }
    let words = f.text.filter(|t| !t.en.is_empty() && !t.de.is_empty());
    let words = words.ok_or_else(|| need("text = { en = \"…\", de = \"…\" }: what it finds"))?;
    let mut anchors = Vec::new();
    for anchor in f.anchors {
        let line = at(anchor.span());
        let anchor = anchor.into_inner();
        if anchor.is_empty() || anchor.len() > 64 || !anchor.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            return Err(fault(line, "an anchor has 1 to 64 printable ASCII characters".into()));
        }
        anchors.push(anchor);
    }
    let digits_line = f.digits.as_ref().map_or(start, |d| at(d.span()));
    let digits = f.digits.map(Spanned::into_inner);
    if digits.is_some_and(|n| n < 8) {
        return Err(fault(digits_line, "digits: 8 or more; shorter runs are in every text".into()));
    }
    let most_line = f.digits_at_most.as_ref().map_or(start, |d| at(d.span()));
    let most = f.digits_at_most.map(Spanned::into_inner);
    if most.is_some_and(|most| digits.is_none_or(|least| !(least..=MAX_LONGEST).contains(&most))) {
        let what = format!("digits_at_most: beside digits, no fewer than those, and {MAX_LONGEST} at most");
        return Err(fault(most_line, what));
    }
    // A longer run is no number of any rule.
    let digits = digits.map(|least| least..=most.unwrap_or(MAX_LONGEST));
    let regex_line = f.regex.as_ref().map_or(start, |r| at(r.span()));
    let pattern = f.regex.map(Spanned::into_inner).unwrap_or_default();
    if check == Check::Exif {
        if !pattern.is_empty() || !anchors.is_empty() || digits.is_some() {
            return Err(fault(start, "check = \"exif\" takes neither regex nor anchors nor digits".into()));
        }
    } else if pattern.is_empty() {
        return Err(need("regex = '…'"));
    } else if anchors.is_empty() && digits.is_none() {
        return Err(need(
            "anchors = [\"…\"]: texts of which every match holds one (nothing else is looked at)",
        ));
    }
    if thorough && !pattern.is_empty() {
        let compiled = compile(&pattern).map_err(|e| {
            let told = e.to_string();
            let told = told.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
            fault(regex_line, format!("regex: {told}"))
        })?;
        if compiled.is_match(b"") {
            return Err(fault(
                regex_line,
                "regex matches nothing at all: let it begin with a fixed text".into(),
            ));
        }
        if f.yes.is_empty() || f.no.is_empty() {
            return Err(need(
                "yes = [\"…\"] and no = [\"…\"]: texts that it finds and that it must not find",
            ));
        }
    }
    let bounded = |given: Option<Spanned<usize>>, else_: usize, least: usize, most: usize, name: &str| {
        let Some(given) = given else { return Ok(else_) };
        let (line, n) = (at(given.span()), given.into_inner());
        if (least..=most).contains(&n) {
            Ok(n)
        } else {
            Err(fault(line, format!("{name}: {least} to {most}")))
        }
    };
    let longest = bounded(f.longest, LONGEST, 4, MAX_LONGEST, "longest")?;
    let readable = bounded(f.readable, READABLE, MIN_READABLE, 256, "readable")?;
    Ok(Rule {
        id,
        kind,
        severity,
        received,
        confidence,
        text: words,
        anchors,
        digits,
        pattern,
        compiled: OnceLock::new(),
        check,
        longest,
        readable,
        shown: f.mask,
        yes: examples(f.yes),
        no: examples(f.no),
        at: start,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_rules_have_no_fault_and_are_true_to_their_examples() {
        let (_, rules) = read(BUILT_IN, true).unwrap_or_else(|e| panic!("reference/cleartext.toml:{e}"));
        assert!(rules.len() >= 20, "{}", rules.len());
        assert!(rules.iter().all(|r| r.check == Check::Exif || (!r.yes.is_empty() && !r.no.is_empty())));
        assert_eq!(Rules::embedded().list.len(), rules.len());
    }

    const GOOD: &str = r#"schema = 1
[[rule]]
id = "ticket"
kind = "identifier"
severity = "low"
confidence = "medium"
text = { en = "ticket number", de = "Ticketnummer" }
anchors = ["ticket-"]
regex = 'ticket-(?P<value>[0-9]{6})'
yes = ["this is ticket-123456 of today"]
no = ["this is ticket-12345 of today"]
"#;

    fn of(text: &str) -> Result<Rules, String> {
        Rules::with_texts(&[(Path::new("my.toml"), text)]).map_err(|e| e.to_string())
    }

    #[test]
    fn a_file_adds_replaces_and_takes_away() {
        let built_in = Rules::embedded().list.len();
        let rules = of(GOOD).unwrap();
        assert_eq!((rules.list.len(), rules.list[0].id.as_str()), (built_in + 1, "ticket"));
        let rules = of(&GOOD.replace("schema = 1", "schema = 1\nonly = true")).unwrap();
        assert_eq!(rules.list.len(), 1);
        let off = "schema = 1\n[[rule]]\nid = \"email\"\noff = true\n";
        assert_eq!(of(off).unwrap().list.len(), built_in - 1);
        let replaced = of(&GOOD.replace("\"ticket\"", "\"email\"")).unwrap();
        assert_eq!(replaced.list.iter().filter(|r| r.id == "email").count(), 1);
        assert_eq!(replaced.list.len(), built_in);
    }

    #[test]
    fn faults_name_file_line_and_remedy() {
        for (from, to, line, words) in [
            ("schema = 1", "schema = 2", 1, "write schema = 1"),
            ("kind = \"identifier\"\n", "", 2, "needs kind"),
            ("\"identifier\"", "\"canary\"", 2, "kind is identifier"),
            ("severity = \"low\"", "severity = \"high\"", 5, "at most the severity medium"),
            ("severity = \"low\"", "severity = \"bad\"", 5, "unknown variant"),
            ("id = \"ticket\"", "id = \"My Ticket\"", 3, "small letters"),
            ("anchors = [\"ticket-\"]\n", "", 2, "needs anchors"),
            ("anchors = [\"ticket-\"]", "anchors = [\"\"]", 8, "1 to 64"),
            ("{6})'", "{6}'", 9, "unclosed group"),
            ("'ticket-(?P<value>[0-9]{6})'", "'(ticket)?'", 9, "matches nothing at all"),
            ("this is ticket-123456", "this is ticket-12", 10, "does not find its example"),
            ("this is ticket-12345 of", "this is ticket-654321 of", 11, "which it should not"),
            ("anchors", "anchor", 8, "unknown field"),
            ("regex =", "longest = 9999\nregex =", 9, "longest: 4 to 512"),
            ("regex =", "digits = 3\nregex =", 9, "8 or more"),
            ("regex =", "digits = 15\ndigits_at_most = 9\nregex =", 10, "no fewer than those"),
            ("regex =", "digits = 15\ndigits_at_most = 513\nregex =", 10, "512 at most"),
            ("regex =", "digits_at_most = 15\nregex =", 9, "beside digits"),
            ("regex =", "check = \"magic\"\nregex =", 9, "unknown variant"),
        ] {
            let error = of(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert!(
                error.starts_with(&format!("\"my.toml\":{line}: ")) && error.contains(words),
                "{to}: {error}"
            );
        }
        let missing = Rules::with_files(&[PathBuf::from("no/such/file.toml")]).unwrap_err().to_string();
        assert!(missing.contains("no/such/file.toml") && missing.contains("cannot read"), "{missing}");
    }
}
