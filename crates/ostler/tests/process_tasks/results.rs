//! Results: to whom they come, how often, of what size.

use ostler_testkit::TestResult;

use crate::foreman::{foreman, start};
use crate::support::check;
use crate::talk::Talk;
use crate::with_reactors;

#[test]
fn a_callback_hears_each_result_and_a_waiter_the_first() -> TestResult {
    let server = start(foreman(1, 1), 1)?;
    let mut talk = Talk::new(&server)?;
    talk.expect_answer("wait 20000 echo hello", "hello")?;
    talk.expect_answer("wait 20000 twice hello", "hello")?;
    talk.expect_answer("then echo one", "asked 3")?;
    talk.expect("3: one");
    talk.expect_answer("then twice two", "asked 4")?;
    talk.expect("4: two");
    talk.expect("4: two");
    talk.expect_answer("report twice three", "asked 5")?;
    talk.expect("5: three");
    talk.expect("5: three");
    // The second result of the one that was waited for is nobody's.
    talk.expect_answer("wait 20000 who", "w0.1")?;
    let ended = server.stop_and_report()?;
    let tasks = ended.tasks()?;
    check(tasks.asked == 6 && tasks.finished == 6 && tasks.open() == 0, format!("{tasks:?}"))
}

#[test]
fn what_has_no_result_is_told_to_who_waits_and_to_nobody_else() -> TestResult {
    let server = start(foreman(1, 1).expect_log("a callback failed"), 1)?;
    let mut talk = Talk::new(&server)?;
    talk.expect_answer("wait 20000 silent", "error: the task was finished without a result")?;
    talk.expect_answer("wait 20000 fail", "error: the task was finished without a result")?;
    talk.expect_answer("then silent", "asked 3")?;
    talk.expect_answer("send echo unheard", "asked 4")?;
    talk.expect_answer("wait 20000 echo end", "end")?;
    let tasks = server.stop_and_report()?.tasks()?;
    check(tasks.asked == 5 && tasks.finished == 5, format!("{tasks:?}"))?;
    check(tasks.unheard == 1, format!("one result that nobody wants: {tasks:?}"))
}

/// A late result is nobody's, and never satisfies a later call.
#[test]
fn a_wait_ends_in_time_and_what_comes_late_is_nobodys() -> TestResult {
    let server = start(foreman(1, 1), 1)?;
    let mut talk = Talk::new(&server)?;
    for _ in 0..3 {
        talk.expect_answer("wait 50 sleep 200", "error: no result came in time")?;
    }
    talk.expect_answer("wait 20000 echo mine", "mine")?;
    server.stop()
}

#[test]
fn several_are_waited_for_at_once_in_their_order() -> TestResult {
    let server = start(foreman(1, 3), 1)?;
    let mut talk = Talk::new(&server)?;
    talk.expect_answer(
        "multi 20000 sleep 100|echo b|silent",
        "slept|b|error: the task was finished without a result",
    )?;
    talk.expect_answer("multi 300 sleep 5000|echo b", "error: no result came in time|b")?;
    // Answers to others wait until the callback is over.
    talk.say("then sleep 20")?;
    talk.say("wait 20000 sleep 200")?;
    let lines = [talk.line()?, talk.line()?, talk.line()?];
    check(lines[0].starts_with("asked"), format!("{lines:?}"))?;
    check(lines[1..].iter().all(|line| line.ends_with("slept")), format!("{lines:?}"))?;
    server.stop()
}

/// In both directions, in records and in parts, up to the limit and not beyond.
#[test]
fn payloads_and_results_of_any_size_arrive_whole() -> TestResult {
    const MOST: usize = 1_000_000;
    let builder = foreman(1, 1).set("task_max_length", MOST).set("lane_size", 65_536);
    let server = start(builder, 1)?;
    let mut talk = Talk::new(&server)?;
    let edges = [0, 1, 63, 64, 4_000, 4_031, 4_032, 4_033, 16_311, 16_312, 16_313, 16_320, 65_536];
    for len in edges.into_iter().chain([300_000, MOST - 1, MOST]) {
        talk.expect_answer(&format!("size {len}"), &format!("same {len}"))?;
    }
    let long = talk.ask(&format!("size {}", MOST + 1))?;
    check(long.contains("more than `task_max_length`"), long)?;
    // A result that is too long is refused where it is made: the task ends without one.
    server.stop()
}

#[test]
fn a_result_beyond_the_limit_is_refused_in_the_task_worker() -> TestResult {
    let builder = foreman(1, 1).set("task_max_length", 1_000).expect_log("a callback failed");
    let server = start(builder, 1)?;
    let mut talk = Talk::new(&server)?;
    let unanswered = "error: the task was finished without a result";
    talk.expect_answer("wait 20000 big 1001", unanswered)?;
    server.wait_for_log("more than `task_max_length`")?;
    check(talk.ask("wait 20000 big 1000")?.len() > 10, "as long as may be")?;
    server.stop()
}

