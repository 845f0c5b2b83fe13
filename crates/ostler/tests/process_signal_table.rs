//! The table of docs/guide/signals.md: every signal is sent to every process, and has the effect
//! that stands there.
#![allow(clippy::panic, clippy::indexing_slicing)] // a test that cannot go on

mod support;

use std::process::Command;

use ostler_testkit::{Client, Process, Signal, TestError, TestResult, TestServer};
use support::{check, echo, round_trip, start, wait_lines, wait_serving};

const PAGE: &str = include_str!("../../../docs/guide/signals.md");
const PROCESSES: [&str; 4] = ["master", "manager", "spare", "worker"];

/// What happens to which process by which signals.
struct Row {
    signals: Vec<String>,
    effects: Vec<String>,
}

fn cells(line: &str) -> Vec<String> {
    line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// The rows of the first table.
fn table() -> Vec<Row> {
    let lines: Vec<&str> = PAGE
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .collect();
    let [head, _, rows @ ..] = lines.as_slice() else { panic!("no table") };
    assert_eq!(cells(head).get(1..), Some(PROCESSES.map(str::to_owned).as_slice()));
    let row = |line: &&str| {
        let mut effects = cells(line);
        let signals = effects.remove(0);
        let signals = signals.split(", ").map(|signal| signal.trim_matches('`').to_owned());
        Row { signals: signals.collect(), effects }
    };
    rows.iter().map(row).collect()
}

/// By the shell, because the test kit's signals have no real-time ones.
fn send(process: &Process, signal: &str) -> TestResult {
    let output =
        Command::new("bash").args(["-c", &format!("kill -{signal} {}", process.pid())]).output()?;
    check(output.status.success(), format!("{signal}: {output:?}"))
}

fn of(server: &TestServer, process: &str) -> Process {
    match process {
        "master" => server.master(),
        "manager" => server.manager(),
        "spare" => server.spare(),
        _ => server.worker(0),
    }
}

fn server() -> TestResult<TestServer> {
    let server = echo(1, 1).expect_log("died").expect_log("the manager died");
    start(server.expect_log("the spare died"), 1)
}

/// Sends a signal that does something, and sees it.
fn has_effect(signal: &str, process: &str, effect: &str) -> TestResult {
    let server = match effect {
        // Whether it stops depends on the terminal.
        "as usual" => return Ok(()),
        "one worker more" | "one worker less" => start(echo(2, 1).set("workers_max", 3), 2)?,
        // Its client stays, so that the old master does.
        "a new master takes over" => start(echo(1, 1).set("succession_sessions", "drain"), 1)?,
        _ => server()?,
    };
    let mut client = server.connect()?;
    round_trip(&mut client, "before")?;
    // With an answer the package is not over yet, and its client is closed with who has it.
    let mut behind = server.connect()?;
    round_trip(&mut behind, "behind")?;
    drop(behind);
    let victim = of(&server, process);
    send(&victim, signal)?;
    if matches!(signal, "SEGV" | "BUS") {
        // Rust's own handler lets the process go on after the first, to fault again if it did.
        let _ = send(&victim, signal);
    }
    match effect {
        "drains" | "asks the master to drain" => {
            let ended = server.wait_end()?;
            check(!ended.log().lines_with("draining").is_empty(), "it did not drain")?;
            return check(ended.code() == Some(0), format!("{:?}", ended.code()));
        }
        "ends now" => {
            let ended = server.wait_end()?;
            return check(ended.code() == Some(0), format!("{:?}", ended.code()));
        }
        "the server ends" => {
            let ended = server.wait_end()?;
            return check(ended.code().is_none(), "the master ended in order");
        }
        "reloads" => {
            server.wait_for_log("reload finished: every worker is new")?;
        }
        "opens the log anew" => drop(server.wait_for_log("the log goes on in the file")?),
        "one worker more" => wait_serving(&server, 3)?,
        "one worker less" => server.wait_for("it to go", |server| server.workers().len() == 1)?,
        "is replaced" => wait_serving(&server, 2)?,
        "the spare takes over" => {
            server.wait_for("a new manager", |server| server.manager().pid() != victim.pid())?;
            wait_serving(&server, 2)?;
        }
        "a new master takes over" => return is_followed(server, client),
        "another is forked" => {
            server.wait_for("a new spare", |server| server.spare().pid() != victim.pid())?;
        }
        other => return Err(TestError::new(format!("no test knows the effect {other:?}"))),
    }
    round_trip(&mut client, "after")?;
    server.stop()
}

/// The client stays; the new master is a server of its own, which a signal ends.
fn is_followed(server: TestServer, mut client: Client) -> TestResult {
    server.wait_for_log("the new master serves")?;
    let started = server.wait_for_log("a new master is started")?;
    let pid = started.split(" pid=").nth(1).and_then(|rest| rest.split(' ').next());
    let pid = pid.ok_or_else(|| TestError::new(started.clone()))?;
    let output = Command::new("bash").args(["-c", &format!("kill -TERM {pid}")]).output()?;
    check(output.status.success(), format!("{output:?}"))?;
    server.wait_for_log("the new master is gone")?;
    round_trip(&mut client, "after")?;
    drop(client);
    let ended = server.wait_end()?;
    check(ended.code() == Some(0), format!("{:?}", ended.code()))
}

#[test]
fn every_signal_has_the_effect_that_the_table_says() -> TestResult {
    for row in table() {
        for (process, effect) in PROCESSES.iter().zip(&row.effects) {
            for signal in row.signals.iter().filter(|_| effect != "nothing") {
                has_effect(signal, process, effect).map_err(|error| {
                    TestError::new(format!("{signal} to {process}, {effect:?}: {error}"))
                })?;
            }
        }
    }
    Ok(())
}

#[test]
fn what_has_no_effect_disturbs_nobody() -> TestResult {
    let server = server()?;
    let mut client = server.connect()?;
    let everybody = PROCESSES.map(|process| of(&server, process));
    let mut sent = 0;
    for row in table() {
        for (at, process) in everybody.iter().enumerate() {
            let is_nothing = row.effects.get(at).is_some_and(|effect| effect == "nothing");
            for signal in row.signals.iter().filter(|_| is_nothing) {
                send(process, signal)?;
                round_trip(&mut client, signal)?;
                check(process.is_alive(), format!("{signal} ended {process}"))?;
                sent += 1;
            }
        }
    }
    check(sent > 60, format!("only {sent} were sent"))?;
    check(server.log_lines_with("reload").is_empty(), "somebody reloads")?;
    // Who has taken them all serves on: a reload needs master and manager, its end a worker.
    server.signal(Signal::USR1);
    wait_lines(&server, "reload finished: every worker is new", 1)?;
    check(of(&server, "manager").pid() == everybody[1].pid(), "another manager")?;
    check(of(&server, "spare").pid() == everybody[2].pid(), "another spare")?;
    round_trip(&mut client, "after")?;
    server.stop()
}
