//! Masking: what reports show of a secret, so that they can be passed on.
//!
//! Takes values from the wire; gives text with a quarter of the value at most, and never a control character.
//! [`Masking::Off`] (`--show-secrets`) gives the value itself, with controls escaped. Lengths are given as classes:
//! the exact length of a password helps to guess it. Headers and targets whose names tell a secret are known by the
//! words in those names, and what the built-in rules find in them is masked too; others pass through, so a secret under a
//! harmless name is not masked.

use std::fmt::Write as _;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

/// Longest text given out when masking is off, in characters.
const SHOWN: usize = 512;

/// Whether secrets and identifiers are masked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Masking {
    /// Masked: the default everywhere.
    #[default]
    On,
    /// As they are (`--show-secrets`).
    Off,
}

impl Masking {
    /// A secret ([`mask`]).
    #[must_use]
    pub fn apply(self, value: &str) -> String {
        self.choose(value, mask)
    }

    /// A value of unknown kind: an e-mail address, a number, or else a secret.
    #[must_use]
    pub fn apply_any(self, value: &str) -> String {
        self.choose(value, |value| {
            let digits = value.chars().filter(char::is_ascii_digit).count();
            if digits >= 7 && value.chars().all(|c| c.is_ascii_digit() || " +-()/.".contains(c)) {
                mask_number(value)
            } else if value.matches('@').count() == 1 {
                mask_email(value)
            } else {
                mask(value)
            }
        })
    }

    fn choose(self, value: &str, masked: impl Fn(&str) -> String) -> String {
        match self {
            Masking::On => masked(value),
            Masking::Off => escape(value),
        }
    }
}

/// First and last character and a length class: `s…t (8 to 15 characters)`. Under eight characters, and for
/// characters other than letters and digits, nothing is shown.
#[must_use]
pub fn mask(value: &str) -> String {
    let length = value.chars().count();
    let shown = |c: Option<char>| c.filter(|c| length >= 8 && c.is_alphanumeric()).map(String::from);
    let first = shown(value.chars().next()).unwrap_or_default();
    let last = shown(value.chars().next_back()).unwrap_or_default();
    format!("{first}…{last} ({})", length_class(length))
}

/// Nothing of the value but its length class.
#[must_use]
pub fn mask_hidden(value: &str) -> String {
    format!("… ({})", length_class(value.chars().count()))
}

/// An e-mail address or jid: the first letter and the top-level domain, within a quarter of the whole.
#[must_use]
pub fn mask_email(value: &str) -> String {
    let Some((local, domain)) = value.split_once('@') else { return mask(value) };
    let budget = value.chars().count() / 4;
    let top = domain.rsplit_once('.').map_or("", |(_, top)| top);
    let top = if top.len() < budget && !top.is_empty() && top.bytes().all(|b| b.is_ascii_alphabetic()) {
        top
    } else {
        ""
    };
    // A short local part would be shown whole, or nearly.
    let enough = local.chars().count() >= 4 && budget > top.len();
    let first = local.chars().next().filter(|c| enough && c.is_alphanumeric());
    let first = first.map(String::from).unwrap_or_default();
    let dot = if top.is_empty() { "" } else { "." };
    format!("{first}…@…{dot}{top} (e-mail address)")
}

/// A telephone number or the like: its last two digits where it has eight or more.
#[must_use]
pub fn mask_number(value: &str) -> String {
    let digits: Vec<char> = value.chars().filter(char::is_ascii_digit).collect();
    let last: String =
        if digits.len() >= 8 { digits.iter().skip(digits.len() - 2).collect() } else { String::new() };
    format!("…{last} (number, {} digits)", if digits.len() < 8 { "under 8" } else { "8 or more" })
}

/// The value of a header as it may be shown: secrets masked, their names and schemes kept, and what the rules find.
#[must_use]
pub fn mask_header(name: &str, value: &str, masking: Masking) -> String {
    if masking == Masking::Off {
        return escape(value);
    }
    without_found(&format!("{}: ", escape(name)), &named_header(name, value))
}

