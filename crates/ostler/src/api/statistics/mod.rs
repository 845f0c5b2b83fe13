//! What a server tells about itself while it runs.

mod json;
mod of_books;
mod processes;
mod times;

use std::time::SystemTime;

use ostler_core::brain::{Books, CloseReason};

use super::worker::Worker;
use crate::statistics::Figures;

pub use processes::{ProcessStatistics, RunningStatistics};
pub use times::{TimeSpread, TimeStatistics};

/// The figures of a server, of one moment: [`Worker::stats`].
///
/// They are counted by who does the work and lie in memory that every process of the server reads:
/// nobody is asked for them, and a worker that is stuck hides nothing. They are at most a
/// millisecond older than the moment when they are read. A figure that counts grows from the start
/// of the server on, through reloads and deaths of workers; with a new master (`USR2`) they begin
/// again.
///
/// ```
/// use ostler::{Outcome, Package, Session, Worker};
///
/// fn status(worker: &Worker, session: &Session, _: &Package) -> Outcome {
///     let stats = worker.stats();
///     let (open, packages) = (stats.connections.open, stats.packages.received);
///     Ok(session.send(format!("{open} clients, {packages} packages\n").as_bytes())?)
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Statistics {
    /// Its processes.
    pub server: ServerStatistics,
    /// Its clients.
    pub connections: ConnectionStatistics,
    /// What they have sent, apart from datagrams.
    pub packages: PackageStatistics,
    /// Datagrams.
    pub datagrams: DatagramStatistics,
    /// Bytes.
    pub traffic: TrafficStatistics,
    /// Tasks.
    pub tasks: TaskStatistics,
    /// Messages between processes.
    pub messages: MessageStatistics,
    books: Books,
}

/// The life of a server, in [`Statistics`].
///
/// ```
/// # use ostler::Statistics;
/// fn is_restless(stats: &Statistics) -> bool {
///     stats.server.deaths > 10 * u64::from(stats.server.workers)
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStatistics {
    /// When it was started.
    pub started_at: SystemTime,
    /// The number of its master's process.
    pub master_pid: i32,
    /// That of its manager.
    pub manager_pid: i32,
    /// Event workers that there are to be now.
    pub workers: u16,
    /// Task workers that there are to be.
    pub task_workers: u16,
    /// User processes that the program has named.
    pub user_processes: u16,
    /// Reactors; 0 in BASE mode, in which each process has its own.
    pub reactors: u16,
    /// Processes that were started, of every kind.
    pub processes_started: u64,
    /// Processes that ended although nobody had asked them to, those among them that died with
    /// their manager.
    pub deaths: u64,
    /// Those of them that handled events of clients.
    pub worker_deaths: u64,
    /// Managers that were lost.
    pub manager_deaths: u64,
    /// Reloads that have begun.
    pub reloads_begun: u64,
    /// Reloads after which every worker was new.
    pub reloads_done: u64,
    /// Reloads that were not done.
    pub reloads_failed: u64,
    /// Turns of reactors that took longer than `reactor_slowlog_timeout_ms`.
    pub reactor_lags: u64,
}

/// The clients of a server, in [`Statistics`].
///
/// ```
/// # use ostler::Statistics;
/// fn load(stats: &Statistics) -> f64 {
///     stats.connections.open as f64 / stats.connections.max as f64
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStatistics {
    /// Open now.
    pub open: u64,
    /// The most at once (`max_connections`).
    pub max: u64,
    /// Sessions that have begun.
    pub accepted: u64,
    /// Sessions that have ended, for whatever reason; [`Statistics::closed_because`] tells how many
    /// for which.
    pub closed: u64,
    /// Sessions that came from the master before this one (`USR2`). With those that were accepted
    /// they are those that are open, were closed or were handed over.
    pub taken_over: u64,
    /// Sessions that went to the master behind this one.
    pub handed_over: u64,
    /// Connections that were refused and never had a session.
    pub refused: u64,
    /// Those of them for which there was no descriptor.
    pub refused_no_descriptor: u64,
    /// Those whose address had as many connections as one may have.
    pub refused_address_full: u64,
    /// Those whose address had as many in a second as one may have.
    pub refused_connection_rate: u64,
    /// Those whose address had killed as many workers as one may.
    pub refused_address_deaths: u64,
    /// How often accepting rested because a port had accepted its number.
    pub accept_rests: u64,
    /// Handshakes of TLS that have begun.
    pub handshakes: u64,
    /// Those of them that came to nothing.
    pub handshakes_failed: u64,
}

