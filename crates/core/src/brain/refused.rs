//! Packages that are refused while their session stays: the driver takes them out of what the
//! client has sent, and answers in the place of a worker.
//!
//! Nothing of the session is at a worker then, so that its earlier answers are on their way.

use super::books::PackageFate;
use super::{Brain, BrainAction};
use crate::ids::{ConnectionSlot, DeliveryKind};

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

    /// Whether what a session has asked still waits, with nothing of it at a worker.
    #[must_use]
    pub fn is_to_be_refused(&self, slot: ConnectionSlot) -> bool {
        self.waits_for_worker(slot)
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
        true
    }

    /// A package that the driver has taken out of what the session has sent is refused. The session
    /// is [readable](Brain::readable) again when the driver says so.
    pub fn refuse_package(&mut self, slot: ConnectionSlot) {
        self.books.package_received();
        self.books.package_left_worker(PackageFate::Refused);
        self.input_dry(slot);
    }
}
