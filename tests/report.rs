//! The report: wording, JSON and its schema, terminal table, charts and page.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking; clippy.toml allows it in test functions, but not in their helpers"
)]

#[path = "report/fixture.rs"]
mod fixture;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fixture::HOSTILE;
use fluent_bundle::FluentResource;
use metaleak::model::{
    ContentClass, Direction, Flow, FlowDensity, Next, Protection, Report, RunsVerdict, Text, Verdict,
};
use metaleak::report::{Lang, Wording, charts, escape_terminal, html, json, schema, table};

fn root(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn page(report: &Report, lang: Lang) -> String {
    let wording = Wording::new(lang);
    html(report, &wording, &charts(report, &wording).unwrap()).unwrap()
}

fn bytes(report: &Report) -> Vec<u8> {
    let mut out = Vec::new();
    json(report, &mut out).unwrap();
    out
}

// ---------------------------------------------------------------------------------------------- wording

/// Ids of a language's messages with the variables that each uses.
fn messages(lang: &str) -> BTreeMap<String, BTreeSet<String>> {
    let source = std::fs::read_to_string(root(&format!("locales/{lang}.ftl"))).unwrap();
    let parsed = FluentResource::try_new(source.clone());
    assert!(parsed.is_ok(), "{lang}.ftl: {:?}", parsed.err().map(|(_, faults)| faults));
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut id = String::new();
    for (number, line) in source.lines().enumerate() {
        if line.starts_with(|c: char| c.is_ascii_alphabetic()) {
            line.split(" =").next().unwrap().clone_into(&mut id);
            assert!(
                all.insert(id.clone(), BTreeSet::new()).is_none(),
                "{lang}.ftl:{}: {id} twice",
                number + 1
            );
        }
        if !line.starts_with('#') {
            for variable in line.split('$').skip(1) {
                let end = variable.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(variable.len());
                all.get_mut(&id).unwrap().insert(variable[..end].to_owned());
            }
        }
    }
    all
}

#[test]
fn both_languages_have_the_same_messages() {
    let (en, de) = (messages("en"), messages("de"));
    assert!(en.len() > 200, "only {} messages were found", en.len());
    for (id, variables) in &en {
        assert_eq!(Some(variables), de.get(id), "variables of {id} in de.ftl");
    }
    assert_eq!(en.keys().collect::<Vec<_>>(), de.keys().collect::<Vec<_>>());
    for lang in Lang::ALL {
        let wording = Wording::new(lang);
        for id in en.keys() {
            assert!(wording.has(id), "{lang}: {id} is in the file but does not parse as a message");
        }
    }
}

/// All files below `folder` with one of the `endings`.
fn files(folder: &Path, endings: &[&str]) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, endings));
        } else if path.extension().is_some_and(|e| endings.contains(&e.to_str().unwrap())) {
            found.push(path);
        }
    }
    found
}

#[test]
fn code_and_templates_use_exactly_the_messages_that_exist() {
    let known = messages("en");
    let mut literals = BTreeSet::new();
    for path in files(&root("src"), &["rs"]).into_iter().chain(files(&root("templates"), &["html"])) {
        let source = std::fs::read_to_string(&path).unwrap();
        // Elsewhere `.with("…")` may be a method of something else.
        let ours = ["src/report", "src/cli", "templates"].iter().any(|part| path.starts_with(root(part)));
        for call in [
            ".text(\"",
            ".with(\"",
            ".with(\n            \"",
            ".with(\n                \"",
            " t(\"",
            " line(\"",
        ] {
            for after in source.split(call).skip(1).filter(|_| ours) {
                let id = after.split('"').next().unwrap();
                assert!(known.contains_key(id), "{}: no message {id:?}", path.display());
            }
        }
        literals.extend(source.split('"').map(str::to_owned));
    }
    // Looked up by ids that are data.
    let families = [
        "messenger-",
        "country-",
        "ledger-",
        "run-ended-",
        "scenario-control-",
        "scenario-canary-",
        "scenario-device-",
        // Conditions of claims and their values; tests/claims.rs demands one for each.
        "say-",
    ];
    // As `execution.ended` says it in run.json.
    for ended in ["complete", "failed", "interrupted", "ended-by-hand", "device-lost", "capture-ended"] {
        assert!(known.contains_key(&format!("run-ended-{ended}")), "no words for a trial that ended {ended}");
    }
    for id in known.keys().filter(|id| !families.iter().any(|f| id.starts_with(f))) {
        assert!(literals.contains(id), "{id} is in the locales, but nothing uses it");
    }
}

