//! Effects of the modes of dispatch.

use std::collections::BTreeSet;

use ostler_testkit::{TestResult, TestServer};

use crate::Effect;
use crate::talk::{Scratch, Talk, probe, small_probe};

pub(crate) const EFFECTS: &[(&str, Effect)] = &[
    ("connect_events", connect_events_switch_two_callbacks_off),
    ("discard_gone_packages", discard_gone_packages_spares_work_for_nobody),
    ("accept_confirm", accept_confirm_reads_nothing_before_a_handler_allows_it),
    ("dispatch", dispatch_address_hash_keeps_an_address_with_one_worker),
    ("dispatch", dispatch_user_id_follows_the_number_to_which_a_session_is_bound),
    ("dispatch", dispatch_user_function_decides_before_the_first_package),
    ("dispatch", dispatch_least_in_hand_avoids_who_has_deferred_much),
    ("dispatch", dispatch_sticky_stays_and_begins_at_a_free_worker),
    ("dispatch", dispatch_pull_gives_packages_of_one_session_to_several_workers),
];

fn three_workers(dispatch: &str) -> TestResult<TestServer> {
    let server = probe().set("workers", 3).set("reactors", 1).set("dispatch", dispatch).start()?;
    for worker in 0..3 {
        server.wait_for_log(&format!("serves worker=w{worker}."))?;
    }
    Ok(server)
}

/// The workers that answer a session, so many times.
fn workers_of(talk: &mut Talk, times: usize) -> TestResult<BTreeSet<String>> {
    (0..times).map(|_| talk.ask("whoami")).collect()
}

#[test]
fn dispatch_address_hash_keeps_an_address_with_one_worker() -> TestResult {
    let server = three_workers("address_hash")?;
    let mut seen = BTreeSet::new();
    for _ in 0..12 {
        seen.append(&mut workers_of(&mut Talk::new(&server)?, 2)?);
    }
    assert_eq!(seen.len(), 1, "12 sessions of one address: {seen:?}");
    server.stop()
}

#[test]
fn dispatch_user_id_follows_the_number_to_which_a_session_is_bound() -> TestResult {
    let server = three_workers("user_id")?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("user")?, "none");
    assert_eq!(workers_of(&mut talk, 5)?.len(), 1, "by its id");
    for user in [7, 6, 4_294_967_294_u32] {
        assert_eq!(talk.ask(&format!("bind {user}"))?, "ok");
        // The answer comes before the package is finished.
        server.wait_for_rest()?;
        assert_eq!(talk.ask("user")?, user.to_string());
        let seen = workers_of(&mut talk, 5)?;
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert!(seen.iter().all(|who| who.starts_with(&format!("w{}.", user % 3))), "{seen:?}");
    }
    server.stop()
}

#[test]
fn dispatch_user_function_decides_before_the_first_package() -> TestResult {
    for user in [1_u32, 2, 3] {
        let server = probe()
            .set("workers", 3)
            .set("dispatch", "user_function")
            .env("PROBE_BIND", user.to_string())
            .start()?;
        for worker in 0..3 {
            server.wait_for_log(&format!("serves worker=w{worker}."))?;
        }
        for _ in 0..4 {
            let mut talk = Talk::new(&server)?;
            // Sent at once: the first is there before the connect event is handled.
            talk.say("whoami")?;
            talk.say("whoami")?;
            for _ in 0..2 {
                let who = talk.line()?;
                assert!(who.starts_with(&format!("w{}.", user % 3)), "{who} for {user}");
            }
        }
        server.stop()?;
    }
    Ok(())
}

/// A session whose worker has deferred eight packages of it, and that worker.
fn holder(server: &TestServer) -> TestResult<(Talk, String)> {
    let mut talk = Talk::new(server)?;
    let who = talk.ask("whoami")?;
    for _ in 0..8 {
        talk.say("hold")?;
    }
    Ok((talk, who))
}

/// The answers to `release here`.
fn released(talk: &mut Talk) -> TestResult {
    (0..8).for_each(|_| talk.expect("released here"));
    talk.expect("ok");
    Ok(())
}

#[test]
fn dispatch_least_in_hand_avoids_who_has_deferred_much() -> TestResult {
    let scratch = Scratch::new("least")?;
    let server = probe()
        .set("reactors", 1)
        .set("dispatch", "least_in_hand")
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .start()?;
    for worker in 0..2 {
        server.wait_for_log(&format!("serves worker=w{worker}."))?;
    }
    let (_busy, who) = holder(&server)?;
    let busy = who.split(' ').next().unwrap_or_default();
    // Sessions of one deferred package each, until both workers would have as many. The callbacks
    // are over at once, so that both look idle all the time. One may be moved while its worker is
    // not scheduled; the next ones make up for that.
    let mut others = Vec::new();
    for number in 0..24 {
        let mut other = Talk::new(&server)?;
        other.say("hold")?;
        scratch.wait_received(10 + number)?;
        others.push(other);
    }
    let received = scratch.lines("journal");
    let of_busy = |line: &&String| line.starts_with(&format!("{busy} receive "));
    let at_busy = received.iter().filter(of_busy).count() - 1;
    assert!((13..=19).contains(&at_busy), "{at_busy} of 32 at the worker that began with 8");
    for talk in &mut others {
        talk.say("release here")?;
    }
    for talk in &mut others {
        talk.line()?;
    }
    server.stop()
}

