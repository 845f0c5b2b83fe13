//! Whose a process is: what options say of it, looked up by the master before anything is forked,
//! and taken by the process that becomes another user's.

use std::io;

use crate::error::{Error, Result};
use crate::sys::privileges::{self, ActingAs, UserEntry};

/// The user, the group and the groups of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// `None`: that of the server.
    uid: Option<u32>,
    gid: u32,
    groups: Vec<u32>,
}

/// Options that say whose a process is: their names, and what they say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'options> {
    pub(crate) user: (&'static str, &'options str),
    pub(crate) group: (&'static str, &'options str),
    pub(crate) groups: (&'static str, &'options [String]),
}

impl Identity {
    /// Whom these options name; `None` if nobody is named.
    ///
    /// # Errors
    ///
    /// `is_option`, if this machine has no such user or group.
    pub(crate) fn find(named: Named<'_>) -> Result<Option<Self>> {
        let Named { user: (user_option, user), group: (group_option, group), groups } = named;
        let (groups_option, groups) = groups;
        if user.is_empty() && group.is_empty() && groups.is_empty() {
            return Ok(None);
        }
        let entry = if user.is_empty() { None } else { user_named(user_option, user)? };
        let uid = match (&entry, user.parse()) {
            _ if user.is_empty() => None,
            (Some(entry), _) => Some(entry.uid),
            (None, Ok(uid)) => Some(uid),
            (None, Err(_)) => return Err(unknown(user_option, "user", user)),
        };
        let gid = match (group, &entry) {
            ("", Some(entry)) => entry.gid,
            ("", None) => {
                return Err(Error::option(format!(
                    "`{user_option}` ({user}) is in no list of users, so nothing says of which \
                     group it is: set `{group_option}`"
                )));
            }
            (group, _) => group_named(group_option, group)?,
        };
        let groups = match &entry {
            _ if !groups.is_empty() => {
                groups.iter().map(|name| group_named(groups_option, name)).collect::<Result<_>>()?
            }
            Some(entry) => privileges::groups_of(entry, gid).map_err(|error| {
                Error::option_refused(format!("`{user_option}`: cannot find its groups"), error)
            })?,
            None => vec![gid],
        };
        Ok(Some(Self { uid, gid, groups }))
    }

    /// Whether it is root.
    pub(crate) fn is_root(&self) -> bool {
        self.uid == Some(0)
    }

    /// Whether this process is so already.
    pub(crate) fn is_of_this_process(&self) -> io::Result<bool> {
        let is_user = self.uid.map_or(Ok(true), privileges::is_user)?;
        Ok(is_user && privileges::is_of_groups(self.gid, &self.groups)?)
    }

    /// This process is so from now on.
    pub(crate) fn take(&self) -> io::Result<()> {
        privileges::change_groups(self.gid, &self.groups)?;
        self.uid.map_or(Ok(()), privileges::change_user)
    }

    /// This thread opens and makes files as if it were so, until the answer is dropped.
    pub(crate) fn act(&self) -> io::Result<ActingAs> {
        privileges::act_as(self.uid, self.gid, &self.groups)
    }

    /// Makes sure that this process is who it should be, and nobody else again; last of all,
    /// because a capability may bring back what a change of ids has taken.
    pub(crate) fn verify(&self, may_change_ids: bool) -> io::Result<()> {
        if let Some(uid) = self.uid {
            if uid != 0 && !may_change_ids && privileges::can_be_root_again() {
                return Err(kept("right to be root"));
            }
            if !privileges::is_user(uid)? {
                return Err(kept("user"));
            }
        }
        match privileges::is_of_groups(self.gid, &self.groups)? {
            true => Ok(()),
            false => Err(kept("groups")),
        }
    }

    /// In one word, for the charter.
    pub(super) fn spell(&self) -> String {
        let uid = self.uid.map_or("-".to_owned(), |uid| uid.to_string());
        let groups: Vec<String> = self.groups.iter().map(u32::to_string).collect();
        format!("{uid}:{}:{}", self.gid, groups.join(","))
    }

    /// What [`Identity::spell`] says.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let (uid, gid, groups) = (parts.next()?, parts.next()?, parts.next()?);
        let groups = groups.split(',').filter(|one| !one.is_empty());
        Some(Self {
            uid: if uid == "-" { None } else { Some(uid.parse().ok()?) },
            gid: gid.parse().ok()?,
            groups: groups.map(str::parse).collect::<std::result::Result<_, _>>().ok()?,
        })
    }
}

/// Something could not be given away.
pub(crate) fn kept(what: &str) -> io::Error {
    io::Error::other(format!("its {what} could not be given away"))
}

/// The user that an option names; a number needs no entry.
fn user_named(option: &'static str, name: &str) -> Result<Option<UserEntry>> {
    let refused =
        |error| Error::option_refused(format!("`{option}`: cannot look up `{name}`"), error);
    privileges::find_user(name).map_err(refused)
}

/// The number of the group that an option names, or is.
fn group_named(option: &'static str, name: &str) -> Result<u32> {
    let refused =
        |error| Error::option_refused(format!("`{option}`: cannot look up `{name}`"), error);
    match (privileges::find_group(name).map_err(refused)?, name.parse()) {
        (Some(gid), _) | (None, Ok(gid)) => Ok(gid),
        (None, Err(_)) => Err(unknown(option, "group", name)),
    }
}

fn unknown(option: &str, what: &str, name: &str) -> Error {
    Error::option(format!(
        "`{option}`: this machine has no {what} `{name}`: make it, or correct it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(user: &str, group: &str, groups: &[&str]) -> Result<Option<Identity>> {
        let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
        Identity::find(Named {
            user: ("user", user),
            group: ("group", group),
            groups: ("groups", &groups),
        })
    }

    #[test]
    fn what_is_not_said_of_a_user_is_what_the_database_says() {
        assert_eq!(of("", "", &[]).unwrap(), None);
        let root = of("root", "", &[]).unwrap().unwrap();
        assert_eq!((root.uid, root.gid, root.groups.contains(&0)), (Some(0), 0, true));
        assert!(root.is_root());
        let own = of("4242", "17", &["17", "root"]).unwrap();
        assert_eq!(own, Some(Identity { uid: Some(4242), gid: 17, groups: vec![17, 0] }));
        let group = of("", "17", &[]).unwrap();
        assert_eq!(group, Some(Identity { uid: None, gid: 17, groups: vec![17] }));
    }

    #[test]
    fn unknown_names_and_users_without_a_group_are_errors() {
        for (user, group, groups, words) in [
            ("nobody-has-it", "", &[][..], "`user`: this machine has no user `nobody-has-it`"),
            ("root", "nobody-has-it", &[], "`group`: this machine has no group `nobody-has-it`"),
            ("root", "", &["root", "nobody-has-it"], "`groups`: this machine has no group"),
            ("4242424", "", &[], "set `group`"),
        ] {
            let error = of(user, group, groups).unwrap_err();
            assert!(error.is_option() && error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn who_this_process_is_already_is_known() {
        let gid = rustix::process::getgid().as_raw();
        let groups: Vec<u32> =
            rustix::process::getgroups().unwrap().iter().map(|gid| gid.as_raw()).collect();
        let uid = Some(rustix::process::getuid().as_raw());
        let own = Identity { uid, gid, groups };
        assert!(own.is_of_this_process().unwrap());
        let uid = own.uid.map(|uid| uid + 1);
        assert!(!Identity { uid, ..own.clone() }.is_of_this_process().unwrap());
        let groups = [&own.groups[..], &[4_711]].concat();
        assert!(!Identity { groups, ..own }.is_of_this_process().unwrap());
    }
}
