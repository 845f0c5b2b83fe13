//! Sessions go to a new master (the driver of `ostler_core::succession::hand_over`).
//!
//! A session that is at rest is frozen and offered with its socket; until the new master answers,
//! nobody reads or writes it. What a worker says of it meanwhile is done here, and withdraws it.
//! One that is busy is not read for a while, so that it comes to rest; it is read again when that
//! takes long, for what its worker waits for may have to come from its client.

use std::collections::{HashSet, VecDeque};
use std::os::fd::OwnedFd;

use ostler_core::Nanos;
use ostler_core::brain::ConnectionSlot;
use ostler_core::succession::hand_over::{
    Answer, Answered, HandedPeer, HandedSession, HandedTraffic, Offers, RECORDS_BYTES_MAX,
    SESSIONS_PER_OFFER_MAX, encode,
};
use ostler_shm::sessions::{FULL, PROTECTED, Peer, user_of};

use super::mailbox::{FromReactor, Offer};
use super::timers::Timed;
use super::{ClientSide, token};
use crate::sys::sealed_file;

/// The time from one look at all sessions to the next, while some have gone, and when none does.
const LOOK_MIN_NS: Nanos = 5_000_000;
const LOOK_MAX_NS: Nanos = 200_000_000;
/// So long busy sessions are not read, in each [`SETTLE_EVERY_NS`].
const SETTLE_NS: Nanos = 1_000_000_000;
const SETTLE_EVERY_NS: Nanos = 5_000_000_000;
/// So long nobody is offered after an offer of which the new master could have nobody yet.
pub(super) const LATER_NS: Nanos = 1_000_000_000;
/// Sessions that are looked at in one turn: the others of the server wait meanwhile.
const LOOKS_MAX: usize = 1_024;
/// The most that one session may hold to go.
const SESSION_BYTES_MAX: usize = RECORDS_BYTES_MAX / 2;
/// The part of `memory_budget` that the sessions of one offer may hold, one in so many.
const OFFER_PART: u64 = 16;

/// What a reactor knows of sessions that go.
#[derive(Debug)]
pub(super) struct HandOver {
    offers: Offers<Offered>,
    /// What the new master has said, until all is done that workers said before.
    answers: Vec<(u32, Answer)>,
    /// Nobody is offered before: the new master could have none of an offer.
    rests_until: Nanos,
    begun_at: Nanos,
    /// It is time to look at all sessions.
    is_due: bool,
    is_armed: bool,
    /// From this look to the next.
    pause_ns: Nanos,
    /// Those of this look at all sessions that are not looked at yet.
    ahead: VecDeque<ConnectionSlot>,
    /// Those that are not read, so that they come to rest. Some may have left.
    settling: HashSet<ConnectionSlot>,
}

/// A session that is frozen.
#[derive(Clone, Copy, Debug)]
struct Offered {
    slot: ConnectionSlot,
    session: u64,
    /// What was charged for the copy that goes to the new master, until that has answered.
    weight: u64,
}

/// Sessions that are about to be offered.
#[derive(Debug, Default)]
struct Batch {
    records: Vec<HandedSession>,
    sockets: Vec<OwnedFd>,
    offered: Vec<Offered>,
    weight: usize,
}

impl Batch {
    /// One session always has room.
    fn has_room_for(&self, handed: &HandedSession, most: usize, budget: u64) -> bool {
        let part = usize::try_from(budget / OFFER_PART).unwrap_or(usize::MAX);
        let bytes_max = part.min(RECORDS_BYTES_MAX - SESSIONS_PER_OFFER_MAX);
        self.records.is_empty()
            || self.records.len() < most && self.weight + handed.weight() <= bytes_max
    }
}

impl ClientSide {
    /// A new master is there that takes sessions.
    pub(super) fn begin_hand_over(&mut self) {
        self.hand_over = Some(Box::new(HandOver {
            offers: Offers::default(),
            answers: Vec::new(),
            rests_until: 0,
            begun_at: self.now,
            is_due: true,
            is_armed: false,
            pause_ns: LOOK_MIN_NS,
            ahead: VecDeque::new(),
            settling: HashSet::new(),
        }));
    }

