//! Every option does what the table says: one test each that shows its effect on a real server.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod talk;

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::time::Duration;

use ostler::{Kind, Options};
use ostler_testkit::{Client, Process, Signal, TestResult, TestServer, wait_until};
use talk::{Scratch, Talk, expect_neighbours_served, pattern, probe, small_probe};

/// A test.
type Effect = fn() -> TestResult;

/// The effect of each option, by the test that shows it. Naming the function makes sure that it exists.
const EFFECTS: &[(&str, Effect)] = &[
    ("listen", listen_is_where_clients_connect),
    ("backlog", backlog_is_how_many_wait_while_nobody_accepts),
    ("tcp_nodelay", tcp_nodelay_is_set_on_accepted_sockets),
    ("max_connections", max_connections_are_open_at_once),
    ("workers", workers_and_reactors_are_as_many_as_told),
    ("reactors", workers_and_reactors_are_as_many_as_told),
    ("harden", harden_forbids_dumping),
    ("sched_batch", sched_batch_is_the_workers_policy),
    ("lane_size", lane_size_is_the_size_of_the_rings),
    ("lane_memory", lane_memory_bounds_the_automatic_lane_size),
    ("memory_budget", memory_budget_bounds_what_sessions_hold),
    ("dispatch", dispatch_round_robin_spreads),
    ("dispatch", dispatch_session_hash_sticks),
    ("dispatch", dispatch_idle_first_avoids_a_busy_worker),
    ("crash_policy", crash_policy_decides_about_what_was_in_hand),
    ("redeliver_output_bytes", redeliver_output_bytes_are_held_back),
    ("session_window", session_window_of_one_is_strictly_serial),
    ("prefetch_us", prefetch_us_of_zero_gives_one_at_a_time),
    ("prefetch_packages", prefetch_packages_bounds_what_waits_at_a_worker),
    ("framing", framing_decides_what_a_package_is),
    ("package_eof", package_eof_ends_a_package),
    ("package_max_length", package_max_length_closes_who_exceeds_it),
    ("receive_size", receive_size_cuts_raw_packages),
    ("send_queue_high", send_queue_high_answers_full),
    ("send_queue_low", send_queue_low_stops_reading),
    ("send_queue_max", send_queue_max_closes_slow_readers),
    ("max_send_bytes", max_send_bytes_refuses_longer_messages),
    ("send_timeout_ms", send_timeout_ms_bounds_the_wait_for_room),
    ("drain_timeout_ms", drain_timeout_ms_ends_a_leaving_worker),
    ("shutdown_timeout_ms", shutdown_timeout_ms_ends_a_drain),
    ("boot_timeout_ms", boot_timeout_ms_ends_a_start_that_hangs),
    ("slot_down_ms", slot_down_ms_moves_hashed_sessions),
    ("back_off_min_ms", back_off_grows_from_min_to_max),
    ("back_off_max_ms", back_off_grows_from_min_to_max),
    ("fork_interval_ms", fork_interval_ms_spaces_forks),
    ("max_requests", max_requests_replaces_a_worker),
    ("recycle_at_once", recycle_at_once_bounds_how_many_leave),
    ("log_level", log_level_is_the_least_that_is_written),
    ("log_file", log_file_gets_the_log),
];

#[test]
fn every_option_has_a_test_of_its_effect() {
    let tested: BTreeSet<&str> = EFFECTS.iter().map(|(name, _)| *name).collect();
    let known: BTreeSet<&str> = Options::table().iter().map(|info| info.name).collect();
    assert_eq!(tested, known);
}

// ---- wrong values -------------------------------------------------------------------------------------------------

/// Starts with a wrong option; the text on stderr.
fn refused(name: &str, value: &str) -> TestResult<String> {
    let (code, text) = TestServer::echo().set(name, value).start_expecting_failure()?;
    assert_eq!(code, 2, "{name}={value}: {text}");
    assert!(text.contains(name), "{name}={value}: {text}");
    assert_eq!(text.lines().count(), 1, "{name}={value}: {text}");
    Ok(text)
}

#[test]
fn numbers_outside_the_limits_are_refused_with_the_nearest_valid_one() -> TestResult {
    for info in Options::table() {
        let (below, above, least, greatest) = match info.kind {
            Kind::Integer { min, max } | Kind::Bytes { min, max } => {
                (min.checked_sub(1).map(|n| n.to_string()), max + 1, min, max)
            }
            Kind::PowerOfTwo { min, max } => (Some((min - 1).to_string()), max + 1, min, max),
            _ => continue,
        };
        let nearest = |text: &str, value: u64| {
            let spelled =
                [value.to_string(), format!("{}K", value >> 10), format!("{}M", value >> 20)];
            let found =
                spelled.iter().any(|word| text.contains(&format!("nearest valid value is {word}")));
            let gib = format!("nearest valid value is {}G", value >> 30);
            assert!(found || text.contains(&gib), "{}: {value}: {text}", info.name);
        };
        for value in below.into_iter().chain(["-5".to_owned()]) {
            let text = refused(info.name, &value)?;
            assert!(text.contains(&format!("`{value}`")), "{text}");
            // 0 means automatic where powers of two are wanted, and is the nearest to what is below it.
            let zero = matches!(info.kind, Kind::PowerOfTwo { .. }) && value.starts_with('-');
            if !zero {
                nearest(&text, least);
            }
        }
        for value in [above.to_string(), "99999999999999999999999".to_owned()] {
            let text = refused(info.name, &value)?;
            assert!(text.contains(&format!("`{value}`")), "{text}");
            nearest(&text, greatest);
        }
        refused(info.name, "many")?;
        refused(info.name, "")?;
    }
    Ok(())
}

