//! Sessions on their way to the new master: what reactors offer goes to it, what it answers to
//! them.

use ostler_core::succession::hand_over::Taken;

use super::NEW_MASTER;
use crate::control::{FromNewMaster, Received, ToNewMaster};
use crate::master::event_loop::Master;
use crate::reactor::mailbox::{Offer, ToReactor};
use crate::sys::epoll::Interest;

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
    pub(in crate::master) fn pass_offer(&mut self, offer: Offer) {
        let Offer { reactor, number, records, sockets } = offer;
        let message = ToNewMaster::Sessions {
            reactor: u8::try_from(reactor).unwrap_or(u8::MAX),
            offer: number,
            count: u8::try_from(sockets.len()).unwrap_or(u8::MAX),
        };
        let Some(channel) = self.channel_of_new() else { return };
        let descriptors = std::iter::once(records).chain(sockets).collect();
        // It is gone if this fails, which the end of its socket tells.
        let _ = channel.send(&message, descriptors);
        self.watch_new_master();
    }

    pub(super) fn flush_to_new_master(&mut self) {
        if let Some(channel) = self.channel_of_new() {
            let _ = channel.flush();
        }
        self.watch_new_master();
    }

    fn watch_new_master(&mut self) {
        let new = self.succeeding.new.as_ref();
        let Some(channel) = new.and_then(|new| new.channel.as_ref()) else { return };
        let interest =
            if channel.has_backlog() { Interest::READ | Interest::WRITE } else { Interest::READ };
        let _ = self.epoll.modify(channel, NEW_MASTER, interest);
    }

    pub(super) fn pass_answer(&self, reactor: u8, offer: u32, taken: Taken) {
        if let Some(mailbox) = self.mailboxes.get(usize::from(reactor)) {
            mailbox.push(ToReactor::Answered { offer, taken });
        }
    }

    /// The new master has closed its end, or is dead. What it said before counts: the kernel tells
    /// of an end with something unread before what waits (unix(7)), so everything is read until it
    /// tells of the end once more.
    pub(super) fn new_master_says_no_more(&mut self) {
        let mut ends = 0;
        while ends < 2 {
            let Some(channel) = self.channel_of_new() else { return };
            match channel.receive() {
                Ok(Received::Message(FromNewMaster::Taken { reactor, offer, taken }, _)) => {
                    self.pass_answer(reactor, offer, taken);
                }
                Ok(Received::Message(FromNewMaster::Serves { .. }, _)) => {}
                Ok(Received::Closed | Received::Nothing) | Err(_) => ends += 1,
            }
        }
        self.forget_channel();
        if self.succeeding.hands_over {
            self.tell_all(|| ToReactor::NobodyTakes);
        }
    }
}
