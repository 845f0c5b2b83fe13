//! Bytes for another process: an anonymous file that nobody can change any more.

use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags};

/// `memfd_create(2)` — a file with these bytes, sealed.
pub(crate) fn of_bytes(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let file = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = std::fs::File::from(file);
    file.write_all(bytes)?;
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    Ok(file.into())
}

/// `pread(2)` — all bytes of a file. The place at which others read it does not move.
pub(crate) fn bytes_of(file: impl AsFd) -> io::Result<Vec<u8>> {
    let len = rustix::fs::fstat(&file)?.st_size;
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    let mut read = 0;
    while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match rustix::io::pread(&file, rest, read as u64)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            some => read += some,
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_by_everybody_and_written_by_nobody() {
        let file = of_bytes("ostler-test", b"some bytes").unwrap();
        let other = file.try_clone().unwrap();
        assert_eq!(bytes_of(&file).unwrap(), b"some bytes");
        assert_eq!(bytes_of(&other).unwrap(), b"some bytes");
        assert!(std::fs::File::from(other).write_all(b"x").is_err());
        assert_eq!(bytes_of(of_bytes("ostler-test", b"").unwrap()).unwrap(), b"");
    }
}
