//! States that the session table has no room for: whoever dies, reloads or leaves, the next one has
//! the state that belongs to the last reply.
#![allow(clippy::panic, clippy::indexing_slicing)] // a test that cannot go on

mod support;
mod talk;

use ostler_testkit::{DEADLINE, ServerBuilder, Signal, TestResult, TestServer, wait_until};
use support::{check, start, wait_lines, wait_serving};
use talk::{Scratch, Talk, probe, small_probe};

const MEBIBYTE: usize = 1 << 20;
const DIED: &str = "worker died";
const BACK_OFF: &str = "before it served";

/// States of a mebibyte, and packages for whoever idles.
fn large(builder: ServerBuilder) -> ServerBuilder {
    builder
        .set("session_state_max_bytes", MEBIBYTE)
        .set("dispatch", "idle_first")
        .expect_log(DIED)
        .expect_log(BACK_OFF)
}

#[test]
fn a_state_of_a_mebibyte_is_read_by_the_next_worker_and_by_all_others() -> TestResult {
    let server = start(large(probe()), 2)?;
    let (mut talk, mut other) = (Talk::new(&server)?, Talk::new(&server)?);
    let id = talk.number("id")?;
    for (number, len) in [(1, MEBIBYTE), (2, 9_000), (3, 100), (4, 8_192), (5, 193), (6, 300_000)] {
        assert_eq!(talk.ask(&format!("bump {len} before"))?, number.to_string());
        for talk in [&mut talk, &mut other] {
            assert_eq!(talk.ask(&format!("peek {id}"))?, format!("{number} {len}"));
        }
    }
    for killed in 0..2 {
        server.worker(killed).kill();
        wait_serving(&server, 3 + usize::from(killed))?;
        for talk in [&mut talk, &mut other] {
            assert_eq!(talk.ask(&format!("peek {id}"))?, "6 300000", "after {killed}");
        }
    }
    server.signal(Signal::USR1);
    server.wait_for_log("reload finished")?;
    assert_eq!(talk.ask("own")?, "6 300000");
    assert_eq!(talk.ask(&format!("statebig {}", MEBIBYTE + 1))?, "too_long");
    assert_eq!(talk.ask("own")?, "6 300000", "a state that was refused changes nothing");
    wait_figures(&server, &mut other, "1 303104 0")?;
    drop(talk);
    server.wait_for("the end of the session", |_| {
        other.ask(&format!("peek {id}")).is_ok_and(|answer| answer == "0 0")
    })?;
    wait_figures(&server, &mut other, "0 0 0")?;
    drop(other);
    server.stop()
}

/// What the statistics of the server say of long states: how many, their memory, and how many found
/// no room.
fn wait_figures(server: &TestServer, talk: &mut Talk, expected: &str) -> TestResult {
    server.wait_for("the figures", |_| talk.ask("longstates").is_ok_and(|told| told == expected))
}

/// Bumps until a worker has died at this step, and on for a while: with `redeliver` the replies
/// count without a gap and without repetition, so that each redelivery has seen the state before.
fn dies_at(step: &str, nth: u64, order: &str) -> TestResult {
    let builder = large(small_probe()).set("crash_policy", "redeliver:3");
    let server = builder.fault(step, nth).start()?;
    let mut talk = Talk::new(&server)?;
    let mut number = 0;
    let mut behind = 0;
    while behind < 3 {
        number += 1;
        let len = [MEBIBYTE, 100_000, 5_000, 20][number % 4];
        let answer = talk.ask(&format!("bump {len} {order}"))?;
        check(answer == number.to_string(), format!("{answer}, not {number}"))?;
        check(talk.ask("own")? == format!("{number} {len}"), format!("state {number}"))?;
        behind += usize::from(!server.log_lines_with(DIED).is_empty());
        check(number < 2_000, "the hook did not fire")?;
    }
    drop(talk);
    let books = server.stop_and_report()?.books()?;
    check(books.closed_by == 0, format!("{books}"))
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "the hook is in builds with debug assertions only")]
fn a_redelivery_sees_the_state_of_the_last_reply_whatever_step_its_worker_died_at() -> TestResult {
    let steps = [
        "TAKEN",
        "HEADER_READ",
        "APPENDED",
        "FILE_PASSED",
        "FIN_APPENDED",
        "OUT_WRITTEN",
        "COMMITTED",
        "RUNG",
        "FREED",
    ];
    for step in steps {
        for (nth, order) in [(1, "before"), (4, "behind"), (7, "before"), (8, "behind")] {
            dies_at(step, nth, order)
                .map_err(|error| error.context(format!("{step}:{nth} {order}")))?;
        }
    }
    Ok(())
}

