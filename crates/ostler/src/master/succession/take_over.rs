//! Sessions come from the old master, when that has handed over.

use std::io::ErrorKind;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use ostler_core::Millis;
use ostler_core::ids::PortId;
use ostler_core::succession::hand_over::{
    Answer, Chosen, HandedSession, RECORDS_BYTES_MAX, decode,
};

use super::PREDECESSOR;
use super::predecessor::{Predecessor, Wanted};
use crate::control::{FromNewMaster, Received, ToNewMaster};
use crate::master::event_loop::Master;
use crate::options::FramingKind;
use crate::reactor::mailbox::{TakenOver, ToReactor};
use crate::sys::process::ProcessId;
use crate::sys::{poll, sealed_file};

/// Messages of the old master that are taken before other events are looked at.
const WORDS_MAX: usize = 16;
/// So long a server that ends waits for the old master to say which sessions it gives.
const LAST_GIVEN_MAX: Duration = Duration::from_secs(1);
const LAST_GIVEN_STEP: Duration = Duration::from_millis(10);

impl Master {
    /// Whether this master is about to take the place of another.
    pub(in crate::master) fn takes_over(&self) -> bool {
        self.predecessor.as_ref().is_some_and(|old| !old.has_handed_over())
    }

    /// The old master has said something, can be told more, or is gone.
    pub(in crate::master) fn on_predecessor(&mut self, writable: bool, now: Millis) {
        if writable && let Some(old) = &mut self.predecessor {
            old.flush();
        }
        self.hear_predecessor(now);
        if let Some(old) = &mut self.predecessor {
            let interest = old.interest(now);
            // It may not be watched yet.
            let _ = self.epoll.modify(&*old, PREDECESSOR, interest);
        }
        self.look_whether_deserted(now);
    }

    fn hear_predecessor(&mut self, now: Millis) {
        let mut ends = 0;
        for _ in 0..WORDS_MAX {
            let Some(old) = &self.predecessor else { return };
            match old.receive() {
                Ok(Received::Message(ToNewMaster::InCharge, _)) => self.note_in_charge(now),
                Ok(Received::Message(ToNewMaster::Sessions { reactor, offer, count }, sent)) => {
                    self.answer_offer(reactor, offer, count, sent);
                }
                Ok(Received::Message(ToNewMaster::Given { reactor, offer, given }, _)) => {
                    self.take_given((reactor, offer), given);
                }
                Ok(Received::Message(..)) => {}
                Ok(Received::Nothing) if ends == 0 => return,
                // One that makes no sense is gone; the next may be better.
                Err(error) if error.kind() == ErrorKind::InvalidData => {
                    tracing::error!(%error, "what the old master says is not understood");
                }
                // What it said before its end counts, and may come behind the news of that end
                // (unix(7)).
                Ok(Received::Closed | Received::Nothing) | Err(_) if ends == 0 => ends += 1,
                Ok(Received::Closed | Received::Nothing) | Err(_) => {
                    self.note_in_charge(now);
                    return self.leave_predecessor();
                }
            }
        }
    }

    fn note_in_charge(&mut self, now: Millis) {
        let Some(old) = self.predecessor.as_mut().filter(|old| !old.has_handed_over()) else {
            return;
        };
        old.note_handed_over(now);
        let pid = old.pid().map(ProcessId::get);
        tracing::info!(old = pid, "has taken over from the old master");
        self.succeeding.estate_is_ours_now(&self.options);
        // That was the last thing that needs more.
        self.confine();
        self.service_is_ready();
    }

    /// The server ends: is it in charge? What the old master was not told by then counts no more,
    /// and it goes on with what it has lent.
    fn hear_whether_in_charge(&mut self, now: Millis) {
        if !self.takes_over() {
            return;
        }
        if let Some(old) = &mut self.predecessor {
            old.takes_nothing = true;
        }
        self.hear_predecessor(now);
        if self.takes_over()
            && self.predecessor.as_ref().is_some_and(Predecessor::was_put_in_charge)
        {
            self.note_in_charge(now);
        }
    }

    /// No more is taken from the old master than what it was told: who is still there stays there.
    pub(super) fn take_nothing_more(&mut self) {
        let Some(old) = &mut self.predecessor else { return };
        old.takes_nothing = true;
        if !old.has_wanted() {
            self.leave_predecessor();
        }
    }

