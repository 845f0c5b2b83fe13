//! A debug hook that kills the calling process at a numbered step of the protocol (the
//! kill-at-every-step tests).
//!
//! Compiled to nothing unless `debug_assertions` are on. A worker arms it once from its
//! environment.

/// The steps at which a worker can be made to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Step {
    /// Before `taken` announces the record.
    BeforeTaken = 1,
    /// After `taken` announced it, before the gate is looked at.
    Taken = 2,
    /// The header was read; the handler did not start.
    HeaderRead = 3,
    /// An output record was appended, nothing published.
    Appended = 4,
    /// `EXPOSE` was appended.
    Exposed = 5,
    /// `FIN` was appended.
    FinAppended = 6,
    /// `out_written` was stored on the first touched lane.
    OutWritten = 7,
    /// `commit` was stored, no bell rung.
    Committed = 8,
    /// The bells were rung.
    Rung = 9,
    /// `freed` was stored.
    Freed = 10,
    /// The worker announced its sleep.
    Sleeping = 11,
    /// The worker waits for room.
    WaitingForRoom = 12,
    /// The descriptor of a file was passed, its record not appended.
    FilePassed = 13,
}

/// Every step with the name that arms it.
pub const STEPS: &[(&str, Step)] = &[
    ("BEFORE_TAKEN", Step::BeforeTaken),
    ("TAKEN", Step::Taken),
    ("HEADER_READ", Step::HeaderRead),
    ("APPENDED", Step::Appended),
    ("EXPOSED", Step::Exposed),
    ("FIN_APPENDED", Step::FinAppended),
    ("OUT_WRITTEN", Step::OutWritten),
    ("COMMITTED", Step::Committed),
    ("RUNG", Step::Rung),
    ("FREED", Step::Freed),
    ("SLEEPING", Step::Sleeping),
    ("WAITING_FOR_ROOM", Step::WaitingForRoom),
    ("FILE_PASSED", Step::FilePassed),
];

#[cfg(all(debug_assertions, not(loom)))]
mod armed {
    use super::{STEPS, Step};
    use core::sync::atomic::{AtomicU32, Ordering};

    static STEP: AtomicU32 = AtomicU32::new(0);
    static LEFT: AtomicU32 = AtomicU32::new(0);

    /// Arms the hook from `NAME:COUNT` (die at the COUNT-th time step NAME is reached). Unknown
    /// text arms nothing and answers false.
    pub fn arm(text: &str) -> bool {
        let Some((name, count)) = text.split_once(':') else { return false };
        let Ok(count) = count.parse::<u32>() else { return false };
        let Some((_, step)) = STEPS.iter().find(|(known, _)| *known == name) else { return false };
        LEFT.store(count.max(1), Ordering::Relaxed);
        STEP.store(*step as u32, Ordering::Relaxed);
        true
    }

    /// Dies here when the hook is armed for this step and its count is reached.
    pub fn step(step: Step) {
        if STEP.load(Ordering::Relaxed) == step as u32 && LEFT.fetch_sub(1, Ordering::Relaxed) == 1
        {
            let _ = rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::KILL,
            );
            loop {
                std::thread::park();
            }
        }
    }
}

#[cfg(all(debug_assertions, not(loom)))]
pub use armed::{arm, step};

/// The hook of the loom models: a "process" is a loom thread, and it dies by unwinding out of
/// whatever it was in.
#[cfg(loom)]
mod modelled {
    use super::Step;
    use std::cell::Cell;

    loom::thread_local! {
        static LEFT: Cell<u32> = Cell::new(0);
    }

    /// What a dying model thread unwinds with; the model catches it at the thread's root.
    #[derive(Debug)]
    pub struct Died(
        /// Where.
        pub Step,
    );

    /// Lets the calling loom thread die at the `count`-th step it reaches, of whatever kind; 0 lets
    /// it live.
    pub fn die_at(count: u32) {
        LEFT.with(|left| left.set(count));
    }

    /// Dies here when the count is reached.
    pub fn step(step: Step) {
        let dies = LEFT.with(|left| {
            let count = left.get();
            left.set(count.saturating_sub(1));
            count == 1
        });
        if dies {
            std::panic::resume_unwind(Box::new(Died(step)));
        }
    }
}

#[cfg(loom)]
pub use modelled::{Died, die_at, step};

/// Arms nothing: this build has no hook.
#[cfg(not(all(debug_assertions, not(loom))))]
#[must_use]
pub fn arm(_text: &str) -> bool {
    false
}

/// Does nothing: this build has no hook.
#[cfg(not(any(debug_assertions, loom)))]
#[inline(always)]
pub fn step(_step: Step) {}
