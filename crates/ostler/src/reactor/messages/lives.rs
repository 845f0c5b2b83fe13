//! Processes that begin, serve and end, and the end of the server.

use ostler_core::ids::{LaneSlot, ProcessKey};
use ostler_core::messages::MessageEnd;

use super::Messages;
use crate::reactor::Reactor;
use crate::reactor::budget::Memory;
use crate::reactor::destination::Destination;

impl Reactor {
    /// A process has begun, and its death will be noticed.
    pub(in crate::reactor) fn can_be_written_to(&mut self, lane: LaneSlot, key: ProcessKey) {
        if let Some(messages) = &mut self.clients.messages {
            messages.exchange.appears(lane, key);
        }
    }

    /// A worker serves: messages for its slot are for it.
    pub(in crate::reactor) fn takes_messages_of_slot(&mut self, lane: LaneSlot) {
        if let Some(messages) = &mut self.clients.messages {
            messages.exchange.serves(lane);
        }
    }

    /// Receivers do not tell which messages they have begun with: it is looked at. Who lies about
    /// that is condemned for it when the next message is for him.
    pub(in crate::reactor) fn look_for_taken_messages(&mut self) {
        let Some(messages) = &mut self.clients.messages else { return };
        let mut found = Vec::new();
        for lane in messages.exchange.untaken().collect::<Vec<_>>() {
            messages.look(lane, &self.destinations, &mut found);
        }
    }

    /// The server is over.
    pub(in crate::reactor) fn end_messages(&mut self) {
        self.look_for_taken_messages();
        let Some(messages) = &mut self.clients.messages else { return };
        messages.exchange.count_unheard(messages.incoming.len() as u64);
        self.clients.memory.release(messages.exchange.end());
    }
}

impl Messages {
    /// The process of a lane is dead, and everything that it has committed was consumed.
    pub(in crate::reactor) fn lane_ended(
        &mut self,
        lane: LaneSlot,
        destination: &Destination,
        memory: &mut Memory,
    ) {
        self.parts.give_up(lane);
        self.failures.drop_of(lane, &mut self.exchange);
        self.full.remove(&lane.0);
        // A lie has no consequence any more: what was not taken is not.
        let _ = self.exchange.look(lane, destination.messages_taken());
        let ended = self.exchange.ended(lane);
        memory.release(ended.charged);
        for sender in ended.told {
            self.fail(sender, MessageEnd::ReceiverEnded);
        }
        self.operator.lane_ended(lane);
    }
}

#[cfg(test)]
mod tests {
    use ostler_shm::giver::ProtocolViolation;
    use ostler_shm::lane::RawBytes;
    use ostler_shm::record::{FLAG_MORE, Header};

    use crate::options::Options;
    use crate::reactor::tests::{KEY, booting};

    /// Or the next process at its place would end what this one has begun.
    #[test]
    fn what_a_worker_has_begun_that_never_served_is_dropped_with_it() {
        let mut reactor = booting(&Options { workers: 1, reactors: 1, ..Options::default() });
        let slot = reactor.destinations.find(KEY).unwrap();
        let header = Header { flags: FLAG_MORE, ..Header::default() };
        let messages = reactor.clients.messages.as_mut().unwrap();
        let bytes = RawBytes::of(b"half");
        let stray = (8, ProtocolViolation("stray"));
        assert_eq!(messages.parts.add(slot, 1, &header, bytes, stray), Ok(None));
        reactor.release(KEY);
        let rest = Header { part_offset: 4, ..Header::default() };
        let messages = reactor.clients.messages.as_mut().unwrap();
        let bytes = RawBytes::of(b"rest");
        let stray = (8, ProtocolViolation("stray"));
        assert!(messages.parts.add(slot, 1, &rest, bytes, stray).is_err());
    }
}
