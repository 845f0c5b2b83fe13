//! Lanes come, serve, leave and die.

use std::os::fd::OwnedFd;

use ostler_core::brain::{LaneSlot, LaneState};
use ostler_core::ids::{ProcessKey, ProcessKind};
use ostler_core::invariant;

use super::Reactor;
use super::destination::Destination;
use super::destination::lane::Lane;
use super::mailbox::FromReactor;
use super::token;
use crate::control::OF_TASK;

impl Reactor {
    pub(super) fn add_lane(&mut self, key: ProcessKey, lane: Lane) {
        let slot = self.clients.brain.add_lane(key);
        let destination = Destination::lane(lane);
        let token = token::bell(slot, destination.mark());
        if let Err(error) = destination.watch_bell(&self.clients.epoll, token) {
            // The worker would never be heard: better that it does not serve. It is killed and
            // tried again.
            tracing::error!(worker = %key, %error, "cannot watch a lane");
            self.clients.reports.queue.push(FromReactor::Condemned(key, "lane not watched"));
        }
        self.destinations.insert(slot, destination);
    }

    pub(super) fn spawned(&mut self, key: ProcessKey, pidfd: OwnedFd) {
        // Its lane may be released already, with the manager that forked it.
        let Some((slot, destination)) = self.destinations.find_mut(key) else { return };
        let token = token::pidfd(slot, destination.mark());
        if let Err(error) = destination.watch_process(&self.clients.epoll, token, pidfd) {
            // As if the pidfd had never come: it does not serve here, and its lane goes when the
            // manager has reaped it.
            tracing::error!(worker = %key, %error, "cannot watch a worker");
            self.clients.reports.queue.push(FromReactor::Condemned(key, "worker not watched"));
            return;
        }
        self.can_be_written_to(slot, key);
    }

    pub(super) fn serve(&mut self, key: ProcessKey) {
        // It may have died since, and be settled.
        let Some(slot) = self.destinations.find(key) else { return };
        self.takes_messages_of_slot(slot);
        if let Some(tasks) = &mut self.clients.tasks {
            tasks.heir_serves(slot, key);
        }
        if key.kind == ProcessKind::Task {
            return self.task_worker_serves(slot, key);
        }
        if !self.clients.settings.has_clients {
            return; // nothing is to be given to it
        }
        // Nobody would notice the death of a worker without a pidfd.
        if self.destinations.get(slot).is_some_and(Destination::is_watched) {
            if self.clients.brain.is_refusing() && self.clients.index == 0 {
                tracing::info!("clients are served again");
            }
            self.clients.brain.serve(slot);
        }
    }

    /// The worker takes no more packages: what it has not started is recalled, then it is told by
    /// the `leave` word.
    pub(super) fn leave(&mut self, key: ProcessKey) {
        if self.is_needed_for_tasks(key) {
            return; // it is told when everything is done
        }
        // It may have died since, and be settled.
        let Some((slot, destination)) = self.destinations.find_mut(key) else { return };
        destination.stop_sending();
        match destination.recall() {
            Ok(first) => {
                self.clients
                    .brain
                    .leave(slot, first, self.clients.now, &mut |entry| destination.body(entry, 0));
                if let Some(tasks) = &mut self.clients.tasks {
                    tasks.recalled(slot, first, true);
                }
                destination.leave();
                destination.wake();
            }
            Err(violation) => self.condemn(slot, violation.0),
        }
    }

    /// Takes back what waits behind a slow delivery while another worker idles.
    pub(super) fn recall(&mut self, slot: LaneSlot) {
        let Some(destination) = self.destinations.get_mut(slot) else {
            return invariant!(false, "the brain recalls from lanes that are there");
        };
        match destination.recall() {
            Ok(first) => {
                self.clients.brain.recalled(slot, first, &mut |entry| destination.body(entry, 0));
                if let Some(tasks) = &mut self.clients.tasks {
                    tasks.recalled(slot, first, false);
                }
                if destination.stop_sending() {
                    self.clients.brain.room_freed(slot);
                }
                destination.wake();
            }
            Err(violation) => self.condemn(slot, violation.0),
        }
    }

