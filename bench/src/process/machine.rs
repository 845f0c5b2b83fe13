//! How busy the whole machine is: tells a quiet measurement from a disturbed one.

use crate::{Error, Result};

/// Nanoseconds of a clock tick in /proc/stat: USER_HZ is 100 on Linux, whatever the kernel's own
/// HZ.
const TICK_NS: u64 = 10_000_000;

/// The machine's CPU clock.
#[derive(Debug, Clone, Copy)]
pub struct MachineBusy {
    /// CPU time that anybody used since boot, over all CPUs, time stolen by the hypervisor
    /// included.
    pub busy_ns: u64,
    /// CPUs that are online.
    pub cpus: usize,
}

/// Reads the machine's CPU clock, which ticks every 10 ms.
pub fn machine_busy() -> Result<MachineBusy> {
    let text = std::fs::read_to_string("/proc/stat").map_err(Error::system("read /proc/stat"))?;
    let ticks = busy_ticks(&text).ok_or_else(|| Error::usage("cannot parse /proc/stat"))?;
    let cpus = text.lines().skip(1).take_while(|line| line.starts_with("cpu")).count();
    Ok(MachineBusy { busy_ns: ticks * TICK_NS, cpus })
}

/// Sum of the first line of proc_stat(5) without idle, iowait and the guest times (which user and
/// nice contain).
fn busy_ticks(text: &str) -> Option<u64> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> =
        line.split_ascii_whitespace().map_while(|field| field.parse().ok()).collect();
    let [user, nice, system, _idle, _iowait, irq, softirq, steal, ..] = fields[..] else {
        return None;
    };
    Some(user + nice + system + irq + softirq + steal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_does_not_count() {
        let text = "cpu  1 20 300 99999 99999 4000 50000 600000 7 8\ncpu0 1 2 3";
        assert_eq!(busy_ticks(text), Some(654_321));
        assert_eq!(busy_ticks("cpu  1 2 3"), None);
        assert_eq!(busy_ticks("intr 1"), None);
        let machine = machine_busy().unwrap();
        assert!(machine.busy_ns > 0 && machine.cpus >= 1);
    }
}