#[test]
fn words_and_forms_that_are_wrong_are_refused() -> TestResult {
    for info in Options::table() {
        let wrong: &[&str] = match info.kind {
            Kind::Bool => &["maybe", "", "2"],
            Kind::Choice(_) => &["nonsense", ""],
            Kind::CrashPolicy { .. } => {
                &["redeliver", "redeliver:0", "redeliver:101", "redeliver:x", "explode", ""]
            }
            Kind::Address => &["9501", "127.0.0.1", "127.0.0.1:99999", ":1", "[::1:80", ""],
            Kind::Delimiter { .. } => &["", "123456789", "\\q", "\\x0"],
            _ => &[],
        };
        for value in wrong {
            refused(info.name, value)?;
        }
    }
    let text = refused("dispatch", "session_hsah")?;
    assert!(text.contains("did you mean `session_hash`?"), "{text}");
    refused("log_file", "/nonexistent/directory/log")?;
    Ok(())
}

#[test]
fn an_unknown_option_names_the_one_that_was_meant() -> TestResult {
    let (code, text) = TestServer::echo().set("worker", 3).start_expecting_failure()?;
    assert_eq!(code, 2);
    assert!(text.contains("`worker`") && text.contains("did you mean `workers`?"), "{text}");
    let (code, text) = TestServer::echo().set("zzzzzzzz", 3).start_expecting_failure()?;
    assert_eq!(code, 2);
    assert!(text.contains("`zzzzzzzz`") && text.contains("docs/OPTIONS.md"), "{text}");
    Ok(())
}

#[test]
fn options_that_contradict_each_other_are_refused() -> TestResult {
    let contradictions: &[(&[(&str, &str)], &str)] = &[
        (&[("send_queue_low", "1M"), ("send_queue_high", "2K")], "send_queue_high"),
        (&[("send_queue_high", "2M")], "send_queue_max"),
        (&[("back_off_min_ms", "40000")], "back_off_max_ms"),
        (&[("memory_budget", "1M")], "package_max_length"),
        (&[("memory_budget", "1M"), ("reactors", "8")], "reactors"),
        (&[("max_send_bytes", "1G")], "memory_budget"),
        (&[("lane_memory", "128K"), ("workers", "4"), ("reactors", "4")], "lane_memory"),
        (&[("lane_size", "16M"), ("lane_memory", "1M")], "lane_memory"),
    ];
    for (settings, named) in contradictions {
        let builder = settings
            .iter()
            .fold(TestServer::echo().set("workers", 2).set("reactors", 2), |builder, (n, v)| {
                builder.set(n, v)
            });
        let (code, text) = builder.start_expecting_failure()?;
        assert_eq!(code, 2, "{settings:?}: {text}");
        assert!(text.contains(named), "{settings:?}: {text}");
    }
    Ok(())
}

#[test]
fn an_address_that_is_taken_is_an_error_of_its_own() -> TestResult {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?;
    let (code, text) = TestServer::echo().set("listen", address).start_expecting_failure()?;
    assert_eq!(code, 3, "{text}");
    assert!(text.contains(&address.to_string()), "{text}");
    Ok(())
}

// ---- network --------------------------------------------------------------------------------------------------------

#[test]
fn listen_is_where_clients_connect() -> TestResult {
    for (address, ip) in [("127.0.0.2:0", "127.0.0.2"), ("localhost:0", "127.0.0.1")] {
        let server = TestServer::echo().set("listen", address).start()?;
        let found = server.address().ip().to_string();
        assert!(found == ip || found == "::1", "{found}");
        let mut client = server.connect()?;
        client.send(b"here")?;
        client.expect(b"here")?;
        server.stop()?;
    }
    Ok(())
}

/// How many of 40 connections are made while the master stands still.
fn connects_while_stopped(backlog: u16) -> TestResult<usize> {
    let server = TestServer::echo().set("backlog", backlog).start()?;
    let mut client = server.connect()?;
    client.send(b"x")?;
    client.expect(b"x")?;
    server.master().stop()?;
    let address = server.address();
    let patience = Duration::from_millis(100);
    let attempts = (0..40).map(|_| TcpStream::connect_timeout(&address, patience));
    // The first that is not taken fills nothing any more: the others would only wait as long.
    let made: Vec<TcpStream> = attempts.map_while(Result::ok).collect();
    server.master().cont()?;
    drop(client);
    let count = made.len();
    drop(made);
    server.stop()?;
    Ok(count)
}

