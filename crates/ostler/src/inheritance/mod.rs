//! What a worker process begins with, however it was started: descriptors, attributes, and its way
//! to user code.
//!
//! **Responsible for:** everything that such a process gets from its manager, in one place
//! ([`ProcessBoot`], [`Attributes`]), and the steps before and after code of its kind
//! ([`life::live`]).
//!
//! **Must never:** know how the process came to be (a fork of the manager has all of this as
//! memory), or run user code before the process is tied to its manager and its master.

mod attributes;
mod boot;
pub(crate) mod life;

pub(crate) use attributes::Attributes;
pub(crate) use boot::{EndsKind, ProcessBoot, ProcessEnds};

/// What a worker process runs: it gets its descriptors and returns its exit code.
pub(crate) type WorkerMain = Box<dyn Fn(ProcessBoot) -> i32>;

/// Exit code of a manager or worker whose master is gone, or whose manager was gone before it
/// served.
pub(crate) const EXIT_ORPHANED: i32 = 69;
/// Exit code of a worker that the system refused a signal handler or an attribute.
pub(crate) const EXIT_NOT_PREPARED: i32 = 71;
