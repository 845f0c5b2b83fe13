//! A program that is started beside this one, as from a shell.
#![allow(unsafe_code)]

use std::convert::Infallible;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::ptr;

use rustix::pipe::{PipeFlags, pipe_with};

use super::pidfd::PidFd;
use super::process::{self, ProcessId};
use super::{poll, signal};

/// Exit code of a process that could not become the program; its cause goes through a pipe.
const EXIT_NO_PROGRAM: i32 = 127;

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
    /// Our parent is its parent, too, and reaps it.
    pub(crate) as_sibling: bool,
}

/// A program that runs, or has ended.
#[derive(Debug)]
pub(crate) struct StartedProgram {
    pid: ProcessId,
    pidfd: PidFd,
}

impl StartedProgram {
    /// Its number. Of a sibling it may be another's by now, if it has ended.
    pub(crate) const fn pid(&self) -> ProcessId {
        self.pid
    }

    /// For signals and for its end. Who has it as a child reaps it by this.
    pub(crate) fn into_pidfd(self) -> PidFd {
        self.pidfd
    }
}

impl NewProgram<'_> {
    /// `clone(2)`, `execve(2)` — starts it, with the signals that the program itself had blocked.
    /// This thread has to be the one that holds signals, if any does.
    pub(crate) fn start(&self) -> io::Result<StartedProgram> {
        let image = Image::of(self)?;
        let (told, tells) = pipe_with(PipeFlags::CLOEXEC)?;
        let relation = if self.as_sibling { libc::CLONE_PARENT } else { 0 };
        let flags = i64::from(libc::CLONE_PIDFD | relation | libc::SIGCHLD);
        let mut pidfd: RawFd = -1;
        // SAFETY: without a stack of its own and without CLONE_VM this is a fork. What runs in the
        // child before it becomes the program allocates nothing and takes no lock: it calls
        // `sigaction`, `sigprocmask`, `fcntl`, `chdir`, `execve`, `write` and `_exit` only, which
        // may be called there (signal-safety(7)). The kernel writes the descriptor.
        let pid =
            unsafe { libc::syscall(libc::SYS_clone, flags, 0_i64, &raw mut pidfd, 0_i64, 0_i64) };
        match pid {
            ..0 => return Err(io::Error::last_os_error()),
            0 => image.run(self.passed.as_raw_fd(), tells.as_raw_fd()),
            _ => drop(tells),
        }
        // SAFETY: the kernel has just opened it for us.
        let pidfd = PidFd::from_descriptor(unsafe { OwnedFd::from_raw_fd(pidfd) });
        let mut cause = [0; 4];
        if std::fs::File::from(told).read_exact(&mut cause).is_ok() {
            poll::wait_readable([pidfd.as_fd()], None)?;
            // A sibling is reaped by our parent.
            let _ = pidfd.try_reap();
            return Err(self.cause_of(io::Error::from_raw_os_error(i32::from_ne_bytes(cause))));
        }
        let pid = i32::try_from(pid).ok().and_then(ProcessId::new);
        Ok(StartedProgram { pid: pid.ok_or(io::ErrorKind::InvalidData)?, pidfd })
    }

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

/// What the kernel is told, made before the fork.
struct Image {
    path: CString,
    directory: Option<CString>,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
    /// What both point to.
    _texts: [Vec<CString>; 2],
}

impl Image {
    fn of(program: &NewProgram<'_>) -> io::Result<Self> {
        let text = |text: &OsStr| Ok::<_, io::Error>(CString::new(text.as_bytes())?);
        let own_name = [program.path.as_os_str()];
        let words = program.arguments.iter().map(OsString::as_os_str);
        let own_name = own_name.into_iter().take(usize::from(program.arguments.is_empty()));
        let arguments: Vec<_> = own_name.chain(words).map(text).collect::<io::Result<_>>()?;
        let is_passed = |name: &OsStr| {
            name != program.variable && !program.without.iter().any(|without| name == *without)
        };
        let mut environment = Vec::new();
        for (mut entry, value) in std::env::vars_os().filter(|(name, _)| is_passed(name)) {
            entry.push("=");
            entry.push(value);
            environment.push(CString::new(entry.into_vec())?);
        }
        let passed = program.passed.as_raw_fd();
        environment.push(CString::new(format!("{}={passed}", program.variable))?);
        let pointers = |texts: &[CString]| -> Vec<*const libc::c_char> {
            texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
        };
        let (argv, envp) = (pointers(&arguments), pointers(&environment));
        let directory = program.directory.map(|path| text(path.as_os_str())).transpose()?;
        let path = text(program.path.as_os_str())?;
        Ok(Self { path, directory, argv, envp, _texts: [arguments, environment] })
    }

