//! What clients do: they connect, send, end their input, read their output and get lost.

use super::driver::body;
use super::{Delivery, FakeSession, Item, PORT, State, World};
use crate::brain::{CloseReason, Phase};
use crate::ids::ProcessKey;
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

/// The last byte of a client's address; some have none.
pub(super) fn address_of(id: u64) -> Option<u8> {
    let number = (id >> 6) % 4;
    (number > 0).then_some(number as u8)
}

impl World {
    pub(crate) fn connect(&mut self) -> Option<u64> {
        self.connect_told(0)
    }

    /// A client of which the connect event tells so many bytes.
    pub(crate) fn connect_told(&mut self, told: usize) -> Option<u64> {
        self.newest_session += 1;
        let id = self.newest_session;
        let place = self.brain.accept(PORT, id)?;
        assert!(self.places.insert(place, id).is_none(), "the place was not free");
        let mut session = FakeSession {
            id,
            place,
            items: BTreeMap::new(),
            eof: false,
            lost: false,
            unserved: false,
            may_have_input: false,
            input_dropped: None,
            closed: None,
            freed: false,
            must: None,
            may: HashSet::new(),
        };
        session.add(Item::Connect, told);
        if told > 0 && self.port().connect_events {
            self.brain.tell_at_connect(place, body(id, Item::Connect, told));
            session.delivery(Item::Connect).state = State::Returned;
        }
        session.add(Item::Closed, 0);
        if self.draining {
            session.may.insert(CloseReason::Shutdown as u8);
        }
        if self.port().queue_max > 0 || self.port().queue_wait_max_ns > 0 {
            session.may.insert(CloseReason::Overloaded as u8);
        }
        self.sessions.insert(id, session);
        if let Some(last) = address_of(id) {
            self.brain.comes_from(place, IpAddr::from([10, 0, 0, last]));
        }
        self.check();
        Some(id)
    }

    /// A worker binds the session to a number.
    pub(crate) fn bind(&mut self, id: u64, user: u32) {
        let session = &self.sessions[&id];
        if !session.freed {
            self.users.insert(id, user);
            self.brain.bind(session.place, user);
            self.check();
        }
    }

    /// The session has sent too much for now, or may send again.
    pub(crate) fn hold_back(&mut self, id: u64, held: bool) {
        let session = &self.sessions[&id];
        if !session.freed {
            self.brain.hold_back(session.place, held);
            self.check();
        }
    }

    /// The next package of the session is beyond what its address may send.
    pub(crate) fn exceed_rate(&mut self, id: u64) {
        self.over_rate.insert(id);
    }

    pub(crate) fn send(&mut self, id: u64, len: usize) -> Item {
        let session = self.sessions.get_mut(&id).unwrap();
        let number = session.items.len() as u32 - 2;
        let item = Item::Package(number);
        if session.closed.is_none() && !session.eof && !session.lost {
            session.add(item, len);
            self.readable(id);
            self.check();
        }
        item
    }

    pub(crate) fn eof(&mut self, id: u64) {
        let session = self.sessions.get_mut(&id).unwrap();
        if session.closed.is_none() && !session.lost {
            session.eof = true;
            session.may.insert(CloseReason::Peer as u8);
            self.readable(id);
            self.check();
        }
    }

    pub(crate) fn output_changed(&mut self, id: u64, pending: bool, high: bool) {
        let session = &self.sessions[&id];
        if session.closed.is_none() && !session.freed && !session.lost {
            self.brain.output_changed(session.place, pending, high);
            self.check();
        }
    }

    pub(crate) fn close(&mut self, id: u64, reason: CloseReason) {
        let session = self.sessions.get_mut(&id).unwrap();
        if session.freed {
            return;
        }
        session.may.insert(reason as u8);
        let place = session.place;
        let before = self.brain.phase(place).unwrap();
        self.brain.close(place, reason);
        if before.has_socket() && reason.is_abrupt() {
            self.must_end(id, reason);
        }
        if before == Phase::PeerGone && reason != CloseReason::PeerError {
            assert_eq!(self.brain.phase(place), Some(Phase::Ended), "nothing more is served");
            self.sessions.get_mut(&id).unwrap().unserved = true;
        }
        self.check();
    }

    /// The connection fails; the driver holds what was not given.
    pub(crate) fn lose(&mut self, id: u64) {
        let session = self.sessions.get_mut(&id).unwrap();
        if session.freed {
            return;
        }
        session.may.insert(CloseReason::PeerError as u8);
        let place = session.place;
        let before = self.brain.phase(place).unwrap();
        let has_input = session.unread().is_some();
        if before == Phase::Open {
            session.lost = true;
            session.may_have_input = has_input;
            session.must = Some(CloseReason::PeerError);
        }
        self.brain.peer_lost(place, has_input);
        match before {
            Phase::Open => {
                let after = self.brain.phase(place).unwrap();
                assert!(!after.has_socket());
                assert!(!has_input || after == Phase::PeerGone, "its input is served");
            }
            Phase::Flushing(_) => self.must_end(id, CloseReason::PeerError),
            Phase::PeerGone | Phase::Ended => {}
        }
        self.check();
    }

    pub(crate) fn phase(&self, id: u64) -> Option<Phase> {
        let session = &self.sessions[&id];
        if session.freed { None } else { self.brain.phase(session.place) }
    }

    pub(super) fn must_end(&mut self, id: u64, reason: CloseReason) {
        let session = self.sessions.get_mut(&id).unwrap();
        assert_eq!(session.must, None, "{id} ended before");
        session.must = Some(reason);
        session.may.insert(reason as u8);
        assert_eq!(
            self.brain.phase(session.place),
            Some(Phase::Ended),
            "{id} must end: {reason:?}"
        );
    }
}

impl FakeSession {
    /// Deliveries at a lane, with their lane.
    pub(super) fn at_lane(&self) -> impl Iterator<Item = ProcessKey> {
        self.items.values().filter_map(|delivery| match delivery.state {
            State::At(key) | State::Started(key) => Some(key),
            _ => None,
        })
    }

    pub(crate) fn state(&self, item: Item) -> Option<State> {
        self.items.get(&item).map(|delivery| delivery.state)
    }

    pub(crate) fn unread(&self) -> Option<Item> {
        let packages = self.items.iter().filter(|(item, _)| matches!(item, Item::Package(_)));
        packages.filter(|(_, d)| d.state == State::Unread).map(|(item, _)| *item).next()
    }

    /// Whether the driver can say only after another look that there is no more of it.
    pub(crate) fn comes_in_pieces(&self) -> bool {
        self.id.is_multiple_of(2)
    }

    /// Whether a package that nobody was given must still be given: its client is gone, and nothing
    /// ended the session since.
    pub(super) fn owes(&self, item: Item) -> bool {
        self.lost && !self.unserved && matches!(item, Item::Package(_))
    }

    pub(super) fn delivery(&mut self, item: Item) -> &mut Delivery {
        self.items.get_mut(&item).unwrap()
    }

    pub(super) fn add(&mut self, item: Item, len: usize) {
        let delivery = Delivery {
            state: State::Unread,
            attempt: 0,
            deaths_while_waiting: 0,
            starts: 0,
            exposed: false,
            len,
            received_at: None,
        };
        self.items.insert(item, delivery);
    }
}
