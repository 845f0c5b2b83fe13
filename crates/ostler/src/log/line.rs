//! One event as one line: time, level, process, message, fields.

use std::fmt;
use std::time::SystemTime;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::fields::Fields;
use super::label::{self, Process};

/// The form of a line.
pub(super) struct LineFormat;

impl<S, N> FormatEvent<S, N> for LineFormat
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
        write_line(&mut out, SystemTime::now(), metadata.level(), label::current(), &fields)
    }
}

fn is_ours(target: &str) -> bool {
    let krate = target.split("::").next().unwrap_or_default();
    matches!(krate, "ostler" | "ostler_core" | "ostler_shm")
}

fn write_line(
    out: &mut dyn fmt::Write,
    now: SystemTime,
    level: &tracing::Level,
    process: Process,
    fields: &Fields,
) -> fmt::Result {
    // humantime refuses years behind 9999 with an error, and that error would lose the line.
    let latest = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(253_402_300_799);
    let now = now.clamp(SystemTime::UNIX_EPOCH, latest);
    write!(out, "{} {level} {process}", humantime::format_rfc3339_millis(now))?;
    fields.write_to(out)?;
    out.write_char('\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn line_at(now: SystemTime) -> String {
        let mut fields = Fields::default();
        fields.push("key", "value");
        let mut out = String::new();
        write_line(&mut out, now, &tracing::Level::WARN, Process::Manager, &fields).unwrap();
        out
    }

    #[test]
    fn log_lines_begin_with_utc_in_milliseconds() {
        let leap_day = SystemTime::UNIX_EPOCH + Duration::from_millis(951_782_400_042);
        assert_eq!(line_at(leap_day), "2000-02-29T00:00:00.042Z WARN manager key=value\n");
    }

    #[test]
    fn log_lines_survive_a_clock_that_is_far_off() {
        let early = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert!(line_at(early).starts_with("1970-01-01T00:00:00.000Z "));
        let late = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert!(line_at(late).starts_with("9999-12-31T23:59:59.000Z "));
    }

    #[test]
    fn log_lines_of_other_crates_name_their_target() {
        assert!(is_ours("ostler") && is_ours("ostler_core::supervisor"));
        assert!(!is_ours("ostler_example") && !is_ours("hyper::proto"));
    }
}
