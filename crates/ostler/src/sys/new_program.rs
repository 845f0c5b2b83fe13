//! A program that is started beside this one, as from a shell.
#![allow(unsafe_code)]

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};

use super::process::ProcessId;
use super::signal;

/// What is started.
#[derive(Debug)]
pub(crate) struct NewProgram<'caller> {
    /// Where it lies.
    pub(crate) path: &'caller Path,
    /// Its words, from its own name on.
    pub(crate) arguments: &'caller [OsString],
    /// Where it begins; as here if there is none.
    pub(crate) directory: Option<&'caller Path>,
    /// What it has besides the standard streams.
    pub(crate) passed: BorrowedFd<'caller>,
    /// The variable that has the number of this descriptor.
    pub(crate) variable: &'caller str,
    /// Variables that it does not get.
    pub(crate) without: &'caller [&'caller str],
}

/// A program that runs, or has ended and was not reaped.
#[derive(Debug)]
pub(crate) struct StartedProgram {
    child: Child,
    pid: ProcessId,
}

impl StartedProgram {
    /// Its number, which is its until it is reaped.
    pub(crate) const fn pid(&self) -> ProcessId {
        self.pid
    }

    /// `kill(2)` — ends it. It still has to be reaped.
    pub(crate) fn kill(mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
    }
}

impl NewProgram<'_> {
    /// `fork(2)`, `execve(2)` — starts it, with the signals that the program itself had blocked.
    /// This thread has to be the one that holds signals, if any does.
    pub(crate) fn start(&self) -> io::Result<StartedProgram> {
        let passed = self.passed.as_raw_fd();
        let mut command = Command::new(self.path);
        if let Some((own_name, others)) = self.arguments.split_first() {
            command.arg0(own_name).args(others);
        }
        if let Some(directory) = self.directory {
            command.current_dir(directory);
        }
        self.without.iter().for_each(|name| {
            command.env_remove(name);
        });
        command.env(self.variable, passed.to_string());
        // SAFETY: what runs between fork and exec allocates nothing and takes no lock: it calls
        // `sigaction`, `sigprocmask` and `fcntl` only, which may be called there
        // (signal-safety(7)).
        unsafe { command.pre_exec(move || prepare(passed)) };
        let child = command.spawn().map_err(|error| self.cause_of(error))?;
        let pid = i32::try_from(child.id()).ok().and_then(ProcessId::new);
        let pid = pid.ok_or(io::ErrorKind::InvalidData)?;
        Ok(StartedProgram { child, pid })
    }
}

impl NewProgram<'_> {
    /// What is wrong with the directory in which it would run is told of that, and not of the
    /// program.
    fn cause_of(&self, error: io::Error) -> io::Error {
        let enters = |directory| rustix::fs::access(directory, rustix::fs::Access::EXEC_OK);
        match self.directory.map(|directory| (directory, enters(directory))) {
            Some((directory, Err(why))) => {
                let (directory, why) = (directory.display(), io::Error::from(why));
                let text = format!("it cannot run in the directory `{directory}`: {why}");
                io::Error::new(error.kind(), text)
            }
            _ => error,
        }
    }
}

fn prepare(passed: RawFd) -> io::Result<()> {
    signal::restore_default(&signal::MANAGED)?;
    signal::let_go()?;
    // SAFETY: changes a flag of a descriptor that is open: whoever starts the program borrows it.
    match unsafe { libc::fcntl(passed, libc::F_SETFD, 0) } {
        ..0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::pidfd::{Exit, PidFd};
    use crate::sys::{eventfd, poll};
    use std::os::fd::AsFd as _;

    #[test]
    fn a_directory_that_cannot_be_entered_is_told_and_not_the_program() {
        let mine = eventfd::create().unwrap();
        let program = NewProgram {
            path: Path::new("/bin/sh"),
            arguments: &[],
            directory: Some(Path::new("/nowhere/at/all")),
            passed: mine.as_fd(),
            variable: "LEFT",
            without: &[],
        };
        let error = program.start().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let text = "it cannot run in the directory `/nowhere/at/all`: No such file or directory";
        assert!(error.to_string().starts_with(text), "{error}");
        let elsewhere = NewProgram { path: Path::new("/nowhere"), directory: None, ..program };
        assert!(!elsewhere.start().unwrap_err().to_string().contains("directory `"));
    }

    #[test]
    fn a_program_gets_its_words_its_place_and_one_descriptor() {
        let (mine, other) = (eventfd::create().unwrap(), eventfd::create().unwrap());
        let script = format!(
            "test \"$0 $1\" = 'name one' && test \"$PWD\" = / && test -e /proc/self/fd/$LEFT && \
             test -z \"$HOME\" && ! test -e /proc/self/fd/{} && exit 7",
            other.as_raw_fd()
        );
        let arguments = ["sh", "-c", &script, "name", "one"].map(OsString::from);
        let program = NewProgram {
            path: Path::new("/bin/sh"),
            arguments: &arguments,
            directory: Some(Path::new("/")),
            passed: mine.as_fd(),
            variable: "LEFT",
            without: &["HOME"],
        };
        let child = PidFd::open(program.start().unwrap().pid()).unwrap();
        poll::wait_readable([child.as_fd()], None).unwrap();
        assert_eq!(child.try_reap().unwrap(), Some(Exit::Code(7)));
        // Without `exec` some shells sleep in a child, which a kill of the shell leaves behind.
        let (script, started) = ("exec sleep 300", &program);
        let arguments = ["sh", "-c", script].map(OsString::from);
        let endless = NewProgram { arguments: &arguments, ..*started }.start().unwrap();
        let child = PidFd::open(endless.pid()).unwrap();
        endless.kill();
        poll::wait_readable([child.as_fd()], None).unwrap();
        assert!(matches!(child.try_reap().unwrap(), Some(Exit::Signal { .. })));
        let nobody = NewProgram { path: Path::new("/nonexistent/program"), ..program };
        assert_eq!(nobody.start().unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
