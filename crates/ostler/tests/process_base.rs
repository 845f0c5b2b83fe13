//! BASE mode: each worker accepts and serves its own clients.
#![allow(clippy::panic, clippy::indexing_slicing)] // a test that cannot go on

mod support;
#[path = "talk/mod.rs"]
mod talk;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ostler_testkit::{
    Client, DEADLINE, Process, ServerBuilder, Signal, TestError, TestResult, TestServer,
};
use support::{Held, ask, check, round_trip, start, wait_lines, wait_serving, worker_of};
use talk::{Talk, pattern};

const DIED: &str = "died";
const DONE: &str = "reload finished";

fn base(workers: u16) -> ServerBuilder {
    TestServer::echo().set("workers", workers).set("mode", "base")
}

/// Workers that do what packages say.
fn orders(workers: u16) -> ServerBuilder {
    base(workers).handler("orders").env("RUST_BACKTRACE", "0")
}

fn probe(workers: u16) -> ServerBuilder {
    TestServer::example("probe")
        .set("workers", workers)
        .set("mode", "base")
        .set("lane_size", 65_536)
}

/// A client, and the worker that has accepted it.
fn client_of(server: &TestServer) -> TestResult<(Client, u32)> {
    let mut client = server.connect()?;
    let pid = ask(&mut client, "pid")?;
    let pid = pid.parse().map_err(|_| TestError::new(format!("{pid:?} is no pid")))?;
    Ok((client, pid))
}

/// Clients until every worker has one: the kernel shares them out as it likes.
fn clients_of_all(server: &TestServer, workers: usize) -> TestResult<Vec<(Client, u32)>> {
    let mut clients = Vec::new();
    let mut pids = BTreeSet::new();
    while pids.len() < workers {
        check(clients.len() < 1_000, "the kernel gives no connection to one of the workers")?;
        let (client, pid) = client_of(server)?;
        pids.insert(pid);
        clients.push((client, pid));
    }
    Ok(clients)
}

#[test]
fn a_load_is_answered_byte_by_byte_and_every_worker_has_a_part_of_it() -> TestResult {
    let server = start(base(3), 3)?;
    let sockets = |worker: &Process| -> TestResult<usize> {
        Ok(worker.fds()?.iter().filter(|file| file.starts_with("socket:")).count())
    };
    let workers = server.workers();
    let before: Vec<usize> = workers.iter().map(sockets).collect::<TestResult<_>>()?;
    let load = server.load().connections(64).depth(4).bytes(1, 40_000).start()?;
    load.wait_for_more(4_000)?;
    for (worker, before) in workers.iter().zip(before) {
        let now = sockets(worker)?;
        check(now > before, format!("{before} sockets and {now} with the load"))?;
    }
    load.stop()?.check_perfect()?;
    let ended = server.stop_and_report()?;
    let books = ended.books()?;
    check(books.accepted == 64 && books.finished == books.received, format!("{books}"))?;
    check(books.closed_by == 0 && books.dropped == 0, format!("{books}"))
}

#[test]
fn ids_are_unique_over_all_workers_and_their_successors() -> TestResult {
    let builder = probe(2).set("session_ids", "sequential").set("max_requests", 4);
    let server = start(builder, 2)?;
    let (mut ids, mut workers) = (BTreeSet::new(), BTreeSet::new());
    // Two workers, and two who took their places.
    let begun = Instant::now();
    while workers.len() < 4 {
        check(begun.elapsed() < DEADLINE, format!("nobody was replaced: {workers:?}"))?;
        let mut talk = Talk::new(&server)?;
        let id = talk.number("id")?;
        check(ids.insert(id), format!("{id} was issued twice"))?;
        workers.insert(talk.ask("whoami")?);
    }
    let count = ids.len() as u64;
    check(ids.last() == Some(&count), format!("there is one counter for all: {ids:?}"))?;
    server.stop()
}

#[test]
fn a_death_ends_the_clients_of_that_worker_and_is_counted() -> TestResult {
    let server = start(orders(2).expect_log(DIED), 2)?;
    let mut clients = clients_of_all(&server, 2)?;
    let victim = clients[0].1;
    let lost = clients.iter().filter(|(_, pid)| *pid == victim).count() as u64;
    let accepted = clients.len() as u64;
    let worker = worker_of(&server, victim)?;
    worker.kill();
    worker.wait_gone(DEADLINE)?;
    for (client, pid) in &mut clients {
        match *pid == victim {
            true => client.expect_closed()?,
            false => round_trip(client, "alive")?,
        }
    }
    wait_serving(&server, 3)?;
    // The successor takes what comes to the listener of the dead one.
    let again = clients_of_all(&server, 2)?;
    let ended = server.stop_and_report()?;
    let books = ended.books()?;
    check(books.detail("closed_worker_died") == lost, format!("{lost} lost: {books}"))?;
    check(books.accepted == accepted + again.len() as u64, format!("{books}"))
}

