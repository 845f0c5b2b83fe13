//! Tasks.

use std::path::Path;
use std::time::{Duration, Instant};

use ostler_testkit::{LogLine, RedisServer, ServerBuilder, Signal, TestResult, TestServer};

use crate::Effect;
use crate::talk::{Scratch, Talk};

pub(crate) const EFFECTS: &[(&str, Effect)] = &[
    ("task_workers", task_workers_is_how_many_there_are),
    ("task_max_requests", task_max_requests_replaces_a_task_worker),
    ("task_queue_max", task_queue_max_bounds_what_waits),
    ("task_max_length", task_max_length_bounds_a_payload),
    ("task_crash_policy", task_crash_policy_is_what_becomes_of_a_started_task),
    ("task_result_to", task_result_to_is_who_hears_for_a_dead_asker),
    ("task_deadline_ms", task_deadline_ms_ends_the_worker_of_a_task),
    ("task_attempts_max", task_attempts_max_is_how_often_a_task_is_started),
    ("task_journal", task_journal_is_where_tasks_wait_for_the_next_server),
    ("task_journal_sync", task_journal_sync_is_when_the_disk_is_asked),
    ("task_journal_sync_ms", task_journal_sync_ms_is_how_often_the_disk_is_asked),
    ("task_journal_backlog_max", task_journal_backlog_max_bounds_what_waits_for_the_disk),
    ("task_journal_damage", task_journal_damage_is_whether_a_spoilt_file_is_used),
    ("task_journal_lease_ms", task_journal_lease_ms_is_when_others_take_over),
];

/// A server with one worker of each kind, that does what is ordered.
fn foreman() -> ServerBuilder {
    let builder = TestServer::example("foreman").set("workers", 1).set("task_workers", 1);
    let builder = builder.expect_log("worker died").expect_log("not taken in");
    builder.expect_log("were not run before the server ended")
}

#[test]
fn task_workers_is_how_many_there_are() -> TestResult {
    for tasks in [0, 3] {
        let server = TestServer::echo().set("workers", 1).set("task_workers", tasks).start()?;
        server.wait_for("all task workers", |server| server.task_workers().len() == tasks)?;
        assert_eq!(server.workers().len(), 1);
        server.stop()?;
    }
    Ok(())
}

#[test]
fn task_max_requests_replaces_a_task_worker() -> TestResult {
    let server = foreman().set("task_max_requests", 3).start()?;
    let mut talk = Talk::new(&server)?;
    for _ in 0..3 {
        assert!(talk.ask("wait 20000 whoami")?.starts_with("t0.1 "));
    }
    server.wait_for_log("takes tasks worker=t0.2")?;
    assert!(talk.ask("wait 20000 whoami")?.starts_with("t0.2 "));
    assert!(talk.ask("whoami")?.starts_with("w0.1 "), "it is another limit");
    server.stop()
}

#[test]
fn task_queue_max_bounds_what_waits() -> TestResult {
    for (most, is_taken) in [(2, false), (3, true)] {
        let server = foreman().set("task_queue_max", most).start()?;
        let mut talk = Talk::new(&server)?;
        for _ in 0..2 {
            assert!(talk.ask("after 10000 send echo x")?.starts_with("asked"));
        }
        let answer = talk.ask("wait 20000 echo third")?;
        assert_eq!(answer == "third", is_taken, "{answer}");
        server.stop()?;
    }
    Ok(())
}

#[test]
fn task_max_length_bounds_a_payload() -> TestResult {
    let server = foreman().set("task_max_length", 64).start()?;
    let mut talk = Talk::new(&server)?;
    talk.expect_answer("size 64", "same 64")?;
    assert!(talk.ask("size 65")?.contains("`task_max_length` allows (64)"));
    server.stop()
}

