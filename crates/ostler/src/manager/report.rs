//! Log lines about deaths, and starts that fail.

use std::collections::BTreeMap;
use std::io;

use ostler_core::Millis;
use ostler_core::ids::{ProcessKey, ProcessKind, Slot};
use ostler_core::supervisor::{Exit, KillCause, LeaveReason, ReloadOutcome};
use ostler_core::throttle::Throttle;

use super::diagnosis::DeathCase;
use super::reaping::Reaped;
use crate::control::{DeathNotice, ShortText};
use crate::sys::signal;

/// Lines about starts that failed, and about deaths, that are written one by one in a period; the
/// others are counted. The same as the default of `restart_intensity` within its period.
const LINES_MAX: u32 = 10;
/// The period.
const PERIOD_MS: Millis = 10_000;

/// The log lines about processes that die or do not start. A server whose code is broken says so,
/// and does not fill the disk with it.
pub(super) struct Reports {
    deaths: Throttle,
    failures: Throttle,
    /// Why a start failed the last time, by the kind of process.
    last_failures: BTreeMap<ProcessKind, ShortText>,
    /// The options that were said to wait for a restart.
    waiting_options: ShortText,
}

impl Default for Reports {
    fn default() -> Self {
        Self {
            deaths: Throttle::new(LINES_MAX, PERIOD_MS),
            failures: Throttle::new(LINES_MAX, PERIOD_MS),
            last_failures: BTreeMap::new(),
            waiting_options: ShortText::new(""),
        }
    }
}

impl Reports {
    /// A death: a warning if nobody asked for it or if it did not leave in time, quiet if it was in
    /// good order.
    pub(super) fn death(
        &mut self,
        death: &DeathNotice,
        reaped: &Reaped,
        case: &DeathCase,
        (now, name): (Millis, Option<&str>),
    ) {
        let (worker, pid) = (death.worker, reaped.child.pid.get());
        let (exit, killed) = (exit(death.exit), death.killed.map(cause));
        let took_delivery = death.took_delivery;
        if !death.expected && !reaped.child.is_ready {
            let error = reaped.child.start_error.unwrap_or_else(|| {
                let began = reaped.child.has_begun;
                let before = if began { "it was ready" } else { "its program came to its server" };
                ShortText::new(&format!("{worker} ended before {before}: {exit}"))
            });
            self.last_failures.insert(worker.kind, error);
            if self.failures.admits(now) {
                tracing::warn!(%worker, name, pid, exit, killed, %error, "worker could not start");
            }
        } else if !death.expected {
            if self.deaths.admits(now) {
                tracing::warn!(
                    %worker,
                    name,
                    pid,
                    exit,
                    killed,
                    took_delivery,
                    cause = case.cause,
                    callback = case.callback(),
                    session = case.session(),
                    elapsed_ms = case.elapsed_ms,
                    age_ms = case.age_ms,
                    memory_peak_kib = case.memory_peak_kib,
                    "worker died"
                );
            }
        } else if death.killed == Some(KillCause::DrainTimeout) {
            tracing::warn!(
                %worker,
                name,
                pid,
                exit,
                killed,
                took_delivery,
                held_by = case.held_by,
                callback = case.callback(),
                session = case.session(),
                elapsed_ms = case.elapsed_ms,
                "worker did not leave in time"
            );
        } else if death.killed.is_some() || death.exit != Exit::Code(0) {
            tracing::info!(%worker, name, pid, exit, killed, took_delivery, "worker ended");
        } else {
            tracing::debug!(%worker, name, pid, exit, killed, took_delivery, "worker ended");
        }
    }

    /// The master had no memory for a worker.
    pub(super) fn no_memory(&mut self, worker: ProcessKey, now: Millis) {
        let text = ShortText::new("the master has no memory for a worker, its log says why");
        self.last_failures.insert(worker.kind, text);
        if self.failures.admits(now) {
            tracing::warn!(%worker, "the master has no memory for a worker");
        }
    }

    /// A new program has other values of options that the master owns. Told once, not by each
    /// worker.
    pub(super) fn waiting_options(&mut self, waiting: ShortText) {
        if waiting != self.waiting_options && !waiting.as_str().is_empty() {
            tracing::warn!(options = %waiting, "new values of options wait for a restart");
        }
        self.waiting_options = waiting;
    }

