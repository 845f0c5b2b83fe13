//! How user processes end, and what follows.

use std::time::Duration;

use ostler_testkit::{DEADLINE, Process, ServerBuilder, Signal, TestResult, TestServer};

use crate::crew::Crew;
use crate::support::{check, round_trip, start, wait_lines, wait_serving};

const DIED: &str = "worker died";
const FOR_GOOD: &str = "ended for good";

/// What the log says when processes die that were told to.
fn deadly(builder: ServerBuilder) -> ServerBuilder {
    ["failed", "told to", "panicked", "die often", "could not start"]
        .iter()
        .fold(builder.expect_log(DIED), |builder, text| builder.expect_log(text))
        .set("back_off_min_ms", 10)
        .set("back_off_max_ms", 50)
}

/// By each way to end: whether it comes back is said by its policy. Its clients and workers are
/// served all the while.
#[test]
fn whether_they_come_back_is_their_policy() -> TestResult {
    for (policy, comes_back_from_success, comes_back_from_failure) in
        [("always", true, true), ("on_failure", false, true), ("never", false, false)]
    {
        for (order, is_success) in
            [("done", true), ("exit 0", true), ("exit 3", false), ("fail", false), ("panic", false)]
        {
            let crew = Crew::new()?;
            let process = format!("it=wait,{policy}");
            let server = start(deadly(crew.server(1, &[&process])), 1)?;
            let mut client = server.connect()?;
            crew.wait_for(&server, "it start", 1)?;
            crew.order("it", order)?;
            let comes_back =
                if is_success { comes_back_from_success } else { comes_back_from_failure };
            if comes_back {
                crew.wait_for(&server, "it start u0.2", 1)?;
            } else {
                server.wait_for_log(FOR_GOOD)?;
            }
            round_trip(&mut client, "served")?;
            let deaths = server.log_lines_with(DIED).len();
            check((deaths == 0) == is_success, format!("{policy} {order}: {deaths} deaths"))?;
            server.stop()?;
            let starts = crew.count("it start");
            check(starts == 1 + usize::from(comes_back), format!("{policy} {order}: {starts}"))?;
        }
    }
    Ok(())
}

/// It cannot look at its lane any more: TERM says that it has to leave. Waiting for it until it is
/// killed would take longer than the test.
#[test]
fn one_that_has_become_another_program_ends_with_the_server() -> TestResult {
    let crew = Crew::new()?;
    let builder = crew.server(1, &["it=wait"]).set("drain_timeout_ms", 120_000);
    let server = start(deadly(builder.set("shutdown_timeout_ms", 240_000)), 1)?;
    crew.wait_for(&server, "it start", 1)?;
    crew.order("it", "become sleep")?;
    server.wait_for("the other program", |server| {
        let is_it = |process: Process| {
            let name = std::fs::read_to_string(format!("/proc/{}/comm", process.pid()));
            name.is_ok_and(|name| name == "sleep\n")
        };
        server.tree().processes().into_iter().any(is_it)
    })?;
    server.stop()
}

#[test]
fn a_killed_one_comes_back_and_its_death_names_it() -> TestResult {
    for mode in ["process", "base"] {
        let crew = Crew::new()?;
        let server = start(deadly(crew.server(1, &["it=tick"]).set("mode", mode)), 1)?;
        crew.wait_for(&server, "it start", 1)?;
        server.wait_for_log("runs process=u0.1")?;
        crew.newest(&server, "it")?.kill();
        crew.wait_for(&server, "it start u0.2", 1)?;
        let line = server.wait_for_log(DIED)?;
        check(line.contains("worker=u0.1 name=it"), &line)?;
        // The next one sends as the first did.
        let mut client = server.connect()?;
        round_trip(&mut client, "served")?;
        crew.order("it", "send again")?;
        client.expect(b"again\n")?;
        server.stop()?;
    }
    Ok(())
}

/// It leaves in good order, and the next one does not begin before it is gone.
#[test]
fn a_term_is_a_wish_to_be_replaced() -> TestResult {
    for (kind, mode) in
        [("wait", "process"), ("tick", "process"), ("wait", "base"), ("tick", "base")]
    {
        let crew = Crew::new()?;
        let process = format!("it={kind}");
        let server = start(deadly(crew.server(1, &[&process]).set("mode", mode)), 1)?;
        crew.wait_for(&server, "it start", 1)?;
        server.wait_for_log("runs process=u0.1")?;
        crew.newest(&server, "it")?.signal(Signal::TERM);
        crew.wait_for(&server, "it start u0.2", 1)?;
        let journal = crew.journal();
        let place = |what: &str| journal.iter().position(|line| line.starts_with(what));
        check(place("it stop") < place("it start u0.2"), format!("{journal:?}"))?;
        check(server.log_lines_with(DIED).is_empty(), "it died")?;
        server.stop()?;
    }
    Ok(())
}