#[test]
fn every_word_for_a_value_of_the_model_exists() {
    // Only `src/report/words.rs` chooses ids by value; its string literals are ids without exception.
    let known = messages("en");
    let source = std::fs::read_to_string(root("src/report/words.rs")).unwrap();
    let ids: Vec<&str> = source.lines().filter_map(|l| l.split("=> \"").nth(1)?.split('"').next()).collect();
    assert!(ids.len() > 50, "{ids:?}");
    for id in ids {
        assert!(known.contains_key(id), "no message {id:?}");
    }
}

#[test]
fn counts_choose_the_plural_and_arguments_are_escaped() {
    use metaleak::report::Arg;
    let (en, de) = (Wording::new(Lang::En), Wording::new(Lang::De));
    assert_eq!(en.with("claims-n", &[("n", Arg::Count(1))]), "1 claim");
    assert_eq!(en.with("claims-n", &[("n", Arg::Count(12_345))]), "12,345 claims");
    assert_eq!(de.with("claims-n", &[("n", Arg::Count(12_345))]), "12.345 Behauptungen");
    let shown = en.with("run-app", &[("app", Arg::Text("a\x1b[2J{ $x }"))]);
    assert_eq!(shown, "App: a\\u{1b}[2J{ $x }");
    assert_eq!(de.verdict(Verdict::NotContradicted), "nicht widerlegt");
    assert_eq!(de.reason("opaque"), "nicht lesbar");
    assert_eq!(de.reason("o\x1bdd"), "o\\u{1b}dd");
    assert_eq!((de.country("US"), de.country("../x")), ("USA".into(), "../x".into()));
}

// ---------------------------------------------------------------------------------------------- JSON

#[test]
fn json_round_trips_and_is_the_same_each_time() {
    for report in [Report::default(), fixture::report(), fixture::huge()] {
        let first = bytes(&report);
        assert_eq!(first, bytes(&report));
        assert_eq!(serde_json::from_slice::<Report>(&first).unwrap(), report);
    }
}

#[test]
fn json_gives_each_entry_a_line() {
    insta::assert_snapshot!("report_json", String::from_utf8(bytes(&fixture::report())).unwrap());
}

#[test]
fn json_holds_nothing_that_acts_on_a_terminal() {
    let mut report = fixture::hostile();
    for destination in &mut report.destinations {
        destination.rtt_min_ms = None; // JSON has no NaN
        destination.max_km = None;
        for bound in &mut destination.rtt_bounds {
            (bound.rtt_ms, bound.max_km) = (1.0, 100.0);
        }
    }
    let text = String::from_utf8(bytes(&report)).unwrap();
    assert_clean(&text, "json");
    assert!(text.contains(r"\u001b[31;1m\u009b2J\u202egpj"), "escaped, not dropped");
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report, "escapes read back as what they were");
}

#[test]
fn a_broken_pipe_is_an_error_not_a_panic() {
    struct Broken;
    impl std::io::Write for Broken {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    assert!(json(&fixture::report(), &mut Broken).is_err());
}

#[test]
fn the_stored_schema_is_that_of_the_types() {
    let stored = root("docs/schema/report-1.json");
    if std::env::var_os("METALEAK_UPDATE_SCHEMA").is_some() {
        std::fs::write(&stored, schema()).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&stored).unwrap(),
        schema(),
        "the types changed: run the test with METALEAK_UPDATE_SCHEMA=1, review and commit {}",
        stored.display()
    );
}

#[test]
fn reports_follow_the_schema() {
    let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for report in [Report::default(), fixture::report(), fixture::huge()] {
        let value = serde_json::from_slice(&bytes(&report)).unwrap();
        let faults: Vec<String> = validator.iter_errors(&value).map(|e| e.to_string()).collect();
        assert!(faults.is_empty(), "{faults:?}");
    }
    let mut wrong = serde_json::to_value(fixture::report()).unwrap();
    wrong["claims"][0]["verdict"] = "probably".into();
    assert!(!validator.is_valid(&wrong), "the schema accepts a verdict that does not exist");
}

