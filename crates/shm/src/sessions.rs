//! The session table: what every worker may know of every session, written by the owning reactor
//! (seqlock).
//!
//! An entry changes only under an odd sequence word; a reader copies, then checks that the word is
//! even and unchanged. It also says where in the master the session lives ([`Home`]): in which
//! reactor, so that a worker knows its lane, and at which of its places. The state of a session is
//! a matter of its own (`session_state`).

pub use crate::session_flags::{
    BINDING, BOUND, CLOSING, FULL, MARKS, PAUSED, PROTECTED, QUEUED, REASON_MASK, bound_to,
    closing_because, closing_reason, user_of,
};
pub use crate::session_peer::{Peer, UnixPeer};
use crate::session_peer::{pack_peer, unpack_peer};
use crate::sync::{AtomicU64, Ordering, fence};

/// Words of the first three lines of an entry (192 bytes); the state follows them.
const HEAD_WORDS: usize = 24;
/// Words of the first line, which tell of the session; those of its streams are in the second, and
/// what came and went (`session_traffic`) in the third.
const RECORD_WORDS: usize = 8;
/// The longest state that entries can have room for, bytes: every entry of the table has this room,
/// taken or not. Longer ones lie in the state area of their reactor (`session_state`).
pub const STATE_BYTES_MAX: usize = 4096;
/// The most reactors that a worker's word of touched lanes has room for.
pub const REACTORS_MAX: usize = 64;
/// The most sessions that a table has room for: an entry has 24 bits for a place.
pub const SESSIONS_MAX: u64 = 1 << 24;

const SEQUENCE: usize = 0;
pub(crate) const ID: usize = 1;
const FLAGS: usize = 2;
const PEER_LOW: usize = 3;
const PEER_HIGH: usize = 4;
/// Both ports, the kind of the peer's address, the session's [`Home`].
pub(crate) const PORTS: usize = 5;
const CONNECTED: usize = 6;
/// How often the state was set, and how long it is (`session_state`).
pub(crate) const STATE: usize = 7;
/// The stream that is being written: its worker, its number there, and bytes of it that are
/// written.
const STREAM_OWNER: usize = 8;
const STREAM: usize = 9;
const STREAM_WRITTEN: usize = 10;
/// How often a reader tries again at once when it meets a writer, which holds an entry for well
/// under a microsecond.
const SPINS: usize = 1_000;
/// How often it sleeps after that: the writer's thread has lost its processor in the midst, and
/// gets it back when others have had theirs. Whoever waits in vain for so long, a second or two,
/// looks at an entry whose reactor is gone.
const PAUSES_MAX: usize = 10_000;

/// Where in the master a session lives. It stays there for all its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home {
    /// Number of its reactor, below [`REACTORS_MAX`].
    pub reactor: u8,
    /// Its place there, below [`SESSIONS_MAX`].
    pub place: u32,
}

impl Home {
    const REACTOR_SHIFT: u32 = 34;
    const PLACE_SHIFT: u32 = 40;

    /// Its part of the word of the ports.
    const fn pack(self) -> u64 {
        let reactor = self.reactor as u64 % REACTORS_MAX as u64;
        reactor << Self::REACTOR_SHIFT | (self.place as u64) << Self::PLACE_SHIFT
    }

    pub(crate) const fn unpack(ports: u64) -> Self {
        let reactor = (ports >> Self::REACTOR_SHIFT) % REACTORS_MAX as u64;
        Self { reactor: reactor as u8, place: (ports >> Self::PLACE_SHIFT) as u32 }
    }
}

/// What every entry of the table begins with. All zero: free.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct EntryHead {
    words: [AtomicU64; HEAD_WORDS],
}

/// One entry of the table: its head and the room for the session's state.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    head: &'a EntryHead,
    state: &'a [AtomicU64],
}

/// An entry that lies in no table, for models and tests.
#[derive(Debug)]
pub struct LoneEntry {
    head: EntryHead,
    state: Vec<AtomicU64>,
}

