//! Canaries in bytes that may hold containers: gzip and Zstandard, also written as base64 or hex, known by their first bytes.
//!
//! Takes the bytes of one direction in order; searches them, opens what begins like a container, and searches its content
//! again, three deep at most. Gives each hit with the layers around it and the marks (frames, for whoever calls) of all bytes
//! from the container's beginning. Formats without such a beginning (deflate, Brotli) are opened only by those who know of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use super::canary::{CanarySet, CanaryState, Hit};
use super::unpack::{Coding, Fault, Unpacker};

/// Containers within containers.
pub const MAX_DEPTH: usize = 3;
/// Marks of a container: its first ones, and the last.
const MAX_MARKS: usize = 64;
/// Bytes of a container: of a longer one the beginning is searched.
const MAX_TAKEN: u64 = 4 << 20;
/// Bytes that the containers of one [`Room`] may keep together to unpack on: what is more is given up where it stands.
const MAX_HELD: u64 = 8 << 20;

/// What may be unpacked in one [`Room`] before any byte of traffic earned it.
const FREE: i64 = 16 << 20;
/// What each byte of traffic earns on top: text unpacks to less than thirty times its size, twice over.
const EARNED: i64 = 64;
/// What opening a container costs, however little it holds.
const OPENING: i64 = 1 << 10;

/// What containers keep in memory together and what they may unpack together, over all scanners that have this room; a clone is the same
/// one. Of one thread at a time, or what is given up would depend on threads.
#[derive(Clone, Debug, Default)]
pub struct Room(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    held: AtomicU64,
    /// Bytes that may be unpacked yet.
    left: AtomicI64,
    /// It was said that nothing is left.
    told: AtomicBool,
}

impl Default for Shared {
    fn default() -> Shared {
        Shared { held: AtomicU64::new(0), left: AtomicI64::new(FREE), told: AtomicBool::new(false) }
    }
}

impl Room {
    /// So many bytes more came over the network: in proportion to them is unpacked, so that bombs within bombs cost no more time than
    /// as many bytes of anything else.
    pub fn earn(&self, bytes: u64) {
        self.0.left.fetch_add(i64::try_from(bytes).unwrap_or(i64::MAX / EARNED) * EARNED, Ordering::Relaxed);
    }

