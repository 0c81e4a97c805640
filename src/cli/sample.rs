//! `frostline sample`: unpacks what the program carries, or makes it.

use super::args::SampleArgs;
use super::drive::Driver;
use super::lines::Line;
use super::{Failure, Outcome, output};
use crate::data::sample::{self, ASSET_SEED, ASSET_SIZE_PX, SampleError, World};
use crate::data::{Augment, CropRange};
use crate::session::{Command, catalogue};
use crate::train::{DataSource, DeviceChoice, OptimizerChoice, Plan};
use std::path::Path;

pub(super) fn sample(args: &SampleArgs) -> Outcome {
    if let Some(folder) = &args.out {
        return written(folder, sample::unpack_embedded(folder), args.json);
    }
    if let Some(folder) = &args.assets {
        return written(folder, sample::write_assets(folder, ASSET_SEED), args.json);
    }
    match &args.pretrain {
        Some(folder) => pretrain(folder, args.json),
        None => Err(Failure::Input("Say what to do: --out, --assets or --pretrain.".to_owned())),
    }
}

/// Pictures of each pretraining class, for training and for validation.
const PRETRAIN: (usize, usize) = (300, 20);

/// Trains the backbone that the program carries: the small ResNet on the other generated world, all from fixed seeds.
fn pretrain(assets: &Path, json: bool) -> Outcome {
    let fail = |cause: std::io::Error| Failure::Running(format!("Cannot use the temporary folder: {cause}."));
    let work = std::env::temp_dir().join(format!("frostline-pretrain-{}", std::process::id()));
    std::fs::create_dir_all(&work).map_err(fail)?;
    let outcome = pretrain_in(&work, assets, json);
    std::fs::remove_dir_all(&work).map_err(fail)?;
    outcome
}

fn pretrain_in(work: &Path, assets: &Path, json: bool) -> Outcome {
    let (set, run) = (work.join("set"), work.join("run"));
    let mut line = super::progress::StatusLine::default();
    line.note(&format!("drawing the pretraining pictures in {}", set.display()));
    class_folders(World::Pretrain, &set, PRETRAIN, ASSET_SEED)?;
    let Some(model) = catalogue().into_iter().find(|variant| variant.built_in) else {
        return Err(Failure::Running("No model of the zoo has a built-in backbone.".to_owned()));
    };
    let plan = Plan {
        data: DataSource::Path(set),
        model: model.name.to_owned(),
        size_px: 96,
        epochs: 14,
        batch: 32,
        lr: 0.1,
        warmup_epochs: 1.0,
        label_smoothing: 0.1,
        seed: ASSET_SEED,
        optimizer: OptimizerChoice::Sgd { momentum: 0.9, weight_decay: 5e-4 },
        augment: Augment {
            random_resized_crop: Some(CropRange { scale: [0.5, 1.0], ratio: [0.8, 1.25] }),
            ..Augment::default()
        },
        device: DeviceChoice::Cpu,
        ..Plan::default()
    };
    let mut driver = Driver::new(plan.device.clone())?;
    driver.send(Command::Start { plan: Box::new(plan), out: run.clone() })?;
    driver.follow_run(json)?;
    let file = assets.join("backbone.safetensors");
    crate::session::save_backbone(&run, &file).map_err(Failure::Running)?;
    output::line(&file.display().to_string())
}

/// Draws a world as class folders alone: boxes and masks beside them would make it a set of another kind. `count` is
/// the number of pictures of each class, for training and for validation.
pub(super) fn class_folders(world: World, root: &Path, count: (usize, usize), seed: u64) -> Outcome {
    sample::write_folder(world, root, count.0, count.1, ASSET_SIZE_PX, seed, &|_, _| ())
        .map_err(|error| Failure::Running(format!("{error}.")))?;
    for other in ["annotations", "masks"] {
        let folder = root.join(other);
        std::fs::remove_dir_all(&folder)
            .map_err(|cause| Failure::Running(format!("{} cannot be removed: {cause}.", folder.display())))?;
    }
    Ok(())
}

fn written(folder: &Path, result: Result<(), SampleError>, json: bool) -> Outcome {
    match result {
        Ok(()) if json => output::json(&Line::Written { path: folder, bytes: None, check: None }),
        Ok(()) => output::line(&folder.display().to_string()),
        Err(error @ SampleError::Occupied(_)) => Err(Failure::Input(format!("{error}."))),
        Err(error) => Err(Failure::Running(format!("{error}."))),
    }
}
