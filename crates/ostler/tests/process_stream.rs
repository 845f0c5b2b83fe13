//! Framing `stream`: what a worker does not use of a package is kept and given again, to whichever
//! worker comes next.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::unwrap_used)] // a test that cannot go on

mod talk;

use std::path::Path;

use ostler_testkit::{
    Client, Random, ServerBuilder, Signal, TestError, TestResult, TestServer, wait_until,
};
use talk::{Scratch, Talk, checksum, expect_idle, pattern, probe, small_probe};

fn stream() -> ServerBuilder {
    probe().set("framing", "stream")
}

/// One worker, and a journal of what it was given.
fn small_stream(scratch: &Scratch) -> ServerBuilder {
    small_probe().set("framing", "stream").env("PROBE_JOURNAL", scratch.path("journal"))
}

/// How many bytes the packages had that workers were given.
fn given(scratch: &Scratch) -> Vec<usize> {
    let lines = scratch.lines("journal");
    let lengths = lines.iter().filter(|line| line.contains(" receive "));
    lengths.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect()
}

fn wait_given(scratch: &Scratch, expected: &[usize]) -> TestResult {
    wait_until("packages", || given(scratch) == expected).map_err(|_| {
        TestError::new(format!("{:?} bytes were given, not {expected:?}", given(scratch)))
    })
}

/// Kills every worker and waits until as many serve again.
fn kill_all(server: &TestServer) -> TestResult {
    let old = server.workers();
    for worker in &old {
        worker.kill();
    }
    server.wait_for("successors", |server| {
        let new = server.workers();
        new.len() == old.len() && new.iter().all(|worker| !old.contains(worker))
    })
}

#[test]
fn lines_arrive_whole_however_they_are_cut_and_whoever_gets_the_pieces() -> TestResult {
    for one_by_one in [false, true] {
        let mut builder = stream().set("dispatch", "round_robin");
        if one_by_one {
            builder = builder.env("PROBE_ONE_BY_ONE", "1");
        }
        let server = builder.start()?;
        let mut random = Random::from_environment("streamcuts")?;
        for _ in 0..10 {
            let mut talk = Talk::new(&server)?;
            let mut bytes = Vec::new();
            let mut expected = Vec::new();
            for index in 0..40 {
                let text = "x".repeat(random.next_u64() as usize % 400);
                bytes.extend(format!("echo {index} {text}\n").into_bytes());
                expected.push(format!("{index} {text}"));
            }
            talk.send_in_pieces(&bytes, 900, &mut random)?;
            for line in expected {
                assert_eq!(talk.line()?, line);
            }
        }
        server.stop()?;
    }
    Ok(())
}

#[test]
fn a_line_survives_the_death_of_its_worker_between_its_halves() -> TestResult {
    for policy in ["close", "drop", "redeliver:3"] {
        let scratch = Scratch::new("streamdeath")?;
        let server = stream()
            .set("crash_policy", policy)
            .env("PROBE_JOURNAL", scratch.path("journal"))
            .expect_log("died")
            .start()?;
        let mut talk = Talk::new(&server)?;
        talk.client.send(b"echo one\necho hel")?;
        talk.expect("one");
        wait_given(&scratch, &[17, 8])?;
        // The half was given: now it has been left as well.
        server.wait_for_rest()?;
        kill_all(&server)?;
        talk.client.send(b"lo\n")?;
        talk.expect("hello");
        let books = server.stop_and_report()?.books()?;
        assert_eq!((books.received, books.finished), (3, 3), "{policy}: {books}");
        assert_eq!(books.detail("continued"), 2, "{policy}: {books}");
    }
    Ok(())
}

#[test]
fn a_line_survives_a_reload_between_its_halves() -> TestResult {
    let scratch = Scratch::new("streamreload")?;
    let server = small_stream(&scratch).start()?;
    let mut talk = Talk::new(&server)?;
    for generation in 2..5 {
        talk.client.send(b"echo hel")?;
        wait_until("the first half", || given(&scratch).last() == Some(&8))?;
        server.signal(Signal::USR1);
        server.wait_for_log(&format!("serves worker=w0.{generation}"))?;
        talk.client.send(b"lo\n")?;
        talk.expect("hello");
    }
    server.stop()
}

#[test]
fn several_messages_of_one_read_may_be_taken_one_by_one() -> TestResult {
    let scratch = Scratch::new("streamone")?;
    let server = small_stream(&scratch).env("PROBE_ONE_BY_ONE", "1").start()?;
    let mut talk = Talk::new(&server)?;
    talk.client.send(b"echo a\necho b\necho c\necho")?;
    for answer in ["a", "b", "c"] {
        talk.expect(answer);
    }
    wait_given(&scratch, &[25, 18, 11, 4])?;
    talk.client.send(b" d\n")?;
    talk.expect("d");
    server.stop()
}

