//! The reactor's brain: which session's package goes to which worker, what becomes of it, when a session ends.
//!
//! Responsible for: the ledger of every lane, the order of every session, credits, recall, settling the dead, the books.
//! Must never: do I/O, read a clock, wait, or believe a worker (its driver checks what a worker wrote; this module checks
//! what that means).
//!
//! The driver pulls: it tells what happened ([`Brain::readable`], [`Brain::finish`], [`Brain::worker_died`], …), asks
//! [`Brain::next_give`] until there is nothing to give, and carries out [`Brain::next_action`].

mod books;
mod brain;
mod connection;
mod delivery;
mod dispatch;
mod lane;
mod ledger;
mod lists;
mod reason;
mod sessions;
mod settle;
#[cfg(test)]
mod tests;

pub use books::Books;
pub use brain::{Assignment, BodyCopier, Brain, BrainAction, BrainSettings, Content};
pub use connection::{ConnectionSlot, Phase, Returned};
pub use lane::{LaneSlot, LaneState};
pub use ledger::{DeliveryKind, Entry, Ledger};
pub use reason::{CLOSE_REASONS, CloseReason};
