//! What `run` changes in the process that calls it, and puts back when it returns: a server is a
//! part of a program, which may go on with something else afterwards, or run another server.

use std::io;

use crate::sys::limit::DescriptorLimit;
use crate::sys::panic;
use crate::sys::process::{self, Dumping};
use crate::sys::process_name::Names;
use crate::sys::scheduling;
use crate::sys::signal::{self, Disposition};

/// The process as the program had it. Dropping this puts everything back.
///
/// Made before anything is changed and dropped when all threads of the server have ended; forked
/// processes never drop it.
#[derive(Debug)]
pub(super) struct ProgramState {
    names: io::Result<Names>,
    dumping: Dumping,
    descriptor_limit: DescriptorLimit,
    adopted_orphans: bool,
    /// `None` where it is not told.
    oom_adjustment: Option<i32>,
    /// What the end of a child does.
    child_signal: io::Result<Disposition>,
}

impl ProgramState {
    pub(super) fn save() -> Self {
        Self {
            names: Names::save(),
            dumping: process::dumping(),
            descriptor_limit: DescriptorLimit::save(),
            adopted_orphans: process::adopts_orphans(),
            oom_adjustment: scheduling::oom_adjustment().ok(),
            child_signal: Disposition::of(signal::CHLD),
        }
    }

    /// It is not opened to others again: it was another user's.
    pub(super) fn stays_closed(&mut self) {
        self.dumping = Dumping::of(false);
    }

    /// Whether the program could be opened by others of its user.
    pub(super) fn dumping(&self) -> Dumping {
        self.dumping
    }
}

impl Drop for ProgramState {
    fn drop(&mut self) {
        panic::restore_hook();
        let oom_adjustment = |saved: i32| match scheduling::oom_adjustment() {
            Ok(now) if now == saved => Ok(()),
            _ => scheduling::set_oom_adjustment(saved),
        };
        let results = [
            ("its name", self.names.as_ref().map_or(Ok(()), Names::restore)),
            ("the dumpable attribute", self.dumping.restore()),
            ("oom_score_adj", self.oom_adjustment.map_or(Ok(()), oom_adjustment)),
            ("the limit of descriptors", self.descriptor_limit.restore()),
            ("the adoption of orphans", process::set_adopts_orphans(self.adopted_orphans)),
            ("SIGCHLD", self.child_signal.as_ref().map_or(Ok(()), Disposition::restore)),
        ];
        for (what, result) in results {
            if let Err(error) = result {
                tracing::debug!(%error, what, "the program does not get it back");
            }
        }
    }
}
