//! Sleep epochs: how a ringer knows whether a bell is needed, with one writer per word (decision
//! 10).
//!
//! The sleeper owns an epoch word, odd while it sleeps. The ringer looks at it after its own stores
//! and a full fence, and rings when it is odd and not the epoch it rang last: one system call per
//! sleep, no shared write.

use crate::sync::{AtomicU64, Ordering, fence};

/// The sleeping side of one epoch word.
#[derive(Debug, Default)]
pub struct Sleeper {
    epoch: u64,
}

impl Sleeper {
    /// Announces that this side is about to sleep. After it, every source of work is to be looked
    /// at once more.
    pub fn announce(&mut self, word: &AtomicU64) {
        self.epoch |= 1;
        word.store(self.epoch, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Announces that this side is awake.
    pub fn awake(&mut self, word: &AtomicU64) {
        if self.epoch & 1 == 1 {
            self.epoch += 1;
            word.store(self.epoch, Ordering::Relaxed);
        }
    }
}

/// The ringing side of one epoch word.
#[derive(Debug, Default)]
pub struct Ringer {
    rung: u64,
}

impl Ringer {
    /// Whether the bell is to be rung now. The caller has done its stores and one `fence(SeqCst)`
    /// before. A hostile sleeper can at most make this side ring once per call.
    pub fn needs_bell(&mut self, word: &AtomicU64) -> bool {
        let epoch = word.load(Ordering::Relaxed);
        if epoch & 1 == 1 && epoch != self.rung {
            self.rung = epoch;
            true
        } else {
            false
        }
    }
}
