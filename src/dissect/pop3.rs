//! POP3: mail fetched (RFC 1939; CAPA and STLS RFC 2449 and 2595, AUTH RFC 5034).
//!
//! Takes both directions; gives the client's commands and log-ins in clear, the size of each mail in clear, and hands over to TLS
//! after `STLS`. Mails pass by unread. Without the client's side, mails cannot be told from other answers.

use std::collections::VecDeque;

use super::lines::{self, Body, Contents, Line, Lines, Login, Sasl, Upgrade};
use super::packet::IpProto;
use super::{Class, Cx, Dissector, Match, Probe, Protocol, Step};
use crate::model::Direction;
use crate::payload::{Masking, UserPass};

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "pop3",
    title: "POP3",
    source: "RFC 1939, RFC 2595, RFC 5034",
    over: &[IpProto::TCP],
    ports: &[110],
    reads: "commands and log-ins in clear, sizes of mails, the step to TLS; not the mails themselves",
    probe,
    start: || Box::new(Pop3::default()),
};

const CLASS: Class = Class::clear("pop3");

const COMMANDS: &[&str] = &[
    "APOP", "AUTH", "CAPA", "DELE", "LANG", "LAST", "LIST", "NOOP", "PASS", "QUIT", "RETR", "RSET", "STAT",
    "STLS", "TOP", "UIDL", "USER", "UTF8", "XTND",
];

/// Commands that may wait for their answers.
const MAX_WAITING: usize = 1024;

fn probe(p: &Probe<'_>) -> Match {
    let on_port = p.server_on(PROTOCOL.ports);
    match p.direction {
        Direction::Down => lines::probe_line(
            p.data,
            |part| {
                [&b"+OK"[..], b"-ERR"]
                    .iter()
                    .any(|s| s.starts_with(part.get(..4).unwrap_or(part)) || part.starts_with(s))
            },
            // Redis says +OK too, but nothing behind it; a POP3 greeting has its name, or a time stamp for APOP.
            |line| match answer(line) {
                Some(_) if on_port => true,
                Some(true) => {
                    lines::contains(line, "POP")
                        || (line.contains(&b'<') && line.contains(&b'@') && line.ends_with(b">"))
                }
                _ => false,
            },
        ),
        Direction::Up => lines::probe_line(
            p.data,
            |part| lines::may_be(if on_port { COMMANDS } else { &["CAPA", "STLS", "APOP"] }, part),
            |line| {
                let (word, argument) = lines::split(line);
                match lines::known(COMMANDS, word) {
                    Some(_) if on_port => true,
                    Some("CAPA" | "STLS") => argument.is_empty(),
                    Some("APOP") => UserPass::default().pop3(line).is_some(),
                    _ => false,
                }
            },
        ),
    }
}

/// `+OK` is true, `-ERR` is false.
fn answer(line: &[u8]) -> Option<bool> {
    match lines::split(line).0 {
        b"+OK" => Some(true),
        b"-ERR" => Some(false),
        _ => None,
    }
}

/// What the answer to a command is, if it is not an error.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Line,
    Lines,
    Mail,
    Auth,
    Tls,
}

#[derive(Default)]
struct Pop3 {
    lines: Lines,
    waiting: VecDeque<Waiting>,
    /// What the server is sending, and whether it is a mail.
    body: Option<(Body, bool)>,
    /// The client went on while a body was being read: its end came, in this capture or not.
    went_on: bool,
    auth: Option<Sasl>,
    login: Login,
    upgrade: Upgrade,
    contents: Contents,
}

impl Pop3 {
    fn command(&mut self, line: Line<'_>, cx: &mut Cx<'_>) {
        if let Some(sasl) = self.auth.as_mut().filter(|s| s.takes(line.text)) {
            sasl.message(line.text, line.size, cx);
            return;
        }
        self.auth = None;
        let (word, argument) = lines::split(line.text);
        let Some(command) = lines::known(COMMANDS, word) else { return };
        self.went_on = self.body.is_some();
        if self.body.as_ref().is_some_and(|(body, _)| body.has_gap()) {
            self.body_over(cx);
        }
        let argument = argument.trim_ascii_end();
        let shown = |masking: Masking| shown(command, argument, masking);
        lines::emit("pop3.command", line.size, &[], command, shown, command == "STLS", cx);
        self.login.line(line, UserPass::pop3, cx);
        let waiting = match command {
            "STLS" => {
                self.upgrade.ask();
                Waiting::Tls
            }
            "AUTH" if !argument.is_empty() => {
                let (mechanism, response) = lines::split(argument);
                let mut sasl = Sasl::new(mechanism);
                if !response.is_empty() {
                    sasl.message(response, line.size, cx);
                }
                self.auth = Some(sasl);
                Waiting::Auth
            }
            "RETR" | "TOP" => Waiting::Mail,
            "AUTH" | "CAPA" => Waiting::Lines,
            "LIST" | "UIDL" | "LANG" if argument.is_empty() => Waiting::Lines,
            _ => Waiting::Line,
        };
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(waiting);
    }

