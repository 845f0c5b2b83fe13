//! What the options say of groups of sessions.

use ostler_core::groups::GroupLimits;

use super::Options;

impl Options {
    /// How many groups a reactor knows.
    pub(crate) const fn group_limits(&self) -> GroupLimits {
        GroupLimits {
            groups_max: self.groups_max as usize,
            session_groups_max: self.session_groups_max as usize,
        }
    }

    /// The longest message to a group: every port sends it.
    pub(crate) fn group_message_max(&self) -> usize {
        self.ports().iter().map(|port| port.options.max_send_bytes).min().unwrap_or(0)
    }
}
