//! Scenario files: the built-in ones, what is wrong with broken ones, the schema, and the command.
//!
//! `METALEAK_UPDATE_SCHEMA=1 cargo test --test scenario` writes `docs/schema/scenario-1.json` anew, and
//! `METALEAK_UPDATE_DOCS=1` the table of actions in `docs/scenarios.md`.

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

use common::metaleak;
use metaleak::claims::Catalogue;
use metaleak::scenario::{
    ACTIONS, Control, Scenario, Trial, catalogue, check_steps, embedded_files, is_steps_file, schema,
};

const MESSENGERS: [&str; 8] =
    ["whatsapp", "messenger", "telegram", "signal", "wire", "threema", "conversations", "caritas"];

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn the_list_is_the_folder_and_has_no_faults() {
    let mut there = BTreeSet::new();
    for folder in std::fs::read_dir(root("scenarios")).unwrap() {
        let folder = folder.unwrap();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let (folder, file) = (folder.file_name(), file.unwrap().file_name());
            // How an app is touched is no scenario; src/scenario/drive/ui.rs lists and tests these.
            if file == "ui.toml" {
                continue;
            }
            there.insert(format!("scenarios/{}/{}", folder.to_str().unwrap(), file.to_str().unwrap()));
        }
    }
    let listed: BTreeSet<String> = embedded_files().map(|(path, _)| path.to_owned()).collect();
    assert_eq!(listed, there, "src/scenario/embedded.rs has a line for each file");
    for (path, _) in embedded_files() {
        if is_steps_file(Path::new(path)) {
            assert!(check_steps(&root(path)).unwrap_or_else(|e| panic!("{e}")) > 0);
            continue;
        }
        let built_in = Scenario::embedded(path).unwrap_or_else(|e| panic!("{e}"));
        let on_disk = Scenario::load(&root(path)).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((&built_in.id, &built_in.sha256), (&on_disk.id, &on_disk.sha256));
        let folder = path.split('/').nth(1).unwrap();
        if MESSENGERS.contains(&folder) {
            assert_eq!(built_in.messenger.as_deref(), Some(folder), "{path}");
        }
    }
    // Every file of steps is used.
    let all: String = embedded_files().map(|(_, text)| text).collect();
    for (path, _) in embedded_files().filter(|(path, _)| is_steps_file(Path::new(path))) {
        let name = path.rsplit('/').next().unwrap();
        assert!(all.contains(&format!("/{name}\"")), "no scenario includes {path}");
    }
}

#[test]
fn each_messenger_has_the_scenarios_of_the_study() {
    let mut known: BTreeMap<String, Scenario> = BTreeMap::new();
    for path in catalogue() {
        let scenario = Scenario::embedded(path).unwrap();
        known.insert(scenario.id.clone(), scenario);
    }
    for messenger in MESSENGERS {
        for (name, step) in [
            ("register", "register"),
            ("contact-sync", "contact-sync"),
            ("send-text", "text-1to1"),
            ("send-image", if messenger == "caritas" { "attach" } else { "media" }),
            ("receive", "push-wake"),
            ("call", "call-1to1"),
            ("idle", "idle"),
            ("presence", "presence"),
        ] {
            let scenario =
                known.get(&format!("{messenger}/{name}")).unwrap_or_else(|| panic!("{messenger}/{name}"));
            assert!(
                scenario.steps.iter().any(|s| s.mark.as_deref() == Some(step)),
                "{}: {step}",
                scenario.id
            );
            assert!(!scenario.app.name.is_empty() && !scenario.device.kinds.is_empty(), "{}", scenario.id);
        }
        let sync = &known[&format!("{messenger}/contact-sync")];
        assert_eq!(sync.dose.as_ref().unwrap().1, [0, 10, 100, 1000], "{messenger}");
        assert!(sync.repeats >= 3 && sync.controls.contains(&Control::IdleDevice), "{messenger}");
        assert!(known[&format!("{messenger}/send-text")].dose.as_ref().unwrap().1.len() >= 5, "{messenger}");
    }
}

/// Steps of claims that no scenario exercises yet, each with the reason.
const NOT_YET: [(&str, &str); 5] = [
    (
        "own-server",
        "the accounts of conversations/* are on a server of one's own: whoever runs them adds the step",
    ),
    ("restore", "needs a second device and a backup; not among the scenarios of the study"),
    ("secret-chat", "Telegram's other kind of chat; not among the scenarios of the study"),
    ("second-device", "needs a second device; not among the scenarios of the study"),
    ("call-group", "needs a third account; not among the scenarios of the study"),
];

