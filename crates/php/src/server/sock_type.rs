//! What kind of socket a port has, as PHP numbers it, and the socket that holds the address until
//! the server starts.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _, UdpSocket};
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};

use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

/// `SWOOLE_SSL`, which is added to the kind.
pub(crate) const SSL: i64 = 512;
/// Most bytes of the path of a unix socket.
const UNIX_PATH_BYTES_MAX: usize = 107;

/// The kind of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SockType {
    Tcp = 1,
    Udp = 2,
    Tcp6 = 3,
    Udp6 = 4,
    UnixStream = 5,
    UnixDatagram = 6,
}

impl SockType {
    /// Of PHP's number, and whether it is encrypted.
    pub(crate) fn of(number: i64) -> Option<(Self, bool)> {
        let kind = match number & !SSL {
            1 => Self::Tcp,
            2 => Self::Udp,
            3 => Self::Tcp6,
            4 => Self::Udp6,
            5 => Self::UnixStream,
            6 => Self::UnixDatagram,
            _ => return None,
        };
        Some((kind, number & SSL != 0))
    }

    /// Whether its clients send datagrams.
    pub(crate) fn has_datagrams(self) -> bool {
        matches!(self, Self::Udp | Self::Udp6 | Self::UnixDatagram)
    }

    /// Whether an option of the engine's can have an effect at such a port. The engine refuses the
    /// others; in the reference a port ignores what it cannot use of what the server was set to.
    pub(crate) fn takes(self, option: &str, may_be_encrypted: bool) -> bool {
        match option {
            "framing"
            | "backlog"
            | "accept_confirm"
            | "discard_gone_packages"
            | "idle_timeout_ms"
            | "silence_timeout_ms" => !self.has_datagrams(),
            "reuse_port" => !self.is_unix(),
            "socket_receive_buffer" | "socket_send_buffer" => self != Self::UnixStream,
            name if name.starts_with("tcp_") => matches!(self, Self::Tcp | Self::Tcp6),
            name if name.starts_with("tls_") => may_be_encrypted,
            _ => true,
        }
    }

    /// Whether one cannot be listened on beside the other, when their numbers are the same. Two
    /// that are only bound can be.
    pub(crate) fn is_same_place(self, host: &str, (other, at): (Self, &str)) -> bool {
        let is_any = |host: &str| ["0.0.0.0", "::", "[::]"].contains(&host);
        self == other && !self.is_unix() && (host == at || is_any(host) || is_any(at))
    }

    /// Whether it has a path and no address.
    pub(crate) fn is_unix(self) -> bool {
        matches!(self, Self::UnixStream | Self::UnixDatagram)
    }

    /// The engine's name of the place.
    pub(crate) fn url(self, host: &str, port: u16, is_encrypted: bool) -> String {
        let host = match self {
            Self::Tcp6 | Self::Udp6 => format!("[{}]", host.trim_matches(['[', ']'])),
            Self::UnixStream | Self::UnixDatagram => absolute(host).display().to_string(),
            Self::Tcp | Self::Udp => host.to_owned(),
        };
        match self {
            Self::Tcp | Self::Tcp6 if is_encrypted => format!("tls://{host}:{port}"),
            Self::Tcp | Self::Tcp6 => format!("tcp://{host}:{port}"),
            Self::Udp | Self::Udp6 => format!("udp://{host}:{port}"),
            Self::UnixStream => format!("unix://{host}"),
            Self::UnixDatagram => format!("unixgram://{host}"),
        }
    }
}

fn absolute(path: &str) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path))
}

/// Takes the address of a port before the server runs: whoever makes a server learns at once
/// whether it can have it, and which number 0 stands for.
#[derive(Debug)]
pub(crate) struct Placeholder {
    _socket: Option<OwnedFd>,
    /// The listener, when systemd has opened it.
    pub(crate) inherited: Option<RawFd>,
    /// The number of the port.
    pub(crate) port: u16,
}

impl Placeholder {
    /// Takes it. It is not listened there: nobody can connect yet.
    pub(crate) fn take(kind: SockType, host: &str, port: u16) -> io::Result<Self> {
        if kind.is_unix() {
            free_path(kind, Path::new(host))?;
            return Ok(Self { _socket: None, inherited: None, port: 0 });
        }
        let host = host.trim_matches(['[', ']']);
        let is_v6 = matches!(kind, SockType::Tcp6 | SockType::Udp6);
        let address = (host, port)
            .to_socket_addrs()?
            .find(|address| address.is_ipv6() == is_v6)
            .ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        if kind.has_datagrams() {
            // Not kept: processes that the program forks would keep it, too, and the kernel would
            // give them a part of the datagrams.
            let port = UdpSocket::bind(address)?.local_addr()?.port();
            return Ok(Self { _socket: None, inherited: None, port });
        }
        let socket = bind_stream(address)?;
        let port = TcpListener::from(socket.try_clone()?).local_addr()?.port();
        Ok(Self { _socket: Some(socket), inherited: None, port })
    }

    /// Nothing has to be taken: somebody listens there for this process.
    pub(crate) const fn inherited(descriptor: RawFd, port: u16) -> Self {
        Self { _socket: None, inherited: Some(descriptor), port }
    }
}

/// Binds and does not listen. The engine binds the same address beside it, which the kernel allows
/// as long as neither listens.
fn bind_stream(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &address)?;
    Ok(socket)
}

/// Whether nobody has the path: the engine makes the socket's file when the server starts.
fn free_path(kind: SockType, path: &Path) -> io::Result<()> {
    if path.as_os_str().len() > UNIX_PATH_BYTES_MAX {
        return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
    }
    let is_taken = match kind {
        SockType::UnixStream => UnixStream::connect(path).is_ok(),
        _ => UnixDatagram::unbound()?.connect(path).is_ok(),
    };
    if is_taken { Err(io::Error::from_raw_os_error(libc::EADDRINUSE)) } else { Ok(()) }
}
