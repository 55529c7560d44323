//! Whose connection a flow carries, and what its two sides have said in Initial packets.
//!
//! Takes Initial packets with their headers; opens them, and remembers the connection id that the keys follow from: the client's
//! first choice, or what a Retry asked for. Both may differ from the ids in later packets. Keys that fit nothing are paid for
//! by a budget, which grows with the bytes that come.

use std::collections::VecDeque;

use super::super::tls::{Handshake, Transport};
use super::super::{Cx, Frames};
use super::assemble::{Assembler, WINDOW};
use super::header::{Long, Version};
use super::keys::{InitialKeys, Opened, Role};
use crate::model::Direction;

/// What key derivations that fail may cost one flow before no more are tried, and what one costs. Each Initial gives back its size, so
/// those of clients, which fill datagrams of 1,200 bytes (RFC 9000 section 14.1), are always tried.
const MAX_SPENT: usize = 32 * DERIVATION;
const DERIVATION: usize = 1024;

/// Connections that are kept beside the one that spoke last.
const MAX_EARLIER: usize = 3;

/// The connections that one flow carries, one after the other or at once.
#[derive(Default)]
pub(super) struct Connections {
    /// The one that spoke last.
    pub(super) current: Option<Box<Connection>>,
    /// The last before it.
    earlier: VecDeque<Box<Connection>>,
    /// The id that the client has to use after a Retry.
    retry: Option<Vec<u8>>,
    /// What failed derivations have cost.
    spent: usize,
    /// An Initial was not tried for that.
    pub(super) exhausted: bool,
}

/// A connection of which an Initial of the client could be opened.
pub(super) struct Connection {
    client: Direction,
    /// The connection id that the keys follow from.
    origin: Vec<u8>,
    /// Of the first version, and of the one that the server chose instead (RFC 9368).
    keys: InitialKeys,
    other_keys: Option<InitialKeys>,
    pub(super) sides: Sides,
    pub(super) handshake: Handshake,
    /// The server does not speak its version.
    refused: bool,
}

/// Client and server.
#[derive(Default)]
pub(super) struct Sides([Side; 2]);

/// What one side has sent in Initial packets.
#[derive(Default)]
pub(super) struct Side {
    pub(super) crypto: Assembler,
    /// Highest packet number.
    largest: Option<u64>,
    /// Nothing of use comes any more, or its bytes are no handshake messages.
    pub(super) done: bool,
}

impl Connections {
    /// A Retry came, whose sender calls itself `scid`.
    pub(super) fn retry(&mut self, d: Direction, scid: &[u8]) {
        if self.current.as_ref().is_none_or(|c| c.client != d) {
            self.retry = Some(scid.to_vec());
        }
    }

    /// A Version Negotiation came: a client begins anew with another version (RFC 9000 section 6.2). It ignores one that is not an
    /// answer to its first packet, that comes behind other packets of the server, or that offers the version that it has tried.
    pub(super) fn negotiation(&mut self, d: Direction, long: &Long<'_>, offers: impl Fn(Version) -> bool) {
        if let Some(connection) = &mut self.current
            && connection.client != d
            && connection.origin == long.scid
            && connection.sides.of(Role::Server).largest.is_none()
            && !offers(connection.keys.version)
        {
            connection.refused = true;
        }
    }

