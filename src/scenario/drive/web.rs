//! The driver for web applications: a browser with a profile of its own, through `WebDriver` (W3C Recommendation of 2018-06-05).
//!
//! Takes steps with `web`, whose selectors stand in the scenario; starts chromedriver for each trial and speaks HTTP to it over the
//! loopback interface. The browser writes its key log where the runner wants it. Knows nothing of any service.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Ask, Driver, DriverInfo, Facts, LOOK, Options, StepFault, pause, process};
use crate::payload::base64;
use crate::scenario::language::WebDo;
use crate::scenario::{Action, Control, Scenario, Step};

/// As it is registered.
pub(super) static INFO: DriverInfo = DriverInfo {
    id: "web",
    purpose: "web applications, in Chromium through chromedriver",
    needs: &[("chromedriver", &["--version"], "chromium-driver"), ("chromium", &["--version"], "chromium")],
    suits: |scenario, _| scenario.steps.iter().any(|step| !step.web.is_empty()),
    make: |options| Ok(Box::new(Web::new(options))),
};

/// The name of a reference to an element (section 12 of the specification).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Bytes of an answer that are believed: a picture of a page in Base64 is the largest.
const MAX_ANSWER: usize = 64 << 20;
/// Lines of an answer's head.
const MAX_HEADERS: usize = 32;
/// How long chromedriver may take to listen, and to start a browser.
const START: Duration = Duration::from_secs(60);
/// How long the end of a session may take.
const GRACE: Duration = Duration::from_secs(5);
/// Arguments that keep the browser from speaking of its own accord, as far as that can be done.
const ARGUMENTS: &[&str] = &[
    "--headless",
    "--disable-gpu",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--disable-dev-shm-usage",
];

/// The driver.
pub struct Web {
    program: String,
    url: Option<String>,
    more: Vec<String>,
    running: Option<Running>,
}

/// A browser that runs.
struct Running {
    driver: Child,
    address: SocketAddr,
    session: String,
    /// The process of the browser, which chromedriver may leave behind.
    browser: Option<u64>,
    /// Profile, log, temporary files; removed with it.
    home: tempfile::TempDir,
}

/// What chromedriver says that is no success.
#[derive(Debug)]
enum Refused {
    /// An error of the specification (section 6.6), with words.
    Said(String, String),
    /// It cannot be spoken to.
    Gone(String),
    /// All has to end.
    Stopped,
    /// No answer in time.
    Late,
}

impl Refused {
    /// As a step has it.
    fn fault(self, what: &str, within: Duration) -> StepFault {
        match self {
            Refused::Said(error, _) if matches!(error.as_str(), "timeout" | "script timeout") => {
                StepFault::Timeout { what: what.to_owned(), within }
            }
            Refused::Said(error, words)
                if error == "invalid session id"
                    || ["not reachable", "disconnected", "tab crashed"].iter().any(|w| words.contains(w)) =>
            {
                StepFault::Crashed(format!("the browser: {}", first_line(&words)))
            }
            Refused::Said(error, words) => {
                StepFault::Failed(format!("{what}: {error}: {}", first_line(&words)))
            }
            Refused::Gone(words) => StepFault::Crashed(format!("chromedriver: {words}")),
            Refused::Stopped => StepFault::Interrupted,
            Refused::Late => StepFault::Timeout { what: what.to_owned(), within },
        }
    }
}

fn first_line(words: &str) -> String {
    process::plain(words.lines().next().unwrap_or_default())
}

/// One request to chromedriver and its answer's `value`.
fn ask(
    address: SocketAddr,
    (method, path): (&str, &str),
    body: &Value,
    until: Instant,
    stop: &AtomicBool,
) -> Result<Value, Refused> {
    let gone = |e: std::io::Error| Refused::Gone(e.to_string());
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).map_err(gone)?;
    stream.set_read_timeout(Some(LOOK)).map_err(gone)?;
    let body = if method == "POST" { body.to_string() } else { String::new() };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).map_err(gone)?;
    let (mut answer, mut buffer) = (Vec::new(), vec![0u8; 64 << 10]);
    let (ok, content) = loop {
        if let Some(whole) = whole(&answer)? {
            break whole;
        }
        if stop.load(Ordering::Relaxed) {
            return Err(Refused::Stopped);
        }
        if Instant::now() >= until {
            return Err(Refused::Late);
        }
        match stream.read(&mut buffer) {
            Ok(0) => return Err(Refused::Gone("it closed the connection".to_owned())),
            Ok(n) => answer.extend_from_slice(buffer.get(..n).unwrap_or_default()),
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) => {}
            Err(e) => return Err(gone(e)),
        }
        if answer.len() > MAX_ANSWER {
            return Err(Refused::Gone(format!("an answer of more than {} MiB", MAX_ANSWER >> 20)));
        }
    };
    let value: Value =
        serde_json::from_slice(&content).map_err(|e| Refused::Gone(format!("no JSON: {e}")))?;
    let value = value.get("value").cloned().unwrap_or_default();
    if ok {
        return Ok(value);
    }
    let word = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    Err(Refused::Said(word("error"), word("message")))
}

