//! timerfd: an alarm for who sleeps in `epoll_wait(2)` and has something to do at a time.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

/// No time: an alarm that does not ring, and that does not ring again.
const NEVER: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// An alarm, which is watched edge-triggered and never read.
///
/// A timeout of `epoll_wait(2)` is set and taken back with each sleep, and each time the timer of
/// the processor may have to be programmed anew, which is dear in a virtual machine (decision 81).
/// What is due moves on with each turn as a rule, so an alarm that was set once does for all sleeps
/// until it rings: who is woken by it looks what is due then. Times are nanoseconds of the
/// monotonic clock.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: OwnedFd,
    /// When it will ring; `None`: it is not set.
    rings_at: Option<u64>,
}

impl Alarm {
    /// `timerfd_create(2)` — an alarm that is not set.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Self { timer: timerfd_create(TimerfdClockId::Monotonic, flags)?, rings_at: None })
    }

    /// `timerfd_settime(2)` — it rings at this time of the monotonic clock, or before; at once if
    /// that is over.
    pub(crate) fn ring_by(&mut self, at: u64) -> io::Result<()> {
        if self.rings_at.is_some_and(|rings_at| rings_at <= at) {
            return Ok(());
        }
        // 0 would be no alarm at all.
        self.set(at.max(1))?;
        self.rings_at = Some(at);
        Ok(())
    }

    fn set(&self, at: u64) -> io::Result<()> {
        // A time that no clock reaches is none.
        let it_value = Timespec::try_from(Duration::from_nanos(at)).unwrap_or(NEVER);
        let spec = Itimerspec { it_interval: NEVER, it_value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &spec)?;
        Ok(())
    }

    /// `timerfd_settime(2)` — it does not ring.
    pub(crate) fn silence(&mut self) -> io::Result<()> {
        if self.rings_at.take().is_some() {
            self.set(0)?;
        }
        Ok(())
    }

    /// It has rung: it has to be set again.
    pub(crate) const fn has_rung(&mut self) {
        self.rings_at = None;
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock;
    use crate::sys::epoll::{Epoll, Events, Interest};

    const SECOND: u64 = 1_000_000_000;

    fn watched() -> (Alarm, Epoll, Events) {
        let (alarm, epoll) = (Alarm::new().unwrap(), Epoll::new().unwrap());
        epoll.add(&alarm, 7, Interest::BELL).unwrap();
        (alarm, epoll, Events::with_capacity(4))
    }

    #[test]
    fn it_rings_once_and_can_be_set_again_without_being_read() {
        let (mut alarm, epoll, mut events) = watched();
        for _ in 0..3 {
            assert_eq!(epoll.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);
            let at = clock::monotonic_ns() + 1_000_000;
            alarm.ring_by(at).unwrap();
            assert_eq!(epoll.wait(&mut events, None).unwrap(), 1);
            assert!(clock::monotonic_ns() >= at);
            alarm.has_rung();
        }
    }

    #[test]
    fn who_is_due_later_is_woken_by_the_one_before() {
        let (mut alarm, epoll, mut events) = watched();
        let now = clock::monotonic_ns();
        alarm.ring_by(now + 300 * SECOND).unwrap();
        alarm.ring_by(now + 1_000).unwrap();
        // Not set anew.
        alarm.ring_by(now + 600 * SECOND).unwrap();
        assert_eq!(epoll.wait(&mut events, None).unwrap(), 1);
    }

    #[test]
    fn what_is_over_rings_at_once() {
        let (mut alarm, epoll, mut events) = watched();
        for at in [0, 1, clock::monotonic_ns()] {
            alarm.ring_by(at).unwrap();
            assert_eq!(epoll.wait(&mut events, None).unwrap(), 1);
            alarm.has_rung();
        }
        alarm.ring_by(u64::MAX).unwrap();
        assert_eq!(epoll.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);
    }

    #[test]
    fn who_is_silenced_does_not_ring() {
        let (mut alarm, epoll, mut events) = watched();
        alarm.ring_by(clock::monotonic_ns() + 20_000_000).unwrap();
        alarm.silence().unwrap();
        assert_eq!(epoll.wait(&mut events, Some(Duration::from_millis(40))).unwrap(), 0);
        // And is set again, also for a later time.
        alarm.ring_by(clock::monotonic_ns() + 1_000_000).unwrap();
        assert_eq!(epoll.wait(&mut events, None).unwrap(), 1);
    }
}