/// The packages of clients, in [`Statistics`].
///
/// ```
/// # use ostler::Statistics;
/// fn waiting(stats: &Statistics) -> u64 {
///     stats.packages.in_hand + stats.packages.recalled
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackageStatistics {
    /// Packages that were read and given to a worker. What is still in the kernel is not received.
    pub received: u64,
    /// Those whose handler has finished.
    pub finished: u64,
    /// Those that are at a worker now, begun or not.
    pub in_hand: u64,
    /// Those that came back from a worker and wait for another one now.
    pub recalled: u64,
    /// Those that the server has refused: no worker took them in time, or their address had sent as
    /// many as it may.
    pub refused: u64,
    /// Those that were dropped: their worker died, with the crash policy `drop`, or their session
    /// had ended.
    pub dropped: u64,
    /// Those whose session was closed because of them.
    pub closed_by: u64,
    /// How often one was begun again after the death of its worker.
    pub redelivered: u64,
    /// Deliveries that workers were given: packages, those that were given again, datagrams and
    /// events of sessions.
    pub given: u64,
    /// Messages that workers have sent to sessions.
    pub answers: u64,
    /// How often a session was not read for a while, because it had sent more than it may.
    pub held_back: u64,
}

/// Datagrams, in [`Statistics`].
///
/// ```
/// # use ostler::Statistics;
/// fn lost(stats: &Statistics) -> u64 {
///     stats.datagrams.dropped + stats.datagrams.dropped_by_kernel
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatagramStatistics {
    /// Datagrams that were read.
    pub received: u64,
    /// Those whose handler has finished.
    pub finished: u64,
    /// Those that are at a worker now.
    pub in_hand: u64,
    /// Those that wait for one.
    pub waiting: u64,
    /// Those that were dropped, for whatever reason.
    pub dropped: u64,
    /// Those that the kernel had no room for, or that were damaged.
    pub dropped_by_kernel: u64,
    /// How often one was begun again after the death of its worker.
    pub redelivered: u64,
    /// Datagrams that the kernel has taken.
    pub sent: u64,
    /// Datagrams that were not sent.
    pub not_sent: u64,
}

/// Bytes, in [`Statistics`].
///
/// ```
/// # use ostler::Statistics;
/// fn memory_use(stats: &Statistics) -> f64 {
///     stats.traffic.charged_bytes as f64 / stats.traffic.budget_bytes as f64
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrafficStatistics {
    /// Bytes that were read from clients, decrypted.
    pub received_bytes: u64,
    /// Bytes that the kernel has taken for clients, before encryption.
    pub sent_bytes: u64,
    /// Bytes of memory that output takes which waits now for clients to read, as the memory budget
    /// is charged for it: somewhat more than waits, because it is charged by the piece of memory.
    /// The bodies of messages to groups, which all members share, and what TLS has encrypted
    /// already are not in it.
    pub unsent_bytes: u64,
    /// Bytes that are charged to the memory budget now, the output among them.
    pub charged_bytes: u64,
    /// Sessions whose state is longer than the session table has room for now
    /// (`session_state_size`).
    pub long_states: u64,
    /// Bytes of memory that these states take, whole pages: of a quarter of the budget.
    pub state_bytes: u64,
    /// States that were accepted and for which there was no room a moment later, so that their
    /// sessions were closed.
    pub states_refused: u64,
    /// The memory budget (`memory_budget`).
    pub budget_bytes: u64,
    /// How often it was used up.
    pub memory_shortages: u64,
}

