//! Opens records of a connection whose secrets are known (RFC 8446 section 5.2, RFC 5246 section 6.2.3).
//!
//! Takes protected records of both directions in order, with what the hellos agreed on, and the secrets; gives their content. Follows
//! the keys of each direction from stage to stage. Behind lost records the number of the next one is not known: some are tried,
//! and the stages that may have come since, within a bound. What the content means is the matter of the caller.

use super::Handshake;
use crate::dissect::cipher::{Agreed, RecordHeader, RecordKeys, Suite, TrafficKeys, suite};
use crate::dissect::crypto::{Hash, expand_label_into};
use crate::dissect::secrets::{Label, Secret, Secrets};
use crate::model::Direction;

/// Record numbers that are tried behind lost records.
const MAX_UNSURE: u64 = 64;

/// Records of a direction that may stay shut one after the other before no more are tried.
const MAX_VAIN: u32 = 64;

/// The smallest record of ciphertext: header, a byte and its tag.
const SMALLEST: u64 = 22;

const LABELS: [&str; 2] = ["key", "iv"];

/// What became of a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Its content, and its type where that was encrypted too.
    Opened(Option<u8>, Vec<u8>),
    /// No key opens it.
    Shut,
}

/// The stages of TLS 1.3 in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Early,
    Handshake,
    Application,
}

impl Stage {
    fn label(self, d: Direction) -> Option<Label> {
        Some(match (self, d) {
            (Stage::Early, Direction::Up) => Label::ClientEarly,
            (Stage::Early, Direction::Down) => return None,
            (Stage::Handshake, Direction::Up) => Label::ClientHandshake,
            (Stage::Handshake, Direction::Down) => Label::ServerHandshake,
            (Stage::Application, Direction::Up) => Label::ClientTraffic,
            (Stage::Application, Direction::Down) => Label::ServerTraffic,
        })
    }
}

enum Keys {
    Traffic(Secret, TrafficKeys),
    Records(RecordKeys),
}

#[derive(Default)]
struct Side {
    /// Of TLS 1.3: the stage that was reached.
    stage: Option<Stage>,
    keys: Option<Keys>,
    /// Number of the next record.
    number: u64,
    /// How many records more may have gone by.
    unsure: u64,
    vain: u32,
}

/// Both directions of a connection.
#[derive(Default)]
pub(super) struct Opener {
    sides: [Side; 2],
    lost: bool,
}

impl Opener {
    /// Opens a whole record.
    pub(super) fn open(
        &mut self,
        d: Direction,
        record: &[u8],
        handshake: &Handshake,
        secrets: &Secrets,
    ) -> Outcome {
        let side = d.pick(&mut self.sides);
        let opened = match side.vain {
            MAX_VAIN.. => None,
            _ => match handshake.version {
                Some(0x0304) => side.traffic(d, record, handshake, secrets),
                // Only 0-RTT data come before the server's hello.
                None => side.traffic(d, record, handshake, secrets).filter(|_| d == Direction::Up),
                Some(version) => side.record(d, version, record, handshake, secrets),
            },
        };
        if let Some((kind, content)) = opened {
            (side.unsure, side.vain) = (0, 0);
            return Outcome::Opened(kind, content);
        }
        side.vain = side.vain.saturating_add(1);
        side.unsure = side.unsure.saturating_add(1);
        self.lost = true;
        Outcome::Shut
    }

    /// Bytes of a direction are missing, and with them an unknown number of records.
    pub(super) fn gap(&mut self, d: Direction, missing: u64) {
        let side = d.pick(&mut self.sides);
        side.unsure = side.unsure.saturating_add(missing / SMALLEST + 1);
        self.lost = true;
    }

    /// Records were lost or stayed shut.
    pub(super) fn has_lost(&self) -> bool {
        self.lost
    }

    /// The records of this direction are those of 0-RTT.
    pub(super) fn is_early(&self, d: Direction) -> bool {
        let [up, _] = &self.sides;
        d == Direction::Up && up.stage == Some(Stage::Early)
    }

    /// Change-cipher-spec of TLS 1.2 and older: new keys, and records are counted anew.
    pub(super) fn change_cipher(&mut self, d: Direction) {
        let side = d.pick(&mut self.sides);
        // In TLS 1.3 it means nothing.
        if side.stage.is_none() {
            *side = Side::default();
        }
    }

    /// A direction goes on to its next stage.
    pub(super) fn next_phase(&mut self, d: Direction) {
        let side = d.pick(&mut self.sides);
        let next = match side.stage {
            Some(Stage::Early) => Stage::Handshake,
            _ => Stage::Application,
        };
        *side = Side { stage: Some(next), ..Side::default() };
    }

    /// A direction goes on to its next key (RFC 8446 section 4.6.3).
    pub(super) fn update(&mut self, d: Direction) {
        let side = d.pick(&mut self.sides);
        if let (Some(Stage::Application), Some(Keys::Traffic(secret, keys))) = (side.stage, &mut side.keys)
            && let Some((next, next_keys)) = updated(secret, keys.suite)
        {
            (*secret, *keys) = (next, next_keys);
            side.number = 0;
        }
    }
}