    /// Takes so much of what is left.
    fn spend(&self, bytes: i64) {
        self.0.left.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Nothing is left to unpack.
    fn spent(&self) -> bool {
        self.0.left.load(Ordering::Relaxed) <= 0
    }

    /// In words, once, that nothing is left.
    fn tell(&self) -> Option<String> {
        let first = !self.0.told.swap(true, Ordering::Relaxed);
        first.then(|| {
            "containers unpack to more than 64 times the traffic that carried them: further ones are not opened \
             as long as that is so"
                .to_owned()
        })
    }
}

/// One container's share of a room, given back with it.
#[derive(Debug)]
struct Share {
    room: Room,
    bytes: u64,
}

impl Share {
    /// The container keeps so many bytes now; whether there is room for them.
    fn set(&mut self, bytes: u64) -> bool {
        let before = std::mem::replace(&mut self.bytes, bytes);
        let held = &self.room.0.held;
        let others = held.fetch_sub(before, Ordering::Relaxed) - before;
        held.fetch_add(bytes, Ordering::Relaxed);
        others + bytes <= MAX_HELD
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// What a container begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    /// Its first four bytes.
    pub(super) bytes: [u8; 4],
    text: Option<Text>,
    coding: Coding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    Base64,
    Hex,
}

/// All beginnings of containers.
pub(super) fn markers() -> Vec<Marker> {
    let mut all = Vec::new();
    let mut add = |bytes: [u8; 4], text, coding| all.push(Marker { bytes, text, coding });
    // RFC 1952 section 2.3.1: magic, method, five flags.
    for flags in 0..32 {
        add([0x1f, 0x8b, 8, flags], None, Coding::Gzip);
    }
    add([0x28, 0xb5, 0x2f, 0xfd], None, Coding::Zstd);
    add(*b"H4sI", Some(Text::Base64), Coding::Gzip);
    add(*b"KLUv", Some(Text::Base64), Coding::Zstd);
    // The two headers of zlib that its usual levels write (78 9c, 78 da), and any byte behind.
    for third in b"wxyz".iter().map(|c| [b'e', b'J', *c]).chain(b"opqr".iter().map(|c| [b'e', b'N', *c])) {
        for fourth in super::base64::STANDARD {
            let [a, b, c] = third;
            add([a, b, c, *fourth], Some(Text::Base64), Coding::Zlib);
        }
    }
    add(*b"1f8b", Some(Text::Hex), Coding::Gzip);
    add(*b"1F8B", Some(Text::Hex), Coding::Gzip);
    add(*b"28b5", Some(Text::Hex), Coding::Zstd);
    add(*b"28B5", Some(Text::Hex), Coding::Zstd);
    all
}

impl Marker {
    /// Text that goes on before the marker is not a container's beginning.
    pub(super) fn may_follow(self, before: Option<u8>) -> bool {
        match (self.text, before) {
            (None, _) | (_, None) => true,
            (Some(Text::Base64), Some(b)) => !(b.is_ascii_alphanumeric() || b"+/-_".contains(&b)),
            (Some(Text::Hex), Some(b)) => !b.is_ascii_hexdigit(),
        }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A canary in the bytes themselves.
    Here(Hit),
    /// A canary in a container: its `encoding` begins with the container's layers, its range is that of the container as far
    /// as it was read.
    Within(Hit, Vec<u64>),
    /// A container was given up; the offset of its beginning, and why, in words.
    GivenUp(u64, String),
}

/// The search in one direction; [`Default`] is the beginning.
#[derive(Debug, Default)]
pub struct Scanner {
    canaries: CanaryState,
    open: Option<Box<Container>>,
    /// Up to here, bytes belong to a container that is closed.
    busy: u64,
    room: Room,
}

#[derive(Debug)]
struct Container {
    start: u64,
    /// Where the bytes end that were read of it.
    end: u64,
    /// How many containers deep it may go, itself among them.
    depth: usize,
    layers: Vec<String>,
    text: Option<Decoder>,
    unpacker: Unpacker,
    inner: Scanner,
    content: u64,
    taken: u64,
    marks: Vec<u64>,
    share: Share,
}

/// Text that is being decoded.
#[derive(Debug)]
struct Decoder {
    text: Text,
    bits: u32,
    have: u32,
    ended: bool,
}

impl Decoder {
    /// The bytes of the text's next part; stops at the first character that is none of it.
    fn push(&mut self, data: &[u8]) -> (Vec<u8>, usize) {
        let mut out = Vec::with_capacity(data.len());
        for (at, &byte) in data.iter().enumerate() {
            let (value, width) = match (self.text, byte) {
                // Line breaks, and the `\` of JSON's `\/`.
                (_, b'\r' | b'\n' | b'\\') => continue,
                (Text::Hex, _) => (char::from(byte).to_digit(16), 4),
                (Text::Base64, _) => (super::base64::sextet(byte), 6),
            };
            let Some(value) = value else {
                self.ended = true;
                return (out, at);
            };
            self.bits = self.bits << width | value;
            self.have += width;
            if self.have >= 8 {
                self.have -= 8;
                out.push((self.bits >> self.have) as u8);
                self.bits &= (1 << self.have) - 1;
            }
        }
        (out, data.len())
    }
}

impl Scanner {
    /// Its containers share this room with those of other scanners.
    pub fn share(&mut self, room: &Room) {
        if !Arc::ptr_eq(&self.room.0, &room.0) {
            self.room = room.clone();
        }
    }

    /// Searches the next bytes, `offset` being that of their first one. `containers` says whether containers may begin in
    /// them; `marks` gives the marks of a range of offsets, `found` takes what is found.
    pub fn feed(
        &mut self,
        set: &CanarySet,
        offset: u64,
        bytes: &[u8],
        containers: bool,
        marks: &mut dyn FnMut(u64, u64) -> Vec<u64>,
        found: &mut dyn FnMut(Found),
    ) {
        self.feed_at(set, offset, bytes, if containers { MAX_DEPTH } else { 0 }, marks, found);
    }

