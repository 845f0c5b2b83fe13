//! A listening port of the server, as user code sees it.

use std::fmt;
use std::sync::Arc;

use ostler_core::ids::PortId;
use ostler_core::per_port::PerPort;

use super::address::Address;

/// A port on which the server listens: what it is called, and where it is. A handler that serves
/// several asks a session by [`Session::port`](crate::Session::port) on which one its client came.
///
/// Cheap to clone. It reads as its URL: `tcp://127.0.0.1:9501`.
///
/// ```
/// # use ostler::Session;
/// fn came_by(session: &Session) -> String {
///     match session.port() {
///         Some(port) => format!("{} ({}) at {port}", port.name(), port.id()),
///         None => "gone".to_owned(),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    id: PortId,
    name: Arc<str>,
    /// How the URL of an IP address begins.
    scheme: &'static str,
    address: Arc<Address>,
}

impl Port {
    pub(crate) fn new(id: PortId, name: &str, scheme: &'static str, address: Address) -> Self {
        Self { id, name: name.into(), scheme, address: Arc::new(address) }
    }

    /// Its number, from 0 upwards in the order in which the server was given its ports.
    ///
    /// ```
    /// # let server = ostler::Server::builder().listen("127.0.0.1:0").bind()?;
    /// assert_eq!(server.ports().first().id(), 0);
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub const fn id(&self) -> u16 {
        self.id.0
    }

    /// Its name. That of a server's only port is `main`, unless it was given another.
    ///
    /// ```
    /// # let server = ostler::Server::builder().listen("127.0.0.1:0").bind()?;
    /// assert_eq!(server.ports().first().name(), "main");
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How its URL begins.
    pub(crate) const fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Where it listens, with the port number that the kernel chose if 0 was asked for.
    ///
    /// ```
    /// # let server = ostler::Server::builder().listen("127.0.0.1:0").bind()?;
    /// let url = format!("tcp://{}", server.ports().first().local_address());
    /// assert_eq!(server.ports().first().to_string(), url);
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub fn local_address(&self) -> &Address {
        &self.address
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.address {
            Address::Ip(address) => write!(f, "{}://{address}", self.scheme),
            Address::Unix(path) if self.scheme == "unixgram" => {
                write!(f, "unixgram://{}", path.display())
            }
            Address::Unix(_) => self.address.fmt(f),
        }
    }
}

/// The ports of a server, at least one, in the order of their numbers.
///
/// They read as their addresses, with commas between them.
///
/// ```
/// use ostler::Server;
///
/// let server = Server::builder().listen("127.0.0.1:0").bind()?;
/// assert_eq!(server.ports().to_string(), server.ports().first().local_address().to_string());
/// assert!(server.ports().get("admin").is_none());
/// # Ok::<(), ostler::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ports(pub(crate) PerPort<Port>);

impl Ports {
    /// The first of them.
    ///
    /// ```
    /// # let server = ostler::Server::builder().listen("127.0.0.1:0").bind()?;
    /// assert_eq!(server.ports().first().local_address(), server.local_address());
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub fn first(&self) -> &Port {
        self.0.get(PortId::FIRST)
    }

    /// The port with this name.
    ///
    /// ```
    /// # let server = ostler::Server::builder().listen("127.0.0.1:0").bind()?;
    /// assert!(server.ports().get("main").is_some() && server.ports().get("admin").is_none());
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Port> {
        self.iter().find(|port| port.name() == name)
    }

    /// All of them.
    ///
    /// ```
    /// # let server = ostler::Server::builder().listen("127.0.0.1:0").bind()?;
    /// for port in server.ports().iter() {
    ///     println!("{} listens on {port}", port.name());
    /// }
    /// # Ok::<(), ostler::Error>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = &Port> {
        self.0.iter()
    }

    /// Whether the only one is the port that a server has when none is named.
    ///
    /// ```
    /// # let server = ostler::Server::builder().listen("127.0.0.1:0").bind()?;
    /// assert!(server.ports().is_only_main());
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub fn is_only_main(&self) -> bool {
        self.iter().count() == 1 && self.first().name() == crate::options::FIRST_PORT
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for port in self.iter() {
            let comma = if port.id() == 0 { "" } else { ", " };
            match port.local_address() {
                Address::Ip(address) => write!(f, "{comma}{address}")?,
                Address::Unix(_) => write!(f, "{comma}{port}")?,
            }
        }
        Ok(())
    }
}
