//! Whose event it is: what the manager's epoll tokens mean.

use ostler_core::ids::ProcessKey;

/// Whose event it is. Packed into a token: 8 bits of source, below them the key of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Signals,
    Master,
    MasterProcess,
    WorkerProcess(ProcessKey),
    WorkerControl(ProcessKey),
}

impl Source {
    pub(super) fn token(self) -> u64 {
        match self {
            Self::Signals => 0,
            Self::Master => 1,
            Self::MasterProcess => 2,
            Self::WorkerProcess(key) => 1 << 56 | key.pack(),
            Self::WorkerControl(key) => 2 << 56 | key.pack(),
        }
    }

    pub(super) fn of_token(token: u64) -> Option<Self> {
        match (token >> 56, token) {
            (_, 0) => Some(Self::Signals),
            (_, 1) => Some(Self::Master),
            (_, 2) => Some(Self::MasterProcess),
            (1, _) => ProcessKey::unpack(token).map(Self::WorkerProcess),
            (2, _) => ProcessKey::unpack(token).map(Self::WorkerControl),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_survive_their_tokens() {
        let key = ProcessKey::event(u16::MAX, u32::MAX);
        let other = ProcessKey::event(0, 0);
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