/// Whether something has come that was not read yet.
fn has_answer(talk: &Talk) -> bool {
    let stream = talk.client.stream();
    let was_set = stream.set_nonblocking(true).is_ok();
    let has_come = stream.peek(&mut [0]).is_ok_and(|count| count > 0);
    was_set && stream.set_nonblocking(false).is_ok() && has_come
}

/// With `drop` a package is forgotten with its worker: its state and the reply behind it are both
/// there, or neither.
fn is_dropped_at(step: &str, nth: u64) -> TestResult {
    let server = large(small_probe()).set("crash_policy", "drop").fault(step, nth).start()?;
    let has_died = || !server.log_lines_with(DIED).is_empty();
    let mut talk = Talk::new(&server)?;
    let mut replies = 0_u64;
    while !has_died() {
        talk.say(&format!("bump {MEBIBYTE} before"))?;
        wait_until("a reply or a death", || has_answer(&talk) || has_died())?;
        if !has_answer(&talk) {
            break; // it may still come
        }
        replies += 1;
        talk.expect(&replies.to_string());
        check(replies < 1_000, "the hook did not fire")?;
    }
    let mut state = talk.ask("own")?;
    if !state.contains(' ') {
        replies += 1;
        check(state == replies.to_string(), format!("{state}, not {replies}"))?;
        state = talk.line()?;
    }
    let expected = if replies == 0 { "0 0".to_owned() } else { format!("{replies} {MEBIBYTE}") };
    check(state == expected, format!("{state} behind reply {replies}"))?;
    drop(talk);
    server.stop()
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "the hook is in builds with debug assertions only")]
fn a_state_and_the_reply_behind_it_are_one_without_redelivery_too() -> TestResult {
    for step in ["APPENDED", "FILE_PASSED", "OUT_WRITTEN", "COMMITTED", "RUNG"] {
        for nth in 1..=6 {
            is_dropped_at(step, nth).map_err(|error| error.context(format!("{step}:{nth}")))?;
        }
    }
    Ok(())
}

/// A worker that is killed while it holds a state back that is set has set none; one that is killed
/// later has.
#[test]
fn what_a_killed_handler_has_set_is_as_if_it_had_never_been() -> TestResult {
    let scratch = Scratch::new("states")?;
    let builder = large(small_probe()).set("crash_policy", "redeliver:1");
    let server = start(builder.env("PROBE_JOURNAL", scratch.path("journal")), 1)?;
    let (mut talk, mut other) = (Talk::new(&server)?, Talk::new(&server)?);
    let id = talk.number("id")?;
    for (number, order) in [(1, "before"), (2, "behind")] {
        // The callback has set the state and replied when it makes a file, and waits for another.
        let [made, file] = ["made", "go-on"].map(|name| scratch.path(&format!("{name}{number}")));
        talk.say(&format!("bump {MEBIBYTE} {order} {} {}", file.display(), made.display()))?;
        wait_until("the handler", || made.exists())?;
        let worker = server.worker(0);
        worker.kill();
        worker.wait_gone(DEADLINE)?;
        wait_lines(&server, DIED, number)?;
        std::fs::write(&file, "")?;
        talk.expect(&number.to_string());
        let described = format!("{number} {MEBIBYTE}");
        assert_eq!(other.ask(&format!("peek {id}"))?, described);
    }
    drop((talk, other));
    server.stop()
}

#[test]
fn every_reply_proves_its_state_while_workers_are_reloaded_and_killed() -> TestResult {
    let builder = large(probe()).set("crash_policy", "redeliver:20");
    // Who is killed may be about to leave.
    let server = start(builder.expect_log("a leaving worker ended"), 2)?;
    let mut talks = (0..6).map(|_| Talk::new(&server)).collect::<TestResult<Vec<_>>>()?;
    let mut round = 0;
    for reload in 1..=4 {
        server.signal(Signal::USR1);
        let is_over = || server.log_lines_with("reload finished").len() >= reload;
        let mut killed = false;
        while !is_over() || !killed {
            round += 1;
            for (index, talk) in talks.iter_mut().enumerate() {
                let len = [300_000, 20_000, 1_000, 60, 600_000, 9_000][(index + round) % 6];
                talk.say(&format!("bump {len} before"))?;
            }
            if round % 7 == 3 {
                // One may just be gone.
                let workers = server.workers();
                if let Some(worker) = workers.get(round % 2 % workers.len().max(1)) {
                    killed = true;
                    worker.kill();
                }
            }
            talks.iter_mut().for_each(|talk| talk.expect(&round.to_string()));
        }
    }
    drop(talks);
    let books = server.stop_and_report()?.books()?;
    check(books.closed_by == 0, format!("{books}"))
}

