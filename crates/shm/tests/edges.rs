//! What stands at the edges: limits, flags and words that the ways of a package pass over. Each
//! test here was written for a mutation that nothing else noticed.
#![cfg(not(loom))]
// test code
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod plain;

use ostler_shm::board::{Board, BoardSizes};
use ostler_shm::giver::Giver;
use ostler_shm::lane::{MasterMemory, WorkerMemory};
use ostler_shm::layout::{LANE_SIZE_MAX, LANE_SIZE_MIN, PAGE, Sizes};
use ostler_shm::mapping::{self, Mapping, Writer};
use ostler_shm::outbox::{Committer, Outbox};
use ostler_shm::record::{HEADER_SIZE, Header, RecordKind};
use ostler_shm::ring::{length_is_possible, max_record};
use ostler_shm::sessions::{Home, LoneEntry, REACTORS_MAX, STATE_BYTES_MAX};
use ostler_shm::sleep::{Ringer, Sleeper};
use ostler_shm::sync::{AtomicU64, Ordering};
use ostler_shm::words::{DownWords, UpWords};
use plain::Plain;
use std::collections::BTreeSet;
use std::net::SocketAddr;

// ---- sleep --------------------------------------------------------------------------------------

#[test]
fn a_sleeper_is_rung_once_per_sleep_and_never_while_awake() {
    let word = AtomicU64::new(0);
    let (mut sleeper, mut ringer) = (Sleeper::default(), Ringer::default());
    assert!(!ringer.needs_bell(&word), "it never slept");
    for round in 0..3 {
        sleeper.announce(&word);
        assert_eq!(word.load(Ordering::Relaxed), 2 * round + 1, "odd while asleep");
        sleeper.announce(&word);
        assert_eq!(word.load(Ordering::Relaxed), 2 * round + 1, "said twice, it is one sleep");
        assert!(ringer.needs_bell(&word));
        assert!(!ringer.needs_bell(&word), "rung for this sleep already");
        sleeper.awake(&word);
        assert_eq!(word.load(Ordering::Relaxed), 2 * round + 2, "even while awake");
        sleeper.awake(&word);
        assert_eq!(word.load(Ordering::Relaxed), 2 * round + 2, "said twice, it changes nothing");
        assert!(!ringer.needs_bell(&word), "it is awake");
    }
}

// ---- board --------------------------------------------------------------------------------------

const HOME: Home = Home { reactor: 0, place: 0 };

fn sizes(reactors: usize, sessions: u64) -> BoardSizes {
    BoardSizes { reactors, sessions, state_bytes: 192, ..BoardSizes::default() }
}

