//! An output that outlives the call that caused it: it is held back until its delivery is finished,
//! or on its way from another thread.

use ostler_shm::peer::PeerBlock;
use ostler_shm::task_terms::TermsBytes;

use super::datagrams::Datagram;
use super::files::FileToSend;
use super::groups::GroupMessage;
use super::messages::{MessageHead, MessageToSend};
use super::output::{Marks, Output};
use super::tasks::TaskToAsk;

/// The session of a delivery, or of an output, that is of none.
pub(super) const NO_SESSION: u64 = 0;

/// An output, with its session and its bytes.
#[derive(Debug)]
pub(super) enum OwnedOutput {
    Send(u64, Vec<u8>),
    File(u64, FileToSend),
    Close(u64, bool),
    State(u64, Vec<u8>),
    Mark(u64, Marks),
    Bind(u64, u32),
    Join(u64, Vec<u8>),
    Leave(u64, Vec<u8>),
    /// Name, the session that does not get it, bytes.
    ToGroup(Vec<u8>, u64, Vec<u8>),
    Datagram(u16, PeerBlock, Vec<u8>),
    Task(u64, TermsBytes, Vec<u8>),
    Message(MessageHead, Vec<u8>),
}

impl OwnedOutput {
    pub(super) fn new(session: u64, output: Output<'_>) -> Self {
        match output {
            Output::Send(bytes) => Self::Send(session, bytes.to_vec()),
            Output::File(file) => Self::File(session, file.clone()),
            Output::Close(reset) => Self::Close(session, reset),
            Output::State(state) => Self::State(session, state.to_vec()),
            Output::Mark(marks) => Self::Mark(session, marks),
            Output::Bind(user) => Self::Bind(session, user),
            Output::Join(name) => Self::Join(session, name.to_vec()),
            Output::Leave(name) => Self::Leave(session, name.to_vec()),
            Output::ToGroup(GroupMessage { name, except, bytes }) => {
                Self::ToGroup(name.to_vec(), except, bytes.to_vec())
            }
            Output::Datagram(Datagram { port, peer, bytes }) => {
                Self::Datagram(port, *peer, bytes.to_vec())
            }
            Output::Task(TaskToAsk { number, terms, bytes }) => {
                Self::Task(number, terms, bytes.to_vec())
            }
            Output::Message(MessageToSend { head, front, bytes }) => {
                Self::Message(head, [front, bytes].concat())
            }
        }
    }

    /// Its session, and it.
    pub(super) fn parts(&self) -> (u64, Output<'_>) {
        match self {
            Self::Send(session, bytes) => (*session, Output::Send(bytes)),
            Self::File(session, file) => (*session, Output::File(file)),
            Self::Close(session, reset) => (*session, Output::Close(*reset)),
            Self::State(session, state) => (*session, Output::State(state)),
            Self::Mark(session, marks) => (*session, Output::Mark(*marks)),
            Self::Bind(session, user) => (*session, Output::Bind(*user)),
            Self::Join(session, name) => (*session, Output::Join(name)),
            Self::Leave(session, name) => (*session, Output::Leave(name)),
            Self::ToGroup(name, except, bytes) => {
                (NO_SESSION, Output::ToGroup(GroupMessage { name, except: *except, bytes }))
            }
            Self::Datagram(port, peer, bytes) => {
                (NO_SESSION, Output::Datagram(Datagram { port: *port, peer, bytes }))
            }
            Self::Task(number, terms, bytes) => {
                let task = TaskToAsk { number: *number, terms: *terms, bytes };
                (NO_SESSION, Output::Task(task))
            }
            Self::Message(head, bytes) => {
                let message = MessageToSend { head: *head, front: &[], bytes };
                (NO_SESSION, Output::Message(message))
            }
        }
    }
}
