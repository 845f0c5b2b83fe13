//! A reactor: one thread, one event loop, its connections and one end of its lanes.
//!
//! Responsible for: reading sessions into lanes, writing what workers published, noticing that
//! clients and workers are gone. The decisions are [`ostler_core::brain::Brain`]'s; this is its
//! driver. Must never: wait for a worker, run user code, trust a byte that a worker wrote, or let a
//! buffer grow without a charge.

mod accept;
pub(crate) mod addresses;
mod budget;
pub(crate) mod client_socket;
mod close;
mod complaints;
mod connection;
mod connection_count;
mod datagram;
mod deadlines;
mod destination;
mod disk_wait;
pub(crate) mod event_loop;
mod figures;
mod file_places;
mod files;
mod filling;
mod groups;
mod guest;
mod hand_over;
mod handshakes;
mod lanes;
mod linger;
pub(crate) mod mailbox;
mod messages;
mod outgoing;
mod output;
mod parts;
pub(crate) mod places;
mod port_settings;
mod proxy_header;
mod rate;
mod read;
pub(crate) mod shared_memory;
mod sleep;
mod states;
pub(crate) mod suspects;
mod take_over;
mod tasks;
#[cfg(test)]
mod tests;
mod timers;
mod token;
mod traffic;
mod transport;
mod turn_share;
pub(crate) mod turns;

use std::io;
use std::sync::Arc;

use ostler_core::Nanos;
use ostler_core::accepting::AcceptCounts;
use ostler_core::brain::{Brain, BrainSettings, LaneSlot};
use ostler_core::file_counts::FileCounts;
use ostler_core::groups::GroupLimits;
use ostler_core::handshakes::HandshakeCounts;
use ostler_core::per_port::PerPort;
use ostler_core::proxy_protocol::HeaderCounts;
use ostler_core::succession::hand_over::SESSIONS_PER_OFFER_MAX;
use ostler_core::traffic::Traffic;
use ostler_shm::board::Board;
use ostler_shm::body_area::BodyArea;
use ostler_shm::layout::Sizes;
use ostler_shm::sleep::Sleeper;

use crate::encryption::Encryption;
use crate::options::Options;
use crate::sys::alarm::Alarm;
use crate::sys::epoll::{Epoll, Events, Interest};
use budget::Memory;
use complaints::Complaints;
use connection::Connections;
use datagram::Datagrams;
use destination::Destinations;
use figures::Figures;
use groups::GroupSide;
use hand_over::HandOver;
use handshakes::{HANDSHAKES_MAX, Newcomers, memory_max};
use linger::Lingerers;
use mailbox::{Mailbox, Reports};
use messages::{MessageSideSettings, Messages};
use port_settings::PortSettings;
use read::kept_input::KeptInput;
use shared_memory::SharedMemory;
use states::States;
use suspects::EvidenceRoom;
use tasks::{TaskSettings, Tasks};
use timers::Timers;
use turn_share::TurnShare;

/// Events taken from the kernel at once: enough to share the cost of the call, few enough that
/// bells are rung soon.
const EVENTS_MAX: usize = 256;
/// How often an unstarted delivery may lose its worker; see
/// [`BrainSettings::deaths_while_waiting_max`].
const DEATHS_WHILE_WAITING_MAX: u8 = 16;

/// The part of the memory budget that input of clients that are gone may take, over all reactors:
/// one in so many.
const KEPT_INPUT_PART: usize = 4;

/// The figures a reactor takes from the options.
#[derive(Clone, Debug)]
pub(crate) struct ReactorSettings {
    brain: BrainSettings,
    sizes: Sizes,
    /// How the connections of each port are read and written.
    ports: PerPort<PortSettings>,
    /// The most memory for input of clients that are gone, bytes.
    kept_input_max: usize,
    /// The most memory for connections without a session, bytes.
    newcomers_max: usize,
    /// The longest state of a session.
    state_max_bytes: usize,
    /// How many groups there may be.
    groups: GroupLimits,
    /// The longest message to a group.
    group_message_max: usize,
    /// How long a client may take until its session begins.
    handshake_ns: Nanos,
    /// `None`: there are no task workers.
    tasks: Option<TaskSettings>,
    /// `None`: this process has no others to write to.
    messages: Option<MessageSideSettings>,
    /// The most sessions in an offer to a new master.
    offer_sessions: usize,
    /// It serves clients. The switch of BASE mode does not: workers have them.
    has_clients: bool,
    /// There are more reactors and workers than processors (decision 83).
    shares_processors: bool,
    /// It is said what dead workers had begun last.
    seeks_culprits: bool,
    /// Room for packages that killed their workers.
    evidence: EvidenceRoom,
    /// What clients are shown.
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "only TLS has handshakes"))]
    encryption: Encryption,
}

