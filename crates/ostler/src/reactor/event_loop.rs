//! One turn of the loop: take events, read what workers published, give, carry out, publish, sleep.

use std::sync::PoisonError;
use std::time::Duration;

use ostler_core::brain::{BrainAction, ConnectionSlot};
use ostler_core::invariant;

use super::destination::lane::Lane;
use super::mailbox::{FromReactor, ToReactor};
use super::sleep::{AT_ONCE, Woken, from_now};
use super::token::{self, Token};
use super::{Charge, ClientSide, Reactor, turns};
use crate::log::Quotas as _;
use crate::sys::clock;
use crate::sys::epoll::{Events, Readiness};

/// Deliveries given in one turn before events are looked at again: a bound on the turn's length.
pub(super) const GIVES_MAX: usize = 256;

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    GoOn,
    Stop,
}

impl Reactor {
    /// The life of the thread.
    pub(crate) fn run(mut self) {
        let mut events = Self::events();
        let mut more = false;
        while self.sleep(&mut events, more, None) == Flow::GoOn {
            if self.begin_turn(&events) == Flow::Stop {
                return;
            }
            more = self.end_turn();
        }
    }

    /// Sleeps until something happens or is due, or until `at_most` has passed; not at all when
    /// there is `more` to do at once.
    pub(crate) fn sleep(
        &mut self,
        events: &mut Events,
        more: bool,
        at_most: Option<Duration>,
    ) -> Flow {
        let until = at_most.map(from_now);
        let mut now = self.clients.now;
        loop {
            let figures_due = self.tell_old_figures(now);
            self.clients.reports.turns.end(self.clients.index);
            let due = if more || !self.may_sleep() {
                Some(AT_ONCE)
            } else {
                [self.due(), until, figures_due].into_iter().flatten().min()
            };
            let waited = self.wait(events, due);
            self.wake();
            match waited {
                // There may be nothing to do but to tell the figures, or not even that.
                Ok(Woken::ByAlarm) => now = clock::monotonic_ns(),
                Ok(Woken::Up) => return Flow::GoOn,
                Err(error) => {
                    self.clients.reports.queue.push(FromReactor::Failed(self.clients.index, error));
                    return Flow::Stop;
                }
            }
        }
    }

    /// Falls asleep, unless there are news. Workers that will have some in a moment, and may wait
    /// for this processor, have it first: then nobody sleeps and is rung for them (decision 83).
    fn may_sleep(&mut self) -> bool {
        if self.clients.settings.shares_processors && self.news_come_soon() && !self.has_news() {
            std::thread::yield_now();
        }
        let has_news = self.fall_asleep();
        if has_news {
            self.wake();
        }
        !has_news
    }

    fn news_come_soon(&self) -> bool {
        self.destinations.slots().any(|lane| self.clients.brain.is_soon_done(lane))
    }

    /// One turn, apart from the sleep before it: true when it ended at one of its bounds, so that
    /// there is something to do at once.
    pub(super) fn turn(&mut self, events: &Events) -> bool {
        self.begin_turn(events) == Flow::GoOn && self.end_turn()
    }

    /// The first half of a turn: takes what happened.
    pub(crate) fn begin_turn(&mut self, events: &Events) -> Flow {
        self.figures.begin_turn();
        self.clients.now = clock::monotonic_ns();
        self.clients.reports.turns.begin(self.clients.index, self.clients.now);
        if self.clients.reports.turns.are_the_masters() {
            turns::last_as_long_as_told();
        }
        self.clients.brain.begin_turn(self.clients.now);
        self.clients.groups.begin_turn();
        self.clients.go_on_with_files();
        self.take_events(events)
    }

    /// The second half of a turn: does what follows. True when it ended at one of its bounds, so
    /// that there is something to do at once.
    pub(crate) fn end_turn(&mut self) -> bool {
        self.consume_all();
        self.run_due();
        self.clients.tend_memory();
        let more = self.give_all();
        self.clients.brain.refuse_beyond();
        self.clients.carry_out();
        // Also those who were answered just now go on.
        let more = more || self.clients.receive_share.has_waiting();
        self.clients.flush_datagrams();
        let more_tasks = self.hand_on_tasks();
        self.hand_on_messages();
        self.gave = self.destinations.publish();
        self.wake_senders();
        if self.clients.has_answers() {
            // What workers have said until now decides who goes.
            self.consume_all();
        }
        let more_to_hand_over = self.clients.hand_sessions_over();
        // After all others: what they have to say is said.
        let more_handshakes = self.clients.go_on_with_handshakes();
        self.report_drained();
        self.report_deserted();
        let more_of_files = self.clients.file_share.has_waiting();
        let more = more || more_handshakes || more_of_files || more_tasks || more_to_hand_over;
        more || self.clients.groups.has_more()
    }

