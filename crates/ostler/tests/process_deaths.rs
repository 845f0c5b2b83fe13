//! Processes that die: workers, managers, the spare and the master; what becomes of packages,
//! sessions and successors.

mod support;

use std::time::{Duration, Instant};

use ostler_testkit::{DEADLINE, KillEvery, Signal, TestResult, TestServer};
use support::{
    Held, ask, check, echo, orders, round_trip, start, wait_lines, wait_serving, worker_of,
};

/// What the log may say when workers are killed. (A worker killed before its first delivery counts
/// as failing to start.)
const DIED: &str = "worker died";
const OFTEN: &str = "workers die often";
const BACK_OFF: &str = "ended before it served";

// ---- one worker ---------------------------------------------------------------------------------

#[test]
fn close_ends_the_session_in_hand_and_no_other() -> TestResult {
    let server = start(orders(2).expect_log(DIED).expect_log(BACK_OFF), 2)?;
    let mut victim = server.connect()?;
    let mut others = [server.connect()?, server.connect()?, server.connect()?];
    let hold = Held::by(&server, &mut victim, "hold")?;
    for (number, other) in others.iter_mut().enumerate() {
        round_trip(other, &format!("before {number}"))?;
    }
    hold.worker(&server)?.kill();
    victim.expect_closed()?;
    for (number, other) in others.iter_mut().enumerate() {
        round_trip(other, &format!("after {number}"))?;
    }
    wait_serving(&server, 3)?;
    let books = server.stop_and_report()?.books()?;
    check(books.detail("closed_worker_died") == 1 && books.closed_by == 1, format!("{books}"))?;
    check(books.detail("closed_shutdown") == 3, format!("{books}"))
}

#[test]
fn drop_loses_the_package_and_keeps_the_session() -> TestResult {
    let server =
        start(orders(1).set("crash_policy", "drop").expect_log(DIED).expect_log(BACK_OFF), 1)?;
    let mut client = server.connect()?;
    Held::by(&server, &mut client, "hold")?.worker(&server)?.kill();
    round_trip(&mut client, "next")?;
    let books = server.stop_and_report()?.books()?;
    check(books.detail("dropped_worker_died") == 1 && books.dropped == 1, format!("{books}"))?;
    check(books.finished == 1 && books.closed_by == 0, format!("{books}"))
}

#[test]
fn redeliver_gives_the_package_to_the_next_worker() -> TestResult {
    let server = start(
        orders(1).set("crash_policy", "redeliver:1").expect_log(DIED).expect_log(BACK_OFF),
        1,
    )?;
    let mut client = server.connect()?;
    let first = Held::by(&server, &mut client, "hold")?;
    let worker = first.worker(&server)?;
    worker.kill();
    worker.wait_gone(DEADLINE)?;
    // The same order runs again in the successor, which writes its own number; then it is let go.
    let old = first.pid().to_string();
    let path = server.directory().join("hold");
    server.wait_for("the successor to hold it", |_| {
        std::fs::read_to_string(&path).is_ok_and(|pid| !pid.is_empty() && pid != old)
    })?;
    first.release()?;
    client.expect(b"released")?;
    round_trip(&mut client, "and on")?;
    let books = server.stop_and_report()?.books()?;
    check(books.detail("redelivered") == 1 && books.finished == 2, format!("{books}"))
}

/// Behind a package in hand others wait that nobody has started: they are served whatever becomes
/// of their worker.
#[test]
fn packages_that_wait_at_a_dead_worker_are_served_elsewhere() -> TestResult {
    let server = start(orders(2).expect_log(DIED).expect_log(BACK_OFF), 2)?;
    let (mut first, mut second) = (server.connect()?, server.connect()?);
    let one = Held::by(&server, &mut first, "one")?;
    let two = Held::by(&server, &mut second, "two")?;
    let mut waiting = [server.connect()?, server.connect()?, server.connect()?, server.connect()?];
    for (number, client) in waiting.iter_mut().enumerate() {
        client.send(format!("waiting {number}").as_bytes())?;
    }
    check(one.pid() != two.pid(), "an idle worker goes first")?;
    two.worker(&server)?.kill();
    second.expect_closed()?;
    for (number, client) in waiting.iter_mut().enumerate() {
        client.expect(format!("waiting {number}").as_bytes())?;
    }
    one.release()?;
    first.expect(b"released")?;
    let books = server.stop_and_report()?.books()?;
    check(books.closed_by == 1 && books.finished == 5, format!("{books}"))
}

