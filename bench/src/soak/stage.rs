//! What all scenarios share: where the programs are, how servers are started, how a load is judged.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ostler_testkit::{Ended, ServerBuilder, TestError, TestResult, TestServer};

use super::sheet::Sheet;
use crate::load::{FaultKind, LoadOptions, LoadReport, LoadThread};
use crate::{Error, Result};

/// Event workers of every server here.
pub(crate) const WORKERS: usize = 4;

/// Attempts under `redeliver`. A kill every 100 ms meets a given one of four workers every 400 ms,
/// so that even a package of 2 ms is met with less than 1 % per attempt: twenty times in a row
/// never happens by chance. A package that does use up twenty attempts was therefore lost by the
/// engine, and its closed session shows it; with the maximum of 100 such a fault would stay hidden
/// for longer.
pub(crate) const REDELIVER: &str = "redeliver:20";

/// The programs, and how long to take.
pub(crate) struct Stage {
    bench: PathBuf,
    instrument: PathBuf,
    examples: PathBuf,
    quick: bool,
}

/// An error of this crate in the words of the kit.
pub(crate) fn kit(error: Error) -> TestError {
    TestError::new(error.to_string())
}

impl Stage {
    pub(crate) fn new(bench: &Path, instrument: &Path, examples: &Path, quick: bool) -> Self {
        let [bench, instrument, examples] = [bench, instrument, examples].map(Path::to_owned);
        Self { bench, instrument, examples, quick }
    }

    /// Whether the instrument is there.
    pub(crate) fn check_instrument(&self) -> Result<()> {
        check_program(&self.instrument, "make instrument")
    }

    /// Whether the instrument and the examples are there.
    pub(crate) fn check_programs(&self) -> Result<()> {
        self.check_instrument()?;
        check_program(&self.examples.join("chat"), "cargo build --release --examples -p ostler")
    }

    /// One of two, by how long the run may take.
    pub(crate) fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// A program on a free port, with [`WORKERS`] workers, which ends at the latest with this
    /// thread.
    fn program(&self, path: &Path) -> ServerBuilder {
        let leash = [self.bench.as_os_str(), "unpinned".as_ref(), "--".as_ref()];
        TestServer::program(path)
            .through(leash)
            .set("listen", "127.0.0.1:0")
            .set("workers", WORKERS)
            .expect_log("the memory budget is used up")
    }

    /// The instrument, which echoes unless it is told otherwise.
    pub(crate) fn echo(&self) -> ServerBuilder {
        self.program(&self.instrument)
    }

    /// The instrument's file.
    pub(crate) fn instrument(&self) -> &Path {
        &self.instrument
    }

    /// A copy of the instrument, whose workers are started by exec.
    pub(crate) fn deployed(&self, path: &Path) -> ServerBuilder {
        self.program(path).set("start", "exec")
    }

    /// An echo, about to be hurt: the log may speak of deaths. Of a worker that is killed in its
    /// first moment, too: it counts as one that cannot start.
    pub(crate) fn victim(&self) -> ServerBuilder {
        let echo = self.echo().expect_log("worker died").expect_log("workers die often");
        echo.expect_log("worker ended before it served").expect_log("the manager died")
    }

    /// The chat example.
    pub(crate) fn chat(&self) -> ServerBuilder {
        self.program(&self.examples.join("chat"))
    }
}

fn check_program(path: &Path, command: &str) -> Result<()> {
    if path.is_file() {
        return Ok(());
    }
    Err(Error::usage(format!("there is no {}; build it with `{command}`", path.display())))
}

/// An endless closed loop of small requests that stops when told.
pub(crate) fn endless(server: &TestServer, connections: u32) -> LoadOptions {
    LoadOptions {
        connections,
        duration_ms: 3_600_000,
        timeout_ms: 10_000,
        ..LoadOptions::new(server.address())
    }
}

/// A load that nothing disturbs, for comparison.
pub(crate) fn undisturbed(options: LoadOptions, time: Duration) -> TestResult<LoadReport> {
    let load = LoadThread::spawn(options).map_err(kit)?;
    std::thread::sleep(time);
    load.stop().map_err(kit)
}

/// The longest wait of a request. A machine with other work lets everybody wait: so the limit is
/// also three times what the same clients had to wait while nothing was done to the server.
pub(crate) fn judge_longest_wait(
    sheet: &mut Sheet<'_>,
    report: &LoadReport,
    calm: &LoadReport,
    limit_ms: f64,
) {
    let longest_ms = |report: &LoadReport| report.latency_us(1.0) / 1e3;
    sheet.told("longest wait undisturbed", format_args!("{:.1} ms", longest_ms(calm)));
    let limit_ms = limit_ms.max(3.0 * longest_ms(calm));
    sheet.at_most("longest wait of a request", longest_ms(report), limit_ms, "ms");
}

/// What no client may notice: the rows of a load that was not to be disturbed.
pub(crate) fn judge_undisturbed(sheet: &mut Sheet<'_>, report: &LoadReport) {
    let troubles = &report.troubles;
    let is_doubled = |kind: &FaultKind| matches!(kind, FaultKind::Extra { .. });
    let is_older = |kind: &FaultKind, due: u64| match kind {
        FaultKind::Wrong { origin: Some(origin), .. } => origin.sequence < due,
        _ => false,
    };
    let doubled = troubles
        .faults
        .iter()
        .filter(|fault| is_doubled(&fault.kind) || is_older(&fault.kind, fault.sequence))
        .count() as u64;
    sheet.none("requests lost", troubles.lost_requests);
    sheet.none("connections reset, closed or timed out", {
        troubles.resets
            + troubles.early_ends
            + troubles.refused
            + troubles.timeouts
            + troubles.failed
    });
    sheet.none("replies doubled", doubled);
    sheet.none("replies with wrong bytes", troubles.corrupt.saturating_sub(doubled));
    for fault in &troubles.faults {
        sheet.say(format_args!("  fault: {fault}"));
    }
    for interruption in troubles.interruptions.iter().take(8) {
        let at = interruption.at.saturating_duration_since(report.started);
        sheet.say(format_args!(
            "  connection {} {:?} at {} ms, {} requests lost",
            interruption.connection,
            interruption.kind,
            at.as_millis(),
            interruption.lost_requests
        ));
    }
}

/// Ends the server in order; says what its books say of the faults.
pub(crate) fn end(server: TestServer, sheet: &mut Sheet<'_>) -> TestResult<Ended> {
    let ended = server.stop_and_report()?;
    let books = ended.books()?;
    let text = format!("{} packages accounted for", books.settled());
    sheet.check("books, log, processes, port, files", text, "balanced, clean".to_owned(), true);
    Ok(ended)
}
