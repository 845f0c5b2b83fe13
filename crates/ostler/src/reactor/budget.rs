//! The memory budget in a reactor: what is charged when, and this reactor's part in a shortage.
//!
//! What can wait does: a session whose input finds no room is not read, its bytes stay in the
//! kernel. What was accepted already is charged beyond the limit if it must be, and somebody pays
//! for it: the session that holds the most, of whichever reactor (`ostler_core::budget`, decision
//! 13).

use std::sync::Arc;

use ostler_core::Nanos;
use ostler_core::brain::{CloseReason, ConnectionSlot};
use ostler_core::budget::{Account, Award, End, Ended, Lack, payers};

use super::ClientSide;
use super::file_places::FilePlaces;
use super::mailbox::ToReactor;
use super::shared_memory::SharedMemory;

/// Bytes beyond the limit after which no more outputs of workers are taken before somebody has
/// paid. Workers then wait for room in their lanes, for as long as it takes the reactors to agree.
const EXCESS_MAX_BYTES: u64 = 1024 * 1024;
/// What a session may receive at least when there is no room for a whole read.
const RECEIVE_LEAST_BYTES: usize = 4 * 1024;

/// This reactor's view of the memory that all reactors share.
#[derive(Debug)]
pub(super) struct Memory {
    account: Account,
    shared: Arc<SharedMemory>,
    /// Bytes of bodies held by the brain that the account was charged.
    charged_bodies: u64,
    /// Bytes of the body area that nobody uses and that the account was charged.
    charged_idle: u64,
    /// Bytes of the state area that the account was charged.
    charged_states: u64,
    /// Sessions with input that waits for memory.
    starved: Vec<ConnectionSlot>,
    /// Bytes of output that were charged beyond the limit in this shortage.
    output_excess: u64,
    /// When this reactor calls for bids, if it has noticed the shortage.
    due: Option<Nanos>,
    /// When shortages that ended here and were not logged by themselves are told.
    tell_at: Option<Nanos>,
}

impl Memory {
    pub(super) fn new(shared: Arc<SharedMemory>) -> Self {
        Self {
            account: Account::new(Arc::clone(shared.budget())),
            shared,
            charged_bodies: 0,
            charged_idle: 0,
            charged_states: 0,
            starved: Vec::new(),
            output_excess: 0,
            due: None,
            tell_at: None,
        }
    }

    /// The places for files.
    pub(super) fn files(&self) -> &Arc<FilePlaces> {
        self.shared.files()
    }

    /// When the next step of a shortage is due.
    pub(super) fn due(&self) -> Option<Nanos> {
        [self.due, self.tell_at].into_iter().flatten().min()
    }

    /// Charges bytes of memory that can be done without: false when there is no room.
    #[inline]
    pub(super) fn charge(&mut self, bytes: u64) -> bool {
        self.account.charge(bytes)
    }

    /// Charges bytes that were accepted already, beyond the limit if there is no room.
    pub(super) fn charge_owed(&mut self, bytes: u64) {
        self.account.charge_owed(bytes);
    }

    /// Charged bytes are not held any more.
    #[inline]
    pub(super) fn release(&mut self, bytes: u64) {
        self.account.release(bytes);
    }

    /// Bytes that may be charged by all reactors.
    pub(super) fn limit(&self) -> u64 {
        self.account.budget().limit()
    }

    /// Bytes that are charged.
    pub(super) fn used(&self) -> u64 {
        self.account.used()
    }

    /// Whether little is left of the budget.
    pub(super) fn is_tight(&self) -> bool {
        self.account.budget().is_tight()
    }

    /// Another reactor lacks memory: it gets what is leased here and not used.
    pub(super) fn trim(&mut self) {
        self.account.trim();
    }
}

impl ClientSide {
    /// Charges room for up to `most` received bytes of a framed session, as far as there is some:
    /// how many may be received, and what was charged. Nothing: the session waits until there is
    /// memory.
    pub(super) fn room_to_receive(&mut self, slot: ConnectionSlot, most: usize) -> (usize, usize) {
        for bytes in [most, most.min(RECEIVE_LEAST_BYTES)] {
            let Some(connection) = self.connections.get_mut(slot) else { return (0, 0) };
            let Some(intake) = connection.intake.as_deref() else { return (0, 0) };
            for growth in [intake.growth(bytes), intake.least_growth(bytes)] {
                if self.memory.account.charge(growth as u64) {
                    return (bytes, growth);
                }
            }
        }
        self.starve(slot);
        (0, 0)
    }

    /// A session's input waits for memory.
    fn starve(&mut self, slot: ConnectionSlot) {
        if self.lack("input", false) {
            self.memory.starved.push(slot);
        } else {
            // There is some again.
            self.receive_share.wait_for_turn(slot);
        }
    }

