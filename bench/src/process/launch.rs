//! The step between this program and a server: placement and a leash, then `exec`.
//!
//! Done in a process of its own (subcommands `pinned` and `unpinned`) because between `fork` and
//! `exec` only unsafe code may run; here everything is ordinary. The pid stays the same, and the
//! affinity is set before the server can fork.

use std::convert::Infallible;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Signal, set_parent_process_death_signal};

use super::affinity::pin_current_thread;
use crate::{Error, Result};

/// Becomes `command`, on one CPU if asked to; returns only on failure. The server gets SIGTERM when
/// the thread that started it ends, so that an interrupted bench leaves nothing behind.
pub fn launch(cpu: Option<usize>, command: &[String]) -> Result<Infallible> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Error::usage("no command to run"));
    };
    if let Some(cpu) = cpu {
        pin_current_thread(cpu)?;
    }
    set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(Error::system("PR_SET_PDEATHSIG"))?;
    let source = Command::new(program).args(arguments).exec();
    Err(Error::usage(format!("cannot run {program}: {source}")))
}
