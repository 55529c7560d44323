//! The driver for Android devices, by the program `adb`.
//!
//! Takes steps; what an action means for an app is in a UI map ([`UiMap`]): taps on what `uiautomator dump` shows. Contacts, permissions,
//! installation and the app's life are the driver's own, by `pm`, `am`, `content` and `input` on the device. Everything that comes
//! from the device is untrusted: dumps are read with bounded memory and their values never become words of a shell.

use std::cell::Cell;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::process::{self, Output};
use super::ui::{Pause, Selector, Touch, UiMap};
use super::{Ask, Driver, DriverInfo, Facts, Options, StepFault, hash_of};
use crate::scenario::contacts::Contact;
use crate::scenario::{Action, Control, DeviceKind, Scenario, Step, folder};

/// As it is registered.
pub(super) static INFO: DriverInfo = DriverInfo {
    id: "adb",
    purpose: "an Android device or emulator, by taps on what the screen shows",
    needs: &[("adb", &["version"], "adb")],
    suits: |scenario, options| {
        options.device.is_some() && scenario.device.kinds.contains(&DeviceKind::Android)
    },
    make: |options| {
        let map = options.ui.as_ref().map(|path| UiMap::load(path).map_err(|e| e.to_string())).transpose()?;
        Ok(Box::new(Adb {
            options: options.clone(),
            map,
            disabled: None,
            began: Cell::new(0),
            touched: Cell::new(false),
        }))
    },
};

/// How long a call may take where no step limits it.
const CALL: Duration = Duration::from_secs(60);
/// Pause between two looks at the screen.
const AGAIN: Duration = Duration::from_millis(300);
/// Things on a screen that are looked at.
const MAX_NODES: usize = 20_000;
/// Characters of a text that is typed at once; longer ones are typed in pieces.
const TYPED: usize = 200;
/// Permissions for the address book.
const CONTACTS: [&str; 2] = ["android.permission.READ_CONTACTS", "android.permission.WRITE_CONTACTS"];

