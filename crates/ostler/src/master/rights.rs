//! What master, manager and spare keep of root's rights when the listeners are bound
//! (`master_user`).
//!
//! From the first file on that the server opens, files are opened as that user: what could not be
//! opened again later, or removed, is an error at the start. Only listeners are bound with the
//! rights of who started the server. Before the managers are forked the process becomes that
//! user's, with the capabilities alone that make workers; afterwards the master gives away those,
//! too. Nothing goes on with rights that it should not have.
//! (`docs/decisions/73-the-master-gives-its-rights-away.md`)

use super::program_state::ProgramState;
use crate::error::{Error, Result};
use crate::inheritance::{Identity, Named, Privileges, Resources, kept};
use crate::options::Options;
use crate::sys::capabilities;
use crate::sys::privileges::{self, ActingAs};

/// Whose master and managers are, and what they keep.
#[derive(Debug)]
pub(super) struct MasterRights {
    identity: Identity,
    /// Whether this process is somebody else yet.
    changes: bool,
    /// The capabilities by which managers make workers.
    of_managers: u64,
}

impl MasterRights {
    /// What the options say; `None`: everything stays as it is.
    ///
    /// # Errors
    ///
    /// `is_option`, if there is no such user, or this process may not become his.
    pub(super) fn new(
        options: &Options,
        workers: &Privileges,
        resources: &Resources,
    ) -> Result<Option<Self>> {
        let named = Named {
            user: ("master_user", &options.master_user),
            group: ("master_group", &options.master_group),
            groups: ("", &[]),
        };
        let Some(identity) = Identity::find(named)? else { return Ok(None) };
        if identity.is_root() {
            return Err(Error::option(
                "`master_user` is who the master becomes instead of root, and root was named: \
                 name another user, or leave it empty",
            ));
        }
        let unknown = |error| Error::start("cannot look at the rights of the server", Some(error));
        let have = capabilities::effective().map_err(unknown)?;
        let changes = !identity.is_of_this_process().map_err(unknown)?;
        let to_change = if changes { capabilities::SETUID | capabilities::SETGID } else { 0 };
        if let [first, ..] = capabilities::names(to_change & !have).as_slice() {
            return Err(Error::option(format!(
                "`master_user` needs a server that is started as root, and this process lacks \
                 CAP_{}: start it as root, or leave it empty and start it as the user that it is \
                 to be",
                first.to_ascii_uppercase()
            )));
        }
        let of_managers = (workers.needed() | resources.needed().map_err(unknown)?) & have;
        Ok(Some(Self { identity, changes, of_managers }))
    }

    /// Files are opened and made as the user that this process becomes, until the answer is
    /// dropped: it will have to open and remove them as that.
    pub(super) fn act(&self) -> Result<Option<ActingAs>> {
        let acting = self.changes.then(|| self.identity.act()).transpose();
        acting.map_err(|error| Error::start("`master_user`: cannot open files as it", Some(error)))
    }

    /// The capabilities that managers keep.
    pub(super) const fn of_managers(&self) -> u64 {
        self.of_managers
    }

    /// This process is what managers are to be: the next step forks them.
    pub(super) fn take(&self, program: &mut ProgramState) -> Result<()> {
        if self.changes {
            // What root has read may still lie in this memory.
            program.stays_closed();
        }
        let taken = privileges::keeping_death_signal(|| {
            if self.changes {
                capabilities::survive_change_of_user(true)?;
                self.identity.take()?;
            }
            self.keep_only(self.of_managers)
        });
        taken.map_err(failed)
    }

    /// The managers are there, and this process, which is the master alone, gives away what they
    /// need; what it may do is to end programs of other users that a dead manager leaves to it.
    pub(super) fn leave_to_managers(&self) -> Result<()> {
        let left = self.keep_only(self.of_managers & capabilities::KILL).and_then(|()| {
            privileges::forbid_new_privileges()?;
            match privileges::forbids_new_privileges()? {
                true => Ok(()),
                false => Err(kept("way to new rights")),
            }
        });
        left.map_err(failed)
    }

    /// Has these capabilities and no others, and makes sure of that and of its ids.
    fn keep_only(&self, keep: u64) -> std::io::Result<()> {
        capabilities::keep_only(keep)?;
        capabilities::survive_change_of_user(false)?;
        if !capabilities::has_exactly(keep)? {
            return Err(kept("capabilities"));
        }
        self.identity.verify(keep & capabilities::SETUID != 0)
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::start("`master_user`: the master cannot give its rights away", Some(error))
}
