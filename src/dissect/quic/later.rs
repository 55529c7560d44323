//! Packets behind the Initial ones, opened where secrets of the connection are known (RFC 9001 sections 5 and 6, RFC 9369).
//!
//! Takes Handshake, 0-RTT and 1-RTT packets; gives the handshake messages in them to [`tls`](crate::dissect::tls), and the streams,
//! put together, to HTTP/3 or DNS. Follows key phases, and ids of other lengths. A connection that goes on from another address
//! or port is another flow, of which nothing is opened. Bytes of streams that wait for lost ones are bounded for the connection.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::assemble::Assembler;
use super::frames::{self, Frame};
use super::header::{Long, Version};
use super::keys::{Role, full_number};
use crate::dissect::cipher::{HeaderCipher, Suite, TrafficKeys, suite};
use crate::dissect::crypto::expand_label_into;
use crate::dissect::flow::{Session, decrypted};
use crate::dissect::http3::Http3;
use crate::dissect::secrets::{Label, Secret, Secrets};
use crate::dissect::tls::Handshake;
use crate::dissect::unwrapped::Unwrapped;
use crate::dissect::{Cx, Frames};
use crate::model::Direction;

/// Packets that may stay shut one after the other before no more are tried.
const MAX_VAIN: u32 = 256;
/// Streams of a connection that are read at the same time.
const MAX_STREAMS: usize = 1024;
/// Bytes of all streams that wait for lost ones.
const MAX_WAITING: usize = 1 << 20;
/// How far ahead of a stream's next byte others are kept.
const WINDOW: u64 = 512 << 10;
/// Lengths of connection ids that are tried.
pub(super) const MAX_LENGTHS: usize = 4;

/// What stands for a version in the derivation of keys.
struct Labels {
    keys: [&'static str; 2],
    mask: &'static str,
    update: &'static str,
}

static V1: Labels = Labels { keys: ["quic key", "quic iv"], mask: "quic hp", update: "quic ku" };
static V2: Labels = Labels { keys: ["quicv2 key", "quicv2 iv"], mask: "quicv2 hp", update: "quicv2 ku" };

fn labels(version: Version) -> &'static Labels {
    if version == Version::V2 { &V2 } else { &V1 }
}

/// Keys of one sender for one stage. The mask stays the same over key updates.
struct Keys {
    secret: Secret,
    seal: TrafficKeys,
    mask: HeaderCipher,
    labels: &'static Labels,
}

impl Keys {
    fn derive(suite: Suite, secret: Secret, labels: &'static Labels) -> Option<Keys> {
        let seal = TrafficKeys::derive(suite, secret.bytes(), labels.keys)?;
        let mask = HeaderCipher::derive(suite, secret.bytes(), labels.mask)?;
        Some(Keys { secret, seal, mask, labels })
    }

    /// The secret and keys of the next key phase (RFC 9001 section 6.1).
    fn next(&self) -> Option<(Secret, TrafficKeys)> {
        let suite = self.seal.suite;
        let mut secret = vec![0; suite.hash.size()];
        expand_label_into(suite.hash, self.secret.bytes(), self.labels.update, &mut secret)?;
        let keys = TrafficKeys::derive(suite, &secret, self.labels.keys)?;
        Some((Secret::new(secret), keys))
    }
}

/// A packet's header without its mask.
struct Unmasked {
    header: Vec<u8>,
    number: u64,
}

/// Takes the mask off a header whose number begins at `number_at` (RFC 9001 section 5.4.1).
fn unmask(mask: &HeaderCipher, packet: &[u8], number_at: usize, largest: Option<u64>) -> Option<Unmasked> {
    let [first_mask, number_mask @ ..] = mask.mask(*packet.get(number_at + 4..)?.first_chunk()?);
    let mut header = packet.get(..number_at + 4)?.to_vec();
    let first = header.first_mut()?;
    *first ^= first_mask & if *first & 0x80 == 0 { 0x1f } else { 0x0f };
    let length = usize::from(*first & 3) + 1;
    header.truncate(number_at + length);
    let mut sent = 0;
    for (byte, mask) in header.iter_mut().skip(number_at).zip(number_mask) {
        *byte ^= mask;
        sent = sent << 8 | u64::from(*byte);
    }
    Some(Unmasked { header, number: full_number(sent, length as u32 * 8, largest) })
}

fn unseal(keys: &TrafficKeys, unmasked: &Unmasked, packet: &[u8]) -> Option<Vec<u8>> {
    keys.open(unmasked.number, &unmasked.header, packet.get(unmasked.header.len()..)?)
}