#[test]
fn a_package_in_hand_at_a_death_is_in_the_books() -> TestResult {
    let server = start(orders(1).expect_log(DIED), 1)?;
    let mut client = server.connect()?;
    Held::by(&server, &mut client, "hold")?.worker(&server)?.kill();
    client.expect_closed()?;
    wait_serving(&server, 2)?;
    round_trip(&mut server.connect()?, "the next one serves")?;
    let books = server.stop_and_report()?.books()?;
    check(books.closed_by == 1 && books.detail("closed_worker_died") == 1, format!("{books}"))?;
    check((books.accepted, books.received, books.finished) == (2, 2, 1), format!("{books}"))
}

/// Clients that come and go while workers are replaced and killed by turns. What waits in the queue
/// of a listener waits for the next process of its slot: nobody is refused.
#[test]
fn nobody_who_comes_during_reloads_is_refused_or_lost() -> TestResult {
    const RELOADS: usize = 6;
    let server = start(base(2), 2)?;
    let (address, ends) = (server.address(), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..3)
        .map(|number| {
            let ends = Arc::clone(&ends);
            std::thread::spawn(move || -> TestResult<u64> {
                let mut served = 0;
                while !ends.load(Ordering::Relaxed) {
                    let mut client = Client::connect(address)?;
                    round_trip(&mut client, &format!("{number} {served}"))?;
                    served += 1;
                }
                Ok(served)
            })
        })
        .collect();
    let mut result = Ok(());
    for round in 0..RELOADS {
        server.signal(Signal::USR1);
        result = result.and(wait_lines(&server, DONE, round + 1));
    }
    ends.store(true, Ordering::Relaxed);
    let mut served = 0;
    for client in clients {
        served += client.join().map_err(|_| TestError::new("a client panicked"))??;
    }
    result?;
    let books = server.stop_and_report()?.books()?;
    check(books.accepted == served && books.finished == served, format!("{served}: {books}"))
}

/// Who is connected when its worker is replaced is served on by the old one, which ends when its
/// last client has left.
#[test]
fn who_is_there_at_a_reload_is_served_on() -> TestResult {
    let server = start(orders(1).set("drain_timeout_ms", 600_000), 1)?;
    let (mut client, old) = client_of(&server)?;
    let worker = worker_of(&server, old)?;
    server.signal(Signal::USR1);
    server.wait_for_log(DONE)?;
    let (_other, new) = client_of(&server)?;
    check(new != old, "the old worker accepts no more")?;
    check(ask(&mut client, "pid")? == old.to_string(), "the old worker serves on")?;
    drop(client);
    worker.wait_gone(DEADLINE)?;
    let books = server.stop_and_report()?.books()?;
    check(books.detail("closed_shutdown") == 1, format!("{books}"))
}

#[test]
fn who_outlives_the_time_after_a_reload_is_closed_and_counted() -> TestResult {
    let server = start(orders(1).set("drain_timeout_ms", 400), 1)?;
    let (mut client, old) = client_of(&server)?;
    let worker = worker_of(&server, old)?;
    server.signal(Signal::USR1);
    server.wait_for_log(DONE)?;
    client.expect_eof()?;
    drop(client);
    worker.wait_gone(DEADLINE)?;
    let (_again, new) = client_of(&server)?;
    check(new != old, "the successor serves")?;
    let books = server.stop_and_report()?.books()?;
    check(books.detail("closed_shutdown") == 2, format!("{books}"))?;
    check(books.closed_by == 0, format!("{books}"))
}

#[test]
fn a_server_that_ends_answers_what_is_in_hand() -> TestResult {
    let server = start(orders(2), 2)?;
    let mut client = server.connect()?;
    let hold = Held::by(&server, &mut client, "hold")?;
    server.signal(Signal::TERM);
    server.wait_for_log("draining")?;
    hold.release()?;
    client.expect(b"released")?;
    client.expect_eof()?;
    let books = server.wait_end()?.books()?;
    check(books.finished == 1 && books.detail("closed_shutdown") == 1, format!("{books}"))
}

#[test]
fn a_drain_that_takes_too_long_is_cut() -> TestResult {
    let builder = orders(1).set("shutdown_timeout_ms", 200);
    let builder = builder.expect_log("took too long").expect_log("held the drain");
    let server = start(builder.expect_log(DIED).expect_log("killed"), 1)?;
    let mut client = server.connect()?;
    let _hold = Held::by(&server, &mut client, "hold")?;
    server.signal(Signal::TERM);
    client.expect_closed()?;
    let books = server.wait_end()?.books()?;
    check(books.closed_by == 1 && books.detail("closed_worker_died") == 1, format!("{books}"))
}

/// Messages larger than the lane: there is nobody else who could make room in it.
#[test]
fn answers_of_any_size_pass_through_the_lane_of_one_thread() -> TestResult {
    let server = start(probe(1).set("max_send_bytes", "4M"), 1)?;
    let mut talk = Talk::new(&server)?;
    for size in [1, 60_000, 65_536, 1_000_000, 4_000_000] {
        talk.say(&format!("big {size}"))?;
        check(talk.bytes(size)? == pattern(size), format!("{size} bytes"))?;
    }
    talk.say("closebig 1000000")?;
    check(talk.bytes(1_000_000)? == pattern(1_000_000), "a message before the end")?;
    talk.expect_eof();
    server.stop()
}

