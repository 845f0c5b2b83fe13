//! BASE mode: what a worker sends to the sessions of another one reaches them, or it learns why
//! not; whatever becomes of the two.
#![allow(clippy::panic, clippy::indexing_slicing)] // a test that cannot go on

mod support;
mod talk;

use std::collections::BTreeMap;
use std::path::PathBuf;

use ostler_testkit::{
    DEADLINE, Ended, Process, ServerBuilder, Signal, TestError, TestResult, TestServer, wait_until,
};
use support::{check, start, wait_lines, wait_serving, worker_of};
use talk::{Scratch, Talk, pattern};

const DIED: &str = "died";
const SENT: &str = "ok 1 full 0 gone 0 other 0";
const GONE: &str = "ok 0 full 0 gone 1 other 0";

fn probe(workers: u16) -> ServerBuilder {
    let server = TestServer::example("probe").set("workers", workers).set("mode", "base");
    server.set("lane_size", 65_536).set("drain_timeout_ms", 600_000)
}

/// A client, and who serves it.
struct Guest {
    talk: Talk,
    id: u64,
    worker: Process,
}

impl Guest {
    fn new(server: &TestServer) -> TestResult<Self> {
        let mut talk = Talk::new(server)?;
        let (id, who) = (talk.number("id")?, talk.ask("whoami")?);
        let pid = who.split(' ').nth(1).and_then(|pid| pid.parse().ok());
        let pid = pid.ok_or_else(|| TestError::new(format!("{who:?} tells no pid")))?;
        Ok(Self { talk, id, worker: worker_of(server, pid)? })
    }

    fn send_to(&mut self, session: u64) -> TestResult<String> {
        self.talk.ask(&format!("flood {session} 1 10"))
    }

    /// Lets the worker wait in a handler until a file is there, which is answered.
    fn hold(&mut self, scratch: &Scratch) -> TestResult<PathBuf> {
        let path = scratch.path("go-on");
        let before = scratch.received();
        self.talk.say(&format!("until {}", path.display()))?;
        scratch.wait_received(before + 1)?;
        Ok(path)
    }
}

/// The same with a journal, by which is seen what a worker has in hand.
fn noting(workers: u16, scratch: &Scratch) -> ServerBuilder {
    probe(workers).env("PROBE_JOURNAL", scratch.path("journal"))
}

/// Guests of so many workers, one of each.
fn guests(server: &TestServer, workers: usize) -> TestResult<Vec<Guest>> {
    let mut guests = BTreeMap::new();
    for _ in 0..1_000 {
        let guest = Guest::new(server)?;
        guests.entry(guest.worker.pid()).or_insert(guest);
        if guests.len() == workers {
            return Ok(guests.into_values().collect());
        }
    }
    Err(TestError::new("the kernel gives no connection to one of the workers"))
}

/// A figure of the line about outputs for other workers, which has to be there.
fn relays(ended: &Ended, name: &str) -> u64 {
    let lines = ended.log().lines_with("outputs for other workers");
    let [line] = &lines[..] else { panic!("one line, not {lines:?}") };
    let words = line.split(' ');
    let mut figures = words.filter_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    match figures.next_back() {
        Some(figure) => figure.parse().unwrap_or_else(|_| panic!("{name} in {line}")),
        // What has not happened is not told.
        None if ["lost", "refused"].contains(&name) => 0,
        None => panic!("{name} is not in {line}"),
    }
}

