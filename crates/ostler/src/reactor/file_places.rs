//! How many files may wait to be sent, over all reactors: each has a descriptor of the master.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The places for files.
#[derive(Debug)]
pub(crate) struct FilePlaces {
    taken: AtomicU64,
    most: u64,
}

/// The place of one file, which is free again when this is dropped.
#[derive(Debug)]
pub(super) struct FilePlace {
    places: Arc<FilePlaces>,
}

impl FilePlaces {
    pub(super) fn new(most: u64) -> Arc<Self> {
        Arc::new(Self { taken: AtomicU64::new(0), most })
    }

    /// `None`: as many files wait as may.
    pub(super) fn take(self: &Arc<Self>) -> Option<FilePlace> {
        let is_free = self.taken.fetch_add(1, Ordering::Relaxed) < self.most;
        // Also when it is not free: then this is dropped at once.
        let place = FilePlace { places: Arc::clone(self) };
        is_free.then_some(place)
    }

    /// Whether workers are to send no more files: an eighth of the places is left, for files that
    /// are on their way. It depends on whether they were told so, for they are let go on only when
    /// a quarter is free.
    pub(super) fn are_nearly_taken(&self, were: bool) -> bool {
        let taken = self.taken.load(Ordering::Relaxed);
        let most = if were { self.most - self.most / 4 } else { self.most - self.most / 8 };
        taken >= most.max(1)
    }
}

impl Drop for FilePlace {
    fn drop(&mut self) {
        self.places.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_taken_until_its_file_is_dropped() {
        let places = FilePlaces::new(2);
        let (first, second) = (places.take().unwrap(), places.take().unwrap());
        assert!(places.take().is_none() && places.take().is_none());
        drop(first);
        let third = places.take().unwrap();
        assert!(places.take().is_none());
        drop((second, third));
        assert_eq!(places.taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn workers_stop_before_the_last_place_and_go_on_when_there_are_several() {
        let places = FilePlaces::new(16);
        let mut taken = Vec::new();
        let mut told = false;
        for _ in 0..14 {
            assert!(!places.are_nearly_taken(told));
            taken.push(places.take().unwrap());
        }
        told = places.are_nearly_taken(told);
        assert!(told);
        while taken.len() > 12 {
            taken.pop();
            assert_eq!(places.are_nearly_taken(told), taken.len() >= 12);
        }
        taken.pop();
        assert!(!places.are_nearly_taken(told));
        let only = FilePlaces::new(1);
        assert!(!only.are_nearly_taken(false));
        let place = only.take();
        assert!(only.are_nearly_taken(false) && only.are_nearly_taken(true));
        drop(place);
        assert!(!only.are_nearly_taken(true));
    }
}
