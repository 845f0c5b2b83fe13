//! Workers that die at work: what becomes of the package in hand and of those that wait.

use std::time::Duration;

use ostler_testkit::{DEADLINE, KillEvery, TestResult};

use crate::support::{
    Held, ask, check, echo, orders, round_trip, start, wait_lines, wait_serving, worker_of,
};
use crate::{BACK_OFF, DIED, OFTEN};

#[test]
fn close_ends_the_session_in_hand_and_no_other() -> TestResult {
    let server = start(orders(2).expect_log(DIED).expect_log(BACK_OFF), 2)?;
    let mut victim = server.connect()?;
    let mut others = [server.connect()?, server.connect()?, server.connect()?];
    let hold = Held::by(&server, &mut victim, "hold")?;
    for (number, other) in others.iter_mut().enumerate() {
        round_trip(other, &format!("before {number}"))?;
    }
    hold.worker(&server)?.kill();
    victim.expect_closed()?;
    for (number, other) in others.iter_mut().enumerate() {
        round_trip(other, &format!("after {number}"))?;
    }
    wait_serving(&server, 3)?;
    let line = server.wait_for_log(DIED)?;
    let was_told = line.contains("callback=on_receive") && line.contains("session=");
    check(was_told, format!("what the worker was doing: {line}"))?;
    let books = server.stop_and_report()?.books()?;
    check(books.detail("closed_worker_died") == 1 && books.closed_by == 1, format!("{books}"))?;
    check(books.detail("closed_shutdown") == 3, format!("{books}"))
}

#[test]
fn drop_loses_the_package_and_keeps_the_session() -> TestResult {
    let server =
        start(orders(1).set("crash_policy", "drop").expect_log(DIED).expect_log(BACK_OFF), 1)?;
    let mut client = server.connect()?;
    Held::by(&server, &mut client, "hold")?.worker(&server)?.kill();
    round_trip(&mut client, "next")?;
    let books = server.stop_and_report()?.books()?;
    check(books.detail("dropped_worker_died") == 1 && books.dropped == 1, format!("{books}"))?;
    check(books.finished == 1 && books.closed_by == 0, format!("{books}"))
}

#[test]
fn redeliver_gives_the_package_to_the_next_worker() -> TestResult {
    let server = start(
        orders(1).set("crash_policy", "redeliver:1").expect_log(DIED).expect_log(BACK_OFF),
        1,
    )?;
    let mut client = server.connect()?;
    let first = Held::by(&server, &mut client, "hold")?;
    let worker = first.worker(&server)?;
    worker.kill();
    worker.wait_gone(DEADLINE)?;
    // The same order runs again in the successor, which writes its own number; then it is let go.
    let old = first.pid().to_string();
    let path = server.directory().join("hold");
    server.wait_for("the successor to hold it", |_| {
        std::fs::read_to_string(&path).is_ok_and(|pid| !pid.is_empty() && pid != old)
    })?;
    first.release()?;
    client.expect(b"released")?;
    round_trip(&mut client, "and on")?;
    let books = server.stop_and_report()?.books()?;
    check(books.detail("redelivered") == 1 && books.finished == 2, format!("{books}"))
}

/// Behind a package in hand others wait that nobody has started: they are served whatever becomes
/// of their worker.
#[test]
fn packages_that_wait_at_a_dead_worker_are_served_elsewhere() -> TestResult {
    let server = start(orders(2).expect_log(DIED).expect_log(BACK_OFF), 2)?;
    let (mut first, mut second) = (server.connect()?, server.connect()?);
    let one = Held::by(&server, &mut first, "one")?;
    let two = Held::by(&server, &mut second, "two")?;
    let mut waiting = [server.connect()?, server.connect()?, server.connect()?, server.connect()?];
    for (number, client) in waiting.iter_mut().enumerate() {
        client.send(format!("waiting {number}").as_bytes())?;
    }
    check(one.pid() != two.pid(), "an idle worker goes first")?;
    two.worker(&server)?.kill();
    second.expect_closed()?;
    for (number, client) in waiting.iter_mut().enumerate() {
        client.expect(format!("waiting {number}").as_bytes())?;
    }
    one.release()?;
    first.expect(b"released")?;
    let books = server.stop_and_report()?.books()?;
    check(books.closed_by == 1 && books.finished == 5, format!("{books}"))
}

