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
    /// What comes ends a sleep, and is looked for. Most processes are never told anything until
    /// they leave, and are not to pay for it.
    listens: Cell<bool>,
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

    /// From here on what the manager says is heard.
    pub(super) fn listen_by(&self, port: &Port) {
        let Some(control) = self.control.get().filter(|_| !self.listens.get()) else { return };
        if let Err(error) = port.watch(control) {
            tracing::error!(%error, "what the manager says is heard late");
        }
        self.listens.set(true);
    }

    /// Whether there is a reason to listen.
    pub(super) fn listens(&self) -> bool {
        self.listens.get()
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
