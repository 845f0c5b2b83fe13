//! Packages.

use std::collections::BTreeSet;

use ostler_testkit::{TestResult, TestServer, wait_until};

use crate::Effect;
use crate::talk::{Scratch, Talk, expect_neighbours_served, pattern, probe, small_probe};

pub(crate) const EFFECTS: &[(&str, Effect)] = &[
    ("dispatch", dispatch_round_robin_spreads),
    ("dispatch", dispatch_session_hash_sticks),
    ("dispatch", dispatch_idle_first_avoids_a_busy_worker),
    ("crash_policy", crash_policy_decides_about_what_was_in_hand),
    ("redeliver_output_bytes", redeliver_output_bytes_are_held_back),
    ("answer_order", answer_order_decides_whether_answers_overtake),
    ("session_window", session_window_of_one_is_strictly_serial),
    ("prefetch_us", prefetch_us_of_zero_gives_one_at_a_time),
    ("prefetch_packages", prefetch_packages_bounds_what_waits_at_a_worker),
    ("dispatch", dispatch_auto_follows_the_framing),
    ("framing", framing_decides_what_a_package_is),
    ("framing", framing_stream_gives_again_what_was_not_used),
    ("framing", framing_line_length_mqtt_and_resp_cut_where_their_protocols_say),
    ("package_eof", package_eof_ends_a_package),
    ("package_length_type", package_length_type_reads_the_length),
    ("package_length_offset", package_length_offset_and_body_offset_place_the_header),
    ("package_body_offset", package_length_offset_and_body_offset_place_the_header),
    ("package_max_length", package_max_length_closes_who_exceeds_it),
    ("receive_size", receive_size_cuts_raw_packages),
];

#[test]
fn dispatch_round_robin_spreads() -> TestResult {
    let server =
        probe().set("workers", 3).set("reactors", 1).set("dispatch", "round_robin").start()?;
    for worker in 0..3 {
        server.wait_for_log(&format!("serves worker=w{worker}."))?;
    }
    let mut talk = Talk::new(&server)?;
    // A package that comes before the last one is finished goes where that one is; so not every one
    // takes a turn.
    let mut turns = std::collections::HashMap::new();
    for _ in 0..300 {
        *turns.entry(talk.ask("whoami")?).or_insert(0) += 1;
    }
    assert_eq!(turns.len(), 3, "{turns:?}");
    assert!(turns.values().all(|count| *count >= 30), "{turns:?}");
    server.stop()
}

/// Each session stays with one of the three workers, and all three have some.
fn expect_sticky_sessions(server: TestServer) -> TestResult {
    for worker in 0..3 {
        server.wait_for_log(&format!("serves worker=w{worker}."))?;
    }
    let mut seen = BTreeSet::new();
    for _ in 0..24 {
        let mut talk = Talk::new(&server)?;
        let first = talk.ask("whoami")?;
        for _ in 0..5 {
            assert_eq!(talk.ask("whoami")?, first);
        }
        seen.insert(first);
    }
    assert_eq!(seen.len(), 3, "24 sessions over 3 workers: {seen:?}");
    server.stop()
}

#[test]
fn dispatch_session_hash_sticks() -> TestResult {
    let server = probe().set("workers", 3).set("dispatch", "session_hash").start()?;
    expect_sticky_sessions(server)
}

#[test]
fn dispatch_idle_first_avoids_a_busy_worker() -> TestResult {
    let scratch = Scratch::new("idle")?;
    let server = probe().set("dispatch", "idle_first").start()?;
    expect_neighbours_served(&server, &scratch, 20, 10)?;
    server.stop()
}

#[test]
fn crash_policy_decides_about_what_was_in_hand() -> TestResult {
    for policy in ["close", "drop", "redeliver:1"] {
        let server = small_probe()
            .set("crash_policy", policy)
            .expect_log("died")
            .expect_log("before it served")
            .start()?;
        let mut talk = Talk::new(&server)?;
        assert_eq!(talk.ask("echo before")?, "before");
        talk.say("abort")?;
        let (dropped, redelivered, closed) = match policy {
            "close" => {
                talk.expect_closed();
                (0, 0, 1)
            }
            "drop" => {
                assert_eq!(talk.ask("echo after")?, "after");
                (1, 0, 0)
            }
            // It kills its second worker too.
            _ => {
                talk.expect_closed();
                (0, 1, 1)
            }
        };
        let books = server.stop_and_report()?.books()?;
        assert_eq!(books.detail("dropped_worker_died"), dropped, "{policy}: {books}");
        assert_eq!(books.detail("redelivered"), redelivered, "{policy}: {books}");
        assert_eq!(books.detail("closed_worker_died"), closed, "{policy}: {books}");
    }
    Ok(())
}

