//! Looks at what workers are doing, and asks the slow ones for their stacks.

use std::collections::HashMap;

use ostler_core::Millis;
use ostler_core::ids::ProcessKey;
use ostler_core::slow_request::{Running, SlowRequest};
use ostler_shm::black_box::phase::Seen;

use super::case::{SlowCase, Stack};
use super::outside;
use crate::manager::children::{Child, Children};
use crate::sys::{clock, signal};

/// Looks in the time after which a callback is slow: so it is told at most a quarter of that later.
const LOOKS: Millis = 4;
/// The longest time between two looks.
const LOOK_MAX_MS: Millis = 1_000;
/// The shortest: below it the looks would cost more than what they find.
const LOOK_MIN_MS: Millis = 5;
/// How long a worker that was asked for its stack is waited for: far longer than a busy machine
/// keeps it from its CPU, shorter than people wait for a log line.
const ANSWER_MAX_MS: Millis = 500;
/// The first pause before its answer is looked for; each following one is twice as long.
const ANSWER_MIN_MS: Millis = 1;

/// A worker that was asked for its stack.
#[derive(Debug)]
struct Asked {
    number: u64,
    seen: Seen,
    elapsed_ms: Millis,
    /// What it was doing before the signal woke it.
    state: Option<&'static str>,
    until: Millis,
    look_at: Millis,
    pause_ms: Millis,
}

#[derive(Debug, Default)]
struct Watch {
    slow: SlowRequest,
    asked: Option<Asked>,
}

/// The watches over all workers.
pub(super) struct Watches {
    after_ms: Option<Millis>,
    watches: HashMap<ProcessKey, Watch>,
    /// When all are looked at again.
    look_at: Millis,
    /// The number of the last request for a stack.
    number: u64,
}

impl Watches {
    pub(super) fn new(after_ms: Option<Millis>) -> Self {
        Self { after_ms, watches: HashMap::new(), look_at: 0, number: 0 }
    }

    /// A manager that watches nobody is not woken.
    pub(super) fn due(&self) -> Option<Millis> {
        self.after_ms?;
        let asked = self.watches.values().filter_map(|watch| Some(watch.asked.as_ref()?.look_at));
        asked.chain([self.look_at]).min()
    }

    pub(super) fn forget(&mut self, key: ProcessKey) {
        self.watches.remove(&key);
    }

    /// What was slow and is ready to be told.
    pub(super) fn run_due(&mut self, now: Millis, children: &Children) -> Vec<SlowCase> {
        let Some(after_ms) = self.after_ms else { return Vec::new() };
        if self.look_at <= now {
            let pause = (after_ms / LOOKS).clamp(LOOK_MIN_MS, LOOK_MAX_MS);
            self.look_at = now.saturating_add(pause);
            children.iter().for_each(|(key, child)| self.look(key, child, after_ms, now));
        }
        let mut ready = Vec::new();
        for (key, watch) in &mut self.watches {
            let Some(asked) = watch.asked.take_if(|asked| asked.look_at <= now) else { continue };
            let Some(child) = children.get(*key) else { continue };
            match answer(child, &asked, now) {
                Some(stack) => ready.push(case_of(*key, child, &asked, stack)),
                None => watch.asked = Some(asked.later(now)),
            }
        }
        ready
    }

    fn look(&mut self, key: ProcessKey, child: &Child, after_ms: Millis, now: Millis) {
        let seen = child.running();
        let running = seen.map(|seen| Running { turn: seen.turn, started: seen.phase.started_ns });
        let watch = self.watches.entry(key).or_default();
        let after = after_ms.saturating_mul(1_000_000);
        let elapsed = watch.slow.look(running, after, clock::monotonic_ns());
        if let (Some(elapsed), Some(seen)) = (elapsed, seen) {
            self.number += 1;
            let (number, state) = (self.number, outside::state_of(child.pid));
            let has_asked = child
                .black_box
                .signal()
                .filter(|number| signal::is_real_time(*number))
                .is_some_and(|signal| child.pidfd.ask_for_capture(signal, number).is_ok());
            watch.asked = Some(Asked {
                number,
                seen,
                elapsed_ms: elapsed / 1_000_000,
                state,
                // Who could not be asked is read from outside at once.
                until: if has_asked { now.saturating_add(ANSWER_MAX_MS) } else { now },
                look_at: now.saturating_add(ANSWER_MIN_MS),
                pause_ms: ANSWER_MIN_MS,
            });
        }
    }
}

impl Asked {
    fn later(self, now: Millis) -> Self {
        let pause_ms = self.pause_ms.saturating_mul(2);
        Self { pause_ms, look_at: now.saturating_add(pause_ms), ..self }
    }
}

/// The stack of a worker that was asked for it, or why there is none; `None`: not yet.
fn answer(child: &Child, asked: &Asked, now: Millis) -> Option<Stack> {
    let number = child.black_box.capture().map(|words| words.number());
    if number == Some(asked.number)
        && let Some(capture) = child.black_box.read_capture()
    {
        let is_of_it = capture.reason.phase_turn == asked.seen.turn;
        return Some(if is_of_it {
            Stack::Captured(Box::new(capture))
        } else {
            Stack::Missing("it had ended before its stack was captured".to_owned())
        });
    }
    if now < asked.until {
        return None;
    }
    Some(match outside::capture(child.pid) {
        Ok(capture) => Stack::Captured(capture),
        Err(why) => Stack::Missing(why),
    })
}

fn case_of(worker: ProcessKey, child: &Child, asked: &Asked, stack: Stack) -> SlowCase {
    SlowCase {
        worker,
        pid: child.pid,
        phase: asked.seen.phase,
        elapsed_ms: asked.elapsed_ms,
        state: asked.state,
        stack,
        modules: child.black_box.modules(),
    }
}