/// A worker believes the file's length, not its words: a board that is shorter than it says would
/// kill who reads its end. What it costs is what it holds, in whole pages.
#[test]
fn a_board_is_as_long_as_its_sessions_need_and_one_that_is_shorter_is_refused() {
    let (_master, fd) = Board::create(sizes(2, 1_024)).unwrap();
    let len = rustix::fs::fstat(&fd).unwrap().st_size as usize;
    // With an account for each reactor, and two of the master.
    let (head, entries, accounts) = (2 * 4_096, 1_024 * 384, 4 * 4_096);
    let least = head + entries + accounts;
    assert!((least..least + 2 * 4_096).contains(&len), "{len}");
    let mut bytes = vec![0; len];
    assert_eq!(rustix::io::pread(&fd, &mut bytes[..], 0).unwrap(), len);
    for (kept, opens) in [(len, true), (len - 1, false), (len / 2, false), (4_096, false)] {
        let copy = rustix::fs::memfd_create("copy", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::io::pwrite(&copy, &bytes[..kept], 0).unwrap();
        assert_eq!(Board::open(&copy).is_ok(), opens, "{kept} of {len}");
    }
}

#[test]
fn a_board_has_possible_sizes_only() {
    for (reactors, sessions) in [(0, 64), (REACTORS_MAX + 1, 64), (1, 0), (1, 63)] {
        let error = Board::create(sizes(reactors, sessions)).err().unwrap();
        assert!(error.to_string().contains("impossible"), "{error}");
    }
    let state_bytes = STATE_BYTES_MAX + 1;
    assert!(Board::create(BoardSizes { state_bytes, ..sizes(1, 64) }).is_err());
    let (board, _) = Board::create(sizes(REACTORS_MAX, 64)).unwrap();
    assert_eq!((board.reactors(), board.session_entries()), (REACTORS_MAX, 64));
}

#[test]
fn every_session_has_an_entry_of_its_own_up_to_the_last() {
    let (master, fd) = Board::create(sizes(3, 128)).unwrap();
    let worker = Board::open(&fd).unwrap();
    assert_eq!((worker.reactors(), worker.session_entries()), (3, 128));
    let peer = SocketAddr::from(([127, 0, 0, 1], 80));
    // Up to the end of the table, and on from its beginning.
    master.start_sessions_behind(63);
    let ids: Vec<u64> = (0..128).map_while(|_| master.claim_session()).collect();
    assert_eq!(ids, (64..192).collect::<Vec<u64>>());
    assert_eq!(master.claim_session(), None, "all entries are taken");
    for id in &ids {
        master.open_session(*id, HOME, 0, peer, 1);
    }
    for id in &ids {
        assert_eq!(worker.session(*id).unwrap().session, *id);
    }
    let open = || worker.sessions().map(|(id, _)| id).collect::<BTreeSet<_>>();
    assert_eq!(open(), ids.iter().copied().collect());
    master.close_session(ids[0]);
    assert_eq!(open(), ids[1..].iter().copied().collect());
    assert_eq!(master.claim_session(), Some(64 + 128), "the entry that is free, a new id");
}

/// Neighbours keep their states, whatever room a state has.
#[test]
fn states_are_as_long_as_the_board_was_made_for() {
    for state_bytes in [0, 1, 100, 192, STATE_BYTES_MAX] {
        let (master, fd) = Board::create(BoardSizes { state_bytes, ..sizes(2, 16) }).unwrap();
        let worker = Board::open(&fd).unwrap();
        assert_eq!(worker.state_bytes(), state_bytes);
        let peer = SocketAddr::from(([127, 0, 0, 1], 80));
        let ids: Vec<u64> = (0..16).map_while(|_| master.claim_session()).collect();
        let state = |index: usize| vec![u8::try_from(index).unwrap() + 1; state_bytes];
        for (index, id) in ids.iter().enumerate() {
            master.open_session(*id, HOME, 0, peer, 1);
            master.entry(*id).unwrap().set_state(&state(index));
        }
        for (index, id) in ids.iter().enumerate() {
            assert_eq!(worker.state(*id).unwrap().bytes, state(index), "{state_bytes}");
        }
        assert_eq!(worker.sessions().count(), ids.len());
    }
}

#[test]
fn pressure_is_seen_by_workers_and_ends() {
    let (master, fd) = Board::create(sizes(1, 8)).unwrap();
    let worker = Board::open(&fd).unwrap();
    assert!(!worker.pressure());
    master.set_pressure(true);
    assert!(worker.pressure());
    master.set_pressure(false);
    assert!(!worker.pressure());
}

#[test]
fn sleep_words_of_reactors_are_apart() {
    let (master, fd) = Board::create(sizes(2, 8)).unwrap();
    let worker = Board::open(&fd).unwrap();
    for reactor in 0..2 {
        master.reactor_sleep(reactor).unwrap().store(reactor as u64 + 5, Ordering::Relaxed);
    }
    for reactor in 0..2 {
        let word = worker.reactor_sleep(reactor).unwrap();
        assert_eq!(word.load(Ordering::Relaxed), reactor as u64 + 5);
    }
    assert!(worker.reactor_sleep(2).is_none());
    let peer = SocketAddr::from(([127, 0, 0, 1], 80));
    let id = master.claim_session().unwrap();
    master.open_session(id, HOME, 0, peer, 1);
    assert_eq!(worker.reactor_sleep(0).unwrap().load(Ordering::Relaxed), 5, "not overwritten");
}

// ---- layout -------------------------------------------------------------------------------------

#[test]
fn sizes_are_valid_up_to_their_limits_and_not_beyond() {
    let valid = |reactors, lane_size| Sizes { reactors, lane_size }.are_valid();
    assert!(valid(1, LANE_SIZE_MIN) && valid(REACTORS_MAX, LANE_SIZE_MAX));
    assert!(!valid(0, LANE_SIZE_MIN) && !valid(REACTORS_MAX + 1, LANE_SIZE_MIN));
    assert!(!valid(1, LANE_SIZE_MIN / 2) && !valid(1, LANE_SIZE_MAX * 2));
    assert!(!valid(1, LANE_SIZE_MIN + 4096), "not a power of two");
}

#[test]
fn files_have_the_bytes_that_the_lanes_need_and_no_more() {
    // One page of head, one for the words of two lanes, the rings.
    let sizes = Sizes { reactors: 2, lane_size: LANE_SIZE_MIN };
    assert_eq!(sizes.package_ring_at(0), 2 * PAGE);
    assert_eq!(sizes.out_ring_at(0), 2 * PAGE);
    assert_eq!(sizes.up_len(), 2 * PAGE + 2 * LANE_SIZE_MIN);
    assert_eq!(sizes.down_len(), 2 * PAGE + 2 * (LANE_SIZE_MIN + 16 * 1024));
    assert_eq!(sizes.payload_max(), LANE_SIZE_MIN as usize / 4 - HEADER_SIZE);
}

#[test]
fn a_worker_refuses_files_that_are_too_short_for_their_sizes() {
    let sizes = Sizes { reactors: 1, lane_size: LANE_SIZE_MIN };
    let memory = MasterMemory::create(sizes, 1, 1).unwrap();
    assert!(WorkerMemory::open(memory.down_fd(), memory.up_fd()).is_ok());
    let short = mapping::create("short", sizes.up_len() - 1, false).unwrap();
    assert!(WorkerMemory::open(memory.down_fd(), &short).is_err());
    let long = mapping::create("long", sizes.up_len(), false).unwrap();
    assert!(WorkerMemory::open(memory.down_fd(), &long).is_ok());
    let strange = mapping::create("strange", sizes.down_len(), false).unwrap();
    let error = WorkerMemory::open(&strange, memory.up_fd()).err().unwrap();
    assert!(error.to_string().contains("not a lane file"), "{error}");
}

// ---- records and rings --------------------------------------------------------------------------

#[test]
fn every_kind_survives_its_byte() {
    let mut known = 0;
    for byte in 0..=u8::MAX {
        if let Some(kind) = RecordKind::from_byte(byte) {
            assert_eq!(kind as u8, byte);
            known += 1;
        }
    }
    assert_eq!(known, 30, "each kind is known by its byte");
}

#[test]
fn every_bit_of_a_header_survives_memory() {
    for bit in 0..512 {
        let mut words = [0u64; 8];
        words[bit / 64] = 1 << (bit % 64);
        assert_eq!(Header::from_words(words).to_words(), words, "bit {bit}");
        let all = words.map(|word| !word);
        assert_eq!(Header::from_words(all).to_words(), all, "all but bit {bit}");
    }
}

#[test]
fn only_a_pad_is_longer_than_a_record() {
    let capacity = 65_536;
    let header = |kind, len: u64| Header { kind, len: len as u32, ..Header::default() };
    let possible = |kind: RecordKind, len, position, limit| {
        length_is_possible(&header(kind as u8, len), position, limit, capacity)
    };
    let longest = max_record(capacity);
    assert!(possible(RecordKind::Data, longest, 0, capacity));
    assert!(!possible(RecordKind::Data, longest + 64, 0, capacity));
    assert!(possible(RecordKind::Pad, longest + 64, 0, capacity));
    assert!(possible(RecordKind::Pad, capacity, 0, capacity));
    assert!(!possible(RecordKind::Data, 63, 0, capacity), "no room for its header");
    assert!(!possible(RecordKind::Data, 128, 0, 64), "not published");
    assert!(!possible(RecordKind::Data, 128, capacity - 64, 2 * capacity), "over the wrap");
}

// ---- giver and outbox ---------------------------------------------------------------------------

/// Gives one record with a payload of this length.
fn give(giver: &mut Giver, bytes: &Plain, len: u64) -> u64 {
    let opening = giver.open(4096, len, len).unwrap();
    let header = Header { kind: RecordKind::Data as u8, ..Header::default() };
    giver.complete(bytes, opening, header, len).end
}

#[test]
fn a_giver_knows_what_is_unpublished_taken_and_freed() {
    let (down, up, bytes) = (DownWords::new(), UpWords::new(), Plain::new(4096));
    let mut giver = Giver::default();
    assert!(!giver.is_dirty());
    let end = give(&mut giver, &bytes, 64);
    assert_eq!(end, 128);
    assert!(giver.is_dirty());
    giver.publish(&down);
    assert!(!giver.is_dirty());
    assert_eq!(giver.in_use(), 128);
    assert!(!giver.has_freed(&up));
    assert_eq!(giver.peek_taken(&up), 0);
    up.taken.taken.store(1, Ordering::Relaxed);
    assert_eq!(giver.peek_taken(&up), 1);
    assert_eq!(giver.started_below(&up).unwrap(), 1);
    up.taken.freed.store(128, Ordering::Relaxed);
    assert!(giver.has_freed(&up));
    giver.reclaim(128).unwrap();
    assert!(!giver.has_freed(&up));
    assert_eq!(giver.in_use(), 0);
}

#[test]
fn taken_neither_goes_back_nor_beyond_what_was_published() {
    let (down, up, bytes) = (DownWords::new(), UpWords::new(), Plain::new(4096));
    let mut giver = Giver::default();
    give(&mut giver, &bytes, 64);
    giver.publish(&down);
    for taken in [64, 64, 128] {
        up.taken.taken.store(taken, Ordering::Relaxed);
        assert_eq!(giver.started_below(&up).unwrap(), taken);
    }
    for taken in [127, 0, 129] {
        up.taken.taken.store(taken, Ordering::Relaxed);
        assert!(giver.started_below(&up).is_err(), "{taken}");
    }
}

#[test]
fn an_announcement_inside_the_last_void_started_nothing() {
    let (down, up, bytes) = (DownWords::new(), UpWords::new(), Plain::new(4096));
    let mut giver = Giver::default();
    give(&mut giver, &bytes, 64);
    give(&mut giver, &bytes, 64);
    up.taken.taken.store(1, Ordering::Relaxed);
    assert_eq!(giver.recall(&down, &up).unwrap(), 1, "the first was started");
    for (taken, started) in [(1, 1), (2, 1), (129, 1), (256, 1)] {
        up.taken.taken.store(taken, Ordering::Relaxed);
        assert_eq!(giver.started_below(&up).unwrap(), started, "taken = {taken}");
    }
}

#[test]
fn an_opening_is_offered_up_to_the_last_byte_of_the_ring() {
    let (down, bytes) = (DownWords::new(), Plain::new(4096));
    let mut giver = Giver::default();
    let longest = max_record(4096) - HEADER_SIZE as u64;
    for _ in 0..3 {
        give(&mut giver, &bytes, longest);
    }
    giver.publish(&down);
    assert_eq!(giver.open(4096, longest, longest).unwrap().payload_max, longest);
    give(&mut giver, &bytes, longest);
    assert!(giver.open(4096, 1, 0).is_none(), "full");
    giver.publish(&down);
    giver.reclaim(1024).unwrap();
    assert_eq!(giver.open(4096, longest + 999, 0).unwrap().payload_max, longest);
}

#[test]
fn an_outbox_has_room_up_to_the_last_byte_and_publishes_once() {
    let (down, up, bytes) = (DownWords::new(), UpWords::new(), Plain::new(4096));
    let mut outbox = Outbox::default();
    let header = Header { kind: RecordKind::Out as u8, ..Header::default() };
    let payload = vec![7; max_record(4096) as usize - HEADER_SIZE];
    for count in 1..=4 {
        assert!(outbox.has_room(&down, 4096, payload.len() as u64));
        outbox.append(&down, &bytes, header, &[&payload]).unwrap();
        assert_eq!(outbox.staged(), count * 1024);
    }
    assert!(!outbox.has_room(&down, 4096, 0));
    assert!(outbox.append(&down, &bytes, header, &[]).is_err());
    Committer::store_written(&mut outbox, &up);
    assert_eq!((outbox.staged(), up.out.out_written.load(Ordering::Relaxed)), (0, 4096));
    up.out.out_written.store(7, Ordering::Relaxed);
    Committer::store_written(&mut outbox, &up);
    assert_eq!(up.out.out_written.load(Ordering::Relaxed), 7, "nothing staged, nothing stored");
    down.consumed.out_read.store(1024, Ordering::Relaxed);
    assert!(outbox.has_room(&down, 4096, payload.len() as u64));
    assert!(!outbox.has_room(&down, 4096, payload.len() as u64 + 1), "over what was read");
}

// ---- sessions and mappings ----------------------------------------------------------------------

#[test]
fn flags_belong_to_the_session_that_lives_in_the_entry() {
    let lone = LoneEntry::new(64);
    let entry = lone.entry();
    assert!(entry.is_free());
    assert_eq!(entry.flags_of(0), None, "no session has the number 0");
    entry.open(64, HOME, 0, SocketAddr::from(([127, 0, 0, 1], 1)), 1);
    assert!(!entry.is_free());
    assert_eq!(entry.flags_of(64), Some(0));
    entry.set_flags(5);
    assert_eq!((entry.flags_of(64), entry.flags_of(128)), (Some(5), None));
    entry.close();
    assert!(entry.is_free());
}

#[test]
fn each_state_has_the_next_version() {
    let lone = LoneEntry::new(64);
    let entry = lone.entry();
    entry.open(64, HOME, 0, SocketAddr::from(([127, 0, 0, 1], 1)), 1);
    for version in 1..=5 {
        entry.set_state(&vec![version; usize::from(version)]);
        let read = entry.state(64, |_| None).unwrap();
        assert_eq!((read.version, read.bytes.len()), (version.into(), version.into()));
        assert_eq!(entry.read().unwrap().state_version, u32::from(version));
    }
}

#[test]
fn a_mapping_is_gone_with_its_owner() {
    let maps = || std::fs::read_to_string("/proc/self/maps").unwrap();
    let fd = mapping::create("ostler-edges", PAGE, true).unwrap();
    let mapping = Mapping::new(&fd, PAGE, false).unwrap();
    assert!(maps().contains("ostler-edges"));
    assert!(!mapping.is_writable() && mapping.len() == PAGE as usize && !mapping.is_empty());
    drop(mapping);
    assert!(!maps().contains("ostler-edges"));
}

#[test]
fn a_memory_file_is_closed_on_exec_and_sealed_against_another_size() {
    let fd = mapping::create("ostler-sealed", PAGE, false).unwrap();
    let flags = nix::fcntl::fcntl(&fd, nix::fcntl::FcntlArg::F_GETFD).unwrap();
    assert_eq!(flags & nix::libc::FD_CLOEXEC, nix::libc::FD_CLOEXEC);
    mapping::seal(&fd, Writer::Receiver).unwrap();
    assert!(rustix::fs::ftruncate(&fd, 2 * PAGE).is_err(), "it grew");
    assert!(rustix::fs::ftruncate(&fd, 0).is_err(), "it shrank");
    assert!(mapping::seal(&fd, Writer::Existing).is_err(), "sealed against further seals");
}
