#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod sharing;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use ostler_testkit::{RedisServer, wait_until};
use proptest::prelude::*;
use redis::Value;

use super::reply;
use super::store::RedisStore;
use crate::journal::{LeftTask, TaskStore as _, TaskToKeep};
use crate::options::Options;

const BODY: &[u8] = b"\xff\xff\0\0\0\0\0\0what is to be done";

fn options(url: &str, lease_ms: u64) -> Options {
    let mut options = Options::default();
    let lease = lease_ms.to_string();
    for (name, value) in
        [("task_journal", url), ("name", "shop"), ("task_journal_lease_ms", lease.as_str())]
    {
        options.set(name, value).unwrap();
    }
    options
}

fn store(redis: &RedisServer, lease_ms: u64) -> RedisStore {
    RedisStore::open(&options(&redis.url(), lease_ms)).unwrap()
}

fn tasks(numbers: std::ops::Range<u64>) -> Vec<TaskToKeep> {
    let task = |number| TaskToKeep { number, due_unix_ms: number, body: BODY.to_vec() };
    numbers.map(task).collect()
}

/// Entries of the stream.
fn length(redis: &RedisServer) -> String {
    redis.ask("XLEN ostler:shop:tasks").unwrap()
}

/// Looks around until so many tasks of others have come.
fn bring(store: &mut RedisStore, count: usize) -> Vec<LeftTask> {
    let mut brought = Vec::new();
    let came = wait_until("tasks of others", || {
        store.retry_now();
        brought.extend(store.tend(count - brought.len()).unwrap());
        brought.len() >= count
    });
    came.unwrap();
    brought
}

#[test]
fn tasks_stand_in_the_stream_until_they_are_over() {
    let Some(redis) = RedisServer::start().unwrap() else { return };
    let mut store = store(&redis, 30_000);
    store.commit(&tasks(1..4), &[]).unwrap();
    assert_eq!(length(&redis), ":3\r\n");
    store.commit(&tasks(4..5), &[1, 2, 77]).unwrap();
    assert_eq!(length(&redis), ":2\r\n");
    assert_eq!(store.tend(100).unwrap(), [], "its own do not come back");
    store.commit(&[], &[3, 4]).unwrap();
    assert_eq!(length(&redis), ":0\r\n");
    store.close();
    assert_eq!(redis.ask("XINFO CONSUMERS ostler:shop:tasks servers").unwrap(), "*0\r\n");
}

#[test]
fn what_a_dead_server_had_another_one_gets_and_no_other() {
    let Some(redis) = RedisServer::start().unwrap() else { return };
    let mut dead = store(&redis, 1_000);
    let (mut one, mut other) = (store(&redis, 1_000), store(&redis, 1_000));
    dead.commit(&tasks(1..21), &[]).unwrap();
    drop(dead);
    let mut brought = Vec::new();
    let all = wait_until("all tasks", || {
        brought.extend(one.tend(3).unwrap());
        brought.extend(other.tend(2).unwrap());
        brought.len() >= 20
    });
    all.unwrap();
    let due: BTreeSet<u64> = brought.iter().map(|task| task.due_unix_ms).collect();
    assert_eq!((brought.len(), due.len()), (20, 20), "each of them once");
    assert!(brought.iter().all(|task| task.body == BODY && task.attempt == 1));
    assert!(brought.iter().all(|task| task.number >= 1 << 63), "no number of its own");
    let numbers: Vec<u64> = brought.iter().map(|task| task.number).collect();
    for store in [&mut one, &mut other] {
        store.commit(&[], &numbers).unwrap();
        assert_eq!(store.tend(100).unwrap(), []);
    }
    assert_eq!(length(&redis), ":0\r\n");
    let members = redis.ask("XINFO CONSUMERS ostler:shop:tasks servers").unwrap();
    assert!(members.starts_with("*2\r\n"), "the dead one is forgotten: {members}");
}

