//! Listeners that a master passes on to the new one that takes its place, with the clients that
//! wait in their queues.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use super::unix::OwnPath;
use super::{ListeningPorts, Opened, inherited_address, socket_options};
use crate::api::address::Address;
use crate::error::{Error, Result};
use crate::options::{ListenUrl, PortOptions};
use crate::sys::socket;
use crate::sys::unix_socket::{self, Named};

/// What listeners are known by: the same place, however its clients are served.
fn name_of(url: &ListenUrl) -> String {
    match url {
        ListenUrl::Tcp(address) | ListenUrl::Tls(address) => format!("tcp {address}"),
        ListenUrl::Udp(address) => format!("udp {address}"),
        ListenUrl::Unix(path) => format!("unix {}", path.display()),
        ListenUrl::Unixgram(path) => format!("unixgram {}", path.display()),
        ListenUrl::Inherited(name) | ListenUrl::InheritedTls(name) => format!("fd {name}"),
    }
}

/// What a new master has of an old one. Whatever no port of its own takes is closed.
#[derive(Debug, Default)]
pub(crate) struct PassedOn(Vec<(String, OwnedFd)>);

impl PassedOn {
    /// The listeners with their names, in any order.
    pub(crate) const fn new(listeners: Vec<(String, OwnedFd)>) -> Self {
        Self(listeners)
    }

    /// The listener of this place, if there is one. Of several with the same name (the kernel chose
    /// their numbers) each is taken once, in their order.
    pub(super) fn take(&mut self, url: &ListenUrl) -> Option<OwnedFd> {
        let name = name_of(url);
        let at = self.0.iter().position(|(other, _)| *other == name)?;
        Some(self.0.remove(at).1)
    }
}

/// What the master in charge keeps to pass it on: its listeners, and the paths of its unix sockets,
/// which go when it accepts no more.
#[derive(Debug)]
pub(crate) struct Estate {
    listeners: Vec<(String, Arc<OwnedFd>)>,
    paths: Vec<OwnPath>,
}

impl Estate {
    /// Takes the paths out of the ports.
    pub(in crate::master) fn of(
        ports: &mut ListeningPorts,
        urls: impl Iterator<Item = ListenUrl>,
    ) -> Self {
        let mut paths = Vec::new();
        let ports = ports.0.iter_mut().zip(urls);
        let listeners = ports.map(|(port, url)| {
            paths.extend(port.own_path.take());
            (name_of(&url), Arc::clone(&port.listener))
        });
        let listeners = listeners.collect();
        Self { listeners, paths }
    }

    /// The names of all listeners, each with a zero byte behind it.
    pub(in crate::master) fn names(&self) -> Vec<u8> {
        let names = self.listeners.iter();
        names.flat_map(|(name, _)| name.bytes().chain([0])).collect()
    }

    /// Copies of all listeners, in the order of their names.
    pub(in crate::master) fn listeners(&self) -> io::Result<Vec<OwnedFd>> {
        self.listeners.iter().map(|(_, listener)| listener.try_clone()).collect()
    }

    /// Somebody else has them now: the paths stay when the listeners are closed here.
    pub(in crate::master) fn give_away(self) {
        self.paths.into_iter().for_each(OwnPath::give_away);
    }
}

/// Takes a listener that an old master passed on; `None` when its path is gone, so that nobody
/// could connect.
pub(super) fn adopt(listener: OwnedFd, options: &PortOptions) -> Result<Option<Opened>> {
    let url = &options.listen;
    let failed = |error| Error::listen(url, error);
    let (address, own_path) = match url {
        ListenUrl::Unix(path) | ListenUrl::Unixgram(path) => {
            let Some(own) = path_of(path, options).map_err(failed)? else {
                return Ok(None);
            };
            (Address::Unix(path.clone()), Some(own))
        }
        ListenUrl::Udp(_) => (Address::Ip(socket::local_address(&listener).map_err(failed)?), None),
        ListenUrl::Tcp(_) | ListenUrl::Tls(_) => {
            socket_options::apply_to_inherited(&listener, options).map_err(failed)?;
            socket::listen_again(&listener, i32::from(options.backlog)).map_err(failed)?;
            (Address::Ip(socket::local_address(&listener).map_err(failed)?), None)
        }
        ListenUrl::Inherited(_) | ListenUrl::InheritedTls(_) => {
            (inherited_address(&listener, options).map_err(failed)?, None)
        }
    };
    Ok(Some((listener, address, own_path)))
}

/// The path of a unix socket that was passed on; `None` when somebody has taken the path away, so
/// that nobody could connect.
fn path_of(path: &Path, options: &PortOptions) -> io::Result<Option<OwnPath>> {
    match unix_socket::named(path)? {
        Named::Socket(id) => {
            unix_socket::set_mode(path, id, options.unix_mode.bits())?;
            Ok(Some(OwnPath::new(path, id)))
        }
        Named::Nothing | Named::Other => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::eventfd;
    use std::os::fd::AsRawFd as _;

    fn url(text: &str) -> ListenUrl {
        ListenUrl::parse(text).unwrap()
    }

    #[test]
    fn a_listener_goes_to_the_port_of_its_place_and_to_no_other() {
        let listeners = ["tcp://127.0.0.1:0", "tcp://127.0.0.1:0", "udp://127.0.0.1:7"];
        let listeners = listeners.map(|text| (name_of(&url(text)), eventfd::create().unwrap()));
        let numbers: Vec<_> = listeners.iter().map(|(_, fd)| fd.as_raw_fd()).collect();
        let mut passed_on = PassedOn::new(listeners.into_iter().collect());
        let mut take = |text: &str| passed_on.take(&url(text));
        assert!(take("tcp://127.0.0.1:7").is_none());
        // A port may be encrypted from now on.
        let first = take("tls://127.0.0.1:0").unwrap();
        assert_eq!(first.as_raw_fd(), numbers[0]);
        let second = take("tcp://127.0.0.1:0").unwrap();
        assert_eq!(second.as_raw_fd(), numbers[1]);
        assert!(take("tcp://127.0.0.1:0").is_none());
        assert_eq!(take("udp://127.0.0.1:7").unwrap().as_raw_fd(), numbers[2]);
    }
}
