//! Harm done to a running server: random kills, with a seed that repeats the choice.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::{TestError, TestResult};
use crate::process::Process;
use crate::server::TestServer;
use crate::tree::Tree;

/// The seed to repeat, printed by the run before.
const SEED: &str = "OSTLER_SEED";

/// A small generator of random numbers (splitmix64): the same seed gives the same numbers.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A generator with this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A generator seeded by `OSTLER_SEED`, else by the kernel. Prints the seed, for
    /// `OSTLER_SEED=... ` to repeat it.
    ///
    /// # Errors
    /// When the variable is no number, or the kernel has no random bytes.
    pub fn from_environment(purpose: &str) -> TestResult<Self> {
        let seed = match std::env::var(SEED) {
            Ok(text) => {
                text.parse().map_err(|_| TestError::new(format!("{SEED}={text} is no number")))?
            }
            Err(_) => {
                let mut bytes = [0; 8];
                rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
                u64::from_ne_bytes(bytes)
            }
        };
        eprintln!("{purpose}: seed {seed} (repeat with {SEED}={seed})");
        Ok(Self::new(seed))
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of the elements, `None` of an empty list.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let index = self.next_u64().checked_rem(u64::try_from(list.len()).ok()?)?;
        list.get(usize::try_from(index).ok()?)
    }
}

/// A thread that kills a random worker again and again until it is stopped.
#[derive(Debug)]
pub struct KillEvery {
    stop: Arc<StopFlag>,
    thread: Option<JoinHandle<u64>>,
}

#[derive(Debug, Default)]
struct StopFlag {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl StopFlag {
    fn set(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Sleeps; `true` when it is time to stop.
    fn sleep(&self, interval: Duration) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let woken = self.changed.wait_timeout_while(stopped, interval, |stopped| !*stopped);
        *woken.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl KillEvery {
    /// Starts killing workers of this server.
    ///
    /// # Errors
    /// When the seed or the thread cannot be had.
    pub fn start(server: &TestServer, interval: Duration) -> TestResult<Self> {
        Self::start_on(server, interval, Tree::workers)
    }

    /// The same with task workers.
    ///
    /// # Errors
    /// Those of [`KillEvery::start`].
    pub fn start_on_tasks(server: &TestServer, interval: Duration) -> TestResult<Self> {
        Self::start_on(server, interval, Tree::task_workers)
    }

    fn start_on(server: &TestServer, interval: Duration, whom: Whom) -> TestResult<Self> {
        let random = Random::from_environment("KillEvery")?;
        let tree = Arc::clone(server.tree());
        let stop = Arc::new(StopFlag::default());
        let seen = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("kill-every".to_owned())
            .spawn(move || kill_until_stopped(&tree, &seen, interval, random, whom))?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Stops and returns how many workers were killed.
    ///
    /// # Errors
    /// When the thread panicked.
    pub fn stop(mut self) -> TestResult<u64> {
        self.join().unwrap_or(Ok(0))
    }

    fn join(&mut self) -> Option<TestResult<u64>> {
        self.stop.set();
        let thread = self.thread.take()?;
        Some(thread.join().map_err(|_| TestError::new("the thread of KillEvery panicked")))
    }
}

impl Drop for KillEvery {
    fn drop(&mut self) {
        // A panic of the thread has been printed by the thread.
        let _killed = self.join();
    }
}

/// Who may be killed.
type Whom = fn(&Tree) -> Vec<Process>;

fn kill_until_stopped(
    tree: &Tree,
    stop: &StopFlag,
    interval: Duration,
    mut random: Random,
    whom: Whom,
) -> u64 {
    let mut killed = 0;
    while !stop.sleep(interval) {
        if let Some(worker) = random.pick(&whom(tree)) {
            killed += u64::from(worker.kill());
        }
    }
    killed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_choices() {
        let choices = |seed| {
            let mut random = Random::new(seed);
            (0..8).map(|_| *random.pick(&[1, 2, 3, 4, 5]).unwrap()).collect::<Vec<i32>>()
        };
        assert_eq!(choices(7), choices(7));
        assert_ne!(choices(7), choices(8));
        assert_eq!(Random::new(1).pick::<i32>(&[]), None);
    }
}
