//! The master's view of a manager process.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use super::programs::ExecSetup;
use super::setup::ManagerSetup;
use super::spawn::spare::{self, Origin};
use crate::control::{Channel, Received, ToManager, ToMaster};
use crate::sys::pidfd::PidFd;
use crate::sys::process::{self, ProcessId};
use crate::sys::{poll, signal};

/// How long the first manager may take to fork its spare.
const FIRST_SPARE_MAX: Duration = Duration::from_secs(10);

/// A manager or spare manager, as the master holds it. Dropping the handle of a spare dismisses it.
#[derive(Debug)]
pub(crate) struct ManagerHandle {
    /// Messages to and from it.
    pub(crate) channel: Channel<ToManager, ToMaster>,
    /// Readable once it has ended.
    pub(crate) pidfd: PidFd,
    /// Its number, for the log.
    pub(crate) pid: ProcessId,
}

impl ManagerHandle {
    /// Takes what came with [`ToMaster::Spare`]: `[socket, pidfd]`.
    pub(crate) fn from_spare(pid: i32, descriptors: Vec<OwnedFd>) -> io::Result<Self> {
        let [socket, pidfd] = <[OwnedFd; 2]>::try_from(descriptors)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "spare without socket"))?;
        let pid = ProcessId::new(pid).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { channel: Channel::new(socket), pidfd: PidFd::from_descriptor(pidfd), pid })
    }

    /// Makes a spare the manager. It answers with the spare that it forks, then asks for memory.
    ///
    /// `generation_base` is the highest generation that any manager of this master has named, 0 for
    /// the first manager: all keys of the new one are above it, so that no key ever names two
    /// processes.
    pub(crate) fn promote(&mut self, generation_base: u32) -> io::Result<()> {
        self.channel.send(&ToManager::Promote { generation_base }, Vec::new())
    }
}

/// Manager and spare are forked. Only [`fork_managers`] makes it: what must not be in a process
/// that descends from these is read by a function that takes this.
#[derive(Debug)]
pub(crate) struct Forked(());

/// Forks the first manager, promotes it, and waits for the spare that it forks. For the master,
/// before it has threads.
///
/// Signals must be held ([`signal::Held`]), so that the managers inherit that. Afterwards the
/// master adopts orphans: when a manager dies, its spare and the orphans that it had adopted become
/// children of the master, which reaps them with the help of [`crate::sys::orphans`].
pub(crate) fn fork_managers(
    setup: &ManagerSetup,
) -> io::Result<(ManagerHandle, ManagerHandle, Forked)> {
    signal::restore_default(&[signal::CHLD])?;
    process::adopt_orphans()?;
    // What is in the buffer now would be written once by every worker that ends. (A forked test
    // must not wait for the lock: the runner's main thread may have held it at the fork.)
    #[cfg(not(test))]
    io::Write::flush(&mut io::stdout())?;
    let program = setup.exec.as_ref().map(ExecSetup::own_program).transpose()?;
    // It has no workers yet; the spare that it forks guards those that it will have.
    let (mut manager, _) = spare::fork_spare(setup, Origin::Master, Vec::new(), program)?;
    match manager.promote(0).and_then(|()| first_spare(&manager)) {
        Ok(spare) => Ok((manager, spare, Forked(()))),
        Err(error) => {
            // It may not have come so far as to die with us.
            manager.pidfd.kill()?;
            poll::wait_readable([manager.pidfd.as_fd()], None)?;
            manager.pidfd.try_reap()?;
            Err(error)
        }
    }
}

fn first_spare(manager: &ManagerHandle) -> io::Result<ManagerHandle> {
    let deadline = Instant::now() + FIRST_SPARE_MAX;
    loop {
        match manager.channel.receive()? {
            Received::Message(ToMaster::Spare { pid }, descriptors) => {
                return ManagerHandle::from_spare(pid, descriptors);
            }
            Received::Message(ToMaster::SpareFailed { errno }, _) => {
                return Err(io::Error::from_raw_os_error(errno));
            }
            Received::Message(..) => return Err(io::ErrorKind::InvalidData.into()),
            Received::Closed => {
                return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the manager ended"));
            }
            Received::Nothing => {}
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "no spare manager in time"));
        }
        poll::wait_readable([manager.channel.as_fd()], Some(left))?;
    }
}
