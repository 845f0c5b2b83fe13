//! Why a session ended; every end has exactly one reason and a counter.

/// Why a session was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum CloseReason {
    /// The client closed and everything it had sent was served.
    Peer,
    /// The client's connection failed (reset, timeout).
    PeerError,
    /// User code closed it.
    Worker,
    /// User code asked for a reset.
    WorkerReset,
    /// The worker died with a package of it in hand.
    WorkerDied,
    /// Its worker wrote nonsense into its lanes.
    WorkerCondemned,
    /// The sender of a message in several parts died before the last part.
    Truncated,
    /// Its package was bound to workers that died too often without starting it.
    Unservable,
    /// It did not read its output.
    SlowReader,
    /// The memory budget was used up and it held the most, over all reactors.
    MemoryBudget,
    /// It sent a package longer than allowed.
    PackageTooLong,
    /// The server ended in good order.
    Shutdown,
    /// The server ended and the session did not drain in time.
    ShutdownTimeout,
    /// It asked for something, and no worker had served for longer than `slot_down_ms`.
    NoWorker,
    /// It sent what its port's framing cannot read as a package.
    PackageMalformed,
    /// Nothing was received from it or written to it for `idle_timeout_ms`.
    Idle,
    /// It sent nothing for `silence_timeout_ms`.
    Silent,
    /// Its first package was not complete within `first_package_timeout_ms`.
    FirstPackageTimeout,
    /// A package that it had begun was not complete within `package_timeout_ms`.
    PackageTimeout,
    /// It sent a package more slowly than `receive_rate_min`.
    ReceiveTooSlow,
    /// It took nothing of its output for `send_stall_timeout_ms`.
    SendStalled,
    /// It waited for a worker, and too many did, or it had for too long.
    Overloaded,
    /// A package of it was not finished within `request_deadline_ms`.
    RequestDeadline,
    /// Packages of its address had killed `worker_deaths_per_address` workers.
    AddressDeaths,
}

/// Number of reasons.
pub const CLOSE_REASONS: usize = 24;

impl CloseReason {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; CLOSE_REASONS] = [
        Self::Peer,
        Self::PeerError,
        Self::Worker,
        Self::WorkerReset,
        Self::WorkerDied,
        Self::WorkerCondemned,
        Self::Truncated,
        Self::Unservable,
        Self::SlowReader,
        Self::MemoryBudget,
        Self::PackageTooLong,
        Self::Shutdown,
        Self::ShutdownTimeout,
        Self::NoWorker,
        Self::PackageMalformed,
        Self::Idle,
        Self::Silent,
        Self::FirstPackageTimeout,
        Self::PackageTimeout,
        Self::ReceiveTooSlow,
        Self::SendStalled,
        Self::Overloaded,
        Self::RequestDeadline,
        Self::AddressDeaths,
    ];

    /// The reason with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The reason's name in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::PeerError => "peer_error",
            Self::Worker => "worker",
            Self::WorkerReset => "worker_reset",
            Self::WorkerDied => "worker_died",
            Self::WorkerCondemned => "worker_condemned",
            Self::Truncated => "truncated",
            Self::Unservable => "unservable",
            Self::SlowReader => "slow_reader",
            Self::MemoryBudget => "memory_budget",
            Self::PackageTooLong => "package_too_long",
            Self::Shutdown => "shutdown",
            Self::ShutdownTimeout => "shutdown_timeout",
            Self::NoWorker => "no_worker",
            Self::PackageMalformed => "package_malformed",
            Self::Idle => "idle",
            Self::Silent => "silent",
            Self::FirstPackageTimeout => "first_package_timeout",
            Self::PackageTimeout => "package_timeout",
            Self::ReceiveTooSlow => "receive_too_slow",
            Self::SendStalled => "send_stalled",
            Self::Overloaded => "overloaded",
            Self::RequestDeadline => "request_deadline",
            Self::AddressDeaths => "address_deaths",
        }
    }

    /// Whether the connection is cut at once: nothing more can or should be written.
    #[must_use]
    pub const fn is_abrupt(self) -> bool {
        !matches!(
            self,
            Self::Peer
                | Self::Worker
                | Self::PackageTooLong
                | Self::PackageMalformed
                | Self::Shutdown
                | Self::NoWorker
                | Self::Overloaded
                | Self::RequestDeadline
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_listed_at_its_number() {
        for (index, reason) in CloseReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{}", reason.name());
            assert_eq!(CloseReason::from_number(reason as u8), Some(reason));
        }
        assert_eq!(CloseReason::from_number(CLOSE_REASONS as u8), None);
    }

    /// The rows of the log and of the books are told apart by their names.
    #[test]
    fn every_reason_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> =
            CloseReason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), CLOSE_REASONS);
        assert!(names.iter().all(|name| !name.is_empty()));
    }
}
