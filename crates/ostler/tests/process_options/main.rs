//! Every option does what the table says: one test each that shows its effect on a real server.
//!
//! The files are the topics of the table.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

#[path = "../process_user/crew.rs"]
#[allow(dead_code, reason = "shared with the tests of user processes")]
mod crew;
#[path = "../daemon/mod.rs"]
mod daemon;
mod deadlines;
mod diagnosis;
mod dispatch;
#[path = "../encrypted/mod.rs"]
mod encrypted;
#[path = "../encrypted/ocsp.rs"]
mod encrypted_ocsp;
mod lanes;
mod limits;
mod log;
mod messages;
mod network;
mod packages;
mod privileges;
mod processes;
mod queue;
mod recycling;
mod requests;
mod resources;
mod sending;
mod sockets;
mod supervision;
mod system;
#[path = "../talk/mod.rs"]
mod talk;
mod tasks;
mod tls;
mod tracing;
mod wrong_values;

use std::collections::BTreeSet;

use ostler::Options;
use ostler_testkit::TestResult;

/// A test.
type Effect = fn() -> TestResult;

/// The effect of each option, by the test that shows it. Naming the function makes sure that it
/// exists.
const EFFECTS: &[&[(&str, Effect)]] = &[
    network::EFFECTS,
    sockets::EFFECTS,
    tls::EFFECTS,
    processes::EFFECTS,
    privileges::EFFECTS,
    resources::EFFECTS,
    lanes::EFFECTS,
    packages::EFFECTS,
    dispatch::EFFECTS,
    queue::EFFECTS,
    limits::EFFECTS,
    sending::EFFECTS,
    deadlines::EFFECTS,
    requests::EFFECTS,
    supervision::EFFECTS,
    recycling::EFFECTS,
    tasks::EFFECTS,
    messages::EFFECTS,
    log::EFFECTS,
    tracing::EFFECTS,
    diagnosis::EFFECTS,
];

#[test]
fn every_option_has_a_test_of_its_effect() {
    let tested: BTreeSet<&str> = EFFECTS.iter().copied().flatten().map(|(name, _)| *name).collect();
    let known: BTreeSet<&str> = Options::table().iter().map(|info| info.name).collect();
    assert_eq!(tested, known);
}
