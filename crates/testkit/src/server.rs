//! A running server: its processes, its log, its end.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;

use rustix::process::Signal;

use crate::builder::{Launched, ServerBuilder, find_example};
use crate::client::Client;
use crate::ended::Ended;
use crate::error::{TestError, TestResult, errors_in_flight, fail};
use crate::leaks;
use crate::load::EchoLoad;
use crate::log::Log;
use crate::process::Process;
use crate::tree::Tree;
use crate::wait::{DEADLINE, LEAK_GRACE, poll_until, timed_out};

/// A server of real processes.
///
/// It must be ended by [`stop`](Self::stop) or a sister of it, so that the final checks run;
/// whoever forgets that in a passing test fails it. Whatever happens, no process outlives this
/// value.
#[must_use = "a server is ended by `stop`"]
pub struct TestServer {
    launched: Launched,
    address: SocketAddr,
    is_datagram: bool,
    allowed: Vec<String>,
    /// Whether `stop`, `wait_end` or `abandon` was called.
    settled: bool,
}

impl TestServer {
    /// The instrument (`bench/instrument`): an echo unless [`ServerBuilder::handler`] says
    /// otherwise.
    pub fn echo() -> ServerBuilder {
        ServerBuilder::example("ostler-echo")
    }

    /// The `chat` example.
    pub fn chat() -> ServerBuilder {
        ServerBuilder::example("chat")
    }

    /// Where the program of an example lies.
    ///
    /// # Errors
    /// When it was not built.
    pub fn example_path(name: &str) -> TestResult<PathBuf> {
        find_example(name)
    }

    /// Any other example, by its name.
    pub fn example(name: &'static str) -> ServerBuilder {
        ServerBuilder::example(name)
    }

    /// Any program that honours the contract of the examples.
    pub fn program(path: impl AsRef<Path>) -> ServerBuilder {
        ServerBuilder::path(path.as_ref())
    }

    pub(crate) fn new(launched: Launched, address: SocketAddr, allowed: Vec<String>) -> Self {
        let is_datagram = leaks::takes_datagrams(address.port());
        Self { launched, address, is_datagram, allowed, settled: false }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where a port that was named with `--port` listens: waits for its line on stdout.
    ///
    /// # Errors
    /// When it says none in time.
    pub fn port_url(&self, name: &str) -> TestResult<String> {
        let end = format!(" ({name})");
        let url = || {
            let lines = self.output().into_iter();
            let mut urls = lines.filter_map(|line| {
                Some(line.strip_prefix("listening on ")?.strip_suffix(&end)?.to_owned())
            });
            urls.next()
        };
        let found = poll_until(DEADLINE, url);
        found.ok_or_else(|| {
            timed_out(&format!("the line of the port {name}"), DEADLINE).with_tail(self.log())
        })
    }

    /// A new connection to a TCP port that was named with `--port`.
    ///
    /// # Errors
    /// When it says no address in time, or nobody accepts.
    pub fn connect_to(&self, name: &str) -> TestResult<Client> {
        let url = self.port_url(name)?;
        let address = url.strip_prefix("tcp://").and_then(|address| address.parse().ok());
        let address = address.ok_or_else(|| TestError::new(format!("{url} is no TCP port")))?;
        Client::connect(address).map_err(|error| error.with_tail(self.log()))
    }

    /// A directory for the test's own files; removed with the server.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.launched.files.directory()
    }

    /// The lines on stdout, the first included.
    #[must_use]
    pub fn output(&self) -> Vec<String> {
        self.launched.output.lines()
    }

    /// A new connection.
    ///
    /// # Errors
    /// When nobody accepts.
    pub fn connect(&self) -> TestResult<Client> {
        Client::connect(self.address).map_err(|error| error.with_tail(self.log()))
    }

    /// A load of numbered requests on this server, to be shaped and started.
    pub fn load(&self) -> EchoLoad {
        EchoLoad::new(self.address)
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.launched.log
    }

    /// The log lines that contain a text.
    #[must_use]
    pub fn log_lines_with(&self, text: &str) -> Vec<String> {
        self.log().lines_with(text)
    }

    /// Waits for a log line with this text; lines already written count.
    ///
    /// # Errors
    /// When none comes in time.
    pub fn wait_for_log(&self, text: &str) -> TestResult<String> {
        self.log().wait_for(text)
    }

    /// Its processes.
    #[must_use]
    pub fn tree(&self) -> &Arc<Tree> {
        &self.launched.tree
    }

    /// The process that was started.
    #[must_use]
    pub fn master(&self) -> Process {
        self.tree().master()
    }

    /// The manager; waits for one if there is none at the moment.
    ///
    /// # Panics
    /// When none appears in time.
    #[track_caller]
    pub fn manager(&self) -> Process {
        self.await_process("a manager", Tree::manager)
    }

    /// The sleeping second manager; waits for one if there is none at the moment.
    ///
    /// # Panics
    /// When none appears in time.
    #[track_caller]
    pub fn spare(&self) -> Process {
        self.await_process("a spare manager", Tree::spare)
    }

    /// The newest worker of a slot; waits for one if there is none at the moment.
    ///
    /// # Panics
    /// When none appears in time.
    #[track_caller]
    pub fn worker(&self, slot: u16) -> Process {
        self.await_process(&format!("a worker in slot {slot}"), |tree| tree.worker(slot))
    }

