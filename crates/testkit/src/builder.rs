//! How a server is to be started.

use std::ffi::OsString;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

use crate::capture::Capture;
use crate::error::{TestError, TestResult};
use crate::leaks::{self, FileWatch};
use crate::log::Log;
use crate::process::Process;
use crate::procfs;
use crate::server::TestServer;
use crate::tree::{MARKER, Tree};
use crate::turn::Turn;
use crate::wait::{DEADLINE, LEAK_GRACE, poll_until, timed_out};

/// Where the examples are, when not beside the test.
const EXAMPLES: &str = "OSTLER_EXAMPLES";

/// The server's debug hook, see [`ServerBuilder::fault`].
const FAULT: &str = "OSTLER_FAULT";

/// What the first line on stdout begins with.
const LISTENING: &str = "listening on ";

/// A server about to be started. Made by [`TestServer::echo`] and its sisters.
#[derive(Debug)]
#[must_use = "nothing runs before `start`"]
pub struct ServerBuilder {
    program: Program,
    launcher: Vec<OsString>,
    settings: Vec<(String, String)>,
    arguments: Vec<OsString>,
    environment: Vec<(String, OsString)>,
    /// Whether other tests may run servers meanwhile.
    beside_others: bool,
    pub(crate) allowed: Vec<String>,
}

#[derive(Debug)]
enum Program {
    Example(&'static str),
    Path(PathBuf),
}

/// A process just started, with everything that watches it. Dropping it kills the tree.
pub(crate) struct Launched {
    pub(crate) child: Child,
    pub(crate) tree: Arc<Tree>,
    pub(crate) output: Capture,
    pub(crate) log: Log,
    pub(crate) files: FileWatch,
    /// Dropped last: when the next test has its turn, this server is gone.
    _turn: Option<Arc<Turn>>,
}

/// The address of `ADDRESS`, or of `tcp://ADDRESS (NAME)`.
fn first_address(text: &str) -> Option<SocketAddr> {
    let url = text.split_whitespace().next()?;
    url.split_once("://").map_or(url, |(_, address)| address).parse().ok()
}

impl ServerBuilder {
    /// An example, on a port that the kernel chooses: tests run beside each other and beside other
    /// servers.
    pub(crate) fn example(name: &'static str) -> Self {
        Self::new(Program::Example(name)).set("listen", "127.0.0.1:0")
    }

    pub(crate) fn path(path: &Path) -> Self {
        Self::new(Program::Path(path.to_owned()))
    }

    fn new(program: Program) -> Self {
        let settings = vec![("log_level".to_owned(), "info".to_owned())];
        let (launcher, arguments, environment, allowed) = Default::default();
        let beside_others = false;
        Self { program, launcher, settings, arguments, environment, beside_others, allowed }
    }

