//! The log file, which other programs rotate.
//!
//! Who rotates renames the file and then makes a new one under its name, or asks the server to make
//! it (HUP). Every process looks at the name before each line, and goes on in the new file when the
//! name means another one: so no process has to be told, none is asked while it works, and a line
//! is either in the old file or in the new one.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, open, stat};
use rustix::io::Errno;

use crate::sys::descriptor;

/// A file that is appended to, found again by its name.
pub(super) struct LogFile {
    /// Its number never changes: children are forked with it.
    descriptor: OwnedFd,
    /// Absolute, because user code may change the working directory.
    path: PathBuf,
    /// Which file it is. Written one after another: who reads between the two opens the file once
    /// more, which does no harm.
    device: AtomicU64,
    inode: AtomicU64,
}

impl LogFile {
    /// Opens `path` for appending; a new file can be read by the owner and the group.
    pub(super) fn open(path: &Path) -> Result<Self, Errno> {
        let descriptor = open_to_append(path, OFlags::CREATE)?;
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let this = fstat(&descriptor)?;
        let (device, inode) = (AtomicU64::new(this.st_dev), AtomicU64::new(this.st_ino));
        Ok(Self { descriptor, path, device, inode })
    }

    /// A file that another process of the server has opened.
    pub(super) fn adopt(descriptor: OwnedFd, path: &Path) -> Result<Self, Errno> {
        let this = fstat(&descriptor)?;
        let (device, inode) = (AtomicU64::new(this.st_dev), AtomicU64::new(this.st_ino));
        Ok(Self { descriptor, path: path.to_owned(), device, inode })
    }

    /// Where it is found again.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A descriptor without a name.
    #[cfg(test)]
    pub(super) fn nameless(descriptor: OwnedFd) -> Self {
        let (device, inode) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { descriptor, path: PathBuf::new(), device, inode }
    }

    pub(super) fn raw(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }

    /// Goes on in the file that the name means now, if that is another one. While the name means
    /// nothing the lines go to the old file: whoever moved it away may be about to make a new one,
    /// and must not find it made.
    pub(super) fn follow(&self) -> Result<(), Errno> {
        match stat(&self.path) {
            // Pipes and terminals are not rotated.
            Ok(named) if self.is_other_file(&named) => self.switch(OFlags::empty()),
            _ => Ok(()),
        }
    }

    /// The same, and makes the file if there is none.
    pub(super) fn reopen(&self) -> Result<(), Errno> {
        match stat(&self.path) {
            Ok(named) if !self.is_other_file(&named) => Ok(()),
            _ => self.switch(OFlags::CREATE),
        }
    }

    fn is_other_file(&self, named: &Stat) -> bool {
        let own = (self.device.load(Ordering::Relaxed), self.inode.load(Ordering::Relaxed));
        FileType::from_raw_mode(named.st_mode) == FileType::RegularFile
            && (named.st_dev, named.st_ino) != own
    }

    fn switch(&self, flags: OFlags) -> Result<(), Errno> {
        let new = open_to_append(&self.path, flags)?;
        let this = fstat(&new)?;
        // Where the program prints into the log (`daemonize`), that goes to the new file too.
        let own = (self.device.load(Ordering::Relaxed), self.inode.load(Ordering::Relaxed));
        let is_own = |stream: Result<Stat, Errno>| {
            stream.is_ok_and(|stream| (stream.st_dev, stream.st_ino) == own)
        };
        if is_own(fstat(rustix::stdio::stdout())) {
            rustix::stdio::dup2_stdout(&new)?;
        }
        if is_own(fstat(rustix::stdio::stderr())) {
            rustix::stdio::dup2_stderr(&new)?;
        }
        descriptor::redirect(&self.descriptor, new)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        self.device.store(this.st_dev, Ordering::Relaxed);
        self.inode.store(this.st_ino, Ordering::Relaxed);
        Ok(())
    }
}

impl AsFd for LogFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

