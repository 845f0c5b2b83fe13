//! The least that waiting costs: an echo whose one asker waits, for each message, until somebody
//! else has answered, and hears of it through the one who has the sockets.
//!
//! Nothing is done but what such a wait cannot do without: for each message the one with the
//! sockets wakes the runner, that wakes it, it wakes the asker, and that wakes it. Two threads
//! stand for the two processes, which spares each wake-up a change of address spaces. There is one
//! asker, so that one message is on its way at a time, however many clients there are.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags};
use slab::Slab;

use super::BUFFER_BYTES;
use crate::{Error, Result};

const LISTENER: u64 = u64::MAX;
const ASKER: u64 = u64::MAX - 1;
const RUNNER: u64 = u64::MAX - 2;
const EVENTS_PER_TURN: usize = 256;

/// Somebody who sleeps until he is woken, and wakes the one with the sockets then.
struct Sleeper {
    bell: Arc<OwnedFd>,
}

impl Sleeper {
    /// Begins to sleep. `epoll` tells of its answers under `token`.
    fn start(epoll: &OwnedFd, token: u64) -> Result<Self> {
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC).map_err(Error::system("eventfd"))?);
        let answer = eventfd(0, EventfdFlags::CLOEXEC).map_err(Error::system("eventfd"))?;
        let flags = EventFlags::IN | EventFlags::ET; // never read
        epoll::add(epoll, &answer, EventData::new_u64(token), flags)
            .map_err(Error::system("epoll_ctl bell"))?;
        let own = Arc::clone(&bell);
        std::thread::spawn(move || {
            let mut count = [0; 8];
            while rustix::io::read(own.as_fd(), &mut count).is_ok() {
                let _ = rustix::io::write(&answer, &1_u64.to_ne_bytes());
            }
        });
        Ok(Self { bell })
    }

    fn wake(&self) -> Result<()> {
        rustix::io::write(self.bell.as_fd(), &1_u64.to_ne_bytes())
            .map_err(Error::system("eventfd write"))?;
        Ok(())
    }
}

struct Relay {
    epoll: OwnedFd,
    clients: Slab<OwnedFd>,
    asker: Sleeper,
    runner: Sleeper,
    /// Messages that wait for the asker, and whose they are; the first is on its way.
    messages: VecDeque<(usize, Vec<u8>)>,
}

/// Serves until the process is killed; returns only on failure.
pub(super) fn serve(listener: TcpListener) -> Result<Infallible> {
    let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(Error::system("epoll_create"))?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)
        .map_err(Error::system("epoll_ctl listener"))?;
    let (asker, runner) = (Sleeper::start(&epoll, ASKER)?, Sleeper::start(&epoll, RUNNER)?);
    let (clients, messages) = (Slab::new(), VecDeque::new());
    let mut relay = Relay { epoll, clients, asker, runner, messages };
    let mut buffer = vec![0_u8; BUFFER_BYTES];
    let nothing = Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };
    let mut events = [nothing; EVENTS_PER_TURN];
    loop {
        let ready = match epoll::wait(&relay.epoll, &mut events, None) {
            Ok(ready) => ready,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(Error::system("epoll_wait")(errno)),
        };
        for event in events.iter().take(ready) {
            match event.data.u64() {
                LISTENER => relay.accept(&listener)?,
                RUNNER => relay.asker.wake()?,
                ASKER => relay.answered()?,
                client => relay.receive(client as usize, &mut buffer)?,
            }
        }
    }
}

impl Relay {
    fn accept(&mut self, listener: &TcpListener) -> Result<()> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let Ok(socket) = rustix::net::accept_with(listener, flags) else { return Ok(()) };
        rustix::net::sockopt::set_tcp_nodelay(&socket, true)
            .map_err(Error::system("TCP_NODELAY"))?;
        let entry = self.clients.vacant_entry();
        let token = EventData::new_u64(entry.key() as u64);
        epoll::add(&self.epoll, &socket, token, EventFlags::IN)
            .map_err(Error::system("epoll_ctl client"))?;
        entry.insert(socket);
        Ok(())
    }

    fn receive(&mut self, client: usize, buffer: &mut [u8]) -> Result<()> {
        let Some(socket) = self.clients.get(client) else { return Ok(()) };
        match rustix::net::recv(socket, &mut *buffer, RecvFlags::empty()) {
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            Ok((len, _)) if len > 0 => {
                let message = buffer.get(..len).unwrap_or_default().to_vec();
                self.messages.push_back((client, message));
            }
            _ => {
                self.clients.try_remove(client);
                return Ok(());
            }
        }
        // An asker that has nothing to do is awake here: it would have been given this with its
        // last answer.
        if self.messages.len() == 1 { self.runner.wake() } else { Ok(()) }
    }

    /// The asker has its answer: it is sent, and the next one asked in the same moment.
    fn answered(&mut self) -> Result<()> {
        if let Some((client, message)) = self.messages.pop_front()
            && let Some(socket) = self.clients.get(client)
        {
            // A client of the measurement has no more on its way than its socket takes.
            let _ = rustix::net::send(socket, &message, SendFlags::NOSIGNAL);
        }
        if self.messages.is_empty() { Ok(()) } else { self.runner.wake() }
    }
}