#[test]
fn backlog_is_how_many_wait_while_nobody_accepts() -> TestResult {
    let few = connects_while_stopped(4)?;
    assert!((4..=8).contains(&few), "{few}");
    assert_eq!(connects_while_stopped(64)?, 40);
    Ok(())
}

#[test]
fn tcp_nodelay_is_set_on_accepted_sockets() -> TestResult {
    use rustix::net::sockopt::tcp_nodelay;
    use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
    for wanted in [true, false] {
        let server = TestServer::echo().set("tcp_nodelay", wanted).set("harden", "off").start()?;
        let mut client = server.connect()?;
        client.send(b"x")?;
        client.expect(b"x")?;
        let pid = i32::try_from(server.master().pid()).ok().and_then(Pid::from_raw).expect("a pid");
        let master = pidfd_open(pid, PidfdFlags::empty())?;
        let own = client.local_address()?;
        let accepted = (3..200).find_map(|number| {
            let socket = pidfd_getfd(&master, number, PidfdGetfdFlags::empty()).ok()?;
            let peer = rustix::net::getpeername(&socket).ok()?;
            (std::net::SocketAddr::try_from(peer?).ok()? == own).then_some(socket)
        });
        assert_eq!(tcp_nodelay(accepted.expect("the master has the socket"))?, wanted);
        server.stop()?;
    }
    Ok(())
}

#[test]
fn max_connections_are_open_at_once() -> TestResult {
    let server = probe().set("max_connections", 2).expect_log("all places are taken").start()?;
    let (mut one, mut two) = (Talk::new(&server)?, Talk::new(&server)?);
    assert_eq!(one.ask("echo 1")?, "1");
    assert_eq!(two.ask("echo 2")?, "2");
    let mut three = Talk::new(&server)?;
    three.say("echo 3")?;
    server.wait_for_log("all places are taken")?;
    three.expect_silence();
    drop(one);
    three.expect("3");
    server.stop()
}

// ---- processes ------------------------------------------------------------------------------------------------------

#[test]
fn workers_and_reactors_are_as_many_as_told() -> TestResult {
    for (workers, reactors) in [(1, 1), (3, 2), (2, 5)] {
        let server = probe().set("workers", workers).set("reactors", reactors).start()?;
        for worker in 0..workers {
            server.wait_for_log(&format!("serves worker=w{worker}."))?;
        }
        assert_eq!(server.workers().len(), workers);
        let threads = server.master().threads()?;
        let count = threads.iter().filter(|name| name.starts_with("reactor-")).count();
        assert_eq!(count, reactors, "{threads:?}");
        server.stop()?;
    }
    Ok(())
}

#[test]
fn harden_forbids_dumping() -> TestResult {
    // A worker keeps what master and manager have.
    for (harden, wanted) in [("on", "NotDumpable"), ("off", "Dumpable")] {
        let server = probe().set("harden", harden).start()?;
        assert_eq!(Talk::new(&server)?.ask("dumpable")?, wanted);
        server.stop()?;
    }
    Ok(())
}

/// Field 41 of `/proc/PID/stat`: the scheduling policy.
fn policy(process: &Process) -> TestResult<String> {
    let text = std::fs::read_to_string(format!("/proc/{}/stat", process.pid()))?;
    let behind_name = text.rsplit(')').next().unwrap_or("");
    Ok(behind_name.split_whitespace().nth(38).unwrap_or("").to_owned())
}

#[test]
fn sched_batch_is_the_workers_policy() -> TestResult {
    const BATCH: &str = "3";
    for (value, wanted) in [("on", BATCH), ("off", "0")] {
        let server = small_probe().set("sched_batch", value).start()?;
        assert_eq!(Talk::new(&server)?.ask("echo up")?, "up");
        assert_eq!(policy(&server.worker(0))?, wanted);
        assert_eq!(policy(&server.master())?, "0");
        server.stop()?;
    }
    Ok(())
}

// ---- lanes and memory -----------------------------------------------------------------------------------------------

/// Bytes of the mappings of a worker's `down` file.
fn down_bytes(worker: &Process) -> TestResult<u64> {
    let line = worker.maps()?.into_iter().find(|line| line.contains("memfd:ostler-down"));
    let line = line.unwrap_or_default();
    let (from, to) =
        line.split(' ').next().and_then(|range| range.split_once('-')).unwrap_or(("0", "0"));
    let number = |text| u64::from_str_radix(text, 16).unwrap_or(0);
    Ok(number(to) - number(from))
}

fn down_bytes_with(name: &str, value: &str) -> TestResult<u64> {
    let server =
        TestServer::echo().set("workers", 2).set("reactors", 2).set(name, value).start()?;
    let mut client = server.connect()?;
    client.send(b"x")?;
    client.expect(b"x")?;
    server.wait_for_log("serves worker=w0")?;
    let bytes = down_bytes(&server.worker(0))?;
    server.stop()?;
    Ok(bytes)
}

