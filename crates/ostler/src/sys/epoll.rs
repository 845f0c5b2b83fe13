//! epoll: which descriptors are ready.
#![allow(unsafe_code)]

use std::io;
use std::ops::BitOr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

/// What to be told of a descriptor. Hang-up and error are always told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interest(EventFlags);

impl Interest {
    /// Nothing but hang-up and error.
    pub(crate) const NONE: Self = Self(EventFlags::empty());
    /// `EPOLLIN`: bytes, a connection or an end of file can be taken.
    pub(crate) const READ: Self = Self(EventFlags::IN);
    /// `EPOLLOUT`: there is room to write.
    pub(crate) const WRITE: Self = Self(EventFlags::OUT);
    /// What a client socket is registered with, once for its whole life: everything,
    /// edge-triggered.
    pub(crate) const CLIENT: Self =
        Self(EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET))
            .or(EventFlags::PRI);
    /// What a datagram socket that is read is registered with.
    pub(crate) const DATAGRAMS: Self =
        Self(EventFlags::IN.union(EventFlags::OUT).union(EventFlags::ET));
    /// What a datagram socket is registered with while it is not read.
    pub(crate) const DATAGRAMS_OUT: Self = Self(EventFlags::OUT.union(EventFlags::ET));
    /// What a bell (eventfd that is never read) is registered with: each ring is one event.
    pub(crate) const BELL: Self = Self(EventFlags::IN.union(EventFlags::ET));
}

impl Interest {
    const fn or(self, flags: EventFlags) -> Self {
        Self(self.0.union(flags))
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What is ready at a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Readiness(EventFlags);

impl Readiness {
    /// Bytes, a connection or an end of file can be taken.
    pub(crate) const fn readable(self) -> bool {
        self.0.contains(EventFlags::IN)
    }

    /// There is room to write.
    pub(crate) const fn writable(self) -> bool {
        self.0.contains(EventFlags::OUT)
    }

    /// `EPOLLPRI`: the peer has sent TCP urgent data. A read stops there, though more may follow.
    pub(crate) const fn urgent(self) -> bool {
        self.0.contains(EventFlags::PRI)
    }

    /// The peer has shut down its writing side.
    pub(crate) const fn read_hangup(self) -> bool {
        self.0.contains(EventFlags::RDHUP)
    }

    /// Both directions are shut down.
    pub(crate) const fn hangup(self) -> bool {
        self.0.contains(EventFlags::HUP)
    }

    /// An error is pending.
    pub(crate) const fn error(self) -> bool {
        self.0.contains(EventFlags::ERR)
    }
}

/// A reusable buffer for the events of one [`Epoll::wait`]; its capacity is fixed when it is made.
pub(crate) struct Events {
    list: Vec<Event>,
}

impl Events {
    /// A buffer for at most `capacity` events per wait; at least one.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { list: Vec::with_capacity(capacity.max(1)) }
    }

    /// The events of the last wait, in the kernel's order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, Readiness)> + '_ {
        self.list.iter().map(|event| {
            let (data, flags) = (event.data, event.flags);
            (data.u64(), Readiness(flags))
        })
    }

    /// Whether the last wait brought nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// An epoll object; closed when dropped.
#[derive(Debug)]
pub(crate) struct Epoll {
    descriptor: OwnedFd,
}

impl Epoll {
    /// `epoll_create1(2)` — makes an epoll object that is closed on exec.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { descriptor: epoll::create(CreateFlags::CLOEXEC)? })
    }