impl ReactorSettings {
    pub(crate) fn new(options: &Options) -> io::Result<Self> {
        let plans = options.ports();
        let ports = plans.try_map(|plan| {
            let settings = PortSettings::new(options, plan.options)?;
            Ok::<_, io::Error>(PortSettings { name: plan.name.into(), ..settings })
        })?;
        let of_brain =
            plans.map(|plan| ports.get(plan.id).of_brain(plan.options, options.reactors));
        Ok(Self {
            brain: BrainSettings {
                ports: of_brain,
                prefetch_ns: Nanos::from(options.prefetch_us) * 1_000,
                prefetch_packages: options.prefetch_packages,
                slot_down_ns: options.slot_down_ms * 1_000_000,
                deaths_while_waiting_max: DEATHS_WHILE_WAITING_MAX,
                sessions_max: u32::try_from(options.session_entries()).unwrap_or(u32::MAX),
                workers: options.workers,
                lack_after_ns: options.workers_grow_after_ms * 1_000_000,
            },
            tasks: TaskSettings::new(options, &options.lane_sizes()),
            messages: MessageSideSettings::new(options, &options.lane_sizes()),
            sizes: options.lane_sizes(),
            ports,
            kept_input_max: options.memory_budget / KEPT_INPUT_PART / usize::from(options.reactors),
            newcomers_max: memory_max(options.memory_budget, usize::from(options.reactors)),
            state_max_bytes: options.session_state_max_bytes,
            groups: options.group_limits(),
            group_message_max: options.group_message_max(),
            has_clients: true,
            handshake_ns: options.handshake_timeout_ms * 1_000_000,
            offer_sessions: usize::from(options.offer_sessions).clamp(1, SESSIONS_PER_OFFER_MAX),
            shares_processors: options.shares_processors(),
            seeks_culprits: options.seeks_culprits(),
            evidence: EvidenceRoom::new(match options.quarantine_dir.is_empty() {
                true => 0,
                false => options.quarantine_bytes_max,
            }),
            encryption: Encryption::default(),
        })
    }
}

impl ReactorSettings {
    /// The same for ports whose clients are encrypted.
    pub(crate) fn with_encryption(self, encryption: Encryption) -> Self {
        Self { encryption, ..self }
    }

    /// The same for a reactor that has tasks and messages alone.
    pub(crate) fn of_switch(self) -> Self {
        Self { has_clients: false, ..self }
    }
}

/// One reactor: its side towards clients and its side towards workers, which know nothing of each
/// other. What passes between them is borrowed from both for as long as it takes.
pub(crate) struct Reactor {
    clients: ClientSide,
    destinations: Destinations,
    mailbox: Arc<Mailbox>,
    sleeper: Sleeper,
    reported_drained: bool,
    reported_deserted: bool,
    /// What happened in this turn to what the reactor's thread watches with it.
    outside: Vec<u32>,
    /// Whether this turn gave anything to a worker.
    gave: bool,
    /// What it tells while it runs.
    figures: Figures,
    /// For what is due while it sleeps.
    alarm: Alarm,
}

