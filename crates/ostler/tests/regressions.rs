//! Bugs that were there once, one test each.

mod talk;

use ostler_testkit::{Client, Signal, TestError, TestResult, TestServer, wait_until};
use talk::{Scratch, Talk, checksum, expect_neighbours_served, pattern, probe, small_probe};

/// A worker gave ring space back between the parts of a package without ringing: its reactor slept
/// on.
#[test]
fn a_package_larger_than_the_ring_does_not_wait_for_a_bell() -> TestResult {
    let server = small_probe().start()?;
    let mut talk = Talk::new(&server)?;
    for round in 0..20 {
        let mut line = format!("sum {round} ").into_bytes();
        line.resize(300_000, b'x');
        line.push(b'\n');
        talk.client.send(&line)?;
        assert_eq!(talk.line()?, format!("sum {} {}", line.len(), checksum(&line)));
    }
    server.stop()
}

/// A deferred delivery took its worker's credit: once one had been seen to take long, each blocked
/// all others.
#[test]
fn deferred_packages_do_not_keep_a_worker_from_others() -> TestResult {
    let server = small_probe().start()?;
    let mut talks = Vec::new();
    // The first teaches the reactor that packages take long here.
    let mut first = Talk::new(&server)?;
    first.say("defer 300 taught")?;
    first.expect("taught");
    for _ in 0..20 {
        let mut talk = Talk::new(&server)?;
        talk.say("hold")?;
        talks.push(talk);
    }
    // Held for ever, until this one comes through behind them.
    assert_eq!(first.ask("echo through")?, "through");
    server.wait_for("all to be held", |_| {
        first.number("finished").is_ok_and(|finished| finished >= 2 + 20)
    })?;
    assert_eq!(first.ask("release at last")?, "ok");
    for mut talk in talks {
        talk.expect("released at last");
    }
    server.stop()
}

/// A repeating timer whose callback takes longer than its period was due again at once: no package
/// was handled any more.
#[test]
fn a_busy_timer_does_not_starve_packages() -> TestResult {
    let server = small_probe().start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("busyevery 1 5")?, "busy");
    for round in 0..10 {
        // Long enough for the timer to be due.
        assert_eq!(talk.ask(&format!("sleep 2 {round}"))?, round.to_string());
    }
    assert_eq!(talk.ask("canceltimers")?, "cancelled 1");
    server.stop()
}

/// The unwinding of a panic dropped the token of a deferred delivery, which finished it: its client
/// waited for ever.
#[test]
fn a_panic_does_not_finish_the_deferred_package_it_drops() -> TestResult {
    let server = small_probe().expect_log("told to panic").expect_log("died").start()?;
    let mut talk = Talk::new(&server)?;
    talk.say("deferpanic 10")?;
    talk.expect_closed();
    server.stop()?;
    let server = small_probe()
        .set("crash_policy", "redeliver:2")
        .expect_log("told to panic")
        .expect_log("died")
        .start()?;
    let mut talk = Talk::new(&server)?;
    talk.say("deferpanic 10")?;
    talk.expect("second time");
    server.stop()
}

/// A close by another worker came between the parts of a message: the rest was dropped, and what
/// waited behind it was never written, so that the session did not end.
#[test]
fn a_close_waits_for_the_message_that_is_being_written() -> TestResult {
    const BYTES: usize = 32 << 20;
    let server = probe()
        .set("dispatch", "round_robin")
        .set("max_send_bytes", "32M")
        .set("send_queue_high", "64M")
        .set("send_queue_max", "64M")
        .set("memory_budget", "512M")
        .start()?;
    for _ in 0..5 {
        let (mut big, mut closer) = (Talk::new(&server)?, Talk::new(&server)?);
        let id = big.number("id")?;
        // Which worker a package goes to alternates: these two never meet in one.
        big.say(&format!("big {BYTES}"))?;
        let head = big.bytes(1)?;
        closer.say(&format!("send {id} behind"))?;
        closer.say(&format!("closeof {id}"))?;
        let all = big.rest()?;
        assert_eq!(head, [0]);
        let wanted = pattern(BYTES);
        assert!(all.len() >= BYTES - 1, "{} bytes of {BYTES} came", all.len() + 1);
        assert!(all[..BYTES - 1] == wanted[1..], "the bytes differ");
        let behind = String::from_utf8_lossy(&all[BYTES - 1..]).into_owned();
        assert!(["", "behind\n"].contains(&&*behind), "{behind:?}");
    }
    server.stop()
}