/// One of the two sides as a sender.
#[derive(Default)]
struct Sender {
    early: Option<Keys>,
    handshake: Option<Keys>,
    traffic: Option<Keys>,
    /// Those of the key phase before, for packets that were overtaken.
    before: Option<TrafficKeys>,
    phase: bool,
    /// Highest packet numbers: of Handshake packets, and of 0-RTT and 1-RTT ones.
    largest: [Option<u64>; 2],
    crypto: Assembler,
    /// Its handshake bytes are no messages.
    lost: bool,
}

/// A stream's bytes of one direction.
struct Stream {
    bytes: Assembler,
    /// Where it ends, once that was said.
    end: Option<u64>,
    /// Nothing more of it can be read.
    over: bool,
}

/// What the streams carry.
enum Content {
    Http3(Box<Http3>),
    Dns(BTreeMap<u64, Session>),
    /// Another protocol: searched for canaries.
    Other(BTreeMap<(u64, bool), Unwrapped>),
}

/// A connection of which secrets are known.
pub(super) struct Later {
    /// The client's random, by which its secrets are known.
    pub(super) random: [u8; 32],
    senders: [Sender; 2],
    streams: BTreeMap<(u64, bool), Stream>,
    waiting: usize,
    content: Option<Content>,
    vain: u32,
    closed: bool,
}

/// Which packet is to be opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Early,
    Handshake,
    Traffic,
}

/// What is known of the connection.
pub(super) struct Around<'a> {
    pub(super) version: Version,
    pub(super) secrets: &'a Secrets,
    pub(super) cipher: Option<u16>,
}

impl Later {
    pub(super) fn new(random: [u8; 32]) -> Later {
        Later {
            random,
            senders: Default::default(),
            streams: BTreeMap::new(),
            waiting: 0,
            content: None,
            vain: 0,
            closed: false,
        }
    }

    fn sender(&mut self, role: Role) -> &mut Sender {
        let [client, server] = &mut self.senders;
        if role == Role::Client { client } else { server }
    }

    /// Keys of a stage, derived when they are first asked for.
    fn prepare(&mut self, role: Role, stage: Stage, around: &Around<'_>) -> Option<()> {
        let label = match (stage, role) {
            (Stage::Early, Role::Client) => Label::ClientEarly,
            (Stage::Early, Role::Server) => return None,
            (Stage::Handshake, Role::Client) => Label::ClientHandshake,
            (Stage::Handshake, Role::Server) => Label::ServerHandshake,
            (Stage::Traffic, Role::Client) => Label::ClientTraffic,
            (Stage::Traffic, Role::Server) => Label::ServerTraffic,
        };
        let random = self.random;
        let sender = self.sender(role);
        let keys = match stage {
            Stage::Early => &mut sender.early,
            Stage::Handshake => &mut sender.handshake,
            Stage::Traffic => &mut sender.traffic,
        };
        if keys.is_none() {
            let secret = around.secrets.get(label, &random)?;
            let chosen = around.cipher.and_then(suite);
            *keys = Keys::derive(chosen?, secret, labels(around.version));
        }
        keys.is_some().then_some(())
    }

    /// Opens a packet with a long header.
    pub(super) fn open_long(
        &mut self,
        role: Role,
        stage: Stage,
        long: &Long<'_>,
        packet: &[u8],
        around: &Around<'_>,
    ) -> Option<Vec<u8>> {
        if self.vain >= MAX_VAIN {
            return None;
        }
        let mut ciphers = vec![around.cipher];
        if around.cipher.is_none() && stage == Stage::Early {
            // 0-RTT comes before the server has chosen: the suite is that of the session before (RFC 9001 section 4.6.1).
            ciphers = vec![Some(0x1301), Some(0x1302), Some(0x1303)];
        }
        let space = usize::from(stage != Stage::Handshake);
        for cipher in ciphers {
            let around = Around { cipher, ..*around };
            if self.prepare(role, stage, &around).is_none() {
                continue;
            }
            let sender = self.sender(role);
            let largest = sender.largest.get_mut(space)?;
            let keys = match stage {
                Stage::Early => &mut sender.early,
                _ => &mut sender.handshake,
            };
            let opened = keys.as_ref().and_then(|k| {
                let unmasked = unmask(&k.mask, packet, long.number_at, *largest)?;
                Some((unmasked.number, unseal(&k.seal, &unmasked, packet)?))
            });
            if let Some((number, payload)) = opened {
                *largest = (*largest).max(Some(number));
                self.vain = 0;
                return Some(payload);
            }
            if stage == Stage::Early {
                // The suite may have been a wrong guess.
                *keys = None;
            }
        }
        self.vain += 1;
        None
    }

