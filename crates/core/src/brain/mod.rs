//! The reactor's brain: which session's package goes to which worker, what becomes of it, when a
//! session ends.
//!
//! Responsible for: the ledger of every lane, the order of every session, credits, recall, settling
//! the dead, the books. Must never: do I/O, read a clock, wait, or believe a worker (its driver
//! checks what a worker wrote; this module checks what that means).
//!
//! The driver pulls: it tells what happened ([`Brain::readable`], [`Brain::finish`],
//! [`Brain::worker_died`], …), asks [`Brain::next_give`] until there is nothing to give, and
//! carries out [`Brain::next_action`].

mod bodies;
mod books;
mod close_reason;
mod datagram_books;
mod deferred;
mod delivery;
mod dispatch;
mod hand_over;
mod lack;
mod lanes;
mod lasting_books;
mod ledger;
mod moments;
mod outage;
mod peers;
mod queue;
mod recall;
mod refused;
mod rest;
mod run_lists;
mod session_life;
mod sessions;
mod settle;
mod subjects;
#[cfg(test)]
mod tests;

pub use crate::ids::{ConnectionSlot, DeliveryKind, LaneSlot, PeerSlot, PortId, Subject};
pub use books::Books;
pub use close_reason::{CLOSE_REASONS, CloseReason};
pub use datagram_books::{DATAGRAM_DROPS, DatagramBooks, DatagramDrop, NOT_SENT, NotSent};
pub use lanes::LaneState;
pub use ledger::{Entry, Ledger};
pub use peers::Offer;
pub use rest::Rest;
pub use sessions::{Phase, Returned};

use std::collections::VecDeque;

use crate::Nanos;
use crate::ids::ProcessKey;
use crate::per_port::PerPort;
use crate::policy::{CrashPolicy, Dispatch};
use crate::send_queue::BufferEvent;
use dispatch::{Pick, Turns};
use lanes::{Credit, Lane, Lanes};
use peers::Peers;
use queue::Queue;
use run_lists::{RunListId, RunLists};
use sessions::{Connection, Sessions};

/// Settings of one reactor's brain.
#[derive(Clone, Debug)]
pub struct BrainSettings {
    /// How the sessions of each port are served.
    pub ports: PerPort<PortSettings>,
    /// Estimated work that may wait at a worker, nanoseconds.
    pub prefetch_ns: Nanos,
    /// The most deliveries that may be at one worker.
    pub prefetch_packages: u32,
    /// After this time without a serving worker a slot's hashed sessions go to other slots,
    /// nanoseconds.
    pub slot_down_ns: Nanos,
    /// How many workers may die with a delivery waiting at them, unstarted, before its session is
    /// closed: a package that kills without being announced must not go round for ever.
    pub deaths_while_waiting_max: u8,
    /// The most sessions.
    pub sessions_max: u32,
    /// Worker slots at the beginning; see [`Brain::reduce_workers`].
    pub workers: u16,
    /// When somebody has waited so long for a worker, workers are lacking, nanoseconds; 0 = that is
    /// never asked. See [`Brain::lacks_workers`].
    pub lack_after_ns: Nanos,
}

/// How the sessions of one port are served.
#[derive(Clone, Debug)]
pub struct PortSettings {
    /// Which worker gets the next package.
    pub dispatch: Dispatch,
    /// What becomes of started packages of dead workers.
    pub crash_policy: CrashPolicy,
    /// The most deliveries of one session at a worker.
    pub session_window: u32,
    /// A worker may leave a part of a package unused; it is kept and given again. One package of a
    /// session at a time.
    pub keeps_unused: bool,
    /// Workers are told of a session when it connects. (They are always told of its end, so that
    /// they forget what they know of it.)
    pub connect_events: bool,
    /// How long a session may wait for a worker before it is refused, nanoseconds; 0 = as long as
    /// it takes.
    pub queue_wait_max_ns: Nanos,
    /// How many sessions may wait for a worker; 0 = all.
    pub queue_max: u32,
    /// Who is refused stays, and what it has asked is answered by the driver: see
    /// [`BrainAction::AnswerRefused`].
    pub answers_refused: bool,
    /// What a client had sent is not served any more once its connection has failed.
    pub discards_gone: bool,
    /// How long a package may stay deferred, nanoseconds; 0 = as long as it takes.
    pub deferred_max_ns: Nanos,
}

impl PortSettings {
    /// Whether a package that was started may have to be given again.
    const fn gives_again(&self) -> bool {
        self.keeps_unused || matches!(self.crash_policy, CrashPolicy::Redeliver(_))
    }

    /// Whether it matters who waits, and for how long.
    const fn limits_queue(&self) -> bool {
        self.queue_wait_max_ns > 0 || self.queue_max > 0
    }

    /// Whether several workers may have packages of one session. Not when they leave a part of one
    /// unused, with which the next one begins.
    const fn spreads(&self) -> bool {
        matches!(self.dispatch, Dispatch::Pull) && !self.keeps_unused
    }

    /// Whether nothing else of a session is at a worker while its connect or close event is:
    /// because there is no order between workers, or because the first decides who gets the rest.
    const fn gives_events_alone(&self) -> bool {
        self.spreads() || matches!(self.dispatch, Dispatch::UserFunction)
    }
}

/// What the driver is to give to a lane.
#[derive(Debug)]
pub struct Assignment {
    /// What it is about.
    pub subject: Subject,
    /// The number by which records name the subject: the id of a session, 0 for a peer.
    pub subject_number: u64,
    /// The port on which it came.
    pub port: PortId,
    /// Where to.
    pub lane: LaneSlot,
    /// The number of the delivery on its lane, which its record carries.
    pub seq: u64,
    /// When it was received, or happened: the time of that turn, or so much later that no two
    /// deliveries of a reactor have the same. It stays when the delivery is given again.
    pub received_at: Nanos,
    /// What.
    pub content: Content,
}

