//! How many places of the session table are taken, for the acceptor, which chooses by them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ostler_core::invariant;
use ostler_core::placement::emptiest;
use ostler_shm::board::Board;
use ostler_shm::group_index::GroupIndex;
use ostler_shm::layout::PAGE;
use ostler_shm::session_ids::SESSION_ID_MAX;

use crate::base::commons::SeatOf;

/// So many ids a master may issue from when it has started the one that takes its place until it
/// accepts nobody any more.
pub(crate) const IDS_OF_A_MASTER: u64 = 1 << 28;

/// The places of the session table. The acceptor takes one for each connection that it hands over;
/// the reactor gives it back when nothing is left of the session, which is after workers have seen
/// its end.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    board: Arc<Board>,
    /// How many each reactor has.
    taken: Arc<[AtomicU64]>,
    /// How many of them are kept for sessions that may come from another master.
    kept: Arc<AtomicU64>,
    /// Where the ids come from when this process is not the only one that issues some.
    seat: Option<SeatOf>,
}

impl Places {
    /// The places of a board on which nobody lives yet.
    pub(crate) fn new(board: Arc<Board>) -> Self {
        let taken = (0..board.reactors()).map(|_| AtomicU64::new(0)).collect();
        Self { board, taken, kept: Arc::default(), seat: None }
    }

    /// The same for a process that has session ids in common with others.
    pub(crate) fn with(self, seat: Option<SeatOf>) -> Self {
        Self { seat, ..self }
    }

