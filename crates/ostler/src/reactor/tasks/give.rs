//! Writing tasks into the rings of task workers, in parts if they are longer than a record.

use ostler_core::ids::LaneSlot;
use ostler_core::task_queue::TaskGift;
use ostler_shm::record::{
    FLAG_IN_AREA, FLAG_MORE, FLAG_REDELIVERED, Header, RecordKind, place_in_area,
};

use super::Tasks;
use super::body::{Lying, TaskBody};
use crate::reactor::destination::{Destination, Destinations};
use crate::reactor::event_loop::GIVES_MAX;

/// The least room that is worth a part.
const PART_MIN_BYTES: u64 = 4 * 1024;

/// A task that is being written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sending {
    gift: TaskGift,
    offset: usize,
}

impl Tasks {
    /// Gives what can be given; true when there may be more at once.
    pub(super) fn give(&mut self, destinations: &mut Destinations, now: u64) -> bool {
        self.continue_sendings(destinations, now);
        for _ in 0..GIVES_MAX {
            let Some(gift) = self.queue.next_gift(now) else { return false };
            match destinations.get_mut(gift.lane).filter(|lane| !lane.is_condemned()) {
                Some(destination) => self.begin(gift, destination, now),
                None => self.queue.no_room(&gift),
            }
        }
        true
    }

    /// Begins to write a task.
    fn begin(&mut self, gift: TaskGift, destination: &mut Destination, now: u64) {
        let mut sending = Sending { gift, offset: 0 };
        if self.write(&mut sending, destination, now) {
            return;
        }
        if sending.offset == 0 {
            self.queue.no_room(&gift);
        } else {
            self.queue.set_full(gift.lane);
            self.sending.insert(gift.lane, sending);
        }
    }

    fn continue_sendings(&mut self, destinations: &mut Destinations, now: u64) {
        if self.sending.is_empty() {
            return;
        }
        for (lane, mut sending) in std::mem::take(&mut self.sending) {
            let Some(destination) = destinations.get_mut(lane) else { continue };
            if !self.write(&mut sending, destination, now) {
                self.queue.set_full(lane);
                self.sending.insert(lane, sending);
            }
        }
    }

    /// Writes as much of a task as there is room for; true when that was the rest.
    fn write(&mut self, sending: &mut Sending, destination: &mut Destination, now: u64) -> bool {
        let Sending { gift, offset } = sending;
        let body = match self.queue.body(gift.task) {
            Some(TaskBody::Heap(body)) => body,
            Some(TaskBody::Lying(lying, terms)) => {
                let terms = terms.as_deref().map(|terms| &terms[..]).unwrap_or_default();
                let Some(position) = write_lying(gift, lying, terms, destination, now) else {
                    return false;
                };
                self.queue.written(gift, position);
                return true;
            }
            None => {
                ostler_core::invariant!(false, "a task that is given has a body");
                return true;
            }
        };
        loop {
            let left = body.len().saturating_sub(*offset);
            let want = left.min(self.settings.payload_max) as u64;
            let Some(opening) = destination.open(want, want.min(PART_MIN_BYTES)) else {
                return false;
            };
            let part = left.min(opening.payload_max as usize);
            let bytes = body.get(*offset..*offset + part).unwrap_or_default();
            destination.space(&opening, part).copy_from(bytes);
            let more = part < left;
            let header = header_of(gift, now);
            let header = Header {
                flags: header.flags | if more { FLAG_MORE } else { 0 },
                part_offset: *offset as u32,
                total: body.len() as u32,
                ..header
            };
            let position = destination.complete(opening, header, part as u64);
            *offset += part;
            if !more {
                self.queue.written(gift, position);
                return true;
            }
        }
    }

    /// What was being written to a lane was taken back.
    pub(super) fn stop_sending(&mut self, lane: LaneSlot) {
        self.sending.remove(&lane);
    }
}

fn header_of(gift: &TaskGift, now: u64) -> Header {
    Header {
        kind: RecordKind::Task as u8,
        flags: if gift.attempt > 0 { FLAG_REDELIVERED } else { 0 },
        port: gift.attempt,
        seq: gift.seq,
        subject: gift.asked.number,
        cause: gift.asked.sender.pack(),
        stamp: now,
        received: gift.asked_at,
        ..Header::default()
    }
}

/// Writes a task that its worker reads where it lies; its position, if there is room.
fn write_lying(
    gift: &TaskGift,
    lying: &Lying,
    terms: &[u8],
    destination: &mut Destination,
    now: u64,
) -> Option<u64> {
    let place = [&place_in_area(lying.place()), terms].concat();
    let len = place.len() as u64;
    let opening = destination.open(len, len)?;
    destination.space(&opening, place.len()).copy_from(&place);
    let header = header_of(gift, now);
    let flags = header.flags | FLAG_IN_AREA;
    let header = Header { flags, total: lying.len() as u32, ..header };
    Some(destination.complete(opening, header, len))
}
