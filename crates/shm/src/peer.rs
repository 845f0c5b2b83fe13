//! The address of a datagram's peer, in front of the datagram's bytes (protocol §3).
//!
//! ```text
//! offset  0         1            2..4   4..8       8..24
//! v4      4         0            port   address
//! v6      6         0            port   scope id   address
//! path    1         length n     n bytes of the name
//! name    2         length n     n bytes of the name (abstract: without its leading zero)
//! none    3         0
//! ```
//!
//! Numbers are little-endian, addresses in the order of the network. What is written is padded with
//! zeros to a multiple of eight bytes. An IPv4 address is never written as an IPv6 one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Most bytes of the name of a unix socket: `sun_path` of the kernel.
pub const NAME_MAX_BYTES: usize = 108;
/// Most bytes of an address block.
pub const BLOCK_MAX_BYTES: usize = (2 + NAME_MAX_BYTES).next_multiple_of(8);

const V4: u8 = 4;
const V6: u8 = 6;
const PATH: u8 = 1;
const ABSTRACT: u8 = 2;
const UNNAMED: u8 = 3;

/// The address of a peer, in the form in which it stands in a record. Equal addresses have equal
/// bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerBlock {
    bytes: [u8; BLOCK_MAX_BYTES],
    len: u8,
}

/// The kinds of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAddress<'a> {
    /// Of the internet. An IPv4 address is one, also if it came by an IPv6 socket.
    Inet(SocketAddr),
    /// A unix socket with a path, without a zero at its end.
    Path(&'a [u8]),
    /// A unix socket in the abstract name space, without the leading zero.
    Abstract(&'a [u8]),
    /// A unix socket without a name: nothing can be sent to it.
    Unnamed,
}

impl std::fmt::Debug for PeerBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PeerBlock({:?})", self.address())
    }
}

impl Default for PeerBlock {
    /// The address of nobody: [`PeerAddress::Unnamed`].
    fn default() -> Self {
        let mut block = Self { bytes: [0; BLOCK_MAX_BYTES], len: 8 };
        block.put(0, &[UNNAMED]);
        block
    }
}

impl PeerBlock {
    /// Writes an address. `None`: a name that is empty (but for the abstract one), has a zero in a
    /// path, or is too long for a unix socket.
    #[must_use]
    pub fn new(address: PeerAddress<'_>) -> Option<Self> {
        let mut block = Self { bytes: [0; BLOCK_MAX_BYTES], len: 8 };
        match address {
            PeerAddress::Inet(address) => block.set_inet(address),
            PeerAddress::Path(name) => {
                if name.is_empty() || name.len() >= NAME_MAX_BYTES || name.contains(&0) {
                    return None;
                }
                block.set_name(PATH, name)?;
            }
            PeerAddress::Abstract(name) => {
                if name.len() >= NAME_MAX_BYTES {
                    return None;
                }
                block.set_name(ABSTRACT, name)?;
            }
            PeerAddress::Unnamed => block.put(0, &[UNNAMED]),
        }
        Some(block)
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(space) = self.bytes.get_mut(at..at + bytes.len()) {
            space.copy_from_slice(bytes);
        }
    }

