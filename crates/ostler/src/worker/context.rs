//! What all handles of one worker process share.

use std::cell::{OnceCell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use ostler_core::Nanos;
use ostler_core::ids::{PortId, ProcessKey};
use ostler_core::per_port::PerPort;
use ostler_core::policy::{AnswerOrder, CrashPolicy};
use ostler_core::request_deadline::RequestDeadlines;
use ostler_core::trace::SampleRatio;
use ostler_shm::board::Board;

use super::arriving::Arriving;
use super::commands::{Calls, Commands};
use super::complaints::Complaints;
use super::deferred::Deferrals;
use super::handlers::Callee;
use super::held_back::HeldBack;
use super::inbox::Inbox;
use super::leaving::Leaving;
use super::manager_link::ManagerLink;
use super::messages::{MessageLimits, Messages};
use super::port::Port;
use super::reloads::Reloads;
use super::running::Running;
use super::send::Sender;
use super::sessions::Sessions;
use super::streams::Streams;
use super::tasks::{TaskLimits, Tasks};
use super::timers::Timers;
use super::token::Tokens;
use super::traces::Traces;
use super::wishes::Wishes;
use crate::api::port::Port as ListeningPort;
use crate::options::{FramingKind, ListenUrl, Options, PortOptions, PortPlan};
use crate::statistics::{Figures, Source};
use crate::sys::datagram::Family;

/// The settings a worker needs, taken from the options once.
#[derive(Clone, Debug)]
pub(crate) struct WorkerSettings {
    /// What concerns the sessions of each port.
    ports: PerPort<WorkerPortSettings>,
    /// The longest message of one send that every port takes.
    pub(super) send_limit_of_all: usize,
    pub(crate) answer_order: AnswerOrder,
    pub(crate) session_state_max_bytes: usize,
    pub(crate) send_timeout_ms: u64,
    pub(crate) redeliver_output_bytes: usize,
    pub(crate) max_requests: Option<u64>,
    /// How long it has to leave.
    pub(super) drain_timeout: Nanos,
    /// What concerns tasks.
    pub(super) tasks: TaskLimits,
    /// What concerns messages.
    pub(super) messages: MessageLimits,
    /// How long it may be without a delivery.
    pub(crate) idle_max: Option<Nanos>,
    /// How many traces that begin here are recorded.
    traced: SampleRatio,
}

impl WorkerSettings {
    pub(crate) fn new(options: &Options, ports: &PerPort<ListeningPort>, key: ProcessKey) -> Self {
        let settings =
            |plan: &PortPlan<'_>| WorkerPortSettings::new(ports.get(plan.id).clone(), plan.options);
        let ports = options.ports().map(settings);
        let send_limits = ports.iter().map(|port| port.max_send_bytes);
        Self {
            send_limit_of_all: send_limits.min().unwrap_or(0),
            ports,
            answer_order: options.answer_order,
            session_state_max_bytes: options.session_state_max_bytes,
            send_timeout_ms: options.send_timeout_ms,
            redeliver_output_bytes: options.redeliver_output_bytes,
            max_requests: options.max_requests_of(key),
            drain_timeout: options.drain_timeout_ms.saturating_mul(1_000_000),
            tasks: TaskLimits::new(options),
            messages: MessageLimits::new(options),
            traced: SampleRatio::of_ppm(options.trace_sample_ppm),
            idle_max: Some(options.worker_idle_max_ms * 1_000_000)
                .filter(|idle| *idle > 0 && key.kind.serves_sessions()),
        }
    }

    /// What concerns the port with a number that user code gave.
    pub(super) fn find_port(&self, number: u16) -> Option<&WorkerPortSettings> {
        self.ports.iter().find(|port| port.described.id() == number)
    }

    /// What concerns the sessions of a port.
    pub(crate) fn port(&self, port: PortId) -> &WorkerPortSettings {
        self.ports.get(port)
    }
}

/// The settings of one port that a worker needs.
#[derive(Clone, Debug)]
pub(crate) struct WorkerPortSettings {
    /// What user code sees of it.
    pub(crate) described: ListeningPort,
    crash_policy: CrashPolicy,
    /// What is not used of a package is given again.
    pub(crate) keeps_unused: bool,
    pub(crate) package_max_length: usize,
    pub(crate) max_send_bytes: usize,
    /// Handlers are told when a session begins and ends.
    pub(crate) connect_events: bool,
    /// What a client that is gone had sent is not handled any more.
    pub(crate) discards_gone: bool,
    /// To what addresses it sends datagrams; `None`: it has none.
    pub(super) datagrams: Option<Family>,
    /// How long its handlers may take.
    pub(super) request_deadlines: RequestDeadlines,
    /// Most bytes of a stream that its client has not read.
    pub(crate) stream_window: usize,
}

impl WorkerPortSettings {
    fn new(described: ListeningPort, options: &PortOptions) -> Self {
        Self {
            datagrams: family_of(&described, &options.listen),
            described,
            crash_policy: options.crash_policy,
            keeps_unused: options.framing == FramingKind::Stream,
            package_max_length: options.package_max_length,
            max_send_bytes: options.max_send_bytes,
            connect_events: options.connect_events,
            discards_gone: options.discard_gone_packages,
            request_deadlines: options.request_deadlines(),
            stream_window: options.send_queue_high,
        }
    }

    /// Whether outputs are held back until their delivery is finished.
    pub(crate) const fn holds_outputs(&self) -> bool {
        matches!(self.crash_policy, CrashPolicy::Redeliver(_))
    }
}

/// Shared by [`crate::Worker`], [`crate::Session`] and what runs on the worker's thread. Each part
/// of the state has an owner, which keeps its fields to itself; the steps that concern several are
/// methods of this type, in `send` and `deferred`.
pub(crate) struct WorkerContext {
    /// Which of this process's contexts it is: a token finds its own.
    pub(super) id: u64,
    pub(crate) key: ProcessKey,
    pub(super) settings: WorkerSettings,
    /// The handlers' types; timers and remotes are meant for the one that made them.
    pub(crate) callee: Callee,
    /// What other threads post.
    pub(crate) inbox: Arc<Inbox>,
    /// The way up: records for the reactors.
    pub(crate) sender: Sender,
    /// Sessions as this worker sees them.
    pub(crate) sessions: Sessions,
    /// What the client has shown whose connect event is running.
    pub(crate) arriving: Arriving,
    /// The delivery whose callback is running.
    pub(super) running: Running,
    /// Deliveries whose tokens user code has.
    pub(super) tokens: Tokens,
    /// What a task sends to sessions of other processes, until it is finished.
    pub(super) held_back: HeldBack,
    /// Deliveries that are not finished with their callbacks.
    pub(super) deferrals: Deferrals,
    /// Messages whose length is not known yet.
    pub(crate) streams: Streams,
    /// Tasks that this process has asked and that are not over.
    pub(crate) tasks: Tasks,
    /// Messages of other processes that were not handled, and numbers of own ones.
    pub(crate) messages: Messages,
    /// What other processes can call here.
    pub(crate) commands: Commands,
    /// What this process has called and not heard of.
    pub(crate) calls: Calls,
    pub(crate) timers: RefCell<Timers>,
    /// Log lines that clients can cause.
    pub(super) complaints: Complaints,
    /// Of which traces what runs is.
    pub(crate) traces: Traces,
    /// How far this process is on its way out.
    pub(crate) leaving: Leaving,
    /// What user code asks of the server.
    pub(crate) wishes: Wishes,
    /// By what it is said.
    pub(super) manager: ManagerLink,
    /// The reloads that it has asked for.
    pub(crate) reloads: Reloads,
    /// Where the figures of the server lie, when that is not the board.
    pub(crate) figures_lie_in: OnceCell<Source>,
}

impl WorkerContext {
    /// The session table.
    pub(crate) fn board(&self) -> Rc<Board> {
        self.sender.port().board()
    }

    /// BASE mode: the board of the switch, if there is one.
    pub(crate) fn board_of_switch(&self) -> Option<Rc<Board>> {
        self.sender.port().board_of_switch()
    }

    /// The figures of the server.
    pub(crate) fn figures(&self) -> Figures {
        match self.figures_lie_in.get() {
            Some(source) => source.read(),
            None => Source::Board(self.board()).read(),
        }
    }

    /// The port with this number.
    pub(crate) fn listening_port(&self, number: u16) -> &ListeningPort {
        &self.settings.port(PortId(number)).described
    }

    /// The port with this name.
    pub(crate) fn port_named(&self, name: &str) -> Option<&ListeningPort> {
        let mut ports = self.settings.ports.iter().map(|port| &port.described);
        ports.find(|port| port.name() == name)
    }

    pub(crate) fn new(
        key: ProcessKey,
        settings: WorkerSettings,
        callee: Callee,
        inbox: Arc<Inbox>,
        port: Port,
    ) -> Rc<Self> {
        let in_order = settings.answer_order == AnswerOrder::Kept;
        let traces = Traces::new(trace_key(&port), key, settings.traced);
        Rc::new(Self {
            id: super::token::next_context_id(),
            key,
            callee,
            inbox,
            sessions: Sessions::new(port.board(), in_order),
            sender: Sender::new(port, &settings),
            arriving: Arriving::default(),
            running: Running::default(),
            tokens: Tokens::default(),
            held_back: HeldBack::default(),
            deferrals: Deferrals::new(in_order),
            streams: Streams::default(),
            tasks: Tasks::default(),
            messages: Messages::default(),
            commands: Commands::default(),
            calls: Calls::default(),
            timers: RefCell::default(),
            complaints: Complaints::default(),
            traces,
            leaving: Leaving::default(),
            wishes: Wishes::default(),
            manager: ManagerLink::default(),
            reloads: Reloads::default(),
            figures_lie_in: OnceCell::new(),
            settings,
        })
    }

    /// How long this process may take at its end before somebody kills it. The companion cannot
    /// know whether the end is to come at once.
    #[cfg(feature = "opentelemetry")]
    pub(crate) fn time_to_end(&self) -> std::time::Duration {
        let last_words = ostler_core::shutdown::LAST_WORDS_MS * 1_000_000;
        let whole = match self.key.kind {
            ostler_core::ids::ProcessKind::Companion => self.settings.drain_timeout.min(last_words),
            _ => self.settings.drain_timeout,
        };
        std::time::Duration::from_nanos(self.leaving.time_left(whole))
    }

    /// The longest message of one send that every port takes, bytes.
    pub(crate) const fn max_send_bytes(&self) -> usize {
        self.settings.send_limit_of_all
    }
}

/// By which ids of traces are made: random, and the same in all processes of the server.
fn trace_key(port: &Port) -> [u64; 2] {
    let board = port.board_of_switch().unwrap_or_else(|| port.board());
    let key = board.groups().map(|groups| groups.secret());
    ostler_core::invariant!(key.is_some(), "every board has a key");
    // Groups are tagged with the key itself.
    key.unwrap_or_default().map(|word| word ^ TRACES)
}

/// What the key of traces differs in from that of groups.
const TRACES: u64 = u64::from_le_bytes(*b"ostlertr");

/// The addresses to which a port sends datagrams; `None`: it has none.
fn family_of(port: &ListeningPort, url: &ListenUrl) -> Option<Family> {
    match (url.has_datagrams(), port.local_address().socket_address()) {
        (false, _) => None,
        (true, Some(SocketAddr::V4(_))) => Some(Family::V4),
        (true, Some(SocketAddr::V6(_))) => Some(Family::V6),
        (true, None) => Some(Family::Unix),
    }
}
