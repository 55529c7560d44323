//! Text files that people write: claims, run descriptions.
//!
//! Takes a file's bytes; checks that faults name a line that is there and a way out, and that what was read can be judged.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use metaleak::claims::{Catalogue, Criteria, judge};
use metaleak::destination::ReferenceDb;
use metaleak::dissect::{Options, analyse_bytes};
use metaleak::model::{Direction, Report, Run};
use metaleak::payload::{CanaryFile, CanarySet, Masking, RuleFileError, Rules, Search};
use metaleak::{pipeline, scenario};

use super::Traits;
use super::check::{assert_plain, mark, size_mark, timed};

/// The words of a message without what it quotes.
pub fn words(message: &str) -> String {
    let mut quoted = None;
    let mut out = String::new();
    for c in message.chars() {
        match (quoted, c) {
            (Some(q), _) if q == c => quoted = None,
            (None, '"' | '`') => quoted = Some(c),
            (None, _) if c.is_ascii_alphabetic() || c == ' ' => out.push(c),
            _ => {}
        }
        if out.len() > 60 {
            break;
        }
    }
    out
}

/// A folder of this thread for files that the library wants to read itself.
pub fn scratch() -> PathBuf {
    struct Folder(PathBuf);
    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
    thread_local! {
        static FOLDER: RefCell<Option<Folder>> = const { RefCell::new(None) };
    }
    FOLDER.with_borrow_mut(|folder| {
        let made = folder.get_or_insert_with(|| {
            let name = format!("metaleak-fuzz-{}-{:?}", std::process::id(), std::thread::current().id());
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&path).expect("a folder for temporary files");
            Folder(path)
        });
        made.0.clone()
    })
}

/// A report on a stored capture, to judge claims on.
pub fn report() -> &'static Report {
    static REPORT: OnceLock<Report> = OnceLock::new();
    REPORT.get_or_init(|| {
        let bytes = include_bytes!("../../captures/xmpp-clear.pcap");
        let mut analysis = analyse_bytes("xmpp-clear.pcap", bytes, &Options::default()).expect("a capture");
        let messenger = Some("conversations".to_owned());
        analysis.input.run = Some(Run { messenger, steps: vec!["text-1to1".into()], ..Run::default() });
        let db = ReferenceDb::embedded().expect("the built-in table");
        pipeline::report(
            vec![analysis],
            db,
            &Catalogue::default(),
            &std::collections::BTreeMap::new(),
            &Criteria::default(),
        )
    })
}

/// A claim file.
pub fn claims(data: &[u8]) -> Traits {
    let text = String::from_utf8_lossy(data).into_owned();
    let read = || timed(|| Catalogue::from_texts([("fuzz.toml".to_owned(), text.clone())]));
    let catalogue = read();
    assert_eq!(format!("{catalogue:?}"), format!("{:?}", read()));
    match catalogue {
        Err(e) => {
            assert!(!e.faults.is_empty(), "an error without faults");
            let lines = text.split('\n').count();
            let fault = |fault: &metaleak::claims::Fault| {
                assert!((1..=lines + 1).contains(&fault.line), "line {} of {lines}: {fault}", fault.line);
                assert!(!fault.remedy.is_empty(), "no way out: {fault}");
                assert_plain("a fault", &fault.to_string());
                mark(&["fault", &words(&fault.what)])
            };
            e.faults.iter().map(fault).collect()
        }
        Ok(catalogue) => {
            let judged = timed(|| judge(&catalogue, report()));
            assert_eq!(judged.len(), catalogue.claims().len());
            assert_eq!(judged, judge(&catalogue, report()));
            let mut traits = vec![size_mark("claims", judged.len() as u64)];
            for (result, claim) in judged.iter().zip(catalogue.claims()) {
                assert!(
                    catalogue.get(&claim.id).is_some_and(|c| std::ptr::eq(c, claim)),
                    "the id is not unique"
                );
                serde_json::to_string(result).expect("JSON");
                traits.push(mark(&["verdict", &format!("{:?}", result.verdict), &words(&result.reason)]));
                traits.push(size_mark("evidence", result.evidence.len() as u64));
            }
            traits
        }
    }
}

