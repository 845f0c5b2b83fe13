//! CPU time of a whole server: every thread of a process and of all its descendants.
//!
//! The scheduler's own count in nanoseconds (`schedstat`), not the 10 ms ticks of `stat`. For a
//! thread that sleeps the count is exact; for one that runs at the moment of the sample it may lack
//! up to a scheduler tick, so sample when the server is idle.

use std::collections::{BTreeMap, BTreeSet};

use super::procfs::{self, Stat, TaskId};
use crate::{Error, Result};

/// The life of one thread under the meter.
#[derive(Debug, Clone, Copy)]
struct Reading {
    first_ns: u64,
    last_ns: u64,
}

/// Sums the CPU time used by a process tree since the meter was made.
///
/// Threads and processes that appear count from their beginning; one that ends keeps what was seen
/// at the last [`CpuMeter::sample`] before, so the total never falls. A descendant once seen stays
/// in, also after its parent died.
#[derive(Debug)]
pub struct CpuMeter {
    tree: BTreeSet<TaskId>,
    threads: BTreeMap<TaskId, Reading>,
}

/// The members of `tree` that still live, with all their descendants.
fn grow(tree: &BTreeSet<TaskId>, processes: &BTreeMap<u32, Stat>) -> BTreeSet<TaskId> {
    let mut children: BTreeMap<u32, Vec<TaskId>> = BTreeMap::new();
    for (&id, stat) in processes {
        let child = TaskId { id, started: stat.started };
        children.entry(stat.parent).or_default().push(child);
    }
    let lives =
        |task: &&TaskId| processes.get(&task.id).is_some_and(|stat| stat.started == task.started);
    let mut open: Vec<TaskId> = tree.iter().filter(lives).copied().collect();
    let mut found = BTreeSet::new();
    while let Some(task) = open.pop() {
        if found.insert(task) {
            open.extend(children.get(&task.id).into_iter().flatten());
        }
    }
    found
}

/// All descendants of `root` and `root` itself, as far as they live.
pub(super) fn tree_of(root: TaskId) -> Result<BTreeSet<TaskId>> {
    let processes = procfs::processes().map_err(Error::system("read /proc"))?;
    Ok(grow(&BTreeSet::from([root]), &processes))
}

/// The full id of a living process.
pub(super) fn identify(pid: u32) -> Result<Option<TaskId>> {
    let stat = procfs::stat(pid).map_err(Error::system("read /proc/PID/stat"))?;
    Ok(stat.map(|stat| TaskId { id: pid, started: stat.started }))
}

impl CpuMeter {
    /// Starts at zero for the tree under `root`, `root` included.
    pub fn start(root: u32) -> Result<Self> {
        let Some(root) = identify(root)? else {
            return Err(Error::usage(format!("no process {root} to measure")));
        };
        let mut meter = Self { tree: BTreeSet::from([root]), threads: BTreeMap::new() };
        let seen = meter.look()?;
        meter.threads.extend(
            seen.into_iter().map(|(task, ns)| (task, Reading { first_ns: ns, last_ns: ns })),
        );
        Ok(meter)
    }

    /// Reads the counters of all that lives.
    pub fn sample(&mut self) -> Result<()> {
        let seen = self.look()?;
        self.update(seen);
        Ok(())
    }

    /// CPU time from the start to the last sample.
    pub fn total_ns(&self) -> u64 {
        self.threads.values().map(|reading| reading.last_ns - reading.first_ns).sum()
    }

    /// Processes of the tree at the last sample.
    pub fn processes(&self) -> usize {
        self.tree.len()
    }

    fn look(&mut self) -> Result<Vec<(TaskId, u64)>> {
        let processes = procfs::processes().map_err(Error::system("read /proc"))?;
        self.tree = grow(&self.tree, &processes);
        let mut seen = Vec::new();
        for process in &self.tree {
            seen.extend(procfs::threads(process.id).map_err(Error::system("read /proc/PID/task"))?);
        }
        Ok(seen)
    }

    fn update(&mut self, seen: Vec<(TaskId, u64)>) {
        for (task, ns) in seen {
            let reading = self.threads.entry(task).or_insert(Reading { first_ns: 0, last_ns: 0 });
            reading.last_ns = reading.last_ns.max(ns);
        }
    }
}

#[cfg(test)]
#[path = "cpu_tests.rs"]
mod tests;
