//! The reactors of a server: their mailboxes and reports, and a thread for each.

use std::sync::Arc;
use std::thread::JoinHandle;

use ostler_core::budget::Budget;
use ostler_core::invariant;
use ostler_shm::board::Board;

use super::accepting::Accepting;
use super::accepting_reactor;
use super::lag_watch::{self, LagWatch};
use super::poison::Poison;
use super::ports::ListeningPorts;
use super::quarantine::Store;
use super::sandbox::Confinement;
use super::shared_memory::make_addresses;
use super::start::fail;
use super::succession::Predecessor;
use crate::encryption::Encryption;
use crate::error::{Error, Result};
use crate::journal::{self, Keeper};
use crate::options::{Mode, Options};
use crate::reactor::mailbox::{DatagramPart, Mailbox, Reports};
use crate::reactor::places::Places;
use crate::reactor::shared_memory::SharedMemory;
use crate::reactor::turns::Turns;
use crate::reactor::{Reactor, ReactorSettings};

/// Whether there is one reactor, which accepts its clients itself (decision 37).
pub(super) fn only_reactor(options: &Options) -> bool {
    options.mode == Mode::Process && options.reactors == 1
}

/// What reactors share with the main thread. Places of sessions that may come from an old master
/// are kept for them.
pub(super) fn make_reports(
    options: &Options,
    board: &Arc<Board>,
    old: &mut Option<Predecessor>,
) -> Result<Reports> {
    let reports = Reports::new(Places::new(Arc::clone(board)))
        .map_err(|error| Error::start("cannot make a bell", Some(error)))?
        .with_addresses(make_addresses(options)?);
    let reports = reports.with_turns(lag_watch::turns(options)?);
    let reports = match old {
        Some(old) => {
            // Before anybody is accepted.
            old.keep_places(&reports.places);
            let budget = Budget::new(options.memory_budget as u64);
            old.charge_to(Arc::clone(&budget));
            reports
                .with_expected_groups(options.reactors.into(), options.groups_max as usize)
                .with_budget(budget)
        }
        None => reports,
    };
    Ok(if only_reactor(options) { reports.with_acceptor_here() } else { reports })
}

/// The mailboxes of the reactors, with the ports of datagrams. In BASE mode there is one at most,
/// that of the switch, which has no ports.
pub(super) fn make_mailboxes(
    options: &Options,
    ports: &ListeningPorts,
    waits: bool,
) -> Result<Vec<Arc<Mailbox>>> {
    let reactors = match options.mode {
        Mode::Process => options.reactors,
        Mode::Base => u16::from(options.has_switch()),
    };
    let made = (0..reactors).map(|_| Ok(Arc::new(Mailbox::new()?)));
    let mailboxes: Vec<_> = made.collect::<std::io::Result<_>>().map_err(cannot_start_reactor)?;
    if options.mode == Mode::Base {
        return Ok(mailboxes);
    }
    let part = if waits { DatagramPart::AllWhenTold } else { DatagramPart::All };
    let handed = ports.hand_out_datagrams(&mailboxes, part);
    handed.map_err(|error| fail("cannot hand a port to a reactor", error))?;
    Ok(mailboxes)
}

fn cannot_start_reactor(error: std::io::Error) -> Error {
    Error::start("cannot start a reactor", Some(error))
}

/// What reactors are made with.
type Seen<'start> = (Encryption, &'start Arc<Board>, &'start [Arc<Mailbox>], &'start Reports);

/// The threads of the reactors, and who watches them.
#[derive(Default)]
pub(super) struct Threads {
    reactors: Vec<JoinHandle<()>>,
    watch: Option<LagWatch>,
}

impl Threads {
    /// They have been told to end, and are waited for.
    pub(super) fn end(&mut self) {
        self.watch = None;
        for thread in std::mem::take(&mut self.reactors) {
            let joined = thread.join();
            invariant!(joined.is_ok(), "a reactor that panics aborts the process");
        }
    }
}

/// All threads that the master has besides this one: those of reactors, of who watches them, of
/// kept tasks and of the quarantine. They open no other files than the sandbox lets them from the
/// beginning.
pub(super) fn start_threads(
    (options, confinement): (&Options, &Confinement),
    seen: Seen<'_>,
    (accepting, at_once): (Option<Accepting>, bool),
    quarantine: Option<Store>,
) -> Result<(Threads, Option<Poison>)> {
    confinement.around_threads(move || {
        let (_, _, _, reports) = seen;
        let turns = Arc::clone(&reports.turns);
        let watch = LagWatch::start(options, reports)?;
        let reactors = start_reactors(make_reactors(options, seen)?, accepting, &turns, at_once)?;
        Ok((Threads { reactors, watch }, Poison::new(options, quarantine)?))
    })
}

fn make_reactors(
    options: &Options,
    (encryption, board, mailboxes, reports): Seen<'_>,
) -> Result<Vec<Reactor>> {
    let of_switch = (options.mode == Mode::Base).then(|| options.of_switch());
    let of_reactors = of_switch.as_ref().unwrap_or(options);
    let settings = ReactorSettings::new(of_reactors).map_err(cannot_start_reactor)?;
    let settings = settings.with_encryption(encryption);
    let settings = if of_switch.is_some() { settings.of_switch() } else { settings };
    let budget = reports.budget.clone();
    let memory = SharedMemory::with_budget(of_reactors, mailboxes.to_vec(), budget);
    let make = |(index, mailbox): (usize, &Arc<Mailbox>)| {
        let (board, memory) = (Arc::clone(board), Arc::clone(&memory));
        let mailbox = Arc::clone(mailbox);
        Reactor::new(index, settings.clone(), board, memory, mailbox, reports.clone())
    };
    let reactors = mailboxes.iter().enumerate().map(make).collect::<std::io::Result<_>>();
    let mut reactors: Vec<Reactor> = reactors.map_err(cannot_start_reactor)?;
    if let Some(first) = reactors.first_mut() {
        keep_tasks(options, first)?;
    }
    Ok(reactors)
}

/// Tasks outlive the server if the options say where.
fn keep_tasks(options: &Options, reactor: &mut Reactor) -> Result<()> {
    if options.task_journal.is_empty() {
        return Ok(());
    }
    let (store, left) = journal::open(options)?;
    let last_number = left.last().map_or(0, |task| task.number);
    let backlog_max = options.task_journal_backlog_max;
    let keeper = Keeper::start(store, last_number, backlog_max);
    let kept = keeper.and_then(|keeper| reactor.keep_tasks(keeper, left));
    kept.map_err(|error| Error::start("cannot start the thread of `task_journal`", Some(error)))
}

/// Starts a thread for each reactor. Who accepts for itself is the only one; it begins at once, or
/// when the predecessor has handed over.
fn start_reactors(
    reactors: Vec<Reactor>,
    mut accepting: Option<Accepting>,
    turns: &Arc<Turns>,
    at_once: bool,
) -> Result<Vec<JoinHandle<()>>> {
    let start = |(index, reactor): (usize, Reactor)| {
        let thread = std::thread::Builder::new().name(format!("reactor-{index}"));
        let turns = Arc::clone(turns);
        match accepting.take() {
            None => thread.spawn(move || {
                turns.enter(index);
                reactor.run();
            }),
            Some(mut accepting) => {
                if at_once {
                    accepting.begin(&reactor)?;
                }
                thread.spawn(move || {
                    turns.enter(index);
                    accepting_reactor::run(reactor, accepting);
                })
            }
        }
    };
    let threads = reactors.into_iter().enumerate().map(start).collect::<std::io::Result<_>>();
    threads.map_err(cannot_start_reactor)
}
