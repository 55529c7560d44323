//! The documents against the program: the table of protocols, the commands and the excerpt in the README, the dependencies that
//! `ARCHITECTURE.md` explains, and that every link and every path named in a comment leads somewhere.
//!
//! `METALEAK_UPDATE_DOCS=1 cargo test --test docs` writes the generated parts anew: `docs/protocols.md` and the excerpt of the demo.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are tests: a failure there is a failed test"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use metaleak::dissect::PROTOCOLS;
use serde::Deserialize;

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Compares a generated text with the stored file, or stores it.
fn same_as_stored(path: &str, generated: &str) {
    if std::env::var_os("METALEAK_UPDATE_DOCS").is_some() {
        std::fs::write(root(path), generated).unwrap();
    }
    let stored = read(path);
    if stored == generated {
        return;
    }
    let line = stored.lines().zip(generated.lines()).position(|(a, b)| a != b);
    let line = line.unwrap_or_else(|| stored.lines().count().min(generated.lines().count()));
    panic!(
        "{path} is out of date from line {} on:\n  stored: {:?}\n  now:    {:?}\nrun METALEAK_UPDATE_DOCS=1 cargo test --test docs, review and commit it",
        line + 1,
        stored.lines().nth(line).unwrap_or_default(),
        generated.lines().nth(line).unwrap_or_default()
    );
}

// ---------------------------------------------------------------------------------------------- protocols

/// Text in a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// Captures in which a protocol is seen (`docs/protocols-checked.toml`).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Checked {
    stored: Vec<String>,
    corpus: Vec<String>,
}

fn checked() -> BTreeMap<String, Checked> {
    toml::from_str(&read("docs/protocols-checked.toml")).expect("docs/protocols-checked.toml")
}

/// Ids that a flow gets beside that of its protocol.
const INSIDE: [(&str, &str, &str); 5] = [
    ("dot", "DNS over TLS", "TLS to port 853, or ALPN `dot` (RFC 7858); what is asked with a key log only"),
    (
        "doh",
        "DNS over HTTPS",
        "TLS or QUIC to a resolver of `services.toml`, by name, or by address where no name was sent (RFC 8484); not what is asked",
    ),
    ("doq", "DNS over QUIC", "ALPN `doq` (RFC 9250); what is asked with a key log only"),
    (
        "http3",
        "HTTP/3",
        "ALPN `h3` (RFC 9114); requests and responses with a key log only, bodies counted, not unpacked",
    ),
    (
        "tor",
        "Tor",
        "relays' certificates, made-up names in client hellos on the usual ports, and the directory protocol in clear (tor-spec, dir-spec); a tunnel, whose content is opaque",
    ),
];

/// The captures of a protocol for a cell.
fn seen_in(known: &BTreeMap<String, Checked>, id: &str) -> String {
    let captures = known.get(id).into_iter().flat_map(|c| c.stored.iter().chain(&c.corpus));
    let captures: Vec<String> = captures.map(|c| format!("`{c}`")).collect();
    if captures.is_empty() { "none yet".into() } else { captures.join(", ") }
}

fn protocols() -> String {
    let known = checked();
    let mut out = String::from(
        "# Protocols\n\n\
         Made from `PROTOCOLS` in `src/dissect/mod.rs` by `METALEAK_UPDATE_DOCS=1 cargo test --test docs`; do not edit. A flow is offered\n\
         to the protocols in this order, as far as they run over its transport. The first bytes decide; ports only help where bytes\n\
         leave a doubt. What no protocol takes is counted as `text` or `opaque` in the coverage ledger, never dropped.\n\n\
         The last column names captures that a test replays to find the protocol there (`docs/protocols-checked.toml`); what was compared\n\
         in them is told by [accuracy.md](accuracy.md), and how messengers are told apart by [messengers.md](messengers.md).\nWhat stands below them, link layers and tunnels, is in [layers.md](layers.md).\n\n\
         | id | protocol | written after | over | ports | what is read and what is not | checked by |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for p in PROTOCOLS {
        let over: Vec<String> = p.over.iter().map(|o| o.name()).collect();
        let ports: Vec<String> = p.ports.iter().map(u16::to_string).collect();
        let ports = if ports.is_empty() { "any".to_owned() } else { ports.join(", ") };
        out += &format!(
            "| `{}` | {} | {} | {} | {ports} | {} | {} |\n",
            p.id,
            cell(p.title),
            cell(p.source),
            over.join(", "),
            cell(p.reads),
            seen_in(&known, p.id)
        );
    }
    out += "\nInside of these, a flow is also called\n\n| id | what | told by | checked by |\n| --- | --- | --- | --- |\n";
    for (id, what, by) in INSIDE {
        out += &format!("| `{id}` | {what} | {by} | {} |\n", seen_in(&known, id));
    }
    out
}

