//! What the loom models share: rings of tracked cells, bells, death, and the two ends of a lane as
//! the real processes drive them.
//!
//! # The order of a worker's steps (a contract of the worker's port)
//!
//! The models check this order and fail when it is changed; `crates/ostler/src/worker` has to keep
//! it:
//!
//! 1. append outputs and `FIN` (or flag it on the last record), all stamped with the open
//!    transaction;
//! 2. `out_written` of every touched lane;
//! 3. `commit`;
//! 4. `freed` (never while the record is still held);
//! 5. one `fence(SeqCst)`;
//! 6. look at the sleep word of every reactor whose lane got outputs *or whose `freed` moved*, ring
//!    if needed.
//!
//! `freed` is stored before the fence, not after the bells: a reactor that is starved of room in
//! its package ring looks at `freed` once more after it announced its sleep, and step 6 is what
//! wakes it otherwise. For the same reason a worker that moves `freed` when it finds a lane empty
//! (behind a pad or a void) does steps 5 and 6 before it sleeps.
//!
//! A reactor, on its side: `peek_freed`, then `look` and `next` until `None`, then `reclaim`;
//! before it sleeps it announces, then looks at `Consumer::has_news` of each lane and, where it is
//! starved of room, at `Giver::has_freed`.
// test code
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, dead_code)] // test code; each model uses a part of it
#![allow(unsafe_code)] // loom's cells

pub mod mutants;

use loom::cell::UnsafeCell;
use loom::sync::{Condvar, Mutex};
use ostler_shm::consumer::{Consumer, Record};
use ostler_shm::fault::{Died, Step, die_at, step};
use ostler_shm::giver::Giver;
use ostler_shm::inbox::{Inbox, Take};
use ostler_shm::outbox::{Committer, NoRoom, Outbox};
use ostler_shm::record::{HEADER_SIZE, Header, RecordKind};
use ostler_shm::ring::RingBytes;
use ostler_shm::words::{DownWords, ProcessWords, UpWords};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// A ring whose every 64-byte cell is tracked: loom reports a read of a cell that another thread
/// may be writing.
pub struct Cells(Vec<UnsafeCell<[u64; 8]>>);

// SAFETY: the cells are loom's; loom fails the model when two threads reach one without an order
// between them.
unsafe impl Sync for Cells {}

impl Cells {
    pub fn new(capacity: u64) -> Self {
        Self((0..capacity / HEADER_SIZE as u64).map(|_| UnsafeCell::new([0; 8])).collect())
    }

    /// The words of the cell at a byte offset: what a handler or a system call reads of a payload.
    pub fn cell(&self, offset: u64) -> [u64; 8] {
        // SAFETY: loom checks that nobody writes meanwhile.
        self.0[offset as usize / HEADER_SIZE].with(|cell| unsafe { *cell })
    }

    fn set(&self, offset: u64, words: [u64; 8]) {
        // SAFETY: loom checks that nobody reads or writes meanwhile.
        self.0[offset as usize / HEADER_SIZE].with_mut(|cell| unsafe { *cell = words });
    }
}

impl RingBytes for Cells {
    fn capacity(&self) -> u64 {
        (self.0.len() * HEADER_SIZE) as u64
    }

    fn write_header(&self, offset: u64, header: &Header) {
        self.set(offset, header.to_words());
    }

    fn read_header(&self, offset: u64) -> Header {
        Header::from_words(self.cell(offset))
    }

    fn write_bytes(&self, offset: u64, bytes: &[u8]) {
        assert!(offset + bytes.len() as u64 <= self.capacity(), "a write outside the ring");
        for (index, piece) in bytes.chunks(HEADER_SIZE).enumerate() {
            let mut words = [0; 8];
            for (word, eight) in words.iter_mut().zip(piece.chunks(8)) {
                let mut le = [0; 8];
                le[..eight.len()].copy_from_slice(eight);
                *word = u64::from_le_bytes(le);
            }
            self.set(offset + (index * HEADER_SIZE) as u64, words);
        }
    }
}

/// The shared memory of one lane.
pub struct Lane {
    pub down: DownWords,
    pub up: UpWords,
    pub packages: Cells,
    pub outputs: Cells,
}

impl Lane {
    pub fn new(capacity: u64) -> Self {
        Self {
            down: DownWords::new(),
            up: UpWords::new(),
            packages: Cells::new(capacity),
            outputs: Cells::new(capacity),
        }
    }
}

/// The shared memory of one worker process.
pub struct Shared {
    pub process: ProcessWords,
    pub lanes: Vec<Lane>,
}

impl Shared {
    pub fn new(lanes: usize, capacity: u64) -> Arc<Self> {
        Arc::new(Self {
            process: ProcessWords::new(),
            lanes: (0..lanes).map(|_| Lane::new(capacity)).collect(),
        })
    }
}

/// An eventfd in edge-triggered epoll: a ring is one event, events do not add up, an event is not
/// lost.
pub struct Bell {
    rung: Mutex<bool>,
    event: Condvar,
}

