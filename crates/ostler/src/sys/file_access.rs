//! Which files a process may open from now on, and that it binds and connects no more: landlock(7).
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{FileType, Mode, OFlags, fstat, open};

/// Rights to files, as the kernel numbers them.
const EXECUTE: u64 = 1 << 0;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIRECTORY: u64 = 1 << 3;
const REMOVE_FILE: u64 = 1 << 5;
const MAKE_FILE: u64 = 1 << 8;
const TRUNCATE: u64 = 1 << 14;
/// Rights to ports of TCP: to bind one, to connect to one.
const TCP: u64 = 0b11;

/// The first version of the kernel's interface that knows ports.
const WITH_PORTS: u32 = 4;

/// What a process may do below a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Access {
    /// Open files to read them, list directories.
    Read,
    /// That, write, make and remove files.
    Keep,
}

impl Access {
    const fn rights(self) -> u64 {
        match self {
            Self::Read => READ_FILE | READ_DIRECTORY,
            Self::Keep => {
                READ_FILE | READ_DIRECTORY | WRITE_FILE | TRUNCATE | MAKE_FILE | REMOVE_FILE
            }
        }
    }
}

/// `struct landlock_ruleset_attr`.
#[repr(C)]
struct Ruleset {
    files: u64,
    ports: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct Beneath {
    rights: u64,
    parent: i32,
}

/// `landlock_create_ruleset(2)`, `LANDLOCK_CREATE_RULESET_VERSION` — the version of what this
/// kernel can; `None`: nothing.
pub(crate) fn version() -> io::Result<Option<u32>> {
    const VERSION: libc::c_uint = 1;
    let nothing = std::ptr::null::<Ruleset>();
    // SAFETY: with this flag nothing is read.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0, VERSION) };
    match (u32::try_from(version), io::Error::last_os_error()) {
        (Ok(version), _) => Ok(Some(version).filter(|version| *version > 0)),
        // Not built, or not switched on.
        (_, error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EOPNOTSUPP)) => {
            Ok(None)
        }
        (_, error) => Err(error),
    }
}

/// All rights to files that a version knows.
const fn known_rights(version: u32) -> u64 {
    match version {
        0 | 1 => (1 << 13) - 1,
        2 => (1 << 14) - 1,
        3 | 4 => (1 << 15) - 1,
        _ => (1 << 16) - 1,
    }
}

/// What a thread is to open.
#[derive(Debug)]
pub(crate) struct Files {
    ruleset: OwnedFd,
}

impl Files {
    /// `landlock_create_ruleset(2)`, `landlock_add_rule(2)` — what lies below these paths, as they
    /// are now.
    ///
    /// A path that is not there is left out: nothing below it can be opened either.
    pub(crate) fn new(paths: &[(PathBuf, Access)]) -> io::Result<Self> {
        let version = version()?.ok_or(io::ErrorKind::Unsupported)?;
        let known = known_rights(version);
        let wanted = Ruleset { files: known, ports: if version < WITH_PORTS { 0 } else { TCP } };
        let size = if version < WITH_PORTS { size_of::<u64>() } else { size_of::<Ruleset>() };
        // SAFETY: the kernel reads `size` bytes of `wanted`, which has as many.
        let ruleset =
            unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const wanted, size, 0) };
        let ruleset = i32::try_from(ruleset).ok().filter(|number| *number >= 0);
        let ruleset = ruleset.ok_or_else(io::Error::last_os_error)?;
        // SAFETY: the call has just made this descriptor, and nobody else has it.
        let ruleset = unsafe { OwnedFd::from_raw_fd(ruleset) };
        for (path, access) in paths {
            match open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
                Ok(parent) => allow(&ruleset, &parent, access.rights() & known)?,
                Err(rustix::io::Errno::NOENT | rustix::io::Errno::ACCESS) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self { ruleset })
    }

    /// `landlock_restrict_self(2)` — this thread opens these files only from now on, and binds and
    /// connects no socket of TCP; and so do the threads that it starts. For ever. What is open
    /// stays open. Needs `no_new_privs`.
    pub(crate) fn restrict(&self) -> io::Result<()> {
        let ruleset = self.ruleset.as_raw_fd();
        // SAFETY: a descriptor that is open, and no flags.
        match unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset, 0) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

fn allow(ruleset: &OwnedFd, parent: &OwnedFd, rights: u64) -> io::Result<()> {
    const PATH_BENEATH: libc::c_int = 1;
    let is_directory = FileType::from_raw_mode(fstat(parent)?.st_mode) == FileType::Directory;
    let of_files = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE;
    let rights = if is_directory { rights } else { rights & of_files };
    let rule = Beneath { rights, parent: parent.as_raw_fd() };
    let ruleset = ruleset.as_raw_fd();
    // SAFETY: the kernel reads the rule, whose descriptor is open.
    let added = unsafe {
        libc::syscall(libc::SYS_landlock_add_rule, ruleset, PATH_BENEATH, &raw const rule, 0)
    };
    if added == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::privileges::forbid_new_privileges;
    use crate::sys::process::in_forked_test;
    use std::fs;
    use std::io::ErrorKind::PermissionDenied;

    #[test]
    fn only_what_lies_below_the_paths_is_opened_and_only_so_far() {
        if version().unwrap().is_none() {
            eprintln!("NOT TESTED: this kernel has no Landlock");
            return;
        }
        in_forked_test(|| {
            let here = std::env::temp_dir().join(format!("landlock-{}", std::process::id()));
            let [read, keep, other] = ["read", "keep", "other"].map(|name| here.join(name));
            for directory in [&read, &keep, &other] {
                fs::create_dir_all(directory).unwrap();
                fs::write(directory.join("file"), "there").unwrap();
            }
            forbid_new_privileges().unwrap();
            let gone = (here.join("gone"), Access::Keep);
            let one = (other.join("file"), Access::Read);
            let paths = [(read.clone(), Access::Read), (keep.clone(), Access::Keep), gone, one];
            Files::new(&paths).unwrap().restrict().unwrap();

            assert_eq!(fs::read(read.join("file")).unwrap(), b"there");
            let denied = fs::write(read.join("file"), "new").unwrap_err();
            assert_eq!(denied.kind(), PermissionDenied);
            assert_eq!(fs::remove_file(read.join("file")).unwrap_err().kind(), PermissionDenied);
            assert_eq!(fs::read(other.join("file")).unwrap(), b"there");
            assert_eq!(fs::write(other.join("new"), "").unwrap_err().kind(), PermissionDenied);
            assert_eq!(fs::read("/etc/passwd").unwrap_err().kind(), PermissionDenied);
            fs::write(keep.join("new"), "made").unwrap();
            fs::rename(keep.join("new"), keep.join("file")).unwrap();
            assert_eq!(fs::read(keep.join("file")).unwrap(), b"made");
            fs::remove_file(keep.join("file")).unwrap();
            if version().unwrap().is_some_and(|version| version >= WITH_PORTS) {
                let bound = std::net::TcpListener::bind("127.0.0.1:0").unwrap_err();
                assert_eq!(bound.kind(), PermissionDenied);
            }
            let inherited = std::thread::spawn(|| fs::read("/etc/passwd").is_err());
            assert!(inherited.join().unwrap());
        });
        // What it may not remove any more.
        for entry in fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
            let ended = entry.file_name().to_string_lossy().starts_with("landlock-");
            if ended {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}