/// The memory for states is full: who sets one more is told, and what ended sessions had is there
/// for others.
#[test]
fn states_that_find_no_room_are_refused_and_the_end_of_sessions_makes_some() -> TestResult {
    const STATE: usize = 100_000;
    let server =
        small_probe().set("memory_budget", "8M").set("session_state_max_bytes", "128K").start()?;
    // A quarter of the budget, in pages.
    let most = (2 << 20) / 102_400;
    let mut watcher = Talk::new(&server)?;
    for generation in 1..=3 {
        let mut talks = Vec::new();
        loop {
            let mut talk = Talk::new(&server)?;
            let answer = talk.ask(&format!("bump {STATE} before"))?;
            if answer == "full" {
                break;
            }
            assert_eq!(answer, "1");
            talks.push(talk);
            assert!(talks.len() <= most, "{} states", talks.len());
        }
        assert_eq!(talks.len(), most, "generation {generation}");
        // A short one has its place, and so has a long one that is shorter than what is left.
        assert_eq!(watcher.ask("bump 192 before")?, (2 * generation - 1).to_string());
        assert_eq!(watcher.ask("bump 8000 before")?, (2 * generation).to_string());
        assert_eq!(watcher.ask(&format!("bump {STATE} before"))?, "full");
        // Who was there first keeps what it has.
        for talk in &mut talks {
            assert_eq!(talk.ask("own")?, format!("1 {STATE}"));
        }
        drop(talks);
        let id = watcher.number("id")?;
        wait_until("room for states", || {
            let put = format!("put {id} {} {STATE}", 2 * generation);
            watcher.ask(&put).is_ok_and(|answer| answer == "ok")
        })?;
        assert_eq!(watcher.ask(&format!("put {id} {} 8", 2 * generation))?, "ok");
        let sessions = |talk: &mut Talk| talk.ask("sessions").is_ok_and(|ids| !ids.contains(' '));
        wait_until("the end of all others", || sessions(&mut watcher))?;
    }
    drop(watcher);
    let books = server.stop_and_report()?.books()?;
    check(books.closed_by == 0, format!("{books}"))
}

#[test]
fn a_state_in_the_ring_that_is_longer_than_any_is_condemned() -> TestResult {
    let server = small_probe()
        .set("session_state_size", 0)
        .set("session_state_max_bytes", 15)
        .expect_log("worker wrote nonsense")
        .expect_log("worker died")
        .expect_log("before it served")
        .start()?;
    let mut villain = Talk::new(&server)?;
    villain.say("hostile state_ring 1 1")?;
    villain.expect_closed();
    let line = server.wait_for_log("worker wrote nonsense, condemned")?;
    assert!(line.contains("a state longer than session_state_max_bytes"), "{line}");
    server.stop()
}

/// One worker does not promise the same room twice: more states than there are pages for.
#[test]
fn states_of_one_callback_are_refused_before_they_find_no_room() -> TestResult {
    // The area has 64 pages; all of the states are published at once.
    let server = small_probe()
        .set("memory_budget", "1M")
        .set("package_max_length", "64K")
        .set("max_send_bytes", "64K")
        .set("lane_size", "16M")
        .start()?;
    for len in [4_000, 20_000] {
        let most = 64 / (len / 4_096 + 1);
        let mut talks = (0..70).map(|_| Talk::new(&server)).collect::<TestResult<Vec<_>>>()?;
        let ids: Vec<u64> =
            talks.iter_mut().map(|talk| talk.number("id")).collect::<TestResult<_>>()?;
        let mut setter = Talk::new(&server)?;
        // A command has 512 bytes at most.
        let from = ids.iter().min().copied().unwrap_or(0);
        assert_eq!(setter.ask(&format!("putfrom {len} {from} 70"))?, format!("ok {most}"));
        let kept = talks.iter_mut().map(|talk| talk.ask("own")).collect::<TestResult<Vec<_>>>()?;
        assert_eq!(kept.iter().filter(|kept| kept.ends_with(&format!(" {len}"))).count(), most);
        drop(talks);
        wait_until("the end of all others", || {
            setter.ask("sessions").is_ok_and(|ids| !ids.contains(' '))
        })?;
    }
    let books = server.stop_and_report()?.books()?;
    check(books.closed_by == 0, format!("{books}"))
}

