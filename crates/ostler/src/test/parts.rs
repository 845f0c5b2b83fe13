//! The parts of a test server: a reactor and a worker at the two ends of one lane.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use ostler_core::ids::{PortId, ProcessKey};

use crate::api::address::Address;
use crate::api::port;
use crate::base::local::{self, Local};
use crate::options::{Options, PortPlan};
use crate::reactor::mailbox::{DatagramPart, ToReactor};
use crate::sys::{control_socket, datagram, eventfd, socket};
use crate::worker::context::WorkerSettings;
use crate::worker::handlers::Callee;

const KEY: ProcessKey = ProcessKey::event(0, 1);
/// Places for sessions: more clients than a test needs, less memory than a server takes.
const PLACES: u32 = 1_024;

pub(super) struct Parts {
    pub(super) local: Local,
    pub(super) control: OwnedFd,
    pub(super) manager: OwnedFd,
}

pub(super) fn make(options: &Options, callee: Callee) -> io::Result<Parts> {
    let options = &Options { max_connections: PLACES, ..options.clone() };
    let mut sockets = Vec::new();
    let ports = options.ports().try_map(|plan| open_port(plan, &mut sockets))?;
    let local = local::make(local::Plan {
        switch: None,
        options,
        worker: WorkerSettings::new(options, &ports, KEY),
        key: KEY,
        callee,
        bell: eventfd::create()?,
        seat: None,
        encryption: crate::encryption::Encryption::default(),
    })?;
    for (port, socket) in sockets {
        local.mailbox.push(ToReactor::Datagrams { port, socket, part: DatagramPart::All });
    }
    let (control, manager) = control_socket::pair()?;
    Ok(Parts { local, control, manager })
}

/// A port. Nobody listens at that of a stream: it has the address that it would have in the
/// program. One for datagrams gets a socket on the loopback device.
fn open_port(plan: &PortPlan<'_>, sockets: &mut Vec<(PortId, OwnedFd)>) -> io::Result<port::Port> {
    let url = &plan.options.listen;
    let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
    let address = if url.has_datagrams() {
        let socket = datagram::bind_udp(unknown, |_| Ok(()))?;
        let address = socket::local_address(&socket)?;
        sockets.push((plan.id, socket));
        address
    } else {
        crate::master::ports::resolve(url).unwrap_or(unknown)
    };
    Ok(port::Port::new(plan.id, plan.name, url.scheme(), Address::Ip(address)))
}
