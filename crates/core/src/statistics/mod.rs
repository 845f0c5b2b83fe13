//! What a server tells about itself while it runs.

pub mod histogram;
