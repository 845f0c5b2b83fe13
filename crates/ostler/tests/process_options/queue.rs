//! Effects of the limits of who waits for a worker.

use ostler_testkit::{TestResult, TestServer};

use crate::Effect;
use crate::talk::{Scratch, Talk, small_probe};

pub(crate) const EFFECTS: &[(&str, Effect)] = &[
    ("queue_max", queue_max_refuses_the_newest),
    ("queue_wait_max_ms", queue_wait_max_ms_refuses_who_has_waited),
    ("refusal", refusal_is_what_the_client_sees),
];

/// The one worker is busy until the file `go` is made.
fn busy(server: &TestServer, scratch: &Scratch) -> TestResult<Talk> {
    let mut talk = Talk::new(server)?;
    assert_eq!(talk.ask("echo before")?, "before");
    let before = scratch.received();
    talk.say(&format!("until {} done", scratch.path("go").display()))?;
    scratch.wait_received(before + 1)?;
    Ok(talk)
}

#[test]
fn queue_max_refuses_the_newest() -> TestResult {
    let scratch = Scratch::new("queue")?;
    let server = small_probe()
        .set("queue_max", 2)
        .set("prefetch_us", 0)
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .start()?;
    let mut first = busy(&server, &scratch)?;
    // They ask for nothing, although their connect events wait.
    let mut silent: Vec<_> = (0..3).map(|_| Talk::new(&server)).collect::<TestResult<_>>()?;
    let mut waiting = [Talk::new(&server)?, Talk::new(&server)?];
    for talk in &mut waiting {
        talk.say("echo served")?;
    }
    for _ in 0..3 {
        let mut refused = Talk::new(&server)?;
        refused.say("echo never")?;
        refused.expect_closed();
    }
    scratch.make("go")?;
    first.expect("done");
    for talk in &mut waiting {
        talk.expect("served");
    }
    for talk in &mut silent {
        assert_eq!(talk.ask("echo late")?, "late");
    }
    drop((first, waiting, silent));
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("refused_queue_full"), 3, "{books}");
    assert_eq!(books.detail("closed_overloaded"), 3, "{books}");
    Ok(())
}

#[test]
fn queue_wait_max_ms_refuses_who_has_waited() -> TestResult {
    for prefetch in [0, 100_000] {
        let scratch = Scratch::new("wait")?;
        let server = small_probe()
            .set("queue_wait_max_ms", 2_000)
            .set("prefetch_us", prefetch)
            .env("PROBE_JOURNAL", scratch.path("journal"))
            .start()?;
        let mut first = busy(&server, &scratch)?;
        let mut waits = Talk::new(&server)?;
        waits.say("echo never-served")?;
        waits.expect_closed();
        scratch.make("go")?;
        // It took longer than the limit, but a worker was at it.
        first.expect("done");
        assert_eq!(first.ask("echo after")?, "after");
        let books = server.stop_and_report()?.books()?;
        assert_eq!(books.detail("refused_queue_wait"), 1, "{books}");
        assert!(
            !scratch
                .lines("journal")
                .iter()
                .any(|line| line.contains(" receive ") && line.ends_with(" 18")),
            "nobody has worked for it"
        );
    }
    Ok(())
}

#[test]
fn refusal_is_what_the_client_sees() -> TestResult {
    let mut servers = Vec::new();
    for refusal in ["close", "reset", r"bytes:-BUSY\r\n"] {
        let scratch = Scratch::new("refusal")?;
        let server = small_probe()
            .set("queue_wait_max_ms", 2_000)
            .set("prefetch_us", 0)
            .set("refusal", refusal)
            .env("PROBE_JOURNAL", scratch.path("journal"))
            .start()?;
        // It is connected by now: a reset that comes sooner is seen by its attempt to connect.
        let mut refused = Talk::new(&server)?;
        assert_eq!(refused.ask("echo served")?, "served");
        let first = busy(&server, &scratch)?;
        refused.say("echo never")?;
        servers.push((refusal, server, scratch, first, refused));
    }
    for (refusal, server, scratch, mut first, mut refused) in servers {
        match refusal {
            "close" => refused.expect_eof(),
            "reset" => refused.client.expect_reset()?,
            _ => assert_eq!(refused.rest()?, b"-BUSY\r\n"),
        }
        scratch.make("go")?;
        first.expect("done");
        server.stop()?;
    }
    Ok(())
}

#[test]
fn refusal_may_answer_each_package_and_let_the_session_stay() -> TestResult {
    let scratch = Scratch::new("refusal-stays")?;
    let server = small_probe()
        .set("queue_max", 1)
        .set("prefetch_us", 0)
        .set("refusal", r"answer:-BUSY\n")
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .start()?;
    let mut talks = [Talk::new(&server)?, Talk::new(&server)?];
    for talk in &mut talks {
        assert_eq!(talk.ask("echo served")?, "served");
    }
    let [mut waits, mut refused] = talks;
    let mut first = busy(&server, &scratch)?;
    waits.say("echo late")?;
    // Half of a package waits for its rest, and not for a worker.
    refused.client.send(b"echo one\necho two\necho thr")?;
    for _ in 0..2 {
        refused.expect("-BUSY");
    }
    scratch.make("go")?;
    first.expect("done");
    waits.expect("late");
    refused.say("ee")?;
    refused.expect("three");
    drop((first, waits, refused));
    let books = server.stop_and_report()?.books()?;
    assert_eq!((books.refused, books.detail("closed_overloaded")), (2, 0), "{books}");
    Ok(())
}
