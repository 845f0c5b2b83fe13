//! A record that nobody honest writes, past all that the library allows.

use std::time::Duration;

use ostler_shm::layout::Sizes;
use ostler_shm::record::Header;

use crate::memory::{self, Memory};

/// Writes a record as the next of this process to its first reactor, and sleeps until it is killed
/// for it. Those before it, if there were any, were short and not many.
pub(crate) fn commit_and_sleep(memory: &Memory, sizes: &Sizes, header: &Header) -> ! {
    commit_all_and_sleep(memory, sizes, &[*header])
}

/// The same with several.
pub(crate) fn commit_all_and_sleep(memory: &Memory, sizes: &Sizes, headers: &[Header]) -> ! {
    let (written, commit) = (sizes.up_words_at(0) + 64, sizes.process_words_at());
    let (mut begin, last) = (memory.get(written), memory.get(commit));
    for header in headers {
        let (seq, stamp) = (header.seq + begin / 64, header.stamp + last);
        let header = Header { seq, stamp, ..*header };
        for (index, word) in (0_u64..).zip(header.to_words()) {
            memory.put(sizes.out_ring_at(0) + begin + index * 8, word);
        }
        // With room for a few bytes behind the header.
        begin += u64::from(header.len).next_multiple_of(64).clamp(64, 128);
    }
    memory.put(written, begin);
    memory.put(commit, last + 1);
    memory::ring_all(&memory::bells());
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}
