//! `frostline export`: a run's best weights under the public names.

use super::args::ExportArgs;
use super::{Failure, Outcome};

pub(super) fn export(args: &ExportArgs) -> Outcome {
    if !args.run.is_dir() {
        return Err(Failure::Input(format!("{} is not a run's folder.", args.run.display())));
    }
    match args.to.extension().and_then(|extension| extension.to_str()) {
        Some("safetensors") => Err(Failure::Running("export is not part of this build yet.".to_owned())),
        Some("onnx") => Err(Failure::Input("ONNX export comes with a later version; write .safetensors.".to_owned())),
        _ => Err(Failure::Input(format!("{}: the file must end in .safetensors.", args.to.display()))),
    }
}
