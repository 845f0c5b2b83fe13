//! What any worker may know of what came and went with a session, also with one of another process.
#![allow(clippy::panic, clippy::indexing_slicing)] // a test that cannot go on

mod talk;

use ostler_testkit::{ServerBuilder, TestError, TestResult, TestServer};
use talk::Talk;

/// What the probe says of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Traffic {
    received: u64,
    sent: u64,
    unsent: u64,
    ungiven: u64,
    /// When, after the beginning of the session, something was received, given and sent last.
    at: [Option<u64>; 3],
}

impl Traffic {
    fn of(talk: &mut Talk, session: u64) -> TestResult<Self> {
        let answer = talk.ask(&format!("trafficof {session}"))?;
        let words: Vec<Option<u64>> = answer.split(' ').map(|word| word.parse().ok()).collect();
        match words[..] {
            [Some(received), Some(sent), Some(unsent), Some(ungiven), got, given, put] => {
                Ok(Self { received, sent, unsent, ungiven, at: [got, given, put] })
            }
            _ => Err(TestError::new(format!("traffic: {answer:?}"))),
        }
    }

    fn bytes(&self) -> [u64; 4] {
        [self.received, self.sent, self.unsent, self.ungiven]
    }
}

fn probe(mode: &str) -> ServerBuilder {
    TestServer::example("probe").set("workers", 2).set("mode", mode).set("send_queue_high", 1 << 20)
}

/// Two clients, whose packages are handled by two workers in BASE mode.
fn pair(server: &TestServer, mode: &str) -> TestResult<(Talk, Talk)> {
    let mut one = Talk::new(server)?;
    let first = one.ask("whoami")?;
    for _ in 0..200 {
        let mut other = Talk::new(server)?;
        if mode == "process" || other.ask("whoami")? != first {
            return Ok((one, other));
        }
    }
    Err(TestError::new("all clients have met one worker"))
}

/// `expected` is received of the session or sent to it, in this order, and nothing waits.
fn wait_bytes(server: &TestServer, by: &mut Talk, id: u64, expected: [u64; 4]) -> TestResult {
    server.wait_for(&format!("{expected:?}"), |_| {
        Traffic::of(by, id).is_ok_and(|seen| seen.bytes() == expected)
    })
}

fn counts_what_came_and_went(mode: &str) -> TestResult {
    let server = probe(mode).start()?;
    let (mut one, mut other) = pair(&server, mode)?;
    let before = "whoami\n".len() + "id\n".len();
    let id = one.number("id")?;
    let said = one.ask("whoami")?.len() + 1;
    let received = (before + "whoami\n".len()) as u64;
    let sent = (2 * said + id.to_string().len() + 1) as u64;
    wait_bytes(&server, &mut other, id, [received, sent, 0, 0])?;
    let seen = Traffic::of(&mut other, id)?;
    assert!(seen.at.iter().all(Option::is_some), "{seen:?}");
    assert_eq!(Traffic::of(&mut other, id)?, seen, "nothing came or went, and times stay");
    // A part of a package is received, and not given.
    one.client.send(b"who")?;
    wait_bytes(&server, &mut other, id, [received + 3, sent, 0, 3])?;
    let part = Traffic::of(&mut other, id)?;
    assert!(part.at[0] > seen.at[0], "received: {seen:?} {part:?}");
    assert_eq!(part.at[1..], seen.at[1..], "neither given nor sent");
    one.client.send(b"ami\n")?;
    one.line()?;
    wait_bytes(&server, &mut other, id, [received + 7, sent + said as u64, 0, 0])?;
    let whole = Traffic::of(&mut other, id)?;
    for (before, after) in part.at.iter().zip(whole.at) {
        assert!(after > *before, "{part:?} {whole:?}");
    }
    server.stop()
}

#[test]
fn a_worker_knows_what_came_and_went_with_any_session() -> TestResult {
    counts_what_came_and_went("process")
}

#[test]
fn a_process_knows_what_came_and_went_with_a_session_of_another_one() -> TestResult {
    counts_what_came_and_went("base")
}

fn tells_what_waits(mode: &str) -> TestResult {
    let server = probe(mode).start()?;
    let (mut one, mut other) = pair(&server, mode)?;
    let id = one.number("id")?;
    let (asked, said) = ("whoami\nid\nwhoami\n".len() as u64, one.ask("whoami")?.len() as u64 + 1);
    let sent = 2 * said + id.to_string().len() as u64 + 1;
    wait_bytes(&server, &mut other, id, [asked, sent, 0, 0])?;
    let before = Traffic::of(&mut other, id)?;
    assert_eq!((before.unsent, before.at[0]), (0, before.at[1]));
    // What the client does not read waits here, once the kernel takes no more.
    let mut taken = 0;
    while Traffic::of(&mut other, id)?.unsent == 0 {
        let answer = other.ask(&format!("flood {id} 1 65536"))?;
        taken += if answer.starts_with("ok 1 ") { 65_536 } else { 0 };
    }
    let all = before.sent + taken;
    server.wait_for("all of it to be there", |_| {
        Traffic::of(&mut other, id).is_ok_and(|seen| seen.sent + seen.unsent == all)
    })?;
    let full = Traffic::of(&mut other, id)?;
    assert_eq!((full.received, full.ungiven), (before.received, 0));
    one.bytes(taken as usize)?;
    wait_bytes(&server, &mut other, id, [before.received, all, 0, 0])?;
    let read = Traffic::of(&mut other, id)?;
    assert!(read.at[2] > full.at[2], "{full:?} {read:?}");
    assert_eq!(read.at[..2], before.at[..2], "{before:?} {read:?}");
    server.stop()
}

#[test]
fn a_worker_knows_what_waits_to_be_sent() -> TestResult {
    tells_what_waits("process")
}

#[test]
fn a_process_knows_what_waits_to_be_sent_by_another_one() -> TestResult {
    tells_what_waits("base")
}

#[test]
fn a_client_that_was_never_heard_of_has_no_times() -> TestResult {
    let server = probe("process").start()?;
    let mut one = Talk::new(&server)?;
    let id = one.number("id")?;
    let silent = server.connect()?;
    server.wait_for("the other's session", |_| {
        Traffic::of(&mut one, id + 1).is_ok_and(|seen| seen.bytes() == [0; 4])
    })?;
    assert_eq!(Traffic::of(&mut one, id + 1)?.at, [None; 3]);
    drop(silent);
    server.wait_for("its end", |_| {
        one.ask(&format!("trafficof {}", id + 1)).is_ok_and(|answer| answer == "none")
    })?;
    server.stop()
}
