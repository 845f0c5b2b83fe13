//! What task workers and askers do with sessions, which event workers have.

use ostler_testkit::TestResult;

use crate::foreman::{foreman, start};
use crate::support::check;
use crate::talk::Talk;

/// By the ways that processes of BASE mode have to each other, whoever has the session.
#[test]
fn a_task_sends_to_sessions_of_any_worker() -> TestResult {
    let server = start(foreman(3, 2), 3)?;
    let mut talks = Vec::new();
    for _ in 0..6 {
        let mut talk = Talk::new(&server)?;
        let id = talk.ask("id")?;
        talks.push((talk, id));
    }
    for asker in 0..6 {
        for heard in 0..6 {
            let order = format!("send tell {} {asker} to {heard}", talks[heard].1);
            check(talks[asker].0.ask(&order)?.starts_with("asked"), &order)?;
            talks[heard].0.expect(&format!("{asker} to {heard}"));
        }
    }
    let tasks = server.stop_and_report()?.tasks()?;
    check(tasks.finished == 36 && tasks.open() == 0, format!("{tasks:?}"))
}

/// Results that lie in the switch's memory are sent to clients of the asker.
#[test]
fn long_results_reach_the_clients_of_those_who_asked() -> TestResult {
    let server = start(foreman(2, 2), 2)?;
    let mut talks = [Talk::new(&server)?, Talk::new(&server)?, Talk::new(&server)?];
    for len in [1_000, 5_000, 300_000] {
        for talk in &mut talks {
            talk.say(&format!("then big {len}"))?;
        }
        for talk in &mut talks {
            check(talk.line()?.starts_with("asked"), "asked")?;
            check(talk.line()?.ends_with(&"x".repeat(len)), format!("{len}"))?;
        }
    }
    server.stop()
}

/// The figures of the switch are those of the server, read by any worker.
#[test]
fn statistics_count_the_tasks_of_all_workers() -> TestResult {
    let server = start(foreman(2, 1), 2)?;
    let mut talks = [Talk::new(&server)?, Talk::new(&server)?, Talk::new(&server)?];
    for talk in &mut talks {
        talk.expect_answer("wait 20000 echo x", "x")?;
    }
    for talk in &mut talks {
        server.wait_for("the figures", |_| talk.ask("figures").is_ok_and(|told| told == "3 0"))?;
    }
    server.stop()
}
