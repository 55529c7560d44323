//! PostgreSQL's step to TLS (PostgreSQL protocol documentation, `SSL Session Encryption`).
//!
//! Takes both directions; reads the client's `SSLRequest` and the server's answer of one byte, and hands over to TLS. Sessions that
//! begin without that request are not recognised, and what follows a refusal is opaque.

use super::packet::IpProto;
use super::{Class, Cx, Dissector, Match, Probe, Protocol, Step};
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
    start: || Box::new(Postgres::default()),
};

const CLASS: Class = Class::clear("postgres");
const OPAQUE: Class = Class::opaque("opaque");

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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Nothing yet.
    #[default]
    Request,
    /// The server says yes or no.
    Answer,
    /// No TLS, or not as it has to be.
    Rest,
}

#[derive(Default)]
struct Postgres {
    stage: Stage,
}

impl Dissector for Postgres {
    fn stream(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        match (self.stage, d, data) {
            (Stage::Request, Direction::Up, _) if data.starts_with(&SSL_REQUEST) => {
                self.stage = Stage::Answer;
                Step::Took(SSL_REQUEST.len(), CLASS)
            }
            (Stage::Request, Direction::Up, _) if SSL_REQUEST.starts_with(data) => {
                Step::More(SSL_REQUEST.len())
            }
            // The other side comes first where packets were captured out of their order.
            (Stage::Request, Direction::Down, [_]) | (Stage::Answer, Direction::Up, _) => {
                Step::More(data.len() + 1)
            }
            (Stage::Answer, Direction::Down, [b'S', ..]) => {
                cx.switch_to("tls");
                Step::Took(1, CLASS)
            }
            (Stage::Answer, Direction::Down, [b'N', ..]) => {
                self.stage = Stage::Rest;
                Step::Took(1, CLASS)
            }
            _ => {
                self.stage = Stage::Rest;
                Step::Took(data.len(), OPAQUE)
            }
        }
    }

    fn gap(&mut self, _: Direction, _: u64, _: &mut Cx<'_>) {
        self.stage = Stage::Rest;
    }

    fn unfinished(&self) -> Class {
        OPAQUE
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
