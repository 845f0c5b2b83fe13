//! What replies of a Redis say, which may lie: anything else than what was asked is an error.

use std::fmt;

use redis::Value;

use super::link::{Done, Failure, good};

/// The id of an entry of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct EntryId(u64, u64);

impl fmt::Display for EntryId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.0, self.1)
    }
}

/// An entry that should be a task.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// Which server has added it.
    pub(super) by: Vec<u8>,
    pub(super) due_unix_ms: u64,
    pub(super) body: Option<Vec<u8>>,
}

/// A server that takes part.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: Vec<u8>,
    /// Entries that it has.
    pub(super) pending: u64,
    /// Since when it has not been heard of, milliseconds.
    pub(super) silent_ms: u64,
}

fn strange(what: &str) -> Failure {
    format!("its reply is no {what}")
}

fn list(reply: Value, what: &str) -> Done<Vec<Value>> {
    match good(reply)? {
        Value::Array(values) => Ok(values),
        Value::Nil => Ok(Vec::new()),
        _ => Err(strange(what)),
    }
}

fn bytes(reply: Value, what: &str) -> Done<Vec<u8>> {
    match good(reply)? {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) => Ok(text.into_bytes()),
        _ => Err(strange(what)),
    }
}

fn number(bytes: &[u8]) -> Option<u64> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// The id of an entry.
pub(super) fn id(reply: Value) -> Done<EntryId> {
    let what = "id of an entry";
    let bytes = bytes(reply, what)?;
    let mut halves = bytes.split(|byte| *byte == b'-').map(number);
    match (halves.next(), halves.next(), halves.next()) {
        (Some(Some(ms)), Some(Some(seq)), None) => Ok(EntryId(ms, seq)),
        _ => Err(strange(what)),
    }
}

/// What `XRANGE` and `XCLAIM` answer with. What was removed since is left out.
pub(super) fn entries(reply: Value) -> Done<Vec<(EntryId, Entry)>> {
    let found = list(reply, "list of entries")?;
    found.into_iter().filter(|entry| *entry != Value::Nil).map(entry).collect()
}

fn entry(reply: Value) -> Done<(EntryId, Entry)> {
    let what = "entry";
    let Ok([found, fields]) = <[Value; 2]>::try_from(list(reply, what)?) else {
        return Err(strange(what));
    };
    let mut entry = Entry::default();
    let mut fields = list(fields, what)?.into_iter();
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        let value = bytes(value, what)?;
        match bytes(name, what)?.as_slice() {
            b"by" => entry.by = value,
            b"due" => entry.due_unix_ms = number(&value).unwrap_or(0),
            b"body" => entry.body = Some(value),
            _ => {}
        }
    }
    Ok((id(found)?, entry))
}

/// What `XREADGROUP` of one stream answers with.
pub(super) fn new_entries(reply: Value) -> Done<Vec<(EntryId, Entry)>> {
    let mut streams = list(reply, "list of streams")?;
    let Some(stream) = streams.pop() else { return Ok(Vec::new()) };
    match <[Value; 2]>::try_from(list(stream, "stream")?) {
        Ok([_, found]) if streams.is_empty() => entries(found),
        _ => Err(strange("stream")),
    }
}

/// What `XINFO CONSUMERS` answers with.
pub(super) fn members(reply: Value) -> Done<Vec<Member>> {
    list(reply, "list of servers")?.into_iter().map(member).collect()
}

fn member(reply: Value) -> Done<Member> {
    let what = "server";
    let (mut name, mut pending, mut silent) = (None, None, None);
    let mut fields = list(reply, what)?.into_iter();
    while let (Some(field), Some(value)) = (fields.next(), fields.next()) {
        match (bytes(field, what)?.as_slice(), value) {
            (b"name", Value::BulkString(bytes)) => name = Some(bytes),
            (b"pending", Value::Int(count)) => pending = u64::try_from(count).ok(),
            (b"idle", Value::Int(ms)) => silent = u64::try_from(ms).ok(),
            _ => {}
        }
    }
    let all = name.zip(pending).zip(silent);
    let ((name, pending), silent_ms) = all.ok_or_else(|| strange(what))?;
    Ok(Member { name, pending, silent_ms })
}

/// The ids that `XPENDING` answers with.
pub(super) fn pending(reply: Value) -> Done<Vec<EntryId>> {
    let what = "list of what is pending";
    let first = |entry| list(entry, what)?.into_iter().next().ok_or_else(|| strange(what));
    list(reply, what)?.into_iter().map(|entry| id(first(entry)?)).collect()
}
