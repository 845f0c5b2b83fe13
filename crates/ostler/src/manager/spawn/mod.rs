//! How processes are made: the fork, the gate, and what each begins with.
//!
//! What a process does with that is the same however it was made: [`crate::inheritance`].

mod exec;
mod gate;
mod lane_descriptors;
pub(super) mod spare;

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use ostler_core::ids::ProcessKey;
use ostler_shm::black_box::memory::BlackBox;

use exec::Left;
pub(super) use gate::Gated;
pub(super) use lane_descriptors::LaneDescriptors;

use super::setup::ManagerSetup;
use crate::inheritance::{EXIT_ORPHANED, ProcessBoot, life};
use crate::sys::control_socket;
use crate::sys::pidfd::PidFd;
use crate::sys::process::{self, ExitBy, fork_child};

/// Forks a process, which runs our code or becomes `program`. Its lane descriptors are closed here,
/// whatever comes of it.
pub(super) fn fork_process(
    setup: &ManagerSetup,
    key: ProcessKey,
    lanes: LaneDescriptors,
    program: Option<&OwnedFd>,
) -> io::Result<Gated> {
    let (near, far) = control_socket::pair()?;
    let (black_box, box_file) = BlackBox::create()?;
    let boot = ProcessBoot {
        key,
        manager: process::current(),
        black_box: Some(box_file),
        board: setup.board.try_clone()?,
        roster: Some(setup.roster.try_clone()?),
        worker_bell: lanes.worker_bell,
        ends: lanes.ends,
        event_link: lanes.event_link,
        control: far,
        master_pidfd: PidFd::from_descriptor(setup.master_pidfd.try_clone()?),
    };
    if let (Some(program), Some(exec)) = (program, &setup.exec) {
        let (left, waiting) = Left::new(boot, &exec.charter)?;
        let own = [waiting.control.as_fd(), waiting.master_pidfd.as_fd(), program.as_fd()];
        let keep = setup.kept_with(own.map(|descriptor| descriptor.as_raw_fd()));
        let pid = fork_child(&keep, ExitBy::Immediately, move || {
            waiting.live(program, &setup.resources, setup.capabilities)
        })?;
        let (pidfd, left) = (PidFd::open(pid)?, Some(left));
        return Ok(Gated { pid, pidfd, control: near, black_box, left });
    }
    // The one list: what is not in it is closed before the child does anything else.
    let keep = setup.kept_with(boot.descriptors());
    let pid = fork_child(&keep, ExitBy::Handlers, move || live(setup, boot))?;
    Ok(Gated { pid, pidfd: PidFd::open(pid)?, control: near, black_box, left: None })
}

/// The life of a process after it has closed what is not its own; answers with the exit
/// code.
fn live(setup: &ManagerSetup, boot: ProcessBoot) -> i32 {
    life::begin(boot.key);
    match gate::opens(&boot.control, &boot.master_pidfd) {
        Ok(true) => {}
        Ok(false) => return EXIT_ORPHANED,
        Err(error) => return life::cannot_begin(&boot, &error),
    }
    match setup.resources.take(boot.key) {
        Ok(()) => life::live(&setup.attributes, boot, &setup.process_main),
        Err(error) => life::cannot_begin(&boot, &error),
    }
}
