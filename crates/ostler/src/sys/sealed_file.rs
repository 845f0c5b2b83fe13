//! Texts that a process gives to others, in files that nobody can change any more.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags};

const ALL: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// `memfd_create(2)`, `F_ADD_SEALS` — makes a file of these bytes.
pub(crate) fn create(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let file = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let count = rustix::io::write(&file, rest)?;
        rest = rest.get(count..).unwrap_or(&[]);
    }
    rustix::fs::fcntl_add_seals(&file, ALL)?;
    Ok(file)
}

/// `F_GET_SEALS` — whether nobody can change it.
pub(crate) fn is_sealed(file: &OwnedFd) -> bool {
    rustix::fs::fcntl_get_seals(file).is_ok_and(|seals| seals.contains(ALL))
}
