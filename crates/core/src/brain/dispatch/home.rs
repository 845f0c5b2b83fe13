//! Sessions that are at home in one worker slot: where that is, and what becomes of them while no
//! worker serves there (P58), or when the number of slots changes.

use super::super::Brain;
use super::super::peers::Place;
use super::super::run_lists::{Position, RunListId};
use super::super::sessions::{Connection, Home};
use super::{address_hash, session_hash, sticky, user_id};
use std::net::IpAddr;

use crate::Nanos;
use crate::ids::{ConnectionSlot, LaneSlot};
use crate::policy::Dispatch;

impl Brain {
    /// The worker slot where all deliveries of a session go; `None` when they may go to any.
    pub(in crate::brain) fn home_of(&self, connection: &Connection) -> Option<u16> {
        let (session, workers) = (connection.session, self.homes);
        match (self.dispatch_of(connection), connection.home) {
            (Dispatch::AddressHash, Home::Address(number)) => {
                Some(address_hash::home(number, workers))
            }
            (Dispatch::UserId | Dispatch::UserFunction, Home::User(user)) => {
                Some(user_id::home(user, workers))
            }
            (
                Dispatch::SessionHash
                | Dispatch::AddressHash
                | Dispatch::UserId
                | Dispatch::UserFunction,
                _,
            ) => Some(session_hash::home(session, workers)),
            (Dispatch::Sticky, home) => sticky::home(home),
            (
                Dispatch::RoundRobin | Dispatch::IdleFirst | Dispatch::LeastInHand | Dispatch::Pull,
                _,
            ) => None,
        }
    }

    /// How the sessions of a session's port are dispatched.
    pub(super) fn dispatch_of(&self, connection: &Connection) -> Dispatch {
        self.settings.ports.get(connection.port).dispatch
    }

    /// The address of a session's client, told once, when it is accepted.
    pub fn comes_from(&mut self, slot: ConnectionSlot, address: IpAddr) {
        let Some(connection) = self.sessions.get(slot) else { return };
        if self.dispatch_of(connection) == Dispatch::AddressHash {
            self.move_home(slot, Home::Address(address_hash::number(address)));
        }
    }

    /// A worker has bound the session to a number, a user's or another one. Where sessions are
    /// dispatched by that, it belongs to another worker slot from when nothing of it is at a
    /// worker.
    pub fn bind(&mut self, slot: ConnectionSlot, user: u32) {
        let Some(connection) = self.sessions.get(slot) else { return };
        if self.dispatch_of(connection).follows_user() {
            self.move_home(slot, Home::User(user));
        }
    }

    /// The session is at home somewhere else. One that waits to be given something waits there.
    fn move_home(&mut self, slot: ConnectionSlot, home: Home) {
        let Some(connection) = self.sessions.get_mut(slot) else { return };
        connection.home = home;
        let queued = connection.link.list();
        if queued != RunListId::No && queued != self.place_of(slot) {
            self.lists.unlink(&mut self.sessions, slot);
            self.enqueue(slot);
        }
    }

    /// A session whose worker is chosen when it begins was given to one.
    pub(in crate::brain) fn settle_down(&mut self, slot: ConnectionSlot, lane: LaneSlot) {
        let Some(connection) = self.sessions.get(slot) else { return };
        if self.dispatch_of(connection) == Dispatch::Sticky
            && connection.home == Home::Unknown
            && let Some(key) = self.lane_key(lane)
            && let Some(connection) = self.sessions.get_mut(slot)
        {
            connection.home = Home::Slot(key.slot.0);
        }
    }

    /// From now on sessions are at home in the first `workers` slots, if these are fewer than
    /// before: to be called before the workers of the others leave. That there are more follows
    /// from a worker that serves in a further slot ([`Brain::serve`]).
    pub fn reduce_workers(&mut self, workers: u16) {
        if (1..self.homes).contains(&workers) {
            self.set_homes(workers);
        }
    }

    /// Sessions that are at home in another slot than before go there as soon as nothing of them is
    /// at a worker.
    pub(in crate::brain) fn set_homes(&mut self, workers: u16) {
        let slots = self.homes.max(workers);
        self.homes = workers;
        self.lists.open_slots(workers);
        for slot in self.sessions.places() {
            if let Some(connection) = self.sessions.get_mut(slot)
                && let Home::Slot(worker) = connection.home
                && worker >= workers
            {
                connection.home = Home::Unknown;
            }
        }
        let lanes: Vec<LaneSlot> = self.lanes.iter().map(|(lane, _)| lane).collect();
        for lane in lanes {
            self.requeue_all(RunListId::Lane(lane));
            self.place_peers_of(Place::lane(lane));
        }
        for worker in 0..slots {
            self.requeue_all(RunListId::Slot(worker));
            self.place_peers_of(Place::Slot(worker));
        }
    }

    /// Whether a session chooses its worker slot anew because its own is down for too long.
    fn leaves_home(&mut self, slot: ConnectionSlot) -> bool {
        let Some(connection) = self.sessions.get_mut(slot) else { return false };
        if let Home::Slot(_) = connection.home {
            connection.home = Home::Unknown;
            return true;
        }
        false
    }

    /// Sessions at home in a slot that is down for too long go to a slot that serves.
    pub fn rehash(&mut self, now: Nanos) {
        let live: Vec<LaneSlot> = self.lanes.serving().map(|(slot, _)| slot).collect();
        if live.is_empty() {
            return;
        }
        for worker in 0..self.homes {
            let down_for = self.lanes.down_for(usize::from(worker), now);
            if down_for.is_none_or(|down_for| down_for < self.settings.slot_down_ns) {
                continue;
            }
            self.rehash_peers(worker, &live);
            for slot in self.lists.unlink_all(&mut self.sessions, RunListId::Slot(worker)) {
                if self.leaves_home(slot) {
                    self.enqueue(slot);
                    continue;
                }
                let spread = session_hash::spread(self.session(slot).unwrap_or(0));
                let index = (spread % live.len() as u64) as usize;
                if let Some(lane) = live.get(index).copied() {
                    self.lists.link(
                        &mut self.sessions,
                        slot,
                        RunListId::Lane(lane),
                        Position::Last,
                    );
                }
            }
        }
    }

    /// When [`Brain::rehash`] is due next.
    #[must_use]
    pub fn rehash_due(&self) -> Option<Nanos> {
        self.lanes.serving().next()?;
        (0..self.homes)
            .filter(|worker| {
                !self.lists.is_empty(RunListId::Slot(*worker)) || self.peers.wait_for_slot(*worker)
            })
            .map(|worker| {
                let since = self.lanes.down_since(usize::from(worker));
                since.map_or(0, |since| since.saturating_add(self.settings.slot_down_ns))
            })
            .min()
    }
}
