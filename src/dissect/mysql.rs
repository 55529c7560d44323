//! MySQL's step to TLS (MySQL documentation, `Protocol::Handshake`, `Protocol::SSLRequest`).
//!
//! Takes both directions; reads the server's greeting and the client's `SSLRequest`, and hands over to TLS. What a client sends in
//! clear instead is opaque.

use super::packet::IpProto;
use super::reader::{Reader, Short};
use super::step_to_tls::{Agreement, StepToTls};
use super::{Class, Match, Probe, Protocol};
use crate::model::Direction;

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "mysql",
    title: "MySQL",
    source: "MySQL documentation, Protocol::Handshake, Protocol::SSLRequest",
    over: &[IpProto::TCP],
    ports: &[3306],
    reads: "the server's greeting and the step to TLS; log-in and commands are opaque",
    probe,
    start: || Box::new(StepToTls::<Mysql>::default()),
};

/// Longest greeting and longest version in it.
const MAX_GREETING: usize = 512;
const MAX_VERSION: usize = 128;
/// What a greeting of version 10 has behind its version text: connection id, eight bytes of salt, a zero byte, capabilities.
const BEHIND_VERSION: usize = 4 + 8 + 1 + 2;
/// Size of the client's request, without the four bytes before it.
const SSL_REQUEST: usize = 32;
const CLIENT_SSL: u32 = 0x800;

/// A packet's length and its sequence number.
fn header(r: &mut Reader<'_>) -> Result<(usize, u8), Short> {
    let [a, b, c] = r.array("length")?;
    Ok((u32::from_le_bytes([a, b, c, 0]) as usize, r.u8("sequence")?))
}

/// The size of a greeting with what is before it; `Ok(None)` when it is none.
fn greeting(data: &[u8]) -> Result<Option<usize>, Short> {
    let mut r = Reader::new(data);
    let (length, sequence) = header(&mut r)?;
    if sequence != 0 || length <= 2 + BEHIND_VERSION || length > MAX_GREETING {
        return Ok(None);
    }
    if r.u8("protocol version")? != 10 {
        return Ok(None);
    }
    let shown = r.rest();
    let text = shown.iter().take(MAX_VERSION).take_while(|b| (0x20..0x7f).contains(*b)).count();
    match shown.get(text) {
        Some(0) if text > 0 && length >= 2 + text + BEHIND_VERSION => {}
        None if text < MAX_VERSION => {
            return Err(Short { field: "version", at: r.at(), needed: text + 1, left: text });
        }
        _ => return Ok(None),
    }
    r.take("greeting", length - 1)?;
    Ok(Some(r.at()))
}

fn probe(p: &Probe<'_>) -> Match {
    if p.direction != Direction::Down || !p.from_start {
        return Match::No;
    }
    match greeting(p.data) {
        // The client waits for it: nothing else is in its flight.
        Ok(Some(size)) if size == p.data.len() => Match::Yes,
        // Only the port makes single bytes worth waiting for.
        Err(_) if p.data.len() > 5 || p.server_on(PROTOCOL.ports) => Match::Maybe,
        _ => Match::No,
    }
}

/// The client asks for TLS; `Ok(None)` when it does not, else the size of its request.
fn request(data: &[u8]) -> Result<Option<usize>, Short> {
    let mut r = Reader::new(data);
    if header(&mut r)? != (SSL_REQUEST, 1) {
        return Ok(None);
    }
    let capabilities = u32::from_le_bytes(r.array("capabilities")?);
    r.take("request", SSL_REQUEST - 4)?;
    Ok((capabilities & CLIENT_SSL != 0).then_some(r.at()))
}

#[derive(Default)]
struct Mysql;

impl Agreement for Mysql {
    const CLASS: Class = Class::clear("mysql");
    const FIRST: Direction = Direction::Down;

    fn first(&mut self, data: &[u8]) -> Result<Option<usize>, Short> {
        greeting(data)
    }

    fn second(&mut self, data: &[u8]) -> Result<Option<(usize, bool)>, Short> {
        Ok(request(data)?.map(|size| (size, true)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{client_hello, connection, step_to_tls};
    use super::*;
    use crate::model::Direction::{Down, Up};

    fn greeting_of(version: &[u8]) -> Vec<u8> {
        let body = [&[10][..], version, &[0], &[7; 4], b"saltsalt", &[0, 0xff, 0xff]].concat();
        [&[body.len() as u8, 0, 0, 0][..], &body].concat()
    }

    fn request_with(capabilities: u32) -> Vec<u8> {
        let mut request = vec![32, 0, 0, 1];
        request.extend(capabilities.to_le_bytes());
        request.resize(36, 0);
        request
    }

    #[test]
    fn accepted_and_not_asked() {
        let (first, hello) = (greeting_of(b"8.0.36"), client_hello("db.example"));
        let size = first.len() as u64 + 36;
        step_to_tls("mysql", 3306, &[(Down, &first), (Up, &request_with(0xa00))], &hello, size);
        let plain = connection(3306, &[(Down, first.clone()), (Up, request_with(0x200))]);
        assert_eq!(plain.flows[0].app_protocols, ["mysql"]);
        assert_eq!(plain.coverage.classes["mysql"], first.len() as u64);
        assert_eq!(plain.coverage.classes["opaque"], 36);
    }

    #[test]
    fn only_whole_greetings() {
        let whole = greeting_of(b"5.5.5-10.11.6-MariaDB");
        assert_eq!(greeting(&whole), Ok(Some(whole.len())));
        for cut in 0..whole.len() {
            assert!(greeting(&whole[..cut]).is_err(), "{cut}");
        }
        assert_eq!(greeting(&greeting_of(b"")), Ok(None));
        assert_eq!(greeting(&greeting_of(b"\x01\x02")), Ok(None));
        let mut other = whole;
        other[3] = 1;
        assert_eq!(greeting(&other), Ok(None));
    }
}
