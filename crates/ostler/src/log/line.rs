//! One event as one line: time, level, process, message, fields.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::fields::Fields;
use super::label::{self, Process};
use super::sink::{LINE_BYTES_MAX, SUPPRESSED_BYTES_MAX};
use crate::sys::clock::{self, LocalTime};

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineFormat {
    /// `TIME LEVEL process message key=value`.
    Text {
        /// With colours, for a terminal.
        colour: bool,
    },
    /// An object with the members `time`, `level`, `process`, `message` and the fields.
    Json,
    /// `<PRIORITY>process message key=value`, as sd-daemon(3) says: the journal has the time.
    Journald,
}

/// The form that the log of this process has now.
pub(super) struct CurrentFormat;

impl<S, N> FormatEvent<S, N> for CurrentFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        // Events of the user's own libraries come here too: those say where they are from.
        if !is_ours(metadata.target()) {
            fields.push("target", metadata.target());
        }
        let head =
            Head { time: clock::local(), level: *metadata.level(), process: label::current() };
        super::format().write_line(&mut out, &head, &fields)
    }
}

/// What every line begins with.
struct Head {
    time: LocalTime,
    level: Level,
    process: Process,
}

impl LineFormat {
    fn write_line(self, out: &mut dyn fmt::Write, head: &Head, fields: &Fields) -> fmt::Result {
        match self {
            Self::Text { colour } => write_text(out, head, fields, colour),
            Self::Json => write_json(out, head, fields),
            Self::Journald => write_journald(out, head, fields),
        }
    }
}

fn is_ours(target: &str) -> bool {
    let krate = target.split("::").next().unwrap_or_default();
    matches!(krate, "ostler" | "ostler_core" | "ostler_shm")
}

fn write_text(
    out: &mut dyn fmt::Write,
    Head { time, level, process }: &Head,
    fields: &Fields,
    colour: bool,
) -> fmt::Result {
    if colour {
        let code = colour_of(*level);
        write!(out, "\x1b[2m{time}\x1b[0m \x1b[{code}m{level}\x1b[0m {process}")?;
    } else {
        write!(out, "{time} {level} {process}")?;
    }
    fields.write_text(out)?;
    out.write_char('\n')
}

/// The parameter of the escape sequence: red, yellow, green, blue, magenta.
fn colour_of(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    }
}

fn write_journald(
    out: &mut dyn fmt::Write,
    Head { level, process, .. }: &Head,
    fields: &Fields,
) -> fmt::Result {
    write!(out, "<{}>{process}", priority_of(*level))?;
    fields.write_text(out)?;
    out.write_char('\n')
}

/// The priority of syslog(3): error, warning, informational, debug.
fn priority_of(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// Half an object is no JSON: one that would not fit is written anew with less in it.
fn write_json(out: &mut dyn fmt::Write, head: &Head, fields: &Fields) -> fmt::Result {
    let mut line = json_line(head, fields)?;
    if line.len() > LINE_BYTES_MAX - SUPPRESSED_BYTES_MAX {
        line = json_line(head, &fields.shortened(line.len()))?;
    }
    out.write_str(&line)
}

fn json_line(Head { time, level, process }: &Head, fields: &Fields) -> Result<String, fmt::Error> {
    use fmt::Write as _;
    let mut line = String::new();
    write!(line, "{{\"time\":\"{time}\",\"level\":\"{level}\",\"process\":\"{process}\"")?;
    fields.write_json(&mut line)?;
    line.push_str("}\n");
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: LineFormat, value: &str) -> String {
        let mut fields = Fields::default();
        fields.push("key", value);
        let time = LocalTime::from_parts([2000, 2, 29, 1, 2, 3], 42, 3_600 + 1_800);
        let head = Head { time, level: Level::WARN, process: Process::Manager };
        let mut out = String::new();
        format.write_line(&mut out, &head, &fields).unwrap();
        out
    }

    #[test]
    fn log_lines_begin_with_local_time_and_its_offset() {
        let text = line(LineFormat::Text { colour: false }, "value");
        assert_eq!(text, "2000-02-29T01:02:03.042+01:30 WARN manager key=value\n");
    }

    #[test]
    fn log_lines_have_colours_only_when_asked() {
        let text = line(LineFormat::Text { colour: true }, "value");
        assert_eq!(
            text,
            "\x1b[2m2000-02-29T01:02:03.042+01:30\x1b[0m \x1b[33mWARN\x1b[0m manager key=value\n"
        );
    }

    #[test]
    fn log_lines_for_the_journal_begin_with_their_priority() {
        assert_eq!(line(LineFormat::Journald, "a b"), "<4>manager key=\"a b\"\n");
        let levels = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
        assert_eq!(levels.map(priority_of), [3, 4, 6, 7, 7]);
    }

    #[test]
    fn log_lines_in_json_are_objects_also_when_they_would_be_too_long() {
        let head = concat!(
            r#"{"time":"2000-02-29T01:02:03.042+01:30","level":"WARN","#,
            r#""process":"manager","message":"""#,
        );
        assert_eq!(line(LineFormat::Json, "a b"), format!("{head},\"key\":\"a b\"}}\n"));
        let long = line(LineFormat::Json, &"\n".repeat(5_000));
        assert!(long.len() < LINE_BYTES_MAX, "{}", long.len());
        assert!(long.starts_with(head) && long.contains("\"cut_bytes\":10"), "{long}");
        assert!(long.ends_with("}\n"));
    }

    #[test]
    fn log_lines_of_other_crates_name_their_target() {
        assert!(is_ours("ostler") && is_ours("ostler_core::supervisor"));
        assert!(!is_ours("ostler_example") && !is_ours("hyper::proto"));
    }
}
