//! What options demand of each other. What an option demands of itself is checked when it is set.

use super::{Options, size};
use crate::error::{Error, Result};

/// A reactor leases 256 KiB of the memory budget at a time. With less than two leases each, reactors that hold nearly
/// nothing would already make the budget tight.
const BUDGET_PER_REACTOR_BYTES: usize = 512 * size::KIB;

impl Options {
    /// Checks the options against each other. A server does so before it starts anything.
    ///
    /// # Errors
    ///
    /// [`Error::is_option`], naming the options that contradict each other and what would be valid.
    pub fn validate(&self) -> Result<()> {
        self.check_queues()?;
        self.check_budget()?;
        self.check_lanes()?;
        not_above(
            ("back_off_min_ms", self.back_off_min_ms, self.back_off_min_ms.to_string()),
            ("back_off_max_ms", self.back_off_max_ms, self.back_off_max_ms.to_string()),
        )
    }

    fn check_queues(&self) -> Result<()> {
        let low = bytes("send_queue_low", self.send_queue_low);
        let high = bytes("send_queue_high", self.send_queue_high);
        let max = bytes("send_queue_max", self.send_queue_max);
        not_above(low, high.clone())?;
        not_above(high, max)
    }

    fn check_budget(&self) -> Result<()> {
        let budget = bytes("memory_budget", self.memory_budget);
        let least = BUDGET_PER_REACTOR_BYTES * usize::from(self.reactors);
        if self.memory_budget < least {
            return Err(Error::option(format!(
                "`memory_budget` ({}) is too small for {} reactors, which need 512K each: raise it to {} or more, or \
                 lower `reactors`",
                budget.2,
                self.reactors,
                size::render(least as u64)
            )));
        }
        not_above(bytes("package_max_length", self.package_max_length), budget.clone())?;
        not_above(bytes("max_send_bytes", self.max_send_bytes), budget)
    }

    fn check_lanes(&self) -> Result<()> {
        let (reactors, workers) = (self.reactors, self.workers);
        let lane_memory = size::render(self.lane_memory as u64);
        let lane_size = if self.lane_size == 0 { Self::LANE_SIZE_MIN } else { self.lane_size };
        let needed = lane_size.saturating_mul(self.rings());
        if needed <= self.lane_memory {
            return Ok(());
        }
        let needed = size::render(needed as u64);
        Err(Error::option(if self.lane_size == 0 {
            format!(
                "`lane_memory` ({lane_memory}) gives each lane of {reactors} reactors and {workers} workers less than \
                 64K: raise it to {needed} or more, or lower `reactors` or `workers`"
            )
        } else {
            format!(
                "`lane_size` ({}) for {reactors} reactors and {workers} workers takes {needed}, more than `lane_memory` \
                 ({lane_memory}): raise `lane_memory` to {needed} or more, or lower `lane_size`",
                size::render(lane_size as u64)
            )
        }))
    }
}

/// A name, its value as a number, and the value as it is spelled.
type Bound = (&'static str, u64, String);

fn bytes(name: &'static str, value: usize) -> Bound {
    (name, value as u64, size::render(value as u64))
}

fn not_above(low: Bound, high: Bound) -> Result<()> {
    if low.1 <= high.1 {
        return Ok(());
    }
    Err(Error::option(format!(
        "`{}` ({}) must not be above `{}` ({}): lower the first to {} or raise the second to {}",
        low.0, low.2, high.0, high.2, high.2, low.2
    )))
}
