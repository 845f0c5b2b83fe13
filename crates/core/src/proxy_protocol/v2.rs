//! Version 2: bytes.
//!
//! ```text
//! offset  0..12      12                 13                   14..16  16..
//!         signature  version, command   family, transport    length  addresses, then extensions
//! ```
//!
//! `length` is that of what follows, in the order of the network. The extensions (type, length,
//! value) are not kept; only the checksum among them is used.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{BadHeader, Client, Header, begins_with, client_at, crc32c};

/// Longest header that is accepted: the specification allows 65 551 bytes, and proxies send some
/// hundreds; with the certificate of a client of usual length it has room here.
pub const V2_MAX_BYTES: usize = 4_096;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes up to the addresses.
const HEAD_LEN: usize = 16;

/// The extension with the checksum of the whole header, in which it counts as zero.
const TYPE_CRC32C: u8 = 3;

/// Whose connection it is, as far as the head says.
#[derive(Clone, Copy)]
enum Kind {
    /// The address of the connection itself; all that follows is ignored.
    OfConnection,
    Inet,
    Inet6,
    Unix,
}

impl Kind {
    /// Bytes of both addresses and ports.
    const fn addresses_len(self) -> usize {
        match self {
            Self::OfConnection => 0,
            Self::Inet => 12,
            Self::Inet6 => 36,
            Self::Unix => 216,
        }
    }
}

pub(super) fn find(received: &[u8]) -> Result<Option<Header>, BadHeader> {
    if begins_with(received, SIGNATURE)?.is_none() {
        return Ok(None);
    }
    let Some(kind) = kind(received)? else { return Ok(None) };
    let Some([high, low]) = received.get(14..HEAD_LEN) else { return Ok(None) };
    let len = HEAD_LEN + usize::from(u16::from_be_bytes([*high, *low]));
    if len > V2_MAX_BYTES {
        return Err(BadHeader::TooLong);
    }
    if len < HEAD_LEN + kind.addresses_len() {
        return Err(BadHeader::Malformed);
    }
    let Some(header) = received.get(..len) else { return Ok(None) };
    Ok(Some(Header { len, client: client(kind, header)? }))
}

/// What the version, the command and the kind of address say. `None`: they are not all there.
fn kind(received: &[u8]) -> Result<Option<Kind>, BadHeader> {
    let is_local = match received.get(12) {
        None => return Ok(None),
        Some(0x20) => true,
        Some(0x21) => false,
        Some(_) => return Err(BadHeader::Unsupported),
    };
    Ok(match received.get(13) {
        None => None,
        // The family does not count then.
        Some(_) if is_local => Some(Kind::OfConnection),
        Some(0x00) => Some(Kind::OfConnection),
        Some(0x11 | 0x12) => Some(Kind::Inet),
        Some(0x21 | 0x22) => Some(Kind::Inet6),
        Some(0x31 | 0x32) => Some(Kind::Unix),
        Some(_) => return Err(BadHeader::Unsupported),
    })
}

/// The client of a whole header.
fn client(kind: Kind, header: &[u8]) -> Result<Client, BadHeader> {
    let (_, rest) = header.split_at_checked(HEAD_LEN).ok_or(BadHeader::Malformed)?;
    let addresses = rest.get(..kind.addresses_len()).ok_or(BadHeader::Malformed)?;
    let client = match kind {
        Kind::OfConnection => return Ok(Client::OfConnection),
        Kind::Inet => inet(addresses).ok_or(BadHeader::Malformed)?,
        Kind::Inet6 => inet6(addresses).ok_or(BadHeader::Malformed)?,
        Kind::Unix => Client::OfConnection,
    };
    check_extensions(header, HEAD_LEN + addresses.len())?;
    Ok(client)
}

/// The source of two IPv4 addresses and two ports.
fn inet(addresses: &[u8]) -> Option<Client> {
    let octets: [u8; 4] = *addresses.first_chunk()?;
    Some(client_at(IpAddr::V4(Ipv4Addr::from(octets)), port(addresses.get(8..)?)?))
}

/// The same of IPv6.
fn inet6(addresses: &[u8]) -> Option<Client> {
    let octets: [u8; 16] = *addresses.first_chunk()?;
    Some(client_at(IpAddr::V6(Ipv6Addr::from(octets)), port(addresses.get(32..)?)?))
}

fn port(bytes: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.first_chunk()?))
}

/// Extensions fill the header exactly, and a checksum among them is the right one.
fn check_extensions(header: &[u8], begin: usize) -> Result<(), BadHeader> {
    let mut at = begin;
    while let Some(rest) = header.get(at..).filter(|rest| !rest.is_empty()) {
        let [kind, high, low, values @ ..] = rest else { return Err(BadHeader::Malformed) };
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let value = values.get(..len).ok_or(BadHeader::Malformed)?;
        if *kind == TYPE_CRC32C {
            let said: [u8; 4] = value.try_into().map_err(|_| BadHeader::Malformed)?;
            check_sum(header, at + 3, u32::from_be_bytes(said))?;
        }
        at += 3 + len;
    }
    Ok(())
}

/// The checksum at `at` counts as zero.
fn check_sum(header: &[u8], at: usize, said: u32) -> Result<(), BadHeader> {
    let (before, after) = header.split_at_checked(at).ok_or(BadHeader::Malformed)?;
    let after = after.get(4..).ok_or(BadHeader::Malformed)?;
    let sum = crc32c::of([before, &[0; 4], after]);
    if sum == said { Ok(()) } else { Err(BadHeader::Checksum) }
}
