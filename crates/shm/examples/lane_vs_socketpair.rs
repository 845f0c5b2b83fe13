//! What a hop between two processes costs: a lane against socket pairs.
//!
//! `cargo run --release -p ostler-shm --example lane_vs_socketpair`
//!
//! Two processes. Ping-pong: one message at a time, there and back. Flood: as many as the carrier
//! holds, one way, with the bytes copied out at the far end. The lane blocks on its bells
//! (eventfds) and sleep words as the real drivers do, so a wait costs what it costs there. Figures
//! of a small or shared machine vary by a third from run to run.
// a measurement, not a product
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(unsafe_code)] // fork

#[cfg(loom)]
fn main() {}

#[cfg(not(loom))]
fn main() {
    measured::main();
}

#[cfg(not(loom))]
mod measured {

    use nix::sys::wait::waitpid;
    use nix::unistd::{ForkResult, fork};
    use ostler_shm::board::{Board, BoardSizes};
    use ostler_shm::consumer::Consumer;
    use ostler_shm::giver::Giver;
    use ostler_shm::inbox::{Inbox, Take};
    use ostler_shm::lane::{MasterMemory, ReactorLane, WorkerLane, WorkerMemory};
    use ostler_shm::layout::Sizes;
    use ostler_shm::outbox::{Committer, Outbox};
    use ostler_shm::record::{Header, RecordKind};
    use ostler_shm::sleep::{Ringer, Sleeper};
    use ostler_shm::sync::{AtomicU64, Ordering, fence};
    use rustix::event::{EventfdFlags, eventfd};
    use rustix::fd::{AsFd, OwnedFd};
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use std::time::{Duration, Instant};

    const SIZES: Sizes = Sizes { reactors: 1, lane_size: 512 * 1024 };
    /// How long each figure is measured.
    const RUN: Duration = Duration::from_millis(250);

    pub fn main() {
        println!(
            "{:<22} {:>8} {:>16} {:>14} {:>12}",
            "", "bytes", "round trip, us", "flood, msg/s", "flood, MB/s"
        );
        for size in [64usize, 4096, 65_536] {
            row("lane", size, lane_ping_pong(size), lane_flood(size));
            for (name, kind) in [
                ("socketpair SEQPACKET", SocketType::SEQPACKET),
                ("socketpair STREAM", SocketType::STREAM),
            ] {
                row(name, size, socket_ping_pong(kind, size), socket_flood(kind, size));
            }
        }
    }

    fn row(name: &str, size: usize, round_trip: Duration, per_second: f64) {
        let us = round_trip.as_secs_f64() * 1e6;
        println!(
            "{name:<22} {size:>8} {us:>16.2} {per_second:>14.0} {:>12.0}",
            per_second * size as f64 / 1e6
        );
    }

