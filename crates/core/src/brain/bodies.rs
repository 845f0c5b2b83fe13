//! Packages that are kept: those in several parts or in shared memory, those whose ring space is
//! used again before they are finished, those that came back. They are charged to the memory
//! budget; a subject that is served no more keeps none, but what its worker reads where it lies.

use std::collections::HashMap;
use std::sync::Arc;

use super::ledger::Entry;
use super::sessions::Connection;
use super::subjects::{is_served, may_come_back};
use super::{BodyCopier, Brain, PortSettings};
use crate::body::SharedBytes;
use crate::ids::{ConnectionSlot, LaneSlot, Subject};

impl Brain {
    /// The body of a delivery that does not lie in the ring as one record.
    #[must_use]
    pub fn body(&self, lane: LaneSlot, seq: u64) -> Option<&[u8]> {
        self.lanes.get(lane)?.ledger.get(seq)?.body.as_deref()
    }

    /// A delivery that is started, unfinished, and read by its worker from where it lies: a reply
    /// may refer to it. `t` bounds what was started.
    #[must_use]
    pub fn shared_in_hand(
        &self,
        lane: LaneSlot,
        seq: u64,
        t: u64,
    ) -> Option<&Arc<dyn SharedBytes>> {
        let entry = self.lanes.get(lane)?.ledger.get(seq)?;
        let is_in_hand = !entry.done && entry.position < t;
        entry.body.as_ref().filter(|_| is_in_hand)?.shared()
    }

    /// Bytes of packages that are kept: of deliveries that came back, of datagrams that wait, of
    /// those in several parts, and
    /// of those kept because they may have to be delivered again. What the memory budget is charged
    /// for them.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.returned_bytes()
            + self.peers.waiting_bytes()
            + self.lanes.iter().map(|(_, lane)| lane.ledger.body_bytes()).sum::<u64>()
    }

    /// The same by the sessions that are served. It looks at every delivery: only for when memory
    /// is lacking.
    #[must_use]
    pub fn held_by_session(&self) -> HashMap<ConnectionSlot, u64> {
        let mut held = HashMap::new();
        let at_lanes = self.lanes.iter().flat_map(|(_, lane)| lane.ledger.iter());
        let at_lanes = at_lanes.filter_map(|entry| Some((entry.subject, entry.body.as_ref()?)));
        for (subject, body) in at_lanes.filter(|(subject, _)| is_served(&self.sessions, *subject)) {
            let Subject::Session(slot) = subject else { continue };
            *held.entry(slot).or_insert(0) += body.len() as u64;
        }
        for slot in self.sessions.places() {
            let returned = self.sessions.get(slot).map_or(0, Connection::returned_bytes);
            if returned > 0 {
                *held.entry(slot).or_insert(0) += returned;
            }
        }
        held
    }

    /// The ring space below `freed` will be used again: packages there that may have to be
    /// delivered once more are copied first, and no reply may refer to any of them any more
    /// ([`Brain::in_ring`]). To be told whatever the crash policy is, when all that the worker had
    /// committed is consumed; costs nothing where nothing has to be kept.
    pub fn keep_bodies(&mut self, lane: LaneSlot, freed: u64, copy: BodyCopier<'_>) {
        let (lane_slot, now) = (lane, self.now);
        let Some(lane) = self.lanes.get_mut(lane_slot) else { return };
        if lane.reuse_below(freed, now) {
            self.begin_to_watch_deferred();
        }
        let Some(lane) = self.lanes.get_mut(lane_slot) else { return };
        let (sessions, peers, ports) = (&self.sessions, &self.peers, &self.settings.ports);
        if ports.iter().any(PortSettings::gives_again) {
            let needed = |entry: &Entry| may_come_back(sessions, peers, ports, entry);
            lane.ledger.keep_bodies(freed, needed, copy);
        } else {
            // What is freed is started, and will not be started again.
            lane.ledger.drop_bodies(freed);
        }
    }

    /// The last part of a delivery that is sent in several is written: `position` is that part's.
    /// It was [given](Brain::record_written) with the position `u64::MAX`, which means that it
    /// cannot have been started; the lane gets nothing else until then.
    pub fn set_position(&mut self, lane: LaneSlot, seq: u64, position: u64) {
        let Some(entry) = self.lane_mut(lane).and_then(|lane| lane.ledger.get_mut(seq)) else {
            return;
        };
        if entry.position != u64::MAX {
            return;
        }
        entry.position = position;
        let subject = entry.subject;
        self.package_written(subject);
    }
}