#[test]
fn lane_size_is_the_size_of_the_rings() -> TestResult {
    let (small, large) =
        (down_bytes_with("lane_size", "64K")?, down_bytes_with("lane_size", "1M")?);
    assert_eq!(large - small, 2 * ((1 << 20) - (64 << 10)), "one ring for each of two reactors");
    Ok(())
}

#[test]
fn lane_memory_bounds_the_automatic_lane_size() -> TestResult {
    // 2 rings * 2 reactors * 2 workers = 8 rings.
    let tight = down_bytes_with("lane_memory", "1M")?;
    assert_eq!(tight, down_bytes_with("lane_size", "128K")?);
    assert_eq!(down_bytes_with("lane_memory", "1G")?, down_bytes_with("lane_size", "512K")?);
    Ok(())
}

#[test]
fn memory_budget_bounds_what_sessions_hold() -> TestResult {
    for (budget, closed) in [("1M", true), ("16M", false)] {
        let server = small_probe()
            .set("memory_budget", budget)
            .set("package_max_length", "1M")
            .set("max_send_bytes", "1M")
            .start()?;
        let mut talks = Vec::new();
        for index in 0..4 {
            let mut talk = Talk::new(&server)?;
            // Half a line each: the master has to keep it.
            let mut half = format!("sum {index} ").into_bytes();
            half.resize(400_000 + 1000 * index, b'x');
            let _cut = talk.client.send(&half);
            talks.push(talk);
        }
        let mut other = Talk::new(&server)?;
        assert_eq!(other.ask("echo served")?, "served");
        if !closed {
            for (index, talk) in talks.iter_mut().enumerate() {
                assert!(talk.ask("")?.starts_with(&format!("sum {} ", 400_001 + 1000 * index)));
            }
        }
        drop((talks, other));
        let books = server.stop_and_report()?.books()?;
        assert_eq!(books.detail("closed_memory_budget") > 0, closed, "{budget}: {books}");
    }
    Ok(())
}

// ---- packages -------------------------------------------------------------------------------------------------------

#[test]
fn dispatch_round_robin_spreads() -> TestResult {
    let server =
        probe().set("workers", 3).set("reactors", 1).set("dispatch", "round_robin").start()?;
    for worker in 0..3 {
        server.wait_for_log(&format!("serves worker=w{worker}."))?;
    }
    let mut talk = Talk::new(&server)?;
    // A package that comes before the last one is finished goes where that one is; so not every one takes a turn.
    let mut turns = std::collections::HashMap::new();
    for _ in 0..300 {
        *turns.entry(talk.ask("whoami")?).or_insert(0) += 1;
    }
    assert_eq!(turns.len(), 3, "{turns:?}");
    assert!(turns.values().all(|count| *count >= 30), "{turns:?}");
    server.stop()
}

#[test]
fn dispatch_session_hash_sticks() -> TestResult {
    let server = probe().set("workers", 3).set("dispatch", "session_hash").start()?;
    for worker in 0..3 {
        server.wait_for_log(&format!("serves worker=w{worker}."))?;
    }
    let mut seen = BTreeSet::new();
    for _ in 0..24 {
        let mut talk = Talk::new(&server)?;
        let first = talk.ask("whoami")?;
        for _ in 0..5 {
            assert_eq!(talk.ask("whoami")?, first);
        }
        seen.insert(first);
    }
    assert_eq!(seen.len(), 3, "24 sessions over 3 workers: {seen:?}");
    server.stop()
}

#[test]
fn dispatch_idle_first_avoids_a_busy_worker() -> TestResult {
    let scratch = Scratch::new("idle")?;
    let server = probe().set("dispatch", "idle_first").start()?;
    expect_neighbours_served(&server, &scratch, 20, 10)?;
    server.stop()
}

#[test]
fn crash_policy_decides_about_what_was_in_hand() -> TestResult {
    for policy in ["close", "drop", "redeliver:1"] {
        let server = small_probe()
            .set("crash_policy", policy)
            .expect_log("died")
            .expect_log("before it served")
            .start()?;
        let mut talk = Talk::new(&server)?;
        assert_eq!(talk.ask("echo before")?, "before");
        talk.say("abort")?;
        let (dropped, redelivered, closed) = match policy {
            "close" => {
                talk.expect_closed();
                (0, 0, 1)
            }
            "drop" => {
                assert_eq!(talk.ask("echo after")?, "after");
                (1, 0, 0)
            }
            // It kills its second worker too.
            _ => {
                talk.expect_closed();
                (0, 1, 1)
            }
        };
        let books = server.stop_and_report()?.books()?;
        assert_eq!(books.detail("dropped_worker_died"), dropped, "{policy}: {books}");
        assert_eq!(books.detail("redelivered"), redelivered, "{policy}: {books}");
        assert_eq!(books.detail("closed_worker_died"), closed, "{policy}: {books}");
    }
    Ok(())
}

