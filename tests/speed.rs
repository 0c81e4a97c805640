//! How long a forward pass and a training step of some networks take on the CPU, beside PyTorch's numbers of
//! `tests/reference/speed.py` on the same machine: `cargo test --release --test speed -- --ignored --nocapture`.
//! `FROSTLINE_SPEED` chooses cases by a part of their names, `FROSTLINE_WITHOUT_KERNELS` takes burn's operations.
//! Nothing is asserted: a busy machine proves nothing.

#![expect(clippy::unwrap_used, reason = "a measurement")]

mod common;

use burn::tensor::{Device, Distribution, Tensor};
use common::grads::training;
use frostline::models::{Mode, Network, find};
use frostline::nn::{Ctx, Value};
use frostline::train::{Optimizer, OptimizerChoice};
use std::sync::Arc;
use std::time::Instant;

/// The program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Name, model, what trains (`None`: a forward pass only), batch and side of the pictures.
type Case = (&'static str, &'static str, Option<&'static [&'static str]>, usize, usize);

const CASES: [Case; 12] = [
    ("resnet18 forward", "resnet18", None, 16, 224),
    ("resnet18 all", "resnet18", Some(&[""]), 16, 224),
    ("resnet18 last", "resnet18", Some(&["layer4", "fc"]), 16, 224),
    ("resnet18 head", "resnet18", Some(&["fc"]), 16, 224),
    ("mobilenet_v2 forward", "mobilenet_v2", None, 16, 224),
    ("mobilenet_v2 all", "mobilenet_v2", Some(&[""]), 16, 224),
    ("mobilenet_v2 head", "mobilenet_v2", Some(&["classifier"]), 16, 224),
    ("unet_resnet18 all", "unet_resnet18", Some(&[""]), 4, 256),
    ("unet_resnet18 decoder", "unet_resnet18", Some(&["decoder", "segmentation_head"]), 4, 256),
    ("unet_small all", "unet_small", Some(&[""]), 4, 256),
    ("yolox_nano forward", "yolox_nano", None, 8, 416),
    (
        "yolox_nano neck+head",
        "yolox_nano",
        Some(&["backbone.lateral", "backbone.C3", "backbone.reduce", "backbone.bu", "head"]),
        8,
        416,
    ),
];

#[test]
#[ignore = "a measurement"]
fn speed() {
    frostline::nn::cpu::switch(std::env::var_os("FROSTLINE_WITHOUT_KERNELS").is_none());
    let chosen = std::env::var("FROSTLINE_SPEED").unwrap_or_default();
    let reps = std::env::var("FROSTLINE_REPS").ok().and_then(|reps| reps.parse().ok()).unwrap_or(5);
    for (name, model, trains, batch, side) in CASES {
        if !name.contains(&chosen) {
            continue;
        }
        let graph = find(model).unwrap().graph(10, side).unwrap();
        let mut network = Network::new(Arc::new(graph), 1, &Device::flex()).unwrap();
        if let Some(prefixes) = trains {
            network.set_plan(&training(&network, prefixes));
        }
        let inference = network.inference();
        let x = Tensor::<4>::random([batch, 3, side, side], Distribution::Normal(0.0, 1.0), &Device::flex());
        let mut optimizer = Optimizer::new(OptimizerChoice::Sgd { momentum: 0.9, weight_decay: 1e-4 });
        let mut times = Vec::new();
        let (mut forward, mut backward) = (Vec::new(), Vec::new());
        for _ in 0..=reps {
            let start = Instant::now();
            if trains.is_some() {
                let mut ctx = Ctx::of_step(1, 0);
                let outputs = network.forward(x.clone(), Mode::Train, &mut ctx).unwrap();
                let loss = outputs.iter().map(square).reduce(|a, b| a + b).unwrap();
                forward.push(start.elapsed().as_secs_f64());
                let grads = loss.backward();
                backward.push(start.elapsed().as_secs_f64() - forward.last().unwrap());
                network.apply_statistics(ctx);
                optimizer.step(&mut network, grads, None, &|_| 1e-6);
            } else {
                inference.forward(x.clone(), Mode::Infer, &mut Ctx::default()).unwrap();
            }
            times.push(start.elapsed().as_secs_f64());
        }
        let seconds = median(&times[1..]);
        let part = |times: &[f64]| if times.is_empty() { 0.0 } else { median(&times[1..]) };
        println!(
            "{name}: {:.2} images/s, {seconds:.4} s (forward {:.3}, backward {:.3}), peak memory {} MB",
            batch as f64 / seconds,
            part(&forward),
            part(&backward),
            peak_mb()
        );
    }
}

fn square(value: &Value) -> Tensor<1> {
    match value {
        Value::Map(x) => x.clone().mul(x.clone()).mean(),
        Value::Vector(x) => x.clone().mul(x.clone()).mean(),
        Value::Tokens(x) => x.clone().mul(x.clone()).mean(),
        Value::Pyramid(maps) => maps.iter().map(|x| x.clone().mul(x.clone()).mean()).reduce(|a, b| a + b).unwrap(),
        _ => Tensor::zeros([1], &Device::flex()),
    }
}

fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Of the process so far; 0 where the system does not say.
fn peak_mb() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<usize>().ok()).unwrap_or(0) / 1024
}
