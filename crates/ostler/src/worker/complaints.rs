//! What a worker complains about to the log because of what clients do: a few lines of a kind, then
//! their number, so that no client fills a disk.

use crate::log::{Quota, Quotas};

/// The kinds.
pub(crate) struct Complaints {
    /// A callback failed.
    pub(super) callback_failed: Quota,
    /// An output that was accepted found no room.
    pub(super) output_lost: Quota,
    /// The same of a datagram.
    pub(super) datagram_lost: Quota,
    /// A package was lost with the thread that was to answer it.
    pub(super) package_lost: Quota,
    /// A part of a package is used where that means nothing.
    pub(super) consume_ignored: Quota,
    /// A message did not reach its receiver, and no callback is told.
    pub(super) undelivered: Quota,
}

impl Default for Complaints {
    fn default() -> Self {
        Self {
            callback_failed: Quota::new("callbacks failed, and the sessions of packages closed"),
            output_lost: Quota::new("deferred outputs found no room, their sessions are closed"),
            datagram_lost: Quota::new("datagrams of deferred deliveries found no room"),
            package_lost: Quota::new("deferred packages were lost in panics"),
            consume_ignored: Quota::new("calls of Package::consume had no effect"),
            undelivered: Quota::new("messages did not arrive"),
        }
    }
}

impl Quotas for Complaints {
    fn all(&self) -> impl Iterator<Item = &Quota> {
        let Self { callback_failed, output_lost, datagram_lost, package_lost, .. } = self;
        let lost = [callback_failed, output_lost, datagram_lost, package_lost].into_iter();
        lost.chain([&self.consume_ignored, &self.undelivered])
    }
}
