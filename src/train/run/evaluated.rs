//! What a run says of its validation pictures: told after each epoch, kept on disk for the best one.

use super::{Observer, Trainer};
use crate::data::Split;
use crate::train::evaluation::Evaluation;
use crate::train::validate::Validation;
use std::sync::Arc;
use std::time::Duration;

impl Trainer {
    /// Takes what the pass found of each picture.
    pub(super) fn evaluation(&self, found: &mut Validation, took: Duration) -> Evaluation {
        Evaluation {
            source: self.folder.path().to_path_buf(),
            epoch: Some(self.position.epoch),
            model: self.setup.plan.model.clone(),
            set: Arc::clone(&self.setup.dataset),
            split: Some(Split::Val),
            metrics: found.metrics.clone(),
            losses: found.losses.clone(),
            images: found.images,
            heads: std::mem::take(&mut found.heads),
            seconds: took.as_secs_f64(),
        }
    }

    /// A resumed run tells its best epoch, and what is on disk of it.
    pub(super) fn tell_best(&self, observer: &mut dyn Observer) {
        let Some(best) = self.position.best.clone().filter(|_| self.first_epoch > 0) else { return };
        match Evaluation::read(self.folder.path()) {
            Ok(Some(saved)) if saved.epoch == Some(best.epoch) => observer.evaluated(Arc::new(saved)),
            Ok(_) => {}
            Err(problem) => observer.log(problem),
        }
        observer.best(best);
    }
}
