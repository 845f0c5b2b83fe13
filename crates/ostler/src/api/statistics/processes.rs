//! What each process of a server is doing.

use std::time::Duration;

use ostler_core::Nanos;
use ostler_core::ids::ProcessKey;
use ostler_shm::black_box::phase::Phase;
use ostler_shm::roster::{PlaceFigures, Roster};

use crate::api::process_slot::ProcessSlot;
use crate::api::worker::Worker;
use crate::control::Callback;
use crate::statistics::roster;
use crate::sys::clock;

/// A process of the server, as it shows itself: [`Worker::process_stats`].
///
/// ```
/// # use std::time::Duration;
/// # use ostler::Worker;
/// fn slow(worker: &Worker) {
///     for process in worker.process_stats() {
///         if let Some(running) = process.running
///             && running.since > Duration::from_secs(5)
///         {
///             eprintln!("{} is in {} for {:?}", process.slot, running.callback, running.since);
///         }
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ProcessStatistics {
    /// Where it lives.
    pub slot: ProcessSlot,
    /// The n-th process that lives there.
    pub generation: u32,
    /// Its number.
    pub pid: i32,
    /// Whether it was asked to leave: it has a successor, or will have one.
    pub is_leaving: bool,
    /// For how long there has been this process.
    pub age: Duration,
    /// For how long its callbacks have run, that which runs now included.
    pub busy: Duration,
    /// Deliveries that it has handled: packages, datagrams, tasks, and events of sessions.
    pub deliveries: u64,
    /// Of those, packages, datagrams and tasks.
    pub requests: u64,
    /// What runs in it now; `None`: it is idle.
    pub running: Option<RunningStatistics>,
}

/// A callback that runs, in [`ProcessStatistics`].
///
/// ```
/// # use ostler::RunningStatistics;
/// fn is_a_repetition(running: &RunningStatistics) -> bool {
///     running.callback == "on_receive" && running.is_repeated
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningStatistics {
    /// Its name: `on_receive`, `timer`, `on_task`.
    pub callback: String,
    /// For how long it has run.
    pub since: Duration,
    /// For how long its delivery had waited before; `None`: it is about none.
    pub waited: Option<Duration>,
    /// The session that it is about.
    pub session: Option<u64>,
    /// The port of that session, or of the datagram.
    pub port: Option<u16>,
    /// A process that has died had begun the same delivery before.
    pub is_repeated: bool,
}

impl ProcessStatistics {
    /// Which part of its life it was busy, 0 to 1.
    ///
    /// ```
    /// # use ostler::Worker;
    /// fn busiest(worker: &Worker) -> Option<f64> {
    ///     worker.process_stats().iter().map(|it| it.busy_share()).max_by(f64::total_cmp)
    /// }
    /// ```
    #[must_use]
    pub fn busy_share(&self) -> f64 {
        share(self.busy, self.age)
    }

    /// Which part of the time since an earlier look it was busy, 0 to 1; `None`: that was another
    /// process, or the same moment.
    ///
    /// ```
    /// # use ostler::ProcessStatistics;
    /// fn is_overloaded(before: &ProcessStatistics, now: &ProcessStatistics) -> bool {
    ///     now.busy_share_since(before).is_some_and(|share| share > 0.9)
    /// }
    /// ```
    #[must_use]
    pub fn busy_share_since(&self, earlier: &Self) -> Option<f64> {
        let is_same = (self.slot, self.generation) == (earlier.slot, earlier.generation);
        let time = self.age.checked_sub(earlier.age).filter(|time| !time.is_zero())?;
        is_same.then(|| share(self.busy.saturating_sub(earlier.busy), time))
    }

    /// All that show themselves in a roster.
    pub(crate) fn all(roster: &Roster) -> Vec<Self> {
        let figures: Vec<_> = roster.places().filter_map(|place| place.read()).collect();
        // What began before it was read is not in the future then.
        let now = clock::monotonic_ns();
        figures.iter().filter_map(|figures| Self::new(figures, now)).collect()
    }

    /// What stands in a place of the roster; `None`: it is nobody's.
    fn new(figures: &PlaceFigures, now: Nanos) -> Option<Self> {
        let key = ProcessKey::unpack(figures.key)?;
        let running = figures.running.as_ref().map(|seen| &seen.phase);
        let runs_for = running.map_or(0, |phase| now.saturating_sub(phase.started_ns));
        Some(Self {
            slot: ProcessSlot::of(key),
            generation: key.generation.0,
            pid: i32::try_from(figures.pid).unwrap_or_default(),
            is_leaving: figures.leaves,
            age: Duration::from_nanos(now.saturating_sub(figures.began_ns)),
            busy: Duration::from_nanos(figures.busy_ns.saturating_add(runs_for)),
            deliveries: figures.deliveries,
            requests: figures.requests,
            running: running.and_then(|phase| RunningStatistics::new(phase, now)),
        })
    }
}

