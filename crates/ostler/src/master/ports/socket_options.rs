//! What the sockets of a port have from its options: a listener, from which its connections inherit
//! it, or a socket for datagrams.

use std::io;
use std::os::fd::OwnedFd;

use crate::options::PortOptions;
use crate::sys::socket_options::{self as sys, SocketOption};

/// An option, and what it is called.
type Named = (&'static str, SocketOption);

/// Sets the options of a port on its listener, before that is bound: a buffer's size decides what
/// is said to clients in the first packet.
pub(super) fn apply(socket: &OwnedFd, options: &PortOptions) -> io::Result<()> {
    family(socket, options)?.into_iter().try_for_each(|option| set(socket, option))?;
    apply_to_inherited(socket, options)
}

/// Whether [`apply_to_inherited`] will be possible on a listener that is somebody else's for now.
pub(super) fn check_for_inherited(socket: &OwnedFd, options: &PortOptions) -> io::Result<()> {
    apply_to_inherited(&crate::sys::socket::of_same_family(socket)?, options)
}

/// The same on a listener that somebody else has bound.
pub(super) fn apply_to_inherited(socket: &OwnedFd, options: &PortOptions) -> io::Result<()> {
    list(options).into_iter().try_for_each(|option| set(socket, option))
}

/// Sets the options of a port on its socket for datagrams of IP, before that is bound.
pub(super) fn apply_to_datagrams(socket: &OwnedFd, options: &PortOptions) -> io::Result<()> {
    let class =
        (options.ip_tos > 0).then_some(("ip_tos", SocketOption::TypeOfService(options.ip_tos)));
    let shared = options.reuse_port.then_some(("reuse_port", SocketOption::ReusePort));
    let own = family(socket, options)?.into_iter().chain(class).chain(shared);
    own.into_iter().try_for_each(|option| set(socket, option))?;
    apply_to_unix_datagrams(socket, options)
}

/// Sets the options of a port on its unix socket for datagrams.
pub(super) fn apply_to_unix_datagrams(socket: &OwnedFd, options: &PortOptions) -> io::Result<()> {
    buffers(options).into_iter().flatten().try_for_each(|option| set(socket, option))
}

fn set(socket: &OwnedFd, (name, option): Named) -> io::Result<()> {
    sys::set(socket, option).map_err(|error| {
        io::Error::other(format!("the kernel does not take the port's `{name}`: {error}"))
    })
}

/// What an address of IPv6 stands for: as the option says, whatever the machine's default is.
fn family(socket: &OwnedFd, options: &PortOptions) -> io::Result<Option<Named>> {
    let option = ("ipv6_only", SocketOption::Ipv6Only(options.ipv6_only));
    Ok(sys::is_ipv6(socket)?.then_some(option))
}

fn size(name: &'static str, bytes: usize, option: fn(usize) -> SocketOption) -> Option<Named> {
    (bytes > 0).then(|| (name, option(bytes)))
}

fn buffers(options: &PortOptions) -> [Option<Named>; 2] {
    [
        size("socket_receive_buffer", options.socket_receive_buffer, SocketOption::ReceiveBuffer),
        size("socket_send_buffer", options.socket_send_buffer, SocketOption::SendBuffer),
    ]
}

/// What differs from what the kernel does by itself, with the names of the options.
fn list(options: &PortOptions) -> Vec<Named> {
    let probes = options.tcp_keepalive;
    let (idle, interval) = (options.tcp_keepalive_idle, options.tcp_keepalive_interval);
    let user_timeout = u32::try_from(options.tcp_user_timeout_ms).unwrap_or(u32::MAX);
    let set = |is_set: bool, name, option| is_set.then_some((name, option));
    let [receive_buffer, send_buffer] = buffers(options);
    [
        set(options.tcp_nodelay, "tcp_nodelay", SocketOption::NoDelay),
        set(probes, "tcp_keepalive", SocketOption::KeepAlive),
        set(probes, "tcp_keepalive_idle", SocketOption::KeepAliveIdle(idle)),
        set(probes, "tcp_keepalive_interval", SocketOption::KeepAliveInterval(interval)),
        set(
            probes,
            "tcp_keepalive_count",
            SocketOption::KeepAliveCount(options.tcp_keepalive_count),
        ),
        set(user_timeout > 0, "tcp_user_timeout_ms", SocketOption::UserTimeout(user_timeout)),
        set(
            options.tcp_defer_accept > 0,
            "tcp_defer_accept",
            SocketOption::DeferAccept(options.tcp_defer_accept),
        ),
        set(
            options.tcp_fastopen > 0,
            "tcp_fastopen",
            SocketOption::FastOpen(options.tcp_fastopen.into()),
        ),
        size("tcp_notsent_lowat", options.tcp_notsent_lowat, SocketOption::NotSentLowWater),
        receive_buffer,
        send_buffer,
        set(options.ip_tos > 0, "ip_tos", SocketOption::TypeOfService(options.ip_tos)),
        set(options.reuse_port, "reuse_port", SocketOption::ReusePort),
    ]
    .into_iter()
    .flatten()
    .collect()
}