#[test]
fn steps_have_the_names_that_claims_ask_for() {
    let asked: BTreeSet<String> =
        Catalogue::embedded().unwrap().claims().iter().flat_map(|c| c.steps.clone()).collect();
    let scenarios: Vec<Scenario> = catalogue().map(|path| Scenario::embedded(path).unwrap()).collect();
    let done: BTreeSet<String> =
        scenarios.iter().flat_map(|s| s.steps.iter().filter_map(|s| s.mark.clone())).collect();
    let missing: BTreeSet<&str> = asked.difference(&done).map(String::as_str).collect();
    assert_eq!(missing, NOT_YET.iter().map(|(step, _)| *step).collect());
    for (step, why) in NOT_YET {
        assert!(why.len() > 20, "{step}");
    }
}

#[test]
fn trials_are_the_same_for_the_same_seed() {
    let scenario = Scenario::find("signal/contact-sync").unwrap();
    let plan = scenario.plan(7);
    assert_eq!(plan.len(), 4 * 5 + 5);
    assert_eq!(plan, scenario.plan(7));
    assert_ne!(plan, scenario.plan(8));
    let sorted = |mut plan: Vec<Trial>| {
        plan.sort();
        plan
    };
    assert_eq!(sorted(plan.clone()), sorted(scenario.plan(8)), "another order of the same trials");
    assert_ne!(plan, sorted(plan.clone()), "shuffled");
    // What the published algorithm (Fisher and Yates over SplitMix64) gives, computed apart from this program.
    let doses: Vec<Option<u64>> = plan.iter().take(6).map(|t| t.dose).collect();
    assert_eq!(
        doses, SHUFFLED,
        "the order of a seed must not change: runs of today are repeated years later"
    );
    for position in 0..4 {
        let firsts: BTreeSet<_> = (0..200).map(|seed| scenario.plan(seed)[position].dose).collect();
        assert_eq!(firsts.len(), 5, "each dose and the control come everywhere");
    }
}

/// The doses of the first six trials of `signal/contact-sync` with the seed 7.
const SHUFFLED: [Option<u64>; 6] = [Some(100), Some(1000), Some(10), Some(1000), None, Some(100)];

#[test]
fn a_step_says_what_to_do_with_its_values() {
    let scenario = Scenario::find("wire/send-text").unwrap();
    let step = scenario.steps.iter().find(|s| s.mark.as_deref() == Some("text-1to1")).unwrap();
    let trial = Trial { control: None, dose: Some(200), repeat: 1 };
    assert!(step.told(&trial).en.contains("200 characters") && step.told(&trial).de.contains("200 Zeichen"));
    let scenarios = catalogue().map(|path| Scenario::embedded(path).unwrap());
    for step in scenarios.flat_map(|s| s.steps) {
        for text in [step.told(&trial).en, step.told(&trial).de] {
            assert!(
                !text.contains(['{', '}']) && !text.trim().is_empty(),
                "{}:{}: {text}",
                step.file,
                step.line
            );
        }
    }
}

// ---------------------------------------------------------------------------------------------- broken files

const HEAD: &str = "schema = 1\ntitle = { en = \"a\", de = \"b\" }\n";

