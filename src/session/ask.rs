//! Prompts: the network stays loaded and the last picture encoded, so that a click is answered by the decoder alone.

use super::message::{Event, MaskAnswer, MaskQuestion, Masks};
use super::worker::Outbox;

use crate::data::{ImageSource, image};
use crate::train;
use crate::train::segmentation::prompt::{Embedding, Prompter};
use burn::tensor::Device;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

/// What is kept from one prompt to the next.
#[derive(Default)]
pub(super) struct Asker {
    prompter: Option<(Stamped, Prompter)>,
    picture: Option<(Stamped, Embedding)>,
}

/// A file as it was when it was read.
#[derive(PartialEq)]
struct Stamped {
    path: PathBuf,
    changed: Option<SystemTime>,
}

impl Stamped {
    fn of(path: &Path) -> Self {
        let changed = std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
        Self { path: path.to_path_buf(), changed }
    }
}

impl Asker {
    /// Answers a question about a picture.
    ///
    /// # Errors
    /// A sentence with the cause.
    pub(super) fn answer(
        &mut self,
        (image, from, question): (&Path, &Path, &MaskQuestion),
        device: &Device,
        outbox: &Outbox,
        stop: &AtomicBool,
    ) -> Result<(), String> {
        let busy = |what: &str, done, total| outbox.offer(Event::Progress { what: what.to_owned(), done, total });
        let stamp = Stamped::of(from);
        if self.prompter.as_ref().is_none_or(|(known, _)| *known != stamp) {
            busy("loading the model", 0, 0);
            *self = Self::default();
            let (network, run) = train::open_model(from, device)?;
            self.prompter = Some((stamp, Prompter::new(&network, run.preprocess)?));
        }
        let Some((_, prompter)) = &self.prompter else { return Ok(()) };
        let stamp = Stamped::of(image);
        let mut encode_secs = None;
        if self.picture.as_ref().is_none_or(|(known, _)| *known != stamp) {
            busy("encoding the picture", 0, 0);
            self.picture = None;
            let loaded = image::load(&ImageSource::File(image.to_path_buf())).map_err(|error| error.to_string())?;
            if let MaskQuestion::Prompt(prompt) = question {
                prompt.check([loaded.width, loaded.height])?;
            }
            let start = Instant::now();
            self.picture = Some((stamp, prompter.embed(&loaded).map_err(|error| failed(image, &error))?));
            encode_secs = Some(start.elapsed().as_secs_f64());
        }
        let Some((_, embedding)) = &self.picture else { return Ok(()) };
        let start = Instant::now();
        let masks = match question {
            MaskQuestion::Prompt(prompt) => {
                prompt.check(embedding.size_px)?;
                Masks::Offered(prompter.answer(embedding, prompt).map_err(|error| failed(image, &error))?)
            }
            MaskQuestion::Everything(grid) => {
                let mut go_on = |done: usize, total: usize| {
                    busy("looking at every point", done, total);
                    !stop.load(Ordering::Relaxed)
                };
                let found = prompter.everything(embedding, grid, &mut go_on);
                match found.map_err(|error| failed(image, &error))? {
                    Some(everything) => Masks::Found(everything),
                    None => return Err("The search was stopped.".to_owned()),
                }
            }
        };
        let answer_secs = start.elapsed().as_secs_f64();
        let answer = MaskAnswer { image: image.to_path_buf(), masks, encode_secs, answer_secs };
        outbox.send(Event::Masks(Arc::new(answer)));
        Ok(())
    }
}

fn failed(image: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}.", image.display())
}
