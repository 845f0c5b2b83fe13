//! Log.

use ostler_testkit::{Signal, TestResult};

use crate::Effect;
use crate::talk::{Scratch, Talk, small_probe};

pub(crate) const EFFECTS: &[(&str, Effect)] = &[
    ("log_level", log_level_is_the_least_that_is_written),
    ("log_file", log_file_gets_the_log),
    ("log_format", log_format_is_the_form_of_every_line),
];

#[test]
fn log_level_is_the_least_that_is_written() -> TestResult {
    let mut counts = Vec::new();
    for level in ["error", "warn", "info", "debug"] {
        let server = small_probe().set("log_level", level).start()?;
        assert_eq!(Talk::new(&server)?.ask("echo x")?, "x");
        server.signal(Signal::TERM);
        let ended = server.wait_end()?;
        assert_eq!(ended.code(), Some(0));
        counts.push(ended.log().lines().len());
    }
    assert_eq!(counts[..2], [0, 0], "a healthy server is silent: {counts:?}");
    assert!(0 < counts[2] && counts[2] < counts[3], "{counts:?}");
    Ok(())
}

#[test]
fn log_file_gets_the_log() -> TestResult {
    let scratch = Scratch::new("log")?;
    for _ in 0..2 {
        let server = small_probe().set("log_file", scratch.path("log").display()).start()?;
        assert_eq!(Talk::new(&server)?.ask("echo x")?, "x");
        server.signal(Signal::TERM);
        let ended = server.wait_end()?;
        assert_eq!(ended.log().lines(), Vec::<String>::new());
    }
    let lines = scratch.lines("log");
    let books = lines.iter().filter(|line| line.contains("books")).count();
    assert_eq!(books, 2, "appended, not overwritten");
    Ok(())
}

#[test]
fn log_format_is_the_form_of_every_line() -> TestResult {
    let lines = life_in("json")?;
    for line in &lines {
        assert!(line.starts_with("{\"time\":\"") && line.ends_with('}'), "{line}");
        assert!(line.contains("\",\"level\":\"INFO\",\"process\":\""), "{line}");
    }
    let starts = lines.iter().find(|line| line.contains("\"message\":\"starts\""));
    assert!(starts.is_some_and(|line| line.contains(",\"workers\":1,")), "{lines:?}");
    let lines = life_in("journald")?;
    for line in &lines {
        assert!(line.starts_with("<6>m") || line.starts_with("<6>w"), "{line}");
    }
    let starts = lines.iter().find(|line| line.starts_with("<6>master starts "));
    assert!(starts.is_some_and(|line| line.contains(" workers=1 ")), "{lines:?}");
    Ok(())
}

/// The lines of a server's life.
fn life_in(format: &str) -> TestResult<Vec<String>> {
    let server = small_probe().set("log_format", format).start()?;
    assert_eq!(Talk::new(&server)?.ask("echo x")?, "x");
    server.signal(Signal::TERM);
    let lines = server.wait_end()?.log().lines();
    assert!(lines.len() > 3, "{lines:?}");
    Ok(lines)
}
