//! The file with the master's number.
//!
//! What the file says is never trusted: who holds the lock of the file that the path names is the
//! server, and the lock ends with its process, however that ends. A file that nobody has locked is
//! left over, unless a process runs that may have written it: programs of other kinds do not lock.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::claim::{Refusal, Words, open_what_is_there};
use crate::error::Result;
use crate::sys::file_prospect;
use crate::sys::process::{self, ProcessId};
use crate::sys::process_start;

/// Bytes of the longest file that is believed to be one of this kind: a number and a line's end,
/// with room for spaces.
const LENGTH_MAX: u64 = 32;
/// The option that names it.
const OPTION: &str = "pid_file";
const WORDS: Words = Words {
    unreadable: "cannot be looked at",
    no_file: "is no file, give the pid file a path of its own",
};
/// Attempts to lock what the path names: it changes only while another server starts or ends there.
const ATTEMPTS_MAX: usize = 8;
/// What is said when the attempts are used up.
const UNSTEADY: &str = "changes all the time, several servers start with it";
/// What is said when it cannot be made.
const UNMADE: &str = "cannot be made, its directory has to exist and be writable for the server";
/// A process that began so long after the file was written did not write it: one of the two times
/// moves when the clock is set, and file systems round the other.
const DOUBT: Duration = Duration::from_secs(2);

/// The file while the server runs; dropping this removes it, if it is still ours.
#[derive(Debug)]
pub(super) struct PidFile {
    /// Absolute, because user code may change the working directory.
    path: PathBuf,
    /// Locked as long as it is open.
    file: File,
}

impl PidFile {
    /// Writes this process's number to the file, unless somebody else has it. The master whose
    /// place this one takes may have passed on its file.
    pub(super) fn claim(path: &str, passed_on: Option<OwnedFd>) -> Result<Option<Self>> {
        if path.is_empty() {
            return Ok(None);
        }
        let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
        Self::claim_path(path, passed_on).map(Some)
    }

    fn claim_path(path: PathBuf, passed_on: Option<OwnedFd>) -> Result<Self> {
        match Self::write(&path, passed_on.map(File::from)) {
            Ok(file) => Ok(Self { path, file }),
            Err(refusal) => Err(refusal.of_option(OPTION, &path)),
        }
    }

    /// Whether a server could have this file, were it free: that another one runs with it is no
    /// fault, because it may be the one whose options are looked at. Nothing is locked or made.
    pub(super) fn check(path: &str) -> Result<()> {
        if path.is_empty() {
            return Ok(());
        }
        let path = Path::new(path);
        let checked = match open_what_is_there(path, &WORDS) {
            Ok(Some(file)) => number(&file).map(drop),
            Ok(None) => Ok(()),
            Err(refusal) => Err(refusal),
        };
        let checked = checked.and_then(|()| {
            file_prospect::can_make_beside(path).map_err(|error| Refusal::because(UNMADE, error))
        });
        checked.map_err(|refusal| refusal.of_option(OPTION, path))
    }

    /// The new file comes into place as a whole and already locked, so that who reads it finds the
    /// old number or the new one.
    fn write(path: &Path, passed_on: Option<File>) -> std::result::Result<File, Refusal> {
        for _ in 0..ATTEMPTS_MAX {
            let before = match &passed_on {
                // Locked by the master that passed it on, and with that by us.
                Some(file) if is_named(file, path) => Some(file.try_clone()?),
                _ => lock_what_is_there(path)?,
            };
            let (file, new) = make_new(path)?;
            let placed = match before {
                // Nobody else replaces what is locked.
                Some(_) => std::fs::rename(&new, path),
                None => place_where_nothing_is(&new, path),
            };
            match placed {
                Ok(()) => return Ok(file),
                Err(error) => {
                    let _ = std::fs::remove_file(&new);
                    // Another server that starts at this moment was faster: it has the file now.
                    if before.is_some() || error.kind() != std::io::ErrorKind::AlreadyExists {
                        return Err(Refusal::because("cannot be written", error));
                    }
                }
            }
        }
        Err(Refusal::new(UNSTEADY))
    }
}

/// A locked file with our number, beside `path`; and where it is.
fn make_new(path: &Path) -> std::result::Result<(File, PathBuf), Refusal> {
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}.new", process::current()));
    let new = PathBuf::from(new);
    // Left by a server of this number that was killed in this moment.
    let _ = std::fs::remove_file(&new);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&new);
    let mut file = file.map_err(|error| Refusal::because(UNMADE, error))?;
    let written = file
        .try_lock()
        .map_err(std::io::Error::from)
        .and_then(|()| file.write_all(format!("{}\n", process::current()).as_bytes()));
    match written {
        Ok(()) => Ok((file, new)),
        Err(error) => {
            let _ = std::fs::remove_file(&new);
            Err(Refusal::because("cannot be written", error))
        }
    }
}