/// What concerns clients: their sessions and connections, the memory that these take, and the
/// decisions about them.
struct ClientSide {
    index: usize,
    settings: ReactorSettings,
    brain: Brain,
    connections: Connections,
    /// Connections that have no session yet.
    newcomers: Newcomers,
    /// What became of them.
    counts: HandshakeCounts,
    /// What became of those that proxies have forwarded.
    header_counts: HeaderCounts,
    /// What became of connections that were refused.
    accept_counts: AcceptCounts,
    /// What went to and from clients.
    traffic: Traffic,
    datagrams: Datagrams,
    /// Those of the server; in one reactor, if there are task workers.
    tasks: Option<Box<Tasks>>,
    /// Those between processes; in one reactor.
    messages: Option<Box<Messages>>,
    lingerers: Lingerers,
    timers: Timers,
    kept_input: KeptInput,
    memory: Memory,
    /// Log lines that clients can cause.
    complaints: Complaints,
    receive_share: TurnShare,
    file_share: TurnShare,
    file_counts: FileCounts,
    groups: GroupSide,
    /// Lanes of workers that are to be told of credit for their streams at the end of the turn.
    senders_to_wake: Vec<LaneSlot>,
    scratch: Vec<u8>,
    board: Arc<Board>,
    /// Where long packages are received.
    bodies: Option<Arc<BodyArea>>,
    states: States,
    epoll: Epoll,
    reports: Reports,
    now: Nanos,
    charge: Charge,
    /// How sessions go to a new master, if they do.
    hand_over: Option<Box<HandOver>>,
    draining: bool,
    /// All sessions are ended, whatever they have in hand.
    closes_all: bool,
}

/// Whether clients are this master's to accept, when several masters follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Charge {
    /// Nobody has said anything: who starts a server without a predecessor is in charge.
    #[default]
    Unsaid,
    /// The predecessor has handed over.
    Taken,
    /// A new master is in charge.
    Over,
}

impl Reactor {
    /// A reactor without sessions and lanes.
    pub(crate) fn new(
        index: usize,
        settings: ReactorSettings,
        board: Arc<Board>,
        shared_memory: Arc<SharedMemory>,
        mailbox: Arc<Mailbox>,
        reports: Reports,
    ) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        epoll.add(mailbox.bell(), token::MAILBOX, Interest::BELL)?;
        let alarm = Alarm::new()?;
        epoll.add(&alarm, token::alarm(), Interest::BELL)?;
        // Without framing it is used for what clients that are gone have left, and costs nothing
        // before.
        let receive_sizes = settings.ports.iter().map(|port| port.receive_size);
        let scratch = vec![0; receive_sizes.max().unwrap_or(0)];
        let bodies = board.take_body_area(index);
        let clients = ClientSide {
            index,
            brain: Brain::new(settings.brain.clone()),
            connections: Connections::new(),
            newcomers: Newcomers::new(
                HANDSHAKES_MAX,
                settings.newcomers_max,
                settings.handshake_ns,
            ),
            counts: HandshakeCounts::default(),
            header_counts: HeaderCounts::default(),
            accept_counts: AcceptCounts::default(),
            traffic: Traffic::default(),
            datagrams: Datagrams::default(),
            tasks: Tasks::new(settings.tasks, index, bodies.clone()),
            messages: Messages::new(settings.messages, index),
            lingerers: Lingerers::default(),
            timers: Timers::new(),
            kept_input: KeptInput::new(settings.kept_input_max),
            memory: Memory::new(shared_memory),
            complaints: Complaints::default(),
            receive_share: TurnShare::new(turn_share::RECEIVING),
            file_share: TurnShare::new(turn_share::SENDING_FILES),
            file_counts: FileCounts::default(),
            groups: GroupSide::new(settings.groups, settings.group_message_max),
            senders_to_wake: Vec::new(),
            scratch,
            bodies,
            states: States::new(&board, index, settings.state_max_bytes),
            board,
            epoll,
            reports,
            now: 0,
            charge: Charge::default(),
            hand_over: None,
            draining: false,
            closes_all: false,
            settings,
        };
        Ok(Self {
            clients,
            destinations: Destinations::default(),
            mailbox,
            sleeper: Sleeper::default(),
            reported_drained: false,
            reported_deserted: false,
            outside: Vec::new(),
            gave: false,
            figures: Figures::default(),
            alarm,
        })
    }

    pub(crate) fn events() -> Events {
        Events::with_capacity(EVENTS_MAX)
    }
}
