//! How far a device's clock is ahead of the recorder's, from handshakes that both recorded.
//!
//! Takes two captures of the same time; gives a [`ClockOffset`] with its error, or nothing where they have no handshake in common. A
//! handshake is known again by what address translation leaves alone: sequence and acknowledgement numbers and the server's port of
//! SYN and SYN-ACK (RFC 9293 section 3.5). A packet needs some time from one end to the other and never less than none, so a packet that
//! the device sends bounds the offset from below and one that it receives bounds it from above; the estimate lies halfway between the
//! medians of both directions (as RFC 5905 section 8 does with one exchange), the error reaches to the farther bound.

use std::collections::BTreeMap;
use std::path::Path;

use etherparse::{NetHeaders, PacketHeaders, TransportHeader};

use crate::capture::{self, Batch, CaptureError, LinkType};
use crate::model::ClockOffset;

/// Handshakes of one capture that are kept.
const MAX_HANDSHAKES: usize = 100_000;

/// SYN or SYN-ACK, sequence number, acknowledgement number, port of the server.
type Key = (bool, u32, u32, u16);

/// When a capture saw each handshake packet first, nanoseconds since 1970.
///
/// # Errors
/// [`CaptureError`]
pub fn handshakes(path: &Path) -> Result<Handshakes, CaptureError> {
    let mut reader = capture::open(path)?;
    let (mut batch, mut seen) = (Batch::default(), Handshakes::default());
    while reader.next(&mut batch) {
        for frame in &batch.frames {
            if let Some(key) = key(batch.bytes(frame), frame.link)
                && seen.0.len() < MAX_HANDSHAKES
            {
                // One that is sent again has the same numbers; only the first pair is the same packet for certain.
                seen.0.entry(key).or_insert(frame.time.0);
            }
        }
    }
    Ok(seen)
}

/// The packets of handshakes in a capture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handshakes(BTreeMap<Key, i64>);

fn key(bytes: &[u8], link: LinkType) -> Option<Key> {
    let headers = match link {
        LinkType::ETHERNET => PacketHeaders::from_ethernet_slice(bytes).ok()?,
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => PacketHeaders::from_ip_slice(bytes).ok()?,
        LinkType::LINUX_SLL => PacketHeaders::from_ip_slice(bytes.get(16..)?).ok()?,
        // LINKTYPE_LINUX_SLL2
        LinkType(276) => PacketHeaders::from_ip_slice(bytes.get(20..)?).ok()?,
        _ => return None,
    };
    matches!(headers.net, Some(NetHeaders::Ipv4(..) | NetHeaders::Ipv6(..))).then_some(())?;
    let Some(TransportHeader::Tcp(tcp)) = headers.transport else { return None };
    match (tcp.syn, tcp.ack) {
        (true, false) => Some((false, tcp.sequence_number, 0, tcp.destination_port)),
        (true, true) => Some((true, tcp.sequence_number, tcp.acknowledgment_number, tcp.source_port)),
        _ => None,
    }
}

/// The middle of sorted numbers.
fn median(sorted: &[i64]) -> Option<i64> {
    let half = sorted.len() / 2;
    let upper = *sorted.get(half)?;
    if sorted.len() % 2 == 1 { Some(upper) } else { Some(sorted.get(half.checked_sub(1)?)?.midpoint(upper)) }
}

/// How far the device's clock is ahead; `None` without a handshake of both directions in both captures.
#[must_use]
pub fn offset(device: &Handshakes, recorder: &Handshakes) -> Option<ClockOffset> {
    let (mut up, mut down) = (Vec::new(), Vec::new());
    for (key, at_device) in &device.0 {
        let Some(at_recorder) = recorder.0.get(key) else { continue };
        let ahead = at_device.saturating_sub(*at_recorder);
        if key.0 { down.push(ahead) } else { up.push(ahead) }
    }
    up.sort_unstable();
    down.sort_unstable();
    let offset = median(&up)?.midpoint(median(&down)?);
    // The true one is between these two, unless a clock ran or jumped meanwhile; then their distance is still how much they disagree.
    let (low, high) = (*up.last()?, *down.first()?);
    let error = offset.abs_diff(low).max(offset.abs_diff(high));
    Some(ClockOffset { offset_ns: offset, error_ns: error, pairs: (up.len() + down.len()) as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn pair(planted: i64, many: u32) -> (Handshakes, Handshakes) {
        let mut random = Random::new(planted.unsigned_abs() + 1);
        let (mut device, mut recorder) = (Handshakes::default(), Handshakes::default());
        for i in 0..many {
            let at = 1_700_000_000_000_000_000 + i64::from(i) * 1_000_000_000;
            // A wireless hop: 2 ms, now and then much more, and more on the way down.
            let mut delay = |most: usize| {
                2_000_000 + random.below(most) as i64 + if random.below(10) == 0 { 60_000_000 } else { 0 }
            };
            let (up, down) = (delay(4_000_000), delay(12_000_000));
            device.0.insert((false, i, 0, 443), at + planted);
            recorder.0.insert((false, i, 0, 443), at + up);
            recorder.0.insert((true, i, i + 1, 443), at + 30_000_000);
            device.0.insert((true, i, i + 1, 443), at + 30_000_000 + down + planted);
        }
        (device, recorder)
    }

    #[test]
    fn planted_offsets_are_found_within_20_ms() {
        for planted in
            [-30_000_000_000, -1_234_567_890, -5_000_000, 0, 7_000_000, 999_000_000, 30_000_000_000]
        {
            let (device, recorder) = pair(planted, 25);
            let found = offset(&device, &recorder).unwrap();
            let off = found.offset_ns.abs_diff(planted);
            assert!(off <= 20_000_000, "{planted}: {found:?}");
            assert!(off <= found.error_ns && found.error_ns < 50_000_000, "{planted}: {found:?}");
            assert_eq!(found.pairs, 50);
        }
    }

    #[test]
    fn without_both_directions_nothing_is_said() {
        let (mut device, recorder) = pair(5, 3);
        device.0.retain(|key, _| !key.0);
        assert_eq!(offset(&device, &recorder), None);
        assert_eq!(offset(&Handshakes::default(), &recorder), None);
    }

    #[test]
    fn handshakes_are_read_from_captures() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/xmpp-clear.pcap");
        let seen = handshakes(&path).unwrap();
        assert!(seen.0.keys().any(|k| k.0) && seen.0.keys().any(|k| !k.0), "{seen:?}");
        let same = offset(&seen, &seen).unwrap();
        assert_eq!((same.offset_ns, same.error_ns), (0, 0));
    }
}
