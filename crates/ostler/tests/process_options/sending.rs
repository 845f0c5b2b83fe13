//! Sending.

use std::time::{Duration, Instant};

use ostler_testkit::{Client, GroupBooks, Signal, TestResult, TestServer, wait_until};

use crate::Effect;
use crate::talk::{Scratch, Talk, pattern, small_probe};

pub(crate) const EFFECTS: &[(&str, Effect)] = &[
    ("send_queue_high", send_queue_high_answers_full),
    ("send_queue_low", send_queue_low_stops_reading),
    ("send_queue_max", send_queue_max_closes_slow_readers),
    ("max_send_bytes", max_send_bytes_refuses_longer_messages),
    ("sendfile_max", sendfile_max_bounds_the_files_that_wait),
    ("session_state_size", session_state_size_is_room_in_the_table),
    ("session_state_max_bytes", session_state_max_bytes_bounds_the_state_of_a_session),
    ("send_timeout_ms", send_timeout_ms_bounds_the_wait_for_room),
    ("linger_timeout_ms", linger_timeout_ms_keeps_a_closed_connection_for_a_while),
    ("group_overflow", group_overflow_skips_slow_members_or_closes_them),
    ("groups_max", groups_max_bounds_the_groups),
    ("session_groups_max", session_groups_max_bounds_the_groups_of_a_session),
];

/// A session whose client does not read, and its id.
fn deaf(server: &TestServer) -> TestResult<(Talk, u64)> {
    let mut talk = Talk::with(Client::connect_with_receive_buffer(server.address(), 2048)?);
    let id = talk.number("id")?;
    Ok((talk, id))
}

/// Floods a session until a send says `full`, and says how many bytes it took.
fn flood_until_full(talk: &mut Talk, id: u64) -> TestResult<u64> {
    let mut taken = 0;
    for _ in 0..4000 {
        let answer = talk.ask(&format!("flood {id} 1 10000"))?;
        if answer.starts_with("ok 0 full 1") {
            return Ok(taken);
        }
        assert!(answer.starts_with("ok 1 "), "{answer} after {taken} bytes");
        taken += 10_000;
    }
    panic!("never full after {taken} bytes");
}

#[test]
fn send_queue_high_answers_full() -> TestResult {
    let mut taken = Vec::new();
    for high in ["100K", "4M"] {
        let server =
            small_probe().set("send_queue_high", high).set("send_queue_max", "8M").start()?;
        let (mut listener, id) = deaf(&server)?;
        let mut talk = Talk::new(&server)?;
        let bytes = flood_until_full(&mut talk, id)?;
        // What was accepted arrives, in order.
        for _ in 0..bytes / 10_000 {
            assert!(listener.bytes(10_000)? == pattern(10_000), "the bytes differ");
        }
        assert!(
            talk.ask(&format!("flood {id} 1 10000"))?.starts_with("ok 1 "),
            "not full any more"
        );
        taken.push(bytes);
        server.stop()?;
    }
    // The kernel's buffers take the same in both cases, or nearly.
    assert!(taken[1] > taken[0] + (2 << 20), "{taken:?}");
    Ok(())
}

#[test]
fn send_queue_low_stops_reading() -> TestResult {
    // Full is answered below the default of the low mark, so that only the one set here stops
    // reading.
    let server = small_probe()
        .set("send_queue_low", "10K")
        .set("send_queue_high", "20K")
        .set("send_queue_max", "8M")
        .start()?;
    let (mut listener, id) = deaf(&server)?;
    let mut talk = Talk::new(&server)?;
    let bytes = flood_until_full(&mut talk, id)?;
    listener.say("state was read")?;
    for _ in 0..20 {
        assert_eq!(
            talk.ask(&format!("getof {id}"))?,
            "",
            "a session with unsent output is not read"
        );
    }
    listener.bytes(bytes as usize)?;
    listener.expect("ok");
    assert_eq!(talk.ask(&format!("getof {id}"))?, "was read");
    server.stop()
}

#[test]
fn send_queue_max_closes_slow_readers() -> TestResult {
    // Eight messages at once, before any mark can be seen: the queue goes over its limit, or over
    // the default but not over the limit.
    for (max, closed) in [("20K", 1), ("16M", 0)] {
        let server = small_probe()
            .set("send_queue_low", "10K")
            .set("send_queue_high", "20K")
            .set("send_queue_max", max)
            .set("crash_policy", "redeliver:1")
            .set("lane_size", "16M")
            .set("lane_memory", "64M")
            .set("redeliver_output_bytes", "64M")
            .start()?;
        let (mut listener, id) = deaf(&server)?;
        let mut talk = Talk::new(&server)?;
        let answer = talk.ask(&format!("flood {id} 8 1000000"))?;
        assert!(answer.starts_with("ok 8 "), "held back, so nothing was full yet: {answer}");
        if closed == 1 {
            server.wait_for("the end of the session", |_| {
                talk.ask(&format!("infoof {id}")).is_ok_and(|answer| answer == "none")
            })?;
        } else {
            for _ in 0..8 {
                assert!(listener.bytes(1_000_000)? == pattern(1_000_000), "the bytes differ");
            }
        }
        drop(listener);
        let books = server.stop_and_report()?.books()?;
        assert_eq!(books.detail("closed_slow_reader"), closed, "{max}: {books}");
    }
    Ok(())
}