#[test]
fn a_crash_loop_pauses_and_touches_nobody() -> TestResult {
    let crew = Crew::new()?;
    let server = start(deadly(crew.server(2, &["bad=crash", "good=wait"])), 2)?;
    let workers = server.workers();
    let load = server.load().connections(4).depth(2).start()?;
    crew.wait_for(&server, "bad start", 8)?;
    load.wait_for_more(500)?;
    load.stop()?.check_perfect()?;
    check(server.workers() == workers, "a worker was replaced")?;
    check(crew.count("good start") == 1, "the other process was touched")?;
    server.wait_for_log("die often")?;
    server.stop()
}

/// Words and rings full of nonsense: it is killed for it, and nobody else is.
#[test]
fn one_that_writes_nonsense_is_condemned_alone() -> TestResult {
    let crew = Crew::new()?;
    let builder = deadly(crew.server(2, &["bad=wait", "good=wait"]).set("reactors", 2));
    let server = start(builder.expect_log("nonsense"), 2)?;
    crew.wait_for(&server, "bad start", 1)?;
    let workers = server.workers();
    let load = server.load().connections(4).depth(2).start()?;
    crew.order("bad", "hostile")?;
    crew.wait_for(&server, "bad start u0.2", 1)?;
    server.wait_for_log("killed by the server: condemned")?;
    load.wait_for_more(500)?;
    load.stop()?.check_perfect()?;
    check(server.workers() == workers, "a worker was replaced")?;
    check(crew.count("good start") == 1, "the other process was touched")?;
    let mut client = server.connect()?;
    round_trip(&mut client, "served")?;
    crew.order("bad", "send better now")?;
    client.expect(b"better now\n")?;
    server.stop()
}

/// Those who do not leave are killed at the deadline, and the server ends all the same.
#[test]
fn one_that_does_not_leave_is_killed() -> TestResult {
    for mode in ["process", "base"] {
        let crew = Crew::new()?;
        let builder =
            crew.server(1, &["stuck=wait"]).set("mode", mode).set("drain_timeout_ms", 500);
        let server = start(builder.expect_log("did not leave in time"), 1)?;
        crew.wait_for(&server, "stuck start", 1)?;
        crew.order("stuck", "hang")?;
        server.wait_for("the order to be taken", |_| !crew.has_order("stuck"))?;
        let ended = server.stop_and_report()?;
        let line = ended.log().lines_with("did not leave in time");
        check(line.iter().any(|line| line.contains("name=stuck")), format!("{line:?}"))?;
    }
    Ok(())
}

/// They die with their manager, and the next one starts them anew: but not those that had ended for
/// good.
#[test]
fn another_manager_starts_those_that_were_not_over() -> TestResult {
    let crew = Crew::new()?;
    let processes = ["lives=wait", "over=wait,never", "done=wait,on_failure", "dies=wait,never"];
    let builder = deadly(crew.server(1, &processes)).expect_log("the manager died");
    let server = start(builder, 1)?;
    for name in ["lives", "over", "done", "dies"] {
        crew.wait_for(&server, &format!("{name} start"), 1)?;
    }
    crew.order("over", "exit 3")?;
    crew.order("done", "done")?;
    wait_lines(&server, FOR_GOOD, 2)?;
    let before = crew.newest(&server, "lives")?;
    server.manager().kill();
    before.wait_gone(DEADLINE)?;
    crew.wait_for(&server, "lives start", 2)?;
    // It had not ended: its manager did.
    crew.wait_for(&server, "dies start", 2)?;
    wait_serving(&server, 2)?;
    round_trip(&mut server.connect()?, "served")?;
    // A reload later everything is as before.
    server.signal(Signal::USR1);
    server.wait_for_log("reload finished: every worker is new")?;
    check(crew.count("over start") == 1 && crew.count("done start") == 1, "it was over")?;
    server.stop()
}

/// In each phase of its life.
#[test]
fn kills_at_any_time_leave_nothing_behind() -> TestResult {
    let crew = Crew::new()?;
    let builder = deadly(crew.server(1, &["it=tick", "slow=hang"])).set("boot_timeout_ms", 60_000);
    let server = start(builder, 1)?;
    let mut client = server.connect()?;
    let mut lives = 0;
    for round in 0..5 {
        // As soon as it has begun, ready or not.
        crew.wait_for(&server, "it start", lives + 1)?;
        lives = crew.count("it start");
        if round % 2 == 0 {
            crew.order("it", &format!("send {round}"))?;
            client.expect(format!("{round}\n").as_bytes())?;
        }
        if let Ok(process) = crew.newest(&server, "it") {
            process.kill();
        }
        kill_booting(&server, &crew)?;
        round_trip(&mut client, "served")?;
    }
    server.stop()
}

/// Kills the process that never becomes ready.
fn kill_booting(server: &TestServer, crew: &Crew) -> TestResult {
    let before = crew.count("hang make");
    crew.wait_for(server, "hang make", before.max(1))?;
    let pid = crew.journal().iter().rfind(|line| line.starts_with("hang make")).cloned();
    let pid = pid.and_then(|line| line.rsplit(' ').next()?.parse::<u32>().ok());
    let mut all = server.tree().processes().into_iter();
    if let Some(process) = all.find(|process| Some(process.pid()) == pid) {
        process.kill();
        process.wait_gone(Duration::from_secs(30))?;
    }
    Ok(())
}
