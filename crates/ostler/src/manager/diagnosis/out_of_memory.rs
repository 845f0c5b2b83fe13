//! Whether the kernel has killed for lack of memory: its counters, for this cgroup and for the
//! machine.

use std::fs;
use std::path::PathBuf;

/// The counters as they were read last.
#[derive(Debug)]
pub(super) struct OutOfMemory {
    of_cgroup: Option<PathBuf>,
    cgroup: Option<u64>,
    machine: Option<u64>,
}

impl OutOfMemory {
    pub(super) fn new() -> Self {
        let of_cgroup = fs::read_to_string("/proc/self/cgroup").ok();
        let of_cgroup = of_cgroup.as_deref().and_then(events_of);
        let mut counters = Self { of_cgroup, cgroup: None, machine: None };
        counters.look();
        counters
    }

    /// Who ran out of memory since the last look, if somebody was killed for it. It may have been
    /// another process of the same cgroup or machine, that died at about the same time.
    pub(super) fn look(&mut self) -> Option<&'static str> {
        let read = |path: &PathBuf| fs::read_to_string(path).ok();
        let cgroup = self.of_cgroup.as_ref().and_then(read);
        let cgroup = cgroup.as_deref().and_then(kills_in);
        let machine = read(&PathBuf::from("/proc/vmstat"));
        let machine = machine.as_deref().and_then(kills_in);
        let has_grown = |before: Option<u64>, now: Option<u64>| {
            before.zip(now).is_some_and(|(before, now)| now > before)
        };
        let whose = match (has_grown(self.cgroup, cgroup), has_grown(self.machine, machine)) {
            (true, _) => Some("its cgroup"),
            (false, true) => Some("the machine or another cgroup"),
            (false, false) => None,
        };
        (self.cgroup, self.machine) = (cgroup, machine);
        whose
    }
}

/// Where the events of the cgroup stand, from `/proc/self/cgroup`: of version 2, or of the memory
/// controller of version 1.
fn events_of(text: &str) -> Option<PathBuf> {
    text.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (hierarchy, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let within = path.trim_start_matches('/');
        let root = PathBuf::from("/sys/fs/cgroup");
        if controllers.split(',').any(|controller| controller == "memory") {
            return Some(root.join("memory").join(within).join("memory.oom_control"));
        }
        (hierarchy == "0").then(|| root.join(within).join("memory.events"))
    })
}

/// The number behind `oom_kill`.
fn kills_in(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_and_read() {
        let text = "low 0\noom 2\noom_kill 17\noom_group_kill 1\n";
        assert_eq!((kills_in(text), kills_in("oom_kill_disable 0\n")), (Some(17), None));
        let path = |text| events_of(text).map(|path| path.display().to_string());
        let unified = path("0::/system.slice/x.service\n");
        assert_eq!(unified.unwrap(), "/sys/fs/cgroup/system.slice/x.service/memory.events");
        let hybrid = path("5:cpu:/a\n4:memory:/a/b\n0::/c\n");
        assert_eq!(hybrid.unwrap(), "/sys/fs/cgroup/memory/a/b/memory.oom_control");
        assert_eq!(path("5:cpu:/a\n"), None);
    }

    #[test]
    fn only_a_counter_that_has_grown_tells() {
        let path = std::env::temp_dir().join(format!("ostler-oom-{}", std::process::id()));
        fs::write(&path, "oom_kill 3\n").unwrap();
        let mut counters =
            OutOfMemory { of_cgroup: Some(path.clone()), cgroup: None, machine: Some(u64::MAX) };
        assert_eq!(counters.look(), None, "it was not known before");
        assert_eq!(counters.look(), None);
        fs::write(&path, "oom_kill 4\n").unwrap();
        assert_eq!((counters.look(), counters.look()), (Some("its cgroup"), None));
        fs::remove_file(&path).unwrap();
        assert_eq!(counters.look(), None);
    }
}
