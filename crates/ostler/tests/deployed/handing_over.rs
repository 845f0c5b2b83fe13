//! A probe that is replaced by its successor, and what is known of both afterwards.
#![allow(dead_code)] // each binary uses a part of it

use std::net::SocketAddr;

use ostler_testkit::{Client, TestResult};

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
