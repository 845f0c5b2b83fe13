//! Datagrams over unix sockets: at a path, answered if their sender has a name.
#![allow(clippy::unwrap_used)] // a test that cannot go on

mod support;
mod talk;

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::AsFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;

use ostler_testkit::{DEADLINE, DatagramBooks, ServerBuilder, Signal, TestResult, TestServer};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use support::{check, echo, round_trip, start};
use talk::{Scratch, probe};

/// Small datagrams that nobody reads, in a test.
const UNREAD_ANSWERS: u64 = 440;

/// The directory of a test, with the server's path and those of its peers.
struct Place {
    scratch: Scratch,
    server: PathBuf,
}

impl Place {
    fn new(name: &str) -> TestResult<Self> {
        let scratch = Scratch::new(name)?;
        Ok(Self { server: scratch.path("server"), scratch })
    }

    /// An echo there, and a port for connections beside it.
    fn echo(&self, options: &str) -> ServerBuilder {
        let url = format!("dgram=unixgram://{}{options}", self.server.display());
        echo(1, 1).args(["--port", &url])
    }

    /// A socket with a name.
    fn peer(&self, name: &str) -> TestResult<UnixDatagram> {
        let socket = UnixDatagram::bind(self.scratch.path(name))?;
        socket.set_read_timeout(Some(DEADLINE))?;
        socket.set_write_timeout(Some(DEADLINE))?;
        Ok(socket)
    }
}

fn expect(peer: &UnixDatagram, bytes: &[u8]) -> TestResult<SocketAddr> {
    let mut buffer = vec![0; 70_000];
    let (len, from) = peer.recv_from(&mut buffer)?;
    let same = buffer.get(..len) == Some(bytes);
    check(same, format!("{len} bytes instead of {}", bytes.len()))?;
    Ok(from)
}

fn books(server: TestServer) -> TestResult<DatagramBooks> {
    DatagramBooks::of_log(server.stop_and_report()?.log())
}

#[test]
fn who_has_a_name_is_answered_by_the_path_that_it_asked() -> TestResult {
    let place = Place::new("gram")?;
    let server = start(place.echo(",unix_mode=0660"), 1)?;
    let url = format!("unixgram://{}", place.server.display());
    check(server.port_url("dgram")? == url, server.port_url("dgram")?)?;
    check(std::fs::metadata(&place.server)?.permissions().mode() & 0o777 == 0o660, "its mode")?;
    let longest: Vec<u8> = (0..65_507_u32).map(|index| (index % 251) as u8).collect();
    let peers = [place.peer("one")?, place.peer("two")?];
    for len in [0, 1, 1_472, 16_400, 65_507] {
        for peer in &peers {
            peer.send_to(&longest[..len], &place.server)?;
            let from = expect(peer, &longest[..len])?;
            check(from.as_pathname() == Some(&place.server), format!("{from:?}"))?;
        }
    }
    let abstract_name = format!("ostler-gram-{}", std::process::id());
    let abstract_peer = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&abstract_name)?)?;
    abstract_peer.set_read_timeout(Some(DEADLINE))?;
    abstract_peer.send_to(b"without a file", &place.server)?;
    expect(&abstract_peer, b"without a file")?;
    // Who is connected hears nobody else.
    peers[0].connect(&place.server)?;
    for number in 0..40_u32 {
        peers[0].send(&number.to_le_bytes())?;
        expect(&peers[0], &number.to_le_bytes())?;
    }
    round_trip(&mut server.connect()?, "and there are connections")?;
    server.wait_for_rest()?;
    let books = books(server)?;
    let figures = ["received", "finished", "sent", "dropped"].map(|name| books.get(name));
    check(figures == [51, 51, 51, 0], format!("{books:?}"))?;
    check(!place.server.exists(), "its file is gone")
}

#[test]
fn the_datagrams_of_a_peer_are_answered_in_their_order() -> TestResult {
    let place = Place::new("gram-order")?;
    let server = start(place.echo("").set("workers", 3), 3)?;
    let peers = [place.peer("one")?, place.peer("two")?];
    // No more at once than the kernel queues for one that does not read.
    for round in 0..10_u32 {
        for number in 0..4_u32 {
            for peer in &peers {
                peer.send_to(&(4 * round + number).to_le_bytes(), &place.server)?;
            }
        }
        for number in 0..4_u32 {
            for peer in &peers {
                expect(peer, &(4 * round + number).to_le_bytes())?;
            }
        }
    }
    server.stop()
}

