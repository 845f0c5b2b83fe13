//! The descriptor that lines go to.

use std::borrow::Cow;
use std::io;
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, write};
use rustix::time::Timespec;

use super::file::LogFile;
use super::line::LineFormat;
use super::record::cannot_append;
use crate::error::Result;
use crate::sys::file_prospect;

/// Longest line with its newline: PIPE_BUF, up to which a write into a pipe is never mixed with
/// another process's.
pub(super) const LINE_BYTES_MAX: usize = 4096;
/// Longest text that the number of suppressed lines takes in a line.
pub(super) const SUPPRESSED_BYTES_MAX: usize = 36;

/// Writes whole lines, or counts them.
pub(super) struct Sink {
    target: Target,
    /// Lines that did not fit and have not been reported yet.
    suppressed: AtomicU64,
    /// Form of the lines.
    format: LineFormat,
    /// Standard error was told that the file takes no lines.
    told: AtomicBool,
}

enum Target {
    /// Descriptor 2, which belongs to nobody. Its flags stay as they are: they are shared with
    /// whoever gave it to us. Even without O_APPEND lines of different processes do not overwrite
    /// each other, because all share one file offset.
    StandardError,
    /// The log file, opened with O_APPEND.
    File(LogFile),
}

impl Sink {
    pub(super) fn standard_error() -> Self {
        Self::new(Target::StandardError)
    }

    /// Opens `path` for appending, see [`LogFile`].
    pub(super) fn append_to(path: &Path) -> Result<Self> {
        let file =
            LogFile::open(path).map_err(|errno| cannot_append("log_file", path, errno.into()))?;
        Ok(Self::new(Target::File(file)))
    }

    /// Appends to a file that another process of the server has opened.
    pub(super) fn adopt(descriptor: OwnedFd, path: &Path) -> io::Result<Self> {
        Ok(Self::new(Target::File(LogFile::adopt(descriptor, path)?)))
    }

    /// The log file and where it is; `None` for standard error.
    pub(super) fn file(&self) -> Option<(BorrowedFd<'_>, &Path)> {
        match &self.target {
            Target::StandardError => None,
            Target::File(file) => Some((file.as_fd(), file.path())),
        }
    }

    /// The file was rotated: goes on in the one that its name means, and makes that if need be.
    pub(super) fn reopen(&self) -> io::Result<()> {
        match &self.target {
            Target::StandardError => Ok(()),
            Target::File(file) => Ok(file.reopen()?),
        }
    }

    /// Whether `path` can be opened for appending, or made, as far as one can know without doing
    /// so.
    pub(super) fn check(path: &Path) -> Result<()> {
        file_prospect::can_append(path).map_err(|error| cannot_append("log_file", path, error))
    }

    fn new(target: Target) -> Self {
        Self {
            target,
            suppressed: AtomicU64::new(0),
            format: LineFormat::Text { colour: false },
            told: AtomicBool::new(false),
        }
    }

    /// The same for lines of another form.
    pub(super) fn with_format(self, format: LineFormat) -> Self {
        Self { format, ..self }
    }

    /// Form of the lines.
    pub(super) const fn format(&self) -> LineFormat {
        self.format
    }

    /// Whether somebody looks at the lines on a terminal that shows colours.
    pub(super) fn wants_colour(&self) -> bool {
        use std::io::IsTerminal as _;
        let is_terminal = match &self.target {
            Target::StandardError => std::io::stderr().is_terminal(),
            Target::File(_) => false,
        };
        // https://no-color.org
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        is_terminal
            && !is_set("NO_COLOR")
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
    }

    /// The descriptor of the log file; `None` for standard error, which belongs to nobody.
    pub(super) fn file_descriptor(&self) -> Option<RawFd> {
        match &self.target {
            Target::StandardError => None,
            Target::File(file) => Some(file.raw()),
        }
    }

    /// Drops the count of lines that did not fit.
    pub(super) fn forget_suppressed(&self) {
        self.suppressed.store(0, Ordering::Relaxed);
    }

