//! Log lines about deaths.

use ostler_core::supervisor::{Exit, KillCause};

use crate::control::DeathNotice;
use crate::sys::process::ProcessId;
use crate::sys::signal;

/// A death: a warning if nobody asked for it or if it did not leave in time, quiet if it was in good order.
pub(super) fn death(death: &DeathNotice, pid: Option<ProcessId>) {
    let worker = death.worker;
    let pid = pid.map_or(0, ProcessId::get);
    let (exit, killed, took_delivery) =
        (exit(death.exit), death.killed.map(cause), death.took_delivery);
    if !death.expected {
        tracing::warn!(%worker, pid, exit, killed, took_delivery, "worker died");
    } else if death.killed == Some(KillCause::DrainTimeout) {
        tracing::warn!(%worker, pid, exit, killed, took_delivery, "worker did not leave in time");
    } else if death.killed.is_some() || death.exit != Exit::Code(0) {
        tracing::info!(%worker, pid, exit, killed, took_delivery, "worker ended");
    } else {
        tracing::debug!(%worker, pid, exit, killed, took_delivery, "worker ended");
    }
}

/// How a process ended, in words.
fn exit(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("code {code}"),
        Exit::Signal { signal, core_dumped: false } => signal::name(signal),
        Exit::Signal { signal, core_dumped: true } => {
            format!("{}, core dumped", signal::name(signal))
        }
    }
}

/// Why we kill, in words.
pub(super) fn cause(cause: KillCause) -> &'static str {
    match cause {
        KillCause::BootTimeout => "boot timeout",
        KillCause::DrainTimeout => "drain timeout",
        KillCause::Condemned => "condemned",
        KillCause::Shutdown => "shutdown",
        KillCause::ReloadAborted => "reload aborted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_told_in_words() {
        let segfault = Exit::Signal { signal: 11, core_dumped: true };
        assert_eq!(exit(segfault), "SIGSEGV, core dumped");
        assert_eq!(exit(Exit::Signal { signal: 9, core_dumped: false }), "SIGKILL");
        assert_eq!(exit(Exit::Code(101)), "code 101");
        assert_eq!(cause(KillCause::Condemned), "condemned");
    }
}
