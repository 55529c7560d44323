//! Tor: a tunnel, recognised by its TLS handshake and by its directory protocol; what it carries stays unread.
//!
//! Takes what `tls` read of a hello or certificate and what `http` read of a request; gives a signature, and the protocol `tor`
//! where it is at least likely. Clients name a made-up host, `www.`, 4 to 25 letters and digits of base32, `.com`, and offer no
//! ALPN; relays' certificates have two made-up names of that form, `.net` for the subject and `.com` for the issuer, and
//! nothing else (tor-spec, "Negotiating and initializing channels"; tor's `src/lib/tls/tortls.c`). From TLS 1.3 on the certificate cannot
//! be seen: then the name alone is no more than a hint, because a real one may look like it, and a relay's usual port makes it
//! likely. Bridges with a pluggable transport show none of this.

use super::{Cx, Frames};

/// Usual ports of relays, for connections and for the directory (Tor manual, `ORPort`, `DirPort`).
const OR_PORT: u16 = 9001;
const DIR_PORT: u16 = 9030;

/// What a request to a directory begins with (dir-spec, "Standards and URLs").
const DIRECTORY: [&str; 9] =
    ["status-vote/", "server/", "extra/", "micro/", "keys/", "rendezvous2/", "hs/", "post/", "dirlist"];

/// Shorter names are words too often.
const LEAST_RANDOM: usize = 7;

/// The label of a made-up name, `www.LABEL.TLD` (tor's `crypto_random_hostname`).
fn label<'a>(name: &'a str, top: &str) -> Option<&'a str> {
    let label = name.strip_prefix("www.")?.strip_suffix(top)?;
    let fits =
        (4..=25).contains(&label.len()) && label.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'));
    fits.then_some(label)
}

/// A label that nobody would choose: digits between letters twice, or one and hardly a vowel.
fn looks_random(label: &str) -> bool {
    let bytes = label.as_bytes();
    let inner = bytes.get(1..bytes.len().saturating_sub(1)).unwrap_or_default();
    let digits = inner.iter().filter(|b| b.is_ascii_digit()).count();
    let borders =
        bytes.windows(2).filter(|w| matches!(w, [a, b] if a.is_ascii_digit() != b.is_ascii_digit())).count();
    let vowels = bytes.iter().filter(|b| b"aeiouy".contains(b)).count();
    bytes.len() >= LEAST_RANDOM && digits > 0 && (borders >= 3 || vowels * 4 <= bytes.len())
}

/// A client hello over TCP with this name and ALPN.
pub(super) fn of_hello(sni: Option<&str>, alpn: bool, frames: &Frames, cx: &mut Cx<'_>) {
    let port = cx.flow().server.port;
    let on_port = matches!(port, OR_PORT | DIR_PORT);
    let made_up = sni.and_then(|name| label(name, ".com"));
    // Any other name, or a protocol that is agreed on, is not what a relay is sent.
    if alpn || (sni.is_some() && made_up.is_none()) {
        return;
    }
    match made_up {
        Some(label) if on_port && looks_random(label) => {
            cx.protocol("tor");
            let detail = "TLS to a relay's usual port with a made-up name and without ALPN";
            cx.signature_at("tor", "tor.hello", "likely", detail, frames.clone());
        }
        Some(label) if looks_random(label) => {
            let detail = "TLS with a made-up name and without ALPN";
            cx.signature_at("tor", "tor.hello", "possible", detail, frames.clone());
        }
        Some(_) if on_port => {
            let detail = "TLS to a relay's usual port without ALPN, with a name that may be made up";
            cx.signature_at("tor", "tor.hello", "possible", detail, frames.clone());
        }
        None if on_port => {
            let detail = "TLS to a relay's usual port without a name and without ALPN: the port alone";
            cx.signature_at("tor", "tor.port", "possible", detail, frames.clone());
        }
        _ => {}
    }
}

/// A server's certificate in clear: names as they are written, `CN=…` alone in Tor's; `named`: it has other names too.
pub(super) fn of_certificate(
    subject: Option<&str>,
    issuer: Option<&str>,
    named: bool,
    frames: &Frames,
    cx: &mut Cx<'_>,
) {
    let only = |name: Option<&str>, top: &str| {
        name.and_then(|n| n.strip_prefix("CN=")).is_some_and(|n| label(n, top).is_some())
    };
    if named || !only(subject, ".net") || !only(issuer, ".com") {
        return;
    }
    let sni = cx.flow().tls.as_ref().and_then(|tls| tls.sni.clone());
    // Both sides make their names up anew, so they are never the same.
    let hello = sni.as_deref().is_some_and(|name| label(name, ".com").is_some());
    let confidence = if hello { "certain" } else { "likely" };
    cx.protocol("tor");
    let detail = "certificate with made-up names of the form www.….net and www.….com and no others";
    cx.signature_at("tor", "tor.certificate", confidence, detail, frames.clone());
}