#[test]
fn redeliver_output_bytes_are_held_back() -> TestResult {
    let scratch = Scratch::new("held")?;
    for (limit, held) in [("0", false), ("1M", true)] {
        let server = small_probe()
            .set("crash_policy", "redeliver:1")
            .set("redeliver_output_bytes", limit)
            .start()?;
        let mut talk = Talk::new(&server)?;
        let go = format!("go-{limit}");
        talk.say(&format!("senduntil {} 5000", scratch.path(&go).display()))?;
        if held {
            talk.expect_silence();
        } else {
            assert!(talk.bytes(5000)? == pattern(5000));
        }
        scratch.make(&go)?;
        if held {
            assert!(talk.bytes(5000)? == pattern(5000));
        }
        talk.expect("end");
        server.stop()?;
    }
    Ok(())
}

#[test]
fn session_window_of_one_is_strictly_serial() -> TestResult {
    for (window, order) in [(1, ["late", "early"]), (16, ["early", "late"])] {
        let server = small_probe().set("session_window", window).start()?;
        let mut talk = Talk::new(&server)?;
        talk.client.send(b"defer 100 late\necho early\n")?;
        for line in order {
            talk.expect(line);
        }
        server.stop()?;
    }
    Ok(())
}

/// How many packages wait at a busy worker: those that come back when it is killed without having started them.
fn waiting_at_a_worker(name: &str, value: u32, prefetch_us: u32) -> TestResult<u64> {
    let scratch = Scratch::new("prefetch")?;
    let server = small_probe()
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .set("prefetch_us", prefetch_us)
        .set(name, value)
        .expect_log("died")
        .expect_log("before it served")
        .start()?;
    let mut talks: Vec<Talk> = (0..12).map(|_| Talk::new(&server)).collect::<TestResult<_>>()?;
    for talk in &mut talks {
        assert_eq!(talk.ask("echo connected")?, "connected");
    }
    let mut stuck = Talk::new(&server)?;
    stuck.say("spin")?;
    wait_until("the handler to spin", || {
        let lines = scratch.lines("journal");
        lines.iter().filter(|line| line.contains(" receive ")).count() == 13
    })?;
    for talk in &mut talks {
        talk.say("echo after all")?;
    }
    // Nothing tells from outside when all were given; who gets none has to be given time to be wrong.
    std::thread::sleep(Duration::from_millis(200));
    server.worker(0).kill();
    stuck.expect_closed();
    for talk in &mut talks {
        talk.expect("after all");
    }
    let books = server.stop_and_report()?.books()?;
    Ok(books.detail("recalls"))
}

#[test]
fn prefetch_us_of_zero_gives_one_at_a_time() -> TestResult {
    assert_eq!(waiting_at_a_worker("prefetch_us", 0, 0)?, 0);
    // As many as are thought to take less than that; how many that is depends on the machine.
    let waiting = waiting_at_a_worker("prefetch_us", 100_000, 100_000)?;
    assert!((4..=12).contains(&waiting), "{waiting}");
    Ok(())
}

#[test]
fn prefetch_packages_bounds_what_waits_at_a_worker() -> TestResult {
    assert_eq!(waiting_at_a_worker("prefetch_packages", 4, 100_000)?, 3);
    Ok(())
}

#[test]
fn framing_decides_what_a_package_is() -> TestResult {
    for (framing, packages) in [("raw", 1), ("eof", 3)] {
        let server = TestServer::echo().set("framing", framing).start()?;
        let mut client = server.connect()?;
        client.send(b"one\r\ntwo\r\nthree\r\n")?;
        client.expect(b"one\r\ntwo\r\nthree\r\n")?;
        assert_eq!(server.stop_and_report()?.books()?.received, packages);
    }
    Ok(())
}

#[test]
fn package_eof_ends_a_package() -> TestResult {
    for (eof, packages) in [(";", 3), ("\\n", 1), ("\\x3b\\n", 1), ("; ", 2)] {
        let server = TestServer::echo().set("framing", "eof").set("package_eof", eof).start()?;
        let mut client = server.connect()?;
        client.send(b"one; two; three;\n")?;
        client.half_close()?;
        let mut answer = Vec::new();
        loop {
            let some = client.read_some()?;
            if some.is_empty() {
                break;
            }
            answer.extend(some);
        }
        assert!(b"one; two; three;\n".starts_with(&answer), "{eof}");
        assert_eq!(server.stop_and_report()?.books()?.received, packages, "{eof}");
    }
    Ok(())
}

#[test]
fn package_max_length_closes_who_exceeds_it() -> TestResult {
    let server = small_probe().set("package_max_length", 100).start()?;
    let mut talk = Talk::new(&server)?;
    talk.say(&format!("echo {}", "x".repeat(94)))?;
    talk.expect(&"x".repeat(94));
    talk.say(&format!("echo {}", "x".repeat(95)))?;
    talk.expect_closed();
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("closed_package_too_long"), 1);
    Ok(())
}

#[test]
fn receive_size_cuts_raw_packages() -> TestResult {
    for (size, packages) in [(64, 16), (65_536, 1)] {
        let server = TestServer::echo().set("receive_size", size).start()?;
        let mut client = server.connect()?;
        client.send(&[7; 1024])?;
        client.expect(&[7; 1024])?;
        assert_eq!(server.stop_and_report()?.books()?.received, packages);
    }
    Ok(())
}

