//! What comes up: messages for other processes. Every record is hostile.

use ostler_core::ids::{LaneSlot, ProcessKey};
use ostler_core::messages::MessageSender;
use ostler_shm::consumer::Record;
use ostler_shm::giver::ProtocolViolation;
use ostler_shm::lane::RawBytes;
use ostler_shm::record::{FLAG_MORE, Header};

use super::{Incoming, Messages};
use crate::reactor::ClientSide;

impl ClientSide {
    /// A process sends a message, or a part of one.
    pub(in crate::reactor) fn message_record(
        &mut self,
        lane: LaneSlot,
        sender: ProcessKey,
        record: &Record,
        bytes: RawBytes<'_>,
    ) -> Result<(), ProtocolViolation> {
        let Some(messages) = &mut self.messages else {
            return Err(ProtocolViolation("a message for a reactor that has none"));
        };
        messages.take_in(lane, sender, &record.header, bytes)
    }
}

impl Messages {
    fn take_in(
        &mut self,
        lane: LaneSlot,
        key: ProcessKey,
        header: &Header,
        bytes: RawBytes<'_>,
    ) -> Result<(), ProtocolViolation> {
        let Header { part_offset, total, flags, subject, cause, port, .. } = *header;
        let to = ProcessKey::unpack(cause).filter(|to| to.pack() == cause);
        let to = to.ok_or(ProtocolViolation("a message for nobody who could be"))?;
        if total as usize > self.settings.max_length {
            return Err(ProtocolViolation("a message longer than message_max_length"));
        }
        let (end, more) = (part_offset as usize + bytes.len(), flags & FLAG_MORE != 0);
        if end > total as usize || more == (end == total as usize) {
            return Err(ProtocolViolation("a part of a message in the wrong place"));
        }
        let stray = ProtocolViolation("a part of a message that continues nothing");
        let whole = self.parts.add(lane, subject, header, bytes, (total as usize, stray))?;
        if let Some(bytes) = whole {
            let sender = MessageSender { key, lane, number: subject };
            if to == ProcessKey::OPERATOR {
                self.reply_to_operator(sender, port, bytes);
                return Ok(());
            }
            self.incoming.push(Incoming { sender, to, form: port, bytes });
        }
        Ok(())
    }
}
