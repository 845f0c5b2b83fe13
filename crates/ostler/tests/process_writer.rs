//! Messages whose length nobody knows when they begin, sent as fast as their clients read.
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)] // a test that cannot go on

mod talk;

use std::sync::atomic::{AtomicUsize, Ordering};

use ostler_testkit::{Client, TestResult, TestServer};
use talk::{Scratch, Talk, pattern, probe, small_probe};

/// A client that reads nothing, behind a small buffer.
fn deaf(server: &TestServer) -> TestResult<Talk> {
    Ok(Talk::with(Client::connect_with_receive_buffer(server.address(), 2048)?))
}

const MIB: usize = 1 << 20;

#[test]
fn a_stream_of_any_length_is_followed_by_what_was_asked_behind_it() -> TestResult {
    for policy in ["close", "redeliver:3", "drop"] {
        let server = small_probe().set("crash_policy", policy).start()?;
        let mut talk = Talk::new(&server)?;
        talk.client.send(b"stream 20000000\necho behind\nstream 0\nstream 300000\n")?;
        assert!(talk.bytes(20_000_000)? == pattern(20_000_000), "{policy}: the bytes differ");
        talk.expect("behind");
        assert!(talk.bytes(300_000)? == pattern(300_000), "{policy}: the bytes differ");
        talk.expect_answer("between", "one ok 0")?;
        talk.expect("behind");
        assert_eq!(talk.ask("echo on")?, "on");
        drop(talk);
        server.stop()?;
    }
    Ok(())
}

/// The producer stops with its client, and goes on when that reads.
#[test]
fn a_stream_to_a_client_that_does_not_read_holds_up_nobody_and_no_memory() -> TestResult {
    const TOTAL: usize = 64 * MIB;
    let server = small_probe().set("harden", "off").set("memory_budget", "8M").start()?;
    let mut other = Talk::new(&server)?;
    assert_eq!(other.ask("echo warm")?, "warm");
    let memory = || -> TestResult<u64> {
        let workers = server.workers();
        let all = workers.iter().map(|worker| worker.pss_bytes()).sum::<TestResult<u64>>()?;
        Ok(all + server.master().pss_bytes()?)
    };
    let before = memory()?;
    // Far more than the budget, if each had its window.
    let mut slow: Vec<Talk> = (0..100).map(|_| deaf(&server)).collect::<TestResult<_>>()?;
    for talk in &mut slow {
        talk.say(&format!("stream {TOTAL}"))?;
        assert!(talk.bytes(1000)? == pattern(1000), "the bytes differ");
    }
    for round in 0..50 {
        other.expect_answer(&format!("echo {round}"), &round.to_string())?;
    }
    // The budget, and what each process has to remember of its streams.
    let more = memory()?.saturating_sub(before);
    assert!(more < 16 * MIB as u64, "{} KiB more", more / 1024);
    let mut first = slow.swap_remove(0);
    let mut at = 1000;
    let wanted = pattern(251 * 1000);
    while at < TOTAL {
        let len = (TOTAL - at).min(100_000);
        assert!(first.bytes(len)? == wanted[at % 251..at % 251 + len], "the bytes differ at {at}");
        at += len;
    }
    assert_eq!(first.ask("echo on")?, "on");
    drop((first, slow, other));
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("closed_slow_reader"), 0, "{books}");
    assert_eq!(books.detail("closed_memory_budget"), 0, "{books}");
    Ok(())
}

#[test]
fn a_stream_that_is_cut_closes_its_session_and_says_so() -> TestResult {
    let server = small_probe().expect_log("worker died").start()?;
    let mut cut = Talk::new(&server)?;
    cut.say("cut 1000")?;
    assert!(cut.rest().is_err(), "a message that was cut looks complete");
    let mut empty = Talk::new(&server)?;
    assert_eq!(empty.ask("cut 0\necho nothing was begun")?, "nothing was begun");
    // Its worker dies.
    let mut slow = deaf(&server)?;
    slow.say("stream 64000000")?;
    assert!(slow.bytes(1000)? == pattern(1000), "the bytes differ");
    for worker in server.workers() {
        worker.kill();
    }
    server.wait_for_log("worker died")?;
    assert!(slow.rest().is_err(), "a message that was cut looks complete");
    // The client goes: its worker lets go what it held for it, and serves on.
    let mut left = deaf(&server)?;
    left.say("stream 64000000")?;
    assert!(left.bytes(1000)? == pattern(1000), "the bytes differ");
    drop(left);
    let mut next = Talk::new(&server)?;
    assert_eq!(next.ask("echo on")?, "on");
    drop((next, empty));
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("closed_truncated"), 2, "{books}");
    Ok(())
}

