//! The device of a session: the one that it was started with, until a plan names another.

use super::message::{Command, Event};
use super::worker::Outbox;
use crate::train::{DeviceChoice, Opened, SelfTest};
use burn::tensor::Device;

/// The device that computes.
pub(super) struct Devices<'a> {
    pub device: Device,
    choice: DeviceChoice,
    outbox: &'a Outbox,
}

impl<'a> Devices<'a> {
    /// Opens a device and says which; an adapter is tested first.
    ///
    /// # Errors
    /// A sentence.
    pub fn open(choice: DeviceChoice, outbox: &'a Outbox) -> Result<Self, String> {
        let mut tested = false;
        let mut say = |what: &str| {
            tested = true;
            outbox.send(Event::Log(format!("{what} …")));
            outbox.send(Event::Progress { what: what.to_owned(), done: 0, total: 0 });
        };
        let Opened { device, info, notes } = SelfTest::default().open(choice.clone(), &mut say)?;
        notes.into_iter().for_each(|note| outbox.send(Event::Log(note)));
        outbox.send(Event::Device(info));
        if tested {
            outbox.send(Event::Idle);
        }
        Ok(Self { device, choice, outbox })
    }

    /// Sees to the device before a command that computes: a plan may name another one, and a server that was lost is
    /// connected to again. Tells whether the device is another one than before.
    ///
    /// # Errors
    /// A sentence; the device is the one before then.
    pub fn prepare(&mut self, command: &Command) -> Result<bool, String> {
        let wanted = match command {
            Command::Start { plan, .. } | Command::FindLr { plan, .. } if plan.device != DeviceChoice::Auto => {
                &plan.device
            }
            Command::Start { .. }
            | Command::ResumeRun { .. }
            | Command::FindLr { .. }
            | Command::Predict { .. }
            | Command::OpenPrompt { .. }
            | Command::Ask { .. }
            | Command::Evaluate { .. }
            | Command::Export { .. } => &self.choice,
            _ => return Ok(false),
        };
        if *wanted == self.choice && self.lost().is_none() {
            return Ok(false);
        }
        *self = Self::open(wanted.clone(), self.outbox)?;
        Ok(true)
    }

    /// What to say where the connection to a server was lost.
    pub fn lost(&self) -> Option<String> {
        let DeviceChoice::Remote(address) = &self.choice else { return None };
        let lost = self.device.sync().is_err();
        lost.then(|| {
            format!(
                "The connection to {address} was lost. A run is complete up to its last checkpoint, and can be resumed \
                 there or on another device."
            )
        })
    }
}
