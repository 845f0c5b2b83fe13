//! The limit: what a TCP echo costs on this machine when nothing stands between epoll and the
//! socket.
//!
//! Level-triggered, one `recv` and one `send` per ready connection and turn: no read that ends in
//! EAGAIN, no `epoll_ctl` per request. Edge-triggered needs a second `recv` whenever a read fills
//! the buffer and gains nothing else.

use std::convert::Infallible;
use std::net::TcpListener;
use std::os::fd::OwnedFd;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags};
use slab::Slab;

use super::BUFFER_BYTES;
use crate::{Error, Result};

const LISTENER: u64 = u64::MAX;
const EVENTS_PER_TURN: usize = 256;
const ACCEPTS_PER_TURN: usize = 64;

/// A client. `input` holds a message that is received whole before it is sent; `pending` holds what
/// the socket did not take of what is sent as it comes. While there is something to send, the
/// client is not read.
struct Client {
    socket: OwnedFd,
    input: Vec<u8>,
    received: usize,
    pending: Vec<u8>,
    sent: usize,
}

/// What to do with a client after an event.
enum Next {
    Keep,
    Watch(EventFlags),
    Close,
}

pub(super) fn serve(listener: TcpListener, whole: Option<usize>) -> Result<Infallible> {
    let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(Error::system("epoll_create"))?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)
        .map_err(Error::system("epoll_ctl listener"))?;
    let mut clients: Slab<Client> = Slab::new();
    let mut buffer = vec![0_u8; BUFFER_BYTES];
    let nothing = Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };
    let mut events = [nothing; EVENTS_PER_TURN];
    loop {
        let ready = match epoll::wait(&epoll, &mut events, None) {
            Ok(ready) => ready,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(Error::system("epoll_wait")(errno)),
        };
        for event in events.iter().take(ready) {
            let token = event.data.u64();
            if token == LISTENER {
                accept(&listener, &epoll, &mut clients)?;
                continue;
            }
            let key = token as usize;
            let Some(client) = clients.get_mut(key) else { continue };
            let next = match whole {
                Some(size_bytes) if client.received == size_bytes => client.send_whole(),
                Some(size_bytes) => client.receive_whole(size_bytes),
                None if client.pending.is_empty() => client.echo(&mut buffer),
                None => client.send_pending(),
            };
            match next {
                Next::Keep => {}
                Next::Watch(flags) => {
                    epoll::modify(&epoll, &client.socket, EventData::new_u64(token), flags)
                        .map_err(Error::system("epoll_ctl client"))?;
                }
                Next::Close => drop(clients.try_remove(key)),
            }
        }
    }
}

fn accept(listener: &TcpListener, epoll: &OwnedFd, clients: &mut Slab<Client>) -> Result<()> {
    for _ in 0..ACCEPTS_PER_TURN {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = match rustix::net::accept_with(listener, flags) {
            Ok(socket) => socket,
            Err(Errno::AGAIN) => return Ok(()),
            Err(Errno::INTR | Errno::CONNABORTED) => continue,
            Err(errno) => return Err(Error::system("accept")(errno)),
        };
        rustix::net::sockopt::set_tcp_nodelay(&socket, true)
            .map_err(Error::system("TCP_NODELAY"))?;
        let entry = clients.vacant_entry();
        let token = EventData::new_u64(entry.key() as u64);
        epoll::add(epoll, &socket, token, EventFlags::IN)
            .map_err(Error::system("epoll_ctl client"))?;
        entry.insert(Client {
            socket,
            input: Vec::new(),
            received: 0,
            pending: Vec::new(),
            sent: 0,
        });
    }
    Ok(())
}

impl Client {
    fn echo(&mut self, buffer: &mut [u8]) -> Next {
        let received = match rustix::net::recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
            Ok((0, _)) => return Next::Close,
            Ok((received, _)) => received,
            Err(Errno::AGAIN | Errno::INTR) => return Next::Keep,
            Err(_) => return Next::Close,
        };
        let data = buffer.get(..received).unwrap_or_default();
        let sent = match rustix::net::send(&self.socket, data, SendFlags::NOSIGNAL) {
            Ok(sent) => sent,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(_) => return Next::Close,
        };
        match data.get(sent..) {
            Some(rest) if !rest.is_empty() => {
                self.pending.extend_from_slice(rest);
                Next::Watch(EventFlags::OUT)
            }
            _ => Next::Keep,
        }
    }

    /// Receives into the place of the message, and sends the message when it is complete. Its
    /// memory is kept for the next one.
    fn receive_whole(&mut self, size_bytes: usize) -> Next {
        if self.input.is_empty() {
            self.input.resize(size_bytes, 0);
        }
        let space = self.input.get_mut(self.received..).unwrap_or_default();
        match rustix::net::recv(&self.socket, space, RecvFlags::empty()) {
            Ok((0, _)) => return Next::Close,
            Ok((received, _)) => self.received += received,
            Err(Errno::AGAIN | Errno::INTR) => return Next::Keep,
            Err(_) => return Next::Close,
        }
        if self.received < size_bytes {
            return Next::Keep;
        }
        match self.send_whole() {
            Next::Keep => Next::Watch(EventFlags::OUT),
            // All was taken: the socket is watched for input already.
            Next::Watch(_) => Next::Keep,
            Next::Close => Next::Close,
        }
    }

    fn send_whole(&mut self) -> Next {
        let rest = self.input.get(self.sent..).unwrap_or_default();
        match rustix::net::send(&self.socket, rest, SendFlags::NOSIGNAL) {
            Ok(sent) if sent == rest.len() => {
                (self.received, self.sent) = (0, 0);
                Next::Watch(EventFlags::IN)
            }
            Ok(sent) => {
                self.sent += sent;
                Next::Keep
            }
            Err(Errno::AGAIN | Errno::INTR) => Next::Keep,
            Err(_) => Next::Close,
        }
    }

    fn send_pending(&mut self) -> Next {
        let rest = self.pending.get(self.sent..).unwrap_or_default();
        match rustix::net::send(&self.socket, rest, SendFlags::NOSIGNAL) {
            Ok(sent) if sent == rest.len() => {
                self.pending.clear();
                self.sent = 0;
                Next::Watch(EventFlags::IN)
            }
            Ok(sent) => {
                self.sent += sent;
                Next::Keep
            }
            Err(Errno::AGAIN | Errno::INTR) => Next::Keep,
            Err(_) => Next::Close,
        }
    }
}