impl Bell {
    pub fn new() -> Self {
        Self { rung: Mutex::new(false), event: Condvar::new() }
    }

    pub fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.event.notify_one();
    }

    /// Blocks until the bell was rung; for ever if nobody does, which loom reports as a deadlock.
    pub fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.event.wait(rung).unwrap();
        }
        *rung = false;
    }
}

/// A package in the reactor's private ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub id: u64,
    pub seq: u64,
    pub position: u64,
    pub end: u64,
    pub exposed: bool,
    pub done: bool,
}

/// The reactor's end of one lane, as §4, §6, §7 and §10 say.
#[derive(Default)]
pub struct Reactor {
    pub giver: Giver,
    pub consumer: Consumer,
    pub ledger: Vec<Entry>,
    /// Every record consumed, in order.
    pub outputs: Vec<Header>,
    seq: u64,
}

impl Reactor {
    /// Places a package of `id` (not yet published). False: no room.
    pub fn give(&mut self, lane: &Lane, id: u64, payload: &[u8]) -> bool {
        let len = payload.len() as u64;
        let Some(opening) = self.giver.open(lane.packages.capacity(), len, len) else {
            return false;
        };
        if len > 0 {
            lane.packages.write_bytes(opening.payload_offset, payload);
        }
        self.seq += 1;
        let header = Header {
            kind: RecordKind::Data as u8,
            seq: self.seq,
            subject: id,
            ..Header::default()
        };
        let given = self.giver.complete(&lane.packages, opening, header, len);
        self.ledger.push(Entry {
            id,
            seq: self.seq,
            position: given.position,
            end: given.end,
            exposed: false,
            done: false,
        });
        true
    }

    pub fn publish(&mut self, lane: &Lane) {
        self.giver.publish(&lane.down);
    }

    /// Recalls; answers the packages that are the reactor's again, in order.
    pub fn recall(&mut self, lane: &Lane) -> Vec<u64> {
        let t = self.giver.recall(&lane.down, &lane.up).unwrap();
        self.take_back(t)
    }

    fn take_back(&mut self, t: u64) -> Vec<u64> {
        let back = self.ledger.iter().filter(|entry| entry.position >= t).map(|entry| entry.id);
        let back = back.collect();
        self.ledger.retain(|entry| entry.position < t);
        back
    }

    /// Consumes what is committed; `freed` is read before and applied after.
    pub fn consume(&mut self, shared: &Shared, lane: usize) {
        let freed = self.peek_freed(&shared.lanes[lane]);
        self.consume_only(shared, lane);
        self.reclaim(freed);
    }

    pub fn peek_freed(&self, lane: &Lane) -> u64 {
        self.giver.peek_freed(&lane.up)
    }

    pub fn reclaim(&mut self, freed: u64) {
        self.giver.reclaim(freed).unwrap();
    }

    pub fn consume_only(&mut self, shared: &Shared, index: usize) {
        let lane = &shared.lanes[index];
        self.consumer.look(&shared.process, &lane.up, lane.outputs.capacity()).unwrap();
        while let Some(record) = self.consumer.next(&lane.outputs).unwrap() {
            self.dispose(&record);
        }
    }

    fn dispose(&mut self, record: &Record) {
        let header = record.header;
        if record.kind == RecordKind::Expose || record.kind == RecordKind::Fin {
            let entry = self.ledger.iter_mut().find(|entry| entry.seq == header.cause).unwrap();
            assert!(!entry.done, "finished twice");
            match record.kind {
                RecordKind::Expose => entry.exposed = true,
                _ => entry.done = true,
            }
        }
        self.outputs.push(header);
    }

    /// Consumed `Out` records for a package.
    pub fn outs_of(&self, id: u64) -> usize {
        self.outputs
            .iter()
            .filter(|header| header.kind == RecordKind::Out as u8 && header.subject == id)
            .count()
    }

    /// §10 a and b, after the death: consumes to the final commit and answers the unstarted
    /// packages.
    pub fn settle(&mut self, shared: &Shared, lane: usize) -> Vec<u64> {
        self.consume(shared, lane);
        let t = self.giver.started_below(&shared.lanes[lane].up).unwrap();
        self.take_back(t)
    }
}

/// The worker's end of all its lanes.
#[derive(Default)]
pub struct Worker {
    pub inboxes: Vec<Inbox>,
    pub outboxes: Vec<Outbox>,
    pub committer: Committer,
}

impl Worker {
    pub fn new(lanes: usize) -> Self {
        Self {
            inboxes: (0..lanes).map(|_| Inbox::default()).collect(),
            outboxes: (0..lanes).map(|_| Outbox::default()).collect(),
            committer: Committer::default(),
        }
    }

