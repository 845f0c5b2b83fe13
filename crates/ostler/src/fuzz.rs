//! The bodies of fuzz targets whose parsers only this crate sees: built for `fuzz/` and for tests,
//! and panicking when a promise is broken (`fuzz/README.md`).

pub use crate::control::fuzz::{messages as control, slow_turn};
pub use crate::inheritance::fuzz::charter;
pub use crate::master::operator::fuzz::conversation as operator;
#[cfg(feature = "tls")]
pub use crate::tls::fuzz::{certificates, hello as tls_hello};

/// A file of options.
pub fn options_file(input: &[u8]) {
    crate::options::fuzz::file(input);
}

/// Options in the environment and among arguments.
pub fn options_words(input: &[u8]) {
    crate::options::fuzz::words(input);
}

#[cfg(test)]
mod tests;