// ---- sending --------------------------------------------------------------------------------------------------------

/// A session whose client does not read, and its id.
fn deaf(server: &TestServer) -> TestResult<(Talk, u64)> {
    let mut talk = Talk::with(Client::connect_with_receive_buffer(server.address(), 2048)?);
    let id = talk.number("id")?;
    Ok((talk, id))
}

/// Floods a session until a send says `full`, and says how many bytes it took.
fn flood_until_full(talk: &mut Talk, id: u64) -> TestResult<u64> {
    let mut taken = 0;
    for _ in 0..4000 {
        let answer = talk.ask(&format!("flood {id} 1 10000"))?;
        if answer.starts_with("ok 0 full 1") {
            return Ok(taken);
        }
        assert!(answer.starts_with("ok 1 "), "{answer} after {taken} bytes");
        taken += 10_000;
    }
    panic!("never full after {taken} bytes");
}

#[test]
fn send_queue_high_answers_full() -> TestResult {
    let mut taken = Vec::new();
    for high in ["100K", "4M"] {
        let server =
            small_probe().set("send_queue_high", high).set("send_queue_max", "8M").start()?;
        let (mut listener, id) = deaf(&server)?;
        let mut talk = Talk::new(&server)?;
        let bytes = flood_until_full(&mut talk, id)?;
        // What was accepted arrives, in order.
        for _ in 0..bytes / 10_000 {
            assert!(listener.bytes(10_000)? == pattern(10_000), "the bytes differ");
        }
        assert!(
            talk.ask(&format!("flood {id} 1 10000"))?.starts_with("ok 1 "),
            "not full any more"
        );
        taken.push(bytes);
        server.stop()?;
    }
    // The kernel's buffers take the same in both cases, or nearly.
    assert!(taken[1] > taken[0] + (2 << 20), "{taken:?}");
    Ok(())
}

#[test]
fn send_queue_low_stops_reading() -> TestResult {
    let server = small_probe().set("send_queue_low", "10K").set("send_queue_max", "8M").start()?;
    let (mut listener, id) = deaf(&server)?;
    let mut talk = Talk::new(&server)?;
    let bytes = flood_until_full(&mut talk, id)?;
    listener.say("state was read")?;
    for _ in 0..20 {
        assert_eq!(
            talk.ask(&format!("getof {id}"))?,
            "",
            "a session with unsent output is not read"
        );
    }
    listener.bytes(bytes as usize)?;
    listener.expect("ok");
    assert_eq!(talk.ask(&format!("getof {id}"))?, "was read");
    server.stop()
}

#[test]
fn send_queue_max_closes_slow_readers() -> TestResult {
    // Ten messages at once, before any mark can be seen: the queue goes over its limit.
    let server = small_probe()
        .set("send_queue_low", "10K")
        .set("send_queue_high", "20K")
        .set("send_queue_max", "20K")
        .set("crash_policy", "redeliver:1")
        .set("lane_size", "16M")
        .set("lane_memory", "64M")
        .set("redeliver_output_bytes", "64M")
        .start()?;
    let (listener, id) = deaf(&server)?;
    let mut talk = Talk::new(&server)?;
    let answer = talk.ask(&format!("flood {id} 8 1000000"))?;
    assert!(answer.starts_with("ok 8 "), "held back, so nothing was full yet: {answer}");
    server.wait_for("the end of the session", |_| {
        talk.ask(&format!("infoof {id}")).is_ok_and(|answer| answer == "none")
    })?;
    drop(listener);
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("closed_slow_reader"), 1, "{books}");
    Ok(())
}

#[test]
fn max_send_bytes_refuses_longer_messages() -> TestResult {
    let server = small_probe().set("max_send_bytes", "2K").start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("big 2049")?, "too_long");
    talk.say("big 2048")?;
    assert!(talk.bytes(2048)? == pattern(2048));
    server.stop()
}

#[test]
fn send_timeout_ms_bounds_the_wait_for_room() -> TestResult {
    for (timeout, ends) in [(0, true), (50, true), (600_000, false)] {
        let scratch = Scratch::new("room")?;
        let server = small_probe()
            .set("send_timeout_ms", timeout)
            .set("send_queue_high", "4M")
            .set("send_queue_max", "8M")
            .env("PROBE_JOURNAL", scratch.path("journal"))
            .start()?;
        let mut talk = Talk::new(&server)?;
        talk.say(&format!("stalled {} 10 16000", scratch.path("go").display()))?;
        wait_until("the handler", || {
            scratch.lines("journal").iter().any(|line| line.contains("receive"))
        })?;
        // Nobody drains the lane, which has room for four of these messages.
        server.master().stop()?;
        scratch.make("go")?;
        let flooded = || {
            let lines = scratch.lines("journal");
            lines.into_iter().find_map(|line| Some(line.split_once("flooded ")?.1.to_owned()))
        };
        if ends {
            wait_until("the end of the flood", || flooded().is_some())?;
            let flooded = flooded().unwrap_or_default();
            assert!(flooded.starts_with("ok 4 full 6 "), "{flooded}");
            server.master().cont()?;
        } else {
            std::thread::sleep(Duration::from_millis(300));
            assert_eq!(flooded(), None);
            server.master().cont()?;
            wait_until("the end of the flood", || flooded().is_some())?;
            let flooded = flooded().unwrap_or_default();
            assert!(flooded.starts_with("ok 10 full 0 "), "{flooded}");
        }
        let count = if ends { 4 } else { 10 };
        for _ in 0..count {
            assert!(talk.bytes(16_000)? == pattern(16_000), "the bytes differ");
        }
        assert_eq!(talk.ask("echo on")?, "on");
        server.stop()?;
    }
    Ok(())
}

