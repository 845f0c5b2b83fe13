//! Requests that pass their deadlines: their workers are killed, whatever these do or do not do.
//!
//! A look at shared memory finds what is late. Then the worker is asked for its stack, the master
//! is told whose request it is, so that the client learns why, and only then is the process killed,
//! by its pidfd. Between these steps it is looked at again: a request that ends meanwhile costs
//! nobody anything. All of it is about one process, never about its slot: a successor has another
//! key, another box and another pidfd (P6).

use std::collections::HashMap;

use ostler_core::Millis;
use ostler_core::ids::{ProcessKey, ProcessKind};
use ostler_core::request_deadline::{Absence, Look, RequestDeadlines, RequestWatch};
use ostler_core::slow_request::Running;
use ostler_core::supervisor::KillCause;
use ostler_shm::black_box::phase::Seen;

use super::asked::{Asked, Requests};
use super::case::Stack;
use super::outside;
use crate::control::{Callback, OF_TASK};
use crate::manager::children::{Child, Children};
use crate::sys::capture::LATE;
use crate::sys::{clock, signal};

const NANOS_PER_MILLI: u64 = 1_000_000;
/// Looks in the shortest deadline: one that a request gives itself is kept to a quarter of that.
const LOOKS: Millis = 4;
/// The longest time between two looks.
const LOOK_MAX_MS: Millis = 1_000;
/// The shortest.
const LOOK_MIN_MS: Millis = 5;
/// How long a worker is waited for that was asked for its stack: its client waits too.
const ANSWER_MAX_MS: Millis = 100;
/// How long the master is waited for that was told. It answers within a turn of its loop.
const KNOWN_MAX_MS: Millis = 500;
/// Whether an idle worker is stopped costs a look into `/proc`: at most so often.
const STOPPED_LOOK_MIN_MS: Millis = 100;

/// What the manager has to do.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::manager) enum Measure {
    /// Tell the master that the process is killed for the sake of this session; 0: of none;
    /// [`OF_TASK`]: of the task that it runs.
    Announce(ProcessKey, u64),
    /// Kill it.
    Kill(ProcessKey, KillCause),
    /// Kill one whose time to leave is over: it has said why it stays, or does not.
    End(ProcessKey),
}

/// What is said of a process that was killed.
#[derive(Debug)]
pub(super) struct Verdict {
    /// Why, in words.
    pub(super) words: String,
    pub(super) stack: Stack,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Watched,
    /// Its request is overdue, and its stack asked for.
    Asked(Asked),
    /// The master was told, and is waited for until then.
    Announced { seen: Seen, stack: Stack, until: Millis },
    /// It was killed.
    Killed(Verdict),
}

#[derive(Debug, Default)]
struct Watch {
    request: RequestWatch,
    stage: Stage,
    /// Since when it was seen stopped while it ran no request.
    stopped_since: Option<Millis>,
}

/// The watches over all workers.
pub(super) struct Lateness {
    /// Of each port.
    deadlines: Vec<RequestDeadlines>,
    /// Of tasks.
    of_tasks: RequestDeadlines,
    port_names: Vec<String>,
    /// Time between two looks; `None`: nothing has deadlines.
    pause_ms: Option<Millis>,
    /// The shortest hard deadline of a port.
    shortest_ms: Option<Millis>,
    watches: HashMap<ProcessKey, Watch>,
    absence: Absence,
    look_at: Millis,
    stopped_look_at: Millis,
}

impl Lateness {
    pub(super) fn new(
        deadlines: Vec<RequestDeadlines>,
        of_tasks: RequestDeadlines,
        port_names: Vec<String>,
    ) -> Self {
        let times = |time: fn(&RequestDeadlines) -> u64| {
            deadlines
                .iter()
                .map(time)
                .filter(|time| *time > 0)
                .min()
                .map(|time| time / NANOS_PER_MILLI)
        };
        let (hard, soft) = (times(|port| port.hard), times(|port| port.soft));
        let shortest = [hard, soft, hard_ms(&of_tasks)].into_iter().flatten().min();
        Self {
            pause_ms: shortest.map(|ms| (ms / LOOKS).clamp(LOOK_MIN_MS, LOOK_MAX_MS)),
            shortest_ms: hard,
            deadlines,
            of_tasks,
            port_names,
            watches: HashMap::new(),
            absence: Absence::default(),
            look_at: 0,
            stopped_look_at: 0,
        }
    }