/// What a worker has not used of a package: to be put back to the front of the session's input.
#[derive(Debug, PartialEq, Eq)]
pub struct Unused {
    /// Whose.
    pub connection: ConnectionSlot,
    /// The port on which that came.
    pub port: PortId,
    /// Bytes of the package that were used.
    pub used: u32,
    /// The rest of it.
    pub bytes: Vec<u8>,
}

/// The kinds of [`Assignment`].
#[derive(Debug)]
pub enum Content {
    /// The connect event.
    Connect,
    /// The next package, to be read from where the subject's packages come from.
    Read,
    /// A delivery that came back from another lane, or a datagram that waited.
    Returned(Returned),
    /// Its unsent output is above the high mark, or at the low one again.
    Buffer(BufferEvent),
    /// The close event.
    Closed,
}

/// What the driver is to do besides giving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrainAction {
    /// Take the next package of the session out of what it has sent, and answer that it is refused,
    /// unless [`Brain::take_refusal`] says that its turn has come meanwhile.
    AnswerRefused {
        /// Whose.
        connection: ConnectionSlot,
    },
    /// Close the socket (`reset`: without writing what is queued) and free its buffers. Told once
    /// per session.
    CloseSocket {
        /// Whose.
        connection: ConnectionSlot,
        /// Why.
        reason: CloseReason,
    },
    /// What the driver still holds of the input of a session without a socket will not be served:
    /// throw it away and count it for this reason.
    DropInput {
        /// Whose.
        connection: ConnectionSlot,
        /// Why.
        reason: CloseReason,
    },
    /// The session's close event is finished: free its entry of the session table.
    FreeSession {
        /// Its place, which is free already.
        connection: ConnectionSlot,
        /// Its id.
        session: u64,
    },
}

/// Copies the body of a delivery out of the package ring of a lane.
pub type BodyCopier<'a> = &'a mut dyn FnMut(&Entry) -> Vec<u8>;

/// The brain of one reactor.
#[derive(Debug)]
pub struct Brain {
    settings: BrainSettings,
    sessions: Sessions,
    peers: Peers,
    lanes: Lanes,
    lists: RunLists,
    /// Sessions are at home in this many worker slots, the first ones.
    homes: u16,
    /// Who waits, by the numbers of the ports; nothing where nobody wants to know that.
    queues: Vec<Queue>,
    /// Whether workers are lacking is not asked before.
    lack_looked_at: Nanos,
    /// In this turn nothing more could be given.
    has_given_all: bool,
    turns: Turns,
    books: Books,
    actions: VecDeque<BrainAction>,
    /// Sessions are read (false while the server drains).
    reading: bool,
    /// No fresh input is taken for now: what workers hold already is more than there is memory for.
    paused: bool,
    /// No worker has served for too long: who asks for something is closed.
    refusing: bool,
    /// When deferred deliveries are looked at, if there are some that have deadlines.
    deferred_due: Option<Nanos>,
    /// The time of the present turn.
    now: Nanos,
    /// The moment by which the delivery is known that was received last.
    last_received: Nanos,
}

impl Brain {
    /// A brain without sessions and lanes.
    #[must_use]
    pub fn new(settings: BrainSettings) -> Self {
        Self {
            sessions: Sessions::new(settings.sessions_max),
            peers: Peers::default(),
            lanes: Lanes::new(settings.workers),
            lists: RunLists::new(settings.workers),
            homes: settings.workers,
            queues: Queue::of_ports(&settings),
            lack_looked_at: 0,
            has_given_all: false,
            turns: Turns::default(),
            books: Books::default(),
            actions: VecDeque::new(),
            reading: true,
            paused: false,
            refusing: false,
            deferred_due: None,
            now: 0,
            last_received: 0,
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
        self.sessions.returned_bytes()
    }

    /// The next thing to do besides giving. A session's place is free from when
    /// [`BrainAction::FreeSession`] was answered.
    pub fn next_action(&mut self) -> Option<BrainAction> {
        let action = self.actions.pop_front()?;
        if let BrainAction::FreeSession { connection, .. } = action {
            self.sessions.remove(connection);
        }
        Some(action)
    }

    fn connection(&mut self, slot: ConnectionSlot) -> Option<&mut Connection> {
        self.sessions.get_mut(slot)
    }

    fn lane_mut(&mut self, lane: LaneSlot) -> Option<&mut Lane> {
        self.lanes.get_mut(lane)
    }

    /// How much may wait at a worker: nothing, while somebody waits for one that has nothing to do.
    fn credit(&self) -> Credit {
        let nobody_pulls =
            self.lists.is_empty(RunListId::Free(Pick::Pull)) && !self.peers.any_pulls();
        Credit {
            prefetch_ns: self.settings.prefetch_ns,
            prefetch_packages: if nobody_pulls { self.settings.prefetch_packages } else { 1 },
        }
    }

    /// The state of a lane.
    #[must_use]
    pub fn lane_state(&self, lane: LaneSlot) -> Option<LaneState> {
        self.lanes.get(lane).map(Lane::state)
    }

    /// The worker at the other end of a lane.
    #[must_use]
    pub fn lane_key(&self, lane: LaneSlot) -> Option<ProcessKey> {
        self.lanes.get(lane).map(|lane| lane.key)
    }
}
