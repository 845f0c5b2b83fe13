//! Input: what clients have sent is received to the last byte, and who has left takes nobody's
//! place.
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)] // a test that cannot go on

mod talk;

use std::io::{Read as _, Write as _};
use std::path::Path;

use ostler_testkit::{Client, ServerBuilder, TestResult, TestServer, wait_until};
use talk::{Scratch, Talk, probe, small_probe};

/// The probe with a journal of its callbacks in `scratch`.
fn with_journal(builder: ServerBuilder, scratch: &Scratch) -> ServerBuilder {
    builder.env("PROBE_JOURNAL", scratch.path("journal"))
}

/// The lines of the journal about this kind of callback.
fn journal(scratch: &Scratch, what: &str) -> Vec<String> {
    let what = format!(" {what} ");
    scratch.lines("journal").into_iter().filter(|line| line.contains(&what)).collect()
}

/// Waits until the journal has so many lines about this kind of callback.
fn wait_journal(scratch: &Scratch, what: &str, count: usize) -> TestResult {
    wait_until(&format!("{count} lines {what:?} in the journal"), || {
        journal(scratch, what).len() >= count
    })
}

/// Keeps a worker busy until the file is there.
fn keep_busy(server: &TestServer, scratch: &Scratch, file: &Path) -> TestResult<Talk> {
    let mut talk = Talk::new(server)?;
    let before = journal(scratch, "receive").len();
    talk.say(&format!("until {} free", file.display()))?;
    wait_journal(scratch, "receive", before + 1)?;
    Ok(talk)
}

/// Connects, sends so many lines and leaves without reading an answer: the kernel sends a reset as
/// soon as there is one.
fn fire_and_forget(server: &TestServer, lines: usize) -> TestResult {
    let mut client = server.connect()?;
    let mut all = Vec::new();
    for line in 0..lines {
        all.extend(format!("echo {line}\n").bytes());
    }
    client.send(&all)
}

#[test]
fn fire_and_forget_input_is_received_to_the_last_line() -> TestResult {
    const CLIENTS: usize = 300;
    const LINES: usize = 100;
    let scratch = Scratch::new("forget")?;
    let server = with_journal(probe(), &scratch).start()?;
    std::thread::scope(|scope| {
        let send = || (0..CLIENTS / 4).try_for_each(|_| fire_and_forget(&server, LINES));
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(send)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap())
    })?;
    wait_journal(&scratch, "close", CLIENTS)?;
    assert_eq!(journal(&scratch, "receive").len(), CLIENTS * LINES);
    let ended = server.stop_and_report()?;
    assert_eq!(ended.books()?.received, (CLIENTS * LINES) as u64);
    assert_eq!(ended.books()?.detail("input_dropped_bytes"), 0);
    Ok(())
}

/// A reset that overtakes nothing: what was sent before it is received, in order, and told apart
/// from what the server sends, which goes nowhere.
fn a_reset_behind_input(builder: ServerBuilder, lines: usize, packages: usize) -> TestResult {
    let scratch = Scratch::new(&format!("behind-{lines}"))?;
    let file = scratch.path("go");
    let server = with_journal(builder, &scratch).start()?;
    let _busy = keep_busy(&server, &scratch, &file)?;
    let mut client = server.connect()?;
    // At once: a reset throws away what the client's kernel has not sent yet.
    let all: String = (0..lines).map(|line| format!("echo {line}\n")).collect();
    client.send(all.as_bytes())?;
    client.abort()?;
    scratch.make("go")?;
    wait_journal(&scratch, "close", 1)?;
    // The busy one's order comes first.
    assert_eq!(journal(&scratch, "receive").len(), 1 + packages);
    let closed = journal(&scratch, "close");
    assert!(closed[0].contains("gone peer_error"), "{closed:?}");
    server.stop()
}

#[test]
fn a_reset_does_not_end_the_input_of_a_framed_session() -> TestResult {
    a_reset_behind_input(small_probe(), 200, 200)
}

#[test]
fn a_reset_does_not_end_the_input_of_a_raw_session() -> TestResult {
    a_reset_behind_input(small_probe().set("framing", "raw"), 50, 1)
}

