//! PostgreSQL's step to TLS (PostgreSQL protocol documentation, `SSL Session Encryption`).
//!
//! Takes both directions; reads the client's `SSLRequest` and the server's answer of one byte, and hands over to TLS. A client that
//! could use GSSAPI asks for that first (`GSSENCRequest`); refused, it goes on. Sessions that begin without one of these requests are
//! not recognised, and what follows a refusal of TLS or GSSAPI's encryption is opaque.

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
    reads: "the step to TLS, also behind a question for GSSAPI that was refused; sessions that ask for neither are not recognised",
    probe,
    start: || Box::new(StepToTls::<Postgres>::default()),
};

/// A message of eight bytes with the code 80877103.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// The same with the code 80877104.
const GSS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30];

fn probe(p: &Probe<'_>) -> Match {
    if p.direction != Direction::Up || !p.from_start {
        return Match::No;
    }
    // A client that does not wait for the answer may send its hello right behind.
    if [SSL_REQUEST, GSS_REQUEST].iter().any(|request| p.data.starts_with(request)) {
        Match::Yes
    } else if !p.data.is_empty()
        && [SSL_REQUEST, GSS_REQUEST].iter().any(|request| request.starts_with(p.data))
    {
        Match::Maybe
    } else {
        Match::No
    }
}

#[derive(Default)]
struct Postgres {
    /// GSSAPI's encryption was asked for, and not answered yet.
    gss: bool,
}

impl Agreement for Postgres {
    const CLASS: Class = Class::clear("postgres");
    const FIRST: Direction = Direction::Up;

    fn before(&mut self, d: Direction, data: &[u8]) -> Result<Option<usize>, Short> {
        let mut r = Reader::new(data);
        if d == Direction::Up {
            let asked = r.take("request", GSS_REQUEST.len())? == GSS_REQUEST && !self.gss;
            self.gss |= asked;
            return Ok(asked.then_some(GSS_REQUEST.len()));
        }
        if !self.gss {
            // The other side comes first where packets were captured out of their order.
            return Err(Short { field: "request", at: 0, needed: GSS_REQUEST.len(), left: 0 });
        }
        let refused = r.u8("answer")? == b'N';
        self.gss = !refused;
        Ok(refused.then_some(1))
    }

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
        step_to_tls(
            "postgres",
            5432,
            &[(Up, &GSS_REQUEST), (Down, b"N"), (Up, &SSL_REQUEST), (Down, b"S")],
            &hello,
            18,
        );
        let granted = super::super::testing::connection(
            5432,
            &[(Up, &GSS_REQUEST[..]), (Down, b"G"), (Up, b"\0\0\0\x04gss!")],
        );
        assert_eq!(granted.flows[0].app_protocols, ["postgres"]);
        assert_eq!((granted.coverage.classes["postgres"], granted.coverage.classes["opaque"]), (8, 9));
        let refused = super::super::testing::connection(
            5432,
            &[(Up, &SSL_REQUEST[..]), (Down, b"N"), (Up, b"\0\0\0\x08more")],
        );
        assert_eq!(refused.flows[0].app_protocols, ["postgres"]);
        assert_eq!((refused.coverage.classes["postgres"], refused.coverage.classes["opaque"]), (9, 8));
    }
}