/// The same without a death: a worker that becomes idle takes what waits behind a slow one.
#[test]
fn packages_that_wait_behind_a_slow_one_are_recalled() -> TestResult {
    let server = start(orders(2), 2)?;
    let (mut first, mut second) = (server.connect()?, server.connect()?);
    let one = Held::by(&server, &mut first, "one")?;
    let two = Held::by(&server, &mut second, "two")?;
    let mut waiting = [server.connect()?, server.connect()?, server.connect()?, server.connect()?];
    for (number, client) in waiting.iter_mut().enumerate() {
        client.send(format!("waiting {number}").as_bytes())?;
    }
    two.release()?;
    second.expect(b"released")?;
    for (number, client) in waiting.iter_mut().enumerate() {
        client.expect(format!("waiting {number}").as_bytes())?;
    }
    one.release()?;
    first.expect(b"released")?;
    server.stop()
}

/// Only the pidfd is death (decision 11): a worker that stands still keeps what it has.
#[test]
fn a_stopped_worker_is_not_settled_before_it_is_dead() -> TestResult {
    let server = start(orders(2).expect_log(DIED).expect_log(BACK_OFF), 2)?;
    let (mut victim, mut other) = (server.connect()?, server.connect()?);
    let hold = Held::by(&server, &mut victim, "hold")?;
    let worker = hold.worker(&server)?;
    worker.stop()?;
    for number in 0..300 {
        round_trip(&mut other, &format!("meanwhile {number}"))?;
    }
    check(worker.is_alive() && server.workers().len() == 2, "somebody was replaced")?;
    worker.cont()?;
    hold.release()?;
    victim.expect(b"released")?;
    // And once more, to its end.
    let hold = Held::by(&server, &mut victim, "again")?;
    let worker = hold.worker(&server)?;
    worker.stop()?;
    for number in 0..300 {
        round_trip(&mut other, &format!("meanwhile {number}"))?;
    }
    worker.kill();
    victim.expect_closed()?;
    round_trip(&mut other, "after")?;
    let books = server.stop_and_report()?.books()?;
    check(books.closed_by == 1 && books.detail("closed_worker_died") == 1, format!("{books}"))
}

// ---- many workers under load --------------------------------------------------------------------

/// 20 000 requests while workers are killed: nothing lost, nothing doubled, nothing wrong, no
/// connection cut.
fn survives_kills(handler: &str, requests: u64, workers: u16, connections: usize) -> TestResult {
    let builder = echo(workers, 2)
        .handler(handler)
        .set("crash_policy", "redeliver:20")
        .expect_log(DIED)
        .expect_log(OFTEN)
        .expect_log(BACK_OFF);
    let server = start(builder, workers)?;
    let load = server
        .load()
        .connections(connections)
        .depth(4)
        .bytes(24, 2_048)
        .requests(requests)
        .time(Duration::from_secs(15))
        .start()?;
    let kills = KillEvery::start(&server, Duration::from_millis(100))?;
    let report = load.finish()?;
    let killed = kills.stop()?;
    report.check_perfect()?;
    check(killed >= 3, format!("only {killed} kills in {report}"))?;
    // Whoever has survived still serves.
    round_trip(&mut server.connect()?, "after all")?;
    let books = server.stop_and_report()?.books()?;
    check(books.closed_by == 0 && books.dropped == 0, format!("{killed} kills: {books}"))
}

#[test]
fn redeliver_survives_kills_of_fast_workers() -> TestResult {
    survives_kills("echo", 60_000, 3, 32)
}

#[test]
fn redeliver_survives_kills_of_slow_workers() -> TestResult {
    survives_kills("sleep_ms:2", 2_000, 3, 32)
}

#[test]
fn all_workers_killed_at_once_are_replaced() -> TestResult {
    let builder = echo(3, 2)
        .set("crash_policy", "redeliver:20")
        .expect_log(DIED)
        .expect_log(OFTEN)
        .expect_log(BACK_OFF);
    let server = start(builder, 3)?;
    let load = server.load().connections(16).depth(4).start()?;
    for round in 0..5 {
        load.wait_for_more(500)?;
        for worker in server.workers() {
            worker.kill();
        }
        wait_serving(&server, 3 * (round + 2))?;
    }
    load.wait_for_more(500)?;
    load.stop()?.check_perfect()?;
    server.stop()
}

