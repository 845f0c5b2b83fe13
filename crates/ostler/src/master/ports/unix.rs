//! A unix socket that appears under its path when clients can connect, and not before; and that
//! leaves the path alone which is not its own any more.
//!
//! It is bound under a temporary name beside the path, gets its permissions, listens, and takes the
//! path only then. A dead socket, of a server that was killed, gives way to it; a live one and any
//! other file do not.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::options::{ListenUrl, PortOptions, UNIX_PATH_BYTES_MAX};
use crate::sys::file_prospect;
use crate::sys::process::{self, ProcessId};
use crate::sys::unix_socket::{self, FileId, Named};

/// How often it is tried anew when the path changes under our hands: another server is starting at
/// the same moment, and one of us wins.
pub(super) const TRIES: u32 = 8;

/// The path of a listening socket: taken away when this is dropped, if it still names that socket.
#[derive(Debug)]
pub(in crate::master) struct OwnPath {
    path: PathBuf,
    id: FileId,
    /// The process that made it: the copy of a forked one takes nothing away.
    owner: ProcessId,
}

impl OwnPath {
    /// The path of a socket that this process has made, and which file it is.
    pub(super) fn new(path: &Path, id: FileId) -> Self {
        Self { path: path.to_owned(), id, owner: process::current() }
    }

    /// Which file it is.
    pub(super) const fn id(&self) -> FileId {
        self.id
    }

    /// Whether the path still names this socket.
    pub(in crate::master) fn is_there(&self) -> bool {
        matches!(unix_socket::named(&self.path), Ok(Named::Socket(id)) if id == self.id)
    }

    /// Another process has the listener now, and takes the path away.
    pub(super) fn give_away(mut self) {
        self.path.clear();
    }
}

