//! The processes of one server and their roles, found by descent from the master and by name.
//!
//! A process belongs to the tree when it descends from the master, when it was once seen to do so
//! (it may have been handed to another parent since), or when its environment carries the server's
//! marker: the last finds orphans that no look caught in time.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::process::Process;
use crate::procfs::{self, Stat};

/// The environment variable that marks every process of a server.
pub const MARKER: &str = "OSTLER_TESTKIT_ID";

const MANAGER: &str = "ostler-manager";
const SPARE: &str = "ostler-spare";
const WORKER: &str = "ostler-w";
const TASK_WORKER: &str = "ostler-t";

/// A server's processes.
#[derive(Debug)]
pub struct Tree {
    master: Process,
    marker: String,
    /// Everyone ever seen: pid and start time.
    seen: Mutex<HashMap<u32, u64>>,
}

impl Tree {
    pub(crate) fn new(master: Process, marker: String) -> Self {
        let seen = Mutex::new(HashMap::from([(master.pid(), master.started())]));
        Self { master, marker, seen }
    }

    /// The process that was started.
    #[must_use]
    pub fn master(&self) -> Process {
        self.master.clone()
    }

    /// The present manager, if there is one.
    ///
    /// A child has its parent's name until it has set its own, so a manager's child called
    /// "manager" is a worker or a spare in its first microseconds.
    #[must_use]
    pub fn manager(&self) -> Option<Process> {
        let members = self.members();
        let managers: HashSet<u32> =
            members.iter().filter(|stat| stat.comm == MANAGER).map(|stat| stat.pid).collect();
        newest(
            members
                .iter()
                .filter(|stat| managers.contains(&stat.pid) && !managers.contains(&stat.parent)),
        )
    }

    /// The sleeping second manager, if there is one.
    #[must_use]
    pub fn spare(&self) -> Option<Process> {
        newest(self.members().iter().filter(|stat| stat.comm == SPARE))
    }

    /// Every worker, serving or leaving, ordered by slot and within a slot by age, the oldest
    /// first.
    #[must_use]
    pub fn workers(&self) -> Vec<Process> {
        self.in_slots(WORKER)
    }

    /// Every task worker, in the same order.
    #[must_use]
    pub fn task_workers(&self) -> Vec<Process> {
        self.in_slots(TASK_WORKER)
    }

    fn in_slots(&self, kind: &str) -> Vec<Process> {
        let mut found: Vec<(u16, Stat)> = self
            .members()
            .into_iter()
            .filter_map(|stat| Some((slot_in(&stat.comm, kind)?, stat)))
            .collect();
        found.sort_by_key(|(slot, stat)| (*slot, stat.started, stat.pid));
        found.iter().filter_map(|(_, stat)| Process::hold(stat)).collect()
    }

    /// The newest worker of a slot, if there is one.
    #[must_use]
    pub fn worker(&self, slot: u16) -> Option<Process> {
        newest(self.members().iter().filter(|stat| slot_of(&stat.comm) == Some(slot)))
    }

    /// Every living process of the server, the master first.
    #[must_use]
    pub fn processes(&self) -> Vec<Process> {
        self.members().iter().filter_map(Process::hold).collect()
    }

    /// How many processes the server has had, as far as anybody looked.
    #[must_use]
    pub fn seen_count(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether a process of the server has had this number.
    pub(crate) fn has_seen(&self, pid: u32) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&pid)
    }

    /// The living members by descent, the master first.
    fn members(&self) -> Vec<Stat> {
        self.select(|_| false)
    }

    /// The living members by descent or marker. Reads every environment of the machine: for the end
    /// of a test.
    pub(crate) fn members_and_orphans(&self) -> Vec<Stat> {
        let master = self.master.pid();
        // A number stays taken while a group has it; a new process of that number means that our
        // group is no more.
        let reused = procfs::stat(master).is_some_and(|now| now.started != self.master.started());
        self.select(|stat| {
            (!reused && (stat.group == master || stat.session == master))
                || procfs::environment_value(stat.pid, MARKER).as_ref() == Some(&self.marker)
        })
    }

    fn select(&self, also: impl Fn(&Stat) -> bool) -> Vec<Stat> {
        let all = procfs::all_stats();
        let mut children: HashMap<u32, Vec<&Stat>> = HashMap::new();
        for stat in &all {
            children.entry(stat.parent).or_default().push(stat);
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut queue: Vec<&Stat> = all
            .iter()
            .filter(|stat| stat.pid != std::process::id())
            .filter(|stat| seen.get(&stat.pid) == Some(&stat.started) || also(stat))
            .collect();
        queue.sort_by_key(|stat| stat.pid != self.master.pid());
        let mut known: HashSet<u32> = queue.iter().map(|stat| stat.pid).collect();
        let mut next = 0;
        while let Some(parent) = queue.get(next).map(|stat| stat.pid) {
            for child in children.get(&parent).into_iter().flatten() {
                if known.insert(child.pid) {
                    queue.push(child);
                }
            }
            next += 1;
        }
        seen.extend(queue.iter().map(|stat| (stat.pid, stat.started)));
        queue.into_iter().filter(|stat| stat.is_alive()).cloned().collect()
    }

    /// Kills everything, master first so that nobody starts successors, until nobody is left.
    /// `false` when somebody resisted for `limit`.
    pub(crate) fn kill_all(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            let living = self.members_and_orphans();
            if living.is_empty() {
                return true;
            }
            let held: Vec<Process> = living.iter().filter_map(Process::hold).collect();
            for process in &held {
                process.kill();
            }
            for process in &held {
                let left = deadline.saturating_duration_since(Instant::now());
                if process.wait_gone(left).is_err() {
                    return false;
                }
            }
        }
    }

    /// One line per living process, for error texts.
    #[must_use]
    pub fn describe(&self) -> String {
        describe(&self.members())
    }
}

/// One line per process: number, parent, state, name.
pub(crate) fn describe(stats: &[Stat]) -> String {
    let lines: Vec<String> = stats
        .iter()
        .map(|stat| {
            format!("  pid {} parent {} state {} {}", stat.pid, stat.parent, stat.state, stat.comm)
        })
        .collect();
    if lines.is_empty() { "  (no process)".to_owned() } else { lines.join("\n") }
}

fn newest<'a>(stats: impl Iterator<Item = &'a Stat>) -> Option<Process> {
    stats.max_by_key(|stat| (stat.started, stat.pid)).and_then(Process::hold)
}

/// The slot in a worker's name: `ostler-w12` is in slot 12.
fn slot_of(comm: &str) -> Option<u16> {
    slot_in(comm, WORKER)
}

/// The slot in the name of a process of this kind.
fn slot_in(comm: &str, kind: &str) -> Option<u16> {
    comm.strip_prefix(kind)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_worker_has_a_slot() {
        assert_eq!(slot_of("ostler-w12"), Some(12));
        assert_eq!(slot_of("ostler-w"), None);
        assert_eq!(slot_of("ostler-t3"), None);
        assert_eq!(slot_in("ostler-t3", TASK_WORKER), Some(3));
        assert_eq!(slot_of("ostler-manager"), None);
    }
}