#[test]
fn what_nothing_was_used_of_waits_for_more() -> TestResult {
    let scratch = Scratch::new("streamwait")?;
    let server = small_stream(&scratch).start()?;
    let mut talk = Talk::new(&server)?;
    talk.client.send(b"echo ha")?;
    wait_given(&scratch, &[7])?;
    expect_idle(&server)?;
    wait_given(&scratch, &[7])?;
    talk.client.send(b"lf\n")?;
    talk.expect("half");
    wait_given(&scratch, &[7, 10])?;
    server.stop()
}

#[test]
fn the_rest_comes_once_more_at_the_end() -> TestResult {
    let scratch = Scratch::new("streamlast")?;
    let server = small_stream(&scratch).start()?;
    let mut talk = Talk::new(&server)?;
    talk.client.send(b"echo a\nrest")?;
    talk.expect("a");
    wait_given(&scratch, &[11, 4])?;
    talk.client.half_close()?;
    talk.expect("last 4");
    talk.expect_eof();
    wait_given(&scratch, &[11, 4, 4])?;
    // Nothing is left of this one.
    let mut talk = Talk::new(&server)?;
    talk.client.send(b"echo b\n")?;
    talk.client.half_close()?;
    talk.expect("b");
    talk.expect_eof();
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("closed_peer"), 2, "{books}");
    Ok(())
}

/// The client has left when the worker says that it has not used all: this may not be taken for a
/// client that leaves nothing behind.
#[test]
fn the_rest_comes_once_more_when_the_end_came_before_it_was_left() -> TestResult {
    // Also where whoever idles takes the next package.
    for (policy, dispatch) in
        [("close", "session_hash"), ("redeliver:3", "session_hash"), ("close", "pull")]
    {
        let scratch = Scratch::new("streamlastinhand")?;
        let server = small_stream(&scratch)
            .set("crash_policy", policy)
            .set("dispatch", dispatch)
            .set("log_level", "debug")
            .start()?;
        let mut talk = Talk::new(&server)?;
        let witness = Client::connect(server.address())?;
        let go = scratch.path("go");
        let held = format!("until {} done\n", go.display());
        talk.client.send(format!("{held}rest").as_bytes())?;
        wait_given(&scratch, &[held.len() + 4])?;
        talk.client.half_close()?;
        // Its end comes behind the other one and needs no worker.
        witness.abort()?;
        server.wait_for_log("session closed")?;
        scratch.make("go")?;
        talk.expect("done");
        talk.expect("last 4");
        talk.expect_eof();
        let books = server.stop_and_report()?.books()?;
        assert_eq!(books.detail("input_dropped_bytes"), 4, "what the last one left: {books}");
    }
    Ok(())
}

#[test]
fn a_last_package_that_kills_its_worker_is_the_last_again() -> TestResult {
    let scratch = Scratch::new("streamlastdeath")?;
    let server = small_stream(&scratch)
        .set("crash_policy", "redeliver:3")
        .set("framing", "stream")
        .expect_log("died")
        .start()?;
    let mut other = Talk::new(&server)?;
    let mut talk = Talk::new(&server)?;
    talk.client.send(b"rest")?;
    wait_given(&scratch, &[4])?;
    // The worker is busy with somebody else when the end comes.
    other.say(&format!("until {} done", scratch.path("go").display()))?;
    wait_until("the other package", || given(&scratch).len() == 2)?;
    talk.client.half_close()?;
    server.worker(0).kill();
    scratch.make("go")?;
    other.expect("done");
    talk.expect("last 4");
    talk.expect_eof();
    server.stop()
}

#[test]
fn a_message_longer_than_allowed_closes_its_session_behind_the_answers() -> TestResult {
    for max in [64_usize, 5_000, 100_000] {
        let server = small_probe()
            .set("framing", "stream")
            .set("package_max_length", max)
            .set("receive_size", max.min(16_000))
            .start()?;
        let mut talk = Talk::new(&server)?;
        // As long as allowed.
        let mut line = b"sum ".to_vec();
        line.resize(max - 1, b'x');
        line.push(b'\n');
        talk.client.send(&line)?;
        assert_eq!(talk.line()?, format!("sum {max} {}", checksum(&line)));
        let mut bytes = b"echo ok\n".to_vec();
        bytes.extend(vec![b'x'; 4 * max]);
        // The server may close before it has read everything.
        let _ = talk.client.send(&bytes);
        talk.expect("ok");
        talk.expect_closed();
        let books = server.stop_and_report()?.books()?;
        assert_eq!(books.detail("closed_package_too_long"), 1, "{max}: {books}");
    }
    Ok(())
}

