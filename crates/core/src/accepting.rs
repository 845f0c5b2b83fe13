//! What became of connections that were accepted and did not come to have a session.

/// How many there were, by the reason. Not part of the balance of the books: who is refused here
/// was never a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcceptCounts {
    /// There was no descriptor for them.
    pub refused_no_descriptor: u64,
    /// Their address had as many connections as one may have.
    pub refused_address_full: u64,
    /// Their address had as many in a second as one may have.
    pub refused_connection_rate: u64,
    /// Packages of their address had killed as many workers as one may.
    pub refused_address_deaths: u64,
    /// How often a port rested because it had accepted its number for the time being; those who
    /// came were not refused.
    pub accept_rests: u64,
}

impl AcceptCounts {
    /// Calls `visit` with each counter, always in the same order.
    pub fn visit(&mut self, visit: &mut (impl FnMut(&mut u64) + ?Sized)) {
        let Self { refused_no_descriptor, refused_address_full, .. } = self;
        [refused_no_descriptor, refused_address_full].into_iter().for_each(&mut *visit);
        let Self { refused_connection_rate, refused_address_deaths, accept_rests, .. } = self;
        let others = [refused_connection_rate, refused_address_deaths, accept_rests];
        others.into_iter().for_each(visit);
    }

    /// Adds the counters of another thread.
    pub const fn add(&mut self, other: &Self) {
        self.refused_no_descriptor += other.refused_no_descriptor;
        self.refused_address_full += other.refused_address_full;
        self.refused_connection_rate += other.refused_connection_rate;
        self.refused_address_deaths += other.refused_address_deaths;
        self.accept_rests += other.accept_rests;
    }
}
