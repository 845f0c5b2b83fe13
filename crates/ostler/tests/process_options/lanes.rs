//! Lanes and memory.

use ostler_testkit::{Process, TestResult, TestServer, wait_until};

use crate::Effect;
use crate::talk::{Talk, small_probe};

pub(crate) const EFFECTS: &[(&str, Effect)] = &[
    ("lane_size", lane_size_is_the_size_of_the_rings),
    ("lane_memory", lane_memory_bounds_the_automatic_lane_size),
    ("memory_budget", memory_budget_bounds_what_sessions_hold),
];

/// Bytes of the mappings of a worker's `down` file.
fn down_bytes(worker: &Process) -> TestResult<u64> {
    let line = worker.maps()?.into_iter().find(|line| line.contains("memfd:ostler-down"));
    let line = line.unwrap_or_default();
    let (from, to) =
        line.split(' ').next().and_then(|range| range.split_once('-')).unwrap_or(("0", "0"));
    let number = |text| u64::from_str_radix(text, 16).unwrap_or(0);
    Ok(number(to) - number(from))
}

fn down_bytes_with(name: &str, value: &str) -> TestResult<u64> {
    let server =
        TestServer::echo().set("workers", 2).set("reactors", 2).set(name, value).start()?;
    let mut client = server.connect()?;
    client.send(b"x")?;
    client.expect(b"x")?;
    server.wait_for_log("serves worker=w0")?;
    let bytes = down_bytes(&server.worker(0))?;
    server.stop()?;
    Ok(bytes)
}

#[test]
fn lane_size_is_the_size_of_the_rings() -> TestResult {
    let (small, large) =
        (down_bytes_with("lane_size", "64K")?, down_bytes_with("lane_size", "1M")?);
    // One ring for packages and one for answers for each of two reactors; the latter is an eighth
    // of the former, from 16 to 64 KiB.
    assert_eq!(large - small, 2 * ((1 << 20) - (64 << 10) + (64 << 10) - (16 << 10)));
    Ok(())
}

#[test]
fn lane_memory_bounds_the_automatic_lane_size() -> TestResult {
    // 2 rings * 2 reactors * 2 workers = 8 rings.
    let tight = down_bytes_with("lane_memory", "1M")?;
    assert_eq!(tight, down_bytes_with("lane_size", "128K")?);
    assert_eq!(down_bytes_with("lane_memory", "1G")?, down_bytes_with("lane_size", "512K")?);
    Ok(())
}

#[test]
fn memory_budget_bounds_what_sessions_hold() -> TestResult {
    for (budget, closed) in [("1M", true), ("16M", false)] {
        let server = small_probe()
            .set("memory_budget", budget)
            .set("package_max_length", "1M")
            .set("max_send_bytes", "1M")
            .expect_log("the memory budget is used up")
            .start()?;
        let mut talks = Vec::new();
        for index in 0..4 {
            let mut talk = Talk::new(&server)?;
            // Half a line each: the master has to keep it.
            let mut half = format!("sum {index} ").into_bytes();
            half.resize(400_000 + 1000 * index, b'x');
            let _cut = talk.client.send(&half);
            talks.push(talk);
        }
        let mut other = Talk::new(&server)?;
        assert_eq!(other.ask("echo served")?, "served");
        if closed {
            // One has to go, and it may be any: who holds the most depends on what came when.
            wait_until("a session that pays", || talks.iter().any(|talk| talk.is_closed()))?;
        } else {
            for (index, talk) in talks.iter_mut().enumerate() {
                assert!(talk.ask("")?.starts_with(&format!("sum {} ", 400_001 + 1000 * index)));
            }
        }
        drop((talks, other));
        let books = server.stop_and_report()?.books()?;
        assert_eq!(books.detail("closed_memory_budget") > 0, closed, "{budget}: {books}");
    }
    Ok(())
}
