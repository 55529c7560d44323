//! Secrets of connections that the auditor has: NSS key logs, from files, from the capture itself, or while they are written.
//!
//! Takes lines of the [NSS key log format](https://www.ietf.org/archive/id/draft-ietf-tls-keylogfile-02.html); gives the secret of a
//! connection, asked for by the client's random and what the secret is for. Lines that are none are told by their number, never by
//! their content. What is opened with a secret is the matter of `tls`, `quic` and `dtls`. Holds at most [`MAX_SECRETS`]; nothing here prints a secret, `Debug` included.

use std::collections::HashMap;
use std::io::{self, BufRead};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::capture::unhex;

/// Secrets that are kept; those of later lines are counted and dropped.
pub const MAX_SECRETS: usize = 1 << 18;

/// Bytes of a line; the longest that are valid (`EXPORTER_SECRET` with SHA-512) have fewer than 300.
const MAX_LINE: usize = 1024;

/// Malformed lines whose numbers are kept.
const MAX_NUMBERS: usize = 16;

/// What a secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    /// The master secret of TLS 1.2 and older, also of a resumed session.
    Master,
    /// 0-RTT data of the client.
    ClientEarly,
    /// Handshake messages of TLS 1.3.
    ClientHandshake,
    ServerHandshake,
    /// The first keys for application data of TLS 1.3.
    ClientTraffic,
    ServerTraffic,
}

impl Label {
    /// The label in a key log; older programs wrote those of QUIC with a prefix.
    fn of(word: &str) -> Option<Label> {
        Some(match word.strip_prefix("QUIC_").unwrap_or(word) {
            "CLIENT_RANDOM" => Label::Master,
            "CLIENT_EARLY_TRAFFIC_SECRET" => Label::ClientEarly,
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET" => Label::ClientHandshake,
            "SERVER_HANDSHAKE_TRAFFIC_SECRET" => Label::ServerHandshake,
            "CLIENT_TRAFFIC_SECRET_0" => Label::ClientTraffic,
            "SERVER_TRAFFIC_SECRET_0" => Label::ServerTraffic,
            _ => return None,
        })
    }
}

/// A secret of a connection; its bytes leave this crate's memory nowhere.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(Vec<u8>);

impl Secret {
    pub(super) fn new(bytes: Vec<u8>) -> Secret {
        Secret(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

/// What reading a key log came across.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyLogFaults {
    /// Numbers of lines that are no key log lines, from 1; the first 16.
    pub lines: Vec<u64>,
    /// How many there are in all.
    pub malformed: u64,
    /// Secrets beyond [`MAX_SECRETS`].
    pub dropped: u64,
}

impl KeyLogFaults {
    /// In words, without content; `None` when there is nothing to tell.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        let mut parts = Vec::new();
        if let Some(first) = self.lines.first() {
            let numbers = self.lines.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
            parts.push(match self.malformed - self.lines.len() as u64 {
                0 if self.malformed == 1 => format!("line {first} is no line of a key log"),
                0 => format!("lines {numbers} are no lines of a key log"),
                more => format!("lines {numbers} and {more} more are no lines of a key log"),
            });
        }
        if self.dropped > 0 {
            parts.push(format!("{} secrets beyond {MAX_SECRETS} are not used", self.dropped));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// One line as a secret.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    /// A comment, nothing, or a secret that is for nothing read here.
    Other,
    Secret(Label, [u8; 32], Secret),
    Malformed,
}

impl Line {
    fn read(line: &[u8]) -> Line {
        let Ok(text) = std::str::from_utf8(line) else { return Line::Malformed };
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            return Line::Other;
        }
        let mut words = text.split_ascii_whitespace();
        let (Some(label), Some(random), Some(secret), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Line::Malformed;
        };
        let named = label.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        if !named {
            return Line::Malformed;
        }
        // Lines of RSA key exchanges name no random: `RSA 0123456789abcdef …`, `RSA Session-ID:… Master-Key:…`.
        if label == "RSA" {
            return Line::Other;
        }
        let (Some(random), Some(secret)) = (unhex(random), unhex(secret)) else { return Line::Malformed };
        let Some(label) = Label::of(label) else { return Line::Other };
        let fits = match label {
            Label::Master => secret.len() == 48,
            _ => matches!(secret.len(), 32 | 48 | 64),
        };
        match <[u8; 32]>::try_from(random) {
            Ok(random) if fits => Line::Secret(label, random, Secret(secret)),
            _ => Line::Malformed,
        }
    }
}

#[derive(Default)]
struct Known {
    by_random: HashMap<[u8; 32], Vec<(Label, Secret)>, foldhash::fast::RandomState>,
    count: usize,
}

/// Secrets of any number of connections. They may be added while others are asked for.
#[derive(Default)]
pub struct Secrets {
    known: RwLock<Known>,
    /// There is at least one: asked at every handshake, so without a lock.
    any: AtomicBool,
    /// Where to ask on.
    below: Option<Arc<Secrets>>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        write!(f, "Secrets {{ {} of {} connections }}", known.count, known.by_random.len())
    }
}

impl Secrets {
    /// None yet; what is not here is asked of `below`.
    pub(super) fn above(below: Arc<Secrets>) -> Secrets {
        Secrets { below: Some(below), ..Secrets::default() }
    }