#[test]
fn any_worker_sends_to_any_session_and_learns_that_one_is_gone() -> TestResult {
    let server = start(probe(3), 3)?;
    let mut guests = guests(&server, 3)?;
    let mut ids: Vec<u64> = guests.iter().map(|guest| guest.id).collect();
    for from in 0..3 {
        for to in (0..3).filter(|to| *to != from) {
            check(guests[from].send_to(ids[to])? == SENT, format!("{from} to {to}"))?;
            check(guests[to].talk.bytes(10)? == pattern(10), format!("{from} to {to}"))?;
        }
    }
    // A session that ends, and others that come.
    let gone = ids.remove(0);
    drop(guests.remove(0));
    for guest in &mut guests {
        wait_until("the session to be gone", || {
            guest.send_to(gone).is_ok_and(|answer| answer == GONE)
        })?;
    }
    let mut next = self::guests(&server, 3)?;
    for guest in next.iter_mut().chain(&mut guests) {
        check(guest.send_to(gone)? == GONE, "one that was")?;
        check(guest.send_to(u64::MAX >> 11)? == GONE, "one that never was")?;
    }
    let ended = server.stop_and_report()?;
    let counts = ["sent", "taken", "lost", "refused"].map(|name| relays(&ended, name));
    check(counts[0] >= 6 && counts[0] == counts[1], format!("{counts:?}"))?;
    check(counts[2..] == [0, 0], format!("{counts:?}"))
}

#[test]
fn messages_of_any_length_come_whole_and_in_order() -> TestResult {
    let server = start(probe(2), 2)?;
    let mut guests = guests(&server, 2)?;
    let to = guests[1].id;
    for size in [1, 32_767, 32_768, 32_769, 100_000, 2_000_000] {
        let answer = guests[0].talk.ask(&format!("flood {to} 1 {size}"))?;
        check(answer == SENT, format!("{size}: {answer}"))?;
        check(guests[1].talk.bytes(size)? == pattern(size), format!("{size} bytes"))?;
    }
    for number in 0..300 {
        guests[0].talk.say(&format!("send {to} number {number}"))?;
    }
    (0..300).for_each(|number| guests[1].talk.expect(&format!("number {number}")));
    server.stop()
}

#[test]
fn whatever_can_be_done_with_a_session_can_be_done_from_another_worker() -> TestResult {
    let server = start(probe(2), 2)?;
    let mut guests = guests(&server, 2)?;
    let (id, own) = (guests[1].id, guests[0].id);
    let mut ids = [own, id];
    ids.sort_unstable();
    let [mine, theirs] = &mut guests[..] else { return Err(TestError::new("two guests")) };
    let (mine, theirs) = (&mut mine.talk, &mut theirs.talk);
    // What is known of it.
    let all: Vec<u64> =
        mine.ask("sessions")?.split(' ').filter_map(|word| word.parse().ok()).collect();
    check(ids.iter().all(|id| all.contains(id)), format!("{all:?} without some of {ids:?}"))?;
    mine.expect_answer(&format!("infoof {id}"), "some")?;
    mine.expect_answer(&format!("portof {id}"), "some")?;
    theirs.expect_answer("state ada", "ok")?;
    wait_until("the state to be shown", || {
        mine.ask(&format!("getof {id}")).is_ok_and(|state| state == "ada")
    })?;
    // Marks.
    mine.expect_answer(&format!("pauseof {id}"), "ok")?;
    wait_until("the session to be paused", || {
        mine.ask(&format!("marksof {id}")).is_ok_and(|marks| marks == "paused mortal")
    })?;
    theirs.say("echo at last")?;
    mine.expect_answer(&format!("resumeof {id}"), "ok")?;
    theirs.expect("at last");
    // A message of a length that nobody knows yet goes to own sessions only, and says so.
    mine.expect_answer(&format!("writerof {own}"), "ok")?;
    let answer = mine.ask(&format!("writerof {id}"))?;
    check(answer.contains("whole messages only"), &answer)?;
    // A file is passed to the loop of the own process only, and says so too.
    let scratch = Scratch::new("base-file")?;
    let path = scratch.path("file");
    std::fs::write(&path, "a file\n")?;
    mine.expect_answer(&format!("fileto {id} {}", path.display()), "unreachable")?;
    mine.say(&format!("fileto {own} {}", path.display()))?;
    mine.expect("a file");
    mine.expect("ok");
    // The end, behind what was sent.
    check(mine.ask(&format!("flood {id} 1 50000"))? == SENT, "before the end")?;
    mine.expect_answer(&format!("closeof {id}"), "ok")?;
    check(mine.ask(&format!("flood {id} 1 10"))? == GONE, "behind the end")?;
    let mut last = guests.remove(1);
    check(last.talk.bytes(50_000)? == pattern(50_000), "what was sent before the end")?;
    last.talk.expect_eof();
    let reset = self::guests(&server, 2)?.remove(1);
    guests[0].talk.expect_answer(&format!("resetof {}", reset.id), "ok")?;
    reset.talk.expect_closed();
    let books = server.stop_and_report()?.books()?;
    check(books.detail("closed_worker") == 1, format!("{books}"))?;
    check(books.detail("closed_worker_reset") == 1, format!("{books}"))
}

