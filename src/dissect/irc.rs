//! IRC: chat over lines of text (RFC 2812; `IRCv3` message tags, SASL, STARTTLS).
//!
//! Takes both directions; gives the client's commands, what reaches it by PRIVMSG and NOTICE, log-ins in clear to the server and
//! to its services, the size of chat messages, and hands over to TLS after `STARTTLS`. The text of messages is shown by its
//! length only. Links between servers are not read.

use super::lines::{self, Contents, Line, Lines, Sasl, Span, Upgrade};
use super::packet::IpProto;
use super::{Class, Cx, Dissector, Match, Probe, Protocol, Step};
use crate::model::Direction;
use crate::payload::{Credential, Masking};

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "irc",
    title: "IRC",
    source: "RFC 2812, ircv3.net/specs/extensions/sasl-3.1, ircv3.net/specs/deprecated/tls",
    over: &[IpProto::TCP],
    ports: &[6667, 6660, 6661, 6662, 6663, 6664, 6665, 6666, 6668, 6669, 7000],
    reads: "the client's commands, log-ins and chat messages in clear, the step to TLS; not links between servers",
    probe,
    start: || Box::new(Irc::default()),
};

const CLASS: Class = Class::clear("irc");

const COMMANDS: &[&str] = &[
    "ADMIN",
    "AUTHENTICATE",
    "AWAY",
    "CAP",
    "CHATHISTORY",
    "CNOTICE",
    "CPRIVMSG",
    "ERROR",
    "HELP",
    "INFO",
    "INVITE",
    "ISON",
    "JOIN",
    "KICK",
    "KILL",
    "KNOCK",
    "LINKS",
    "LIST",
    "LUSERS",
    "MODE",
    "MONITOR",
    "MOTD",
    "NAMES",
    "NICK",
    "NICKSERV",
    "NOTICE",
    "NS",
    "OPER",
    "PART",
    "PASS",
    "PING",
    "PONG",
    "PRIVMSG",
    "PROTOCTL",
    "QUIT",
    "REGISTER",
    "REHASH",
    "SETNAME",
    "SQUERY",
    "STARTTLS",
    "STATS",
    "TAGMSG",
    "TIME",
    "TOPIC",
    "TRACE",
    "USER",
    "USERHOST",
    "USERIP",
    "VERSION",
    "WALLOPS",
    "WEBIRC",
    "WHO",
    "WHOIS",
    "WHOWAS",
];

/// Parameters of a message (RFC 2812 section 2.3).
const MAX_PARAMETERS: usize = 15;

/// Longest part of a SASL message; one of just this length goes on (`IRCv3` SASL).
const SASL_PART: usize = 400;

/// Longest SASL message that is put together, in base64.
const MAX_SASL: usize = 16 << 10;

fn probe(p: &Probe<'_>) -> Match {
    let on_port = p.server_on(PROTOCOL.ports);
    match p.direction {
        Direction::Down => lines::probe_line(
            p.data,
            |part| {
                part.starts_with(b":")
                    || ["NOTICE ", "PING ", "ERROR "]
                        .iter()
                        .any(|w| w.as_bytes().starts_with(part) || part.starts_with(w.as_bytes()))
            },
            |line| Message::read(line).is_some_and(|m| from_server(&m, on_port)),
        ),
        Direction::Up => lines::probe_line(
            p.data,
            |part| lines::may_be(if on_port { COMMANDS } else { &["NICK", "USER", "CAP", "PRIVMSG"] }, part),
            |line| Message::read(line).is_some_and(|m| from_client(&m, on_port)),
        ),
    }
}

fn from_server(m: &Message<'_>, on_port: bool) -> bool {
    let numeric = m.command.len() == 3 && m.command.iter().all(u8::is_ascii_digit);
    let prefix = m.prefix.is_some_and(|p| !p.is_empty() && p.iter().all(u8::is_ascii_graphic));
    match m.command.to_ascii_uppercase().as_slice() {
        _ if numeric => prefix && !m.parameters.is_empty(),
        // Before the client has a nickname, servers write to "*" or to "AUTH".
        b"NOTICE" => {
            m.parameters.len() == 2 && (prefix || matches!(m.parameters.first(), Some(&b"AUTH" | &b"*")))
        }
        b"PRIVMSG" => m.parameters.len() == 2 && prefix,
        b"PING" | b"ERROR" => on_port && !m.parameters.is_empty(),
        b"CAP" | b"JOIN" | b"PART" | b"QUIT" | b"MODE" | b"NICK" | b"PONG" => on_port && prefix,
        _ => false,
    }
}

