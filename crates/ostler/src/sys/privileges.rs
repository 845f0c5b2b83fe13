//! Users, groups, roots, and what a process may no longer do.
//!
//! Names are looked up where the C library does it, also in databases other than `/etc/passwd`;
//! that may take its time, so never in a process that serves. All changes are of the whole process.

use std::ffi::CString;
use std::io;
use std::path::Path;

use nix::unistd::{self, Gid, Group, Uid, User};
use rustix::thread::CapabilitySet;

use super::process::{self, Dumping};

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

/// This thread opens and makes files as another user, until this is dropped.
#[derive(Debug)]
pub(crate) struct ActingAs {
    uid: Uid,
    gid: Gid,
    groups: Vec<rustix::process::Gid>,
    /// What the kernel takes with such a change.
    dumping: Dumping,
    death_signal: Option<rustix::process::Signal>,
}

/// `setgroups(2)`, `setfsgid(2)`, `setfsuid(2)` — this thread opens and makes files as this user;
/// everything else it does as before. Who is root loses with that its power over others' files.
pub(crate) fn act_as(uid: Option<u32>, gid: u32, groups: &[u32]) -> io::Result<ActingAs> {
    /// As an argument: nothing is changed, and the answer is what holds.
    const NOBODY: u32 = u32::MAX;
    let before = ActingAs {
        uid: unistd::setfsuid(Uid::from_raw(NOBODY)),
        gid: unistd::setfsgid(Gid::from_raw(NOBODY)),
        groups: rustix::process::getgroups()?,
        dumping: process::dumping(),
        death_signal: rustix::process::parent_process_death_signal()?,
    };
    let groups: Vec<_> = groups.iter().copied().map(rustix::process::Gid::from_raw).collect();
    rustix::thread::set_thread_groups(&groups)?;
    unistd::setfsgid(Gid::from_raw(gid));
    let wanted = uid.map_or(before.uid, Uid::from_raw);
    unistd::setfsuid(wanted);
    // These two calls tell nobody of a failure.
    let uid_now = unistd::setfsuid(Uid::from_raw(NOBODY));
    let gid_now = unistd::setfsgid(Gid::from_raw(NOBODY));
    if (uid_now, gid_now) == (wanted, Gid::from_raw(gid)) {
        Ok(before)
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

impl Drop for ActingAs {
    fn drop(&mut self) {
        unistd::setfsuid(self.uid);
        unistd::setfsgid(self.gid);
        // Who could give them away can have them again; else this thread has less, not more.
        let _ = rustix::thread::set_thread_groups(&self.groups);
        let _ = self.dumping.restore();
        let _ = rustix::process::set_parent_process_death_signal(self.death_signal);
    }
}

/// `prctl(2)`, `PR_SET_PDEATHSIG` — does something that makes the kernel forget what the end of the
/// parent means to this process, and says it again.
pub(crate) fn keeping_death_signal(change: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let before = rustix::process::parent_process_death_signal()?;
    change()?;
    Ok(rustix::process::set_parent_process_death_signal(before)?)
}

/// `prctl(2)`, `PR_GET_NO_NEW_PRIVS` — whether no program that it executes has more rights than it.
pub(crate) fn forbids_new_privileges() -> io::Result<bool> {
    Ok(rustix::thread::no_new_privs()?)
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

/// `getresgid(2)`, `getgroups(2)` — whether its groups are these and no others; that its primary
/// one is among the supplementary ones, or is not, makes no difference.
pub(crate) fn is_of_groups(gid: u32, groups: &[u32]) -> io::Result<bool> {
    let ids = unistd::getresgid()?;
    let mut have: Vec<u32> = unistd::getgroups()?.into_iter().map(Gid::as_raw).collect();
    let mut wanted = groups.to_vec();
    for list in [&mut have, &mut wanted] {
        list.push(gid);
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
    fn who_acts_as_another_user_makes_his_files_and_is_himself_again() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        if !unistd::geteuid().is_root() {
            eprintln!("NOT TESTED: acting as another user needs root");
            return;
        }
        process::in_forked_test(|| {
            let directory = std::env::temp_dir().join(format!("act-as-{}", std::process::id()));
            std::fs::create_dir(&directory).unwrap();
            let mode = std::fs::Permissions::from_mode(0o777);
            std::fs::set_permissions(&directory, mode).unwrap();
            let secret = directory.join("secret");
            std::fs::write(&secret, "of root").unwrap();
            let mode = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(&secret, mode).unwrap();
            let groups = unistd::getgroups().unwrap();
            let is_open = process::dumping();
            process::die_with_parent().unwrap();

            let acting = act_as(Some(4_711), 4_712, &[4_713]).unwrap();
            let error = std::fs::read(&secret).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            let made = directory.join("made");
            std::fs::write(&made, "").unwrap();
            drop(acting);
            let found = std::fs::metadata(&made).unwrap();
            assert_eq!((found.uid(), found.gid()), (4_711, 4_712));
            assert_eq!(std::fs::read(&secret).unwrap(), b"of root");
            assert_eq!(unistd::getgroups().unwrap(), groups);
            assert_eq!(process::dumping(), is_open);
            let signal = rustix::process::parent_process_death_signal().unwrap();
            assert_eq!(signal, Some(rustix::process::Signal::KILL));
            std::fs::remove_dir_all(&directory).unwrap();
        });
    }

    #[test]
    fn what_is_not_wanted_is_not_lacked() {
        assert_eq!(lacks(false, false).unwrap(), None);
    }
}
