//! Sessions as this worker sees them: the board, and what it knows ahead of the board.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use ostler_core::brain::CloseReason;
use ostler_core::ids::ProcessKey;
use ostler_shm::board::Board;
use ostler_shm::session_traffic::SessionTraffic;
use ostler_shm::sessions::{self, CLOSING, FULL, QUEUED, SessionRecord};

use super::closed::{Cause, ClosedSessions};
use super::elsewhere::Elsewhere;
use super::output::Output;
use super::state::StateOverlay;
use crate::api::send_error::{SendError, SendErrorKind};

/// The session table, with the closes and states of this worker that it does not show yet.
pub(crate) struct Sessions {
    board: Rc<Board>,
    closed: RefCell<ClosedSessions>,
    states: RefCell<StateOverlay>,
    /// BASE mode: the sessions of other processes.
    elsewhere: OnceCell<Rc<dyn Elsewhere>>,
}

impl Sessions {
    /// `in_order`: deliveries of a session are finished in their order.
    pub(super) fn new(board: Rc<Board>, in_order: bool) -> Self {
        Self {
            board,
            closed: RefCell::new(ClosedSessions::new(in_order)),
            states: RefCell::default(),
            elsewhere: OnceCell::new(),
        }
    }

    /// BASE mode: sessions that are not here are there.
    pub(crate) fn join(&self, elsewhere: Rc<dyn Elsewhere>) {
        let _ = self.elsewhere.set(elsewhere);
    }

    /// The process of a session that is not here; `None` when it is, or nobody has it.
    pub(super) fn elsewhere(&self, session: u64) -> Option<&dyn Elsewhere> {
        let elsewhere = self.elsewhere.get()?;
        if self.board.home(session).is_some() {
            return None;
        }
        elsewhere.look(session, false).map(|_| &**elsewhere)
    }

    /// The processes that have other sessions.
    pub(super) fn others(&self) -> Option<&dyn Elsewhere> {
        self.elsewhere.get().map(|elsewhere| &**elsewhere)
    }

    /// BASE mode: whether the master has told this process to leave.
    pub(super) fn is_told_to_leave(&self) -> bool {
        self.others().is_some_and(Elsewhere::is_told_to_leave)
    }

    /// What the table says of a session; `None` when it has ended.
    pub(crate) fn record(&self, session: u64) -> Option<SessionRecord> {
        let own = self.board.session(session);
        own.or_else(|| self.elsewhere.get()?.record(session))
    }

    /// What came and went with a session; `None` when it has ended.
    pub(crate) fn traffic(&self, session: u64) -> Option<SessionTraffic> {
        let own = self.board.traffic(session);
        own.or_else(|| self.elsewhere.get()?.traffic(session))
    }

