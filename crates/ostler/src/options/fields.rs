//! The options as typed fields, and their defaults. Limits and reasons stand in `table/`.

use ostler_core::succession::hand_over::SESSIONS_PER_OFFER_MAX;

use super::KillOrphans;
use super::list::Names;
use super::port_options::PortOptions;
use super::ports::NamedPort;
use super::size::{KIB, MIB};
use super::{
    AnswerOrder, Capabilities, Cpus, Harden, JournalDamage, JournalSync, Limit, LogFormat,
    LogLevel, Mode, PerKind, Sandbox, SessionIds, Start, TaskCrash, TaskResultTo,
};

/// The options of a server.
///
/// They start at their defaults and are changed by name with [`Options::set`]; [`Options::table`]
/// describes each of them.
///
/// ```
/// let mut options = ostler::Options::default();
/// options.set("drain_timeout_ms", "30s")?;
/// assert_eq!(options.get("drain_timeout_ms").as_deref(), Some("30000"));
/// # Ok::<(), ostler::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The options of a port as the server has them: those of every port that does not say them.
    pub(crate) port: PortOptions,
    /// The ports that were named, in the order of their numbers; none = one at the default address.
    pub(crate) ports: Vec<NamedPort>,

    /// Most connections open at once.
    pub(crate) max_connections: u32,
    /// Where the numbers of sessions begin.
    pub(crate) session_ids: SessionIds,
    /// The number before the first, when they are sequential.
    pub(crate) start_session_id: u64,

    /// What the server is called; empty = as the program. See [`Options::name_resolved`].
    pub(crate) name: String,
    /// Which process serves the clients.
    pub(crate) mode: Mode,
    /// How a worker process begins.
    pub(crate) start: Start,
    /// The program that a reload starts; empty = as this one was started.
    pub(crate) program: String,
    /// Number of event workers.
    pub(crate) workers: u16,
    /// Fewest event workers while the server runs.
    pub(crate) workers_min: u16,
    /// Most of them; 0 = as many as at the start. See [`Options::workers_room`].
    pub(crate) workers_max: u16,
    /// When somebody has waited so long there is one more; 0 = only when that is asked for.
    pub(crate) workers_grow_after_ms: u64,
    /// When the others have sufficed for so long there is one less.
    pub(crate) workers_shrink_after_ms: u64,
    /// Number of task workers.
    pub(crate) task_workers: u16,
    /// Tasks after which a task worker asks to be replaced; 0 = never.
    pub(crate) task_max_requests: u64,
    /// Most tasks that are not over.
    pub(crate) task_queue_max: usize,
    /// Longest payload of a task or a result.
    pub(crate) task_max_length: usize,
    /// What becomes of a task whose worker died.
    pub(crate) task_crash_policy: TaskCrash,
    /// How often a task is started.
    pub(crate) task_attempts_max: u16,
    /// 0 = never.
    pub(crate) task_deadline_ms: u64,
    /// To whom results go whose asker is dead.
    pub(crate) task_result_to: TaskResultTo,
    /// The file that keeps tasks; empty: they end with the server.
    pub(crate) task_journal: String,
    pub(crate) task_journal_sync: JournalSync,
    pub(crate) task_journal_sync_ms: u64,
    pub(crate) task_journal_backlog_max: usize,
    pub(crate) task_journal_damage: JournalDamage,
    pub(crate) task_journal_lease_ms: u64,
    /// Longest message between processes.
    pub(crate) message_max_length: usize,
    /// Most bytes of messages that a process has not begun to handle.
    pub(crate) message_queue_bytes: usize,
    /// Number of reactor threads.
    pub(crate) reactors: u16,
    /// Processes of the program's own. No option: the program says it, with what they run.
    pub(crate) user_processes: u16,
    /// Whether the program wants to know of the life of its server. No option either.
    pub(crate) has_companion: bool,
    /// Most sessions in one offer to a new master. No option: the limit of descriptors says it.
    pub(crate) offer_sessions: u16,
    /// Which processes are not dumpable.
    pub(crate) harden: Harden,
    /// When programs are ended that workers have started and left behind.
    pub(crate) kill_orphans: KillOrphans,
    /// Run workers under `SCHED_BATCH`.
    pub(crate) sched_batch: bool,
    /// The user of workers; empty = that of the server.
    pub(crate) user: String,
    /// Their group; empty = that of the user.
    pub(crate) group: String,
    /// Their supplementary groups; none = those of the user.
    pub(crate) groups: Names,
    /// All that they see of the file system; empty = all of it.
    pub(crate) chroot: String,
    /// Programs that they start have no more rights than they.
    pub(crate) no_new_privileges: bool,
    /// What they keep of the rights of root.
    pub(crate) capabilities: Capabilities,
    /// Whose master and managers become; empty = as they were started.
    pub(crate) master_user: String,
    /// Their group; empty = that of the user.
    pub(crate) master_group: String,
    /// Which processes may do only what they need.
    pub(crate) sandbox: Sandbox,
    /// On which processors processes run.
    pub(crate) cpu_affinity: PerKind<Cpus>,
    /// How nice they are.
    pub(crate) nice: PerKind<i32>,
    /// How much sooner than by their memory they are killed when there is none left.
    pub(crate) oom_score_adjust: PerKind<i32>,
    /// Most descriptors of a process.
    pub(crate) limit_open_files: PerKind<Limit>,
    /// Largest core file.
    pub(crate) limit_core_size: PerKind<Limit>,
    /// Most bytes of addresses.
    pub(crate) limit_address_space: PerKind<Limit>,
    /// File with the master's number; empty = none.
    pub(crate) pid_file: String,
    pub(crate) operator_socket: String,
    pub(crate) daemonize: bool,

    /// Bytes of each package and output ring of a lane; 0 = automatic. See
    /// [`Options::lane_size_resolved`].
    pub(crate) lane_size: usize,
    /// Most bytes of those rings over all lanes.
    pub(crate) lane_memory: usize,
    /// Most bytes of queues, partial packages and kept bodies in the master.
    pub(crate) memory_budget: usize,

    /// Most files that wait to be sent.
    pub(crate) sendfile_max: u32,
    /// Most output of one delivery that is held back under `redeliver`.
    pub(crate) redeliver_output_bytes: usize,
    /// Whether answers to later packages overtake those to deferred ones.
    pub(crate) answer_order: AnswerOrder,
    /// Estimated work kept at a worker beyond what it does.
    pub(crate) prefetch_us: u32,
    /// Most packages kept at a worker.
    pub(crate) prefetch_packages: u32,

    /// Room for a state in the entry of its session.
    pub(crate) session_state_size: usize,
    /// Longest state of a session.
    pub(crate) session_state_max_bytes: usize,
    /// Most groups that have members, at each reactor.
    pub(crate) groups_max: u32,
    /// Most groups that one session is in.
    pub(crate) session_groups_max: u32,
    /// How long a client may take until its session begins.
    pub(crate) handshake_timeout_ms: u64,
    /// Certificates are read anew when their files change.
    pub(crate) tls_watch: bool,
    /// How long a worker's send waits for room in the lane.
    pub(crate) send_timeout_ms: u64,

    /// How long a leaving worker may finish what it has in hand.
    pub(crate) drain_timeout_ms: u64,
    /// How long a shutdown may flush and end.
    pub(crate) shutdown_timeout_ms: u64,
    /// What becomes of sessions when a new master takes over.
    pub(crate) succession_sessions: super::SuccessionSessions,
    /// How long sessions are served after that; 0 = until they end.
    pub(crate) succession_timeout_ms: u64,
    /// How long a worker may take to become ready.
    pub(crate) boot_timeout_ms: u64,
    /// How long a hashed session waits for its slot.
    pub(crate) slot_down_ms: u64,
    /// First pause after a boot failure.
    pub(crate) back_off_min_ms: u64,
    /// Longest pause after boot failures.
    pub(crate) back_off_max_ms: u64,
    /// Least time between two forks for one slot.
    pub(crate) fork_interval_ms: u64,
    /// Deliveries after which a worker asks to be replaced; 0 = never. See
    /// [`Options::max_requests_of`].
    pub(crate) max_requests: u64,
    /// How long a worker may serve; 0 = for ever.
    pub(crate) worker_age_max_ms: u64,
    /// How long a worker may have nothing to do; 0 = for ever.
    pub(crate) worker_idle_max_ms: u64,
    /// Memory above which a worker is replaced; 0 = none.
    pub(crate) worker_memory_soft_max: usize,
    /// Memory above which a worker is killed; 0 = none.
    pub(crate) worker_memory_hard_max: usize,
    /// Most workers that are recycled at the same time.
    pub(crate) recycle_at_once: u16,
    /// Most workers that a reload replaces at the same time.
    pub(crate) reload_parallel: u16,

    /// Least important level that is logged.
    pub(crate) log_level: LogLevel,
    /// File to append the log to; empty = standard error.
    pub(crate) log_file: String,
    /// The form of its lines.
    pub(crate) log_format: LogFormat,
    /// How many of a million traces are recorded.
    pub(crate) trace_sample_ppm: u32,

    /// A callback that runs for so long is told with its stack; 0 = none is.
    pub(crate) request_slowlog_timeout_ms: u64,
    /// How long a turn of a reactor takes before it is told; 0 = never.
    pub(crate) reactor_slowlog_timeout_ms: u64,
    /// File to append that to; empty = the log.
    pub(crate) request_slowlog_file: String,
    /// File to append an object for each death to; empty = none.
    pub(crate) death_log_file: String,
    /// Directory in which packages are kept that killed their worker; empty = none.
    pub(crate) quarantine_dir: String,
    /// Most packages in it.
    pub(crate) quarantine_files_max: u32,
    /// Most bytes of packages in it.
    pub(crate) quarantine_bytes_max: usize,
}

