//! The books of datagrams: one line at the master's end, if there were any.

use crate::error::TestResult;
use crate::line_books::LineBooks;
use crate::log::Log;

const TITLE: &str = "books of datagrams";

/// The master's account of datagrams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatagramBooks(LineBooks);

impl DatagramBooks {
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

    /// Demands `received = finished + in_hand + waiting + dropped`.
    ///
    /// # Errors
    /// When that is not so.
    pub fn check_balance(&self) -> TestResult {
        let fates: &[&str] = &["finished", "in_hand", "waiting", "dropped"];
        self.0.check_balance(TITLE, &[("received", fates)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_line::LogLine;

    #[test]
    fn they_are_read_and_one_too_many_is_found() {
        let line = "2026-11-23T10:00:00.123Z INFO master books of datagrams received=9 finished=5 \
            in_hand=1 waiting=1 dropped=2 sent=5";
        let read =
            |line: &str| DatagramBooks(LineBooks::of_line(&LogLine::parse(line).unwrap()).unwrap());
        let books = read(line);
        books.check_balance().unwrap();
        assert_eq!((books.get("sent"), books.get("nothing")), (5, 0));
        read(&line.replace("dropped=2", "dropped=3")).check_balance().unwrap_err();
    }
}
