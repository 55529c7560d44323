//! SMTP: mail on its way (RFC 5321; BDAT RFC 3030, STARTTLS RFC 3207, AUTH RFC 4954).
//!
//! Takes both directions, or one of them, also from the middle of a connection; gives the client's commands, log-ins and mail
//! addresses in clear, the size of each mail in clear, and hands over to TLS after `STARTTLS`. Mails pass by unread. What
//! stands between commands and is none is never shown: it may be a password.

use std::collections::VecDeque;

use super::lines::{self, AfterGap, Body, Contents, Line, Lines, Sasl, Upgrade};
use super::packet::IpProto;
use super::{Class, Cx, Dissector, Match, Probe, Protocol, Step};
use crate::model::Direction;

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "smtp",
    title: "SMTP",
    source: "RFC 5321, RFC 3207, RFC 4954",
    over: &[IpProto::TCP],
    ports: &[25, 587, 2525, 465],
    reads: "commands, log-ins and mail addresses in clear, sizes of mails, the step to TLS; not the mails themselves",
    probe,
    start: || Box::new(Smtp::default()),
};

const CLASS: Class = Class::clear("smtp");
const DATA: Class = Class::clear("smtp.data");

const COMMANDS: &[&str] = &[
    "ATRN", "AUTH", "BDAT", "BURL", "DATA", "EHLO", "ETRN", "EXPN", "HELO", "HELP", "LHLO", "MAIL", "NOOP",
    "QUIT", "RCPT", "RSET", "SAML", "SEND", "SOML", "STARTTLS", "TURN", "VRFY", "XCLIENT", "XEXCH50",
    "XFORWARD",
];

/// Commands that may wait for their answers; RFC 2920 sets no limit, clients have their own.
const MAX_WAITING: usize = 1024;

/// Mail addresses that one flow reports.
const MAX_ADDRESSES: usize = 8;

fn probe(p: &Probe<'_>) -> Match {
    let on_port = p.server_on(PROTOCOL.ports);
    match p.direction {
        Direction::Down => lines::probe_reply(p, PROTOCOL.ports, &["SMTP", "LMTP"]),
        Direction::Up => lines::probe_line(
            p.data,
            |part| {
                lines::may_be(
                    if on_port { COMMANDS } else { &["EHLO", "HELO", "LHLO", "MAIL", "RCPT"] },
                    part,
                )
            },
            |line| is_certain(line) && (on_port || opens(line)),
        ),
    }
}

/// Commands that no other protocol has.
fn opens(line: &[u8]) -> bool {
    ["EHLO ", "HELO ", "LHLO ", "MAIL FROM:", "RCPT TO:"].iter().any(|prefix| lines::starts(line, prefix))
}

/// A command whose argument has the form that it should have: in a mail, words like these begin lines too.
fn is_certain(line: &[u8]) -> bool {
    let (word, argument) = lines::split(line);
    let argument = argument.trim_ascii_end();
    match lines::known(COMMANDS, word) {
        Some("EHLO" | "HELO" | "LHLO") => !argument.is_empty(),
        Some("MAIL") => lines::starts(argument, "FROM:") && argument.contains(&b'<'),
        Some("RCPT") => lines::starts(argument, "TO:") && argument.contains(&b'<'),
        Some("DATA" | "RSET" | "QUIT" | "STARTTLS") => {
            argument.is_empty() && word.len() == line.trim_ascii_end().len()
        }
        Some("NOOP") => argument.is_empty(),
        Some("BDAT") => chunk(argument).is_some(),
        Some("AUTH") => {
            let (mechanism, _) = lines::split(argument);
            (3..=20).contains(&mechanism.len())
                && mechanism.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b"-_".contains(b))
        }
        _ => false,
    }
}

/// Size of a chunk, and whether it is the mail's last (RFC 3030 section 2).
fn chunk(argument: &[u8]) -> Option<(u64, bool)> {
    let (size, rest) = lines::split(argument);
    let digits = !size.is_empty() && size.iter().all(u8::is_ascii_digit);
    let size = std::str::from_utf8(size).ok().filter(|_| digits)?.parse().ok()?;
    let last = rest.trim_ascii_end();
    (last.is_empty() || last.eq_ignore_ascii_case(b"LAST")).then_some((size, !last.is_empty()))
}