/// Whether an answer of HTTP/1.1 (RFC 9112) tells a success, and its content, once all of it is there.
fn whole(answer: &[u8]) -> Result<Option<(bool, Vec<u8>)>, Refused> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let parsed = head.parse(answer).map_err(|e| Refused::Gone(format!("no HTTP: {e}")))?;
    let httparse::Status::Complete(begin) = parsed else { return Ok(None) };
    let length = head.headers.iter().find(|h| h.name.eq_ignore_ascii_case("content-length"));
    let length: usize = length
        .and_then(|h| std::str::from_utf8(h.value).ok()?.trim().parse().ok())
        .ok_or_else(|| Refused::Gone("an answer without a length".to_owned()))?;
    if length > MAX_ANSWER {
        return Err(Refused::Gone(format!("an answer of {length} bytes")));
    }
    let ok = head.code == Some(200);
    Ok(answer.get(begin..begin + length).map(|content| (ok, content.to_vec())))
}

impl Running {
    /// Starts chromedriver and a browser.
    fn start(
        program: &str,
        arguments: &[String],
        key_log: Option<&Path>,
        stop: &AtomicBool,
    ) -> Result<Running, StepFault> {
        let failed = |what: &str, e: std::io::Error| StepFault::Failed(format!("{what}: {e}"));
        let home = tempfile::Builder::new()
            .prefix("metaleak-web-")
            .tempdir()
            .map_err(|e| failed("a folder for the browser's profile", e))?;
        let log_path = home.path().join("chromedriver.log");
        let log = std::fs::File::create(&log_path).map_err(|e| failed("chromedriver's log", e))?;
        let errors = log.try_clone().map_err(|e| failed("chromedriver's log", e))?;
        let mut command = Command::new(program);
        // Without a port it takes a free one and says which.
        command.args(["--port=0"]).stdin(Stdio::null()).stdout(log).stderr(errors);
        command.env("HOME", home.path()).env("XDG_CACHE_HOME", home.path()).env("TMPDIR", home.path());
        match key_log {
            Some(path) => command.env("SSLKEYLOGFILE", path),
            None => command.env_remove("SSLKEYLOGFILE"),
        };
        let driver = process::grouped(&mut command)
            .spawn()
            .map_err(|e| StepFault::Failed(process::not_started(program, &e)))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut running = Running { driver, address, session: String::new(), browser: None, home };
        let until = Instant::now() + START;
        let port = running.port(&log_path, until, stop)?;
        running.address.set_port(port);
        let mut all: Vec<String> = ARGUMENTS.iter().map(|a| (*a).to_owned()).collect();
        all.push(format!("--user-data-dir={}", running.home.path().join("profile").display()));
        if is_root() {
            all.push("--no-sandbox".to_owned());
        }
        all.extend_from_slice(arguments);
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": {"args": all}, "pageLoadStrategy": "normal"}}});
        let made = ask(running.address, ("POST", "/session"), &wanted, until, stop)
            .map_err(|e| e.fault("a browser to start", START))?;
        let id = made.get("sessionId").and_then(Value::as_str).unwrap_or_default();
        running.session = format!("/session/{id}");
        running.browser = made.pointer("/capabilities/goog:processID").and_then(Value::as_u64);
        Ok(running)
    }

    /// The port that chromedriver listens on, from what it prints.
    fn port(&mut self, log: &Path, until: Instant, stop: &AtomicBool) -> Result<u16, StepFault> {
        while Instant::now() < until {
            let said = std::fs::read_to_string(log).unwrap_or_default();
            let port = said
                .split_once("successfully on port ")
                .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
            if let Some(port) = port {
                return Ok(port);
            }
            if matches!(self.driver.try_wait(), Ok(Some(_))) {
                let last = said.lines().last().unwrap_or_default().to_owned();
                return Err(StepFault::Failed(format!("chromedriver ended: {}", process::plain(&last))));
            }
            pause(LOOK, stop)?;
        }
        Err(StepFault::Timeout { what: "chromedriver to listen".to_owned(), within: START })
    }

