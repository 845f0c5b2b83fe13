//! A place where a program is deployed, and who runs what.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ostler_testkit::{Process, ServerBuilder, TestResult, TestServer};

use crate::support::check;

/// A directory with the program of a server.
pub struct Place {
    directory: PathBuf,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Which file it is.
pub fn inode(path: &Path) -> TestResult<u64> {
    Ok(std::fs::metadata(path)?.ino())
}

impl Place {
    /// The instrument lies there.
    pub fn new(name: &str) -> TestResult<Self> {
        let name = format!("ostler-{name}-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory)?;
        let place = Self { directory };
        place.deploy()?;
        Ok(place)
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the program lies.
    pub fn program(&self) -> PathBuf {
        self.directory.join("echo")
    }

    /// Which file the program is now.
    pub fn inode(&self) -> TestResult<u64> {
        inode(&self.program())
    }

    /// A server of this program, whose workers are started by exec.
    pub fn server(&self, workers: u16, reactors: u16) -> ServerBuilder {
        self.server_at(&self.program(), workers, reactors)
    }

    /// The same, under another path.
    pub fn server_at(&self, path: &Path, workers: u16, reactors: u16) -> ServerBuilder {
        TestServer::program(path)
            .set("listen", "127.0.0.1:0")
            .set("workers", workers)
            .set("reactors", reactors)
            .set("dispatch", "idle_first")
            .set("start", "exec")
    }

    /// Deploys the instrument once more, as another file; returns which.
    pub fn deploy(&self) -> TestResult<u64> {
        let new = self.directory.join("new");
        std::fs::copy(TestServer::example_path("ostler-echo")?, &new)?;
        std::fs::rename(&new, self.program())?;
        self.inode()
    }

    /// Deploys the impostor that does this.
    pub fn deploy_impostor(&self, what: &str) -> TestResult<u64> {
        let mut bytes = std::fs::read(TestServer::example_path("impostor")?)?;
        bytes.extend(format!("impostor:{what}\n").into_bytes());
        self.deploy_bytes(&bytes, 0o755)
    }

    /// Deploys a file as one should: written beside the old one, and renamed.
    pub fn deploy_bytes(&self, bytes: &[u8], mode: u32) -> TestResult<u64> {
        let new = self.directory.join("new");
        std::fs::write(&new, bytes)?;
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(mode))?;
        std::fs::rename(&new, self.program())?;
        self.inode()
    }
}

/// Which file a process runs.
pub fn program_of(process: &Process) -> TestResult<u64> {
    inode(Path::new(&format!("/proc/{}/exe", process.pid())))
}

/// Waits until so many workers run, and all of them this file.
pub fn wait_running(server: &TestServer, workers: u16, file: u64) -> TestResult {
    server.wait_for("all workers to run the program that was deployed", |server| {
        let running = server.workers();
        running.len() == usize::from(workers)
            && running.iter().all(|worker| program_of(worker).is_ok_and(|program| program == file))
    })
}

/// Fails unless every worker runs this file.
pub fn check_running(server: &TestServer, file: u64) -> TestResult {
    for worker in server.workers() {
        let program = program_of(&worker)?;
        check(program == file, format!("{worker} runs another program"))?;
    }
    Ok(())
}
