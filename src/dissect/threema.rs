//! Threema's chat server protocol (CSP): recognised by the sizes and order of its handshake.
//!
//! Takes both directions of a connection; gives a signature (certain on port 5222, likely on 443) and the encryption `threema-csp` once client hello (48 bytes:
//! ephemeral key and cookie), server hello (80 bytes) and login (144 bytes, with extensions 191) came in that order and frames
//! with a two-byte little-endian length follow. Sizes as measured by nDPI (`src/lib/protocols/threema.c`, 2024-10-21) and in
//! captures. All behind the hellos is ciphertext; nothing of it is read.

use super::packet::IpProto;
use super::{Class, Cx, Dissector, Frames, Match, Probe, Protocol, Step};
use crate::model::Direction;

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "threema",
    title: "Threema chat server protocol",
    source: "nDPI src/lib/protocols/threema.c (2024-10-21), threema.ch/en/work/support/firewall",
    over: &[IpProto::TCP],
    ports: &[5222],
    reads: "sizes and order of the handshake, frame lengths; the content is encrypted",
    probe,
    start: || Box::new(Threema::default()),
};

const CLIENT_HELLO: usize = 48;
const SERVER_HELLO: usize = 80;
const LOGINS: [usize; 2] = [191, 144];
/// The server answers a login with 32 bytes before its first frame.
const LOGIN_ACK: usize = 32;

const HANDSHAKE: Class = Class::handshake("threema.handshake");
const FRAMES: Class = Class::encrypted("threema.frames");
const OPAQUE: Class = Class::opaque("opaque");

