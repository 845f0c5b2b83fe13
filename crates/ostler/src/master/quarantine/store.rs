//! The directory of `quarantine_dir`: a file with the bytes of each package that killed its worker,
//! and one that says what is known of it.
//!
//! A package is found again by its length and a hash of its bytes, also after a restart: one that
//! kills a thousand workers is one file, and a count.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ostler_core::fnv::fnv1a;

use crate::error::{Error, Result};
use crate::log::Record;
use crate::options::Options;
use crate::sys::file_prospect;

/// What our files are called: other files in the directory are somebody else's.
const PREFIX: &str = "package-";
/// What a file is called that is not whole.
const PART: &str = "part";
/// A file with a description is not longer; one that is, is none of ours.
const DESCRIPTION_BYTES_MAX: u64 = 64 * 1024;

/// Packages in a directory.
#[derive(Debug)]
pub(crate) struct Store {
    /// Absolute, because the working directory may change.
    directory: PathBuf,
    packages_max: usize,
    bytes_max: u64,
    /// How many workers each has killed, by its name.
    kept: BTreeMap<String, u64>,
    bytes: u64,
}

/// What became of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// Its file.
    pub(super) path: PathBuf,
    /// How many workers it has killed.
    pub(super) count: u64,
}

/// Why a package is not kept.
#[derive(Debug)]
pub(super) enum NotKept {
    /// There are `quarantine_files_max`.
    Packages,
    /// It does not fit into `quarantine_bytes_max`.
    Bytes,
    /// It cannot be written.
    Failed(io::Error),
}

impl Store {
    /// The directory that the options name, if they name one, and what is in it.
    ///
    /// # Errors
    ///
    /// `is_option`, if it is not there, or nothing can be written into it.
    pub(crate) fn open(options: &Options) -> Result<Option<Self>> {
        if options.quarantine_dir.is_empty() {
            return Ok(None);
        }
        let directory = Path::new(&options.quarantine_dir);
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.into());
        let mut store = Self {
            directory,
            packages_max: options.quarantine_files_max as usize,
            bytes_max: options.quarantine_bytes_max as u64,
            kept: BTreeMap::new(),
            bytes: 0,
        };
        let made = store.look().and_then(|()| store.try_to_write());
        made.map(|()| Some(store)).map_err(|error| cannot_keep(&options.quarantine_dir, error))
    }

    /// Whether the directory that the options name could be used; nothing in it is touched.
    ///
    /// # Errors
    ///
    /// `is_option`, if not.
    pub(crate) fn check(options: &Options) -> Result<()> {
        let directory = &options.quarantine_dir;
        if directory.is_empty() {
            return Ok(());
        }
        let file = Path::new(directory).join(PREFIX);
        let usable = fs::read_dir(directory).and_then(|_| file_prospect::can_make_beside(&file));
        usable.map_err(|error| cannot_keep(directory, error))
    }

    /// Finds what was kept before, and removes what was not written to its end.
    fn look(&mut self) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let (name, path) = (entry.file_name(), entry.path());
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
                continue;
            };
            match path.extension().and_then(|extension| extension.to_str()) {
                Some(PART) => fs::remove_file(&path)?,
                Some("bin") => {
                    let stem = name.trim_end_matches(".bin").to_owned();
                    self.bytes = self.bytes.saturating_add(entry.metadata()?.len());
                    let count = count_in(&self.description_of(&stem)).unwrap_or(1);
                    self.kept.insert(stem, count);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn try_to_write(&self) -> io::Result<()> {
        let path = self.directory.join(format!("{PREFIX}0.{PART}"));
        create(&path)?;
        fs::remove_file(path)
    }

    /// A package has killed its worker: keeps it, or counts it if it is kept already. `record` says
    /// of whom it was and why the worker died.
    pub(super) fn keep(
        &mut self,
        package: &[u8],
        mut record: Record,
    ) -> std::result::Result<Kept, NotKept> {
        let name = format!("{PREFIX}{}-{:016x}", package.len(), fnv1a(package.iter().copied()));
        let path = self.directory.join(format!("{name}.bin"));
        let count = match self.kept.get(&name) {
            Some(count) => count.saturating_add(1),
            None => {
                let bytes = package.len() as u64;
                if self.kept.len() >= self.packages_max {
                    return Err(NotKept::Packages);
                }
                if self.bytes.saturating_add(bytes) > self.bytes_max {
                    return Err(NotKept::Bytes);
                }
                write_whole(&path, package).map_err(NotKept::Failed)?;
                self.bytes += bytes;
                1
            }
        };
        self.kept.insert(name.clone(), count);
        record.text("file", Some(format_args!("{name}.bin")));
        record.bare("bytes", Some(package.len()));
        record.bare("count", Some(count));
        let text = record.as_object() + "\n";
        write_whole(&self.description_of(&name), text.as_bytes()).map_err(NotKept::Failed)?;
        Ok(Kept { path, count })
    }

    fn description_of(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.json"))
    }
}

fn cannot_keep(directory: &str, error: io::Error) -> Error {
    let text = format!(
        "`quarantine_dir`: nothing can be kept in {directory}: make this directory, and let the \
         user of the server write into it"
    );
    Error::option_refused(text, error)
}

/// Opens a file that is not there, for the user of the server alone.
fn create(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Writes a file that is there as a whole or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_extension(PART);
    let written = create(&part)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&part, path));
    written.inspect_err(|_| {
        // Else it would be in the way of the next one.
        let _ = fs::remove_file(&part);
    })
}

