//! Limits of the system that options run into.

use ostler_testkit::{Signal, TestResult, TestServer};

use crate::talk::{Scratch, Talk, small_probe};

/// Starts the program under a limit of file sizes, in blocks of 512 bytes as POSIX says.
fn under_file_limit(blocks: u64) -> [String; 4] {
    let script = format!("ulimit -f {blocks}; exec \"$@\"");
    ["sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()]
}

/// The kernel's signal about it ended the program without a word.
#[test]
fn a_limit_of_file_sizes_that_leaves_no_memory_is_an_error_at_start() -> TestResult {
    // Too little for the board; enough for that, too little for a lane.
    for blocks in [1, 1_000] {
        let builder = TestServer::echo()
            .set("max_connections", 64)
            .set("workers", 1)
            .set("reactors", 1)
            .set("lane_size", "1M")
            .through(under_file_limit(blocks));
        let (code, text) = builder.start_expecting_failure()?;
        assert_eq!(code, 4, "{text}");
        assert!(text.contains("raise the limit of file sizes (`ulimit -f`)"), "{text}");
    }
    Ok(())
}

#[test]
fn a_log_file_that_takes_no_more_is_told_once_and_the_server_goes_on() -> TestResult {
    let scratch = Scratch::new("log-limit")?;
    let log = scratch.path("log");
    // As long as the limit: memory fits, not a line more of the log.
    std::fs::File::create(&log)?.set_len(64 << 20)?;
    let server = small_probe()
        .set("log_file", log.display())
        .through(under_file_limit(128 << 10))
        .start()?;
    assert_eq!(Talk::new(&server)?.ask("echo served")?, "served");
    server.signal(Signal::TERM);
    let ended = server.wait_end()?;
    assert_eq!(ended.code(), Some(0));
    let said = ended.log().lines_with("no line can be written: raise the limit of file sizes");
    // Once from each process that had a line.
    assert!((1..=4).contains(&said.len()), "{said:?}");
    Ok(())
}

/// `/dev/full` is a disk without room.
#[test]
fn a_full_disk_is_told_once_and_the_server_goes_on() -> TestResult {
    let server = small_probe().set("log_file", "/dev/full").start()?;
    assert_eq!(Talk::new(&server)?.ask("echo served")?, "served");
    server.worker(0).kill();
    assert_eq!(Talk::new(&server)?.ask("echo again")?, "again");
    server.signal(Signal::TERM);
    let ended = server.wait_end()?;
    assert_eq!(ended.code(), Some(0));
    let said = ended.log().lines_with("no line can be written: make room on its disk");
    // Once from each process that had a line.
    assert!((1..=6).contains(&said.len()), "{said:?}");
    Ok(())
}

#[test]
fn a_limit_of_descriptors_that_leaves_none_for_clients_is_an_error_at_start() -> TestResult {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = Scratch::new("nofile")?;
    let test = std::env::current_exe()?;
    let profile = test.parent().and_then(|deps| deps.parent());
    let echo = profile.map(|profile| profile.join("examples/ostler-echo")).unwrap_or_default();
    let script = scratch.path("limited");
    std::fs::write(&script, format!("#!/bin/sh\nulimit -n 64\nexec {} \"$@\"\n", echo.display()))?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    let builder = TestServer::program(script)
        .set("listen", "127.0.0.1:0")
        .set("workers", 8)
        .set("reactors", 8);
    let (code, text) = builder.start_expecting_failure()?;
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("descriptors (64)") && text.contains("ulimit -n"), "{text}");
    Ok(())
}
