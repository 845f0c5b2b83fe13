//! Groups, from a handler's call to records for every reactor, and what the board says of them.

use ostler_shm::board::Board;
use ostler_shm::group_index::is_group_name;
use ostler_shm::record::{Header, RecordKind};
use ostler_shm::sessions::CLOSING;

use super::context::WorkerContext;
use super::output::Output;
use super::owned_output::NO_SESSION;
use super::parts::append_in_parts;
use super::running::RunningDelivery;
use super::send::Sender;
use crate::api::send_error::{SendError, SendErrorKind};

/// A message to the members of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupMessage<'a> {
    pub(crate) name: &'a [u8],
    /// A session that does not get it; 0: none.
    pub(crate) except: u64,
    pub(crate) bytes: &'a [u8],
}

impl GroupMessage<'_> {
    /// The length of the name, as it stands in front of it. The name was checked.
    pub(crate) const fn name_len(&self) -> [u8; 1] {
        [self.name.len() as u8]
    }
}

impl WorkerContext {
    /// A session joins a group or leaves it.
    pub(crate) fn set_membership(
        &self,
        session: u64,
        name: &[u8],
        joins: bool,
    ) -> Result<(), SendError> {
        check_name(name)?;
        self.output(session, if joins { Output::Join(name) } else { Output::Leave(name) })
    }

    /// Sends a message to the members of a group, except for one session.
    pub(crate) fn send_to_group(
        &self,
        name: &[u8],
        except: u64,
        bytes: &[u8],
    ) -> Result<(), SendError> {
        check_name(name)?;
        self.check_group_message(bytes)?;
        let message = GroupMessage { name, except, bytes };
        self.output_checked(NO_SESSION, Output::ToGroup(message))
    }

    /// Whether a message to a group is short enough.
    pub(crate) fn check_group_message(&self, bytes: &[u8]) -> Result<(), SendError> {
        let (len, most) = (bytes.len(), self.max_send_bytes());
        if len <= most { Ok(()) } else { Err(SendError::too_long(len, most)) }
    }

    /// How many members a group has.
    pub(crate) fn group_len(&self, name: &[u8]) -> u64 {
        let mut len = 0;
        self.each_board(|board| {
            len += board.groups().map_or(0, |groups| groups.members(groups.tag(name)));
        });
        len
    }

    /// Members of a group, at most so many.
    pub(crate) fn group_members(&self, name: &[u8], most: usize) -> Vec<u64> {
        let mut members = Vec::new();
        self.each_board(|board| add_members(board, name, most, &mut members));
        members
    }

    /// Whether a session is in a group.
    pub(crate) fn is_in_group(&self, session: u64, name: &[u8]) -> bool {
        let mut is_in = false;
        self.each_board(|board| {
            is_in |= board.home(session).is_some() && shows(board, session, name)
        });
        is_in
    }

    fn each_board(&self, mut look: impl FnMut(&Board)) {
        look(&self.board());
        if let Some(others) = self.sessions.others() {
            others.each_board(&mut look);
        }
    }
}

/// Whether the board says that a session is in a group.
fn shows(board: &Board, session: u64, name: &[u8]) -> bool {
    board.groups().is_some_and(|groups| {
        let tag = groups.tag(name);
        groups.tags(board.entry_number(session)).any(|of_session| of_session == tag)
    })
}

fn add_members(board: &Board, name: &[u8], most: usize, members: &mut Vec<u64>) {
    let Some(groups) = board.groups() else { return };
    let tag = groups.tag(name);
    for (session, flags) in board.sessions() {
        if members.len() >= most {
            return;
        }
        let is_member = || groups.tags(board.entry_number(session)).any(|other| other == tag);
        // The entry may have become another session's between the two looks.
        if flags & CLOSING == 0 && is_member() && board.home(session).is_some() {
            members.push(session);
        }
    }
}

/// Whether a group can have this name.
fn check_name(name: &[u8]) -> Result<(), SendError> {
    if is_group_name(name) {
        Ok(())
    } else {
        Err(SendErrorKind::GroupName { len: name.len() }.into())
    }
}

impl Sender {
    /// Appends a message to a group for every reactor, in parts if it is longer than a record. A
    /// part is appended to all lanes or to none; a message of which not all parts find room is not
    /// sent: the reactors forget it.
    pub(super) fn append_to_all(
        &self,
        message: GroupMessage<'_>,
        cause: u64,
        mut for_delivery: Option<&mut RunningDelivery>,
    ) -> Result<(), SendError> {
        let GroupMessage { name, except, bytes } = message;
        let name_len = message.name_len();
        let header =
            Header { kind: RecordKind::ToGroup as u8, subject: except, cause, ..Header::default() };
        let payload_max = self.payload_max(0);
        append_in_parts(header, [&name_len, name], bytes, payload_max, |header, pieces| {
            let len = pieces.iter().map(|piece| piece.len()).sum();
            self.wait_for_room_everywhere(len, for_delivery.as_deref_mut())?;
            for lane in 0..self.lanes() {
                self.append_pieces_waiting(lane, header, pieces, for_delivery.as_deref_mut())?;
            }
            Ok(())
        })
    }

    /// Waits until every lane has room for a record; then each has it until something is appended,
    /// because nobody else appends.
    fn wait_for_room_everywhere(
        &self,
        len: usize,
        mut for_delivery: Option<&mut RunningDelivery>,
    ) -> Result<(), SendError> {
        for lane in 0..self.lanes() {
            if self.port().has_room(lane, len) {
                continue;
            }
            if self.has_staged() {
                self.publish_early(for_delivery.as_deref_mut());
            }
            if !self.port().wait_for_room(lane, len, self.timeout()) {
                return Err(SendError::new(SendErrorKind::Full));
            }
        }
        Ok(())
    }
}
