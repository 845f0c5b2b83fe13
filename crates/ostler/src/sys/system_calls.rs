//! Which system calls a process may make from now on: seccomp(2).
//!
//! A call that is not in the list is not made: it answers EPERM, and is counted (but for children
//! and threads). The list is that
//! of a master that serves: what it took to start (sockets with names, forks, programs, changes of
//! ids) is not in it. It names calls by what the kernel does; which of several names for one thing
//! is used is up to the C library, so all of them are here.
#![allow(unsafe_code)]

use std::io;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use seccompiler::SeccompCmpArgLen::Dword;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter_all_threads,
};

use super::signal::BLOCKED_BEFORE;

/// The architecture that filters are made for; on others there is none.
const ARCHITECTURE: Option<TargetArch> = if cfg!(target_arch = "x86_64") {
    Some(TargetArch::x86_64)
} else if cfg!(target_arch = "aarch64") {
    Some(TargetArch::aarch64)
} else {
    None
};

/// Calls that are made whatever their arguments are.
const ALLOWED: &[libc::c_long] = &[
    // Descriptors.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fadvise64,
    libc::SYS_readahead,
    libc::SYS_sendfile,
    libc::SYS_eventfd2,
    // Files, as far as Landlock lets it.
    libc::SYS_openat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_unlinkat,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_rm_watch,
    // Sockets that are there; nobody connects one.
    libc::SYS_accept4,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    // Waiting.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_timerfd_settime,
    libc::SYS_ppoll,
    libc::SYS_futex,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_sched_yield,
    libc::SYS_restart_syscall,
    // Memory; nothing in it becomes a program (below).
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_mlock,
    libc::SYS_memfd_create,
    libc::SYS_membarrier,
    // Signals, processes that are there, threads that end.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    libc::SYS_signalfd4,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_waitid,
    libc::SYS_wait4,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    // What it is.
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_capget,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getrusage,
    libc::SYS_sched_getaffinity,
    libc::SYS_getcpu,
    libc::SYS_getrandom,
];

/// Older names of the same, where there are some.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[libc::c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_getdents,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_link,
    libc::SYS_unlink,
    libc::SYS_poll,
    libc::SYS_epoll_wait,
    libc::SYS_dup2,
    libc::SYS_accept,
    libc::SYS_time,
];
#[cfg(target_arch = "aarch64")]
const ALLOWED_HERE: &[libc::c_long] = &[libc::SYS_renameat];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ALLOWED_HERE: &[libc::c_long] = &[];

/// Calls that are refused by [`no_children`].
#[cfg(target_arch = "x86_64")]
const MAKES_CHILDREN: &[libc::c_long] =
    &[libc::SYS_clone, libc::SYS_clone3, libc::SYS_fork, libc::SYS_vfork];
#[cfg(not(target_arch = "x86_64"))]
const MAKES_CHILDREN: &[libc::c_long] = &[libc::SYS_clone, libc::SYS_clone3];

/// What may be asked of `ioctl(2)`: how much there is to read and to write, whether a call waits,
/// what a terminal is, and how large. (The C libraries give them different types.)
const IOCTL: [u64; 5] = [0x541b, 0x5411, 0x5421, 0x5401, 0x5413];

/// `F_SETOWN`, `F_SETSIG`, `F_SETOWN_EX`: who gets a signal of a descriptor, and which one.
const TELLS_OTHERS: [u64; 3] = [8, 10, 15];

/// `PR_SET_VMA`: names of memory, which a C library may give.
const SET_VMA: i32 = 0x5356_4d41;

/// What may be asked of `prctl(2)`: names, and what the program gets back when its server ends.
const PRCTL: [i32; 8] = [
    libc::PR_SET_NAME,
    libc::PR_GET_NAME,
    libc::PR_SET_MM,
    libc::PR_GET_DUMPABLE,
    libc::PR_SET_DUMPABLE,
    libc::PR_GET_CHILD_SUBREAPER,
    libc::PR_SET_CHILD_SUBREAPER,
    SET_VMA,
];

/// By which the kernel tells of a refused call: a thread that blocks it is ended instead.
const REFUSAL: Signal = Signal::SIGSYS;

/// Calls that were refused.
static REFUSED: AtomicU64 = AtomicU64::new(0);
/// The number of the last one.
static LAST: AtomicI32 = AtomicI32::new(-1);

/// How many calls were refused in this process, and the number of the last one.
pub(crate) fn refused() -> (u64, i32) {
    (REFUSED.load(Ordering::Relaxed), LAST.load(Ordering::Relaxed))
}

