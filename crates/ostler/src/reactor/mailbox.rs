//! Messages between the master's main thread and a reactor. Neither side ever waits for the other.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ostler_core::addresses::AddressGroup;
use ostler_core::brain::{Books, CloseReason};
use ostler_core::budget::Budget;
use ostler_core::groups::ExpectedGroups;
use ostler_core::ids::{PortId, ProcessKey};
use ostler_core::messages::MessageEnd;
use ostler_core::succession::hand_over::{Answer, Chosen, HandedSession};
use ostler_shm::lane::ReactorLane;
use ostler_shm::sessions::Peer;

use super::addresses::Addresses;
use super::connection_count::ConnectionCount;
use super::places::Places;
use super::suspects::{SharedAddressDeaths, Suspect};
use super::turns::Turns;
use crate::control::SlowTurn;
use crate::sys::eventfd;

/// To a reactor. Bounded by what the main thread accepts (`max_connections`) and by the number of
/// worker processes.
#[derive(Debug)]
pub(crate) enum ToReactor {
    /// A connection to own.
    Accepted(Accepted),
    /// A datagram port, and what this reactor does with it.
    Datagrams { port: PortId, socket: OwnedFd, part: DatagramPart },
    /// A lane to a worker that will be forked.
    AddLane {
        key: ProcessKey,
        lane: Box<ReactorLane>,
        worker_bell: OwnedFd,
        lane_bell: OwnedFd,
        /// By which the worker passes files.
        file_link: OwnedFd,
    },
    /// The worker's pidfd.
    Spawned(ProcessKey, OwnedFd),
    /// One worker serves from now on, another leaves. One message, so that no package falls between
    /// them.
    Serve { serve: ProcessKey, leave: Option<ProcessKey> },
    /// Sessions are at home in so many worker slots from now on, if that is fewer than before.
    /// Comes before the workers of the others leave.
    ReduceWorkers(u16),
    /// A worker leaves without a successor.
    Leave(ProcessKey),
    /// A worker was never forked, or is gone: its lane goes, unless this reactor has its pidfd,
    /// which tells when to settle.
    Release(ProcessKey),
    /// A worker wrote nonsense to another reactor.
    Condemn(ProcessKey),
    /// A worker is about to be killed because it is late with something of this session; 0: it is
    /// not after all.
    Late { key: ProcessKey, session: u64 },
    /// Packages of this address have cost too many workers: its sessions at this port end.
    CloseAddress { port: PortId, group: AddressGroup },
    /// Memory is lacking: leases that are not used go back to the budget.
    MemoryLacks,
    /// Say what the largest session holds.
    BidForMemory,
    /// Close the sessions that hold the most, while they hold at least so many bytes and there is
    /// no room.
    PayForMemory { floor: u64 },
    /// There is memory again.
    MemoryIsFree,
    /// This master is in charge from now on: accept clients, read datagrams.
    Accept,
    /// A new master is in charge: accept nobody more, read no more datagrams, serve who is here, or
    /// offer it to the new one. Answered by [`FromReactor::Deserted`].
    AcceptNoMore { hands_over: bool },
    /// The new master has said which sessions of an offer it can have. Answered by
    /// [`FromReactor::Given`].
    Answered { offer: u32, answer: Answer },
    /// The new master is gone: nobody takes what was offered and not given.
    NobodyTakes,
    /// A session that another master had.
    TakeOver(Box<TakenOver>),
    /// Read nothing more; end sessions as they become idle.
    Drain,
    /// End every session now; if a drain ran out of time, say first what held it.
    CloseAll { reason: CloseReason, timed_out: bool },
    /// The operator calls a command: a message to the process of a slot, of this form. Answered by
    /// [`FromReactor::CallAnswered`], unless [`ToReactor::ForgetCall`] comes before.
    Call { number: u64, to: ProcessKey, form: u16, message: Vec<u8> },
    /// Nobody waits for the answer to this call of the operator's any more.
    ForgetCall(u64),
    /// Answer with [`FromReactor::GoesOn`].
    AreYouThere,
    /// Report the books and end.
    Stop,
}

/// What a reactor does with a datagram port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatagramPart {
    /// All that there is to do.
    All,
    /// The same, but it reads when it is told.
    AllWhenTold,
    /// BASE mode: it sends, and reads when it is told. The socket outlives it, so that the master
    /// counts what the kernel drops.
    OfSlot,
    /// BASE mode: another process reads; this one only sends.
    Sends,
}

