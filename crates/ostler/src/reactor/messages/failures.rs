//! What did not reach its receiver, on the way to its sender.

use std::collections::{BTreeMap, VecDeque};

use ostler_core::ids::{LaneSlot, ProcessKey};
use ostler_core::messages::{MessageEnd, MessageExchange, MessageSender};
use ostler_shm::giver::ProtocolViolation;
use ostler_shm::record::{Header, RecordKind};

use crate::reactor::destination::Destinations;

/// Failures that wait for room in the ring of one process: who sends so many messages that cannot
/// arrive, and does not look, is told no more.
const FAILURES_MAX: usize = 1_024;

/// They, by the lanes of their senders.
#[derive(Debug, Default)]
pub(super) struct Failures {
    waiting: BTreeMap<u32, VecDeque<Failure>>,
}

#[derive(Clone, Copy, Debug)]
struct Failure {
    sender: ProcessKey,
    number: u64,
    end: MessageEnd,
}

impl Failures {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn wait_for(&self, lane: LaneSlot) -> bool {
        self.waiting.contains_key(&lane.0)
    }

    /// A message did not reach its receiver.
    pub(super) fn add(
        &mut self,
        sender: MessageSender,
        end: MessageEnd,
        exchange: &mut MessageExchange,
    ) {
        let of_lane = self.waiting.entry(sender.lane.0).or_default();
        if of_lane.len() >= FAILURES_MAX {
            return exchange.count_unheard(1);
        }
        of_lane.push_back(Failure { sender: sender.key, number: sender.number, end });
    }

    /// Tells senders, as far as there is room.
    pub(super) fn write_all(
        &mut self,
        destinations: &mut Destinations,
        exchange: &mut MessageExchange,
        found: &mut Vec<(LaneSlot, ProtocolViolation)>,
    ) {
        self.waiting.retain(|lane, failures| {
            let lane = LaneSlot(*lane);
            let Some(destination) = destinations.get_mut(lane) else {
                exchange.count_unheard(failures.len() as u64);
                return false;
            };
            while let Some(Failure { sender, number, end }) = failures.front().copied() {
                let kind = RecordKind::MessageEnd as u8;
                let (subject, total) = (number, end.code());
                let header = Header { kind, subject, total, ..Header::default() };
                if destination.key() != sender {
                    exchange.count_unheard(1);
                } else {
                    match destination.append_answer(header, &[]) {
                        Ok(true) => {}
                        Ok(false) => return true,
                        Err(violation) => {
                            found.push((lane, violation));
                            return true; // until its process is dead
                        }
                    }
                }
                failures.pop_front();
            }
            false
        });
    }

    /// A process is gone: nobody is told.
    pub(super) fn drop_of(&mut self, lane: LaneSlot, exchange: &mut MessageExchange) {
        let dropped = self.waiting.remove(&lane.0).map_or(0, |failures| failures.len());
        exchange.count_unheard(dropped as u64);
    }
}
