//! A record that nobody honest writes, past all that the library allows.

use std::time::Duration;

use ostler_shm::layout::Sizes;
use ostler_shm::record::Header;

use crate::memory::{self, Memory};

/// Writes a record as the first of this process to its first reactor, and sleeps until it is killed
/// for it.
pub(crate) fn commit_and_sleep(memory: &Memory, sizes: &Sizes, header: &Header) -> ! {
    for (index, word) in (0_u64..).zip(header.to_words()) {
        memory.put(sizes.out_ring_at(0) + index * 8, word);
    }
    memory.put(sizes.up_words_at(0) + 64, 64);
    memory.put(sizes.process_words_at(), 1);
    memory::ring_all(&memory::bells());
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}
