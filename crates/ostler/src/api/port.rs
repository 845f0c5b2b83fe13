//! A listening port of the server, as user code sees it.

use std::net::SocketAddr;
use std::sync::Arc;

use ostler_core::ids::PortId;

/// A port on which the server listens: what it is called, and where it is. A handler that serves
/// several asks a session by [`Session::port`](crate::Session::port) on which one its client came.
///
/// Cheap to clone.
///
/// ```
/// # use ostler::Session;
/// fn came_by(session: &Session) -> String {
///     match session.port() {
///         Some(port) => format!("{} ({}) at {}", port.name(), port.id(), port.local_address()),
///         None => "gone".to_owned(),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    id: PortId,
    name: Arc<str>,
    address: SocketAddr,
}

impl Port {
    pub(crate) fn new(id: PortId, name: &str, address: SocketAddr) -> Self {
        Self { id, name: name.into(), address }
    }

    /// Its number, as the engine has it.
    pub(crate) const fn number(&self) -> PortId {
        self.id
    }

    /// Its number, from 0 upwards in the order in which the server was given its ports. There is
    /// one at present, number 0.
    #[must_use]
    pub const fn id(&self) -> u16 {
        self.id.0
    }

    /// Its name. That of the server's first port is `main`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address at which the server listens, with the port number that the kernel chose if 0 was
    /// asked for. It may stand for all addresses of the machine (`0.0.0.0`, `[::]`).
    #[must_use]
    pub const fn local_address(&self) -> SocketAddr {
        self.address
    }
}
