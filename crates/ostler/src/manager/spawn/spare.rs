//! A manager before its promotion: asleep until the master needs it or is gone.
//!
//! A master with threads cannot fork a manager, and closures cannot be exec'ed; so a spare one
//! exists at all times. The first manager begins as a spare too: all managers are made the same
//! way.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use crate::control::{Channel, Received, ToManager, ToMaster};
use crate::inheritance::EXIT_ORPHANED;
use crate::log;
use crate::manager::EXIT_BROKEN;
use crate::manager::event_loop::Driver;
use crate::manager::guard::{self, Guard, Guarded};
use crate::manager::handle::ManagerHandle;
use crate::manager::setup::ManagerSetup;
use crate::options::Harden;
use crate::sys::pidfd::PidFd;
use crate::sys::process::{self, ExitBy, ProcessId, fork_child};
use crate::sys::{control_socket, panic, poll};

/// Exit code of a spare that the master let go by closing its socket.
pub(in crate::manager) const EXIT_DISMISSED: i32 = 0;

/// Who forks the spare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::manager) enum Origin {
    /// The master: the spare dies with it by the kernel's doing.
    Master,
    /// A manager, which the spare must survive: it watches the master by its pidfd.
    Manager,
}

/// How long a spare whose socket was closed looks whether that is the end of the master.
const MASTER_END_MAX: Duration = Duration::from_millis(250);

/// Forks a spare manager that guards `workers`. Its end of the channel and its pidfd are in the
/// handle.
pub(in crate::manager) fn fork_spare(
    setup: &ManagerSetup,
    origin: Origin,
    workers: Vec<PidFd>,
    program: Option<OwnedFd>,
) -> io::Result<(ManagerHandle, Guard)> {
    let (near, far) = control_socket::pair()?;
    let (guard, guarded) = guard::pair(workers, program)?;
    let of_setup = [setup.board.as_fd(), setup.roster.as_fd(), setup.master_pidfd.as_fd()];
    let charter = setup.exec.iter().map(|exec| exec.charter.as_fd());
    let own =
        std::iter::once(far.as_fd()).chain(of_setup).chain(charter).chain(guarded.descriptors());
    let keep = setup.kept_with(own.map(|descriptor| descriptor.as_raw_fd()));
    let pid = fork_child(&keep, ExitBy::Immediately, move || {
        live_as_spare(setup, Channel::new(far), guarded, origin)
    })?;
    // If this fails, `near` closes and the spare ends by itself.
    let pidfd = PidFd::open(pid)?;
    Ok((ManagerHandle { channel: Channel::new(near), pidfd, pid }, guard))
}

/// The life of a spare, and of the manager that it becomes; answers with the exit code.
fn live_as_spare(
    setup: &ManagerSetup,
    mut master: Channel<ToMaster, ToManager>,
    mut guarded: Guarded,
    origin: Origin,
) -> i32 {
    panic::abort_on_panic();
    log::set_process(log::Process::SpareManager);
    setup.attributes.names.take("spare");
    if let Err(error) = prepare(setup, origin) {
        tracing::error!(%error, "cannot begin");
        return EXIT_BROKEN;
    }
    let generation_base = match wait_for_promotion(setup, &master, &mut guarded) {
        Ok(Waited::Promoted { generation_base }) => generation_base,
        Ok(Waited::Dismissed) => return EXIT_DISMISSED,
        Ok(Waited::MasterGone) => {
            drop(guarded.kill_all());
            return EXIT_ORPHANED;
        }
        Err(error) => {
            tracing::error!(%error, "failed");
            return EXIT_BROKEN;
        }
    };
    // Its manager is dead, and they are its workers.
    let program = guarded.kill_all();
    log::set_process(log::Process::Manager);
    setup.attributes.names.take("manager");
    // The manager that forked us is gone, so now our parent is the master, if that adopts orphans.
    if process::parent() == Some(setup.master_pid)
        && let Err(error) = end_with_master(setup)
    {
        tracing::warn!(%error, "the kernel will not end this manager with the master");
    }
    // Before anything else: from here on this process can be lost too.
    let spare = match fork_and_announce(setup, &mut master, Vec::new(), program.as_ref()) {
        Ok(spare) => spare,
        Err(error) => {
            tracing::warn!(%error, "cannot reach the master");
            return EXIT_ORPHANED;
        }
    };
    match Driver::new(setup, master, generation_base, spare, program) {
        Ok(driver) => driver.run(),
        Err(error) => {
            tracing::error!(%error, "cannot begin");
            EXIT_BROKEN
        }
    }
}