fn from_client(m: &Message<'_>, on_port: bool) -> bool {
    let Some(command) = lines::known(COMMANDS, m.command) else { return false };
    let parameters = m.parameters.as_slice();
    match command {
        "NICK" => parameters.first().is_some_and(|n| is_nickname(n)),
        "USER" => parameters.len() >= 4,
        "CAP" => parameters.first().is_some_and(|s| lines::known(&["LS", "REQ", "LIST", "END"], s).is_some()),
        "PRIVMSG" => parameters.len() == 2,
        _ => on_port,
    }
}

/// RFC 2812 section 2.3.1; servers allow more than nine characters.
fn is_nickname(nick: &[u8]) -> bool {
    let special = |b: u8| b"[]\\`_^{|}".contains(&b);
    nick.len() <= 32
        && nick.first().is_some_and(|b| b.is_ascii_alphabetic() || special(*b))
        && nick.iter().all(|b| b.is_ascii_alphanumeric() || special(*b) || *b == b'-')
}

/// A line in its parts (RFC 2812 section 2.3.1).
#[derive(Debug)]
struct Message<'a> {
    prefix: Option<&'a [u8]>,
    command: &'a [u8],
    parameters: Vec<&'a [u8]>,
    /// What follows the command, as sent.
    argument: &'a [u8],
}

impl Message<'_> {
    fn read(line: &[u8]) -> Option<Message<'_>> {
        let mut rest = line;
        if rest.starts_with(b"@") {
            rest = lines::split(rest).1;
        }
        let mut prefix = None;
        if let Some(prefixed) = rest.strip_prefix(b":") {
            let (name, behind) = lines::split(prefixed);
            (prefix, rest) = (Some(name), behind);
        }
        let (command, argument) = lines::split(rest);
        let mut parameters = Vec::new();
        rest = argument;
        while !rest.is_empty() {
            if let Some(trailing) = rest.strip_prefix(b":") {
                parameters.push(trailing);
                break;
            }
            if parameters.len() + 1 == MAX_PARAMETERS {
                parameters.push(rest);
                break;
            }
            let (word, behind) = lines::split(rest);
            parameters.push(word);
            rest = behind;
        }
        let word = !command.is_empty() && command.iter().all(u8::is_ascii_alphanumeric);
        word.then_some(Message { prefix, command, parameters, argument })
    }

    fn parameter(&self, at: usize) -> &[u8] {
        self.parameters.get(at).copied().unwrap_or_default()
    }

    /// The text that a message to services has, whatever way it takes.
    fn to_services(&self, command: &str) -> Option<&[u8]> {
        let text = match command {
            "NICKSERV" | "NS" => self.argument.strip_prefix(b":").unwrap_or(self.argument),
            "PRIVMSG" | "NOTICE" | "SQUERY" => {
                let target = self.parameter(0);
                let name = target.split(|b| *b == b'@').next().unwrap_or_default();
                // QuakeNet's and Undernet's services are called Q and X.
                let service = name.len() > 4 && name.to_ascii_lowercase().ends_with(b"serv")
                    || target.contains(&b'@') && name.len() == 1;
                if !service {
                    return None;
                }
                self.parameter(1)
            }
            _ => return None,
        };
        Some(text)
    }
}

/// The log-in that a message to services is.
fn service_login(text: &[u8]) -> Option<Credential> {
    const VERBS: &[&str] =
        &["AUTH", "GHOST", "ID", "IDENTIFY", "LOGIN", "RECOVER", "REGAIN", "REGISTER", "RELEASE"];
    let words: Vec<&[u8]> = text.split(|b| *b == b' ').filter(|w| !w.is_empty()).take(4).collect();
    let (verb, words) = words.split_first()?;
    let (user, secret) = match (lines::known(VERBS, verb)?, words) {
        // `REGISTER password address`.
        ("REGISTER", [secret, ..]) | (_, [secret]) => (None, *secret),
        (_, [user, secret, ..]) => (Some(*user), *secret),
        (_, []) => return None,
    };
    Some(Credential {
        scheme: "irc-services",
        user: user.map(lines::lossy),
        secret: Some(lines::lossy(secret)),
    })
}

