//! Groups of sessions: who is in one hears what is sent to it, whatever becomes of workers.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod base;
mod lives;
mod slow;
#[path = "../talk/mod.rs"]
mod talk;

use std::collections::BTreeSet;

use ostler_testkit::{Ended, GroupBooks, TestResult, TestServer, wait_until};
use talk::{Talk, probe, small_probe};

/// Clients of whom each has joined a group.
fn members(server: &TestServer, group: &str, count: usize) -> TestResult<Vec<Talk>> {
    let mut talks = Vec::new();
    for _ in 0..count {
        let mut talk = Talk::new(server)?;
        talk.expect_answer(&format!("join {group}"), "ok")?;
        talks.push(talk);
    }
    Ok(talks)
}

/// Waits until a group has so many members.
fn wait_len(talk: &mut Talk, group: &str, len: u64) -> TestResult {
    let question = format!("grouplen {group}");
    wait_until("the members of a group", || talk.number(&question).is_ok_and(|now| now == len))
}

fn group_books(ended: &Ended) -> TestResult<GroupBooks> {
    GroupBooks::of_log(ended.log())
}

#[test]
fn everybody_in_a_group_hears_what_is_sent_to_it_and_nobody_else() -> TestResult {
    let server = probe().start()?;
    let mut kitchen = members(&server, "kitchen", 12)?;
    let mut garden = members(&server, "garden", 3)?;
    let mut alone = Talk::new(&server)?;
    wait_len(&mut alone, "kitchen", 12)?;
    wait_len(&mut alone, "garden", 3)?;
    alone.expect_answer("grouplen cellar", "0")?;
    let ids: BTreeSet<u64> =
        kitchen.iter_mut().map(|talk| talk.number("id")).collect::<TestResult<_>>()?;
    let shown = alone.ask("members kitchen 100")?;
    let shown: BTreeSet<u64> = shown.split(' ').filter_map(|id| id.parse().ok()).collect();
    assert_eq!(shown, ids);
    assert_eq!(alone.ask("members kitchen 5")?.split(' ').count(), 5);
    kitchen[0].expect_answer("isin kitchen", "true")?;
    kitchen[0].expect_answer("isin garden", "false")?;
    alone.expect_answer("cast kitchen dinner", "ok")?;
    for talk in &mut kitchen {
        talk.expect("dinner");
    }
    kitchen[0].expect_answer("castothers kitchen soup", "ok")?;
    for talk in &mut kitchen[1..] {
        talk.expect("soup");
    }
    garden[0].expect_silence();
    alone.expect_answer("cast cellar nobody", "ok")?;
    let books = group_books(&server.stop_and_report()?)?;
    let figures = ["joined", "ended", "delivered"].map(|name| books.get(name));
    assert_eq!(figures, [15, 15, 12 + 11], "{books:?}");
    Ok(())
}

#[test]
fn who_leaves_or_ends_is_in_no_group_any_more() -> TestResult {
    let server = probe().start()?;
    let mut talks = members(&server, "room", 4)?;
    talks[0].expect_answer("join room", "ok")?;
    talks[0].expect_answer("join other", "ok")?;
    wait_len(&mut talks[0], "other", 1)?;
    wait_len(&mut talks[0], "room", 4)?;
    talks[1].expect_answer("part room", "ok")?;
    talks[1].expect_answer("part room", "ok")?;
    talks[1].expect_answer("part unknown", "ok")?;
    wait_len(&mut talks[0], "room", 3)?;
    drop(talks.remove(2));
    wait_len(&mut talks[0], "room", 2)?;
    talks[0].expect_answer("castothers room on", "ok")?;
    talks[2].expect("on");
    talks[1].expect_silence();
    let books = group_books(&server.stop_and_report()?)?;
    let figures = ["joined", "left", "ended", "delivered"].map(|name| books.get(name));
    assert_eq!(figures, [5, 1, 4, 1], "{books:?}");
    Ok(())
}

#[test]
fn names_have_1_to_255_bytes() -> TestResult {
    let server = small_probe().start()?;
    let mut talk = Talk::new(&server)?;
    for (len, expected) in [(0, "bad_name"), (1, "ok"), (255, "ok"), (256, "bad_name")] {
        talk.expect_answer(&format!("joinbig {len}"), expected)?;
    }
    talk.expect_answer("joinbig 4000", "bad_name")?;
    talk.expect_answer("cast  to-nobody", "bad_name")?;
    talk.expect_answer(&format!("cast {} x", "y".repeat(300)), "bad_name")?;
    let books = group_books(&server.stop_and_report()?)?;
    assert_eq!((books.get("joined"), books.get("messages")), (2, 0));
    Ok(())
}

/// What one worker sends to a member comes in one order, also while so many are served that it
/// takes several turns.
#[test]
fn messages_to_a_group_and_to_a_session_come_in_the_order_in_which_they_were_sent() -> TestResult {
    const MEMBERS: usize = 600;
    const ROUNDS: usize = 50;
    let server = probe().set("max_connections", 1_000).start()?;
    let mut talks = members(&server, "all", MEMBERS)?;
    let mut speaker = Talk::new(&server)?;
    wait_len(&mut speaker, "all", MEMBERS as u64)?;
    let first = talks[0].number("id")?;
    speaker.expect_answer(&format!("castmixed all {first} {ROUNDS}"), "ok")?;
    for number in 0..ROUNDS {
        talks[0].expect(&format!("group {number}"));
        talks[0].expect(&format!("alone {number}"));
    }
    for talk in &mut talks[1..] {
        for number in 0..ROUNDS {
            talk.expect(&format!("group {number}"));
        }
    }
    drop(talks);
    let books = group_books(&server.stop_and_report()?)?;
    assert_eq!(books.get("delivered"), (MEMBERS * ROUNDS) as u64, "{books:?}");
    Ok(())
}

#[test]
fn a_message_that_is_longer_than_a_record_reaches_everybody_whole() -> TestResult {
    let server = probe().set("send_queue_high", "16M").set("send_queue_max", "16M").start()?;
    let mut talks = members(&server, "all", 8)?;
    let mut speaker = Talk::new(&server)?;
    wait_len(&mut speaker, "all", 8)?;
    for len in [0, 1, 16_000, 17_000, 100_000, 2 << 20] {
        speaker.expect_answer(&format!("castflood all 2 {len}"), "ok 2 of 2")?;
        for talk in &mut talks {
            for _ in 0..2 {
                assert!(talk.bytes(len)? == talk::pattern(len), "{len} bytes are not as sent");
            }
        }
    }
    speaker.expect_answer(&format!("castflood all 1 {}", (2 << 20) + 1), "ok 0 of 1")?;
    server.stop()
}

#[test]
fn there_may_be_very_many_groups() -> TestResult {
    const EACH: u64 = 200;
    let server = probe().set("session_groups_max", 256).start()?;
    let mut talks = Vec::new();
    for number in 0..50 {
        let mut talk = Talk::new(&server)?;
        talk.expect_answer(&format!("joinmany g{number}- {EACH}"), "ok")?;
        talks.push(talk);
    }
    wait_len(&mut talks[0], "g49-199", 1)?;
    talks[0].expect_answer("cast g17-33 yours", "ok")?;
    talks[17].expect("yours");
    talks[0].expect_answer("grouplen g17-33", "1")?;
    drop(talks.split_off(1));
    wait_len(&mut talks[0], "g17-33", 0)?;
    let books = group_books(&server.stop_and_report()?)?;
    assert_eq!((books.get("joined"), books.get("ended")), (50 * EACH, 50 * EACH), "{books:?}");
    Ok(())
}
