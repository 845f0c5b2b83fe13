//! The books of tasks: one line at the master's end, if there were any.

use crate::error::{TestError, TestResult};
use crate::log::Log;
use crate::log_line::LogLine;

/// The master's account of tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TaskBooks {
    pub asked: u64,
    pub finished: u64,
    pub failed: u64,
    pub dropped: u64,
    pub left: u64,
    pub refused: u64,
    pub redelivered: u64,
    pub results: u64,
    pub unheard: u64,
}

impl TaskBooks {
    /// Those of a log; all is 0 when it has none.
    ///
    /// # Errors
    /// When there are several, or a field is no number.
    pub fn of_log(log: &Log) -> TestResult<Self> {
        let is_theirs = |line: &LogLine| line.label == "master" && line.message == "books of tasks";
        let lines: Vec<LogLine> = log.parsed().into_iter().filter(is_theirs).collect();
        match lines.as_slice() {
            [] => Ok(Self::default()),
            [line] => Self::from_line(line),
            many => Err(TestError::new(format!("{} books of tasks", many.len()))),
        }
    }

    fn from_line(line: &LogLine) -> TestResult<Self> {
        let number = |name: &str| match line.field(name) {
            None => Ok(0),
            Some(text) => text
                .parse::<u64>()
                .map_err(|_| TestError::new(format!("the books of tasks say {name}={text}"))),
        };
        Ok(Self {
            asked: number("asked")?,
            finished: number("finished")?,
            failed: number("failed")?,
            dropped: number("dropped")?,
            left: number("left")?,
            refused: number("refused")?,
            redelivered: number("redelivered")?,
            results: number("results")?,
            unheard: number("unheard")?,
        })
    }

    /// Tasks of which nobody knows what became of them.
    #[must_use]
    pub const fn open(&self) -> u64 {
        self.asked.wrapping_sub(self.finished + self.failed + self.dropped + self.left)
    }

    /// Demands `asked = finished + failed + dropped + left`.
    ///
    /// # Errors
    /// When that is not so.
    pub fn check_balance(&self) -> TestResult {
        if self.open() == 0 {
            return Ok(());
        }
        Err(TestError::new(format!("the books of tasks do not balance: {self:?}")))
    }
}
