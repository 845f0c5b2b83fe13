//! Clients that are broken, rude or too many: they harm nobody but themselves.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod talk;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use ostler_testkit::{
    Client, Random, ServerBuilder, TestError, TestResult, TestServer, wait_until,
};
use talk::{Scratch, Talk, probe, small_probe};

fn random_bytes(random: &mut Random, len: usize) -> Vec<u8> {
    (0..len.div_ceil(8)).flat_map(|_| random.next_u64().to_le_bytes()).take(len).collect()
}

#[test]
fn random_bytes_are_echoed_by_a_raw_server() -> TestResult {
    let server =
        TestServer::echo().set("framing", "raw").set("workers", 2).set("reactors", 2).start()?;
    let mut random = Random::from_environment("random bytes, raw")?;
    for _ in 0..20 {
        let mut client = server.connect()?;
        for _ in 0..5 {
            let len = 1 + random.next_u64() as usize % 30_000;
            let bytes = random_bytes(&mut random, len);
            client.send(&bytes)?;
            client.expect(&bytes)?;
        }
    }
    server.stop()
}

#[test]
fn random_bytes_do_not_disturb_a_framed_server() -> TestResult {
    let server =
        probe().set("package_max_length", 4096).set("package_eof", "\\xff\\x00").start()?;
    let mut random = Random::from_environment("random bytes, framed")?;
    for round in 0..30 {
        let mut client = server.connect()?;
        let bytes = random_bytes(&mut random, 100_000);
        // Closed with an error by a server that has had enough, or taken.
        let taken = client.send(&bytes);
        match round % 3 {
            0 => drop(client),
            1 => client.abort()?,
            _ if taken.is_ok() => {
                let _closed = client.half_close();
                while client.read_some().is_ok_and(|bytes| !bytes.is_empty()) {}
            }
            _ => {}
        }
    }
    let mut client = server.connect()?;
    client.send(b"echo fine\xff\x00")?;
    client.expect(b"fine")?;
    server.stop()
}

/// Waits until the worker has nothing to do: everything before was handled.
fn settle(server: &TestServer) -> TestResult {
    let mut talk = Talk::new(server)?;
    talk.ask("echo settled").map(drop)
}

/// Waits until the journal has so many lines with this word.
fn journal_has(scratch: &Scratch, word: &str, count: usize) -> TestResult {
    let found = || scratch.lines("journal").iter().filter(|line| line.contains(word)).count();
    wait_until(&format!("{count} times {word:?}"), || found() == count)
}

/// Waits until the newest line of the journal is of a package.
fn journal_ends_with_a_package(scratch: &Scratch) -> TestResult {
    wait_until("the package in hand", || {
        scratch.lines("journal").last().is_some_and(|line| line.contains(" receive "))
    })
}

/// Sessions whose connect event is queued behind a worker that is busy.
fn reset_before_anybody_knows_them(server: &TestServer, scratch: &Scratch) -> TestResult {
    std::fs::remove_file(scratch.path("connect"))?;
    let busy = Talk::new(server)?; // in `on_connect` until the file is there again
    let mut aborted = Vec::new();
    for _ in 0..10 {
        let mut talk = Talk::new(server)?;
        talk.say("echo nobody reads this")?;
        aborted.push(talk);
    }
    for talk in aborted {
        talk.client.abort()?;
    }
    scratch.make("connect")?;
    drop(busy);
    Ok(())
}