    /// No more bytes come, or none that adjoin: what a container that is not whole holds back is searched.
    pub fn finish(&mut self, set: &CanarySet, found: &mut dyn FnMut(Found)) {
        if let Some(mut container) = self.open.take() {
            container.finish(set, found);
        }
    }

    fn feed_at(
        &mut self,
        set: &CanarySet,
        offset: u64,
        bytes: &[u8],
        depth: usize,
        marks: &mut dyn FnMut(u64, u64) -> Vec<u64>,
        found: &mut dyn FnMut(Found),
    ) {
        if set.is_empty() || bytes.is_empty() {
            return;
        }
        if !self.canaries.adjoins(offset) {
            self.finish(set, found);
            self.busy = 0;
        }
        let end = offset.saturating_add(bytes.len() as u64);
        self.go_on(set, offset, bytes, depth, marks, found);
        let mut begun = Vec::new();
        set.feed_with_markers(
            &mut self.canaries,
            offset,
            bytes,
            &mut |hit| found(Found::Here(hit)),
            &mut |marker, at| {
                if depth > 0 {
                    begun.push((marker, at));
                }
            },
        );
        for (marker, at) in begun {
            if self.open.is_some() || at < self.busy {
                continue;
            }
            if self.room.spent() {
                if let Some(why) = self.room.tell() {
                    found(Found::GivenUp(at, why));
                }
                continue;
            }
            self.room.spend(OPENING);
            let id = match marker.text {
                None => None,
                Some(Text::Base64) => Some("base64"),
                Some(Text::Hex) => Some("hex"),
            };
            let layers = id.into_iter().chain([marker.coding.id()]).map(str::to_owned).collect();
            let text = marker.text.map(|text| Decoder { text, bits: 0, have: 0, ended: false });
            let mut container = Container {
                start: at,
                end: at,
                depth,
                layers,
                text,
                unpacker: Unpacker::new(marker.coding),
                inner: Scanner { room: self.room.clone(), ..Scanner::default() },
                content: 0,
                taken: 0,
                marks: marks(at, end),
                share: Share { room: self.room.clone(), bytes: 0 },
            };
            // The marker itself may lie in earlier bytes.
            let rest = bytes.get((at + 4).saturating_sub(offset) as usize..).unwrap_or_default();
            let first = container.push(set, &marker.bytes, at + 4, depth, found);
            let open = match first {
                Pushed::More => container.push(set, rest, at + 4, depth, found),
                ended @ Pushed::Ended(_) => ended,
            };
            match open {
                Pushed::More => self.open = Some(Box::new(container)),
                Pushed::Ended(up_to) => self.busy = up_to,
            }
        }
    }

