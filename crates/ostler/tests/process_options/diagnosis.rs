//! Diagnosis.

use ostler_testkit::{ServerBuilder, TestResult};

use crate::Effect;
use crate::talk::{Scratch, Talk, small_probe};

pub(crate) const EFFECTS: &[(&str, Effect)] = &[
    ("request_slowlog_timeout_ms", request_slowlog_timeout_ms_is_the_time_after_which_one_is_slow),
    (
        "reactor_slowlog_timeout_ms",
        reactor_slowlog_timeout_ms_is_the_time_after_which_a_turn_is_slow,
    ),
    ("request_slowlog_file", request_slowlog_file_gets_slow_requests),
    ("death_log_file", death_log_file_gets_an_object_for_a_death),
    ("quarantine_dir", quarantine_dir_gets_what_killed_its_worker),
    ("quarantine_files_max", quarantine_files_max_is_how_many_are_kept),
    ("quarantine_bytes_max", quarantine_bytes_max_is_how_much_is_kept),
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
fn reactor_slowlog_timeout_ms_is_the_time_after_which_a_turn_is_slow() -> TestResult {
    const TOLD: &str = "a turn of a reactor takes long";
    for (timeout, is_slow) in [("0", false), ("60000", false), ("50", true)] {
        let scratch = Scratch::new("slow-turn")?;
        let server = small_probe()
            .set("reactor_slowlog_timeout_ms", timeout)
            .env("OSTLER_SLOW_TURN", scratch.path("slow"))
            .expect_log(TOLD)
            .start()?;
        let mut talk = Talk::new(&server)?;
        std::fs::write(scratch.path("slow.new"), "700")?;
        std::fs::rename(scratch.path("slow.new"), scratch.path("slow"))?;
        assert_eq!(talk.ask("echo slowly")?, "slowly");
        assert!(!scratch.path("slow").exists());
        if is_slow {
            server.wait_for_log(TOLD)?;
        } else {
            assert_eq!(server.log_lines_with(TOLD), Vec::<String>::new(), "{timeout}");
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

/// What is kept of packages that killed their workers, one after another.
fn quarantine_of(option: &str, value: &str, packages: &[&str]) -> TestResult<Vec<String>> {
    let scratch = Scratch::new("quarantine")?;
    let words = ["worker died", "killed its worker", "killed their workers"];
    let builder = words.into_iter().fold(small_probe(), ServerBuilder::expect_log);
    let builder = builder.set("quarantine_dir", scratch.at().display());
    let server = if option.is_empty() { builder } else { builder.set(option, value) }.start()?;
    for package in packages {
        let mut talk = Talk::new(&server)?;
        talk.say(package)?;
        talk.expect_closed();
    }
    // What waits is written at the end.
    server.stop()?;
    let mut kept = Vec::new();
    for entry in std::fs::read_dir(scratch.at())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "bin") {
            kept.push(std::fs::read_to_string(path)?);
        }
    }
    kept.sort();
    Ok(kept)
}

#[test]
fn quarantine_dir_gets_what_killed_its_worker() -> TestResult {
    let kept = quarantine_of("", "", &["abort one", "abort two", "abort one"])?;
    assert_eq!(kept, ["abort one\n", "abort two\n"]);
    Ok(())
}

#[test]
fn quarantine_files_max_is_how_many_are_kept() -> TestResult {
    let kept = quarantine_of("quarantine_files_max", "1", &["abort one", "abort two"])?;
    assert_eq!(kept, ["abort one\n"]);
    Ok(())
}

#[test]
fn quarantine_bytes_max_is_how_much_is_kept() -> TestResult {
    let long = format!("abort {}", "x".repeat(3_000));
    let longer = format!("abort {}", "y".repeat(3_000));
    let longest = format!("abort {}", "z".repeat(5_000));
    let packages = [longest.as_str(), &long, &longer];
    let kept = quarantine_of("quarantine_bytes_max", "4K", &packages)?;
    assert_eq!(kept, [long + "\n"]);
    Ok(())
}