    /// Adds the lines of a key log.
    ///
    /// # Errors
    /// When reading fails; what was read before counts.
    pub fn read(&self, mut log: impl BufRead) -> io::Result<KeyLogFaults> {
        let mut faults = KeyLogFaults::default();
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            // A line without end must not fill the memory.
            let read = io::Read::take(&mut log, MAX_LINE as u64).read_until(b'\n', &mut line)?;
            if read == 0 {
                break;
            }
            if read == MAX_LINE && line.last() != Some(&b'\n') {
                skip_line(&mut log)?;
                // A comment may be as long as it likes.
                if line.first() == Some(&b'#') {
                    continue;
                }
                line.clear();
                line.push(0xff);
            }
            match Line::read(&line) {
                Line::Other => {}
                Line::Secret(label, random, secret) => {
                    if !self.add(label, random, secret) {
                        faults.dropped += 1;
                    }
                }
                Line::Malformed => {
                    faults.malformed += 1;
                    if faults.lines.len() < MAX_NUMBERS {
                        faults.lines.push(number);
                    }
                }
            }
        }
        Ok(faults)
    }

    /// Keeps a secret; `false` when there is no place. Of two for the same the first is kept.
    fn add(&self, label: Label, random: [u8; 32], secret: Secret) -> bool {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.count >= MAX_SECRETS {
            return false;
        }
        let of_random = known.by_random.entry(random).or_default();
        if !of_random.iter().any(|(l, _)| *l == label) {
            of_random.push((label, secret));
            known.count += 1;
        }
        self.any.store(true, Ordering::Release);
        true
    }

    /// There are none: no connection has to be asked for.
    pub(super) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire) && self.below.as_ref().is_none_or(|b| b.is_empty())
    }

    /// The secret of the connection whose client hello has this random.
    pub(super) fn get(&self, label: Label, random: &[u8; 32]) -> Option<Secret> {
        let own = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            let of_random = known.by_random.get(random);
            of_random.and_then(|all| all.iter().find(|(l, _)| *l == label)).map(|(_, s)| s.clone())
        };
        own.or_else(|| self.below.as_ref()?.get(label, random))
    }

    /// Any secret of that connection is known.
    pub(super) fn knows(&self, random: &[u8; 32]) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.by_random.contains_key(random) || self.below.as_ref().is_some_and(|b| b.knows(random))
    }
}

