//! The ring for answers (protocol §5): every answer is read once, in order and whole; neither who
//! waits for an answer nor a reactor that waits for room sleeps for ever.
#![cfg(loom)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // test code

mod model;

use loom::thread;
use model::{Bell, Cells, RACE, explore, finds};
use ostler_shm::answers::{AnswerGiver, AnswerTaker, TakeAnswer};
use ostler_shm::record::{Header, RecordKind};
use ostler_shm::sleep::{Ringer, Sleeper};
use ostler_shm::sync::{AtomicU64, Ordering, fence};
use ostler_shm::words::{DownWords, UpWords};
use std::sync::Arc;

/// Four records.
const CAPACITY: u64 = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// The worker gives the space back before it has copied the answer.
    GivenBackUnread,
    /// The worker does not look again after it has announced its sleep.
    WorkerNoRecheck,
    /// The reactor looks at the worker's sleep word without a fence behind `ctl_written`.
    ReactorNoFence,
    /// The worker looks at `ctl_waits` without a fence behind `ctl_read`.
    WorkerNoFence,
    /// The reactor does not look again after it has announced its sleep.
    ReactorNoRecheck,
    /// The reactor announces its sleep before it says that answers wait.
    SaidTooLate,
    /// The worker tells nobody that it has read.
    BellOwed,
}

/// One lane's answers, and the bells of both sides.
struct Shared {
    down: DownWords,
    up: UpWords,
    answers: Cells,
    worker_sleep: AtomicU64,
    reactor_sleep: AtomicU64,
    worker: Bell,
    reactor: Bell,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            down: DownWords::new(),
            up: UpWords::new(),
            answers: Cells::new(CAPACITY),
            worker_sleep: AtomicU64::new(0),
            reactor_sleep: AtomicU64::new(0),
            worker: Bell::new(),
            reactor: Bell::new(),
        })
    }
}

fn header(number: u64) -> Header {
    Header { kind: RecordKind::Answer as u8, subject: number, ..Header::default() }
}

/// The reactor brings this many answers.
fn bring(shared: &Shared, count: u64, wrong: Wrong) {
    let (mut giver, mut ringer, mut sleeper) =
        (AnswerGiver::default(), Ringer::default(), Sleeper::default());
    let mut next = 1;
    while next <= count {
        giver.read(&shared.up).unwrap();
        while next <= count && giver.append(&shared.answers, header(next), &[]).is_ok() {
            next += 1;
        }
        let waits = next <= count;
        if wrong != Wrong::SaidTooLate {
            giver.set_waits(waits, &shared.down);
        }
        if giver.publish(&shared.down) {
            if wrong != Wrong::ReactorNoFence {
                fence(Ordering::SeqCst);
            }
            if ringer.needs_bell(&shared.worker_sleep) {
                shared.worker.ring();
            }
        }
        if !waits {
            return;
        }
        sleeper.announce(&shared.reactor_sleep);
        let has_news = giver.has_room_news(&shared.up);
        if wrong == Wrong::SaidTooLate {
            giver.set_waits(true, &shared.down);
        }
        if wrong == Wrong::ReactorNoRecheck || !has_news {
            shared.reactor.wait();
        }
        sleeper.awake(&shared.reactor_sleep);
    }
}

/// The worker takes this many answers, and sleeps when there is none.
fn take(shared: &Shared, count: u64, wrong: Wrong) {
    let (mut taker, mut ringer, mut sleeper) =
        (AnswerTaker::default(), Ringer::default(), Sleeper::default());
    let (mut heard, mut owes) = (0, false);
    while heard < count {
        match taker.take(&shared.down, &shared.answers) {
            TakeAnswer::Broken => panic!("the worker read nonsense"),
            TakeAnswer::Record { header, position } => {
                if wrong == Wrong::GivenBackUnread {
                    taker.done(&shared.up);
                }
                // What a payload of this record would be read from.
                let copy = shared.answers.cell(position & (CAPACITY - 1));
                if wrong != Wrong::GivenBackUnread {
                    taker.done(&shared.up);
                }
                heard += 1;
                assert_eq!(copy, header.to_words(), "the answer changed");
                assert_eq!(header.subject, heard, "answers come once and in order");
                owes = true;
            }
            TakeAnswer::Empty => {
                if std::mem::take(&mut owes) && wrong != Wrong::BellOwed {
                    if wrong != Wrong::WorkerNoFence {
                        fence(Ordering::SeqCst);
                    }
                    if AnswerTaker::is_awaited(&shared.down)
                        && ringer.needs_bell(&shared.reactor_sleep)
                    {
                        shared.reactor.ring();
                    }
                }
                sleeper.announce(&shared.worker_sleep);
                if wrong == Wrong::WorkerNoRecheck || !taker.has_news(&shared.down) {
                    shared.worker.wait();
                }
                sleeper.awake(&shared.worker_sleep);
            }
        }
    }
}

fn model(count: u64, wrong: Wrong) {
    let shared = Shared::new();
    let worker = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || take(&shared, count, wrong))
    };
    bring(&shared, count, wrong);
    worker.join().unwrap();
}

/// Two fit at once: here it is the worker that sleeps.
#[test]
fn who_waits_for_answers_hears_of_each() {
    explore("answers", Some(4), || model(2, Wrong::Nothing));
}

/// Preemption bound 3. Two more than there is room for: the reactor waits, too.
#[test]
fn answers_that_wait_for_room_are_brought() {
    explore("answers that wait", Some(3), || model(6, Wrong::Nothing));
}

fn mutant(name: &str, expected: &str, count: u64, wrong: Wrong) {
    finds(name, expected, || {
        explore("mutant", Some(3), move || model(count, wrong));
    });
}

#[test]
fn an_answer_is_copied_before_its_space_is_given_back() {
    mutant("answers given back unread", RACE, 6, Wrong::GivenBackUnread);
}

#[test]
fn a_worker_looks_once_more_before_it_sleeps() {
    mutant("answers, no second look of the worker", "deadlock", 2, Wrong::WorkerNoRecheck);
}

#[test]
fn a_reactor_looks_whether_the_worker_sleeps_behind_a_fence() {
    mutant("answers without the reactor's fence", "deadlock", 2, Wrong::ReactorNoFence);
}

#[test]
fn a_worker_looks_whether_answers_wait_behind_a_fence() {
    mutant("answers without the worker's fence", "deadlock", 6, Wrong::WorkerNoFence);
}

#[test]
fn a_reactor_looks_for_room_once_more_before_it_sleeps() {
    mutant("answers, no second look of the reactor", "deadlock", 6, Wrong::ReactorNoRecheck);
}

#[test]
fn a_reactor_says_that_answers_wait_before_it_announces_its_sleep() {
    mutant("answers said to wait too late", "deadlock", 6, Wrong::SaidTooLate);
}

#[test]
fn a_worker_that_has_read_rings_who_waits_for_room() {
    mutant("answers, a bell owed", "deadlock", 6, Wrong::BellOwed);
}
