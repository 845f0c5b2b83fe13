//! A probe that is replaced by its successor, and what is known of both afterwards.
#![allow(dead_code)] // each binary uses a part of it

use std::net::SocketAddr;

use ostler_testkit::{Client, TestResult, wait_until};

use crate::daemon::{Daemon, check};
use crate::deployed::Deployed;
use crate::talk::Talk;

/// The probe, small.
pub fn probe(name: &str, options: &[(&str, &str)]) -> TestResult<(Deployed, Daemon)> {
    let deployed = Deployed::new(name, "probe")?;
    let small = [("workers", "2"), ("reactors", "2"), ("lane_size", "65536")];
    let mut command = deployed.command(&[&small, options].concat());
    command.env("PROBE_JOURNAL", deployed.place.path("journal"));
    command.env("PROBE_HANG_START_IF_EXISTS", deployed.place.path("hang"));
    let old = deployed.place.daemon_of(&command.output()?)?;
    Ok((deployed, old))
}

/// A session that the new master has put off.
pub struct PutOff {
    pub deployed: Deployed,
    pub old: Daemon,
    pub new: Daemon,
    /// It is in the group `room` of the old master.
    pub client: Talk,
    pub id: u64,
    /// It has the new master's only group, `other`.
    pub other: Talk,
}

/// A probe whose new master has no room for the group of a session, which it puts off.
pub fn put_off(name: &str, options: &[(&str, &str)]) -> TestResult<PutOff> {
    let own = [("reactors", "1"), ("groups_max", "1"), ("log_level", "debug")];
    let (deployed, old) = probe(name, &[&own, options].concat())?;
    let mut client = talk(old.address)?;
    let id = client.number("id")?;
    client.expect_answer("join room", "ok")?;
    let gate = deployed.place.path("gate");
    client.say(&format!("until {} served", gate.display()))?;
    wait_until("the worker to have it", || journal(&deployed, "receive") >= 3)?;
    let new = deployed.succeed(&old)?;
    let mut other = talk(new.address)?;
    other.expect_answer("join other", "ok")?;
    other.expect_answer("isin other", "true")?;
    std::fs::write(&gate, "")?;
    client.expect("served");
    deployed.place.wait_for_log("the new master cannot have these for now")?;
    Ok(PutOff { deployed, old, new, client, id, other })
}

pub fn talk(address: SocketAddr) -> TestResult<Talk> {
    Ok(Talk::with(Client::connect(address)?))
}

pub fn journal(deployed: &Deployed, text: &str) -> usize {
    let journal = std::fs::read_to_string(deployed.place.path("journal")).unwrap_or_default();
    journal.matches(text).count()
}

/// A number of all lines of books in the log.
pub fn counted(deployed: &Deployed, name: &str) -> u64 {
    let log = deployed.place.log();
    let books = log.lines().filter(|line| line.contains(" books "));
    let words = books.flat_map(str::split_whitespace);
    let numbers = words.filter_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    numbers.filter_map(|number| number.parse::<u64>().ok()).sum()
}

/// Ends the last master. The books of all together balance, and what went from one to the next is
/// the same on both sides.
pub fn stop(deployed: &Deployed, last: Daemon, handed_over: u64) -> TestResult {
    last.stop(&deployed.place)?;
    let count = |name| counted(deployed, name);
    check(count("handed_over") == handed_over, deployed.place.log())?;
    check(count("taken_over") == handed_over, deployed.place.log())?;
    check(count("accepted") == count("closed") + count("open"), deployed.place.log())?;
    check(count("received") == count("finished"), deployed.place.log())
}
