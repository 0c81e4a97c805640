//! What prompting costs on the CPU: the encoder of SAM ViT-B at 1024 px within 4 GB; how long a click takes is printed.
//! Runs with `FROSTLINE_PARITY_DIR`, alone in its process, so that the peak memory is its own.

use burn::tensor::{Device, Tensor};
use frostline::models::{Mode, Network, find};
use frostline::nn::{Ctx, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// The most memory that this process has had, in MB; none where the system does not say.
fn peak_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().split(' ').next()?.parse::<f64>().ok()? / 1024.0)
}

#[test]
fn the_encoder_stays_within_four_gigabytes() {
    if std::env::var_os("FROSTLINE_PARITY_DIR").is_none() {
        println!("SKIPPED: networks at 1024 px; FROSTLINE_PARITY_DIR=tests/fixtures runs them");
        return;
    }
    if peak_mb().is_none() {
        println!("SKIPPED: this system does not say how much memory a process has had");
        return;
    }
    for name in ["mobile_sam", "sam_vit_b"] {
        let graph = Arc::new(find(name).unwrap().published().unwrap());
        let network = Network::new(Arc::clone(&graph), 1, &Device::flex()).unwrap().inference();
        let before = peak_mb().unwrap();
        let features = graph.find("image_encoder.neck").unwrap();
        let images = Tensor::<4>::ones([1, 3, 1024, 1024], &Device::flex());
        let start = Instant::now();
        let inputs = [Value::Map(images)];
        let outputs = network.run(&inputs, &BTreeMap::new(), &[features], Mode::Infer, &mut Ctx::default()).unwrap();
        let seconds = start.elapsed().as_secs_f64();
        let peak = peak_mb().unwrap();
        let given = BTreeMap::from([(features, outputs[0].clone())]);
        let wanted: Vec<_> = graph.heads.iter().map(|head| head.output).collect();
        let mut clicks = Vec::new();
        for _ in 0..8 {
            let start = Instant::now();
            let masks = network.run(&inputs, &given, &wanted, Mode::Infer, &mut Ctx::default()).unwrap();
            drop(masks[0].map().unwrap().into_data());
            clicks.push(start.elapsed().as_secs_f64() * 1e3);
        }
        clicks.sort_by(f64::total_cmp);
        println!(
            "COST {name}: encoder {seconds:.2} s, {before:.0} MB before, {peak:.0} MB at most; click {:.1} ms (of {clicks:.1?})",
            clicks[4]
        );
        assert!(peak < 4096.0, "{name}: {peak} MB");
    }
}
