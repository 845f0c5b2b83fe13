//! Opening the file of `task_journal` at the start of a server: what an earlier one has left, or
//! what is wrong and what to do.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use ostler_core::task_journal::{
    FILE_HEADER_BYTES, NotAJournal, Recovery, StoredTask, SyncPace, VERSION, recover,
};

use super::LeftTask;
use super::file::{JournalFile, Named, is_named};
use super::reading::{FileBytes, read_file};
use crate::claim::{Refusal, Words, open_what_is_there};
use crate::error::Result;
use crate::options::{JournalDamage, Options};
use crate::sys::{clock, file_prospect};

/// The option that names it.
const OPTION: &str = "task_journal";
const WORDS: Words = Words {
    unreadable: "cannot be read",
    no_file: "is no file, give the journal a path of its own",
};
/// Attempts to lock what the path names: it changes only while another server writes it anew.
const ATTEMPTS_MAX: usize = 8;

impl JournalFile {
    /// Opens the file that the options name, and takes what an earlier server has left in it.
    ///
    /// # Errors
    /// What is wrong with the file, and what to do.
    pub(crate) fn open(options: &Options) -> Result<(Self, Vec<LeftTask>)> {
        let path = PathBuf::from(&options.task_journal);
        let path = std::path::absolute(&path).unwrap_or(path);
        open(&path, options).map_err(|refusal| refusal.of_option(OPTION, &path))
    }

    /// Whether the file could be opened, or made, were it free; what stands in it is not read.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub(crate) fn check(options: &Options) -> Result<()> {
        let path = Path::new(&options.task_journal);
        let made = open_what_is_there(path, &WORDS).and_then(|_| {
            let made = file_prospect::can_make_beside(path);
            made.map_err(|error| Refusal::because(cannot_be_made(&error), error))
        });
        made.map_err(|refusal| refusal.of_option(OPTION, path))
    }
}

fn open(
    path: &Path,
    options: &Options,
) -> std::result::Result<(JournalFile, Vec<LeftTask>), Refusal> {
    let name = options.name_resolved();
    // Locked until the new one, which is locked, too, has its place.
    let before = lock_what_is_there(path)?;
    let file = before.as_ref().map_or(Ok(FileBytes::default()), read)?;
    let is_new = file.bytes.is_empty();
    let found = if is_new { None } else { Some(examine(&file, &name, path, options)?) };
    let left = found.as_ref().map_or_else(Vec::new, |found| left_in(&file.bytes, found));
    let stored = left.iter().map(|task| StoredTask {
        number: task.number,
        attempt: task.attempt,
        due_unix_ms: task.due_unix_ms,
        body: &task.body,
    });
    let pace = SyncPace::new(options.journal_sync_mode());
    let made = JournalFile::make(path.to_owned(), name, stored, pace, before.is_some());
    let file = made.map_err(|error| Refusal::because(cannot_be_made(&error), error))?;
    if let Some(found) = found.filter(|found| !found.tasks.is_empty() || found.torn() > 0) {
        let (path, tasks, torn) = (path.display(), left.len(), found.torn());
        tracing::info!(%path, tasks, torn, "takes over what an earlier server left");
    }
    Ok((file, left))
}

/// What the file has, if it can be used.
fn examine(
    file: &FileBytes,
    name: &str,
    path: &Path,
    options: &Options,
) -> std::result::Result<Recovery, Refusal> {
    let bytes = &file.bytes;
    let found = recover(bytes).map_err(|error| {
        let is_unread = file.unread.first().is_some_and(|unread| unread.start < FILE_HEADER_BYTES);
        let error = if is_unread { NotAJournal::Spoilt } else { error };
        Refusal::new(not_a_journal(error, bytes.len()))
    })?;
    let other = &found.header.name;
    if other != name {
        return Err(Refusal::new(format!(
            "has the tasks of the server `{other}`, and this one is `{name}`: give each server a \
             file of its own, or set `name = {other}` if it is the same"
        )));
    }
    // What the disk cannot read was there, also at the end of the file.
    if let Some((first, spoilt)) = found.damage().or_else(|| file.first_unread()) {
        let tasks = found.tasks.len();
        if options.task_journal_damage == JournalDamage::Refuse {
            return Err(Refusal::new(format!(
                "{spoilt} bytes are spoilt, the first of them at byte {first}; {tasks} tasks can \
                 be read. Restore the file, or start with `task_journal_damage = skip`, which \
                 goes on with these and leaves a copy of the file beside it"
            )));
        }
        let kept = keep_spoilt(path).map_err(|error| {
            Refusal::because("is spoilt, and cannot be kept under another name", error)
        })?;
        let kept = kept.display();
        tracing::error!(spoilt, first, tasks, %kept, "the journal of tasks is spoilt");
    }
    too_much(&found, options).map_or(Ok(found), |words| Err(Refusal::new(words)))
}

