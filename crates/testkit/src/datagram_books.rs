//! The books of datagrams: one line at the master's end, if there were any.

use std::collections::BTreeMap;

use crate::error::{TestError, TestResult};
use crate::log::Log;
use crate::log_line::LogLine;

/// The master's account of datagrams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatagramBooks(BTreeMap<String, u64>);

impl DatagramBooks {
    /// Those of a log; all is 0 when it has none.
    ///
    /// # Errors
    /// When there are several, or a field is no number.
    pub fn of_log(log: &Log) -> TestResult<Self> {
        let is_theirs =
            |line: &LogLine| line.label == "master" && line.message == "books of datagrams";
        let lines: Vec<LogLine> = log.parsed().into_iter().filter(is_theirs).collect();
        match lines.as_slice() {
            [] => Ok(Self::default()),
            [line] => Self::from_line(line),
            many => Err(TestError::new(format!("{} books of datagrams", many.len()))),
        }
    }

    fn from_line(line: &LogLine) -> TestResult<Self> {
        let mut numbers = BTreeMap::new();
        for (name, text) in &line.fields {
            let number = text
                .parse::<u64>()
                .map_err(|_| TestError::new(format!("the books of datagrams say {name}={text}")))?;
            numbers.insert(name.clone(), number);
        }
        Ok(Self(numbers))
    }

    /// A number of the line, 0 when there is none of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Demands `received = finished + in_hand + waiting + dropped`.
    ///
    /// # Errors
    /// When that is not so.
    pub fn check_balance(&self) -> TestResult {
        let settled = ["finished", "in_hand", "waiting", "dropped"].map(|name| self.get(name));
        if self.get("received") == settled.iter().sum() {
            return Ok(());
        }
        Err(TestError::new(format!("the books of datagrams do not balance: {self:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_read_and_one_too_many_is_found() {
        let line = "2026-11-23T10:00:00.123Z INFO master books of datagrams received=9 finished=5 \
            in_hand=1 waiting=1 dropped=2 sent=5";
        let read = |line: &str| DatagramBooks::from_line(&LogLine::parse(line).unwrap()).unwrap();
        let books = read(line);
        books.check_balance().unwrap();
        assert_eq!((books.get("sent"), books.get("nothing")), (5, 0));
        read(&line.replace("dropped=2", "dropped=3")).check_balance().unwrap_err();
    }
}
