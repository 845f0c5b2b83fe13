//! Whether a server is at rest.

use std::time::Duration;

use crate::{Process, TestResult, TestServer};

/// Between two looks; longer than anything that a server at rest still has on its way.
const PAUSE: Duration = Duration::from_millis(200);

/// The processes of a server, and how often all their threads went to sleep of their own will. It
/// stays the same while the server is idle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stirring {
    pids: Vec<u32>,
    switches: u64,
}

impl TestServer {
    /// Looks at all its processes once.
    ///
    /// # Errors
    /// When a process left during the look.
    pub fn stirring(&self) -> TestResult<Stirring> {
        let processes = self.tree().processes();
        let each: TestResult<Vec<u64>> =
            processes.iter().map(Process::voluntary_context_switches).collect();
        Ok(Stirring {
            pids: processes.iter().map(Process::pid).collect(),
            switches: each?.iter().sum(),
        })
    }

    /// Waits until nothing stirs any more: a client sees an answer before its package is finished,
    /// and a process that was replaced leaves later. Rest begins when a second look finds the same
    /// processes and none of them woken; what was found then is returned.
    ///
    /// # Errors
    /// When something stirs until the deadline, as a handler does that polls.
    pub fn wait_for_rest(&self) -> TestResult<Stirring> {
        let (mut before, mut at_rest) = (None, None);
        self.wait_for("the server at rest", |server| {
            std::thread::sleep(PAUSE);
            let now = server.stirring().ok();
            at_rest = now.clone().filter(|now| before.as_ref() == Some(now));
            before = now;
            at_rest.is_some()
        })?;
        at_rest.ok_or_else(|| crate::TestError::new("a server at rest was not seen"))
    }
}
