//! IMAP: mail read and kept (RFC 9051 and 3501; literals RFC 7888, COMPRESS RFC 4978).
//!
//! Takes both directions, or one of them; gives the client's commands and log-ins in clear, the size of each mail in clear, and
//! hands over to TLS after `STARTTLS`. Literals pass by unread, but for the arguments of `LOGIN`. Of the server's responses only
//! the tagged ones and the literals count.

use super::lines::{self, AfterGap, Body, Contents, Line, Lines, Sasl, Span, Upgrade};
use super::packet::IpProto;
use super::{Class, Cx, Dissector, Match, Probe, Protocol, Step};
use crate::model::Direction;
use crate::payload::imap::{ImapLogin, imap_login};
use crate::payload::{Masking, credential};

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "imap",
    title: "IMAP",
    source: "RFC 9051, RFC 3501",
    over: &[IpProto::TCP],
    ports: &[143],
    reads: "commands and log-ins in clear, sizes of mails, the step to TLS; not the mails themselves",
    probe,
    start: || Box::new(Imap::default()),
};

const CLASS: Class = Class::clear("imap");
/// Behind COMPRESS.
const COMPRESSED: Class = Class::opaque("opaque");

const COMMANDS: &[&str] = &[
    "APPEND",
    "AUTHENTICATE",
    "CAPABILITY",
    "CHECK",
    "CLOSE",
    "COMPRESS",
    "COPY",
    "CREATE",
    "DELETE",
    "DELETEACL",
    "ENABLE",
    "ESEARCH",
    "EXAMINE",
    "EXPUNGE",
    "FETCH",
    "GETACL",
    "GETMETADATA",
    "GETQUOTA",
    "GETQUOTAROOT",
    "ID",
    "IDLE",
    "LIST",
    "LISTRIGHTS",
    "LOGIN",
    "LOGOUT",
    "LSUB",
    "MOVE",
    "MYRIGHTS",
    "NAMESPACE",
    "NOOP",
    "NOTIFY",
    "RENAME",
    "REPLACE",
    "SEARCH",
    "SELECT",
    "SETACL",
    "SETMETADATA",
    "SETQUOTA",
    "SORT",
    "STARTTLS",
    "STATUS",
    "STORE",
    "SUBSCRIBE",
    "THREAD",
    "UID",
    "UNAUTHENTICATE",
    "UNSELECT",
    "UNSUBSCRIBE",
    "XLIST",
];

/// Longest tag, in bytes; clients use under ten.
const MAX_TAG: usize = 32;

fn probe(p: &Probe<'_>) -> Match {
    let on_port = p.server_on(PROTOCOL.ports);
    match p.direction {
        Direction::Down => lines::probe_line(
            p.data,
            |part| {
                on_port
                    || b"* OK ".starts_with(part)
                    || b"* PREAUTH ".starts_with(part)
                    || part.starts_with(b"* ")
            },
            |line| {
                let greeting = ["* OK ", "* PREAUTH "].iter().any(|g| lines::starts(line, g));
                let named = greeting && (p.from_start || lines::contains(line, "IMAP"));
                named || (on_port && (line.starts_with(b"* ") || answer(line).is_some()))
            },
        ),
        Direction::Up => lines::probe_line(
            p.data,
            |part| {
                let (tag, rest) = lines::split(part);
                part.len() <= MAX_TAG
                    && (tag.len() == part.len() && part.iter().all(|b| is_tag_byte(*b))
                        || is_tag(tag) && (rest.is_empty() || lines::may_be(COMMANDS, rest)))
            },
            |line| command(line).is_some_and(|c| on_port || c.is_certain()),
        ),
    }
}

fn is_tag_byte(b: u8) -> bool {
    b.is_ascii_graphic() && !b"(){%*\"\\+".contains(&b)
}

fn is_tag(tag: &[u8]) -> bool {
    (1..=MAX_TAG).contains(&tag.len()) && tag.iter().all(|b| is_tag_byte(*b))
}

/// A client's command.
#[derive(Clone, Copy)]
struct Command<'a> {
    tag: &'a [u8],
    /// As the client wrote it, without `UID`.
    name: &'static str,
    uid: bool,
    argument: &'a [u8],
}

