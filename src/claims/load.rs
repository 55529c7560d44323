//! Claim files into [`Claim`]s, with every fault named by file, line and remedy.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Catalogue;
use super::language::{Case, Claim, DecidedBy, Leaf, Predicate, Quantifier, Source, Subject, Successor};
use super::predicate::{Conditions, Kind, Value};
use crate::fault::line_at;
pub use crate::fault::{Fault, Faults as ClaimError};
use crate::model::{Criterion, Text, Vantage};
use crate::scenario::STEPS;

/// The messengers of the comparison.
pub(super) const MESSENGERS: [&str; 8] =
    ["whatsapp", "messenger", "telegram", "signal", "wire", "threema", "conversations", "caritas"];

/// Reasons that a claim may give for staying undecided.
pub(super) const REASONS: [&str; 4] = ["not-exercised", "opaque", "too-few-runs", "vantage-unsuitable"];

/// Keys of a claim.
pub(super) const KEYS: [&str; 23] = [
    "id",
    "criterion",
    "text",
    "section",
    "decided_by",
    "supports",
    "contradicts",
    "shows",
    "absence",
    "steps",
    "vantage",
    "min_runs",
    "hash_of_number",
    "otherwise",
    "cases",
    "undecided",
    "note",
    "superseded",
    "superseded_by",
    "valid_from",
    "valid_until",
    "control",
    "sources",
];

/// Runs that a claim may ask for.
pub(super) const MAX_MIN_RUNS: u64 = 1000;
/// Cases that a claim may have.
const MAX_CASES: usize = 8;
/// What predicates speak of, by the words of the language.
pub(super) const SUBJECTS: [(&str, Subject); 7] = [
    ("flows", Subject::Flows),
    ("destinations", Subject::Destinations),
    ("findings", Subject::Findings),
    ("names", Subject::Names),
    ("doses", Subject::Doses),
    ("calls", Subject::Calls),
    ("steps", Subject::Steps),
];
/// Within what all parts of `all_of` have to match.
pub(super) const WITHIN: [&str; 1] = ["run"];
/// Characters of a word that a fault quotes.
const MAX_SHOWN: usize = 60;

/// Nesting of predicates that is accepted.
const MAX_DEPTH: usize = 8;

impl ClaimError {
    fn unreadable(path: &Path, e: &std::io::Error) -> ClaimError {
        let fault = Fault {
            file: path.to_string_lossy().into_owned(),
            line: 1,
            what: format!("cannot read: {e}"),
            remedy: "give the path of a claim file".into(),
        };
        ClaimError { faults: vec![fault] }
    }

    /// A file that is no UTF-8; the line and the byte say where.
    fn not_text(path: &Path, e: &std::string::FromUtf8Error) -> ClaimError {
        let at = e.utf8_error().valid_up_to();
        let fault = Fault {
            file: path.to_string_lossy().into_owned(),
            line: line_at(e.as_bytes(), at),
            what: format!("byte {at} is no UTF-8"),
            remedy: "save the file as UTF-8; claim files are text".into(),
        };
        ClaimError { faults: vec![fault] }
    }
}

/// The text of a claim or criteria file.
pub(super) fn read_text(path: &Path) -> Result<String, ClaimError> {
    let bytes = std::fs::read(path).map_err(|e| ClaimError::unreadable(path, &e))?;
    String::from_utf8(bytes).map_err(|e| ClaimError::not_text(path, &e))
}

type Table<'i> = DeTable<'i>;
type Node<'i> = Spanned<DeValue<'i>>;

/// Reads one file: what could be read, and what is wrong.
pub(super) fn read(file: &str, text: &str) -> (Vec<Claim>, Vec<Fault>) {
    let mut loader = Loader::new(file, text);
    let mut claims = Vec::new();
    let Some(root) = loader.root() else { return (claims, loader.faults) };
    let whole = root.span();
    let root = root.into_inner();
    loader.known_keys(&root, &["claim", "source"]);
    if let Some(node) = root.get("source") {
        loader.shared(node);
    }
    for item in loader.list(&root, "claim") {
        if let Some(table) = loader.table(item, "claim") {
            claims.extend(loader.claim(table, &item.span()));
        }
    }
    if !root.contains_key("claim") {
        loader.fault(&whole, "there are no claims", "write [[claim]] and its keys below");
    }
    let unused: Vec<(Range<usize>, String)> =
        loader.shared.iter().filter(|s| !s.used).map(|s| (s.span.clone(), s.source.id.clone())).collect();
    for (span, id) in unused {
        loader.fault(&span, format!("no claim names the source {id:?}"), "name it in a claim, or remove it");
    }
    (claims, loader.faults)
}

/// A `[[source]]` of the file, which claims name by its id.
struct Shared {
    source: Source,
    span: Range<usize>,
    used: bool,
}

/// Reads the values of a file and gathers what is wrong with them.
pub(super) struct Loader<'a> {
    file: &'a str,
    text: &'a str,
    pub(super) faults: Vec<Fault>,
    shared: Vec<Shared>,
}

impl<'a> Loader<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Loader<'a> {
        Loader { file, text, faults: Vec::new(), shared: Vec::new() }
    }

    /// The file as TOML; `None`, with a fault, when it is none.
    pub(super) fn root(&mut self) -> Option<Spanned<Table<'a>>> {
        match DeTable::parse(self.text) {
            Ok(root) => Some(root),
            Err(e) => {
                let span = e.span().unwrap_or(0..0);
                let what = e.message().lines().collect::<Vec<_>>().join(" ");
                self.fault(&span, what, "write valid TOML (https://toml.io)");
                None
            }
        }
    }
}