    /// `epoll_ctl(2)`, `EPOLL_CTL_ADD` — watches `source`; its events carry `token`.
    pub(crate) fn add(&self, source: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.descriptor, source, EventData::new_u64(token), interest.0)?)
    }

    /// `epoll_ctl(2)`, `EPOLL_CTL_MOD` — changes what is told of `source`, and arms an edge anew.
    pub(crate) fn modify(
        &self,
        source: impl AsFd,
        token: u64,
        interest: Interest,
    ) -> io::Result<()> {
        Ok(epoll::modify(&self.descriptor, source, EventData::new_u64(token), interest.0)?)
    }

    /// `epoll_ctl(2)`, `EPOLL_CTL_DEL` — watches `source` no more.
    ///
    /// Closing is not enough when another process holds the same open file.
    pub(crate) fn remove(&self, source: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.descriptor, source)?)
    }

    /// `epoll_pwait2(2)` — sleeps until something is ready or `timeout` is over; `None` sleeps for
    /// ever.
    ///
    /// The timeout counts in nanoseconds. A signal that was caught ends the sleep like a timeout:
    /// `Ok(0)`.
    pub(crate) fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<usize> {
        events.list.clear();
        if !HAS_FINE_TIMEOUTS.load(Ordering::Relaxed) {
            return self.wait_milliseconds(events, timeout);
        }
        // A timeout that does not fit the kernel's type is as good as none.
        let limit = timeout.and_then(|duration| Timespec::try_from(duration).ok());
        match epoll::wait(&self.descriptor, spare_capacity(&mut events.list), limit.as_ref()) {
            Ok(count) => Ok(count),
            Err(Errno::INTR) => Ok(0),
            // A kernel before 5.11, or a seccomp profile that does not know the call.
            Err(Errno::NOSYS | Errno::PERM) => {
                HAS_FINE_TIMEOUTS.store(false, Ordering::Relaxed);
                self.wait_milliseconds(events, timeout)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// `epoll_wait(2)` — the same for kernels without `epoll_pwait2`; a part of a millisecond
    /// counts as a whole one.
    fn wait_milliseconds(
        &self,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        let milliseconds = timeout.map_or(-1, |duration| {
            i32::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
        });
        let room = events.list.spare_capacity_mut();
        let capacity = i32::try_from(room.len()).unwrap_or(i32::MAX);
        let list = room.as_mut_ptr().cast::<libc::epoll_event>();
        // SAFETY: `list` has room for `capacity` events, whose layout is the kernel's in both
        // crates (their size is checked below).
        let count =
            unsafe { libc::epoll_wait(self.descriptor.as_raw_fd(), list, capacity, milliseconds) };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok(0) } else { Err(error) };
        };
        // SAFETY: the kernel has filled `count` events, which is no more than there was room for.
        unsafe { events.list.set_len(count) };
        Ok(count)
    }
}

const _: () = assert!(size_of::<Event>() == size_of::<libc::epoll_event>());

/// Whether the kernel takes timeouts below a millisecond (`epoll_pwait2(2)`). Asked by using it.
static HAS_FINE_TIMEOUTS: AtomicBool = AtomicBool::new(true);

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::eventfd;
    use std::time::Instant;

    #[test]
    fn level_triggered_repeats_edge_triggered_does_not() {
        let (level, edge) = (eventfd::create().unwrap(), eventfd::create().unwrap());
        let epoll = Epoll::new().unwrap();
        epoll.add(&level, 1, Interest::READ).unwrap();
        epoll.add(&edge, 2, Interest::BELL).unwrap();
        eventfd::ring(&level).unwrap();
        eventfd::ring(&edge).unwrap();
        let mut events = Events::with_capacity(8);
        assert_eq!(epoll.wait(&mut events, None).unwrap(), 2);
        assert!(events.iter().all(|(_, ready)| ready.readable() && !ready.error()));
        assert_eq!(epoll.wait(&mut events, Some(Duration::ZERO)).unwrap(), 1);
        assert_eq!(events.iter().next().unwrap().0, 1);
        eventfd::ring(&edge).unwrap();
        assert_eq!(epoll.wait(&mut events, Some(Duration::ZERO)).unwrap(), 2);
        epoll.remove(&level).unwrap();
        assert_eq!(epoll.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);
        assert!(events.is_empty());
    }

    #[test]
    fn the_buffer_never_grows() {
        let bells: Vec<_> = (0..5).map(|_| eventfd::create().unwrap()).collect();
        let epoll = Epoll::new().unwrap();
        for (token, bell) in (0..).zip(&bells) {
            epoll.add(bell, token, Interest::READ).unwrap();
            eventfd::ring(bell).unwrap();
        }
        let mut events = Events::with_capacity(2);
        let capacity = events.list.capacity();
        for _ in 0..10 {
            assert_eq!(epoll.wait(&mut events, None).unwrap(), capacity.min(5));
            assert_eq!(events.list.capacity(), capacity);
        }
    }

    #[test]
    fn a_timeout_below_a_millisecond_is_kept() {
        let epoll = Epoll::new().unwrap();
        let mut events = Events::with_capacity(1);
        let shortest = (0..50)
            .map(|_| {
                let start = Instant::now();
                epoll.wait(&mut events, Some(Duration::from_micros(100))).unwrap();
                start.elapsed()
            })
            .min()
            .unwrap();
        assert!(shortest >= Duration::from_micros(100), "{shortest:?}");
        assert!(shortest < Duration::from_millis(1), "{shortest:?}");
    }

    #[test]
    fn whole_milliseconds_do_where_finer_ones_are_not_to_be_had() {
        let epoll = Epoll::new().unwrap();
        let bell = eventfd::create().unwrap();
        epoll.add(&bell, 7, Interest::READ).unwrap();
        let mut events = Events::with_capacity(4);
        let start = Instant::now();
        let timeout = Some(Duration::from_micros(100));
        assert_eq!(epoll.wait_milliseconds(&mut events, timeout).unwrap(), 0);
        assert!(start.elapsed() >= Duration::from_micros(900), "a part counts as a whole one");
        eventfd::ring(&bell).unwrap();
        assert_eq!(epoll.wait_milliseconds(&mut events, None).unwrap(), 1);
        assert_eq!(events.iter().next().unwrap().0, 7);
    }
}
