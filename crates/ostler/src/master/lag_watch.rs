//! The thread that watches the reactors: a turn that takes longer than `reactor_slowlog_timeout_ms`
//! is told with the stack of its thread.
//!
//! The reactor waits for nobody: it writes a word when a turn begins and ends, and copies its own
//! stack when it is asked. Nor does who watches: all are looked at while one is asked. Names of
//! functions are found by the manager's helper, as those of slow requests: this process may not
//! even be allowed to read its own program.
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
use crate::sys::thread_stack::{Askable, Asking};

/// How long an answer is waited for: longer than a busy machine keeps a thread from its CPU.
const ANSWER_MAX_NS: Nanos = 100_000_000;
/// How often is looked for one meanwhile.
const ANSWER_LOOK: Duration = Duration::from_millis(1);

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
        let watch = Watch::new(LoopLag::new(after, watched(options)), reports.clone());
        let ends = Arc::clone(&is_over);
        let thread = std::thread::Builder::new().name("lag-watch".to_owned());
        let thread = thread.spawn(move || watch.run(&ends));
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
    /// The words of the reactors at the last look.
    before: Vec<u64>,
    /// Turns that are told as soon as their stacks are there.
    asked: Vec<Asked>,
}

/// A turn whose stack is waited for.
struct Asked {
    told: SlowTurn,
    until: Nanos,
}

impl Watch {
    const fn new(lag: LoopLag, reports: Reports) -> Self {
        Self { lag, reports, before: Vec::new(), asked: Vec::new() }
    }

    fn run(mut self, is_over: &AtomicBool) {
        while !is_over.load(Ordering::SeqCst) {
            match self.look(clock::monotonic_ns()) {
                Some(pause) => std::thread::park_timeout(pause),
                None => self.reports.turns.wait_for_a_turn(&self.before),
            }
        }
        self.take_answers(Nanos::MAX);
    }

    /// Looks at all reactors, and waits for none of them. Answers how long until the next look;
    /// `None`: until a turn begins.
    fn look(&mut self, now: Nanos) -> Option<Duration> {
        self.take_answers(now);
        let words = self.reports.turns.words();
        let began: Vec<_> = words.iter().map(|word| Turns::began(*word)).collect();
        if words == self.before && began.iter().all(Option::is_none) && self.asked.is_empty() {
            self.lag.rests();
            return None;
        }
        self.before = words;
        for lag in self.lag.look(&began, now) {
            self.found(lag, now);
        }
        let pause = Duration::from_nanos(self.lag.pause());
        Some(if self.asked.is_empty() { pause } else { pause.min(ANSWER_LOOK) })
    }

    /// A turn takes long: its thread is asked where it is, if that is to be told.
    fn found(&mut self, lag: Lag, now: Nanos) {
        let Some(more) = lag.told else { return self.tell(None) };
        let asked = match self.reports.turns.thread(lag.number) {
            Some(thread) => thread.ask(),
            None => Err("no signal is free to ask for it"),
        };
        let why = asked.err().unwrap_or("it gave none: it waits in the kernel, or has no CPU");
        let (reactor, elapsed_ms) = (lag.number, lag.elapsed / 1_000_000);
        let told = SlowTurn { reactor, elapsed_ms, more, stack: Err(why.to_owned()) };
        match asked {
            Ok(()) => self.asked.push(Asked { told, until: now.saturating_add(ANSWER_MAX_NS) }),
            Err(_) => self.tell(Some(told)),
        }
    }

    /// Tells those turns whose stacks are there, or are waited for no longer.
    fn take_answers(&mut self, now: Nanos) {
        for mut asked in std::mem::take(&mut self.asked) {
            let thread = self.reports.turns.thread(asked.told.reactor);
            if let Some(stack) = thread.and_then(Askable::answer) {
                asked.told.stack = Ok(stack);
            } else if now < asked.until {
                self.asked.push(asked);
                continue;
            } else if let Some(thread) = thread {
                thread.give_up();
            }
            self.tell(Some(asked.told));
        }
    }

    fn tell(&self, told: Option<SlowTurn>) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    use ostler_shm::board::{Board, BoardSizes};

    use crate::reactor::places::Places;
    use crate::sys::process::in_forked_test;
    use crate::sys::signal::Held;

    const DEADLINE: Duration = Duration::from_secs(30);
    const MS: Nanos = 1_000_000;

    /// A watch over so many reactors, for turns of 100 ms.
    fn watch(reactors: usize) -> Watch {
        let asking = Asking::install().unwrap();
        let board =
            Board::create(BoardSizes { reactors, sessions: 1, ..BoardSizes::default() }).unwrap().0;
        let reports = Reports::new(Places::new(Arc::new(board))).unwrap();
        let reports = reports.with_turns(Arc::new(Turns::new(reactors, asking)));
        Watch::new(LoopLag::new(100 * MS, reactors), reports)
    }

    /// The turns that were told since the last time: the reactor, and whether with a stack.
    fn told(watch: &Watch) -> Vec<(usize, bool)> {
        let told = watch.reports.queue.take().into_iter().map(|told| match told {
            FromReactor::Lags(Some(told)) => (told.reactor, told.stack.is_ok()),
            _ => (usize::MAX, false),
        });
        told.collect()
    }

    /// A thread that can be asked until the sender is gone.
    fn reactor(number: usize, turns: &Arc<Turns>) -> (JoinHandle<()>, std::sync::mpsc::Sender<()>) {
        let (ends, end) = std::sync::mpsc::channel();
        let (enters, entered) = std::sync::mpsc::channel();
        let turns = Arc::clone(turns);
        let thread = std::thread::spawn(move || {
            turns.enter(number);
            enters.send(()).unwrap();
            let _ = end.recv();
        });
        entered.recv().unwrap();
        (thread, ends)
    }

    #[test]
    fn one_that_gives_no_stack_hides_no_other() {
        in_forked_test(|| {
            let _held = Held::new().unwrap();
            let mut watch = watch(3);
            let turns = Arc::clone(&watch.reports.turns);
            // It gives no answer any more.
            let (gone, end) = reactor(0, &turns);
            drop(end);
            gone.join().unwrap();
            let others = [1, 2].map(|number| reactor(number, &turns));
            turns.begin(0, 1_000 * MS);
            turns.begin(1, 1_020 * MS);
            turns.begin(2, 1_020 * MS);
            for now in [1_000, 1_025, 1_050, 1_075, 1_100] {
                assert!(watch.look(now * MS).is_some());
            }
            assert_eq!((watch.asked.len(), told(&watch)), (1, vec![]), "nobody waits for it");
            let (deadline, mut both) = (Instant::now() + DEADLINE, Vec::new());
            while both.len() < 2 {
                assert!(Instant::now() < deadline, "{both:?}");
                assert_eq!(watch.look(1_125 * MS), Some(ANSWER_LOOK));
                both.extend(told(&watch));
            }
            both.sort_unstable();
            assert_eq!(both, [(1, true), (2, true)], "while the first is waited for");
            turns.end(1);
            turns.end(2);
            watch.look(1_199 * MS);
            assert_eq!(told(&watch), []);
            watch.look(1_200 * MS);
            assert_eq!(told(&watch), [(0, false)], "it had its time");
            turns.end(0);
            watch.look(1_225 * MS);
            assert_eq!(watch.look(1_250 * MS), None, "nobody has a turn");
            for (thread, end) in others {
                drop(end);
                thread.join().unwrap();
            }
        });
    }
}
