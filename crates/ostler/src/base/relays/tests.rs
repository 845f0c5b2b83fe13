//! A process, its master and another process, in one.

use std::net::SocketAddr;

use ostler_shm::board::BoardSizes;
use ostler_shm::commons::Commons;
use ostler_shm::sessions::Home;

use super::wire::{Assembly, MESSAGE_LEN};
use super::*;
use crate::api::package::Package;
use crate::control::{Channel, Received};
use crate::reactor::mailbox::FromReactor;
use crate::sys::{eventfd, limit, poll, process};
use crate::test::TestServer;
use crate::worker::GroupMessage;
use crate::{Handler, Outcome, Server, Session, Worker};

const SIZES: BoardSizes = BoardSizes {
    reactors: 1,
    sessions: 64,
    state_bytes: 8,
    body_area: 0,
    state_area: 0,
    groups: GroupSizes { groups: 4, of_session: 2 },
};

fn other_key() -> ProcessKey {
    ProcessKey::event(1, 1)
}

/// This process, the master's end of its link, and the commons.
fn relays() -> (Relays, Channel<ToProcess, FromProcess>, Commons) {
    let (commons, fd) = Commons::create(2, Default::default()).unwrap();
    let (near, far) = control_socket::pair().unwrap();
    let (board, _fd) = Board::create(SIZES).unwrap();
    let link = Rc::new(Link::new(near).unwrap());
    let relays = Relays::new(link, SeatOf::open(fd, 0).unwrap(), &board, 1_000).unwrap();
    (relays, Channel::new(far), commons)
}

/// Another process with one session.
fn other(master: &mut Channel<ToProcess, FromProcess>) -> Board {
    let (board, fd) = Board::create(SIZES).unwrap();
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    board.open_session(7, Home { reactor: 0, place: 0 }, 0, peer, 1);
    master.send(&ToProcess::Board { seat: 1, worker: other_key() }, vec![fd]).unwrap();
    board
}

/// The socket that this process has made for the other one.
fn way_of(master: &Channel<ToProcess, FromProcess>) -> OwnedFd {
    loop {
        match master.receive().unwrap() {
            Received::Message(FromProcess::Way { seat: 1, worker }, mut sockets) => {
                assert_eq!(worker, other_key());
                return sockets.pop().unwrap();
            }
            other => assert!(matches!(other, Received::Message(FromProcess::Met, _))),
        }
    }
}

#[test]
fn a_process_is_known_as_soon_as_it_is_looked_for_and_until_it_is_gone() {
    let (relays, mut master, commons) = relays();
    assert_eq!(relays.look(7, true), None);
    let _board = other(&mut master);
    assert_eq!(relays.look(7, false), None, "nobody has asked");
    let seen = Seen { flags: 0, has_pressure: false, is_way_full: false, state_room: 0 };
    assert_eq!(relays.look(7, true), Some(seen));
    relays.relay(7, Output::Send(b"hello")).unwrap();
    let way = way_of(&master);
    let mut buffer = [0; 64];
    let len = control_socket::receive_without_descriptors(&way, &mut buffer).unwrap();
    let taken = Assembly::default().take(&buffer[..len], 64).unwrap().unwrap();
    assert_eq!((taken.session, taken.output()), (7, Output::Send(b"hello")));
    assert_eq!(commons.seat(0).unwrap().relays(), [1, 0, 0]);
    master.send(&ToProcess::Gone { seat: 1, worker: other_key() }, Vec::new()).unwrap();
    assert_eq!(relays.look(8, true), None);
    assert_eq!(relays.look(7, false), None, "its table is still there");
}

/// The next output on a way.
fn next_on(way: &OwnedFd) -> Option<Vec<u8>> {
    let mut buffer = [0; 64];
    let len = control_socket::receive_without_descriptors(way, &mut buffer).ok()?;
    let taken = Assembly::default().take(&buffer[..len], 64).unwrap()?;
    let Output::Send(bytes) = taken.output() else { panic!("{taken:?}") };
    Some(bytes.to_vec())
}

