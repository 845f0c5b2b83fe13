//! Who dies in the middle of a deploy, and what comes then.

use ostler_testkit::{DEADLINE, KillEvery, Signal, TestResult, TestServer};

use crate::scene::{Place, check_running, wait_running};
use crate::support::{check, start, wait_lines, wait_serving};

const DONE: &str = "reload finished: every worker is new";

fn server(place: &Place, workers: u16) -> TestResult<TestServer> {
    let builder = place
        .server(workers, 1)
        .set("crash_policy", "redeliver:100")
        .set("boot_timeout_ms", "20s")
        .expect_log("worker died")
        .expect_log("nothing changed")
        .expect_log("the manager died")
        .expect_log("the spare manager")
        .expect_log("spare manager died")
        .expect_log("reload");
    start(builder, workers)
}

/// Deploys a program that hangs and waits until it is a worker's.
fn canary_hangs(place: &Place, server: &TestServer) -> TestResult<ostler_testkit::Process> {
    let hanging = place.deploy_impostor("hangs")?;
    server.signal(Signal::USR1);
    let mut canary = None;
    server.wait_for("the canary to hang", |server| {
        canary = server.tree().processes().into_iter().find(|process| {
            crate::scene::program_of(process).is_ok_and(|program| program == hanging)
        });
        canary.is_some()
    })?;
    canary.ok_or_else(|| ostler_testkit::TestError::new("the canary"))
}

#[test]
fn a_canary_that_is_killed_before_it_is_a_worker_aborts_the_reload() -> TestResult {
    let place = Place::new("canary")?;
    let server = server(&place, 2)?;
    let good = place.inode()?;
    let load = server.load().connections(8).depth(2).start()?;
    let canary = canary_hangs(&place, &server)?;
    load.wait_for_more(100)?;
    // A worker that dies meanwhile does not get what nobody has proved.
    server.worker(1).kill();
    wait_serving(&server, 3)?;
    canary.kill();
    wait_lines(&server, "nothing changed", 1)?;
    check_running(&server, good)?;
    let deployed = place.deploy()?;
    server.signal(Signal::USR1);
    wait_lines(&server, DONE, 1)?;
    wait_running(&server, 2, deployed)?;
    load.wait_for_more(100)?;
    load.stop()?.check_perfect()?;
    server.stop()
}

/// The spare that takes its place knows what was accepted, from its own fork or by being told.
#[test]
fn a_manager_that_dies_in_a_deploy_is_followed_by_one_that_starts_the_accepted_program()
-> TestResult {
    let place = Place::new("manager")?;
    let server = server(&place, 2)?;
    let load = server.load().connections(8).depth(2).start()?;
    let mut serving = 2;
    for round in 0..2 {
        // The second time after a deploy that the spare was told of.
        if round > 0 {
            place.deploy()?;
            server.signal(Signal::USR1);
            wait_lines(&server, DONE, round)?;
            serving += 2;
        }
        let good = place.inode()?;
        let canary = canary_hangs(&place, &server)?;
        let spare = server.spare();
        server.manager().kill();
        canary.wait_gone(DEADLINE)?;
        serving += 2;
        wait_serving(&server, serving)?;
        check(server.manager() == spare, "the spare takes over")?;
        wait_running(&server, 2, good)?;
        load.wait_for_more(100)?;
        // Two managers may not be lost within a second.
        std::thread::sleep(std::time::Duration::from_millis(1_100));
    }
    load.stop()?.check_perfect()?;
    server.stop()
}

/// A spare that is forked after a deploy begins with what was accepted then.
#[test]
fn a_new_spare_knows_the_accepted_program() -> TestResult {
    let place = Place::new("spare")?;
    let server = server(&place, 1)?;
    let deployed = place.deploy()?;
    server.signal(Signal::USR1);
    wait_lines(&server, DONE, 1)?;
    let old = server.spare();
    old.kill();
    old.wait_gone(DEADLINE)?;
    server.wait_for("a new spare", |server| server.tree().spare().is_some_and(|now| now != old))?;
    // Whatever the manager does after that it does when the master has been told of the spare.
    server.worker(0).kill();
    wait_serving(&server, 3)?;
    place.deploy_impostor("exits")?;
    server.manager().kill();
    wait_serving(&server, 4)?;
    wait_running(&server, 1, deployed)?;
    server.stop()
}

#[test]
fn nothing_is_left_of_a_deploy_when_the_master_dies() -> TestResult {
    let place = Place::new("master")?;
    let server = server(&place, 2)?;
    let canary = canary_hangs(&place, &server)?;
    let all = server.tree().processes();
    check(all.contains(&canary), "the canary is of the tree")?;
    server.master().kill();
    for process in all {
        process.wait_gone(DEADLINE)?;
    }
    server.abandon();
    Ok(())
}

/// Deploys, good and broken in turn, while workers are killed all the time.
#[test]
fn deploys_among_kills_lose_nothing() -> TestResult {
    const DEPLOYS: usize = 6;
    let place = Place::new("kills")?;
    let builder = place
        .server(3, 2)
        .set("crash_policy", "redeliver:100")
        .set("boot_timeout_ms", "20s")
        .expect_log("worker died")
        .expect_log("could not start")
        .expect_log("reload finished")
        .expect_log("workers die often")
        .expect_log("ended before it served");
    let server = start(builder, 3)?;
    let load = server.load().connections(16).depth(4).bytes(24, 512).start()?;
    let every = std::time::Duration::from_millis(100);
    let killer = KillEvery::start(&server, every)?;
    for round in 0..DEPLOYS {
        match round % 2 {
            0 => place.deploy()?,
            _ => place.deploy_impostor("exits")?,
        };
        server.signal(Signal::USR1);
        wait_lines(&server, "reload finished", round + 1)?;
        load.wait_for_more(100)?;
    }
    killer.stop()?;
    load.wait_for_more(100)?;
    load.stop()?.check_perfect()?;
    server.stop()
}