    fn take_events(&mut self, events: &Events) -> Flow {
        let mut dead = Vec::new();
        let mut mail = false;
        for (token, readiness) in events.iter() {
            match token::unpack(token) {
                Token::Mailbox => mail = true,
                Token::Connection(slot, mark) => {
                    self.clients.connection_event(slot, mark, readiness)
                }
                Token::Bell(lane, mark) => self.bell_rang(lane, mark),
                Token::Datagrams(number) => self.clients.datagram_event(number, readiness),
                Token::Pidfd(lane, mark) => dead.push((lane, mark)),
                Token::Linger(number) => self.clients.lingerer_event(number),
                Token::Handshake(number) => self.clients.handshake_event(number, readiness),
                Token::Kept => self.clients.tasks_are_kept(),
                // What is due is done in any turn.
                Token::Alarm => self.alarm.has_rung(),
                Token::Outside(number) => self.outside.push(number),
            }
        }
        // Mail first: a worker that another reactor condemned is settled as condemned here too
        // (decision 16), and one that was late as late (decision 47). What was sent before its
        // death is there now, whether these events tell of it or the next ones.
        let flow = if mail || !dead.is_empty() { self.take_mail() } else { Flow::GoOn };
        for (lane, mark) in dead {
            self.worker_ended(lane, mark);
        }
        flow
    }

    pub(super) fn take_mail(&mut self) -> Flow {
        for message in self.mailbox.take() {
            match message {
                ToReactor::Accepted(accepted) => self.clients.accepted(accepted),
                ToReactor::Datagrams { port, socket, part } => {
                    self.clients.open_datagrams(port, socket, part);
                }
                ToReactor::AddLane { key, lane, worker_bell, lane_bell, file_link } => {
                    self.add_lane(key, Lane::new(key, *lane, worker_bell, lane_bell, file_link));
                }
                ToReactor::Spawned(key, pidfd) => self.spawned(key, pidfd),
                ToReactor::Serve { serve, leave } => {
                    if let Some(leave) = leave {
                        self.leave(leave);
                    }
                    self.serve(serve);
                }
                ToReactor::ReduceWorkers(workers) => {
                    self.clients.brain.reduce_workers(workers);
                    self.clients.reduce_heirs(workers);
                }
                ToReactor::Leave(key) => self.leave(key),
                ToReactor::Release(key) => self.release(key),
                ToReactor::Condemn(key) => self.condemn_key(key),
                ToReactor::Late { key, session } => self.set_late(key, session),
                ToReactor::CloseAddress { port, group } => self.clients.close_address(port, group),
                ToReactor::MemoryLacks => self.clients.memory.trim(),
                ToReactor::BidForMemory => self.clients.bid_for_memory(),
                ToReactor::PayForMemory { floor } => self.clients.pay_for_memory(floor),
                ToReactor::MemoryIsFree => self.clients.memory_is_free(),
                ToReactor::Accept => self.clients.begin_charge(),
                ToReactor::AcceptNoMore { hands_over } => self.clients.end_charge(hands_over),
                ToReactor::Answered { offer, answer } => {
                    self.clients.offer_answered(offer, answer);
                }
                ToReactor::NobodyTakes => self.clients.nobody_takes(),
                ToReactor::TakeOver(taken) => {
                    // It may be the first one again.
                    self.reported_deserted = false;
                    self.clients.take_over(*taken);
                }
                ToReactor::Drain => self.begin_drain(),
                ToReactor::CloseAll { reason, timed_out } => {
                    if timed_out {
                        self.report_holders();
                    }
                    self.clients.take_offers_back();
                    self.clients.closes_all = true;
                    self.clients.brain.close_all(reason);
                    self.clients.carry_out();
                    self.clients.end_all_handshakes();
                    self.clients.end_all_lingerers();
                }
                ToReactor::Call { number, to, form, message } => {
                    self.operator_calls(number, to, form, message);
                }
                ToReactor::ForgetCall(number) => self.operator_forgets(number),
                ToReactor::AreYouThere => {
                    let index = self.clients.index;
                    self.clients.reports.queue.push(FromReactor::GoesOn(index));
                }
                ToReactor::Stop => {
                    self.stop();
                    return Flow::Stop;
                }
            }
        }
        Flow::GoOn
    }

    fn begin_drain(&mut self) {
        // What was sent before the end began is sent, also by who serves nobody.
        self.consume_all();
        self.clients.take_offers_back();
        self.clients.draining = true;
        self.tasks_server_ends();
        self.clients.end_all_handshakes();
        self.clients.hold_whole_messages();
        self.clients.brain.drain();
        self.clients.hurry_lingerers();
    }

