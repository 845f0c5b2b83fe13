//! Workers that are slow, or die: what is told of them, and that telling it disturbs nobody.
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)] // a test that cannot go on

mod talk;

use ostler_testkit::{ServerBuilder, Signal, TestResult, TestServer};
use talk::{Scratch, Talk, probe, small_probe};

const SLOW: &str = "slow request";

/// A server that tells each callback that runs for 50 ms, in the log.
fn watchful(mode: &str) -> ServerBuilder {
    small_probe().set("mode", mode).set("request_slowlog_timeout_ms", 50).expect_log(SLOW)
}

fn slow_line(server: &TestServer) -> TestResult<String> {
    server.wait_for_log(SLOW)
}

/// A command that waits for [`tell`].
fn until(server: &TestServer) -> String {
    format!("until {}", server.directory().join("told").display())
}

fn tell(server: &TestServer) -> TestResult {
    Ok(std::fs::write(server.directory().join("told"), "")?)
}

/// How many slow requests were told.
fn told(server: &TestServer) -> usize {
    server.log_lines_with(SLOW).len()
}

#[test]
fn a_callback_that_sleeps_is_told_with_its_client_and_its_stack_and_goes_on() -> TestResult {
    let ways = [("process", "fork"), ("base", "fork"), ("process", "exec"), ("base", "exec")];
    for (mode, start) in ways {
        let server = watchful(mode).set("start", start).start()?;
        let mut talk = Talk::new(&server)?;
        let session = talk.number("id")?;
        talk.say(&until(&server))?;
        let line = slow_line(&server)?;
        let session = format!("session={session}");
        for part in
            ["callback=on_receive", "port=main", &session, "queue_ms=", "elapsed_ms=", "state="]
        {
            assert!(line.contains(part), "{part} in {line}");
        }
        assert!(line.contains("probe::process::run") && line.contains("process.rs:"), "{line}");
        let peer = format!("peer={}", talk.client.local_address()?);
        assert!(line.contains(&peer) || mode == "base", "{peer} in {line}");
        // Again, when its time has doubled.
        server.wait_for("it to be told again", |server| told(server) >= 3)?;
        tell(&server)?;
        assert_eq!(talk.line()?, "");
        assert_eq!(talk.ask("echo on")?, "on");
        drop(talk);
        server.stop()?;
    }
    Ok(())
}

/// Sends what never ends, and the words that the line about it has to have.
fn is_told(command: &str, words: &[&str]) -> TestResult {
    let server = watchful("process").expect_log("worker died").start()?;
    let talk = {
        let mut talk = Talk::new(&server)?;
        talk.say(command)?;
        talk
    };
    let line = slow_line(&server)?;
    for word in words {
        assert!(line.contains(word), "{word} in {line}");
    }
    server.worker(0).kill();
    talk.expect_closed();
    server.stop()
}

#[test]
fn a_callback_that_spins_is_told_with_its_stack() -> TestResult {
    is_told("spin", &["probe::process::spin", "callback=on_receive"])
}

#[test]
fn of_a_worker_that_blocks_its_signals_the_reason_is_told() -> TestResult {
    is_told("deafspin", &["no_stack=", "blocks the signal"])
}

#[test]
fn a_worker_that_is_stopped_is_read_from_outside_where_that_is_allowed() -> TestResult {
    let server = watchful("process").start()?;
    let mut talk = Talk::new(&server)?;
    talk.say(&until(&server))?;
    slow_line(&server)?;
    server.worker(0).stop()?;
    let stopped = server.wait_for_log("state=stopped")?;
    // From outside not all registers are known: behind the sure frames may be a guess, which is
    // marked.
    let was_read = stopped.contains("std::thread::functions::sleep");
    let goes_on = stopped.contains("probe::words::wait_for_file") || stopped.contains(" < ?");
    assert!(was_read && goes_on || stopped.contains("cannot be read"), "{stopped}");
    server.worker(0).signal(Signal::CONT);
    tell(&server)?;
    assert_eq!(talk.line()?, "");
    drop(talk);
    server.stop()
}

#[test]
fn a_system_call_of_user_code_is_not_interrupted() -> TestResult {
    let server = watchful("process").start()?;
    let mut talk = Talk::new(&server)?;
    let pipe = server.directory().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU)?;
    talk.say(&format!("block {}", pipe.display()))?;
    // While it opens the pipe, and while it reads from it.
    server.wait_for("it to be told twice", |server| told(server) >= 2)?;
    let mut writer = std::fs::OpenOptions::new().write(true).open(&pipe)?;
    let before = told(&server);
    server.wait_for("it to be told again", |server| told(server) > before)?;
    std::io::Write::write_all(&mut writer, b"x")?;
    assert_eq!(talk.line()?, "read 1");
    drop(talk);
    server.stop()
}

