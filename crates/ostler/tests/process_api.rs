//! What user code can do: every call of the interface, on a real server.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod talk;

use ostler_testkit::{Client, TestResult, wait_until};
use talk::{Scratch, Talk, checksum, pattern, probe, small_probe};

#[test]
fn a_deferred_package_is_answered_later_and_others_go_on() -> TestResult {
    let server = small_probe().set("answer_order", "free").start()?;
    let (mut slow, mut quick) = (Talk::new(&server)?, Talk::new(&server)?);
    slow.say("defer 300 late")?;
    for round in 0..20 {
        assert_eq!(quick.ask(&format!("echo {round}"))?, round.to_string());
    }
    slow.expect("late");
    // The session itself is not held up either: packages behind a deferred one are handled, and
    // here answered before it.
    slow.say("defer 100 first")?;
    assert_eq!(slow.ask("echo second")?, "second");
    slow.expect("first");
    server.stop()
}

#[test]
fn a_package_is_deferred_once_and_finished_by_the_drop_of_its_token() -> TestResult {
    let server = small_probe().start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("deferdrop")?, "dropped");
    // `defer` asks a second time, and must not be given another token ("deferred twice").
    talk.say("defer 1 once")?;
    talk.expect("once");
    assert_eq!(talk.ask("echo still here")?, "still here");
    let ended = server.stop_and_report()?;
    let books = ended.books()?;
    assert_eq!((books.received, books.finished), (3, 3), "{books}");
    Ok(())
}

#[test]
fn what_is_sent_before_and_after_a_deferral_keeps_its_order() -> TestResult {
    for policy in ["close", "redeliver:2"] {
        let server = small_probe().set("crash_policy", policy).start()?;
        let mut talk = Talk::new(&server)?;
        talk.say("senddefer 20 second")?;
        talk.expect("first");
        talk.expect("second");
        talk.say("deferclose 10")?;
        talk.expect("bye");
        talk.expect_eof();
        server.stop()?;
    }
    Ok(())
}

#[test]
fn a_deferred_delivery_can_answer_with_more_than_a_ring_holds() -> TestResult {
    for policy in ["close", "redeliver:2"] {
        let server = small_probe()
            .set("crash_policy", policy)
            .set("send_queue_high", "8M")
            .set("send_queue_max", "8M")
            .start()?;
        let mut talk = Talk::new(&server)?;
        talk.say(&format!("deferbig 10 {}", 2_000_000))?;
        assert!(talk.bytes(2_000_000)? == pattern(2_000_000), "the bytes differ");
        assert_eq!(talk.ask("echo on")?, "on");
        server.stop()?;
    }
    Ok(())
}

#[test]
fn deferred_answers_given_from_another_callback_are_their_own_deliveries() -> TestResult {
    for policy in ["close", "redeliver:2"] {
        let server =
            small_probe().set("crash_policy", policy).set("answer_order", "free").start()?;
        let (mut one, mut two, mut three) =
            (Talk::new(&server)?, Talk::new(&server)?, Talk::new(&server)?);
        assert_eq!(three.ask("echo x")?, "x");
        one.say("hold")?;
        two.say("hold")?;
        // Both are in the worker's hands when it has handled what came behind them.
        assert_eq!(one.ask("echo x")?, "x");
        assert_eq!(two.ask("echo x")?, "x");
        assert_eq!(three.ask("release now")?, "ok");
        one.expect("released now");
        two.expect("released now");
        let books = server.stop_and_report()?.books()?;
        assert_eq!((books.received, books.finished), (6, 6), "{books}");
    }
    Ok(())
}

