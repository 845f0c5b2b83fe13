//! A server's log, and the rule that a test ends with a clean one.

use std::fmt;
use std::time::Duration;

use crate::books::Books;
use crate::capture::Capture;
use crate::error::{TestError, TestResult};
use crate::log_line::{Level, LogLine};
use crate::wait::{DEADLINE, timed_out};

/// How many lines an error text quotes.
const TAIL_LINES: usize = 40;
/// What a server says of a turn of a reactor that takes long.
const SLOW_TURN: &str = "a turn of a reactor takes long";

/// The log of one server, growing while the server lives. Clones share it.
#[derive(Clone)]
pub struct Log {
    capture: Capture,
}

impl Log {
    pub(crate) fn new(capture: Capture) -> Self {
        Self { capture }
    }

    /// All lines as written.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.capture.lines()
    }

    /// The lines that contain a text.
    #[must_use]
    pub fn lines_with(&self, text: &str) -> Vec<String> {
        self.lines().into_iter().filter(|line| line.contains(text)).collect()
    }

    /// All lines that are log lines, taken apart.
    #[must_use]
    pub fn parsed(&self) -> Vec<LogLine> {
        self.lines().iter().filter_map(|line| LogLine::parse(line)).collect()
    }

    /// A place in the log: everything written from now on comes after it. For [`Log::wait_after`].
    #[must_use]
    pub fn mark(&self) -> usize {
        self.capture.len()
    }

    /// Waits for a line with this text; lines already written count. Returns the line.
    ///
    /// # Errors
    /// When none comes within the deadline, or the log ended without one.
    pub fn wait_for(&self, text: &str) -> TestResult<String> {
        self.wait_after(0, text)
    }

    /// Waits for a line with this text after a mark. Returns the line.
    ///
    /// # Errors
    /// When none comes within the deadline, or the log ended without one.
    pub fn wait_after(&self, mark: usize, text: &str) -> TestResult<String> {
        self.capture.wait_for(mark, DEADLINE, |line| line.contains(text)).ok_or_else(|| {
            let what = format!("a log line with {text:?}");
            let error = if self.capture.ended() {
                TestError::new(format!("the log ended without {what}"))
            } else {
                timed_out(&what, DEADLINE)
            };
            error.with_tail(self)
        })
    }

    /// Waits until every process has closed its stderr.
    pub(crate) fn wait_ended(&self, limit: Duration) -> bool {
        self.capture.wait_ended(limit)
    }

    /// The newest lines, for error texts.
    #[must_use]
    pub fn tail(&self) -> String {
        let lines = self.lines();
        let skipped = lines.len().saturating_sub(TAIL_LINES);
        let mut text = format!("--- log: {} lines, {skipped} not shown ---", lines.len());
        for line in lines.iter().skip(skipped) {
            text.push_str("\n| ");
            text.push_str(line);
        }
        text
    }

    /// The lines that a clean log must not have: WARN, ERROR, and whatever is no log line (panics,
    /// stray prints); a line with one of the `allowed` texts is let through.
    #[must_use]
    pub fn unclean_lines(&self, allowed: &[&str]) -> Vec<String> {
        self.lines()
            .into_iter()
            // Rust puts an empty line before the words of a panic; it says nothing, they are
            // judged.
            .filter(|line| !line.is_empty())
            .filter(|line| LogLine::parse(line).is_none_or(|line| line.level <= Level::Warn))
            .filter(|line| !allowed.iter().any(|text| line.contains(text)))
            // Of a machine that is busy with other things.
            .filter(|line| !line.contains(SLOW_TURN))
            .collect()
    }

    /// Demands a clean log.
    ///
    /// # Errors
    /// With the offending lines.
    pub fn check_clean(&self, allowed: &[&str]) -> TestResult {
        let unclean = self.unclean_lines(allowed);
        let dropped = self.capture.dropped();
        if dropped > 0 {
            return Err(TestError::new(format!("the log is too long: {dropped} lines not kept")));
        }
        if unclean.is_empty() {
            return Ok(());
        }
        let list = unclean.join("\n  ");
        Err(TestError::new(format!("the log is not clean, {} lines:\n  {list}", unclean.len())))
    }

    /// The books the master wrote at its end.
    ///
    /// # Errors
    /// When there is not exactly one line of them, or a field is missing.
    pub fn books(&self) -> TestResult<Books> {
        let lines: Vec<LogLine> = self
            .parsed()
            .into_iter()
            .filter(|line| line.label == "master" && line.message == "books")
            .collect();
        match lines.as_slice() {
            [line] => Books::from_line(line),
            many => Err(TestError::new(format!(
                "the master must write its books exactly once, but did so {} times",
                many.len()
            ))),
        }
    }
}

impl TestError {
    /// The same error with the end of the log behind.
    pub(crate) fn with_tail(self, log: &Log) -> Self {
        self.followed_by(&log.tail())
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tail())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2026-11-23T10:00:00.123Z";

    fn log(lines: &[&str]) -> Log {
        let capture = Capture::default();
        for line in lines {
            capture.push((*line).replace('@', TIME));
        }
        Log::new(capture)
    }

    #[test]
    fn a_clean_log_has_neither_warnings_nor_stray_lines() {
        let log =
            log(&["@ INFO master up", "@ WARN master full", "thread panicked", "@ ERROR w0.1 x"]);
        let error = log.check_clean(&["full"]).unwrap_err().to_string();
        assert!(error.contains("2 lines") && error.contains("thread panicked"), "{error}");
        log.check_clean(&["full", "panicked", "w0.1"]).unwrap();
    }

    #[test]
    fn the_books_are_written_exactly_once() {
        let none = log(&["@ INFO master up"]).books().unwrap_err();
        assert!(none.to_string().contains("0 times"));
    }
}
