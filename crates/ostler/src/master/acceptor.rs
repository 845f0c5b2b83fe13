//! Accepting: takes connections, counts them, hands them to reactors in turn.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ostler_core::Millis;

use crate::options::Options;
use crate::reactor::mailbox::{Mailbox, Reports, ToReactor};
use crate::sys::socket;

/// Connections taken before other events are looked at.
const BATCH: usize = 64;
/// How long accepting rests when it failed for a reason that time may cure.
const PAUSE_MS: Millis = 1_000;

/// How often it is said that accepting pauses.
const SAY_AGAIN_MS: Millis = 60_000;

/// Why the listener is not watched now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Go on watching it.
    Watch,
    /// Watch it again when a connection has been closed, or at this time.
    RestUntil(Millis),
}

/// The listener and its counters.
pub(super) struct Acceptor {
    listener: OwnedFd,
    reports: Reports,
    max_connections: u64,
    nodelay: bool,
    next_reactor: usize,
    /// When it was last said that accepting pauses.
    said_at: Option<Millis>,
}

impl Acceptor {
    pub(super) fn new(listener: OwnedFd, options: &Options, reports: Reports) -> Self {
        Self {
            listener,
            reports,
            max_connections: u64::from(options.max_connections),
            nodelay: options.tcp_nodelay,
            next_reactor: 0,
            said_at: None,
        }
    }

    /// Accepts what waits, up to a batch.
    pub(super) fn accept(&mut self, mailboxes: &[Arc<Mailbox>], now: Millis) -> Verdict {
        for _ in 0..BATCH {
            if self.reports.open.load(Ordering::Relaxed) >= self.max_connections {
                if self.may_say(now) {
                    tracing::warn!(
                        max_connections = self.max_connections,
                        "all places are taken, accepting pauses until sessions end"
                    );
                }
                return self.rest(now);
            }
            match socket::accept(&self.listener) {
                Ok((connection, peer)) => {
                    if self.nodelay {
                        // Of a connection that is gone already; its reactor will find out.
                        let _ = socket::set_nodelay(&connection);
                    }
                    self.reports.open.fetch_add(1, Ordering::Relaxed);
                    if let Some(mailbox) = mailboxes.get(self.next_reactor % mailboxes.len().max(1))
                    {
                        mailbox.push(ToReactor::Accepted(connection, peer));
                    }
                    self.next_reactor = self.next_reactor.wrapping_add(1);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Verdict::Watch,
                Err(error) if socket::is_out_of_descriptors(&error) => {
                    return self.exhausted(&error, now);
                }
                // The connection was gone before it was taken; the next may be better (accept(2)).
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot accept, trying again later");
                    return self.rest(now);
                }
            }
        }
        Verdict::Watch
    }

    /// No descriptors left: accepting rests, who waits is taken when a connection has ended. Said once a minute.
    fn exhausted(&mut self, error: &io::Error, now: Millis) -> Verdict {
        if self.may_say(now) {
            tracing::warn!(
                %error,
                "no descriptors left, accepting pauses; raise the limit (ulimit -n) or lower max_connections"
            );
        }
        self.rest(now)
    }

    /// A server at its limit pauses with every connection that comes; the log need not.
    fn may_say(&mut self, now: Millis) -> bool {
        let may = self.said_at.is_none_or(|before| now >= before + SAY_AGAIN_MS);
        if may {
            self.said_at = Some(now);
        }
        may
    }

    fn rest(&self, now: Millis) -> Verdict {
        self.reports.acceptor_waits.store(true, Ordering::Release);
        Verdict::RestUntil(now + PAUSE_MS)
    }

    /// Accepting works again.
    pub(super) fn resumed(&mut self) {
        self.reports.acceptor_waits.store(false, Ordering::Release);
    }
}

impl AsFd for Acceptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Interrupted
            | ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::TimedOut
    )
}
