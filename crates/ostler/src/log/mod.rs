//! The log: structured lines, one `write(2)` each, from every process of the tree into one file.
//!
//! `2026-01-31T12:00:00.123+01:00 WARN w0.3 delivery took long session=71 took_ms=812`
//!
//! Responsible for: one event, one line, never interleaved with another process's line; never
//! waiting for a full pipe. Must never: start a thread (it would not exist in a forked child, and
//! its lines would vanish), take a lock that a fork could leave held, or hold a line back in a
//! buffer that dies with the process.
//!
//! The whole tree shares the descriptor that [`init`] opened in the master before the first fork. A
//! line that does not fit into the pipe at this moment is not written but counted, and the next
//! line that fits says `suppressed=n`.
//!
//! In the master a reactor writes its lines itself. A writer thread behind a bounded queue would
//! keep even the cost of the system call, and the race described at [`sink::Sink::write_line`], out
//! of the reactors; it is not built yet. What is promised today: a reader that stalls costs a
//! reactor two system calls per line, and lines, but does not stop it, apart from that race.

mod fields;
mod file;
mod label;
mod line;
mod quota;
mod record;
mod signals;
mod sink;
mod subscriber;

use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tracing_subscriber::fmt::MakeWriter;

pub(crate) use label::Process;
pub(crate) use quota::{Quota, Quotas};
pub(crate) use record::{Record, RecordFile};
pub(crate) use signals::SignalNotes;

use crate::error::Result;
use crate::options::{LogFormat, LogLevel};
use line::{CurrentFormat, LineFormat};
use sink::Sink;
use subscriber::OfCurrentLevel;

/// Where lines of this process go; children inherit it. Written in processes of one thread only, so
/// that no fork finds it locked for ever.
static SINK: RwLock<Option<Arc<Sink>>> = RwLock::new(None);

/// The log of one server, opened when that is bound, so that a file that cannot be written is told
/// then.
#[derive(Clone)]
pub(crate) struct ServerLog {
    sink: Arc<Sink>,
    level: LogLevel,
}

impl ServerLog {
    /// Lines go there from now on. For the master, before the first fork: of several servers of a
    /// program each has its own file, level and form of lines while it runs.
    pub(crate) fn make_current(&self) {
        subscriber::set_level(self.level);
        *SINK.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&self.sink));
    }

    /// Another descriptor of its file, if it has one.
    pub(crate) fn file_descriptor(&self) -> io::Result<Option<OwnedFd>> {
        let file = self.sink.file();
        file.map(|(descriptor, _)| descriptor.try_clone_to_owned()).transpose()
    }

    /// The descriptor of its file, if it has one of its own.
    pub(crate) fn descriptor(&self) -> Option<RawFd> {
        self.sink.file_descriptor()
    }
}

/// The file was rotated: this process makes it under its old name if need be; the others follow
/// when they write.
///
/// # Errors
///
/// Those of open(2). Lines go to the old file then.
pub(crate) fn reopen() -> io::Result<()> {
    current().map_or(Ok(()), |sink| sink.reopen())
}

/// Another descriptor of the log file, for a process that does not have it as memory.
pub(crate) fn file_descriptor() -> io::Result<Option<OwnedFd>> {
    let sink = current();
    let file = sink.as_ref().and_then(|sink| sink.file());
    file.map(|(descriptor, _)| descriptor.try_clone_to_owned()).transpose()
}

/// Where the log file is, absolute; empty without one.
pub(crate) fn file_path() -> PathBuf {
    let sink = current();
    let file = sink.as_ref().and_then(|sink| sink.file());
    file.map_or_else(PathBuf::new, |(_, path)| path.to_owned())
}

/// The form of lines.
fn format() -> LineFormat {
    current().map_or(LineFormat::Text { colour: false }, |sink| sink.format())
}