    /// Gives until nothing can be given; true when one of the turn's bounds was met first.
    pub(super) fn give_all(&mut self) -> bool {
        for slot in self.clients.receive_share.begin_turn() {
            self.clients.brain.readable(slot);
        }
        self.continue_sendings();
        if self.datagrams_come_first() {
            let more = self.receive_datagrams();
            return self.give_to_sessions() || more;
        }
        let more = self.give_to_sessions();
        self.receive_datagrams() || more
    }

    /// Gives what sessions have, and datagrams that wait.
    fn give_to_sessions(&mut self) -> bool {
        for _ in 0..GIVES_MAX {
            if self.clients.receive_share.is_used_up() {
                return true;
            }
            let Some(assignment) = self.clients.brain.next_give() else {
                return self.clients.receive_share.has_waiting();
            };
            self.give(assignment);
        }
        true
    }

    /// Wakes the workers that have credit for their streams again.
    fn wake_senders(&mut self) {
        for lane in self.clients.senders_to_wake.drain(..) {
            // It may have died since.
            if let Some(destination) = self.destinations.get_mut(lane) {
                destination.wake();
            }
        }
    }

    fn report_drained(&mut self) {
        if self.clients.draining && !self.reported_drained && self.clients.has_nobody() {
            self.reported_drained = true;
            self.clients.reports.queue.push(FromReactor::Drained);
        }
    }

    /// Who is in the midst of a handshake is not here yet, but nobody else will serve it.
    fn report_deserted(&mut self) {
        if self.clients.charge == Charge::Over
            && !self.reported_deserted
            && self.clients.has_nobody()
            && self.clients.counts.open() == 0
            && self.clients.header_counts.open() == 0
        {
            self.reported_deserted = true;
            let index = self.clients.index;
            self.clients.reports.queue.push(FromReactor::Deserted(index));
        }
    }

    /// The end: the books are handed over, the thread's sockets close with it.
    fn stop(&mut self) {
        self.clients.take_offers_back();
        self.clients.brain.close_all(ostler_core::brain::CloseReason::ShutdownTimeout);
        self.clients.carry_out();
        self.clients.end_all_handshakes();
        self.clients.end_all_lingerers();
        self.clients.end_datagrams();
        self.clients.drop_all_messages();
        self.end_tasks();
        self.end_messages();
        self.clients.tell_of_shortages(true);
        self.clients.complaints.tell_rest();
        invariant!(
            self.clients.traffic.unsent_bytes == 0,
            "no output waits when no session is left"
        );
        self.tell_figures(self.clients.now);
        let books = self.books();
        let all = self.clients.reports.books.lock();
        all.unwrap_or_else(PoisonError::into_inner).add(&books);
    }
}

impl ClientSide {
    /// This master is in charge from now on.
    fn begin_charge(&mut self) {
        self.charge = Charge::Taken;
        self.let_datagrams_be_read(true);
    }

    /// A new master is in charge.
    fn end_charge(&mut self, hands_over: bool) {
        self.charge = Charge::Over;
        self.let_datagrams_be_read(false);
        if hands_over {
            self.begin_hand_over();
        }
    }

    /// No session is left, and nothing that has to be sent.
    fn has_nobody(&self) -> bool {
        self.brain.is_empty() && self.lingerers.is_empty() && self.datagrams.are_sent()
    }

    fn connection_event(&mut self, slot: ConnectionSlot, mark: u32, readiness: Readiness) {
        // It may have been closed since, in this turn.
        let Some(connection) = self.connections.get_mut(slot) else { return };
        if token::connection_mark(connection.session) != mark {
            return; // of a predecessor that was closed in this turn
        }
        let ready = connection.transport.on_event(readiness);
        if let Some(timing) = connection.timing.as_deref_mut()
            && ready.input
        {
            timing.clock.input_came(self.now);
        }
        if ready.failed {
            return self.peer_lost(slot);
        }
        if ready.output {
            self.flush(slot);
        }
        let has_left = ready.ended && self.has_left_in_silence(slot);
        self.transport_changed(slot);
        if has_left {
            return self.brain.peer_done(slot);
        }
        if ready.input {
            self.brain.readable(slot);
        }
    }

    /// Does what the brain has decided besides giving. Also in the middle of a turn, when the
    /// memory of a session that was closed is needed now.
    pub(super) fn carry_out(&mut self) {
        while let Some(action) = self.brain.next_action() {
            match action {
                BrainAction::AnswerRefused { connection } => self.answer_refused(connection),
                BrainAction::CloseSocket { connection, reason } => {
                    self.close_socket(connection, reason)
                }
                BrainAction::DropInput { connection, reason } => {
                    self.drop_kept_input(connection, reason);
                }
                BrainAction::FreeSession { connection, session } => {
                    self.free_session(connection, session);
                }
            }
        }
    }
}
