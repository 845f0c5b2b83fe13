//! When a connection is closed because of what its client does not do.
//!
//! **Responsible for:** telling a client that is gone, stuck or hostile from one that waits for us.
//! Only time counts in which the server was ready to take what the client sends
//! ([`ClientClock`]), and only silence counts that nobody here has caused.
//!
//! **Must never:** read a clock, or ask for anything on the way of a package but the storing of a
//! time. What is due is looked at when its timer is, not before.

mod client_clock;
#[cfg(test)]
mod tests;

pub use client_clock::ClientClock;

use crate::Nanos;
use crate::brain::CloseReason;

/// The deadlines of the connections of one port; 0 switches one off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deadlines {
    /// Longest time in which nothing is received from the client and nothing written to it.
    pub idle: Nanos,
    /// Longest time in which nothing is received from the client.
    pub silence: Nanos,
    /// Longest time from accepting until the first package is complete.
    pub first_package: Nanos,
    /// Longest time from the first byte of a package until it is complete.
    pub package: Nanos,
    /// Fewest bytes per second of a package that is not complete.
    pub receive_rate: u64,
    /// How far behind [`Deadlines::receive_rate`] a client may fall.
    pub receive_rate_grace: Nanos,
    /// Longest time in which output waits and the client takes nothing of it.
    pub send_stall: Nanos,
}

/// What is known of a connection at the moment of a look, besides its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its input is still taken: it is not being flushed, and the server does not drain.
    pub is_open: bool,
    /// It waits for us: a worker has a delivery of it, or input of it waits for a worker, for
    /// memory or for its turn.
    pub waits_for_us: bool,
    /// When the last of its deliveries was finished.
    pub rested_at: Nanos,
    /// A part of a package was received, and no worker has it now.
    pub is_incomplete: bool,
    /// Output waits to be written.
    pub has_output: bool,
    /// It waits for this side: a file for its turn, or for the disk.
    pub output_waits_for_us: bool,
    /// It is exempt from [`Deadlines::idle`] and [`Deadlines::silence`].
    pub is_protected: bool,
}

/// What follows from a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing to wait for.
    Nothing,
    /// To be looked at again then.
    LookAgain(Nanos),
    /// To be closed.
    Close(CloseReason),
}

impl Deadlines {
    /// Whether there are none.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.idle == 0
            && self.silence == 0
            && self.first_package == 0
            && self.package == 0
            && self.receive_rate == 0
            && self.send_stall == 0
    }

    /// What is to become of a connection at `now`.
    #[must_use]
    pub fn verdict(&self, now: Nanos, clock: &ClientClock, facts: &Facts) -> Verdict {
        let ends = [
            self.idle_ends(now, clock, facts),
            self.silence_ends(now, clock, facts),
            self.send_stall_ends(now, clock, facts),
            self.first_package_ends(now, clock, facts),
            self.package_ends(now, clock, facts),
            self.patience_ends(now, clock, facts),
        ];
        let Some(first) = ends.into_iter().flatten().min_by_key(|end| end.at) else {
            return Verdict::Nothing;
        };
        match first.reason {
            Some(reason) if first.at <= now => Verdict::Close(reason),
            _ => Verdict::LookAgain(first.at),
        }
    }

    /// The clock of who waits for us does not run; it is enough to look again when it could be due
    /// if that ended now.
    fn idle_ends(&self, now: Nanos, clock: &ClientClock, facts: &Facts) -> Option<End> {
        if self.idle == 0 {
            return None;
        }
        if facts.is_protected || facts.waits_for_us {
            return Some(End::look(now, self.idle));
        }
        let moved = clock.written_at().max(facts.rested_at).max(clock.dry_since().unwrap_or(0));
        Some(End::close(moved.saturating_add(self.idle), CloseReason::Idle))
    }

    /// A client that takes what had to wait for it has no reason to say anything meanwhile.
    fn silence_ends(&self, now: Nanos, clock: &ClientClock, facts: &Facts) -> Option<End> {
        if self.silence == 0 || !facts.is_open {
            return None;
        }
        if facts.is_protected || facts.waits_for_us {
            return Some(End::look(now, self.silence));
        }
        let heard = clock.taken_at().max(facts.rested_at).max(clock.dry_since().unwrap_or(0));
        Some(End::close(heard.saturating_add(self.silence), CloseReason::Silent))
    }

    /// When what waits for this side goes on, it is written at once if the client takes anything,
    /// and nobody tells that it does not.
    fn send_stall_ends(&self, now: Nanos, clock: &ClientClock, facts: &Facts) -> Option<End> {
        if self.send_stall == 0 || !facts.has_output {
            return None;
        }
        if facts.output_waits_for_us {
            return Some(End::look(now, self.send_stall));
        }
        let at = clock.taken_at().saturating_add(self.send_stall);
        Some(End::close(at, CloseReason::SendStalled))
    }

    fn first_package_ends(&self, now: Nanos, clock: &ClientClock, facts: &Facts) -> Option<End> {
        let is_watched = self.first_package > 0 && facts.is_open && !clock.had_package();
        let at = is_watched.then(|| clock.reaches(now, self.first_package)).flatten()?;
        Some(End::close(at, CloseReason::FirstPackageTimeout))
    }

    fn package_ends(&self, now: Nanos, clock: &ClientClock, facts: &Facts) -> Option<End> {
        let is_watched = self.package > 0 && facts.is_open && facts.is_incomplete;
        let began = is_watched.then(|| clock.began()).flatten()?;
        let at = clock.reaches(now, began.saturating_add(self.package))?;
        Some(End::close(at, CloseReason::PackageTimeout))
    }

    fn patience_ends(&self, now: Nanos, clock: &ClientClock, facts: &Facts) -> Option<End> {
        let is_watched = self.receive_rate > 0 && facts.is_open && facts.is_incomplete;
        let end = is_watched.then(|| clock.patience_end()).flatten()?;
        Some(End::close(clock.reaches(now, end)?, CloseReason::ReceiveTooSlow))
    }
}

/// When a deadline ends.
#[derive(Clone, Copy, Debug)]
struct End {
    at: Nanos,
    /// `None`: there is only something to look at.
    reason: Option<CloseReason>,
}

impl End {
    const fn close(at: Nanos, reason: CloseReason) -> Self {
        Self { at, reason: Some(reason) }
    }

    const fn look(now: Nanos, after: Nanos) -> Self {
        Self { at: now.saturating_add(after), reason: None }
    }
}
