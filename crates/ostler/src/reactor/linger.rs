//! Closing in good order: this side says that nothing more comes, and waits until the client has
//! heard it.
//!
//! A socket that is closed while its client still sends is answered by the kernel with a reset,
//! which may reach the client before it has read our last bytes. So the descriptor stays open, its
//! input is thrown away, until the client ends its side too. That is bounded in time and bytes.

use std::collections::HashMap;
use std::io::ErrorKind;

use ostler_core::brain::CloseReason;
use ostler_core::ids::PortId;
use ostler_core::timer_wheel::TimerId;
use ostler_core::{Nanos, invariant};

use super::timers::Timed;
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
    /// Armed as long as it is waited for. A client that is heard does not move it: when it is due,
    /// it is armed again if there is time left.
    timer: Option<TimerId>,
}

/// All of them, of one reactor.
#[derive(Debug, Default)]
pub(super) struct Lingerers {
    of: HashMap<u32, Lingerer>,
    next: u32,
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
    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }
}

impl ClientSide {
    /// Ends a connection in good order. True when its descriptor is free already.
    pub(super) fn close_in_order(
        &mut self,
        transport: Transport,
        port: PortId,
        reason: CloseReason,
    ) -> bool {
        let (now, timeout) = (self.now, self.settings.ports.get(port).linger_ns);
        let due = now.saturating_add(timeout);
        let mut lingerer =
            Lingerer { transport, reason, discarded: 0, heard_at: now, due, timer: None };
        let is_over = lingerer.transport.shutdown_write().is_err()
            || lingerer.discard(now) == Discarded::Done
            || timeout == 0;
        let id = self.lingerers.next;
        if is_over || lingerer.transport.watch_input(&self.epoll, token::linger(id)).is_err() {
            self.end_lingerer(lingerer);
            return true;
        }
        self.lingerers.next = id.wrapping_add(1);
        lingerer.timer = Some(self.timers.arm(Timed::Lingerer(id), lingerer.due(self.draining)));
        self.lingerers.of.insert(id, lingerer);
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

    /// The timer of a lingerer was due: ends the waiting for a client that does not end its side.
    pub(super) fn lingerer_due(&mut self, id: u32) {
        let Some(lingerer) = self.lingerers.of.get_mut(&id) else {
            return invariant!(false, "a lingerer that has ended has no timer");
        };
        lingerer.timer = None;
        let due = lingerer.due(self.draining);
        if due > self.now {
            lingerer.timer = Some(self.timers.arm(Timed::Lingerer(id), due));
        } else if let Some(lingerer) = self.lingerers.of.remove(&id) {
            self.end_lingerer(lingerer);
            self.reports.count_closed();
        }
    }

    /// The server drains: who is silent is waited for no longer.
    pub(super) fn hurry_lingerers(&mut self) {
        for lingerer in self.lingerers.of.values() {
            if let Some(timer) = lingerer.timer {
                self.timers.bring_forward(timer, lingerer.due(true));
            }
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
        if let Some(timer) = lingerer.timer {
            self.timers.disarm(timer);
        }
        let unread = lingerer.transport.unread();
        self.count_input_dropped(lingerer.reason, lingerer.discarded + unread);
    }
}