/// It may have had no descriptor for it. Its sessions are there.
#[test]
fn who_has_closed_a_way_and_lives_gets_another_one() {
    let (relays, mut master, _commons) = relays();
    let _board = other(&mut master);
    assert!(relays.look(7, true).is_some());
    relays.relay(7, Output::Send(b"lost")).unwrap();
    drop(way_of(&master));
    // Seen by a look, and by the next output.
    relays.look_at_outgoing();
    assert!(relays.look(7, false).is_some());
    relays.relay(7, Output::Send(b"second")).unwrap();
    let second = way_of(&master);
    assert_eq!(next_on(&second).as_deref(), Some(&b"second"[..]));
    drop(second);
    relays.relay(7, Output::Send(b"third")).unwrap();
    assert_eq!(next_on(&way_of(&master)).as_deref(), Some(&b"third"[..]));
}

/// Once a way to it is found closed, the master is asked before another one is made.
#[test]
fn who_has_closed_its_way_and_is_gone_has_no_sessions() {
    let (relays, mut master, _commons) = relays();
    let _board = other(&mut master);
    assert!(relays.look(7, true).is_some());
    relays.relay(7, Output::Close(false)).unwrap();
    drop(way_of(&master));
    relays.look_at_outgoing();
    master.send(&ToProcess::Gone { seat: 1, worker: other_key() }, Vec::new()).unwrap();
    assert!(relays.relay(7, Output::Close(false)).is_err());
    assert_eq!(relays.look(7, false), None);
}

/// A process that sleeps for something else wakes up for it.
#[test]
fn what_waits_makes_the_ways_readable_when_it_can_go_on() {
    let (relays, mut master, _commons) = relays();
    let _board = other(&mut master);
    assert!(relays.look(7, true).is_some());
    let body = vec![0; 100_000];
    while relays.relay(7, Output::Send(&body)).is_ok() {}
    assert!(!poll::is_readable(relays.ways()).unwrap(), "nobody takes anything");
    let way = way_of(&master);
    let mut buffer = vec![0; MESSAGE_LEN];
    while control_socket::receive_without_descriptors(&way, &mut buffer).is_ok() {}
    assert!(poll::is_readable(relays.ways()).unwrap());
    assert_eq!(Elsewhere::flush(&relays), None);
    assert!(!poll::is_readable(relays.ways()).unwrap(), "it is full again");
    // What others send here has nothing to do with that.
    write(&way_to(&relays, &mut master, 2), b"hello");
    assert!(!poll::is_readable(relays.ways()).unwrap() && poll::is_readable(&relays).unwrap());
}

#[test]
fn a_table_that_came_without_a_descriptor_is_asked_for_again() {
    let (relays, mut master, _commons) = relays();
    let (seat, worker) = (1, other_key());
    master.send(&ToProcess::Board { seat, worker }, Vec::new()).unwrap();
    assert_eq!(relays.look(7, true), None);
    let mut said = Vec::new();
    while let Received::Message(message, _) = master.receive().unwrap() {
        said.push(message);
    }
    assert_eq!(said, [FromProcess::Met, FromProcess::Missed { seat, worker }]);
    let _board = other(&mut master);
    assert!(relays.look(7, true).is_some());
}

#[test]
fn a_way_that_is_full_takes_no_message_and_always_a_close() {
    let (relays, mut master, commons) = relays();
    let _board = other(&mut master);
    assert!(relays.look(7, true).is_some());
    let body = vec![0; 100_000];
    let mut sent = 0;
    while relays.relay(7, Output::Send(&body)).is_ok() {
        sent += 1;
    }
    assert!(relays.look(7, false).unwrap().is_way_full);
    relays.relay(7, Output::Close(true)).unwrap();
    assert_eq!(commons.seat(0).unwrap().relays(), [sent + 1, 0, 0]);
    assert!(!relays.are_flushed());
    let way = way_of(&master);
    let (mut assembly, mut taken) = (Assembly::default(), 0);
    let mut buffer = vec![0; MESSAGE_LEN];
    while taken <= sent {
        match control_socket::receive_without_descriptors(&way, &mut buffer) {
            Ok(len) => {
                let whole = assembly.take(&buffer[..len], body.len()).unwrap();
                taken += u64::from(whole.is_some());
            }
            Err(_) => relays.look_at_outgoing(),
        }
    }
    assert!(relays.are_flushed());
}