    /// It is time to look at all sessions.
    pub(super) fn hand_over_due(&mut self) {
        if let Some(hand_over) = &mut self.hand_over {
            hand_over.is_armed = false;
            hand_over.is_due = true;
        }
    }

    /// Whether an answer of the new master waits until all is done that workers said before.
    pub(super) fn has_answers(&self) -> bool {
        self.hand_over.as_deref().is_some_and(|it| !it.answers.is_empty())
    }

    /// Lets sessions go, takes others back, offers those that are at rest. True when there is more
    /// to do at once. Nobody goes while a message is on its way to groups: its members are told
    /// before they go; nor while workers are not heard.
    pub(super) fn hand_sessions_over(&mut self) -> bool {
        if self.hand_over.is_none() {
            return false;
        }
        // Nobody is frozen longer, whatever else has to wait.
        let has_thawed = self.take_late_back();
        if self.groups.has_more() || self.holds_outputs_back() {
            self.look_again();
            return has_thawed;
        }
        has_thawed | self.settle_answers() | self.offer_sessions()
    }

    fn offer_sessions(&mut self) -> bool {
        let Some(hand_over) = self.hand_over.as_deref_mut() else { return false };
        if !hand_over.is_due || self.draining || self.closes_all {
            return false;
        }
        if !hand_over.offers.may_offer() || self.now < hand_over.rests_until {
            // The answer may be late, or never come: nobody is to wait for it unread.
            self.read_all_again();
            self.look_again();
            return false;
        }
        hand_over.is_due = false;
        let settles = self.now.saturating_sub(hand_over.begun_at) % SETTLE_EVERY_NS < SETTLE_NS;
        let mut ahead = std::mem::take(&mut hand_over.ahead);
        if ahead.is_empty() {
            let plain = self.connections.iter().filter(|(_, one)| one.transport.is_plain());
            ahead.extend(plain.map(|(slot, _)| slot));
        }
        let mut batch = Batch::default();
        for _ in 0..LOOKS_MAX {
            let Some(slot) = ahead.pop_front() else { break };
            if !self.prepare(slot, settles, &mut batch) {
                ahead.push_front(slot);
                break;
            }
        }
        let (has_more, nobody_rests) = (!ahead.is_empty(), batch.records.is_empty());
        let gave = self.send_batch(batch);
        let Some(hand_over) = self.hand_over.as_deref_mut() else { return false };
        hand_over.ahead = ahead;
        let again = if gave { LOOK_MIN_NS } else { hand_over.pause_ns.saturating_mul(2) };
        hand_over.pause_ns = again.min(LOOK_MAX_NS);
        hand_over.is_due = has_more && (gave || nobody_rests);
        let may_go_on = hand_over.is_due && hand_over.offers.may_offer();
        self.look_again();
        may_go_on
    }

    fn look_again(&mut self) {
        let Some(hand_over) = self.hand_over.as_deref_mut() else { return };
        if !hand_over.is_armed && !hand_over.offers.is_over() {
            hand_over.is_armed = true;
            self.timers.arm(Timed::HandOver, self.now + hand_over.pause_ns);
        }
    }

    /// Freezes a session and puts it into the batch, if it is at rest. False: the batch is full.
    fn prepare(&mut self, slot: ConnectionSlot, settles: bool, batch: &mut Batch) -> bool {
        if self.brain.is_offered(slot) || self.brain.stays(slot) {
            return true;
        }
        self.brain.let_settle(slot);
        let is_at_rest = self.brain.may_be_offered(slot);
        let handed = is_at_rest.then(|| self.as_handed(slot)).flatten();
        if let Some(hand_over) = self.hand_over.as_deref_mut() {
            if settles && handed.is_none() {
                hand_over.settling.insert(slot);
            } else {
                hand_over.settling.remove(&slot);
            }
        }
        let Some(handed) = handed else {
            if !settles {
                self.brain.keep(slot, true);
            }
            return true;
        };
        if handed.weight() > SESSION_BYTES_MAX {
            self.brain.keep(slot, false);
            return true;
        }
        if !batch.has_room_for(&handed, self.settings.offer_sessions, self.memory.limit()) {
            // It is read until its turn comes.
            self.brain.keep(slot, true);
            return false;
        }
        let Some(connection) = self.connections.get_mut(slot) else { return true };
        let weight = handed.weight() as u64;
        let socket = connection.transport.share().and_then(Result::ok);
        let Some(socket) = socket.filter(|_| self.memory.charge(weight)) else {
            // There is no descriptor or no memory for now.
            self.brain.keep(slot, true);
            return true;
        };
        let session = connection.session;
        connection.transport.freeze(&self.epoll);
        self.brain.offer(slot);
        batch.weight += handed.weight();
        batch.offered.push(Offered { slot, session, weight });
        batch.records.push(handed);
        batch.sockets.push(socket);
        true
    }