#[test]
fn a_reset_in_every_state_ends_one_session_only() -> TestResult {
    let scratch = Scratch::new("reset")?;
    let hold = scratch.path("connect");
    scratch.make("connect")?;
    let server = small_probe()
        .set("answer_order", "free")
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .env("PROBE_HOLD_CONNECT_UNTIL", &hold)
        .start()?;
    let mut other = Talk::new(&server)?;
    assert_eq!(other.ask("echo x")?, "x");
    // A reset that comes before a worker was told of the session leaves no trace at all.
    // Before the first byte.
    let talk = Talk::new(&server)?;
    journal_has(&scratch, " connect ", 2)?;
    talk.client.abort()?;
    journal_has(&scratch, " close ", 1)?;
    // In the middle of a line.
    let mut talk = Talk::new(&server)?;
    journal_has(&scratch, " connect ", 3)?;
    talk.client.send(b"half a li")?;
    talk.client.abort()?;
    journal_has(&scratch, " close ", 2)?;
    // While its package is in hand.
    let file = scratch.path("in-hand");
    let mut talk = Talk::new(&server)?;
    talk.say(&format!("until {} answer", file.display()))?;
    journal_ends_with_a_package(&scratch)?;
    talk.client.abort()?;
    scratch.make("in-hand")?;
    journal_has(&scratch, " close ", 3)?;
    // While it is deferred, and answered later.
    let mut talk = Talk::new(&server)?;
    talk.say("hold")?;
    journal_ends_with_a_package(&scratch)?;
    assert_eq!(other.ask("echo in order")?, "in order"); // at the same worker
    talk.client.abort()?;
    assert_eq!(other.ask("release it")?, "ok");
    journal_has(&scratch, " close ", 4)?;
    // While output is queued.
    let mut talk = Talk::with(Client::connect_with_receive_buffer(server.address(), 4096)?);
    talk.say("bigs 8000000 100000")?;
    talk.bytes(1)?;
    talk.client.abort()?;
    journal_has(&scratch, " close ", 5)?;
    reset_before_anybody_knows_them(&server, &scratch)?;
    assert_eq!(other.ask("echo still served")?, "still served");
    settle(&server)?;
    // Who was connected before the reset was told, and only who was told has a close event.
    wait_until("as many close events as connect events", || {
        let lines = scratch.lines("journal");
        let count = |what: &str| lines.iter().filter(|line| line.contains(what)).count();
        count(" connect ") == count(" close ") + 1 // `other`
    })?;
    server.stop()
}

#[test]
fn a_thousand_quick_connections_leave_nothing() -> TestResult {
    let server = probe().start()?;
    settle(&server)?;
    server.wait_for_log("serves worker=w0")?;
    server.wait_for_log("serves worker=w1")?;
    let fds = server.master().fd_count()?;
    for round in 0..1000 {
        let client = server.connect()?;
        match round % 4 {
            0 => client.abort()?,
            1 => {
                let mut client = client;
                client.send(b"echo x\n")?;
            }
            _ => drop(client),
        }
    }
    let mut talk = Talk::new(&server)?;
    server.wait_for("all sessions gone", |_| {
        talk.ask("sessions").is_ok_and(|ids| !ids.contains(' '))
    })?;
    drop(talk);
    server.wait_for("all descriptors closed", |server| {
        server.master().fd_count().is_ok_and(|now| now <= fds)
    })?;
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.accepted, 1002, "{books}");
    Ok(())
}

#[test]
fn who_closes_at_once_gets_neither_served_nor_stuck() -> TestResult {
    let server = small_probe().start()?;
    for _ in 0..50 {
        let mut talk = Talk::new(&server)?;
        talk.say("sleep 1 x")?;
        talk.say("sleep 1 y")?;
        drop(talk);
    }
    settle(&server)?;
    server.stop()
}

#[test]
fn more_input_than_is_read_is_not_lost() -> TestResult {
    // Sends everything before it reads anything: the kernel's buffers fill in both directions,
    // nothing else does.
    let server = TestServer::echo().set("workers", 2).set("reactors", 2).start()?;
    let mut writer = server.connect()?;
    let mut reader = writer.second_handle()?;
    let bytes: Vec<u8> = (0..24_000_000).map(|index: u32| (index % 249) as u8).collect();
    let expected = bytes.clone();
    let sending =
        std::thread::spawn(move || writer.send(&bytes).and_then(|()| writer.half_close()));
    let mut other = server.connect()?;
    for _ in 0..10 {
        other.send(b"served meanwhile")?;
        other.expect(b"served meanwhile")?;
    }
    reader.expect(&expected)?;
    sending.join().map_err(|_| TestError::new("the sender panicked"))??;
    reader.expect_eof()?;
    server.stop()
}

