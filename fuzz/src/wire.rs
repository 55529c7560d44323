//! Inputs into captures: a conversation on a protocol's port, or frames of a link type.
//!
//! Takes an input: a head byte, then chunks with two bytes before each. Gives a classic pcap. Any bytes are an input: a chunk that
//! claims more than is left gets what is left. Checksums are left out, as on a capture with offloading.
//!
//! Head byte of a conversation: bits 0 and 1 choose the IP protocol among those of the protocol, bits 2 to 4 the port (beyond the
//! list: a port that nothing has), bits 5 and 6 the size of TCP segments, bit 7 leaves out the SYN. Head of a chunk, big-endian: bit 15
//! the direction (set: from the server), bits 12 to 14 what happens to it ([`Fate`]), bits 0 to 11 its length.

use metaleak::dissect::{IpProto, Protocol};

/// A port that no protocol lists.
const ODD_PORT: u16 = 50_001;
const CLIENT_PORT: u16 = 40_000;
const CLIENT: [u8; 4] = [192, 168, 0, 7];
const SERVER: [u8; 4] = [203, 0, 113, 9];
/// Segments of a conversation; what is left goes in one piece.
const MAX_SEGMENTS: usize = 600;
/// Nanoseconds are not needed: packets are this many microseconds apart.
const STEP: u64 = 10_000;

/// A piece of an input.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// From the server.
    pub down: bool,
    /// What happens to it.
    pub fate: Fate,
    /// Its bytes.
    pub data: &'a [u8],
}

/// What happens to a chunk on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It comes as it was sent.
    Whole,
    /// Bytes before it are lost (TCP); it comes twice (datagrams).
    Lost,
    /// It begins with bytes that were sent before, changed (TCP); it comes minutes later (datagrams).
    Again,
    /// With a FIN (TCP).
    Last,
    /// Behind the next one.
    Late,
}

/// Splits an input into its chunks.
pub fn chunks(mut rest: &[u8]) -> Vec<Chunk<'_>> {
    let mut out = Vec::new();
    while let Some((head, behind)) = rest.split_first_chunk::<2>() {
        let head = u16::from_be_bytes(*head);
        let (data, left) = behind.split_at(usize::from(head & 0x0fff).min(behind.len()));
        let fate = match head >> 12 & 7 {
            4 => Fate::Lost,
            5 => Fate::Again,
            6 => Fate::Last,
            7 => Fate::Late,
            _ => Fate::Whole,
        };
        out.push(Chunk { down: head & 0x8000 != 0, fate, data });
        rest = left;
    }
    out
}

/// A classic pcap under construction.
pub struct Pcap {
    out: Vec<u8>,
    micros: u64,
}

impl Pcap {
    /// Little-endian, microseconds.
    pub fn new(link: u16) -> Pcap {
        let mut out = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        out.extend(262_144_u32.to_le_bytes());
        out.extend(u32::from(link).to_le_bytes());
        Pcap { out, micros: 1_700_000_000_000_000 }
    }

    /// Lets time pass.
    pub fn wait(&mut self, seconds: u64) {
        self.micros += seconds * 1_000_000;
    }

    /// Adds a frame.
    pub fn frame(&mut self, bytes: &[u8]) {
        self.micros += STEP;
        self.out.extend(((self.micros / 1_000_000) as u32).to_le_bytes());
        self.out.extend(((self.micros % 1_000_000) as u32).to_le_bytes());
        let length = (bytes.len() as u32).to_le_bytes();
        self.out.extend(length);
        self.out.extend(length);
        self.out.extend(bytes);
    }

    /// Adds a raw IPv4 packet between the two fixed ends.
    pub fn ip(&mut self, down: bool, protocol: u8, transport: &[u8]) {
        let (from, to) = if down { (SERVER, CLIENT) } else { (CLIENT, SERVER) };
        let mut p = vec![0x45, 0];
        p.extend(((20 + transport.len()) as u16).to_be_bytes());
        p.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
        p.extend(from);
        p.extend(to);
        p.extend(transport);
        self.frame(&p);
    }

    /// Adds a datagram.
    pub fn udp(&mut self, down: bool, server_port: u16, payload: &[u8]) {
        let mut t = ports(down, server_port);
        t.extend(((8 + payload.len()) as u16).to_be_bytes());
        t.extend([0, 0]);
        t.extend(payload);
        self.ip(down, 17, &t);
    }

    fn tcp(&mut self, down: bool, server_port: u16, at: [u32; 2], flags: u8, payload: &[u8]) {
        let [sequence, acknowledged] = at;
        let mut t = ports(down, server_port);
        t.extend(sequence.to_be_bytes());
        t.extend(acknowledged.to_be_bytes());
        t.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        t.extend(payload);
        self.ip(down, 6, &t);
    }

    /// The file.
    pub fn bytes(self) -> Vec<u8> {
        self.out
    }
}