#[test]
fn a_leaving_worker_waits_for_deferred_packages_and_one_shot_timers() -> TestResult {
    let scratch = Scratch::new("leave")?;
    let server = small_probe().env("PROBE_JOURNAL", scratch.path("journal")).start()?;
    let mut talk = Talk::new(&server)?;
    assert!(talk.ask("whoami")?.starts_with("w0.1 "));
    talk.say("defer 600 from the old")?;
    talk.say("after 700 timer of the old")?;
    let mut other = Talk::new(&server)?;
    assert_eq!(other.ask("leave")?, "leaving");
    server.wait_for_log("serves worker=w0.2")?;
    // The reactor learns of the successor a moment after the log.
    server.wait_for("the successor to serve", |_| {
        other.ask("whoami").is_ok_and(|worker| worker.starts_with("w0.2 "))
    })?;
    talk.expect("from the old");
    talk.expect("timer of the old");
    // With nothing outstanding the session moves on.
    assert!(talk.ask("whoami")?.starts_with("w0.2 "));
    wait_until("the old worker's end", || {
        scratch.lines("journal").iter().any(|line| line == "w0.1 stop")
    })?;
    let journal = scratch.lines("journal");
    let at =
        |line: &str| journal.iter().position(|l| l == line).unwrap_or_else(|| panic!("{line}"));
    assert!(at("w0.2 start") < at("w0.1 exit") && at("w0.1 exit") < at("w0.1 stop"));
    server.stop()
}

/// A timer that adds the next one would hold it to the end of `drain_timeout_ms`, and then it would
/// be killed.
#[test]
fn a_timer_that_rearms_itself_does_not_hold_a_leaving_worker() -> TestResult {
    let scratch = Scratch::new("rearm")?;
    let server = small_probe()
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .set("drain_timeout_ms", 3_600_000)
        .start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("rearm 5")?, "armed");
    assert_eq!(talk.ask("leave")?, "leaving");
    wait_until("the old worker's end", || {
        scratch.lines("journal").iter().any(|line| line == "w0.1 stop")
    })?;
    assert!(talk.ask("whoami")?.starts_with("w0.2 "));
    server.stop()
}

/// Those who look at a worker from outside see for which session it works, and that it does not
/// work any more.
#[test]
fn the_phase_words_are_cleared_when_a_handler_is_over() -> TestResult {
    let server = small_probe().start()?;
    let mut talk = Talk::new(&server)?;
    let id = talk.number("id")?;
    assert_eq!(talk.ask("phase")?, format!("phase true {id}"));
    assert_eq!(talk.ask("phaselater")?, "phase true 0");
    server.stop()
}

#[test]
fn a_keep_alive_token_holds_a_leaving_worker_until_it_is_dropped() -> TestResult {
    let scratch = Scratch::new("keep")?;
    let server = small_probe().env("PROBE_JOURNAL", scratch.path("journal")).start()?;
    let mut talk = Talk::new(&server)?;
    // The probe drops its tokens in `on_worker_exit`, which is called although they are held.
    assert_eq!(talk.ask("keepalive")?, "held");
    assert_eq!(talk.ask("leave")?, "leaving");
    wait_until("the old worker's end", || {
        scratch.lines("journal").iter().any(|line| line == "w0.1 stop")
    })?;
    server.stop()
}

#[test]
fn timers_fire_once_or_again_and_again_until_cancelled() -> TestResult {
    let server = small_probe().start()?;
    let mut talk = Talk::new(&server)?;
    talk.say("after 20 once")?;
    talk.expect("once");
    talk.say("every 5 3 tick")?;
    for line in ["1 tick", "2 tick", "3 tick", "cancelled true", "cancelled false"] {
        talk.expect(line);
    }
    talk.expect_silence();
    assert_eq!(talk.ask("canceltimers")?, "cancelled 0");
    server.stop()
}

