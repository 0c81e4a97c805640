//! Small pictures for the grid: decoded in the background, newest request first, kept up to a budget.

use super::masks::TrueMasks;
use crate::data::{ImageSource, MaskTarget, image};
use crate::train::segmentation::Mask;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// A decoded picture, 8-bit RGB, row-major.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `3 * width * height` bytes.
    pub rgb: Arc<Vec<u8>>,
}

/// Which picture, how large.
type Key = (String, u32);
/// A picture or why there is none.
type Answer = Result<Picture, String>;

#[derive(Default)]
struct State {
    ready: HashMap<Key, Answer>,
    order: VecDeque<Key>,
    bytes: usize,
    waiting: Vec<(Key, ImageSource)>,
    running: HashSet<Key>,
}

/// Decodes pictures on the rayon pool.
pub struct Thumbnails {
    state: Arc<Mutex<State>>,
    wake: super::Wake,
    budget_bytes: usize,
    masks: TrueMasks,
}

impl std::fmt::Debug for Thumbnails {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Thumbnails").field("budget_bytes", &self.budget_bytes).finish_non_exhaustive()
    }
}

/// Requests that may wait; older ones are forgotten (they are asked for again when still visible).
const WAITING: usize = 256;
/// Decodes at the same time: training needs the cores more.
const AT_ONCE: usize = 2;

impl Thumbnails {
    /// Pictures up to `budget_bytes` are kept; `wake` is called when one is ready.
    #[must_use]
    pub fn new(budget_bytes: usize, wake: super::Wake) -> Self {
        let masks = TrueMasks::new(Arc::clone(&wake));
        Self { state: Arc::default(), wake, budget_bytes, masks }
    }

    /// The true mask of a picture, at its own size, or why there is none; `None` while it is being read.
    pub fn mask(&self, target: &MaskTarget) -> Option<Result<Arc<Mask>, String>> {
        self.masks.get(target)
    }

    /// The picture at this longest side, if it is ready; otherwise it is put first in the queue.
    pub fn get(&self, source: &ImageSource, longest_px: u32) -> Option<Answer> {
        let key = (source.name(), longest_px);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = state.ready.get(&key) {
            return Some(answer.clone());
        }
        if !state.running.contains(&key) && !state.waiting.iter().any(|(waiting, _)| *waiting == key) {
            if state.waiting.len() >= WAITING {
                state.waiting.remove(0);
            }
            state.waiting.push((key, source.clone()));
        }
        drop(state);
        self.pump();
        None
    }

    /// Forgets everything, for another data set.
    pub fn clear(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State::default();
        self.masks.clear();
    }

    fn pump(&self) {
        pump(&self.state, &self.wake, self.budget_bytes);
    }
}

fn pump(shared: &Arc<Mutex<State>>, wake: &super::Wake, budget_bytes: usize) {
    loop {
        let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if state.running.len() >= AT_ONCE {
            return;
        }
        let Some((key, source)) = state.waiting.pop() else { return };
        state.running.insert(key.clone());
        drop(state);
        let (shared, wake) = (Arc::clone(shared), Arc::clone(wake));
        rayon::spawn(move || {
            let answer = image::thumbnail(&source, key.1)
                .map(|image| Picture { width: image.width, height: image.height, rgb: Arc::new(image.pixels) })
                .map_err(|error| error.to_string());
            {
                let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
                // A key that is not there any more belongs to a data set that was closed meanwhile.
                if state.running.remove(&key) {
                    state.keep(key, answer, budget_bytes);
                }
            }
            wake();
            pump(&shared, &wake, budget_bytes);
        });
    }
}

impl State {
    fn keep(&mut self, key: Key, answer: Answer, budget_bytes: usize) {
        let size = |answer: &Answer| answer.as_ref().map_or(64, |picture| picture.rgb.len());
        self.bytes += size(&answer);
        self.order.push_back(key.clone());
        self.ready.insert(key, answer);
        while self.bytes > budget_bytes {
            let Some(oldest) = self.order.pop_front() else { break };
            self.bytes -= self.ready.remove(&oldest).as_ref().map_or(0, size);
        }
    }
}
