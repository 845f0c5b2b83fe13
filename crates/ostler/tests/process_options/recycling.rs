//! Recycling: workers that are replaced for what they have become.

use std::time::{Duration, Instant};

use ostler_testkit::{TestResult, TestServer};

use crate::Effect;
use crate::talk::{Talk, small_probe};

pub(crate) const EFFECTS: &[(&str, Effect)] = &[
    ("worker_age_max_ms", worker_age_max_ms_replaces_a_worker),
    ("worker_idle_max_ms", worker_idle_max_ms_replaces_a_worker),
    ("worker_memory_soft_max", worker_memory_soft_max_replaces_a_worker),
    ("worker_memory_hard_max", worker_memory_hard_max_kills_a_worker),
];

/// Longer than two looks at the memory of workers.
const TWO_LOOKS: Duration = Duration::from_millis(2_200);

/// Waits until a worker of this name serves.
fn wait_for(server: &TestServer, worker: &str) -> TestResult {
    server.wait_for_log(&format!("serves worker={worker}")).map(drop)
}

fn recycled(server: &TestServer, because: &str) -> usize {
    server.log_lines_with(&format!("because={because}")).len()
}

#[test]
fn worker_age_max_ms_replaces_a_worker() -> TestResult {
    const AGE: Duration = Duration::from_millis(1_500);
    let started = Instant::now();
    let server = small_probe().set("worker_age_max_ms", AGE.as_millis()).start()?;
    let mut talk = Talk::new(&server)?;
    assert!(talk.ask("whoami")?.starts_with("w0.1 "));
    wait_for(&server, "w0.2")?;
    assert!(started.elapsed() >= AGE, "{:?}", started.elapsed());
    wait_for(&server, "w0.3")?;
    assert!(started.elapsed() >= 2 * AGE, "{:?}", started.elapsed());
    assert!(recycled(&server, "worker_age_max_ms") >= 2);
    assert!(!talk.ask("whoami")?.starts_with("w0.1 "));
    server.stop()
}

#[test]
fn worker_idle_max_ms_replaces_a_worker() -> TestResult {
    const IDLE: Duration = Duration::from_millis(1_000);
    let server = small_probe().set("worker_idle_max_ms", IDLE.as_millis()).start()?;
    let mut talk = Talk::new(&server)?;
    // Who has something in hand is not idle.
    talk.say("hold")?;
    std::thread::sleep(2 * IDLE);
    assert_eq!(recycled(&server, "worker_idle_max_ms"), 0, "it waits for something");
    let mut other = Talk::new(&server)?;
    let asked = Instant::now();
    assert_eq!(other.ask("release 1")?, "ok");
    talk.expect("released 1");
    wait_for(&server, "w0.2")?;
    assert!(asked.elapsed() >= IDLE, "{:?}", asked.elapsed());
    // Who has done nothing yet is as fresh as its successor would be.
    std::thread::sleep(2 * IDLE);
    assert_eq!(recycled(&server, "worker_idle_max_ms"), 1);
    assert!(talk.ask("whoami")?.starts_with("w0.2 "));
    wait_for(&server, "w0.3")?;
    server.stop()
}

#[test]
fn worker_memory_soft_max_replaces_a_worker() -> TestResult {
    let server = small_probe()
        .set("worker_memory_soft_max", "64M")
        // More than the limit, but shared by all processes: its end would give back nothing of it.
        .env("PROBE_PRELOAD", (96 << 20).to_string())
        .start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("grow 8388608")?, "grown");
    std::thread::sleep(TWO_LOOKS);
    assert_eq!(recycled(&server, "worker_memory_soft_max"), 0);
    assert_eq!(talk.ask("grow 83886080")?, "grown");
    wait_for(&server, "w0.2")?;
    assert_eq!(recycled(&server, "worker_memory_soft_max"), 1);
    assert!(talk.ask("whoami")?.starts_with("w0.2 "), "the session goes on");
    server.stop()
}

#[test]
fn worker_memory_hard_max_kills_a_worker() -> TestResult {
    let server = small_probe()
        .set("worker_memory_hard_max", "64M")
        .expect_log("worker has too much memory, it is killed")
        .expect_log("worker died")
        .start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("grow 83886080")?, "grown");
    let death = server.wait_for_log("worker died")?;
    assert!(death.contains("killed=\"more memory than worker_memory_hard_max\""), "{death}");
    assert!(talk.ask("whoami")?.starts_with("w0.2 "), "it had nothing in hand");
    server.stop()
}
