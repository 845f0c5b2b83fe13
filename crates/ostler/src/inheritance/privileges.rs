//! Whose rights workers have: looked up and checked by the master before anything is forked, taken
//! by each worker before any code of a handler runs.
//!
//! A process that cannot give its rights away does not start: none goes on with more than it should
//! have.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::options::{Capabilities, Options};
use crate::sys::capabilities;
use crate::sys::privileges::{self, UserEntry};

/// What workers give away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Privileges {
    /// Whose they are; `None`: as the server.
    identity: Option<Identity>,
    /// All that they see of the file system; `None`: all of it.
    root: Option<PathBuf>,
    /// What they keep of the rights of root.
    capabilities: Capabilities,
    /// No program that they execute has more rights than they.
    no_new_privileges: bool,
}

/// Whose a process is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    /// `None`: that of the server.
    uid: Option<u32>,
    gid: u32,
    groups: Vec<u32>,
}

impl Privileges {
    /// What the options say.
    ///
    /// # Errors
    ///
    /// `is_option`, if there is no such user, group or directory, or this process may not make
    /// others of it.
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let found = Self {
            identity: Identity::find(options)?,
            root: root_of(&options.chroot)?,
            capabilities: options.capabilities,
            no_new_privileges: options.no_new_privileges,
        };
        found.check_capabilities()?;
        let lacking = privileges::lacks(found.identity.is_some(), found.root.is_some());
        match lacking.map_err(|error| Error::start("cannot look at capabilities", Some(error)))? {
            None => Ok(found),
            Some(capability) => Err(Error::option(format!(
                "`user`, `group`, `groups` and `chroot` need a server that is started as root, and \
                 this process lacks {capability}: start it as root, or leave them empty and start \
                 it as the user that it is to be"
            ))),
        }
    }

    /// Nobody keeps what he does not have, or promises to drop what comes back with a program.
    fn check_capabilities(&self) -> Result<()> {
        let Capabilities::Only(keep) = self.capabilities else { return Ok(()) };
        let have = capabilities::effective()
            .map_err(|error| Error::start("cannot look at capabilities", Some(error)))?;
        if let [first, ..] = capabilities::names(keep & !have).as_slice() {
            return Err(Error::option(format!(
                "`capabilities`: this process does not have `{first}` itself, so no worker can \
                 keep it: start it with that, or leave it out"
            )));
        }
        if have & capabilities::SETPCAP == 0 && !self.no_new_privileges {
            return Err(Error::option(
                "`capabilities`: without CAP_SETPCAP a program that a worker starts could have \
                 them again: set `no_new_privileges` too, or start the server with that"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// Whether a process becomes another user's.
    pub(super) const fn changes_user(&self) -> bool {
        self.identity.is_some()
    }

    /// Gives the rights of this process away, and makes sure that they are gone. In this order: who
    /// is not root any more could change neither its root nor its groups.
    pub(super) fn take(&self) -> io::Result<()> {
        if let Some(root) = &self.root {
            privileges::change_root(root)?;
        }
        let keep = match self.capabilities {
            Capabilities::OfUser => None,
            Capabilities::Only(keep) => Some(keep),
        };
        if let Some(keep) = keep {
            capabilities::bound(keep)?;
            capabilities::survive_change_of_user(true)?;
        }
        if let Some(identity) = &self.identity {
            identity.take()?;
        }
        if let Some(keep) = keep {
            take_capabilities(keep)?;
        }
        if let Some(identity) = &self.identity {
            identity.verify(keep.unwrap_or(0) & capabilities::SETUID != 0)?;
        }
        if self.no_new_privileges {
            privileges::forbid_new_privileges()?;
        }
        Ok(())
    }

    /// On one line, for the charter.
    pub(super) fn spell(&self) -> String {
        let ids = self.identity.as_ref().map_or(String::new(), |identity| {
            let uid = identity.uid.map_or("-".to_owned(), |uid| uid.to_string());
            let groups: Vec<String> = identity.groups.iter().map(u32::to_string).collect();
            format!("{uid}:{}:{}", identity.gid, groups.join(","))
        });
        let root = self.root.as_ref().map_or("".into(), |root| root.to_string_lossy());
        let keep = match self.capabilities {
            Capabilities::OfUser => "-".to_owned(),
            Capabilities::Only(keep) => format!("{keep:x}"),
        };
        format!("{} {keep} {ids} {root}", u8::from(self.no_new_privileges))
    }

    /// What [`Privileges::spell`] says.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (no_new, rest) = text.split_once(' ')?;
        let (keep, rest) = rest.split_once(' ')?;
        let (ids, root) = rest.split_once(' ')?;
        Some(Self {
            identity: if ids.is_empty() { None } else { Some(Identity::read(ids)?) },
            root: Some(root).filter(|root| !root.is_empty()).map(PathBuf::from),
            capabilities: match keep {
                "-" => Capabilities::OfUser,
                bits => Capabilities::Only(u64::from_str_radix(bits, 16).ok()?),
            },
            no_new_privileges: no_new == "1",
        })
    }
}

impl Identity {
    fn find(options: &Options) -> Result<Option<Self>> {
        let (user, group, groups) = (&options.user, &options.group, &options.groups.0);
        if user.is_empty() && group.is_empty() && groups.is_empty() {
            return Ok(None);
        }
        let entry = if user.is_empty() { None } else { user_named(user)? };
        let uid = match (&entry, user.parse()) {
            _ if user.is_empty() => None,
            (Some(entry), _) => Some(entry.uid),
            (None, Ok(uid)) => Some(uid),
            (None, Err(_)) => return Err(unknown("user", "user", user)),
        };
        let gid = match (group.as_str(), &entry) {
            ("", Some(entry)) => entry.gid,
            ("", None) => {
                return Err(Error::option(format!(
                    "nothing says of which group workers are: `user` ({user}) names none; set \
                     `group`"
                )));
            }
            (group, _) => group_named("group", group)?,
        };
        let groups = match &entry {
            _ if !groups.is_empty() => {
                groups.iter().map(|name| group_named("groups", name)).collect::<Result<_>>()?
            }
            Some(entry) => privileges::groups_of(entry, gid)
                .map_err(|error| Error::option_refused("`user`: cannot find its groups", error))?,
            None => vec![gid],
        };
        Ok(Some(Self { uid, gid, groups }))
    }

    fn take(&self) -> io::Result<()> {
        privileges::change_groups(self.gid, &self.groups)?;
        self.uid.map_or(Ok(()), privileges::change_user)
    }

    /// Makes sure that this process is who it should be, and nobody else again; last of all,
    /// because a capability may bring back what a change of ids has taken.
    fn verify(&self, may_change_ids: bool) -> io::Result<()> {
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

    fn read(text: &str) -> Option<Self> {
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

/// Keeps these capabilities, and makes sure that no others are left.
fn take_capabilities(keep: u64) -> io::Result<()> {
    capabilities::keep_only(keep)?;
    capabilities::survive_change_of_user(false)?;
    match capabilities::has_exactly(keep)? {
        true => Ok(()),
        false => Err(kept("capabilities")),
    }
}

fn kept(what: &str) -> io::Error {
    io::Error::other(format!("its {what} could not be given away"))
}

/// The user that the option `user` names; a number needs no entry.
fn user_named(name: &str) -> Result<Option<UserEntry>> {
    let refused = |error| Error::option_refused(format!("`user`: cannot look up `{name}`"), error);
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

/// The directory, if it is one.
fn root_of(path: &str) -> Result<Option<PathBuf>> {
    if path.is_empty() {
        return Ok(None);
    }
    let path = Path::new(path);
    if !path.is_absolute() {
        let text = format!("`chroot` ({}) has to be an absolute path", path.display());
        return Err(Error::option(text));
    }
    match path.canonicalize() {
        Ok(found) if found.is_dir() => Ok(Some(found)),
        Ok(_) => Err(Error::option(format!("`chroot` ({}) is no directory", path.display()))),
        Err(error) => Err(Error::option_refused(
            format!("`chroot`: {} cannot be used", path.display()),
            error,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<Option<Identity>> {
        let mut options = Options::default();
        for (name, value) in pairs {
            options.set(name, value)?;
        }
        Identity::find(&options)
    }

    #[test]
    fn what_is_not_said_of_a_user_is_what_the_database_says() {
        assert_eq!(of(&[]).unwrap(), None);
        let root = of(&[("user", "root")]).unwrap().unwrap();
        assert_eq!((root.uid, root.gid, root.groups.contains(&0)), (Some(0), 0, true));
        let own = of(&[("user", "4242"), ("group", "17"), ("groups", "17,root")]).unwrap();
        assert_eq!(own, Some(Identity { uid: Some(4242), gid: 17, groups: vec![17, 0] }));
        let group = of(&[("group", "17")]).unwrap();
        assert_eq!(group, Some(Identity { uid: None, gid: 17, groups: vec![17] }));
    }

    #[test]
    fn unknown_names_and_users_without_a_group_are_errors() {
        for (pairs, words) in [
            (&[("user", "nobody-has-it")][..], "no user `nobody-has-it`"),
            (&[("user", "root"), ("group", "nobody-has-it")], "no group `nobody-has-it`"),
            (&[("user", "root"), ("groups", "root,nobody-has-it")], "no group `nobody-has-it`"),
            (&[("user", "4242424")], "set `group`"),
        ] {
            let error = of(pairs).unwrap_err();
            assert!(error.is_option() && error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn a_root_is_an_absolute_path_of_a_directory() {
        for wrong in ["relative", "/no/such/directory", "/proc/version"] {
            assert!(root_of(wrong).unwrap_err().is_option(), "{wrong}");
        }
        assert_eq!(root_of("/proc/../").unwrap(), Some(PathBuf::from("/")));
    }

    #[test]
    fn a_charter_carries_them() {
        let identity = Some(Identity { uid: Some(7), gid: 8, groups: vec![8, 9] });
        let group = Some(Identity { uid: None, gid: 8, groups: vec![] });
        let root = Some(PathBuf::from("/srv/two words"));
        for privileges in [
            Privileges::default(),
            Privileges { identity, no_new_privileges: true, ..Privileges::default() },
            Privileges { identity: group, root, ..Privileges::default() },
            Privileges { capabilities: Capabilities::Only(0x401), ..Privileges::default() },
            Privileges { capabilities: Capabilities::Only(0), ..Privileges::default() },
        ] {
            assert_eq!(Privileges::read(&privileges.spell()), Some(privileges));
        }
        for wrong in ["", "1", "0 - x ", "0 - 1:2 /", "0 - 1:2:x /", "0 y  ", "0 1:2:3 /"] {
            assert_eq!(Privileges::read(wrong), None, "{wrong}");
        }
    }
}