#[test]
fn redeliver_output_bytes_are_held_back() -> TestResult {
    let scratch = Scratch::new("held")?;
    for (limit, held) in [("0", false), ("1M", true)] {
        let server = small_probe()
            .set("crash_policy", "redeliver:1")
            .set("redeliver_output_bytes", limit)
            .start()?;
        let mut talk = Talk::new(&server)?;
        let go = format!("go-{limit}");
        talk.say(&format!("senduntil {} 5000", scratch.path(&go).display()))?;
        if held {
            talk.expect_silence();
        } else {
            assert!(talk.bytes(5000)? == pattern(5000));
        }
        scratch.make(&go)?;
        if held {
            assert!(talk.bytes(5000)? == pattern(5000));
        }
        talk.expect("end");
        server.stop()?;
    }
    Ok(())
}

#[test]
fn answer_order_decides_whether_answers_overtake() -> TestResult {
    for (value, order) in [("kept", ["late", "early"]), ("free", ["early", "late"])] {
        let server = small_probe().set("answer_order", value).start()?;
        let mut talk = Talk::new(&server)?;
        talk.client.send(b"defer 100 late\necho early\n")?;
        for line in order {
            talk.expect(line);
        }
        server.stop()?;
    }
    Ok(())
}

#[test]
fn session_window_of_one_is_strictly_serial() -> TestResult {
    for (window, order) in [(1, ["late", "early"]), (16, ["early", "late"])] {
        let server =
            small_probe().set("session_window", window).set("answer_order", "free").start()?;
        let mut talk = Talk::new(&server)?;
        talk.client.send(b"defer 100 late\necho early\n")?;
        for line in order {
            talk.expect(line);
        }
        server.stop()?;
    }
    Ok(())
}

/// How many packages wait at a busy worker: those that come back when it is killed without having
/// started them.
fn waiting_at_a_worker(name: &str, value: u32, prefetch_us: u32) -> TestResult<u64> {
    let scratch = Scratch::new("prefetch")?;
    let server = small_probe()
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .set("prefetch_us", prefetch_us)
        .set(name, value)
        .expect_log("died")
        .expect_log("before it served")
        .start()?;
    let mut talks: Vec<Talk> = (0..12).map(|_| Talk::new(&server)).collect::<TestResult<_>>()?;
    for talk in &mut talks {
        assert_eq!(talk.ask("echo connected")?, "connected");
    }
    let mut stuck = Talk::new(&server)?;
    stuck.say("spin")?;
    wait_until("the handler to spin", || {
        let lines = scratch.lines("journal");
        lines.iter().filter(|line| line.contains(" receive ")).count() == 13
    })?;
    for talk in &mut talks {
        talk.say("echo after all")?;
    }
    // All that is going to be given was given when nobody stirs any more: who spins does not sleep.
    server.wait_for_rest()?;
    server.worker(0).kill();
    stuck.expect_closed();
    for talk in &mut talks {
        talk.expect("after all");
    }
    let books = server.stop_and_report()?.books()?;
    Ok(books.detail("recalls"))
}

#[test]
fn prefetch_us_of_zero_gives_one_at_a_time() -> TestResult {
    assert_eq!(waiting_at_a_worker("prefetch_us", 0, 0)?, 0);
    // As many as are thought to take less than that; how many that is depends on the machine.
    let waiting = waiting_at_a_worker("prefetch_us", 100_000, 100_000)?;
    assert!((4..=12).contains(&waiting), "{waiting}");
    Ok(())
}

#[test]
fn prefetch_packages_bounds_what_waits_at_a_worker() -> TestResult {
    assert_eq!(waiting_at_a_worker("prefetch_packages", 4, 100_000)?, 3);
    Ok(())
}

#[test]
fn framing_decides_what_a_package_is() -> TestResult {
    for (framing, packages) in [("stream", 1), ("raw", 1), ("eof", 3)] {
        let server = TestServer::echo().set("framing", framing).start()?;
        let mut client = server.connect()?;
        client.send(b"one\r\ntwo\r\nthree\r\n")?;
        client.expect(b"one\r\ntwo\r\nthree\r\n")?;
        assert_eq!(server.stop_and_report()?.books()?.received, packages);
    }
    Ok(())
}

#[test]
fn framing_stream_gives_again_what_was_not_used() -> TestResult {
    let server = small_probe().set("framing", "stream").start()?;
    let mut talk = Talk::new(&server)?;
    talk.client.send(b"echo one\necho tw")?;
    talk.expect("one");
    talk.client.send(b"o\n")?;
    talk.expect("two");
    let books = server.stop_and_report()?.books()?;
    assert!(books.detail("continued") >= 1, "{books}");
    Ok(())
}

#[test]
fn dispatch_auto_follows_the_framing() -> TestResult {
    // Lines go to whoever idles.
    let scratch = Scratch::new("auto")?;
    let server = probe().set("dispatch", "auto").start()?;
    expect_neighbours_served(&server, &scratch, 20, 3)?;
    server.stop()?;
    // A stream stays with one worker.
    let server = probe().set("workers", 3).set("framing", "stream").start()?;
    expect_sticky_sessions(server)
}

