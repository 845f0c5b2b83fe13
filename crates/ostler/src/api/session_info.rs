//! What is known of an open session.

use std::time::Duration;

use ostler_shm::session_traffic::SessionTraffic;
use ostler_shm::sessions::{FULL, PAUSED, PROTECTED, Peer, SessionRecord};

use crate::sys::clock;

/// What is known of an open session, see [`Session::info`](crate::Session::info).
///
/// Ages are those of the turn of the reactor's loop in which it happened, which may have begun a
/// little earlier. Bytes are those of the session: what encryption adds, or a proxy's header, is
/// not counted, and packages that the client did not send yet are not known.
///
/// ```
/// # use ostler::Session;
/// fn describe(session: &Session) -> String {
///     match session.info() {
///         Some(info) => format!(
///             "{} for {} s, {} bytes to be sent, silent for {:?}",
///             info.peer, info.connected_for.as_secs(), info.unsent_bytes, info.received_ago,
///         ),
///         None => "gone".to_owned(),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Its id.
    pub id: u64,
    /// Number of the reactor that owns its connection.
    pub reactor: usize,
    /// Who the client is.
    pub peer: Peer,
    /// How long it has been connected.
    pub connected_for: Duration,
    /// How long ago bytes of the client were received last; `None`: there were none.
    pub received_ago: Option<Duration>,
    /// How long ago a worker was given a package of it last; `None`: there was none. What is given
    /// again after a death does not count.
    pub given_ago: Option<Duration>,
    /// How long ago bytes were written to the client last; `None`: there were none. Writing is
    /// giving them to the kernel, or to the encryption.
    pub sent_ago: Option<Duration>,
    /// Bytes received of it in all.
    pub received_bytes: u64,
    /// Bytes written to it in all.
    pub sent_bytes: u64,
    /// Bytes that wait to be written, because the client does not read them. A file counts as 16
    /// KiB, however long it is; what workers have sent a moment ago may not be in it yet.
    pub unsent_bytes: u64,
    /// Bytes that were received and that no worker was given yet: a package that is not complete,
    /// or packages behind it. What waits in the kernel is not known.
    pub ungiven_bytes: u64,
    /// Its unsent output is above `send_queue_high`.
    pub is_full: bool,
    /// It is not read, see [`Session::pause`](crate::Session::pause).
    pub is_paused: bool,
    /// It is not ended for being idle, see [`Session::protect`](crate::Session::protect).
    pub is_protected: bool,
}

impl SessionInfo {
    pub(super) fn new(record: &SessionRecord, traffic: &SessionTraffic) -> Self {
        let now = clock::monotonic_ns();
        let since = |at_ns: u64| Duration::from_nanos(now.saturating_sub(at_ns));
        let ago = |at_ns: u64| (at_ns > 0).then(|| since(at_ns));
        Self {
            id: record.session,
            reactor: usize::from(record.home.reactor),
            peer: record.peer,
            connected_for: since(record.connected_at_ns),
            received_ago: ago(traffic.received_at_ns),
            given_ago: ago(traffic.given_at_ns),
            sent_ago: ago(traffic.sent_at_ns),
            received_bytes: traffic.received_bytes,
            sent_bytes: traffic.sent_bytes,
            unsent_bytes: traffic.unsent_bytes,
            ungiven_bytes: traffic.ungiven_bytes,
            is_full: record.flags & FULL != 0,
            is_paused: record.flags & PAUSED != 0,
            is_protected: record.flags & PROTECTED != 0,
        }
    }
}
