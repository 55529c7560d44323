//! Log-ins as protocols write them, decoded to user and secret.
//!
//! Takes the bytes of one header value, command or SASL message, as the protocol's dissector cut them out; gives
//! [`Credential`]s, and findings with everything masked. Pure functions but for the log-ins that take two steps
//! ([`SaslLogin`], [`UserPass`]). Does not know whether the server accepted the log-in.

use std::fmt;

use super::RawFinding;
use super::base64;
use super::mask::Masking;
use crate::model::{FindingKind, Severity};

/// Longest input that is decoded, in bytes; no server reads longer ones.
pub const MAX_INPUT: usize = 64 << 10;

/// A user name and what proves it, as far as they were readable.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// `http-basic`, `http-bearer`, `http-digest`, `http-token`, `http-negotiate`, `sasl-plain`, `sasl-login`,
    /// `sasl-cram-md5`, `sasl-digest-md5`, `sasl-scram`, `sasl-bearer`, `imap-login`, `pop3-user-pass`, `pop3-apop`,
    /// `ftp-user-pass`, `mqtt`, `socks`, `xmpp-iq-auth`, `xmpp-iq-digest` or `xmpp-register`.
    pub scheme: &'static str,
    /// Who logs in; `None` where the scheme names nobody or the name was not seen.
    pub user: Option<String>,
    /// Password or token as sent; `None` where only a digest of it crossed the wire.
    pub secret: Option<String>,
}

impl fmt::Debug for Credential {
    /// Masked: a credential printed by mistake must not be lost.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let masked = |value: &Option<String>| value.as_deref().map(|v| Masking::On.apply(v));
        f.debug_struct("Credential")
            .field("scheme", &self.scheme)
            .field("user", &masked(&self.user))
            .field("secret", &masked(&self.secret))
            .finish()
    }
}

impl Credential {
    pub(super) fn new(scheme: &'static str, user: Option<&[u8]>, secret: Option<&[u8]>) -> Credential {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Credential { scheme, user: user.map(text), secret: secret.map(text) }
    }

    /// [`FindingKind::Token`] for bearer tokens and the like, else [`FindingKind::Credential`].
    pub fn kind(&self) -> FindingKind {
        match self.scheme {
            "http-bearer" | "http-token" | "sasl-bearer" => FindingKind::Token,
            _ => FindingKind::Credential,
        }
    }

    /// How bad it is to send this in clear.
    ///
    /// A secret is `critical`; a digest made with MD5 or SHA-1, from which weak passwords are guessed, `high`; a salted,
    /// iterated proof or a ticket `medium`; an anonymous FTP log-in, or one without a secret, `info`.
    pub fn severity(&self) -> Severity {
        match (self.scheme, self.secret.as_deref()) {
            ("http-digest" | "pop3-apop" | "sasl-cram-md5" | "sasl-digest-md5" | "xmpp-iq-digest", _) => {
                Severity::High
            }
            ("sasl-scram" | "http-negotiate", _) => Severity::Medium,
            (_, None | Some("")) => Severity::Info,
            ("ftp-user-pass", _) if self.is_anonymous() => Severity::Info,
            _ => Severity::Critical,
        }
    }

    /// Encodings around the secret, outermost first.
    pub fn encoding(&self) -> &'static [&'static str] {
        match self.scheme {
            "http-basic" | "http-negotiate" | "sasl-plain" | "sasl-login" | "sasl-cram-md5"
            | "sasl-digest-md5" | "sasl-scram" | "sasl-bearer" => &["base64"],
            _ => &[],
        }
    }

    /// The log-in as a finding; `range` is where it stands in the stream. What took the auditor's keys to read went
    /// to the server alone and is `info`.
    #[must_use]
    pub fn finding(&self, range: (u64, u64), masking: Masking, decrypted: bool) -> RawFinding {
        let mut what = format!("{} log-in", self.title());
        if let Some(user) = &self.user {
            what.push_str(" of user ");
            what.push_str(&masking.apply_any(user));
        }
        match &self.secret {
            Some(secret) if self.kind() == FindingKind::Token => {
                what.push_str(" with token ");
                what.push_str(&masking.apply(secret));
            }
            Some(secret) => {
                what.push_str(" with password ");
                what.push_str(&masking.apply(secret));
            }
            None => what.push_str(", the secret itself was not sent"),
        }
        RawFinding {
            kind: self.kind(),
            severity: if decrypted { Severity::Info } else { self.severity() },
            what,
            encoding: self.encoding().iter().map(|&layer| layer.to_owned()).collect(),
            range,
            decrypted,
            rule: Some(self.scheme.to_owned()),
            ..RawFinding::default()
        }
    }

    fn title(&self) -> &'static str {
        match self.scheme {
            "http-basic" => "HTTP Basic",
            "http-bearer" => "HTTP Bearer",
            "http-digest" => "HTTP Digest",
            "http-token" => "HTTP token",
            "http-negotiate" => "HTTP Negotiate",
            "sasl-plain" => "SASL PLAIN",
            "sasl-login" => "SASL LOGIN",
            "sasl-cram-md5" => "SASL CRAM-MD5",
            "sasl-digest-md5" => "SASL DIGEST-MD5",
            "sasl-scram" => "SASL SCRAM",
            "sasl-bearer" => "SASL OAUTHBEARER",
            "imap-login" => "IMAP LOGIN",
            "pop3-user-pass" => "POP3",
            "pop3-apop" => "POP3 APOP",
            "ftp-user-pass" => "FTP",
            "mqtt" => "MQTT",
            "socks" => "SOCKS 5",
            "irc-pass" => "IRC PASS",
            "irc-oper" => "IRC OPER",
            "irc-services" => "IRC services",
            "xmpp-iq-auth" => "XMPP non-SASL",
            "xmpp-iq-digest" => "XMPP non-SASL digest",
            "xmpp-register" => "XMPP registration",
            other => other,
        }
    }

    fn is_anonymous(&self) -> bool {
        self.user
            .as_deref()
            .is_some_and(|u| u.eq_ignore_ascii_case("anonymous") || u.eq_ignore_ascii_case("ftp"))
    }
}

