//! The board: one memory file that the master writes and every worker reads — the session table,
//! the reactors' sleep words, the memory pressure.
//!
//! It lives as long as the master. Later slots of it (scoreboard, counters) are appended;
//! [`crate::layout::PROTOCOL`] changes with them.

pub use crate::board_heads::{BoardHead, GroupsHead, NewestSession, SleepWord};
#[cfg(not(loom))]
pub use crate::board_sizes::{BODY_AREA_MAX, BoardSizes, STATE_AREA_MAX};
#[cfg(not(loom))]
pub use file::{Board, BoardError};

#[cfg(not(loom))]
mod file {
    use super::{BoardHead, GroupsHead, NewestSession, SleepWord};
    use crate::account::Account;
    use crate::board_areas::AreasTaken;
    use crate::board_sizes::{BoardSizes, SESSIONS_AT, WORD_PLACES};
    use crate::group_index::{GroupIndex, GroupSizes};
    use crate::layout::{BOARD_MAGIC, PAGE, PROTOCOL};
    use crate::mapping::{self, Mapping, Writer};
    use crate::session_ids::SessionIds;
    use crate::session_traffic::SessionTraffic;
    use crate::sessions::{Entry, EntryHead, Home, Peer, SessionRecord};
    use crate::sync::{AtomicU64, Ordering};
    use rustix::fd::{AsFd, OwnedFd};
    use std::io;
    use std::sync::Arc;

    const SLEEP_AT: u64 = PAGE;
    const NEWEST_AT: u64 = size_of::<BoardHead>() as u64;
    const GROUPS_HEAD_AT: u64 = NEWEST_AT + size_of::<NewestSession>() as u64;

    /// Why a board cannot be used.
    #[derive(Debug)]
    pub struct BoardError(&'static str, Option<io::Error>);

    impl std::fmt::Display for BoardError {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            match &self.1 {
                Some(error) => write!(f, "{}: {error}", self.0),
                None => f.write_str(self.0),
            }
        }
    }

    impl std::error::Error for BoardError {}

    impl BoardError {
        /// What the system said, if it was asked.
        #[must_use]
        pub fn into_io(self) -> io::Error {
            let Self(what, error) = self;
            error.unwrap_or_else(|| io::Error::other(what))
        }
    }

    /// A mapping of the board, the master's writable one or a worker's read-only one.
    #[derive(Debug)]
    pub struct Board {
        pub(crate) mapping: Arc<Mapping>,
        pub(crate) sizes: BoardSizes,
        pub(crate) areas_taken: AreasTaken,
    }

    impl Board {
        /// Master: makes the board. The descriptor is for the workers; it can only be mapped
        /// read-only from now on.
        ///
        /// # Errors
        /// When memory or descriptors are lacking, or the sizes are impossible.
        pub fn create(sizes: BoardSizes) -> Result<(Self, OwnedFd), BoardError> {
            let len = sizes.board_len().ok_or(BoardError("impossible board sizes", None))?;
            let io = |error| BoardError("cannot make the board", Some(error));
            let fd = mapping::create("ostler-board", len, false).map_err(io)?;
            let mapping = Arc::new(Mapping::new(&fd, len, true).map_err(io)?);
            mapping::seal(&fd, Writer::Existing).map_err(io)?;
            let board = Self { mapping, sizes, areas_taken: AreasTaken::default() };
            let head = board.head().ok_or(BoardError("the board has no head", None))?;
            head.magic.store(BOARD_MAGIC, Ordering::Relaxed);
            head.protocol.store(PROTOCOL, Ordering::Relaxed);
            head.reactors.store(sizes.reactors as u64, Ordering::Relaxed);
            head.state_bytes.store(sizes.state_bytes as u64, Ordering::Relaxed);
            head.body_area.store(sizes.body_area, Ordering::Relaxed);
            head.state_area.store(sizes.state_area, Ordering::Relaxed);
            board.begin_groups().map_err(io)?;
            head.sessions.store(sizes.sessions, Ordering::Release);
            Ok((board, fd))
        }

