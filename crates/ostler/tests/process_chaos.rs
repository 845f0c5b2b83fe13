//! Everything at once: kills, stops, reloads and lost managers under load, in every dispatch mode.
//!
//! `OSTLER_CHAOS_SECONDS` makes each test last longer than its two seconds; `OSTLER_SEED` repeats
//! its choices.

mod support;

use std::time::{Duration, Instant};

use ostler_testkit::{DEADLINE, EchoLoad, Random, ServerBuilder, Signal, TestResult, TestServer};
use support::{check, echo, round_trip, start, wait_lines};

const SECONDS: &str = "OSTLER_CHAOS_SECONDS";

fn time() -> Duration {
    let seconds = std::env::var(SECONDS).ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(2))
}

fn chaotic(workers: u16, reactors: u16) -> ServerBuilder {
    [
        "worker died",
        "workers die often",
        "ended before it served",
        "new worker did not start",
        "the manager died",
        "did not leave in time",
        "before it had finished",
    ]
    .into_iter()
    .fold(echo(workers, reactors), ServerBuilder::expect_log)
    .set("back_off_max_ms", 200)
    .set("log_level", "warn")
}

/// Harms the server until the time is over, then waits until it is whole again.
fn harm(server: &TestServer, random: &mut Random, managers: bool) -> TestResult<u64> {
    let end = Instant::now() + time();
    let mut manager_at = Instant::now() + Duration::from_millis(500);
    let mut kills = 0;
    while Instant::now() < end {
        let workers = server.workers();
        let Some(worker) = random.pick(&workers) else {
            std::thread::yield_now();
            continue;
        };
        match random.next_u64() % 8 {
            0..4 => kills += u64::from(worker.kill()),
            4 => server.signal(Signal::USR1),
            5 => {
                worker.try_signal(Signal::STOP);
                std::thread::sleep(Duration::from_millis(random.next_u64() % 20));
                worker.try_signal(Signal::CONT);
            }
            6 => {
                for worker in &workers {
                    kills += u64::from(worker.kill());
                }
            }
            _ => std::thread::sleep(Duration::from_millis(random.next_u64() % 60)),
        }
        if managers && Instant::now() >= manager_at {
            server.manager().kill();
            manager_at = Instant::now() + Duration::from_millis(1_500);
        }
    }
    Ok(kills)
}

/// The log without what every kill says.
fn unusual(server: &TestServer) -> String {
    let usual = ["worker died", "serves worker=", "reload "];
    let lines = server.log().lines();
    let unusual = lines.iter().filter(|line| !usual.iter().any(|text| line.contains(text)));
    format!("--- what is unusual ---\n{}", unusual.cloned().collect::<Vec<_>>().join("\n"))
}

fn survives(
    builder: ServerBuilder,
    workers: u16,
    load: impl Fn(EchoLoad) -> EchoLoad,
) -> TestResult {
    let server = start(builder.set("log_level", "info"), workers)?;
    let mut random = Random::from_environment("chaos")?;
    let load = load(server.load()).time(DEADLINE * 20).start()?;
    let kills = harm(&server, &mut random, true)?;
    server
        .wait_for("all to be well", |server| server.workers().len() >= usize::from(workers))
        .map_err(|error| error.followed_by(&unusual(&server)))?;
    load.wait_for_more(200)?;
    let report = load.stop()?;
    report.check_perfect().map_err(|error| error.context(format!("{kills} kills")))?;
    check(kills > 0, "nobody was killed")?;
    // What is left is a server like any other.
    let finished = server.log_lines_with("reload finished").len();
    server.signal(Signal::USR1);
    wait_lines(&server, "reload finished", finished + 1)?;
    round_trip(&mut server.connect()?, "after all")?;
    let books = server.stop_and_report()?.books()?;
    check(books.closed_by == 0 && books.dropped == 0, format!("{kills} kills: {books}"))
}

#[test]
fn chaos_costs_nothing_with_idle_first() -> TestResult {
    let builder = chaotic(3, 2).set("crash_policy", "redeliver:100");
    survives(builder, 3, |load| load.connections(24).depth(4).bytes(24, 3_000))
}

#[test]
fn chaos_costs_nothing_with_round_robin() -> TestResult {
    let builder = chaotic(3, 2).set("crash_policy", "redeliver:100").set("dispatch", "round_robin");
    survives(builder, 3, |load| load.connections(24).depth(4).bytes(24, 3_000))
}

#[test]
fn chaos_costs_nothing_with_session_hash() -> TestResult {
    let builder =
        chaotic(3, 2).set("crash_policy", "redeliver:100").set("dispatch", "session_hash");
    survives(builder, 3, |load| load.connections(24).depth(4).bytes(24, 3_000))
}

/// Small rings, many packages in each, slow handlers: the ends of the rings are met all the time.
#[test]
fn chaos_costs_nothing_with_small_rings() -> TestResult {
    let builder = chaotic(2, 1).set("crash_policy", "redeliver:100").set("lane_size", "64K");
    survives(builder, 2, |load| load.connections(48).depth(16).bytes(24, 12_000))
}

#[test]
fn chaos_is_honest_under_close() -> TestResult {
    let server = start(chaotic(3, 2).set("log_level", "info"), 3)?;
    let mut random = Random::from_environment("chaos")?;
    let load =
        server.load().connections(24).depth(4).bytes(24, 3_000).time(DEADLINE * 20).start()?;
    harm(&server, &mut random, true)?;
    load.wait_for_more(200)?;
    let report = load.stop()?;
    report.check_honest()?;
    let books = server.stop_and_report()?.books()?;
    let died = books.detail("closed_worker_died") + books.detail("closed_unservable");
    check(report.closed_early + report.reset == died, format!("{report}; {books}"))
}