    fn answer(&mut self, ok: bool, cx: &mut Cx<'_>) {
        match self.waiting.pop_front() {
            Some(Waiting::Lines) if ok => self.body = Some((Body::dotted(), false)),
            Some(Waiting::Mail) if ok => self.body = Some((Body::dotted(), true)),
            Some(Waiting::Tls) if ok => cx.switch_to("tls"),
            Some(Waiting::Tls) => self.upgrade = Upgrade::None,
            Some(Waiting::Auth) => self.auth = None,
            _ => {}
        }
        self.went_on = false;
    }

    fn body_over(&mut self, cx: &mut Cx<'_>) {
        if let Some((body, true)) = self.body.take() {
            self.contents.tell("mail", body, cx);
        }
        self.lines.restart(Direction::Down);
    }
}

/// A command's argument without its secrets.
fn shown(command: &str, argument: &[u8], masking: Masking) -> String {
    let (first, rest) = lines::split(argument);
    match command {
        "USER" => masking.apply_any(&lines::lossy(argument)),
        "PASS" => masking.apply(&lines::lossy(argument)),
        "APOP" => {
            format!("{} {}", masking.apply_any(&lines::lossy(first)), masking.apply(&lines::lossy(rest)))
        }
        "AUTH" if !rest.is_empty() => {
            format!("{} {}", lines::shown(first), masking.apply(&lines::lossy(rest)))
        }
        _ => lines::shown(argument),
    }
}

impl Dissector for Pop3 {
    fn stream(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        if let (Direction::Down, Some((body, _))) = (d, &mut self.body) {
            let (taken, ended) = body.take(data, cx);
            if ended {
                self.body_over(cx);
            }
            return Step::Took(taken, CLASS);
        }
        if let Some(step) = self.upgrade.look(d, data, cx) {
            return step;
        }
        let line = match self.lines.next(d, data, CLASS) {
            Ok(line) => line,
            Err(step) => return step,
        };
        match d {
            Direction::Up => self.command(line, cx),
            Direction::Down => {
                if let Some(ok) = answer(line.text) {
                    self.answer(ok, cx);
                }
            }
        }
        Step::Took(line.size, CLASS)
    }

    fn gap(&mut self, d: Direction, missing: u64, cx: &mut Cx<'_>) {
        self.lines.lost(d);
        if d == Direction::Up {
            self.auth = None;
            self.waiting.clear();
            return;
        }
        if let Some((body, _)) = &mut self.body {
            body.gap(missing);
            if self.went_on {
                self.body_over(cx);
            } else {
                self.waiting.clear();
            }
            return;
        }
        // One command waits: its answer was in the gap, and perhaps the beginning of what that announced. Of more, all but the
        // last were answered, as hardly any client sends the next one before.
        let last = self.waiting.pop_back();
        match last.filter(|_| self.waiting.is_empty()) {
            Some(Waiting::Mail) => self.body = Some((Body::dotted_after_gap(), true)),
            Some(Waiting::Lines) => self.body = Some((Body::dotted_after_gap(), false)),
            _ => {}
        }
        if !self.waiting.is_empty() {
            self.waiting.clear();
            self.waiting.extend(last);
        }
    }

    fn finish(&mut self, d: Direction, _: &[u8], cx: &mut Cx<'_>) {
        if d == Direction::Down && self.body.is_some() {
            self.body_over(cx);
        }
    }

