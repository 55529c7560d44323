//! The `metaleak` program.
fn main() {}
