//! Ends of processes that send messages, when their connections outlive them.

use ostler_testkit::{Signal, TestResult};

use crate::mesh::{client_of, deadly, mesh, start, tell};
use crate::support::check;

/// Published with what their package sends, or not at all.
#[test]
fn messages_of_a_package_that_is_not_finished_are_not_sent() -> TestResult {
    let builder = deadly(2, 0).set("crash_policy", "redeliver:2");
    let server = start(builder, 2, 0)?;
    let mut talk = client_of(&server, "w0")?;
    talk.say("die w1 say never")?;
    talk.expect_closed();
    let mut talk = client_of(&server, "w0")?;
    tell(&mut talk, "w1 say once", "w1<-w0 once")?;
    let messages = server.stop_and_report()?.messages()?;
    check(messages.get("sent") == 1, format!("{messages:?}"))
}

/// What was published arrives, whatever becomes of its sender.
#[test]
fn messages_of_a_dead_process_arrive() -> TestResult {
    let server = start(deadly(2, 0).set("crash_policy", "drop"), 2, 0)?;
    let mut talk = client_of(&server, "w0")?;
    let mut other = client_of(&server, "w1")?;
    check(other.ask("whoami")? == "w1", "another client")?;
    talk.say("die w1 say last words")?;
    talk.expect("w1<-w0 last words");
    server.wait_for_log("serves worker=w0.2")?;
    let messages = server.stop_and_report()?.messages()?;
    check(messages.get("delivered") == 1, format!("{messages:?}"))
}

/// Workers that are replaced in good order lose nothing: who leaves reads what it has, the others
/// get the rest.
#[test]
fn reloads_and_recycling_lose_no_message() -> TestResult {
    const REPLACED: usize = 12;
    let builder = mesh(2, 1).set("worker_age_max_ms", 1_000);
    let server = start(builder, 2, 1)?;
    let mut talk = client_of(&server, "w0")?;
    let mut rounds = 0;
    while server.log_lines_with("serves worker=").len() < REPLACED {
        if rounds % 200 == 100 {
            server.signal(Signal::USR1);
        }
        for slot in ["w1", "t0"] {
            tell(&mut talk, &format!("{slot} say {rounds}"), &format!("{slot}<-w0 {rounds}"))?;
        }
        talk.say("flood w1 20 500")?;
        let mut lines = [talk.line()?, talk.line()?];
        lines.sort();
        check(lines == ["flooded 20", "in order 20"], format!("{lines:?}"))?;
        rounds += 1;
    }
    let messages = server.stop_and_report()?.messages()?;
    let all = messages.get("sent");
    check(messages.get("delivered") == all && all == 22 * rounds, format!("{messages:?}"))
}
