//! Options of TCP sockets, set on a listener and inherited by what it accepts.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};
use std::time::Duration;

use rustix::net::{AddressFamily, getsockname, sockopt};

/// One option and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketOption {
    /// `TCP_NODELAY` — small pieces are sent at once.
    NoDelay,
    /// `SO_KEEPALIVE` — silent peers are probed.
    KeepAlive,
    /// `TCP_KEEPIDLE`, seconds.
    KeepAliveIdle(u32),
    /// `TCP_KEEPINTVL`, seconds.
    KeepAliveInterval(u32),
    /// `TCP_KEEPCNT`.
    KeepAliveCount(u32),
    /// `TCP_USER_TIMEOUT`, milliseconds.
    UserTimeout(u32),
    /// `TCP_DEFER_ACCEPT`, seconds.
    DeferAccept(u32),
    /// `TCP_FASTOPEN`, connections.
    FastOpen(u32),
    /// `TCP_NOTSENT_LOWAT`, bytes.
    NotSentLowWater(usize),
    /// `SO_RCVBUF`, bytes.
    ReceiveBuffer(usize),
    /// `SO_SNDBUF`, bytes.
    SendBuffer(usize),
    /// `IP_TOS` or `IPV6_TCLASS`, by the socket's family.
    TypeOfService(u8),
    /// `SO_REUSEPORT`.
    ReusePort,
    /// `IPV6_V6ONLY` — an address of IPv6 that stands for all does not stand for those of IPv4.
    Ipv6Only(bool),
}

/// `setsockopt(2)`.
pub(crate) fn set(socket: impl AsFd, option: SocketOption) -> io::Result<()> {
    let socket = socket.as_fd();
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    match option {
        SocketOption::NoDelay => sockopt::set_tcp_nodelay(socket, true)?,
        SocketOption::KeepAlive => sockopt::set_socket_keepalive(socket, true)?,
        SocketOption::KeepAliveIdle(idle) => sockopt::set_tcp_keepidle(socket, seconds(idle))?,
        SocketOption::KeepAliveInterval(time) => sockopt::set_tcp_keepintvl(socket, seconds(time))?,
        SocketOption::KeepAliveCount(count) => sockopt::set_tcp_keepcnt(socket, count)?,
        SocketOption::UserTimeout(time) => sockopt::set_tcp_user_timeout(socket, time)?,
        SocketOption::DeferAccept(time) => set_tcp(socket, libc::TCP_DEFER_ACCEPT, time)?,
        SocketOption::FastOpen(queue) => set_tcp(socket, libc::TCP_FASTOPEN, queue)?,
        SocketOption::NotSentLowWater(bytes) => {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            set_tcp(socket, libc::TCP_NOTSENT_LOWAT, bytes)?;
        }
        SocketOption::ReceiveBuffer(bytes) => {
            sockopt::set_socket_recv_buffer_size(socket, bytes)?;
        }
        SocketOption::SendBuffer(bytes) => sockopt::set_socket_send_buffer_size(socket, bytes)?,
        SocketOption::TypeOfService(class) => match getsockname(socket)?.address_family() {
            AddressFamily::INET6 => sockopt::set_ipv6_tclass(socket, class.into())?,
            _ => sockopt::set_ip_tos(socket, class)?,
        },
        SocketOption::ReusePort => sockopt::set_socket_reuseport(socket, true)?,
        SocketOption::Ipv6Only(only) => sockopt::set_ipv6_v6only(socket, only)?,
    }
    Ok(())
}

/// `getsockopt(2)`, `SO_DOMAIN` — whether a socket has addresses of IPv6.
pub(crate) fn is_ipv6(socket: impl AsFd) -> io::Result<bool> {
    Ok(sockopt::socket_domain(socket)? == AddressFamily::INET6)
}

/// An option of TCP that is one number.
fn set_tcp(socket: impl AsFd, name: libc::c_int, value: u32) -> io::Result<()> {
    let descriptor = socket.as_fd().as_raw_fd();
    let value = libc::c_int::try_from(value).unwrap_or(libc::c_int::MAX);
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is open (borrowed), and the kernel reads `len` bytes of `value`, which
    // is an int of that size and lives until the call returns.
    let result = unsafe {
        libc::setsockopt(descriptor, libc::IPPROTO_TCP, name, (&raw const value).cast(), len)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