    /// There is no program for a worker.
    pub(super) fn no_program(&mut self, worker: ProcessKey, problem: &str, now: Millis) {
        self.last_failures.insert(worker.kind, ShortText::new(problem));
        if self.failures.admits(now) {
            tracing::warn!(%worker, error = problem, "the new program cannot be started");
        }
    }

    /// A worker could not be forked.
    pub(super) fn no_fork(&mut self, worker: ProcessKey, error: &io::Error, now: Millis) {
        let text = ShortText::new(&format!("cannot fork a worker: {error}"));
        self.last_failures.insert(worker.kind, text);
        if self.failures.admits(now) {
            tracing::warn!(%worker, %error, "cannot fork a worker");
        }
    }

    /// Why the start of a process of this kind failed the last time.
    pub(super) fn last_failure(&self, kind: ProcessKind) -> ShortText {
        let failure = self.last_failures.get(&kind).copied();
        failure.unwrap_or_else(|| ShortText::new("no start has failed"))
    }

    /// When [`Reports::run_due`] has something to say.
    pub(super) fn due(&self) -> Option<Millis> {
        [self.deaths.due(), self.failures.due()].into_iter().flatten().min()
    }

    /// Says how much was not said.
    pub(super) fn run_due(&mut self, now: Millis) {
        if let Some(more) = self.deaths.take_held_back(now) {
            tracing::warn!(
                more,
                period_ms = PERIOD_MS,
                "workers die often, without a line for each"
            );
        }
        if let Some(more) = self.failures.take_held_back(now) {
            let error = self.last_failure(ProcessKind::Event);
            let text = "workers could not start, without a line for each";
            tracing::warn!(more, period_ms = PERIOD_MS, %error, "{text}");
        }
    }
}

/// A reload of the processes of a kind begins, for so many who have asked.
pub(super) fn reload_begins(kind: ProcessKind, requests: usize) {
    match kind {
        ProcessKind::Event => tracing::info!(requests, "reload begins"),
        ProcessKind::Task => tracing::info!(requests, "reload of the task workers begins"),
        ProcessKind::User => tracing::info!(requests, "user processes are replaced"),
        ProcessKind::Companion => tracing::info!("the companion is replaced"),
    }
}

/// It has ended; for event workers the master says so.
pub(super) fn reload_ended(
    kind: ProcessKind,
    outcome: ReloadOutcome,
    slots: &[(Slot, bool)],
    why: ShortText,
) {
    let new = slots.iter().filter(|(_, is_new)| *is_new).count();
    match (kind, outcome) {
        (ProcessKind::Task, ReloadOutcome::Done) => tracing::info!("every task worker is new"),
        (ProcessKind::User, ReloadOutcome::Done) => tracing::info!(new, "user processes are new"),
        (_, ReloadOutcome::Done) => tracing::info!("the companion is new"),
        (ProcessKind::Task, ReloadOutcome::CanaryFailed(slot) | ReloadOutcome::Partial(slot)) => {
            let text = "a new task worker did not start, those that are old run the old code";
            tracing::warn!(%slot, new, %why, "{text}");
        }
        (_, ReloadOutcome::CanaryFailed(slot) | ReloadOutcome::Partial(slot)) => {
            let process = format!("{}{slot}", kind.letter());
            let text = "a replaced process did not start, it is tried again";
            tracing::warn!(process, new, %why, "{text}");
        }
        (_, ReloadOutcome::ShuttingDown) => {}
        (_, ReloadOutcome::NothingToReload) => tracing::info!(%why, "nothing is reloaded"),
    }
}

/// How a process ended, in words.
pub(super) fn exit(exit: Exit) -> String {
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
        KillCause::RequestDeadline => "request deadline",
        KillCause::Stopped => "stopped",
        KillCause::Shutdown => "shutdown",
        KillCause::ReloadAborted => "reload aborted",
        KillCause::Surplus => "there are to be fewer workers",
        KillCause::Memory => "more memory than worker_memory_hard_max",
    }
}

/// Why a worker is recycled, in words: the option, if there is one.
pub(super) fn reason(reason: LeaveReason) -> &'static str {
    match reason {
        LeaveReason::MaxRequests => "max_requests",
        LeaveReason::Asked => "it was asked to leave",
        LeaveReason::Idle => "worker_idle_max_ms",
        LeaveReason::Memory => "worker_memory_soft_max",
        LeaveReason::Age => "worker_age_max_ms",
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