    /// Gives bytes to the container that is open.
    fn go_on(
        &mut self,
        set: &CanarySet,
        offset: u64,
        bytes: &[u8],
        depth: usize,
        marks: &mut dyn FnMut(u64, u64) -> Vec<u64>,
        found: &mut dyn FnMut(Found),
    ) {
        let Some(mut container) = self.open.take() else { return };
        for mark in marks(offset, offset.saturating_add(bytes.len() as u64)) {
            if container.marks.last() != Some(&mark) {
                if container.marks.len() >= MAX_MARKS {
                    container.marks.remove(MAX_MARKS / 2);
                }
                container.marks.push(mark);
            }
        }
        match container.push(set, bytes, offset, depth.max(1), found) {
            Pushed::More => self.open = Some(container),
            Pushed::Ended(up_to) => self.busy = up_to,
        }
    }
}

enum Pushed {
    More,
    /// It ends, or is given up, before this offset.
    Ended(u64),
}

impl Container {
    fn push(
        &mut self,
        set: &CanarySet,
        bytes: &[u8],
        offset: u64,
        depth: usize,
        found: &mut dyn FnMut(Found),
    ) -> Pushed {
        let decoded;
        let (packed, mut ended, mut used) = match &mut self.text {
            None => (bytes, false, None),
            Some(text) => {
                let (out, used) = text.push(bytes);
                decoded = out;
                (&decoded[..], text.ended, Some(used))
            }
        };
        let (layers, start) = (&self.layers, self.start);
        self.end = offset.saturating_add(bytes.len() as u64);
        let mut content = Content {
            layers,
            range: (start, self.end),
            marks: &self.marks,
            inner: &mut self.inner,
            size: &mut self.content,
        };
        let pushed = self.unpacker.push(packed, &mut |piece| content.search(set, piece, depth - 1, found));
        self.taken += packed.len() as u64;
        let fits = self.share.set(self.unpacker.held());
        if self.taken > MAX_TAKEN || !fits {
            self.unpacker.finish(&mut |piece| content.search(set, piece, depth - 1, found));
        }
        let mut give_up = |why: &str| found(Found::GivenUp(start, format!("{}: {why}", layers.join(" in "))));
        match pushed {
            Ok(taken) => {
                if self.unpacker.ended() {
                    ended = true;
                    used = used.or(Some(taken));
                }
                if self.taken > MAX_TAKEN {
                    give_up("of more than 4 MiB the beginning was searched");
                    ended = true;
                } else if !fits {
                    give_up("memory for what is unpacked was short, the beginning was searched");
                    ended = true;
                }
            }
            Err(Fault::Broken) => {
                // What only looked like a container is searched for others from its beginning on.
                return Pushed::Ended(start + 1);
            }
            Err(Fault::Long) => {
                give_up("of more than 8 MiB of content the beginning was searched");
                ended = true;
            }
            Err(Fault::Bomb) => {
                give_up("unpacks to more than a hundred times its size and was given up");
                ended = true;
            }
        }
        if ended {
            // A text may end before what it holds does.
            self.finish(set, found);
            Pushed::Ended(offset.saturating_add(used.unwrap_or(bytes.len()) as u64))
        } else {
            Pushed::More
        }
    }

    /// Searches what the unpacking holds back, and the containers inside.
    fn finish(&mut self, set: &CanarySet, found: &mut dyn FnMut(Found)) {
        let depth = self.depth.saturating_sub(1);
        let mut content = Content {
            layers: &self.layers,
            range: (self.start, self.end),
            marks: &self.marks,
            inner: &mut self.inner,
            size: &mut self.content,
        };
        self.unpacker.finish(&mut |piece| content.search(set, piece, depth, found));
        content.finish(set, found);
    }
}

/// What a container holds, on its way to the search in it.
struct Content<'c> {
    layers: &'c [String],
    range: (u64, u64),
    marks: &'c [u64],
    inner: &'c mut Scanner,
    size: &'c mut u64,
}

impl Content<'_> {
    fn search(&mut self, set: &CanarySet, piece: &[u8], depth: usize, found: &mut dyn FnMut(Found)) {
        let (layers, range, marks) = (self.layers, self.range, self.marks);
        let mut outer = |what: Found| outside(layers, range, marks, what, found);
        self.inner.room.spend(piece.len() as i64);
        // The rest of what is being unpacked is still counted, not searched.
        if self.inner.room.spent() {
            if let Some(why) = self.inner.room.tell() {
                outer(Found::GivenUp(*self.size, why));
            }
        } else {
            self.inner.feed_at(set, *self.size, piece, depth, &mut |_, _| Vec::new(), &mut outer);
        }
        *self.size += piece.len() as u64;
    }

    fn finish(&mut self, set: &CanarySet, found: &mut dyn FnMut(Found)) {
        let (layers, range, marks) = (self.layers, self.range, self.marks);
        self.inner.finish(set, &mut |what| outside(layers, range, marks, what, found));
    }
}

/// What was found inside, as the outside knows it.
fn outside(
    layers: &[String],
    (start, end): (u64, u64),
    marks: &[u64],
    what: Found,
    found: &mut dyn FnMut(Found),
) {
    let hit = match what {
        Found::Here(hit) | Found::Within(hit, _) => hit,
        Found::GivenUp(_, why) => return found(Found::GivenUp(start, why)),
    };
    let encoding = layers.iter().cloned().chain(hit.encoding).collect();
    found(Found::Within(Hit { encoding, start, end, ..hit }, marks.to_vec()));
}

#[cfg(test)]
mod tests {
    use super::super::unpack::tests::packed;
    use super::*;

