//! Sessions that another process serves (BASE mode), as the worker needs them.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use ostler_shm::board::Board;
use ostler_shm::session_state::SessionState;
use ostler_shm::session_traffic::SessionTraffic;
use ostler_shm::sessions::SessionRecord;

use super::output::Output;
use crate::api::send_error::SendError;

/// What is known of such a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its flags in the session table of its process.
    pub(crate) flags: u64,
    /// Memory for output is short there.
    pub(crate) has_pressure: bool,
    /// So much waits on the way there that no message is taken.
    pub(crate) is_way_full: bool,
    /// The longest state that finds room there, if the table has none for it.
    pub(crate) state_room: u64,
}

/// The other processes. Nothing here waits for them.
pub(crate) trait Elsewhere {
    /// What is known of a session; `None` when nobody has it. `asks`: the master may have told of
    /// processes that are not known yet, and is asked first.
    fn look(&self, session: u64, asks: bool) -> Option<Seen>;

    /// What the table of its process says of a session; `None` when nobody has it.
    fn record(&self, session: u64) -> Option<SessionRecord>;

    /// The state of a session, likewise.
    fn state(&self, session: u64) -> Option<SessionState>;

    /// What came and went with a session, likewise.
    fn traffic(&self, session: u64) -> Option<SessionTraffic>;

    /// The ids and flags of all sessions of other processes.
    fn sessions(&self) -> Vec<(u64, u64)>;

    /// Readable when the master says something.
    fn master(&self) -> BorrowedFd<'_>;

    /// Whether the master has told this process to leave. Looks at what it has said since.
    fn is_told_to_leave(&self) -> bool;

    /// Sends on what waits for other processes, as far as they take it. What nothing tells of is
    /// to be tried again after the time that it answers.
    fn flush(&self) -> Option<Duration>;

    /// Readable when more of that can be sent on.
    fn ways(&self) -> BorrowedFd<'_>;

    /// Whether every other process takes a message to a group now. Looks at what the master has
    /// told of processes.
    fn check_ways(&self) -> Result<(), SendError>;

    /// Sends a message to a group to every other process, after [`Elsewhere::check_ways`].
    fn relay_to_all(&self, output: Output<'_>);

    /// Shows the session tables of all other processes.
    fn each_board(&self, look: &mut dyn FnMut(&Board));

    /// Lets its process do something with a session.
    fn relay(&self, session: u64, output: Output<'_>) -> Result<(), SendError>;

    /// The same with an output for which there was room when it was held back: it is not refused
    /// because of what has come to wait since.
    fn relay_admitted(&self, session: u64, output: Output<'_>) -> Result<(), SendError>;
}
