//! The terms on which a task is asked, in front of its bytes (protocol §3).
//!
//! Eight bytes: which slot (`0xffff`: any), priority, what is wanted (0 nothing, 1 its results, 2
//! to know that it was taken in), and the delay in milliseconds. If 128 is added to what is wanted,
//! 24 bytes follow, the ids of the trace in which it was asked and of the span there, and what is
//! wanted has the flags of that trace besides, times 16. Terms have one form only; another one is
//! none.

use std::ops::Deref;

/// Bytes of terms without a trace.
const PLAIN_BYTES: usize = 8;
/// Bytes of the ids of a trace and a span.
pub const TRACE_BYTES: usize = 24;
/// Bytes of the longest terms.
pub const TERMS_BYTES_MAX: usize = PLAIN_BYTES + TRACE_BYTES;
/// The slot of a task that any worker may run.
const ANY_SLOT: u16 = u16::MAX;
/// How many priorities there are; the first is the highest.
const PRIORITIES: u8 = 3;
/// Set in what is wanted: a trace follows.
const TRACED: u8 = 128;
/// What is wanted, without what is said of a trace there.
const WANTS: u8 = 15;
/// The flags of a trace: two bits.
const FLAGS_SHIFT: u32 = 4;
const FLAGS: u8 = 3;

/// In which trace a task was asked. The bytes mean nothing here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceBlock {
    /// The ids of the trace and of the span.
    pub ids: [u8; TRACE_BYTES],
    /// The flags of the trace, below 4.
    pub flags: u8,
}

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
    /// In which trace it was asked, if in one.
    pub trace: Option<TraceBlock>,
}

/// Terms in their form in memory: a slice of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermsBytes {
    bytes: [u8; TERMS_BYTES_MAX],
    is_traced: bool,
}

impl Deref for TermsBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let len = if self.is_traced { TERMS_BYTES_MAX } else { PLAIN_BYTES };
        self.bytes.get(..len).unwrap_or_default()
    }
}

impl TermsBlock {
    /// The form in memory. A slot that cannot be is none.
    #[must_use]
    pub fn to_bytes(&self) -> TermsBytes {
        let [slot_low, slot_high] = self.slot.unwrap_or(ANY_SLOT).to_le_bytes();
        let [d0, d1, d2, d3] = self.delay_ms.to_le_bytes();
        let wants = if self.wants_acceptance { 2 } else { self.wants_result.into() };
        let of_trace = |trace: TraceBlock| TRACED | (trace.flags & FLAGS) << FLAGS_SHIFT;
        let wants = wants | self.trace.map_or(0, of_trace);
        let mut bytes = [0; TERMS_BYTES_MAX];
        let (plain, ids) = bytes.split_at_mut(PLAIN_BYTES);
        plain.copy_from_slice(&[slot_low, slot_high, self.priority, wants, d0, d1, d2, d3]);
        if let Some(trace) = &self.trace {
            ids.copy_from_slice(&trace.ids);
        }
        TermsBytes { bytes, is_traced: self.trace.is_some() }
    }

    /// How many of these bytes, which begin with terms, are terms. If they are none, so many as
    /// there would be at least.
    #[must_use]
    pub fn len_of(bytes: &[u8]) -> usize {
        match bytes.get(3) {
            Some(wants) if wants & TRACED != 0 => TERMS_BYTES_MAX,
            _ => PLAIN_BYTES,
        }
    }

    /// Reads what a peer wrote in front of a task; `None` when these are no terms.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (plain, rest) = bytes.split_first_chunk::<PLAIN_BYTES>()?;
        let [slot_low, slot_high, priority, said, delay @ ..] = *plain;
        let slot = u16::from_le_bytes([slot_low, slot_high]);
        let (wants, flags) = (said & WANTS, (said & !TRACED) >> FLAGS_SHIFT);
        let trace = match said & TRACED {
            0 => None,
            _ => Some(TraceBlock { ids: *rest.first_chunk()?, flags }),
        };
        let is_possible = flags <= if trace.is_some() { FLAGS } else { 0 };
        (priority < PRIORITIES && wants <= 2 && is_possible).then(|| Self {
            slot: Some(slot).filter(|slot| *slot != ANY_SLOT),
            priority,
            wants_result: wants == 1,
            wants_acceptance: wants == 2,
            delay_ms: u32::from_le_bytes(delay),
            trace,
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn traces() -> [Option<TraceBlock>; 3] {
        let trace = |flags| Some(TraceBlock { ids: [7; TRACE_BYTES], flags });
        [None, trace(0), trace(3)]
    }

    #[test]
    fn terms_survive_their_memory_form() {
        for (slot, trace) in [None, Some(0), Some(1_023)].into_iter().zip(traces()) {
            for (priority, wants, delay_ms) in [(0, 0, 0), (1, 1, 1), (2, 2, u32::MAX)] {
                let (wants_result, wants_acceptance) = (wants == 1, wants == 2);
                let terms =
                    TermsBlock { slot, priority, wants_result, wants_acceptance, delay_ms, trace };
                let bytes = terms.to_bytes();
                assert_eq!(TermsBlock::read(&bytes), Some(terms));
                assert_eq!(TermsBlock::len_of(&[&bytes, &b"task"[..]].concat()), bytes.len());
                assert_eq!(bytes.len(), if trace.is_some() { 32 } else { 8 });
            }
        }
    }

    #[test]
    fn what_is_no_terms_is_refused() {
        for trace in traces() {
            let good = TermsBlock { trace, ..TermsBlock::default() }.to_bytes();
            assert_eq!(TermsBlock::read(&good[..good.len() - 1]), None);
            let wants = good[3];
            for (at, byte) in [(2, 3), (2, 255), (3, wants | 3), (3, wants | 8), (3, wants | 64)] {
                let mut bad = good.to_vec();
                bad[at] = byte;
                assert_eq!(TermsBlock::read(&bad), None, "{at} {byte}");
            }
        }
        // Flags of a trace that is not there.
        let mut bad = TermsBlock::default().to_bytes().to_vec();
        bad[3] = 16;
        assert_eq!(TermsBlock::read(&bad), None);
        assert_eq!(TermsBlock::len_of(&[]), 8);
    }
}
