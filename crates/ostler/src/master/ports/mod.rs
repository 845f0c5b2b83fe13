//! The ports on which the server listens.
//!
//! Responsible for: opening a listener for each port, with the options of that port; knowing which
//! listener is which. Must never: accept, or leave half of the listeners open when one of them
//! fails.

mod inherited;
mod passed_on;
mod socket_options;
mod unix;
mod unixgram;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;

use ostler_core::ids::{PortId, Slot};
use ostler_core::per_port::PerPort;
use ostler_core::{invariant, placement};
use ostler_shm::sessions::{Peer, UnixPeer};

use crate::api::address::Address;
use crate::api::port::{Port, Ports};
use crate::error::{Error, Result};
use crate::options::{FIRST_PORT, HostPort, ListenUrl, Mode, Options, PortOptions, PortPlan};
use crate::reactor::mailbox::{DatagramPart, Mailbox, ToReactor};
use crate::sys::socket::Family;
use crate::sys::{datagram, socket, unix_socket};
pub(crate) use passed_on::{Estate, Known, PassedOn};
pub(super) use unix::{HiddenListener, OwnPath};

/// Opens a listener for operators, to which nobody else has access: one that is found at its path,
/// or is hidden until it takes the path of another one.
pub(super) fn listen_for_operators(path: &Path) -> Result<(OwnedFd, OwnPath)> {
    unix::listen(path, &options_for_operators(path))
}

/// See [`listen_for_operators`].
pub(super) fn listen_hidden_for_operators(path: &Path) -> Result<HiddenListener> {
    unix::listen_hidden(path, &options_for_operators(path))
}

/// Takes away what a process of this number, which has ended, has left of a
/// [hidden listener](listen_hidden_for_operators).
pub(super) fn remove_what_is_left_of(path: &Path, pid: i32) {
    unix::remove_what_is_left_of(path, pid);
}

/// Whether there could be such a listener; it makes none.
pub(super) fn check_for_operators(path: &Path) -> Result<()> {
    unix::check(path, &ListenUrl::Unix(path.to_owned()))
}

fn options_for_operators(path: &Path) -> PortOptions {
    PortOptions { listen: ListenUrl::Unix(path.to_owned()), ..PortOptions::default() }
}

/// A port with its listener, on which connections wait to be accepted.
#[derive(Debug)]
pub(crate) struct ListeningPort {
    /// What user code sees of it.
    port: Port,
    /// Shared with what is kept for a new master.
    listener: Arc<OwnedFd>,
    /// BASE mode: the sockets of the other workers, in the order of their slots, if each has its
    /// own. The kernel shares new connections out among them, and peers that send datagrams.
    siblings: Vec<OwnedFd>,
    /// The file of a unix socket, which goes when the port does.
    own_path: Option<OwnPath>,
    /// Nothing is accepted there: it has datagrams, which a reactor reads.
    has_datagrams: bool,
    /// An old master has passed the listener on, and is in charge of it.
    is_lent: bool,
}

impl ListeningPort {
    /// `slots`: how many workers have a listener of their own.
    fn open(plan: &PortPlan<'_>, slots: u16, passed_on: &mut PassedOn) -> Result<Self> {
        let PortPlan { id, name, options, .. } = *plan;
        warn_of_short_backlog(options.backlog, socket::longest_backlog());
        let url = &options.listen;
        let mut siblings = Vec::new();
        let opened = match passed_on.take(url) {
            Some(passed) => passed_on::adopt(passed, options)?,
            None => None,
        };
        let is_lent = opened.is_some();
        let (listener, address, own_path) = match opened {
            Some(opened) => opened,
            None => Self::bind(plan, slots, &mut siblings)?,
        };
        let has_datagrams = url.has_datagrams();
        let scheme = match url {
            ListenUrl::Inherited(_) => "tcp",
            ListenUrl::InheritedTls(_) => "tls",
            url => url.scheme(),
        };
        let port = Port::new(id, name, scheme, address);
        let listener = Arc::new(listener);
        Ok(Self { port, listener, siblings, own_path, has_datagrams, is_lent })
    }

    /// Nobody had it before.
    fn bind(plan: &PortPlan<'_>, slots: u16, siblings: &mut Vec<OwnedFd>) -> Result<Opened> {
        let options = plan.options;
        let url = &options.listen;
        Ok(match url {
            ListenUrl::Unix(path) => {
                let (listener, own_path) = unix::listen(path, options)?;
                (listener, Address::Unix(path.clone()), Some(own_path))
            }
            ListenUrl::Unixgram(path) => {
                let (socket, own_path) = unixgram::bind(path, options)?;
                (socket, Address::Unix(path.clone()), Some(own_path))
            }
            ListenUrl::Udp(_) => {
                let failed = |error| Error::listen(url, error);
                let wanted = resolve(url).map_err(failed)?;
                let prepare =
                    |socket: &OwnedFd| socket_options::apply_to_datagrams(socket, options);
                let group = datagram::bind_udp_group(wanted, slots, prepare).map_err(failed)?;
                let first = first_of(group, siblings).map_err(failed)?;
                let address = Address::Ip(socket::local_address(&first).map_err(failed)?);
                (first, address, None)
            }
            ListenUrl::Inherited(name) | ListenUrl::InheritedTls(name) => {
                let (listener, address) = inherit(name, plan)?;
                (listener, address, None)
            }
            _ => {
                let failed = |error| Error::listen(url, error);
                let wanted = resolve(url).map_err(failed)?;
                let prepare = |socket: &OwnedFd| socket_options::apply(socket, options);
                let backlog = i32::from(options.backlog);
                let group = socket::listen_as_group(wanted, backlog, slots, prepare);
                let listener = first_of(group.map_err(failed)?, siblings).map_err(failed)?;
                let address = Address::Ip(socket::local_address(&listener).map_err(failed)?);
                (listener, address, None)
            }
        })
    }

