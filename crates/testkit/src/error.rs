//! The one error of the kit: a text that explains, printed the same by `{}` and `{:?}`.
//!
//! Tests end with `?`, and the test harness prints the `Debug` form; so both forms are for people.

use std::cell::OnceCell;
use std::fmt;
use std::io;
use std::sync::Arc;

/// The result of a test and of nearly every call of the kit.
pub type TestResult<T = ()> = Result<T, TestError>;

/// What went wrong, in words.
pub struct TestError {
    kind: Kind,
    text: String,
    /// Counts the errors alive on the thread that made them, see [`errors_in_flight`].
    _alive: Arc<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Failed,
    Timeout,
}

thread_local! {
    static ALIVE: OnceCell<Arc<()>> = const { OnceCell::new() };
}

fn alive() -> Arc<()> {
    ALIVE.with(|cell| Arc::clone(cell.get_or_init(|| Arc::new(()))))
}

/// How many errors made on this thread are not yet dropped.
///
/// A server dropped while this is above zero is most likely dropped by an early `return Err(..)`;
/// panicking about the missing `stop` would then hide the true reason of the failure.
pub(crate) fn errors_in_flight() -> usize {
    // One count is the cell's own, one the clone taken here.
    Arc::strong_count(&alive()).saturating_sub(2)
}

impl TestError {
    /// An error with this text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { kind: Kind::Failed, text: text.into(), _alive: alive() }
    }

    /// A deadline passed; the text says what was awaited.
    #[must_use]
    pub fn timeout(text: impl Into<String>) -> Self {
        Self { kind: Kind::Timeout, text: text.into(), _alive: alive() }
    }

    /// The same error with a sentence in front, now belonging to the calling thread.
    #[must_use]
    pub fn context(self, sentence: impl fmt::Display) -> Self {
        Self { kind: self.kind, text: format!("{sentence}: {}", self.text), _alive: alive() }
    }

    /// The same error with more lines behind: a log's tail, a list of processes.
    #[must_use]
    pub fn followed_by(self, lines: &str) -> Self {
        Self { kind: self.kind, text: format!("{}\n{lines}", self.text), _alive: alive() }
    }

    /// Whether a deadline passed.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.kind == Kind::Timeout
    }
}

impl fmt::Display for TestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for TestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for TestError {}

impl From<io::Error> for TestError {
    fn from(error: io::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<rustix::io::Errno> for TestError {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::new(io::Error::from(errno).to_string())
    }
}

/// Fails the test from a place that has no `Result` to return, so that tests read as sentences.
#[track_caller]
#[allow(clippy::panic)]
pub(crate) fn fail(error: &TestError) -> ! {
    panic!("{error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_in_flight_counts_only_living_errors() {
        assert_eq!(errors_in_flight(), 0);
        let error = TestError::new("one");
        assert_eq!(errors_in_flight(), 1);
        let error = error.context("two");
        assert_eq!(errors_in_flight(), 1);
        assert_eq!(error.to_string(), "two: one");
        drop(error);
        assert_eq!(errors_in_flight(), 0);
    }
}