// ---------------------------------------------------------------------------------------------- table

#[test]
fn the_table_fits_the_terminal() {
    let report = fixture::report();
    for lang in Lang::ALL {
        let wording = Wording::new(lang);
        for width in [80, 120] {
            let text = table(&report, &wording, Some(width), false);
            for line in text.lines() {
                assert!(line.chars().count() <= width, "{lang} {width}: {line}");
            }
            insta::assert_snapshot!(format!("report_table_{lang}_{width}"), text);
        }
    }
}

#[test]
fn the_table_without_a_width_has_a_line_a_claim() {
    let report = fixture::report();
    let text = table(&report, &Wording::new(Lang::En), None, false);
    for claim in &report.claims {
        let short = claim.id.split_once('.').unwrap().1;
        let line =
            text.lines().find(|l| l.starts_with(short)).unwrap_or_else(|| panic!("{short} in\n{text}"));
        assert!(line.contains(&Wording::new(Lang::En).verdict(claim.verdict)), "{line}");
    }
    assert_eq!(table(&Report::default(), &Wording::new(Lang::En), None, true), "No claims were judged.\n");
}

#[test]
fn colour_only_adds_terminal_sequences() {
    let wording = Wording::new(Lang::De);
    let plain = table(&fixture::report(), &wording, Some(100), false);
    let colour = table(&fixture::report(), &wording, Some(100), true);
    assert!(!plain.contains('\x1b'));
    assert!(colour.contains("\x1b[1;31m✗\x1b[0m"));
    let mut stripped = String::new();
    let mut rest = colour.as_str();
    while let Some((before, after)) = rest.split_once('\x1b') {
        stripped += before;
        rest = after.split_once('m').unwrap().1;
    }
    assert_eq!(stripped + rest, plain);
}

// ---------------------------------------------------------------------------------------------- charts and page

#[test]
fn charts_show_what_is_agreed_and_what_is_disputed() {
    for lang in Lang::ALL {
        let wording = Wording::new(lang);
        let charts = charts(&fixture::report(), &wording).unwrap();
        let names: Vec<&str> = charts.iter().map(|c| c.file_name.as_str()).collect();
        let all = ["verdicts-by-messenger", "bytes-by-zone", "bytes-by-country", "bytes-by-operator"];
        let all = all
            .into_iter()
            .chain(["destinations-map", "flow-of-bytes", "entropy-by-flow"])
            .map(|name| format!("{name}.svg"));
        assert_eq!(names, all.collect::<Vec<_>>());
        insta::assert_snapshot!(
            format!("report_chart_rows_{lang}"),
            charts.iter().flat_map(|c| &c.rows).map(|r| r.join(" | ")).collect::<Vec<_>>().join("\n")
        );
        insta::assert_snapshot!(format!("report_chart_country_{lang}"), charts[2].svg);
        insta::assert_snapshot!(format!("report_chart_flow_{lang}"), charts[5].svg);
    }
    assert!(charts(&Report::default(), &Wording::new(Lang::En)).unwrap().is_empty());
}

#[test]
fn the_chart_of_entropy_keeps_classes_apart() {
    let of = |class, bytes, bits| FlowDensity {
        direction: Direction::Up,
        class,
        bytes,
        looked_at: bytes,
        entropy_bits: bits,
        chi_square: None,
    };
    let density = vec![
        of(ContentClass::Opaque, 3000, Some(7.99)),
        of(ContentClass::Opaque, 900, Some(6.5)),
        of(ContentClass::Opaque, 40, None),
        of(ContentClass::Encrypted, 1000, Some(7.99)),
        of(ContentClass::Cleartext, 100, Some(4.25)),
    ];
    let mut report =
        Report { flows: vec![Flow { flow: 1, density, ..Flow::default() }], ..Report::default() };
    for (lang, clear, opaque) in [
        (
            Lang::En,
            "in clear | 1 | 100 B | 2.0 % | 4.25",
            "opaque | 2 | 3.8 KiB | 78.0 % | 6.50 | 6.50 – 7.99",
        ),
        (
            Lang::De,
            "im Klartext | 1 | 100 B | 2,0 % | 4,25",
            "nicht lesbar | 2 | 3,8 KiB | 78,0 % | 6,50 | 6,50 – 7,99",
        ),
    ] {
        let charts = charts(&report, &Wording::new(lang)).unwrap();
        assert_eq!(charts.len(), 1);
        let rows: Vec<String> = charts[0].rows.iter().map(|r| r.join(" | ").replace('\u{a0}', " ")).collect();
        assert_eq!(rows.len(), 3, "only what is there has a row: {rows:?}");
        assert!(rows[0].starts_with(clear), "{rows:?}");
        assert_eq!(rows[2], opaque);
        // Four triangles, and two in the legend.
        assert_eq!(charts[0].svg.matches("<polygon").count(), 6);
    }
    report.flows[0].density.retain(|d| d.entropy_bits.is_none());
    assert!(charts(&report, &Wording::new(Lang::En)).unwrap().is_empty());
}

