//! True masks of pictures, read in the background and kept as runs up to a budget.

use crate::data::{MaskTarget, load_mask};
use crate::train::segmentation::Mask;
use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// A mask or why there is none.
type Answer = Result<Arc<Mask>, String>;

/// Where a mask comes from. The second number is the address of what it is made with, which an entry holds so that no other can
/// come to lie there.
type Key = (Option<PathBuf>, usize);

/// Masks that are read at the same time: training needs the cores more.
const AT_ONCE: usize = 2;
/// Requests that may wait; older ones are forgotten (they are asked for again when still visible).
const WAITING: usize = 256;
/// Bytes of runs that are kept.
const BUDGET_BYTES: usize = 64 << 20;

#[derive(Default)]
struct State {
    ready: HashMap<Key, (MaskTarget, Answer)>,
    order: VecDeque<Key>,
    bytes: usize,
    waiting: Vec<(Key, MaskTarget)>,
    running: HashSet<Key>,
}

/// Reads masks on the rayon pool.
pub(super) struct TrueMasks {
    state: Arc<Mutex<State>>,
    wake: super::Wake,
}

impl TrueMasks {
    pub(super) fn new(wake: super::Wake) -> Self {
        Self { state: Arc::default(), wake }
    }

    pub(super) fn get(&self, target: &MaskTarget) -> Option<Answer> {
        let key = key(target);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, answer)) = state.ready.get(&key) {
            return Some(answer.clone());
        }
        if !state.running.contains(&key) && !state.waiting.iter().any(|(waiting, _)| *waiting == key) {
            if state.waiting.len() >= WAITING {
                state.waiting.remove(0);
            }
            state.waiting.push((key, target.clone()));
        }
        drop(state);
        pump(&self.state, &self.wake);
        None
    }

    pub(super) fn clear(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }
}

fn key(target: &MaskTarget) -> Key {
    match target {
        MaskTarget::File(path) => (Some(path.clone()), 0),
        MaskTarget::Values { path, map } => (Some(path.clone()), Arc::as_ptr(map).addr()),
        MaskTarget::Shapes(shapes) => (None, Arc::as_ptr(shapes).addr()),
        MaskTarget::Pixels(pixels) => (None, Arc::as_ptr(pixels).addr()),
    }
}

fn pump(shared: &Arc<Mutex<State>>, wake: &super::Wake) {
    loop {
        let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if state.running.len() >= AT_ONCE {
            return;
        }
        let Some((key, target)) = state.waiting.pop() else { return };
        state.running.insert(key.clone());
        drop(state);
        let (shared, wake) = (Arc::clone(shared), Arc::clone(wake));
        rayon::spawn(move || {
            let pixels = load_mask(&target).map_err(|error| error.to_string());
            let answer = pixels.map(|mask| Arc::new(Mask::new(&mask.ids, [mask.width, mask.height], Arc::default())));
            {
                let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
                // A key that is not there any more belongs to a data set that was closed meanwhile.
                if state.running.remove(&key) {
                    state.keep(key, target, answer);
                }
            }
            wake();
            pump(&shared, &wake);
        });
    }
}

impl State {
    fn keep(&mut self, key: Key, target: MaskTarget, answer: Answer) {
        let size = |answer: &Answer| answer.as_ref().map_or(64, |mask| mask.bytes() + 64);
        self.bytes += size(&answer);
        self.order.push_back(key.clone());
        self.ready.insert(key, (target, answer));
        while self.bytes > BUDGET_BYTES && self.order.len() > 1 {
            let Some(oldest) = self.order.pop_front() else { break };
            self.bytes -= self.ready.remove(&oldest).as_ref().map_or(0, |(_, answer)| size(answer));
        }
    }
}
