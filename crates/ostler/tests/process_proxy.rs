//! The proxy example, as its users meet it.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod talk;

use ostler_testkit::{TestResult, TestServer};
use talk::{Talk, small_probe};

#[test]
fn a_slow_answer_holds_up_no_other_client_and_answers_keep_their_order() -> TestResult {
    let upstream = small_probe().set("workers", 4).beside_others().start()?;
    let proxy = TestServer::example("proxy")
        .args([upstream.address().to_string()])
        .set("workers", 1)
        .beside_others()
        .start()?;
    let (mut slow, mut quick) = (Talk::new(&proxy)?, Talk::new(&proxy)?);
    slow.say("sleep 700 slept")?;
    slow.say("echo behind it")?;
    for number in 0..20 {
        assert_eq!(quick.ask(&format!("echo {number}"))?, number.to_string());
    }
    slow.expect("slept");
    slow.expect("behind it");
    proxy.stop()?;
    upstream.stop()
}

#[test]
fn an_upstream_that_is_not_there_is_told_to_the_client() -> TestResult {
    // A port on which nobody listens: it was somebody's a moment ago.
    let gone = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let proxy = TestServer::example("proxy").args([gone.to_string()]).start()?;
    let mut talk = Talk::new(&proxy)?;
    let answer = talk.ask("echo x")?;
    assert!(answer.starts_with("* upstream: "), "{answer}");
    proxy.stop()
}