    /// What is shown of groups, beside the session table.
    pub(crate) fn groups(&self) -> Option<GroupIndex<'_>> {
        self.board.groups()
    }

    /// What a state of `len` bytes takes of the state area of its reactor: whole pages, and nothing
    /// if its entry has room for it.
    fn area_bytes_of_state(&self, len: usize) -> u64 {
        if len <= self.board.state_bytes() { 0 } else { (len as u64).next_multiple_of(PAGE) }
    }

    /// Whether each reactor has room for a state of `len` bytes behind all that are expected.
    pub(crate) fn have_room_for_state(&self, len: usize) -> bool {
        // In this order: what has come is taken from the room before it is expected no more.
        let expected = self.board.promised_states();
        let bytes = expected.saturating_add(self.area_bytes_of_state(len));
        let mut reactors = 0..self.reactors();
        len <= self.board.state_bytes() || reactors.all(|one| bytes <= self.board.state_room(one))
    }

    /// Whether a session that is here may have a state of `len` bytes, where an area has this room:
    /// what is promised to those that may come is not its.
    pub(crate) fn have_room_in(&self, room: u64, len: usize) -> bool {
        self.area_bytes_of_state(len).saturating_add(self.board.promised_states()) <= room
    }

    /// A state of so many bytes may come from another master. Workers see that it has room before
    /// others.
    pub(crate) fn expect_state(&self, len: usize) {
        self.board.promise_states(self.area_bytes_of_state(len));
    }

    /// It does not come, or the room that is left is told.
    pub(crate) fn expect_state_no_more(&self, len: usize) {
        let before = self.board.promise_states_no_more(self.area_bytes_of_state(len));
        invariant!(before >= self.area_bytes_of_state(len), "what comes was expected");
    }

    /// How many reactors share the places.
    pub(crate) fn reactors(&self) -> usize {
        self.taken.len()
    }

    /// The id of a new session, and its place.
    fn claim(&self) -> Option<u64> {
        match &self.seat {
            None => self.board.claim_session(),
            Some(seat) => self.board.claim_session_of(seat.commons().newest_session()?),
        }
    }

    /// Connections that other processes of this server have open.
    pub(crate) fn open_elsewhere(&self) -> u64 {
        self.seat.as_ref().map_or(0, SeatOf::open_elsewhere)
    }

    /// So many connections are open in this process.
    pub(crate) fn tell_open(&self, connections: u64) {
        if let Some(seat) = &self.seat {
            seat.set_open(connections);
        }
    }

    /// The reactor that the next connection is for, or `None` while all places are taken. One that
    /// was seen free stays free until the acceptor takes it, unless a session comes from another
    /// master.
    pub(crate) fn choose(&self, turn: usize) -> Option<usize> {
        let taken: Vec<u64> = self.taken.iter().map(|taken| taken.load(Ordering::SeqCst)).collect();
        emptiest(&taken, self.board.session_entries(), turn)
    }

    /// A connection goes to this reactor: the id of its session. `None`: all places are taken, or
    /// all ids are issued.
    pub(crate) fn take(&self, reactor: usize) -> Option<u64> {
        let session = self.claim()?;
        match self.taken.get(reactor) {
            Some(taken) => _ = taken.fetch_add(1, Ordering::Relaxed),
            None => invariant!(false, "a place is taken for a reactor that was chosen"),
        }
        Some(session)
    }

    /// So many places are kept for sessions that may come from another master.
    pub(crate) fn keep(&self, places: u64) {
        self.kept.store(places, Ordering::Relaxed);
    }

    /// Why no place is free, in words.
    pub(crate) fn why_full(&self) -> &'static str {
        let of_all = self.seat.as_ref().map(|seat| seat.commons().newest_session());
        let newest = of_all.flatten().map(|newest| newest.load(Ordering::Relaxed));
        if newest.unwrap_or_else(|| self.newest()) >= SESSION_ID_MAX {
            "no session id is left: restart the server"
        } else if self.kept.load(Ordering::Relaxed) > 0 {
            "all places of the session table are taken, some for sessions that may come from the \
             old master; accepting pauses until they have, which takes ten seconds at most"
        } else {
            "all places of the session table are taken, most by sessions whose end no worker has \
             seen yet; accepting pauses until busy workers have"
        }
    }

    /// Takes the place of a session that another master has, for one of the reactors. `None`:
    /// somebody has it.
    pub(crate) fn take_known(&self, session: u64, turn: usize) -> Option<usize> {
        let reactor = self.choose(turn)?;
        let taken = self.taken.get(reactor)?;
        if !self.board.claim_known_session(session) {
            return None;
        }
        taken.fetch_add(1, Ordering::Relaxed);
        Some(reactor)
    }

    /// A session that is not open yet has its place for another reactor.
    pub(crate) fn move_to(&self, from: usize, to: usize) {
        if let [Some(from), Some(to)] = [from, to].map(|reactor| self.taken.get(reactor)) {
            // In this order: never more places count as free than are.
            to.fetch_add(1, Ordering::SeqCst);
            from.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Ids of new sessions are so much higher than this one that the master which issued it never
    /// comes to them, and begin in the middle of the places that it will take next.
    pub(crate) fn go_on_behind(&self, session: u64) {
        let first = session.saturating_add(IDS_OF_A_MASTER);
        // A peer that says what cannot be costs new ids, and nothing else.
        let first = first.saturating_add(self.board.session_entries() / 2);
        self.board.start_sessions_behind(first.min(SESSION_ID_MAX));
    }

    /// The id that was issued last.
    pub(crate) fn newest(&self) -> u64 {
        self.board.newest_session()
    }

    /// Ids of the sessions that are open.
    pub(crate) fn open_sessions(&self) -> Vec<(u64, u16)> {
        let known = self.board.sessions().filter_map(|(session, _)| self.board.session(session));
        known.map(|record| (record.session, record.port)).collect()
    }

    /// Nothing is left of this session of this reactor.
    pub(crate) fn give_back(&self, reactor: usize, session: u64) {
        // Before it is counted: a place that counts as free is free.
        self.board.close_session(session);
        match self.taken.get(reactor) {
            Some(taken) => _ = taken.fetch_sub(1, Ordering::SeqCst),
            None => invariant!(false, "a reactor gives back places of its own"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_shm::board::BoardSizes;

    #[test]
    fn a_state_takes_whole_pages_and_none_if_its_entry_has_room() {
        let (reactors, sessions) = (2, 2);
        let sizes =
            BoardSizes { reactors, sessions, state_area: 4 * PAGE, ..BoardSizes::default() };
        let board = Arc::new(Board::create(sizes).unwrap().0);
        (0..reactors).for_each(|reactor| board.set_state_room(reactor, 4 * PAGE));
        let places = Places::new(Arc::clone(&board));
        let (short, long) = (board.state_bytes(), PAGE as usize + 1);
        for len in [short, long, short, long] {
            assert!(places.have_room_for_state(len));
            places.expect_state(len);
        }
        assert!(places.have_room_for_state(short), "in its entry");
        assert!(!places.have_room_for_state(short + 1), "two long ones take all four pages");
        places.expect_state_no_more(short);
        assert!(!places.have_room_for_state(short + 1));
        board.set_state_room(1, 2 * PAGE);
        places.expect_state_no_more(long);
        assert!(!places.have_room_for_state(short + 1), "one has come, one may come");
        places.expect_state_no_more(long);
        assert!(places.have_room_for_state(long));
    }

    #[test]
    fn why_no_place_is_free_is_said_as_it_is() {
        let sizes = BoardSizes { reactors: 1, sessions: 2, ..BoardSizes::default() };
        let places = Places::new(Arc::new(Board::create(sizes).unwrap().0));
        while places.choose(0).is_some() {
            places.take(0).unwrap();
        }
        assert_eq!(places.take(0), None);
        assert!(places.why_full().contains("most by sessions whose end no worker has seen yet"));
        places.keep(1);
        assert!(places.why_full().contains("some for sessions that may come from the old master"));
        places.go_on_behind(SESSION_ID_MAX);
        assert!(places.why_full().contains("no session id is left"));
    }
}
