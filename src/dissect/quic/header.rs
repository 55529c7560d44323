//! Headers that can be read without a key: long headers of the versions known here, and what is the same in all versions.
//!
//! Takes the rest of a datagram; gives one packet's ids, token and extent. Sources: RFC 8999 (all versions), RFC 9000 section 17.2
//! (version 1), RFC 9369 section 3.2 (version 2). Drafts from the 23rd on, Q050, T050 and T051 have version 1's layout.
//! Short headers and what is protected in long ones are not read here.

use super::super::reader::{Reader, Short};

/// The longest connection id of the versions known here (RFC 9000 section 17.2).
const MAX_ID: usize = 20;

/// The tag at the end of a Retry (RFC 9001 section 5.8).
const RETRY_TAG: usize = 16;

/// A version as it stands in long headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version(pub(super) u32);

impl Version {
    /// RFC 9369 section 3.1.
    pub(super) const V2: Version = Version(0x6b33_43cf);
    const NEGOTIATION: Version = Version(0);

    /// Number of one of Google's own versions and the letter before it: `Q` with Google's handshake, `T` with TLS.
    pub(super) fn google(self) -> Option<(u8, u32)> {
        let [letter @ (b'Q' | b'T'), a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] =
            self.0.to_be_bytes()
        else {
            return None;
        };
        let digit = |d: u8| u32::from(d - b'0');
        Some((letter, digit(a) * 100 + digit(b) * 10 + digit(c)))
    }

    /// The number of a draft of version 1.
    pub(super) fn draft(self) -> Option<u8> {
        match self.0.to_be_bytes() {
            [0xff, 0, 0, number] => Some(number),
            _ => None,
        }
    }

    /// Its long headers can be read.
    pub(super) fn known(self) -> bool {
        self.0 == 1
            || self == Version::V2
            || self.draft().is_some_and(|d| (23..=34).contains(&d))
            || matches!(self.google(), Some((b'Q', 50) | (b'T', 50 | 51)))
    }

    /// `v1`, `v2`, `draft-29`, `Q046`, `T051`; the number in hex for all others.
    pub(super) fn label(self) -> String {
        match (self.0, self.draft(), self.google()) {
            (1, ..) => "v1".into(),
            _ if self == Version::V2 => "v2".into(),
            (_, Some(draft), _) => format!("draft-{draft}"),
            (.., Some((letter, number))) => format!("{}{number:03}", letter as char),
            _ => format!("{:#010x}", self.0),
        }
    }

    fn kind(self, first: u8) -> Kind {
        let bits = first >> 4 & 3;
        match if self == Version::V2 { bits.wrapping_sub(1) & 3 } else { bits } {
            _ if self == Version::NEGOTIATION => Kind::Negotiation,
            _ if !self.known() => Kind::Unknown,
            0 => Kind::Initial,
            1 => Kind::ZeroRtt,
            2 => Kind::Handshake,
            _ => Kind::Retry,
        }
    }
}

/// Type of a packet with a long header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Initial,
    ZeroRtt,
    Handshake,
    Retry,
    Negotiation,
    /// Of a version whose types are not known.
    Unknown,
}

/// What stands in clear in a long header.
#[derive(Debug)]
pub(super) struct Long<'a> {
    pub(super) version: Version,
    pub(super) kind: Kind,
    pub(super) dcid: &'a [u8],
    pub(super) scid: &'a [u8],
    /// Of an Initial or a Retry.
    pub(super) token: &'a [u8],
    /// The versions of a negotiation.
    pub(super) versions: &'a [u8],
    /// Where the protected packet number begins.
    pub(super) number_at: usize,
    /// Size of the whole packet; may be more than is there.
    pub(super) size: usize,
}

/// Reads the header at the start of `data`, whose first bit says that it is a long one.
pub(super) fn long(data: &[u8]) -> Result<Long<'_>, Short> {
    let mut r = Reader::new(data);
    let first = r.u8("first byte")?;
    let version = Version(r.u32("version")?);
    let kind = version.kind(first);
    let dcid = r.vec8("destination connection id")?.rest();
    let scid = r.vec8("source connection id")?.rest();
    let mut header =
        Long { version, kind, dcid, scid, token: &[], versions: &[], number_at: r.at(), size: data.len() };
    let longest = dcid.len().max(scid.len());
    if version.known() && longest > MAX_ID {
        let field = "connection id of at most 20 bytes";
        return Err(Short { field, at: r.at(), needed: longest, left: MAX_ID });
    }
    match kind {
        Kind::Negotiation => header.versions = r.rest(),
        Kind::Unknown => {}
        Kind::Retry => {
            let length = r.rest().len().saturating_sub(RETRY_TAG);
            header.token = r.take("retry token", length)?;
            r.take("retry integrity tag", RETRY_TAG)?;
        }
        Kind::Initial | Kind::ZeroRtt | Kind::Handshake => {
            if kind == Kind::Initial {
                let length = varint(&mut r, "token length")?;
                header.token = r.take("token", usize::try_from(length).unwrap_or(usize::MAX))?;
            }
            let length = varint(&mut r, "length")?;
            header.number_at = r.at();
            header.size = r.at().saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
        }
    }
    Ok(header)
}

