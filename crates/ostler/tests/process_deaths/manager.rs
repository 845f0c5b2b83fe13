//! Managers and spares that die, or cannot do their work for a while.

use std::time::{Duration, Instant};

use ostler_testkit::{DEADLINE, Signal, TestResult, TestServer};

use crate::support::{check, echo, round_trip, start, wait_lines, wait_serving};
use crate::{BACK_OFF, DIED};

/// No zombie is left to anybody: processes that died were reaped.
fn no_zombies(server: &TestServer) -> TestResult {
    server.wait_for("zombies to be buried", |server| {
        server.tree().processes().iter().all(|process| {
            let children = format!("/proc/{0}/task/{0}/children", process.pid());
            let children = std::fs::read_to_string(children).unwrap_or_default();
            children.split_whitespace().all(|child| {
                std::fs::read_to_string(format!("/proc/{child}/stat"))
                    .is_ok_and(|stat| !stat.contains(") Z "))
            })
        })
    })
}

/// More than a second: a second loss within it would be one too many.
fn let_a_second_pass(load: &ostler_testkit::RunningLoad) -> TestResult {
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(1_200) {
        load.wait_for_more(50)?;
    }
    Ok(())
}

#[test]
fn the_spare_takes_the_place_of_a_dead_manager() -> TestResult {
    let builder = echo(2, 2)
        .set("crash_policy", "redeliver:3")
        .expect_log("the manager died")
        .expect_log(DIED)
        .expect_log(BACK_OFF);
    let server = start(builder, 2)?;
    let load = server.load().connections(16).depth(4).start()?;
    load.wait_for_more(500)?;
    for round in 0..2 {
        let (manager, spare, workers) = (server.manager(), server.spare(), server.workers());
        manager.kill();
        manager.wait_gone(DEADLINE)?;
        wait_lines(&server, "the manager died", round + 1)?;
        let who = format!(" pid={} successor={}", manager.pid(), spare.pid());
        server.wait_for_log(&who)?;
        server.wait_for("the spare to be the manager", |server| {
            server.tree().manager().is_some_and(|now| now == spare)
        })?;
        for worker in workers {
            worker.wait_gone(DEADLINE)?;
        }
        wait_serving(&server, 2 * (round + 2))?;
        let next = server.spare();
        check(next != spare, "the spare is its own spare")?;
        load.wait_for_more(500)?;
        no_zombies(&server)?;
        let_a_second_pass(&load)?;
    }
    // A reload reaches the third manager as it did the first.
    server.signal(Signal::USR1);
    server.wait_for_log("reload finished")?;
    load.wait_for_more(500)?;
    load.stop()?.check_perfect()?;
    server.stop()
}

#[test]
fn two_managers_lost_within_a_second_end_the_server() -> TestResult {
    let server = start(echo(2, 1), 2)?;
    let mut client = server.connect()?;
    round_trip(&mut client, "hello")?;
    let (manager, spare) = (server.manager(), server.spare());
    manager.kill();
    spare.kill();
    client.expect_closed()?;
    let ended = server.wait_end()?;
    check(ended.code() == Some(5), format!("{:?} {:?}", ended.code(), ended.signal()))?;
    check(!ended.log().lines_with("so no manager is left").is_empty(), "not said")?;
    ended.check_books()
}

#[test]
fn a_dead_spare_is_replaced_and_the_new_one_is_good() -> TestResult {
    let builder = echo(2, 1)
        .set("crash_policy", "redeliver:3")
        .expect_log("spare manager died")
        .expect_log("the manager died")
        .expect_log(DIED)
        .expect_log(BACK_OFF);
    let server = start(builder, 2)?;
    let load = server.load().connections(8).depth(2).start()?;
    let (manager, old) = (server.manager(), server.spare());
    old.kill();
    server.wait_for("a new spare", |server| server.tree().spare().is_some_and(|now| now != old))?;
    load.wait_for_more(200)?;
    check(server.manager() == manager, "the manager did not stay")?;
    let spare = server.spare();
    manager.kill();
    server.wait_for("the new spare to be the manager", |server| {
        server.tree().manager().is_some_and(|now| now == spare)
    })?;
    load.wait_for_more(200)?;
    no_zombies(&server)?;
    load.stop()?.check_perfect()?;
    server.stop()
}

