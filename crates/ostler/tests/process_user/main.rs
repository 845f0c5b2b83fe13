//! User processes: what they do for clients, how they live and end, and that they concern nobody
//! else.

#[allow(dead_code, reason = "shared with the tests of the companion")]
mod crew;
mod ends;
mod lives;
#[path = "../support/mod.rs"]
mod support;
