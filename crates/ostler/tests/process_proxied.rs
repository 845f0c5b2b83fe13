//! Connections that proxies forward: each begins with a header that says whose it is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that cannot go on

mod encrypted;
mod proxied;
mod support;
mod talk;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use encrypted::{Authority, NAME, TlsClient, showing};
use ostler_testkit::{DEADLINE, ServerBuilder, TestResult, TestServer};
use proxied::{V4, V6, bytes, checked, extension};
use support::check;
use talk::{Scratch, small_probe};

/// A probe behind proxies that are this machine.
fn behind(builder: ServerBuilder) -> ServerBuilder {
    builder.set("proxy_protocol", "required").set("proxy_protocol_from", "127.0.0.0/8,::1,unix")
}

fn connect(server: &TestServer) -> TestResult<TcpStream> {
    let stream = TcpStream::connect(server.address())?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A line that came back.
fn line(stream: &mut impl Read) -> TestResult<String> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    loop {
        stream.read_exact(&mut byte)?;
        match byte {
            [b'\n'] => return Ok(String::from_utf8_lossy(&line).into_owned()),
            [byte] => line.push(byte),
        }
    }
}

/// Who the client is, of the answer to `info`.
fn peer_of(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

/// Waits until the server has ended the connection; what it says before does not matter.
fn expect_end(mut stream: impl Read) {
    let _ = stream.read_to_end(&mut Vec::new());
}

/// The line in which the server says at its end what became of headers.
fn counts(server: TestServer) -> TestResult<String> {
    let ended = server.stop_and_report()?;
    let lines = ended.log().lines_with("headers of proxies awaited=");
    check(lines.len() == 1, format!("{lines:?}"))?;
    Ok(lines[0].clone())
}

#[test]
fn a_client_behind_a_proxy_has_the_address_that_the_proxy_has_seen() -> TestResult {
    let server = behind(small_probe()).start()?;
    let extensions = [extension(1, b"h2"), extension(4, &[0; 300])].concat();
    let (unix, of_connection) = ([b'/'; 216], None);
    for (header, peer) in [
        (b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n".to_vec(), Some("192.0.2.1:56324")),
        (b"PROXY TCP6 2001:db8::1 ::1 7 8\r\n".to_vec(), Some("[2001:db8::1]:7")),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), of_connection),
        (bytes(0x21, 0x11, V4), Some("192.0.2.1:56324")),
        (bytes(0x21, 0x21, V6), Some("[2001:db8::1]:56324")),
        (bytes(0x21, 0x11, &[V4, &extensions].concat()), Some("192.0.2.1:56324")),
        (checked(0x21, 0x11, V4), Some("192.0.2.1:56324")),
        (bytes(0x20, 0x11, V4), of_connection),
        (bytes(0x21, 0x31, &unix), of_connection),
        (bytes(0x20, 0x00, b""), of_connection),
    ] {
        let mut stream = connect(&server)?;
        let own = stream.local_addr()?.to_string();
        stream.write_all(&[&header[..], b"info\n"].concat())?;
        let answer = line(&mut stream)?;
        let peer = peer.unwrap_or(&own);
        check(peer_of(&answer) == peer, format!("{peer} was expected: {answer} {header:?}"))?;
    }
    let counts = counts(server)?;
    check(counts.ends_with("awaited=10 read=10"), counts)
}

#[test]
fn a_header_comes_in_any_pieces_and_what_follows_is_the_clients() -> TestResult {
    let server = behind(small_probe()).start()?;
    let extensions = [V6, &extension(0x20, &[7; 1_000])].concat();
    let line_header = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n".to_vec();
    for (header, peer) in
        [(line_header, "192.0.2.1:56324"), (bytes(0x21, 0x21, &extensions), "[2001:db8::1]:56324")]
    {
        let stream = [&header[..], b"info\necho PROXY UNKNOWN\n"].concat();
        for piece in [1, 5, header.len() - 1, header.len()] {
            let mut socket = connect(&server)?;
            for (number, bytes) in stream.chunks(piece).enumerate() {
                socket.write_all(bytes)?;
                if number % 8 == 0 {
                    std::thread::yield_now();
                }
            }
            let answer = line(&mut socket)?;
            check(peer_of(&answer) == peer, format!("pieces of {piece}: {answer}"))?;
            let echo = line(&mut socket)?;
            check(echo == "PROXY UNKNOWN", format!("pieces of {piece}: {echo}"))?;
        }
    }
    server.stop()
}

