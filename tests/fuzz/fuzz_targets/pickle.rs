//! Any bytes as the pickle inside an intact zip, so that no checksum or directory stands in the way.

#![no_main]

#[path = "../../../src/graph/preprocess.rs"]
mod graph;
mod readers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::read(&readers::archive(bytes)));
