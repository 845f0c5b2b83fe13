//! What came and went with a session: a line of words of its entry in the session table.
//!
//! The owner writes each word for itself, without the sequence: a reader may see bytes that are a
//! moment older than their time. It never sees those of the session before, which are taken away
//! under the sequence.

use crate::sessions::Entry;

/// Words in which it stands: a line that is written for each package, and read by nobody who only
/// sends.
const RECEIVED_AT: usize = 16;
const GIVEN_AT: usize = 17;
const SENT_AT: usize = 18;
const RECEIVED_BYTES: usize = 19;
const SENT_BYTES: usize = 20;
const UNSENT_BYTES: usize = 21;
const UNGIVEN_BYTES: usize = 22;
/// All of them.
const WORDS: [usize; 7] =
    [RECEIVED_AT, GIVEN_AT, SENT_AT, RECEIVED_BYTES, SENT_BYTES, UNSENT_BYTES, UNGIVEN_BYTES];

/// What came and went with a session. Times are nanoseconds of the machine's monotonic clock, as
/// of the turn of the reactor's loop in which it happened; 0: it has not happened yet.
///
/// ```
/// use ostler_shm::session_traffic::SessionTraffic;
/// use ostler_shm::sessions::{Home, LoneEntry};
///
/// let lone = LoneEntry::new(0);
/// let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 80));
/// lone.entry().open(7, Home { reactor: 0, place: 0 }, 0, peer, 100);
/// lone.entry().note_received(200, 64);
/// let expected = SessionTraffic { received_at_ns: 200, received_bytes: 64, ..Default::default() };
/// assert_eq!(lone.entry().traffic(7), Some(expected));
/// assert_eq!(lone.entry().traffic(8), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionTraffic {
    /// When bytes were received last.
    pub received_at_ns: u64,
    /// When a worker was given a package last.
    pub given_at_ns: u64,
    /// When bytes were written last.
    pub sent_at_ns: u64,
    /// Bytes received in all.
    pub received_bytes: u64,
    /// Bytes written in all.
    pub sent_bytes: u64,
    /// Bytes that wait to be written.
    pub unsent_bytes: u64,
    /// Bytes that were received and wait to be given.
    pub ungiven_bytes: u64,
}

