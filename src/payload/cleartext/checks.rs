//! What a match has to be beyond its letters: check digits, numbering plans, known domains, ranges.
//!
//! Takes the value that a rule's expression found and what stands before it; gives the value in one spelling, by which it is
//! counted, or `None` where it is no such thing.

use serde::Deserialize;

use super::numbering::{PLANS, imei};
use crate::payload::base64;
use crate::suffix::known_suffix;

/// Checks that a rule may name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Check {
    /// None.
    #[default]
    Any,
    /// An address with a public suffix that is known.
    Email,
    /// A number in international form that its country gives out.
    Phone,
    /// A number as it is dialled within a country.
    PhoneNational,
    /// Three or more different numbers in international form, with commas between them.
    Phones,
    /// The same of numbers as they are dialled within a country.
    PhonesNational,
    /// 15 digits with a reporting body and Luhn's check digit.
    Imei,
    /// 14 or 15 digits that begin with a mobile country code.
    Imsi,
    /// A MAC address of a single device.
    Mac,
    /// A UUID, or 16 hexadecimal digits, that is not all the same.
    Uuid,
    /// A latitude and a longitude.
    Coordinates,
    /// Words, and not base64 or the like of something else.
    Prose,
    /// A JSON Web Token, by its header.
    Jwt,
    /// A secret, and not a placeholder.
    Secret,
    /// The model of a device.
    Model,
    /// The position in a picture; looks at bytes by itself.
    Exif,
}

/// Bytes before a value that a check may look at.
pub(super) const BEFORE: usize = 24;

impl Check {
    /// The value in one spelling, or `None`. `before` are up to [`BEFORE`] bytes in front of it.
    pub(super) fn of(self, value: &[u8], before: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(value);
        match self {
            Check::Any => Some(text.into_owned()),
            Check::Email => email(&text, before),
            Check::Phone => {
                let text = text.to_ascii_lowercase().replace("%2b", "").replace("\\u002b", "");
                // The trunk prefix that is left out behind a country code.
                let digits = digits(&text.replace("(0)", ""));
                let digits = digits.strip_prefix("00").unwrap_or(&digits);
                PLANS.international(digits).then(|| format!("+{digits}"))
            }
            Check::PhoneNational => Some(digits(&text)).filter(|d| PLANS.national(d)),
            Check::Phones => phones(&text, &|digits| PLANS.international(digits)),
            Check::PhonesNational => phones(&text, &|digits| PLANS.national(digits)),
            Check::Imei => Some(digits(&text)).filter(|d| imei(d)),
            Check::Imsi => Some(digits(&text)).filter(|d| PLANS.imsi(d)),
            Check::Mac => mac(&text),
            Check::Uuid => uuid(&text),
            Check::Coordinates => coordinates(&text, before),
            Check::Prose => prose(&text),
            Check::Jwt => jwt(value).then(|| text.into_owned()),
            Check::Secret => secret(&text),
            Check::Model => model(&text),
            Check::Exif => None,
        }
    }
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

fn email(text: &str, before: &[u8]) -> Option<String> {
    let address = text.replace("%40", "@").to_ascii_lowercase();
    let (local, domain) = address.rsplit_once('@')?;
    let whole = (1..=64).contains(&local.len())
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && domain.len() <= 253;
    // Names of pictures for screens of higher density look like addresses: icon@2x.zip.
    let density = domain.split('.').next().is_some_and(|l| l.ends_with('x') && l.len() == 2);
    let suffix = known_suffix(domain)?;
    if !whole || density || suffix.len() + 1 >= domain.len() {
        return None;
    }
    // Addresses of SIP and XMPP, ids of messages and users of servers are no e-mail addresses; rules of their own may find them.
    let before = String::from_utf8_lossy(before).to_ascii_lowercase();
    let other = [
        "sip:",
        "sips:",
        "xmpp:",
        "im:",
        "cid:",
        "mid:",
        "//",
        "call-id: ",
        "-id: <",
        "references: <",
        "reply-to: <",
    ];
    let other = other.iter().any(|o| before.ends_with(o)) && !before.ends_with("\nreply-to: <");
    (!other).then_some(address)
}

fn phones(text: &str, fits: &dyn Fn(&str) -> bool) -> Option<String> {
    let mut all: Vec<String> = Vec::new();
    for part in text.split(',').map(digits).filter(|d| !d.is_empty()) {
        let part = part.strip_prefix("00").map(str::to_owned).unwrap_or(part);
        if !fits(&part) {
            return None;
        }
        all.push(part);
    }
    all.sort();
    all.dedup();
    (all.len() >= 3).then(|| all.join(","))
}

fn mac(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase().replace("%3a", ":");
    let hex: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let first = u8::from_str_radix(hex.get(..2)?, 16).ok()?;
    // Group addresses (IEEE 802, I/G bit) are of nobody alone.
    let single = first & 1 == 0 && hex.len() == 12 && hex.bytes().any(|b| b != b'0');
    single.then_some(hex)
}

fn uuid(text: &str) -> Option<String> {
    let hex: String = text.chars().filter(char::is_ascii_hexdigit).collect::<String>().to_ascii_lowercase();
    let mut kinds: Vec<u8> = hex.bytes().collect();
    kinds.sort_unstable();
    kinds.dedup();
    // The base UUID of Bluetooth names services.
    let own = !hex.ends_with("00001000800000805f9b34fb");
    (matches!(hex.len(), 16 | 32) && kinds.len() >= 5 && own).then_some(hex)
}

/// The name before the value, and the one within, say which of the two is the latitude; without names it is the first, but for `GeoJSON`.
fn coordinates(text: &str, before: &[u8]) -> Option<String> {
    let before = String::from_utf8_lossy(before).to_ascii_lowercase();
    let name = before.trim_end_matches(|c: char| !c.is_ascii_alphabetic());
    let ends = |names: &[&str]| names.iter().any(|n| name.ends_with(n));
    let within = text.to_ascii_lowercase();
    let turned = if ends(&["lon", "lng", "long", "longitude"]) {
        within.contains("lat").then_some(true)?
    } else if ends(&["lat", "latitude"]) {
        (within.contains("lon") || within.contains("lng")).then_some(false)?
    } else {
        ends(&["coordinates"])
    };
    let mut numbers =
        text.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-')).filter_map(|part| {
            let decimals = part.split_once('.').map(|(_, d)| d.len())?;
            (decimals >= 3).then(|| part.parse::<f64>().ok()).flatten()
        });
    // Between the two a field of another kind may stand.
    let (first, last) = (numbers.next()?, numbers.next_back()?);
    let (latitude, longitude) = if turned { (last, first) } else { (first, last) };
    let real = latitude.abs() <= 90.0 && longitude.abs() <= 180.0 && latitude != 0.0 && longitude != 0.0;
    real.then(|| format!("{latitude},{longitude}"))
}

