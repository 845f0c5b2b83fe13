//! Files: sent by the kernel from the process that has the connection, with the worker's rights.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::unwrap_used)] // a test that cannot go on

mod encrypted;
mod talk;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use encrypted::{Authority, NAME, TlsClient};
use ostler_testkit::{Client, DEADLINE, ServerBuilder, Signal, TestResult, TestServer, wait_until};
use talk::{Scratch, Talk, pattern, probe, small_probe};

const MIB: usize = 1 << 20;

/// A file with these bytes.
fn file(scratch: &Scratch, name: &str, bytes: &[u8]) -> TestResult<PathBuf> {
    let path = scratch.path(name);
    std::fs::write(&path, bytes)?;
    Ok(path)
}

/// A file whose length is far more than all buffers of a connection: it has no bytes on the disk
/// apart from its end.
fn sparse(scratch: &Scratch, name: &str, len: usize) -> TestResult<PathBuf> {
    let path = scratch.path(name);
    File::create(&path)?.write_all_at(b"end", len as u64 - 3)?;
    Ok(path)
}

/// A client that reads nothing, behind a small buffer.
fn deaf(server: &TestServer) -> TestResult<Talk> {
    Ok(Talk::with(Client::connect_with_receive_buffer(server.address(), 2048)?))
}

fn expect_zeros(talk: &mut Talk, mut len: usize) -> TestResult {
    while len > 0 {
        let some = talk.bytes(len.min(100_000))?;
        assert!(some.iter().all(|byte| *byte == 0), "no zeros");
        len -= some.len();
    }
    Ok(())
}

#[test]
fn files_come_in_order_with_everything_else() -> TestResult {
    let fork = ["close", "redeliver:3", "drop"].map(|policy| (policy, "process", "fork"));
    let others =
        [("close", "base", "fork"), ("close", "process", "exec"), ("close", "base", "exec")];
    for (policy, mode, start) in fork.into_iter().chain(others) {
        let scratch = Scratch::new("order")?;
        let bytes = pattern(3 * MIB);
        let path = file(&scratch, "file", &bytes)?;
        let path = path.display();
        let server = if mode == "base" { TestServer::example("probe") } else { probe() };
        let server =
            server.set("crash_policy", policy).set("mode", mode).set("start", start).start()?;
        let mut talk = Talk::new(&server)?;
        for (offset, len) in [(0, 1), (5, 1_000_000), (100_000, 3 * MIB - 100_000), (7, 0)] {
            talk.client.send(format!("framed {path} {offset} {len}\necho behind\n").as_bytes())?;
            talk.expect("begin");
            assert!(talk.bytes(len)? == bytes[offset..offset + len], "{policy} {mode}: {len}");
            talk.expect("end ok");
            talk.expect("behind");
        }
        // To the end, from another thread, and several at once.
        talk.say(&format!("file {path} {}", 3 * MIB - 4))?;
        assert_eq!(talk.bytes(4)?, bytes[3 * MIB - 4..]);
        talk.say(&format!("filedefer {path}"))?;
        assert!(talk.bytes(bytes.len())? == bytes, "{policy} {mode}: the bytes differ");
        talk.expect("deferred ok");
        talk.say(&format!("files {path} 20 1000"))?;
        for _ in 0..20 {
            assert!(talk.bytes(1000)? == bytes[..1000], "{policy} {mode}: the bytes differ");
        }
        talk.expect("sent 20 -");
        drop(talk);
        let books = server.stop_and_report()?.books()?;
        assert_eq!((books.detail("files"), books.detail("files_sent")), (25, 25), "{books}");
    }
    Ok(())
}

#[test]
fn a_file_waits_behind_a_stream_of_its_worker_and_what_is_sent_later_behind_the_file() -> TestResult
{
    let scratch = Scratch::new("stream")?;
    let path = file(&scratch, "file", b"file ")?;
    let server = small_probe().start()?;
    let mut talk = Talk::new(&server)?;
    talk.expect_answer(&format!("filestream {}", path.display()), "stream ends file behind ok")?;
    drop(talk);
    server.stop()
}