// ---- supervision ----------------------------------------------------------------------------------------------------

#[test]
fn drain_timeout_ms_ends_a_leaving_worker() -> TestResult {
    let server = small_probe()
        .set("drain_timeout_ms", 200)
        .expect_log("did not leave in time")
        .expect_log("before it had finished")
        .start()?;
    let mut talk = Talk::new(&server)?;
    talk.say("hold")?;
    assert_eq!(talk.ask("echo held")?, "held");
    let mark = server.log().mark();
    server.signal(Signal::USR1);
    server.log().wait_after(mark, "did not leave in time")?;
    talk.expect_closed();
    server.stop()
}

#[test]
fn shutdown_timeout_ms_ends_a_drain() -> TestResult {
    let server = small_probe()
        .set("shutdown_timeout_ms", 200)
        .expect_log("drain")
        .expect_log("worker")
        .start()?;
    let mut talk = Talk::new(&server)?;
    talk.say("hold")?;
    assert_eq!(talk.ask("echo held")?, "held");
    server.signal(Signal::TERM);
    server.wait_for_log("the drain took too long")?;
    let ended = server.wait_end()?;
    assert_eq!(ended.code(), Some(0));
    ended.check_books()?;
    talk.expect_closed();
    Ok(())
}

#[test]
fn boot_timeout_ms_ends_a_start_that_hangs() -> TestResult {
    let scratch = Scratch::new("boot")?;
    let hang = scratch.path("hang");
    let server = small_probe()
        .set("boot_timeout_ms", 300)
        .env("PROBE_HANG_START_IF_EXISTS", &hang)
        .expect_log("w0.2")
        .expect_log("reload")
        .expect_log("before it served")
        .start()?;
    let mut talk = Talk::new(&server)?;
    assert!(talk.ask("whoami")?.starts_with("w0.1 "));
    scratch.make("hang")?;
    let mark = server.log().mark();
    server.signal(Signal::USR1);
    let line = server.log().wait_after(mark, "reload finished")?;
    assert!(line.contains("CanaryFailed"), "{line}");
    assert!(talk.ask("whoami")?.starts_with("w0.1 "), "the old one serves on");
    std::fs::remove_file(&hang)?;
    server.stop()
}

#[test]
fn slot_down_ms_moves_hashed_sessions() -> TestResult {
    let scratch = Scratch::new("down")?;
    let fail = scratch.path("fail");
    let server = probe()
        .set("crash_policy", "drop")
        .set("dispatch", "session_hash")
        .set("slot_down_ms", 100)
        .set("back_off_min_ms", 3_600_000)
        .set("back_off_max_ms", 3_600_000)
        .env("PROBE_FAIL_START_IF_EXISTS", &fail)
        .expect_log("died")
        .expect_log("on_worker_start failed")
        .expect_log("before it served")
        .start()?;
    for worker in 0..2 {
        server.wait_for_log(&format!("serves worker=w{worker}."))?;
    }
    // One session of each slot.
    let mut talks = Vec::new();
    for _ in 0..20 {
        let mut talk = Talk::new(&server)?;
        let home = talk.ask("whoami")?;
        talks.push((home, talk));
    }
    assert!(talks.iter().any(|(home, _)| home.starts_with("w0")), "nobody at w0");
    scratch.make("fail")?;
    server.worker(0).kill();
    // Slot 0 does not come back; its sessions are served by the other after a while.
    for (_, talk) in &mut talks {
        assert!(talk.ask("whoami")?.starts_with("w1"));
    }
    std::fs::remove_file(&fail)?;
    server.stop()
}

#[test]
fn back_off_grows_from_min_to_max() -> TestResult {
    let scratch = Scratch::new("backoff")?;
    let fail = scratch.path("fail");
    let server = small_probe()
        .set("crash_policy", "drop")
        .set("back_off_min_ms", 10)
        .set("back_off_max_ms", 35)
        .set("fork_interval_ms", 0)
        .env("PROBE_FAIL_START_IF_EXISTS", &fail)
        .expect_log("died")
        .expect_log("on_worker_start failed")
        .expect_log("before it served")
        .expect_log("many deaths")
        .start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("echo x")?, "x");
    scratch.make("fail")?;
    server.worker(0).kill();
    server.wait_for_log("failures=4")?;
    std::fs::remove_file(&fail)?;
    let pauses: Vec<u64> = server
        .log()
        .parsed()
        .iter()
        .filter_map(|line| line.fields.get("retry_after_ms")?.parse().ok())
        .take(4)
        .collect();
    assert_eq!(pauses, [10, 20, 35, 35]);
    assert_eq!(talk.ask("echo repaired")?, "repaired");
    server.stop()
}

