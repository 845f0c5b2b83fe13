//! The proxy example, as its users meet it.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod talk;

use std::net::ToSocketAddrs as _;

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
fn an_upstream_may_be_a_name() -> TestResult {
    let upstream = small_probe().beside_others().start()?;
    let name = format!("localhost:{}", upstream.address().port());
    let proxy = TestServer::example("proxy").args([name]).beside_others().start()?;
    // Where `localhost` has no address the answer is an error: the name was asked for all the same.
    let answer = Talk::new(&proxy)?.ask("echo x")?;
    let is_ours = |address: std::net::SocketAddr| address.ip() == upstream.address().ip();
    let resolves = ("localhost", 1).to_socket_addrs().is_ok_and(|mut all| all.any(is_ours));
    assert!(if resolves { answer == "x" } else { answer.starts_with("* upstream: ") }, "{answer}");
    proxy.stop()?;
    upstream.stop()
}

#[test]
fn an_upstream_without_a_port_is_told_also_by_check() -> TestResult {
    for arguments in [&["localhost"][..], &["localhost:0", "--check"], &[":80"], &["--check"]] {
        let proxy = TestServer::example("proxy").set("listen", "127.0.0.1:0").args(arguments);
        let (code, text) = proxy.start_expecting_failure()?;
        assert_eq!(code, 2, "{text}");
        assert!(text.contains("write: proxy HOST:PORT"), "{text}");
    }
    Ok(())
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
