//! Tasks that outlive their server (`task_journal`): the master is killed, the file is spoilt, the
//! disk is full.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod support;
mod talk;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ostler_testkit::{Random, ServerBuilder, Signal, TestResult, TestServer};
use support::{check, wait_lines};
use talk::{Scratch, Talk};

/// How often the master is killed, unless the environment says otherwise.
const KILLS: u64 = 20;

fn keeping(path: &Path) -> ServerBuilder {
    TestServer::example("foreman")
        .set("workers", 1)
        .set("reactors", 1)
        .set("task_workers", 1)
        .set("task_journal", path.display())
        .expect_log("were not taken in")
        .expect_log("was not taken in")
}

fn without_workers(path: &Path) -> ServerBuilder {
    keeping(path).set("task_workers", 0)
}

/// The same, in which each worker has its clients.
fn in_base_mode(builder: ServerBuilder) -> ServerBuilder {
    builder.unset("reactors").set("mode", "base")
}

fn start(builder: ServerBuilder) -> TestResult<TestServer> {
    let server = builder.start()?;
    wait_lines(&server, "takes tasks", 1)?;
    Ok(server)
}

fn kill(server: TestServer) -> TestResult {
    server.signal(Signal::KILL);
    server.wait_end()?;
    Ok(())
}

/// What tasks have written to a file, line by line.
fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn what_a_killed_master_had_taken_in_is_run_by_the_next_one() -> TestResult {
    is_run_by_the_next_one("journal-kill", keeping)
}

#[test]
fn what_a_killed_master_of_base_mode_had_taken_in_is_run_by_the_next_one() -> TestResult {
    is_run_by_the_next_one("journal-kill-base", |path| in_base_mode(keeping(path)))
}

fn is_run_by_the_next_one(name: &str, keeping: impl Fn(&Path) -> ServerBuilder) -> TestResult {
    let scratch = Scratch::new(name)?;
    let (path, started) = (scratch.path("tasks"), scratch.path("started"));
    let (waited, done) = (scratch.path("waited"), scratch.path("done"));
    let server = start(keeping(&path))?;
    let mut talk = Talk::new(&server)?;
    talk.expect_answer(&format!("wait 20000 append {} once", done.display()), "once")?;
    talk.expect_answer(&format!("keep stop {}", started.display()), "kept")?;
    talk.expect_answer(&format!("keep start {}", waited.display()), "kept")?;
    server.wait_for("the first to be started", |_| lines(&started).len() == 1)?;
    kill(server)?;

    let server = start(keeping(&path))?;
    server.wait_for_log("takes over what an earlier server left")?;
    server
        .wait_for("both to be run", |_| lines(&started).len() == 2 && lines(&waited).len() == 1)?;
    check(lines(&started) == ["1", "2"], "the second start says that it is one")?;
    check(lines(&waited) == ["2"], "nobody knows whether it was started")?;
    check(lines(&done) == ["once"], "what was acknowledged does not come back")?;
    Talk::new(&server)?.expect_answer("wait 20000 attempt", "1")?;
    let books = server.stop_and_report()?.tasks()?;
    let counts = (books.restored, books.asked, books.finished, books.unheard);
    check(counts == (2, 3, 3, 2), format!("{books:?}"))?;

    let books = start(keeping(&path))?.stop_and_report()?.tasks()?;
    check(books.restored == 0, format!("everything was settled: {books:?}"))
}

/// Killed at random moments while a client asks one task after another: whatever it was told is
/// kept is run, and what was settled before something later was kept is not run again.
#[test]
fn kills_at_any_moment_lose_nothing_that_was_kept() -> TestResult {
    let kills = std::env::var("OSTLER_JOURNAL_KILLS").ok().and_then(|text| text.parse().ok());
    let mut random = Random::from_environment("kills of the master")?;
    let scratch = Scratch::new("journal-kills")?;
    let (path, done) = (scratch.path("tasks"), scratch.path("done"));
    let mut kept = Vec::new();
    let mut next = 0_u64;
    for _ in 0..kills.unwrap_or(KILLS) {
        let server = start(keeping(&path))?;
        let mut talk = Talk::new(&server)?;
        let master = server.master();
        let pause = Duration::from_micros(random.next_u64() % 60_000);
        let killer = std::thread::spawn(move || {
            std::thread::sleep(pause);
            master.kill()
        });
        // Until the connection breaks.
        while let Ok(answer) = talk.ask(&format!("keep append {} {next}", done.display())) {
            check(answer == "kept", answer)?;
            kept.push(next);
            next += 1;
        }
        next += 1;
        check(killer.join().is_ok_and(|killed| killed), "the master is killed")?;
        server.wait_end()?;
    }
    let server = start(keeping(&path))?;
    // Behind all that was left: tasks of one priority keep their order.
    Talk::new(&server)?.expect_answer("wait 60000 echo last", "last")?;
    let books = server.stop_and_report()?.tasks()?;
    let mut runs: BTreeMap<u64, u64> = BTreeMap::new();
    for line in lines(&done) {
        let number = line.parse().map_err(|_| format!("{line:?} is torn"));
        *runs.entry(number.unwrap_or(u64::MAX)).or_default() += 1;
    }
    let lost: Vec<u64> = kept.iter().copied().filter(|it| !runs.contains_key(it)).collect();
    check(lost.is_empty(), format!("{lost:?} of {} were lost", kept.len()))?;
    check(!runs.contains_key(&u64::MAX), format!("a line is torn: {books:?}"))?;
    // Whatever comes back was in hand or on its way when a master was killed: a few each time.
    let again: u64 = runs.values().map(|runs| runs - 1).sum();
    let most = 4 * kills.unwrap_or(KILLS);
    println!("{} of {next} tasks were said to be kept, {again} run again", kept.len());
    check(again <= most, format!("{again} runs too many of {}", runs.len()))
}