/// Nobody waits for a worker: what it is sent waits for it, up to a limit, and is told.
#[test]
fn a_worker_that_does_not_look_is_sent_so_much_and_gets_all_of_it() -> TestResult {
    let scratch = Scratch::new("base-looks")?;
    let server = start(noting(2, &scratch), 2)?;
    let mut guests = guests(&server, 2)?;
    let mut reader = Guest::new(&server)?;
    while reader.worker.pid() != guests[1].worker.pid() {
        reader = Guest::new(&server)?;
    }
    let path = guests[1].hold(&scratch)?;
    let answer = guests[0].talk.ask(&format!("flood {} 2000 10000", reader.id))?;
    let figure = |name: &str| -> usize {
        let mut words = answer.split(' ').skip_while(|word| *word != name);
        words.nth(1).and_then(|figure| figure.parse().ok()).unwrap_or(0)
    };
    let (ok, full) = (figure("ok"), figure("full"));
    // A megabyte and what the socket takes.
    check(ok >= 100 && full > 0 && ok + full == 2_000, &answer)?;
    // Whom it does not concern is served.
    let own = guests[0].id;
    guests[0].talk.say(&format!("send {own} mine"))?;
    guests[0].talk.expect("mine");
    guests[0].talk.expect("ok");
    std::fs::write(&path, "")?;
    for number in 0..ok {
        check(reader.talk.bytes(10_000)? == pattern(10_000), format!("message {number}"))?;
    }
    check(guests[0].send_to(reader.id)?.contains("gone 0"), "and on")?;
    let ended = server.stop_and_report()?;
    check(relays(&ended, "sent") == relays(&ended, "taken"), "what was sent was taken")?;
    check(relays(&ended, "lost") == 0, "nothing was lost")
}

#[test]
fn what_is_on_its_way_to_a_worker_that_dies_is_counted() -> TestResult {
    let scratch = Scratch::new("base-dies")?;
    let server = start(noting(2, &scratch).expect_log(DIED), 2)?;
    let mut guests = guests(&server, 2)?;
    guests[1].hold(&scratch)?;
    let id = guests[1].id;
    let answer = guests[0].talk.ask(&format!("flood {id} 20 10"))?;
    check(answer == "ok 20 full 0 gone 0 other 0", &answer)?;
    guests[1].worker.kill();
    guests[1].worker.wait_gone(DEADLINE)?;
    wait_until("the session to be gone", || {
        guests[0].send_to(id).is_ok_and(|answer| answer == GONE)
    })?;
    wait_serving(&server, 3)?;
    // Its successor is known at once.
    let mut again = self::guests(&server, 2)?;
    let (first, second) = (again[0].id, again[1].id);
    check(again[0].send_to(second)? == SENT, "to the new one, or back")?;
    again[1].talk.bytes(10)?;
    check(again[1].send_to(first)? == SENT, "both ways")?;
    again[0].talk.bytes(10)?;
    let ended = server.stop_and_report()?;
    let (sent, taken) = (relays(&ended, "sent"), relays(&ended, "taken"));
    let lost = relays(&ended, "lost");
    check(lost >= 20 && sent == taken + lost, format!("{sent} {taken} {lost}"))
}

