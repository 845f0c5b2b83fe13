//! Listeners that the server was started with, as by a systemd socket unit.
#![allow(clippy::unwrap_used)] // a test that cannot go on

mod encrypted;
mod support;
mod talk;

use std::io::{IoSlice, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::AsFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;

use encrypted::{Authority, NAME, TlsClient, showing};
use ostler_testkit::{Client, DEADLINE, TestResult, TestServer};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use support::{activate, check, echo, round_trip};
use talk::{Scratch, Talk, probe};

/// Sends something to a unix socket and expects it back.
fn unix_round_trip(mut client: UnixStream, text: &str) -> TestResult {
    client.set_read_timeout(Some(DEADLINE))?;
    client.write_all(text.as_bytes())?;
    let mut answer = vec![0; text.len()];
    client.read_exact(&mut answer)?;
    check(answer == text.as_bytes(), "what came back")
}

#[test]
fn listeners_that_were_passed_are_served_by_their_names_and_numbers() -> TestResult {
    let server = echo(2, 1)
        .through(activate("admin:web", "ll")?)
        .args(["--port", "lines=fd://web,framing=line", "--port", "other=fd://3,framing=raw"])
        .start()?;
    round_trip(&mut server.connect_to("lines")?, "by name\n")?;
    round_trip(&mut server.connect_to("other")?, "by number")?;
    round_trip(&mut server.connect()?, "one of its own")?;
    let urls = [server.port_url("lines")?, server.port_url("other")?];
    check(urls[0] != urls[1] && urls[0].starts_with("tcp://127.0.0.1:"), format!("{urls:?}"))?;
    server.stop()
}

#[test]
fn only_the_master_has_them_and_workers_do_not_know_of_them() -> TestResult {
    // Whoever runs this has to see the descriptors.
    let server = probe().set("listen", "fd://web").set("harden", "off");
    let server = server.through(activate("web", "l")?).start()?;
    let socket = |process: u32, descriptor: &str| {
        std::fs::read_link(format!("/proc/{process}/fd/{descriptor}")).unwrap_or_default()
    };
    let listener = socket(server.master().pid(), "3");
    check(listener.to_string_lossy().starts_with("socket:"), format!("{listener:?}"))?;
    let mut others = server.workers();
    others.extend([server.manager(), server.spare()]);
    for process in others {
        let directory = format!("/proc/{}/fd", process.pid());
        for entry in std::fs::read_dir(directory)? {
            let name = entry?.file_name();
            let found = socket(process.pid(), &name.to_string_lossy());
            check(found != listener, format!("{} has it as {name:?}", process.pid()))?;
        }
    }
    let mut talk = Talk::new(&server)?;
    for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
        talk.expect_answer(&format!("variable {name}"), "unset")?;
    }
    talk.expect_answer("variable OSTLER_TEST_NOTHING", "unset")?;
    check(talk.ask("variable PATH")? != "unset", "others are left")?;
    server.stop()
}

#[test]
fn an_encrypted_port_may_be_one_that_was_passed() -> TestResult {
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    let server = showing(echo(1, 1), &pair)
        .set("listen", "fd+tls://web")
        .through(activate("web", "l")?)
        .start()?;
    TlsClient::connect(server.address(), &Arc::new(authority.client()))?.round_trip(b"hello")?;
    server.stop()
}

#[test]
fn the_file_of_a_unix_socket_that_was_passed_is_left_alone() -> TestResult {
    let scratch = Scratch::new("inherited")?;
    let path = scratch.path("s");
    let start = |letter: &str, path: &str| {
        echo(1, 1)
            .env("ACTIVATE_PATH", path)
            .through(activate("local", letter)?)
            .args(["--port", "local=fd://local"])
            .start()
    };
    let server = start("u", &path.display().to_string())?;
    check(server.port_url("local")? == format!("unix://{}", path.display()), "its path")?;
    unix_round_trip(UnixStream::connect(&path)?, "over a path")?;
    server.stop()?;
    check(path.exists(), "its file is somebody else's")?;
    let name = format!("ostler-test-{}", std::process::id());
    let server = start("a", &name)?;
    check(server.port_url("local")? == format!("unix://@{name}"), server.port_url("local")?)?;
    let address = SocketAddr::from_abstract_name(&name)?;
    unix_round_trip(UnixStream::connect_addr(&address)?, "over a name")?;
    server.stop()
}

