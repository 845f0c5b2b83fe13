//! Why a worker died, in words.

use ostler_core::supervisor::{Exit, KillCause};
use ostler_shm::black_box::capture::Capture;

use crate::manager::report;
use crate::sys::process::EXIT_PANIC;
use crate::sys::signal;

/// An address that faulted no further than that from the stack pointer is that of a stack that has
/// overflowed.
const OVERFLOW_BYTES_MAX: u64 = 64 * 1024;

/// Signals that a process gets for what it does.
const CRASHES: [i32; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGABRT,
    libc::SIGTRAP,
    libc::SIGSYS,
];

/// What is known of a death.
pub(super) struct Facts<'a> {
    pub(super) exit: Exit,
    /// Why the manager killed it, if it did.
    pub(super) killed: Option<KillCause>,
    /// The same in words, where there is more to say.
    pub(super) verdict: Option<&'a str>,
    /// Why the kernel may have killed it, if it has killed somebody for lack of memory.
    pub(super) out_of_memory: Option<&'static str>,
    /// What the process captured of itself when it crashed.
    pub(super) crash: Option<&'a Capture>,
    /// What it said at last; empty for nothing.
    pub(super) last_words: &'a str,
}

impl Facts<'_> {
    /// The cause.
    pub(super) fn in_words(&self) -> String {
        if let Some(cause) = self.killed {
            let words = self.verdict.unwrap_or_else(|| report::cause(cause));
            return format!("killed by the server: {words}");
        }
        match self.exit {
            Exit::Code(EXIT_PANIC) if !self.last_words.is_empty() => {
                format!("panicked: {}", self.last_words)
            }
            Exit::Code(code) => format!("exited with code {code}"),
            Exit::Signal { signal: libc::SIGKILL, .. } => match self.out_of_memory {
                Some(whose) => format!("killed by the kernel, out of memory ({whose})"),
                None => "SIGKILL, which the server did not send".to_owned(),
            },
            Exit::Signal { signal, .. } => self.of_signal(signal),
        }
    }

    /// Whether the process ended by its own doing: it crashed, panicked or exited, and nobody has
    /// sent it a signal.
    pub(super) fn is_by_itself(&self, pid: i32) -> bool {
        if self.killed.is_some() {
            return false;
        }
        match self.exit {
            Exit::Code(_) => true,
            Exit::Signal { signal, .. } => {
                let reason = self.crash.map(|crash| crash.reason);
                let sender = reason.filter(|reason| reason.code <= 0).map(|reason| reason.sender);
                let is_own = |sender: u32| [0, pid.unsigned_abs()].contains(&sender);
                CRASHES.contains(&signal) && sender.is_none_or(is_own)
            }
        }
    }

    fn of_signal(&self, signal: i32) -> String {
        let name = signal::name(signal);
        let Some(reason) = self.crash.map(|crash| crash.reason) else {
            return format!("{name}, which the server did not send");
        };
        let stack = self.crash.and_then(|crash| crash.registers.get(1));
        let is_fault = reason.code > 0 && matches!(reason.signal, libc::SIGSEGV | libc::SIGBUS);
        let (address, sender) = (reason.address, reason.sender);
        if is_fault && stack.is_some_and(|sp| sp.abs_diff(address) < OVERFLOW_BYTES_MAX) {
            return format!("stack overflow ({name}, at address {address:#x})");
        }
        if is_fault {
            return format!("{}, at address {address:#x}", signal::name(reason.signal));
        }
        match (signal, self.last_words) {
            (libc::SIGABRT, "") => "aborted (SIGABRT)".to_owned(),
            (libc::SIGABRT, words) => format!("aborted (SIGABRT): {words}"),
            _ if reason.code <= 0 && sender > 0 => format!("{name}, sent by process {sender}"),
            _ => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_shm::black_box::capture::Reason;

    fn facts(exit: Exit) -> Facts<'static> {
        Facts {
            exit,
            killed: None,
            verdict: None,
            out_of_memory: None,
            crash: None,
            last_words: "",
        }
    }

    const fn by(signal: i32) -> Exit {
        Exit::Signal { signal, core_dumped: false }
    }

    fn crash(signal: i32, code: i32, address: u64) -> Capture {
        let reason = Reason { signal, code, address, sender: 42, ..Reason::default() };
        Capture { reason, registers: vec![1, 0x8000_0000, 0, 0], ..Capture::default() }
    }

    #[test]
    fn an_end_without_a_crash() {
        assert_eq!(facts(Exit::Code(7)).in_words(), "exited with code 7");
        let panicked = Facts { last_words: "no way (a.rs:1:2)", ..facts(Exit::Code(101)) };
        assert_eq!(panicked.in_words(), "panicked: no way (a.rs:1:2)");
        assert_eq!(facts(Exit::Code(101)).in_words(), "exited with code 101");
        let killed = Facts { killed: Some(KillCause::DrainTimeout), ..facts(by(libc::SIGKILL)) };
        assert_eq!(killed.in_words(), "killed by the server: drain timeout");
        assert_eq!(facts(by(libc::SIGKILL)).in_words(), "SIGKILL, which the server did not send");
        let late = Facts { verdict: Some("too late"), ..killed };
        assert_eq!(late.in_words(), "killed by the server: too late");
        let oom = Facts { out_of_memory: Some("its cgroup"), ..facts(by(libc::SIGKILL)) };
        assert_eq!(oom.in_words(), "killed by the kernel, out of memory (its cgroup)");
        assert_eq!(facts(by(libc::SIGSEGV)).in_words(), "SIGSEGV, which the server did not send");
    }

    #[test]
    fn who_ended_by_itself_was_killed_by_nobody() {
        let is = |exit, killed, crash: Option<&Capture>| {
            Facts { killed, crash, ..facts(exit) }.is_by_itself(7)
        };
        assert!(is(Exit::Code(101), None, None) && is(Exit::Code(0), None, None));
        assert!(!is(by(libc::SIGKILL), None, None) && !is(by(libc::SIGTERM), None, None));
        assert!(!is(by(libc::SIGKILL), Some(KillCause::RequestDeadline), None));
        assert!(is(by(libc::SIGSEGV), None, Some(&crash(libc::SIGSEGV, 1, 8))));
        let raised = |sender| {
            let mut crash = crash(libc::SIGABRT, -6, 0);
            crash.reason.sender = sender;
            is(by(libc::SIGABRT), None, Some(&crash))
        };
        assert_eq!([7, 42].map(raised), [true, false]);
    }

    #[test]
    fn a_crash() {
        let words = |exit: i32, crash: &Capture, last_words| {
            Facts { crash: Some(crash), last_words, ..facts(by(exit)) }.in_words()
        };
        let fault = crash(libc::SIGSEGV, 1, 8);
        assert_eq!(words(libc::SIGSEGV, &fault, ""), "SIGSEGV, at address 0x8");
        let overflow = crash(libc::SIGSEGV, 1, 0x7fff_fff8);
        let text = words(libc::SIGABRT, &overflow, "");
        assert_eq!(text, "stack overflow (SIGABRT, at address 0x7ffffff8)");
        let sent = crash(libc::SIGSEGV, 0, 0);
        assert_eq!(words(libc::SIGSEGV, &sent, ""), "SIGSEGV, sent by process 42");
        let abort = crash(libc::SIGABRT, -6, 0);
        assert_eq!(words(libc::SIGABRT, &abort, ""), "aborted (SIGABRT)");
        assert_eq!(words(libc::SIGABRT, &abort, "half"), "aborted (SIGABRT): half");
        assert_eq!(words(libc::SIGFPE, &crash(libc::SIGFPE, 1, 9), ""), "SIGFPE");
    }
}