fn command(line: &[u8]) -> Option<Command<'_>> {
    let (tag, rest) = lines::split(line);
    let (word, argument) = lines::split(rest);
    let name = lines::known(COMMANDS, word).filter(|_| is_tag(tag))?;
    if name != "UID" {
        return Some(Command { tag, name, uid: false, argument });
    }
    let (word, argument) = lines::split(argument);
    let name = lines::known(
        &["COPY", "EXPUNGE", "FETCH", "MOVE", "REPLACE", "SEARCH", "SORT", "STORE", "THREAD"],
        word,
    )?;
    Some(Command { tag, name, uid: true, argument })
}

impl Command<'_> {
    /// The argument has the form that it should have, and the tag looks like one: in a mail, words like these stand in lines too.
    fn is_certain(&self) -> bool {
        let argument = self.argument.trim_ascii_end();
        let arguments = argument.split(|b| *b == b' ').filter(|w| !w.is_empty()).count();
        let numbered = self.tag.iter().any(u8::is_ascii_digit);
        match self.name {
            "CAPABILITY" | "STARTTLS" => arguments == 0 && (numbered || self.tag.len() == 1),
            "LOGIN" => (arguments == 2 || literal(argument).is_some()) && (numbered || self.tag.len() == 1),
            "AUTHENTICATE" => (1..=2).contains(&arguments) && (numbered || self.tag.len() == 1),
            "ID" => numbered && (argument.starts_with(b"(") || argument.eq_ignore_ascii_case(b"NIL")),
            "EXPUNGE" | "IDLE" | "LOGOUT" | "NAMESPACE" | "NOOP" | "UNSELECT" => numbered && arguments == 0,
            "SELECT" | "EXAMINE" => numbered && arguments > 0,
            "APPEND" => numbered && literal(argument).is_some(),
            "LIST" | "LSUB" | "STATUS" => numbered && arguments > 1,
            "FETCH" | "STORE" => {
                numbered
                    && arguments > 1
                    && argument.first().is_some_and(|b| b.is_ascii_digit() || *b == b'*')
            }
            _ => false,
        }
    }
}

/// Tag and `OK` of a tagged response.
fn answer(line: &[u8]) -> Option<(&[u8], bool)> {
    let (tag, rest) = lines::split(line);
    let word = lines::known(&["OK", "NO", "BAD"], lines::split(rest).0)?;
    is_tag(tag).then_some((tag, word == "OK"))
}

/// Size of the literal that a line announces at its end, and whether the client waits for leave to send it.
fn literal(line: &[u8]) -> Option<(u64, bool)> {
    let inner = line.strip_suffix(b"}")?;
    let at = inner.iter().rposition(|b| *b == b'{')?;
    let inner = inner.get(at + 1..)?;
    let (digits, waits) = match inner.strip_suffix(b"+").or_else(|| inner.strip_suffix(b"-")) {
        Some(digits) => (digits, false),
        None => (inner, true),
    };
    let fits = (1..=18).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let size = std::str::from_utf8(digits).ok().filter(|_| fits)?.parse().ok()?;
    Some((size, waits))
}

/// A literal on its way.
struct Literal {
    body: Body,
    /// What it is called in a finding; `None` when it is no mail.
    what: Option<&'static str>,
    /// The sender waits for leave.
    waits: bool,
}

/// A `LOGIN` whose arguments come in literals.
struct Arguments {
    bytes: Vec<u8>,
    span: Span,
}

#[derive(Default)]
struct Imap {
    lines: Lines,
    /// Tag of the client's last command.
    tag: Vec<u8>,
    /// The client's line goes on with that command.
    goes_on: bool,
    /// That command may bring mails.
    brings_mail: bool,
    login: Option<Arguments>,
    auth: Option<Sasl>,
    upgrade: Upgrade,
    tls_tag: Vec<u8>,
    compress_tag: Option<Vec<u8>>,
    compressed: bool,
    /// The client's side is known to be between commands, not within a mail.
    certain: bool,
    /// The server's line goes on with an untagged response.
    response_goes_on: bool,
    sent: Option<Literal>,
    received: Option<Literal>,
    contents: Contents,
}