    /// First frames of client hellos that came in part.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = u64> {
        self.earlier.iter().chain(&self.current).filter_map(|connection| connection.unfinished())
    }

    /// Opens an Initial, and learns from it whose connection this is.
    pub(super) fn open(&mut self, d: Direction, long: &Long<'_>, packet: &[u8]) -> Option<(Role, Opened)> {
        self.spent = self.spent.saturating_sub(packet.len());
        if let Some(connection) = &mut self.current
            && let Some(opened) = connection.open(d, long, packet, &mut self.spent)
        {
            return Some(opened);
        }
        for at in 0..self.earlier.len() {
            let opened = self.earlier.get_mut(at).and_then(|c| c.open(d, long, packet, &mut self.spent));
            if let Some(opened) = opened {
                let before = self.current.take();
                self.current = self.earlier.remove(at);
                self.earlier.extend(before);
                return Some(opened);
            }
        }
        self.exhausted |= self.spent + DERIVATION > MAX_SPENT;
        let keys = derive(long.version, long.dcid, &mut self.spent)?;
        let opened = keys.open(Role::Client, packet, long.number_at, None)?;
        self.spent = 0;
        let retried = self.retry.take_if(|id| id == long.dcid).is_some();
        let mut connection = match self.current.take() {
            // The same hello comes again (RFC 9000 section 17.2.5.3), so what was put together so far still counts.
            Some(before) if retried && before.client == d => {
                Box::new(Connection { origin: long.dcid.to_vec(), keys, other_keys: None, ..*before })
            }
            before => {
                self.earlier.extend(before);
                if self.earlier.len() > MAX_EARLIER {
                    self.earlier.pop_front();
                }
                Box::new(Connection {
                    client: d,
                    origin: long.dcid.to_vec(),
                    keys,
                    other_keys: None,
                    sides: Sides::default(),
                    handshake: Handshake::new(Transport::Quic),
                    refused: false,
                })
            }
        };
        connection.sides.of(Role::Client).largest = Some(opened.number);
        self.current = Some(connection);
        Some((Role::Client, opened))
    }
}

impl Connection {
    /// The sender in this direction is the client.
    pub(super) fn is_client(&self, d: Direction) -> bool {
        d == self.client
    }

    /// The version that both sides use now.
    pub(super) fn version(&self) -> Version {
        self.other_keys.as_ref().unwrap_or(&self.keys).version
    }

    fn unfinished(&self) -> Option<u64> {
        let Sides([client, _]) = &self.sides;
        let none = self.handshake.client_random.is_none() && !client.done;
        client.crypto.first_frame().filter(|_| none)
    }

    /// Opens a packet with the keys of this connection. The direction tells whose they are, unless a host talks to itself on one
    /// port.
    fn open(
        &mut self,
        d: Direction,
        long: &Long<'_>,
        packet: &[u8],
        spent: &mut usize,
    ) -> Option<(Role, Opened)> {
        let fits = |keys: &InitialKeys| keys.version == long.version;
        if self.refused && !fits(&self.keys) {
            return None;
        }
        if !fits(&self.keys) && !self.other_keys.as_ref().is_some_and(fits) {
            self.other_keys = Some(derive(long.version, &self.origin, spent)?);
        }
        let keys = self.other_keys.as_ref().filter(|k| fits(k)).unwrap_or(&self.keys);
        let roles =
            if d == self.client { [Role::Client, Role::Server] } else { [Role::Server, Role::Client] };
        roles.into_iter().find_map(|role| {
            let side = self.sides.of(role);
            let opened = keys.open(role, packet, long.number_at, side.largest)?;
            side.largest = side.largest.max(Some(opened.number));
            Some((role, opened))
        })
    }
}

impl Sides {
    /// One of them.
    pub(super) fn of(&mut self, role: Role) -> &mut Side {
        let [client, server] = &mut self.0;
        if role == Role::Client { client } else { server }
    }
}

impl Side {
    /// The next whole handshake message, without its header.
    pub(super) fn message(&mut self, cx: &mut Cx<'_>) -> Option<(u8, Vec<u8>, Frames)> {
        let [kind, a, b, c] = self.crypto.peek(4)[..] else { return None };
        let size = 4 + u32::from_be_bytes([0, a, b, c]) as usize;
        if size > WINDOW as usize {
            self.done = true;
            cx.warn(0, format!("QUIC: a handshake message of {size} bytes was given up"));
            return None;
        }
        let (mut bytes, frames) = self.crypto.take(size)?;
        Some((kind, bytes.split_off(4), frames))
    }
}

/// Derives keys within what the flow may spend in vain; whoever can open something with them sets the count back.
fn derive(version: Version, dcid: &[u8], spent: &mut usize) -> Option<InitialKeys> {
    *spent = Some(*spent + DERIVATION).filter(|sum| *sum <= MAX_SPENT)?;
    InitialKeys::derive(version, dcid)
}