#[test]
fn what_is_no_header_is_closed_and_counted_with_its_reason() -> TestResult {
    let server = behind(small_probe()).start()?;
    let mut damaged = checked(0x21, 0x11, V4);
    damaged[17] ^= 1;
    let wrong = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        vec![0xff; 100_000],
        b"PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\ninfo\n".to_vec(),
        bytes(0x21, 0x11, &V4[..11]),
        format!("PROXY UNKNOWN {}", "x".repeat(200)).into_bytes(),
        bytes(0x21, 0x11, &[0; 4_081]),
        bytes(0x11, 0x11, V4),
        bytes(0x21, 0x41, V4),
        damaged,
    ];
    for bytes in &wrong {
        let mut stream = connect(&server)?;
        // The server may end it before all is sent.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        expect_end(stream);
    }
    // Half a header, and nothing at all, as load balancers do that look for the port.
    for bytes in [&b"PROXY TCP4 192."[..], b""] {
        let mut stream = connect(&server)?;
        stream.write_all(bytes)?;
        stream.shutdown(Shutdown::Write)?;
        expect_end(stream);
    }
    let mut good = connect(&server)?;
    good.write_all(b"PROXY UNKNOWN\r\necho others are served\n")?;
    check(line(&mut good)? == "others are served", "another one")?;
    let ended = server.stop_and_report()?;
    let lines = ended.log().lines_with("headers of proxies awaited=12 read=1");
    let expected = "no_header=2 malformed=2 too_long=2 unsupported=2 checksum=1 left=2";
    check(lines.len() == 1 && lines[0].ends_with(expected), format!("{lines:?}"))?;
    check(ended.books()?.accepted == 1, "only who was named has a session")?;
    let told = ended.log().lines_with("of the PROXY protocol");
    check(told.len() == 9, format!("each has a line with its reason: {told:?}"))
}

