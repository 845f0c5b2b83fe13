//! TCP sockets: listen, accept, send, receive, end.
#![allow(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::net::sockopt::{set_socket_linger, set_socket_reuseaddr, set_tcp_nodelay};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, acceptfrom_with, bind,
    getsockname, socket_with,
};

/// Most pieces that [`send_raw_vectored`] passes to the kernel in one call.
pub(crate) const PIECES_MAX: usize = 16;

/// A piece of memory to send, which another process may be writing: an address, never a `&[u8]`.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct RawSlice(libc::iovec);

impl RawSlice {
    /// A piece of no bytes, to fill arrays with.
    pub(crate) const EMPTY: Self = Self(libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 });

    /// Names `len` bytes from `pointer` on. What may be done with it is for [`send_raw_vectored`] to demand.
    pub(crate) const fn new(pointer: *const u8, len: usize) -> Self {
        Self(libc::iovec { iov_base: pointer.cast_mut().cast(), iov_len: len })
    }

    /// Number of bytes.
    pub(crate) const fn len(&self) -> usize {
        self.0.iov_len
    }
}

/// `socket(2)`, `bind(2)`, `listen(2)` — makes a nonblocking listener, closed on exec, with `SO_REUSEADDR`.
pub(crate) fn listen(address: SocketAddr, backlog: i32) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let listener = socket_with(family, SocketType::STREAM, flags, None)?;
    set_socket_reuseaddr(&listener, true)?;
    bind(&listener, &address)?;
    rustix::net::listen(&listener, backlog)?;
    Ok(listener)
}

/// `accept4(2)` — takes one connection, nonblocking and closed on exec; `WouldBlock` when none waits.
pub(crate) fn accept(listener: impl AsFd) -> io::Result<(OwnedFd, SocketAddr)> {
    let (connection, address) =
        acceptfrom_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    let address = address.ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok((connection, SocketAddr::try_from(address)?))
}

/// `getsockname(2)` — the local address, with the port that the kernel chose if 0 was asked for.
pub(crate) fn local_address(socket: impl AsFd) -> io::Result<SocketAddr> {
    Ok(SocketAddr::try_from(getsockname(socket)?)?)
}

/// `setsockopt(2)`, `TCP_NODELAY` — sends small pieces at once.
pub(crate) fn set_nodelay(connection: impl AsFd) -> io::Result<()> {
    Ok(set_tcp_nodelay(connection, true)?)
}

/// `send(2)` — sends without blocking and without SIGPIPE; tells how many bytes were taken.
pub(crate) fn send(connection: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(connection, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?)
}

/// `recv(2)` — receives without blocking; 0 is the end of the stream.
pub(crate) fn recv(connection: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    let (count, _) = rustix::net::recv(connection, buffer, RecvFlags::DONTWAIT)?;
    Ok(count)
}

/// `recv(2)`, `MSG_PEEK` — whether the connection has failed (reset, timed out); takes nothing from it.
pub(crate) fn is_broken(connection: impl AsFd) -> bool {
    let mut byte = [0];
    let peeked = rustix::net::recv(connection, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT);
    !matches!(peeked, Ok(_) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR))
}

/// `send(2)` — like [`send`], from memory that another process may be writing meanwhile.
///
/// # Safety
///
/// `pointer..pointer+len` must be mapped readable during the call. The bytes may change under it: only the kernel reads
/// them, so no Rust reference to them comes into being.
pub(crate) unsafe fn send_raw(
    connection: impl AsFd,
    pointer: *const u8,
    len: usize,
) -> io::Result<usize> {
    let descriptor = connection.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open (borrowed), the range is readable (the caller's promise), the kernel only reads it.
    let sent = unsafe {
        libc::send(descriptor, pointer.cast(), len, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT)
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// `sendmsg(2)` — sends the first [`PIECES_MAX`] pieces in one call, without blocking and without SIGPIPE.
///
/// # Safety
///
/// Each piece must be mapped readable during the call; as with [`send_raw`] its bytes may change.
pub(crate) unsafe fn send_raw_vectored(
    connection: impl AsFd,
    pieces: &[RawSlice],
) -> io::Result<usize> {
    let descriptor = connection.as_fd().as_raw_fd();
    // SAFETY: `msghdr` is a C struct of integers and pointers, for which all zero bits is "no address, no data, no
    // control".
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    // `RawSlice` is a transparent `iovec`; the kernel only reads the array.
    message.msg_iov = pieces.as_ptr().cast_mut().cast();
    message.msg_iovlen = pieces.len().min(PIECES_MAX);
    // SAFETY: the descriptor is open (borrowed), `message` names an array that is borrowed for the call and at most as
    // long as it is, and each of its ranges is readable (the caller's promise).
    let sent = unsafe {
        libc::sendmsg(descriptor, &raw const message, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT)
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// `recv(2)` — like [`recv`], into memory that another process may be reading meanwhile.
///
/// # Safety
///
/// `pointer..pointer+len` must be mapped writable during the call, and no Rust reference to it may exist in this process.
pub(crate) unsafe fn recv_raw(
    connection: impl AsFd,
    pointer: *mut u8,
    len: usize,
) -> io::Result<usize> {
    let descriptor = connection.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open (borrowed), the range is writable and not referenced (the caller's promise).
    let received = unsafe { libc::recv(descriptor, pointer.cast(), len, libc::MSG_DONTWAIT) };
    usize::try_from(received).map_err(|_| io::Error::last_os_error())
}

/// `shutdown(2)`, `SHUT_WR` — sends what is queued and then an end of file.
pub(crate) fn shutdown_write(connection: impl AsFd) -> io::Result<()> {
    Ok(rustix::net::shutdown(connection, Shutdown::Write)?)
}

/// `setsockopt(2)`, `SO_LINGER` 0, then `close(2)` — ends the connection with a RST; what is queued is thrown away.
pub(crate) fn reset(connection: OwnedFd) {
    // A socket that cannot linger is closed in the ordinary way; there is nothing better to do with it.
    let _ = set_socket_linger(&connection, Some(Duration::ZERO));
    drop(connection);
}

/// One descriptor held back for the moment when there are no more (`EMFILE`, `ENFILE`).
///
/// Without it a listener with waiting connections stays readable and the acceptor spins: it can neither take them nor
/// turn them away.
#[derive(Debug)]
pub(crate) struct ReserveDescriptor {
    held: Option<OwnedFd>,
}

impl ReserveDescriptor {
    /// `open(2)` of `/dev/null` — takes the reserve.
    pub(crate) fn take() -> io::Result<Self> {
        Ok(Self { held: Some(open_null()?) })
    }

    /// Whether `error` of [`accept`] is the one that this is for.
    pub(crate) fn is_needed_for(error: &io::Error) -> bool {
        matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
    }

    /// Gives the reserve up, accepts one connection, resets it, and takes the reserve again.
    ///
    /// `Ok(true)`: one connection was turned away. `Ok(false)`: none waited, or somebody else took the descriptor.
    pub(crate) fn turn_away_one(&mut self, listener: impl AsFd) -> io::Result<bool> {
        self.held = None;
        let turned_away = match accept(listener) {
            Ok((connection, _)) => {
                reset(connection);
                Ok(true)
            }
            Err(error)
                if error.kind() == io::ErrorKind::WouldBlock || Self::is_needed_for(&error) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        };
        // Fails when another thread took the descriptor; then the next call tries again.
        self.held = open_null().ok();
        turned_away
    }
}

fn open_null() -> io::Result<OwnedFd> {
    Ok(rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

#[cfg(test)]
mod tests;
