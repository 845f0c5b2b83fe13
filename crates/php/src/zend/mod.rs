//! The own thin layer over the Zend API: everything of PHP's that is unsafe to touch lies here.
//!
//! ext-php-rs gives the bindings and the types; how arguments are read, classes are declared and
//! callables are called is done here, because a server's programs compare PHP's own wording of
//! errors and PHP's own conversions, and because a callback must cost no allocation.
//!
//! PHP (not thread-safe build) has one thread of its own in each process, and everything here is
//! called in it: reactor threads never come here.

pub(crate) mod call;
pub(crate) mod callable;
pub(crate) mod class;
pub(crate) mod fault;
pub(crate) mod function;
pub(crate) mod globals;
pub(crate) mod interrupt;
pub(crate) mod message;
mod naps;
pub(crate) mod object;
pub(crate) mod opcache;
pub(crate) mod process;
pub(crate) mod stack;
pub(crate) mod value;

/// An exception is pending: whoever gets this returns to PHP at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Thrown;