    /// The server ends. What the old master has given is ours, whether it was read or not, and what
    /// it may be giving now it has forgotten: that is waited for, which takes a moment, or it is
    /// gone.
    pub(in crate::master) fn take_the_last(&mut self, now: Millis) {
        self.hear_whether_in_charge(now);
        self.take_nothing_more();
        let deadline = Instant::now() + LAST_GIVEN_MAX;
        while let Some(old) = &mut self.predecessor {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tracing::warn!(sessions = old.wanted(), "the old master does not say who is given");
                break;
            }
            old.flush();
            // An answer that does not fit into its socket is tried again, which nothing tells.
            let _ = poll::wait_readable([old.as_fd()], Some(left.min(LAST_GIVEN_STEP)));
            self.hear_predecessor(now);
        }
        self.leave_predecessor();
    }

    /// Nothing is taken from the old master any more, not even what it may be giving.
    pub(in crate::master) fn leave_predecessor(&mut self) {
        if let Some(mut old) = self.predecessor.take() {
            // It may not be watched yet.
            let _ = self.epoll.remove(&old);
            old.let_all_go(&self.reports);
        }
    }

    /// Looks at the time.
    pub(in crate::master) fn predecessor_due(&mut self, now: Millis) {
        let Some(old) = &mut self.predecessor else { return };
        old.look_at_places(now, &self.reports);
        if old.is_to_retry(now) {
            self.on_predecessor(true, now);
        }
    }

    /// Says which of the sessions that are offered can be served here. They are not ours before the
    /// old master gives them, and not touched.
    fn answer_offer(&mut self, reactor: u8, offer: u32, count: u8, mut sent: Vec<OwnedFd>) {
        let (mut wanted, mut answer) = (Vec::new(), Answer::default());
        let sessions = match sessions_in(&mut sent, usize::from(count)) {
            Ok(sessions) => sessions,
            Err(Unreadable { why, may_pass }) => {
                tracing::warn!(why, may_pass, count, "sessions of the old master cannot be taken");
                if !may_pass {
                    (0..usize::from(count)).for_each(|position| answer.refused.set(position));
                }
                Vec::new()
            }
        };
        for (position, (handed, socket)) in sessions.into_iter().zip(sent).enumerate() {
            match self.place_of(&handed) {
                Place::Here(port, reactor) => {
                    answer.wanted.set(position);
                    let session = Box::new(TakenOver { socket, port, handed });
                    wanted.push(Wanted { position, reactor, session });
                }
                Place::NotNow => {}
                Place::Never => {
                    answer.refused.set(position);
                    self.refuse(&handed);
                }
            }
        }
        tracing::debug!(count, wanted = wanted.len(), "sessions can be had");
        let Some(old) = &mut self.predecessor else { return };
        let before = old.want((reactor, offer), wanted);
        old.answer(&FromNewMaster::Wanted { reactor, offer, answer });
        before.iter().for_each(|one| old.put_off(one, &self.reports));
    }

    /// This session stays with the old master for good.
    fn refuse(&mut self, handed: &HandedSession) {
        if let Some(old) = &mut self.predecessor {
            old.give_up(handed.session, &self.reports);
        }
    }

    /// These are ours now.
    fn take_given(&mut self, offer: (u8, u32), given: Chosen) {
        let Some(old) = &mut self.predecessor else { return };
        for one in old.wanted_of(offer) {
            if !given.has(one.position) {
                old.put_off(&one, &self.reports);
                continue;
            }
            self.reports.connections.wanted_came();
            let weight = one.session.handed.weight() as u64;
            if let Some(mailbox) = self.mailboxes.get(one.reactor) {
                mailbox.push(ToReactor::TakeOver(one.session));
            }
            old.came(weight);
        }
        if self.predecessor.as_ref().is_some_and(|old| old.takes_nothing && !old.has_wanted()) {
            self.leave_predecessor();
        }
    }

    /// Where a session of the old master goes on.
    fn place_of(&mut self, handed: &HandedSession) -> Place {
        let plans = self.options.ports();
        let Some(plan) = plans.iter().find(|plan| plan.name == handed.port) else {
            return Place::Never;
        };
        let url = &plan.options.listen;
        let may_be_had = !url.is_encrypted()
            && !url.has_datagrams()
            && handed.state.len() <= self.options.session_state_max_bytes
            && handed.groups.len() <= self.options.session_groups_max as usize
            && handed.groups.len() <= self.options.groups_max as usize;
        if !may_be_had {
            return Place::Never;
        }
        // What it has received may become a whole package, what waits for it may leave, and a place
        // may become free.
        let is_cut_alike = plan.options.framing != FramingKind::Raw
            && handed.framing == self.options.framing_text(plan.options);
        let fits_now = (handed.received.is_empty() || is_cut_alike)
            && handed.unsent.len() <= plan.options.send_queue_max;
        let port = plan.id;
        let old = self.predecessor.as_mut().filter(|old| fits_now && !old.takes_nothing);
        let Some(old) = old else { return Place::NotNow };
        let connections_max = u64::from(self.options.max_connections);
        match old.room_for(handed, connections_max, &self.reports) {
            Some(reactor) => Place::Here(port, reactor),
            None => Place::NotNow,
        }
    }
}

/// Where a session goes on.
enum Place {
    /// At this port and in this reactor, where its place is taken.
    Here(PortId, usize),
    /// With the old master, for now.
    NotNow,
    /// With the old master.
    Never,
}

/// A list of sessions that is of no use.
struct Unreadable {
    why: String,
    /// It may be better another time.
    may_pass: bool,
}

/// The list that comes in front of the sockets.
fn sessions_in(sent: &mut Vec<OwnedFd>, count: usize) -> Result<Vec<HandedSession>, Unreadable> {
    let for_now = |why: String| Unreadable { why, may_pass: true };
    let for_good = |why: String| Unreadable { why, may_pass: false };
    if sent.len() != count + 1 {
        let why = "descriptors are missing; is their limit too low?";
        return Err(for_now(why.to_owned()));
    }
    let list = sent.remove(0);
    let bytes = sealed_file::read(&list, RECORDS_BYTES_MAX as u64)
        .map_err(|error| for_now(error.to_string()))?;
    let sessions = decode(&bytes).map_err(|bad| for_good(bad.to_string()))?;
    if sessions.len() == count {
        Ok(sessions)
    } else {
        Err(for_good("their number is wrong".to_owned()))
    }
}
