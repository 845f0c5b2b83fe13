//! What a worker process is doing now: which callback runs, since when, and for whom.
//!
//! One writer and no lock: the turn is odd while the words change, and who reads looks at it before
//! and after. It costs the writer a few stores to a cache line that nobody else touches, apart from
//! a look now and then.

use crate::sync::{AtomicU64, Ordering, fence};

/// The line that the process writes at the beginning and the end of each callback.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct PhaseLine {
    /// Odd while the words below change; two more for each change.
    turn: AtomicU64,
    session: AtomicU64,
    started_ns: AtomicU64,
    received_ns: AtomicU64,
    /// The callback's number, whether it is repeated, and the port.
    what: AtomicU64,
    /// The turn that has a deadline of its own; another one has that of its port. So a callback
    /// that sets none costs nothing.
    until_turn: AtomicU64,
    /// Its deadline.
    until_ns: AtomicU64,
}

/// A callback that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Phase {
    /// Which callback: a number above 0 that the processes agree on; 0 for none.
    pub callback: u8,
    /// A process that died had begun the same delivery before.
    pub is_repeated: bool,
    /// The port on which its session came.
    pub port: u16,
    /// Its session; 0 for none.
    pub session: u64,
    /// When it began, nanoseconds of the monotonic clock.
    pub started_ns: u64,
    /// When its package was read from the client; 0 when it has none.
    pub received_ns: u64,
}

/// What was read of a [`PhaseLine`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which turn it was: another turn is another callback.
    pub turn: u64,
    /// What ran.
    pub phase: Phase,
    /// The deadline that it has set for itself, nanoseconds of the monotonic clock.
    pub until_ns: Option<u64>,
}

const REPEATED: u64 = 1 << 8;
const PORT_SHIFT: u32 = 16;

impl PhaseLine {
    /// A fresh line. For models and tests.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let word = || AtomicU64::new(0);
        Self {
            turn: word(),
            session: word(),
            started_ns: word(),
            received_ns: word(),
            what: word(),
            until_turn: word(),
            until_ns: word(),
        }
    }

    /// Process: a callback begins.
    pub fn begin(&self, phase: &Phase) {
        self.change(|| {
            self.session.store(phase.session, Ordering::Relaxed);
            self.started_ns.store(phase.started_ns, Ordering::Relaxed);
            self.received_ns.store(phase.received_ns, Ordering::Relaxed);
            let repeated = if phase.is_repeated { REPEATED } else { 0 };
            let port = u64::from(phase.port) << PORT_SHIFT;
            self.what.store(u64::from(phase.callback) | repeated | port, Ordering::Relaxed);
        });
    }

    /// Process: nothing runs.
    pub fn end(&self) {
        self.change(|| self.what.store(0, Ordering::Relaxed));
    }

    /// Process: what runs has this deadline and not that of its port. Nothing when nothing runs.
    pub fn set_until(&self, until_ns: u64) {
        // What was written before belongs to an older turn: whoever reads this sees the newer one.
        fence(Ordering::Release);
        self.until_ns.store(until_ns, Ordering::Relaxed);
        self.until_turn.store(self.turn(), Ordering::Release);
    }

    fn change(&self, store: impl FnOnce()) {
        let turn = self.turn.load(Ordering::Relaxed) & !1;
        self.turn.store(turn.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        store();
        self.turn.store(turn.wrapping_add(2), Ordering::Release);
    }

    /// Process: which turn it is now. For its signal handlers.
    #[must_use]
    pub fn turn(&self) -> u64 {
        self.turn.load(Ordering::Relaxed)
    }

    /// What runs; `None` when nothing does, or when it changes just now.
    #[must_use]
    pub fn read(&self) -> Option<Seen> {
        let turn = self.turn.load(Ordering::Acquire);
        let has_own = self.until_turn.load(Ordering::Acquire) == turn;
        let until_ns = has_own.then(|| self.until_ns.load(Ordering::Relaxed));
        let what = self.what.load(Ordering::Relaxed);
        let phase = Phase {
            callback: what as u8,
            is_repeated: what & REPEATED != 0,
            port: (what >> PORT_SHIFT) as u16,
            session: self.session.load(Ordering::Relaxed),
            started_ns: self.started_ns.load(Ordering::Relaxed),
            received_ns: self.received_ns.load(Ordering::Relaxed),
        };
        fence(Ordering::Acquire);
        let is_whole = turn & 1 == 0 && self.turn.load(Ordering::Relaxed) == turn;
        (is_whole && phase.callback != 0).then_some(Seen { turn, phase, until_ns })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_callback_is_seen_until_it_ends() {
        let line = PhaseLine::new();
        assert_eq!(line.read(), None);
        let phase = Phase {
            callback: 255,
            is_repeated: true,
            port: u16::MAX,
            session: u64::MAX,
            started_ns: 3,
            received_ns: 2,
        };
        line.begin(&phase);
        let seen = line.read().unwrap();
        assert_eq!((seen.phase, seen.turn), (phase, line.turn()));
        line.end();
        assert_eq!(line.read(), None);
        line.begin(&Phase { callback: 1, ..Phase::default() });
        let next = line.read().unwrap();
        assert!(next.turn != seen.turn && !next.phase.is_repeated);
    }

    #[test]
    fn a_deadline_belongs_to_the_callback_that_has_set_it() {
        let line = PhaseLine::new();
        let until = || line.read().unwrap().until_ns;
        line.begin(&Phase { callback: 1, ..Phase::default() });
        assert_eq!(until(), None);
        line.set_until(7);
        assert_eq!(until(), Some(7));
        line.set_until(9);
        assert_eq!(until(), Some(9));
        line.begin(&Phase { callback: 1, ..Phase::default() });
        assert_eq!(until(), None);
        line.end();
        line.set_until(11);
        line.begin(&Phase { callback: 1, ..Phase::default() });
        assert_eq!(until(), None);
    }

    #[test]
    fn a_process_that_died_while_it_changed_the_line_shows_nothing() {
        let line = PhaseLine::new();
        line.begin(&Phase { callback: 1, ..Phase::default() });
        line.turn.fetch_add(1, Ordering::Relaxed);
        assert_eq!(line.read(), None);
    }
}
