//! The end: in order, at once, too late, and before the beginning.

mod support;
mod talk;

use std::time::Duration;

use ostler_testkit::{Client, DEADLINE, Signal, TestResult, TestServer, wait_until};
use support::{Held, ask, check, echo, orders, round_trip, start, worker_of};
use talk::{Scratch, Talk, small_probe};

/// Nobody is accepted any more: the port answers with a refusal.
fn expect_refused(server: &TestServer) -> TestResult {
    check(Client::connect(server.address()).is_err(), "a connection was accepted while draining")
}

#[test]
fn term_lets_the_request_in_flight_be_answered() -> TestResult {
    let server = start(orders(2), 2)?;
    let (mut busy, mut idle) = (server.connect()?, server.connect()?);
    round_trip(&mut idle, "hello")?;
    let hold = Held::by(&server, &mut busy, "hold")?;
    server.signal(Signal::TERM);
    idle.expect_eof()?;
    expect_refused(&server)?;
    check(server.master().is_alive(), "the master did not wait")?;
    hold.release()?;
    busy.expect(b"released")?;
    busy.expect_eof()?;
    server.master().wait_gone(DEADLINE)?;
    let ended = server.wait_end()?;
    check(ended.code() == Some(0), format!("{:?}", ended.code()))?;
    ended.log().check_clean(&[])?;
    ended.check_books()?;
    let books = ended.books()?;
    check(books.detail("closed_shutdown") == 2 && books.finished == 2, format!("{books}"))
}

#[test]
fn term_under_load_cuts_nothing_that_was_read() -> TestResult {
    let server = start(echo(2, 2), 2)?;
    let load = server.load().connections(16).depth(4).start()?;
    load.wait_for_more(1_000)?;
    let ended = server.stop_and_report()?;
    let report = load.stop()?;
    report.check_honest()?;
    let books = ended.books()?;
    check(books.finished == books.received && books.closed_by == 0, format!("{books}"))
}

#[test]
fn a_second_term_ends_now() -> TestResult {
    let server = start(orders(2), 2)?;
    let (mut busy, mut idle) = (server.connect()?, server.connect()?);
    round_trip(&mut idle, "hello")?;
    let hold = Held::by(&server, &mut busy, "hold")?;
    server.signal(Signal::TERM);
    idle.expect_eof()?;
    // One that comes at once means the same as the first, so this one insists until it is heard.
    let worker = hold.worker(&server)?;
    wait_until("the second TERM to be heard", || {
        let heard = !worker.is_alive();
        if !heard {
            server.signal(Signal::TERM);
        }
        heard
    })?;
    // Checks exit code 0, the log and the books, and that nobody is left. CONT does nothing.
    let books = server.stop_with(Signal::CONT)?.books()?;
    busy.expect_closed()?;
    // The worker is killed at the same time, and either may be seen first.
    let cut = books.detail("closed_shutdown_timeout") + books.detail("closed_worker_died");
    check(cut == 1 && books.detail("closed_shutdown") == 1, format!("{books}"))?;
    drop(hold);
    Ok(())
}

#[test]
fn int_ends_now() -> TestResult {
    let server = start(orders(2), 2)?;
    let mut busy = server.connect()?;
    let hold = Held::by(&server, &mut busy, "hold")?;
    let ended = server.stop_with(Signal::INT)?;
    busy.expect_closed()?;
    drop(hold);
    check(ended.books()?.accepted == 1, "one session")
}

/// systemd sends TERM to every process of the unit: that is one request, not two (decision 18).
#[test]
fn term_to_every_process_counts_once() -> TestResult {
    let server = start(orders(2), 2)?;
    let (mut busy, mut idle) = (server.connect()?, server.connect()?);
    round_trip(&mut idle, "hello")?;
    let hold = Held::by(&server, &mut busy, "hold")?;
    for process in server.tree().processes() {
        process.signal(Signal::TERM);
    }
    idle.expect_eof()?;
    expect_refused(&server)?;
    hold.release()?;
    busy.expect(b"released")?;
    busy.expect_eof()?;
    let ended = server.wait_end()?;
    check(ended.code() == Some(0), format!("{:?}", ended.code()))?;
    ended.log().check_clean(&[])?;
    ended.check_books()
}

#[test]
fn term_to_the_manager_is_a_request_to_the_master() -> TestResult {
    let server = start(orders(1), 1)?;
    let mut client = server.connect()?;
    let hold = Held::by(&server, &mut client, "hold")?;
    server.manager().signal(Signal::TERM);
    server.wait_for_log("draining")?;
    hold.release()?;
    client.expect(b"released")?;
    client.expect_eof()?;
    let ended = server.wait_end()?;
    check(ended.code() == Some(0), format!("{:?}", ended.code()))?;
    ended.log().check_clean(&[])?;
    ended.check_books()
}

