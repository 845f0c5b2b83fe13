//! Requests that pass their deadline: the process that runs them is killed and no other, whatever
//! it does against that, and their clients are told.
#![allow(clippy::panic, clippy::unwrap_used)] // a test that cannot go on

mod talk;

use ostler_testkit::{ServerBuilder, Signal, TestResult, TestServer};
use talk::{Scratch, Talk, probe, small_probe};

const LATE: &str = "request deadline of 300 ms of port main passed";
const DIED: &str = "worker died";

/// A server that gives a request 300 ms.
fn impatient(server: ServerBuilder) -> ServerBuilder {
    server
        .set("request_deadline_ms", 300)
        .set("request_deadline_answer", r"bytes:-LATE\r\n")
        .expect_log(DIED)
}

/// The client of a request that was late sees the answer of its port, and then the end.
fn expect_late(talk: Talk) -> TestResult {
    let rest = talk.rest()?;
    assert_eq!(String::from_utf8_lossy(&rest), "-LATE\r\n");
    Ok(())
}

/// How often workers died.
fn deaths(server: &TestServer) -> usize {
    server.log_lines_with(DIED).len()
}

/// A request that never ends costs its worker, and the next worker serves in peace. Returns the
/// record of the death.
fn is_ended(start: &str, command: &str) -> TestResult<String> {
    let scratch = Scratch::new("late")?;
    let file = scratch.path("deaths");
    let server = impatient(small_probe())
        .set("start", start)
        .set("death_log_file", file.display())
        .start()?;
    let mut bystander = Talk::new(&server)?;
    assert_eq!(bystander.ask("echo before")?, "before");
    let mut talk = Talk::new(&server)?;
    talk.say(command)?;
    expect_late(talk)?;
    assert!(server.wait_for_log(DIED)?.contains(LATE));
    assert!(bystander.ask("whoami")?.starts_with("w0.2 "));
    // More than a deadline of the successor's time: it is not to blame.
    assert_eq!(bystander.ask("sleep 100 1")?, "1");
    assert_eq!(bystander.ask("sleep 200 2")?, "2");
    assert_eq!(deaths(&server), 1);
    server.wait_for("a record", |_| !scratch.lines("deaths").is_empty())?;
    drop(bystander);
    let ended = server.stop_and_report()?;
    let books = ended.books()?;
    assert_eq!(books.detail("closed_request_deadline"), 1, "{books}");
    Ok(scratch.lines("deaths").swap_remove(0))
}

#[test]
fn a_request_that_sleeps_for_ever_is_ended_with_its_stack() -> TestResult {
    let record = is_ended("fork", "sleep 600000 done")?;
    for part in ["\"callback\":\"on_receive\"", "probe::process::run ", LATE] {
        assert!(record.contains(part), "{part} in {record}");
    }
    Ok(())
}

#[test]
fn a_request_that_spins_is_ended_with_its_stack() -> TestResult {
    let record = is_ended("exec", "spin")?;
    assert!(record.contains("probe::process::spin"), "{record}");
    Ok(())
}

#[test]
fn a_worker_that_blocks_its_signals_is_ended() -> TestResult {
    let record = is_ended("fork", "deafspin")?;
    assert!(record.contains("blocks the signal"), "{record}");
    Ok(())
}

#[test]
fn a_worker_that_is_stopped_in_a_request_is_ended() -> TestResult {
    let scratch = Scratch::new("stopped")?;
    let server = impatient(small_probe()).env("PROBE_JOURNAL", scratch.path("journal")).start()?;
    let mut talk = Talk::new(&server)?;
    talk.say("sleep 600000 done")?;
    scratch.wait_received(1)?;
    let worker = server.worker(0);
    // It may have been ended meanwhile, and then there is nothing to stop.
    worker.try_signal(Signal::STOP);
    expect_late(talk)?;
    server.stop()
}

/// Nobody it serves waits for longer than a request may take.
#[test]
fn a_worker_that_is_stopped_while_it_idles_is_replaced_and_its_sessions_are_served() -> TestResult {
    for dispatch in ["session_hash", "idle_first"] {
        let server = impatient(probe().set("dispatch", dispatch)).start()?;
        let mut talks: Vec<Talk> = (0..6).map(|_| Talk::new(&server)).collect::<TestResult<_>>()?;
        for talk in &mut talks {
            assert_eq!(talk.ask("echo before")?, "before");
        }
        server.worker(0).stop()?;
        for talk in &mut talks {
            talk.say("echo behind")?;
        }
        for talk in &mut talks {
            talk.expect("behind");
        }
        let line = server.wait_for_log(DIED)?;
        assert!(line.contains("stopped for longer than 300 ms"), "{line}");
        assert_eq!(deaths(&server), 1);
        drop(talks);
        server.stop()?;
    }
    Ok(())
}

#[test]
fn without_deadlines_a_stopped_worker_is_let_be() -> TestResult {
    let server = small_probe().set("request_soft_deadline_ms", 50).start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("echo before")?, "before");
    server.worker(0).stop()?;
    talk.say("echo behind")?;
    talk.expect_silence();
    server.worker(0).cont()?;
    talk.expect("behind");
    drop(talk);
    server.stop()
}

