//! Telephone numbers as integers in fields of protocol buffers (encoding guide, "Message structure"): varint, or eight bytes in
//! either order, as contact discoveries send them. Text stands in such fields as it is, and is found so.

use super::{Case, NOTHING, Place, Transform, Written};

pub(super) static TRANSFORM: Transform = Transform {
    ids: &["varint", "u64le", "u64be"],
    says: "a number of 11 to 19 digits as an integer of protocol buffers (varint, fixed64), or of eight bytes from the highest; text in their fields stands as it is",
    place: Place::Innermost,
    write: |bytes, _| {
        let own = |id, bytes| Written { id, bytes, case: Case::EXACT };
        let mut all = Vec::new();
        let digits: Option<&str> = std::str::from_utf8(bytes).ok().map(|t| t.strip_prefix('+').unwrap_or(t));
        let number = digits.filter(|d| {
            (11..20).contains(&d.len()) && !d.starts_with('0') && d.bytes().all(|b| b.is_ascii_digit())
        });
        if let Some(number) = number.and_then(|d| d.parse::<u64>().ok()) {
            all.push(own("varint", varint(number)));
            all.push(own("u64le", number.to_le_bytes().to_vec()));
            all.push(own("u64be", number.to_be_bytes().to_vec()));
        }
        all
    },
    keeps: NOTHING,
    ends: None,
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
