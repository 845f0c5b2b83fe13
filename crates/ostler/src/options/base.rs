//! What BASE mode makes of the options: those of each process, and what does not fit.

use ostler_core::ids::ProcessKind;
use ostler_shm::layout::Sizes;

use super::validate::{BUDGET_PER_REACTOR_BYTES, Contradiction};
use super::{CrashPolicy, Mode, Options, PortOptions, size};

impl Options {
    /// Lanes of each worker: one to each reactor of the master, or its own.
    pub(crate) fn lanes_of_worker(&self) -> usize {
        match self.mode {
            Mode::Process => usize::from(self.reactors),
            Mode::Base => 1,
        }
    }

    /// Whether the master of BASE mode has a reactor for tasks and messages, the switch: there is
    /// somebody to ask, or to write to, or an operator who calls commands.
    pub(crate) fn has_switch(&self) -> bool {
        let processes = u32::from(self.workers_room())
            + u32::from(self.task_workers)
            + u32::from(self.single_processes());
        self.mode == Mode::Base && (processes > 1 || !self.operator_socket.is_empty())
    }

    /// The sizes of a lane to the switch: the smallest ones as long as nobody runs tasks, because
    /// most messages are short.
    pub(crate) fn switch_lane_sizes(&self) -> Sizes {
        let lane_size = match self.task_workers {
            0 => Self::LANE_SIZE_MIN,
            _ => self.lane_size_resolved(),
        };
        Sizes { reactors: 1, lane_size: lane_size as u64 }
    }

    /// Seats in the commons: for each slot one that serves, one that starts, one that leaves, and
    /// one whose death was not seen yet. Processes that serve nobody have no
    /// successor beside them, except for task workers.
    pub(crate) fn seats(&self) -> usize {
        let workers = usize::from(self.workers) + usize::from(self.task_workers);
        4 * workers + 2 * usize::from(self.single_processes())
    }

    /// The memory budget of the process that serves clients, bytes: all of it the master's, or its
    /// part for each worker, and for the switch.
    pub(super) fn budget_of_process(&self) -> usize {
        match self.mode {
            Mode::Process => self.memory_budget,
            Mode::Base => self.memory_budget / self.budgets_in_base(),
        }
    }

    /// How many have a part of the memory budget.
    pub(super) fn budgets_in_base(&self) -> usize {
        usize::from(self.workers.max(1)) + usize::from(self.has_switch())
    }

    /// Those of the reactor in a process of BASE mode: it has one worker, and nothing to switch.
    pub(crate) fn of_base_process(&self) -> Self {
        let (memory_budget, lane_size) = (self.budget_of_process(), self.lane_size_resolved());
        let sendfile_max = (self.sendfile_max / u32::from(self.workers.max(1))).max(1);
        Self {
            reactors: 1,
            workers: 1,
            task_workers: 0,
            user_processes: 0,
            has_companion: false,
            operator_socket: String::new(),
            memory_budget,
            lane_size,
            sendfile_max,
            ..self.clone()
        }
    }

    /// Those of the switch.
    pub(crate) fn of_switch(&self) -> Self {
        let memory_budget = self.budget_of_process();
        let lane_size = usize::try_from(self.switch_lane_sizes().lane_size).unwrap_or(0);
        Self { reactors: 1, memory_budget, lane_size, ..self.clone() }
    }

    pub(super) fn budget_too_small_for_base(&self) -> Option<Contradiction> {
        let least = BUDGET_PER_REACTOR_BYTES * self.budgets_in_base();
        (self.memory_budget < least).then(|| Contradiction {
            names: &["memory_budget", "mode", "workers"],
            text: format!(
                "`memory_budget` ({}) is too small for {} workers with `mode = base`, which need \
                 512K each, and as much for what goes from one to another: raise it to {} or \
                 more, or lower `workers`",
                size::render(self.memory_budget as u64),
                self.workers,
                size::render(least as u64)
            ),
        })
    }

    /// Threads of a master that has none.
    pub(super) fn reactors_in_base(&self) -> Option<Contradiction> {
        let is_told = self.mode == Mode::Base && self.reactors != Self::default().reactors;
        is_told.then(|| Contradiction {
            names: &["mode", "reactors"],
            text: "`reactors` has no effect with `mode = base`, in which each worker is its own \
                   reactor: leave it out, and set `workers`"
                .to_owned(),
        })
    }

    /// A number of workers that cannot change: each slot has listeners of its own, and a client
    /// that waits in one that is closed would be lost.
    pub(super) fn workers_change_in_base(&self) -> Option<Contradiction> {
        let changes = self.workers_max != 0 && self.workers_max != self.workers;
        (self.mode == Mode::Base && changes).then(|| Contradiction {
            names: &["mode", "workers", "workers_max"],
            text: "the number of workers is fixed with `mode = base`, in which each has listeners \
                   of its own: leave `workers_max` out, or use `mode = process`"
                .to_owned(),
        })
    }

    /// A limit of descriptors for who has the clients.
    pub(super) fn open_files_in_base(&self) -> Option<Contradiction> {
        let is_limited = self.limit_open_files.of(ProcessKind::Event).is_some();
        (self.mode == Mode::Base && is_limited).then(|| Contradiction {
            names: &["mode", "limit_open_files"],
            text:
                "`limit_open_files` cannot be that of event workers with `mode = base`, in which \
                   each has its clients: say whose it is, as in `task:1024`"
                    .to_owned(),
        })
    }

