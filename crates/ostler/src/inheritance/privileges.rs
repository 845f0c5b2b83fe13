//! Whose rights workers have: looked up and checked by the master before anything is forked, taken
//! by each worker before any code of a handler runs.
//!
//! A process that cannot give its rights away does not start: none goes on with more than it should
//! have.

use std::io;
use std::path::{Path, PathBuf};

use super::identity::{Identity, Named, kept};
use crate::error::{Error, Result};
use crate::options::{Capabilities, Options};
use crate::sys::capabilities;
use crate::sys::privileges;

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

impl Privileges {
    /// What the options say.
    ///
    /// # Errors
    ///
    /// `is_option`, if there is no such user, group or directory, or this process may not make
    /// others of it.
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let mut found = Self {
            identity: Identity::find(Named {
                user: ("user", &options.user),
                group: ("group", &options.group),
                groups: ("groups", &options.groups.0),
            })?,
            root: root_of(&options.chroot)?,
            capabilities: options.capabilities,
            no_new_privileges: options.no_new_privileges,
        };
        found.check_capabilities()?;
        if !options.master_user.is_empty() {
            found.follow_a_user(options)?;
        }
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

    /// Their manager is not root: what it has kept of root's rights to make them is not for them,
    /// and does not go with a change of ids.
    fn follow_a_user(&mut self, options: &Options) -> Result<()> {
        if self.identity.as_ref().is_some_and(Identity::is_root) {
            return Err(Error::option(format!(
                "`user` ({}) is root, and `master_user` ({}) is not: workers have no more rights \
                 than their master; name another user",
                options.user, options.master_user
            )));
        }
        if self.capabilities == Capabilities::OfUser {
            self.capabilities = Capabilities::Only(0);
        }
        Ok(())
    }

    /// The capabilities by which a manager that is not root makes such workers.
    pub(crate) fn needed(&self) -> u64 {
        let mut needed = match self.capabilities {
            Capabilities::OfUser | Capabilities::Only(0) => 0,
            // They go out of bounds where nothing else holds them back.
            Capabilities::Only(keep) if self.no_new_privileges => keep,
            Capabilities::Only(keep) => keep | capabilities::SETPCAP,
        };
        if self.identity.is_some() {
            needed |= capabilities::SETUID | capabilities::SETGID | capabilities::KILL;
        }
        if self.root.is_some() {
            needed |= capabilities::SYS_CHROOT;
        }
        needed
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
        let ids = self.identity.as_ref().map_or(String::new(), Identity::spell);
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

/// Keeps these capabilities, and makes sure that no others are left.
fn take_capabilities(keep: u64) -> io::Result<()> {
    capabilities::keep_only(keep)?;
    capabilities::survive_change_of_user(false)?;
    match capabilities::has_exactly(keep)? {
        true => Ok(()),
        false => Err(kept("capabilities")),
    }
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

    #[test]
    fn a_root_is_an_absolute_path_of_a_directory() {
        for wrong in ["relative", "/no/such/directory", "/proc/version"] {
            assert!(root_of(wrong).unwrap_err().is_option(), "{wrong}");
        }
        assert_eq!(root_of("/proc/../").unwrap(), Some(PathBuf::from("/")));
    }

    #[test]
    fn a_charter_carries_them() {
        let (identity, group) = (Identity::read("7:8:8,9"), Identity::read("-:8:"));
        assert!(identity.is_some() && group.is_some());
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
