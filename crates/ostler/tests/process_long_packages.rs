//! Packages longer than a record: they are received where workers read them, and answered from
//! there.

#![allow(clippy::expect_used)] // a test that cannot go on

mod support;

use std::time::{Duration, Instant};

use ostler_testkit::{Client, DEADLINE, Random, ServerBuilder, Signal, TestResult, TestServer};
use support::{check, echo, start};

/// Messages of the load, cut by their own length.
fn long(builder: ServerBuilder) -> ServerBuilder {
    builder
        .set("framing", "length")
        .set("package_length_type", "V")
        .set("package_length_offset", 4)
        .set("package_body_offset", 0)
        // An echo drops what its client does not take.
        .set("send_queue_high", "16M")
        .set("send_queue_max", "16M")
}

/// Kills and replaces workers for a while.
fn harm(server: &TestServer, random: &mut Random) -> u64 {
    let (end, mut kills) = (Instant::now() + Duration::from_secs(2), 0);
    while Instant::now() < end {
        match (random.next_u64() % 4, random.pick(&server.workers())) {
            (0, _) => server.signal(Signal::USR1),
            (_, Some(worker)) => kills += u64::from(worker.kill()),
            (_, None) => {}
        }
        std::thread::sleep(Duration::from_millis(random.next_u64() % 60));
    }
    kills
}

fn survives(builder: ServerBuilder, connections: usize, depth: u64) -> TestResult {
    let usual =
        ["worker died", "workers die often", "ended before it served", "new worker did not start"];
    let builder = usual.into_iter().fold(builder, ServerBuilder::expect_log);
    let builder = builder.set("crash_policy", "redeliver:100").set("back_off_max_ms", 200);
    let server = start(builder.expect_log("before it had finished"), 3)?;
    let mut random = Random::from_environment("long packages")?;
    let load = server.load().connections(connections).depth(depth).bytes(24, 700_000);
    let load = load.time(DEADLINE * 20).start()?;
    let kills = harm(&server, &mut random);
    server.wait_for("all to serve", |server| server.workers().len() >= 3)?;
    load.wait_for_more(50)?;
    load.stop()?.check_perfect().map_err(|error| error.context(format!("{kills} kills")))?;
    check(kills > 0, "nobody was killed")?;
    let books = server.stop_and_report()?.books()?;
    check(books.closed_by == 0 && books.dropped == 0, format!("{kills} kills: {books}"))
}

#[test]
fn long_packages_survive_their_workers() -> TestResult {
    survives(long(echo(3, 2)), 12, 2)
}

/// Each area has room for five of them or a few more: the others take the way in parts.
#[test]
fn long_packages_that_find_no_room_in_the_area_survive_their_workers() -> TestResult {
    survives(long(echo(3, 2)).set("memory_budget", "40M"), 24, 1)
}

#[test]
fn a_client_that_does_not_read_gets_its_long_answers_whole_in_the_end() -> TestResult {
    let server = start(long(echo(1, 1)), 1)?;
    let mut client = Client::connect_with_receive_buffer(server.address(), 4_096)?;
    let mut packages = Vec::new();
    for number in 0..40_u8 {
        let mut package = vec![number; 900_000];
        package.splice(4..8, 900_000_u32.to_le_bytes());
        packages.extend(package);
    }
    let mut reader = client.second_handle()?;
    let sent = client.send_until_blocked(&packages, Duration::from_millis(200))?;
    check(sent < packages.len(), "the server has read everything of a client that does not read")?;
    let rest = packages.split_off(sent);
    let all = [packages.as_slice(), &rest].concat();
    let sender = std::thread::spawn(move || client.send(&rest).map(|()| client));
    reader.expect(&all)?;
    drop((reader, sender.join().expect("it does not panic")?));
    server.stop()
}
