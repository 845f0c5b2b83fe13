//! What is left of a server after its end: how it ended and what it wrote.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::books::Books;
use crate::datagram_books::DatagramBooks;
use crate::error::TestResult;
use crate::group_books::GroupBooks;
use crate::log::Log;
use crate::message_books::MessageBooks;
use crate::task_books::TaskBooks;

/// A server that has ended.
#[derive(Debug)]
pub struct Ended {
    status: ExitStatus,
    log: Log,
}

impl Ended {
    pub(crate) fn new(status: ExitStatus, log: Log) -> Self {
        Self { status, log }
    }

    /// The master's exit code, `None` when a signal ended it.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The number of the signal that ended the master, if one did.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// The whole log.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The books.
    ///
    /// # Errors
    /// When the master did not write them exactly once.
    pub fn books(&self) -> TestResult<Books> {
        self.log.books()
    }

    /// Demands books that balance.
    ///
    /// # Errors
    /// When they are missing or do not.
    pub fn check_books(&self) -> TestResult {
        self.books()?.check_balance()?;
        DatagramBooks::of_log(&self.log)?.check_balance()?;
        GroupBooks::of_log(&self.log)?.check_balance()?;
        self.messages()?.check_balance()?;
        self.tasks()?.check_balance()
    }

    /// The books of messages between processes.
    ///
    /// # Errors
    /// When there are several.
    pub fn messages(&self) -> TestResult<MessageBooks> {
        MessageBooks::of_log(&self.log)
    }

    /// The books of tasks.
    ///
    /// # Errors
    /// When there are several.
    pub fn tasks(&self) -> TestResult<TaskBooks> {
        TaskBooks::of_log(&self.log)
    }
}
