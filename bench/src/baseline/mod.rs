//! The servers Ostler is compared with. Contract of each, and of every peer: bind the given
//! address, print `listening on ADDRESS` as the first line of stdout, echo until SIGTERM (whose
//! default action ends them).

mod epoll_echo;
mod tokio_echo;

use std::convert::Infallible;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};

use crate::{Error, Result};

/// One read takes at most this much, in every baseline.
const BUFFER_BYTES: usize = 64 * 1024;
/// Accept queue: no SYN of a burst of connects is dropped.
const BACKLOG: i32 = 4096;

/// Which baseline to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    /// One thread on bare epoll: the limit.
    RawEpoll,
    /// tokio's current_thread runtime, one task per connection.
    Tokio,
}

/// Serves until the process is killed; returns only on failure.
pub fn serve(baseline: Baseline, listen: SocketAddr) -> Result<Infallible> {
    let listener = TcpListener::bind(listen).map_err(Error::system("bind"))?;
    rustix::net::listen(&listener, BACKLOG).map_err(Error::system("listen"))?;
    listener.set_nonblocking(true).map_err(Error::system("set non-blocking"))?;
    let address = listener.local_addr().map_err(Error::system("local address"))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on {address}")
        .and_then(|()| out.flush())
        .map_err(Error::system("write to stdout"))?;
    drop(out);
    match baseline {
        Baseline::RawEpoll => epoll_echo::serve(listener),
        Baseline::Tokio => tokio_echo::serve(listener),
    }
}
