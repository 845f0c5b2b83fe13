//! A worker that kills itself at each numbered step of the lane protocol (its section 12), under
//! load.
//!
//! Only a build with debug assertions has the hook; other builds say that they ignore these tests.

mod support;

use ostler_shm::fault::STEPS;
use ostler_testkit::{Client, ServerBuilder, TestError, TestResult, TestServer};
use support::{check, echo, start, wait_lines};

const DIED: &str = "worker died";
const ARMED: &str = "debug hook";

/// Steps that an echo never comes to: they need replies larger than the ring has room for, or
/// files.
const NOT_OF_AN_ECHO: [&str; 3] = ["EXPOSED", "WAITING_FOR_ROOM", "FILE_PASSED"];

fn faulty(step: &str, nth: u64, policy: &str) -> ServerBuilder {
    echo(2, 2)
        .set("crash_policy", policy)
        .fault(step, nth)
        .expect_log(DIED)
        .expect_log("ended before it served")
}

/// The hook was armed and did its work, once.
fn fired(server: &TestServer) -> TestResult {
    let line = server.wait_for_log(ARMED)?;
    check(line.contains("armed=true"), line)?;
    let line = server.wait_for_log(DIED)?;
    check(line.contains("worker=w0.1") && line.contains("SIGKILL"), line)
}

fn at_step(step: &str, nth: u64, policy: &str) -> TestResult {
    let server = faulty(step, nth, policy).start()?;
    let load = server.load().connections(8).depth(4).bytes(24, 6_000).start()?;
    fired(&server)?;
    wait_lines(&server, "serves worker=w0.2", 1)?;
    load.wait_for_more(200)?;
    let report = load.stop()?;
    match policy {
        "close" => report.check_honest()?,
        _ => report.check_perfect()?,
    }
    let books = server.stop_and_report()?.books()?;
    check(books.in_hand == 0 && books.recalled == 0, format!("{books}"))?;
    let cut = report.closed_early + report.reset;
    check(cut == books.detail("closed_worker_died"), format!("{report}; {books}"))
}

fn at_every_step(policy: &str) -> TestResult {
    for (step, _) in STEPS.iter().filter(|(step, _)| !NOT_OF_AN_ECHO.contains(step)) {
        for nth in [1, 2, 9, 100] {
            at_step(step, nth, policy)
                .map_err(|error| error.context(format!("{step}:{nth} under {policy}")))?;
        }
    }
    Ok(())
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "the hook is in builds with debug assertions only")]
fn redeliver_is_perfect_at_every_step() -> TestResult {
    at_every_step("redeliver:3")
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "the hook is in builds with debug assertions only")]
fn close_is_honest_at_every_step() -> TestResult {
    at_every_step("close")
}

const REPLY: usize = 300_000;

/// Asks for replies that do not fit into the ring, until told to stop; each is whole, or a
/// beginning and then the end.
fn ask_for_big_replies(client: &mut Client) -> TestResult<bool> {
    client.send(b"x")?;
    let mut at = 0;
    while at < REPLY {
        let bytes = match client.read_some() {
            Ok(bytes) if !bytes.is_empty() => bytes,
            // Closed or reset: the client knows.
            Ok(_) => return Ok(false),
            Err(error) if error.is_timeout() => return Err(error),
            Err(_) => return Ok(false),
        };
        for byte in bytes {
            if byte != (at % 251) as u8 {
                return Err(TestError::new(format!("byte {at} is {byte}")));
            }
            at += 1;
        }
    }
    if at == REPLY { Ok(true) } else { Err(TestError::new("more than one reply came")) }
}

fn big_at_step(step: &str, nth: u64, policy: &str) -> TestResult {
    // In turn, so that both workers get their share, the faulty one too, whatever the numbers of
    // the sessions are.
    let builder = faulty(step, nth, policy)
        .handler(&format!("big_reply:{REPLY}"))
        .set("lane_size", "64K")
        .set("dispatch", "round_robin");
    let server = start(builder, 2)?;
    let mut cut = 0;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(server.connect()?);
    }
    let mut rounds = 0;
    while server.log_lines_with(DIED).is_empty() || rounds % 3 != 0 {
        let Some(client) = clients.get_mut(rounds % 3) else { break };
        if !ask_for_big_replies(client)? {
            cut += 1;
            *client = server.connect()?;
        }
        rounds += 1;
        check(rounds < 3_000, "the hook did not fire")?;
    }
    fired(&server)?;
    wait_lines(&server, "serves worker=w0.2", 1)?;
    // A session that was cut while it asked for nothing learns it now.
    for client in &mut clients {
        if !ask_for_big_replies(client)? {
            cut += 1;
            *client = server.connect()?;
        }
    }
    for client in &mut clients {
        check(ask_for_big_replies(client)?, "cut after the fault")?;
    }
    let books = server.stop_and_report()?.books()?;
    let closed = books.detail("closed_worker_died") + books.detail("closed_truncated");
    check(closed == cut && cut <= 1, format!("{cut} replies were cut; {books}"))
}

fn big_at_every_step(policy: &str) -> TestResult {
    for (step, _) in STEPS {
        // Under `close` nothing is held back, so nothing is exposed; and replies are no files.
        if *step == "EXPOSED" && policy == "close" || *step == "FILE_PASSED" {
            continue;
        }
        for nth in [1, 2, 7] {
            big_at_step(step, nth, policy)
                .map_err(|error| error.context(format!("{step}:{nth} under {policy}")))?;
        }
    }
    Ok(())
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "the hook is in builds with debug assertions only")]
fn big_replies_are_whole_or_visibly_cut_under_redeliver() -> TestResult {
    big_at_every_step("redeliver:3")
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "the hook is in builds with debug assertions only")]
fn big_replies_are_whole_or_visibly_cut_under_close() -> TestResult {
    big_at_every_step("close")
}
