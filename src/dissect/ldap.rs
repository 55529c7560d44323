//! LDAP's step to TLS (RFC 4511 section 4.14).
//!
//! Takes both directions; reads a `StartTLS` request that comes first and its answer, and hands over to TLS. Sessions that begin
//! otherwise are not recognised, and what follows a refusal is opaque.

use super::packet::IpProto;
use super::reader::{Reader, Short};
use super::step_to_tls::{Agreement, StepToTls};
use super::{Class, Match, Probe, Protocol};
use crate::model::Direction;

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "ldap",
    title: "LDAP",
    source: "RFC 4511 section 4.14",
    over: &[IpProto::TCP],
    ports: &[389],
    reads: "the step to TLS (StartTLS) as the first message; sessions without it are not recognised",
    probe,
    start: || Box::new(StepToTls::<Ldap>::default()),
};

const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";
/// Longest message that is read.
const MAX_MESSAGE: usize = 1024;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const ENUMERATED: u8 = 0x0a;
const EXTENDED_REQUEST: u8 = 0x77;
const EXTENDED_RESPONSE: u8 = 0x78;
const REQUEST_NAME: u8 = 0x80;

/// The length of a BER element (definite forms of up to four bytes); `None` for others.
fn length(r: &mut Reader<'_>) -> Result<Option<usize>, Short> {
    let first = r.u8("length")?;
    let size = usize::from(first & 0x7f);
    if first & 0x80 == 0 {
        return Ok(Some(size));
    }
    if !(1..=4).contains(&size) {
        return Ok(None);
    }
    let bytes = r.take("length", size)?;
    Ok(Some(bytes.iter().fold(0, |n, b| n << 8 | usize::from(*b))))
}

/// The content of the element with this tag inside of a message that is all there; `None` when it is not as it has to be.
fn element<'a>(r: &mut Reader<'a>, tag: u8) -> Option<Reader<'a>> {
    if r.u8("tag").ok()? != tag {
        return None;
    }
    let n = length(r).ok()??;
    r.take("element", n).ok().map(Reader::new)
}

/// Size of the message, its id, and what its operation holds.
type Operation<'a> = (usize, &'a [u8], Reader<'a>);

/// A whole `LDAPMessage` with this operation: its size, its id and what the operation holds. `Ok(None)` when it is another.
fn message(data: &[u8], operation: u8) -> Result<Option<Operation<'_>>, Short> {
    let mut r = Reader::new(data);
    if r.u8("tag")? != SEQUENCE {
        return Ok(None);
    }
    let Some(n) = length(&mut r)?.filter(|n| *n <= MAX_MESSAGE) else { return Ok(None) };
    let mut inner = Reader::new(r.take("message", n)?);
    let parts = element(&mut inner, INTEGER)
        .map(|id| id.rest())
        .filter(|id| (1..=4).contains(&id.len()))
        .and_then(|id| Some((r.at(), id, element(&mut inner, operation)?)));
    Ok(parts)
}

/// The size and the id of a `StartTLS` request, which has no value.
fn request(data: &[u8]) -> Result<Option<(usize, &[u8])>, Short> {
    let Some((size, id, mut operation)) = message(data, EXTENDED_REQUEST)? else { return Ok(None) };
    let name = element(&mut operation, REQUEST_NAME);
    let asked = name.is_some_and(|name| name.rest() == START_TLS) && operation.is_empty();
    Ok(asked.then_some((size, id)))
}

/// The size of the answer to this id, and whether it is success.
fn response(data: &[u8], asked: &[u8]) -> Result<Option<(usize, bool)>, Short> {
    let Some((size, id, mut operation)) = message(data, EXTENDED_RESPONSE)? else { return Ok(None) };
    let code = element(&mut operation, ENUMERATED).filter(|_| id == asked);
    Ok(code.map(|code| (size, code.rest() == [0])))
}

fn probe(p: &Probe<'_>) -> Match {
    if p.direction != Direction::Up || !p.from_start {
        return Match::No;
    }
    match request(p.data) {
        Ok(Some(_)) => Match::Yes,
        Err(_) if p.server_on(PROTOCOL.ports) => Match::Maybe,
        _ => Match::No,
    }
}

#[derive(Default)]
struct Ldap {
    /// Id of the request.
    asked: Vec<u8>,
}

impl Agreement for Ldap {
    const CLASS: Class = Class::clear("ldap");
    const FIRST: Direction = Direction::Up;

    fn first(&mut self, data: &[u8]) -> Result<Option<usize>, Short> {
        let Some((size, id)) = request(data)? else { return Ok(None) };
        self.asked = id.to_vec();
        Ok(Some(size))
    }

    fn second(&mut self, data: &[u8]) -> Result<Option<(usize, bool)>, Short> {
        response(data, &self.asked)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{client_hello, connection, step_to_tls};
    use super::*;
    use crate::model::Direction::{Down, Up};

    fn asked() -> Vec<u8> {
        [b"\x30\x1d\x02\x01\x01\x77\x18\x80\x16", START_TLS].concat()
    }

    fn answered(code: u8) -> Vec<u8> {
        vec![0x30, 0x0c, 2, 1, 1, 0x78, 7, 0x0a, 1, code, 4, 0, 4, 0]
    }

    #[test]
    fn accepted_and_refused() {
        let (ask, hello) = (asked(), client_hello("directory.example"));
        let size = ask.len() as u64 + 14;
        step_to_tls("ldap", 389, &[(Up, &ask), (Down, &answered(0))], &hello, size);
        let refused = connection(389, &[(Up, ask), (Down, answered(2)), (Up, b"\x30\x05\x02".to_vec())]);
        assert_eq!(refused.flows[0].app_protocols, ["ldap"]);
        assert_eq!((refused.coverage.classes["ldap"], refused.coverage.classes["opaque"]), (size, 3));
    }

    #[test]
    fn only_whole_messages() {
        let whole = asked();
        assert_eq!(request(&whole), Ok(Some((whole.len(), &[1][..]))));
        for cut in 0..whole.len() {
            assert!(request(&whole[..cut]).is_err(), "{cut}");
        }
        for at in [0, 1, 2, 5, 6, 7, 8, 12] {
            let mut other = whole.clone();
            other[at] ^= 0x85;
            assert!(!matches!(request(&other), Ok(Some(_))), "{at}");
        }
        assert_eq!(response(&answered(0), &[2]), Ok(None), "of another message");
    }
}
