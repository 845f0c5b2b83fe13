//! Supervision.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ostler_testkit::{DEADLINE, Signal, TestResult, TestServer, wait_until};

use crate::Effect;
use crate::crew::Crew;
use crate::daemon::Place;
use crate::talk::{Scratch, Talk, probe, small_probe};

pub(crate) const EFFECTS: &[(&str, Effect)] = &[
    ("drain_timeout_ms", drain_timeout_ms_ends_a_leaving_worker),
    ("shutdown_timeout_ms", shutdown_timeout_ms_ends_a_drain),
    ("succession_sessions", succession_sessions_says_who_keeps_the_clients),
    ("succession_timeout_ms", succession_timeout_ms_ends_who_stays_with_an_old_master),
    ("boot_timeout_ms", boot_timeout_ms_ends_a_start_that_hangs),
    ("slot_down_ms", slot_down_ms_moves_hashed_sessions),
    ("slot_down_ms", slot_down_ms_refuses_clients_without_a_worker),
    ("back_off_min_ms", back_off_grows_from_min_to_max),
    ("back_off_max_ms", back_off_grows_from_min_to_max),
    ("fork_interval_ms", fork_interval_ms_spaces_forks),
    ("max_requests", max_requests_replaces_a_worker),
    ("recycle_at_once", recycle_at_once_bounds_how_many_leave),
    ("reload_parallel", reload_parallel_says_how_many_are_replaced_at_once),
];

/// Shorter than the default of both drains, 10 s, and longer than a machine under load needs for
/// what is waited for.
const SOONER: Duration = Duration::from_secs(8);

/// Lets a worker hold a package of a client, and waits until it does.
fn hold(server: &TestServer) -> TestResult<Talk> {
    let mut holder = Talk::new(server)?;
    holder.say("hold")?;
    // The one worker takes one after the other.
    let mut other = Talk::new(server)?;
    assert_eq!(other.ask("echo held")?, "held");
    Ok(holder)
}

#[test]
fn drain_timeout_ms_ends_a_leaving_worker() -> TestResult {
    const TIMEOUT: Duration = Duration::from_millis(1_500);
    let server = small_probe()
        .set("drain_timeout_ms", TIMEOUT.as_millis())
        .expect_log("did not leave in time")
        .expect_log("before it had finished")
        .start()?;
    let holder = hold(&server)?;
    let (mark, asked) = (server.log().mark(), Instant::now());
    server.signal(Signal::USR1);
    server.log().wait_after(mark, "did not leave in time")?;
    let waited = asked.elapsed();
    assert!(waited >= TIMEOUT && waited < SOONER, "{waited:?}");
    holder.expect_closed();
    server.stop()
}

#[test]
fn shutdown_timeout_ms_ends_a_drain() -> TestResult {
    const TIMEOUT: Duration = Duration::from_millis(1_500);
    let server = small_probe()
        .set("shutdown_timeout_ms", TIMEOUT.as_millis())
        .expect_log("drain")
        .expect_log("worker")
        .start()?;
    let holder = hold(&server)?;
    let asked = Instant::now();
    server.signal(Signal::TERM);
    server.wait_for_log("the drain took too long")?;
    let waited = asked.elapsed();
    assert!(waited >= TIMEOUT && waited < SOONER, "{waited:?}");
    let ended = server.wait_end()?;
    assert_eq!(ended.code(), Some(0));
    ended.check_books()?;
    holder.expect_closed();
    Ok(())
}

/// A client would stay for ever.
#[test]
fn succession_timeout_ms_ends_who_stays_with_an_old_master() -> TestResult {
    let place = Place::new("succession-timeout")?;
    let drain = ("succession_sessions", "drain");
    let options = [("workers", "1"), ("succession_timeout_ms", "300"), drain];
    let old = place.start("ostler-echo", &options)?;
    let mut stays = TcpStream::connect(old.address)?;
    stays.set_read_timeout(Some(DEADLINE))?;
    stays.write_all(b"x")?;
    assert_eq!(stays.read(&mut [0; 8])?, 1);
    old.signal(Signal::USR2)?;
    place.wait_for_log("succession_timeout_ms is over")?;
    assert_eq!(stays.read(&mut [0; 8])?, 0);
    wait_until("the old master to end", || old.has_ended())?;
    place.daemon_at(old.address)?.stop(&place)
}

