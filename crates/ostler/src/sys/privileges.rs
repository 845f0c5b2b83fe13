//! Users, groups, roots, and what a process may no longer do.
//!
//! Names are looked up where the C library does it, also in databases other than `/etc/passwd`;
//! that may take its time, so never in a process that serves. All changes are of the whole process.

use std::ffi::CString;
use std::io;
use std::path::Path;

use nix::unistd::{self, Gid, Group, Uid, User};
use rustix::thread::CapabilitySet;

/// A user, as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserEntry {
    pub(crate) name: String,
    pub(crate) uid: u32,
    /// Its primary group.
    pub(crate) gid: u32,
}

/// `getpwnam_r(3)`, `getpwuid_r(3)` — the user with this name, or with this number.
pub(crate) fn find_user(name: &str) -> io::Result<Option<UserEntry>> {
    let named = User::from_name(name)?;
    let found = match (named, name.parse()) {
        (Some(user), _) => Some(user),
        (None, Ok(uid)) => User::from_uid(Uid::from_raw(uid))?,
        (None, Err(_)) => None,
    };
    Ok(found.map(|user| UserEntry {
        name: user.name,
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
    }))
}

/// `getgrnam_r(3)` — the number of the group with this name.
pub(crate) fn find_group(name: &str) -> io::Result<Option<u32>> {
    Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()))
}

/// `getgrouplist(3)` — all groups of a user, `gid` among them.
pub(crate) fn groups_of(user: &UserEntry, gid: u32) -> io::Result<Vec<u32>> {
    let name = CString::new(user.name.as_str())?;
    let groups = unistd::getgrouplist(&name, Gid::from_raw(gid))?;
    Ok(groups.into_iter().map(Gid::as_raw).collect())
}

/// `capget(2)` — which of these this process may not do: change its ids, signal processes of other
/// users, change its root.
pub(crate) fn lacks(ids: bool, root: bool) -> io::Result<Option<&'static str>> {
    let have = rustix::thread::capabilities(None)?.effective;
    let wanted = [
        (ids, CapabilitySet::SETUID, "CAP_SETUID"),
        (ids, CapabilitySet::SETGID, "CAP_SETGID"),
        (ids, CapabilitySet::KILL, "CAP_KILL"),
        (root, CapabilitySet::SYS_CHROOT, "CAP_SYS_CHROOT"),
    ];
    let missing = wanted.into_iter().find(|(is_wanted, one, _)| *is_wanted && !have.contains(*one));
    Ok(missing.map(|(_, _, name)| name))
}

/// `chroot(2)`, `chdir(2)` — the directory is all that this process sees from now on.
pub(crate) fn change_root(directory: &Path) -> io::Result<()> {
    unistd::chroot(directory)?;
    Ok(rustix::process::chdir("/")?)
}

/// `setgroups(2)`, `setresgid(2)` — this process is of these groups and no others.
pub(crate) fn change_groups(gid: u32, groups: &[u32]) -> io::Result<()> {
    let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
    unistd::setgroups(&groups)?;
    let gid = Gid::from_raw(gid);
    Ok(unistd::setresgid(gid, gid, gid)?)
}

/// `setresuid(2)` — this process is of this user: its real, its effective and its saved id.
pub(crate) fn change_user(uid: u32) -> io::Result<()> {
    let uid = Uid::from_raw(uid);
    Ok(unistd::setresuid(uid, uid, uid)?)
}

/// `prctl(2)`, `PR_SET_NO_NEW_PRIVS` — no program that it executes has more rights than it.
pub(crate) fn forbid_new_privileges() -> io::Result<()> {
    Ok(rustix::thread::set_no_new_privs(true)?)
}

/// `getresuid(2)` — whether all user ids of this process are this one.
pub(crate) fn is_user(uid: u32) -> io::Result<bool> {
    let ids = unistd::getresuid()?;
    Ok([ids.real, ids.effective, ids.saved].iter().all(|id| id.as_raw() == uid))
}

/// `getresgid(2)`, `getgroups(2)` — whether its groups are these and no others.
pub(crate) fn is_of_groups(gid: u32, groups: &[u32]) -> io::Result<bool> {
    let ids = unistd::getresgid()?;
    let mut have: Vec<u32> = unistd::getgroups()?.into_iter().map(Gid::as_raw).collect();
    let mut wanted = groups.to_vec();
    for list in [&mut have, &mut wanted] {
        list.sort_unstable();
        list.dedup();
    }
    let is_primary = [ids.real, ids.effective, ids.saved].iter().all(|id| id.as_raw() == gid);
    Ok(is_primary && have == wanted)
}

/// `setresuid(2)` — tries to be root again; true: that is possible.
pub(crate) fn can_be_root_again() -> bool {
    let root = Uid::from_raw(0);
    unistd::setresuid(root, root, root).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_and_number_and_groups_by_name() {
        let root = find_user("root").unwrap().unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(find_user("0").unwrap(), Some(root.clone()));
        assert_eq!(find_user("nobody-has-this-name").unwrap(), None);
        assert_eq!(find_group("root").unwrap(), Some(0));
        assert_eq!(find_group("nobody-has-this-name").unwrap(), None);
        assert!(groups_of(&root, 7).unwrap().contains(&7));
    }

    #[test]
    fn what_is_not_wanted_is_not_lacked() {
        assert_eq!(lacks(false, false).unwrap(), None);
    }
}