/// A broken file, the line at fault, and words of fault and remedy.
const BROKEN: &[(&str, usize, &str)] = &[
    ("[[step]]\ndo = \"send-txt\"\n", 4, "unknown action \"send-txt\"; write one of: install, register"),
    ("[[step]]\ndo = \"send-text\"\n", 4, "\"send-text\" without `characters`; write characters"),
    ("[[step]]\ndo = \"idle\"\nseconds = 60\ncharacters = 5\n", 6, "\"idle\" takes no `characters`; remove"),
    ("[[step]]\ndo = \"idle\"\nseconds = -1\n", 5, "docs/scenarios.md"),
    ("[[step]]\ndo = \"idle\"\nseconds = 9999999\n", 5, "too much; write a number up to 604800"),
    ("[[step]]\ndo = \"idle\"\nsecond = 60\n", 5, "unknown field `second`"),
    ("[[step]]\nseconds = 60\n", 3, "a step without `do`"),
    ("[[step]]\ndo = \"idle\"\nseconds = \"dose\"\n", 5, "without doses; write [dose]"),
    ("[[step]]\ndo = \"idle\"\nseconds = \"doze\"\n", 5, "docs/scenarios.md"),
    (
        "[dose]\nof = \"x\"\nvalues = [1, 1]\n[[step]]\ndo = \"idle\"\nseconds = \"dose\"\n",
        5,
        "two different numbers",
    ),
    (
        "[dose]\nof = \"x\"\nvalues = [1, 2]\n[[step]]\ndo = \"idle\"\nseconds = 1\n",
        5,
        "no step uses the dose",
    ),
    ("repeats = 0\n[[step]]\ndo = \"idle\"\nseconds = 1\n", 3, "from 1 to 1000"),
    ("order = \"alphabetical\"\n[[step]]\ndo = \"idle\"\nseconds = 1\n", 3, "unknown variant"),
    (
        "controls = [\"idle-device\", \"idle-device\"]\n[[step]]\ndo = \"idle\"\nseconds = 1\n",
        3,
        "stands twice",
    ),
    ("settle = -1.0\n[[step]]\ndo = \"idle\"\nseconds = 1\n", 3, "a week"),
    ("messenger = \"Signal App\"\n[[step]]\ndo = \"idle\"\nseconds = 1\n", 3, "small letters"),
    ("[[step]]\ndo = \"register\"\ncanary = \"name\"\n", 5, "no canary \"name\"; write [[canary]]"),
    (
        "[[canary]]\nname = \"n\"\nkind = \"number\"\nvalue = \"0151\"\n[[step]]\ndo = \"install\"\n",
        6,
        "E.164",
    ),
    (
        "[[canary]]\nname = \"n\"\nkind = \"exif\"\nvalue = \"91,0\"\n[[step]]\ndo = \"install\"\n",
        6,
        "degrees north",
    ),
    (
        "[[canary]]\nname = \"n\"\nkind = \"text\"\nvalue = \"abc\"\n[[step]]\ndo = \"install\"\n",
        6,
        "by chance",
    ),
    (
        "[[canary]]\nname = \"n\"\nkind = \"text\"\n[[canary]]\nname = \"n\"\nkind = \"text\"\n[[step]]\ndo = \"install\"\n",
        7,
        "twice",
    ),
    ("[[step]]\ndo = \"run\"\nmark = \"idle\"\nrun = []\n", 6, "without a program"),
    ("[[step]]\ndo = \"run\"\nrun = [\"true\"]\n", 4, "\"run\" without `mark`"),
    (
        "[[step]]\ndo = \"manual\"\nsay = { en = \"wait {seconds}\", de = \"warte\" }\n",
        3,
        "has {seconds}, and the step has no such value; write seconds",
    ),
    ("[[step]]\ndo = \"manual\"\n", 4, "\"manual\" without `say`"),
    ("[[step]]\ndo = \"install\"\nmark = \"Text 1\"\n", 5, "a step's name"),
    ("[[step]]\ndo = \"install\"\nexpect = { text = \"\" }\n", 5, "everything fulfils"),
    (
        "[[step]]\ndo = \"install\"\nweb = [\n  { open = \"/\" },\n  { click = \"#a\", wait = \"#b\" },\n]\n",
        7,
        "2 things at once; write one of open",
    ),
    ("[[step]]\ndo = \"install\"\nweb = [{ click = \" \" }]\n", 5, "an empty selector; write a CSS selector"),
    ("[[step]]\ndo = \"install\"\nweb = [{ type = \"#a\" }]\n", 5, "`type` without `text`; write text"),
    (
        "[[step]]\ndo = \"install\"\nweb = [{ click = \"#a\", text = \"b\" }]\n",
        5,
        "`text` without `type` or `wait`",
    ),
    (
        "[[step]]\ndo = \"install\"\nweb = [{ type = \"#a\", text = \"{text}\" }]\n",
        5,
        "nothing stands for {text}; write {text} where",
    ),
    (
        "[[step]]\ndo = \"install\"\nweb = [{ type = \"#a\", text = \"{canary:x}\" }]\n",
        5,
        "nothing stands for {canary:x}",
    ),
    ("[[step]]\ndo = \"install\"\nweb = [{ tap = \"#a\" }]\n", 5, "unknown field `tap`"),
    (
        "[[step]]\ndo = \"idle\"\nseconds = 1\nweb = [{ open = \"/\" }]\n",
        4,
        "\"idle\" takes no `web`; remove web",
    ),
    ("[[step]]\ninclude = \"../common/none.toml\"\n", 4, "cannot read"),
    ("[[step]]\ninclude = \"x.toml\"\ndo = \"install\"\n", 4, "both `include` and `do`"),
    ("[[step]]\ndo = \"install\"\n[[step]]\ndo = \n", 6, "docs/scenarios.md"),
    ("", 1, "missing field `step`"),
];

