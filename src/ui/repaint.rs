//! How often the window is drawn because a session said something. What a person does is drawn at once, always.

use crate::session::Haste;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Drawings for steps and progress come so far apart: numbers and curves that change faster cannot be read, and each drawing
/// takes time from a processor that trains.
const APART: Duration = Duration::from_millis(100);
/// Where the processor draws the window too (a software renderer): the time that all its cores together shall work between
/// two drawings. One takes some 0.24 s of it (1400 × 900, llvmpipe), and shall take 3 % of what trains.
const WORK_APART: Duration = Duration::from_secs(8);
/// The longest that a person with few cores waits.
const LONGEST: Duration = Duration::from_secs(4);

/// Puts drawings apart.
#[derive(Debug)]
pub struct Repaint {
    apart: Duration,
    /// When the last drawing was asked for, which may lie ahead.
    last: Mutex<Option<Instant>>,
}

impl Repaint {
    /// For a window that a graphics adapter draws.
    #[must_use]
    pub fn by_adapter() -> Self {
        Self { apart: APART, last: Mutex::default() }
    }

    /// For a window that a processor with so many cores draws.
    #[must_use]
    pub fn by_processor(cores: usize) -> Self {
        let apart = (WORK_APART / u32::try_from(cores).unwrap_or(u32::MAX).max(1)).clamp(APART, LONGEST);
        Self { apart, last: Mutex::default() }
    }

    /// How long after `now` the window is to be drawn for what came now; none where a drawing lies ahead already.
    pub fn due(&self, haste: Haste, now: Instant) -> Option<Duration> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if haste == Haste::Now {
            *last = Some(now);
            return Some(Duration::ZERO);
        }
        if last.is_some_and(|last| last > now) {
            return None;
        }
        let at = last.map_or(now, |last| now.max(last + self.apart));
        *last = Some(at);
        Some(at - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_steps_is_drawn_ten_times_a_second_and_all_else_at_once() {
        let (start, repaint) = (Instant::now(), Repaint::by_adapter());
        let mut at = Vec::new();
        for ms in 0..1000 {
            let now = start + Duration::from_millis(ms);
            let haste = if ms == 450 { Haste::Now } else { Haste::Soon };
            if let Some(after) = repaint.due(haste, now) {
                at.push((now + after - start).as_millis());
            }
        }
        // (What was asked for at 401 ms lies at 500, and is drawn too.)
        assert_eq!(at, [0, 100, 200, 300, 400, 500, 450, 550, 650, 750, 850, 950, 1050]);
        // After a silence a step is drawn at once again.
        assert_eq!(repaint.due(Haste::Soon, start + Duration::from_millis(5000)), Some(Duration::ZERO));
        assert_eq!(repaint.due(Haste::Soon, start + Duration::from_millis(5001)), Some(Duration::from_millis(99)));
        assert_eq!(repaint.due(Haste::Soon, start + Duration::from_millis(5002)), None, "one lies ahead");
    }

    #[test]
    fn a_window_drawn_by_few_cores_is_drawn_rarely() {
        for (cores, ms) in [(1, 4000), (2, 4000), (8, 1000), (64, 125), (256, 100)] {
            let (start, repaint) = (Instant::now(), Repaint::by_processor(cores));
            assert_eq!(repaint.due(Haste::Soon, start), Some(Duration::ZERO));
            let after = repaint.due(Haste::Soon, start).map(|after| after.as_millis());
            assert_eq!(after, Some(ms), "{cores} cores");
        }
    }
}
