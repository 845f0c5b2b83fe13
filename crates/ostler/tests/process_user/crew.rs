//! A server with user processes (`tests/programs/crew.rs`), and what they have told of their lives.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use ostler_testkit::{Process, ServerBuilder, TestError, TestResult, TestServer};

/// Where processes find their orders; removed with this value.
pub struct Crew {
    directory: PathBuf,
}

impl Drop for Crew {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Crew {
    pub fn new() -> TestResult<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("ostler-crew-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory)?;
        Ok(Self { directory })
    }

    /// A server with these processes, each `NAME=KIND[,...]`.
    pub fn server(&self, workers: u16, processes: &[&str]) -> ServerBuilder {
        let server = TestServer::example("crew")
            .set("workers", workers)
            .env("CREW_DIR", &self.directory)
            .env("RUST_BACKTRACE", "0");
        processes.iter().fold(server, |server, process| server.args(["--process", process]))
    }

    /// Tells a process what to do.
    pub fn order(&self, name: &str, order: &str) -> TestResult {
        // Moved into place: it is read whole or not at all.
        let (new, path) = (self.path(&format!("{name}.new")), self.path(&format!("{name}.order")));
        std::fs::write(&new, format!("{order}\n"))?;
        Ok(std::fs::rename(new, path)?)
    }

    /// Makes an empty file.
    pub fn touch(&self, name: &str) -> TestResult {
        Ok(std::fs::write(self.path(name), b"")?)
    }

    /// Removes it.
    pub fn remove(&self, name: &str) -> TestResult {
        Ok(std::fs::remove_file(self.path(name))?)
    }

    /// Whether an order has not been taken yet.
    pub fn has_order(&self, name: &str) -> bool {
        self.path(&format!("{name}.order")).exists()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// All that was told, in order.
    pub fn journal(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("journal")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// How often a line that begins so was told.
    pub fn count(&self, beginning: &str) -> usize {
        self.journal().iter().filter(|line| line.starts_with(beginning)).count()
    }

    /// Waits until it was told so many times.
    pub fn wait_for(&self, server: &TestServer, beginning: &str, times: usize) -> TestResult {
        let what = format!("{times} times {beginning:?} in the journal");
        let waited = server.wait_for(&what, |_| self.count(beginning) >= times);
        waited.map_err(|error| TestError::new(format!("{error}\n{:#?}", self.journal())))
    }

    /// The process that began last under a name.
    pub fn newest(&self, server: &TestServer, name: &str) -> TestResult<Process> {
        let start = format!("{name} start");
        let journal = self.journal();
        let line = journal.iter().rfind(|line| line.starts_with(&start));
        let pid = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
        let pid: u32 = pid.ok_or_else(|| TestError::new(format!("{name} has not begun")))?;
        let mut all = server.tree().processes().into_iter();
        all.find(|process| process.pid() == pid)
            .ok_or_else(|| TestError::new(format!("{name} is not alive: {pid}")))
    }
}
