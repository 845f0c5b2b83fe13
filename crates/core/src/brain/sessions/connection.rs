//! A session's state in its reactor: one state machine, closed exactly once (S48, S52).

use super::super::close_reason::CloseReason;
use super::super::queue::Waiting;
use super::super::run_lists::{History, Link};
use crate::Nanos;
use crate::body::Body;
use crate::ids::{DeliveryKind, LaneSlot, PortId};
use crate::send_queue::{BufferEvent, BufferEvents};
use std::collections::VecDeque;

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The socket is open, packages flow.
    Open,
    /// The session ends once its queued output is written; it is not read any more.
    Flushing(CloseReason),
    /// The client's connection failed and the socket is closed: nothing can be written. What the
    /// client had sent before is still served, from memory; the close event follows behind it.
    PeerGone,
    /// The socket is closed and nothing is served any more; the close event is owed or at a worker.
    Ended,
}

impl Phase {
    /// Whether packages of the session are given to workers, those that came back too.
    #[must_use]
    pub const fn is_served(self) -> bool {
        matches!(self, Self::Open | Self::PeerGone)
    }

    /// Whether the session still has its socket.
    #[must_use]
    pub const fn has_socket(self) -> bool {
        matches!(self, Self::Open | Self::Flushing(_))
    }
}

/// A delivery that came back from a lane.
#[derive(Debug)]
pub struct Returned {
    /// What it is.
    pub kind: DeliveryKind,
    /// The package.
    pub body: Body,
    /// How often it was started by workers that died.
    pub attempt: u8,
    /// How many workers died with it waiting at them, unstarted.
    pub deaths_while_waiting: u8,
    /// When it was received: [`Assignment::received_at`](crate::brain::Assignment).
    pub received_at: Nanos,
}

/// By what a session is at home in a worker slot, where that is not its id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::brain) enum Home {
    /// By nothing else.
    #[default]
    Unknown,
    /// By the number of its client's address.
    Address(u64),
    /// By the number to which a worker has bound it.
    User(u32),
    /// It was given to the worker in this slot.
    Slot(u16),
}

/// How far a session is on its way to another master.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::brain) enum Going {
    /// It goes nowhere.
    #[default]
    No,
    /// It is not read any more, so that it comes to rest.
    Settles,
    /// It is frozen: nobody touches it.
    Offered {
        /// Something was said of it here meanwhile, so that it stays for now.
        is_withdrawn: bool,
        /// Why it is to be closed then, if it is.
        ends: Option<CloseReason>,
    },
    /// The other master cannot have it.
    Stays,
}

/// One session.
#[derive(Debug)]
pub(in crate::brain) struct Connection {
    pub(in crate::brain) session: u64,
    /// The listening port on which it came: its settings are those of the session.
    pub(in crate::brain) port: PortId,
    pub(in crate::brain) phase: Phase,
    /// Deliveries at the lane `bound`, or at any lanes where sessions are not bound.
    pub(in crate::brain) outstanding: u32,
    pub(in crate::brain) bound: Option<LaneSlot>,
    /// By what its worker slot is chosen.
    pub(in crate::brain) home: Home,
    /// Its address is that of a proxy which did not say whose it is.
    pub(in crate::brain) is_unnamed: bool,
    /// What was given last is an event. Where events are given alone: it is at a lane.
    pub(in crate::brain) has_event_out: bool,
    /// Its place on a list of runnable sessions.
    pub(in crate::brain) link: Link,
    /// A package of it was finished.
    pub(in crate::brain) was_served: bool,
    /// The kernel (or what the driver holds of the session) may have input.
    pub(in crate::brain) readable: bool,
    /// The driver holds input of which a worker may take another message, whether or not the kernel
    /// has more.
    pub(in crate::brain) has_rest: bool,
    /// Nothing more is read, and why the session ends when what was read is served.
    pub(in crate::brain) input_ended: Option<CloseReason>,
    /// A worker has said that it is not to be read.
    pub(in crate::brain) is_paused: bool,
    /// It has sent more than its port allows in a time: not read until that is over.
    pub(in crate::brain) is_held_back: bool,
    /// Its next package is refused as soon as nothing of it is at a worker: its address has sent
    /// more than it may.
    pub(in crate::brain) is_over_rate: bool,
    /// Whether another master is to have it.
    pub(in crate::brain) going: Going,
    /// Too much unsent output: not read until it is written.
    pub(in crate::brain) output_high: bool,
    /// Bytes wait to be written.
    pub(in crate::brain) output_pending: bool,
    /// Since when it waits for a worker, where that has limits.
    pub(in crate::brain) waiting: Option<Waiting>,
    /// What is still to be told of its unsent output.
    pub(in crate::brain) buffer: BufferEvents,
    /// When the last of its deliveries left its worker.
    pub(in crate::brain) rested_at: Nanos,
    /// The connect event is still to be given.
    pub(in crate::brain) owes_connect: bool,
    /// The close event is still to be given.
    pub(in crate::brain) owes_closed: bool,
    /// Why it ended.
    pub(in crate::brain) ended_by: Option<CloseReason>,
    /// The close event is finished, or nobody is to be told: it may go when nothing of it is at a
    /// lane.
    pub(in crate::brain) is_closed: bool,
    /// Deliveries that came back, oldest first; before everything else in the session's order.
    returned: VecDeque<Returned>,
}

