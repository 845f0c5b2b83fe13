//! This process's own shared memory and bells, past all that the library allows.

use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;

/// Shared memory of this process: its files are closed, but it is mapped.
pub(crate) struct Memory {
    all: File,
    at: u64,
}

impl Memory {
    pub(crate) fn open(name: &str) -> Option<Self> {
        let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
        let lines: Vec<_> = maps.lines().filter(|line| line.contains(name)).collect();
        let file = |line: &str| line.split_whitespace().nth(4).map(str::to_owned);
        // In BASE mode a process has mapped both ends of its own lanes, and one of those to the
        // switch.
        let ends = |line: &&&str| lines.iter().filter(|other| file(other) == file(line)).count();
        let line = lines.iter().min_by_key(ends)?;
        let at = u64::from_str_radix(line.split_once('-')?.0, 16).ok()?;
        let all = OpenOptions::new().read(true).write(true).open("/proc/self/mem").ok()?;
        Some(Self { all, at })
    }

    pub(crate) fn write(&self, bytes: &[u8], at: u64) -> std::io::Result<()> {
        self.all.write_all_at(bytes, self.at + at)
    }

    pub(crate) fn read(&self, bytes: &mut [u8], at: u64) -> std::io::Result<()> {
        self.all.read_exact_at(bytes, self.at + at)
    }

    /// Writes a word; what cannot be written is not.
    pub(crate) fn put(&self, at: u64, value: u64) {
        let _ = self.write(&value.to_le_bytes(), at);
    }

    /// Reads a word; 0 when it cannot be read.
    pub(crate) fn get(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        let _ = self.read(&mut bytes, at);
        u64::from_le_bytes(bytes)
    }
}

/// Every eventfd of this process: its own bell and those of its lanes.
pub(crate) fn bells() -> Vec<OwnedFd> {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    let Ok(own) = pidfd_open(getpid(), PidfdFlags::empty()) else { return Vec::new() };
    descriptors()
        .into_iter()
        .filter(|(_, target)| target.contains("eventfd"))
        .filter_map(|(number, _)| pidfd_getfd(&own, number, PidfdGetfdFlags::empty()).ok())
        .collect()
}

/// The link by which this process passes files to a reactor: its packet sockets that the manager
/// did not make, in the order of the reactors.
pub(crate) fn file_link(reactor: usize) -> Option<OwnedFd> {
    use rustix::net::{SocketType, sockopt};
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, getppid, pidfd_getfd, pidfd_open};
    let own = pidfd_open(getpid(), PidfdFlags::empty()).ok()?;
    let sockets = descriptors().into_iter().filter(|(_, target)| target.starts_with("socket:"));
    let links = sockets.filter_map(|(number, _)| {
        let socket = pidfd_getfd(&own, number, PidfdGetfdFlags::empty()).ok()?;
        let is_packet = sockopt::socket_type(&socket).ok()? == SocketType::SEQPACKET;
        let maker = sockopt::socket_peercred(&socket).ok()?.pid;
        (is_packet && Some(maker) != getppid()).then_some(socket)
    });
    links.into_iter().nth(reactor)
}

pub(crate) fn ring_all(bells: &[OwnedFd]) {
    for bell in bells {
        let _ = rustix::io::write(bell, &1u64.to_ne_bytes());
    }
}

/// Numbers and targets of this process's descriptors.
fn descriptors() -> Vec<(i32, String)> {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let mut found: Vec<(i32, String)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let number = entry.file_name().to_str()?.parse().ok()?;
            let target = std::fs::read_link(entry.path()).ok()?;
            Some((number, target.to_string_lossy().into_owned()))
        })
        .collect();
    found.sort_unstable();
    found
}
