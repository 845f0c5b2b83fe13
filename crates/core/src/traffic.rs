//! What went to and from clients, and what memory that takes now.

/// Of one reactor. Not part of the balance of the books, which count sessions and packages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes that clients have sent and that were read from their sockets, after decryption.
    /// Datagrams count without their headers; one that is refused unread does not.
    pub received_bytes: u64,
    /// Bytes that the kernel has taken for clients, before encryption.
    pub sent_bytes: u64,
    /// Messages for sessions that were taken in from workers, each when its last part was.
    pub messages: u64,
    /// Bytes that are charged to the memory budget now.
    pub charged_bytes: u64,
    /// Of those, what output takes that waits for clients to read: whole pieces of memory, without
    /// the bodies of messages to groups, and without what TLS has encrypted.
    pub unsent_bytes: u64,
    /// Sessions whose state is too long for the session table now.
    pub long_states: u64,
    /// Bytes of memory that these states take, whole pages.
    pub state_bytes: u64,
    /// States that were accepted and found no room: their sessions were closed.
    pub states_refused: u64,
}

impl Traffic {
    /// Calls `visit` with each number, always in the same order.
    pub fn visit(&mut self, visit: &mut (impl FnMut(&mut u64) + ?Sized)) {
        let Self { received_bytes, sent_bytes, messages, charged_bytes, unsent_bytes, .. } = self;
        let bytes = [received_bytes, sent_bytes, messages, charged_bytes, unsent_bytes];
        bytes.into_iter().for_each(&mut *visit);
        let Self { long_states, state_bytes, states_refused, .. } = self;
        [long_states, state_bytes, states_refused].into_iter().for_each(visit);
    }

    /// Adds the numbers of another reactor.
    pub const fn add(&mut self, other: &Self) {
        self.received_bytes += other.received_bytes;
        self.sent_bytes += other.sent_bytes;
        self.messages += other.messages;
        self.charged_bytes += other.charged_bytes;
        self.unsent_bytes += other.unsent_bytes;
        self.long_states += other.long_states;
        self.state_bytes += other.state_bytes;
        self.states_refused += other.states_refused;
    }

    /// The reactor is gone: it holds nothing any more.
    pub const fn end_with_process(&mut self) {
        self.charged_bytes = 0;
        self.unsent_bytes = 0;
        self.long_states = 0;
        self.state_bytes = 0;
    }
}