/// What a command that has no answer yet makes of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Answer,
    Auth,
    Data,
    Tls,
}

/// What the client's next bytes are.
#[derive(Default)]
enum Phase {
    #[default]
    Command,
    Auth(Sasl),
    /// `DATA` was sent: a mail, unless the server refuses.
    Asked,
    /// A mail up to its dot.
    Mail(Body),
    /// A chunk of a mail, and whether it is the last.
    Chunk(Body, bool),
}

#[derive(Default)]
struct Smtp {
    lines: Lines,
    phase: Phase,
    upgrade: Upgrade,
    waiting: VecDeque<Waiting>,
    /// The client's side is known to be between commands, not within a mail.
    certain: bool,
    /// The server has answered while a mail was being read: its end came, in this capture or not.
    answered: bool,
    /// The chunks of a mail so far.
    chunks: Option<Body>,
    contents: Contents,
    addresses: Vec<Vec<u8>>,
}

impl Smtp {
    fn client(&mut self, data: &[u8], cx: &mut Cx<'_>) -> Step {
        if matches!(self.phase, Phase::Asked) {
            self.phase = Phase::Mail(Body::dotted());
        }
        if let Phase::Mail(body) | Phase::Chunk(body, _) = &mut self.phase {
            let (taken, ended) = body.take(data, cx);
            if ended {
                self.body_over(cx);
            }
            return Step::Took(taken, DATA);
        }
        if let Some(step) = self.upgrade.look(Direction::Up, data, cx) {
            return step;
        }
        // The bytes behind a gap may be the beginning of a command.
        if self.lines.is_lost(Direction::Up)
            && !self.certain
            && let Some(end) = data.iter().position(|b| *b == b'\n')
            && is_certain(data.get(..end).unwrap_or_default().trim_ascii_end())
        {
            self.lines.restart(Direction::Up);
        }
        let line = match self.lines.next(Direction::Up, data, CLASS) {
            Ok(line) => line,
            Err(step) => return step,
        };
        match &mut self.phase {
            Phase::Auth(sasl) if sasl.takes(line.text) => sasl.message(line.text, line.size, cx),
            _ => {
                if matches!(self.phase, Phase::Auth(_)) {
                    self.phase = Phase::Command;
                }
                self.command(line, cx);
            }
        }
        Step::Took(line.size, CLASS)
    }

    /// The mail or chunk being read is at its end.
    fn body_over(&mut self, cx: &mut Cx<'_>) {
        match std::mem::take(&mut self.phase) {
            Phase::Mail(body) => {
                self.contents.tell("mail", body, cx);
                if !std::mem::take(&mut self.answered) {
                    self.wait(Waiting::Answer);
                }
            }
            Phase::Chunk(body, true) => self.contents.tell("mail", body, cx),
            Phase::Chunk(body, false) => self.chunks = Some(body),
            _ => {}
        }
        self.certain = true;
        self.lines.restart(Direction::Up);
    }

    fn wait(&mut self, what: Waiting) {
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(what);
    }

    fn command(&mut self, line: Line<'_>, cx: &mut Cx<'_>) {
        let (word, argument) = lines::split(line.text);
        let Some(command) = lines::known(COMMANDS, word) else {
            // The server answers what it does not know, too.
            if self.certain {
                self.wait(Waiting::Answer);
            }
            return;
        };
        if !self.certain && !is_certain(line.text) {
            return;
        }
        self.certain = true;
        lines::emit(
            "smtp.command",
            line.size,
            &[],
            command,
            |masking| match (command, lines::split(argument)) {
                ("AUTH", (mechanism, response)) if !response.is_empty() => {
                    format!("{} {}", lines::shown(mechanism), masking.apply(&lines::lossy(response)))
                }
                ("MAIL" | "RCPT", _) => match address(argument).map(lines::lossy) {
                    Some(address) => lines::shown(argument).replace(&*address, &masking.apply_any(&address)),
                    None => lines::shown(argument),
                },
                _ => lines::shown(argument),
            },
            command == "STARTTLS",
            cx,
        );
        let mut waiting = Waiting::Answer;
        match command {
            "STARTTLS" => {
                self.upgrade.ask();
                waiting = Waiting::Tls;
            }
            "AUTH" => {
                let (mechanism, response) = lines::split(argument.trim_ascii_end());
                let mut sasl = Sasl::new(mechanism);
                if !response.is_empty() {
                    sasl.message(response, line.size, cx);
                }
                self.phase = Phase::Auth(sasl);
                waiting = Waiting::Auth;
            }
            "DATA" => {
                self.phase = Phase::Asked;
                waiting = Waiting::Data;
            }
            "BDAT" => {
                if let Some((size, last)) = chunk(argument) {
                    let mut body = self.chunks.take().unwrap_or_else(|| Body::counted(0));
                    body.extend(size);
                    self.phase = Phase::Chunk(body, last);
                    if size == 0 {
                        self.body_over(cx);
                    }
                }
            }
            "MAIL" => self.address("sender's address", argument, line.size, cx),
            "RCPT" => self.address("recipient's address", argument, line.size, cx),
            _ => {}
        }
        self.wait(waiting);
    }