/// Tasks, in [`Statistics`].
///
/// ```
/// # use ostler::Statistics;
/// fn is_done(stats: &Statistics) -> bool {
///     stats.tasks.open == 0
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskStatistics {
    /// Tasks that were taken in.
    pub asked: u64,
    /// Those that are not over: they wait, or a task worker has them.
    pub open: u64,
    /// Those that were finished.
    pub finished: u64,
    /// Those whose worker ended, which was told to who had asked.
    pub failed: u64,
    /// Those whose worker ended, which nobody was told.
    pub dropped: u64,
    /// Those that were not taken in: too many waited, or there was no such worker.
    pub refused: u64,
    /// How often one was run again because its worker had ended.
    pub redelivered: u64,
    /// Results that task workers have sent.
    pub results: u64,
    /// Results and ends of tasks of which nobody hears: nobody wanted to, or who has asked is gone.
    pub unheard: u64,
}

/// Messages between the processes of a server, in [`Statistics`].
///
/// ```
/// # use ostler::Statistics;
/// fn lost(stats: &Statistics) -> u64 {
///     stats.messages.ended + stats.messages.refused
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageStatistics {
    /// Messages that were taken in.
    pub sent: u64,
    /// Those that their receivers have begun to handle. Receivers do not tell that, it is looked
    /// at: it may be seen when something else happens in the server.
    pub delivered: u64,
    /// Those that their receivers have not begun to handle, as far as that was seen.
    pub open: u64,
    /// Those whose receivers ended before that.
    pub ended: u64,
    /// Those that were not taken in: no such process runs, or too much waits for it.
    pub refused: u64,
}

impl Statistics {
    pub(crate) fn new(figures: Figures) -> Self {
        let Figures { server, books } = figures;
        Self {
            server: ServerStatistics::new(&server),
            connections: ConnectionStatistics::new(&books, server.max_connections),
            packages: PackageStatistics::new(&books),
            datagrams: DatagramStatistics::new(&books),
            traffic: TrafficStatistics::new(&books, server.budget_bytes),
            tasks: TaskStatistics::new(&books),
            messages: MessageStatistics::new(&books),
            books,
        }
    }

    /// How many sessions were closed for this reason.
    ///
    /// ```
    /// # use ostler::{CloseReason, Statistics};
    /// fn slow_readers(stats: &Statistics) -> u64 {
    ///     stats.closed_because(CloseReason::SlowReader)
    /// }
    /// ```
    #[must_use]
    pub fn closed_because(&self, reason: CloseReason) -> u64 {
        self.books.closed.get(reason as usize).copied().unwrap_or(0)
    }

    /// Proves that the books balance: that every connection, package, datagram, task and message
    /// that began has ended, with a reason, or is there. What is on its way is a part of the
    /// equation, so that it holds at any moment, also on a server that is busy.
    ///
    /// # Errors
    /// In words, which equation does not hold. That would be a mistake of Ostler, or in BASE mode
    /// of a process that writes into memory that is not its own.
    ///
    /// ```
    /// # use ostler::{Outcome, Worker};
    /// fn look(worker: &Worker) -> Outcome {
    ///     Ok(worker.stats().check()?)
    /// }
    /// ```
    pub fn check(&self) -> Result<(), String> {
        self.books.check().map_err(|imbalance| imbalance.to_string())
    }

    /// Whether nothing is on its way: no worker has a delivery, none waits for one, and no task and
    /// no message is open.
    ///
    /// ```
    /// # use ostler::Worker;
    /// fn may_be_stopped(worker: &Worker) -> bool {
    ///     worker.stats().is_quiet()
    /// }
    /// ```
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        self.books.are_quiet()
    }
}

impl Worker {
    /// The figures of the whole server, as they stand: who is served, what was counted. It asks
    /// nobody, and costs some microseconds.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ostler::{Handler, Outcome, Package, Session, Worker};
    ///
    /// struct Observed;
    ///
    /// impl Handler for Observed {
    ///     fn on_worker_start(&mut self, worker: &Worker) -> Outcome {
    ///         worker.every::<Self>(Duration::from_secs(60), |_, worker| {
    ///             let stats = worker.stats();
    ///             eprintln!("{:?}", stats.packages);
    ///             Ok(stats.check()?)
    ///         });
    ///         Ok(())
    ///     }
    ///
    ///     fn on_receive(&mut self, _: &Worker, session: &Session, package: &Package) -> Outcome {
    ///         Ok(session.send(package)?)
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn stats(&self) -> Statistics {
        Statistics::new(self.context().figures())
    }
}
