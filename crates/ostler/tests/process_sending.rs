//! What holds a session's input and output back, and who is told of it.
#![allow(clippy::panic, clippy::unwrap_used)] // a test that cannot go on

mod talk;

use std::time::Duration;

use ostler_testkit::{Client, TestResult, TestServer, wait_until};
use talk::{Scratch, Talk, checksum, pattern, small_probe};

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
        assert_eq!(held.bytes(10)?, pattern(10));
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

/// A client that reads nothing, behind a small buffer.
fn deaf(server: &TestServer) -> TestResult<Talk> {
    Ok(Talk::with(Client::connect_with_receive_buffer(server.address(), 2048)?))
}

const PIECE: usize = 30_000;

/// Sends to a session until it is full; how many pieces were accepted.
fn fill(talker: &mut Talk, session: u64) -> TestResult<usize> {
    let mut accepted = 0;
    loop {
        let answer = talker.ask(&format!("flood {session} 1 {PIECE}"))?;
        if answer.starts_with("ok 0 full 1 ") {
            return Ok(accepted);
        }
        assert!(answer.starts_with("ok 1 "), "{answer}");
        accepted += 1;
        assert!(accepted < 10_000, "never full");
    }
}

/// The events of the buffer of a session, in their order.
fn buffer_events(scratch: &Scratch, session: u64) -> Vec<String> {
    let mine = |line: &String| {
        let mut words = line.split(' ').skip(1);
        let is_event = matches!(words.next(), Some("full" | "empty"));
        is_event && words.next() == Some(session.to_string().as_str())
    };
    let word = |line: String| line.split(' ').nth(1).unwrap_or_default().to_owned();
    scratch.lines("journal").into_iter().filter(mine).map(word).collect()
}

#[test]
fn a_worker_is_told_once_that_a_session_is_full_and_once_that_it_is_empty_again() -> TestResult {
    let scratch = Scratch::new("buffer")?;
    let server = small_probe()
        .set("send_queue_high", "512K")
        .set("send_queue_max", "4M")
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .start()?;
    let (mut talker, mut slow) = (Talk::new(&server)?, deaf(&server)?);
    let (talkers, id) = (talker.number("id")?, slow.number("id")?);
    let mut expected: Vec<String> = Vec::new();
    for _ in 0..3 {
        let accepted = fill(&mut talker, id)?;
        expected.push("full".to_owned());
        wait_until("the event of a full buffer", || buffer_events(&scratch, id) == expected)?;
        for _ in 0..accepted {
            assert!(slow.bytes(PIECE)? == pattern(PIECE), "the bytes differ");
        }
        expected.push("empty".to_owned());
        wait_until("the event of an empty buffer", || buffer_events(&scratch, id) == expected)?;
    }
    assert_eq!(slow.ask("echo on")?, "on");
    drop((slow, talker));
    server.stop()?;
    assert_eq!(buffer_events(&scratch, id), expected, "none is doubled");
    assert_eq!(buffer_events(&scratch, talkers), Vec::<String>::new(), "it was never full");
    Ok(())
}

/// In Swoole the overflow of a session refuses its close too, a big answer waits for a lock that a
/// dead worker holds, and how much is accepted behind the mark depends on who is scheduled.
#[test]
fn s47_what_is_full_can_be_closed_and_no_dead_sender_leaves_a_lock_behind() -> TestResult {
    let scratch = Scratch::new("s47")?;
    let server = small_probe()
        .set("send_queue_high", "512K")
        .set("send_queue_max", "1M")
        .expect_log("worker died")
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .start()?;
    let mut talker = Talk::new(&server)?;
    let full: Vec<(Talk, u64)> = (0..4)
        .map(|_| {
            let mut slow = deaf(&server)?;
            let id = slow.number("id")?;
            fill(&mut talker, id)?;
            Ok((slow, id))
        })
        .collect::<TestResult<_>>()?;
    for (index, (_, id)) in full.iter().enumerate() {
        let how = if index % 2 == 0 { "closeof" } else { "resetof" };
        talker.expect_answer(&format!("{how} {id}"), "ok")?;
        talker.expect_answer(&format!("flood {id} 1 10"), "ok 0 full 0 gone 1 other 0")?;
    }
    // Its worker dies with a big answer under way; the next one answers at once.
    let mut cut = deaf(&server)?;
    cut.say("senduntil /nowhere/at/all 1500000")?;
    wait_until("the big answer under way", || {
        scratch.lines("journal").iter().any(|line| line.contains(" full "))
            && cut.client.stream().peek(&mut [0]).is_ok()
    })?;
    for worker in server.workers() {
        worker.kill();
    }
    server.wait_for_log("worker died")?;
    let mut next = Talk::new(&server)?;
    next.say("big 1500000")?;
    assert!(next.bytes(1_500_000)? == pattern(1_500_000), "the bytes differ");
    drop((full, cut, next, talker));
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("closed_slow_reader"), 0, "who answers full closes nobody: {books}");
    Ok(())
}