#[derive(Default)]
struct Irc {
    lines: Lines,
    upgrade: Upgrade,
    sasl: Option<Sasl>,
    /// Parts of a SASL message that goes on.
    parts: Vec<u8>,
    contents: Contents,
}

impl Irc {
    fn client(&mut self, line: Line<'_>, cx: &mut Cx<'_>) {
        let Some(message) = Message::read(line.text) else { return };
        let Some(command) = lines::known(COMMANDS, message.command) else { return };
        let starttls = command == "STARTTLS";
        if starttls {
            self.upgrade.ask();
        }
        // The first AUTHENTICATE names the mechanism, the others bring secrets.
        let named = self.sasl.is_none() && Sasl::is_mechanism(message.parameter(0));
        lines::emit(
            "irc.command",
            line.size,
            &[],
            command,
            |m| shown(command, &message, named, m),
            starttls,
            cx,
        );
        let secret = |at: usize| Some(lines::lossy(message.parameter(at)));
        let credential = match command {
            "AUTHENTICATE" => {
                self.authenticate(message.parameter(0), line.size, cx);
                None
            }
            "PASS" => Some(Credential { scheme: "irc-pass", user: None, secret: secret(0) }),
            "OPER" => Some(Credential { scheme: "irc-oper", user: secret(0), secret: secret(1) }),
            _ => {
                let text = message.to_services(command);
                if text.is_none() {
                    self.content(command, &message, line.size, cx);
                }
                text.and_then(service_login)
            }
        };
        if let Some(credential) = credential {
            lines::tell_credential(&credential, Span::of(line.size, cx), cx);
        }
    }

    fn authenticate(&mut self, text: &[u8], size: usize, cx: &mut Cx<'_>) {
        let Some(sasl) = &mut self.sasl else {
            self.sasl = Sasl::is_mechanism(text).then(|| Sasl::new(text));
            return;
        };
        if text == b"*" {
            self.sasl = None;
            return;
        }
        if text != b"+" && self.parts.len() + text.len() <= MAX_SASL {
            self.parts.extend(text);
        }
        if text.len() != SASL_PART {
            let whole = std::mem::take(&mut self.parts);
            sasl.message(&whole, size, cx);
        }
    }

    fn server(&mut self, line: Line<'_>, cx: &mut Cx<'_>) {
        let Some(message) = Message::read(line.text) else { return };
        match message.command {
            b"670" if self.upgrade.is_asked() => cx.switch_to("tls"),
            b"691" => self.upgrade = Upgrade::None,
            // The SASL dialogue is over, one way or the other.
            [b'9', b'0', b'0'..=b'8'] => {
                self.sasl = None;
                self.parts.clear();
            }
            _ => {
                let command = lines::known(&["PRIVMSG", "NOTICE"], message.command);
                if let Some(command) = command {
                    lines::emit(
                        "irc.command",
                        line.size,
                        &[],
                        command,
                        |m| shown(command, &message, false, m),
                        false,
                        cx,
                    );
                    // What users write has `nick!user@host` before it.
                    if message.prefix.is_some_and(|p| p.contains(&b'!')) {
                        self.content(command, &message, line.size, cx);
                    }
                }
            }
        }
    }

    fn content(&mut self, command: &str, message: &Message<'_>, size: usize, cx: &mut Cx<'_>) {
        let text = message.parameter(1);
        if matches!(command, "PRIVMSG" | "CPRIVMSG") && !text.is_empty() {
            let what = format!("chat message in clear, {} bytes", text.len());
            self.contents.tell_size(&what, Span::of(size, cx), cx);
        }
    }
}

