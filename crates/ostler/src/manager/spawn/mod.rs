//! How processes are made, and what they do before code of their kind runs.
//!
//! What all kinds share is here: the fork, the gate, signals, the tie to master and manager, the
//! name. What only one kind has is in the file of that kind: its tuning, and what it runs.

mod boot;
mod event_worker;
mod gate;
pub(super) mod spare;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ostler_core::ids::{ProcessKey, ProcessKind};
use ostler_shm::black_box::memory::BlackBox;

pub(super) use boot::LaneDescriptors;
pub(crate) use boot::{ProcessBoot, ProcessEnds};
pub(super) use gate::Gated;

use super::setup::ManagerSetup;
use super::{EXIT_NOT_PREPARED, EXIT_ORPHANED};
use crate::control::{FromWorker, ShortText};
use crate::log;
use crate::options::Harden;
use crate::sys::pidfd::PidFd;
use crate::sys::process::{self, EXIT_PANIC, ExitBy, ProcessId, fork_child};
use crate::sys::{black_box, control_socket, panic, signal};

/// Forks a process. Its lane descriptors are closed here, whatever comes of it.
pub(super) fn fork_process(
    setup: &ManagerSetup,
    key: ProcessKey,
    lanes: LaneDescriptors,
) -> io::Result<Gated> {
    let (near, far) = control_socket::pair()?;
    let (black_box, box_file) = BlackBox::create()?;
    let boot = ProcessBoot {
        key,
        black_box: Some(box_file),
        board: setup.board.try_clone()?,
        worker_bell: lanes.worker_bell,
        ends: lanes.ends,
        control: far,
        master_pidfd: PidFd::from_descriptor(setup.master_pidfd.try_clone()?),
    };
    // The one list: what is not in it is closed before the child does anything else.
    let keep = setup.kept_with(boot.descriptors());
    let manager = process::current();
    let pid = fork_child(&keep, ExitBy::Handlers, move || live(setup, manager, boot))?;
    Ok(Gated { pid, pidfd: PidFd::open(pid)?, control: near, black_box })
}

/// The life of a process after it has closed what is not its own; answers with the exit
/// code.
fn live(setup: &ManagerSetup, manager: ProcessId, mut boot: ProcessBoot) -> i32 {
    panic::unwind_on_panic();
    log::set_process(log::Process::Worker(boot.key));
    match prepare(setup, manager, &mut boot) {
        Ok(true) => {}
        Ok(false) => return EXIT_ORPHANED,
        Err(error) => {
            let text = format!("the worker cannot begin: {error}");
            tracing::debug!("{text}");
            let _ = FromWorker::StartFailed(ShortText::new(&text)).send(&boot.control);
            return EXIT_NOT_PREPARED;
        }
    }
    match catch_unwind(AssertUnwindSafe(|| run(setup, boot))) {
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
fn prepare(setup: &ManagerSetup, manager: ProcessId, boot: &mut ProcessBoot) -> io::Result<bool> {
    if !gate::opens(boot)? {
        return Ok(false);
    }
    if let Some(file) = boot.black_box.take() {
        black_box::keep(file)?;
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
    tune(setup, boot.key);
    setup.names.take(&boot.key.slot_name());
    Ok(true)
}

/// Sets what only processes of this kind have. Tuning is never fatal: whoever forbids it gets a
/// slower server, not none.
fn tune(setup: &ManagerSetup, key: ProcessKey) {
    match key.kind {
        ProcessKind::Event => event_worker::tune(setup, key),
    }
}

/// Runs what processes of this kind run; returns the exit code.
fn run(setup: &ManagerSetup, boot: ProcessBoot) -> i32 {
    match boot.key.kind {
        ProcessKind::Event => event_worker::run(setup, boot),
    }
}
