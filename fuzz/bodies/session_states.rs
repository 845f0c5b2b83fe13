//! States of sessions in the session table and in the areas of two reactors, as a script sets and
//! ends them: every worker reads the last one, whole, and no page is lost or given twice.
//!
//! Input: steps of three bytes, which are what is done, with which session, and how long its state
//! is to be.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use ostler_shm::board::{Board, BoardSizes};
use ostler_shm::body_area::{BodyArea, SharedBody};
use ostler_shm::file_range::FileRange;
use ostler_shm::layout::PAGE;
use ostler_shm::sessions::Home;

/// Sessions that a script knows; the reactor of each is its number modulo two.
const SESSIONS: u8 = 6;
/// What an entry of the table has room for.
const SHORT: usize = 64;
/// Pages of an area.
const AREA_PAGES: u64 = 7;

/// A session that is there, and what was made of its state.
struct Open {
    id: u64,
    state: Vec<u8>,
    /// Where it lies, if the entry has no room for it.
    body: Option<SharedBody>,
}

pub fn script(input: &[u8]) {
    let sizes = BoardSizes {
        reactors: 2,
        sessions: 16,
        state_bytes: SHORT,
        state_area: AREA_PAGES * PAGE,
        ..BoardSizes::default()
    };
    let (master, descriptor) = Board::create(sizes).unwrap();
    let worker = Board::open(&descriptor).unwrap();
    let areas = [0, 1].map(|reactor| master.take_state_area(reactor).unwrap());
    let mut sessions: HashMap<u8, Open> = HashMap::new();
    // Each step makes a page's table of memory: a few hundred say what thousands would.
    for (number, step) in input.chunks_exact(3).take(400).enumerate() {
        let (session, area) = (step[1] % SESSIONS, &areas[usize::from(step[1] % 2)]);
        match step[0] % 4 {
            0 => {
                let open = sessions.entry(session).or_insert_with(|| begin(&master, session));
                open.set(&master, area, number as u8, usize::from(step[2]) % (SHORT + 1));
            }
            1 | 2 => {
                let len = 1 + usize::from(step[2]) * 113 + usize::from(step[0]);
                let open = sessions.entry(session).or_insert_with(|| begin(&master, session));
                open.set(&master, area, number as u8, len);
            }
            _ => {
                if let Some(gone) = sessions.remove(&session) {
                    master.close_session(gone.id);
                    assert_eq!(worker.state(gone.id), None, "a session that is gone");
                }
            }
        }
        check(&worker, &areas, &sessions);
    }
    part_of_a_file(input);
}

fn begin(master: &Board, session: u8) -> Open {
    let id = master.claim_session().unwrap();
    let (reactor, place) = (session % 2, session.into());
    let peer = SocketAddr::from(([127, 0, 0, 1], 80));
    master.open_session(id, Home { reactor, place }, 0, peer, 1);
    Open { id, state: Vec::new(), body: None }
}

impl Open {
    /// As a reactor keeps a state that a worker has set: the entry first, then the pages before.
    fn set(&mut self, master: &Board, area: &Arc<BodyArea>, byte: u8, len: usize) {
        let entry = master.entry(self.id).unwrap();
        let state: Vec<u8> = (0..len).map(|at| byte ^ at as u8 ^ (at >> 8) as u8).collect();
        if len <= entry.state_bytes() {
            entry.set_state(&state);
            (self.state, self.body) = (state, None);
            return;
        }
        let fits = len as u64 <= area.room(true);
        let space = area.take(len);
        assert_eq!(space.is_some(), fits, "what is told of the room");
        let Some(mut space) = space else { return };
        for piece in state.chunks(1_000) {
            let copied = space.rest().copy_from(piece);
            assert_eq!(copied, piece.len());
            space.grow(copied);
        }
        let body = space.finish();
        entry.refer_to_state(body.first_page(), len as u32);
        (self.state, self.body) = (state, Some(body));
    }
}

fn check(worker: &Board, areas: &[Arc<BodyArea>; 2], sessions: &HashMap<u8, Open>) {
    let mut pages = [0, 0];
    for (session, open) in sessions {
        let seen = worker.state(open.id).map(|state| state.bytes);
        assert_eq!(seen.as_deref(), Some(&open.state[..]), "session {session}");
        if open.body.is_some() {
            pages[usize::from(session % 2)] += (open.state.len() as u64).div_ceil(PAGE);
        }
    }
    let used = areas.each_ref().map(|area| (area.touched_bytes() - area.idle_bytes()) / PAGE);
    assert_eq!(used, pages, "pages of states that are there");
    assert!(used.iter().all(|used| *used <= AREA_PAGES));
}

/// What a record says of a state in a file: a part of one, or nothing, and in one form only.
fn part_of_a_file(input: &[u8]) {
    let Some(bytes) = input.first_chunk::<16>() else { return };
    if let Some(range) = FileRange::from_bytes(bytes) {
        assert!(range.offset() < range.end() && range.end() <= i64::MAX as u64);
        assert_eq!(&range.to_bytes(), bytes);
    }
}
