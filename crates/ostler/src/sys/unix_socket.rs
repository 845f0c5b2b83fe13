//! Unix stream sockets: bind, name, credentials.
#![allow(unsafe_code)]

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, acceptfrom_with, bind, connect,
    getsockname, socket_with,
};

/// Device and inode: which file a name means.
pub(crate) type FileId = (u64, u64);

/// What a path names, the last component not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Nothing,
    Socket(FileId),
    Other,
}

/// `socket(2)`, `bind(2)` — makes a nonblocking stream socket with this path, closed on exec.
pub(crate) fn bind_to(path: &Path) -> io::Result<OwnedFd> {
    let socket = new()?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// `listen(2)` — lets clients connect.
pub(crate) fn listen(socket: impl AsFd, backlog: i32) -> io::Result<()> {
    Ok(rustix::net::listen(socket, backlog)?)
}

/// `lstat(2)` — what the path names.
pub(crate) fn named(path: &Path) -> io::Result<Named> {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => Ok(Named::Socket((found.dev(), found.ino()))),
        Ok(_) => Ok(Named::Other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Named::Nothing),
        Err(error) => Err(error),
    }
}

/// `chmod(2)` — gives the socket at a path its permissions, if it is still this one.
///
/// Who may write into its directory may have put a link in its place, and `chmod` by the path would
/// change the file that this leads to. So the file is opened, which needs no right to it and
/// follows nothing, looked at, and changed through its descriptor, for which /proc has a name.
pub(crate) fn set_mode(path: &Path, id: FileId, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
    let flags = libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    if (found.dev(), found.ino()) != id {
        return Err(io::Error::other("somebody has put another file in the socket's place"));
    }
    let opened = format!("/proc/self/fd/{}", file.as_raw_fd());
    let changed = std::fs::set_permissions(opened, std::fs::Permissions::from_mode(mode));
    changed.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            io::Error::other("/proc is not mounted, through which the socket gets its permissions")
        }
        _ => error,
    })
}

/// `connect(2)` — whether somebody listens at the path: a socket that nobody holds any more
/// refuses.
pub(crate) fn is_alive(path: &Path) -> io::Result<bool> {
    match connect(&new()?, &SocketAddrUnix::new(path)?) {
        // Its queue may be full, or it may be of another kind: somebody holds it.
        Ok(()) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::PROTOTYPE) => Ok(true),
        Err(rustix::io::Errno::CONNREFUSED) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// `renameat2(2)`, `RENAME_NOREPLACE` — gives a file a name that is free; `AlreadyExists` when it
/// is not.
pub(crate) fn rename_to_free(from: &Path, to: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

/// `renameat2(2)`, `RENAME_EXCHANGE` — two files swap their names.
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

/// Whether an error says that the file system cannot do the above.
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP))
}

/// `accept4(2)`, `getsockopt(2)`, `SO_PEERCRED` — takes one connection, nonblocking and closed on
/// exec, and says which process made it: number (0 in another pid namespace), user, group.
pub(crate) fn accept(listener: impl AsFd) -> io::Result<(OwnedFd, [u32; 3])> {
    let (connection, _) = acceptfrom_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    let credentials = credentials(&connection)?;
    Ok((connection, credentials))
}

/// `getsockname(2)` — the path of a unix socket; of one in the abstract name space its name behind
/// an `@`, as systemd writes it.
pub(crate) fn local_path(socket: impl AsFd) -> io::Result<PathBuf> {
    let address = SocketAddrUnix::try_from(getsockname(socket)?)?;
    Ok(match (address.path(), address.abstract_name()) {
        (Some(path), _) => PathBuf::from(OsStr::from_bytes(path.to_bytes())),
        (None, Some(name)) => PathBuf::from(OsStr::from_bytes(&[b"@", name].concat())),
        (None, None) => PathBuf::new(),
    })
}

fn credentials(connection: &OwnedFd) -> io::Result<[u32; 3]> {
    let mut found = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the descriptor is open (borrowed), and the kernel writes at most `length` bytes into
    // `found`, which is a plain struct of integers.
    let result = unsafe {
        libc::getsockopt(
            connection.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut found).cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok([u32::try_from(found.pid).unwrap_or(0), found.uid, found.gid])
}

fn new() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::os::unix::net::UnixListener;

    #[test]
    fn permissions_are_given_to_the_socket_and_to_nothing_that_stands_in_its_place() {
        let directory = std::env::temp_dir().join(format!("set-mode-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let [path, precious] = ["s", "precious"].map(|name| directory.join(name));
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        std::fs::write(&precious, "secret").unwrap();
        std::fs::set_permissions(&precious, std::fs::Permissions::from_mode(0o600)).unwrap();
        let _own = UnixListener::bind(&path).unwrap();
        let Named::Socket(id) = named(&path).unwrap() else { panic!("no socket") };
        for bits in [0o666, 0o600] {
            set_mode(&path, id, bits).unwrap();
            assert_eq!(mode(&path), bits);
        }
        std::fs::rename(&path, directory.join("moved")).unwrap();
        symlink(&precious, &path).unwrap();
        let linked = set_mode(&path, id, 0o666);
        assert_eq!(mode(&precious), 0o600, "{linked:?}");
        assert!(linked.is_err());
        std::fs::remove_file(&path).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        let before = mode(&path);
        assert!(set_mode(&path, id, 0o666).is_err());
        assert_eq!(mode(&path), before);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