/// What comes from a process that writes what it likes ends its way, and nothing else.
#[test]
fn nonsense_ends_the_way_on_which_it_came() {
    let (relays, mut master, commons) = relays();
    let mut ways = Vec::new();
    for slot in 2..5 {
        ways.push(way_to(&relays, &mut master, slot));
    }
    // Such as is no socket at all, or a table that is none.
    let way = ToProcess::Way { worker: ProcessKey::event(5, 1) };
    master.send(&way, vec![eventfd::create().unwrap()]).unwrap();
    let board = ToProcess::Board { seat: 1, worker: other_key() };
    master.send(&board, vec![eventfd::create().unwrap()]).unwrap();
    let (_larger, fd) = Board::create(BoardSizes { sessions: 128, ..SIZES }).unwrap();
    master.send(&board, vec![fd]).unwrap();
    master.send(&board, Vec::new()).unwrap();
    relays.link.read();
    relays.meet();
    assert!(relays.others.borrow().is_empty());
    control_socket::send(&ways[0], &[0xff; 100], &[]).unwrap();
    control_socket::send(&ways[1], b"", &[]).unwrap();
    let (head, body) = wire::messages(7, Output::Send(b"sense")).unwrap().next().unwrap();
    control_socket::send_pieces(&ways[2], &head, body).unwrap();
    let (long, _) = wire::messages(7, Output::Send(&[0; 1_001])).unwrap().next().unwrap();
    control_socket::send_pieces(&ways[2], &long, b"x").unwrap();
    relays.incoming.borrow_mut().look();
    let taken = relays.take().unwrap();
    assert_eq!(taken.output(), Output::Send(b"sense"));
    assert!(relays.take().is_none());
    assert_eq!(commons.seat(0).unwrap().relays(), [0, 1, 0]);
    assert!(relays.incoming.borrow().len() <= 1, "what is no socket is silent");
    // They are not listened to any more, and those who come in their places are.
    let again = way_to(&relays, &mut master, 2);
    assert!(control_socket::send(&again, b"x", &[]).is_err());
    let gone = ToProcess::Gone { seat: 2, worker: ProcessKey::event(2, 1) };
    master.send(&gone, Vec::new()).unwrap();
    write(&way_to(&relays, &mut master, 2), b"sense");
    relays.incoming.borrow_mut().look();
    assert!(relays.take().is_some());
}

impl Relays {
    /// The next output that is whole.
    fn take(&self) -> Option<Relayed> {
        loop {
            match self.incoming.borrow_mut().take()? {
                Taken::Part => {}
                Taken::Output(relayed) => {
                    self.seat.note_relay(Relay::Taken);
                    return Some(relayed);
                }
            }
        }
    }
}

/// A way on which the process of a slot can write, as the master passes it on.
fn way_to(relays: &Relays, master: &mut Channel<ToProcess, FromProcess>, slot: u16) -> OwnedFd {
    let (near, far) = control_socket::pair().unwrap();
    master.send(&ToProcess::Way { worker: ProcessKey::event(slot, 1) }, vec![far]).unwrap();
    relays.link.read();
    relays.meet();
    near
}

fn write(way: &OwnedFd, bytes: &[u8]) {
    let (head, body) = wire::messages(7, Output::Send(bytes)).unwrap().next().unwrap();
    control_socket::send_pieces(way, &head, body).unwrap();
}

/// Nobody makes this process hold more than one descriptor.
#[test]
fn a_process_has_one_way_at_a_time() {
    let (relays, mut master, _commons) = relays();
    let first = way_to(&relays, &mut master, 2);
    let second = way_to(&relays, &mut master, 2);
    let _other = way_to(&relays, &mut master, 3);
    assert_eq!(relays.incoming.borrow().len(), 2);
    assert!(control_socket::send(&first, b"x", &[]).is_err());
    write(&second, b"hello");
    relays.incoming.borrow_mut().look();
    assert!(relays.take().is_some());
}