/// The same without a death: a worker that becomes idle takes what waits behind a slow one.
#[test]
fn packages_that_wait_behind_a_slow_one_are_recalled() -> TestResult {
    let server = start(orders(2), 2)?;
    let (mut first, mut second) = (server.connect()?, server.connect()?);
    let one = Held::by(&server, &mut first, "one")?;
    let two = Held::by(&server, &mut second, "two")?;
    let mut waiting = [server.connect()?, server.connect()?, server.connect()?, server.connect()?];
    for (number, client) in waiting.iter_mut().enumerate() {
        client.send(format!("waiting {number}").as_bytes())?;
    }
    two.release()?;
    second.expect(b"released")?;
    for (number, client) in waiting.iter_mut().enumerate() {
        client.expect(format!("waiting {number}").as_bytes())?;
    }
    one.release()?;
    first.expect(b"released")?;
    server.stop()
}

/// Only the pidfd is death (decision 11): a worker that stands still keeps what it has.
#[test]
fn a_stopped_worker_is_not_settled_before_it_is_dead() -> TestResult {
    let server = start(orders(2).expect_log(DIED).expect_log(BACK_OFF), 2)?;
    let (mut victim, mut other) = (server.connect()?, server.connect()?);
    let hold = Held::by(&server, &mut victim, "hold")?;
    let worker = hold.worker(&server)?;
    worker.stop()?;
    for number in 0..300 {
        round_trip(&mut other, &format!("meanwhile {number}"))?;
    }
    check(worker.is_alive() && server.workers().len() == 2, "somebody was replaced")?;
    worker.cont()?;
    hold.release()?;
    victim.expect(b"released")?;
    // And once more, to its end.
    let hold = Held::by(&server, &mut victim, "again")?;
    let worker = hold.worker(&server)?;
    worker.stop()?;
    for number in 0..300 {
        round_trip(&mut other, &format!("meanwhile {number}"))?;
    }
    worker.kill();
    victim.expect_closed()?;
    round_trip(&mut other, "after")?;
    let books = server.stop_and_report()?.books()?;
    check(books.closed_by == 1 && books.detail("closed_worker_died") == 1, format!("{books}"))
}

#[test]
fn the_successor_of_a_killed_worker_has_the_next_generation() -> TestResult {
    // Only so is a reply that came the end of its package: under `close` the kill may come between
    // the two.
    let builder = orders(1).set("crash_policy", "redeliver:3");
    let builder = builder.expect_log(DIED).expect_log(BACK_OFF);
    let server = start(builder, 1)?;
    let mut client = server.connect()?;
    for generation in 2..5 {
        let pid: u32 = ask(&mut client, "pid")?.parse().unwrap_or(0);
        worker_of(&server, pid)?.kill();
        server.wait_for_log(&format!("serves worker=w0.{generation}"))?;
    }
    round_trip(&mut client, "still the same connection")?;
    server.stop()
}