        /// Worker: maps the board read-only and checks that it speaks this protocol.
        ///
        /// # Errors
        /// When the file is not a board of this protocol, or mapping fails.
        pub fn open(fd: impl AsFd) -> Result<Self, BoardError> {
            let io = |error| BoardError("cannot map the board", Some(error));
            let size = rustix::fs::fstat(&fd).map_err(|error| io(error.into()))?.st_size;
            let len = u64::try_from(size).unwrap_or(0);
            let mapping = Arc::new(Mapping::new(&fd, len, false).map_err(io)?);
            let sizes = BoardSizes::default();
            let mut board = Self { mapping, sizes, areas_taken: AreasTaken::default() };
            let head = board.head().ok_or(BoardError("the board is too short", None))?;
            if head.magic.load(Ordering::Acquire) != BOARD_MAGIC {
                return Err(BoardError("the file is not a board", None));
            }
            if head.protocol.load(Ordering::Relaxed) != PROTOCOL {
                return Err(BoardError(
                    "the board speaks another protocol: rebuild the worker",
                    None,
                ));
            }
            let number = |word: &AtomicU64| {
                usize::try_from(word.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
            };
            let sizes = BoardSizes {
                reactors: number(&head.reactors),
                sessions: head.sessions.load(Ordering::Relaxed),
                state_bytes: number(&head.state_bytes),
                body_area: head.body_area.load(Ordering::Relaxed),
                state_area: head.state_area.load(Ordering::Relaxed),
                groups: board.group_sizes(),
            };
            if sizes.board_len().is_none_or(|needed| needed > len) {
                return Err(BoardError("the board's sizes do not fit its length", None));
            }
            board.sizes = sizes;
            Ok(board)
        }

        /// The same for a board that another process has made, which is not trusted.
        ///
        /// # Errors
        /// Those of [`Board::open`]; also when its size can change.
        pub fn open_of_other(fd: impl AsFd) -> Result<Self, BoardError> {
            if !mapping::has_fixed_size(&fd) {
                return Err(BoardError("the board's size can change", None));
            }
            Self::open(fd)
        }

        /// What it begins with.
        pub(crate) fn head(&self) -> Option<&BoardHead> {
            self.mapping.words::<BoardHead>(0)
        }

        /// Number of reactors.
        #[must_use]
        pub const fn reactors(&self) -> usize {
            self.sizes.reactors
        }

        /// Bytes of a session's state at most.
        #[must_use]
        pub const fn state_bytes(&self) -> usize {
            self.sizes.state_bytes
        }

        /// Entries of the session table.
        #[must_use]
        pub const fn session_entries(&self) -> u64 {
            self.sizes.sessions
        }

        /// A reactor's sleep word.
        #[must_use]
        pub fn reactor_sleep(&self, reactor: usize) -> Option<&AtomicU64> {
            self.line_of(reactor).map(|line| &line.epoch)
        }

        /// The words that a reactor writes about itself.
        pub(crate) fn line_of(&self, reactor: usize) -> Option<&SleepWord> {
            if reactor >= self.sizes.reactors {
                return None;
            }
            self.mapping.words(SLEEP_AT + (reactor * size_of::<SleepWord>()) as u64)
        }

        /// Master: says whether the memory budget is tight.
        pub fn set_pressure(&self, tight: bool) {
            if let Some(head) = self.head() {
                head.pressure.store(u64::from(tight), Ordering::Relaxed);
            }
        }

        /// Whether the memory budget is tight.
        #[must_use]
        pub fn pressure(&self) -> bool {
            self.head().is_some_and(|head| head.pressure.load(Ordering::Relaxed) == 1)
        }

        /// Master: says whether nearly as many files wait to be sent as may.
        pub fn set_files_full(&self, full: bool) {
            if let Some(head) = self.head() {
                head.files_full.store(u64::from(full), Ordering::Relaxed);
            }
        }

        /// Whether nearly as many files wait to be sent as may.
        #[must_use]
        pub fn files_full(&self) -> bool {
            self.head().is_some_and(|head| head.files_full.load(Ordering::Relaxed) == 1)
        }

        /// The entry where a session lives if it is open.
        #[must_use]
        pub fn entry(&self, session: u64) -> Option<Entry<'_>> {
            self.entry_at(self.entry_number(session))
        }

        fn entry_at(&self, index: u64) -> Option<Entry<'_>> {
            let at = SESSIONS_AT + index * self.sizes.stride();
            let head = self.mapping.words::<EntryHead>(at)?;
            let words = self.sizes.state_bytes.div_ceil(size_of::<u64>());
            let state = self.mapping.word_slice(at + size_of::<EntryHead>() as u64, words)?;
            Some(Entry::new(head, state))
        }

        /// A consistent copy of a session's record; `None` when it is gone.
        #[must_use]
        pub fn session(&self, session: u64) -> Option<SessionRecord> {
            self.entry(session)?.read().filter(|record| record.session == session)
        }

        /// What came and went with a session; `None` when it is gone.
        #[must_use]
        pub fn traffic(&self, session: u64) -> Option<SessionTraffic> {
            self.entry(session)?.traffic(session)
        }

        /// Where a session lives in the master; `None` when it is gone. Cheap; see
        /// [`Entry::flags_of`].
        #[must_use]
        pub fn home(&self, session: u64) -> Option<Home> {
            self.entry(session)?.home_of(session)
        }

