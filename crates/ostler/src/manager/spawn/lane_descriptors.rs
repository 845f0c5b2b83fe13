//! The descriptors of a process, as the master sends them.

use std::os::fd::OwnedFd;

use ostler_core::ids::{ProcessKey, ProcessKind};

use crate::control::{BASE_DESCRIPTORS_FIXED, LANE_DESCRIPTORS_FIXED};
use crate::inheritance::{EndsKind, ProcessEnds, SwitchEnds};

/// What the master sends for one process: `[down, up, worker_bell, lane_bell_0 ..
/// lane_bell_{R-1}, file_link_0 .. file_link_{R-1}]`, or in BASE mode `[worker_bell, link,
/// (those of a lane to the switch,) listener_0 .. listener_{P-1}]`. That of a companion has one
/// more at the end, where events come.
#[derive(Debug)]
pub(in crate::manager) struct LaneDescriptors {
    pub(in crate::manager) worker_bell: OwnedFd,
    pub(in crate::manager) ends: ProcessEnds,
    /// Where the companion is told of events.
    pub(in crate::manager) event_link: Option<OwnedFd>,
}

impl LaneDescriptors {
    /// Sorts the descriptors of a message; `None` when they are not exactly those for these ends.
    pub(in crate::manager) fn new(
        key: ProcessKey,
        mut descriptors: Vec<OwnedFd>,
        ends: EndsKind,
        seat: u16,
    ) -> Option<Self> {
        let event_link = match key.kind {
            ProcessKind::Companion => Some(descriptors.pop()?),
            ProcessKind::Event | ProcessKind::Task | ProcessKind::User => None,
        };
        let (fixed, others) = match ends {
            EndsKind::Lanes(reactors) => (LANE_DESCRIPTORS_FIXED, reactors.checked_mul(2)?),
            EndsKind::Clients { ports, has_switch } => {
                let of_switch = if has_switch { SwitchEnds::COUNT } else { 0 };
                (BASE_DESCRIPTORS_FIXED + of_switch, ports)
            }
        };
        if descriptors.len().checked_sub(fixed) != Some(others) {
            return None;
        }
        let mut rest = descriptors.into_iter();
        Some(match ends {
            EndsKind::Lanes(reactors) => {
                let (down, up, worker_bell) = (rest.next()?, rest.next()?, rest.next()?);
                let lane_bells = rest.by_ref().take(reactors).collect();
                let ends = ProcessEnds::Lanes { down, up, lane_bells, file_links: rest.collect() };
                Self { worker_bell, ends, event_link }
            }
            EndsKind::Clients { has_switch, .. } => {
                let (worker_bell, link) = (rest.next()?, rest.next()?);
                let switch = match has_switch {
                    true => Some(Box::new(SwitchEnds::take(&mut rest)?)),
                    false => None,
                };
                let (seat, listeners) = (usize::from(seat), rest.collect());
                let ends = ProcessEnds::Clients { seat, link, switch, listeners };
                Self { worker_bell, ends, event_link }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::eventfd;

    #[test]
    fn lane_descriptors_must_be_exactly_as_many_as_the_reactors_ask() {
        let key = ProcessKey::event(0, 1);
        let some = |count: usize| (0..count).map(|_| eventfd::create().unwrap()).collect();
        let lanes = LaneDescriptors::new(key, some(7), EndsKind::Lanes(2), 0).unwrap();
        assert_eq!(lanes.ends.descriptors().len(), 6);
        for (count, reactors) in [(6, 2), (8, 2), (0, 0), (2, 0), (0, usize::MAX)] {
            assert!(LaneDescriptors::new(key, some(count), EndsKind::Lanes(reactors), 0).is_none());
        }
        for (has_switch, fixed) in [(false, 2), (true, 7)] {
            let ends = |ports| EndsKind::Clients { ports, has_switch };
            let base = LaneDescriptors::new(key, some(fixed + 3), ends(3), 7).unwrap();
            assert_eq!(base.ends.descriptors().len(), fixed - 1 + 3);
            for (count, ports) in [(fixed + 2, 3), (fixed + 4, 3), (1, 0), (0, usize::MAX)] {
                assert!(LaneDescriptors::new(key, some(count), ends(ports), 7).is_none());
            }
        }
        let key = ProcessKey { kind: ProcessKind::Companion, ..key };
        for (count, is_right) in [(8, true), (7, false), (0, false)] {
            let lanes = LaneDescriptors::new(key, some(count), EndsKind::Lanes(2), 0);
            assert_eq!(lanes.and_then(|lanes| lanes.event_link).is_some(), is_right);
        }
    }
}
