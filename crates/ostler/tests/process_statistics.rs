//! What a server tells about itself while it runs: every figure against what was done
//! (`tests/programs/observer.rs`).
#![allow(clippy::panic, clippy::indexing_slicing)] // a test that cannot go on

mod support;
#[path = "talk/mod.rs"]
mod talk;

use ostler_testkit::{ServerBuilder, TestResult, TestServer};
use support::{check, wait_lines, wait_serving};
use talk::Talk;

fn observer(workers: u16) -> ServerBuilder {
    TestServer::example("observer")
        .set("workers", workers)
        .set("lane_size", 65_536)
        .set("send_queue_max", "64MiB")
        .env("RUST_BACKTRACE", "0")
}

fn start(builder: ServerBuilder, workers: usize) -> TestResult<TestServer> {
    let server = builder.start()?;
    wait_serving(&server, workers)?;
    wait_lines(&server, "runs process=", 2)?;
    Ok(server)
}

/// Orders a look, and checks what was seen.
fn see(talk: &mut Talk, figures: &str) -> TestResult {
    let answer = talk.ask(&format!("see {figures}"))?;
    check(answer == "seen", format!("{figures}: {answer}"))
}

/// Packages, sessions and bytes are counted to the last one, in each mode.
fn counts_what_clients_do(builder: ServerBuilder, workers: usize) -> TestResult {
    let server = start(builder, workers)?;
    let mut talk = Talk::new(&server)?;
    see(&mut talk, "open=1 accepted=1 closed=0 received=1 finished=0 in_hand=1 answers=0")?;
    let mut others = Vec::new();
    for _ in 0..4 {
        let mut other = Talk::new(&server)?;
        other.expect_answer("echo hello", "hello")?; // 11 bytes in, 6 out
        others.push(other);
    }
    let first = "see open=1 accepted=1 closed=0 received=1 finished=0 in_hand=1 answers=0\n".len();
    let look = "open=5 accepted=5 received=6 finished=5 in_hand=1 answers=5 closed_by=0 refused=0";
    let bytes_in = |look: &str, before: usize| before + "see \n".len() + look.len();
    // The look counts itself: its own bytes are the last of those that came.
    let mut line = format!("{look} bytes_out={} bytes_in=", 4 * 6 + "seen\n".len());
    let sum = bytes_in(&line, first + 4 * 11);
    line = format!("{line}{}", sum + sum.to_string().len());
    see(&mut talk, &line)?;
    others[0].say("close")?;
    others[0].client.expect_eof()?;
    drop(others);
    see(&mut talk, "open=1 closed=4 because_worker=1 because_peer=3 received=8 finished=7")?;
    server.stop()
}

#[test]
fn a_server_with_one_reactor_counts_what_clients_do() -> TestResult {
    counts_what_clients_do(observer(2).set("reactors", 1), 2)
}

#[test]
fn a_server_with_several_reactors_counts_what_clients_do() -> TestResult {
    counts_what_clients_do(observer(2).set("reactors", 3), 2)
}

#[test]
fn processes_that_serve_clients_themselves_count_what_they_do() -> TestResult {
    counts_what_clients_do(observer(3).set("mode", "base"), 3)
}

/// The same is read by processes of every kind, and each kind of thing is counted.
#[test]
fn every_process_reads_what_tasks_and_messages_come_to() -> TestResult {
    let server = start(observer(2).set("reactors", 2).set("task_workers", 2), 2)?;
    wait_lines(&server, "takes tasks", 2)?;
    let mut talk = Talk::new(&server)?;
    let shape = "workers=2 task_workers=2 user_processes=1 reactors=2 started=6 deaths=0";
    see(&mut talk, &format!("{shape} asked=0 sent=0"))?;
    talk.expect_answer("tasks 30", "asked")?;
    see(&mut talk, "asked=30 tasks_finished=30 tasks_open=0")?;
    for (number, slot) in ["t0", "t1", "u0", "c"].into_iter().enumerate() {
        talk.expect_answer(&format!("tell {slot}"), "told")?;
        let sent = 2 * number + 2;
        let look = format!("see-in {slot} {shape} sent={sent} asked=30 open=1");
        talk.expect_answer(&look, "seen")?;
    }
    let messages = server.stop_and_report()?.messages()?;
    check(messages.get("delivered") == 8, format!("{messages:?}"))
}

/// Deaths are counted, and what was counted before them stays.
#[test]
fn figures_outlive_workers_and_managers() -> TestResult {
    let texts = ["died", "the manager died", "closed", "die often"];
    let deadly =
        |builder: ServerBuilder| texts.into_iter().fold(builder, ServerBuilder::expect_log);
    for mode in ["process", "base"] {
        let server = start(deadly(observer(2).set("reactors", 1).set("mode", mode)), 2)?;
        let mut talk = Talk::new(&server)?;
        see(&mut talk, "received=1 deaths=0 manager_deaths=0 reloads_begun=0")?;
        let mut doomed = Talk::new(&server)?;
        doomed.say("abort")?;
        doomed.client.expect_closed()?;
        // Its session has ended with it, in BASE mode others too.
        wait_serving(&server, 3)?;
        let mut talk = Talk::new(&server)?;
        see(&mut talk, "deaths=1 worker_deaths=1 received=3 finished=1 closed_by=1 in_hand=1")?;
        talk.expect_answer("reload", "reloads")?;
        server.wait_for_log("reload finished")?;
        let mut talk = Talk::new(&server)?;
        see(&mut talk, "reloads_begun=1 reloads_done=1 reloads_failed=0 deaths=1 received=5")?;
        // The companion is replaced too, behind the workers.
        wait_lines(&server, "runs process=", 3)?;
        // Two workers, the user process and the companion die with it, and nobody else.
        server.manager().kill();
        server.wait_for_log("its spare takes its place")?;
        wait_serving(&server, 7)?;
        let mut talk = Talk::new(&server)?;
        see(&mut talk, "deaths=5 worker_deaths=3 manager_deaths=1 reloads_begun=1")?;
        server.stop()?;
    }
    Ok(())
}

/// Output that a client does not read is counted as long as it waits.
#[test]
fn output_that_waits_is_told() -> TestResult {
    let server = start(observer(1).set("reactors", 1).set("max_send_bytes", "32MiB"), 1)?;
    let mut talk = Talk::new(&server)?;
    let mut slow = Talk::new(&server)?;
    slow.say("bytes 16000000")?;
    // From here on the worker is at it, and answers others when all of it is taken in.
    let begin = slow.client.read_exactly(1)?;
    let mut unsent = String::from("0");
    for _ in 0..1_000 {
        if unsent == "0" {
            unsent = talk.ask("figure unsent")?;
        }
    }
    check(unsent != "0", "the output that waits is not told")?;
    check(slow.line()?.len() + begin.len() == 16_000_000, "not all of it came")?;
    see(&mut talk, "unsent=0")?;
    drop(slow);
    see(&mut talk, "open=1 unsent=0")?;
    server.stop()
}