/// Whoever asks from any reactor, and however many results wait for their asker.
#[test]
fn many_results_come_all_each_once() -> TestResult {
    let server = start(with_reactors(foreman(2, 3)).set("lane_size", 65_536), 2)?;
    let mut talks = Vec::new();
    for _ in 0..4 {
        let mut talk = Talk::new(&server)?;
        talk.say("burst 500 big 3000")?;
        talks.push(talk);
    }
    for talk in &mut talks {
        let (mut asked, mut heard) = (0, 0);
        while asked < 500 || heard < 500 {
            match talk.line()? {
                line if line.starts_with("asked ") => asked += 1,
                line if line.len() > 3_000 => heard += 1,
                line => panic!("{line}"),
            }
        }
    }
    let tasks = server.stop_and_report()?.tasks()?;
    check(tasks.finished == 2_000 && tasks.results == 2_000, format!("{tasks:?}"))
}

/// What a client has sent is not copied on its way through a task worker, whichever part of it is
/// asked; a client sees no difference.
#[test]
fn parts_of_packages_are_asked_where_they_lie() -> TestResult {
    let builder = foreman(1, 1).set("task_max_length", 300_000).set("lane_size", 65_536);
    let server = start(builder.set("package_max_length", 400_000), 1)?;
    let mut talk = Talk::new(&server)?;
    for (part, all) in [(2_047, 2_047), (2_048, 9_000), (9_000, 9_000), (200_000, 300_000)] {
        let padding: String = ('a'..='z').cycle().take(all).collect();
        talk.expect_answer(&format!("part {part} {padding}"), &format!("same {part}"))?;
    }
    let padding = "z".repeat(300_001);
    let long = talk.ask(&format!("part 300001 {padding}"))?;
    check(long.contains("task_max_length"), long)?;
    server.stop()
}

/// A reply, a task and its result are parts of one package that overlap, and two workers say so:
/// each is whole, also when others wait to be read.
#[test]
fn replies_and_results_that_overlap_in_one_package_are_whole() -> TestResult {
    let builder = foreman(2, 2).set("task_max_length", 300_000).set("lane_size", 65_536);
    let server = start(builder.set("package_max_length", 400_000), 2)?;
    let mut talks = [Talk::new(&server)?, Talk::new(&server)?];
    for round in 0..20 {
        let lines: Vec<String> = ["x", "y"]
            .iter()
            .map(|letter| {
                let numbers = (0..20_000).map(|number| format!("{letter}{round}.{number} "));
                format!("overlap echo {}", numbers.collect::<String>())
            })
            .collect();
        // Both are there before anybody reads.
        for (talk, line) in talks.iter_mut().zip(&lines) {
            talk.say(line)?;
        }
        for (talk, line) in talks.iter_mut().zip(&lines) {
            let reply = &line[(line.len() + 1) / 3..];
            check(talk.line()? == reply, format!("the reply of round {round}"))?;
            let result = talk.line()?;
            check(result == line["overlap echo ".len()..], format!("the result of {round}"))?;
        }
    }
    let ended = server.stop_and_report()?;
    let tasks = ended.tasks()?;
    check(tasks.finished == 40 && tasks.open() == 0, format!("{tasks:?}"))
}

/// Answers that are read where they lie, while their reader waits for others: each is whole.
#[test]
fn a_callback_that_waits_keeps_the_answer_that_it_has() -> TestResult {
    let server = start(foreman(1, 2), 1)?;
    let mut talk = Talk::new(&server)?;
    talk.say("burst 50 big 5000")?;
    talk.say("nested big 6000")?;
    let (mut long, mut nested) = (0, false);
    while long < 50 || !nested {
        let line = talk.line()?;
        long += usize::from(line.ends_with(&"x".repeat(5_000)));
        nested |= line == "nested 6000 and 5000";
    }
    server.stop()
}

/// An area that holds hardly anything: what finds no room takes the old way.
#[test]
fn bodies_that_find_no_room_in_the_area_arrive_all_the_same() -> TestResult {
    let builder = foreman(1, 2).set("task_max_length", 1_000_000).set("lane_size", 65_536);
    // All results of the burst at once: when their asker is slow they are 2.4 MB.
    let budget = format!("{}MiB", crate::budget_mib(4));
    let server = start(builder.set("memory_budget", budget), 1)?;
    let mut talk = Talk::new(&server)?;
    for len in [5_000, 900_000, 1_000_000] {
        talk.expect_answer(&format!("size {len}"), &format!("same {len}"))?;
    }
    talk.say("burst 300 big 8000")?;
    let mut heard = 0;
    while heard < 300 {
        heard += usize::from(talk.line()?.len() > 8_000);
    }
    let tasks = server.stop_and_report()?.tasks()?;
    check((tasks.finished, tasks.unheard) == (303, 0), format!("{tasks:?}"))
}