/// The master hears of a new spare and of the death of the old one in one turn, in this order.
#[test]
fn a_new_spare_is_not_taken_for_the_dead_one() -> TestResult {
    let builder = echo(1, 1)
        .set("crash_policy", "redeliver:3")
        .expect_log("spare manager died")
        .expect_log("the manager died")
        .expect_log(DIED)
        .expect_log(BACK_OFF);
    let server = start(builder, 1)?;
    let (worker, old) = (server.worker(0), server.spare());
    server.master().stop()?;
    // So that something of the manager's waits before the pidfd of the old spare does.
    worker.kill();
    server.wait_for_log(DIED)?;
    old.kill();
    server.wait_for("a new spare", |server| server.tree().spare().is_some_and(|now| now != old))?;
    // It is announced at once after its fork.
    std::thread::sleep(Duration::from_millis(100));
    server.master().cont()?;
    let spare = server.spare();
    wait_serving(&server, 2)?;
    server.manager().kill();
    server.wait_for("the new spare to be the manager", |server| {
        server.tree().manager().is_some_and(|now| now == spare)
    })?;
    wait_serving(&server, 3)?;
    round_trip(&mut server.connect()?, "hello")?;
    server.stop()
}

/// Takes a process's descriptors away, those that it has not opened yet; answers the limit that it
/// had.
fn limit_descriptors(process: &ostler_testkit::Process, limit: u64) -> TestResult<u64> {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let pid = i32::try_from(process.pid()).ok().and_then(Pid::from_raw);
    let limit = Rlimit {
        current: Some(limit),
        maximum: rustix::process::getrlimit(Resource::Nofile).maximum,
    };
    let before = prlimit(pid, Resource::Nofile, limit).map_err(std::io::Error::from)?;
    Ok(before.current.unwrap_or(u64::MAX))
}

/// Descriptors that cannot be opened get lost on their way; what they came with does not.
#[test]
fn a_manager_without_descriptors_waits_for_some() -> TestResult {
    let lost = "lane memory with wrong descriptors";
    let builder = echo(1, 1)
        .set("slot_down_ms", 3_600_000)
        .set("crash_policy", "redeliver:3")
        .expect_log(lost)
        .expect_log("has no memory for a worker")
        .expect_log(DIED)
        .expect_log(BACK_OFF);
    let server = start(builder, 1)?;
    let mut client = server.connect()?;
    round_trip(&mut client, "hello")?;
    let fds = server.master().fd_count()?;
    let manager = server.manager();
    let before = limit_descriptors(&manager, 3)?;
    server.worker(0).kill();
    wait_lines(&server, lost, 3)?;
    client.send(b"waits")?;
    limit_descriptors(&manager, before)?;
    client.expect(b"waits")?;
    check(server.manager() == manager, "the manager did not stay")?;
    server.wait_for("the master to close what nobody got", |server| {
        server.master().fd_count().is_ok_and(|now| now <= fds)
    })?;
    server.stop()
}

#[test]
fn a_spare_that_the_master_cannot_take_is_offered_again() -> TestResult {
    let unusable = "a spare that cannot be used";
    let builder = echo(1, 1)
        .set("crash_policy", "redeliver:3")
        .expect_log(unusable)
        .expect_log("spare manager died")
        .expect_log("the manager died")
        .expect_log(DIED)
        .expect_log(BACK_OFF);
    let server = start(builder, 1)?;
    let master = server.master();
    let before = limit_descriptors(&master, 3)?;
    server.spare().kill();
    wait_lines(&server, unusable, 2)?;
    limit_descriptors(&master, before)?;
    // Who was not taken has ended; who is alive for longer than it takes to end has been taken.
    let mut last = None;
    server.wait_for("a spare that stays", |server| {
        let seen = server.tree().spare().map(|spare| spare.pid());
        std::thread::sleep(Duration::from_millis(800));
        let stays = seen.is_some() && seen == last;
        last = seen;
        stays
    })?;
    let spare = server.spare();
    server.manager().kill();
    server.wait_for("the spare to be the manager", |server| {
        server.tree().manager().is_some_and(|now| now == spare)
    })?;
    wait_serving(&server, 2)?;
    round_trip(&mut server.connect()?, "hello")?;
    server.stop()
}
