//! What a server tells about itself while it runs: the books of its reactors, and beside them what
//! its master knows.

mod balance;
pub mod histogram;
mod server;

pub use balance::Imbalance;
pub use server::ServerFigures;
