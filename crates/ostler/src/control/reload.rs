//! What of a reload goes from process to process: who has asked, and what became of each slot.

use std::fmt;

use ostler_core::ids::{ProcessKey, Slot};

use super::short_text::ShortText;
use super::wire::{Malformed, Reader, Writer};
use crate::sys::signal;

/// Who asks for a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// Somebody outside, by a signal.
    Signal {
        /// Which.
        signal: i32,
        /// The number of the process that sent it.
        sender: i32,
    },
    /// Code of the program, which is answered.
    Process {
        /// In this process.
        worker: ProcessKey,
        /// What it calls its request.
        ticket: u32,
    },
    /// Somebody at the operator's socket, who is answered there.
    Operator {
        /// What the master calls that request.
        ticket: u32,
    },
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal { signal, sender } => {
                write!(f, "{} of process {sender}", signal::name(*signal))
            }
            Self::Process { worker, .. } => worker.fmt(f),
            Self::Operator { .. } => f.write_str("an operator"),
        }
    }
}

/// What code of the program asks to be reloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WantedReload {
    /// The event workers, and what follows them.
    Workers,
    /// All user processes.
    Processes,
    /// The task workers alone.
    TaskWorkers,
    /// The user process of this name.
    Process(ShortText),
}

/// Slots that one message can tell of.
const SLOTS_OF_PART: usize = 8 * PART_BYTES;
const PART_BYTES: usize = 32;

/// What became of some slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReloadPart {
    first: u16,
    /// A bit for each: it took part.
    took_part: [u8; PART_BYTES],
    /// A bit for each: it has a new process.
    is_new: [u8; PART_BYTES],
}

impl ReloadPart {
    /// All that is to be told, in parts.
    pub(crate) fn split(slots: &[(Slot, bool)]) -> Vec<Self> {
        let mut parts: Vec<Self> = Vec::new();
        for (Slot(slot), is_new) in slots.iter().copied() {
            let index = usize::from(slot) % SLOTS_OF_PART;
            let first = slot - index as u16;
            if parts.last().is_none_or(|part| part.first != first) {
                let none = [0; PART_BYTES];
                parts.push(Self { first, took_part: none, is_new: none });
            }
            let Some(part) = parts.last_mut() else { continue };
            let bit = 1 << (index % 8);
            let bytes = part.took_part.iter_mut().zip(&mut part.is_new).nth(index / 8);
            if let Some((took_part, new)) = bytes {
                *took_part |= bit;
                *new |= if is_new { bit } else { 0 };
            }
        }
        parts
    }

    /// The slots of this part.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (Slot, bool)> {
        let bytes = (0_u16..).step_by(8).zip(self.took_part.iter().zip(&self.is_new));
        bytes.flat_map(move |(index, (took_part, is_new))| {
            let slot = move |bit: u16| Slot(self.first.saturating_add(index + bit));
            let here = (0..8_u16).filter(move |bit| took_part >> bit & 1 != 0);
            here.map(move |bit| (slot(bit), is_new >> bit & 1 != 0))
        })
    }

    pub(super) fn write<const N: usize>(self, writer: Writer<N>) -> Writer<N> {
        writer.u16(self.first).bytes(self.took_part).bytes(self.is_new)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (first, took_part, is_new) = (reader.u16()?, reader.bytes()?, reader.bytes()?);
        let is_sound = took_part.iter().zip(&is_new).all(|(all, new): (&u8, &u8)| new & !all == 0);
        // As they are split: others would reach beyond the last number that a slot has.
        let is_first = usize::from(first).is_multiple_of(SLOTS_OF_PART);
        if is_sound && is_first { Ok(Self { first, took_part, is_new }) } else { Err(Malformed) }
    }
}

pub(super) fn write_asker<const N: usize>(writer: Writer<N>, asker: Asker) -> Writer<N> {
    match asker {
        Asker::Signal { signal, sender } => writer.u8(1).i32(signal).i32(sender),
        Asker::Process { worker, ticket } => writer.u8(2).key(worker).u32(ticket),
        Asker::Operator { ticket } => writer.u8(3).u32(ticket),
    }
}

pub(super) fn read_asker(reader: &mut Reader<'_>) -> Result<Asker, Malformed> {
    match reader.u8()? {
        1 => Ok(Asker::Signal { signal: reader.i32()?, sender: reader.i32()? }),
        2 => Ok(Asker::Process { worker: reader.key()?, ticket: reader.u32()? }),
        3 => Ok(Asker::Operator { ticket: reader.u32()? }),
        _ => Err(Malformed),
    }
}

pub(super) fn write_wanted<const N: usize>(writer: Writer<N>, wanted: WantedReload) -> Writer<N> {
    match wanted {
        WantedReload::Workers => writer.u8(1),
        WantedReload::Processes => writer.u8(2),
        WantedReload::Process(name) => writer.u8(3).text(name),
        WantedReload::TaskWorkers => writer.u8(4),
    }
}

pub(super) fn read_wanted(reader: &mut Reader<'_>) -> Result<WantedReload, Malformed> {
    match reader.u8()? {
        1 => Ok(WantedReload::Workers),
        2 => Ok(WantedReload::Processes),
        3 => Ok(WantedReload::Process(reader.text()?)),
        4 => Ok(WantedReload::TaskWorkers),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_back_from_their_parts() {
        for slots in [
            vec![],
            vec![(Slot(0), true)],
            vec![(Slot(7), false), (Slot(8), true), (Slot(255), true), (Slot(256), false)],
            (0..1_024).map(|slot| (Slot(slot), slot % 3 == 0)).collect(),
        ] {
            let parts = ReloadPart::split(&slots);
            let back: Vec<_> = parts.iter().flat_map(ReloadPart::slots).collect();
            assert_eq!(back, slots);
        }
        assert_eq!(ReloadPart::split(&[(Slot(1_023), true)]).len(), 1);
    }

    #[test]
    fn who_asks_is_told_in_words() {
        let by_signal = Asker::Signal { signal: signal::USR1, sender: 12 };
        assert_eq!(by_signal.to_string(), "SIGUSR1 of process 12");
        let by_code = Asker::Process { worker: ProcessKey::user(1, 3), ticket: 9 };
        assert_eq!(by_code.to_string(), "u1.3");
    }
}