impl LoneEntry {
    /// A free entry with room for a state of so many bytes.
    #[must_use]
    pub fn new(state_bytes: usize) -> Self {
        let word = || AtomicU64::new(0);
        Self {
            head: EntryHead { words: std::array::from_fn(|_| word()) },
            state: std::iter::repeat_with(word).take(state_bytes.div_ceil(8)).collect(),
        }
    }

    /// The entry.
    #[must_use]
    pub fn entry(&self) -> Entry<'_> {
        Entry::new(&self.head, &self.state)
    }
}

/// Bytes from one entry of a table to the next.
#[must_use]
pub const fn entry_stride(state_bytes: usize) -> usize {
    size_of::<EntryHead>() + state_bytes.next_multiple_of(align_of::<EntryHead>())
}

/// What an entry says of an open session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// The session.
    pub session: u64,
    /// Where it lives.
    pub home: Home,
    /// Number of the listening port on which it came.
    pub port: u16,
    /// Who the client is.
    pub peer: Peer,
    /// When it was accepted, nanoseconds of the machine's monotonic clock.
    pub connected_at_ns: u64,
    /// [`FULL`], [`CLOSING`].
    pub flags: u64,
    /// How often its state was set.
    pub state_version: u32,
}

impl<'a> Entry<'a> {
    /// The word in which the session's id stands.
    pub(crate) const ID_WORD: usize = ID;

    /// The entry that these words are.
    pub(crate) const fn new(head: &'a EntryHead, state: &'a [AtomicU64]) -> Self {
        Self { head, state }
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        #[allow(clippy::indexing_slicing)] // every index is a constant below HEAD_WORDS
        &self.head.words[index]
    }