        /// Master, before the first session: ids begin behind this one.
        pub fn start_sessions_behind(&self, id: u64) {
            if let Some(newest) = self.newest() {
                newest.store(id, Ordering::Relaxed);
            }
        }

        /// Master: issues the id of a new session, and takes the entry for it. `None`: all entries
        /// are taken.
        #[must_use]
        pub fn claim_session(&self) -> Option<u64> {
            self.session_ids()?.claim()
        }

        /// The id that was issued last.
        #[must_use]
        pub fn newest_session(&self) -> u64 {
            self.newest().map_or(0, |newest| newest.load(Ordering::Relaxed))
        }

        /// Master: takes the entry for an id that another master has issued. False: it is taken.
        #[must_use]
        pub fn claim_known_session(&self, session: u64) -> bool {
            self.session_ids().is_some_and(|ids| ids.claim_known(session))
        }

        /// The same with a counter that several boards have in common.
        #[must_use]
        pub fn claim_session_of(&self, newest: &AtomicU64) -> Option<u64> {
            SessionIds::new(newest, self.occupancy()?, self.sizes.sessions).claim()
        }

        /// Master, the session's reactor: a session begins whose id was claimed.
        pub fn open_session(
            &self,
            session: u64,
            home: Home,
            port: u16,
            peer: impl Into<Peer>,
            connected_at_ns: u64,
        ) {
            if let Some(entry) = self.entry(session) {
                entry.open(session, home, port, peer, connected_at_ns);
            }
        }

        /// Master, the session's reactor, or who claimed its id if it never began: nothing is left
        /// of the session, its entry is free.
        pub fn close_session(&self, session: u64) {
            if let (Some(entry), Some(ids)) = (self.entry(session), self.session_ids()) {
                entry.close();
                ids.release(session);
            }
        }

        fn newest(&self) -> Option<&AtomicU64> {
            self.mapping.words::<NewestSession>(NEWEST_AT).map(|newest| &newest.id)
        }

