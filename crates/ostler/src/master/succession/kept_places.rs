//! Room for the sessions that come from the old master: for each its place in the session table,
//! one among `max_connections`, and places for its groups.
//!
//! **Responsible for:** whose place is kept, from the beginning of this master until the session is
//! here, was given up, or had its time. Whoever is put off has the same place at the next attempt.
//!
//! **Must never:** promise a session room that somebody else may take meanwhile.

use std::collections::HashMap;

use ostler_core::Millis;

use crate::reactor::mailbox::Reports;
use crate::reactor::places::{IDS_OF_A_MASTER, Places};

/// How long places of sessions are kept that may come: those that come at all come soon.
const PLACES_KEPT_MS: Millis = 10_000;

/// The places of sessions that may come and are not wanted yet.
#[derive(Debug)]
pub(super) struct KeptPlaces {
    /// The id of the old master's newest session when it started this process, if sessions come
    /// from it.
    newest_session: Option<u64>,
    /// Sessions whose places are kept for them, and their reactors.
    expected: HashMap<u64, usize>,
    /// Until then places are kept.
    until: Option<Millis>,
    /// Their time is over.
    is_over: bool,
}

impl KeptPlaces {
    /// For sessions that the old master has open. Nothing is kept before [`KeptPlaces::begin`].
    pub(super) fn new(newest_session: Option<u64>, sessions: Vec<u64>) -> Self {
        let expected = sessions.into_iter().map(|session| (session, 0)).collect();
        Self { newest_session, expected, until: None, is_over: false }
    }

    /// Whether sessions come at all.
    pub(super) const fn come(&self) -> bool {
        self.newest_session.is_some()
    }

    /// New sessions get ids behind those of the old master, and the places of those that may come
    /// are kept for them.
    pub(super) fn begin(&mut self, places: &Places) {
        let Some(newest) = self.newest_session else { return };
        places.go_on_behind(newest);
        let mut turn = 0;
        self.expected.retain(|session, reactor| {
            let Some(chosen) = places.take_known(*session, turn) else { return false };
            (*reactor, turn) = (chosen, chosen + 1);
            true
        });
        self.tell(places);
    }

    /// The old master has handed over: who comes at all comes soon.
    pub(super) const fn note_handed_over(&mut self, now: Millis) {
        self.until = Some(now.saturating_add(PLACES_KEPT_MS));
    }

    /// The reactor where this session has room, which it has from now on. `None`: there is no room
    /// for now; the place that it has stays its own.
    pub(super) fn room_for(
        &mut self,
        session: u64,
        groups: &[Vec<u8>],
        connections_max: u64,
        reports: &Reports,
    ) -> Option<usize> {
        let (of_table, places) = (self.place_for(session, &reports.places)?, &reports.places);
        if reports.connections.want(connections_max) {
            let reactors = places.reactors().max(1);
            let mut all = (0..reactors).map(|step| (of_table + step) % reactors);
            if let Some(reactor) = all.find(|one| has_room_for_groups(*one, groups, reports)) {
                places.move_to(of_table, reactor);
                return Some(reactor);
            }
            reports.want_no_more();
        }
        self.keep(session, of_table, reports);
        None
    }

    /// The reactor of the place of this session, which is kept no more, but taken.
    fn place_for(&mut self, session: u64, places: &Places) -> Option<usize> {
        let newest = self.newest_session?;
        // Ids from there on are this master's own.
        if session > newest.saturating_add(IDS_OF_A_MASTER) {
            return None;
        }
        if let Some(reactor) = self.expected.remove(&session) {
            self.tell(places);
            return Some(reactor);
        }
        places.take_known(session, session as usize)
    }

    /// A session that had room there does not come now: its place is kept, and what else it had is
    /// free.
    pub(super) fn put_off(
        &mut self,
        session: u64,
        groups: &[Vec<u8>],
        reactor: usize,
        reports: &Reports,
    ) {
        if let Some(mut expected) = reports.expected_groups(reactor) {
            expected.forget(groups);
        }
        reports.want_no_more();
        self.keep(session, reactor, reports);
    }

    fn keep(&mut self, session: u64, reactor: usize, reports: &Reports) {
        if self.is_over {
            return reports.give_place_back(reactor, session);
        }
        self.expected.insert(session, reactor);
        self.tell(&reports.places);
    }

    /// This session never comes.
    pub(super) fn give_up(&mut self, session: u64, reports: &Reports) {
        if let Some(reactor) = self.expected.remove(&session) {
            reports.give_place_back(reactor, session);
            self.tell(&reports.places);
        }
    }

    /// When places are kept no longer.
    pub(super) const fn due(&self) -> Option<Millis> {
        self.until
    }

    /// Whether places are kept no longer.
    pub(super) fn are_due(&self, now: Millis) -> bool {
        self.until.is_some_and(|until| now >= until)
    }

