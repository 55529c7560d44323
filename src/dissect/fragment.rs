//! IP fragments put together (RFC 791 section 3.2, RFC 8200 section 4.5).
//!
//! Takes fragments in any order; gives the datagram with the frames it came from once the last hole is filled. Where
//! fragments overlap, the bytes seen first win. Bounded: at most [`MAX_DATAGRAMS`] are open, the oldest is given up.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::packet::{Fragment, IpProto};

/// Datagrams that may be incomplete at one time.
pub(super) const MAX_DATAGRAMS: usize = 1024;

/// The largest datagram, bytes.
const MAX_SIZE: usize = 65_535;

/// Nanoseconds of capture time after which parts no longer belong together (RFC 8200: 60 seconds).
const LIFETIME_NS: i64 = 60_000_000_000;

/// Ends, protocol, identification, and the network: those of tunnels choose identifications each on its own.
type Key = (IpAddr, IpAddr, IpProto, u32, u32);

/// A datagram that is whole again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Datagram {
    /// Its bytes, from the transport header on.
    pub bytes: Vec<u8>,
    /// The frames of its fragments, ascending.
    pub frames: Vec<u64>,
}

#[derive(Default)]
struct Open {
    started: i64,
    bytes: Vec<u8>,
    /// Ranges of `bytes` that are filled, start to end, disjoint.
    filled: BTreeMap<usize, usize>,
    total: Option<usize>,
    frames: Vec<u64>,
}

/// All datagrams of which parts are missing.
#[derive(Default)]
pub(super) struct Pool {
    open: BTreeMap<Key, Open>,
}

impl Pool {
    /// Adds a fragment; the datagram when it is whole now.
    pub(super) fn add(&mut self, f: &Fragment<'_>) -> Option<Datagram> {
        let key = (f.src, f.dst, f.proto, f.id, f.network);
        let (start, end) = (f.offset as usize, f.offset as usize + f.payload.len());
        if end > MAX_SIZE {
            return None;
        }
        if !self.open.contains_key(&key) && self.open.len() >= MAX_DATAGRAMS {
            let oldest = self.open.iter().min_by_key(|(_, o)| o.started).map(|(k, _)| *k);
            oldest.and_then(|k| self.open.remove(&k));
        }
        let open = self.open.entry(key).or_default();
        if open.frames.is_empty() {
            open.started = f.time.0;
        } else if f.time.0.saturating_sub(open.started) > LIFETIME_NS {
            *open = Open { started: f.time.0, ..Open::default() };
        }
        if open.bytes.len() < end {
            open.bytes.resize(end, 0);
        }
        let ends = !f.more && open.total.is_none();
        if ends {
            open.total = Some(end);
        }
        // Repetition is not among the datagram's frames: it brought nothing, and there may be any amount of it.
        if open.fill(start, f.payload) || ends || open.frames.is_empty() {
            open.frames.push(f.frame);
        }
        let whole = open.total.is_some_and(|t| open.filled.first_key_value() == Some((&0, &t)) || t == 0);
        if !whole {
            return None;
        }
        let open = self.open.remove(&key)?;
        let mut bytes = open.bytes;
        bytes.truncate(open.total.unwrap_or_default());
        let mut frames = open.frames;
        frames.sort_unstable();
        frames.dedup();
        Some(Datagram { bytes, frames })
    }
}

