//! The operator's socket: what is asked there, what is done, and who is kept out.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)] // a test that cannot go on

mod calls;
mod certificates;
#[path = "../process_user/crew.rs"]
#[allow(dead_code)] // the tests of user processes use the rest of it
mod crew;
#[path = "../daemon/mod.rs"]
mod daemon;
#[path = "../deployed/mod.rs"]
mod deployed;
#[path = "../encrypted/mod.rs"]
mod encrypted;
mod hostile;
mod operator;
mod renewals;
mod succession;
#[path = "../support/mod.rs"]
mod support;
#[path = "../talk/mod.rs"]
mod talk;

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use operator::Operator;
use ostler_testkit::{DEADLINE, ServerBuilder, TestResult, TestServer, wait_until};
use support::{check, wait_lines, wait_serving};
use talk::{Scratch, Talk, probe, small_probe};

fn with(server: ServerBuilder, path: &Path) -> ServerBuilder {
    server.set("operator_socket", path.display())
}

fn start(server: ServerBuilder, path: &Path, workers: usize) -> TestResult<TestServer> {
    let server = with(server, path).start()?;
    wait_serving(&server, workers)?;
    Ok(server)
}

/// The names in the directory of a file.
fn beside(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path.parent().unwrap()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// Who it is, and its figures, while a client is there.
fn tells_of_itself(server: ServerBuilder, mode: &str) -> TestResult {
    let scratch = Scratch::new("operator-tells")?;
    let path = scratch.path("operator");
    let server = start(server, &path, 2)?;
    let mut talk = Talk::new(&server)?;
    talk.expect_answer("echo x", "x")?;
    let mut operator = Operator::new(&path)?;
    let status = operator.done("status")?;
    check(status["pid"] == server.master().pid() && status["mode"] == mode, status.to_string())?;
    check(status["phase"] == "serves" && status["connections"] == 1, status.to_string())?;
    let port = status["ports"]["main"].as_str().unwrap_or_default();
    check(port.contains(&server.address().to_string()), status.to_string())?;
    // They are at most a millisecond older than the question.
    wait_until("the figures", || {
        let stats = operator.done("stats").unwrap_or_default();
        let counts = [&stats["connections"]["accepted"], &stats["packages"]["finished"]];
        counts == [1, 1] && stats["server"]["workers"] == 2
    })?;
    let processes = operator.done("processes")?;
    let pids: Vec<_> = server.workers().iter().map(|worker| worker.pid()).collect();
    let shown = processes.as_array().unwrap().iter().map(|it| it["pid"].as_u64().unwrap() as u32);
    check(shown.collect::<Vec<_>>() == pids, processes.to_string())?;
    let times = operator.done("times")?;
    check(times["ports"]["main"]["took"]["count"] == 1, times.to_string())?;
    let handled = |slot: &str| times["slots"][slot]["took"]["count"].as_u64().unwrap();
    check(handled("w0") + handled("w1") == 1, times.to_string())?;
    check(operator.done("check")? == "the books balance", "the books")?;
    let help = operator.done("help")?;
    check(help.as_object().unwrap().len() == 14, help.to_string())?;
    server.stop()?;
    check(beside(&path).is_empty(), format!("{:?}", beside(&path)))
}

#[test]
fn a_server_tells_of_itself() -> TestResult {
    tells_of_itself(probe(), "process")
}

#[test]
fn a_server_whose_workers_have_the_clients_tells_of_itself() -> TestResult {
    tells_of_itself(TestServer::example("probe").set("workers", 2).set("mode", "base"), "base")
}

/// Only its user and root: by the file's mode, from the moment when it can be found.
#[test]
fn others_have_no_access() -> TestResult {
    let scratch = Scratch::new("operator-mode")?;
    let path = scratch.path("operator");
    let server = start(small_probe(), &path, 1)?;
    let found = std::fs::symlink_metadata(&path)?;
    check(found.file_type().is_socket(), "it is a socket")?;
    let mode = found.permissions().mode() & 0o777;
    check(mode == 0o600, format!("{mode:o}"))?;
    server.stop()
}

#[test]
fn a_reload_is_answered_when_it_is_over_with_what_is_new() -> TestResult {
    let scratch = Scratch::new("operator-reload")?;
    let path = scratch.path("operator");
    let server = start(probe(), &path, 2)?;
    let before: Vec<_> = server.workers().iter().map(|worker| worker.pid()).collect();
    let mut operator = Operator::new(&path)?;
    let done = operator.done("reload")?;
    check(done["is_new"] == serde_json::json!({ "w0": true, "w1": true }), done.to_string())?;
    wait_lines(&server, "reload finished: every worker is new asked_by=\"an operator\"", 1)?;
    server.wait_for("the old workers to leave", |server| {
        server.workers().iter().all(|worker| !before.contains(&worker.pid()))
    })?;
    server.stop()
}

/// Nothing changes, and the operator learns which worker did not start, and why.
#[test]
fn a_reload_that_fails_is_answered_with_the_reason() -> TestResult {
    let scratch = Scratch::new("operator-canary")?;
    let (path, broken) = (scratch.path("operator"), scratch.path("broken"));
    let server = small_probe().env("PROBE_FAIL_START_IF_EXISTS", &broken);
    let server = server.expect_log("worker could not start").expect_log("aborted, the first");
    let server = start(server, &path, 1)?;
    std::fs::write(&broken, "")?;
    let mut operator = Operator::new(&path)?;
    let answer = operator.ask("reload")?;
    let why = answer["error"].as_str().unwrap_or_default();
    check(answer["ok"] == false && why.contains("w0, did not start"), answer.to_string())?;
    check(answer["is_new"]["w0"] == false, answer.to_string())?;
    std::fs::remove_file(&broken)?;
    Talk::new(&server)?.expect_answer("echo x", "x")?;
    server.stop()
}

#[test]
fn the_number_of_workers_changes_within_its_bounds() -> TestResult {
    let scratch = Scratch::new("operator-workers")?;
    let path = scratch.path("operator");
    let server = start(probe().set("workers_min", 1).set("workers_max", 3), &path, 2)?;
    let mut operator = Operator::new(&path)?;
    check(operator.done("workers 3")?["workers"] == 3, "three")?;
    server.wait_for("a third worker", |server| server.workers().len() == 3)?;
    check(operator.done("workers 3")?["workers"] == 3, "as many as there are")?;
    let refused = operator.refused("workers 4")?;
    check(refused.contains("1 to 3"), refused)?;
    check(operator.done("status")?["workers"] == 3, "nothing has changed")?;
    server.stop()
}

/// Whoever asks for the end reads that it comes; what is in hand is finished before.
#[test]
fn the_end_comes_in_order() -> TestResult {
    let scratch = Scratch::new("operator-stop")?;
    let path = scratch.path("operator");
    let server = start(small_probe(), &path, 1)?;
    let mut talk = Talk::new(&server)?;
    talk.expect_answer("echo x", "x")?;
    let mut operator = Operator::new(&path)?;
    check(operator.done("stop")? == "the server ends", "the answer")?;
    let master = server.master();
    master.wait_gone(DEADLINE)?;
    let ended = server.wait_end()?;
    check(ended.code() == Some(0), format!("{:?}", ended.code()))?;
    ended.check_books()?;
    check(beside(&path).is_empty(), format!("{:?}", beside(&path)))
}

/// The program that serves also asks: `--ask`.
#[test]
fn a_program_asks_the_server_that_runs() -> TestResult {
    let scratch = Scratch::new("operator-asks")?;
    let path = scratch.path("operator");
    let program = TestServer::example_path("chat")?;
    let ask = |request: &str| -> TestResult<(Option<i32>, String, String)> {
        let socket = format!("--operator-socket={}", path.display());
        let output = Command::new(&program).args([&socket, "--ask", request]).output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
    };
    let (code, _, why) = ask("status")?;
    check(code == Some(4) && why.contains("no server runs with it"), why)?;
    let server = start(small_probe(), &path, 1)?;
    let (code, said, why) = ask("check")?;
    check(code == Some(0) && why.is_empty(), format!("{code:?} {said} {why}"))?;
    check(said == "{\"ok\":true,\"result\":\"the books balance\"}\n", said)?;
    let (code, said, _) = ask("chekc")?;
    check(code == Some(1) && said.contains("did you mean `check`?"), said)?;
    let (code, said, _) = ask("reload")?;
    check(code == Some(0) && said.contains("\"w0\":true"), said)?;
    server.stop()
}

/// As after a rotation.
#[test]
fn the_log_file_is_opened_anew() -> TestResult {
    let scratch = Scratch::new("operator-log")?;
    let (path, log) = (scratch.path("operator"), scratch.path("log"));
    let server = with(small_probe(), &path).set("log_file", log.display()).start()?;
    let mut operator = Operator::new(&path)?;
    operator.done("status")?;
    std::fs::rename(&log, scratch.path("log.1"))?;
    operator.done("reopen")?;
    check(log.exists(), "there is a new one")?;
    operator.done("workers 1")?;
    let said = std::fs::read_to_string(&log)?;
    check(said.contains("an operator asks"), said)?;
    // The checks of a log read the standard error, which has nothing.
    operator.done("stop")?;
    server.wait_end()?;
    Ok(())
}

/// It is the master that answers, from memory: no worker has to be free for that.
#[test]
fn a_server_whose_workers_are_all_stuck_tells_of_itself() -> TestResult {
    let scratch = Scratch::new("operator-stuck")?;
    let (path, go_on) = (scratch.path("operator"), scratch.path("go_on"));
    let observer = TestServer::example("observer").set("workers", 1).set("lane_size", 65_536);
    let server = start(observer, &path, 1)?;
    let mut talk = Talk::new(&server)?;
    let session = talk.number("id")?;
    talk.say(&format!("wait-for {}", go_on.display()))?;
    let mut operator = Operator::new(&path)?;
    wait_until("what runs", || {
        let processes = operator.done("processes").unwrap_or_default();
        let all = processes.as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().any(|process| process["running"]["session"] == session)
    })?;
    wait_until("its package to be in hand", || {
        operator.done("stats").is_ok_and(|stats| stats["packages"]["in_hand"] == 1)
    })?;
    check(operator.done("check")? == "the books balance", "the books")?;
    std::fs::write(&go_on, "")?;
    check(talk.line()? == "waited", "it goes on")?;
    server.stop()
}
