//! Google's QUIC with its own handshake: headers up to Q046 and the client's hello (CHLO).
//!
//! Takes datagrams of those versions, or the CRYPTO bytes of Q050; gives ids and the hello's server name and user agent, which
//! are in clear up to Q046. Sources: `QUIC_Wire_Layout_Specification` and `QUIC_Crypto` (Google, 2016), quiche (2020). The server's
//! answers are not read.

use super::super::reader::{Reader, Short};
use super::header::Version;

/// A hello begins so; its first stream frame is within so many bytes of the header (packet number, 12 bytes of hash, frame).
const HELLO: &[u8; 4] = b"CHLO";
const BEFORE_HELLO: usize = 40;

/// Tags of a message; real hellos have about 25.
const MAX_TAGS: u16 = 128;

/// A header that names its version.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header<'a> {
    pub(super) version: Version,
    pub(super) dcid: &'a [u8],
    pub(super) scid: &'a [u8],
    /// What comes behind the ids.
    pub(super) body: &'a [u8],
}

/// Reads the header of a packet up to Q046; `None` when it is of another version or names none.
pub(super) fn header(data: &[u8]) -> Option<Header<'_>> {
    let mut r = Reader::new(data);
    let first = r.u8("first byte").ok()?;
    let number = |version: Version| match version.google() {
        Some((b'Q', number)) => number,
        _ => 0,
    };
    if first & 0x80 != 0 {
        // Q044 to Q046: the lengths of both ids in one byte, less 3 unless 0.
        let version = Version(r.u32("version").ok()?);
        let lengths = r.u8("id lengths").ok()?;
        let length = |n: u8| if n == 0 { 0 } else { usize::from(n) + 3 };
        if !(44..=46).contains(&number(version)) {
            return None;
        }
        let dcid = r.take("destination connection id", length(lengths >> 4)).ok()?;
        let scid = r.take("source connection id", length(lengths & 0x0f)).ok()?;
        return Some(Header { version, dcid, scid, body: r.rest() });
    }
    // Up to Q043: flags for a version and for an id of 8 bytes.
    if first & 0x09 != 0x09 {
        return None;
    }
    let dcid = r.take("connection id", 8).ok()?;
    let version = Version(r.u32("version").ok()?);
    (1..=43).contains(&number(version)).then(|| Header { version, dcid, scid: &[], body: r.rest() })
}

/// What a hello tells in clear.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) sni: Option<String>,
    pub(super) user_agent: Option<String>,
}

/// Finds and reads a whole hello behind a header.
pub(super) fn hello_in(body: &[u8]) -> Option<Hello> {
    let at = body.windows(HELLO.len()).take(BEFORE_HELLO).position(|w| w == HELLO)?;
    hello(body.get(at..)?).ok().flatten()
}

/// Reads a hello; `None` when it is another message, an error when more bytes are needed.
pub(super) fn hello(bytes: &[u8]) -> Result<Option<Hello>, Short> {
    let mut r = Reader::new(bytes);
    if r.array::<4>("message tag")? != *HELLO {
        return Ok(None);
    }
    let little = |r: &mut Reader<'_>, field| Ok(u32::from_le_bytes(r.array(field)?) as usize);
    let tags = u16::from_le_bytes(r.array("number of tags")?);
    r.take("padding", 2)?;
    let mut ends = Vec::new();
    for _ in 0..tags.min(MAX_TAGS) {
        ends.push((r.array::<4>("tag")?, little(&mut r, "end of a value")?));
    }
    let mut hello = Hello::default();
    let mut start = 0;
    for (tag, end) in ends {
        // An end before its start makes no sense: what follows cannot be trusted.
        let Some(length) = end.checked_sub(start) else { break };
        let value = r.take("value", length)?;
        start = end;
        let text = || Some(String::from_utf8_lossy(value).into_owned()).filter(|t| !t.is_empty());
        match &tag {
            b"SNI\0" => hello.sni = text(),
            b"UAID" => hello.user_agent = text(),
            _ => {}
        }
    }
    Ok(Some(hello))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A hello with padding, a name and a user agent.
    pub(in crate::dissect::quic) fn chlo() -> Vec<u8> {
        let values = [(b"PAD\0", &b"-----"[..]), (b"SNI\0", b"Chat.Example"), (b"UAID", b"test/1")];
        let mut message = [&HELLO[..], &[values.len() as u8, 0, 0, 0]].concat();
        let mut end = 0_u32;
        for (tag, value) in &values {
            end += value.len() as u32;
            message.extend(*tag);
            message.extend(end.to_le_bytes());
        }
        message.extend(values.iter().flat_map(|(_, value)| *value));
        message
    }

    #[test]
    fn hellos_are_read_when_they_are_whole() {
        let whole = chlo();
        let read = Hello { sni: Some("Chat.Example".into()), user_agent: Some("test/1".into()) };
        assert_eq!(hello(&whole).unwrap().as_ref(), Some(&read));
        assert_eq!(hello_in(&[&[0; 17][..], &whole].concat()), Some(read));
        for cut in 0..whole.len() {
            assert!(hello(&whole[..cut]).is_err(), "{cut}");
            assert_eq!(hello_in(&whole[..cut]), None, "{cut}");
        }
        assert_eq!(hello(b"REJ\0\x01\0\0\0").unwrap(), None);
        let backwards = b"CHLO\x02\0\0\0SNI\0\x02\0\0\0UAID\x01\0\0\0abcdef";
        assert_eq!(hello(backwards).unwrap().unwrap().sni.as_deref(), Some("ab"));
        let endless = b"CHLO\xff\xff\0\0SNI\0\xff\xff\xff\xff";
        assert!(hello(endless).is_err());
    }

    #[test]
    fn headers_of_old_and_newer_versions() {
        let old = b"\x0d12345678Q043\x01rest";
        let read = header(old).unwrap();
        assert_eq!(
            (read.dcid, &read.version.label()[..], read.body),
            (&b"12345678"[..], "Q043", &b"\x01rest"[..])
        );
        let newer = b"\xc3Q046\x5012345678\0\0\0\x01";
        let read = header(newer).unwrap();
        assert_eq!((read.dcid, read.scid, &read.version.label()[..]), (&b"12345678"[..], &b""[..], "Q046"));
        let answer = b"\xd3Q046\x0512345678\0\0\0\x01";
        assert_eq!(header(answer).unwrap().scid, b"12345678");
        for cut in 0..13 {
            assert_eq!(header(&old[..cut]), None);
            assert_eq!(header(&newer[..cut]), None);
        }
        for (name, other) in [
            ("no version", &b"\x0c12345678\x01rest0000"[..]),
            ("other letter", b"\x0d12345678T043\x01rest"),
            ("later version", b"\xc3Q050\x0812345678\0\0\0\x01"),
            ("version 1", b"\xc3\0\0\0\x01\x0812345678\0\0\0\x01"),
        ] {
            assert_eq!(header(other), None, "{name}");
        }
    }
}