    /// Writes one line, which ends with its newline, in one `write(2)`, or counts it as suppressed.
    ///
    /// It asks with `poll` first and does not wait. For a pipe "writable" means that PIPE_BUF bytes
    /// fit. One race stays: another process may fill the pipe between the two calls, and then this
    /// one waits until the reader takes a line. O_NONBLOCK would end that, but would change the
    /// descriptor for everyone who shares it.
    ///
    /// A file that was rotated since the last line is followed first. One that cannot be opened (by
    /// a worker of another user, say) is told once, and the old one gets the lines.
    pub(super) fn write_line(&self, line: &[u8]) {
        if let Target::File(file) = &self.target
            && let Err(errno) = file.follow()
        {
            let text = "a process cannot open the file that has its name now, and goes on in the \
                        old one: allow its user to write there";
            self.tell_once(text, errno);
        }
        if !self.has_room() {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let suppressed = self.suppressed.swap(0, Ordering::Relaxed);
        let line = match self.format {
            LineFormat::Json => finished_json(line, suppressed),
            LineFormat::Text { .. } | LineFormat::Journald => finished(line, suppressed),
        };
        if !self.write_once(&line) {
            self.suppressed.fetch_add(suppressed.saturating_add(1), Ordering::Relaxed);
        }
    }

    fn write_once(&self, line: &[u8]) -> bool {
        loop {
            match write(self.as_fd(), line) {
                // A part (the disk is full, say) is not repeated: the rest would land behind other
                // lines.
                Ok(_) => return true,
                Err(Errno::INTR) => {}
                Err(errno) => {
                    self.tell_of_failure(errno);
                    return false;
                }
            }
        }
    }

    /// The file takes no lines.
    fn tell_of_failure(&self, errno: Errno) {
        let advice = match errno {
            Errno::FBIG => "raise the limit of file sizes (ulimit -f), or rotate the file",
            Errno::NOSPC | Errno::DQUOT => "make room on its disk",
            _ => "see to the file system it lies on",
        };
        self.tell_once(&format!("no line can be written: {advice}"), errno);
    }

    /// Standard error hears of trouble with the file, once from each process.
    fn tell_once(&self, text: &str, errno: Errno) {
        let is_file = matches!(self.target, Target::File(_));
        if is_file && !self.told.swap(true, Ordering::Relaxed) {
            let text = format!("the option log_file: {text} ({errno})\n");
            Self::standard_error().write_line(text.as_bytes());
        }
    }

    fn has_room(&self) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.as_fd(), PollFlags::OUT)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        // A reader that is gone (ERR) is no room: the write would only raise SIGPIPE.
        match poll(&mut fds, Some(&now)) {
            Ok(_) => fds.iter().all(|fd| fd.revents() == PollFlags::OUT),
            Err(_) => false,
        }
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.target {
            Target::StandardError => rustix::stdio::stderr(),
            Target::File(fd) => fd.as_fd(),
        }
    }
}

/// The line as it is written: with the number of suppressed lines, if any, and cut to
/// [`LINE_BYTES_MAX`].
fn finished(line: &[u8], suppressed: u64) -> Cow<'_, [u8]> {
    if suppressed == 0 && line.len() <= LINE_BYTES_MAX {
        return Cow::Borrowed(line);
    }
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let mut tail = Vec::new();
    if suppressed > 0 {
        // Writing into a Vec cannot fail.
        let _ = write!(tail, " suppressed={suppressed}");
    }
    tail.push(b'\n');
    let room = LINE_BYTES_MAX - tail.len();
    if text.len() <= room {
        return Cow::Owned([text, &tail].concat());
    }
    let marker = format!(" ...cut, {} bytes", text.len());
    let kept = text.get(..room - marker.len()).unwrap_or_default();
    Cow::Owned([whole_characters(kept), marker.as_bytes(), &tail].concat())
}

/// The same for a JSON object, which was made to fit.
fn finished_json(line: &[u8], suppressed: u64) -> Cow<'_, [u8]> {
    match line.strip_suffix(b"}\n") {
        Some(object) if suppressed > 0 => {
            let tail = format!(",\"suppressed\":{suppressed}}}\n");
            Cow::Owned([object, tail.as_bytes()].concat())
        }
        _ => Cow::Borrowed(line),
    }
}

