//! Places of sessions that a new master has put off (USR2): nobody else has them meanwhile.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test that cannot go on

mod daemon;
mod deployed;
#[path = "deployed/handing_over.rs"]
mod handing_over;
mod talk;

use std::net::TcpStream;

use handing_over::{PutOff, journal, put_off, stop, talk};
use ostler_testkit::{TestResult, wait_until};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// With 2 457 connections the session table has 4 096 entries: fewer than so many who leave while
/// no worker sees it, and so many who come.
const LEAVERS: usize = 2_440;

fn raise_descriptor_limit() -> TestResult {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    Ok(setrlimit(Resource::Nofile, raised).map_err(std::io::Error::from)?)
}

/// The place of a session that was put off is nobody else's, when all others are taken.
#[test]
fn nobody_who_comes_takes_the_place_of_a_session_that_is_put_off() -> TestResult {
    const FULL: &str = "all places of the session table are taken, some for sessions";
    let options = [("workers", "1"), ("max_connections", "2457")];
    raise_descriptor_limit()?;
    let put_off = put_off("hand-over-place", &options)?;
    let PutOff { deployed, old, new, mut client, id, mut other } = put_off;
    let leavers = (0..LEAVERS).map(|_| {
        let mut leaver = talk(new.address)?;
        leaver.expect_answer("echo here", "here")?;
        Ok(leaver)
    });
    let leavers = leavers.collect::<TestResult<Vec<_>>>()?;
    let (begun, free) = (journal(&deployed, "receive"), deployed.place.path("free"));
    other.say(&format!("until {} freed", free.display()))?;
    wait_until("the worker to have it", || journal(&deployed, "receive") > begun)?;
    // Nobody sees the end of those who leave now, and so their places are taken. With as many who
    // come there are more than the table has.
    drop(leavers);
    let mut comers = Vec::new();
    wait_until("the table to be full", || {
        if comers.len() < LEAVERS {
            comers.extend(TcpStream::connect(new.address));
        }
        deployed.count(FULL) > 0
    })?;
    let mut newcomer = talk(new.address)?;
    newcomer.say("id")?;
    other.say("part other")?;
    std::fs::write(&free, "")?;
    other.expect("freed");
    other.expect("ok");
    deployed.wait_left(&old)?;
    assert_eq!(client.number("id")?, id);
    client.expect_answer("isin room", "true")?;
    newcomer.line()?;
    drop((client, other, newcomer, comers));
    stop(&deployed, new, 1)
}
