//! A process that goes on in the background, in a session of its own.
#![allow(unsafe_code)]

use std::io::{self, Write as _};
use std::os::fd::AsFd;

use nix::unistd::ForkResult;
use rustix::fs::{Mode, OFlags, open};

use super::process::{ProcessId, refuse_threads};

/// Which of the two a process is after [`fork`].
#[derive(Debug)]
pub(crate) enum Side {
    /// The one that was there, with its child.
    Launcher(ProcessId),
    /// The new one, which goes on.
    Background,
}

/// `fork(2)`, `setsid(2)` — goes on twice: in a child that belongs to no terminal, and here.
///
/// Refused when this process has more than one thread: the child would have only this one, and
/// every lock that another one held would stay locked. Both have all descriptors and all objects,
/// so that one of them has to end without dropping anything: the launcher does.
pub(crate) fn fork() -> io::Result<Side> {
    refuse_threads()?;
    // What is in the buffer now would be written twice.
    io::stdout().flush()?;
    // SAFETY: this process has one thread (checked just above; where it cannot be counted, without
    // /proc, the caller's word has to do), so no lock is held by a thread that the child lacks.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => ProcessId::new(child.as_raw())
            .map(Side::Launcher)
            .ok_or_else(|| io::ErrorKind::InvalidData.into()),
        ForkResult::Child => {
            rustix::process::setsid()?;
            Ok(Side::Background)
        }
    }
}

/// `dup2(2)` — from now on standard input is empty, and what is printed goes to `output`.
pub(crate) fn redirect_streams(output: impl AsFd) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
    let nothing = open("/dev/null", flags, Mode::empty())?;
    rustix::stdio::dup2_stdin(&nothing)?;
    redirect_output(&output)?;
    Ok(rustix::stdio::dup2_stderr(&output)?)
}

/// `dup2(2)` — from now on standard output goes to `output`.
pub(crate) fn redirect_output(output: impl AsFd) -> io::Result<()> {
    io::stdout().flush()?;
    Ok(rustix::stdio::dup2_stdout(&output)?)
}