#[test]
fn faults_name_line_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broken.toml");
    for (text, line, says) in BROKEN {
        std::fs::write(&file, format!("{HEAD}{text}")).unwrap();
        let output = metaleak().args(["scenario", "check"]).arg(&file).assert().code(2).get_output().clone();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.stdout.is_empty());
        assert!(said.contains(&format!("broken.toml:{line}: ")) && said.contains(says), "{text}\n{said}");
    }
    std::fs::write(&file, "schema = 2\ntitle = { en = \"a\", de = \"\" }\n[[step]]\ndo = \"nothing\"\n")
        .unwrap();
    let faults = Scenario::load(&file).unwrap_err().faults;
    assert_eq!(faults.len(), 3, "all at once: {faults:?}");
}

#[test]
fn includes_are_followed_but_not_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("{HEAD}{text}")).unwrap();
        path
    };
    let file =
        write("a/one.toml", "[[step]]\ninclude = \"../common/two.toml\"\n[[step]]\ndo = \"background\"\n");
    write("common/two.toml", "[[step]]\ndo = \"idle\"\nseconds = 1\n[[step]]\ninclude = \"three.toml\"\n");
    write("common/three.toml", "[[step]]\ndo = \"install\"\n");
    let scenario = Scenario::load(&file).unwrap();
    let places: Vec<_> = scenario.steps.iter().map(|s| (s.action.info().id, s.line)).collect();
    assert_eq!(places, [("idle", 3), ("install", 3), ("background", 5)]);
    assert_eq!(scenario.id, "a/one");
    write("common/three.toml", "[[step]]\ndo = \"install\"\n# changed\n");
    assert_ne!(
        Scenario::load(&file).unwrap().sha256,
        scenario.sha256,
        "the hash is of what is included, too"
    );
    let three = write("common/three.toml", "[[step]]\ninclude = \"three.toml\"\n");
    let faults = Scenario::load(&file).unwrap_err();
    assert!(faults.to_string().contains("three.toml:4: includes are nested"), "{faults}");
    assert!(check_steps(&three).is_err());
    // A fault of an included file is told with that file's name.
    write("common/three.toml", "[[step]]\ndo = \"call\"\n");
    let faults = Scenario::load(&file).unwrap_err();
    assert!(faults.to_string().contains("three.toml:4: \"call\" without `seconds`"), "{faults}");
}

// ---------------------------------------------------------------------------------------------- schema, documents

#[test]
fn the_stored_schema_is_that_of_the_types_and_fits_every_file() {
    let schema = serde_json::to_value(schema()).unwrap();
    let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
    let path = root("docs/schema/scenario-1.json");
    let touches = serde_json::to_value(metaleak::scenario::ui_schema()).unwrap();
    let touches_text = format!("{}\n", serde_json::to_string_pretty(&touches).unwrap());
    let touches_path = root("docs/schema/ui-1.json");
    if std::env::var_os("METALEAK_UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &text).unwrap();
        std::fs::write(&touches_path, &touches_text).unwrap();
    }
    let stored = std::fs::read_to_string(&touches_path).unwrap();
    assert_eq!(
        stored, touches_text,
        "run METALEAK_UPDATE_SCHEMA=1 cargo test --test scenario, review and commit it"
    );
    let validator = jsonschema::validator_for(&touches).unwrap();
    for folder in std::fs::read_dir(root("scenarios")).unwrap() {
        let Ok(text) = std::fs::read_to_string(folder.unwrap().path().join("ui.toml")) else { continue };
        let value = serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap();
        assert!(
            validator.is_valid(&value),
            "{:?}",
            validator.iter_errors(&value).map(|e| e.to_string()).next()
        );
    }
    let wrong = serde_json::json!({"schema": 1, "package": "a.b", "action": [{"do": "call", "touches": [{"tab": {}}]}]});
    assert!(!validator.is_valid(&wrong), "a key that is not known");
    let stored = std::fs::read_to_string(&path).unwrap();
    assert_eq!(stored, text, "run METALEAK_UPDATE_SCHEMA=1 cargo test --test scenario, review and commit it");
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (path, text) in embedded_files().filter(|(path, _)| !is_steps_file(Path::new(path))) {
        let file: toml::Table = text.parse().unwrap();
        let value = serde_json::to_value(file).unwrap();
        let faults: Vec<String> = validator.iter_errors(&value).map(|e| e.to_string()).collect();
        assert!(faults.is_empty(), "{path}: {faults:?}");
    }
    // Faults that types can tell are told by the schema as well.
    for (wrong, why) in [
        ("schema = 1\n[[step]]\ndo = \"install\"\n", "no title"),
        ("schema = 1\ntitle = { en = \"a\", de = \"b\" }\n[[step]]\ndo = \"nonsense\"\n", "no such action"),
        (
            "schema = 1\ntitle = { en = \"a\", de = \"b\" }\n[[step]]\ndo = \"idle\"\nsecond = 1\n",
            "no such key",
        ),
    ] {
        let value = serde_json::to_value(wrong.parse::<toml::Table>().unwrap()).unwrap();
        assert!(!validator.is_valid(&value), "{why}");
    }
}