    fn set_inet(&mut self, address: SocketAddr) {
        self.put(2, &address.port().to_le_bytes());
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => {
                self.put(0, &[V4]);
                self.put(4, &ip.octets());
            }
            IpAddr::V6(ip) => {
                let scope = match address {
                    SocketAddr::V6(address) => address.scope_id(),
                    SocketAddr::V4(_) => 0,
                };
                self.put(0, &[V6]);
                self.put(4, &scope.to_le_bytes());
                self.put(8, &ip.octets());
                self.len = 24;
            }
        }
    }

    fn set_name(&mut self, kind: u8, name: &[u8]) -> Option<()> {
        self.put(0, &[kind, u8::try_from(name.len()).ok()?]);
        self.put(2, name);
        self.len = u8::try_from((2 + name.len()).next_multiple_of(8)).ok()?;
        Some(())
    }

    /// The bytes of the block.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Reads the block in front of `bytes`, whatever these are; its length is that of
    /// [`PeerBlock::as_bytes`]. `None`: it is none that [`PeerBlock::new`] makes.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let [kind, name_len, ..] = *bytes else { return None };
        let len = match kind {
            V4 | UNNAMED => 8,
            V6 => 24,
            PATH | ABSTRACT => (2 + usize::from(name_len)).next_multiple_of(8),
            _ => return None,
        };
        let mut block = Self { bytes: [0; BLOCK_MAX_BYTES], len: u8::try_from(len).ok()? };
        block.bytes.get_mut(..len)?.copy_from_slice(bytes.get(..len)?);
        // Only the one form of an address is one: nothing hides in what is not used.
        (Self::new(block.address()?)? == block).then_some(block)
    }

    /// The address.
    #[must_use]
    pub fn address(&self) -> Option<PeerAddress<'_>> {
        let [kind, name_len, low, high, rest @ ..] = &self.bytes;
        let port = u16::from_le_bytes([*low, *high]);
        Some(match *kind {
            V4 => {
                let octets: [u8; 4] = rest.first_chunk().copied()?;
                PeerAddress::Inet((Ipv4Addr::from(octets), port).into())
            }
            V6 => {
                let scope: [u8; 4] = rest.first_chunk().copied()?;
                let octets: [u8; 16] = rest.get(4..)?.first_chunk().copied()?;
                let ip = Ipv6Addr::from(octets);
                PeerAddress::Inet(SocketAddrV6::new(ip, port, 0, u32::from_le_bytes(scope)).into())
            }
            PATH => PeerAddress::Path(self.bytes.get(2..2 + usize::from(*name_len))?),
            ABSTRACT => PeerAddress::Abstract(self.bytes.get(2..2 + usize::from(*name_len))?),
            UNNAMED => PeerAddress::Unnamed,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(address: PeerAddress<'_>) -> Option<usize> {
        let block = PeerBlock::new(address)?;
        let mut bytes = block.as_bytes().to_vec();
        assert_eq!(bytes.len() % 8, 0);
        bytes.extend_from_slice(b"payload");
        let read = PeerBlock::read(&bytes).unwrap();
        assert_eq!((read, read.address()), (block, Some(address)));
        for len in 0..block.as_bytes().len() {
            assert_eq!(PeerBlock::read(&bytes[..len]), None, "a part of {address:?}");
        }
        Some(block.as_bytes().len())
    }

    #[test]
    fn every_kind_of_address_is_read_as_it_was_written() {
        let inet = |text: &str| PeerAddress::Inet(text.parse().unwrap());
        assert_eq!(there_and_back(inet("127.0.0.1:9501")), Some(8));
        assert_eq!(there_and_back(inet("0.0.0.0:0")), Some(8));
        assert_eq!(there_and_back(inet("[fe80::1%7]:65535")), Some(24));
        assert_eq!(there_and_back(PeerAddress::Unnamed), Some(8));
        assert_eq!(there_and_back(PeerAddress::Path(b"/run/x")), Some(8));
        assert_eq!(there_and_back(PeerAddress::Path(&[b'x'; 107])), Some(112));
        assert_eq!(there_and_back(PeerAddress::Abstract(b"")), Some(8));
        assert_eq!(there_and_back(PeerAddress::Abstract(&[0; 107])), Some(112));
    }

    #[test]
    fn names_that_no_socket_can_have_are_refused() {
        for address in [
            PeerAddress::Path(b""),
            PeerAddress::Path(b"a\0b"),
            PeerAddress::Path(&[b'x'; 108]),
            PeerAddress::Abstract(&[b'x'; 108]),
        ] {
            assert_eq!(PeerBlock::new(address), None, "{address:?}");
        }
    }

    #[test]
    fn an_address_has_one_form() {
        let mapped = PeerAddress::Inet("[::ffff:127.0.0.1]:5".parse().unwrap());
        let plain = PeerAddress::Inet("127.0.0.1:5".parse().unwrap());
        assert_eq!(PeerBlock::new(mapped), PeerBlock::new(plain));
        let written = PeerBlock::new(plain).unwrap();
        let mut mapped_form = [0; 24];
        mapped_form[0] = V6;
        mapped_form[18..20].copy_from_slice(&[0xff; 2]);
        assert_eq!(PeerBlock::read(&mapped_form), None, "IPv4 in the form of IPv6");
        let mut hidden = written.as_bytes().to_vec();
        hidden[1] = 9;
        assert_eq!(PeerBlock::read(&hidden), None, "something where there is nothing");
        assert_eq!(PeerBlock::read(&[PATH, 2, b'a', 0, 0, 0, 0, 0]), None, "a zero in a path");
        assert_eq!(PeerBlock::read(&[PATH, 2, b'a', b'b', 1, 0, 0, 0]), None, "padding");
        assert_eq!(PeerBlock::read(&[ABSTRACT, 255]), None);
        assert_eq!(PeerBlock::read(&[0; 112]), None);
    }
}
