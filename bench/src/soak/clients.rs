//! Clients that the load generator does not have: some that read what they know will come, some
//! that never read.
//!
//! A thread for each reader, one for all the deaf: simple code, and only ratios between runs of the
//! same kind are judged.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ostler_testkit::{Client, DEADLINE, TestError, TestResult};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The smallest the kernel gives: a deaf client shall be a burden to the server, not to its own
/// kernel buffer.
const RECEIVE_BUFFER_BYTES: usize = 1024;
/// How often the deaf are looked after.
const TICK: Duration = Duration::from_millis(50);
/// A deaf client that was closed comes back after this.
const RETURN_AFTER: Duration = Duration::from_secs(1);

/// Threads that end when told, or with this value.
#[derive(Default)]
pub(super) struct Threads {
    stop: Arc<AtomicBool>,
    handles: Vec<JoinHandle<()>>,
}

impl Threads {
    pub(super) fn spawn(
        &mut self,
        name: &str,
        body: impl FnOnce(&AtomicBool) + Send + 'static,
    ) -> TestResult {
        let stop = Arc::clone(&self.stop);
        let builder = std::thread::Builder::new().name(name.to_owned()).stack_size(128 * 1024);
        self.handles.push(builder.spawn(move || body(&stop))?);
        Ok(())
    }

    pub(super) fn join(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for handle in self.handles.drain(..) {
            // A panic has been printed by its thread, and shows as counts that are too small.
            _ = handle.join();
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.join();
    }
}

/// What readers saw.
#[derive(Default)]
struct Seen {
    completed: AtomicU64,
    wrong: AtomicU64,
    interrupted: AtomicU64,
}

/// Clients that send a request, read the reply they know, and so on.
pub(super) struct Readers {
    threads: Threads,
    seen: Arc<Seen>,
}

/// What readers saw in all.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReaderCounts {
    /// Replies complete and right.
    pub(super) completed: u64,
    /// Replies with other bytes.
    pub(super) wrong: u64,
    /// Readers whose connection ended, or that waited for longer than any deadline.
    pub(super) interrupted: u64,
}

impl Readers {
    /// Starts `count` of them.
    pub(super) fn start(
        address: SocketAddr,
        count: usize,
        request: &'static [u8],
        reply: Vec<u8>,
    ) -> TestResult<Self> {
        let mut readers = Self { threads: Threads::default(), seen: Arc::default() };
        let reply = Arc::new(reply);
        for _ in 0..count {
            let client = Client::connect(address)?;
            let (seen, reply) = (Arc::clone(&readers.seen), Arc::clone(&reply));
            readers.threads.spawn("reader", move |stop| {
                read_until(stop, client, request, &reply, &seen);
            })?;
        }
        Ok(readers)
    }

    /// Replies so far.
    pub(super) fn completed(&self) -> u64 {
        self.seen.completed.load(Ordering::Relaxed)
    }

    /// Stops them, each after the reply it waits for.
    pub(super) fn stop(mut self) -> ReaderCounts {
        self.threads.join();
        ReaderCounts {
            completed: self.completed(),
            wrong: self.seen.wrong.load(Ordering::Relaxed),
            interrupted: self.seen.interrupted.load(Ordering::Relaxed),
        }
    }
}

