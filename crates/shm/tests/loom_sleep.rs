//! Sleep words (protocol §4, §5 idle and publish, §6 before epoll_wait; decision 10): no wake-up is
//! lost in either direction.
#![cfg(loom)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // test code

mod model;

use loom::thread;
use model::{Bell, Reactor, Shared, Worker, explore, finds};
use ostler_shm::outbox::Committer;
use ostler_shm::record::RecordKind;
use ostler_shm::sleep::{Ringer, Sleeper};
use ostler_shm::sync::{AtomicU64, Ordering, fence};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// The sleeper does not look again after its announcement.
    NoRecheck,
    /// The sleeper's announcement has no fence.
    NoSleeperFence,
    /// The ringer looks at the sleep word without a fence after its stores.
    NoRingerFence,
    /// The sleeper looks for news, then announces.
    AnnouncedLate,
    /// The sleeper announces again without having said that it was awake.
    NeverAwake,
    /// The worker stores `commit` before `out_written`.
    CommitFirst,
}

/// One side's sleep: announce, look again, wait, awake.
fn sleep(
    wrong: Wrong,
    sleeper: &mut Sleeper,
    word: &AtomicU64,
    bell: &Bell,
    news: impl Fn() -> bool,
) {
    if wrong == Wrong::AnnouncedLate && news() {
        return;
    }
    if wrong == Wrong::NoSleeperFence {
        word.store(word.load(Ordering::Relaxed) | 1, Ordering::Relaxed);
    } else {
        sleeper.announce(word);
    }
    let skip = matches!(wrong, Wrong::NoRecheck | Wrong::AnnouncedLate);
    if skip || !news() {
        bell.wait();
    }
    match wrong {
        Wrong::NeverAwake => {}
        Wrong::NoSleeperFence => word.store(word.load(Ordering::Relaxed) + 1, Ordering::Relaxed),
        _ => sleeper.awake(word),
    }
}

fn ring(wrong: Wrong, ringer: &mut Ringer, word: &AtomicU64, bell: &Bell) {
    if wrong != Wrong::NoRingerFence {
        fence(Ordering::SeqCst);
    }
    if ringer.needs_bell(word) {
        bell.ring();
    }
}

/// The reactor gives `packages`, one per turn; the worker sleeps whenever it finds nothing.
fn idle_worker(wrong: Wrong, packages: u64) {
    let shared = Shared::new(1, 256);
    let bell = Arc::new(Bell::new());
    let worker = {
        let (shared, bell) = (Arc::clone(&shared), Arc::clone(&bell));
        thread::spawn(move || {
            let lane = &shared.lanes[0];
            let mut worker = Worker::new(1);
            let mut sleeper = Sleeper::default();
            let mut taken = 0;
            while taken < packages {
                match worker.take(&shared, 0) {
                    Some(_) => taken += 1,
                    None => {
                        let word = &shared.process.sleep.worker_sleep;
                        let inbox = &worker.inboxes[0];
                        sleep(wrong, &mut sleeper, word, &bell, || inbox.has_news(&lane.down));
                    }
                }
            }
        })
    };
    let mut reactor = Reactor::default();
    let mut ringer = Ringer::default();
    for id in 1..=packages {
        assert!(reactor.give(&shared.lanes[0], id, &[]));
        reactor.publish(&shared.lanes[0]);
        ring(wrong, &mut ringer, &shared.process.sleep.worker_sleep, &bell);
    }
    worker.join().unwrap();
}

/// Preemption bound 4 for two packages.
#[test]
fn an_idle_worker_is_woken_by_a_package() {
    explore("idle worker, 1 package", None, || idle_worker(Wrong::Nothing, 1));
    explore("idle worker, 2 packages", Some(4), || idle_worker(Wrong::Nothing, 2));
}

fn idle_mutant(name: &str, wrong: Wrong, packages: u64) {
    finds(name, "deadlock", || {
        explore("mutant", Some(3), move || idle_worker(wrong, packages));
    });
}

#[test]
fn a_worker_that_does_not_look_again_sleeps_for_ever() {
    idle_mutant("worker without a second look", Wrong::NoRecheck, 1);
    idle_mutant("worker announces after its look", Wrong::AnnouncedLate, 1);
}

#[test]
fn both_fences_of_an_idle_worker_are_needed() {
    idle_mutant("worker announces without a fence", Wrong::NoSleeperFence, 1);
    idle_mutant("reactor looks without a fence", Wrong::NoRingerFence, 1);
}

#[test]
fn a_worker_that_is_never_awake_is_rung_once_only() {
    idle_mutant("worker never awake", Wrong::NeverAwake, 2);
}

