//! Many packages at once that kill their workers.
//!
//! How long a client waits meanwhile is measured by `make soak` (the scenario `storm`). Here its
//! wait is counted in lives of workers, which no busy machine makes more: each takes at least
//! `fork_interval_ms`.

mod support;
mod talk;

use std::net::SocketAddr;
use std::thread::JoinHandle;

use ostler_testkit::{Client, TestError, TestResult};
use support::{check, wait_serving};
use talk::{Talk, probe};

/// Clients, each with one package that kills the worker that takes it.
const CRASHING: usize = 300;
/// Lives of each slot that may end before an honest client is answered. Two are enough if all of it
/// waits when they begin, times two lanes; and chance has its part, because a process may find one
/// lane's packages before the other reactor has given any. Whoever waits for the whole storm waits
/// for 150.
const LIVES_MAX: u32 = 40;

/// The clients of the storm, as fast as they can connect.
fn storm(address: SocketAddr) -> JoinHandle<TestResult> {
    std::thread::spawn(move || {
        let mut crashing = Vec::new();
        for _ in 0..CRASHING {
            let mut client = Client::connect(address)?;
            client.send(b"abort\n")?;
            crashing.push(client);
        }
        crashing.into_iter().try_for_each(|mut client| client.expect_closed())
    })
}

/// The generation in `wSLOT.GENERATION PID`.
fn generation(whoami: &str) -> TestResult<u32> {
    let name = whoami.split(' ').next().and_then(|name| name.split_once('.'));
    let generation = name.and_then(|(_, generation)| generation.parse().ok());
    generation.ok_or_else(|| TestError::new(format!("no generation: {whoami}")))
}

/// Packages that kill cost those who sent them: a client that was served before is served on.
#[test]
fn a_crash_storm_starves_nobody() -> TestResult {
    let server = probe().expect_log("worker died").expect_log("workers die often").start()?;
    wait_serving(&server, 2)?;
    let mut honest = Talk::new(&server)?;
    let mut newest = generation(&honest.ask("whoami")?)?;
    let storm = storm(server.address());
    let (mut longest, mut answers) = (0, 0_u32);
    while !storm.is_finished() {
        let now = generation(&honest.ask("whoami")?)?;
        longest = longest.max(now.saturating_sub(newest));
        newest = newest.max(now);
        answers += 1;
    }
    storm.join().map_err(|_| TestError::new("the storm panicked"))??;
    println!("{answers} answers, the longest wait was for {longest} lives, {newest} in all");
    check(longest <= LIVES_MAX, format!("an honest client waited for {longest} lives of a slot"))?;
    drop(honest);
    let books = server.stop_and_report()?.books()?;
    check(books.detail("closed_worker_died") == CRASHING as u64, format!("{books}"))
}
