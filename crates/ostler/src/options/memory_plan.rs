//! How much memory a server will use at most for what it can plan.

use std::fmt;

use ostler_shm::sessions::entry_stride;

use super::size::about;
use super::{Mode, Options};

impl Options {
    /// How much memory the server will use at most for what it can plan: lanes, board, budget. One
    /// item a line.
    ///
    /// Kernel buffers of sockets, and the memory of user code, are not in it.
    #[must_use]
    pub fn memory_plan(&self) -> String {
        self.planned().to_string()
    }

    /// The same as numbers.
    pub(crate) fn planned(&self) -> MemoryPlan {
        let sizes = self.lane_sizes();
        let to_switch = self.has_switch().then(|| self.switch_lane_sizes());
        let to_switch = to_switch.map_or(0, |sizes| sizes.down_len() + sizes.up_len());
        MemoryPlan {
            to_switch,
            reactors: self.lanes_of_worker() as u64,
            workers: u64::from(self.workers_room() + self.task_workers),
            processes: u64::from(self.single_processes()),
            boards: match self.mode {
                Mode::Base => {
                    let workers = u64::from(self.workers) + u64::from(self.task_workers);
                    workers + u64::from(self.single_processes())
                }
                Mode::Process => 1,
            },
            connections: self.max_connections,
            ring: sizes.lane_size,
            answers: sizes.answers_size(),
            worker: sizes.down_len() + sizes.up_len(),
            entries: self.session_entries(),
            entry: entry_stride(self.session_state_size) as u64,
            budget: self.memory_budget as u64,
        }
    }
}

/// How much memory a server will use at most for what it can plan.
pub(crate) struct MemoryPlan {
    reactors: u64,
    workers: u64,
    /// Processes that serve nobody.
    processes: u64,
    /// Session tables.
    boards: u64,
    connections: u32,
    /// Bytes of a package ring or an output ring.
    ring: u64,
    /// Bytes of a ring for answers.
    answers: u64,
    /// Bytes of both memory files of a worker.
    worker: u64,
    /// Bytes of those of its lane to the switch of BASE mode, if there is one.
    to_switch: u64,
    /// Entries of the session table.
    entries: u64,
    /// Bytes of an entry of the session table.
    entry: u64,
    /// Bytes of queues and bodies in the master.
    budget: u64,
}

/// Bytes for people, in one word.
fn word(bytes: u64) -> String {
    about(bytes).replace(' ', "")
}

impl MemoryPlan {
    fn lanes_bytes(&self) -> u64 {
        self.worker_bytes() * (self.workers + self.processes)
    }

    fn worker_bytes(&self) -> u64 {
        self.worker + self.to_switch
    }

    fn processes_in_words(&self) -> String {
        match self.processes {
            0 => format!("{} workers", self.workers),
            others => format!("{} workers, {others} other processes", self.workers),
        }
    }

    fn board_bytes(&self) -> u64 {
        self.boards * self.entries * self.entry
    }

    fn total_bytes(&self) -> u64 {
        self.lanes_bytes() + self.board_bytes() + self.budget
    }

    /// Size of each ring, for the log.
    pub(crate) fn lane_size(&self) -> String {
        word(self.ring)
    }

    /// All lanes of one generation, for the log.
    pub(crate) fn lanes(&self) -> String {
        word(self.lanes_bytes())
    }

    /// The session table, for the log.
    pub(crate) fn board(&self) -> String {
        word(self.board_bytes())
    }

    /// Queues and bodies in the master, for the log.
    pub(crate) fn budget(&self) -> String {
        word(self.budget)
    }

    /// All of it, for the log.
    pub(crate) fn total(&self) -> String {
        word(self.total_bytes())
    }
}

impl fmt::Display for MemoryPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ring, answers) = (about(self.ring), about(self.answers));
        let lane = format!("packages {ring}, output {ring}, answers {answers}");
        let worker = match self.to_switch {
            0 => format!("a lane to each of {} reactors, and their words", self.reactors),
            bytes => format!("its own lane, and one of {} to the master", about(bytes)),
        };
        let board = format!("the session table, for {} connections", self.connections);
        let lines = [
            ("one lane", 2 * self.ring + self.answers, lane),
            ("one worker", self.worker_bytes(), worker),
            ("all lanes", self.lanes_bytes(), self.processes_in_words()),
            ("board", self.board_bytes(), board),
            ("budget", self.budget, "queues and bodies in the master".to_owned()),
            ("total", self.total_bytes(), "without kernel buffers and user code".to_owned()),
            (
                "reload",
                self.worker_bytes(),
                "more for each worker that runs beside its successor".to_owned(),
            ),
        ];
        for (what, bytes, note) in lines {
            writeln!(f, "{what:<12}{:>10}  {note}", about(bytes))?;
        }
        Ok(())
    }
}
