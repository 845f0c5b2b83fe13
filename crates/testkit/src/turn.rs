//! One real server at a time: two of them would take each other's processor time, and a wait that
//! is generous for one would be short for both.
//!
//! The lock is the kernel's (`flock`) on the directory that has the servers, so it holds between
//! the threads of one test binary, between binaries, and between several runs in one build
//! directory; it leaves no file, and the kernel gives it back when a test process dies. A test that
//! starts a second server beside its first one has its turn already.

use std::cell::RefCell;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Weak};

use crate::error::{TestError, TestResult};

thread_local! {
    /// The turn of the test that runs on this thread, while one of its servers lives.
    static MINE: RefCell<Weak<Turn>> = const { RefCell::new(Weak::new()) };
}

/// The right to run servers, until the last clone is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    /// Closing the descriptor gives the lock back. It is not inherited by an `exec`, so a server
    /// never holds it.
    _directory: File,
}

impl Turn {
    /// Waits for the turn of the test on this thread; returns at once when the test has it already.
    ///
    /// # Errors
    /// When the directory cannot be opened or locked.
    pub(crate) fn take(directory: &Path) -> TestResult<Arc<Self>> {
        if let Some(turn) = MINE.with_borrow(Weak::upgrade) {
            return Ok(turn);
        }
        let explain = |error: std::io::Error| {
            let text = format!("cannot wait for the turn of this test at {}", directory.display());
            TestError::from(error).context(text)
        };
        // A program that is no test, such as the demo, may have no such directory: the nearest one
        // above it serves as well.
        let there = directory.ancestors().find(|path| path.is_dir()).unwrap_or(directory);
        let file = File::open(there).map_err(explain)?;
        file.lock().map_err(explain)?;
        let turn = Arc::new(Self { _directory: file });
        MINE.set(Arc::downgrade(&turn));
        Ok(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// A directory of its own: the one of the servers may be in use by other tests.
    fn directory() -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("turn-{}", crate::leaks::unique_marker()));
        std::fs::create_dir(&path).unwrap();
        path
    }

    #[test]
    fn a_directory_that_is_missing_is_replaced_by_the_one_above() {
        let path = directory();
        let turn = Turn::take(&path.join("nonesuch")).unwrap();
        drop(turn);
        std::fs::remove_dir(path).unwrap();
    }

    #[test]
    fn a_second_server_of_the_same_test_does_not_wait() {
        let path = directory();
        let first = Turn::take(&path).unwrap();
        let second = Turn::take(&path).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        drop((first, second));
        assert!(MINE.with_borrow(Weak::upgrade).is_none());
        std::fs::remove_dir(path).unwrap();
    }

    #[test]
    fn the_server_of_another_thread_waits_until_the_last_one_is_dropped() {
        let path = directory();
        let first = Turn::take(&path).unwrap();
        let second = Turn::take(&path).unwrap();
        let dropped = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                let turn = Turn::take(&path).unwrap();
                assert!(dropped.load(Ordering::SeqCst), "had its turn beside the first test");
                drop(turn);
            });
            drop(first);
            // What a lock that the first drop gave back would let through.
            let file = File::open(&path).unwrap();
            assert!(file.try_lock().is_err(), "the second server still lives");
            dropped.store(true, Ordering::SeqCst);
            drop(second);
            other.join().unwrap();
        });
        std::fs::remove_dir(path).unwrap();
    }
}
