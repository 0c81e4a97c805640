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
use frostline::train::self_test::PREPARING;
use frostline::train::{DeviceChoice, Opened, Plan, SelfTest, Trainer, device, self_test};
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

/// Opens a device with the self-test; what was said.
fn tested(test: &SelfTest<'_>, choice: DeviceChoice) -> (Opened, Vec<String>) {
    let mut said = Vec::new();
    let opened = test.open(choice, &mut |what| said.push(what.to_owned())).unwrap();
    assert!(opened.notes.is_empty(), "{opened:?}");
    (opened, said)
}

fn losses(choice: DeviceChoice) -> Vec<f64> {
    let home = tempfile::tempdir().unwrap();
    let test = SelfTest { file: Some(home.path().join("cache/adapters.json")), judge: &self_test::agrees };
    let start = std::time::Instant::now();
    let (Opened { device, info, .. }, said) = tested(&test, choice.clone());
    println!("{info:?}, self-test {:.1} s", start.elapsed().as_secs_f64());
    if info.kind == "wgpu" {
        assert_eq!(said, [PREPARING], "the first time");
        let (again, said) = tested(&test, choice);
        assert_eq!((again.info, said), (info, Vec::new()), "the answer is remembered");
    }
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

/// The threads of this process that ask an open adapter for work.
#[cfg(target_os = "linux")]
fn adapter_threads() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let names = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("DSD-")).count()
}

/// An open software adapter costs the processor a tenth of its time, though nothing is computed on it.
#[cfg(target_os = "linux")]
#[test]
fn auto_leaves_a_software_adapter_closed() {
    if std::env::var_os(INSIDE).is_none() {
        // (In this process another test may have opened it.)
        again("auto_leaves_a_software_adapter_closed");
        return;
    }
    let (_, info) = device::open(DeviceChoice::Auto).unwrap();
    if info.kind != "cpu" {
        eprintln!("SKIPPED auto_leaves_a_software_adapter_closed: there is a real one, {}", info.name);
        return;
    }
    assert_eq!(adapter_threads(), 0);
    if device::open(DeviceChoice::Wgpu(None)).is_ok() {
        assert!(adapter_threads() > 0, "an open adapter is seen");
    }
}

#[test]
fn an_adapter_that_disagrees_is_left_for_the_processor() {
    let Ok((_, adapter)) = device::open(DeviceChoice::Wgpu(None)) else {
        assert!(std::env::var_os("FROSTLINE_REQUIRE_WGPU").is_none(), "no adapter");
        eprintln!("SKIPPED an_adapter_that_disagrees_is_left_for_the_processor: no adapter");
        return;
    };
    // One number of one gradient is wrong, as a driver would have it.
    let wrong = |_: &burn::tensor::Device| {
        let right = self_test::answers(&burn::tensor::Device::flex())?;
        let mut got = right.clone();
        got.last_mut().unwrap().1[0] += 0.5;
        self_test::compare(&right, &got)
    };
    let home = tempfile::tempdir().unwrap();
    let file = Some(home.path().join("adapters.json"));
    let choice = DeviceChoice::Wgpu(None);
    let (Opened { info, .. }, said) = tested(&SelfTest { file: file.clone(), judge: &wrong }, choice.clone());
    assert_eq!((info.kind.as_str(), said.as_slice()), ("cpu", [PREPARING.to_owned()].as_slice()));
    assert_eq!(info.refused, adapter.name);
    let why = format!("the processor computes: the self-test of {} failed (the gradient of ", adapter.name);
    assert!(info.note.starts_with(&why) && info.note.contains(" is off by 5.0e-1 "), "{}", info.note);
    // Remembered: nobody asks the adapter again.
    let never = |_: &burn::tensor::Device| -> Result<(), String> { panic!("the test is made again") };
    let (again, said) = tested(&SelfTest { file: file.clone(), judge: &never }, choice.clone());
    assert_eq!((again.info, said), (info, Vec::new()));
    // A damaged file knows nothing.
    std::fs::write(file.as_ref().unwrap(), b"{").unwrap();
    let (again, said) = tested(&SelfTest { file, judge: &|_| Ok(()) }, choice);
    assert_eq!((again.info, said.len()), (adapter, 1));
}
