//! The atomics of the protocol: the real ones, or loom's when the models run.
//!
//! Loom treats `SeqCst` loads and stores as acquire-release but models `SeqCst` fences exactly, so
//! the protocol uses explicit fences wherever a total order is needed.

#[cfg(not(loom))]
pub use core::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU64, Ordering, fence};