#[test]
fn state_is_read_as_it_was_written_at_once_and_by_every_worker() -> TestResult {
    let server = probe().set("dispatch", "round_robin").start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("get")?, "");
    assert_eq!(talk.ask("rw first")?, "first");
    assert_eq!(talk.ask("state second")?, "ok");
    let id = talk.number("id")?;
    let mut workers = std::collections::HashSet::new();
    for round in 0..8 {
        assert_eq!(talk.ask("get")?, if round == 0 { "second" } else { "again" });
        workers.insert(talk.ask("whoami")?);
        assert_eq!(talk.ask("rw again")?, "again");
        if round % 2 == 1 {
            // A round has an even number of deliveries, and would always meet the same worker.
            assert_eq!(talk.ask("echo odd")?, "odd");
        }
        let mut other = Talk::new(&server)?;
        assert_eq!(other.ask(&format!("getof {id}"))?, "again");
    }
    assert_eq!(workers.len(), 2, "round robin went to both");
    assert_eq!(talk.ask("statebig 192")?, "ok");
    assert_eq!(talk.ask("statebig 193")?, "too_long");
    assert_eq!(talk.ask("statebig 0")?, "ok");
    assert_eq!(talk.ask("get")?, "");
    server.stop()
}

#[test]
fn state_survives_a_death_and_a_reload() -> TestResult {
    let server = small_probe().expect_log("died").expect_log("killed").start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("state precious")?, "ok");
    // Whose package was answered before this one's is not in hand any more.
    assert_eq!(Talk::new(&server)?.ask("echo x")?, "x");
    let old = server.worker(0);
    old.kill();
    server.wait_for("a successor", |s| s.worker(0) != old)?;
    assert_eq!(talk.ask("get")?, "precious");
    let mark = server.log().mark();
    server.signal(ostler_testkit::Signal::USR1);
    server.log().wait_after(mark, "reload finished")?;
    assert_eq!(talk.ask("get")?, "precious");
    server.stop()
}

#[test]
fn sessions_lists_who_is_there_and_info_says_who_it_is() -> TestResult {
    let server = probe().start()?;
    let mut talks = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..5 {
        let mut talk = Talk::new(&server)?;
        ids.push(talk.number("id")?);
        talks.push(talk);
    }
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), 5, "no id twice");
    let words: Vec<String> = sorted.iter().map(u64::to_string).collect();
    assert_eq!(talks[0].ask("sessions")?, words.join(" "));
    let own = talks[0].client.local_address()?;
    assert_eq!(talks[0].ask("info")?, format!("{} {own} false", ids[0]));
    assert_eq!(talks[0].ask(&format!("infoof {}", ids[4]))?, "some");
    drop(talks.pop());
    server.wait_for("one session less", |_| {
        talks[0].ask(&format!("infoof {}", ids[4])).is_ok_and(|answer| answer == "none")
    })?;
    assert_eq!(talks[0].ask("sessions")?.split(' ').count(), 4);
    server.stop()
}

#[test]
fn a_send_to_a_session_that_is_gone_or_never_was_says_so() -> TestResult {
    let server = probe().start()?;
    let mut talk = Talk::new(&server)?;
    let mut other = Talk::new(&server)?;
    let id = other.number("id")?;
    assert_eq!(talk.ask(&format!("send {id} hello"))?, "ok");
    other.expect("hello");
    drop(other);
    server.wait_for("the end of the other", |_| {
        talk.ask(&format!("send {id} hello")).is_ok_and(|answer| answer == "gone")
    })?;
    for never in [0, 1, 63, 64, u64::MAX, id + 64, 1 << 53] {
        assert_eq!(talk.ask(&format!("send {never} hello"))?, "gone", "{never}");
        assert_eq!(talk.ask(&format!("closeof {never}"))?, "gone", "{never}");
        assert_eq!(talk.ask(&format!("resetof {never}"))?, "gone", "{never}");
        assert_eq!(talk.ask(&format!("getof {never}"))?, "", "{never}");
        assert_eq!(talk.ask(&format!("infoof {never}"))?, "none", "{never}");
    }
    server.stop()
}

#[test]
fn a_message_that_is_too_long_is_refused_as_a_whole() -> TestResult {
    let server = probe().set("max_send_bytes", 10_000).start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("big 10001")?, "too_long");
    talk.say("big 10000")?;
    assert!(talk.bytes(10_000)? == pattern(10_000), "the bytes differ");
    talk.say("deferbig 1 10001")?;
    assert_eq!(talk.ask("sleep 5 nothing of it")?, "nothing of it");
    server.stop()
}

