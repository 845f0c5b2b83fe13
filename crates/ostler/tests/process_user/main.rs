//! User processes: what they do for clients, how they live and end, and that they concern nobody
//! else.

mod crew;
mod ends;
mod lives;
#[path = "../support/mod.rs"]
mod support;