/// The value of an HTTP `Authorization` or `Proxy-Authorization` header (RFC 9110 section 11.6.2).
#[must_use]
pub fn http_authorization(value: &[u8]) -> Option<Credential> {
    let value = value.trim_ascii();
    if value.is_empty() || value.len() > MAX_INPUT {
        return None;
    }
    let (scheme, rest) = split_word(value);
    let rest = rest.trim_ascii();
    match scheme.to_ascii_lowercase().as_slice() {
        b"basic" => {
            let decoded = base64::decode(rest)?;
            let (user, password) = split_at_byte(&decoded, b':')?;
            Some(Credential::new("http-basic", Some(user), Some(password)))
        }
        b"digest" => {
            let user = parameter(rest, b"username");
            Some(Credential::new("http-digest", user.as_deref(), None))
        }
        b"negotiate" | b"ntlm" => Some(Credential::new("http-negotiate", None, None)),
        b"bearer" if !rest.is_empty() => Some(Credential::new("http-bearer", None, Some(rest))),
        // `Token abc`, `key=abc`, or a bare token, as many interfaces have it.
        _ => Some(Credential::new("http-token", None, Some(if rest.is_empty() { value } else { rest }))),
    }
}

/// A client's SASL message with base64 around it, as SMTP, IMAP and POP3 `AUTH` and XMPP `<auth>` carry it.
///
/// For LOGIN use [`SaslLogin`]. `None` for mechanisms without a readable part and for what no server could read.
#[must_use]
pub fn sasl(mechanism: &[u8], response: &[u8]) -> Option<Credential> {
    let response = response.trim_ascii();
    if response.len() > MAX_INPUT {
        return None;
    }
    // XMPP may break the text into lines; "=" alone stands for an empty message (RFC 6120 section 6.4.2).
    let joined: Vec<u8> = response.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    let message = base64::decode(&joined)?;
    let mechanism = mechanism.trim_ascii().to_ascii_uppercase();
    match mechanism.as_slice() {
        b"PLAIN" => sasl_plain_message(&message),
        b"CRAM-MD5" => {
            // RFC 2195: user, space, 32 hex digits.
            let space = message.iter().rposition(|&b| b == b' ')?;
            let (user, digest) = message.split_at_checked(space)?;
            let is_digest = digest.len() == 33 && digest.iter().skip(1).all(u8::is_ascii_hexdigit);
            is_digest.then(|| Credential::new("sasl-cram-md5", Some(user), None))
        }
        b"DIGEST-MD5" => {
            let user = parameter(&message, b"username")?;
            Some(Credential::new("sasl-digest-md5", Some(&user), None))
        }
        b"OAUTHBEARER" | b"XOAUTH2" => {
            // RFC 7628 section 3.1: fields between 0x01 bytes, among them `auth=Bearer TOKEN`.
            let auth = message
                .split(|&b| b == 1)
                .find_map(|field| strip_prefix_ignoring_case(field, b"auth=bearer "))?;
            let user = message.split(|&b| b == 1).next().and_then(|first| {
                let xoauth2 = first.strip_prefix(b"user=");
                xoauth2.or_else(|| first.split(|&b| b == b',').find_map(|part| part.strip_prefix(b"a=")))
            });
            Some(Credential::new("sasl-bearer", user, Some(auth)))
        }
        _ if mechanism.starts_with(b"SCRAM-") => {
            // RFC 5802 section 7, client-first-message: `n,,n=user,r=nonce`; `=2C` and `=3D` stand for `,` and `=`.
            let user = message.split(|&b| b == b',').skip(2).find_map(|part| part.strip_prefix(b"n="))?;
            let user = String::from_utf8_lossy(user).replace("=2C", ",").replace("=3D", "=");
            Some(Credential { scheme: "sasl-scram", user: Some(user), secret: None })
        }
        _ => None,
    }
}

