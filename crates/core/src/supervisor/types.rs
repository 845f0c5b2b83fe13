//! What the supervisor hears ([`Event`]) and what it asks for ([`Action`]).

use crate::Millis;
use crate::ids::{ProcessKey, ProcessKind, Slot};

/// How a worker process ended, as `waitid(2)` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It called `exit` with this code.
    Code(i32),
    /// A signal ended it; `core_dumped` says whether a core file was written.
    Signal {
        /// The signal's number.
        signal: i32,
        /// Whether a core was dumped.
        core_dumped: bool,
    },
}

/// Why a worker asks to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaveReason {
    /// It has served its `max_requests`.
    MaxRequests,
    /// It got a TERM from outside, or its own code asked.
    Asked,
    /// It has taken nothing for `worker_idle_max_ms`.
    Idle,
    /// It has more memory than `worker_memory_soft_max`. It counts only when it has taken a
    /// delivery: a successor of one that has not would have as much.
    Memory,
    /// It has served for as long as a process of its kind may.
    Age,
}

/// Why the supervisor kills a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillCause {
    /// It did not say READY within `boot_timeout_ms`.
    BootTimeout,
    /// It did not leave within `drain_timeout_ms`.
    DrainTimeout,
    /// It wrote nonsense into its lanes (the master condemned it).
    Condemned,
    /// What it was doing has passed its deadline.
    RequestDeadline,
    /// Somebody had stopped it (SIGSTOP), for longer than a request may take.
    Stopped,
    /// The server ends now.
    Shutdown,
    /// The reload that started it was aborted.
    ReloadAborted,
    /// It has more memory than `worker_memory_hard_max`.
    Memory,
    /// Its slot was taken away before it was ready.
    Surplus,
}

/// Which program a process is started from, where there can be two
/// ([`GroupSettings::keeps_accepted`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The one that was accepted last: that of the start, or of the last reload that was done.
    Accepted,
    /// The one that the reload under way is about.
    Candidate,
}

/// What happened, told to [`super::Supervisor::on`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The time that [`super::Supervisor::deadline`] named has come (harmless when it has not).
    Tick,
    /// The master made the lane memory of this process: it can be forked.
    MemoryReady(ProcessKey),
    /// The master could not make the memory (out of descriptors or memory).
    MemoryFailed(ProcessKey),
    /// The process was forked.
    Forked(ProcessKey),
    /// The fork failed.
    ForkFailed(ProcessKey),
    /// The process finished `on_worker_start` and can serve.
    Ready(ProcessKey),
    /// The process has taken its first delivery: from then on its death is a failure of that work
    /// and not of its boot, so its successor does not wait.
    TookDelivery(ProcessKey),
    /// The process wants to be replaced.
    LeaveRequested(ProcessKey, LeaveReason),
    /// The master found that the process wrote nonsense.
    Condemned(ProcessKey),
    /// The process has more memory than it may ever have.
    TooLarge(ProcessKey),
    /// What the process is doing has passed its deadline.
    RequestLate(ProcessKey),
    /// The process was stopped, and nobody lets it go on.
    StandsStill(ProcessKey),
    /// The process was reaped.
    Exited(ProcessKey, Exit),
    /// There are to be so many processes of a kind; it is brought into what there is room for.
    Resize(ProcessKind, u16),
    /// A user asked to reload all processes that are reloaded.
    ReloadRequested,
    /// A user asked to replace the processes of one kind alone: all of them, or among single ones
    /// that of this slot.
    RenewalRequested(ProcessKind, Option<Slot>),
    /// The sessions are being drained: nobody is recycled any more, because the end of the server
    /// is near.
    Draining,
    /// A single process had ended for good under an earlier manager: the start that memory was
    /// asked for is not wanted (see [`SupervisorAction::Retired`]).
    Retired(ProcessKey),
    /// The server is to end; the master has already drained the sessions. `now` skips the drain of
    /// the workers.
    ShutdownRequested {
        /// Kill at once instead of letting workers leave.
        now: bool,
    },
}

