//! The accounting over made-up snapshots and over real processes.

use std::io::Write;
use std::process::{Child, Command, Stdio};
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

/// A shell with a child that works until the shell reads a line; then it ends the child and reads
/// another.
fn family() -> Child {
    let script = "sh -c 'while :; do :; done' & read line; kill $!; wait; read line";
    Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn().unwrap()
}

/// Samples until it holds; the total never falls.
fn sample_until(meter: &mut CpuMeter, holds: impl Fn(&CpuMeter) -> bool) {
    let limit = Instant::now() + Duration::from_secs(60);
    while !holds(meter) {
        assert!(Instant::now() < limit, "{} ns, {} processes", meter.total_ns(), meter.processes());
        let before_ns = meter.total_ns();
        std::thread::sleep(Duration::from_millis(5));
        meter.sample().unwrap();
        assert!(meter.total_ns() >= before_ns);
    }
}

#[test]
fn work_of_a_grandchild_counts_and_its_death_takes_nothing_away() {
    let mut child = family();
    let mut meter = CpuMeter::start(child.id()).unwrap();
    sample_until(&mut meter, |meter| meter.processes() == 2 && meter.total_ns() > 20_000_000);
    let worked_ns = meter.total_ns();
    child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    sample_until(&mut meter, |meter| meter.processes() == 1);
    assert!(meter.total_ns() >= worked_ns);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(CpuMeter::start(u32::MAX).is_err());
}

#[test]
fn every_thread_counts() {
    const WORK_NS: i64 = 5_000_000;
    let (worked, has_worked) = std::sync::mpsc::channel();
    let (sampled, was_sampled) = std::sync::mpsc::channel::<()>();
    let meter = std::thread::scope(|scope| {
        let mut meter = CpuMeter::start(std::process::id()).unwrap();
        scope.spawn(move || {
            let clock = rustix::time::ClockId::ThreadCPUTime;
            while rustix::time::clock_gettime(clock).tv_nsec < WORK_NS {}
            worked.send(()).unwrap();
            // Stays alive, asleep, for the sample.
            was_sampled.recv().unwrap();
        });
        has_worked.recv().unwrap();
        meter.sample().unwrap();
        sampled.send(()).unwrap();
        meter
    });
    assert!(meter.total_ns() > 1_000_000, "{} ns", meter.total_ns());
}
