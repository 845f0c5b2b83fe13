//! What is not sent, and what its sender hears.

use ostler_testkit::TestResult;

use crate::mesh::{client_of, deadly, mesh, start, tell};
use crate::support::check;

#[test]
fn who_writes_to_itself_or_to_nobody_is_told_at_once() -> TestResult {
    let server = start(mesh(2, 1), 2, 1)?;
    let mut talk = client_of(&server, "w0")?;
    for (slot, why) in [
        ("w0", "a process sends no message to its own slot"),
        ("w2", "the server has no process w2"),
        ("t1", "the server has no process t1"),
        ("u3", "the server has no process u3"),
    ] {
        let answer = talk.ask(&format!("tell {slot} say x"))?;
        check(answer.starts_with(&format!("error: {why}")), answer)?;
    }
    server.stop()
}

/// What is beyond the limit comes back, the rest arrives in order, and then there is room again.
#[test]
fn a_receiver_that_does_not_read_is_full_and_nothing_is_lost_in_silence() -> TestResult {
    let builder = deadly(2, 0).set("message_queue_bytes", 65_536);
    let server = start(builder, 2, 0)?;
    let mut talk = client_of(&server, "w0")?;
    tell(&mut talk, "w1 sleep 2000", "w1<-w0 sleeps")?;
    talk.expect_answer("flood w1 1000 100", "flooded 1000")?;
    let mut lost = 0;
    server.wait_for("what has no room to come back while the receiver sleeps", |_| {
        lost = talk.number("sum").unwrap_or(0);
        lost >= 700
    })?;
    check(lost < 900, format!("{lost} of 1000"))?;
    let again = "w1<-w0 again";
    let mut lines = Vec::new();
    while lines.iter().all(|line| line != again) {
        // There is room when the receiver is awake.
        talk.say("tell w1 say again")?;
        lines.extend([talk.line()?, talk.line()?]);
    }
    let messages = server.stop_and_report()?.messages()?;
    check(messages.get("refused_full") >= lost, format!("{lost}: {messages:?}"))
}

/// A process that writes nonsense is condemned alone.
#[test]
fn one_that_writes_nonsense_is_condemned_alone() -> TestResult {
    for harm in ["nobody", "above", "long", "part", "more", "down", "end", "taken"] {
        let server = start(deadly(1, 1).expect_log("nonsense"), 1, 1)?;
        let mut talk = client_of(&server, "w0")?;
        talk.expect_answer(&format!("tell t0 hostile {harm}"), "sent 1")?;
        // What it says that it has taken is looked at when there is more for it.
        server.wait_for("its end", |server| {
            let _ = talk.say("tell t0 say x").and_then(|()| talk.line());
            !server.log_lines_with("killed by the server: condemned").is_empty()
        })?;
        server.wait_for_log("takes tasks worker=t0.2")?;
        let mut lines = vec![talk.ask("tell t0 say alive")?];
        while lines.iter().all(|line| line != "t0<-w0 alive") {
            lines.push(talk.line()?);
        }
        check(server.log_lines_with("serves worker=").len() == 1, harm)?;
        server.stop()?;
    }
    Ok(())
}
