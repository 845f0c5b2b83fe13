//! A stream of a server (stdout or stderr), read by a thread into memory, line by line.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::TestResult;

/// Lines kept per stream. A server that writes more has lost its mind, and its test fails.
const LINES_MAX: usize = 1_000_000;

/// What was read so far. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Capture {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    dropped: usize,
    ended: bool,
}

impl Capture {
    /// Starts the reading thread. It ends when the last process that holds the stream has ended.
    pub(crate) fn start(stream: impl Read + Send + 'static, name: &str) -> TestResult<Self> {
        let capture = Self::default();
        let writer = capture.clone();
        std::thread::Builder::new().name(format!("capture-{name}")).spawn(move || {
            writer.read_all(BufReader::new(stream));
        })?;
        Ok(capture)
    }

    fn read_all(&self, mut stream: impl BufRead) {
        let mut line = Vec::new();
        while matches!(stream.read_until(b'\n', &mut line), Ok(1..)) {
            if line.ends_with(b"\n") {
                line.pop();
            }
            self.push(String::from_utf8_lossy(&line).into_owned());
            line.clear();
        }
        self.lock().ended = true;
        self.shared.changed.notify_all();
    }

    pub(crate) fn push(&self, line: String) {
        let mut state = self.lock();
        if state.lines.len() < LINES_MAX {
            state.lines.push(line);
        } else {
            state.dropped += 1;
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    /// How many lines there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().lines.len()
    }

    /// How many lines did not fit.
    pub(crate) fn dropped(&self) -> usize {
        self.lock().dropped
    }

    /// Whether the stream has ended.
    pub(crate) fn ended(&self) -> bool {
        self.lock().ended
    }

    /// Waits for a line, looking at each line once, from number `from` on. `None` at the limit, or
    /// when the stream ended without it.
    pub(crate) fn wait_for(
        &self,
        from: usize,
        limit: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let deadline = Instant::now() + limit;
        let mut next = from;
        let mut state = self.lock();
        loop {
            for line in state.lines.iter().skip(next) {
                if wanted(line) {
                    return Some(line.clone());
                }
            }
            next = next.max(state.lines.len());
            let left = deadline.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                return None;
            }
            let woken = self.shared.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until the stream ends; `false` at the limit.
    pub(crate) fn wait_ended(&self, limit: Duration) -> bool {
        self.wait_for(usize::MAX, limit, |_| false);
        self.ended()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_arrive_without_their_ends() {
        let capture = Capture::start(&b"one\ntwo\nrest"[..], "test").unwrap();
        assert!(capture.wait_ended(Duration::from_secs(30)));
        assert_eq!(capture.lines(), ["one", "two", "rest"]);
        assert_eq!(capture.wait_for(0, Duration::ZERO, |line| line == "two").unwrap(), "two");
        assert!(capture.wait_for(2, Duration::ZERO, |line| line == "two").is_none());
    }
}
