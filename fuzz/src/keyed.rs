//! A QUIC connection whose secrets the program has, with HTTP/3 on its streams; and key logs.
//!
//! Takes chunks as content of streams; seals them behind a handshake that is always the same (RFC 9001, RFC 9114), so that what a fuzzer
//! changes is frames, fields and instructions of QPACK. The first byte of a chunk: bits 0 to 5 are the stream's id, bit 6 ends it,
//! bit 7 makes the rest plaintext of a packet. Head byte: bit 0 chooses version 2.

use std::collections::BTreeMap;

use metaleak::dissect::Secrets;

use super::Traits;
use super::check::{mark, size_mark};
use super::quic::{DCID, Keys, PORT, SCID, VERSIONS, Version};
use super::wire::{Fate, Pcap, chunks};

/// The client's random, and the secrets of both sides.
const RANDOM: [u8; 32] = [0x41; 32];
const SECRETS: [[u8; 32]; 2] = [[0x17; 32], [0x29; 32]];

fn hex(bytes: &[u8]) -> String {
    let digit = |d: u8| char::from_digit(u32::from(d), 16).unwrap_or_default();
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

/// The key log of the connection.
pub fn key_log() -> String {
    let line = |label: &str, secret: &[u8]| format!("{label} {} {}\n", hex(&RANDOM), hex(secret));
    let [client, server] = &SECRETS;
    [line("CLIENT_TRAFFIC_SECRET_0", client), line("SERVER_TRAFFIC_SECRET_0", server)].concat()
}

/// A handshake message in a CRYPTO frame.
fn crypto(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![6, 0];
    frame.extend((0x4000 | (body.len() as u16 + 4)).to_be_bytes());
    frame.extend([kind, 0]);
    frame.extend((body.len() as u16).to_be_bytes());
    frame.extend(body);
    frame
}

/// The two Initial packets: hellos that agree on `TLS_AES_128_GCM_SHA256` and offer h3.
fn hellos(version: &Version, pcap: &mut Pcap) {
    let mut client = vec![3, 3];
    client.extend(RANDOM);
    client.extend([0, 0, 2, 0x13, 1, 1, 0, 0, 9, 0, 16, 0, 5, 0, 3, 2, b'h', b'3']);
    let mut server = vec![3, 3];
    server.extend([0x42; 32]);
    server.extend([0, 0x13, 1, 0, 0, 6, 0, 43, 0, 2, 3, 4]);
    for (down, label, kind, body) in [(false, "client in", 1, client), (true, "server in", 2, server)] {
        let payload = crypto(kind, &body);
        let mut header = vec![version.first];
        header.extend(version.number.to_be_bytes());
        if down {
            header.extend([0, 8]);
            header.extend(SCID);
        } else {
            header.push(8);
            header.extend(DCID);
            header.push(0);
        }
        header.push(0);
        header.extend((0x4000 | (payload.len() as u16 + 20)).to_be_bytes());
        header.extend([0; 4]);
        pcap.udp(down, PORT, &Keys::new(version, label).seal(&header, 0, &payload));
    }
}

/// The capture of a connection whose streams hold the chunks.
pub fn conversation(data: &[u8]) -> Vec<u8> {
    let mut pcap = Pcap::new(101);
    let Some((head, rest)) = data.split_first() else { return pcap.bytes() };
    let version = &VERSIONS[usize::from(head & 1)];
    hellos(version, &mut pcap);
    let keys = SECRETS.map(|secret| Keys::of(version, secret));
    let mut numbers = [0_u32; 2];
    let mut offsets: BTreeMap<(u8, bool), u32> = BTreeMap::new();
    for chunk in chunks(rest) {
        let Some((first, content)) = chunk.data.split_first() else { continue };
        let side = usize::from(chunk.down);
        let mut payload = Vec::new();
        if first & 0x80 != 0 {
            payload.extend(content);
        } else {
            let offset = offsets.entry((first & 0x3f, chunk.down)).or_default();
            if matches!(chunk.fate, Fate::Lost) {
                *offset = offset.wrapping_add(100) & 0x3fff_ffff;
            }
            payload.extend([0x0e | first >> 6 & 1, first & 0x3f]);
            payload.extend((0x8000_0000 | *offset).to_be_bytes());
            payload.extend((0x4000 | content.len() as u16 & 0x3fff).to_be_bytes());
            payload.extend(content);
            *offset = offset.wrapping_add(content.len() as u32) & 0x3fff_ffff;
        }
        // Room for the sample.
        payload.extend([0; 4]);
        let mut header = vec![0x43];
        if !chunk.down {
            header.extend(SCID);
        }
        header.extend(numbers[side].to_be_bytes());
        pcap.udp(chunk.down, PORT, &keys[side].seal(&header, numbers[side], &payload));
        numbers[side] = numbers[side].wrapping_add(1);
    }
    pcap.bytes()
}

/// A key log: reading it again adds nothing, and nothing shows a secret.
pub fn log(data: &[u8]) -> Traits {
    let secrets = Secrets::default();
    let faults = secrets.read(data).expect("memory can be read");
    let shown = format!("{secrets:?}");
    assert_eq!(secrets.read(data).expect("memory can be read"), faults);
    assert_eq!(format!("{secrets:?}"), shown, "the same log again adds secrets");
    let text = faults.text().unwrap_or_default();
    let words = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    assert!(text.len() < 400 && !text.contains(|c: char| c.is_control()), "{text:?}");
    vec![mark(&[&words(&text)]), mark(&[&shown]), size_mark("malformed", faults.malformed)]
}
