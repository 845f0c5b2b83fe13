//! How many workers the packages of an address have killed of late: who costs too many is not let
//! in for a while.

use std::collections::{HashMap, VecDeque};

use crate::Millis;
use crate::addresses::AddressGroup;

/// How long a death counts.
pub const DEATHS_PERIOD_MS: Millis = 60_000;
/// Addresses that are known at once. Beyond that the one is forgotten whose last death is the
/// longest ago: whoever has so many addresses is not stopped by this.
const ADDRESSES_MAX: usize = 4_096;
/// Deaths of one address that are known: as many as an option can allow.
pub const DEATHS_MAX: u32 = 100;

/// The deaths within a minute, by address.
#[derive(Debug)]
pub struct AddressDeaths {
    /// Never empty.
    of: HashMap<AddressGroup, VecDeque<Millis>>,
    addresses_max: usize,
}

impl Default for AddressDeaths {
    fn default() -> Self {
        Self { of: HashMap::new(), addresses_max: ADDRESSES_MAX }
    }
}

impl AddressDeaths {
    /// A package of this address has killed a worker. Answers how many it has now, at most
    /// [`DEATHS_MAX`].
    pub fn count(&mut self, group: AddressGroup, now: Millis) -> u32 {
        if !self.of.contains_key(&group) && self.of.len() >= self.addresses_max {
            self.make_room(now);
        }
        let deaths = self.of.entry(group).or_default();
        if deaths.len() >= DEATHS_MAX as usize {
            deaths.pop_front();
        }
        deaths.push_back(now);
        self.deaths(group, now)
    }

    /// How many workers the address has cost within the last minute.
    #[must_use]
    pub fn deaths(&self, group: AddressGroup, now: Millis) -> u32 {
        let Some(deaths) = self.of.get(&group) else { return 0 };
        deaths.iter().filter(|at| counts(**at, now)).count() as u32
    }

    fn make_room(&mut self, now: Millis) {
        let last = |deaths: &VecDeque<Millis>| deaths.back().copied().unwrap_or(0);
        self.of.retain(|_, deaths| counts(last(deaths), now));
        if self.of.len() < self.addresses_max {
            return;
        }
        let oldest = self.of.iter().min_by_key(|(_, deaths)| last(deaths)).map(|(group, _)| *group);
        if let Some(oldest) = oldest {
            self.of.remove(&oldest);
        }
    }
}

const fn counts(at: Millis, now: Millis) -> bool {
    now.saturating_sub(at) < DEATHS_PERIOD_MS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: AddressGroup = AddressGroup::V4(1);

    #[test]
    fn a_death_counts_for_a_minute() {
        let mut deaths = AddressDeaths::default();
        assert_eq!(deaths.deaths(ONE, 0), 0);
        assert_eq!((deaths.count(ONE, 0), deaths.count(ONE, 30_000)), (1, 2));
        assert_eq!(deaths.deaths(AddressGroup::V4(2), 30_000), 0);
        assert_eq!(deaths.deaths(ONE, DEATHS_PERIOD_MS - 1), 2);
        assert_eq!(deaths.deaths(ONE, DEATHS_PERIOD_MS), 1);
        assert_eq!(deaths.deaths(ONE, DEATHS_PERIOD_MS + 30_000), 0);
    }

    #[test]
    fn no_more_is_kept_than_a_limit_can_ask_for() {
        let mut deaths = AddressDeaths::default();
        for now in 0..1_000 {
            deaths.count(ONE, now);
        }
        assert_eq!(deaths.deaths(ONE, 1_000), DEATHS_MAX);
        assert_eq!(deaths.of[&ONE].len(), DEATHS_MAX as usize);
    }

    #[test]
    fn who_killed_longest_ago_makes_room() {
        let mut deaths = AddressDeaths { addresses_max: 2, ..AddressDeaths::default() };
        let [one, two, three] = [1, 2, 3].map(AddressGroup::V4);
        deaths.count(one, 1);
        deaths.count(two, 2);
        deaths.count(one, 3);
        deaths.count(three, 4);
        assert_eq!([one, two, three].map(|group| deaths.deaths(group, 4)), [2, 0, 1]);
        // Whoever is known only by what counts no more goes first.
        deaths.count(two, DEATHS_PERIOD_MS + 3);
        assert_eq!([one, two, three].map(|it| deaths.deaths(it, DEATHS_PERIOD_MS + 3)), [0, 1, 1]);
    }

    proptest! {
        /// Against a list of all deaths.
        #[test]
        fn the_deaths_of_the_last_minute_are_counted(
            steps in proptest::collection::vec((0u32..4, 0u64..20_000), 0..90),
        ) {
            let (mut deaths, mut all, mut now) = (AddressDeaths::default(), Vec::new(), 0);
            for (who, pause) in steps {
                now += pause;
                let group = AddressGroup::V4(who);
                all.push((group, now));
                let of = |group| {
                    let own = all.iter().filter(|(other, _)| *other == group);
                    own.filter(|(_, at)| now - at < DEATHS_PERIOD_MS).count() as u32
                };
                prop_assert_eq!(deaths.count(group, now), of(group));
                for other in (0..4).map(AddressGroup::V4) {
                    prop_assert_eq!(deaths.deaths(other, now), of(other));
                }
            }
        }
    }
}