impl RunningStatistics {
    fn new(phase: &Phase, now: Nanos) -> Option<Self> {
        let Phase { started_ns, received_ns, session, port, is_repeated, .. } = *phase;
        let callback = Callback::from_number(phase.callback)?;
        let is_of_port = session != 0 || callback == Callback::Packet;
        let waited = Duration::from_nanos(started_ns.saturating_sub(received_ns));
        Some(Self {
            callback: callback.to_string(),
            since: Duration::from_nanos(now.saturating_sub(started_ns)),
            waited: (received_ns != 0).then_some(waited),
            session: Some(session).filter(|session| *session != 0),
            port: is_of_port.then_some(port),
            is_repeated,
        })
    }
}

fn share(part: Duration, of: Duration) -> f64 {
    if of.is_zero() { 0.0 } else { (part.as_secs_f64() / of.as_secs_f64()).min(1.0) }
}

impl Worker {
    /// What each process of the server is doing and has done, its own included: event workers, then
    /// user processes, the companion and task workers, each by their slots. Two in one slot are one
    /// that serves and one that leaves. It asks nobody, and tells of processes that are stuck, too.
    ///
    /// What runs is shown at its beginning and its end, so that it may be over when it is read.
    /// Empty in tests of handlers ([`test`](crate::test)).
    ///
    /// ```
    /// # use ostler::{ProcessSlot, Worker};
    /// fn idle_workers(worker: &Worker) -> usize {
    ///     let processes = worker.process_stats();
    ///     let workers = processes.iter().filter(|it| matches!(it.slot, ProcessSlot::Worker(_)));
    ///     workers.filter(|it| it.running.is_none()).count()
    /// }
    /// ```
    #[must_use]
    pub fn process_stats(&self) -> Vec<ProcessStatistics> {
        roster::own().map_or_else(Vec::new, ProcessStatistics::all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_shm::black_box::phase::Seen;

    fn figures(running: Option<Phase>) -> PlaceFigures {
        PlaceFigures {
            key: ProcessKey::task(3, 7).pack(),
            pid: 99,
            began_ns: 1_000,
            busy_ns: 300,
            deliveries: 5,
            requests: 4,
            leaves: true,
            running: running.map(|phase| Seen { turn: 2, phase, until_ns: None }),
        }
    }

    #[test]
    fn what_runs_counts_as_busy_and_names_what_it_is_about() {
        let idle = ProcessStatistics::new(&figures(None), 2_000).unwrap();
        assert_eq!((idle.slot, idle.generation, idle.pid), (ProcessSlot::TaskWorker(3), 7, 99));
        assert_eq!((idle.deliveries, idle.requests, idle.is_leaving), (5, 4, true));
        assert_eq!((idle.busy_share(), idle.running.clone()), (0.3, None));
        let phase = Phase {
            callback: Callback::Receive as u8,
            is_repeated: true,
            port: 2,
            session: 11,
            started_ns: 1_800,
            received_ns: 1_500,
        };
        let busy = ProcessStatistics::new(&figures(Some(phase)), 2_000).unwrap();
        assert_eq!(busy.busy_share(), 0.5);
        let expected = RunningStatistics {
            callback: "on_receive".to_owned(),
            since: Duration::from_nanos(200),
            waited: Some(Duration::from_nanos(300)),
            session: Some(11),
            port: Some(2),
            is_repeated: true,
        };
        assert_eq!(busy.running, Some(expected));
        let timer = Phase { callback: Callback::Timer as u8, started_ns: 1, ..Phase::default() };
        let timer = ProcessStatistics::new(&figures(Some(timer)), 2_000).unwrap().running.unwrap();
        assert_eq!((timer.session, timer.port, timer.waited), (None, None, None));
    }

    #[test]
    fn the_share_since_a_look_is_of_the_same_process() {
        let before = ProcessStatistics::new(&figures(None), 2_000).unwrap();
        let more = PlaceFigures { busy_ns: 700, ..figures(None) };
        let after = ProcessStatistics::new(&more, 2_500).unwrap();
        assert_eq!(after.busy_share_since(&before), Some(0.8));
        assert_eq!(after.busy_share_since(&after), None);
        let other = ProcessStatistics { generation: 8, ..after.clone() };
        assert_eq!(other.busy_share_since(&before), None);
    }

    #[test]
    fn what_is_nonsense_is_nobody_and_nothing() {
        let strange = PlaceFigures { key: u64::MAX, ..figures(None) };
        assert_eq!(ProcessStatistics::new(&strange, 2_000), None);
        let phase = Phase { callback: 200, started_ns: u64::MAX, ..Phase::default() };
        let all = PlaceFigures { busy_ns: u64::MAX, pid: u64::MAX, ..figures(Some(phase)) };
        let process = ProcessStatistics::new(&all, 2_000).unwrap();
        assert_eq!((process.pid, process.running.clone()), (0, None));
        assert_eq!(process.busy_share(), 1.0);
    }
}