    /// Packages that nobody has when their worker is dead.
    pub(super) fn quarantine_in_base(&self) -> Option<Contradiction> {
        (self.mode == Mode::Base && !self.quarantine_dir.is_empty()).then(|| Contradiction {
            names: &["mode", "quarantine_dir"],
            text: "`quarantine_dir` stays empty with `mode = base`, in which packages end with \
                   their worker: leave it out, or use `mode = process`"
                .to_owned(),
        })
    }

    /// Nobody would run what it keeps.
    pub(super) fn journal_without_workers(&self) -> Option<Contradiction> {
        (self.task_workers == 0 && !self.task_journal.is_empty()).then(|| Contradiction {
            names: &["task_journal", "task_workers"],
            text: "`task_journal` needs `task_workers` to be 1 or more, which run what it keeps; \
                   or leave it out"
                .to_owned(),
        })
    }

    /// What a port cannot have when each worker serves its own clients.
    pub(super) fn contradictions_of_base(&self, port: &PortOptions) -> Vec<Contradiction> {
        if self.mode != Mode::Base {
            return Vec::new();
        }
        let dispatch = port.dispatch.map(|_| Contradiction {
            names: &["mode", "dispatch"],
            text: "`dispatch` has no effect with `mode = base`, in which a worker handles what it \
                   has accepted: leave it at auto"
                .to_owned(),
        });
        let policy = (port.crash_policy != CrashPolicy::Close).then(|| Contradiction {
            names: &["mode", "crash_policy"],
            text: "`crash_policy` can only be close with `mode = base`, in which connections end \
                   with their worker: leave it out, or use `mode = process`"
                .to_owned(),
        });
        let deaths = (port.worker_deaths_per_address > 0).then(|| Contradiction {
            names: &["mode", "worker_deaths_per_address"],
            text:
                "`worker_deaths_per_address` cannot be kept with `mode = base`, in which what is \
                   known of clients ends with their worker: leave it out, or use `mode = process`"
                    .to_owned(),
        });
        [dispatch, policy, deaths].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(pairs: &[(&str, &str)]) -> Options {
        let mut options = Options { workers: 4, mode: Mode::Base, ..Options::default() };
        for (name, value) in pairs {
            options.set(name, value).unwrap();
        }
        options
    }

    #[test]
    fn options_of_a_base_process_are_those_of_one_reactor_and_one_worker() {
        let options = base(&[("memory_budget", "64M"), ("lane_size", "1M")]);
        assert!(options.validate().is_ok());
        let process = options.of_base_process();
        assert_eq!((process.reactors, process.workers), (1, 1));
        assert!(options.has_switch() && !process.has_switch() && !process.has_messages());
        assert_eq!(process.memory_budget, (64 << 20) / 5, "one part is the switch's");
        assert_eq!(options.of_switch().memory_budget, process.memory_budget);
        assert_eq!(process.lane_sizes().reactors, 1);
        assert_eq!(process.lane_size_resolved(), options.lane_size_resolved());
    }

    #[test]
    fn there_is_a_switch_as_soon_as_there_is_somebody_to_talk_to() {
        for (name, value, has) in [("workers", "2", true), ("task_workers", "1", true)] {
            let options = base(&[("workers", "1"), (name, value)]);
            assert_eq!(options.has_switch(), has, "{name}");
            assert!(options.has_messages() && options.validate().is_ok());
        }
        let mut alone = base(&[("workers", "1")]);
        assert!(!alone.has_switch() && !alone.has_messages());
        assert_eq!(alone.budget_of_process(), alone.memory_budget);
        alone.user_processes = 1;
        assert!(alone.has_switch());
        alone.user_processes = 0;
        alone.operator_socket = "/run/shop/operator".to_owned();
        assert!(alone.has_switch() && !alone.of_base_process().has_switch());
        alone.mode = Mode::Process;
        assert!(!alone.has_switch(), "its first reactor is one");
    }

    /// Whoever runs tasks has the rings that `lane_size` says, and they count for `lane_memory`.
    #[test]
    fn lanes_to_the_switch_are_small_without_task_workers() {
        let messages = base(&[("lane_size", "1M")]);
        let tasks = base(&[("lane_size", "1M"), ("task_workers", "4")]);
        let ring = |options: &Options| options.switch_lane_sizes().lane_size;
        assert_eq!((ring(&messages), ring(&tasks)), (64 << 10, 1 << 20));
        assert_eq!(tasks.of_switch().lane_sizes(), tasks.switch_lane_sizes());
        assert_eq!((messages.rings(), tasks.rings()), (2 * 4, 2 * 2 * 8));
        let plan = messages.memory_plan();
        assert!(plan.contains("its own lane, and one of 160 KiB to the master"), "{plan}");
    }

    #[test]
    fn options_without_a_meaning_in_base_are_refused_and_told() {
        let other = (Options::default().reactors + 1).to_string();
        for (name, value, wanted) in [
            ("reactors", other.as_str(), "set `workers`"),
            ("dispatch", "round_robin", "leave it at auto"),
            ("crash_policy", "redeliver:3", "`crash_policy` can only be close"),
            ("crash_policy", "drop", "`crash_policy` can only be close"),
            ("memory_budget", "2M", "raise it to 2560K"),
            ("worker_deaths_per_address", "3", "use `mode = process`"),
            ("quarantine_dir", "/var/tmp", "use `mode = process`"),
        ] {
            let error = base(&[(name, value)]).validate().unwrap_err().to_string();
            assert!(error.contains(wanted), "{name}={value}: {error}");
            let mut options = base(&[(name, value)]);
            options.mode = Mode::Process;
            let is_possible = name != "memory_budget";
            assert!(!is_possible || options.validate().is_ok(), "{name}={value}");
        }
    }
}
