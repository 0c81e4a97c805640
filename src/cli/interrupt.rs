//! Ctrl-C: the first one asks to finish what is under way, the second ends the program at once.

use std::sync::atomic::{AtomicUsize, Ordering};

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Starts to listen (to SIGTERM and SIGHUP as well).
pub(super) fn listen() {
    let handler = || {
        if COUNT.fetch_add(1, Ordering::SeqCst) > 0 {
            std::process::exit(130);
        }
    };
    // Without a handler the system's own way holds: the process ends at once, and the run folder is still whole.
    if let Err(cause) = ctrlc::set_handler(handler) {
        super::output::note(&format!("Ctrl-C will end the program at once: {cause}."));
    }
}

/// Whether a person asked to stop.
pub(super) fn asked() -> bool {
    COUNT.load(Ordering::SeqCst) > 0
}
