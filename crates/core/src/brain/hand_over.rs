//! Sessions that go to another master, and those that come from one.
//!
//! A session that is to go is not read any more, so that it comes to rest: nothing of it is at a
//! worker, waits for one or came back from one. Then it may be frozen: nothing is given of it and
//! nothing ends it until it is gone or stays after all. It goes only if nothing was said of it here
//! meanwhile: whatever somebody sends to it, or does with it, withdraws it.

use super::sessions::{Connection, Going};
use super::{Brain, Phase};
use crate::ids::{ConnectionSlot, PortId};

impl Brain {
    /// The session is to go as soon as it is at rest. One that cannot be had stays as it is.
    pub fn let_settle(&mut self, slot: ConnectionSlot) {
        let reading = self.reading;
        let Some(connection) = self.connection(slot) else { return };
        if connection.going == Going::No && connection.phase == Phase::Open && reading {
            connection.going = Going::Settles;
            self.look_whether_it_waits(slot);
        }
    }

    /// Whether it is at rest.
    #[must_use]
    pub fn may_be_offered(&self, slot: ConnectionSlot) -> bool {
        self.sessions.get(slot).is_some_and(is_at_rest)
    }

    /// Freezes a session that is at rest.
    pub fn offer(&mut self, slot: ConnectionSlot) {
        if !self.may_be_offered(slot) {
            crate::invariant!(false, "only a session that is at rest is frozen");
            return;
        }
        self.end_waiting(slot);
        self.lists.unlink(&mut self.sessions, slot);
        if let Some(connection) = self.connection(slot) {
            connection.going = Going::Offered { is_withdrawn: false, ends: None };
        }
    }

    /// Whether it is frozen.
    #[must_use]
    pub fn is_offered(&self, slot: ConnectionSlot) -> bool {
        self.sessions.get(slot).is_some_and(Connection::is_offered)
    }

    /// Something is said of the session here, which the other master would not know: if it is
    /// frozen it stays for now.
    pub fn withdraw(&mut self, slot: ConnectionSlot) {
        if let Some(connection) = self.connection(slot)
            && let Going::Offered { is_withdrawn, .. } = &mut connection.going
        {
            *is_withdrawn = true;
        }
    }

    /// Whether it is frozen, and is still as the other master was told.
    #[must_use]
    pub fn may_go(&self, slot: ConnectionSlot) -> bool {
        let going = self.sessions.get(slot).map(|connection| connection.going);
        matches!(going, Some(Going::Offered { is_withdrawn: false, .. }))
    }

    /// Whether another master could not have it.
    #[must_use]
    pub fn stays(&self, slot: ConnectionSlot) -> bool {
        self.sessions.get(slot).is_some_and(|connection| connection.going == Going::Stays)
    }

    /// The session stays to its end, or until it is to go again (`for_now`). What should have ended
    /// it meanwhile does.
    pub fn keep(&mut self, slot: ConnectionSlot, for_now: bool) {
        let Some(connection) = self.connection(slot) else { return };
        if for_now && connection.going == Going::No {
            return;
        }
        let stays = if for_now { Going::No } else { Going::Stays };
        let before = std::mem::replace(&mut connection.going, stays);
        if let Going::Offered { ends: Some(reason), .. } = before {
            self.close(slot, reason);
        } else {
            self.check_end(slot);
        }
        self.enqueue(slot);
    }

    /// The server drains: what the driver holds of the session is served here.
    pub(super) fn settles_no_more(&mut self, slot: ConnectionSlot) {
        if let Some(connection) = self.connection(slot)
            && connection.going == Going::Settles
        {
            connection.going = Going::No;
            self.enqueue(slot);
        }
    }

    /// A frozen session is another master's: nothing is left of it here, and no worker is told that
    /// it has ended, for it has not.
    pub fn handed_over(&mut self, slot: ConnectionSlot) {
        if !self.may_go(slot) {
            crate::invariant!(false, "only a frozen session goes of which nothing was said");
            return;
        }
        self.books.session_handed_over();
        self.free_session(slot);
    }

    /// A session comes from another master: workers were told of its beginning there. `None`: all
    /// places are taken.
    pub fn take_over(&mut self, port: PortId, session: u64) -> Option<ConnectionSlot> {
        let slot = self.sessions.insert(session, port)?;
        self.books.session_taken_over();
        if let Some(connection) = self.connection(slot) {
            connection.owes_connect = false;
            connection.was_served = true;
            connection.readable = true;
        }
        self.enqueue(slot);
        Some(slot)
    }

    /// Workers know already that the unsent output of this session is above its high mark.
    pub fn was_told_full(&mut self, slot: ConnectionSlot) {
        if let Some(connection) = self.connection(slot)
            && connection.buffer.set_full(true)
        {
            connection.buffer.told();
        }
    }
}

fn is_at_rest(connection: &Connection) -> bool {
    connection.going == Going::Settles
        && connection.phase == Phase::Open
        && connection.outstanding == 0
        && connection.input_ended.is_none()
        && !connection.has_returned()
        && !connection.owes_connect
        && !connection.is_over_rate
        // Whoever has paused it resumes it, and that is a worker of this master.
        && !connection.is_paused
        && connection.buffer_event().is_none()
}