#[test]
fn a_file_may_go_to_any_session_over_a_unix_socket_and_encrypted() -> TestResult {
    let scratch = Scratch::new("ports")?;
    let bytes = pattern(2 * MIB);
    let path = file(&scratch, "file", &bytes)?;
    let socket = scratch.path("socket");
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    let listen = format!("unix://{}", socket.display());
    let server = encrypted::showing(probe(), &pair).set("port.local.listen", listen).start()?;
    let mut local = UnixStream::connect(&socket)?;
    local.set_read_timeout(Some(DEADLINE))?;
    let config = Arc::new(authority.client());
    let mut secret = TlsClient::connect(server.address(), &config)?;
    local.write_all(b"id\n")?;
    let id = read_line(&mut local)?;
    let mut expected = bytes.clone();
    expected.extend_from_slice(b"behind\n");
    // From the encrypted session to the other one, and then to itself.
    secret.send(format!("fileto {id} {}\nsend {id} behind\n", path.display()).as_bytes())?;
    let mut received = vec![0; expected.len()];
    local.read_exact(&mut received)?;
    assert!(received == expected, "the bytes differ");
    assert_eq!(secret.read_exactly(6)?, b"ok\nok\n");
    secret.send(format!("file {} 0\necho behind\n", path.display()).as_bytes())?;
    assert!(secret.read_exactly(expected.len())? == expected, "the bytes differ");
    drop((local, secret));
    server.stop()
}

fn read_line(stream: &mut impl std::io::Read) -> TestResult<String> {
    let (mut line, mut byte) = (String::new(), [0]);
    loop {
        stream.read_exact(&mut byte)?;
        if byte[0] == b'\n' {
            return Ok(line);
        }
        line.push(byte[0].into());
    }
}

/// What cannot be sent is said by its cause, and nothing of it reaches anybody.
#[test]
fn what_is_no_file_to_be_sent_is_refused_at_once() -> TestResult {
    let scratch = Scratch::new("wrong")?;
    let path = file(&scratch, "file", b"0123456789")?;
    let fifo = scratch.path("fifo");
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let server = small_probe().start()?;
    let mut talk = Talk::new(&server)?;
    let path = path.display();
    for (what, answer) in [
        (format!("{path} 0 11"), "too_short"),
        (format!("{path} 11"), "too_short"),
        (format!("{path} 9 2"), "too_short"),
        (format!("{path} 18446744073709551615 1"), "too_short"),
        (format!("{path} 1 18446744073709551615"), "too_short"),
        (format!("{} 0 0", scratch.path("missing").display()), "not_found"),
        (format!("{} 0 0", scratch.at().display()), "no_file"),
        (format!("{} 0 1", fifo.display()), "no_file"),
        ("/dev/zero 0 1000".to_owned(), "no_file"),
        ("/dev/null 0".to_owned(), "no_file"),
        ("/proc/self/status 0 1".to_owned(), "answered"),
    ] {
        talk.expect_answer(&format!("file {what}"), answer)?;
    }
    // Nothing is sent of an empty part, wherever it is.
    talk.say(&format!("file {path} 10"))?;
    talk.say(&format!("file {path} 3 0"))?;
    talk.say(&format!("file {path} 8 2"))?;
    assert_eq!(talk.bytes(2)?, b"89");
    drop(talk);
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("files"), 1, "{books}");
    Ok(())
}

/// The worker's rights count, not the master's.
#[test]
fn a_file_is_opened_with_the_rights_of_the_worker() -> TestResult {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root has files that another user cannot read");
        return Ok(());
    }
    let scratch = Scratch::new("rights")?;
    let path = file(&scratch, "file", b"secret")?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, mode)?;
    let server = small_probe().set("harden", "off").start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("become 65534")?, "ok");
    assert_eq!(talk.ask(&format!("file {} 0", path.display()))?, "denied");
    drop(talk);
    server.stop()
}