#[test]
fn task_crash_policy_is_what_becomes_of_a_started_task() -> TestResult {
    for (policy, told) in [
        ("fail", Some("1: error: the worker that ran the task died")),
        ("redeliver", Some("1: survived")),
        ("drop", None),
    ] {
        let server = foreman().set("task_crash_policy", policy).start()?;
        let file = server.directory().join("died");
        let mut talk = Talk::new(&server)?;
        talk.expect_answer(&format!("then die {}", file.display()), "asked 1")?;
        told.into_iter().for_each(|told| talk.expect(told));
        // What came while the first one waited would be told before the second.
        talk.expect_answer("wait 20000 echo one", "one")?;
        talk.expect_answer("wait 20000 echo two", "two")?;
        server.stop()?;
    }
    Ok(())
}

#[test]
fn task_attempts_max_is_how_often_a_task_is_started() -> TestResult {
    for attempts in [1, 3] {
        let builder = foreman().set("task_crash_policy", "redeliver");
        let server = builder.set("task_attempts_max", attempts).start()?;
        let mut talk = Talk::new(&server)?;
        let died = "error: the worker that ran the task died";
        talk.expect_answer("wait 20000 abort", died)?;
        let ended = server.stop_and_report()?;
        assert_eq!(ended.log().lines_with("worker died").len(), attempts);
    }
    Ok(())
}

#[test]
fn task_deadline_ms_ends_the_worker_of_a_task() -> TestResult {
    for (deadline, answer) in [
        (0, "slept"),
        (60_000, "slept"),
        (200, "error: the task ran for longer than `task_deadline_ms` allows"),
    ] {
        let server = foreman().set("task_deadline_ms", deadline).start()?;
        Talk::new(&server)?.expect_answer("wait 20000 sleep 1500", answer)?;
        server.stop()?;
    }
    Ok(())
}

#[test]
fn task_result_to_is_who_hears_for_a_dead_asker() -> TestResult {
    for (whom, unheard) in [("asker", 2), ("successor", 0)] {
        let server = foreman().set("crash_policy", "drop").set("task_result_to", whom).start()?;
        let mut talk = Talk::new(&server)?;
        let file = server.directory().join("heard");
        let order = format!("report later 700 {}", file.display());
        talk.expect_answer(&order, "asked 1")?;
        server.worker(0).kill();
        server.wait_for_log("serves worker=w0.2")?;
        if unheard == 0 {
            server.wait_for("the heir", |_| file.exists())?;
            assert_eq!(std::fs::read_to_string(&file)?, "w0.2 heard of 1");
        } else {
            // Behind the one that it had asked.
            talk.expect_answer("wait 20000 echo next", "next")?;
            assert!(!file.exists(), "nobody hears");
        }
        let tasks = server.stop_and_report()?.tasks()?;
        assert_eq!((tasks.unheard, tasks.open()), (unheard, 0), "{tasks:?}");
    }
    Ok(())
}
fn keeping(path: &Path) -> ServerBuilder {
    foreman().set("task_journal", path.display()).set("task_journal_sync", "never")
}

#[test]
fn task_journal_is_where_tasks_wait_for_the_next_server() -> TestResult {
    let scratch = Scratch::new("journal-option")?;
    let path = scratch.path("tasks");
    for restored in [0, 1] {
        let server = keeping(&path).start()?;
        if restored == 0 {
            Talk::new(&server)?.expect_answer("after 3600000 keep echo x", "kept")?;
        }
        let books = server.stop_and_report()?.tasks()?;
        assert_eq!((books.restored, books.left), (restored, 1));
    }
    assert!(path.is_file());
    Ok(())
}

/// How often the disk was asked while tasks were kept, for so long at least.
fn syncs(path: &Path, set: &[(&str, &str)], time: Duration) -> TestResult<(u64, u64)> {
    let builder = set.iter().fold(keeping(path), |builder, (name, value)| builder.set(name, value));
    let server = builder.start()?;
    let mut talk = Talk::new(&server)?;
    let until = Instant::now() + time;
    let mut tasks = 0;
    while tasks < 5 || Instant::now() < until {
        talk.expect_answer("keep echo x", "kept")?;
        tasks += 1;
    }
    let ended = server.stop_and_report()?;
    let lines = ended.log().lines_with("books of task_journal");
    let books = lines.first().and_then(|line| LogLine::parse(line)).expect("books");
    assert_eq!(books.number("kept"), Some(tasks));
    Ok((tasks, books.number("syncs").unwrap_or(0)))
}