impl Loader<'_> {
    /// Faults of the keys that are not among the known ones.
    pub(super) fn known_keys(&mut self, table: &Table<'_>, known: &[&str]) {
        for key in table.keys().filter(|k| !known.contains(&k.get_ref().as_ref())) {
            self.unknown(&key.span(), "key", key.get_ref(), known);
        }
    }

    /// The items of `[[key]]`; none without the key.
    pub(super) fn list<'n, 'i>(&mut self, root: &'n Table<'i>, key: &str) -> &'n [Node<'i>] {
        root.get(key).map_or(&[], |node| self.items(node, key))
    }

    fn items<'n, 'i>(&mut self, node: &'n Node<'i>, key: &str) -> &'n [Node<'i>] {
        if let DeValue::Array(list) = node.get_ref() {
            return list;
        }
        let (what, remedy) =
            (format!("`{key}` is not a list of tables"), format!("write [[{key}]] for each {key}"));
        self.fault(&node.span(), what, remedy);
        &[]
    }

    /// An item of `[[key]]` as a table.
    pub(super) fn table<'n, 'i>(&mut self, item: &'n Node<'i>, key: &str) -> Option<&'n Table<'i>> {
        if let DeValue::Table(table) = item.get_ref() {
            return Some(table);
        }
        let (what, remedy) =
            (format!("a {key} is not a table"), format!("write [[{key}]] and its keys below"));
        self.fault(&item.span(), what, remedy);
        None
    }

    pub(super) fn fault(&mut self, span: &Range<usize>, what: impl Into<String>, remedy: impl Into<String>) {
        let line = self.line(span);
        self.faults.push(Fault {
            file: self.file.to_owned(),
            line,
            what: what.into(),
            remedy: remedy.into(),
        });
    }

    fn line(&self, span: &Range<usize>) -> usize {
        line_at(self.text.as_bytes(), span.start)
    }

    /// A word that is not among the known ones; the nearest is proposed.
    pub(super) fn unknown(&mut self, span: &Range<usize>, kind: &str, word: &str, known: &[&str]) {
        let near = nearest(word, known);
        // Ids of the file itself may hold anything.
        let all = known.join(", ").escape_debug().to_string();
        let remedy = match near {
            Some(near) if known.len() > 1 => format!("did you mean {near:?}? Known: {all}"),
            _ => format!("write one of: {all}"),
        };
        let word = shown(word);
        self.fault(span, format!("unknown {kind} {word}"), remedy);
    }

    pub(super) fn text<'n>(&mut self, node: &'n Node<'_>, what: &str) -> Option<&'n str> {
        match node.get_ref() {
            DeValue::String(s) => Some(s.as_ref()),
            other => {
                let found = type_of(other);
                self.fault(&node.span(), format!("{what} is {found}"), "write a text in quotes");
                None
            }
        }
    }

    fn flag(&mut self, node: &Node<'_>, what: &str) -> bool {
        match node.get_ref() {
            DeValue::Boolean(b) => *b,
            other => {
                let found = type_of(other);
                self.fault(&node.span(), format!("{what} is {found}"), "write true or false");
                false
            }
        }
    }

    pub(super) fn number(&mut self, node: &Node<'_>, what: &str) -> Option<f64> {
        let number = match node.get_ref() {
            DeValue::Integer(i) => i.as_str().replace('_', "").parse().ok(),
            DeValue::Float(f) => f.as_str().replace('_', "").parse::<f64>().ok(),
            _ => None,
        };
        let number = number.filter(|n: &f64| n.is_finite() && *n >= 0.0);
        if number.is_none() {
            self.fault(&node.span(), format!("{what} is not a number of 0 or more"), "write a number");
        }
        number
    }

    fn whole(&mut self, node: &Node<'_>, what: &str) -> Option<u64> {
        let n = self.number(node, what)?;
        if n.fract() != 0.0 || n > 1e15 {
            self.fault(&node.span(), format!("{what} is not a whole number"), "write a whole number");
            return None;
        }
        Some(n as u64)
    }

    /// A list of texts; a single text counts as a list of one.
    pub(super) fn words(&mut self, node: &Node<'_>, what: &str) -> Vec<(String, Range<usize>)> {
        match node.get_ref() {
            DeValue::String(s) => vec![(s.as_ref().to_owned(), node.span())],
            DeValue::Array(list) => {
                let mut words = Vec::new();
                for item in list {
                    if let Some(word) = self.text(item, what) {
                        words.push((word.to_owned(), item.span()));
                    }
                }
                if list.is_empty() {
                    self.fault(
                        &node.span(),
                        format!("{what} is empty"),
                        "name one or more, or leave the key out",
                    );
                }
                words
            }
            other => {
                let found = type_of(other);
                self.fault(&node.span(), format!("{what} is {found}"), "write a list of texts");
                Vec::new()
            }
        }
    }

    /// `{ en = "…", de = "…" }`.
    pub(super) fn both(&mut self, table: &Table<'_>, key: &str) -> Text {
        let mut text = Text::default();
        let Some(node) = table.get(key) else { return text };
        let DeValue::Table(inner) = node.get_ref() else {
            self.fault(
                &node.span(),
                format!("{key} is not a pair of texts"),
                format!("write {key} = {{ en = \"…\", de = \"…\" }}"),
            );
            return text;
        };
        let before = self.faults.len();
        for (name, value) in inner {
            match name.get_ref().as_ref() {
                "en" => text.en = self.text(value, "the English text").unwrap_or_default().into(),
                "de" => text.de = self.text(value, "the German text").unwrap_or_default().into(),
                other => self.unknown(&name.span(), "language", other, &["en", "de"]),
            }
        }
        // What is no text was told already, and what is misspelt is the one that is missing.
        let told = self.faults.len() > before;
        for (lang, value) in [("en", &text.en), ("de", &text.de)] {
            if value.trim().is_empty() && !told {
                self.fault(
                    &node.span(),
                    format!("{key} has no text for {lang:?}"),
                    format!("add {lang} = \"…\""),
                );
            }
        }
        text
    }

    fn claim(&mut self, table: &Table<'_>, span: &Range<usize>) -> Option<Claim> {
        let before = self.faults.len();
        self.known_keys(table, &KEYS);
        let meant = misspelt(table, &KEYS);
        for key in ["id", "criterion", "text", "decided_by", "sources"] {
            if !table.contains_key(key) && !meant.contains(&key) {
                self.fault(span, format!("the claim has no {key}"), format!("add {key} = …"));
            }
        }
        let (id, line) = match table.get("id") {
            Some(node) => (self.id(node), self.line(&node.span())),
            None => (None, self.line(span)),
        };
        let criterion = table.get("criterion").and_then(|n| self.criterion(n)).unwrap_or_default();
        let decided_by = match table.get("decided_by") {
            Some(node) => match self.text(node, "decided_by") {
                Some("documentary") => DecidedBy::Documentary,
                Some("traffic") | None => DecidedBy::Traffic,
                Some(other) => {
                    self.unknown(&node.span(), "way to decide", other, &["traffic", "documentary"]);
                    DecidedBy::Traffic
                }
            },
            None => DecidedBy::Traffic,
        };
        let predicate = |loader: &mut Self, key: &str| {
            let node = table.get(key)?;
            if decided_by == DecidedBy::Documentary {
                loader.fault(
                    &node.span(),
                    format!("a documentary claim has {key}"),
                    "remove it, or write decided_by = \"traffic\"",
                );
            }
            loader.predicate(node, 0)
        };
        let supports = predicate(self, "supports");
        let contradicts = predicate(self, "contradicts");
        let shows = predicate(self, "shows");
        let otherwise_given = table.contains_key("otherwise");
        if decided_by == DecidedBy::Traffic
            && !["supports", "contradicts"].iter().any(|k| table.contains_key(*k) || meant.contains(k))
            && !otherwise_given
            && !meant.contains(&"otherwise")
        {
            self.fault(
                span,
                "nothing could decide this claim",
                "add supports or contradicts, or otherwise = \"…\" with the reason",
            );
        }
        let absence = table.get("absence").is_some_and(|n| self.flag(n, "absence"));
        let otherwise = match table.get("otherwise") {
            Some(node) => self.reason(node, "otherwise").unwrap_or_default(),
            None => "not-exercised".into(),
        };
        let cases = table.get("cases").map(|n| self.cases(n, decided_by)).unwrap_or_default();
        let control = match table.get("control") {
            Some(node) => match self.text(node, "control").map(str::to_owned) {
                Some(k) if matches!(k.as_bytes(), [b'K', b'1'..=b'9']) => k,
                Some(k) => {
                    self.fault(&node.span(), format!("unknown control {k:?}"), "write K1 to K9");
                    String::new()
                }
                None => String::new(),
            },
            None => String::new(),
        };
        let steps = table.get("steps").map(|n| self.words(n, "steps")).unwrap_or_default();
        for (step, span) in steps.iter().filter(|(step, _)| !STEPS.contains(&step.as_str())) {
            self.unknown(span, "step", step, &STEPS);
        }
        let vantage = table.get("vantage").map(|n| self.vantages(n)).unwrap_or_default();
        let min_runs = self.min_runs(table, decided_by);
        if otherwise == "too-few-runs" && !table.contains_key("min_runs") {
            let span = table.get("otherwise").map_or(span.clone(), Spanned::span);
            self.fault(
                &span,
                "the claim blames too few runs and does not say how many it takes",
                "add min_runs = 5, say",
            );
        }
        let hash_of_number = table.get("hash_of_number").is_some_and(|n| self.flag(n, "hash_of_number"));
        let sources = table.get("sources").map(|n| self.sources(n)).unwrap_or_default();
        let section =
            table.get("section").and_then(|n| self.text(n, "section")).unwrap_or_default().to_owned();
        let text = self.both(table, "text");
        let undecided = self.both(table, "undecided");
        let note = self.both(table, "note");
        let superseded = self.both(table, "superseded");
        let superseded_by = table.get("superseded_by").and_then(|n| self.successor(n, id.as_deref()));
        let (valid_from, valid_until) = self.validity(table);
        if let (Some(supports), Some(contradicts), Some(node)) =
            (&supports, &contradicts, table.get("contradicts"))
            && ask_the_same(supports, contradicts)
        {
            let remedy = "let contradicts ask for what would show the opposite, or remove it";
            self.fault(&node.span(), "contradicts matches what supports asks for", remedy);
        }
        if self.faults.len() > before {
            return None;
        }
        let id = id?;
        let messenger = id.split_once('.').map(|(m, _)| m.to_owned())?;
        Some(Claim {
            id,
            messenger,
            criterion,
            text,
            section,
            decided_by,
            supports,
            contradicts,
            shows,
            absence,
            steps: steps.into_iter().map(|(s, _)| s).collect(),
            vantage,
            min_runs,
            hash_of_number,
            otherwise,
            cases,
            undecided,
            note,
            superseded,
            superseded_by,
            valid_from,
            valid_until,
            control,
            sources,
            file: self.file.to_owned(),
            line,
        })
    }

    /// `cases = [ { when = { … }, reason = "…", undecided = { en, de } }, … ]`.
    fn cases(&mut self, node: &Node<'_>, decided_by: DecidedBy) -> Vec<Case> {
        const KEYS: [&str; 4] = ["when", "reason", "undecided", "by_hand"];
        if decided_by == DecidedBy::Documentary {
            let remedy = "remove it, or write decided_by = \"traffic\"";
            self.fault(&node.span(), "a documentary claim has cases", remedy);
        }
        let DeValue::Array(list) = node.get_ref() else {
            let remedy = "write cases = [ { when = { any = \"flows\" }, reason = \"opaque\", undecided = { en = \"…\", de = \"…\" } } ]";
            self.fault(&node.span(), "cases is not a list", remedy);
            return Vec::new();
        };
        if list.len() > MAX_CASES {
            let remedy = format!("write {MAX_CASES} at most");
            self.fault(&node.span(), format!("there are {} cases", list.len()), remedy);
        }
        let mut cases = Vec::new();
        for item in list.iter().take(MAX_CASES) {
            let DeValue::Table(table) = item.get_ref() else {
                let remedy = "write { when = { … }, reason = \"…\", undecided = { en = \"…\", de = \"…\" } }";
                self.fault(&item.span(), "a case is not a table", remedy);
                continue;
            };
            self.known_keys(table, &KEYS);
            let meant = misspelt(table, &KEYS);
            for key in ["when", "reason", "undecided"] {
                if !table.contains_key(key) && !meant.contains(&key) {
                    self.fault(&item.span(), format!("a case has no {key}"), format!("add {key} = …"));
                }
            }
            let when = table.get("when").and_then(|n| self.predicate(n, 0));
            let reason = table.get("reason").and_then(|n| self.reason(n, "reason"));
            let undecided = self.both(table, "undecided");
            let by_hand = table.get("by_hand").is_some_and(|n| self.flag(n, "by_hand"));
            if let (Some(when), Some(reason)) = (when, reason) {
                cases.push(Case { when, reason, undecided, by_hand });
            }
        }
        cases
    }

    /// The claim that takes this one's place; whether there is one [`successors`] tells.
    fn successor(&mut self, node: &Node<'_>, own: Option<&str>) -> Option<Successor> {
        let id = self.id(node)?;
        if Some(id.as_str()) == own {
            self.fault(&node.span(), "the claim names itself", "name the claim that says what holds today");
        }
        Some(Successor { id, line: self.line(&node.span()) })
    }

    /// From when and until when it holds, as dates or versions.
    fn validity(&mut self, table: &Table<'_>) -> (String, String) {
        let mut bound = |key: &str| {
            let Some(node) = table.get(key) else { return String::new() };
            let Some(text) = self.text(node, key).map(str::to_owned) else { return String::new() };
            let dated = text.len() >= 7
                && text.get(..5).is_some_and(|start| {
                    start.bytes().take(4).all(|b| b.is_ascii_digit()) && start.ends_with('-')
                });
            let known = crate::destination::is_date(&text) && text != "undated";
            if !text.contains(|c: char| c.is_ascii_digit()) || dated && !known {
                let remedy = "write a date such as 2024, 2024-05 or 2024-05-17, or a version such as 2.0.0";
                self.fault(
                    &node.span(),
                    format!("{key} = {} is neither date nor version", shown(&text)),
                    remedy,
                );
            }
            text
        };
        let (from, until) = (bound("valid_from"), bound("valid_until"));
        let date = |text: &String| text.len() >= 4 && crate::destination::is_date(text);
        // Compared as far as both say it.
        let both = from.len().min(until.len());
        if let Some(node) = table.get("valid_until").filter(|_| date(&from) && date(&until))
            && until.get(..both) < from.get(..both)
        {
            self.fault(
                &node.span(),
                "valid_until lies before valid_from",
                "exchange the two, or correct one",
            );
        }
        (from, until)
    }

    /// A reason for staying undecided.
    fn reason(&mut self, node: &Node<'_>, key: &str) -> Option<String> {
        let word = self.text(node, key)?.to_owned();
        if REASONS.contains(&word.as_str()) {
            return Some(word);
        }
        self.unknown(&node.span(), "reason", &word, &REASONS);
        None
    }

    /// How many runs a claim asks for; 0 when it does not say.
    fn min_runs(&mut self, table: &Table<'_>, decided_by: DecidedBy) -> u64 {
        let Some(node) = table.get("min_runs") else { return 0 };
        let Some(runs) = self.whole(node, "min_runs") else { return 0 };
        if decided_by == DecidedBy::Documentary {
            let remedy = "remove it, or write decided_by = \"traffic\"";
            self.fault(&node.span(), "a documentary claim has min_runs", remedy);
        } else if !(2..=MAX_MIN_RUNS).contains(&runs) {
            let remedy = format!("write 2 to {MAX_MIN_RUNS}, or leave it out where one run will do");
            self.fault(
                &node.span(),
                format!("min_runs = {runs} asks for no repeats that can be made"),
                remedy,
            );
        }
        runs
    }

    fn id(&mut self, node: &Node<'_>) -> Option<String> {
        let id = self.text(node, "id")?.to_owned();
        match id.split_once('.') {
            Some((m, name)) if (m == "*" || is_messenger(m)) && is_messenger(name) => Some(id),
            _ => {
                self.fault(&node.span(), format!("{id:?} is no claim id"), "write MESSENGER.NAME in lower-case letters, digits and hyphens, e.g. signal.servers-in-usa");
                None
            }
        }
    }

    fn criterion(&mut self, node: &Node<'_>) -> Option<Criterion> {
        let word = self.text(node, "criterion")?;
        let known = Criterion::ALL.into_iter().find(|criterion| criterion.id() == word);
        if known.is_none() {
            self.unknown(&node.span(), "criterion", word, &Criterion::ALL.map(Criterion::id));
        }
        known
    }

    fn vantages(&mut self, node: &Node<'_>) -> Vec<Vantage> {
        let mut list = Vec::new();
        for (word, span) in self.words(node, "vantage") {
            match word.as_str() {
                "router" => list.push(Vantage::Router),
                "vpn" => list.push(Vantage::Vpn),
                "device" => list.push(Vantage::Device),
                "server" => list.push(Vantage::Server),
                other => self.unknown(&span, "vantage", other, &["router", "vpn", "device", "server"]),
            }
        }
        list
    }

    /// The `[[source]]` tables of the file.
    fn shared(&mut self, node: &Node<'_>) {
        for item in self.items(node, "source") {
            let Some(source) = self.source(item) else { continue };
            if self.shared.iter().any(|s| s.source.id == source.id) {
                let what = format!("there are two sources {:?}", source.id);
                self.fault(&item.span(), what, "give each source an id of its own");
            }
            self.shared.push(Shared { source, span: item.span(), used: false });
        }
    }

    /// The sources of a claim: tables, or ids of the file's `[[source]]` tables.
    fn sources(&mut self, node: &Node<'_>) -> Vec<Source> {
        let DeValue::Array(list) = node.get_ref() else {
            self.fault(
                &node.span(),
                "sources is not a list",
                "write sources = [ { id = \"…\", text = \"…\", url = \"…\", date = \"…\" } ]",
            );
            return Vec::new();
        };
        if list.is_empty() {
            self.fault(
                &node.span(),
                "the claim has no source",
                "name at least one; unverified = true where none could be checked",
            );
        }
        let mut sources: Vec<Source> = Vec::new();
        for item in list {
            let DeValue::String(id) = item.get_ref() else {
                let source = self.source(item);
                if let Some(source) = source.as_ref().filter(|s| sources.iter().any(|known| known.id == s.id))
                {
                    self.fault(
                        &item.span(),
                        format!("the source {:?} is listed twice", source.id),
                        "list it once",
                    );
                }
                sources.extend(source);
                continue;
            };
            if sources.iter().any(|known| known.id == id.as_ref()) {
                self.fault(
                    &item.span(),
                    format!("the source {:?} is listed twice", id.as_ref()),
                    "list it once",
                );
                continue;
            }
            if let Some(shared) = self.shared.iter_mut().find(|s| s.source.id == id.as_ref()) {
                shared.used = true;
                sources.push(shared.source.clone());
            } else {
                let ids: Vec<String> = self.shared.iter().map(|s| s.source.id.clone()).collect();
                let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                if ids.is_empty() {
                    let what = format!("the file has no [[source]] with the id {id:?}");
                    self.fault(
                        &item.span(),
                        what,
                        "add [[source]] with id and text, or write { id = \"…\", text = \"…\" }",
                    );
                } else {
                    self.unknown(&item.span(), "source", id, &ids);
                    // The one that was meant is not told as one that nobody names.
                    let meant = nearest(id, &ids).map(str::to_owned);
                    for shared in self.shared.iter_mut().filter(|s| Some(&s.source.id) == meant.as_ref()) {
                        shared.used = true;
                    }
                }
            }
        }
        sources
    }

    fn source(&mut self, item: &Node<'_>) -> Option<Source> {
        let DeValue::Table(table) = item.get_ref() else {
            self.fault(&item.span(), "a source is not a table", "write { id = \"…\", text = \"…\" }");
            return None;
        };
        let before = self.faults.len();
        let mut source = Source::default();
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "id" => source.id = self.text(value, "id").unwrap_or_default().into(),
                "text" => source.text = self.text(value, "text").unwrap_or_default().into(),
                "url" => {
                    source.url = self.text(value, "url").unwrap_or_default().into();
                    if !source.url.is_empty()
                        && !["https://", "http://"].iter().any(|s| source.url.starts_with(s))
                    {
                        let what = format!("{:?} is no web address", source.url);
                        self.fault(&value.span(), what, "begin it with https:// or http://");
                    }
                }
                "date" => {
                    source.date = self.text(value, "date").unwrap_or_default().into();
                    if !source.date.is_empty() && !crate::destination::is_date(&source.date) {
                        let what = format!("{:?} is no date", source.date);
                        self.fault(&value.span(), what, "write 2024, 2024-05, 2024-05-17 or undated");
                    }
                }
                "unverified" => source.unverified = self.flag(value, "unverified"),
                other => self.unknown(
                    &key.span(),
                    "key of a source",
                    other,
                    &["id", "text", "url", "date", "unverified"],
                ),
            }
        }
        // A misspelt or mistyped key was told already.
        if (source.id.is_empty() || source.text.is_empty()) && self.faults.len() == before {
            self.fault(&item.span(), "a source lacks id or text", "write { id = \"…\", text = \"…\" }");
        }
        Some(source)
    }

    fn predicate(&mut self, node: &Node<'_>, depth: usize) -> Option<Predicate> {
        if depth > MAX_DEPTH {
            self.fault(&node.span(), "predicates are nested too deep", "use at most eight levels");
            return None;
        }
        let DeValue::Table(table) = node.get_ref() else {
            self.fault(
                &node.span(),
                "a predicate is not a table",
                "write e.g. { any = \"flows\", encryption = [\"none\"] }",
            );
            return None;
        };
        if let (2, Some(list), Some(within)) = (table.len(), table.get("all_of"), table.get("within")) {
            return self.in_one_run(list, within, depth);
        }
        if let (1, Some((key, value))) = (table.len(), table.iter().next()) {
            match key.get_ref().as_ref() {
                "not" => return self.predicate(value, depth + 1).map(|p| Predicate::Not(Box::new(p))),
                word @ ("all_of" | "any_of") => {
                    let parts = self.parts(word, value, depth);
                    return parts.map(if word == "all_of" { Predicate::AllOf } else { Predicate::AnyOf });
                }
                _ => {}
            }
        }
        if let Some(within) =
            table.iter().find(|(key, _)| key.get_ref() == "within").map(|(key, _)| key.span())
        {
            let remedy = "write { all_of = [ { … }, { … } ], within = \"run\" }";
            self.fault(&within, "`within` goes with all_of alone", remedy);
            return None;
        }
        self.leaf(table, &node.span(), depth)
    }

    /// The predicates of a connective.
    fn parts(&mut self, word: &str, value: &Node<'_>, depth: usize) -> Option<Vec<Predicate>> {
        let DeValue::Array(list) = value.get_ref() else {
            self.fault(
                &value.span(),
                format!("{word} is not a list"),
                format!("write {word} = [ {{ … }}, {{ … }} ]"),
            );
            return None;
        };
        if list.is_empty() {
            self.fault(&value.span(), format!("{word} is empty"), "put predicates into it");
        }
        let parts: Vec<Option<Predicate>> = list.iter().map(|p| self.predicate(p, depth + 1)).collect();
        parts.into_iter().collect()
    }

    /// `{ all_of = [ … ], within = "run" }`.
    fn in_one_run(&mut self, list: &Node<'_>, within: &Node<'_>, depth: usize) -> Option<Predicate> {
        let word = self.text(within, "within")?.to_owned();
        if !WITHIN.contains(&word.as_str()) {
            self.unknown(&within.span(), "word of within", &word, &WITHIN);
        }
        let parts = self.parts("all_of", list, depth)?;
        if parts.iter().flat_map(Predicate::leaves).any(super::language::Leaf::spans_runs) {
            let remedy = "take them out of the list: a dose and runs_over are of several runs";
            self.fault(&within.span(), "no single run can match what several show together", remedy);
        }
        Some(Predicate::InOneRun(parts))
    }

    fn leaf(&mut self, table: &Table<'_>, span: &Range<usize>, depth: usize) -> Option<Predicate> {
        const QUANTIFIERS: [&str; 5] = ["any", "all", "none", "count", "share"];
        let given: Vec<_> =
            table.iter().filter(|(k, _)| QUANTIFIERS.contains(&k.get_ref().as_ref())).collect();
        let [(key, value)] = given[..] else {
            // A single key that is nearly a connective is one that was misspelt.
            const CONNECTIVES: [&str; 3] = ["all_of", "any_of", "not"];
            let only = table.keys().next().filter(|_| table.len() == 1);
            let near = |k: &&toml::Spanned<toml::de::DeString<'_>>| {
                CONNECTIVES.iter().any(|c| distance(c, k.get_ref()) <= 2)
            };
            if let Some(key) = only.filter(near) {
                self.unknown(&key.span(), "connective", key.get_ref(), &CONNECTIVES);
                return None;
            }
            let what = if given.is_empty() {
                "a predicate without a quantifier"
            } else {
                "a predicate with two quantifiers"
            };
            self.fault(span, what, "write exactly one of any, all, none, count, share = \"flows\" (or destinations, findings, names, doses, calls, steps)");
            return None;
        };
        let word = self.text(value, "the subject")?.to_owned();
        let Some((_, subject)) = SUBJECTS.into_iter().find(|(name, _)| *name == word) else {
            self.unknown(&value.span(), "subject", &word, &SUBJECTS.map(|(name, _)| name));
            return None;
        };
        let limit = match table.get("at_least") {
            Some(node) => Some(self.number(node, "at_least")?),
            None => None,
        };
        let quantifier = match (key.get_ref().as_ref(), limit) {
            ("any", None) => Quantifier::Any,
            ("all", None) => Quantifier::All,
            ("none", None) => Quantifier::None,
            ("count", Some(n)) if n >= 1.0 => Quantifier::Count(n as u64),
            ("share", Some(x)) if x > 0.0 && x <= 1.0 => Quantifier::Share(x),
            ("count", _) => {
                self.fault(span, "count without a limit of 1 or more", "add at_least = N");
                return None;
            }
            ("share", _) => {
                self.fault(span, "share without a limit above 0 and up to 1", "add at_least = 0.5, say");
                return None;
            }
            (other, _) => {
                let what = format!("at_least does not go with {other}");
                self.fault(span, what, "remove it, or use count or share");
                return None;
            }
        };
        let of = match table.get("of").map(|n| (n.span(), n.get_ref())) {
            Some((_, DeValue::Table(inner))) => self.conditions(inner, subject, &[], depth),
            Some((span, _)) => {
                self.fault(&span, "`of` is not a table", "write of = { port = [443] }, say");
                Conditions::default()
            }
            None => Conditions::default(),
        };
        let conditions = self.conditions(
            table,
            subject,
            &["any", "all", "none", "count", "share", "at_least", "of"],
            depth,
        );
        Some(Predicate::Leaf(Leaf { quantifier, subject, of, conditions }))
    }

    fn conditions(&mut self, table: &Table<'_>, subject: Subject, skip: &[&str], depth: usize) -> Conditions {
        let known = Conditions::known(subject);
        let mut conditions = Conditions::default();
        for (key, value) in table {
            let word = key.get_ref().as_ref();
            if skip.contains(&word) {
                continue;
            }
            let Some((name, kind)) = known.iter().find(|(name, _)| *name == word) else {
                let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                self.unknown(&key.span(), "condition", word, &names);
                continue;
            };
            let read = match kind {
                Kind::Words(allowed) => {
                    let words = self.words(value, name);
                    for (word, span) in &words {
                        if !allowed.is_empty() && !allowed.contains(&word.as_str()) {
                            self.unknown(span, name, word, allowed);
                        }
                    }
                    Value::Words(words.into_iter().map(|(w, _)| w).collect())
                }
                Kind::Listed(list, fits) => {
                    let words = self.words(value, name);
                    for (word, span) in words.iter().filter(|(word, _)| !fits(word)) {
                        self.unknown(span, name, word, list());
                    }
                    Value::Words(words.into_iter().map(|(w, _)| w).collect())
                }
                Kind::Checked(check) => {
                    let words = self.words(value, name);
                    for (word, span) in words.iter().filter(|(word, _)| !(check.fits)(word)) {
                        self.fault(span, format!("{word:?} is no value of {name}"), check.remedy);
                    }
                    Value::Words(words.into_iter().map(|(w, _)| w).collect())
                }
                Kind::Numbers(most) => {
                    let list: Vec<&Node<'_>> = match value.get_ref() {
                        DeValue::Array(list) => list.iter().collect(),
                        _ => vec![value],
                    };
                    if list.is_empty() {
                        let remedy = "name one or more, or leave the key out";
                        self.fault(&value.span(), format!("{name} is empty"), remedy);
                    }
                    let mut numbers = Vec::new();
                    for node in list {
                        let Some(number) = self.whole(node, name) else { continue };
                        if number > *most {
                            let what = format!("{number} is no {name}");
                            self.fault(&node.span(), what, "write a number that it can have");
                        }
                        numbers.push(number);
                    }
                    Value::Numbers(numbers)
                }
                Kind::Limit => match self.number(value, name) {
                    Some(n) if SHARES.contains(name) && n > 1.0 => {
                        let remedy = "write a share between 0 and 1, such as 0.9";
                        self.fault(&value.span(), format!("{name} = {n} can never be reached"), remedy);
                        continue;
                    }
                    Some(n) => Value::Limit(n),
                    None => continue,
                },
                Kind::Flag => Value::Flag(self.flag(value, name)),
                Kind::Of(inner) => match value.get_ref() {
                    DeValue::Table(table) if depth < MAX_DEPTH => {
                        Value::Of(self.conditions(table, *inner, &[], depth + 1))
                    }
                    DeValue::Table(_) => {
                        self.fault(
                            &value.span(),
                            format!("{name} is nested too deep"),
                            "use at most eight levels",
                        );
                        continue;
                    }
                    other => {
                        let found = type_of(other);
                        let (what, remedy) = match inner {
                            Subject::Destinations => (name, "{ asn = [64496] }"),
                            _ => (name, "{ port = [443] }"),
                        };
                        self.fault(
                            &value.span(),
                            format!("{what} is {found}"),
                            format!("write {what} = {remedy}, say"),
                        );
                        continue;
                    }
                },
            };
            conditions.push(name, read);
        }
        for (what, second, remedy) in opposites(&conditions) {
            let span = table.get(second).map_or(0..0, Spanned::span);
            self.fault(&span, what, remedy);
        }
        conditions
    }
}

