//! The brain against a fake world: rule by rule in plain words, and with random events.

mod properties;
mod world;

use super::BrainSettings;
use crate::policy::{CrashPolicy, Dispatch};
use world::World;

fn settings(dispatch: Dispatch, crash_policy: CrashPolicy) -> BrainSettings {
    BrainSettings {
        dispatch,
        crash_policy,
        session_window: 16,
        prefetch_ns: 100_000,
        prefetch_packages: 64,
        slot_down_ns: 1_000_000_000,
        bindings_max: 3,
        sessions_max: 16,
        workers: 2,
    }
}