#[test]
fn fork_interval_ms_spaces_forks() -> TestResult {
    let started = std::time::Instant::now();
    let server = small_probe()
        .set("crash_policy", "drop")
        .set("fork_interval_ms", 700)
        .expect_log("died")
        .start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("echo x")?, "x");
    server.worker(0).kill();
    assert_eq!(talk.ask("echo y")?, "y");
    // The first fork was after `started`, the second at least the interval after the first.
    assert!(started.elapsed() >= Duration::from_millis(700));
    server.stop()
}

#[test]
fn max_requests_replaces_a_worker() -> TestResult {
    let server = small_probe().set("max_requests", 5).start()?;
    let mut talk = Talk::new(&server)?;
    let mut seen = Vec::new();
    while !seen.iter().any(|who: &String| who.starts_with("w0.4 ")) {
        seen.push(talk.ask("whoami")?);
        assert!(seen.len() < 100_000, "never replaced");
    }
    seen.dedup();
    assert_eq!(seen.len(), 4, "every generation in its turn: {seen:?}");
    server.stop()
}

#[test]
fn recycle_at_once_bounds_how_many_leave() -> TestResult {
    for at_once in [1, 3] {
        let scratch = Scratch::new("recycle")?;
        let server = probe()
            .set("workers", 3)
            .set("dispatch", "round_robin")
            .set("max_requests", 10)
            .set("recycle_at_once", at_once)
            .env("PROBE_JOURNAL", scratch.path("journal"))
            .start()?;
        for worker in 0..3 {
            server.wait_for_log(&format!("serves worker=w{worker}."))?;
        }
        // A held package at each worker keeps it from ending when it leaves.
        let mut talks = Vec::new();
        let mut holders = BTreeSet::new();
        while holders.len() < 3 {
            let mut talk = Talk::new(&server)?;
            talk.say("hold")?;
            holders.insert(talk.ask("whoami")?);
            talks.push(talk);
        }
        let mut asking = Talk::new(&server)?;
        let exits = || {
            let lines = scratch.lines("journal");
            lines.iter().filter(|line| line.ends_with(".1 exit")).count()
        };
        server.wait_for("those that may leave", |_| {
            let _served = asking.ask("whoami");
            exits() == at_once
        })?;
        // More than enough for all of them.
        for _ in 0..200 {
            asking.ask("whoami")?;
        }
        assert_eq!(exits(), at_once);
        for talk in talks {
            talk.client.abort()?;
        }
        server.signal(Signal::INT);
        server.wait_end()?;
    }
    Ok(())
}

// ---- log ------------------------------------------------------------------------------------------------------------

#[test]
fn log_level_is_the_least_that_is_written() -> TestResult {
    let mut counts = Vec::new();
    for level in ["error", "warn", "info", "debug"] {
        let server = small_probe().set("log_level", level).start()?;
        assert_eq!(Talk::new(&server)?.ask("echo x")?, "x");
        server.signal(Signal::TERM);
        let ended = server.wait_end()?;
        assert_eq!(ended.code(), Some(0));
        counts.push(ended.log().lines().len());
    }
    assert_eq!(counts[..2], [0, 0], "a healthy server is silent: {counts:?}");
    assert!(0 < counts[2] && counts[2] < counts[3], "{counts:?}");
    Ok(())
}

#[test]
fn log_file_gets_the_log() -> TestResult {
    let scratch = Scratch::new("log")?;
    for _ in 0..2 {
        let server = small_probe().set("log_file", scratch.path("log").display()).start()?;
        assert_eq!(Talk::new(&server)?.ask("echo x")?, "x");
        server.signal(Signal::TERM);
        let ended = server.wait_end()?;
        assert_eq!(ended.log().lines(), Vec::<String>::new());
    }
    let lines = scratch.lines("log");
    let books = lines.iter().filter(|line| line.contains("books")).count();
    assert_eq!(books, 2, "appended, not overwritten");
    Ok(())
}

// ---- limits of the system -------------------------------------------------------------------------------------------

#[test]
fn a_limit_of_descriptors_that_leaves_none_for_clients_is_an_error_at_start() -> TestResult {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = Scratch::new("nofile")?;
    let test = std::env::current_exe()?;
    let profile = test.parent().and_then(|deps| deps.parent());
    let echo = profile.map(|profile| profile.join("examples/echo")).unwrap_or_default();
    let script = scratch.path("limited");
    std::fs::write(&script, format!("#!/bin/sh\nulimit -n 64\nexec {} \"$@\"\n", echo.display()))?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    let builder = TestServer::program(script)
        .set("listen", "127.0.0.1:0")
        .set("workers", 8)
        .set("reactors", 8);
    let (code, text) = builder.start_expecting_failure()?;
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("descriptors (64)") && text.contains("ulimit -n"), "{text}");
    Ok(())
}
