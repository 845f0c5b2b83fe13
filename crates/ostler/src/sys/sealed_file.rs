//! Texts that a process gives to others, in files that nobody can change any more.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags};

use super::program;

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

/// `F_GET_SEALS`, `pread(2)` — all of a file that nobody can change, if it has no more than
/// `bytes_max`.
pub(crate) fn read(file: &OwnedFd, bytes_max: u64) -> io::Result<Vec<u8>> {
    if !is_sealed(file) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no sealed file"));
    }
    let length = program::length(file)?;
    let Some(length) = usize::try_from(length).ok().filter(|_| length <= bytes_max) else {
        let text = format!("it has {length} bytes, and may have {bytes_max}");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    };
    let mut bytes = vec![0; length];
    match program::read_at(file, 0, &mut bytes)? {
        true => Ok(bytes),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// `F_GET_SEALS` — whether nobody can change it.
fn is_sealed(file: &OwnedFd) -> bool {
    rustix::fs::fcntl_get_seals(file).is_ok_and(|seals| seals.contains(ALL))
}
