//! More and fewer workers while the server runs: `TTIN`, `TTOU`, `Worker::set_workers`, and as many
//! as the waiting of clients asks for.

mod support;
#[path = "talk/mod.rs"]
mod talk;

use ostler_testkit::{DEADLINE, Signal, TestResult, TestServer};
use support::{Held, ask, check, echo, orders, round_trip, start, wait_lines, wait_serving};
use talk::{Talk, probe};

const CHANGES: &str = "the number of workers changes";
const STAYS: &str = "the number of workers stays";

fn wait_workers(server: &TestServer, count: usize) -> TestResult {
    server.wait_for(&format!("{count} workers"), |server| server.workers().len() == count)
}

/// Sessions that are at home in one slot move, and nothing of them is lost or overtaken.
#[test]
fn more_and_fewer_workers_cost_no_request() -> TestResult {
    for dispatch in ["session_hash", "sticky", "idle_first", "round_robin"] {
        let builder = echo(2, 2).set("dispatch", dispatch).set("workers_max", 4);
        let server = start(builder, 2)?;
        let load = server.load().connections(24).depth(4).start()?;
        for _ in 0..3 {
            load.wait_for_more(100)?;
            server.signal(Signal::TTIN);
            wait_workers(&server, 3)?;
            server.signal(Signal::TTIN);
            wait_workers(&server, 4)?;
            load.wait_for_more(100)?;
            for left in (1..4).rev() {
                server.signal(Signal::TTOU);
                wait_workers(&server, left)?;
            }
            load.wait_for_more(100)?;
            server.signal(Signal::TTIN);
            wait_workers(&server, 2)?;
        }
        load.wait_for_more(100)?;
        load.stop()?.check_perfect()?;
        server.stop_having_said(CHANGES, 18)?;
    }
    Ok(())
}

/// Whoever is in a slot that is taken away finishes what is in hand; a slot that is wanted again is
/// filled beside it.
#[test]
fn a_slot_that_is_taken_away_drains() -> TestResult {
    let server = start(orders(2).set("workers_max", 2), 2)?;
    // Both hold something: one of them is in the last slot.
    let (mut one, mut two) = (server.connect()?, server.connect()?);
    let first = Held::by(&server, &mut one, "first")?;
    let second = Held::by(&server, &mut two, "second")?;
    let last = server.worker(1);
    let is_last = first.worker(&server)? == last;
    server.signal(Signal::TTOU);
    wait_lines(&server, CHANGES, 1)?;
    server.signal(Signal::TTIN);
    wait_serving(&server, 3)?;
    check(last.is_alive() && server.worker(1) != last, "it is held, and its slot is filled")?;
    let ((held, mut client), (other, mut other_client)) =
        if is_last { ((first, one), (second, two)) } else { ((second, two), (first, one)) };
    held.release()?;
    client.expect(b"released")?;
    last.wait_gone(DEADLINE)?;
    other.release()?;
    other_client.expect(b"released")?;
    check(ask(&mut client, "pid")? != last.pid().to_string(), "its session moved on")?;
    server.stop()
}

#[test]
fn the_number_stays_within_its_limits() -> TestResult {
    let server = start(echo(2, 1).set("workers_min", 2), 2)?;
    server.signal(Signal::TTIN);
    wait_lines(&server, STAYS, 1)?;
    server.signal(Signal::TTOU);
    wait_lines(&server, STAYS, 2)?;
    check(server.workers().len() == 2, "it stays")?;
    server.stop_having_said(CHANGES, 0)
}

#[test]
fn another_manager_goes_on_with_as_many() -> TestResult {
    let server = start(echo(2, 1).set("workers_max", 3).expect_log("the manager died"), 2)?;
    let mut client = server.connect()?;
    server.signal(Signal::TTIN);
    wait_serving(&server, 3)?;
    round_trip(&mut client, "before")?;
    server.manager().kill();
    wait_serving(&server, 6)?;
    round_trip(&mut client, "after")?;
    server.signal(Signal::TTOU);
    wait_workers(&server, 2)?;
    round_trip(&mut client, "at last")?;
    server.stop()
}

