#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| metaleak_fuzz::run("canary-file", data));