/// Each attempt has the whole time; the last one ends as if there had been no other.
#[test]
fn a_request_that_is_given_again_has_its_time_anew() -> TestResult {
    let scratch = Scratch::new("again")?;
    let server = impatient(small_probe())
        .set("crash_policy", "redeliver:2")
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .start()?;
    let mut talk = Talk::new(&server)?;
    talk.say("sleep 600000 done")?;
    expect_late(talk)?;
    assert_eq!(scratch.received(), 3);
    // The client is told as soon as the reactor knows, the log when the manager does.
    server.wait_for("three deaths in the log", |server| deaths(server) >= 3)?;
    assert_eq!(deaths(&server), 3);
    server.stop()
}

/// What another client has deferred at the worker is settled as by any other death.
#[test]
fn who_only_shared_the_worker_is_not_told_that_it_was_late() -> TestResult {
    let scratch = Scratch::new("shared")?;
    let server = impatient(small_probe())
        // Longer than what it shares its worker with.
        .set("port.other.listen", "tcp://127.0.0.1:0")
        .set("port.other.request_deadline_ms", 60_000)
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .start()?;
    let mut waiting = Talk::with(server.connect_to("other")?);
    waiting.say("defer 600000 never")?;
    scratch.wait_received(1)?;
    let mut talk = Talk::new(&server)?;
    talk.say("spin")?;
    expect_late(talk)?;
    waiting.expect_closed();
    let ended = server.stop_and_report()?;
    let books = ended.books()?;
    assert_eq!(books.detail("closed_request_deadline"), 1, "{books}");
    assert_eq!(books.detail("closed_worker_died"), 1, "{books}");
    Ok(())
}

#[test]
fn a_request_may_shorten_its_time_and_the_next_one_has_that_of_its_port() -> TestResult {
    let server = small_probe().set("request_deadline_ms", 4_000).expect_log(DIED).start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("take 1000 1")?, "took of 1 s");
    assert_eq!(talk.ask("left")?, "4 s");
    talk.say("take 100 600000")?;
    talk.expect_eof();
    let line = server.wait_for_log(DIED)?;
    assert!(line.contains("its own request deadline of 10"), "{line}");
    server.stop()
}

#[test]
fn a_timer_of_a_worker_has_no_deadline() -> TestResult {
    let server = small_probe()
        .set("request_deadline_ms", 100)
        .set("request_slowlog_timeout_ms", 500)
        .expect_log("slow request")
        .start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("busyevery 10 700")?, "busy");
    assert!(server.wait_for_log("slow request")?.contains("callback=timer"));
    let mut other = Talk::new(&server)?;
    assert_eq!(other.ask("echo served")?, "served");
    assert_eq!(other.ask("canceltimers")?, "cancelled 1");
    drop((talk, other));
    server.stop()
}

#[test]
fn a_handler_knows_that_its_client_is_gone() -> TestResult {
    let scratch = Scratch::new("gone")?;
    let server = small_probe().env("PROBE_JOURNAL", scratch.path("journal")).start()?;
    let mut talk = Talk::new(&server)?;
    talk.say(&format!("untilgone {}", scratch.path("noticed").display()))?;
    scratch.wait_received(1)?;
    talk.client.abort()?;
    server.wait_for("the handler to notice", |_| scratch.path("noticed").exists())?;
    server.stop()
}

/// Nothing of it runs in the worker, which serves on; its late answer reaches nobody.
#[test]
fn a_package_that_stays_deferred_ends_its_session_and_not_its_worker() -> TestResult {
    let server = impatient(small_probe()).start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("defer 100 in time")?, "in time");
    talk.say("defer 2000 never seen")?;
    expect_late(talk)?;
    let mut other = Talk::new(&server)?;
    assert!(other.ask("whoami")?.starts_with("w0.1 "));
    drop(other);
    let ended = server.stop_and_report()?;
    let books = ended.books()?;
    assert_eq!(books.detail("closed_request_deadline"), 1, "{books}");
    assert_eq!(ended.log().lines_with(DIED).len(), 0);
    Ok(())
}

#[test]
fn in_base_mode_the_worker_is_ended_with_its_connections() -> TestResult {
    let server = impatient(small_probe()).set("mode", "base").start()?;
    let mut talk = Talk::new(&server)?;
    talk.say("spin")?;
    talk.expect_closed();
    assert!(server.wait_for_log(DIED)?.contains(LATE));
    let mut next = Talk::new(&server)?;
    assert_eq!(next.ask("echo served")?, "served");
    drop(next);
    server.stop()
}

/// Whoever watches was away: that is nobody's fault.
#[test]
fn a_request_is_not_blamed_for_a_manager_that_was_stopped() -> TestResult {
    let scratch = Scratch::new("frozen")?;
    let server = probe().set("workers", 1).set("request_deadline_ms", 2_000).start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("echo before")?, "before");
    server.manager().stop()?;
    talk.say(&format!("until {} done", scratch.path("go").display()))?;
    // Only for what must *not* happen: its time passes while nobody watches.
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    server.manager().cont()?;
    std::thread::sleep(std::time::Duration::from_millis(200));
    scratch.make("go")?;
    assert_eq!(talk.line()?, "done");
    assert_eq!(deaths(&server), 0);
    drop(talk);
    server.stop()
}
