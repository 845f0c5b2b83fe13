//! A unix socket for datagrams, bound at its path: the kernel tells whoever gets a datagram under
//! which name its sender was bound, and clients may compare that with where they sent theirs. So it
//! takes no other name first, as one for connections does; it has its permissions from the
//! beginning, and nothing else has to be done before clients may come.
//!
//! A dead socket, of a server that was killed, gives way; a live one and any other file do not.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::socket_options;
use super::unix::{OwnPath, TRIES, refuse, refused};
use crate::error::Result;
use crate::options::{ListenUrl, PortOptions};
use crate::sys::unix_socket::{self, FileId, Named};
use crate::sys::{datagram, process};

/// The send buffer of a port whose option leaves it open, bytes, before the kernel doubles it.
/// Whatever peers have not read counts for it, so that those who never read keep out the others
/// when it is full: with the kernel's own measure one of them, where systemd has set
/// `net.unix.max_dgram_qlen` to 512.
const SEND_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Opens a socket at `path`.
pub(super) fn bind(path: &Path, options: &PortOptions) -> Result<(OwnedFd, OwnPath)> {
    let url = &options.listen;
    let failed = |error| refused(url, path, error);
    let mode = options.unix_mode.bits();
    for _ in 0..TRIES {
        match datagram::bind_unix(path, mode) {
            Ok(socket) => {
                if options.socket_send_buffer == 0 {
                    datagram::widen_send_buffer(&socket, SEND_BUFFER_BYTES).map_err(failed)?;
                }
                socket_options::apply_to_unix_datagrams(&socket, options).map_err(failed)?;
                let Named::Socket(id) = unix_socket::named(path).map_err(failed)? else {
                    continue; // somebody has taken it away already
                };
                let own = OwnPath::new(path, id);
                // What the process's mask has taken off is put back.
                unix_socket::set_mode(path, id, mode).map_err(failed)?;
                return Ok((socket, own));
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => make_room(path, url)?,
            Err(error) => return Err(failed(error)),
        }
    }
    Err(refuse::changing(url))
}

/// Takes a dead socket away. When there is something else that is an error.
fn make_room(path: &Path, url: &ListenUrl) -> Result<()> {
    let failed = |error| refused(url, path, error);
    match unix_socket::named(path).map_err(failed)? {
        Named::Nothing => Ok(()),
        Named::Other => Err(refuse::no_socket(url)),
        Named::Socket(_) if unix_socket::is_alive(path).map_err(failed)? => Err(refuse::alive(url)),
        Named::Socket(dead) => remove_dead(path, dead).map_err(failed),
    }
}

/// The path may change under our hands, because another server starts at the same moment: what was
/// there is moved aside, and back if it is not the dead one.
fn remove_dead(path: &Path, dead: FileId) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{}.dead", process::current().get()));
    let aside = PathBuf::from(aside);
    match std::fs::rename(path, &aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        moved => moved?,
    }
    if unix_socket::named(&aside)? == Named::Socket(dead) {
        return std::fs::remove_file(&aside);
    }
    // Somebody was faster, and what we have moved is theirs.
    match unix_socket::rename_to_free(&aside, path) {
        Err(error) if unix_socket::is_unsupported(&error) => std::fs::rename(&aside, path),
        moved => moved,
    }
}

#[cfg(test)]
mod tests {
    use super::super::unix::Scratch;
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::{UnixDatagram, UnixListener};

    fn open(path: &Path) -> Result<(OwnedFd, OwnPath)> {
        let listen = ListenUrl::Unixgram(path.to_owned());
        bind(path, &PortOptions { listen, ..PortOptions::default() })
    }

    #[test]
    fn a_socket_for_datagrams_reads_as_what_it_is() {
        use crate::api::port::{Port, Ports};
        use ostler_core::ids::PortId;
        use ostler_core::per_port::PerPort;
        let address = crate::api::address::Address::Unix("/run/s".into());
        let port = Port::new(PortId::FIRST, "main", "unixgram", address);
        assert_eq!(port.to_string(), "unixgram:///run/s");
        assert_eq!(Ports(PerPort::new(port, Vec::new())).to_string(), "unixgram:///run/s");
    }

    #[test]
    fn a_socket_for_datagrams_has_its_name_and_permissions_and_goes_with_its_server() {
        let scratch = Scratch::new("gram-appears");
        let path = scratch.0.join("s");
        let (socket, own) = open(&path).unwrap();
        assert_eq!(scratch.names(), ["s"]);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(unix_socket::local_path(&socket).unwrap(), path, "as others are told");
        UnixDatagram::unbound().unwrap().send_to(b"hello", &path).unwrap();
        drop(own);
        assert_eq!(scratch.names(), Vec::<String>::new());
    }

    #[test]
    fn a_dead_one_gives_way_and_a_live_one_of_any_kind_or_a_file_does_not() {
        let scratch = Scratch::new("gram-gives-way");
        let path = scratch.0.join("s");
        drop(UnixDatagram::bind(&path).unwrap());
        let (_first, own) = open(&path).unwrap();
        assert_eq!(scratch.names(), ["s"]);
        let live = open(&path).unwrap_err().to_string();
        assert!(live.contains("another program listens there"), "{live}");
        drop(own);
        let listener = UnixListener::bind(&path).unwrap();
        let live = open(&path).unwrap_err().to_string();
        assert!(live.contains("another program listens there"), "{live}");
        drop(listener);
        let (_second, own) = open(&path).unwrap();
        drop(own);
        std::fs::write(&path, "precious").unwrap();
        let file = open(&path).unwrap_err().to_string();
        assert!(file.contains("a file that is no socket: remove it"), "{file}");
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        assert_eq!(scratch.names(), ["s"], "nothing is left beside it");
        let lost = open(&scratch.0.join("no/s")).unwrap_err().to_string();
        assert!(lost.contains("there is no directory"), "{lost}");
    }

    #[test]
    fn what_a_faster_server_has_put_there_is_put_back() {
        let scratch = Scratch::new("gram-faster");
        let path = scratch.0.join("s");
        let theirs = UnixDatagram::bind(&path).unwrap();
        remove_dead(&path, (0, 0)).unwrap();
        assert_eq!(scratch.names(), ["s"]);
        UnixDatagram::unbound().unwrap().send_to(b"still there", &path).unwrap();
        assert_eq!(theirs.recv(&mut [0; 64]).unwrap(), 11);
    }
}
