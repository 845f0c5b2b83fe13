//! Somebody at the operator's socket.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use ostler_testkit::{DEADLINE, TestError, TestResult};
use serde_json::Value;

pub struct Operator {
    pub socket: UnixStream,
    lines: BufReader<UnixStream>,
}

impl Operator {
    pub fn new(path: &Path) -> TestResult<Self> {
        let socket = UnixStream::connect(path)?;
        socket.set_read_timeout(Some(DEADLINE))?;
        let lines = BufReader::new(socket.try_clone()?);
        Ok(Self { socket, lines })
    }

    pub fn say(&mut self, bytes: &[u8]) -> TestResult {
        Ok(self.socket.write_all(bytes)?)
    }

    /// The next answer; `None`: there is none, the server has closed.
    pub fn answer(&mut self) -> TestResult<Option<Value>> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let read = serde_json::from_str(&line);
        Ok(Some(read.map_err(|error| TestError::new(format!("{line:?} is no JSON: {error}")))?))
    }

    pub fn ask(&mut self, request: &str) -> TestResult<Value> {
        self.say(format!("{request}\n").as_bytes())?;
        self.answer()?.ok_or_else(|| TestError::new(format!("no answer to {request:?}")))
    }

    /// The result of what is done.
    pub fn done(&mut self, request: &str) -> TestResult<Value> {
        let mut answer = self.ask(request)?;
        match answer["ok"] == true {
            true => Ok(answer["result"].take()),
            false => Err(TestError::new(format!("{request:?}: {answer}"))),
        }
    }

    /// Why something is not done.
    pub fn refused(&mut self, request: &str) -> TestResult<String> {
        let answer = self.ask(request)?;
        match (answer["ok"] == false, answer["error"].as_str()) {
            (true, Some(why)) => Ok(why.to_owned()),
            _ => Err(TestError::new(format!("{request:?}: {answer}"))),
        }
    }
}
