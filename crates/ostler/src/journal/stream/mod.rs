//! Tasks that are kept in a stream of a Redis, which servers of one name share: what one of them
//! leaves when it dies another one runs.
//!
//! **Responsible for:** adding tasks and forgetting those that are over (`store`), being heard of,
//! and taking what the dead have left (`others`), talking to a Redis that may do anything (`link`,
//! `reply`).
//!
//! **Must never:** wait for longer than a limit, take memory that a reply asks for, or say that a
//! task is kept that is not. (`docs/decisions/70-tasks-of-several-servers-in-a-stream.md`)

mod link;
mod others;
mod reply;
mod store;
#[cfg(test)]
mod tests;

pub(super) use store::RedisStore;
