//! Processes: fork, what a child keeps, and the attributes that decide how processes end.
#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::num::NonZeroI32;
use std::os::fd::{AsRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::unistd::ForkResult;
use rustix::process::{DumpableBehavior, Pid, Signal};

use super::descriptor;

/// Exit code of a child whose code panicked, as the Rust runtime has it.
pub(crate) const EXIT_PANIC: i32 = 101;

/// A process number. Only good for logs, for [`super::pidfd::PidFd::open`] and for comparison with
/// [`parent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ProcessId(NonZeroI32);

impl ProcessId {
    /// A process number from a message or from `/proc`; `None` for 0 and less, which never name a
    /// process.
    pub(crate) fn new(number: i32) -> Option<Self> {
        NonZeroI32::new(number).filter(|number| number.is_positive()).map(Self)
    }

    /// The number.
    pub(crate) const fn get(self) -> i32 {
        self.0.get()
    }

    pub(crate) fn to_rustix(self) -> Pid {
        // Positive by construction, so this never takes the other branch.
        Pid::from_raw(self.0.get()).unwrap_or(Pid::INIT)
    }

    fn from_rustix(pid: Pid) -> Self {
        Self(pid.as_raw_nonzero())
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `getpid(2)` — this process.
pub(crate) fn current() -> ProcessId {
    ProcessId::from_rustix(rustix::process::getpid())
}

/// `getppid(2)` — our parent now; `None` when it is outside our PID namespace.
pub(crate) fn parent() -> Option<ProcessId> {
    rustix::process::getppid().map(ProcessId::from_rustix)
}

/// `/proc/PID/stat` — the parent of another process now; `None` when it is outside our PID
/// namespace.
pub(crate) fn parent_of(process: ProcessId) -> io::Result<Option<ProcessId>> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name is in parentheses and may have any characters; the state is behind it.
    let parent = stat
        .rsplit_once(')')
        .and_then(|(_, fields)| fields.split_ascii_whitespace().nth(1))
        .and_then(|number| number.parse().ok())
        .ok_or(io::ErrorKind::InvalidData)?;
    Ok(ProcessId::new(parent))
}

/// `/proc/self/task` — number of threads of this process.
pub(crate) fn thread_count() -> io::Result<usize> {
    Ok(std::fs::read_dir("/proc/self/task")?.count())
}

/// A fork was refused because this process has so many threads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooManyThreads(pub(crate) usize);

impl fmt::Display for TooManyThreads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this process has {} threads", self.0)
    }
}

impl std::error::Error for TooManyThreads {}

/// Refuses a fork of a process with more than one thread. Where they cannot be counted (no `/proc`)
/// the caller's word has to do.
pub(super) fn refuse_threads() -> io::Result<()> {
    match thread_count() {
        Ok(1) | Err(_) => Ok(()),
        Ok(threads) => Err(io::Error::other(TooManyThreads(threads))),
    }
}

/// How a child ends when its code has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitBy {
    /// `_exit(2)`: at once. For our own processes: exit handlers that the program registered are
    /// not theirs.
    Immediately,
    /// `exit(3)`: exit handlers run and standard output is flushed. For workers, which run user
    /// code.
    Handlers,
}

/// `fork(2)` — starts a child that keeps exactly `keep` and the standard descriptors, runs `child`,
/// and exits with its result.
///
/// Refused when this process has more than one thread: the child would have only this one, and
/// every lock that another one held would stay locked. The child closes what is not in `keep` first
/// of all, whoever owned it; so `child` may use only descriptors in `keep`. It never returns into
/// the frames of the caller, so nothing of the parent is dropped there. In the parent `child` is
/// dropped with all it owns, also when the fork fails: that is how the parent closes what now
/// belongs to the child.
pub(crate) fn fork_child(
    keep: &[RawFd],
    exit_by: ExitBy,
    child: impl FnOnce() -> i32,
) -> io::Result<ProcessId> {
    refuse_threads()?;
    let mut keep = [keep, &[0, 1, 2]].concat();
    keep.sort_unstable();
    // SAFETY: this process has one thread (checked just above; nobody else can start one
    // meanwhile), so no lock is held by a thread that the child lacks, and the child may do
    // whatever the parent may.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child: pid } => {
            drop(child);
            ProcessId::new(pid.as_raw()).ok_or_else(|| io::ErrorKind::InvalidData.into())
        }
        ForkResult::Child => {
            // SAFETY: the child has one thread.
            unsafe { descriptor::forget_passed() };
            let code = match close_all_except(&keep) {
                Ok(()) => catch_unwind(AssertUnwindSafe(child)).unwrap_or(EXIT_PANIC),
                Err(_) => EXIT_PANIC,
            };
            match exit_by {
                ExitBy::Handlers => std::process::exit(code),
                ExitBy::Immediately => exit_immediately(code),
            }
        }
    }
}

