//! Lanes come, serve, leave and die.

use std::os::fd::OwnedFd;

use ostler_core::brain::{Entry, LaneSlot, LaneState};
use ostler_core::ids::ProcessKey;
use ostler_shm::consumer::Consumer;
use ostler_shm::giver::Giver;
use ostler_shm::lane::ReactorLane;
use ostler_shm::record::HEADER_SIZE;
use ostler_shm::sleep::Ringer;

use super::Reactor;
use super::destination::lane::LaneEnd;
use super::token;
use crate::sys::epoll::Interest;
use crate::sys::eventfd;

/// A delivery's body, out of this side's own package ring.
pub(super) fn body(memory: &ReactorLane, entry: &Entry) -> Vec<u8> {
    body_from(memory, entry, 0)
}

/// A delivery's body without its first `skipped` bytes.
pub(super) fn body_from(memory: &ReactorLane, entry: &Entry, skipped: u32) -> Vec<u8> {
    let first = (entry.position & (memory.capacity() - 1)) + HEADER_SIZE as u64;
    let rest = entry.len.saturating_sub(skipped) as usize;
    memory.packages.raw(first + u64::from(skipped), rest).to_vec()
}

impl Reactor {
    pub(super) fn add_lane(
        &mut self,
        key: ProcessKey,
        memory: ReactorLane,
        worker_bell: OwnedFd,
        lane_bell: OwnedFd,
    ) {
        let slot = self.brain.add_lane(key);
        if let Err(error) = self.epoll.add(
            &lane_bell,
            token::bell(slot, key.generation.0 & 0xff_ffff),
            Interest::BELL,
        ) {
            // The worker would never be heard: better that it does not serve. It is killed and
            // tried again.
            tracing::error!(worker = %key, %error, "cannot watch a lane");
            self.reports
                .queue
                .push(super::mailbox::FromReactor::Condemned(key, "lane not watched"));
        }
        self.lanes.insert(
            slot,
            LaneEnd {
                key,
                memory,
                giver: Giver::default(),
                consumer: Consumer::default(),
                worker_bell,
                worker_ringer: Ringer::default(),
                room_ringer: Ringer::default(),
                lane_bell,
                pidfd: None,
                empty_rings: 0,
                condemned: false,
                has_news: false,
                sending: None,
            },
        );
    }

    pub(super) fn spawned(&mut self, key: ProcessKey, pidfd: OwnedFd) {
        let Some(slot) = self.lanes.find(key) else { return };
        let token = token::pidfd(slot, key.generation.0 & 0xff_ffff);
        if let Err(error) = self.epoll.add(&pidfd, token, Interest::READ) {
            // As if the pidfd had never come: it does not serve here, and its lane goes when the
            // manager has reaped it.
            tracing::error!(worker = %key, %error, "cannot watch a worker");
            return self
                .reports
                .queue
                .push(super::mailbox::FromReactor::Condemned(key, "worker not watched"));
        }
        if let Some(end) = self.lanes.get_mut(slot) {
            end.pidfd = Some(pidfd);
        }
    }

    pub(super) fn serve(&mut self, key: ProcessKey) {
        let Some(slot) = self.lanes.find(key) else { return };
        // Nobody would notice the death of a worker without a pidfd.
        if self.lanes.get(slot).is_some_and(|end| end.pidfd.is_some()) {
            if self.brain.is_refusing() && self.index == 0 {
                tracing::info!("clients are served again");
            }
            self.brain.serve(slot);
        }
    }

    /// The worker takes no more packages: what it has not started is recalled, then it is told by
    /// the `leave` word.
    pub(super) fn leave(&mut self, key: ProcessKey) {
        let Some(slot) = self.lanes.find(key) else { return };
        let Some(mut end) = self.lanes.take(slot) else { return };
        let recalled = end.giver.recall(end.memory.down(), end.memory.up());
        end.sending = None;
        match recalled {
            Ok(t) => {
                let memory = &end.memory;
                self.brain.leave(slot, t, self.now, &mut |entry| body(memory, entry));
                end.giver.leave(end.memory.down());
                wake_worker(&mut end);
                self.lanes.put_back(slot, end);
            }
            Err(violation) => {
                self.lanes.put_back(slot, end);
                self.condemn(slot, violation.0);
            }
        }
    }

    /// Takes back what waits behind a slow delivery while another worker idles.
    pub(super) fn recall(&mut self, slot: LaneSlot) {
        let Some(mut end) = self.lanes.take(slot) else { return };
        let recalled = end.giver.recall(end.memory.down(), end.memory.up());
        match recalled {
            Ok(t) => {
                let memory = &end.memory;
                self.brain.recalled(slot, t, &mut |entry| body(memory, entry));
                if end.sending.take().is_some() {
                    self.brain.room_freed(slot);
                }
                wake_worker(&mut end);
                self.lanes.put_back(slot, end);
            }
            Err(violation) => {
                self.lanes.put_back(slot, end);
                self.condemn(slot, violation.0);
            }
        }
    }

