//! The lane to the switch, which every process has besides its own: nonsense on it, and deaths at
//! each step of its protocol.

use ostler_shm::fault::STEPS;
use ostler_testkit::TestResult;

use crate::deaths::deadly;
use crate::foreman::start;
use crate::support::{check, wait_lines};
use crate::talk::Talk;

/// Kinds of records, those of clients' lanes and those that are none.
const KINDS: std::ops::Range<u8> = 0..36;
/// How each of them is filled.
const FORMS: std::ops::Range<u8> = 0..5;

/// The switch has no client: whatever an event worker says of one there, it is condemned alone, or
/// was heard for nothing, before what ends it in any case.
#[test]
fn any_record_of_an_event_worker_harms_itself_alone() -> TestResult {
    let builder = deadly(2, 1).set("lane_size", 65_536).expect_log("nonsense");
    let builder = builder.expect_log("many").expect_log("callback").expect_log("not taken in");
    let builder = builder.set("fork_interval_ms", 0).set("back_off_min_ms", 1);
    let server = start(builder.set("back_off_max_ms", 2), 2)?;
    let (master, mut good) = (server.master(), Talk::new(&server)?);
    let own = good.ask("whoami")?;
    let mut condemned = 0;
    for kind in KINDS {
        for form in FORMS {
            let mut villain = other_than(&server, &own)?;
            villain.say(&format!("hostile record {kind} {form}"))?;
            villain.expect_closed();
            condemned += 1;
            server.wait_for("it to be condemned", |server| {
                server.log_lines_with("worker wrote nonsense, condemned").len() == condemned
            })?;
            good.expect_answer("wait 20000 echo still here", "still here")?;
            check(good.ask("whoami")? == own, format!("{kind} {form}"))?;
        }
    }
    check(server.master() == master, "the master lives")?;
    drop(good);
    let tasks = server.stop_and_report()?.tasks()?;
    check(tasks.open() == 0, format!("{tasks:?}"))
}

/// A connection of the other worker.
fn other_than(server: &ostler_testkit::TestServer, who: &str) -> TestResult<Talk> {
    let mut found = None;
    server.wait_for("the other worker to serve", |server| {
        let talk = Talk::new(server).ok();
        found = talk.and_then(|mut talk| (talk.ask("whoami").ok()? != who).then_some(talk));
        found.is_some()
    })?;
    found.ok_or_else(|| ostler_testkit::TestError::new("nobody"))
}

/// Its connections end with it. Whatever it had asked has one end, and its successor asks on.
fn asker_dies_at(step: &str, nth: u64) -> TestResult {
    let builder = deadly(1, 1).set("fork_interval_ms", 0).expect_log("callback");
    let server = start(builder.fault(step, nth), 1)?;
    let has_died = || !server.log_lines_with("worker died").is_empty();
    let mut talk = Talk::new(&server).ok();
    server.wait_for("it to die there", |server| {
        let lines = talk.as_mut().map(|talk| {
            talk.say("burst 3 echo x")?;
            (0..6).try_for_each(|_| talk.line().map(drop))
        });
        if !matches!(lines, Some(Ok(()))) {
            talk = Talk::new(server).ok();
        }
        has_died()
    })?;
    wait_lines(&server, "serves worker=w0.2", 1)?;
    Talk::new(&server)?.expect_answer("wait 20000 echo next", "next")?;
    let tasks = server.stop_and_report()?.tasks()?;
    check(tasks.open() == 0 && tasks.failed == 0, format!("{tasks:?}"))?;
    let told = tasks.results + tasks.unheard;
    check(told >= tasks.finished, format!("{tasks:?}"))
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "the hook is in builds with debug assertions only")]
fn an_asker_that_dies_at_any_step_leaves_nothing_behind() -> TestResult {
    for (step, _) in STEPS
        .iter()
        .filter(|(step, _)| !matches!(*step, "EXPOSED" | "WAITING_FOR_ROOM" | "FILE_PASSED"))
    {
        for nth in [1, 2, 5, 12] {
            asker_dies_at(step, nth).map_err(|error| error.context(format!("{step}:{nth}")))?;
        }
    }
    Ok(())
}