    fn command(
        &self,
        method: &str,
        path: &str,
        body: &Value,
        on: &Ask<'_>,
        what: &str,
    ) -> Result<Value, StepFault> {
        let path = format!("{}{path}", self.session);
        ask(self.address, (method, &path), body, on.until, on.stop).map_err(|e| e.fault(what, on.left()))
    }

    /// The element that a selector names, once it is there and shown.
    fn element(&self, selector: &str, on: &Ask<'_>) -> Result<String, StepFault> {
        let began = Instant::now();
        loop {
            let query = json!({"using": "css selector", "value": selector});
            let found = self.command("POST", "/elements", &query, on, selector)?;
            let first = found.pointer("/0").and_then(|e| e.get(ELEMENT)).and_then(Value::as_str);
            if let Some(id) = first {
                let element = format!("/element/{id}");
                if self.property(&element, "displayed", on, selector)? == Some(Value::Bool(true)) {
                    return Ok(element);
                }
            }
            look_again(began, on, || format!("{selector} on the page"))?;
        }
    }

    /// What the page says of an element; nothing where it has just changed and has lost it, which is a reason to look again.
    fn property(
        &self,
        element: &str,
        name: &str,
        on: &Ask<'_>,
        selector: &str,
    ) -> Result<Option<Value>, StepFault> {
        match self.command("GET", &format!("{element}/{name}"), &Value::Null, on, selector) {
            Err(StepFault::Failed(words)) if words.contains("stale element") => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Waits until an element shows a text.
    fn shows(&self, selector: &str, text: &str, on: &Ask<'_>) -> Result<(), StepFault> {
        let began = Instant::now();
        loop {
            let element = self.element(selector, on)?;
            let seen = self.property(&element, "text", on, selector)?;
            if seen.as_ref().and_then(Value::as_str).is_some_and(|seen| seen.contains(text)) {
                return Ok(());
            }
            look_again(began, on, || format!("{text:?} in {selector}"))?;
        }
    }

    fn picture(&self, on: &Ask<'_>, until: Instant) -> Result<(), StepFault> {
        let path = format!("{}/screenshot", self.session);
        let picture = ask(self.address, ("GET", &path), &Value::Null, until, on.stop)
            .map_err(|e| e.fault("a picture of the page", on.left()))?;
        let bytes = unbase64(picture.as_str().unwrap_or_default());
        let file = on.file("png");
        crate::scenario::folder::write(&file, &bytes)
            .map_err(|e| StepFault::Failed(format!("{}: {e}", file.display())))
    }

    fn act(&self, act: &WebDo, url: Option<&str>, on: &Ask<'_>) -> Result<(), StepFault> {
        let text = act.text.as_deref().map(|text| filled(text, on));
        if let Some(page) = &act.open {
            let page = address(url, page)?;
            let left = u64::try_from(on.left().as_millis()).unwrap_or(u64::MAX).max(1);
            // So that chromedriver itself gives up in time, and the session can still be spoken to.
            self.command("POST", "/timeouts", &json!({"pageLoad": left}), on, "timeouts")?;
            let what = format!("the page {} to load", process::plain(&page));
            self.command("POST", "/url", &json!({"url": page}), on, &what)?;
        } else if let Some(selector) = &act.click {
            let element = self.element(selector, on)?;
            self.command("POST", &format!("{element}/click"), &json!({}), on, selector)?;
        } else if let Some(selector) = &act.kind_in {
            let element = self.element(selector, on)?;
            let typed = json!({"text": text.unwrap_or_default()});
            self.command("POST", &format!("{element}/value"), &typed, on, selector)?;
        } else if let Some(selector) = &act.wait {
            match text {
                Some(text) => self.shows(selector, &text, on)?,
                None => drop(self.element(selector, on)?),
            }
        } else if act.screenshot {
            self.picture(on, on.until)?;
        }
        Ok(())
    }
}

/// Ends the session, chromedriver, and a browser that is left.
impl Drop for Running {
    fn drop(&mut self) {
        let until = Instant::now() + GRACE;
        let never = AtomicBool::new(false);
        if !self.session.is_empty() {
            let _ = ask(self.address, ("DELETE", &self.session), &Value::Null, until, &never);
        }
        process::end(&mut self.driver);
        // Its number may be another's by now: the profile in its command line shows that it is ours.
        if let Some(number) = self.browser {
            let line = std::fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&line).contains(&*self.home.path().to_string_lossy()) {
                let _ = Command::new("kill")
                    .args(["-KILL", "--", &number.to_string()])
                    .stderr(Stdio::null())
                    .status();
            }
        }
    }
}

/// A text with the step's values in their places.
fn filled(text: &str, on: &Ask<'_>) -> String {
    let mut out = text.to_owned();
    if let Some(own) = &on.text {
        out = out.replace("{text}", own);
    }
    if let Some(canary) = on.canary() {
        out = out.replace("{canary}", canary);
    }
    for (name, value) in on.canaries {
        out = out.replace(&format!("{{canary:{name}}}"), value);
    }
    out
}

/// The address of a page: as it stands, or a path of the app's.
fn address(url: Option<&str>, page: &str) -> Result<String, StepFault> {
    if page.contains("://") {
        return Ok(page.to_owned());
    }
    match url {
        Some(url) => Ok(format!("{}/{}", url.trim_end_matches('/'), page.trim_start_matches('/'))),
        None => {
            Err(StepFault::Failed("no address: give --url, or write url in the scenario's [app]".to_owned()))
        }
    }
}

/// Base64 (RFC 4648 section 4); what is no letter of it is passed over.
fn unbase64(text: &str) -> Vec<u8> {
    let letters: Vec<u8> =
        text.bytes().filter(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/')).collect();
    base64::decode(&letters).unwrap_or_default()
}

/// Waits a little before something is looked for once more; without time left, it was not seen.
fn look_again(began: Instant, on: &Ask<'_>, what: impl FnOnce() -> String) -> Result<(), StepFault> {
    if on.left().is_zero() {
        return Err(StepFault::Timeout { what: what(), within: began.elapsed() });
    }
    on.pause(LOOK * 5)
}

/// Whether this is root, for whom Chromium has no sandbox.
fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}

impl Web {
    /// A new one. `--set browser-arguments="…"` are more arguments of the browser's, with spaces between.
    #[must_use]
    pub fn new(options: &Options) -> Web {
        let more = options.set.get("browser-arguments").map_or("", String::as_str);
        Web {
            program: options.tool("chromedriver"),
            url: options.url.clone(),
            more: more.split_whitespace().map(str::to_owned).collect(),
            running: None,
        }
    }

