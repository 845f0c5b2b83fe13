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

/// Two clients of different workers, and in which slot those live.
fn two_workers(server: &TestServer) -> TestResult<[(Talk, String); 2]> {
    let mut first = Talk::new(server)?;
    let slot = first.ask("whoami")?;
    let mut others = Vec::new();
    loop {
        let mut other = Talk::new(server)?;
        let its = other.ask("whoami")?;
        if its != slot {
            return Ok([(first, slot), (other, its)]);
        }
        others.push(other);
        check(others.len() < 200, format!("{slot} serves everybody"))?;
    }
}

/// What a worker does is told by another one, while it is stuck and while it leaves; times are
/// those of the port, of the slot and of tasks.
fn shows_who_is_stuck(builder: ServerBuilder) -> TestResult {
    let server = start(builder, 2)?;
    let [(mut stuck, slot), (mut other, its)] = two_workers(&server)?;
    let session = stuck.number("id")?;
    let seen = |talk: &mut Talk, slot: &str, wanted: &str| -> TestResult {
        let answer = talk.ask(&format!("process {slot} {wanted}"))?;
        check(answer == "seen", format!("{slot} {wanted}: {answer}"))
    };
    let pid = server.worker(slot[1..].parse().unwrap_or(0)).pid();
    let go_on = server.directory().join("go-on");
    stuck.say(&format!("wait-for {}", go_on.display()))?;
    let what = format!("runs=on_receive session={session} port=0 repeated=false has_waited=true");
    seen(&mut other, &slot, &format!("{what} pid={pid} generation=1 leaving=false"))?;
    seen(&mut other, "u0", "runs=nothing requests=0")?;
    seen(&mut other, "c0", "runs=nothing")?;
    seen(&mut other, &its, "runs=on_receive busy=true shares=true")?;
    check(other.ask("process w9 nobody")? == "seen", "nobody lives there")?;
    // It leaves, and is stuck all the same; its successor is idle.
    other.expect_answer("reload", "reloads")?;
    wait_serving(&server, 4)?;
    let mut newcomer = Talk::new(&server)?;
    seen(&mut newcomer, &slot, &format!("{what} generation=1 leaving=true"))?;
    newcomer.expect_answer("pause 20", "paused")?;
    std::fs::write(&go_on, "")?;
    check(stuck.line()? == "waited", "the stuck one goes on")?;
    drop((stuck, other));
    server.wait_for_log("reload finished")?;
    // The old ones are seen no more, and what they took is remembered.
    let mut talk = Talk::new(&server)?;
    for slot in [&slot, &its] {
        seen(&mut talk, slot, "generation=2 leaving=false")?;
    }
    let answer = talk.ask(&format!("times {slot} took_ms:20=true waited_ms:600000=false"))?;
    check(answer == "seen", format!("times of {slot}: {answer}"))?;
    let answer = talk.ask("times 0 took_ms:20=true")?;
    check(answer == "seen", format!("times of the port: {answer}"))?;
    check(talk.ask("times 1 took=0 waited=0")? == "seen", "there is no second port")?;
    server.stop()
}

#[test]
fn masters_workers_show_what_they_do() -> TestResult {
    shows_who_is_stuck(observer(2).set("reactors", 1).set("dispatch", "session_hash"))
}

#[test]
fn processes_that_serve_clients_themselves_show_what_they_do() -> TestResult {
    shows_who_is_stuck(observer(2).set("mode", "base"))
}

/// Each package and each task is counted once.
#[test]
fn times_are_those_of_each_delivery() -> TestResult {
    let server = start(observer(1).set("reactors", 1).set("task_workers", 1), 1)?;
    wait_lines(&server, "takes tasks", 1)?;
    let (mut first, mut second) = (Talk::new(&server)?, Talk::new(&server)?);
    first.expect_answer("echo 1", "1")?;
    first.expect_answer("times 0 waited=1 took=1", "seen")?;
    first.expect_answer("times w0 waited=2 took=2 waited_ms:30=false", "seen")?;
    // The second one comes while the first runs, and waits.
    let begun = server.directory().join("begun");
    first.say(&format!("pause-behind 5 40 {}", begun.display()))?;
    server.wait_for("the pause", |_| begun.exists())?;
    second.expect_answer("echo 2", "2")?;
    first.expect("paused");
    first.expect_answer("times 0 waited=5 took=5 took_ms:30=true", "seen")?;
    first.expect_answer("tasks 3", "asked")?;
    first.expect_answer("times tasks waited=3 took=3", "seen")?;
    first.expect_answer("times t0 waited=3 took=3", "seen")?;
    first.expect_answer("process t0 runs=nothing requests=3 deliveries=3", "seen")?;
    server.stop()
}
