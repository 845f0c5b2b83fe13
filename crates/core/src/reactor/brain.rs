//! The brain's state and the way of one delivery: given, finished.

use super::books::Books;
use super::connection::{Connection, ConnectionSlot, Phase, Queued, Returned};
use super::lane::{Lane, LaneSlot, LaneState};
use super::ledger::{DeliveryKind, Entry};
use super::lists::{End, List};
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
    pub bindings_max: u8,
    /// Places for sessions, a power of two.
    pub sessions_max: u32,
    /// Worker slots.
    pub workers: u16,
}

/// What the driver is to give to a lane.
#[derive(Debug)]
pub struct Give {
    /// Whose.
    pub connection: ConnectionSlot,
    /// The session.
    pub session: u64,
    /// Where to.
    pub lane: LaneSlot,
    /// The number that the record carries.
    pub seq: u64,
    /// What.
    pub what: What,
}

/// The kinds of [`Give`].
#[derive(Debug)]
pub enum What {
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
pub enum Action {
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
    pub(super) actions: VecDeque<Action>,
    pub(super) books: Books,
    /// Sessions are read (false while the server drains).
    pub(super) reading: bool,
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

    /// The next thing to do besides giving. A session's place is free from when [`Action::FreeSession`] was answered.
    pub fn next_action(&mut self) -> Option<Action> {
        let action = self.actions.pop_front()?;
        if let Action::FreeSession(slot) = action
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

    // ---- the way of one delivery -------------------------------------------------------------------------------

    /// The driver wrote the record: the delivery is in hand from now on. `more` says that the session may have more
    /// input. `body` is the package where it does not lie in the ring as one record.
    #[allow(clippy::too_many_arguments)] // one call, one record: all of it comes from the ring at once
    pub fn gave(
        &mut self,
        give: Give,
        position: u64,
        len: u32,
        body: Option<Vec<u8>>,
        more: bool,
        now: Nanos,
    ) {
        let (kind, attempt, bindings, fresh) = match &give.what {
            What::Connect => (DeliveryKind::Connect, 0, 0, true),
            What::Read => (DeliveryKind::Package, 0, 0, true),
            What::Closed => (DeliveryKind::Closed, 0, 0, true),
            What::Returned(r) => (r.kind, r.attempt, r.bindings, false),
        };
        if kind == DeliveryKind::Package {
            self.books.in_hand += 1;
            if fresh {
                self.books.received += 1;
            } else {
                self.books.recalled = self.books.recalled.saturating_sub(1);
            }
        }
        let connection_slot = give.connection;
        if let Some(lane) = self.lane_mut(give.lane) {
            lane.count_given(now);
            lane.ledger.push(Entry {
                seq: 0,
                position,
                connection: connection_slot,
                kind,
                len,
                attempt,
                bindings,
                exposed: false,
                done: false,
                given_at: now,
                body,
            });
        }
        if let Some(connection) = self.connection(connection_slot) {
            connection.outstanding += 1;
            connection.bound = Some(give.lane);
            match give.what {
                What::Connect => connection.owes_connect = false,
                What::Closed => connection.owes_closed = false,
                What::Read => connection.readable = more,
                What::Returned(_) => {}
            }
        }
        self.enqueue(connection_slot);
    }

    /// The session had nothing to read after all.
    pub fn input_dry(&mut self, give: &Give) {
        if let Some(connection) = self.connection(give.connection) {
            connection.readable = false;
        }
        self.enqueue(give.connection);
    }

    /// The lane's ring has no room for it: the session keeps its turn, the lane gets nothing more until
    /// [`Brain::has_room`].
    pub fn no_room(&mut self, give: Give) {
        let slot = give.connection;
        if let Some(lane) = self.lane_mut(give.lane) {
            lane.is_full = true;
        }
        if let Some(connection) = self.connection(slot)
            && let What::Returned(returned) = give.what
        {
            let len = returned.body.len() as u64;
            connection.returned.push_front(returned);
            self.returned_bytes += len;
        }
        self.enqueue_at(slot, End::First);
    }

    /// The lane takes nothing more until [`Brain::has_room`]: a package in parts is being written to it.
    pub fn set_full(&mut self, lane: LaneSlot) {
        if let Some(lane) = self.lane_mut(lane) {
            lane.is_full = true;
        }
    }

    /// Position and length of a delivery that is started, unfinished and lies in the package ring as one record: a reply
    /// may refer to it.
    #[must_use]
    pub fn in_ring(&self, lane: LaneSlot, seq: u64, t: u64) -> Option<(u64, u32)> {
        let lane = self.lanes.get(lane.0 as usize)?;
        let entry = lane.ledger.get(seq)?;
        let is_in_hand =
            !entry.done && (lane.reused_below..t).contains(&entry.position) && entry.body.is_none();
        is_in_hand.then_some((entry.position, entry.len))
    }

    /// An output was dropped because its session had ended.
    pub fn count_output_gone(&mut self, bytes: u64) {
        self.books.output_session_gone += 1;
        self.books.output_dropped_bytes += bytes;
    }

    /// Unsent output was dropped with its session.
    pub fn count_output_dropped(&mut self, bytes: u64) {
        self.books.output_dropped_bytes += bytes;
    }

    /// The worker has freed ring space.
    pub fn has_room(&mut self, lane: LaneSlot) {
        if let Some(lane) = self.lane_mut(lane) {
            lane.is_full = false;
        }
    }

    /// Whether the lane waits for ring space.
    #[must_use]
    pub fn is_full(&self, lane: LaneSlot) -> bool {
        self.lanes.get(lane.0 as usize).is_some_and(|lane| lane.is_full)
    }

    /// Whether it matters that the worker frees ring space: the lane waits for some, or for the end of a callback.
    #[must_use]
    pub fn awaits_freed(&self, lane: LaneSlot) -> bool {
        self.lanes.get(lane.0 as usize).is_some_and(|lane| lane.is_full || lane.in_hand > 0)
    }

    /// A worker says that a delivery is finished. `t` bounds what it has started.
    ///
    /// # Errors
    /// What is wrong, when the worker cannot have finished it: the lane is to be condemned.
    pub fn finish(&mut self, lane_slot: LaneSlot, seq: u64, t: u64) -> Result<(), &'static str> {
        let lane = self.lane_mut(lane_slot).ok_or("no such lane")?;
        let entry = lane.ledger.get_mut(seq).ok_or("FIN of an unknown delivery")?;
        if entry.done || entry.position >= t {
            return Err("FIN of a delivery that is done or not started");
        }
        let (connection, kind) = (entry.connection, entry.kind);
        if entry.position >= lane.reused_below {
            lane.count_finished(); // else it was deferred, and counted when its callback was over
        }
        lane.ledger.finish(seq);
        let drained = lane.state == LaneState::Leaving && lane.ledger.is_empty();
        if kind == DeliveryKind::Package {
            self.books.in_hand = self.books.in_hand.saturating_sub(1);
            self.books.finished += 1;
        }
        self.delivery_ended(connection, kind);
        if drained {
            self.actions.push_back(Action::LaneDrained(lane_slot));
        }
        Ok(())
    }

