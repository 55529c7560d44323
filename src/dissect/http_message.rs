//! What the versions of HTTP have in common: how a message is shown, and which of its fields are secrets (RFC 9110, RFC 6265).
//!
//! Takes names, values and targets as the version's dissector read them; gives the fields of observations, and findings for
//! log-ins, cookies and secrets in targets, each secret once a flow. Knows nothing of where a message begins and ends.

use std::hash::BuildHasher as _;
use std::ops::Range;

use serde::Serialize;

use super::Frames;
use super::flow::canonical_name;
use crate::model::{FindingKind, Severity};
use crate::payload::credential::http_authorization;
use crate::payload::mask::{escape, is_password_name, is_secret_name};
use crate::payload::{Masking, RawFinding, mask};

/// Header fields that an observation shows.
pub(super) const MAX_SHOWN: usize = 256;
/// Frames that an observation names.
const MAX_FRAMES: usize = 1024;
/// Different secrets of one flow that are told; the engine keeps fewer.
const MAX_TOLD: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Response,
}

impl Kind {
    pub(super) fn other(self) -> Kind {
        if self == Kind::Request { Kind::Response } else { Kind::Request }
    }
}

/// The fields of an observation.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Seen {
    Request {
        version: &'static str,
        /// The stream's number, where one connection carries several.
        #[serde(skip_serializing_if = "Option::is_none")]
        stream: Option<u32>,
        method: String,
        host: Option<String>,
        target: String,
        user_agent: Option<String>,
        body_bytes: u64,
        /// `false` when the end of the body was not seen.
        #[serde(skip_serializing_if = "Option::is_none")]
        complete: Option<bool>,
        headers: Vec<(String, String)>,
    },
    Response {
        version: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        stream: Option<u32>,
        status: u16,
        content_type: Option<String>,
        content_encoding: Option<String>,
        body_bytes: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        complete: Option<bool>,
        headers: Vec<(String, String)>,
    },
}

impl Seen {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Seen::Request { .. } => "http.request",
            Seen::Response { .. } => "http.response",
        }
    }

    pub(super) fn with_body(mut self, bytes: u64) -> Seen {
        match &mut self {
            Seen::Request { body_bytes, .. } | Seen::Response { body_bytes, .. } => *body_bytes = bytes,
        }
        self
    }

    /// The end of the body was not seen.
    pub(super) fn incomplete(mut self) -> Seen {
        match &mut self {
            Seen::Request { complete, .. } | Seen::Response { complete, .. } => *complete = Some(false),
        }
        self
    }

    /// Bytes that it holds, roughly.
    pub(super) fn size(&self) -> usize {
        let (Seen::Request { headers, .. } | Seen::Response { headers, .. }) = self;
        headers.iter().map(|(name, value)| name.len() + value.len() + 48).sum::<usize>() + 512
    }
}

/// A byte of a token (RFC 9110 section 5.6.2).
pub(super) fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// The secrets of one flow.
#[derive(Default)]
pub(super) struct Secrets {
    /// Hashes of those that were told.
    told: Vec<u64>,
}

impl Secrets {
    /// Whether a secret is told for the first time in this flow.
    fn first_time(&mut self, name: &str, value: &[u8]) -> bool {
        let hash = foldhash::fast::FixedState::with_seed(1).hash_one((name, value));
        let new = self.told.len() < MAX_TOLD && !self.told.contains(&hash);
        if new {
            self.told.push(hash);
        }
        new
    }

    /// Secrets of one header field; `tell` is given the part of the value that holds each.
    pub(super) fn of_field(
        &mut self,
        kind: Kind,
        name: &str,
        value: &[u8],
        masking: Masking,
        tell: &mut dyn FnMut(&[u8], RawFinding),
    ) {
        let value = value.trim_ascii();
        let name = name.to_ascii_lowercase();
        match (name.as_str(), kind) {
            ("authorization" | "proxy-authorization", _) => {
                let login = http_authorization(value).filter(|_| self.first_time(&name, value));
                if let Some(login) = login {
                    tell(value, login.finding((0, 0), masking, false));
                }
            }
            ("cookie", Kind::Request) => {
                for pair in value.split(|b| *b == b';') {
                    self.cookie(pair, "sent", masking, tell);
                }
            }
            ("set-cookie", Kind::Response) => {
                let pair = value.split(|b| *b == b';').next().unwrap_or_default();
                self.cookie(pair, "set", masking, tell);
            }
            (_, Kind::Request)
                if names_secret(&name) && value.len() >= 8 && self.first_time(&name, value) =>
            {
                let value_shown = masking.apply(&String::from_utf8_lossy(value));
                let what = format!("header {name}: {value_shown}");
                tell(value, raw("http-secret-header", FindingKind::Token, Severity::Medium, what));
            }
            _ => {}
        }
    }

