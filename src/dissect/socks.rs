//! SOCKS 4, 4a and 5 over TCP (RFC 1928, RFC 1929; `SOCKS: A protocol for TCP proxy`, Ying-Da Lee): what a client asks a proxy for.
//!
//! Takes both directions; gives the request with its target, a log-in in clear, and hands the flow on to the protocol that
//! follows. Reads CONNECT; BIND and UDP ASSOCIATE are told and left alone.

use serde::Serialize;

use super::packet::IpProto;
use super::reader::{Reader, Short};
use super::{Class, Cx, Dissector, Match, Probe, Protocol, Step};
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

fn probe(p: &Probe<'_>) -> Match {
    if p.direction != Direction::Up || !p.from_start {
        return Match::No;
    }
    match *p.data {
        // The greeting is the whole of the client's first flight.
        [5, n, ref methods @ ..] if n > 0 && methods.len() == usize::from(n) => {
            if methods.iter().all(|m| matches!(m, 0..=9 | 0x80..=0xfe)) { Match::Yes } else { Match::No }
        }
        [4, 1 | 2, _, _, _, _, _, _, ref rest @ ..] => {
            let text = rest.iter().all(|b| *b == 0 || b.is_ascii_graphic());
            if rest.last() == Some(&0) && rest.len() <= 2 * MAX_TEXT && text { Match::Yes } else { Match::No }
        }
        _ => Match::No,
    }
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
                // 4a: an impossible address says that a name follows.
                let named = ip.starts_with(&[0, 0, 0]) && ip != [0; 4];
                let host =
                    if named { text(&mut r, "host")? } else { std::net::Ipv4Addr::from(ip).to_string() };
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

impl Dissector for Socks {
    fn stream(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        if self.stage == Stage::Lost {
            return Step::Took(data.len(), OPAQUE);
        }
        match self.message(d, data, cx) {
            Ok(Some(size)) => Step::Took(size, CLASS),
            Err(_) if data.len() < 2 * MAX_TEXT + 16 => Step::More(data.len() + 1),
            Ok(None) | Err(_) => {
                self.stage = Stage::Lost;
                Step::Took(data.len(), OPAQUE)
            }
        }
    }

    fn gap(&mut self, _: Direction, _: u64, _: &mut Cx<'_>) {
        self.stage = Stage::Lost;
    }

    fn unfinished(&self) -> Class {
        if self.stage == Stage::Lost { OPAQUE } else { CLASS }
    }
}
