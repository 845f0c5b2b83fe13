//! Dispatch `user_id` and `user_function`: the worker slot follows from the number to which a
//! worker has bound the session: the number modulo the number of workers, so that a program may
//! name a slot as well as a user. A session that is not bound is dispatched by its id.

/// The worker slot of the sessions that are bound to this number.
pub(super) fn home(user: u32, workers: u16) -> u16 {
    (user % u32::from(workers.max(1))) as u16
}
