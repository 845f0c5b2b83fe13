//! The key-value example, as its users meet it.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod talk;

use std::path::Path;

use ostler_testkit::{ServerBuilder, TestResult, TestServer};
use talk::{Scratch, ask_resp};

fn keyvalue(file: &Path) -> ServerBuilder {
    let argument = format!("--file={}", file.display());
    TestServer::example("keyvalue").args([argument]).set("listen", "127.0.0.1:0")
}

/// Its session was closed, with a line of the log for each client that asked.
#[test]
fn a_value_longer_than_an_answer_is_refused_and_its_client_is_served_on() -> TestResult {
    let scratch = Scratch::new("keyvalue-long")?;
    let long = "v".repeat(100_000);
    let server = keyvalue(&scratch.path("data")).start()?;
    let mut client = server.connect()?;
    ask_resp(&mut client, &["SET", "long", &long], "+OK\r\n")?;
    ask_resp(&mut client, &["SET", "short", "x"], "+OK\r\n")?;
    ask_resp(&mut client, &["GET", "long"], &format!("$100000\r\n{long}\r\n"))?;
    drop(client);
    server.stop()?;

    let server = keyvalue(&scratch.path("data")).set("max_send_bytes", "64K").start()?;
    let mut client = server.connect()?;
    let refusal = "-ERR a value has at most 32704 bytes, not 100000\r\n";
    for _ in 0..3 {
        ask_resp(&mut client, &["GET", "long"], refusal)?;
        ask_resp(&mut client, &["SET", "other", &long], refusal)?;
        ask_resp(&mut client, &["GET", "other"], "$-1\r\n")?;
        ask_resp(&mut client, &["GET", "short"], "$1\r\nx\r\n")?;
    }
    let longest = "v".repeat(32_704);
    ask_resp(&mut client, &["SET", "longest", &longest], "+OK\r\n")?;
    // Answers that fill one send, and the longest value behind them.
    let get = |key: &str| format!("*2\r\n$3\r\nGET\r\n${}\r\n{key}\r\n", key.len());
    client.send((get("short").repeat(4_680) + &get("longest")).as_bytes())?;
    client.expect("$1\r\nx\r\n".repeat(4_680).as_bytes())?;
    client.expect(format!("$32704\r\n{longest}\r\n").as_bytes())?;
    drop(client);
    server.stop()
}

#[test]
fn workers_that_would_each_have_data_of_their_own_are_refused() -> TestResult {
    let two = || TestServer::example("keyvalue").set("listen", "127.0.0.1:0").set("workers", 2);
    for question in [&[][..], &["--check"]] {
        let (code, text) = two().args(question).start_expecting_failure()?;
        assert_eq!(code, 2, "{text}");
        assert!(text.contains("write --file PATH, or set workers = 1"), "{text}");
    }
    let scratch = Scratch::new("keyvalue-two")?;
    keyvalue(&scratch.path("data")).set("workers", 2).start()?.stop()
}