/// A program that runs another one under a limit of descriptors.
fn limited(scratch: &Scratch, program: &str, descriptors: u32) -> TestResult<ServerBuilder> {
    let test = std::env::current_exe()?;
    let profile = test.parent().and_then(|deps| deps.parent());
    let target = profile.map(|profile| profile.join("examples").join(program)).unwrap_or_default();
    let path: PathBuf = scratch.path("limited");
    let mut script = std::fs::File::create(&path)?;
    write!(script, "#!/bin/sh\nulimit -n {descriptors}\nexec {} \"$@\"\n", target.display())?;
    drop(script);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    let builder = TestServer::program(path).set("listen", "127.0.0.1:0");
    Ok(builder.expect_log("max_connections is lowered"))
}

#[test]
fn without_descriptors_accepting_pauses_and_workers_are_replaced() -> TestResult {
    let scratch = Scratch::new("emfile")?;
    let server = limited(&scratch, "ostler-echo", 119)?
        .set("workers", 1)
        .set("reactors", 1)
        .set("crash_policy", "drop")
        .expect_log("all places are taken")
        .expect_log("worker died")
        .start()?;
    let mut clients = Vec::new();
    for _ in 0..60 {
        let mut client = server.connect()?;
        client.send(b"hello")?;
        clients.push(client);
    }
    server.wait_for_log("all places are taken")?;
    // Those that were accepted are served, the master does not spin.
    clients[0].expect(b"hello")?;
    let before = server.master().cpu_ns()?;
    std::thread::sleep(Duration::from_secs(2));
    let spent = server.master().cpu_ns()? - before;
    assert!(spent < 200_000_000, "{spent} ns of CPU time in two seconds of waiting");
    // The last descriptors are not for clients: a worker that dies is replaced.
    let old = server.worker(0);
    old.kill();
    server.wait_for_log("serves worker=w0.2")?;
    clients[1].send(b" again")?;
    clients[1].expect(b"hello again")?;
    // With every one that goes the next is taken.
    for mut client in clients.drain(..30) {
        let _ = client.half_close();
    }
    for mut client in clients {
        client.expect(b"hello")?;
    }
    server.stop_having_said("all places are taken", 1)
}

/// The limit may also be lowered under a running server, or the system's own be reached: accepting
/// pauses as well.
#[test]
fn descriptors_that_are_gone_all_the_same_make_accepting_pause() -> TestResult {
    use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
    let server = TestServer::echo()
        .set("workers", 1)
        .set("reactors", 1)
        .expect_log("no descriptors left")
        .start()?;
    server.wait_for_log("serves worker=w0")?;
    let mut inside = server.connect()?;
    inside.send(b"in")?;
    inside.expect(b"in")?;
    let pid = i32::try_from(server.master().pid()).ok().and_then(Pid::from_raw);
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = |current| prlimit(pid, Resource::Nofile, Rlimit { current, maximum });
    let before = limit(Some(3)).map_err(std::io::Error::from)?;
    let mut waiting = server.connect()?;
    waiting.send(b"out")?;
    server.wait_for_log("no descriptors left")?;
    inside.send(b"still")?;
    inside.expect(b"still")?;
    // It tries again by itself, without saying so, and without spinning.
    let cpu = server.master().cpu_ns()?;
    std::thread::sleep(Duration::from_secs(2));
    let spent = server.master().cpu_ns()? - cpu;
    assert!(spent < 200_000_000, "{spent} ns of CPU time in two seconds of waiting");
    limit(before.current).map_err(std::io::Error::from)?;
    waiting.expect(b"out")?;
    server.stop_having_said("no descriptors left", 1)
}

