//! A worker that is killed at every numbered step of the protocol.

use super::process::Child;
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use ostler_shm::consumer::Consumer;
use ostler_shm::fault::{self, STEPS, Step, step};
use ostler_shm::giver::Giver;
use ostler_shm::inbox::{Inbox, Take};
use ostler_shm::lane::{MasterMemory, ReactorLane, WorkerLane, WorkerMemory};
use ostler_shm::layout::Sizes;
use ostler_shm::outbox::{Committer, Outbox};
use ostler_shm::record::{Header, RecordKind};
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

const LANES: usize = 2;
const SIZES: Sizes = Sizes { reactors: LANES, lane_size: 65_536 };
const PACKAGES: u64 = 60;
/// Deaths of one run: each of the first generations is armed.
const ARMED: u32 = 2;
/// Outputs are as large as this, so that the rings wrap, pad, and fill.
const OUTPUT: usize = 7_000;

/// Every seventh package outgrows its transaction and is exposed.
const fn is_exposed(id: u64) -> bool {
    id % 7 == 3
}

fn output(id: u64, part: u64) -> Vec<u8> {
    let mut bytes = [id.to_le_bytes(), part.to_le_bytes()].concat();
    bytes.resize(OUTPUT - (id as usize * 37) % 500, (id + part) as u8);
    bytes
}

// ---- the worker process

struct Worker {
    memory: WorkerMemory,
    lanes: Vec<(WorkerLane, Inbox, Outbox)>,
    committer: Committer,
}

impl Worker {
    fn append(&mut self, lane: usize, kind: RecordKind, id: u64, cause: u64, payload: &[u8]) {
        let header = Header {
            kind: kind as u8,
            subject: id,
            cause,
            stamp: self.committer.open_transaction(),
            ..Header::default()
        };
        let (end, _, outbox) = &mut self.lanes[lane];
        while outbox.append(end.down(), &end.outputs, header, &[payload]).is_err() {
            step(Step::WaitingForRoom);
            std::thread::sleep(Duration::from_micros(20));
        }
        match kind {
            RecordKind::Expose => step(Step::Exposed),
            RecordKind::Fin => step(Step::FinAppended),
            _ => {}
        }
    }

    /// The order of the contract (`tests/model/mod.rs`).
    fn publish(&mut self, freed: Option<usize>) {
        for (lane, _, outbox) in &mut self.lanes {
            Committer::store_written(outbox, lane.up());
        }
        self.committer.commit(self.memory.process().unwrap());
        if let Some(index) = freed {
            let (lane, inbox, _) = &mut self.lanes[index];
            inbox.free_up_to(inbox.position(), lane.up());
        }
        Committer::fence();
        step(Step::Rung);
    }

    fn handle(&mut self, home: usize, header: Header, position: u64) {
        let id = header.subject;
        let package = self.lanes[home].0.payload(position, &header);
        assert_eq!(&*package, output(id, 99), "the package is what the master gave");
        self.append(home, RecordKind::Out, id, header.seq, &output(id, 0));
        self.append(LANES - 1 - home, RecordKind::Out, id, header.seq, &output(id, 1));
        if is_exposed(id) {
            self.append(home, RecordKind::Expose, id, header.seq, &[]);
            self.publish(None);
            self.append(LANES - 1 - home, RecordKind::Out, id, header.seq, &output(id, 2));
            self.publish(None);
        }
        drop(package);
        self.append(home, RecordKind::Fin, id, header.seq, &[]);
        self.publish(Some(home));
    }
}

fn work(down: BorrowedFd<'_>, up: BorrowedFd<'_>, armed: Option<&str>) {
    if let Some(text) = armed {
        assert!(fault::arm(text));
    }
    let memory = WorkerMemory::open(down, up).unwrap();
    let lanes = (0..LANES)
        .map(|lane| (memory.lane(lane).unwrap(), Inbox::default(), Outbox::default()))
        .collect();
    let mut worker = Worker { memory, lanes, committer: Committer::default() };
    loop {
        let mut found = false;
        for index in 0..LANES {
            let (lane, inbox, _) = &mut worker.lanes[index];
            match inbox.take(lane.down(), lane.up(), &lane.packages) {
                Take::Record { header, position } => {
                    worker.handle(index, header, position);
                    found = true;
                }
                Take::GateClosed => found = true,
                Take::Empty => {
                    inbox.free_up_to(inbox.position(), lane.up());
                }
                Take::Broken => panic!("the worker read nonsense"),
            }
        }
        if worker.lanes.iter().all(|(lane, inbox, _)| inbox.is_left(lane.down())) {
            return;
        }
        if !found {
            step(Step::Sleeping);
            std::thread::sleep(Duration::from_micros(20));
        }
    }
}

