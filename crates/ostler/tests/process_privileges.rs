//! Workers that give their rights away: they serve, are replaced and end as any other, and who
//! cannot give them away does not start.
#![allow(clippy::panic)] // a test that cannot go on

mod talk;

use ostler_testkit::{DEADLINE, ServerBuilder, TestResult};
use talk::machine::may_change_ids;
use talk::{Scratch, Talk, probe, small_probe, successors};

/// Masters that are killed.
const KILLS: usize = 20;

/// A server whose workers are nobody's.
fn of_nobody(server: ServerBuilder) -> ServerBuilder {
    server.set("user", "65534").set("group", "65534").set("no_new_privileges", "true")
}

#[test]
fn a_worker_of_another_user_serves_and_is_replaced_by_one() -> TestResult {
    if !may_change_ids() {
        return Ok(());
    }
    for (mode, start) in [("process", "fork"), ("process", "exec"), ("base", "fork")] {
        let server = of_nobody(small_probe())
            .set("mode", mode)
            .set("start", start)
            .expect_log("worker died")
            .expect_log("manager died")
            .start()?;
        let ids = Talk::new(&server)?.ask("ids")?;
        assert!(ids.starts_with("uid 65534,65534,65534 gid 65534,65534,65534 groups 65534 "));
        successors::have_the_ids_after_a_death_and_a_reload(&server, &ids)?;
        successors::have_the_ids_after_the_loss_of_the_manager(&server, &ids)?;
        server.stop()?;
    }
    Ok(())
}

/// The kernel forgets who ends with whom when a process changes its ids: it is told again.
#[test]
fn no_worker_of_another_user_outlives_its_master() -> TestResult {
    if !may_change_ids() {
        return Ok(());
    }
    for _ in 0..KILLS {
        let server = of_nobody(probe())
            .expect_log("the master is gone")
            .expect_log("worker died")
            .start()?;
        let mut talk = Talk::new(&server)?;
        talk.say("spin")?;
        server.wait_for_log("serves worker=w0.")?;
        server.wait_for_log("serves worker=w1.")?;
        let workers = server.workers();
        server.master().kill();
        workers.iter().try_for_each(|worker| worker.wait_gone(DEADLINE))?;
        // No process, no port.
        server.wait_end()?;
    }
    Ok(())
}

#[test]
fn a_root_without_devices_is_enough_for_both_kinds_of_start() -> TestResult {
    if !may_change_ids() {
        return Ok(());
    }
    for start in ["fork", "exec"] {
        let scratch = Scratch::new("empty")?;
        let server = of_nobody(small_probe())
            .set("chroot", scratch.at().display())
            .set("start", start)
            .expect_log("panicked")
            .expect_log("worker died")
            .start()?;
        let mut talk = Talk::new(&server)?;
        assert!(talk.ask("ids")?.contains(" in / "));
        assert_eq!(talk.ask("open /dev/null")?, "refused");
        talk.say("panic in a bare room")?;
        talk.expect_closed();
        server.wait_for_log("probe::process::run")?;
        let mut talk = Talk::new(&server)?;
        assert_eq!(talk.ask("echo served")?, "served");
        drop(talk);
        server.stop()?;
    }
    Ok(())
}

#[test]
fn who_may_not_give_rights_away_does_not_start() -> TestResult {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    for (name, value) in [("user", "root"), ("group", "root"), ("chroot", "/")] {
        let (code, text) = small_probe().set(name, value).start_expecting_failure()?;
        assert!(code != 0 && text.contains("started as root"), "{name}: {code} {text}");
    }
    Ok(())
}

/// A user that is a number and stands in no list of users has no group that it could be of.
#[test]
fn a_user_without_a_group_is_an_error_at_the_start() -> TestResult {
    if !may_change_ids() {
        return Ok(());
    }
    let (code, text) = small_probe().set("user", 61_234).start_expecting_failure()?;
    assert!(code != 0 && text.contains("set `group`"), "{code} {text}");
    // With one it has that, and no supplementary ones.
    let server = small_probe().set("user", 61_234).set("group", 61_235).start()?;
    let ids = Talk::new(&server)?.ask("ids")?;
    assert!(ids.starts_with("uid 61234,61234,61234 gid 61235,61235,61235 groups 61235 "), "{ids}");
    server.stop()
}