impl Connection {
    pub(super) fn new(session: u64, port: PortId) -> Self {
        Self {
            session,
            port,
            phase: Phase::Open,
            outstanding: 0,
            bound: None,
            home: Home::Unknown,
            is_unnamed: false,
            has_event_out: false,
            link: Link::default(),
            was_served: false,
            ended_by: None,
            is_closed: false,
            readable: false,
            has_rest: false,
            input_ended: None,
            is_paused: false,
            is_held_back: false,
            is_over_rate: false,
            going: Going::No,
            output_high: false,
            output_pending: false,
            waiting: None,
            buffer: BufferEvents::default(),
            rested_at: 0,
            owes_connect: true,
            owes_closed: false,
            returned: VecDeque::new(),
        }
    }

    /// What the session would be given next.
    pub(in crate::brain) fn next_kind(&self, reading: bool) -> Option<DeliveryKind> {
        if self.is_offered() {
            return None;
        }
        if let Some(returned) = self.returned.front() {
            return Some(returned.kind);
        }
        if self.owes_connect {
            return Some(DeliveryKind::Connect);
        }
        if let Some(event) = self.buffer_event() {
            return Some(DeliveryKind::Buffer(event));
        }
        if self.has_input(reading) {
            return Some(DeliveryKind::Package);
        }
        self.owes_closed.then_some(DeliveryKind::Closed)
    }

    /// Whether a worker has to be found for it: an event that tells of its own output can wait.
    pub(in crate::brain) fn asks(&self, reading: bool) -> bool {
        self.has_returned() || self.owes_connect || self.owes_closed || self.has_input(reading)
    }

    /// Whether its client has asked for something that no worker was given: an event that tells of
    /// the session itself is nothing that a client asks for.
    pub(in crate::brain) fn wants(&self, reading: bool) -> bool {
        self.has_returned_package() || self.has_input(reading)
    }

    /// Whether a package of it is at a worker. Its connect event, or another, is alone there.
    pub(in crate::brain) fn has_package_out(&self) -> bool {
        self.outstanding > u32::from(self.has_event_out)
    }

    /// Whether there is input to be given: fresh, or the rest of what was received before the
    /// server drains or pauses.
    pub(in crate::brain) fn has_input(&self, reading: bool) -> bool {
        (self.may_read(reading) && self.readable) || (self.may_read(true) && self.has_rest)
    }

    /// What is to be told next of the unsent output: nothing when nobody can send any more.
    pub(in crate::brain) fn buffer_event(&self) -> Option<BufferEvent> {
        if self.phase == Phase::Open { self.buffer.next() } else { None }
    }

    /// Which half of a list it stands on. (One that is on a list already stays where it is until
    /// its turn.)
    pub(in crate::brain) const fn history(&self) -> History {
        if self.was_served { History::Served } else { History::New }
    }

    pub(in crate::brain) fn may_read(&self, reading: bool) -> bool {
        let may = match self.phase {
            Phase::Open => {
                let is_held = self.is_paused || self.is_held_back || self.is_over_rate;
                reading && !self.output_high && !is_held && !self.is_going()
            }
            // It takes no memory, it gives some back.
            Phase::PeerGone => true,
            Phase::Flushing(_) | Phase::Ended => false,
        };
        may && self.input_ended.is_none()
    }

    /// Whether it is on its way to another master: then it is not read here.
    pub(in crate::brain) const fn is_going(&self) -> bool {
        matches!(self.going, Going::Settles | Going::Offered { .. })
    }

    /// Whether it is frozen.
    pub(in crate::brain) const fn is_offered(&self) -> bool {
        matches!(self.going, Going::Offered { .. })
    }

    #[cfg(test)]
    /// Deliveries that came back, oldest first. Changed only through [`super::Sessions`], which
    /// counts their bytes.
    pub(in crate::brain) fn returned(&self) -> impl Iterator<Item = &Returned> {
        self.returned.iter()
    }

    pub(in crate::brain) fn returned_bytes(&self) -> u64 {
        self.returned.iter().map(|returned| returned.body.len() as u64).sum()
    }

    pub(super) fn push_returned(&mut self, returned: Returned) {
        self.returned.push_front(returned);
    }

    pub(super) fn pop_returned(&mut self) -> Option<Returned> {
        self.returned.pop_front()
    }

    pub(super) fn drop_returned(
        &mut self,
        mut goes: impl FnMut(&Returned) -> bool,
    ) -> Vec<Returned> {
        let all = std::mem::take(&mut self.returned);
        let (dropped, kept): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|delivery| goes(delivery));
        self.returned = kept.into();
        dropped
    }

    /// Whether a package is among what came back.
    pub(in crate::brain) fn has_returned_package(&self) -> bool {
        self.returned.iter().any(|returned| returned.kind == DeliveryKind::Package)
    }

    pub(in crate::brain) fn has_returned(&self) -> bool {
        !self.returned.is_empty()
    }

    /// Everything the client sent was served and answered, and it will send no more.
    pub(in crate::brain) fn is_finished(&self, reading: bool) -> bool {
        self.phase == Phase::Open
            && (self.input_ended.is_some() || !reading)
            && self.outstanding == 0
            && !self.has_returned()
            && !self.owes_connect
            && !self.has_rest
    }
}