    /// A session as it is told to another master. `None`: a file or a message that is not complete
    /// is being sent to it.
    fn as_handed(&mut self, slot: ConnectionSlot) -> Option<HandedSession> {
        let connection = self.connections.get_mut(slot)?;
        let unsent = connection.output.copy()?;
        let entry = self.board.entry(connection.session)?;
        let record = self.board.session(connection.session)?;
        let state = self.board.state(connection.session)?.bytes;
        let traffic = entry.traffic(connection.session)?;
        let received = connection.intake.as_deref().map(|it| it.front(it.len()).to_vec());
        let received = received.unwrap_or_default();
        let port = self.settings.ports.get(connection.port);
        let flags = connection.flags;
        Some(HandedSession {
            session: connection.session,
            port: port.name.to_string(),
            peer: match record.peer {
                Peer::Ip(address) => HandedPeer::Ip(address),
                Peer::Unix(unix) => HandedPeer::Unix([unix.pid, unix.uid, unix.gid]),
                _ => return None,
            },
            connected_at_ns: record.connected_at_ns,
            traffic: HandedTraffic {
                received_at_ns: traffic.received_at_ns,
                given_at_ns: traffic.given_at_ns,
                sent_at_ns: traffic.sent_at_ns,
                received_bytes: traffic.received_bytes,
                sent_bytes: traffic.sent_bytes,
            },
            is_protected: flags & PROTECTED != 0,
            is_full: flags & FULL != 0,
            is_unnamed: self.brain.is_unnamed(slot),
            user: user_of(flags),
            state,
            groups: self.groups.names_of(slot),
            framing: if received.is_empty() { String::new() } else { port.framing.to_string() },
            received,
            unsent,
        })
    }

    /// False when there is nothing to offer, or no memory for telling it.
    fn send_batch(&mut self, batch: Batch) -> bool {
        let Batch { records, sockets, offered, .. } = batch;
        if records.is_empty() {
            return false;
        }
        let bytes = encode(&records);
        drop(records);
        match sealed_file::create("ostler-sessions", &bytes) {
            Ok(records) => {
                let Some(hand_over) = self.hand_over.as_deref_mut() else { return false };
                let (reactor, number) = (self.index, hand_over.offers.offer(offered, self.now));
                let offer = Offer { reactor, number, records, sockets };
                self.reports.queue.push(FromReactor::Offer(Box::new(offer)));
                true
            }
            Err(error) => {
                tracing::warn!(%error, "sessions cannot be handed over for now");
                drop(sockets);
                offered.into_iter().for_each(|offered| self.thaw(offered, true));
                false
            }
        }
    }

    /// The new master has said which sessions it can have. What workers said before is done first.
    pub(super) fn offer_answered(&mut self, offer: u32, answer: Answer) {
        if let Some(hand_over) = self.hand_over.as_deref_mut() {
            hand_over.answers.push((offer, answer));
        }
    }

    fn settle_answers(&mut self) -> bool {
        let Some(hand_over) = self.hand_over.as_deref_mut() else { return false };
        let answers = std::mem::take(&mut hand_over.answers);
        let has_settled = !answers.is_empty();
        for (offer, answer) in answers {
            self.settle_answer(offer, answer);
        }
        has_settled
    }