#[test]
fn a_reset_session_gives_its_place_back_while_its_worker_is_busy() -> TestResult {
    const PLACES: usize = 32;
    let scratch = Scratch::new("places")?;
    let file = scratch.path("go");
    let builder = probe().set("reactors", 1).set("dispatch", "session_hash");
    let builder = builder.set("max_connections", PLACES).expect_log("all places are taken");
    let server = with_journal(builder, &scratch).start()?;
    for worker in 0..2 {
        server.wait_for_log(&format!("serves worker=w{worker}."))?;
    }
    let _busy = keep_busy(&server, &scratch, &file)?;
    for _wave in 0..8 {
        for _ in 1..PLACES {
            let mut client = server.connect()?;
            client.send(b"echo lost\n")?;
            client.abort()?;
        }
    }
    // Half of these belong to the worker that idles.
    let mut clients: Vec<Client> =
        (1..PLACES).map(|_| server.connect()).collect::<TestResult<_>>()?;
    for client in &mut clients {
        client.send(b"echo here\n")?;
        client.stream().set_nonblocking(true)?;
    }
    let mut byte = [0];
    let mut answered = || clients.iter().any(|client| client.stream().peek(&mut byte).is_ok());
    server.wait_for("an answer of the worker that idles", |_| answered())?;
    scratch.make("go")?;
    // Nothing of what the waves sent is lost.
    let waves = 8 * (PLACES - 1);
    wait_journal(&scratch, "close", waves)?;
    assert!(journal(&scratch, "receive").len() > waves);
    drop(clients);
    server.stop()
}

#[test]
fn who_left_without_a_word_gives_the_place_back_while_its_worker_is_busy() -> TestResult {
    let scratch = Scratch::new("leavers")?;
    let file = scratch.path("go");
    // Nothing is given to a busy worker in advance, so that nobody is read on its behalf.
    let builder = small_probe().set("prefetch_us", 0).set("log_level", "debug");
    let server = with_journal(builder, &scratch).start()?;
    let mut leavers: Vec<Talk> = (0..10).map(|_| Talk::new(&server)).collect::<TestResult<_>>()?;
    for talk in &mut leavers {
        assert_eq!(talk.ask("echo here")?, "here");
    }
    let _busy = keep_busy(&server, &scratch, &file)?;
    drop(leavers);
    server.wait_for("ten closed sockets", |server| {
        server.log_lines_with("session closed").len() == 10
    })?;
    scratch.make("go")?;
    wait_journal(&scratch, "close", 10)?;
    server.stop()
}

/// The reactor that owns a session.
fn reactor_of(talk: &mut Talk) -> TestResult<u64> {
    talk.number("reactor")
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

#[test]
fn what_nobody_is_given_is_counted_by_its_reason() -> TestResult {
    let server = small_probe().start()?;
    // A line that never ends.
    let mut talk = Talk::new(&server)?;
    talk.client.send(b"echo 1\nhalf")?;
    talk.client.half_close()?;
    talk.expect("1");
    talk.expect_eof();
    // One behind the server's own close.
    let mut talk = Talk::new(&server)?;
    talk.client.send(b"close\nbehind")?;
    talk.expect("bye");
    talk.expect_eof();
    let ended = server.stop_and_report()?;
    assert_eq!(ended.books()?.detail("input_dropped_bytes"), 10);
    for line in ["nobody was given reason=peer bytes=4", "nobody was given reason=worker bytes=6"] {
        assert_eq!(ended.log().lines_with(line).len(), 1, "{line}");
    }
    Ok(())
}

/// A read stops at urgent data (RFC 6093), though more may follow: that must not be taken for the
/// end of what is there.
#[test]
fn urgent_data_does_not_hide_what_follows_it() -> TestResult {
    for framing in ["stream", "raw", "eof"] {
        let server = TestServer::echo().set("framing", framing).set("workers", 1).start()?;
        for _ in 0..20 {
            let mut stream = std::net::TcpStream::connect(server.address())?;
            stream.write_all(b"abc")?;
            rustix::net::send(&stream, b"!", rustix::net::SendFlags::OOB)?;
            stream.write_all(b"def\r\n")?;
            let mut answer = [0; 8];
            stream.set_read_timeout(Some(ostler_testkit::DEADLINE))?;
            stream.read_exact(&mut answer)?;
            assert_eq!(&answer, b"abcdef\r\n", "{framing}");
        }
        server.stop()?;
    }
    Ok(())
}
