//! The gate at which a forked process waits until the manager knows it and watches it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use ostler_shm::black_box::memory::BlackBox;

use super::exec::Left;
use crate::control::ShortText;
use crate::manager::children::Child;
use crate::manager::worker_message::Said;
use crate::sys::clock;
use crate::sys::control_socket;
use crate::sys::pidfd::PidFd;
use crate::sys::poll;
use crate::sys::process::ProcessId;

/// The message that opens the gate at which a forked process waits.
const GO: &[u8] = b"go";

/// A process that waits at its gate: it runs once it is let go, and ends if this is dropped
/// before.
///
/// So nothing of it runs before the manager has its pidfd and watches it, and no failure in between
/// leaves a process that nobody knows.
#[derive(Debug)]
pub(in crate::manager) struct Gated {
    pub(super) pid: ProcessId,
    pub(super) pidfd: PidFd,
    pub(super) control: OwnedFd,
    pub(super) black_box: BlackBox,
    /// What the program is told that it becomes; `None` for a fork, which has all of it.
    pub(super) left: Option<Left>,
}

impl Gated {
    pub(in crate::manager) fn pid(&self) -> ProcessId {
        self.pid
    }

    pub(in crate::manager) fn pidfd(&self) -> &PidFd {
        &self.pidfd
    }

    pub(in crate::manager) fn control(&self) -> &OwnedFd {
        &self.control
    }

    /// Opens the gate. A process that has died meanwhile is found by its pidfd.
    pub(in crate::manager) fn open_gate(self) -> Child {
        // Fails only when the other end is closed, that is, when it is dead.
        let _ = control_socket::send(&self.control, GO, &[]);
        let is_fork = self.left.is_none();
        let told = self.left.map_or(Ok(()), |left| left.send(&self.control));
        let start_error = told.err().and_then(|error| {
            // The kernel lets so many descriptors be under way, or the child is dead already.
            let _ = self.pidfd.kill();
            let text = format!("the worker cannot be given its descriptors: {error}");
            (error.kind() != io::ErrorKind::BrokenPipe).then(|| ShortText::new(&text))
        });
        Child {
            pid: self.pid,
            pidfd: self.pidfd,
            control: Some(self.control),
            black_box: self.black_box,
            forked_at: clock::monotonic_ms(),
            inherited_bytes: 0,
            is_ready: false,
            start_error,
            has_begun: is_fork,
            said: Said::default(),
        }
    }
}

/// Waits until the manager has everything in place; false when it is gone or gave this process up.
pub(super) fn opens(control: &OwnedFd, master_pidfd: &PidFd) -> io::Result<bool> {
    loop {
        let watched = [control.as_fd(), master_pidfd.as_fd()];
        let [said, master_gone] = poll::wait_readable(watched, None)?;
        if master_gone {
            return Ok(false);
        }
        if said {
            let mut word = [0; GO.len()];
            let length = control_socket::receive_without_descriptors(control, &mut word)?;
            return Ok(length == GO.len() && word == GO);
        }
    }
}