/// The driver.
struct Adb {
    options: Options,
    map: Option<UiMap>,
    /// The app that was switched off for a control.
    disabled: Option<String>,
    /// When the step began by the phone's clock, milliseconds since 1970; 0 where no step asks for a code.
    began: Cell<u64>,
    /// The step has tapped or typed.
    touched: Cell<bool>,
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// What adb says when the device is not there.
fn is_lost(text: &str) -> bool {
    [
        "device offline",
        "no devices/emulators found",
        "device unauthorized",
        "error: closed",
        "cannot connect to daemon",
    ]
    .iter()
    .any(|sign| text.contains(sign))
        || text.lines().any(|line| line.contains("device '") && line.contains("not found"))
}

impl Adb {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.options.tool("adb"));
        if let Some(device) = &self.options.device {
            command.args(["-s", device]);
        }
        command.args(arguments);
        command
    }

    fn call(&self, arguments: &[&str], until: Instant, stop: &AtomicBool) -> Result<Output, StepFault> {
        let output = process::run(&mut self.command(arguments), None, until, stop, None)?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.success() && is_lost(&said) {
            return Err(StepFault::Lost(output.last_line()));
        }
        Ok(output)
    }

    /// A line for the device's shell; what fails is an error.
    fn shell(&self, line: &str, ask: &Ask<'_>) -> Result<Output, StepFault> {
        self.shell_until(line, ask.until, ask.stop)
    }

    fn shell_until(&self, line: &str, until: Instant, stop: &AtomicBool) -> Result<Output, StepFault> {
        let output = self.call(&["shell", line], until, stop)?;
        if line.starts_with("input ") {
            self.touched.set(true);
        }
        let text = output.text();
        // `pm` and `am` of older systems end with 0 whatever happens.
        let failed = text.lines().any(|l| {
            l.starts_with("Error:") || l.starts_with("Failure") || l.starts_with("Exception occurred")
        });
        if output.success() && !failed {
            return Ok(output);
        }
        // What follows may be a text to type.
        let what: String = line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        Err(StepFault::Failed(format!("{what}: {}", output.last_line())))
    }

    fn map(&self, scenario: &Scenario) -> Result<UiMap, String> {
        if let Some(map) = &self.map {
            return Ok(map.clone());
        }
        let messenger = scenario.messenger.as_deref().unwrap_or_default();
        match UiMap::built_in(messenger) {
            Some(map) => map.map_err(|e| e.to_string()),
            None => Err(format!("there is no ui.toml for {messenger:?}; give one with --ui (docs/run.md)")),
        }
    }

    fn package(&self, scenario: &Scenario) -> Result<String, StepFault> {
        let package = match (&scenario.app.android, self.map(scenario)) {
            (Some(package), _) => package.clone(),
            (None, Ok(map)) => map.package,
            (None, Err(e)) => return Err(StepFault::Failed(e)),
        };
        if package.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_') {
            return Ok(package);
        }
        Err(StepFault::Failed(format!("{package:?} is no package")))
    }

    fn launch(&self, ask: &Ask<'_>) -> Result<(), StepFault> {
        let package = self.package(ask.scenario)?;
        let output =
            self.shell(&format!("monkey -p {package} -c android.intent.category.LAUNCHER 1"), ask)?;
        if output.text().contains("No activities found") {
            return Err(StepFault::Failed(format!("{package} is not installed, or has nothing to open")));
        }
        Ok(())
    }

    /// Grants or takes away the permissions for the address book.
    fn contacts_allowed(&self, allowed: bool, ask: &Ask<'_>) -> Result<(), StepFault> {
        let package = self.package(ask.scenario)?;
        let verb = if allowed { "grant" } else { "revoke" };
        let [read, write] = CONTACTS;
        self.shell(&format!("pm {verb} {package} {read}"), ask)?;
        // Not every app asks for it; without asking it cannot be given.
        match self.shell(&format!("pm {verb} {package} {write}"), ask) {
            Err(StepFault::Failed(_)) | Ok(_) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    fn install(&self, ask: &Ask<'_>) -> Result<(), StepFault> {
        if let Some(apk) = &self.options.apk {
            let path = apk.to_string_lossy().into_owned();
            let output = self.call(&["install", "-r", &path], ask.until, ask.stop)?;
            if !output.success() || !output.text().contains("Success") {
                return Err(StepFault::Failed(format!("install {path:?}: {}", output.last_line())));
            }
        } else {
            let package = self.package(ask.scenario)?;
            let there = self.shell(&format!("pm list packages {package}"), ask)?.text();
            if !there.lines().any(|line| line.trim() == format!("package:{package}")) {
                return Err(StepFault::Failed(format!("{package} is not on the device; give it with --apk")));
            }
        }
        self.launch(ask)
    }

    /// Empties the address book and fills it anew. After `pm clear` the provider counts its rows from 1 again.
    fn import(&self, ask: &Ask<'_>) -> Result<(), StepFault> {
        self.shell("pm clear com.android.providers.contacts", ask)?;
        let script = import_script(ask.contacts);
        let path = ask.file("sh");
        folder::write(&path, script.as_bytes())
            .map_err(|e| StepFault::Failed(format!("{path:?}: cannot write: {e}")))?;
        let there = "/data/local/tmp/metaleak-contacts.sh";
        let output = self.call(&["push", &path.to_string_lossy(), there], ask.until, ask.stop)?;
        if !output.success() {
            return Err(StepFault::Failed(format!("push: {}", output.last_line())));
        }
        self.shell(&format!("sh {there} && rm {there}"), ask)?;
        let uri = "content://com.android.contacts/raw_contacts";
        let rows = self.shell(&format!("content query --uri {uri} --projection _id"), ask)?.text();
        let rows = rows.lines().filter(|line| line.starts_with("Row:")).count();
        if rows != ask.contacts.len() {
            return Err(StepFault::Failed(format!(
                "the address book has {rows} contacts instead of {}",
                ask.contacts.len()
            )));
        }
        Ok(())
    }

    /// What the screen shows.
    fn screen(&self, ask: &Ask<'_>) -> Result<Vec<Node>, StepFault> {
        let until = ask.until.min(Instant::now() + CALL);
        let output = self.call(&["exec-out", "uiautomator dump /dev/tty"], until, ask.stop)?;
        let dump = String::from_utf8_lossy(&output.stdout).into_owned();
        if !dump.contains("<hierarchy") {
            // While something moves it says "could not get idle state"; that is no screen, and no fault either.
            return Ok(Vec::new());
        }
        Ok(nodes(&dump))
    }

    /// Looks until what is meant is there (or not there any more).
    fn find(
        &self,
        what: &Selector,
        there: bool,
        within: Duration,
        ask: &Ask<'_>,
    ) -> Result<Option<Node>, StepFault> {
        let until = ask.until.min(Instant::now() + within);
        loop {
            let screen = self.screen(ask)?;
            let found = screen.iter().find(|node| node.is(what)).cloned();
            if found.is_some() == there && !screen.is_empty() {
                return Ok(found);
            }
            if Instant::now() >= until {
                let what = if there {
                    format!("{what} on the screen")
                } else {
                    format!("{what} is still on the screen")
                };
                return Err(StepFault::Timeout { what, within });
            }
            ask.pause(AGAIN)?;
        }
    }

    fn type_text(&self, text: &str, ask: &Ask<'_>) -> Result<(), StepFault> {
        if !text.is_ascii() {
            return Err(StepFault::Failed(
                "`input text` types ASCII alone; choose another text or canary".into(),
            ));
        }
        let characters: Vec<char> = text.chars().filter(|c| !c.is_control()).collect();
        for part in characters.chunks(TYPED) {
            let part: String = part.iter().collect();
            // `input text` takes %s for a blank; one of the text itself is typed in two parts.
            let mut rest = part.as_str();
            while !rest.is_empty() {
                let (now, then) = rest.find("%s").map_or((rest, ""), |at| rest.split_at(at + 1));
                rest = then;
                self.shell(&format!("input text {}", quoted(&now.replace(' ', "%s"))), ask)?;
            }
        }
        Ok(())
    }

    fn touches(&self, ask: &Ask<'_>) -> Result<(), StepFault> {
        let map = self.map(ask.scenario).map_err(StepFault::Failed)?;
        let Some(touches) = map.touches(ask.step.action, ask.step.mark.as_deref()) else {
            return Err(StepFault::Failed(format!("ui.toml has no {:?}", ask.step.action.info().id)));
        };
        // A code of before the step is another's.
        if touches.iter().any(|touch| touch.types.as_ref().is_some_and(|text| text.contains("{code}"))) {
            self.began.set(self.now(ask)?);
        }
        self.each(touches, ask)
    }

    /// Touches in their order.
    fn each(&self, touches: &[Touch], ask: &Ask<'_>) -> Result<(), StepFault> {
        for touch in touches {
            let done = self.touch(touch, ask);
            match done {
                Err(StepFault::Timeout { .. }) if touch.optional => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// The second account's phone opens the conversation and does an action of the same file.
    fn peer(&self, action: &str, ask: &Ask<'_>) -> Result<(), StepFault> {
        let Some(serial) = self.options.set.get("peer") else {
            return Err(StepFault::Failed(
                "nobody can send: name the second account's phone with --set peer=SERIAL, or take --driver manual".into(),
            ));
        };
        let options = Options { device: Some(serial.clone()), ..self.options.clone() };
        let other = Adb {
            options,
            map: self.map.clone(),
            disabled: None,
            began: Cell::new(0),
            touched: Cell::new(false),
        };
        let map = other.map(ask.scenario).map_err(StepFault::Failed)?;
        for action in [Some(Action::Foreground), Action::named(action)].into_iter().flatten() {
            let Some(touches) = map.touches(action, None) else {
                return Err(StepFault::Failed(format!("ui.toml has no {:?}", action.info().id)));
            };
            // What the other phone is to do in turn would never end.
            if touches.iter().any(|touch| touch.peer.is_some()) {
                return Err(StepFault::Failed("the other phone cannot wait for this one".into()));
            }
            other.each(touches, ask)?;
        }
        Ok(())
    }

    /// The newest code in the short messages that came in since `since` (milliseconds by the phone's clock).
    fn code(&self, since: u64, within: Duration, ask: &Ask<'_>) -> Result<String, StepFault> {
        let until = ask.until.min(Instant::now() + within);
        let query = format!(
            "content query --uri content://sms/inbox --projection date:body --where 'date>{since}' --sort 'date DESC'"
        );
        loop {
            let said = self.shell(&query, ask)?.text();
            if let Some(code) = said.lines().find_map(|row| code_of(row.split_once("body=")?.1)) {
                return Ok(code);
            }
            if Instant::now() >= until {
                return Err(StepFault::Timeout { what: "a code in a short message".into(), within });
            }
            ask.pause(AGAIN)?;
        }
    }

    /// A text with its words in braces filled in; one that nothing is known for is a fault, not a text.
    fn filled(&self, text: &str, ask: &Ask<'_>) -> Result<String, StepFault> {
        let mut out = text
            .replace("{text}", ask.text.as_deref().unwrap_or_default())
            .replace("{canary}", ask.canary().unwrap_or_default());
        for (kind, values) in [("canary", ask.canaries), ("set", &self.options.set)] {
            for (name, value) in values {
                out = out.replace(&format!("{{{kind}:{name}}}"), value);
            }
            let open = format!("{{{kind}:");
            if text.contains(&open) && out.contains(&open) {
                let give = if kind == "set" { "give it with --set" } else { "give it with --canary" };
                return Err(StepFault::Failed(format!(
                    "ui.toml: nothing is known for {text:?}; {give} NAME=VALUE"
                )));
            }
        }
        Ok(out)
    }

    /// The phone's clock, in milliseconds since 1970.
    fn now(&self, ask: &Ask<'_>) -> Result<u64, StepFault> {
        let said = self.shell("date +%s", ask)?.text();
        let seconds: u64 = said
            .trim()
            .parse()
            .map_err(|_| StepFault::Failed(format!("date: {:?}", process::plain(said.trim()))))?;
        Ok(seconds.saturating_mul(1000))
    }

    fn touch(&self, touch: &Touch, ask: &Ask<'_>) -> Result<(), StepFault> {
        let of = |what: &Option<Selector>| {
            what.as_ref().map(|what| what.filled(|text| self.filled(text, ask))).transpose()
        };
        let [tap, wait, gone] = [of(&touch.tap)?, of(&touch.wait)?, of(&touch.gone)?];
        if let Some(what) = &tap {
            let found = self.find(what, true, touch.within(), ask)?;
            let (x, y) = found.map_or((0, 0), |node| node.middle());
            self.shell(&format!("input tap {x} {y}"), ask)?;
        }
        if let Some(what) = &wait {
            self.find(what, true, touch.within(), ask)?;
        }
        if let Some(what) = &gone {
            self.find(what, false, touch.within(), ask)?;
        }
        if let Some(text) = &touch.types {
            let mut text = self.filled(text, ask)?;
            if text.contains("{code}") {
                let within = touch.within.map_or(CALL, |_| touch.within());
                text = text.replace("{code}", &self.code(self.began.get(), within, ask)?);
            }
            self.type_text(&text, ask)?;
        }
        if let Some(key) = &touch.key {
            self.shell(&format!("input keyevent KEYCODE_{key}"), ask)?;
        }
        if touch.launch {
            self.launch(ask)?;
        }
        if let Some(action) = &touch.peer {
            self.peer(action, ask)?;
        }
        if touch.image {
            let Some(image) = &self.options.image else {
                return Err(StepFault::Failed("no picture; give one with --image".into()));
            };
            let path = image.to_string_lossy().into_owned();
            let output = self.call(&["push", &path, "/sdcard/Pictures/metaleak.jpg"], ask.until, ask.stop)?;
            if !output.success() {
                return Err(StepFault::Failed(format!("push {path:?}: {}", output.last_line())));
            }
            self.shell("am broadcast -a android.intent.action.MEDIA_SCANNER_SCAN_FILE -d file:///sdcard/Pictures/metaleak.jpg", ask)?;
        }
        match touch.pause {
            Some(Pause::Seconds(seconds)) => {
                ask.pause(Duration::try_from_secs_f64(seconds).unwrap_or_default())?;
            }
            Some(Pause::Step(_)) => ask.pause(Duration::from_secs(ask.seconds.unwrap_or_default()))?,
            None => {}
        }
        Ok(())
    }
}

/// A shell script that fills an empty address book.
fn import_script(contacts: &[Contact]) -> String {
    let mut script = String::from("set -e\n");
    let base = "content insert --uri content://com.android.contacts";
    for (id, contact) in (1..).zip(contacts) {
        // A colon parts name, type and value of a binding.
        let plain = |text: &str| text.chars().filter(|c| !c.is_control() && *c != ':').collect::<String>();
        let (name, number) = (plain(&contact.name), plain(&contact.number));
        script.push_str(&format!("{base}/raw_contacts --bind account_type:n: --bind account_name:n:\n"));
        for (kind, value) in [("name", &name), ("phone_v2", &number)] {
            script.push_str(&format!(
                "{base}/data --bind raw_contact_id:i:{id} --bind mimetype:s:vnd.android.cursor.item/{kind} --bind {}\n",
                quoted(&format!("data1:s:{value}"))
            ));
        }
    }
    script
}

/// The first four to eight digits in a row, as services send codes; a blank or hyphen may part them in the middle.
fn code_of(text: &str) -> Option<String> {
    let joined: Vec<char> = text.chars().collect();
    let is_digit = |at: usize| joined.get(at).is_some_and(char::is_ascii_digit);
    let (mut runs, mut run, mut parts) = (Vec::new(), String::new(), 0);
    for (at, c) in joined.iter().enumerate() {
        let inner = matches!(c, ' ' | '-') && at > 0 && is_digit(at - 1) && is_digit(at + 1) && parts == 0;
        if c.is_ascii_digit() {
            run.push(*c);
        } else if inner {
            parts += 1;
        } else {
            runs.push(std::mem::take(&mut run));
            parts = 0;
        }
    }
    runs.push(run);
    runs.into_iter().find(|run| (4..=8).contains(&run.len()))
}

/// Something on the screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    id: String,
    text: String,
    desc: String,
    /// Left, top, right, bottom.
    bounds: [i32; 4],
}

impl Node {
    fn is(&self, what: &Selector) -> bool {
        let id = |want: &String| self.id == *want || self.id.rsplit('/').next() == Some(want);
        what.id.as_ref().is_none_or(id)
            && what.text.as_ref().is_none_or(|t| self.text == *t)
            && what.desc.as_ref().is_none_or(|t| self.desc == *t)
            && what
                .contains
                .as_ref()
                .is_none_or(|t| self.text.contains(t.as_str()) || self.desc.contains(t.as_str()))
    }

    fn middle(&self) -> (i32, i32) {
        let [left, top, right, bottom] = self.bounds;
        (left.midpoint(right), top.midpoint(bottom))
    }
}

/// The nodes of a dump of `uiautomator`, in the order of the file. The format is flat enough to be read attribute by attribute; what is
/// damaged is passed over.
fn nodes(dump: &str) -> Vec<Node> {
    let mut nodes = Vec::new();
    for part in dump.split("<node ").skip(1).take(MAX_NODES) {
        let mut node = Node::default();
        let mut rest = part;
        while let Some((before, after)) = rest.split_once("=\"") {
            let Some((value, next)) = after.split_once('"') else { break };
            let key = before.trim_start();
            match key {
                "resource-id" => node.id = unescaped(value),
                "text" => node.text = unescaped(value),
                "content-desc" => node.desc = unescaped(value),
                "bounds" => node.bounds = bounds(value).unwrap_or_default(),
                _ => {}
            }
            rest = next;
            if rest.trim_start().starts_with(['>', '/']) {
                break;
            }
        }
        nodes.push(node);
    }
    nodes
}

/// `[0,72][1080,220]`
fn bounds(text: &str) -> Option<[i32; 4]> {
    let mut numbers = text.split(['[', ']', ',']).filter(|part| !part.is_empty()).map(str::parse::<i32>);
    let mut next = || numbers.next()?.ok();
    Some([next()?, next()?, next()?, next()?])
}

/// A value of an attribute without XML's escapes (XML 1.0 section 4.6), characters by number among them.
fn unescaped(value: &str) -> String {
    let mut out = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let Some((name, next)) = after.split_once(';') else {
            out.push('&');
            rest = after;
            continue;
        };
        let number = |text: &str| match text.strip_prefix('x') {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        };
        let character = match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => name.strip_prefix('#').and_then(number).and_then(char::from_u32),
        };
        out.push(character.unwrap_or('\u{fffd}'));
        rest = next;
    }
    out.push_str(rest);
    out
}

impl Driver for Adb {
    fn can(&self, scenario: &Scenario, step: &Step) -> Result<(), String> {
        match step.action {
            Action::Install
            | Action::ImportContacts
            | Action::RevokeContacts
            | Action::GrantContacts
            | Action::DenyContacts
            | Action::Foreground
            | Action::Background
            | Action::Presence => Ok(()),
            action => {
                let map = self.map(scenario)?;
                match map.touches(action, step.mark.as_deref()) {
                    Some(_) => Ok(()),
                    None => Err(format!(
                        "ui.toml has no {:?}; write an [[action]] for it, or take --driver manual",
                        action.info().id
                    )),
                }
            }
        }
    }

    fn begin(&mut self, scenario: &Scenario, stop: &AtomicBool) -> Result<Facts, StepFault> {
        let until = Instant::now() + CALL;
        let property = |name: &str| -> Result<Option<String>, StepFault> {
            let output = self.shell_until(&format!("getprop {name}"), until, stop)?;
            Ok(Some(process::plain(output.text().trim())).filter(|text| !text.is_empty()))
        };
        let state = self.call(&["get-state"], until, stop)?;
        if state.text().trim() != "device" {
            return Err(StepFault::Lost(state.last_line()));
        }
        let model = [property("ro.product.manufacturer")?, property("ro.product.model")?];
        let model: Vec<String> = model.into_iter().flatten().collect();
        let release = property("ro.build.version.release")?;
        let patch = property("ro.build.version.security_patch")?;
        let package = self.package(scenario)?;
        let dump = self.call(&["shell", &format!("dumpsys package {package}")], until, stop)?.text();
        let version =
            dump.lines().find_map(|line| line.trim().strip_prefix("versionName=")).map(process::plain);
        // Android's UID of an app: `userId=` up to release 12, `appId=` since.
        let uid = |line: &str| -> Option<i32> {
            let (key, number) = line.trim().split_once('=')?;
            let number = number.split_whitespace().next().filter(|_| matches!(key, "userId" | "appId"))?;
            number.parse().ok()
        };
        let mut facts = Facts {
            app_uid: dump.lines().find_map(uid),
            device: (!model.is_empty()).then(|| model.join(" ")),
            os: release.map(|r| match patch {
                Some(patch) => format!("Android {r} ({patch})"),
                None => format!("Android {r}"),
            }),
            app_version: version.clone(),
            ..Facts::default()
        };
        let adb = self.call(&["version"], until, stop)?.text();
        facts.tools.extend(adb.lines().next().map(process::plain));
        if let (Some(want), Some(is)) = (&scenario.app.version, &version)
            && want != is
        {
            facts.notes.push(format!("the scenario was written for version {want} of the app, here is {is}"));
        }
        if let Some(apk) = &self.options.apk {
            let bytes = hash_of(apk).map_err(|e| StepFault::Failed(format!("{apk:?}: cannot read: {e}")))?;
            facts.app_sha256 = Some(bytes);
        } else if version.is_some() {
            let places = self.call(&["shell", &format!("pm path {package}")], until, stop)?.text();
            if let Some(path) = places.lines().find_map(|line| line.trim().strip_prefix("package:")) {
                let sum = self.call(&["shell", &format!("sha256sum {}", quoted(path))], until, stop)?.text();
                let digest = sum.split_whitespace().next().unwrap_or_default();
                let is_digest = digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit());
                facts.app_sha256 = is_digest.then(|| digest.to_ascii_lowercase());
            }
        }
        match self.map(scenario) {
            Ok(map) if map.tried.is_empty() => {
                facts.notes.push("the touches of ui.toml were never tried with this app".into());
            }
            _ => {}
        }
        Ok(facts)
    }

    fn prepare(&mut self, ask: &Ask<'_>, control: Option<Control>) -> Result<(), StepFault> {
        let package = self.package(ask.scenario)?;
        // Switched off and on again, not removed: an account would go with it.
        if control == Some(Control::WithoutApp) {
            self.shell(&format!("pm disable-user --user 0 {package}"), ask)?;
            self.disabled = Some(package);
        } else if let Some(package) = &self.disabled {
            self.shell(&format!("pm enable --user 0 {package}"), ask)?;
            self.disabled = None;
        }
        if control.is_some() {
            self.shell("input keyevent KEYCODE_HOME", ask)?;
        }
        self.shell("logcat -c", ask)?;
        Ok(())
    }

    fn touched(&self) -> bool {
        self.touched.get()
    }

    fn step(&mut self, ask: &Ask<'_>) -> Result<(), StepFault> {
        self.touched.set(false);
        let own = self.map(ask.scenario).ok();
        let own =
            own.as_ref().and_then(|map| map.touches(ask.step.action, ask.step.mark.as_deref())).is_some();
        match ask.step.action {
            Action::Install => self.install(ask),
            Action::ImportContacts => self.import(ask),
            Action::RevokeContacts => {
                self.contacts_allowed(false, ask)?;
                let package = self.package(ask.scenario)?;
                self.shell(&format!("am force-stop {package}"), ask).map(|_| ())
            }
            Action::GrantContacts | Action::DenyContacts => {
                self.contacts_allowed(ask.step.action == Action::GrantContacts, ask)?;
                if own { self.touches(ask) } else { self.launch(ask) }
            }
            _ if own => self.touches(ask),
            Action::Foreground => self.launch(ask),
            Action::Background => self.shell("input keyevent KEYCODE_HOME", ask).map(|_| ()),
            Action::Presence => {
                let seconds = Duration::from_secs(ask.seconds.unwrap_or_default());
                self.launch(ask)?;
                ask.pause(seconds)?;
                self.shell("input keyevent KEYCODE_HOME", ask)?;
                ask.pause(seconds)
            }
            other => Err(StepFault::Failed(format!("ui.toml has no {:?}", other.info().id))),
        }
    }

    fn expect(&mut self, ask: &Ask<'_>, text: &str) -> Result<(), StepFault> {
        let what = Selector { contains: Some(text.to_owned()), ..Selector::default() };
        self.find(&what, true, ask.left(), ask).map(|_| ())
    }

    fn failed(&mut self, ask: &Ask<'_>) {
        let until = Instant::now() + Duration::from_secs(15);
        if let Ok(output) = self.call(&["exec-out", "screencap -p"], until, ask.stop)
            && output.success()
        {
            let _ = folder::write(&ask.file("png"), &output.stdout);
        }
    }

    fn after(&mut self, folder_of: &std::path::Path) -> Vec<String> {
        let (until, never) = (Instant::now() + CALL, AtomicBool::new(false));
        let kept =
            self.call(&["logcat", "-d"], until, &never).map_err(|e| e.to_string()).and_then(|output| {
                folder::write(&folder_of.join("logcat.txt"), &output.stdout).map_err(|e| e.to_string())
            });
        kept.err().map(|e| format!("the device's log was not kept: {e}")).into_iter().collect()
    }

    fn end(&mut self) {
        if let Some(package) = self.disabled.take() {
            let (until, never) = (Instant::now() + CALL, AtomicBool::new(false));
            let _ = self.shell_until(&format!("pm enable --user 0 {package}"), until, &never);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dumps_are_read_attribute_by_attribute() {
        let dump = "UI hierchary dumped to: /dev/tty<?xml version='1.0'?><hierarchy rotation=\"0\"><node index=\"0\" text=\"A &amp; &quot;B&quot; &#10;c\" resource-id=\"org.x:id/send\" class=\"v\" content-desc=\"Senden &lt;1&gt;\" bounds=\"[10,20][30,60]\"><node text=\"\" bounds=\"[-5,0][7,8]\" /></node></hierarchy>";
        let nodes = nodes(dump);
        assert_eq!(nodes.len(), 2);
        assert_eq!(nodes[0].text, "A & \"B\" \nc");
        assert_eq!(nodes[0].middle(), (20, 40));
        let by = |s: Selector| nodes.iter().position(|n| n.is(&s));
        assert_eq!(by(Selector { id: Some("send".into()), ..Selector::default() }), Some(0));
        assert_eq!(by(Selector { contains: Some("<1>".into()), ..Selector::default() }), Some(0));
        assert_eq!(by(Selector { id: Some("end".into()), ..Selector::default() }), None);
    }

    #[test]
    fn damaged_dumps_give_what_there_is() {
        assert!(nodes("").is_empty());
        assert_eq!(nodes("<node text=\"a").len(), 1);
        assert_eq!(nodes("<node text=\"a&b\" bounds=\"[1,2][x]\" <node ")[0].bounds, [0; 4]);
        assert_eq!(unescaped("&#x110000; &nix; &"), "\u{fffd} \u{fffd} &");
        assert_eq!(nodes(&"<node ".repeat(MAX_NODES + 5)).len(), MAX_NODES);
    }

    #[test]
    fn codes_are_found_in_short_messages() {
        for (text, code) in [
            ("Your code is 123-456. Do not share it", Some("123456")),
            ("<#> 482 913 is your code. 4 minutes", Some("482913")),
            ("Code: 1234", Some("1234")),
            ("Call 0123456789", None),
            ("no code", None),
        ] {
            assert_eq!(code_of(text).as_deref(), code, "{text}");
        }
    }

    #[test]
    fn nothing_of_a_contact_becomes_a_word_of_the_shell() {
        let evil = Contact { name: "a'; reboot; '\n:x".into(), number: "+441".into() };
        let script = import_script(&[evil]);
        assert!(script.contains(r"--bind 'data1:s:a'\''; reboot; '\''x'"), "{script}");
        assert_eq!(script.lines().count(), 4);
    }

    #[test]
    fn a_device_that_is_away_is_told_from_a_step_that_fails() {
        assert!(is_lost("error: device 'emulator-5554' not found"));
        assert!(is_lost("adb: device offline"));
        assert!(!is_lost("Error: package not found"));
    }
}