/// Whoever writes as fast as it is read does not keep the others waiting.
#[test]
fn all_who_send_have_their_turn() {
    let (relays, mut master, _commons) = relays();
    let ways = [2, 3].map(|slot| way_to(&relays, &mut master, slot));
    (0..5).for_each(|_| write(&ways[0], b"much"));
    write(&ways[1], b"one");
    for taken in 0..64 {
        relays.incoming.borrow_mut().look();
        if relays.take().unwrap().output() == Output::Send(b"one") {
            // What is left comes as well, and in order.
            write(&ways[1], b"two");
            relays.incoming.borrow_mut().look();
            let left: Vec<_> = std::iter::from_fn(|| relays.take()).collect();
            assert_eq!(left.len(), 5 + 1, "{taken} were taken before");
            return;
        }
        write(&ways[0], b"much");
    }
    panic!("a sender has no turn while another one sends");
}

/// Parts that complete nothing are taken in turn, too: they may come as fast as they are read.
#[test]
fn who_sends_parts_does_not_keep_the_others_waiting() {
    let (relays, mut master, _commons) = relays();
    let ways = [2, 3].map(|slot| way_to(&relays, &mut master, slot));
    let (mut head, _) = wire::messages(7, Output::Send(&[7; 500])).unwrap().next().unwrap();
    for offset in 0..100_u32 {
        head[16..20].copy_from_slice(&offset.to_le_bytes());
        control_socket::send_pieces(&ways[0], &head, &[7]).unwrap();
    }
    write(&ways[1], b"one");
    relays.incoming.borrow_mut().look();
    let mut takes = std::iter::from_fn(|| relays.incoming.borrow_mut().take());
    let before = takes.position(|taken| matches!(taken, Taken::Output(_))).unwrap();
    assert!(before <= 1, "{before} parts were taken before");
    assert_eq!(before + takes.count(), 100);
}

/// Who has no session has no member: nothing is kept back because of it.
#[test]
fn a_process_without_sessions_holds_up_no_message_to_a_group() {
    let (relays, mut master, _commons) = relays();
    let (board, fd) = Board::create(SIZES).unwrap();
    master.send(&ToProcess::Board { seat: 1, worker: other_key() }, vec![fd]).unwrap();
    let bytes = vec![0; 100_000];
    let message = GroupMessage { name: b"room", except: 0, bytes: &bytes };
    for _ in 0..100 {
        assert_eq!(relays.check_ways(), Ok(()));
        relays.relay_to_all(Output::ToGroup(message));
    }
    let waiting = || relays.others.borrow()[0].way.as_ref().unwrap().waiting_bytes();
    assert!(waiting() < WAITING_MAX_BYTES + 200_000, "{} bytes wait", waiting());
    // From now on it may have one, which waits for its message as everybody does.
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    let session = board.claim_session().unwrap();
    board.open_session(session, Home { reactor: 0, place: 0 }, 0, peer, 1);
    assert!(relays.check_ways().is_err());
    assert!(relays.look(session, false).unwrap().is_way_full);
}

/// Echoes, and notes who has sent something.
#[derive(Default)]
struct Echo(Vec<u64>);

impl Handler for Echo {
    fn on_receive(&mut self, _: &Worker, session: &Session, package: &Package) -> Outcome {
        self.0.push(session.id());
        session.send(package)?;
        Ok(())
    }
}

fn relayed<'a>(messages: impl Iterator<Item = ([u8; wire::HEAD_LEN], &'a [u8])>) -> Relayed {
    let mut assembly = Assembly::default();
    let mut whole = None;
    for (head, body) in messages {
        whole = assembly.take(&[&head, body].concat(), 1 << 30).unwrap();
    }
    whole.unwrap()
}

/// A process that writes what it likes ends no other one: what user code here could not say is
/// refused.
#[test]
fn what_another_process_says_that_is_too_long_is_refused() {
    let builder = Server::builder().set("max_send_bytes", "16K");
    let builder = builder.set("session_state_max_bytes", "4K");
    let server = TestServer::start(builder, |_| Echo::default()).unwrap();
    let mut client = server.connect();
    client.send(b"x");
    client.expect(b"x");
    let session = server.handler(|echo| echo.0[0]);
    server.with_local(|local| {
        let long = vec![0; 16 * 1024 + 1];
        let to_group = [b"room", &long[..]].concat();
        let outputs = [
            relayed(wire::messages(session, Output::Send(&long)).unwrap()),
            relayed(wire::messages(session, Output::State(&long[..4_097])).unwrap()),
            relayed(wire::group_messages(0, 4, &to_group).unwrap()),
        ];
        for output in &outputs {
            assert!(local.context.append_relayed(output).unwrap_err().is_too_long(), "{output:?}");
        }
        let longest = relayed(wire::group_messages(0, 4, &to_group[1..]).unwrap());
        assert_eq!(local.context.append_relayed(&longest), Ok(()));
    });
    server.run();
    server.with_local(|local| {
        let reports = local.reports.queue.take();
        assert!(!reports.iter().any(|it| matches!(it, FromReactor::Condemned(..))), "{reports:?}");
    });
    client.send(b"y");
    client.expect(b"y");
}

