//! TCP sockets: listen, accept, send, receive, end.
#![allow(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::net::sockopt::{
    set_socket_linger, set_socket_reuseaddr, set_socket_reuseport, socket_acceptconn,
    socket_domain, socket_type,
};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, acceptfrom_with, bind,
    getsockname, socket_with,
};

/// Whether a read or a write has failed only for now: whoever knows when the socket takes or has
/// something again tries it then.
pub(crate) fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// `socket(2)`, `bind(2)`, `listen(2)` — makes a nonblocking listener, closed on exec, with
/// `SO_REUSEADDR`; `prepare` does something to the socket before it is bound.
pub(crate) fn listen(
    address: SocketAddr,
    backlog: i32,
    prepare: impl FnOnce(&OwnedFd) -> io::Result<()>,
) -> io::Result<OwnedFd> {
    let listener = bound(address, prepare)?;
    rustix::net::listen(&listener, backlog)?;
    Ok(listener)
}

fn bound(
    address: SocketAddr,
    prepare: impl FnOnce(&OwnedFd) -> io::Result<()>,
) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let listener = socket_with(family, SocketType::STREAM, flags, None)?;
    set_socket_reuseaddr(&listener, true)?;
    prepare(&listener)?;
    bind(&listener, &address)?;
    Ok(listener)
}

/// `socket(2)` — makes a stream socket of the same family as another one, bound to nothing.
pub(crate) fn of_same_family(other: impl AsFd) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(socket_domain(other)?, SocketType::STREAM, flags, None)?)
}

/// `listen(2)` — gives a listener another length of its queue.
pub(crate) fn listen_again(listener: impl AsFd, backlog: i32) -> io::Result<()> {
    Ok(rustix::net::listen(listener, backlog)?)
}

/// The same for several listeners at one address, among which the kernel shares out connections
/// (`SO_REUSEPORT`); all of them are there when this returns, so that the group is complete from
/// the first connection on.
///
/// The first one is bound without that option, or an address that another server has would not be
/// found to be in use.
pub(crate) fn listen_as_group(
    address: SocketAddr,
    backlog: i32,
    listeners: u16,
    prepare: impl Fn(&OwnedFd) -> io::Result<()>,
) -> io::Result<Vec<OwnedFd>> {
    if listeners <= 1 {
        return Ok(vec![listen(address, backlog, prepare)?]);
    }
    let first = bound(address, &prepare)?;
    set_socket_reuseport(&first, true)?;
    let address = local_address(&first)?;
    let mut group = vec![first];
    for _ in 1..listeners {
        group.push(bound(address, |socket| {
            set_socket_reuseport(socket, true)?;
            prepare(socket)
        })?);
    }
    group.iter().try_for_each(|listener| rustix::net::listen(listener, backlog))?;
    Ok(group)
}

/// `/proc/sys/net/core/somaxconn` — the longest queue that the kernel gives a listener; `None`
/// where that cannot be read.
pub(crate) fn longest_backlog() -> Option<u64> {
    std::fs::read_to_string("/proc/sys/net/core/somaxconn").ok()?.trim().parse().ok()
}

/// `accept4(2)` — takes one connection, nonblocking and closed on exec; `WouldBlock` when none
/// waits.
pub(crate) fn accept(listener: impl AsFd) -> io::Result<(OwnedFd, SocketAddr)> {
    let (connection, address) =
        acceptfrom_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    let address = address.ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok((connection, SocketAddr::try_from(address)?))
}

/// The families whose connections are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// IPv4 or IPv6.
    Ip,
    Unix,
}

/// What a socket is that somebody else has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// `None`: another one.
    pub(crate) family: Option<Family>,
    pub(crate) is_stream: bool,
    pub(crate) listens: bool,
}

/// `getsockopt(2)`, `SO_DOMAIN`, `SO_TYPE`, `SO_ACCEPTCONN` — what a socket is; an error when it is
/// none.
pub(crate) fn kind(socket: impl AsFd) -> io::Result<Kind> {
    let family = match socket_domain(&socket)? {
        AddressFamily::INET | AddressFamily::INET6 => Some(Family::Ip),
        AddressFamily::UNIX => Some(Family::Unix),
        _ => None,
    };
    let is_stream = socket_type(&socket)? == SocketType::STREAM;
    Ok(Kind { family, is_stream, listens: socket_acceptconn(&socket)? })
}