/// Most workers by default: with 8 reactors this many get lanes of the smallest size out of the
/// default `lane_memory`, so that the defaults start on any machine.
const WORKERS_DEFAULT_MAX: usize = 256;
/// Most reactors by default: one reactor switches more packages than the workers of several CPUs
/// produce.
const REACTORS_DEFAULT_MAX: usize = 8;

/// One reactor for two CPUs, because each more that shares them sleeps and wakes more often
/// (decision 25).
const fn reactors_by_default(cpus: usize) -> usize {
    let half = cpus / 2;
    if half == 0 { 1 } else { half }
}

impl Options {
    /// Whether reactors and workers are more than the processors that this process may use, so that
    /// some of them wait for others (decision 83).
    pub(crate) fn shares_processors(&self) -> bool {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        usize::from(self.reactors) + usize::from(self.workers) > cpus
    }
}

impl Default for Options {
    fn default() -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            port: PortOptions::default(),
            ports: Vec::new(),
            max_connections: 16_384,
            session_ids: SessionIds::RandomStart,
            start_session_id: 0,
            name: String::new(),
            mode: Mode::Process,
            start: Start::Fork,
            program: String::new(),
            workers: at_most(cpus, WORKERS_DEFAULT_MAX),
            workers_min: 1,
            workers_max: 0,
            workers_grow_after_ms: 0,
            workers_shrink_after_ms: 60_000,
            reactors: at_most(reactors_by_default(cpus), REACTORS_DEFAULT_MAX),
            user_processes: 0,
            has_companion: false,
            offer_sessions: SESSIONS_PER_OFFER_MAX as u16,
            harden: Harden::Master,
            kill_orphans: KillOrphans::End,
            sched_batch: true,
            user: String::new(),
            group: String::new(),
            groups: Names::default(),
            chroot: String::new(),
            no_new_privileges: false,
            master_user: String::new(),
            master_group: String::new(),
            sandbox: Sandbox::Off,
            capabilities: Capabilities::OfUser,
            cpu_affinity: PerKind::default(),
            nice: PerKind::default(),
            oom_score_adjust: PerKind::default(),
            limit_open_files: PerKind::default(),
            limit_core_size: PerKind::default(),
            limit_address_space: PerKind::default(),
            pid_file: String::new(),
            operator_socket: String::new(),
            daemonize: false,
            lane_size: 0,
            lane_memory: 256 * MIB,
            memory_budget: 64 * MIB,
            sendfile_max: 1_024,
            redeliver_output_bytes: MIB,
            answer_order: AnswerOrder::Kept,
            prefetch_us: 100,
            prefetch_packages: 64,
            session_state_size: 192,
            session_state_max_bytes: 64 * KIB,
            groups_max: 65_536,
            session_groups_max: 16,
            handshake_timeout_ms: 10_000,
            tls_watch: true,
            send_timeout_ms: 1_000,
            drain_timeout_ms: 10_000,
            shutdown_timeout_ms: 10_000,
            succession_sessions: super::SuccessionSessions::HandOver,
            succession_timeout_ms: 3_600_000,
            boot_timeout_ms: 30_000,
            slot_down_ms: 1_000,
            back_off_min_ms: 100,
            back_off_max_ms: 30_000,
            fork_interval_ms: 50,
            max_requests: 0,
            task_workers: 0,
            task_max_requests: 0,
            task_queue_max: 100_000,
            task_max_length: 2 * MIB,
            task_crash_policy: TaskCrash::Fail,
            task_attempts_max: 3,
            task_deadline_ms: 0,
            task_result_to: TaskResultTo::Asker,
            task_journal: String::new(),
            task_journal_sync: JournalSync::Always,
            task_journal_sync_ms: 100,
            task_journal_backlog_max: 16 * MIB,
            task_journal_damage: JournalDamage::Refuse,
            task_journal_lease_ms: 30_000,
            message_max_length: 2 * MIB,
            message_queue_bytes: 16 * MIB,
            worker_age_max_ms: 0,
            worker_idle_max_ms: 0,
            worker_memory_soft_max: 0,
            worker_memory_hard_max: 0,
            recycle_at_once: 1,
            reload_parallel: 1,
            log_level: LogLevel::Info,
            log_file: String::new(),
            log_format: LogFormat::Text,
            trace_sample_ppm: 0,
            request_slowlog_timeout_ms: 0,
            reactor_slowlog_timeout_ms: 100,
            request_slowlog_file: String::new(),
            death_log_file: String::new(),
            quarantine_dir: String::new(),
            quarantine_files_max: 64,
            quarantine_bytes_max: 16 * MIB,
        }
    }
}

fn at_most(cpus: usize, most: usize) -> u16 {
    u16::try_from(cpus.min(most)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_reactor_for_two_cpus() {
        let reactors = |cpus| at_most(reactors_by_default(cpus), REACTORS_DEFAULT_MAX);
        let expected = [(1, 1), (2, 1), (3, 1), (4, 2), (9, 4), (16, 8), (17, 8), (256, 8)];
        for (cpus, number) in expected {
            assert_eq!(reactors(cpus), number, "{cpus} CPUs");
        }
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        assert_eq!(Options::default().reactors, reactors(cpus));
    }

    #[test]
    fn who_is_one_more_than_there_are_processors_shares_one() {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from) as u16;
        let shares = |workers| Options { reactors: 1, workers, ..Options::default() };
        assert!(!shares(cpus.saturating_sub(1)).shares_processors());
        assert!(shares(cpus).shares_processors());
    }
}
