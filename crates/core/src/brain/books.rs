//! The books: every session and every package is somewhere, at any time.

use super::close_reason::{CLOSE_REASONS, CloseReason};
use super::datagram_books::DatagramBooks;
use crate::accepting::AcceptCounts;
use crate::file_counts::FileCounts;
use crate::groups::GroupCounts;
use crate::handshakes::HandshakeCounts;
use crate::messages::MessageCounts;
use crate::proxy_protocol::HeaderCounts;
use crate::task_queue::TaskCounts;
use crate::traffic::Traffic;

/// What became of a package that was at a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PackageFate {
    /// Its handler finished.
    Finished,
    /// It came back and waits to be given again.
    Waits,
    /// The crash policy `drop` forgot it.
    DroppedWorkerDied,
    /// Its session had ended.
    DroppedSessionGone,
    /// Its session was closed because of it.
    ClosedBy(CloseReason),
    /// It was never given: its client was told that it is refused.
    Refused,
}

/// Counters of one reactor. They change only by the methods below, each of which keeps the balance;
/// those of several are added up with [`Books::add`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Sessions accepted.
    pub accepted: u64,
    /// Sessions that came from the master before this one.
    pub taken_over: u64,
    /// Sessions that went to the master behind this one.
    pub handed_over: u64,
    /// Sessions open now.
    pub open: u64,
    /// Sessions closed, by reason.
    pub closed: [u64; CLOSE_REASONS],
    /// Packages read from clients (given to a worker for the first time; bytes in the kernel are
    /// not received yet).
    pub received: u64,
    /// Packages whose handler finished.
    pub finished: u64,
    /// Packages at a worker now.
    pub in_hand: u64,
    /// Packages taken back from a worker and waiting now.
    pub recalled: u64,
    /// Packages refused: answered by the server because no worker took them in time.
    pub refused: u64,
    /// Started packages dropped by the crash policy `drop`.
    pub dropped_worker_died: u64,
    /// Packages that waited and were dropped because their session had ended or been closed.
    pub dropped_session_gone: u64,
    /// Packages that ended with their session closed because of them, by reason.
    pub closed_by: [u64; CLOSE_REASONS],
    /// Packages started again after a worker's death (not part of the balance).
    pub redelivered: u64,
    /// Packages taken back before they were started (not part of the balance).
    pub recalls: u64,
    /// Outputs for sessions that had ended (not part of the balance).
    pub output_session_gone: u64,
    /// Shortages of memory that this reactor was the first to notice (not part of the balance).
    pub memory_shortages: u64,
    /// Bytes of such outputs, and of unsent output dropped with its session (not part of the
    /// balance).
    pub output_dropped_bytes: u64,
    /// Bytes that clients had sent and nobody was given, by the reason for which they were thrown
    /// away (not part of the balance, which counts packages).
    pub input_dropped_bytes: [u64; CLOSE_REASONS],
    /// Finished packages of which a part was not used and was given again (not part of the balance:
    /// with what came since it is another package).
    pub continued: u64,
    /// Sessions refused because too many waited for a worker (not part of the balance, which has
    /// them as closed).
    pub refused_queue_full: u64,
    /// Sessions refused because they had waited for a worker for too long (the same).
    pub refused_queue_wait: u64,
    /// How often a session was not read for a while because it had sent more than it may in a time
    /// (not part of the balance).
    pub held_back: u64,
    /// Packages that were refused, with their sessions or alone, because the address of their
    /// client had sent as many as it may (not part of the balance).
    pub refused_package_rate: u64,
    /// The books of datagrams, which have an equation of their own.
    pub datagrams: DatagramBooks,
    /// What became of connections before they were sessions (not part of the balance).
    pub handshakes: HandshakeCounts,
    /// What became of those of which a proxy's header was awaited (not part of the balance).
    pub proxy_headers: HeaderCounts,
    /// Connections that were refused when they were accepted (not part of the balance).
    pub accepting: AcceptCounts,
    /// What became of files that workers sent (not part of the balance).
    pub files: FileCounts,
    /// What became of memberships of groups and of messages to them, which have equations of their
    /// own.
    pub groups: GroupCounts,
    /// What became of tasks (not part of the balance).
    pub tasks: TaskCounts,
    /// What became of messages between processes (not part of the balance).
    pub messages: MessageCounts,
    /// Deliveries that were given to workers: packages, those that were given again, datagrams and
    /// events of sessions (not part of the balance).
    pub given: u64,
    /// What went to and from clients (not part of the balance).
    pub traffic: Traffic,
}