fn prose(text: &str) -> Option<String> {
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let dense = text.chars().count() >= 20
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+/=_-.:\\".contains(c));
    let other = dense || text.starts_with(['{', '[', '<']) || text.contains("\u{fffd}") || letters < 2;
    (!other).then(|| text.to_owned())
}

/// RFC 7519 section 5, RFC 7515 section 4.1: the header is a JSON object with `alg`.
fn jwt(value: &[u8]) -> bool {
    let head = value.split(|b| *b == b'.').next().unwrap_or_default();
    let decoded = base64::decode(head).unwrap_or_default();
    serde_json::from_slice::<serde_json::Value>(&decoded).is_ok_and(|v| v.get("alg").is_some())
}

fn secret(text: &str) -> Option<String> {
    const NONE: [&str; 9] =
        ["null", "none", "true", "false", "undefined", "deleted", "password", "required", "optional"];
    let same = text.chars().all(|c| text.starts_with(c));
    let placeholder = same
        || NONE.contains(&text.to_ascii_lowercase().as_str())
        || text.starts_with(['$', '{', '<', '%'])
        || text.contains("…");
    (!placeholder).then(|| text.to_owned())
}

fn model(text: &str) -> Option<String> {
    let text = text.trim();
    let named = text.chars().count() >= 3 && text.chars().any(|c| c.is_ascii_alphabetic());
    let plain = ["mobile", "tablet", "linux", "unknown", "compatible", "wv"];
    (named && !plain.contains(&text.to_ascii_lowercase().as_str())).then(|| text.to_owned())
}