/// How a reload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// Every slot has a new generation. The code of this reload is the accepted one from now on.
    Done,
    /// The canary (the first new process) did not become ready; the old generation serves on. Names
    /// the canary's slot.
    CanaryFailed(Slot),
    /// A later slot's new process did not become ready; that slot and those whose turn had not come
    /// keep their old process.
    Partial(Slot),
    /// The server began to shut down.
    ShuttingDown,
    /// There is no process that could be reloaded.
    NothingToReload,
}

/// What the driver is to do now, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SupervisorAction {
    /// Ask the master for the lane memory of this process; answered by `MemoryReady` or
    /// `MemoryFailed`.
    NeedMemory(ProcessKey),
    /// Fork the process, which runs this code; answered by `Forked` or `ForkFailed`.
    Fork(ProcessKey, Code),
    /// Tell the master to drop the lane memory of a process that was never forked.
    ReleaseMemory(ProcessKey),
    /// Tell the master that `serve` takes packages from now on and `leave` (its predecessor) takes
    /// no more.
    Serve {
        /// The process that serves from now on.
        serve: ProcessKey,
        /// Its predecessor, which drains and ends.
        leave: Option<ProcessKey>,
    },
    /// Tell the master that this process takes no more packages, without a successor (shutdown, or
    /// its slot was taken away).
    Leave(ProcessKey),
    /// Send SIGKILL through the pidfd.
    Kill(ProcessKey, KillCause),
    /// A process ended. For the log and the death record; `expected` is false for a failure.
    Died {
        /// Who.
        worker: ProcessKey,
        /// How.
        exit: Exit,
        /// Our own kill, if it was one.
        killed: Option<KillCause>,
        /// Whether it had taken at least one delivery.
        took_delivery: bool,
        /// Whether its end was asked for (reload, recycling, shutdown).
        expected: bool,
    },
    /// So many slots of a kind are filled from now on, the first ones. Comes before those of the
    /// others leave.
    Resized(ProcessKind, u16),
    /// A process has got a token: a successor is made for it. For the log.
    Recycles(ProcessKey, LeaveReason),
    /// A single process has ended, and by its [`Restart`] no other takes its place.
    Retired(ProcessKey),
    /// A slot's process failed to boot; the next attempt is after this pause.
    BackOff {
        /// Of which kind.
        kind: ProcessKind,
        /// The slot.
        slot: Slot,
        /// Boot failures in a row.
        failures: u32,
        /// Pause before the next attempt.
        retry_after_ms: Millis,
    },
    /// No process of this kind has ever been ready, and every slot has failed to boot one. Told
    /// once.
    NobodyBoots(ProcessKind),
    /// More deaths than `restart_intensity` within `restart_period_ms` over all slots of a kind
    /// (logged, nothing is stopped).
    IntensityExceeded {
        /// Of which kind.
        kind: ProcessKind,
        /// Deaths within the period.
        deaths: u32,
    },
    /// A reload of the processes of this kind began. It is for everybody who has asked until now.
    ReloadStarted(ProcessKind),
    /// What became of each slot that took part in the reload whose end is told next: whether it has
    /// a new process.
    ReloadSlots(ProcessKind, Vec<(Slot, bool)>),
    /// It ended. Without a start before it, it answers everybody who waits.
    ReloadFinished(ProcessKind, ReloadOutcome),
    /// All processes are gone after a shutdown request: the manager may end.
    Finished,
}

/// Settings of the supervisor: those of each group of processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Event workers.
    pub event: GroupSettings,
    /// Task workers.
    pub task: GroupSettings,
    /// User processes.
    pub user: GroupSettings,
    /// The companion.
    pub companion: GroupSettings,
}

impl Default for Settings {
    /// One event worker, and nobody else.
    fn default() -> Self {
        let nobody = GroupSettings { slots: 0, ..GroupSettings::default() };
        Self {
            event: GroupSettings::default(),
            task: nobody.clone(),
            user: nobody.clone(),
            companion: nobody,
        }
    }
}