#[test]
fn succession_sessions_says_who_keeps_the_clients() -> TestResult {
    for (word, goes) in [("hand_over", true), ("drain", false)] {
        let place = Place::new(&format!("succession-{word}"))?;
        let options = [("workers", "1"), ("succession_sessions", word)];
        let old = place.start("ostler-echo", &options)?;
        let mut client = TcpStream::connect(old.address)?;
        client.set_read_timeout(Some(DEADLINE))?;
        client.write_all(b"x")?;
        assert_eq!(client.read(&mut [0; 8])?, 1);
        old.signal(Signal::USR2)?;
        place.wait_for_log("has taken over from the old master")?;
        if goes {
            wait_until("the old master to end", || old.has_ended())?;
        }
        client.write_all(b"y")?;
        assert_eq!(client.read(&mut [0; 8])?, 1);
        assert_eq!(old.has_ended(), goes);
        drop(client);
        wait_until("the old master to end", || old.has_ended())?;
        assert_eq!(place.log().contains("handed_over=1"), goes);
        place.daemon_at(old.address)?.stop(&place)?;
    }
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
    let (mark, asked) = (server.log().mark(), Instant::now());
    server.signal(Signal::USR1);
    let line = server.log().wait_after(mark, "reload finished")?;
    assert!(asked.elapsed() < SOONER, "far sooner than by default: {:?}", asked.elapsed());
    assert!(line.contains("nothing changed"), "{line}");
    assert!(talk.ask("whoami")?.starts_with("w0.1 "), "the old one serves on");
    std::fs::remove_file(&hang)?;
    server.stop()
}

#[test]
fn slot_down_ms_moves_hashed_sessions() -> TestResult {
    // More than the default: sessions that move sooner show it.
    const DOWN: Duration = Duration::from_millis(2_500);
    let scratch = Scratch::new("down")?;
    let fail = scratch.path("fail");
    let server = probe()
        .set("crash_policy", "drop")
        .set("dispatch", "session_hash")
        .set("slot_down_ms", DOWN.as_millis())
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
    let killed = Instant::now();
    server.worker(0).kill();
    // Slot 0 does not come back; its sessions are served by the other after a while, and not
    // before.
    for (home, talk) in &mut talks {
        assert!(talk.ask("whoami")?.starts_with("w1"));
        assert!(home.starts_with("w1") || killed.elapsed() >= DOWN, "{:?}", killed.elapsed());
    }
    std::fs::remove_file(&fail)?;
    server.stop()
}

/// All workers are broken after a good start: who asks learns it, and later it goes on.
#[test]
fn slot_down_ms_refuses_clients_without_a_worker() -> TestResult {
    // More than the default: who is refused sooner shows it.
    const DOWN: Duration = Duration::from_millis(2_500);
    let scratch = Scratch::new("refuse")?;
    let fail = scratch.path("fail");
    let server = small_probe()
        .set("slot_down_ms", DOWN.as_millis())
        .set("back_off_max_ms", 100)
        .env("PROBE_FAIL_START_IF_EXISTS", &fail)
        .expect_log("died")
        .expect_log("often")
        .expect_log("told to fail")
        .expect_log("no worker serves")
        .start()?;
    let (mut waiting, mut idle) = (Talk::new(&server)?, Talk::new(&server)?);
    assert_eq!(waiting.ask("echo x")?, "x");
    assert_eq!(idle.ask("echo x")?, "x");
    server.wait_for_rest()?;
    scratch.make("fail")?;
    let killed = Instant::now();
    server.worker(0).kill();
    server.wait_for_log("died")?;
    waiting.say("echo nobody")?;
    waiting.expect_closed();
    assert!(killed.elapsed() >= DOWN, "{:?}", killed.elapsed());
    Talk::new(&server)?.expect_closed();
    std::fs::remove_file(&fail)?;
    server.wait_for_log("clients are served again")?;
    assert_eq!(idle.ask("echo again")?, "again", "who asked for nothing was not closed");
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("closed_no_worker"), 2, "{books}");
    Ok(())
}

