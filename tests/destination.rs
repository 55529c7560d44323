use std::path::Path;
#[test]
fn the_committed_table_is_what_the_sources_give() {
    let Some(raw) = std::env::var_os("METALEAK_RAW") else {
        return println!("skipped: METALEAK_RAW names no folder with the files of reference/fetch.sh");
    };
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/metaleak.db");
    let built = metaleak::destination::build(
        &metaleak::destination::Sources::embedded().unwrap(),
        metaleak::destination::REGIONS,
        Path::new(&raw),
    )
    .unwrap();
    std::fs::write(table, built).unwrap();
}
#[test]
fn speed() {
    use std::net::*;
    let t=std::time::Instant::now();
    let db = metaleak::destination::ReferenceDb::embedded().unwrap();
    println!("load {:?}", t.elapsed());
    let mut x=12345u32;
    let t=std::time::Instant::now();
    let mut n=0;
    for _ in 0..100_000 { x = x.wrapping_mul(1664525).wrapping_add(1013904223); n += db.lookup(IpAddr::V4(Ipv4Addr::from(x))).places.len(); }
    println!("lookup {:?}/1e5 {n}", t.elapsed());
}
