//! The programs of a server whose workers are started by exec: which one a worker runs.
//!
//! A descriptor of the program that was accepted last is kept, at first that of the server itself.
//! Whoever dies is replaced by it, whatever lies on disk by then: a deploy that is half done, or
//! wrong, is no crash loop. A reload opens the path anew and tries what it finds; when every worker
//! runs that, it is the accepted one.
//! (`docs/decisions/40-deploys-by-exec.md`)

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use ostler_core::program_file::{self, HEAD_BYTES, Head};
use ostler_core::supervisor::Code;

use crate::error::{Error, Result};
use crate::sys::program;

/// This process's own program, whatever its path means by now.
const OWN: &str = "/proc/self/exe";

/// How a server starts workers by exec: the same for all its managers.
#[derive(Debug)]
pub(crate) struct ExecSetup {
    /// Where a reload finds the program.
    path: PathBuf,
    /// How programs of this machine begin.
    own_head: Head,
    /// The program of this process.
    own: OwnedFd,
    /// What the master lays down for all workers.
    pub(crate) charter: OwnedFd,
}

impl ExecSetup {
    /// For the master.
    pub(crate) fn new(path: PathBuf, charter: OwnedFd) -> io::Result<Self> {
        let own = program::open(Path::new(OWN))?;
        let own_head = head_of(&own)?;
        Ok(Self { path, own_head, own, charter })
    }

    /// The program of the server itself, which is accepted at first.
    pub(super) fn own_program(&self) -> io::Result<OwnedFd> {
        self.own.try_clone()
    }
}

/// The programs that a manager starts workers from.
#[derive(Debug)]
pub(super) struct Programs<'setup> {
    setup: &'setup ExecSetup,
    accepted: OwnedFd,
    /// What the reload under way has found.
    candidate: Option<OwnedFd>,
}

impl<'setup> Programs<'setup> {
    pub(super) fn new(setup: &'setup ExecSetup, accepted: OwnedFd) -> Self {
        Self { setup, accepted, candidate: None }
    }

    /// The program for a start. All starts of one reload get the file that its first one found.
    ///
    /// # Errors
    /// When the file that lies on disk is no program that could be started; the text says why.
    pub(super) fn of(&mut self, code: Code) -> std::result::Result<&OwnedFd, String> {
        match code {
            Code::Accepted => Ok(&self.accepted),
            Code::Candidate => {
                if self.candidate.is_none() {
                    self.candidate = Some(open_checked(&self.setup.path, &self.setup.own_head)?);
                }
                Ok(self.candidate.as_ref().unwrap_or(&self.accepted))
            }
        }
    }

    /// The program that was accepted last, for the spare.
    pub(super) fn accepted(&self) -> &OwnedFd {
        &self.accepted
    }

    /// A reload is over. Returns whether another file is accepted from now on.
    pub(super) fn reload_over(&mut self, done: bool) -> bool {
        match self.candidate.take() {
            Some(candidate) if done => {
                let is_other = !program::is_same_file(&candidate, &self.accepted);
                self.accepted = candidate;
                is_other
            }
            _ => false,
        }
    }
}

