//! Whether workers may be lacking: somebody has waited for one for too long.
//!
//! It takes the record of who waits that limits of ports keep (see [`super::queue`]), and refuses
//! nobody. Whether workers have work for other reactors is not known here.

use super::Brain;
use super::queue::Overdue;
use crate::Nanos;
use crate::ids::LaneSlot;

impl Brain {
    /// When [`Brain::lacks_workers`] is to be asked. `None` while nobody waits, nobody wants to
    /// know, or the server drains: its number of workers does not change any more.
    #[must_use]
    pub fn lack_due(&self) -> Option<Nanos> {
        if self.settings.lack_after_ns == 0 || !self.reading {
            return None;
        }
        let oldest = (0..self.queues.len()).filter_map(|port| self.oldest_waiting(port));
        let since = oldest.map(|(_, since)| since).min()?;
        Some(since.saturating_add(self.settings.lack_after_ns).max(self.lack_looked_at))
    }

    /// Whether somebody has waited for a worker for `lack_after_ns`, although workers serve.
    /// `taken` bounds what the worker at a lane has started. It is not due again before that time
    /// has passed once more.
    pub fn lacks_workers(&mut self, now: Nanos, taken: impl Fn(LaneSlot) -> u64) -> bool {
        if self.lack_due().is_none_or(|due| due > now) {
            return false;
        }
        let waits = (0..self.queues.len()).any(|port| self.waits_unserved(port, now, &taken));
        if waits {
            self.lack_looked_at = now.saturating_add(self.settings.lack_after_ns);
        }
        waits && self.lanes.serving().next().is_some()
    }

    /// Whether somebody of this port has waited for so long that no worker has begun anything of
    /// it. Who is at a worker waits no more.
    fn waits_unserved(
        &mut self,
        port: usize,
        now: Nanos,
        taken: &impl Fn(LaneSlot) -> u64,
    ) -> bool {
        while let Some((slot, since)) = self.oldest_waiting(port) {
            if since.saturating_add(self.settings.lack_after_ns) > now {
                return false;
            }
            match self.overdue(slot, taken) {
                Overdue::Served => self.end_waiting(slot),
                Overdue::Refused | Overdue::AtLane(_) => return true,
            }
        }
        false
    }
}
