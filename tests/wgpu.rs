//! Training on a graphics adapter gives the CPU's losses. Software Vulkan (lavapipe) is enough, and is what CI has.
//!
//! Skipped with a line where there is no adapter; under `FROSTLINE_REQUIRE_WGPU=1` that is a failure.
#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests do, and say what they skip"
)]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use common::tiny::{Notes, dataset, plan, setup_on};
use frostline::train::{DeviceChoice, Plan, Trainer, device};
use std::process::Command;

const INSIDE: &str = "FROSTLINE_TEST_INSIDE";

/// Kernel tuning on a software adapter takes minutes unless cut down, and the setting is read from the environment once:
/// so the test runs itself again with it.
fn again(name: &str) {
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program)
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .env("CUBECL_AUTOTUNE_LEVEL", "minimal")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    println!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{name} failed on the adapter: {}", text(&output.stderr));
}

fn losses(choice: DeviceChoice) -> Vec<f64> {
    let (device, info) = device::open(choice).unwrap();
    println!("{info:?}");
    let folder = tempfile::tempdir().unwrap();
    let mask_loss = "ce+dice+focal+lovasz+border".parse().unwrap();
    let plan = Plan { clip_norm: Some(5.0), mask_loss, ..plan(1) };
    let start = std::time::Instant::now();
    let mut trainer = Trainer::new(setup_on(plan, &dataset(20), &device), &folder.path().join("run")).unwrap();
    let mut notes = Notes::default();
    trainer.run(&mut notes).unwrap();
    println!("{} steps in {:.1} s, {:?}", notes.steps.len(), start.elapsed().as_secs_f64(), notes.epochs[1].metrics);
    let steps = notes.steps.iter().map(|step| step.losses["total"]);
    steps.chain(notes.epochs.iter().map(|epoch| epoch.val["total"])).collect()
}

#[test]
fn an_epoch_on_the_adapter_gives_the_cpus_losses() {
    if std::env::var_os(INSIDE).is_none() {
        if let Err(why) = device::open(DeviceChoice::Wgpu(None)) {
            assert!(std::env::var_os("FROSTLINE_REQUIRE_WGPU").is_none(), "no adapter: {why}");
            eprintln!("SKIPPED an_epoch_on_the_adapter_gives_the_cpus_losses: {why}");
            return;
        }
        again("an_epoch_on_the_adapter_gives_the_cpus_losses");
        return;
    }
    let cpu = losses(DeviceChoice::Cpu);
    let gpu = losses(DeviceChoice::Wgpu(None));
    assert!(cpu.len() >= 5, "{cpu:?}");
    for (a, b) in cpu.iter().zip(&gpu) {
        println!("cpu {a:.7} adapter {b:.7}");
        assert!((a - b).abs() < 1e-3, "cpu {cpu:?}, adapter {gpu:?}");
    }
}

#[test]
fn auto_never_takes_a_software_adapter() {
    let (_, info) = device::open(DeviceChoice::Auto).unwrap();
    assert!(!info.software, "{info:?}");
    if info.kind == "cpu" {
        assert!(info.note.contains("adapter"), "it says why: {info:?}");
    }
}