    /// A worker says that outputs of an unfinished delivery become visible.
    ///
    /// # Errors
    /// What is wrong, when that cannot be.
    pub fn expose(&mut self, lane: LaneSlot, seq: u64, t: u64) -> Result<(), &'static str> {
        let lane = self.lane_mut(lane).ok_or("no such lane")?;
        let entry = lane.ledger.get_mut(seq).ok_or("EXPOSE of an unknown delivery")?;
        if entry.done || entry.position >= t {
            return Err("EXPOSE of a delivery that is done or not started");
        }
        entry.exposed = true;
        Ok(())
    }

    /// The last part of a delivery that is sent in several is written: `position` is that part's. It was
    /// [given](Brain::gave) with the position `u64::MAX`, which means that it cannot have been started; the lane gets
    /// nothing else until then.
    pub fn set_position(&mut self, lane: LaneSlot, seq: u64, position: u64) {
        if let Some(entry) = self.lane_mut(lane).and_then(|lane| lane.ledger.get_mut(seq))
            && entry.position == u64::MAX
        {
            entry.position = position;
        }
    }

    /// Position of a lane's oldest delivery that is not started: nothing from there on can have been freed (protocol §6).
    #[must_use]
    pub fn first_unstarted(&self, lane: LaneSlot, t: u64) -> Option<u64> {
        self.lanes.get(lane.0 as usize)?.ledger.first_unstarted(t)
    }

