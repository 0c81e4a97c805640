//! `frostline sample`: unpacks what the program carries, or makes it.

use super::args::SampleArgs;
use super::lines::Line;
use super::{Failure, Outcome, output};
use crate::data::sample::{self, ASSET_SEED, SampleError};
use std::path::Path;

pub(super) fn sample(args: &SampleArgs) -> Outcome {
    if let Some(folder) = &args.out {
        return written(folder, sample::unpack_embedded(folder), args.json);
    }
    if let Some(folder) = &args.assets {
        return written(folder, sample::write_assets(folder, ASSET_SEED), args.json);
    }
    Err(Failure::Running("sample --pretrain is not part of this build yet.".to_owned()))
}

fn written(folder: &Path, result: Result<(), SampleError>, json: bool) -> Outcome {
    match result {
        Ok(()) if json => output::json(&Line::Written { path: folder }),
        Ok(()) => output::line(&folder.display().to_string()),
        Err(error @ SampleError::Occupied(_)) => Err(Failure::Input(format!("{error}."))),
        Err(error) => Err(Failure::Running(format!("{error}."))),
    }
}