fn skip_line(log: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = log.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|b| *b == b'\n');
        let used = end.map_or(buffer.len(), |at| at + 1);
        log.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANDOM: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn random() -> [u8; 32] {
        std::array::from_fn(|n| n as u8)
    }

    fn line(label: &str, size: usize) -> String {
        format!("{label} {RANDOM} {}\n", "Ab".repeat(size))
    }

    #[test]
    fn lines_become_secrets() {
        for (word, size, label) in [
            ("CLIENT_RANDOM", 48, Label::Master),
            ("CLIENT_EARLY_TRAFFIC_SECRET", 32, Label::ClientEarly),
            ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", 48, Label::ClientHandshake),
            ("SERVER_HANDSHAKE_TRAFFIC_SECRET", 32, Label::ServerHandshake),
            ("QUIC_CLIENT_TRAFFIC_SECRET_0", 32, Label::ClientTraffic),
            ("SERVER_TRAFFIC_SECRET_0", 32, Label::ServerTraffic),
        ] {
            let secrets = Secrets::default();
            assert!(secrets.is_empty());
            assert_eq!(secrets.read(line(word, size).as_bytes()).unwrap(), KeyLogFaults::default(), "{word}");
            assert!(!secrets.is_empty() && secrets.knows(&random()));
            assert_eq!(secrets.get(label, &random()).unwrap().bytes(), vec![0xab; size], "{word}");
            assert_eq!(secrets.get(label, &[0; 32]), None);
            assert!(!secrets.knows(&[0; 32]));
        }
    }

    #[test]
    fn what_is_no_secret_is_passed_over_or_told_by_its_number() {
        let other = [
            "# a comment\r\n\n \n".to_owned(),
            format!("# {}\n", "long ".repeat(2000)),
            "RSA 0123456789abcdef 00\nRSA Session-ID:00 Master-Key:00\n".to_owned(),
            line("EXPORTER_SECRET", 32),
            line("ECH_SECRET", 32),
        ]
        .concat();
        let secrets = Secrets::default();
        assert_eq!(secrets.read(other.as_bytes()).unwrap(), KeyLogFaults::default());
        assert!(secrets.is_empty());
        let endless = format!("CLIENT_RANDOM {RANDOM} {}\n", "0".repeat(5000));
        for malformed in [
            "CLIENT_RANDOM",
            "hello world\n",
            &line("CLIENT_RANDOM", 47),
            &line("SERVER_TRAFFIC_SECRET_0", 31),
            &line("client_random", 48),
            &format!("CLIENT_RANDOM 00 {}\n", "00".repeat(48)),
            &format!("CLIENT_RANDOM {RANDOM} {}x\n", "0".repeat(95)),
            &line("CLIENT_RANDOM", 48).replace('\n', " more\n"),
            "CLIENT_RANDOM \u{e4}\n",
            &endless,
        ] {
            let log = format!("# first\n{malformed}");
            let faults = secrets.read(log.as_bytes()).unwrap();
            assert_eq!((faults.lines, faults.malformed), (vec![2], 1), "{malformed}");
            assert!(secrets.is_empty(), "{malformed}");
        }
        let faults = secrets.read(format!("{endless}{}", line("CLIENT_RANDOM", 48)).as_bytes()).unwrap();
        assert_eq!(faults.text().unwrap(), "line 1 is no line of a key log");
        assert!(!secrets.is_empty(), "the line behind a long one is read");
        let faults = secrets.read("x\n".repeat(20).as_bytes()).unwrap();
        assert!(faults.text().unwrap().contains("15, 16 and 4 more"), "{faults:?}");
    }

    #[test]
    fn cut_anywhere_only_the_last_line_is_lost() {
        let log = [line("CLIENT_RANDOM", 48), line("SERVER_TRAFFIC_SECRET_0", 32)].concat();
        let first = line("CLIENT_RANDOM", 48).len();
        for cut in 0..log.len() {
            let secrets = Secrets::default();
            secrets.read(&log.as_bytes()[..cut]).unwrap();
            assert_eq!(secrets.get(Label::Master, &random()).is_some(), cut >= first - 1, "{cut}");
            assert_eq!(secrets.get(Label::ServerTraffic, &random()).is_some(), cut >= log.len() - 1, "{cut}");
        }
    }

    #[test]
    fn neither_debug_nor_faults_show_a_secret() {
        let secrets = Secrets::default();
        let faults = secrets.read(format!("{}CLIENT_RANDOM cdcd\n", line("CLIENT_RANDOM", 48)).as_bytes());
        let secret = secrets.get(Label::Master, &random());
        let shown = format!("{secrets:?} {secret:?} {faults:?} {:?}", faults.as_ref().unwrap().text());
        for hidden in ["abab", "171, 171", "cdcd", "0a0b"] {
            assert!(!shown.to_lowercase().contains(hidden), "{shown}");
        }
        assert!(shown.contains("1 of 1 connections"));
    }

    #[test]
    fn layers_are_asked_from_the_top() {
        let below = Arc::new(Secrets::default());
        let top = Secrets::above(Arc::clone(&below));
        assert!(top.is_empty());
        below.read(line("CLIENT_RANDOM", 48).as_bytes()).unwrap();
        assert!(!top.is_empty() && top.knows(&random()));
        assert!(top.get(Label::Master, &random()).is_some());
        // Of two secrets for the same the first is kept.
        below.read(line("CLIENT_RANDOM", 48).replace("Ab", "cd").as_bytes()).unwrap();
        assert_eq!(below.get(Label::Master, &random()).unwrap().bytes(), [0xab; 48]);
    }
}
