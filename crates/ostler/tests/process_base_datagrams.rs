//! Datagrams in BASE mode: a socket of UDP for each slot, one for a unix port; nothing that waits
//! in them is lost with a process, and those of a peer keep their order.
#![allow(clippy::panic, clippy::indexing_slicing)] // a test that cannot go on

mod support;
mod talk;

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::time::Instant;

use ostler_testkit::{
    DEADLINE, DatagramBooks, Process, ServerBuilder, Signal, TestError, TestResult, TestServer,
};
use support::{ask, check, round_trip, start, wait_lines, wait_serving, worker_of};
use talk::Scratch;

const DIED: &str = "died";
const DONE: &str = "reload finished";

/// Workers that do what packages and datagrams say.
fn datagrams(workers: u16) -> ServerBuilder {
    TestServer::echo()
        .set("workers", workers)
        .set("mode", "base")
        .handler("orders")
        .args(["--port", "dgram=udp://127.0.0.1:0"])
}

fn peer(server: &TestServer) -> TestResult<UdpSocket> {
    let url = server.port_url("dgram")?;
    let address = url.strip_prefix("udp://").and_then(|address| address.parse().ok());
    let address: SocketAddr = address.ok_or_else(|| TestError::new(format!("{url} is no UDP")))?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(DEADLINE))?;
    Ok(socket)
}

fn answer(socket: &UdpSocket) -> TestResult<String> {
    let mut buffer = vec![0; 65_536];
    let len = socket.recv(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..len]).into_owned())
}

fn expect(socket: &UdpSocket, text: &str) -> TestResult {
    let got = answer(socket)?;
    check(got == text, format!("{got:?} instead of {text:?}"))
}

/// The worker that reads what this peer sends.
fn reader_of(server: &TestServer, peer: &UdpSocket) -> TestResult<Process> {
    peer.send(b"pid")?;
    let pid = answer(peer)?;
    worker_of(server, pid.parse().map_err(|_| TestError::new(format!("{pid:?} is no pid")))?)
}

/// Peers until every worker has one.
fn peers_of_all(server: &TestServer, workers: usize) -> TestResult<Vec<(UdpSocket, u32)>> {
    let (mut peers, mut pids) = (Vec::new(), BTreeSet::new());
    while pids.len() < workers {
        check(peers.len() < 1_000, "the kernel gives no peer to one of the workers")?;
        let peer = peer(server)?;
        let pid = reader_of(server, &peer)?.pid();
        pids.insert(pid);
        peers.push((peer, pid));
    }
    Ok(peers)
}

/// Lets a worker wait in a handler of a datagram until this path is gone.
fn hold(server: &TestServer, peer: &UdpSocket) -> TestResult<std::path::PathBuf> {
    let path = server.directory().join("hold");
    peer.send(format!("hold {}", path.display()).as_bytes())?;
    server.wait_for("a datagram to be in hand", |_| path.exists())?;
    Ok(path)
}

fn end(server: TestServer) -> TestResult<DatagramBooks> {
    DatagramBooks::of_log(server.stop_and_report()?.log())
}

#[test]
fn every_worker_reads_its_peers_and_answers_from_the_port() -> TestResult {
    let server = start(datagrams(3), 3)?;
    let peers = peers_of_all(&server, 3)?;
    for round in 0..20 {
        for (number, (peer, _)) in peers.iter().enumerate() {
            peer.send(format!("{number} {round}").as_bytes())?;
        }
        for (number, (peer, _)) in peers.iter().enumerate() {
            expect(peer, &format!("{number} {round}"))?;
        }
    }
    for (peer, pid) in &peers {
        check(reader_of(&server, peer)?.pid() == *pid, "a peer stays with its worker")?;
    }
    let count = peers.len() as u64 * 22;
    let books = end(server)?;
    check(
        ["received", "finished", "sent"].map(|name| books.get(name)) == [count; 3],
        format!("{count} {books:?}"),
    )?;
    check(books.get("dropped") == 0, format!("{books:?}"))
}

#[test]
fn reloads_lose_no_datagram_and_keep_the_order_of_each_peer() -> TestResult {
    const RELOADS: usize = 4;
    let server = start(datagrams(2), 2)?;
    let peers = peers_of_all(&server, 2)?;
    let mut sent = 0_u64;
    for round in 0..RELOADS {
        server.signal(Signal::USR1);
        while server.log_lines_with(DONE).len() <= round {
            // Some at once, so that a change finds some that wait.
            for (peer, _) in &peers {
                (0..8).try_for_each(|step| {
                    peer.send(format!("{}", sent + step).as_bytes()).map(drop)
                })?;
            }
            for (peer, _) in &peers {
                (0..8).try_for_each(|step| expect(peer, &format!("{}", sent + step)))?;
            }
            sent += 8;
        }
    }
    let count = peers.len() as u64 * (sent + 1);
    let books = end(server)?;
    check(books.get("finished") == count, format!("{count} {books:?}"))?;
    check(books.get("dropped") == 0 && books.get("kernel_dropped") == 0, format!("{books:?}"))
}