    fn unfinished(&self) -> Class {
        CLASS
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::testing::{Say, commands, findings, holds_in_pieces, talk};
    use crate::model::FindingKind;

    const SESSION: [Say<'_>; 12] = [
        Say::Down(b"+OK POP3 ready <1.2@mail.example>\r\n"),
        Say::Up(b"CAPA\r\n"),
        Say::Down(b"+OK\r\nUSER\r\n+OK\r\n.\r\n"),
        Say::Up(b"USER someone@mail.example\r\n"),
        Say::Down(b"+OK\r\n"),
        Say::Up(b"PASS sword fish 12\r\n"),
        Say::Down(b"+OK in\r\n"),
        Say::Up(b"LIST\r\nRETR 1\r\nRETR 2\r\n"),
        Say::Down(b"+OK\r\n1 20\r\n.\r\n+OK 20 octets\r\nSubject: x\r\n\r\n+OK\r\n..\r\n.\r\n"),
        Say::Down(b"-ERR no such\r\n"),
        Say::Up(b"QUIT\r\n"),
        Say::Down(b"+OK bye\r\n"),
    ];

    #[test]
    fn commands_log_in_and_mails() {
        let seen = talk(110, 1400, &SESSION);
        assert_eq!(
            commands(&seen),
            [
                "CAPA",
                "USER s…@… (e-mail address)",
                "PASS s…2 (8 to 15 characters)",
                "LIST",
                "RETR 1",
                "RETR 2",
                "QUIT"
            ]
        );
        assert_eq!(findings(&seen, FindingKind::Credential).len(), 1);
        assert_eq!(findings(&seen, FindingKind::Content), ["mail in clear, 23 bytes"]);
        holds_in_pieces(110, &SESSION);
    }

    #[test]
    fn other_log_ins() {
        for (said, credential) in [
            (
                &b"APOP someone 00112233445566778899aabbccddeeff\r\n"[..],
                "POP3 APOP log-in of user … (under 8 characters), the secret itself was not sent",
            ),
            (
                b"AUTH PLAIN AHNvbWVvbmUAc3dvcmRmaXNoMTI=\r\n",
                "SASL PLAIN log-in of user … (under 8 characters) with password s…2 (8 to 15 characters)",
            ),
            (
                b"AUTH LOGIN\r\nc29tZW9uZQ==\r\nc3dvcmRmaXNoMTI=\r\n",
                "SASL LOGIN log-in of user … (under 8 characters) with password s…2 (8 to 15 characters)",
            ),
        ] {
            let seen = talk(110, 1400, &[Say::Down(b"+OK\r\n"), Say::Up(said), Say::Up(b"STAT\r\n")]);
            assert_eq!(findings(&seen, FindingKind::Credential), [credential]);
            assert_eq!(commands(&seen).len(), 2);
            assert!(!commands(&seen).concat().contains("AHNv"));
        }
    }

    #[test]
    fn tls_only_when_accepted() {
        let hello = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00";
        for (answer, then, protocols) in [
            (&b"+OK go on\r\n"[..], &hello[..], &["pop3", "tls"][..]),
            (b"-ERR no\r\n", b"QUIT\r\n", &["pop3"]),
        ] {
            let seen = talk(
                110,
                1400,
                &[Say::Down(b"+OK\r\n"), Say::Up(b"STLS\r\n"), Say::Down(answer), Say::Up(then)],
            );
            assert_eq!(seen.flows[0].app_protocols, protocols);
            assert_eq!(commands(&seen)[0], "!STLS");
        }
    }

    #[test]
    fn gaps_in_and_around_mails() {
        for (name, rest, mails) in [
            (
                "within",
                &[Say::Down(b"+OK\r\nab\r\n"), Say::LostDown(50), Say::Down(b"c\r\n.\r\n+OK\r\n")][..],
                &["mail in clear, 7 bytes"][..],
            ),
            (
                "over the end",
                &[
                    Say::Down(b"+OK\r\nab\r\n"),
                    Say::LostDown(50),
                    Say::Up(b"RETR 2\r\n"),
                    Say::Down(b"+OK\r\nsecond\r\n.\r\n"),
                ],
                &["mail in clear, 4 bytes", "mail in clear, 8 bytes"],
            ),
            (
                "over the answer",
                &[Say::LostDown(9), Say::Down(b"b\r\n+OK\r\n.\r\n")],
                &["mail in clear, 8 bytes"],
            ),
        ] {
            let mut said = vec![Say::Down(b"+OK\r\n"), Say::Up(b"RETR 1\r\n")];
            said.extend(rest);
            said.extend([Say::Up(b"QUIT\r\n"), Say::Down(b"+OK bye\r\n")]);
            let seen = talk(110, 1400, &said);
            let content = findings(&seen, FindingKind::Content);
            assert_eq!(content.len(), mails.len(), "{name}: {content:?}");
            assert!(content.iter().zip(mails).all(|(c, m)| c.starts_with(m)), "{name}: {content:?}");
            assert_eq!(commands(&seen).last().unwrap(), "QUIT", "{name}");
        }
    }
}
