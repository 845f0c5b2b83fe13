//! A worker that was asked for its stack, by a signal, and what it answers.

use ostler_core::Millis;
use ostler_shm::black_box::phase::Seen;

use super::case::Stack;
use super::outside;
use crate::manager::children::Child;
use crate::sys::signal;

/// The first pause before its answer is looked for; each following one is twice as long.
const ANSWER_MIN_MS: Millis = 1;

/// The numbers of requests, never the same twice.
#[derive(Debug, Default)]
pub(super) struct Requests(u64);

/// A worker that was asked.
#[derive(Debug)]
pub(super) struct Asked {
    number: u64,
    /// What it was doing.
    pub(super) seen: Seen,
    /// Who does not answer is read from outside then.
    until: Millis,
    /// When its answer is looked for.
    look_at: Millis,
    pause_ms: Millis,
}

impl Requests {
    /// Asks a worker. It is waited for until `until`; one that cannot be asked not at all.
    pub(super) fn ask(&mut self, child: &Child, seen: Seen, until: Millis, now: Millis) -> Asked {
        self.0 += 1;
        let number = self.0;
        let has_asked = child
            .black_box
            .signal()
            .filter(|number| signal::is_real_time(*number))
            .is_some_and(|signal| child.pidfd.ask_for_capture(signal, number).is_ok());
        Asked {
            number,
            seen,
            // Who could not be asked is read from outside at once.
            until: if has_asked { until } else { now },
            look_at: now.saturating_add(ANSWER_MIN_MS),
            pause_ms: ANSWER_MIN_MS,
        }
    }
}

impl Asked {
    pub(super) const fn look_at(&self) -> Millis {
        self.look_at
    }

    /// The stack, or why there is none; `None`: not yet.
    pub(super) fn answer(&mut self, child: &Child, now: Millis) -> Option<Stack> {
        let number = child.black_box.capture().map(|words| words.number());
        if number == Some(self.number)
            && let Some(capture) = child.black_box.read_capture()
        {
            let is_of_it = capture.reason.phase_turn == self.seen.turn;
            return Some(if is_of_it {
                Stack::Captured(Box::new(capture))
            } else {
                Stack::Missing("it had ended before its stack was captured".to_owned())
            });
        }
        if now < self.until {
            self.pause_ms = self.pause_ms.saturating_mul(2);
            self.look_at = now.saturating_add(self.pause_ms);
            return None;
        }
        Some(match outside::capture(child.pid) {
            Ok(capture) => Stack::Captured(capture),
            Err(why) => Stack::Missing(why),
        })
    }
}
