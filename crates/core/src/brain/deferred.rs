//! Deferred deliveries have a deadline of their own: nothing of them runs in a worker that could be
//! ended, so that their sessions are.

use super::ledger::Entry;
use super::{Brain, CloseReason};
use crate::Nanos;
use crate::ids::{ConnectionSlot, Subject};

/// They are looked at at most so often in the shortest of their deadlines.
const LOOKS: Nanos = 16;

impl Brain {
    /// When [`Brain::close_overdue_deferred`] is due; `None` while nothing is deferred that has a
    /// deadline.
    #[must_use]
    pub const fn deferred_due(&self) -> Option<Nanos> {
        self.deferred_due
    }

    /// Something was deferred in this turn.
    pub(super) fn begin_to_watch_deferred(&mut self) {
        if let Some(shortest) = self.shortest_deferred() {
            let due = self.now.saturating_add(shortest);
            self.deferred_due = Some(self.deferred_due.map_or(due, |before| before.min(due)));
        }
    }

    /// Closes the sessions whose packages have been deferred for as long as their ports allow. What
    /// is deferred stays in its worker's hand until that finishes it, as with any other end of a
    /// session: it is given to nobody else, and its late answer is dropped and counted.
    pub fn close_overdue_deferred(&mut self) {
        let Some(shortest) = self.shortest_deferred() else { return };
        let (mut overdue, mut next): (Vec<ConnectionSlot>, _) = (Vec::new(), None);
        for (_, lane) in self.lanes.iter() {
            for entry in lane.ledger.iter() {
                let Some((session, at)) = self.deferred_deadline(entry) else { continue };
                if at <= self.now {
                    overdue.push(session);
                } else {
                    next = Some(next.map_or(at, |before: Nanos| before.min(at)));
                }
            }
        }
        let soonest = self.now.saturating_add(shortest / LOOKS);
        self.deferred_due = next.map(|next| next.max(soonest));
        for session in overdue {
            self.close(session, CloseReason::RequestDeadline);
        }
    }

    /// Whose it is, and when it is overdue; `None` when it is not deferred, its port has no such
    /// deadline, or its session ends anyway.
    fn deferred_deadline(&self, entry: &Entry) -> Option<(ConnectionSlot, Nanos)> {
        let Subject::Session(slot) = entry.subject else { return None };
        if entry.done || entry.deferred_at == 0 {
            return None;
        }
        let connection = self.sessions.get(slot).filter(|one| one.phase.is_served())?;
        let most = self.settings.ports.get(connection.port).deferred_max_ns;
        (most > 0).then(|| (slot, entry.deferred_at.saturating_add(most)))
    }

    fn shortest_deferred(&self) -> Option<Nanos> {
        let times = self.settings.ports.iter().map(|port| port.deferred_max_ns);
        times.filter(|time| *time > 0).min()
    }
}