    fn stop(&mut self) {
        self.running = None;
    }

    /// The browser, started where it does not run.
    fn browser(&mut self, on: &Ask<'_>) -> Result<&Running, StepFault> {
        let running = match self.running.take() {
            Some(running) => running,
            None => Running::start(&self.program, &self.more, on.key_log, on.stop)?,
        };
        Ok(self.running.insert(running))
    }
}

impl Driver for Web {
    fn can(&self, scenario: &Scenario, step: &Step) -> Result<(), String> {
        if matches!(step.action, Action::Idle | Action::Run | Action::Manual) {
            return Ok(());
        }
        if step.web.is_empty() {
            return Err(format!(
                "the driver web does not know how {:?} is done on this page; write web = [{{ click = \"#selector\" }}] beside it, or take --driver manual",
                step.action.info().id
            ));
        }
        let paths = step.web.iter().filter_map(|act| act.open.as_ref()).any(|page| !page.contains("://"));
        if paths && self.url.is_none() && scenario.app.url.is_none() {
            return Err(
                "the address of the service is not known; give --url, or write url in [app]".to_owned()
            );
        }
        Ok(())
    }

    fn begin(&mut self, _scenario: &Scenario, stop: &AtomicBool) -> Result<Facts, StepFault> {
        self.stop();
        let mut command = Command::new(&self.program);
        command.arg("--version");
        let version = process::run(&mut command, None, Instant::now() + START, stop, None)?;
        let tool = version.text().lines().next().map(process::plain).unwrap_or_default();
        let mut notes = Vec::new();
        if is_root() {
            notes.push("the browser ran as root and therefore without its sandbox".to_owned());
        }
        Ok(Facts {
            device: Some("a browser with a profile of its own".to_owned()),
            tools: vec![tool],
            notes,
            ..Facts::default()
        })
    }

