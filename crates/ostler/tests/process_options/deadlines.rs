//! Deadlines: each closes whom it means, tells why, and is off by default.

use std::time::{Duration, Instant};

use ostler_testkit::{Client, TestResult, TestServer, wait_until};

use crate::Effect;
use crate::talk::{Scratch, Talk, small_probe};

pub(crate) const EFFECTS: &[(&str, Effect)] = &[
    ("idle_timeout_ms", idle_timeout_ms_closes_who_neither_sends_nor_receives),
    ("silence_timeout_ms", silence_timeout_ms_closes_who_only_receives),
    ("first_package_timeout_ms", first_package_timeout_ms_bounds_the_beginning),
    ("package_timeout_ms", package_timeout_ms_bounds_a_package_however_steadily_it_comes),
    ("receive_rate_min", receive_rate_min_closes_who_sends_too_slowly),
    ("receive_rate_grace_ms", receive_rate_grace_ms_is_how_long_a_client_may_pause),
    ("send_stall_timeout_ms", send_stall_timeout_ms_closes_who_takes_nothing),
];

/// How long the tests let clients be what they must not be.
const TIMEOUT: Duration = Duration::from_millis(300);

/// A probe with one deadline, and the journal of its close events.
struct Deadline {
    server: TestServer,
    scratch: Scratch,
}

impl Deadline {
    fn new(option: &str, value: impl std::fmt::Display) -> TestResult<Self> {
        let scratch = Scratch::new(option)?;
        let journal = scratch.path("journal");
        let server = small_probe().set(option, value).env("PROBE_JOURNAL", journal).start()?;
        Ok(Self { server, scratch })
    }

    /// The session is closed for this reason, no sooner than `after` its client said something.
    fn expect_end(
        &self,
        mut talk: Talk,
        said: Instant,
        after: Duration,
        reason: &str,
    ) -> TestResult {
        talk.client.expect_closed()?;
        assert!(said.elapsed() >= after, "{reason} after {:?}", said.elapsed());
        // `on_close`, and the refusal of a send in it.
        let told = format!(" {reason} {reason} ");
        wait_until("the close event", || {
            self.scratch.lines("journal").iter().any(|line| line.contains(&told))
        })
    }

    /// The server counts so many sessions that were closed for this reason.
    fn expect_counted(self, reason: &str, sessions: u64) -> TestResult {
        let books = self.server.stop_and_report()?.books()?;
        assert_eq!(books.detail(&format!("closed_{reason}")), sessions, "{books}");
        Ok(())
    }
}

fn greeted(server: &TestServer) -> TestResult<Talk> {
    let mut talk = Talk::new(server)?;
    talk.expect_answer("echo x", "x")?;
    Ok(talk)
}

#[test]
fn idle_timeout_ms_closes_who_neither_sends_nor_receives() -> TestResult {
    let test = Deadline::new("idle_timeout_ms", TIMEOUT.as_millis())?;
    let mut talk = Talk::new(&test.server)?;
    let said = Instant::now();
    talk.expect_answer("echo x", "x")?;
    test.expect_end(talk, said, TIMEOUT, "idle")?;
    // Nor who never says anything.
    let (said, talk) = (Instant::now(), Talk::new(&test.server)?);
    test.expect_end(talk, said, TIMEOUT, "idle")?;
    test.expect_counted("idle", 2)
}

#[test]
fn silence_timeout_ms_closes_who_only_receives() -> TestResult {
    let test = Deadline::new("silence_timeout_ms", TIMEOUT.as_millis())?;
    let mut talk = Talk::new(&test.server)?;
    let said = Instant::now();
    talk.say("every 5 0 news")?;
    // It reads all of them until it is told the end.
    while !talk.client.read_some()?.is_empty() {}
    test.expect_end(talk, said, TIMEOUT, "silent")?;
    test.expect_counted("silent", 1)
}

#[test]
fn first_package_timeout_ms_bounds_the_beginning() -> TestResult {
    let test = Deadline::new("first_package_timeout_ms", TIMEOUT.as_millis())?;
    let mut early = greeted(&test.server)?;
    for beginning in ["", "echo"] {
        let (said, mut late) = (Instant::now(), Talk::new(&test.server)?);
        late.client.send(beginning.as_bytes())?;
        test.expect_end(late, said, TIMEOUT, "first_package_timeout")?;
    }
    early.expect_answer("echo still here", "still here")?;
    test.expect_counted("first_package_timeout", 2)
}

#[test]
fn package_timeout_ms_bounds_a_package_however_steadily_it_comes() -> TestResult {
    let test = Deadline::new("package_timeout_ms", TIMEOUT.as_millis())?;
    let mut whole = greeted(&test.server)?;
    let mut silent = greeted(&test.server)?;
    let said = Instant::now();
    silent.client.send(b"echo whole\necho ha")?;
    silent.expect("whole");
    test.expect_end(silent, said, TIMEOUT, "package_timeout")?;
    let mut steady = greeted(&test.server)?;
    let said = Instant::now();
    while !steady.is_closed() {
        // It may be closed in between.
        let _ended = steady.client.send(b"x");
        std::thread::sleep(Duration::from_millis(5));
    }
    test.expect_end(steady, said, TIMEOUT, "package_timeout")?;
    whole.expect_answer("echo still here", "still here")?;
    test.expect_counted("package_timeout", 2)
}

/// A server on which a package of a client that sends nothing more is closed; how long that took.
fn pause_within_a_package(rate: &str, grace: u64) -> TestResult<Duration> {
    let scratch = Scratch::new("rate")?;
    let server = small_probe()
        .set("receive_rate_min", rate)
        .set("receive_rate_grace_ms", grace)
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .start()?;
    let test = Deadline { server, scratch };
    let mut whole = greeted(&test.server)?;
    let mut slow = greeted(&test.server)?;
    let said = Instant::now();
    slow.client.send(b"echo ha")?;
    test.expect_end(slow, said, Duration::from_millis(grace), "receive_too_slow")?;
    let paused = said.elapsed();
    whole.expect_answer("echo still here", "still here")?;
    test.expect_counted("receive_too_slow", 1)?;
    Ok(paused)
}

#[test]
fn receive_rate_min_closes_who_sends_too_slowly() -> TestResult {
    pause_within_a_package("1M", 300)?;
    Ok(())
}

#[test]
fn receive_rate_grace_ms_is_how_long_a_client_may_pause() -> TestResult {
    // Less than the default in the first case, or it would be closed in neither before the second.
    let (short, long) = (pause_within_a_package("1K", 100)?, pause_within_a_package("1K", 6_000)?);
    assert!(short < long, "{short:?} {long:?}");
    Ok(())
}

#[test]
fn send_stall_timeout_ms_closes_who_takes_nothing() -> TestResult {
    let test = Deadline::new("send_stall_timeout_ms", TIMEOUT.as_millis())?;
    let mut reader = greeted(&test.server)?;
    let mut deaf = Talk::with(Client::connect_with_receive_buffer(test.server.address(), 2048)?);
    let id = deaf.number("id")?;
    let flooded = Instant::now();
    // More than the kernel takes of both sides.
    while reader.ask(&format!("flood {id} 1 10000"))?.starts_with("ok 1") {}
    wait_until("the close event", || {
        let lines = test.scratch.lines("journal");
        lines.iter().any(|line| line.contains(" send_stalled send_stalled "))
    })?;
    assert!(flooded.elapsed() >= TIMEOUT);
    reader.expect_answer("echo still here", "still here")?;
    drop(deaf);
    test.expect_counted("send_stalled", 1)
}
