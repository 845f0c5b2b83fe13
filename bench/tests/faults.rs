//! What a bad server does must show in the report: a damaged echo, closed connections, silence.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking, in its helpers too"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use ostler_bench::load::{FaultKind, InterruptionKind, LoadOptions, LoadReport, Progress, run};

/// Serves `connections` connections one after the other with `session`, on a thread that ends with
/// the last one.
fn serve(connections: usize, session: fn(TcpStream) -> std::io::Result<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming().take(connections).flatten() {
            // How a session ends is what the test looks at from the other side.
            _ = session(socket);
        }
    });
    address
}

fn load(target: SocketAddr, change: impl Fn(&mut LoadOptions)) -> LoadReport {
    let mut options = LoadOptions {
        connections: 1,
        requests: Some(10),
        duration_ms: 5_000,
        timeout_ms: 300,
        ..LoadOptions::new(target)
    };
    change(&mut options);
    run(&options, &Progress::default(), &mut ()).unwrap()
}

/// Echoes, giving message number `which` (of 64 bytes) to `damage` first.
fn damaged(mut socket: TcpStream, which: usize, damage: fn(&mut Vec<u8>)) -> std::io::Result<()> {
    for number in 0.. {
        let mut message = vec![0; 64];
        socket.read_exact(&mut message)?;
        if number == which {
            damage(&mut message);
        }
        socket.write_all(&message)?;
    }
    Ok(())
}

#[test]
fn a_wrong_byte_is_found() {
    let report = load(serve(1, |socket| damaged(socket, 4, |bytes| bytes[40] ^= 1)), |_| {});
    let fault = &report.troubles.faults[0];
    assert_eq!((fault.sequence, fault.offset), (4, 40));
    assert_eq!((report.completed, report.troubles.corrupt), (4, 1));
    assert_eq!(report.troubles.interruptions[0].kind, InterruptionKind::Corrupt);
}

#[test]
fn swapped_bytes_are_found() {
    let report = load(serve(1, |socket| damaged(socket, 2, |bytes| bytes.swap(0, 8))), |_| {});
    // Sequence 2 against connection 0, both in the header.
    assert_eq!((report.completed, report.troubles.corrupt), (2, 1));
}

#[test]
fn a_doubled_byte_is_found_also_after_the_last_reply() {
    let session = |socket| damaged(socket, 9, |bytes| bytes.push(bytes[63]));
    let report = load(serve(1, session), |_| {});
    assert_eq!(report.troubles.corrupt, 1, "{report}");
    assert_eq!(report.troubles.faults[0].kind, FaultKind::Extra { bytes: 1 });
}

#[test]
fn a_missing_byte_is_a_timeout() {
    let session = |socket| damaged(socket, 9, |bytes| bytes.truncate(63));
    let report = load(serve(1, session), |_| {});
    assert_eq!((report.completed, report.troubles.timeouts), (9, 1), "{report}");
    assert_eq!(report.troubles.lost_requests, 1);
}

#[test]
fn silence_is_a_timeout() {
    let session = |mut socket: TcpStream| socket.read_to_end(&mut Vec::new()).map(drop);
    let report = load(serve(1, session), |_| {});
    assert_eq!((report.completed, report.troubles.timeouts), (0, 1), "{report}");
}

/// Answers three requests, reads a fourth and closes.
fn three_then_close(mut socket: TcpStream) -> std::io::Result<()> {
    let mut message = [0; 64];
    for _ in 0..3 {
        socket.read_exact(&mut message)?;
        socket.write_all(&message)?;
    }
    socket.read_exact(&mut message)
}

#[test]
fn an_early_end_is_counted_and_without_reconnect_it_is_the_end() {
    let report = load(serve(1, three_then_close), |_| {});
    assert_eq!((report.completed, report.troubles.early_ends), (3, 1), "{report}");
    assert_eq!(report.troubles.lost_requests, 1);
}

#[test]
fn with_reconnect_the_load_goes_on_and_each_end_has_its_time() {
    let report = load(serve(4, three_then_close), |options| options.reconnect = true);
    // 3 answered + 1 lost, twice; then 2 more begun of the 10.
    assert_eq!((report.begun, report.completed), (10, 8), "{report}");
    let troubles = &report.troubles;
    assert_eq!((troubles.early_ends, troubles.lost_requests, troubles.corrupt), (2, 2, 0));
    let times: Vec<_> = troubles.interruptions.iter().map(|end| end.at).collect();
    assert!(times.is_sorted() && times.iter().all(|at| *at >= report.started));
}

#[test]
fn a_reset_is_told_from_an_end() {
    // Closing with unread bytes in the receive buffer makes the kernel send a reset.
    let session = |socket: TcpStream| {
        socket.peek(&mut [0])?;
        std::thread::sleep(std::time::Duration::from_millis(20));
        Ok(())
    };
    let report = load(serve(1, session), |_| {});
    assert_eq!((report.troubles.resets, report.troubles.early_ends), (1, 0), "{report}");
}

#[test]
fn a_refusing_port_is_counted() {
    // Bound but not listening: nobody else can have the port meanwhile.
    let flags = SocketFlags::CLOEXEC;
    let socket =
        rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let closed = SocketAddr::try_from(rustix::net::getsockname(&socket).unwrap()).unwrap();
    let report = load(closed, |_| {});
    assert_eq!((report.completed, report.troubles.refused), (0, 1), "{report}");
    let report = load(closed, |options| {
        options.reconnect = true;
        options.duration_ms = 200;
    });
    assert!(report.troubles.refused > 1, "{report}");
}
