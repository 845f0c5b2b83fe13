//! The checksum of a file: a keyed one, so that what clients send cannot look like a record.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

/// The key of one file. It stands in the file: it keeps apart what is a record and what only looks
/// like one, and is no secret to who may read the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub u64, pub u64);

impl Key {
    /// The checksum of these bytes at this place.
    pub(super) fn sum(self, place: u64, bytes: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.0, self.1);
        hasher.write_u64(place);
        hasher.write(bytes);
        hasher.finish()
    }
}