    /// The ring space below `freed` will be used again: packages there that may have to be delivered once more are
    /// copied first, and no reply may refer to any of them any more ([`Brain::in_ring`]). To be told whatever the crash
    /// policy is, when all that the worker had committed is consumed; costs nothing where nothing has to be kept.
    ///
    /// A worker frees a package when its callback is over. One that is not finished then was deferred: it goes on, but the
    /// worker has a free hand, so that it takes no credit any more.
    pub fn keep_bodies(&mut self, lane: LaneSlot, freed: u64, copy: BodyCopier<'_>) {
        let policy = self.settings.crash_policy;
        let Some(lane) = self.lane_mut(lane) else { return };
        for _ in 0..lane.ledger.unfinished_between(lane.reused_below, freed) {
            lane.count_finished();
        }
        lane.reused_below = lane.reused_below.max(freed);
        if let CrashPolicy::Redeliver(most) = policy {
            lane.ledger.keep_bodies(freed, most, copy);
        }
    }

    /// The turn's outputs of a lane are consumed: its estimate of work is brought up to date.
    pub fn estimate(&mut self, lane: LaneSlot, now: Nanos) {
        if let Some(lane) = self.lane_mut(lane) {
            lane.estimate(now);
        }
    }

    /// One delivery of a session is over (finished or settled): unbind it when it was the last.
    pub(super) fn delivery_ended(&mut self, slot: ConnectionSlot, kind: DeliveryKind) {
        if kind == DeliveryKind::Closed
            && let Some(connection) = self.connection(slot)
        {
            connection.is_closed = true;
        }
        self.left_lane(slot, End::Last);
    }

    /// One delivery of a session is at a lane no more.
    pub(super) fn left_lane(&mut self, slot: ConnectionSlot, end: End) {
        let Some(connection) = self.connection(slot) else { return };
        connection.outstanding = connection.outstanding.saturating_sub(1);
        if connection.outstanding == 0 {
            connection.bound = None;
            let (queued, is_closed) = (connection.queued, connection.is_closed);
            if is_closed {
                self.free_session(slot);
                return;
            }
            if queued != Queued::No && queued != self.place_of(slot) {
                // It may go anywhere now.
                self.unlink(slot);
            }
        }
        self.check_end(slot);
        self.enqueue_at(slot, end);
    }

    /// Nothing of the session is left: its place is free when the driver has heard of it.
    pub(super) fn free_session(&mut self, slot: ConnectionSlot) {
        self.unlink(slot);
        self.actions.push_back(Action::FreeSession(slot));
    }

    /// Ends a session that has nothing left to do.
    pub(super) fn check_end(&mut self, slot: ConnectionSlot) {
        let reading = self.reading;
        let Some(connection) = self.connection(slot) else { return };
        let reason = match connection.phase {
            Phase::Open if connection.is_finished(reading) => {
                if connection.peer_done {
                    CloseReason::Peer
                } else {
                    CloseReason::Shutdown
                }
            }
            Phase::Flushing(reason) => reason,
            _ => return,
        };
        if connection.output_pending {
            connection.phase = Phase::Flushing(reason);
        } else {
            self.close_now(slot, reason);
        }
    }
}