#[test]
fn max_send_bytes_refuses_longer_messages() -> TestResult {
    let server = small_probe().set("max_send_bytes", "2K").start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("big 2049")?, "too_long");
    talk.say("big 2048")?;
    assert!(talk.bytes(2048)? == pattern(2048));
    server.stop()
}

/// What fits into the table takes no room of others.
#[test]
fn session_state_size_is_room_in_the_table() -> TestResult {
    // The area for longer states has 64 pages.
    for (size, most) in [("192", 64), ("4K", 70)] {
        let server = small_probe()
            .set("session_state_size", size)
            .set("session_state_max_bytes", "4K")
            .set("memory_budget", "1M")
            .set("package_max_length", "64K")
            .set("max_send_bytes", "64K")
            .start()?;
        let mut talks = Vec::new();
        while talks.len() < 70 {
            let mut talk = Talk::new(&server)?;
            let answer = talk.ask("bump 4000 before")?;
            if answer == "full" {
                break;
            }
            assert_eq!(answer, "1");
            talks.push(talk);
        }
        assert_eq!(talks.len(), most, "{size}");
        for talk in &mut talks {
            assert_eq!(talk.ask("own")?, "1 4000");
        }
        drop(talks);
        server.stop()?;
    }
    Ok(())
}

#[test]
fn session_state_max_bytes_bounds_the_state_of_a_session() -> TestResult {
    for most in [192, 450, 9_000, 300_000] {
        let server = small_probe().set("session_state_max_bytes", most).start()?;
        let (mut talk, mut other) = (Talk::new(&server)?, Talk::new(&server)?);
        for talk in [&mut talk, &mut other] {
            assert_eq!(talk.ask(&format!("bump {most} before"))?, "1");
            assert_eq!(talk.ask(&format!("statebig {}", most + 1))?, "too_long");
        }
        // The whole of it is read, also by the next worker.
        server.signal(Signal::USR1);
        server.wait_for_log("reload finished")?;
        assert_eq!(talk.ask("own")?, format!("1 {most}"));
        server.stop()?;
    }
    Ok(())
}

/// Each client has one, so that none of them is full of its own.
#[test]
fn sendfile_max_bounds_the_files_that_wait() -> TestResult {
    let scratch = Scratch::new("sendfile")?;
    let path = scratch.path("file");
    std::fs::File::create(&path)?.set_len(8 << 20)?;
    for most in [8_usize, 24] {
        let server = small_probe().set("sendfile_max", most).start()?;
        let mut talk = Talk::new(&server)?;
        let mut listeners = Vec::new();
        loop {
            let (listener, id) = deaf(&server)?;
            let answer = talk.ask(&format!("fileto {id} {}", path.display()))?;
            if answer != "ok" {
                assert_eq!(answer, "full");
                break;
            }
            listeners.push(listener);
            assert!(listeners.len() <= most, "{} files wait", listeners.len());
        }
        assert_eq!(listeners.len(), most - most / 8);
        let id = talk.number("id")?;
        let line = scratch.path("line");
        std::fs::write(&line, b"line\n")?;
        drop(listeners);
        wait_until("places to be free again", || {
            talk.ask(&format!("fileto {id} {}", line.display()))
                .is_ok_and(|answer| answer != "full")
        })?;
        drop(talk);
        server.stop()?;
    }
    Ok(())
}