/// Conditions whose limit is a share.
pub(super) const SHARES: [&str; 1] = ["power_at_least"];
/// Conditions on one and the same value of an item, and those that leave words out.
const LEAVING_OUT: [(&str, &str); 3] =
    [("encryption", "not_encryption"), ("role", "not_role"), ("country", "not_country")];
/// Limits of one and the same value, below and above.
const LIMITS: [(&str, &str); 2] =
    [("bytes_per_contact_over", "bytes_per_contact_below"), ("bytes_per_hour_over", "bytes_per_hour_below")];

/// What no item can fulfil together: what is wrong, the key of it, what to write.
fn opposites(conditions: &Conditions) -> Vec<(String, &'static str, String)> {
    let value = |key: &str| conditions.iter().find(|(name, _)| *name == key).map(|(_, value)| value);
    let mut found = Vec::new();
    for (word, left_out) in LEAVING_OUT {
        if let (Some(Value::Words(wanted)), Some(Value::Words(out))) = (value(word), value(left_out))
            && wanted.iter().all(|word| out.contains(word))
        {
            let what = format!("{left_out} leaves out all that {word} asks for");
            found.push((what, left_out, format!("remove {left_out}, or other words of it")));
        }
    }
    for (over, below) in LIMITS {
        if let (Some(Value::Limit(low)), Some(Value::Limit(high))) = (value(over), value(below))
            && low >= high
        {
            let what = format!("{over} = {low} and {below} = {high} leave nothing between them");
            found.push((what, below, format!("write a {below} greater than {low}")));
        }
    }
    found
}

