//! Choices that users make about dispatch, crashes and the order of answers.

/// Which worker gets the next package of a session that is not bound to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dispatch {
    /// The next worker in turn that has credit.
    RoundRobin,
    /// Always the same worker for a session, by its id; waits for that worker (P58 for when it is
    /// down).
    SessionHash,
    /// Always the same worker for a client's address; by the session where there is none.
    AddressHash,
    /// Always the same worker for a user: for the number to which a worker has bound the session;
    /// by the session until then.
    UserId,
    /// As user code says, which binds the session to a number when it connects: nothing else of it
    /// is given before that is done. By the session when it is not bound.
    UserFunction,
    /// The worker with the least in hand; late binding from one queue (P5).
    IdleFirst,
    /// The worker with the fewest unfinished deliveries, deferred ones included.
    LeastInHand,
    /// The worker with the fewest unfinished deliveries when the session begins, then always that
    /// one.
    Sticky,
    /// A worker that has nothing in hand; packages of one session go to several workers at once
    /// (S26).
    Pull,
}

impl Dispatch {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::RoundRobin,
        Self::SessionHash,
        Self::AddressHash,
        Self::UserId,
        Self::UserFunction,
        Self::IdleFirst,
        Self::LeastInHand,
        Self::Sticky,
        Self::Pull,
    ];

    /// Whether a session belongs to a worker slot because of a number to which a worker binds it.
    #[must_use]
    pub const fn follows_user(self) -> bool {
        matches!(self, Self::UserId | Self::UserFunction)
    }
}

/// What becomes of a package that a worker had started when it died (P2, S53).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashPolicy {
    /// Its session is closed, so that no client hangs.
    Close,
    /// It is counted and forgotten; the session goes on.
    Drop,
    /// It is delivered again, at most so many times. The visible output happens exactly once, the
    /// execution may not.
    Redeliver(u8),
}

/// In which order the answers of one session come, when some of its packages are deferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnswerOrder {
    /// In the order of its packages: what later packages cause is held back until the earlier ones
    /// are finished.
    Kept,
    /// In the order in which they are given: later packages overtake deferred ones.
    Free,
}
