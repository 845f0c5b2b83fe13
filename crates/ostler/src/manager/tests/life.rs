//! Ordinary life: start, replacement, reload, recycling, shutdown.

use std::time::{Duration, Instant};

use ostler_core::ids::{ProcessKey, Slot};
use ostler_core::supervisor::{Exit, GroupSettings, KillCause, ReloadOutcome};
use rustix::process::Signal;

use super::master::{TestMaster, descriptor_kinds, send_signal, settings, status};
use super::worker::{self, obedient};
use crate::control::{Asker, ToManager, ToMaster};
use crate::inheritance::ProcessBoot;
use crate::sys::eventfd;
use crate::sys::process::in_forked_test;

fn reload_finished(outcome: ReloadOutcome) -> impl Fn(&ToMaster) -> bool {
    move |message| {
        matches!(message, ToMaster::ReloadFinished { outcome: how, .. }
            if *how == outcome)
    }
}

fn key(slot: u16, generation: u32) -> ProcessKey {
    ProcessKey::event(slot, generation)
}

#[test]
fn workers_start_with_exactly_what_is_theirs_and_end_when_told() {
    in_forked_test(|| {
        let mut master = TestMaster::start(settings(3), Box::new(obedient));
        master.until_serving(&[key(0, 1), key(1, 1), key(2, 1)]);
        let manager = master.manager.pid.get();
        assert_eq!(status(manager, "Name"), "ostler-manager");
        assert_eq!(status(manager, "Threads"), "1");
        let spare = master.spare.as_ref().unwrap().pid.get();
        until("the spare has its name", || status(spare, "Name") == "ostler-spare");
        for worker in master.workers.values() {
            assert_eq!(status(worker.pid, "PPid"), manager.to_string());
        }
        master.shut_down();
    });
}