/// A variable-length integer (RFC 9000 section 16).
pub(super) fn varint(r: &mut Reader<'_>, field: &'static str) -> Result<u64, Short> {
    let first = r.u8(field)?;
    let more = (1_usize << (first >> 6)) - 1;
    let rest = r.take(field, more)?;
    Ok(rest.iter().fold(u64::from(first & 0x3f), |value, b| value << 8 | u64::from(*b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_names_and_types() {
        for (number, label, known, first) in [
            (1, "v1", true, Kind::Initial),
            (0x6b33_43cf, "v2", true, Kind::Retry),
            (0xff00_001d, "draft-29", true, Kind::Initial),
            (0xff00_0016, "draft-22", false, Kind::Unknown),
            (0x5130_3530, "Q050", true, Kind::Initial),
            (0x5430_3531, "T051", true, Kind::Initial),
            (0x5130_3436, "Q046", false, Kind::Unknown),
            (0x1a2a_3a4a, "0x1a2a3a4a", false, Kind::Unknown),
            (0, "0x00000000", false, Kind::Negotiation),
        ] {
            let version = Version(number);
            assert_eq!(version.label(), label);
            assert_eq!((version.known(), version.kind(0xc3)), (known, first), "{label}");
        }
        let kinds = |v: Version| [0xc0, 0xd0, 0xe0, 0xf0].map(|first| v.kind(first));
        assert_eq!(kinds(Version(1)), [Kind::Initial, Kind::ZeroRtt, Kind::Handshake, Kind::Retry]);
        assert_eq!(kinds(Version::V2), [Kind::Retry, Kind::Initial, Kind::ZeroRtt, Kind::Handshake]);
    }

    /// RFC 9000 appendix A.1.
    #[test]
    fn integers_of_all_sizes() {
        for (bytes, value) in [
            (&[0x25][..], 37),
            (&[0x40, 0x25], 37),
            (&[0x7b, 0xbd], 15_293),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c], 151_288_809_941_952_652),
        ] {
            assert_eq!(varint(&mut Reader::new(bytes), "n"), Ok(value));
            for cut in 0..bytes.len() {
                assert!(varint(&mut Reader::new(&bytes[..cut]), "n").is_err(), "{value} cut to {cut}");
            }
        }
    }

    #[test]
    fn headers_cut_anywhere_are_no_headers() {
        let initial = b"\xc1\0\0\0\x01\x02ab\x03cde\x04tokn\x40\x20";
        let header = long(initial).unwrap();
        assert_eq!((header.kind, header.dcid, header.scid), (Kind::Initial, &b"ab"[..], &b"cde"[..]));
        assert_eq!((header.token, header.number_at, header.size), (&b"tokn"[..], 19, 19 + 32));
        let retry = [&b"\xf0\0\0\0\x01\x00\x01ztoken"[..], &[9; 16]].concat();
        assert_eq!((long(&retry).unwrap().kind, long(&retry).unwrap().token), (Kind::Retry, &b"token"[..]));
        for cut in 0..initial.len() {
            assert!(long(&initial[..cut]).is_err(), "{cut}");
        }
        for cut in 0..8 + RETRY_TAG {
            assert!(long(&retry[..cut]).is_err(), "{cut}");
        }
        let endless = b"\xc1\0\0\0\x01\0\0\xff\xff\xff\xff\xff\xff\xff\xff";
        assert!(long(endless).is_err());
        let huge = b"\xc1\0\0\0\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff";
        assert_eq!(long(huge).unwrap().number_at, huge.len());
        let id = [&b"\xc1\0\0\0\x01\x15"[..], &[7; 21], b"\0\0\x20"].concat();
        assert!(long(&id).is_err(), "an id of 21 bytes");
    }
}
