//! The roster: what each process of a server is doing, for how long it has worked, and how long
//! deliveries have waited for it and taken it.
//!
//! One file for the server. Each process writes into a place of its own, and everybody reads
//! without its help. It could write into the places of others too: so nothing depends on what
//! stands here but figures. What decides over a process stands in its
//! [black box](crate::black_box), which is its own.
//!
//! A slot has two places, for the process that serves and the one that leaves. A process has that
//! of its generation's last bit. Sometimes three are there for a moment; what is counted is added
//! by atomic instructions, so that nothing is lost then either.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fd::{AsFd, OwnedFd};

use crate::black_box::phase::{PhaseLine, Seen};
use crate::layout::{PAGE, PROTOCOL, ROSTER_MAGIC};
use crate::mapping::{self, Mapping, Writer};

/// Buckets of each histogram.
pub const BUCKETS: usize = 256;
/// Kinds of process, each with its slots.
pub const KINDS: usize = 4;
/// Places of a slot.
const PLACES_OF_SLOT: usize = 2;
/// Both histograms of a row: how long deliveries waited, and how long they took.
const ROW_LEN: u64 = (2 * BUCKETS * size_of::<AtomicU64>()) as u64;

/// The first line.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct RosterHead {
    magic: AtomicU64,
    protocol: AtomicU64,
    rows: AtomicU64,
    slots: [AtomicU64; KINDS],
}

/// Who has a place, and what it has done.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct WorkLines {
    /// Kind, slot and generation as one number; 0: nobody.
    key: AtomicU64,
    pid: AtomicU64,
    began_ns: AtomicU64,
    busy_ns: AtomicU64,
    deliveries: AtomicU64,
    requests: AtomicU64,
    /// 1 once it was asked to leave.
    leaves: AtomicU64,
}

/// For how many processes and ports there is room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RosterSizes {
    /// Slots of each kind of process, by its code.
    pub slots: [usize; KINDS],
    /// Rows of times: one for each port, and one for tasks.
    pub rows: usize,
}

const PLACE_LEN: u64 = (size_of::<PhaseLine>() + size_of::<WorkLines>()) as u64;

impl RosterSizes {
    fn slots_before(&self, kind: usize) -> Option<usize> {
        let before = self.slots.get(..kind)?;
        before.iter().try_fold(0, |sum: usize, slots| sum.checked_add(*slots))
    }

    /// All slots of all kinds.
    fn all_slots(&self) -> Option<usize> {
        self.slots_before(KINDS)
    }

    fn places(&self) -> Option<u64> {
        Some(self.all_slots()?.checked_mul(PLACES_OF_SLOT)? as u64)
    }

    /// Words that say which rows of a place are in use: a row that is not has no memory, and gets
    /// it when it is read.
    const fn words_of_use(&self) -> u64 {
        self.rows.div_ceil(64) as u64
    }

    fn use_at(&self) -> Option<u64> {
        PAGE.checked_add(self.places()?.checked_mul(PLACE_LEN)?)
    }

    fn rows_at(&self) -> Option<u64> {
        let words = self.places()?.checked_mul(self.words_of_use())?;
        let end = self.use_at()?.checked_add(words.checked_mul(size_of::<AtomicU64>() as u64)?)?;
        end.checked_next_multiple_of(PAGE)
    }

    fn len(&self) -> Option<u64> {
        let rows = self.places()?.checked_mul(self.rows as u64)?;
        self.rows_at()?.checked_add(rows.checked_mul(ROW_LEN)?)
    }

    /// The place of a process of this kind, slot and generation.
    fn place_of(&self, kind: u8, slot: u16, generation: u32) -> Option<usize> {
        let (kind, slot) = (usize::from(kind), usize::from(slot));
        if slot >= *self.slots.get(kind)? {
            return None;
        }
        let slot = self.slots_before(kind)?.checked_add(slot)?;
        Some(slot * PLACES_OF_SLOT + (generation & 1) as usize)
    }
}

/// A writable mapping of the file.
#[derive(Debug)]
pub struct Roster {
    mapping: Mapping,
    sizes: RosterSizes,
}

