//! Signals of the engine go through pidfds: a number may be 0, negative, or a stranger's by now.

use crate::Finding;
use crate::files::File;

/// Where the engine is. (The extension for PHP sends the signals that a program asks for.)
const ENGINE: &str = "crates/ostler/src/";
/// How a signal is sent to a number.
const BY_NUMBER: [&str; 7] = [
    "libc::kill(",
    "libc::killpg(",
    "libc::sigqueue(",
    "SYS_kill",
    "signal::kill(",
    "signal::killpg(",
    "kill_process",
];
/// What follows then is no stranger.
const ONESELF: &str = "libc::getpid()";

pub(crate) fn check(file: &File) -> Vec<Finding> {
    let is_engine = file.path.starts_with(ENGINE) && !file.path.contains("/tests");
    if !is_engine || !file.is_rust() {
        return Vec::new();
    }
    let sends = |text: &str| {
        let found = BY_NUMBER.into_iter().find_map(|word| Some((word, text.split_once(word)?.1)));
        found.filter(|(_, rest)| !rest.starts_with(ONESELF)).map(|(word, _)| word)
    };
    let found = file.lines().filter_map(|(line, text)| Some((line, sends(text)?)));
    let finding = |(line, word)| Finding {
        file: file.path.clone(),
        rule: "signal",
        line,
        text: format!("`{word}` sends a signal to a number: send it through a `PidFd`"),
    };
    found.map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, line: &str) -> bool {
        !check(&File::new(path, line)).is_empty()
    }

    #[test]
    fn signals_to_numbers_are_found() {
        for line in [
            "unsafe { libc::kill(pid, 9) };",
            "rustix::process::kill_process(pid, Signal::KILL)?;",
            "rustix::process::kill_process_group(pid, Signal::KILL)?;",
            "nix::sys::signal::kill(pid, None)",
        ] {
            assert!(found("crates/ostler/src/manager/sweep.rs", line), "{line}");
        }
    }

    #[test]
    fn what_is_sent_otherwise_passes() {
        assert!(!found("crates/ostler/src/sys/signal.rs", "libc::kill(libc::getpid(), 9)"));
        assert!(!found("crates/ostler/src/manager/tests/master.rs", "kill_process(pid, signal)"));
        assert!(!found("crates/ostler/src/sys/pidfd.rs", "pidfd_send_signal(&pidfd, signal)"));
        assert!(!found("crates/testkit/src/process.rs", "kill_process(pid, signal)"));
    }
}