fn open_to_append(path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let always = OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NOCTTY;
    open(path, always | flags, Mode::RUSR | Mode::WUSR | Mode::RGRP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn append(file: &LogFile, line: &str) {
        rustix::io::write(file, line.as_bytes()).unwrap();
    }

    #[test]
    fn log_file_is_followed_by_its_name_under_the_same_number() {
        let directory = std::env::temp_dir().join(format!("ostler-rotate-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let (name, old) = (directory.join("log"), directory.join("log.1"));
        let file = LogFile::open(&name).unwrap();
        let number = file.raw();
        append(&file, "first\n");

        fs::rename(&name, &old).unwrap();
        file.follow().unwrap();
        append(&file, "moved\n");
        assert!(!name.exists(), "whoever moved it makes it");
        fs::write(&name, "made\n").unwrap();
        file.follow().unwrap();
        append(&file, "followed\n");
        assert_eq!(fs::read_to_string(&old).unwrap(), "first\nmoved\n");
        assert_eq!(fs::read_to_string(&name).unwrap(), "made\nfollowed\n");

        fs::remove_file(&name).unwrap();
        file.reopen().unwrap();
        append(&file, "reopened\n");
        file.reopen().unwrap();
        append(&file, "again\n");
        assert_eq!(fs::read_to_string(&name).unwrap(), "reopened\nagain\n");
        assert_eq!(file.raw(), number);

        // What cannot be opened leaves everything as it was.
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(file.reopen(), Err(Errno::NOENT));
        append(&file, "still open\n");
    }

    /// What happens to the file that has the name, and to the log.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// A process of the server writes a line; there are two, each with the file opened.
        Line(usize),
        MoveAway,
        Make,
        Remove,
        /// A process was asked to make it anew.
        Reopen(usize),
    }

    fn step() -> impl proptest::strategy::Strategy<Value = Step> {
        use proptest::prelude::*;
        prop_oneof![
            6 => (0_usize..2).prop_map(Step::Line),
            2 => Just(Step::MoveAway),
            2 => Just(Step::Make),
            1 => Just(Step::Remove),
            2 => (0_usize..2).prop_map(Step::Reopen),
        ]
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            cases: 64, ..proptest::prelude::ProptestConfig::default()
        })]

        /// However files are moved away, made and removed: every line of every process is in the
        /// file that had the name when it was written, if there was one; and one request makes the
        /// log anew for all of them.
        #[test]
        fn s19_one_request_makes_the_log_anew_for_every_process(
            steps in proptest::collection::vec(step(), 1..40),
            case in proptest::prelude::any::<u64>(),
        ) {
            let place = format!("ostler-rotate-{}-{case}", std::process::id());
            let directory = std::env::temp_dir().join(place);
            fs::create_dir(&directory).unwrap();
            let name = directory.join("log");
            let files = [LogFile::open(&name).unwrap(), LogFile::open(&name).unwrap()];
            // What the file that has the name should have, if there is one.
            let mut named = Some(String::new());
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Line(process) => {
                        let line = format!("line {number}\n");
                        files[process].follow().unwrap();
                        append(&files[process], &line);
                        if let Some(text) = &mut named {
                            text.push_str(&line);
                        }
                    }
                    Step::MoveAway if named.take().is_some() => {
                        fs::rename(&name, directory.join(format!("log.{number}"))).unwrap();
                    }
                    Step::Remove if named.take().is_some() => fs::remove_file(&name).unwrap(),
                    Step::Make if named.is_none() => {
                        fs::write(&name, "").unwrap();
                        named = Some(String::new());
                    }
                    Step::Reopen(process) => {
                        files[process].reopen().unwrap();
                        named.get_or_insert_default();
                    }
                    Step::MoveAway | Step::Remove | Step::Make => {}
                }
                let is = fs::read_to_string(&name).ok();
                proptest::prop_assert_eq!(&is, &named, "after step {}", number);
            }
            fs::remove_dir_all(&directory).unwrap();
        }
    }
}
