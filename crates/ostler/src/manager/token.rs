//! Whose event it is: what the manager's epoll tokens mean.

use ostler_core::ids::WorkerKey;

/// Whose event it is. Packed into a token: 16 bits of kind, 16 of slot, 32 of generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Signals,
    Master,
    MasterProcess,
    WorkerProcess(WorkerKey),
    WorkerControl(WorkerKey),
}

impl Source {
    pub(super) fn token(self) -> u64 {
        let pack = |kind: u64, key: WorkerKey| {
            kind << 48 | u64::from(key.slot.0) << 32 | u64::from(key.generation.0)
        };
        match self {
            Self::Signals => 0,
            Self::Master => 1,
            Self::MasterProcess => 2,
            Self::WorkerProcess(key) => pack(1, key),
            Self::WorkerControl(key) => pack(2, key),
        }
    }

    pub(super) fn of_token(token: u64) -> Option<Self> {
        let key = || {
            let slot = u16::try_from(token >> 32 & 0xFFFF).ok()?;
            Some(WorkerKey::new(slot, u32::try_from(token & 0xFFFF_FFFF).ok()?))
        };
        match (token >> 48, token) {
            (_, 0) => Some(Self::Signals),
            (_, 1) => Some(Self::Master),
            (_, 2) => Some(Self::MasterProcess),
            (1, _) => key().map(Self::WorkerProcess),
            (2, _) => key().map(Self::WorkerControl),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_survive_their_tokens() {
        let key = WorkerKey::new(u16::MAX, u32::MAX);
        let other = WorkerKey::new(0, 0);
        for source in [
            Source::Signals,
            Source::Master,
            Source::MasterProcess,
            Source::WorkerProcess(key),
            Source::WorkerControl(key),
            Source::WorkerProcess(other),
            Source::WorkerControl(other),
        ] {
            assert_eq!(Source::of_token(source.token()), Some(source));
        }
        assert_eq!(Source::of_token(3), None);
        assert_eq!(Source::of_token(u64::MAX), None);
    }
}
