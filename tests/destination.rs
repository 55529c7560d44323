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
