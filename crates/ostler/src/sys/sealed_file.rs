//! Texts that a process gives to others, in files that nobody can change any more.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags};

use super::program;

const ALL: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// Bytes that are copied at once: as many as stay in a cache.
const PIECE_BYTES: usize = 64 * 1024;

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

/// `pread(2)` — the first `length` bytes of a file, a piece after the other. False: it has fewer,
/// or they can be changed.
pub(crate) fn copy(file: &OwnedFd, length: u64, mut take: impl FnMut(&[u8])) -> io::Result<bool> {
    if !is_sealed(file) || program::length(file)? < length {
        return Ok(false);
    }
    let mut piece = vec![0; PIECE_BYTES];
    let mut at = 0;
    while at < length {
        let most = usize::try_from(length - at).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let Some(piece) = piece.get_mut(..most) else { return Ok(false) };
        if !program::read_at(file, at, piece)? {
            return Ok(false);
        }
        take(piece);
        at += most as u64;
    }
    Ok(true)
}

/// `F_GET_SEALS` — whether nobody can change it.
fn is_sealed(file: &OwnedFd) -> bool {
    rustix::fs::fcntl_get_seals(file).is_ok_and(|seals| seals.contains(ALL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_copied_as_it_was_made_and_no_other_one() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|index| (index % 251) as u8).collect();
        let file = create("sealed", &bytes).unwrap();
        for length in [0, 1, PIECE_BYTES, PIECE_BYTES + 1, bytes.len()] {
            let mut came = Vec::new();
            assert!(copy(&file, length as u64, |piece| came.extend_from_slice(piece)).unwrap());
            assert!(came == bytes[..length], "{length}");
        }
        let refuses = |file, length| !copy(file, length, |_| panic!("nothing is copied")).unwrap();
        assert!(refuses(&file, bytes.len() as u64 + 1) && refuses(&file, u64::MAX));
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let open = rustix::fs::memfd_create("open", flags).unwrap();
        rustix::io::write(&open, b"bytes").unwrap();
        rustix::fs::fcntl_add_seals(&open, SealFlags::SHRINK).unwrap();
        assert!(refuses(&open, 5));
        let path = std::env::temp_dir().join(format!("ostler-sealed-{}", std::process::id()));
        std::fs::write(&path, b"bytes").unwrap();
        let regular = std::fs::File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(refuses(&regular.into(), 5));
    }
}
