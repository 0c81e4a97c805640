//! Any bytes as a checkpoint file: zip, legacy, tar, pickle, safetensors.

#![no_main]

// All that the readers name of another folder: how pictures are prepared.
#[path = "../../../src/graph/preprocess.rs"]
mod graph;
mod readers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::read(bytes));