/// What was read is answered although the manager, and with it every worker, dies in the midst of
/// the drain.
#[test]
fn a_manager_that_dies_during_a_drain_is_replaced() -> TestResult {
    let builder = orders(2)
        .set("crash_policy", "redeliver:3")
        .expect_log("the manager died")
        .expect_log("worker died")
        .expect_log("ended before it served");
    let server = start(builder, 2)?;
    let (mut busy, mut idle) = (server.connect()?, server.connect()?);
    round_trip(&mut idle, "hello")?;
    let hold = Held::by(&server, &mut busy, "hold")?;
    server.signal(Signal::TERM);
    idle.expect_eof()?;
    let old = hold.pid().to_string();
    server.manager().kill();
    // The same order runs again in a worker of the new manager, which writes its own number.
    let path = server.directory().join("hold");
    server.wait_for("a successor to hold it", |_| {
        std::fs::read_to_string(&path).is_ok_and(|pid| !pid.is_empty() && pid != old)
    })?;
    expect_refused(&server)?;
    hold.release()?;
    busy.expect(b"released")?;
    busy.expect_eof()?;
    let ended = server.wait_end()?;
    check(ended.code() == Some(0), format!("{:?}", ended.code()))?;
    ended.check_books()?;
    let books = ended.books()?;
    check(books.detail("closed_shutdown") == 2 && books.closed_by == 0, format!("{books}"))
}

/// Every stage has a deadline, also the one in which the manager ends its workers.
#[test]
fn a_manager_that_stands_still_cannot_hold_the_end() -> TestResult {
    let text = "the manager did not end its workers in time";
    let server = start(echo(2, 1).expect_log(text), 2)?;
    round_trip(&mut server.connect()?, "hello")?;
    server.manager().stop()?;
    let ended = server.stop_with(Signal::INT)?;
    check(ended.log().lines_with(text).len() == 1, "not said")
}

/// A TERM in the midst of the start ends the server as well as any other.
#[test]
fn term_while_starting_leaves_nothing_behind() -> TestResult {
    for round in 0..24_u64 {
        // The line with the address is written before the first process is forked.
        let server = echo(3, 2).start()?;
        std::thread::sleep(Duration::from_micros(round * 250));
        server.signal(Signal::TERM);
        let ended = server.wait_end()?;
        let (code, signal) = (ended.code(), ended.signal());
        // Before the first fork there is nothing to end in order, and TERM does what it does to
        // every program.
        let good = code == Some(0) || signal == Some(15) && ended.log().lines().is_empty();
        check(good, format!("round {round}: {code:?} {signal:?}\n{}", ended.log().tail()))?;
        ended.log().check_clean(&[])?;
    }
    Ok(())
}

/// What user code has started ends with the server, also if the worker that started it is long
/// gone.
#[test]
fn programs_that_workers_started_are_swept() -> TestResult {
    let server = start(
        orders(2)
            .set("crash_policy", "redeliver:3")
            .expect_log("worker died")
            .expect_log("ended before it served"),
        2,
    )?;
    let mut client = server.connect()?;
    let first = ask(&mut client, "spawn")?;
    let worker: u32 = ask(&mut client, "pid")?.parse().unwrap_or(0);
    worker_of(&server, worker)?.kill();
    server.wait_for_log("worker died")?;
    let second = ask(&mut client, "spawn")?;
    for pid in [first, second] {
        let path = format!("/proc/{pid}");
        check(std::path::Path::new(&path).exists(), format!("there is no process {pid}"))?;
    }
    // `stop` looks for whoever has the environment of this server.
    server.stop()
}

const LATE: &str = "the drain took too long";
const HELD: &str = "what held the drain";

#[test]
fn a_drain_that_takes_too_long_says_what_held_it() -> TestResult {
    let builder = orders(2).set("shutdown_timeout_ms", 200).expect_log(LATE).expect_log(HELD);
    let server = start(builder, 2)?;
    let (mut busy, mut idle) = (server.connect()?, server.connect()?);
    round_trip(&mut idle, "hello")?;
    let hold = Held::by(&server, &mut busy, "hold")?;
    let slot = if server.worker(0).pid() == hold.pid() { 0 } else { 1 };
    let ended = server.stop_with(Signal::TERM)?;
    busy.expect_closed()?;
    let log = ended.log();
    check(log.lines_with(LATE).len() == 1, "said other than once")?;
    let holders = log.lines_with(HELD);
    let named =
        holders.len() == 1 && holders[0].contains(&format!("worker=w{slot}.1 deliveries=1"));
    check(named, format!("who held it is not said: {holders:?}"))?;
    drop(hold);
    Ok(())
}

