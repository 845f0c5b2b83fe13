//! A real Redis, where the system has one.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::{TestError, TestResult};
use crate::wait::wait_until;

/// Attempts to find a port that nobody takes in between.
const ATTEMPTS: usize = 8;

/// A server that keeps nothing on a disk, and ends with this value.
#[derive(Debug)]
pub struct RedisServer {
    child: Child,
    address: SocketAddr,
    directory: PathBuf,
}

impl RedisServer {
    /// Starts one; `None`, and a line that says so, where there is no `redis-server`.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start() -> TestResult<Option<Self>> {
        let version = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
        if version.is_err() {
            eprintln!("NOT CHECKED: tasks in a Redis (apt-get install redis-server)");
            return Ok(None);
        }
        for _ in 0..ATTEMPTS {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let address = listener.local_addr()?;
            drop(listener);
            let mut server = Self::at(address)?;
            if server.answers() {
                return Ok(Some(server));
            }
        }
        Err(TestError::new("redis-server does not come up"))
    }

    fn at(address: SocketAddr) -> TestResult<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("redis-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let child = Self::spawn(address, &directory)?;
        Ok(Self { child, address, directory })
    }

    fn spawn(address: SocketAddr, directory: &Path) -> TestResult<Child> {
        let port = address.port().to_string();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--dir"]);
        let command = command.arg(directory).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(command.spawn()?)
    }

    /// Whether it answers; false when it has ended.
    fn answers(&mut self) -> bool {
        let mut has_ended = false;
        let child = &mut self.child;
        let answered = wait_until("redis-server to answer", || {
            has_ended = child.try_wait().is_ok_and(|status| status.is_some());
            has_ended || ask(self.address, "PING\r\n").is_ok_and(|answer| answer == "+PONG\r\n")
        });
        answered.is_ok() && !has_ended
    }

    /// Where it is, as the option `task_journal` has it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Its answer to a command, as it came; short ones only.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn ask(&self, command: &str) -> TestResult<String> {
        ask(self.address, &format!("{command}\r\n"))
    }

    /// It does nothing until [`RedisServer::go_on`].
    ///
    /// # Errors
    /// When it is gone.
    pub fn stop(&self) -> TestResult {
        self.signal(Signal::STOP)
    }

    /// It goes on.
    ///
    /// # Errors
    /// When it is gone.
    pub fn go_on(&self) -> TestResult {
        self.signal(Signal::CONT)
    }

    /// Another one takes its place, with none of its data.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn restart(&mut self) -> TestResult {
        self.end();
        self.child = Self::spawn(self.address, &self.directory)?;
        if self.answers() { Ok(()) } else { Err(TestError::new("it does not come up again")) }
    }

    fn signal(&self, signal: Signal) -> TestResult {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        Ok(kill_process(pid.ok_or_else(|| TestError::new("no process"))?, signal)?)
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.end();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn ask(address: SocketAddr, command: &str) -> TestResult<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(crate::wait::DEADLINE))?;
    stream.write_all(command.as_bytes())?;
    let mut answer = vec![0; 4_096];
    let read = stream.read(&mut answer)?;
    answer.truncate(read);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