#[test]
fn close_under_load_is_honest() -> TestResult {
    let builder = echo(2, 2).expect_log(DIED).expect_log(OFTEN).expect_log(BACK_OFF);
    let server = start(builder, 2)?;
    let load = server.load().connections(16).depth(4).start()?;
    for round in 0..10 {
        load.wait_for_more(300)?;
        server.worker(round % 2).kill();
    }
    load.wait_for_more(300)?;
    let report = load.stop()?;
    report.check_honest()?;
    let books = server.stop_and_report()?.books()?;
    let died = books.detail("closed_worker_died");
    check(report.closed_early + report.reset == died, format!("{report}; {books}"))
}

// ---- packages that kill -------------------------------------------------------------------------

#[test]
fn a_package_that_kills_every_worker_ends_with_its_session() -> TestResult {
    let builder = echo(1, 1)
        .handler("crash_every:1")
        .set("crash_policy", "redeliver:2")
        .expect_log(DIED)
        .expect_log(BACK_OFF);
    let server = start(builder, 1)?;
    let (mut killer, idle) = (server.connect()?, server.connect()?);
    killer.send(b"poison")?;
    killer.expect_closed()?;
    wait_lines(&server, DIED, 3)?;
    let ended = server.stop_and_report()?;
    drop(idle);
    let books = ended.books()?;
    check(books.detail("redelivered") == 2, format!("started three times in all: {books}"))?;
    check(books.closed_by == 1 && books.detail("closed_worker_died") == 1, format!("{books}"))?;
    check(books.detail("closed_shutdown") == 1, format!("the other session lives: {books}"))
}

/// A package that kills a worker at its very first delivery is no failure to boot: nobody waits for
/// a back-off.
#[test]
fn a_death_at_work_is_no_failure_to_boot() -> TestResult {
    let server = start(orders(1).expect_log(DIED), 1)?;
    for generation in 2..7 {
        let mut client = server.connect()?;
        client.send(b"abort")?;
        client.expect_closed()?;
        server.wait_for_log(&format!("serves worker=w0.{generation}"))?;
    }
    round_trip(&mut server.connect()?, "after all")?;
    let failed = server.log_lines_with(BACK_OFF);
    check(failed.is_empty(), format!("{failed:?}"))?;
    let books = server.stop_and_report()?.books()?;
    check(books.detail("closed_worker_died") == 5, format!("{books}"))
}

// ---- workers that do not start ------------------------------------------------------------------

/// A file that workers do not start with, outside of the server's own directory: it exists before
/// the server.
struct Broken {
    path: std::path::PathBuf,
}

impl Broken {
    fn new(name: &str) -> TestResult<Self> {
        let name = format!("ostler-test-{name}-{}", std::process::id());
        let broken = Self { path: std::env::temp_dir().join(name) };
        std::fs::write(&broken.path, "")?;
        Ok(broken)
    }

    fn repair(&self) -> TestResult {
        Ok(std::fs::remove_file(&self.path)?)
    }

    fn destroy(&self) -> TestResult {
        Ok(std::fs::write(&self.path, "")?)
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.path);
    }
}

/// Workers that served once and do not start any more: attempts go on, slower and slower, until it
/// works.
#[test]
fn a_crash_loop_at_start_backs_off_and_recovers() -> TestResult {
    let broken = Broken::new("loop")?;
    broken.repair()?;
    let builder = echo(1, 1)
        .env("ECHO_FAIL_START_IF_EXISTS", &broken.path)
        .set("log_level", "debug")
        .set("back_off_min_ms", 20)
        .set("back_off_max_ms", 200)
        .set("slot_down_ms", 3_600_000)
        .expect_log("on_worker_start failed")
        .expect_log(OFTEN)
        .expect_log(DIED);
    let server = start(builder, 1)?;
    let mut client = server.connect()?;
    round_trip(&mut client, "before")?;
    broken.destroy()?;
    server.worker(0).kill();
    wait_lines(&server, BACK_OFF, 6)?;
    let pauses: Vec<u64> = server
        .log()
        .parsed()
        .iter()
        .filter(|line| line.message.contains(BACK_OFF))
        .filter_map(|line| line.number("retry_after_ms"))
        .collect();
    check(pauses.starts_with(&[20, 40, 80, 160, 200, 200]), format!("{pauses:?}"))?;
    client.send(b"meanwhile")?;
    broken.repair()?;
    client.expect(b"meanwhile")?;
    server.stop()
}