/// Text that is shown behind `lead`, with what the rules find in it masked.
fn without_found(lead: &str, text: &str) -> String {
    let whole = format!("{lead}{text}");
    let mut out = String::with_capacity(text.len());
    let mut at = lead.len();
    for (range, shown) in super::cleartext::told(&whole) {
        if let Some(before) = whole.get(at..range.start) {
            out.push_str(before);
            out.push_str(&shown);
            at = range.end;
        }
    }
    out.push_str(whole.get(at..).unwrap_or_default());
    out
}

fn named_header(name: &str, value: &str) -> String {
    let name = name.trim().to_ascii_lowercase();
    match name.as_str() {
        "authorization" | "proxy-authorization" => mask_authorization(value),
        "cookie" | "cookie2" => mask_pairs(value, |_, _| true),
        "set-cookie" | "set-cookie2" => mask_pairs(value, |place, key| place == 0 || !is_attribute(key)),
        "referer" | "location" | "content-location" | "origin" | ":path" => masked_target(value),
        "from" => mask_email(value),
        // Names that sound secret and are not.
        "www-authenticate" | "proxy-authenticate" | "sec-websocket-key" | "sec-websocket-accept" => {
            escape(value)
        }
        _ if is_masked_name(&name) => mask(value),
        // Addresses in other headers, as in `Link`.
        _ if value.contains("://") => masked_target(value),
        _ => escape(value),
    }
}

/// A request target as it may be shown: user names before the host, the values of secret parameters, telephone numbers and what
/// the rules find masked. A bare row of digits is a number only under a name that says so; with `+` or `00` before it always.
#[must_use]
pub fn mask_target(target: &str, masking: Masking) -> String {
    if masking == Masking::Off {
        return escape(target);
    }
    without_found("target: ", &masked_target(target))
}

/// A host with or without a user before it.
fn mask_authority(authority: &str) -> String {
    authority.rsplit_once('@').map_or_else(|| escape(authority), |(_, host)| escape(&format!("…@{host}")))
}

fn masked_target(target: &str) -> String {
    let query_at = target.find(['?', '#']).unwrap_or(target.len());
    let (path, query) = target.split_at_checked(query_at).unwrap_or((target, ""));
    let address = path.split_once("//").filter(|(scheme, _)| scheme.is_empty() || scheme.ends_with(':'));
    let mut out = match address {
        Some((scheme, rest)) => {
            let (authority, rest) =
                rest.split_at_checked(rest.find('/').unwrap_or(rest.len())).unwrap_or((rest, ""));
            format!("{}//{}{}", escape(scheme), mask_authority(authority), mask_path(rest))
        }
        // The target of CONNECT (RFC 9110 section 7.1).
        None if !path.contains('/') && path.contains('@') => mask_authority(path),
        None => mask_path(path),
    };
    let mut begin = 0;
    for (at, separator) in query.match_indices(['?', '#', '&', ';']).chain([(query.len(), "")]) {
        let parameter = query.get(begin..at).unwrap_or_default();
        match parameter.split_once('=') {
            Some((key, value))
                if is_masked_name(&unescaped(key).to_ascii_lowercase()) || holds_secret(value) =>
            {
                let _ = write!(out, "{}={}", escape(key), mask(value));
            }
            Some((key, value)) if value.contains('@') || value.contains("%40") => {
                let _ = write!(out, "{}={}", escape(key), mask_email(&value.replace("%40", "@")));
            }
            Some((key, value)) if is_number(value, names_a_number(key)) => {
                let _ = write!(
                    out,
                    "{}={}",
                    escape(key),
                    mask_number(&value.to_ascii_lowercase().replace("%2b", "").replace("%20", ""))
                );
            }
            // What goes on behind a second `?` is escaped.
            _ if holds_secret(parameter) => out.push_str(&mask(parameter)),
            _ => out.push_str(&escape(parameter)),
        }
        out.push_str(separator);
        begin = at + separator.len();
    }
    out
}

