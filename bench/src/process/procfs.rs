//! Reading /proc: who is whose child, and how long each thread ran.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Error, ErrorKind, Result};

/// A process or thread id together with its start time: names one task for good, while a bare id
/// may be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TaskId {
    pub(super) id: u32,
    /// Clock ticks since boot.
    pub(super) started: u64,
}

/// What is used of `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) state: char,
    pub(super) parent: u32,
    pub(super) started: u64,
}

/// Parses a `stat` line. The name in parentheses may itself hold spaces and parentheses.
pub(super) fn parse_stat(text: &str) -> Option<Stat> {
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    // Field 22 of proc_pid_stat(5); `state` is field 3.
    let started = fields.nth(22 - 5)?.parse().ok()?;
    Some(Stat { state, parent, started })
}

/// Turns "it is gone" into `None`: tasks may end at any time.
fn unless_gone<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn read_stat(path: &str) -> Result<Option<Stat>> {
    let Some(text) = unless_gone(fs::read_to_string(path))? else { return Ok(None) };
    let bad = || Error::new(ErrorKind::InvalidData, format!("cannot parse {path}"));
    parse_stat(&text).ok_or_else(bad).map(Some)
}

/// The process with this pid.
pub(super) fn stat(pid: u32) -> Result<Option<Stat>> {
    read_stat(&format!("/proc/{pid}/stat"))
}

fn ids_in(path: &str) -> Result<Vec<u32>> {
    let Some(entries) = unless_gone(fs::read_dir(path))? else { return Ok(Vec::new()) };
    let mut ids = Vec::new();
    for entry in entries {
        let Some(entry) = unless_gone(entry)? else { continue };
        ids.extend(entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(ids)
}

/// Every process of the system.
pub(super) fn processes() -> Result<BTreeMap<u32, Stat>> {
    let mut found = BTreeMap::new();
    for pid in ids_in("/proc")? {
        if let Some(stat) = stat(pid)? {
            found.insert(pid, stat);
        }
    }
    Ok(found)
}

/// The threads of a process and the nanoseconds each has run.
pub(super) fn threads(pid: u32) -> Result<Vec<(TaskId, u64)>> {
    let mut found = Vec::new();
    for id in ids_in(&format!("/proc/{pid}/task"))? {
        let path = format!("/proc/{pid}/task/{id}");
        let Some(stat) = read_stat(&format!("{path}/stat"))? else { continue };
        let path = format!("{path}/schedstat");
        let Some(text) = unless_gone(fs::read_to_string(&path))? else { continue };
        let ran_ns = text.split_ascii_whitespace().next().and_then(|field| field.parse().ok());
        let bad = || Error::new(ErrorKind::InvalidData, format!("cannot parse {path}"));
        found.push((TaskId { id, started: stat.started }, ran_ns.ok_or_else(bad)?));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_parsed_whatever_the_name() {
        let tail = "S 41 3 3 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1000 100";
        for name in ["sh", "a b", ") S 1 (", "(x))"] {
            let stat = parse_stat(&format!("42 ({name}) {tail}")).unwrap();
            assert_eq!(stat, Stat { state: 'S', parent: 41, started: 98_765 });
        }
        assert_eq!(parse_stat("42 (sh) S 41"), None);
    }

    #[test]
    fn this_process_is_there_with_its_threads() {
        let own = std::process::id();
        assert!(processes().unwrap().contains_key(&own));
        let threads = threads(own).unwrap();
        assert!(threads.iter().any(|(_, ran_ns)| *ran_ns > 0));
    }

    #[test]
    fn what_is_gone_is_not_an_error() {
        assert_eq!(stat(u32::MAX).unwrap(), None);
        assert_eq!(threads(u32::MAX).unwrap(), []);
    }
}
