//! What a handler may send, change or ask for: one output of a delivery.

use ostler_shm::file_range::FileRange;

use super::datagrams::Datagram;
use super::files::FileToSend;
use super::groups::GroupMessage;
use super::messages::MessageToSend;
use super::tasks::TaskToAsk;

/// One output of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output<'a> {
    /// Bytes for the session.
    Send(&'a [u8]),
    /// A part of a file for it.
    File(&'a FileToSend),
    /// Close it (with a reset).
    Close(bool),
    /// Its new state.
    State(&'a [u8]),
    /// Marks that it gets or loses.
    Mark(Marks),
    /// The number to which it is bound from now on.
    Bind(u32),
    /// The group that it joins.
    Join(&'a [u8]),
    /// The group that it leaves.
    Leave(&'a [u8]),
    /// A datagram, which is of no session.
    Datagram(Datagram<'a>),
    /// A message to a group, which is of none either.
    ToGroup(GroupMessage<'a>),
    /// A task, which is of none either.
    Task(TaskToAsk<'a>),
    /// A message for another process of the server.
    Message(MessageToSend<'a>),
}

/// A change of a session's marks: flags of the session table, some of
/// [`MARKS`](ostler_shm::sessions::MARKS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    /// It has these from now on.
    pub(crate) set: u64,
    /// It has these no more.
    pub(crate) clear: u64,
}

impl Output<'_> {
    /// Whether the client gets something of it, so that it must not have too much to read already.
    pub(super) const fn is_for_client(self) -> bool {
        matches!(self, Self::Send(_) | Self::File(_))
    }

    /// Whether it is about one session, which answers for it.
    pub(super) const fn is_of_session(self) -> bool {
        !matches!(self, Self::Datagram(_) | Self::ToGroup(_) | Self::Task(_) | Self::Message(_))
    }

    /// Bytes that it carries.
    pub(crate) const fn len(self) -> usize {
        match self {
            Self::Send(bytes) | Self::State(bytes) => bytes.len(),
            Self::Join(name) | Self::Leave(name) => name.len(),
            Self::ToGroup(message) => message.name.len() + message.bytes.len(),
            Self::Close(_) | Self::Mark(_) | Self::Bind(_) => 0,
            Self::File(_) => FileRange::SIZE,
            Self::Datagram(datagram) => datagram.bytes.len(),
            Self::Task(task) => task.bytes.len(),
            Self::Message(message) => message.len(),
        }
    }
}
