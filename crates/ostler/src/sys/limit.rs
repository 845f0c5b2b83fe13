//! Limits of this process.
#![allow(unsafe_code)]

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};

/// The limit of descriptors at some moment, to be put back; none when the kernel did not tell it.
#[derive(Debug)]
pub(crate) struct DescriptorLimit(Option<Rlimit>);

/// What of a process is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limited {
    /// Descriptors: `RLIMIT_NOFILE`.
    OpenFiles,
    /// Its core file: `RLIMIT_CORE`.
    CoreSize,
    /// Addresses that it maps: `RLIMIT_AS`.
    AddressSpace,
}

impl Limited {
    const fn resource(self) -> Resource {
        match self {
            Self::OpenFiles => Resource::Nofile,
            Self::CoreSize => Resource::Core,
            Self::AddressSpace => Resource::As,
        }
    }
}

/// `getrlimit(2)`.
///
/// # Errors
/// When a security policy refuses it (rustix takes that for impossible and panics).
fn of(limited: Limited) -> io::Result<Rlimit> {
    let resource = match limited {
        Limited::OpenFiles => libc::RLIMIT_NOFILE,
        Limited::CoreSize => libc::RLIMIT_CORE,
        Limited::AddressSpace => libc::RLIMIT_AS,
    };
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes the limit into the value that it is given.
    if unsafe { libc::getrlimit(resource, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let known = |value: libc::rlim_t| (value != libc::RLIM_INFINITY).then_some(value);
    Ok(Rlimit { current: known(limit.rlim_cur), maximum: known(limit.rlim_max) })
}

/// `getrlimit(2)`, `RLIMIT_NOFILE`.
pub(crate) fn descriptors() -> io::Result<Rlimit> {
    of(Limited::OpenFiles)
}

/// `getrlimit(2)` — the hard limit; `None` is none.
pub(crate) fn hard(limited: Limited) -> io::Result<Option<u64>> {
    Ok(of(limited)?.maximum)
}

/// `setrlimit(2)` — makes this both limits; `None` is none. Inherited by fork and by exec.
pub(crate) fn set(limited: Limited, limit: Option<u64>) -> io::Result<()> {
    Ok(setrlimit(limited.resource(), Rlimit { current: limit, maximum: limit })?)
}

impl DescriptorLimit {
    /// `getrlimit(2)`, `RLIMIT_NOFILE`.
    pub(crate) fn save() -> Self {
        Self(descriptors().ok())
    }

    /// `setrlimit(2)`, `RLIMIT_NOFILE`. What is open above the limit stays open.
    pub(crate) fn restore(&self) -> io::Result<()> {
        match self.0 {
            Some(limit) => Ok(setrlimit(Resource::Nofile, limit)?),
            None => Ok(()),
        }
    }
}

/// `setrlimit(2)`, `RLIMIT_NOFILE` — raises the soft limit of descriptors to the hard one; tells
/// the limit that holds now, also when it could not be raised. When the kernel does not tell it,
/// that is the one with which Linux starts processes.
///
/// Inherited by fork and by exec.
pub(crate) fn raise_descriptors() -> (u64, io::Result<()>) {
    let before = match descriptors() {
        Ok(before) => before,
        Err(error) => return (1_024, Err(error)),
    };
    let raised = Rlimit { current: before.maximum, maximum: before.maximum };
    let result = setrlimit(Resource::Nofile, raised).map_err(io::Error::from);
    // `None` is no limit at all.
    (descriptors().unwrap_or(before).current.unwrap_or(u64::MAX), result)
}

/// `setrlimit(2)`, `RLIMIT_NOFILE` — lets nobody in this process open a descriptor numbered `limit`
/// or above.
#[cfg(test)]
pub(crate) fn set_soft_descriptors(limit: u64) {
    let maximum = descriptors().unwrap().maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(limit), maximum }).unwrap();
}

/// `setrlimit(2)`, `RLIMIT_NOFILE` — lowers the limit for good.
#[cfg(test)]
pub(crate) fn set_descriptors(limit: u64) {
    set(Limited::OpenFiles, Some(limit)).unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::in_forked_test;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        in_forked_test(|| {
            let hard = descriptors().unwrap().maximum.unwrap_or(u64::MAX);
            set_soft_descriptors(50);
            let (limit, result) = raise_descriptors();
            result.unwrap();
            assert_eq!(limit, hard);
        });
    }
}
