//! The servers Ostler is compared with. Contract of each, and of every peer: bind the given
//! address, print `listening on URL` as the first line of stdout, echo until SIGTERM (whose
//! default action ends them).

mod epoll_echo;
mod relay;
mod send_loop;
mod send_to_all;
mod sendfile_loop;
mod tls_echo;
mod tokio_echo;
mod udp_echo;

use std::convert::Infallible;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};

use rustix::net::sockopt::{set_socket_reuseaddr, set_socket_reuseport};
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::identity::Identity;
use crate::{Error, Result};

/// One read takes at most this much, in every baseline.
const BUFFER_BYTES: usize = 64 * 1024;
/// Accept queue: no SYN of a burst of connects is dropped.
const BACKLOG: i32 = 4096;

/// Which baseline to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    /// Bare epoll, with so many threads: the limit. Each thread has a listener of its own, among
    /// which the kernel shares out the connections (`SO_REUSEPORT`).
    RawEpoll {
        /// How many.
        threads: u16,
        /// A message has so many bytes, and is received before any of it is sent; `None`: what one
        /// read brings is sent.
        whole: Option<usize>,
    },
    /// Datagrams in batches, one thread.
    RawUdp,
    /// No echo: messages of so many bytes, each sent in a loop, to one client at a time.
    RawSend {
        /// How many.
        message_bytes: usize,
    },
    /// The same from a file, by sendfile(2).
    RawSendfile {
        /// How many.
        message_bytes: usize,
    },
    /// No echo: what the first of so many clients sends is sent to each in a loop.
    RawSendToAll {
        /// How many.
        listeners: usize,
    },
    /// Bare epoll, and each message waits until somebody else has answered, who is asked by a
    /// third: four wake-ups.
    RawRelay,
    /// rustls on bare epoll, one thread.
    RawTls,
    /// tokio's current_thread runtime, one task per connection.
    Tokio,
}

impl Baseline {
    /// With so many threads, if it is one that may have several.
    #[must_use]
    pub const fn with_threads(self, threads: u16) -> Self {
        match self {
            Self::RawEpoll { whole, .. } => Self::RawEpoll { threads, whole },
            other => other,
        }
    }

    /// Receiving messages of so many bytes whole, if it can.
    #[must_use]
    pub const fn with_whole(self, size_bytes: usize) -> Self {
        match self {
            Self::RawEpoll { threads, .. } => Self::RawEpoll { threads, whole: Some(size_bytes) },
            other => other,
        }
    }
}

/// Serves until the process is killed; returns only on failure. Only TLS needs an identity.
pub fn serve(
    baseline: Baseline,
    listen: SocketAddr,
    identity: Option<&Identity>,
) -> Result<Infallible> {
    if baseline == Baseline::RawUdp {
        return udp_echo::serve(listen);
    }
    let shares = matches!(baseline, Baseline::RawEpoll { threads, .. } if threads > 1);
    let listener = listen_at(listen, shares)?;
    let address = listener.local_addr().map_err(Error::system("local address"))?;
    let mut more = Vec::new();
    if let Baseline::RawEpoll { threads, .. } = baseline {
        more = (1..threads).map(|_| listen_at(address, shares)).collect::<Result<_>>()?;
    }
    let scheme = if baseline == Baseline::RawTls { "tls" } else { "tcp" };
    say_listening(scheme, address)?;
    match baseline {
        Baseline::RawEpoll { whole, .. } => {
            for listener in more {
                // A thread that fails ends the process: a server with fewer threads than it was
                // asked for would be measured as something else.
                std::thread::spawn(move || {
                    let Err(error) = epoll_echo::serve(listener, whole);
                    eprintln!("raw-epoll-echo: {error}");
                    std::process::exit(1);
                });
            }
            epoll_echo::serve(listener, whole)
        }
        Baseline::RawTls => match identity {
            Some(identity) => tls_echo::serve(listener, identity),
            None => Err(Error::usage("raw-tls-echo needs --certificate and --key")),
        },
        Baseline::RawUdp => udp_echo::serve(listen),
        Baseline::RawRelay => relay::serve(listener),
        Baseline::RawSend { message_bytes } => send_loop::serve(listener, message_bytes),
        Baseline::RawSendToAll { listeners } => send_to_all::serve(listener, listeners),
        Baseline::RawSendfile { message_bytes } => sendfile_loop::serve(listener, message_bytes),
        Baseline::Tokio => tokio_echo::serve(listener),
    }
}

fn say_listening(scheme: &str, address: SocketAddr) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on {scheme}://{address}")
        .and_then(|()| out.flush())
        .map_err(Error::system("write to stdout"))
}

fn listen_at(address: SocketAddr, shares: bool) -> Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)
        .map_err(Error::system("socket"))?;
    set_socket_reuseaddr(&socket, true).map_err(Error::system("SO_REUSEADDR"))?;
    set_socket_reuseport(&socket, shares).map_err(Error::system("SO_REUSEPORT"))?;
    rustix::net::bind(&socket, &address).map_err(Error::system("bind"))?;
    rustix::net::listen(&socket, BACKLOG).map_err(Error::system("listen"))?;
    Ok(TcpListener::from(socket))
}