/// Code that never starts ends the server as soon as every slot has tried it, and with the reason.
#[test]
fn a_first_start_that_never_succeeds_ends_the_server() -> TestResult {
    let broken = Broken::new("never")?;
    let (code, text) = echo(2, 1)
        .env("ECHO_FAIL_START_IF_EXISTS", &broken.path)
        .set("boot_timeout_ms", 3_600_000)
        .start_expecting_failure()?;
    check(code == 4, format!("code {code}: {text}"))?;
    let last = text.lines().last().unwrap_or_default();
    let said = last.contains("all 2 workers failed to start: on_worker_start failed: told to fail");
    check(said, text)
}

/// Code that does not come to an end of its start is given the time that it was promised.
#[test]
fn a_first_start_that_hangs_ends_the_server_after_its_time() -> TestResult {
    let broken = Broken::new("hangs")?;
    let (code, text) = TestServer::example("probe")
        .env("PROBE_HANG_START_IF_EXISTS", &broken.path)
        .set("workers", 2)
        .set("boot_timeout_ms", 500)
        .start_expecting_failure()?;
    check(code == 4, format!("code {code}: {text}"))?;
    let said = text.contains("workers became ready within 500 ms")
        || text.contains("all 2 workers failed to start");
    check(said, text)
}

/// Hundreds of starts that fail are a handful of lines.
#[test]
fn starts_that_fail_do_not_fill_the_log() -> TestResult {
    let broken = Broken::new("lines")?;
    broken.repair()?;
    let builder = echo(4, 1)
        .env("ECHO_FAIL_START_IF_EXISTS", &broken.path)
        .set("back_off_min_ms", 1)
        .set("back_off_max_ms", 1)
        .set("fork_interval_ms", 0)
        .expect_log("no worker serves")
        .expect_log("on_worker_start failed")
        .expect_log(OFTEN)
        .expect_log(DIED);
    let server = start(builder, 4)?;
    round_trip(&mut server.connect()?, "before")?;
    broken.destroy()?;
    for worker in server.workers() {
        worker.kill();
    }
    // What was not said one by one is said as a number.
    let line = server.wait_for_log("workers could not start, without a line for each")?;
    check(line.contains("told to fail"), &line)?;
    let lines = server.log().lines().len();
    check(lines < 60, format!("{lines} lines"))?;
    broken.repair()?;
    // Who comes before a worker serves again is refused.
    server.wait_for("a worker to serve again", |server| {
        server.connect().and_then(|mut client| round_trip(&mut client, "after")).is_ok()
    })?;
    server.stop()
}

// ---- managers -----------------------------------------------------------------------------------

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

// ---- the master ---------------------------------------------------------------------------------

/// With the master everything ends, and the port is free (P7). `wait_end` looks for processes, port
/// and files.
#[test]
fn nothing_outlives_the_master() -> TestResult {
    for round in 0..20 {
        let server = start(echo(2, 1), 2)?;
        let load = server.load().connections(8).depth(2).start()?;
        load.wait_for_more(50)?;
        if round % 2 == 1 {
            // In the middle of a hand-over.
            server.signal(Signal::USR1);
        }
        server.master().kill();
        let ended = server.wait_end()?;
        check(ended.signal() == Some(9), "somebody else ended the master")?;
        drop(load);
    }
    Ok(())
}

#[test]
fn nothing_outlives_a_master_that_dies_while_starting() -> TestResult {
    for round in 0..24_u64 {
        let server = echo(3, 2).start()?;
        std::thread::sleep(Duration::from_micros(round * 250));
        server.master().kill();
        server.wait_end()?;
    }
    Ok(())
}

#[test]
fn a_busy_worker_does_not_outlive_the_master() -> TestResult {
    let server = start(orders(1), 1)?;
    let mut client = server.connect()?;
    let hold = Held::by(&server, &mut client, "hold")?;
    let worker = worker_of(&server, hold.pid())?;
    server.master().kill();
    worker.wait_gone(DEADLINE)?;
    client.expect_closed()?;
    server.wait_end()?;
    drop(hold);
    Ok(())
}

#[test]
fn the_successor_of_a_killed_worker_has_the_next_generation() -> TestResult {
    // Only so is a reply that came the end of its package: under `close` the kill may come between
    // the two.
    let builder = orders(1).set("crash_policy", "redeliver:3");
    let builder = builder.expect_log(DIED).expect_log(BACK_OFF);
    let server = start(builder, 1)?;
    let mut client = server.connect()?;
    for generation in 2..5 {
        let pid: u32 = ask(&mut client, "pid")?.parse().unwrap_or(0);
        worker_of(&server, pid)?.kill();
        server.wait_for_log(&format!("serves worker=w0.{generation}"))?;
    }
    round_trip(&mut client, "still the same connection")?;
    server.stop()
}