/// The next process of a slot reads when the one before has handled what it had read.
#[test]
fn what_comes_while_the_old_worker_has_one_in_hand_is_handled_behind_it() -> TestResult {
    let server = start(datagrams(1), 1)?;
    let peer = peer(&server)?;
    let old = reader_of(&server, &peer)?;
    let path = hold(&server, &peer)?;
    server.signal(Signal::USR1);
    wait_lines(&server, DONE, 1)?;
    peer.send(b"behind")?;
    // The new worker is there, and has looked at what happened since.
    for _ in 0..3 {
        let pid = ask(&mut server.connect()?, "pid")?;
        check(pid != old.pid().to_string(), "the old worker serves")?;
    }
    std::fs::remove_file(path)?;
    expect(&peer, "released")?;
    expect(&peer, "behind")?;
    // Until it looks at its orders the old one may read another.
    server.wait_for("the new one to read", |server| {
        reader_of(server, &peer).is_ok_and(|reader| reader.pid() != old.pid())
    })?;
    old.wait_gone(DEADLINE)?;
    server.stop()
}

#[test]
fn what_waits_in_the_socket_of_a_dead_worker_is_read_by_its_successor() -> TestResult {
    let server = start(datagrams(2).expect_log(DIED), 2)?;
    let peers = peers_of_all(&server, 2)?;
    let (peer, pid) = &peers[0];
    hold(&server, peer)?;
    for number in 0..50 {
        peer.send(format!("{number}").as_bytes())?;
    }
    let victim = worker_of(&server, *pid)?;
    victim.kill();
    (0..50).try_for_each(|number| expect(peer, &format!("{number}")))?;
    wait_serving(&server, 3)?;
    let count = peers.len() as u64 + 50;
    let books = end(server)?;
    check(books.get("dropped_worker_died") == 1, format!("{books:?}"))?;
    check(books.get("received") == count + 1, format!("{books:?}"))?;
    check(books.get("finished") == count, format!("{count} {books:?}"))
}

/// The kernel counts for each socket, and a socket outlives its processes.
#[test]
fn what_the_kernel_drops_is_counted_once_however_many_processes_have_read() -> TestResult {
    const SENT: u64 = 3_000;
    let server = start(datagrams(1).expect_log(DIED), 1)?;
    let peer = peer(&server)?;
    let mut asked = 0;
    for round in 0..2 {
        let worker = reader_of(&server, &peer)?;
        let path = hold(&server, &peer)?;
        asked += 2;
        for _ in 0..SENT {
            peer.send(&[7; 1_000])?;
        }
        worker.kill();
        worker.wait_gone(DEADLINE)?;
        std::fs::remove_file(path)?;
        wait_serving(&server, round + 2)?;
        server.wait_for_rest()?;
        peer.set_nonblocking(true)?;
        while peer.recv(&mut [0; 2_000]).is_ok() {}
        peer.set_nonblocking(false)?;
    }
    let ended = server.stop_and_report()?;
    let books = DatagramBooks::of_log(ended.log())?;
    let dropped = books.get("kernel_dropped");
    check(dropped > 0, format!("{books:?}"))?;
    check(books.get("received") + dropped == asked + 2 * SENT, format!("{asked} {books:?}"))
}

#[test]
fn a_unix_port_has_one_reader_and_keeps_its_order() -> TestResult {
    let scratch = Scratch::new("base-dgram")?;
    let url = format!("local=unixgram://{}", scratch.path("s").display());
    let server = start(datagrams(2).args(["--port", &url]).expect_log(DIED), 2)?;
    let peer = UnixDatagram::bind(scratch.path("peer"))?;
    peer.set_read_timeout(Some(DEADLINE))?;
    peer.set_write_timeout(Some(DEADLINE))?;
    let ask = |text: &str| -> TestResult<String> {
        let mut buffer = [0; 64];
        peer.send_to(text.as_bytes(), scratch.path("s"))?;
        let len = peer.recv(&mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer[..len]).into_owned())
    };
    let pid = ask("pid")?;
    for number in 0..40 {
        check(ask(&format!("{number}"))? == format!("{number}"), "in order")?;
        check(ask("pid")? == pid, "one worker reads")?;
    }
    let victim = worker_of(&server, pid.parse().map_err(|_| TestError::new(&pid))?)?;
    victim.kill();
    check(ask("after a death")? == "after a death", "its successor reads")?;
    wait_serving(&server, 3)?;
    server.signal(Signal::USR1);
    let begun = Instant::now();
    while server.log_lines_with(DONE).is_empty() {
        check(begun.elapsed() < DEADLINE, "the reload does not end")?;
        check(ask("during a reload")? == "during a reload", "an echo")?;
    }
    round_trip(&mut server.connect()?, "and connections")?;
    server.stop()
}
