//! Turns of a reactor that has no thread of its own: what one turn may take from the others.

mod datagrams;
mod deadlines;
mod files;
mod hand_over;
mod newcomers;

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use ostler_core::brain::{CloseReason, ConnectionSlot};
use ostler_core::ids::{PortId, ProcessKey};
use ostler_shm::board::Board;
use ostler_shm::lane::MasterMemory;

use super::destination::lane::Lane;
use super::event_loop::GIVES_MAX;
use super::mailbox::{Accepted, Mailbox, Reports};
use super::places::Places;
use super::shared_memory::SharedMemory;
use super::turn_share::{Bounds, TurnShare};
use super::{Reactor, ReactorSettings};
use crate::options::{FramingKind, Options, PortOptions};
use crate::reactor::turns::Turns;
use crate::sys::pidfd::PidFd;
use crate::sys::{control_socket, eventfd, process};

/// The port on which all clients come.
const PORT: PortId = PortId::FIRST;
pub(super) const KEY: ProcessKey = ProcessKey::event(0, 1);

/// A reactor with one lane, to a worker that is not there yet.
pub(super) fn booting(options: &Options) -> Reactor {
    let settings = ReactorSettings::new(options).unwrap();
    let (board, _) = Board::create(options.board_sizes()).unwrap();
    let mailbox = Arc::new(Mailbox::new().unwrap());
    let board = Arc::new(board);
    let reports = Reports::new(Places::new(Arc::clone(&board))).unwrap();
    let memory = SharedMemory::new(options, vec![Arc::clone(&mailbox)]);
    let mut reactor = Reactor::new(0, settings, board, memory, mailbox, reports).unwrap();
    let memory = MasterMemory::create(options.lane_sizes(), 0, 1).unwrap();
    let lane = memory.lane(0).unwrap();
    let (file_link, _) = control_socket::pair().unwrap();
    let (bell, own_bell) = (eventfd::create().unwrap(), eventfd::create().unwrap());
    reactor.add_lane(KEY, Lane::new(KEY, lane, bell, own_bell, file_link));
    reactor
}

/// A reactor with one lane that serves, at whose other end nobody reads.
pub(super) fn reactor(options: &Options) -> Reactor {
    let mut reactor = booting(options);
    reactor.spawned(KEY, PidFd::open(process::current()).unwrap().into());
    reactor.serve(KEY);
    reactor
}

/// A client whose connection the reactor has, and the place of it.
pub(super) fn connect(reactor: &mut Reactor) -> (UnixStream, ConnectionSlot) {
    let (client, server) = UnixStream::pair().unwrap();
    server.set_nonblocking(true).unwrap();
    let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 1)).into();
    let session = reactor.clients.reports.places.take(0).unwrap();
    reactor.clients.accepted(Accepted { socket: OwnedFd::from(server), session, peer, port: PORT });
    let newest =
        reactor.clients.connections.iter().max_by_key(|(_, connection)| connection.session);
    let slot = newest.map(|(slot, _)| slot).unwrap();
    (client, slot)
}

fn received(reactor: &mut Reactor, slot: ConnectionSlot) -> usize {
    let connection = reactor.clients.connections.get_mut(slot).unwrap();
    connection.intake.as_ref().unwrap().len()
}

pub(super) fn framed() -> Options {
    Options {
        workers: 1,
        reactors: 1,
        max_connections: 1_024,
        port: PortOptions {
            framing: FramingKind::Eof,
            receive_size: 4_096,
            ..PortOptions::default()
        },
        prefetch_packages: 10_000,
        prefetch_us: 1_000_000,
        ..Options::default()
    }
}

const fn share(session_bytes: usize, turn_bytes: usize) -> TurnShare {
    TurnShare::new(Bounds { session_bytes, turn_bytes })
}

#[test]
fn a_session_receives_its_share_of_a_turn_and_goes_on_in_the_next() {
    let mut reactor = reactor(&framed());
    reactor.clients.receive_share = share(16 * 1024, 1024 * 1024);
    let (mut big, slot) = connect(&mut reactor);
    let (mut small, _) = connect(&mut reactor);
    assert!(!reactor.give_all(), "the connect events are all there is");
    big.write_all(&[b'x'; 64 * 1024]).unwrap();
    small.write_all(b"me too\r\n").unwrap();
    reactor.clients.brain.readable(slot);
    assert!(reactor.give_all(), "there is more to receive");
    assert_eq!(received(&mut reactor, slot), 16 * 1024);
    for turn in 2..=4 {
        assert!(reactor.give_all());
        assert_eq!(received(&mut reactor, slot), turn * 16 * 1024);
    }
    assert!(!reactor.give_all(), "nothing is left");
}