impl Imap {
    fn client(&mut self, line: Line<'_>, cx: &mut Cx<'_>) {
        if self.goes_on {
            self.goes_on = false;
            self.more_arguments(line, cx);
            return;
        }
        if let Some(sasl) = self.auth.as_mut().filter(|s| s.takes(line.text)) {
            sasl.message(line.text, line.size, cx);
            return;
        }
        self.auth = None;
        // DONE ends IDLE; it has no tag.
        let Some(command) = command(line.text) else { return };
        if !self.certain && !command.is_certain() {
            return;
        }
        self.certain = true;
        self.tag = command.tag.to_vec();
        self.login = None;
        self.brings_mail = matches!(command.name, "APPEND" | "REPLACE");
        match command.name {
            "LOGIN" => {
                let mut bytes = command.argument.to_vec();
                bytes.extend(b"\r\n");
                self.login = Some(Arguments { bytes, span: Span::of(line.size, cx) });
                if !self.announce(line.text) {
                    self.login_over(line.size, cx);
                }
                return;
            }
            "STARTTLS" => {
                self.upgrade.ask();
                self.tls_tag.clone_from(&self.tag);
            }
            "COMPRESS" => self.compress_tag = Some(self.tag.clone()),
            _ => {}
        }
        let name = if command.uid { format!("UID {}", command.name) } else { command.name.to_owned() };
        let shown = |masking: Masking| match (command.name, lines::split(command.argument)) {
            ("AUTHENTICATE", (mechanism, response)) if !response.is_empty() => {
                format!("{} {}", lines::shown(mechanism), masking.apply(&lines::lossy(response)))
            }
            _ => lines::shown(command.argument),
        };
        lines::emit("imap.command", line.size, &[], &name, shown, command.name == "STARTTLS", cx);
        if command.name == "AUTHENTICATE" {
            let (mechanism, response) = lines::split(command.argument.trim_ascii_end());
            let mut sasl = Sasl::new(mechanism);
            if !response.is_empty() {
                sasl.message(response, line.size, cx);
            }
            self.auth = Some(sasl);
        } else {
            self.announce(line.text);
        }
    }

    /// A literal follows the client's line.
    fn announce(&mut self, line: &[u8]) -> bool {
        let Some((size, waits)) = literal(line) else { return false };
        let what = self.brings_mail.then_some("mail");
        self.sent = Some(Literal { body: Body::counted(size), what, waits });
        self.goes_on = true;
        if size == 0 {
            self.sent = None;
        }
        true
    }

    /// The rest of a command's line behind a literal.
    fn more_arguments(&mut self, line: Line<'_>, cx: &mut Cx<'_>) {
        if let Some(login) = &mut self.login {
            login.span.add(line.size, cx);
            if login.bytes.len() + line.size <= credential::MAX_INPUT {
                login.bytes.extend(line.text);
                login.bytes.extend(b"\r\n");
            }
        }
        if !self.announce(line.text) {
            self.login_over(line.size, cx);
        }
    }

    /// All arguments of a `LOGIN` are there.
    fn login_over(&mut self, size: usize, cx: &mut Cx<'_>) {
        let Some(login) = self.login.take() else { return };
        let read = imap_login(&login.bytes);
        let shown = |masking: Masking| match &read {
            ImapLogin::Done { credential, .. } => {
                let text = |value: &Option<String>| value.clone().unwrap_or_default();
                format!(
                    "{} {}",
                    masking.apply_any(&text(&credential.user)),
                    masking.apply(&text(&credential.secret))
                )
            }
            _ => masking.apply(&lines::lossy(&login.bytes)),
        };
        lines::emit("imap.command", size, login.span.frames(), "LOGIN", shown, false, cx);
        if let ImapLogin::Done { credential, .. } = &read {
            lines::tell_credential(credential, login.span, cx);
        }
    }

