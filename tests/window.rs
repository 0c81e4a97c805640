//! The window over a session that the tests play by hand.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "helpers of tests")]

mod window {
    mod behavior;
    mod heads;
    mod pictures;
    mod speed;
    pub mod stage;
    mod weights;
}
