//! Members who do not read hinder nobody.

use ostler_testkit::{Client, TestResult, TestServer};

use crate::talk::{Talk, pattern, small_probe};
use crate::{group_books, members, wait_len};

/// A member whose client does not read.
fn deaf(server: &TestServer, group: &str) -> TestResult<Talk> {
    let mut talk = Talk::with(Client::connect_with_receive_buffer(server.address(), 2_048)?);
    talk.expect_answer(&format!("join {group}"), "ok")?;
    Ok(talk)
}

/// Sends to a group until the one that does not read has missed something for sure; all others get
/// all of it.
fn flood(server: &TestServer, others: usize) -> TestResult<(Talk, u64)> {
    const ROUNDS: usize = 200;
    const BYTES: usize = 50_000;
    let slow = deaf(server, "all")?;
    let mut talks = members(server, "all", others)?;
    let mut speaker = Talk::new(server)?;
    wait_len(&mut speaker, "all", others as u64 + 1)?;
    for _ in 0..ROUNDS {
        speaker.expect_answer(&format!("castflood all 1 {BYTES}"), "ok 1 of 1")?;
        for talk in &mut talks {
            assert!(talk.bytes(BYTES)? == pattern(BYTES), "the bytes differ");
        }
    }
    Ok((slow, (ROUNDS * others) as u64))
}

#[test]
fn who_reads_too_slowly_misses_what_there_is_no_room_for() -> TestResult {
    let server = small_probe().start()?;
    let (mut slow, of_others) = flood(&server, 3)?;
    // It is in the group as before, and gets whole messages only.
    let mut first = slow.bytes(50_000)?;
    assert!(first == pattern(50_000));
    while slow.client.stream().peek(&mut [0]).is_ok_and(|some| some > 0) && first.len() < 50_000_000
    {
        first = slow.bytes(50_000)?;
        assert!(first == pattern(50_000));
        slow.client.stream().set_nonblocking(true)?;
        let is_empty = slow.client.stream().peek(&mut [0]).is_err();
        slow.client.stream().set_nonblocking(false)?;
        if is_empty {
            break;
        }
    }
    let books = group_books(&server.stop_and_report()?)?;
    assert!(books.get("skipped") > 50, "{books:?}");
    assert_eq!((books.get("closed"), books.get("ended")), (0, 4), "{books:?}");
    assert!(books.get("delivered") > of_others, "{books:?}");
    Ok(())
}

#[test]
fn who_reads_too_slowly_is_closed_if_the_port_says_so() -> TestResult {
    let server = small_probe().set("group_overflow", "close").start()?;
    let (slow, _) = flood(&server, 3)?;
    drop(slow);
    let ended = server.stop_and_report()?;
    let (books, all) = (group_books(&ended)?, ended.books()?);
    assert_eq!((books.get("closed"), books.get("skipped")), (1, 0), "{books:?}");
    assert_eq!(all.detail("closed_slow_reader"), 1, "{all}");
    Ok(())
}

/// One copy of the bytes waits for all of them: hundreds of members who do not read, with more
/// unsent bytes than the budget has room for if each had its own.
#[test]
fn what_waits_for_many_members_is_held_once() -> TestResult {
    const MEMBERS: usize = 60;
    let server = small_probe()
        .set("memory_budget", "16M")
        .set("send_queue_high", "4M")
        .set("send_queue_max", "8M")
        .set("socket_send_buffer", "8K")
        .start()?;
    let slow: Vec<Talk> = (0..MEMBERS).map(|_| deaf(&server, "all")).collect::<TestResult<_>>()?;
    let mut speaker = Talk::new(&server)?;
    wait_len(&mut speaker, "all", MEMBERS as u64)?;
    // 60 queues of 2 MiB each, and one copy.
    speaker.expect_answer("castflood all 2 1000000", "ok 2 of 2")?;
    for mut talk in slow {
        assert!(talk.bytes(1_000_000)? == pattern(1_000_000), "the bytes differ");
        assert!(talk.bytes(1_000_000)? == pattern(1_000_000), "the bytes differ");
    }
    let ended = server.stop_and_report()?;
    assert_eq!(ended.books()?.detail("memory_shortages"), 0);
    assert_eq!(group_books(&ended)?.get("delivered"), 2 * MEMBERS as u64);
    Ok(())
}