// ---- the master

struct Entry {
    id: u64,
    seq: u64,
    position: u64,
    exposed: bool,
    done: bool,
}

/// One reactor's end of the lane of one generation.
struct Reactor {
    lane: ReactorLane,
    giver: Giver,
    consumer: Consumer,
    ledger: VecDeque<Entry>,
    seq: u64,
}

/// What the clients see: how often each output came.
type Seen = BTreeMap<(u64, u64), u32>;

impl Reactor {
    fn new(memory: &MasterMemory, reactor: usize) -> Self {
        let lane = memory.lane(reactor).unwrap();
        let (giver, consumer) = (Giver::default(), Consumer::default());
        Self { lane, giver, consumer, ledger: VecDeque::new(), seq: 0 }
    }

    fn give(&mut self, pending: &mut VecDeque<u64>) {
        while let Some(id) = pending.front() {
            let payload = output(*id, 99);
            let len = payload.len() as u64;
            let Some(opening) = self.giver.open(SIZES.lane_size, len, len) else { break };
            let copied = self
                .lane
                .packages
                .raw_mut(opening.payload_offset, opening.payload_max as usize)
                .copy_from(&payload);
            assert_eq!(copied, payload.len());
            self.seq += 1;
            let header = Header {
                kind: RecordKind::Data as u8,
                seq: self.seq,
                subject: *id,
                ..Header::default()
            };
            let given = self.giver.complete(&self.lane.packages, opening, header, len);
            let entry = Entry {
                id: *id,
                seq: self.seq,
                position: given.position,
                exposed: false,
                done: false,
            };
            self.ledger.push_back(entry);
            pending.pop_front();
        }
        self.giver.publish(self.lane.down());
    }

    fn consume(&mut self, seen: &mut Seen) {
        let freed = self.giver.peek_freed(self.lane.up());
        self.consumer.look(self.lane.process(), self.lane.up(), SIZES.lane_size).unwrap();
        while let Some(record) = self.consumer.next(&self.lane.outputs).unwrap() {
            let header = record.header;
            match record.kind {
                RecordKind::Out => {
                    let bytes =
                        self.lane.outputs.raw(record.payload_offset, header.payload_len()).to_vec();
                    let part = u64::from_le_bytes(bytes[8..16].try_into().unwrap());
                    assert_eq!(bytes, output(header.subject, part), "an output is whole");
                    *seen.entry((header.subject, part)).or_default() += 1;
                }
                RecordKind::Expose | RecordKind::Fin => {
                    let entry =
                        self.ledger.iter_mut().find(|entry| entry.seq == header.cause).unwrap();
                    assert!(!entry.done && entry.id == header.subject);
                    entry.exposed |= record.kind == RecordKind::Expose;
                    entry.done |= record.kind == RecordKind::Fin;
                }
                other => panic!("{other:?} was never sent"),
            }
        }
        while self.ledger.front().is_some_and(|entry| entry.done) {
            self.ledger.pop_front();
        }
        self.consumer.release(self.lane.down());
        self.giver.reclaim(freed).unwrap();
    }

    fn put_back(&mut self, t: u64, pending: &mut VecDeque<u64>) {
        while self.ledger.back().is_some_and(|entry| entry.position >= t) {
            pending.push_front(self.ledger.pop_back().unwrap().id);
        }
    }

    fn recall(&mut self, pending: &mut VecDeque<u64>) {
        let t = self.giver.recall(self.lane.down(), self.lane.up()).unwrap();
        self.put_back(t, pending);
    }

    /// §10. Answers the sessions that are closed because their delivery was exposed.
    fn settle(&mut self, seen: &mut Seen, pending: &mut VecDeque<u64>) -> Vec<u64> {
        self.consume(seen);
        let t = self.giver.started_below(self.lane.up()).unwrap();
        self.put_back(t, pending);
        let mut closed = Vec::new();
        while let Some(entry) = self.ledger.pop_back() {
            if entry.exposed && !entry.done {
                closed.push(entry.id);
            } else if !entry.done {
                pending.push_front(entry.id);
            }
        }
        closed
    }