    /// The pidfd says that the process is gone: everything it committed is consumed, the rest is
    /// settled (protocol §10).
    pub(super) fn worker_ended(&mut self, slot: LaneSlot, mark: u32) {
        // The place may have another owner already.
        let Some(destination) = self.destinations.get(slot) else { return };
        if destination.mark() != mark {
            return;
        }
        if !destination.is_condemned() {
            self.consume_last(slot);
        }
        let started = self.destinations.get_mut(slot).map(Destination::started_below);
        let first = match started {
            Some(Ok(first)) => first,
            Some(Err(violation)) => {
                self.condemn(slot, violation.0);
                u64::MAX
            }
            None => return invariant!(false, "who is settled was there a moment ago"),
        };
        let Some(destination) = self.destinations.remove(slot) else {
            return invariant!(false, "who is settled was there a moment ago");
        };
        let deliveries = self.clients.brain.in_hand(slot);
        if deliveries > 0 && self.clients.brain.lane_state(slot) == Some(LaneState::Leaving) {
            tracing::warn!(worker = %destination.key(), deliveries, "a leaving worker ended before \
                it had finished");
        }
        self.name_suspect(slot, &destination, first);
        // First: a session that has a part of a message must not end as if that were all of it.
        self.clients.drop_streams_of(slot);
        self.clients
            .brain
            .worker_died(slot, first, self.clients.now, &mut |entry| destination.body(entry, 0));
        self.drop_rest_of(slot, &destination, first);
        tracing::debug!(worker = %destination.key(), "lane settled");
        destination.unwatch(&self.clients.epoll);
    }

    /// Everything that a worker has committed, which commits nothing more.
    fn consume_last(&mut self, slot: LaneSlot) {
        self.clients.groups.serve_all();
        self.clients.go_on_with_casts();
        self.consume(slot);
        self.clients.groups.begin_turn();
    }

    /// What a worker has begun and nobody will end. Its place is free for another one.
    fn drop_rest_of(&mut self, slot: LaneSlot, destination: &Destination, first: u64) {
        self.clients.drop_datagram_parts(slot);
        self.clients.drop_messages_of(slot);
        let (is_condemned, memory) = (destination.is_condemned(), &mut self.clients.memory);
        if let Some(tasks) = &mut self.clients.tasks {
            tasks.lane_ended(slot, first, is_condemned, memory);
        }
        if let Some(messages) = &mut self.clients.messages {
            messages.lane_ended(slot, destination, memory);
        }
    }

    /// A worker that was never forked or is gone. One whose pidfd is here is settled when that is
    /// readable; one without has never served here ([`Reactor::serve`]), so that no delivery is to
    /// be settled. It may have written all the same, at its start: that is consumed.
    pub(super) fn release(&mut self, key: ProcessKey) {
        // Its pidfd may have told before.
        let Some(slot) = self.destinations.find(key) else { return };
        let Some(destination) = self.destinations.get(slot) else { return };
        if destination.is_watched() {
            return;
        }
        if !destination.is_condemned() {
            self.consume_last(slot);
        }
        let started = self.destinations.get_mut(slot).map(Destination::started_below);
        let first = started.and_then(Result::ok).unwrap_or(u64::MAX);
        if let Some(destination) = self.destinations.remove(slot) {
            self.clients.drop_streams_of(slot);
            self.drop_rest_of(slot, &destination, first);
            destination.unwatch(&self.clients.epoll);
        }
        self.clients.brain.remove_lane(slot);
    }

    /// A worker is about to be killed for the sake of a session: if that is here, its client is
    /// told so.
    pub(super) fn set_late(&mut self, key: ProcessKey, session: u64) {
        if key.kind == ProcessKind::Task {
            return self.set_task_late(key, session == OF_TASK);
        }
        let late = self.clients.place_of(session);
        // It may have died since, and be settled.
        if let Some(slot) = self.destinations.find(key) {
            self.clients.brain.set_late(slot, late);
        }
    }

    pub(super) fn condemn_key(&mut self, key: ProcessKey) {
        // It may have died since, and be settled.
        if let Some(slot) = self.destinations.find(key) {
            self.condemn(slot, "condemned by another reactor");
        }
    }
}