impl Roster {
    /// Master: makes the file and maps it; the descriptor is for the processes. Its pages exist
    /// when they are written.
    ///
    /// # Errors
    /// Those of memfd_create(2), ftruncate(2) and mmap(2).
    pub fn create(sizes: RosterSizes) -> io::Result<(Self, OwnedFd)> {
        let impossible = || io::Error::from(io::ErrorKind::InvalidInput);
        let len = sizes.len().ok_or_else(impossible)?;
        let fd = mapping::create("ostler-roster", len, false)?;
        mapping::seal(&fd, Writer::Receiver)?;
        let made = Self { mapping: Mapping::new(&fd, len, true)?, sizes };
        if let Some(head) = made.mapping.words::<RosterHead>(0) {
            head.rows.store(sizes.rows as u64, Ordering::Relaxed);
            for (word, slots) in head.slots.iter().zip(sizes.slots) {
                word.store(slots as u64, Ordering::Relaxed);
            }
            head.protocol.store(PROTOCOL, Ordering::Relaxed);
            head.magic.store(ROSTER_MAGIC, Ordering::Release);
        }
        Ok((made, fd))
    }

    /// A process: maps the file.
    ///
    /// # Errors
    /// When it is no roster, of another protocol or too short, or mapping fails.
    pub fn open(fd: impl AsFd) -> io::Result<Self> {
        let strange = || io::Error::new(io::ErrorKind::InvalidData, "this is no roster");
        let small =
            |word: &AtomicU64| word.load(Ordering::Relaxed).min(u64::from(u32::MAX)) as usize;
        let sizes = {
            let first = Mapping::new(&fd, PAGE, false)?;
            let head = first.words::<RosterHead>(0).ok_or_else(strange)?;
            let is_one = head.magic.load(Ordering::Acquire) == ROSTER_MAGIC
                && head.protocol.load(Ordering::Relaxed) == PROTOCOL;
            if !is_one {
                return Err(strange());
            }
            RosterSizes { slots: head.slots.each_ref().map(small), rows: small(&head.rows) }
        };
        let len = sizes.len().ok_or_else(strange)?;
        Ok(Self { mapping: Mapping::new(&fd, len, true)?, sizes })
    }

    /// How many rows of times each place has.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.sizes.rows
    }

    /// The place of a process, by its kind's code, its slot and its generation; `None`: there is
    /// no such slot.
    #[must_use]
    pub fn place_of(&self, kind: u8, slot: u16, generation: u32) -> Option<Place<'_>> {
        self.place(self.sizes.place_of(kind, slot, generation)?)
    }

    /// Both places of a slot.
    pub fn places_of(&self, kind: u8, slot: u16) -> impl Iterator<Item = Place<'_>> {
        (0..PLACES_OF_SLOT as u32).filter_map(move |last| self.place_of(kind, slot, last))
    }

    /// All places.
    pub fn places(&self) -> impl Iterator<Item = Place<'_>> {
        let places = self.sizes.all_slots().unwrap_or(0) * PLACES_OF_SLOT;
        (0..places).filter_map(|number| self.place(number))
    }

    fn place(&self, number: usize) -> Option<Place<'_>> {
        let at = PAGE + number as u64 * PLACE_LEN;
        let words = self.sizes.words_of_use();
        let used_at = self.sizes.use_at()? + number as u64 * words * size_of::<AtomicU64>() as u64;
        Some(Place {
            roster: self,
            number,
            phase: self.mapping.words(at)?,
            work: self.mapping.words(at + size_of::<PhaseLine>() as u64)?,
            used: self.mapping.word_slice(used_at, words as usize)?,
        })
    }
}

/// The place of a process.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    roster: &'a Roster,
    number: usize,
    phase: &'a PhaseLine,
    work: &'a WorkLines,
    used: &'a [AtomicU64],
}

/// What stands in a place, as its process has written it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceFigures {
    /// Kind, slot and generation as one number.
    pub key: u64,
    /// The number of the process.
    pub pid: u64,
    /// When it began, nanoseconds of the monotonic clock.
    pub began_ns: u64,
    /// For how long callbacks have run that are over.
    pub busy_ns: u64,
    /// Deliveries of every kind whose callbacks are over.
    pub deliveries: u64,
    /// Of those, packages, datagrams and tasks.
    pub requests: u64,
    /// It was asked to leave.
    pub leaves: bool,
    /// What runs now.
    pub running: Option<Seen>,
}