fn prepare(setup: &ManagerSetup, origin: Origin) -> io::Result<()> {
    if setup.attributes.harden != Harden::Off {
        process::forbid_dumping()?;
    }
    match origin {
        // A master that was gone before is not noticed by this, but by `wait_for_promotion`.
        Origin::Master => end_with_master(setup),
        // Whoever stopped it: it has to end with the master, and to take its manager's place.
        Origin::Manager => process::go_on_without_parent(),
    }
}

/// A manager ends with its master: by the kernel's doing, or, when it has to end orphans that only
/// it knows, by its own, and then it must not stand still.
fn end_with_master(setup: &ManagerSetup) -> io::Result<()> {
    if setup.kill_orphans.outlives_nobody() {
        process::go_on_without_parent()
    } else {
        process::die_with_parent()
    }
}

enum Waited {
    Promoted { generation_base: u32 },
    Dismissed,
    MasterGone,
}

/// Sleeps, without a single wake-up, until there is something to do.
fn wait_for_promotion(
    setup: &ManagerSetup,
    master: &Channel<ToMaster, ToManager>,
    guarded: &mut Guarded,
) -> io::Result<Waited> {
    loop {
        let [_, master_gone] = guarded.wait([master.as_fd(), setup.master_pidfd.as_fd()])?;
        if master_gone {
            return Ok(Waited::MasterGone);
        }
        match master.receive()? {
            Received::Message(ToManager::Promote { generation_base }, _) => {
                return Ok(Waited::Promoted { generation_base });
            }
            Received::Message(..) => return Err(io::ErrorKind::InvalidData.into()),
            Received::Closed => return after_hang_up(setup),
            Received::Nothing => {}
        }
    }
}

/// A process that is being killed closes its sockets a moment before its pidfd tells.
fn after_hang_up(setup: &ManagerSetup) -> io::Result<Waited> {
    let master = [setup.master_pidfd.as_fd()];
    let [master_gone] = poll::wait_readable(master, Some(MASTER_END_MAX))?;
    Ok(if master_gone { Waited::MasterGone } else { Waited::Dismissed })
}

/// The spare of a manager, as the manager knows it.
#[derive(Debug)]
pub(in crate::manager) struct Spare {
    pub(in crate::manager) guard: Guard,
    pub(in crate::manager) pid: ProcessId,
    pub(in crate::manager) pidfd: PidFd,
}

/// Forks a spare that guards `workers` and sends its descriptors to the master. `Ok(None)`: the
/// fork failed, which the master was told.
///
/// An error means that the master cannot be reached.
pub(in crate::manager) fn fork_and_announce(
    setup: &ManagerSetup,
    master: &mut Channel<ToMaster, ToManager>,
    workers: Vec<PidFd>,
    program: Option<&OwnedFd>,
) -> io::Result<Option<Spare>> {
    let program = program.map(OwnedFd::try_clone).transpose();
    let forked = program.and_then(|program| {
        let (spare, guard) = fork_spare(setup, Origin::Manager, workers, program)?;
        let pidfd = spare.pidfd.try_clone()?;
        Ok((spare, guard, pidfd))
    });
    match forked {
        Ok((spare, guard, pidfd)) => {
            let descriptors: Vec<OwnedFd> = vec![spare.channel.into_socket(), pidfd];
            master.send(&ToMaster::Spare { pid: spare.pid.get() }, descriptors)?;
            Ok(Some(Spare { guard, pid: spare.pid, pidfd: spare.pidfd }))
        }
        Err(error) => {
            tracing::error!(%error, "cannot fork a spare manager");
            let errno = error.raw_os_error().unwrap_or(0);
            master.send(&ToMaster::SpareFailed { errno }, Vec::new())?;
            Ok(None)
        }
    }
}