#[test]
fn close_comes_after_the_output_and_reset_does_not_wait_for_it() -> TestResult {
    let server = small_probe().set("send_queue_max", "4M").start()?;
    let mut talk = Talk::new(&server)?;
    talk.say("close")?;
    talk.expect("bye");
    talk.expect_eof();
    // More than the kernel's buffers take at once from a client that reads late.
    let client = Client::connect_with_receive_buffer(server.address(), 4096)?;
    let mut talk = Talk::with(client);
    talk.say(&format!("closebig {}", 2_000_000))?;
    let mut other = Talk::new(&server)?;
    assert_eq!(other.ask("echo served meanwhile")?, "served meanwhile");
    let all = talk.rest()?;
    assert!(all == pattern(2_000_000), "{} bytes came", all.len());
    let mut talk = Talk::new(&server)?;
    talk.say("reset")?;
    talk.client.expect_reset()?;
    let mut victim = Talk::new(&server)?;
    let id = victim.number("id")?;
    assert_eq!(other.ask(&format!("closeof {id}"))?, "ok");
    victim.expect_eof();
    let mut victim = Talk::new(&server)?;
    let id = victim.number("id")?;
    assert_eq!(other.ask(&format!("resetof {id}"))?, "ok");
    victim.client.expect_reset()?;
    let books = server.stop_and_report()?.books()?;
    assert_eq!((books.detail("closed_worker"), books.detail("closed_worker_reset")), (3, 2));
    Ok(())
}

#[test]
fn big_replies_arrive_whole_whatever_the_policy() -> TestResult {
    for policy in ["close", "drop", "redeliver:3"] {
        let server = probe()
            .set("crash_policy", policy)
            .set("max_send_bytes", "8M")
            .set("send_queue_high", "16M")
            .set("send_queue_max", "16M")
            .start()?;
        let mut talk = Talk::new(&server)?;
        let wanted = pattern(8 << 20);
        talk.say(&format!("big {}", 8 << 20))?;
        assert!(talk.bytes(8 << 20)? == wanted, "{policy}: one message");
        talk.say(&format!("bigs {} {}", 8 << 20, 1 << 20))?;
        assert!(talk.bytes(8 << 20)? == wanted, "{policy}: in pieces");
        // A ring has 64 KiB: sizes around a record, half a ring and a ring.
        for size in [1, 2047, 2048, 16_319, 16_320, 16_321, 32_767, 32_768, 65_535, 65_536, 65_537]
        {
            talk.say(&format!("big {size}"))?;
            assert!(talk.bytes(size)? == pattern(size), "{policy}: {size} bytes");
        }
        assert_eq!(talk.ask("echo on")?, "on");
        server.stop()?;
    }
    Ok(())
}

/// A line of so many bytes, delimiter included, which begins with a command.
fn long_line(command: &str, len: usize) -> Vec<u8> {
    let mut line = format!("{command} ").into_bytes();
    line.extend((b'a'..=b'z').cycle().take(len - line.len() - 1));
    line.push(b'\n');
    line
}

#[test]
fn big_packages_go_down_in_parts_and_arrive_whole() -> TestResult {
    for policy in ["close", "redeliver:3"] {
        let server = probe().set("crash_policy", policy).start()?;
        let mut talk = Talk::new(&server)?;
        for len in [16_319, 16_320, 16_321, 16_384, 65_536, 100_000, 1_500_000, 2 << 20] {
            let line = long_line("sum", len);
            talk.client.send(&line)?;
            assert_eq!(talk.line()?, format!("sum {len} {}", checksum(&line)), "{policy} {len}");
        }
        // Several at once, from several sessions, with small ones between.
        let line = long_line("sum", 1_500_000);
        let expected = format!("sum {} {}", line.len(), checksum(&line));
        let mut talks = Vec::new();
        for _ in 0..4 {
            let mut talk = Talk::new(&server)?;
            let line = line.clone();
            talks.push(std::thread::spawn(move || -> TestResult<Talk> {
                for _ in 0..2 {
                    talk.client.send(&line)?;
                    talk.say("echo between")?;
                }
                Ok(talk)
            }));
        }
        for round in 0..50 {
            assert_eq!(talk.ask(&format!("echo {round}"))?, round.to_string());
        }
        for sending in talks {
            let mut talk = sending.join().expect("a sender panicked")?;
            for _ in 0..2 {
                talk.expect(&expected);
                talk.expect("between");
            }
        }
        server.stop()?;
    }
    Ok(())
}

