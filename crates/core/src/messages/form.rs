//! What a message is, as its receiver treats it, and what stands in front of calls and replies.

use crate::trace::TraceContext;

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageForm {
    /// For the program: `on_message`.
    Plain,
    /// It calls a command.
    Call,
    /// It answers a call.
    Reply,
}

/// Set in the number of a form: the ids of a trace stand in front.
const TRACED: u16 = 1 << 15;
/// Where the flags of that trace begin in it.
const FLAGS_SHIFT: u32 = 8;
/// The form itself.
const FORM: u16 = 255;

impl MessageForm {
    /// It as a number, which also says whether the ids of a trace stand in front of the message,
    /// and the flags of that.
    #[must_use]
    pub fn code(self, sent_in: Option<TraceContext>) -> u16 {
        let form = match self {
            Self::Plain => 0,
            Self::Call => 1,
            Self::Reply => 2,
        };
        let of_trace = |context: TraceContext| TRACED | u16::from(context.flags()) << FLAGS_SHIFT;
        form | sent_in.map_or(0, of_trace)
    }

    /// The form of such a number; `None` when there is none.
    #[must_use]
    pub const fn of_code(code: u16) -> Option<Self> {
        match code & FORM {
            0 => Some(Self::Plain),
            1 => Some(Self::Call),
            2 => Some(Self::Reply),
            _ => None,
        }
    }
}

/// Whether something with this number of a form is a message of it: all that has to stand in front
/// does. Whoever sends something else has not been built of this code, or is not what it was.
#[must_use]
pub fn is_message(code: u16, bytes: &[u8]) -> bool {
    let in_front = if code & TRACED == 0 { 0 } else { TraceContext::IDS_BYTES };
    let Some(message) = bytes.get(in_front..) else { return false };
    match MessageForm::of_code(code) {
        Some(MessageForm::Plain) => true,
        Some(MessageForm::Call) => {
            message.first().is_some_and(|name| usize::from(*name) < message.len())
        }
        Some(MessageForm::Reply) => message.len() >= REPLY_FRONT_BYTES,
        None => false,
    }
}

/// Takes the trace in which a message was sent away from its front.
#[must_use]
pub fn take_trace(code: u16, bytes: &mut Vec<u8>) -> Option<TraceContext> {
    let ids = *bytes.first_chunk().filter(|_| code & TRACED != 0)?;
    bytes.drain(..TraceContext::IDS_BYTES);
    TraceContext::of_ids(&ids, (code >> FLAGS_SHIFT) as u8)
}

/// Longest name of a command, bytes: its length is a byte.
pub const COMMAND_NAME_BYTES_MAX: usize = 255;

/// Whether a command can have this name.
#[must_use]
pub const fn is_command_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= COMMAND_NAME_BYTES_MAX
}

/// What stands in front of what is given to a command: the length of its name, and the name. That
/// is [`is_command_name`].
#[must_use]
pub fn call_front(name: &str) -> Vec<u8> {
    [&[name.len() as u8], name.as_bytes()].concat()
}

/// How a call has ended, as its reply says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyStatus {
    /// It was done; its result follows.
    Done,
    /// The process has no command of that name.
    NoSuchCommand,
    /// The command has failed; why, in words, follows.
    Failed,
}

/// Bytes in front of a reply: how the call has ended, and its number.
pub const REPLY_FRONT_BYTES: usize = 9;

/// They.
#[must_use]
pub const fn reply_front(status: ReplyStatus, call: u64) -> [u8; REPLY_FRONT_BYTES] {
    let status = match status {
        ReplyStatus::Done => 0,
        ReplyStatus::NoSuchCommand => 1,
        ReplyStatus::Failed => 2,
    };
    let [n0, n1, n2, n3, n4, n5, n6, n7] = call.to_le_bytes();
    [status, n0, n1, n2, n3, n4, n5, n6, n7]
}

/// What a reply says: how the call of this number has ended. `None`: it is none.
#[must_use]
pub fn read_reply(message: &[u8]) -> Option<(ReplyStatus, u64)> {
    let [status, number @ ..] = *message.first_chunk::<REPLY_FRONT_BYTES>()?;
    let status = match status {
        0 => ReplyStatus::Done,
        1 => ReplyStatus::NoSuchCommand,
        _ => ReplyStatus::Failed,
    };
    Some((status, u64::from_le_bytes(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_all_that_stands_in_front_is_no_message() {
        let code = |form: MessageForm| form.code(None);
        let (plain, call) = (code(MessageForm::Plain), code(MessageForm::Call));
        let reply = code(MessageForm::Reply);
        assert!(is_message(plain, b"") && is_message(call, b"\x04name"));
        assert!(is_message(reply, &[0; REPLY_FRONT_BYTES]));
        assert!(!is_message(3, b"message") && !is_message(255, b""));
        assert!(!is_message(call, b"") && !is_message(call, b"\x04nam"));
        assert!(!is_message(reply, &[0; REPLY_FRONT_BYTES - 1]));
        let ids = [1; TraceContext::IDS_BYTES];
        assert!(is_message(plain | TRACED, &ids) && !is_message(plain | TRACED, &ids[1..]));
        assert!(!is_message(call | TRACED, &ids));
        assert!(is_message(call | TRACED, &[&ids[..], b"\x04name"].concat()));
    }

    #[test]
    fn forms_and_replies_are_read_as_they_were_written() {
        for form in [MessageForm::Plain, MessageForm::Call, MessageForm::Reply] {
            assert_eq!(MessageForm::of_code(form.code(None)), Some(form));
        }
        assert_eq!(MessageForm::of_code(3), None);
        for status in [ReplyStatus::Done, ReplyStatus::NoSuchCommand, ReplyStatus::Failed] {
            let front = reply_front(status, 0x0102_0304_0506_0708);
            assert_eq!(read_reply(&front), Some((status, 0x0102_0304_0506_0708)));
        }
        assert_eq!(read_reply(&[0; REPLY_FRONT_BYTES - 1]), None);
        assert_eq!(call_front("name"), b"\x04name");
        assert!(is_command_name("x") && is_command_name(&"x".repeat(255)));
        assert!(!is_command_name("") && !is_command_name(&"x".repeat(256)));
    }
}