/// A half-close ended the session between the parts of a message that belonged to no delivery.
#[test]
fn a_half_close_waits_for_the_message_that_is_being_written() -> TestResult {
    const BYTES: usize = 8 << 20;
    let server = small_probe()
        .set("max_send_bytes", "8M")
        .set("send_queue_high", "16M")
        .set("send_queue_max", "16M")
        .start()?;
    for _ in 0..5 {
        let mut talk = Talk::new(&server)?;
        talk.say(&format!("afterbig 0 {BYTES}"))?;
        let head = talk.bytes(1)?;
        talk.client.half_close()?;
        let all = talk.rest()?;
        assert!([head, all].concat() == pattern(BYTES), "the bytes differ");
    }
    server.stop()
}

/// One message of legal size was enough to be closed as a slow reader, because each of its parts
/// was measured anew.
#[test]
fn one_message_may_overshoot_the_queue() -> TestResult {
    let server =
        small_probe().set("send_queue_max", "256K").set("max_send_bytes", "16M").start()?;
    let client = Client::connect_with_receive_buffer(server.address(), 4096)?;
    let mut talk = Talk::with(client);
    talk.say(&format!("big {}", 16 << 20))?;
    // It is all with the master, or on its way, when somebody else has been served.
    let mut other = Talk::new(&server)?;
    assert_eq!(other.ask("echo x")?, "x");
    assert!(talk.bytes(16 << 20)? == pattern(16 << 20), "the bytes differ");
    assert_eq!(talk.ask("echo still here")?, "still here");
    server.stop()
}

/// `redeliver_output_bytes` held for deferred deliveries only.
#[test]
fn output_beyond_the_limit_is_not_held_back() -> TestResult {
    let scratch = Scratch::new("limit")?;
    let server = small_probe()
        .set("lane_size", 1 << 20)
        .set("crash_policy", "redeliver:3")
        .set("redeliver_output_bytes", "10K")
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .expect_log("died")
        .start()?;
    let never = scratch.path("never");
    let mut held = Talk::new(&server)?;
    held.say(&format!("senduntil {} 10000", never.display()))?;
    scratch.wait_received(1)?;
    held.expect_silence();
    let old = server.worker(0);
    old.kill();
    server.wait_for("a successor", |s| s.worker(0) != old)?;
    scratch.make("never")?;
    assert!(held.bytes(10_000)? == pattern(10_000), "nothing was seen of it before");
    held.expect("end");
    // More than that is seen while the handler runs, and not delivered again.
    let mut talk = Talk::new(&server)?;
    talk.say(&format!("senduntil {} 20000", scratch.path("no").display()))?;
    assert!(talk.bytes(20_000)? == pattern(20_000), "the bytes differ");
    server.worker(0).kill();
    talk.expect_closed();
    let books = server.stop_and_report()?.books()?;
    assert_eq!((books.detail("redelivered"), books.detail("closed_worker_died")), (1, 1));
    Ok(())
}

/// Connect events held their ring space until the next package came: with more idle clients than
/// the ring has records the rest was never told, and a drain waited for them until its deadline.
#[test]
fn more_idle_clients_than_the_ring_has_records() -> TestResult {
    let server =
        TestServer::echo().set("workers", 1).set("reactors", 1).set("lane_size", "64K").start()?;
    let mut clients = Vec::new();
    for _ in 0..2_500 {
        clients.push(server.connect()?);
    }
    let mut last = server.connect()?;
    last.send(b"hello")?;
    last.expect(b"hello")?;
    server.stop()
}

/// Signals that came to a spare manager waited there, and its promotion read them: a TERM of long
/// ago ended the server when, much later, the manager died.
#[test]
fn a_term_to_the_spare_does_not_end_a_later_manager() -> TestResult {
    let server = TestServer::echo()
        .set("workers", 1)
        .set("crash_policy", "redeliver:3")
        .expect_log("the manager died")
        .start()?;
    let mut client = server.connect()?;
    client.send(b"before")?;
    client.expect(b"before")?;
    let spare = server.spare();
    spare.signal(Signal::TERM);
    server.manager().kill();
    server.wait_for("the spare to be the manager", |server| {
        server.tree().manager().is_some_and(|now| now == spare)
    })?;
    server.wait_for("a worker of the new manager", |server| {
        server.log_lines_with("serves worker=").len() == 2
    })?;
    client.send(b"after")?;
    client.expect(b"after")?;
    check_not(&server, "draining")?;
    server.stop()
}

fn check_not(server: &TestServer, text: &str) -> TestResult {
    let lines = server.log_lines_with(text);
    if lines.is_empty() { Ok(()) } else { Err(TestError::new(format!("said {lines:?}"))) }
}