/// A path with telephone numbers and secret parameters of its segments (RFC 3986 section 3.3) masked, segment by segment.
fn mask_path(path: &str) -> String {
    let number = |segment: &&str| is_number(segment, segment.starts_with("tel:"));
    let secret =
        |segment: &&str| segment.contains(';') && segment.split(';').skip(1).any(is_secret_parameter);
    if !path.split('/').any(|segment| number(&segment) || secret(&segment)) {
        return escape(path);
    }
    let parameter = |part: &str| match part.split_once('=') {
        Some((key, value)) if is_secret_parameter(part) => format!("{}={}", escape(key), mask(value)),
        _ => escape(part),
    };
    let shown = |segment: &str| {
        if secret(&segment) {
            segment.split(';').map(parameter).collect::<Vec<_>>().join(";")
        } else if number(&segment) {
            mask_number(&segment.to_ascii_lowercase().replace("%2b", "").replace("%20", ""))
        } else {
            escape(segment)
        }
    };
    path.split('/').map(shown).collect::<Vec<_>>().join("/")
}

/// Whether a value is a telephone number: 7 to 15 digits (ITU-T E.164) with `+` or `00` before them or, when it is `expected`,
/// without.
fn is_number(value: &str, expected: bool) -> bool {
    let plain = value.to_ascii_lowercase().replace("%2b", "+").replace("%20", " ");
    let plain = plain.trim_start_matches("tel:").trim();
    let digits = plain.bytes().filter(u8::is_ascii_digit).count();
    let foreign = plain.starts_with('+') || (plain.starts_with("00") && digits >= 9);
    (7..=17).contains(&digits)
        && (expected || foreign)
        && plain.bytes().all(|b| b.is_ascii_digit() || b" +-().".contains(&b))
}

/// Whether a parameter of this name holds a telephone number.
fn names_a_number(key: &str) -> bool {
    const PARTS: [&str; 7] = ["phone", "msisdn", "mobile", "telefon", "rufnummer", "whatsapp", "e164"];
    const WHOLE: [&str; 8] = ["tel", "cell", "number", "recipient", "contact", "callee", "caller", "handy"];
    let key = key.to_ascii_lowercase();
    WHOLE.contains(&key.as_str()) || PARTS.iter().any(|part| key.contains(part))
}

fn is_secret_parameter(parameter: &str) -> bool {
    parameter.split_once('=').is_some_and(|(key, _)| is_masked_name(&unescaped(key).to_ascii_lowercase()))
}

/// The text with percent escapes undone (RFC 3986 section 2.1).
fn unescaped(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|d| byte == b'%' && d.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|d| std::str::from_utf8(d).ok());
        if let Some(escaped) = digits.and_then(|d| u8::from_str_radix(d, 16).ok()) {
            out.push(escaped);
            rest = after.get(2..).unwrap_or_default();
        } else {
            out.push(byte);
            rest = after;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Whether the value of a parameter has values of its own under names that tell a secret, as addresses and JSON do, escaped up to
/// twice.
fn holds_secret(value: &str) -> bool {
    let once = unescaped(value);
    let twice = unescaped(&once);
    [once, twice].iter().any(|text| {
        text.match_indices(['=', ':']).any(|(at, _)| {
            let before = text.get(..at).unwrap_or_default().trim_end_matches(['"', '\'', '\\', ' ']);
            let plain = |c: char| !(c.is_ascii_alphanumeric() || "_.-[]".contains(c));
            let name = before.rsplit(plain).next().unwrap_or_default();
            at + 1 < text.len() && is_masked_name(&name.to_ascii_lowercase())
        })
    })
}

/// The words of a name.
fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

/// Whether the value under this (lower-case) name is not shown: more names than those that are told as findings, as a mask too many
/// costs little.
fn is_masked_name(name: &str) -> bool {
    is_secret_name(name) || words(name).any(|word| ["auth", "key"].contains(&word))
}

/// What the name of a password has in it.
const PASSWORD_PARTS: [&str; 5] = ["passw", "passphrase", "passcode", "kennwort", "pwd"];
/// The same of whole words.
const PASSWORD_WORDS: [&str; 2] = ["pass", "pw"];

/// All parts in one pass: every header of every message is asked for.
fn has_part(name: &str, parts: &LazyLock<Option<AhoCorasick>>) -> bool {
    parts.as_ref().is_some_and(|parts| parts.is_match(name))
}

/// Whether a (lower-case) name is one of a password.
#[must_use]
pub fn is_password_name(name: &str) -> bool {
    static PARTS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| AhoCorasick::new(PASSWORD_PARTS).ok());
    has_part(name, &PARTS) || words(name).any(|word| PASSWORD_WORDS.contains(&word))
}

