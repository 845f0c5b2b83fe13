//! Where a port listens, as user code sees it.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where a port listens.
///
/// It reads as users write it: `127.0.0.1:9501`, `[::1]:9501`, `unix:///run/chat.sock`.
///
/// ```
/// let server = ostler::Server::builder().listen("127.0.0.1:0").bind()?;
/// let address = server.local_address().socket_address();
/// assert!(address.is_some_and(|address| address.port() != 0)); // the kernel has chosen
/// # Ok::<(), ostler::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// An IP address and a port number. It may stand for all addresses of the machine (`0.0.0.0`,
    /// `[::]`).
    Ip(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl Address {
    /// The IP address and port number, if it has them.
    ///
    /// ```
    /// use ostler::Address;
    ///
    /// let address = std::net::SocketAddr::from(([127, 0, 0, 1], 9501));
    /// assert_eq!(Address::Ip(address).socket_address(), Some(address));
    /// ```
    #[must_use]
    pub const fn socket_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// The path of a unix socket.
    ///
    /// ```
    /// use ostler::Address;
    ///
    /// let address = Address::Unix("/run/chat.sock".into());
    /// assert!(address.path().is_some_and(|path| path.ends_with("chat.sock")));
    /// ```
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Ip(_) => None,
            Self::Unix(path) => Some(path),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}
