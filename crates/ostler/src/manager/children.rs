//! The table of worker processes.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;

use ostler_core::ids::{ProcessKey, ProcessKind};
use ostler_core::{Millis, invariant};
use ostler_shm::black_box::memory::BlackBox;
use ostler_shm::black_box::phase::Seen;

use super::worker_message::Said;
use crate::control::ShortText;
use crate::sys::pidfd::PidFd;
use crate::sys::process::ProcessId;

/// A forked worker that has not been reaped.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) pid: ProcessId,
    pub(super) pidfd: PidFd,
    /// Where it speaks; `None` once it has closed its end or has said too much. Its life goes on
    /// without.
    pub(super) control: Option<OwnedFd>,
    /// What it writes about itself.
    pub(super) black_box: BlackBox,
    /// When it was forked.
    pub(super) forked_at: Millis,
    /// How much memory it had then, all of it shared, bytes; 0 where nobody asks.
    pub(super) inherited_bytes: u64,
    /// It has said that it is ready.
    pub(super) is_ready: bool,
    /// Its code is that of the server: it is a fork, or the program that it is has come to its
    /// server.
    pub(super) has_begun: bool,
    /// Why it could not start, in its own words.
    pub(super) start_error: Option<ShortText>,
    /// Messages that it has sent, also those that were none.
    pub(super) said: Said,
}

impl Child {
    /// The callback that runs in it, as it says.
    pub(super) fn running(&self) -> Option<Seen> {
        if self.black_box.is_understood() { self.black_box.phase()?.read() } else { None }
    }
}

/// All workers, found by key and, for reaping, by number.
#[derive(Debug, Default)]
pub(super) struct Children {
    by_key: HashMap<ProcessKey, Child>,
    by_pid: HashMap<ProcessId, ProcessKey>,
}

impl Children {
    /// In how many event workers a callback runs.
    pub(super) fn busy_workers(&self) -> u16 {
        let workers = self.by_key.iter().filter(|(key, _)| key.kind == ProcessKind::Event);
        let busy = workers.filter(|(_, child)| child.running().is_some());
        u16::try_from(busy.count()).unwrap_or(u16::MAX)
    }

    pub(super) fn insert(&mut self, key: ProcessKey, child: Child) {
        self.by_pid.insert(child.pid, key);
        let before = self.by_key.insert(key, child);
        invariant!(before.is_none(), "a key names one process, ever");
    }

    pub(super) fn get(&self, key: ProcessKey) -> Option<&Child> {
        self.by_key.get(&key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ProcessKey, &Child)> {
        self.by_key.iter().map(|(key, child)| (*key, child))
    }

    pub(super) fn get_mut(&mut self, key: ProcessKey) -> Option<&mut Child> {
        self.by_key.get_mut(&key)
    }

    pub(super) fn key_of(&self, pid: ProcessId) -> Option<ProcessKey> {
        self.by_pid.get(&pid).copied()
    }

    pub(super) fn remove(&mut self, key: ProcessKey) -> Option<Child> {
        let child = self.by_key.remove(&key)?;
        self.by_pid.remove(&child.pid);
        Some(child)
    }

    /// Second pidfds of all of them.
    pub(super) fn pidfds(&self) -> io::Result<Vec<PidFd>> {
        let clone = |child: &Child| child.pidfd.try_clone().map(PidFd::from_descriptor);
        self.by_key.values().map(clone).collect()
    }

    /// Takes all of them, for the end.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Child> + '_ {
        self.by_pid.clear();
        self.by_key.drain().map(|(_, child)| child)
    }
}