/// A command's argument without secrets, without what people wrote and without their names.
fn shown(command: &str, m: &Message<'_>, named: bool, masking: Masking) -> String {
    if masking == Masking::Off {
        return lines::shown(m.argument);
    }
    let first = lines::shown(m.parameter(0));
    match command {
        "AUTHENTICATE" if named => first,
        "PASS" | "AUTHENTICATE" | "WEBIRC" | "NICKSERV" | "NS" | "REGISTER" => {
            masking.apply(&lines::lossy(m.argument))
        }
        "OPER" => {
            format!(
                "{} {}",
                masking.apply_any(&lines::lossy(m.parameter(0))),
                masking.apply(&lines::lossy(m.parameter(1)))
            )
        }
        "PRIVMSG" | "NOTICE" | "SQUERY" | "CPRIVMSG" | "CNOTICE" if m.parameters.len() > 1 => {
            let text: usize = m.parameters.iter().skip(1).map(|p| p.len()).sum();
            format!("{first} …({text} bytes)")
        }
        // What people call themselves and are called: as personal as an address (RFC 2812 sections 3.1.2 and 3.1.3).
        "NICK" => masking.apply_any(&lines::lossy(m.parameter(0))),
        "USER" => {
            // In between stand a mode and `*`, or, in the older form, the names of hosts.
            let shown = |at: usize| match m.parameter(at) {
                short if short.len() <= 1 => lines::shown(short),
                long => masking.apply_any(&lines::lossy(long)),
            };
            let own = |at: usize| masking.apply_any(&lines::lossy(m.parameter(at)));
            format!("{} {} {} :{}", own(0), shown(1), shown(2), own(3))
        }
        // Keys of channels.
        "JOIN" if m.parameters.len() > 1 => {
            format!("{first} {}", masking.apply(&lines::lossy(m.parameter(1))))
        }
        "MODE" if m.parameters.len() > 2 && m.parameter(1).contains(&b'k') => {
            format!(
                "{first} {} {}",
                lines::shown(m.parameter(1)),
                masking.apply(&lines::lossy(m.parameter(2)))
            )
        }
        _ => lines::shown(m.argument),
    }
}

impl Dissector for Irc {
    fn stream(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        if let Some(step) = self.upgrade.look(d, data, cx) {
            return step;
        }
        let line = match self.lines.next(d, data, CLASS) {
            Ok(line) => line,
            Err(step) => return step,
        };
        match d {
            Direction::Up => self.client(line, cx),
            Direction::Down => self.server(line, cx),
        }
        Step::Took(line.size, CLASS)
    }

