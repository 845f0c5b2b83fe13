//! The books of messages between processes: one line at the master's end, if there were any.

use crate::error::TestResult;
use crate::line_books::LineBooks;
use crate::log::Log;

const TITLE: &str = "books of messages";

/// The master's account of messages between processes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageBooks(LineBooks);

impl MessageBooks {
    /// Those of a log; all is 0 when it has none.
    ///
    /// # Errors
    /// When there are several, or a field is no number.
    pub fn of_log(log: &Log) -> TestResult<Self> {
        LineBooks::of_log(log, TITLE).map(Self)
    }

    /// A number of the line, 0 when there is none of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name)
    }

    /// Demands `sent = delivered + ended + left`.
    ///
    /// # Errors
    /// When that is not so.
    pub fn check_balance(&self) -> TestResult {
        self.0.check_balance(TITLE, &[("sent", &["delivered", "ended", "left"])])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_line::LogLine;

    #[test]
    fn they_are_read_and_one_too_many_is_found() {
        let line = "2026-11-23T10:00:00.123Z INFO master books of messages sent=9 delivered=5 \
            ended=3 left=1 refused_full=7";
        let read =
            |line: &str| MessageBooks(LineBooks::of_line(&LogLine::parse(line).unwrap()).unwrap());
        let books = read(line);
        books.check_balance().unwrap();
        assert_eq!((books.get("refused_full"), books.get("nothing")), (7, 0));
        for (right, wrong) in [("sent=9", "sent=8"), ("left=1", "left=2"), ("ended=3", "ended=2")] {
            read(&line.replace(right, wrong)).check_balance().unwrap_err();
        }
    }
}
