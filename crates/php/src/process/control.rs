//! What a program asks of processes in general: end, wait, where and how they run.

use std::os::fd::RawFd;

use ext_php_rs::boxed::ZBox;
use ext_php_rs::types::ZendHashTable;
use rustix::process::{WaitOptions, WaitStatus, wait as wait_for};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::zend::Thrown;
use crate::zend::call::Call;
use crate::zend::message::warning;
use crate::zend::value::{Array, Scalar};

/// A warning with the reason that the system gives.
fn failed(call: &mut Call<'_>, what: &str) -> Result<(), Thrown> {
    let error = std::io::Error::last_os_error();
    crate::errors::warn_of_failure(what, error);
    call.returns_bool(false)
}

/// `Process::kill(int $pid, int $signal_no = SIGTERM): bool`
pub(super) fn kill(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 2)?;
    let (pid, signal) = (call.long()?, call.long_or(i64::from(libc::SIGTERM))?);
    let numbers = (i32::try_from(pid), i32::try_from(signal));
    let (Ok(process), Ok(number)) = numbers else {
        warning(&format!("kill({pid}, {signal}) failed, Error: out of range"));
        return call.returns_bool(false);
    };
    // SAFETY: two numbers; what they name is looked after by the kernel.
    if unsafe { libc::kill(process, number) } == 0 {
        return call.returns_bool(true);
    }
    // Whether a process lives is asked by the signal 0, and "no" is an answer.
    if number == 0 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH) {
        return call.returns_bool(false);
    }
    failed(call, &format!("kill({pid}, {signal})"))
}

/// `Process::wait(bool $blocking = true): array|false`
pub(super) fn wait(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 1)?;
    let options = match call.bool_or(true)? {
        true => WaitOptions::empty(),
        false => WaitOptions::NOHANG,
    };
    let Ok(Some((pid, status))) = wait_for(options) else { return call.returns_bool(false) };
    let array = Array::new()
        .long("pid", i64::from(pid.as_raw_nonzero().get()))
        .long("code", exit_code(status))
        .long("signal", i64::from(status.terminating_signal().unwrap_or(0)));
    array.into(call.result());
    Ok(())
}

fn exit_code(status: WaitStatus) -> i64 {
    i64::from(status.exit_status().unwrap_or(0))
}

/// `Process::alarm(int $usec, int $type = 0): bool`
pub(super) fn alarm(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 2)?;
    let (microseconds, which) = (call.long()?, call.long_or(0)?);
    let each = match microseconds {
        ..=0 => libc::timeval { tv_sec: 0, tv_usec: 0 },
        _ => libc::timeval { tv_sec: microseconds / 1_000_000, tv_usec: microseconds % 1_000_000 },
    };
    let timer = libc::itimerval { it_interval: each, it_value: each };
    let Ok(which) = libc::c_int::try_from(which) else {
        warning(&format!("invalid type [{which}]"));
        return call.returns_bool(false);
    };
    // SAFETY: a valid time; a kind of timer that is none is refused.
    if unsafe { libc::setitimer(which, &raw const timer, std::ptr::null_mut()) } == 0 {
        return call.returns_bool(true);
    }
    failed(call, "setitimer()")
}

/// `Process::daemon(bool $nochdir = true, bool $noclose = true, array $pipes = []): bool`
pub(super) fn daemon(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 3)?;
    let (stays, keeps) = (call.bool_or(true)?, call.bool_or(true)?);
    let mut replaced = Vec::new();
    if let Some(pipes) = call.value() {
        let Some(pipes) = pipes.array() else {
            warning("the pipes have to be a list of descriptors");
            return call.returns_bool(false);
        };
        replaced.extend(pipes.values().take(3).map(|value| Scalar(value).long()));
    }
    // SAFETY: this process has no thread but this one, unless the program is a server's, where a
    // copy of this thread alone goes on, as after every fork.
    match unsafe { libc::fork() } {
        0 => {}
        -1 => return failed(call, "fork()"),
        // SAFETY: what this process would do at its end is done by the one that goes on.
        _ => unsafe { libc::_exit(0) },
    }
    let _ = rustix::process::setsid();
    if !stays {
        let _ = rustix::process::chdir("/");
    }
    if !keeps && let Ok(null) = std::fs::File::options().read(true).write(true).open("/dev/null") {
        use std::os::fd::AsRawFd;
        (0..=2).for_each(|number| replace(null.as_raw_fd(), number));
    }
    for (number, with) in (0..).zip(replaced) {
        if let Ok(with) = RawFd::try_from(with) {
            replace(with, number);
        }
    }
    call.returns_bool(true)
}