    fn prepare(&mut self, ask: &Ask<'_>, control: Option<Control>) -> Result<(), StepFault> {
        // Each trial has a fresh profile. Here the page is the app and the browser the platform: without the app it shows an empty page, and
        // the app is left alone when its page is open.
        self.stop();
        let url = self.url.clone().or_else(|| ask.scenario.app.url.clone());
        let running = self.browser(ask)?;
        match (control, url) {
            (Some(Control::IdleDevice), Some(page)) => {
                let open = WebDo { open: Some(page), ..WebDo::default() };
                running.act(&open, None, ask)
            }
            _ => Ok(()),
        }
    }

    fn step(&mut self, ask: &Ask<'_>) -> Result<(), StepFault> {
        let url = self.url.clone().or_else(|| ask.scenario.app.url.clone());
        let running = self.browser(ask)?;
        ask.step.web.iter().try_for_each(|act| running.act(act, url.as_deref(), ask))
    }

    fn expect(&mut self, ask: &Ask<'_>, text: &str) -> Result<(), StepFault> {
        self.browser(ask)?.shows("body", text, ask)
    }

    fn failed(&mut self, ask: &Ask<'_>) {
        // The time of the step may be over: its picture gets a little more.
        if let Some(running) = &self.running {
            let _ = running.picture(ask, Instant::now() + GRACE);
        }
    }

    fn after(&mut self, _folder: &Path) -> Vec<String> {
        self.stop();
        Vec::new()
    }

    fn end(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A chromedriver that gives one answer, or none, and then closes or waits.
    fn stand_in(answer: Option<&'static str>, wait: Duration) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0u8; 4096];
            let _ = stream.read(&mut asked);
            if let Some(answer) = answer {
                let _ = stream.write_all(answer.as_bytes());
            }
            std::thread::sleep(wait);
        });
        address
    }

    fn asked(answer: Option<&'static str>, wait: Duration, stop: bool) -> Result<Value, Refused> {
        let until = Instant::now() + Duration::from_millis(300);
        ask(stand_in(answer, wait), ("POST", "/url"), &json!({}), until, &AtomicBool::new(stop))
    }

    #[test]
    fn an_answer_is_its_value_or_a_fault_of_the_step() {
        let long = Duration::from_secs(5);
        let good = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"value\":\"a\"}";
        assert_eq!(asked(Some(good), long, false).unwrap(), json!("a"));
        let fault = |answer, wait, stop| asked(answer, wait, stop).unwrap_err().fault("the page", long);
        // The page never loads: chromedriver says so, or says nothing at all.
        let body = "HTTP/1.1 500 x\r\nContent-Length: 46\r\n\r\n{\"value\":{\"error\":\"timeout\",\"message\":\"late\"}}";
        for answer in [Some(body), None] {
            let what = fault(answer, long, false);
            assert!(matches!(&what, StepFault::Timeout { what, .. } if what == "the page"), "{what}");
        }
        // The browser or chromedriver dies: it can be started anew.
        let gone = "HTTP/1.1 404 x\r\nContent-Length: 57\r\n\r\n{\"value\":{\"error\":\"invalid session id\",\"message\":\"gone\"}}";
        for answer in [Some(gone), None] {
            let what = fault(answer, Duration::ZERO, false);
            assert!(matches!(what, StepFault::Crashed(_)), "{what}");
        }
        assert_eq!(fault(None, long, true), StepFault::Interrupted);
        let unknown = "HTTP/1.1 404 x\r\nContent-Length: 54\r\n\r\n{\"value\":{\"error\":\"no such element\",\"message\":\"a\\nb\"}}";
        assert_eq!(
            fault(Some(unknown), long, false),
            StepFault::Failed("the page: no such element: a".to_owned())
        );
    }

    #[test]
    fn answers_that_are_none_are_refused_and_half_ones_waited_for() {
        assert!(whole(b"HTTP/1.1 200 OK\r\nContent-Le").unwrap().is_none());
        assert!(whole(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab").unwrap().is_none());
        assert_eq!(
            whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab").unwrap(),
            Some((true, b"ab".to_vec()))
        );
        for broken in [
            "nothing\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        ] {
            assert!(whole(broken.as_bytes()).is_err(), "{broken}");
        }
    }

    #[test]
    fn pictures_and_addresses() {
        // RFC 4648 section 10.
        for (text, bytes) in
            [("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9v\nYmFy", "foobar"), ("", "")]
        {
            assert_eq!(unbase64(text), bytes.as_bytes());
        }
        let of = |page| address(Some("https://a.example/x/"), page).unwrap();
        assert_eq!([of("/chat"), of("http://b.example/")], ["https://a.example/x/chat", "http://b.example/"]);
        assert!(address(None, "/chat").is_err());
    }
}