    /// Takes one record of a lane; looks again while a recall is in progress.
    pub fn take(&mut self, shared: &Shared, lane: usize) -> Option<(Header, u64)> {
        let memory = &shared.lanes[lane];
        loop {
            match self.inboxes[lane].take(&memory.down, &memory.up, &memory.packages) {
                Take::Empty => return None,
                Take::GateClosed => loom::thread::yield_now(),
                Take::Record { header, position } => return Some((header, position)),
                Take::Broken => panic!("the worker read nonsense"),
            }
        }
    }

    /// Appends a record without payload, stamped with the open transaction.
    pub fn append(
        &mut self,
        shared: &Shared,
        lane: usize,
        kind: RecordKind,
        subject: u64,
        cause: u64,
    ) -> Result<(), NoRoom> {
        self.append_bytes(shared, lane, kind, subject, cause, &[])
    }

    pub fn append_bytes(
        &mut self,
        shared: &Shared,
        lane: usize,
        kind: RecordKind,
        subject: u64,
        cause: u64,
        payload: &[u8],
    ) -> Result<(), NoRoom> {
        let header = Header {
            kind: kind as u8,
            subject,
            cause,
            stamp: self.committer.open_transaction(),
            ..Header::default()
        };
        let memory = &shared.lanes[lane];
        self.outboxes[lane].append(&memory.down, &memory.outputs, header, &[payload])?;
        match kind {
            RecordKind::Expose => step(Step::Exposed),
            RecordKind::Fin => step(Step::FinAppended),
            _ => {}
        }
        Ok(())
    }

    /// Steps 2 and 3 of the contract above.
    pub fn commit(&mut self, shared: &Shared) {
        for (outbox, lane) in self.outboxes.iter_mut().zip(&shared.lanes) {
            Committer::store_written(outbox, &lane.up);
        }
        self.committer.commit(&shared.process);
    }

    /// Step 4, when nothing is held.
    pub fn free(&mut self, shared: &Shared, lane: usize) -> bool {
        let position = self.inboxes[lane].position();
        self.inboxes[lane].free_up_to(position, &shared.lanes[lane].up)
    }
}

/// Runs a worker's life, which ends at its `death`-th step (0: at its own end). Answers whether it
/// was cut short.
pub fn live(death: u32, life: impl FnOnce()) -> bool {
    die_at(death);
    match catch_unwind(AssertUnwindSafe(life)) {
        Ok(()) => false,
        Err(reason) if reason.is::<Died>() => true,
        Err(reason) => resume_unwind(reason),
    }
}

/// Explores a model. `preemptions`: the bound on involuntary switches, `None` for all
/// interleavings.
pub fn explore(name: &str, preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    install_hook();
    let begin = Instant::now();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 10_000;
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let count = count.load(Ordering::Relaxed);
    println!("model {name}: {count} executions, {:?}", begin.elapsed());
}

/// Explores a model once for a worker that lives and once for each step at which it may die.
/// `model` is told the step and answers (after the threads were joined) whether the worker died of
/// it.
pub fn explore_deaths(
    name: &str,
    preemptions: Option<usize>,
    model: impl Fn(u32) -> bool + Send + Sync + Copy + 'static,
) {
    explore(name, preemptions, move || assert!(!model(0)));
    let mut total = 0;
    let begin = Instant::now();
    for death in 1.. {
        let count = Arc::new(AtomicUsize::new(0));
        let deaths = Arc::new(AtomicUsize::new(0));
        let (counted, died) = (Arc::clone(&count), Arc::clone(&deaths));
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = preemptions;
        builder.max_branches = 10_000;
        builder.check(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            died.fetch_add(usize::from(model(death)), Ordering::Relaxed);
        });
        total += count.load(Ordering::Relaxed);
        if deaths.load(Ordering::Relaxed) == 0 {
            println!(
                "model {name}: death at each of {} steps, {total} executions, {:?}",
                death - 1,
                begin.elapsed()
            );
            return;
        }
    }
}

thread_local! {
    static QUIET: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Installs a panic hook that is silent while this thread looks for a mutant's failure. Once,
/// before loom's generators install theirs (which goes on to this one): the hook belongs to the
/// whole process.
fn install_hook() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.with(std::cell::Cell::get) {
                previous(info);
            }
        }));
    });
}

/// What loom says when a side reads what the other is writing.
pub const RACE: &str = "Causality violation: Concurrent read and write";

/// Asserts that loom finds the defect of a mutant, and that it fails with a text that contains
/// `expected`.
pub fn finds(name: &str, expected: &str, explored: impl FnOnce()) {
    assert!(!expected.is_empty(), "the mutant {name} must name its violation");
    install_hook();
    let begin = Instant::now();
    QUIET.with(|quiet| quiet.set(true));
    let found = catch_unwind(AssertUnwindSafe(explored));
    QUIET.with(|quiet| quiet.set(false));
    let reason = found.expect_err("loom did not find the defect of the mutant");
    let text = reason
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| reason.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_default();
    println!(
        "mutant {name}: found in {:?}: {}",
        begin.elapsed(),
        text.lines().next().unwrap_or_default()
    );
    assert!(text.contains(expected), "the mutant {name} failed for another reason: {text}");
}
