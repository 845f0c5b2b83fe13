//! The accounting over made-up snapshots and over real processes.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::*;

fn task(id: u32, started: u64) -> TaskId {
    TaskId { id, started }
}

fn meter(readings: &[(TaskId, u64)]) -> CpuMeter {
    let threads = readings.iter().map(|&(task, ns)| (task, Reading { first_ns: ns, last_ns: ns }));
    CpuMeter { tree: BTreeSet::new(), threads: threads.collect() }
}

fn processes(list: &[(u32, u32, u64)]) -> BTreeMap<u32, Stat> {
    list.iter().map(|&(id, parent, started)| (id, Stat { state: 'S', parent, started })).collect()
}

#[test]
fn only_the_difference_counts_and_new_threads_count_whole() {
    let mut meter = meter(&[(task(1, 5), 1_000)]);
    assert_eq!(meter.total_ns(), 0);
    meter.update(vec![(task(1, 5), 1_300), (task(2, 9), 50)]);
    assert_eq!(meter.total_ns(), 350);
}

#[test]
fn a_dead_worker_keeps_its_share_and_a_reused_pid_is_another() {
    let mut meter = meter(&[(task(1, 5), 1_000), (task(2, 6), 9_000)]);
    meter.update(vec![(task(1, 5), 1_100), (task(2, 6), 9_500)]);
    assert_eq!(meter.total_ns(), 600);
    meter.update(vec![(task(1, 5), 1_100)]);
    assert_eq!(meter.total_ns(), 600);
    meter.update(vec![(task(1, 5), 1_100), (task(2, 77), 30)]);
    assert_eq!(meter.total_ns(), 630);
}

#[test]
fn the_tree_is_all_descendants_and_nobody_else() {
    let all = processes(&[(1, 0, 1), (10, 1, 2), (11, 10, 3), (12, 11, 4), (20, 1, 5)]);
    let tree = grow(&BTreeSet::from([task(10, 2)]), &all);
    assert_eq!(tree, BTreeSet::from([task(10, 2), task(11, 3), task(12, 4)]));
}

#[test]
fn an_orphan_stays_in_the_tree_and_a_successor_of_its_pid_does_not() {
    let known = BTreeSet::from([task(10, 2), task(11, 3), task(12, 4)]);
    let later = processes(&[(1, 0, 1), (11, 1, 30), (12, 1, 4), (13, 12, 40)]);
    assert_eq!(grow(&known, &later), BTreeSet::from([task(12, 4), task(13, 40)]));
}

/// A shell that starts a child which works for a while, and waits for it.
fn family() -> Child {
    let work = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";
    Command::new("sh").args(["-c", &format!("sh -c '{work}' & wait; sleep 1")]).spawn().unwrap()
}

#[test]
fn work_of_a_grandchild_counts_and_its_death_takes_nothing_away() {
    let mut child = family();
    let mut meter = CpuMeter::start(child.id()).unwrap();
    let limit = Instant::now() + Duration::from_secs(10);
    let (mut last_ns, mut most) = (0, 0);
    while child.try_wait().unwrap().is_none() && Instant::now() < limit {
        meter.sample().unwrap();
        assert!(meter.total_ns() >= last_ns);
        last_ns = meter.total_ns();
        most = most.max(meter.processes());
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    meter.sample().unwrap();
    assert!(most >= 2, "saw {most} processes");
    assert!(meter.total_ns() >= last_ns && last_ns > 1_000_000, "{last_ns} ns");
    assert!(CpuMeter::start(u32::MAX).is_err());
}

#[test]
fn every_thread_counts() {
    let meter = std::thread::scope(|scope| {
        let mut meter = CpuMeter::start(std::process::id()).unwrap();
        let worker = scope.spawn(|| {
            let limit = Instant::now() + Duration::from_millis(30);
            while Instant::now() < limit {
                std::hint::spin_loop();
            }
            // Stay alive, asleep, for the sample.
            std::thread::park_timeout(Duration::from_millis(200));
        });
        std::thread::sleep(Duration::from_millis(100));
        meter.sample().unwrap();
        worker.thread().unpark();
        meter
    });
    assert!(meter.total_ns() > 1_000_000);
}
