//! What holds a session's input and output back, and who is told of it.
#![allow(clippy::panic, clippy::unwrap_used)] // a test that cannot go on

mod talk;

use ostler_testkit::{TestResult, TestServer};
use talk::{Scratch, Talk, small_probe};

/// Whether a handler has seen a package of this session.
fn has_received(scratch: &Scratch, session: u64) -> bool {
    let wanted = format!(" receive {session} ");
    scratch.lines("journal").iter().any(|line| line.contains(&wanted))
}

/// What a reactor has seen of other sessions before, it has acted on when this returns: with one
/// reactor and one worker nothing overtakes these packages.
fn let_the_reactor_turn(other: &mut Talk) -> TestResult {
    (0..20).try_for_each(|_| other.expect_answer("echo turn", "turn"))
}

#[test]
fn a_paused_session_is_read_again_when_any_worker_resumes_it() -> TestResult {
    for policy in ["close", "redeliver:3"] {
        let scratch = Scratch::new("pause")?;
        let server = small_probe()
            .set("crash_policy", policy)
            .env("PROBE_JOURNAL", scratch.path("journal"))
            .start()?;
        let mut other = Talk::new(&server)?;
        let mut held = Talk::new(&server)?;
        let id = held.number("id")?;
        other.expect_answer(&format!("pauseof {id}"), "ok")?;
        other.expect_answer(&format!("marksof {id}"), "paused mortal")?;
        std::fs::write(scratch.path("journal"), b"")?;
        held.say("echo at last")?;
        let_the_reactor_turn(&mut other)?;
        assert!(!has_received(&scratch, id), "{policy}: a paused session was read");
        // Output is not affected.
        other.expect_answer(&format!("flood {id} 1 10"), "ok 1 full 0 gone 0 other 0")?;
        assert_eq!(held.bytes(10)?, talk::pattern(10));
        other.expect_answer(&format!("resumeof {id}"), "ok")?;
        held.expect("at last");
        other.expect_answer(&format!("resumeof {id}"), "ok")?;
        other.expect_answer(&format!("marksof {id}"), "read mortal")?;
        drop((held, other));
        server.stop()?;
    }
    Ok(())
}

/// Kills the worker, and waits until its successor answers.
fn replace_worker(server: &TestServer) -> TestResult<Talk> {
    // An answer is seen before its package is finished: a death in between would end its session.
    server.wait_for_rest()?;
    for worker in server.workers() {
        worker.kill();
    }
    server.wait_for_log("worker died")?;
    let mut other = Talk::new(server)?;
    other.expect_answer("echo new", "new")?;
    Ok(other)
}

#[test]
fn marks_belong_to_the_session_and_survive_the_worker() -> TestResult {
    let scratch = Scratch::new("marks")?;
    let server = small_probe()
        .expect_log("worker died")
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .start()?;
    let mut held = Talk::new(&server)?;
    let id = held.number("id")?;
    assert_eq!(held.ask("marks")?, "read mortal");
    assert_eq!(held.ask("protect on")?, "ok");
    assert_eq!(held.ask("pause")?, "ok");
    let mut other = replace_worker(&server)?;
    other.expect_answer(&format!("marksof {id}"), "paused protected")?;
    std::fs::write(scratch.path("journal"), b"")?;
    held.say("echo still here")?;
    let_the_reactor_turn(&mut other)?;
    assert!(!has_received(&scratch, id), "a paused session was read");
    other.expect_answer(&format!("resumeof {id}"), "ok")?;
    held.expect("still here");
    assert_eq!(held.ask("marks")?, "read protected");
    assert_eq!(held.ask("protect off")?, "ok");
    assert_eq!(held.ask("marks")?, "read mortal");
    drop(held);
    other.expect_answer("pauseof 64", "gone")?;
    drop(other);
    server.stop()
}

/// A client that leaves, and a server that ends, wait for nobody who would resume the session.
#[test]
fn a_pause_holds_neither_the_end_of_a_session_nor_that_of_the_server() -> TestResult {
    let server = small_probe().start()?;
    let mut left = Talk::new(&server)?;
    assert_eq!(left.ask("pause")?, "ok");
    left.client.half_close()?;
    left.expect_eof();
    let mut stays = Talk::new(&server)?;
    assert_eq!(stays.ask("pause")?, "ok");
    stays.say("echo unread")?;
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("closed_shutdown"), 1, "{books}");
    assert_eq!(books.detail("closed_peer"), 1, "{books}");
    Ok(())
}
