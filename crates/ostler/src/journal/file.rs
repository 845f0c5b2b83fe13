//! The file of `task_journal` while the server runs.

#[cfg(test)]
use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ostler_core::Millis;
use ostler_core::task_journal::{FileHeader, JournalWriter, Key, StoredTask, SyncPace, read_task};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::reading::read_at;
use super::{LeftTask, Stored, TaskStore, TaskToKeep};
use crate::sys::{clock, random};

/// A file that could not be written anew is tried again so much later.
const RETRY_MS: Millis = 1_000;
/// Attempts to make a new file where something is left.
const ATTEMPTS_MAX: usize = 8;
/// Bytes that are written at once when a file is written anew.
const PIECE_BYTES: usize = 1024 * 1024;

/// The file.
pub(crate) struct JournalFile {
    path: PathBuf,
    /// The name of the server.
    name: String,
    /// Locked as long as it is open.
    file: File,
    writer: JournalWriter,
    pace: SyncPace,
    counts: Counts,
    /// A new file is not tried before.
    retry_at: Option<Millis>,
    /// What is to be written; kept for its memory.
    scratch: Vec<u8>,
    /// The next write ends with an error behind so many bytes.
    #[cfg(test)]
    breaks_at: Option<usize>,
}

/// What was done so far.
#[derive(Default)]
struct Counts {
    /// Tasks that are kept.
    kept: u64,
    /// Writes of them, and of what was settled.
    groups: u64,
    bytes: u64,
    /// How often the disk was asked to have it.
    syncs: u64,
    rewrites: u64,
    failures: u64,
}

impl Counts {
    fn log(&self) {
        let Self { kept, groups, bytes, syncs, rewrites, failures } = self;
        tracing::info!(kept, groups, bytes, syncs, rewrites, failures, "books of task_journal");
    }
}

impl JournalFile {
    /// Makes the file at `path` anew, with these tasks, and puts it into place; `replaces`: of one
    /// that this server has the lock of, else of none.
    pub(super) fn make<'a>(
        path: PathBuf,
        name: String,
        tasks: impl Iterator<Item = StoredTask<'a>>,
        pace: SyncPace,
        replaces: bool,
    ) -> io::Result<Self> {
        let New { file, writer, placed } = make_new(&path, &name, replaces, |write| {
            for task in tasks {
                write(task)?;
            }
            Ok(())
        })?;
        placed?;
        Ok(Self {
            path,
            name,
            file,
            writer,
            pace,
            counts: Counts::default(),
            retry_at: None,
            scratch: Vec::new(),
            #[cfg(test)]
            breaks_at: None,
        })
    }

    /// Makes a new file of the tasks that are not settled, if that is due and possible.
    fn rewrite_if_wanted(&mut self) -> Stored<()> {
        if !self.writer.wants_rewriting() {
            return Ok(());
        }
        let now = clock::monotonic_ms();
        let result = if self.retry_at.is_some_and(|at| now < at) {
            Err("it cannot be written anew, which is tried again in a second".to_owned())
        } else {
            let result = self.rewrite();
            self.retry_at = result.is_err().then_some(now + RETRY_MS);
            result
        };
        // One that is only too long goes on as it is.
        if self.writer.is_broken() { result } else { Ok(()) }
    }

    fn rewrite(&mut self) -> Stored<()> {
        let (key, old, writer) = (self.writer.key(), &self.file, &self.writer);
        let mut lost = 0_u64;
        let made = make_new(&self.path, &self.name, true, |write| {
            let mut bytes = Vec::new();
            for place in writer.places() {
                bytes.resize(place.len, 0);
                let is_read = read_all_at(old, &mut bytes, place.offset)?;
                match read_task(key, place.offset, &bytes).filter(|_| is_read) {
                    Some(task) => write(task)?,
                    None => lost += 1,
                }
            }
            Ok(())
        });
        let failed = |error: io::Error| format!("it cannot be written anew: {error}");
        let New { file, writer, placed } = made.map_err(failed)?;
        if lost > 0 {
            let path = self.path.display();
            tracing::error!(%path, lost, "kept tasks were spoilt on the disk");
        }
        // Whether its place is sure or not: the old one is no longer there.
        self.file = file;
        self.writer = writer;
        self.counts.rewrites += 1;
        self.pace.synced();
        placed.map_err(|error| {
            self.writer.broke();
            failed(error)
        })
    }

    /// Whether there is something to write although nobody asks.
    const fn has_to_commit(&self) -> bool {
        self.writer.owes() || self.writer.is_broken()
    }

    /// The file has to be where the next server looks for it.
    fn check_place(&mut self) -> Stored<()> {
        match is_named(&self.file, &self.path) {
            Named::Ours => {}
            Named::Nothing => self.writer.broke(),
            Named::Other => return Err("another file has its place".to_owned()),
        }
        Ok(())
    }

    fn write_group(&mut self, tasks: &[TaskToKeep]) -> Stored<()> {
        let mut out = std::mem::take(&mut self.scratch);
        out.clear();
        let stored = tasks.iter().map(|task| StoredTask {
            number: task.number,
            attempt: 0,
            due_unix_ms: task.due_unix_ms,
            body: &task.body,
        });
        self.writer.compose(stored, &mut out);
        let written = self.write(&out, !tasks.is_empty() && self.pace.is_before_answers());
        out.shrink_to(PIECE_BYTES);
        self.scratch = out;
        if written.is_err() {
            self.writer.failed();
            if self.file.set_len(self.writer.length()).is_err() {
                self.writer.broke();
            }
        }
        written.map_err(|error| error.to_string())
    }

    /// The next write ends behind so many bytes, as on a full disk.
    #[cfg(test)]
    pub(super) const fn break_next_write(&mut self, at: usize) {
        self.breaks_at = Some(at);
    }

    /// As if the time until a new file is tried again were over.
    #[cfg(test)]
    pub(super) const fn retry_now(&mut self) {
        self.retry_at = None;
    }

    fn write(&mut self, out: &[u8], syncs: bool) -> io::Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        #[cfg(test)]
        if let Some(at) = self.breaks_at.take() {
            self.file.write_all_at(out.get(..at).unwrap_or(out), self.writer.length())?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write_all_at(out, self.writer.length())?;
        self.counts.groups += 1;
        self.counts.bytes += out.len() as u64;
        if !syncs {
            self.writer.stands();
            self.pace.wrote(clock::monotonic_ms());
            return Ok(());
        }
        self.counts.syncs += 1;
        if let Err(error) = self.file.sync_data() {
            // What the disk has of it now nobody knows, and a second attempt would not tell.
            self.writer.broke();
            return Err(error);
        }
        self.writer.stands();
        self.writer.synced();
        self.pace.synced();
        Ok(())
    }
}

