//! Room in the out rings, and waiting for it.

use std::time::Duration;

use ostler_shm::fault::{Step, step};

use super::home::Home;
use super::{LaneEnd, Port};

impl Port {
    /// Whether a lane's out ring has room for `payload_len` bytes now.
    pub(crate) fn has_room(&mut self, lane: usize, payload_len: usize) -> bool {
        let capacity = self.lane_size(lane);
        let end = self.lanes.get_mut(lane);
        end.is_some_and(|end| end.outbox.has_room(end.lane.down(), capacity, payload_len as u64))
    }

    /// Waits until a lane's out ring has room for `payload_len` bytes, at most `timeout`. False:
    /// still no room.
    pub(crate) fn wait_for_room(
        &mut self,
        lane: usize,
        payload_len: usize,
        timeout: Duration,
    ) -> bool {
        let capacity = self.lane_size(lane);
        self.wait_until(lane, timeout, |end| {
            end.outbox.has_room(end.lane.down(), capacity, payload_len as u64)
        })
    }

    /// The same until so many bytes more may lie in files on the way to a reactor.
    pub(in crate::worker) fn wait_for_memory(
        &mut self,
        lane: usize,
        bytes: u64,
        timeout: Duration,
    ) -> bool {
        self.wait_until(lane, timeout, |end| end.may_pass(bytes))
    }

    /// Whether the reactor in this thread reads a lane no more, because it holds nonsense: this
    /// process is about to end.
    pub(in crate::worker) fn is_given_up(&self, lane: usize) -> bool {
        !self.is_read && self.lanes.get(lane).is_some_and(|end| !end.is_to_switch)
    }

    /// Waits until there is room of some kind, which the reactor makes by reading.
    fn wait_until(
        &mut self,
        lane: usize,
        timeout: Duration,
        mut has_room: impl FnMut(&mut LaneEnd) -> bool,
    ) -> bool {
        let deadline = std::time::Instant::now() + timeout;
        let is_here = self.lanes.get(lane).is_some_and(|end| !end.is_to_switch);
        if let Some(make_room) = self.room_maker.as_ref().filter(|_| is_here) {
            self.is_read = make_room();
            return self.lanes.get_mut(lane).is_some_and(has_room);
        }
        loop {
            let Some(end) = self.lanes.get_mut(lane) else { return false };
            let switch = self.switch.as_mut().filter(|_| end.is_to_switch);
            let home: &mut Home = switch.unwrap_or(&mut self.home);
            home.announce_want();
            step(Step::WaitingForRoom);
            let has_room = has_room(end);
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            if !has_room && !left.is_zero() {
                // What the reactor has not seen yet it must be woken for: it may sleep on
                // unconsumed outputs of ours only if it was never rung, which `publish` rules out.
                // So: just wait.
                let _ = self.epoll.wait(&mut self.events, Some(left));
            }
            home.wants_no_more();
            if has_room || left.is_zero() {
                return has_room;
            }
        }
    }
}
