//! Where shared memory may be made: in a program that will fork its server, before it does.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::error::{Error, Result};

/// The longest name of a shared object; it is what `/proc/PID/maps` shows.
const NAME_BYTES_MAX: usize = 64;

/// How many shared objects this program has.
static LIVING: AtomicUsize = AtomicUsize::new(0);
/// This process is a worker.
static IN_WORKER: AtomicBool = AtomicBool::new(false);

/// What this process makes from now on no other one would see.
pub(crate) fn worker_begins() {
    IN_WORKER.store(true, Ordering::Relaxed);
}

/// # Errors
/// When the program has shared objects, which a process that is started by exec would not see.
pub(crate) fn refuse_with_exec() -> Result<()> {
    if LIVING.load(Ordering::Relaxed) == 0 {
        return Ok(());
    }
    Err(Error::start(
        "the program has made objects of `ostler::shared`, and with start = exec each worker would \
         have its own: set start = fork",
        None,
    ))
}

/// A shared object is there, as long as this is.
#[derive(Debug)]
pub(super) struct Living(());

impl Living {
    /// The object `name` is made by `make`, which is given the name of its memory.
    ///
    /// # Errors
    /// When it must not be made here, or cannot be.
    pub(super) fn make<T>(
        name: &str,
        make: impl FnOnce(&str) -> io::Result<T>,
    ) -> Result<(T, Self)> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains('\0') {
            return Err(Error::option(format!(
                "the name of a shared object has 1 to {NAME_BYTES_MAX} bytes, none of them 0, and \
                 not {name:?}"
            )));
        }
        if IN_WORKER.load(Ordering::Relaxed) {
            return Err(Error::start(
                format!(
                    "`{name}` is made in a worker, where no other process would see it: make it \
                     before `run`, and let the factory clone it"
                ),
                None,
            ));
        }
        let made = make(&format!("ostler-shared-{name}"));
        let made = made.map_err(|error| Error::memory(format!("the shared `{name}`"), error))?;
        LIVING.fetch_add(1, Ordering::Relaxed);
        Ok((made, Self(())))
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        LIVING.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_the_lack_of_memory_is_told() {
        for name in ["", "a\0b", &"x".repeat(65)] {
            let error = Living::make(name, |_| Ok(())).unwrap_err();
            assert!(error.is_option() && error.to_string().contains("1 to 64 bytes"), "{error}");
        }
        let none = || io::Error::from_raw_os_error(libc::ENOMEM);
        let error = Living::make::<()>("hits", |_| Err(none())).unwrap_err();
        assert!(error.is_start() && error.to_string().contains("the shared `hits`"), "{error}");
    }
}