/// `dup2(2)`: a number that is no descriptor leaves everything as it is.
fn replace(with: RawFd, number: RawFd) {
    // SAFETY: two numbers; 0, 1 and 2 are nobody's property in this process.
    unsafe { libc::dup2(with, number) };
}

/// `Process::setAffinity(array $cpu_settings): bool`
pub(super) fn set_affinity(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    let wanted = call.array()?;
    let count = std::thread::available_parallelism().map_or(1, usize::from).max(wanted_max());
    if wanted.is_empty() {
        return call.returns_bool(false);
    }
    if wanted.len() > count {
        warning("More than the number of CPU");
        return call.returns_bool(false);
    }
    let mut set = CpuSet::new();
    for value in wanted.values() {
        let cpu = Scalar(value).long();
        match usize::try_from(cpu).ok().filter(|cpu| *cpu < count) {
            Some(cpu) => set.set(cpu),
            None => {
                warning(&format!("invalid cpu id [{cpu}]"));
                return call.returns_bool(false);
            }
        }
    }
    let done = sched_setaffinity(None, &set);
    if let Err(error) = done {
        crate::errors::warn_of_failure("sched_setaffinity()", error);
    }
    call.returns_bool(done.is_ok())
}

/// How many CPUs the machine has, also those that this process may not use.
fn wanted_max() -> usize {
    // SAFETY: asks for a number.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_NPROCESSORS_CONF) }).unwrap_or(1)
}

/// `Process::getAffinity(): array`
pub(super) fn affinity(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    let mut list: ZBox<ZendHashTable> = ZendHashTable::new();
    if let Ok(set) = sched_getaffinity(None) {
        for cpu in (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)) {
            let _ = list.push(i64::try_from(cpu).unwrap_or(0));
        }
    }
    call.result().set_hashtable(list);
    Ok(())
}

/// A process, a group or a user, as `getpriority(2)` has them.
fn whose(call: &mut Call<'_>, own: i64) -> Result<Option<libc::id_t>, Thrown> {
    let who = match call.value() {
        Some(value) if !value.is_null() => Scalar(value).long(),
        _ => own,
    };
    Ok(libc::id_t::try_from(who).ok())
}

fn which_of(which: i64) -> Option<libc::__priority_which_t> {
    libc::__priority_which_t::try_from(which).ok().filter(|which| *which <= libc::PRIO_USER)
}

/// `Process::setPriority(int $which, int $priority, ?int $who = null): bool`
pub(super) fn set_priority(call: &mut Call<'_>, own: i64) -> Result<(), Thrown> {
    call.arguments(2, 3)?;
    let (which, priority) = (call.long()?, call.long()?);
    let who = whose(call, own)?;
    let (Some(which), Some(who), Ok(priority)) = (which_of(which), who, i32::try_from(priority))
    else {
        warning("which, priority or who is out of range");
        return call.returns_bool(false);
    };
    // SAFETY: three numbers.
    if unsafe { libc::setpriority(which, who, priority) } == 0 {
        return call.returns_bool(true);
    }
    failed(call, &format!("setpriority({which}, {priority})"))
}

/// `Process::getPriority(int $which, ?int $who = null): int|false`
pub(super) fn priority(call: &mut Call<'_>, own: i64) -> Result<(), Thrown> {
    call.arguments(1, 2)?;
    let which = call.long()?;
    let who = whose(call, own)?;
    let (Some(which), Some(who)) = (which_of(which), who) else {
        warning("which or who is out of range");
        return call.returns_bool(false);
    };
    // SAFETY: `errno` is this thread's; -1 is a priority, too, so that it alone tells.
    let found = unsafe {
        *libc::__errno_location() = 0;
        libc::getpriority(which, who)
    };
    if found == -1 && std::io::Error::last_os_error().raw_os_error() != Some(0) {
        return failed(call, &format!("getpriority({which})"));
    }
    call.returns_long(i64::from(found))
}
