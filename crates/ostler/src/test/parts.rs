//! The parts of a test server: a reactor and a worker at the two ends of one lane.

use std::any::TypeId;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use ostler_core::ids::ProcessKey;
use ostler_shm::board::Board;
use ostler_shm::lane::{MasterMemory, WorkerMemory};

use crate::api::address::Address;
use crate::api::handler::Handler;
use crate::api::port;
use crate::options::{Options, PortPlan};
use crate::reactor::mailbox::{Mailbox, Reports, ToReactor};
use crate::reactor::places::Places;
use crate::reactor::shared_memory::SharedMemory;
use crate::reactor::{Reactor, ReactorSettings};
use crate::sys::pidfd::PidFd;
use crate::sys::{control_socket, datagram, eventfd, process, socket};
use crate::worker::context::{WorkerContext, WorkerSettings};
use crate::worker::inbox::Inbox;
use crate::worker::port::Port;
use crate::worker::token;

const KEY: ProcessKey = ProcessKey::event(0, 1);
/// Places for sessions: more clients than a test needs, less memory than a server takes.
const PLACES: u32 = 1_024;

pub(super) struct Parts {
    pub(super) reactor: Reactor,
    pub(super) control: OwnedFd,
    pub(super) manager: OwnedFd,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) places: Places,
    pub(super) context: Rc<WorkerContext>,
}

pub(super) fn make<H: Handler>(options: &Options) -> io::Result<Parts> {
    let options = &Options { max_connections: PLACES, ..options.clone() };
    let (board, board_fd) = Board::create(options.board_sizes()).map_err(io::Error::other)?;
    let mailbox = Arc::new(Mailbox::new()?);
    let board = Arc::new(board);
    let reports = Reports::new(Places::new(Arc::clone(&board)))?;
    let places = reports.places.clone();
    let shared = SharedMemory::new(options.memory_budget as u64, vec![Arc::clone(&mailbox)]);
    let settings = ReactorSettings::new(options)?;
    let reactor = Reactor::new(0, settings, board, shared, Arc::clone(&mailbox), reports)?;
    let memory = MasterMemory::create(options.lane_sizes(), KEY.place(), KEY.generation.0)?;
    let (worker_bell, lane_bell) = (eventfd::create()?, eventfd::create()?);
    mailbox.push(ToReactor::AddLane {
        key: KEY,
        lane: Box::new(memory.lane(0)?),
        worker_bell: worker_bell.try_clone()?,
        lane_bell: lane_bell.try_clone()?,
    });
    // The worker lives in this process.
    mailbox.push(ToReactor::Spawned(KEY, PidFd::open(process::current())?.into()));
    mailbox.push(ToReactor::Serve { serve: KEY, leave: None });
    let worker = WorkerMemory::open(memory.down_fd(), memory.up_fd()).map_err(io::Error::other)?;
    let board = Board::open(&board_fd).map_err(io::Error::other)?;
    let lanes = Port::new(worker, board, worker_bell, vec![lane_bell])?;
    let inbox = Arc::new(Inbox::new()?);
    lanes.watch(inbox.bell())?;
    let (control, manager) = control_socket::pair()?;
    let ports = options.ports().try_map(|plan| open_port(plan, &mailbox))?;
    let settings = WorkerSettings::new(options, &ports, KEY);
    let context = WorkerContext::new(KEY, settings, TypeId::of::<H>(), inbox, lanes);
    token::live_here(&context);
    Ok(Parts { reactor, control, manager, mailbox, places, context })
}

/// A port. Nobody listens at that of a stream: it has the address that it would have in the
/// program. One for datagrams gets a socket on the loopback device.
fn open_port(plan: &PortPlan<'_>, mailbox: &Mailbox) -> io::Result<port::Port> {
    let url = &plan.options.listen;
    let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
    let address = if url.has_datagrams() {
        let socket = datagram::bind_udp(unknown)?;
        let address = socket::local_address(&socket)?;
        mailbox.push(ToReactor::Datagrams { port: plan.id, socket });
        address
    } else {
        crate::master::ports::resolve(url).unwrap_or(unknown)
    };
    Ok(port::Port::new(plan.id, plan.name, url.scheme(), Address::Ip(address)))
}