    /// The room for a state.
    pub(crate) const fn state_words(&self) -> &'a [AtomicU64] {
        self.state
    }

    pub(crate) fn write(&self, change: impl FnOnce(&Self)) {
        let sequence = self.word(SEQUENCE).load(Ordering::Relaxed);
        self.word(SEQUENCE).store(sequence | 1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        change(self);
        self.word(SEQUENCE).store((sequence | 1) + 1, Ordering::Release);
    }

    pub(crate) fn set(&self, index: usize, value: u64) {
        self.word(index).store(value, Ordering::Relaxed);
    }

    pub(crate) fn get(&self, index: usize) -> u64 {
        self.word(index).load(Ordering::Relaxed)
    }

    /// Owner: a session begins in this entry.
    pub fn open(
        &self,
        session: u64,
        home: Home,
        port: u16,
        peer: impl Into<Peer>,
        connected_at_ns: u64,
    ) {
        let (low, high, peer_port) = pack_peer(peer.into());
        self.write(|entry| {
            entry.set(FLAGS, 0);
            entry.set(PEER_LOW, low);
            entry.set(PEER_HIGH, high);
            entry.set(PORTS, peer_port | u64::from(port) << LISTENING_SHIFT | home.pack());
            entry.set(CONNECTED, connected_at_ns);
            entry.set(STATE, 0);
            entry.set(STREAM_OWNER, 0);
            entry.clear_traffic();
            // Release: who finds the id finds the session's home, or that of a later one.
            entry.word(ID).store(session, Ordering::Release);
        });
    }

    /// Owner: the session is gone, the entry free.
    pub fn close(&self) {
        self.write(|entry| entry.set(ID, 0));
    }

    /// Owner: sets the flags; a single word, so no sequence is needed.
    pub fn set_flags(&self, flags: u64) {
        self.set(FLAGS, flags);
    }

    /// Owner: so much of a worker's stream is written. `owner` names the worker, `stream` is its
    /// number there.
    pub fn set_stream(&self, owner: u64, stream: u32, written: u64) {
        self.write(|entry| {
            entry.set(STREAM_OWNER, owner);
            entry.set(STREAM, stream.into());
            entry.set(STREAM_WRITTEN, written);
        });
    }

    /// Anyone: how much of this stream is written. `None` while it is not the one that is written:
    /// another one is, its first bytes have not come, or the session has ended.
    #[must_use]
    pub fn stream_written(&self, session: u64, owner: u64, stream: u32) -> Option<u64> {
        let words = [ID, STREAM_OWNER, STREAM, STREAM_WRITTEN];
        let [id, by, number, written] = self.read_words(words)?;
        (id == session && by == owner && number == u64::from(stream)).then_some(written)
    }

    /// A consistent copy of some words; `None` when their writer died in them.
    pub(crate) fn read_words<const N: usize>(&self, indices: [usize; N]) -> Option<[u64; N]> {
        self.read_consistent(|entry| indices.map(|index| entry.get(index)))
    }

    /// What `read` makes of the entry, all of it from one moment; `None` when its writer died in
    /// it. While the writer is at it the words may be any numbers: then `read` is called again, and
    /// what it has returned is thrown away.
    pub(crate) fn read_consistent<T>(&self, read: impl Fn(&Self) -> T) -> Option<T> {
        for attempt in 0..SPINS + PAUSES_MAX {
            let before = self.word(SEQUENCE).load(Ordering::Acquire);
            if before & 1 == 1 {
                pause(attempt);
                continue;
            }
            let copy = read(self);
            fence(Ordering::Acquire);
            if self.word(SEQUENCE).load(Ordering::Relaxed) == before {
                return Some(copy);
            }
        }
        None
    }

    /// Whether no session lives here (for others than the owner: a moment ago).
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.get(ID) == 0
    }

    /// Anyone: the flags, if `session` lives here. Cheap; may be a moment old. When the session
    /// ends meanwhile they may be those of its successor: what is done with the session is checked
    /// again by its reactor, by the id.
    #[must_use]
    pub fn flags_of(&self, session: u64) -> Option<u64> {
        self.is_home_of(session).then(|| self.get(FLAGS))
    }

    /// Anyone: where `session` lives, if its entry is this one; see [`Entry::flags_of`].
    #[must_use]
    pub fn home_of(&self, session: u64) -> Option<Home> {
        self.is_home_of(session).then(|| Home::unpack(self.get(PORTS)))
    }

    fn is_home_of(&self, session: u64) -> bool {
        self.word(ID).load(Ordering::Acquire) == session && session != 0
    }

    /// Anyone: the session that lives here and its flags, `None` when none does. Cheap; may be a
    /// moment old, and the flags those of a successor: what is done with the session is checked
    /// again.
    #[must_use]
    pub fn id_and_flags(&self) -> Option<(u64, u64)> {
        let session = self.word(ID).load(Ordering::Acquire);
        (session != 0).then(|| (session, self.get(FLAGS)))
    }

    /// Anyone: a consistent copy of the entry, `None` when it is free (or its writer died in it).
    #[must_use]
    pub fn read(&self) -> Option<SessionRecord> {
        unpack(&self.read_words(std::array::from_fn(|index| index))?)
    }
}

#[cfg(not(loom))]
fn pause(attempt: usize) {
    if attempt < SPINS {
        std::hint::spin_loop();
    } else {
        std::thread::sleep(std::time::Duration::from_micros(100));
    }
}
#[cfg(loom)]
fn pause(_attempt: usize) {
    loom::thread::yield_now();
}

fn unpack(head: &[u64; RECORD_WORDS]) -> Option<SessionRecord> {
    let [_, session, flags, low, high, ports, connected_at_ns, state] = head;
    if *session == 0 {
        return None;
    }
    Some(SessionRecord {
        session: *session,
        home: Home::unpack(*ports),
        port: (*ports >> LISTENING_SHIFT) as u16,
        peer: unpack_peer(*low, *high, *ports),
        connected_at_ns: *connected_at_ns,
        flags: *flags,
        state_version: (*state >> 32) as u32,
    })
}