    /// Its number.
    pub(crate) const fn id(&self) -> PortId {
        PortId(self.port.id())
    }

    /// What it is called.
    pub(super) fn name(&self) -> &str {
        self.port.name()
    }

    /// `accept4(2)` — takes one connection; `WouldBlock` when none waits.
    pub(super) fn accept(&self) -> io::Result<(OwnedFd, Peer)> {
        if matches!(self.port.local_address(), Address::Unix(_)) {
            let (connection, [pid, uid, gid]) = unix_socket::accept(&self.listener)?;
            return Ok((connection, Peer::Unix(UnixPeer { pid, uid, gid })));
        }
        let (connection, address) = socket::accept(&self.listener)?;
        Ok((connection, Peer::Ip(address)))
    }
}

impl AsFd for ListeningPort {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

/// A listener, where it listens, and the path that goes with it.
type Opened = (OwnedFd, Address, Option<OwnPath>);

/// Takes the first socket of a group, and gives the others to `siblings`.
fn first_of(group: Vec<OwnedFd>, siblings: &mut Vec<OwnedFd>) -> io::Result<OwnedFd> {
    let mut group = group.into_iter();
    let first = group.next().ok_or(io::ErrorKind::NotFound)?;
    siblings.extend(group);
    Ok(first)
}

/// A listener that the program was started with, and where it listens. Its queue and its
/// permissions are those that it was opened with.
fn inherit(name: &str, plan: &PortPlan<'_>) -> Result<(OwnedFd, Address)> {
    let url = &plan.options.listen;
    let failed = |error| Error::listen(url, error);
    let listener =
        inherited::take(name).map_err(|problem| Error::cannot_listen(url, &problem, None))?;
    apply_to_inherited(&listener, plan.options).map_err(failed)?;
    let address = inherited_address(&listener).map_err(failed)?;
    Ok((listener, address))
}

fn inherited_address(listener: &OwnedFd) -> io::Result<Address> {
    Ok(match is_local(listener)? {
        true => Address::Unix(unix_socket::local_path(listener)?),
        false => Address::Ip(socket::local_address(listener)?),
    })
}

/// A listener that the program was started with gets what options say of it.
fn apply_to_inherited(listener: &OwnedFd, options: &PortOptions) -> io::Result<()> {
    match is_local(listener)? {
        true => Ok(()),
        false => socket_options::apply_to_inherited(listener, options),
    }
}

fn is_local(listener: &OwnedFd) -> io::Result<bool> {
    Ok(socket::kind(listener)?.family == Some(Family::Unix))
}

/// The address of a port; a host name is resolved now.
pub(crate) fn resolve(url: &ListenUrl) -> io::Result<SocketAddr> {
    let (ListenUrl::Tcp(address) | ListenUrl::Tls(address) | ListenUrl::Udp(address)) = url else {
        return Err(io::Error::from(io::ErrorKind::Unsupported));
    };
    let HostPort { host, port } = address;
    let found = (host.as_str(), *port).to_socket_addrs()?.next();
    found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
}

/// Where the ports will listen, in words; host names are resolved.
pub(crate) fn describe(options: &Options) -> Result<String> {
    let ports = options.ports();
    let mut places = Vec::new();
    for PortPlan { name, options, .. } in ports.iter() {
        let url = &options.listen;
        let place = match url {
            ListenUrl::Tcp(_) | ListenUrl::Tls(_) => {
                let address = resolve(url).map_err(|error| Error::listen(url, error))?;
                address.to_string()
            }
            url => url.to_string(),
        };
        places.push((*name, place));
    }
    Ok(match &places[..] {
        [(FIRST_PORT, place)] => format!("the address is {place}"),
        _ => {
            let lines = places.iter().map(|(name, place)| format!("\n  {name:<16} {place}"));
            format!("the ports are{}", lines.collect::<String>())
        }
    })
}

/// Whether the sockets that have a path could be made there, were the paths free.
pub(super) fn check_directories(options: &Options) -> Result<()> {
    for PortPlan { options, .. } in options.ports().iter() {
        let url = &options.listen;
        if let ListenUrl::Unix(path) | ListenUrl::Unixgram(path) = url {
            unix::check(path, url)?;
        }
    }
    Ok(())
}

/// All ports of a server.
#[derive(Debug)]
pub(crate) struct ListeningPorts(PerPort<ListeningPort>);

impl ListeningPorts {
    /// Opens all of them, or none; what was passed on is not opened anew.
    pub(super) fn open(options: &Options, mut passed_on: PassedOn) -> Result<Self> {
        let plans = options.ports();
        let slots = if options.mode == Mode::Base { options.workers } else { 1 };
        let ports =
            plans.try_map(|plan| ListeningPort::open(plan, slots, &mut passed_on)).map(Self)?;
        if plans.iter().any(|plan| plan.options.listen.is_inherited()) {
            for url in inherited::left() {
                tracing::warn!(
                    "a listener was passed and no port serves it, so that its clients wait for \
                     nobody: give a port {url}, or do not pass it"
                );
            }
        }
        Ok(ports)
    }