#[test]
fn a_reply_that_lies_in_its_request_is_sent_from_there() -> TestResult {
    for policy in ["close", "redeliver:3"] {
        let server = probe().set("lane_size", "512K").set("crash_policy", policy).start()?;
        let mut talk = Talk::new(&server)?;
        for round in 0..40 {
            for len in [2048, 4096, 65_536] {
                let line = long_line(&format!("ref {round}"), len);
                talk.client.send(&line)?;
                assert!(talk.bytes(len)? == line, "{policy}: {len} bytes");
            }
        }
        // Pipelined: the ring wraps with replies that refer to it.
        for round in 0..20 {
            let mut lines = Vec::new();
            for index in 0..8 {
                lines.extend(long_line(&format!("ref {round}-{index}"), 60_000));
            }
            talk.client.send(&lines)?;
            assert!(talk.bytes(lines.len())? == lines, "{policy}: round {round}");
        }
        server.stop()?;
    }
    Ok(())
}

#[test]
fn a_hundred_packages_in_one_write_are_answered_in_order() -> TestResult {
    let server = probe().start()?;
    let mut talk = Talk::new(&server)?;
    let lines: String = (0..100).map(|index| format!("echo {index}\n")).collect();
    for _ in 0..5 {
        talk.client.send(lines.as_bytes())?;
        for index in 0..100 {
            talk.expect(&index.to_string());
        }
    }
    server.stop()
}

#[test]
fn who_half_closes_gets_all_answers_and_then_the_end() -> TestResult {
    for workers in [1, 2] {
        let server = probe().set("workers", workers).start()?;
        for (count, command) in
            [(0, ""), (1, "echo"), (100, "echo"), (3, "sleep 30"), (2, "defer 50")]
        {
            let mut talk = Talk::new(&server)?;
            for index in 0..count {
                talk.say(&format!("{command} {index}"))?;
            }
            talk.client.half_close()?;
            let answers = String::from_utf8_lossy(&talk.rest()?).into_owned();
            let expected: String = (0..count).map(|index| format!("{index}\n")).collect();
            assert_eq!(answers, expected, "{count} times {command}");
        }
        // An unfinished line is no package.
        let mut talk = Talk::new(&server)?;
        talk.client.send(b"echo one\necho tw")?;
        talk.client.half_close()?;
        assert_eq!(talk.rest()?, b"one\n");
        // A big answer to one that has half-closed and reads late.
        let client = Client::connect_with_receive_buffer(server.address(), 4096)?;
        let mut talk = Talk::with(client);
        talk.say("big 900000")?;
        talk.client.half_close()?;
        assert!(talk.rest()? == pattern(900_000), "the bytes differ");
        server.stop()?;
    }
    Ok(())
}