/// A process that has just been forked is not what it will be until it runs.
fn until(what: &str, done: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_secs(5);
    while !done() {
        assert!(Instant::now() < patience, "waited until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn managers_hold_nothing_but_what_they_need() {
    in_forked_test(|| {
        let _of_the_master: Vec<_> = (0..5).map(|_| eventfd::create().unwrap()).collect();
        let mut master = TestMaster::start_open(settings(1), Box::new(obedient));
        master.until_serving(&[key(0, 1)]);
        let spare = master.spare.as_ref().unwrap().pid.get();
        let roster = "/memfd:ostler-roster (deleted)";
        let alone = [
            roster,
            "anon_inode:[eventfd]",
            "anon_inode:[pidfd]",
            "anon_inode:[pidfd]",
            "socket",
            "socket",
        ];
        until("the spare holds roster, board, master, channel, and whom it guards", || {
            descriptor_kinds(spare) == alone
        });
        // And: epoll, pidfds of spare and worker, signalfd, control sockets of the worker and the
        // spare.
        let supervising = [
            roster,
            "anon_inode:[eventfd]",
            "anon_inode:[eventpoll]",
            "anon_inode:[pidfd]",
            "anon_inode:[pidfd]",
            "anon_inode:[pidfd]",
            "anon_inode:[signalfd]",
            "socket",
            "socket",
            "socket",
        ];
        let manager = master.manager.pid.get();
        until("the manager holds its own", || descriptor_kinds(manager) == supervising);
        master.shut_down();
    });
}

#[test]
fn nobody_wakes_up_when_nothing_happens() {
    in_forked_test(|| {
        let mut master = TestMaster::start(settings(2), Box::new(obedient));
        master.until_serving(&[key(0, 1), key(1, 1)]);
        let spare = master.spare.as_ref().unwrap().pid.get();
        std::thread::sleep(Duration::from_millis(200));
        let switches = |pid| {
            status(pid, "voluntary_ctxt_switches") + &status(pid, "nonvoluntary_ctxt_switches")
        };
        let (manager, before) = (master.manager.pid.get(), switches(spare));
        let manager_before = switches(manager);
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(switches(spare), before);
        assert_eq!(switches(manager), manager_before);
        master.shut_down();
    });
}

#[test]
fn a_killed_worker_is_reported_and_replaced() {
    in_forked_test(|| {
        let mut master = TestMaster::start(settings(1), Box::new(obedient));
        master.until_serving(&[key(0, 1)]);
        master.command(key(0, 1), worker::SERVE_ONE);
        std::thread::sleep(Duration::from_millis(50));
        let start = Instant::now();
        master.workers[&key(0, 1)].pidfd.kill().unwrap();
        let death = master.until_dead(key(0, 1));
        assert_eq!(death.exit, Exit::Signal { signal: 9, core_dumped: false });
        assert!(death.took_delivery && !death.expected);
        assert_eq!(death.killed, None);
        master.until_serving(&[key(0, 2)]);
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        master.shut_down();
    });
}

#[test]
fn the_last_words_of_a_worker_are_heard_before_its_death() {
    in_forked_test(|| {
        let mut master = TestMaster::start(settings(1), Box::new(obedient));
        for generation in 1..=3 {
            master.until_serving(&[key(0, generation)]);
            master.command(key(0, generation), worker::DIE_TALKING);
            let death = master.until_dead(key(0, generation));
            assert_eq!((death.exit, death.took_delivery), (Exit::Code(4), true));
        }
        master.until_serving(&[key(0, 4)]);
        master.shut_down();
    });
}

#[test]
fn a_panic_ends_a_worker_with_101() {
    in_forked_test(|| {
        let mut master = TestMaster::start(settings(1), Box::new(obedient));
        master.until_serving(&[key(0, 1)]);
        master.command(key(0, 1), worker::PANIC);
        let death = master.until_dead(key(0, 1));
        assert_eq!((death.exit, death.took_delivery), (Exit::Code(101), false));
        master.until_serving(&[key(0, 2)]);
        master.shut_down();
    });
}

#[test]
fn a_reload_replaces_every_worker_without_a_gap() {
    in_forked_test(|| {
        let mut master = TestMaster::start(settings(2), Box::new(obedient));
        master.until_serving(&[key(0, 1), key(1, 1)]);
        master.tell(ToManager::Reload(Asker::Signal { signal: 10, sender: 1 }));
        for slot in 0..2 {
            let replaced = ToMaster::Serve { serve: key(slot, 2), leave: Some(key(slot, 1)) };
            master.until("the successor", |master| master.heard.contains(&replaced));
            assert_eq!(master.serving().len(), 2);
            master.command(key(slot, 1), worker::LEAVE);
            assert!(master.until_dead(key(slot, 1)).expected);
        }
        let done = reload_finished(ReloadOutcome::Done);
        master.until("the end of the reload", |master| master.heard.iter().any(&done));
        assert_eq!(master.serving(), [key(0, 2), key(1, 2)]);
        master.shut_down();
    });
}

#[test]
fn a_reload_to_broken_code_changes_nothing() {
    in_forked_test(|| {
        let breaks_later = |boot: ProcessBoot| match boot.key.generation.0 {
            1 => obedient(boot),
            _ => 3,
        };
        let mut master = TestMaster::start(settings(2), Box::new(breaks_later));
        master.until_serving(&[key(0, 1), key(1, 1)]);
        master.tell(ToManager::Reload(Asker::Signal { signal: 10, sender: 1 }));
        let failed = reload_finished(ReloadOutcome::CanaryFailed(Slot(0)));
        master.until("the end of the reload", |master| master.heard.iter().any(&failed));
        assert_eq!(master.serving(), [key(0, 1), key(1, 1)]);
        master.shut_down();
    });
}

#[test]
fn signals_from_outside_do_what_they_should_and_no_more() {
    in_forked_test(|| {
        let mut master = TestMaster::start(settings(1), Box::new(obedient));
        master.until_serving(&[key(0, 1)]);
        let (manager, worker) = (master.manager.pid.get(), master.workers[&key(0, 1)].pid);
        for signal in [Signal::INT, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2] {
            send_signal(manager, signal);
            send_signal(worker, signal);
            send_signal(master.spare.as_ref().unwrap().pid.get(), signal);
        }
        send_signal(manager, Signal::TERM);
        let requested = ToMaster::ShutdownRequested;
        master.until("TERM of the manager", |master| master.heard.contains(&requested));
        assert_eq!(master.serving(), [key(0, 1)]);
        send_signal(worker, Signal::TERM);
        let replaced = ToMaster::Serve { serve: key(0, 2), leave: Some(key(0, 1)) };
        master.until("TERM of the worker", |master| master.heard.contains(&replaced));
        master.command(key(0, 1), worker::LEAVE);
        assert!(master.until_dead(key(0, 1)).expected);
        master.shut_down();
    });
}

#[test]
fn a_worker_that_is_never_ready_is_killed() {
    in_forked_test(|| {
        let sleeps = |boot: ProcessBoot| match boot.key.generation.0 {
            1 => {
                std::thread::sleep(Duration::from_secs(60));
                0
            }
            _ => obedient(boot),
        };
        let settings = GroupSettings { boot_timeout_ms: 1_000, ..settings(1) };
        let mut master = TestMaster::start(settings, Box::new(sleeps));
        let death = master.until_dead(key(0, 1));
        assert_eq!(death.killed, Some(KillCause::BootTimeout));
        assert_eq!(death.exit, Exit::Signal { signal: 9, core_dumped: false });
        master.until_serving(&[key(0, 2)]);
        master.shut_down();
    });
}

#[test]
fn memory_that_fails_is_asked_for_again_and_condemned_workers_are_killed() {
    in_forked_test(|| {
        let mut master = TestMaster::start(settings(1), Box::new(obedient));
        master.memory_failures = 2;
        master.until_serving(&[key(0, 3)]);
        master.tell(ToManager::Condemn(key(0, 3)));
        let death = master.until_dead(key(0, 3));
        assert_eq!(death.killed, Some(KillCause::Condemned));
        master.until_serving(&[key(0, 4)]);
        master.shut_down();
    });
}

#[test]
fn a_shutdown_at_once_kills_and_leaves_no_strays() {
    in_forked_test(|| {
        let mut master = TestMaster::start(settings(3), Box::new(obedient));
        master.until_serving(&[key(0, 1), key(1, 1), key(2, 1)]);
        master.command(key(0, 1), worker::LEAVE_A_STRAY);
        master.until_serving(&[key(0, 2), key(1, 1), key(2, 1)]);
        master.tell(ToManager::Shutdown { now: true });
        // Checks that no child is left but the spare.
        master.until_finished();
    });
}

#[test]
fn a_worker_that_ignores_the_drain_is_killed() {
    in_forked_test(|| {
        let settings = GroupSettings { drain_timeout_ms: 200, ..settings(1) };
        let mut master = TestMaster::start(settings, Box::new(obedient));
        master.until_serving(&[key(0, 1)]);
        master.tell(ToManager::Shutdown { now: false });
        let death = master.until_dead(key(0, 1));
        assert!(death.killed.is_some() && death.expected, "{death:?}");
        master.until_finished();
    });
}
