//! Half a minute for newcomers: a server under load is hurt in every way, and its clients say what
//! they noticed.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ostler_testkit::{Books, Random, TestResult, TestServer};

use crate::load::{LoadReport, LoadThread};
use crate::soak::{KILL_EVERY, REDELIVER, Stage, WORKERS, endless, kit, reload};
use crate::{Error, Result};

const CLIENTS: u32 = 32;
const RELOADS: u64 = 3;
/// What a handler does that asks a database: so a worker nearly always has a package in hand when
/// it is killed, and the show is about what becomes of that.
const HANDLER: &str = "sleep_ms:5";
const SECOND: Duration = Duration::from_secs(1);

/// Where everything is.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// This program, which leashes the server.
    pub bench: PathBuf,
    /// The instrument, built with `--release`.
    pub instrument: PathBuf,
}

/// Gives the show; whether no client noticed anything.
pub fn run(options: &DemoOptions, out: &mut dyn Write) -> Result<bool> {
    // No scene has one of the examples.
    let stage = Stage::new(&options.bench, &options.instrument, Path::new(""), false);
    stage.check_instrument()?;
    // The text of the kit's error has all there is to know.
    show(&stage, out).map_err(|error| Error::usage(format!("the demo broke off: {error}")))
}

/// The server, its clients, and what was done to it.
struct Show<'a> {
    out: &'a mut dyn Write,
    server: TestServer,
    load: LoadThread,
    begun: Instant,
    next_line: Instant,
    last: u64,
    kills: u64,
    reloads: u64,
    managers: u64,
}

fn show(stage: &Stage, out: &mut dyn Write) -> TestResult<bool> {
    let server = stage.victim().set("crash_policy", REDELIVER).handler(HANDLER).start()?;
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
    let mut show = Show {
        out,
        server,
        load,
        begun: now,
        next_line: now + SECOND,
        last: 0,
        kills: 0,
        reloads: 0,
        managers: 0,
    };
    show.say("Nothing happens for three seconds, so that you see the usual pace.")?;
    show.watch(3 * SECOND)?;
    show.say("Now `kill -9` hits a random worker every 100 ms, for five seconds.")?;
    show.kill_workers(5 * SECOND)?;
    show.say("Three reloads (SIGUSR1): all workers are replaced, one after another.")?;
    show.reload()?;
    show.say(
        "Now the manager, which starts the workers: all of them die with it. A spare takes over.",
    )?;
    show.kill_manager()?;
    show.end()
}

impl Show<'_> {
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
            "  {:>3} s  {rate:>7} requests/s   workers killed {:>3}   reloads {}   managers \
             killed {}   \
             connections lost {}",
            self.begun.elapsed().as_secs(),
            self.kills,
            self.reloads,
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

    fn kill_manager(&mut self) -> TestResult {
        self.server.spare();
        self.managers += u64::from(self.server.manager().kill());
        self.watch(3 * SECOND)?;
        self.server.spare();
        Ok(())
    }

    fn end(self) -> TestResult<bool> {
        let report = self.load.stop().map_err(kit)?;
        let ended = self.server.stop_and_report()?;
        let (kills, reloads, managers) = (self.kills, self.reloads, self.managers);
        writeln!(
            self.out,
            "\nDone to the server:    {kills} workers killed, {reloads} reloads, {managers} \
             manager killed"
        )?;
        tell_clients(self.out, &report)?;
        let books = ended.books()?;
        tell_books(self.out, &books)?;
        Ok(report.troubles.is_clean() && tell_redelivered(self.out, books.detail("redelivered"))?)
    }
}

fn tell_clients(out: &mut dyn Write, report: &LoadReport) -> TestResult {
    let troubles = &report.troubles;
    let noticed = if troubles.is_clean() {
        "nothing: no connection lost, no request lost, no reply twice, no wrong byte".to_owned()
    } else {
        format!("{troubles}")
    };
    writeln!(out, "Noticed by clients:    {noticed}")?;
    let (median, most) = (report.latency_us(0.5) / 1e3, report.latency_us(1.0) / 1e3);
    writeln!(
        out,
        "Requests answered:     {} (median {median:.2} ms, longest {most:.0} ms)",
        report.completed
    )?;
    Ok(())
}

fn tell_books(out: &mut dyn Write, books: &Books) -> TestResult {
    let Books { accepted, open, closed, received, finished, dropped, closed_by, .. } = books;
    writeln!(
        out,
        "The server's books:    {accepted} connections = {open} open + {closed} closed;\n\
         \u{20}                      {received} packages = {finished} finished + {dropped} \
         dropped + {closed_by} closed on"
    )?;
    Ok(())
}

/// Whether the show had what it is for: requests that a killed worker had in hand and another one
/// answered.
fn tell_redelivered(out: &mut dyn Write, redelivered: u64) -> TestResult<bool> {
    if redelivered == 0 {
        writeln!(out, "Delivered again:       none: no kill hit a worker with a request in hand")?;
        return Ok(false);
    }
    writeln!(
        out,
        "Delivered again:       {redelivered} requests that a killed worker had in hand; another \
         one answered them"
    )?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demo_without_a_redelivery_is_no_demo() {
        let mut out = Vec::new();
        assert!(!tell_redelivered(&mut out, 0).unwrap());
        assert!(tell_redelivered(&mut out, 47).unwrap());
        assert!(String::from_utf8(out).unwrap().contains("47 requests"));
    }
}
