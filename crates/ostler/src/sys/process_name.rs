//! The name that `ps`, `top` and `/proc` show of a process.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::ops::Range;

use super::process::thread_count;

/// Longest argument area that is believed: the kernel's own limit is a quarter of the stack limit, at most 6 MiB.
const AREA_MAX: usize = 6 << 20;

/// Names this process, in `/proc/PID/comm` (15 bytes at most) and in the command line, as far as the old one was long.
///
/// The arguments that the program was started with are gone afterwards for this process; its parent keeps its own.
pub(crate) fn set(name: &str) -> io::Result<()> {
    let comm = CString::new(name)?;
    // `prctl(2)`, `PR_SET_NAME` — the kernel cuts the name to 15 bytes.
    rustix::thread::set_name(&comm)?;
    overwrite_arguments(name.as_bytes())
}

/// Writes `name` over the argument strings and zeros over what is left of them.
fn overwrite_arguments(name: &[u8]) -> io::Result<()> {
    if thread_count()? != 1 {
        return Err(io::Error::other("naming refused: this process has more than one thread"));
    }
    let Some(area) = argument_area(&std::fs::read_to_string("/proc/self/stat")?) else {
        return Ok(());
    };
    // The last byte stays zero: it ends the last argument for whoever reads the arguments later.
    let length = name.len().min(area.len().saturating_sub(1));
    let start = std::ptr::with_exposed_provenance_mut::<u8>(area.start);
    // SAFETY: the kernel says that `area` are the argument strings of this process: writable memory at the start of the
    // stack that no Rust object lies in. Whoever holds pointers into it (the C library, the Rust runtime for
    // `std::env::args`) reads zero-ended strings, which stay zero-ended within `area`. One thread (checked above), so
    // nobody reads it meanwhile; `name` lies elsewhere, because it is a Rust object.
    unsafe {
        start.write_bytes(0, area.len());
        start.copy_from_nonoverlapping(name.as_ptr(), length);
    }
    Ok(())
}

/// Fields 48 and 49 of `/proc/PID/stat`, `arg_start` and `arg_end`; see `proc_pid_stat(5)`.
fn argument_area(stat: &str) -> Option<Range<usize>> {
    // Field 2 is the program's name in parentheses and may contain anything, so count from the last parenthesis.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(45);
    let start: usize = fields.next()?.parse().ok()?;
    let end: usize = fields.next()?.parse().ok()?;
    let plausible = start > 0 && end > start && end.saturating_sub(start) <= AREA_MAX;
    plausible.then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process;

    #[test]
    fn names_show_in_proc() {
        process::in_forked_test(|| {
            set("ostler-w0").unwrap();
            assert_eq!(std::fs::read_to_string("/proc/self/comm").unwrap(), "ostler-w0\n");
            let line = std::fs::read_to_string("/proc/self/cmdline").unwrap();
            assert_eq!(line.trim_end_matches('\0'), "ostler-w0");
            assert_eq!(std::env::args().next().as_deref(), Some("ostler-w0"));
            // A name that is longer than the whole area is cut, and the area stays ended.
            let length = line.len();
            set(&"x".repeat(100_000)).unwrap();
            let line = std::fs::read_to_string("/proc/self/cmdline").unwrap();
            assert_eq!(line.len(), length);
            assert!(line.starts_with("xxx") && line.ends_with('\0'));
        });
    }

    #[test]
    fn an_odd_stat_line_names_no_area() {
        let numbers =
            |start: &str, end: &str| format!("1 (a) b) S {}{start} {end} 0 0", "0 ".repeat(44));
        assert_eq!(argument_area(&numbers("4096", "4100")), Some(4096..4100));
        assert_eq!(argument_area(&numbers("0", "0")), None);
        assert_eq!(argument_area(&numbers("4100", "4096")), None);
        assert_eq!(argument_area(&numbers("4096", "18446744073709551615")), None);
        assert_eq!(argument_area(&numbers("4096", "x")), None);
        assert_eq!(argument_area("1 (a) S 1 2"), None);
        assert_eq!(argument_area(""), None);
    }
}