/// A client that does not read its answer holds a drain as well as a slow handler does.
#[test]
fn a_client_that_does_not_read_cannot_hold_the_end() -> TestResult {
    // More than the kernel takes.
    const REPLY: usize = 16_000_000;
    let builder = echo(1, 1)
        .handler(&format!("big_reply:{REPLY}"))
        .set("max_send_bytes", 2 * REPLY)
        .set("send_queue_max", 2 * REPLY)
        .set("memory_budget", 8 * REPLY)
        .set("shutdown_timeout_ms", 200)
        .expect_log(LATE)
        .expect_log(HELD);
    let server = start(builder, 1)?;
    let mut deaf = Client::connect_with_receive_buffer(server.address(), 4096)?;
    deaf.send(b"x")?;
    let mut other = server.connect()?;
    other.send(b"x")?;
    other.read_exactly(REPLY)?;
    let ended = server.stop_with(Signal::TERM)?;
    let holders = ended.log().lines_with(HELD);
    let named = holders.len() == 1
        && holders[0].contains("do not read")
        && holders[0].contains("sessions=1");
    check(named, format!("what held it is not said: {holders:?}"))?;
    drop(deaf);
    Ok(())
}

// ---- before the beginning -----------------------------------------------------------------------

#[test]
fn a_port_in_use_is_one_line_and_code_3() -> TestResult {
    let server = start(echo(1, 1), 1)?;
    let (code, text) =
        TestServer::echo().set("listen", server.address()).start_expecting_failure()?;
    check(code == 3, format!("code {code}: {text}"))?;
    let said = text.lines().count() == 1
        && text.contains(&server.address().to_string())
        && text.contains("the port is in use");
    check(said, text)?;
    // And the first server is none the worse for it.
    round_trip(&mut server.connect()?, "hello")?;
    server.stop()
}

#[test]
fn bad_options_are_one_line_and_code_2() -> TestResult {
    let cases = [
        ("wrokers", "2", "did you mean `workers`?"),
        ("dispatch", "idle_frist", "did you mean `idle_first`?"),
        ("workers", "0", "`workers`"),
        ("workers", "many", "`workers`"),
        ("reactors", "65", "`reactors`"),
        ("lane_size", "1000", "`lane_size`"),
        ("crash_policy", "redeliver:101", "`crash_policy`"),
        ("boot_timeout_ms", "0", "`boot_timeout_ms`"),
        ("listen", "nowhere", "`listen`"),
        ("nonsense_of_some_length", "1", "docs/OPTIONS.md"),
    ];
    for (name, value, expected) in cases {
        let (code, text) = TestServer::echo().set(name, value).start_expecting_failure()?;
        check(code == 2, format!("{name}={value}: code {code}: {text}"))?;
        let one_line = text.lines().count() == 1 && text.contains(expected);
        check(one_line, format!("{name}={value} says {text:?}, without {expected:?}"))?;
    }
    let (code, text) = TestServer::echo().args(["--what"]).start_expecting_failure()?;
    check(code == 2 && text.contains("--what"), text)
}

/// Messages that the server has received whole belong to what a drain finishes, in every framing
/// that finds them, encrypted or not.
#[test]
fn whole_messages_that_were_received_are_served_in_the_time_of_a_drain() -> TestResult {
    for mode in ["process", "base"] {
        for depth in [1, 200] {
            let scratch = Scratch::new("shutdown-whole")?;
            let go = scratch.path("go");
            let server = small_probe()
                .set("mode", mode)
                .set("prefetch_packages", 1)
                .env("PROBE_JOURNAL", scratch.path("journal"))
                .start()?;
            let (mut talk, idle) = (Talk::new(&server)?, Talk::new(&server)?);
            let lines: String = (0..depth).map(|number| format!("echo {number}\n")).collect();
            let held = format!("until {} begun\n", go.display());
            // In one piece, and a part of a message behind it that is dropped.
            talk.client.send(format!("{held}{lines}echo ha").as_bytes())?;
            scratch.wait_received(1)?;
            server.signal(Signal::TERM);
            server.wait_for_log("draining")?;
            // In BASE mode the reactor is in the thread that is held.
            if mode == "process" {
                idle.expect_closed();
            }
            scratch.make("go")?;
            talk.expect("begun");
            for number in 0..depth {
                talk.expect(&number.to_string());
            }
            talk.expect_closed();
            let ended = server.wait_end()?;
            let books = ended.books()?;
            assert_eq!(books.detail("input_dropped_bytes"), 7, "{mode}: {books}");
            assert_eq!(books.finished, 1 + depth, "{mode}: {books}");
        }
    }
    Ok(())
}