#[test]
fn all_sessions_together_receive_no_more_than_the_turn_allows() {
    let mut reactor = reactor(&framed());
    reactor.clients.receive_share = share(16 * 1024, 32 * 1024);
    let clients: Vec<_> = (0..8).map(|_| connect(&mut reactor)).collect();
    reactor.give_all();
    for (mut client, slot) in clients.iter().map(|(client, slot)| (client, *slot)) {
        client.write_all(&[b'x'; 16 * 1024]).unwrap();
        reactor.clients.brain.readable(slot);
    }
    for turn in 1..=4 {
        assert!(reactor.give_all(), "events are looked at between the turns");
        let sum: usize = clients.iter().map(|(_, slot)| received(&mut reactor, *slot)).sum();
        assert_eq!(sum, turn * 32 * 1024, "two sessions have their share in each turn");
    }
}

#[test]
fn a_turn_ends_after_a_fixed_number_of_deliveries() {
    let mut reactor = reactor(&framed());
    let _clients: Vec<_> = (0..GIVES_MAX + 10).map(|_| connect(&mut reactor)).collect();
    let lane = reactor.destinations.find(KEY).unwrap();
    assert!(reactor.give_all(), "events are looked at before the rest is given");
    assert_eq!(reactor.clients.brain.in_hand(lane) as usize, GIVES_MAX);
    assert!(!reactor.give_all());
    assert_eq!(reactor.clients.brain.in_hand(lane) as usize, GIVES_MAX + 10);
}

/// The client is lost after it has sent `bytes`.
fn lose(reactor: &mut Reactor, bytes: &[u8]) {
    let (mut client, slot) = connect(reactor);
    client.write_all(bytes).unwrap();
    drop(client);
    reactor.clients.peer_lost(slot);
    assert!(reactor.clients.connections.get_mut(slot).is_none(), "its descriptor is closed");
}

#[test]
fn input_of_lost_clients_is_kept_up_to_its_part_of_the_budget_and_the_rest_is_counted() {
    for framing in [FramingKind::Eof, FramingKind::Raw] {
        let budget = 1024 * 1024;
        let mut options = Options { memory_budget: budget, ..framed() };
        options.port.framing = framing;
        let mut reactor = reactor(&options);
        let input = b"a line\r\n".repeat(8 * 1024);
        for _ in 0..12 {
            lose(&mut reactor, &input);
        }
        let dropped = reactor.clients.brain.books().input_dropped_total();
        let kept = reactor.clients.memory.used();
        assert!(kept <= budget as u64 / 4 && kept > budget as u64 / 8, "{kept}");
        assert!(dropped + kept >= 12 * input.len() as u64, "{dropped} dropped, {kept} kept");
        // What is kept is given, or counted when something ends its session.
        reactor.clients.brain.close_all(CloseReason::ShutdownTimeout);
        reactor.clients.carry_out();
        assert_eq!(reactor.clients.brain.books().input_dropped_total(), 12 * input.len() as u64);
        assert_eq!(reactor.clients.memory.used(), 0);
    }
}

#[test]
fn input_of_a_lost_client_is_given_to_the_last_byte_and_its_memory_comes_back() {
    for framing in [FramingKind::Eof, FramingKind::Raw] {
        let mut options = framed();
        (options.port.framing, options.port.session_window) = (framing, 4_096);
        let mut reactor = reactor(&options);
        lose(&mut reactor, &b"a line\r\n".repeat(1024));
        assert_eq!(reactor.clients.memory.used(), 8 * 1024);
        while reactor.give_all() {}
        assert_eq!(reactor.clients.memory.used(), 0);
        let packages = if framing == FramingKind::Raw { 2 } else { 1024 };
        assert_eq!(reactor.clients.brain.books().received, packages);
    }
}

/// Who watches would else see a turn that never ends in each idle server.
#[test]
fn a_turn_is_over_when_the_loop_sleeps() {
    let mut reactor = reactor(&framed());
    reactor.clients.reports.turns = Arc::new(Turns::new(1, None));
    let mut events = Reactor::events();
    for _ in 0..2 {
        reactor.begin_turn(&events);
        reactor.end_turn();
        let words = reactor.clients.reports.turns.words();
        assert!(Turns::began(words[0]).is_some());
        reactor.sleep(&mut events, true, None);
        let words = reactor.clients.reports.turns.words();
        assert!(Turns::began(words[0]).is_none());
    }
}