#[test]
fn traces_without_end_disturb_neither_workers_nor_books() -> TestResult {
    const ROUNDS: usize = 40;
    let scratch = Scratch::new("traces")?;
    let server = probe()
        .set("workers", 2)
        .set("request_slowlog_timeout_ms", 1)
        .set("request_slowlog_file", scratch.path("slow").display())
        .start()?;
    let mut talks: Vec<Talk> = (0..4).map(|_| Talk::new(&server)).collect::<TestResult<_>>()?;
    for round in 0..ROUNDS {
        for talk in &mut talks {
            talk.say(&format!("sleep 30 {round}"))?;
        }
        for talk in &mut talks {
            assert_eq!(talk.line()?, round.to_string());
        }
    }
    server.wait_for("traces", |_| !scratch.lines("slow").is_empty())?;
    drop(talks);
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.finished as usize, 4 * ROUNDS, "{books}");
    Ok(())
}

/// Whether a process waits in the kernel.
fn sleeps(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('S'))
}

/// The object that is told of a death that this command brings.
fn death_by(command: &str, logged: &[&str]) -> TestResult<String> {
    let scratch = Scratch::new("death")?;
    let file = scratch.path("deaths");
    let server = small_probe().set("death_log_file", file.display()).expect_log("worker died");
    let server = logged.iter().fold(server, |server, text| server.expect_log(text)).start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("echo warm")?, "warm");
    if command == "kill" {
        // Its answer is there before its callback has returned.
        server.wait_for("the worker to sleep", |server| sleeps(server.worker(0).pid()))?;
        server.worker(0).kill();
    } else {
        talk.say(command)?;
        talk.expect_closed();
    }
    server.wait_for("a record", |_| !scratch.lines("deaths").is_empty())?;
    let lines = scratch.lines("deaths");
    server.stop()?;
    Ok(lines[0].clone())
}

fn expect_words(record: &str, words: &[&str]) {
    for word in words {
        assert!(record.contains(word), "{word} in {record}");
    }
}

#[test]
fn a_panic_is_told_with_its_message_and_its_stack() -> TestResult {
    let record = death_by("panic out of cheese", &["panicked"])?;
    expect_words(&record, &["\"cause\":\"panicked: told to panic: out of cheese (", "\"count\":1"]);
    expect_words(&record, &["\"stack\":[\"probe::process::run ", "\"callback\":\"on_receive\""]);
    Ok(())
}

#[test]
fn an_abort_is_told_with_its_stack() -> TestResult {
    let record = death_by("abort", &[])?;
    expect_words(&record, &["\"cause\":\"aborted (SIGABRT)\"", "probe::process::run "]);
    Ok(())
}

#[test]
fn an_overflow_of_the_stack_is_told_as_such() -> TestResult {
    let record = death_by("overflow", &["overflowed its stack", "stack overflow, aborting"])?;
    expect_words(&record, &["\"cause\":\"stack overflow (", "probe::process::descend"]);
    Ok(())
}

#[test]
fn an_exit_and_a_kill_have_their_causes() -> TestResult {
    let record = death_by("exit 9", &[])?;
    expect_words(&record, &["\"cause\":\"exited with code 9\"", "\"stack\":[]"]);
    let record = death_by("kill", &[])?;
    expect_words(&record, &["\"cause\":\"SIGKILL, which the server did not send\""]);
    expect_words(&record, &["\"age_ms\":", "\"memory_peak_kib\":", "\"no_stack\":"]);
    assert!(!record.contains("callback"), "it was idle: {record}");
    Ok(())
}

/// The value of a number in an object.
fn number(record: &str, name: &str) -> u64 {
    let text = record.split(&format!("\"{name}\":")).nth(1).unwrap_or("0");
    text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
}

#[test]
fn a_crash_storm_is_a_few_records_that_count_the_others() -> TestResult {
    const DEATHS: usize = 12;
    let scratch = Scratch::new("storm")?;
    let server = probe()
        .set("workers", 1)
        .set("fork_interval_ms", 0)
        .set("death_log_file", scratch.path("deaths").display())
        .expect_log("worker died")
        .expect_log("workers die often")
        .start()?;
    for _ in 0..DEATHS {
        let mut talk = Talk::new(&server)?;
        talk.say("abort")?;
        talk.expect_closed();
    }
    let told = || {
        let records = scratch.lines("deaths");
        records.iter().map(|record| 1 + number(record, "more")).sum::<u64>()
    };
    server.wait_for("all to be told or counted", |_| told() as usize >= DEATHS)?;
    let records = scratch.lines("deaths");
    assert_eq!(told() as usize, DEATHS, "{records:#?}");
    assert_eq!(number(records.last().unwrap(), "count") as usize, DEATHS, "{records:#?}");
    server.stop()
}