impl TaskStore for JournalFile {
    fn commit(&mut self, tasks: &[TaskToKeep], settled: &[u64]) -> Stored<()> {
        self.writer.settle(settled.iter().copied());
        let place = self.check_place().and_then(|()| self.rewrite_if_wanted());
        let result = place.and_then(|()| self.write_group(tasks));
        match result {
            Ok(()) => self.counts.kept += tasks.len() as u64,
            Err(_) => self.counts.failures += 1,
        }
        result
    }

    fn due(&self) -> Option<Millis> {
        let again = self.has_to_commit().then(|| clock::monotonic_ms() + RETRY_MS);
        // No sync makes a broken file good.
        let sync = self.pace.due().filter(|_| !self.writer.is_broken());
        [sync, again].into_iter().flatten().min()
    }

    /// A file has one server: nobody else leaves anything.
    fn tend(&mut self, _room: usize) -> Stored<Vec<LeftTask>> {
        self.do_what_is_due().map(|()| Vec::new())
    }

    fn close(&mut self) {
        if self.has_to_commit() {
            // Nobody comes after a second: now or never.
            self.retry_at = None;
            let _ = self.commit(&[], &[]);
        }
        self.counts.log();
        let mut out = Vec::new();
        if self.writer.is_broken() || self.file.sync_data().is_err() {
            return;
        }
        self.writer.synced();
        self.writer.close(&mut out);
        // Without it the end only looks like that of a server that was killed.
        let _ = self.file.write_all_at(&out, self.writer.length());
        let _ = self.file.sync_data();
    }
}

impl JournalFile {
    fn do_what_is_due(&mut self) -> Stored<()> {
        let now = clock::monotonic_ms();
        let result = if self.has_to_commit() { self.commit(&[], &[]) } else { Ok(()) };
        // What stands is synced, also when there is no room for more.
        if self.writer.is_broken() || self.pace.due().is_none_or(|due| now < due) {
            return result;
        }
        self.pace.synced();
        self.counts.syncs += 1;
        match self.file.sync_data() {
            Ok(()) => {
                self.writer.synced();
                result
            }
            Err(error) => {
                self.writer.broke();
                self.rewrite_if_wanted().map_err(|_| error.to_string())
            }
        }
    }
}