    /// The pidfd says that the process is gone: everything it committed is consumed, the rest is
    /// settled (protocol §10).
    pub(super) fn worker_ended(&mut self, slot: LaneSlot, mark: u32) {
        let Some(end) = self.lanes.get(slot) else { return };
        if end.key.generation.0 & 0xff_ffff != mark {
            return;
        }
        if !end.condemned {
            self.consume(slot);
        }
        let Some(mut end) = self.lanes.take(slot) else { return };
        let t = match end.giver.started_below(end.memory.up()) {
            Ok(t) => t,
            Err(violation) => {
                self.lanes.put_back(slot, end);
                self.condemn(slot, violation.0);
                let Some(back) = self.lanes.take(slot) else { return };
                end = back;
                u64::MAX
            }
        };
        let deliveries = self.brain.in_hand(slot);
        if deliveries > 0 && self.brain.lane_state(slot) == Some(LaneState::Leaving) {
            tracing::warn!(worker = %end.key, deliveries, "a leaving worker ended before it had \
                finished");
        }
        let memory = &end.memory;
        self.brain.worker_died(slot, t, self.now, &mut |entry| body(memory, entry));
        self.drop_streams_of(slot);
        tracing::debug!(worker = %end.key, "lane settled");
        // Descriptors leave the epoll set when they are closed, unless somebody else holds them:
        // say it.
        let _ = self.epoll.remove(&end.lane_bell);
        if let Some(pidfd) = &end.pidfd {
            let _ = self.epoll.remove(pidfd);
        }
    }

    /// A worker that was never forked or is gone. One whose pidfd is here is settled when that is
    /// readable; one without has never served here ([`Reactor::serve`]), so that there is nothing
    /// to settle.
    pub(super) fn release(&mut self, key: ProcessKey) {
        let Some(slot) = self.lanes.find(key) else { return };
        if self.lanes.get(slot).is_some_and(|end| end.pidfd.is_some()) {
            return;
        }
        if let Some(end) = self.lanes.take(slot) {
            let _ = self.epoll.remove(&end.lane_bell);
        }
        self.brain.remove_lane(slot);
    }

    pub(super) fn condemn_key(&mut self, key: ProcessKey) {
        if let Some(slot) = self.lanes.find(key) {
            self.condemn(slot, "condemned by another reactor");
        }
    }
}

/// The gate or `leave` has news for a worker that may sleep.
fn wake_worker(end: &mut LaneEnd) {
    ostler_shm::sync::fence(ostler_shm::sync::Ordering::SeqCst);
    if end.worker_ringer.needs_bell(&end.memory.process().sleep.worker_sleep) {
        eventfd::ring_own(&end.worker_bell);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;
    use crate::reactor::mailbox::FromReactor;
    use crate::reactor::tests::{KEY, booting};
    use crate::sys::pidfd::PidFd;
    use crate::sys::process;

    fn reactor() -> Reactor {
        booting(&Options { workers: 1, reactors: 1, max_connections: 4, ..Options::default() })
    }

    fn serves(reactor: &Reactor) -> bool {
        reactor.lanes.find(KEY).is_some_and(|slot| reactor.brain.is_serving(slot))
    }

    #[test]
    fn who_is_not_watched_does_not_serve_and_goes_when_it_is_reaped() {
        let mut reactor = reactor();
        reactor.serve(KEY);
        assert!(!serves(&reactor));
        reactor.release(KEY);
        assert_eq!(reactor.lanes.find(KEY), None);
    }

    #[test]
    fn who_cannot_be_watched_is_condemned_and_does_not_serve() {
        let mut reactor = reactor();
        // A file: nothing that epoll can watch.
        reactor.spawned(KEY, std::fs::File::open("/proc/self/exe").unwrap().into());
        reactor.serve(KEY);
        assert!(!serves(&reactor));
        let reports = reactor.reports.queue.take();
        assert!(matches!(reports.as_slice(), [FromReactor::Condemned(KEY, _)]), "{reports:?}");
        reactor.release(KEY);
        assert_eq!(reactor.lanes.find(KEY), None);
    }

    #[test]
    fn who_is_watched_serves_and_is_settled_by_its_pidfd_alone() {
        let mut reactor = reactor();
        let pidfd = PidFd::open(process::current()).unwrap();
        reactor.spawned(KEY, pidfd.into());
        reactor.serve(KEY);
        assert!(serves(&reactor));
        reactor.release(KEY);
        assert!(serves(&reactor), "its death has not been seen here");
    }
}
