//! Deny: starts a program that gets an error from one system call, as under a container's seccomp
//! profile. For the process tests.
//!
//! ```text
//! deny CALL ENOSYS|EPERM PROGRAM ARGUMENT...
//! ```
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

fn number(call: &str) -> io::Result<u32> {
    let number = match call {
        "epoll_pwait2" => libc::SYS_epoll_pwait2,
        "close_range" => libc::SYS_close_range,
        "sched_setscheduler" => libc::SYS_sched_setscheduler,
        "prlimit64" => libc::SYS_prlimit64,
        "seccomp" => libc::SYS_seccomp,
        "landlock_create_ruleset" => libc::SYS_landlock_create_ruleset,
        "ioctl" => libc::SYS_ioctl,
        _ => return Err(io::Error::other(format!("`{call}` is not in the list"))),
    };
    u32::try_from(number).map_err(io::Error::other)
}

fn instruction(code: u32, k: u32, jump_if_false: u8) -> libc::sock_filter {
    // The codes of classic BPF fit into 16 bits.
    libc::sock_filter { code: code as u16, jt: 0, jf: jump_if_false, k }
}

/// `seccomp(2)` by `prctl(2)`: from now on the call answers `errno`, also behind an exec.
fn deny(call: u32, errno: i32) -> io::Result<()> {
    let refuse = libc::SECCOMP_RET_ERRNO | errno.unsigned_abs();
    let mut filter = [
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call, 1),
        instruction(libc::BPF_RET | libc::BPF_K, refuse, 0),
        instruction(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0),
    ];
    let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
    // SAFETY: both calls change this process only; `program` and its filter are valid and read.
    let refused = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) != 0
    };
    if refused { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let call = number(&arguments.next().unwrap_or_default())?;
    let errno = match arguments.next().as_deref() {
        Some("ENOSYS") => libc::ENOSYS,
        Some("EPERM") => libc::EPERM,
        other => return Err(io::Error::other(format!("{other:?} is no error to answer"))),
    };
    let program = arguments.next().unwrap_or_default();
    deny(call, errno)?;
    Err(Command::new(program).args(arguments).exec())
}
