//! Who asks for a reload is answered, slot by slot; requests merge; what is not a worker is
//! reloaded on request.

#[path = "process_user/crew.rs"]
#[allow(dead_code, reason = "shared with the tests of user processes")]
mod crew;
mod support;

use ostler_testkit::{DEADLINE, Signal, TestResult, TestServer};

use crew::Crew;
use support::{check, round_trip, start, wait_lines};

const DONE: &str = "reload finished: every worker is new";
const MODES: [&[(&str, &str)]; 3] = [&[], &[("start", "exec")], &[("mode", "base")]];

fn with(
    crew: &Crew,
    workers: u16,
    processes: &[&str],
    settings: &[(&str, &str)],
) -> TestResult<TestServer> {
    let builder = crew.server(workers, processes);
    let builder = settings.iter().fold(builder, |builder, (name, value)| builder.set(name, value));
    start(builder, workers)
}

/// The one line of the journal that begins so, without the number of its process.
fn line(crew: &Crew, beginning: &str) -> TestResult<String> {
    let journal = crew.journal();
    let found: Vec<_> = journal.iter().filter(|line| line.starts_with(beginning)).collect();
    check(found.len() == 1, format!("no one {beginning:?} in {journal:#?}"))?;
    let line = found.first().and_then(|line| line.rsplit_once(' ')).map(|(line, _)| line);
    Ok(line.unwrap_or_default().to_owned())
}

fn expect(crew: &Crew, server: &TestServer, who: &str, answer: &str) -> TestResult {
    let beginning = format!("{who} reloaded");
    crew.wait_for(server, &beginning, 1)?;
    let line = line(crew, &beginning)?;
    check(line == format!("{beginning} {answer}"), line)
}

#[test]
fn a_user_process_that_asks_for_new_workers_learns_that_they_are() -> TestResult {
    for mode in MODES {
        let crew = Crew::new()?;
        let server = with(&crew, 2, &["asker=wait"], mode)?;
        let old = server.workers();
        crew.order("asker", "reload workers")?;
        expect(&crew, &server, "asker", "true [(0, true), (1, true)] None at once: ")?;
        server.wait_for_log(&format!("{DONE} asked_by=u0.1"))?;
        for worker in old {
            worker.wait_gone(DEADLINE)?;
        }
        round_trip(&mut server.connect()?, "served")?;
        server.stop()?;
    }
    Ok(())
}

/// The one that is replaced stays for the answer; its client gets it by this same worker.
#[test]
fn a_worker_that_is_replaced_by_its_own_request_is_answered() -> TestResult {
    for mode in MODES {
        let crew = Crew::new()?;
        let server = with(&crew, 3, &[], mode)?;
        let mut client = server.connect()?;
        round_trip(&mut client, "served")?;
        client.send(b"reload workers")?;
        client.expect(b"reloaded")?;
        let journal = crew.journal();
        let told =
            |line: &&String| line.contains("reloaded true [(0, true), (1, true), (2, true)]");
        check(journal.iter().filter(told).count() == 1, format!("{journal:#?}"))?;
        server.wait_for_log(DONE)?;
        server.stop()?;
    }
    Ok(())
}

/// The companion follows a reload, and hears the answer to its own before it leaves.
#[test]
fn the_companion_asks_and_is_replaced_when_the_workers_are_new() -> TestResult {
    for mode in MODES {
        let crew = Crew::new()?;
        crew.touch("reload_at_start")?;
        let builder = crew.server(2, &[]).args(["--companion"]);
        let builder = mode.iter().fold(builder, |builder, (name, value)| builder.set(name, value));
        let server = start(builder, 2)?;
        crew.wait_for(&server, "c0.1 reloaded true", 1)?;
        crew.wait_for(&server, "companion after_reload true", 1)?;
        server.wait_for_log("runs process=c0.2 name=companion")?;
        server.signal(Signal::USR1);
        crew.wait_for(&server, "companion after_reload true", 2)?;
        server.wait_for_log("runs process=c0.3 name=companion")?;
        server.stop()?;
        check(crew.count("companion start ") == 1, "the start was told again")?;
        check(crew.count("companion shutdown") == 1, "the last one was told the end")?;
    }
    Ok(())
}

/// One that fails in the middle, with some beside it: who is new is known of every slot.
#[test]
fn a_reload_that_stops_says_of_each_slot_whether_it_is_new() -> TestResult {
    let crew = Crew::new()?;
    let builder = crew.server(4, &["asker=wait"]).args(["--companion"]);
    let builder = builder.set("reload_parallel", 3).expect_log("could not start");
    let server = start(builder.expect_log("reload finished: stopped"), 4)?;
    crew.wait_for(&server, "companion manager_start", 1)?;
    // Those of w1 and w3 wait while that of w2 becomes ready and w1 fails.
    crew.touch("hold_w1")?;
    crew.touch("hold_w3")?;
    crew.order("asker", "reload workers")?;
    crew.wait_for(&server, "w1.2 is held", 1)?;
    crew.wait_for(&server, "w3.2 is held", 1)?;
    server.wait_for_log("serves worker=w2.2")?;
    crew.touch("fail_workers")?;
    crew.remove("hold_w1")?;
    let slots = "[(0, true), (1, false), (2, true), (3, false)]";
    crew.wait_for(&server, "asker reloaded", 1)?;
    let told = line(&crew, "asker reloaded")?;
    check(told.starts_with(&format!("asker reloaded false {slots} Some(1) at once: ")), &told)?;
    check(told.contains("told to fail"), &told)?;
    server.wait_for_log("slot=1 new=\"w0 w2\" old=\"w1 w3\"")?;
    crew.wait_for(&server, "companion after_reload false Some(true) Some(1)", 1)?;
    crew.remove("fail_workers")?;
    crew.remove("hold_w3")?;
    round_trip(&mut server.connect()?, "served")?;
    // Nobody holds what comes after that.
    server.signal(Signal::USR1);
    server.wait_for_log(DONE)?;
    server.stop()
}

