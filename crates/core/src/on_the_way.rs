//! How many bytes are on their way to somebody who says how far it has read.
//!
//! **Responsible for:** what is sent beside a ring, for a record of which each has its place there,
//! stays bounded. **Must never:** let something wait for ever that is longer than the bound alone.

use std::collections::VecDeque;

/// It, as the sender knows it.
#[derive(Debug, Default)]
pub struct OnTheWay {
    /// Where the record of each ends, and its bytes; the oldest first.
    sent: VecDeque<(u64, u64)>,
    bytes: u64,
}

impl OnTheWay {
    /// Everything up to this position was read.
    pub fn read_up_to(&mut self, position: u64) {
        while let Some((_, bytes)) = self.sent.pop_front_if(|(end, _)| *end <= position) {
            self.bytes -= bytes;
        }
    }

    /// How many there are, of what was not read up to the position that was told last.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether so many bytes more are within `most`. What is alone always is.
    #[must_use]
    pub fn has_room(&self, bytes: u64, most: u64) -> bool {
        self.bytes == 0 || self.bytes.saturating_add(bytes) <= most
    }

    /// So many bytes are sent, whose record ends there, behind all before it.
    pub fn send(&mut self, end: u64, bytes: u64) {
        if bytes > 0 {
            self.sent.push_back((end, bytes));
            self.bytes += bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_alone_has_room() {
        let mut way = OnTheWay::default();
        assert!(way.has_room(u64::MAX, 10));
        way.send(64, 11);
        assert!(!way.has_room(1, 11) && way.has_room(1, 12));
        way.read_up_to(63);
        assert!(!way.has_room(1, 11));
        way.read_up_to(64);
        assert!(way.has_room(11, 11));
    }

    proptest! {
        /// What is sent only when there is room is never more than the bound, or alone.
        #[test]
        fn it_stays_bounded_and_all_of_it_arrives(
            steps in proptest::collection::vec((any::<bool>(), 0u64..40), 1..200),
        ) {
            const MOST: u64 = 30;
            let mut way = OnTheWay::default();
            let (mut all, mut read) = (Vec::new(), 0_u64);
            for (sends, number) in steps {
                if sends && way.has_room(number, MOST) {
                    all.push(number);
                    way.send(all.len() as u64, number);
                } else if !sends {
                    read = (read + number % 4).min(all.len() as u64);
                    way.read_up_to(read);
                }
                let waiting = all.iter().skip(read as usize).copied().collect::<Vec<_>>();
                prop_assert_eq!(way.bytes, waiting.iter().sum::<u64>());
                let is_alone = waiting.iter().filter(|bytes| **bytes > 0).count() <= 1;
                prop_assert!(way.bytes <= MOST || is_alone);
            }
            way.read_up_to(all.len() as u64);
            prop_assert!(way.bytes == 0 && way.sent.is_empty());
        }
    }
}