/// What a dead worker had sent comes; a message of which only a part was on its way does not.
#[test]
fn no_message_of_a_worker_that_dies_is_torn() -> TestResult {
    const SIZE: usize = 100_000;
    let scratch = Scratch::new("base-torn")?;
    let server = start(noting(2, &scratch).expect_log(DIED), 2)?;
    let mut guests = guests(&server, 2)?;
    let mut reader = Guest::new(&server)?;
    while reader.worker.pid() != guests[1].worker.pid() {
        reader = Guest::new(&server)?;
    }
    let path = guests[1].hold(&scratch)?;
    let answer = guests[0].talk.ask(&format!("flood {} 5 {SIZE}", reader.id))?;
    check(answer == "ok 5 full 0 gone 0 other 0", &answer)?;
    guests[0].worker.kill();
    guests[0].worker.wait_gone(DEADLINE)?;
    std::fs::write(&path, "")?;
    // What has come is whole, and what the own worker says is behind it.
    check(reader.talk.bytes(SIZE)? == pattern(SIZE), "the first message")?;
    reader.talk.say("close")?;
    let rest = reader.talk.rest()?;
    let whole = rest.len() / SIZE;
    for message in rest.chunks_exact(SIZE) {
        check(message == pattern(SIZE), "a whole message")?;
    }
    let behind = String::from_utf8_lossy(&rest[whole * SIZE..]).into_owned();
    check(behind.len() < 100 && behind.ends_with("bye\n"), format!("{} bytes", behind.len()))?;
    let ended = server.stop_and_report()?;
    let counts = ["sent", "taken", "lost"].map(|name| relays(&ended, name));
    // What was taken behind the end of its session is counted as too late.
    check((1 + whole as u64..5).contains(&counts[1]), format!("{whole}: {counts:?}"))?;
    check(counts[0] == 5 && counts[1] + counts[2] == 5, format!("{whole}: {counts:?}"))
}

/// A chat goes on while workers are replaced: whoever is accepted before can be reached by those
/// who come later, and the other way round.
#[test]
fn old_and_new_workers_reach_each_other_during_a_reload() -> TestResult {
    let server = start(probe(2), 2)?;
    let mut old = guests(&server, 2)?;
    server.signal(Signal::USR1);
    wait_lines(&server, "reload finished", 1)?;
    let mut new = guests(&server, 2)?;
    for (from, to) in [(0, 1), (1, 0), (0, 0), (1, 1)] {
        let (first, second) = (old[from].id, new[to].id);
        check(first != second && old[from].worker.pid() != new[to].worker.pid(), "two workers")?;
        check(old[from].send_to(second)? == SENT, "to a new one")?;
        check(new[to].talk.bytes(10)? == pattern(10), "to a new one")?;
        check(new[to].send_to(first)? == SENT, "to an old one")?;
        check(old[from].talk.bytes(10)? == pattern(10), "to an old one")?;
    }
    // An old worker ends with its last session, and has sent what it was told to send.
    let (to, leaver) = (new[0].id, old.remove(0));
    let Guest { mut talk, worker, .. } = leaver;
    check(talk.ask(&format!("flood {to} 3 100000"))? == "ok 3 full 0 gone 0 other 0", "sent")?;
    drop(talk);
    worker.wait_gone(DEADLINE)?;
    for _ in 0..3 {
        check(new[0].talk.bytes(100_000)? == pattern(100_000), "the last words of a worker")?;
    }
    let ended = server.stop_and_report()?;
    let counts = ["sent", "taken", "lost"].map(|name| relays(&ended, name));
    check(counts == [4 * 2 + 3, 4 * 2 + 3, 0], format!("{counts:?}"))
}
