//! Masks of predictions, written into a folder.

use super::Event;
use super::worker::Outbox;
use crate::format::plural;
use crate::train::segmentation::MaskFolder;
use crate::train::{Answer, Prediction};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Writes the masks; what cannot be written is said, picture by picture.
pub(super) fn save_masks(
    predictions: &[Prediction],
    least: Option<f32>,
    to: &Path,
    outbox: &Outbox,
    stop: &AtomicBool,
) -> Result<(), String> {
    let mut folder = MaskFolder::new(to)?;
    let (mut written, mut problems) = (0, Vec::new());
    for (done, prediction) in predictions.iter().enumerate() {
        let total = predictions.len();
        outbox.offer(Event::Progress { what: "writing masks".to_owned(), done, total });
        if stop.load(Ordering::Relaxed) {
            outbox.send(Event::Idle);
            return Ok(());
        }
        let saved = match least {
            None => folder.write(prediction),
            Some(least) => folder.write(&with_least(prediction, least)),
        };
        match saved {
            Ok(saved) => written += usize::from(saved.is_some()),
            Err(problem) => problems.push(problem),
        }
    }
    match (written, problems.first()) {
        (0, Some(problem)) => return Err(problem.clone()),
        _ => problems.into_iter().for_each(|problem| outbox.send(Event::Log(problem))),
    }
    folder.finish()?;
    outbox.send(Event::Idle);
    outbox.send(Event::Saved { path: to.to_path_buf(), what: plural(written, "mask") });
    Ok(())
}

fn with_least(prediction: &Prediction, least: f32) -> Prediction {
    let mut chosen = prediction.clone();
    for head in &mut chosen.heads {
        if let Answer::Mask(mask) = &mut head.answer {
            *mask = Arc::new(mask.with_least(least));
        }
    }
    chosen
}
