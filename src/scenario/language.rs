//! The scenario language: what a scenario file may say, as types.
//!
//! Takes TOML through `serde`; the JSON Schema `docs/schema/scenario-1.json` is made from the same types. What types cannot say
//! (which action needs which value, whether an included file is there) is checked by `load`. Does nothing by itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::model::Text;

/// A scenario file (`scenarios/<messenger>/NAME.toml`).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioFile {
    /// Always 1.
    #[schemars(with = "u32")]
    pub schema: Spanned<u32>,
    /// One line on what the scenario is for.
    pub title: Text,
    /// The messenger, by its id in `claims/`; left out where it fits every one.
    #[schemars(with = "Option<String>")]
    pub messenger: Option<Spanned<String>>,
    /// What is to be known before one begins: accounts, SIM cards, a second device.
    pub needs: Option<Text>,
    /// The app.
    pub app: Option<App>,
    /// The device.
    pub device: Option<Device>,
    /// Secrets to plant, which the search must find or must not find.
    #[serde(default, rename = "canary")]
    pub canaries: Vec<Canary>,
    /// A number that is varied, for what grows with it.
    pub dose: Option<Dose>,
    /// How often each dose (or the whole, without doses) is run; 1 unless told.
    #[schemars(with = "Option<u32>")]
    pub repeats: Option<Spanned<u32>>,
    /// In which order the trials are run; `random` unless told.
    #[serde(default)]
    pub order: Order,
    /// Trials to compare with.
    #[serde(default)]
    #[schemars(with = "Vec<Control>")]
    pub controls: Vec<Spanned<Control>>,
    /// Seconds to wait after each step for what comes late; 5 unless told. A step may have its own.
    #[schemars(with = "Option<f64>")]
    pub settle: Option<Spanned<f64>>,
    /// The steps, in their order.
    #[serde(rename = "step")]
    #[schemars(with = "Vec<StepEntry>")]
    pub steps: Vec<Spanned<StepEntry>>,
}

/// The app of a scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// Its name, as people know it.
    pub name: String,
    /// Package on Android.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub android: Option<String>,
    /// Bundle identifier on iOS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ios: Option<String>,
    /// Address of a web application; a runner may be given another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The version that the scenario was written for; others may look different. Left out: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// What the app runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Kinds of devices that the steps can be done on.
    pub kinds: Vec<DeviceKind>,
    /// What the device has to be like before the first step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Text>,
}

/// A kind of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// A phone with Android.
    Android,
    /// An iPhone.
    Ios,
    /// A desktop computer.
    Desktop,
    /// A web browser, on whatever device.
    Browser,
    /// A program in a terminal.
    Terminal,
}

/// A secret to plant.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// Its name, by which steps and findings call it.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// What it is.
    pub kind: CanaryKind,
    /// Its value; left out, whoever runs the scenario plants one of their own and tells `replay --canary`.
    #[schemars(with = "Option<String>")]
    pub value: Option<Spanned<String>>,
}

/// What a canary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CanaryKind {
    /// A text that nobody else writes.
    Text,
    /// A telephone number in E.164 form.
    Number,
    /// A mail address.
    Email,
    /// A name of a person.
    PersonName,
    /// A position in a picture's EXIF data.
    Exif,
}

/// A number that is varied from trial to trial.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dose {
    /// What is counted: the value of steps that say `"dose"`, for the reader.
    pub of: String,
    /// The doses; two at least, and one of them should be 0 where nothing is possible.
    #[schemars(with = "Vec<u64>")]
    pub values: Spanned<Vec<u64>>,
}

/// The order of trials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Shuffled with a seed, which is recorded; what changes over the day then is no effect of the dose.
    #[default]
    Random,
    /// As written: doses in their order, repeats one after the other, controls first.
    AsWritten,
}

/// A trial in which the thing itself does not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// The device with the app, nobody touches it.
    IdleDevice,
    /// The same device without the app: what the platform itself sends.
    WithoutApp,
}

/// A number, or the dose of the trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Amount {
    /// The same in every trial.
    Fixed(u64),
    /// `"dose"`: that of the trial.
    Dose(DoseWord),
}

/// The word `dose`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DoseWord {
    /// The dose of the trial.
    Dose,
}

