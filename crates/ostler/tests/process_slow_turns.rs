//! Turns of reactors that take long: told once with their stacks, whatever the master may still do,
//! and nothing waits for that. The turn is made long by a debug hook (`OSTLER_SLOW_TURN`).
#![allow(clippy::panic)] // a test that cannot go on

mod support;
mod talk;

use std::path::Path;

use ostler_testkit::{ServerBuilder, TestResult, TestServer};
use support::{check, round_trip, wait_lines, wait_serving};
use talk::{Scratch, Talk};

const TOLD: &str = "a turn of a reactor takes long";

fn watched(builder: ServerBuilder, scratch: &Scratch) -> ServerBuilder {
    builder
        .set("reactor_slowlog_timeout_ms", 50)
        .set("pid_file", scratch.path("pid").display())
        .env("OSTLER_SLOW_TURN", scratch.path("slow"))
        .expect_log(TOLD)
}

/// The next turn lasts so long. The file is there as a whole or not at all.
fn slow(scratch: &Scratch, millis: u64) -> TestResult {
    let beside = scratch.path("slow.new");
    std::fs::write(&beside, millis.to_string())?;
    Ok(std::fs::rename(beside, scratch.path("slow"))?)
}

fn is_taken(path: &Path) -> bool {
    !path.exists()
}

#[test]
fn a_slow_turn_is_told_once_with_its_stack_also_from_a_sandbox() -> TestResult {
    for (reactors, sandbox) in [(1, "off"), (2, "off"), (1, "master")] {
        let scratch = Scratch::new(&format!("slow-turn-{reactors}-{sandbox}"))?;
        let echo = TestServer::echo().set("workers", 1).set("reactors", reactors);
        let server = watched(echo, &scratch).set("sandbox", sandbox).start()?;
        wait_serving(&server, 1)?;
        let mut client = server.connect()?;
        round_trip(&mut client, "before")?;
        slow(&scratch, 1_500)?;
        // Whoever wakes the reactor waits for it, and is answered.
        round_trip(&mut client, "in a slow turn")?;
        let line = server.wait_for_log(TOLD)?;
        check(is_taken(&scratch.path("slow")), "no turn was slow")?;
        for part in ["reactor=", "elapsed_ms=", "last_as_long_as_told (", "event_loop.rs:"] {
            check(line.contains(part), format!("{part} in {line}"))?;
        }
        round_trip(&mut client, "after")?;
        drop(client);
        server.stop()?;
    }
    Ok(())
}

/// The master of BASE mode has a reactor, too, for which all processes wait.
#[test]
fn a_slow_turn_of_the_switch_is_told() -> TestResult {
    for sandbox in ["off", "master"] {
        let scratch = Scratch::new(&format!("slow-switch-{sandbox}"))?;
        let foreman = TestServer::example("foreman").set("mode", "base").set("workers", 1);
        let server = watched(foreman.set("task_workers", 1), &scratch).set("sandbox", sandbox);
        let server = server.start()?;
        wait_serving(&server, 1)?;
        wait_lines(&server, "takes tasks", 1)?;
        let mut talk = Talk::new(&server)?;
        slow(&scratch, 1_500)?;
        talk.expect_answer("wait 20000 echo slow", "slow")?;
        let line = server.wait_for_log(TOLD)?;
        check(is_taken(&scratch.path("slow")), "no turn was slow")?;
        for part in ["reactor=0", "elapsed_ms=", "last_as_long_as_told ("] {
            check(line.contains(part), format!("{part} in {line}"))?;
        }
        drop(talk);
        server.stop()?;
    }
    Ok(())
}

#[test]
fn each_of_few_is_told_and_all_are_counted() -> TestResult {
    let scratch = Scratch::new("slow-turns")?;
    let observer = TestServer::example("observer").set("workers", 1).set("reactors", 1);
    let server = watched(observer.set("lane_size", 65_536), &scratch).start()?;
    wait_serving(&server, 1)?;
    let mut talk = Talk::new(&server)?;
    for turn in 1..=3 {
        slow(&scratch, 600)?;
        talk.expect_answer("echo slow", "slow")?;
        wait_lines(&server, TOLD, turn)?;
    }
    // A busy machine may have made more of them.
    let look = |talk: &mut Talk| talk.ask("see reactor_lags=0");
    let answer = look(&mut talk)?;
    check(answer != "seen", format!("nothing is counted: {answer}"))?;
    drop(talk);
    server.stop()
}
