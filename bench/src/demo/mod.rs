//! Half a minute for newcomers: a server under load is hurt in every way and gets new programs,
//! good and bad, and its clients say what they noticed.

mod place;
mod summary;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ostler_testkit::{Random, Signal, TestError, TestResult, TestServer};

use self::place::{Place, Version};
use self::summary::{tell_books, tell_clients, tell_redelivered};
use crate::load::LoadThread;
use crate::soak::{KILL_EVERY, REDELIVER, Stage, WORKERS, endless, kit, reload};
use crate::{Error, Result};

const CLIENTS: u32 = 32;
const RELOADS: u64 = 2;
/// What the log says of a reload that came to nothing.
const ABORTED: &str = "nothing changed";
const SECOND: Duration = Duration::from_secs(1);

/// Where everything is.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// This program, which leashes the server.
    pub bench: PathBuf,
    /// The directory with the versions of the program, built with `--release`.
    pub programs: PathBuf,
}

/// Gives the show; whether no client noticed anything.
pub fn run(options: &DemoOptions, out: &mut dyn Write) -> Result<bool> {
    let place = Place::new(&options.programs)?;
    // No scene has one of the examples.
    let stage = Stage::new(&options.bench, &place.program(), Path::new(""), false);
    // The text of the kit's error has all there is to know.
    show(&stage, &place, out).map_err(|error| Error::usage(format!("the demo broke off: {error}")))
}

/// The server, its clients, and what was done to it.
struct Show<'a> {
    out: &'a mut dyn Write,
    place: &'a Place,
    server: TestServer,
    load: LoadThread,
    begun: Instant,
    next_line: Instant,
    last: u64,
    kills: u64,
    reloads: u64,
    deploys: u64,
    managers: u64,
    /// Whether each deploy had the version serve that should.
    is_served_well: bool,
}

/// The program, about to be hurt and replaced.
fn start(stage: &Stage) -> TestResult<TestServer> {
    let server = stage.victim().set("crash_policy", REDELIVER);
    server.expect_log("worker could not start").expect_log(ABORTED).start()
}

fn show(stage: &Stage, place: &Place, out: &mut dyn Write) -> TestResult<bool> {
    let server = start(stage)?;
    writeln!(
        out,
        "An echo server on {}: a master that owns the connections, a manager and {WORKERS} \
         workers.\n\
         Each request takes its worker 5 ms, so that nearly every kill hits one that is in hand.\n\
         {CLIENTS} clients send requests as fast as they are answered and compare every byte.\n",
        server.address()
    )?;
    let load = LoadThread::spawn(endless(&server, CLIENTS)).map_err(kit)?;
    let now = Instant::now();
    let show = Show {
        out,
        place,
        server,
        load,
        begun: now,
        next_line: now + SECOND,
        last: 0,
        kills: 0,
        reloads: 0,
        deploys: 0,
        managers: 0,
        is_served_well: true,
    };
    show.play()
}

impl Show<'_> {
    fn play(mut self) -> TestResult<bool> {
        self.say("Nothing happens for three seconds, so that you see the usual pace.")?;
        self.watch(3 * SECOND)?;
        self.say("Now `kill -9` hits a random worker every 100 ms, for five seconds.")?;
        self.kill_workers(5 * SECOND)?;
        self.say("Two reloads (SIGUSR1): all workers are replaced, one after another.")?;
        self.reload()?;
        self.say(
            "Now a deploy: version two is renamed over the running program, and then a reload.",
        )?;
        self.deploy(Version::Two)?;
        self.say("The next version cannot start. It is deployed all the same.")?;
        self.deploy_broken()?;
        self.say(
        "Now the manager, which starts the workers: all of them die with it. A spare takes over.",
    )?;
        self.kill_manager()?;
        self.end()
    }

    fn say(&mut self, text: &str) -> TestResult {
        Ok(writeln!(self.out, "{text}")?)
    }

    /// Waits until `until`, with a line every second.
    fn watch_until(&mut self, until: Instant) -> TestResult {
        while self.next_line <= until {
            std::thread::sleep(self.next_line.saturating_duration_since(Instant::now()));
            self.line()?;
        }
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        Ok(())
    }

    fn watch(&mut self, time: Duration) -> TestResult {
        self.watch_until(Instant::now() + time)
    }

    fn line(&mut self) -> TestResult {
        self.next_line += SECOND;
        let completed = self.load.progress().completed();
        let rate = completed - std::mem::replace(&mut self.last, completed);
        writeln!(
            self.out,
            "  {:>3} s  {rate:>7} requests/s   workers killed {:>3}   reloads {}   \
             deploys {}   managers killed {}   connections lost {}",
            self.begun.elapsed().as_secs(),
            self.kills,
            self.reloads,
            self.deploys,
            self.managers,
            self.load.progress().interrupted()
        )?;
        Ok(self.out.flush()?)
    }

    fn kill_workers(&mut self, time: Duration) -> TestResult {
        let mut random = Random::new(self.begun.elapsed().as_nanos() as u64);
        let begun = Instant::now();
        let mut next = begun;
        while next < begun + time {
            self.watch_until(next)?;
            if let Some(worker) = random.pick(&self.server.workers()) {
                self.kills += u64::from(worker.kill());
            }
            next += KILL_EVERY;
        }
        Ok(())
    }

    fn reload(&mut self) -> TestResult {
        for _ in 0..RELOADS {
            reload(&self.server)?;
            self.reloads += 1;
            self.watch(SECOND)?;
        }
        Ok(())
    }

    /// Puts another version into service.
    fn deploy(&mut self, version: Version) -> TestResult {
        self.place.deploy(version).map_err(kit)?;
        self.deploys += u64::from(reload(&self.server)?);
        self.watch(SECOND)?;
        self.tell_version(version)
    }

    /// Tries to put one into service that cannot serve: the one before does.
    fn deploy_broken(&mut self) -> TestResult {
        self.place.deploy(Version::Broken).map_err(kit)?;
        let mark = self.server.log().mark();
        self.server.signal(Signal::USR1);
        let line = self.server.log().wait_after(mark, "reload finished")?;
        if !line.contains(ABORTED) {
            return Err(TestError::new(format!("a broken version serves: {line}")));
        }
        let why = line.split_once("why=").map_or(line.as_str(), |(_, why)| why);
        self.say(&format!("       The reload was aborted: {why}."))?;
        self.watch(SECOND)?;
        self.tell_version(Version::Two)
    }

    /// What a client is told that asks, and what it should be.
    fn tell_version(&mut self, expected: Version) -> TestResult {
        let version = place::version_of(&self.server)?;
        self.is_served_well &= version == expected.name();
        self.say(&format!("       A client that asks now is answered by {version}."))
    }

    fn kill_manager(&mut self) -> TestResult {
        self.server.spare();
        self.managers += u64::from(self.server.manager().kill());
        self.watch(3 * SECOND)?;
        self.server.spare();
        self.tell_version(Version::Two)
    }

    fn end(self) -> TestResult<bool> {
        let report = self.load.stop().map_err(kit)?;
        let ended = self.server.stop_and_report()?;
        let Self { kills, reloads, deploys, managers, .. } = self;
        writeln!(
            self.out,
            "\nDone to the server:    {kills} workers killed, {reloads} reloads, {deploys} deploy, \
             1 broken deploy, {managers} manager killed"
        )?;
        tell_clients(self.out, &report)?;
        let books = ended.books()?;
        tell_books(self.out, &books)?;
        let is_redelivered = tell_redelivered(self.out, books.detail("redelivered"))?;
        Ok(report.troubles.is_clean() && is_redelivered && self.is_served_well)
    }
}
