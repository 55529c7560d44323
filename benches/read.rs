//! Reading, step by step, over a capture made from code: the file's frames, then flows and hellos, then observations.
//!
//! Says MiB/s on this machine for comparing two builds; comparisons with other programs are in `tests/performance.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot run shall stop"
)]

#[allow(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../tests/common/build.rs"]
mod build;
#[allow(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../tests/common/wire.rs"]
mod wire;

use std::hint::black_box;

use build::{PacketBuilder, Tcp};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use metaleak::capture::{self, Batch};
use metaleak::dissect::{Options, analyse_bytes};

/// Connections in the capture.
const CONNECTIONS: usize = 2000;

/// Connections that each resolve a name, shake hands and move 40 KB of ciphertext, eight of them at a time.
fn generated() -> Vec<u8> {
    let mut capture = PacketBuilder::new();
    let mut data = vec![23, 3, 3, 0x05, 0x6f];
    data.extend((0..1391_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8));
    for group in 0..CONNECTIONS / 8 {
        let mut open = Vec::new();
        for n in group * 8..group * 8 + 8 {
            let client = format!("10.0.{}.{}:{}", n / 200, n % 200 + 1, 20_000 + n);
            let name = format!("host-{}.example", n % 97);
            let resolver = "198.51.100.53:53".parse().unwrap();
            capture.udp(client.parse().unwrap(), resolver, &wire::dns_query(n as u16, &name, 1));
            let mut connection = Tcp::new(&client, &format!("203.0.113.{}:443", n % 90 + 1));
            connection.open(&mut capture);
            connection.up(&mut capture, &wire::client_hello(&name));
            open.push(connection);
        }
        for _ in 0..28 {
            for connection in &mut open {
                connection.down(&mut capture, &data);
            }
        }
        for connection in &open {
            connection.close(&mut capture);
        }
    }
    capture.finish()
}

fn reading(c: &mut Criterion) {
    let bytes = generated();
    let quiet = Options::default();
    let telling = Options { observe: true, ..Options::default() };
    let hellos = analyse_bytes("made.pcap", &bytes, &telling).unwrap().observations;
    let hellos = hellos.iter().filter(|o| o.kind == "tls.client_hello").count();
    assert_eq!(hellos, CONNECTIONS, "what is measured is the whole work");
    let mut group = c.benchmark_group("read");
    group.throughput(Throughput::Bytes(bytes.len() as u64)).sample_size(10);
    group.bench_function("frames", |b| {
        b.iter(|| {
            let mut reader = capture::from_bytes("made.pcap", bytes.clone()).unwrap();
            let mut batch = Batch::default();
            let mut frames = 0;
            while reader.next(&mut batch) {
                frames += batch.frames.len();
            }
            black_box(frames)
        });
    });
    group.bench_function("flows and hellos", |b| {
        b.iter(|| analyse_bytes("made.pcap", black_box(&bytes), &quiet).unwrap());
    });
    group.bench_function("observations", |b| {
        b.iter(|| analyse_bytes("made.pcap", black_box(&bytes), &telling).unwrap());
    });
    group.finish();
}

criterion_group!(benches, reading);
criterion_main!(benches);
