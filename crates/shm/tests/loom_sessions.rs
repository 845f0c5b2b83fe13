//! The session table's seqlock: a reader never sees a record that is half one session's and half
//! another's.
#![cfg(loom)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // test code

mod model;

use loom::thread;
use model::{explore, finds};
use ostler_shm::session_state::{SessionState, StatePlace};
use ostler_shm::sessions::{FULL, Home, LoneEntry, SessionRecord};
use ostler_shm::sync::{AtomicU64, Ordering, fence};
use std::net::SocketAddr;
use std::sync::Arc;

fn peer(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], u16::from(last)))
}

/// Another reactor has the entry's second session.
fn home(nth: u8) -> Home {
    Home { reactor: nth, place: u32::from(nth) + 7 }
}

fn check(record: &SessionRecord) {
    let nth = (record.session / 64) as u8;
    assert_eq!(record.peer, peer(nth).into(), "a mixed record");
    assert_eq!(record.port, u16::from(nth), "a mixed record");
    assert_eq!(record.home, home(nth), "a mixed record");
    assert_eq!(record.connected_at_ns, u64::from(nth), "a mixed record");
}

/// Whether a state is the one of the session with its version.
fn is_whole(state: &SessionState) -> bool {
    state.bytes == if state.version == 0 { &[][..] } else { &[1; 3] }
}

/// Preemption bound 2: an entry has nine words.
#[test]
fn a_reader_sees_one_session_or_the_other() {
    explore("session entry reused", Some(2), || {
        let entry = Arc::new(LoneEntry::new(3));
        entry.entry().open(64, home(1), 1, peer(1), 1);
        let writer = {
            let entry = Arc::clone(&entry);
            thread::spawn(move || {
                entry.entry().close();
                entry.entry().open(128, home(2), 2, peer(2), 2);
            })
        };
        if let Some(record) = entry.entry().read() {
            check(&record);
        }
        writer.join().unwrap();
        check(&entry.entry().read().unwrap());
    });
}

/// Preemption bound 2.
#[test]
fn a_reader_sees_a_state_whole() {
    explore("session state set", Some(2), || {
        let entry = Arc::new(LoneEntry::new(3));
        entry.entry().open(64, home(1), 1, peer(1), 1);
        let writer = {
            let entry = Arc::clone(&entry);
            thread::spawn(move || entry.entry().set_state(&[1; 3]))
        };
        let state = entry.entry().state(64, |_| None).unwrap();
        assert!(is_whole(&state), "a mixed state");
        writer.join().unwrap();
        assert_eq!(entry.entry().read().unwrap().state_version, 1);
    });
}

/// When the owner gives the pages of a state that was followed by another one to somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    Behind,
    /// It does so before the entry refers to the new one.
    Before,
}

/// A page is a word here, and the state in it the number of its version.
fn pages(given: Given) {
    explore("session state in the area", Some(2), move || {
        let shared = Arc::new((LoneEntry::new(0), [1, 0].map(AtomicU64::new)));
        shared.0.entry().open(64, home(1), 1, peer(1), 1);
        shared.0.entry().refer_to_state(0, 8);
        let writer = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (entry, pages) = &*shared;
                pages[1].store(2, Ordering::Relaxed);
                if given == Given::Before {
                    pages[0].store(9, Ordering::Relaxed);
                }
                entry.entry().refer_to_state(1, 8);
                pages[0].store(9, Ordering::Relaxed);
            })
        };
        let copy = |place: StatePlace| {
            let page = shared.1.get(place.first_page as usize)?;
            Some(page.load(Ordering::Relaxed).to_le_bytes().to_vec())
        };
        let state = shared.0.entry().state(64, copy).unwrap();
        let number = u64::from(state.version).to_le_bytes();
        assert_eq!(state.bytes, number, "a state of other pages");
        writer.join().unwrap();
    });
}

/// Who has copied pages that are somebody else's by then reads again. Preemption bound 2.
#[test]
fn a_state_of_the_area_is_never_what_others_have_in_its_pages() {
    pages(Given::Behind);
    finds("pages of a state given before", "a state of other pages", || pages(Given::Before));
}

/// Who knows a session's id by the reactor's word (a package, the table) sees no flags of the
/// session before it.
#[test]
fn flags_are_not_those_of_the_session_before() {
    explore("session flags", None, || {
        let shared = Arc::new((LoneEntry::new(3), AtomicU64::new(0)));
        shared.0.entry().open(64, home(1), 1, peer(1), 1);
        shared.0.entry().set_flags(FULL);
        let writer = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.0.entry().close();
                shared.0.entry().open(128, home(2), 2, peer(2), 2);
                shared.1.store(128, Ordering::Release); // a package's publish
            })
        };
        let known = shared.1.load(Ordering::Acquire);
        if known == 128 {
            assert_eq!(shared.0.entry().flags_of(128), Some(0));
            assert_eq!(shared.0.entry().flags_of(64), None);
        }
        writer.join().unwrap();
    });
}

