//! A lock between the processes of a server.

use std::sync::Arc;
use std::time::Duration;

use super::origin::Living;
use crate::error::{Error, Result};

/// A lock that all processes of a server can take, and that a dead one does not keep.
///
/// For what is neither a number nor a row of a [`super::Table`] and is changed in several steps: a
/// file, several rows that belong together. A process that dies while it holds the lock has let go,
/// and whoever takes it next learns that what it guards may be half changed
/// ([`LockGuard::is_torn`]), until somebody says that it is whole ([`LockGuard::mend`]).
///
/// A handler that waits serves nobody meanwhile: hold it for short, and give a short timeout.
/// Threads of one process exclude each other too. Who waits looks again every 200 us; nobody is
/// first because he has waited longest.
///
/// ```
/// use std::time::Duration;
///
/// let lock = ostler::shared::Lock::new("accounts")?; // before `run`
/// let Some(guard) = lock.lock(Duration::from_millis(100))? else {
///     panic!("somebody holds it for so long");
/// };
/// if guard.is_torn() {
///     // Bring what it guards in order again.
///     guard.mend();
/// }
/// assert!(lock.lock(Duration::ZERO)?.is_none());
/// drop(guard);
/// assert!(lock.lock(Duration::ZERO)?.is_some());
/// # Ok::<(), ostler::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Lock {
    inner: Arc<(ostler_shm::shared::lock::Lock, Living)>,
}

impl Lock {
    /// Makes one that nobody holds, before [`crate::Server::run`]. The name is for people: it
    /// stands in `/proc/PID/maps`.
    ///
    /// ```
    /// let lock = ostler::shared::Lock::new("accounts")?;
    /// # Ok::<(), ostler::Error>(())
    /// ```
    ///
    /// # Errors
    /// When it is made in a worker, its name is none, or there is no memory.
    pub fn new(name: &str) -> Result<Self> {
        Ok(Self { inner: Arc::new(Living::make(name, ostler_shm::shared::lock::Lock::create)?) })
    }

    /// Takes it; waits for who has it, so long at most. `None` if that was not enough.
    ///
    /// ```
    /// let lock = ostler::shared::Lock::new("accounts")?;
    /// assert!(lock.lock(std::time::Duration::ZERO)?.is_some());
    /// # Ok::<(), ostler::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the system refuses this process a lock of a file, with which others see whether it
    /// lives.
    pub fn lock(&self, timeout: Duration) -> Result<Option<LockGuard<'_>>> {
        let held = self.inner.0.take(timeout).map_err(|error| {
            Error::start(
                "this process cannot take a shared lock: are locks of files forbidden?",
                Some(error),
            )
        })?;
        Ok(held.map(|held| LockGuard { held }))
    }
}

/// A [`Lock`] is held; dropping this lets go.
///
/// ```
/// fn is_whole(guard: &ostler::shared::LockGuard<'_>) -> bool {
///     !guard.is_torn()
/// }
/// ```
#[derive(Debug)]
#[must_use = "it is let go when this is dropped"]
pub struct LockGuard<'a> {
    held: ostler_shm::shared::lock::Held<'a>,
}

impl LockGuard<'_> {
    /// Whether a process has died while it held the lock, and nobody has mended since.
    ///
    /// ```
    /// let lock = ostler::shared::Lock::new("accounts")?;
    /// let guard = lock.lock(std::time::Duration::ZERO)?.unwrap();
    /// assert!(!guard.is_torn());
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub fn is_torn(&self) -> bool {
        self.held.is_torn()
    }

    /// What the lock guards is whole again.
    ///
    /// ```
    /// let lock = ostler::shared::Lock::new("accounts")?;
    /// lock.lock(std::time::Duration::ZERO)?.unwrap().mend();
    /// # Ok::<(), ostler::Error>(())
    /// ```
    pub fn mend(&self) {
        self.held.mend();
    }
}
