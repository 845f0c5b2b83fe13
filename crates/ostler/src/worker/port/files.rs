//! Files on their way up: the worker's end of a lane's file link.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use ostler_core::invariant;
use ostler_shm::fault::{Step, step};
use ostler_shm::file_range::FileRange;
use ostler_shm::outbox::NoRoom;
use ostler_shm::record::Header;

use super::{LaneEnd, Port};
use crate::sys::{control_socket, poll};

/// Why a file was not passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::worker) enum NotPassed {
    /// The out ring has no room for its record.
    NoRoom,
    /// The reactor has not taken enough of those before it.
    LinkFull,
    /// Those before it hold as much memory as they may.
    TooMuchMemory,
    /// The system refuses, with this number of an error.
    Failed(i32),
}

/// Most bytes of long states that are on their way to a reactor when one more is passed in a file:
/// whoever sets states in a transaction that holds them back, or faster than they are read, waits.
const IN_FILES_MAX_BYTES: u64 = 16 * 1024 * 1024;

impl LaneEnd {
    /// Whether so many bytes more of memory may be passed in a file.
    pub(super) fn may_pass(&mut self, bytes: u64) -> bool {
        self.states.read_up_to(self.outbox.read_up_to(self.lane.down()));
        self.states.has_room(bytes, IN_FILES_MAX_BYTES)
    }
}

impl Port {
    /// Passes a file to a reactor and appends its record; not visible before [`Port::publish`].
    /// `memory`: so many bytes of memory are this file's alone.
    pub(in crate::worker) fn append_file(
        &mut self,
        lane: usize,
        header: Header,
        range: FileRange,
        file: &OwnedFd,
        memory: u64,
    ) -> Result<(), NotPassed> {
        let capacity = self.lane_size(lane);
        let Some(end) = self.lanes.get_mut(lane) else {
            invariant!(false, "every session that the board knows has a lane");
            return Err(NotPassed::NoRoom);
        };
        // First: a file that was passed must have its record.
        if !end.outbox.has_room(end.lane.down(), capacity, FileRange::SIZE as u64) {
            return Err(NotPassed::NoRoom);
        }
        if memory > 0 && !end.may_pass(memory) {
            return Err(NotPassed::TooMuchMemory);
        }
        let number = end.last_file + 1;
        control_socket::send(&end.file_link, &number.to_le_bytes(), &[file.as_fd()]).map_err(
            |error| match error.kind() {
                io::ErrorKind::WouldBlock => NotPassed::LinkFull,
                _ => NotPassed::Failed(error.raw_os_error().unwrap_or(0)),
            },
        )?;
        end.last_file = number;
        step(Step::FilePassed);
        let header = Header { total: number as u32, ..header };
        self.append(lane, header, &range.to_bytes()).map_err(|NoRoom| NotPassed::NoRoom)?;
        self.count_state(lane, memory);
        Ok(())
    }

    /// A state was appended to a lane that takes so many bytes of its reactor's area.
    pub(in crate::worker) fn count_state(&mut self, lane: usize, bytes: u64) {
        if let Some(end) = self.lanes.get_mut(lane) {
            end.states.send(end.outbox.position(), bytes);
        }
    }

    /// Bytes that the states which are on their way take of the area of their reactor.
    pub(in crate::worker) fn states_bytes(&mut self, lane: usize) -> u64 {
        let end = self.lanes.get_mut(lane).filter(|end| end.states.bytes() > 0);
        end.map_or(0, |end| {
            end.states.read_up_to(end.outbox.read_up_to(end.lane.down()));
            end.states.bytes()
        })
    }

    /// Waits until a lane's file link takes a file, at most `timeout`. False: still not.
    pub(in crate::worker) fn wait_for_file_link(&mut self, lane: usize, timeout: Duration) -> bool {
        let timeout = match &self.room_maker {
            Some(make_room) => {
                self.is_read = make_room();
                Duration::ZERO
            }
            None => timeout,
        };
        let Some(end) = self.lanes.get(lane) else { return false };
        poll::wait_writable(&end.file_link, timeout).unwrap_or(false)
    }
}
