//! A descriptor that is kept for the moment in which there is no other: with it a client can be
//! taken and refused, which learns so at once instead of waiting for nobody.

use std::io;
use std::os::fd::OwnedFd;

use crate::sys::eventfd;

/// The descriptor. Nothing is done with it but giving it up, and taking one again.
#[derive(Debug)]
pub(super) struct Reserve(Option<OwnedFd>);

impl Reserve {
    /// Takes one.
    pub(super) fn take() -> io::Result<Self> {
        Ok(Self(Some(eventfd::create()?)))
    }

    /// Does something for which a descriptor is needed, and which has none left when it is done.
    /// Afterwards one is taken again; if somebody else was faster, the next time.
    pub(super) fn lend<T>(&mut self, errand: impl FnOnce() -> T) -> T {
        self.0 = None;
        let result = errand();
        self.0 = eventfd::create().ok();
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::limit;
    use crate::sys::process::in_forked_test;

    #[test]
    fn there_is_one_descriptor_for_the_errand_when_there_is_no_other() {
        in_forked_test(|| {
            let mut reserve = Reserve::take().unwrap();
            limit::set_soft_descriptors(100);
            let mut all = Vec::new();
            while let Ok(descriptor) = eventfd::create() {
                all.push(descriptor);
            }
            for _ in 0..3 {
                assert!(reserve.lend(|| eventfd::create().is_ok()));
            }
            // Somebody was faster.
            all.push(reserve.lend(|| eventfd::create().unwrap()));
            assert!(reserve.lend(|| eventfd::create().is_err()));
            all.pop();
            assert!(reserve.lend(|| eventfd::create().is_ok()));
        });
    }
}
