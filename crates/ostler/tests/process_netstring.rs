//! Messages that a function of the program cuts, in a real server.
#![allow(clippy::panic, clippy::expect_used)] // a test that cannot go on

use ostler_testkit::{Random, Signal, TestResult, TestServer};

/// Half of a message survives the worker that saw it, also one that is much longer than a read.
#[test]
fn a_message_of_a_length_function_survives_its_worker() -> TestResult {
    let server = TestServer::example("netstring").set("workers", 1).start()?;
    let mut client = server.connect()?;
    let body = vec![b'a'; 300_000];
    let message = [b"300000:".as_slice(), &body, b","].concat();
    let (half, rest) = message.split_at(150_000);
    client.send(&[b"3:one,", half].concat())?;
    client.expect(b"3:ONE,")?;
    server.signal(Signal::USR1);
    server.wait_for_log("reload finished")?;
    client.send(&[rest, b"3:two,"].concat())?;
    client.expect(&message.to_ascii_uppercase())?;
    client.expect(b"3:TWO,")?;
    drop(client);
    server.stop()
}

#[test]
fn messages_of_a_length_function_arrive_whole_however_they_are_cut() -> TestResult {
    let server = TestServer::example("netstring").set("workers", 2).start()?;
    let mut random = Random::from_environment("netstrings")?;
    let mut client = server.connect()?;
    for _ in 0..5 {
        let mut stream = Vec::new();
        for _ in 0..200 {
            let len = (random.next_u64() % 3_000) as usize;
            stream.extend(format!("{len}:").bytes());
            stream.extend(std::iter::repeat_n(b'A', len));
            stream.push(b',');
        }
        for piece in stream.chunks(1 + (random.next_u64() % 9_000) as usize) {
            client.send(piece)?;
        }
        client.expect(&stream)?;
    }
    drop(client);
    server.stop()
}

#[test]
fn what_a_length_function_refuses_ends_its_session_alone() -> TestResult {
    let server = TestServer::example("netstring")
        .set("workers", 1)
        .set("package_max_length", 1_000)
        .expect_log("package_max_length is 1000")
        .expect_log("this is no package")
        .start()?;
    let mut other = server.connect()?;
    for bad in ["99999999:", "998:", "x", ":", "123456789"] {
        let mut client = server.connect()?;
        client.send(format!("2:ok,{bad}").as_bytes())?;
        client.expect(b"2:OK,")?;
        client.expect_closed()?;
        other.send(b"3:ok?,")?;
        other.expect(b"3:OK?,")?;
    }
    drop(other);
    server.stop()
}

/// The master goes on, and so does everybody whose bytes the function does not fail at.
#[test]
fn a_length_function_that_panics_or_hangs_ends_or_blocks_its_worker_only() -> TestResult {
    let server = TestServer::example("lengths")
        .set("workers", 2)
        .set("reactors", 1)
        .set("dispatch", "idle_first")
        .set("shutdown_timeout_ms", 200)
        .env("RUST_BACKTRACE", "0")
        .expect_log("a length function that panics")
        .expect_log("RUST_BACKTRACE")
        .expect_log("thread 'main'")
        .expect_log("worker died")
        .expect_log("drain")
        .start()?;
    let mut other = server.connect()?;
    for round in 0..3 {
        let mut client = server.connect()?;
        client.send(b"fine\np")?;
        client.expect(b"fine\n")?;
        client.expect_closed()?;
        let question = format!("round {round}\n");
        other.send(question.as_bytes())?;
        other.expect(question.as_bytes())?;
    }
    let mut sleeper = server.connect()?;
    sleeper.send(b"s")?;
    for round in 0..20 {
        let mut client = server.connect()?;
        let question = format!("awake {round}\n");
        client.send(question.as_bytes())?;
        client.expect(question.as_bytes())?;
    }
    server.stop()
}
