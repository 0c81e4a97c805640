//! The self-test of a graphics adapter: a tiny network forward and backward, against the processor.
//!
//! Drivers and kernel compilers have bugs that give wrong numbers without a word. So an adapter has to agree with the
//! processor once, before anything is computed on it; the answer is kept for this adapter, driver and version of the
//! program. One that disagrees is not used: the processor computes, and it is said why.

use super::device::{DeviceInfo, open, processor};
use super::plan::DeviceChoice;
use crate::graph::blocks::{Activation, Classifier, ConvNormAct, GlobalAvgPool};
use crate::graph::{Builder, Conv, Graph, GraphError, HeadKind, Part, TensorSpec};
use crate::models::{Mode, Network, SeeTensors};
use crate::nn::{Ctx, Value};
use crate::weights::hub::cache_folder;
use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is said while the test runs: the first kernels of a device are compiled and tuned, which takes seconds, on a
/// software renderer a minute.
pub const PREPARING: &str = "preparing kernels, first time on this device";
/// Side of the test's pictures in pixels.
const SIDE: usize = 8;
/// Pictures of the test.
const BATCH: usize = 2;
/// Largest difference of two numbers, in parts of the largest number of their tensor. Adapters that work stay below 1e-5;
/// wrong kernels are wrong by the numbers' own size.
const TOLERANCE: f32 = 1e-3;
/// Differences below this are nothing, whatever the tensor's size: gradients before a batch norm sum up to zero.
const NOTHING: f32 = 1e-5;

/// What a device computes of the test: the network's outputs and all gradients, by name.
pub type Answers = Vec<(String, Vec<f32>)>;

/// What became of a device that was to be opened.
#[derive(Debug)]
pub struct Opened {
    /// The device that computes.
    pub device: Device,
    /// Which it is.
    pub info: DeviceInfo,
    /// What a person should know besides.
    pub notes: Vec<String>,
}

/// How adapters are tested, and where the answers are kept.
pub struct SelfTest<'a> {
    /// The file of answers; none: every test is made anew.
    pub file: Option<PathBuf>,
    /// Gives the reason why a device must not be used.
    pub judge: &'a dyn Fn(&Device) -> Result<(), String>,
}

impl std::fmt::Debug for SelfTest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SelfTest").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Default for SelfTest<'_> {
    /// Against the processor, kept in the user's cache folder.
    fn default() -> Self {
        Self { file: cache_folder().ok().map(|folder| folder.join("frostline").join("adapters.json")), judge: &agrees }
    }
}

impl SelfTest<'_> {
    /// What an answer is kept under: adapter, graphics API, driver with its version, version of the program.
    #[must_use]
    pub fn key(info: &DeviceInfo) -> String {
        [&info.name, &info.api, &info.driver, env!("CARGO_PKG_VERSION")].join(" · ")
    }

    /// Opens the chosen device. An adapter is tested first, or was before; one that fails is left for the processor.
    /// `say` is told what takes a while.
    ///
    /// # Errors
    /// A sentence, when a GPU was asked for by name and there is none.
    pub fn open(&self, choice: DeviceChoice, say: &mut dyn FnMut(&str)) -> Result<Opened, String> {
        let (device, info) = open(choice)?;
        if info.kind != "wgpu" {
            return Ok(Opened { device, info, notes: Vec::new() });
        }
        let key = SelfTest::key(&info);
        let mut known = self.file.as_deref().map(Known::read).unwrap_or_default();
        let (mut notes, verdict) = (Vec::new(), known.adapters.get(&key).cloned());
        let verdict = verdict.unwrap_or_else(|| {
            say(PREPARING);
            let verdict = Verdict { fault: (self.judge)(&device).err() };
            known.adapters.insert(key, verdict.clone());
            if let Some(file) = &self.file
                && let Err(cause) = known.write(file)
            {
                notes.push(format!("the self-test of {} cannot be kept in {}: {cause}", info.name, file.display()));
            }
            verdict
        });
        let Some(fault) = verdict.fault else { return Ok(Opened { device, info, notes }) };
        let refused = info.name;
        let (device, info) = processor(&format!("the processor computes: the self-test of {refused} failed ({fault})"));
        Ok(Opened { device, info: DeviceInfo { refused, ..info }, notes })
    }
}

/// What was found out about an adapter.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Verdict {
    /// Why it is not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

/// The file of answers, by adapter and driver.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Known {
    adapters: BTreeMap<String, Verdict>,
}