impl Entry<'_> {
    /// Owner, while the entry is written: a session begins, of which nothing came and went.
    pub(crate) fn clear_traffic(&self) {
        WORDS.into_iter().for_each(|word| self.set(word, 0));
    }

    /// Owner: a session goes on that had another owner before.
    ///
    /// ```
    /// # use ostler_shm::session_traffic::SessionTraffic;
    /// # use ostler_shm::sessions::LoneEntry;
    /// let lone = LoneEntry::new(0);
    /// lone.entry().resume_traffic(SessionTraffic { received_bytes: 64, ..Default::default() });
    /// ```
    pub fn resume_traffic(&self, traffic: SessionTraffic) {
        self.set(RECEIVED_AT, traffic.received_at_ns);
        self.set(GIVEN_AT, traffic.given_at_ns);
        self.set(SENT_AT, traffic.sent_at_ns);
        self.set(RECEIVED_BYTES, traffic.received_bytes);
        self.set(SENT_BYTES, traffic.sent_bytes);
        self.set(UNSENT_BYTES, traffic.unsent_bytes);
        self.set(UNGIVEN_BYTES, traffic.ungiven_bytes);
    }

    /// Owner: so many bytes were received.
    ///
    /// ```
    /// # use ostler_shm::sessions::LoneEntry;
    /// let lone = LoneEntry::new(0);
    /// lone.entry().note_received(200, 64);
    /// ```
    pub fn note_received(&self, now_ns: u64, bytes: u64) {
        self.set(RECEIVED_AT, now_ns);
        self.set(RECEIVED_BYTES, self.get(RECEIVED_BYTES).wrapping_add(bytes));
    }

    /// Owner: a worker was given a package, and so many bytes still wait to be given.
    ///
    /// ```
    /// # use ostler_shm::sessions::LoneEntry;
    /// let lone = LoneEntry::new(0);
    /// lone.entry().note_given(200, 0);
    /// ```
    pub fn note_given(&self, now_ns: u64, ungiven_bytes: u64) {
        self.set(GIVEN_AT, now_ns);
        self.set(UNGIVEN_BYTES, ungiven_bytes);
    }

    /// Owner: so many bytes were written.
    ///
    /// ```
    /// # use ostler_shm::sessions::LoneEntry;
    /// let lone = LoneEntry::new(0);
    /// lone.entry().note_sent(200, 64);
    /// ```
    pub fn note_sent(&self, now_ns: u64, bytes: u64) {
        self.set(SENT_AT, now_ns);
        self.set(SENT_BYTES, self.get(SENT_BYTES).wrapping_add(bytes));
    }

    /// How many bytes were written.
    ///
    /// ```
    /// # use ostler_shm::sessions::LoneEntry;
    /// let lone = LoneEntry::new(0);
    /// lone.entry().note_sent(200, 64);
    /// assert_eq!(lone.entry().sent_bytes(), 64);
    /// ```
    #[must_use]
    pub fn sent_bytes(&self) -> u64 {
        self.get(SENT_BYTES)
    }

    /// Owner: so many bytes wait to be written.
    ///
    /// ```
    /// # use ostler_shm::sessions::LoneEntry;
    /// let lone = LoneEntry::new(0);
    /// lone.entry().note_unsent(64);
    /// ```
    pub fn note_unsent(&self, bytes: u64) {
        self.set(UNSENT_BYTES, bytes);
    }

    /// Owner: so many bytes that were received wait to be given.
    ///
    /// ```
    /// # use ostler_shm::sessions::LoneEntry;
    /// let lone = LoneEntry::new(0);
    /// lone.entry().note_ungiven(64);
    /// ```
    pub fn note_ungiven(&self, bytes: u64) {
        self.set(UNGIVEN_BYTES, bytes);
    }

    /// Anyone: what came and went with `session`; `None` when it does not live here.
    #[must_use]
    pub fn traffic(&self, session: u64) -> Option<SessionTraffic> {
        let [id, received_at, given_at, sent_at, received, sent, unsent, ungiven] = self
            .read_words([
                Self::ID_WORD,
                RECEIVED_AT,
                GIVEN_AT,
                SENT_AT,
                RECEIVED_BYTES,
                SENT_BYTES,
                UNSENT_BYTES,
                UNGIVEN_BYTES,
            ])?;
        (id == session && session != 0).then_some(SessionTraffic {
            received_at_ns: received_at,
            given_at_ns: given_at,
            sent_at_ns: sent_at,
            received_bytes: received,
            sent_bytes: sent,
            unsent_bytes: unsent,
            ungiven_bytes: ungiven,
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sessions::{Home, LoneEntry};
    use std::net::SocketAddr;

    const HOME: Home = Home { reactor: 1, place: 2 };

    fn begin(lone: &LoneEntry, session: u64) {
        lone.entry().open(session, HOME, 0, SocketAddr::from(([127, 0, 0, 1], 1)), 1);
    }

    #[test]
    fn what_came_and_went_is_read_as_it_was_noted_and_sums_up() {
        let lone = LoneEntry::new(8);
        begin(&lone, 64);
        let entry = lone.entry();
        assert_eq!(entry.traffic(64), Some(SessionTraffic::default()));
        for (at, bytes) in [(10, 100), (20, 1)] {
            entry.note_received(at, bytes);
            entry.note_given(at + 1, 0);
            entry.note_sent(at + 2, 2 * bytes);
            entry.note_unsent(bytes + 1);
            entry.note_ungiven(bytes + 2);
        }
        entry.set_state(b"abc");
        entry.set_stream(1, 2, 3);
        let expected = SessionTraffic {
            received_at_ns: 20,
            given_at_ns: 21,
            sent_at_ns: 22,
            received_bytes: 101,
            sent_bytes: 202,
            unsent_bytes: 2,
            ungiven_bytes: 3,
        };
        assert_eq!(entry.traffic(64), Some(expected));
        assert_eq!(entry.stream_written(64, 1, 2), Some(3), "its line is another one");
        let other = LoneEntry::new(0);
        begin(&other, 64);
        other.entry().resume_traffic(expected);
        assert_eq!(other.entry().traffic(64), Some(expected));
    }

    #[test]
    fn a_new_session_inherits_no_traffic() {
        let lone = LoneEntry::new(8);
        begin(&lone, 64);
        lone.entry().note_received(10, 100);
        lone.entry().note_unsent(5);
        lone.entry().close();
        assert_eq!((lone.entry().traffic(64), lone.entry().traffic(0)), (None, None));
        begin(&lone, 128);
        assert_eq!(lone.entry().traffic(128), Some(SessionTraffic::default()));
        assert_eq!(lone.entry().traffic(64), None);
    }
}