/// Whether a header or parameter of this (lower-case) name carries a secret.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    const PARTS: [&str; 16] = [
        "token",
        "secret",
        "api-key",
        "api_key",
        "apikey",
        "access-key",
        "access_key",
        "private-key",
        "private_key",
        "authoriz",
        "x-auth",
        "session",
        "signature",
        "credential",
        "cookie",
        "otp",
    ];
    const WHOLE: [&str; 6] = ["auth", "code", "key", "sid", "sig", "x-registration-id"];
    static ALL: LazyLock<Option<AhoCorasick>> =
        LazyLock::new(|| AhoCorasick::new(PARTS.iter().chain(&PASSWORD_PARTS)).ok());
    has_part(name, &ALL)
        || WHOLE.contains(&name)
        || words(name).any(|word| ["jwt", "pin"].contains(&word) || PASSWORD_WORDS.contains(&word))
}

/// `value` with controls, bidirectional overrides and other invisible characters escaped, at most 512 characters.
#[must_use]
pub fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len().min(SHOWN * 4));
    for (place, c) in value.chars().enumerate() {
        if place == SHOWN {
            out.push('…');
            break;
        }
        let invisible = matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if c.is_control() || invisible {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

fn length_class(length: usize) -> &'static str {
    match length {
        0 => "empty",
        1..8 => "under 8 characters",
        8..16 => "8 to 15 characters",
        16..32 => "16 to 31 characters",
        32..64 => "32 to 63 characters",
        _ => "64 or more characters",
    }
}

fn mask_authorization(value: &str) -> String {
    const SCHEMES: [&str; 12] = [
        "basic",
        "bearer",
        "digest",
        "dpop",
        "hoba",
        "mutual",
        "negotiate",
        "ntlm",
        "oauth",
        "scram-sha-1",
        "scram-sha-256",
        "token",
    ];
    let value = value.trim();
    match value.split_once(' ') {
        Some((scheme, rest)) if SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) => {
            format!("{scheme} {}", mask(rest.trim()))
        }
        _ => mask(value),
    }
}

/// Names of cookie attributes (RFC 6265bis), whose values are no secret.
fn is_attribute(key: &str) -> bool {
    const ATTRIBUTES: [&str; 10] = [
        "domain",
        "expires",
        "httponly",
        "max-age",
        "partitioned",
        "path",
        "priority",
        "samesite",
        "secure",
        "version",
    ];
    ATTRIBUTES.contains(&key.to_ascii_lowercase().as_str())
}

/// `name=value; name=value` with the values masked for which `secret(place, name)` holds.
fn mask_pairs(value: &str, secret: impl Fn(usize, &str) -> bool) -> String {
    let pairs = value.split(';').enumerate().map(|(place, pair)| {
        let (key, value) =
            pair.split_once('=').map_or((pair.trim(), None), |(k, v)| (k.trim(), Some(v.trim())));
        // A name that is no token (RFC 9110 section 5.6.2) may be the secret itself.
        let plain_name = key.len() <= 64
            && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        match value {
            Some(value) if plain_name && secret(place, key) => format!("{key}={}", mask(value)),
            Some(value) if plain_name => format!("{key}={}", escape(value)),
            None if !secret(place, key) => escape(key),
            _ => mask(pair.trim()),
        }
    });
    let mut out = String::new();
    for (place, pair) in pairs.enumerate() {
        if place >= 64 {
            out.push_str("; …");
            break;
        }
        let _ = write!(out, "{}{pair}", if place == 0 { "" } else { "; " });
    }
    out
}
