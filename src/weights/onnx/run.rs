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

fn run(path: &Path, shape: [usize; 4], inputs: &[f32]) -> TractResult<Vec<OnnxOutput>> {
    let model = tract_onnx::onnx().model_for_path(path)?;
    let label = |outlet: &OutletId| model.outlet_label(*outlet).unwrap_or_default().to_owned();
    let names: Vec<String> = model.output_outlets()?.iter().map(label).collect();
    let model = model.into_optimized()?.into_runnable()?;
    let found = model.run(tvec![Tensor::from_shape(&shape, inputs)?.into()])?;
    let output = |(name, value): (String, &TValue)| {
        let floats = value.cast_to::<f32>()?;
        let values = floats.try_as_plain_ram()?.as_slice::<f32>()?.to_vec();
        Ok(OnnxOutput { name, shape: value.shape().to_vec(), values })
    };
    names.into_iter().zip(&found).map(output).collect()
}