    fn server(&mut self, line: &[u8], cx: &mut Cx<'_>) {
        if self.response_goes_on || line.starts_with(b"* ") {
            // The text of a status may end like a literal and is none.
            let status =
                ["* OK", "* NO", "* BAD", "* BYE", "* PREAUTH"].iter().any(|s| lines::starts(line, s));
            self.response_goes_on = false;
            if let Some((size, _)) = literal(line).filter(|_| !status) {
                self.response_goes_on = true;
                if size > 0 {
                    self.received =
                        Some(Literal { body: Body::counted(size), what: mail_item(line), waits: false });
                }
            }
            return;
        }
        let Some((tag, ok)) = answer(line) else { return };
        if tag == self.tag {
            self.auth = None;
            // Leave to send a literal was refused: the next line is a command.
            if self.sent.as_ref().is_some_and(|l| l.waits && l.body.is_unbegun()) {
                self.sent = None;
                self.login = None;
                self.goes_on = false;
            }
        }
        if self.upgrade.is_asked() && tag == self.tls_tag {
            if ok {
                cx.switch_to("tls");
            } else {
                self.upgrade = Upgrade::None;
            }
        }
        if self.compress_tag.as_deref() == Some(tag) {
            self.compress_tag = None;
            self.compressed = ok;
        }
    }

    /// Takes a part of the literal that a direction is sending.
    fn take_literal(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Option<Step> {
        let slot = if d == Direction::Up { &mut self.sent } else { &mut self.received };
        let literal = slot.as_mut()?;
        let (taken, ended) = literal.body.take(data, cx);
        if let (Direction::Up, Some(login)) = (d, &mut self.login) {
            login.span.add(taken, cx);
            if login.bytes.len() + taken <= credential::MAX_INPUT {
                login.bytes.extend(data.get(..taken).unwrap_or_default());
            }
        }
        if ended {
            self.literal_over(d, cx);
        }
        Some(Step::Took(taken, CLASS))
    }

    fn literal_over(&mut self, d: Direction, cx: &mut Cx<'_>) {
        let slot = if d == Direction::Up { &mut self.sent } else { &mut self.received };
        if let Some(Literal { body, what: Some(what), .. }) = slot.take() {
            self.contents.tell(what, body, cx);
        }
        self.lines.restart(d);
    }
}

/// What the item of a FETCH response is whose literal follows (RFC 9051 section 7.5.2); `None` for envelopes and the like.
fn mail_item(line: &[u8]) -> Option<&'static str> {
    let at = line.iter().rposition(|b| *b == b'{')?;
    let before = line.get(..at)?.trim_ascii_end();
    // The item is the last word, which may have a list of header fields in brackets.
    let item = ["BODY[", "BINARY[", "RFC822"]
        .iter()
        .filter_map(|name| before.windows(name.len()).rposition(|w| w.eq_ignore_ascii_case(name.as_bytes())))
        .max()?;
    let item = before.get(item..)?;
    let closes = match item.iter().position(|b| *b == b'[') {
        // `BODY[TEXT]`, or with an origin `BODY[TEXT]<0>`.
        Some(_) => {
            item.iter().position(|b| *b == b']').is_some_and(|end| !item.iter().skip(end).any(|b| *b == b' '))
        }
        None => !item.contains(&b' '),
    };
    let headers = lines::contains(item, "HEADER") || lines::contains(item, "MIME]");
    closes.then_some(if headers { "mail headers" } else { "mail" })
}

impl Dissector for Imap {
    fn stream(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        if self.compressed {
            return Step::Took(data.len(), COMPRESSED);
        }
        if let Some(step) = self.take_literal(d, data, cx) {
            return step;
        }
        if let Some(step) = self.upgrade.look(d, data, cx) {
            return step;
        }
        let line = match self.lines.next(d, data, CLASS) {
            Ok(line) => line,
            Err(step) => return step,
        };
        match d {
            Direction::Up => self.client(line, cx),
            Direction::Down => self.server(line.text, cx),
        }
        Step::Took(line.size, CLASS)
    }

    fn gap(&mut self, d: Direction, missing: u64, cx: &mut Cx<'_>) {
        let literal = if d == Direction::Up { &mut self.sent } else { &mut self.received };
        let after = literal.as_mut().map_or(AfterGap::Lost, |l| l.body.gap(missing));
        if d == Direction::Up {
            // An argument with a hole is none.
            self.login = None;
        }
        match after {
            AfterGap::Within => return,
            AfterGap::Border => {
                self.literal_over(d, cx);
                return;
            }
            AfterGap::Lost => self.literal_over(d, cx),
        }
        self.lines.lost(d);
        if d == Direction::Up {
            self.goes_on = false;
            self.auth = None;
            self.certain = false;
        } else {
            self.response_goes_on = false;
        }
    }

