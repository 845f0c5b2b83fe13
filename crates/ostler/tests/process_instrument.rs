//! The handlers of the instrument that no other test leans on do what they say.

mod support;

use std::time::{Duration, Instant};

use ostler_testkit::{Client, TestResult};
use support::{check, echo, round_trip, start};

#[test]
fn crash_on_dies_at_its_text_only() -> TestResult {
    let server = echo(1, 1).handler("crash_on:boom").expect_log("worker died");
    let server = start(server, 1)?;
    let pid = server.worker(0).pid();
    let mut client = server.connect()?;
    round_trip(&mut client, "boo m")?;
    check(server.worker(0).pid() == pid, "the worker died without its text")?;
    client.send(b"here is a boom, in the middle")?;
    client.expect_closed()?;
    server.wait_for("another worker", |server| server.worker(0).pid() != pid)?;
    round_trip(&mut server.connect()?, "served again")?;
    server.stop()
}

#[test]
fn defer_ms_answers_later_and_takes_other_packages_meanwhile() -> TestResult {
    const CLIENTS: usize = 100;
    let server = start(echo(1, 1).handler("defer_ms:300"), 1)?;
    let mut clients: Vec<Client> =
        (0..CLIENTS).map(|_| server.connect()).collect::<TestResult<_>>()?;
    let begun = Instant::now();
    for client in &mut clients {
        client.send(b"later")?;
    }
    for client in &mut clients {
        client.expect(b"later")?;
    }
    check(begun.elapsed() >= Duration::from_millis(300), "answered at once")?;
    // One after another they would take half a minute.
    check(begun.elapsed() < Duration::from_secs(15), "the worker waited for each package")?;
    server.stop()
}

#[test]
fn slow_every_pauses_at_that_package() -> TestResult {
    let server = start(echo(1, 1).handler("slow_every:3,400"), 1)?;
    let mut client = server.connect()?;
    let begun = Instant::now();
    for _ in 0..3 {
        round_trip(&mut client, "hello")?;
    }
    check(
        begun.elapsed() >= Duration::from_millis(400),
        "the third package was as fast as others",
    )?;
    server.stop()
}
