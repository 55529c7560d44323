//! The first round trip of datagram handshakes: how soon a server answers a QUIC Initial or a DTLS hello.
//!
//! Takes the first datagram of a flow and those that come back; says whether one opens a handshake and another answers it. Only an opening
//! that is a first transmission as far as its bytes show counts: an answer to an earlier one would make the way look shorter than it is.
//! Dissects nothing: that is `quic` and `dtls`.

use super::reader::{Reader, Short};

/// Smallest datagram that carries a client's QUIC Initial (RFC 9000 section 14.1).
const INITIAL_DATAGRAM: usize = 1200;

/// QUIC version 2 (RFC 9369).
const QUIC_2: u32 = 0x6b33_43cf;

/// A handshake that a client began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// A QUIC Initial, with the connection id under which the client wants its answers.
    Quic(Vec<u8>),
    /// A DTLS hello.
    Dtls,
}

impl Opening {
    /// What the first datagram of a flow opens.
    pub(super) fn read(datagram: &[u8]) -> Option<Opening> {
        quic(datagram).or_else(|| (dtls(datagram) == Some((0, 1))).then_some(Opening::Dtls))
    }

    /// Whether `datagram`, which came back, can only be an answer to it.
    pub(super) fn answered_by(&self, datagram: &[u8]) -> bool {
        match self {
            // Also a Retry and a Version Negotiation go to the client's own id (RFC 9000 sections 17.2.1 and 17.2.5).
            Opening::Quic(client) => {
                long_header(datagram).is_ok_and(|header| header.destination == client.as_slice())
            }
            // ServerHello, HelloVerifyRequest.
            Opening::Dtls => matches!(dtls(datagram), Some((_, 2 | 3))),
        }
    }
}

struct LongHeader<'a> {
    first: u8,
    version: u32,
    destination: &'a [u8],
    source: &'a [u8],
}

/// The part of QUIC's long header that all versions share (RFC 8999 section 5.1).
fn long_header(datagram: &[u8]) -> Result<LongHeader<'_>, Short> {
    let mut r = Reader::new(datagram);
    let first = r.u8("first byte")?;
    let version = r.u32("version")?;
    let n = usize::from(r.u8("length of the destination id")?);
    let destination = r.take("destination id", n)?;
    let n = usize::from(r.u8("length of the source id")?);
    let source = r.take("source id", n)?;
    if first & 0x80 == 0 {
        return Err(Short { field: "long header", at: 0, needed: 1, left: 0 });
    }
    Ok(LongHeader { first, version, destination, source })
}

fn quic(datagram: &[u8]) -> Option<Opening> {
    let header = long_header(datagram).ok()?;
    let initial = match header.version {
        1 | 0xff00_001d..=0xff00_0022 => 0xc0,
        QUIC_2 => 0xd0,
        _ => return None,
    };
    // A client's first destination id is 8 to 20 random bytes (RFC 9000 section 7.2).
    let ids = (8..=20).contains(&header.destination.len()) && header.source.len() <= 20;
    (header.first & 0xf0 == initial && ids && datagram.len() >= INITIAL_DATAGRAM)
        .then(|| Opening::Quic(header.source.to_vec()))
}

/// Sequence number and type of handshake message of a DTLS record in clear (RFC 6347 section 4.1).
fn dtls(datagram: &[u8]) -> Option<(u64, u8)> {
    let mut r = Reader::new(datagram);
    let read = |r: &mut Reader<'_>| -> Result<(u8, u16, u64, u8), Short> {
        let kind = r.u8("content type")?;
        let version = r.u16("version")?;
        // Epoch and sequence number, as one: epoch 0 is in clear.
        let number: [u8; 8] = r.array("epoch and sequence number")?;
        r.u16("length")?;
        Ok((kind, version, u64::from_be_bytes(number), r.u8("handshake type")?))
    };
    let (kind, version, number, message) = read(&mut r).ok()?;
    (kind == 22 && matches!(version, 0xfeff | 0xfefd) && number < 1 << 48).then_some((number, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn initial(version: u32, first: u8, scid: &[u8], size: usize) -> Vec<u8> {
        let mut bytes = vec![first];
        bytes.extend(version.to_be_bytes());
        bytes.push(8);
        bytes.extend(b"whoareyo");
        bytes.push(scid.len() as u8);
        bytes.extend(scid);
        bytes.resize(size, 0);
        bytes
    }

    fn hello(number: u64, message: u8) -> Vec<u8> {
        let mut bytes = vec![22, 0xfe, 0xff];
        bytes.extend(number.to_be_bytes());
        bytes.extend([0, 50, message]);
        bytes
    }

    #[test]
    fn only_first_flights_open() {
        for (what, datagram, opens) in [
            ("QUIC 1", initial(1, 0xc3, b"me", 1200), true),
            ("QUIC 2", initial(QUIC_2, 0xd3, b"", 1252), true),
            ("draft 29", initial(0xff00_001d, 0xc0, b"", 1252), true),
            ("a 0-RTT packet", initial(1, 0xd3, b"me", 1200), false),
            ("a small one, from a server", initial(1, 0xc3, b"me", 1199), false),
            ("a short header", initial(1, 0x43, b"me", 1200), false),
            ("an unknown version", initial(7, 0xc3, b"me", 1200), false),
            ("a DTLS hello", hello(0, 1), true),
            ("a repeated DTLS hello", hello(1, 1), false),
            ("a DTLS hello of a renegotiation", hello(1 << 48, 1), false),
            ("a server's hello", hello(0, 2), false),
            ("nothing", Vec::new(), false),
        ] {
            assert_eq!(Opening::read(&datagram).is_some(), opens, "{what}");
        }
    }

    #[test]
    fn only_answers_answer() {
        let quic = Opening::read(&initial(1, 0xc3, b"me", 1200)).unwrap();
        let to = |id: &[u8]| {
            let mut bytes = vec![0xc1, 0, 0, 0, 1, id.len() as u8];
            bytes.extend(id);
            bytes.extend([0, 9]);
            bytes
        };
        assert!(quic.answered_by(&to(b"me")));
        assert!(!quic.answered_by(&to(b"you")) && !quic.answered_by(&[0x41; 40]));
        let dtls = Opening::read(&hello(0, 1)).unwrap();
        assert!(dtls.answered_by(&hello(0, 3)) && dtls.answered_by(&hello(7, 2)));
        assert!(!dtls.answered_by(&hello(0, 1)) && !dtls.answered_by(&[23; 30]));
    }

    #[test]
    fn every_cut_is_survived() {
        let samples = [initial(1, 0xc3, b"me", 1200), hello(0, 1)];
        for whole in &samples {
            for cut in 0..whole.len() {
                let part = &whole[..cut];
                if let Some(opening) = Opening::read(part) {
                    assert!(cut >= 14 && Some(opening) == Opening::read(whole));
                }
                Opening::Dtls.answered_by(part);
                Opening::Quic(Vec::new()).answered_by(part);
            }
        }
    }
}
