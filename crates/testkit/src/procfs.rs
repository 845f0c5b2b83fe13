//! Reading `/proc`: the few lines the kit needs, as text parsers without system calls of their own.

use std::fs;

/// The fields of `/proc/PID/stat` that the kit uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: u32,
    pub(crate) comm: String,
    pub(crate) state: char,
    pub(crate) parent: u32,
    pub(crate) group: u32,
    pub(crate) session: u32,
    /// In clock ticks since boot. Together with the pid it names one process for ever.
    pub(crate) started: u64,
}

impl Stat {
    /// Neither a zombie nor dead.
    pub(crate) fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// Parses the line. The name may hold spaces and parentheses, so the last `)` ends it.
    fn parse(line: &str) -> Option<Self> {
        let (head, rest) = line.rsplit_once(')')?;
        let (pid, comm) = head.split_once(" (")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        Some(Self {
            pid: pid.parse().ok()?,
            comm: comm.to_owned(),
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }
}

/// The state of one process, or `None` when it is gone.
pub(crate) fn stat(pid: u32) -> Option<Stat> {
    let bytes = fs::read(format!("/proc/{pid}/stat")).ok()?;
    Stat::parse(&String::from_utf8_lossy(&bytes))
}

/// Every process of this machine, zombies included.
pub(crate) fn all_stats() -> Vec<Stat> {
    pids().into_iter().filter_map(stat).collect()
}

fn pids() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// The value of `key` in the environment a process was started with; `None` also when it may not be
/// read.
pub(crate) fn environment_value(pid: u32, key: &str) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).ok()?;
    bytes.split(|byte| *byte == 0).find_map(|entry| {
        let (name, value) = std::str::from_utf8(entry).ok()?.split_once('=')?;
        (name == key).then(|| value.to_owned())
    })
}

/// What the descriptors of a process point to, in the order of the descriptors. Empty when the
/// process is gone.
pub(crate) fn links_of_descriptors(pid: u32) -> Vec<(u32, String)> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let mut links: Vec<(u32, String)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let number = entry.file_name().to_str()?.parse().ok()?;
            let target = fs::read_link(entry.path()).ok()?;
            Some((number, target.to_string_lossy().into_owned()))
        })
        .collect();
    links.sort_unstable();
    links
}

/// The value of a `Name: 123 ...` line as found in `status` and `smaps_rollup`.
pub(crate) fn labelled_number(text: &str, label: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let line = "7 (a) b (c) S 3 4 5 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 987 1 2 3";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.pid, stat.comm.as_str(), stat.state), (7, "a) b (c", 'S'));
        assert_eq!((stat.parent, stat.group, stat.session), (3, 4, 5));
        assert_eq!(stat.started, 987);
    }

    #[test]
    fn this_process_is_found_alive() {
        let me = std::process::id();
        let stat = all_stats().into_iter().find(|stat| stat.pid == me).unwrap();
        assert!(stat.is_alive());
    }

    #[test]
    fn labelled_lines_give_their_number() {
        let text = "Rss:   12 kB\nPss:    7 kB\nPss_Anon: 3 kB\n";
        assert_eq!(labelled_number(text, "Pss"), Some(7));
        assert_eq!(labelled_number(text, "Swap"), None);
    }
}
