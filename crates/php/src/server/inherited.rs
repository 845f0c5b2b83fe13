//! Listeners that systemd has opened: `new Server('SYSTEMD', 0)`.

use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, RawFd};

use rustix::net::{AddressFamily, SocketType, getsockname, sockopt};

use super::sock_type::SockType;

/// The host by which a program asks for them.
pub(super) const HOST: &str = "SYSTEMD";
/// The first descriptor that is passed.
const FIRST: RawFd = 3;
/// Most that are looked at.
const MOST: RawFd = 1_024;

/// A listener that this process was started with.
pub(super) struct Inherited {
    pub(super) descriptor: RawFd,
    pub(super) kind: SockType,
    pub(super) host: String,
    /// 0 of a unix socket.
    pub(super) number: u16,
}

/// Those that were passed to this process and listen for streams, in their order. The engine looks
/// at them once more when the server starts.
pub(super) fn all() -> Vec<Inherited> {
    let number = |name: &str| std::env::var(name).ok()?.trim().parse::<i32>().ok();
    let own = rustix::process::getpid().as_raw_nonzero().get();
    if number("LISTEN_PID") != Some(own) {
        return Vec::new();
    }
    let count = number("LISTEN_FDS").unwrap_or(0).clamp(0, MOST);
    (FIRST..FIRST + count).filter_map(of).collect()
}

/// What a descriptor is, if it is a listener.
fn of(descriptor: RawFd) -> Option<Inherited> {
    // SAFETY: borrowed for the look at it; a number that is not open is an error of each call.
    let socket = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let is_listener = sockopt::socket_acceptconn(socket) == Ok(true)
        && sockopt::socket_type(socket) == Ok(SocketType::STREAM);
    let address = getsockname(socket).ok().filter(|_| is_listener)?;
    if address.address_family() == AddressFamily::UNIX {
        let kind = SockType::UnixStream;
        return Some(Inherited { descriptor, kind, host: String::new(), number: 0 });
    }
    let address = SocketAddr::try_from(address).ok()?;
    let kind = if address.is_ipv6() { SockType::Tcp6 } else { SockType::Tcp };
    Some(Inherited { descriptor, kind, host: address.ip().to_string(), number: address.port() })
}