/// A writer waits for credit, which the reactor of the same thread gives without a bell.
#[test]
fn a_stream_of_any_length_goes_on_as_its_client_reads() -> TestResult {
    const TOTAL: usize = 20_000_000;
    let server = start(probe(1), 1)?;
    let mut talk = Talk::new(&server)?;
    talk.say(&format!("stream {TOTAL}"))?;
    check(talk.bytes(TOTAL)? == pattern(TOTAL), "the bytes of the stream")?;
    talk.expect_answer("echo behind", "behind")?;
    server.stop()
}

#[test]
fn answers_of_other_threads_wake_the_loop() -> TestResult {
    let server = start(probe(1), 1)?;
    let mut talk = Talk::new(&server)?;
    for number in 0..50 {
        talk.expect_answer(&format!("deferthread 1 1 {number}"), &format!("0 {number}"))?;
    }
    server.stop()
}

#[test]
fn max_connections_is_that_of_all_workers() -> TestResult {
    let server = start(base(2).set("max_connections", 8).expect_log("all places are taken"), 2)?;
    let mut clients = Vec::new();
    // So many that the kernel does not give all of them to one worker.
    for number in 0..8 {
        let mut client = server.connect()?;
        round_trip(&mut client, &format!("client {number}"))?;
        clients.push(client);
    }
    let mut another = server.connect()?;
    another.send(b"waits")?;
    server.wait_for_log("all places are taken")?;
    drop(clients.pop());
    another.expect(b"waits")?;
    let books = server.stop_and_report()?.books()?;
    check(books.accepted == 9, format!("{books}"))
}

#[test]
fn a_unix_port_is_served_by_all_workers_and_survives_them() -> TestResult {
    let path = std::env::temp_dir().join(format!("ostler-base-{}.sock", std::process::id()));
    let port = format!("local=unix://{}", path.display());
    let server = start(orders(2).args(["--port", &port]), 2)?;
    let talk = |text: &str| -> TestResult<String> {
        let mut client = UnixStream::connect(&path)?;
        client.set_read_timeout(Some(DEADLINE))?;
        client.write_all(text.as_bytes())?;
        let mut answer = [0; 64];
        let length = client.read(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
    };
    check(talk("hello")? == "hello", "an echo")?;
    let old: BTreeSet<String> =
        server.workers().iter().map(|worker| worker.pid().to_string()).collect();
    server.signal(Signal::USR1);
    server.wait_for_log(DONE)?;
    server.wait_for("the old workers to end", |server| server.workers().len() == 2)?;
    let pid = talk("pid")?;
    check(!old.contains(&pid), format!("{pid} is one of {old:?}"))?;
    server.stop()?;
    check(!path.exists(), "the path of a port goes with it")
}

#[test]
fn a_worker_that_has_served_its_packages_is_replaced_without_a_loss() -> TestResult {
    let server = start(base(1).set("max_requests", 10), 1)?;
    let (begun, mut served) = (Instant::now(), 0);
    while server.log_lines_with("serves worker=").len() < 4 {
        check(begun.elapsed() < DEADLINE, "nobody is replaced")?;
        round_trip(&mut server.connect()?, &format!("{served}"))?;
        served += 1;
    }
    let books = server.stop_and_report()?.books()?;
    check((books.accepted, books.finished) == (served, served), format!("{books}"))
}

#[test]
fn a_manager_that_dies_takes_the_workers_and_others_serve() -> TestResult {
    let server = start(orders(2).expect_log("manager died"), 2)?;
    let mut clients = clients_of_all(&server, 2)?;
    server.manager().kill();
    for (client, _) in &mut clients {
        client.expect_closed()?;
    }
    wait_serving(&server, 4)?;
    round_trip(&mut server.connect()?, "and on")?;
    let books = server.stop_and_report()?.books()?;
    let lost = clients.len() as u64;
    check(books.detail("closed_worker_died") == lost, format!("{lost} lost: {books}"))
}

#[test]
fn an_address_in_use_is_found_and_contradictions_are_told() -> TestResult {
    let server = start(base(2), 2)?;
    let address = server.address();
    let (code, text) = base(2).set("listen", address).beside_others().start_expecting_failure()?;
    check(code == i32::from(ostler::EXIT_LISTEN), format!("{code}: {text}"))?;
    server.stop()?;
    for (name, value, wanted) in [
        ("dispatch", "round_robin", "leave it at auto"),
        ("crash_policy", "redeliver:3", "can only be close"),
    ] {
        let (code, text) = base(2).set(name, value).start_expecting_failure()?;
        check(
            code == i32::from(ostler::EXIT_OPTION) && text.contains(wanted),
            format!("{code}: {text}"),
        )?;
    }
    Ok(())
}
