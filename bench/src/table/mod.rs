//! The comparison table: several servers, several payloads, two placements, interleaved rounds, one
//! reference.
//!
//! Each measurement gets a fresh server, and each round starts with another peer. Fresh rather than
//! kept idle: a kept server is one draw of address layout, allocator state and CPU placement that
//! all its rounds repeat, and an idle server with timers costs its neighbours; with fresh ones the
//! median is taken over independent draws. Starting is not measured: connections are open and warm
//! before the clocks are read.

mod case;
mod extra;
mod rounds;
mod summary;
mod target;
mod text;

pub use case::{Case, Form, Placement, Sample, measure};
pub use extra::Extra;
pub use rounds::{Outcome, TableOptions, run};
pub use summary::{Row, Spread};
pub use target::Target;
