//! A server process under measurement: started, reachable, and gone with all its children when
//! stopped.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::cpu::{identify, tree_of};
use super::ending::end_all;
use super::output::{Tail, first_line};
use super::peer::{PORT, Peer};
use crate::load::Target;
use crate::{Error, Result};

/// A server must be reachable after this.
const START_LIMIT: Duration = Duration::from_secs(10);
const POLL_EVERY: Duration = Duration::from_millis(2);
/// The end of a server that did not start, and of what it writes then, is waited for so long.
const LAST_WORDS_LIMIT: Duration = Duration::from_secs(2);

/// A running server. Dropped without [`Server::stop`], it is killed.
#[derive(Debug)]
pub struct Server {
    name: String,
    child: Child,
    target: Target,
    stderr: Tail,
    stopped: bool,
}

/// How a server ended.
#[derive(Debug)]
pub struct StopReport {
    /// Its exit status.
    pub status: ExitStatus,
    /// It had to be killed.
    pub forced: bool,
    /// Descendants that outlived it by more than a second and were killed.
    pub survivors: usize,
    /// The end of what it wrote to stderr.
    pub stderr: String,
}

impl Server {
    /// Starts `peer` on one CPU (or anywhere) and waits until it can be reached. `bench` is the
    /// `ostler-bench` program, used to launch it. The server ends at the latest with the calling
    /// thread.
    pub fn start(peer: &Peer, bench: &Path, cpu: Option<usize>) -> Result<Self> {
        let failed = |reason: String| Error::Start { peer: peer.name.clone(), reason };
        if let Some(path) = peer.missing_program() {
            return Err(failed(format!("there is no {}: build it first", path.display())));
        }
        let port = if peer.takes_port() { Some(free_port()?) } else { None };
        let mut command = Command::new(bench);
        match cpu {
            Some(cpu) => command.args(["pinned", &cpu.to_string(), "--"]),
            None => command.args(["unpinned", "--"]),
        };
        match port {
            Some(port) => {
                let number = port.port().to_string();
                command.args(peer.command.iter().map(|word| word.replace(PORT, &number)))
            }
            None => command.args(&peer.command),
        };
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| failed(format!("cannot run {}: {error}", bench.display())))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        // From here on an early return kills the child.
        let mut server = Self {
            name: peer.name.clone(),
            child,
            target: port.unwrap_or(unknown).into(),
            stderr: Tail::default(),
            stopped: false,
        };
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
            return Err(failed("no pipes to it".to_owned()));
        };
        server.stderr = Tail::follow(stderr)?;
        let line = first_line(stdout)?;
        match port {
            Some(port) => server.await_port(port)?,
            None => server.target = server.await_line(&line)?,
        }
        Ok(server)
    }

    /// Where it listens.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Its pid, the root of its process tree.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The end of what it has written to stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    fn await_line(&mut self, line: &Receiver<String>) -> Result<Target> {
        match line.recv_timeout(START_LIMIT) {
            Ok(line) => parse_first_line(&line).ok_or_else(|| {
                self.not_started(&format!(
                    "its first line is `{}`, not `listening on URL`",
                    line.trim_end()
                ))
            }),
            Err(RecvTimeoutError::Timeout) => {
                Err(self.not_started("it printed no first line in ten seconds"))
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(self.not_started("it ended before its first line"))
            }
        }
    }

    fn await_port(&mut self, port: SocketAddr) -> Result<()> {
        let limit = Instant::now() + START_LIMIT;
        while Instant::now() < limit {
            if TcpStream::connect_timeout(&port, START_LIMIT).is_ok() {
                return Ok(());
            }
            if self.wait_until(Instant::now() + Duration::from_millis(20))?.is_some() {
                return Err(self.not_started("it ended before its port answered"));
            }
        }
        Err(self.not_started("its port did not answer in ten seconds"))
    }

    fn not_started(&mut self, reason: &str) -> Error {
        // Its last words may still be on their way.
        let status = self.wait_until(Instant::now() + LAST_WORDS_LIMIT);
        let mut reason = reason.to_owned();
        if let Ok(Some(status)) = status {
            reason.push_str(&format!(" ({status})"));
            // Who it has started may hold its stderr open: that is not waited for to the end.
            let limit = Instant::now() + LAST_WORDS_LIMIT;
            while !self.stderr.has_ended() && Instant::now() < limit {
                std::thread::sleep(POLL_EVERY);
            }
        }
        let stderr = self.stderr.text();
        if !stderr.is_empty() {
            reason.push_str(&format!("; stderr: {stderr}"));
        }
        Error::Start { peer: self.name.clone(), reason }
    }

    fn wait_until(&mut self, limit: Instant) -> Result<Option<ExitStatus>> {
        loop {
            let status = self.child.try_wait().map_err(Error::system("wait for the server"))?;
            if status.is_some() || Instant::now() >= limit {
                return Ok(status);
            }
            std::thread::sleep(POLL_EVERY);
        }
    }

    /// Sends a signal to the server itself (not to its children).
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        // Not reaped yet, so the pid is still the server's.
        if self.wait_until(Instant::now())?.is_none() {
            let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
            if let Some(pid) = pid {
                kill_process(pid, signal).map_err(Error::system("signal the server"))?;
            }
        }
        Ok(())
    }

    /// Sends SIGTERM, waits up to `grace_ms`, kills what is left: the server and every descendant.
    pub fn stop(mut self, grace_ms: u64) -> Result<StopReport> {
        self.stop_within(Duration::from_millis(grace_ms))
    }

    fn stop_within(&mut self, grace: Duration) -> Result<StopReport> {
        self.stopped = true;
        let mut family = Vec::new();
        if let Some(root) = identify(self.child.id())? {
            family.extend(tree_of(root)?);
        }
        self.signal(Signal::TERM)?;
        let mut status = self.wait_until(Instant::now() + grace)?;
        let forced = status.is_none();
        if forced && let Some(root) = identify(self.child.id())? {
            family.extend(tree_of(root)?);
            self.child.kill().map_err(Error::system("kill the server"))?;
            status = Some(self.child.wait().map_err(Error::system("wait for the server"))?);
        }
        let Some(status) = status else {
            return Err(Error::usage("the server's end was not seen"));
        };
        let survivors = end_all(&family)?;
        Ok(StopReport { status, forced, survivors, stderr: self.stderr.text() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.stopped {
            // Nobody is left to tell.
            _ = self.stop_within(Duration::ZERO);
        }
    }
}

/// The URL, or the address, of the only port or the first one.
fn parse_first_line(line: &str) -> Option<Target> {
    line.strip_prefix("listening on ")?.split_whitespace().next()?.parse().ok()
}

/// A port that was free a moment ago.
fn free_port() -> Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map_err(Error::system("find a free port"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_parsed() {
        let address = Some(Target::Tcp(([127, 0, 0, 1], 40123).into()));
        let line = "listening on tcp://127.0.0.1:40123 (main)\n";
        assert_eq!(parse_first_line(line), address);
        assert_eq!(parse_first_line("listening on 127.0.0.1:40123\n"), address);
        assert_eq!(parse_first_line("listening on 127.0.0.1:40123 (2 workers)\n"), address);
        assert_eq!(parse_first_line("Listening: 127.0.0.1:40123"), None);
        assert_eq!(parse_first_line("listening on port 40123"), None);
        assert_eq!(parse_first_line(""), None);
    }
}
