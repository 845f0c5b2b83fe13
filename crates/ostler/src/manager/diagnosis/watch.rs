//! Looks at what workers are doing, and asks the slow ones for their stacks.

use std::collections::HashMap;

use ostler_core::Millis;
use ostler_core::ids::ProcessKey;
use ostler_core::slow_request::{Running, SlowRequest};

use super::asked::{Asked, Requests};
use super::case::{SlowCase, Stack};
use super::outside;
use crate::manager::children::{Child, Children};
use crate::sys::clock;

/// Looks in the time after which a callback is slow: so it is told at most a quarter of that later.
const LOOKS: Millis = 4;
/// The longest time between two looks.
const LOOK_MAX_MS: Millis = 1_000;
/// The shortest: below it the looks would cost more than what they find.
const LOOK_MIN_MS: Millis = 5;
/// How long a worker that was asked for its stack is waited for: far longer than a busy machine
/// keeps it from its CPU, shorter than people wait for a log line.
const ANSWER_MAX_MS: Millis = 500;
/// A slow callback whose stack was asked for.
#[derive(Debug)]
struct Slow {
    asked: Asked,
    elapsed_ms: Millis,
    /// What it was doing before the signal woke it.
    state: Option<&'static str>,
}

#[derive(Debug, Default)]
struct Watch {
    slow: SlowRequest,
    asked: Option<Slow>,
}

/// The watches over all workers.
pub(super) struct Watches {
    after_ms: Option<Millis>,
    watches: HashMap<ProcessKey, Watch>,
    /// When all are looked at again.
    look_at: Millis,
}

impl Watches {
    pub(super) fn new(after_ms: Option<Millis>) -> Self {
        Self { after_ms, watches: HashMap::new(), look_at: 0 }
    }

    /// A manager that watches nobody is not woken.
    pub(super) fn due(&self) -> Option<Millis> {
        self.after_ms?;
        let asked =
            self.watches.values().filter_map(|watch| Some(watch.asked.as_ref()?.asked.look_at()));
        asked.chain([self.look_at]).min()
    }

    pub(super) fn forget(&mut self, key: ProcessKey) {
        self.watches.remove(&key);
    }

    /// The stack of this worker is asked for to another end: what is slow in it is told by that.
    pub(super) fn let_be(&mut self, key: ProcessKey) {
        if let Some(watch) = self.watches.get_mut(&key) {
            watch.asked = None;
        }
    }

    /// What was slow and is ready to be told.
    pub(super) fn run_due(
        &mut self,
        now: Millis,
        children: &Children,
        requests: &mut Requests,
    ) -> Vec<SlowCase> {
        let Some(after_ms) = self.after_ms else { return Vec::new() };
        if self.look_at <= now {
            let pause = (after_ms / LOOKS).clamp(LOOK_MIN_MS, LOOK_MAX_MS);
            self.look_at = now.saturating_add(pause);
            for (key, child) in children.iter() {
                self.look(key, child, after_ms, now, requests);
            }
        }
        let mut ready = Vec::new();
        for (key, watch) in &mut self.watches {
            let Some(mut slow) = watch.asked.take_if(|slow| slow.asked.look_at() <= now) else {
                continue;
            };
            let Some(child) = children.get(*key) else { continue };
            match slow.asked.answer(child, now) {
                Some(stack) => ready.push(case_of(*key, child, &slow, stack)),
                None => watch.asked = Some(slow),
            }
        }
        ready
    }

    fn look(
        &mut self,
        key: ProcessKey,
        child: &Child,
        after_ms: Millis,
        now: Millis,
        requests: &mut Requests,
    ) {
        let seen = child.running();
        let running = seen.map(|seen| Running { turn: seen.turn, started: seen.phase.started_ns });
        let watch = self.watches.entry(key).or_default();
        let after = after_ms.saturating_mul(1_000_000);
        let elapsed = watch.slow.look(running, after, clock::monotonic_ns());
        if let (Some(elapsed), Some(seen)) = (elapsed, seen) {
            let state = outside::state_of(child.pid);
            let asked = requests.ask(child, seen, now.saturating_add(ANSWER_MAX_MS), now);
            watch.asked = Some(Slow { asked, elapsed_ms: elapsed / 1_000_000, state });
        }
    }
}

fn case_of(worker: ProcessKey, child: &Child, slow: &Slow, stack: Stack) -> SlowCase {
    SlowCase {
        worker,
        pid: child.pid,
        phase: slow.asked.seen.phase,
        elapsed_ms: slow.elapsed_ms,
        state: slow.state,
        stack,
        modules: child.black_box.modules(),
    }
}
