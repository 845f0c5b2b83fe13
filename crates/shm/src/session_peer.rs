//! Who a session's client is, and how its entry of the session table says it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// In the word of the ports, above the peer's port number: its address is one of IPv6.
const IS_V6: u64 = 1 << 16;
/// The peer is a process of this machine: its user and group stand in the low word of the address,
/// its number in the high one.
const IS_UNIX: u64 = 1 << 17;

/// Who a client is.
///
/// It reads as its address, `127.0.0.1:40123`, or as `unix:pid=4711,uid=1000,gid=1000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Peer {
    /// A client of an IP port: its address and port number.
    Ip(SocketAddr),
    /// A client of a unix socket: the process that connected.
    Unix(UnixPeer),
}

/// The process at the other end of a unix socket, as it was when it connected; the kernel vouches
/// for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnixPeer {
    /// Its number; 0 when it lives in another pid namespace. It may have ended since.
    pub pid: u32,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

impl Peer {
    /// Its IP address and port number, if it has them.
    #[must_use]
    pub const fn socket_address(self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(address),
            Self::Unix(_) => None,
        }
    }

    /// Its IP address, if it has one.
    #[must_use]
    pub const fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(address.ip()),
            Self::Unix(_) => None,
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(UnixPeer { pid, uid, gid }) => {
                write!(f, "unix:pid={pid},uid={uid},gid={gid}")
            }
        }
    }
}

/// The words of a peer: of its address the low and the high one, and its bits in the word of the
/// ports.
pub(crate) fn pack_peer(peer: Peer) -> (u64, u64, u64) {
    let peer = match peer {
        Peer::Ip(peer) => peer,
        Peer::Unix(UnixPeer { pid, uid, gid }) => {
            return (u64::from(uid) | u64::from(gid) << 32, u64::from(pid), IS_UNIX);
        }
    };
    match peer.ip() {
        IpAddr::V4(ip) => (u64::from(ip.to_bits()), 0, u64::from(peer.port())),
        IpAddr::V6(ip) => {
            let bits = ip.to_bits();
            (bits as u64, (bits >> 64) as u64, u64::from(peer.port()) | IS_V6)
        }
    }
}

/// The peer of these words.
pub(crate) fn unpack_peer(low: u64, high: u64, ports: u64) -> Peer {
    if ports & IS_UNIX != 0 {
        let (pid, uid, gid) = (high as u32, low as u32, (low >> 32) as u32);
        return Peer::Unix(UnixPeer { pid, uid, gid });
    }
    let ip = if ports & IS_V6 == 0 {
        IpAddr::V4(Ipv4Addr::from_bits(low as u32))
    } else {
        IpAddr::V6(Ipv6Addr::from_bits(u128::from(low) | u128::from(high) << 64))
    };
    Peer::Ip(SocketAddr::new(ip, ports as u16))
}