/// `_exit(2)` — ends the process at once, without exit handlers.
pub(crate) fn exit_immediately(code: i32) -> ! {
    // SAFETY: `_exit` has no precondition; it does not return, so nothing can observe a half-ended
    // process.
    unsafe { libc::_exit(code) }
}

/// `close_range(2)` over the gaps between the descriptors of `keep`, which is sorted.
fn close_all_except(keep: &[RawFd]) -> io::Result<()> {
    let mut first: u32 = 0;
    for &descriptor in keep {
        let Ok(kept) = u32::try_from(descriptor) else { continue };
        if first < kept {
            close_range(first, kept.saturating_sub(1))?;
        }
        first = first.max(kept.saturating_add(1));
    }
    close_range(first, u32::MAX)
}

fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: called only in a forked child, before any of its code runs. Objects that own these
    // descriptors are in frames of the parent, which the child never returns to (see `fork_child`),
    // so nobody uses or closes them again.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0_u32) };
    if result == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        // A kernel before 5.9, or a seccomp profile that does not know the call.
        error if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
            close_one_by_one(first, last)
        }
        error => Err(error),
    }
}

/// `close(2)` — closes what is open from `first` to `last`.
fn close_one_by_one(first: u32, last: u32) -> io::Result<()> {
    for descriptor in open_descriptors()? {
        if u32::try_from(descriptor).is_ok_and(|number| (first..=last).contains(&number)) {
            // SAFETY: as in `close_range`.
            unsafe { libc::close(descriptor) };
        }
    }
    Ok(())
}

/// The descriptors that are open in this process, sorted.
pub(crate) fn open_descriptors() -> io::Result<Vec<RawFd>> {
    listed_descriptors().or_else(|_| Ok(tried_descriptors()))
}

/// `fcntl(2)`, `F_GETFD` — finds them without `/proc`, by asking for every number below the limit.
fn tried_descriptors() -> Vec<RawFd> {
    const MOST: u64 = 1 << 20;
    let limit = super::limit::descriptors().ok().and_then(|limit| limit.current);
    let end = limit.unwrap_or(MOST).min(MOST);
    let end = RawFd::try_from(end).unwrap_or(RawFd::MAX);
    // SAFETY: asks for the flags of a number; one that is not open answers EBADF.
    (0..end).filter(|number| unsafe { libc::fcntl(*number, libc::F_GETFD) } >= 0).collect()
}

/// `/proc/self/fd` — the descriptors that are open in this process, sorted, without the one used to
/// look.
fn listed_descriptors() -> io::Result<Vec<RawFd>> {
    let directory = rustix::fs::open(
        "/proc/self/fd",
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?;
    let own = directory.as_raw_fd();
    let mut buffer = Vec::with_capacity(4096);
    let mut entries = rustix::fs::RawDir::new(&directory, buffer.spare_capacity_mut());
    let mut descriptors = Vec::new();
    while let Some(entry) = entries.next() {
        let number = entry?.file_name().to_str().ok().and_then(|name| name.parse::<RawFd>().ok());
        descriptors.extend(number.filter(|&number| number != own));
    }
    descriptors.sort_unstable();
    Ok(descriptors)
}

/// `prctl(2)`, `PR_SET_PDEATHSIG` — the kernel kills this process when its parent ends.
///
/// Cleared by fork and by set*id, so: in the child, after privileges are dropped. A parent that had
/// ended before is not noticed; check afterwards.
pub(crate) fn die_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// `prctl(2)`, `PR_SET_PDEATHSIG` — the kernel lets this process go on (SIGCONT) when its parent
/// ends, if it was stopped.
///
/// Cleared by fork, and replaced by [`die_with_parent`].
pub(crate) fn go_on_without_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(Signal::CONT))?)
}

/// Whether this process is dumpable, to be put back later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dumping(DumpableBehavior);