fn set_file_limit(server: &TestServer, limit: &str) -> TestResult {
    let pid = server.master().pid().to_string();
    let limit = format!("--fsize={limit}:unlimited");
    let status = Command::new("prlimit").args(["--pid", &pid, &limit]).status()?;
    check(status.success(), "prlimit")
}

/// The file cannot grow: who asks is told, everybody else is served, and when there is room again
/// tasks are taken in again.
#[test]
fn a_full_disk_refuses_tasks_and_stops_nothing_else() -> TestResult {
    let scratch = Scratch::new("journal-full")?;
    let path = scratch.path("tasks");
    let server = start(keeping(&path).expect_log("cannot be written to task_journal"))?;
    let mut talk = Talk::new(&server)?;
    talk.expect_answer("after 3600000 keep echo before", "kept")?;
    let length = std::fs::metadata(&path)?.len();
    set_file_limit(&server, &(length + 500).to_string())?;
    let long = "x".repeat(4_000);
    for order in ["keep", "wait 20000"] {
        let answer = talk.ask(&format!("{order} echo {long}"))?;
        check(answer.contains("cannot be written to `task_journal`"), answer)?;
    }
    check(talk.ask("whoami")?.starts_with("w0.1 "), "clients are served")?;
    check(std::fs::metadata(&path)?.len() == length, "half a task is taken back")?;
    set_file_limit(&server, "unlimited")?;
    talk.expect_answer(&format!("after 3600000 keep echo {long}"), "kept")?;
    server.wait_for_log("are written to task_journal again")?;
    let books = server.stop_and_report()?.tasks()?;
    check((books.unkept, books.refused, books.left) == (2, 2, 2), format!("{books:?}"))?;
    let books = start(keeping(&path))?.stop_and_report()?.tasks()?;
    check(books.restored == 2, format!("{books:?}"))
}

#[test]
fn a_server_does_not_start_with_a_file_that_it_cannot_use() -> TestResult {
    let scratch = Scratch::new("journal-bad")?;
    let path = scratch.path("tasks");
    let refused = |path: &Path, words: &str| {
        let (code, text) = keeping(path).start_expecting_failure()?;
        let is_told = text.contains(words) && text.contains("option `task_journal`");
        check(code == 4 && is_told, format!("{words:?} is not in {code} {text}"))
    };
    refused(&scratch.path("nowhere/tasks"), "its directory has to exist")?;
    refused(scratch.at(), "is no file")?;
    std::fs::write(&path, b"#!/bin/sh\n")?;
    refused(&path, "a file of something else")?;
    std::fs::remove_file(&path)?;
    let server = start(keeping(&path))?;
    refused(&path, "another server runs with it")?;
    server.stop()?;
    let (code, text) = keeping(&path).set("name", "inn").start_expecting_failure()?;
    check(code == 4 && text.contains("give each server a file of its own"), text)?;
    let (code, text) = without_workers(&path).start_expecting_failure()?;
    check(code == 2 && text.contains("`task_journal` needs `task_workers`"), text)?;
    let base = in_base_mode(without_workers(&path));
    let (code, text) = base.start_expecting_failure()?;
    check(code == 2 && text.contains("`task_journal` needs `task_workers`"), text)
}

/// Killed because it was not through in time: it failed by no fault of its own.
#[test]
fn what_is_in_hand_when_the_server_ends_is_run_by_the_next_one() -> TestResult {
    let scratch = Scratch::new("journal-end")?;
    let (path, started) = (scratch.path("tasks"), scratch.path("started"));
    let late = keeping(&path).set("drain_timeout_ms", 300).expect_log("did not leave in time");
    let server = start(late)?;
    let mut talk = Talk::new(&server)?;
    talk.expect_answer(&format!("keep stop {}", started.display()), "kept")?;
    server.wait_for("it to be started", |_| lines(&started).len() == 1)?;
    let books = server.stop_and_report()?.tasks()?;
    check((books.left, books.failed) == (1, 0), format!("{books:?}"))?;

    let server = start(keeping(&path))?;
    server.wait_for("it to be run again", |_| lines(&started) == ["1", "2"])?;
    let books = server.stop_and_report()?.tasks()?;
    check((books.restored, books.finished) == (1, 1), format!("{books:?}"))
}

/// Somebody removes the file of a running server: the next task brings it back, with what it had.
#[test]
fn a_file_that_vanishes_is_made_again() -> TestResult {
    let scratch = Scratch::new("journal-gone")?;
    let path = scratch.path("tasks");
    let server = start(keeping(&path))?;
    let mut talk = Talk::new(&server)?;
    talk.expect_answer("after 3600000 keep echo x", "kept")?;
    std::fs::remove_file(&path)?;
    talk.expect_answer("after 3600000 keep echo y", "kept")?;
    kill(server)?;
    let books = start(keeping(&path))?.stop_and_report()?.tasks()?;
    check(books.restored == 2, format!("{books:?}"))
}
