//! The brain itself: what it keeps, what it is asked, what it tells its driver to do.

use super::books::Books;
use super::connection::{Connection, ConnectionSlot, Returned};
use super::lane::{Lane, LaneSlot, LaneState};
use super::ledger::Entry;
use super::lists::List;
use super::reason::CloseReason;
use crate::Nanos;
use crate::ids::WorkerKey;
use crate::policy::{CrashPolicy, Dispatch};
use slab::Slab;
use std::collections::VecDeque;

/// Settings of one reactor's brain.
#[derive(Clone, Debug)]
pub struct BrainSettings {
    /// Which worker gets the next package.
    pub dispatch: Dispatch,
    /// What becomes of started packages of dead workers.
    pub crash_policy: CrashPolicy,
    /// The most deliveries of one session at a worker.
    pub session_window: u32,
    /// Estimated work that may wait at a worker, nanoseconds.
    pub prefetch_ns: Nanos,
    /// The most deliveries that may be at one worker.
    pub prefetch_packages: u32,
    /// After this time without a serving worker a slot's hashed sessions go to other slots, nanoseconds.
    pub slot_down_ns: Nanos,
    /// How many workers may die with a delivery waiting at them, unstarted, before its session is closed: a package that
    /// kills without being announced must not go round for ever.
    pub deaths_while_waiting_max: u8,
    /// Places for sessions, a power of two.
    pub sessions_max: u32,
    /// Worker slots.
    pub workers: u16,
}

/// What the driver is to give to a lane.
#[derive(Debug)]
pub struct Assignment {
    /// Whose.
    pub connection: ConnectionSlot,
    /// The session.
    pub session: u64,
    /// Where to.
    pub lane: LaneSlot,
    /// The number that the record carries.
    pub seq: u64,
    /// What.
    pub content: Content,
}

/// The kinds of [`Assignment`].
#[derive(Debug)]
pub enum Content {
    /// The connect event.
    Connect,
    /// The next package, to be read from the session.
    Read,
    /// A delivery that came back from another lane.
    Returned(Returned),
    /// The close event.
    Closed,
}

/// What the driver is to do besides giving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrainAction {
    /// Close the socket (`reset`: without writing what is queued) and free its buffers. Told once per session.
    CloseSocket {
        /// Whose.
        connection: ConnectionSlot,
        /// Why.
        reason: CloseReason,
    },
    /// The session's close event is finished: free its entry of the session table.
    FreeSession(ConnectionSlot),
    /// A leaving worker has finished all that this reactor gave it.
    LaneDrained(LaneSlot),
}

/// Copies the body of a delivery out of the package ring of a lane.
pub type BodyCopier<'a> = &'a mut dyn FnMut(&Entry) -> Vec<u8>;

/// The brain of one reactor.
#[derive(Debug)]
pub struct Brain {
    pub(super) settings: BrainSettings,
    pub(super) connections: Vec<Option<Box<Connection>>>,
    pub(super) lanes: Slab<Lane>,
    /// Lane serving in each worker slot.
    pub(super) serving: Vec<Option<LaneSlot>>,
    /// When a slot lost its serving lane; unknown for one that never had any until [`Brain::rehash`] looks.
    pub(super) down_since: Vec<Option<Nanos>>,
    /// Sessions hashed to a slot without a serving lane.
    pub(super) slot_waiting: Vec<List>,
    /// What one delivery cost at a slot's last worker.
    pub(super) slot_estimate: Vec<Option<Nanos>>,
    pub(super) global: List,
    pub(super) actions: VecDeque<BrainAction>,
    pub(super) books: Books,
    /// Sessions are read (false while the server drains).
    pub(super) reading: bool,
    /// No fresh input is taken for now: what workers hold already is more than there is memory for.
    pub(super) paused: bool,
    /// Worker slot whose turn it is to get a free session.
    pub(super) slot_cursor: usize,
    /// Lane whose turn it is to get a bound session.
    pub(super) lane_cursor: usize,
    pub(super) global_turn: bool,
    pub(super) counter: u64,
    pub(super) returned_bytes: u64,
    /// Places taken.
    pub(super) present: usize,
}

impl Brain {
    /// A brain without sessions and lanes. `first_counter` is the first session counter: random per start, so that the
    /// ids of a previous master are not accepted (review S20).
    #[must_use]
    pub fn new(settings: BrainSettings, first_counter: u64) -> Self {
        let slots = usize::from(settings.workers);
        let connections = (0..settings.sessions_max).map(|_| None).collect();
        Self {
            connections,
            lanes: Slab::new(),
            serving: vec![None; slots],
            down_since: vec![None; slots],
            slot_waiting: vec![List::default(); slots],
            slot_estimate: vec![None; slots],
            global: List::default(),
            actions: VecDeque::new(),
            books: Books::default(),
            reading: true,
            paused: false,
            slot_cursor: 0,
            lane_cursor: 0,
            global_turn: false,
            counter: first_counter,
            returned_bytes: 0,
            present: 0,
            settings,
        }
    }

    /// The books.
    #[must_use]
    pub const fn books(&self) -> &Books {
        &self.books
    }

    /// Bytes of deliveries that came back and wait in their sessions to be given again.
    #[must_use]
    pub const fn returned_bytes(&self) -> u64 {
        self.returned_bytes
    }

    /// Bytes of packages on the heap: of deliveries that came back, of those in several parts, and of those kept because
    /// they may have to be delivered again. What the memory budget is charged for them.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.returned_bytes
            + self.lanes.iter().map(|(_, lane)| lane.ledger.body_bytes()).sum::<u64>()
    }

    /// The body of a delivery that does not lie in the ring as one record.
    #[must_use]
    pub fn body(&self, lane: LaneSlot, seq: u64) -> Option<&[u8]> {
        self.lanes.get(lane.0 as usize)?.ledger.get(seq)?.body.as_deref()
    }

    /// The next thing to do besides giving. A session's place is free from when [`BrainAction::FreeSession`] was answered.
    pub fn next_action(&mut self) -> Option<BrainAction> {
        let action = self.actions.pop_front()?;
        if let BrainAction::FreeSession(slot) = action
            && let Some(place) = self.connections.get_mut(slot.0 as usize)
        {
            *place = None;
            self.present = self.present.saturating_sub(1);
        }
        Some(action)
    }

    pub(super) fn connection(&mut self, slot: ConnectionSlot) -> Option<&mut Connection> {
        self.connections.get_mut(slot.0 as usize)?.as_deref_mut()
    }

    pub(super) fn lane_mut(&mut self, lane: LaneSlot) -> Option<&mut Lane> {
        self.lanes.get_mut(lane.0 as usize)
    }

    /// The state of a lane.
    #[must_use]
    pub fn lane_state(&self, lane: LaneSlot) -> Option<LaneState> {
        self.lanes.get(lane.0 as usize).map(|lane| lane.state)
    }

    /// The worker at the other end of a lane.
    #[must_use]
    pub fn lane_key(&self, lane: LaneSlot) -> Option<WorkerKey> {
        self.lanes.get(lane.0 as usize).map(|lane| lane.key)
    }
}