/// One `[[step]]`: an action, or the steps of another file.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepEntry {
    /// A file whose steps stand here, relative to this file. Nothing else may stand beside it.
    #[schemars(with = "Option<String>")]
    pub include: Option<Spanned<String>>,
    /// What is done.
    #[serde(rename = "do")]
    #[schemars(with = "Option<Action>")]
    pub action: Option<Spanned<String>>,
    /// Name of the step in marks and claims, where it is not the action's own.
    #[schemars(with = "Option<String>")]
    pub mark: Option<Spanned<String>>,
    /// What a person is told, where the action's own words do not do.
    pub say: Option<Text>,
    /// How many contacts.
    #[schemars(with = "Option<Amount>")]
    pub contacts: Option<Spanned<Amount>>,
    /// How many characters.
    #[schemars(with = "Option<Amount>")]
    pub characters: Option<Spanned<Amount>>,
    /// How long, in seconds.
    #[schemars(with = "Option<Amount>")]
    pub seconds: Option<Spanned<Amount>>,
    /// How often in a row; 1 unless told.
    #[schemars(with = "Option<Amount>")]
    pub times: Option<Spanned<Amount>>,
    /// The canary that is used, by name.
    #[schemars(with = "Option<String>")]
    pub canary: Option<Spanned<String>>,
    /// The program and its arguments, for `run`.
    #[schemars(with = "Option<Vec<String>>")]
    pub run: Option<Spanned<Vec<String>>>,
    /// What a browser does for the step, with the driver `web`.
    #[serde(default)]
    #[schemars(with = "Vec<WebDo>")]
    pub web: Vec<Spanned<WebDo>>,
    /// What must be seen for the step to have succeeded.
    pub expect: Option<Expect>,
    /// Seconds to wait after it.
    #[schemars(with = "Option<f64>")]
    pub settle: Option<Spanned<f64>>,
    /// Go on with the next step when this one fails; else the trial ends there.
    #[serde(default)]
    pub optional: bool,
}

/// One thing that a browser does: `open`, `click`, `type`, `wait` or `screenshot`, exactly one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebDo {
    /// Opens a page; a path is one of the app's address.
    pub open: Option<String>,
    /// Clicks the element that this CSS selector names, once it is shown.
    pub click: Option<String>,
    /// Types `text` into the element of this selector.
    #[serde(rename = "type")]
    pub kind_in: Option<String>,
    /// Waits until the element of this selector is shown; with `text`, until it shows that.
    pub wait: Option<String>,
    /// With `type` and `wait`. `{text}` stands for the step's text, `{canary}` for its canary, `{canary:NAME}` for another.
    pub text: Option<String>,
    /// `true`: keeps a picture of the page in the run folder.
    #[serde(default)]
    pub screenshot: bool,
}

/// What must be seen after a step.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// A text on the screen or in the program's output.
    #[schemars(with = "String")]
    pub text: Spanned<String>,
    /// Seconds within which it has to come; 30 unless told.
    #[schemars(with = "Option<f64>")]
    pub within: Option<Spanned<f64>>,
}

macro_rules! actions {
    ($($variant:ident $id:literal $mark:literal [$($needs:ident)*] [$($may:ident)*] $en:literal $de:literal,)*) => {
        /// What a step does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        pub enum Action {
            $(#[doc = $en] $variant,)*
        }

        /// All actions, with what they need and may have.
        pub static ACTIONS: &[ActionInfo] = &[$(ActionInfo {
            action: Action::$variant,
            id: $id,
            mark: $mark,
            needs: &[$(Part::$needs),*],
            may: &[$(Part::$may),*],
            en: $en,
            de: $de,
        },)*];
    };
}

/// An action in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActionInfo {
    /// The action.
    pub action: Action,
    /// As files write it.
    pub id: &'static str,
    /// The step that its mark names, in the words of `claims/`; empty: it is no step, nothing of the app's is exercised.
    pub mark: &'static str,
    /// Values that must stand beside it.
    pub needs: &'static [Part],
    /// Values that may.
    pub may: &'static [Part],
    /// What a person is asked to do. `{contacts}` and the like stand for values.
    pub en: &'static str,
    /// In German.
    pub de: &'static str,
}

/// A value of a step that only some actions have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `contacts`
    Contacts,
    /// `characters`
    Characters,
    /// `seconds`
    Seconds,
    /// `times`
    Times,
    /// `canary`
    Canary,
    /// `run`
    Run,
    /// `mark`: an action that has no step of its own needs one.
    Mark,
    /// `say`: an action that says nothing by itself needs words.
    Say,
}

impl Part {
    /// As files write it.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Part::Contacts => "contacts",
            Part::Characters => "characters",
            Part::Seconds => "seconds",
            Part::Times => "times",
            Part::Canary => "canary",
            Part::Run => "run",
            Part::Mark => "mark",
            Part::Say => "say",
        }
    }
}