impl Drop for OwnPath {
    fn drop(&mut self) {
        if self.owner == process::current() && self.is_there() {
            // Nothing is better than a warning that nobody can act on.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Opens a listener at `path`.
pub(super) fn listen(path: &Path, options: &PortOptions) -> Result<(OwnedFd, OwnPath)> {
    let temporary = Temporary::listen(path, options)?;
    temporary.publish(path, &options.listen)
}

/// Opens a listener that nobody finds at `path` yet.
pub(super) fn listen_hidden(path: &Path, options: &PortOptions) -> Result<HiddenListener> {
    let failed = |error| refused(&options.listen, path, error);
    if unix_socket::named(path).map_err(failed)? == Named::Other {
        return Err(refuse::no_socket(&options.listen));
    }
    let temporary = Temporary::listen(path, options)?;
    Ok(HiddenListener { temporary, path: path.to_owned() })
}

/// A listener that takes the path of another one, which is about to go, in one step. Until then
/// nobody finds it; dropped before that, it leaves nothing behind.
#[derive(Debug)]
pub(in crate::master) struct HiddenListener {
    temporary: Temporary,
    path: PathBuf,
}

impl HiddenListener {
    /// Takes the path, from whatever socket is there.
    pub(in crate::master) fn appear(self) -> io::Result<(OwnedFd, OwnPath)> {
        if unix_socket::named(&self.path)? == Named::Other {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        std::fs::rename(&self.temporary.path, &self.path)?;
        self.temporary.published(&self.path)
    }
}

/// Whether a socket could be made at `path`: it makes none, and asks nobody who listens there.
pub(super) fn check(path: &Path, url: &ListenUrl) -> Result<()> {
    let failed = |error| refused(url, path, error);
    match unix_socket::named(path).map_err(failed)? {
        Named::Other => Err(refuse::no_socket(url)),
        Named::Nothing | Named::Socket(_) => file_prospect::can_make_beside(path).map_err(failed),
    }
}

/// A bound socket whose temporary name is taken away when it is dropped.
#[derive(Debug)]
struct Temporary {
    socket: OwnedFd,
    /// Where it is now, for everything but the kernel's limit of a socket's path.
    path: PathBuf,
    id: FileId,
    _directory: Option<std::fs::File>,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Temporary {
    /// With its permissions, and ready for clients.
    fn listen(path: &Path, options: &PortOptions) -> Result<Self> {
        let failed = |error| refused(&options.listen, path, error);
        let temporary = Self::bind(path).map_err(failed)?;
        let mode = options.unix_mode.bits();
        unix_socket::set_mode(&temporary.path, temporary.id, mode).map_err(failed)?;
        unix_socket::listen(&temporary.socket, i32::from(options.backlog)).map_err(failed)?;
        Ok(temporary)
    }

    /// Beside the path, so that it can be renamed.
    fn bind(path: &Path) -> io::Result<Self> {
        let mut number = 0;
        loop {
            match Self::bind_as(path, number) {
                // What another process of this number has left behind, in its pid namespace.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && number < TRIES => {
                    number += 1;
                }
                bound => return bound,
            }
        }
    }

    fn bind_as(path: &Path, number: u32) -> io::Result<Self> {
        let suffix = format!(".{}.{number}", process::current().get());
        let mut beside = path.as_os_str().to_owned();
        beside.push(&suffix);
        let (path, directory) = if beside.len() <= UNIX_PATH_BYTES_MAX {
            (PathBuf::from(beside), None)
        } else {
            // The name is too long for a socket: the way to it is made shorter.
            let parent = path.parent().unwrap_or(Path::new("/"));
            let flags = libc::O_DIRECTORY | libc::O_PATH | libc::O_CLOEXEC;
            let directory =
                std::fs::OpenOptions::new().read(true).custom_flags(flags).open(parent)?;
            use std::os::fd::AsRawFd as _;
            let short = format!("/proc/self/fd/{}/{suffix}", directory.as_raw_fd());
            (PathBuf::from(short), Some(directory))
        };
        let socket = unix_socket::bind_to(&path)?;
        match unix_socket::named(&path)? {
            Named::Socket(id) => Ok(Self { socket, path, id, _directory: directory }),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Takes the path, if it is free or a dead socket's.
    fn publish(self, path: &Path, url: &ListenUrl) -> Result<(OwnedFd, OwnPath)> {
        let failed = |error| refused(url, path, error);
        for _ in 0..TRIES {
            let done = match unix_socket::named(path).map_err(failed)? {
                Named::Nothing => self.take_free(path),
                Named::Other => return Err(refuse::no_socket(url)),
                Named::Socket(_) if unix_socket::is_alive(path).map_err(failed)? => {
                    return Err(refuse::alive(url));
                }
                Named::Socket(dead) => self.replace(path, dead),
            };
            if done.map_err(failed)? {
                return self.published(path).map_err(failed);
            }
        }
        Err(refuse::changing(url))
    }

    fn published(self, path: &Path) -> io::Result<(OwnedFd, OwnPath)> {
        // The temporary name is gone or a dead socket's, and is taken away with `self`.
        Ok((self.socket.try_clone()?, OwnPath::new(path, self.id)))
    }

    /// True when the path is ours; false when it is free no more.
    fn take_free(&self, path: &Path) -> io::Result<bool> {
        match unix_socket::rename_to_free(&self.path, path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) if unix_socket::is_unsupported(&error) => {
                std::fs::rename(&self.path, path).map(|()| true)
            }
            Err(error) => Err(error),
        }
    }

    /// Takes the path of a dead socket. True when it is ours; false when it has changed meanwhile.
    fn replace(&self, path: &Path, dead: FileId) -> io::Result<bool> {
        match unix_socket::exchange(&self.path, path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) if unix_socket::is_unsupported(&error) => {
                return std::fs::rename(&self.path, path).map(|()| true);
            }
            Err(error) => return Err(error),
        }
        if unix_socket::named(&self.path)? == Named::Socket(dead) {
            return Ok(true);
        }
        // Somebody was faster, and what we have taken is theirs.
        unix_socket::exchange(&self.path, path)?;
        Ok(false)
    }
}

/// What else stands at a path, and what to do.
pub(super) mod refuse {
    use super::{Error, ListenUrl};

    pub(in crate::master::ports) fn no_socket(url: &ListenUrl) -> Error {
        let text = "there is a file that is no socket: remove it, or choose another path";
        Error::cannot_listen(url, text, None)
    }

    pub(in crate::master::ports) fn alive(url: &ListenUrl) -> Error {
        let text = "another program listens there: stop it, or choose another path";
        Error::cannot_listen(url, text, None)
    }

    pub(in crate::master::ports) fn changing(url: &ListenUrl) -> Error {
        let text = "the path changes all the time: is another server starting there, too?";
        Error::cannot_listen(url, text, None)
    }
}

/// What to do, by what the system said.
pub(super) fn refused(url: &ListenUrl, path: &Path, error: io::Error) -> Error {
    let directory = path.parent().unwrap_or(Path::new("/")).display();
    let text = match error.kind() {
        io::ErrorKind::NotFound => format!("there is no directory {directory}: make it first"),
        io::ErrorKind::PermissionDenied => format!(
            "not permitted: the user of this process must be able to write into {directory}, and \
             to connect to a socket that is there"
        ),
        io::ErrorKind::ReadOnlyFilesystem => {
            format!("{directory} cannot be written: choose another directory, for example /run")
        }
        _ => "choose another path".to_owned(),
    };
    Error::cannot_listen(url, &text, Some(error))
}

/// A directory of one test alone.
#[cfg(test)]
pub(super) struct Scratch(pub(super) PathBuf);

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test that cannot go on
impl Scratch {
    pub(super) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ports-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(super) fn names(&self) -> Vec<String> {
        let names = std::fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.to_string_lossy().into_owned()).collect()
    }
}

#[cfg(test)]
impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::{UnixListener, UnixStream};

    fn open(path: &Path) -> Result<(OwnedFd, OwnPath)> {
        let listen_url = ListenUrl::Unix(path.to_owned());
        listen(path, &PortOptions { listen: listen_url, ..PortOptions::default() })
    }

    #[test]
    fn a_socket_appears_with_its_permissions_and_goes_with_its_server() {
        let scratch = Scratch::new("appears");
        let path = scratch.0.join("s");
        let (listener, own) = open(&path).unwrap();
        assert_eq!(scratch.names(), ["s"]);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let _client = UnixStream::connect(&path).unwrap();
        let (_, [pid, uid, _]) = unix_socket::accept(&listener).unwrap();
        assert_eq!(pid, std::process::id());
        assert_eq!(uid, rustix::process::getuid().as_raw());
        drop(own);
        assert_eq!(scratch.names(), Vec::<String>::new());
    }

    #[test]
    fn a_dead_socket_gives_way_and_a_live_one_or_a_file_does_not() {
        let scratch = Scratch::new("gives-way");
        let path = scratch.0.join("s");
        drop(UnixListener::bind(&path).unwrap());
        let (_first, own) = open(&path).unwrap();
        assert_eq!(scratch.names(), ["s"]);
        let live = open(&path).unwrap_err().to_string();
        assert!(live.contains("another program listens there"), "{live}");
        UnixStream::connect(&path).unwrap();
        drop(own);
        std::fs::write(&path, "precious").unwrap();
        let file = open(&path).unwrap_err().to_string();
        assert!(file.contains("a file that is no socket: remove it"), "{file}");
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        assert_eq!(scratch.names(), ["s"], "no temporary name is left");
        let lost = open(&scratch.0.join("no/s")).unwrap_err().to_string();
        assert!(lost.contains("there is no directory"), "{lost}");
    }

    #[test]
    fn a_path_that_somebody_else_has_taken_is_let_alone() {
        let scratch = Scratch::new("let-alone");
        let path = scratch.0.join("s");
        let (_listener, own) = open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let _theirs = UnixListener::bind(&path).unwrap();
        drop(own);
        assert_eq!(scratch.names(), ["s"]);
    }

    #[test]
    fn a_hidden_listener_takes_the_path_of_a_living_one_and_leaves_nothing_else() {
        let scratch = Scratch::new("hidden");
        let path = scratch.0.join("s");
        let url = ListenUrl::Unix(path.clone());
        let options = PortOptions { listen: url, ..PortOptions::default() };
        let (_first, own) = open(&path).unwrap();
        drop(listen_hidden(&path, &options).unwrap());
        assert_eq!(scratch.names(), ["s"]);
        let (second, theirs) = listen_hidden(&path, &options).unwrap().appear().unwrap();
        assert!(theirs.is_there() && !own.is_there());
        drop(own);
        let _client = UnixStream::connect(&path).unwrap();
        unix_socket::accept(&second).unwrap();
        drop(theirs);
        assert_eq!(scratch.names(), Vec::<String>::new());
        std::fs::write(&path, "precious").unwrap();
        assert!(listen_hidden(&path, &options).unwrap_err().to_string().contains("no socket"));
        assert_eq!(scratch.names(), ["s"]);
    }

    #[test]
    fn a_path_as_long_as_a_socket_can_have_is_served() {
        let scratch = Scratch::new("long");
        let rest = UNIX_PATH_BYTES_MAX - scratch.0.as_os_str().len() - 1;
        let path = scratch.0.join("x".repeat(rest));
        assert_eq!(path.as_os_str().len(), UNIX_PATH_BYTES_MAX);
        let (_listener, own) = open(&path).unwrap();
        UnixStream::connect(&path).unwrap();
        assert_eq!(scratch.names().len(), 1);
        drop(own);
        assert_eq!(scratch.names(), Vec::<String>::new());
    }
}
