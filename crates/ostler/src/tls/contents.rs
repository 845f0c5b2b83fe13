//! What stands in the files of a port: read from them, or handed over by the process that has read
//! them (BASE mode, in which the master reads and the workers serve).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::directory;
use crate::options::TlsSettings;

/// Most bytes of a file of certificates: a bundle of all authorities of the web has a quarter.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The files of one port.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Contents(BTreeMap<PathBuf, Vec<u8>>);

/// Without what stands in the files: private keys do.
impl std::fmt::Debug for Contents {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_list().entries(self.0.keys()).finish()
    }
}

impl Contents {
    /// Reads all files that a port names. The text names the one that cannot be read.
    pub(crate) fn read(settings: &TlsSettings) -> Result<Self, String> {
        let mut contents = Self::default();
        settings.files().try_for_each(|path| contents.add(path))?;
        for path in settings.asked_authorities() {
            if path.is_dir() { contents.add_directory(path)? } else { contents.add(path)? }
        }
        Ok(contents)
    }

    /// These files, each with its path.
    #[cfg(any(test, fuzzing))]
    pub(super) fn of_files(files: impl Iterator<Item = (PathBuf, Vec<u8>)>) -> Self {
        Self(files.collect())
    }

    fn add(&mut self, path: &Path) -> Result<(), String> {
        // A certificate and its key may stand in one file.
        if !self.0.contains_key(path) {
            let file = File::open(path).map_err(|error| cannot_read(path, &error))?;
            self.0.insert(path.to_owned(), read(path, file)?);
        }
        Ok(())
    }

    fn add_directory(&mut self, path: &Path) -> Result<(), String> {
        self.0.extend(directory::read(path, read, |path, error| cannot_read(path, &error))?);
        Ok(())
    }

    /// The files of authorities that a path names: itself, or those that count in a directory.
    pub(super) fn authorities<'a>(&'a self, path: &'a Path) -> Result<Vec<&'a Path>, String> {
        if self.0.contains_key(path) {
            return Ok(vec![path]);
        }
        let inside = |file: &&PathBuf| {
            file.parent() == Some(path) && file.file_name().is_some_and(directory::counts)
        };
        let files: Vec<_> = self.0.keys().filter(inside).map(PathBuf::as_path).collect();
        if files.is_empty() {
            let path = path.display();
            return Err(format!(
                "there is no certificate in the directory `{path}`: PEM files count whose names \
                 end in `.pem`, `.crt` or `.cer`, or are such as `openssl rehash` makes"
            ));
        }
        Ok(files)
    }

    /// What stood in a file.
    pub(super) fn of(&self, path: &Path) -> Result<&[u8], String> {
        let missing = || format!("`{}` was not handed over", path.display());
        self.0.get(path).map(Vec::as_slice).ok_or_else(missing)
    }

    /// Appends them as bytes.
    pub(crate) fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&(self.0.len() as u64).to_le_bytes());
        for (path, content) in &self.0 {
            for part in [path.as_os_str().as_bytes(), content] {
                bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
                bytes.extend_from_slice(part);
            }
        }
    }

    /// Takes them from the front of such bytes; `None` when they are others.
    pub(crate) fn take(bytes: &mut &[u8]) -> Option<Self> {
        let mut files = BTreeMap::new();
        for _ in 0..take_number(bytes)? {
            let path = std::ffi::OsStr::from_bytes(take_part(bytes)?);
            files.insert(PathBuf::from(path), take_part(bytes)?.to_vec());
        }
        Some(Self(files))
    }
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*number))
}

fn take_part<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(take_number(bytes)?).ok()?;
    let (part, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(part)
}

fn cannot_read(path: &Path, error: &std::io::Error) -> String {
    let path = path.display();
    let advice = match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            ": the user of the server (`master_user`, if it is set) has to be able to read it"
        }
        _ => "",
    };
    format!("cannot read `{path}`: {error}{advice}")
}

fn read(path: &Path, file: File) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let taken = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    taken.map_err(|error| cannot_read(path, &error))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let path = path.display();
        return Err(format!(
            "`{path}` is longer than {FILE_BYTES_MAX} bytes: is it the right file?"
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_as_they_were_handed_over_and_other_bytes_are_none() {
        let mut files = BTreeMap::new();
        files.insert(PathBuf::from("/a.pem"), b"certificate".to_vec());
        files.insert(PathBuf::from("/a.key"), Vec::new());
        let (contents, mut bytes) = (Contents(files), Vec::new());
        contents.write(&mut bytes);
        Contents::default().write(&mut bytes);
        let mut rest = bytes.as_slice();
        assert_eq!(Contents::take(&mut rest), Some(contents));
        assert_eq!(Contents::take(&mut rest), Some(Contents::default()));
        assert!(rest.is_empty());
        for len in 0..bytes.len() - 8 {
            assert_eq!(Contents::take(&mut &bytes[..len]), None, "{len} bytes");
        }
        assert_eq!(Contents::take(&mut [0xff; 64].as_slice()), None);
    }

    #[test]
    fn what_stands_in_the_files_is_not_shown() {
        let contents = Contents([("/a.key".into(), b"secret".to_vec())].into());
        assert_eq!(format!("{contents:?}"), "[\"/a.key\"]");
    }
}
