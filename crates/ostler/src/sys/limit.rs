//! Limits of this process.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit of descriptors at some moment, to be put back.
#[derive(Debug)]
pub(crate) struct DescriptorLimit(Rlimit);

impl DescriptorLimit {
    /// `getrlimit(2)`, `RLIMIT_NOFILE`.
    pub(crate) fn save() -> Self {
        Self(getrlimit(Resource::Nofile))
    }

    /// `setrlimit(2)`, `RLIMIT_NOFILE`. What is open above the limit stays open.
    pub(crate) fn restore(&self) -> io::Result<()> {
        Ok(setrlimit(Resource::Nofile, self.0)?)
    }
}

/// `setrlimit(2)`, `RLIMIT_NOFILE` — raises the soft limit of descriptors to the hard one; tells
/// the limit that holds now, also when it could not be raised.
///
/// Inherited by fork and by exec.
pub(crate) fn raise_descriptors() -> (u64, io::Result<()>) {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, maximum: before.maximum };
    let result = setrlimit(Resource::Nofile, raised).map_err(io::Error::from);
    // `None` is no limit at all.
    (getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX), result)
}

/// `setrlimit(2)`, `RLIMIT_NOFILE` — lets nobody in this process open a descriptor numbered `limit`
/// or above.
#[cfg(test)]
pub(crate) fn set_soft_descriptors(limit: u64) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(limit), maximum }).unwrap();
}

/// `setrlimit(2)`, `RLIMIT_NOFILE` — lowers the limit for good.
#[cfg(test)]
pub(crate) fn set_descriptors(limit: u64) {
    let limit = Rlimit { current: Some(limit), maximum: Some(limit) };
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::in_forked_test;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        in_forked_test(|| {
            let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
            set_soft_descriptors(50);
            let (limit, result) = raise_descriptors();
            result.unwrap();
            assert_eq!(limit, hard);
        });
    }
}
