//! What the link to a process is watched for.

use std::io;
use std::os::fd::AsFd;

use crate::sys::epoll::{Epoll, Interest};

/// Nothing before it begins, and nothing behind its end: a link that is closed is ready all the
/// time.
#[derive(Debug, Default)]
pub(super) struct Watched(Option<Interest>);

impl Watched {
    /// Something that is said there is seen from now on.
    pub(super) fn begin(link: impl AsFd, token: u64, epoll: &Epoll) -> io::Result<Self> {
        epoll.add(link, token, Interest::READ)?;
        Ok(Self(Some(Interest::READ)))
    }

    /// Watches for room while something waits for that, and no longer: it is there all the time.
    pub(super) fn follow(&mut self, wanted: Interest, link: impl AsFd, token: u64, epoll: &Epoll) {
        let is_new = self.0.is_some_and(|watched_for| watched_for != wanted);
        if is_new && epoll.modify(link, token, wanted).is_ok() {
            self.0 = Some(wanted);
        }
    }

    /// Nothing is heard or told any more: the end of a process is told by its pidfd.
    pub(super) fn end(&mut self, link: impl AsFd, epoll: &Epoll) {
        if self.0.take().is_some() {
            let _ = epoll.remove(link);
        }
    }
}
