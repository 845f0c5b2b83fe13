//! The life of a worker process around user code.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ostler_core::ids::ProcessKey;

use super::{Attributes, EXIT_NOT_PREPARED, EXIT_ORPHANED, ProcessBoot};
use crate::control::{FromWorker, ShortText};
use crate::log;
use crate::shared;
use crate::stacks::own_modules_text;
use crate::statistics::roster;
use crate::sys::process::{self, EXIT_PANIC};
use crate::sys::{black_box, capture, panic, signal};

/// This process is a worker from now on: it says so in the log, and a panic unwinds.
pub(crate) fn begin(key: ProcessKey) {
    panic::unwind_on_panic();
    log::set_process(log::Process::Worker(key));
    shared::worker_begins();
}

/// Makes the process ready for user code and runs that; returns the exit code.
pub(crate) fn live(
    attributes: &Attributes,
    mut boot: ProcessBoot,
    run: impl FnOnce(ProcessBoot) -> i32,
) -> i32 {
    match prepare(attributes, &mut boot) {
        Ok(true) => {}
        Ok(false) => return EXIT_ORPHANED,
        Err(error) => return cannot_begin(&boot, &error),
    }
    match catch_unwind(AssertUnwindSafe(|| run(boot))) {
        Ok(code) => code,
        Err(payload) => {
            let text = panic::text_of(&*payload);
            let place = panic::place();
            let (file, line) = (place.map(|place| place.file), place.map(|place| place.line));
            tracing::error!(file, line, session = log::session(), "panicked: {text}");
            EXIT_PANIC
        }
    }
}

/// Tells the manager why the process ends before it did anything; returns the exit code.
pub(crate) fn cannot_begin(boot: &ProcessBoot, error: &io::Error) -> i32 {
    let text = format!("the worker cannot begin: {error}");
    tracing::debug!("{text}");
    let _ = FromWorker::StartFailed(ShortText::new(&text)).send(&boot.control);
    EXIT_NOT_PREPARED
}

/// `Ok(false)`: the process is an orphan and must end.
fn prepare(attributes: &Attributes, boot: &mut ProcessBoot) -> io::Result<bool> {
    if let Some(file) = boot.black_box.take() {
        black_box::keep(file)?;
        black_box::say_modules(&own_modules_text());
    }
    if let Some(file) = boot.roster.take() {
        roster::keep(&file, boot.key)?;
    }
    // All managed signals are still blocked; none that came meanwhile is lost.
    signal::restore_default(&signal::MANAGED)?;
    let asked_by = capture::install()?;
    signal::install_no_operation()?;
    signal::install_termination(boot.worker_bell.try_clone()?)?;
    signal::unblock_for_worker(asked_by)?;
    attributes.tune(boot.key);
    attributes.names.take_as(&boot.key.slot_name(), &attributes.role(boot.key));
    attributes.privileges.take()?;
    // After privileges were dropped, which clears it; then the check for what it came too late for.
    process::die_with_parent()?;
    if process::parent() != Some(boot.manager) || boot.master_pidfd.has_ended()? {
        return Ok(false);
    }
    attributes.set_dumping();
    Ok(true)
}
