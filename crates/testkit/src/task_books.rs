//! The books of tasks: one line at the master's end, if there were any.

use crate::error::{TestError, TestResult};
use crate::line_books::LineBooks;
use crate::log::Log;

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
    pub unkept: u64,
    pub restored: u64,
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
        let books = LineBooks::of_log(log, "books of tasks")?;
        Ok(Self {
            asked: books.get("asked"),
            finished: books.get("finished"),
            failed: books.get("failed"),
            dropped: books.get("dropped"),
            left: books.get("left"),
            refused: books.get("refused"),
            unkept: books.get("unkept"),
            restored: books.get("restored"),
            redelivered: books.get("redelivered"),
            results: books.get("results"),
            unheard: books.get("unheard"),
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
