//! Clients that do not read, do not stop, or do nothing: memory stays bounded, the others are
//! served, and an idle server sleeps.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod talk;

use ostler_testkit::{Client, Signal, TestResult, TestServer};
use talk::{Talk, checksum, expect_idle, pattern, probe, small_probe};

const MIB: u64 = 1 << 20;

/// What the master says when the budget is used up.
const LACKS: &str = "the memory budget is used up";

/// What the master may use beyond its budget: session table, lanes, code, stacks.
const MARGIN: u64 = 12 * MIB;

fn deaf(server: &TestServer) -> TestResult<Client> {
    Client::connect_with_receive_buffer(server.address(), 2048)
}

#[test]
fn clients_that_never_read_cost_no_more_than_the_budget() -> TestResult {
    let server = TestServer::echo()
        .set("harden", "off")
        .set("workers", 2)
        .set("reactors", 2)
        .set("memory_budget", "8M")
        .handler("big_reply:65536")
        .expect_log(LACKS)
        .start()?;
    let mut good = server.connect()?;
    good.send(b"warm")?;
    good.read_exactly(65_536)?;
    let before = server.master().pss_bytes()?;
    let mut deafs = Vec::new();
    for _ in 0..200 {
        deafs.push(deaf(&server)?);
    }
    for _ in 0..20 {
        for client in &mut deafs {
            // Those that were closed for what they hold cannot be written to any more.
            let _ended = client.send(b"more");
        }
        good.send(b"me too")?;
        good.read_exactly(65_536)?;
        let now = server.master().pss_bytes()?;
        assert!(now < before + 8 * MIB + MARGIN, "{} KiB more", (now - before) / 1024);
    }
    drop((deafs, good));
    server.stop()
}

#[test]
fn a_broadcast_to_deaf_listeners_answers_full_and_stays_bounded() -> TestResult {
    let server = probe()
        .set("harden", "off")
        .set("memory_budget", "8M")
        .set("send_queue_high", "64K")
        .set("send_queue_low", "16K")
        .expect_log(LACKS)
        .start()?;
    let mut talker = Talk::new(&server)?;
    assert_eq!(talker.ask("echo warm")?, "warm");
    let before = server.master().pss_bytes()?;
    let mut listeners = Vec::new();
    for _ in 0..100 {
        let mut listener = Talk::with(deaf(&server)?);
        listener.say("echo here")?;
        listener.expect("here");
        listeners.push(listener);
    }
    let mut full = 0;
    for _ in 0..60 {
        let answer = talker.ask("broadcast 10 16000")?;
        let word = |name: &str| -> u64 {
            let mut words = answer.split(' ').skip_while(|word| *word != name).skip(1);
            words.next().and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        full += word("full");
        assert_eq!(word("other"), 0, "{answer}");
        let now = server.master().pss_bytes()?;
        assert!(now < before + 8 * MIB + MARGIN, "{} KiB more", now.saturating_sub(before) / 1024);
    }
    assert!(full > 0, "never full");
    assert_eq!(talker.ask("echo fine")?, "fine");
    drop((listeners, talker));
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("closed_slow_reader"), 0, "who answers full closes nobody: {books}");
    Ok(())
}

#[test]
fn a_slow_reader_gets_every_byte_in_order_in_the_end() -> TestResult {
    let server = small_probe().start()?;
    let mut slow = Talk::with(deaf(&server)?);
    // The handler tries again while the session is full: it waits for this client, nobody else has
    // to be served.
    slow.say("bigs 12000000 50000")?;
    let wanted: Vec<u8> = pattern(12_000_000);
    let mut got = Vec::new();
    while got.len() < wanted.len() {
        got.extend(slow.bytes(100_000)?);
    }
    assert!(got == wanted, "the bytes differ");
    assert_eq!(slow.ask("echo and on")?, "and on");
    server.stop()
}

#[test]
fn what_was_accepted_for_a_deaf_session_is_written_when_it_reads() -> TestResult {
    let server = probe().set("send_queue_high", "1M").set("send_queue_max", "4M").start()?;
    let mut talker = Talk::new(&server)?;
    let mut listener = Talk::with(deaf(&server)?);
    let id = listener.number("id")?;
    let mut accepted = 0;
    loop {
        let answer = talker.ask(&format!("flood {id} 1 30000"))?;
        if answer.starts_with("ok 0 full 1 ") {
            break;
        }
        assert!(answer.starts_with("ok 1 "), "{answer}");
        accepted += 1;
        assert!(accepted < 10_000, "never full");
    }
    for _ in 0..accepted {
        assert!(listener.bytes(30_000)? == pattern(30_000), "the bytes differ");
    }
    listener.expect_silence();
    assert_eq!(listener.ask("echo on")?, "on");
    server.stop()
}

