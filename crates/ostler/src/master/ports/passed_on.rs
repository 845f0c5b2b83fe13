//! Listeners that a master passes on to the new one that takes its place, with the clients that
//! wait in their queues.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use super::unix::OwnPath;
use super::{
    ListeningPorts, Opened, apply_to_inherited, inherited_address, is_local, socket_options,
};
use crate::api::address::Address;
use crate::error::{Error, Result};
use crate::options::{ListenUrl, Options, PortOptions};
use crate::sys::socket;
use crate::sys::unix_socket::{self, FileId, Named};

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

/// What an old master says, or what is wrong with it, in words.
type Heard<T> = std::result::Result<T, String>;

/// What a listener is known by when it is passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    name: String,
    /// Which file a unix socket is. Another one at its path is a stranger's.
    file: Option<FileId>,
}

impl Known {
    fn of(url: &ListenUrl, file: Option<FileId>) -> Self {
        Self { name: name_of(url), file }
    }

    /// As it stands in a list: the name, and the file if it is one, a zero byte behind each.
    fn write(&self) -> Vec<u8> {
        let file = self.file.map(|(device, inode)| format!("{device}:{inode}"));
        [self.name.as_bytes(), &[0], file.unwrap_or_default().as_bytes(), &[0]].concat()
    }

    /// All that stand in a list. `with_files`: as [`Known::write`] writes them; others are of old
    /// masters, which say no files.
    ///
    /// # Errors
    /// Why that is no list.
    pub(in crate::master) fn read_all(list: &[u8], with_files: bool) -> Heard<Vec<Self>> {
        let cut = || "its list of listeners is cut".to_owned();
        let word = |word: &[u8]| match word.split_last() {
            Some((0, word)) => Ok(String::from_utf8_lossy(word).into_owned()),
            _ => Err(cut()),
        };
        let words: Heard<Vec<_>> = list.split_inclusive(|byte| *byte == 0).map(word).collect();
        let mut words = words?.into_iter();
        let mut all = Vec::new();
        while let Some(name) = words.next() {
            let file = match with_files {
                true => file_of(&words.next().ok_or_else(cut)?)?,
                false => None,
            };
            all.push(Self { name, file });
        }
        Ok(all)
    }
}

/// The file that is written so; of what is no file nothing is.
fn file_of(word: &str) -> Heard<Option<FileId>> {
    if word.is_empty() {
        return Ok(None);
    }
    let parts = word.split_once(':');
    let parsed =
        parts.and_then(|(device, inode)| Some((device.parse().ok()?, inode.parse().ok()?)));
    parsed.map(Some).ok_or_else(|| "its list of listeners is not understood".to_owned())
}

/// A listener that was passed on.
#[derive(Debug)]
pub(super) struct Passed {
    listener: OwnedFd,
    file: Option<FileId>,
}

/// What a new master has of an old one. Whatever no port of its own takes is closed.
#[derive(Debug, Default)]
pub(crate) struct PassedOn(Vec<(Known, OwnedFd)>);

impl PassedOn {
    /// The listeners and what they are known by, in any order.
    pub(crate) const fn new(listeners: Vec<(Known, OwnedFd)>) -> Self {
        Self(listeners)
    }

    /// The listener of this place, if there is one. Of several with the same name (the kernel chose
    /// their numbers) each is taken once, in their order.
    pub(super) fn take(&mut self, url: &ListenUrl) -> Option<Passed> {
        let name = name_of(url);
        let at = self.0.iter().position(|(known, _)| known.name == name)?;
        let (Known { file, .. }, listener) = self.0.remove(at);
        Some(Passed { listener, file })
    }
}

/// What a master keeps to pass it on when it is in charge: its listeners, and the paths of its unix
/// sockets, which go when it accepts no more.
///
/// What an old master has passed on is lent: until this one is in charge, the old one may have to
/// go on with it as it was.
#[derive(Debug)]
pub(crate) struct Estate(Vec<Asset>);

/// A listener.
#[derive(Debug)]
struct Asset {
    known: Known,
    listener: Arc<OwnedFd>,
    path: Option<OwnPath>,
    is_lent: bool,
}

impl Estate {
    /// Takes the paths out of the ports.
    pub(in crate::master) fn of(
        ports: &mut ListeningPorts,
        urls: impl Iterator<Item = ListenUrl>,
    ) -> Self {
        let ports = ports.0.iter_mut().zip(urls);
        let assets = ports.map(|(port, url)| {
            let path = port.own_path.take();
            let known = Known::of(&url, path.as_ref().map(OwnPath::id));
            Asset { known, listener: Arc::clone(&port.listener), path, is_lent: port.is_lent }
        });
        Self(assets.collect())
    }

    /// What all listeners are known by, as [`Known::read_all`] reads it.
    pub(in crate::master) fn list(&self) -> Vec<u8> {
        self.0.iter().flat_map(|asset| asset.known.write()).collect()
    }

    /// Copies of all listeners, in the order of the list.
    pub(in crate::master) fn listeners(&self) -> io::Result<Vec<OwnedFd>> {
        self.0.iter().map(|asset| asset.listener.try_clone()).collect()
    }

    /// Somebody else has them now: the paths stay when the listeners are closed here.
    pub(in crate::master) fn give_away(self) {
        self.0.into_iter().filter_map(|asset| asset.path).for_each(OwnPath::give_away);
    }

