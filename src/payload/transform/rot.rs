//! Letters moved in the alphabet (ROT1 to ROT25), and printable characters moved by 47 (ROT47).

use super::{Case, NOTHING, Place, Transform, Written};

pub(super) static TRANSFORM: Transform = Transform {
    ids: &[
        "rot1", "rot2", "rot3", "rot4", "rot5", "rot6", "rot7", "rot8", "rot9", "rot10", "rot11", "rot12",
        "rot13", "rot14", "rot15", "rot16", "rot17", "rot18", "rot19", "rot20", "rot21", "rot22", "rot23",
        "rot24", "rot25", "rot47",
    ],
    says: "a to z moved by 1 to 25 places, of values with at least four such letters; printable ASCII moved by 47",
    place: Place::Innermost,
    write: |bytes, _| {
        let Some((rot47, letters)) = TRANSFORM.ids.split_last() else { return Vec::new() };
        let mut all = Vec::new();
        if bytes.iter().filter(|b| b.is_ascii_alphabetic()).count() >= 4 {
            for (id, by) in letters.iter().zip(1..) {
                all.push(Written {
                    id,
                    bytes: bytes.iter().map(|&b| moved(b, by)).collect(),
                    case: Case::LETTERS,
                });
            }
        }
        let turned: Vec<u8> =
            bytes.iter().map(|&b| if (33..127).contains(&b) { 33 + (b - 33 + 47) % 94 } else { b }).collect();
        if turned != bytes {
            all.push(Written { id: rot47, bytes: turned, case: Case::EXACT });
        }
        all
    },
    keeps: NOTHING,
    ends: None,
};

fn moved(byte: u8, by: u8) -> u8 {
    let from = match byte {
        b'a'..=b'z' => b'a',
        b'A'..=b'Z' => b'A',
        _ => return byte,
    };
    from + (byte - from + by) % 26
}
