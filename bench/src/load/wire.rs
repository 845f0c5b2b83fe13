//! The socket of one connection, and what lies on it: nothing, or TLS.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType, connect, socket_with,
};
use rustls::ClientConfig;

use super::target::Target;
use super::tls::Tls;

/// A connection to the server that was begun.
#[derive(Debug)]
pub(super) enum Wire {
    /// Bytes go as they are.
    Plain {
        socket: OwnedFd,
        /// Each message is sent by itself, and comes by itself.
        is_datagram: bool,
    },
    /// Bytes are encrypted.
    Tls(Box<Tls>),
}

impl Wire {
    /// Begins to connect to `target`, from `own` if that is given. `trust` is there for TLS.
    pub(super) fn connect(
        target: &Target,
        own: Option<SocketAddr>,
        trust: Option<&Arc<ClientConfig>>,
    ) -> Result<Self, Errno> {
        let kind = match target {
            Target::Udp(_) | Target::Unixgram(_) => SocketType::DGRAM,
            Target::Tcp(_) | Target::Tls(_) | Target::Unix(_) => SocketType::STREAM,
        };
        let family = match target.socket_address() {
            None => AddressFamily::UNIX,
            Some(address) if address.is_ipv4() => AddressFamily::INET,
            Some(_) => AddressFamily::INET6,
        };
        let socket = socket_with(family, kind, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
        if matches!(target, Target::Tcp(_) | Target::Tls(_)) {
            rustix::net::sockopt::set_tcp_nodelay(&socket, true)?;
        }
        if let Some(own) = own {
            rustix::net::bind(&socket, &own)?;
        }
        let begun = match target {
            Target::Tcp(address) | Target::Tls(address) | Target::Udp(address) => {
                connect(&socket, address)
            }
            Target::Unix(path) => connect(&socket, &SocketAddrUnix::new(path)?),
            Target::Unixgram(path) => {
                // Who has no name cannot be answered; the kernel finds one.
                rustix::net::bind(&socket, &SocketAddrUnix::new_unnamed())?;
                connect(&socket, &SocketAddrUnix::new(path)?)
            }
        };
        match begun {
            Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        match (target, trust) {
            (Target::Tls(_), Some(trust)) => Ok(Self::Tls(Box::new(Tls::new(socket, trust)?))),
            (Target::Tls(_), None) => Err(Errno::INVAL),
            _ => Ok(Self::Plain { socket, is_datagram: kind == SocketType::DGRAM }),
        }
    }

    /// Whether several messages may go in one `send`.
    pub(super) fn is_stream(&self) -> bool {
        !matches!(self, Self::Plain { is_datagram: true, .. })
    }

    /// Sends the beginning of the two parts, one behind the other; answers how much of them.
    pub(super) fn send(&mut self, first: &[u8], second: &[u8]) -> Result<usize, Errno> {
        match self {
            Self::Plain { socket, .. } if second.is_empty() => {
                rustix::net::send(socket, first, SendFlags::NOSIGNAL)
            }
            Self::Plain { socket, .. } => {
                let parts = [IoSlice::new(first), IoSlice::new(second)];
                let mut control = SendAncillaryBuffer::default();
                rustix::net::sendmsg(socket, &parts, &mut control, SendFlags::NOSIGNAL)
            }
            Self::Tls(tls) => tls.send(first, second),
        }
    }

    /// Sends what was taken and did not fit; whether some of it still does not.
    pub(super) fn flush(&mut self) -> Result<bool, Errno> {
        match self {
            Self::Plain { .. } => Ok(false),
            Self::Tls(tls) => tls.flush(),
        }
    }

    /// Receives what has come, `Ok(0)` at the end of a stream; and whether there may be more.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Result<(usize, bool), Errno> {
        match self {
            Self::Plain { socket, is_datagram } => {
                let size = buffer.len();
                let (received, _) = rustix::net::recv(socket, buffer, RecvFlags::empty())?;
                Ok((received, received == size || *is_datagram))
            }
            Self::Tls(tls) => tls.receive(buffer).map(|received| (received, true)),
        }
    }

    /// Says that nothing more will be sent; `false`: the server cannot be told.
    pub(super) fn end(&mut self) -> bool {
        match self {
            Self::Plain { is_datagram: true, .. } => return false,
            Self::Plain { .. } => {}
            Self::Tls(tls) => tls.say_goodbye(),
        }
        // Fails only on a connection that has ended already, which the read will show.
        _ = rustix::net::shutdown(&*self, rustix::net::Shutdown::Write);
        true
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Plain { socket, .. } => socket.as_fd(),
            Self::Tls(tls) => tls.as_fd(),
        }
    }
}
