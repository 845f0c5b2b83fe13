//! Words from workers: hostile until decoded, bounded per turn, never with descriptors.

use std::io::ErrorKind;
use std::os::fd::AsFd;

use ostler_core::Millis;
use ostler_core::ids::ProcessKey;
use ostler_core::supervisor::Event;
use ostler_core::token_bucket::TokenBucket;

use super::event_loop::{Driver, Step};
use crate::control::{FromWorker, ToMaster, WORKER_MESSAGE_SIZE_BYTES};
use crate::sys::{clock, control_socket};

/// Messages of one worker, of whatever kind, after which it is heard no more if it says them at
/// once: each one costs the manager a look at all slots. It may say another one for each second in
/// which it says nothing, up to so many again, however long it lives.
const WORDS_MAX: u64 = 100;

/// What a process has said, also what was none of its words.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said(TokenBucket);

impl Said {
    /// It says something; false: it may not, so soon.
    fn one_more(&mut self, now: Millis) -> bool {
        // The bucket has what a second brings: its seconds last as many of ours as it is to have
        // tokens, and so one comes in each of ours.
        let now = now.saturating_mul(1_000_000) / WORDS_MAX;
        let may_say_it = self.0.has(now, 1, WORDS_MAX);
        self.0.take(now, 1, WORDS_MAX);
        may_say_it
    }
}

enum Heard {
    Word(FromWorker),
    Garbage,
    Nothing,
    Closed,
}

fn hear_one(control: impl AsFd) -> Heard {
    // One byte more than any message, so that a longer one is seen as such.
    let mut buffer = [0; WORKER_MESSAGE_SIZE_BYTES + 1];
    let mut received = control_socket::receive_without_descriptors(&control, &mut buffer);
    if received.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset) {
        // It has ended without reading all that it was told. That is told once, and before what it
        // has said itself.
        received = control_socket::receive_without_descriptors(&control, &mut buffer);
    }
    match received {
        Ok(0) => Heard::Closed,
        Ok(length) => match buffer.get(..length).map(FromWorker::decode) {
            Some(Ok(word)) => Heard::Word(word),
            Some(Err(_)) | None => Heard::Garbage,
        },
        Err(error) if error.kind() == ErrorKind::WouldBlock => Heard::Nothing,
        Err(error) if error.kind() == ErrorKind::Interrupted => Heard::Nothing,
        Err(_) => Heard::Closed,
    }
}

impl Driver<'_> {
    /// Takes at most `at_most` words from a worker. A closed socket is no death: only the pidfd is.
    pub(super) fn on_worker_message(&mut self, key: ProcessKey, at_most: usize) -> Step {
        for _ in 0..at_most {
            // Reaped, or heard no more, since this turn's events were fetched.
            let Some(child) = self.children.get_mut(key) else { break };
            let Some(control) = &child.control else { break };
            let heard = hear_one(control);
            let is_said = matches!(heard, Heard::Word(_) | Heard::Garbage);
            if is_said && !child.said.one_more(clock::monotonic_ms()) {
                let most = WORDS_MAX;
                tracing::warn!(worker = %key, most, "worker talks too much, heard no more");
                return self.close_control(key);
            }
            match heard {
                Heard::Word(FromWorker::Ready) => {
                    child.is_ready = true;
                    self.tell(Event::Ready(key))?;
                }
                Heard::Word(FromWorker::Began(waiting)) => {
                    child.has_begun = true;
                    self.reports.waiting_options(waiting);
                }
                Heard::Word(FromWorker::StartFailed(text)) => child.start_error = Some(text),
                Heard::Word(FromWorker::TookDelivery) => self.tell(Event::TookDelivery(key))?,
                Heard::Word(FromWorker::WantWorkers(workers)) => {
                    self.say(&ToMaster::WantWorkers { workers, worker: key })?;
                }
                Heard::Word(FromWorker::WantReload { ticket, wanted }) => {
                    self.on_reload_wanted(key, (ticket, wanted))?;
                }
                Heard::Word(FromWorker::Holder(text)) => self.diagnosis.on_holder(key, text),
                Heard::Word(FromWorker::LastHolder(more)) => {
                    self.diagnosis.on_last_holder(key, more);
                }
                Heard::Word(FromWorker::LeaveRequest(reason)) => {
                    self.tell(Event::LeaveRequested(key, reason))?;
                }
                Heard::Garbage => {}
                Heard::Nothing => break,
                Heard::Closed => return self.close_control(key),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::ShortText;

    const SECOND_MS: Millis = 1_000;
    const DAY_MS: Millis = 24 * 3_600 * SECOND_MS;

    /// A long life is no reason to be heard for hours.
    #[test]
    fn who_talks_too_much_is_heard_no_more_however_old_it_is() {
        for age in [0, DAY_MS] {
            let mut said = Said::default();
            assert!(said.one_more(SECOND_MS));
            let now = SECOND_MS + 100 * SECOND_MS + age;
            let heard = (0..200).filter(|_| said.one_more(now)).count();
            assert_eq!(heard, 100, "{age}");
        }
    }

    #[test]
    fn who_says_a_word_a_second_is_heard_all_its_life() {
        let mut said = Said::default();
        assert!((0..100).all(|_| said.one_more(DAY_MS)));
        assert!((1..10_000).all(|second| said.one_more(DAY_MS + second * SECOND_MS)));
        assert!(!said.one_more(DAY_MS + 9_999 * SECOND_MS));
    }

    /// A program that cannot be executed ends before it reads what is left to it.
    #[test]
    fn the_last_words_of_one_that_did_not_listen_are_heard() {
        let (near, far) = control_socket::pair().unwrap();
        control_socket::send(&near, b"unread", &[]).unwrap();
        let word = FromWorker::StartFailed(ShortText::new("no such loader"));
        word.send(&far).unwrap();
        drop(far);
        assert!(matches!(hear_one(&near), Heard::Word(heard) if heard == word));
        assert!(matches!(hear_one(&near), Heard::Closed));
    }
}
