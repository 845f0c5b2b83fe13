//! Records: what is told of one event in many words, as a line, an object, or a text of several
//! lines, in the log or in a file of its own.

use std::fmt::{self, Display, Write as _};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use super::fields::Fields;
use super::label;
use crate::error::{Error, Result};
use crate::options::LogFormat;
use crate::sys::{clock, file_prospect};

/// Bytes of one record in a file: more is no text that anybody reads.
const RECORD_BYTES_MAX: usize = 64 * 1024;

/// One event, with the stack that it had.
#[derive(Default)]
pub(crate) struct Record {
    fields: Fields,
    stack: Vec<String>,
}

impl Record {
    pub(crate) fn new(message: &str) -> Self {
        let mut fields = Fields::default();
        fields.set_message(message);
        Self { fields, stack: Vec::new() }
    }

    /// A field that is a text. `None`: it has none.
    pub(crate) fn text(&mut self, name: &'static str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.fields.push(name, &value.to_string());
        }
    }

    /// A field that is a number or a truth value.
    pub(crate) fn bare(&mut self, name: &'static str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.fields.push_bare(name, value);
        }
    }

    /// The record as a JSON object, without a stack.
    pub(crate) fn as_object(&self) -> String {
        let mut out = String::new();
        // A text takes everything.
        let _ = self.write_members(&mut out);
        out.push('}');
        out
    }

    fn write_members(&self, out: &mut String) -> fmt::Result {
        let (time, process) = (clock::local(), label::current());
        write!(out, "{{\"time\":\"{time}\",\"process\":\"{process}\"")?;
        self.fields.write_json(out)
    }

    /// The stack, the innermost frame first.
    pub(crate) fn stack(&mut self, frames: impl Iterator<Item = String>) {
        self.stack = frames.collect();
    }

    fn write(&self, format: LogFormat) -> std::result::Result<String, fmt::Error> {
        let (mut out, time, process) = (String::new(), clock::local(), label::current());
        match format {
            // A file is no journal: nobody else would say when it was.
            LogFormat::Text | LogFormat::Journald => {
                write!(out, "{time} {process}")?;
                self.fields.write_text(&mut out)?;
                out.push('\n');
                for (number, frame) in self.stack.iter().enumerate() {
                    write!(out, "  {number:3} ")?;
                    super::fields::write_escaped(&mut out, frame, false)?;
                    out.push('\n');
                }
            }
            LogFormat::Json => {
                self.write_members(&mut out)?;
                out.push_str(",\"stack\":[");
                for (number, frame) in self.stack.iter().enumerate() {
                    out.push_str(if number == 0 { "" } else { "," });
                    super::fields::write_json_text(&mut out, frame)?;
                }
                out.push_str("]}\n");
            }
        }
        Ok(out)
    }
}

/// A file that records are appended to. It is opened for each of them, so that whoever rotates it
/// has to tell nobody.
#[derive(Clone, Debug)]
pub(crate) struct RecordFile {
    option: &'static str,
    /// Absolute, because user code may change the working directory.
    path: PathBuf,
    format: LogFormat,
}

impl RecordFile {
    /// The file that an option names, which is made if there is none; `None` when it names none.
    ///
    /// # Errors
    ///
    /// `is_option`, if it cannot be opened for appending.
    pub(crate) fn open(
        option: &'static str,
        path: &str,
        format: LogFormat,
    ) -> Result<Option<Self>> {
        if path.is_empty() {
            return Ok(None);
        }
        let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
        match open_to_append(&path) {
            Ok(_) => Ok(Some(Self { option, path, format })),
            Err(errno) => Err(cannot_append(option, &path, errno.into())),
        }
    }

    /// Whether [`RecordFile::open`] would open it; it is not made.
    ///
    /// # Errors
    ///
    /// `is_option`, if not.
    pub(crate) fn check(option: &str, path: &str) -> Result<()> {
        if path.is_empty() {
            return Ok(());
        }
        let path = Path::new(path);
        file_prospect::can_append(path).map_err(|error| cannot_append(option, path, error))
    }

    /// Appends a record in one write. One that finds no place is told in the log, and lost.
    pub(crate) fn append(&self, record: &Record) {
        let mut text = record.write(self.format).unwrap_or_default();
        if text.len() > RECORD_BYTES_MAX {
            let without = Record { stack: vec!["(too long)".to_owned()], ..Record::default() };
            text = without.write(self.format).unwrap_or_default();
        }
        let written = open_to_append(&self.path)
            .and_then(|file| rustix::io::write(file, text.as_bytes()))
            .map(|bytes| bytes == text.len());
        match written {
            Ok(true) => {}
            Ok(false) => self.tell("a part of a record was written: make room on its disk"),
            Err(errno) => self.tell(&format!("a record cannot be written: {errno}")),
        }
    }

    fn tell(&self, problem: &str) {
        tracing::error!(option = self.option, path = %self.path.display(), "{problem}");
    }
}

/// The option names a file that takes no lines.
pub(super) fn cannot_append(option: &str, path: &Path, error: io::Error) -> Error {
    let text = format!(
        "option `{option}`: cannot append to `{}`: create its directory, or allow this user to \
         write there",
        path.display()
    );
    Error::option_refused(text, error)
}

/// Without waiting for the reader of a pipe: records that it does not take are lost.
fn open_to_append(path: &Path) -> std::result::Result<std::os::fd::OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC;
    open(path, flags | OFlags::NOCTTY | OFlags::NONBLOCK, Mode::RUSR | Mode::WUSR | Mode::RGRP)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Record {
        let mut record = Record::new("it happened");
        record.text("peer", Some("[::1]:80"));
        record.text("nothing", None::<&str>);
        record.bare("count", Some(3));
        record.stack(["main (a \"b\".rs:1)".to_owned(), "bad\nname".to_owned()].into_iter());
        record
    }

    #[test]
    fn a_record_is_a_text_or_an_object() {
        let text = example().write(LogFormat::Text).unwrap();
        let (head, stack) = text.split_once('\n').unwrap();
        assert!(head.ends_with(" master it happened peer=[::1]:80 count=3"), "{head}");
        assert_eq!(stack, "    0 main (a \"b\".rs:1)\n    1 bad\\nname\n");
        let json = example().write(LogFormat::Json).unwrap();
        let end = concat!(
            r#""message":"it happened","peer":"[::1]:80","count":3,"#,
            r#""stack":["main (a \"b\".rs:1)","bad\nname"]}"#,
            "\n"
        );
        assert!(json.ends_with(end), "{json}");
    }

    #[test]
    fn the_file_is_made_and_found_again_when_it_was_rotated() {
        let path = std::env::temp_dir().join(format!("ostler-record-{}", std::process::id()));
        let name = path.to_str().unwrap();
        let file = RecordFile::open("death_log_file", name, LogFormat::Json).unwrap().unwrap();
        file.append(&example());
        let first = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file.append(&example());
        file.append(&example());
        assert_eq!(first.lines().count(), 1);
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
        std::fs::remove_file(&path).unwrap();
        assert!(RecordFile::open("death_log_file", "", LogFormat::Json).unwrap().is_none());
        let error = RecordFile::open("death_log_file", "/nonexistent/x", LogFormat::Json);
        let error = error.map(drop).unwrap_err();
        assert!(error.is_option() && error.to_string().contains("`death_log_file`"), "{error}");
    }
}
