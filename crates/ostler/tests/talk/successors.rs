//! Processes that take the place of others have what those had: after a death, a reload, and the
//! loss of their manager.

use ostler_testkit::{Signal, TestError, TestResult, TestServer};

use super::Talk;

fn expect_ids(server: &TestServer, ids: &str, when: &str) -> TestResult {
    let found = Talk::new(server)?.ask("ids")?;
    if found == ids { Ok(()) } else { Err(TestError::new(format!("{when}: {found}, not {ids}"))) }
}

/// A worker dies, of which its manager reads why, and all are reloaded: each has these ids.
pub fn have_the_ids_after_a_death_and_a_reload(server: &TestServer, ids: &str) -> TestResult {
    let mut talk = Talk::new(server)?;
    talk.say("abort")?;
    talk.expect_closed();
    server.wait_for_log("aborted (SIGABRT)")?;
    expect_ids(server, ids, "after a death")?;
    server.signal(Signal::USR1);
    server.wait_for_log("reload finished")?;
    expect_ids(server, ids, "after a reload")
}

/// The manager is killed, and its workers end with it: those of the spare have these ids.
pub fn have_the_ids_after_the_loss_of_the_manager(server: &TestServer, ids: &str) -> TestResult {
    let serving = |server: &TestServer| server.log_lines_with("serves worker=").len();
    let before = serving(server);
    server.manager().kill();
    server.wait_for("a new worker", |server| serving(server) > before)?;
    expect_ids(server, ids, "after the loss of the manager")
}