    fn address(&mut self, what: &str, argument: &[u8], size: usize, cx: &mut Cx<'_>) {
        let Some(address) = address(argument) else { return };
        if self.addresses.len() < MAX_ADDRESSES && !self.addresses.iter().any(|a| a == address) {
            self.addresses.push(address.to_vec());
            lines::tell_address(what, address, size, cx);
        }
    }

    fn server(&mut self, data: &[u8], cx: &mut Cx<'_>) -> Step {
        if let Some(step) = self.upgrade.look(Direction::Down, data, cx) {
            return step;
        }
        let line = match self.lines.next(Direction::Down, data, CLASS) {
            Ok(line) => line,
            Err(step) => return step,
        };
        if let Some((code, true)) = lines::reply(line.text) {
            self.reply(code, cx);
        }
        Step::Took(line.size, CLASS)
    }

    fn reply(&mut self, code: u16, cx: &mut Cx<'_>) {
        match code {
            // Either the greeting, or the answer to STARTTLS.
            220 => {
                let to_tls = matches!(self.waiting.front(), None | Some(Waiting::Tls));
                if self.upgrade.is_asked() && to_tls {
                    cx.switch_to("tls");
                }
                return;
            }
            334 => return,
            354 => {
                while self.waiting.pop_front().is_some_and(|w| w != Waiting::Data) {}
                // Without a DATA before it, that is in a gap.
                if matches!(self.phase, Phase::Command | Phase::Auth(_)) {
                    self.phase = Phase::Mail(Body::dotted_after_gap());
                }
                return;
            }
            _ => {}
        }
        let answered = self.waiting.pop_front();
        match (&self.phase, answered) {
            (Phase::Auth(_), None | Some(Waiting::Auth)) => self.phase = Phase::Command,
            (Phase::Asked, Some(Waiting::Data)) if code >= 400 => self.phase = Phase::Command,
            (Phase::Mail(body), None) => {
                self.answered = true;
                if body.has_gap() {
                    self.body_over(cx);
                    self.certain = false;
                }
            }
            _ => {}
        }
        if answered == Some(Waiting::Tls) && code >= 400 {
            self.upgrade = Upgrade::None;
        }
    }

    /// Reports what was read of a mail whose end did not come.
    fn give_up_mail(&mut self, cx: &mut Cx<'_>) {
        if let Phase::Mail(body) | Phase::Chunk(body, _) = std::mem::take(&mut self.phase) {
            self.contents.tell("mail", body, cx);
        }
        if let Some(mut body) = self.chunks.take() {
            body.cut();
            self.contents.tell("mail", body, cx);
        }
    }
}

/// The mailbox of a path (RFC 5321 section 4.1.2), without a source route.
fn address(argument: &[u8]) -> Option<&[u8]> {
    let (_, path) = argument.split_at_checked(argument.iter().position(|b| *b == b':')? + 1)?;
    let path = path.trim_ascii_start();
    let mailbox = match path.strip_prefix(b"<") {
        Some(path) => path.split(|b| *b == b'>').next()?,
        None => lines::split(path).0,
    };
    let mailbox = match mailbox.strip_prefix(b"@") {
        Some(route) => route.splitn(2, |b| *b == b':').nth(1)?,
        None => mailbox,
    };
    let at = mailbox.iter().rposition(|b| *b == b'@')?;
    (at > 0 && at + 1 < mailbox.len() && mailbox.len() <= 320).then_some(mailbox)
}