#[test]
fn the_table_of_protocols_is_that_of_the_program() {
    assert_eq!(INSIDE.map(|(id, ..)| id), metaleak::dissect::INSIDE_PROTOCOLS, "claims can ask for these");
    assert!(PROTOCOLS.len() >= 5);
    same_as_stored("docs/protocols.md", &protocols());
}

#[test]
fn protocols_are_found_in_the_captures_that_check_them() {
    let known = checked();
    let ids: BTreeSet<&str> = PROTOCOLS.iter().map(|p| p.id).chain(INSIDE.map(|(id, ..)| id)).collect();
    for id in known.keys() {
        assert!(ids.contains(id.as_str()), "docs/protocols-checked.toml: {id} is no protocol");
    }
    let shared = common::shared();
    let place = |stored: bool, name: &str| match (stored, &shared) {
        (true, _) => Some(root("captures").join(name)),
        (false, Some(shared)) => Some(shared.join("corpus").join(name)),
        (false, None) => None,
    };
    let mut wanted: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut files = BTreeSet::new();
    for (id, captures) in &known {
        assert!(!captures.stored.is_empty() || !captures.corpus.is_empty(), "{id}: no capture");
        let all = captures.stored.iter().map(|c| (true, c)).chain(captures.corpus.iter().map(|c| (false, c)));
        for (stored, name) in all {
            if let Some(path) = place(stored, name) {
                assert!(path.is_file(), "{id}: {}", path.display());
                files.insert(path);
                wanted.insert((id, name));
            }
        }
    }
    let report = common::replay(&files);
    for flow in report["flows"].as_array().unwrap() {
        let capture = flow["capture"].as_str().unwrap();
        for id in flow["app_protocols"].as_array().unwrap() {
            wanted.remove(&(id.as_str().unwrap(), capture));
        }
    }
    assert!(wanted.is_empty(), "not found: {wanted:?}");
}

/// Protocols that no capture shows, each with the reason. None now: one that comes without a capture fails here.
const WITHOUT_CAPTURE: [(&str, &str); 0] = [];

#[test]
fn protocols_without_a_capture_are_argued() {
    let known = checked();
    let all = PROTOCOLS.iter().map(|p| p.id).chain(INSIDE.map(|(id, ..)| id));
    let without: BTreeSet<&str> = all.filter(|id| !known.contains_key(*id)).collect();
    assert_eq!(without, WITHOUT_CAPTURE.into_iter().map(|(id, _)| id).collect());
    for (id, why) in WITHOUT_CAPTURE {
        assert!(why.len() >= 20, "{id}: say why in words that another person can check");
    }
    assert_eq!(read("docs/protocols.md").matches("none yet").count(), without.len());
}

#[test]
fn captures_named_in_the_documents_exist() {
    let shared = common::shared();
    let mut found = 0;
    for document in ["docs/accuracy.md", "docs/messengers.md", "docs/protocols.md"] {
        let text = read(document);
        let quoted = text.split('`').skip(1).step_by(2);
        // What is made from a pattern (`FILE`, `<capture>`) is no name.
        let names = quoted.filter(|name| {
            let plain = name.trim_end_matches(".gz").trim_end_matches(".zst");
            [".pcap", ".pcapng", ".expected.toml"].iter().any(|end| plain.ends_with(end))
                && !name.contains([' ', '<'])
        });
        for name in names {
            let corpus = ["ja4-", "ndpi-", "zeek-"].iter().any(|begin| name.starts_with(begin));
            let path = match (&shared, corpus) {
                (_, false) => root("captures").join(name),
                (Some(shared), true) => shared.join("corpus").join(name),
                (None, true) => continue,
            };
            assert!(path.is_file(), "{document} names {name}, and {} is not there", path.display());
            found += 1;
        }
    }
    assert!(shared.is_none() || found > 80, "only {found} names of captures were found");
}

// ---------------------------------------------------------------------------------------------- the README

/// Lines of all code blocks: fenced ones, and those indented by four blanks behind an empty line.
fn code_lines(markdown: &str) -> Vec<String> {
    let (mut fenced, mut indented, mut blank) = (false, false, true);
    let mut code = Vec::new();
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            code.push(line.to_owned());
        } else {
            indented = line.starts_with("    ") && (blank || indented);
            if indented {
                code.push(line[4..].to_owned());
            }
        }
        blank = line.trim().is_empty();
    }
    code
}