/// More than this server may have.
fn too_much(found: &Recovery, options: &Options) -> Option<String> {
    let (tasks, bytes) = (found.tasks.len(), found.body_bytes());
    if tasks > options.task_queue_max {
        return Some(format!("has {tasks} tasks: raise `task_queue_max` to that"));
    }
    (bytes > options.memory_budget as u64)
        .then(|| format!("has {bytes} bytes of tasks: raise `memory_budget` to more than that"))
}

fn left_in(bytes: &[u8], found: &Recovery) -> Vec<LeftTask> {
    let left = found.tasks.iter().map(|(number, task)| LeftTask {
        number: *number,
        // Whether any server had started it nobody knows. That is one attempt, however often the
        // server was started since: it would be given up without having been run.
        attempt: task.attempt.max(1),
        due_unix_ms: task.due_unix_ms,
        body: bytes.get(task.body.clone()).unwrap_or_default().to_vec(),
    });
    left.collect()
}

fn not_a_journal(error: NotAJournal, len: usize) -> String {
    match error {
        NotAJournal::OtherFile => "is a file of something else (its first bytes are not those of \
             a journal of tasks): give the journal a path of its own"
            .to_owned(),
        NotAJournal::TooShort => format!(
            "ends at byte {len}, before its first {FILE_HEADER_BYTES} bytes are whole, so that it \
             has no task: remove it"
        ),
        NotAJournal::Version(version) => format!(
            "is of version {version}, and this program reads versions up to {VERSION}: let the \
             program that wrote it work its tasks off, or move it away"
        ),
        NotAJournal::Spoilt => format!(
            "its first {FILE_HEADER_BYTES} bytes are spoilt, without which nothing in it can be \
             checked: restore it, or move it away"
        ),
    }
}

fn cannot_be_made(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound => "cannot be made: its directory has to exist",
        ErrorKind::PermissionDenied => {
            "cannot be made: the server has to be allowed to write in its directory"
        }
        ErrorKind::ReadOnlyFilesystem => {
            "cannot be made: its disk is read-only, name a path on another one"
        }
        ErrorKind::AlreadyExists | ErrorKind::WouldBlock => {
            "cannot be made: another server starts with it in this moment"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "cannot be written: there is no room for it, make some"
        }
        _ => "cannot be written",
    }
}

/// Locks the file that is there: no other server takes it at the same time.
fn lock_what_is_there(path: &Path) -> std::result::Result<Option<File>, Refusal> {
    for _ in 0..ATTEMPTS_MAX {
        let Some(file) = open_what_is_there(path, &WORDS)? else { return Ok(None) };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Refusal::new(
                    "another server runs with it: stop that first, a new master cannot take its \
                     place beside it",
                ));
            }
            Err(TryLockError::Error(error)) => {
                return Err(Refusal::because("cannot be locked", error));
            }
        }
        if matches!(is_named(&file, path), Named::Ours) {
            return Ok(Some(file));
        }
    }
    Err(Refusal::new("changes all the time, several servers start with it"))
}

fn read(file: &File) -> std::result::Result<FileBytes, Refusal> {
    let len = file.metadata().map_or(0, |found| found.len());
    let mut bytes = Vec::new();
    let reserved = usize::try_from(len).is_ok_and(|len| bytes.try_reserve_exact(len).is_ok());
    if !reserved {
        return Err(Refusal::new(format!("has {len} bytes, for which there is no memory")));
    }
    read_file(file, bytes, len as usize).map_err(|error| Refusal::because("cannot be read", error))
}

/// The spoilt file stays under another name, of the moment or, if one of that moment is there, of
/// the next one that is free.
pub(super) fn keep_spoilt(path: &Path) -> io::Result<PathBuf> {
    let mut moment = clock::unix_ms();
    loop {
        let mut kept = path.as_os_str().to_owned();
        kept.push(format!(".spoilt-{moment}"));
        let kept = PathBuf::from(kept);
        match std::fs::hard_link(path, &kept) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => moment += 1,
            linked => return linked.map(|()| kept),
        }
    }
}
