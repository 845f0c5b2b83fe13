//! Closing in good order: this side says that nothing more comes, and waits until the client has
//! heard it.
//!
//! A socket that is closed while its client still sends is answered by the kernel with a reset,
//! which may reach the client before it has read our last bytes. So the descriptor stays open, its
//! input is thrown away, until the client ends its side too. That is bounded in time and bytes.

use std::collections::{HashMap, VecDeque};
use std::io::ErrorKind;

use ostler_core::Nanos;
use ostler_core::brain::CloseReason;

use super::transport::Transport;
use super::{ClientSide, token};

/// Input thrown away before others have their turn.
const TURN_BYTES: usize = 256 * 1024;
/// Input thrown away of one client: more than any kernel has on its way at usual sizes of buffers.
const CLIENT_BYTES: usize = 16 * 1024 * 1024;
/// While the server ends: a client that has been silent for so long is not sending, and nobody
/// waits for it.
const SILENT_NS: Nanos = 100_000_000;

/// A connection whose client has not heard yet that it is over.
#[derive(Debug)]
struct Lingerer {
    transport: Transport,
    reason: CloseReason,
    discarded: usize,
    /// When something came last, or its lingering began.
    heard_at: Nanos,
    due: Nanos,
}

/// All of them, of one reactor.
#[derive(Debug)]
pub(super) struct Lingerers {
    of: HashMap<u32, Lingerer>,
    /// In the order in which they are due; some have ended before.
    order: VecDeque<(Nanos, u32)>,
    next: u32,
    timeout: Nanos,
}

/// What became of an attempt to throw input away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Discarded {
    /// The client has ended its side too, or failed, or sends without an end.
    Done,
    /// Nothing is there now.
    Dry,
    /// There is more than one turn takes.
    More,
}

impl Lingerer {
    fn discard(&mut self, now: Nanos) -> Discarded {
        let mut scratch = [0; 16 * 1024];
        let before = self.discarded;
        while self.discarded - before < TURN_BYTES {
            match self.transport.recv(&mut scratch) {
                Ok(0) => return Discarded::Done,
                Ok(len) => {
                    self.discarded += len;
                    self.heard_at = now;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Discarded::Dry,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Discarded::Done,
            }
            if self.discarded >= CLIENT_BYTES {
                return Discarded::Done;
            }
        }
        Discarded::More
    }

    fn due(&self, draining: bool) -> Nanos {
        if draining { self.due.min(self.heard_at.saturating_add(SILENT_NS)) } else { self.due }
    }
}

impl Lingerers {
    pub(super) fn new(timeout: Nanos) -> Self {
        Self { of: HashMap::new(), order: VecDeque::new(), next: 0, timeout }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// When the first of them is not waited for any more.
    pub(super) fn next_due(&self, draining: bool) -> Option<Nanos> {
        if draining {
            return self.of.values().map(|lingerer| lingerer.due(true)).min();
        }
        // The first that has ended already costs a wake-up at most.
        self.order.front().map(|(due, _)| *due)
    }

    fn take_due(&mut self, now: Nanos, draining: bool) -> Vec<Lingerer> {
        let mut due = Vec::new();
        while let Some((at, id)) = self.order.front().copied()
            && (at <= now || !self.of.contains_key(&id))
        {
            self.order.pop_front();
            due.extend(self.of.remove(&id));
        }
        if draining {
            let silent = self.of.iter().filter(|(_, lingerer)| lingerer.due(true) <= now);
            let silent: Vec<u32> = silent.map(|(id, _)| *id).collect();
            due.extend(silent.iter().filter_map(|id| self.of.remove(id)));
        }
        due
    }
}

impl ClientSide {
    /// Ends a connection in good order. True when its descriptor is free already.
    pub(super) fn close_in_order(&mut self, transport: Transport, reason: CloseReason) -> bool {
        let (now, timeout) = (self.now, self.lingerers.timeout);
        let due = now.saturating_add(timeout);
        let mut lingerer = Lingerer { transport, reason, discarded: 0, heard_at: now, due };
        let is_over = lingerer.transport.shutdown_write().is_err()
            || lingerer.discard(now) == Discarded::Done
            || timeout == 0;
        let id = self.lingerers.next;
        if is_over || lingerer.transport.watch_input(&self.epoll, token::linger(id)).is_err() {
            self.end_lingerer(lingerer);
            return true;
        }
        self.lingerers.next = id.wrapping_add(1);
        self.lingerers.of.insert(id, lingerer);
        self.lingerers.order.push_back((due, id));
        false
    }

    /// Something came from a client to which this side says no more.
    pub(super) fn lingerer_event(&mut self, id: u32) {
        let now = self.now;
        // It may have ended between the event and here.
        let Some(lingerer) = self.lingerers.of.get_mut(&id) else { return };
        let is_over = match lingerer.discard(now) {
            Discarded::Done => true,
            Discarded::Dry => false,
            // The edge was told: it is armed anew.
            Discarded::More => {
                lingerer.transport.watch_input(&self.epoll, token::linger(id)).is_err()
            }
        };
        if is_over && let Some(lingerer) = self.lingerers.of.remove(&id) {
            self.end_lingerer(lingerer);
            self.reports.count_closed();
        }
    }

    /// Ends the waiting for clients that do not end their side in time.
    pub(super) fn end_due_lingerers(&mut self) {
        for lingerer in self.lingerers.take_due(self.now, self.draining) {
            self.end_lingerer(lingerer);
            self.reports.count_closed();
        }
    }

    /// Nobody is waited for any more.
    pub(super) fn end_all_lingerers(&mut self) {
        for lingerer in std::mem::take(&mut self.lingerers.of).into_values() {
            self.end_lingerer(lingerer);
            self.reports.count_closed();
        }
    }

    fn end_lingerer(&mut self, lingerer: Lingerer) {
        let unread = lingerer.transport.unread();
        self.count_input_dropped(lingerer.reason, lingerer.discarded + unread);
    }
}