    /// Places are kept no longer: those who are not here yet may find them taken.
    pub(super) fn let_go(&mut self, reports: &Reports) {
        (self.until, self.is_over) = (None, true);
        for (session, reactor) in self.expected.drain() {
            reports.give_place_back(reactor, session);
        }
        self.tell(&reports.places);
    }

    fn tell(&self, places: &Places) {
        places.keep(self.expected.len() as u64);
    }
}

/// Whether all of these groups have a place in a reactor, which is kept for them then.
fn has_room_for_groups(reactor: usize, names: &[Vec<u8>], reports: &Reports) -> bool {
    let Some(mut expected) = reports.expected_groups(reactor) else { return false };
    let index = reports.places.groups();
    let is_there =
        |name: &[u8]| index.is_some_and(|index| index.members_at(reactor, index.tag(name)) > 0);
    expected.expect(names, is_there)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use ostler_shm::board::{Board, BoardSizes};

    const SESSION: u64 = 7;

    /// One place in the table, kept for a session, and room for one group in each reactor.
    fn kept(reactors: usize) -> (KeptPlaces, Reports) {
        let sizes = BoardSizes { reactors, sessions: 1, ..BoardSizes::default() };
        let places = Places::new(Arc::new(Board::create(sizes).unwrap().0));
        let mut kept = KeptPlaces::new(Some(SESSION), vec![SESSION]);
        kept.begin(&places);
        (kept, Reports::new(places).unwrap().with_expected_groups(reactors, 1))
    }

    fn room() -> [Vec<u8>; 1] {
        [b"room".to_vec()]
    }

    fn make(group: &[u8], reactor: usize, reports: &Reports) {
        reports.expected_groups(reactor).unwrap().made(group);
    }

    fn newcomer_has_a_place(reports: &Reports) -> bool {
        reports.places.choose(0).is_some()
    }

    #[test]
    fn who_has_no_room_for_its_groups_keeps_its_place_until_it_has() {
        let (mut kept, reports) = kept(1);
        make(b"other", 0, &reports);
        assert_eq!(kept.room_for(SESSION, &room(), 1, &reports), None);
        assert!(!newcomer_has_a_place(&reports), "it is kept for who was put off");
        assert!(reports.connections.has_place(1), "it counts as a connection no more");
        reports.connections.settle();
        reports.expected_groups(0).unwrap().gone(b"other");
        assert_eq!(kept.room_for(SESSION, &room(), 1, &reports), Some(0));
        assert!(!newcomer_has_a_place(&reports) && !reports.connections.has_place(1));
    }

    #[test]
    fn who_would_be_one_connection_too_many_keeps_its_place() {
        let (mut kept, reports) = kept(1);
        reports.connections.opened();
        assert_eq!(kept.room_for(SESSION, &room(), 1, &reports), None);
        assert!(!newcomer_has_a_place(&reports));
        reports.count_closed();
        assert_eq!(kept.room_for(SESSION, &room(), 1, &reports), Some(0));
    }

    #[test]
    fn who_is_not_given_keeps_its_place_and_nothing_else() {
        let (mut kept, reports) = kept(1);
        assert_eq!(kept.room_for(SESSION, &room(), 1, &reports), Some(0));
        kept.put_off(SESSION, &room(), 0, &reports);
        assert!(!newcomer_has_a_place(&reports) && reports.connections.has_place(1));
        assert_eq!(reports.expected_groups(0).unwrap().kept_beside(b"other"), 0);
        assert_eq!(kept.room_for(SESSION, &room(), 1, &reports), None, "somebody is accepted");
        reports.connections.settle();
        assert_eq!(kept.room_for(SESSION, &room(), 1, &reports), Some(0));
    }

    #[test]
    fn a_place_is_free_when_its_session_is_given_up_or_has_had_its_time() {
        let (mut kept, reports) = kept(1);
        kept.give_up(SESSION, &reports);
        assert!(newcomer_has_a_place(&reports));
        assert_eq!(kept.room_for(SESSION, &room(), 1, &reports), Some(0), "it asks once more");
        kept.note_handed_over(5);
        assert!(!kept.are_due(5) && kept.are_due(5 + PLACES_KEPT_MS));
        kept.let_go(&reports);
        assert!(!newcomer_has_a_place(&reports), "it is wanted, and comes or is put off");
        kept.put_off(SESSION, &room(), 0, &reports);
        assert!(newcomer_has_a_place(&reports) && reports.connections.has_place(1));
    }

    #[test]
    fn a_session_goes_to_the_reactor_that_has_room_for_its_groups() {
        let (mut kept, reports) = kept(2);
        make(b"other", 0, &reports);
        assert_eq!(kept.room_for(SESSION, &room(), 1, &reports), Some(1));
        reports.give_place_back(1, SESSION);
        assert!(newcomer_has_a_place(&reports));
    }
}