/// A request in clear for this target; the first bytes shown are its header.
pub(super) fn of_request(target: &str, header: std::ops::Range<usize>, cx: &mut Cx<'_>) {
    let Some(resource) = target.strip_prefix("/tor/") else { return };
    if DIRECTORY.iter().any(|known| resource.starts_with(known)) {
        cx.protocol("tor");
        let detail = "a request of the directory protocol, in clear";
        cx.signature("tor", "tor.directory", "certain", detail, header);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::Options;
    use crate::dissect::http::tests::Talk;

    #[test]
    fn names_that_were_made_up() {
        for name in
            ["en6i6pjsfcn", "gdopcda4t2uj", "ssn3qo2qmfwdmti5zrr", "27gsah7y5xphlduodwhu5p74o", "xpvy3wk"]
        {
            assert!(looks_random(label(&format!("www.{name}.com"), ".com").unwrap()), "{name}");
        }
        for name in ["google", "web2page", "mp3tag", "office365online", "route53", "facebook", "bahn", "xyz"]
        {
            let full = format!("www.{name}.com");
            assert!(label(&full, ".com").is_none_or(|l| !looks_random(l)), "{name}");
        }
        assert_eq!(label("www.abc8defg.com", ".com"), None, "8 and 9 are not of base32");
        assert_eq!(label("www.abcdefg.net", ".com"), None);
        assert_eq!(label("abcdefg.com", ".com"), None);
        assert_eq!(label("www.abc.com", ".com"), None);
    }

    #[test]
    fn requests_to_a_directory() {
        let fired = |target: &str| {
            let talk =
                Talk::opened().up(format!("GET {target} HTTP/1.0\r\nHost: 192.0.2.1\r\n\r\n").as_bytes());
            let read = talk.read_with(Options::default());
            let flow = &read.flows[0];
            assert_eq!(flow.app_protocols.iter().any(|p| p == "tor"), !flow.signatures.is_empty());
            flow.signatures
                .iter()
                .map(|s| format!("{} {} {:?}", s.signature, s.confidence, s.frames))
                .collect::<Vec<_>>()
                .join(", ")
        };
        assert_eq!(fired("/tor/status-vote/current/consensus.z"), "tor.directory certain [4]");
        assert_eq!(fired("/tor/micro/d/abc-def"), "tor.directory certain [4]");
        for other in ["/tor/", "/tor/news", "/history/tor/server/", "/torservers/server/x", "/"] {
            assert_eq!(fired(other), "", "{other}");
        }
    }

    /// A client hello record with this name, an ALPN or none.
    fn hello(sni: Option<&str>, alpn: bool) -> Vec<u8> {
        let extension = |kind: u16, body: &[u8]| {
            [&kind.to_be_bytes()[..], &(body.len() as u16).to_be_bytes(), body].concat()
        };
        let mut extensions = Vec::new();
        if let Some(name) = sni {
            let entry = [&[0][..], &(name.len() as u16).to_be_bytes(), name.as_bytes()].concat();
            extensions.extend(extension(0, &[&(entry.len() as u16).to_be_bytes()[..], &entry].concat()));
        }
        if alpn {
            extensions.extend(extension(16, b"\0\x03\x02h2"));
        }
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0xc0, 0x2f, 1, 0]);
        body.extend((extensions.len() as u16).to_be_bytes());
        body.extend(extensions);
        let message = [&[1, 0][..], &(body.len() as u16).to_be_bytes(), &body].concat();
        [&[22, 3, 1][..], &(message.len() as u16).to_be_bytes(), &message].concat()
    }

    fn fired(talk: &Talk) -> String {
        let read = talk.read_with(Options::default());
        let line = |s: &crate::model::SignatureHit| format!("{} {}", s.signature, s.confidence);
        read.flows[0].signatures.iter().map(line).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn hellos_with_and_without_a_port() {
        let (tor, web) = (Some("www.gdopcda4t2uj.com"), Some("www.example.com"));
        for (port, sni, alpn, expected) in [
            (9001, tor, false, "tor.hello likely"),
            (443, tor, false, "tor.hello possible"),
            (443, tor, true, ""),
            (9001, tor, true, ""),
            (9001, None, false, "tor.port possible"),
            (9030, None, false, "tor.port possible"),
            (9001, Some("www.google.com"), false, "tor.hello possible"),
            (9001, Some("chat.example"), false, ""),
            (443, web, false, ""),
            (443, None, false, ""),
        ] {
            let record = hello(sni, alpn);
            let talk = Talk::opened_on(port).up(&record);
            assert_eq!(fired(&talk), expected, "{port} {sni:?} {alpn}");
            for cut in 0..record.len() {
                assert_eq!(fired(&Talk::opened_on(port).up(&record[..cut])), "", "{port} {cut}");
            }
        }
    }
}
