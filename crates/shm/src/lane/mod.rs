//! Lanes over real memory: the files of one worker process and the views that each side has of
//! them.
//!
//! * [`MasterMemory`]: both files of one process (slot, generation), made by the master before the
//!   fork.
//! * [`ReactorLane`]: one reactor's view of its lane: writes `down`, reads `up` as hostile input.
//! * [`WorkerMemory`]: the worker's view of all its lanes: reads `down`, writes `up`.

mod bytes;
mod memory;
mod reactor;
mod ring_memory;
mod worker;

pub use bytes::{PackageBytes, RawBytes, RawBytesMut};
pub use memory::MasterMemory;
pub use reactor::ReactorLane;
pub use ring_memory::RingMemory;
pub use worker::{LayoutRefused, WorkerLane, WorkerMemory};

#[cfg(test)]
mod tests;
