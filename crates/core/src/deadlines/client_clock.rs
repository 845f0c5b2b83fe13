//! The time of one client: it runs while the server has taken all that the client has sent.

use super::Deadlines;
use crate::Nanos;

/// A moment that does not come.
const NEVER: Nanos = Nanos::MAX;

/// What is known of the doings of one client.
///
/// *The client's time* runs from a look at the socket that found nothing more until the next event
/// of input. While bytes wait in the kernel because a worker, memory or a turn is missing it
/// stands, for then it is not the client that is slow.
#[derive(Clone, Copy, Debug)]
pub struct ClientClock {
    /// The client's time before `dry_since`.
    passed: Nanos,
    /// Since when it runs; [`NEVER`] while it stands.
    dry_since: Nanos,
    /// When output was written, or began to wait.
    written_at: Nanos,
    /// When output began to wait, or the client took some that waited.
    taken_at: Nanos,
    /// The client's time when the package began that is not complete; [`NEVER`] without one.
    began: Nanos,
    /// The client's time at which it has fallen too far behind the least rate.
    patience_end: Nanos,
    /// The client's time when a worker was given the last package of a stream.
    given: Nanos,
    had_package: bool,
}

impl ClientClock {
    /// Of a client that was accepted.
    #[must_use]
    pub const fn new(now: Nanos) -> Self {
        Self {
            passed: 0,
            dry_since: now,
            written_at: now,
            taken_at: now,
            began: NEVER,
            patience_end: NEVER,
            given: 0,
            had_package: false,
        }
    }

    /// Of a client whose first package was given to a worker of another master.
    pub const fn had_package_before(&mut self) {
        self.had_package = true;
    }

    // ---- what happens ---------------------------------------------------------------------------

    /// There is input to be taken.
    #[inline]
    pub const fn input_came(&mut self, now: Nanos) {
        if self.dry_since != NEVER {
            self.passed = self.client_time(now);
            self.dry_since = NEVER;
        }
    }

    /// Bytes of a package were received.
    #[inline]
    pub fn received(&mut self, now: Nanos, bytes: usize, deadlines: &Deadlines) {
        self.input_came(now);
        if self.began != NEVER && deadlines.receive_rate > 0 {
            let worth = u128::from(bytes as u64) * 1_000_000_000;
            let worth = worth / u128::from(deadlines.receive_rate);
            let later = self.patience_end.saturating_add(Nanos::try_from(worth).unwrap_or(NEVER));
            // Nobody saves up: who sends a lot at first does not become slow at leisure.
            self.patience_end = later.min(self.passed.saturating_add(deadlines.receive_rate_grace));
        }
    }

    /// A look has found that nothing more is there. `is_incomplete`: a part of a package was
    /// received. Returns when one of the deadlines of packages ends, if nothing more comes.
    #[inline]
    pub fn went_dry(
        &mut self,
        now: Nanos,
        is_incomplete: bool,
        deadlines: &Deadlines,
    ) -> Option<Nanos> {
        self.is_dry(now);
        if is_incomplete && self.began == NEVER {
            self.begin(now, deadlines);
        }
        let is_incomplete = is_incomplete || self.began != NEVER;
        let is_waited_for = is_incomplete || !self.had_package;
        if is_waited_for { self.next_end(now, is_incomplete, deadlines) } else { None }
    }

    /// The same where no part of a package can be there, and there was a package.
    #[inline]
    pub const fn is_dry(&mut self, now: Nanos) {
        if self.dry_since == NEVER {
            self.dry_since = now;
        }
    }

    /// A whole package was given to a worker.
    #[inline]
    pub const fn package_given(&mut self, now: Nanos) {
        self.began = NEVER;
        self.part_given(now);
    }

    /// A worker was given what a worker had left, with what came since. Whether that is a whole
    /// package is known when it says how much it has used.
    #[inline]
    pub const fn part_given(&mut self, now: Nanos) {
        self.had_package = true;
        self.given = self.client_time(now);
    }

    /// A worker has left a part of a package; `used`: it has used another part. The time in which
    /// it had the package is not the client's. Returns when the deadline of the package ends, if
    /// nothing more comes.
    pub fn rest_was_left(
        &mut self,
        now: Nanos,
        used: bool,
        deadlines: &Deadlines,
    ) -> Option<Nanos> {
        if used || self.began == NEVER {
            self.begin(now, deadlines);
        } else {
            let at_worker = self.client_time(now).saturating_sub(self.given);
            self.began = self.began.saturating_add(at_worker);
            self.patience_end = self.patience_end.saturating_add(at_worker);
        }
        self.next_end(now, true, deadlines)
    }

    /// Output was written that did not have to wait.
    #[inline]
    pub const fn wrote(&mut self, now: Nanos) {
        self.written_at = now;
    }

    /// Output begins to wait, or the client has taken some that waited.
    #[inline]
    pub const fn took(&mut self, now: Nanos) {
        (self.written_at, self.taken_at) = (now, now);
    }

    /// It was protected, and is no more: what is idle or silent is so from now on.
    pub const fn protection_ended(&mut self, now: Nanos) {
        self.written_at = now;
        if self.dry_since != NEVER {
            self.passed = self.client_time(now);
            self.dry_since = now;
        }
    }

    fn begin(&mut self, now: Nanos, deadlines: &Deadlines) {
        self.began = self.client_time(now);
        self.patience_end = self.began.saturating_add(deadlines.receive_rate_grace);
    }

    // ---- what is known --------------------------------------------------------------------------

    /// The client's time.
    const fn client_time(&self, now: Nanos) -> Nanos {
        if self.dry_since == NEVER {
            return self.passed;
        }
        self.passed.saturating_add(now.saturating_sub(self.dry_since))
    }

    /// When the client's time will be `limit`, or was; `None` while it stands.
    pub(super) const fn reaches(&self, now: Nanos, limit: Nanos) -> Option<Nanos> {
        if self.dry_since == NEVER {
            return None;
        }
        let is = self.client_time(now);
        Some(now.saturating_add(limit.saturating_sub(is)).saturating_sub(is.saturating_sub(limit)))
    }

    fn next_end(&self, now: Nanos, is_incomplete: bool, deadlines: &Deadlines) -> Option<Nanos> {
        let first = !self.had_package && deadlines.first_package > 0;
        let package = is_incomplete && deadlines.package > 0;
        let rate = is_incomplete && deadlines.receive_rate > 0;
        let limits = [
            first.then_some(deadlines.first_package),
            package.then_some(self.began.saturating_add(deadlines.package)),
            rate.then_some(self.patience_end),
        ];
        self.reaches(now, limits.into_iter().flatten().min()?)
    }

    /// Since when nothing has come that was not taken; `None` while there is something.
    #[must_use]
    pub const fn dry_since(&self) -> Option<Nanos> {
        if self.dry_since == NEVER { None } else { Some(self.dry_since) }
    }

    pub(super) const fn written_at(&self) -> Nanos {
        self.written_at
    }

    pub(super) const fn taken_at(&self) -> Nanos {
        self.taken_at
    }

    pub(super) const fn had_package(&self) -> bool {
        self.had_package
    }

    pub(super) const fn began(&self) -> Option<Nanos> {
        if self.began == NEVER { None } else { Some(self.began) }
    }

    pub(super) const fn patience_end(&self) -> Option<Nanos> {
        if self.patience_end == NEVER { None } else { Some(self.patience_end) }
    }
}