#[cfg(test)]
mod tests {
    use ostler_shm::lane::{MasterMemory, WorkerMemory};
    use ostler_shm::outbox::{Committer, Outbox};
    use ostler_shm::record::{Header, RecordKind};
    use ostler_shm::task_terms::TermsBlock;

    use super::*;
    use crate::options::Options;
    use crate::reactor::tests::{KEY, booting};
    use crate::sys::pidfd::PidFd;
    use crate::sys::{control_socket, eventfd, process};

    fn reactor() -> Reactor {
        booting(&Options { workers: 1, reactors: 1, max_connections: 4, ..Options::default() })
    }

    fn serves(reactor: &Reactor) -> bool {
        reactor.destinations.find(KEY).is_some_and(|slot| reactor.clients.brain.is_serving(slot))
    }

    #[test]
    fn who_is_not_watched_does_not_serve_and_goes_when_it_is_reaped() {
        let mut reactor = reactor();
        reactor.serve(KEY);
        assert!(!serves(&reactor));
        reactor.release(KEY);
        assert_eq!(reactor.destinations.find(KEY), None);
    }

    /// Or it would wait for workers that never have clients of its own, and say that none serves.
    #[test]
    fn the_switch_of_base_mode_gives_nothing_to_event_workers() {
        let mut reactor = reactor();
        reactor.clients.settings = reactor.clients.settings.of_switch();
        reactor.spawned(KEY, PidFd::open(process::current()).unwrap().into());
        reactor.serve(KEY);
        assert!(!serves(&reactor));
    }

    #[test]
    fn who_cannot_be_watched_is_condemned_and_does_not_serve() {
        let mut reactor = reactor();
        // A file: nothing that epoll can watch.
        reactor.spawned(KEY, std::fs::File::open("/proc/self/exe").unwrap().into());
        reactor.serve(KEY);
        assert!(!serves(&reactor));
        let reports = reactor.clients.reports.queue.take();
        assert!(matches!(reports.as_slice(), [FromReactor::Condemned(KEY, _)]), "{reports:?}");
        reactor.release(KEY);
        assert_eq!(reactor.destinations.find(KEY), None);
    }

    /// It asks a task at its start and dies, and nobody has seen that before it is reaped.
    #[test]
    fn what_a_worker_has_committed_that_never_served_is_heard() {
        let options = Options { task_workers: 1, workers: 1, reactors: 1, ..Options::default() };
        for is_condemned in [false, true] {
            let mut reactor = booting(&options);
            let key = ProcessKey::event(0, 2);
            let memory = MasterMemory::create(options.lane_sizes(), 0, 2).unwrap();
            let (file_link, _) = control_socket::pair().unwrap();
            let (bell, own_bell) = (eventfd::create().unwrap(), eventfd::create().unwrap());
            let lane = Lane::new(key, memory.lane(0).unwrap(), bell, own_bell, file_link);
            reactor.add_lane(key, lane);
            let worker = WorkerMemory::open(memory.down_fd(), memory.up_fd()).unwrap();
            ask_task(&worker);
            if is_condemned {
                reactor.condemn_key(key);
            }
            reactor.release(key);
            assert_eq!(reactor.destinations.find(key), None);
            let asked = reactor.clients.tasks.as_ref().map(|tasks| tasks.counts().asked);
            assert_eq!(asked, Some(u64::from(!is_condemned)));
        }
    }

    fn ask_task(worker: &WorkerMemory) {
        let lane = worker.lane(0).unwrap();
        let (mut outbox, mut committer) = (Outbox::default(), Committer::default());
        let kind = RecordKind::AskTask as u8;
        let stamp = committer.open_transaction();
        let task = [&*TermsBlock::default().to_bytes(), b"task"].concat();
        let total = task.len() as u32;
        let header = Header { kind, subject: 1, stamp, total, ..Header::default() };
        outbox.append(lane.down(), &lane.outputs, header, &[&task]).unwrap();
        Committer::store_written(&mut outbox, lane.up());
        committer.commit(worker.process().unwrap());
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
