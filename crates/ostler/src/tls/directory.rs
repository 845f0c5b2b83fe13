//! A directory of authorities: which of its files count, and what is read of them.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Most names that are looked at: more is a directory of something else.
const NAMES_MAX: usize = 16_384;
/// Most files of certificates: all authorities of the web are some hundreds, each with a link.
const FILES_MAX: usize = 4_096;
/// Most bytes of all of them.
const DIRECTORY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Whether a file of this name is read: what `openssl rehash` takes for a certificate (`.pem`,
/// `.crt`, `.cer`), and what it makes (eight hexadecimal digits, a dot, a number).
pub(crate) fn counts(name: &OsStr) -> bool {
    let name = name.as_bytes();
    let Some(dot) = name.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0) else {
        return false;
    };
    let (stem, end) = name.split_at(dot);
    let is_hash = stem.len() == 8 && stem.iter().all(u8::is_ascii_hexdigit);
    let is_number = end.len() > 1 && end.iter().skip(1).all(u8::is_ascii_digit);
    let is_named = [".pem", ".crt", ".cer"].iter().any(|known| end == known.as_bytes());
    (is_named && !name.starts_with(b".")) || (is_hash && is_number)
}

/// The files that count, by their names; links among them, also such as lead nowhere.
pub(crate) fn files_in(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for (index, entry) in std::fs::read_dir(directory)?.enumerate() {
        if index == NAMES_MAX {
            return Err(too_many(format!("more than {NAMES_MAX} names")));
        }
        let name = entry?.file_name();
        if counts(&name) {
            files.push(directory.join(name));
        }
    }
    if files.len() > FILES_MAX {
        return Err(too_many(format!("more than {FILES_MAX} files of certificates")));
    }
    files.sort_unstable();
    Ok(files)
}

fn too_many(what: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("it has {what}: is it the right one?"))
}

/// What stands in the files that count and have certificates. `read` is told what it is given.
pub(super) fn read(
    directory: &Path,
    read: impl Fn(&Path, std::fs::File) -> Result<Vec<u8>, String>,
    failed: impl Fn(&Path, io::Error) -> String,
) -> Result<Vec<(PathBuf, Vec<u8>)>, String> {
    let files = files_in(directory).map_err(|error| failed(directory, error))?;
    let mut contents = Vec::new();
    let mut bytes = 0_usize;
    for path in files {
        let Some(file) = open(&path).map_err(|error| failed(&path, error))? else { continue };
        let content = read(&path, file)?;
        bytes = bytes.saturating_add(content.len());
        if bytes > DIRECTORY_BYTES_MAX {
            let directory = directory.display();
            return Err(format!(
                "the files of certificates in `{directory}` have more than {DIRECTORY_BYTES_MAX} \
                 bytes: is it the right directory?"
            ));
        }
        if has_certificates(&content) {
            contents.push((path, content));
        }
    }
    Ok(contents)
}

/// A file; `None` for a link that leads nowhere, one that has just gone, and what is no file.
fn open(path: &Path) -> io::Result<Option<std::fs::File>> {
    // A pipe would wait for somebody who writes.
    let flags = rustix::fs::OFlags::NONBLOCK.bits();
    let flags = i32::try_from(flags).unwrap_or_default();
    match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => Ok(file.metadata()?.is_file().then_some(file)),
        // A socket cannot be opened at all (ENXIO).
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => {
            Ok(None)
        }
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Keys and lists of revoked certificates have names like theirs. One that is spoilt counts, so
/// that it is told.
fn has_certificates(content: &[u8]) -> bool {
    CertificateDer::pem_slice_iter(content).next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_as_openssl_has_them() {
        for name in ["a.pem", "a.b.crt", "a.cer", "0a1b2c3d.0", "0A1B2C3D.12", "x y.pem"] {
            assert!(counts(OsStr::new(name)), "{name}");
        }
        for name in [
            "",
            ".",
            "pem",
            ".pem",
            ".a.pem",
            "a.pem~",
            "a.PEM",
            "a.key",
            "a.crl",
            "a.der",
            "a.",
            "0a1b2c3d.r0",
            "0a1b2c3d.",
            "0a1b2c3d",
            "0a1b2c3.0",
            "0a1b2c3de.0",
            "0a1b2c3g.0",
            "..data",
            "README",
        ] {
            assert!(!counts(OsStr::new(name)), "{name}");
        }
    }
}
