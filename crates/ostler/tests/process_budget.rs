//! The memory budget is one for all: who pays when it is exhausted, and that it ends.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod talk;

use std::collections::BTreeSet;

use ostler_testkit::{Client, Ended, TestResult, TestServer, wait_until};
use talk::{Scratch, Talk, checksum, probe, small_probe};

/// What the master says when memory is lacking, and when it is there again.
const LACKS: &str = "the memory budget is used up";
const AGAIN: &str = "the memory budget has room again";

/// A line of this length, which begins with this command.
fn long_line(command: &str, len: usize) -> Vec<u8> {
    let mut line = format!("{command} ").into_bytes();
    line.resize(len - 1, b'x');
    line.push(b'\n');
    line
}

/// A client whose line of this length a handler holds until it is told to answer all of them.
fn hold(server: &TestServer, len: usize) -> TestResult<Talk> {
    let mut talk = Talk::new(server)?;
    talk.client.send(&long_line("hold", len))?;
    Ok(talk)
}

fn reactor_of(talk: &mut Talk) -> TestResult<u64> {
    talk.number("reactor")
}

#[test]
fn packages_held_beyond_the_budget_cost_the_largest_their_session() -> TestResult {
    let scratch = Scratch::new("budget-held")?;
    let server = small_probe()
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .set("memory_budget", "4M")
        .set("crash_policy", "redeliver:1")
        .expect_log(LACKS)
        .start()?;
    let biggest = hold(&server, 200_000)?;
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(hold(&server, 60_000)?);
    }
    let mut honest = Talk::new(&server)?;
    assert_eq!(honest.ask("echo still served")?, "still served");
    server.wait_for_log(LACKS)?;
    server.wait_for_log(AGAIN)?;
    biggest.expect_closed();
    // What waited in the kernel meanwhile is read now: who is held after the release is not
    // answered.
    wait_until("every package to be held, or its session closed", || {
        let seen = |line: &String| {
            let mut words = line.split(' ').skip(1);
            matches!(words.next(), Some("receive" | "close"))
                .then(|| words.next().map(str::to_owned))
        };
        let sessions: BTreeSet<_> = scratch.lines("journal").iter().filter_map(seen).collect();
        sessions.len() == 102
    })?;
    assert_eq!(honest.ask("release now")?, "ok");
    let mut answered = 0;
    for mut talk in held {
        answered += u32::from(talk.line().is_ok_and(|line| line == "released now"));
    }
    drop(honest);
    let books = server.stop_and_report()?.books()?;
    let closed = books.detail("closed_memory_budget");
    // 6 MB do not fit into 4 MiB; a few more than those beyond it are closed, so that there is room
    // for a while.
    assert!((31..=60).contains(&closed), "{books}");
    assert!(answered >= 101 - closed as u32, "{answered} answered, {books}");
    Ok(())
}

/// What workers leave of their packages was accepted already: it is put back beyond the budget, and
/// then the largest session pays, although nobody waits to receive.
#[test]
fn rests_put_back_beyond_the_budget_cost_the_largest_their_session() -> TestResult {
    const HALVES: usize = 400;
    const LEN: usize = 15_000;
    let scratch = Scratch::new("budget-rests")?;
    let server = small_probe()
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .set("framing", "stream")
        .set("memory_budget", "4M")
        .expect_log(LACKS)
        .start()?;
    let half = |len| long_line("sum", len + 1)[..len].to_vec();
    let mut biggest = Talk::new(&server)?;
    biggest.client.send(&half(200_000))?;
    wait_until("the biggest to be given whole", || {
        scratch.lines("journal").iter().any(|line| line.ends_with(" 200000"))
    })?;
    let mut talks = Vec::new();
    for _ in 0..HALVES {
        let mut talk = Talk::new(&server)?;
        // It may be closed before it has sent all.
        let _closed = talk.client.send(&half(LEN));
        talks.push(talk);
    }
    server.wait_for_log(LACKS)?;
    server.wait_for_log(AGAIN)?;
    biggest.expect_closed();
    let mut honest = Talk::new(&server)?;
    assert_eq!(honest.ask("echo still served")?, "still served");
    let whole = format!("sum {} {}", LEN + 1, checksum(&[&half(LEN)[..], b"\n"].concat()));
    let mut answered = 0;
    for talk in &mut talks {
        // To one that is closed meanwhile nothing can be sent, or nothing is answered.
        if let Ok(answer) = talk.ask("") {
            assert_eq!(answer, whole, "nothing is missing of who may stay");
            answered += 1;
        }
    }
    drop((talks, honest));
    let books = server.stop_and_report()?.books()?;
    let closed = books.detail("closed_memory_budget");
    // 6.2 MB do not fit into 4 MiB. How many pay depends on how many of the others were put back
    // when the first ones are completed.
    assert!((1..=200).contains(&closed), "{books}");
    assert_eq!(answered + closed, HALVES as u64 + 1, "{books}");
    Ok(())
}