/// Reads so many bytes; false: the disk cannot.
fn read_all_at(file: &File, mut into: &mut [u8], mut at: u64) -> io::Result<bool> {
    while !into.is_empty() {
        match read_at(file, into, at) {
            Ok(0) => return Ok(false),
            Ok(count) => {
                into = into.get_mut(count..).unwrap_or_default();
                at += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.raw_os_error() == Some(libc::EIO) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// A new file that has its place.
struct New {
    file: File,
    writer: JournalWriter,
    /// An error: whether it still has it after a failure of the machine nobody knows.
    placed: io::Result<()>,
}

/// A new file beside `path`, with what `fill` writes, locked, and then in its place. An error: the
/// place has what it had before.
fn make_new(
    path: &Path,
    name: &str,
    replaces: bool,
    fill: impl FnOnce(&mut dyn FnMut(StoredTask<'_>) -> io::Result<()>) -> io::Result<()>,
) -> io::Result<New> {
    let directory = directory_of(path)?;
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let file = make_locked(&new)?;
    let made = write_new(&file, name, fill).and_then(|writer| {
        put_into_place(&new, path, replaces)?;
        Ok(writer)
    });
    if made.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    let writer = made?;
    Ok(New { file, writer, placed: sync_directory(&directory) })
}

/// A new file at this path, locked. One that is there was left by a server that was killed in this
/// moment, unless one has its lock: that makes it.
fn make_locked(new: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    for _ in 0..ATTEMPTS_MAX {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create_new(true).mode(0o600);
        match options.custom_flags(libc::O_NOFOLLOW).open(new) {
            Ok(file) => {
                file.try_lock().map_err(io::Error::from)?;
                // It may have been taken for one that was left before it had its lock.
                if matches!(is_named(&file, new), Named::Ours) {
                    return Ok(file);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match OpenOptions::new().read(true).custom_flags(flags).open(new) {
                    Ok(left) => {
                        left.try_lock().map_err(io::Error::from)?;
                        if matches!(is_named(&left, new), Named::Ours) {
                            std::fs::remove_file(new)?;
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    // Nothing that a server of this user makes.
                    Err(_) => std::fs::remove_file(new)?,
                }
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

/// Gives a new file its path. Where there was none nobody had a lock, and another server may have
/// been faster: its file stays.
fn put_into_place(new: &Path, path: &Path, replaces: bool) -> io::Result<()> {
    if replaces {
        return std::fs::rename(new, path);
    }
    match renameat_with(CWD, new, CWD, path, RenameFlags::NOREPLACE) {
        // Not every file system can.
        Err(Errno::INVAL | Errno::NOSYS) => {
            std::fs::hard_link(new, path)?;
            std::fs::remove_file(new)
        }
        renamed => Ok(renamed?),
    }
}

fn write_new(
    file: &File,
    name: &str,
    fill: impl FnOnce(&mut dyn FnMut(StoredTask<'_>) -> io::Result<()>) -> io::Result<()>,
) -> io::Result<JournalWriter> {
    let key = Key(random::seed()?, random::seed()?);
    let mut writer = JournalWriter::new(key);
    let mut out = FileHeader { key, name: name.to_owned() }.to_bytes().to_vec();
    let mut at = 0;
    fill(&mut |task| {
        writer.compose([task], &mut out);
        writer.stands();
        if out.len() >= PIECE_BYTES {
            file.write_all_at(&out, at)?;
            at += out.len() as u64;
            out.clear();
        }
        Ok(())
    })?;
    file.write_all_at(&out, at)?;
    file.sync_all()?;
    writer.synced();
    if writer.live() > 0 {
        // Else nothing would say that what cannot be read of them later is damage.
        let mut mark = Vec::new();
        writer.mark(&mut mark);
        file.write_all_at(&mark, writer.length())?;
        writer.stands();
        file.sync_data()?;
        writer.synced();
    }
    Ok(writer)
}

#[cfg(test)]
thread_local! {
    /// The next sync of a directory in this thread fails.
    pub(super) static DIRECTORY_FAILS: Cell<bool> = const { Cell::new(false) };
}

fn directory_of(path: &Path) -> io::Result<File> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))
}

fn sync_directory(directory: &File) -> io::Result<()> {
    #[cfg(test)]
    if DIRECTORY_FAILS.take() {
        return Err(io::ErrorKind::Other.into());
    }
    directory.sync_all()
}

/// What a path names.
pub(super) enum Named {
    Ours,
    Nothing,
    Other,
}

pub(super) fn is_named(file: &File, path: &Path) -> Named {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(this), Ok(named)) if (this.dev(), this.ino()) == (named.dev(), named.ino()) => {
            Named::Ours
        }
        (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => Named::Nothing,
        _ => Named::Other,
    }
}