/// Words of a command as a shell would part them, up to a comment, a pipe or a redirection.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = None::<String>;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(q), _) if q == c => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, _) if c.is_whitespace() => words.extend(word.take()),
            (None, '|' | '>' | '<' | ';' | '&' | '#') if word.is_none() => return words,
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The commands of a document that call the program.
fn commands(markdown: &str) -> Vec<Vec<String>> {
    let lines = code_lines(markdown);
    let words = lines.iter().map(|line| words(line.trim_start_matches("$ ")));
    words.filter(|w| w.first().is_some_and(|first| first.rsplit('/').next() == Some("metaleak"))).collect()
}

#[test]
fn commands_in_the_documents_parse() {
    let documents = markdown_files();
    let mut seen = BTreeSet::new();
    for path in &documents {
        let text = std::fs::read_to_string(path).unwrap();
        for command in commands(&text) {
            if let Err(e) = metaleak::cli::command().try_get_matches_from(&command) {
                // Asking for help or the version is an early end for clap, not a mistake.
                assert!(!e.use_stderr(), "{}: {}\n{e}", path.display(), command.join(" "));
            }
            if path.ends_with("README.md") {
                seen.extend(command.get(1).cloned());
            }
        }
    }
    let cli = metaleak::cli::command();
    let all: BTreeSet<String> = cli.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    let missing: Vec<_> = all.difference(&seen).collect();
    assert!(missing.is_empty(), "README.md shows no example of {missing:?}");
}

#[test]
fn code_blocks_are_found_and_parted() {
    let text = "Text with `metaleak nothing`.\n\n    metaleak study a/ | less\n\nText\n    metaleak no\n\n```\n$ ./metaleak db lookup '1 2' # c\n```\n";
    let expected = [vec!["metaleak", "study", "a/"], vec!["./metaleak", "db", "lookup", "1 2"]];
    assert_eq!(commands(text), expected.map(|c| c.into_iter().map(str::to_owned).collect::<Vec<_>>()));
    assert!(
        metaleak::cli::command().try_get_matches_from(["metaleak", "study", "--no-such-flag", "a"]).is_err()
    );
}

const BEGIN: &str = "<!-- demo: made by tests/docs.rs -->\n```text\n";
const END: &str = "```\n<!-- /demo -->\n";
/// Rows of the excerpt.
const ROWS: usize = 8;

/// The part of `make demo`'s table that the README shows: one messenger's block, as far as its claims were decided.
fn excerpt(table: &str, heading: &str) -> String {
    let block: Vec<&str> = table.split("\n\n").find(|b| b.starts_with(heading)).unwrap().lines().collect();
    let (head, rows) = block.split_at(3);
    let decided: Vec<&&str> =
        rows.iter().filter(|row| ["✗", "✓", "○"].iter().any(|mark| row.contains(mark))).collect();
    assert!(!decided.is_empty(), "nothing was decided in {heading}:\n{table}");
    let shown = decided.iter().take(ROWS).map(|row| **row);
    let mut lines: Vec<&str> = head.iter().copied().chain(shown).collect();
    if decided.len().min(ROWS) < rows.len() {
        lines.push("…");
    }
    let last = table.trim_end().lines().last().unwrap();
    format!("{}\n\n{last}\n", lines.join("\n"))
}

#[test]
fn the_readme_shows_what_the_demo_prints() {
    let folder = tempfile::tempdir().unwrap();
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_metaleak"))
        .current_dir(folder.path())
        .env("COLUMNS", "100")
        .arg("study")
        .arg(root("captures"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = String::from_utf8(output.stdout).unwrap();
    let readme = read("README.md");
    let (before, rest) = readme.split_once(BEGIN).expect("README.md has the mark of the demo");
    let (_, after) = rest.split_once(END).expect("README.md has the end mark of the demo");
    let shown = excerpt(&table, "Conversations (XMPP)");
    same_as_stored("README.md", &format!("{before}{BEGIN}{shown}{END}{after}"));
}

// ---------------------------------------------------------------------------------------------- dependencies

#[test]
fn every_dependency_is_explained() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let architecture = read("ARCHITECTURE.md");
    let mut named = 0;
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let Some(list) = manifest.get(section).and_then(toml::Value::as_table) else { continue };
        for name in list.keys() {
            let rows = architecture.lines().filter(|l| {
                l.strip_prefix("| ")
                    .and_then(|l| l.split(" | ").next())
                    .is_some_and(|c| c.contains(&format!("`{name}`")))
            });
            assert_eq!(
                rows.count(),
                1,
                "ARCHITECTURE.md: one row of a table begins with `{name}` (Cargo.toml, {section})"
            );
            named += 1;
        }
    }
    assert!(named > 30, "{named}");
    // The other way round: no row explains what is gone.
    let known: BTreeSet<&str> = ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|s| manifest.get(*s).and_then(toml::Value::as_table))
        .flat_map(|t| t.keys().map(String::as_str))
        .collect();
    let (_, section) = architecture.split_once("\n## Dependencies\n").expect("the section of dependencies");
    let section = section.split("\n## ").next().unwrap();
    for row in section.lines().filter(|l| l.starts_with("| `")) {
        for name in row.split(" | ").next().unwrap().split('`').skip(1).step_by(2) {
            assert!(
                known.contains(name),
                "ARCHITECTURE.md explains `{name}`, which Cargo.toml does not have"
            );
        }
    }
}

