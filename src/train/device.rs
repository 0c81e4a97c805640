//! Which device computes: chosen at run time, with the fallible constructors only.

use super::plan::DeviceChoice;
use burn::tensor::{Device, DeviceKind, DeviceType};
use serde::Serialize;
use std::sync::{Mutex, OnceLock, PoisonError};

/// The device that a session computes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceInfo {
    /// The adapter's or processor's name.
    pub name: String,
    /// `cpu`, `wgpu` or `remote`.
    pub kind: String,
    /// The graphics API of an adapter, such as Vulkan; empty for the processor.
    pub api: String,
    /// The driver of an adapter with its version; empty for the processor.
    pub driver: String,
    /// Whether the adapter is a software renderer (slow, shown in red).
    pub software: bool,
    /// Why this device was taken, where that needs saying.
    pub note: String,
    /// The adapter that failed its self-test, in whose place the processor computes; empty where none did.
    pub refused: String,
}

/// Opens the chosen device, without the self-test of [`super::SelfTest`].
///
/// # Errors
/// A sentence, when a GPU was asked for by name and there is none, or a server that does not answer.
pub fn open(choice: DeviceChoice) -> Result<(Device, DeviceInfo), String> {
    match choice {
        DeviceChoice::Cpu => Ok(processor("")),
        DeviceChoice::Wgpu(index) => adapter(index),
        DeviceChoice::Remote(address) => super::remote::connect(&address),
        DeviceChoice::Auto => Ok(match found() {
            Found::Nothing => processor("the processor computes: no graphics adapter was found"),
            Found::Software => processor("the processor computes: the only graphics adapter is a software renderer"),
            Found::Hardware => match adapter(None) {
                Ok((device, info)) if !info.software => (device, info),
                Ok((_, info)) => processor(&format!(
                    "the processor computes: the graphics adapter taken first is the software renderer {}",
                    info.name
                )),
                Err(cause) => processor(&format!("the processor computes ({})", cause.trim_end_matches('.'))),
            },
        }),
    }
}

/// What graphics adapters there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    /// None but software renderers.
    Software,
    /// One that is hardware at least.
    Hardware,
}

/// Looks for adapters without opening one: an open one has a thread that asks for work all the time, which costs the
/// processor a tenth of two cores.
fn found() -> Found {
    static FOUND: OnceLock<Found> = OnceLock::new();
    *FOUND.get_or_init(|| {
        // A driver that fails is as good as none.
        let adapters = std::panic::catch_unwind(|| Device::enumerate(DeviceType::Wgpu).into_vec()).unwrap_or_default();
        let software = Device::wgpu(DeviceKind::Cpu);
        if adapters.is_empty() {
            Found::Nothing
        } else if adapters.iter().all(|adapter| *adapter == software) {
            Found::Software
        } else {
            Found::Hardware
        }
    })
}

pub(super) fn processor(note: &str) -> (Device, DeviceInfo) {
    let info = DeviceInfo {
        name: processor_name(),
        kind: "cpu".to_owned(),
        api: String::new(),
        driver: String::new(),
        software: false,
        note: note.to_owned(),
        refused: String::new(),
    };
    (Device::flex(), info)
}

/// The processor's name as the system gives it.
fn processor_name() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim()));
    let model = model.unwrap_or(std::env::consts::ARCH);
    format!("{model}, {cores} threads")
}

/// An adapter can be opened once in a process; later sessions share it.
fn adapter(index: Option<usize>) -> Result<(Device, DeviceInfo), String> {
    type Opened = Vec<(Option<usize>, Result<(Device, DeviceInfo), String>)>;
    static OPENED: Mutex<Opened> = Mutex::new(Vec::new());
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, known)) = opened.iter().find(|(known, _)| *known == index) {
        return known.clone();
    }
    let answer = open_adapter(index);
    opened.push((index, answer.clone()));
    answer
}

fn open_adapter(index: Option<usize>) -> Result<(Device, DeviceInfo), String> {
    let kind = index.map_or(DeviceKind::DefaultDevice, DeviceKind::DiscreteGpu);
    // Short submissions keep a window that shares the GPU fluent.
    let options = Device::wgpu_options().device_kind(kind).tasks_max(32);
    let opened = std::panic::catch_unwind(|| options.init_with_setup());
    let (device, setup) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => return Err(format!("No graphics adapter can be used: {error}.")),
        Err(_) => return Err("No graphics adapter can be used: its driver failed.".to_owned()),
    };
    let facts = setup.adapter.get_info();
    let software = format!("{:?}", facts.device_type) == "Cpu";
    let info = DeviceInfo {
        name: facts.name.clone(),
        kind: "wgpu".to_owned(),
        api: format!("{:?}", facts.backend),
        driver: format!("{} {}", facts.driver, facts.driver_info).trim().to_owned(),
        software,
        note: if software { "a software renderer: correct, but very slow".to_owned() } else { String::new() },
        refused: String::new(),
    };
    Ok((device, info))
}