#[test]
fn a_stream_is_finished_although_its_worker_is_replaced_or_its_session_closed() -> TestResult {
    const TOTAL: usize = 20_000_000;
    let server = small_probe().start()?;
    let mut other = Talk::new(&server)?;
    let mut slow = deaf(&server)?;
    let id = slow.number("id")?;
    slow.say(&format!("stream {TOTAL}"))?;
    assert!(slow.bytes(1000)? == pattern(1000), "the bytes differ");
    server.signal(ostler_testkit::Signal::USR1);
    server.wait_for_log("serves worker=w0.2")?;
    // It comes behind all that was sent before, and so behind the whole message.
    other.expect_answer(&format!("closeof {id}"), "ok")?;
    let rest = slow.rest()?;
    assert!(rest == pattern(TOTAL)[1000..], "the bytes differ");
    drop(other);
    server.stop()
}

/// Two workers of which each serves the sessions of its own, and one session of each.
fn two_workers(server: &TestServer) -> TestResult<(Talk, Talk)> {
    for worker in 0..2 {
        server.wait_for_log(&format!("serves worker=w{worker}."))?;
    }
    let mut first = Talk::new(server)?;
    let who = first.ask("whoami")?;
    loop {
        let mut other = Talk::new(server)?;
        if other.ask("whoami")? != who {
            return Ok((first, other));
        }
    }
}

#[test]
fn a_stream_waits_behind_that_of_another_worker_and_both_are_whole() -> TestResult {
    const TOTAL: usize = 3_000_000;
    let server = probe().set("dispatch", "session_hash").start()?;
    let (mut first, mut second) = two_workers(&server)?;
    let mut slow = deaf(&server)?;
    let id = slow.number("id")?;
    first.say(&format!("streamto {id} {TOTAL}\necho first"))?;
    assert!(slow.bytes(1000)? == pattern(1000), "the bytes differ");
    second.say(&format!("streamto {id} {TOTAL}\necho second"))?;
    assert!(slow.bytes(TOTAL - 1000)? == pattern(TOTAL)[1000..], "the first one's bytes differ");
    assert!(slow.bytes(TOTAL)? == pattern(TOTAL), "the second one's bytes differ");
    first.expect("first");
    second.expect("second");
    slow.expect_answer("echo on", "on")?;
    second.expect_answer(&format!("streamto {} 1", u64::MAX >> 11), "gone")?;
    drop((first, second, slow));
    server.stop()
}

/// A worker that waits for its turn at a session sleeps: it has to be told that there is none.
#[test]
fn who_streams_to_a_session_that_ends_lets_it_go_also_who_waits_behind_another() -> TestResult {
    let scratch = Scratch::new("ends")?;
    let server = probe()
        .set("dispatch", "session_hash")
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .start()?;
    let (mut first, mut second) = two_workers(&server)?;
    let ids = [first.number("id")?, second.number("id")?];
    let mut slow = deaf(&server)?;
    let id = slow.number("id")?;
    first.say(&format!("streamto {id} 64000000"))?;
    assert!(slow.bytes(1000)? == pattern(1000), "the bytes differ");
    second.say(&format!("streamto {id} 64000000"))?;
    for talk in [&mut first, &mut second] {
        talk.client.half_close()?;
    }
    server.wait_for("both streams to be begun", |_| {
        let lines = scratch.lines("journal");
        ids.iter().all(|id| {
            let mine = format!(" receive {id} ");
            lines.iter().filter(|line| line.contains(&mine)).count() == 3
        })
    })?;
    server.wait_for_rest()?;
    slow.client.abort()?;
    // Their packages are finished, and so their sessions end.
    first.expect_eof();
    second.expect_eof();
    server.stop()
}

/// One package may have several writers, and a token besides: it is finished when all are.
#[test]
fn a_package_is_finished_when_all_its_writers_are() -> TestResult {
    // The second is more than the kernel takes for a client that does not read.
    const OWN: usize = 300_000;
    const OTHER: usize = 20_000_000;
    for policy in ["close", "redeliver:3"] {
        let server = small_probe().set("crash_policy", policy).start()?;
        let mut talk = Talk::new(&server)?;
        let mut slow = deaf(&server)?;
        let id = slow.number("id")?;
        talk.say(&format!("streamboth {id} {OWN} {OTHER}\necho behind"))?;
        assert!(talk.bytes(OWN)? == pattern(OWN), "{policy}: the bytes differ");
        talk.expect("token");
        server.wait_for_rest()?;
        talk.expect_silence();
        assert!(slow.bytes(OTHER)? == pattern(OTHER), "{policy}: the bytes differ");
        talk.expect("behind");
        drop((talk, slow));
        server.stop()?;
    }
    Ok(())
}

