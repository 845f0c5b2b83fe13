//! What a file says that its server has left behind, however that ended.
//!
//! A file is cut where the server was killed, and what was not yet surely on the disk may be gone
//! in any part when the machine has failed: that is no damage, nobody was told that it is kept.
//! What cannot be read although a later record says that it was on the disk is damage, and told as
//! that.

use std::collections::BTreeMap;
use std::ops::Range;

use super::file_header::{FILE_HEADER_BYTES, FileHeader, NotAJournal, number};
use super::key::Key;
use super::record::{ALIGN, Header, Kind, RECORD_BYTES, record_bytes};

/// A task that is not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundTask {
    /// How often it may have been started before that server began.
    pub attempt: u16,
    /// When it is due, milliseconds since 1970; 0: at once.
    pub due_unix_ms: u64,
    /// Where its body stands in the file.
    pub body: Range<usize>,
}

/// Bytes that are no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Where they stand in the file.
    pub bytes: Range<usize>,
    /// They had been on the disk. Else they were on their way to it, and nobody relied on them.
    pub is_damage: bool,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// What the file says of itself.
    pub header: FileHeader,
    /// Tasks that are not settled, by number.
    pub tasks: BTreeMap<u64, FoundTask>,
    /// What cannot be read, in order.
    pub gaps: Vec<Gap>,
    /// The file was closed in order.
    pub is_closed: bool,
}

impl Recovery {
    /// The first bytes that are damaged, and how many are in all.
    #[must_use]
    pub fn damage(&self) -> Option<(usize, usize)> {
        let damaged = || self.gaps.iter().filter(|gap| gap.is_damage);
        let first = damaged().next()?.bytes.start;
        Some((first, damaged().map(|gap| gap.bytes.len()).sum()))
    }

    /// Bytes that were not whole when the server ended.
    #[must_use]
    pub fn torn(&self) -> usize {
        let torn = self.gaps.iter().filter(|gap| !gap.is_damage);
        torn.map(|gap| gap.bytes.len()).sum()
    }

    /// Bytes of the bodies of all tasks.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.tasks.values().map(|task| task.body.len() as u64).sum()
    }
}

/// Reads a whole file.
///
/// # Errors
/// Why it is no file of ours.
pub fn recover(file: &[u8]) -> Result<Recovery, NotAJournal> {
    let header = FileHeader::read(file)?;
    let key = header.key;
    let mut found = Recovery { header, tasks: BTreeMap::new(), gaps: Vec::new(), is_closed: false };
    let (mut at, mut synced) = (FILE_HEADER_BYTES, 0);
    while at < file.len() {
        let Some(record) = header_at(key, file, at) else {
            let next = next_record(key, file, at + ALIGN);
            found.add_gap(at..next);
            at = next;
            continue;
        };
        synced = synced.max(record.synced);
        let end = (at + record_bytes(record.len as usize)).min(file.len());
        let from_body = file.get(at + RECORD_BYTES..).unwrap_or_default();
        match record.body(key, at as u64, from_body) {
            Some(body) => found.take(&record, at + RECORD_BYTES, body),
            None => found.add_gap(at..end),
        }
        at = end;
    }
    for gap in &mut found.gaps {
        gap.is_damage = (gap.bytes.start as u64) < synced;
    }
    Ok(found)
}

fn header_at(key: Key, file: &[u8], at: usize) -> Option<Header> {
    Header::read(key, at as u64, file.get(at..)?)
}

/// The first place from `at` on where a record stands, or the end.
fn next_record(key: Key, file: &[u8], at: usize) -> usize {
    let mut places = (at..file.len()).step_by(ALIGN);
    places.find(|at| header_at(key, file, *at).is_some()).unwrap_or(file.len())
}

impl Recovery {
    fn add_gap(&mut self, bytes: Range<usize>) {
        self.is_closed = false;
        self.gaps.push(Gap { bytes, is_damage: false });
    }

    fn take(&mut self, record: &Header, at: usize, body: &[u8]) {
        self.is_closed = record.kind == Kind::Closed;
        match record.kind {
            Kind::Task => {
                let Header { number, attempt, due_unix_ms, .. } = *record;
                let body = at..at + body.len();
                self.tasks.insert(number, FoundTask { attempt, due_unix_ms, body });
            }
            Kind::Settled => {
                for at in (0..body.len()).step_by(8) {
                    let Some(number) = number(body, at) else { continue };
                    self.tasks.remove(&number);
                }
            }
            Kind::Closed => {}
        }
    }
}
