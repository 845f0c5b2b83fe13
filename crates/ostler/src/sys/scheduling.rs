//! Where and how eagerly this process is run, and how soon it is killed when memory is out.

use std::fs::OpenOptions;
use std::io::{self, Write as _};

use rustix::thread::CpuSet;

use super::process;

/// `sched_getaffinity(2)` — the processors on which this thread may run.
pub(crate) fn allowed_cpus() -> io::Result<Vec<u16>> {
    let set = rustix::thread::sched_getaffinity(None)?;
    let all = 0..u16::try_from(CpuSet::MAX_CPU).unwrap_or(u16::MAX);
    Ok(all.filter(|cpu| set.is_set(usize::from(*cpu))).collect())
}

/// `sched_setaffinity(2)` — this thread runs on these processors only. Inherited by fork and exec.
pub(crate) fn run_on(cpus: &[u16]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for cpu in cpus.iter().map(|cpu| usize::from(*cpu)).filter(|cpu| *cpu < CpuSet::MAX_CPU) {
        set.set(cpu);
    }
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}

/// `getpriority(2)` — how nice this process is.
pub(crate) fn niceness() -> io::Result<i32> {
    Ok(rustix::process::getpriority_process(None)?)
}

/// `setpriority(2)` — makes this process so nice. Less nice than it is only with `CAP_SYS_NICE`.
pub(crate) fn set_niceness(nice: i32) -> io::Result<()> {
    Ok(rustix::process::setpriority_process(None, nice)?)
}

/// `nice(2)` — lets others go first.
pub(crate) fn be_nice() -> io::Result<()> {
    const NICE: i32 = 10;
    Ok(rustix::process::nice(NICE).map(drop)?)
}

const ADJUSTMENT: &str = "/proc/self/oom_score_adj";

/// `/proc/self/oom_score_adj` — how much sooner (or later) than by its memory this process is
/// killed.
pub(crate) fn oom_adjustment() -> io::Result<i32> {
    let text = std::fs::read_to_string(ADJUSTMENT)?;
    text.trim().parse().map_err(|_| io::ErrorKind::InvalidData.into())
}

/// `/proc/self/oom_score_adj` — sets it. Lower than it ever was only with `CAP_SYS_RESOURCE`.
///
/// The file of a process that is not dumpable is root's: one of another user is dumpable for this
/// moment.
pub(crate) fn set_oom_adjustment(adjustment: i32) -> io::Result<()> {
    match write_adjustment(adjustment) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let before = process::dumping();
            if before.is_allowed() {
                return Err(error);
            }
            process::Dumping::of(true).restore()?;
            let written = write_adjustment(adjustment);
            before.restore()?;
            written
        }
        other => other,
    }
}

fn write_adjustment(adjustment: i32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(ADJUSTMENT)?;
    file.write_all(adjustment.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::{forbid_dumping, in_forked_test};

    #[test]
    fn a_process_runs_where_it_is_told_to() {
        in_forked_test(|| {
            let all = allowed_cpus().unwrap();
            let last = *all.last().unwrap();
            run_on(&[last]).unwrap();
            assert_eq!(allowed_cpus().unwrap(), [last]);
            assert!(run_on(&[]).is_err());
        });
    }

    #[test]
    fn a_process_may_become_nicer_and_a_likelier_victim_also_when_it_is_closed() {
        in_forked_test(|| {
            let nice = (niceness().unwrap() + 1).min(19);
            set_niceness(nice).unwrap();
            assert_eq!(niceness().unwrap(), nice);
            forbid_dumping().unwrap();
            let adjustment = (oom_adjustment().unwrap() + 1).min(1_000);
            set_oom_adjustment(adjustment).unwrap();
            assert_eq!(oom_adjustment().unwrap(), adjustment);
            assert!(!process::dumping().is_allowed());
        });
    }
}
