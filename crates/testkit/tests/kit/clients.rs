//! What a client expects and how it says that something else came.

use std::time::Duration;

use ostler_testkit::{Client, TestResult};

use crate::fake;

#[test]
fn a_difference_is_shown_where_it_begins() -> TestResult {
    let server = fake().handler("falsify_every:1").start()?;
    let mut client = server.connect()?;
    client.send(b"hello")?;
    let error = client.expect(b"hello").unwrap_err().to_string();
    assert_eq!(error, "byte 4 differs: expected \"o\", got \"n\"");
    drop(error);
    server.stop()
}

#[test]
fn an_early_end_is_not_a_reply() -> TestResult {
    let server = fake().handler("close_every:1").start()?;
    let mut client = server.connect()?;
    client.send(b"hello")?;
    let error = client.expect(b"hello").unwrap_err().to_string();
    assert_eq!(error, "0 of 5 bytes came, then it was closed");
    client.expect_closed()?;
    server.stop()
}

#[test]
fn a_reset_and_an_end_are_told_apart() -> TestResult {
    let server = fake().handler("reset_every:2").start()?;
    let mut client = server.connect()?;
    client.send(b"one")?;
    assert_eq!(client.read_exactly(3)?, b"one");
    client.send(b"two")?;
    client.expect_reset()?;
    let mut client = server.connect()?;
    client.half_close()?;
    assert!(client.expect_reset().unwrap_err().to_string().contains("an orderly end"));
    server.stop()
}

#[test]
fn unexpected_data_is_shown() -> TestResult {
    let server = fake().start()?;
    let mut client = server.connect()?;
    client.send(b"data\n")?;
    let error = client.expect_eof().unwrap_err().to_string();
    assert_eq!(error, "expected the end, got 5 bytes: \"data\\n\"");
    drop(error);
    client.send(b"more")?;
    assert_eq!(client.read_some()?, b"more");
    server.stop()
}

#[test]
fn a_client_that_never_reads_blocks_the_server() -> TestResult {
    let server = fake().start()?;
    let mut client = Client::connect_with_receive_buffer(server.address(), 4096)?;
    let flood = vec![7; 64 << 20];
    let taken = client.send_until_blocked(&flood, Duration::from_millis(200))?;
    assert!(taken < flood.len(), "64 MiB vanished into buffers");
    // What did come back is in order, once the client reads at last.
    client.expect(flood.get(..4096).unwrap_or_default())?;
    client.abort()?;
    server.stop()
}
