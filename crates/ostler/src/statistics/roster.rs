//! The roster of this server, as its processes have it: each shows there what it does, and reads
//! what the others do.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;

use ostler_core::Nanos;
use ostler_core::ids::{ProcessKey, ProcessKind};
use ostler_core::statistics::histogram::{self, Histogram, bucket_of};
use ostler_shm::roster::{self, KINDS, Place, Roster, RosterSizes};

use crate::error::{Error, Result};
use crate::options::Options;
use crate::sys::{clock, process};

/// Ports of which times are kept, the first ones: each takes a page for each process.
const TIMED_PORTS_MAX: usize = 64;

const _: () = assert!(roster::BUCKETS == histogram::BUCKETS);

/// Never unmapped, as the black box.
static OWN: OnceLock<(Roster, ProcessKey)> = OnceLock::new();

/// Makes the roster of a server.
pub(crate) fn create(options: &Options) -> Result<(Roster, OwnedFd)> {
    let mut slots = [0; KINDS];
    for kind in ProcessKind::ALL {
        let count = match kind {
            ProcessKind::Event => options.workers_room(),
            ProcessKind::Task => options.task_workers,
            ProcessKind::User => options.user_processes,
            ProcessKind::Companion => 1,
        };
        if let Some(slots) = slots.get_mut(usize::from(kind.code())) {
            *slots = usize::from(count);
        }
    }
    let rows = options.ports().iter().count().min(TIMED_PORTS_MAX) + 1;
    Roster::create(RosterSizes { slots, rows })
        .map_err(|error| Error::memory("the roster of the processes", error))
}

/// `mmap(2)` — maps the roster in this process, which begins. Call it once.
pub(crate) fn keep(file: impl AsFd, key: ProcessKey) -> io::Result<()> {
    let _ = OWN.set((Roster::open(file)?, key));
    if let Some(place) = own_place() {
        let pid = u64::from(process::current().get().unsigned_abs());
        place.begin(key.pack(), pid, clock::monotonic_ns());
    }
    Ok(())
}

/// The roster; `None` in a process that is none of a server's, as in tests of handlers.
pub(crate) fn own() -> Option<&'static Roster> {
    OWN.get().map(|(roster, _)| roster)
}

/// The place of this process.
pub(crate) fn own_place() -> Option<Place<'static>> {
    OWN.get().and_then(|(roster, key)| place_of(roster, *key))
}

/// The place of a process.
pub(crate) fn place_of(roster: &Roster, key: ProcessKey) -> Option<Place<'_>> {
    roster.place_of(key.kind.code(), key.slot.0, key.generation.0)
}

/// What times are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// Packages and datagrams of a port.
    Port(u16),
    Tasks,
}

impl Row {
    /// Its number in a roster; `None`: its times are not kept.
    fn number(self, roster: &Roster) -> Option<usize> {
        let ports = roster.rows().saturating_sub(1);
        match self {
            Self::Port(port) => Some(usize::from(port)).filter(|port| *port < ports),
            Self::Tasks => Some(ports),
        }
    }
}

/// A delivery of this process is over: it had waited and has taken so long.
pub(crate) fn count(place: Place<'_>, row: Row, waited: Nanos, took: Nanos) {
    let number = own().and_then(|roster| row.number(roster)).unwrap_or(usize::MAX);
    place.count(number, bucket_of(waited), bucket_of(took));
}

/// How long deliveries have waited, and how long they took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) waited: Histogram,
    pub(crate) took: Histogram,
}

impl Times {
    /// Those of a row, of all processes.
    pub(crate) fn of_row(roster: &Roster, row: Row) -> Self {
        let mut times = Self::default();
        if let Some(number) = row.number(roster) {
            roster.places().for_each(|place| times.add(place, number));
        }
        times
    }

    /// Those of a slot, of all rows and of everybody who ever lived there.
    pub(crate) fn of_slot(roster: &Roster, key: ProcessKey) -> Self {
        let mut times = Self::default();
        for place in roster.places_of(key.kind.code(), key.slot.0) {
            (0..roster.rows()).for_each(|row| times.add(place, row));
        }
        times
    }

    fn add(&mut self, place: Place<'_>, row: usize) {
        if let Some([waited, took]) = place.read_row(row) {
            self.waited.add(&Histogram::of(waited));
            self.took.add(&Histogram::of(took));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(roster: &Roster, key: ProcessKey, row: Row, waited: Nanos, took: Nanos) {
        let number = row.number(roster).unwrap_or(usize::MAX);
        let place = place_of(roster, key).unwrap();
        place.count(number, bucket_of(waited), bucket_of(took));
    }

    #[test]
    fn times_are_added_up_by_port_and_by_slot() {
        let options = Options { workers: 2, task_workers: 1, ..Options::default() };
        let (roster, _file) = create(&options).unwrap();
        write(&roster, ProcessKey::event(0, 1), Row::Port(0), 1_000, 5_000);
        write(&roster, ProcessKey::event(0, 2), Row::Port(0), 2_000, 5_000);
        write(&roster, ProcessKey::event(1, 1), Row::Port(0), 4_000, 9_000);
        write(&roster, ProcessKey::event(1, 1), Row::Port(64), 4_000, 9_000);
        write(&roster, ProcessKey::task(0, 1), Row::Tasks, 8_000, 70_000);
        let totals = |times: Times| (times.waited.total(), times.took.total());
        assert_eq!(totals(Times::of_row(&roster, Row::Port(0))), (3, 3));
        assert_eq!(totals(Times::of_row(&roster, Row::Port(1))), (0, 0));
        assert_eq!(totals(Times::of_row(&roster, Row::Port(u16::MAX))), (0, 0));
        assert_eq!(totals(Times::of_slot(&roster, ProcessKey::event(0, 9))), (2, 2));
        assert_eq!(totals(Times::of_slot(&roster, ProcessKey::event(1, 9))), (1, 1));
        assert_eq!(totals(Times::of_slot(&roster, ProcessKey::event(2, 9))), (0, 0));
        let tasks = Times::of_row(&roster, Row::Tasks);
        assert_eq!(tasks.took.quantile(1.0).map(bucket_of), Some(bucket_of(70_000)));
        assert_eq!(tasks.waited.quantile(1.0).map(bucket_of), Some(bucket_of(8_000)));
    }
}
