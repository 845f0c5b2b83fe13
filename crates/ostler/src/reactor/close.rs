//! A connection's end: why, and what the client and the workers see of it.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;

use ostler_core::brain::{CloseReason, ConnectionSlot};
use ostler_shm::sessions::session_id;

use super::Reactor;
use super::connection::Connection;
use crate::sys::socket;

/// Input thrown away when a connection is closed in good order, so that the kernel does not answer
/// it with a reset that would overtake our last bytes (P12).
const DISCARD_MAX_BYTES: usize = 256 * 1024;

impl Reactor {
    /// The socket reported an error or a hang-up: a session that is not being read would not notice
    /// otherwise.
    pub(super) fn look_for_end(&mut self, slot: ConnectionSlot) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        // An error is pending only after a reset or a timeout; a plain hang-up (both sides shut
        // down) is read in order.
        if socket::is_broken(&connection.socket) {
            self.brain.close(slot, CloseReason::PeerError);
        }
    }

    /// A drain ran out of time: says what held it.
    pub(super) fn report_holders(&self) {
        for (lane, end) in self.lanes.iter() {
            let deliveries = self.brain.in_hand(lane);
            if deliveries > 0 {
                tracing::warn!(worker = %end.key, deliveries, "what held the drain: a worker that \
                    has not finished");
            }
        }
        let unsent = |connection: &Connection| connection.unsent() > 0;
        let sessions = self.connections.iter().filter(|(_, connection)| unsent(connection)).count();
        if sessions > 0 {
            tracing::warn!(sessions, "what held the drain: clients that do not read their output");
        }
    }

    pub(super) fn close_socket(&mut self, slot: ConnectionSlot, reason: CloseReason) {
        self.publish_closing(slot, reason);
        let Some(connection) = self.connections.take(slot) else { return };
        self.account.release(connection.charged() as u64);
        self.brain.count_output_dropped(connection.unsent() as u64);
        tracing::debug!(session = connection.session, reason = reason.name(), "session closed");
        let Connection { socket, .. } = *connection;
        match reason {
            CloseReason::WorkerReset
            | CloseReason::SlowReader
            | CloseReason::MemoryBudget
            | CloseReason::Truncated
            | CloseReason::ShutdownTimeout => socket::reset(socket),
            CloseReason::PeerError => drop(socket),
            _ => close_in_order(socket),
        }
        // Only now, when its descriptor is free: the acceptor may be waiting for one.
        self.reports.count_closed();
        self.publish_pressure();
    }

    /// The session's last event is over: its place in the table is free.
    pub(super) fn free_session(&mut self, slot: ConnectionSlot) {
        let sessions = self.board.sessions_per_reactor();
        if let Some(entry) = self.board.entry(session_id(u64::from(slot.0) % sessions, self.index))
        {
            entry.close();
        }
        self.reports.give_place_back(self.index);
    }
}

/// Says that nothing more comes, throws away unread input, closes.
fn close_in_order(connection: OwnedFd) {
    if socket::shutdown_write(&connection).is_err() {
        return;
    }
    let mut scratch = [0; 16 * 1024];
    let mut discarded = 0;
    while discarded < DISCARD_MAX_BYTES {
        match socket::recv(&connection, &mut scratch) {
            Ok(0) => return,
            Ok(len) => discarded += len,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
