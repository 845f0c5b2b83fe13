//! Choices that users make about dispatch, crashes and the order of answers.

/// Which worker gets the next package of a session that is not bound to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatch {
    /// The next worker in turn that has credit.
    RoundRobin,
    /// Always the same worker for a session, by its id; waits for that worker (S19 for when it is
    /// down).
    SessionHash,
    /// The worker with the least in hand; late binding from one queue (P5).
    IdleFirst,
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
