//! What a master that serves may ask of the kernel, as somebody wrote it down who looked at what it
//! does and not at the list of the code. Both have to say the same: a call that is added to one of
//! them, or taken away, is found here.
//!
//! The kernel itself is asked of every number, and makes none of these calls: behind the filter of
//! the code lies another one that answers for all that were let through.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use libc::c_long;
use seccompiler::{apply_filter_all_threads, sock_filter};

use super::{confine, is_supported, refused};
use crate::sys::process::in_forked_test;

/// Calls that are made whatever their arguments are, in groups that have a reason.
const REVIEWED: &[(&str, &[c_long])] = &[
    (
        "clients, lanes and files are read and written by descriptors that are there",
        &[
            libc::SYS_read,
            libc::SYS_readv,
            libc::SYS_pread64,
            libc::SYS_preadv,
            libc::SYS_preadv2,
            libc::SYS_write,
            libc::SYS_writev,
            libc::SYS_pwrite64,
            libc::SYS_pwritev,
            libc::SYS_pwritev2,
            libc::SYS_lseek,
        ],
    ),
    (
        "descriptors end, are doubled, and bells are made",
        &[
            libc::SYS_close,
            libc::SYS_close_range,
            libc::SYS_dup,
            libc::SYS_dup3,
            libc::SYS_eventfd2,
        ],
    ),
    (
        "files that workers hand over are looked at and sent to clients",
        &[
            libc::SYS_fstat,
            libc::SYS_fstatfs,
            libc::SYS_fadvise64,
            libc::SYS_readahead,
            libc::SYS_sendfile,
        ],
    ),
    (
        "certificates, logs, the journal and /proc are opened where Landlock lets it",
        &[
            libc::SYS_openat,
            libc::SYS_newfstatat,
            libc::SYS_statx,
            libc::SYS_faccessat,
            libc::SYS_faccessat2,
            libc::SYS_readlinkat,
            libc::SYS_getdents64,
            libc::SYS_getcwd,
        ],
    ),
    (
        "journal and quarantine are made durable, pid file and sockets are removed",
        &[
            libc::SYS_fsync,
            libc::SYS_fdatasync,
            libc::SYS_ftruncate,
            libc::SYS_fallocate,
            libc::SYS_flock,
            libc::SYS_renameat2,
            libc::SYS_linkat,
            libc::SYS_unlinkat,
        ],
    ),
    (
        "certificates are watched",
        &[libc::SYS_inotify_init1, libc::SYS_inotify_add_watch, libc::SYS_inotify_rm_watch],
    ),
    (
        "clients are served by sockets that are there: none is made, bound or connected",
        &[
            libc::SYS_accept4,
            libc::SYS_recvfrom,
            libc::SYS_recvmsg,
            libc::SYS_recvmmsg,
            libc::SYS_shutdown,
            libc::SYS_getsockname,
            libc::SYS_getpeername,
            libc::SYS_getsockopt,
            libc::SYS_setsockopt,
        ],
    ),
    (
        "loops wait, threads wait for each other, and all of them look at clocks",
        &[
            libc::SYS_epoll_create1,
            libc::SYS_epoll_ctl,
            libc::SYS_epoll_pwait,
            libc::SYS_epoll_pwait2,
            libc::SYS_ppoll,
            libc::SYS_timerfd_settime,
            libc::SYS_futex,
            libc::SYS_nanosleep,
            libc::SYS_clock_nanosleep,
            libc::SYS_clock_gettime,
            libc::SYS_clock_getres,
            libc::SYS_gettimeofday,
            libc::SYS_sched_yield,
            libc::SYS_restart_syscall,
        ],
    ),
    (
        "memory is asked for and given back, lanes are made for new workers",
        &[
            libc::SYS_brk,
            libc::SYS_munmap,
            libc::SYS_mremap,
            libc::SYS_madvise,
            libc::SYS_mlock,
            libc::SYS_memfd_create,
            libc::SYS_membarrier,
        ],
    ),
    (
        "signals are read, and what the program did with them is put back when the server ends",
        &[
            libc::SYS_rt_sigaction,
            libc::SYS_rt_sigprocmask,
            libc::SYS_rt_sigreturn,
            libc::SYS_rt_sigtimedwait,
            libc::SYS_sigaltstack,
            libc::SYS_signalfd4,
        ],
    ),
    (
        "managers, workers and orphans are watched, ended and reaped by descriptors",
        &[libc::SYS_pidfd_open, libc::SYS_pidfd_send_signal, libc::SYS_waitid, libc::SYS_wait4],
    ),
    (
        "threads and the process end",
        &[libc::SYS_exit, libc::SYS_exit_group, libc::SYS_set_robust_list, libc::SYS_rseq],
    ),
    (
        "it may know what it is, how much it uses and where it runs, and needs random keys",
        &[
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
        ],
    ),
    ("names that this machine has besides for what is above", OLDER_NAMES),
];