#[test]
fn clients_that_only_send_are_held_back_by_tcp() -> TestResult {
    let server = TestServer::echo()
        .set("harden", "off")
        .set("workers", 2)
        .set("reactors", 2)
        .set("memory_budget", "8M")
        .expect_log(LACKS)
        .start()?;
    let mut good = server.connect()?;
    good.send(b"warm")?;
    good.expect(b"warm")?;
    let before = server.master().pss_bytes()?;
    let mut senders = Vec::new();
    let bytes = vec![b'x'; 4 << 20];
    for _ in 0..20 {
        let mut sender = deaf(&server)?;
        // Blocked or closed: both are bounds.
        let _sent = sender.send_until_blocked(&bytes, std::time::Duration::from_millis(50));
        senders.push(sender);
        good.send(b"me too")?;
        good.expect(b"me too")?;
    }
    let now = server.master().pss_bytes()?;
    assert!(now < before + 8 * MIB + MARGIN, "{} KiB more", now.saturating_sub(before) / 1024);
    drop((senders, good));
    server.stop()
}

#[test]
fn half_packages_are_charged_and_the_largest_goes_first() -> TestResult {
    let server = probe()
        .set("harden", "off")
        .set("memory_budget", "8M")
        .set("package_max_length", "2M")
        .expect_log(LACKS)
        .start()?;
    let mut good = Talk::new(&server)?;
    assert_eq!(good.ask("echo warm")?, "warm");
    let before = server.master().pss_bytes()?;
    let mut halves = Vec::new();
    let half = vec![b'x'; 1_900_000];
    for _ in 0..20 {
        let mut client = server.connect()?;
        let _sent = client.send_until_blocked(&half, std::time::Duration::from_millis(200));
        halves.push(client);
        assert_eq!(good.ask("echo me too")?, "me too");
        let now = server.master().pss_bytes()?;
        assert!(now < before + 8 * MIB + MARGIN, "{} KiB more", now.saturating_sub(before) / 1024);
    }
    drop((halves, good));
    let books = server.stop_and_report()?.books()?;
    assert!(books.detail("closed_memory_budget") > 0, "{books}");
    Ok(())
}

#[test]
fn big_packages_in_many_hands_are_charged() -> TestResult {
    let server = small_probe()
        .set("harden", "off")
        .set("memory_budget", "16M")
        .set("crash_policy", "redeliver:1")
        .expect_log(LACKS)
        .start()?;
    let mut good = Talk::new(&server)?;
    assert_eq!(good.ask("echo warm")?, "warm");
    let before = server.master().pss_bytes()?;
    let mut held = Vec::new();
    for index in 0..20 {
        let mut talk = Talk::new(&server)?;
        let mut line = b"hold ".to_vec();
        line.resize(1_500_000 + index, b'x');
        line.push(b'\n');
        // Too much for the budget: some are closed for it.
        let _sent = talk.client.send(&line);
        held.push(talk);
        let _served = good.ask("echo me too");
    }
    let now = server.master().pss_bytes()?;
    assert!(now < before + 16 * MIB + MARGIN, "{} KiB more", now.saturating_sub(before) / 1024);
    for talk in held {
        talk.client.abort()?;
    }
    drop(good);
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("release all")?, "ok");
    let line = format!("sum {}\n", "y".repeat(100_000));
    talk.client.send(line.as_bytes())?;
    let wanted = format!("sum {} {}", line.len(), checksum(line.as_bytes()));
    assert_eq!(talk.line()?, wanted);
    server.stop()
}

#[test]
fn an_idle_server_does_not_wake_up() -> TestResult {
    let server = probe().start()?;
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut talk = Talk::new(&server)?;
        assert_eq!(talk.ask("echo x")?, "x");
        clients.push(talk);
    }
    expect_idle(&server)?;
    let processes = server.tree().processes().len();
    let mark = server.log().mark();
    server.signal(Signal::USR1);
    server.log().wait_after(mark, "reload finished")?;
    server.wait_for("the replaced workers' end", |server| {
        server.tree().processes().len() == processes
    })?;
    expect_idle(&server)?;
    drop(clients);
    expect_idle(&server)?;
    server.stop()
}