fn head_of(file: &OwnedFd) -> io::Result<Head> {
    let mut head = [0; HEAD_BYTES];
    match program::read_at(file, 0, &mut head)? {
        true => Ok(head),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Looks whether a program could be started beside this one: it is one of this machine, and whole.
pub(crate) fn check_program(path: &Path) -> std::result::Result<(), String> {
    let own = program::open(Path::new(OWN)).and_then(|own| head_of(&own));
    let own_head = own.map_err(|error| format!("{OWN}: {error}"))?;
    open_checked(path, &own_head).map(drop)
}

/// Opens a program and looks whether it is one, and whole.
fn open_checked(path: &Path, own_head: &Head) -> std::result::Result<OwnedFd, String> {
    let shown = path.display();
    let file = program::open(path).map_err(|error| format!("{shown}: {error}"))?;
    let length = program::length(&file).map_err(|error| format!("{shown}: {error}"))?;
    // What may be executed and not read is for the kernel to judge.
    if program::read_at(&file, 0, &mut [0]).is_err() {
        return Ok(file);
    }
    let read = |at, into: &mut [u8]| program::read_at(&file, at, into).unwrap_or(false);
    match program_file::check(read, length, own_head) {
        Ok(()) => Ok(file),
        Err(flaw) => Err(format!("{shown}: {flaw}")),
    }
}

/// Finds out where a reload will find the program: where the option says, or under the path by
/// which this process was started. That follows a link that a deploy switches, which the path of
/// `/proc/self/exe` does not.
///
/// # Errors
/// When neither says anything, or the option names what is no program.
pub(crate) fn locate(option: &str) -> Result<PathBuf> {
    let fail = |error| Error::start("cannot find out which program this is", Some(error));
    let own = program::open(Path::new(OWN)).map_err(fail)?;
    if !option.is_empty() {
        let path = std::path::absolute(option).map_err(fail)?;
        let head = head_of(&own).map_err(fail)?;
        return match open_checked(&path, &head) {
            Ok(_) => Ok(path),
            Err(problem) => {
                Err(Error::option(format!("option `program` cannot be `{option}`: {problem}")))
            }
        };
    }
    let started_as = program::started_as().and_then(|path| lasting(&path, &own));
    let path = started_as.or_else(|| std::fs::read_link(OWN).ok().filter(|path| path.exists()));
    path.ok_or_else(|| {
        Error::option(
            "`start = exec` needs to know where the program lies, and this one was started from a \
             file that has no path any more: set `program` to the path at which it is deployed",
        )
    })
}

/// The path by which a program was started, absolute, if it will still say something later.
fn lasting(path: &Path, own: &OwnedFd) -> Option<PathBuf> {
    if path.starts_with("/proc") || path.starts_with("/dev") {
        return None;
    }
    if path.is_absolute() {
        return Some(path.to_owned());
    }
    // The program may have changed its directory since.
    let path = std::path::absolute(path).ok()?;
    let is_own = program::open(&path).is_ok_and(|file| program::is_same_file(&file, own));
    is_own.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("ostler-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        path
    }

    #[test]
    fn who_dies_is_replaced_by_what_was_accepted_whatever_lies_on_disk() {
        let directory = directory("programs");
        let path = directory.join("program");
        std::fs::copy(OWN, &path).unwrap();
        let charter = crate::sys::eventfd::create().unwrap();
        let setup = ExecSetup::new(path.clone(), charter).unwrap();
        let mut programs = Programs::new(&setup, setup.own_program().unwrap());
        let own = setup.own_program().unwrap();
        assert!(program::is_same_file(programs.of(Code::Accepted).unwrap(), &own));

        let found = programs.of(Code::Candidate).unwrap().try_clone().unwrap();
        assert!(!program::is_same_file(&found, &own));
        // What lies there meanwhile is another reload's.
        std::fs::remove_file(&path).unwrap();
        assert!(program::is_same_file(programs.of(Code::Candidate).unwrap(), &found));
        assert!(program::is_same_file(programs.of(Code::Accepted).unwrap(), &own));
        assert!(programs.reload_over(true));
        assert!(program::is_same_file(programs.of(Code::Accepted).unwrap(), &found));

        assert!(programs.of(Code::Candidate).unwrap_err().contains("No such file"));
        assert!(!programs.reload_over(false));
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        assert!(programs.of(Code::Candidate).unwrap_err().contains("a script"));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(programs.of(Code::Candidate).unwrap_err().contains("directory"));
        assert!(program::is_same_file(programs.of(Code::Accepted).unwrap(), &found));
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_program_is_found_where_it_was_started_or_where_the_option_says() {
        let own = std::fs::read_link(OWN).unwrap();
        assert_eq!(locate("").unwrap().file_name(), own.file_name());
        assert_eq!(locate(own.to_str().unwrap()).unwrap(), own);
        let error = locate("/nonexistent/program").unwrap_err();
        assert!(error.is_option() && error.to_string().contains("`program` cannot be"), "{error}");
        let own = program::open(Path::new(OWN)).unwrap();
        assert_eq!(lasting(Path::new("/proc/self/fd/7"), &own), None);
        assert_eq!(lasting(Path::new("another"), &own), None);
        let absolute = Path::new("/srv/current/program");
        assert_eq!(lasting(absolute, &own).as_deref(), Some(absolute));
    }
}
