//! Rows beside the payloads: other ways in which clients and servers meet, each with 64 bytes and
//! free placement.

use std::path::Path;

use super::case::{Case, Placement};
use crate::process::Peer;

/// One such row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// Connect, one request, close.
    Churn,
    /// Sixteen requests in flight on each connection.
    Depth16,
    /// A thousand connections.
    Connections1000,
    /// Ostler with two reactors and two workers.
    TwoByTwo,
    /// Ostler with two workers, and one handler call in a hundred takes five milliseconds.
    SlowHandlers,
}

impl Extra {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 5] =
        [Self::Churn, Self::Depth16, Self::Connections1000, Self::TwoByTwo, Self::SlowHandlers];

    /// Its name on the command line and in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Churn => "churn",
            Self::Depth16 => "depth-16",
            Self::Connections1000 => "1000-connections",
            Self::TwoByTwo => "2+2",
            Self::SlowHandlers => "slow-handlers",
        }
    }

    /// The case, from one with the usual connections and times.
    pub(super) fn case(self, usual: Case) -> Case {
        let usual = Case { load: self.name(), size_bytes: 64, placement: Placement::Free, ..usual };
        match self {
            Self::Churn => Case { churn: true, ..usual },
            Self::Depth16 => Case { depth: 16, ..usual },
            Self::Connections1000 => Case { connections: 1_000, ..usual },
            Self::TwoByTwo | Self::SlowHandlers => usual,
        }
    }

    /// Who is measured: where only Ostler has such a shape, the reference and Ostler in it.
    pub(super) fn peers(self, peers: &[Peer], bench: &Path, instrument: &Path) -> Vec<Peer> {
        let shape = match self {
            Self::Churn | Self::Depth16 | Self::Connections1000 => return peers.to_vec(),
            Self::TwoByTwo => Peer::ostler_as(instrument, 2, 2, "echo"),
            Self::SlowHandlers => Peer::ostler_as(instrument, 2, 1, "slow_every:100,5"),
        };
        if !peers.iter().any(|peer| peer.name == shape.name) {
            return Vec::new();
        }
        // Two threads without anything between them show what of it is the machine's: four threads
        // of a server and a client on two CPUs wait for each other.
        let threads = (self == Self::TwoByTwo).then(|| Peer::raw_epoll_threads(bench, 2));
        peers.iter().take(1).cloned().chain(threads).chain([shape]).collect()
    }
}
