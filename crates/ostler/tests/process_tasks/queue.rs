//! The queue: who runs a task, in which order, how many may wait.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ostler_testkit::{TestResult, wait_until};

use crate::foreman::{foreman, start};
use crate::support::{check, wait_lines};
use crate::talk::Talk;

#[test]
fn a_chosen_worker_runs_it_and_an_unknown_one_is_refused() -> TestResult {
    let server = start(foreman(1, 3), 1)?;
    let mut talk = Talk::new(&server)?;
    for slot in [2, 0, 1, 2] {
        let who = talk.ask(&format!("to {slot} wait 20000 whoami"))?;
        check(who.starts_with(&format!("t{slot}.")), who)?;
    }
    let refused = talk.ask("to 3 wait 20000 whoami")?;
    check(refused == "error: there is no task worker in slot 3: the slots are 0 to 2", refused)?;
    server.stop()
}

/// One that dies is waited for.
#[test]
fn a_task_for_a_worker_that_is_about_to_begin_waits_for_it() -> TestResult {
    let server = start(foreman(1, 2).expect_log("worker died"), 1)?;
    wait_lines(&server, "takes tasks", 2)?;
    let mut talk = Talk::new(&server)?;
    server.task_workers()[1].kill();
    let who = talk.ask("to 1 wait 20000 whoami")?;
    check(who.starts_with("t1.2 ") || who.starts_with("t1.1 "), who)?;
    server.wait_for_log("takes tasks worker=t1.2")?;
    server.stop()
}

#[test]
fn the_idlest_worker_runs_it() -> TestResult {
    let server = start(foreman(1, 2), 1)?;
    wait_lines(&server, "takes tasks", 2)?;
    let mut talk = Talk::new(&server)?;
    talk.expect_answer("to 0 then sleep 1000", "asked 1")?;
    for _ in 0..5 {
        let who = talk.ask("wait 20000 whoami")?;
        check(who.starts_with("t1."), who)?;
    }
    talk.expect("1: slept");
    server.stop()
}

/// What was given to a busy worker in advance is taken back when another one idles.
#[test]
fn nothing_waits_behind_a_slow_task_while_a_worker_idles() -> TestResult {
    let builder = foreman(1, 2).set("prefetch_us", "100ms");
    let server = start(builder, 1)?;
    wait_lines(&server, "takes tasks", 2)?;
    let mut talk = Talk::new(&server)?;
    let began = Instant::now();
    talk.say("multi 20000 sleep 2000|echo a|echo b|echo c|echo d")?;
    talk.expect("slept|a|b|c|d");
    check(began.elapsed() >= Duration::from_secs(2), "it slept")?;
    server.stop()
}

/// It seems to have nothing to do, and would be given every other task for ever.
#[test]
fn nothing_waits_for_a_worker_that_is_stopped_while_another_one_idles() -> TestResult {
    let server = start(foreman(1, 2), 1)?;
    wait_lines(&server, "takes tasks", 2)?;
    let mut talk = Talk::new(&server)?;
    talk.expect_answer("wait 20000 echo before", "before")?;
    let workers = server.task_workers();
    let [stopped, other] = &workers[..] else { return check(false, "there are two") };
    stopped.stop()?;
    for _ in 0..4 {
        let answer = talk.ask("wait 20000 whoami")?;
        check(answer.ends_with(&format!(" {}", other.pid())), answer)?;
    }
    stopped.cont()?;
    talk.expect_answer("wait 20000 echo behind", "behind")?;
    server.stop()
}

#[test]
fn high_comes_before_normal_before_low() -> TestResult {
    // One at a time, so that the order is that of the queue.
    let server = start(foreman(1, 1).set("prefetch_packages", 1), 1)?;
    let gate = server.directory().join("gate");
    let mut talk = Talk::new(&server)?;
    talk.expect_answer(&format!("then gate {}", gate.display()), "asked 1")?;
    let begun = server.directory().join("gate.waits");
    wait_until("the first to have begun", || begun.exists())?;
    for order in ["low then echo l", "then echo n", "high then echo h"] {
        check(talk.ask(order)?.starts_with("asked"), order)?;
    }
    let are_asked = |talk: &mut Talk| talk.ask("figures").is_ok_and(|it| it == "4 4");
    wait_until("all to be in the queue", || are_asked(&mut talk))?;
    std::fs::write(gate, "")?;
    for line in ["1: open", "4: h", "3: n", "2: l"] {
        talk.expect(line);
    }
    server.stop()
}