fn current() -> Option<Arc<Sink>> {
    SINK.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Opens a log. The first one of the program also becomes the destination of every `tracing` event
/// from now on. A program that has installed a `tracing` subscriber of its own keeps it and gets
/// Ostler's events there; it then answers itself for what that subscriber does across a fork.
///
/// # Errors
///
/// `is_option`, if `file` cannot be opened for appending.
pub(crate) fn init(level: LogLevel, file: &str, format: LogFormat) -> Result<ServerLog> {
    let sink = match file {
        "" => Sink::standard_error(),
        path => Sink::append_to(Path::new(path))?,
    };
    Ok(of(level, sink, format))
}

/// Goes on with the log of a server in a program that was executed to be a worker of it: standard
/// error, or the file that the server has opened.
pub(crate) fn inherit(
    level: LogLevel,
    format: LogFormat,
    file: Option<(OwnedFd, &Path)>,
) -> io::Result<ServerLog> {
    let sink = match file {
        None => Sink::standard_error(),
        Some((descriptor, path)) => Sink::adopt(descriptor, path)?,
    };
    Ok(of(level, sink, format))
}

fn of(level: LogLevel, sink: Sink, format: LogFormat) -> ServerLog {
    let format = match format {
        LogFormat::Text => LineFormat::Text { colour: sink.wants_colour() },
        LogFormat::Json => LineFormat::Json,
        LogFormat::Journald => LineFormat::Journald,
    };
    let log = ServerLog { sink: Arc::new(sink.with_format(format)), level };
    if current().is_some() {
        return log;
    }
    log.make_current();
    let subscriber = tracing_subscriber::fmt()
        // The default reports its own failures with eprintln, which waits for a full pipe.
        .log_internal_errors(false)
        .with_max_level(tracing::level_filters::LevelFilter::TRACE)
        .event_format(CurrentFormat)
        .with_writer(ToSink)
        .finish();
    // Fails only if the program has a subscriber already, see above.
    let _ = tracing::subscriber::set_global_default(OfCurrentLevel(subscriber));
    // Release builds only come here: in debug builds a broken invariant panics.
    ostler_core::invariant::report_to(|place| {
        tracing::error!(
            place,
            "a fault of Ostler: an invariant is broken; please report this line"
        );
    });
    log
}

/// Whether `file` can be logged to.
///
/// # Errors
///
/// `is_option`, if not.
pub(crate) fn check(file: &str) -> Result<()> {
    if file.is_empty() { Ok(()) } else { Sink::check(Path::new(file)) }
}

/// Tells the log which process this is. Called after each fork, and once in the master.
pub(crate) fn set_process(process: Process) {
    label::set(process);
    if let Some(sink) = current() {
        // The parent will report its own losses.
        sink.forget_suppressed();
    }
}

/// Notes the session whose delivery begins in this process, for the line about a panic; 0 when it
/// has ended.
pub(crate) fn set_session(session: u64) {
    label::set_session(session);
}

/// The session whose delivery this process works at.
pub(crate) fn session() -> Option<u64> {
    label::session()
}

/// Hands whole lines to [`SINK`].
struct ToSink;

impl MakeWriter<'_> for ToSink {
    type Writer = LineWriter;

    fn make_writer(&self) -> LineWriter {
        LineWriter
    }
}

/// Gets each event as one `write` of the whole line.
struct LineWriter;

impl std::io::Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        if let Some(sink) = current() {
            sink.write_line(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_core::ids::ProcessKey;

    /// Set in the process in which the test of the global log runs.
    const ALONE: &str = "OSTLER_TEST_ALONE";

    /// The log is one for a process, and under plain `cargo test` other tests of this process may
    /// have installed theirs; so this test runs itself once more, in a process of its own.
    #[test]
    fn log_appends_events_of_every_process_to_one_file() {
        if std::env::var_os(ALONE).is_some() {
            return append_events_of_two_processes();
        }
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["log::tests::log_appends_events_of_every_process_to_one_file", "--exact"])
            .env(ALONE, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }

    fn append_events_of_two_processes() {
        let path = std::env::temp_dir().join(format!("ostler-log-{}", std::process::id()));
        std::fs::write(&path, "before\n").unwrap();
        init(LogLevel::Info, path.to_str().unwrap(), LogFormat::Text).unwrap();

        set_process(Process::Master);
        tracing::info!(port = 9501, "listening");
        tracing::debug!("too detailed");
        set_process(Process::Worker(ProcessKey::event(0, 3)));
        tracing::error!(error = %std::io::Error::other("disk full\nof logs"), "handler failed");

        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(lines[0], "before", "the file is appended to");
        assert!(lines[1].ends_with(" INFO master listening port=9501"), "{text}");
        assert!(
            lines[2].ends_with(r#" ERROR w0.3 handler failed error="disk full\nof logs""#),
            "{text}"
        );
    }

    #[test]
    fn log_file_that_cannot_be_opened_is_an_option_error() {
        let error = init(LogLevel::Warn, "/nonexistent/directory/log", LogFormat::Text)
            .map(drop)
            .unwrap_err();
        assert!(error.is_option());
        assert!(error.to_string().contains("`log_file`"), "{error}");
    }
}
