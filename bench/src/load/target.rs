//! Where the server of a load is, and what carries the bytes to it.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use crate::Error;

/// A server as its clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A byte stream over TCP.
    Tcp(SocketAddr),
    /// The same, encrypted; [`super::LoadOptions::trust`] names the certificate to be believed.
    Tls(SocketAddr),
    /// Each message is one datagram.
    Udp(SocketAddr),
    /// A byte stream over a unix socket.
    Unix(PathBuf),
    /// Each message is one datagram, to a unix socket.
    Unixgram(PathBuf),
}

impl Target {
    /// The address, of a server that has one.
    pub fn socket_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) | Self::Tls(address) | Self::Udp(address) => Some(*address),
            Self::Unix(_) | Self::Unixgram(_) => None,
        }
    }

    /// Whether each message is one datagram.
    pub fn is_datagram(&self) -> bool {
        matches!(self, Self::Udp(_) | Self::Unixgram(_))
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

/// A URL as servers print it, or an address, which is one of TCP.
impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
        let address = || {
            rest.parse().map_err(|_| {
                Error::usage(format!("`{text}`: write ADDRESS:PORT, or SCHEME://ADDRESS:PORT"))
            })
        };
        match scheme {
            "tcp" => address().map(Self::Tcp),
            "tls" => address().map(Self::Tls),
            "udp" => address().map(Self::Udp),
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "unixgram" if rest.starts_with('/') => Ok(Self::Unixgram(rest.into())),
            "unix" | "unixgram" => Err(Error::usage(format!("`{text}`: write {scheme}:///PATH"))),
            _ => Err(Error::usage(format!(
                "`{text}`: the schemes are tcp, tls, udp, unix and unixgram"
            ))),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Tls(address) => write!(f, "tls://{address}"),
            Self::Udp(address) => write!(f, "udp://{address}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Unixgram(path) => write!(f, "unixgram://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let all = [
            "tcp://127.0.0.1:1",
            "tls://[::1]:2",
            "udp://127.0.0.1:3",
            "unix:///tmp/echo",
            "unixgram:///tmp/echo",
        ];
        for url in all {
            assert_eq!(url.parse::<Target>().unwrap().to_string(), url);
        }
        let plain: Target = "127.0.0.1:1".parse().unwrap();
        assert_eq!(plain, Target::Tcp(([127, 0, 0, 1], 1).into()));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in
            ["", "localhost:1", "tcp://", "unix://here", "unixgram://here", "quic://127.0.0.1:1"]
        {
            let error = text.parse::<Target>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
    }
}
