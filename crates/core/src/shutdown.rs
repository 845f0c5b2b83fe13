//! The end of a server, in order: stop accepting, stop reading, let workers finish, flush, close
//! events, end workers. Every stage has a deadline.

use crate::Millis;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first TERM to the master, or a request through the manager. Both come when a whole
    /// process group is told to end (systemd, Ctrl-C), so a second request means nothing more than
    /// the first (decision 18).
    Requested,
    /// A TERM to the master. The first asks as [`Event::Requested`] does. A later one means "now",
    /// but only [`SECOND_TERM_AFTER_MS`] later: `timeout` and service managers send two at once, to
    /// a process and to its group.
    Terminate,
    /// INT: now.
    Interrupt,
    /// Whoever had to know of the end before it begins does ([`ShutdownAction::Announce`]).
    Announced,
    /// Every reactor has ended all its sessions.
    SessionsDrained,
    /// The manager has ended all workers.
    WorkersGone,
    /// The manager is gone although nobody asked for it, for good: there is no spare, or it is not
    /// wanted any more ([`Shutdown::wants_manager`]).
    ManagersLost,
    /// The time that [`Shutdown::deadline`] named has come.
    Tick,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownAction {
    /// Tell the companion that the end begins; answered by [`Event::Announced`]. Everything else
    /// waits for that, or for its deadline.
    Announce,
    /// Close the listeners, tell the reactors to drain.
    Drain,
    /// The drain took too long: say what held it, and close every session now.
    CloseSessions {
        /// Whether a deadline passed (else somebody asked for it).
        timed_out: bool,
    },
    /// Ask the manager to end the workers.
    StopWorkers {
        /// Without letting them leave.
        now: bool,
    },
    /// Stop the reactors and exit.
    Exit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Running,
    /// The companion is told.
    Announcing {
        until: Millis,
    },
    Draining {
        until: Millis,
    },
    /// Sessions are closed by force; their close events may still reach workers.
    Closing {
        until: Millis,
    },
    StoppingWorkers {
        until: Millis,
        now: bool,
    },
    Done,
}

/// The state machine.
#[derive(Debug)]
pub struct Shutdown {
    stage: Stage,
    shutdown_timeout_ms: Millis,
    drain_timeout_ms: Millis,
    /// How long the companion may take about the news; `None`: there is no companion.
    announce_timeout_ms: Option<Millis>,
    /// When the first TERM came.
    terminated_at: Option<Millis>,
}

/// A further TERM counts this long after the first one.
pub const SECOND_TERM_AFTER_MS: Millis = 1_000;
/// How long close events may take after sessions were closed by force.
const CLOSE_EVENTS_MS: Millis = 1_000;
/// How long the companion may take about an end that comes at once. Less than
/// `MANAGER_GRACE_MS`, which is what is left for all.
pub const LAST_WORDS_MS: Millis = 1_000;
/// How long the manager may take beyond the workers' own deadline.
const MANAGER_GRACE_MS: Millis = 2_000;

impl Shutdown {
    /// A server that runs. `shutdown_timeout_ms` bounds the drain of sessions, `drain_timeout_ms`
    /// that of workers.
    #[must_use]
    pub const fn new(shutdown_timeout_ms: Millis, drain_timeout_ms: Millis) -> Self {
        Self {
            stage: Stage::Running,
            shutdown_timeout_ms,
            drain_timeout_ms,
            announce_timeout_ms: None,
            terminated_at: None,
        }
    }

    /// The same with a companion, which may take so long about the news of the end.
    #[must_use]
    pub const fn announced(self, timeout_ms: Option<Millis>) -> Self {
        Self { announce_timeout_ms: timeout_ms, ..self }
    }