    /// In the new process: becomes the program, or tells why not and ends.
    fn run(&self, passed: RawFd, tells: RawFd) -> ! {
        let Err(error) = self.become_program(passed);
        let cause = error.raw_os_error().unwrap_or(libc::EINVAL).to_ne_bytes();
        // SAFETY: four bytes that are there, to a descriptor that is open.
        unsafe { libc::write(tells, cause.as_ptr().cast(), cause.len()) };
        process::exit_immediately(EXIT_NO_PROGRAM)
    }

    fn become_program(&self, passed: RawFd) -> io::Result<Infallible> {
        signal::restore_default(&signal::MANAGED)?;
        // Rust ignores it in every program.
        signal::restore_default(&[libc::SIGPIPE])?;
        signal::let_go()?;
        // SAFETY: changes a flag of a descriptor that is open: whoever starts the program borrows
        // it.
        if unsafe { libc::fcntl(passed, libc::F_SETFD, 0) } < 0 {
            return Err(io::Error::last_os_error());
        }
        if let Some(directory) = self.directory.as_deref().map(CStr::as_ptr) {
            // SAFETY: a terminated text.
            if unsafe { libc::chdir(directory) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        // SAFETY: terminated texts and lists of such that `self` owns.
        unsafe { libc::execve(self.path.as_ptr(), self.argv.as_ptr(), self.envp.as_ptr()) };
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::eventfd;
    use crate::sys::pidfd::Exit;
    use crate::sys::process::in_forked_test;

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
            as_sibling: false,
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
            as_sibling: false,
        };
        let child = program.start().unwrap().into_pidfd();
        poll::wait_readable([child.as_fd()], None).unwrap();
        assert_eq!(child.try_reap().unwrap(), Some(Exit::Code(7)));
        // Without `exec` some shells sleep in a child, which a kill of the shell leaves behind.
        let (script, started) = ("exec sleep 300", &program);
        let arguments = ["sh", "-c", script].map(OsString::from);
        let endless = NewProgram { arguments: &arguments, ..*started }.start().unwrap();
        let child = endless.into_pidfd();
        child.kill().unwrap();
        poll::wait_readable([child.as_fd()], None).unwrap();
        assert!(matches!(child.try_reap().unwrap(), Some(Exit::Signal { .. })));
        let nobody = NewProgram { path: Path::new("/nonexistent/program"), ..program };
        assert_eq!(nobody.start().unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    /// A service manager takes only its own children for what they are.
    #[test]
    fn a_sibling_is_a_child_of_our_parent_and_not_ours() {
        in_forked_test(|| {
            let mine = eventfd::create().unwrap();
            let arguments = ["sh", "-c", "exit 3"].map(OsString::from);
            let program = NewProgram {
                path: Path::new("/bin/sh"),
                arguments: &arguments,
                directory: None,
                passed: mine.as_fd(),
                variable: "LEFT",
                without: &[],
                as_sibling: true,
            };
            let started = program.start().unwrap();
            let pid = started.pid();
            let sibling = started.into_pidfd();
            poll::wait_readable([sibling.as_fd()], None).unwrap();
            let error = sibling.try_reap().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ECHILD));
            // The test's own process leaves it as it is.
            assert_eq!(process::parent_of(pid).unwrap(), process::parent());
            let nobody = NewProgram { path: Path::new("/nonexistent/program"), ..program };
            assert_eq!(nobody.start().unwrap_err().kind(), io::ErrorKind::NotFound);
        });
    }
}
