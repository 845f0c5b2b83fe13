//! What belongs to whom, when several servers share a stream.

use std::time::{Duration, Instant};

use super::*;

/// A body, as the client of a Redis writes it.
const WRITTEN: &str = r#""\xff\xff\x00\x00\x00\x00\x00\x00do""#;

/// Somebody who is no server adds a task.
fn add(redis: &RedisServer) {
    redis.ask(&format!("XADD ostler:shop:tasks * body {WRITTEN}")).unwrap();
}

/// How many entries a server has.
fn has(redis: &RedisServer, name: &str) -> usize {
    let ask = format!("XPENDING ostler:shop:tasks servers - + 9999 {name}");
    let reply = redis.ask(&ask).unwrap();
    reply.lines().next().and_then(|it| it.strip_prefix('*')?.parse().ok()).unwrap()
}

/// Since when a server has not been heard of, milliseconds.
fn silent_ms(redis: &RedisServer, name: &str) -> u128 {
    let reply = redis.ask("XINFO CONSUMERS ostler:shop:tasks servers").unwrap();
    let mut words = reply.lines().skip_while(|line| *line != name);
    words.find(|line| *line == "idle").unwrap();
    words.next().and_then(|it| it.strip_prefix(':')?.parse().ok()).unwrap()
}

/// Its tasks are kept, whatever becomes of what others had in the stream.
#[test]
fn a_server_that_cannot_give_to_others_what_is_theirs_keeps_its_own_all_the_same() {
    let Some(redis) = RedisServer::start().unwrap() else { return };
    let (mut one, mut other) = (store(&redis, 3_600_000), store(&redis, 3_600_000));
    for forbidden in ["xinfo", "xclaim"] {
        let (before_one, before_other) = (has(&redis, &one.me), has(&redis, &other.me));
        add(&redis);
        let number = 1 + before_one as u64;
        one.commit(&tasks(number..number + 1), &[]).unwrap();
        redis.ask(&format!("ACL SETUSER default -{forbidden}")).unwrap();
        other.commit(&tasks(number..number + 1), &[]).unwrap();
        assert!(other.live.contains_key(&number), "{forbidden}");
        redis.ask(&format!("ACL SETUSER default +{forbidden}")).unwrap();
        // It is that of nobody, and each of the others is its server's.
        assert_eq!(one.tend(9).unwrap().len(), 1, "{forbidden}");
        other.retry_now();
        assert_eq!(other.tend(9).unwrap(), [], "{forbidden}");
        let now = (has(&redis, &one.me), has(&redis, &other.me));
        assert_eq!(now, (before_one + 2, before_other + 1), "{forbidden}");
    }
}

/// A reply that told of an entry was lost. Its server lives, and runs it.
#[test]
fn what_a_server_has_and_does_not_know_is_given_to_whom_it_belongs() {
    let Some(redis) = RedisServer::start().unwrap() else { return };
    let (mut one, mut other) = (store(&redis, 3_600_000), store(&redis, 3_600_000));
    one.commit(&tasks(1..2), &[]).unwrap();
    let id = one.live[&1];
    redis.ask(&format!("XCLAIM ostler:shop:tasks servers {} 0 {id} JUSTID", other.me)).unwrap();
    assert_eq!(other.tend(9).unwrap(), []);
    assert_eq!((has(&redis, &one.me), has(&redis, &other.me)), (1, 0));
    // Nobody has added this one: it is of whoever has it.
    add(&redis);
    let read = format!("XREADGROUP GROUP servers {} STREAMS ostler:shop:tasks >", other.me);
    redis.ask(&read).unwrap();
    assert_eq!(other.tend(9).unwrap().len(), 1);
    assert_eq!((has(&redis, &one.me), has(&redis, &other.me)), (1, 1));
}

/// To be given something is a sign of life: who is given more and more would never be dead.
#[test]
fn who_has_not_been_heard_of_for_long_is_given_nothing() {
    let Some(redis) = RedisServer::start().unwrap() else { return };
    let mut silent = store(&redis, 1_000);
    add(&redis);
    silent.commit(&tasks(1..2), &[]).unwrap();
    let name = silent.me.clone();
    drop(silent);
    wait_until("it to be silent", || silent_ms(&redis, &name) > 1_500).unwrap();
    // This one has just begun to listen, and takes nobody for dead.
    let mut other = store(&redis, 1_000);
    other.commit(&tasks(1..2), &[]).unwrap();
    assert!(silent_ms(&redis, &name) > 1_500, "it is as silent as it was");
    let brought = bring(&mut other, 2);
    assert_eq!(brought.len(), 2, "that of nobody, and that of the dead one");
}

/// More than one page of it; who has just been heard of is not taken for dead meanwhile.
#[test]
fn who_ends_is_heard_of_and_leaves_all_that_it_has() {
    let Some(redis) = RedisServer::start().unwrap() else { return };
    let mut store = store(&redis, 3_600_000);
    store.commit(&tasks(1..2_002), &[]).unwrap();
    add(&redis);
    // It does not know of this one, so that it stays in the list of servers.
    let read = format!("XREADGROUP GROUP servers {} STREAMS ostler:shop:tasks >", store.me);
    redis.ask(&read).unwrap();
    let me = store.me.clone();
    wait_until("it to be silent", || silent_ms(&redis, &me) > 1_000).unwrap();
    let began = Instant::now();
    store.close();
    let silent = silent_ms(&redis, &me);
    let most = (began.elapsed() + Duration::from_millis(100)).as_millis();
    let left = (has(&redis, "left"), has(&redis, &me));
    let why = format!("heard of {silent} ms ago, and began to end {most} ms ago");
    assert_eq!((silent < most, left), (true, (2_001, 1)), "{why}");
}