#[test]
fn who_has_no_name_is_heard_and_cannot_be_answered() -> TestResult {
    let place = Place::new("gram-unnamed")?;
    let builder = place.echo("").expect_log("a callback failed");
    let server = start(builder, 1)?;
    UnixDatagram::unbound()?.send_to(b"who am I?", &place.server)?;
    server.wait_for_log("a unix socket without a name, which nobody can answer")?;
    let peer = place.peer("named")?;
    peer.send_to(b"others are answered", &place.server)?;
    expect(&peer, b"others are answered")?;
    server.wait_for_rest()?;
    let books = books(server)?;
    let figures = ["received", "finished", "sent", "not_sent"].map(|name| books.get(name));
    check(figures == [2, 2, 1, 0], format!("{books:?}"))
}

#[test]
fn who_does_not_read_or_is_gone_keeps_out_nobody_and_is_counted() -> TestResult {
    let place = Place::new("gram-deaf")?;
    let server = place.echo("").expect_log("a datagram was not sent");
    let server = start(server.expect_log("datagrams were not sent, without a line for each"), 1)?;
    let queue = std::fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen")?;
    let queue: u64 = queue.trim().parse().unwrap();
    // Their unread answers count for the port's buffer: more than the kernel gives a socket by
    // itself (277 of them), and less than it gives anybody who asks.
    let peers = UNREAD_ANSWERS.div_ceil(queue + 1);
    let deaf = (0..peers).map(|number| place.peer(&format!("deaf{number}")));
    let deaf = deaf.collect::<TestResult<Vec<_>>>()?;
    for peer in &deaf {
        for _ in 0..queue + 9 {
            peer.send_to(b"?", &place.server)?;
        }
    }
    let sent = (queue + 9) * peers;
    let good = place.peer("good")?;
    {
        let gone = place.peer("gone")?;
        gone.send_to(b"gone", &place.server)?;
        std::fs::remove_file(place.scratch.path("gone"))?;
        good.send_to(b"still there?", &place.server)?;
        expect(&good, b"still there?")?;
    }
    server.wait_for_rest()?;
    let books = books(server)?;
    let finished = books.get("finished");
    check(finished == sent + 2, format!("{books:?}"))?;
    // The one that left may have been answered before its file was removed.
    let full = books.get("not_sent_peer_full");
    check((peers..=9 * peers).contains(&full), format!("{books:?}"))?;
    check(books.get("not_sent") <= full + 1, format!("{books:?}"))?;
    let all = books.get("sent") + books.get("not_sent");
    check(all == finished, format!("{books:?}"))
}

/// A port whose buffer is full of what others have not read: that is not for want of its peer.
#[test]
fn what_fills_the_buffer_of_the_port_is_told_apart_from_a_peer_that_is_full() -> TestResult {
    let place = Place::new("gram-full")?;
    let server = place.echo(",socket_send_buffer=4K").expect_log("a datagram was not sent");
    let server = start(server, 1)?;
    // One long datagram may be anybody's: two of them fill the buffer.
    let deaf = (0..9).map(|number| place.peer(&format!("deaf{number}")));
    let deaf = deaf.collect::<TestResult<Vec<_>>>()?;
    for peer in &deaf {
        peer.send_to(&[b'?'; 2_000], &place.server)?;
    }
    server.wait_for_log("a datagram was not sent reason=queue_full")?;
    server.wait_for_rest()?;
    let mut bytes = [0; 3_000];
    for peer in &deaf {
        peer.set_nonblocking(true)?;
        while peer.recv(&mut bytes).is_ok() {}
        peer.set_nonblocking(false)?;
    }
    deaf[0].send_to(b"now?", &place.server)?;
    expect(&deaf[0], b"now?")?;
    server.wait_for_rest()?;
    let books = books(server)?;
    let full = books.get("not_sent_queue_full");
    check(full > 0 && books.get("not_sent") == full, format!("{books:?}"))
}

/// Asks a server whose buffer has room for `datagrams` small ones, as a peer that never reads, and
/// as one that does; the deaf one asks as often.
fn one_never_reads(name: &str, buffer: &str, asks: u32) -> TestResult {
    let place = Place::new(name)?;
    let server = place.echo(&format!(",socket_send_buffer={buffer}"));
    let server = server.expect_log("a datagram was not sent");
    let server = server.expect_log("datagrams were not sent, without a line for each");
    let server = start(server, 1)?;
    let (deaf, good) = (place.peer("deaf")?, place.peer("good")?);
    for _ in 0..asks {
        deaf.send_to(b"?", &place.server)?;
    }
    server.wait_for_log("a datagram was not sent reason=peer_full")?;
    for number in 0..asks {
        deaf.send_to(b"?", &place.server)?;
        good.send_to(&number.to_le_bytes(), &place.server)?;
        expect(&good, &number.to_le_bytes())?;
    }
    deaf.set_nonblocking(true)?;
    while deaf.recv(&mut [0; 9]).is_ok() {}
    deaf.set_nonblocking(false)?;
    deaf.send_to(b"now I do", &place.server)?;
    expect(&deaf, b"now I do")?;
    server.wait_for_rest()?;
    let books = books(server)?;
    check(books.get("not_sent_queue_full") == 0, format!("{books:?}"))?;
    check(books.get("not_sent_peer_full") == books.get("not_sent"), format!("{books:?}"))
}