#[test]
fn the_limit_of_descriptors_is_raised_and_lowers_max_connections() -> TestResult {
    let scratch = Scratch::new("raised")?;
    let script = scratch.path("limited");
    // Of soft and hard limit the latter counts.
    let _soft_and_hard = limited(&scratch, "ostler-echo", 140)?;
    let text = std::fs::read_to_string(&script)?;
    std::fs::write(&script, text.replace("exec", "ulimit -S -n 60\nexec"))?;
    let server = TestServer::program(script)
        .set("workers", 1)
        .set("reactors", 1)
        .set("max_connections", 1000)
        .expect_log("max_connections is lowered")
        .start()?;
    let line = server.wait_for_log("max_connections is lowered")?;
    assert!(line.contains("WARN") && line.contains(" limit=140 "), "{line}");
    assert!(line.contains(" wanted=1000 ") && line.contains(" max_connections="), "{line}");
    let mut client = server.connect()?;
    client.send(b"hello")?;
    client.expect(b"hello")?;
    for process in server.tree().processes() {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.pid()))?;
        let files = limits.lines().find(|line| line.starts_with("Max open files"));
        let soft = files.and_then(|line| line.split_whitespace().nth(3));
        assert_eq!(soft, Some("140"), "{process}: {limits}");
    }
    server.stop()
}

/// The only reactor accepts its clients itself; several get them from the main thread.
#[test]
fn above_max_connections_clients_wait_until_one_goes() -> TestResult {
    for reactors in [1, 2] {
        clients_above_max_connections_wait(reactors)?;
    }
    Ok(())
}

fn clients_above_max_connections_wait(reactors: usize) -> TestResult {
    let server = probe().set("reactors", reactors).set("max_connections", 3);
    let server = server.expect_log("all places are taken").start()?;
    let mut inside: Vec<Talk> = Vec::new();
    for _ in 0..3 {
        let mut talk = Talk::new(&server)?;
        assert_eq!(talk.ask("echo in")?, "in");
        inside.push(talk);
    }
    let mut waiting = Talk::new(&server)?;
    waiting.say("echo at last")?;
    server.wait_for_log("all places are taken")?;
    waiting.expect_silence();
    assert_eq!(inside[0].ask("echo still")?, "still");
    drop(inside.pop());
    waiting.expect("at last");
    for _ in 0..20 {
        let mut next = Talk::new(&server)?;
        next.say("echo next")?;
        drop(waiting);
        next.expect("next");
        waiting = next;
    }
    server.stop_having_said("all places are taken", 1)
}

/// The limit leaves room for some more clients. Who comes beyond them is refused at once, with the
/// descriptor that is kept for that; those inside go on, and others are taken when some have left.
#[test]
fn clients_without_a_descriptor_are_refused_at_once() -> TestResult {
    use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
    let server = TestServer::echo()
        .set("workers", 1)
        .set("reactors", 1)
        .set("harden", "off") // whoever runs this has to see and to limit its descriptors
        .expect_log("no descriptors")
        .start()?;
    server.wait_for_log("serves worker=w0")?;
    // Also the spare manager is there, which the master knows by descriptors.
    server.wait_for_rest()?;
    let pid = server.master().pid();
    let mut open = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        open.extend(entry?.file_name().to_string_lossy().parse::<u64>());
    }
    let free_below =
        |limit: &u64| limit - open.iter().filter(|number| *number < limit).count() as u64;
    let room = (0..).find(|limit| free_below(limit) == 6);
    let maximum = getrlimit(Resource::Nofile).maximum;
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let limit = Rlimit { current: room, maximum };
    prlimit(pid, Resource::Nofile, limit).map_err(std::io::Error::from)?;
    let (mut inside, mut refused) = (Vec::new(), 0);
    // Nobody waits for nothing: there is an answer or an end.
    let mut come = |inside: &mut Vec<Client>| -> TestResult {
        let mut client = server.connect()?;
        match client.send(b"hello").and_then(|()| client.expect(b"hello")) {
            Ok(()) => inside.push(client),
            Err(_) => refused += 1,
        }
        Ok(())
    };
    for _ in 0..20 {
        come(&mut inside)?;
    }
    let served = inside.len();
    assert!((3..10).contains(&served), "{served} inside");
    for client in &mut inside {
        client.send(b"still")?;
        client.expect(b"still")?;
    }
    for mut client in inside.drain(..2) {
        client.half_close()?;
        client.expect_eof()?;
    }
    wait_until("others to be served", || {
        come(&mut inside).unwrap();
        inside.len() == served
    })?;
    server.wait_for_log("refused, no descriptors left")?;
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("refused_no_descriptor"), refused, "{books}");
    Ok(())
}
