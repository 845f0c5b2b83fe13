//! Reload: new processes, the same connections.

mod support;

use std::time::Duration;

use ostler_testkit::{DEADLINE, KillEvery, Signal, TestResult, TestServer};
use support::{
    Held, ask, check, echo, orders, round_trip, signal_taken, start, wait_lines, wait_serving,
};

const DONE: &str = "reload finished";

/// The generations that served in a slot, in order.
fn generations(server: &TestServer, slot: u16) -> Vec<u32> {
    let prefix = format!("w{slot}.");
    server
        .log()
        .parsed()
        .iter()
        .filter(|line| line.label == "master" && line.message == "serves")
        .filter_map(|line| line.field("worker")?.strip_prefix(&prefix)?.parse().ok())
        .collect()
}

#[test]
fn a_reload_replaces_every_worker_one_after_another() -> TestResult {
    const WORKERS: u16 = 3;
    const RELOADS: usize = 24;
    let server = start(echo(WORKERS, 2), WORKERS)?;
    let load = server.load().connections(24).depth(4).bytes(24, 2_048).start()?;
    for round in 0..RELOADS {
        let old = server.workers();
        load.wait_for_more(200)?;
        server.signal(if round % 2 == 0 { Signal::USR1 } else { Signal::HUP });
        wait_lines(&server, DONE, round + 1)?;
        for worker in &old {
            worker.wait_gone(DEADLINE)?;
        }
    }
    load.wait_for_more(200)?;
    load.stop()?.check_perfect()?;
    for slot in 0..WORKERS {
        let expected: Vec<u32> = (1..=1 + RELOADS as u32).collect();
        let found = generations(&server, slot);
        check(found == expected, format!("slot {slot} had generations {found:?}"))?;
    }
    let ended = server.stop_and_report()?;
    // The slots of one reload follow each other: nobody is replaced twice before everybody was
    // once.
    let order: Vec<String> = ended
        .log()
        .parsed()
        .iter()
        .filter(|line| line.message == "serves")
        .filter_map(|line| Some(line.field("worker")?.split_once('.')?.1.to_owned()))
        .collect();
    check(order.is_sorted_by_key(|text| text.parse::<u32>().unwrap_or(0)), format!("{order:?}"))?;
    let books = ended.books()?;
    check(books.accepted == 24 && books.closed_by == 0, format!("{books}"))
}

#[test]
fn reloads_during_a_reload_are_one_more() -> TestResult {
    let server = start(echo(2, 1), 2)?;
    let mut client = server.connect()?;
    round_trip(&mut client, "before")?;
    // While the manager stands still, requests wait for it; it finds all of them at once.
    let manager = server.manager();
    manager.stop()?;
    for signal in [Signal::USR1, Signal::HUP, Signal::USR1, Signal::HUP] {
        signal_taken(&server, signal)?;
    }
    manager.cont()?;
    wait_lines(&server, DONE, 2)?;
    round_trip(&mut client, "after")?;
    let ended = server.stop_and_report()?;
    check(ended.log().lines_with("reload begins").len() == 2, "one reload and one follow-up")
}

#[test]
fn broken_new_code_leaves_the_old_serving() -> TestResult {
    let path = std::env::temp_dir().join(format!("ostler-test-reload-{}", std::process::id()));
    let builder = echo(3, 2)
        .env("ECHO_FAIL_START_IF_EXISTS", &path)
        .expect_log("on_worker_start failed")
        .expect_log("worker died")
        .expect_log("nothing changed");
    let server = start(builder, 3)?;
    let load = server.load().connections(8).depth(2).start()?;
    let old = server.workers();
    for round in 0..2 {
        std::fs::write(&path, "")?;
        server.signal(Signal::USR1);
        let said = wait_lines(&server, "nothing changed", round + 1);
        load.wait_for_more(200)?;
        std::fs::remove_file(&path)?;
        said?;
        check(server.workers() == old, "an old worker was touched")?;
    }
    server.signal(Signal::USR1);
    server.wait_for_log(DONE)?;
    for worker in &old {
        worker.wait_gone(DEADLINE)?;
    }
    load.wait_for_more(200)?;
    load.stop()?.check_perfect()?;
    server.stop()
}