/// Streams are received straight into the lane and need no memory for it: nobody's input waits, and
/// output that was accepted beyond the budget has a victim all the same.
#[test]
fn output_beyond_the_budget_has_a_victim_although_no_input_waits() -> TestResult {
    let server = small_probe()
        .set("framing", "stream")
        .set("memory_budget", "8M")
        .set("max_send_bytes", "8M")
        .expect_log(LACKS)
        .start()?;
    let mut slow = Vec::new();
    for _ in 0..12 {
        let client = Client::connect_with_receive_buffer(server.address(), 2048)?;
        let mut talk = Talk::with(client);
        talk.say("big 8000000")?;
        slow.push(talk);
    }
    server.wait_for_log(LACKS)?;
    server.wait_for_log(AGAIN)?;
    assert_eq!(Talk::new(&server)?.ask("echo still served")?, "still served");
    drop(slow);
    let books = server.stop_and_report()?.books()?;
    assert!(books.detail("closed_memory_budget") > 0, "{books}");
    Ok(())
}

#[test]
fn packages_of_sessions_that_are_gone_cost_nothing() -> TestResult {
    let server =
        small_probe().set("memory_budget", "4M").set("crash_policy", "redeliver:1").start()?;
    let mut talk = Talk::new(&server)?;
    for _ in 0..4 {
        let mut gone = Vec::new();
        for _ in 0..50 {
            let mut holder = Talk::new(&server)?;
            let id = holder.number("id")?;
            // It is answered all the same: then it is held.
            holder.client.send(&long_line("holdsend", 60_000))?;
            holder.line()?;
            talk.say(&format!("resetof {id}"))?;
            gone.push(holder);
        }
        for _ in &gone {
            talk.expect("ok");
        }
    }
    let mut last = Talk::new(&server)?;
    last.client.send(&long_line("holdsend", 1_500_000))?;
    last.line()?;
    assert_eq!(talk.ask("release now")?, "ok");
    last.expect("released now");
    drop((talk, last));
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("closed_memory_budget"), 0, "{books}");
    Ok(())
}

/// What is kept of a client that is gone is not served when its own worker resets the session: more
/// than the budget in all.
#[test]
fn input_kept_for_nobody_gives_its_memory_back() -> TestResult {
    let scratch = Scratch::new("budget-kept")?;
    let server = small_probe()
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .set("memory_budget", "4M")
        .start()?;
    server.wait_for_rest()?;
    let before = server.master().fd_count()?;
    let has = |what: &str, count: usize| {
        scratch.lines("journal").iter().filter(|line| line.contains(what)).count() >= count
    };
    for round in 0..80 {
        let mut client = server.connect()?;
        let go = scratch.path(&format!("go{round}"));
        client.send(format!("until {} on\nreset\n", go.display()).as_bytes())?;
        wait_until("the worker to be busy", || {
            has(" connect ", round + 1) && has(" receive ", 2 * round + 1)
        })?;
        client.send(&[b'x'; 60_000])?;
        client.abort()?;
        server.wait_for("the descriptor of who is gone to be closed", |server| {
            server.master().fd_count().is_ok_and(|count| count <= before)
        })?;
        scratch.make(&format!("go{round}"))?;
        wait_until("its end", || has(" close ", round + 1))?;
    }
    let mut talk = Talk::new(&server)?;
    talk.client.send(&long_line("sum", 1_500_000))?;
    assert!(talk.line()?.starts_with("sum 1500000 "));
    drop(talk);
    let books = server.stop_and_report()?.books()?;
    assert!(books.detail("input_dropped_bytes") > 4 << 20, "{books}");
    assert_eq!(books.detail("memory_shortages"), 0, "{books}");
    Ok(())
}