impl Settings {
    /// The settings of one kind.
    #[must_use]
    pub const fn of(&self, kind: ProcessKind) -> &GroupSettings {
        match kind {
            ProcessKind::Event => &self.event,
            ProcessKind::Task => &self.task,
            ProcessKind::User => &self.user,
            ProcessKind::Companion => &self.companion,
        }
    }

    /// All groups, in the order in which they stop: who gives work to others goes first. Kinds of
    /// which there are none have no group, except that a server always has its event workers.
    pub(super) fn into_stop_order(self) -> impl Iterator<Item = (ProcessKind, GroupSettings)> {
        let groups = [
            (ProcessKind::Event, self.event),
            (ProcessKind::Task, self.task),
            (ProcessKind::User, self.user),
            (ProcessKind::Companion, self.companion),
        ];
        let is_there = |(kind, group): &(ProcessKind, GroupSettings)| {
            kind.serves_sessions() || group.slots > 0
        };
        groups.into_iter().filter(is_there)
    }
}

/// When a single process is started again that has ended by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// Whenever it has ended.
    #[default]
    Always,
    /// When it has ended with another exit code than 0, or by a signal.
    OnFailure,
    /// Never: it has one life.
    Never,
}

/// How one process lives in a group of single ones: there are never two of it at a time, and it is
/// nobody's stand-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SingleSettings {
    /// When it is started again.
    pub restart: Restart,
    /// First pause before that; doubles each time, until a process has lived for the longest.
    pub back_off_min_ms: Millis,
    /// Longest pause before that.
    pub back_off_max_ms: Millis,
    /// A reload of the workers that is done replaces it, too.
    pub is_reloaded: bool,
}

/// Settings of the processes of one kind; every time in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSettings {
    /// Number of slots at the start: `0..slots`.
    pub slots: u16,
    /// Most slots that there can be, if that is more.
    pub slots_max: u16,
    /// A process that is not READY by then is killed.
    pub boot_timeout_ms: Millis,
    /// A leaving process that has not ended by then is killed.
    pub drain_timeout_ms: Millis,
    /// When all end at once these processes are not killed: they leave when the others are gone,
    /// within so long.
    pub last_words_ms: Option<Millis>,
    /// First pause after a boot failure; doubles with each further one.
    pub back_off_min_ms: Millis,
    /// Longest pause after boot failures.
    pub back_off_max_ms: Millis,
    /// At most one fork per slot in this time.
    pub fork_interval_ms: Millis,
    /// At most this many processes recycle themselves at once (tokens).
    pub recycle_at_once: u16,
    /// So many slots are reloaded at once, when the first new process serves; 0 counts as 1.
    pub reload_at_once: u16,
    /// A process that has served for so long is replaced. The last slots are replaced up to half of
    /// it earlier, so that processes that started together do not leave together.
    pub age_max_ms: Option<Millis>,
    /// Deaths within `restart_period_ms` that are reported as too many.
    pub restart_intensity: u32,
    /// Period of `restart_intensity`.
    pub restart_period_ms: Millis,
    /// Processes can also be started from the code that was accepted last, so that code that no
    /// reload has proved is never what replaces a dead process. Otherwise there is one code, the
    /// newest.
    pub keeps_accepted: bool,
    /// A reload begins here when that of the event workers is done, and so runs what they have
    /// proved. A failed one leaves these processes as they are.
    pub reloads_behind: bool,
    /// For each slot, when each is a process of its own. Empty: the processes are all alike, and
    /// each has a successor before it leaves.
    pub singles: Vec<SingleSettings>,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            slots: 1,
            slots_max: 0,
            boot_timeout_ms: 30_000,
            drain_timeout_ms: 10_000,
            last_words_ms: None,
            back_off_min_ms: 100,
            back_off_max_ms: 30_000,
            fork_interval_ms: 50,
            recycle_at_once: 1,
            reload_at_once: 1,
            age_max_ms: None,
            restart_intensity: 10,
            restart_period_ms: 10_000,
            keeps_accepted: false,
            reloads_behind: false,
            singles: Vec::new(),
        }
    }
}