/// Its setter was told that it is set, and may have looked before others took the room.
#[test]
fn a_state_of_another_process_that_finds_no_room_ends_its_session() {
    let builder = Server::builder().set("memory_budget", "8M").set("session_state_max_bytes", "1M");
    let server = TestServer::start(builder, |_| Echo::default()).unwrap();
    let mut clients = [(); 3].map(|()| server.connect());
    for client in &mut clients {
        client.send(b"x");
        client.expect(b"x");
    }
    let sessions = server.handler(|echo| std::mem::take(&mut echo.0));
    server.with_local(|local| {
        let state = vec![7; 1 << 20];
        for session in &sessions {
            let state = relayed(wire::messages(*session, Output::State(&state)).unwrap());
            assert_eq!(local.context.append_relayed(&state), Ok(()));
        }
    });
    server.run();
    let [first, second, third] = &mut clients;
    for client in [first, second] {
        client.send(b"y");
        client.expect(b"y");
    }
    third.expect_end();
}

/// What is long is passed in a file. Its setter was told that it is set: no other handler may see
/// the state before it.
#[test]
fn a_state_of_another_process_that_cannot_be_passed_on_ends_its_session() {
    process::in_forked_test(|| {
        let builder = Server::builder().set("session_state_max_bytes", "64K");
        let server = TestServer::start(builder, |_| Echo::default()).unwrap();
        let mut client = server.connect();
        client.send(b"x");
        client.expect(b"x");
        let session = server.handler(|echo| echo.0[0]);
        server.with_local(|local| {
            let state = vec![7; 20_000];
            let state = relayed(wire::messages(session, Output::State(&state)).unwrap());
            let limits = limit::DescriptorLimit::save();
            limit::set_soft_descriptors(0);
            let done = local.context.append_relayed(&state);
            limits.restore().unwrap();
            assert!(done.is_err());
        });
        server.run();
        client.expect_end();
    });
}

/// Sets what it is sent as its session's state, or says that it cannot.
#[derive(Default)]
struct Keeper(Vec<u64>);

impl Handler for Keeper {
    fn on_receive(&mut self, _: &Worker, session: &Session, _: &Package) -> Outcome {
        self.0.push(session.id());
        let kept = session.set_state(&[7; 20_000]).is_ok();
        session.send(if kept { b"kept" } else { b"full" })?;
        Ok(())
    }
}

/// Sessions on their way from another master were told that there is room for their states.
#[test]
fn room_that_is_promised_to_those_who_may_come_is_nobody_elses() {
    let builder = Server::builder().set("memory_budget", "8M").set("session_state_max_bytes", "1M");
    let server = TestServer::start(builder, |_| Keeper::default()).unwrap();
    let mut client = server.connect();
    let mut ask = |answer: &[u8]| {
        client.send(b"x");
        client.expect(answer);
    };
    ask(b"kept");
    let promise = |promises: bool| {
        server.with_local(|local| {
            let places = &local.reports.places;
            for _ in 0..64 {
                match promises {
                    true => places.expect_state(1 << 20),
                    false => places.expect_state_no_more(1 << 20),
                }
            }
        });
    };
    promise(true);
    ask(b"full");
    promise(false);
    ask(b"kept");
    // It was promised since its worker has looked.
    promise(true);
    let session = server.handler(|keeper| keeper.0[0]);
    server.with_local(|local| {
        let state = relayed(wire::messages(session, Output::State(&[7; 20_000])).unwrap());
        assert_eq!(local.context.append_relayed(&state), Ok(()));
    });
    server.run();
    client.expect_end();
}