#[test]
fn a_session_connects_receives_and_closes_in_this_order() -> TestResult {
    let scratch = Scratch::new("order")?;
    let server = probe().env("PROBE_JOURNAL", scratch.path("journal")).start()?;
    let mut ids = Vec::new();
    for round in 0..30 {
        let mut talk = Talk::new(&server)?;
        ids.push(talk.number("id")?);
        assert_eq!(talk.ask("state mine")?, "ok");
        match round % 3 {
            0 => drop(talk),
            1 => talk.client.abort()?,
            _ => {
                talk.say("close")?;
                talk.expect("bye");
                talk.expect_eof();
            }
        }
    }
    let ended = |id: u64| {
        let lines = scratch.lines("journal");
        lines.iter().any(|line| line.contains(&format!("close {id} ")))
    };
    wait_until("all close events", || ids.iter().all(|id| ended(*id)))?;
    let journal = scratch.lines("journal");
    for (round, id) in ids.into_iter().enumerate() {
        let why = ["peer", "peer_error", "worker"][round % 3];
        let events: Vec<&str> = journal
            .iter()
            .filter_map(|line| line.split_once(' ').map(|(_, event)| event))
            .filter(|event| event.split(' ').nth(1) == Some(&id.to_string()))
            .collect();
        assert_eq!(events.first(), Some(&&*format!("connect {id}")), "{events:?}");
        // In `on_close` info and state still answer, sends say why they do not.
        assert_eq!(
            events.last(),
            Some(&&*format!("close {id} info gone {why} mine")),
            "{events:?}"
        );
        assert!((4..=5).contains(&events.len()), "{events:?}");
    }
    server.stop()
}

#[test]
fn a_greeting_sent_in_on_connect_comes_before_every_answer() -> TestResult {
    let server = probe().env("PROBE_GREET", "1").start()?;
    for _ in 0..20 {
        let mut talk = Talk::new(&server)?;
        talk.say("echo answer")?;
        talk.expect("hello");
        talk.expect("answer");
    }
    server.stop()
}

#[test]
fn finished_counts_deliveries_and_the_package_says_whether_it_was_delivered_before() -> TestResult {
    let server = small_probe().start()?;
    let mut talk = Talk::new(&server)?;
    // The connect event was one.
    assert_eq!(talk.number("finished")?, 1);
    assert_eq!(talk.number("finished")?, 2);
    assert_eq!(talk.ask("redelivered")?, "false");
    server.stop()
}

#[test]
fn a_panic_ends_the_worker_and_closes_its_session_only() -> TestResult {
    let server = probe().expect_log("told to panic").expect_log("died").start()?;
    let mut other = Talk::new(&server)?;
    assert_eq!(other.ask("state kept")?, "ok");
    let mut talk = Talk::new(&server)?;
    talk.say("panic here")?;
    talk.expect_closed();
    server.wait_for_log("told to panic: here")?;
    for _ in 0..10 {
        assert_eq!(other.ask("get")?, "kept");
    }
    // A timer's panic belongs to no delivery: nobody's session ends.
    assert_eq!(other.ask("echo before")?, "before");
    let old: Vec<_> = server.workers();
    other.say("panictimer 1")?;
    server.wait_for_log("told to panic in a timer")?;
    server.wait_for("a successor", |s| s.workers().len() == 2 && s.workers() != old)?;
    assert_eq!(other.ask("get")?, "kept");
    server.stop()
}

#[test]
fn an_exit_in_a_callback_is_a_death_like_any_other() -> TestResult {
    for code in [0, 1, 42] {
        let server = small_probe().expect_log("died").expect_log("w0.1").start()?;
        let mut talk = Talk::new(&server)?;
        talk.say(&format!("exit {code}"))?;
        talk.expect_closed();
        let mut talk = Talk::new(&server)?;
        assert_eq!(talk.ask("echo on")?, "on");
        server.stop()?;
    }
    Ok(())
}

#[test]
fn redelivery_is_said_and_shows_its_output_once() -> TestResult {
    let scratch = Scratch::new("redeliver")?;
    let server = small_probe()
        .set("crash_policy", "redeliver:5")
        .expect_log("died")
        .expect_log("killed")
        .start()?;
    let mut talk = Talk::new(&server)?;
    let file = scratch.path("go");
    talk.say(&format!("senduntil {} 100", file.display()))?;
    let mut probe = Talk::new(&server)?;
    probe.expect_silence();
    let old = server.worker(0);
    old.kill();
    server.wait_for("a successor", |s| s.worker(0) != old)?;
    scratch.make("go")?;
    assert!(talk.bytes(100)? == pattern(100), "what was held back came once");
    talk.expect("end");
    talk.expect_silence();
    drop(probe);
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("redelivered"), 1, "{books}");
    Ok(())
}
