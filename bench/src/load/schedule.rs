//! Open loop: when each request is due, whatever the server does.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::{Error, Result};

/// The timer fires no more often than this; at higher rates several requests are due at once.
const SHORTEST_TICK: Duration = Duration::from_micros(50);
const LONGEST_TICK: Duration = Duration::from_millis(20);

/// Request `k` of the run is due `k / rate` after the start and belongs to connection `k %
/// connections`.
#[derive(Debug)]
pub(super) struct Schedule {
    start: Instant,
    rate_per_s: f64,
    connections: u64,
    limit: u64,
}

impl Schedule {
    pub(super) fn new(start: Instant, rate_per_s: f64, connections: u32, limit: u64) -> Self {
        Self { start, rate_per_s, connections: u64::from(connections), limit }
    }

    /// Requests due until `now`, over all connections.
    pub(super) fn due(&self, now: Instant) -> u64 {
        let elapsed_s = now.saturating_duration_since(self.start).as_secs_f64();
        ((elapsed_s * self.rate_per_s) as u64 + 1).min(self.limit)
    }

    /// Requests of the whole run.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// How many of the first `due` requests belong to `connection`.
    pub(super) fn share(&self, due: u64, connection: u32) -> u64 {
        (due + self.connections - 1 - u64::from(connection)) / self.connections
    }

    /// When the `index`-th request of `connection` is due.
    pub(super) fn time(&self, connection: u32, index: u64) -> Instant {
        let number = index * self.connections + u64::from(connection);
        self.start + Duration::from_secs_f64(number as f64 / self.rate_per_s)
    }

    /// A periodic timer to poll. `epoll_wait` alone would round each wait up to a millisecond.
    pub(super) fn timer(&self) -> Result<OwnedFd> {
        let tick = Duration::from_secs_f64(1.0 / self.rate_per_s);
        let tick = tick.clamp(SHORTEST_TICK, LONGEST_TICK);
        let tick = Timespec { tv_sec: 0, tv_nsec: i64::from(tick.subsec_nanos()) };
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )
        .map_err(Error::system("timerfd_create"))?;
        let setting = Itimerspec { it_interval: tick, it_value: tick };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &setting)
            .map_err(Error::system("timerfd_settime"))?;
        Ok(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_dealt_in_turn_and_on_time() {
        let start = Instant::now();
        let schedule = Schedule::new(start, 10.0, 3, 1000);
        assert_eq!(schedule.due(start), 1);
        assert_eq!(schedule.due(start + Duration::from_millis(650)), 7);
        let shares: Vec<u64> = (0..3).map(|connection| schedule.share(7, connection)).collect();
        assert_eq!(shares, [3, 2, 2]);
        assert_eq!(schedule.time(1, 2), start + Duration::from_millis(700));
        assert_eq!(Schedule::new(start, 10.0, 3, 5).due(start + Duration::from_secs(9)), 5);
    }

    #[test]
    fn every_request_has_exactly_one_connection() {
        let schedule = Schedule::new(Instant::now(), 1.0, 7, u64::MAX);
        for due in 0..50 {
            assert_eq!((0..7).map(|connection| schedule.share(due, connection)).sum::<u64>(), due);
        }
    }
}