/// What the workers of a lost manager had started became children of the master, which did not look
/// for them at its end: they outlived the server.
#[test]
fn programs_started_under_a_lost_manager_end_with_the_server() -> TestResult {
    let server = TestServer::echo()
        .set("workers", 1)
        .set("crash_policy", "redeliver:3")
        .handler("orders")
        .expect_log("the manager died")
        .start()?;
    let mut client = server.connect()?;
    client.send(b"spawn")?;
    let pid = String::from_utf8_lossy(&client.read_some()?).into_owned();
    server.manager().kill();
    server.wait_for("a worker of the new manager", |server| {
        server.log_lines_with("serves worker=").len() == 2
    })?;
    server.wait_for("the program to be the master's", |server| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat.split_whitespace().nth(3).map(str::to_owned);
        parent == Some(server.master().pid().to_string())
    })?;
    client.send(b"pid")?;
    client.read_some()?;
    // It has the environment of this server, and `stop` looks for that.
    server.stop()
}

/// Sessions hold their places until a worker has seen their end: whoever came before that was
/// reset.
#[test]
fn who_comes_while_others_leave_waits_for_a_place() -> TestResult {
    let scratch = Scratch::new("places")?;
    let server =
        small_probe().set("max_connections", 4).expect_log("all places are taken").start()?;
    let mut stuck = Talk::new(&server)?;
    stuck.say(&format!("until {} done", scratch.path("go").display()))?;
    // More sessions begin and end than the table has entries, and the only worker sees none of it.
    let mut waiting = Vec::new();
    for _ in 0..40 {
        let mut talk = Talk::new(&server)?;
        talk.say("echo served")?;
        talk.client.half_close()?;
        waiting.push(talk);
    }
    scratch.make("go")?;
    stuck.expect("done");
    for talk in waiting {
        assert_eq!(talk.rest()?, b"served\n");
    }
    server.stop()
}

/// A reactor did not know that a worker was busy with a package of another reactor, and did not
/// take back what it had given to it: the neighbours of a slow request waited for it although
/// another worker was idle.
#[test]
fn a_worker_that_is_busy_for_another_reactor_keeps_nobody_waiting() -> TestResult {
    let scratch = Scratch::new("busy")?;
    let server = probe().set("reactors", 3).set("workers", 2).start()?;
    expect_neighbours_served(&server, &scratch, 9, 20)?;
    server.stop()
}

/// Two workers sent messages in parts to one session: what waited behind the first one's message
/// lost its owner and its order, so that other outputs got in between, or the session was closed as
/// truncated.
#[test]
fn long_messages_of_several_workers_to_one_session_do_not_mix() -> TestResult {
    // Many parts each, and no multiple of the pattern's period.
    const SIZE: usize = 400_003;
    const COUNT: usize = 6;
    const TALKERS: usize = 3;
    let server = probe()
        .set("workers", TALKERS)
        .set("reactors", 1)
        .set("send_queue_high", "32M")
        .set("send_queue_low", "16M")
        .set("send_queue_max", "48M")
        .start()?;
    let mut listener = Talk::new(&server)?;
    let id = listener.number("id")?;
    let mut talkers: Vec<Talk> =
        (0..TALKERS).map(|_| Talk::new(&server)).collect::<TestResult<_>>()?;
    for talker in &mut talkers {
        talker.say(&format!("flood {id} {COUNT} {SIZE}"))?;
    }
    let expected = pattern(SIZE);
    for message in 0..TALKERS * COUNT {
        assert!(listener.bytes(SIZE)? == expected, "message {message} is mixed with another");
    }
    for talker in &mut talkers {
        talker.expect(&format!("ok {COUNT} full 0 gone 0 other 0"));
    }
    server.stop()
}

/// What a callback sent itself after it had deferred its package was published without exposing the
/// delivery: a crash doubled it.
#[test]
fn what_a_callback_sends_after_a_deferral_is_not_doubled() -> TestResult {
    let server = small_probe().set("crash_policy", "redeliver:3").expect_log("died").start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("holdsend seen")?, "seen");
    let old = server.worker(0);
    old.kill();
    server.wait_for("a successor", |s| s.worker(0) != old)?;
    talk.expect_closed();
    // Without a death it is an output like others, and what the token sends comes behind it.
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("holdsend seen")?, "seen");
    let mut other = Talk::new(&server)?;
    assert_eq!(other.ask("release late")?, "ok");
    talk.expect("released late");
    let books = server.stop_and_report()?.books()?;
    assert_eq!((books.detail("redelivered"), books.detail("closed_worker_died")), (0, 1));
    Ok(())
}

/// Deferred deliveries that were finished in one callback were answered in reverse.
#[test]
fn deferred_answers_come_in_the_order_in_which_they_are_given() -> TestResult {
    for policy in ["close", "redeliver:3"] {
        let server = small_probe().set("crash_policy", policy).start()?;
        let mut held = Vec::new();
        for _ in 0..5 {
            let mut talk = Talk::new(&server)?;
            talk.say("hold")?;
            held.push(talk);
        }
        let mut talk = Talk::new(&server)?;
        // What was said first was handled first: there is one worker.
        assert_eq!(talk.ask("echo x")?, "x");
        talk.say("releasehere")?;
        for index in 0..5 {
            talk.expect(&index.to_string());
        }
        server.stop()?;
    }
    Ok(())
}