    fn settle_answer(&mut self, offer: u32, answer: Answer) {
        let Some(hand_over) = self.hand_over.as_deref_mut() else { return };
        hand_over.is_due = true;
        let may_go = |offered: &Offered| self.brain.may_go(offered.slot);
        let Some(answered) = hand_over.offers.answered(offer, answer, may_go) else { return };
        let Answered { gone, given, back, later, stay } = answered;
        if gone.is_empty() && !later.is_empty() {
            hand_over.rests_until = self.now.saturating_add(LATER_NS);
            hand_over.pause_ns = LOOK_MAX_NS;
            tracing::debug!(sessions = later.len(), "the new master cannot have these for now");
        }
        if !stay.is_empty() {
            let sessions = stay.len();
            tracing::info!(sessions, "the new master cannot have these, they stay to their end");
        }
        gone.into_iter().for_each(|offered| self.let_go(offered));
        self.reports.queue.push(FromReactor::Given { reactor: self.index, offer, given });
        back.into_iter().chain(later).for_each(|offered| self.thaw(offered, true));
        stay.into_iter().for_each(|offered| self.thaw(offered, false));
    }

    /// Those of whom the new master says nothing are served here.
    fn take_late_back(&mut self) -> bool {
        let Some(hand_over) = self.hand_over.as_deref_mut() else { return false };
        let late = hand_over.offers.overdue(self.now);
        if late.is_empty() {
            return false;
        }
        tracing::warn!(sessions = late.len(), "the new master does not answer, they stay for now");
        late.into_iter().for_each(|offered| self.thaw(offered, true));
        true
    }

    /// The new master is gone: everybody who is here stays.
    pub(super) fn nobody_takes(&mut self) {
        let Some(hand_over) = self.hand_over.as_deref_mut() else { return };
        let back = hand_over.offers.end();
        back.into_iter().for_each(|offered| self.thaw(offered, true));
        // Also those that this one could not have: the next one may.
        self.places().into_iter().for_each(|slot| self.brain.keep(slot, true));
    }

    /// Nobody is kept from being read any more, but those who are offered.
    fn read_all_again(&mut self) {
        let Some(hand_over) = self.hand_over.as_deref_mut() else { return };
        for slot in std::mem::take(&mut hand_over.settling) {
            if !self.brain.is_offered(slot) && !self.brain.stays(slot) {
                self.brain.keep(slot, true);
            }
        }
    }

    fn places(&self) -> Vec<ConnectionSlot> {
        self.connections.iter().map(|(slot, _)| slot).collect()
    }

    /// This master ends: who is offered ends with it.
    pub(super) fn take_offers_back(&mut self) {
        let Some(hand_over) = self.hand_over.as_deref_mut() else { return };
        let back = hand_over.offers.end();
        back.into_iter().for_each(|offered| self.thaw(offered, true));
    }

    /// A session stays after all.
    fn thaw(&mut self, offered: Offered, for_now: bool) {
        let Offered { slot, session, weight } = offered;
        self.memory.release(weight);
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let watched = connection.transport.watch(&self.epoll, token::connection(slot, session));
        connection.transport.expect_output();
        self.brain.keep(slot, for_now);
        if watched.is_err() {
            return self.peer_lost(slot);
        }
        self.flush(slot);
        self.publish_output(slot);
        self.brain.readable(slot);
        self.look_at_deadlines_again(slot);
    }

    /// A session is the new master's. Its socket is closed here, and open there.
    fn let_go(&mut self, offered: Offered) {
        let Offered { slot, session, weight } = offered;
        self.memory.release(weight);
        self.wake_streamers(slot);
        let Some(connection) = self.connections.take(slot) else { return };
        self.end_memberships(slot, session);
        let output = connection.output_charged();
        self.output_left(output);
        self.memory.release((connection.charged() - output) as u64);
        tracing::debug!(session, "session handed over");
        if let Some(timing) = connection.timing {
            timing.end(&mut self.timers);
        }
        if let Some(metering) = connection.metering {
            metering.end(&mut self.timers);
        }
        self.brain.handed_over(slot);
        drop(connection.transport);
        self.reports.count_closed();
    }
}
