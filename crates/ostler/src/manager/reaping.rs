//! Children that have ended: workers, adopted orphans, and the spare, which is replaced.

use std::io;

use ostler_core::Millis;
use ostler_core::ids::ProcessKey;
use ostler_core::supervisor::{Event, Exit};

use super::children::Child;
use super::event_loop::{Driver, Ending, Step};
use super::guard::Guard;
use super::programs::Programs;
use super::report;
use super::spawn::spare::{EXIT_DISMISSED, fork_and_announce};
use crate::options::KillOrphans;
use crate::sys::pidfd::{PidFd, Usage};
use crate::sys::{clock, orphans};

/// Words of a dead worker that are still heard; its descendants may hold the socket and go on
/// talking.
const LAST_WORDS_MAX: usize = 64;
/// Children reaped per turn.
const REAPED_PER_TURN: usize = 1_024;
/// Pause before another attempt to have a spare.
const SPARE_RETRY_MS: Millis = 1_000;

/// A worker that was reaped, as far as its death is told.
pub(super) struct Reaped {
    pub(super) key: ProcessKey,
    pub(super) child: Child,
    pub(super) usage: Usage,
}

impl Driver<'_> {
    /// Reaps one of our workers if it has ended. What it said before is heard first.
    pub(super) fn reap(&mut self, key: ProcessKey) -> Step {
        self.on_worker_message(key, LAST_WORDS_MAX)?;
        // A SIGCHLD of the same turn may have led to it before.
        let Some(child) = self.children.get(key) else { return Ok(()) };
        let (exit, usage) = match child.pidfd.try_reap_with_usage() {
            Ok(Some(ended)) => ended,
            // A debugger has it; SIGCHLD comes when that lets go.
            Ok(None) => return Ok(()),
            Err(error) => {
                // Somebody else has reaped it, which nobody can.
                tracing::error!(worker = %key, pid = %child.pid, %error, "cannot reap");
                (Exit::Code(-1), Usage::default())
            }
        };
        // The master holds the pidfd too, so closing ours would not end its events.
        self.epoll.remove(&child.pidfd)?;
        self.close_control(key)?;
        self.reaped = self.children.remove(key).map(|child| Reaped { key, child, usage });
        self.end_left_behind();
        self.tell_spare(Guard::look_for_ended);
        self.tell(Event::Exited(key, exit))
    }

    /// Reaps what has ended and is not found by a pidfd: adopted orphans, workers that never passed
    /// their gate, the spare.
    pub(super) fn reap_strays(&mut self) -> Step {
        let mut has_reaped_orphan = false;
        for _ in 0..REAPED_PER_TURN {
            let Some(pid) = orphans::peek_ended_child()? else { break };
            if let Some(key) = self.children.key_of(pid) {
                self.reap(key)?;
                continue;
            }
            if self.diagnosis.is_helper(pid) {
                PidFd::open(pid)?.try_reap()?;
                self.diagnosis.on_helper_end(clock::monotonic_ms(), self.setup);
                continue;
            }
            let spare = self.spare.take_if(|spare| spare.pid == pid);
            let exit = match &spare {
                Some(spare) => spare.pidfd.try_reap()?,
                None => PidFd::open(pid)?.try_reap()?,
            };
            match (spare, exit) {
                (None, _) => {
                    tracing::debug!(%pid, ?exit, "orphan reaped");
                    has_reaped_orphan = true;
                }
                (Some(_), Some(Exit::Code(EXIT_DISMISSED))) => {
                    // The master could not use it (no descriptors left, say), and has none now.
                    tracing::debug!(%pid, "spare manager dismissed");
                    self.spare_wanted = true;
                }
                (Some(_), _) => {
                    let exit = exit.map(report::exit);
                    tracing::warn!(%pid, exit, "spare manager died");
                    self.spare_wanted = true;
                }
            }
        }
        if has_reaped_orphan {
            // What it had started is left behind, too.
            self.end_left_behind();
        }
        Ok(())
    }

    /// Ends what a process has left behind that has ended, if that is wanted: its children are ours
    /// by the time that it can be reaped. Who is none of the processes that this manager has
    /// forked, has lost its parent.
    fn end_left_behind(&self) {
        if self.setup.kill_orphans != KillOrphans::Worker {
            return;
        }
        let children = match orphans::children() {
            Ok(children) => children,
            Err(error) => return tracing::warn!(%error, "cannot look for orphans"),
        };
        let spare = self.spare.as_ref().map(|spare| spare.pid);
        let left_behind = children.into_iter().filter(|pid| {
            self.children.key_of(*pid).is_none()
                && spare != Some(*pid)
                && !self.diagnosis.is_helper(*pid)
        });
        for pid in left_behind {
            let killed = orphans::kill(pid);
            tracing::debug!(%pid, ?killed, "an orphan is ended");
        }
    }

    /// Tells the spare about workers. One that cannot be told guards nobody: it is killed, and
    /// replaced when it is reaped.
    pub(super) fn tell_spare(&self, say: impl FnOnce(&Guard) -> io::Result<()>) {
        let Some(spare) = &self.spare else { return };
        if let Err(error) = say(&spare.guard) {
            let pid = spare.pid;
            tracing::warn!(%pid, %error, "the spare manager does not listen, it is replaced");
            // It may have ended meanwhile.
            let _ = spare.pidfd.kill();
        }
    }

    /// When a spare has to be forked. Spares that die at once are forked once per
    /// [`SPARE_RETRY_MS`].
    pub(super) fn spare_due(&self) -> Option<Millis> {
        self.spare_wanted.then(|| self.spare_forked_at.saturating_add(SPARE_RETRY_MS))
    }

    pub(super) fn keep_spare(&mut self, now: Millis) -> Step {
        if self.spare_due().is_none_or(|at| now < at) {
            return Ok(());
        }
        self.spare_forked_at = now;
        let workers = self.children.pidfds().unwrap_or_else(|error| {
            tracing::warn!(%error, "the spare manager guards no worker that lives already");
            Vec::new()
        });
        let program = self.programs.as_ref().map(Programs::accepted);
        self.spare = fork_and_announce(self.setup, &mut self.master, workers, program)
            .map_err(|_| Ending::MasterGone)?;
        self.spare_wanted = self.spare.is_none();
        Ok(())
    }
}
