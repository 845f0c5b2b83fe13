//! A process, its master and another process, in one.

use std::net::SocketAddr;

use ostler_shm::board::BoardSizes;
use ostler_shm::commons::Commons;
use ostler_shm::sessions::Home;

use super::*;
use crate::control::{Channel, Received};
use crate::sys::eventfd;
use crate::worker::GroupMessage;

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

#[test]
fn who_has_closed_its_way_is_gone() {
    let (relays, mut master, _commons) = relays();
    let _board = other(&mut master);
    assert!(relays.look(7, true).is_some());
    relays.relay(7, Output::Close(false)).unwrap();
    drop(way_of(&master));
    relays.look_at_ways();
    assert_eq!(relays.look(7, false), None);
    assert!(relays.relay(7, Output::Close(false)).is_err());
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
            Err(_) => relays.look_at_ways(),
        }
    }
    assert!(relays.are_flushed());
}

/// What comes from a process that writes what it likes ends its way, and nothing else.
#[test]
fn nonsense_ends_the_way_on_which_it_came() {
    let (relays, mut master, commons) = relays();
    let mut ways = Vec::new();
    for _ in 0..3 {
        let (near, far) = control_socket::pair().unwrap();
        master.send(&ToProcess::Way, vec![far]).unwrap();
        ways.push(near);
    }
    // Such as is no socket at all, or a table that is none.
    master.send(&ToProcess::Way, vec![eventfd::create().unwrap()]).unwrap();
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
    relays.look_at_ways();
    let taken = relays.take().unwrap();
    assert_eq!(taken.output(), Output::Send(b"sense"));
    assert!(relays.take().is_none());
    assert_eq!(commons.seat(0).unwrap().relays(), [0, 1, 0]);
    assert!(relays.incoming.borrow().len() <= 1, "what is no socket is silent");
}

/// A way on which others can write, as the master passes it on.
fn way_to(relays: &Relays, master: &mut Channel<ToProcess, FromProcess>) -> OwnedFd {
    let (near, far) = control_socket::pair().unwrap();
    master.send(&ToProcess::Way, vec![far]).unwrap();
    relays.link.read();
    relays.meet();
    near
}

fn write(way: &OwnedFd, bytes: &[u8]) {
    let (head, body) = wire::messages(7, Output::Send(bytes)).unwrap().next().unwrap();
    control_socket::send_pieces(way, &head, body).unwrap();
}

/// Whoever writes as fast as it is read does not keep the others waiting.
#[test]
fn all_who_send_have_their_turn() {
    let (relays, mut master, _commons) = relays();
    let ways = [way_to(&relays, &mut master), way_to(&relays, &mut master)];
    (0..5).for_each(|_| write(&ways[0], b"much"));
    write(&ways[1], b"one");
    for taken in 0..64 {
        relays.look_at_ways();
        if relays.take().unwrap().output() == Output::Send(b"one") {
            // What is left comes as well, and in order.
            write(&ways[1], b"two");
            relays.look_at_ways();
            let left: Vec<_> = std::iter::from_fn(|| relays.take()).collect();
            assert_eq!(left.len(), 5 + 1, "{taken} were taken before");
            return;
        }
        write(&ways[0], b"much");
    }
    panic!("a sender has no turn while another one sends");
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