/// `seccomp(2)`, `SECCOMP_GET_ACTION_AVAIL` — whether this kernel refuses calls as it has to.
pub(crate) fn is_supported() -> io::Result<bool> {
    const GET_ACTION_AVAIL: libc::c_ulong = 2;
    let action: u32 = libc::SECCOMP_RET_TRAP;
    // SAFETY: reads four bytes, which live over the call.
    let answer =
        unsafe { libc::syscall(libc::SYS_seccomp, GET_ACTION_AVAIL, 0, &raw const action) };
    match io::Error::last_os_error() {
        _ if answer == 0 => Ok(ARCHITECTURE.is_some()),
        error
            if matches!(
                error.raw_os_error(),
                Some(libc::ENOSYS | libc::EINVAL | libc::EOPNOTSUPP)
            ) =>
        {
            Ok(false)
        }
        error => Err(error),
    }
}

/// `sigaction(2)`, `seccomp(2)`, `SECCOMP_SET_MODE_FILTER` with `TSYNC` — all threads of this
/// process make no other calls from now on, nor do those that they start. For ever.
pub(crate) fn confine() -> io::Result<()> {
    // In this order: the second one refuses what it takes to install another.
    let programs = [no_children().map_err(io::Error::other)?, filter().map_err(io::Error::other)?];
    answer_refusals()?;
    programs
        .iter()
        .try_for_each(|program| apply_filter_all_threads(program).map_err(io::Error::other))
}

/// Children and threads are refused without a signal: the C library makes them with all signals
/// blocked, and the kernel ends a process that cannot be told. So these are not counted.
fn no_children() -> Result<BpfProgram, seccompiler::BackendError> {
    let rules = MAKES_CHILDREN.iter().map(|call| (*call, Vec::new())).collect();
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, architecture()?)?.try_into()
}

fn architecture() -> Result<TargetArch, seccompiler::BackendError> {
    let unknown = || seccompiler::BackendError::InvalidTargetArch("this one".to_owned());
    ARCHITECTURE.ok_or_else(unknown)
}

fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let calls = ALLOWED.iter().chain(ALLOWED_HERE).chain(MAKES_CHILDREN);
    let mut rules: std::collections::BTreeMap<i64, Vec<SeccompRule>> =
        calls.map(|call| (*call, Vec::new())).collect();
    let own = u64::from(std::process::id());
    // A signal to itself, by which it aborts.
    rules.insert(libc::SYS_tgkill, one_of(0, &[own])?);
    // And one by which a thread is asked for its stack.
    rules.insert(libc::SYS_rt_tgsigqueueinfo, one_of(0, &[own])?);
    rules.insert(libc::SYS_ioctl, one_of(1, &IOCTL)?);
    let prctl = PRCTL.map(|option| u64::from(option.unsigned_abs()));
    rules.insert(libc::SYS_prctl, one_of(0, &prctl)?);
    // Its own limits.
    rules.insert(libc::SYS_prlimit64, one_of(0, &[0, own])?);
    rules.insert(libc::SYS_fcntl, none_of(1, &TELLS_OTHERS)?);
    let local = [u64::from(libc::AF_UNIX.unsigned_abs())];
    rules.insert(libc::SYS_socketpair, one_of(0, &local)?);
    for (call, flags) in [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)] {
        rules.insert(call, without(flags, libc::MSG_FASTOPEN)?);
    }
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, without(2, libc::PROT_EXEC)?);
    }
    SeccompFilter::new(rules, SeccompAction::Trap, SeccompAction::Allow, architecture()?)?
        .try_into()
}

/// Rules by which an argument is one of these.
fn one_of(argument: u8, values: &[u64]) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let rule = |value: &u64| {
        let condition = SeccompCondition::new(argument, Dword, SeccompCmpOp::Eq, *value)?;
        SeccompRule::new(vec![condition])
    };
    values.iter().map(rule).collect()
}

/// A rule by which an argument is none of these.
fn none_of(argument: u8, values: &[u64]) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let other = |value: &u64| SeccompCondition::new(argument, Dword, SeccompCmpOp::Ne, *value);
    Ok(vec![SeccompRule::new(values.iter().map(other).collect::<Result<_, _>>()?)?])
}

/// A rule by which an argument lacks a flag.
fn without(argument: u8, flag: i32) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let lacks = SeccompCmpOp::MaskedEq(u64::from(flag.unsigned_abs()));
    Ok(vec![SeccompRule::new(vec![SeccompCondition::new(argument, Dword, lacks, 0)?])?])
}