#[test]
fn messages_longer_than_a_record_or_a_ring_come_whole() -> TestResult {
    let server = stream().start()?;
    for len in [16_000, 17_000, 70_000, 1_500_000] {
        let mut line = b"sum ".to_vec();
        line.extend(pattern(len).iter().map(|byte| byte | 0x80));
        line.push(b'\n');
        for _ in 0..2 {
            let mut talk = Talk::new(&server)?;
            talk.client.send(&line)?;
            assert_eq!(talk.line()?, format!("sum {} {}", line.len(), checksum(&line)));
            assert_eq!(talk.ask("echo on")?, "on");
        }
    }
    server.stop()
}

#[test]
fn a_deferred_package_may_be_used_in_part() -> TestResult {
    for policy in ["close", "drop", "redeliver:3"] {
        let scratch = Scratch::new("streamdefer")?;
        let server = small_stream(&scratch).set("crash_policy", policy).start()?;
        let mut other = Talk::new(&server)?;
        let mut talk = Talk::new(&server)?;
        talk.client.send(b"defer 100 late\nec")?;
        // The rest may be given again before anybody looks.
        wait_until("the package", || given(&scratch).first() == Some(&17))?;
        talk.client.send(b"ho early\n")?;
        // Others use the ring meanwhile, which the package had lain in.
        for _ in 0..300 {
            other.say(&format!("echo {}", "y".repeat(400)))?;
            assert_eq!(other.line()?.len(), 400);
        }
        talk.expect("late");
        talk.expect("early");
        server.stop()?;
    }
    Ok(())
}

/// The worker dies in the middle of a package whose end is the first half of a line.
#[test]
fn a_death_in_a_package_is_settled_by_the_policy() -> TestResult {
    for policy in ["close", "drop", "redeliver:3"] {
        let scratch = Scratch::new("streampolicy")?;
        let server =
            small_stream(&scratch).set("crash_policy", policy).expect_log("died").start()?;
        let mut talk = Talk::new(&server)?;
        let go = scratch.path("go");
        let bytes = format!("echo first\nuntil {} second\necho thi", go.display());
        talk.client.send(bytes.as_bytes())?;
        wait_given(&scratch, &[bytes.len()])?;
        kill_all(&server)?;
        scratch.make("go")?;
        match policy {
            "close" => {
                // The first line had been answered when its worker died.
                assert_eq!(talk.line()?, "first");
                talk.expect_closed();
            }
            "drop" => {
                talk.expect("first");
                assert_eq!(talk.ask("echo on")?, "on");
            }
            _ => {
                talk.expect("first");
                talk.expect("second");
                talk.client.send(b"rd\n")?;
                talk.expect("third");
            }
        }
        let books = server.stop_and_report()?.books()?;
        let dropped = u64::from(policy == "drop");
        assert_eq!(books.dropped, dropped, "{policy}: {books}");
    }
    Ok(())
}

#[test]
fn a_drain_ends_a_session_with_half_a_message() -> TestResult {
    let scratch = Scratch::new("streamdrain")?;
    let server = small_stream(&scratch).start()?;
    let mut talk = Talk::new(&server)?;
    talk.client.send(b"echo ha")?;
    wait_given(&scratch, &[7])?;
    let ended = server.stop_and_report()?;
    talk.expect_closed();
    assert_eq!(ended.books()?.detail("closed_shutdown"), 1);
    Ok(())
}

/// The client resets while a worker is in a package that it will leave a rest of.
fn a_reset_before_a_rest(behind: &str) -> TestResult {
    let scratch = Scratch::new("streamlost")?;
    let server = small_stream(&scratch).start()?;
    server.wait_for_rest()?;
    let before = server.master().fd_count()?;
    let mut client = server.connect()?;
    let first = format!("until {} free\nhalf", scratch.path("go").display());
    client.send(first.as_bytes())?;
    wait_given(&scratch, &[first.len()])?;
    client.send(behind.as_bytes())?;
    client.abort()?;
    server.wait_for("the descriptor of who is gone to be closed", |server| {
        server.master().fd_count().is_ok_and(|count| count <= before)
    })?;
    scratch.make("go")?;
    wait_until("its end", || {
        scratch.lines("journal").iter().any(|line| line.contains("peer_error"))
    })?;
    let last = 4 + behind.len();
    wait_given(&scratch, &[first.len(), last])?;
    let lines = scratch.lines("journal");
    let is_last = |line: &&String| line.contains(" last ") && line.ends_with(&format!(" {last}"));
    assert_eq!(lines.iter().filter(is_last).count(), 1, "{lines:?}");
    assert_eq!(Talk::new(&server)?.ask("echo still here")?, "still here");
    // What the worker has left of the last package nobody will see again.
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("input_dropped_bytes"), last as u64, "{books}");
    Ok(())
}