/// The kernel's queue of one peer is longer than the port's buffer.
#[test]
fn one_that_never_reads_does_not_fill_the_buffer_of_the_port() -> TestResult {
    one_never_reads("gram-small", "4K", 300)
}

/// `net.unix.max_dgram_qlen`, as it was.
struct Queue(String);

impl Queue {
    const PATH: &str = "/proc/sys/net/unix/max_dgram_qlen";

    /// `None`: only root sets it.
    fn of(datagrams: u32) -> Option<Self> {
        let before = std::fs::read_to_string(Self::PATH).ok()?;
        std::fs::write(Self::PATH, datagrams.to_string()).ok()?;
        Some(Self(before))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // What cannot be put back is seen by the next who looks.
        let _ = std::fs::write(Self::PATH, &self.0);
    }
}

/// As systemd has it, with a buffer that one such queue fills.
#[test]
fn one_that_never_reads_keeps_out_nobody_where_queues_are_long() -> TestResult {
    let Some(_queue) = Queue::of(512) else {
        eprintln!("skipped: this machine does not let a test change {}", Queue::PATH);
        return Ok(());
    };
    one_never_reads("gram-long-queue", "150K", 700)
}

#[test]
fn a_worker_sends_to_any_path() -> TestResult {
    let place = Place::new("gram-path")?;
    let url = format!("unixgram://{}", place.server.display());
    let server = probe()
        .set("listen", "127.0.0.1:0")
        .set("port.dgram.listen", url)
        .expect_log("a datagram was not sent")
        .start()?;
    let (asks, gets) = (place.peer("asks")?, place.peer("gets")?);
    let to = place.scratch.path("gets").display().to_string();
    asks.send_to(format!("{to} hello").as_bytes(), &place.server)?;
    expect(&gets, b"hello")?;
    asks.send_to(b"who", &place.server)?;
    expect(&asks, place.scratch.path("asks").display().to_string().as_bytes())?;
    let nowhere = place.scratch.path("nobody").display().to_string();
    asks.send_to(format!("{nowhere} hello").as_bytes(), &place.server)?;
    server.wait_for_log("a datagram was not sent reason=unreachable")?;
    server.stop()
}

/// The kernel takes no datagram that is longer than the buffer of who sends it.
#[test]
fn what_the_path_does_not_take_is_counted_and_what_comes_behind_is_sent() -> TestResult {
    let place = Place::new("gram-long")?;
    let server = place.echo(",socket_send_buffer=4K").expect_log("a datagram was not sent");
    let server = start(server, 1)?;
    let peer = place.peer("peer")?;
    for _ in 0..3 {
        peer.send_to(&[b'x'; 60_000], &place.server)?;
        peer.send_to(b"short", &place.server)?;
        expect(&peer, b"short")?;
    }
    server.wait_for_log("a datagram was not sent reason=too_long")?;
    let books = books(server)?;
    let counts = ["received", "sent", "not_sent", "not_sent_too_long"].map(|name| books.get(name));
    check(counts == [6, 3, 3, 3], format!("{books:?}"))
}

#[test]
fn descriptors_that_are_sent_along_are_not_taken() -> TestResult {
    let place = Place::new("gram-descriptors")?;
    // Whoever runs this has to see the descriptors.
    let server = start(place.echo("").set("harden", "off"), 1)?;
    let peer = place.peer("peer")?;
    peer.connect(&place.server)?;
    let count = || -> TestResult<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", server.master().pid()))?.count())
    };
    peer.send(b"before")?;
    expect(&peer, b"before")?;
    let before = count()?;
    for _ in 0..8 {
        let descriptors = [peer.as_fd(), peer.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
        sendmsg(&peer, &[IoSlice::new(b"a gift")], &mut ancillary, SendFlags::empty())?;
        expect(&peer, b"a gift")?;
    }
    check(count()? == before, "the master has descriptors of a client")?;
    server.stop()
}

#[test]
fn the_path_of_a_server_that_was_killed_is_taken_over_and_a_live_one_is_not() -> TestResult {
    let place = Place::new("gram-killed")?;
    let killed = start(place.echo(""), 1)?;
    let peer = place.peer("peer")?;
    let (code, text) = place.echo("").beside_others().start_expecting_failure()?;
    check(code == 3 && text.contains("another program listens there"), text)?;
    let master = killed.master();
    master.signal(Signal::KILL);
    master.wait_gone(DEADLINE)?;
    killed.abandon();
    check(place.server.exists(), "nobody has taken it away")?;
    let next = start(place.echo(""), 1)?;
    peer.send_to(b"taken over", &place.server)?;
    expect(&peer, b"taken over")?;
    next.stop()?;
    check(!place.server.exists(), "its file is gone")
}
