//! The master killed under load: everything is gone within a second, again and again.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use ostler_testkit::{DEADLINE, Process, ServerBuilder, TestError, TestResult, TestServer};

use super::sheet::Sheet;
use super::stage::{Stage, endless, kit};
use crate::load::LoadThread;

const CONNECTIONS: u32 = 16;
/// A user and a group that nothing belongs to.
const NOBODY: u32 = 65_534;
/// Requests answered before the kill, so that lanes are in use.
const REQUESTS_LEAST: u64 = 500;
const GONE_MAX: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Counted over all rounds.
#[derive(Default)]
struct Counts {
    rounds: u64,
    left_processes: u64,
    ports_taken: u64,
    files_held: u64,
    gone_after: Duration,
    bound_after: Duration,
}

pub(super) fn run(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    kill(stage.pick(100, 5), sheet, || stage.echo())
}

/// The kernel forgets whose end a worker's follows when that changes its ids, and its master has no
/// right over it that comes of being the same user.
pub(super) fn other_ids(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    if !rustix::process::geteuid().is_root() {
        sheet.told("NOT RUN", "only root can give workers other ids");
        return Ok(());
    }
    kill(stage.pick(1_000, 20), sheet, || stage.echo().set("user", NOBODY).set("group", NOBODY))
}

fn kill(rounds: u64, sheet: &mut Sheet<'_>, server: impl Fn() -> ServerBuilder) -> TestResult {
    let mut counts = Counts::default();
    for round in 1..=rounds {
        one_round(server(), &mut counts)?;
        if round % (rounds / 4).max(25) == 0 {
            sheet.say(format_args!("  {round} rounds"));
        }
    }
    sheet.at_least("masters killed under load", counts.rounds, rounds);
    sheet.none("processes left after 1 s", counts.left_processes);
    sheet.none("ports not bindable after 1 s", counts.ports_taken);
    sheet.none("memory files still held by somebody", counts.files_held);
    sheet.check("files in /dev/shm and TMPDIR", "0".to_owned(), "0".to_owned(), true);
    sheet.told("all gone after, longest", format_args!("{} ms", counts.gone_after.as_millis()));
    sheet.told("port free after, longest", format_args!("{} ms", counts.bound_after.as_millis()));
    Ok(())
}

fn one_round(server: ServerBuilder, counts: &mut Counts) -> TestResult {
    let server = server.start()?;
    let load = LoadThread::spawn(endless(&server, CONNECTIONS)).map_err(kit)?;
    let limit = Instant::now() + DEADLINE;
    while load.progress().completed() < REQUESTS_LEAST {
        if Instant::now() > limit {
            return Err(TestError::timeout("the server does not answer"));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    // Looked up before the kill: orphans have no parent by which they could be found.
    let family = server.tree().processes();
    let files = memory_files(family.iter().map(Process::pid));
    if files.is_empty() {
        return Err(TestError::new("the server has no memory files: the search is wrong"));
    }
    let killed = Instant::now();
    server.master().kill();
    counts.rounds += 1;
    counts.left_processes += await_gone(&server, killed, &mut counts.gone_after);
    counts.ports_taken += await_port(&server, killed, &mut counts.bound_after);
    counts.files_held += u64::from(!memory_files(all_processes()).is_disjoint(&files));
    // The clients' connections have ended with the master, so this returns at once.
    load.stop().map_err(kit)?;
    server.wait_end().map(drop)
}

/// Waits until nobody is left; returns how many are left after a second.
pub(super) fn await_gone(server: &TestServer, killed: Instant, longest: &mut Duration) -> u64 {
    loop {
        let elapsed = killed.elapsed();
        let left = server.tree().processes().len();
        if left == 0 || elapsed > GONE_MAX {
            *longest = elapsed.max(*longest);
            return left as u64;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Waits until the port can be bound; returns 1 if it cannot after a second.
fn await_port(server: &TestServer, killed: Instant, longest: &mut Duration) -> u64 {
    loop {
        let elapsed = killed.elapsed();
        let bound = TcpListener::bind(server.address()).is_ok();
        if bound || elapsed > GONE_MAX {
            *longest = elapsed.max(*longest);
            return u64::from(!bound);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Every process of this machine that may be looked into.
fn all_processes() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// The inodes of all memory files (memfd) that these processes hold open or mapped. All live in one
/// file system of the kernel's own, so the inode names them.
fn memory_files(pids: impl IntoIterator<Item = u32>) -> BTreeSet<u64> {
    pids.into_iter().flat_map(|pid| opened(pid).chain(mapped(pid))).collect()
}

fn opened(pid: u32) -> impl Iterator<Item = u64> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let path = entry.path();
        let is_memory = fs::read_link(&path).ok()?.to_string_lossy().starts_with("/memfd:");
        is_memory.then(|| fs::metadata(&path).ok().map(|file| file.ino()))?
    })
}

/// `ADDRESSES MODE OFFSET DEVICE INODE /memfd:NAME (deleted)`
fn mapped(pid: u32) -> impl Iterator<Item = u64> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let lines: Vec<u64> = maps
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace().skip(4);
            let inode = fields.next()?.parse().ok()?;
            fields.next()?.starts_with("/memfd:").then_some(inode)
        })
        .collect();
    lines.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_file_is_found_while_somebody_holds_it() {
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        let file = rustix::fs::memfd_create("bench-test", flags).unwrap();
        let inode = rustix::fs::fstat(&file).unwrap().st_ino;
        let mine = || memory_files([std::process::id()]);
        assert!(mine().contains(&inode));
        assert!(memory_files(all_processes()).contains(&inode));
        drop(file);
        assert!(!mine().contains(&inode));
    }
}
