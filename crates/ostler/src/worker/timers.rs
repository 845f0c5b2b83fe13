//! Timers of a worker: a heap of due times; cancelled ones are skipped when they come up.

use std::any::Any;
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::panic::Location;
use std::rc::Rc;

use ostler_core::{Nanos, invariant};

use super::handlers::HandlerId;
use crate::api::outcome::Outcome;
use crate::api::worker::Worker;

/// What a timer calls; the first argument is the handler that it is meant for.
pub(crate) enum Callback {
    /// Once.
    Once(Once),
    /// Again and again.
    Repeating(Repeating),
}

/// Called where no other callback runs.
pub(crate) type Once = Box<dyn FnOnce(&mut dyn Any, &Worker) -> Outcome>;

/// Shared with the timer while it is called: it may cancel itself.
pub(crate) type Repeating = Rc<RefCell<dyn FnMut(&mut dyn Any, &Worker) -> Outcome>>;

impl Callback {
    /// Calls it, where no other callback runs.
    pub(crate) fn call(self, handler: &mut dyn Any, worker: &Worker) -> Outcome {
        match self {
            Self::Once(callback) => callback(handler, worker),
            Self::Repeating(callback) => (callback.borrow_mut())(handler, worker),
        }
    }
}

struct Timer {
    callback: Callback,
    /// Whom it calls.
    handler: HandlerId,
    /// Of a repeating one.
    every_ns: Nanos,
    /// A leaving worker waits for it.
    holds: bool,
    made_at: &'static Location<'static>,
}

/// All timers of one worker.
#[derive(Default)]
pub(crate) struct Timers {
    due: BinaryHeap<Reverse<(Nanos, u64)>>,
    timers: HashMap<u64, Timer>,
    last_id: u64,
    /// The worker leaves: it does not wait for what is added from now on, or a callback that adds
    /// the next timer would hold it for ever.
    leaving: bool,
}

impl Timers {
    /// Adds a timer; it is due at `at`, a repeating one every `every_ns` after that.
    pub(crate) fn add(
        &mut self,
        at: Nanos,
        every_ns: Nanos,
        (handler, callback): (HandlerId, Callback),
        made_at: &'static Location<'static>,
    ) -> u64 {
        self.last_id += 1;
        let holds = matches!(callback, Callback::Once(_)) && !self.leaving;
        self.timers.insert(self.last_id, Timer { callback, handler, every_ns, holds, made_at });
        self.due.push(Reverse((at, self.last_id)));
        self.last_id
    }

    /// Removes a timer; false when it is not there any more.
    pub(crate) fn cancel(&mut self, id: u64) -> bool {
        self.timers.remove(&id).is_some()
    }

    /// When the next timer is due.
    pub(crate) fn next_due(&mut self) -> Option<Nanos> {
        while let Some(Reverse((at, id))) = self.due.peek() {
            if self.timers.contains_key(id) {
                return Some(*at);
            }
            self.due.pop();
        }
        None
    }

    /// Takes one timer that is due. A repeating one is due next after `now`: missed turns are not
    /// made up for.
    pub(crate) fn take_due(&mut self, now: Nanos) -> Option<(HandlerId, Callback)> {
        if self.next_due()? > now {
            return None;
        }
        let Reverse((at, id)) = self.due.pop()?;
        let timer = self.timers.get(&id);
        invariant!(timer.is_some(), "what is due next has not been cancelled");
        let timer = timer?;
        if let Callback::Repeating(callback) = &timer.callback {
            let (callback, every_ns) = (Rc::clone(callback), timer.every_ns.max(1));
            let missed = (now - at) / every_ns;
            self.due.push(Reverse((at + (missed + 1) * every_ns, id)));
            return Some((timer.handler, Callback::Repeating(callback)));
        }
        self.timers.remove(&id).map(|timer| (timer.handler, timer.callback))
    }

    /// The worker begins to leave.
    pub(crate) fn begin_leaving(&mut self) {
        self.leaving = true;
    }

    /// Where the timers were made that a leaving worker waits for: one-shot ones that were added
    /// before it left.
    pub(crate) fn holding(&self) -> impl Iterator<Item = &'static Location<'static>> + '_ {
        self.timers.values().filter(|timer| timer.holds).map(|timer| timer.made_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn once() -> (HandlerId, Callback) {
        (HandlerId::Server, Callback::Once(Box::new(|_, _| Ok(()))))
    }

    fn repeating() -> (HandlerId, Callback) {
        let callback = RefCell::new(|_: &mut dyn Any, _: &Worker| Ok(()));
        (HandlerId::Server, Callback::Repeating(Rc::new(callback)))
    }

    #[test]
    fn timers_come_due_in_order_and_once() {
        let mut timers = Timers::default();
        let here = Location::caller();
        timers.add(20, 0, once(), here);
        let first = timers.add(10, 0, once(), here);
        assert_eq!(timers.next_due(), Some(10));
        assert!(timers.take_due(5).is_none());
        assert!(timers.take_due(15).is_some());
        assert!(timers.take_due(15).is_none());
        assert!(!timers.cancel(first), "it has been");
        assert_eq!(timers.holding().count(), 1);
    }

    #[test]
    fn a_repeating_timer_does_not_make_up_for_missed_turns() {
        let mut timers = Timers::default();
        let id = timers.add(10, 10, repeating(), Location::caller());
        assert!(timers.take_due(57).is_some());
        assert_eq!(timers.next_due(), Some(60));
        assert!(timers.cancel(id));
        assert_eq!(timers.next_due(), None);
    }

    #[test]
    fn only_one_shot_timers_from_before_hold_a_leaving_worker() {
        let mut timers = Timers::default();
        let here = Location::caller();
        timers.add(10, 0, once(), here);
        timers.add(10, 10, repeating(), here);
        timers.begin_leaving();
        assert_eq!(timers.holding().count(), 1);
        while timers.take_due(10).is_some() {}
        timers.add(20, 0, once(), here);
        assert_eq!(timers.holding().count(), 0, "the callback has added another");
        assert!(timers.take_due(20).is_some(), "it is called all the same, if there is time");
    }
}
