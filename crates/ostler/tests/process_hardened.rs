//! Hardened machines: what the kernel or a security policy refuses costs tuning, not the server.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod talk;

use std::path::PathBuf;

use ostler_testkit::{Signal, TestResult};
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
            if !said.is_empty() {
                assert_eq!(server.log_lines_with(said).len(), 1, "said once: {call} {errno}");
            }
            server.stop()?;
        }
    }
    Ok(())
}
