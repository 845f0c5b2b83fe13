//! What who watches the reactors sees of them: since when a turn has been going on, and where its
//! thread is.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Thread;

use ostler_core::Nanos;

use crate::sys::thread_stack::{Askable, Asking};

/// The turns of all reactors. Without a watch there are none.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    marks: Vec<Mark>,
    /// By which threads are asked for their stacks, if they can be.
    asking: Option<Asking>,
    /// Who watches has seen nobody in a turn, and waits to be woken.
    is_asleep: AtomicBool,
    watcher: OnceLock<Thread>,
    /// They are the master's, whom somebody watches if the options say so.
    are_the_masters: bool,
}

/// One reactor. It writes, and who watches reads.
#[derive(Debug, Default)]
struct Mark {
    /// When its last turn began, twice, and one more while that goes on.
    turn: AtomicU64,
    thread: OnceLock<Askable>,
}

impl Turns {
    /// Those of so many reactors of the master that are watched.
    pub(crate) fn new(reactors: usize, asking: Option<Asking>) -> Self {
        let marks = (0..reactors).map(|_| Mark::default()).collect();
        Self { marks, asking, are_the_masters: true, ..Self::default() }
    }

    // ---- the reactor ----------------------------------------------------------------------------

    /// This thread is that of a reactor.
    pub(crate) fn enter(&self, reactor: usize) {
        let (Some(mark), Some(asking)) = (self.marks.get(reactor), &self.asking) else { return };
        match Askable::here(asking.signal()) {
            Ok(thread) => _ = mark.thread.set(thread),
            Err(error) => tracing::warn!(reactor, %error, "its stack cannot be asked for"),
        }
    }

    /// Whether they are those of the master, and not of a worker that serves its own clients.
    pub(crate) const fn are_the_masters(&self) -> bool {
        self.are_the_masters
    }

    /// A turn begins.
    pub(crate) fn begin(&self, reactor: usize, now: Nanos) {
        let Some(mark) = self.marks.get(reactor) else { return };
        mark.turn.store(now << 1 | 1, Ordering::SeqCst);
        // Of two who look at the other's word one sees it.
        if self.is_asleep.load(Ordering::SeqCst) && self.is_asleep.swap(false, Ordering::SeqCst) {
            self.wake_watcher();
        }
    }

    /// It is over.
    pub(crate) fn end(&self, reactor: usize) {
        if let Some(mark) = self.marks.get(reactor) {
            mark.turn.store(mark.turn.load(Ordering::Relaxed) & !1, Ordering::Release);
        }
    }

    // ---- who watches ----------------------------------------------------------------------------

    /// This thread watches.
    fn watch(&self) {
        let _ = self.watcher.set(std::thread::current());
    }

    /// The words of all reactors: another word is another turn, or the end of one.
    pub(crate) fn words(&self) -> Vec<u64> {
        self.marks.iter().map(|mark| mark.turn.load(Ordering::SeqCst)).collect()
    }

    /// When the turn that goes on has begun, of a word.
    pub(crate) const fn began(word: u64) -> Option<Nanos> {
        if word & 1 == 1 { Some(word >> 1) } else { None }
    }

    /// The thread of a reactor, if it can be asked.
    pub(crate) fn thread(&self, reactor: usize) -> Option<&Askable> {
        self.marks.get(reactor)?.thread.get()
    }

    /// Waits until a turn begins, or somebody wakes this thread. `seen` is how the words were.
    pub(crate) fn wait_for_a_turn(&self, seen: &[u64]) {
        self.watch();
        self.is_asleep.store(true, Ordering::SeqCst);
        if self.words() == seen {
            std::thread::park();
        }
        self.is_asleep.store(false, Ordering::SeqCst);
    }

    fn wake_watcher(&self) {
        if let Some(watcher) = self.watcher.get() {
            watcher.unpark();
        }
    }
}

/// A way to make a turn long, in builds for tests: a file is named by the environment
/// (`OSTLER_SLOW_TURN`), and the turn that finds it takes it away and lasts as many milliseconds as
/// it says.
#[cfg(debug_assertions)]
#[inline(never)]
pub(super) fn last_as_long_as_told() {
    static FILE: OnceLock<Option<std::path::PathBuf>> = OnceLock::new();
    let file = FILE.get_or_init(|| std::env::var_os("OSTLER_SLOW_TURN").map(Into::into));
    let Some(file) = file else { return };
    let Ok(text) = std::fs::read_to_string(file) else { return };
    if std::fs::remove_file(file).is_ok() {
        let millis = text.trim().parse().unwrap_or(0);
        std::thread::sleep(std::time::Duration::from_millis(millis));
    }
}

#[cfg(not(debug_assertions))]
pub(super) const fn last_as_long_as_told() {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    #[test]
    fn a_turn_is_seen_from_its_beginning_to_its_end() {
        let turns = Turns::new(2, None);
        let began = || turns.words().into_iter().map(Turns::began).collect::<Vec<_>>();
        assert_eq!(began(), [None, None]);
        let before = turns.words();
        turns.begin(1, 500);
        assert_eq!(began(), [None, Some(500)]);
        turns.end(1);
        assert_eq!(began(), [None, None]);
        assert_ne!(turns.words(), before, "there was one");
        // Without a watch nothing is noted.
        let nobody = Turns::default();
        nobody.begin(0, 1);
        nobody.end(0);
        assert!(nobody.words().is_empty() && nobody.thread(0).is_none());
    }

    #[test]
    fn who_watches_sleeps_until_a_turn_begins_and_misses_none() {
        let turns = Arc::new(Turns::new(1, None));
        let (sees, seen) = channel();
        let watched = Arc::clone(&turns);
        let watcher = std::thread::spawn(move || {
            let mut words = watched.words();
            loop {
                sees.send(words[0] >> 1).unwrap();
                if words[0] >> 1 == 1_000 {
                    return;
                }
                watched.wait_for_a_turn(&words);
                words = watched.words();
            }
        });
        for turn in 1..=1_000 {
            turns.begin(0, turn);
            turns.end(0);
            if turn % 100 == 0 {
                // It comes to rest in between.
                while seen.recv().unwrap() < turn {}
            }
        }
        watcher.join().unwrap();
    }
}