/// Two workers have seen the same room. What is published first is kept; the other reply may be
/// with its client already, so that its session ends, with a reason.
#[test]
fn who_takes_the_last_room_a_moment_later_is_closed() -> TestResult {
    let scratch = Scratch::new("room")?;
    let builder = probe()
        .set("reactors", 1)
        .set("dispatch", "idle_first")
        .set("crash_policy", "redeliver:1")
        .set("memory_budget", "1M")
        .set("package_max_length", "64K")
        .set("max_send_bytes", "64K")
        .set("session_state_max_bytes", "128K")
        .expect_log("a state cannot be kept: its session is closed");
    let server = start(builder, 2)?;
    let mut full = Talk::new(&server)?;
    assert_eq!(full.ask("bump 80000 before")?, "1");
    // There is room for one more of these.
    let mut talks = [Talk::new(&server)?, Talk::new(&server)?];
    let file = scratch.path("go-on");
    for (index, talk) in talks.iter_mut().enumerate() {
        let made = scratch.path(&format!("made{index}"));
        talk.say(&format!("bump 100000 behind {} {}", file.display(), made.display()))?;
        wait_until("the handler", || made.exists())?;
    }
    std::fs::write(&file, "")?;
    let answers = talks.map(|mut talk| {
        talk.line().and_then(|line| Ok((line, talk.ask("own")?))).is_ok_and(|(line, own)| {
            assert_eq!((line.as_str(), own.as_str()), ("1", "1 100000"));
            true
        })
    });
    assert_eq!(answers.iter().filter(|kept| **kept).count(), 1);
    assert_eq!(full.ask("own")?, "1 80000");
    wait_figures(&server, &mut full, "1 81920 1")?;
    drop(full);
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("closed_memory_budget"), 1, "{books}");
    Ok(())
}

/// While memory is tight no more of it is taken for states; they have what they had before.
#[test]
fn states_wait_until_memory_is_not_tight() -> TestResult {
    let server = small_probe()
        .set("memory_budget", "8M")
        .set("send_queue_high", "8M")
        .set("send_queue_max", "8M")
        .set("session_state_max_bytes", "128K")
        .start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("bump 100000 before")?, "1");
    let mut deaf = Talk::new(&server)?;
    let id = deaf.number("id")?;
    let mut asked = 0;
    while talk.ask(&format!("flood {id} 1 100000"))?.starts_with("ok 1 ") {
        asked += 1;
        assert!(asked < 200, "never tight");
    }
    // Another one, for what was given back may be taken again.
    let mut other = Talk::new(&server)?;
    assert_eq!(other.ask("bump 100000 before")?, "full");
    assert_eq!(other.ask("bump 100 before")?, "1");
    assert_eq!(talk.ask("own")?, "1 100000");
    drop(deaf);
    wait_until("room again", || {
        other.ask("own").is_ok_and(|own| own == "1 100")
            && other.ask("bump 100000 before").is_ok_and(|answer| answer == "2")
    })?;
    drop((talk, other));
    server.stop()
}

/// More than may be on the way at once.
#[test]
fn many_states_in_one_callback_wait_for_room_and_all_come() -> TestResult {
    let server = large(small_probe().set("memory_budget", "128M"))
        .set("crash_policy", "redeliver:1")
        .start()?;
    let mut talks = (0..24).map(|_| Talk::new(&server)).collect::<TestResult<Vec<_>>>()?;
    let ids: Vec<u64> =
        talks.iter_mut().map(|talk| talk.number("id")).collect::<TestResult<_>>()?;
    let words: Vec<String> = ids.iter().map(u64::to_string).collect();
    let mut setter = Talk::new(&server)?;
    assert_eq!(setter.ask(&format!("putall {MEBIBYTE} {}", words.join(" ")))?, "ok 24");
    for (index, talk) in talks.iter_mut().enumerate() {
        assert_eq!(talk.ask("own")?, format!("{index} {MEBIBYTE}"));
    }
    drop((talks, setter));
    server.stop()
}

#[test]
fn in_base_mode_long_states_are_read_and_set_by_other_workers() -> TestResult {
    let server = TestServer::example("probe")
        .set("workers", 2)
        .set("mode", "base")
        .set("session_state_max_bytes", "200K")
        .start()?;
    wait_serving(&server, 2)?;
    let mut talks: Vec<(String, Talk)> = Vec::new();
    while talks.len() < 2 {
        let mut talk = Talk::new(&server)?;
        let who = talk.ask("whoami")?;
        if talks.iter().all(|(other, _)| *other != who) {
            talks.push((who, talk));
        }
    }
    let [(_, one), (_, other)] = &mut talks[..] else { panic!("two of them") };
    let id = one.number("id")?;
    assert_eq!(one.ask("bump 200000 before")?, "1");
    assert_eq!(other.ask(&format!("peek {id}"))?, "1 200000");
    assert_eq!(other.ask(&format!("put {id} 7 150000"))?, "ok");
    wait_until("the state from the other worker", || {
        one.ask("own").is_ok_and(|answer| answer == "7 150000")
    })?;
    assert_eq!(one.ask("bump 20 before")?, "8");
    assert_eq!(other.ask(&format!("put {id} 7 {}", 200 * 1024 + 1))?, "too_long");
    drop(talks);
    server.stop()
}
