//! JA4, the TLS client fingerprint (`FoxIO`, `technical_details/JA4.md`; JA4 alone is under the BSD 3-Clause licence).
//!
//! Takes what a client hello offers; gives `ja4` and the unhashed `ja4_r`. The rest of that family is not open source and not
//! here.

use sha2::{Digest, Sha256};

use crate::capture::hex;

/// What the fingerprint is made of, in the order of the hello.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Offer<'a> {
    /// `t` for TCP, `q` for QUIC, `d` for DTLS.
    pub transport: char,
    /// Highest version offered, as on the wire.
    pub version: u16,
    /// A server name extension is there.
    pub sni: bool,
    /// Cipher suites, GREASE included.
    pub ciphers: &'a [u16],
    /// Extension types, GREASE included.
    pub extensions: &'a [u16],
    /// Signature algorithms.
    pub signatures: &'a [u16],
    /// First ALPN value.
    pub alpn: Option<&'a [u8]>,
}

/// GREASE values (RFC 8701) have the form `0x?a?a` with equal halves.
#[must_use]
pub(super) fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

/// The three parts of JA4, joined: hashed and raw.
#[must_use]
pub(super) fn fingerprint(offer: &Offer<'_>) -> (String, String) {
    let real = |list: &[u16]| {
        let mut kept = Vec::with_capacity(list.len());
        kept.extend(list.iter().copied().filter(|v| !is_grease(*v)));
        kept
    };
    let mut ciphers = real(offer.ciphers);
    let mut extensions = real(offer.extensions);
    let mut head = String::with_capacity(10);
    head.push(offer.transport);
    head.push_str(version(offer.version));
    head.push(if offer.sni { 'd' } else { 'i' });
    for count in [ciphers.len(), extensions.len()] {
        let count = count.min(99) as u8;
        head.extend([char::from(b'0' + count / 10), char::from(b'0' + count % 10)]);
    }
    head.push_str(&alpn_ends(offer.alpn));
    ciphers.sort_unstable();
    extensions.retain(|e| !matches!(e, 0x0000 | 0x0010));
    extensions.sort_unstable();
    let b = list(&ciphers);
    let mut c = list(&extensions);
    let signatures = real(offer.signatures);
    if !signatures.is_empty() {
        c.push('_');
        c += &list(&signatures);
    }
    let short = |text: &str, empty: bool| {
        if empty { "000000000000".to_owned() } else { hex(Sha256::digest(text).get(..6).unwrap_or_default()) }
    };
    let hashed = [&head, &*short(&b, ciphers.is_empty()), &*short(&c, extensions.is_empty())].join("_");
    (hashed, [&head, &*b, &*c].join("_"))
}

/// Code points as four hex digits each, with commas between them. Written by hand: every hello needs dozens of them.
fn list(values: &[u16]) -> String {
    let mut text = String::with_capacity(values.len() * 5);
    for value in values {
        if !text.is_empty() {
            text.push(',');
        }
        for shift in [12, 8, 4, 0] {
            text.push(char::from_digit(u32::from(value >> shift & 0x0f), 16).unwrap_or_default());
        }
    }
    text
}

fn version(version: u16) -> &'static str {
    match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        0xfeff => "d1",
        0xfefd => "d2",
        0xfefc => "d3",
        _ => "00",
    }
}

/// First and last character of the first ALPN value; of its hex when either is not alphanumeric. A value that begins outside
/// of ASCII is `99`, as in the fingerprints that the authors publish with their captures.
fn alpn_ends(alpn: Option<&[u8]>) -> String {
    let Some((first, last)) = alpn.and_then(|a| a.first().zip(a.last())) else { return "00".into() };
    if !first.is_ascii() {
        "99".into()
    } else if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        format!("{}{}", *first as char, *last as char)
    } else {
        format!("{:x}{:x}", first >> 4, last & 0x0f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's README.
    #[test]
    fn the_published_example() {
        let ciphers = [
            0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c,
            0x009d, 0x002f, 0x0035,
        ];
        let extensions = [
            0x1a1a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012,
            0x002b, 0xff01, 0x000b, 0x000a, 0x0015,
        ];
        let signatures = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];
        let offer = Offer {
            transport: 't',
            version: 0x0304,
            sni: true,
            ciphers: &ciphers,
            extensions: &extensions,
            signatures: &signatures,
            alpn: Some(b"h2"),
        };
        let (ja4, raw) = fingerprint(&offer);
        assert_eq!(ja4, "t13d1516h2_8daaf6152771_e5627efa2ab1");
        assert!(raw.starts_with("t13d1516h2_002f,0035,009c,"), "{raw}");
    }

    #[test]
    fn ends_of_alpn() {
        for (alpn, ends) in [
            (None, "00"),
            (Some(&b"h2"[..]), "h2"),
            (Some(b"http/1.1"), "h1"),
            (Some(&[0xab, 0xcd]), "99"),
            (Some(b"-h"), "28"),
        ] {
            assert_eq!(alpn_ends(alpn), ends);
        }
    }
}
