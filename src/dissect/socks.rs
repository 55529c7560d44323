//! SOCKS 4, 4a and 5 over TCP (RFC 1928, RFC 1929; `SOCKS: A protocol for TCP proxy`, Ying-Da Lee): what a client asks a proxy for.
//!
//! Takes both directions; gives the request with its target, a log-in in clear, and hands the flow on to the protocol that
//! follows. A client need not wait for the answers (it may send its request with the greeting, and what it wants to say through the
//! proxy with that), and answers need not be in the capture. Reads CONNECT; BIND and UDP ASSOCIATE are told and left alone.

use serde::Serialize;

use super::packet::IpProto;
use super::reader::{Reader, Short};
use super::{Class, Cx, Dissector, Match, Probe, Protocol, Step, readable};
use crate::model::Direction;
use crate::payload::{Credential, Masking};

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "socks",
    title: "SOCKS 4, 4a, 5",
    source: "RFC 1928, RFC 1929",
    over: &[IpProto::TCP],
    ports: &[1080],
    reads: "requests with their targets, user and password; what follows is read as the protocol that it is",
    probe,
    start: || Box::new(Socks::default()),
};

const CLASS: Class = Class::clear("socks");
const OPAQUE: Class = Class::opaque("opaque");

/// Longest user name or host of SOCKS 4.
const MAX_TEXT: usize = 512;

/// Bytes that a client may send ahead of an answer; of more none is awaited.
const MAX_EARLY: usize = 1 << 16;

fn probe(p: &Probe<'_>) -> Match {
    if p.direction != Direction::Up || !p.from_start {
        return Match::No;
    }
    match *p.data {
        [5, n, ref rest @ ..] if n > 0 => {
            let (methods, behind) = rest.split_at_checked(usize::from(n)).unwrap_or((rest, &[]));
            match methods.iter().all(|m| matches!(m, 0..=9 | 0x80..=0xfe)) {
                true if methods.len() == usize::from(n) && goes_on(behind) => Match::Yes,
                true if methods.len() < usize::from(n) && p.server_on(PROTOCOL.ports) => Match::Maybe,
                _ => Match::No,
            }
        }
        [4, 1 | 2, _, _, ref rest @ ..] => match request_4(rest) {
            // Nothing, or what the client says through the proxy.
            Some([] | [22, 3, ..]) => Match::Yes,
            Some(behind) if readable(behind) || p.server_on(PROTOCOL.ports) => Match::Yes,
            _ => Match::No,
        },
        _ => Match::No,
    }
}

/// What stands behind a greeting of SOCKS 5 in the same segment may be a log-in (RFC 1929) or a request, as far as it is there.
fn goes_on(behind: &[u8]) -> bool {
    match *behind {
        [] | [5] | [5, 1..=3] | [5, 1..=3, 0] | [5, 1..=3, 0, 1 | 3 | 4, ..] => true,
        [1, n, ref user @ ..] => n > 0 && !user.iter().take(usize::from(n)).any(u8::is_ascii_control),
        _ => false,
    }
}

/// What stands behind a request of SOCKS 4 or 4a, from its address on; `None` where it is none.
fn request_4(rest: &[u8]) -> Option<&[u8]> {
    let (address, rest) = rest.split_first_chunk::<4>()?;
    let field = |rest: &'_ [u8]| {
        let end = rest.iter().take(MAX_TEXT).position(|b| *b == 0)?;
        rest.get(..end)?.iter().all(u8::is_ascii_graphic).then_some(end + 1)
    };
    let rest = rest.get(field(rest)?..)?;
    if is_named(*address) { rest.get(field(rest)?..) } else { Some(rest) }
}

