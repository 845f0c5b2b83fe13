//! BASE mode on ports of every kind: encrypted ones, listeners that the server was started with.
#![allow(clippy::panic, clippy::indexing_slicing)] // a test that cannot go on

mod encrypted;
mod support;

use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Instant;

use encrypted::{Authority, NAME, Pair, TlsClient, showing};
use ostler_testkit::{DEADLINE, ServerBuilder, Signal, TestError, TestResult, TestServer};
use support::{activate, ask, check, round_trip, start, wait_lines, wait_serving, worker_of};

const DIED: &str = "died";

fn base(workers: u16) -> ServerBuilder {
    let server = TestServer::echo().set("workers", workers).set("mode", "base");
    server.handler("orders").env("RUST_BACKTRACE", "0")
}

/// The worker that has accepted a client.
fn pid_of(client: &mut TlsClient) -> TestResult<u32> {
    client.send(b"pid")?;
    let mut text = client.read_exactly(1)?;
    // The answer is one record, which has come whole.
    let mut rest = [0; 16];
    let length = client.tls.reader().read(&mut rest).unwrap_or(0);
    text.extend_from_slice(&rest[..length]);
    let text = String::from_utf8_lossy(&text);
    text.parse().map_err(|_| TestError::new(format!("{text:?} is no pid")))
}

/// Clients until every worker has one, and what they were shown.
fn clients_of_all(
    server: &TestServer,
    authority: &Authority,
    workers: usize,
    shown: &Pair,
) -> TestResult<Vec<(TlsClient, u32)>> {
    let (mut clients, mut pids) = (Vec::new(), BTreeSet::new());
    while pids.len() < workers {
        check(clients.len() < 1_000, "the kernel gives no connection to one of the workers")?;
        let config = Arc::new(authority.client());
        let mut client = TlsClient::connect(server.address(), &config)?;
        check(client.shown() == Some(shown.der.clone()), "the certificate")?;
        let pid = pid_of(&mut client)?;
        pids.insert(pid);
        clients.push((client, pid));
    }
    Ok(clients)
}

#[test]
fn every_worker_serves_encrypted_clients() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    let server = start(showing(base(2), &pair).set("framing", "raw"), 2)?;
    let mut clients = clients_of_all(&server, &authority, 2, &pair)?;
    for (client, _) in &mut clients {
        for len in [1, 16_384, 200_000] {
            client.round_trip(&vec![b'x'; len])?;
        }
    }
    let ended = server.stop_and_report()?;
    let books = ended.books()?;
    check(books.accepted == clients.len() as u64, format!("{books}"))
}

/// What the master has read is what counts: no process looks at a file, also not one that takes the
/// place of a dead one when the files are wrong or gone.
#[test]
fn files_that_become_wrong_or_go_away_do_not_matter_until_they_are_right_again() -> TestResult {
    let authority = Authority::new();
    let old = authority.pair("pair", &[NAME]);
    let refused = "the new certificates of a port cannot be used";
    let builder = showing(base(2), &old).set("framing", "raw");
    let server = start(builder.expect_log(refused).expect_log(DIED), 2)?;
    let mut before = clients_of_all(&server, &authority, 2, &old)?;
    authority.write("pair.pem", "nonsense");
    let victim = worker_of(&server, before[0].1)?;
    victim.kill();
    victim.wait_gone(DEADLINE)?;
    wait_serving(&server, 3)?;
    clients_of_all(&server, &authority, 2, &old)?;
    // A reload is told what is wrong, and is one of workers all the same.
    server.signal(Signal::USR1);
    let line = server.wait_for_log(refused)?;
    check(line.contains("pair.pem"), &line)?;
    wait_lines(&server, "reload finished", 1)?;
    clients_of_all(&server, &authority, 2, &old)?;
    // Who is there does not notice any of it.
    let survivor = before.iter_mut().find(|(_, pid)| *pid != victim.pid());
    let (client, _) = survivor.ok_or_else(|| TestError::new("nobody is left"))?;
    client.round_trip(b"still there")?;
    // While they are served on, their worker's successor is not replaced.
    drop(before);
    std::fs::remove_file(&old.key)?;
    server.signal(Signal::USR1);
    wait_lines(&server, refused, 2)?;
    wait_lines(&server, "reload finished", 2)?;
    clients_of_all(&server, &authority, 2, &old)?;
    let new = authority.pair("pair", &[NAME]);
    server.signal(Signal::HUP);
    wait_lines(&server, "certificates were read anew", 1)?;
    wait_lines(&server, "reload finished", 3)?;
    clients_of_all(&server, &authority, 2, &new)?;
    server.stop()
}

/// New certificates are shown by who serves now, too: here no new worker becomes ready.
#[test]
fn new_certificates_are_shown_also_by_workers_that_stay() -> TestResult {
    let authority = Authority::new();
    let old = authority.pair("pair", &[NAME]);
    let path = std::env::temp_dir().join(format!("ostler-base-starts-{}", std::process::id()));
    let builder = showing(base(1), &old)
        .env("ECHO_FAIL_START_IF_EXISTS", &path)
        .expect_log("on_worker_start failed")
        .expect_log(DIED)
        .expect_log("nothing changed");
    let server = start(builder, 1)?;
    std::fs::write(&path, "")?;
    let new = authority.pair("pair", &[NAME]);
    server.signal(Signal::USR1);
    let said = server.wait_for_log("nothing changed");
    let config = Arc::new(authority.client());
    let client = TlsClient::connect(server.address(), &config);
    std::fs::remove_file(&path)?;
    said?;
    check(client?.shown() == Some(new.der), "the new certificate")?;
    server.stop()
}

/// One queue for all workers: who waits in it is served by whoever is there.
#[test]
fn a_listener_that_was_passed_is_served_by_all_workers_and_their_successors() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    let builder = showing(base(2), &pair)
        .set("listen", "fd+tls://secure")
        .set("framing", "raw")
        .through(activate("web:secure", "ll")?)
        .args(["--port", "web=fd://web"])
        .expect_log(DIED);
    let server = start(builder, 2)?;
    let mut client = server.connect_to("web")?;
    let pid = ask(&mut client, "pid")?;
    let victim = worker_of(&server, pid.parse().map_err(|_| TestError::new(&pid))?)?;
    victim.kill();
    client.expect_closed()?;
    round_trip(&mut server.connect_to("web")?, "served by the other one")?;
    wait_serving(&server, 3)?;
    server.signal(Signal::USR1);
    wait_lines(&server, "reload finished", 1)?;
    let begun = Instant::now();
    let mut pids = BTreeSet::new();
    while pids.len() < 2 {
        check(begun.elapsed() < DEADLINE, "one of the workers gets nobody")?;
        let mut clients = Vec::new();
        for _ in 0..16 {
            let mut client = server.connect_to("web")?;
            pids.insert(ask(&mut client, "pid")?);
            clients.push(client);
        }
    }
    let config = Arc::new(authority.client());
    TlsClient::connect(server.address(), &config)?.round_trip(b"hello")?;
    server.stop()
}
