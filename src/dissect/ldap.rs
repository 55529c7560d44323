//! LDAP's step to TLS (RFC 4511 section 4.14).
//!
//! Takes both directions; reads a `StartTLS` request and its answer, and hands over to TLS. Of the messages before it (a client asks
//! the server's root entry first, say) only their frame is read, and only on the usual ports is a session known by them. What
//! follows a refusal is opaque, as is what a SASL layer wraps.

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
    // Active Directory's global catalogue has the second.
    ports: &[389, 3268],
    reads: "the step to TLS (StartTLS); of messages before it their frames; sessions without it only on these ports",
    probe,
    start: || Box::new(StepToTls::<Ldap>::default()),
};

const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";
/// Longest message that is read.
const MAX_MESSAGE: usize = 1024;
/// Longest message that may come before the step.
const MAX_BEFORE: usize = 4 << 20;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const ENUMERATED: u8 = 0x0a;
const EXTENDED_REQUEST: u8 = 0x77;
const EXTENDED_RESPONSE: u8 = 0x78;
const REQUEST_NAME: u8 = 0x80;

/// Operations of a client and of a server (RFC 4511 section 4.1.1).
const REQUESTS: [u8; 10] = [0x60, 0x42, 0x63, 0x66, 0x68, 0x4a, 0x6c, 0x6e, 0x50, EXTENDED_REQUEST];
const RESPONSES: [u8; 11] = [0x61, 0x64, 0x65, 0x73, 0x67, 0x69, 0x6b, 0x6d, 0x6f, EXTENDED_RESPONSE, 0x79];

/// The size of the message that begins here, by its frame; `Ok(None)` when a sender in this direction has none like it.
fn frame(d: Direction, data: &[u8]) -> Result<Option<usize>, Short> {
    let mut r = Reader::new(data);
    if r.u8("tag")? != SEQUENCE {
        return Ok(None);
    }
    let Some(n) = length(&mut r)?.filter(|n| (5..=MAX_BEFORE).contains(n)) else { return Ok(None) };
    let size = r.at() + n;
    if r.u8("tag of the id")? != INTEGER {
        return Ok(None);
    }
    let Some(id) = length(&mut r)?.filter(|id| (1..=4).contains(id)) else { return Ok(None) };
    r.take("message id", id)?;
    let operation = r.u8("operation")?;
    let known =
        if d == Direction::Up { REQUESTS.contains(&operation) } else { RESPONSES.contains(&operation) };
    let Some(within) = length(&mut r)? else { return Ok(None) };
    // Behind the operation only controls may follow.
    Ok((known && r.at() + within <= size).then_some(size))
}

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
    let on_port = p.server_on(PROTOCOL.ports);
    match request(p.data) {
        Ok(Some(_)) => Match::Yes,
        _ if !on_port => Match::No,
        Err(_) => Match::Maybe,
        Ok(None) => match frame(Direction::Up, p.data) {
            Ok(Some(_)) => Match::Yes,
            Ok(None) => Match::No,
            Err(_) => Match::Maybe,
        },
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

    fn before(&mut self, d: Direction, data: &[u8]) -> Result<Option<usize>, Short> {
        frame(d, data)
    }

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

    /// A message with this id and operation.
    fn message_of(id: u8, operation: u8, content: &[u8]) -> Vec<u8> {
        let inner =
            [&[2, 1, id, operation, 0x82][..], &(content.len() as u16).to_be_bytes(), content].concat();
        [&[0x30, 0x84][..], &(inner.len() as u32).to_be_bytes(), &inner].concat()
    }

    #[test]
    fn a_search_may_come_before_the_step() {
        let hello = client_hello("directory.example");
        let search = message_of(9, 0x63, &[4, 0, 10, 1, 0]);
        // A long entry, and the end of the search.
        let (entry, done) = (message_of(9, 0x64, &[5; 3000]), message_of(9, 0x65, &[10, 1, 0, 4, 0, 4, 0]));
        let (ask, answer) = (asked(), answered(0));
        let agreed = [(Up, &search[..]), (Down, &entry), (Down, &done), (Up, &ask), (Down, &answer)];
        let size: usize = agreed.iter().map(|(_, m)| m.len()).sum();
        let pieces: Vec<_> = agreed.iter().copied().chain([(Up, &hello[..])]).collect();
        for port in [389, 3268] {
            let analysis = connection(port, &pieces);
            assert_eq!(analysis.flows[0].app_protocols, ["ldap", "tls"]);
            assert_eq!(analysis.flows[0].names[0].name, "directory.example");
            assert_eq!(analysis.coverage.classes["ldap"], size as u64);
        }
        assert!(!connection(3990, &pieces).flows[0].app_protocols.contains(&"ldap".to_owned()), "elsewhere");
        // Byte by byte, and what is no message of its side.
        step_to_tls(
            "ldap",
            389,
            &[(Up, &search), (Down, &done), (Up, &ask), (Down, &answer)],
            &hello,
            (size - entry.len()) as u64,
        );
        let odd = connection(389, &[(Up, &search[..]), (Down, &search), (Up, &ask)]);
        assert_eq!(odd.coverage.classes["opaque"], (search.len() + ask.len()) as u64);
        for cut in 0..search.len() {
            assert!(cut >= 13 || frame(Up, &search[..cut]).is_err(), "{cut}");
        }
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