/// `getsockname(2)` — the local address, with the port that the kernel chose if 0 was asked for.
pub(crate) fn local_address(socket: impl AsFd) -> io::Result<SocketAddr> {
    Ok(SocketAddr::try_from(getsockname(socket)?)?)
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

/// `recv(2)` of at most `most` bytes behind those of `bytes`, as far as its memory goes; 0 is the
/// end when there is some.
#[allow(unsafe_code)]
pub(crate) fn recv_behind(
    connection: impl AsFd,
    bytes: &mut Vec<u8>,
    most: usize,
) -> io::Result<usize> {
    let spare = bytes.spare_capacity_mut();
    let most = most.min(spare.len());
    let space = spare.get_mut(..most).unwrap_or_default();
    let (_, count) = rustix::net::recv(connection, space, RecvFlags::DONTWAIT)?;
    let count = count.min(most);
    // SAFETY: the call has written that many bytes behind those that were there, within the
    // capacity.
    unsafe { bytes.set_len(bytes.len() + count) };
    Ok(count)
}

/// `recv(2)`, `MSG_PEEK` — like [`recv`], and leaves what it has received where it was.
pub(crate) fn peek(connection: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let (count, _) = rustix::net::recv(connection, buffer, flags)?;
    Ok(count)
}

/// `recv(2)`, `MSG_PEEK` — whether the stream has ended and everything was read; takes nothing from
/// it.
pub(crate) fn is_at_end(connection: impl AsFd) -> bool {
    let mut byte = [0];
    matches!(peek(connection, &mut byte), Ok(0))
}

/// `ioctl(2)`, `FIONREAD` — bytes that were received and not read.
pub(crate) fn unread(connection: impl AsFd) -> usize {
    rustix::io::ioctl_fionread(connection).map_or(0, |bytes| bytes as usize)
}

/// `send(2)` — like [`send`], from memory that another process may be writing meanwhile. The system
/// call itself: in a process with threads the C library's `send` and `recv` are cancellation
/// points, with two locked instructions each.
///
/// # Safety
///
/// `pointer..pointer+len` must be mapped readable during the call. The bytes may change under it:
/// only the kernel reads them, so no Rust reference to them comes into being.
pub(crate) unsafe fn send_raw(
    connection: impl AsFd,
    pointer: *const u8,
    len: usize,
) -> io::Result<usize> {
    let descriptor = connection.as_fd().as_raw_fd();
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    let (nobody, no_length) = (std::ptr::null::<libc::sockaddr>(), 0_usize);
    // SAFETY: the descriptor is open (borrowed), the range is readable (the caller's promise), the
    // kernel only reads it. `sendto` has these six arguments, and takes a null address of length 0.
    let sent = unsafe {
        libc::syscall(libc::SYS_sendto, descriptor, pointer, len, flags, nobody, no_length)
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// `recv(2)` — like [`recv`], into memory that another process may be reading meanwhile.
///
/// # Safety
///
/// `pointer..pointer+len` must be mapped writable during the call, and no Rust reference to it may
/// exist in this process.
pub(crate) unsafe fn recv_raw(
    connection: impl AsFd,
    pointer: *mut u8,
    len: usize,
) -> io::Result<usize> {
    let descriptor = connection.as_fd().as_raw_fd();
    let flags = libc::MSG_DONTWAIT;
    let (nobody, no_length) =
        (std::ptr::null_mut::<libc::sockaddr>(), std::ptr::null_mut::<libc::socklen_t>());
    // SAFETY: the descriptor is open (borrowed), the range is writable and not referenced (the
    // caller's promise). `recvfrom` has these six arguments, and stores no address behind nulls.
    let received = unsafe {
        libc::syscall(libc::SYS_recvfrom, descriptor, pointer, len, flags, nobody, no_length)
    };
    usize::try_from(received).map_err(|_| io::Error::last_os_error())
}

/// `shutdown(2)`, `SHUT_WR` — sends what is queued and then an end of file.
pub(crate) fn shutdown_write(connection: impl AsFd) -> io::Result<()> {
    Ok(rustix::net::shutdown(connection, Shutdown::Write)?)
}

/// `shutdown(2)` of both directions, for everybody who has the connection.
pub(crate) fn end_for_all(connection: impl AsFd) {
    // One that is not connected any more has ended.
    let _ = rustix::net::shutdown(connection, Shutdown::Both);
}

/// `setsockopt(2)`, `SO_LINGER` 0, then `close(2)` — ends the connection with a RST; what is queued
/// is thrown away.
pub(crate) fn reset(connection: impl AsFd) {
    // A socket that cannot linger is closed in the ordinary way; there is nothing better to do with
    // it.
    let _ = set_socket_linger(&connection, Some(Duration::ZERO));
    drop(connection);
}

/// Whether [`accept`] failed because there are no descriptors left, in this process or in the
/// machine.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

#[cfg(test)]
mod tests;