    /// Opens a packet with a short header, whose id has one of these lengths.
    pub(super) fn open_short(
        &mut self,
        role: Role,
        lengths: &[usize],
        packet: &[u8],
        around: &Around<'_>,
    ) -> Option<Vec<u8>> {
        if self.vain >= MAX_VAIN {
            return None;
        }
        self.vain += 1;
        self.prepare(role, Stage::Traffic, around)?;
        let sender = self.sender(role);
        let [_, largest] = &mut sender.largest;
        let keys = sender.traffic.as_mut()?;
        for length in lengths {
            let Some(unmasked) = unmask(&keys.mask, packet, 1 + length, *largest) else { continue };
            let phase = unmasked.header.first().is_some_and(|f| f & 4 != 0);
            let payload = if phase == sender.phase {
                unseal(&keys.seal, &unmasked, packet)
            } else {
                let newer = keys.next().and_then(|(secret, next)| {
                    let payload = unseal(&next, &unmasked, packet)?;
                    keys.secret = secret;
                    sender.before = Some(std::mem::replace(&mut keys.seal, next));
                    sender.phase = phase;
                    Some(payload)
                });
                newer.or_else(|| unseal(sender.before.as_ref()?, &unmasked, packet))
            };
            if let Some(payload) = payload {
                *largest = (*largest).max(Some(unmasked.number));
                self.vain = 0;
                return Some(payload);
            }
        }
        None
    }