#[test]
fn charts_sum_up_what_has_no_bar_of_its_own() {
    let report = fixture::huge();
    let charts = charts(&report, &Wording::new(Lang::En)).unwrap();
    let operators = charts.iter().find(|c| c.file_name == "bytes-by-operator.svg").unwrap();
    assert_eq!(operators.rows.len(), 13);
    assert_eq!(operators.rows[0][0], "Operator 229 (AS229)");
    assert_eq!(operators.rows[12][0], "218 others");
}

#[test]
fn the_page_says_everything_in_the_readers_language() {
    for lang in Lang::ALL {
        let page = page(&fixture::report(), lang);
        assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\""), "{:?}", page.get(..80));
        assert!(page.contains(&format!("<html lang=\"{lang}\">")));
        for claim in &fixture::report().claims {
            assert!(page.contains(&format!(">{}</code>", claim.id)), "{}", claim.id);
        }
        assert_well_formed(&page);
        assert!(!page.contains("[verdict-") && !page.contains("[frames"), "a message is missing");
    }
    let german = page(&fixture::report(), Lang::De);
    for words in [
        "nicht entscheidbar (nicht lesbar)",
        "Die Server stehen in den USA.",
        "9 von 10 gelegten Lecks gefunden",
        "Es lief keine Positivkontrolle",
        "strittig: Deutschland / Irland / USA",
        "Deutschland: dbip-country-lite, iptoasn, rir-delegated",
        "14,5\u{a0}MiB",
        "07.12.2022 10:03:04",
        "Stand 2024; Apps und Server können sich seither geändert haben.",
        "und 24 weitere",
        ">https:&#x2f;&#x2f;xmpp.org&#x2f;rfcs&#x2f;rfc6120.html</a><span lang=\"en\">, 2011-03</span></li>",
        "weil: <span lang=\"en\">",
        "stehen auf Englisch",
    ] {
        assert!(german.contains(words), "{words}");
    }
}

#[test]
fn the_page_is_the_same_each_time_and_loads_nothing() {
    for lang in Lang::ALL {
        let once = page(&fixture::report(), lang);
        assert_eq!(once, page(&fixture::report(), lang));
        for loading in ["src=", "<link", "@import", "url(", "<script", "<iframe", "http-equiv=\"refresh"] {
            assert!(!once.contains(loading), "{loading}");
        }
    }
}

#[test]
fn long_lists_end_with_an_honest_line() {
    let page = page(&fixture::huge(), Lang::En);
    assert_eq!(page.matches("30 more in report.json").count(), 1, "destinations");
    assert_eq!(page.matches(">1 more in report.json").count(), 1, "findings");
    assert_eq!(page.matches("250 more in report.json").count(), 1, "warnings");
    assert_eq!(page.matches("13 more places in report.json").count(), 1, "evidence");
    assert_well_formed(&page);
}

