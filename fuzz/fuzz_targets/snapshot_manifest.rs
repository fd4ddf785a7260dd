#![no_main]

#[path = "../../tests/wire/bodies.rs"]
#[allow(dead_code, reason = "a target runs one of the bodies")]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bodies::snapshot_manifest(bytes);
});
