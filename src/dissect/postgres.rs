//! PostgreSQL's step to TLS (PostgreSQL protocol documentation, `SSL Session Encryption`).
//!
//! Takes both directions; reads the client's `SSLRequest` and the server's answer of one byte, and hands over to TLS. Sessions that
//! begin without that request are not recognised, and what follows a refusal is opaque.

use super::packet::IpProto;
use super::reader::{Reader, Short};
use super::step_to_tls::{Agreement, StepToTls};
use super::{Class, Match, Probe, Protocol};
use crate::model::Direction;

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "postgres",
    title: "PostgreSQL",
    source: "PostgreSQL protocol documentation, SSL Session Encryption",
    over: &[IpProto::TCP],
    ports: &[5432],
    reads: "the step to TLS; sessions without it are not recognised",
    probe,
    start: || Box::new(StepToTls::<Postgres>::default()),
};

/// A message of eight bytes with the code 80877103.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

fn probe(p: &Probe<'_>) -> Match {
    if p.direction != Direction::Up || !p.from_start {
        return Match::No;
    }
    // A client that does not wait for the answer may send its hello right behind.
    if p.data.starts_with(&SSL_REQUEST) {
        Match::Yes
    } else if !p.data.is_empty() && SSL_REQUEST.starts_with(p.data) {
        Match::Maybe
    } else {
        Match::No
    }
}

#[derive(Default)]
struct Postgres;

impl Agreement for Postgres {
    const CLASS: Class = Class::clear("postgres");
    const FIRST: Direction = Direction::Up;

    fn first(&mut self, data: &[u8]) -> Result<Option<usize>, Short> {
        let request = Reader::new(data).take("request", SSL_REQUEST.len())?;
        Ok((request == SSL_REQUEST).then_some(SSL_REQUEST.len()))
    }

    fn second(&mut self, data: &[u8]) -> Result<Option<(usize, bool)>, Short> {
        Ok(match Reader::new(data).u8("answer")? {
            b'S' => Some((1, true)),
            b'N' => Some((1, false)),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{client_hello, step_to_tls};
    use super::*;
    use crate::model::Direction::{Down, Up};

    #[test]
    fn accepted_and_refused() {
        let hello = client_hello("db.example");
        step_to_tls("postgres", 5432, &[(Up, &SSL_REQUEST), (Down, b"S")], &hello, 9);
        let refused = super::super::testing::connection(
            5432,
            &[(Up, &SSL_REQUEST[..]), (Down, b"N"), (Up, b"\0\0\0\x08more")],
        );
        assert_eq!(refused.flows[0].app_protocols, ["postgres"]);
        assert_eq!((refused.coverage.classes["postgres"], refused.coverage.classes["opaque"]), (9, 8));
    }
}
