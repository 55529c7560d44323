//! FTP control connections (RFC 959, 2228, 2389, 3659; TLS RFC 4217).
//!
//! Takes both directions of a control connection; gives the client's commands and log-ins in clear, and hands over to TLS after
//! `AUTH TLS`. Does not follow data connections, and of the server's replies reads only the one to `AUTH`.

use super::lines::{self, Line, Lines, Login, Upgrade};
use super::packet::IpProto;
use super::{Class, Cx, Dissector, Match, Probe, Protocol, Step};
use crate::model::Direction;
use crate::payload::{Masking, UserPass};

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "ftp",
    title: "FTP",
    source: "RFC 959, RFC 4217",
    over: &[IpProto::TCP],
    ports: &[21],
    reads: "commands, log-ins in clear and the step to TLS; not data connections",
    probe,
    start: || Box::new(Ftp::default()),
};

const CLASS: Class = Class::clear("ftp");

/// A line with another first word may be anything, also a password: it is counted and not shown.
const COMMANDS: &[&str] = &[
    "ABOR", "ACCT", "ADAT", "ALLO", "APPE", "AUTH", "CCC", "CDUP", "CLNT", "CONF", "CWD", "DELE", "ENC",
    "EPRT", "EPSV", "FEAT", "HELP", "HOST", "LANG", "LIST", "MDTM", "MFMT", "MIC", "MKD", "MLSD", "MLST",
    "MODE", "NLST", "NOOP", "OPTS", "PASS", "PASV", "PBSZ", "PORT", "PROT", "PWD", "QUIT", "REIN", "REST",
    "RETR", "RMD", "RNFR", "RNTO", "SITE", "SIZE", "SMNT", "STAT", "STOR", "STOU", "STRU", "SYST", "TYPE",
    "USER", "XCUP", "XCWD", "XMKD", "XPWD", "XRMD",
];

fn probe(p: &Probe<'_>) -> Match {
    let known = |line: &[u8]| lines::known(COMMANDS, lines::split(line).0).is_some();
    match p.direction {
        Direction::Down => lines::probe_reply(p, PROTOCOL.ports, &["FTP"]),
        // POP3 and IRC have USER and PASS too: the port decides.
        Direction::Up if p.server_on(PROTOCOL.ports) => {
            lines::probe_line(p.data, |part| lines::may_be(COMMANDS, part), known)
        }
        Direction::Up => {
            lines::probe_line(p.data, |part| lines::starts(b"AUTH TLS", &lines::lossy(part)), asks_tls)
        }
    }
}

fn asks_tls(line: &[u8]) -> bool {
    let (word, argument) = lines::split(line);
    word.eq_ignore_ascii_case(b"AUTH")
        && lines::known(&["TLS", "TLS-C", "SSL", "TLS-P"], argument.trim_ascii_end()).is_some()
}

/// A command of the server's own (RFC 959 section 4.1.3): of those that change passwords the word alone is shown.
fn site(argument: &[u8], masking: Masking) -> String {
    const PASSWORDS: &[&str] =
        &["PSWD", "PASSWD", "PASSWORD", "PASS", "CPWD", "CHPASS", "GPASS", "GRPPASS", "SETPASS", "CHPWD"];
    let (word, rest) = lines::split(argument);
    match lines::known(PASSWORDS, word) {
        Some(word) => format!("{word} {}", masking.apply(&lines::lossy(rest))),
        None => lines::shown(argument),
    }
}

#[derive(Default)]
struct Ftp {
    lines: Lines,
    login: Login,
    upgrade: Upgrade,
}

impl Ftp {
    fn command(&mut self, line: Line<'_>, cx: &mut Cx<'_>) {
        let (word, argument) = lines::split(line.text);
        let Some(command) = lines::known(COMMANDS, word) else { return };
        let starttls = asks_tls(line.text);
        if starttls {
            self.upgrade.ask();
        }
        let argument = |masking: Masking| match command {
            "USER" => masking.apply_any(&lines::lossy(argument)),
            "PASS" | "ACCT" | "ADAT" => masking.apply(&lines::lossy(argument)),
            "SITE" => site(argument, masking),
            _ => lines::shown(argument),
        };
        lines::emit("ftp.command", line.size, &[], command, argument, starttls, cx);
        self.login.line(line, UserPass::ftp, cx);
    }

    /// 234 accepts `AUTH` (RFC 4217 section 4), 4xx and 5xx refuse it.
    fn reply(&mut self, line: Line<'_>, cx: &mut Cx<'_>) {
        match lines::reply(line.text) {
            Some((234, true)) if self.upgrade.is_asked() => cx.switch_to("tls"),
            Some((400.., true)) => self.upgrade = Upgrade::None,
            _ => {}
        }
    }
}

impl Dissector for Ftp {
    fn stream(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        if let Some(step) = self.upgrade.look(d, data, cx) {
            return step;
        }
        let line = match self.lines.next(d, data, CLASS) {
            Ok(line) => line,
            Err(step) => return step,
        };
        match d {
            Direction::Up => self.command(line, cx),
            Direction::Down => self.reply(line, cx),
        }
        Step::Took(line.size, CLASS)
    }

    fn gap(&mut self, d: Direction, _: u64, _: &mut Cx<'_>) {
        self.lines.lost(d);
    }

    fn unfinished(&self) -> Class {
        CLASS
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::testing::{Say, commands, findings, holds_in_pieces, talk};
    use crate::model::FindingKind;

    const LOG_IN: [Say<'_>; 6] = [
        Say::Down(b"220-Welcome\r\n220 ready\r\n"),
        Say::Up(b"USER somebody\r\n"),
        Say::Down(b"331 go on\r\n"),
        Say::Up(b"pass swordfish12\r\nFEAT\nSITE pswd old swordfish13\r\nXYZZY plugh\r\nRETR a file\r\n"),
        Say::Down(b"230-Hello\r\n 234 no reply\r\n230 in\r\n"),
        Say::Up(b"QUIT\r\n"),
    ];

    #[test]
    fn commands_and_log_in() {
        let seen = talk(21, 1400, &LOG_IN);
        assert_eq!(
            commands(&seen),
            [
                "USER s…y (8 to 15 characters)",
                "PASS s…2 (8 to 15 characters)",
                "FEAT",
                "SITE PSWD o…3 (8 to 15 characters)",
                "RETR a file",
                "QUIT"
            ]
        );
        let told = findings(&seen, FindingKind::Credential);
        assert_eq!(
            told,
            ["FTP log-in of user s…y (8 to 15 characters) with password s…2 (8 to 15 characters)"]
        );
        assert_eq!(seen.findings[0].frames, [4, 6]);
        assert_eq!(seen.coverage.classes.get("opaque"), None);
        holds_in_pieces(21, &LOG_IN);
    }

    #[test]
    fn tls_only_when_accepted() {
        let hello = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00";
        for (answer, then, protocols, asked) in [
            (&b"234 go on\r\n"[..], &hello[..], &["ftp", "tls"][..], 1),
            (b"534 no\r\n", b"USER x\r\n", &["ftp"], 2),
        ] {
            let seen = talk(
                21,
                1400,
                &[Say::Down(b"220 FTP\r\n"), Say::Up(b"AUTH TLS\r\n"), Say::Down(answer), Say::Up(then)],
            );
            assert_eq!(seen.flows[0].app_protocols, protocols);
            assert_eq!(commands(&seen)[0], "!AUTH TLS");
            assert_eq!(commands(&seen).len(), asked);
        }
    }
}