#[test]
fn a_delayed_task_is_run_when_its_time_has_come() -> TestResult {
    const DELAY: Duration = Duration::from_millis(400);
    let server = start(foreman(1, 1), 1)?;
    let mut talk = Talk::new(&server)?;
    let began = Instant::now();
    talk.expect_answer("after 400 then echo late", "asked 1")?;
    talk.expect_answer("then echo soon", "asked 2")?;
    talk.expect("2: soon");
    talk.expect("1: late");
    check(began.elapsed() >= DELAY, format!("{:?}", began.elapsed()))?;
    server.stop()
}

#[test]
fn who_asks_a_full_queue_is_told() -> TestResult {
    let builder = foreman(1, 1).set("task_queue_max", 3).expect_log("a task was not taken in");
    let server = start(builder.expect_log("tasks were not taken in"), 1)?;
    let mut talk = Talk::new(&server)?;
    for number in 1..=3 {
        talk.expect_answer("then sleep 300", &format!("asked {number}"))?;
    }
    let full = "error: `task_queue_max` tasks wait already: try again later";
    talk.expect_answer("wait ever echo x", full)?;
    talk.expect_answer("then echo y", "asked 5")?;
    talk.expect(&format!("5: {full}"));
    for number in 1..=3 {
        talk.expect(&format!("{number}: slept"));
    }
    talk.expect_answer("wait ever later 50 again", "again")?;
    let tasks = server.stop_and_report()?.tasks()?;
    check(tasks.refused == 2 && tasks.asked == 4, format!("{tasks:?}"))
}

/// It asks in a loop and hears of nothing meanwhile: it is told at once when more ends wait for it
/// than are kept, and none of those that were asked is thrown away.
#[test]
fn refusals_for_somebody_who_does_not_read_do_not_pile_up() -> TestResult {
    /// What `task_queue_max` lets wait, and the ends that are kept beyond those.
    const OPEN_MAX: u64 = 1 + 1_024;
    let builder = foreman(1, 1).set("task_queue_max", 1).set("lane_size", 65_536);
    let server = start(builder.expect_log("not taken in"), 1)?;
    let mut talk = Talk::new(&server)?;
    talk.expect_answer("burst 20000 echo x", "asked 1")?;
    for number in 2..=OPEN_MAX {
        talk.expect(&format!("asked {number}"));
    }
    let full = "error: `task_queue_max` tasks wait already: try again later";
    for _ in OPEN_MAX..20_000 {
        talk.expect(full);
    }
    let mut heard = BTreeSet::new();
    for _ in 0..OPEN_MAX {
        let line = talk.line()?;
        let (number, end) = line.split_once(": ").unwrap_or_default();
        check(end == "x" || end == full, &line)?;
        check(heard.insert(number.to_owned()), &line)?;
    }
    let tasks = server.stop_and_report()?.tasks()?;
    check(tasks.refused + tasks.asked == OPEN_MAX && tasks.unheard == 0, format!("{tasks:?}"))
}

#[test]
fn without_task_workers_and_in_one_it_is_said_what_to_do() -> TestResult {
    let server = foreman(1, 0).start()?;
    let mut talk = Talk::new(&server)?;
    let none = "error: there are no task workers: set `task_workers` to 1 or more";
    talk.expect_answer("send echo x", none)?;
    talk.expect_answer("wait 20000 echo x", none)?;
    server.stop()?;
    let server = start(foreman(1, 1), 1)?;
    let mut talk = Talk::new(&server)?;
    let answer = talk.ask("wait 20000 nest echo x")?;
    check(answer.contains("a task worker waits for no task"), answer)?;
    server.stop()
}