/// Whether one and the same item makes both match: the same subject under the same conditions, each with a quantifier that asks for some.
fn ask_the_same(supports: &Predicate, contradicts: &Predicate) -> bool {
    let asks = |leaf: &Leaf| !matches!(leaf.quantifier, Quantifier::None);
    match (supports, contradicts) {
        (Predicate::Leaf(a), Predicate::Leaf(b)) => {
            a.subject == b.subject
                && a.conditions == b.conditions
                && (a.of == b.of || b.of == Conditions::default() && b.quantifier == Quantifier::Any)
                && (a.quantifier == b.quantifier || asks(a) && b.quantifier == Quantifier::Any)
        }
        (Predicate::AllOf(a), Predicate::AllOf(b)) | (Predicate::AnyOf(a), Predicate::AnyOf(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| ask_the_same(a, b))
        }
        (Predicate::Not(a), Predicate::Not(b)) => ask_the_same(a, b),
        _ => false,
    }
}

/// Faults of claims that name a successor which is not there, or which leads back to them. `others` gives claims that may be named beside
/// these.
pub(super) fn successors(
    claims: &[Claim],
    others: Option<&dyn Fn() -> Result<Catalogue, ClaimError>>,
) -> Vec<Fault> {
    let named = |claim: &Claim| claim.superseded_by.as_ref().map(|successor| successor.id.clone());
    let of_files = |id: &str| claims.iter().find(|c| c.id == id);
    let mut built_in = None;
    let mut faults = Vec::new();
    for claim in claims {
        let Some(successor) = &claim.superseded_by else { continue };
        let mut fault = |what: String, remedy: String| {
            faults.push(Fault { file: claim.file.clone(), line: successor.line, what, remedy });
        };
        if of_files(&successor.id).is_none() {
            let known =
                built_in.get_or_insert_with(|| others.and_then(|read| read().ok()).unwrap_or_default());
            if known.get(&successor.id).is_none() {
                let ids = || claims.iter().map(|c| c.id.as_str());
                let near = ids().min_by_key(|id| distance(id, &successor.id));
                let near = near.map(|id| format!("did you mean {id:?}? ")).unwrap_or_default();
                fault(
                    format!("no claim has the id {:?}", successor.id),
                    format!("{near}Name the claim that says what holds today, or remove superseded_by"),
                );
            }
            continue;
        }
        let mut next = Some(successor.id.clone());
        for _ in 0..claims.len() {
            next = next.as_deref().and_then(of_files).and_then(named);
            if next.as_ref() == Some(&claim.id) {
                fault(
                    "the claim takes its own place by way of others".into(),
                    "end the row of superseded_by at the claim that holds today".into(),
                );
                break;
            }
        }
    }
    faults
}