    /// A manager that watches nobody is not woken.
    pub(super) fn due(&self) -> Option<Millis> {
        self.pause_ms?;
        let steps = self.watches.values().filter_map(|watch| match &watch.stage {
            Stage::Watched | Stage::Killed(_) => None,
            Stage::Asked(asked) => Some(asked.look_at()),
            Stage::Announced { until, .. } => Some(*until),
        });
        steps.chain([self.look_at]).min()
    }

    /// It was reaped: what it was killed for, if it was.
    pub(super) fn on_death(&mut self, key: ProcessKey) -> Option<Verdict> {
        match self.watches.remove(&key)?.stage {
            Stage::Killed(verdict) => Some(verdict),
            _ => None,
        }
    }

    /// Whether the stack of this process is asked for here.
    pub(super) fn is_at(&self, key: ProcessKey) -> bool {
        self.watches.get(&key).is_some_and(|watch| !matches!(watch.stage, Stage::Watched))
    }

    /// Looks at all, and goes on with those that are late.
    pub(super) fn run_due(
        &mut self,
        now: Millis,
        children: &Children,
        requests: &mut Requests,
    ) -> Vec<Measure> {
        let Some(pause_ms) = self.pause_ms else { return Vec::new() };
        let mut measures = Vec::new();
        if self.look_at <= now {
            let now_ns = clock::monotonic_ns();
            if self.look_at > 0 {
                self.absence.look(self.look_at.saturating_mul(NANOS_PER_MILLI), now_ns);
            }
            self.look_at = now.saturating_add(pause_ms);
            for (key, child) in children.iter() {
                self.look(key, child, now, now_ns, requests);
            }
            self.look_for_stopped(now, children, &mut measures);
        }
        let keys: Vec<ProcessKey> = self.watches.keys().copied().collect();
        for key in keys {
            if let Some(child) = children.get(key) {
                measures.extend(self.go_on(key, child, now));
            }
        }
        measures
    }

    /// The master has told all reactors.
    pub(super) fn on_known(&mut self, key: ProcessKey, children: &Children) -> Option<Measure> {
        self.end(key, children.get(key)?)
    }

    fn look(
        &mut self,
        key: ProcessKey,
        child: &Child,
        now: Millis,
        now_ns: u64,
        requests: &mut Requests,
    ) {
        let seen = child.running();
        let look = self.look_at_request(key, seen, now_ns);
        let watch = self.watches.entry(key).or_default();
        let (Some(seen), Stage::Watched) = (seen, &watch.stage) else { return };
        let next = match look {
            Look::InTime(next) => next,
            Look::Late(next) => {
                tell_late(child, seen);
                next
            }
            Look::Overdue => {
                let until = now.saturating_add(ANSWER_MAX_MS);
                watch.stage = Stage::Asked(requests.ask(child, seen, until, now));
                None
            }
        };
        // As soon as it is due, and not before: rounded up to what this clock can say.
        if let Some(next) =
            next.map(|next| next.div_ceil(NANOS_PER_MILLI)).filter(|next| *next > now)
        {
            self.look_at = self.look_at.min(next);
        }
    }

    /// The deadlines of what runs: those of its session's port, or of tasks.
    fn deadlines_of(&self, seen: Seen) -> Option<&RequestDeadlines> {
        if is_task(seen) {
            return Some(&self.of_tasks);
        }
        self.deadlines.get(usize::from(seen.phase.port)).filter(|_| seen.phase.session != 0)
    }

    /// Whether what runs has passed its deadlines, if it has some.
    fn look_at_request(&mut self, key: ProcessKey, seen: Option<Seen>, now_ns: u64) -> Look {
        let seen = seen.filter(|seen| seen.phase.session != 0 || is_task(*seen));
        let port = seen.and_then(|seen| self.deadlines_of(seen));
        let running = seen.map(|seen| Running { turn: seen.turn, started: seen.phase.started_ns });
        let own = seen.and_then(|seen| seen.until_ns);
        let deadlines = port.copied().unwrap_or_default();
        let watch = self.watches.entry(key).or_default();
        watch.request.look(running, own, &deadlines, &self.absence, now_ns)
    }

