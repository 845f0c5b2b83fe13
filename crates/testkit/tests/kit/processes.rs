//! Roles, signals, kills, and the log as a witness.

use std::time::Duration;

use ostler_testkit::{DEADLINE, KillEvery, Signal, TestResult};

use crate::fake;

#[test]
fn every_role_is_found() -> TestResult {
    let server = fake().set("workers", 3).start()?;
    server.wait_for("three workers", |s| s.workers().len() == 3)?;
    let names: Vec<String> =
        server.workers().iter().map(|worker| worker.comm()).collect::<TestResult<_>>()?;
    assert_eq!(names, ["ostler-w0", "ostler-w1", "ostler-w2"]);
    assert_eq!(server.master().comm()?, "ostler-master");
    assert_eq!(server.manager().parent()?, server.master().pid());
    assert_eq!(server.spare().parent()?, server.manager().pid());
    assert_eq!(server.worker(2).parent()?, server.manager().pid());
    assert!(server.master().threads()?.len() >= 2);
    assert!(server.master().fds()?.iter().any(|target| target.starts_with("socket:")));
    server.stop()
}

#[test]
fn a_killed_worker_is_seen_to_be_replaced() -> TestResult {
    let server = fake().start()?;
    let old = server.worker(0);
    let mark = server.log().mark();
    assert!(old.kill());
    server.wait_for("worker replaced", |s| s.worker(0) != old)?;
    old.wait_gone(DEADLINE)?;
    assert!(!old.is_alive());
    assert!(old.comm().is_err());
    assert!(!old.kill(), "a process that was reaped cannot be killed");
    let line = server.log().wait_after(mark, "replaced role=w0")?;
    assert!(line.contains("generation=2 cause=signal: 9"), "{line}");
    server.stop()
}

#[test]
fn a_worker_can_be_stopped_and_continued() -> TestResult {
    let server = fake().start()?;
    let worker = server.worker(0);
    worker.stop()?;
    worker.cont()?;
    server.stop()
}

#[test]
fn a_signal_reaches_the_master() -> TestResult {
    let server = fake().start()?;
    server.signal(Signal::USR1);
    server.wait_for_log("reload asked")?;
    assert_eq!(server.log_lines_with("reload asked").len(), 1);
    server.stop()
}

#[test]
fn the_death_of_the_master_is_an_end_without_leftovers() -> TestResult {
    let server = fake().start()?;
    server.worker(1);
    server.master().kill();
    let ended = server.wait_end()?;
    assert_eq!(ended.signal(), Some(9));
    assert!(ended.books().is_err());
    ended.log().check_clean(&[])
}

#[test]
fn the_environment_reaches_the_server() -> TestResult {
    let server = fake().env("NAME", "value").fault("COMMIT", 3).start()?;
    let path = format!("/proc/{}/environ", server.master().pid());
    let text = String::from_utf8_lossy(&std::fs::read(path)?).into_owned();
    assert!(text.contains("OSTLER_FAULT=COMMIT:3\0") && text.contains("NAME=value\0"));
    server.stop()
}

#[test]
fn random_kills_go_on_until_stopped() -> TestResult {
    let server = fake().set("workers", 3).start()?;
    let kills = KillEvery::start(&server, Duration::from_millis(5))?;
    server.wait_for("ten replacements", |s| s.log_lines_with("replaced").len() >= 10)?;
    assert!(kills.stop()? >= 10);
    server.stop()
}

#[test]
fn a_role_that_nobody_has_is_none() -> TestResult {
    let server = fake().start()?;
    assert!(server.tree().worker(7).is_none());
    assert!(server.tree().manager().is_some() || server.manager().is_alive());
    server.stop()
}
