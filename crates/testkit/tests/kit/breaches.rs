//! Each clause of the final check, broken once.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ostler_testkit::{Signal, TestError, TestResult};

use crate::fake;

/// Stops a server with this breach; the stop must fail. Returns the explanation.
fn explanation(breach: &str) -> TestResult<String> {
    let server = fake().set("breach", breach).start()?;
    match server.stop() {
        Ok(()) => Err(TestError::new(format!("the breach {breach:?} was not found"))),
        Err(found) => Ok(found.to_string()),
    }
}

#[test]
fn a_good_server_passes() -> TestResult {
    let server = fake().start()?;
    let mut client = server.connect()?;
    client.send(b"hello")?;
    client.expect(b"hello")?;
    client.half_close()?;
    client.expect_eof()?;
    let ended = server.stop_and_report()?;
    let books = ended.books()?;
    assert_eq!((books.accepted, books.received, books.detail("closed_peer")), (1, 1, 1));
    assert_eq!((ended.code(), ended.signal()), (Some(0), None));
    Ok(())
}

#[test]
fn another_signal_can_end_it() -> TestResult {
    fake().start()?.stop_with(Signal::INT).map(drop)
}

#[test]
fn a_warning_makes_the_log_unclean() {
    let text = explanation("warn").unwrap();
    assert!(text.contains("not clean") && text.contains("fake trouble number=1"), "{text}");
}

#[test]
fn an_expected_warning_is_let_through() -> TestResult {
    fake().set("breach", "warn").expect_log("fake trouble").start()?.stop()
}

#[test]
fn a_stray_line_makes_the_log_unclean() {
    let text = explanation("stray").unwrap();
    assert!(text.contains("thread 'main' panicked"), "{text}");
}

#[test]
fn books_that_do_not_balance_are_found() {
    let text = explanation("imbalance").unwrap();
    assert!(text.contains("do not balance: packages: 1 != 0"), "{text}");
}

#[test]
fn missing_books_are_found() {
    let text = explanation("no_books").unwrap();
    assert!(text.contains("books exactly once, but did so 0 times"), "{text}");
}

#[test]
fn a_bad_exit_code_is_found() {
    let text = explanation("exit_code").unwrap();
    assert!(text.contains("exit code 0 was expected"), "{text}");
}

#[test]
fn an_orphan_is_found_and_killed() {
    let text = explanation("orphan").unwrap();
    assert!(text.contains("processes outlive the server"), "{text}");
    let pid = text.split("  pid ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    // Its new parent may be slow to bury it; a zombie has no command line.
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    assert!(command.is_empty(), "the orphan lives on");
}

#[test]
fn a_file_left_behind_is_found() {
    let text = explanation("file").unwrap();
    assert!(text.contains("files outlive the server") && text.contains("tmp/left"), "{text}");
}

#[test]
fn shared_memory_left_behind_is_found() {
    let server = fake().set("breach", "shm").start().unwrap();
    let path = format!("/dev/shm/ostler-fake-{}", server.master().pid());
    let text = server.stop().unwrap_err().to_string();
    std::fs::remove_file(&path).unwrap();
    assert!(text.contains(&path), "{text}");
}

#[test]
fn a_server_that_speaks_otherwise_does_not_start() {
    let error = fake().set("breach", "first_line").start().err().unwrap().to_string();
    assert!(error.contains("\"hello\""), "{error}");
}

#[test]
fn a_server_that_ends_early_is_explained() {
    let error = fake().set("breach", "refuse").start().err().unwrap().to_string();
    assert!(error.contains("exit status: 3") && error.contains("option refused"), "{error}");
}

#[test]
fn a_refusal_can_be_expected() -> TestResult {
    let (code, log) = fake().set("breach", "refuse").start_expecting_failure()?;
    assert_eq!(code, 3);
    assert!(log.contains("option refused name=workers"));
    Ok(())
}

#[test]
fn a_missing_program_is_named() {
    let builder = ostler_testkit::TestServer::program("/nonexistent/server").beside_others();
    let error = builder.start().err().unwrap().to_string();
    assert!(error.contains("/nonexistent/server"), "{error}");
}

#[test]
fn a_forgotten_stop_is_found_and_nothing_survives() {
    let server = fake().start().unwrap();
    let everyone = server.tree().processes();
    let panic = catch_unwind(AssertUnwindSafe(|| drop(server))).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("without `stop`"));
    assert!(everyone.iter().all(|process| !process.is_alive()));
}

#[test]
fn a_test_that_fails_otherwise_is_not_blamed_for_the_missing_stop() {
    fn failing() -> TestResult {
        let _server = fake().start()?;
        Err(TestError::new("the true reason"))
    }
    assert_eq!(failing().unwrap_err().to_string(), "the true reason");
}

#[test]
fn an_abandoned_server_is_killed() {
    let server = fake().start().unwrap();
    let everyone = server.tree().processes();
    server.abandon();
    assert!(everyone.iter().all(|process| !process.is_alive()));
}

#[test]
fn a_panicking_test_leaves_no_process() {
    let mut everyone = Vec::new();
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let server = fake().start().unwrap();
        server.worker(1);
        everyone = server.tree().processes();
        panic!("on purpose");
    }));
    assert!(panic.is_err());
    assert!(everyone.len() >= 3 && everyone.iter().all(|process| !process.is_alive()));
}