    /// BASE mode: the listeners of a slot, for its next process. They stay open here, so that who
    /// waits in their queues waits for that process.
    pub(super) fn of_slot(&self, slot: Slot) -> io::Result<Vec<OwnedFd>> {
        let own = |port: &ListeningPort| {
            let sibling = usize::from(slot.0).checked_sub(1);
            let sibling = sibling.and_then(|sibling| port.siblings.get(sibling));
            sibling.unwrap_or(&*port.listener).try_clone()
        };
        self.0.iter().map(own).collect()
    }

    /// BASE mode, in a process: the ports with the listeners of its slot.
    pub(crate) fn of_process(
        ports: &Ports,
        options: &Options,
        listeners: Vec<OwnedFd>,
    ) -> io::Result<Self> {
        let plans = options.ports();
        let mut listeners = listeners.into_iter();
        let open = |port: &Port| {
            let listener = Arc::new(listeners.next().ok_or(io::ErrorKind::NotFound)?);
            let has_datagrams = plans.get(PortId(port.id())).options.listen.has_datagrams();
            let (port, siblings) = (port.clone(), Vec::new());
            Ok::<_, io::Error>(ListeningPort {
                port,
                listener,
                siblings,
                own_path: None,
                has_datagrams,
                is_lent: false,
            })
        };
        Ok(Self(ports.0.try_map(open)?))
    }

    /// What user code sees of them.
    pub(crate) fn described(&self) -> Ports {
        Ports(self.0.map(|port| port.port.clone()))
    }

    /// Their listeners, which no other process may have.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = RawFd> + '_ {
        let groups = self.0.iter().map(|port| (&port.listener, &port.siblings));
        let all = groups.flat_map(|(first, others)| std::iter::once(&**first).chain(others));
        all.map(|listener| listener.as_raw_fd())
    }

    /// Those that accept connections.
    pub(crate) fn listeners(&self) -> impl Iterator<Item = &ListeningPort> {
        self.0.iter().filter(|port| !port.has_datagrams)
    }

    /// Gives each port for datagrams to its reactor, which reads it at once or when it is told.
    pub(super) fn hand_out_datagrams(
        &self,
        mailboxes: &[Arc<Mailbox>],
        part: DatagramPart,
    ) -> io::Result<()> {
        for port in self.0.iter().filter(|port| port.has_datagrams) {
            let owner = placement::owner_of_port(port.id(), mailboxes.len());
            let Some(mailbox) = mailboxes.get(owner) else {
                invariant!(false, "a port belongs to a reactor that is there");
                continue;
            };
            let socket = port.listener.try_clone()?;
            mailbox.push(ToReactor::Datagrams { port: port.id(), socket, part });
        }
        Ok(())
    }

    /// BASE mode, in a process: gives all ports for datagrams to its reactor. UDP has a socket for
    /// each slot; another port has one, which one slot reads, so that its datagrams have an order.
    pub(crate) fn hand_over_datagrams(
        &self,
        mailbox: &Mailbox,
        slot: Option<Slot>,
        slots: u16,
    ) -> io::Result<()> {
        for port in self.0.iter().filter(|port| port.has_datagrams) {
            let is_shared = matches!(port.port.local_address(), Address::Unix(_));
            let reader = placement::owner_of_port(port.id(), usize::from(slots));
            let reads = slot.is_some_and(|slot| !is_shared || reader == usize::from(slot.0));
            let part = if reads { DatagramPart::OfSlot } else { DatagramPart::Sends };
            let socket = port.listener.try_clone()?;
            mailbox.push(ToReactor::Datagrams { port: port.id(), socket, part });
        }
        Ok(())
    }

    /// Datagrams that the kernel has dropped at all of these ports since they were opened.
    pub(super) fn kernel_drops(&self) -> u64 {
        let sockets = self
            .0
            .iter()
            .filter(|port| port.has_datagrams)
            .flat_map(|port| std::iter::once(&*port.listener).chain(&port.siblings));
        sockets.filter_map(datagram::dropped).map(u64::from).sum()
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
