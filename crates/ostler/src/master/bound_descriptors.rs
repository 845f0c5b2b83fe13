//! Descriptors of servers that are bound: no process of another server may have them.
//!
//! A program may bind several servers before it runs the first. Everything that the program has
//! open is kept by the processes of that server, but a listener in their hands would hold its port
//! after the program has given it up, and would let clients connect to nobody.

use std::os::fd::RawFd;
use std::sync::{Mutex, PoisonError};

static OPEN: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

/// Descriptors of one server. They are private from when this is made until it is dropped, which
/// comes before they are closed, as long as it is a field before them.
#[derive(Debug)]
pub(super) struct BoundDescriptors {
    own: Vec<RawFd>,
}

impl BoundDescriptors {
    pub(super) fn new(own: Vec<RawFd>) -> Self {
        OPEN.lock().unwrap_or_else(PoisonError::into_inner).extend(&own);
        Self { own }
    }
}

impl Drop for BoundDescriptors {
    fn drop(&mut self) {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|descriptor| !self.own.contains(descriptor));
    }
}

/// Whether a bound server has it.
pub(super) fn contains(descriptor: RawFd) -> bool {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner).contains(&descriptor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_private_while_their_server_is_bound() {
        // Numbers that no process has, because other tests run beside this one.
        let (first, second) = (1_000_001, 1_000_002);
        let one = BoundDescriptors::new(vec![first]);
        let other = BoundDescriptors::new(vec![second]);
        assert!(contains(first) && contains(second));
        drop(one);
        assert!(!contains(first) && contains(second));
        drop(other);
        assert!(!contains(second));
    }
}
