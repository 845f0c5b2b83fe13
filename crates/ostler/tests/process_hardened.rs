//! Hardened machines: what the kernel or a security policy refuses costs tuning, not the server.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod talk;

use std::path::PathBuf;

use ostler_testkit::{Signal, TestResult};
use talk::machine::lets_run_through;
use talk::{Talk, probe};

/// System calls that a server can do without, and what the log may say about it.
const OPTIONAL: [(&str, &str); 5] = [
    ("epoll_pwait2", ""),
    ("close_range", ""),
    ("ioctl", ""),
    ("prlimit64", "max_connections is lowered to what the limit of descriptors allows"),
    ("sched_setscheduler", "workers keep the ordinary scheduling policy"),
];

/// Beside the running test, as the other programs.
fn deny() -> TestResult<PathBuf> {
    if let Some(directory) = std::env::var_os("OSTLER_EXAMPLES") {
        return Ok(PathBuf::from(directory).join("deny"));
    }
    let test = std::env::current_exe()?;
    let profile = test.parent().and_then(|deps| deps.parent()).expect("target/PROFILE/deps");
    Ok(profile.join("examples/deny"))
}

/// `epoll_pwait2` ended the server as "a bug in Ostler", `close_range` gave advice about the limit
/// of processes, `sched_setscheduler` let no worker live, `prlimit64` was a panic at start.
#[test]
fn a_refused_system_call_that_is_optional_ends_no_server() -> TestResult {
    let program = deny()?;
    for (call, said) in OPTIONAL {
        for errno in ["ENOSYS", "EPERM"] {
            let words = [program.as_os_str(), call.as_ref(), errno.as_ref()];
            let mut builder = probe().set("workers", 2).through(words);
            if !said.is_empty() {
                builder = builder.expect_log(said);
            }
            let server = builder.start()?;
            let mut talk = Talk::new(&server)?;
            assert_eq!(talk.ask("echo served")?, "served", "{call} {errno}");
            server.signal(Signal::USR1);
            server.wait_for_log("reload finished")?;
            assert_eq!(talk.ask("echo again")?, "again", "{call} {errno}");
            let log = server.stop_and_report()?;
            if !said.is_empty() {
                assert_eq!(log.log().lines_with(said).len(), 1, "said once: {call} {errno}");
            }
        }
    }
    Ok(())
}

/// Begins with a place of its own for mounts and an empty directory over `/proc`.
const WITHOUT_PROC: [&str; 6] = [
    "unshare",
    "--mount",
    "--map-root-user",
    "sh",
    "-c",
    "mount -t tmpfs none /proc && test ! -e /proc/self && exec \"$@\"",
];

/// Whether this machine lets a test hide `/proc`.
fn may_hide_proc() -> bool {
    let words: Vec<&str> = WITHOUT_PROC.into_iter().chain(["sh"]).collect();
    lets_run_through(&words, "hide /proc")
}

/// A start without `/proc` ended with exit 70, as "a bug in Ostler".
#[test]
fn a_server_without_proc_serves_reloads_replaces_its_dead_and_ends() -> TestResult {
    if !may_hide_proc() {
        return Ok(());
    }
    // What only `/proc` tells is missed once by each process that asks, at its end.
    const MISSED: &str = "cannot look for orphans";
    let server = probe()
        .set("name", "bare")
        .through(WITHOUT_PROC.into_iter().chain(["sh"]))
        .expect_log(MISSED)
        .expect_log("died")
        .start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("echo served")?, "served");
    assert_eq!(talk.ask("open /proc/self/stat")?, "refused", "the test hides nothing");
    server.signal(Signal::USR1);
    server.wait_for_log("reload finished")?;
    assert_eq!(talk.ask("echo again")?, "again");
    server.wait_for("predecessors to leave", |server| server.workers().len() == 2)?;
    let old = server.workers();
    for worker in &old {
        worker.kill();
    }
    server.wait_for("successors", |server| {
        let new = server.workers();
        new.len() == 2 && new.iter().all(|worker| !old.contains(worker))
    })?;
    assert_eq!(talk.ask("echo survived")?, "survived");
    let ended = server.stop_and_report()?;
    let missed = ended.log().parsed();
    let missed = missed.iter().filter(|line| line.message.contains(MISSED)).count();
    assert!(missed <= 2, "master and manager say it once each: {missed}");
    Ok(())
}