/// The word of the ports: that of the peer in the low 16 bits, two bits for the kind of its
/// address, the listening port, and the [`Home`].
const LISTENING_SHIFT: u32 = 18;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

    proptest! {
        #[test]
        fn what_is_written_is_read(
            session in 1u64.., reactor in 0u8..64, place in 0u32..1 << 24, flags: u64,
            listening: u16, ip in any::<u128>(),
            v4 in any::<u32>(), is_v6: bool, port: u16,
            unix in any::<Option<(u32, u32, u32)>>(),
            state in proptest::collection::vec(any::<u8>(), 0..=200), at: u64,
        ) {
            let ip = if is_v6 {
                IpAddr::V6(Ipv6Addr::from_bits(ip))
            } else {
                IpAddr::V4(Ipv4Addr::from_bits(v4))
            };
            let lone = LoneEntry::new(200);
            let entry = lone.entry();
            let home = Home { reactor, place };
            let peer = match unix {
                Some((pid, uid, gid)) => Peer::Unix(UnixPeer { pid, uid, gid }),
                None => Peer::Ip(SocketAddr::new(ip, port)),
            };
            entry.open(session, home, listening, peer, at);
            entry.set_state(&state);
            entry.set_flags(flags);
            let read = entry.read().unwrap();
            prop_assert_eq!((read.session, read.port), (session, listening));
            prop_assert_eq!((read.flags, read.home), (flags, home));
            prop_assert_eq!(entry.flags_of(session), Some(flags));
            prop_assert_eq!(entry.home_of(session), Some(home));
            prop_assert_eq!(read.peer, peer);
            prop_assert_eq!(read.connected_at_ns, at);
            let kept = entry.state(session, |_| None).unwrap();
            prop_assert_eq!((kept.version, kept.bytes), (read.state_version, state));
            prop_assert_eq!(read.state_version, 1);
            entry.close();
            prop_assert!(entry.read().is_none());
            prop_assert!(entry.flags_of(session).is_none());
        }
    }

    const HOME: Home = Home { reactor: 1, place: 2 };

    /// A writer that lost its processor in the midst: the session is not gone for that.
    #[test]
    fn a_reader_waits_for_a_writer_that_stands_still() {
        let lone = LoneEntry::new(8);
        lone.entry().open(64, HOME, 0, SocketAddr::from(([127, 0, 0, 1], 1)), 1);
        lone.entry().set_stream(5, 3, 1);
        let (begun, begins) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                lone.entry().write(|entry| {
                    begun.send(()).unwrap();
                    std::thread::sleep(std::time::Duration::from_millis(100));
                    entry.set(STREAM_WRITTEN, 2);
                });
            });
            begins.recv().unwrap();
            assert_eq!(lone.entry().read().unwrap().session, 64);
            assert_eq!(lone.entry().stream_written(64, 5, 3), Some(2));
        });
    }

    #[test]
    fn the_progress_of_a_stream_is_told_to_its_own_worker_alone() {
        let lone = LoneEntry::new(8);
        let entry = lone.entry();
        entry.open(64, HOME, 0, SocketAddr::from(([127, 0, 0, 1], 1)), 1);
        assert_eq!(entry.stream_written(64, 5, 3), None, "nothing was told");
        entry.set_stream(5, 3, 0);
        assert_eq!(entry.stream_written(64, 5, 3), Some(0));
        entry.set_stream(5, 3, 1_000);
        assert_eq!(entry.stream_written(64, 5, 3), Some(1_000));
        assert_eq!(entry.stream_written(64, 5, 4), None, "another stream of it");
        assert_eq!(entry.stream_written(64, 6, 3), None, "another worker's");
        assert_eq!(entry.stream_written(128, 5, 3), None, "another session");
        entry.close();
        entry.open(128, HOME, 0, SocketAddr::from(([127, 0, 0, 1], 1)), 1);
        assert_eq!(entry.stream_written(128, 5, 3), None, "a new session inherits nothing");
    }

    #[test]
    fn entries_begin_on_lines() {
        let strides = [0, 1, 64, 65, 192, 4_096].map(entry_stride);
        assert_eq!(strides, [192, 256, 256, 320, 384, 4_288]);
    }
}
