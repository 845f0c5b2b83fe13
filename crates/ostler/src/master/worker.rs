//! A program that was executed to be a worker: it binds nothing, and runs what a worker runs.
//!
//! It stands here because it is the other way of what `start` does: the same program, the same
//! options, the same handlers.

use std::os::fd::OwnedFd;

use super::process_main::process_main;
use super::start::attributes_of_workers;
use crate::api::outcome::IntoHandler;
use crate::api::port::Ports;
use crate::api::program_code::ProgramCode;
use crate::api::worker::Worker;
use crate::control::{FromWorker, ShortText};
use crate::error::{Error, Result};
use crate::inheritance::Privileges;
use crate::inheritance::exec::Inherited;
use crate::inheritance::{Attributes, ProcessBoot, life};
use crate::log;
use crate::options::{Harden, Options};
use crate::shared;
use crate::sys::process::{self, Dumping};
use crate::sys::process_name::Instance;
use crate::sys::signal::{self, Held};

/// A worker to be.
pub(crate) struct Hired {
    boot: ProcessBoot,
    options: Options,
    /// As the master has opened them.
    pub(crate) ports: Ports,
    names: Instance,
    dumping: Dumping,
    privileges: Privileges,
    code: ProgramCode,
    /// The names of user processes, by their slots.
    process_names: Vec<String>,
    _signals: Held,
}

/// Takes the place that was left to this process, with the program's own options as far as they are
/// its own.
///
/// # Errors
/// When the options do not fit those of the server.
pub(crate) fn hire(
    mut inherited: Inherited,
    own: &Options,
    code: impl FnOnce(&Options) -> ProgramCode,
) -> Result<Hired> {
    let waiting = inherited.charter.take_own(own);
    let waiting = waiting.inspect_err(|error| inherited.refuse(error))?;
    let Inherited { boot, charter, log: log_file } = inherited;
    let refuse = |what: &str, error| {
        let error = Error::start(what, Some(error));
        let text = ShortText::new(&error.to_string());
        let _ = FromWorker::StartFailed(text).send(&boot.control);
        error
    };
    let signals = Held::new().map_err(|error| refuse("cannot block signals", error))?;
    // They were held already, by whoever has executed this program.
    signal::set_blocked_before(charter.blocked_before);
    let options = charter.options;
    if options.harden == Harden::All {
        process::forbid_dumping().map_err(|error| refuse("cannot harden the worker", error))?;
    }
    let file = log_file.map(|file: OwnedFd| (file, charter.log_path.as_path()));
    log::inherit(options.log_level, options.log_format, file)
        .map_err(|error| refuse("cannot write to the log of the server", error))?
        .make_current();
    log::set_process(log::Process::Worker(boot.key));
    let began = FromWorker::Began(ShortText::new(&waiting));
    began.send(&boot.control).map_err(|error| refuse("cannot speak to the manager", error))?;
    Ok(Hired {
        code: code(&options).in_order_of(&charter.process_names),
        process_names: charter.process_names,
        options,
        ports: charter.ports,
        names: charter.names,
        dumping: charter.dumping,
        privileges: charter.privileges,
        boot,
        _signals: signals,
    })
}

/// The life of the worker; the process ends with it.
///
/// # Errors
/// When the program has started threads: it could not have become a server.
pub(crate) fn work<R, F>(hired: Hired, make: F) -> Result<()>
where
    R: IntoHandler,
    F: Fn(&Worker) -> R + 'static,
{
    let Hired { boot, options, ports, names, dumping, privileges, code, process_names, _signals } =
        hired;
    if let Ok(threads) = process::thread_count()
        && threads != 1
    {
        let error = Error::start(
            format!(
                "this process has {threads} threads before its server runs: start threads in the \
                 factory or in on_worker_start"
            ),
            None,
        );
        let _ = FromWorker::StartFailed(ShortText::new(&error.to_string())).send(&boot.control);
        return Err(error);
    }
    if let Err(error) = shared::refuse_with_exec() {
        let _ = FromWorker::StartFailed(ShortText::new(&error.to_string())).send(&boot.control);
        return Err(error);
    }
    let attributes =
        Attributes { process_names, ..attributes_of_workers(&options, dumping, privileges, names) };
    let run = process_main(options, ports, make, code);
    life::begin(boot.key);
    // Never back into `main`, which goes on where a server has ended.
    std::process::exit(life::live(&attributes, boot, run))
}
