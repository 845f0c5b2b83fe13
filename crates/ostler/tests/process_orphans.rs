//! Programs that workers have started and left behind: when they end (`kill_orphans`).

mod support;
mod talk;

use ostler_testkit::{DEADLINE, Process, Signal, TestError, TestResult, TestServer};
use support::{check, wait_serving};
use talk::{Talk, small_probe};

fn server(kill_orphans: &str, mode: &str) -> TestResult<TestServer> {
    let server = small_probe().expect_log("worker died").expect_log("the manager died");
    let server = server.expect_log("spare manager died");
    let server = match mode {
        "base" => server.unset("reactors"),
        _ => server,
    };
    let server = server.set("mode", mode).set("kill_orphans", kill_orphans).start()?;
    wait_serving(&server, 1)?;
    Ok(server)
}

/// A program that the worker of the server starts now, by this command of the probe.
fn started(server: &TestServer, command: &str) -> TestResult<Process> {
    let pid = u32::try_from(Talk::new(server)?.number(command)?).unwrap_or(0);
    let known = server.tree().processes();
    let program = known.into_iter().find(|process| process.pid() == pid);
    program.ok_or_else(|| TestError::new(format!("no process {pid} was started")))
}

/// Kills the worker and waits for its successor.
fn lose_worker(server: &TestServer) -> TestResult {
    let serving = server.log_lines_with("serves worker=").len();
    server.worker(0).kill();
    wait_serving(server, serving + 1)
}

#[test]
fn a_program_lives_on_without_its_worker_and_ends_with_the_server() -> TestResult {
    for kill_orphans in ["end", "always"] {
        let server = server(kill_orphans, "process")?;
        let program = started(&server, "start")?;
        lose_worker(&server)?;
        check(program.is_alive(), format!("{kill_orphans}: it has ended with its worker"))?;
        server.stop()?;
        check(!program.is_alive(), format!("{kill_orphans}: it outlives the server"))?;
    }
    Ok(())
}

#[test]
fn a_program_ends_with_its_worker() -> TestResult {
    for mode in ["process", "base"] {
        let server = server("worker", mode)?;
        let program = started(&server, "start")?;
        server.worker(0).kill();
        program.wait_gone(DEADLINE)?;
        check(Talk::new(&server)?.ask("echo on")? == "on", "the server does not go on")?;
        server.stop()?;
    }
    Ok(())
}

#[test]
fn what_a_program_has_started_ends_with_the_worker_too() -> TestResult {
    let server = server("worker", "process")?;
    let shell = started(&server, "startdeep")?;
    let is_sleep = |process: &Process| process.comm().is_ok_and(|name| name == "sleep");
    let sleeper = || server.tree().processes().into_iter().find(is_sleep);
    server.wait_for("the program of the program", |_| sleeper().is_some())?;
    let sleeper = sleeper().ok_or_else(|| TestError::new("it was there"))?;
    server.worker(0).kill();
    shell.wait_gone(DEADLINE)?;
    sleeper.wait_gone(DEADLINE)?;
    server.stop()
}

/// A program of one worker is nobody's orphan while that lives.
#[test]
fn programs_of_other_workers_are_let_alone() -> TestResult {
    let server = small_probe().set("workers", 2).set("kill_orphans", "worker");
    let server = server.expect_log("worker died").start()?;
    wait_serving(&server, 2)?;
    let mut talk = Talk::new(&server)?;
    let whose = talk.ask("whoami")?;
    let program = u32::try_from(talk.number("start")?).unwrap_or(0);
    let owner = |process: &Process| whose.ends_with(&format!(" {}", process.pid()));
    // The second question may have been another worker's; then this proves less, and is no error.
    let other = server.workers().into_iter().find(|process| !owner(process));
    let other = other.ok_or_else(|| TestError::new("there is one worker only"))?;
    let parent = std::fs::read_to_string(format!("/proc/{program}/stat"))?;
    let is_of_other = parent.split(' ').nth(3) == Some(&other.pid().to_string());
    other.kill();
    wait_serving(&server, 3)?;
    let lives = std::path::Path::new(&format!("/proc/{program}")).exists();
    check(lives != is_of_other, "a living worker has lost its program")?;
    server.stop()
}

#[test]
fn no_program_outlives_a_master_that_is_killed() -> TestResult {
    for (kill_orphans, mode) in [("always", "process"), ("worker", "process"), ("always", "base")] {
        let server = server(kill_orphans, mode)?;
        let programs = [started(&server, "start")?, started(&server, "startdeep")?];
        // One has lost its parent already, if it may.
        lose_worker(&server)?;
        let last = started(&server, "start")?;
        server.master().kill();
        programs.iter().chain([&last]).try_for_each(|program| program.wait_gone(DEADLINE))?;
        server.wait_end()?;
    }
    Ok(())
}

/// The manager ends them: when the master ends the kernel lets it go on.
#[test]
fn a_stopped_manager_ends_programs_all_the_same() -> TestResult {
    let server = server("always", "process")?;
    let program = started(&server, "start")?;
    server.manager().stop()?;
    server.master().kill();
    program.wait_gone(DEADLINE)?;
    server.wait_end().map(drop)
}

/// They are the master's children then, which could end them only while it lives.
#[test]
fn a_manager_takes_programs_along() -> TestResult {
    let server = server("always", "process")?;
    let program = started(&server, "start")?;
    server.manager().kill();
    program.wait_gone(DEADLINE)?;
    wait_serving(&server, 2)?;
    check(Talk::new(&server)?.ask("echo on")? == "on", "the server does not go on")?;
    server.stop()
}

/// Waits for something, and has said all that it had to say before that.
fn is_asleep(process: &Process) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))
}

/// The master hears of its manager's death before it has read who the spare is: both happen while
/// it stands still, and a signal from outside comes first.
#[test]
fn a_spare_of_which_the_master_has_not_read_yet_is_no_orphan() -> TestResult {
    let server = server("always", "process")?;
    let (master, manager, old) = (server.master(), server.manager(), server.spare());
    master.stop()?;
    master.signal(Signal::ALARM);
    old.kill();
    server.wait_for("a new spare", |server| server.tree().spare().is_some_and(|now| now != old))?;
    server.wait_for("the manager to tell of it", |_| is_asleep(&manager))?;
    let spare = server.spare();
    manager.kill();
    manager.wait_gone(DEADLINE)?;
    master.cont()?;
    wait_serving(&server, 2)?;
    check(server.manager() == spare, "somebody else is the manager")?;
    check(Talk::new(&server)?.ask("echo on")? == "on", "the server does not go on")?;
    server.stop()
}