/// 20 000 requests while workers are killed: nothing lost, nothing doubled, nothing wrong, no
/// connection cut.
fn survives_kills(handler: &str, requests: u64, workers: u16, connections: usize) -> TestResult {
    let builder = echo(workers, 2)
        .handler(handler)
        .set("crash_policy", "redeliver:20")
        .expect_log(DIED)
        .expect_log(OFTEN)
        .expect_log(BACK_OFF);
    let server = start(builder, workers)?;
    let load = server
        .load()
        .connections(connections)
        .depth(4)
        .bytes(24, 2_048)
        .requests(requests)
        .time(Duration::from_secs(15))
        .start()?;
    let kills = KillEvery::start(&server, Duration::from_millis(100))?;
    let report = load.finish()?;
    let killed = kills.stop()?;
    report.check_perfect()?;
    check(killed >= 3, format!("only {killed} kills in {report}"))?;
    // Whoever has survived still serves.
    round_trip(&mut server.connect()?, "after all")?;
    let books = server.stop_and_report()?.books()?;
    check(books.closed_by == 0 && books.dropped == 0, format!("{killed} kills: {books}"))
}

#[test]
fn redeliver_survives_kills_of_fast_workers() -> TestResult {
    survives_kills("echo", 60_000, 3, 32)
}

#[test]
fn redeliver_survives_kills_of_slow_workers() -> TestResult {
    survives_kills("sleep_ms:2", 2_000, 3, 32)
}

#[test]
fn all_workers_killed_at_once_are_replaced() -> TestResult {
    let builder = echo(3, 2)
        .set("crash_policy", "redeliver:20")
        .expect_log(DIED)
        .expect_log(OFTEN)
        .expect_log(BACK_OFF);
    let server = start(builder, 3)?;
    let load = server.load().connections(16).depth(4).start()?;
    for round in 0..5 {
        load.wait_for_more(500)?;
        for worker in server.workers() {
            worker.kill();
        }
        wait_serving(&server, 3 * (round + 2))?;
    }
    load.wait_for_more(500)?;
    load.stop()?.check_perfect()?;
    server.stop()
}

#[test]
fn close_under_load_is_honest() -> TestResult {
    let builder = echo(2, 2).expect_log(DIED).expect_log(OFTEN).expect_log(BACK_OFF);
    let server = start(builder, 2)?;
    let load = server.load().connections(16).depth(4).start()?;
    for round in 0..10 {
        load.wait_for_more(300)?;
        server.worker(round % 2).kill();
    }
    load.wait_for_more(300)?;
    let report = load.stop()?;
    report.check_honest()?;
    let books = server.stop_and_report()?.books()?;
    let died = books.detail("closed_worker_died");
    check(report.closed_early + report.reset == died, format!("{report}; {books}"))
}

#[test]
fn a_package_that_kills_every_worker_ends_with_its_session() -> TestResult {
    let builder = echo(1, 1)
        .handler("crash_every:1")
        .set("crash_policy", "redeliver:2")
        .expect_log(DIED)
        .expect_log(BACK_OFF);
    let server = start(builder, 1)?;
    let (mut killer, idle) = (server.connect()?, server.connect()?);
    killer.send(b"poison")?;
    killer.expect_closed()?;
    wait_lines(&server, DIED, 3)?;
    let ended = server.stop_and_report()?;
    drop(idle);
    let books = ended.books()?;
    check(books.detail("redelivered") == 2, format!("started three times in all: {books}"))?;
    check(books.closed_by == 1 && books.detail("closed_worker_died") == 1, format!("{books}"))?;
    check(books.detail("closed_shutdown") == 1, format!("the other session lives: {books}"))
}

/// A package that kills a worker at its very first delivery is no failure to boot: nobody waits for
/// a back-off.
#[test]
fn a_death_at_work_is_no_failure_to_boot() -> TestResult {
    let server = start(orders(1).expect_log(DIED), 1)?;
    for generation in 2..7 {
        let mut client = server.connect()?;
        client.send(b"abort")?;
        client.expect_closed()?;
        server.wait_for_log(&format!("serves worker=w0.{generation}"))?;
    }
    round_trip(&mut server.connect()?, "after all")?;
    let failed = server.log_lines_with(BACK_OFF);
    check(failed.is_empty(), format!("{failed:?}"))?;
    let books = server.stop_and_report()?.books()?;
    check(books.detail("closed_worker_died") == 5, format!("{books}"))
}
