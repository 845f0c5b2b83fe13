//! The PROXY protocol: what a proxy says in front of a connection about the client behind it.
//!
//! Source: "The PROXY protocol, versions 1 & 2" of the HAProxy project. A header is text
//! (version 1) or binary (version 2) and stands before everything else, also before TLS. Nothing
//! here guesses whether there is one: the specification forbids that, for a client could then write
//! one itself.
//!
//! A reader keeps what it has received and asks [`find`] again when more has come. What is no
//! header is refused at the first byte that shows it, and a header is bounded, so that who sends
//! one slowly holds little.

mod counts;
mod crc32c;
#[cfg(test)]
mod tests;
mod v1;
mod v2;

pub use counts::HeaderCounts;
pub use v1::V1_MAX_BYTES;
pub use v2::V2_MAX_BYTES;

use std::net::{IpAddr, SocketAddr};

/// A whole header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its length, bytes: what follows is the client's.
    pub len: usize,
    /// Whose connection it is.
    pub client: Client,
}

/// Whose connection a proxy says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// A client's with this address. An IPv4 address is one, also if it was written as an IPv6
    /// one.
    At(SocketAddr),
    /// The proxy's own (`LOCAL`, for example to look whether the server lives), or that of a client
    /// of which there is no address (`UNKNOWN`, a unix socket): the address of the connection
    /// itself is the only one there is.
    OfConnection,
}

/// Why bytes are no header that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHeader {
    /// They do not begin like one.
    NoHeader,
    /// They begin like one and are none.
    Malformed,
    /// It is longer than allowed.
    TooLong,
    /// A version, command or kind of address that the specification does not have.
    Unsupported,
    /// Its checksum is not that of its bytes.
    Checksum,
}

/// How many reasons there are.
pub const BAD_HEADERS: usize = BadHeader::ALL.len();

impl BadHeader {
    /// All of them; `ALL[reason as usize]` is the reason.
    pub const ALL: [Self; 5] =
        [Self::NoHeader, Self::Malformed, Self::TooLong, Self::Unsupported, Self::Checksum];

    /// What is wrong, in words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoHeader => "what came is no header of the PROXY protocol",
            Self::Malformed => "the header of the PROXY protocol is malformed",
            Self::TooLong => "the header of the PROXY protocol is too long",
            Self::Unsupported => {
                "the header of the PROXY protocol has an unknown version, command or kind of \
                 address"
            }
            Self::Checksum => "the checksum of the header of the PROXY protocol is wrong",
        }
    }
}

/// Looks for a header in front of all that was received so far. `None`: it is not whole.
///
/// # Errors
/// Why there is none. More bytes do not change that.
pub fn find(received: &[u8]) -> Result<Option<Header>, BadHeader> {
    match received.first() {
        None => Ok(None),
        Some(b'P') => v1::find(received),
        Some(_) => v2::find(received),
    }
}

/// The beginning that every header of a version has. `None`: there are too few bytes to tell.
fn begins_with(received: &[u8], signature: &[u8]) -> Result<Option<()>, BadHeader> {
    if received.len() >= signature.len() {
        return if received.starts_with(signature) {
            Ok(Some(()))
        } else {
            Err(BadHeader::NoHeader)
        };
    }
    if signature.starts_with(received) { Ok(None) } else { Err(BadHeader::NoHeader) }
}

/// A client's address, in the form in which a listener would have told it.
fn client_at(ip: IpAddr, port: u16) -> Client {
    Client::At(SocketAddr::new(ip.to_canonical(), port))
}