#[test]
fn package_eof_ends_a_package() -> TestResult {
    for (eof, packages) in [(";", 3), ("\\n", 1), ("\\x3b\\n", 1), ("; ", 2)] {
        let server = TestServer::echo().set("framing", "eof").set("package_eof", eof).start()?;
        let mut client = server.connect()?;
        client.send(b"one; two; three;\n")?;
        client.half_close()?;
        let mut answer = Vec::new();
        loop {
            let some = client.read_some()?;
            if some.is_empty() {
                break;
            }
            answer.extend(some);
        }
        assert!(b"one; two; three;\n".starts_with(&answer), "{eof}");
        assert_eq!(server.stop_and_report()?.books()?.received, packages, "{eof}");
    }
    Ok(())
}

/// How many packages an echo server with these options receives in `bytes`, all answered.
fn packages_in(options: &[(&str, &str)], bytes: &[u8]) -> TestResult<u64> {
    let mut server = TestServer::echo();
    for (name, value) in options {
        server = server.set(name, value);
    }
    let server = server.start()?;
    let mut client = server.connect()?;
    client.send(bytes)?;
    client.expect(bytes)?;
    Ok(server.stop_and_report()?.books()?.received)
}

#[test]
fn framing_line_length_mqtt_and_resp_cut_where_their_protocols_say() -> TestResult {
    for (framing, bytes, packages) in [
        ("line", &b"one\r\ntwo\nthree\n"[..], 3),
        ("eof_at_end", b"one\r\ntwo\r\n", 1),
        ("length", b"\0\0\0\x03one\0\0\0\x00\0\0\0\x05three", 3),
        ("mqtt", b"\xc0\x00\x30\x05\x00\x01a12\xe0\x00", 3),
        ("resp", b"*1\r\n$4\r\nPING\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\n\n\r\n", 3),
    ] {
        assert_eq!(packages_in(&[("framing", framing)], bytes)?, packages, "{framing}");
    }
    Ok(())
}

#[test]
fn package_length_type_reads_the_length() -> TestResult {
    for (letter, bytes) in [
        ("n", &b"\0\x02ab\0\x01c"[..]),
        ("v", b"\x02\0ab\x01\0c"),
        ("C", b"\x02ab\x01c"),
        ("P", b"\x02\0\0\0\0\0\0\0ab\x01\0\0\0\0\0\0\0c"),
    ] {
        let header = match letter {
            "C" => "1",
            "P" => "8",
            _ => "2",
        };
        let options = [
            ("framing", "length"),
            ("package_length_type", letter),
            ("package_body_offset", header),
        ];
        assert_eq!(packages_in(&options, bytes)?, 2, "{letter}");
    }
    Ok(())
}

#[test]
fn package_length_offset_and_body_offset_place_the_header() -> TestResult {
    let packages = |length_offset, body_offset, bytes: &[u8]| {
        packages_in(
            &[
                ("framing", "length"),
                ("package_length_type", "n"),
                ("package_length_offset", length_offset),
                ("package_body_offset", body_offset),
            ],
            bytes,
        )
    };
    // The same bytes, read by three headers.
    assert_eq!(packages("0", "2", b"\0\x02\0\x04\0\x02xy")?, 2);
    assert_eq!(packages("2", "4", b"\0\x02\0\x04\0\x02xy")?, 1);
    assert_eq!(packages("0", "0", b"\0\x02\0\x04\0\x02\0\x02")?, 3);
    Ok(())
}

#[test]
fn package_max_length_closes_who_exceeds_it() -> TestResult {
    let server = small_probe().set("package_max_length", 100).start()?;
    let mut talk = Talk::new(&server)?;
    talk.say(&format!("echo {}", "x".repeat(94)))?;
    talk.expect(&"x".repeat(94));
    talk.say(&format!("echo {}", "x".repeat(95)))?;
    talk.expect_closed();
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("closed_package_too_long"), 1);
    Ok(())
}

#[test]
fn receive_size_cuts_raw_packages() -> TestResult {
    for (framing, size, packages) in
        [("raw", 64, 16), ("raw", 65_536, 1), ("stream", 64, 16), ("stream", 65_536, 1)]
    {
        // Few lanes, so that they are large enough for the larger size.
        let server = TestServer::echo()
            .set("framing", framing)
            .set("workers", 2)
            .set("reactors", 2)
            .set("receive_size", size)
            .start()?;
        let mut client = server.connect()?;
        client.send(&[7; 1024])?;
        client.expect(&[7; 1024])?;
        assert_eq!(server.stop_and_report()?.books()?.received, packages);
    }
    Ok(())
}
