//! The session's thread.

use super::message::{Command, Event};
use crate::train::DeviceChoice;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, SyncSender};
use std::thread::JoinHandle;

/// Starts the thread.
pub fn spawn(
    _device: DeviceChoice,
    _inbox: Receiver<Command>,
    _outbox: SyncSender<Event>,
    _stop: Arc<AtomicBool>,
    _wake: super::Wake,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("frostline-session".to_owned()).spawn(|| {})
}
