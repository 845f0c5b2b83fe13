//! How many connections a port accepts in a second: beyond that it rests, and who comes waits in
//! the kernel.

use ostler_core::ids::PortId;
use ostler_core::per_port::PerPort;
use ostler_core::token_bucket::TokenBucket;
use ostler_core::{Millis, Nanos};

use crate::options::{Mode, Options};

/// A port rests until it may accept what comes in so many parts of a second: a wake-up for each
/// connection would cost more than it is worth.
const RESTS_PER_SECOND: u64 = 100;

/// One port.
#[derive(Debug)]
struct PortRate {
    /// Connections a second; 0 = any number.
    rate: u64,
    bucket: TokenBucket,
    rests_until: Option<Millis>,
}

/// All ports.
#[derive(Debug)]
pub(super) struct AcceptRates(PerPort<PortRate>);

impl AcceptRates {
    pub(super) fn new(options: &Options) -> Self {
        // Each process that accepts has its part.
        let parts = if options.mode == Mode::Base { options.workers.max(1) } else { 1 };
        Self(options.ports().map(|plan| PortRate {
            rate: u64::from(plan.options.accept_rate.div_ceil(u32::from(parts))),
            bucket: TokenBucket::default(),
            rests_until: None,
        }))
    }

    /// Whether the port may accept one now. If not it rests from here on.
    pub(super) fn admits(&mut self, port: PortId, now: Millis) -> bool {
        let port = self.0.get_mut(port);
        if port.rate == 0 || port.bucket.has(nanos(now), 1, port.rate) {
            return true;
        }
        let some = (port.rate / RESTS_PER_SECOND).max(1);
        let until = port.bucket.has_at(some, port.rate).div_ceil(1_000_000);
        port.rests_until = Some(until);
        false
    }

    /// The port has accepted one.
    pub(super) fn count(&mut self, port: PortId, now: Millis) {
        let port = self.0.get_mut(port);
        if port.rate > 0 {
            port.bucket.take(nanos(now), 1, port.rate);
        }
    }

    /// Whether the port rests.
    pub(super) fn rests(&self, port: PortId) -> bool {
        self.0.get(port).rests_until.is_some()
    }

    /// When the first port that rests goes on.
    pub(super) fn next_end(&self) -> Option<Millis> {
        self.0.iter().filter_map(|port| port.rests_until).min()
    }

    /// The rests that are over end. True: there was one.
    pub(super) fn end_rests(&mut self, now: Millis) -> bool {
        let mut any = false;
        for port in self.0.iter_mut() {
            any |= port.rests_until.take_if(|until| *until <= now).is_some();
        }
        any
    }
}

const fn nanos(now: Millis) -> Nanos {
    now.saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_rests_when_it_has_accepted_its_number_and_others_do_not() {
        let mut options = Options::default();
        options.set("accept_rate", "10").unwrap();
        let mut rates = AcceptRates::new(&options);
        let port = PortId::FIRST;
        for _ in 0..10 {
            assert!(rates.admits(port, 5_000));
            rates.count(port, 5_000);
        }
        assert!(!rates.rests(port) && !rates.admits(port, 5_000) && rates.rests(port));
        assert_eq!(rates.next_end(), Some(5_100));
        assert!(!rates.end_rests(5_099) && rates.end_rests(5_100) && !rates.rests(port));
        assert!(rates.admits(port, 5_100));
        let mut free = AcceptRates::new(&Options::default());
        (0..100_000).for_each(|_| free.count(port, 1));
        assert!(free.admits(port, 1) && free.next_end().is_none());
    }
}
