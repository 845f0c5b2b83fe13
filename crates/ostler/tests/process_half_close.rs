//! Who ends its own direction and waits gets all its answers and then an orderly end; and any
//! worker sends to any session.
#![allow(clippy::panic, clippy::indexing_slicing)] // a test that cannot go on

mod encrypted;
mod talk;

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use encrypted::{Authority, NAME, TlsClient};
use ostler_testkit::{DEADLINE, ServerBuilder, TestResult, TestServer, wait_until};
use talk::{Scratch, Talk, pattern, probe};

/// A connection of each kind that has two directions.
enum Line {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsClient>),
}

impl Line {
    /// Sends everything, and ends this direction.
    fn ask(&mut self, requests: &[u8]) -> TestResult {
        match self {
            Self::Tcp(stream) => {
                stream.set_read_timeout(Some(DEADLINE))?;
                stream.write_all(requests)?;
                stream.shutdown(Shutdown::Write)?;
            }
            Self::Unix(stream) => {
                stream.set_read_timeout(Some(DEADLINE))?;
                stream.write_all(requests)?;
                stream.shutdown(Shutdown::Write)?;
            }
            Self::Tls(client) => {
                client.send(requests)?;
                client.say_goodbye()?;
            }
        }
        Ok(())
    }

    /// All that comes until the orderly end.
    fn answers(&mut self) -> TestResult<Vec<u8>> {
        let mut bytes = Vec::new();
        match self {
            Self::Tcp(stream) => stream.read_to_end(&mut bytes)?,
            Self::Unix(stream) => stream.read_to_end(&mut bytes)?,
            // Without a goodbye this is an error.
            Self::Tls(client) => {
                rustls::Stream::new(&mut client.tls, &mut client.socket).read_to_end(&mut bytes)?
            }
        };
        Ok(bytes)
    }
}

/// Sends all kinds of requests, ends its direction, and reads only when the server has come to
/// rest: the answers are more than the kernel takes.
fn all_is_answered(server: &TestServer, mut line: Line, name: &str) -> TestResult {
    const LONG: usize = 20_000_000;
    let requests = [
        "echo first",
        "defer 30 deferred",
        "big 900000",
        "sleep 20 slept",
        &format!("stream {LONG}"),
        "deferthread 5 1 thread",
        "echo last",
    ];
    line.ask(format!("{}\n", requests.join("\n")).as_bytes())?;
    server.wait_for_rest()?;
    let mut expected = b"first\ndeferred\n".to_vec();
    expected.extend(pattern(900_000));
    expected.extend(b"slept\n");
    expected.extend(pattern(LONG));
    expected.extend(b"0 thread\nlast\n");
    let answers = line.answers().map_err(|error| error.context(name))?;
    let first_wrong = answers.iter().zip(&expected).position(|(got, wanted)| got != wanted);
    assert_eq!((answers.len(), first_wrong), (expected.len(), None), "{name}");
    Ok(())
}

/// The same, once with each policy that holds outputs back or does not.
fn half_close_is_answered(
    with: impl Fn(ServerBuilder) -> ServerBuilder,
    line: impl Fn(&TestServer) -> TestResult<Line>,
) -> TestResult {
    for (workers, policy) in [(1, "close"), (2, "redeliver:3")] {
        let builder = probe().set("workers", workers).set("crash_policy", policy);
        let server = with(builder.set("framing", "line")).start()?;
        all_is_answered(&server, line(&server)?, policy)?;
        let books = server.stop_and_report()?.books()?;
        assert_eq!(books.detail("closed_peer"), 1, "{policy}: {books}");
        assert_eq!(books.detail("output_dropped_bytes"), 0, "{policy}: {books}");
    }
    Ok(())
}

#[test]
fn half_close_is_answered_over_tcp() -> TestResult {
    let line = |server: &TestServer| Ok(Line::Tcp(TcpStream::connect(server.address())?));
    half_close_is_answered(|builder| builder, line)
}

#[test]
fn half_close_is_answered_over_a_unix_socket() -> TestResult {
    let scratch = Scratch::new("half")?;
    let path = scratch.path("socket");
    let listen = format!("unix://{}", path.display());
    half_close_is_answered(
        |builder| builder.set("port.local.listen", &listen),
        |_| Ok(Line::Unix(UnixStream::connect(&path)?)),
    )
}

#[test]
fn half_close_is_answered_over_tls() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    half_close_is_answered(
        |builder| encrypted::showing(builder, &pair),
        |server| {
            let config = Arc::new(authority.client());
            Ok(Line::Tls(Box::new(TlsClient::connect(server.address(), &config)?)))
        },
    )
}

/// Sends ten bytes to a session.
fn send_to(talk: &mut Talk, session: u64) -> TestResult<String> {
    talk.ask(&format!("flood {session} 1 10"))
}

const SENT: &str = "ok 1 full 0 gone 0 other 0";
const GONE: &str = "ok 0 full 0 gone 1 other 0";

#[test]
fn any_worker_sends_to_any_session_and_learns_that_one_is_gone() -> TestResult {
    let server = probe().set("dispatch", "session_hash").start()?;
    for worker in 0..2 {
        server.wait_for_log(&format!("serves worker=w{worker}."))?;
    }
    // One session at each reactor for each worker.
    let (mut talks, mut ids, mut places) = (Vec::new(), Vec::new(), HashSet::new());
    while places.len() < 4 {
        let mut talk = Talk::new(&server)?;
        let id = talk.number("id")?;
        if places.insert((talk.ask("whoami")?, talk.ask("reactor")?)) {
            ids.push(id);
            talks.push(talk);
        }
    }
    for from in 0..talks.len() {
        for (to, id) in ids.iter().enumerate().filter(|(to, _)| *to != from) {
            assert_eq!(send_to(&mut talks[from], *id)?, SENT, "{from} to {to}");
            assert_eq!(talks[to].bytes(10)?, pattern(10), "{from} to {to}");
        }
    }
    // A session that ends, and others that get its place.
    let gone = ids.remove(0);
    drop(talks.remove(0));
    for talk in &mut talks {
        wait_until("the session to be gone", || {
            send_to(talk, gone).is_ok_and(|answer| answer == GONE)
        })?;
    }
    let mut next: Vec<Talk> = (0..4).map(|_| Talk::new(&server)).collect::<TestResult<_>>()?;
    for talk in next.iter_mut().chain(&mut talks) {
        assert_eq!(send_to(talk, gone)?, GONE);
        assert_eq!(send_to(talk, u64::MAX >> 11)?, GONE, "of a session that never was");
    }
    for talk in next.iter_mut().chain(&mut talks) {
        talk.expect_answer("echo nothing came", "nothing came")?;
    }
    drop((talks, next));
    server.stop()
}