/// The count in a description.
fn count_in(path: &Path) -> Option<u64> {
    if fs::metadata(path).ok()?.len() > DESCRIPTION_BYTES_MAX {
        return None;
    }
    let text = fs::read_to_string(path).ok()?;
    let (_, rest) = text.rsplit_once("\"count\":")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let name = format!("ostler-quarantine-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn open(&self, files: u32, bytes: usize) -> Store {
            let mut options = Options::default();
            options.set("quarantine_dir", self.0.to_str().unwrap()).unwrap();
            options.quarantine_files_max = files;
            options.quarantine_bytes_max = bytes;
            Store::open(&options).unwrap().unwrap()
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let mut names: Vec<_> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn record() -> Record {
        let mut record = Record::new("package killed its worker");
        record.text("peer", Some("192.0.2.1:80"));
        record
    }

    #[test]
    fn a_package_is_one_file_however_often_it_kills() {
        let directory = Directory::new("once");
        let mut store = directory.open(9, 4096);
        let kept = store.keep(b"poison", record()).unwrap();
        assert_eq!((fs::read(&kept.path).unwrap(), kept.count), (b"poison".to_vec(), 1));
        assert_eq!(store.keep(b"poison", record()).unwrap(), Kept { count: 2, ..kept.clone() });
        // Also for the next run.
        let mut store = directory.open(9, 4096);
        assert_eq!(store.keep(b"poison", record()).unwrap().count, 3);
        assert_eq!(store.keep(b"other", record()).unwrap().count, 1);
        assert_eq!(directory.names().len(), 4);
        let text = fs::read_to_string(kept.path.with_extension("json")).unwrap();
        let end = ".bin\",\"bytes\":6,\"count\":3}\n";
        assert!(text.contains("\"peer\":\"192.0.2.1:80\"") && text.ends_with(end), "{text}");
        for name in directory.names() {
            let mode = fs::metadata(directory.0.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for_in_this_run_or_the_next() {
        let directory = Directory::new("room");
        let mut store = directory.open(2, 10);
        store.keep(b"12345", record()).unwrap();
        assert!(matches!(store.keep(b"123456", record()), Err(NotKept::Bytes)));
        let mut store = directory.open(2, 10);
        assert!(matches!(store.keep(b"123456", record()), Err(NotKept::Bytes)));
        store.keep(b"1234", record()).unwrap();
        assert!(matches!(store.keep(b"1", record()), Err(NotKept::Packages)));
        assert_eq!(store.keep(b"1234", record()).unwrap().count, 2, "one that is known");
        assert_eq!(directory.names().len(), 4);
    }

    #[test]
    fn what_was_not_written_to_its_end_is_removed_and_others_files_stay() {
        let directory = Directory::new("rest");
        for name in ["package-7-00.part", "notes.part", "package-1-zz.bin"] {
            fs::write(directory.0.join(name), b"x").unwrap();
        }
        fs::write(directory.0.join("package-1-zz.json"), b"no object").unwrap();
        let store = directory.open(9, 10);
        assert_eq!(store.kept, BTreeMap::from([("package-1-zz".to_owned(), 1)]));
        assert_eq!(directory.names(), ["notes.part", "package-1-zz.bin", "package-1-zz.json"]);
    }

    #[test]
    fn a_directory_that_is_gone_is_an_error_each_time_and_none_that_stays() {
        let directory = Directory::new("gone");
        let mut store = directory.open(9, 4096);
        fs::remove_dir_all(&directory.0).unwrap();
        assert!(matches!(store.keep(b"poison", record()), Err(NotKept::Failed(_))));
        assert!(matches!(store.keep(b"poison", record()), Err(NotKept::Failed(_))));
        fs::create_dir(&directory.0).unwrap();
        assert_eq!(store.keep(b"poison", record()).unwrap().count, 1);
        // A symbolic link in the way of a package leads nowhere.
        std::os::unix::fs::symlink("/nowhere/else", directory.0.join("target")).unwrap();
        let part = store.directory.join(format!("{PREFIX}1-{:016x}.{PART}", fnv1a(*b"1")));
        std::os::unix::fs::symlink("target", &part).unwrap();
        assert!(matches!(store.keep(b"1", record()), Err(NotKept::Failed(_))));
    }

    #[test]
    fn a_directory_that_cannot_be_used_is_told_at_the_start() {
        for wrong in ["/no/such/directory", "/proc/version", "/proc"] {
            let mut options = Options::default();
            options.set("quarantine_dir", wrong).unwrap();
            let error = Store::open(&options).unwrap_err();
            let text = error.to_string();
            assert!(error.is_option() && text.contains(wrong), "{text}");
            assert!(text.contains("make this directory"), "{text}");
        }
    }
}
