//! The companion: what it is told, in which order, and that it delays and loses nothing.

#[path = "../process_user/crew.rs"]
#[allow(dead_code, reason = "shared with the tests of user processes")]
mod crew;
#[path = "../support/mod.rs"]
mod support;

use ostler_testkit::{DEADLINE, Signal, TestResult, TestServer};

use crew::Crew;
use support::{check, round_trip, start, wait_lines, wait_serving};

fn with(crew: &Crew, workers: u16, settings: &[(&str, &str)]) -> TestResult<TestServer> {
    let builder = crew.server(workers, &["waiter=wait"]).args(["--companion"]);
    let builder = settings.iter().fold(builder, |builder, (name, value)| builder.set(name, value));
    let builder = ["died", "companion dies", "could not start", "nothing changed", "failed"]
        .iter()
        .fold(builder.expect_log("worker died"), |builder, text| builder.expect_log(text));
    let server = start(builder.set("back_off_min_ms", 10).set("back_off_max_ms", 50), workers)?;
    crew.wait_for(&server, "companion manager_start", 1)?;
    crew.wait_for(&server, "waiter start", 1)?;
    Ok(server)
}

/// The line that begins so; an error names the journal.
fn line(crew: &Crew, beginning: &str) -> TestResult<String> {
    let journal = crew.journal();
    let found = journal.iter().find(|line| line.starts_with(beginning)).cloned();
    check(found.is_some(), format!("no {beginning:?} in {journal:#?}"))?;
    Ok(found.unwrap_or_default())
}

/// A whole life: start, a death, a reload, a reload that fails, the end.
fn whole_life(settings: &[(&str, &str)]) -> TestResult {
    let crew = Crew::new()?;
    let server = with(&crew, 2, settings)?;
    let manager = server.manager().pid();
    line(&crew, &format!("companion manager_start {manager} "))?;
    crew.wait_for(&server, "companion timer", 1)?;

    let mut client = server.connect()?;
    round_trip(&mut client, "served")?;
    let victim = server.worker(0);
    victim.kill();
    crew.wait_for(&server, "companion worker_error", 1)?;
    let told = format!("companion worker_error w0.1 {} None Some(9) SIGKILL", victim.pid());
    line(&crew, &told)?;
    wait_serving(&server, 3)?;

    server.signal(Signal::USR1);
    crew.wait_for(&server, "companion after_reload", 1)?;
    line(&crew, "companion after_reload true Some(true) None")?;
    crew.touch("fail_workers")?;
    server.signal(Signal::USR1);
    crew.wait_for(&server, "companion after_reload", 2)?;
    line(&crew, "companion after_reload false Some(false) Some(0)")?;
    crew.remove("fail_workers")?;

    server.stop()?;
    let journal = crew.journal();
    let place = |what: &str| journal.iter().position(|line| line.starts_with(what));
    let order = [
        "companion start",
        "companion manager_start",
        "companion before_reload",
        "companion after_reload",
        "companion before_shutdown",
        "waiter stop",
        "companion manager_stop",
        "companion shutdown 0 sessions",
    ];
    let places: Vec<_> = order.iter().map(|what| place(what)).collect();
    check(places.iter().all(Option::is_some) && places.is_sorted(), format!("{journal:#?}"))?;
    let last = journal.last().cloned().unwrap_or_default();
    check(last.starts_with("companion shutdown"), last)?;
    for once in ["start", "before_shutdown", "manager_stop", "shutdown"] {
        let count = crew.count(&format!("companion {once} "));
        check(count == 1, format!("{count} times {once}: {journal:#?}"))?;
    }
    Ok(())
}

#[test]
fn it_is_told_the_life_of_the_server() -> TestResult {
    whole_life(&[("reactors", "2"), ("dispatch", "idle_first")])
}

#[test]
fn it_is_told_the_life_of_a_server_in_base_mode() -> TestResult {
    whole_life(&[("mode", "base")])
}

#[test]
fn it_is_told_when_it_is_executed() -> TestResult {
    whole_life(&[("start", "exec")])
}

#[test]
fn it_has_a_name_and_is_there_only_when_it_is_wanted() -> TestResult {
    let crew = Crew::new()?;
    let server = with(&crew, 1, &[])?;
    let named = |server: &TestServer| -> Vec<String> {
        let lines = server.tree().processes().into_iter().filter_map(|it| it.cmdline().ok());
        let titles = lines.filter_map(|line| line.first().cloned());
        titles.filter(|title| title.starts_with("ostler: companion 127.0.0.1:")).collect()
    };
    check(named(&server).len() == 1, "its name")?;
    server.wait_for_log("runs process=c0.1 name=companion")?;
    server.stop()?;
    let server = start(crew.server(1, &[]), 1)?;
    check(named(&server).is_empty(), "nobody wants it")?;
    server.stop()
}

