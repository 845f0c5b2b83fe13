//! For whose sake a process is killed that is late.

/// In the place of a session: for the sake of the task that it runs. Sessions have smaller numbers.
pub(crate) const OF_TASK: u64 = u64::MAX;

const _: () = assert!(OF_TASK > ostler_shm::session_ids::SESSION_ID_MAX);