fn probe(p: &Probe<'_>) -> Match {
    // A public key is not text; an XMPP or HTTP request of 48 bytes is.
    let other = p.data.iter().filter(|b| !b.is_ascii_graphic() && **b != b' ').count();
    let fits = p.direction == Direction::Up
        && p.from_start
        && p.server_on(&[5222, 443])
        && (1..=CLIENT_HELLO).contains(&p.data.len())
        && !p.data.starts_with(b"WA")
        && !p.data.starts_with(&[0x16, 0x03])
        && other * 6 > p.data.len();
    match fits {
        true if p.data.len() == CLIENT_HELLO => Match::Yes,
        // In two segments.
        true => Match::Maybe,
        false => Match::No,
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    ClientHello,
    ServerHello,
    Login,
    Known,
    Other,
}

#[derive(Default)]
struct Threema {
    stage: Stage,
    seen: Vec<Frames>,
    acknowledged: bool,
}

impl Threema {
    fn class(&self) -> Class {
        if self.stage == Stage::Known { FRAMES } else { OPAQUE }
    }

    /// Frames with their length before them, as many as are whole.
    fn frames(&mut self, data: &[u8]) -> Step {
        let mut at = 0;
        while let Some([low, high, ..]) = data.get(at..) {
            let size = 2 + usize::from(u16::from_le_bytes([*low, *high]));
            // The smallest box is a 16-byte authenticator.
            if size < 2 + 16 {
                self.stage = Stage::Other;
                return Step::Took(data.len(), OPAQUE);
            }
            at += size;
            if at >= data.len() {
                break;
            }
        }
        // The last frame's rest is skipped unseen; a single length byte waits for its other half.
        if at == 0 { Step::More(2) } else { Step::Took(at, FRAMES) }
    }

    fn recognised(&mut self, frames: Frames, cx: &mut Cx<'_>) {
        let mut all = frames;
        for earlier in self.seen.drain(..) {
            all = all.after(&earlier.all);
        }
        cx.flow().encrypted("threema-csp", &all.all);
        // Port 443 is everybody's: there three sizes are not proof.
        let confidence = if cx.flow().server.port == 5222 { "certain" } else { "likely" };
        cx.signature_at(
            "threema",
            "threema.csp-handshake",
            confidence,
            "client hello of 48, server hello of 80 bytes, login, then framed ciphertext",
            all,
        );
    }
}

impl Dissector for Threema {
    fn stream(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        match (self.stage, d) {
            (Stage::ClientHello, Direction::Up) => {
                self.seen.push(cx.frames(0..data.len().min(CLIENT_HELLO)));
                self.stage = Stage::ServerHello;
                Step::Took(CLIENT_HELLO.min(data.len()), HANDSHAKE)
            }
            (Stage::ServerHello, Direction::Down) if data.len() < SERVER_HELLO => Step::More(SERVER_HELLO),
            (Stage::ServerHello, Direction::Down) if data.len() == SERVER_HELLO => {
                self.seen.push(cx.frames(0..data.len()));
                self.stage = Stage::Login;
                Step::Took(SERVER_HELLO, HANDSHAKE)
            }
            (Stage::Login, Direction::Up) => {
                let login = LOGINS.into_iter().find(|n| data.len() == *n || data.len() > *n + 18);
                let longest = LOGINS.into_iter().max().unwrap_or_default();
                if data.len() < longest && !LOGINS.contains(&data.len()) {
                    return Step::More(longest);
                }
                let Some(login) = login else {
                    self.stage = Stage::Other;
                    return Step::Took(data.len(), OPAQUE);
                };
                let frames = cx.frames(0..login);
                self.stage = Stage::Known;
                self.recognised(frames, cx);
                Step::Took(login, FRAMES)
            }
            (Stage::Known, Direction::Down) if !self.acknowledged => {
                self.acknowledged = true;
                Step::Took(LOGIN_ACK, FRAMES)
            }
            (Stage::Known, _) => self.frames(data),
            // The handshake is not as it has to be: another protocol.
            _ => {
                self.stage = Stage::Other;
                Step::Took(data.len(), OPAQUE)
            }
        }
    }

    fn gap(&mut self, _: Direction, _: u64, _: &mut Cx<'_>) {
        if self.stage != Stage::Known {
            self.stage = Stage::Other;
        }
    }

    fn unfinished(&self) -> Class {
        self.class()
    }
}

#[cfg(test)]
mod tests {
    use crate::dissect::Options;
    use crate::dissect::http::tests::Talk;

    #[test]
    fn hellos_in_two_segments_are_read() {
        let noise = |size: usize| (0..size).map(|n| (n * 37 + 201) as u8).collect::<Vec<u8>>();
        for (client, server) in [(1, 1), (20, 40), (47, 79)] {
            let talk = Talk::opened_on(5222)
                .up(&noise(48)[..client])
                .up(&noise(48)[client..])
                .down(&noise(80)[..server])
                .down(&noise(80)[server..])
                .up(&noise(191)[..client])
                .up(&noise(191)[client..])
                .down(&noise(32));
            let read = talk.read_with(Options::default());
            assert_eq!(read.flows[0].signatures.len(), 1, "{client} {server}");
            assert_eq!(read.flows[0].encryption, "threema-csp");
        }
    }

    #[test]
    fn sizes_prove_less_on_a_port_of_everybody() {
        let noise = |size: usize| (0..size).map(|n| (n * 37 + 201) as u8).collect::<Vec<u8>>();
        let frame = [&[30, 0][..], &noise(30)].concat();
        for (port, confidence) in [(5222, "certain"), (443, "likely")] {
            let steps = [
                (true, noise(48)),
                (false, noise(80)),
                (true, noise(191)),
                (false, noise(32)),
                (true, frame.clone()),
            ];
            let mut talk = Talk::opened_on(port);
            for (at, (up, bytes)) in steps.iter().enumerate() {
                talk = if *up { talk.up(bytes) } else { talk.down(bytes) };
                let signatures = &talk.read_with(Options::default()).flows[0].signatures;
                assert_eq!(signatures.len(), usize::from(at >= 2), "{port} step {at}");
            }
            let read = talk.read_with(Options::default());
            assert_eq!(read.flows[0].signatures[0].confidence, confidence, "{port}");
            assert_eq!(read.flows[0].encryption, "threema-csp");
        }
        let other = Talk::opened_on(80).up(&noise(48)).down(&noise(80)).up(&noise(191));
        assert!(other.read_with(Options::default()).flows[0].signatures.is_empty());
    }
}
