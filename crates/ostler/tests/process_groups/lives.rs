//! What becomes of groups when workers die or are replaced.

use ostler_testkit::{Signal, TestResult, wait_until};

use crate::talk::{Talk, probe, small_probe};
use crate::{group_books, members, wait_len};

#[test]
fn the_death_of_every_worker_leaves_nobody_out() -> TestResult {
    let server = probe().expect_log("worker died").expect_log("before it served").start()?;
    let mut talks = members(&server, "room", 10)?;
    wait_len(&mut talks[0], "room", 10)?;
    for round in 0..3 {
        server.wait_for_rest()?;
        let before = server.workers();
        before.iter().for_each(|worker| worker.signal(Signal::KILL));
        wait_until("new workers", || {
            let now = server.workers();
            now.len() == 2 && now.iter().all(|worker| !before.contains(worker))
        })?;
        talks[0].expect_answer("grouplen room", "10")?;
        talks[0].expect_answer(&format!("castothers room round {round}"), "ok")?;
        for talk in &mut talks[1..] {
            talk.expect(&format!("round {round}"));
        }
    }
    server.stop()
}

#[test]
fn what_a_delivery_that_is_redelivered_did_to_groups_happens_once() -> TestResult {
    let server = small_probe()
        .set("crash_policy", "redeliver:3")
        .expect_log("worker died")
        .expect_log("before it served")
        .start()?;
    let mut talks = members(&server, "room", 3)?;
    wait_len(&mut talks[0], "room", 3)?;
    let mut speaker = Talk::new(&server)?;
    speaker.say("castonce room hello")?;
    // It is a member when the message comes, which was sent behind.
    speaker.expect("hello");
    speaker.expect("ok");
    for talk in &mut talks {
        talk.expect("hello");
    }
    wait_len(&mut talks[0], "room", 4)?;
    talks.iter_mut().for_each(Talk::expect_silence);
    let books = group_books(&server.stop_and_report()?)?;
    let figures = ["messages", "joined", "delivered"].map(|name| books.get(name));
    assert_eq!(figures, [1, 4, 4], "{books:?}");
    Ok(())
}

#[test]
fn a_reload_changes_nothing() -> TestResult {
    let server = probe().start()?;
    let mut talks = members(&server, "room", 6)?;
    wait_len(&mut talks[0], "room", 6)?;
    server.signal(Signal::HUP);
    server.wait_for_log("reload finished: every worker is new")?;
    talks[5].expect_answer("castothers room new", "ok")?;
    for talk in &mut talks[..5] {
        talk.expect("new");
    }
    server.stop()
}