/// A connection that was accepted.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) socket: OwnedFd,
    /// The id of its session, and with it its place in the session table.
    pub(crate) session: u64,
    pub(crate) peer: Peer,
    /// The port on which it came.
    pub(crate) port: PortId,
}

/// A session that another master had, and that was taken from it.
#[derive(Debug)]
pub(crate) struct TakenOver {
    pub(crate) socket: OwnedFd,
    /// Its port here.
    pub(crate) port: PortId,
    /// Its place in the session table is taken.
    pub(crate) handed: HandedSession,
}

/// From a reactor.
#[derive(Debug)]
pub(crate) enum FromReactor {
    /// This worker wrote nonsense: kill it.
    Condemned(ProcessKey, &'static str),
    /// No session is left after a `Drain`.
    Drained,
    /// No session is left in this reactor after an `AcceptNoMore`. Said again when one came since.
    Deserted(usize),
    /// These sessions are for the new master.
    Offer(Box<Offer>),
    /// Of an offer that it has answered these are the new master's.
    Given { reactor: usize, offer: u32, given: Chosen },
    /// Somebody has waited for a worker for `workers_grow_after_ms`.
    ClientsWait,
    /// A descriptor or a place was freed while the acceptor waited for one.
    Closed,
    /// What was given to this dead worker is settled; what it had begun last, and of which session
    /// that was. Said when packages that kill are looked for.
    Settled(ProcessKey, Option<(u64, Box<Suspect>)>),
    /// What became of a call of the operator's: the message that answers it, or why there is none.
    CallAnswered(u64, Result<Vec<u8>, MessageEnd>),
    /// The loop of this reactor goes on.
    GoesOn(usize),
    /// A turn of a reactor takes long, as who watches them says; what is to be told of it.
    Lags(Option<Box<SlowTurn>>),
    /// A reactor cannot go on.
    Failed(usize, io::Error),
}

/// Sessions that are offered to a new master. Until it answers nobody touches them.
#[derive(Debug)]
pub(crate) struct Offer {
    /// Number of their reactor.
    pub(crate) reactor: usize,
    /// Number of the offer there.
    pub(crate) number: u32,
    /// What is to be known of them.
    pub(crate) records: OwnedFd,
    /// Their sockets, in the same order.
    pub(crate) sockets: Vec<OwnedFd>,
}

/// A queue with a bell.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    messages: Mutex<Vec<T>>,
    bell: OwnedFd,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { messages: Mutex::new(Vec::new()), bell: eventfd::create()? })
    }

    pub(crate) fn push(&self, message: T) {
        self.push_all(std::iter::once(message));
    }

    /// Rings once for all of them, and not at all when others wait already: their sender has rung,
    /// or is about to, and who is woken by that takes everything.
    pub(crate) fn push_all(&self, new: impl IntoIterator<Item = T>) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let was_empty = messages.is_empty();
        messages.extend(new);
        let rings = was_empty && !messages.is_empty();
        drop(messages);
        if rings {
            eventfd::ring_own(&self.bell);
        }
    }

    pub(crate) fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) const fn bell(&self) -> &OwnedFd {
        &self.bell
    }
}

/// A reactor's inbox.
pub(crate) type Mailbox = Queue<ToReactor>;

/// What reactors share with the main thread.
#[derive(Clone)]
pub(crate) struct Reports {
    /// Messages to the main thread.
    pub(crate) queue: Arc<Queue<FromReactor>>,
    /// Connections over all reactors.
    pub(crate) connections: ConnectionCount,
    /// Places of the session table.
    pub(crate) places: Places,
    /// What is known of the addresses of clients.
    pub(crate) addresses: Addresses,
    /// Workers that packages of each address have killed.
    pub(crate) address_deaths: SharedAddressDeaths,
    /// The acceptor waits for a descriptor or for a place.
    pub(crate) acceptor_waits: Arc<AtomicBool>,
    /// The acceptor is in the thread of the only reactor, and needs no message.
    acceptor_is_here: bool,
    /// Each reactor's books as they were when it stopped.
    pub(crate) books: Arc<Mutex<Books>>,
    /// Groups of sessions that may come from an old master, of each reactor; none when there is no
    /// old master.
    expected_groups: Arc<[Mutex<ExpectedGroups>]>,
    /// What memory is charged to, if the main thread charges it, too.
    pub(crate) budget: Option<Arc<Budget>>,
    /// What who watches the reactors sees of them.
    pub(crate) turns: Arc<Turns>,
}

