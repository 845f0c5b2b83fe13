//! How a worker process is made, and what it does before its code runs.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use ostler_core::ids::ProcessKey;

use super::children::Child;
use super::setup::{LaneDescriptors, ManagerSetup, WorkerBoot};
use super::{EXIT_NOT_PREPARED, EXIT_ORPHANED};
use crate::control::{FromWorker, ShortText};
use crate::log;
use crate::options::Harden;
use crate::sys::pidfd::PidFd;
use crate::sys::process::{self, EXIT_PANIC, ExitBy, ProcessId, fork_child};
use crate::sys::{control_socket, panic, poll, signal};

/// The message that opens the gate at which a forked worker waits.
const GO: &[u8] = b"go";

/// A worker process that waits at its gate: it runs once it is let go, and ends if this is dropped
/// before.
///
/// So nothing of it runs before the manager has its pidfd and watches it, and no failure in between
/// leaves a process that nobody knows.
#[derive(Debug)]
pub(super) struct Gated {
    pid: ProcessId,
    pidfd: PidFd,
    control: OwnedFd,
}

/// Forks a worker. Its lane descriptors are closed here, whatever comes of it.
pub(super) fn fork_worker(
    setup: &ManagerSetup,
    key: ProcessKey,
    lanes: LaneDescriptors,
) -> io::Result<Gated> {
    let (near, far) = control_socket::pair()?;
    let boot = WorkerBoot {
        key,
        down: lanes.down,
        up: lanes.up,
        board: setup.board.try_clone()?,
        worker_bell: lanes.worker_bell,
        lane_bells: lanes.lane_bells,
        control: far,
        master_pidfd: PidFd::from_descriptor(setup.master_pidfd.try_clone()?),
    };
    // The one list: what is not in it is closed before the child does anything else.
    let keep = setup.kept_with(boot.descriptors());
    let manager = process::current();
    let pid = fork_child(&keep, ExitBy::Handlers, move || live_as_worker(setup, manager, boot))?;
    Ok(Gated { pid, pidfd: PidFd::open(pid)?, control: near })
}

impl Gated {
    pub(super) fn pid(&self) -> ProcessId {
        self.pid
    }

    pub(super) fn pidfd(&self) -> &PidFd {
        &self.pidfd
    }

    pub(super) fn control(&self) -> &OwnedFd {
        &self.control
    }

    /// Opens the gate. A worker that has died meanwhile is found by its pidfd.
    pub(super) fn open_gate(self) -> Child {
        // Fails only when the other end is closed, that is, when the worker is dead.
        let _ = control_socket::send(&self.control, GO, &[]);
        Child {
            pid: self.pid,
            pidfd: self.pidfd,
            control: Some(self.control),
            is_ready: false,
            start_error: None,
            words: 0,
        }
    }
}

/// The life of a worker process after it has closed what is not its own; answers with the exit
/// code.
fn live_as_worker(setup: &ManagerSetup, manager: ProcessId, boot: WorkerBoot) -> i32 {
    panic::unwind_on_panic();
    log::set_process(log::Process::Worker(boot.key));
    match prepare(setup, manager, &boot) {
        Ok(true) => {}
        Ok(false) => return EXIT_ORPHANED,
        Err(error) => {
            let text = format!("the worker cannot begin: {error}");
            tracing::debug!("{text}");
            let _ = FromWorker::StartFailed(ShortText::new(&text)).send(&boot.control);
            return EXIT_NOT_PREPARED;
        }
    }
    match catch_unwind(AssertUnwindSafe(|| (setup.worker_main)(boot))) {
        Ok(code) => code,
        Err(payload) => {
            let text = panic::text_of(&*payload);
            let place = panic::place();
            let (file, line) = (place.map(|place| place.file), place.map(|place| place.line));
            tracing::error!(file, line, session = log::session(), "panicked: {text}");
            EXIT_PANIC
        }
    }
}

/// Makes the process ready for user code. `Ok(false)`: it is an orphan and must end.
fn prepare(setup: &ManagerSetup, manager: ProcessId, boot: &WorkerBoot) -> io::Result<bool> {
    if !gate_opens(boot)? {
        return Ok(false);
    }
    // All managed signals are still blocked; none that came meanwhile is lost.
    signal::restore_default(&signal::MANAGED)?;
    signal::install_no_operation()?;
    signal::install_termination(boot.worker_bell.try_clone()?)?;
    signal::unblock_for_worker()?;
    // After privileges would have been dropped, which clears it; then the check for what it came
    // too late for.
    process::die_with_parent()?;
    if process::parent() != Some(manager) || boot.master_pidfd.has_ended()? {
        return Ok(false);
    }
    // A worker that is as dumpable as the program was can be debugged and profiled; its manager is
    // not (`harden`).
    if setup.harden != Harden::All
        && let Err(error) = setup.dumping.restore()
    {
        tracing::debug!(%error, "the worker stays closed to debuggers");
    }
    // Tuning: whoever forbids it gets a slower server, not none.
    if setup.sched_batch
        && let Err(error) = process::schedule_as_batch()
        && boot.key == ProcessKey::event(0, 1)
    {
        tracing::warn!(%error, "workers keep the ordinary scheduling policy (set sched_batch=off)");
    }
    setup.names.take(&boot.key.slot_name());
    Ok(true)
}

/// Waits until the manager has everything in place; false when it is gone or gave the worker up.
fn gate_opens(boot: &WorkerBoot) -> io::Result<bool> {
    loop {
        let watched = [boot.control.as_fd(), boot.master_pidfd.as_fd()];
        let [said, master_gone] = poll::wait_readable(watched, None)?;
        if master_gone {
            return Ok(false);
        }
        if said {
            let mut word = [0; GO.len()];
            let length = control_socket::receive_without_descriptors(&boot.control, &mut word)?;
            return Ok(length == GO.len() && word == GO);
        }
    }
}
