//! States of sessions in the areas of their reactors, over real memory.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // test code

use ostler_shm::board::{Board, BoardSizes};
use ostler_shm::layout::PAGE;
use ostler_shm::session_state::SessionState;
use ostler_shm::sessions::Home;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

fn peer() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 80))
}

/// States that are longer than their entries have room for, by two reactors.
#[test]
fn a_state_of_the_area_is_read_by_every_worker_and_its_pages_are_used_again() {
    let page = PAGE as usize;
    let area = 4 * PAGE;
    let (master, fd) = Board::create(BoardSizes {
        state_bytes: 8,
        body_area: PAGE,
        state_area: area,
        reactors: 2,
        sessions: 16,
        ..BoardSizes::default()
    })
    .unwrap();
    let worker = Board::open(&fd).unwrap();
    let areas = [0, 1].map(|reactor| master.take_state_area(reactor).unwrap());
    assert!(master.take_state_area(1).is_none() && master.take_state_area(2).is_none());
    assert!(worker.take_state_area(0).is_none(), "who only reads owns nothing");
    let open = |reactor: u8| {
        let session = master.claim_session().unwrap();
        master.open_session(session, Home { reactor, place: 0 }, 0, peer(), 1);
        session
    };
    let keep = |reactor: usize, session: u64, state: &[u8]| {
        let mut space = areas[reactor].take(state.len()).unwrap();
        space.rest().copy_from(state);
        space.grow(state.len());
        let body = space.finish();
        master.entry(session).unwrap().refer_to_state(body.first_page(), state.len() as u32);
        body
    };
    let [first, second] = [open(0), open(1)];
    let bodies = [keep(0, first, &[1; 5_000]), keep(1, second, &vec![2; area as usize])];
    for (session, state) in [(first, vec![1; 5_000]), (second, vec![2; area as usize])] {
        let expected = SessionState { version: 1, bytes: state };
        assert_eq!(
            (worker.state(session), master.state_version(session)),
            (Some(expected), Some(1))
        );
    }
    assert_eq!(areas.each_ref().map(|area| area.room(true)), [2 * PAGE, 0]);
    drop(bodies);
    assert_eq!(areas.each_ref().map(|area| area.room(false)), [2 * PAGE, area]);
    assert_eq!(areas[1].touched_bytes(), area);
    let again = keep(1, first, &vec![3; page]);
    assert_eq!(again.first_page(), 0);
    // The entry says in whose area it is.
    assert_eq!(worker.state(first).unwrap().bytes, [&[1; 4_096][..]].concat());
    for (page, len) in [(0, area as u32 + 1), (4, 9), (u32::MAX, u32::MAX)] {
        master.entry(first).unwrap().refer_to_state(page, len);
        assert_eq!(worker.state(first), None, "{page} {len}");
    }
    master.close_session(first);
    assert_eq!((worker.state(first), worker.state_version(first)), (None, None));
    master.set_state_room(1, 77);
    assert_eq!([0, 1, 2].map(|reactor| worker.state_room(reactor)), [0, 77, 0]);
}

/// A copy of a state is of one moment, also when its pages are given to others all the time.
#[test]
fn a_state_is_read_whole_while_it_changes() {
    let (master, fd) = Board::create(BoardSizes {
        reactors: 1,
        sessions: 16,
        state_area: 64 * PAGE,
        ..BoardSizes::default()
    })
    .unwrap();
    let worker = Board::open(&fd).unwrap();
    let area = master.take_state_area(0).unwrap();
    let session = master.claim_session().unwrap();
    master.open_session(session, Home { reactor: 0, place: 0 }, 0, peer(), 1);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut kept = None;
            for number in 1..=2_000_u32 {
                let len = 1_000 + (number as usize * 7_919) % 90_000;
                let mut space = area.take(len).unwrap();
                space.rest().copy_from(&vec![number as u8; len]);
                space.grow(len);
                let body = space.finish();
                master.entry(session).unwrap().refer_to_state(body.first_page(), len as u32);
                kept = Some(body);
            }
            drop(kept);
            is_over.store(true, Ordering::Release);
        });
        while !is_over.load(Ordering::Acquire) {
            let state = worker.state(session).unwrap();
            let number = state.version as u8;
            assert!(state.bytes.iter().all(|byte| *byte == number), "a mixed state");
        }
    });
}