/// The known keys that unknown ones of a table are meant to be: they are told as misspelt, and not as missing too.
pub(super) fn misspelt<'k>(table: &Table<'_>, known: &[&'k str]) -> Vec<&'k str> {
    let unknown = table.keys().map(|k| k.get_ref().as_ref()).filter(|k| !known.contains(k));
    unknown.filter_map(|word| nearest(word, known)).collect()
}

/// Whether a word has the form of a messenger's id: lower-case letters, digits and hyphens.
#[must_use]
pub fn is_messenger(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The known word that another one is likely to stand for.
fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let near = known.iter().copied().min_by_key(|k| distance(k, word))?;
    (distance(near, word) <= near.len() / 2 + 1).then_some(near)
}

/// A word of the file in quotes, cut where it is long.
fn shown(word: &str) -> String {
    let cut: String = word.chars().take(MAX_SHOWN).collect();
    let more = if cut.len() < word.len() { "…" } else { "" };
    format!("{:?}", cut + more)
}

fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Edits that turn one word into the other (Levenshtein), for words of a hundred bytes or less.
pub(super) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(100).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(100).enumerate() {
        let mut diagonal = i;
        let mut last = i + 1;
        if let Some(first) = row.first_mut() {
            *first = last;
        }
        for (cell, y) in row.iter_mut().skip(1).zip(&b) {
            let above = *cell;
            *cell = (diagonal + usize::from(x != *y)).min(above + 1).min(last + 1);
            diagonal = above;
            last = *cell;
        }
    }
    row.last().copied().unwrap_or_default()
}
