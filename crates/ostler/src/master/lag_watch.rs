//! The thread that watches the reactors: a turn that takes longer than `reactor_slowlog_timeout_ms`
//! is told with the stack of its thread.
//!
//! The reactor waits for nobody: it writes a word when a turn begins and ends, and copies its own
//! stack when it is asked. Names of functions are found by the manager's helper, as those of slow
//! requests: this process may not even be allowed to read its own program.
//! (`docs/decisions/82-slow-turns-of-reactors.md`)

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ostler_core::Nanos;
use ostler_core::invariant;
use ostler_core::loop_lag::{Lag, LoopLag};

use super::event_loop::Master;
use crate::control::{SlowTurn, ToManager};
use crate::error::{Error, Result};
use crate::options::{Mode, Options};
use crate::reactor::mailbox::{FromReactor, Reports};
use crate::reactor::turns::Turns;
use crate::sys::clock;
use crate::sys::thread_stack::Asking;

/// The watch. It ends with this value.
#[derive(Debug)]
pub(super) struct LagWatch {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Whether reactors are watched.
fn limit(options: &Options) -> Option<Nanos> {
    let after = options.reactor_slowlog_timeout_ms.saturating_mul(1_000_000);
    (watched(options) > 0 && after > 0).then_some(after)
}

/// How many reactors the master has: in BASE mode the switch, if that. A process that serves its
/// own clients is none of them: its slow turns are slow handlers.
fn watched(options: &Options) -> usize {
    match options.mode {
        Mode::Process => options.reactors.into(),
        Mode::Base => options.has_switch().into(),
    }
}

/// What they write for who watches them, and by which their threads are asked. For the thread that
/// reads signals.
///
/// # Errors
/// When the system refuses a handler.
pub(super) fn turns(options: &Options) -> Result<Arc<Turns>> {
    if limit(options).is_none() {
        return Ok(Arc::new(Turns::new(0, None)));
    }
    let failed = |error| Error::start("cannot handle a signal for stacks", Some(error));
    let asking = Asking::install().map_err(failed)?;
    Ok(Arc::new(Turns::new(watched(options), asking)))
}

impl LagWatch {
    /// `None`: nobody is watched.
    ///
    /// # Errors
    /// When the system has no thread.
    pub(super) fn start(options: &Options, reports: &Reports) -> Result<Option<Self>> {
        let Some(after) = limit(options) else { return Ok(None) };
        let is_over = Arc::new(AtomicBool::new(false));
        let watch = Watch {
            lag: LoopLag::new(after, watched(options)),
            reports: reports.clone(),
            is_over: Arc::clone(&is_over),
        };
        let thread = std::thread::Builder::new().name("lag-watch".to_owned());
        let thread = thread.spawn(move || watch.run());
        let thread = thread.map_err(|error| Error::start("cannot start a thread", Some(error)))?;
        Ok(Some(Self { is_over, thread: Some(thread) }))
    }
}

impl Drop for LagWatch {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // Also if it has not begun to wait yet.
            thread.thread().unpark();
            let joined = thread.join();
            invariant!(joined.is_ok(), "a thread that panics aborts the process");
        }
    }
}

/// The thread.
struct Watch {
    lag: LoopLag,
    reports: Reports,
    is_over: Arc<AtomicBool>,
}

impl Watch {
    fn run(mut self) {
        let turns = Arc::clone(&self.reports.turns);
        let pause = Duration::from_nanos(self.lag.pause());
        let mut before = Vec::new();
        while !self.is_over.load(Ordering::SeqCst) {
            let words = turns.words();
            let began: Vec<_> = words.iter().map(|word| Turns::began(*word)).collect();
            if words == before && began.iter().all(Option::is_none) {
                turns.wait_for_a_turn(&words);
                self.lag.rests();
                continue;
            }
            before = words;
            for lag in self.lag.look(&began, clock::monotonic_ns()) {
                self.found(&turns, lag);
            }
            std::thread::park_timeout(pause);
        }
    }

    fn found(&self, turns: &Turns, lag: Lag) {
        let told = lag.told.map(|more| SlowTurn {
            reactor: lag.number,
            elapsed_ms: lag.elapsed / 1_000_000,
            more,
            stack: match turns.thread(lag.number) {
                Some(thread) => thread.stack().map_err(str::to_owned),
                None => Err("no signal is free to ask for it".to_owned()),
            },
        });
        self.reports.queue.push(FromReactor::Lags(told.map(Box::new)));
    }
}

impl Master {
    /// A turn of a reactor takes long; if it is to be told, the manager does so.
    pub(super) fn reactor_lags(&mut self, told: Option<Box<SlowTurn>>) {
        self.figures.reactor_lags();
        let Some(told) = told else { return };
        match told.to_file() {
            Ok(file) => self.send(&ToManager::ReactorLags, vec![file]),
            Err(error) => tracing::warn!(%error, "a slow turn of a reactor cannot be told"),
        }
    }
}