/// Everybody who asks during a reload is answered by the next one, which is one for all of them.
#[test]
fn requests_during_a_reload_merge_and_are_told_so() -> TestResult {
    let crew = Crew::new()?;
    let server = with(&crew, 1, &["one=wait", "two=wait", "three=wait"], &[])?;
    crew.touch("hold_w0")?;
    crew.order("one", "reload workers")?;
    crew.wait_for(&server, "w0.2 is held", 1)?;
    crew.order("two", "reload workers")?;
    crew.order("three", "reload workers")?;
    server.signal(Signal::USR1);
    let merged = "a reload runs: this one is merged with all that are asked for until it ends";
    wait_lines(&server, merged, 3)?;
    crew.remove("hold_w0")?;
    expect(&crew, &server, "one", "true [(0, true)] None at once: ")?;
    for who in ["two", "three"] {
        expect(&crew, &server, who, "true [(0, true)] None waited: ")?;
    }
    server.wait_for_log("reload begins requests=3")?;
    wait_lines(&server, DONE, 2)?;
    let last = server.log_lines_with(DONE).last().cloned().unwrap_or_default();
    check(["u1.1", "u2.1", "SIGUSR1"].iter().all(|who| last.contains(who)), last)?;
    let ended = server.stop_and_report()?;
    check(ended.log().lines_with("reload begins").len() == 2, "one reload and one follow-up")
}

/// A manager that dies takes no request into its grave.
#[test]
fn a_reload_that_its_manager_does_not_survive_is_done_by_the_next_one() -> TestResult {
    for start_by in ["fork", "exec"] {
        let crew = Crew::new()?;
        let builder = crew.server(1, &[]).set("start", start_by).expect_log("the manager died");
        let server = start(builder, 1)?;
        crew.touch("hold_w0")?;
        server.signal(Signal::USR1);
        crew.wait_for(&server, "w0.2 is held", 1)?;
        server.manager().kill();
        server.wait_for_log("its spare takes its place")?;
        crew.wait_for(&server, "w0.3 is held", 1)?;
        crew.remove("hold_w0")?;
        server.wait_for_log(DONE)?;
        round_trip(&mut server.connect()?, "served")?;
        server.stop()?;
    }
    Ok(())
}

#[test]
fn user_processes_are_reloaded_on_request_and_workers_left_alone() -> TestResult {
    for mode in MODES {
        let crew = Crew::new()?;
        let server = with(&crew, 1, &["asker=wait", "other=wait", "once=wait,never"], mode)?;
        for name in ["asker", "other", "once"] {
            crew.wait_for(&server, &format!("{name} start"), 1)?;
        }
        let workers = server.workers();
        crew.order("asker", "reload other")?;
        expect(&crew, &server, "asker", "true [(1, true)] None at once: ")?;
        // (It is ready when its function is about to be called.)
        crew.wait_for(&server, "other start u1.2", 1)?;
        check(crew.count("other stop") == 1, "it was not asked to leave")?;
        // All of them, the one that was over as well; who asks for it is replaced, too.
        crew.order("once", "done")?;
        server.wait_for_log("ended for good")?;
        let mut client = server.connect()?;
        client.send(b"reload processes")?;
        client.expect(b"reloaded")?;
        expect(&crew, &server, "w0.1", "true [(0, true), (1, true), (2, true)] None at once: ")?;
        for (name, lives) in [("asker", 2), ("other", 3), ("once", 2)] {
            crew.wait_for(&server, &format!("{name} start"), lives)?;
        }
        check(server.workers() == workers, "a worker was replaced")?;
        server.stop()?;
    }
    Ok(())
}

#[test]
fn task_workers_are_reloaded_alone_on_request() -> TestResult {
    for start_by in ["fork", "exec"] {
        let crew = Crew::new()?;
        let server = with(&crew, 1, &[], &[("task_workers", "2"), ("start", start_by)])?;
        wait_lines(&server, "takes tasks", 2)?;
        let workers = server.workers();
        let mut client = server.connect()?;
        client.send(b"reload tasks")?;
        client.expect(b"reloaded")?;
        expect(&crew, &server, "w0.1", "true [(0, true), (1, true)] None at once: ")?;
        wait_lines(&server, "takes tasks", 4)?;
        check(server.workers() == workers, "an event worker was replaced")?;
        server.stop()?;
    }
    Ok(())
}

#[test]
fn what_cannot_be_reloaded_is_refused_with_the_reason() -> TestResult {
    let crew = Crew::new()?;
    let server = with(&crew, 1, &["asker=wait"], &[])?;
    crew.order("asker", "reload nobody")?;
    let answer = "false [] None at once: there is no user process `nobody`";
    expect(&crew, &server, "asker", answer)?;
    server.stop()?;
    let crew = Crew::new()?;
    let server = with(&crew, 1, &[], &[])?;
    let mut client = server.connect()?;
    client.send(b"reload processes")?;
    client.expect(b"reloaded")?;
    expect(&crew, &server, "w0.1", "false [] None at once: there are no such processes")?;
    server.stop()
}