#[test]
fn send_timeout_ms_bounds_the_wait_for_room() -> TestResult {
    for (timeout, ends) in [(0, true), (50, true), (600_000, false)] {
        let scratch = Scratch::new("room")?;
        let server = small_probe()
            .set("send_timeout_ms", timeout)
            .set("send_queue_high", "4M")
            .set("send_queue_max", "8M")
            .env("PROBE_JOURNAL", scratch.path("journal"))
            .start()?;
        let mut talk = Talk::new(&server)?;
        talk.say(&format!("stalled {} 10 16000", scratch.path("go").display()))?;
        wait_until("the handler", || {
            scratch.lines("journal").iter().any(|line| line.contains("receive"))
        })?;
        // Nobody drains the lane, which has room for four of these messages.
        server.master().stop()?;
        scratch.make("go")?;
        let begun = Instant::now();
        let flooded = || {
            let lines = scratch.lines("journal");
            lines.into_iter().find_map(|line| Some(line.split_once("flooded ")?.1.to_owned()))
        };
        if ends {
            wait_until("the end of the flood", || flooded().is_some())?;
            // Six sends waited so long each; with the default they would have waited six seconds.
            let (waited, least) = (begun.elapsed(), 6 * Duration::from_millis(timeout));
            assert!(waited >= least && waited < Duration::from_secs(5), "{timeout}: {waited:?}");
            let flooded = flooded().unwrap_or_default();
            assert!(flooded.starts_with("ok 4 full 6 "), "{flooded}");
            server.master().cont()?;
        } else {
            // Longer than the default: a send that waits only for that answers full.
            std::thread::sleep(Duration::from_millis(1_500));
            assert_eq!(flooded(), None);
            server.master().cont()?;
            wait_until("the end of the flood", || flooded().is_some())?;
            let flooded = flooded().unwrap_or_default();
            assert!(flooded.starts_with("ok 10 full 0 "), "{flooded}");
        }
        let count = if ends { 4 } else { 10 };
        for _ in 0..count {
            assert!(talk.bytes(16_000)? == pattern(16_000), "the bytes differ");
        }
        assert_eq!(talk.ask("echo on")?, "on");
        server.stop()?;
    }
    Ok(())
}

#[test]
fn linger_timeout_ms_keeps_a_closed_connection_for_a_while() -> TestResult {
    for (timeout, is_kept) in [(0, false), (600_000, true)] {
        let builder = small_probe().set("linger_timeout_ms", timeout).set("max_connections", 1);
        let server = builder.expect_log("all places are taken").start()?;
        let mut talk = Talk::new(&server)?;
        talk.say("close")?;
        talk.expect("bye");
        // It does not close, so that its place is free when it is not waited for any more.
        let mut next = Talk::new(&server)?;
        next.say("echo next")?;
        if is_kept {
            // Longer than the default.
            std::thread::sleep(Duration::from_millis(2_500));
            next.expect_silence();
            drop(talk);
        }
        next.expect("next");
        server.stop()?;
    }
    Ok(())
}

#[test]
fn group_overflow_skips_slow_members_or_closes_them() -> TestResult {
    for (what, closed) in [("skip", 0), ("close", 1)] {
        let server = small_probe().set("group_overflow", what).start()?;
        let (mut slow, _) = deaf(&server)?;
        slow.expect_answer("join all", "ok")?;
        let mut talk = Talk::new(&server)?;
        for _ in 0..1_000 {
            talk.expect_answer("castflood all 1 20000", "ok 1 of 1")?;
        }
        drop(slow);
        let ended = server.stop_and_report()?;
        let books = GroupBooks::of_log(ended.log())?;
        assert_eq!(books.get("closed"), closed, "{what}: {books:?}");
        assert_eq!(books.get("skipped") > 0, what == "skip", "{what}: {books:?}");
        assert_eq!(ended.books()?.detail("closed_slow_reader"), closed, "{what}");
    }
    Ok(())
}

/// How many sessions were let into their groups, of those that two clients asked for.
fn joined(option: &str, value: u32) -> TestResult<(u64, u64)> {
    let server = small_probe().set(option, value).expect_log("could not join").start()?;
    for name in ["a", "b"] {
        let mut talk = Talk::new(&server)?;
        talk.expect_answer(&format!("joinmany {name} 20"), "ok")?;
        // By the time that this is answered the first is done.
        talk.expect_answer("echo done", "done")?;
        let id = talk.number("id")?;
        drop(talk);
        // Its groups end with it.
        let mut other = Talk::new(&server)?;
        wait_until("it to be gone", || {
            let answer = other.ask(&format!("flood {id} 1 1"));
            answer.is_ok_and(|answer| answer == "ok 0 full 0 gone 1 other 0")
        })?;
    }
    let books = GroupBooks::of_log(server.stop_and_report()?.log())?;
    Ok((books.get("joined"), books.get("refused")))
}

#[test]
fn groups_max_bounds_the_groups() -> TestResult {
    // Of the first client's 16 groups there is room for 10; those of the second come when it is
    // gone.
    assert_eq!(joined("groups_max", 10)?, (20, 20));
    assert_eq!(joined("groups_max", 0)?, (0, 40));
    Ok(())
}

#[test]
fn session_groups_max_bounds_the_groups_of_a_session() -> TestResult {
    assert_eq!(joined("session_groups_max", 3)?, (6, 34));
    assert_eq!(joined("session_groups_max", 30)?, (40, 0));
    Ok(())
}
