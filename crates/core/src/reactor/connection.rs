//! A session's state in its reactor: one state machine, closed exactly once (seed rows S48, S52).

use super::lane::LaneSlot;
use super::ledger::DeliveryKind;
use super::reason::CloseReason;
use std::collections::VecDeque;

/// A session's place in its reactor: index of its connection and of its entry in the session table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionSlot(pub u32);

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The socket is open, packages flow.
    Open,
    /// The session ends once its queued output is written; it is not read any more.
    Flushing(CloseReason),
    /// The socket is closed; the close event is owed or at a worker.
    Ended,
}

/// A delivery that came back from a lane.
#[derive(Debug)]
pub struct Returned {
    /// What it is.
    pub kind: DeliveryKind,
    /// The package.
    pub body: Vec<u8>,
    /// How often it was started by workers that died.
    pub attempt: u8,
    /// How many workers died with it waiting at them, unstarted.
    pub deaths_while_waiting: u8,
}

/// On which list of runnable sessions a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunListId {
    /// On none.
    No,
    /// On the global one.
    Global,
    /// On a lane's.
    Lane(LaneSlot),
    /// On a slot's, waiting for a worker to serve there.
    Slot(u16),
}

/// One session.
#[derive(Debug)]
pub struct Connection {
    pub(super) session: u64,
    pub(super) phase: Phase,
    /// Deliveries at the lane `bound`.
    pub(super) outstanding: u32,
    pub(super) bound: Option<LaneSlot>,
    pub(super) queued: RunListId,
    /// Its neighbours on that list.
    pub(super) previous: Option<ConnectionSlot>,
    pub(super) next: Option<ConnectionSlot>,
    /// The kernel (or the framing tail) may have input.
    pub(super) readable: bool,
    /// Nothing more is read, and why the session ends when what was read is served.
    pub(super) input_ended: Option<CloseReason>,
    /// Too much unsent output: not read until it is written.
    pub(super) output_high: bool,
    /// Bytes wait to be written.
    pub(super) output_pending: bool,
    /// The connect event is still to be given.
    pub(super) owes_connect: bool,
    /// The close event is still to be given.
    pub(super) owes_closed: bool,
    /// Why it ended.
    pub(super) ended_by: Option<CloseReason>,
    /// The close event is finished, or nobody is to be told: it may go when nothing of it is at a lane.
    pub(super) is_closed: bool,
    /// Deliveries that came back, oldest first; before everything else in the session's order.
    pub(super) returned: VecDeque<Returned>,
}

impl Connection {
    pub(super) const fn new(session: u64) -> Self {
        Self {
            session,
            phase: Phase::Open,
            outstanding: 0,
            bound: None,
            queued: RunListId::No,
            previous: None,
            next: None,
            ended_by: None,
            is_closed: false,
            readable: false,
            input_ended: None,
            output_high: false,
            output_pending: false,
            owes_connect: true,
            owes_closed: false,
            returned: VecDeque::new(),
        }
    }

    /// Whether the session could be given something now, if its window allows.
    pub(super) fn has_work(&self, reading: bool) -> bool {
        self.has_returned()
            || self.owes_connect
            || self.owes_closed
            || (self.may_read(reading) && self.readable)
    }

    pub(super) fn may_read(&self, reading: bool) -> bool {
        reading && self.phase == Phase::Open && self.input_ended.is_none() && !self.output_high
    }

    pub(super) fn has_returned(&self) -> bool {
        !self.returned.is_empty()
    }

    /// Everything the client sent was served and answered, and it will send no more.
    pub(super) fn is_finished(&self, reading: bool) -> bool {
        self.phase == Phase::Open
            && (self.input_ended.is_some() || !reading)
            && self.outstanding == 0
            && !self.has_returned()
            && !self.owes_connect
    }
}