    fn is_idle(&self) -> bool {
        self.ledger.is_empty()
    }
}

/// Runs a stream of packages with workers that die at `armed`; answers how many died.
fn run(armed: &str) -> u32 {
    let begin = Instant::now();
    let mut pending: Vec<VecDeque<u64>> = (0..LANES)
        .map(|lane| (1..=PACKAGES).filter(|id| *id as usize % LANES == lane).collect())
        .collect();
    let mut seen = Seen::new();
    let mut closed = Vec::new();
    let mut deaths = 0;
    for generation in 1.. {
        let memory = MasterMemory::create(SIZES, 0, generation).unwrap();
        let mut reactors: Vec<_> = (0..LANES).map(|lane| Reactor::new(&memory, lane)).collect();
        let text = (deaths < ARMED).then_some(armed);
        let mut worker = Child::new(|| work(memory.down_fd(), memory.up_fd(), text));
        let status = serve(&mut worker, &mut reactors, &mut pending, &mut seen, begin);
        for (reactor, pending) in reactors.iter_mut().zip(&mut pending) {
            closed.extend(reactor.settle(&mut seen, pending));
        }
        match status {
            WaitStatus::Signaled(_, Signal::SIGKILL, _) => deaths += 1,
            WaitStatus::Exited(_, 0) => break,
            other => panic!("{armed}: a worker ended with {other:?}"),
        }
    }
    assert!(pending.iter().all(VecDeque::is_empty), "{armed}: packages are left over");
    check(armed, &seen, &closed);
    deaths
}

/// One generation, to its end.
fn serve(
    worker: &mut Child,
    reactors: &mut [Reactor],
    pending: &mut [VecDeque<u64>],
    seen: &mut Seen,
    begin: Instant,
) -> WaitStatus {
    let mut turn = 0;
    loop {
        turn += 1;
        assert!(begin.elapsed() < Duration::from_secs(30), "the run does not end");
        for (index, (reactor, pending)) in reactors.iter_mut().zip(pending.iter_mut()).enumerate() {
            reactor.consume(seen);
            if (turn + index) % 5 == 4 {
                reactor.recall(pending);
            }
            reactor.give(pending);
            if pending.is_empty() && reactor.is_idle() {
                reactor.giver.leave(reactor.lane.down());
            }
        }
        if let Some(status) = worker.poll() {
            return status;
        }
        // Slow enough that the worker fills its out rings.
        std::thread::sleep(Duration::from_micros(300));
    }
}

fn check(armed: &str, seen: &Seen, closed: &[u64]) {
    for id in 1..=PACKAGES {
        let count = |part| seen.get(&(id, part)).copied().unwrap_or(0);
        let counts = (count(0), count(1), count(2));
        let whole = if is_exposed(id) { (1, 1, 1) } else { (1, 1, 0) };
        if closed.contains(&id) {
            assert!(is_exposed(id), "{armed}: {id} was closed without having been exposed");
            assert!(counts == (1, 1, 0) || counts == whole, "{armed}: {id} closed with {counts:?}");
        } else {
            assert_eq!(counts, whole, "{armed}: outputs of package {id}");
        }
    }
}

pub fn every_output_comes_once_whatever_step_the_worker_dies_at() {
    // Without debug assertions there is no hook: then only the undisturbed run is worth doing.
    if !cfg!(debug_assertions) {
        assert_eq!(run("BEFORE_TAKEN:1000000000"), 0);
        return;
    }
    assert_eq!(run("BEFORE_TAKEN:1000000000"), 0, "nobody dies of a step that is not reached");
    // Nobody here passes a file: `process_states` of the engine does.
    for (name, _) in STEPS.iter().filter(|(_, step)| *step != Step::FilePassed) {
        let mut total = 0;
        for count in [1, 2, 5, 11] {
            let deaths = run(&format!("{name}:{count}"));
            assert!(count > 1 || deaths >= 1, "nobody reached {name}");
            total += deaths;
        }
        println!("  killed at {name}: {total} workers");
    }
}