/// A canary file: CSV where it begins like one, else TOML.
pub fn canaries(data: &[u8]) -> Traits {
    let text = String::from_utf8_lossy(data).into_owned();
    let read =
        || if text.starts_with("name") { CanaryFile::from_csv(&text) } else { CanaryFile::from_toml(&text) };
    let first = timed(read);
    assert_eq!(format!("{first:?}"), format!("{:?}", read()));
    match first {
        Err((line, what)) => {
            let lines = text.split('\n').count();
            assert!((1..=lines + 1).contains(&line), "line {line} of {lines}: {what}");
            assert!(!what.is_empty());
            vec![mark(&["fault", &words(&what)])]
        }
        Ok(file) => {
            let count = size_mark("canaries", file.canaries.len() as u64);
            match timed(|| CanarySet::with_keys(&file.canaries, file.keys)) {
                Ok(_) => vec![count, mark(&["taken"])],
                Err(e) => vec![count, mark(&["refused", &words(&e.to_string())])],
            }
        }
    }
}

/// A rule file, and a text that rules are tried on.
pub fn rules(data: &[u8]) -> Traits {
    let text = String::from_utf8_lossy(data).into_owned();
    let path = Path::new("fuzz.toml");
    let read = || Rules::with_texts(&[(path, text.as_str())]);
    let rules = match timed(read) {
        Ok(rules) => rules,
        Err(RuleFileError::Broken { fault, .. }) => {
            let lines = text.split('\n').count();
            assert!((1..=lines + 1).contains(&fault.line), "line {} of {lines}: {fault}", fault.line);
            assert!(!fault.what.is_empty());
            let again = read().err().map(|e| e.to_string());
            assert!(again.is_some_and(|e| e.contains(&fault.what)), "another fault: {fault}");
            return vec![mark(&["fault", &words(&fault.what)])];
        }
        Err(other) => panic!("{other}"),
    };
    // The rules' own examples, and the file itself.
    let tried: Vec<u8> = rules
        .examples()
        .flat_map(|(.., text)| [text.as_bytes(), b"\r\n"].concat())
        .chain(text.bytes())
        .collect();
    let seen = |piece: usize| {
        let (mut search, mut all) = (Search::default(), Vec::new());
        for (at, part) in (0..).step_by(piece).zip(tried.chunks(piece)) {
            search.feed(&rules, at, part, &mut |sighting| all.push(sighting));
        }
        search.finish(&rules, &mut |sighting| all.push(sighting));
        all.sort_by_key(|s| (s.start, s.end));
        all
    };
    let whole = timed(|| seen(tried.len().max(1)));
    let mut traits =
        vec![size_mark("rules", rules.rows().count() as u64), size_mark("seen", whole.len() as u64)];
    for sighting in &whole {
        assert!(sighting.start < sighting.end && sighting.end <= tried.len() as u64, "{sighting:?}");
        let finding = sighting.finding(&rules, Masking::On, Direction::Up);
        assert_plain("a finding", &finding.what);
        traits.push(mark(&["rule", finding.rule.as_deref().unwrap_or_default()]));
    }
    assert_eq!(whole, timed(|| seen(61)), "in pieces");
    traits
}

/// A run description beside a capture.
pub fn run(data: &[u8]) -> Traits {
    let folder = scratch();
    std::fs::write(folder.join("fuzz.run.json"), data).expect("a temporary file");
    let read = || timed(|| scenario::run_beside(&folder.join("fuzz.pcap")));
    match (read(), read()) {
        (Ok(first), Ok(second)) => {
            assert_eq!(first, second);
            let run = first.expect("the file is there");
            // The secrets are not written back; all else is.
            let written = serde_json::to_string(&run).expect("JSON");
            let again: Run = serde_json::from_str(&written).expect("what was written is read");
            assert!(again.canaries.is_empty(), "secrets are written");
            assert_eq!(Run { canaries: run.canaries.clone(), ..again }, run);
            vec![mark(&["run", &format!("{:?} {}", run.vantage, run.steps.len().min(3))])]
        }
        (Err(first), Err(second)) => {
            let message = message(&first.to_string(), &folder);
            assert_eq!(first.to_string(), second.to_string());
            vec![mark(&["fault", &words(&message)])]
        }
        (first, second) => panic!("one reading fails: {:?} and {:?}", first.err(), second.err()),
    }
}

/// An error's message without the temporary folder. It may quote anything: what is printed is escaped by the command line.
fn message(text: &str, folder: &Path) -> String {
    text.replace(&*folder.to_string_lossy(), "")
}