/// A writer of a timer's has no package: what packages send meanwhile comes behind it, also what
/// was held back for one.
#[test]
fn what_a_deferred_package_sends_beside_a_stream_comes_behind_it() -> TestResult {
    const TOTAL: usize = 2_000_000;
    let server = small_probe().set("crash_policy", "redeliver:3").start()?;
    let mut other = Talk::new(&server)?;
    let mut slow = deaf(&server)?;
    let id = slow.number("id")?;
    other.say(&format!("streamto {id} {TOTAL}"))?;
    assert!(slow.bytes(1000)? == pattern(1000), "the bytes differ");
    slow.say("defer 1 deferred\necho second")?;
    assert!(slow.bytes(TOTAL - 1000)? == pattern(TOTAL)[1000..], "the bytes differ");
    slow.expect("deferred");
    slow.expect("second");
    drop((other, slow));
    server.stop()
}

/// What a client saw of its streams until it was cut off, if it was.
fn reads_streams(server: &TestServer, number: usize) -> TestResult<bool> {
    const TOTAL: usize = 3_000_000;
    let wanted = pattern(251 * 400);
    let small = number % 3 == 1;
    let mut talk = if small { deaf(server)? } else { Talk::new(server)? };
    for round in 0..4 {
        talk.say(&format!("stream {TOTAL}\necho {round}"))?;
        let mut at = 0;
        while at < TOTAL {
            // One reads slowly, one in small pieces, one leaves in the middle.
            let len = (TOTAL - at).min(if small { 10_000 } else { 100_000 });
            match talk.bytes(len) {
                Ok(bytes) => assert!(bytes == wanted[at % 251..at % 251 + len], "torn at {at}"),
                // A message that is cut does not look whole.
                Err(error) => {
                    let is_orderly = error.to_string().contains("got the end");
                    let is_begun = at > 0 || !error.to_string().contains("behind 0 bytes");
                    assert!(!(is_orderly && is_begun), "{number} at {at}: {error}");
                    return Ok(false);
                }
            }
            at += len;
            if number % 3 == 2 && round == 2 && at > TOTAL / 2 {
                talk.client.abort()?;
                return Ok(true);
            }
        }
        match talk.line() {
            Ok(line) => assert_eq!(line, round.to_string()),
            Err(_) => return Ok(false),
        }
    }
    Ok(true)
}

/// Clients that vanish, workers that are killed and replaced, all in the middle of messages: who is
/// cut off sees a reset, nobody a wrong byte, and nothing is left behind.
#[test]
fn among_kills_and_reloads_no_stream_is_torn_or_cut_in_silence() -> TestResult {
    let server = probe()
        .expect_log("worker died")
        .expect_log("before it served")
        .expect_log("ended before it had finished")
        .start()?;
    let left = AtomicUsize::new(12);
    let ended = std::thread::scope(|scope| -> TestResult<Vec<bool>> {
        let clients: Vec<_> = (0..12)
            .map(|number| {
                let (server, left) = (&server, &left);
                scope.spawn(move || {
                    // Whoever is cut off begins again.
                    let result = (0..100).try_fold(false, |is_done, _| {
                        if is_done { Ok(true) } else { reads_streams(server, number) }
                    });
                    left.fetch_sub(1, Ordering::Relaxed);
                    result
                })
            })
            .collect();
        for round in 0..8 {
            if left.load(Ordering::Relaxed) == 0 {
                break;
            }
            let mark = server.log().mark();
            if round % 2 == 0 {
                server.workers()[0].kill();
                server.log().wait_after(mark, "worker died")?;
            } else {
                server.signal(ostler_testkit::Signal::USR1);
                server.log().wait_after(mark, "reload finished")?;
            }
        }
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    })?;
    assert!(ended.iter().all(|is_done| *is_done), "{ended:?}");
    let mut talk = Talk::new(&server)?;
    talk.expect_answer("echo on", "on")?;
    drop(talk);
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("closed_slow_reader"), 0, "{books}");
    Ok(())
}
