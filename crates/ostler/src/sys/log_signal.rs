//! The signal by which whoever rotates logs asks for a new file.

use super::signal::SignalNumber;

/// The first real-time signal, by the convention of Swoole.
pub(crate) fn number() -> SignalNumber {
    libc::SIGRTMIN()
}