#[cfg(target_arch = "x86_64")]
const OLDER_NAMES: &[c_long] = &[
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
    libc::SYS_accept,
    libc::SYS_poll,
    libc::SYS_epoll_wait,
    libc::SYS_dup2,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER_NAMES: &[c_long] = &[libc::SYS_renameat];

/// A call that is made if one of its arguments is as it has to be.
struct Conditional {
    call: c_long,
    /// Which argument counts.
    argument: usize,
    why: &'static str,
    /// What is tried.
    tried: Vec<c_long>,
    /// With which of these it is made.
    is_made: fn(c_long) -> bool,
}

fn own() -> c_long {
    std::process::id().into()
}

/// Every one of these flags alone, none of them, and all.
fn flags() -> Vec<c_long> {
    (0..32).map(|bit| 1 << bit).chain([0, 0xffff_ffff]).collect()
}

fn conditional() -> Vec<Conditional> {
    let of =
        |call, argument, why, tried, is_made| Conditional { call, argument, why, tried, is_made };
    let parent: c_long = std::os::unix::process::parent_id().into();
    let processes = || vec![own(), own() + 1, parent, 1, 0, -1];
    let is_own = |process| process == own();
    let opens_nothing = |flags| flags & c_long::from(libc::MSG_FASTOPEN) == 0;
    let is_no_code = |rights| rights & c_long::from(libc::PROT_EXEC) == 0;
    vec![
        of(libc::SYS_tgkill, 0, "it aborts", processes(), is_own),
        of(
            libc::SYS_rt_tgsigqueueinfo,
            0,
            "it asks for stacks of its threads",
            processes(),
            is_own,
        ),
        of(libc::SYS_prlimit64, 0, "limits of its own", processes(), |process| {
            process == 0 || process == own()
        }),
        of(
            libc::SYS_ioctl,
            1,
            "FIONREAD, TIOCOUTQ, FIONBIO, TCGETS, TIOCGWINSZ: nothing that changes a terminal",
            (0..0x2_0000).collect(),
            |request| [0x541b, 0x5411, 0x5421, 0x5401, 0x5413].contains(&request),
        ),
        of(
            libc::SYS_prctl,
            0,
            "names of threads, processes and memory, and what the program gets back: no filter, no \
             tracer, no capability",
            (0..1_024).chain([0x5356_4d41, 0x5961_6d61]).collect(),
            // PR_GET_DUMPABLE, PR_SET_DUMPABLE, PR_SET_NAME, PR_GET_NAME, PR_SET_MM,
            // PR_SET_CHILD_SUBREAPER, PR_GET_CHILD_SUBREAPER, PR_SET_VMA
            |option| [3, 4, 15, 16, 35, 36, 37, 0x5356_4d41].contains(&option),
        ),
        of(
            libc::SYS_fcntl,
            1,
            "F_SETOWN, F_SETSIG and F_SETOWN_EX would send signals to others",
            (0..2_048).collect(),
            |command| ![8, 10, 15].contains(&command),
        ),
        of(
            libc::SYS_socketpair,
            0,
            "a lane has a socket of two ends",
            (0..128).collect(),
            |family| family == c_long::from(libc::AF_UNIX),
        ),
        of(libc::SYS_sendto, 3, "data that connects is a connect", flags(), opens_nothing),
        of(libc::SYS_sendmsg, 2, "the same", flags(), opens_nothing),
        of(libc::SYS_sendmmsg, 3, "the same", flags(), opens_nothing),
        of(libc::SYS_mmap, 2, "memory is no program", flags(), is_no_code),
        of(libc::SYS_mprotect, 2, "nor becomes one", flags(), is_no_code),
    ]
}

/// By which the kernel's own probes come back (`uretprobe`, `uprobe`). It asks no filter, and ends
/// who makes them by itself.
#[cfg(target_arch = "x86_64")]
const NOT_FILTERED: &[c_long] = &[335, 336];
#[cfg(not(target_arch = "x86_64"))]
const NOT_FILTERED: &[c_long] = &[];

/// The sixth argument of a call that is tried: no call of the test itself has it.
const TRIED: u32 = 0x7e57_ca11;
/// What is answered to a call that was tried and let through. No error has this number.
const LET_THROUGH: i32 = 3_999;
/// Numbers of calls end before that on all machines.
const NUMBERS: c_long = 1_024;
/// Where the numbers of the ABI with pointers of 32 bits begin.
const X32: c_long = 0x4000_0000;

/// From now on no call that is tried is made. A filter that is there later refuses with a signal,
/// which counts more than an answer.
fn make_none() {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const ANSWER: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    /// Of `struct seccomp_data`.
    const NUMBER_AT: u32 = 0;
    const SIXTH_AT: u32 = 56;
    let of = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    // Who was refused comes back from a signal handler, and may have the argument still.
    let comes_back = u32::try_from(libc::SYS_rt_sigreturn).unwrap();
    let through = libc::SECCOMP_RET_ERRNO | LET_THROUGH.unsigned_abs();
    let program = vec![
        of(LOAD, 0, 0, NUMBER_AT),
        of(JUMP_IF_EQUAL, 2, 0, comes_back),
        of(LOAD, 0, 0, SIXTH_AT),
        of(JUMP_IF_EQUAL, 1, 0, TRIED),
        of(ANSWER, 0, 0, libc::SECCOMP_RET_ALLOW),
        of(ANSWER, 0, 0, through),
    ];
    apply_filter_all_threads(&program).unwrap();
}

/// Whether this call would be made, with a zero for all arguments but one.
fn is_let_through(call: c_long, argument: usize, value: c_long) -> bool {
    let mut arguments = [0; 5];
    arguments[argument] = value;
    let [a, b, c, d, e] = arguments;
    let before = refused().0;
    // SAFETY: the kernel does not make it.
    let answer = unsafe { libc::syscall(call, a, b, c, d, e, c_long::from(TRIED)) };
    let error = io::Error::last_os_error().raw_os_error();
    // SAFETY: reads nothing; the sixth argument is not left where another call would have it.
    unsafe { libc::syscall(libc::SYS_gettid, 0, 0, 0, 0, 0, 0) };
    let told = refused();
    match error {
        _ if answer != -1 => panic!("{call} was made, and answered {answer}"),
        Some(LET_THROUGH) => {
            assert_eq!(told.0, before, "{call} {value:#x}");
            true
        }
        Some(libc::EPERM) => {
            let makes_children = super::MAKES_CHILDREN.contains(&call);
            let is_told = told.0 == before + 1 && c_long::from(told.1) == call;
            assert!(is_told || makes_children, "{call} {value:#x} is refused in silence");
            false
        }
        other => panic!("{call} answers {other:?}"),
    }
}

/// What differs from what was written down above: the number of the call, an argument, and what the
/// code does with it.
fn differences() -> Vec<String> {
    let reviewed: BTreeMap<c_long, &str> =
        REVIEWED.iter().flat_map(|(why, calls)| calls.iter().map(|call| (*call, *why))).collect();
    let conditional = conditional();
    let with_conditions: BTreeSet<c_long> = conditional.iter().map(|one| one.call).collect();
    let mut found = Vec::new();
    let others = |call: &c_long| !with_conditions.contains(call) && !NOT_FILTERED.contains(call);
    for call in (0..NUMBERS).chain(X32..X32 + NUMBERS).filter(others) {
        // It brings those back who are refused, which the test would not outlive without it.
        let is_needed = call == libc::SYS_rt_sigreturn;
        match (reviewed.get(&call), is_needed || is_let_through(call, 0, 0)) {
            (None, true) => found.push(format!("call {call} is made, and nobody said why")),
            (Some(why), false) => found.push(format!("call {call} is refused, though {why}")),
            _ => {}
        }
    }
    for Conditional { call, argument, why, tried, is_made } in conditional {
        for value in tried {
            let (is, has_to_be) = (is_let_through(call, argument, value), is_made(value));
            if is != has_to_be {
                found.push(format!("call {call} with {value:#x} is made: {is} ({why})"));
            }
        }
    }
    found
}

#[test]
fn every_call_is_made_or_refused_as_it_was_reviewed() {
    if !is_supported().unwrap() {
        eprintln!("NOT TESTED: this kernel has no seccomp");
        return;
    }
    in_forked_test(|| {
        make_none();
        confine().unwrap();
        assert_eq!(differences(), Vec::<String>::new());
    });
}

#[test]
fn nothing_is_written_down_twice() {
    let mut seen = BTreeSet::new();
    let reviewed = REVIEWED.iter().flat_map(|(_, calls)| calls.iter().copied());
    for call in reviewed.chain(conditional().iter().map(|one| one.call)) {
        assert!(seen.insert(call), "{call}");
    }
}