/// Its bytes are not in the memory of the server, and nobody waits for the client.
#[test]
fn files_to_clients_that_do_not_read_take_no_memory_and_hold_up_nobody() -> TestResult {
    const LEN: usize = 64 * MIB;
    let scratch = Scratch::new("deaf")?;
    let path = sparse(&scratch, "file", LEN)?;
    let path = path.display();
    let server = small_probe().set("harden", "off").set("memory_budget", "4M").start()?;
    let mut other = Talk::new(&server)?;
    assert_eq!(other.ask("echo warm")?, "warm");
    let before = server.master().pss_bytes()?;
    let mut slow: Vec<Talk> = (0..100).map(|_| deaf(&server)).collect::<TestResult<_>>()?;
    for talk in &mut slow {
        talk.say(&format!("file {path} 0\necho behind"))?;
        expect_zeros(talk, 1000)?;
    }
    for round in 0..50 {
        other.expect_answer(&format!("echo {round}"), &round.to_string())?;
    }
    let more = server.master().pss_bytes()?.saturating_sub(before);
    assert!(more < 4 * MIB as u64, "{} KiB more", more / 1024);
    let mut first = slow.swap_remove(0);
    expect_zeros(&mut first, LEN - 1000 - 3)?;
    first.expect("endbehind");
    drop((slow, first, other));
    let books = server.stop_and_report()?.books()?;
    assert_eq!((books.detail("files"), books.detail("files_sent")), (100, 1), "{books}");
    assert_eq!(books.detail("closed_memory_budget"), 0, "{books}");
    Ok(())
}

/// Descriptors of the server that are this file.
fn holds(server: &TestServer, path: &std::path::Path) -> TestResult<usize> {
    let name = path.display().to_string();
    Ok(server.master().fds()?.iter().filter(|target| target.starts_with(&name)).count())
}

#[test]
fn descriptors_go_with_the_last_byte_and_with_the_session() -> TestResult {
    let scratch = Scratch::new("descriptors")?;
    let long = sparse(&scratch, "long", 64 * MIB)?;
    let short = file(&scratch, "short", b"short\n")?;
    let server = small_probe().set("harden", "off").start()?;
    let mut talk = Talk::new(&server)?;
    let sent = format!("files {} 5 6", short.display());
    talk.say(&sent)?;
    for _ in 0..5 {
        talk.expect("short");
    }
    talk.expect("sent 5 -");
    assert_eq!(holds(&server, &short)?, 0);
    // One whose client leaves in its middle, one that is reset, and one that is closed in order.
    let mut leaves = deaf(&server)?;
    leaves.say(&format!("file {} 0", long.display()))?;
    expect_zeros(&mut leaves, 1000)?;
    let mut is_reset = deaf(&server)?;
    let id = is_reset.number("id")?;
    is_reset.say(&format!("file {} 0", long.display()))?;
    expect_zeros(&mut is_reset, 1000)?;
    let mut is_closed = deaf(&server)?;
    is_closed.say(&format!("fileclose {}", long.display()))?;
    expect_zeros(&mut is_closed, 1000)?;
    wait_until("all three to be there", || holds(&server, &long).is_ok_and(|count| count == 3))?;
    drop(leaves);
    assert_eq!(talk.ask(&format!("resetof {id}"))?, "ok");
    wait_until("one to be left", || holds(&server, &long).is_ok_and(|count| count == 1))?;
    let rest = is_closed.rest()?;
    assert!(rest.len() == 64 * MIB - 1000 && rest.ends_with(b"\0end"), "{} bytes", rest.len());
    wait_until("none to be left", || holds(&server, &long).is_ok_and(|count| count == 0))?;
    drop((talk, is_reset));
    let books = server.stop_and_report()?.books()?;
    assert_eq!((books.detail("files"), books.detail("files_sent")), (8, 6), "{books}");
    assert!(books.detail("output_dropped_bytes") > 100_000_000, "{books}");
    Ok(())
}

#[test]
fn a_file_that_becomes_shorter_closes_its_session_and_no_other() -> TestResult {
    const LEN: usize = 64 * MIB;
    for left in [0, 10 * MIB] {
        let scratch = Scratch::new("shorter")?;
        let path = sparse(&scratch, "file", LEN)?;
        let server = small_probe().expect_log("a file cannot be read").start()?;
        let mut cut = deaf(&server)?;
        cut.say(&format!("file {} 0", path.display()))?;
        expect_zeros(&mut cut, 1000)?;
        let mut other = Talk::new(&server)?;
        File::options().write(true).open(&path)?.set_len(left as u64)?;
        assert!(cut.rest().is_err(), "a file that was cut looks complete");
        assert_eq!(other.ask("echo on")?, "on");
        drop(other);
        let books = server.stop_and_report()?.books()?;
        let counts = (books.detail("files_failed"), books.detail("closed_truncated"));
        assert_eq!(counts, (1, 1), "{books}");
    }
    Ok(())
}

