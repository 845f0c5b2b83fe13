//! One memory budget for all reactors: who may take how much, and who pays when it is used up
//! (decision 13).
//!
//! Charged: unsent output of connections, partial packages, bodies kept on the heap. Not charged:
//! lanes (fixed, printed in the memory plan) and kernel buffers.
//!
//! What can wait (input stays in the kernel) is refused when the budget is used up. What was
//! accepted already (output of workers, packages in hand) is taken all the same, and the
//! [`Shortage`] that this begins chooses who pays: over all reactors the session that holds the
//! most.

mod account;
mod shortage;

pub use account::{Account, Budget};
pub use shortage::{Award, End, Ended, Lack, PATIENCE_NS, SAY_AGAIN_NS, Shortage, payers};
