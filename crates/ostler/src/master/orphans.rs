//! The master's children besides manager and spare: those that the program had, and orphans.
//!
//! The master adopts what a dead manager leaves behind: workers that are about to end, and programs
//! that they have started. Those it reaps, and ends with the server. What the program itself had
//! started stays the program's: it is neither reaped, because the program may wait for it, nor
//! killed.

use std::collections::BTreeSet;

use super::event_loop::Master;
use crate::error::{Error, Result};
use crate::manager::end_all;
use crate::options::KillOrphans;
use crate::sys::orphans;
use crate::sys::process::ProcessId;

/// Who is whose.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    /// Children that the program had before it became a master, and what became ours through their
    /// end.
    of_the_program: BTreeSet<ProcessId>,
    /// Left by a dead manager, and what became ours through their end.
    adopted: BTreeSet<ProcessId>,
    /// Those are ended at once: a master that is killed could not do it.
    ends_adopted: bool,
}

impl Orphans {
    /// Before the first manager is forked: all children are the program's. Without `/proc` nobody
    /// is known, hence nobody is reaped or ended.
    ///
    /// # Errors
    ///
    /// When orphans are to be ended that cannot be found here.
    pub(super) fn new(kill_orphans: KillOrphans) -> Result<Self> {
        let children = orphans::children().or_else(|error| match kill_orphans {
            KillOrphans::End => Ok(Vec::new()),
            KillOrphans::Always | KillOrphans::Worker => Err(Error::start(
                "cannot find the processes that `kill_orphans` is about",
                Some(error),
            )),
        })?;
        Ok(Self {
            of_the_program: children.into_iter().collect(),
            adopted: BTreeSet::new(),
            ends_adopted: kill_orphans.outlives_nobody(),
        })
    }

    /// A child that is a server of its own: it outlives this one.
    pub(super) fn let_alone(&mut self, pid: ProcessId) {
        self.of_the_program.insert(pid);
    }

    /// A child of ours that nobody else looks at.
    pub(super) fn adopt(&mut self, pid: ProcessId) {
        self.adopted.insert(pid);
    }

    /// A child has ended. `managers` are the master's own, which are reaped elsewhere;
    /// `manager_ended` tells whether one of them has ended.
    pub(super) fn on_child_ended(&mut self, managers: &[ProcessId], manager_ended: bool) {
        let before = self.adopted.len();
        self.adopted.retain(|pid| !orphans::reap(*pid));
        let left_by_ours = manager_ended || self.adopted.len() < before;
        self.sort(orphans::children().unwrap_or_default(), managers, left_by_ours);
        if self.ends_adopted {
            for pid in &self.adopted {
                let _ = orphans::kill(*pid);
            }
        }
    }

    /// Sorts the children that are not known yet.
    fn sort(&mut self, children: Vec<ProcessId>, managers: &[ProcessId], left_by_ours: bool) {
        for child in children {
            let is_known = managers.contains(&child)
                || self.of_the_program.contains(&child)
                || self.adopted.contains(&child);
            if is_known {
                continue;
            }
            if left_by_ours {
                self.adopted.insert(child);
            } else {
                self.of_the_program.insert(child);
            }
        }
    }

    /// Ends all children but the program's; answers how many are left after a second.
    pub(super) fn end_all(&self) -> usize {
        let keep: Vec<ProcessId> = self.of_the_program.iter().copied().collect();
        end_all(std::iter::empty(), &keep)
    }
}

impl Master {
    /// Reaps orphans that a dead manager left to the master. Manager and spare are looked at
    /// through their pidfds.
    pub(super) fn reap_orphans(&mut self) {
        let handles = [Some(&self.managers.current), self.managers.spare.as_ref()];
        let managers: Vec<ProcessId> = handles.into_iter().flatten().map(|it| it.pid).collect();
        let manager_ended =
            handles.into_iter().flatten().any(|it| matches!(it.pidfd.has_ended(), Ok(true)));
        self.orphans.on_child_ended(&managers, manager_ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pids(numbers: &[i32]) -> Vec<ProcessId> {
        numbers.iter().map(|number| ProcessId::new(*number).unwrap()).collect()
    }

    #[test]
    fn who_comes_when_one_of_ours_ends_is_ours() {
        let mut orphans = Orphans::default();
        let managers = pids(&[10, 11]);
        orphans.sort(pids(&[10, 11, 20]), &managers, false);
        orphans.sort(pids(&[10, 11, 20, 30, 31]), &managers, true);
        orphans.sort(pids(&[10, 11, 20, 21, 30]), &managers, false);
        assert_eq!(orphans.of_the_program, pids(&[20, 21]).into_iter().collect());
        assert_eq!(orphans.adopted, pids(&[30, 31]).into_iter().collect());
    }
}
