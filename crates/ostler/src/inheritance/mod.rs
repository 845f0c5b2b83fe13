//! What a worker process begins with, however it was started: descriptors, attributes, and its way
//! to user code.
//!
//! **Responsible for:** everything that such a process gets from its manager, in one place
//! ([`ProcessBoot`], [`Attributes`]), and the steps before and after code of its kind
//! ([`life::live`]). A fork of the manager has all of this as memory; a program that is executed
//! gets it by descriptor ([`exec::take`], [`Charter`]).
//!
//! **Must never:** run user code before the process is tied to its manager and its master.

mod attributes;
mod boot;
mod charter;
pub(crate) mod exec;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod identity;
pub(crate) mod left_socket;
pub(crate) mod life;
mod privileges;
mod resources;

pub(crate) use attributes::Attributes;
pub(crate) use boot::{EndsKind, ProcessBoot, ProcessEnds, SwitchEnds};
pub(crate) use charter::Charter;
pub(crate) use identity::{Identity, Named, kept};
pub(crate) use privileges::Privileges;
pub(crate) use resources::Resources;

/// What a process runs, of whatever kind: it gets its descriptors and returns its exit code.
pub(crate) type ProcessMain = Box<dyn Fn(ProcessBoot) -> i32>;

/// Exit code of a manager or worker whose master is gone, or whose manager was gone before it
/// served.
pub(crate) const EXIT_ORPHANED: i32 = 69;
/// Exit code of a worker that the system refused a signal handler or an attribute.
pub(crate) const EXIT_NOT_PREPARED: i32 = 71;
