//! A worker that does not answer, read from outside: one that is stopped, or blocks the signal.

use std::fs;

use ostler_shm::black_box::capture::{Capture, STACK_BYTES_MAX};

use crate::stacks::UNKNOWN;
use crate::sys::process::ProcessId;
use crate::sys::process_memory;

/// What [`state_of`] says of a process that a signal has stopped.
pub(super) const STOPPED: &str = "stopped";

/// What a process is doing, from `/proc/PID/stat`.
pub(super) fn state_of(pid: ProcessId) -> Option<&'static str> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may have brackets of its own.
    let (_, behind) = text.rsplit_once(") ")?;
    Some(match behind.chars().next()? {
        'R' => "running",
        'S' => "sleeping",
        'D' => "waiting in the kernel",
        'T' => STOPPED,
        't' => "stopped by a debugger",
        'Z' | 'X' => "dead",
        'I' => "idle",
        _ => return None,
    })
}

/// Its stack, if it stands still and may be read; why not, if not.
pub(super) fn capture(pid: ProcessId) -> Result<Box<Capture>, String> {
    let text = fs::read_to_string(format!("/proc/{pid}/syscall"))
        .map_err(|error| format!("it does not answer, and cannot be read: {error}"))?;
    let Some([sp, pc]) = stack_and_code(&text) else {
        return Err("it runs and does not answer: it blocks the signal".to_owned());
    };
    let stack = process_memory::read(pid, sp, STACK_BYTES_MAX)
        .map_err(|error| format!("it does not answer, and its memory cannot be read: {error}"))?;
    let registers = vec![pc, sp, UNKNOWN, 0];
    Ok(Box::new(Capture { registers, stack_at: sp & !7, stack, ..Capture::default() }))
}

/// The last two numbers of `/proc/PID/syscall`: stack pointer and program counter. `None`:
/// `running`.
fn stack_and_code(text: &str) -> Option<[u64; 2]> {
    let mut words = text.split_whitespace().rev();
    let mut number = || u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok();
    let (pc, sp) = (number()?, number()?);
    Some([sp, pc])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process;

    #[test]
    fn what_the_kernel_shows_is_understood() {
        let waits = "0 0x3 0x7f 0x1 0x0 0x0 0x0 0x7ffd8 0x7f42\n";
        assert_eq!(stack_and_code(waits), Some([0x7ffd8, 0x7f42]));
        assert_eq!(stack_and_code("-1 0x10 0x20\n"), Some([0x10, 0x20]));
        assert_eq!((stack_and_code("running\n"), stack_and_code("")), (None, None));
        // The main thread waits for the one that runs the test.
        assert!(state_of(process::current()).is_some());
    }
}