/// A recall while the worker sleeps, then a package: the gate is news for the worker and not lost.
#[test]
fn a_recall_and_a_package_wake_a_sleeping_worker() {
    explore("idle worker and a recall", Some(3), || {
        let shared = Shared::new(1, 256);
        let bell = Arc::new(Bell::new());
        let mut reactor = Reactor::default();
        let lane = &shared.lanes[0];
        assert!(reactor.give(lane, 1, &[]));
        reactor.publish(lane);
        let worker = {
            let (shared, bell) = (Arc::clone(&shared), Arc::clone(&bell));
            thread::spawn(move || {
                let mut worker = Worker::new(1);
                let mut sleeper = Sleeper::default();
                let mut last = 0;
                while last != 2 {
                    match worker.take(&shared, 0) {
                        Some((header, _)) => last = header.subject,
                        None => {
                            let word = &shared.process.sleep.worker_sleep;
                            let (inbox, down) = (&worker.inboxes[0], &shared.lanes[0].down);
                            sleep(Wrong::Nothing, &mut sleeper, word, &bell, || {
                                inbox.has_news(down)
                            });
                        }
                    }
                }
            })
        };
        let mut ringer = Ringer::default();
        reactor.recall(lane);
        ring(Wrong::Nothing, &mut ringer, &shared.process.sleep.worker_sleep, &bell);
        assert!(reactor.give(lane, 2, &[]));
        reactor.publish(lane);
        ring(Wrong::Nothing, &mut ringer, &shared.process.sleep.worker_sleep, &bell);
        worker.join().unwrap();
    });
}

/// The worker publishes `transactions`; the reactor sleeps whenever it finds nothing.
fn idle_reactor(wrong: Wrong, transactions: usize) {
    let shared = Shared::new(1, 256);
    let board = Arc::new((AtomicU64::new(0), Bell::new()));
    let worker = {
        let (shared, board) = (Arc::clone(&shared), Arc::clone(&board));
        thread::spawn(move || {
            let mut worker = Worker::new(1);
            let mut ringer = Ringer::default();
            for _ in 0..transactions {
                worker.append(&shared, 0, RecordKind::Out, 1, 0).unwrap();
                if wrong == Wrong::CommitFirst {
                    worker.committer.commit(&shared.process);
                    Committer::store_written(&mut worker.outboxes[0], &shared.lanes[0].up);
                } else {
                    worker.commit(&shared);
                }
                ring(wrong, &mut ringer, &board.0, &board.1);
            }
        })
    };
    let mut reactor = Reactor::default();
    let mut sleeper = Sleeper::default();
    loop {
        reactor.consume(&shared, 0);
        if reactor.outputs.len() == transactions {
            break;
        }
        sleep(wrong, &mut sleeper, &board.0, &board.1, || {
            reactor.consumer.has_news(&shared.process, &shared.lanes[0].up)
        });
    }
    worker.join().unwrap();
}

/// Preemption bound 4 for two transactions (without a bound it was run once: 6 481 837 executions,
/// 254 s, passed).
#[test]
fn an_idle_reactor_is_woken_by_a_commit() {
    explore("idle reactor, 1 transaction", None, || idle_reactor(Wrong::Nothing, 1));
    explore("idle reactor, 2 transactions", Some(4), || idle_reactor(Wrong::Nothing, 2));
}

fn reactor_mutant(name: &str, wrong: Wrong, transactions: usize) {
    finds(name, "deadlock", || {
        explore("mutant", Some(3), move || idle_reactor(wrong, transactions));
    });
}

#[test]
fn a_reactor_needs_its_second_look_and_both_fences() {
    reactor_mutant("reactor without a second look", Wrong::NoRecheck, 1);
    reactor_mutant("reactor announces without a fence", Wrong::NoSleeperFence, 1);
    reactor_mutant("worker looks without a fence", Wrong::NoRingerFence, 1);
    reactor_mutant("reactor never awake", Wrong::NeverAwake, 2);
}

#[test]
fn commit_before_out_written_is_not_seen_as_news() {
    reactor_mutant("commit before out_written, one lane", Wrong::CommitFirst, 1);
}

/// Both sides sleep: a package, its answer, a package, its answer. Preemption bound 3.
#[test]
fn both_sides_sleep() {
    explore("ping-pong, both sleep", Some(3), || {
        let shared = Shared::new(1, 256);
        let bells = Arc::new((AtomicU64::new(0), Bell::new(), Bell::new()));
        let worker = {
            let (shared, bells) = (Arc::clone(&shared), Arc::clone(&bells));
            thread::spawn(move || {
                let mut worker = Worker::new(1);
                let (mut sleeper, mut ringer) = (Sleeper::default(), Ringer::default());
                let mut done = 0;
                while done < 2 {
                    if let Some((header, _)) = worker.take(&shared, 0) {
                        worker.append(&shared, 0, RecordKind::Fin, 0, header.seq).unwrap();
                        worker.commit(&shared);
                        worker.free(&shared, 0);
                        ring(Wrong::Nothing, &mut ringer, &bells.0, &bells.1);
                        done += 1;
                    } else {
                        let word = &shared.process.sleep.worker_sleep;
                        let (inbox, down) = (&worker.inboxes[0], &shared.lanes[0].down);
                        sleep(Wrong::Nothing, &mut sleeper, word, &bells.2, || {
                            inbox.has_news(down)
                        });
                    }
                }
            })
        };
        let lane = &shared.lanes[0];
        let mut reactor = Reactor::default();
        let (mut sleeper, mut ringer) = (Sleeper::default(), Ringer::default());
        for id in 1..=2 {
            assert!(reactor.give(lane, id, &[]));
            reactor.publish(lane);
            ring(Wrong::Nothing, &mut ringer, &shared.process.sleep.worker_sleep, &bells.2);
            loop {
                reactor.consume(&shared, 0);
                if reactor.outputs.len() as u64 == id {
                    break;
                }
                sleep(Wrong::Nothing, &mut sleeper, &bells.0, &bells.1, || {
                    reactor.consumer.has_news(&shared.process, &lane.up)
                });
            }
        }
        worker.join().unwrap();
    });
}