    /// Charges output that was accepted already.
    pub(super) fn charge_output(&mut self, bytes: usize) {
        self.memory.account.charge_owed(bytes as u64);
        if self.memory.account.budget().excess() > 0 {
            self.memory.output_excess += bytes as u64;
            self.lack("output", true);
        }
    }

    /// Charges input that a worker has left. It was accepted already, so that it cannot be refused;
    /// somebody may have to pay for it.
    pub(super) fn charge_put_back(&mut self, growth: usize) {
        self.memory.account.charge_owed(growth as u64);
        if self.memory.account.budget().excess() > 0 {
            self.lack("input", false);
        }
    }

    /// The buffers of a connection's transport may have changed: the account follows.
    #[inline]
    pub(super) fn transport_changed(&mut self, slot: ConnectionSlot) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let held = connection.transport.held();
        let before = std::mem::replace(&mut connection.transport_charged, held);
        let owes = connection.transport.unsent() > 0;
        if held != before {
            self.recharge(before, held);
            if owes {
                self.publish_output(slot);
            }
        }
    }

    /// What was charged for `before` bytes is charged for `held`. They are held already, so that
    /// it cannot be refused; somebody may have to pay for it.
    pub(super) fn recharge(&mut self, before: usize, held: usize) {
        if held > before {
            self.charge_put_back(held - before);
        } else {
            self.memory.release((before - held) as u64);
        }
    }

    /// Whether outputs of workers have to wait until somebody has paid. A reactor that is alone
    /// does so at once.
    pub(super) fn holds_outputs_back(&mut self) -> bool {
        if self.memory.output_excess > EXCESS_MAX_BYTES && self.memory.shared.is_alone() {
            self.charge_bodies();
            self.call_for_bids();
        }
        self.memory.output_excess > EXCESS_MAX_BYTES
    }

    /// As when another reactor has to pay first.
    #[cfg(test)]
    pub(super) fn hold_outputs_back(&mut self, shared: Arc<SharedMemory>) {
        self.memory.shared = shared;
        self.memory.output_excess = EXCESS_MAX_BYTES + 1;
    }

    /// Bodies of deliveries are the brain's; their charge follows. They cannot be refused, for
    /// their packages were accepted already.
    fn charge_bodies(&mut self) {
        self.charge_idle_area();
        self.charge_states();
        self.charge_messages();
        let held = self.brain.held_bytes();
        let charged = std::mem::replace(&mut self.memory.charged_bodies, held);
        if held > charged {
            self.memory.account.charge_owed(held - charged);
            if self.memory.account.budget().excess() > 0 {
                self.lack("packages in hand", false);
            }
        } else {
            self.memory.account.release(charged - held);
        }
    }

    /// What was used of the body area stays memory when it is not used any more.
    pub(super) fn charge_idle_area(&mut self) {
        let idle = self.bodies.as_ref().map_or(0, |area| area.idle_bytes());
        let charged = std::mem::replace(&mut self.memory.charged_idle, idle);
        if idle > charged {
            self.memory.account.charge_owed(idle - charged);
        } else {
            self.memory.account.release(charged - idle);
        }
    }

    /// What was used of the state area stays memory. It cannot be refused: states were accepted
    /// already.
    fn charge_states(&mut self) {
        let touched = self.states.touched_bytes();
        let charged = std::mem::replace(&mut self.memory.charged_states, touched);
        if touched > charged {
            self.memory.account.charge_owed(touched - charged);
            if self.memory.account.budget().excess() > 0 {
                self.lack("states of sessions", false);
            }
        }
    }

    /// Memory is lacking: begins the shortage, unless it is known. False when there is some again.
    fn lack(&mut self, what: &'static str, urgent: bool) -> bool {
        let budget = self.memory.account.budget();
        let mut shortage = self.memory.shared.shortage();
        if !urgent && shortage.is_over() && budget.has_room() {
            return false;
        }
        let lack = shortage.lack(self.now, urgent);
        if lack == Lack::IsKnown {
            return true;
        }
        budget.set_short(true);
        self.memory.due = shortage.due();
        drop(shortage);
        if let Lack::Begins { say } = lack {
            self.brain.count_shortage();
            if say {
                tracing::warn!(
                    memory_budget = budget.limit(),
                    leased = budget.leased(),
                    what,
                    "the memory budget is used up; unless it has room soon, sessions that \
                     hold the most are closed"
                );
            }
            self.memory.shared.tell_others(self.index, || ToReactor::MemoryLacks);
        }
        self.memory.account.trim();
        true
    }

    /// Once per turn: charges what the brain holds, and takes the next step of a shortage.
    pub(super) fn tend_memory(&mut self) {
        self.charge_bodies();
        if self.memory.account.budget().is_short() {
            self.end_shortage_if_over();
            if self.memory.due.is_some_and(|due| due <= self.now) {
                self.call_for_bids();
            }
        }
        if self.memory.tell_at.is_some_and(|at| at <= self.now) {
            self.memory.tell_at = None;
            self.tell_of_shortages(false);
        }
        let is_short = self.memory.account.budget().is_short();
        self.brain.pause_reading(is_short && self.memory.charged_bodies > 0);
        self.publish_pressure();
    }

    fn publish_pressure(&mut self) {
        let were_full = self.board.files_full();
        let are_full = self.memory.files().are_nearly_taken(were_full);
        if are_full != were_full {
            self.board.set_files_full(are_full);
        }
        let tight = self.memory.account.budget().is_tight();
        if tight != self.board.pressure() {
            self.board.set_pressure(tight);
        }
        self.publish_state_room(tight);
    }

    fn call_for_bids(&mut self) {
        self.memory.due = None;
        if self.memory.shared.shortage().call() {
            self.memory.shared.tell_others(self.index, || ToReactor::BidForMemory);
            self.bid_for_memory();
        }
    }

    /// Says what the largest session of this reactor holds; the last reactor to do so learns who
    /// pays.
    pub(super) fn bid_for_memory(&mut self) {
        self.memory.account.trim();
        let largest = self.holders().into_iter().map(|(bytes, _)| bytes).max().unwrap_or(0);
        if largest == 0 {
            self.memory.output_excess = 0;
        }
        let mut shortage = self.memory.shared.shortage();
        let award = shortage.bid(self.index, largest, self.now);
        let due = shortage.due();
        drop(shortage);
        match award {
            Some(Award::Pays { reactor, floor }) if reactor == self.index => {
                self.pay_for_memory(floor)
            }
            Some(Award::Pays { reactor, floor }) => {
                self.memory.shared.tell(reactor, ToReactor::PayForMemory { floor });
            }
            Some(Award::Nobody) => self.memory.due = due,
            None => {}
        }
    }

    /// Closes the sessions that hold the most, until there is room or others hold more.
    pub(super) fn pay_for_memory(&mut self, floor: u64) {
        if !self.memory.shared.shortage().is_paid_for() {
            return; // it ended meanwhile
        }
        let (mut sessions, mut bytes) = (0, 0);
        for (held, slot) in payers(self.holders(), floor) {
            if self.memory.account.budget().has_room() {
                break;
            }
            self.brain.close(slot, CloseReason::MemoryBudget);
            self.carry_out();
            self.charge_bodies();
            sessions += 1;
            bytes += held;
        }
        self.memory.shared.shortage().paid(sessions, bytes, self.now);
        if !self.end_shortage_if_over() {
            self.memory.due = Some(self.now);
        }
    }

    /// What each session of this reactor holds. It looks at all of them: only for when memory is
    /// lacking.
    fn holders(&self) -> Vec<(u64, ConnectionSlot)> {
        let mut bodies = self.brain.held_by_session();
        for (slot, held) in self.kept_input.held() {
            *bodies.entry(slot).or_insert(0) += held;
        }
        let mut holders: Vec<_> = self
            .connections
            .iter()
            .map(|(slot, connection)| {
                (connection.held() as u64 + bodies.remove(&slot).unwrap_or(0), slot)
            })
            .collect();
        // Sessions whose socket is closed already.
        holders.extend(bodies.into_iter().map(|(slot, held)| (held, slot)));
        holders
    }

    /// True when there is room again: everybody goes on.
    fn end_shortage_if_over(&mut self) -> bool {
        let budget = self.memory.account.budget();
        if !budget.has_room() {
            return false;
        }
        let mut shortage = self.memory.shared.shortage();
        let ended = shortage.end(self.now);
        budget.set_short(false);
        drop(shortage);
        self.memory.due = None;
        if let Some(ended) = ended {
            match ended {
                End::Tell(ended) => self.log_shortages(&ended),
                End::TellAt(at) => self.memory.tell_at = Some(at),
            }
            self.memory.shared.tell_others(self.index, || ToReactor::MemoryIsFree);
            self.memory_is_free();
        }
        true
    }

    /// Logs what shortages have cost that were not logged at their end; `is_last`: the server ends.
    pub(super) fn tell_of_shortages(&self, is_last: bool) {
        let untold = self.memory.shared.shortage().take_untold(self.now, is_last);
        if let Some(ended) = untold {
            self.log_shortages(&ended);
        }
    }

    fn log_shortages(&self, ended: &Ended) {
        tracing::info!(
            lasted_ms = ended.lasted_ns / 1_000_000,
            shortages = ended.shortages,
            closed = ended.sessions,
            freed = ended.bytes,
            leased = self.memory.account.budget().leased(),
            "the memory budget has room again"
        );
    }

    /// Sessions that waited for memory are read again.
    pub(super) fn memory_is_free(&mut self) {
        self.memory.output_excess = 0;
        for slot in std::mem::take(&mut self.memory.starved) {
            self.brain.readable(slot);
        }
    }
}
