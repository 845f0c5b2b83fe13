//! The black box of a worker process: memory that it writes about itself, and that its manager
//! reads while it lives and when it is dead.
//!
//! A file of its own for each process, made before it begins: what it is doing ([`phase`]), who it
//! is, and what its signal handlers captured of it ([`capture`]). All of it is hostile to who reads
//! it: lengths are bounded, texts are bytes, and nothing here says what is true.

pub mod capture;
#[cfg(not(loom))]
pub mod memory;
pub mod phase;