/// `sigprocmask(2)`, `SIG_UNBLOCK` — this thread does not block the signal of a refused call, nor
/// do those that it starts, also behind the server, whatever the program had blocked.
pub(crate) fn unblock_refusals() -> io::Result<()> {
    if let Some(mut before) = BLOCKED_BEFORE.get() {
        before.remove(REFUSAL);
        BLOCKED_BEFORE.set(Some(before));
    }
    Ok(sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&SigSet::from(REFUSAL)), None)?)
}

/// `sigaction(2)` — whoever makes a call that is not in the list goes on with an error.
fn answer_refusals() -> io::Result<()> {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, sigaction};
    let handler = SigHandler::SigAction(on_refused);
    let action = SigAction::new(handler, SaFlags::SA_ONSTACK, SigSet::empty());
    // SAFETY: the handler stores to atomics and to the registers that it is given, which may be
    // done in signal context.
    unsafe { sigaction(REFUSAL, &action)? };
    Ok(())
}

/// The kernel has not made a call, and asks what it answers.
extern "C" fn on_refused(_: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    /// Of `siginfo_t`, on machines of 64 bits: behind three numbers, a gap, and an address.
    const NUMBER_AT: usize = 24;
    // SAFETY: the kernel gives a whole `siginfo_t`, of 128 bytes, which is aligned.
    let number = unsafe { info.byte_add(NUMBER_AT).cast::<i32>().read() };
    LAST.store(number, Ordering::Relaxed);
    REFUSED.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the kernel gives the context of this thread, and continues with what stands in it.
    unsafe { answer(context.cast::<libc::ucontext_t>(), libc::EPERM) }
}

/// # Safety
/// `context` is that of a signal that was raised by a system call.
#[cfg(target_arch = "x86_64")]
unsafe fn answer(context: *mut libc::ucontext_t, errno: libc::c_int) {
    // SAFETY: as above; the register is one of the array.
    unsafe {
        let registers = &raw mut (*context).uc_mcontext.gregs;
        let register = registers.cast::<libc::greg_t>().add(libc::REG_RAX as usize);
        register.write(-libc::greg_t::from(errno));
    }
}

/// # Safety
/// `context` is that of a signal that was raised by a system call.
#[cfg(target_arch = "aarch64")]
unsafe fn answer(context: *mut libc::ucontext_t, errno: libc::c_int) {
    // SAFETY: as above; the register is the first of the array.
    unsafe {
        let registers = &raw mut (*context).uc_mcontext.regs;
        registers.cast::<u64>().write((-i64::from(errno)).cast_unsigned());
    }
}

/// # Safety
/// None: it is never called, because there is no filter.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn answer(_: *mut libc::ucontext_t, _: libc::c_int) {}

