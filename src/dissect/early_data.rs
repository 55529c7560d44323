//! Data that a client sends before the server has answered: TLS 1.3 early data and QUIC 0-RTT (RFC 8446 sections 2.3 and 4.2.10,
//! RFC 9001 section 4.6).
//!
//! Takes what `tls` and `quic` read; fills [`EarlyData`] of the flow. The data itself is ciphertext. A server's answer stands in
//! its encrypted extensions and is known only where those were opened; a hello-retry request refuses it in clear.

use std::ops::Range;

use super::{Cx, Reader, Short};
use crate::model::{Direction, EarlyData, FlowTls};

/// The extension `early_data` (RFC 8446 section 4.2.10).
pub(super) const EXTENSION: u16 = 42;

/// Frames that are kept.
const MAX_FRAMES: usize = 8;

/// The client hello has the extension.
pub(super) fn offered(tls: &mut FlowTls) {
    tls.early_data.get_or_insert_default().offered = true;
}

/// The server wants another hello, and with it nothing early (RFC 8446 section 4.2.10).
pub(super) fn refused(cx: &mut Cx<'_>) {
    if let Some(early) = known(cx) {
        early.accepted = Some(false);
    }
}

/// Encrypted extensions (RFC 8446 section 4.3.1): the server takes the data when it repeats the extension.
///
/// # Errors
/// [`Short`]: they cannot be read.
pub(super) fn answered(d: Direction, body: &[u8], cx: &mut Cx<'_>) -> Result<(), Short> {
    let mut extensions = Reader::new(body).vec16("extensions")?;
    let mut accepted = false;
    while !extensions.is_empty() {
        accepted |= extensions.u16("extension type")? == EXTENSION;
        extensions.vec16("extension")?;
    }
    if let Some(early) = known(cx).filter(|_| d == Direction::Down) {
        early.accepted = Some(accepted);
    }
    Ok(())
}

/// Records of a stream before the server's hello. Only behind an offer: else they are of a connection whose start is not known.
pub(super) fn record(bytes: u64, range: Range<usize>, cx: &mut Cx<'_>) {
    if known(cx).is_some() {
        sent(bytes, range, cx);
    }
}

/// A 0-RTT packet, which says itself what it is; the hello may come behind it.
pub(super) fn sent(bytes: u64, range: Range<usize>, cx: &mut Cx<'_>) {
    let frames = cx.frames(range).all;
    let tls = cx.flow().tls.get_or_insert_with(Box::<FlowTls>::default);
    let early = tls.early_data.get_or_insert_default();
    early.bytes = early.bytes.saturating_add(bytes);
    for frame in frames {
        if early.frames.len() < MAX_FRAMES
            && let Err(at) = early.frames.binary_search(&frame)
        {
            early.frames.insert(at, frame);
        }
    }
}

fn known<'a>(cx: &'a mut Cx<'_>) -> Option<&'a mut EarlyData> {
    cx.flow().tls.as_mut()?.early_data.as_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::Options;
    use crate::dissect::http::tests::Talk;

    fn record(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind, 3, 3][..], &(body.len() as u16).to_be_bytes(), body].concat()
    }

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        record(22, &[&[kind, 0][..], &(body.len() as u16).to_be_bytes(), body].concat())
    }

    fn hello(kind: u8, random: &[u8; 32], suites: &[u8], extensions: &[u8]) -> Vec<u8> {
        let size = (extensions.len() as u16).to_be_bytes();
        message(kind, &[&[3, 3][..], random, &[0], suites, &size, extensions].concat())
    }

    /// A client hello of TLS 1.3, with the extension or without.
    fn client(early: bool) -> Vec<u8> {
        let extensions = [&[0, 43, 0, 3, 2, 3, 4][..], if early { &[0, 42, 0, 0] } else { &[] }].concat();
        hello(1, &[7; 32], &[0, 2, 0x13, 1, 1, 0], &extensions)
    }

    fn server(retry: bool) -> Vec<u8> {
        let retry_random: [u8; 32] = std::array::from_fn(|n| {
            let hex = "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c";
            u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap()
        });
        hello(2, if retry { &retry_random } else { &[9; 32] }, &[0x13, 1, 0], &[0, 43, 0, 2, 3, 4])
    }

    fn told(talk: &Talk) -> Option<EarlyData> {
        talk.read_with(Options::default()).flows[0].tls.as_ref().and_then(|tls| tls.early_data.clone())
    }

    #[test]
    fn records_before_the_servers_hello() {
        let data = record(23, &[5; 100]);
        let opened = || Talk::opened_on(443);
        let early = |bytes, frames: &[u64], accepted| {
            Some(EarlyData { offered: true, accepted, bytes, frames: frames.to_vec() })
        };
        let sent = opened().up(&client(true)).up(&data).up(&data);
        assert_eq!(told(&sent), early(200, &[5, 6], None));
        let answered = sent.clone().down(&server(false)).up(&data);
        assert_eq!(
            told(&answered),
            early(200, &[5, 6], None),
            "what follows the server's hello is not early"
        );
        assert_eq!(
            told(&sent.down(&server(true))),
            early(200, &[5, 6], Some(false)),
            "a hello-retry refuses it"
        );
        assert_eq!(told(&opened().up(&client(true)).down(&server(false)).up(&data)), early(0, &[], None));
        assert_eq!(told(&opened().up(&client(false)).up(&data)), None);
        let hello = client(true);
        for cut in 0..hello.len() {
            assert_eq!(told(&opened().up(&hello[..cut])), None, "{cut}");
        }
        let read = opened().up(&hello).read_with(Options::default());
        assert_eq!(read.observations[0].fields["early_data"], true);
    }
}
