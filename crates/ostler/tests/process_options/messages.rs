//! Messages between processes.

use ostler_testkit::{ServerBuilder, TestResult, TestServer};

use crate::Effect;
use crate::talk::Talk;

pub(crate) const EFFECTS: &[(&str, Effect)] = &[
    ("message_max_length", message_max_length_bounds_a_message),
    ("message_queue_bytes", message_queue_bytes_bounds_what_is_not_handled),
];

fn mesh() -> ServerBuilder {
    TestServer::example("mesh").set("workers", 1).set("task_workers", 1)
}

#[test]
fn message_max_length_bounds_a_message() -> TestResult {
    let server = mesh().set("message_max_length", 64).start()?;
    let mut talk = Talk::new(&server)?;
    let what = |len: usize| format!("tell t0 say {}", "x".repeat(len));
    assert!(talk.ask(&what(30))?.starts_with("sent"));
    assert!(talk.line()?.starts_with("t0<-w0 "));
    assert!(talk.ask(&what(64))?.contains("`message_max_length` allows (64)"));
    server.stop()
}

#[test]
fn message_queue_bytes_bounds_what_is_not_handled() -> TestResult {
    for (most, is_refused) in [("64K", true), ("16M", false)] {
        let server = mesh().set("message_queue_bytes", most).expect_log("not taken in").start()?;
        let mut talk = Talk::new(&server)?;
        talk.say("tell t0 sleep 1500")?;
        let lines = [talk.line()?, talk.line()?];
        assert!(lines.iter().any(|line| line == "t0<-w0 sleeps"), "{lines:?}");
        talk.expect_answer("flood t0 500 100", "flooded 500")?;
        if is_refused {
            server.wait_for("what has no room to come back", |_| {
                talk.number("sum").is_ok_and(|lost| lost >= 200)
            })?;
        } else {
            talk.expect("in order 500");
            assert_eq!(talk.number("sum")?, 0);
        }
        server.stop()?;
    }
    Ok(())
}
