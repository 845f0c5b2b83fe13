//! What a process of BASE mode has before it runs user code.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use ostler_core::ids::ProcessKey;

use super::commons::SeatOf;
use super::link::Link;
use super::local::{self, Local};
use super::process::{LINK, OTHERS, REPORTS};
use super::relays::Relays;
use crate::api::port::Ports;
use crate::control::ToProcess;
use crate::encryption::Encryption;
use crate::inheritance::SwitchEnds;
use crate::master::accepting::Accepting;
use crate::master::acceptor::Acceptor;
use crate::master::ports::ListeningPorts;
use crate::options::Options;
use crate::reactor::Reactor;
use crate::statistics::Source;
use crate::sys::epoll::{Events, Interest};
use crate::worker::context::WorkerSettings;
use crate::worker::handlers::Callee;

/// Who this process is, and what it was given.
pub(super) struct Mine {
    pub(super) key: ProcessKey,
    pub(super) seat: usize,
    pub(super) link: OwnedFd,
    pub(super) switch: Option<Box<SwitchEnds>>,
    pub(super) listeners: Vec<OwnedFd>,
    pub(super) commons: OwnedFd,
    pub(super) worker_bell: OwnedFd,
}

/// What is there before user code.
pub(super) struct Parts {
    pub(super) local: Local,
    pub(super) accepting: Option<Accepting>,
    pub(super) seat: SeatOf,
    /// As the reactor has it.
    pub(super) encryption: Encryption,
    pub(super) events: Events,
    /// For turns without a look at what happened.
    pub(super) no_events: Events,
}

/// Makes all of it.
pub(super) fn open(
    mine: Mine,
    options: &Options,
    ports: &Ports,
    callee: Callee,
) -> io::Result<(Parts, Rc<Link>, Rc<Relays>)> {
    let seat = SeatOf::open(mine.commons, mine.seat)?;
    let link = Rc::new(Link::new(mine.link)?);
    link.read();
    let encryption = certificates(options, &link)?;
    let local = local::make(local::Plan {
        options: &options.of_base_process(),
        worker: WorkerSettings::new(options, &ports.0, mine.key),
        key: mine.key,
        callee,
        bell: mine.worker_bell,
        switch: mine.switch,
        seat: Some(seat.clone()),
        encryption: encryption.clone(),
    })?;
    let board_of_switch = local.context.board_of_switch();
    let _ = local.context.figures_lie_in.set(Source::Commons(seat.clone(), board_of_switch));
    let listening = ListeningPorts::of_process(ports, options, mine.listeners)?;
    let reads = mine.key.kind.serves_sessions().then_some(mine.key.slot);
    listening.hand_over_datagrams(&local.mailbox, reads, options.workers)?;
    let acceptor = Acceptor::new(listening, options, local.reports.clone())?;
    let relays = Relays::join(&link, &seat, &local, options)?;
    let reactor = local.reactor.borrow();
    reactor.watch(&*link, LINK, Interest::READ)?;
    reactor.watch(&*relays, OTHERS, Interest::READ)?;
    reactor.watch(local.reports.queue.bell(), REPORTS, Interest::BELL)?;
    drop(reactor);
    let (events, no_events) = (Reactor::events(), Reactor::events());
    let accepting = Some(Accepting::new(acceptor));
    Ok((Parts { local, accepting, seat, encryption, events, no_events }, link, relays))
}

/// What the master has sent before this process was forked, if any port is encrypted.
fn certificates(options: &Options, link: &Link) -> io::Result<Encryption> {
    if !options.ports().iter().any(|port| port.options.listen.is_encrypted()) {
        return Ok(Encryption::default());
    }
    let missing = || io::Error::other("the master has handed no certificates over");
    match link.next_order() {
        Some((ToProcess::Certificates, file)) => {
            Encryption::of_process(options, file.into_iter().next().ok_or_else(missing)?)
        }
        _ => Err(missing()),
    }
}