    /// `--set name=value`. A later value of the same name replaces the earlier.
    pub fn set(mut self, name: &str, value: impl Display) -> Self {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_string()));
        self
    }

    /// The level is not set: the server has its own default.
    pub fn default_log_level(self) -> Self {
        self.unset("log_level")
    }

    /// An option is not set on the command line, so that a weaker word counts.
    pub fn unset(mut self, name: &str) -> Self {
        self.settings.retain(|(known, _)| known != name);
        self
    }

    /// `--handler spec`: see `bench/instrument/src/behaviour.rs`.
    pub fn handler(self, spec: &str) -> Self {
        self.args(["--handler", spec])
    }

    /// Starts the server through a launcher: its program and first arguments, which the server's
    /// own command follows. It has to end in an `exec` of that command, so that the process stays
    /// the same.
    pub fn through<A: Into<OsString>>(mut self, launcher: impl IntoIterator<Item = A>) -> Self {
        self.launcher = launcher.into_iter().map(Into::into).collect();
        self
    }

    /// An environment variable of the server.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Further arguments, in order, after the settings.
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Lets a worker kill itself when it comes to a step of the lane protocol for the `nth` time:
    /// `T3`, `SEND`, `COMMIT`, ... (the server's debug hook, `OSTLER_FAULT=step:nth`).
    pub fn fault(self, step: &str, nth: u64) -> Self {
        self.env(FAULT, format!("{step}:{nth}"))
    }

    /// Lets other tests run servers meanwhile. For programs that neither measure nor need the
    /// machine for themselves; without this a server waits until those of all other tests are gone.
    pub fn beside_others(mut self) -> Self {
        self.beside_others = true;
        self
    }

    /// Lets WARN, ERROR and stray lines with this text through the final check of the log.
    ///
    /// Who expects workers to die (`died`, `worker died`) also expects that one may die before it
    /// is ready: the manager then says that it could not start.
    pub fn expect_log(mut self, text: &str) -> Self {
        if text == "died" || text == "worker died" {
            // Whoever kills workers may kill one that is not ready yet.
            self.allowed.push("worker could not start".to_owned());
            self.allowed.push("workers could not start".to_owned());
        }
        self.allowed.push(text.to_owned());
        self
    }

    /// Starts the server and waits until it says where it listens.
    ///
    /// # Errors
    /// When the program is missing, ends, or does not say so in time; the text has the log.
    pub fn start(self) -> TestResult<TestServer> {
        let mut launched = self.launch()?;
        let first = poll_until(DEADLINE, || {
            let first = launched.output.lines().into_iter().next();
            if first.is_some() {
                return Some(Ok(first));
            }
            // Asked before the stream: what the process wrote before its end must not be missed.
            match launched.child.try_wait() {
                Ok(Some(status)) => Some(Err(status)),
                _ => None,
            }
        });
        let line = match first {
            Some(Ok(line)) => line.unwrap_or_default(),
            Some(Err(status)) => return Err(launched.ended_early(status)),
            None => {
                let what = format!("a first line on stdout that begins with {LISTENING:?}");
                return Err(timed_out(&what, DEADLINE).with_tail(&launched.log));
            }
        };
        let address = line.strip_prefix(LISTENING).and_then(first_address);
        let address = address.ok_or_else(|| {
            let text =
                format!("the first line on stdout is {line:?}, not {LISTENING:?} and an address");
            TestError::new(text).with_tail(&launched.log)
        })?;
        Ok(TestServer::new(launched, address, self.allowed))
    }

    /// Starts a server that is to refuse: waits for its end and returns its exit code and what it
    /// wrote to stderr. Also checks that it left nothing behind.
    ///
    /// # Errors
    /// When it starts after all, ends by a signal, or leaves something behind.
    pub fn start_expecting_failure(self) -> TestResult<(i32, String)> {
        let mut launched = self.launch()?;
        let status = poll_until(DEADLINE, || launched.child.try_wait().ok().flatten());
        let Some(status) = status else {
            let said = launched.output.lines().join("\n");
            let text = format!("the server was to refuse, but runs and says {said:?}");
            return Err(TestError::new(text).with_tail(&launched.log));
        };
        if let Some(text) = leaks::leftover_processes(&launched.tree) {
            return Err(TestError::new(text).with_tail(&launched.log));
        }
        launched.log.wait_ended(LEAK_GRACE);
        if let Some(text) = launched.files.leftover_files(&launched.tree) {
            return Err(TestError::new(text).with_tail(&launched.log));
        }
        let code = status.code().ok_or_else(|| {
            TestError::new(format!("the server was to refuse, but: {status}"))
                .with_tail(&launched.log)
        })?;
        Ok((code, launched.log.lines().join("\n")))
    }

    fn launch(&self) -> TestResult<Launched> {
        let program = match &self.program {
            Program::Path(path) => path.clone(),
            Program::Example(name) => find_example(name)?,
        };
        let turn = if self.beside_others { None } else { Some(Turn::take(&examples()?)?) };
        let marker = leaks::unique_marker();
        let files = FileWatch::start(&marker)?;
        let mut command = match self.launcher.split_first() {
            Some((launcher, words)) => {
                let mut command = Command::new(launcher);
                command.args(words).arg(&program);
                command
            }
            None => Command::new(&program),
        };
        for (name, value) in &self.settings {
            command.arg("--set").arg(format!("{name}={value}"));
        }
        command.args(&self.arguments);
        command.env_remove(FAULT).env(MARKER, &marker).env("TMPDIR", files.temporary());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|error| {
            TestError::from(error).context(format!("cannot start {}", program.display()))
        })?;
        Launched::new(child, marker, files, turn)
    }
}