#[test]
fn task_journal_sync_is_when_the_disk_is_asked() -> TestResult {
    let scratch = Scratch::new("journal-sync")?;
    let path = scratch.path("tasks");
    let (_, never) = syncs(&path, &[("task_journal_sync", "never")], Duration::ZERO)?;
    assert_eq!(never, 0);
    let (tasks, always) = syncs(&path, &[("task_journal_sync", "always")], Duration::ZERO)?;
    assert!(always >= tasks, "{always} for {tasks} tasks, one after another");
    Ok(())
}

#[test]
fn task_journal_sync_ms_is_how_often_the_disk_is_asked() -> TestResult {
    let scratch = Scratch::new("journal-pace")?;
    let path = scratch.path("tasks");
    let timed = |ms| {
        let set = [("task_journal_sync", "timed"), ("task_journal_sync_ms", ms)];
        syncs(&path, &set, Duration::from_millis(300))
    };
    assert_eq!(timed("60000")?.1, 0);
    assert!(timed("1")?.1 > 0);
    Ok(())
}

#[test]
fn task_journal_backlog_max_bounds_what_waits_for_the_disk() -> TestResult {
    let scratch = Scratch::new("journal-backlog")?;
    let path = scratch.path("tasks");
    let text = "x".repeat(60_000);
    for (most, is_refused) in [("1G", false), ("64K", true)] {
        let server = keeping(&path).set("task_journal_backlog_max", most).start()?;
        let mut talk = Talk::new(&server)?;
        talk.say(&format!("burst 100 silent {text}"))?;
        let lines: Vec<String> = (0..100).map(|_| talk.line()).collect::<TestResult<_>>()?;
        assert!(lines.iter().all(|line| line.starts_with("asked")), "{lines:?}");
        let books = server.stop_and_report()?.tasks()?;
        assert_eq!(books.unkept > 0, is_refused, "{most}: {books:?}");
        assert_eq!(books.asked + books.unkept, 100, "{most}: {books:?}");
    }
    Ok(())
}

#[test]
fn task_journal_damage_is_whether_a_spoilt_file_is_used() -> TestResult {
    let scratch = Scratch::new("journal-damage")?;
    let path = scratch.path("tasks");
    let server = keeping(&path).start()?;
    let mut talk = Talk::new(&server)?;
    for _ in 0..2 {
        talk.expect_answer("after 3600000 keep echo x", "kept")?;
    }
    server.stop()?;
    let mut bytes = std::fs::read(&path)?;
    bytes[140] ^= 1;
    std::fs::write(&path, &bytes)?;
    let (code, text) = keeping(&path).start_expecting_failure()?;
    assert!(code == 4 && text.contains("`task_journal_damage = skip`"), "{code} {text}");
    let server =
        keeping(&path).set("task_journal_damage", "skip").expect_log("is spoilt").start()?;
    assert_eq!(server.stop_and_report()?.tasks()?.restored, 1);
    Ok(())
}

/// With the default others would wait for longer than this does.
#[test]
fn task_journal_lease_ms_is_when_others_take_over() -> TestResult {
    let Some(redis) = RedisServer::start()? else { return Ok(()) };
    let sharing = || foreman().set("task_journal", redis.url()).set("name", "shop");
    let (dying, other) = (sharing().start()?, sharing().set("task_journal_lease_ms", 1_000));
    Talk::new(&dying)?.expect_answer("after 3600000 keep echo x", "kept")?;
    let other = other.start()?;
    dying.signal(Signal::KILL);
    dying.wait_end()?;
    other.wait_for_log("takes over what another server left tasks=1")?;
    assert_eq!(other.stop_and_report()?.tasks()?.restored, 1);
    Ok(())
}
