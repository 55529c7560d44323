//! UI maps: how an action of a scenario becomes touches of an app, as data that people without Rust can edit.
//!
//! Takes a file (`scenarios/<messenger>/ui.toml`, or that of `--ui`); gives checked [`UiMap`]s, every fault with file, line and remedy.
//! Touches nothing.

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use crate::fault::{Fault, Faults, line_at};
use crate::scenario::Action;

/// Bytes of a file that are believed.
const MAX_FILE: u64 = 256 << 10;
/// Seconds within which something has to be seen, unless told.
const WITHIN: f64 = 15.0;

/// The built-in maps, by messenger.
static BUILT_IN: &[(&str, &str)] = &[
    ("whatsapp", include_str!("../../../scenarios/whatsapp/ui.toml")),
    ("messenger", include_str!("../../../scenarios/messenger/ui.toml")),
    ("telegram", include_str!("../../../scenarios/telegram/ui.toml")),
    ("signal", include_str!("../../../scenarios/signal/ui.toml")),
    ("wire", include_str!("../../../scenarios/wire/ui.toml")),
    ("threema", include_str!("../../../scenarios/threema/ui.toml")),
];

/// A file of touches.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UiFile {
    /// Always 1.
    #[schemars(with = "u32")]
    schema: Spanned<u32>,
    /// The app's package.
    package: String,
    /// What was it tried with, in words; empty: nothing.
    #[serde(default)]
    tried: String,
    /// How actions are done.
    #[serde(default, rename = "action")]
    #[schemars(with = "Vec<UiEntry>")]
    actions: Vec<Spanned<UiEntry>>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UiEntry {
    /// The action, as scenarios write it.
    #[serde(rename = "do")]
    #[schemars(with = "String")]
    action: Spanned<String>,
    /// Only for steps with this mark; without it for all others.
    mark: Option<String>,
    /// What is done, in order.
    #[schemars(with = "Vec<Touch>")]
    touches: Vec<Spanned<Touch>>,
}

/// The JSON Schema of files of touches.
pub(crate) fn schema() -> schemars::Schema {
    schemars::schema_for!(UiFile)
}

/// One touch; exactly one of its keys but `within` and `optional` stands.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Touch {
    /// Taps the middle of what is meant, once it is seen.
    pub tap: Option<Selector>,
    /// Waits until it is seen.
    pub wait: Option<Selector>,
    /// Waits until it is not seen any more.
    pub gone: Option<Selector>,
    /// Types a text. `{text}` is the message, `{canary}` the step's canary, `{canary:NAME}` another one, `{set:NAME}` a value of
    /// `--set`, `{code}` the newest code of four to
    /// eight digits in a short message that came in since the step began, for which is waited.
    #[serde(rename = "type")]
    pub types: Option<String>,
    /// A key by Android's name: BACK, HOME, ENTER …
    pub key: Option<String>,
    /// Starts the app, or brings it to the front.
    #[serde(default)]
    pub launch: bool,
    /// The second account's phone (`--set peer=SERIAL`) opens the conversation and does this action of the same file.
    pub peer: Option<String>,
    /// Waits so many seconds; `"step"` for those of the step.
    pub pause: Option<Pause>,
    /// Puts the picture of `--image` where galleries look.
    #[serde(default)]
    pub image: bool,
    /// Seconds within which something has to be seen; 15 unless told.
    pub within: Option<f64>,
    /// Goes on when it is not seen.
    #[serde(default)]
    pub optional: bool,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Pause {
    /// So many seconds.
    Seconds(f64),
    /// Those of the step.
    Step(StepWord),
}

/// The word `step`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepWord {
    /// The seconds of the step.
    Step,
}

/// What is meant on the screen: the first that has all that stands here. In `text`, `desc` and `contains` stand the same words in braces for
/// texts as in `type`, but for `{code}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Selector {
    /// Resource id, whole or behind its slash.
    pub id: Option<String>,
    /// The text.
    pub text: Option<String>,
    /// The description for people who do not see it.
    pub desc: Option<String>,
    /// A part of text or description.
    pub contains: Option<String>,
}

impl Selector {
    /// With its words in braces filled in.
    ///
    /// # Errors
    /// Those of `fill`.
    pub(super) fn filled<E>(&self, fill: impl Fn(&str) -> Result<String, E>) -> Result<Selector, E> {
        let of = |part: &Option<String>| part.as_deref().map(&fill).transpose();
        Ok(Selector {
            id: self.id.clone(),
            text: of(&self.text)?,
            desc: of(&self.desc)?,
            contains: of(&self.contains)?,
        })
    }