// ---------------------------------------------------------------------------------------------- links

// ------------------------------------------------------------------------------------------------- canaries

#[test]
fn the_table_of_encodings_is_that_of_the_program() {
    let page = read("docs/payload.md");
    let (begin, end) = ("<!-- layers -->\n", "<!-- end of layers -->");
    let (before, rest) = page.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let rows: Vec<String> = metaleak::payload::layers()
        .iter()
        .map(|(ids, says, place)| format!("| {} | {} | {place} |\n", cell(ids), cell(says)))
        .collect();
    let rows = rows.concat();
    same_as_stored("docs/payload.md", &format!("{before}{begin}{rows}{end}{after}"));
}

#[test]
fn the_table_of_rules_is_that_of_the_program() {
    let page = read("docs/payload.md");
    let (begin, end) = ("<!-- rules -->\n", "<!-- end of rules -->");
    let (before, rest) = page.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let rules = metaleak::payload::Rules::embedded();
    let rows: Vec<String> = rules
        .rows()
        .map(|(id, kind, severity, received, confidence, text)| {
            let [kind, severity, received, confidence] = [
                serde_json::to_value(kind),
                serde_json::to_value(severity),
                serde_json::to_value(received),
                serde_json::to_value(confidence),
            ]
            .map(|v| word(v.unwrap()));
            format!("| `{id}` | {} | {kind} | {severity} / {received} | {confidence} |\n", cell(&text.en))
        })
        .collect();
    same_as_stored("docs/payload.md", &format!("{before}{begin}{}{end}{after}", rows.concat()));
}

fn is_markdown(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "md")
}

/// All Markdown files of the repository.
fn markdown_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root("")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && !["target", "reports"].contains(&name.as_str()) {
                    open.push(path);
                }
            } else if is_markdown(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(found.len() >= 10, "{found:?}");
    found
}

/// Targets of `[text](target)` and `![text](target)` outside of code.
fn links(markdown: &str) -> Vec<String> {
    let mut fenced = false;
    let mut targets = Vec::new();
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced || line.starts_with("    ") {
            continue;
        }
        for after in line.split("](").skip(1) {
            targets.extend(after.split_once(')').map(|(target, _)| target.to_owned()));
        }
    }
    targets
}

/// The anchor that a heading gets: lower case, blanks as hyphens, without punctuation.
fn anchor(heading: &str) -> String {
    let text: String = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c if c.is_alphanumeric() => Some(c),
            _ => None,
        })
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let mut checked = 0;
    for path in markdown_files() {
        let text = std::fs::read_to_string(&path).unwrap();
        for target in links(&text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, fragment) = target.split_once('#').unwrap_or((&target, ""));
            let to = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(to.exists(), "{}: the link {target} leads nowhere", path.display());
            if !fragment.is_empty() {
                let text = std::fs::read_to_string(&to).unwrap();
                let known = text.lines().any(|l| l.starts_with('#') && anchor(l) == fragment);
                assert!(known, "{}: {target}: no such heading", path.display());
            }
            checked += 1;
        }
    }
    assert!(checked > 10, "only {checked} links");
}

#[test]
fn documents_named_in_the_source_exist() {
    let mut open = vec![root("src"), root("tests")];
    let mut named = BTreeSet::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                for part in text.split(|c: char| c.is_whitespace() || "`\"'();,".contains(c)) {
                    if part.starts_with("docs/") && is_markdown(Path::new(part)) {
                        named.insert(part.to_owned());
                    }
                }
            }
        }
    }
    assert!(named.len() > 3, "{named:?}");
    for document in named {
        assert!(root(&document).is_file(), "{document} is named in the source and does not exist");
    }
}