impl<'a> Place<'a> {
    /// Process: it begins; `key` is not 0.
    pub fn begin(&self, key: u64, pid: u64, now_ns: u64) {
        let WorkLines { busy_ns, deliveries, requests, leaves, .. } = self.work;
        // Nobody, while the words are of two processes.
        self.work.key.store(0, Ordering::Release);
        self.phase.end();
        for word in [busy_ns, deliveries, requests, leaves] {
            word.store(0, Ordering::Relaxed);
        }
        self.work.pid.store(pid, Ordering::Relaxed);
        self.work.began_ns.store(now_ns, Ordering::Relaxed);
        self.work.key.store(key, Ordering::Release);
    }

    /// Master: the process is gone. Its times stay. Nothing when the place is another's by now.
    pub fn end(&self, key: u64) {
        let _ = self.work.key.compare_exchange(key, 0, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Master: the process was asked to leave.
    pub fn leaves(&self, key: u64) {
        if self.work.key.load(Ordering::Acquire) == key {
            self.work.leaves.store(1, Ordering::Relaxed);
        }
    }

    /// What its process is doing.
    #[must_use]
    pub const fn phase(&self) -> &'a PhaseLine {
        self.phase
    }

    /// Process: a callback has run for so long.
    pub fn worked(&self, time_ns: u64) {
        self.work.busy_ns.fetch_add(time_ns, Ordering::Relaxed);
    }

    /// Process: a delivery is over.
    pub fn delivered(&self) {
        self.work.deliveries.fetch_add(1, Ordering::Relaxed);
    }

    /// Process: one of a row is over, which has waited and taken as long as these buckets say.
    pub fn count(&self, row: usize, waited: usize, took: usize) {
        self.work.requests.fetch_add(1, Ordering::Relaxed);
        let Some(histograms) = self.row(row) else { return };
        let (of_waiting, of_taking) = histograms.split_at(BUCKETS);
        for (histogram, bucket) in [(of_waiting, waited), (of_taking, took)] {
            if let Some(count) = histogram.get(bucket) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
        if let Some(word) = self.used.get(row / 64) {
            let bit = 1 << (row % 64);
            if word.load(Ordering::Relaxed) & bit == 0 {
                word.fetch_or(bit, Ordering::Release);
            }
        }
    }

    fn row(&self, row: usize) -> Option<&'a [AtomicU64]> {
        let sizes = &self.roster.sizes;
        if row >= sizes.rows {
            return None;
        }
        let number = self.number as u64 * sizes.rows as u64 + row as u64;
        self.roster.mapping.word_slice(sizes.rows_at()? + number * ROW_LEN, 2 * BUCKETS)
    }

    /// Who has it and what that has done; `None`: nobody.
    #[must_use]
    pub fn read(&self) -> Option<PlaceFigures> {
        let key = self.work.key.load(Ordering::Acquire);
        let word = |word: &AtomicU64| word.load(Ordering::Relaxed);
        (key != 0).then(|| PlaceFigures {
            key,
            pid: word(&self.work.pid),
            began_ns: word(&self.work.began_ns),
            busy_ns: word(&self.work.busy_ns),
            deliveries: word(&self.work.deliveries),
            requests: word(&self.work.requests),
            leaves: word(&self.work.leaves) != 0,
            running: self.phase.read(),
        })
    }

    /// How many deliveries of a row have waited, and taken, as long as each bucket says; `None`:
    /// there were none.
    #[must_use]
    pub fn read_row(&self, row: usize) -> Option<[[u64; BUCKETS]; 2]> {
        let used = self.used.get(row / 64)?.load(Ordering::Acquire);
        if used & (1 << (row % 64)) == 0 {
            return None;
        }
        let (of_waiting, of_taking) = self.row(row)?.split_at(BUCKETS);
        Some([of_waiting, of_taking].map(|counts| {
            let mut read = [0; BUCKETS];
            for (to, from) in read.iter_mut().zip(counts) {
                *to = from.load(Ordering::Relaxed);
            }
            read
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::black_box::phase::Phase;

    const SIZES: RosterSizes = RosterSizes { slots: [3, 1, 1, 2], rows: 66 };

    fn roster() -> (Roster, Roster) {
        let (master, fd) = Roster::create(SIZES).unwrap();
        (master, Roster::open(&fd).unwrap())
    }

    #[test]
    fn each_process_has_a_place_of_its_own() {
        let (master, process) = roster();
        let all = [(0, 0), (0, 1), (0, 2), (1, 0), (2, 0), (3, 0), (3, 1)];
        let keys = all.into_iter().flat_map(|(kind, slot)| [(kind, slot, 4), (kind, slot, 5)]);
        for (key, (kind, slot, generation)) in (1..).zip(keys) {
            let place = process.place_of(kind, slot, generation).unwrap();
            assert_eq!(place.read(), None);
            place.begin(key, key + 100, 7);
            place.count(65, key as usize, key as usize + 50);
        }
        let read: Vec<_> = master.places().filter_map(|place| place.read()).collect();
        assert_eq!(read.iter().map(|it| it.key).collect::<Vec<_>>(), (1..=14).collect::<Vec<_>>());
        for (key, place) in (1..).zip(master.places()) {
            let [waited, took] = place.read_row(65).unwrap();
            assert_eq!((waited[key], waited.iter().sum::<u64>()), (1, 1));
            assert_eq!((took[key + 50], took.iter().sum::<u64>()), (1, 1));
            assert_eq!(place.read_row(64), None);
        }
        for (kind, slot) in [(0, 3), (1, 1), (2, 1), (3, 2), (4, 0), (255, 0)] {
            assert!(master.place_of(kind, slot, 1).is_none());
        }
    }

    #[test]
    fn a_process_is_seen_until_it_is_gone_and_its_times_stay() {
        let (master, process) = roster();
        let place = process.place_of(0, 1, 1).unwrap();
        place.begin(11, 99, 1_000);
        let phase = Phase { callback: 3, session: 8, started_ns: 1_500, ..Phase::default() };
        place.phase().begin(&phase);
        let seen = || master.place_of(0, 1, 1).unwrap().read();
        assert_eq!(seen().unwrap().running.unwrap().phase, phase);
        place.phase().end();
        place.worked(250);
        place.delivered();
        place.count(0, 1, 2);
        let figures = seen().unwrap();
        assert_eq!((figures.key, figures.pid, figures.began_ns), (11, 99, 1_000));
        assert_eq!((figures.busy_ns, figures.deliveries, figures.requests), (250, 1, 1));
        assert_eq!(figures.running, None);
        let of_master = master.place_of(0, 1, 1).unwrap();
        of_master.leaves(12);
        assert!(!seen().unwrap().leaves, "another one leaves");
        of_master.leaves(11);
        assert!(seen().unwrap().leaves);
        of_master.end(12);
        assert!(seen().is_some(), "another one is gone");
        of_master.end(11);
        assert_eq!(seen(), None);
        place.begin(13, 100, 2_000);
        assert_eq!((seen().unwrap().busy_ns, seen().unwrap().leaves), (0, false));
        assert_eq!(of_master.read_row(0).unwrap()[0][1], 1);
    }

    #[test]
    fn what_is_no_row_and_no_bucket_is_not_counted() {
        let (_master, process) = roster();
        let place = process.place_of(0, 0, 1).unwrap();
        place.count(66, 1, 1);
        place.count(1_000_000, 1, 1);
        place.count(0, BUCKETS, usize::MAX);
        assert_eq!(place.read_row(0), Some([[0; BUCKETS]; 2]));
        assert_eq!((place.read_row(66), place.read_row(usize::MAX)), (None, None));
    }

    #[test]
    fn a_strange_file_is_refused() {
        let fd = mapping::create("strange", 1 << 16, false).unwrap();
        assert!(Roster::open(&fd).is_err());
        let (master, fd) = Roster::create(SIZES).unwrap();
        let head = master.mapping.words::<RosterHead>(0).unwrap();
        head.rows.store(u64::MAX, Ordering::Relaxed);
        assert!(Roster::open(&fd).is_err(), "longer than it is");
        head.slots.iter().for_each(|word| word.store(u64::MAX, Ordering::Relaxed));
        assert!(Roster::open(&fd).is_err(), "longer than anything");
        head.rows.store(66, Ordering::Relaxed);
        head.protocol.store(PROTOCOL + 1, Ordering::Relaxed);
        assert!(Roster::open(&fd).is_err());
    }

    /// Rows that nobody has written take no memory, also when all are read.
    #[test]
    fn reading_makes_no_memory() {
        let (master, fd) =
            Roster::create(RosterSizes { slots: [500, 0, 1, 0], rows: 100 }).unwrap();
        let blocks = || rustix::fs::fstat(&fd).unwrap().st_blocks;
        assert!(master.places().all(|place| place.read().is_none()));
        let before = blocks();
        assert!(master.places().all(|place| (0..100).all(|row| place.read_row(row).is_none())));
        assert!(blocks() - before < 1_000, "{before} {}", blocks());
    }
}
