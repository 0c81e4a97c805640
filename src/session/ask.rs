//! Prompts: the network stays loaded and the last picture encoded, so that a click is answered by the decoder alone.

use super::message::{Event, MaskAnswer, MaskQuestion, Masks, PromptOpened};
use super::worker::Outbox;

use crate::data::{Drawn, DrawnForm, image, save_drawn};
use crate::format::plural;
use crate::train;
use crate::train::segmentation::prompt::{Embedding, Kept, Prompt, Prompter};
use burn::tensor::Device;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

/// Encoded pictures that stay in memory: some megabytes each.
const PICTURES: usize = 8;

/// What is kept from one prompt to the next.
#[derive(Default)]
pub(super) struct Asker {
    prompter: Option<(Stamped, Prompter)>,
    /// Pictures, the one asked about last at the end.
    pictures: Vec<(Stamped, Embedding)>,
    /// The folder of encoded pictures on disk; none for memory alone.
    folder: Option<PathBuf>,
    /// Those of this network.
    kept: Option<Kept>,
}

/// How a picture came to be ready.
#[derive(Clone, Copy, Debug, Default)]
struct Encoding {
    secs: Option<f64>,
    from_disk: bool,
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
    /// Keeps encoded pictures in this folder.
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, ..Self::default() }
    }

    /// Gets a picture ready: encodes it, or reads from disk what was encoded earlier.
    ///
    /// # Errors
    /// A sentence with the cause.
    pub(super) fn open(
        &mut self,
        image: &Path,
        from: &Path,
        device: &Device,
        outbox: &Outbox,
        stop: &AtomicBool,
    ) -> Result<(), String> {
        self.load(from, device, outbox)?;
        let encoding = self.encode(image, None, true, outbox, stop)?;
        let Some((_, embedding)) = self.pictures.last() else { return Ok(()) };
        let opened = PromptOpened {
            image: image.to_path_buf(),
            size_px: embedding.size_px,
            encode_secs: encoding.secs,
            from_disk: encoding.from_disk,
        };
        outbox.send(Event::PromptReady(Arc::new(opened)));
        Ok(())
    }

    fn load(&mut self, from: &Path, device: &Device, outbox: &Outbox) -> Result<(), String> {
        let stamp = Stamped::of(from);
        if self.prompter.as_ref().is_none_or(|(known, _)| *known != stamp) {
            outbox.offer(Event::Progress { what: "loading the model".to_owned(), done: 0, total: 0 });
            *self = Self::new(self.folder.take());
            let (network, run) = train::open_model(from, device)?;
            self.prompter = Some((stamp, Prompter::new(&network, run.preprocess.clone())?));
            // Without the weights' digest nothing is kept on disk.
            let folder = self.folder.clone().filter(|_| from.is_file());
            self.kept = folder.and_then(|folder| Kept::new(folder, from, &run.preprocess).ok());
        }
        Ok(())
    }

    /// Puts a picture at the end of those that are ready.
    fn encode(
        &mut self,
        image: &Path,
        prompt: Option<&Prompt>,
        disk: bool,
        outbox: &Outbox,
        stop: &AtomicBool,
    ) -> Result<Encoding, String> {
        let stamp = Stamped::of(image);
        if let Some(at) = self.pictures.iter().position(|(known, _)| *known == stamp) {
            let picture = self.pictures.remove(at);
            self.pictures.push(picture);
            return Ok(Encoding::default());
        }
        let Some((_, prompter)) = &self.prompter else { return Ok(Encoding::default()) };
        let mut go_on = |done: usize, total: usize| {
            outbox.offer(Event::Progress { what: "encoding the picture".to_owned(), done, total });
            !stop.load(Ordering::Relaxed)
        };
        go_on(0, 0);
        let bytes = std::fs::read(image).map_err(|error| format!("{} cannot be read: {error}.", image.display()))?;
        let loaded = image::decode(&bytes, &image.display().to_string()).map_err(|error| error.to_string())?;
        if let Some(prompt) = prompt {
            prompt.check([loaded.width, loaded.height])?;
        }
        let kept = self.kept.as_ref().filter(|_| disk).map(|kept| (kept, kept.file(&bytes)));
        let features = kept.as_ref().and_then(|(kept, file)| kept.read(file));
        let restored = features.and_then(|features| prompter.restore(&loaded, features));
        let (embedding, encoding) = if let Some(embedding) = restored {
            (embedding, Encoding { secs: None, from_disk: true })
        } else {
            let start = Instant::now();
            let embedding = prompter.embed_in_steps(&loaded, &mut go_on).map_err(|error| failed(image, &error))?;
            let Some(embedding) = embedding else { return Err("The encoding was stopped.".to_owned()) };
            let secs = Some(start.elapsed().as_secs_f64());
            if let Some((kept, file)) = &kept {
                let features = prompter.features(&embedding).map_err(|error| failed(image, &error))?;
                if let Err(why) = kept.write(file, features) {
                    outbox.send(Event::Log(format!("The encoded picture is not kept on disk: {why}")));
                }
            }
            (embedding, Encoding { secs, from_disk: false })
        };
        if self.pictures.len() >= PICTURES {
            self.pictures.remove(0);
        }
        self.pictures.push((stamp, embedding));
        Ok(encoding)
    }

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
        self.load(from, device, outbox)?;
        let asked = match question {
            MaskQuestion::Prompt(prompt) => Some(prompt),
            MaskQuestion::Everything(_) => None,
        };
        let encode_secs = self.encode(image, asked, false, outbox, stop)?.secs;
        let (Some((_, prompter)), Some((_, embedding))) = (&self.prompter, self.pictures.last()) else { return Ok(()) };
        let start = Instant::now();
        let masks = match question {
            MaskQuestion::Prompt(prompt) => {
                prompt.check(embedding.size_px)?;
                Masks::Offered(prompter.answer(embedding, prompt).map_err(|error| failed(image, &error))?)
            }
            MaskQuestion::Everything(grid) => {
                let mut go_on = |done: usize, total: usize| {
                    outbox.offer(Event::Progress { what: "looking at every point".to_owned(), done, total });
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

/// Writes what a person accepted as a data set.
pub(super) fn write_drawn(
    (pictures, classes, form): (&[Drawn], &[String], DrawnForm),
    to: &Path,
    outbox: &Outbox,
    stop: &AtomicBool,
) -> Result<(), String> {
    let mut go_on = |done: usize, total: usize| {
        outbox.offer(Event::Progress { what: "writing the data set".to_owned(), done, total });
        !stop.load(Ordering::Relaxed)
    };
    let saved = save_drawn(pictures, classes, form, to, &mut go_on)?;
    outbox.send(Event::Idle);
    let Some(saved) = saved else { return Ok(()) };
    let what = format!("{} in {}", plural(saved.objects, "object"), plural(saved.pictures, "picture"));
    outbox.send(Event::Saved { path: saved.folder.clone(), what });
    outbox.send(Event::DrawnSaved(saved));
    Ok(())
}
