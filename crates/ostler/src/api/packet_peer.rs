//! The peer of a datagram, as user code sees it.

use std::ffi::OsStr;
use std::fmt;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use ostler_shm::peer::{PeerAddress, PeerBlock};

/// Where a datagram came from, or is sent to: an address of the internet or a unix socket. It can
/// be kept, compared and used as a key; it says nothing about whether anybody is there. The address
/// of a UDP datagram may be forged by its sender.
///
/// ```
/// use std::net::SocketAddr;
/// use ostler::PacketPeer;
///
/// let peer = PacketPeer::from(SocketAddr::from(([127, 0, 0, 1], 9501)));
/// assert_eq!(peer.to_string(), "127.0.0.1:9501");
/// assert!(PacketPeer::unix("/run/log").is_some_and(|peer| peer.path().is_some()));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PacketPeer(PeerBlock);

impl PacketPeer {
    /// A unix socket at this path. `None`: the path is empty, has a zero in it, or more than 107
    /// bytes, which is the most that a unix socket can have.
    ///
    /// ```
    /// # use ostler::PacketPeer;
    /// assert!(PacketPeer::unix("/run/log").is_some());
    /// assert!(PacketPeer::unix("").is_none());
    /// ```
    #[must_use]
    pub fn unix(path: impl AsRef<Path>) -> Option<Self> {
        PeerBlock::new(PeerAddress::Path(path.as_ref().as_os_str().as_bytes())).map(Self)
    }

    pub(crate) const fn of_block(block: PeerBlock) -> Self {
        Self(block)
    }

    pub(crate) const fn block(&self) -> &PeerBlock {
        &self.0
    }

    /// The address and port number of a peer of the internet. An IPv4 address is one also when it
    /// came by an IPv6 port.
    ///
    /// ```
    /// # use ostler::PacketPeer;
    /// fn port_of(peer: &PacketPeer) -> Option<u16> {
    ///     Some(peer.socket_address()?.port())
    /// }
    /// ```
    #[must_use]
    pub fn socket_address(&self) -> Option<SocketAddr> {
        match self.0.address()? {
            PeerAddress::Inet(address) => Some(address),
            _ => None,
        }
    }

    /// The path of a unix socket that has one.
    ///
    /// ```
    /// # use ostler::PacketPeer;
    /// fn is_local(peer: &PacketPeer) -> bool {
    ///     peer.path().is_some()
    /// }
    /// ```
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self.0.address()? {
            PeerAddress::Path(path) => Some(Path::new(OsStr::from_bytes(path))),
            _ => None,
        }
    }

    /// Whether it is a unix socket without a name: it cannot be answered.
    ///
    /// ```
    /// # use ostler::PacketPeer;
    /// fn can_be_answered(peer: &PacketPeer) -> bool {
    ///     !peer.is_unnamed()
    /// }
    /// ```
    #[must_use]
    pub fn is_unnamed(&self) -> bool {
        self.0.address() == Some(PeerAddress::Unnamed)
    }
}

impl From<SocketAddr> for PacketPeer {
    fn from(address: SocketAddr) -> Self {
        let block = PeerBlock::new(PeerAddress::Inet(address));
        ostler_core::invariant!(block.is_some(), "every address of the internet has a form");
        Self(block.unwrap_or_default())
    }
}

impl fmt::Display for PacketPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.address() {
            Some(PeerAddress::Inet(address)) => address.fmt(f),
            Some(PeerAddress::Path(path)) => write!(f, "{}", path.escape_ascii()),
            Some(PeerAddress::Abstract(name)) => write!(f, "@{}", name.escape_ascii()),
            Some(PeerAddress::Unnamed) | None => f.write_str("unnamed"),
        }
    }
}

impl fmt::Debug for PacketPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_reads_as_its_address() {
        let v6: SocketAddr = "[::1]:5".parse().unwrap();
        assert_eq!(
            (PacketPeer::from(v6).to_string(), PacketPeer::from(v6).socket_address()),
            ("[::1]:5".into(), Some(v6))
        );
        let path = PacketPeer::unix("/run/x").unwrap();
        assert_eq!(
            (format!("{path:?}"), path.path()),
            ("/run/x".into(), Some(Path::new("/run/x")))
        );
        assert_eq!(PacketPeer::unix("x".repeat(108)), None);
        let named = PacketPeer(PeerBlock::new(PeerAddress::Abstract(b"x\0")).unwrap());
        assert_eq!((named.to_string(), named.path()), ("@x\\x00".into(), None));
        let unnamed = PacketPeer(PeerBlock::new(PeerAddress::Unnamed).unwrap());
        assert!(unnamed.is_unnamed() && !named.is_unnamed());
        assert_eq!(unnamed.to_string(), "unnamed");
    }
}
