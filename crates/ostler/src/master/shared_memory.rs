//! The memory that all processes of a server see, made before any of them is forked.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ostler_shm::board::{Board, BoardSizes};
use ostler_shm::commons::Commons;
use ostler_shm::roster::Roster;

use super::figures::Place;
use crate::base::commons::SeatOf;
use crate::error::{Error, Result};
use crate::options::{Mode, Options, SessionIds};
use crate::reactor::addresses::Addresses;
use crate::statistics::roster;
use crate::sys::random;

/// What all processes see.
pub(super) struct Shared {
    /// The session table. In BASE mode there is one in each process, and this one is empty: it is
    /// that of the switch.
    pub(super) board: Arc<Board>,
    /// In BASE mode: the commons, and the board again, for processes that have a lane to the
    /// switch.
    pub(super) base: Option<(Arc<Commons>, Option<OwnedFd>)>,
    pub(super) roster: Roster,
    /// Where the main thread tells of the server.
    pub(super) figures: Place,
    /// Board or commons, and the roster.
    pub(super) files: (OwnedFd, OwnedFd),
}

impl Shared {
    pub(super) fn make(options: &Options) -> Result<Self> {
        let is_base = options.mode == Mode::Base;
        let sizes = match is_base {
            true => BoardSizes { sessions: 1, ..options.of_switch().board_sizes() },
            false => options.board_sizes(),
        };
        let (board, board_fd) =
            Board::create(sizes).map_err(|error| Error::memory("the board", error.into_io()))?;
        let first = id_before_the_first(options)?;
        board.start_sessions_behind(first);
        let board = Arc::new(board);
        let (roster, roster_file) = roster::create(options)?;
        if !is_base {
            let files = (board_fd, roster_file);
            let figures = Place::of(&board, None);
            return Ok(Self { board, base: None, roster, files, figures });
        }
        let room = options.address_room(address_secret()?);
        let (commons, descriptor) = Commons::create(options.seats(), room)
            .map_err(|error| Error::memory("the commons of the workers", error))?;
        if let Some(newest) = commons.newest_session() {
            newest.store(first, Ordering::Relaxed);
        }
        let commons = Arc::new(commons);
        Ok(Self {
            figures: Place::of(&board, Some(Arc::clone(&commons))),
            board,
            base: Some((commons, options.has_switch().then_some(board_fd))),
            roster,
            files: (descriptor, roster_file),
        })
    }
}

/// What makes the numbers of addresses.
fn address_secret() -> Result<[u64; 2]> {
    let failed = |error| Error::start("cannot get a random number", Some(error));
    Ok([random::seed().map_err(failed)?, random::seed().map_err(failed)?])
}

/// What is known of the addresses of clients that the master serves, if any port limits them.
pub(super) fn make_addresses(options: &Options) -> Result<Addresses> {
    let room = options.address_room(address_secret()?);
    if options.mode == Mode::Base || (room.counts, room.rates) == (0, 0) {
        return Ok(Addresses::default());
    }
    let made = Commons::create(options.reactors.into(), room);
    let (commons, _) = made.map_err(|error| Error::memory("what is known of addresses", error))?;
    Ok(Addresses::at(SeatOf::own(commons)))
}

/// Session ids begin behind this one (decision 19).
fn id_before_the_first(options: &Options) -> Result<u64> {
    match options.session_ids {
        SessionIds::Sequential => Ok(options.start_session_id),
        SessionIds::RandomStart => {
            let seed = random::seed()
                .map_err(|error| Error::start("cannot get a random number", Some(error)))?;
            Ok(seed & (Options::START_SESSION_ID_MAX - 1))
        }
    }
}
