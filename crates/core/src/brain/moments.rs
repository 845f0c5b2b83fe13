//! The moments by which deliveries are known: when each was received, and no two at the same.

use super::{Brain, Content};
use crate::Nanos;

impl Brain {
    /// The time of the present turn, or so much later that it is nobody's yet. A turn is longer
    /// than the few nanoseconds that the deliveries of it are apart.
    pub(super) fn next_moment(&mut self) -> Nanos {
        self.last_received = self.now.max(self.last_received.saturating_add(1));
        self.last_received
    }

    /// When what is to be given was received.
    pub(super) fn received_at(&mut self, content: &Content) -> Nanos {
        match content {
            Content::Returned(returned) => returned.received_at,
            _ => self.next_moment(),
        }
    }
}
