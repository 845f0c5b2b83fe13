//! Many packages at once that kill their workers.

mod support;

use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ostler_testkit::{Client, TestError, TestResult};
use support::{check, orders, round_trip, start};

/// So many clients, as fast as they can connect, with one package each that kills the worker that
/// takes it.
fn storm(address: SocketAddr, clients: usize) -> JoinHandle<TestResult> {
    std::thread::spawn(move || {
        let mut crashing = Vec::new();
        for _ in 0..clients {
            let mut client = Client::connect(address)?;
            client.send(b"abort")?;
            crashing.push(client);
        }
        crashing.into_iter().try_for_each(|mut client| client.expect_closed())
    })
}

/// Packages that kill cost those who sent them: a client that was served before is served on.
#[test]
fn a_crash_storm_starves_nobody() -> TestResult {
    // Four times what is promised; the storm lasts for more than seven seconds.
    const LONGEST: Duration = Duration::from_secs(2);
    let builder = orders(2).set("reactors", 2);
    let server = start(builder.expect_log("worker died").expect_log("workers die often"), 2)?;
    let mut honest = server.connect()?;
    round_trip(&mut honest, "before the storm")?;
    let storm = storm(server.address(), 300);
    let mut longest = Duration::ZERO;
    while !storm.is_finished() {
        let asked = Instant::now();
        round_trip(&mut honest, "in the storm")?;
        longest = longest.max(asked.elapsed());
    }
    storm.join().map_err(|_| TestError::new("the storm panicked"))??;
    println!("the longest wait was {longest:?}");
    check(longest < LONGEST, format!("an honest client waited {longest:?}"))?;
    let books = server.stop_and_report()?.books()?;
    check(books.detail("closed_worker_died") == 300, format!("{books}"))
}