/// `text` without the character that was cut in two at its end.
fn whole_characters(text: &[u8]) -> &[u8] {
    match std::str::from_utf8(text) {
        Ok(_) => text,
        Err(error) => text.get(..error.valid_up_to()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
    use std::io::Read as _;

    /// A sink into a pipe of one page, and the pipe's end to read from.
    fn small_pipe() -> (Sink, std::fs::File) {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        fcntl_setpipe_size(&write, 4096).unwrap();
        (Sink::new(Target::File(LogFile::nameless(write))), read.into())
    }

    fn read_some(pipe: &mut std::fs::File) -> String {
        let mut buffer = vec![0; 65_536];
        let len = pipe.read(&mut buffer).unwrap();
        String::from_utf8(buffer[..len].to_vec()).unwrap()
    }

    #[test]
    fn log_never_waits_for_a_full_pipe_and_reports_what_it_suppressed() {
        let (sink, mut pipe) = small_pipe();
        let line = format!("{}\n", "x".repeat(3000));
        sink.write_line(line.as_bytes());
        for _ in 0..3 {
            sink.write_line(b"lost\n");
        }
        assert_eq!(read_some(&mut pipe), line);
        sink.write_line(b"found\n");
        sink.write_line(b"next\n");
        drop(sink);
        let mut rest = String::new();
        pipe.read_to_string(&mut rest).unwrap();
        assert_eq!(
            rest, "found suppressed=3\n",
            "the pipe of one page holds one write, so `next` was suppressed"
        );
    }

    #[test]
    fn log_survives_a_reader_that_is_gone() {
        let (sink, pipe) = small_pipe();
        drop(pipe);
        sink.write_line(b"to nobody\n");
        sink.write_line(b"to nobody\n");
        assert_eq!(sink.suppressed.load(Ordering::Relaxed), 2);
        sink.forget_suppressed();
        assert_eq!(sink.suppressed.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn log_counts_lines_that_the_file_refused() {
        let sink = Sink::append_to(Path::new("/dev/full")).unwrap();
        sink.write_line(b"no space\n");
        sink.write_line(b"no space\n");
        assert_eq!(sink.suppressed.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn log_cuts_long_lines_between_characters_and_says_so() {
        for padding in 0..4 {
            let line = format!("{}{}\n", "a".repeat(padding), "ü€".repeat(2000));
            for suppressed in [0, 7] {
                let out =
                    String::from_utf8(finished(line.as_bytes(), suppressed).into_owned()).unwrap();
                assert!(out.len() <= LINE_BYTES_MAX && out.len() > LINE_BYTES_MAX - 8);
                let mut end = format!(" ...cut, {} bytes", line.len() - 1);
                if suppressed > 0 {
                    end.push_str(" suppressed=7");
                }
                assert!(out.ends_with(&format!("{end}\n")), "{out}");
            }
        }
    }

    #[test]
    fn log_file_is_checked_without_making_it() {
        let directory = std::env::temp_dir().join(format!("ostler-check-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let (new, there) = (directory.join("new"), directory.join("there"));
        std::fs::write(&there, "a line\n").unwrap();
        Sink::check(&new).unwrap();
        Sink::check(&there).unwrap();
        assert!(!new.exists());
        for wrong in [&directory, &directory.join("no/file"), &there.join("file")] {
            let error = Sink::check(wrong).unwrap_err();
            assert!(error.is_option() && error.to_string().contains("`log_file`"), "{error}");
        }
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn log_counts_suppressed_lines_inside_the_json_object() {
        assert_eq!(finished_json(b"{\"a\":1}\n", 0).as_ref(), b"{\"a\":1}\n");
        let most = finished_json(b"{\"a\":1}\n", u64::MAX);
        assert_eq!(most.as_ref(), b"{\"a\":1,\"suppressed\":18446744073709551615}\n".as_slice());
        assert!(most.len() <= b"{\"a\":1}\n".len() + SUPPRESSED_BYTES_MAX);
    }

    #[test]
    fn log_leaves_lines_alone_that_just_fit() {
        let line = [vec![b'a'; LINE_BYTES_MAX - 1], vec![b'\n']].concat();
        assert_eq!(finished(&line, 0), line.as_slice());
        let out = finished(&line, 1).into_owned();
        assert_eq!(out.len(), LINE_BYTES_MAX);
        assert!(out.ends_with(b" suppressed=1\n"));
    }

    #[test]
    fn log_lines_of_many_writers_are_never_mixed() {
        let path = std::env::temp_dir().join(format!("ostler-sink-{}", std::process::id()));
        std::thread::scope(|scope| {
            for letter in ["a", "b", "c", "d"] {
                let path = &path;
                scope.spawn(move || {
                    let sink = Sink::append_to(path).unwrap();
                    let line = format!("{}\n", letter.repeat(1000));
                    (0..200).for_each(|_| sink.write_line(line.as_bytes()));
                });
            }
        });
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(text.lines().count(), 800);
        for line in text.lines() {
            assert!(
                line.len() == 1000 && line.bytes().all(|byte| Some(byte) == line.bytes().next())
            );
        }
    }
}
