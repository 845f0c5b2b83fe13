//! What comes up: messages for other processes. Every record is hostile.

use ostler_core::ids::{LaneSlot, ProcessKey};
use ostler_core::messages::MessageSender;
use ostler_core::messages::form::is_message;
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
            // Another process would have to make something of it.
            if !is_message(port, &bytes) {
                return Err(ProtocolViolation("a message of a form that there is not"));
            }
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

#[cfg(test)]
mod tests {
    use ostler_core::messages::form::{MessageForm, ReplyStatus, reply_front};

    use super::*;
    use crate::options::Options;
    use crate::reactor::tests::booting;

    #[test]
    fn whoever_sends_what_is_no_message_is_found_out() {
        let options = Options { workers: 2, ..Options::default() };
        let mut reactor = booting(&options);
        let messages = reactor.clients.messages.as_mut().unwrap();
        let (sender, to) = (ProcessKey::event(0, 1), ProcessKey::event(1, 0));
        let mut send = |port, bytes: &[u8]| {
            let total = bytes.len() as u32;
            let header = Header { port, cause: to.pack(), total, ..Header::default() };
            let taken = messages.take_in(LaneSlot(0), sender, &header, RawBytes::of(bytes));
            (taken.is_ok(), std::mem::take(&mut messages.incoming).len())
        };
        let code = |form: MessageForm| form.code(None);
        assert_eq!(send(code(MessageForm::Plain), b""), (true, 1));
        assert_eq!(send(code(MessageForm::Call), b"\x04name"), (true, 1));
        let reply = reply_front(ReplyStatus::Done, 7);
        assert_eq!(send(code(MessageForm::Reply), &reply), (true, 1));
        assert_eq!(send(3, b"of no form"), (false, 0));
        assert_eq!(send(code(MessageForm::Call), b"\x04nam"), (false, 0));
        assert_eq!(send(code(MessageForm::Reply), &reply[1..]), (false, 0));
    }
}