#[test]
fn a_server_that_lives_keeps_its_tasks_and_one_that_ends_leaves_them_at_once() {
    let Some(redis) = RedisServer::start().unwrap() else { return };
    let mut living = store(&redis, 1_000);
    let mut other = store(&redis, 1_000);
    living.commit(&tasks(1..4), &[]).unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_millis(2_500);
    while std::time::Instant::now() < until {
        assert_eq!(living.tend(9).unwrap(), []);
        assert_eq!(other.tend(9).unwrap(), [], "nobody is dead");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    living.close();
    drop(living);
    let mut patient = store(&redis, 3_600_000);
    assert_eq!(patient.tend(0).unwrap(), [], "there is no room");
    assert_eq!(patient.tend(1).unwrap().len(), 1);
    assert_eq!(bring(&mut patient, 2).len(), 2);
}

/// What stood in the stream before is given first, so that a part of what a server adds nobody has.
/// That server runs it.
#[test]
fn what_a_living_server_has_added_no_other_one_runs() {
    let Some(redis) = RedisServer::start().unwrap() else { return };
    let (mut one, mut other) = (store(&redis, 3_600_000), store(&redis, 3_600_000));
    for _ in 0..2 {
        let body = r#""\xff\xff\x00\x00\x00\x00\x00\x00do""#;
        redis.ask(&format!("XADD ostler:shop:tasks * body {body}")).unwrap();
    }
    one.commit(&tasks(1..4), &[]).unwrap();
    assert_eq!(other.tend(9).unwrap(), [], "they are in hand");
    assert_eq!(one.tend(9).unwrap().len(), 2, "those of nobody");
    other.commit(&tasks(1..2), &[]).unwrap();
    assert_eq!(one.tend(9).unwrap(), []);
    let has = |store: &RedisStore| {
        let ask = format!("XPENDING ostler:shop:tasks servers - + 9 {}", store.me);
        redis.ask(&ask).unwrap().lines().next().map(str::to_owned)
    };
    assert_eq!((has(&one).as_deref(), has(&other).as_deref()), (Some("*5"), Some("*1")));
    // Nobody has what this one adds, when it ends: it is for whoever is there.
    let body = r#""\xff\xff\x00\x00\x00\x00\x00\x00do""#;
    redis.ask(&format!("XADD ostler:shop:tasks * body {body}")).unwrap();
    one.commit(&tasks(9..10), &[]).unwrap();
    one.close();
    let brought = bring(&mut other, 7);
    let started = brought.iter().filter(|task| task.attempt == 1).count();
    assert_eq!((brought.len(), started), (7, 7));
}

/// It was taken for dead, and did not know.
#[test]
fn who_ends_leaves_to_others_what_they_have_taken() {
    let Some(redis) = RedisServer::start().unwrap() else { return };
    let mut store = store(&redis, 3_600_000);
    store.commit(&tasks(1..4), &[]).unwrap();
    let taken = store.live[&2];
    let claim = format!("XCLAIM ostler:shop:tasks servers somebody 0 {taken} JUSTID");
    redis.ask(&claim).unwrap();
    store.close();
    let of = |name: &str| {
        let ask = format!("XPENDING ostler:shop:tasks servers - + 9 {name}");
        redis.ask(&ask).unwrap().lines().next().map(str::to_owned)
    };
    assert_eq!((of("somebody").as_deref(), of("left").as_deref()), (Some("*1"), Some("*2")));
}

/// Both have seen that a third one is dead, and what it had.
#[test]
fn of_two_that_take_the_same_one_gets_it() {
    let Some(redis) = RedisServer::start().unwrap() else { return };
    let (mut one, mut other) = (store(&redis, 1_000), store(&redis, 1_000));
    let mut dead = store(&redis, 1_000);
    dead.commit(&tasks(1..4), &[]).unwrap();
    let ids: Vec<_> = dead.live.values().copied().collect();
    drop(dead);
    wait_until("them to be old", || one.take(&ids, b"it").unwrap() > 0).unwrap();
    assert_eq!((one.live.len(), other.take(&ids, b"it").unwrap()), (3, 0));
}

/// Whether a task that was refused had been added nobody knew then.
#[test]
fn a_redis_that_hangs_refuses_and_what_it_adds_later_is_removed() {
    let Some(redis) = RedisServer::start().unwrap() else { return };
    let mut store = store(&redis, 1_000);
    store.commit(&tasks(1..3), &[]).unwrap();
    redis.stop().unwrap();
    let error = store.commit(&tasks(3..5), &[]).unwrap_err();
    assert!(error.contains("in time"), "{error}");
    assert!(store.commit(&tasks(5..6), &[1]).unwrap_err().contains("in a second"));
    assert!(store.tend(9).is_err() && store.due().is_some());
    redis.go_on().unwrap();
    wait_until("them to be added", || length(&redis) == ":4\r\n").unwrap();
    let only_the_kept = wait_until("refused tasks to be removed", || {
        store.retry_now();
        assert_eq!(store.tend(9).unwrap_or_default(), []);
        length(&redis) == ":1\r\n"
    });
    only_the_kept.unwrap();
    store.retry_now();
    store.commit(&tasks(6..7), &[2]).unwrap();
    assert_eq!(length(&redis), ":1\r\n");
}

#[test]
fn a_redis_that_begins_anew_is_used_again() {
    let Some(mut redis) = RedisServer::start().unwrap() else { return };
    let mut store = store(&redis, 30_000);
    store.commit(&tasks(1..3), &[]).unwrap();
    redis.restart().unwrap();
    assert!(store.commit(&tasks(3..4), &[]).is_err());
    store.retry_now();
    store.commit(&tasks(4..5), &[1]).unwrap();
    redis.ask("FLUSHALL").unwrap();
    assert!(store.commit(&tasks(5..6), &[]).is_err(), "the group is gone");
    store.retry_now();
    store.commit(&tasks(6..7), &[]).unwrap();
    assert_eq!(store.tend(9).unwrap(), []);
}

/// What somebody else adds is a task if it looks like one, and else nobody's; it stays to be looked
/// at.
#[test]
fn entries_of_others_are_run_and_what_is_no_task_is_left() {
    let Some(redis) = RedisServer::start().unwrap() else { return };
    let mut store = store(&redis, 1_000);
    let mut wider = options(&redis.url(), 1_000);
    wider.set("task_max_length", "8M").unwrap();
    let long = TaskToKeep { number: 1, due_unix_ms: 0, body: vec![7; 5_000_000] };
    RedisStore::open(&wider).unwrap().commit(&[long], &[]).unwrap();
    for body in [r#""\xff\xff\x00\x00\x00\x00\x00\x00do""#, "short"] {
        redis.ask(&format!("XADD ostler:shop:tasks * body {body}")).unwrap();
    }
    redis.ask("XADD ostler:shop:tasks * nothing at-all").unwrap();
    store.commit(&tasks(1..3), &[]).unwrap();
    let brought = bring(&mut store, 1);
    let expected = b"\xff\xff\0\0\0\0\0\0do".as_slice();
    assert_eq!((brought[0].body.as_slice(), brought[0].attempt), (expected, 0));
    let settled = wait_until("the others to be nobody's", || {
        store.retry_now();
        assert_eq!(store.tend(9).unwrap_or_default(), [], "none of them is run");
        let pending = redis.ask("XPENDING ostler:shop:tasks servers").unwrap();
        pending.starts_with("*4\r\n:3\r\n") && store.counts.strange == 3
    });
    settled.unwrap();
    assert_eq!(length(&redis), ":6\r\n");
}

/// Something that is no Redis: it says `greeting` to whoever connects, and then `more` for ever.
fn liar(greeting: &'static [u8], more: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(greeting);
            while !more.is_empty() && stream.write_all(more).is_ok() {}
            let _ = stream.read(&mut [0; 4_096]);
        }
    });
    url
}