/// A reload and a change at the same time: one after the other.
#[test]
fn a_change_during_a_reload_comes_after_it() -> TestResult {
    let server = start(echo(2, 1).set("workers_max", 4), 2)?;
    let load = server.load().connections(8).depth(2).start()?;
    for round in 0..4 {
        load.wait_for_more(50)?;
        server.signal(Signal::USR1);
        server.signal(if round % 2 == 0 { Signal::TTIN } else { Signal::TTOU });
        wait_lines(&server, "reload finished: every worker is new", round + 1)?;
        wait_workers(&server, if round % 2 == 0 { 3 } else { 2 })?;
    }
    load.stop()?.check_perfect()?;
    server.stop()
}

#[test]
fn a_worker_asks_for_as_many_as_it_wants() -> TestResult {
    let server = probe().set("workers_max", 3).start()?;
    wait_serving(&server, 2)?;
    let mut talk = Talk::new(&server)?;
    talk.expect_answer("workers 9", "asked")?;
    wait_workers(&server, 3)?;
    server.wait_for_log("asked_by=w")?;
    talk.expect_answer("workers 1", "asked")?;
    wait_workers(&server, 1)?;
    check(talk.ask("whoami")?.starts_with("w0."), "the first slot is left")?;
    server.stop()
}

/// Who waits gets a worker of its own, up to the limit; without work they leave again.
#[test]
fn the_number_follows_the_waiting_of_clients() -> TestResult {
    let builder = orders(1).set("workers_max", 3).set("dispatch", "idle_first");
    let builder = builder.set("workers_grow_after_ms", 50).set("workers_shrink_after_ms", 600);
    let server = start(builder, 1)?;
    let clients = [server.connect()?, server.connect()?, server.connect()?];
    let mut holds = Vec::new();
    for (number, mut client) in (0..).zip(clients) {
        // Whoever is busy stays so: the next one is served by a worker that was not there.
        let held = Held::by(&server, &mut client, &format!("order-{number}"))?;
        check(held.worker(&server)? == server.worker(number), "by the one that came")?;
        holds.push((held, client));
    }
    let mut beyond = server.connect()?;
    beyond.send(b"pid")?;
    server.wait_for_log("asked_by=\"the waiting of clients\"")?;
    // All are there that may be: it waits until one has time.
    for (held, mut client) in holds {
        held.release()?;
        client.expect(b"released")?;
    }
    beyond.read_some()?;
    wait_workers(&server, 1)?;
    server.wait_for_log("asked_by=\"workers without work\"")?;
    // Two came and two left.
    server.stop_having_said(CHANGES, 4)
}

/// A reactor knows of its own deliveries only: workers that are busy for the other are busy, too.
#[test]
fn workers_that_are_busy_for_another_reactor_are_busy() -> TestResult {
    let builder = orders(2).set("reactors", 2).set("workers_max", 3).set("dispatch", "idle_first");
    let server = start(builder.set("workers_grow_after_ms", 50), 2)?;
    let mut holds = Vec::new();
    for number in 0..3 {
        let mut client = server.connect()?;
        let held = Held::by(&server, &mut client, &format!("order-{number}"))?;
        holds.push((held, client));
    }
    check(holds[2].0.worker(&server)? == server.worker(2), "by one that was not there")?;
    for (held, mut client) in holds {
        held.release()?;
        client.expect(b"released")?;
    }
    server.stop()
}

/// A worker that cannot start is waited for, and no further one is tried beside it.
#[test]
fn another_worker_is_asked_for_when_the_last_one_serves() -> TestResult {
    let builder = orders(1).set("workers_max", 4).set("dispatch", "idle_first");
    let server = start(builder.set("workers_grow_after_ms", 20), 1)?;
    let mut client = server.connect()?;
    let held = Held::by(&server, &mut client, "first")?;
    let mut waits = server.connect()?;
    ask(&mut waits, "pid")?;
    wait_serving(&server, 2)?;
    held.release()?;
    client.expect(b"released")?;
    // One was enough for the one who waited.
    server.stop_having_said(CHANGES, 1)
}

#[test]
fn with_mode_base_the_number_is_fixed() -> TestResult {
    let builder = TestServer::echo().set("workers", 2).set("mode", "base");
    let server = start(builder.expect_log("the number of workers is fixed"), 2)?;
    server.signal(Signal::TTOU);
    server.wait_for_log("the number of workers is fixed")?;
    check(server.workers().len() == 2, "it stays")?;
    server.stop()
}
