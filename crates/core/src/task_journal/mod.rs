//! The tasks that outlive their server, as a file of records has them.
//!
//! **Responsible for:** the form of the file; what a file says after a crash, at whatever byte it
//! was cut and whichever byte of it was spoilt; what is to be appended for a group of tasks, and
//! when the file is written anew. Every record is known by a keyed checksum over its bytes and its
//! place, so that nothing that stands inside a task is ever taken for a record.
//!
//! **Must never:** do I/O, read a clock, or take for kept what is not known to be.
//!
//! One file per idea: `file_header` (whose file it is), `record`, `recovery` (what is found),
//! `writer` (what is appended), `sync_pace` (when the disk is asked to have it). Decision 51.

mod file_header;
mod key;
mod record;
mod recovery;
mod sync_pace;
#[cfg(test)]
mod tests;
mod writer;

pub use file_header::{FILE_HEADER_BYTES, FileHeader, NAME_BYTES_MAX, NotAJournal, VERSION};
pub use key::Key;
pub use record::{RECORD_BYTES, StoredTask, read_task};
pub use recovery::{FoundTask, Gap, Recovery, recover};
pub use sync_pace::{SyncMode, SyncPace};
pub use writer::{JournalWriter, Place};
