//! Tasks that several servers keep in one Redis (`task_journal = redis://…`).
#![allow(clippy::indexing_slicing)]

mod support;
mod talk;

use ostler_testkit::{RedisServer, ServerBuilder, Signal, TestResult, TestServer};
use support::{check, wait_lines};
use talk::{Scratch, Talk};

fn sharing(redis: &RedisServer) -> ServerBuilder {
    TestServer::example("foreman")
        .set("workers", 1)
        .set("reactors", 1)
        .set("task_workers", 1)
        .set("name", "shop")
        .set("task_journal", redis.url())
        // An exchange has a quarter of it: also a busy machine answers in that time.
        .set("task_journal_lease_ms", 8_000)
        .expect_log("cannot be written to task_journal")
        .expect_log("was not taken in")
        .expect_log("were not taken in")
}

/// The same, in which each worker has its clients, and the switch the tasks.
fn sharing_in_base_mode(redis: &RedisServer) -> ServerBuilder {
    sharing(redis).unset("reactors").set("mode", "base")
}

fn start(builder: ServerBuilder) -> TestResult<TestServer> {
    let server = builder.start()?;
    wait_lines(&server, "takes tasks", 1)?;
    Ok(server)
}

#[test]
fn what_a_killed_server_had_taken_in_another_one_runs() -> TestResult {
    let Some(redis) = RedisServer::start()? else { return Ok(()) };
    another_runs_what_a_killed_one_had_taken_in(&redis, sharing)
}

#[test]
fn what_a_killed_server_of_base_mode_had_taken_in_another_one_runs() -> TestResult {
    let Some(redis) = RedisServer::start()? else { return Ok(()) };
    another_runs_what_a_killed_one_had_taken_in(&redis, sharing_in_base_mode)
}

fn another_runs_what_a_killed_one_had_taken_in(
    redis: &RedisServer,
    sharing: impl Fn(&RedisServer) -> ServerBuilder,
) -> TestResult {
    let scratch = Scratch::new("shared-kill")?;
    let append = |n: u32| format!("append {} {n}", scratch.path("done").display());
    let (dying, other) = (start(sharing(redis))?, start(sharing(redis))?);
    let mut talk = Talk::new(&dying)?;
    talk.expect_answer(&format!("wait 20000 {}", append(0)), "0")?;
    dying.task_workers()[0].stop()?;
    for n in 1..=20 {
        talk.expect_answer(&format!("keep {}", append(n)), "kept")?;
    }
    Talk::new(&other)?.expect_answer(&format!("wait 20000 {}", append(21)), "21")?;
    dying.signal(Signal::KILL);
    dying.wait_end()?;
    let done = || -> Vec<u32> {
        let mut done: Vec<u32> = scratch.lines("done").iter().flat_map(|it| it.parse()).collect();
        done.sort_unstable();
        done
    };
    other.wait_for("all to be run", |_| (1..=20).all(|n| done().contains(&n)))?;
    let books = other.stop_and_report()?.tasks()?;
    // That the first one was over may not have come to the stream before the kill: then it is run
    // again, as any task whose end nobody knows.
    let again = u32::from(done().iter().filter(|n| **n == 0).count() == 2);
    let mut expected: Vec<u32> = (0..22).collect();
    expected.extend((0..again).map(|_| 0));
    expected.sort_unstable();
    check(done() == expected, format!("{:?}", done()))?;
    let counts = (books.restored, books.finished);
    check(counts == (20 + u64::from(again), 21 + u64::from(again)), format!("{books:?}"))?;
    check(redis.ask("XLEN ostler:shop:tasks")? == ":0\r\n", "nothing is left")
}

/// A server that ends in order says so: the next one does not wait for it to be dead.
#[test]
fn what_a_server_leaves_in_order_is_run_at_once() -> TestResult {
    let Some(redis) = RedisServer::start()? else { return Ok(()) };
    // What lies in the stream is the same in both modes.
    for sharing in [sharing, sharing_in_base_mode] {
        next_one_runs_what_is_left(|| sharing(&redis).set("task_journal_lease_ms", "1d"))?;
        check(redis.ask("DEL ostler:shop:tasks")? == ":1\r\n", "what is left")?;
    }
    Ok(())
}

fn next_one_runs_what_is_left(patient: impl Fn() -> ServerBuilder) -> TestResult {
    let server = start(patient())?;
    let mut talk = Talk::new(&server)?;
    for _ in 0..3 {
        talk.expect_answer("after 3600000 keep echo x", "kept")?;
    }
    let books = server.stop_and_report()?.tasks()?;
    check(books.left == 3, format!("{books:?}"))?;
    let next = start(patient())?;
    next.wait_for_log("takes over what another server left tasks=3")?;
    let books = next.stop_and_report()?.tasks()?;
    check((books.restored, books.left) == (3, 3), format!("{books:?}"))
}

#[test]
fn a_redis_that_hangs_or_begins_anew_stops_nothing_else() -> TestResult {
    for sharing in [sharing, sharing_in_base_mode] {
        let Some(mut redis) = RedisServer::start()? else { return Ok(()) };
        survives_a_redis_that_hangs(sharing(&redis), &mut redis)?;
    }
    Ok(())
}

fn survives_a_redis_that_hangs(builder: ServerBuilder, redis: &mut RedisServer) -> TestResult {
    let server = start(builder)?;
    let mut talk = Talk::new(&server)?;
    talk.expect_answer("keep silent", "kept")?;
    redis.stop()?;
    let mut other = Talk::new(&server)?;
    other.say("keep silent")?;
    check(talk.ask("whoami")?.starts_with("w0.1 "), "clients are served")?;
    let answer = other.line()?;
    check(answer.contains("cannot be written to `task_journal`"), answer)?;
    redis.go_on()?;
    let again = |talk: &mut Talk| {
        server.wait_for("tasks to be kept again", |_| {
            talk.ask("keep silent").is_ok_and(|answer| answer == "kept")
        })
    };
    again(&mut talk)?;
    redis.restart()?;
    again(&mut talk)?;
    wait_lines(&server, "are written to task_journal again", 1)?;
    talk.expect_answer("wait 20000 echo still", "still")?;
    server.stop()
}

#[test]
fn a_server_does_not_start_without_its_redis() -> TestResult {
    let nowhere = |url: &str| {
        let builder = TestServer::example("foreman").set("task_workers", 1);
        builder.set("task_journal", url).start_expecting_failure()
    };
    let (code, text) = nowhere("redis://me:secret@127.0.0.1:1")?;
    check(code == 4 && text.contains("option `task_journal`: redis://127.0.0.1:1/0"), &text)?;
    check(!text.contains("secret"), text)?;
    let (code, text) = nowhere("rediss://127.0.0.1:1")?;
    check(code == 2 && text.contains("is the path of a file, or a Redis"), text)
}
