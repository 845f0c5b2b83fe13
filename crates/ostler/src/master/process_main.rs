//! What a process runs when it has all that it begins with: by its kind, and in which mode.

use std::rc::Rc;

use ostler_core::ids::ProcessKind;

use crate::api::outcome::{Failure, IntoHandler};
use crate::api::own_handler::AnyHandler;
use crate::api::port::Ports;
use crate::api::program_code::{self, Factories, ProgramCode};
use crate::api::worker::Worker;
use crate::control::{FromWorker, ShortText};
use crate::inheritance::{EXIT_NOT_PREPARED, ProcessBoot, ProcessMain};
use crate::options::{Mode, Options};
use crate::{base, worker};

/// What the processes of a server run that has these options, ports and code. The user processes of
/// `code` are in the order of their slots.
pub(super) fn process_main<R, F>(
    options: Options,
    ports: Ports,
    make: F,
    code: ProgramCode,
) -> ProcessMain
where
    R: IntoHandler,
    F: Fn(&Worker) -> R + 'static,
{
    let ProgramCode { own_handlers, processes, companion } = code;
    let server = move |worker: &Worker| make(worker).into_handler();
    let process_names = processes.names_by_slot();
    let mut of_workers = Factories::of_workers(server, own_handlers.clone());
    of_workers.process_names = Rc::clone(&process_names);
    Box::new(move |mut boot| match boot.key.kind {
        ProcessKind::Event => run(boot, &options, &ports, &of_workers),
        ProcessKind::Task => {
            let (server, own) = (&of_workers.server, own_handlers.without());
            let server_type = of_workers.server_type;
            let process_names = Rc::clone(&process_names);
            let of_tasks =
                Factories { server, server_type, own, process_name: None, process_names };
            run(boot, &options, &ports, &of_tasks)
        }
        ProcessKind::User => match processes.get(boot.key.slot) {
            Some(process) => {
                let mut factories = program_code::of_process(process, own_handlers.without());
                factories.process_names = Rc::clone(&process_names);
                run(boot, &options, &ports, &factories)
            }
            None => unknown(&boot, "no user process of that name"),
        },
        ProcessKind::Companion => match (&companion, boot.event_link.take()) {
            (Some(companion), Some(link)) => {
                let own = own_handlers.without();
                let mut factories = program_code::of_companion(companion, link, own);
                factories.process_names = Rc::clone(&process_names);
                run(boot, &options, &ports, &factories)
            }
            _ => unknown(&boot, "no companion"),
        },
    })
}

fn run<H, F>(boot: ProcessBoot, options: &Options, ports: &Ports, factories: &Factories<F>) -> i32
where
    H: AnyHandler,
    F: Fn(&Worker) -> Result<H, Failure>,
{
    match options.mode {
        Mode::Process => worker::start::worker_main(boot, options, &ports.0, factories),
        Mode::Base => base::process::process_main(boot, options, ports, factories),
    }
}

/// A program that was executed may not have everything any more that the server has.
fn unknown(boot: &ProcessBoot, what: &str) -> i32 {
    let text = format!("this program has {what}: restart the server, which has one");
    let _ = FromWorker::StartFailed(ShortText::new(&text)).send(&boot.control);
    EXIT_NOT_PREPARED
}
