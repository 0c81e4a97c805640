//! `frostline eval`: measures a model on a data set.

use super::args::EvalArgs;
use super::{Failure, Outcome};

pub(super) fn evaluate(args: &EvalArgs) -> Outcome {
    for path in [&args.source, &args.data] {
        if !path.exists() {
            return Err(Failure::Input(format!("{} does not exist.", path.display())));
        }
    }
    Err(Failure::Running("eval is not part of this build yet.".to_owned()))
}
