//! One line for each signal that has no effect.

use crate::sys::signal::{self, Received};

/// Remembers which signals the log has named, so that a flood of them is one line.
#[derive(Debug, Default)]
pub(crate) struct SignalNotes {
    /// One bit for each signal; there are 64.
    named: u64,
}

impl SignalNotes {
    /// Says that a signal was taken and nothing follows from it, at most once for each signal.
    pub(crate) fn note(&mut self, received: Received) {
        if self.is_first(received.signal) {
            let (signal, sender) = (signal::name(received.signal), received.sender_pid);
            tracing::info!(signal, sender, "this signal has no effect here; said once");
        }
    }

    fn is_first(&mut self, signal: signal::SignalNumber) -> bool {
        let bit = 1_u64.rotate_left(signal.unsigned_abs());
        let first = self.named & bit == 0;
        self.named |= bit;
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_signal_is_named_once() {
        let mut notes = SignalNotes::default();
        for signal in 1..=64 {
            assert!(notes.is_first(signal), "{signal}");
            assert!(!notes.is_first(signal), "{signal}");
        }
    }
}
