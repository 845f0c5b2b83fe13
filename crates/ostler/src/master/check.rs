//! What a start would tell of the files and rights that the options name, for a process that starts
//! no server (`--check`). It makes nothing, binds nothing, and disturbs no server that runs with
//! the same files: that those are in use is no fault.

use super::operator::Operators;
use super::pid_file::PidFile;
use super::quarantine::Store;
use super::rights::MasterRights;
use super::sandbox::Confinement;
use super::{ports, start};
use crate::encryption::Encryption;
use crate::error::Result;
use crate::options::{Options, Start};
use crate::{journal, log, manager};

/// Where the ports would listen, in words.
///
/// # Errors
/// The first thing for which the start would be refused, as that says it.
pub(crate) fn check(options: &Options) -> Result<String> {
    let places = ports::describe(options)?;
    let start::Rights { master, .. } = start::Rights::new(options)?;
    Confinement::check(options)?;
    // What is opened from here on is opened as the user that the master becomes (decision 73).
    let _acting = master.as_ref().map_or(Ok(None), MasterRights::act)?;
    log::check(&options.log_file)?;
    manager::DiagnosisSettings::check(options)?;
    Store::check(options)?;
    if options.start == Start::Exec {
        manager::locate(&options.program)?;
    }
    ports::check_directories(options)?;
    PidFile::check(&options.pid_file)?;
    Operators::check(&options.operator_socket)?;
    journal::check(options)?;
    Encryption::check(options)?;
    Ok(places)
}
