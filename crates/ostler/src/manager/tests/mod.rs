//! Real processes: each test forks a master that forks managers that fork workers.

mod life;
mod loss;
mod master;
mod worker;