#[test]
fn back_off_grows_from_min_to_max() -> TestResult {
    let scratch = Scratch::new("backoff")?;
    let fail = scratch.path("fail");
    let server = small_probe()
        .set("log_level", "debug")
        .set("slot_down_ms", 3_600_000)
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

/// The time is measured from fork to fork: neither from the death of the process before, nor from
/// its readiness.
#[test]
fn fork_interval_ms_spaces_forks() -> TestResult {
    const INTERVAL: Duration = Duration::from_millis(1_500);
    let started = Instant::now();
    let server = small_probe()
        .set("slot_down_ms", 3_600_000)
        .set("crash_policy", "drop")
        .set("fork_interval_ms", INTERVAL.as_millis())
        .expect_log("died")
        .start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("echo x")?, "x");
    server.worker(0).kill();
    assert_eq!(talk.ask("echo y")?, "y");
    // The first fork was after `started`, the second at least the interval after the first.
    assert!(started.elapsed() >= INTERVAL, "{:?}", started.elapsed());
    // Now the interval since the second fork goes by before the death: nothing is left to wait for.
    std::thread::sleep(INTERVAL);
    let killed = Instant::now();
    server.worker(0).kill();
    assert_eq!(talk.ask("echo z")?, "z");
    assert!(killed.elapsed() < INTERVAL, "{:?}", killed.elapsed());
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
            // A session stays with its worker, so that it is known who holds a package where.
            .set("dispatch", "session_hash")
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
            holders.insert(talk.ask("whoami")?);
            talk.say("hold")?;
            talks.push(talk);
        }
        let mut asking = Vec::new();
        let mut asked = BTreeSet::new();
        while asked.len() < 3 {
            let mut talk = Talk::new(&server)?;
            asked.insert(talk.ask("whoami")?);
            asking.push(talk);
        }
        let mut ask_all = || asking.iter_mut().try_for_each(|talk| talk.ask("whoami").map(drop));
        let exits = || {
            let lines = scratch.lines("journal");
            lines.iter().filter(|line| line.ends_with(".1 exit")).count()
        };
        server.wait_for("those that may leave", |_| {
            let _served = ask_all();
            exits() == at_once
        })?;
        // More than enough for all of them.
        for _ in 0..50 {
            ask_all()?;
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

/// Starts wait for a file, but that of the first worker; the others begin as far as they may.
#[test]
fn reload_parallel_says_how_many_are_replaced_at_once() -> TestResult {
    for at_once in [None, Some(3)] {
        let crew = Crew::new()?;
        let server = crew.server(5, &[]);
        let server = match at_once {
            Some(at_once) => server.set("reload_parallel", at_once),
            None => server,
        };
        let server = server.start()?;
        for worker in 0..5 {
            server.wait_for_log(&format!("serves worker=w{worker}."))?;
        }
        for worker in 1..5 {
            crew.touch(&format!("hold_w{worker}"))?;
        }
        server.signal(Signal::USR1);
        let held = || crew.journal().iter().filter(|line| line.contains("is held")).count();
        let most = at_once.unwrap_or(1);
        server.wait_for("as many starts as there may be", |_| held() == most)?;
        // Whoever else was to begin would have been forked with the last of them.
        let mut talk = Talk::new(&server)?;
        assert_eq!(talk.ask("still served")?, "still served");
        assert_eq!(held(), most);
        for worker in 1..5 {
            crew.remove(&format!("hold_w{worker}"))?;
        }
        server.wait_for_log("reload finished: every worker is new")?;
        server.stop()?;
    }
    Ok(())
}
