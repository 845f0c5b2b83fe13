//! A reactor and a worker in one thread, at the two ends of one lane: in a process of BASE mode,
//! and in a test.
//!
//! The lane is that of two processes, in memory of this one. Nobody rings its bells, because
//! neither side ever sleeps without the other: both say that they are awake. A process may have one
//! more lane, to the switch in the master: over that go tasks and messages, and its bells ring.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use ostler_core::ids::{Generation, ProcessKey};
use ostler_shm::board::Board;
use ostler_shm::lane::{MasterMemory, WorkerMemory};

use super::commons::SeatOf;
use crate::encryption::Encryption;
use crate::inheritance::SwitchEnds;
use crate::options::Options;
use crate::reactor::addresses::Addresses;
use crate::reactor::mailbox::{Mailbox, Reports, ToReactor};
use crate::reactor::places::Places;
use crate::reactor::shared_memory::SharedMemory;
use crate::reactor::{Reactor, ReactorSettings};
use crate::sys::pidfd::PidFd;
use crate::sys::{control_socket, eventfd, process};
use crate::worker::context::{WorkerContext, WorkerSettings};
use crate::worker::handlers::Callee;
use crate::worker::inbox::Inbox;
use crate::worker::port::Port;
use crate::worker::start::open_memory;
use crate::worker::token;

/// The worker, as its reactor calls it: the only one that it has.
pub(crate) const fn worker_of(generation: Generation) -> ProcessKey {
    ProcessKey::event(0, generation.0)
}

/// Both ends.
pub(crate) struct Local {
    pub(crate) reactor: Rc<RefCell<Reactor>>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) reports: Reports,
    pub(crate) context: Rc<WorkerContext>,
    /// The session table, for other processes.
    pub(crate) board_fd: OwnedFd,
}

/// What both ends are made of.
pub(crate) struct Plan<'a> {
    /// Those of one reactor and one worker.
    pub(crate) options: &'a Options,
    pub(crate) worker: WorkerSettings,
    /// Who the worker is.
    pub(crate) key: ProcessKey,
    pub(crate) callee: Callee,
    /// What wakes the worker.
    pub(crate) bell: OwnedFd,
    /// The lane to the switch.
    pub(crate) switch: Option<Box<SwitchEnds>>,
    /// What this process has in common with others.
    pub(crate) seat: Option<SeatOf>,
    /// What the clients of encrypted ports are shown.
    pub(crate) encryption: Encryption,
}

/// Makes them. The worker serves; no user code has run.
pub(crate) fn make(plan: Plan<'_>) -> io::Result<Local> {
    let Plan { options, worker, key, callee, bell, switch, seat, encryption } = plan;
    let (board, board_fd) = Board::create(options.board_sizes()).map_err(io::Error::other)?;
    let board = Arc::new(board);
    let mailbox = Arc::new(Mailbox::new()?);
    let addresses = seat.clone().map_or_else(Addresses::default, Addresses::at);
    let reports = Reports::new(Places::new(Arc::clone(&board)).with(seat))?;
    let reports = reports.with_addresses(addresses);
    let shared = SharedMemory::new(options, vec![Arc::clone(&mailbox)]);
    let settings = ReactorSettings::new(options)?.with_encryption(encryption);
    let reactor = Reactor::new(0, settings, board, shared, Arc::clone(&mailbox), reports.clone())?;
    let local = worker_of(key.generation);
    let memory = MasterMemory::create(options.lane_sizes(), local.place(), local.generation.0)?;
    let lane_bell = eventfd::create()?;
    let (file_link, of_worker) = control_socket::pair()?;
    mailbox.push(ToReactor::AddLane {
        key: local,
        lane: Box::new(memory.lane(0)?),
        worker_bell: bell.try_clone()?,
        lane_bell: lane_bell.try_clone()?,
        file_link,
    });
    // It dies with the reactor, so that nobody ever sees its death; but a reactor lets nobody serve
    // whom it cannot watch.
    mailbox.push(ToReactor::Spawned(local, PidFd::open(process::current())?.into()));
    mailbox.push(ToReactor::Serve { serve: local, leave: None });
    let memory = WorkerMemory::open(memory.down_fd(), memory.up_fd()).map_err(io::Error::other)?;
    let board = Board::open(&board_fd).map_err(io::Error::other)?;
    let mut lanes = Port::new(memory, board, bell, vec![(lane_bell, of_worker)])?;
    let inbox = Arc::new(Inbox::new()?);
    lanes.watch(inbox.bell())?;
    if let Some(switch) = switch {
        join_switch(&mut lanes, key, *switch)?;
    }
    let reactor = Rc::new(RefCell::new(reactor));
    let room = Rc::clone(&reactor);
    lanes.make_room_by(Box::new(move || {
        // The reactor and user code take turns.
        room.try_borrow_mut().map_or(true, |mut reactor| reactor.make_room())
    }));
    let context = WorkerContext::new(key, worker, callee, inbox, lanes);
    token::live_here(&context);
    Ok(Local { reactor, mailbox, reports, context, board_fd })
}

/// The lane to the switch becomes one of the worker's. Its files are closed here, as those of every
/// lane are.
fn join_switch(lanes: &mut Port, key: ProcessKey, switch: SwitchEnds) -> io::Result<()> {
    let SwitchEnds { down, up, board, bell, file_link } = switch;
    let memory = open_memory(key, &down, &up)?;
    let board = Board::open(&board).map_err(io::Error::other)?;
    lanes.join_switch(memory, board, (bell, file_link))
}
