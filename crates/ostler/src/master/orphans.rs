//! The master's children besides manager and spare: those that the program had, and orphans.
//!
//! The master adopts what a dead manager leaves behind: workers that are about to end, and programs
//! that they have started; and what a new master leaves that has failed or died. Those it reaps,
//! and ends with the server. What the program itself had started stays the program's: it is neither
//! reaped, because the program may wait for it, nor killed; a new master is a server of its own. As
//! process 1 the master also adopts what strangers leave, such as a shell that somebody has opened
//! in the container: that is reaped, and lives as long as it likes.

use std::collections::BTreeSet;

use ostler_core::Millis;

use super::event_loop::Master;
use crate::error::{Error, Result};
use crate::manager::{ManagerHandle, end_all};
use crate::options::KillOrphans;
use crate::sys::orphans;
use crate::sys::process::{self, ProcessId};

/// Who is whose.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    /// Children that the program had before it became a master, and what became ours through their
    /// end.
    of_the_program: BTreeSet<ProcessId>,
    /// Left by a dead manager, and what became ours through their end.
    adopted: BTreeSet<ProcessId>,
    /// Left by nobody of ours to process 1, which we are: no code of the program has run since it
    /// became a master, so that it waits for none of them.
    strangers: BTreeSet<ProcessId>,
    is_first: bool,
    /// Who was adopted is ended at once: a master that is killed could not do it.
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
            ends_adopted: kill_orphans.outlives_nobody(),
            is_first: process::current().get() == 1,
            ..Self::default()
        })
    }

    /// A child that is a server of its own: it outlives this one.
    pub(super) fn let_alone(&mut self, pid: ProcessId) {
        self.of_the_program.insert(pid);
    }

    /// Such a server has ended, or is to end before it is one.
    pub(super) fn let_alone_no_more(&mut self, pid: ProcessId) {
        self.of_the_program.remove(&pid);
    }

    /// A child of ours that nobody else looks at.
    pub(super) fn adopt(&mut self, pid: ProcessId) {
        self.adopted.insert(pid);
    }

    /// A child has ended: reaps those of them that are ours, and finds out who is there now.
    fn on_child_ended(&mut self) -> ChildrenNow {
        let mut left_by_ours = false;
        self.strangers.retain(|pid| !orphans::reap(*pid));
        loop {
            let children = orphans::children().unwrap_or_default();
            let before = self.adopted.len();
            self.adopted.retain(|pid| !orphans::reap(*pid));
            if self.adopted.len() == before {
                return ChildrenNow { children, left_by_ours };
            }
            // What it left may be among the children only now.
            left_by_ours = true;
        }
    }

    /// Takes what is ours among the children. `managers` are the master's own and a new master,
    /// which are reaped elsewhere; `manager_ended` tells whether one of them has ended. Both are to
    /// be found out after the children: who was left by one of them before that is ours. Returns
    /// whether there are new ones to be reaped, which may have ended already.
    fn take(&mut self, now: ChildrenNow, managers: &[ProcessId], manager_ended: bool) -> bool {
        let new = self.sort(now.children, managers, manager_ended || now.left_by_ours);
        if self.ends_adopted {
            for pid in &self.adopted {
                let _ = orphans::kill(*pid);
            }
        }
        new
    }

    /// Sorts the children that are not known yet; whether some of them are to be reaped.
    fn sort(
        &mut self,
        children: Vec<ProcessId>,
        managers: &[ProcessId],
        left_by_ours: bool,
    ) -> bool {
        let before = self.adopted.len() + self.strangers.len();
        for child in children {
            let is_known = managers.contains(&child)
                || self.of_the_program.contains(&child)
                || self.adopted.contains(&child)
                || self.strangers.contains(&child);
            if is_known {
                continue;
            }
            if left_by_ours {
                self.adopted.insert(child);
            } else if self.is_first {
                self.strangers.insert(child);
            } else {
                self.of_the_program.insert(child);
            }
        }
        self.adopted.len() + self.strangers.len() > before
    }

    /// Ends all children but the program's and strangers'; answers how many are left after a
    /// second.
    pub(super) fn end_all(&self) -> usize {
        let keep: Vec<ProcessId> = self.of_the_program.union(&self.strangers).copied().collect();
        end_all(std::iter::empty(), &keep)
    }
}

/// The children of the master, when it looked last.
#[derive(Debug)]
struct ChildrenNow {
    children: Vec<ProcessId>,
    /// One that was adopted has ended: what it left is among them.
    left_by_ours: bool,
}

impl Master {
    /// Reaps orphans that a dead manager left to the master, or a new master that has ended, which
    /// leaves a whole server. Those are looked at through their pidfds.
    pub(super) fn reap_orphans(&mut self, now: Millis) {
        // Who has become ours as somebody that has ended already is told of no more.
        if self.look_at_children(now) {
            self.look_at_children(now);
        }
    }

    /// Reaps those of the children that are ours and have ended; whether more of them are known to
    /// be ours now.
    fn look_at_children(&mut self, now: Millis) -> bool {
        let children = self.orphans.on_child_ended();
        if self.exit.is_none() && has_ended(&self.managers.current) {
            // Its last word may be who the spare is, which is a child of ours since it has ended.
            self.take_messages(usize::MAX, now);
        }
        let handles = [Some(&self.managers.current), self.managers.spare.as_ref()];
        let new = self.succeeding.new_master();
        let managers = handles.into_iter().flatten().map(|it| it.pid);
        let managers: Vec<ProcessId> = managers.chain(new.map(|(pid, _)| pid)).collect();
        let manager_ended = handles.into_iter().flatten().any(has_ended)
            || new.is_some_and(|(pid, pidfd)| {
                matches!(pidfd.has_ended(), Ok(true)) || orphans::has_begun_to_end(pid)
            });
        self.orphans.take(children, &managers, manager_ended)
    }
}

fn has_ended(manager: &ManagerHandle) -> bool {
    matches!(manager.pidfd.has_ended(), Ok(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pids(numbers: &[i32]) -> Vec<ProcessId> {
        numbers.iter().map(|number| ProcessId::new(*number).unwrap()).collect()
    }

    #[test]
    fn a_new_master_is_let_alone_until_it_ends() {
        let mut orphans = Orphans::default();
        let own = pids(&[10, 11, 40]);
        orphans.let_alone(own[2]);
        orphans.sort(pids(&[10, 11, 40]), &own, false);
        assert_eq!(orphans.of_the_program, pids(&[40]).into_iter().collect());
        orphans.let_alone_no_more(own[2]);
        orphans.sort(pids(&[10, 11, 40, 41, 42]), &own, true);
        assert!(orphans.of_the_program.is_empty());
        assert_eq!(orphans.adopted, pids(&[41, 42]).into_iter().collect());
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

    #[test]
    fn whom_strangers_leave_to_process_1_is_reaped_and_not_ended() {
        let of_the_program = pids(&[20]).into_iter().collect();
        let mut orphans = Orphans { of_the_program, is_first: true, ..Orphans::default() };
        let managers = pids(&[10, 11]);
        assert!(!orphans.sort(pids(&[10, 11, 20]), &managers, false), "nobody is new");
        assert!(orphans.sort(pids(&[10, 11, 20, 30]), &managers, false));
        assert!(orphans.sort(pids(&[10, 11, 20, 30, 40]), &managers, true));
        assert_eq!(orphans.of_the_program, pids(&[20]).into_iter().collect());
        assert_eq!(orphans.strangers, pids(&[30]).into_iter().collect());
        assert_eq!(orphans.adopted, pids(&[40]).into_iter().collect());
    }
}