        fn session_ids(&self) -> Option<SessionIds<'_>> {
            Some(SessionIds::new(self.newest()?, self.occupancy()?, self.sizes.sessions))
        }

        /// A bit for each entry that is taken.
        fn occupancy(&self) -> Option<&[AtomicU64]> {
            let at = SESSIONS_AT + self.sizes.entries_len()?;
            let words = self.sizes.sessions.div_ceil(WORD_PLACES);
            self.mapping.word_slice(at, usize::try_from(words).ok()?)
        }

        /// Master: groups can be joined from now on.
        fn begin_groups(&self) -> io::Result<()> {
            let head = self.mapping.words::<GroupsHead>(GROUPS_HEAD_AT);
            let Some(head) = head else { return Ok(()) };
            head.groups.store(self.sizes.groups.groups, Ordering::Relaxed);
            head.of_session.store(self.sizes.groups.of_session, Ordering::Relaxed);
            for word in &head.key {
                word.store(mapping::random_word()?, Ordering::Relaxed);
            }
            Ok(())
        }

        fn group_sizes(&self) -> GroupSizes {
            let head = self.mapping.words::<GroupsHead>(GROUPS_HEAD_AT);
            head.map_or_else(GroupSizes::default, |head| GroupSizes {
                groups: head.groups.load(Ordering::Relaxed),
                of_session: head.of_session.load(Ordering::Relaxed),
            })
        }

        /// What there is to know of groups. `None`: not a board of its sizes.
        #[must_use]
        pub fn groups(&self) -> Option<GroupIndex<'_>> {
            let head = self.mapping.words::<GroupsHead>(GROUPS_HEAD_AT)?;
            let key = [0, 1].map(|at| head.key.get(at).map_or(0, |k| k.load(Ordering::Relaxed)));
            let sizes = self.sizes.groups;
            let words = sizes.words(self.sizes.sessions, self.sizes.reactors)?;
            let words =
                self.mapping.word_slice(self.sizes.groups_at()?, usize::try_from(words).ok()?)?;
            GroupIndex::new(words, key, sizes, self.sizes.sessions)
        }

        /// The books of a reactor, which that writes.
        #[must_use]
        pub fn reactor_account(&self, reactor: usize) -> Option<Account<'_>> {
            if reactor < self.sizes.reactors { self.account(reactor) } else { None }
        }

        /// What the master's main thread writes of the life of the server.
        #[must_use]
        pub fn server_account(&self) -> Option<Account<'_>> {
            self.account(self.sizes.reactors)
        }

        /// What the master's main thread writes of what concerns no reactor's books.
        #[must_use]
        pub fn rest_account(&self) -> Option<Account<'_>> {
            self.account(self.sizes.reactors.checked_add(1)?)
        }

        fn account(&self, number: usize) -> Option<Account<'_>> {
            Account::of_page(&self.mapping, self.sizes.account_at(number)?)
        }

        /// The entry of a session in the table.
        #[must_use]
        pub const fn entry_number(&self, session: u64) -> u64 {
            session & self.sizes.sessions.saturating_sub(1)
        }

        /// Ids and flags of all open sessions, in the order of their entries. Costs by the number
        /// of open sessions, and a word for 64 entries of the table.
        pub fn sessions(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
            let words = self.occupancy().unwrap_or_default().iter().enumerate();
            words.flat_map(move |(word, bits)| {
                let first = word as u64 * WORD_PLACES;
                // An entry is taken before its session begins: then it has no id yet.
                Bits(bits.load(Ordering::Acquire))
                    .filter_map(move |bit| self.entry_at(first + bit)?.id_and_flags())
            })
        }
    }

    /// The numbers of the bits that are set, from the lowest.
    struct Bits(u64);

    impl Iterator for Bits {
        type Item = u64;

        fn next(&mut self) -> Option<u64> {
            let bit = u64::from((self.0 != 0).then(|| self.0.trailing_zeros())?);
            self.0 &= self.0 - 1;
            Some(bit)
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::account::ACCOUNT_WORDS_MAX;
        use std::net::SocketAddr;

        #[test]
        fn a_board_of_another_process_has_a_fixed_size() {
            let sizes = BoardSizes { reactors: 1, sessions: 64, ..BoardSizes::default() };
            let (_board, fd) = Board::create(sizes).unwrap();
            assert_eq!(Board::open_of_other(&fd).unwrap().session_entries(), 64);
            let open = mapping::create("open", 1 << 16, false).unwrap();
            assert!(Board::open_of_other(&open).is_err());
            let (pipe, _) = rustix::pipe::pipe().unwrap();
            assert!(Board::open_of_other(&pipe).is_err());
        }

        #[test]
        fn a_worker_reads_what_the_master_writes_and_cannot_write_itself() {
            let (master, fd) = Board::create(BoardSizes {
                reactors: 2,
                sessions: 64,
                state_bytes: 192,
                ..BoardSizes::default()
            })
            .unwrap();
            let worker = Board::open(&fd).unwrap();
            master.start_sessions_behind(8);
            let session = master.claim_session().unwrap();
            assert_eq!((session, worker.session(session)), (9, None), "claimed, not begun");
            assert_eq!(worker.sessions().count(), 0);
            let peer = SocketAddr::from(([127, 0, 0, 1], 80));
            let home = Home { reactor: 1, place: 30 };
            master.open_session(session, home, 7, peer, 5);
            assert_eq!(worker.home(session), Some(home));
            assert_eq!(worker.session(session).unwrap().peer, peer.into());
            assert_eq!(worker.session(session).unwrap().port, 7);
            assert_eq!(worker.sessions().collect::<Vec<_>>(), [(session, 0)]);
            assert!(worker.session(9 + 64).is_none(), "same entry, other id");
            assert_eq!((worker.home(9 + 64), worker.home(0)), (None, None));
            assert!(Mapping::new(&fd, 4096, true).is_err(), "sealed against writable maps");
        }

        #[test]
        fn each_account_has_a_place_of_its_own() {
            let body_area = 1 << 16;
            let sizes =
                BoardSizes { reactors: 3, sessions: 64, body_area, ..BoardSizes::default() };
            let (master, fd) = Board::create(sizes).unwrap();
            let worker = Board::open(&fd).unwrap();
            let of = |board: &Board, number| match number {
                0..3 => board.reactor_account(number).unwrap().read_words(),
                3 => board.server_account().unwrap().read_words(),
                _ => board.rest_account().unwrap().read_words(),
            };
            for number in 0..3 {
                let words = [number as u64 + 1; ACCOUNT_WORDS_MAX];
                master.reactor_account(number).unwrap().write(&words);
            }
            master.server_account().unwrap().write(&[4; ACCOUNT_WORDS_MAX]);
            master.rest_account().unwrap().write(&[5; ACCOUNT_WORDS_MAX]);
            let _area = master.take_body_area(0).unwrap();
            for number in 0..5 {
                assert_eq!(of(&worker, number), [number as u64 + 1; ACCOUNT_WORDS_MAX]);
            }
            assert!(worker.reactor_account(3).is_none());
        }

        #[test]
        fn a_strange_file_is_refused() {
            let fd = mapping::create("strange", 1 << 16, false).unwrap();
            assert!(Board::open(&fd).is_err());
            let short = mapping::create("short", 8, false).unwrap();
            assert!(Board::open(&short).is_err());
        }
    }
}