/// `prctl(2)`, `PR_GET_DUMPABLE` — tells whether processes of the same user can open our memory and
/// descriptors. Where it cannot be asked the careful answer is no.
pub(crate) fn dumping() -> Dumping {
    Dumping(rustix::process::dumpable_behavior().unwrap_or(DumpableBehavior::NotDumpable))
}

impl Dumping {
    /// Whether processes of the same user can open it.
    pub(crate) fn is_allowed(self) -> bool {
        self.0 == DumpableBehavior::Dumpable
    }

    /// The opposite way.
    pub(crate) const fn of(is_allowed: bool) -> Self {
        Self(if is_allowed { DumpableBehavior::Dumpable } else { DumpableBehavior::NotDumpable })
    }

    /// `prctl(2)`, `PR_SET_DUMPABLE` — puts it back. "Readable by root" cannot be set by a process,
    /// so whoever was that stays not dumpable.
    pub(crate) fn restore(self) -> io::Result<()> {
        let behaviour = match self.0 {
            DumpableBehavior::Dumpable => DumpableBehavior::Dumpable,
            _ => DumpableBehavior::NotDumpable,
        };
        Ok(rustix::process::set_dumpable_behavior(behaviour)?)
    }
}

/// `prctl(2)`, `PR_SET_DUMPABLE` 0 — processes of the same user can open neither our memory nor our
/// descriptors.
///
/// Inherited by fork, ended by exec. Costs core dumps.
pub(crate) fn forbid_dumping() -> io::Result<()> {
    Ok(rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// `prctl(2)`, `PR_SET_CHILD_SUBREAPER` — orphans among our descendants become our children. Not
/// inherited.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    set_adopts_orphans(true)
}

/// `prctl(2)`, `PR_SET_CHILD_SUBREAPER` — as [`adopt_orphans`], or the end of it. Who was adopted
/// stays our child.
pub(crate) fn set_adopts_orphans(adopts: bool) -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(adopts.then(rustix::process::getpid))?)
}

/// `prctl(2)`, `PR_GET_CHILD_SUBREAPER` — whether orphans among our descendants become our
/// children.
pub(crate) fn adopts_orphans() -> bool {
    matches!(rustix::process::child_subreaper(), Ok(Some(_)))
}

/// `sched_setscheduler(2)`, `SCHED_BATCH` — waking this process preempts nobody.
///
/// Programs that it starts inherit the policy: the kernel's `SCHED_RESET_ON_FORK` takes back
/// real-time policies and raised priorities only.
pub(crate) fn schedule_as_batch() -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: pid 0 is the calling thread, `parameters` is a valid struct that the kernel only
    // reads.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Runs `test` in a forked process of its own, which may change signals, names and limits as it
