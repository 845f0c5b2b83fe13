//! Datagrams over UDP: every one is answered, in the order of its peer, whatever happens to the
//! workers, and what is lost is counted.

mod support;

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use ostler_testkit::{
    DEADLINE, DatagramBooks, KillEvery, ServerBuilder, Signal, TestError, TestResult, TestServer,
};
use support::{check, echo, start, wait_lines, wait_serving};

const DIED: &str = "died";
const BACK_OFF: &str = "ended before it served";
const OFTEN: &str = "workers die often";

/// An echo with a port for datagrams.
fn datagrams(workers: u16, options: &str) -> ServerBuilder {
    echo(workers, 1).args(["--port", &format!("dgram=udp://127.0.0.1:0{options}")])
}

fn address(server: &TestServer) -> TestResult<SocketAddr> {
    let url = server.port_url("dgram")?;
    let address = url.strip_prefix("udp://").and_then(|address| address.parse().ok());
    address.ok_or_else(|| TestError::new(format!("{url} is no UDP port")))
}

fn peer(server: &TestServer) -> TestResult<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(address(server)?)?;
    socket.set_read_timeout(Some(DEADLINE))?;
    Ok(socket)
}

fn peers(server: &TestServer, count: usize) -> TestResult<Vec<UdpSocket>> {
    (0..count).map(|_| peer(server)).collect()
}

fn expect(socket: &UdpSocket, bytes: &[u8]) -> TestResult {
    let mut buffer = vec![0; 65_536];
    let len = socket.recv(&mut buffer)?;
    check(buffer.get(..len) == Some(bytes), format!("{len} bytes instead of {}", bytes.len()))
}

fn round_trip(socket: &UdpSocket, bytes: &[u8]) -> TestResult {
    socket.send(bytes)?;
    expect(socket, bytes)
}

/// All of them send, and then each gets its answer, so many times.
fn ask_in_rounds(peers: &[UdpSocket], rounds: usize) -> TestResult {
    for round in 0..rounds {
        for (number, peer) in peers.iter().enumerate() {
            peer.send(format!("{number} {round}").as_bytes())?;
        }
        for (number, peer) in peers.iter().enumerate() {
            expect(peer, format!("{number} {round}").as_bytes())?;
        }
    }
    Ok(())
}

/// Nothing is in the socket: every answer came once.
fn expect_nothing(socket: &UdpSocket) -> TestResult {
    socket.set_nonblocking(true)?;
    let got = socket.recv(&mut [0; 9]);
    socket.set_nonblocking(false)?;
    check(got.is_err(), "an answer that nobody waits for")
}

fn end(server: TestServer) -> TestResult<DatagramBooks> {
    DatagramBooks::of_log(server.stop_and_report()?.log())
}

#[test]
fn every_datagram_of_many_peers_is_answered() -> TestResult {
    let server = start(datagrams(2, ""), 2)?;
    let peers = peers(&server, 64)?;
    ask_in_rounds(&peers, 20)?;
    server.wait_for_rest()?;
    let books = end(server)?;
    let figures = ["received", "finished", "sent", "dropped"].map(|name| books.get(name));
    check(figures == [1280, 1280, 1280, 0], format!("{books:?}"))
}

#[test]
fn the_datagrams_of_a_peer_are_answered_in_their_order() -> TestResult {
    for dispatch in ["idle_first", "round_robin", "session_hash"] {
        let server = start(datagrams(4, &format!(",dispatch={dispatch}")), 4)?;
        let peers = peers(&server, 4)?;
        for number in 0..40_u32 {
            for peer in &peers {
                peer.send(&number.to_le_bytes())?;
            }
        }
        for peer in &peers {
            for number in 0..40_u32 {
                expect(peer, &number.to_le_bytes())?;
            }
        }
        server.stop()?;
    }
    Ok(())
}

#[test]
fn a_datagram_may_be_empty_or_as_long_as_one_can_be() -> TestResult {
    // Lanes whose records are shorter than the longest datagram: it travels in parts.
    let server = start(datagrams(1, "").set("lane_size", "64K"), 1)?;
    let peer = peer(&server)?;
    let longest: Vec<u8> = (0..65_507_u32).map(|index| (index % 251) as u8).collect();
    for len in [0, 1, 1_472, 16_000, 16_400, 40_000, 65_506, 65_507] {
        round_trip(&peer, &longest[..len])?;
    }
    server.wait_for_rest()?;
    let books = end(server)?;
    check(books.get("finished") == 8 && books.get("sent") == 8, format!("{books:?}"))
}

#[test]
fn a_datagram_that_kills_its_worker_is_dropped_and_those_behind_it_are_not() -> TestResult {
    for policy in ["close", "drop"] {
        let builder = datagrams(1, &format!(",crash_policy={policy}"));
        let builder = builder.handler("crash_on:boom").expect_log(DIED).expect_log(BACK_OFF);
        let server = start(builder, 1)?;
        let peer = peer(&server)?;
        round_trip(&peer, b"before")?;
        peer.send(b"boom")?;
        round_trip(&peer, b"after")?;
        server.wait_for_rest()?;
        let books = end(server)?;
        check(books.get("dropped_worker_died") == 1, format!("{policy} {books:?}"))?;
        check(books.get("finished") == 2, format!("{policy} {books:?}"))?;
    }
    Ok(())
}