/// Waits until the master has done what there is to do; its worker may go on.
fn wait_for_resting_master(server: &TestServer) -> TestResult {
    let mut before = None;
    wait_until("the master at rest", || {
        std::thread::sleep(Duration::from_millis(100));
        let now = server.master().voluntary_context_switches().ok();
        now.is_some() && std::mem::replace(&mut before, now) == now
    })
}

/// A line of so many bytes that asks for its own checksum, and the answer.
fn big_line(bytes: usize, fill: u8) -> (Vec<u8>, String) {
    let mut line = b"sum ".to_vec();
    line.resize(bytes - 1, fill);
    line.push(b'\n');
    let answer = format!("sum {bytes} {}", checksum(&line));
    (line, answer)
}

/// In Swoole the first chunks of a package whose last one is thrown away are put in front of the
/// next package, of whomever; and a new worker takes the last chunks of a package for a whole one.
#[test]
fn s36_no_part_of_a_package_gets_into_another_one() -> TestResult {
    for ends in ["the client", "the worker"] {
        let scratch = Scratch::new("s36")?;
        let server = small_probe()
            .set("prefetch_us", 100_000)
            .expect_log("worker died")
            .env("PROBE_JOURNAL", scratch.path("journal"))
            .start()?;
        let go = scratch.path("go");
        let mut busy = Talk::new(&server)?;
        busy.say(&format!("until {} free", go.display()))?;
        scratch.wait_received(1)?;
        // More than the ring holds, so that some of its parts are there and some are not.
        let (line, answer) = big_line(300_000, b'a');
        let mut first = Talk::new(&server)?;
        first.client.send(&line)?;
        wait_for_resting_master(&server)?;
        if ends == "the client" {
            first.client.abort()?;
        } else {
            for worker in server.workers() {
                worker.kill();
            }
            server.wait_for_log("worker died")?;
            first.expect(&answer);
        }
        scratch.make("go")?;
        for fill in [b'b', b'c'] {
            let (line, answer) = big_line(200_000, fill);
            let mut next = Talk::new(&server)?;
            next.client.send(&line)?;
            next.expect(&answer);
        }
        let sizes = [0, 300_000, 200_000].map(|bytes| bytes.to_string());
        for line in scratch.lines("journal").iter().filter(|line| line.contains(" receive ")) {
            let len = line.rsplit(' ').next().unwrap_or_default();
            let is_command = len.len() < 4;
            assert!(is_command || sizes.iter().any(|size| size == len), "{ends}: {line}");
        }
        drop(busy);
        server.stop()?;
    }
    Ok(())
}

/// A worker died in the middle of a message in parts: its session ended in order behind the parts
/// that had come, as if they were the whole.
#[test]
fn a_message_whose_sender_dies_in_its_middle_does_not_look_whole() -> TestResult {
    for policy in ["close", "drop"] {
        let scratch = Scratch::new("cut")?;
        let server = small_probe()
            .set("framing", "stream")
            .set("crash_policy", policy)
            .env("PROBE_JOURNAL", scratch.path("journal"))
            .expect_log("died")
            .start()?;
        let mut talk = Talk::new(&server)?;
        let go = scratch.path("go");
        // One delivery; its message is longer than the ring, which nobody empties meanwhile.
        talk.say(&format!("until {} done\nbig 1000000", go.display()))?;
        scratch.wait_received(1)?;
        server.master().stop()?;
        scratch.make("go")?;
        server.wait_for_rest()?;
        let worker = server.worker(0);
        worker.kill();
        server.master().cont()?;
        talk.expect("done");
        let mut received = talk.bytes(1)?.len();
        let end = loop {
            match talk.client.read_some() {
                Ok(bytes) if bytes.is_empty() => break "an orderly end",
                Ok(bytes) => received += bytes.len(),
                Err(_) => break "a reset",
            }
        };
        assert!(received < 1_000_000, "it was not cut");
        assert_eq!(end, "a reset", "{policy}: behind {received} bytes");
        let books = server.stop_and_report()?.books()?;
        assert_eq!(books.detail("closed_truncated"), 1, "{policy}: {books}");
    }
    Ok(())
}
