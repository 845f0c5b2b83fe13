//! What an application shares between its processes: memory that is made before the first fork,
//! which all processes of the server map and write.
//!
//! The engine itself reads nothing in it, so that nothing that a worker leaves there can reach the
//! master. What another process may have written is still checked before it is used: an
//! application's mistake in one worker must not be a crash in the others.

#[cfg(not(loom))]
pub mod atomic;
pub mod claim;
#[cfg(not(loom))]
pub mod counter;
#[cfg(not(loom))]
pub mod lock;
#[cfg(not(loom))]
pub mod members;
#[cfg(not(loom))]
pub mod place;
pub mod row;
#[cfg(not(loom))]
pub mod table;