    /// A frame of Zstandard with a window of 8 MiB, four blocks of 128 KiB of one letter, the canary, and no end.
    fn large_window() -> Vec<u8> {
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x68];
        for _ in 0..4 {
            // A block of one repeated byte (RFC 8878 section 3.1.1.2.2).
            frame.extend(&((128_u32 << 10) << 3 | 1 << 1).to_le_bytes()[..3]);
            frame.push(b'a');
        }
        let text = b" canary-4711 ";
        frame.extend(&((text.len() as u32) << 3).to_le_bytes()[..3]);
        frame.extend(text);
        frame
    }

    #[test]
    fn many_frames_with_large_windows_share_their_memory() {
        let set = CanarySet::new(&[("c".into(), "canary-4711".into())]).unwrap();
        let room = Room::default();
        room.earn(1 << 20);
        let frame = large_window();
        let (mut scanners, mut given_up, mut most) = (Vec::new(), 0, 0);
        for _ in 0..100 {
            let mut scanner = Scanner::default();
            scanner.share(&room);
            scanner.feed(&set, 0, &frame, true, &mut |_, _| vec![1], &mut |what| {
                given_up += u64::from(matches!(what, Found::GivenUp(0, why) if why.contains("memory")));
            });
            most = most.max(room.0.held.load(Ordering::Relaxed));
            scanners.push(scanner);
        }
        // Each keeps the half MiB that came so far, the window's part of it.
        assert_eq!(given_up, 100 - MAX_HELD / ((512 << 10) + 13), "of 100");
        assert!(most <= MAX_HELD, "{most}");
        // What is held is searched in the end, and given back.
        let mut found = 0;
        for scanner in &mut scanners {
            scanner.finish(&set, &mut |what| found += u64::from(matches!(what, Found::Within(..))));
        }
        assert_eq!((found, room.0.held.load(Ordering::Relaxed)), (100 - given_up, 0));
    }

    fn found(data: &[u8], size: usize) -> Vec<String> {
        let set = CanarySet::new(&[("c".into(), "canary-4711".into())]).unwrap();
        let (mut scanner, mut at, mut all) = (Scanner::default(), 0, Vec::new());
        for (piece, number) in data.chunks(size).zip(1_u64..) {
            scanner.feed(&set, at, piece, true, &mut |_, _| vec![number], &mut |what| {
                all.push(match what {
                    Found::Here(hit) => hit.encoding.join(","),
                    Found::Within(hit, _) => format!("{} from {}", hit.encoding.join(","), hit.start),
                    Found::GivenUp(at, why) => format!("{at}: {why}"),
                });
            });
            at += piece.len() as u64;
        }
        all
    }

    fn base64(data: &[u8]) -> Vec<u8> {
        super::super::base64::encode(data, super::super::base64::STANDARD)
    }

    #[test]
    fn containers_are_opened_wherever_they_are_cut() {
        let text = b"words and words and words, canary-4711, words and words and words";
        let json = [b"{\"blob\":\"", &base64(text)[..], b"\"}"].concat();
        let gzip = packed(Coding::Gzip, text);
        let hex: Vec<u8> = gzip.iter().flat_map(|b| format!("{b:02x}").into_bytes()).collect();
        let lines: Vec<u8> = base64(&gzip).chunks(76).flat_map(|line| [line, b"\r\n"].concat()).collect();
        for (name, data, expected) in [
            ("gzip", gzip.clone(), "gzip from 2"),
            ("zstd", packed(Coding::Zstd, text), "zstd from 2"),
            ("base64", base64(&gzip), "base64,gzip from 2"),
            ("base64 of zlib", base64(&packed(Coding::Zlib, text)), "base64,deflate from 2"),
            ("in lines", lines, "base64,gzip from 2"),
            ("hex", hex, "hex,gzip from 2"),
            ("base64 in JSON in gzip", packed(Coding::Gzip, &json), "gzip,base64 from 2"),
            ("gzip in zstd", packed(Coding::Zstd, &packed(Coding::Gzip, text)), "zstd,gzip from 2"),
        ] {
            let data = [b"..", &data[..], b" end, canary-4711"].concat();
            for size in [1, 2, 3, 5, 17, 1400] {
                let mut all = found(&data, size);
                all.sort();
                // Zstandard keeps short words as they are: they are seen within the container too.
                all.dedup();
                assert_eq!(all, ["", expected], "{name} by {size}");
            }
        }
    }

