//! The ports on which the server listens.
//!
//! Responsible for: opening a listener for each port, with the options of that port; knowing which
//! listener is which. Must never: accept, or leave half of the listeners open when one of them
//! fails.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use ostler_core::ids::PortId;
use ostler_core::per_port::PerPort;

use crate::api::port::Port;
use crate::error::{Error, Result};
use crate::options::{Options, PortOptions, PortPlan};
use crate::sys::socket;

/// A port with its listener, on which connections wait to be accepted.
#[derive(Debug)]
pub(crate) struct ListeningPort {
    /// What user code sees of it.
    port: Port,
    listener: OwnedFd,
}

impl ListeningPort {
    fn open(plan: &PortPlan<'_>) -> Result<Self> {
        let PortPlan { id, name, options } = *plan;
        warn_of_short_backlog(options.backlog, socket::longest_backlog());
        let wanted = options.listen_address()?;
        let failed = |error| Error::listen(&options.listen, error);
        let listener = socket::listen(wanted, i32::from(options.backlog)).map_err(failed)?;
        apply_options(&listener, options);
        let address = socket::local_address(&listener).map_err(failed)?;
        Ok(Self { port: Port::new(id, name, address), listener })
    }

    /// Its number.
    pub(super) const fn id(&self) -> PortId {
        self.port.number()
    }

    /// What user code sees of it.
    pub(crate) const fn port(&self) -> &Port {
        &self.port
    }

    /// `accept4(2)` — takes one connection; `WouldBlock` when none waits.
    pub(super) fn accept(&self) -> io::Result<(OwnedFd, SocketAddr)> {
        socket::accept(&self.listener)
    }
}

impl AsFd for ListeningPort {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

/// Sets what accepted connections inherit from their listener, which saves system calls for each of
/// them.
fn apply_options(listener: &OwnedFd, options: &PortOptions) {
    if options.tcp_nodelay {
        // A listener of another kind has no such thing.
        let _ = socket::set_nodelay(listener);
    }
}

/// All ports of a server.
#[derive(Debug)]
pub(crate) struct ListeningPorts(PerPort<ListeningPort>);

impl ListeningPorts {
    /// Opens all of them, or none.
    pub(super) fn open(options: &Options) -> Result<Self> {
        options.ports().try_map(ListeningPort::open).map(Self)
    }

    /// What user code sees of them.
    pub(crate) fn described(&self) -> PerPort<Port> {
        self.0.map(|port| port.port().clone())
    }

    /// Their listeners, which no other process may have.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = RawFd> + '_ {
        self.0.iter().map(|port| port.listener.as_raw_fd())
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &ListeningPort> {
        self.0.iter()
    }

    /// The port with this number.
    pub(crate) fn get(&self, port: PortId) -> &ListeningPort {
        self.0.get(port)
    }
}

/// The kernel shortens the queue without a word.
fn warn_of_short_backlog(wanted: u16, longest: Option<u64>) {
    if let Some(backlog) = longest.filter(|longest| *longest < u64::from(wanted)) {
        tracing::warn!(
            wanted,
            backlog,
            "backlog is lowered to what the kernel allows: raise net.core.somaxconn or set backlog"
        );
    }
}