#[test]
fn slow_readers_of_one_reactor_cost_no_client_of_another() -> TestResult {
    let server =
        probe().set("memory_budget", "8M").set("max_send_bytes", "8M").expect_log(LACKS).start()?;
    let (mut slow, mut honest) = (Vec::new(), Vec::new());
    while slow.len() < 20 || honest.len() < 20 {
        let client = Client::connect_with_receive_buffer(server.address(), 2048)?;
        let mut talk = Talk::with(client);
        match reactor_of(&mut talk)? {
            0 => slow.push(talk),
            _ => honest.push(talk),
        }
    }
    for talk in &mut slow {
        // Some are closed meanwhile: they hold the most.
        let _closed = talk.say("big 8000000");
    }
    let all = slow.len() + honest.len();
    server.wait_for("slow readers to fill the budget", |_| {
        honest[0].ask("sessions").is_ok_and(|ids| ids.split(' ').count() < all)
    })?;
    // Longer than any rest of the budget that a slow reader could not use.
    let line = format!("sum {}", "y".repeat(40_000));
    for talk in &mut honest {
        assert!(talk.ask(&line)?.starts_with("sum 40005 "));
    }
    for talk in &mut honest {
        assert_eq!(talk.ask("echo still there")?, "still there");
    }
    drop((slow, honest));
    let ended = server.stop_and_report()?;
    let closed = ended.books()?.detail("closed_memory_budget");
    assert!(closed > 0);
    assert_eq!(told_as_closed(&ended), closed);
    Ok(())
}

/// Sessions that the log says were closed for the budget.
fn told_as_closed(ended: &Ended) -> u64 {
    let lines = ended.log().parsed().into_iter().filter(|line| line.message.contains(AGAIN));
    lines.filter_map(|line| line.number("closed")).sum()
}

/// Lines about shortages are rare, but what they tell is complete: also what happened after the
/// last one that was written at once.
#[test]
fn every_session_that_the_budget_cost_is_told_in_the_log() -> TestResult {
    let server = small_probe()
        .set("memory_budget", "8M")
        .set("max_send_bytes", "8M")
        .expect_log(LACKS)
        .start()?;
    let mut honest = Talk::new(&server)?;
    for _ in 0..4 {
        let mut slow = Vec::new();
        for _ in 0..6 {
            let client = Client::connect_with_receive_buffer(server.address(), 2048)?;
            let mut talk = Talk::with(client);
            talk.say("big 8000000")?;
            slow.push(talk);
        }
        server.wait_for("some of them to be closed", |_| {
            honest.ask("sessions").is_ok_and(|ids| ids.split(' ').count() < 7)
        })?;
        drop(slow);
        server.wait_for("the others to have left", |_| {
            honest.ask("sessions").is_ok_and(|ids| ids.split(' ').count() == 1)
        })?;
    }
    drop(honest);
    let ended = server.stop_and_report()?;
    let books = ended.books()?;
    assert!(books.detail("memory_shortages") > 2, "{books}");
    assert_eq!(told_as_closed(&ended), books.detail("closed_memory_budget"), "{books}");
    Ok(())
}

/// A copy of each reply would fill the ring, and a send would not wait for room.
#[test]
fn a_reply_that_is_its_request_takes_no_room_in_the_lane() -> TestResult {
    let server = small_probe()
        .set("send_timeout_ms", 0)
        .set("send_queue_high", "4M")
        .set("send_queue_max", "4M")
        .start()?;
    let mut talk = Talk::new(&server)?;
    let line = long_line("refs 100", 16_000);
    talk.client.send(&line)?;
    for _ in 0..100 {
        assert!(talk.bytes(line.len())? == line, "the bytes differ");
    }
    talk.expect("sent 100");
    drop(talk);
    server.stop()
}

#[test]
fn while_memory_is_tight_a_session_with_unsent_output_is_full_and_no_other() -> TestResult {
    let server = small_probe()
        .set("memory_budget", "64M")
        .set("package_max_length", "32M")
        .set("send_queue_high", "16M")
        .set("send_queue_max", "16M")
        .start()?;
    let mut talker = Talk::new(&server)?;
    let mut deaf = Talk::with(Client::connect_with_receive_buffer(server.address(), 2048)?);
    let id = deaf.number("id")?;
    // More than the kernel takes, less than makes it full.
    let flood = format!("flood {id} 70 100000");
    assert_eq!(talker.ask(&flood)?, "ok 70 full 0 gone 0 other 0");
    let once = format!("flood {id} 1 100");
    assert_eq!(talker.ask(&once)?, "ok 1 full 0 gone 0 other 0");
    let mut halves = Vec::new();
    for _ in 0..2 {
        let mut half = server.connect()?;
        half.send(&vec![b'x'; 28 << 20])?;
        halves.push(half);
    }
    server.wait_for("a send to be refused for the memory", |_| {
        talker.ask(&once).is_ok_and(|answer| answer == "ok 0 full 1 gone 0 other 0")
    })?;
    assert_eq!(talker.ask("echo not full")?, "not full");
    for half in halves {
        half.abort()?;
    }
    server.wait_for("a send to be taken again", |_| {
        talker.ask(&once).is_ok_and(|answer| answer == "ok 1 full 0 gone 0 other 0")
    })?;
    drop((talker, deaf));
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("closed_memory_budget"), 0, "{books}");
    Ok(())
}
