//! Server processes: how they are started and stopped, where they run, what they cost.

mod affinity;
mod cpu;
mod ending;
mod launch;
mod machine;
mod output;
mod peer;
mod procfs;
mod server;

pub use affinity::{allowed_cpus, pin_current_thread};
pub use cpu::CpuMeter;
pub use launch::launch;
pub use machine::{MachineBusy, machine_busy};
pub use peer::Peer;
pub use server::{Server, StopReport};