/// likes.
///
/// # Panics
///
/// When `test` panics or has not ended within 60 s.
#[cfg(test)]
pub(crate) fn in_forked_test(test: impl FnOnce()) {
    use std::time::{Duration, Instant};

    // SAFETY: other threads of the test harness may hold locks, which stay locked in the child.
    // glibc makes its allocator usable there, and messages go to descriptor 2 without a lock. With
    // nextest, which runs each test in a process of its own, the other thread only waits. With
    // `cargo test` a test that fails meanwhile (it holds the lock of the panic hook) can make this
    // one hang until it is killed and fails too.
    match unsafe { nix::unistd::fork() }.unwrap() {
        ForkResult::Parent { child } => {
            let pidfd = super::pidfd::PidFd::open(ProcessId::new(child.as_raw()).unwrap()).unwrap();
            let deadline = Instant::now() + Duration::from_secs(60);
            while !pidfd.has_ended().unwrap() {
                if Instant::now() > deadline {
                    pidfd.kill().unwrap();
                    panic!("the forked test did not end");
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            let exit = pidfd.try_reap().unwrap();
            assert_eq!(exit, Some(ostler_core::supervisor::Exit::Code(0)), "see above");
        }
        ForkResult::Child => {
            std::panic::set_hook(Box::new(|info| {
                let line = format!("[forked test, pid {}] {info}\n", std::process::id());
                let _ = rustix::io::write(std::io::stderr(), line.as_bytes());
            }));
            let code = catch_unwind(AssertUnwindSafe(test)).map_or(EXIT_PANIC, |()| 0);
            exit_immediately(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pidfd::PidFd;
    use super::super::{eventfd, poll};
    use super::*;
    use ostler_core::supervisor::Exit;
    use std::os::fd::AsFd;

    fn reap(pid: ProcessId) -> Exit {
        let pidfd = PidFd::open(pid).unwrap();
        assert_eq!(poll::wait_readable([pidfd.as_fd()], None).unwrap(), [true]);
        pidfd.try_reap().unwrap().unwrap()
    }

    #[test]
    fn a_process_with_threads_cannot_fork() {
        let parked = std::thread::spawn(std::thread::park);
        assert!(fork_child(&[], ExitBy::Immediately, || 0).is_err());
        parked.thread().unpark();
        parked.join().unwrap();
    }

    #[test]
    fn descriptors_are_found_and_closed_without_proc_and_close_range() {
        in_forked_test(|| {
            let bells: Vec<_> = (0..5).map(|_| eventfd::create().unwrap()).collect();
            assert_eq!(tried_descriptors(), listed_descriptors().unwrap());
            let from = u32::try_from(bells[1].as_raw_fd()).unwrap();
            let to = u32::try_from(bells[3].as_raw_fd()).unwrap();
            close_one_by_one(from, to).unwrap();
            let left = listed_descriptors().unwrap();
            assert!(left.contains(&bells[0].as_raw_fd()) && left.contains(&bells[4].as_raw_fd()));
            assert!(bells[1..=3].iter().all(|bell| !left.contains(&bell.as_raw_fd())));
            bells.into_iter().for_each(std::mem::forget);
        });
    }

    #[test]
    fn the_child_keeps_exactly_its_list() {
        in_forked_test(|| {
            let bells: Vec<_> = (0..20).map(|_| eventfd::create().unwrap()).collect();
            let kept = bells[7].as_raw_fd();
            let pid = fork_child(&[kept], ExitBy::Immediately, || {
                let expected = vec![0, 1, 2, kept];
                i32::from(open_descriptors().unwrap() != expected)
            });
            assert_eq!(reap(pid.unwrap()), Exit::Code(0));
        });
    }

    #[test]
    fn the_parent_drops_what_belongs_to_the_child() {
        in_forked_test(|| {
            let bell = eventfd::create().unwrap();
            let number = bell.as_raw_fd();
            let pid = fork_child(&[number], ExitBy::Handlers, move || {
                i32::from(eventfd::ring(&bell).is_err())
            });
            assert!(!open_descriptors().unwrap().contains(&number));
            assert_eq!(reap(pid.unwrap()), Exit::Code(0));
        });
    }

    #[test]
    fn ends_are_told_apart() {
        in_forked_test(|| {
            let exits = fork_child(&[], ExitBy::Immediately, || 7).unwrap();
            assert_eq!(reap(exits), Exit::Code(7));
            let panics = fork_child(&[], ExitBy::Immediately, || panic!("on purpose")).unwrap();
            assert_eq!(reap(panics), Exit::Code(EXIT_PANIC));
            let sleeps = fork_child(&[], ExitBy::Immediately, || {
                std::thread::sleep(std::time::Duration::from_secs(60));
                0
            });
            let pidfd = PidFd::open(sleeps.unwrap()).unwrap();
            assert_eq!(pidfd.try_reap().unwrap(), None);
            pidfd.kill().unwrap();
            assert_eq!(poll::wait_readable([pidfd.as_fd()], None).unwrap(), [true]);
            let exit = pidfd.try_reap().unwrap();
            assert_eq!(exit, Some(Exit::Signal { signal: libc::SIGKILL, core_dumped: false }));
            assert!(pidfd.try_reap().is_err(), "reaped only once");
        });
    }

    /// By then its number may be a stranger's.
    #[test]
    fn a_signal_to_who_was_reaped_reaches_nobody() {
        in_forked_test(|| {
            let pid = fork_child(&[], ExitBy::Immediately, || 0).unwrap();
            let pidfd = PidFd::open(pid).unwrap();
            assert_eq!(reap(pid), Exit::Code(0));
            let error = pidfd.kill().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
        });
    }

    #[test]
    fn batch_policy_and_no_dumping_are_accepted() {
        in_forked_test(|| {
            schedule_as_batch().unwrap();
            forbid_dumping().unwrap();
            adopt_orphans().unwrap();
            go_on_without_parent().unwrap();
            die_with_parent().unwrap();
            assert_eq!(thread_count().unwrap(), 1);
            assert!(parent().is_some_and(|parent| parent != current()));
        });
    }
}