    /// Whether the end has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.stage != Stage::Running
    }

    /// Whether a manager that is lost has to be replaced. While sessions are drained or closed
    /// there is work for workers left; afterwards the manager only ends them, which its own end
    /// does as well.
    #[must_use]
    pub const fn wants_manager(&self) -> bool {
        use Stage::{Announcing, Closing, Draining, Running};
        matches!(self.stage, Running | Announcing { .. } | Draining { .. } | Closing { .. })
    }

    /// When to send [`Event::Tick`].
    #[must_use]
    pub const fn deadline(&self) -> Option<Millis> {
        match self.stage {
            Stage::Running | Stage::Done => None,
            Stage::Announcing { until }
            | Stage::Draining { until }
            | Stage::Closing { until }
            | Stage::StoppingWorkers { until, .. } => Some(until),
        }
    }

    /// One step.
    pub fn on(&mut self, event: Event, now: Millis) -> Vec<ShutdownAction> {
        if event == Event::Terminate {
            let first = *self.terminated_at.get_or_insert(now);
            let is_second = now >= first.saturating_add(SECOND_TERM_AFTER_MS);
            return self.step(if is_second { Event::Terminate } else { Event::Requested }, now);
        }
        self.step(event, now)
    }

    fn step(&mut self, event: Event, now: Millis) -> Vec<ShutdownAction> {
        match (self.stage, event) {
            (Stage::Done, _) => Vec::new(),
            (_, Event::ManagersLost) => self.exit(),
            (Stage::Running, Event::Requested | Event::Terminate) => {
                let Some(timeout_ms) = self.announce_timeout_ms else { return self.drain(now) };
                self.stage = Stage::Announcing { until: now.saturating_add(timeout_ms) };
                vec![ShutdownAction::Announce]
            }
            (Stage::Announcing { .. }, Event::Announced) => self.drain(now),
            (Stage::Announcing { until }, Event::Tick) if now >= until => self.drain(now),
            (Stage::Running | Stage::Announcing { .. }, Event::Terminate | Event::Interrupt) => {
                let mut actions = vec![ShutdownAction::Drain];
                actions.extend(self.end_now(now));
                actions
            }
            (
                Stage::Draining { .. } | Stage::Closing { .. },
                Event::Terminate | Event::Interrupt,
            ) => self.end_now(now),
            (Stage::StoppingWorkers { now: false, .. }, Event::Terminate | Event::Interrupt) => {
                self.stop_workers(now, true)
            }
            (Stage::Draining { .. } | Stage::Closing { .. }, Event::SessionsDrained) => {
                self.stop_workers(now, false)
            }
            (Stage::Draining { until }, Event::Tick) if now >= until => {
                self.stage = Stage::Closing { until: now + CLOSE_EVENTS_MS };
                vec![ShutdownAction::CloseSessions { timed_out: true }]
            }
            (Stage::Closing { until }, Event::Tick) if now >= until => self.stop_workers(now, true),
            (Stage::StoppingWorkers { until, .. }, Event::Tick) if now >= until => self.exit(),
            (Stage::StoppingWorkers { .. }, Event::WorkersGone) => self.exit(),
            _ => Vec::new(),
        }
    }

    fn drain(&mut self, now: Millis) -> Vec<ShutdownAction> {
        self.stage = Stage::Draining { until: now + self.shutdown_timeout_ms };
        vec![ShutdownAction::Drain]
    }

    fn end_now(&mut self, now: Millis) -> Vec<ShutdownAction> {
        let mut actions = vec![ShutdownAction::CloseSessions { timed_out: false }];
        actions.extend(self.stop_workers(now, true));
        actions
    }

    fn stop_workers(&mut self, now: Millis, at_once: bool) -> Vec<ShutdownAction> {
        let wait = if at_once { 0 } else { self.drain_timeout_ms };
        self.stage = Stage::StoppingWorkers { until: now + wait + MANAGER_GRACE_MS, now: at_once };
        vec![ShutdownAction::StopWorkers { now: at_once }]
    }

    fn exit(&mut self) -> Vec<ShutdownAction> {
        self.stage = Stage::Done;
        vec![ShutdownAction::Exit]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn in_good_order() {
        let mut shutdown = Shutdown::new(100, 50);
        assert_eq!(shutdown.on(Event::Requested, 0), [ShutdownAction::Drain]);
        assert_eq!(shutdown.on(Event::Requested, 5), [], "a group's TERM comes by two ways");
        assert_eq!(
            shutdown.on(Event::SessionsDrained, 10),
            [ShutdownAction::StopWorkers { now: false }]
        );
        assert_eq!(shutdown.on(Event::WorkersGone, 20), [ShutdownAction::Exit]);
        assert_eq!(shutdown.deadline(), None);
    }

    #[test]
    fn the_companion_knows_before_anything_ends() {
        let announced = || Shutdown::new(100, 50).announced(Some(30));
        let mut shutdown = announced();
        assert_eq!(shutdown.on(Event::Terminate, 0), [ShutdownAction::Announce]);
        assert_eq!(shutdown.on(Event::Requested, 1), [], "a group's TERM comes by two ways");
        assert!(shutdown.has_begun() && shutdown.wants_manager());
        assert_eq!(shutdown.on(Event::SessionsDrained, 2), [], "nobody was told to");
        assert_eq!(shutdown.on(Event::Announced, 3), [ShutdownAction::Drain]);
        assert_eq!(shutdown.on(Event::Announced, 4), []);
        assert_eq!(shutdown.deadline(), Some(103));

        let mut shutdown = announced();
        shutdown.on(Event::Requested, 0);
        assert_eq!(shutdown.on(Event::Tick, 29), []);
        assert_eq!(shutdown.on(Event::Tick, 30), [ShutdownAction::Drain], "it takes too long");

        for (event, at) in [(Event::Interrupt, 5), (Event::Terminate, SECOND_TERM_AFTER_MS)] {
            let mut shutdown = announced();
            shutdown.on(Event::Terminate, 0);
            let out = shutdown.on(event, at);
            assert_eq!(out.first(), Some(&ShutdownAction::Drain), "now means now");
            assert_eq!(out.last(), Some(&ShutdownAction::StopWorkers { now: true }));
        }
    }

    #[test]
    fn a_drain_that_takes_too_long_is_cut() {
        let mut shutdown = Shutdown::new(100, 50);
        shutdown.on(Event::Terminate, 0);
        assert_eq!(shutdown.on(Event::Tick, 99), []);
        assert_eq!(
            shutdown.on(Event::Tick, 100),
            [ShutdownAction::CloseSessions { timed_out: true }]
        );
        assert_eq!(
            shutdown.on(Event::SessionsDrained, 110),
            [ShutdownAction::StopWorkers { now: false }]
        );
        assert_eq!(shutdown.on(Event::Tick, 110 + 50 + MANAGER_GRACE_MS), [ShutdownAction::Exit]);
    }

    /// Each deadline holds to the millisecond; an early tick only asks again.
    #[test]
    fn nothing_is_cut_before_its_time() {
        let mut shutdown = Shutdown::new(100, 50);
        assert!(!shutdown.has_begun());
        shutdown.on(Event::Requested, 0);
        assert!(shutdown.has_begun());
        let expected = [
            (100, ShutdownAction::CloseSessions { timed_out: true }),
            (100 + CLOSE_EVENTS_MS, ShutdownAction::StopWorkers { now: true }),
            (100 + CLOSE_EVENTS_MS + MANAGER_GRACE_MS, ShutdownAction::Exit),
        ];
        for (due, action) in expected {
            assert_eq!(shutdown.deadline(), Some(due));
            assert_eq!(shutdown.on(Event::Tick, due - 1), [], "{action:?}");
            assert_eq!(shutdown.on(Event::Tick, due), [action]);
        }
        assert!(shutdown.has_begun(), "the end stays the end");
        assert_eq!(shutdown.on(Event::Tick, 1_000_000), []);
    }

    #[test]
    fn an_interrupt_ends_now_wherever_it_comes() {
        let close = ShutdownAction::CloseSessions { timed_out: false };
        let stop = ShutdownAction::StopWorkers { now: true };
        let mut running = Shutdown::new(100, 50);
        assert_eq!(running.on(Event::Interrupt, 0), [ShutdownAction::Drain, close, stop]);
        assert_eq!(running.on(Event::Interrupt, 1), [], "it cannot be any faster");

        let mut draining = Shutdown::new(100, 50);
        draining.on(Event::Requested, 0);
        assert_eq!(draining.on(Event::Interrupt, 1), [close, stop]);

        // Workers that have their time lose it.
        let mut stopping = Shutdown::new(100, 50);
        stopping.on(Event::Requested, 0);
        stopping.on(Event::SessionsDrained, 1);
        assert_eq!(stopping.deadline(), Some(1 + 50 + MANAGER_GRACE_MS));
        assert_eq!(stopping.on(Event::Interrupt, 2), [stop]);
        assert_eq!(stopping.deadline(), Some(2 + MANAGER_GRACE_MS));
        assert_eq!(stopping.on(Event::Tick, 2 + MANAGER_GRACE_MS), [ShutdownAction::Exit]);
    }

    #[test]
    fn a_second_term_ends_now() {
        let mut shutdown = Shutdown::new(100, 50);
        shutdown.on(Event::Terminate, 7);
        assert_eq!(
            shutdown.on(Event::Terminate, 7 + SECOND_TERM_AFTER_MS),
            [
                ShutdownAction::CloseSessions { timed_out: false },
                ShutdownAction::StopWorkers { now: true }
            ]
        );
    }

    #[test]
    fn two_terms_at_once_are_one() {
        let mut shutdown = Shutdown::new(5_000, 50);
        assert_eq!(shutdown.on(Event::Terminate, 7), [ShutdownAction::Drain]);
        for now in [7, 8, 6 + SECOND_TERM_AFTER_MS] {
            assert_eq!(shutdown.on(Event::Terminate, now), [], "at {now}");
        }
    }

    #[test]
    fn the_first_term_is_no_second_one_whoever_asked_before() {
        let mut shutdown = Shutdown::new(5_000, 50);
        assert_eq!(shutdown.on(Event::Requested, 0), [ShutdownAction::Drain]);
        assert_eq!(shutdown.on(Event::Terminate, 2_000), []);
        assert_eq!(shutdown.on(Event::Terminate, 3_000).len(), 2);
    }

    #[test]
    fn a_manager_is_wanted_as_long_as_sessions_need_workers() {
        let mut shutdown = Shutdown::new(100, 50);
        assert!(shutdown.wants_manager(), "running");
        shutdown.on(Event::Requested, 0);
        assert!(shutdown.wants_manager(), "draining");
        shutdown.on(Event::Tick, 100);
        assert!(shutdown.wants_manager(), "closing");
        shutdown.on(Event::SessionsDrained, 110);
        assert!(!shutdown.wants_manager(), "its workers end with it");
        assert_eq!(shutdown.on(Event::ManagersLost, 120), [ShutdownAction::Exit]);
        assert!(!shutdown.wants_manager(), "the end");
    }

    #[test]
    fn without_any_manager_the_end_comes_at_once() {
        for events in [&[][..], &[Event::Requested], &[Event::Requested, Event::Tick]] {
            let mut shutdown = Shutdown::new(0, 50);
            for event in events {
                shutdown.on(*event, 0);
            }
            assert_eq!(shutdown.on(Event::ManagersLost, 1), [ShutdownAction::Exit], "{events:?}");
            assert_eq!(shutdown.on(Event::ManagersLost, 2), []);
        }
    }

    proptest! {
        #[test]
        fn it_always_ends_and_exits_once(events in proptest::collection::vec(0u8..7, 1..40)) {
            let all = [
                Event::Terminate,
                Event::Interrupt,
                Event::SessionsDrained,
                Event::WorkersGone,
                Event::ManagersLost,
                Event::Tick,
                Event::Requested,
            ];
            let mut shutdown = Shutdown::new(100, 50);
            let mut exits = 0;
            let mut count = |actions: Vec<ShutdownAction>| {
                exits += actions.iter().filter(|one| **one == ShutdownAction::Exit).count();
            };
            let mut now = 0;
            for event in events {
                now += 7;
                count(shutdown.on(all[usize::from(event)], now));
            }
            count(shutdown.on(Event::Terminate, now));
            while let Some(deadline) = shutdown.deadline() {
                prop_assert!(deadline >= now);
                now = deadline;
                count(shutdown.on(Event::Tick, now));
            }
            prop_assert_eq!(exits, 1);
        }
    }
}
