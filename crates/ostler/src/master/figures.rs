//! What the master's main thread tells of the life of the server, in memory that every process
//! reads.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ostler_core::accepting::AcceptCounts;
use ostler_core::brain::Books;
use ostler_core::ids::{ProcessKey, ProcessKind};
use ostler_core::statistics::ServerFigures;
use ostler_core::supervisor::ReloadOutcome;
use ostler_shm::account::Account;
use ostler_shm::board::Board;
use ostler_shm::commons::Commons;
use ostler_shm::roster::Roster;

use super::accepting::Accepting;
use super::event_loop::Master;
use crate::options::Options;
use crate::statistics::{self, Figures, roster};
use crate::sys::process;

/// Where they are written.
pub(super) enum Place {
    Board(Arc<Board>),
    /// With the board of the switch.
    Commons(Arc<Commons>, Arc<Board>),
}

impl Place {
    /// The commons in BASE mode, else the board.
    pub(super) fn of(board: &Arc<Board>, commons: Option<Arc<Commons>>) -> Self {
        let board = Arc::clone(board);
        match commons {
            Some(commons) => Self::Commons(commons, board),
            None => Self::Board(board),
        }
    }

    fn server(&self) -> Option<Account<'_>> {
        match self {
            Self::Board(board) => board.server_account(),
            Self::Commons(commons, _) => commons.server_account(),
        }
    }

    fn rest(&self) -> Option<Account<'_>> {
        match self {
            Self::Board(board) => board.rest_account(),
            Self::Commons(commons, _) => commons.rest_account(),
        }
    }
}

/// What is told, and what was told last.
pub(super) struct MasterFigures {
    place: Place,
    /// Where processes show what they do.
    roster: Roster,
    server: ServerFigures,
    told: ServerFigures,
    /// What the main thread has accepted and refused, once that is over.
    accepting: AcceptCounts,
    told_rest: Books,
    /// A reload has begun and is not over.
    reloads: bool,
}

impl MasterFigures {
    /// Those of a server that starts now.
    pub(super) fn new(options: &Options, place: Place, roster: Roster) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let reactors = match &place {
            Place::Board(board) => board.reactors(),
            Place::Commons(..) => 0,
        };
        Self {
            server: ServerFigures {
                started_at_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
                master_pid: number_of(process::current().get()),
                task_workers: options.task_workers.into(),
                user_processes: options.user_processes.into(),
                reactors: reactors as u64,
                max_connections: options.max_connections.into(),
                budget_bytes: options.memory_budget as u64,
                ..ServerFigures::default()
            },
            place,
            roster,
            told: ServerFigures::default(),
            accepting: AcceptCounts::default(),
            told_rest: Books::default(),
            reloads: false,
        }
    }

    /// Where processes show what they do.
    pub(super) const fn roster(&self) -> &Roster {
        &self.roster
    }

    /// When the server was started.
    pub(super) fn started_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.server.started_at_ms)
    }

    /// All figures of the server, as its processes read them, too.
    pub(super) fn read(&self) -> Figures {
        match &self.place {
            Place::Board(board) => statistics::read_board(board),
            Place::Commons(commons, switch) => statistics::read_commons(commons, Some(switch)),
        }
    }

    /// A process was started.
    pub(super) const fn process_started(&mut self) {
        self.server.processes_started += 1;
    }

    /// A process has ended, and nobody had asked it to.
    pub(super) fn process_died(&mut self, key: ProcessKey) {
        self.server.deaths += 1;
        self.server.worker_deaths += u64::from(key.kind == ProcessKind::Event);
    }

    /// A process was asked to leave.
    pub(super) fn process_leaves(&self, key: ProcessKey) {
        if let Some(place) = roster::place_of(&self.roster, key) {
            place.leaves(key.pack());
        }
    }

    /// A process is gone.
    pub(super) fn process_gone(&self, key: ProcessKey) {
        if let Some(place) = roster::place_of(&self.roster, key) {
            place.end(key.pack());
        }
    }

    /// A turn of a reactor took long.
    pub(super) const fn reactor_lags(&mut self) {
        self.server.reactor_lags += 1;
    }

    /// A manager was lost.
    pub(super) const fn manager_died(&mut self) {
        self.server.manager_deaths += 1;
    }

    /// A reload has begun, or begun anew because its manager died in it.
    pub(super) const fn reload_began(&mut self) {
        if !self.reloads {
            self.server.reloads_begun += 1;
            self.reloads = true;
        }
    }

    /// It is over.
    pub(super) const fn reload_ended(&mut self, outcome: ReloadOutcome) {
        if !self.reloads {
            return; // it was over before it began
        }
        self.reloads = false;
        match outcome {
            ReloadOutcome::Done => self.server.reloads_done += 1,
            ReloadOutcome::NothingToReload => {}
            ReloadOutcome::CanaryFailed(_)
            | ReloadOutcome::Partial(_)
            | ReloadOutcome::ShuttingDown => self.server.reloads_failed += 1,
        }
    }

    /// The main thread accepts nobody any more.
    pub(super) const fn accepting_ended(&mut self, counts: AcceptCounts) {
        self.accepting = counts;
    }

    fn tell(&mut self, rest: Books) {
        if self.server != self.told
            && let Some(account) = self.place.server()
        {
            statistics::write_server(account, &self.server);
            self.told = self.server;
        }
        if rest != self.told_rest
            && let Some(account) = self.place.rest()
        {
            statistics::write_books(account, &rest);
            self.told_rest = rest;
        }
    }
}

/// A process number as it is told.
fn number_of(pid: i32) -> u64 {
    u64::try_from(pid).unwrap_or(0)
}

impl Master {
    /// Tells what has changed in this turn.
    pub(super) fn tell_figures(&mut self) {
        let mut rest = self.base.as_ref().map_or_else(Books::default, |base| base.books().clone());
        let accepting = self.accepting.as_ref().map_or(&self.figures.accepting, Accepting::counts);
        rest.accepting.add(accepting);
        self.figures.server.workers = self.size.wanted().into();
        self.figures.server.manager_pid = number_of(self.managers.current.pid.get());
        self.figures.tell(rest);
        if let Some(base) = &mut self.base {
            base.books_are_told();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_shm::board::BoardSizes;

    fn figures() -> MasterFigures {
        let sizes = BoardSizes { reactors: 1, sessions: 64, ..BoardSizes::default() };
        let (board, _) = Board::create(sizes).unwrap();
        let (roster, _) = roster::create(&Options::default()).unwrap();
        MasterFigures::new(&Options::default(), Place::Board(Arc::new(board)), roster)
    }

    /// What has begun has ended, or there is one at most.
    #[test]
    fn a_reload_is_counted_once_though_its_manager_dies_in_it() {
        let mut figures = figures();
        let reloads = |figures: &MasterFigures| {
            let ServerFigures { reloads_begun, reloads_done, reloads_failed, .. } = figures.server;
            (reloads_begun, reloads_done, reloads_failed)
        };
        figures.reload_began();
        figures.reload_began(); // by the next manager
        assert_eq!(reloads(&figures), (1, 0, 0));
        figures.reload_ended(ReloadOutcome::Done);
        figures.reload_ended(ReloadOutcome::ShuttingDown); // nobody had begun it
        assert_eq!(reloads(&figures), (1, 1, 0));
        figures.reload_began();
        figures.reload_ended(ReloadOutcome::ShuttingDown);
        assert_eq!(reloads(&figures), (2, 1, 1));
    }
}