/// HAProxy looks whether a server lives with a whole header and a reset right behind it.
#[test]
fn load_balancers_that_look_for_the_port_are_not_told_in_the_log() -> TestResult {
    let server = behind(small_probe()).start()?;
    for number in 0..40 {
        let looks = server.connect()?;
        if number % 2 == 0 {
            looks.stream().write_all(&bytes(0x20, 0x00, b""))?;
        }
        looks.abort()?;
    }
    let mut good = connect(&server)?;
    good.write_all(b"PROXY UNKNOWN\r\necho others are served\n")?;
    check(line(&mut good)? == "others are served", "another one")?;
    let ended = server.stop_and_report()?;
    let told = ended.log().lines_with("a connection ended before its proxy's header");
    check(told.is_empty(), format!("{told:?}"))?;
    let counts = ended.log().lines_with("headers of proxies awaited=41 ");
    check(counts.len() == 1, format!("{:?}", ended.log().lines_with("headers of proxies")))?;
    let count = |name: &str| -> u64 {
        let word = counts[0].split(' ').find_map(|word| word.strip_prefix(name));
        word.and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    // A reset may come before the header is read, and takes it away then.
    let (read, left) = (count("read="), count("left="));
    check(read + left == 41 && (1..=21).contains(&read), &counts[0])?;
    let books = ended.books()?;
    check(books.accepted == read, format!("{books}, {}", counts[0]))
}

/// The address of all of them is the proxy's, and it is not the proxy that sends.
#[test]
fn clients_that_a_proxy_does_not_name_do_not_share_the_rate_of_its_address() -> TestResult {
    let server = behind(small_probe()).set("package_rate_per_address", 1).start()?;
    for header in [b"PROXY UNKNOWN\r\n".to_vec(), bytes(0x20, 0x00, b"")] {
        for _ in 0..6 {
            let mut stream = connect(&server)?;
            stream.write_all(&[&header[..], b"echo it is served\n"].concat())?;
            check(line(&mut stream)? == "it is served", "each has a rate of its own")?;
        }
    }
    let books = server.stop_and_report()?.books()?;
    check(books.detail("refused_package_rate") == 0, format!("{books}"))?;
    let server = behind(small_probe()).set("package_rate_per_address", 1).start()?;
    for _ in 0..12 {
        let mut stream = connect(&server)?;
        stream.write_all(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\necho one of many\n")?;
        stream.shutdown(Shutdown::Write)?;
        expect_end(stream);
    }
    let books = server.stop_and_report()?.books()?;
    check(books.detail("refused_package_rate") > 0, format!("{books}"))
}

/// A client of few words: its header, its request and its end are told at once.
#[test]
fn who_hangs_up_behind_its_request_is_served() -> TestResult {
    let scratch = Scratch::new("hangs-up")?;
    let path = scratch.path("s");
    let server = behind(small_probe())
        .set("port.local.listen", format!("unix://{}", path.display()))
        .start()?;
    server.port_url("local")?;
    for number in 0..100 {
        let mut stream = UnixStream::connect(&path)?;
        let header = ["PROXY UNKNOWN\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"][number % 2];
        stream.write_all(format!("{header}echo {number}\n").as_bytes())?;
    }
    let mut stays = UnixStream::connect(&path)?;
    stays.set_read_timeout(Some(DEADLINE))?;
    stays.write_all(b"PROXY UNKNOWN\r\necho all were accepted before\n")?;
    check(line(&mut stays)? == "all were accepted before", "another one")?;
    drop(stays);
    let ended = server.stop_and_report()?;
    let counts = ended.log().lines_with("headers of proxies awaited=101 read=101");
    check(counts.len() == 1, format!("{:?}", ended.log().lines_with("headers of proxies")))?;
    let books = ended.books()?;
    check(books.received == 101, format!("{books}"))
}

#[test]
fn half_a_header_and_silence_behind_it_ends_in_time() -> TestResult {
    let server = behind(small_probe()).set("handshake_timeout_ms", 100).start()?;
    for half in [&b""[..], b"PROXY TCP4 192.0.2.1 ", &bytes(0x21, 0x11, V4)[..20]] {
        let mut stream = connect(&server)?;
        stream.write_all(half)?;
        check(stream.read(&mut [0; 64])? == 0, "the server ends it")?;
    }
    let counts = counts(server)?;
    check(counts.ends_with("awaited=3 read=0 timed_out=3"), counts)
}

#[test]
fn a_proxy_that_says_nothing_holds_up_no_drain() -> TestResult {
    let server = behind(small_probe()).start()?;
    let silent = connect(&server)?;
    let mut named = connect(&server)?;
    named.write_all(b"PROXY UNKNOWN\r\necho it was accepted before\n")?;
    line(&mut named)?;
    let counts = counts(server)?;
    check(counts.ends_with("awaited=2 read=1 ended=1"), counts)?;
    drop(silent);
    Ok(())
}

#[test]
fn the_header_stands_in_front_of_tls() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    let server = behind(showing(small_probe(), &pair)).start()?;
    let config = Arc::new(authority.client());
    let header = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n";
    for begins_together in [false, true] {
        let mut socket = connect(&server)?;
        if !begins_together {
            socket.write_all(header)?;
        }
        let first = if begins_together { &header[..] } else { b"" };
        let mut client = TlsClient::over(socket, &config, NAME, first)?;
        client.send(b"info\n")?;
        let (mut tls, mut socket) = (client.tls, client.socket);
        let answer = line(&mut rustls::Stream::new(&mut tls, &mut socket))?;
        check(peer_of(&answer) == "192.0.2.1:56324", answer)?;
    }
    // Without one there is not even a handshake.
    let refused = TlsClient::connect(server.address(), &config);
    check(refused.is_err(), "a handshake without a header")?;
    let ended = server.stop_and_report()?;
    let handshakes = ended.log().lines_with("handshakes begun=2 done=2");
    check(handshakes.len() == 1, "handshakes behind headers")?;
    let headers = ended.log().lines_with("headers of proxies awaited=3 read=2 no_header=1");
    check(headers.len() == 1, format!("{:?}", ended.log().lines_with("headers of proxies")))
}

#[test]
fn a_silent_client_behind_a_header_has_what_is_left_of_the_time() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    let probe = showing(small_probe(), &pair).set("handshake_timeout_ms", 100);
    let server = behind(probe).start()?;
    let mut socket = connect(&server)?;
    socket.write_all(b"PROXY UNKNOWN\r\n")?;
    expect_end(socket);
    let ended = server.stop_and_report()?;
    let handshakes = ended.log().lines_with("handshakes begun=1 done=0 timed_out=1");
    check(handshakes.len() == 1, format!("{:?}", ended.log().lines_with("handshakes")))
}

