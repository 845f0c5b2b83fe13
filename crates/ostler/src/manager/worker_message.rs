//! Words from workers: hostile until decoded, bounded per turn, never with descriptors.

use std::io::ErrorKind;
use std::os::fd::AsFd;

use ostler_core::ids::ProcessKey;
use ostler_core::supervisor::Event;

use super::event_loop::{Driver, Step};
use crate::control::{FromWorker, ToMaster, WORKER_MESSAGE_SIZE_BYTES};
use crate::sys::{clock, control_socket};

/// Messages of one worker, of whatever kind, after which it is heard no more, besides one for each
/// second of its life: each one costs the manager a look at all slots.
const WORDS_MAX: u64 = 100;

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
            if matches!(heard, Heard::Word(_) | Heard::Garbage) {
                child.words = child.words.saturating_add(1);
                let age_s = clock::monotonic_ms().saturating_sub(child.forked_at) / 1_000;
                let most = WORDS_MAX.saturating_add(age_s);
                if child.words > most {
                    tracing::warn!(
                        worker = %key,
                        most,
                        "worker talks too much, heard no more"
                    );
                    return self.close_control(key);
                }
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
