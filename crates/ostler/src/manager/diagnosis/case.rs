//! What is to be told: a slow callback, a slow turn of a reactor, or a death.

use ostler_core::Millis;
use ostler_core::ids::ProcessKey;
use ostler_shm::black_box::capture::Capture;
use ostler_shm::black_box::phase::Phase;

use crate::control::{Callback, DyingCallback, SlowTurn};
use crate::sys::process::ProcessId;

/// The stack that belongs to a case, as it was captured.
#[derive(Debug)]
pub(in crate::manager) enum Stack {
    Captured(Box<Capture>),
    /// There is none, and why.
    Missing(String),
}

/// A callback that runs for long.
#[derive(Debug)]
pub(super) struct SlowCase {
    pub(super) worker: ProcessKey,
    pub(super) pid: ProcessId,
    pub(super) phase: Phase,
    pub(super) elapsed_ms: Millis,
    /// What the process is doing as the kernel sees it.
    pub(super) state: Option<&'static str>,
    pub(super) stack: Stack,
    /// What it said of its mapped files.
    pub(super) modules: Vec<u8>,
}

/// A worker that has died.
#[derive(Debug)]
pub(in crate::manager) struct DeathCase {
    pub(in crate::manager) worker: ProcessKey,
    pub(in crate::manager) pid: ProcessId,
    pub(in crate::manager) cause: String,
    /// What had kept it from leaving in time, as it said.
    pub(in crate::manager) held_by: Option<String>,
    pub(in crate::manager) phase: Option<Phase>,
    /// Nobody has killed it.
    pub(in crate::manager) by_itself: bool,
    /// How long the callback had been running.
    pub(in crate::manager) elapsed_ms: Option<Millis>,
    pub(in crate::manager) age_ms: Millis,
    pub(in crate::manager) memory_peak_kib: u64,
    pub(in crate::manager) cpu_ms: Millis,
    /// Deaths of the same kind before it that are not told.
    pub(in crate::manager) more: u64,
    pub(in crate::manager) stack: Stack,
    /// What it said of its mapped files.
    pub(in crate::manager) modules: Vec<u8>,
}

/// A turn of a reactor that takes long.
#[derive(Debug)]
pub(super) struct TurnCase {
    pub(super) reactor: usize,
    pub(super) elapsed_ms: Millis,
    /// Others before it that are not told.
    pub(super) more: u64,
    pub(super) stack: Stack,
}

impl From<SlowTurn> for TurnCase {
    fn from(turn: SlowTurn) -> Self {
        let SlowTurn { reactor, elapsed_ms, more, stack } = turn;
        let captured = |capture| Stack::Captured(Box::new(capture));
        Self { reactor, elapsed_ms, more, stack: stack.map_or_else(Stack::Missing, captured) }
    }
}

#[derive(Debug)]
pub(super) enum Case {
    Slow(SlowCase),
    Turn(TurnCase),
    Death(DeathCase),
}

impl DeathCase {
    /// The callback in which it died.
    pub(in crate::manager) fn callback(&self) -> Option<String> {
        self.phase.map(callback_of)
    }

    /// The session of that callback, if it had one.
    pub(in crate::manager) fn session(&self) -> Option<u64> {
        self.phase.map(|phase| phase.session).filter(|session| *session > 0)
    }

    /// The same as it is told to who looks for packages that kill; `None`: it was about none.
    pub(in crate::manager) fn dying_callback(&self) -> Option<DyingCallback> {
        let phase = self.phase?;
        let is_about_one = matches!(
            Callback::from_number(phase.callback)?,
            Callback::Connect | Callback::Receive | Callback::Close | Callback::Packet
        );
        is_about_one.then_some(DyingCallback {
            worker: self.worker,
            session: phase.session,
            callback: phase.callback,
            by_itself: self.by_itself,
        })
    }
}

impl Case {
    pub(super) fn stack(&self) -> &Stack {
        match self {
            Self::Slow(case) => &case.stack,
            Self::Turn(case) => &case.stack,
            Self::Death(case) => &case.stack,
        }
    }
}

/// The name of the callback that ran.
pub(super) fn callback_of(phase: Phase) -> String {
    let known = Callback::from_number(phase.callback);
    known.map_or_else(|| format!("callback {}", phase.callback), |known| known.to_string())
}