/// `renameat2(2)`, `RENAME_NOREPLACE`, and `link(2)` where the file system does not know that: of
/// several servers that find nothing one comes into place.
fn place_where_nothing_is(new: &Path, path: &Path) -> std::io::Result<()> {
    let renamed = renameat_with(CWD, new, CWD, path, RenameFlags::NOREPLACE);
    match renamed {
        Err(Errno::INVAL | Errno::NOSYS) => {
            std::fs::hard_link(new, path)?;
            std::fs::remove_file(new)
        }
        result => Ok(result?),
    }
}

impl PidFile {
    /// The file and its lock, for a new master that takes our place.
    pub(super) fn pass_on(&self) -> std::io::Result<OwnedFd> {
        Ok(self.file.try_clone()?.into())
    }

    /// Takes the file again that a new master has taken, and which is gone now.
    pub(super) fn claim_again(&mut self) -> Result<()> {
        if is_named(&self.file, &self.path) {
            return Ok(());
        }
        *self = Self::claim_path(self.path.clone(), None)?;
        Ok(())
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if is_named(&self.file, &self.path)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            let path = self.path.display();
            tracing::warn!(%error, %path, "the pid file cannot be removed");
        }
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        Self::because(WORDS.unreadable, error)
    }
}

/// Locks the file that is left over, if there is one: nobody else takes it at the same time.
fn lock_what_is_there(path: &Path) -> std::result::Result<Option<File>, Refusal> {
    for _ in 0..ATTEMPTS_MAX {
        let Some(file) = open_what_is_there(path, &WORDS)? else { return Ok(None) };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Refusal::new(held(&file))),
            Err(TryLockError::Error(error)) => {
                return Err(Refusal::because("cannot be locked", error));
            }
        }
        // Else another server has removed or replaced it meanwhile.
        if is_named(&file, path) {
            return check_left_over(&file).map(|()| Some(file));
        }
    }
    Err(Refusal::new(UNSTEADY))
}

fn held(file: &File) -> String {
    match number(file) {
        Ok(Some(pid)) => format!("another server runs with it, process {pid}: stop that first"),
        _ => "another server runs with it, or starts at this moment".to_owned(),
    }
}

/// Whether a file that nobody has locked may be replaced.
fn check_left_over(file: &File) -> std::result::Result<(), Refusal> {
    let Some(pid) = number(file)? else { return Ok(()) };
    if pid == process::current() {
        // A container that was started again: the same numbers as before.
        return Ok(());
    }
    let written = file.metadata().and_then(|found| found.modified());
    let (Ok(started), Ok(written)) = (process_start::started(pid), written) else { return Ok(()) };
    if may_have_written(started, written) {
        return Err(Refusal::new(format!(
            "has the number of process {pid}, which runs and may have written it: stop that first, \
             or remove the file if it is of nobody"
        )));
    }
    Ok(())
}

/// Whether a process that began then may have written a file that was written then.
fn may_have_written(started: SystemTime, written: SystemTime) -> bool {
    written.checked_add(DOUBT).is_none_or(|latest| started <= latest)
}

/// The number in the file; none if it is empty. Everything else is not ours to replace.
fn number(file: &File) -> std::result::Result<Option<ProcessId>, Refusal> {
    let mut text = String::new();
    if file.take(LENGTH_MAX).read_to_string(&mut text).is_ok() {
        if text.is_empty() {
            return Ok(None);
        }
        if let Some(pid) = text.trim().parse().ok().and_then(ProcessId::new) {
            return Ok(Some(pid));
        }
    }
    Err(Refusal::new(
        "is a file of something else (there is more in it than the number of a process): give the \
         pid file a path of its own",
    ))
}

/// Whether the path names this file.
fn is_named(file: &File, path: &Path) -> bool {
    let (Ok(this), Ok(named)) = (file.metadata(), std::fs::symlink_metadata(path)) else {
        return false;
    };
    (this.dev(), this.ino()) == (named.dev(), named.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_began_later_has_not_written_it() {
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        assert!(may_have_written(written - Duration::from_secs(500), written));
        assert!(may_have_written(written + DOUBT, written));
        assert!(!may_have_written(written + DOUBT + Duration::from_millis(1), written));
    }
}
