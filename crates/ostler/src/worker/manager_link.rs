//! The socket by which this process and its manager talk, once there is one.

use std::cell::{Cell, OnceCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::port::Port;
use crate::control::{FromWorker, ToWorker, WORKER_MESSAGE_SIZE_BYTES};
use crate::sys::control_socket;

/// This process's end.
#[derive(Default)]
pub(crate) struct ManagerLink {
    control: OnceCell<Rc<OwnedFd>>,
    /// What comes ends a sleep.
    is_watched: Cell<bool>,
}

impl ManagerLink {
    /// The link is there.
    pub(super) fn attach(&self, control: Rc<OwnedFd>) {
        let attached = self.control.set(control);
        ostler_core::invariant!(attached.is_ok(), "a process has one manager");
    }

    /// Whether it is.
    pub(super) fn is_attached(&self) -> bool {
        self.control.get().is_some()
    }

    /// Says something. Whoever is not heard ends soon.
    pub(super) fn say(&self, word: FromWorker) {
        if let Some(control) = self.control.get() {
            let _ = word.send(control);
        }
    }

    /// From here on what the manager says ends a sleep. Most processes never ask it anything, and
    /// are not woken for it.
    pub(super) fn watch_by(&self, port: &Port) {
        let Some(control) = self.control.get().filter(|_| !self.is_watched.get()) else { return };
        match port.watch(control) {
            Ok(()) => self.is_watched.set(true),
            Err(error) => tracing::error!(%error, "answers of the manager come late"),
        }
    }

    /// The next thing that it says.
    pub(super) fn hear(&self) -> Option<ToWorker> {
        let mut buffer = [0; WORKER_MESSAGE_SIZE_BYTES + 1];
        let control = self.control.get()?;
        let length = control_socket::receive_without_descriptors(control, &mut buffer).ok()?;
        match ToWorker::decode(buffer.get(..length)?) {
            Ok(message) => Some(message),
            // Closed: it is gone, and this process with it.
            Err(_) if length == 0 => None,
            Err(error) => {
                tracing::error!(%error, "the manager cannot be understood");
                None
            }
        }
    }
}
