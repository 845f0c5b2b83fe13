//! The memory of lanes that are published by one word: those to all reactors of a master, or that
//! to the reactor in this thread; and in BASE mode, besides, that to the switch.

use std::io;
use std::rc::Rc;

use ostler_core::invariant;
use ostler_shm::board::Board;
use ostler_shm::lane::{WorkerLane, WorkerMemory};
use ostler_shm::layout::Sizes;
use ostler_shm::outbox::Committer;
use ostler_shm::sleep::Sleeper;
use ostler_shm::words::ProcessWords;

/// It, with what this process has to remember of its words.
pub(super) struct Home {
    memory: WorkerMemory,
    board: Rc<Board>,
    committer: Committer,
    sleeper: Sleeper,
    room: Sleeper,
}

impl Home {
    pub(super) fn new(memory: WorkerMemory, board: Board) -> Self {
        Self {
            memory,
            board: Rc::new(board),
            committer: Committer::default(),
            sleeper: Sleeper::default(),
            room: Sleeper::default(),
        }
    }

    pub(super) fn board(&self) -> Rc<Board> {
        Rc::clone(&self.board)
    }

    pub(super) fn lane(&self, reactor: usize) -> io::Result<WorkerLane> {
        self.memory.lane(reactor).map_err(io::Error::other)
    }

    pub(super) const fn sizes(&self) -> Sizes {
        self.memory.sizes()
    }

    /// The words of this process.
    pub(super) fn words(&self) -> Option<&ProcessWords> {
        words(&self.memory)
    }

    /// The number that records appended now carry.
    pub(super) const fn open_transaction(&self) -> u64 {
        self.committer.open_transaction()
    }

    /// Publishes what was written.
    pub(super) fn commit(&mut self) {
        if let Some(words) = words(&self.memory) {
            self.committer.commit(words);
        }
    }

    /// Says that this process is about to sleep.
    pub(super) fn announce_sleep(&mut self) {
        if let Some(words) = words(&self.memory) {
            self.sleeper.announce(&words.sleep.worker_sleep);
        }
    }

    /// Says that it is awake.
    pub(super) fn wake(&mut self) {
        if let Some(words) = words(&self.memory) {
            self.sleeper.awake(&words.sleep.worker_sleep);
        }
    }

    /// Says that this process waits for room.
    pub(super) fn announce_want(&mut self) {
        if let Some(words) = words(&self.memory) {
            self.room.announce(&words.sleep.room_want);
        }
    }

    /// Says that it does not any more.
    pub(super) fn wants_no_more(&mut self) {
        if let Some(words) = words(&self.memory) {
            self.room.awake(&words.sleep.room_want);
        }
    }
}

fn words(memory: &WorkerMemory) -> Option<&ProcessWords> {
    let words = memory.process().ok();
    invariant!(words.is_some(), "memory that could be opened has the words of its process");
    words
}
