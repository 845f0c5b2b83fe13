//! Capabilities: what of the rights of root a process has. All calls are about the calling thread,
//! so for processes that have one.

use std::io;

use rustix::thread::{self, CapabilitySet, CapabilitySets};

/// The bit of `CAP_KILL`.
pub(crate) const KILL: u64 = CapabilitySet::KILL.bits();
/// The bit of `CAP_SETGID`.
pub(crate) const SETGID: u64 = CapabilitySet::SETGID.bits();
/// The bit of `CAP_SETUID`.
pub(crate) const SETUID: u64 = CapabilitySet::SETUID.bits();
/// The bit of `CAP_SETPCAP`.
pub(crate) const SETPCAP: u64 = CapabilitySet::SETPCAP.bits();
/// The bit of `CAP_SYS_CHROOT`.
pub(crate) const SYS_CHROOT: u64 = CapabilitySet::SYS_CHROOT.bits();
/// The bit of `CAP_SYS_NICE`.
pub(crate) const SYS_NICE: u64 = CapabilitySet::SYS_NICE.bits();
/// The bit of `CAP_SYS_RESOURCE`.
pub(crate) const SYS_RESOURCE: u64 = CapabilitySet::SYS_RESOURCE.bits();

/// The bit of the capability with this name, with or without `CAP_` in front.
pub(crate) fn named(name: &str) -> Option<u64> {
    let name = name.to_ascii_uppercase();
    let name = name.strip_prefix("CAP_").unwrap_or(&name);
    CapabilitySet::from_name(name).map(|capability| capability.bits())
}

/// The names of these bits.
pub(crate) fn names(bits: u64) -> Vec<String> {
    let set = CapabilitySet::from_bits_retain(bits);
    set.iter_names().map(|(name, _)| name.to_ascii_lowercase()).collect()
}

/// `capget(2)` — the bits that this process can use.
pub(crate) fn effective() -> io::Result<u64> {
    Ok(thread::capabilities(None)?.effective.bits())
}

/// `prctl(2)`, `PR_SET_KEEPCAPS` — whether what is permitted stays so when this process becomes
/// another user's. Ended by exec.
pub(crate) fn survive_change_of_user(stays: bool) -> io::Result<()> {
    Ok(thread::set_keep_capabilities(stays)?)
}

/// `prctl(2)`, `PR_CAPBSET_DROP` — no program that this process executes has others than these,
/// whoever owns it. Does nothing without `CAP_SETPCAP`.
pub(crate) fn bound(keep: u64) -> io::Result<()> {
    if effective()? & SETPCAP == 0 {
        return Ok(());
    }
    for bit in 0..u64::BITS {
        let Some(one) = 1_u64.checked_shl(bit).filter(|one| keep & one == 0) else { continue };
        let capability = CapabilitySet::from_bits_retain(one);
        match thread::capability_is_in_bounding_set(capability) {
            Ok(true) => thread::remove_capability_from_bounding_set(capability)?,
            Ok(false) => {}
            // The kernel has no more of them.
            Err(rustix::io::Errno::INVAL) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// `capset(2)`, `PR_CAP_AMBIENT_CLEAR_ALL` — this process has these and no others, and programs
/// that it executes inherit none.
pub(crate) fn keep_only(bits: u64) -> io::Result<()> {
    thread::clear_ambient_capability_set()?;
    let keep = CapabilitySet::from_bits_retain(bits);
    let sets =
        CapabilitySets { effective: keep, permitted: keep, inheritable: CapabilitySet::empty() };
    Ok(thread::set_capabilities(None, sets)?)
}

/// `capset(2)`, `PR_CAP_AMBIENT_RAISE` — a program that this process executes has these, also if it
/// is not root's. This process has to have them.
pub(crate) fn pass_to_program(bits: u64) -> io::Result<()> {
    let passed = CapabilitySet::from_bits_retain(bits);
    let have = thread::capabilities(None)?;
    let sets = CapabilitySets { inheritable: passed, ..have };
    thread::set_capabilities(None, sets)?;
    for one in passed.iter() {
        thread::configure_capability_in_ambient_set(one, true)?;
    }
    Ok(())
}

/// `capget(2)` — whether this process has exactly these.
pub(crate) fn has_exactly(bits: u64) -> io::Result<bool> {
    let have = thread::capabilities(None)?;
    let keep = CapabilitySet::from_bits_retain(bits);
    Ok(have.effective == keep && have.permitted == keep && have.inheritable.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::in_forked_test;

    #[test]
    fn names_are_those_of_the_kernel() {
        assert_eq!(named("chown"), Some(1));
        assert_eq!(named("CAP_SYS_NICE"), Some(1 << 23));
        assert_eq!((named("sys_nic"), named("")), (None, None));
        assert_eq!(names(1 | 1 << 23), ["chown", "sys_nice"]);
    }

    #[test]
    fn what_is_passed_on_is_had_by_a_program() {
        in_forked_test(|| {
            let have = effective().unwrap();
            let one = have & have.wrapping_neg();
            keep_only(one).unwrap();
            pass_to_program(one).unwrap();
            let status = std::process::Command::new("cat").arg("/proc/self/status").output();
            let status = String::from_utf8(status.unwrap().stdout).unwrap();
            assert!(status.contains(&format!("CapAmb:\t{one:016x}")), "{status}");
            assert!(one == 0 || pass_to_program(one | one << 1).is_err(), "nobody has all of them");
        });
    }

    #[test]
    fn what_is_not_kept_is_gone() {
        in_forked_test(|| {
            let have = effective().unwrap();
            let one = have & have.wrapping_neg();
            keep_only(one).unwrap();
            assert!(has_exactly(one).unwrap());
            keep_only(0).unwrap();
            assert!(has_exactly(0).unwrap() && (one == 0 || keep_only(one).is_err()));
        });
    }
}