    fn is_empty(&self) -> bool {
        [&self.id, &self.text, &self.desc, &self.contains]
            .iter()
            .all(|part| part.as_ref().is_none_or(String::is_empty))
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts =
            [("id", &self.id), ("text", &self.text), ("desc", &self.desc), ("contains", &self.contains)];
        let parts: Vec<String> =
            parts.iter().filter_map(|(key, value)| Some(format!("{key} {:?}", value.as_ref()?))).collect();
        f.write_str(&parts.join(", "))
    }
}

impl Touch {
    /// How long something may take to be seen.
    #[must_use]
    pub fn within(&self) -> std::time::Duration {
        std::time::Duration::try_from_secs_f64(self.within.unwrap_or(WITHIN)).unwrap_or_default()
    }
}

/// How one app is touched.
#[derive(Clone, Debug, PartialEq)]
pub struct UiMap {
    /// The app's package.
    pub package: String,
    /// What it was tried with; empty: nothing.
    pub tried: String,
    actions: Vec<(Action, Option<String>, Vec<Touch>)>,
}

impl UiMap {
    /// The built-in map of a messenger.
    ///
    /// # Errors
    /// [`Faults`]; a test keeps the built-in files free of them.
    pub fn built_in(messenger: &str) -> Option<Result<UiMap, Faults>> {
        let (_, text) = BUILT_IN.iter().find(|(name, _)| *name == messenger)?;
        Some(UiMap::from_text(&format!("scenarios/{messenger}/ui.toml"), text))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Faults`] with every fault.
    pub fn load(path: &Path) -> Result<UiMap, Faults> {
        use std::io::Read as _;
        let shown = path.to_string_lossy().into_owned();
        let unreadable = |what: String| Faults {
            faults: vec![Fault {
                file: shown.clone(),
                line: 1,
                what,
                remedy: "give the path of a ui.toml (docs/run.md)".into(),
            }],
        };
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(|e| unreadable(format!("cannot read: {e}")))?;
        file.take(MAX_FILE + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| unreadable(format!("cannot read: {e}")))?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(unreadable(format!("more than {} KiB", MAX_FILE >> 10)));
        }
        let text = String::from_utf8(bytes).map_err(|_| unreadable("this is no UTF-8".into()))?;
        UiMap::from_text(&shown, &text)
    }

    /// Reads a text as if it were that file.
    ///
    /// # Errors
    /// [`Faults`] with every fault.
    pub fn from_text(file: &str, text: &str) -> Result<UiMap, Faults> {
        let mut faults = Vec::new();
        let mut fault = |at: usize, what: String, remedy: &str| {
            let line = line_at(text.as_bytes(), at);
            faults.push(Fault { file: file.to_owned(), line, what, remedy: remedy.to_owned() });
        };
        let parsed: UiFile = match toml::from_str(text) {
            Ok(parsed) => parsed,
            Err(e) => {
                let at = e.span().map_or(0, |s| s.start);
                fault(
                    at,
                    e.message().lines().collect::<Vec<_>>().join(" "),
                    "docs/run.md lists the keys and what they take",
                );
                return Err(Faults { faults });
            }
        };
        if *parsed.schema.get_ref() != 1 {
            fault(
                parsed.schema.span().start,
                format!("schema {} is not known", parsed.schema.get_ref()),
                "write schema = 1",
            );
        }
        // It becomes a word of a shell on the phone.
        let good = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
        if parsed.package.is_empty() || !parsed.package.chars().all(good) {
            fault(0, format!("{:?} is no package", parsed.package), "write package = \"org.example.app\"");
        }
        let mut actions: Vec<(Action, Option<String>, Vec<Touch>)> = Vec::new();
        for entry in parsed.actions {
            let at = entry.span().start;
            let entry = entry.into_inner();
            let Some(action) = Action::named(entry.action.get_ref()) else {
                let what = format!("unknown action {:?}", entry.action.get_ref());
                fault(entry.action.span().start, what, "docs/scenarios.md lists the actions");
                continue;
            };
            if actions.iter().any(|(a, mark, _)| *a == action && *mark == entry.mark) {
                fault(
                    at,
                    format!("{:?} stands twice", action.info().id),
                    "give one of them a mark, or join them",
                );
            }
            let mut touches = Vec::new();
            for touch in entry.touches {
                let at = touch.span().start;
                let touch = touch.into_inner();
                let there = [
                    touch.tap.is_some(),
                    touch.wait.is_some(),
                    touch.gone.is_some(),
                    touch.types.is_some(),
                    touch.key.is_some(),
                    touch.launch,
                    touch.peer.is_some(),
                    touch.pause.is_some(),
                    touch.image,
                ];
                if there.iter().filter(|t| **t).count() != 1 {
                    fault(
                        at,
                        "a touch that is not one thing".into(),
                        "write one of tap, wait, gone, type, key, launch, peer, pause, image",
                    );
                }
                if [&touch.tap, &touch.wait, &touch.gone].into_iter().flatten().any(Selector::is_empty) {
                    fault(at, "it could mean anything".into(), "write id, text, desc or contains");
                }
                if touch.key.as_ref().is_some_and(|key| key.is_empty() || !key.chars().all(good)) {
                    fault(at, "no key".into(), "write a name of Android's, e.g. BACK, HOME, ENTER");
                }
                if touch.peer.as_ref().is_some_and(|what| Action::named(what).is_none()) {
                    fault(
                        at,
                        "no action".into(),
                        "write what the other phone does, e.g. peer = \"send-text\"",
                    );
                }
                let seconds = |s: f64| (0.0..=86_400.0).contains(&s);
                let wrong = match touch.pause {
                    Some(Pause::Seconds(s)) => !seconds(s),
                    _ => false,
                };
                if wrong || touch.within.is_some_and(|s| !seconds(s)) {
                    fault(at, "no time".into(), "write seconds from 0 to 86400");
                }
                touches.push(touch);
            }
            actions.push((action, entry.mark, touches));
        }
        if faults.is_empty() {
            return Ok(UiMap { package: parsed.package, tried: parsed.tried, actions });
        }
        Err(Faults { faults })
    }

    /// The touches of a step; those with its mark come before those without one.
    #[must_use]
    pub fn touches(&self, action: Action, mark: Option<&str>) -> Option<&[Touch]> {
        let find = |wanted: Option<&str>| {
            self.actions
                .iter()
                .find(|(a, m, _)| *a == action && m.as_deref() == wanted)
                .map(|(_, _, t)| t.as_slice())
        };
        mark.and_then(|mark| find(Some(mark))).or_else(|| find(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_maps_have_no_faults() {
        for (messenger, _) in BUILT_IN {
            let map = UiMap::built_in(messenger).unwrap().unwrap_or_else(|e| panic!("{e}"));
            assert!(map.touches(Action::SendText, None).is_some(), "{messenger}");
            assert!(map.tried.is_empty(), "{messenger}: say in docs/run.md with what it was tried");
        }
    }

    #[test]
    fn faults_name_line_and_remedy() {
        let text = "schema = 1\npackage = \"a b\"\n[[action]]\ndo = \"send-text\"\ntouches = [\n  { tap = { id = \"x\" }, key = \"BACK\" },\n  { tap = {} },\n]\n[[action]]\ndo = \"fly\"\ntouches = []\n";
        let faults = UiMap::from_text("ui.toml", text).unwrap_err().to_string();
        for want in [
            "ui.toml:1: \"a b\" is no package",
            "ui.toml:6: a touch that is not one thing",
            "ui.toml:7: it could mean anything",
            "ui.toml:10: unknown action \"fly\"",
        ] {
            assert!(faults.contains(want), "{want}\n{faults}");
        }
    }

    #[test]
    fn a_mark_comes_before_none() {
        let text = "schema = 1\npackage = \"a.b\"\n[[action]]\ndo = \"call\"\ntouches = [{ key = \"CALL\" }]\n[[action]]\ndo = \"call\"\nmark = \"call-relay\"\ntouches = [{ key = \"MENU\" }]\n";
        let map = UiMap::from_text("ui.toml", text).unwrap();
        let key = |mark| map.touches(Action::Call, mark).unwrap()[0].key.clone().unwrap();
        assert_eq!((key(Some("call-relay")), key(Some("call-1to1"))), ("MENU".into(), "CALL".into()));
        assert!(map.touches(Action::Block, None).is_none());
    }
}