    /// Runs `far` in a child, `near` here.
    fn with_child<T>(far: impl FnOnce(), near: impl FnOnce() -> T) -> T {
        // SAFETY: this program has one thread.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
                let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(far));
                // SAFETY: ends the child at once.
                unsafe { nix::libc::_exit(i32::from(ended.is_err())) };
            }
            ForkResult::Parent { child } => {
                let result = near();
                waitpid(child, None).unwrap();
                result
            }
        }
    }

    // ---- socket pairs

    fn socket_pair(kind: SocketType) -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap()
    }

    /// False at the end of the stream.
    fn read_exact(fd: &OwnedFd, mut to: &mut [u8]) -> bool {
        while !to.is_empty() {
            match rustix::io::read(fd, &mut *to) {
                Ok(0) | Err(_) => return false,
                Ok(count) => to = &mut to[count..],
            }
        }
        true
    }

    fn write_all(fd: &OwnedFd, mut from: &[u8]) -> bool {
        while !from.is_empty() {
            match rustix::net::send(fd, from, rustix::net::SendFlags::NOSIGNAL) {
                Ok(count) => from = &from[count..],
                Err(_) => return false,
            }
        }
        true
    }

    fn socket_ping_pong(kind: SocketType, size: usize) -> Duration {
        let (near, far) = socket_pair(kind);
        let mut buffer = vec![0; size];
        let message = vec![7; size];
        let near_raw = std::os::fd::AsRawFd::as_raw_fd(&near);
        with_child(
            || {
                // SAFETY: the child's copy of the other end, used by nobody here: without it, end
                // of stream comes.
                unsafe { nix::libc::close(near_raw) };
                let mut buffer = vec![0; size];
                while read_exact(&far, &mut buffer) && write_all(&far, &buffer) {}
            },
            move || {
                let begin = Instant::now();
                let mut rounds = 0;
                while begin.elapsed() < RUN {
                    assert!(write_all(&near, &message) && read_exact(&near, &mut buffer));
                    rounds += 1;
                }
                begin.elapsed() / rounds
            },
        )
    }

    fn socket_flood(kind: SocketType, size: usize) -> f64 {
        let (near, far) = socket_pair(kind);
        let near_raw = std::os::fd::AsRawFd::as_raw_fd(&near);
        with_child(
            || {
                // SAFETY: as above.
                unsafe { nix::libc::close(near_raw) };
                let message = vec![7; size];
                while write_all(&far, &message) {}
            },
            move || {
                let mut buffer = vec![0; size];
                let begin = Instant::now();
                let mut count = 0u64;
                while begin.elapsed() < RUN {
                    assert!(read_exact(&near, &mut buffer));
                    count += 1;
                }
                count as f64 / begin.elapsed().as_secs_f64()
            },
        )
    }

    // ---- lane

    struct Bell(OwnedFd);

    impl Bell {
        fn new() -> Self {
            Self(eventfd(0, EventfdFlags::CLOEXEC).unwrap())
        }

        fn ring(&self) {
            rustix::io::write(&self.0, &1u64.to_ne_bytes()).unwrap();
        }

        fn wait(&self) {
            let mut count = [0; 8];
            rustix::io::read(&self.0, &mut count).unwrap();
        }
    }

    fn sleep(sleeper: &mut Sleeper, word: &AtomicU64, bell: &Bell, news: impl Fn() -> bool) {
        sleeper.announce(word);
        if !news() {
            bell.wait();
        }
        sleeper.awake(word);
    }

    struct Shared {
        memory: MasterMemory,
        board: Board,
        board_fd: OwnedFd,
        lane_bell: Bell,
        worker_bell: Bell,
    }

    impl Shared {
        fn new() -> Self {
            let sizes =
                BoardSizes { reactors: 1, sessions: 64, state_bytes: 192, ..BoardSizes::default() };
            let (board, board_fd) = Board::create(sizes).unwrap();
            let memory = MasterMemory::create(SIZES, 0, 1).unwrap();
            Self { memory, board, board_fd, lane_bell: Bell::new(), worker_bell: Bell::new() }
        }
    }

    /// The longest payload of a record is below a quarter of the ring: 64 KiB fits, with its
    /// header.
    struct Worker<'a> {
        shared: &'a Shared,
        board: Board,
        memory: WorkerMemory,
        lane: WorkerLane,
        inbox: Inbox,
        outbox: Outbox,
        committer: Committer,
        sleeper: Sleeper,
        room: Sleeper,
        ringer: Ringer,
    }

    impl<'a> Worker<'a> {
        fn new(shared: &'a Shared) -> Self {
            let memory =
                WorkerMemory::open(shared.memory.down_fd(), shared.memory.up_fd()).unwrap();
            let lane = memory.lane(0).unwrap();
            Self {
                shared,
                board: Board::open(shared.board_fd.as_fd()).unwrap(),
                memory,
                lane,
                inbox: Inbox::default(),
                outbox: Outbox::default(),
                committer: Committer::default(),
                sleeper: Sleeper::default(),
                room: Sleeper::default(),
                ringer: Ringer::default(),
            }
        }

        fn idle(&mut self) {
            let word = &self.memory.process().unwrap().sleep.worker_sleep;
            let (inbox, down) = (&self.inbox, self.lane.down());
            sleep(&mut self.sleeper, word, &self.shared.worker_bell, || {
                inbox.has_news(down) || down.control.leave.load(Ordering::Acquire) == 1
            });
        }

        fn send(&mut self, cause: u64, payload: &[u8]) -> bool {
            let stamp = self.committer.open_transaction();
            let header = Header { kind: RecordKind::Out as u8, cause, stamp, ..Header::default() };
            while self
                .outbox
                .append(self.lane.down(), &self.lane.outputs, header, &[payload])
                .is_err()
            {
                let (down, bell) = (self.lane.down(), &self.shared.worker_bell);
                if self.inbox.is_left(down) {
                    return false;
                }
                let want = &self.memory.process().unwrap().sleep.room_want;
                self.room.announce(want);
                let left = down.control.leave.load(Ordering::Acquire) == 1;
                if !left && !self.outbox.has_room(down, SIZES.lane_size, payload.len() as u64) {
                    bell.wait();
                }
                self.room.awake(want);
            }
            true
        }

        fn publish(&mut self) {
            Committer::store_written(&mut self.outbox, self.lane.up());
            self.committer.commit(self.memory.process().unwrap());
            self.inbox.free_up_to(self.inbox.position(), self.lane.up());
            Committer::fence();
            if self.ringer.needs_bell(self.board.reactor_sleep(0).unwrap()) {
                self.shared.lane_bell.ring();
            }
        }

        fn echo(mut self) {
            loop {
                match self.inbox.take(self.lane.down(), self.lane.up(), &self.lane.packages) {
                    Take::Record { header, position } => {
                        let package = self.lane.payload(position, &header);
                        self.send(header.seq, &package);
                        drop(package);
                        self.publish();
                    }
                    Take::Empty if self.inbox.is_left(self.lane.down()) => return,
                    _ => self.idle(),
                }
            }
        }

        fn flood(mut self, size: usize) {
            let message = vec![7; size];
            while self.send(0, &message) {
                self.publish();
            }
        }
    }

    struct Reactor<'a> {
        shared: &'a Shared,
        lane: ReactorLane,
        giver: Giver,
        consumer: Consumer,
        sleeper: Sleeper,
        ringer: Ringer,
        room: Ringer,
    }

    impl<'a> Reactor<'a> {
        fn new(shared: &'a Shared) -> Self {
            Self {
                shared,
                lane: shared.memory.lane(0).unwrap(),
                giver: Giver::default(),
                consumer: Consumer::default(),
                sleeper: Sleeper::default(),
                ringer: Ringer::default(),
                room: Ringer::default(),
            }
        }

        fn give(&mut self, message: &[u8]) {
            let len = message.len() as u64;
            let opening = self.giver.open(SIZES.lane_size, len, len).unwrap();
            self.lane.packages.raw_mut(opening.payload_offset, message.len()).copy_from(message);
            let header = Header { kind: RecordKind::Data as u8, ..Header::default() };
            self.giver.complete(&self.lane.packages, opening, header, len);
            self.giver.publish(self.lane.down());
            fence(Ordering::SeqCst);
            if self.ringer.needs_bell(&self.lane.process().sleep.worker_sleep) {
                self.shared.worker_bell.ring();
            }
        }

        /// Copies out what is there; waits for something to be.
        fn consume(&mut self, to: &mut Vec<u8>) -> u64 {
            loop {
                let freed = self.giver.peek_freed(self.lane.up());
                self.consumer.look(self.lane.process(), self.lane.up(), SIZES.lane_size).unwrap();
                let mut count = 0;
                while let Some(record) = self.consumer.next(&self.lane.outputs).unwrap() {
                    to.clear();
                    self.lane
                        .outputs
                        .raw(record.payload_offset, record.header.payload_len())
                        .append_to(to);
                    count += 1;
                    if self.consumer.unreleased() > 64 * 1024 {
                        self.release();
                    }
                }
                self.release();
                self.giver.reclaim(freed).unwrap();
                if count > 0 {
                    return count;
                }
                let (consumer, lane) = (&self.consumer, &self.lane);
                let word = self.shared.board.reactor_sleep(0).unwrap();
                sleep(&mut self.sleeper, word, &self.shared.lane_bell, || {
                    consumer.has_news(lane.process(), lane.up())
                });
            }
        }

        fn release(&mut self) {
            if self.consumer.release(self.lane.down()) {
                fence(Ordering::SeqCst);
                if self.room.needs_bell(&self.lane.process().sleep.room_want) {
                    self.shared.worker_bell.ring();
                }
            }
        }

        fn leave(&mut self) {
            self.giver.leave(self.lane.down());
            self.shared.worker_bell.ring();
        }
    }

    fn lane_ping_pong(size: usize) -> Duration {
        let shared = Shared::new();
        with_child(
            || Worker::new(&shared).echo(),
            || {
                let mut reactor = Reactor::new(&shared);
                let (message, mut buffer) = (vec![7; size], Vec::new());
                let begin = Instant::now();
                let mut rounds = 0;
                while begin.elapsed() < RUN {
                    reactor.give(&message);
                    reactor.consume(&mut buffer);
                    assert_eq!(buffer.len(), size);
                    rounds += 1;
                }
                let took = begin.elapsed() / rounds;
                reactor.leave();
                took
            },
        )
    }

    fn lane_flood(size: usize) -> f64 {
        let shared = Shared::new();
        with_child(
            || Worker::new(&shared).flood(size),
            || {
                let mut reactor = Reactor::new(&shared);
                let mut buffer = Vec::new();
                let begin = Instant::now();
                let mut count = 0u64;
                while begin.elapsed() < RUN {
                    count += reactor.consume(&mut buffer);
                }
                let rate = count as f64 / begin.elapsed().as_secs_f64();
                reactor.leave();
                rate
            },
        )
    }
}