/// What a file gets in the meantime does not belong to what was sent.
#[test]
fn a_file_that_becomes_longer_is_sent_as_long_as_it_was() -> TestResult {
    const LEN: usize = 64 * MIB;
    let scratch = Scratch::new("longer")?;
    let path = sparse(&scratch, "file", LEN)?;
    let server = small_probe().start()?;
    let mut talk = deaf(&server)?;
    talk.say(&format!("file {} 0\necho behind", path.display()))?;
    expect_zeros(&mut talk, 1000)?;
    File::options().append(true).open(&path)?.write_all(b"more")?;
    // Its name is not needed any more, either.
    std::fs::remove_file(&path)?;
    expect_zeros(&mut talk, LEN - 1000 - 3)?;
    talk.expect("endbehind");
    drop(talk);
    server.stop()
}

#[test]
fn a_file_is_written_to_its_end_although_its_worker_dies_or_is_replaced() -> TestResult {
    const LEN: usize = 32 * MIB;
    let scratch = Scratch::new("death")?;
    let path = sparse(&scratch, "file", LEN)?;
    let server = small_probe().expect_log("worker died").start()?;
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut talk = deaf(&server)?;
        talk.say(&format!("file {} 0\necho behind", path.display()))?;
        expect_zeros(&mut talk, 1000)?;
        slow.push(talk);
        server.wait_for_rest()?;
        if slow.len() == 1 {
            server.signal(Signal::USR1);
            server.wait_for_log("reload finished")?;
        }
    }
    for worker in server.workers() {
        worker.kill();
    }
    server.wait_for_log("worker died")?;
    for mut talk in slow {
        expect_zeros(&mut talk, LEN - 1000 - 3)?;
        talk.expect("endbehind");
    }
    let books = server.stop_and_report()?.books()?;
    assert_eq!((books.detail("files"), books.detail("files_sent")), (2, 2), "{books}");
    Ok(())
}

/// What a transaction has sent is published as one, or not at all.
#[test]
fn the_file_of_a_package_that_is_delivered_again_comes_once() -> TestResult {
    let scratch = Scratch::new("again")?;
    let path = file(&scratch, "file", b"the file\n")?;
    let server = small_probe()
        .set("crash_policy", "redeliver:3")
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .expect_log("worker died")
        .start()?;
    let mut talk = Talk::new(&server)?;
    talk.say(&format!("fileuntil {} {}", scratch.path("gate").display(), path.display()))?;
    scratch.wait_received(1)?;
    for worker in server.workers() {
        worker.kill();
    }
    scratch.wait_received(2)?;
    scratch.make("gate")?;
    talk.expect("the file");
    talk.expect("end");
    assert_eq!(talk.ask("echo on")?, "on");
    drop(talk);
    let books = server.stop_and_report()?.books()?;
    assert_eq!((books.detail("files"), books.detail("files_sent")), (1, 1), "{books}");
    Ok(())
}

/// Who sends more than its client reads is told so, whatever the files weigh.
#[test]
fn a_session_is_full_of_files_by_their_number() -> TestResult {
    let scratch = Scratch::new("full")?;
    let path = sparse(&scratch, "file", 4 * MIB)?;
    let server = small_probe().set("send_queue_low", "1K").start()?;
    let mut listener = deaf(&server)?;
    let id = listener.number("id")?;
    let mut talk = Talk::new(&server)?;
    let mut sent = 0;
    while talk.ask(&format!("fileto {id} {}", path.display()))? == "ok" {
        sent += 1;
        assert!(sent < 100, "never full");
    }
    // Above 16 times 16 KiB.
    assert!((17..=20).contains(&sent), "{sent} were taken");
    for _ in 0..sent {
        expect_zeros(&mut listener, 4 * MIB - 3)?;
        assert_eq!(listener.bytes(3)?, b"end");
    }
    wait_until("the session to be empty", || {
        talk.ask(&format!("fileto {id} {}", path.display())).is_ok_and(|answer| answer == "ok")
    })?;
    drop((talk, listener));
    server.stop()
}