    /// This master is in charge: what was lent is its own, and is as its options say.
    pub(in crate::master) fn is_ours_now(&mut self, options: &Options) {
        let ports = options.ports();
        let plans = self.0.iter_mut().zip(ports.iter());
        for (asset, plan) in plans.filter(|(asset, _)| asset.is_lent) {
            if let Err(error) = asset.is_ours_now(plan.options) {
                let port = plan.name;
                tracing::warn!(port, %error, "a listener goes on as the old master has left it");
            }
        }
    }
}

impl Asset {
    fn is_ours_now(&mut self, options: &PortOptions) -> io::Result<()> {
        self.is_lent = false;
        if let Some(path) = &mut self.path {
            path.is_ours_now(options.unix_mode.bits())?;
        }
        match &options.listen {
            ListenUrl::Tcp(_) | ListenUrl::Tls(_) => {
                socket_options::apply_to_inherited(&self.listener, options)?;
                socket::listen_again(&*self.listener, i32::from(options.backlog))
            }
            ListenUrl::Inherited(_) | ListenUrl::InheritedTls(_) => {
                apply_to_inherited(&self.listener, options)
            }
            ListenUrl::Udp(_) | ListenUrl::Unix(_) | ListenUrl::Unixgram(_) => Ok(()),
        }
    }
}

/// Takes a listener that an old master passed on, and changes nothing of it; `None` when its path
/// is gone, or another's, so that nobody could connect.
pub(super) fn adopt(passed: Passed, options: &PortOptions) -> Result<Option<Opened>> {
    let Passed { listener, file } = passed;
    let url = &options.listen;
    let failed = |error| Error::listen(url, error);
    let (address, own_path) = match url {
        ListenUrl::Unix(path) | ListenUrl::Unixgram(path) => {
            let Some(lent) = path_of(path, file).map_err(failed)? else {
                return Ok(None);
            };
            (Address::Unix(path.clone()), Some(lent))
        }
        ListenUrl::Udp(_) => (Address::Ip(socket::local_address(&listener).map_err(failed)?), None),
        ListenUrl::Tcp(_) | ListenUrl::Tls(_) => {
            socket_options::check_for_inherited(&listener, options).map_err(failed)?;
            (Address::Ip(socket::local_address(&listener).map_err(failed)?), None)
        }
        ListenUrl::Inherited(_) | ListenUrl::InheritedTls(_) => {
            if !is_local(&listener).map_err(failed)? {
                socket_options::check_for_inherited(&listener, options).map_err(failed)?;
            }
            (inherited_address(&listener).map_err(failed)?, None)
        }
    };
    Ok(Some((listener, address, own_path)))
}

/// The path of a unix socket that was passed on, which is this file if that was said; `None` when
/// somebody has taken the path, so that nobody could connect.
fn path_of(path: &Path, file: Option<FileId>) -> io::Result<Option<OwnPath>> {
    Ok(match unix_socket::named(path)? {
        Named::Socket(id) if file.is_none_or(|file| file == id) => Some(OwnPath::lent(path, id)),
        Named::Socket(_) | Named::Nothing | Named::Other => None,
    })
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
        let known = |text| (Known::of(&url(text), None), eventfd::create().unwrap());
        let listeners = listeners.map(known);
        let numbers: Vec<_> = listeners.iter().map(|(_, fd)| fd.as_raw_fd()).collect();
        let mut passed_on = PassedOn::new(listeners.into_iter().collect());
        let mut take = |text: &str| passed_on.take(&url(text));
        assert!(take("tcp://127.0.0.1:7").is_none());
        // A port may be encrypted from now on.
        let first = take("tls://127.0.0.1:0").unwrap();
        assert_eq!(first.listener.as_raw_fd(), numbers[0]);
        let second = take("tcp://127.0.0.1:0").unwrap();
        assert_eq!(second.listener.as_raw_fd(), numbers[1]);
        assert!(take("tcp://127.0.0.1:0").is_none());
        assert_eq!(take("udp://127.0.0.1:7").unwrap().listener.as_raw_fd(), numbers[2]);
    }

    #[test]
    fn what_listeners_are_known_by_comes_back_from_a_list() {
        let all = [
            Known::of(&url("tcp://127.0.0.1:7"), None),
            Known::of(&url("unix:///a b:c"), Some((u64::MAX, 12))),
        ];
        let list = all.iter().flat_map(Known::write).collect::<Vec<_>>();
        assert_eq!(Known::read_all(&list, true).unwrap(), all);
        assert_eq!(Known::read_all(&[], true).unwrap(), []);
        // Of an old master, which says no files.
        let old = Known::read_all(b"tcp 127.0.0.1:7\0unix /s\0", false).unwrap();
        assert!(old.iter().all(|known| known.file.is_none()) && old.len() == 2);
        let why = |list: &[u8]| Known::read_all(list, true).unwrap_err();
        assert!(why(&list[..list.len() - 1]).contains("is cut"));
        assert!(why(b"unix /s\0").contains("is cut"));
        for wrong in ["1", "1:", ":1", "a:b", "1:2:3", "-1:2"] {
            let list = format!("unix /s\0{wrong}\0");
            assert!(why(list.as_bytes()).contains("is not understood"), "{wrong}");
        }
    }
}