/// A SASL PLAIN message before base64 (RFC 4616): authorisation identity, NUL, user, NUL, password.
#[must_use]
pub fn sasl_plain_message(message: &[u8]) -> Option<Credential> {
    let mut parts = message.split(|&b| b == 0);
    let (_authorisation, user, password) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || user.is_empty() {
        return None;
    }
    Some(Credential::new("sasl-plain", Some(user), Some(password)))
}

/// SASL LOGIN: user and password in two messages, each in base64. One for each dialogue.
#[derive(Clone, Default)]
pub struct SaslLogin {
    user: Option<Vec<u8>>,
}

impl SaslLogin {
    /// The client's next message (an initial response counts); the credential comes with the second. What is no
    /// base64, such as the `*` that gives up, begins the dialogue again.
    #[must_use]
    pub fn answer(&mut self, response: &[u8]) -> Option<Credential> {
        let decoded = if response.len() > MAX_INPUT { None } else { base64::decode(response) };
        let Some(decoded) = decoded else {
            self.user = None;
            return None;
        };
        match self.user.take() {
            None => {
                self.user = Some(decoded);
                None
            }
            Some(user) => Some(Credential::new("sasl-login", Some(&user), Some(&decoded))),
        }
    }
}

/// A log-in of two commands, `USER` and `PASS`. One for each control connection.
#[derive(Clone, Default)]
pub struct UserPass {
    user: Option<Vec<u8>>,
}

impl UserPass {
    /// A client's POP3 line: `USER`, `PASS` (RFC 1939 section 7) or `APOP`, of which only the digest is sent.
    #[must_use]
    pub fn pop3(&mut self, line: &[u8]) -> Option<Credential> {
        let (verb, argument) = command(line)?;
        if verb.eq_ignore_ascii_case(b"APOP") {
            let (user, digest) = split_word(argument);
            let is_digest = digest.len() == 32 && digest.iter().all(u8::is_ascii_hexdigit);
            return (is_digest && !user.is_empty()).then(|| Credential::new("pop3-apop", Some(user), None));
        }
        self.step("pop3-user-pass", verb, argument)
    }

    /// A client's FTP line: `USER` or `PASS` (RFC 959 section 4.1.1).
    #[must_use]
    pub fn ftp(&mut self, line: &[u8]) -> Option<Credential> {
        let (verb, argument) = command(line)?;
        self.step("ftp-user-pass", verb, argument)
    }

    fn step(&mut self, scheme: &'static str, verb: &[u8], argument: &[u8]) -> Option<Credential> {
        if verb.eq_ignore_ascii_case(b"USER") {
            self.user = Some(argument.to_vec());
            None
        } else if verb.eq_ignore_ascii_case(b"PASS") {
            // The user may have been sent before the capture began.
            Some(Credential::new(scheme, self.user.take().as_deref(), Some(argument)))
        } else {
            None
        }
    }
}

/// Verb and argument of a line; spaces within the argument belong to it.
fn command(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    (line.len() <= MAX_INPUT).then(|| split_word(line))
}

/// What stands before the first space, and after it.
fn split_word(text: &[u8]) -> (&[u8], &[u8]) {
    split_at_byte(text, b' ').unwrap_or((text, &[]))
}

fn split_at_byte(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&b| b == separator)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

fn strip_prefix_ignoring_case<'a>(text: &'a [u8], lower_case: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = text.split_at_checked(lower_case.len())?;
    head.eq_ignore_ascii_case(lower_case).then_some(rest)
}

/// A parameter of `key=value, key="value"` (RFC 9110 section 5.6.6; RFC 2831 writes the same).
fn parameter(list: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    let mut rest = list;
    while !rest.is_empty() {
        rest = rest.trim_ascii_start();
        let name_end = rest.iter().position(|&b| b == b'=' || b == b',')?;
        let (name, after) = rest.split_at_checked(name_end)?;
        let (&separator, after) = after.split_first()?;
        if separator == b',' {
            rest = after;
            continue;
        }
        let (value, after) = parameter_value(after.trim_ascii_start())?;
        if name.trim_ascii().eq_ignore_ascii_case(key) {
            return Some(value);
        }
        rest = after
            .iter()
            .position(|&b| b == b',')
            .and_then(|comma| after.get(comma + 1..))
            .unwrap_or_default();
    }
    None
}

fn parameter_value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let (value, rest) =
            text.split_at_checked(text.iter().position(|&b| b == b',').unwrap_or(text.len()))?;
        return Some((value.trim_ascii_end().to_vec(), rest));
    };
    let mut out = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        match byte {
            b'"' => return Some((out, quoted.get(at + 1..)?)),
            b'\\' => out.push(*bytes.next()?.1),
            _ => out.push(byte),
        }
    }
    None
}
