//! Packages that are refused while their session stays: the driver takes them out of what the
//! client has sent, and answers in the place of a worker.
//!
//! Nothing of the session is at a worker then, so that its earlier answers are on their way.

use super::books::PackageFate;
use super::{Assignment, Brain, BrainAction, CloseReason, Phase};
use crate::ids::{ConnectionSlot, DeliveryKind, Subject};

impl Brain {
    /// Whether a session that is refused stays.
    pub(super) fn answers_refused(&self, slot: ConnectionSlot) -> bool {
        let port = self.sessions.get(slot).map(|connection| connection.port);
        port.is_some_and(|port| self.settings.ports.get(port).answers_refused)
    }

    /// The next package of a session is refused. It waits no more until the driver has looked.
    pub(super) fn answer_refused(&mut self, slot: ConnectionSlot) {
        self.end_waiting(slot);
        self.actions.push_back(BrainAction::AnswerRefused { connection: slot });
    }

    /// Whether what a session has asked still waits, with nothing of it at a worker: to be looked
    /// at once for each [`BrainAction::AnswerRefused`].
    #[must_use]
    pub fn take_refusal(&mut self, slot: ConnectionSlot) -> bool {
        let Some(connection) = self.connection(slot).filter(|one| one.outstanding == 0) else {
            return false;
        };
        connection.is_over_rate = false;
        let waits = self.waits_for_worker(slot);
        if !waits {
            self.enqueue(slot);
        }
        waits
    }

    /// The package that a session was to be given is refused: its address has sent as many as it
    /// may. That is done when nothing of the session is at a worker, and until then nothing more of
    /// it is given.
    pub fn over_rate(&mut self, assignment: Assignment) {
        let Subject::Session(slot) = assignment.subject else {
            return crate::invariant!(false, "a datagram that is too many is dropped at once");
        };
        if let Some(connection) = self.connection(slot) {
            connection.is_over_rate = connection.phase == Phase::Open;
        }
        self.not_given(assignment);
        self.look_whether_it_waits(slot);
        self.refuse_over_rate(slot);
    }

    /// Nothing of the session may be at a worker any more: if a package of it is to be refused,
    /// that is done now. What came back comes before that package.
    pub(super) fn refuse_over_rate(&mut self, slot: ConnectionSlot) {
        let answers = self.answers_refused(slot);
        let Some(connection) = self.connection(slot) else { return };
        if !connection.is_over_rate || connection.outstanding > 0 {
            return;
        }
        if connection.phase != Phase::Open || connection.has_returned() {
            connection.is_over_rate = false;
        } else if answers {
            self.books.package_over_rate();
            self.actions.push_back(BrainAction::AnswerRefused { connection: slot });
        } else {
            connection.is_over_rate = false;
            self.books.package_over_rate();
            self.turn_away(slot, CloseReason::Overloaded);
        }
    }

    /// Refuses the first package of the session that came back from a worker, if there is one: it
    /// comes before what the driver holds.
    pub fn refuse_returned(&mut self, slot: ConnectionSlot) -> bool {
        let mut is_first = true;
        let refused = self.sessions.drop_returned(slot, |returned| {
            returned.kind == DeliveryKind::Package && std::mem::take(&mut is_first)
        });
        if refused.is_empty() {
            return false;
        }
        self.books.waiting_refused();
        // It may have begun to wait again since the refusal was decided.
        self.look_whether_it_waits(slot);
        true
    }

    /// A package that the driver has taken out of what the session has sent is refused. The session
    /// is [readable](Brain::readable) again when the driver says so.
    pub fn refuse_package(&mut self, slot: ConnectionSlot) {
        self.books.package_received();
        self.books.package_left_worker(PackageFate::Refused);
        self.input_dry(slot);
    }

    /// The driver has done what a refusal asks for: if the server drains, this may have been all
    /// that the session had to wait for.
    pub fn refusal_answered(&mut self, slot: ConnectionSlot) {
        self.check_end(slot);
    }
}