    /// The frames of an opened packet. Gives the lengths of new connection ids of the sender.
    #[expect(
        clippy::too_many_arguments,
        reason = "the packet, its place, and the handshake that it may go on with"
    )]
    pub(super) fn frames(
        &mut self,
        d: Direction,
        role: Role,
        stage: Stage,
        payload: &[u8],
        handshake: &mut Handshake,
        here: &Arc<Frames>,
        cx: &mut Cx<'_>,
    ) -> Vec<usize> {
        let mut lengths = Vec::new();
        let mut list = Vec::new();
        frames::later(payload, |frame| list.push(frame));
        for frame in list {
            match frame {
                Frame::Crypto(offset, bytes) if stage == Stage::Handshake => {
                    self.sender(role).crypto.push(offset, bytes, here);
                    self.messages(d, role, handshake, cx);
                }
                Frame::Stream { id, offset, data, end } => {
                    self.stream(d, role, (id, offset, data, end), here, handshake, cx);
                }
                Frame::Reset { id } => self.end(d, id, role, false, here, cx),
                Frame::NewId { length } => lengths.push(length),
                Frame::Datagram(data) if cx.searching() => {
                    let mut content = Unwrapped::new(&["quic-datagram"]);
                    decrypted(cx, |cx| {
                        cx.search_in(&mut content, data, here.all.clone(), 0);
                        cx.search_end(&mut content);
                    });
                }
                // Session tickets, of which nothing is told; nothing to search for.
                Frame::Crypto(..) | Frame::Datagram(_) => {}
                Frame::Close => self.finish(cx),
            }
        }
        lengths
    }

    fn messages(&mut self, d: Direction, role: Role, handshake: &mut Handshake, cx: &mut Cx<'_>) {
        let sender = self.sender(role);
        while !sender.lost {
            let [kind, a, b, c] = sender.crypto.peek(4)[..] else { return };
            let size = 4 + u32::from_be_bytes([0, a, b, c]) as usize;
            if size > super::assemble::WINDOW as usize {
                sender.lost = true;
                return;
            }
            let Some((message, frames)) = sender.crypto.take(size) else { return };
            let body = message.get(4..).unwrap_or_default();
            decrypted(cx, |cx| handshake.message(d, kind, body, &frames, cx));
        }
    }

    /// A piece of a stream.
    fn stream(
        &mut self,
        d: Direction,
        role: Role,
        (id, offset, data, end): (u64, u64, &[u8], bool),
        here: &Arc<Frames>,
        handshake: &Handshake,
        cx: &mut Cx<'_>,
    ) {
        if self.closed {
            return;
        }
        let key = (id, role == Role::Server);
        if !self.streams.contains_key(&key) {
            if self.streams.len() >= MAX_STREAMS {
                // The oldest that is over gives its place; where none is, a new one is not read.
                let over = self.streams.iter().find(|(_, s)| s.over).map(|(key, _)| *key);
                let Some(over) = over else { return };
                self.streams.remove(&over);
            }
            let fresh = Stream { bytes: Assembler::with_window(WINDOW), end: None, over: false };
            self.streams.insert(key, fresh);
        }
        let Some(stream) = self.streams.get_mut(&key).filter(|s| !s.over) else { return };
        if end {
            stream.end = Some(offset.saturating_add(data.len() as u64));
        }
        let before = stream.bytes.held();
        let too_far = !stream.bytes.reaches(offset.saturating_add(data.len() as u64));
        stream.bytes.push(offset, data, here);
        let mut pieces = Vec::new();
        while let Some(piece) = stream.bytes.take_piece() {
            pieces.push(piece);
        }
        let done = stream.end.is_some_and(|end| stream.bytes.next() >= end);
        self.waiting = (self.waiting + stream.bytes.held()).saturating_sub(before);
        let lost = !done && (too_far || self.waiting > MAX_WAITING);
        if done || lost {
            stream.over = true;
            self.waiting -= stream.bytes.held();
            stream.bytes = Assembler::default();
        }
        let mut latest = Arc::clone(here);
        for (bytes, frames) in pieces {
            self.content(d, id, role, &bytes, &frames, handshake, cx);
            latest = frames;
        }
        if done || lost {
            self.end(d, id, role, done, &latest, cx);
        }
    }

    /// The next bytes of a stream.
    #[expect(clippy::too_many_arguments, reason = "the place of the bytes, and what they are")]
    fn content(
        &mut self,
        d: Direction,
        id: u64,
        role: Role,
        bytes: &[u8],
        frames: &Arc<Frames>,
        handshake: &Handshake,
        cx: &mut Cx<'_>,
    ) {
        let content = self.content.get_or_insert_with(|| Content::of(handshake, cx));
        match content {
            Content::Http3(http) => {
                decrypted(cx, |cx| http.bytes(d, id, role == Role::Server, bytes, frames, cx));
            }
            Content::Dns(sessions) => {
                if sessions.len() >= MAX_STREAMS
                    && let Some((_, mut oldest)) = sessions.pop_first()
                {
                    oldest.finish(cx);
                }
                let session = sessions.entry(id).or_insert_with(|| Session::of("dns", cx));
                session.bytes(d, bytes, frames, cx);
            }
            Content::Other(searches) if cx.searching() => {
                if searches.len() >= MAX_STREAMS {
                    searches.pop_first();
                }
                let content =
                    searches.entry((id, role == Role::Server)).or_insert_with(|| Unwrapped::new(&[]));
                decrypted(cx, |cx| cx.search_in(content, bytes, frames.all.clone(), 0));
            }
            Content::Other(_) => {}
        }
    }

    /// A direction of a stream is over; `whole` when all of it was read.
    fn end(&mut self, d: Direction, id: u64, role: Role, whole: bool, frames: &Arc<Frames>, cx: &mut Cx<'_>) {
        if let Some(stream) = self.streams.get_mut(&(id, role == Role::Server)) {
            stream.over = true;
        }
        match &mut self.content {
            Some(Content::Http3(http)) => {
                decrypted(cx, |cx| http.end(id, role == Role::Server, whole, frames, cx));
            }
            Some(Content::Dns(sessions)) => {
                let over = role == Role::Server;
                if let Some(session) = sessions.get_mut(&id) {
                    session.end(d, cx);
                    if over {
                        session.finish(cx);
                        sessions.remove(&id);
                    }
                }
            }
            Some(Content::Other(searches)) => {
                if let Some(mut content) = searches.remove(&(id, role == Role::Server)) {
                    decrypted(cx, |cx| cx.search_end(&mut content));
                }
            }
            None => {}
        }
    }

    /// The connection is over: what its streams still hold is told, and let go.
    pub(super) fn finish(&mut self, cx: &mut Cx<'_>) {
        self.closed = true;
        self.streams.clear();
        self.waiting = 0;
        match self.content.take() {
            Some(Content::Http3(mut http)) => decrypted(cx, |cx| http.finish(cx)),
            Some(Content::Dns(sessions)) => {
                for (_, mut session) in sessions {
                    session.finish(cx);
                }
            }
            Some(Content::Other(searches)) => {
                let before = cx.direction;
                for ((_, server), mut content) in searches {
                    cx.direction = if server { Direction::Down } else { Direction::Up };
                    decrypted(cx, |cx| cx.search_end(&mut content));
                }
                cx.direction = before;
            }
            None => {}
        }
    }

    /// The lowest frame that a message still to come may carry.
    pub(super) fn holds(&self) -> Option<u64> {
        let content = match &self.content {
            Some(Content::Http3(http)) => http.holds(),
            Some(Content::Dns(sessions)) => sessions.values().filter_map(Session::holds).min(),
            Some(Content::Other(_)) | None => None,
        };
        let streams = self.streams.values().filter_map(|s| s.bytes.first_frame());
        let crypto = self.senders.iter().filter_map(|s| s.crypto.first_frame());
        streams.chain(crypto).chain(content).min()
    }
}

impl Content {
    /// What the two sides agreed on, or the client offered.
    fn of(handshake: &Handshake, cx: &mut Cx<'_>) -> Content {
        let offered = cx.flow().tls.as_ref().map(|t| t.alpn.clone()).unwrap_or_default();
        let alpn = handshake.alpn.iter().chain(&offered).next().cloned().unwrap_or_default();
        match alpn.split('-').next() {
            Some("h3") => Content::Http3(Box::default()),
            Some("doq") => Content::Dns(BTreeMap::new()),
            _ => Content::Other(BTreeMap::new()),
        }
    }
}
