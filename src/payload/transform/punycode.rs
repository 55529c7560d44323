//! Internationalised names as they stand in DNS: `xn--` and punycode (RFC 3492, RFC 5890 section 2.3.2.1).

use super::{Case, NOTHING, Place, Transform, Written};

pub(super) static TRANSFORM: Transform = Transform {
    ids: &["punycode"],
    says: "labels of a name with letters beyond ASCII, in small letters, as `xn--…`",
    place: Place::Innermost,
    write: |bytes, _| {
        let Ok(text) = std::str::from_utf8(bytes) else { return Vec::new() };
        if text.is_ascii() {
            return Vec::new();
        }
        // A name begins behind the last `@` of an address.
        let (user, name) = text.rsplit_once('@').map_or((None, text), |(user, name)| (Some(user), name));
        let labels: Option<Vec<String>> = name.split('.').map(a_label).collect();
        let Some(labels) = labels else { return Vec::new() };
        let name = labels.join(".");
        let whole = user.map_or_else(|| name.clone(), |user| format!("{user}@{name}"));
        vec![Written { id: "punycode", bytes: whole.into_bytes(), case: Case::FREE }]
    },
    keeps: NOTHING,
    ends: None,
};

/// A label in small letters, and one with letters beyond ASCII as an A-label (RFC 5890 section 2.3.2.1); `None` for one that
/// cannot be written so.
pub(crate) fn a_label(label: &str) -> Option<String> {
    let small = label.to_lowercase();
    if small.is_ascii() { Some(small) } else { encode(&small).map(|code| format!("xn--{code}")) }
}

/// RFC 3492 section 6.3.
fn encode(label: &str) -> Option<String> {
    const BASE: u32 = 36;
    const TMIN: u32 = 1;
    const TMAX: u32 = 26;
    let mut out: String = label.chars().filter(char::is_ascii).collect();
    let basic = out.len() as u32;
    let mut handled = basic;
    if basic > 0 {
        out.push('-');
    }
    let (mut n, mut delta, mut bias) = (128_u32, 0_u32, 72_u32);
    let total = label.chars().count() as u32;
    while handled < total {
        let next = label.chars().map(u32::from).filter(|&c| c >= n).min()?;
        delta = delta.checked_add((next - n).checked_mul(handled + 1)?)?;
        n = next;
        for c in label.chars().map(u32::from) {
            if c < n {
                delta = delta.checked_add(1)?;
            }
            if c == n {
                let mut q = delta;
                let mut k = BASE;
                loop {
                    let t = k.saturating_sub(bias).clamp(TMIN, TMAX);
                    if q < t {
                        break;
                    }
                    out.push(character(t + (q - t) % (BASE - t)));
                    q = (q - t) / (BASE - t);
                    k += BASE;
                }
                out.push(character(q));
                bias = adapt(delta, handled + 1, handled == basic);
                delta = 0;
                handled += 1;
            }
        }
        delta = delta.checked_add(1)?;
        n = n.checked_add(1)?;
    }
    Some(out)
}

/// RFC 3492 section 6.1.
fn adapt(delta: u32, points: u32, first: bool) -> u32 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta += delta / points;
    let mut k = 0;
    while delta > 455 {
        delta /= 35;
        k += 36;
    }
    k + 36 * delta / (delta + 38)
}

fn character(value: u32) -> char {
    char::from(if value < 26 { b'a' + value as u8 } else { b'0' + (value as u8 - 26) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names() {
        for (name, code) in [
            ("bücher", "bcher-kva"),
            ("münchen-ost", "mnchen-ost-9db"),
            ("他们为什么不说中文", "ihqwcrb4cv8a8dqg056pqjye"),
        ] {
            assert_eq!(encode(name).as_deref(), Some(code));
        }
        let written = &(TRANSFORM.write)("Jörg@Bücher.example".as_bytes(), super::super::Depth::Value)[0];
        assert_eq!(written.bytes, "Jörg@xn--bcher-kva.example".as_bytes());
    }
}
