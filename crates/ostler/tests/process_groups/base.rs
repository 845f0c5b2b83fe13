//! Groups whose members are served in other ways: by other processes, encrypted, by unix sockets.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;

use ostler_testkit::{DEADLINE, TestResult, TestServer};

use crate::talk::{Scratch, probe};
use crate::{group_books, members, wait_len};

#[test]
fn members_of_all_processes_of_base_mode_hear_each_other() -> TestResult {
    let server = TestServer::example("probe")
        .set("workers", 3)
        .set("mode", "base")
        .set("lane_size", 65_536)
        .start()?;
    for worker in 0..3 {
        server.wait_for_log(&format!("serves worker=w{worker}."))?;
    }
    // The kernel spreads them over the processes.
    let mut talks = members(&server, "room", 30)?;
    wait_len(&mut talks[0], "room", 30)?;
    let mut processes: Vec<String> =
        talks.iter_mut().map(|talk| talk.ask("whoami")).collect::<TestResult<_>>()?;
    processes.sort();
    processes.dedup();
    assert!(processes.len() > 1, "{processes:?}");
    for round in 0..20 {
        talks[0].expect_answer(&format!("castothers room round {round}"), "ok")?;
    }
    talks[0].expect_answer("castflood room 1 100000", "ok 1 of 1")?;
    for talk in &mut talks[1..] {
        for round in 0..20 {
            talk.expect(&format!("round {round}"));
        }
        assert!(talk.bytes(100_000)? == crate::talk::pattern(100_000), "the bytes differ");
    }
    // A worker lets sessions of others join as well.
    let ids: Vec<u64> =
        talks.iter_mut().map(|talk| talk.number("id")).collect::<TestResult<_>>()?;
    for id in &ids {
        talks[0].expect_answer(&format!("joinof {id} other"), "ok")?;
    }
    wait_len(&mut talks[0], "other", 30)?;
    let mut shown: Vec<u64> =
        talks[0].ask("members other 100")?.split(' ').filter_map(|id| id.parse().ok()).collect();
    shown.sort_unstable();
    assert_eq!(shown, {
        let mut ids = ids;
        ids.sort_unstable();
        ids
    });
    drop(talks.split_off(1));
    wait_len(&mut talks[0], "room", 1)?;
    let books = group_books(&server.stop_and_report()?)?;
    assert_eq!(books.get("delivered"), 21 * 29, "{books:?}");
    Ok(())
}

/// Messages that are together far longer than the ring of the sender's own lane, and than what may
/// wait on a way to another process: each goes to the members of all processes, or it is refused
/// and goes to nobody. The own lane refuses none, for the reactor at its other end makes room in
/// the same thread.
#[test]
fn a_message_that_is_refused_in_base_mode_has_gone_to_no_other_process() -> TestResult {
    const SIZE: usize = 12_000;
    const COUNT: usize = 400;
    let server = TestServer::example("probe")
        .set("workers", 2)
        .set("mode", "base")
        .set("lane_size", 65_536)
        .set("send_timeout_ms", 0)
        .set("send_queue_high", "16M")
        .set("send_queue_max", "32M")
        .set("memory_budget", "1G")
        .start()?;
    for worker in 0..2 {
        server.wait_for_log(&format!("serves worker=w{worker}."))?;
    }
    let mut talks = members(&server, "room", 12)?;
    wait_len(&mut talks[0], "room", 12)?;
    let answer = talks[0].ask(&format!("castflood room {COUNT} {SIZE}"))?;
    let of_count = format!(" of {COUNT}");
    let taken = answer.strip_prefix("ok ").and_then(|rest| rest.strip_suffix(&of_count));
    let taken: usize = taken.and_then(|taken| taken.parse().ok()).unwrap_or(0);
    assert!(taken > 65_536 / SIZE, "{answer}");
    ostler_testkit::wait_until("room on the way", || {
        talks[0].ask("castothers room end").is_ok_and(|answer| answer == "ok")
    })?;
    let message = crate::talk::pattern(SIZE);
    for (index, talk) in talks[1..].iter_mut().enumerate() {
        for number in 0..taken {
            assert!(talk.bytes(SIZE)? == message, "message {number} of {taken} to member {index}");
        }
        talk.expect("end");
    }
    drop(talks);
    server.stop()
}

/// A process without sessions has no member: what it does for hours holds up no message to a group,
/// however many there are.
#[test]
fn a_task_worker_that_reads_nothing_holds_up_no_message_to_a_group() -> TestResult {
    const SIZE: usize = 1_000;
    const COUNT: usize = 200;
    let server = TestServer::example("probe")
        .set("workers", 2)
        .set("task_workers", 1)
        .set("mode", "base")
        .start()?;
    for process in ["serves worker=w0.", "serves worker=w1.", "takes tasks"] {
        server.wait_for_log(process)?;
    }
    let mut talks = members(&server, "room", 8)?;
    wait_len(&mut talks[0], "room", 8)?;
    let held = server.task_workers();
    held[0].stop()?;
    // Together far more than a way and its socket take.
    for round in 0..20 {
        let flood = format!("castflood room {COUNT} {SIZE}");
        assert_eq!(talks[0].ask(&flood)?, format!("ok {COUNT} of {COUNT}"), "round {round}");
        for talk in &mut talks[1..] {
            let _ = talk.bytes(COUNT * SIZE)?;
        }
    }
    held[0].cont()?;
    drop(talks);
    server.stop()
}

/// A client of a unix socket, on which questions are asked by the line.
struct UnixTalk(BufReader<UnixStream>);

impl UnixTalk {
    fn expect(&mut self, expected: &str) -> TestResult {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        assert_eq!(line, format!("{expected}\n"));
        Ok(())
    }

    fn expect_answer(&mut self, question: &str, answer: &str) -> TestResult {
        self.0.get_mut().write_all(format!("{question}\n").as_bytes())?;
        self.expect(answer)
    }
}

#[test]
fn clients_of_unix_sockets_and_of_other_ports_are_members_like_others() -> TestResult {
    let scratch = Scratch::new("groups")?;
    let path = scratch.path("sock");
    let server = probe().set("port.inside.listen", format!("unix://{}", path.display())).start()?;
    let mut outside = members(&server, "room", 2)?;
    let inside = UnixStream::connect(&path)?;
    inside.set_read_timeout(Some(DEADLINE))?;
    let mut inside = UnixTalk(BufReader::new(inside));
    inside.expect_answer("join room", "ok")?;
    wait_len(&mut outside[0], "room", 3)?;
    inside.expect_answer("castothers room hello", "ok")?;
    for talk in &mut outside {
        talk.expect("hello");
    }
    outside[0].expect_answer("castothers room back", "ok")?;
    inside.expect("back")?;
    drop(inside);
    server.stop()
}