    /// The ids of all sessions that are not closing.
    pub(crate) fn open(&self) -> impl Iterator<Item = u64> + '_ {
        let others = self.elsewhere.get().map(|elsewhere| elsewhere.sessions());
        let all = self.board.sessions().chain(others.into_iter().flatten());
        all.filter(|(_, flags)| flags & CLOSING == 0).map(|(session, _)| session)
    }

    /// How many sessions this process has of its own, in BASE mode.
    pub(super) fn open_here(&self) -> usize {
        self.board.sessions().filter(|(_, flags)| flags & CLOSING == 0).count()
    }

    /// Whether `session` takes output now, of this delivery or of none.
    pub(super) fn check(
        &self,
        session: u64,
        is_send: bool,
        cause: Option<Cause>,
    ) -> Result<(), SendError> {
        let (flags, is_way_full, pressed) = match self.own_flags(session) {
            Some(flags) => (flags, false, None),
            None => {
                let seen = self.elsewhere.get().and_then(|elsewhere| elsewhere.look(session, true));
                let Some(seen) = seen else { return Err(SendError::gone(None)) };
                (seen.flags, seen.is_way_full, Some(seen.has_pressure))
            }
        };
        if flags & CLOSING != 0 {
            return Err(SendError::gone(closing_reason(flags)));
        }
        if let Some(reason) = self.closed.borrow().reason(session, cause) {
            return Err(SendError::gone(Some(reason)));
        }
        let has_pressure = || pressed.unwrap_or_else(|| self.board.pressure());
        let full = flags & FULL != 0 || is_way_full || (flags & QUEUED != 0 && has_pressure());
        if is_send && full {
            return Err(SendError::new(SendErrorKind::Full));
        }
        Ok(())
    }

    /// Whether a session takes a file, if the output is one: another process is not given any, and
    /// here there must be a place for it.
    pub(super) fn check_files(&self, session: u64, output: Output<'_>) -> Result<(), SendError> {
        match output {
            Output::File(_) if self.elsewhere(session).is_some() => {
                Err(SendErrorKind::OtherWorker.into())
            }
            Output::File(_) if self.board.files_full() => Err(SendErrorKind::Full.into()),
            _ => Ok(()),
        }
    }

    /// Whether a session takes a part of a stream. What `is_begun` goes on behind a close, which
    /// comes after everything that was sent before it.
    pub(super) fn check_stream(&self, session: u64, is_begun: bool) -> Result<(), SendError> {
        let Some(flags) = self.flags(session) else { return Err(SendError::gone(None)) };
        let shown = if flags & CLOSING != 0 { Some(closing_reason(flags)) } else { None };
        let own = || self.closed.borrow().reason(session, None).map(Some);
        match shown.or_else(own) {
            None => Ok(()),
            Some(Some(reason)) if is_begun && !reason.is_abrupt() => Ok(()),
            Some(reason) => Err(SendError::gone(reason)),
        }
    }

    /// How much of a stream of this worker is written; `None` as long as its turn has not come.
    pub(super) fn stream_written(
        &self,
        session: u64,
        owner: ProcessKey,
        stream: u32,
    ) -> Option<u64> {
        self.board.entry(session)?.stream_written(session, owner.pack(), stream)
    }

    /// Whether memory for output is short.
    pub(super) fn has_pressure(&self) -> bool {
        self.board.pressure()
    }

    /// A close is in the lane.
    pub(super) fn note_close(&self, session: u64, reset: bool) {
        let is_shown = |session| self.shows_closing(session);
        self.closed.borrow_mut().append(session, close_reason(reset), is_shown);
    }

    /// A close was held back for this delivery: nothing of it may follow.
    pub(super) fn note_held_close(&self, session: u64, reset: bool, cause: Cause) {
        let is_shown = |session| self.shows_closing(session);
        self.closed.borrow_mut().hold(session, close_reason(reset), cause, is_shown);
    }

    /// Whether this package is finished without its handler: a worker has closed the session, and
    /// what its client sent behind that is not asked for any more.
    /// With `discards_gone` the same is so when the client's connection has failed.
    pub(super) fn skips_package(&self, package: Cause, discards_gone: bool) -> bool {
        let is_shown = match self.shown_reason(package.session) {
            Some(CloseReason::Worker | CloseReason::WorkerReset) => true,
            Some(CloseReason::PeerError) => discards_gone,
            _ => false,
        };
        is_shown || self.closed.borrow().skips(package)
    }

    /// Whether nothing that is sent to a session reaches its client any more: it is gone, or its
    /// session closing.
    pub(crate) fn is_gone(&self, session: u64) -> bool {
        self.shows_closing(session)
    }

    /// Why a session is closing, as the session table shows it.
    pub(super) fn shown_reason(&self, session: u64) -> Option<CloseReason> {
        closing_reason(self.own_flags(session)?)
    }

    /// The state of a session: what this worker has set, or else what the table shows.
    pub(crate) fn state(&self, session: u64) -> Vec<u8> {
        let own = self.board.state(session);
        let shown = own.or_else(|| self.elsewhere.get()?.state(session));
        let Some(shown) = shown else { return Vec::new() };
        match self.states.borrow_mut().get(session, shown.version) {
            Some(newer) => newer.to_vec(),
            None => shown.bytes,
        }
    }

    /// Bytes of the longest state for which a session's entry has room.
    pub(super) fn state_bytes(&self) -> usize {
        self.board.state_bytes()
    }

    /// Bytes of the longest state for which the reactor of a session has room besides; `None` when
    /// the session has ended.
    pub(super) fn state_room(&self, session: u64) -> Option<u64> {
        // What is promised to sessions that may come from another master is not theirs.
        let promised = self.board.promised_states();
        let own = || {
            let room = self.board.state_room(usize::from(self.board.home(session)?.reactor));
            Some(room.saturating_sub(promised))
        };
        let other = || Some(self.elsewhere.get()?.look(session, false)?.state_room);
        own().or_else(other)
    }

    /// A state is on its way to the table.
    pub(crate) fn note_state(&self, session: u64, state: &[u8]) {
        let shown = |session| {
            let own = self.board.state_version(session);
            own.or_else(|| Some(self.elsewhere.get()?.record(session)?.state_version))
        };
        self.states.borrow_mut().set(session, state, shown);
    }

    /// The session is gone.
    pub(super) fn forget(&self, session: u64) {
        self.states.borrow_mut().forget(session);
        self.closed.borrow_mut().forget(session);
    }

    /// The lane to a session's reactor. That of a session which has ended meanwhile is any: there
    /// what is sent to it is counted as too late.
    pub(super) fn lane(&self, session: u64) -> usize {
        self.board.home(session).map_or(0, |home| usize::from(home.reactor))
    }

    fn flags(&self, session: u64) -> Option<u64> {
        let elsewhere = || Some(self.elsewhere.get()?.look(session, false)?.flags);
        self.own_flags(session).or_else(elsewhere)
    }

    fn own_flags(&self, session: u64) -> Option<u64> {
        self.board.entry(session)?.flags_of(session)
    }

    /// Whether the session table shows a session as closing, or as gone.
    fn shows_closing(&self, session: u64) -> bool {
        self.flags(session).is_none_or(|flags| flags & CLOSING != 0)
    }
}

/// The reason in the flags of a session that is closing.
fn closing_reason(flags: u64) -> Option<CloseReason> {
    sessions::closing_reason(flags).and_then(CloseReason::from_number)
}

const fn close_reason(reset: bool) -> CloseReason {
    if reset { CloseReason::WorkerReset } else { CloseReason::Worker }
}
