//! How a run and whoever watches it talk while it goes on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::report::Interruption;

/// Shared between a run and other threads: live counts one way, the stop flag the other. Publishes
/// nothing but itself, so every access is relaxed.
#[derive(Debug, Default)]
pub struct Progress {
    stop: AtomicBool,
    completed: AtomicU64,
    interrupted: AtomicU64,
}

impl Progress {
    /// Asks the run to issue nothing more, wait for what is in flight, and end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether [`Progress::stop`] was called.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Replies completed so far, warm-up included.
    pub fn completed(&self) -> u64 {
        self.completed.load(Ordering::Relaxed)
    }

    /// Connections interrupted so far.
    pub fn interrupted(&self) -> u64 {
        self.interrupted.load(Ordering::Relaxed)
    }

    pub(super) fn add_completed(&self, count: u64) {
        self.completed.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn add_interrupted(&self) {
        self.interrupted.fetch_add(1, Ordering::Relaxed);
    }
}

/// Called by a run, on its own thread, between its turns. Every method does nothing unless
/// implemented.
pub trait Observer {
    /// All connections are open, the warm-up is answered, nothing is in flight: the measurement
    /// begins when this returns.
    fn begins(&mut self) {}
    /// One more second of the measurement is over.
    fn second(&mut self) {}
    /// A connection was interrupted.
    fn interrupted(&mut self, interruption: &Interruption) {
        _ = interruption;
    }
    /// The last reply is in (or given up); the connections are still open.
    fn ends(&mut self) {}
}

/// Watches nothing.
impl Observer for () {}
