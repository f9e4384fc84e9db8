#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| handfast_fuzz_targets::run("live", data));