#[test]
fn dispatch_sticky_stays_and_begins_at_a_free_worker() -> TestResult {
    let scratch = Scratch::new("sticky")?;
    let server = probe()
        .set("workers", 3)
        .set("reactors", 1)
        .set("dispatch", "sticky")
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .start()?;
    for worker in 0..3 {
        server.wait_for_log(&format!("serves worker=w{worker}."))?;
    }
    let (mut busy, home) = holder(&server)?;
    scratch.wait_received(9)?;
    let mut others = Vec::new();
    for _ in 0..6 {
        let mut talk = Talk::new(&server)?;
        let who = talk.ask("whoami")?;
        assert_ne!(who, home, "it has eight packages in hand");
        others.push((talk, who));
    }
    busy.say("release here")?;
    released(&mut busy)?;
    others.push((busy, home));
    for round in 0..5 {
        for (talk, who) in &mut others {
            assert_eq!(talk.ask("whoami")?, *who, "round {round}");
        }
    }
    server.stop()
}

#[test]
fn dispatch_pull_gives_packages_of_one_session_to_several_workers() -> TestResult {
    let scratch = Scratch::new("pull")?;
    let server = probe()
        .set("reactors", 1)
        .set("dispatch", "pull")
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .start()?;
    for worker in 0..2 {
        server.wait_for_log(&format!("serves worker=w{worker}."))?;
    }
    let mut talk = Talk::new(&server)?;
    let until = |file: &str| format!("until {} {file}\n", scratch.path(file).display());
    let id = talk.ask("id")?;
    let both = until("first") + &until("second") + "echo third\n";
    talk.client.send(both.as_bytes())?;
    // Whoever works on the second has finished it before the third is given to anybody.
    scratch.wait_received(3)?;
    talk.expect_silence();
    scratch.make("second")?;
    talk.expect("second");
    talk.expect("third");
    scratch.make("first")?;
    talk.expect("first");
    drop(talk);
    let closes = |line: &String| line.contains(&format!(" close {id} "));
    ostler_testkit::wait_until("the close event", || scratch.lines("journal").iter().any(closes))?;
    let lines = scratch.lines("journal");
    let own: Vec<_> = lines.iter().filter(|line| line.contains(&format!(" {id}"))).collect();
    assert!(own.first().is_some_and(|line| line.contains(" connect ")), "{own:?}");
    assert!(own.last().is_some_and(|line| closes(line)), "{own:?}");
    server.stop()
}

#[test]
fn connect_events_switch_two_callbacks_off() -> TestResult {
    for (events, expected) in [("on", true), ("off", false)] {
        let scratch = Scratch::new("events")?;
        let server = small_probe()
            .set("connect_events", events)
            .env("PROBE_JOURNAL", scratch.path("journal"))
            .start()?;
        for _ in 0..3 {
            let mut talk = Talk::new(&server)?;
            assert_eq!(talk.ask("echo 1")?, "1");
            talk.client.half_close()?;
            talk.expect_eof();
        }
        server.stop()?;
        let lines = scratch.lines("journal");
        let of = |word: &str| lines.iter().filter(|line| line.contains(word)).count();
        let events = if expected { 3 } else { 0 };
        assert_eq!((of(" receive "), of(" connect "), of(" close ")), (3, events, events));
    }
    Ok(())
}

#[test]
fn discard_gone_packages_spares_work_for_nobody() -> TestResult {
    for (discards, handled) in [("off", 4), ("on", 1)] {
        let scratch = Scratch::new("gone")?;
        let server = small_probe()
            .set("discard_gone_packages", discards)
            .set("log_level", "debug")
            .set("prefetch_us", 0)
            .env("PROBE_JOURNAL", scratch.path("journal"))
            .start()?;
        let mut talk = Talk::new(&server)?;
        talk.say(&format!("until {} done", scratch.path("go").display()))?;
        scratch.wait_received(1)?;
        (0..3).try_for_each(|_| talk.say("echo 1"))?;
        let mut watcher = Talk::new(&server)?;
        // With a reset: the connection has failed, and not only ended.
        talk.client.abort()?;
        server.wait_for_log("session closed")?;
        scratch.make("go")?;
        assert_eq!(watcher.ask("echo 2")?, "2");
        server.wait_for_rest()?;
        server.stop()?;
        let lines = scratch.lines("journal");
        let received = lines.iter().filter(|line| line.contains(" receive ")).count();
        assert_eq!(received, handled + 1, "{discards}: {lines:?}");
    }
    Ok(())
}

#[test]
fn accept_confirm_reads_nothing_before_a_handler_allows_it() -> TestResult {
    let scratch = Scratch::new("confirm")?;
    let server = small_probe()
        .set("accept_confirm", "on")
        .env("PROBE_CONFIRM_IF_EXISTS", scratch.path("open"))
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .start()?;
    let mut early = Talk::new(&server)?;
    early.say("echo early")?;
    early.expect_silence();
    scratch.make("open")?;
    let mut late = Talk::new(&server)?;
    let id: u64 = late.number("id")?;
    assert_eq!(late.ask("echo late")?, "late");
    let connects = |line: &&String| line.contains(" connect ") && !line.contains(&id.to_string());
    let first = scratch.lines("journal").iter().find(connects).cloned().unwrap_or_default();
    let first = first.rsplit(' ').next().unwrap_or_default().to_owned();
    assert_eq!(late.ask(&format!("confirmof {first}"))?, "ok");
    early.expect("early");
    server.stop()
}