actions! {
    Install "install" "" [] [] "Install the app and open it once." "Die App installieren und einmal öffnen.",
    Register "register" "register" [] [Canary] "Create the account, as far as the app asks for it." "Das Konto anlegen, soweit die App danach fragt.",
    LogIn "log-in" "web-login" [] [Canary] "Log in with an account that exists." "Mit einem bestehenden Konto anmelden.",
    RevokeContacts "revoke-contacts" "" [] [] "Take the right to read the contacts away from the app in the system's settings, and stop the app." "Der App in den Systemeinstellungen den Zugriff auf die Kontakte entziehen und die App beenden.",
    ImportContacts "import-contacts" "" [Contacts] [Canary] "Empty the device's address book and put {contacts} test contacts into it." "Das Adressbuch des Geräts leeren und {contacts} Testkontakte eintragen.",
    GrantContacts "grant-contacts" "contact-sync" [] [] "Allow the app to read the contacts, and open its list of people to write to." "Der App den Zugriff auf die Kontakte erlauben und ihre Liste möglicher Gesprächspartner öffnen.",
    DenyContacts "deny-contacts" "contact-deny" [] [] "Refuse the app the contacts, and open its list of people to write to." "Der App den Zugriff auf die Kontakte verweigern und ihre Liste möglicher Gesprächspartner öffnen.",
    ContactSync "contact-sync" "contact-sync" [] [] "Have the app look through the contacts anew." "Die App die Kontakte neu abgleichen lassen.",
    SendText "send-text" "text-1to1" [Characters] [Canary Times] "Send a message of {characters} characters to the second account." "Dem zweiten Konto eine Nachricht von {characters} Zeichen senden.",
    SendImage "send-image" "media" [] [Canary Times] "Send the test picture to the second account." "Dem zweiten Konto das Testbild senden.",
    Receive "receive" "receive" [Characters] [Canary Times] "Have the second account send a message of {characters} characters, with the app open." "Das zweite Konto bei geöffneter App eine Nachricht von {characters} Zeichen senden lassen.",
    Call "call" "call-1to1" [Seconds] [] "Call the second account, have it answer, play the test audio for {seconds} seconds, and hang up." "Das zweite Konto anrufen, abheben lassen, {seconds} Sekunden die Testaufnahme abspielen und auflegen.",
    Group "group" "text-group" [Characters] [Canary Times] "Send a message of {characters} characters to the test group." "Der Testgruppe eine Nachricht von {characters} Zeichen senden.",
    Typing "typing" "typing" [Seconds] [] "Type for {seconds} seconds without sending." "{seconds} Sekunden lang tippen, ohne zu senden.",
    Presence "presence" "presence" [Seconds] [Times] "Open the app, leave it in the foreground for {seconds} seconds, and put it into the background for as long." "Die App öffnen, {seconds} Sekunden im Vordergrund lassen und ebenso lange in den Hintergrund legen.",
    Idle "idle" "idle" [Seconds] [] "Leave the device alone for {seconds} seconds." "Das Gerät {seconds} Sekunden lang nicht anrühren.",
    Background "background" "" [] [] "Put the app into the background." "Die App in den Hintergrund legen.",
    Foreground "foreground" "" [] [] "Bring the app to the foreground." "Die App in den Vordergrund holen.",
    Block "block" "block" [] [] "Block the second account." "Das zweite Konto blockieren.",
    DeleteAccount "delete-account" "delete-account" [] [] "Delete the account in the app." "Das Konto in der App löschen.",
    Run "run" "" [Run Mark] [Canary] "Run a program." "Ein Programm ausführen.",
    Manual "manual" "" [Say] [Mark Canary] "Do what is said." "Tun, was dort steht.",
}

impl Action {
    /// Its row.
    ///
    /// Every action has one: the enum and the table are made from the same lines.
    #[must_use]
    pub fn info(self) -> &'static ActionInfo {
        static NONE: ActionInfo = ActionInfo {
            action: Action::Manual,
            id: "manual",
            mark: "",
            needs: &[],
            may: &[],
            en: "",
            de: "",
        };
        ACTIONS.iter().find(|info| info.action == self).unwrap_or(&NONE)
    }

    /// The action that files write so.
    #[must_use]
    pub fn named(id: &str) -> Option<Action> {
        ACTIONS.iter().find(|info| info.id == id).map(|info| info.action)
    }
}

/// A file of steps to include (`scenarios/common/NAME.toml`).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepsFile {
    /// Always 1.
    #[schemars(with = "u32")]
    pub schema: Spanned<u32>,
    /// One line on what the steps are for.
    pub title: Text,
    /// The steps.
    #[serde(rename = "step")]
    #[schemars(with = "Vec<StepEntry>")]
    pub steps: Vec<Spanned<StepEntry>>,
}
