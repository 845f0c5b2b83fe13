//! Input: what clients have sent is received to the last byte, and who has left takes nobody's
//! place.
#![allow(clippy::unwrap_used)] // a test that cannot go on

mod talk;

use ostler_testkit::TestResult;
use talk::{Talk, probe};

/// The reactor that owns a session.
fn reactor_of(talk: &mut Talk) -> TestResult<u64> {
    Ok(talk.number("id")? & 63)
}

#[test]
fn new_clients_go_to_the_reactor_with_the_fewest_sessions() -> TestResult {
    let server = probe().start()?;
    let mut first: Vec<Talk> = (0..20).map(|_| Talk::new(&server)).collect::<TestResult<_>>()?;
    let mut stay = Vec::new();
    for mut talk in first.drain(..) {
        match reactor_of(&mut talk)? {
            0 => stay.push(talk),
            _ => {
                talk.client.half_close()?;
                talk.expect_eof();
            }
        }
    }
    assert_eq!(stay.len(), 10);
    // A place is free when a worker has seen the end; then who comes evens the numbers out.
    let mut owners = Vec::new();
    for _ in 0..10 {
        let mut talk = Talk::new(&server)?;
        owners.push(reactor_of(&mut talk)?);
        stay.push(talk);
    }
    let at_the_full_one = owners.iter().filter(|reactor| **reactor == 0).count();
    assert!(at_the_full_one <= 1, "{owners:?}");
    drop(stay);
    server.stop()
}
