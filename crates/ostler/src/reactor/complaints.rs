//! What a reactor complains about to the log because of what clients do: a few lines of a kind,
//! then their number.

use crate::log::{Quota, Quotas};

/// The kinds.
pub(super) struct Complaints {
    /// A connection cannot be watched.
    pub(super) unwatched: Quota,
    /// Input of a client that is gone is more than may be kept.
    pub(super) input_dropped: Quota,
    /// A client did not come to have a session.
    pub(super) handshakes: Quota,
    /// A connection had no header of a proxy.
    pub(super) headers: Quota,
    /// An address has as many connections as one may have.
    pub(super) address_full: Quota,
    /// An address connects more often than it may.
    pub(super) too_often: Quota,
    /// An address sends more than it may.
    pub(super) over_rate: Quota,
    /// Packages of an address have killed too many workers.
    pub(super) address_deaths: Quota,
    /// A session sends more than it may.
    pub(super) held_back: Quota,
    /// A datagram port cannot be read.
    pub(super) unread_port: Quota,
    /// A datagram of a worker cannot be sent.
    pub(super) unsent: Quota,
    /// A file cannot be read to its end.
    pub(super) file_failed: Quota,
    /// There is no place for a file.
    pub(super) file_refused: Quota,
    /// A state cannot be kept.
    pub(super) state_refused: Quota,
    /// A session could not join a group.
    pub(super) not_joined: Quota,
    /// A task was not taken in.
    pub(super) task_refused: Quota,
    /// A message was not.
    pub(super) message_refused: Quota,
}

impl Default for Complaints {
    fn default() -> Self {
        Self {
            unwatched: Quota::new("connections cannot be watched, they are closed"),
            input_dropped: Quota::of_events("clients that are gone left more than may be kept"),
            handshakes: Quota::of_events("handshakes failed"),
            headers: Quota::of_events("connections had no header of a trusted proxy"),
            address_full: Quota::of_events("connections were more than one address may have"),
            too_often: Quota::of_events("connections were more in a second than of one address"),
            over_rate: Quota::of_events("packages were more in a second than of one address"),
            address_deaths: Quota::of_events("connections were of addresses that kill workers"),
            held_back: Quota::of_events("sessions sent more than they may and were held back"),
            unread_port: Quota::new("datagram ports cannot be read"),
            unsent: Quota::new("datagrams were not sent"),
            file_failed: Quota::new("files could not be read to their end"),
            file_refused: Quota::new("files could not be taken in"),
            state_refused: Quota::new("states could not be kept"),
            not_joined: Quota::new("sessions could not join groups"),
            task_refused: Quota::new("tasks were not taken in"),
            message_refused: Quota::new("messages were not taken in"),
        }
    }
}

impl Quotas for Complaints {
    fn all(&self) -> impl Iterator<Item = &Quota> {
        let Self { unwatched, input_dropped, handshakes, headers, .. } = self;
        let Self {
            address_full, held_back, unread_port, unsent, file_failed, file_refused, ..
        } = self;
        let Self { too_often, over_rate, not_joined, task_refused, message_refused, .. } = self;
        let before = [unwatched, input_dropped, handshakes, headers].into_iter();
        let limits = [address_full, too_often, over_rate, held_back];
        let before = before.chain(limits).chain([&self.address_deaths]);
        let refused =
            [file_refused, &self.state_refused, not_joined, task_refused, message_refused];
        before.chain([unread_port, unsent, file_failed]).chain(refused)
    }
}
