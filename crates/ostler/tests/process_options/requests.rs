//! Request deadlines.

use ostler_testkit::{ServerBuilder, TestResult};

use crate::Effect;
use crate::talk::{Talk, small_probe};

pub(crate) const EFFECTS: &[(&str, Effect)] = &[
    ("request_soft_deadline_ms", request_soft_deadline_ms_makes_a_request_late),
    ("request_deadline_ms", request_deadline_ms_ends_the_worker_of_a_request),
    ("request_deadline_max_ms", request_deadline_max_ms_is_how_far_a_request_has_more_time),
    ("request_deadline_answer", request_deadline_answer_is_what_the_client_sees),
];

/// A server that ends the worker of a request after 200 ms.
fn impatient() -> ServerBuilder {
    small_probe().set("request_deadline_ms", 200).expect_log("worker died")
}

#[test]
fn request_soft_deadline_ms_makes_a_request_late() -> TestResult {
    let server = small_probe().set("request_soft_deadline_ms", 100).start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("untillate")?, "late");
    assert_eq!(talk.ask("left")?, "none");
    drop(talk);
    server.stop()
}

#[test]
fn request_deadline_ms_ends_the_worker_of_a_request() -> TestResult {
    for (deadline, is_ended) in [("0", false), ("60000", false), ("200", true)] {
        let server =
            small_probe().set("request_deadline_ms", deadline).expect_log("worker died").start()?;
        let mut talk = Talk::new(&server)?;
        if is_ended {
            talk.say("spin")?;
            talk.expect_eof();
            server.wait_for_log("request deadline of 200 ms of port main passed")?;
        } else {
            assert_eq!(talk.ask("sleep 700 done")?, "done");
            assert_eq!(server.log_lines_with("worker died"), Vec::<String>::new());
            drop(talk);
        }
        server.stop()?;
    }
    Ok(())
}

#[test]
fn request_deadline_max_ms_is_how_far_a_request_has_more_time() -> TestResult {
    for (most, is_ended) in [("0", true), ("60000", false)] {
        let server = impatient().set("request_deadline_max_ms", most).start()?;
        let mut talk = Talk::new(&server)?;
        talk.say("take 30000 1000")?;
        if is_ended {
            talk.expect_eof();
        } else {
            assert_eq!(talk.line()?, "took of 30 s");
            drop(talk);
        }
        server.stop()?;
    }
    Ok(())
}

#[test]
fn request_deadline_answer_is_what_the_client_sees() -> TestResult {
    for (answer, seen) in [("close", ""), (r"bytes:-LATE\r\n", "-LATE\r\n")] {
        let server = impatient().set("request_deadline_answer", answer).start()?;
        let mut talk = Talk::new(&server)?;
        talk.say("sleep 60000 done")?;
        assert_eq!(String::from_utf8_lossy(&talk.rest()?), seen);
        server.stop()?;
    }
    let server = impatient().set("request_deadline_answer", "reset").start()?;
    let mut talk = Talk::new(&server)?;
    talk.say("sleep 60000 done")?;
    talk.client.expect_reset()?;
    server.stop()
}
