//! Sessions on their way to the new master: what reactors offer goes to it, what it answers to
//! them.

use std::io;
use std::time::{Duration, Instant};

use ostler_core::Millis;
use ostler_core::succession::Event;
use ostler_core::succession::hand_over::{Answer, Chosen};

use super::{NEW_MASTER, Predecessor};
use crate::control::{Channel, FromNewMaster, ToNewMaster};
use crate::master::event_loop::Master;
use crate::reactor::mailbox::{FromReactor, Offer, ToReactor};
use crate::sys::epoll::Interest;
use crate::sys::poll;

/// What cannot be sent for now, for a reason whose end nothing tells, is tried again after this.
pub(super) const RETRY_MS: Millis = 10;
/// So long a master that ends waits until the new one was told which sessions it was given.
const LAST_TOLD_MAX: Duration = Duration::from_secs(1);
/// From one attempt to the next, when nothing tells that there is room.
const LAST_TOLD_STEP: Duration = Duration::from_millis(10);

impl Master {
    /// The ids of sessions that may go to a new master: those of plain connections.
    pub(super) fn sessions_that_may_go(&self) -> Vec<u8> {
        let plans = self.options.ports();
        let is_plain: Vec<bool> =
            plans.iter().map(|plan| !plan.options.listen.is_encrypted()).collect();
        let open = self.reports.places.open_sessions().into_iter();
        let plain =
            open.filter(|(_, port)| is_plain.get(usize::from(*port)).copied().unwrap_or(false));
        plain.flat_map(|(session, _)| session.to_ne_bytes()).collect()
    }

    /// A reactor offers sessions. If the new master is gone the reactor hears of it.
    pub(in crate::master) fn pass_offer(&mut self, offer: Offer, now: Millis) {
        let Offer { reactor, number, records, sockets } = offer;
        let message = ToNewMaster::Sessions {
            reactor: u8::try_from(reactor).unwrap_or(u8::MAX),
            offer: number,
            count: u8::try_from(sockets.len()).unwrap_or(u8::MAX),
        };
        let Some(channel) = self.channel_of_new() else { return };
        let count = sockets.len();
        let descriptors = std::iter::once(records).chain(sockets).collect();
        let sent = channel.send(&message, descriptors);
        tracing::debug!(reactor, sessions = count, "sessions are offered");
        self.after_sending(sent, now);
    }

    /// A reactor gives sessions away. If the new master is gone they are gone with it.
    pub(in crate::master) fn pass_given(
        &mut self,
        reactor: usize,
        offer: u32,
        given: Chosen,
        now: Millis,
    ) {
        let Some(channel) = self.channel_of_new() else { return };
        let sent = channel.send_first(&given_in_words(reactor, offer, given));
        self.after_sending(sent, now);
    }

    /// Reactors have ended. Whom they have let go nobody has until the new master is told.
    pub(in crate::master) fn tell_the_last_given(&mut self) {
        let reports = self.reports.queue.take();
        if let Some(channel) = self.channel_of_new() {
            tell_given(channel, reports, LAST_TOLD_MAX);
        }
    }

    pub(super) fn flush_to_new_master(&mut self, now: Millis) {
        if let Some(channel) = self.channel_of_new() {
            let sent = channel.flush();
            self.after_sending(sent, now);
        }
        self.look_whether_deserted(now);
    }

    /// Sees to what could not be sent; without the new master's end there is nobody to tell.
    pub(super) fn after_sending(&mut self, sent: io::Result<()>, now: Millis) {
        match sent {
            Ok(()) => self.watch_new_master(now),
            Err(error) => {
                tracing::debug!(%error, "the new master cannot be told anything");
                self.new_master_says_no_more(now);
            }
        }
    }

    /// What waits for something that nothing tells of is tried again.
    pub(in crate::master) fn new_master_due(&mut self, now: Millis) {
        if self.succeeding.retry_at.is_some_and(|at| now >= at) {
            self.flush_to_new_master(now);
        }
    }