/// An event is with somebody who dies, or waits while nobody is there: the next one is told.
#[test]
fn its_death_loses_no_event() -> TestResult {
    let crew = Crew::new()?;
    let server = with(&crew, 1, &[])?;
    crew.touch("hold_worker_error")?;
    server.worker(0).kill();
    crew.wait_for(&server, "companion worker_error w0.1", 1)?;
    wait_serving(&server, 2)?;
    // Several more that it has not begun.
    for times in 2..5 {
        server.worker(0).kill();
        wait_serving(&server, times + 1)?;
    }
    let pid = line(&crew, "companion worker_error w0.1")?;
    let pid: u32 = pid.rsplit(' ').next().and_then(|pid| pid.parse().ok()).unwrap_or(0);
    let mut all = server.tree().processes().into_iter();
    let companion = all.find(|process| process.pid() == pid);
    check(companion.as_ref().is_some_and(|it| it.kill()), "the companion")?;
    // (Its own death is told, too.)
    crew.remove("hold_worker_error")?;
    for generation in 1..5 {
        let told = format!("companion worker_error w0.{generation} ");
        crew.wait_for(&server, &told, if generation == 1 { 2 } else { 1 })?;
    }
    crew.wait_for(&server, "companion worker_error c0.1", 1)?;
    server.stop()?;
    check(crew.count("companion start") == 1, "told twice")
}

/// Whoever dies of an event does not for ever.
#[test]
fn an_event_that_kills_every_companion_is_given_up() -> TestResult {
    let crew = Crew::new()?;
    let server = with(&crew, 1, &[])?;
    let workers = server.workers();
    crew.touch("die_before_reload")?;
    server.signal(Signal::USR1);
    server.wait_for_log("every companion dies of this event")?;
    crew.wait_for(&server, "companion after_reload true", 1)?;
    check(crew.count("companion before_reload") == 3, "how often it was told")?;
    check(server.workers() != workers, "the reload did not wait")?;
    round_trip(&mut server.connect()?, "served")?;
    server.stop()
}

/// The end begins when it has returned, and clients are served until then.
#[test]
fn the_end_waits_for_it() -> TestResult {
    for mode in ["process", "base"] {
        let crew = Crew::new()?;
        let server = with(&crew, 1, &[("mode", mode)])?;
        crew.touch("hold_before_shutdown")?;
        server.signal(Signal::TERM);
        crew.wait_for(&server, "companion before_shutdown", 1)?;
        let mut client = server.connect()?;
        round_trip(&mut client, "still served")?;
        check(server.log_lines_with("draining").is_empty(), "it drains already")?;
        crew.remove("hold_before_shutdown")?;
        client.expect(b"before_shutdown\n")?;
        server.wait_end()?;
        line(&crew, "companion shutdown")?;
    }
    Ok(())
}

/// An end that comes at once is told, too: the companion outlives the others for a moment.
#[test]
fn it_is_told_of_an_end_that_comes_at_once() -> TestResult {
    for mode in ["process", "base"] {
        let crew = Crew::new()?;
        let server = with(&crew, 2, &[("mode", mode)])?;
        crew.wait_for(&server, "companion timer", 1)?;
        let mut client = server.connect()?;
        round_trip(&mut client, "served")?;
        server.signal(Signal::INT);
        server.wait_end()?;
        for event in ["before_shutdown", "manager_stop", "shutdown"] {
            let count = crew.count(&format!("companion {event} "));
            check(count == 1, format!("{count} times {event}: {:#?}", crew.journal()))?;
        }
        let last = crew.journal().last().cloned().unwrap_or_default();
        check(last.starts_with("companion shutdown"), last)?;
    }
    Ok(())
}

/// But that end does not wait for one that hangs.
#[test]
fn an_end_that_comes_at_once_does_not_wait_for_one_that_hangs() -> TestResult {
    let crew = Crew::new()?;
    let server = with(&crew, 1, &[])?;
    crew.touch("hold_before_shutdown")?;
    server.signal(Signal::INT);
    let ended = server.wait_end()?;
    let late = ended.log().lines_with("worker did not leave in time worker=c0.1").len();
    check(late == 1, "it is killed, and the log says so")
}

/// But not for ever.
#[test]
fn the_end_does_not_wait_for_one_that_hangs() -> TestResult {
    for event in ["before_shutdown", "shutdown"] {
        let crew = Crew::new()?;
        let server = with(&crew, 1, &[("drain_timeout_ms", "500")])?;
        crew.touch(&format!("hold_{event}"))?;
        let ended = server.stop_and_report();
        // It is killed, and the log says so.
        let text = ended.err().map(|error| error.to_string()).unwrap_or_default();
        check(text.contains("did not leave in time"), text)?;
    }
    Ok(())
}

/// It is stopped: workers die and are replaced as if it were not there.
#[test]
fn it_delays_no_supervision() -> TestResult {
    let crew = Crew::new()?;
    let server = with(&crew, 2, &[])?;
    crew.touch("hold_worker_error")?;
    for times in 0..5 {
        server.worker(times % 2).kill();
        wait_serving(&server, 3 + usize::from(times))?;
    }
    round_trip(&mut server.connect()?, "served")?;
    crew.remove("hold_worker_error")?;
    crew.wait_for(&server, "companion worker_error", 5)?;
    server.stop()
}

#[test]
fn it_is_told_of_managers_that_die() -> TestResult {
    let crew = Crew::new()?;
    let server = with(&crew, 1, &[])?;
    let (old, next) = (server.manager(), server.spare().pid());
    old.kill();
    old.wait_gone(DEADLINE)?;
    crew.wait_for(&server, &format!("companion manager_stop {} ", old.pid()), 1)?;
    crew.wait_for(&server, &format!("companion manager_start {next} "), 1)?;
    wait_lines(&server, "serves worker=", 2)?;
    round_trip(&mut server.connect()?, "served")?;
    server.stop()?;
    line(&crew, &format!("companion manager_stop {next} "))?;
    Ok(())
}
