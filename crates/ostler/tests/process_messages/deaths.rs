//! What becomes of messages when their senders and receivers die, or are replaced.

use std::time::{Duration, Instant};

use ostler_testkit::{KillEvery, TestResult};

use crate::mesh::{client_of, deadly, start, tell};
use crate::support::check;

const KILL_EVERY: Duration = Duration::from_millis(100);

/// What a process had begun to handle is delivered; all others come back.
#[test]
fn what_a_dead_process_had_not_begun_comes_back() -> TestResult {
    for (name, log) in [("w1", "serves worker=w1.2"), ("t0", "takes tasks worker=t0.2")] {
        let server = start(deadly(2, 1), 2, 1)?;
        let mut talk = client_of(&server, "w0")?;
        tell(&mut talk, &format!("{name} sleep 60000"), &format!("{name}<-w0 sleeps"))?;
        talk.expect_answer(&format!("flood {name} 500 200"), "flooded 500")?;
        let victim = if name == "w1" { server.worker(1) } else { server.task_workers()[0].clone() };
        victim.kill();
        server.wait_for("all of the flood to come back", |_| {
            talk.number("sum").is_ok_and(|lost| lost == 500)
        })?;
        server.wait_for_log(log)?;
        // Its successor has nothing of that, and everything that comes.
        talk.say(&format!("flood {name} 10 1"))?;
        let mut lines = [talk.line()?, talk.line()?];
        lines.sort();
        check(lines == ["flooded 10", "in order 10"], format!("{lines:?}"))?;
        let messages = server.stop_and_report()?.messages()?;
        let counts = ["delivered", "open", "left"].map(|count| messages.get(count));
        check(counts == [11, 0, 0], format!("{name}: {messages:?}"))?;
        // What has come to the switch behind the death found nobody.
        let back = messages.get("ended") + messages.get("refused_not_running");
        check(back == 500, format!("{name}: {messages:?}"))?;
    }
    Ok(())
}

/// A process that has ended for good, and one that is killed while somebody writes to it.
#[test]
fn who_writes_to_a_slot_without_a_process_is_told() -> TestResult {
    let server = start(deadly(1, 1), 1, 1)?;
    let mut talk = client_of(&server, "w0")?;
    let nobody = "undelivered: the receiver does not run now: try again when it was restarted";
    let unread = "undelivered: the receiver ended before it had read the message";
    loop {
        talk.say("tell once say x")?;
        let lines = [talk.line()?, talk.line()?];
        if lines.iter().any(|line| line == nobody) {
            break;
        }
        // It had not ended yet.
        check(lines.iter().any(|line| line == unread), format!("{lines:?}"))?;
    }
    server.task_workers()[0].kill();
    for _ in 0..200 {
        talk.say("tell t0 say there")?;
        let mut lines = [talk.line()?, talk.line()?];
        lines.sort();
        let fates = ["t0<-w0 there", nobody, unread];
        let is_told = lines.iter().any(|line| fates.contains(&line.as_str()));
        check(is_told, format!("{lines:?}"))?;
    }
    server.stop()
}

/// Whatever dies: each message is delivered, or its end is counted.
#[test]
fn the_books_balance_while_processes_are_killed() -> TestResult {
    const LEAST: Duration = Duration::from_secs(3);
    let server = start(deadly(3, 2).set("fork_interval_ms", 0), 3, 2)?;
    let mut talks = [crate::talk::Talk::new(&server)?, crate::talk::Talk::new(&server)?];
    let killers =
        [KillEvery::start(&server, KILL_EVERY)?, KillEvery::start_on_tasks(&server, KILL_EVERY)?];
    let began = Instant::now();
    while began.elapsed() < LEAST {
        for (talk, slots) in talks.iter_mut().zip([["w0", "t1"], ["w2", "t0"]]) {
            for slot in slots {
                let order = format!("flood {slot} 50 300");
                // A session may end with its worker.
                if talk.say(&order).is_err() || talk.line().is_err() {
                    *talk = crate::talk::Talk::new(&server)?;
                }
            }
        }
    }
    for killer in killers {
        check(killer.stop()? > 3, "they were killed")?;
    }
    let messages = server.stop_and_report()?.messages()?;
    let (all, open) = (messages.get("sent"), messages.get("open"));
    check(all > 1_000 && open == 0, format!("{messages:?}"))
}