impl Known {
    /// Nothing is known from a file that is not there or damaged: the test is made again.
    fn read(file: &Path) -> Self {
        std::fs::read(file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    fn write(&self, file: &Path) -> std::io::Result<()> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let part = file.with_extension(format!("part{}", std::process::id()));
        std::fs::write(&part, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(&part, file)
    }
}

/// Computes the test on a device and on the processor; the reason if they disagree.
///
/// # Errors
/// A few words: what differs, or what failed.
pub fn agrees(device: &Device) -> Result<(), String> {
    let answers = |device: &Device| {
        // What a driver does wrong may come as a panic.
        let guarded = std::panic::AssertUnwindSafe(|| answers(device));
        std::panic::catch_unwind(guarded).unwrap_or_else(|_| Err("it broke off".to_owned()))
    };
    let reference = answers(&Device::flex()).map_err(|fault| format!("on the processor: {fault}"))?;
    compare(&reference, &answers(device)?)
}

/// Compares what a device computed with what the processor did.
///
/// # Errors
/// A few words: which tensor is off, and by how much.
pub fn compare(reference: &Answers, got: &Answers) -> Result<(), String> {
    if reference.len() != got.len() {
        return Err(format!("{} tensors instead of {}", got.len(), reference.len()));
    }
    for ((name, wanted), (_, got)) in reference.iter().zip(got) {
        if wanted.len() != got.len() {
            return Err(format!("{name} has {} values instead of {}", got.len(), wanted.len()));
        }
        let largest = wanted.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        // Not the maximum of f32, which passes over NaN.
        let off = |(a, b): (&f32, &f32)| if b.is_finite() { (a - b).abs() } else { f32::INFINITY };
        let worst = wanted.iter().zip(got).map(off).fold(0.0_f32, f32::max);
        if worst > TOLERANCE * largest + NOTHING {
            return Err(format!("{name} is off by {worst:.1e} at values up to {largest:.1e}"));
        }
    }
    Ok(())
}

/// Two convolutions with batch norm, a mean over the map, a linear layer: each kernel of a step, as small as it gets, in
/// as few shapes as there can be: each shape is tuned by itself.
fn network() -> Result<Graph, GraphError> {
    let mut b = Builder::new("self-test", SIDE, SIDE);
    let x = b.node("a", ConvNormAct::new(Conv::new(3, 4, 3, 1), Activation::Relu), &[b.image()]);
    let x = b.node("b", ConvNormAct::new(Conv::new(4, 4, 3, 1), Activation::Relu), &[x]);
    b.part(Part::Head("cls".to_owned()));
    let pooled = b.node("pool", GlobalAvgPool {}, &[x]);
    let logits = b.node("fc", Classifier::new(4, 4), &[pooled]);
    b.head("cls", logits, HeadKind::Classify { classes: 4 });
    b.finish()
}

/// The test's numbers on a device.
///
/// # Errors
/// What failed, in a few words.
pub fn answers(device: &Device) -> Result<Answers, String> {
    let mut network = Network::new(Arc::new(network().map_err(|error| error.to_string())?), 1, device)
        .map_err(|error| error.to_string())?;
    network.set_plan(&crate::graph::FreezePlan::default());
    let pixels: Vec<f32> =
        (0..BATCH * 3 * SIDE * SIDE).map(|i| ((i * 37 + i / 11) % 101) as f32 / 50.0 - 1.0).collect();
    let images = Tensor::<4>::from_data(TensorData::new(pixels, [BATCH, 3, SIDE, SIDE]), network.device());
    let outputs = network.forward(images, Mode::Train, &mut Ctx::of_step(1, 0)).map_err(|error| error.to_string())?;
    let Some(Value::Vector(logits)) = outputs.into_iter().next() else { return Err("no output".to_owned()) };
    let grads = logits.clone().powi_scalar(2).sum().backward();
    let mut taken = Taken { grads: &grads, answers: Vec::new(), fault: None };
    let [batch, classes] = logits.dims();
    taken.take("the output", logits.inner().reshape([batch * classes]));
    network.see_tensors(&mut taken);
    match taken.fault {
        None => Ok(taken.answers),
        Some(fault) => Err(fault),
    }
}

/// Collects numbers on the host.
struct Taken<'a> {
    grads: &'a burn::tensor::Gradients,
    answers: Answers,
    fault: Option<String>,
}

impl Taken<'_> {
    fn take(&mut self, name: &str, values: Tensor<1>) {
        let data = values.try_into_data().map_err(|error| format!("{error:?}"));
        match data.and_then(|data| data.try_to_vec::<f32>().map_err(|error| format!("{error:?}"))) {
            Ok(values) => self.answers.push((name.to_owned(), values)),
            Err(fault) => self.fault = Some(fault),
        }
    }
}

impl SeeTensors for Taken<'_> {
    fn see<const D: usize>(&mut self, spec: &TensorSpec, param: &Param<Tensor<D>>) {
        if let Some(grad) = param.val().grad(self.grads) {
            let count = grad.shape().num_elements();
            self.take(&format!("the gradient of {}", spec.name), grad.reshape([count]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_sees_outputs_and_all_gradients() {
        let answers = answers(&Device::flex()).unwrap();
        // Output; weight, scale and shift of two blocks; weight and bias of the head.
        assert_eq!(answers.len(), 1 + 2 * 3 + 2, "{:?}", answers.iter().map(|(name, _)| name).collect::<Vec<_>>());
        assert!(answers.iter().all(|(_, values)| values.iter().any(|value| value.abs() > 1e-3)));
        assert_eq!(compare(&answers, &answers), Ok(()));
    }

    #[test]
    fn one_wrong_number_is_found_in_each_tensor() {
        let right = answers(&Device::flex()).unwrap();
        for (at, (name, values)) in right.iter().enumerate() {
            let largest = values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
            for wrong in [values[0] + 0.01 * largest + 1e-4, f32::NAN, f32::INFINITY] {
                let mut got = right.clone();
                got[at].1[0] = wrong;
                let fault = compare(&right, &got).unwrap_err();
                assert!(fault.starts_with(name.as_str()), "{fault}");
            }
        }
        assert!(compare(&right, &right[1..].to_vec()).is_err());
    }
}