    fn finish(&mut self, d: Direction, _: &[u8], cx: &mut Cx<'_>) {
        self.literal_over(d, cx);
    }

    fn unfinished(&self) -> Class {
        if self.compressed { COMPRESSED } else { CLASS }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::testing::{Say, commands, findings, holds_in_pieces, talk};
    use super::*;
    use crate::model::FindingKind;

    const LOG_IN: &str =
        "IMAP LOGIN log-in of user … (under 8 characters) with password s…2 (8 to 15 characters)";

    const SESSION: [Say<'_>; 15] = [
        Say::Down(b"* OK IMAP4rev1 ready\r\n"),
        Say::Up(b"a1 CAPABILITY\r\n"),
        Say::Down(b"* CAPABILITY IMAP4rev1 {5}\r\n"),
        Say::Down(b"a9 NO\r\na1 OK done {400}\r\n"),
        Say::Up(b"a2 LOGIN {7}\r\n"),
        Say::Down(b"+ go on\r\n"),
        Say::Up(b"someone \"swordfish12\"\r\n"),
        Say::Down(b"a2 OK in\r\n"),
        Say::Up(b"a3 APPEND INBOX {18+}\r\na4 LOGIN b c\r\n.\r\nx\r\n"),
        Say::Down(b"a3 OK\r\n"),
        Say::Up(b"a4 UID FETCH 1 (ENVELOPE BODY[HEADER.FIELDS (TO)] BODY[TEXT])\r\n"),
        Say::Down(b"* 1 FETCH (ENVELOPE {3}\r\nabc BODY[HEADER.FIELDS (TO)] {6}\r\nTo: a\n BODY[TEXT]<0> {9}\r\na4 OK x\r\n)\r\na4 OK done\r\n"),
        Say::Up(b"a5 IDLE\r\n"),
        Say::Down(b"+ idling\r\n"),
        Say::Up(b"DONE\r\na6 LOGOUT\r\n"),
    ];

    #[test]
    fn commands_log_in_and_mails() {
        let seen = talk(143, 1400, &SESSION);
        assert_eq!(
            commands(&seen),
            [
                "CAPABILITY",
                "LOGIN … (under 8 characters) s…2 (8 to 15 characters)",
                "APPEND INBOX {18+}",
                "UID FETCH 1 (ENVELOPE BODY[HEADER.FIELDS (TO)] BODY[TEXT])",
                "IDLE",
                "LOGOUT"
            ]
        );
        assert_eq!(findings(&seen, FindingKind::Credential), [LOG_IN]);
        assert_eq!(
            findings(&seen, FindingKind::Content),
            ["mail in clear, 18 bytes", "mail headers in clear, 6 bytes", "mail in clear, 9 bytes"]
        );
        holds_in_pieces(143, &SESSION);
    }

    #[test]
    fn log_ins_in_all_notations() {
        for (said, credential) in [
            (&b"a1 LOGIN someone swordfish12\r\n"[..], LOG_IN),
            (b"a1 login \"someone\" {11+}\r\nswordfish12\r\n", LOG_IN),
            (b"a1 LOGIN {7+}\r\nsomeone {11+}\r\nswordfish12\r\n", LOG_IN),
            (
                b"a1 AUTHENTICATE PLAIN AHNvbWVvbmUAc3dvcmRmaXNoMTI=\r\n",
                "SASL PLAIN log-in of user … (under 8 characters) with password s…2 (8 to 15 characters)",
            ),
            (
                b"a1 AUTHENTICATE LOGIN\r\nc29tZW9uZQ==\r\nc3dvcmRmaXNoMTI=\r\n",
                "SASL LOGIN log-in of user … (under 8 characters) with password s…2 (8 to 15 characters)",
            ),
        ] {
            let seen = talk(143, 1400, &[Say::Down(b"* OK\r\n"), Say::Up(said), Say::Up(b"a2 NOOP\r\n")]);
            assert_eq!(findings(&seen, FindingKind::Credential), [credential]);
            assert_eq!(commands(&seen).len(), 2, "{:?}", commands(&seen));
            assert!(!commands(&seen).concat().contains("swordfish"));
        }
    }

    #[test]
    fn a_refused_literal_is_not_waited_for() {
        let seen = talk(
            143,
            1400,
            &[
                Say::Down(b"* OK\r\n"),
                Say::Up(b"a1 LOGIN {7}\r\n"),
                Say::Down(b"a1 BAD no\r\n"),
                Say::Up(b"a2 LOGOUT\r\n"),
            ],
        );
        assert_eq!(commands(&seen), ["LOGOUT"]);
        assert!(seen.findings.is_empty());
    }

    #[test]
    fn tls_and_compression() {
        let hello = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00";
        for (command, answer, then, protocols, opaque) in [
            (&b". STARTTLS\r\n"[..], &b". OK go on\r\n"[..], &hello[..], &["imap", "tls"][..], None),
            (b". STARTTLS\r\n", b". BAD no\r\n", b"a1 NOOP\r\n", &["imap"], None),
            (b"a1 COMPRESS DEFLATE\r\n", b"a1 OK\r\n", b"\x01\x02\n\x03", &["imap"], Some(4)),
        ] {
            let begin = [Say::Down(b"* OK\r\n"), Say::Up(b"a0 NOOP\r\n"), Say::Down(b"a0 OK\r\n")];
            let said: Vec<_> =
                begin.into_iter().chain([Say::Up(command), Say::Down(answer), Say::Up(then)]).collect();
            let seen = talk(143, 1400, &said);
            assert_eq!(seen.flows[0].app_protocols, protocols);
            assert_eq!(seen.coverage.classes.get("opaque").copied(), opaque);
        }
    }

    #[test]
    fn gaps_keep_to_literals() {
        let begin = [Say::Down(b"* OK\r\n"), Say::Up(b"a1 NOOP\r\na2 APPEND x {100+}\r\n")];
        for (name, rest, after) in [
            (
                "within",
                &[Say::LostUp(50), Say::Up(&[b'x'; 50]), Say::Up(b"\r\na3 NOOP\r\n")][..],
                &["NOOP"][..],
            ),
            ("to its end", &[Say::LostUp(100), Say::Up(b"\r\na3 NOOP\r\n")], &["NOOP"]),
            ("beyond", &[Say::LostUp(103), Say::Up(b"rest\r\nThe list of\r\na4 NOOP\r\n")], &["NOOP"]),
        ] {
            let said: Vec<_> = begin.iter().chain(rest).copied().collect();
            let seen = commands(&talk(143, 1400, &said));
            assert_eq!(seen[..2], ["NOOP", "APPEND x {100+}"], "{name}");
            assert_eq!(seen[2..], *after, "{name}");
        }
    }

    #[test]
    fn literals_and_items() {
        for (line, size) in [
            ("a {10}", Some((10, true))),
            ("a {10+}", Some((10, false))),
            ("~{0}", Some((0, true))),
            ("a {}", None),
            ("a {1x}", None),
            ("{99999999999999999999}", None),
            ("a 10}", None),
            ("\"{10}\"", None),
        ] {
            assert_eq!(literal(line.as_bytes()), size, "{line}");
        }
        for (line, what) in [
            ("* 1 FETCH (BODY[] {1}", Some("mail")),
            ("* 1 FETCH (FLAGS () RFC822 {1}", Some("mail")),
            ("* 1 FETCH (RFC822.HEADER {1}", Some("mail headers")),
            ("* 1 FETCH (BODY[1.MIME] {1}", Some("mail headers")),
            ("* 1 FETCH (BODY[] \"x\" ENVELOPE {1}", None),
            ("* 1 FETCH (RFC822.SIZE 1 ENVELOPE {1}", None),
            ("* LIST () \"/\" {1}", None),
        ] {
            assert_eq!(mail_item(line.as_bytes()), what, "{line}");
        }
    }
}