impl Open {
    /// Writes `data` at `start` where nothing stands yet, and joins the ranges; whether there was such a place. Looks only at the
    /// ranges around: a sender may leave thousands of holes.
    fn fill(&mut self, start: usize, data: &[u8]) -> bool {
        let end = start + data.len();
        let (mut at, mut new) = (start, false);
        let before = self.filled.range(..start).next_back().map(|(s, e)| (*s, *e));
        let overlapping = self.filled.range(start..end).map(|(s, e)| (*s, *e));
        for (s, e) in before.into_iter().chain(overlapping).filter(|(_, e)| *e > start).chain([(end, end)]) {
            if at < s {
                new = true;
                let from = data.get(at - start..s - start).unwrap_or_default();
                if let Some(to) = self.bytes.get_mut(at..s) {
                    to.copy_from_slice(from);
                }
            }
            at = at.max(e);
        }
        let (mut low, mut high) = (start, end);
        if let Some((s, e)) = before.filter(|(_, e)| *e >= start) {
            (low, high) = (s, high.max(e));
        }
        while let Some((s, e)) = self.filled.range(start..=end).next().map(|(s, e)| (*s, *e)) {
            self.filled.remove(&s);
            high = high.max(e);
        }
        // Bytes behind a total that an earlier fragment fixed do not make it incomplete.
        if let Some(total) = self.total {
            high = high.min(total.max(low));
        }
        self.filled.insert(low, high);
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::packet::Tunnel;
    use crate::model::CaptureTime;

    fn part(offset: u32, more: bool, payload: &[u8], frame: u64) -> Fragment<'_> {
        Fragment {
            frame,
            time: CaptureTime(0),
            wire_len: 0,
            file_offset: 0,
            src: IpAddr::from([10, 0, 0, 1]),
            dst: IpAddr::from([10, 0, 0, 2]),
            proto: IpProto::UDP,
            id: 7,
            offset,
            more,
            payload,
            tunnel: Tunnel::default(),
            network: 0,
        }
    }

    #[test]
    fn any_order_gives_the_datagram() {
        let parts = [part(0, true, b"abcdefgh", 1), part(8, true, b"ijklmnop", 2), part(16, false, b"qr", 3)];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1], [2, 0, 1], [1, 0, 2]] {
            let mut pool = Pool::default();
            let whole: Vec<_> = order.iter().filter_map(|i| pool.add(&parts[*i])).collect();
            assert_eq!(
                whole,
                [Datagram { bytes: b"abcdefghijklmnopqr".to_vec(), frames: vec![1, 2, 3] }],
                "{order:?}"
            );
        }
    }

    #[test]
    fn the_first_bytes_win_where_fragments_overlap() {
        let mut pool = Pool::default();
        assert_eq!(pool.add(&part(0, true, b"AAAAAAAA", 1)), None);
        assert_eq!(pool.add(&part(4, true, b"bbbbbbbb", 2)), None);
        let whole = pool.add(&part(12, false, b"cc", 3)).unwrap();
        assert_eq!(whole.bytes, b"AAAAAAAAbbbbcc");
    }

    #[test]
    fn those_of_two_networks_are_not_joined() {
        let mut pool = Pool::default();
        let other = |f: Fragment<'static>| Fragment { network: 8, ..f };
        assert_eq!(pool.add(&part(0, true, b"abcdefgh", 1)), None);
        assert_eq!(pool.add(&other(part(8, false, b"two", 2))), None);
        assert_eq!(pool.add(&other(part(0, true, b"ABCDEFGH", 3))).unwrap().bytes, b"ABCDEFGHtwo");
        assert_eq!(pool.add(&part(8, false, b"one", 4)).unwrap().bytes, b"abcdefghone");
    }

    #[test]
    fn repetition_is_bounded_and_holes_cost_no_walk() {
        let mut pool = Pool::default();
        for round in 0..3 {
            for hole in 0..4000 {
                assert_eq!(
                    pool.add(&part(16 * hole, true, b"xxxxxxxx", u64::from(hole) + 10_000 * round)),
                    None
                );
            }
        }
        let open = pool.open.values().next().unwrap();
        assert_eq!((open.filled.len(), open.frames.len()), (4000, 4000));
        // What lies between joins them again.
        let rest = vec![b'y'; 64_000];
        assert_eq!(pool.add(&part(0, true, &rest, 90_000)), None);
        assert_eq!(pool.open.values().next().unwrap().filled.len(), 1);
        let whole = pool.add(&part(64_000, false, b"end", 90_001)).unwrap();
        assert_eq!((whole.bytes.len(), &whole.bytes[..16]), (64_003, &b"xxxxxxxxyyyyyyyy"[..]));
        assert_eq!((whole.frames.len(), whole.frames.last()), (4002, Some(&90_001)));
    }

    #[test]
    fn open_datagrams_are_bounded() {
        let mut pool = Pool::default();
        for id in 0..(MAX_DATAGRAMS as u32 * 2) {
            let mut f = part(0, true, b"xxxxxxxx", 1);
            f.id = id;
            f.time = CaptureTime(i64::from(id));
            assert_eq!(pool.add(&f), None);
        }
        assert_eq!(pool.open.len(), MAX_DATAGRAMS);
    }
}