    /// The next step with one that is late.
    fn go_on(&mut self, key: ProcessKey, child: &Child, now: Millis) -> Option<Measure> {
        let watch = self.watches.get_mut(&key)?;
        match &mut watch.stage {
            Stage::Watched | Stage::Killed(_) => None,
            Stage::Asked(asked) if asked.look_at() > now => None,
            Stage::Asked(asked) => {
                let (seen, stack) = (asked.seen, asked.answer(child, now)?);
                if child.running().is_none_or(|running| running.turn != seen.turn) {
                    watch.stage = Stage::Watched;
                    return None;
                }
                let until = now.saturating_add(KNOWN_MAX_MS);
                watch.stage = Stage::Announced { seen, stack, until };
                let whose = if is_task(seen) { OF_TASK } else { seen.phase.session };
                Some(Measure::Announce(key, whose))
            }
            Stage::Announced { until, .. } if *until > now => None,
            Stage::Announced { .. } => self.end(key, child),
        }
    }

    /// The last look, and the end.
    fn end(&mut self, key: ProcessKey, child: &Child) -> Option<Measure> {
        let running = child.running();
        let is_overdue = self.look_at_request(key, running, clock::monotonic_ns()) == Look::Overdue;
        let watch = self.watches.get_mut(&key)?;
        let (seen, stack) = match std::mem::take(&mut watch.stage) {
            Stage::Announced { seen, stack, .. } => (seen, stack),
            other => {
                watch.stage = other;
                return None;
            }
        };
        if !is_overdue || running.is_none_or(|running| running.turn != seen.turn) {
            return Some(Measure::Announce(key, 0));
        }
        let words = if is_task(seen) {
            format!("deadline of {} ms of tasks passed", self.of_tasks.hard / NANOS_PER_MILLI)
        } else {
            words(&self.deadlines, &self.port_names, seen)
        };
        watch.stage = Stage::Killed(Verdict { words, stack });
        Some(Measure::Kill(key, KillCause::RequestDeadline))
    }

    /// Who is stopped while it runs nothing that has a deadline takes no packages either.
    fn look_for_stopped(&mut self, now: Millis, children: &Children, out: &mut Vec<Measure>) {
        if self.stopped_look_at > now {
            return;
        }
        self.stopped_look_at = now.saturating_add(STOPPED_LOOK_MIN_MS);
        for (key, child) in children.iter().filter(|(_, child)| child.is_ready) {
            let shortest_ms = match key.kind {
                ProcessKind::Task => hard_ms(&self.of_tasks),
                _ => self.shortest_ms,
            };
            let Some(shortest_ms) = shortest_ms else { continue };
            let has_deadline = child.running().is_some_and(|seen| {
                self.deadlines_of(seen).is_some_and(|deadlines| deadlines.hard > 0)
            });
            let watch = self.watches.entry(key).or_default();
            let is_watched = matches!(watch.stage, Stage::Watched) && !has_deadline;
            if !is_watched || outside::state_of(child.pid) != Some(outside::STOPPED) {
                watch.stopped_since = None;
                continue;
            }
            let since = *watch.stopped_since.get_or_insert(now);
            if now.saturating_sub(since) >= shortest_ms {
                let words = format!("stopped for longer than {shortest_ms} ms");
                let stack =
                    outside::capture(child.pid).map_or_else(Stack::Missing, Stack::Captured);
                watch.stage = Stage::Killed(Verdict { words, stack });
                out.push(Measure::Kill(key, KillCause::Stopped));
            }
        }
    }
}

/// Whether what runs is a task.
fn is_task(seen: Seen) -> bool {
    seen.phase.callback == Callback::Task as u8
}

fn hard_ms(deadlines: &RequestDeadlines) -> Option<Millis> {
    Some(deadlines.hard / NANOS_PER_MILLI).filter(|ms| *ms > 0)
}

/// Why a process was killed.
fn words(deadlines: &[RequestDeadlines], port_names: &[String], seen: Seen) -> String {
    let port = usize::from(seen.phase.port);
    let name = port_names.get(port).map_or("?", String::as_str);
    let deadlines = deadlines.get(port).copied().unwrap_or_default();
    let (started, own) = (seen.phase.started_ns, seen.until_ns);
    let after = deadlines.hard_at(started, own).unwrap_or(started).saturating_sub(started)
        / NANOS_PER_MILLI;
    let whose = if own.is_some() { "its own request deadline" } else { "request deadline" };
    format!("{whose} of {after} ms of port {name} passed")
}

/// Its hook is called, if it has one and the same request still runs then.
fn tell_late(child: &Child, seen: Seen) {
    let signal = child.black_box.signal().filter(|number| signal::is_real_time(*number));
    if let Some(signal) = signal {
        // A process that is gone has no request.
        let _ = child.pidfd.ask_for_capture(signal, LATE | seen.turn);
    }
}