#[test]
fn a_slow_delivery_is_finished_by_the_old_worker() -> TestResult {
    let server = start(orders(1), 1)?;
    let (mut slow, mut fast) = (server.connect()?, server.connect()?);
    let hold = Held::by(&server, &mut slow, "hold")?;
    let old = hold.worker(&server)?;
    // Waits behind it, and does not have to wait for it.
    fast.send(b"waiting")?;
    server.signal(Signal::USR1);
    server.wait_for_log(DONE)?;
    fast.expect(b"waiting")?;
    check(ask(&mut fast, "pid")? == server.worker(0).pid().to_string(), "who serves?")?;
    check(old.is_alive() && server.worker(0) != old, "the old worker has to wait")?;
    // What its session sends next has to wait too: one session, one order. Then it goes to the new
    // worker.
    hold.release()?;
    slow.expect(b"released")?;
    old.wait_gone(DEADLINE)?;
    check(ask(&mut slow, "pid")? == server.worker(0).pid().to_string(), "the session moves on")?;
    server.stop()
}

/// At most one process serves and one leaves in a slot: the next reload waits for the leaving one.
#[test]
fn a_second_reload_waits_for_the_first_to_leave() -> TestResult {
    let server = start(orders(1), 1)?;
    let mut slow = server.connect()?;
    let hold = Held::by(&server, &mut slow, "hold")?;
    server.signal(Signal::USR1);
    wait_lines(&server, DONE, 1)?;
    server.signal(Signal::USR1);
    wait_lines(&server, "reload begins", 2)?;
    check(server.workers().len() == 2, "a third process in one slot")?;
    hold.release()?;
    slow.expect(b"released")?;
    wait_lines(&server, DONE, 2)?;
    round_trip(&mut slow, "hello")?;
    server.stop()
}

#[test]
fn a_worker_that_does_not_leave_is_killed_and_the_log_says_so() -> TestResult {
    let text = "killed=\"drain timeout\"";
    let unfinished = "a leaving worker ended before it had finished";
    let builder = orders(1).set("drain_timeout_ms", 300).expect_log(text).expect_log(unfinished);
    let server = start(builder, 1)?;
    let (mut slow, mut other) = (server.connect()?, server.connect()?);
    round_trip(&mut other, "hello")?;
    let hold = Held::by(&server, &mut slow, "hold")?;
    let old = hold.worker(&server)?;
    server.signal(Signal::USR1);
    old.wait_gone(DEADLINE)?;
    slow.expect_closed()?;
    let line = server.wait_for_log(text)?;
    // A delivery was lost by it: that is no detail.
    check(line.contains(" WARN ") && line.contains("w0.1"), line)?;
    let line = server.wait_for_log(unfinished)?;
    check(line.contains("worker=w0.1 deliveries=1"), line)?;
    round_trip(&mut other, "still here")?;
    drop(hold);
    let books = server.stop_and_report()?.books()?;
    check(books.closed_by == 1, format!("{books}"))
}

#[test]
fn workers_killed_during_reloads_cost_nothing() -> TestResult {
    let builder = echo(3, 2)
        .set("crash_policy", "redeliver:20")
        .expect_log("worker died")
        .expect_log("workers die often")
        .expect_log("ended before it served")
        .expect_log("nothing changed");
    let server = start(builder, 3)?;
    let load = server.load().connections(24).depth(4).start()?;
    let kills = KillEvery::start(&server, Duration::from_millis(60))?;
    for round in 0..12 {
        server.signal(Signal::USR1);
        // Done, aborted or stopped: by whatever was killed.
        wait_lines(&server, "reload finished", round + 1)?;
    }
    check(kills.stop()? > 0, "nobody was killed")?;
    let done = server.log_lines_with(DONE).len();
    let finished = server.log_lines_with("reload finished").len();
    server.signal(Signal::USR1);
    wait_lines(&server, "reload finished", finished + 1)?;
    wait_lines(&server, DONE, done + 1)?;
    load.wait_for_more(200)?;
    load.stop()?.check_perfect()?;
    server.stop()
}

#[test]
fn a_reload_under_close_closes_nobody() -> TestResult {
    let server = start(echo(2, 2).handler("sleep_ms:3"), 2)?;
    let load = server.load().connections(16).depth(2).start()?;
    for round in 0..6 {
        load.wait_for_more(20)?;
        server.signal(Signal::HUP);
        wait_lines(&server, DONE, round + 1)?;
    }
    load.wait_for_more(20)?;
    load.stop()?.check_perfect()?;
    wait_serving(&server, 14)?;
    server.stop()
}

/// A worker that has served its share is replaced as by a reload (P1).
#[test]
fn recycling_by_max_requests_costs_nothing() -> TestResult {
    let server = start(echo(3, 2).set("max_requests", 100), 3)?;
    let load = server.load().connections(24).depth(4).start()?;
    wait_serving(&server, 3 + 12)?;
    load.wait_for_more(200)?;
    load.stop()?.check_perfect()?;
    let most = (0..3).map(|slot| generations(&server, slot).len()).max().unwrap_or(0);
    check(most >= 5, "twelve successors over three slots")?;
    server.stop()
}