/// Output of a deferred delivery beyond `redeliver_output_bytes` was not published before its end,
/// and all that it sent later was held without bound.
#[test]
fn deferred_output_beyond_the_limit_does_not_wait() -> TestResult {
    let server = small_probe()
        .set("crash_policy", "redeliver:3")
        .set("redeliver_output_bytes", "10K")
        .start()?;
    let mut talk = Talk::new(&server)?;
    talk.say("holdbig 10 20000")?;
    assert!(talk.bytes(20_000)? == pattern(20_000), "the bytes differ");
    // In the callback of another delivery it waits for the end of that one, and is bounded
    // meanwhile: each of these costs a header too.
    let mut other = Talk::new(&server)?;
    for _ in 0..3 {
        assert_eq!(other.ask("heldflood 100 1000")?, "begin");
        other.expect("ok 9 full 91 other 0");
        for _ in 0..9 {
            assert!(talk.bytes(1_000)? == pattern(1_000), "the bytes differ");
        }
    }
    // One message is taken whatever its size.
    assert_eq!(other.ask("heldflood 2 20000")?, "begin");
    other.expect("ok 1 full 1 other 0");
    assert!(talk.bytes(20_000)? == pattern(20_000), "the bytes differ");
    assert_eq!(other.ask("release last")?, "ok");
    talk.expect("released last");
    server.stop()
}

/// A deferred output for which there was no room vanished: it neither reached its client nor ended
/// the session.
#[test]
fn a_deferred_output_without_room_ends_its_session() -> TestResult {
    let scratch = Scratch::new("noroom")?;
    let server = small_probe()
        .set("crash_policy", "redeliver:3")
        .set("send_timeout_ms", 50)
        .set("send_queue_high", "4M")
        .set("send_queue_max", "8M")
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .expect_log("a deferred output found no room")
        .start()?;
    let mut talk = Talk::new(&server)?;
    talk.say(&format!("stalleddefer {} 10 16000", scratch.path("go").display()))?;
    let journal = |text: &str| scratch.lines("journal").iter().any(|line| line.contains(text));
    wait_until("the handler", || journal("receive"))?;
    // Nobody drains the lane, which has room for four of these messages. All of them are promised.
    server.master().stop()?;
    scratch.make("go")?;
    wait_until("the end of the flood", || journal("flooded ok 10 full 0 other 0"))?;
    server.wait_for_log("a deferred output found no room")?;
    server.master().cont()?;
    let result = talk.rest();
    assert!(result.is_err(), "an orderly end, behind {:?} bytes", result.map(|all| all.len()));
    let mut other = Talk::new(&server)?;
    assert_eq!(other.ask("echo others go on")?, "others go on");
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("closed_worker_reset"), 1);
    Ok(())
}

/// What a deferred delivery sent in the callback of another one counted against that one, which was
/// not delivered again although nothing of it had been seen.
#[test]
fn deferred_output_does_not_expose_the_delivery_it_is_sent_in() -> TestResult {
    let scratch = Scratch::new("notmine")?;
    let server = small_probe()
        .set("crash_policy", "redeliver:3")
        .set("redeliver_output_bytes", "10K")
        .expect_log("died")
        .start()?;
    let mut held = Talk::new(&server)?;
    held.say("holdbig 10 20000")?;
    assert!(held.bytes(20_000)? == pattern(20_000), "the bytes differ");
    let mut talk = Talk::new(&server)?;
    talk.say(&format!("helduntil {} 20000", scratch.path("go").display()))?;
    assert!(held.bytes(20_000)? == pattern(20_000), "the bytes differ");
    server.worker(0).kill();
    held.expect_closed();
    scratch.make("go")?;
    talk.expect("end");
    let books = server.stop_and_report()?.books()?;
    assert_eq!((books.detail("redelivered"), books.detail("closed_worker_died")), (1, 1));
    Ok(())
}

/// A package that was too long cut its session at once: answers to the packages before it were
/// lost.
#[test]
fn packages_before_one_that_is_too_long_are_answered() -> TestResult {
    let server = small_probe().set("package_max_length", 64).start()?;
    let mut talk = Talk::new(&server)?;
    let mut lines = b"sleep 20 first\necho second\n".to_vec();
    lines.extend_from_slice(&[b'x'; 200]);
    talk.client.send(&lines)?;
    talk.expect("first");
    talk.expect("second");
    talk.expect_closed();
    server.stop()
}
