//! A connection's end: why, and what the client and the workers see of it.

use ostler_core::brain::{CloseReason, ConnectionSlot};
use ostler_core::ids::PortId;
use ostler_core::invariant;

use super::connection::Connection;
use super::transport::Transport;
use super::{ClientSide, Reactor};
use crate::options::Refusal;

impl ClientSide {
    /// Whether the client has shut down its side and nothing is left to read, and no worker can
    /// leave anything. It is looked at apart from reading, because that needs a worker that takes
    /// packages, and a place should not wait for one.
    pub(super) fn has_left_in_silence(&mut self, slot: ConnectionSlot) -> bool {
        let has_nothing = self.connections.get_mut(slot).is_some_and(|connection| {
            connection.intake.as_ref().is_none_or(|intake| intake.len() == 0)
                && connection.transport.is_at_end()
        });
        has_nothing && !self.brain.input_may_come_back(slot)
    }

    pub(super) fn close_socket(&mut self, slot: ConnectionSlot, reason: CloseReason) {
        self.publish_closing(slot, reason);
        self.wake_streamers(slot);
        let Some(connection) = self.connections.take(slot) else {
            return invariant!(false, "a socket is closed once, after it was opened");
        };
        self.end_memberships(slot, connection.session);
        if let Some(entry) = self.board.entry(connection.session) {
            entry.note_unsent(0);
        }
        self.output_left(connection.output_charged());
        self.memory.release(connection.transport_charged as u64);
        self.brain.count_output_dropped(connection.left());
        tracing::debug!(session = connection.session, reason = reason.name(), "session closed");
        let Connection { transport, port, intake, timing, metering, .. } = *connection;
        if let Some(timing) = timing {
            timing.end(&mut self.timers);
        }
        if let Some(metering) = metering {
            metering.end(&mut self.timers);
        }
        if let Some(intake) = intake {
            self.keep_or_drop_input(slot, intake, reason);
        }
        let is_free = match reason {
            CloseReason::WorkerReset
            | CloseReason::SlowReader
            | CloseReason::MemoryBudget
            | CloseReason::Truncated
            | CloseReason::ShutdownTimeout
            | CloseReason::SendStalled
            | CloseReason::AddressDeaths => {
                self.count_input_dropped(reason, transport.unread());
                transport.reset();
                true
            }
            // It may have to wait for the goodbye of this side, which the kernel has to take first.
            CloseReason::Peer if !transport.is_plain() => {
                self.close_in_order(transport, port, reason)
            }
            // All that it sent is read, so that closing sends an orderly end.
            CloseReason::PeerError | CloseReason::Peer => {
                if reason.is_abrupt() {
                    self.count_input_dropped(reason, transport.unread());
                }
                transport.close();
                true
            }
            CloseReason::NoWorker | CloseReason::Overloaded => {
                let words = self.settings.ports.get(port).refusal.clone();
                self.end_with_words(transport, port, reason, &words)
            }
            CloseReason::RequestDeadline => {
                let words = self.settings.ports.get(port).request_deadline_answer.clone();
                self.end_with_words(transport, port, reason, &words)
            }
            // Lingering counts what it throws away.
            _ => self.close_in_order(transport, port, reason),
        };
        if is_free {
            // Only now, when its descriptor is free: the acceptor may be waiting for one.
            self.reports.count_closed();
        }
    }

    /// A client is told why it ends, as its port declares. True when its descriptor is free
    /// already.
    pub(super) fn end_with_words(
        &mut self,
        mut transport: Transport,
        port: PortId,
        reason: CloseReason,
        words: &Refusal,
    ) -> bool {
        match words {
            Refusal::Reset => {
                self.count_input_dropped(reason, transport.unread());
                transport.reset();
                return true;
            }
            // Who is answered and stays is not closed by a refusal.
            Refusal::Close | Refusal::AnswerAndStay(_) => {}
            Refusal::Answer(bytes) => {
                // All of its output is with the kernel, which has room for a few bytes more unless
                // the client does not read at all.
                let written = transport.send(bytes).unwrap_or(0);
                self.traffic.sent_bytes += written as u64;
                self.brain.count_output_dropped(bytes.len().saturating_sub(written) as u64);
            }
        }
        self.close_in_order(transport, port, reason)
    }

    /// The session's last event is over: its place in the table is free.
    pub(super) fn free_session(&mut self, slot: ConnectionSlot, session: u64) {
        // A message that was never complete.
        self.drop_kept_input(slot, CloseReason::PeerError);
        self.reports.give_place_back(self.index, session);
        self.drop_state(session);
    }
}

impl Reactor {
    /// A drain ran out of time: says what held it.
    pub(super) fn report_holders(&self) {
        for (lane, destination) in self.destinations.iter() {
            let deliveries = self.clients.brain.in_hand(lane);
            if deliveries > 0 {
                let worker = destination.key();
                tracing::warn!(%worker, deliveries, "what held the drain: a worker that has not \
                    finished");
            }
        }
        let unsent = |connection: &Connection| connection.unsent() > 0;
        let sessions =
            self.clients.connections.iter().filter(|(_, connection)| unsent(connection)).count();
        if sessions > 0 {
            tracing::warn!(sessions, "what held the drain: clients that do not read their output");
        }
    }
}