    fn gap(&mut self, d: Direction, _: u64, _: &mut Cx<'_>) {
        self.lines.lost(d);
        // A message with a hole is none; but what follows is still not the name of a mechanism.
        self.parts.clear();
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

    const SESSION: [Say<'_>; 9] = [
        Say::Up(b"CAP REQ :sasl\r\nPASS swordfish12\r\nNICK someone\r\nUSER a 0 * :A name\r\n"),
        Say::Down(b":irc.example NOTICE * :*** Looking you up\r\n:irc.example CAP * ACK :sasl\r\n"),
        Say::Up(b"AUTHENTICATE PLAIN\r\n"),
        Say::Down(b"AUTHENTICATE +\r\n"),
        Say::Up(b"AUTHENTICATE AHNvbWVvbmUAc3dvcmRmaXNoMTI=\r\n"),
        Say::Down(b":irc.example 903 someone :in\r\n"),
        Say::Up(b"JOIN #room swordfish12\r\nPRIVMSG #room :good morning\r\nPRIVMSG NickServ :IDENTIFY swordfish12\r\n"),
        Say::Down(b"@time=x :other!u@host PRIVMSG #room :hello\r\n"),
        Say::Up(b"OPER someone swordfish12\r\nNOSUCH swordfish12\r\nQUIT\r\n"),
    ];

    #[test]
    fn commands_log_ins_and_messages() {
        let seen = talk(6667, 1400, &SESSION);
        let masked = "s…2 (8 to 15 characters)";
        assert_eq!(
            commands(&seen),
            [
                "CAP REQ :sasl".to_owned(),
                format!("PASS {masked}"),
                "NICK … (under 8 characters)".to_owned(),
                "USER … (under 8 characters) 0 * :… (under 8 characters)".to_owned(),
                "NOTICE * …(18 bytes)".to_owned(),
                "AUTHENTICATE PLAIN".to_owned(),
                "AUTHENTICATE A… (16 to 31 characters)".to_owned(),
                format!("JOIN #room {masked}"),
                "PRIVMSG #room …(12 bytes)".to_owned(),
                "PRIVMSG NickServ …(20 bytes)".to_owned(),
                "PRIVMSG #room …(5 bytes)".to_owned(),
                format!("OPER … (under 8 characters) {masked}"),
                "QUIT".to_owned(),
            ]
        );
        let mut told = findings(&seen, FindingKind::Credential);
        told.sort_unstable();
        assert_eq!(
            told,
            [
                &format!("IRC OPER log-in of user … (under 8 characters) with password {masked}"),
                &format!("IRC PASS log-in with password {masked}"),
                &format!("IRC services log-in with password {masked}"),
                &format!("SASL PLAIN log-in of user … (under 8 characters) with password {masked}"),
            ]
        );
        assert_eq!(
            findings(&seen, FindingKind::Content),
            ["chat message in clear, 12 bytes", "chat message in clear, 5 bytes"]
        );
        holds_in_pieces(6667, &SESSION);
    }

    #[test]
    fn a_secret_is_no_mechanism() {
        // The AUTHENTICATE that named it is not in the capture.
        let seen = talk(6667, 1400, &[Say::Up(b"AUTHENTICATE AHNvbWVvbmUAc3dvcmRmaXNoMTI=\r\nQUIT\r\n")]);
        assert_eq!(commands(&seen), ["AUTHENTICATE A… (16 to 31 characters)", "QUIT"]);
    }

    #[test]
    fn long_sasl_messages_come_in_parts() {
        let message = [&b"\0someone\0"[..], &[b'x'; 400]].concat();
        let text = crate::payload::base64::encode(&message, crate::payload::base64::STANDARD);
        let (first, second) = text.split_at(SASL_PART);
        let lines =
            [b"AUTHENTICATE PLAIN\r\nAUTHENTICATE ", first, b"\r\nAUTHENTICATE ", second, b"\r\n"].concat();
        let seen = talk(6667, 1400, &[Say::Up(b"NICK a\r\n"), Say::Up(&lines)]);
        assert_eq!(
            findings(&seen, FindingKind::Credential),
            ["SASL PLAIN log-in of user … (under 8 characters) with password x…x (64 or more characters)"]
        );
    }

    #[test]
    fn tls_only_when_accepted() {
        let hello = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00";
        for (answer, then, protocols) in [
            (&b":irc.example 670 a :go on\r\n"[..], &hello[..], &["irc", "tls"][..]),
            (b":irc.example 691 a :no\r\n", b"QUIT\r\n", &["irc"]),
        ] {
            let seen =
                talk(6667, 1400, &[Say::Up(b"NICK a\r\nSTARTTLS\r\n"), Say::Down(answer), Say::Up(then)]);
            assert_eq!(seen.flows[0].app_protocols, protocols);
            assert_eq!(commands(&seen)[1], "!STARTTLS");
        }
    }

    #[test]
    fn services_and_what_is_said_to_them() {
        for (line, user, secret) in [
            ("PRIVMSG NickServ :IDENTIFY secret", None, Some("secret")),
            ("PRIVMSG nickserv@services.example :identify name secret", Some("name"), Some("secret")),
            ("NS ID secret", None, Some("secret")),
            ("NICKSERV :GHOST name secret", Some("name"), Some("secret")),
            ("PRIVMSG NickServ :REGISTER secret a@mail.example", None, Some("secret")),
            ("PRIVMSG Q@CServe.example :AUTH name secret", Some("name"), Some("secret")),
            ("PRIVMSG NickServ :HELP IDENTIFY", None, None),
            ("PRIVMSG someone :IDENTIFY secret", None, None),
        ] {
            let message = Message::read(line.as_bytes()).unwrap();
            let command = lines::known(COMMANDS, message.command).unwrap();
            let read = message.to_services(command).and_then(service_login);
            let read = read.map(|c| (c.user, c.secret)).unwrap_or_default();
            assert_eq!((read.0.as_deref(), read.1.as_deref()), (user, secret), "{line}");
        }
    }
}
