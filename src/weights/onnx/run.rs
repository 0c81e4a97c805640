//! Runs an ONNX file with tract, an engine that shares nothing with the one that trained.

use std::path::Path;
use tract_onnx::prelude::*;

/// The engine that runs files here, for people.
pub const ENGINE: &str = "tract";

/// One output of an ONNX file.
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxOutput {
    /// Its name in the file.
    pub name: String,
    /// Its axes, batch first.
    pub shape: Vec<usize>,
    /// Its values, row-major; whole numbers as the nearest of these.
    pub values: Vec<f32>,
}

/// What the file at `path` says of a batch of inputs `[batch, channels, height, width]`. The batch axis stays free
/// while the file is prepared, as the file says, so that a file that only works for one length of it fails here.
///
/// # Errors
/// A sentence with the file and the engine's reason.
pub fn run_onnx(path: &Path, shape: [usize; 4], inputs: &[f32]) -> Result<Vec<OnnxOutput>, String> {
    run(path, shape, inputs).map_err(|error| format!("{ENGINE} cannot run {}: {error:#}.", path.display()))
}

/// An input of an ONNX file.
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxInput {
    /// Its name in the file.
    pub name: &'static str,
    /// Its axes.
    pub shape: Vec<usize>,
    /// Its values, row-major.
    pub values: Vec<f32>,
}

/// What the file at `path` gives under these names for these inputs, which are all that it has. Only what the outputs need is run.
///
/// # Errors
/// A sentence with the file and the engine's reason.
pub fn run_onnx_named(path: &Path, inputs: &[OnnxInput], outputs: &[&str]) -> Result<Vec<OnnxOutput>, String> {
    run_named(path, inputs, outputs).map_err(|error| format!("{ENGINE} cannot run {}: {error:#}.", path.display()))
}

fn run_named(path: &Path, inputs: &[OnnxInput], outputs: &[&str]) -> TractResult<Vec<OnnxOutput>> {
    let names: Vec<&str> = inputs.iter().map(|input| input.name).collect();
    let model = tract_onnx::onnx().model_for_path(path)?;
    let model = model.with_inputs_by_name(&names)?.with_outputs_by_name(outputs)?;
    let model = model.into_optimized()?.into_runnable()?;
    let tensor = |input: &OnnxInput| Ok(Tensor::from_shape(&input.shape, &input.values)?.into());
    let found = model.run(inputs.iter().map(tensor).collect::<TractResult<TVec<TValue>>>()?)?;
    outputs.iter().zip(&found).map(|(name, value)| read((*name).to_owned(), value)).collect()
}

fn read(name: String, value: &TValue) -> TractResult<OnnxOutput> {
    let floats = value.cast_to::<f32>()?;
    let values = floats.try_as_plain_ram()?.as_slice::<f32>()?.to_vec();
    Ok(OnnxOutput { name, shape: value.shape().to_vec(), values })
}

fn run(path: &Path, shape: [usize; 4], inputs: &[f32]) -> TractResult<Vec<OnnxOutput>> {
    let model = tract_onnx::onnx().model_for_path(path)?;
    let label = |outlet: &OutletId| model.outlet_label(*outlet).unwrap_or_default().to_owned();
    let names: Vec<String> = model.output_outlets()?.iter().map(label).collect();
    let model = model.into_optimized()?.into_runnable()?;
    let found = model.run(tvec![Tensor::from_shape(&shape, inputs)?.into()])?;
    names.into_iter().zip(&found).map(|(name, value)| read(name, value)).collect()
}
