//! Reading sessions: how what clients send becomes packages. One file per way of reading.

pub(super) mod framed;
pub(super) mod intake;
pub(super) mod kept_input;
pub(super) mod raw;
pub(super) mod receive_share;
pub(super) mod stream;

/// The least ring space worth a read; a smaller rest waits until more is free.
pub(super) const READ_MIN_BYTES: u64 = 2 * 1024;