/// SOCKS 4a: an impossible address says that a name follows.
fn is_named(address: [u8; 4]) -> bool {
    address.starts_with(&[0, 0, 0]) && address != [0; 4]
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Nothing yet.
    #[default]
    Greeting,
    /// SOCKS 5: the server picks a method.
    Method,
    /// SOCKS 5: user and password.
    LogIn,
    /// SOCKS 5: the server accepts them or not.
    LoggedIn,
    /// SOCKS 5: what the client wants.
    Request,
    /// The server's answer to the request.
    Answer,
    /// Not as it has to be.
    Lost,
}

#[derive(Default)]
struct Socks {
    stage: Stage,
    version: u8,
    /// Bytes that the client has sent ahead of an answer.
    early: usize,
    /// The proxy has said something.
    two_sided: bool,
}

#[derive(Serialize)]
struct Request<'a> {
    version: u8,
    command: &'a str,
    host: String,
    port: u16,
}

fn command(code: u8) -> &'static str {
    match code {
        1 => "connect",
        2 => "bind",
        3 => "udp-associate",
        _ => "unknown",
    }
}

/// A field that ends with a zero byte.
fn text(r: &mut Reader<'_>, field: &'static str) -> Result<String, Short> {
    let end = r.rest().iter().take(MAX_TEXT).position(|b| *b == 0);
    let Some(end) = end else {
        return Err(Short { field, at: r.at(), needed: r.rest().len() + 1, left: r.rest().len() });
    };
    let bytes = r.take(field, end)?;
    r.take(field, 1)?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// Address and port of a SOCKS 5 message (RFC 1928 section 5); `None` for an address type that does not exist.
fn address(r: &mut Reader<'_>) -> Result<Option<(String, u16)>, Short> {
    let host = match r.u8("address type")? {
        1 => std::net::Ipv4Addr::from(r.array::<4>("address")?).to_string(),
        3 => String::from_utf8_lossy(r.vec8("host")?.rest()).into_owned(),
        4 => std::net::Ipv6Addr::from(r.array::<16>("address")?).to_string(),
        _ => return Ok(None),
    };
    Ok(Some((host, r.u16("port")?)))
}

impl Socks {
    /// Reads one message; `Ok(None)` when it is not as it has to be, else its size.
    fn message(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Result<Option<usize>, Short> {
        let mut r = Reader::new(data);
        let version = r.u8("version")?;
        match (self.stage, d, version) {
            (Stage::Greeting, Direction::Up, 5) => {
                r.vec8("methods")?;
                (self.stage, self.version) = (Stage::Method, 5);
            }
            (Stage::Greeting, Direction::Up, 4) => {
                let code = r.u8("command")?;
                let port = r.u16("port")?;
                let ip = r.array::<4>("address")?;
                text(&mut r, "user")?;
                let host = if is_named(ip) {
                    text(&mut r, "host")?
                } else {
                    std::net::Ipv4Addr::from(ip).to_string()
                };
                (self.stage, self.version) = (Stage::Answer, 4);
                cx.emit("socks.request", 0..r.at(), || Request {
                    version: 4,
                    command: command(code),
                    host,
                    port,
                });
            }
            (Stage::Method, Direction::Down, 5) => {
                self.stage = match r.u8("method")? {
                    0 => Stage::Request,
                    2 => Stage::LogIn,
                    _ => Stage::Lost,
                };
            }
            (Stage::LogIn, Direction::Up, 1) => {
                let user = r.vec8("user")?.rest();
                let password = r.vec8("password")?.rest();
                let lossy = |bytes: &[u8]| Some(String::from_utf8_lossy(bytes).into_owned());
                let login = Credential { scheme: "socks", user: lossy(user), secret: lossy(password) };
                let masking = if cx.show_secrets() { Masking::Off } else { Masking::On };
                cx.finding(0..r.at(), login.finding((0, 0), masking, false));
                self.stage = Stage::LoggedIn;
            }
            (Stage::LoggedIn, Direction::Down, 1) => {
                r.u8("status")?;
                self.stage = Stage::Request;
            }
            (Stage::Request, Direction::Up, 5) => {
                let code = r.u8("command")?;
                r.u8("reserved")?;
                let Some((host, port)) = address(&mut r)? else { return Ok(None) };
                self.stage = Stage::Answer;
                cx.emit("socks.request", 0..r.at(), || Request {
                    version: 5,
                    command: command(code),
                    host,
                    port,
                });
            }
            (Stage::Answer, Direction::Down, 5) if self.version == 5 => {
                let reply = r.u8("reply")?;
                r.u8("reserved")?;
                if address(&mut r)?.is_none() {
                    return Ok(None);
                }
                self.answered(reply == 0, cx);
            }
            (Stage::Answer, Direction::Down, 0) if self.version == 4 => {
                let reply = r.u8("reply")?;
                r.take("address", 6)?;
                self.answered(reply == 0x5a, cx);
            }
            _ => return Ok(None),
        }
        Ok(Some(r.at()))
    }

    fn answered(&mut self, granted: bool, cx: &mut Cx<'_>) {
        self.stage = Stage::Lost;
        if granted {
            cx.reprobe();
        }
    }
}

impl Socks {
    /// The client goes on before it has its answer, or that is not in the capture.
    fn early(&mut self, data: &[u8], cx: &mut Cx<'_>) -> Step {
        let before = std::mem::replace(&mut self.early, data.len());
        if data.len() > MAX_EARLY {
            self.stage = Stage::Lost;
            return Step::Took(data.len(), OPAQUE);
        }
        // It has more to say and still no word of the proxy: there is none to wait for.
        if before > 0 && data.len() > before && !self.two_sided {
            self.early = 0;
            match (self.stage, data.first()) {
                (Stage::Method, Some(1)) => self.stage = Stage::LogIn,
                (Stage::Method | Stage::LoggedIn, _) => self.stage = Stage::Request,
                _ => {
                    self.stage = Stage::Lost;
                    cx.reprobe();
                    return Step::More(data.len() + 1);
                }
            }
            return self.stream(Direction::Up, data, cx);
        }
        Step::More(data.len() + 1)
    }
}

impl Dissector for Socks {
    fn stream(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        self.two_sided |= d == Direction::Down;
        match (self.stage, d) {
            (Stage::Lost, _) => return Step::Took(data.len(), OPAQUE),
            (Stage::Method | Stage::LoggedIn | Stage::Answer, Direction::Up) => return self.early(data, cx),
            // An answer to what the client holds in another segment, that was captured later.
            (Stage::LogIn | Stage::Request, Direction::Down) if data.len() <= MAX_EARLY => {
                return Step::More(data.len() + 1);
            }
            _ => {}
        }
        match self.message(d, data, cx) {
            Ok(Some(size)) => {
                self.early = 0;
                cx.answered();
                Step::Took(size, CLASS)
            }
            Err(_) if data.len() < 2 * MAX_TEXT + 16 => Step::More(data.len() + 1),
            Ok(None) | Err(_) => {
                self.stage = Stage::Lost;
                cx.answered();
                Step::Took(data.len(), OPAQUE)
            }
        }
    }

    fn gap(&mut self, _: Direction, _: u64, _: &mut Cx<'_>) {
        self.stage = Stage::Lost;
    }

    fn unfinished(&self) -> Class {
        if self.stage == Stage::Lost || self.early > 0 { OPAQUE } else { CLASS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::testing::{client_hello, connection, of_kind, text};

    const GREETING: &[u8] = b"\x05\x01\x00";
    const LOGIN: &[u8] = b"\x01\x05alice\x07s3cret!";
    const REQUEST: &[u8] = b"\x05\x01\x00\x03\x0cchat.example\x01\xbb";
    const CHOSEN: &[u8] = b"\x05\x00";
    const LOGGED_IN: &[u8] = b"\x01\x00";
    const GRANTED: &[u8] = b"\x05\x00\x00\x01\0\0\0\0\0\0";

    /// Targets of requests and names of hellos.
    fn read(pieces: &[(Direction, Vec<u8>)]) -> (Vec<String>, Vec<String>) {
        let analysis = connection(1080, pieces);
        let of = |kind: &str, field: &str| of_kind(&analysis, kind).iter().map(|o| text(o, field)).collect();
        (of("socks.request", "host"), of("tls.client_hello", "sni"))
    }

    #[test]
    fn clients_need_not_wait_for_answers() {
        use Direction::{Down, Up};
        let hello = client_hello("chat.example");
        let (cut, end) = hello.split_at(60);
        let four = b"\x04\x01\x01\xbb\0\0\0\x01me\0chat.example\0".to_vec();
        let granted_four = b"\0\x5a\0\0\0\0\0\0".to_vec();
        let with_login = b"\x05\x01\x02".to_vec();
        let [greeting, login, request, chosen, logged_in, granted] =
            [GREETING, LOGIN, REQUEST, CHOSEN, LOGGED_IN, GRANTED].map(<[u8]>::to_vec);
        let both = |a: &[u8], b: &[u8]| [a, b].concat();
        for (name, pieces) in [
            (
                "in turn",
                vec![
                    (Up, greeting.clone()),
                    (Down, chosen.clone()),
                    (Up, request.clone()),
                    (Down, granted.clone()),
                    (Up, hello.clone()),
                ],
            ),
            (
                "request with the greeting",
                vec![
                    (Up, both(&greeting, &request)),
                    (Down, chosen.clone()),
                    (Down, granted.clone()),
                    (Up, hello.clone()),
                ],
            ),
            (
                "both answers in one segment",
                vec![(Up, both(&greeting, &request)), (Down, both(&chosen, &granted)), (Up, hello.clone())],
            ),
            (
                "all at once",
                vec![(Up, [&greeting[..], &request, &hello].concat()), (Down, both(&chosen, &granted))],
            ),
            (
                "log-in, request and hello ahead",
                vec![
                    (Up, [&with_login[..], &login, &request, cut].concat()),
                    (Down, b"\x05\x02".to_vec()),
                    (Up, end.to_vec()),
                    (Down, logged_in),
                    (Down, granted.clone()),
                ],
            ),
            (
                "hello in two parts ahead of the answer",
                vec![
                    (Up, greeting.clone()),
                    (Down, chosen),
                    (Up, request.clone()),
                    (Up, cut.to_vec()),
                    (Up, end.to_vec()),
                    (Down, granted),
                ],
            ),
            ("4a with the hello", vec![(Up, both(&four, &hello)), (Down, granted_four)]),
            (
                "one side of it",
                vec![
                    (Up, greeting),
                    (Up, request),
                    (Up, hello.clone()),
                    (Up, [&[23, 3, 3, 0, 40][..], &[0xd5; 40]].concat()),
                ],
            ),
        ] {
            let expected = (vec!["chat.example".to_owned()], vec!["chat.example".to_owned()]);
            assert_eq!(read(&pieces), expected, "{name}");
        }
    }

    #[test]
    fn what_only_begins_alike_is_left_alone() {
        for bytes in
            [&b"\x05\x01\x00\x42more"[..], b"\x05\x01\x55", b"\x04\x01\0\x50\x01\x02\x03\x04\0\xd5\xd5"]
        {
            let analysis = connection(9000, &[(Direction::Up, bytes)]);
            assert!(analysis.flows[0].app_protocols.is_empty(), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_refused_stays_opaque() {
        let pieces = [
            (Direction::Up, [GREETING, REQUEST, b"early"].concat()),
            (Direction::Down, CHOSEN.to_vec()),
            (Direction::Down, b"\x05\x05\x00\x01\0\0\0\0\0\0".to_vec()),
        ];
        let analysis = connection(1080, &pieces);
        assert_eq!(analysis.coverage.classes["opaque"], 5);
    }
}