#[test]
fn with_redeliver_every_datagram_is_answered_once_while_workers_are_killed() -> TestResult {
    let builder = datagrams(3, ",crash_policy=redeliver:100");
    let server = start(builder.expect_log(DIED).expect_log(BACK_OFF).expect_log(OFTEN), 3)?;
    let peers = peers(&server, 16)?;
    let kills = KillEvery::start(&server, Duration::from_millis(50))?;
    ask_in_rounds(&peers, 300)?;
    kills.stop()?;
    server.wait_for_rest()?;
    peers.iter().try_for_each(expect_nothing)?;
    let books = end(server)?;
    check(books.get("finished") == 16 * 300 && books.get("dropped") == 0, format!("{books:?}"))
}

/// Each is in hand for a while after its callback, in which workers die.
#[test]
fn deferred_datagrams_of_dead_workers_are_answered_once_by_others() -> TestResult {
    let builder = datagrams(3, ",crash_policy=redeliver:100").args(["--handler", "defer_ms:50"]);
    let server = start(builder.expect_log(DIED).expect_log(BACK_OFF).expect_log(OFTEN), 3)?;
    let peers = peers(&server, 16)?;
    let kills = KillEvery::start(&server, Duration::from_millis(250))?;
    ask_in_rounds(&peers, 30)?;
    kills.stop()?;
    server.wait_for_rest()?;
    peers.iter().try_for_each(expect_nothing)?;
    let books = end(server)?;
    let redelivered = books.get("redelivered") > 0;
    check(
        books.get("finished") == 16 * 30 && books.get("dropped") == 0 && redelivered,
        format!("{books:?}"),
    )
}

#[test]
fn a_reload_loses_no_datagram() -> TestResult {
    let server = start(datagrams(2, ""), 2)?;
    let peers = peers(&server, 8)?;
    server.master().signal(Signal::USR1);
    let mut round = 0;
    while server.log_lines_with("reload finished").is_empty() {
        for peer in &peers {
            round_trip(peer, format!("{round}").as_bytes())?;
        }
        round += 1;
    }
    peers.iter().try_for_each(|peer| round_trip(peer, b"after"))?;
    wait_serving(&server, 4)?;
    server.wait_for_rest()?;
    let books = end(server)?;
    check(books.get("finished") == 8 * (round + 1), format!("{round} {books:?}"))?;
    check(books.get("dropped") == 0, format!("{books:?}"))
}

#[test]
fn what_the_kernel_drops_because_nobody_reads_is_counted() -> TestResult {
    const SENT: u64 = 3_000;
    let server = start(datagrams(1, ""), 1)?;
    let peer = peer(&server)?;
    round_trip(&peer, b"before")?;
    server.wait_for_rest()?;
    let worker = server.worker(0);
    worker.signal(Signal::STOP);
    for _ in 0..SENT {
        peer.send(&[7; 1_000])?;
    }
    worker.signal(Signal::CONT);
    server.wait_for_rest()?;
    let books = end(server)?;
    let (received, dropped) = (books.get("received"), books.get("kernel_dropped"));
    check(dropped > 0 && received + dropped == SENT + 1, format!("{books:?}"))?;
    check(books.get("finished") == received, format!("{books:?}"))
}

#[test]
fn nobody_at_the_other_end_does_not_harm_the_port() -> TestResult {
    let server = start(datagrams(1, ""), 1)?;
    let peer = peer(&server)?;
    for _ in 0..20 {
        // It leaves without waiting for its answer, which the kernel answers with an ICMP error.
        self::peer(&server)?.send(b"gone")?;
        round_trip(&peer, b"still here")?;
    }
    server.wait_for_rest()?;
    let books = end(server)?;
    check(books.get("finished") == 40, format!("{books:?}"))
}

#[test]
fn a_drain_finishes_what_was_received() -> TestResult {
    let server = start(datagrams(1, "").handler("sleep_ms:20"), 1)?;
    let peer = peer(&server)?;
    for number in 0..10_u8 {
        peer.send(&[number])?;
    }
    expect(&peer, &[0])?;
    let report = server.stop_and_report()?;
    let books = DatagramBooks::of_log(report.log())?;
    check(books.get("finished") == books.get("received"), format!("{books:?}"))?;
    check(books.get("sent") == books.get("received"), format!("{books:?}"))
}

#[test]
fn an_address_in_use_is_told_at_start() -> TestResult {
    let held = UdpSocket::bind("127.0.0.1:0")?;
    let url = format!("dgram=udp://{}", held.local_addr()?);
    let (code, text) = echo(1, 1).args(["--port", &url]).start_expecting_failure()?;
    check(code == 3 && text.contains("in use"), format!("{code} {text}"))
}

#[test]
fn ports_for_datagrams_and_streams_are_served_side_by_side() -> TestResult {
    let server = start(datagrams(2, "").args(["--port", "six=udp://[::1]:0"]), 2)?;
    wait_lines(&server, "listening on udp://", 2)?;
    let peer = peer(&server)?;
    let url = server.port_url("six")?;
    let six = UdpSocket::bind("[::1]:0")?;
    six.connect(url.trim_start_matches("udp://"))?;
    six.set_read_timeout(Some(DEADLINE))?;
    let mut client = server.connect()?;
    for round in 0..50 {
        let text = format!("{round}");
        support::round_trip(&mut client, &text)?;
        round_trip(&peer, text.as_bytes())?;
        round_trip(&six, text.as_bytes())?;
    }
    server.stop()
}