impl Books {
    /// Adds another reactor's books.
    pub fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.taken_over += other.taken_over;
        self.handed_over += other.handed_over;
        self.open += other.open;
        self.received += other.received;
        self.finished += other.finished;
        self.in_hand += other.in_hand;
        self.recalled += other.recalled;
        self.refused += other.refused;
        self.dropped_worker_died += other.dropped_worker_died;
        self.dropped_session_gone += other.dropped_session_gone;
        self.redelivered += other.redelivered;
        self.recalls += other.recalls;
        self.output_session_gone += other.output_session_gone;
        self.memory_shortages += other.memory_shortages;
        self.output_dropped_bytes += other.output_dropped_bytes;
        self.continued += other.continued;
        self.refused_queue_full += other.refused_queue_full;
        self.refused_queue_wait += other.refused_queue_wait;
        self.held_back += other.held_back;
        self.refused_package_rate += other.refused_package_rate;
        self.datagrams.add(&other.datagrams);
        self.handshakes.add(&other.handshakes);
        self.proxy_headers.add(&other.proxy_headers);
        self.accepting.add(&other.accepting);
        self.files.add(&other.files);
        self.groups.add(&other.groups);
        self.tasks.add(&other.tasks);
        self.messages.add(&other.messages);
        self.given += other.given;
        self.traffic.add(&other.traffic);
        for (to, from) in self.closed.iter_mut().zip(other.closed) {
            *to += from;
        }
        for (to, from) in self.closed_by.iter_mut().zip(other.closed_by) {
            *to += from;
        }
        for (to, from) in self.input_dropped_bytes.iter_mut().zip(other.input_dropped_bytes) {
            *to += from;
        }
    }

    /// A session was accepted.
    pub(super) const fn session_accepted(&mut self) {
        self.accepted += 1;
        self.open += 1;
    }

    /// A session came from another master.
    pub(super) const fn session_taken_over(&mut self) {
        self.taken_over += 1;
        self.open += 1;
    }

    /// A session went to another master.
    pub(super) const fn session_handed_over(&mut self) {
        self.handed_over += 1;
        self.open = self.open.saturating_sub(1);
    }

    /// A session was closed.
    pub(super) fn session_closed(&mut self, reason: CloseReason) {
        self.open = self.open.saturating_sub(1);
        if let Some(count) = self.closed.get_mut(reason as usize) {
            *count += 1;
        }
    }

    /// A delivery was given to a worker.
    pub(super) const fn delivery_given(&mut self) {
        self.given += 1;
    }

    /// A package was read from a client and given to a worker.
    pub(super) const fn package_received(&mut self) {
        self.received += 1;
        self.in_hand += 1;
    }

    /// A package that had come back was given to a worker.
    pub(super) const fn package_given_again(&mut self) {
        self.recalled = self.recalled.saturating_sub(1);
        self.in_hand += 1;
    }

    /// A package at a worker is there no more: it is finished, waits, or ended in another way.
    pub(super) fn package_left_worker(&mut self, fate: PackageFate) {
        self.in_hand = self.in_hand.saturating_sub(1);
        match fate {
            PackageFate::Finished => self.finished += 1,
            PackageFate::Waits => self.recalled += 1,
            PackageFate::DroppedWorkerDied => self.dropped_worker_died += 1,
            PackageFate::DroppedSessionGone => self.dropped_session_gone += 1,
            PackageFate::Refused => self.refused += 1,
            PackageFate::ClosedBy(reason) => {
                if let Some(count) = self.closed_by.get_mut(reason as usize) {
                    *count += 1;
                }
            }
        }
    }

    /// Packages that waited were dropped because their session had ended.
    pub(super) const fn waiting_dropped(&mut self, packages: u64) {
        self.recalled = self.recalled.saturating_sub(packages);
        self.dropped_session_gone += packages;
    }

    /// A package that waited is refused.
    pub(super) const fn waiting_refused(&mut self) {
        self.recalled = self.recalled.saturating_sub(1);
        self.refused += 1;
    }

    /// A delivery was taken back before it was started.
    pub(super) const fn delivery_recalled(&mut self) {
        self.recalls += 1;
    }

    /// A package is started again after a worker's death.
    pub(super) const fn package_redelivered(&mut self) {
        self.redelivered += 1;
    }

    /// An output came for a session that had ended.
    pub(super) const fn output_gone(&mut self, bytes: u64) {
        self.output_session_gone += 1;
        self.output_dropped_bytes += bytes;
    }

    /// Unsent output was dropped with its session.
    pub(super) const fn output_dropped(&mut self, bytes: u64) {
        self.output_dropped_bytes += bytes;
    }

    /// Input was thrown away.
    pub(super) fn input_dropped(&mut self, reason: CloseReason, bytes: u64) {
        if let Some(count) = self.input_dropped_bytes.get_mut(reason as usize) {
            *count += bytes;
        }
    }

    /// A part of a finished package is given again.
    pub(super) const fn package_continued(&mut self) {
        self.continued += 1;
    }

    /// A session was refused because too many wait for a worker.
    pub(super) const fn session_beyond_queue(&mut self) {
        self.refused_queue_full += 1;
    }

    /// A session was refused because it had waited for a worker for too long.
    pub(super) const fn session_waited_too_long(&mut self) {
        self.refused_queue_wait += 1;
    }

    /// A session is not read for a while.
    pub(super) const fn session_held_back(&mut self) {
        self.held_back += 1;
    }

    /// The address of a client has sent as many packages as it may.
    pub(super) const fn package_over_rate(&mut self) {
        self.refused_package_rate += 1;
    }

    /// Bytes of input thrown away for any reason.
    #[must_use]
    pub fn input_dropped_total(&self) -> u64 {
        self.input_dropped_bytes.iter().sum()
    }

    /// This reactor was the first to notice that memory is lacking.
    pub(super) const fn memory_lacked(&mut self) {
        self.memory_shortages += 1;
    }

    /// Sessions closed for any reason.
    #[must_use]
    pub fn closed_total(&self) -> u64 {
        self.closed.iter().sum()
    }

    /// Packages that ended by a close, for any reason.
    #[must_use]
    pub fn closed_by_total(&self) -> u64 {
        self.closed_by.iter().sum()
    }

    /// Packages dropped for any reason.
    #[must_use]
    pub const fn dropped_total(&self) -> u64 {
        self.dropped_worker_died + self.dropped_session_gone
    }
}

#[cfg(test)]
mod tests;
