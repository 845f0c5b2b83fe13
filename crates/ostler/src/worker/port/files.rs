//! Files on their way up: the worker's end of a lane's file link.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use ostler_core::invariant;
use ostler_shm::file_range::FileRange;
use ostler_shm::outbox::NoRoom;
use ostler_shm::record::Header;

use super::Port;
use crate::sys::{control_socket, poll};

/// Why a file was not passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::worker) enum NotPassed {
    /// The out ring has no room for its record.
    NoRoom,
    /// The reactor has not taken enough of those before it.
    LinkFull,
    /// The system refuses, with this number of an error.
    Failed(i32),
}

impl Port {
    /// Passes a file to a reactor and appends its record; not visible before [`Port::publish`].
    pub(in crate::worker) fn append_file(
        &mut self,
        lane: usize,
        header: Header,
        range: FileRange,
        file: &OwnedFd,
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
        let number = end.last_file + 1;
        control_socket::send(&end.file_link, &number.to_le_bytes(), &[file.as_fd()]).map_err(
            |error| match error.kind() {
                io::ErrorKind::WouldBlock => NotPassed::LinkFull,
                _ => NotPassed::Failed(error.raw_os_error().unwrap_or(0)),
            },
        )?;
        end.last_file = number;
        let header = Header { total: number as u32, ..header };
        self.append(lane, header, &range.to_bytes()).map_err(|NoRoom| NotPassed::NoRoom)
    }

    /// Waits until a lane's file link takes a file, at most `timeout`. False: still not.
    pub(in crate::worker) fn wait_for_file_link(&self, lane: usize, timeout: Duration) -> bool {
        let Some(end) = self.lanes.get(lane) else { return false };
        let timeout = match &self.room_maker {
            Some(make_room) => {
                make_room();
                Duration::ZERO
            }
            None => timeout,
        };
        poll::wait_writable(&end.file_link, timeout).unwrap_or(false)
    }
}
