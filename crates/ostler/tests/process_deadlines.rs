//! Deadlines blame clients for what clients do, and for nothing that this side causes; and whoever
//! waits for them sleeps.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod talk;

use std::time::{Duration, Instant};

use ostler_testkit::{Client, ServerBuilder, Signal, TestResult, wait_until};
use talk::{Scratch, Talk, expect_idle, probe, small_probe};

/// Every deadline of input, so short that each would be over several times.
fn strict(server: ServerBuilder) -> ServerBuilder {
    server
        .set("idle_timeout_ms", 200)
        .set("silence_timeout_ms", 200)
        .set("first_package_timeout_ms", 200)
        .set("package_timeout_ms", 200)
        .set("receive_rate_min", "1M")
        .set("receive_rate_grace_ms", 200)
}

/// Only for what must *not* happen: the deadlines above pass several times.
fn let_deadlines_pass() {
    std::thread::sleep(Duration::from_millis(900));
}

#[test]
fn whoever_waits_for_a_worker_is_not_closed_meanwhile() -> TestResult {
    let scratch = Scratch::new("stuck")?;
    let server = strict(small_probe())
        .set("prefetch_us", 0)
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .start()?;
    let mut served = Talk::new(&server)?;
    served.say(&format!("until {} done", scratch.path("go").display()))?;
    scratch.wait_received(1)?;
    // One in whole, one in two halves, one behind a first line; nobody has time to read them.
    let mut waiting = Talk::new(&server)?;
    waiting.say("echo waited")?;
    let mut cut = Talk::new(&server)?;
    cut.client.send(b"echo c")?;
    let_deadlines_pass();
    cut.say("ut")?;
    served.say("echo second")?;
    let_deadlines_pass();
    scratch.make("go")?;
    served.expect("done");
    served.expect("second");
    waiting.expect("waited");
    cut.expect("cut");
    // Now they have nothing to wait for.
    for talk in [served, waiting, cut] {
        talk.expect_eof();
    }
    let books = server.stop_and_report()?.books()?;
    let closed = books.detail("closed_idle") + books.detail("closed_silent");
    assert_eq!((books.accepted, closed), (3, 3), "{books}");
    Ok(())
}

/// The worker looks at the beginning of a message for long; that is not its client's time.
#[test]
fn a_stream_has_the_time_of_a_package_for_a_rest() -> TestResult {
    let scratch = Scratch::new("rest")?;
    let server = small_probe()
        .set("package_timeout_ms", 200)
        .set("framing", "stream")
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .start()?;
    let mut talk = Talk::new(&server)?;
    let command = format!("until {} done\necho beh", scratch.path("go").display());
    talk.client.send(command.as_bytes())?;
    scratch.wait_received(1)?;
    let_deadlines_pass();
    talk.say("ind")?;
    scratch.make("go")?;
    talk.expect("done");
    talk.expect("behind");
    talk.client.send(b"half a li")?;
    talk.client.expect_closed()?;
    let books = server.stop_and_report()?.books()?;
    assert_eq!((books.accepted, books.detail("closed_package_timeout")), (1, 1), "{books}");
    Ok(())
}

/// A session that was closed waits until its output is written, which its client does not take.
#[test]
fn a_flush_to_a_client_that_takes_nothing_has_an_end() -> TestResult {
    for (option, reason) in [("send_stall_timeout_ms", "send_stalled"), ("idle_timeout_ms", "idle")]
    {
        let scratch = Scratch::new("flush")?;
        let server = small_probe()
            .set(option, 300)
            .set("max_send_bytes", "16M")
            .env("PROBE_JOURNAL", scratch.path("journal"))
            .start()?;
        let client = Client::connect_with_receive_buffer(server.address(), 2048)?;
        let mut deaf = Talk::with(client);
        let began = Instant::now();
        // More than the kernel takes of both sides.
        deaf.say("closebig 16000000")?;
        wait_until("the close event", || {
            let lines = scratch.lines("journal");
            lines.iter().any(|line| line.contains(&format!(" {reason} {reason} ")))
        })?;
        assert!(began.elapsed() >= Duration::from_millis(300));
        drop(deaf);
        let books = server.stop_and_report()?.books()?;
        assert_eq!(books.detail(&format!("closed_{reason}")), 1, "{books}");
    }
    Ok(())
}

#[test]
fn a_drain_is_not_a_time_to_be_late() -> TestResult {
    let scratch = Scratch::new("drain")?;
    let server = strict(small_probe()).env("PROBE_JOURNAL", scratch.path("journal")).start()?;
    let mut talk = Talk::new(&server)?;
    talk.say(&format!("until {} done", scratch.path("go").display()))?;
    scratch.wait_received(1)?;
    talk.client.send(b"echo ha")?;
    server.signal(Signal::TERM);
    server.wait_for_log("drain")?;
    let_deadlines_pass();
    scratch.make("go")?;
    talk.expect("done");
    talk.expect_eof();
    let books = server.wait_end()?.books()?;
    assert_eq!(books.detail("closed_shutdown"), 1, "{books}");
    Ok(())
}

/// Thousands of connections with every deadline, none of which is near: nobody looks at them.
#[test]
fn long_deadlines_of_thousands_wake_nobody() -> TestResult {
    let server = probe()
        .set("idle_timeout_ms", "1h")
        .set("silence_timeout_ms", "2h")
        .set("first_package_timeout_ms", "10min")
        .set("package_timeout_ms", "1min")
        .set("receive_rate_min", "1K")
        .set("receive_rate_grace_ms", "1min")
        .set("send_stall_timeout_ms", "1min")
        .start()?;
    let mut clients = Vec::new();
    for _ in 0..2_000 {
        clients.push(server.connect()?);
    }
    let mut talks = Vec::new();
    for _ in 0..50 {
        let mut talk = Talk::new(&server)?;
        talk.expect_answer("echo x", "x")?;
        talks.push(talk);
    }
    expect_idle(&server)?;
    drop((clients, talks));
    expect_idle(&server)?;
    server.stop()
}

/// All of them are due at once, more than one turn looks at; the last is closed like the first.
#[test]
fn a_thousand_that_are_due_at_once_are_all_closed() -> TestResult {
    let scratch = Scratch::new("thousand")?;
    let server = small_probe()
        .set("idle_timeout_ms", 500)
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .start()?;
    let mut clients = Vec::new();
    for _ in 0..1_000 {
        clients.push(server.connect()?);
    }
    wait_until("the close events", || {
        let lines = scratch.lines("journal");
        lines.iter().filter(|line| line.contains(" close ")).count() == 1_000
    })?;
    for mut client in clients {
        client.expect_eof()?;
    }
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("closed_idle"), 1_000, "{books}");
    Ok(())
}
