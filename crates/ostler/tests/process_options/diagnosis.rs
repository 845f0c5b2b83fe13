//! Diagnosis.

use ostler_testkit::TestResult;

use crate::Effect;
use crate::talk::{Scratch, Talk, small_probe};

pub(crate) const EFFECTS: &[(&str, Effect)] = &[
    ("request_slowlog_timeout_ms", request_slowlog_timeout_ms_is_the_time_after_which_one_is_slow),
    ("request_slowlog_file", request_slowlog_file_gets_slow_requests),
    ("death_log_file", death_log_file_gets_an_object_for_a_death),
];

#[test]
fn request_slowlog_timeout_ms_is_the_time_after_which_one_is_slow() -> TestResult {
    for (timeout, is_slow) in [("0", false), ("60000", false), ("50", true)] {
        let server = small_probe()
            .set("request_slowlog_timeout_ms", timeout)
            .expect_log("slow request")
            .start()?;
        let mut talk = Talk::new(&server)?;
        if is_slow {
            talk.say(&format!("until {}", server.directory().join("told").display()))?;
            server.wait_for_log("slow request")?;
            std::fs::write(server.directory().join("told"), "")?;
            assert_eq!(talk.line()?, "");
        } else {
            assert_eq!(talk.ask("sleep 300 done")?, "done");
            assert_eq!(server.log_lines_with("slow request"), Vec::<String>::new(), "{timeout}");
        }
        drop(talk);
        server.stop()?;
    }
    Ok(())
}

#[test]
fn request_slowlog_file_gets_slow_requests() -> TestResult {
    let scratch = Scratch::new("slowlog")?;
    let server = small_probe()
        .set("request_slowlog_timeout_ms", 50)
        .set("request_slowlog_file", scratch.path("slow").display())
        .start()?;
    let mut talk = Talk::new(&server)?;
    talk.say(&format!("until {}", server.directory().join("told").display()))?;
    server.wait_for("a record", |_| !scratch.lines("slow").is_empty())?;
    std::fs::write(server.directory().join("told"), "")?;
    assert_eq!(talk.line()?, "");
    assert_eq!(server.log_lines_with("slow request"), Vec::<String>::new());
    drop(talk);
    server.stop()
}

#[test]
fn death_log_file_gets_an_object_for_a_death() -> TestResult {
    let scratch = Scratch::new("deaths")?;
    let server = small_probe()
        .set("death_log_file", scratch.path("deaths").display())
        .expect_log("panicked")
        .expect_log("worker died")
        .start()?;
    Talk::new(&server)?.say("panic on purpose")?;
    server.wait_for("a record", |_| !scratch.lines("deaths").is_empty())?;
    let lines = scratch.lines("deaths");
    assert!(lines[0].starts_with("{\"time\":\"") && lines[0].ends_with("]}"), "{lines:?}");
    server.stop()
}