    pub(super) fn watch_new_master(&mut self, now: Millis) {
        self.succeeding.retry_at = None;
        let new = self.succeeding.new.as_ref();
        let Some(channel) = new.and_then(|new| new.channel.as_ref()) else { return };
        let interest = if channel.waits_untold() {
            self.succeeding.retry_at = Some(now.saturating_add(RETRY_MS));
            Interest::READ
        } else if channel.has_backlog() {
            Interest::READ | Interest::WRITE
        } else {
            Interest::READ
        };
        let _ = self.epoll.modify(channel, NEW_MASTER, interest);
    }

    pub(super) fn pass_answer(&self, reactor: u8, offer: u32, answer: Answer) {
        if let Some(mailbox) = self.mailboxes.get(usize::from(reactor)) {
            mailbox.push(ToReactor::Answered { offer, answer });
        }
    }

    /// A reactor has no session left, since a new master accepts.
    pub(in crate::master) fn note_deserted(&mut self, reactor: usize, now: Millis) {
        self.succeeding.deserted.insert(reactor);
        self.look_whether_deserted(now);
    }

    /// Nobody is left when no reactor has anybody, nobody is on the way from the master before this
    /// one, and the new one was told of all that it is given.
    pub(super) fn look_whether_deserted(&mut self, now: Millis) {
        let new = self.succeeding.new.as_ref();
        let channel = new.and_then(|new| new.channel.as_ref());
        if self.succeeding.deserted.len() == self.mailboxes.len()
            && self.reports.connections.here() == 0
            && !self.predecessor.as_ref().is_some_and(Predecessor::has_wanted)
            && !channel.is_some_and(Channel::has_backlog)
        {
            self.on_succession(Event::Deserted, &"", now);
        }
    }

    /// The new master has closed its end, or is dead. What it was not given is ours: what it has
    /// said before that end makes no difference any more.
    pub(super) fn new_master_says_no_more(&mut self, now: Millis) {
        self.forget_channel();
        if self.succeeding.hands_over {
            self.tell_all(|| ToReactor::NobodyTakes);
        }
        self.look_whether_deserted(now);
    }
}

/// Sent before offers that cannot be sent: nobody has these sessions until it is told.
fn given_in_words(reactor: usize, offer: u32, given: Chosen) -> ToNewMaster {
    ToNewMaster::Given { reactor: u8::try_from(reactor).unwrap_or(u8::MAX), offer, given }
}

/// Tells the new master which sessions it was given by the last words of reactors, within the time.
fn tell_given(
    channel: &mut Channel<ToNewMaster, FromNewMaster>,
    reports: Vec<FromReactor>,
    time: Duration,
) {
    let deadline = Instant::now() + time;
    for report in reports {
        if let FromReactor::Given { reactor, offer, given } = report
            && channel.send_first(&given_in_words(reactor, offer, given)).is_err()
        {
            return;
        }
    }
    while channel.has_backlog() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return tracing::warn!("the new master was not told of all sessions that are its own");
        }
        if channel.waits_untold() {
            std::thread::sleep(left.min(LAST_TOLD_STEP));
        } else {
            let _ = poll::wait_writable(&*channel, left);
        }
        if channel.flush().is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Received;
    use crate::sys::control_socket;

    #[test]
    fn what_reactors_have_given_at_last_is_told_also_to_one_who_reads_slowly() {
        let (near, far) = control_socket::pair().unwrap();
        let mut old = Channel::new(near);
        while !old.has_backlog() {
            old.send(&ToNewMaster::InCharge, Vec::new()).unwrap();
        }
        let mut given = Chosen::default();
        given.set(3);
        let reads = std::thread::spawn(move || {
            let new = Channel::<FromNewMaster, ToNewMaster>::new(far);
            let mut all = Vec::new();
            loop {
                match new.receive().unwrap() {
                    Received::Message(ToNewMaster::Given { reactor, offer, given }, _) => {
                        all.push((reactor, offer, given));
                    }
                    Received::Message(..) => {}
                    Received::Nothing => {
                        poll::wait_readable([std::os::fd::AsFd::as_fd(&new)], None).unwrap();
                    }
                    Received::Closed => return all,
                }
            }
        });
        let reports =
            vec![FromReactor::Drained, FromReactor::Given { reactor: 1, offer: 9, given }];
        tell_given(&mut old, reports, Duration::from_secs(60));
        drop(old);
        assert_eq!(reads.join().unwrap(), [(1, 9, given)]);
    }
}