fn read_until(stop: &AtomicBool, client: Client, request: &[u8], reply: &[u8], seen: &Seen) {
    let mut stream = client.stream();
    let mut buffer = vec![0; reply.len()];
    while !stop.load(Ordering::Relaxed) {
        let done = stream.write_all(request).and_then(|()| stream.read_exact(&mut buffer));
        if done.is_err() {
            seen.interrupted.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if buffer != reply {
            seen.wrong.fetch_add(1, Ordering::Relaxed);
            return;
        }
        seen.completed.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts of the deaf.
#[derive(Default)]
struct DeafSeen {
    open: AtomicU64,
    closed: AtomicU64,
    sent: AtomicU64,
    rests: AtomicBool,
}

/// Clients that never read. Closed by the server, they come back.
pub(super) struct Deaf {
    threads: Threads,
    seen: Arc<DeafSeen>,
}

/// One of them: connected, or away until a time.
enum Ear {
    Open(TcpStream),
    Away(Instant),
}

impl Deaf {
    /// Starts `count` of them; each sends `request` at every tick, if there is one, for as long as
    /// the server takes it.
    pub(super) fn start(
        address: SocketAddr,
        count: usize,
        request: Option<&'static [u8]>,
    ) -> TestResult<Self> {
        let mut deaf = Self { threads: Threads::default(), seen: Arc::default() };
        let seen = Arc::clone(&deaf.seen);
        deaf.threads.spawn("deaf", move |stop| {
            let now = Instant::now();
            let mut ears: Vec<Ear> = (0..count).map(|_| Ear::Away(now)).collect();
            while !stop.load(Ordering::Relaxed) {
                let next = Instant::now() + TICK;
                let tended: &mut [Ear] =
                    if seen.rests.load(Ordering::Relaxed) { &mut [] } else { &mut ears };
                for ear in tended {
                    tend(ear, address, request, &seen);
                }
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        })?;
        Ok(deaf)
    }

    /// How many are connected now.
    pub(super) fn open(&self) -> u64 {
        self.seen.open.load(Ordering::Relaxed)
    }

    /// How many times one was closed by the server.
    pub(super) fn closed(&self) -> u64 {
        self.seen.closed.load(Ordering::Relaxed)
    }

    /// From now on they do nothing at all, and are not looked after: they cost this machine
    /// nothing.
    pub(super) fn rest(&self) {
        self.seen.rests.store(true, Ordering::Relaxed);
    }

    /// Requests sent.
    pub(super) fn sent(&self) -> u64 {
        self.seen.sent.load(Ordering::Relaxed)
    }

    /// Waits until `count` are connected at once.
    pub(super) fn wait_open(&self, count: u64) -> TestResult {
        let limit = Instant::now() + DEADLINE;
        while self.open() < count {
            if Instant::now() > limit {
                let text = format!("only {} of {count} deaf clients are connected", self.open());
                return Err(TestError::timeout(text));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Disconnects them all.
    pub(super) fn stop(mut self) {
        self.threads.join();
    }
}

fn tend(ear: &mut Ear, address: SocketAddr, request: Option<&[u8]>, seen: &DeafSeen) {
    match ear {
        Ear::Away(until) if Instant::now() >= *until => {
            let client = Client::connect_with_receive_buffer(address, RECEIVE_BUFFER_BYTES);
            let stream = client.and_then(|client| {
                let stream = client.stream().try_clone()?;
                stream.set_nonblocking(true)?;
                Ok(stream)
            });
            *ear = match stream {
                Ok(stream) => {
                    seen.open.fetch_add(1, Ordering::Relaxed);
                    Ear::Open(stream)
                }
                Err(_) => Ear::Away(Instant::now() + RETURN_AFTER),
            };
        }
        Ear::Away(_) => {}
        Ear::Open(stream) => {
            let sent = request.map_or(Ok(0), |request| stream.write(request));
            let gone = match sent {
                Ok(len) => {
                    seen.sent.fetch_add(u64::from(len > 0), Ordering::Relaxed);
                    has_ended(stream)
                }
                Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
            };
            if gone {
                seen.open.fetch_sub(1, Ordering::Relaxed);
                seen.closed.fetch_add(1, Ordering::Relaxed);
                *ear = Ear::Away(Instant::now() + RETURN_AFTER);
            }
        }
    }
}

/// Whether the server has ended the connection, told without reading from it.
fn has_ended(stream: &TcpStream) -> bool {
    let mut list = [PollFd::from_borrowed_fd(stream.as_fd(), PollFlags::RDHUP)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut list, Some(&now)), Ok(1..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_testkit::wait_until;
    use std::net::TcpListener;

    #[test]
    fn readers_compare_and_notice_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let readers =
            Readers::start(listener.local_addr().unwrap(), 2, b"?", b"yes".to_vec()).unwrap();
        for answer in [b"yesyes", b"yesyno"] {
            let (mut socket, _) = listener.accept().unwrap();
            socket.write_all(answer).unwrap();
            socket.read_exact(&mut [0; 2]).unwrap();
        }
        // Told to stop, the first would not ask again, and not see that it is alone.
        let interrupted = || readers.seen.interrupted.load(Ordering::Relaxed);
        wait_until("a reader to notice the end", || interrupted() == 1).unwrap();
        let counts = readers.stop();
        assert_eq!((counts.completed, counts.wrong, counts.interrupted), (3, 1, 1));
    }

    #[test]
    fn the_deaf_notice_their_end_and_come_back() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let deaf = Deaf::start(listener.local_addr().unwrap(), 1, Some(b"blah")).unwrap();
        let (mut socket, _) = listener.accept().unwrap();
        socket.write_all(b"never read").unwrap();
        socket.read_exact(&mut [0; 4]).unwrap();
        drop(socket);
        let (_socket, _) = listener.accept().unwrap();
        deaf.wait_open(1).unwrap();
        assert!(deaf.closed() == 1 && deaf.sent() >= 1);
        deaf.stop();
    }
}