/// Gives a listener to whoever connects to the path.
fn send_to_one(listener: &TcpListener, path: &Path) -> TestResult {
    let _ = std::fs::remove_file(path);
    let (unix, listener) = (UnixListener::bind(path)?, listener.try_clone()?);
    std::thread::spawn(move || {
        let (stream, _) = unix.accept().unwrap();
        let descriptors = [listener.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
        sendmsg(&stream, &[IoSlice::new(b"x")], &mut ancillary, SendFlags::empty()).unwrap();
    });
    Ok(())
}

#[test]
fn clients_that_come_between_two_servers_are_served_by_the_second() -> TestResult {
    let scratch = Scratch::new("between")?;
    let path = scratch.path("s");
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let start = || {
        send_to_one(&listener, &path)?;
        echo(1, 1)
            .env("ACTIVATE_PATH", path.as_os_str())
            .through(activate("web", "s")?)
            // Beside a port of its own, which is free when the server has ended.
            .args(["--port", "web=fd://web"])
            .start()
    };
    let first = start()?;
    let address = listener.local_addr()?;
    check(first.port_url("web")? == format!("tcp://{address}"), "where it listens")?;
    round_trip(&mut first.connect_to("web")?, "the first")?;
    first.stop()?;
    let mut waits = Client::connect(address)?;
    waits.send(b"is anybody there?")?;
    let second = start()?;
    waits.expect(b"is anybody there?")?;
    drop(waits);
    second.stop()
}

#[test]
fn what_was_not_passed_or_cannot_be_served_is_told() -> TestResult {
    for (descriptors, port, words) in [
        ("l", "a=fd://db", "no such descriptor was passed: there are `fd://web`"),
        ("", "a=fd://web", "no descriptor was passed"),
        ("ll", "a=fd://5", "there are `fd://web`, `fd://4`"),
        ("d", "a=fd://web", "is a socket for datagrams or packets: the socket unit needs"),
        ("c", "a=fd://web", "a socket that does not listen: the socket unit needs `Accept=no`"),
        ("p", "a=fd://web", "the descriptor 3 was not passed or is no socket"),
        // The number is free then, and the server's own first port has it.
        ("-", "a=fd://web", "the descriptor 3 was not passed or is no socket"),
    ] {
        let server = TestServer::echo().set("listen", "127.0.0.1:0");
        let server = server.through(activate("web", descriptors)?).args(["--port", port]);
        let (code, text) = server.start_expecting_failure()?;
        check(code == 3 && text.contains(words), format!("{descriptors} {port}: {code} {text}"))?;
    }
    let twice = ["--port", "a=fd://web", "--port", "b=fd://3"];
    let twice = TestServer::echo().through(activate("web", "l")?).args(twice);
    let (code, text) = twice.start_expecting_failure()?;
    check(code == 3 && text.contains("serves another port"), format!("{code} {text}"))?;
    for (pid, words) in [("", "LISTEN_PID and LISTEN_FDS are not set"), ("1", "LISTEN_PID is 1")] {
        let server = TestServer::echo().env("LISTEN_PID", pid).env("LISTEN_FDS", "1");
        let (code, text) = server.args(["--port", "a=fd://3"]).start_expecting_failure()?;
        check(code == 3 && text.contains(words), format!("{code} {text}"))?;
    }
    Ok(())
}

#[test]
fn a_listener_that_no_port_serves_is_told() -> TestResult {
    let server = echo(1, 1)
        .set("listen", "fd://web")
        .through(activate("web:forgotten", "ll")?)
        .expect_log("a listener was passed and no port serves it")
        .start()?;
    server.wait_for_log("give a port `fd://forgotten`, or do not pass it")?;
    // Nobody of the server accepts there, and the other one is served.
    round_trip(&mut server.connect()?, "served")?;
    server.stop()
}