#[test]
fn the_rest_of_who_is_gone_comes_once_more_marked_last() -> TestResult {
    a_reset_before_a_rest("")
}

/// What was received behind the package is kept already when the rest is put in front of it.
#[test]
fn the_rest_of_who_is_gone_stands_in_front_of_what_it_sent_since() -> TestResult {
    a_reset_before_a_rest(" and so on more")
}

/// Six times the budget in halves of messages, by clients that leave at any moment.
#[test]
fn rests_of_those_who_are_gone_give_their_memory_back() -> TestResult {
    const CLIENTS: usize = 400;
    const LEN: usize = 60_000;
    let scratch = Scratch::new("streamgone")?;
    let server = small_stream(&scratch).set("memory_budget", "4M").start()?;
    let ends = || scratch.lines("journal").iter().filter(|line| line.contains(" close ")).count();
    for round in 0..CLIENTS / 8 {
        for _ in 0..8 {
            let mut client = server.connect()?;
            client.send(&vec![b'x'; LEN])?;
            client.abort()?;
        }
        wait_until("their ends", || ends() == 8 * (round + 1))?;
    }
    let mut line = b"sum ".to_vec();
    line.resize(1_500_000, b'x');
    line.push(b'\n');
    let mut talk = Talk::new(&server)?;
    talk.client.send(&line)?;
    assert_eq!(talk.line()?, format!("sum {} {}", line.len(), checksum(&line)));
    drop(talk);
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("memory_shortages"), 0, "{books}");
    assert_eq!(books.detail("closed_memory_budget"), 0, "{books}");
    Ok(())
}

// ---- the example --------------------------------------------------------------------------------

fn keyvalue(file: &Path) -> ServerBuilder {
    TestServer::example("keyvalue")
        .args(["--file".as_ref(), file.as_os_str()])
        .set("listen", "127.0.0.1:0")
}

fn set(client: &mut Client, key: &str, value: &str) -> TestResult {
    let (k, v) = (key.len(), value.len());
    client.send(format!("*3\r\n$3\r\nSET\r\n${k}\r\n{key}\r\n${v}\r\n{value}\r\n").as_bytes())?;
    client.expect(b"+OK\r\n")
}

#[test]
fn keyvalue_survives_a_kill_between_two_halves_of_a_request() -> TestResult {
    let scratch = Scratch::new("keyvalue")?;
    let server = keyvalue(&scratch.path("data")).expect_log("died").start()?;
    server.wait_for("its worker", |server| !server.workers().is_empty())?;
    let mut client = server.connect()?;
    set(&mut client, "name", "ada")?;
    let request = b"*2\r\n$3\r\nGET\r\n$4\r\nname\r\n";
    for cut in 1..request.len() {
        let (first, second) = request.split_at(cut);
        // The answer to the whole request says that the half behind it was seen; a server at rest,
        // that the worker has left it.
        client.send(&[request, first].concat())?;
        client.expect(b"$3\r\nada\r\n")?;
        if cut % 8 == 1 {
            server.wait_for_rest()?;
            kill_all(&server)?;
        }
        client.send(second)?;
        client.expect(b"$3\r\nada\r\n")?;
    }
    client.send(b"*2\r\n$3\r\nDEL\r\n$4\r\nname\r\n*2\r\n$3\r\nGET\r\n$4\r\nname\r\n")?;
    client.expect(b":1\r\n$-1\r\n")?;
    client.send(b"nonsense\r\n")?;
    client.expect(b"-ERR this is no request\r\n")?;
    client.expect_eof()?;
    server.stop()
}

/// A worker that leaves and its successor append to the same file, and see each other's changes.
#[test]
fn keyvalue_loses_no_answered_change_over_reloads() -> TestResult {
    let scratch = Scratch::new("keyvalue-reload")?;
    let server = keyvalue(&scratch.path("data")).start()?;
    let mut clients = [server.connect()?, server.connect()?, server.connect()?];
    for round in 0..6 {
        server.signal(Signal::USR1);
        for number in 0..60 {
            for (index, client) in clients.iter_mut().enumerate() {
                set(client, "shared", &format!("{index}{number}"))?;
                set(client, &format!("{round}-{index}-{number}"), "kept")?;
            }
        }
        server.wait_for("the reload", |server| {
            server.log_lines_with("reload finished: every worker is new").len() > round
        })?;
    }
    let client = &mut clients[0];
    for round in 0..6 {
        for (index, number) in (0..3).flat_map(|index| (0..60).map(move |n| (index, n))) {
            let key = format!("{round}-{index}-{number}");
            let get = format!("*2\r\n$3\r\nGET\r\n${}\r\n{key}\r\n", key.len());
            client.send(get.as_bytes())?;
            client.expect(b"$4\r\nkept\r\n")?;
        }
    }
    server.stop()
}
