//! Recycling: workers that are replaced for what they have become, without anybody's loss.

mod support;

use ostler_testkit::{DEADLINE, Signal, TestResult, TestServer};
use support::{Held, ask, check, echo, orders, start, wait_lines, wait_serving};

/// Whoever reaches its age under load is replaced as by a reload (P1, P84).
#[test]
fn recycling_by_age_costs_nothing() -> TestResult {
    let server = start(echo(3, 2).set("worker_age_max_ms", 300), 3)?;
    let load = server.load().connections(24).depth(4).start()?;
    wait_serving(&server, 3 + 12)?;
    load.wait_for_more(200)?;
    load.stop()?.check_perfect()?;
    let replaced = server.stop_and_report()?.log().lines_with("because=worker_age_max_ms");
    check(replaced.len() >= 9, "who else replaces?")
}

/// Workers that become old while one is being replaced wait for their turn.
#[test]
fn the_old_leave_one_after_another() -> TestResult {
    let server = start(orders(3).set("worker_age_max_ms", 2_000), 3)?;
    let mut holder = server.connect()?;
    let hold = Held::by(&server, &mut holder, "hold")?;
    let held_by = hold.worker(&server)?;
    wait_lines(&server, "worker is recycled", 1)?;
    // The worker that is held has its turn at last, and keeps its token as long as it is there.
    server.wait_for("that the held worker has a successor", |server| {
        (0..3).all(|slot| server.worker(slot) != held_by)
    })?;
    let leaving = server.workers().len();
    check(leaving <= 4, format!("{leaving} processes: two are replaced at a time"))?;
    hold.release()?;
    holder.expect(b"released")?;
    held_by.wait_gone(DEADLINE)?;
    server.stop()
}

/// A worker is recycled in BASE mode, too.
#[test]
fn age_replaces_workers_that_serve_their_own_clients() -> TestResult {
    let builder = TestServer::echo().set("workers", 1).set("mode", "base");
    let server = start(builder.set("worker_age_max_ms", 1_000), 1)?;
    wait_serving(&server, 3)?;
    let mut client = server.connect()?;
    check(ask(&mut client, "hello")? == "hello", "who serves?")?;
    server.signal(Signal::TERM);
    server.wait_end()?.check_books()
}
