//! Faults: managers, spares and masters that are killed, workers that talk nonsense.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use ostler_core::ids::ProcessKey;
use ostler_core::supervisor::Exit;

use super::master::{TestMaster, reap, settings};
use super::worker::{self, obedient};
use crate::sys::pidfd::PidFd;
use crate::sys::process::{self, ExitBy, fork_child, in_forked_test};
use crate::sys::{eventfd, orphans, poll};

fn key(slot: u16, generation: u32) -> ProcessKey {
    ProcessKey::event(slot, generation)
}

#[test]
fn a_spare_takes_the_place_of_a_killed_manager_twice() {
    in_forked_test(|| {
        let mut master = TestMaster::start(settings(2), Box::new(obedient));
        master.until_serving(&[key(0, 1), key(1, 1)]);
        for round in 1..=2 {
            let killed = Instant::now();
            master.manager.pidfd.kill().unwrap();
            assert!(matches!(reap(&master.manager.pidfd), Exit::Signal { signal: 9, .. }));
            // Its workers die with it, at once.
            for (key, worker) in &master.workers {
                let gone = [worker.pidfd.as_fd()];
                let gone = poll::wait_readable(gone, Some(Duration::from_secs(1))).unwrap();
                assert_eq!(gone, [true], "{key} outlived its manager");
            }
            master.heard.clear();
            master.workers.clear();
            master.promote_spare();
            master.until_serving(&[key(0, round + 1), key(1, round + 1)]);
            assert!(killed.elapsed() < Duration::from_secs(2), "{:?}", killed.elapsed());
            assert_eq!(master.spares_seen, round + 1, "the new manager has a spare of its own");
        }
        // The workers that the dead managers left became our children.
        while orphans::reap_next().unwrap().is_some() {}
        master.shut_down();
    });
}

#[test]
fn a_killed_spare_is_replaced() {
    in_forked_test(|| {
        let mut master = TestMaster::start(settings(1), Box::new(obedient));
        master.until_serving(&[key(0, 1)]);
        let first = master.spare.take().unwrap();
        first.pidfd.kill().unwrap();
        master.until("another spare", |master| master.spares_seen == 2);
        assert_ne!(master.spare.as_ref().unwrap().pid, first.pid);
        master.shut_down();
    });
}

/// A master that cannot use a spare drops it; the manager offers another.
#[test]
fn a_dismissed_spare_is_replaced() {
    in_forked_test(|| {
        let mut master = TestMaster::start(settings(1), Box::new(obedient));
        master.until_serving(&[key(0, 1)]);
        let first = master.spare.take().unwrap().pid;
        master.until("another spare", |master| master.spares_seen == 2);
        assert_ne!(master.spare.as_ref().unwrap().pid, first);
        master.shut_down();
    });
}

/// Runs a master in a process of its own, kills it, and checks that everything under it is gone
/// within a second.
fn nothing_outlives_a_killed_master(promoted: bool) {
    process::adopt_orphans().unwrap();
    let serves = eventfd::create().unwrap();
    let keep = [std::os::fd::AsRawFd::as_raw_fd(&serves)];
    let victim = fork_child(&keep, ExitBy::Immediately, || {
        let mut master = TestMaster::start(settings(3), Box::new(obedient));
        master.until_serving(&[key(0, 1), key(1, 1), key(2, 1)]);
        if promoted {
            master.manager.pidfd.kill().unwrap();
            reap(&master.manager.pidfd);
            master.heard.clear();
            master.promote_spare();
            master.until_serving(&[key(0, 2), key(1, 2), key(2, 2)]);
        }
        eventfd::ring(&serves).unwrap();
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    let victim = PidFd::open(victim.unwrap()).unwrap();
    let ready = [serves.as_fd(), victim.as_fd()];
    let ready = poll::wait_readable(ready, Some(Duration::from_secs(20))).unwrap();
    assert_eq!(ready, [true, false], "the master did not come so far");
    victim.kill().unwrap();
    let killed = Instant::now();
    // We have adopted all that it leaves.
    loop {
        while orphans::reap_next().unwrap().is_some() {}
        let left = orphans::children().unwrap();
        if left.is_empty() {
            break;
        }
        assert!(killed.elapsed() < Duration::from_secs(1), "outlived the master: {left:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn nothing_outlives_a_master_with_its_first_manager() {
    in_forked_test(|| nothing_outlives_a_killed_master(false));
}

#[test]
fn nothing_outlives_a_master_with_a_promoted_manager() {
    in_forked_test(|| nothing_outlives_a_killed_master(true));
}

#[test]
fn nonsense_from_a_worker_harms_nobody() {
    in_forked_test(|| {
        let mut master = TestMaster::start_open(settings(3), Box::new(obedient));
        master.until_serving(&[key(0, 1), key(1, 1), key(2, 1)]);
        let directory = format!("/proc/{}/fd", master.manager.pid);
        let descriptors = || std::fs::read_dir(&directory).unwrap().count();
        let before = descriptors();
        master.command(key(0, 1), worker::TALK_NONSENSE);
        master.command(key(1, 1), worker::HANG_UP);
        // Words that are some, and too many, cost as much.
        master.command(key(2, 1), worker::TALK_ON);
        let patience = Instant::now() + Duration::from_secs(5);
        while descriptors() != before - 3 {
            assert!(Instant::now() < patience, "{} descriptors, before {before}", descriptors());
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(master.serving(), [key(0, 1), key(1, 1), key(2, 1)], "all go on");
        master.workers[&key(0, 1)].pidfd.kill().unwrap();
        master.until_serving(&[key(0, 2), key(1, 1), key(2, 1)]);
        assert_eq!(descriptors(), before - 2);
        master.shut_down();
    });
}

#[test]
fn a_manager_that_loses_its_master_socket_ends_with_its_workers() {
    in_forked_test(|| {
        let mut master = TestMaster::start(settings(2), Box::new(obedient));
        master.until_serving(&[key(0, 1), key(1, 1)]);
        let TestMaster { manager, spare, workers, .. } = master;
        let pidfd = PidFd::from_descriptor(manager.pidfd.try_clone().unwrap());
        drop(manager);
        assert_eq!(reap(&pidfd), Exit::Code(crate::inheritance::EXIT_ORPHANED));
        assert!(workers.values().all(|worker| worker.pidfd.has_ended().unwrap()));
        let spare = spare.unwrap();
        let pidfd = PidFd::from_descriptor(spare.pidfd.try_clone().unwrap());
        drop(spare);
        assert_eq!(reap(&pidfd), Exit::Code(0));
    });
}