#[test]
fn runs_protection_and_next_steps_are_on_the_page_and_in_the_table() {
    let mut report = fixture::report();
    let claim = report.claims.iter_mut().find(|c| c.verdict == Verdict::Inconclusive).unwrap();
    let runs = |verdict, app: &str, count| RunsVerdict {
        day: Some("2026-01-02".into()),
        app: Some(app.to_owned()),
        verdict,
        count,
        ..RunsVerdict::default()
    };
    claim.runs = vec![runs(Verdict::Supported, "App 7", 2), runs(Verdict::Contradicted, "App 8", 1)];
    claim.runs_disagree = true;
    claim.protection = Some(Protection {
        verdict: Verdict::Contradicted,
        explanation: Text { en: "Tried in an hour.".into(), de: "In einer Stunde probiert.".into() },
        ..Protection::default()
    });
    let command = "metaleak replay 'a b.pcap' --keylog KEYS.log".to_owned();
    claim.next = vec![Next {
        what: Text { en: "Give keys.".into(), de: "Schlüssel geben.".into() },
        command: command.clone(),
    }];
    let messenger = claim.messenger.clone();
    assert!(report.flows.iter().any(|f| f.messenger.as_deref() == Some(messenger.as_str())));
    for (lang, both, of_table, of_page) in [
        (
            Lang::En,
            ["runs disagree", "App 7", "2 runs", "App 8", "1 run)", "Give keys."],
            "does not protect",
            "Tried in an hour.",
        ),
        (
            Lang::De,
            ["Läufe uneins", "App 7", "2 Läufe", "App 8", "1 Lauf)", "Schlüssel geben."],
            "schützt nicht",
            "In einer Stunde probiert.",
        ),
    ] {
        let html = page(&report, lang);
        let wide = table(&report, &Wording::new(lang), None, false);
        for word in both {
            assert!(wide.contains(word), "{word}: {wide}");
            assert!(html.contains(word), "{word} on the page");
        }
        assert!(wide.contains(of_table) && html.contains(of_page) && html.contains("a b.pcap"), "{wide}");
        // A narrow terminal breaks the words around it, not the command.
        for shown in [wide, table(&report, &Wording::new(lang), Some(60), false)] {
            assert!(shown.contains(&format!("\n    {command}\n")), "{shown}");
        }
    }
}

/// Each count of the matrix leads to a claim that has that verdict, and no link leads nowhere.
#[test]
fn each_count_of_the_matrix_leads_to_a_claim() {
    let mut outdated = fixture::report();
    let id = outdated.claims[0].id.clone();
    let last = outdated.claims.last_mut().unwrap();
    last.superseded_by = id.clone();
    let other = last.id.clone();
    for report in [fixture::report(), fixture::huge(), outdated] {
        for lang in Lang::ALL {
            let html = page(&report, lang);
            let ids: BTreeSet<&str> =
                html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
            let links: Vec<&str> =
                html.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
            assert!(links.len() > 10, "{links:?}");
            for link in &links {
                assert!(ids.contains(link), "#{link} leads nowhere");
            }
            let matrix =
                html.split("class=\"stack matrix\"").nth(1).unwrap().split("</table>").next().unwrap();
            let counts = matrix.matches("class=\"badge ").count();
            assert!(counts > 0);
            assert_eq!(matrix.matches("<td").count(), matrix.matches("<tr><th scope=\"row\">").count() * 3);
            for cell in matrix.split("<a href=\"#c-").skip(1) {
                let anchor = cell.split('"').next().unwrap();
                let verdict = cell.split("class=\"badge ").nth(1).unwrap().split('"').next().unwrap();
                let claim = report.claims.iter().find(|c| c.id == anchor).unwrap();
                assert_eq!(claim.verdict.to_string(), verdict, "{anchor}");
            }
        }
    }
    assert_ne!(id, other);
}

#[test]
fn wordings_that_no_longer_fit_are_marked_with_what_holds_today() {
    // typos: off
    let mut report = fixture::report();
    let messenger = report.flows.iter().find_map(|f| f.messenger.clone()).unwrap();
    let claim = report.claims.iter_mut().find(|c| c.messenger == messenger).unwrap();
    claim.superseded = Text { en: "It changed in 2024-02.".into(), de: "Seit Februar 2024 anders.".into() };
    claim.superseded_by = "nobody.new".into();
    claim.valid_until = "2024-02-01".into();
    let id = claim.id.clone();
    for (lang, badge, line) in [
        (
            Lang::En,
            "no longer fits the comparison's wording, since 2024-02-01",
            format!("{id}: no longer fits the comparison's wording, since 2024-02-01; today: nobody.new"),
        ),
        (
            Lang::De,
            "passt nicht mehr zur Formulierung des Vergleichs, seit 01.02.2024",
            format!(
                "{id}: passt nicht mehr zur Formulierung des Vergleichs, seit 01.02.2024; heute: nobody.new"
            ),
        ),
    ] {
        let html = page(&report, lang);
        assert!(html.replace("&#x27;", "'").contains(badge), "{lang}");
        assert_eq!(html.matches("badge superseded").count(), 1, "{lang}");
        assert!(html.contains("<code>nobody.new</code>") && !html.contains("#c-nobody.new"), "{lang}");
        let shown = table(&report, &Wording::new(lang), None, false);
        assert!(shown.contains(&line), "{shown}");
        assert!(shown.lines().any(|l| l.contains(" ↻")), "{shown}");
    }
    // typos: on
}

