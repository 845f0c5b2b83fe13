//! A server is a part of a program: what the program had stays the program's, in the master and in
//! its workers.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod talk;

use std::net::SocketAddr;

use ostler_testkit::{Client, Process, Signal, TestError, TestResult, TestServer};
use talk::{Scratch, Talk, small_probe};

/// The process title was written over the arguments, so that no worker could read them.
#[test]
fn a_worker_can_read_the_arguments_of_its_program() -> TestResult {
    let server = small_probe().start()?;
    let arguments = Talk::new(&server)?.ask("arguments")?;
    assert!(
        arguments.contains("probe --set") && arguments.contains("lane_size=65536"),
        "{arguments}"
    );
    server.stop()
}

/// A fork has one thread: a lock that another one held would be held for ever.
#[test]
fn a_program_that_has_started_a_thread_does_not_become_a_server() -> TestResult {
    let scratch = Scratch::new("embedder-thread")?;
    let server = TestServer::example("embedder")
        .env("EMBEDDER_LOGS", scratch.at())
        .env("EMBEDDER_THREAD", "1")
        .start()?;
    let ended = server.wait_end()?;
    assert_eq!(ended.code(), Some(4));
    let said = ended.log().lines_with("this process has 2 threads");
    assert_eq!(said.len(), 1, "{:?}", ended.log());
    Ok(())
}

/// The program with two servers, of which the first runs, and the address of the second.
fn two_servers(scratch: &Scratch) -> TestResult<(TestServer, SocketAddr)> {
    let server = TestServer::example("embedder")
        .set("workers", 1)
        .env("EMBEDDER_LOGS", scratch.at())
        .start()?;
    let second = address_of_the_second(&server)?;
    Ok((server, second))
}

fn said(server: &TestServer, line: &str) -> bool {
    server.output().iter().any(|said| said == line)
}

/// `run` left signals blocked, the name, the dumpable attribute and the panic hook changed, reaped
/// the program's own child, and a second server ignored its log file.
#[test]
fn a_program_is_after_its_servers_what_it_was_before() -> TestResult {
    let scratch = Scratch::new("embedder")?;
    let (server, second) = two_servers(&scratch)?;
    let mut client = server.connect()?;
    client.send(b"to the first")?;
    client.expect(b"to the first")?;
    server.signal(Signal::TERM);
    server.wait_for("the first server to end", |server| said(server, "first done"))?;
    let mut client = Client::connect(second)?;
    client.send(b"to the second")?;
    client.expect(b"to the second")?;
    server.signal(Signal::TERM);
    let master = server.master();
    server.wait_for("the program to end", |_| !master.is_alive())?;
    server.wait_for("its last words", |server| said(server, "second done"))?;
    let changed: Vec<String> =
        server.output().into_iter().filter(|line| line.starts_with("changed")).collect();
    assert!(changed.is_empty(), "{changed:#?}");
    let count = |line: &str| server.output().iter().filter(|said| *said == line).count();
    assert_eq!(count("child exit status: 0"), 2, "{:?}", server.output());
    assert_eq!(count("own hook"), 2, "{:?}", server.output());
    for name in ["first", "second"] {
        let lines = scratch.lines(&format!("{name}.log"));
        let books = lines.iter().filter(|line| line.contains(" books ")).count();
        assert_eq!(books, 1, "{name}: {lines:#?}");
    }
    let ended = server.wait_end()?;
    assert_eq!(ended.code(), Some(0));
    Ok(())
}

/// Level and form of the log were those of the first server that was bound.
#[test]
fn each_server_has_its_own_level_and_form_of_log() -> TestResult {
    for (option, text_begins) in [("log_level=debug", true), ("log_format=json", false)] {
        let scratch = Scratch::new("embedder-logs")?;
        let server = TestServer::example("embedder")
            .default_log_level()
            .set("workers", 1)
            .env("EMBEDDER_LOGS", scratch.at())
            .env("EMBEDDER_SECOND", option)
            .start()?;
        let second = address_of_the_second(&server)?;
        server.connect()?;
        server.signal(Signal::TERM);
        server.wait_for("the first server to end", |server| said(server, "first done"))?;
        let mut client = Client::connect(second)?;
        client.send(b"to the second")?;
        client.expect(b"to the second")?;
        server.signal(Signal::TERM);
        let master = server.master();
        server.wait_for("the program to end", |_| !master.is_alive())?;
        assert_eq!(server.wait_end()?.code(), Some(0));

        let lines = |name: &str| scratch.lines(&format!("{name}.log"));
        let (first, second) = (lines("first"), lines("second"));
        let is_text = |line: &String| !line.starts_with('{');
        let has_debug = |lines: &[String]| lines.iter().any(|line| line.contains(" DEBUG "));
        assert!(first.iter().all(is_text) && !has_debug(&first), "{first:#?}");
        assert!(second.len() > 3 && second.iter().all(|line| is_text(line) == text_begins));
        assert_eq!(has_debug(&second), option == "log_level=debug", "{second:#?}");
    }
    Ok(())
}

fn address_of_the_second(server: &TestServer) -> TestResult<SocketAddr> {
    let find =
        || server.output().iter().find_map(|line| line.strip_prefix("second ")?.parse().ok());
    server.wait_for("the second address", |_| find().is_some())?;
    find().ok_or_else(|| TestError::new("no second address"))
}

/// The listener of a bound second server was inherited by the manager, the spare and the workers of
/// the first.
#[test]
fn a_bound_servers_listener_is_in_no_process_of_another() -> TestResult {
    let scratch = Scratch::new("two-listeners")?;
    let (server, second) = two_servers(&scratch)?;
    let mut client = server.connect()?;
    client.send(b"up")?;
    client.expect(b"up")?;
    let suffix = format!(":{:04X}", second.port());
    let table = std::fs::read_to_string("/proc/net/tcp")?;
    let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let inode = fields
        .filter(|fields| fields.get(1).is_some_and(|local| local.ends_with(&suffix)))
        .find_map(|fields| Some(format!("socket:[{}]", fields.get(9)?)))
        .ok_or_else(|| TestError::new(format!("nobody listens on {second}")))?;
    let has = |process: &Process| -> TestResult<bool> {
        for entry in std::fs::read_dir(format!("/proc/{}/fd", process.pid()))? {
            if std::fs::read_link(entry?.path()).is_ok_and(|link| link.to_string_lossy() == inode) {
                return Ok(true);
            }
        }
        Ok(false)
    };
    assert!(has(&server.master())?, "the instrument sees it where it is");
    for process in [server.manager(), server.spare(), server.worker(0)] {
        assert!(!has(&process)?, "{process} has the listener of the other server");
    }
    server.abandon();
    Ok(())
}