    #[test]
    fn bombs_within_bombs_cost_what_their_traffic_earns() {
        let set = CanarySet::new(&[("c".into(), "canary-4711".into())]).unwrap();
        // Of each a thousand bytes hold a million, each of which the next one repeats.
        let one = packed(Coding::Gzip, &vec![0; 1_000_000]);
        let two = packed(Coding::Gzip, &one.repeat(1_000_000 / one.len()));
        let three = packed(Coding::Gzip, &two.repeat(1_000_000 / two.len()));
        for bomb in [three, one.repeat(1000), [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3].repeat(100_000)] {
            let data = [&bomb[..], b" and canary-4711 "].concat();
            let (mut scanner, room) = (Scanner::default(), Room::default());
            scanner.share(&room);
            let (mut told, mut seen) = (0, 0);
            for (at, piece) in data.chunks(1400).enumerate() {
                room.earn(piece.len() as u64);
                scanner.feed(&set, at as u64 * 1400, piece, true, &mut |_, _| Vec::new(), &mut |what| {
                    match what {
                        Found::GivenUp(_, why) => told += u32::from(why.contains("64 times")),
                        Found::Here(_) => seen += 1,
                        Found::Within(..) => {}
                    }
                });
            }
            assert_eq!((told, seen), (1, 1), "said once, and what stands in clear is found");
            // What one container unpacks at a time is all by which it is exceeded.
            let left = room.0.left.load(Ordering::Relaxed);
            assert!(left > -(16 << 20), "{left}");
        }
    }

    #[test]
    fn depth_and_size_are_bounded() {
        // Cut off: two blocks as they are, with a window of 8 MiB, of which the second is not all there.
        let cut = [&[0x28, 0xb5, 0x2f, 0xfd, 0, 0x68, 0x58, 0, 0][..], b"canary-4711", &[0x59, 0, 0], b"wor"]
            .concat();
        let (mut scanner, mut told) = (Scanner::default(), Vec::new());
        let set = CanarySet::new(&[("c".into(), "canary-4711".into())]).unwrap();
        scanner.feed(&set, 0, &cut, true, &mut |_, _| vec![7], &mut |found| told.push(found));
        // The block is not packed, so that its bytes are seen in clear too.
        assert!(matches!(told[..], [Found::Here(_)]), "nothing comes before the end: {told:?}");
        told.clear();
        scanner.finish(&set, &mut |found| told.push(found));
        let [Found::Within(hit, marks)] = &told[..] else { panic!("{told:?}") };
        assert_eq!(
            (&hit.encoding[0][..], hit.start, hit.end, &marks[..]),
            ("zstd", 0, cut.len() as u64, &[7][..])
        );
        // Each of many is in the one before, and all are cut: no deeper than others.
        let nested = [0x28, 0xb5, 0x2f, 0xfd, 0, 0x68, 0x00, 0x00, 0x10].repeat(10_000);
        scanner.feed(&set, 1000, &nested, true, &mut |_, _| Vec::new(), &mut |_| ());
        scanner.finish(&set, &mut |_| ());
        let deep = (0..5).fold(b"words and canary-4711".to_vec(), |data, _| packed(Coding::Gzip, &data));
        assert!(found(&deep, 1400).is_empty());
        let three = (0..3).fold(b"words and canary-4711".to_vec(), |data, _| packed(Coding::Gzip, &data));
        assert_eq!(found(&three, 1400), ["gzip,gzip,gzip from 0"]);
        let bomb = packed(Coding::Gzip, &vec![0; 16 << 20]);
        let all = found(&bomb, 1400);
        assert!(all.len() == 1 && all[0].contains("a hundred times"), "{all:?}");
    }
}
