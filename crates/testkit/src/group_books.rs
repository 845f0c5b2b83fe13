//! The books of groups: one line at the master's end, if there were any.

use crate::error::TestResult;
use crate::line_books::LineBooks;
use crate::log::Log;

const TITLE: &str = "books of groups";

/// The master's account of memberships and of messages to groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupBooks(LineBooks);

impl GroupBooks {
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

    /// Demands `joined = members + left + ended` and
    /// `addressed = delivered + skipped + closed + gone`.
    ///
    /// # Errors
    /// When that is not so.
    pub fn check_balance(&self) -> TestResult {
        let members: &[&str] = &["members", "left", "ended"];
        let fates: &[&str] = &["delivered", "skipped", "closed", "gone"];
        self.0.check_balance(TITLE, &[("joined", members), ("addressed", fates)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_line::LogLine;

    #[test]
    fn they_are_read_and_one_too_many_is_found() {
        let line = "2026-11-23T10:00:00.123Z INFO master books of groups joined=9 left=5 ended=4 \
            messages=2 addressed=18 delivered=10 skipped=5 closed=2 gone=1";
        let read =
            |line: &str| GroupBooks(LineBooks::of_line(&LogLine::parse(line).unwrap()).unwrap());
        let books = read(line);
        books.check_balance().unwrap();
        assert_eq!((books.get("messages"), books.get("nothing")), (2, 0));
        for (right, wrong) in [("left=5", "left=6"), ("gone=1", "gone=2"), ("gone=1", "gone=0")] {
            read(&line.replace(right, wrong)).check_balance().unwrap_err();
        }
    }
}
