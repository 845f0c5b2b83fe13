//! The second line: what ends and what goes on when the first means do not work: workers under
//! another user id, and a spare manager that stands still.

mod support;
mod talk;

use std::time::Instant;

use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use ostler_testkit::{DEADLINE, Process, ServerBuilder, TestResult, TestServer};
use support::{check, echo, round_trip, start, wait_lines, wait_serving};
use talk::machine::may_change_ids;
use talk::{Talk, small_probe};

/// Nobody's user id.
const NOBODY: u32 = 65_534;

fn tolerant(builder: ServerBuilder) -> ServerBuilder {
    ["worker died", "the manager died", "spare manager died", "before it had finished"]
        .into_iter()
        .fold(builder, ServerBuilder::expect_log)
}

/// A server whose worker has become somebody else and is busy for ever: the kernel ends it with
/// nobody, and it hears nothing.
fn with_stray_worker() -> TestResult<(TestServer, Process, Talk)> {
    let server = start(tolerant(small_probe()), 1)?;
    let worker = server.worker(0);
    let mut talk = Talk::new(&server)?;
    talk.expect_answer(&format!("become {NOBODY}"), "ok")?;
    talk.say("spin")?;
    Ok((server, worker, talk))
}

#[test]
fn a_worker_of_another_user_does_not_outlive_master_and_manager() -> TestResult {
    if !may_change_ids() {
        return Ok(());
    }
    let (server, worker, _talk) = with_stray_worker()?;
    // It can do nothing for its workers any more.
    server.manager().stop()?;
    let killed = Instant::now();
    server.master().kill();
    worker.wait_gone(DEADLINE)?;
    println!("gone after {:?}", killed.elapsed());
    // No process, no port.
    server.wait_end().map(drop)
}

#[test]
fn a_worker_of_another_user_does_not_outlive_the_master() -> TestResult {
    if !may_change_ids() {
        return Ok(());
    }
    let (server, worker, _talk) = with_stray_worker()?;
    server.master().kill();
    worker.wait_gone(DEADLINE)?;
    server.wait_end().map(drop)
}

#[test]
fn a_worker_of_another_user_does_not_outlive_its_manager() -> TestResult {
    if !may_change_ids() {
        return Ok(());
    }
    let (server, worker, talk) = with_stray_worker()?;
    server.manager().kill();
    worker.wait_gone(DEADLINE)?;
    wait_serving(&server, 2)?;
    talk.expect_closed();
    assert_eq!(Talk::new(&server)?.ask("echo on")?, "on");
    server.stop()
}

/// A spare that was forked later guards the workers that were there before.
#[test]
fn a_new_spare_guards_old_workers() -> TestResult {
    if !may_change_ids() {
        return Ok(());
    }
    let (server, worker, _talk) = with_stray_worker()?;
    let old = server.spare();
    old.kill();
    server.wait_for("a new spare", |server| server.tree().spare().is_some_and(|now| now != old))?;
    server.manager().stop()?;
    server.master().kill();
    worker.wait_gone(DEADLINE)?;
    server.wait_end().map(drop)
}

// ---- a spare that stands still ------------------------------------------------------------------

#[test]
fn a_stopped_spare_is_woken_when_it_is_promoted() -> TestResult {
    let server = start(tolerant(echo(2, 1).set("crash_policy", "redeliver:3")), 2)?;
    let mut client = server.connect()?;
    round_trip(&mut client, "before")?;
    let spare = server.spare();
    spare.stop()?;
    server.manager().kill();
    wait_serving(&server, 4)?;
    check(server.manager() == spare, "somebody else is the manager")?;
    round_trip(&mut client, "after")?;
    server.stop()
}

/// Nothing outlives the master: the spare is woken by the end of its manager.
#[test]
fn a_stopped_spare_does_not_outlive_the_master() -> TestResult {
    for manager_is_stopped in [false, true] {
        let server = start(tolerant(echo(2, 1)), 2)?;
        let (spare, manager) = (server.spare(), server.manager());
        spare.stop()?;
        if manager_is_stopped {
            manager.stop()?;
        }
        server.master().kill();
        manager.wait_gone(DEADLINE)?;
        spare.wait_gone(DEADLINE)?;
        server.wait_end()?;
    }
    Ok(())
}

/// One that a debugger holds cannot be woken: the server ends with the code for lost managers, and
/// does not hang.
#[test]
fn a_spare_that_cannot_be_woken_ends_the_server() -> TestResult {
    // The debugger must be allowed to look into it.
    let server = start(tolerant(echo(1, 1).set("harden", "off")), 1)?;
    let mut client = server.connect()?;
    round_trip(&mut client, "before")?;
    let spare = Pid::from_raw(i32::try_from(server.spare().pid()).unwrap_or(0));
    ptrace::seize(spare, ptrace::Options::empty()).map_err(std::io::Error::from)?;
    ptrace::interrupt(spare).map_err(std::io::Error::from)?;
    waitpid(spare, Some(WaitPidFlag::__WALL)).map_err(std::io::Error::from)?;
    server.manager().kill();
    wait_lines(&server, "the spare manager did not take its place", 1)?;
    client.expect_closed()?;
    // A debugger's prey is buried by the debugger.
    waitpid(spare, Some(WaitPidFlag::__WALL)).map_err(std::io::Error::from)?;
    let ended = server.wait_end()?;
    check(ended.code() == Some(5), format!("{:?} {:?}", ended.code(), ended.signal()))?;
    ended.check_books()
}