#[test]
fn the_table_of_actions_is_that_of_the_program() {
    let path = root("docs/scenarios.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- actions -->\n", "<!-- end of actions -->");
    let (before, rest) = page.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let mut rows =
        String::from("| `do` | step | needs | may have | in words |\n| --- | --- | --- | --- | --- |\n");
    for info in ACTIONS {
        let keys = |parts: &[metaleak::scenario::Part]| {
            let keys: Vec<String> = parts.iter().map(|p| format!("`{}`", p.key())).collect();
            if keys.is_empty() { "–".to_owned() } else { keys.join(", ") }
        };
        let mark = if info.mark.is_empty() { "–".to_owned() } else { format!("`{}`", info.mark) };
        rows += &format!(
            "| `{}` | {mark} | {} | {} | {} |\n",
            info.id,
            keys(info.needs),
            keys(info.may),
            info.en
        );
    }
    let made = format!("{before}{begin}{rows}{end}{after}");
    if std::env::var_os("METALEAK_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        made,
        "METALEAK_UPDATE_DOCS=1 cargo test --test scenario"
    );
    let ids: BTreeSet<&str> = ACTIONS.iter().map(|a| a.id).collect();
    assert_eq!(ids.len(), ACTIONS.len());
}

// ---------------------------------------------------------------------------------------------- the command

#[test]
fn the_command_lists_shows_and_begins_scenarios() {
    let out = |arguments: &[&str]| {
        let output = metaleak().arg("scenario").args(arguments).assert().code(0).get_output().clone();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(out(&["list"]).lines().count(), catalogue().count());
    let signal = out(&["list", "signal", "--lang", "de"]);
    assert!(signal.lines().all(|l| l.starts_with("signal/")) && signal.contains("Adressbuch"), "{signal}");
    let shown = out(&["show", "threema/contact-sync", "--seed", "1"]);
    assert!(
        shown.contains("contacts: 0, 10, 100, 1000")
            && shown.contains("seed 1")
            && shown.contains("<dose> test contacts"),
        "{shown}"
    );
    assert_eq!(shown, out(&["show", "threema/contact-sync", "--seed", "1"]));
    let same = root("scenarios/threema/contact-sync.toml");
    assert_eq!(shown, out(&["show", same.to_str().unwrap(), "--seed", "1"]), "a file as its built-in copy");
    assert!(out(&["show", "threema/contact-sync", "--lang", "de"]).contains("zufälliger Folge"));
    assert_eq!(out(&["show", "threema/contact-sync", "--toml"]), std::fs::read_to_string(same).unwrap());
    for path in catalogue() {
        for lang in ["en", "de"] {
            let shown = out(&["show", &Scenario::embedded(path).unwrap().id, "--lang", lang]);
            assert!(!shown.contains("[scenario-"), "a word is missing: {shown}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("begin.toml");
    std::fs::write(&file, out(&["new", "beratung/send-text"])).unwrap();
    assert!(out(&["check", file.to_str().unwrap()]).starts_with("1 scenarios, 0 files of steps, no faults"));
    for wrong in
        [&["show", "none/none"][..], &["list", "nobody"], &["new", "Beratung"], &["check", "none.toml"]]
    {
        metaleak().arg("scenario").args(wrong).assert().code(2);
    }
}