#[cfg(test)]
mod reviewed;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::in_forked_test;

    /// The error that a call answers; 0: none.
    fn errno_of(call: libc::c_long, arguments: [libc::c_long; 4]) -> i32 {
        let [first, second, third, fourth] = arguments;
        // SAFETY: called with numbers for which the kernel reads and writes no memory of ours, or
        // refuses.
        let answer = unsafe { libc::syscall(call, first, second, third, fourth) };
        if answer >= 0 { 0 } else { io::Error::last_os_error().raw_os_error().unwrap_or(0) }
    }

    #[test]
    fn what_is_not_in_the_list_is_refused_and_counted_and_the_process_goes_on() {
        if !is_supported().unwrap() {
            eprintln!("NOT TESTED: this kernel has no seccomp");
            return;
        }
        in_forked_test(|| {
            let parked = std::thread::spawn(std::thread::park);
            confine().unwrap();
            let (inet, stream) = (i64::from(libc::AF_INET), i64::from(libc::SOCK_STREAM));
            let netlink = i64::from(libc::AF_NETLINK);
            let parent = i64::from(std::os::unix::process::parent_id());
            let fast_open = i64::from(libc::MSG_FASTOPEN | libc::MSG_NOSIGNAL);
            let refused = [
                (libc::SYS_execve, [0; 4]),
                (libc::SYS_execveat, [0; 4]),
                (libc::SYS_socket, [inet, stream, 0, 0]),
                (libc::SYS_socket, [netlink, i64::from(libc::SOCK_RAW), 0, 0]),
                (libc::SYS_socket, [i64::from(libc::AF_UNIX), stream, 0, 0]),
                (libc::SYS_bind, [0; 4]),
                (libc::SYS_connect, [-1, 0, 0, 0]),
                (libc::SYS_sendto, [-1, 0, 0, fast_open]),
                (libc::SYS_sendmsg, [-1, 0, fast_open, 0]),
                (libc::SYS_sendmmsg, [-1, 0, 0, fast_open]),
                (libc::SYS_fcntl, [0, 8, parent, 0]),
                (libc::SYS_fcntl, [0, 15, 0, 0]),
                (libc::SYS_prlimit64, [parent, 0, 0, 0]),
                (libc::SYS_setpriority, [0, parent, 19, 0]),
                (libc::SYS_ptrace, [i64::from(libc::PTRACE_TRACEME), 0, 0, 0]),
                (libc::SYS_tgkill, [parent, parent, 0, 0]),
                (libc::SYS_rt_tgsigqueueinfo, [parent, parent, 0, 0]),
                (libc::SYS_setuid, [0; 4]),
                (libc::SYS_setresuid, [0; 4]),
                (libc::SYS_chroot, [0; 4]),
                (libc::SYS_mount, [0; 4]),
                (libc::SYS_unshare, [0; 4]),
                (libc::SYS_bpf, [0; 4]),
                (libc::SYS_io_uring_setup, [0; 4]),
                (libc::SYS_process_vm_readv, [0; 4]),
                (libc::SYS_ioctl, [0, 0x5412, 0, 0]), // TIOCSTI
                (libc::SYS_prctl, [i64::from(libc::PR_SET_SECCOMP), 0, 0, 0]),
                (libc::SYS_mmap, [0, 4_096, i64::from(libc::PROT_EXEC | libc::PROT_READ), 0x22]),
                (libc::SYS_mprotect, [0, 0, i64::from(libc::PROT_EXEC), 0]),
            ];
            for (count, (call, arguments)) in (1..).zip(refused) {
                assert_eq!(errno_of(call, arguments), libc::EPERM, "{call}");
                assert_eq!(refused_now(), (count, call));
            }
            let child = i64::from(libc::SIGCHLD);
            assert_eq!(errno_of(libc::SYS_clone, [child, 0, 0, 0]), libc::EPERM);
            assert!(std::thread::Builder::new().spawn(|| {}).is_err());
            assert!(std::process::Command::new("/bin/true").status().is_err());
            // What a thread that was there before may do is the same.
            parked.thread().unpark();
            parked.join().unwrap();
            assert_eq!(errno_of(libc::SYS_mprotect, [0, 0, i64::from(libc::PROT_READ), 0]), 0);
            let own = i64::from(std::process::id());
            let number = i64::from(libc::RLIMIT_NOFILE);
            for (call, arguments) in [
                (libc::SYS_prlimit64, [0, number, 0, 0]),
                (libc::SYS_prlimit64, [own, number, 0, 0]),
                (libc::SYS_fcntl, [2, i64::from(libc::F_GETFD), 0, 0]),
            ] {
                assert_eq!(errno_of(call, arguments), 0, "{call}");
            }
            assert_eq!(errno_of(libc::SYS_rt_tgsigqueueinfo, [own, own, 0, 0]), libc::EFAULT);
            assert_eq!(errno_of(libc::SYS_sendto, [-1, 0, 0, 0]), libc::EBADF);
            assert_eq!(refused_now().0, refused.len() as u64);
            std::fs::read("/proc/self/stat").unwrap();
        });
    }

    fn refused_now() -> (u64, i64) {
        let (count, last) = refused();
        (count, last.into())
    }

    #[test]
    fn a_program_that_blocks_all_signals_is_not_ended_by_a_refused_call() {
        if !is_supported().unwrap() {
            return;
        }
        in_forked_test(|| {
            SigSet::all().thread_block().unwrap();
            let held = crate::sys::signal::Held::new().unwrap();
            unblock_refusals().unwrap();
            confine().unwrap();
            assert_eq!(errno_of(libc::SYS_unshare, [0; 4]), libc::EPERM);
            drop(held);
            assert!(SigSet::thread_get_mask().unwrap().contains(Signal::SIGTERM));
            assert_eq!(errno_of(libc::SYS_unshare, [0; 4]), libc::EPERM, "behind the server");
        });
    }

    #[test]
    fn other_threads_are_confined_too() {
        if !is_supported().unwrap() {
            return;
        }
        in_forked_test(|| {
            let (asks, asked) = std::sync::mpsc::channel::<()>();
            let other = std::thread::spawn(move || {
                asked.recv().unwrap();
                errno_of(libc::SYS_unshare, [0; 4])
            });
            confine().unwrap();
            asks.send(()).unwrap();
            assert_eq!(other.join().unwrap(), libc::EPERM);
        });
    }
}