impl Reports {
    pub(crate) fn new(places: Places) -> io::Result<Self> {
        Ok(Self {
            queue: Arc::new(Queue::new()?),
            connections: ConnectionCount::new(places.clone()),
            places,
            addresses: Addresses::default(),
            address_deaths: SharedAddressDeaths::default(),
            acceptor_waits: Arc::default(),
            acceptor_is_here: false,
            books: Arc::default(),
            expected_groups: Arc::default(),
            budget: None,
            turns: Arc::default(),
        })
    }

    /// The same for a reactor that accepts its clients itself.
    pub(crate) fn with_acceptor_here(self) -> Self {
        Self { acceptor_is_here: true, ..self }
    }

    /// The same with what is known of the addresses of clients.
    pub(crate) fn with_addresses(self, addresses: Addresses) -> Self {
        Self { addresses, ..self }
    }

    /// The same where somebody watches the reactors.
    pub(crate) fn with_turns(self, turns: Arc<Turns>) -> Self {
        Self { turns, ..self }
    }

    /// The same where sessions may come to so many reactors, each with so many groups at most.
    pub(crate) fn with_expected_groups(self, reactors: usize, groups_max: usize) -> Self {
        let of_one = |_| Mutex::new(ExpectedGroups::new(groups_max));
        Self { expected_groups: (0..reactors).map(of_one).collect(), ..self }
    }

    /// The same where the main thread charges memory to this budget.
    pub(crate) fn with_budget(self, budget: Arc<Budget>) -> Self {
        Self { budget: Some(budget), ..self }
    }

    /// What a reactor has of groups, and what may come to it. Locked while a group begins or ends,
    /// or a session is answered for: each of that takes a moment.
    pub(crate) fn expected_groups(&self, reactor: usize) -> Option<MutexGuard<'_, ExpectedGroups>> {
        let of_reactor = self.expected_groups.get(reactor)?;
        Some(of_reactor.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A connection is closed.
    pub(crate) fn count_closed(&self) {
        self.connections.closed();
        self.tell_acceptor();
    }

    /// A session of an old master that was wanted does not come.
    pub(crate) fn want_no_more(&self) {
        self.connections.want_no_more();
        self.tell_acceptor();
    }

    /// Nothing is left of this session of this reactor.
    pub(crate) fn give_place_back(&self, reactor: usize, session: u64) {
        self.places.give_back(reactor, session);
        self.tell_acceptor();
    }

    fn tell_acceptor(&self) {
        if self.acceptor_waits.swap(false, Ordering::SeqCst) && !self.acceptor_is_here {
            self.queue.push(FromReactor::Closed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_rings_only_when_it_was_empty() {
        let queue = Queue::new().unwrap();
        let rings = || eventfd::drain(queue.bell()).unwrap();
        queue.push_all([]);
        assert_eq!(rings(), 0, "for nothing");
        queue.push_all([1, 2]);
        queue.push(3);
        assert_eq!(rings(), 1, "once for all that wait");
        assert_eq!(queue.take(), [1, 2, 3]);
        queue.push(4);
        assert_eq!((rings(), queue.take()), (1, vec![4]), "again for what came later");
    }

    #[test]
    fn who_waits_for_the_bell_gets_everything() {
        const EACH: u32 = 20_000;
        let queue = Arc::new(Queue::new().unwrap());
        let senders: Vec<_> = (0..2)
            .map(|_| {
                let queue = Arc::clone(&queue);
                std::thread::spawn(move || (0..EACH).for_each(|number| queue.push(number)))
            })
            .collect();
        let mut taken = 0;
        while taken < 2 * EACH as usize {
            let poll =
                &mut [rustix::event::PollFd::new(queue.bell(), rustix::event::PollFlags::IN)];
            let limit = rustix::event::Timespec { tv_sec: 60, tv_nsec: 0 };
            assert_eq!(rustix::event::poll(poll, Some(&limit)).unwrap(), 1, "after {taken}");
            eventfd::drain(queue.bell()).unwrap();
            taken += queue.take().len();
        }
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    }
}
