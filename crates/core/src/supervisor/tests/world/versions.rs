//! Which code runs where.

use super::super::super::{Code, ReloadOutcome};
use super::{Fake, State, World};
use crate::ids::ProcessKey;

impl World {
    pub(super) fn version_of(&self, code: Code) -> u32 {
        match code {
            Code::Accepted => self.accepted_version,
            // A start that the end of its reload has overtaken is of its code all the same.
            Code::Candidate => self.newest_version,
        }
    }

    /// Only the canary runs what no reload has proved, and a reload that is done leaves nobody
    /// behind.
    pub(super) fn check_versions(&self, outcome: ReloadOutcome) {
        if !self.settings.keeps_accepted {
            return;
        }
        let newest = |fake: &&Fake| fake.version == self.newest_version;
        // Somebody in a slot that was taken away may have to wait until it can leave.
        let is_wanted = |(key, _): &(&ProcessKey, &Fake)| key.slot.0 < self.wanted;
        let wanted = self.fakes.iter().filter(is_wanted).map(|(_, fake)| fake);
        let serving = wanted.filter(|fake| fake.state == State::Serving);
        match outcome {
            ReloadOutcome::Done => assert!(serving.clone().all(|fake| newest(&fake)), "old code"),
            ReloadOutcome::CanaryFailed(_) => {
                assert_eq!(serving.clone().filter(newest).count(), 0, "unproved code serves");
                let starting = self.fakes.values().filter(|fake| fake.is_starting());
                assert_eq!(starting.filter(newest).count(), 0, "unproved code starts");
            }
            ReloadOutcome::Partial(_)
            | ReloadOutcome::ShuttingDown
            | ReloadOutcome::NothingToReload => {}
        }
    }
}
