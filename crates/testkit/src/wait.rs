//! Waiting for an event. No test sleeps for luck and none asserts a duration: it waits for what it
//! needs, with a deadline so generous that only a defect reaches it.

use std::time::{Duration, Instant};

use crate::error::{TestError, TestResult};

/// How long any wait lasts before it is a failure. Long, because a loaded machine is no defect of
/// the server.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// How long traces (processes, ports, files) may outlive the server before they count as leaked.
/// The server promises one second; the rest is for loaded machines.
pub(crate) const LEAK_GRACE: Duration = Duration::from_secs(5);

/// Pause between two looks at a condition: short beside a fork, long beside a scan of `/proc`.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Waits until the condition holds.
///
/// # Errors
/// When it does not within [`DEADLINE`]; the text says what was awaited.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) -> TestResult {
    poll_until(DEADLINE, || condition().then_some(())).ok_or_else(|| timed_out(what, DEADLINE))
}

/// Looks again and again until `look` finds something; `None` when the limit passes first.
pub(crate) fn poll_until<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        // The clock is read before the look, so that a slow look is never the reason for giving up.
        let last = Instant::now() >= deadline;
        if let Some(found) = look() {
            return Some(found);
        }
        if last {
            return None;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// The error of a wait that reached its limit.
pub(crate) fn timed_out(what: &str, limit: Duration) -> TestError {
    TestError::timeout(format!("waited {} s in vain for: {what}", limit.as_secs_f32()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_says_what_was_awaited() {
        let found = poll_until(Duration::from_millis(5), || None::<()>);
        assert!(found.is_none());
        let error = timed_out("the moon", Duration::from_secs(1));
        assert!(error.is_timeout());
        assert!(error.to_string().contains("the moon"));
    }

    #[test]
    fn a_condition_that_holds_is_found_on_the_first_look() {
        let mut looks = 0;
        wait_until("nothing", || {
            looks += 1;
            true
        })
        .unwrap();
        assert_eq!(looks, 1);
    }
}