    /// One `name=value` of a cookie header (RFC 6265 section 4). Sent back after it was set it is the same cookie.
    fn cookie(&mut self, pair: &[u8], how: &str, masking: Masking, tell: &mut dyn FnMut(&[u8], RawFinding)) {
        let pair = pair.trim_ascii();
        let Some(equals) = pair.iter().position(|b| *b == b'=') else { return };
        let (name, value) = pair.split_at_checked(equals).unwrap_or_default();
        let value = value.strip_prefix(b"=").unwrap_or(value).trim_ascii();
        let name = String::from_utf8_lossy(name.trim_ascii());
        if value.is_empty() || !self.first_time(&name, value) {
            return;
        }
        let lower = name.to_ascii_lowercase();
        let logged_in = is_secret_name(&lower)
            || lower.ends_with("sid")
            || ["sess", "auth", "login"].iter().any(|part| lower.contains(part));
        let severity = if logged_in { Severity::Medium } else { Severity::Low };
        // A name that is no token may be a part of the secret.
        let plain = name.len() <= 64 && name.bytes().all(is_token);
        let shown = if plain || masking == Masking::Off { escape(&name) } else { mask(&name) };
        let value = masking.apply(&String::from_utf8_lossy(value));
        let what = format!("cookie {shown} {how} in clear: {value}");
        tell(pair, raw("http-cookie", FindingKind::Cookie, severity, what));
    }

    /// Secrets among the parameters of a target: they end up in logs and histories too. `tell` is given the range of each
    /// within the target.
    pub(super) fn of_target(
        &mut self,
        target: &str,
        masking: Masking,
        tell: &mut dyn FnMut(Range<usize>, RawFinding),
    ) {
        let Some((path, query)) = target.split_once('?') else { return };
        let mut at = path.len() + 1;
        for parameter in query.split(['&', ';', '#']) {
            let range = at..at + parameter.len();
            at = range.end + 1;
            let Some((name, value)) = parameter.split_once('=') else { continue };
            let lower = name.to_ascii_lowercase();
            if value.is_empty() || !is_secret_name(&lower) || !self.first_time(&lower, value.as_bytes()) {
                continue;
            }
            let sure = ["token", "secret"].iter().any(|part| lower.contains(part));
            // The same as in a body.
            let severity = match (is_password_name(&lower), sure) {
                (true, _) => Severity::Critical,
                (_, true) => Severity::High,
                _ => Severity::Medium,
            };
            let what = format!("{} in the request target: {}", escape(name), masking.apply(value));
            tell(range, raw("http-secret-parameter", FindingKind::Token, severity, what));
        }
    }
}

fn raw(id: &str, kind: FindingKind, severity: Severity, what: String) -> RawFinding {
    RawFinding { kind, severity, what, rule: Some(id.to_owned()), ..RawFinding::default() }
}

/// A header that carries a secret by its name; those that only talk about secrets do not.
fn names_secret(name: &str) -> bool {
    is_secret_name(name) && !name.starts_with("sec-websocket-") && !name.starts_with("access-control-")
}

/// Adds a part's frames to those of its message.
pub(super) fn join(frames: &mut Frames, part: Frames) {
    for frame in part.all {
        if frames.all.last() != Some(&frame) && frames.all.len() < MAX_FRAMES {
            frames.all.push(frame);
        }
    }
    if part.complete >= frames.complete {
        frames.complete = part.complete;
        frames.time = part.time;
    }
}

/// The name in a `Host` field, without its port; `None` for addresses and for what is no host name.
pub(super) fn host_name(host: &[u8]) -> Option<&str> {
    let host = std::str::from_utf8(host).ok()?;
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        Some(_) => return None,
        None => host,
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
    };
    // Names do not end in a number (RFC 3696 section 2); addresses do.
    let top = name.rsplit('.').next().unwrap_or_default();
    let named = name.len() <= 253 && name.split('.').all(label) && !top.bytes().all(|b| b.is_ascii_digit());
    named.then_some(name)
}

/// An authority without a user's name and password, which are against the rules and sent nonetheless.
pub(super) fn without_user(host: &[u8], masking: Masking) -> String {
    let host = String::from_utf8_lossy(host);
    match host.rsplit_once('@') {
        Some((_, host)) if masking == Masking::On => escape(&format!("…@{host}")),
        _ => escape(&host),
    }
}

/// The host of a request as observations show it: lower case, A-labels, without a final dot, with its port.
pub(super) fn shown_host(host: &[u8], masking: Masking) -> String {
    let shown = without_user(host, masking);
    match shown.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(']') => {
            format!("{}:{port}", canonical_name(name))
        }
        _ => canonical_name(&shown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_shown_in_one_spelling() {
        for (host, shown) in [
            ("Chat.Example.:8080", "chat.example:8080"),
            ("chat.example.", "chat.example"),
            ("B\u{fc}cher.Example", "xn--bcher-kva.example"),
            ("[2001:DB8::1]:443", "[2001:db8::1]:443"),
            ("me:secret@chat.example", "\u{2026}@chat.example"),
            ("\u{1}.example", "\\u{1}.example"),
        ] {
            assert_eq!(shown_host(host.as_bytes(), Masking::On), shown, "{host:?}");
        }
    }
}
