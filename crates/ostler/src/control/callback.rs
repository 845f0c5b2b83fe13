//! Which callback of a worker runs, as a number in its black box.

use std::fmt;

/// A callback of user code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Callback {
    Start = 1,
    Connect,
    Receive,
    Close,
    BufferFull,
    BufferEmpty,
    Packet,
    Timer,
    Post,
    Writable,
    Exit,
    Stop,
    Task,
    Finish,
    Message,
    Undelivered,
    Command,
    Reply,
}

const ALL: [(Callback, &str); 18] = [
    (Callback::Start, "on_worker_start"),
    (Callback::Connect, "on_connect"),
    (Callback::Receive, "on_receive"),
    (Callback::Close, "on_close"),
    (Callback::BufferFull, "on_buffer_full"),
    (Callback::BufferEmpty, "on_buffer_empty"),
    (Callback::Packet, "on_packet"),
    (Callback::Timer, "timer"),
    (Callback::Post, "post"),
    (Callback::Writable, "on_writable"),
    (Callback::Exit, "on_worker_exit"),
    (Callback::Stop, "on_worker_stop"),
    (Callback::Task, "on_task"),
    (Callback::Finish, "on_finish"),
    (Callback::Message, "on_message"),
    (Callback::Undelivered, "on_undelivered"),
    (Callback::Command, "command"),
    (Callback::Reply, "reply"),
];

impl Callback {
    /// The callback with this number; `None` when there is none.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        ALL.into_iter().map(|(callback, _)| callback).find(|callback| *callback as u8 == number)
    }
}

impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ALL.iter().find(|(callback, _)| callback == self).map(|(_, name)| *name);
        f.write_str(name.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_callback_survives_its_number_and_has_a_name() {
        for (callback, name) in ALL {
            assert_eq!(Callback::from_number(callback as u8), Some(callback));
            assert_eq!(callback.to_string(), name);
        }
        let known = (0..=u8::MAX).filter_map(Callback::from_number).count();
        assert_eq!((known, Callback::from_number(0)), (ALL.len(), None));
    }
}
