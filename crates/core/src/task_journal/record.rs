//! One record: a header of 56 bytes, its body, and zeros up to the next multiple of 8.
//!
//! | at | what |
//! |---|---|
//! | 0 | magic, 4 bytes |
//! | 4 | kind: 1 a task, 2 tasks that are settled (numbers), 3 the file was closed |
//! | 6 | attempt, 2 bytes: how often the task may have been started before |
//! | 8 | number of the task |
//! | 16 | when it is due, milliseconds of the machine's clock since 1970 |
//! | 24 | how much of the file was surely on the disk when this was written |
//! | 32 | bytes of the body, 4 bytes |
//! | 40 | checksum of the body |
//! | 48 | checksum of the header and of its place in the file |

use super::file_header::{number, put};
use super::key::Key;

/// Bytes of a record besides its body.
pub const RECORD_BYTES: usize = 56;
/// Records begin at multiples of this.
pub(super) const ALIGN: usize = 8;
const MAGIC: u32 = 0x4b53_4154;
const AT_SUM: usize = RECORD_BYTES - 8;

/// A task as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredTask<'a> {
    /// By which it is settled. Never given twice in a file.
    pub number: u64,
    /// How often it may have been started before.
    pub attempt: u16,
    /// When it is due, milliseconds since 1970; 0: at once.
    pub due_unix_ms: u64,
    /// Its terms and bytes.
    pub body: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Task = 1,
    Settled = 2,
    Closed = 3,
}

/// The header of a record that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) attempt: u16,
    pub(super) number: u64,
    pub(super) due_unix_ms: u64,
    pub(super) synced: u64,
    pub(super) len: u32,
    body_sum: u64,
}

/// Bytes of a record with a body of so many.
pub(super) const fn record_bytes(len: usize) -> usize {
    RECORD_BYTES + len.next_multiple_of(ALIGN)
}

/// Appends a record that will stand at `place`.
pub(super) fn append(
    out: &mut Vec<u8>,
    key: Key,
    place: u64,
    kind: Kind,
    synced: u64,
    task: &StoredTask<'_>,
) {
    let StoredTask { number, attempt, due_unix_ms, body } = *task;
    let mut header = [0; RECORD_BYTES];
    put(&mut header, 0, &MAGIC.to_le_bytes());
    put(&mut header, 4, &[kind as u8]);
    put(&mut header, 6, &attempt.to_le_bytes());
    put(&mut header, 8, &number.to_le_bytes());
    put(&mut header, 16, &due_unix_ms.to_le_bytes());
    put(&mut header, 24, &synced.to_le_bytes());
    put(&mut header, 32, &(body.len() as u32).to_le_bytes());
    put(&mut header, 40, &key.sum(place, body).to_le_bytes());
    let sum = key.sum(place, header.get(..AT_SUM).unwrap_or_default());
    put(&mut header, AT_SUM, &sum.to_le_bytes());
    out.extend_from_slice(&header);
    out.extend_from_slice(body);
    out.resize(out.len().next_multiple_of(ALIGN), 0);
}

impl Header {
    /// The header at `place`, whose bytes these are; `None` when there is none.
    pub(super) fn read(key: Key, place: u64, bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..RECORD_BYTES)?;
        let first = number(bytes, 0)?;
        if first as u32 != MAGIC || number(bytes, AT_SUM)? != key.sum(place, bytes.get(..AT_SUM)?) {
            return None;
        }
        let kind = match (first >> 32) as u8 {
            1 => Kind::Task,
            2 => Kind::Settled,
            3 => Kind::Closed,
            _ => return None,
        };
        Some(Self {
            kind,
            attempt: (first >> 48) as u16,
            number: number(bytes, 8)?,
            due_unix_ms: number(bytes, 16)?,
            synced: number(bytes, 24)?,
            len: number(bytes, 32)? as u32,
            body_sum: number(bytes, 40)?,
        })
    }

    /// The body, of these bytes that begin with it; `None` when it is spoilt or not whole.
    pub(super) fn body<'a>(&self, key: Key, place: u64, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (body, rest) = bytes.split_at_checked(self.len as usize)?;
        let pad = rest.get(..record_bytes(body.len()) - RECORD_BYTES - body.len())?;
        let is_sound = key.sum(place, body) == self.body_sum && pad.iter().all(|byte| *byte == 0);
        is_sound.then_some(body)
    }
}

/// The task whose record stands at `place` and has these bytes; `None` when that is spoilt.
#[must_use]
pub fn read_task(key: Key, place: u64, bytes: &[u8]) -> Option<StoredTask<'_>> {
    let header = Header::read(key, place, bytes).filter(|header| header.kind == Kind::Task)?;
    let body = header.body(key, place, bytes.get(RECORD_BYTES..)?)?;
    let Header { number, attempt, due_unix_ms, .. } = header;
    Some(StoredTask { number, attempt, due_unix_ms, body })
}
