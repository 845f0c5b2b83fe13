//! The terms on which a task is asked, in front of its bytes (protocol §3).
//!
//! Eight bytes: which slot (`0xffff`: any), priority, what is wanted (0 nothing, 1 its results, 2
//! to know that it was taken in), and the delay in milliseconds. Terms have one form only; another
//! one is none.

/// Bytes of the terms.
pub const TERMS_BYTES: usize = 8;
/// The slot of a task that any worker may run.
const ANY_SLOT: u16 = u16::MAX;
/// How many priorities there are; the first is the highest.
const PRIORITIES: u8 = 3;

/// How a task is to be run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TermsBlock {
    /// By the worker of this slot, or any.
    pub slot: Option<u16>,
    /// Before which others, 0 is the highest.
    pub priority: u8,
    /// The asker wants its results, and to know its end.
    pub wants_result: bool,
    /// The asker wants to know that it was taken in, or why not, and nothing else.
    pub wants_acceptance: bool,
    /// Not before so many milliseconds have passed.
    pub delay_ms: u32,
}

impl TermsBlock {
    /// The form in memory. A slot that cannot be is none.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; TERMS_BYTES] {
        let [slot_low, slot_high] = self.slot.unwrap_or(ANY_SLOT).to_le_bytes();
        let [d0, d1, d2, d3] = self.delay_ms.to_le_bytes();
        let wants = if self.wants_acceptance { 2 } else { self.wants_result.into() };
        [slot_low, slot_high, self.priority, wants, d0, d1, d2, d3]
    }

    /// Reads what a peer wrote in front of a task; `None` when these are no terms.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let [slot_low, slot_high, priority, wants, delay @ ..] =
            *bytes.first_chunk::<TERMS_BYTES>()?;
        let slot = u16::from_le_bytes([slot_low, slot_high]);
        (priority < PRIORITIES && wants <= 2).then(|| Self {
            slot: Some(slot).filter(|slot| *slot != ANY_SLOT),
            priority,
            wants_result: wants == 1,
            wants_acceptance: wants == 2,
            delay_ms: u32::from_le_bytes(delay),
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn terms_survive_their_memory_form() {
        for slot in [None, Some(0), Some(1_023)] {
            for (priority, wants, delay_ms) in [(0, 0, 0), (1, 1, 1), (2, 2, u32::MAX)] {
                let (wants_result, wants_acceptance) = (wants == 1, wants == 2);
                let terms = TermsBlock { slot, priority, wants_result, wants_acceptance, delay_ms };
                assert_eq!(TermsBlock::read(&terms.to_bytes()), Some(terms));
            }
        }
    }

    #[test]
    fn what_is_no_terms_is_refused() {
        let good = TermsBlock::default().to_bytes();
        assert_eq!(TermsBlock::read(&good[..7]), None);
        for (at, byte) in [(2, 3), (2, 255), (3, 3)] {
            let mut bad = good;
            bad[at] = byte;
            assert_eq!(TermsBlock::read(&bad), None, "{at}");
        }
    }
}
