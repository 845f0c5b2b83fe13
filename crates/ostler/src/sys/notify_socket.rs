//! The socket at which a service manager wants to hear of a service: sd_notify(3).

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;

use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, send, socket_with,
};

/// The variable that says where it is.
pub(crate) const NOTIFY_VARIABLE: &str = "NOTIFY_SOCKET";
/// The variables that say how often a sign of life is wanted, in microseconds, and of which
/// process.
pub(crate) const WATCHDOG_VARIABLES: [&str; 2] = ["WATCHDOG_USEC", "WATCHDOG_PID"];

/// The way there.
#[derive(Debug)]
pub(crate) struct NotifySocket {
    socket: OwnedFd,
}

impl NotifySocket {
    /// `socket(2)`, `connect(2)` — finds it by its absolute path or, behind an `@`, by its name in
    /// the abstract name space. Connected, so that it is reached from within another root too.
    pub(crate) fn connect(address: &OsStr) -> io::Result<Self> {
        let address = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name)?,
            path @ [b'/', ..] => SocketAddrUnix::new(path)?,
            _ => {
                let text = "it is neither an absolute path nor `@` and a name";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        connect(&socket, &address)?;
        Ok(Self { socket })
    }

    /// The socket, to be waited for.
    pub(crate) const fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// `send(2)` — sends one message; `WouldBlock` when too many wait there.
    pub(crate) fn send(&self, message: &str) -> io::Result<()> {
        send(&self.socket, message.as_bytes(), SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    #[test]
    fn it_is_found_by_path_and_by_abstract_name() {
        let directory = std::env::temp_dir().join(format!("ostler-notify-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let path = directory.join("socket");
        let name = format!("ostler-notify-test-{}", std::process::id());
        let by_path = UnixDatagram::bind(&path).unwrap();
        let by_name =
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        for (address, receiver) in
            [(path.as_os_str().to_owned(), by_path), (format!("@{name}").into(), by_name)]
        {
            NotifySocket::connect(&address).unwrap().send("READY=1").unwrap();
            let mut bytes = [0; 64];
            let length = receiver.recv(&mut bytes).unwrap();
            assert_eq!(bytes.get(..length), Some(b"READY=1".as_slice()));
        }
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn what_is_no_address_or_has_no_listener_is_an_error() {
        for address in ["", "run/notify", "vsock:2:1", "@", "/nowhere/notify"] {
            assert!(NotifySocket::connect(OsStr::new(address)).is_err(), "{address}");
        }
        let long = format!("/{}", "x".repeat(200));
        assert!(NotifySocket::connect(OsStr::new(&long)).is_err());
    }

    #[test]
    fn a_full_queue_is_told_and_blocks_nobody() {
        let name = format!("ostler-notify-full-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let receiver = UnixDatagram::bind_addr(&address).unwrap();
        let socket = NotifySocket::connect(OsStr::new(&format!("@{name}"))).unwrap();
        let refused = (0..100_000).find_map(|_| socket.send("WATCHDOG=1").err()).unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        drop(receiver);
        assert!(socket.send("WATCHDOG=1").is_err());
    }
}
