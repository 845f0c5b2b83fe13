//! What is appended to a file for a group of tasks, and what that makes of it.
//!
//! A group is composed, written by the driver, and then either stands ([`JournalWriter::stands`])
//! or does not ([`JournalWriter::failed`]). Settled tasks are owed to the file until a group with
//! them stands: a full disk brings no task back.

use std::collections::BTreeMap;

use super::file_header::FILE_HEADER_BYTES;
use super::key::Key;
use super::record::{Kind, StoredTask, append, record_bytes};

/// A file is written anew when it has so many more bytes of settled tasks than of others.
const SLACK_BYTES: u64 = 16 * 1024 * 1024;
/// Settled tasks in one record.
const SETTLED_MAX: usize = 4_096;

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its first byte in the file.
    pub offset: u64,
    /// Its bytes.
    pub len: usize,
}

/// One file that is written.
#[derive(Debug)]
pub struct JournalWriter {
    key: Key,
    /// Bytes that stand.
    length: u64,
    /// Bytes that the disk surely has.
    synced: u64,
    /// Where tasks stand that are not settled.
    live: BTreeMap<u64, Place>,
    live_bytes: u64,
    /// Settled tasks of which the file does not know that.
    owed: Vec<u64>,
    group: Group,
    is_broken: bool,
}

/// What was composed last.
#[derive(Debug, Default)]
struct Group {
    bytes: u64,
    tasks: Vec<u64>,
}

impl JournalWriter {
    /// A file with this key that has its header.
    #[must_use]
    pub const fn new(key: Key) -> Self {
        Self {
            key,
            length: FILE_HEADER_BYTES as u64,
            synced: 0,
            live: BTreeMap::new(),
            live_bytes: 0,
            owed: Vec::new(),
            group: Group { bytes: 0, tasks: Vec::new() },
            is_broken: false,
        }
    }

    /// Of its checksums.
    #[must_use]
    pub const fn key(&self) -> Key {
        self.key
    }

    /// Bytes of the file: what comes next is written there.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Whether there is something to write although nobody asks.
    #[must_use]
    pub const fn owes(&self) -> bool {
        !self.owed.is_empty()
    }

    /// Where the records of tasks stand that are not settled, by number.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        self.live.values().copied()
    }

    /// How many tasks are not settled.
    #[must_use]
    pub fn live(&self) -> usize {
        self.live.len()
    }

    /// Tasks are settled. Those that the file does not have are none.
    pub fn settle(&mut self, settled: impl IntoIterator<Item = u64>) {
        for number in settled {
            if let Some(place) = self.live.remove(&number) {
                self.live_bytes -= place.len as u64;
                self.owed.push(number);
            }
        }
    }

    /// Appends what is to be written at the end of the file: these tasks, and what is owed.
    pub fn compose<'a>(
        &mut self,
        tasks: impl IntoIterator<Item = StoredTask<'a>>,
        out: &mut Vec<u8>,
    ) {
        let begin = out.len();
        crate::invariant!(self.group.bytes == 0, "one group is written at a time");
        for settled in self.owed.chunks(SETTLED_MAX) {
            let body: Vec<u8> = settled.iter().flat_map(|number| number.to_le_bytes()).collect();
            let number = settled.len() as u64;
            let record = StoredTask { number, attempt: 0, due_unix_ms: 0, body: &body };
            let place = self.length + (out.len() - begin) as u64;
            append(out, self.key, place, Kind::Settled, self.synced, &record);
        }
        for task in tasks {
            let offset = self.length + (out.len() - begin) as u64;
            append(out, self.key, offset, Kind::Task, self.synced, &task);
            let place = Place { offset, len: record_bytes(task.body.len()) };
            self.live.insert(task.number, place);
            self.live_bytes += place.len as u64;
            self.group.tasks.push(task.number);
        }
        self.group.bytes = (out.len() - begin) as u64;
    }

    /// Appends a record that says nothing but what the disk has of the file.
    pub fn mark(&mut self, out: &mut Vec<u8>) {
        self.append_empty(Kind::Settled, out);
    }

    /// Appends the last record: the file was closed in order. Everything before it is on the disk.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        self.append_empty(Kind::Closed, out);
    }

    fn append_empty(&mut self, kind: Kind, out: &mut Vec<u8>) {
        let begin = out.len();
        let record = StoredTask { number: 0, attempt: 0, due_unix_ms: 0, body: &[] };
        append(out, self.key, self.length, kind, self.synced, &record);
        self.group.bytes = (out.len() - begin) as u64;
    }

    /// What was composed stands in the file.
    pub fn stands(&mut self) {
        self.length += self.group.bytes;
        self.group = Group::default();
        self.owed.clear();
    }

    /// It does not: the file is to be cut to [`JournalWriter::length`], and its tasks are not kept.
    pub fn failed(&mut self) {
        for number in std::mem::take(&mut self.group).tasks {
            if let Some(place) = self.live.remove(&number) {
                self.live_bytes -= place.len as u64;
            }
        }
    }

    /// The disk has everything that stands.
    pub const fn synced(&mut self) {
        self.synced = self.length;
    }

    /// Nobody knows what the disk has: the file has to be written anew before anything is kept.
    pub const fn broke(&mut self) {
        self.is_broken = true;
    }

    /// Whether the file cannot be appended to.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Whether the file should be written anew, with its tasks that are not settled only.
    #[must_use]
    pub const fn wants_rewriting(&self) -> bool {
        self.is_broken || self.dead_bytes() > self.live_bytes + SLACK_BYTES
    }

    /// Bytes that a new file would not have.
    #[must_use]
    pub const fn dead_bytes(&self) -> u64 {
        self.length.saturating_sub(self.live_bytes)
    }
}
