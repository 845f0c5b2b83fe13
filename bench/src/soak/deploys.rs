//! Deploys under load: ten programs in turn, and a broken one behind each of them.
//!
//! The programs are copies of the instrument that differ in bytes which nobody runs: what serves is
//! told by the file that a worker's process was started from.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ostler_testkit::{Signal, TestError, TestResult, TestServer};

use super::sheet::Sheet;
use super::stage::{Stage, WORKERS, end, endless, judge_longest_wait, judge_undisturbed, kit};
use crate::load::LoadThread;

const CONNECTIONS: u32 = 64;
const PROGRAMS: usize = 10;
/// An exec start takes longer than a fork, and the machine is busy with the load.
const WAIT_MAX_MS: f64 = 500.0;
const LIMIT: Duration = Duration::from_secs(900);
/// The place of the machine in the header of a program.
const MACHINE_AT: usize = 18;
/// What the log says of programs that are broken, each in its way, and of several in ten seconds.
const EXPECTED: [&str; 5] = [
    "nothing changed",
    "could not start",
    "cannot be started",
    "what a server is",
    "workers die often",
];

pub(super) fn run(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    let (rounds_least, requests_least) = stage.pick((2, 1_000_000), (1, 20_000));
    let place = Place::new(stage.instrument())?;
    place.put(&place.version(0))?;
    let builder = EXPECTED
        .into_iter()
        .fold(stage.deployed(&place.program()), |builder, text| builder.expect_log(text));
    let server = builder.env("ECHO_FAIL_START_IF_EXISTS", place.refusal()).start()?;
    let load = LoadThread::spawn(endless(&server, CONNECTIONS)).map_err(kit)?;
    let calm = super::stage::undisturbed(endless(&server, 1), Duration::from_secs(1))?;
    let limit = Instant::now() + LIMIT;
    let (mut deploys, mut broken, mut wrong, mut rounds) = (0, 0, 0, 0);
    let mut slowest = Duration::ZERO;
    while (rounds < rounds_least || load.progress().completed() < requests_least)
        && Instant::now() < limit
        && load.progress().interrupted() == 0
    {
        for number in 0..PROGRAMS {
            let begun = Instant::now();
            let file = place.put(&place.version(number))?;
            wrong += u64::from(!reload(&server)? || !serves(&server, file));
            slowest = slowest.max(begun.elapsed());
            deploys += 1;
            place.put_broken(number)?;
            wrong += u64::from(reload(&server)? || !serves(&server, file));
            place.repair()?;
            broken += 1;
        }
        rounds += 1;
        sheet.say(format_args!("  {deploys} deploys, {} requests", load.progress().completed()));
    }
    let report = load.stop().map_err(kit)?;
    sheet.at_least("programs deployed", deploys, (rounds_least * PROGRAMS) as u64);
    sheet.told("broken ones deployed", broken);
    sheet.none("deploys after which another program served than should", wrong);
    sheet.at_least("requests meanwhile", report.completed, requests_least);
    judge_undisturbed(sheet, &report);
    judge_longest_wait(sheet, &report, &calm, WAIT_MAX_MS);
    sheet.told("slowest deploy", format_args!("{} ms", slowest.as_millis()));
    end(server, sheet).map(drop)
}

/// Reloads; whether every worker is new.
pub(super) fn reload(server: &TestServer) -> TestResult<bool> {
    let mark = server.log().mark();
    server.signal(Signal::USR1);
    let line = server.log().wait_after(mark, "reload finished")?;
    match (line.contains("every worker is new"), line.contains("nothing changed")) {
        (true, false) => Ok(true),
        (false, true) => Ok(false),
        _ => Err(TestError::new(format!("a reload ended otherwise: {line}"))),
    }
}

/// Whether as many workers run this file as there are to be. Those that leave may run another.
pub(super) fn serves(server: &TestServer, file: u64) -> bool {
    let workers = server.workers();
    let runs = |pid: u32| fs::metadata(format!("/proc/{pid}/exe")).map_or(0, |exe| exe.ino());
    workers.iter().filter(|worker| runs(worker.pid()) == file).count() == WORKERS
}

/// Where the program lies.
pub(super) struct Place {
    directory: PathBuf,
    whole: Vec<u8>,
}

impl Drop for Place {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.directory);
    }
}

impl Place {
    pub(super) fn new(instrument: &Path) -> TestResult<Self> {
        let name = format!("ostler-soak-deploys-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory)?;
        let whole = fs::read(instrument)?;
        Ok(Self { directory, whole })
    }

    pub(super) fn program(&self) -> PathBuf {
        self.directory.join("echo")
    }

    /// While this file exists no worker can start.
    fn refusal(&self) -> PathBuf {
        self.directory.join("refuse")
    }

    /// One of the programs: what is behind the end of the last section is never looked at.
    pub(super) fn version(&self, number: usize) -> Vec<u8> {
        [self.whole.as_slice(), format!("version {number}").as_bytes()].concat()
    }

    /// Puts a program there as one should, written beside the old one and renamed; its file.
    pub(super) fn put(&self, bytes: &[u8]) -> TestResult<u64> {
        let new = self.directory.join("new");
        fs::write(&new, bytes)?;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755))?;
        let file = fs::metadata(&new)?.ino();
        fs::rename(&new, self.program())?;
        Ok(file)
    }

    /// Puts something there that cannot serve, each time in another way.
    fn put_broken(&self, number: usize) -> TestResult {
        let whole = self.version(number);
        let bytes = match number % 5 {
            0 => whole.get(..whole.len() / 2).unwrap_or_default().to_vec(),
            1 => b"no program at all".to_vec(),
            2 => {
                let mut other = whole;
                other.iter_mut().skip(MACHINE_AT).take(1).for_each(|byte| *byte ^= 0x55);
                other
            }
            3 => fs::read("/bin/true")?,
            _ => {
                fs::write(self.refusal(), b"")?;
                whole
            }
        };
        self.put(&bytes).map(drop)
    }

    /// Nothing is in the way of the next program.
    fn repair(&self) -> TestResult {
        match fs::remove_file(self.refusal()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}
