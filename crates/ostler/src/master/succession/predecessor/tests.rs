//! What an old master leaves, and which of its sessions have room.

use super::*;
use crate::sys::{control_socket, eventfd};
use ostler_core::ids::PortId;
use ostler_core::succession::hand_over::{HandedPeer, HandedTraffic};
use ostler_shm::board::{Board, BoardSizes};

/// A session that is told with so many bytes of state.
fn handed(session: u64, state: usize) -> HandedSession {
    let traffic = HandedTraffic {
        received_at_ns: 0,
        given_at_ns: 0,
        sent_at_ns: 0,
        received_bytes: 0,
        sent_bytes: 0,
    };
    HandedSession {
        session,
        port: String::new(),
        peer: HandedPeer::Ip(([127, 0, 0, 1], 1).into()),
        connected_at_ns: 0,
        traffic,
        is_protected: false,
        is_full: false,
        is_unnamed: false,
        user: None,
        state: vec![7; state],
        groups: Vec::new(),
        framing: String::new(),
        received: Vec::new(),
        unsent: Vec::new(),
    }
}

/// Three sessions may come to a reactor that has room for 64 KiB of states.
fn with_three_sessions() -> (Predecessor, Reports) {
    let (old, reports, _) = with_three_sessions_and_their_master();
    (old, reports)
}

/// The same, and the other end of the channel.
fn with_three_sessions_and_their_master() -> (Predecessor, Reports, OwnedFd) {
    let sizes =
        BoardSizes { reactors: 1, sessions: 4, state_area: 1 << 16, ..BoardSizes::default() };
    let board = Arc::new(Board::create(sizes).unwrap().0);
    board.set_state_room(0, 1 << 16);
    let reports = Reports::new(Places::new(board)).unwrap().with_expected_groups(1, 1);
    let (near, far) = control_socket::pair().unwrap();
    let mut old = Predecessor {
        channel: Channel::new(near),
        pid: None,
        pid_file: None,
        oom_adjustment: None,
        kept: KeptPlaces::new(Some(9), vec![7, 8, 9]),
        has_handed_over: true,
        retry_at: None,
        wanted: HashMap::new(),
        memory: Account::new(Budget::new(0)),
        takes_nothing: false,
    };
    old.keep_places(&reports.places);
    (old, reports, far)
}

/// Either the word that it is in charge is heard, or the old master sees that it is not: nobody has
/// the listeners if both believe the other.
#[test]
fn whether_a_new_master_is_in_charge_when_it_hears_no_more_both_know() {
    for is_told in [false, true] {
        let (new, _reports, far) = with_three_sessions_and_their_master();
        let mut old = Channel::<ToNewMaster, FromNewMaster>::new(far);
        let offer = ToNewMaster::Sessions { reactor: 0, offer: 1, count: 0 };
        old.send(&offer, Vec::new()).unwrap();
        if is_told {
            old.send(&ToNewMaster::InCharge, Vec::new()).unwrap();
        }
        assert_eq!(new.was_put_in_charge(), is_told);
        assert!(old.send(&ToNewMaster::InCharge, Vec::new()).is_err());
    }
}

fn wanted(session: HandedSession) -> Wanted {
    let (socket, port) = (eventfd::create().unwrap(), PortId::FIRST);
    let session = Box::new(TakenOver { socket, port, handed: session });
    Wanted { position: 0, reactor: 0, session }
}

/// Each takes eight pages and a byte: nine.
#[test]
fn who_is_wanted_and_on_its_way_has_room_for_its_state_and_no_other() {
    let (mut old, reports) = with_three_sessions();
    old.charge_to(Budget::new(1 << 30));
    let long = (1 << 15) + 1;
    assert_eq!(old.room_for(&handed(7, long), 9, &reports), Some(0));
    assert_eq!(old.room_for(&handed(8, long), 9, &reports), None, "two are 18 pages");
    assert_eq!(old.room_for(&handed(9, 9), 9, &reports), Some(0), "it has room in its entry");
    // It is given, and its reactor has not taken it yet.
    old.came(handed(7, long).weight() as u64);
    assert_eq!(old.room_for(&handed(8, long), 9, &reports), None);
    reports.places.expect_state_no_more(long);
    assert_eq!(old.room_for(&handed(8, long), 9, &reports), Some(0));
    old.put_off(&wanted(handed(8, long)), &reports);
    assert_eq!(old.room_for(&handed(8, long), 9, &reports), Some(0), "once more");
}

#[test]
fn who_is_wanted_is_charged_until_it_is_given_or_put_off() {
    let (mut old, reports) = with_three_sessions();
    let budget = Budget::new(20_000);
    old.charge_to(Arc::clone(&budget));
    assert_eq!(old.room_for(&handed(7, 12_000), 9, &reports), Some(0));
    assert_eq!(old.room_for(&handed(8, 12_000), 9, &reports), None, "not for now");
    old.put_off(&wanted(handed(7, 12_000)), &reports);
    assert_eq!(budget.leased(), 0);
    assert_eq!(old.room_for(&handed(8, 12_000), 9, &reports), Some(0));
    old.came(handed(8, 12_000).weight() as u64);
    assert_eq!(budget.leased(), 0);
}

fn receive_from(will: ToNewMaster, list: &[u8], listeners: usize) -> Problem<Will> {
    let (near, far) = control_socket::pair().unwrap();
    let mut old = Channel::<ToNewMaster, FromNewMaster>::new(near);
    let list = sealed_file::create("test-listeners", list).unwrap();
    old.send(&will, vec![list]).unwrap();
    let listeners = (0..listeners).map(|_| eventfd::create().unwrap()).collect();
    old.send(&ToNewMaster::Listeners, listeners).unwrap();
    drop(old);
    receive(&Channel::new(far))
}

#[test]
fn what_is_not_whole_or_of_another_version_is_refused_with_the_reason() {
    let will = |protocol, listeners| ToNewMaster::Will {
        protocol,
        listeners,
        has_pid_file: false,
        oom_adjustment: None,
        newest_session: None,
    };
    let ours = SUCCESSION_PROTOCOL;
    let names = &[&b"tcp 127.0.0.1:1\0\0unix /s\0"[..], b"1:2\0"].concat();
    assert!(receive_from(will(ours, 2), names, 2).is_ok());
    // As masters before this one have written it.
    let older = b"tcp 127.0.0.1:1\0unix /s\0";
    assert!(receive_from(will(FILES_PROTOCOL - 1, 2), older, 2).is_ok());
    assert!(receive_from(will(FILES_PROTOCOL - 1, 2), names, 2).is_err());
    let why = |will, list: &[u8], count| receive_from(will, list, count).err().unwrap();
    assert!(why(will(ours + 1, 2), names, 2).contains("restart the server"));
    assert!(why(will(ours, 3), names, 3).contains("descriptors are missing"));
    assert!(why(will(ours, 2), names, 1).contains("it is gone"));
    assert!(why(will(ours, 2), names, 0).contains("descriptors are missing"));
    assert!(why(will(ours, 1), &names[..5], 1).contains("is cut"));
    assert!(why(ToNewMaster::InCharge, names, 2).contains("not understood"));
}
