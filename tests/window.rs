//! The window over a session that the tests play by hand.

mod window {
    mod behavior;
    mod pictures;
    pub mod stage;
    mod speed;
}
