//! What the connections of a port inherit from their listener.

use std::io;
use std::os::fd::OwnedFd;

use crate::options::PortOptions;
use crate::sys::socket_options::{self as sys, SocketOption};

/// Sets the options of a port on its socket, before that is bound: a buffer's size decides what is
/// said to clients in the first packet.
pub(super) fn apply(socket: &OwnedFd, options: &PortOptions) -> io::Result<()> {
    for (name, option) in list(options) {
        sys::set(socket, option).map_err(|error| {
            io::Error::other(format!("the kernel does not take the port's `{name}`: {error}"))
        })?;
    }
    Ok(())
}

/// What differs from what the kernel does by itself, with the names of the options.
fn list(options: &PortOptions) -> Vec<(&'static str, SocketOption)> {
    let probes = options.tcp_keepalive;
    let (idle, interval) = (options.tcp_keepalive_idle, options.tcp_keepalive_interval);
    let user_timeout = u32::try_from(options.tcp_user_timeout_ms).unwrap_or(u32::MAX);
    let set = |is_set: bool, name, option| is_set.then_some((name, option));
    let size = |name, bytes: usize, option: fn(usize) -> SocketOption| {
        (bytes > 0).then(|| (name, option(bytes)))
    };
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
        size("socket_receive_buffer", options.socket_receive_buffer, SocketOption::ReceiveBuffer),
        size("socket_send_buffer", options.socket_send_buffer, SocketOption::SendBuffer),
        set(options.ip_tos > 0, "ip_tos", SocketOption::TypeOfService(options.ip_tos)),
        set(options.reuse_port, "reuse_port", SocketOption::ReusePort),
    ]
    .into_iter()
    .flatten()
    .collect()
}