impl Launched {
    fn new(
        mut child: Child,
        marker: String,
        files: FileWatch,
        turn: Option<Arc<Turn>>,
    ) -> TestResult<Self> {
        // The child is not waited for before this, so its number is its own, be it alive or a
        // zombie.
        let process = procfs::stat(child.id()).as_ref().and_then(Process::hold);
        let Some(process) = process else {
            let killed = child.kill().and_then(|()| child.wait());
            return Err(TestError::new(format!("cannot take hold of the new server: {killed:?}")));
        };
        let tree = Arc::new(Tree::new(process, marker));
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        let mut launched = Self {
            child,
            tree,
            output: Capture::default(),
            log: Log::new(Capture::default()),
            files,
            _turn: turn,
        };
        if let (Some(output), Some(errors)) = (output, errors) {
            launched.output = Capture::start(output, "stdout")?;
            launched.log = Log::new(Capture::start(errors, "stderr")?);
        }
        Ok(launched)
    }

    fn ended_early(&self, status: ExitStatus) -> TestError {
        // Everything it wrote is in the pipes; the end of the stream follows when its children are
        // gone too.
        self.log.wait_ended(LEAK_GRACE);
        let text = format!("the server ended before it listened: {status}");
        TestError::new(text).with_tail(&self.log)
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        if !self.tree.kill_all(DEADLINE) {
            eprintln!("ostler-testkit: cannot kill\n{}", self.tree.describe());
        }
        // Reaps the zombie; after a kill this does not block.
        let _status = self.child.wait();
    }
}

/// The directory that has the examples; whoever holds its lock may run servers.
fn examples() -> TestResult<PathBuf> {
    if let Some(directory) = std::env::var_os(EXAMPLES) {
        return Ok(PathBuf::from(directory));
    }
    let test = std::env::current_exe()?;
    let profile = test.parent().and_then(Path::parent);
    Ok(profile.map(|profile| profile.join("examples")).unwrap_or_default())
}

/// Finds an example beside the running test: `target/PROFILE/deps/TEST` ->
/// `target/PROFILE/examples/NAME`.
pub(crate) fn find_example(name: &str) -> TestResult<PathBuf> {
    let directory = examples()?;
    let path = directory.join(name);
    if path.is_file() {
        return Ok(path);
    }
    let release = directory.parent().is_some_and(|profile| profile.ends_with("release"));
    let flag = if release { " --release" } else { "" };
    Err(TestError::new(format!(
        "there is no {}; build it with `cargo build -p ostler --example {name}{flag}`, \
         or point {EXAMPLES} to the directory that has it",
        path.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_example_names_the_command_that_builds_it() {
        let error = find_example("nonesuch").unwrap_err().to_string();
        assert!(error.contains("cargo build -p ostler --example nonesuch"), "{error}");
    }

    #[test]
    fn a_later_setting_replaces_the_earlier() {
        let builder = ServerBuilder::example("echo").set("workers", 2).set("log_level", "debug");
        let builder = builder.set("workers", 3);
        let list: Vec<String> =
            builder.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(list, ["listen=127.0.0.1:0", "log_level=debug", "workers=3"]);
    }
}
