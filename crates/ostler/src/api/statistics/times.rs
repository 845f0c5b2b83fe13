//! How long deliveries wait, and how long they take.

use std::time::Duration;

use ostler_core::statistics::histogram::Histogram;

use crate::api::process_slot::ProcessSlot;
use crate::api::worker::Worker;
use crate::statistics::roster::{self, Row, Times};

/// How long deliveries have waited and taken: [`Worker::port_times`], [`Worker::slot_times`],
/// [`Worker::task_times`].
///
/// ```
/// # use ostler::{Outcome, Package, Session, Worker};
/// fn answer(worker: &Worker, session: &Session, _: &Package) -> Outcome {
///     let times = worker.port_times(0);
///     let (waits, takes) = (times.waited.quantile(0.99), times.took.quantile(0.99));
///     let text = format!("99 of 100 wait {waits:?} and take {takes:?} at most\n");
///     Ok(session.send(text.as_bytes())?)
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeStatistics {
    /// From when the package or datagram was received, or the task asked, to the beginning of its
    /// callback, however often it changes its worker meanwhile. What a busy server leaves in the
    /// kernel is not received yet.
    pub waited: TimeSpread,
    /// From there to the end of the callback, and of what it has sent. Of a delivery that was
    /// deferred it is that part.
    pub took: TimeSpread,
}

/// How times are spread: counted in buckets that are an eighth of their value wide.
///
/// ```
/// # use std::time::Duration;
/// # use ostler::TimeSpread;
/// fn is_fast(spread: &TimeSpread) -> bool {
///     spread.quantile(0.999).is_none_or(|time| time < Duration::from_millis(1))
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimeSpread(Histogram);

impl TimeSpread {
    /// How many times were counted.
    ///
    /// ```
    /// # use ostler::TimeSpread;
    /// assert_eq!(TimeSpread::default().count(), 0);
    /// ```
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.total()
    }

    /// The time within which this part of all lies, 0 for the shortest and 1 for all: right to an
    /// eighth, or to 64 ns. What took longer than 17 minutes counts as that. `None`: there is none.
    ///
    /// ```
    /// # use ostler::TimeSpread;
    /// assert_eq!(TimeSpread::default().quantile(0.5), None);
    /// ```
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        self.0.quantile(part).map(Duration::from_nanos)
    }

    /// The mean, about as exact. `None`: there is none.
    ///
    /// ```
    /// # use ostler::TimeSpread;
    /// assert_eq!(TimeSpread::default().mean(), None);
    /// ```
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        self.0.mean().map(Duration::from_nanos)
    }

    /// What has come since an earlier look at the same.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::TimeSpread;
    /// fn worst_of_this_minute(now: &TimeSpread, before: &TimeSpread) -> Option<Duration> {
    ///     now.since(before).quantile(1.0)
    /// }
    /// ```
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self(self.0.since(&earlier.0))
    }
}

impl From<Times> for TimeStatistics {
    fn from(times: Times) -> Self {
        Self { waited: TimeSpread(times.waited), took: TimeSpread(times.took) }
    }
}

impl Worker {
    /// How long the packages and datagrams of a port have waited and taken, in all workers since
    /// the server was started. Kept for the first 64 ports; nothing for others, and in tests of
    /// handlers.
    ///
    /// ```
    /// # use ostler::Worker;
    /// fn waits(worker: &Worker) -> Option<std::time::Duration> {
    ///     worker.port_times(0).waited.quantile(0.5)
    /// }
    /// ```
    #[must_use]
    pub fn port_times(&self, port: u16) -> TimeStatistics {
        self.times_of_row(Row::Port(port))
    }

    /// How long tasks have waited and taken, in all task workers.
    ///
    /// ```
    /// # use ostler::Worker;
    /// fn tasks_are_slow(worker: &Worker) -> bool {
    ///     worker.task_times().took.mean().is_some_and(|mean| mean.as_secs() > 1)
    /// }
    /// ```
    #[must_use]
    pub fn task_times(&self) -> TimeStatistics {
        self.times_of_row(Row::Tasks)
    }

    /// How long packages, datagrams and tasks have waited for the processes of a slot and taken
    /// them, of all that have lived there.
    ///
    /// ```
    /// # use ostler::{ProcessSlot, Worker};
    /// fn handled(worker: &Worker) -> u64 {
    ///     worker.slot_times(ProcessSlot::Worker(0)).took.count()
    /// }
    /// ```
    #[must_use]
    pub fn slot_times(&self, slot: ProcessSlot) -> TimeStatistics {
        let of_slot = |roster| Times::of_slot(roster, slot.key());
        roster::own().map_or_else(Times::default, of_slot).into()
    }

    fn times_of_row(&self, row: Row) -> TimeStatistics {
        roster::own().map_or_else(Times::default, |roster| Times::of_row(roster, row)).into()
    }
}