impl Dissector for Smtp {
    fn stream(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        match d {
            Direction::Up => self.client(data, cx),
            Direction::Down => self.server(data, cx),
        }
    }

    fn gap(&mut self, d: Direction, missing: u64, cx: &mut Cx<'_>) {
        self.lines.lost(d);
        if d == Direction::Down {
            // Nobody knows any more which answer belongs to which command.
            self.waiting.clear();
            return;
        }
        let after = match &mut self.phase {
            Phase::Asked => {
                self.phase = Phase::Mail(Body::dotted_after_gap());
                AfterGap::Within
            }
            // The server has it all; what comes next is behind it.
            Phase::Mail(_) if self.answered => AfterGap::Border,
            Phase::Mail(body) | Phase::Chunk(body, _) => body.gap(missing),
            _ => AfterGap::Lost,
        };
        match after {
            AfterGap::Within => {}
            AfterGap::Border => self.body_over(cx),
            AfterGap::Lost => self.give_up_mail(cx),
        }
        self.certain &= after == AfterGap::Within;
    }

    fn finish(&mut self, d: Direction, _: &[u8], cx: &mut Cx<'_>) {
        if d == Direction::Up {
            self.give_up_mail(cx);
        }
    }

    fn unfinished(&self) -> Class {
        CLASS
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::testing::{Say, commands, findings, holds_in_pieces, talk};
    use super::*;
    use crate::model::FindingKind;

    /// `AUTH PLAIN`, two mails, one in chunks.
    const SESSION: [Say<'_>; 14] = [
        Say::Down(b"220 mail.example ESMTP\r\n"),
        Say::Up(b"EHLO client.example\r\n"),
        Say::Down(b"250-mail.example\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n"),
        Say::Up(b"AUTH PLAIN\r\n"),
        Say::Down(b"334 \r\n"),
        // someone, swordfish12
        Say::Up(b"AHNvbWVvbmUAc3dvcmRmaXNoMTI=\r\n"),
        Say::Down(b"235 2.7.0 in\r\n"),
        Say::Up(b"MAIL FROM:<someone@mail.example>\r\nrcpt to:<other@mail.example>\r\nDATA\r\n"),
        Say::Down(b"250 ok\r\n250 ok\r\n354 go on\r\n"),
        Say::Up(b"Subject: x\r\n\r\nQUIT\r\n..\r\nMAIL FROM:<no@mail.example>\r\n.\r\n"),
        Say::Down(b"250 taken\r\n"),
        Say::Up(b"MAIL FROM:<someone@mail.example>\r\nRCPT TO:<other@mail.example>\r\nBDAT 6\r\nQUIT\r\nBDAT 3 LAST\r\n.\r\nRSET\r\n"),
        Say::Down(b"250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n"),
        Say::Up(b"QUIT\r\n"),
    ];

    #[test]
    fn commands_log_in_addresses_and_mails() {
        let seen = talk(25, 1400, &SESSION);
        assert_eq!(
            commands(&seen),
            [
                "EHLO client.example",
                "AUTH PLAIN",
                "MAIL FROM:<s…@… (e-mail address)>",
                "RCPT to:<o…@… (e-mail address)>",
                "DATA",
                "MAIL FROM:<s…@… (e-mail address)>",
                "RCPT TO:<o…@… (e-mail address)>",
                "BDAT 6",
                "BDAT 3 LAST",
                "RSET",
                "QUIT",
            ]
        );
        assert_eq!(
            findings(&seen, FindingKind::Credential),
            ["SASL PLAIN log-in of user … (under 8 characters) with password s…2 (8 to 15 characters)"]
        );
        assert_eq!(findings(&seen, FindingKind::Identifier).len(), 2);
        assert_eq!(
            findings(&seen, FindingKind::Content),
            ["mail in clear, 53 bytes", "mail in clear, 9 bytes"]
        );
        assert_eq!(seen.coverage.classes["smtp.data"], 56 + 9);
        holds_in_pieces(25, &SESSION);
    }

    #[test]
    fn a_log_in_in_two_answers_names_both_frames() {
        let seen = talk(
            587,
            1400,
            &[
                Say::Down(b"220 x\r\n"),
                Say::Up(b"AUTH LOGIN\r\n"),
                Say::Down(b"334 VXNlcm5hbWU6\r\n"),
                Say::Up(b"c29tZW9uZQ==\r\n"),
                Say::Down(b"334 UGFzc3dvcmQ6\r\n"),
                Say::Up(b"c3dvcmRmaXNoMTI=\r\n"),
                Say::Down(b"535 no\r\n"),
                Say::Up(b"AUTH CRAM-MD5\r\n"),
                Say::Down(b"334 PDFAeD4=\r\n"),
                // someone 00112233445566778899aabbccddeeff
                Say::Up(b"c29tZW9uZSAwMDExMjIzMzQ0NTU2Njc3ODg5OWFhYmJjY2RkZWVmZg==\r\n"),
                Say::Down(b"535 no\r\n"),
                Say::Up(b"QUIT\r\n"),
            ],
        );
        assert_eq!(commands(&seen), ["AUTH LOGIN", "AUTH CRAM-MD5", "QUIT"]);
        let frames: Vec<_> = seen.findings.iter().map(|f| f.frames.clone()).collect();
        assert_eq!(frames, [vec![6, 8], vec![12]]);
    }

    #[test]
    fn a_refused_data_brings_no_mail() {
        let seen = talk(
            25,
            1400,
            &[
                Say::Down(b"220 x\r\n"),
                Say::Up(b"EHLO x\r\nDATA\r\n"),
                Say::Down(b"250 x\r\n503 no\r\n"),
                Say::Up(b"RSET\r\nQUIT\r\n"),
            ],
        );
        assert_eq!(commands(&seen), ["EHLO x", "DATA", "RSET", "QUIT"]);
        assert!(seen.findings.is_empty());
    }

    #[test]
    fn gaps_do_not_turn_mails_into_commands() {
        let begin = [
            Say::Down(b"220 x\r\n"),
            Say::Up(b"EHLO x\r\n"),
            Say::Down(b"250 x\r\n"),
            Say::Up(b"MAIL FROM:<a@mail.example>\r\nDATA\r\n"),
            Say::Down(b"250 ok\r\n354 go on\r\n"),
        ];
        let first = ["EHLO x", "MAIL FROM:<…@… (e-mail address)>", "DATA"];
        for (name, rest, commands_after, mails) in [
            (
                "within the mail",
                &[Say::Up(b"A: b\r\n"), Say::LostUp(100), Say::Up(b"x\r\nQUIT\r\n.\r\nRSET\r\n")][..],
                &["RSET"][..],
                &["mail in clear, 15 bytes (parts are not in the capture)"][..],
            ),
            (
                "over the mail's end",
                &[
                    Say::Up(b"A: b\r\n"),
                    Say::LostUp(100),
                    Say::Down(b"250 taken\r\n"),
                    Say::Up(b"RSET\r\n"),
                    Say::Down(b"250 ok\r\n"),
                    Say::Up(b"QUIT\r\n"),
                ],
                &["RSET", "QUIT"],
                &["mail in clear, 6 bytes"],
            ),
            (
                "over the end, and told of only later",
                &[
                    Say::Up(b"A: b\r\n"),
                    Say::LostUp(100),
                    Say::Up(b"c\r\n"),
                    Say::LostUp(3),
                    Say::Down(b"250 taken\r\n"),
                    Say::Up(b"NOOP\r\nQUIT\r\n"),
                ],
                &["NOOP", "QUIT"],
                &["mail in clear, 9 bytes (parts are not in the capture)"],
            ),
        ] {
            let said: Vec<_> = begin.iter().chain(rest).copied().collect();
            let seen = talk(25, 1400, &said);
            let expected: Vec<_> = first.iter().chain(commands_after).copied().collect();
            assert_eq!(commands(&seen), expected, "{name}");
            let content = findings(&seen, FindingKind::Content);
            assert!(content.iter().zip(mails).all(|(c, m)| c.starts_with(m)), "{name}: {content:?}");
            assert_eq!(content.len(), mails.len(), "{name}");
        }
        // DATA itself and the mail's beginning are missing: the server's 354 tells.
        let seen = talk(
            25,
            1400,
            &[
                Say::Down(b"220 x\r\n"),
                Say::Up(b"EHLO x\r\n"),
                Say::Down(b"250 x\r\n"),
                Say::LostUp(60),
                Say::Down(b"250 ok\r\n354 go on\r\n"),
                Say::LostUp(20),
                Say::Up(b"x\r\nRSET\r\nMAIL FROM:<b@mail.example>\r\n.\r\nQUIT\r\n"),
            ],
        );
        assert_eq!(commands(&seen), ["EHLO x", "QUIT"]);
    }

    #[test]
    fn tls_follows_when_accepted_or_when_it_is_there() {
        let hello = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00";
        let start = [Say::Down(b"220 x\r\n"), Say::Up(b"EHLO x\r\nSTARTTLS\r\n")];
        for (name, rest, protocols) in [
            ("accepted", &[Say::Down(b"250 x\r\n220 go on\r\n"), Say::Up(hello)][..], &["smtp", "tls"][..]),
            ("refused", &[Say::Down(b"250 x\r\n454 no\r\n"), Say::Up(b"QUIT\r\n")], &["smtp"]),
            ("answer missing", &[Say::LostDown(20), Say::Up(hello), Say::Up(hello)], &["smtp", "tls"]),
            (
                "answer behind",
                &[Say::Up(hello), Say::Down(b"250 x\r\n220 go on\r\n"), Say::Up(hello)],
                &["smtp", "tls"],
            ),
            ("server's side missing", &[Say::Up(hello), Say::Up(hello)], &["smtp", "tls"]),
        ] {
            let said: Vec<_> = start.iter().chain(rest).copied().collect();
            let seen = talk(25, 1400, &said);
            assert_eq!(seen.flows[0].app_protocols, protocols, "{name}");
            assert_eq!(commands(&seen)[..2], ["EHLO x", "!STARTTLS"], "{name}");
            assert!(!seen.coverage.classes.contains_key("opaque"), "{name}: {:?}", seen.coverage.classes);
        }
        // The hello is read wherever the answer is, also when nothing else follows.
        let name = b"mail.example";
        let mut hello =
            [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0, 0, 21, 0, 0, 0, 17, 0, 15, 0, 0, 12], name]
                .concat();
        hello.splice(0..0, [22, 3, 1, 0, hello.len() as u8 + 4, 1, 0, 0, hello.len() as u8]);
        for (name, rest) in [
            ("before", &[Say::Down(b"250 x\r\n220 go on\r\n"), Say::Up(&hello)][..]),
            ("behind", &[Say::Up(&hello), Say::Down(b"250 x\r\n220 go on\r\n")]),
            ("missing", &[Say::Up(&hello)]),
        ] {
            for segment in [1, 1400] {
                let said: Vec<_> = start.iter().chain(rest).copied().collect();
                let seen = talk(25, segment, &said);
                let sni: Vec<_> =
                    seen.observations.iter().filter_map(|o| o.fields.get("sni")?.as_str()).collect();
                assert_eq!(sni, ["mail.example"], "{name}, segments of {segment}");
                assert!(seen.warnings.is_empty(), "{name}, segments of {segment}: {:?}", seen.warnings);
            }
        }
        // What is sent in clear before the answer stays readable.
        let said = [
            start[0],
            Say::Up(b"EHLO x\r\nSTARTTLS\r\nNOOP\r\n"),
            Say::Down(b"250 x\r\n454 no\r\n250 ok\r\n"),
        ];
        assert_eq!(commands(&talk(25, 1400, &said)), ["EHLO x", "!STARTTLS", "NOOP"]);
    }

    #[test]
    fn addresses_of_paths() {
        for (argument, seen) in [
            ("FROM:<a@b.example> SIZE=1", Some("a@b.example")),
            ("TO: <@one.example,@two.example:a@b.example>", Some("a@b.example")),
            ("TO:a@b.example NOTIFY=NEVER", Some("a@b.example")),
            ("FROM:<>", None),
            ("TO:<postmaster>", None),
            ("nonsense", None),
            ("TO:<@", None),
        ] {
            assert_eq!(address(argument.as_bytes()), seen.map(str::as_bytes), "{argument}");
        }
    }
}