#[test]
fn a_proxy_may_connect_to_a_unix_socket() -> TestResult {
    let scratch = Scratch::new("proxied")?;
    let path = scratch.path("s");
    let server = behind(small_probe())
        .set("port.local.listen", format!("unix://{}", path.display()))
        .start()?;
    server.port_url("local")?;
    let own = format!("unix:pid={}", std::process::id());
    for (header, peer) in
        [(bytes(0x21, 0x21, V6), "[2001:db8::1]:56324"), (bytes(0x20, 0x00, b""), &own)]
    {
        let mut stream = UnixStream::connect(&path)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.write_all(&[&header[..], b"info\n"].concat())?;
        let answer = line(&mut stream)?;
        check(peer_of(&answer).starts_with(peer), format!("{peer} was expected: {answer}"))?;
    }
    server.stop()
}

#[test]
fn a_worker_that_serves_its_own_clients_knows_them_by_their_headers() -> TestResult {
    let probe = TestServer::example("probe").set("workers", 2).set("mode", "base");
    let server = behind(probe).start()?;
    for number in 0..8 {
        let mut stream = connect(&server)?;
        let header = format!("PROXY TCP4 192.0.2.{number} 192.0.2.255 7 8\r\ninfo\n");
        stream.write_all(header.as_bytes())?;
        let answer = line(&mut stream)?;
        check(peer_of(&answer) == format!("192.0.2.{number}:7"), answer)?;
    }
    let mut wrong = connect(&server)?;
    wrong.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
    wrong.shutdown(Shutdown::Write)?;
    expect_end(wrong);
    let counts = counts(server)?;
    check(counts.ends_with("awaited=9 read=8 no_header=1"), counts)
}

#[test]
fn clients_behind_one_proxy_are_told_apart_by_their_addresses() -> TestResult {
    let server = behind(talk::probe().set("dispatch", "address_hash")).start()?;
    support::wait_serving(&server, 2)?;
    let worker_of = |client: &str| -> TestResult<String> {
        let mut stream = connect(&server)?;
        stream.write_all(format!("PROXY TCP4 {client} 192.0.2.255 1 2\r\nwhoami\n").as_bytes())?;
        line(&mut stream)
    };
    let mut workers = BTreeSet::new();
    for number in 0..32 {
        let client = format!("192.0.2.{number}");
        let worker = worker_of(&client)?;
        check(worker_of(&client)? == worker, format!("{client} has one worker"))?;
        workers.insert(worker);
    }
    check(workers.len() == 2, "the clients of one proxy have both workers")?;
    server.stop()
}
