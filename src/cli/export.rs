//! `frostline export`: a run's best weights under the public names.

use super::args::ExportArgs;
use super::lines::Line;
use super::{Failure, Outcome, output};
use crate::train::{self, DeviceChoice};

pub(super) fn export(args: &ExportArgs) -> Outcome {
    if !args.run.is_dir() {
        return Err(Failure::Input(format!("{} is not a run's folder.", args.run.display())));
    }
    match args.to.extension().and_then(|extension| extension.to_str()) {
        Some("safetensors") => {}
        Some("onnx") => {
            return Err(Failure::Input("ONNX export comes with a later version; write .safetensors.".to_owned()));
        }
        _ => return Err(Failure::Input(format!("{}: the file must end in .safetensors.", args.to.display()))),
    }
    // Nothing is computed, so any device will do.
    let (device, _) = train::device::open(DeviceChoice::Cpu).map_err(Failure::Running)?;
    let (network, run) = train::open_model(&args.run, &device).map_err(Failure::Input)?;
    let cannot = |cause: String| Failure::Running(format!("{} cannot be written: {cause}.", args.to.display()));
    let tensors = network.tensors().map_err(|error| cannot(error.to_string()))?;
    train::export(&args.to, &tensors, &run).map_err(Failure::Running)?;
    if args.json {
        return output::json(&Line::Written { path: &args.to });
    }
    output::line(&args.to.display().to_string())
}
