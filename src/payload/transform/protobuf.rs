//! Values as fields of protocol buffers (encoding guide, "Message structure"): text behind its length, and telephone numbers
//! as integers: varint, or eight bytes in either order, as contact discoveries send them.

use super::{Case, Place, Transform, Written};

pub(super) static TRANSFORM: Transform = Transform {
    ids: &["protobuf", "varint", "u64le", "u64be"],
    says: "`protobuf`: text of up to 31 or from 127 bytes behind its length; a number of 11 to 19 digits as `varint`, `u64le` (fixed64) or `u64be`",
    place: Place::Innermost,
    write: |bytes, _| {
        let own = |id, bytes, case| Written { id, bytes, case };
        let mut all = Vec::new();
        let length = bytes.len();
        // A length that is a printable character or a line end may stand before the value by chance.
        if (4..32).contains(&length) && ![9, 10, 13].contains(&length) || length >= 127 {
            all.push(own("protobuf", [&varint(length as u64)[..], bytes].concat(), Case::LETTERS));
        }
        let digits: Option<&str> = std::str::from_utf8(bytes).ok().map(|t| t.strip_prefix('+').unwrap_or(t));
        let number = digits.filter(|d| (11..20).contains(&d.len()) && !d.starts_with('0') && d.bytes().all(|b| b.is_ascii_digit()));
        if let Some(number) = number.and_then(|d| d.parse::<u64>().ok()) {
            all.push(own("varint", varint(number), Case::EXACT));
            all.push(own("u64le", number.to_le_bytes().to_vec(), Case::EXACT));
            all.push(own("u64be", number.to_be_bytes().to_vec(), Case::EXACT));
        }
        all
    },
};

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(low);
            return out;
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_of_the_guide() {
        assert_eq!(varint(150), [0x96, 1]);
        assert_eq!(varint(4_915_112_345_678), [0xce, 0x80, 0x9a, 0x9c, 0x86, 0x8f, 0x01]);
    }
}