#[test]
fn an_empty_report_still_makes_a_page() {
    for lang in Lang::ALL {
        assert_well_formed(&page(&Report::default(), lang));
    }
}

// ---------------------------------------------------------------------------------------------- hostile input

/// No character that acts on a terminal or hides in a page; line breaks are the writers' own.
fn assert_clean(text: &str, what: &str) {
    let bad = text
        .chars()
        .find(|c| (c.is_control() && *c != '\n') || "\u{202e}\u{2066}\u{200b}\u{9b}".contains(*c));
    assert_eq!(bad, None, "{what}");
}

/// Walks the tags of a page: only those of the template and of the charts occur, no attribute is a handler, and every
/// element that needs an end has it.
fn assert_well_formed(page: &str) {
    const EMPTY: [&str; 8] = ["meta", "br", "!DOCTYPE", "rect", "line", "polyline", "polygon", "circle"];
    const KNOWN: &str = "html head title style body header main footer nav section article figure figcaption div span p a ul ol \
        li dl dt dd h1 h2 h3 h4 table thead tbody tr th td code small strong details summary svg text";
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, next) = after.split_once('>').expect("a tag ends");
        rest = next;
        let name = tag.split([' ', '\n']).next().unwrap().trim_end_matches('/');
        if let Some(ended) = name.strip_prefix('/').or(tag.strip_prefix('/')) {
            assert_eq!(open.pop(), Some(ended), "</{tag}>");
            continue;
        }
        assert!(EMPTY.contains(&name) || KNOWN.split_whitespace().any(|k| k == name), "<{tag}>");
        assert_eq!(tag.matches('"').count() % 2, 0, "<{tag}>");
        for attribute in tag.split('"').step_by(2).skip(1).chain(tag.split('"').take(1)) {
            let attribute = attribute.trim().split(' ').next_back().unwrap();
            assert!(!attribute.starts_with("on"), "<{tag}>");
        }
        if !EMPTY.contains(&name) && !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn nothing_from_the_wire_acts_in_a_page_a_chart_or_a_terminal() {
    let report = fixture::hostile();
    for lang in Lang::ALL {
        let wording = Wording::new(lang);
        let charts = charts(&report, &wording).unwrap();
        for chart in &charts {
            assert_clean(&chart.svg, &chart.file_name);
            assert_well_formed(&chart.svg);
            assert!(!chart.svg.contains("<script") && !chart.svg.contains("<img"));
        }
        let page = html(&report, &wording, &charts).unwrap();
        assert_clean(&page, "page");
        assert_well_formed(&page);
        assert!(
            page.contains("&lt;script&gt;alert(1)&lt;&#x2f;script&gt;&quot;&gt;&lt;img"),
            "shown as text"
        );
        assert!(page.contains("\\u{202e}gpj.\\u{0}\\u{7}\\u{2066}\\u{200b}"), "made visible");
        assert!(
            !page.contains("javascript:") && page.matches("href=\"http").count() == 0,
            "no link from odd sources"
        );
        for width in [None, Some(10), Some(80), Some(usize::MAX)] {
            assert_clean(&table(&report, &wording, width, false), "table");
            let coloured = table(&report, &wording, width, true);
            for after in coloured.split('\x1b').skip(1) {
                assert!(["[1m", "[0m", "[1;3"].iter().any(|own| after.starts_with(own)), "{after:?}");
            }
        }
    }
    assert!(!escape_terminal(HOSTILE).chars().any(char::is_control));
}
