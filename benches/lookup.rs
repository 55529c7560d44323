//! The reference data: loading it, and what is known of an address.
//!
//! Says nanoseconds on this machine: `lookup/known` for the facts of an address whose network was asked for before, `lookup/afresh`
//! for putting them together, `lookup/table` for the table's answer alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a benchmark that cannot run shall stop"
)]

use std::borrow::Cow;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use metaleak::destination::{FactTexts, ReferenceDb};

/// Addresses that are asked for, a quarter of them IPv6.
const ADDRESSES: usize = 2048;

fn addresses() -> Vec<IpAddr> {
    let mut state = 9_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state
    };
    (0..ADDRESSES)
        .map(|i| match i % 4 {
            0 => IpAddr::V6(Ipv6Addr::from((u128::from(next()) << 61) | (1 << 125))),
            _ => IpAddr::V4(Ipv4Addr::from((next() >> 32) as u32)),
        })
        .collect()
}

fn looking_up(c: &mut Criterion) {
    let db = ReferenceDb::embedded().unwrap();
    let addresses = addresses();
    let named = addresses.iter().filter(|a| db.lookup(**a).operator.is_some()).count();
    assert!(named > ADDRESSES / 10, "most random addresses are nobody's, but not all");
    let mut group = c.benchmark_group("lookup");
    let mut at = 0;
    let mut turn = || {
        at = (at + 1) % ADDRESSES;
        addresses[at]
    };
    group.bench_function("known", |b| b.iter(|| black_box(db.lookup(black_box(turn())))));
    group.bench_function("afresh", |b| b.iter(|| black_box(db.lookup_afresh(black_box(turn())))));
    group.bench_function("table", |b| b.iter(|| black_box(db.answer(black_box(turn())))));
    group.bench_function("load", |b| {
        let table = include_bytes!("../reference/metaleak.db");
        b.iter_batched(
            FactTexts::embedded,
            |facts| ReferenceDb::from_parts(Cow::Borrowed(&table[..]), &facts).unwrap(),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, looking_up);
criterion_main!(benches);