    /// All workers alive now, serving or leaving, ordered by slot and age.
    #[must_use]
    pub fn workers(&self) -> Vec<Process> {
        self.tree().workers()
    }

    /// All task workers alive now, serving or leaving, ordered by slot and age.
    #[must_use]
    pub fn task_workers(&self) -> Vec<Process> {
        self.tree().task_workers()
    }

    #[track_caller]
    fn await_process(&self, what: &str, find: impl Fn(&Tree) -> Option<Process>) -> Process {
        match poll_until(DEADLINE, || find(self.tree())) {
            Some(process) => process,
            None => fail(&self.explain(timed_out(what, DEADLINE))),
        }
    }

    /// Waits until the condition holds.
    ///
    /// # Errors
    /// When it does not in time; the text has the processes and the log.
    pub fn wait_for(&self, what: &str, mut condition: impl FnMut(&Self) -> bool) -> TestResult {
        poll_until(DEADLINE, || condition(self).then_some(()))
            .ok_or_else(|| self.explain(timed_out(what, DEADLINE)))
    }

    /// Sends a signal to the master.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        self.master().signal(signal);
    }

    /// Ends the server by SIGTERM and checks that the end was good: exit code 0, clean log,
    /// balanced books, no process left, the port free again, no file left.
    ///
    /// # Errors
    /// With everything that was not good.
    pub fn stop(self) -> TestResult {
        self.stop_and_report().map(drop)
    }

    /// As [`stop`](Self::stop), and the whole log has this text in so many lines.
    ///
    /// Counted while the server runs, lines may still be on their way: that something is seen of
    /// its processes is no sign that what is said of it has come.
    ///
    /// # Errors
    /// As [`stop`](Self::stop), and with the lines when they are more or fewer.
    pub fn stop_having_said(self, text: &str, times: usize) -> TestResult {
        let lines = self.stop_and_report()?.log().lines_with(text);
        if lines.len() == times {
            return Ok(());
        }
        Err(TestError::new(format!("{times} log lines with {text:?} expected: {lines:#?}")))
    }

    /// As [`stop`](Self::stop), and returns what is left to look at.
    ///
    /// # Errors
    /// As [`stop`](Self::stop).
    pub fn stop_and_report(self) -> TestResult<Ended> {
        self.stop_with(Signal::TERM)
    }

    /// As [`stop_and_report`](Self::stop_and_report) by another signal, such as SIGINT.
    ///
    /// # Errors
    /// As [`stop`](Self::stop).
    pub fn stop_with(self, signal: Signal) -> TestResult<Ended> {
        self.signal(signal);
        self.end(true)
    }

    /// Waits for an end that the test has caused otherwise, say by killing the master. Checks only
    /// that nothing is left behind; exit code, log and books are for the test to judge.
    ///
    /// # Errors
    /// When it does not end in time or something is left.
    pub fn wait_end(self) -> TestResult<Ended> {
        self.end(false)
    }

    /// Kills everything and checks nothing.
    pub fn abandon(mut self) {
        self.settled = true;
    }

    fn end(mut self, good: bool) -> TestResult<Ended> {
        self.settled = true;
        if let Err(error) = self.master().wait_gone(DEADLINE) {
            return Err(self.explain(error));
        }
        let status = self.launched.child.wait()?;
        let mut faults = self.traces();
        let ended = Ended::new(status, self.log().clone());
        if good {
            faults.extend(self.blemishes(status, &ended));
        }
        if faults.is_empty() {
            return Ok(ended);
        }
        let text = format!("the server did not end well:\n- {}", faults.join("\n- "));
        Err(TestError::new(text).with_tail(self.log()))
    }

    /// What it left behind.
    fn traces(&self) -> Vec<String> {
        let processes = leaks::leftover_processes(self.tree());
        // With processes left, the other two would only repeat the fault, and take their time for
        // it.
        if let Some(text) = processes {
            return vec![text];
        }
        let mut faults = Vec::new();
        if !self.log().wait_ended(LEAK_GRACE) {
            faults.push("somebody outside the tree still holds the server's stderr".to_owned());
        }
        faults.extend(leaks::port_still_taken(self.address, self.is_datagram, LEAK_GRACE));
        faults.extend(self.launched.files.leftover_files(self.tree()));
        faults
    }

    /// What was wrong with an end that was to be good.
    fn blemishes(&self, status: ExitStatus, ended: &Ended) -> Vec<String> {
        let allowed: Vec<&str> = self.allowed.iter().map(String::as_str).collect();
        let code = match status.code() {
            Some(0) => Ok(()),
            _ => Err(TestError::new(format!("exit code 0 was expected, but: {status}"))),
        };
        [code, ended.log().check_clean(&allowed), ended.check_books()]
            .into_iter()
            .filter_map(|check| Some(check.err()?.to_string()))
            .collect()
    }

    /// An error with the processes and the log behind it.
    fn explain(&self, error: TestError) -> TestError {
        error.followed_by(&self.tree().describe()).with_tail(self.log())
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // `launched` kills the tree after this, also when this panics.
        if self.settled {
            return;
        }
        if std::thread::panicking() || errors_in_flight() > 0 {
            // The test fails anyway, and the reader will ask what the server was doing.
            eprintln!("the server when the test failed:\n{}", self.tree().describe());
            eprintln!("{}", self.log().tail());
            return;
        }
        fail(&TestError::new(
            "a server was dropped without `stop`, `wait_end` or `abandon`: its final checks never \
             ran",
        ));
    }
}