/// The secret behind a key update, with its keys.
fn updated(secret: &Secret, suite: Suite) -> Option<(Secret, TrafficKeys)> {
    let mut next = vec![0; suite.hash.size()];
    expand_label_into(suite.hash, secret.bytes(), "traffic upd", &mut next)?;
    let keys = TrafficKeys::derive(suite, &next, LABELS)?;
    Some((Secret::new(next), keys))
}

impl Side {
    /// A record of TLS 1.3: its type and content.
    fn traffic(
        &mut self,
        d: Direction,
        record: &[u8],
        handshake: &Handshake,
        secrets: &Secrets,
    ) -> Option<(Option<u8>, Vec<u8>)> {
        let (header, body) = record.split_at_checked(5)?;
        if header.first() != Some(&23) {
            return None;
        }
        let unsure = self.unsure.min(MAX_UNSURE);
        if let Some(Keys::Traffic(_, keys)) = &self.keys {
            for number in self.number..=self.number.saturating_add(unsure) {
                if let Some(plain) = keys.open(number, header, body) {
                    self.number = number + 1;
                    return inner(plain);
                }
            }
        }
        // The stages that may have begun since.
        let mut next: Vec<(Stage, Secret, TrafficKeys)> = Vec::new();
        match (self.stage, &self.keys) {
            (Some(Stage::Application), Some(Keys::Traffic(secret, keys))) => {
                if let Some((secret, keys)) = updated(secret, keys.suite) {
                    next.push((Stage::Application, secret, keys));
                }
            }
            (stage, keys) => {
                let random = handshake.client_random?;
                for later in [Stage::Early, Stage::Handshake, Stage::Application] {
                    let over = match (stage, keys) {
                        (None, _) => false,
                        (Some(now), None) => (later as u8) < now as u8,
                        (Some(now), Some(_)) => later as u8 <= now as u8,
                    };
                    // Before the server's hello only 0-RTT.
                    if over || (handshake.version.is_none() && later != Stage::Early) {
                        continue;
                    }
                    let Some(secret) = later.label(d).and_then(|label| secrets.get(label, &random)) else {
                        continue;
                    };
                    for suite in suites(handshake.cipher, &secret) {
                        if let Some(keys) = TrafficKeys::derive(suite, secret.bytes(), LABELS) {
                            next.push((later, secret.clone(), keys));
                        }
                    }
                }
            }
        }
        for (stage, secret, keys) in next {
            for number in 0..=unsure {
                if let Some(plain) = keys.open(number, header, body) {
                    self.stage = Some(stage);
                    self.keys = Some(Keys::Traffic(secret, keys));
                    self.number = number + 1;
                    return inner(plain);
                }
            }
        }
        None
    }

    /// A record of TLS 1.2 and older.
    fn record(
        &mut self,
        d: Direction,
        version: u16,
        record: &[u8],
        handshake: &Handshake,
        secrets: &Secrets,
    ) -> Option<(Option<u8>, Vec<u8>)> {
        let (&[kind, major, minor, _, _], body) = record.split_first_chunk::<5>()?;
        if self.keys.is_none() {
            let (client, server) = (handshake.client_random?, handshake.server_random?);
            let agreed = Agreed {
                suite: suite(handshake.cipher?)?,
                version,
                client_random: &client,
                server_random: &server,
                encrypt_then_mac: handshake.encrypt_then_mac,
            };
            let master = secrets.get(Label::Master, &client)?;
            self.keys = Some(Keys::Records(RecordKeys::derive(agreed, master.bytes(), d == Direction::Up)?));
        }
        let Some(Keys::Records(keys)) = &mut self.keys else { return None };
        let version = u16::from_be_bytes([major, minor]);
        let last = self.number.saturating_add(self.unsure.min(MAX_UNSURE));
        let mut opened = None;
        for number in self.number..=last {
            if let Some(plain) = keys.open(RecordHeader { number, kind, version }, body) {
                self.number = number + 1;
                opened = Some((None, plain));
                break;
            }
        }
        keys.passed(body);
        opened
    }
}

/// The suites that a secret may be for: what the server chose; before its hello all that have a hash of this size.
fn suites(chosen: Option<u16>, secret: &Secret) -> impl Iterator<Item = Suite> {
    let all: &[u16] = match (chosen, secret.bytes().len()) {
        (Some(_), _) => &[],
        (None, 32) => &[0x1301, 0x1303, 0x1304],
        (None, _) => &[0x1302],
    };
    let size = secret.bytes().len();
    chosen
        .into_iter()
        .chain(all.iter().copied())
        .filter_map(suite)
        .filter(move |s: &Suite| Hash::size(s.hash) == size)
}

/// Content and type of an inner plaintext, without its padding (RFC 8446 section 5.4).
fn inner(mut plain: Vec<u8>) -> Option<(Option<u8>, Vec<u8>)> {
    let end = plain.iter().rposition(|b| *b != 0)?;
    plain.truncate(end + 1);
    let kind = plain.pop()?;
    Some((Some(kind), plain))
}