/// More files in one callback than anybody may have waiting: its session pays.
#[test]
fn more_files_in_one_callback_than_may_wait_close_their_session() -> TestResult {
    let scratch = Scratch::new("many")?;
    let path = sparse(&scratch, "file", 8 * MIB)?;
    let server = small_probe()
        .set("send_queue_max", "64M")
        .set("sendfile_max", 50)
        .expect_log("a file cannot be sent")
        .start()?;
    let mut greedy = deaf(&server)?;
    greedy.say(&format!("files {} 300 1000000", path.display()))?;
    assert!(greedy.rest().is_err(), "what was not taken is missing");
    let mut talk = Talk::new(&server)?;
    talk.say(&format!("file {} {}", path.display(), 8 * MIB - 3))?;
    assert_eq!(talk.bytes(3)?, b"end");
    drop(talk);
    let books = server.stop_and_report()?.books()?;
    assert!(books.detail("files_refused") > 0, "{books}");
    assert_eq!(books.detail("closed_truncated"), 1, "{books}");
    Ok(())
}

/// A master that may open nothing more says so to the session, and serves on.
#[test]
fn a_file_for_which_the_server_has_no_descriptor_closes_its_session() -> TestResult {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let scratch = Scratch::new("emfile")?;
    let path = file(&scratch, "file", b"the file\n")?;
    let server = small_probe().set("harden", "off").expect_log("a file cannot be sent").start()?;
    let mut talk = Talk::new(&server)?;
    let mut other = Talk::new(&server)?;
    assert_eq!(other.ask("echo warm")?, "warm");
    let pid = Pid::from_raw(server.master().pid() as i32);
    let before = prlimit(pid, Resource::Nofile, Rlimit { current: Some(0), maximum: Some(4096) });
    let before = before.map_err(std::io::Error::from)?;
    talk.say(&format!("file {} 0", path.display()))?;
    assert!(talk.rest().is_err(), "what was not taken is missing");
    assert_eq!(other.ask("echo on")?, "on");
    let back = Rlimit { current: before.current.min(Some(4096)), maximum: Some(4096) };
    prlimit(pid, Resource::Nofile, back).map_err(std::io::Error::from)?;
    other.say(&format!("file {} 0", path.display()))?;
    other.expect("the file");
    drop(other);
    let books = server.stop_and_report()?.books()?;
    assert_eq!((books.detail("files_refused"), books.detail("files_sent")), (1, 1), "{books}");
    Ok(())
}

/// Descriptors that no record names stay in the kernel, and go with the worker.
#[test]
fn a_worker_that_passes_descriptors_without_records_harms_only_itself() -> TestResult {
    let scratch = Scratch::new("flood")?;
    let path = file(&scratch, "file", b"the file\n")?;
    for (messages, is_condemned) in [(3, true), (10_000, false)] {
        let server = hostile(small_probe()).set("harden", "off").set("send_timeout_ms", 50);
        let server = server.start()?;
        let mut villain = Talk::new(&server)?;
        assert_eq!(villain.ask("echo warm")?, "warm");
        server.wait_for_rest()?;
        let before = server.master().fd_count()?;
        villain.expect_answer(&format!("hostile files_flood 1 {messages}"), "passed true")?;
        assert_eq!(server.master().fd_count()?, before);
        villain.say(&format!("file {} 0", path.display()))?;
        if is_condemned {
            // The file that is sent in earnest has another one in its place.
            villain.expect_closed();
            server.wait_for_log("condemned")?;
        } else {
            villain.expect("full");
            assert_eq!(villain.ask("echo on")?, "on");
            for worker in server.workers() {
                worker.kill();
            }
            server.wait_for_log("worker died")?;
        }
        let mut talk = Talk::new(&server)?;
        talk.say(&format!("file {} 0", path.display()))?;
        talk.expect("the file");
        drop(talk);
        server.stop()?;
    }
    Ok(())
}

fn hostile(server: ServerBuilder) -> ServerBuilder {
    server
        .expect_log("worker wrote nonsense")
        .expect_log("worker died")
        .expect_log("before it served")
}