/// Who finds a session's id in the table, whatever told it to look there, finds the home of that
/// session: what is sent to another reactor would be lost. (A home of a later one does no harm:
/// then the session has ended.)
#[test]
fn a_session_that_is_found_is_found_at_its_home() {
    explore("session home", None, || {
        let entry = Arc::new(LoneEntry::new(3));
        entry.entry().open(64, home(1), 1, peer(1), 1);
        let writer = {
            let entry = Arc::clone(&entry);
            thread::spawn(move || {
                entry.entry().close();
                entry.entry().open(128, home(2), 2, peer(2), 2);
            })
        };
        if let Some(found) = entry.entry().home_of(128) {
            assert_eq!(found, home(2), "the home of the session before");
        }
        writer.join().unwrap();
        assert_eq!(entry.entry().home_of(64), None);
    });
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// The writer has no fence between the odd sequence and its stores.
    NoWriterFence,
    /// The reader has no fence between its loads and the second look.
    NoReaderFence,
    /// The reader does not look again.
    NoSecondLook,
    /// The writer never makes the sequence odd.
    NeverOdd,
}

/// The entry's algorithm on two words.
#[derive(Default)]
struct Small {
    sequence: AtomicU64,
    words: [AtomicU64; 2],
}

impl Small {
    fn write(&self, wrong: Wrong, value: u64) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        if wrong != Wrong::NeverOdd {
            self.sequence.store(sequence | 1, Ordering::Relaxed);
        }
        if wrong != Wrong::NoWriterFence {
            fence(Ordering::SeqCst);
        }
        for word in &self.words {
            word.store(value, Ordering::Relaxed);
        }
        self.sequence.store((sequence | 1) + 1, Ordering::Release);
    }

    fn read(&self, wrong: Wrong) -> Option<[u64; 2]> {
        let before = self.sequence.load(Ordering::Acquire);
        if before & 1 == 1 {
            return None;
        }
        let copy = [0, 1].map(|index: usize| self.words[index].load(Ordering::Relaxed));
        if wrong != Wrong::NoReaderFence {
            fence(Ordering::Acquire);
        }
        let same = self.sequence.load(Ordering::Relaxed) == before;
        (same || wrong == Wrong::NoSecondLook).then_some(copy)
    }
}

fn small(wrong: Wrong) {
    explore("small entry", None, move || {
        let entry = Arc::new(Small::default());
        let writer = {
            let entry = Arc::clone(&entry);
            thread::spawn(move || {
                entry.write(wrong, 1);
                entry.write(wrong, 2);
            })
        };
        if let Some([first, second]) = entry.read(wrong) {
            assert_eq!(first, second, "a mixed record");
        }
        writer.join().unwrap();
    });
}

#[test]
fn the_small_entry_passes_and_its_mutants_do_not() {
    small(Wrong::Nothing);
    for wrong in [Wrong::NoWriterFence, Wrong::NoReaderFence, Wrong::NoSecondLook, Wrong::NeverOdd]
    {
        finds(&format!("session entry {wrong:?}"), "a mixed record", || small(wrong));
    }
}

/// Who asks for what came and went with a session never gets numbers of the one before or behind
/// it, although each is written without the sequence. Preemption bound 2.
#[test]
fn traffic_is_not_that_of_the_session_before_or_behind() {
    explore("session traffic", Some(2), || {
        let entry = Arc::new(LoneEntry::new(0));
        entry.entry().open(64, home(1), 1, peer(1), 1);
        entry.entry().note_received(1, 64);
        let writer = {
            let entry = Arc::clone(&entry);
            thread::spawn(move || {
                entry.entry().close();
                entry.entry().open(128, home(2), 2, peer(2), 2);
                entry.entry().note_received(2, 128);
            })
        };
        if let Some(traffic) = entry.entry().traffic(64) {
            assert_eq!((traffic.received_at_ns, traffic.received_bytes), (1, 64), "of another one");
        }
        if let Some(traffic) = entry.entry().traffic(128) {
            assert!([0, 128].contains(&traffic.received_bytes), "of another one");
        }
        writer.join().unwrap();
        assert_eq!(entry.entry().traffic(128).unwrap().received_bytes, 128);
    });
}
