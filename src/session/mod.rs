//! The background thread that owns the device and executes runs. Commands in, events out; no egui, no tensors.
//!
//! One long-lived thread touches the device, because burn keeps a stream and a memory pool for each thread that does.

mod ask;
mod devices;
mod diff;
mod history;
mod masks;
mod message;
mod pace;
mod project;
mod runs;
mod save;
mod shelf;
mod steer;
mod thumbs;
mod view;
mod worker;

pub use crate::models::{Accuracy, ModelTask, PublicWeights, Variant, catalogue, find as find_model};
pub use crate::train::save_backbone;
pub use crate::train::segmentation::Parts;
pub use diff::{Difference, differences, freeze_in_words};
pub use history::Series;
pub use message::{
    Belongs, Best, BoxForm, BoxOutput, Command, DeviceInfo, Ending, EpochNews, Evaluation, Event, ExportCheck,
    ExportFormat, Exported, FeaturesKept, HeadCheck, LiveSample, MaskAnswer, MaskQuestion, Masks, PromptOpened,
    RunInfo, StepNews, StepTimes, WeightsCommand, WeightsState, Which,
};
pub use project::{Project, Recent};
pub use runs::{EvaluationAnswer, RunAnswer, RunRecord, RunShelf, RunState};
pub use shelf::WeightsPlace;
pub use thumbs::{Picture, Thumbnails};
pub use view::{Busy, Mark, Notice, Phase, PromptView, RunView, SweepView, View};

use crate::data::features::FeatureFolder;
use crate::train::DeviceChoice;
use shelf::Shelf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Commands that may wait.
const COMMANDS: usize = 64;
/// Events that may wait: those of a second of the fastest run, since a window drawn in software takes them once a second.
/// Beyond that, steps are left out and everything else blocks the session.
const EVENTS: usize = 8192;

/// Called when something is there, so that a window asks for a repaint.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// How soon an event wants to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// At once.
    Now,
    /// With what comes soon: a step or progress, of which there can be thousands in a second, and the news of an epoch that
    /// ended, which come one after the other.
    Soon,
}

/// Called after each event of a session.
pub type Notify = Arc<dyn Fn(Haste) + Send + Sync>;

/// A handle on the session's thread. Dropping it cancels what runs and waits for the thread.
pub struct Session {
    commands: Option<SyncSender<Command>>,
    events: Receiver<Event>,
    stop: Arc<AtomicBool>,
    shelf: Option<Shelf>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("running", &self.thread.is_some()).finish_non_exhaustive()
    }
}

impl Session {
    /// Starts the thread; it opens the device and says which.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn spawn(device: DeviceChoice, notify: Notify) -> std::io::Result<Self> {
        Self::spawn_at(device, notify, WeightsPlace::from_env())
    }

    /// The same with public weights in another place than the environment says.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn spawn_at(device: DeviceChoice, notify: Notify, place: WeightsPlace) -> std::io::Result<Self> {
        Self::spawn_in(device, notify, place, FeatureFolder::usual())
    }

    /// The same with stored features in another folder than the environment says, too.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn spawn_in(
        device: DeviceChoice,
        notify: Notify,
        place: WeightsPlace,
        features: FeatureFolder,
    ) -> std::io::Result<Self> {
        let (commands, inbox) = sync_channel(COMMANDS);
        let (outbox, events) = sync_channel(EVENTS);
        let stop = Arc::new(AtomicBool::new(false));
        let shelf = Some(Shelf::new(place, worker::Outbox::new(outbox.clone(), Arc::clone(&notify))));
        let thread = worker::spawn(device, features, inbox, outbox, Arc::clone(&stop), notify)?;
        Ok(Self { commands: Some(commands), events, stop, shelf, thread: Some(thread) })
    }

    /// A session without a thread: whoever holds the other ends plays it. For tests and screenshots.
    #[must_use]
    pub fn detached() -> (Self, Receiver<Command>, SyncSender<Event>) {
        let (commands, inbox) = sync_channel(COMMANDS);
        let (outbox, events) = sync_channel(EVENTS);
        let stop = Arc::new(AtomicBool::new(false));
        (Self { commands: Some(commands), events, stop, shelf: None, thread: None }, inbox, outbox)
    }

    /// Hands a command over without waiting.
    ///
    /// # Errors
    /// A sentence, when the session is gone or cannot keep up.
    pub fn send(&self, command: Command) -> Result<(), String> {
        if matches!(command, Command::Interrupt | Command::Cancel) {
            self.stop.store(true, Ordering::Relaxed);
        }
        // Not the business of the thread that computes.
        if let (Command::Weights(command), Some(shelf)) = (&command, &self.shelf) {
            return shelf.obey(command);
        }
        let Some(commands) = &self.commands else { return Err("The session is closed.".to_owned()) };
        commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => "The session is too busy to take the command; try again.".to_owned(),
            TrySendError::Disconnected(_) => "The session's thread has ended; restart the program.".to_owned(),
        })
    }

    /// The events that came since the last call, without waiting.
    #[must_use]
    pub fn drain(&self) -> Vec<Event> {
        self.events.try_iter().collect()
    }

    /// The next event, if one comes within `timeout`.
    ///
    /// # Errors
    /// When the session is gone.
    pub fn wait(&self, timeout: Duration) -> Result<Option<Event>, String> {
        match self.events.recv_timeout(timeout) {
            Ok(event) => Ok(Some(event)),
            Err(RecvTimeoutError::Timeout) if !self.thread.as_ref().is_some_and(JoinHandle::is_finished) => Ok(None),
            Err(_) => Err("The session's thread has ended.".to_owned()),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.commands = None;
        self.shelf = None;
        // Somebody has to take the events while the thread winds down, or it would wait for room.
        while let Some(thread) = self.thread.take() {
            if thread.is_finished() {
                thread.join().ok();
            } else {
                self.events.recv_timeout(Duration::from_millis(20)).ok();
                self.thread = Some(thread);
            }
        }
    }
}