fn ports(down: bool, server_port: u16) -> Vec<u8> {
    let (from, to) = if down { (server_port, CLIENT_PORT) } else { (CLIENT_PORT, server_port) };
    [from.to_be_bytes(), to.to_be_bytes()].concat()
}

/// The capture of a conversation on one of the protocol's ports.
pub fn conversation(p: &Protocol, data: &[u8]) -> Vec<u8> {
    let Some((head, rest)) = data.split_first() else { return Pcap::new(101).bytes() };
    let over = p.over[usize::from(head & 3) % p.over.len()];
    let port = p.ports.get(usize::from(head >> 2 & 7)).copied().unwrap_or(ODD_PORT);
    let chunks = chunks(rest);
    match over {
        IpProto::TCP => {
            let size = [usize::MAX, 1, 7, 100][usize::from(head >> 5 & 3)];
            stream(port, &chunks, size, head & 0x80 == 0)
        }
        IpProto::UDP => datagrams(&chunks, |pcap, chunk| pcap.udp(chunk.down, port, chunk.data)),
        IpProto(other) => datagrams(&chunks, |pcap, chunk| pcap.ip(chunk.down, other, chunk.data)),
    }
}

fn datagrams(chunks: &[Chunk<'_>], send: impl Fn(&mut Pcap, &Chunk<'_>)) -> Vec<u8> {
    let mut pcap = Pcap::new(101);
    let mut late = None;
    for chunk in chunks {
        match chunk.fate {
            Fate::Late => {
                late.get_or_insert(chunk);
                continue;
            }
            Fate::Lost => send(&mut pcap, chunk),
            Fate::Again => pcap.wait(200),
            Fate::Whole | Fate::Last => {}
        }
        send(&mut pcap, chunk);
        if let Some(late) = late.take() {
            send(&mut pcap, late);
        }
    }
    if let Some(late) = late {
        send(&mut pcap, late);
    }
    pcap.bytes()
}

fn stream(port: u16, chunks: &[Chunk<'_>], size: usize, opened: bool) -> Vec<u8> {
    const ACK: u8 = 0x10;
    const PUSH: u8 = 0x18;
    const SYN: u8 = 2;
    const FIN: u8 = 1;
    let mut pcap = Pcap::new(101);
    // Close to the end of the sequence space, so that it wraps.
    let mut next = [0xffff_ff00_u32, 5000];
    if opened {
        pcap.tcp(false, port, [next[0].wrapping_sub(1), 0], SYN, &[]);
        pcap.tcp(true, port, [next[1].wrapping_sub(1), next[0]], SYN | ACK, &[]);
    }
    let mut late: Option<(bool, u32, Vec<u8>)> = None;
    let mut segments = 0;
    for chunk in chunks {
        let from = usize::from(chunk.down);
        let mut data = chunk.data.to_vec();
        match chunk.fate {
            Fate::Lost => next[from] = next[from].wrapping_add(1 + data.len() as u32 % 50),
            Fate::Again => {
                next[from] = next[from].wrapping_sub(5);
                data.splice(..0, [b'x'; 5]);
            }
            _ => {}
        }
        if chunk.fate == Fate::Late && late.is_none() {
            late = Some((chunk.down, next[from], data));
            next[from] = next[from].wrapping_add(chunk.data.len() as u32);
            continue;
        }
        let mut rest = data.as_slice();
        while !rest.is_empty() {
            segments += 1;
            let size = if segments > MAX_SEGMENTS { rest.len() } else { size.min(rest.len()) };
            let (segment, left) = rest.split_at(size);
            pcap.tcp(chunk.down, port, [next[from], next[1 - from]], PUSH, segment);
            next[from] = next[from].wrapping_add(size as u32);
            rest = left;
        }
        if let Some((down, at, data)) = late.take() {
            pcap.tcp(down, port, [at, next[usize::from(!down)]], PUSH, &data);
        }
        if chunk.fate == Fate::Last {
            pcap.tcp(chunk.down, port, [next[from], next[1 - from]], FIN | ACK, &[]);
            next[from] = next[from].wrapping_add(1);
        }
    }
    if let Some((down, at, data)) = late {
        pcap.tcp(down, port, [at, next[usize::from(!down)]], PUSH, &data);
    }
    pcap.bytes()
}

/// The capture of frames: the first byte chooses the link type, chunks are frames.
pub fn frames(data: &[u8]) -> Vec<u8> {
    const LINKS: [u16; 15] = [1, 101, 0, 9, 50, 105, 108, 113, 127, 228, 229, 239, 276, 12, 147];
    let Some((head, rest)) = data.split_first() else { return Pcap::new(1).bytes() };
    let mut pcap = Pcap::new(LINKS[usize::from(*head) % LINKS.len()]);
    for chunk in chunks(rest) {
        if chunk.fate == Fate::Again {
            pcap.wait(200);
        }
        pcap.frame(chunk.data);
    }
    pcap.bytes()
}
