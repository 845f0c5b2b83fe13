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
    /// Another process is in charge of it: nothing is taken away here.
    is_lent: bool,
}

impl OwnPath {
    /// The path of a socket that this process has made, and which file it is.
    pub(super) fn new(path: &Path, id: FileId) -> Self {
        Self { path: path.to_owned(), id, owner: process::current(), is_lent: false }
    }

    /// The path of a socket of which another process is in charge until [`OwnPath::is_ours_now`].
    pub(super) fn lent(path: &Path, id: FileId) -> Self {
        let mut lent = Self::new(path, id);
        lent.is_lent = true;
        lent
    }

    /// This process is in charge of it, and gives it these permissions.
    pub(super) fn is_ours_now(&mut self, mode: u32) -> io::Result<()> {
        self.is_lent = false;
        unix_socket::set_mode(&self.path, self.id, mode)
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
        if !self.is_lent && self.owner == process::current() && self.is_there() {
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
        std::fs::rename(&self.temporary.name.0, &self.path)?;
        Ok(self.temporary.published(&self.path))
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

/// A bound socket with a temporary name.
#[derive(Debug)]
struct Temporary {
    socket: OwnedFd,
    /// Where it is now, for everything but the kernel's limit of a socket's path.
    name: TemporaryName,
    id: FileId,
    _directory: Option<std::fs::File>,
}

/// Taken away when it is dropped.
#[derive(Debug)]
struct TemporaryName(PathBuf);

impl Drop for TemporaryName {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Takes away what a process of this number, which has ended, has left of a socket that it was
/// about to show at `path`.
pub(super) fn remove_what_is_left_of(path: &Path, pid: i32) {
    for number in 0..=TRIES {
        let name = match name_beside(path, pid, number) {
            NameBeside::Whole(name) => name,
            NameBeside::TooLong(suffix) => path.parent().unwrap_or(Path::new("/")).join(suffix),
        };
        let is_dead = matches!(unix_socket::named(&name), Ok(Named::Socket(_)))
            && matches!(unix_socket::is_alive(&name), Ok(false));
        if is_dead {
            // Whoever is faster has taken it away.
            let _ = std::fs::remove_file(&name);
        }
    }
}

/// How the temporary name of a socket is written.
enum NameBeside {
    Whole(PathBuf),
    /// With the path in front it is too long for a socket: this is it in its directory.
    TooLong(String),
}

fn name_beside(path: &Path, pid: i32, number: u32) -> NameBeside {
    let suffix = format!(".{pid}.{number}");
    let mut beside = path.as_os_str().to_owned();
    beside.push(&suffix);
    match beside.len() <= UNIX_PATH_BYTES_MAX {
        true => NameBeside::Whole(PathBuf::from(beside)),
        false => NameBeside::TooLong(suffix),
    }
}

impl Temporary {
    /// With its permissions, and ready for clients.
    fn listen(path: &Path, options: &PortOptions) -> Result<Self> {
        let failed = |error| refused(&options.listen, path, error);
        let temporary = Self::bind(path).map_err(failed)?;
        let mode = options.unix_mode.bits();
        unix_socket::set_mode(&temporary.name.0, temporary.id, mode).map_err(failed)?;
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
        let (path, directory) = match name_beside(path, process::current().get(), number) {
            NameBeside::Whole(name) => (name, None),
            // The way to it is made shorter.
            NameBeside::TooLong(suffix) => {
                let parent = path.parent().unwrap_or(Path::new("/"));
                let flags = libc::O_DIRECTORY | libc::O_PATH | libc::O_CLOEXEC;
                let directory =
                    std::fs::OpenOptions::new().read(true).custom_flags(flags).open(parent)?;
                use std::os::fd::AsRawFd as _;
                let short = format!("/proc/self/fd/{}/{suffix}", directory.as_raw_fd());
                (PathBuf::from(short), Some(directory))
            }
        };
        let socket = unix_socket::bind_to(&path)?;
        let name = TemporaryName(path);
        match unix_socket::named(&name.0)? {
            Named::Socket(id) => Ok(Self { socket, name, id, _directory: directory }),
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
                return Ok(self.published(path));
            }
        }
        Err(refuse::changing(url))
    }

    /// The path is its own: what could fail now would leave a dead socket there.
    fn published(self, path: &Path) -> (OwnedFd, OwnPath) {
        // The temporary name is gone or a dead socket's, and is taken away with the rest.
        (self.socket, OwnPath::new(path, self.id))
    }

    /// True when the path is ours; false when it is free no more.
    fn take_free(&self, path: &Path) -> io::Result<bool> {
        match unix_socket::rename_to_free(&self.name.0, path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) if unix_socket::is_unsupported(&error) => {
                std::fs::rename(&self.name.0, path).map(|()| true)
            }
            Err(error) => Err(error),
        }
    }

    /// Takes the path of a dead socket. True when it is ours; false when it has changed meanwhile.
    fn replace(&self, path: &Path, dead: FileId) -> io::Result<bool> {
        match unix_socket::exchange(&self.name.0, path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) if unix_socket::is_unsupported(&error) => {
                return std::fs::rename(&self.name.0, path).map(|()| true);
            }
            Err(error) => return Err(error),
        }
        if unix_socket::named(&self.name.0)? == Named::Socket(dead) {
            return Ok(true);
        }
        // Somebody was faster, and what we have taken is theirs.
        unix_socket::exchange(&self.name.0, path)?;
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
    fn a_path_that_is_lent_stays_until_it_is_our_own() {
        let scratch = Scratch::new("lent");
        let path = scratch.0.join("s");
        let (_listener, own) = open(&path).unwrap();
        let lent = || OwnPath::lent(&path, own.id());
        drop(lent());
        assert_eq!(scratch.names(), ["s"]);
        let mut ours = lent();
        ours.is_ours_now(0o640).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        drop(ours);
        assert_eq!(scratch.names(), Vec::<String>::new());
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

    /// Nothing is to be opened when the path is taken: that may fail, and the path would be lost.
    #[test]
    fn a_listener_that_appears_is_the_descriptor_that_was_bound() {
        use std::os::fd::AsRawFd as _;
        let scratch = Scratch::new("same");
        let path = scratch.0.join("s");
        let options =
            PortOptions { listen: ListenUrl::Unix(path.clone()), ..PortOptions::default() };
        let hidden = listen_hidden(&path, &options).unwrap();
        let bound = hidden.temporary.socket.as_raw_fd();
        let (listener, _own) = hidden.appear().unwrap();
        assert_eq!(listener.as_raw_fd(), bound);
    }

    #[test]
    fn what_a_process_that_was_killed_has_left_is_taken_away() {
        let scratch = Scratch::new("left");
        let longest = "x".repeat(UNIX_PATH_BYTES_MAX - scratch.0.as_os_str().len() - 1);
        for name in ["s", longest.as_str()] {
            let path = scratch.0.join(name);
            let options =
                PortOptions { listen: ListenUrl::Unix(path.clone()), ..PortOptions::default() };
            let (own, pid) = (process::current().get(), process::current().get() + 1);
            let hidden = listen_hidden(&path, &options).unwrap();
            remove_what_is_left_of(&path, own);
            assert_eq!(scratch.names().len(), 1, "it is alive");
            remove_what_is_left_of(&path, pid);
            assert_eq!(scratch.names().len(), 1, "it is another's");
            let Temporary { socket, name, .. } = hidden.temporary;
            std::mem::forget(name);
            drop(socket);
            remove_what_is_left_of(&path, own);
            assert_eq!(scratch.names(), Vec::<String>::new());
        }
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