#[test]
fn what_lies_is_told_and_ends_nothing() {
    let lies: [(&[u8], &[u8], &str); 8] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", "no"),
        (b"", b"", "in time"),
        (b"+OK", b"x", "longer than it may be"),
        (b"*9223372036854775807\r\n", b"*9223372036854775807\r\n", "no"),
        (b"$9223372036854775807\r\n", b"xxxxxxxxxxxxxxxx", "longer than it may be"),
        (b"-NOAUTH Authentication required.\r\n", b"", "NOAUTH"),
        (b"+OK\r\n-WRONGTYPE of key\r\n", b"", "WRONGTYPE"),
        (b"\0\0\0\0", b"\0", "no"),
    ];
    for (greeting, more, words) in lies {
        let error = RedisStore::open(&options(&liar(greeting, more), 1_000)).err().unwrap();
        let error = error.to_string();
        assert!(error.contains(words) && error.len() < 500, "{words}: {error}");
    }
    // It begins as a Redis does.
    let url = liar(b"+OK\r\n+OK\r\n", b"+OK\r\n");
    let mut store = RedisStore::open(&options(&url, 1_000)).unwrap();
    assert!(store.commit(&tasks(1..2), &[]).unwrap_err().contains("transaction"));
    store.retry_now();
    assert!(store.tend(9).unwrap_err().contains("its reply is no"));
    store.close();
}

#[test]
fn a_place_that_is_none_is_told_without_its_password() {
    for (url, words) in [
        ("redis://127.0.0.1:1/3", "redis://127.0.0.1:1/3"),
        ("redis://me:secret@127.0.0.1:1", "redis://127.0.0.1:1/0"),
        ("redis://", "option `task_journal`"),
        ("redis://127.0.0.1/x", "option `task_journal`"),
    ] {
        let error = RedisStore::open(&options(url, 1_000)).err().unwrap().to_string();
        assert!(error.contains(words) && !error.contains("secret"), "{error}");
    }
}

fn any_reply() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec!["by", "due", "body", "name", "pending", "idle", "1-2"]);
    let leaf = prop_oneof![
        Just(Value::Nil),
        Just(Value::Okay),
        any::<i64>().prop_map(Value::Int),
        word.prop_map(|word| Value::BulkString(word.as_bytes().to_vec())),
        prop::collection::vec(any::<u8>(), 0..9).prop_map(Value::BulkString),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| prop::collection::vec(inner, 0..6).prop_map(Value::Array))
}

proptest! {
    #[test]
    fn whatever_it_replies_is_read_or_refused(value in any_reply()) {
        let _ = reply::id(value.clone());
        let _ = reply::entries(value.clone());
        let _ = reply::new_entries(value.clone());
        let _ = reply::members(value.clone());
        let _ = reply::pending(value);
    }
}
